"""Users simulated from a log: how a list is received follows from how alike lists were in alike states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError

from ._survival import UserActiveness
from ._tables import Interactions
from ._vectors import unit

Policy = Callable[[np.ndarray, int], np.ndarray]
"""Lists (b, K) for observations (b, N + shown); the second argument is the round."""


@dataclass(frozen=True)
class SessionLog:
    """What happened, K rows of a user at a time: the state before, the list, and which of its items were liked.

    Parameters
    ----------
    states : int64 (m, N), the last N items the user liked before, oldest first; -1 fills the front
    lists : int64 (m, K)
    liked : bool (m, K)
    """

    states: np.ndarray
    lists: np.ndarray
    liked: np.ndarray


def read_sessions(data: Interactions, liked: float, n_state: int, list_size: int) -> SessionLog:
    """Cut each user's rows, in their order, into lists of ``list_size``; a rest that is shorter is left out.

    Raises
    ------
    DataError
        When no user has enough rows, or feedback does not differ.
    """
    order, starts = data.by_user()
    items, good = data.items[order], data.ratings[order] >= liked
    user = data.users[order]
    place = np.arange(len(order)) - starts[user]
    first = np.flatnonzero((place % list_size == 0) & (place + list_size <= np.diff(starts)[user]))  # (m,)
    if not len(first):
        raise DataError(
            f"No user has {list_size} rows, so there is no list to learn from; give more rows or a smaller list_size."
        )
    rows = first[:, None] + np.arange(list_size)  # (m, K)
    if good[rows].all() or not good[rows].any():
        raise DataError(
            f"{'Every' if good[rows].any() else 'No'} interaction is liked, which takes a rating of at least {liked:g}, so "
            "nothing tells a good list from a bad one; name a column of ratings or give another `liked`."
        )
    return SessionLog(states_before(items, good, starts, user[first], first, n_state), items[rows], good[rows])


def states_before(
    items: np.ndarray, good: np.ndarray, starts: np.ndarray, users: np.ndarray, rows: np.ndarray, n_state: int
) -> np.ndarray:
    """Return the last ``n_state`` liked items of ``users`` before ``rows`` of a table ordered by user, -1 in front, (m, N)."""
    count = np.concatenate([[0], np.cumsum(good)])  # liked rows before each row
    chosen = items[good]
    at = count[rows][:, None] - n_state + np.arange(n_state)  # (m, N)
    told = at >= count[starts[users]][:, None]
    return np.where(told, chosen[np.maximum(at, 0)] if len(chosen) else -1, -1).astype(np.int64)


@dataclass(frozen=True)
class UserSimulator(Stateful):
    r"""Draws how a user in a state receives a list, from the lists that a log remembers.

    A pair :math:`p = (s, a)` of the concatenated vectors of N items of the state and K items of the list is as alike to a
    remembered one :math:`m_i = (s_i, a_i)` as

    .. math:: \cos(p, m_i) = \alpha \frac{s^T s_i}{\|s\| \|s_i\|} + (1 - \alpha) \frac{a^T a_i}{\|a\| \|a_i\|}

    and is received in the way :math:`U_x \in \{0, 1\}^K` (liked or not, item by item) with the probability

    .. math:: P(U_x \mid p) = \frac{\big[\sum_{i: U(m_i) = U_x} \cos(p, m_i)\big]_+}
                                   {\sum_y \big[\sum_{i: U(m_i) = U_y} \cos(p, m_i)\big]_+}, \qquad
              \sum_{i: U(m_i) = U_x} \cos(p, m_i) = N_x\Big(\alpha \frac{s^T \bar s_x}{\|s\|}
              + (1 - \alpha) \frac{a^T \bar a_x}{\|a\|}\Big)

    where :math:`\bar s_x, \bar a_x` are means of the *unit* vectors of the group, so that only 2^K groups are compared and
    nothing is lost. The list earns :math:`r = \sum_k \Gamma^{k-1} U_x^k`.

    Parameters
    ----------
    vectors : float64 (n_items + 1, d), the last row zero: the item -1
    starts : int64 (m, N), states that sessions start from
    state_sums, list_sums : float64 (2^K, N d) and (2^K, K d), sums :math:`N_x \bar s_x` and :math:`N_x \bar a_x`
    sizes : float64 (2^K,), :math:`N_x`
    balance : float in [0, 1], :math:`\alpha`
    decay : float in (0, 1], :math:`\Gamma`

    Notes
    -----
    Where no group has a positive sum, as for items without vectors, ways are drawn by :math:`N_x`. State and list add up in
    the cosine: which list is best hardly depends on the state, other than through what was shown before.
    """

    vectors: np.ndarray
    starts: np.ndarray
    state_sums: np.ndarray
    list_sums: np.ndarray
    sizes: np.ndarray
    balance: float
    decay: float

    @classmethod
    def of(cls, log: SessionLog, vectors: np.ndarray, balance: float, decay: float) -> Self:
        """Group the lists of a log by how they were received; ``vectors`` (n_items, d)."""
        table = np.concatenate([vectors, np.zeros((1, vectors.shape[1]))])
        size = log.lists.shape[1]
        way = log.liked @ (1 << np.arange(size))  # (m,)
        member = np.zeros((1 << size, len(way)))
        member[way, np.arange(len(way))] = 1.0
        states, lists = _unit(table, log.states), _unit(table, log.lists)
        return cls(table, log.states, member @ states, member @ lists, member.sum(axis=1), balance, decay)

    @property
    def list_size(self) -> int:
        """Items of a list, K."""
        return len(self.sizes).bit_length() - 1

    @property
    def ways(self) -> np.ndarray:
        """Every way of receiving a list, bool (2^K, K): way x likes item k where bit k of x is set."""
        return (np.arange(len(self.sizes))[:, None] >> np.arange(self.list_size)) % 2 == 1

    def probabilities(self, states: np.ndarray, lists: np.ndarray) -> np.ndarray:
        """Return the probability of each way of receiving ``lists`` (b, K) in ``states`` (b, N), shape (b, 2^K)."""
        alike = self.balance * _unit(self.vectors, states) @ self.state_sums.T
        alike += (1.0 - self.balance) * _unit(self.vectors, lists) @ self.list_sums.T
        alike = np.maximum(alike, 0.0)
        alike = np.where(alike.sum(axis=1, keepdims=True) > 0, alike, self.sizes)
        return np.asarray(alike / alike.sum(axis=1, keepdims=True))

    def expected_reward(self, states: np.ndarray, lists: np.ndarray) -> np.ndarray:
        """Return the mean reward of lists, shape (b,)."""
        return self.probabilities(states, lists) @ self.reward(self.ways)

    def respond(self, states: np.ndarray, lists: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Return which items are liked, bool (b, K), drawn with one uniform number a list (b,)."""
        upper = np.cumsum(self.probabilities(states, lists), axis=1)
        way = np.minimum((upper <= uniforms[:, None]).sum(axis=1), len(self.sizes) - 1)
        return self.ways[way]

    def reward(self, liked: np.ndarray) -> np.ndarray:
        r"""Return :math:`\sum_k \Gamma^{k-1} U^k` of feedback (b, K), shape (b,)."""
        return liked @ self.decay ** np.arange(liked.shape[1])

    def get_state(self) -> dict[str, Any]:
        """Return the fields."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the simulator from what :meth:`get_state` returned."""
        return cls(**state)


