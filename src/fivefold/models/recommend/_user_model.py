"""How users choose from what is displayed: states of histories, rewards of items, and the game that learns both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from fivefold.data.batches import Batch
from fivefold.engine.learner import Learner, PartSpec, Step, Steps

REGULARIZERS = ("entropy", "l2")


class PositionWeights(nn.Module):
    r"""The state of a history by weights of its places.

    .. math:: s = \mathrm{vec}\,\sigma(F W + B), \qquad F \in \mathbb R^{d \times m} \text{ the last } m \text{ choices}

    Parameters
    ----------
    dim, history, positions : int
        d, m and the columns of W (m, positions) and of B (d, positions); σ is ELU.
    """

    def __init__(self, dim: int, history: int, positions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(history, positions) / history**0.5)
        self.bias = nn.Parameter(torch.zeros(dim, positions))
        self.size = dim * positions

    def forward(self, features: Tensor, given: Tensor) -> Tensor:
        """Return states (n, dim * positions) of features (n, m, dim), zeros where nothing is ``given`` (n, m)."""
        return nn.functional.elu(features.transpose(1, 2) @ self.weight + self.bias).flatten(1)


class LSTMState(nn.Module):
    """The state of a history as the last hidden vector of an LSTM over its choices, oldest first; zeros for no choice."""

    def __init__(self, dim: int, history: int, positions: int) -> None:
        super().__init__()
        self.size = dim * positions
        self.lstm = nn.LSTM(dim, self.size, batch_first=True)

    def forward(self, features: Tensor, given: Tensor) -> Tensor:
        """Return states (n, size) of features (n, m, dim); where nothing is ``given`` (n, m) there is no step."""
        # What is given comes first, in its order: what follows cannot change the vectors before it.
        order = (~given).to(torch.int8).argsort(dim=1, stable=True)
        hidden, _ = self.lstm(features.gather(1, order.unsqueeze(2).expand_as(features)))  # (n, m, size)
        count = given.sum(1)
        last = (count - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, self.size)
        return torch.where(count.unsqueeze(1) > 0, hidden.gather(1, last).squeeze(1), 0.0)


STATES: dict[str, type[PositionWeights] | type[LSTMState]] = {"position-weight": PositionWeights, "lstm": LSTMState}


class ItemScores(nn.Module):
    r"""A number for each item in a state: :math:`v^\top \sigma(V [s; f_a] + b)`.

    Reward and behavior are two of these, with parameters of their own. Item ``n_items`` stands for no item: its features are 0.

    Parameters
    ----------
    n_items, dim, history, positions, hidden : int
    state : {"position-weight", "lstm"}
    """

    def __init__(self, n_items: int, dim: int, history: int, positions: int, hidden: int, state: str) -> None:
        super().__init__()
        self.n_items = n_items
        self.features = nn.Embedding(n_items + 1, dim, padding_idx=n_items)
        self.state = STATES[state](dim, history, positions)
        # V [s; f] in two blocks, so that the state's is computed once for all items.
        self.of_state = nn.Linear(self.state.size, hidden)
        self.of_item = nn.Linear(dim, hidden, bias=False)
        self.out = nn.Linear(hidden, 1)

    def states(self, history: Tensor) -> Tensor:
        """Return the states (n, size) of the last choices (n, m), oldest first."""
        return self.state(self.features(history), history < self.n_items)

    def forward(self, history: Tensor, items: Tensor) -> Tensor:
        """Return one number an item (n, c) for histories (n, m) and items (n, c)."""
        hidden = self.of_state(self.states(history)).unsqueeze(1) + self.of_item(self.features(items))
        return self.out(nn.functional.elu(hidden)).squeeze(2)


def utilities(rewards: Tensor, items: Tensor, n_items: int) -> Tensor:
    """Return (n, k + 1): rewards (n, k), -inf for items that are none, and 0 for choosing nothing, which comes last."""
    there = rewards.masked_fill(items == n_items, -torch.inf)
    return nn.functional.pad(there, (0, 1))


def regularizer(chances: Tensor, kind: str) -> Tensor:
    r"""Return R(φ) (n,): the negative entropy :math:`\sum_a \phi_a \ln \phi_a`, or :math:`\sum_a \phi_a^2`."""
    if kind == "l2":
        return chances.square().sum(1)
    # The logarithm stops short of -inf, whose gradient would be no number where an item is none.
    return (chances * chances.clamp_min(torch.finfo(chances.dtype).tiny).log()).sum(1)


def expected_utility(rewards: Tensor, chances: Tensor, eta: float, kind: str) -> Tensor:
    r"""Return what the user wants most of, :math:`E_\phi[r] - R(\phi) / \eta` (n,); impossible choices have no chance."""
    gain = (chances * rewards.masked_fill(chances == 0, 0.0)).sum(1)
    return gain - regularizer(chances, kind) / eta


class UserLearner(Learner):
    r"""The reward r and the behavior φ of users, from displays and what was chosen from them.

    .. math:: \min_\theta \max_\alpha\ E_{\phi_\alpha}\Big[\sum_t r_\theta(s^t, a^t)\Big] - \tfrac1\eta R(\phi_\alpha)
              - \sum_t r_\theta(s^t, a^t_{true})

    ``begin`` first: the case of the entropy, which has its maximum in closed form, :math:`\phi \propto e^{\eta r}`, so that the
    game is maximum likelihood. Then ``play``: a step of φ, a step of r.
    """

    defaults: ClassVar[Mapping[str, PartSpec]] = {"behavior": PartSpec(), "reward": PartSpec()}

    def __init__(self, reward: ItemScores, behavior: ItemScores, eta: float, kind: str) -> None:
        super().__init__()
        self.reward = reward
        self.behavior = behavior
        self.eta = eta
        self.kind = kind
        self.playing = False

    def parts(self) -> dict[str, list[nn.Parameter]]:
        return {"behavior": list(self.behavior.parameters()), "reward": list(self.reward.parameters())}

    def rewards(self, history: Tensor, items: Tensor) -> Tensor:
        """Return r (n, k + 1) for displays (n, k); choosing nothing, the last, is worth 0."""
        return utilities(self.reward(history, items), items, self.reward.n_items)

    def chances(self, history: Tensor, items: Tensor) -> Tensor:
        """Return φ (n, k + 1) for displays (n, k); the last is choosing nothing."""
        return (self.eta * utilities(self.behavior(history, items), items, self.behavior.n_items)).softmax(1)

    @torch.no_grad()
    def play(self) -> None:
        """From now on play the game, from the closed form of the entropy."""
        self.behavior.load_state_dict(self.reward.state_dict())
        self.playing = True

    def steps(self, batch: Batch) -> Steps:
        weight = batch.weight / batch.weight.sum()
        chosen = batch.chosen.unsqueeze(1)
        r = self.rewards(batch.history, batch.shown)
        if not self.playing:
            loss = -(self.eta * r).log_softmax(1).gather(1, chosen).squeeze(1)
            yield Step("reward", weight @ loss)
            return
        phi = self.chances(batch.history, batch.shown)
        wanted = expected_utility(r.detach(), phi, self.eta, self.kind)
        yield Step("behavior", -(weight @ wanted))
        with torch.no_grad():
            phi = self.chances(batch.history, batch.shown)
        gained = (phi * r.masked_fill(phi == 0, 0.0)).sum(1)
        yield Step("reward", weight @ (gained - r.gather(1, chosen).squeeze(1)))
