"""Cascading Q-networks: k items chosen one after the other in place of one of all sets of k, and the sessions they learn in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import CapabilityError
from fivefold.base.random import Streams
from fivefold.data.batches import Batch, Place
from fivefold.engine.learner import Learner, PartSpec, Step, Steps
from fivefold.models.rl.replay import ReplayBuffer

from ._user_model import ItemScores, UserLearner

EPOCH_BATCHES = 200
"""Batches that count as an epoch of the engine: the interval of its records."""


class CascadeNetwork(nn.Module):
    r"""Q-networks of partial slates over the states and features of a user model, which stay as they are.

    .. math:: Q^j(s, a_{1:j}) = q_j^\top \sigma\big(L_j [s; f_{a_1}; \dots; f_{a_j}] + c_j\big), \quad j = 1, \dots, k

    Parameters
    ----------
    scores : ItemScores
        Whose states and features are read.
    size, hidden : int
        k and the rows of :math:`L_j`; σ is ReLU.
    """

    def __init__(self, scores: ItemScores, size: int, hidden: int) -> None:
        super().__init__()
        self.size = size
        dim, width = scores.features.embedding_dim, scores.state.size
        # L_j in blocks: of the state, of each item before, of the item to choose.
        self.of_state = nn.ModuleList(nn.Linear(width, hidden) for _ in range(size))
        self.of_before = nn.ModuleList(nn.Linear(j * dim, hidden, bias=False) for j in range(1, size))
        self.of_item = nn.ModuleList(nn.Linear(dim, hidden, bias=False) for _ in range(size))
        self.out = nn.ModuleList(nn.Linear(hidden, 1) for _ in range(size))

    def values(self, place: int, states: Tensor, before: Tensor, items: Tensor) -> Tensor:
        """Return Q (n, c) of a place 0 ... k - 1: states (n, s), features before (n, place, d), of candidates (1 or n, c, d)."""
        hidden = self.of_state[place](states)
        if place:
            hidden = hidden + self.of_before[place - 1](before.flatten(1))
        return self.out[place]((hidden.unsqueeze(1) + self.of_item[place](items)).relu()).squeeze(2)

    def of_slates(self, states: Tensor, slates: Tensor) -> Tensor:
        """Return Q (n, k) of every beginning of slates, given by their features (n, k, d)."""
        found = [self.values(j, states, slates[:, :j], slates[:, j : j + 1]) for j in range(self.size)]
        return torch.cat(found, dim=1)


def cascade(values: Callable[[int, Tensor], Tensor], size: int, allowed: Tensor) -> tuple[Tensor, Tensor]:
    r"""Choose :math:`a_j = \arg\max_a Q^j(s, a_{1:j-1}, a)` for j = 1, ..., k: k searches in place of one over all sets.

    Parameters
    ----------
    values : callable (place, chosen (n, place)) -> (n, c)
        Q of each candidate after those chosen, which are places among the candidates.
    size : int
    allowed : bool (n, c)
        At least ``size`` true in each row.

    Returns
    -------
    chosen : int64 (n, size), places among the candidates
    value : (n, size), their Q
    """
    free = allowed.clone()
    chosen = torch.empty(len(allowed), 0, dtype=torch.int64, device=allowed.device)
    found = []
    for place in range(size):
        value, best = values(place, chosen).masked_fill(~free, -torch.inf).max(dim=1, keepdim=True)
        free.scatter_(1, best, False)
        chosen = torch.cat([chosen, best], dim=1)
        found.append(value)
    return chosen, torch.cat(found, dim=1)


def unchosen(history: Tensor, pool: Tensor) -> Tensor:
    """Tell which items of a pool (c,) are not in histories (n, m), as (n, c)."""
    return ~(history.unsqueeze(2) == pool).any(1)


@torch.no_grad()
def best_slates(network: CascadeNetwork, scores: ItemScores, history: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Return slates (n, k) and their values (n, k) for histories (n, m), of the items of a pool (c,) that these do not hold."""
    states, features = scores.states(history), scores.features(pool)

    def values(place: int, chosen: Tensor) -> Tensor:
        return network.values(place, states, features[chosen], features.unsqueeze(0))

    chosen, value = cascade(values, network.size, unchosen(history, pool))
    return pool[chosen], value


