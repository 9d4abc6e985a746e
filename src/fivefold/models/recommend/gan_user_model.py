"""A user model learned as a game between reward and behavior, and slates chosen by cascading Q-networks in it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.engine.learner import PartSpec
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer

from ._cascade import CascadeLearner, CascadeNetwork, Player
from ._displays import Displays, displays_of, windows
from ._interactions import TimedRecommender
from ._rollouts import CLIP_NORM
from ._tables import Interactions, as_frame
from ._top import top_k
from ._user_model import REGULARIZERS, STATES, ItemScores, UserLearner

_UNITS = 1 << 22  # any value: hidden units held at a time
_WHOLE = {
    "slate_size": 1,
    "history_length": 1,
    "n_positions": 1,
    "embedding_dim": 1,
    "hidden": 1,
    "batch_size": 1,
    "policy_batch_size": 1,
    "init_epochs": 1,
    "adversarial_epochs": 0,
    "policy_steps": 0,
    "sessions": 1,
    "horizon": 1,
    "n_candidates": 1,
    "buffer_size": 1,
}


class GANUserModel(TimedRecommender):
    r"""Slates by cascading Q-networks, in sessions with a user model whose reward and behavior are learned as a game.

    A user in the state s, made of the last choices, is shown k items A and chooses one of them or nothing (of reward 0):

    .. math:: \phi^*(s, A) = \arg\max_{\phi \in \Delta} E_\phi[r(s, a)] - R(\phi) / \eta, \qquad
              \min_\theta \max_\alpha E_{\phi_\alpha}\Big[\sum_t r_\theta(s^t, a^t)\Big] - \tfrac1\eta R(\phi_\alpha)
              - \sum_t r_\theta(s^t, a^t_{true}).

    With R the negative entropy :math:`\phi^* \propto e^{\eta r}` and the game is maximum likelihood, where it starts. In the
    sessions of this user model the best slates are found one item after the other,

    .. math:: a_j^* = \arg\max_a Q^j(s, a_{1:j-1}^*, a), \qquad
              Q^j(s, a_{1:j}) \leftarrow E_\phi[r] + \gamma\, Q^k(s', a'^*_{1:k}) \ \text{for all } j = 1, \dots, k.

    Parameters
    ----------
    slate_size : int >= 1, default 5
        k, the items of a display.
    history_length : int >= 1, default 10
        m, the last choices that make the state.
    state : {"position-weight", "lstm"}, default "position-weight"
        Whether the state is :math:`\mathrm{vec}\,\sigma(F W + B)` or the last vector of an LSTM over the same choices.
    n_positions : int >= 1, default 4
        Columns of W; the state has ``embedding_dim * n_positions`` numbers, with an LSTM too.
    embedding_dim : int >= 1, default 16
        Of the features of items, learned with the reward.
    hidden : int >= 1, default 64
        Hidden units of reward, behavior and each Q-network.
    eta : float > 0, default 1.0
        How keenly users choose.
    regularizer : {"entropy", "l2"}, default "entropy"
        R: :math:`\sum \phi \ln \phi` or :math:`\sum \phi^2`.
    liked : float, default 4.0
        With ratings: what is rated so or higher was chosen from its display, else nothing was. Without, every row is a choice.
    init_epochs : int >= 1, default 4
        Of maximum likelihood.
    adversarial_epochs : int >= 0, default 1
        Of the game after it.
    batch_size, policy_batch_size : int >= 1, default 256 and 64
        Displays a step of the user model, and replayed displays a step of the Q-networks.
    learning_rate, adversarial_learning_rate, policy_learning_rate : float > 0, default 3e-3, 1e-4 and 1e-3
        Of Adam.
    weight_decay : float >= 0, default 1e-4
        L2 of the user model.
    policy_steps : int >= 0, default 1000
        Steps of all sessions, with as many gradient steps; 0 leaves the Q-networks as they were made.
    sessions : int >= 1, default 64
        Users that are simulated at a time.
    horizon : int >= 1, default 20
        Displays of a session.
    n_candidates : int >= 1, default 200
        Items drawn at each step of learning, from which all its slates are chosen; ``recommend`` chooses from all.
    gamma : float in [0, 1), default 0.9
    tau : float in (0, 1], default 0.02
        Share of the Q-networks that goes into their targets at each step.
    buffer_size : int >= 1, default 20,000
    exploration_initial_eps, exploration_final_eps : float in [0, 1], default 1.0 and 0.1
        Share of random slates, falling linearly over half of the steps.
    user, item : str, default "user" and "item"
    rating, time : str or None, default None
        Names of columns. Without a time the rows of a user come in order.
    random_state : int, generator or None, default None

    Attributes
    ----------
    users_model_ : UserLearner
        Reward and behavior.
    policy_ : CascadeLearner
        The Q-networks.
    windows_ : int64 array (n_users, history_length)
        Codes of the last choices of each user, oldest first; ``len(items_)`` where there is none.
    history_, policy_history_ : list of dict
        One record an epoch of the user model, and of the policy (an epoch is 200 steps).

    Raises
    ------
    InputError, InputTypeError, DataError
        A parameter outside its range; fewer items than a history and a slate hold.

    Notes
    -----
    Logs without displays get them by a rule: the item of each row and ``slate_size - 1`` others, drawn uniformly from what the
    user never met. (The paper takes films released at about the same time.) The paper's features of items are given; here they
    are vectors that are learned. Its Q-networks have no target copy (``tau=1``) and learn from the reward of what was chosen,
    here from the reward that the user model expects of the display: the same mean, less noise. States read the last
    ``history_length`` choices, with an LSTM too. The score of a recommended item is the Q at which it was chosen, lowered to that
    of the item before it where it is higher; a list longer than a slate goes on with the next best slate.

    References
    ----------
    Chen et al., "Generative adversarial user model for reinforcement learning based recommendation system", ICML 2019;
    ``04#gan-user-model``.
    """

    def __init__(
        self,
        *,
        slate_size: int = 5,
        history_length: int = 10,
        state: str = "position-weight",
        n_positions: int = 4,
        embedding_dim: int = 16,
        hidden: int = 64,
        eta: float = 1.0,
        regularizer: str = "entropy",
        liked: float = 4.0,
        init_epochs: int = 4,
        adversarial_epochs: int = 1,
        batch_size: int = 256,
        policy_batch_size: int = 64,
        learning_rate: float = 3e-3,
        adversarial_learning_rate: float = 1e-4,
        policy_learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        policy_steps: int = 1000,
        sessions: int = 64,
        horizon: int = 20,
        n_candidates: int = 200,
        gamma: float = 0.9,
        tau: float = 0.02,
        buffer_size: int = 20_000,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.1,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.slate_size = slate_size
        self.history_length = history_length
        self.state = state
        self.n_positions = n_positions
        self.embedding_dim = embedding_dim
        self.hidden = hidden
        self.eta = eta
        self.regularizer = regularizer
        self.liked = liked
        self.init_epochs = init_epochs
        self.adversarial_epochs = adversarial_epochs
        self.batch_size = batch_size
        self.policy_batch_size = policy_batch_size
        self.learning_rate = learning_rate
        self.adversarial_learning_rate = adversarial_learning_rate
        self.policy_learning_rate = policy_learning_rate
        self.weight_decay = weight_decay
        self.policy_steps = policy_steps
        self.sessions = sessions
        self.horizon = horizon
        self.n_candidates = n_candidates
        self.gamma = gamma
        self.tau = tau
        self.buffer_size = buffer_size
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps

    # -- learning -----------------------------------------------------------------------------------------------------

    def fit(self, table: Any, sample_weight: Any = None) -> Self:
        """Learn the user model from a log, then the policy in its sessions.

        Parameters
        ----------
        table, sample_weight
            As of :class:`~fivefold.models.recommend._interactions.Recommender`; displays count by their weights.
        """
        return super().fit(table, sample_weight)

    def _check(self, data: Interactions) -> None:
        for name, low in _WHOLE.items():
            whole(name, getattr(self, name), low=low)
        for name in ("eta", "learning_rate", "adversarial_learning_rate", "policy_learning_rate"):
            real(name, getattr(self, name), low=0.0, above=True)
        real("weight_decay", self.weight_decay, low=0.0)
        real("gamma", self.gamma, low=0.0, high=1.0, below=True)
        real("tau", self.tau, low=0.0, high=1.0, above=True)
        for name in ("exploration_initial_eps", "exploration_final_eps"):
            real(name, getattr(self, name), low=0.0, high=1.0)
        if isinstance(self.liked, bool) or not isinstance(self.liked, numbers.Real) or math.isnan(self.liked):
            raise InputTypeError(f"`liked` is {self.liked!r}; give the lowest rating, a number, of what was chosen.")
        for name, known in (("state", tuple(STATES)), ("regularizer", REGULARIZERS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}.")
        needed = self.slate_size + self.history_length
        if data.shape[1] < needed:
            raise DataError(
                f"The table has {data.shape[1]} items; a slate of {self.slate_size} beside a history of {self.history_length} "
                f"needs at least {needed}: lower slate_size or history_length."
            )

    def _liked(self, ratings: np.ndarray) -> np.ndarray:
        return ratings >= self.liked if self.rating is not None else np.ones(len(ratings), dtype=bool)

    def _learn(self, data: Interactions) -> None:
        streams = Streams.of(self.random_state)
        order, bounds = data.by_user()
        users, items = data.users[order], data.items[order]
        liked = self._liked(data.ratings[order])
        log = displays_of(
            users, items, liked, bounds, data.shape[1], self.slate_size, self.history_length, streams.numpy("displays")
        )
        self.windows_ = log.last
        self.seed_ = streams.seed
        self._make()
        self._fit_users(log, data.weights[order])
        self._fit_policy(log)

    def _make(self) -> None:
        """Make the networks for the items of the training."""
        sizes = (self.embedding_dim, self.history_length, self.n_positions, self.hidden)
        with seeded(Streams(self.seed_), "init"):
            towers = [ItemScores(len(self.items_), *map(int, sizes), self.state) for _ in range(2)]
            self.users_model_ = UserLearner(*towers, float(self.eta), self.regularizer)
            network = CascadeNetwork(towers[0], int(self.slate_size), int(self.hidden))
        self.policy_ = CascadeLearner(network, towers[0], float(self.gamma), float(self.tau))

    def _fit_users(self, log: Displays, weight: np.ndarray) -> None:
        fields = {
            "history": log.history,
            "shown": log.items,
            "chosen": log.chosen,
            "weight": weight.astype(np.float32),
        }
        streams = Streams(self.seed_)
        self.history_: list[dict[str, Any]] = []
        game = (
            ("likelihood", self.init_epochs, self.learning_rate),
            ("game", self.adversarial_epochs, self.adversarial_learning_rate),
        )
        for name, epochs, rate in game:
            if name == "game":
                self.users_model_.play()
            if not epochs:
                continue
            part = PartSpec(options={"lr": float(rate), "weight_decay": float(self.weight_decay)})
            batches = Batches(fields, batch_size=int(self.batch_size), seed=streams.integer(f"{name} batches"))
            trainer = Trainer(
                max_epochs=int(epochs),
                parts={"reward": part, "behavior": part},
                seed=streams.integer(f"{name} trainer"),
            )
            self.history_ += trainer.fit(self.users_model_, batches).epochs
        self.users_model_.to("cpu").eval().requires_grad_(False)

    def _fit_policy(self, log: Displays) -> None:
        self.policy_history_: list[dict[str, Any]] = []
        if self.policy_steps:
            seed = Streams(self.seed_).integer("policy")
            player = Player(self.policy_, self.users_model_, log.history, self.get_params(), seed)
            trainer = Trainer(
                max_batches=int(self.policy_steps),
                parts={"q": PartSpec(options={"lr": float(self.policy_learning_rate)}, clip_norm=CLIP_NORM)},
                seed=seed,
                device="cpu",  # where the sessions are played
                precision="32-true",
            )
            self.policy_history_ = list(trainer.fit(self.policy_, player).epochs)
            self.policy_.player = None
        self.policy_.eval().requires_grad_(False)

    # -- answers ------------------------------------------------------------------------------------------------------

    def slates(self, history: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Return the cascade's slates (n, slate_size) for histories (n, m) of item codes, of items ``allowed`` (n, n_items).

        Both in codes, places in ``items_``; ``len(items_)`` in a history is no item.
        """
        self._check_fitted()
        scores = self._values(0, history, np.empty((len(history), 0), dtype=np.int64))
        keys = np.arange(1, len(history) + 1).astype(np.uint64)
        return self._cascade(scores, history, ~allowed, int(self.slate_size), keys)[0]

    def rewards(self, history: np.ndarray) -> np.ndarray:
        """Return r (n, n_items) of every item for histories (n, m) of item codes."""
        self._check_fitted()
        reward = self.users_model_.reward
        return self._in_blocks(history, lambda rows: reward(rows, torch.arange(reward.n_items).unsqueeze(0)))

    def _values(self, place: int, history: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return Q (n, n_items) of each item in a place 0 ... of the slate, after the items ``before`` (n, place)."""
        tower, network = self.policy_.scores, self.policy_.network
        items = tower.features.weight[:-1].unsqueeze(0)  # (1, n_items, d)
        length = history.shape[1]

        def values(rows: Tensor) -> Tensor:
            return network.values(place, tower.states(rows[:, :length]), tower.features(rows[:, length:]), items)

        return self._in_blocks(np.concatenate([history, before], axis=1), values)

    def _in_blocks(self, rows: np.ndarray, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return ``function`` (n, n_items) of rows (n, ...), of so many at a time that their hidden units are held."""
        size = max(1, _UNITS // (len(self.items_) * int(self.hidden)))
        out = np.empty((len(rows), len(self.items_)))
        with torch.no_grad():
            for begin in range(0, len(rows), size):
                out[begin : begin + size] = function(torch.from_numpy(rows[begin : begin + size])).numpy()
        return out

    def _later(self, place: int, history: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return the values of all places but the first."""
        return self._values(place, history, before)

    def _scores(self, users: np.ndarray) -> np.ndarray:
        return self._values(0, self.windows_[users], np.empty((len(users), 0), dtype=np.int64))

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        history = self._histories(starts, items, ratings)
        return self._values(0, history, np.empty((len(history), 0), dtype=np.int64))

    def _histories(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray:
        """Return the last choices (b, m) among items[starts[i]:starts[i + 1]]."""
        liked = self._liked(ratings)
        ends = np.concatenate([[0], np.cumsum(liked)])[starts]
        return windows(items[liked], ends[:-1], ends[1:], int(self.history_length), len(self.items_))

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return r of pairs; unknown users have no history, unknown items the reward 0 of nothing."""
        none = len(self.items_)
        history = np.where((users >= 0)[:, None], self.windows_[users], none)
        with torch.no_grad():
            found = self.users_model_.reward(
                torch.from_numpy(history), torch.from_numpy(np.where(items >= 0, items, none))[:, None]
            )
        return np.where(items >= 0, found[:, 0].double().numpy(), 0.0)

    def _past(self, history: Any) -> Interactions | None:
        if history is not None and self.time is not None:
            history, _ = self._ordered(as_frame(history, "`history`"), None)
        return super()._past(history)

    def _lists(
        self,
        codes: np.ndarray,
        first: np.ndarray,
        past: Interactions | None,
        k: int,
        allowed: np.ndarray,
        exclude_seen: bool,
        keys: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the slates of users, one after the other until there are ``k`` items; the popular ones for strangers."""
        scores, starts, seen, lost = self._block(codes, first, past)
        blocked = np.broadcast_to(~allowed, scores.shape).copy()
        if exclude_seen:
            blocked[np.repeat(np.arange(len(codes)), np.diff(starts)), seen] = True
        history = np.full((len(codes), self.history_length), len(self.items_))
        known = (codes >= 0) & (first < 0)
        history[known] = self.windows_[codes[known]]
        if past is not None:
            order, bounds = past.by_user()
            told = self._histories(bounds, past.items[order], past.ratings[order])
            history[first >= 0] = told[first[first >= 0]]
        items, best = self._cascade(scores, history, blocked, k, keys, plain=lost)
        return items, best, lost

    def _cascade(
        self,
        scores: np.ndarray,
        history: np.ndarray,
        blocked: np.ndarray,
        k: int,
        keys: np.ndarray,
        plain: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return items (n, k), -1 where none is left, and their scores; rows that are ``plain`` go by the scores alone."""
        count = len(scores)
        items, best = np.full((count, k), -1), np.full((count, k), -np.inf)
        plain = np.zeros(count, dtype=bool) if plain is None else plain
        none = len(self.items_)
        ceiling = np.full(count, np.inf)
        for rank in range(k):
            place = rank % int(self.slate_size)
            values = scores
            if place:
                before = items[:, rank - place : rank]
                later = self._later(place, history, np.where(before >= 0, before, none))
                values = np.where(plain[:, None], scores, later)
            found, value = np.empty((count, 1), dtype=np.int64), np.empty((count, 1))
            starts = np.concatenate([[0], np.cumsum(blocked.sum(axis=1))]).astype(np.int64)
            top_k(values, np.ones(none, dtype=bool), starts, np.nonzero(blocked)[1], keys, found, value)
            ceiling = np.minimum(ceiling, value[:, 0])
            items[:, rank], best[:, rank] = found[:, 0], ceiling
            there = np.flatnonzero(found[:, 0] >= 0)
            blocked[there, found[there, 0]] = True
        return items, best

    def _vectors(self) -> np.ndarray:
        return np.asarray(self.users_model_.reward.features.weight[:-1].double().numpy())

    def get_state(self) -> dict[str, Any]:
        """Return parameters, fitted attributes and weights."""
        state = super().get_state()
        learners = {name: state["fitted"].pop(name, None) for name in ("users_model_", "policy_")}
        state["weights"] = {name: dict(found.state_dict()) for name, found in learners.items() if found is not None}
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the networks again and fill in their weights."""
        self = super().from_state({"params": state["params"], "fitted": state["fitted"]})
        if state["weights"]:
            self._make()
            for name, found in state["weights"].items():
                learner = getattr(self, name)
                learner.load_state_dict(found)
                learner.eval().requires_grad_(False)
            self.users_model_.playing = True
        return self
