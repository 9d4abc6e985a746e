"""Learning from simulated sessions: play, remember, replay; batches for the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch

from fivefold.base.errors import CapabilityError
from fivefold.base.random import Streams
from fivefold.data.batches import Batch, Place
from fivefold.engine.learner import Learner
from fivefold.models.rl.replay import ReplayBuffer

from ._simulator import Visits

EPOCH_ROUNDS = 50
"""Updates that count as an epoch of the engine: the interval of its records."""

CLIP_NORM = 10.0
"""Longest gradient of a step of networks that learn values from their own targets."""


class Player(Protocol):
    """What plays: gives lists, and says what of a round is remembered."""

    def lists(self, observations: np.ndarray, progress: float, generator: np.random.Generator) -> np.ndarray:
        """Return lists (b, K) with exploration; ``progress`` runs from 0 to 1."""

    def learned(
        self, observations: np.ndarray, lists: np.ndarray, liked: np.ndarray, visits: Visits
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the actions and rewards that a round is remembered as, with first axis b or b K; ``visits`` are after it."""


class Rollout:
    """Batches for the engine: plays rounds of many simulated users, then gives ``gradient_steps`` replayed batches.

    All its state, the open sessions included, is saved with the checkpoint through the learner.

    Parameters
    ----------
    visits : Visits
    player : Player
    rounds : int >= 1
        Lists that each simulated user gets, rounded up to a multiple of
    every : int >= 1
        rounds before each update.
    batch_size, gradient_steps, buffer_size : int >= 1
    action_shape : tuple
        () for items, (K,) for lists.
    seed : int
    """

    def __init__(
        self,
        visits: Visits,
        player: Player,
        *,
        rounds: int,
        every: int,
        batch_size: int,
        gradient_steps: int,
        buffer_size: int,
        action_shape: tuple[int, ...],
        seed: int,
    ) -> None:
        self.visits = visits
        self.player = player
        self.rounds = rounds
        self.every = every
        self.batch_size = batch_size
        self.gradient_steps = gradient_steps
        self.streams = Streams(seed)
        width = self.visits.observation.shape[1]
        self.buffer = ReplayBuffer(buffer_size, (width,), action_shape, np.int64, np.int64)
        self.round = 0
        self.rewards: list[float] = []

    @property
    def n_batches(self) -> int:
        """Batches of all rounds."""
        return -(-self.rounds // self.every) * self.gradient_steps

    def __len__(self) -> int:
        return EPOCH_ROUNDS * self.gradient_steps

    def _collect(self) -> None:
        draw = self.streams.numpy("round", self.round)
        self.visits.begin(draw)
        before = self.visits.observation
        lists = self.player.lists(before, self.round / self.rounds, draw)
        liked = self.visits.step(lists, draw)
        actions, rewards = self.player.learned(before, lists, liked, self.visits)
        times = len(actions) // len(before)
        after = self.visits.observation
        # The horizon cuts a session off without ending it: nothing terminates.
        self.buffer.extend(
            np.repeat(before, times, axis=0), actions, rewards, np.repeat(after, times, axis=0), np.zeros(len(actions))
        )
        self.rewards.append(float(self.visits.simulator.reward(liked).mean()))
        self.round += 1

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of :data:`EPOCH_ROUNDS` updates."""
        if world > 1:
            raise CapabilityError("Simulated sessions are played in one process; run with --devices 1.")
        for index in range(start, len(self)):
            if index % self.gradient_steps == 0:
                for _ in range(self.every):
                    self._collect()
            number = epoch * len(self) + index
            rows = self.buffer.sample(self.batch_size, self.streams.numpy("replay", number))
            fields: dict[str, Any] = {name: torch.from_numpy(values) for name, values in rows.items()}
            fields |= {"target_due": True, "recent_return": float(np.mean(self.rewards[-EPOCH_ROUNDS:]))}
            yield Batch(fields, Place(self.streams.seed, epoch, index, self.batch_size, 0))

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {
            "round": self.round,
            "rewards": np.array(self.rewards, dtype=np.float64),
            "buffer": self.buffer.get_state(),
            "visits": self.visits.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        self.round, self.rewards = int(state["round"]), [float(v) for v in state["rewards"]]
        self.buffer.set_state(state["buffer"])
        self.visits.set_state(state["visits"])


class ReplayLearner(Learner):
    """A learner whose checkpoints hold the rollout that it is trained on, so that a resumed one plays on."""

    def __init__(self) -> None:
        super().__init__()
        self.rollout: Rollout | None = None

    def extra_state(self) -> dict[str, Any]:
        return {} if self.rollout is None else self.rollout.get_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.rollout is not None and state:
            self.rollout.set_state(state)