def _unit(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the concatenated vectors of each row of codes, at length 1 (or 0), shape (b, n d)."""
    return unit(table[codes].reshape(len(codes), -1))


def advance(states: np.ndarray, lists: np.ndarray, liked: np.ndarray) -> np.ndarray:
    """Return the next states (b, N): what was liked comes in at the end, in the order of the list, the oldest fall out."""
    both = np.concatenate([states, lists], axis=1)  # (b, N + K)
    kept = np.concatenate([np.ones(states.shape, dtype=bool), liked], axis=1)
    order = np.argsort(kept, axis=1, kind="stable")[:, -states.shape[1] :]
    return np.take_along_axis(both, order, axis=1)


class Visits:
    """Sessions of several simulated users at once, ``horizon`` lists each; then new ones begin.

    The observation of a user is a row of item codes: the state (N), what the session has shown so far (horizon x K), -1 where
    nothing was yet, and the items on offer (C). A list holds none of the items of state and session, and where items are on
    offer no others.

    Parameters
    ----------
    simulator : UserSimulator
    users : int >= 1
    horizon : int >= 1
    offered : int >= 0, default 0
        C, items drawn for each list; 0 offers all and adds nothing to the observation.
    activeness : UserActiveness, optional
        How often users come back; by default it is not followed.
    """

    def __init__(
        self,
        simulator: UserSimulator,
        users: int,
        horizon: int,
        offered: int = 0,
        activeness: UserActiveness | None = None,
    ) -> None:
        self.simulator = simulator
        self.users = users
        self.horizon = horizon
        self.activeness = activeness
        self.age = horizon
        self.states = np.full((users, simulator.starts.shape[1]), -1, dtype=np.int64)
        self.shown = np.full((users, horizon * simulator.list_size), -1, dtype=np.int64)
        self.offer = np.full((users, offered), -1, dtype=np.int64)
        self.levels = np.zeros(users)  # (users,) activeness

    def begin(self, generator: np.random.Generator) -> bool:
        """Start new sessions where the old ones are over; tell whether they were."""
        if self.age < self.horizon:
            return False
        starts = self.simulator.starts
        self.states = starts[generator.integers(len(starts), size=self.users)]
        self.shown = np.full_like(self.shown, -1)
        self.age = 0
        if self.activeness is not None:
            self.levels = np.full(self.users, self.activeness.initial)
        self._draw_offer(generator)
        return True

    def _draw_offer(self, generator: np.random.Generator) -> None:
        size = self.offer.shape[1]
        if size:
            gone = blocked(np.concatenate([self.states, self.shown], axis=1), len(self.simulator.vectors) - 1)
            keys = np.where(gone, 2.0, generator.random(gone.shape))
            self.offer = np.argpartition(keys, size - 1, axis=1)[:, :size]

    @property
    def observation(self) -> np.ndarray:
        """What the recommender sees, (users, N + horizon K + C)."""
        return np.concatenate([self.states, self.shown, self.offer], axis=1)

    def step(self, lists: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Show lists (users, K) and wait until the users come back; return which items are liked."""
        liked = self.simulator.respond(self.states, lists, generator.random(self.users))
        self.states = advance(self.states, lists, liked)
        self.shown = self.shown.copy()
        self.shown[:, self.age * lists.shape[1] : (self.age + 1) * lists.shape[1]] = lists
        self.age += 1
        if self.activeness is not None:
            hours = self.activeness.period * (1.5 - liked.mean(axis=1)) * generator.exponential(size=self.users)
            self.levels = self.activeness.returned(self.levels, hours)
        self._draw_offer(generator)
        return liked

    def get_state(self) -> dict[str, Any]:
        """Return the open sessions."""
        names = ("age", "states", "shown", "offer", "levels")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class Record:
    """Sessions that were played: rewards (users, horizon) and the lists that were shown (users, horizon, K)."""

    rewards: np.ndarray
    lists: np.ndarray


def play(visits: Visits, policy: Policy, generator: np.random.Generator) -> Record:
    """Play one session of every user under a policy."""
    visits.begin(generator)
    rewards, shown = [], []
    for number in range(visits.horizon):
        lists = policy(visits.observation, number)
        rewards.append(visits.simulator.reward(visits.step(lists, generator)))
        shown.append(lists)
    return Record(np.stack(rewards, axis=1), np.stack(shown, axis=1))


def likeness_within(vectors: np.ndarray, lists: np.ndarray) -> float:
    r"""Return the intra-list similarity :math:`\frac{1}{K (K - 1)} \sum_{i \ne j} \cos(e_i, e_j)`, a mean over lists (…, K).

    The smaller, the more diverse. ``vectors`` (n_items, d) have length 1 or 0; lists of one item give 0.
    """
    e = vectors[lists]  # (…, K, d)
    size = lists.shape[-1]
    pairs = (e.sum(axis=-2) ** 2).sum(axis=-1) - (e**2).sum(axis=(-2, -1))
    return float(np.mean(pairs)) / max(size * (size - 1), 1)


def blocked(observations: np.ndarray, n_items: int, offered: int = 0) -> np.ndarray:
    """Return which items no list may hold, bool (b, n_items): those that stand in an observation, or are not on offer."""
    found = np.zeros((len(observations), n_items + 1), dtype=bool)
    if offered:
        found[:] = True
        np.put_along_axis(found, observations[:, -offered:], False, axis=1)
    else:
        np.put_along_axis(found, observations, True, axis=1)  # -1 is the last column
    return found[:, :-1]
