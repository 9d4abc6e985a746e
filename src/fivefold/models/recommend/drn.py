"""DRN: a dueling double deep Q-network that explores by a dueling bandit (Zheng et al. 2018)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.data.batches import Batch
from fivefold.engine.learner import PartSpec, Step, Steps
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer
from fivefold.models.nn.perceptron import Perceptron

from ._baselines import best_left, mixed_lists
from ._dueling import interleave, outcome, perturbation, shift, shifted
from ._rollouts import CLIP_NORM, ReplayLearner
from ._simulator import Policy, Visits
from ._states import SimulatedRecommender
from ._survival import UserActiveness

EXPLORATIONS = ("dueling-bandit", "epsilon-greedy", "none")
_USERS = 16  # any value: users who are scored together


class DuelingNetwork(nn.Module):
    r"""Values of items for users: :math:`Q(s, a) = V(s) + A(s, a) - \frac{1}{|C|} \sum_{a' \in C} A(s, a')`.

    V reads features of user and context: the mean vector of the state, how much of it there is, how far the session is. A
    reads these and features of the item: its vector, the logarithm of its users, the products of its vector with the user's,
    and its mean product with the items of the state.
    """

    def __init__(self, vectors: np.ndarray, popularity: np.ndarray, n_state: int, hidden: Sequence[int]) -> None:
        super().__init__()
        dim = vectors.shape[1]
        self.n_state = n_state
        self.vectors: Tensor
        self.popularity: Tensor
        padded = np.concatenate([vectors, np.zeros((1, dim))]).astype(np.float32)
        self.register_buffer("vectors", torch.from_numpy(padded))  # (n_items + 1, d), the last row for the item -1
        level = np.log1p(popularity)
        level = (level - level.mean()) / max(float(level.std()), 1e-12)
        self.register_buffer("popularity", torch.from_numpy(np.append(level, 0.0).astype(np.float32)))
        self.value = Perceptron((dim + 2, *hidden, 1), "relu")
        self.advantage = Perceptron((3 * dim + 4, *hidden, 1), "relu")

    def user(self, states: Tensor, shown: Tensor) -> Tensor:
        """Return features of users and context (b, d + 2) from states (b, N) and what the session has shown (b, T K)."""
        told = (states >= 0).to(self.vectors.dtype)
        mean = self.vectors[states].sum(dim=1) / told.sum(dim=1, keepdim=True).clamp(min=1)
        session = (shown >= 0).to(self.vectors.dtype).mean(dim=1, keepdim=True)
        return torch.cat([mean, told.mean(dim=1, keepdim=True), session], dim=1)

    def forward(self, states: Tensor, shown: Tensor, items: Tensor) -> Tensor:
        """Return Q (b, C) of the ``items`` (b, C)."""
        user = self.user(states, shown)
        mean = user[:, None, : self.vectors.shape[1]]  # (b, 1, d)
        item = self.vectors[items]  # (b, C, d)
        both = item * mean
        wide = torch.cat(
            [
                user[:, None].expand(-1, items.shape[1], -1),
                item,
                both,
                self.popularity[items].unsqueeze(2),
                both.sum(dim=2, keepdim=True),
            ],
            dim=2,
        )
        advantage = self.advantage(wide).squeeze(2)  # (b, C)
        return self.value(user) + advantage - advantage.mean(dim=1, keepdim=True)


class DRNLearner(ReplayLearner):
    r"""Double Q-learning from replayed items: the network chooses the next item, the target network values it.

    .. math:: y = r + \gamma\, Q\big(s', \arg\max_{a'} Q(s', a'; W);\, W^-\big)
    """

    defaults: ClassVar[dict[str, PartSpec]] = {"q": PartSpec()}

    def __init__(self, network: DuelingNetwork, offered: int, gamma: float, tau: float) -> None:
        super().__init__()
        self.network = network
        self.target = copy.deepcopy(network).requires_grad_(False)
        self.offered = offered
        self.gamma = gamma
        self.tau = tau

    def parts(self) -> dict[str, Any]:
        return {"q": self.network.parameters()}

    def values(self, network: nn.Module, observations: Tensor) -> Tensor:
        """Return Q (b, C) of the items on offer in observations (b, N + T K + C)."""
        n_state = self.network.n_state
        return network(
            observations[:, :n_state], observations[:, n_state : -self.offered], observations[:, -self.offered :]
        )

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        r"""Return :math:`y = r + \gamma (1 - \text{terminated})\, Q^-(s', \arg\max Q(s', \cdot))`, (b,)."""
        best = self.values(self.network, batch.next_observation).argmax(dim=1, keepdim=True)
        future = self.values(self.target, batch.next_observation).gather(1, best).squeeze(1)
        return batch.reward + self.gamma * (1 - batch.terminated) * future

    def steps(self, batch: Batch) -> Steps:
        y = self.targets(batch)
        q = self.values(self.network, batch.observation).gather(1, batch.action.unsqueeze(1)).squeeze(1)
        logs = {"q": q.detach().mean(), "reward": batch.recent_return}
        yield Step("q", nn.functional.smooth_l1_loss(q, y), logs)
        self.follow()

    @torch.no_grad()
    def follow(self) -> None:
        """Move the target a share tau of the way."""
        for mine, theirs in zip(self.target.parameters(), self.network.parameters()):
            mine.lerp_(theirs, self.tau)


class NewsPlayer:
    """Plays lists that explore, tells the bandit how they were received, and remembers a round item by item."""

    def __init__(self, model: DRN) -> None:
        self.model = model
        self.learner = model.learner_
        self._direction: list[Tensor] = []
        self._coin = np.empty((0, 0), dtype=bool)

    def lists(self, observations: np.ndarray, progress: float, generator: np.random.Generator) -> np.ndarray:
        """Return lists (b, K), by the exploration of the model."""
        model, network = self.model, self.learner.network
        gone = model.blocked(observations)
        values = model.item_values(observations)
        if model.exploration == "none":
            return best_left(values, gone, model.list_size)
        if model.exploration == "epsilon-greedy":
            return mixed_lists(values, gone, model.list_size, model.epsilon, generator)
        self._direction = perturbation(network, model.alpha, generator)
        with shifted(network, self._direction):
            other = model.item_values(observations)
        lists, self._coin = interleave(values, other, gone, model.list_size, generator)
        return lists

    def learned(
        self, observations: np.ndarray, lists: np.ndarray, liked: np.ndarray, visits: Visits
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Take the minor update; return the places of the items on offer and :math:`r = u + \beta S`, (b K,)."""
        if self.model.exploration == "dueling-bandit" and outcome(liked, self._coin) > 0:
            shift(self.learner.network, self._direction, self.model.eta)
        offer = observations[:, -self.learner.offered :]
        actions = (offer[:, None, :] == lists[:, :, None]).argmax(axis=2)  # (b, K)
        rewards = liked + self.model.beta * visits.levels[:, None]
        return actions.ravel(), rewards.ravel()