def follow(history: Tensor, chosen: Tensor, n_items: int) -> Tensor:
    """Return the histories (n, m) after the choices (n,); nothing chosen (``n_items``) leaves them as they were."""
    after = torch.cat([history[:, 1:], chosen.unsqueeze(1)], dim=1)
    return torch.where((chosen < n_items).unsqueeze(1), after, history)


class Sessions:
    """Users as their model says: many at once are shown slates, choose or not, and go on with a longer history.

    Parameters
    ----------
    users : UserLearner
    history : int64 (n, m)
    """

    def __init__(self, users: UserLearner, history: Tensor) -> None:
        self.users = users
        self.history = history

    @torch.no_grad()
    def show(self, slates: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Show slates (n, k); ``uniform`` (n,) decides the choices.

        Returns
        -------
        reward, expected : (n,), of the choice, and over all choices by their chances
        chosen : int64 (n,), ``n_items`` for nothing
        """
        none = self.users.reward.n_items
        chances, rewards = self.users.chances(self.history, slates), self.users.rewards(self.history, slates)
        below = chances.cumsum(1)
        place = torch.searchsorted(below, uniform.unsqueeze(1) * below[:, -1:])  # (n, 1)
        chosen = nn.functional.pad(slates, (0, 1), value=none).gather(1, place).squeeze(1)
        self.history = follow(self.history, chosen, none)
        expected = (chances * rewards.masked_fill(chances == 0, 0.0)).sum(1)
        return rewards.gather(1, place).squeeze(1), expected, chosen


class CascadeLearner(Learner):
    r"""What replayed displays teach the Q-networks: all of them the same target.

    .. math:: y = \bar r + \gamma\, \hat Q^k(s', \text{the cascade's slate in } s'), \qquad
              \sum_{j=1}^k \big(y - Q^j(s, a_{1:j})\big)^2

    The optimal :math:`Q^j` are equal at the best slate, each the maximum over what may follow its items. The target network
    follows by ``tau`` a step.
    """

    accumulates = True
    defaults: ClassVar[Mapping[str, PartSpec]] = {"q": PartSpec()}

    def __init__(self, network: CascadeNetwork, scores: ItemScores, gamma: float, tau: float) -> None:
        super().__init__()
        self.network = network
        self.target = copy.deepcopy(network).requires_grad_(False)
        self.scores = scores
        self.gamma = gamma
        self.tau = tau
        self.player: Player | None = None

    def parts(self) -> dict[str, list[nn.Parameter]]:
        return {"q": list(self.network.parameters())}

    @torch.no_grad()
    def goals(self, batch: Batch) -> Tensor:
        """Return y (batch,)."""
        _, value = best_slates(self.target, self.scores, batch.next_observation, batch.pool)
        return batch.reward + self.gamma * value[:, -1]

    def steps(self, batch: Batch) -> Steps:
        y = self.goals(batch)
        with torch.no_grad():
            states, features = self.scores.states(batch.observation), self.scores.features(batch.action)
        q = self.network.of_slates(states, features)  # (batch, k)
        yield Step("q", (y.unsqueeze(1) - q).square().sum(1).mean(), {"q": q[:, -1].detach().mean()})
        with torch.no_grad():
            for mine, theirs in zip(self.target.parameters(), self.network.parameters()):
                mine.lerp_(theirs, self.tau)

    def extra_state(self) -> dict[str, Any]:
        return {} if self.player is None else self.player.get_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.player is not None and state:
            self.player.set_state(state)


class Player:
    """Batches for the engine: shows slates to many users at once, stores what they chose, gives a replayed batch.

    Parameters
    ----------
    learner : CascadeLearner
    users : UserLearner
    starts : int64 array (w, m)
        Histories that sessions begin with.
    settings : mapping
        ``sessions``, ``horizon``, ``n_candidates``, ``buffer_size``, ``policy_batch_size``, ``exploration_initial_eps``,
        ``exploration_final_eps``, ``policy_steps``.
    seed : int
    """

    def __init__(
        self, learner: CascadeLearner, users: UserLearner, starts: np.ndarray, settings: Mapping[str, Any], seed: int
    ) -> None:
        self.learner, self.users, self.starts = learner, users, starts
        self.settings = dict(settings)
        self.seed = seed
        self.streams = Streams(seed)
        self.n_items = users.reward.n_items
        self.buffer = ReplayBuffer(
            int(settings["buffer_size"]), starts.shape[1:], (learner.network.size,), np.int64, np.int64
        )
        self.n_steps = 0
        self.sessions = Sessions(users, self._fresh())
        learner.player = self

    def _fresh(self) -> Tensor:
        rows = self.streams.numpy("starts", self.n_steps).integers(
            len(self.starts), size=int(self.settings["sessions"])
        )
        return torch.from_numpy(self.starts[rows])

    def _pool(self, name: str) -> Tensor:
        """Return different items drawn for a step (c,): more than a history and a slate hold."""
        least = self.starts.shape[1] + self.learner.network.size
        wanted = min(max(int(self.settings["n_candidates"]), least), self.n_items)
        return torch.randperm(self.n_items, generator=self.streams.torch(name, self.n_steps))[:wanted]

    def epsilon(self) -> float:
        """Return the share of random slates: falls linearly over the first half of the steps."""
        first, last = (float(self.settings[f"exploration_{name}_eps"]) for name in ("initial", "final"))
        return first + (last - first) * min(1.0, 2 * self.n_steps / int(self.settings["policy_steps"]))

    def _play(self) -> None:
        if self.n_steps % int(self.settings["horizon"]) == 0:
            self.sessions.history = self._fresh()
        history = self.sessions.history
        pool = self._pool("pool")
        slates, _ = best_slates(self.learner.network, self.learner.scores, history, pool)
        draw = self.streams.torch("play", self.n_steps)
        explore = torch.rand(len(history), 1, generator=draw) < self.epsilon()
        keys = torch.rand(len(history), len(pool), generator=draw).masked_fill(~unchosen(history, pool), -1.0)
        slates = torch.where(explore, pool[keys.topk(self.learner.network.size, dim=1).indices], slates)
        _, reward, _ = self.sessions.show(slates, torch.rand(len(history), generator=draw))
        rows = (history.numpy(), slates.numpy(), reward.numpy(), self.sessions.history.numpy())
        self.buffer.extend(*rows, np.zeros(len(history)))
        self.n_steps += 1

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield a replayed batch after every step of all sessions."""
        if world > 1:
            raise CapabilityError("The cascade plays its sessions in one process; run it with --devices 1.")
        while self.n_steps < (epoch + 1) * EPOCH_BATCHES:
            self._play()
            size = int(self.settings["policy_batch_size"])
            rows = self.buffer.sample(size, self.streams.numpy("replay", self.n_steps))
            fields = {name: torch.from_numpy(values) for name, values in rows.items()}
            fields["pool"] = self._pool("next")
            yield Batch(fields, Place(self.seed, epoch, self.n_steps, size, 0))

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {
            "n_steps": self.n_steps,
            "buffer": self.buffer.get_state(),
            "history": self.sessions.history.numpy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        self.n_steps = int(state["n_steps"])
        self.buffer.set_state(dict(state["buffer"]))
        self.sessions.history = torch.as_tensor(np.asarray(state["history"]))
