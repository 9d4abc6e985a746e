"""Finite Markov decision processes as arrays: what a tabular method plans with or simulates from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base.errors import CapabilityError, DataError

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True)
class TabularMDP:
    """The law of a finite Markov decision process, by outcome.

    Attributes
    ----------
    probability : float64 (S, A, m)
        Probability of each of up to m outcomes; rows sum to 1, missing outcomes have probability 0.
    next_state : int64 (S, A, m)
    reward : float64 (S, A, m)
    terminal : bool (S, A, m)
        Whether the outcome ends the episode.
    start : float64 (S,)
        Probability of each first state.
    limit : int
        Steps after which an episode is truncated; 0 for none.
    """

    probability: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    terminal: np.ndarray
    start: np.ndarray
    limit: int = 0

    def __post_init__(self) -> None:
        sums = self.probability.sum(axis=2)
        if (self.probability < 0).any() or np.abs(sums - 1).max() > 1e-9:
            s, a = np.unravel_index(int(np.abs(sums - 1).argmax()), sums.shape)
            raise DataError(
                f"The outcomes of state {s}, action {a} must have probabilities >= 0 that sum to 1; they sum to "
                f"{sums[s, a]:.6g}."
            )
        if (self.start < 0).any() or abs(self.start.sum() - 1) > 1e-9:
            raise DataError(
                f"The first states must have probabilities that sum to 1; they sum to {self.start.sum():.6g}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of states and of actions."""
        return self.probability.shape[0], self.probability.shape[1]

    @classmethod
    def from_env(cls, env: gymnasium.Env[Any, Any]) -> TabularMDP:
        """Read the law of an environment that carries it as ``P`` and ``initial_state_distrib``, as Gymnasium's toy texts do.

        Raises
        ------
        CapabilityError
            When the environment does not carry its law.
        """
        inner: Any = env.unwrapped
        table, start = getattr(inner, "P", None), getattr(inner, "initial_state_distrib", None)
        if table is None or start is None:
            raise CapabilityError(
                f"{type(inner).__name__} carries no transition table (P, initial_state_distrib); "
                "only environments that do can be simulated or planned from it."
            )
        states, actions = len(table), len(table[0])
        most = max(len(table[s][a]) for s in range(states) for a in range(actions))
        shape = (states, actions, most)
        probability, reward = np.zeros(shape), np.zeros(shape)
        next_state, terminal = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        for s in range(states):
            for a in range(actions):
                for i, (p, after, r, done) in enumerate(table[s][a]):
                    probability[s, a, i], next_state[s, a, i] = p, after
                    reward[s, a, i], terminal[s, a, i] = r, done
        limit = getattr(env.spec, "max_episode_steps", None) or 0
        return cls(probability, next_state, reward, terminal, np.asarray(start, float), int(limit))
