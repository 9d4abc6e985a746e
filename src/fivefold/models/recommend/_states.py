"""Recommenders that learn from simulated users: what they share besides how they learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from ._interactions import TimedRecommender
from ._rollouts import Player, Rollout
from ._simulator import Policy, Record, UserSimulator, Visits, blocked, play, read_sessions, states_before
from ._tables import Interactions
from ._vectors import unit
from .implicit_als import AlternatingLeastSquares

MAX_LIST = 8
"""A list of K items is received in one of 2^K ways, all of which are weighed at each step."""


class SimulatedRecommender(TimedRecommender):
    r"""Base of the policies over lists that learn in a simulator made from the table; a method trains it and ranks all items.

    Rows of weight 0 count for nothing; all others count alike.

    Parameters
    ----------
    list_size : int in [1, 8], default 4
        K.
    n_state : int >= 1, default 10
        N, the last liked items that describe a user.
    factors : int >= 1, default 8
        Length d of the item vectors e: directions of those of implicit ALS of what was liked.
    hidden_sizes : sequence of int >= 1, default (64,)
        Layers of the networks.
    liked : float, default 4.0
        Least rating that counts as liked, u = 1.
    balance : float in [0, 1], default 0.5
        Weight :math:`\alpha` of the state in the simulator's cosine.
    decay : float in (0, 1], default 0.9
        :math:`\Gamma` of the simulator's reward of a list.
    gamma : float in [0, 1), default 0.75
        Weight of the value of what comes next.
    tau : float in (0, 1], default 0.03
        Share of the networks that goes into the targets at each batch.
    rounds : int >= 1, default 300
        Lists for each of
    users : int >= 1, default 32
        simulated users.
    horizon : int >= 1, default 10
        Lists of a session; fewer where the items would run out.
    gradient_steps : int >= 1, default 3
        Batches an update, of
    batch_size : int >= 1, default 64
        remembered lists or items.
    buffer_size : int >= 1, default 10,000
        Of these so many are kept for replay.
    user, item : str, default "user" and "item"
    rating : str or None, default "rating"
    time : str or None, default None
        Column that orders the rows; None takes them as they come.
    random_state : int, generator or None, default None
    """

    def __init__(
        self,
        *,
        list_size: int = 4,
        n_state: int = 10,
        factors: int = 8,
        hidden_sizes: Sequence[int] = (64,),
        liked: float = 4.0,
        balance: float = 0.5,
        decay: float = 0.9,
        gamma: float = 0.75,
        tau: float = 0.03,
        rounds: int = 300,
        users: int = 32,
        horizon: int = 10,
        gradient_steps: int = 3,
        batch_size: int = 64,
        buffer_size: int = 10_000,
        rating: str | None = "rating",
        **common: Any,
    ) -> None:
        super().__init__(rating=rating, **common)
        self.list_size = list_size
        self.n_state = n_state
        self.factors = factors
        self.hidden_sizes = hidden_sizes
        self.liked = liked
        self.balance = balance
        self.decay = decay
        self.gamma = gamma
        self.tau = tau
        self.rounds = rounds
        self.users = users
        self.horizon = horizon
        self.gradient_steps = gradient_steps
        self.batch_size = batch_size
        self.buffer_size = buffer_size

    def _check_params(self) -> None:
        for name in ("list_size", "n_state", "factors", "rounds", "users", "horizon"):
            whole(name, getattr(self, name), low=1)
        for name in ("batch_size", "gradient_steps", "buffer_size"):
            whole(name, getattr(self, name), low=1)
        if self.list_size > MAX_LIST:
            raise InputError(f"`list_size` is {self.list_size}; give at most {MAX_LIST}.")
        real("liked", self.liked, low=-np.inf)
        real("balance", self.balance, low=0.0, high=1.0)
        real("decay", self.decay, low=0.0, high=1.0, above=True)
        real("gamma", self.gamma, low=0.0, high=1.0, below=True)
        real("tau", self.tau, low=0.0, high=1.0, above=True)
        for size in self.hidden_sizes:
            whole("hidden_sizes", size, low=1)

    def _check(self, data: Interactions) -> None:
        self._check_params()

    def _learn(self, data: Interactions) -> None:
        self.seed_ = Streams.of(self.random_state).integer("simulated")
        log = read_sessions(data, self.liked, self.n_state, self.list_size)
        # After the last list of a session there must be one more, whose value is looked ahead to.
        needed = self.n_state + max(self.list_size, self._offered())
        room = (data.shape[1] - needed) // self.list_size
        if room < 1:
            raise DataError(
                f"Sessions of {type(self).__name__} need at least {needed + self.list_size} items, the table has "
                f"{data.shape[1]}; lower n_state or list_size."
            )
        self.horizon_ = min(self.horizon, room)
        self.item_factors_ = self._item_vectors(data)
        self.simulator_ = UserSimulator.of(log, self.item_factors_, self.balance, self.decay)
        self.states_ = self._last_states(data)
        self._train()

    def _item_vectors(self, data: Interactions) -> np.ndarray:
        """Return ALS vectors of what was liked, at length 1, (n_items, d); items that nobody liked get zeros."""
        kept = data.ratings >= self.liked
        good = Interactions(
            data.users[kept],
            data.items[kept],
            np.ones(int(kept.sum())),
            data.weights[kept],
            data.user_ids,
            data.item_ids,
        )
        als = AlternatingLeastSquares(
            factors=self.factors,
            regularization=0.1,
            alpha=10.0,
            iterations=10,
            random_state=Streams(self.seed_).integer("als"),
        )
        als._learn(good)
        return unit(als.item_factors_)

    def _last_states(self, data: Interactions) -> np.ndarray:
        order, starts = data.by_user()
        good = data.ratings[order] >= self.liked
        people = np.arange(data.shape[0])
        return states_before(data.items[order], good, starts, people, starts[1:], self.n_state)

    def _train(self) -> None:
        """Set the fitted attributes of the policy."""
        raise NotImplementedError

    def _offered(self) -> int:
        """Return how many items are on offer for a list; 0 for all."""
        return 0

    def _every(self) -> int:
        """Return the rounds before each update."""
        return 1

    def _visits(self, users: int) -> Visits:
        return Visits(self.simulator_, users, self.horizon_, self._offered())

    def blocked(self, observations: np.ndarray) -> np.ndarray:
        """Return which items no list may hold, bool (b, n_items)."""
        return blocked(observations, len(self.items_), self._offered())

    def rollout(self, player: Player, action_shape: tuple[int, ...]) -> Rollout:
        """Return batches for the engine from sessions that ``player`` plays in the simulator."""
        return Rollout(
            self._visits(self.users),
            player,
            rounds=self.rounds,
            every=self._every(),
            batch_size=self.batch_size,
            gradient_steps=self.gradient_steps,
            buffer_size=self.buffer_size,
            action_shape=action_shape,
            seed=Streams(self.seed_).integer("rollout"),
        )

    def lists(self, observations: np.ndarray, number: int = 0) -> np.ndarray:
        """Return lists (b, K) for observations of the simulator (b, N + …), by places in ``items_``."""
        raise NotImplementedError

    def rivals(self) -> dict[str, Policy]:
        """Return further policies to compare with by name, trained in the same simulator."""
        return {}

    def simulate(self, sessions: int = 500, *, policy: Any = None, seed: int = 0) -> Record:
        """Play new sessions in the simulator.

        Parameters
        ----------
        sessions : int >= 1, default 500
        policy : callable (observations, number) -> lists, optional
            By default the learned one, without exploration.
        seed : int, default 0
            Equal seeds begin with equal states.

        Returns
        -------
        Record
            ``rewards`` (sessions, horizon) and ``lists`` (sessions, horizon, K), by places in ``items_``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        visits = self._visits(whole("sessions", sessions, low=1))
        return play(visits, self.lists if policy is None else policy, Streams(seed).numpy("simulate"))

    def _ranked(self, states: np.ndarray, met: np.ndarray) -> np.ndarray:
        """Return the scores (b, n_items) of users in ``states`` (b, N) who ``met`` (b, n_items) some items."""
        raise NotImplementedError

    def _met(self, starts: np.ndarray, items: np.ndarray) -> np.ndarray:
        met = np.zeros((len(starts) - 1, len(self.items_)), dtype=bool)
        met[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), items] = True
        return met

    def _scores(self, users: np.ndarray) -> np.ndarray:
        told = [self.seen_[self.starts_[u] : self.starts_[u + 1]] for u in users]
        starts = np.concatenate([[0], np.cumsum([len(t) for t in told])])
        return self._ranked(self.states_[users], self._met(starts, np.concatenate(told)))

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        people = np.arange(len(starts) - 1)
        states = states_before(items, ratings >= self.liked, starts, people, starts[1:], self.n_state)
        return self._ranked(states, self._met(starts, items))

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the score of each pair; 0 for an unknown user or item."""
        out = np.zeros(len(users))
        whom, place = np.unique(users, return_inverse=True)
        known = whom >= 0
        scores = np.zeros((len(whom), len(self.items_)))
        if known.any():
            scores[known] = self._scores(whom[known])
        both = (users >= 0) & (items >= 0)
        out[both] = scores[place[both], items[both]]
        return out

    def _vectors(self) -> np.ndarray:
        return np.asarray(self.item_factors_)

    def _build(self) -> Any:
        """Return a fresh learner of the sizes of this model."""
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """Return parameters, fitted attributes and weights."""
        state = super().get_state()
        learner = state["fitted"].pop("learner_", None)
        state["weights"] = None if learner is None else dict(learner.state_dict())
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the recommender from what :meth:`get_state` returned."""
        weights = state["weights"]
        self = super().from_state({"params": state["params"], "fitted": state["fitted"]})
        if weights is not None:
            self.learner_ = self._build()
            self.learner_.load_state_dict(weights)
            self.learner_.eval()
        return self
