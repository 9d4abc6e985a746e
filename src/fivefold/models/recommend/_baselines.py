"""What policies over lists are compared with in a simulator: chance, popularity, a deep Q-network of single items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.random import Streams
from fivefold.engine.learner import PartSpec
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer
from fivefold.models.nn.perceptron import Perceptron
from fivefold.models.rl.dqn import DQNLearner

from ._rollouts import CLIP_NORM
from ._simulator import Policy, Record, Visits

if TYPE_CHECKING:
    from ._states import SimulatedRecommender

EXPLORATION = 0.1
"""Share of random items in the lists that the deep Q-network learns from, after its first fifth of the rounds."""

RATE, FOLLOW, EVERY = 1e-3, 0.01, 1
"""Adam's rate for the deep Q-network, the share of it that goes into its target, and after how many batches."""


def best_left(scores: np.ndarray, gone: np.ndarray, size: int) -> np.ndarray:
    """Return the ``size`` items of largest score (b, n_items) that are not ``gone`` (b, n_items), (b, size), best first."""
    left = np.where(gone, -np.inf, scores)
    return np.argsort(-left, axis=1, kind="stable")[:, :size]


def random_lists(model: SimulatedRecommender, seed: int) -> Policy:
    """Return a policy that draws every list from the items not shown yet."""

    def policy(observations: np.ndarray, number: int) -> np.ndarray:
        draw = Streams(seed).numpy("random-lists", number)
        gone = model.blocked(observations)
        return best_left(draw.random(gone.shape), gone, model.list_size)

    return policy


def popular_lists(model: SimulatedRecommender) -> Policy:
    """Return a policy that shows the items most users met and the session has not shown."""

    def policy(observations: np.ndarray, number: int) -> np.ndarray:
        return best_left(model.counts_, model.blocked(observations), model.list_size)

    return policy


class StateNetwork(nn.Module):
    """A value of every item (b, n_items) from the vectors of the items of the state."""

    def __init__(self, vectors: np.ndarray, n_state: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        items, dim = vectors.shape
        self.n_state = n_state
        self.vectors: Tensor
        padded = np.concatenate([vectors, np.zeros((1, dim))]).astype(np.float32)
        self.register_buffer("vectors", torch.from_numpy(padded))
        self.layers = Perceptron((n_state * dim, *hidden, items), "relu")

    def forward(self, observations: Tensor) -> Tensor:
        """Return the values of observations (b, N + …)."""
        return self.layers(self.vectors[observations[:, : self.n_state]].flatten(1))


class ItemPlayer:
    """Plays the items of largest value, some places at random; remembers a round item by item."""

    def __init__(self, network: nn.Module, model: SimulatedRecommender) -> None:
        self.network = network
        self.model = model

    def lists(self, observations: np.ndarray, progress: float, generator: np.random.Generator) -> np.ndarray:
        """Return lists (b, K); a random item stands at a place with a chance that falls from 1 to :data:`EXPLORATION`."""
        with torch.inference_mode():
            values = self.network(torch.from_numpy(observations)).numpy()
        share = max(EXPLORATION, 1.0 - (1.0 - EXPLORATION) * progress / 0.2)
        return mixed_lists(values, self.model.blocked(observations), self.model.list_size, share, generator)

    def learned(
        self, observations: np.ndarray, lists: np.ndarray, liked: np.ndarray, visits: Visits
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return every item and whether it was liked, (b K,)."""
        return lists.ravel(), liked.ravel().astype(np.float32)


def mixed_lists(
    values: np.ndarray, gone: np.ndarray, size: int, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Return the best lists (b, size) with each place given to a random item with probability ``share``, ``gone`` left out."""
    best = best_left(values, gone, size)
    gone = gone.copy()
    np.put_along_axis(gone, best, True, axis=1)
    other = best_left(generator.random(values.shape), gone, size)
    return np.where(generator.binomial(1, share, best.shape), other, best)


def deep_q_lists(model: SimulatedRecommender) -> Policy:
    """Return the lists of a deep Q-network that learned in the same simulator, for as many rounds, from single items."""
    streams = Streams(model.seed_).child("deep-q")
    with seeded(streams, "network"):
        network = StateNetwork(model.item_factors_, model.n_state, tuple(model.hidden_sizes))
    learner = DQNLearner(network, model.gamma, FOLLOW, EVERY, "huber")
    rollout = model.rollout(ItemPlayer(network, model), ())
    learner.player = rollout
    Trainer(
        max_batches=rollout.n_batches,
        parts={"q": PartSpec(options={"lr": RATE}, clip_norm=CLIP_NORM)},
        seed=streams.integer("trainer"),
        device="cpu",
    ).fit(learner, rollout)
    learner.player = None
    learner.eval()

    @torch.no_grad()
    def policy(observations: np.ndarray, number: int) -> np.ndarray:
        values = network(torch.from_numpy(observations)).numpy()
        return best_left(values, model.blocked(observations), model.list_size)

    return policy


def compare_policies(model: SimulatedRecommender, sessions: int, seed: int) -> dict[str, Record]:
    """Return sessions of the model and of each baseline by name, from equal first states."""
    policies = {
        "random": random_lists(model, seed),
        "popularity": popular_lists(model),
        "deep Q-network": deep_q_lists(model),
    }
    policies |= model.rivals()
    found = {type(model).__name__: model.simulate(sessions, seed=seed)}
    return found | {name: model.simulate(sessions, policy=policy, seed=seed) for name, policy in policies.items()}