class DRN(SimulatedRecommender):
    r"""Clicks and how active users stay, by a dueling double deep Q-network; exploration in the neighborhood of its weights.

    .. math:: Q(s, a) = V(s) + A(s, a) - \operatorname{mean}_{a'} A(s, a'), \qquad r = u + \beta S

    .. math:: y = r + \gamma\, Q\big(s', \arg\max_{a'} Q(s', a'; W);\, W^-\big)

    Every round a neighbor :math:`\tilde W = W + \Delta W`, :math:`\Delta W = \alpha\, \mathrm{rand}(-1, 1) \odot W`, ranks
    too, and users get lists interleaved from both rankings. *Minor update*: where the items of the neighbor are liked more
    often, :math:`W \leftarrow W + \eta\, \Delta W`. *Major update*, every ``major_every`` rounds: gradient steps on replayed
    items.

    Parameters
    ----------
    n_offered : int >= list_size, default 40
        Items on offer for each list in the simulator, as fresh news are.
    exploration : {"dueling-bandit", "epsilon-greedy", "none"}, default "dueling-bandit"
    alpha : float > 0, default 0.1
        Size of a perturbation, relative to the weights.
    eta : float in (0, 1], default 0.05
        Step toward a better neighbor.
    epsilon : float in [0, 1], default 0.1
        Share of random items of epsilon-greedy exploration.
    beta : float >= 0, default 0.05
        Weight of the activeness S, which :class:`~fivefold.models.recommend._survival.UserActiveness` follows.
    learning_rate : float > 0, default 1e-3
        Of Adam.
    major_every : int >= 1, default 5
        Rounds between major updates.
    hidden_sizes : sequence of int >= 1, default (32,)
        Of V and of A.
    gamma : float in [0, 1), default 0.4
    tau : float in (0, 1], default 0.01
    gradient_steps : int >= 1, default 10
        Batches a major update.
    buffer_size : int >= 1, default 20,000
        Items that are kept for replay.
    list_size, n_state and others
        As of the base :class:`~fivefold.models.recommend._states.SimulatedRecommender`.

    Attributes
    ----------
    learner_ : DRNLearner
    simulator_ : UserSimulator
    item_factors_ : array (n_items, factors)
    states_ : array (n_users, n_state)
        The last items each user liked, as places in ``items_``, -1 in front.
    rewards_ : array (rounds,)
        Mean reward of a list while learning, exploration included.

    Raises
    ------
    InputError, DataError
        A parameter out of range; a table without a list of K rows, or without both kinds of feedback.

    Notes
    -----
    The paper's minor update reads :math:`W' = W + \eta \tilde W`, which grows the weights whatever is liked; the step of the
    bandit is along :math:`\Delta W`. Its V + A leaves both parts undetermined; the mean of A is subtracted (Wang et al. 2016).
    Returns are simulated after :math:`T_0 (1.5 - \text{share liked})` hours on average, exponentially distributed.
    ``recommend`` scores all items by Q at the start of a session. That the bandit's lists earn more and are more diverse than
    those of epsilon-greedy holds on average over simulators, not in each; the latter shows more different items in all.

    References
    ----------
    Zheng, Zhang, Zheng, Xiang, Yuan, Xie & Li 2018, "DRN: a deep reinforcement learning framework for news recommendation".
    Spec: ``04#drn``.
    """

    def __init__(
        self,
        *,
        n_offered: int = 40,
        exploration: str = "dueling-bandit",
        alpha: float = 0.1,
        eta: float = 0.05,
        epsilon: float = 0.1,
        beta: float = 0.05,
        learning_rate: float = 1e-3,
        major_every: int = 5,
        hidden_sizes: Sequence[int] = (32,),
        gamma: float = 0.4,
        tau: float = 0.01,
        gradient_steps: int = 10,
        buffer_size: int = 20_000,
        **common: Any,
    ) -> None:
        own = {"hidden_sizes": hidden_sizes, "gamma": gamma, "tau": tau}
        super().__init__(**own, gradient_steps=gradient_steps, buffer_size=buffer_size, **common)
        self.n_offered = n_offered
        self.exploration = exploration
        self.alpha = alpha
        self.eta = eta
        self.epsilon = epsilon
        self.beta = beta
        self.learning_rate = learning_rate
        self.major_every = major_every

    def _check_params(self) -> None:
        super()._check_params()
        whole("major_every", self.major_every, low=1)
        whole("n_offered", self.n_offered, low=1)
        if self.n_offered < self.list_size:
            raise InputError(f"`n_offered` is {self.n_offered}; give at least list_size={self.list_size}.")
        choice("exploration", self.exploration, EXPLORATIONS)
        real("alpha", self.alpha, low=0.0, above=True)
        real("eta", self.eta, low=0.0, high=1.0, above=True)
        real("epsilon", self.epsilon, low=0.0, high=1.0)
        real("beta", self.beta, low=0.0)
        real("learning_rate", self.learning_rate, low=0.0, above=True)

    def _offered(self) -> int:
        return int(self.n_offered)

    def _every(self) -> int:
        return int(self.major_every)

    def _visits(self, users: int) -> Visits:
        return Visits(self.simulator_, users, self.horizon_, self._offered(), UserActiveness())

    def _build(self) -> DRNLearner:
        with seeded(Streams(self.seed_), "networks"):
            network = DuelingNetwork(self.item_factors_, self.counts_, self.n_state, tuple(self.hidden_sizes))
        return DRNLearner(network, self._offered(), self.gamma, self.tau)

    def _train(self) -> None:
        self.learner_ = self._build()
        rollout = self.rollout(NewsPlayer(self), ())
        self.learner_.rollout = rollout
        Trainer(
            max_batches=rollout.n_batches,
            parts={"q": PartSpec(options={"lr": self.learning_rate}, clip_norm=CLIP_NORM)},
            seed=Streams(self.seed_).integer("trainer"),
            device="cpu",
        ).fit(self.learner_, rollout)
        self.learner_.rollout = None
        self.learner_.eval()
        self.rewards_ = np.array(rollout.rewards)

    def rivals(self) -> dict[str, Policy]:
        """Return the policy of the same network that explored by epsilon-greedy (or by the bandit, if this one did not)."""
        other = copy.copy(self)
        other.exploration = "dueling-bandit" if self.exploration != "dueling-bandit" else "epsilon-greedy"
        other._train()
        return {other.exploration: other.lists}

    @torch.no_grad()
    def item_values(self, observations: np.ndarray) -> np.ndarray:
        """Return Q of the items on offer, at their places among all items, (b, n_items); 0 elsewhere."""
        rows = torch.from_numpy(observations)
        found = np.zeros((len(observations), len(self.items_)))
        values = self.learner_.values(self.learner_.network, rows).numpy()
        np.put_along_axis(found, observations[:, -self._offered() :], values.astype(np.float64), axis=1)
        return found

    def lists(self, observations: np.ndarray, number: int = 0) -> np.ndarray:
        """Return the items of largest Q on offer (b, K) for observations of the simulator, by places in ``items_``."""
        return best_left(self.item_values(observations), self.blocked(observations), self.list_size)

    @torch.no_grad()
    def _ranked(self, states: np.ndarray, met: np.ndarray) -> np.ndarray:
        """Return Q of every item for users in ``states`` (b, N), (b, n_items)."""
        items = torch.arange(len(self.items_))
        out = np.empty(met.shape)
        shown = torch.full((1, self.horizon_ * self.list_size), -1)
        for first in range(0, len(states), _USERS):
            rows = torch.from_numpy(states[first : first + _USERS])
            some = len(rows)
            values = self.learner_.network(rows, shown.expand(some, -1), items.expand(some, -1))
            out[first : first + some] = values.numpy()
        return out
