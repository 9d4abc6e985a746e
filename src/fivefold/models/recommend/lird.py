"""List-wise recommendation by an actor that weighs items and a critic that values whole lists (Zhao et al. 2017)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.checks import real
from fivefold.base.random import Streams
from fivefold.data.batches import Batch
from fivefold.engine.learner import PartSpec, Step, Steps
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer
from fivefold.models.nn.perceptron import Perceptron

from ._rollouts import ReplayLearner
from ._simulator import Visits
from ._states import SimulatedRecommender
from ._top import merged_ranks

LEAST_LENGTH = 0.1
"""Shorter weight vectors are not stretched to length 1 but divided by this, or their gradient would have no bound."""

_USERS = 256  # any value: users whose lists are made together


def pick_lists(scores: Tensor, taken: Tensor) -> Tensor:
    r"""Return lists (b, K) of places of items: :math:`a_k = \arg\max_{i \notin \{a_1 \dots a_{k-1}\}} w_k^T e_i`.

    ``scores`` has shape (b, K, n_items), ``taken`` (b, n_items) marks items that no place may get. The first of equals wins.
    """
    return left_scores(scores, taken).argmax(dim=2)


def left_scores(scores: Tensor, taken: Tensor) -> Tensor:
    """Return the scores with minus infinity for what is taken, or stands at an earlier place, (b, K, n_items)."""
    left = scores.masked_fill(taken.unsqueeze(1), -torch.inf)
    for place in range(scores.shape[1] - 1):
        best = left[:, place].argmax(dim=1)[:, None, None].expand(-1, scores.shape[1] - place - 1, 1)
        left[:, place + 1 :].scatter_(2, best, -torch.inf)
    return left


class ListActorCritic(ReplayLearner):
    r"""Deep deterministic policy gradient over lists.

    The critic regresses on :math:`y = r + \gamma\, Q'(s', a'(s'))`, the actor climbs :math:`Q(s, \tilde a(s))`, and both
    targets follow by :math:`\theta' \leftarrow \tau\theta + (1 - \tau)\theta'` after every batch.
    """

    defaults: ClassVar[dict[str, PartSpec]] = {"critic": PartSpec(), "actor": PartSpec()}

    def __init__(
        self,
        vectors: np.ndarray,
        n_state: int,
        list_size: int,
        hidden: Sequence[int],
        gamma: float,
        tau: float,
        temperature: float,
    ) -> None:
        super().__init__()
        items, dim = vectors.shape
        self.n_state, self.list_size = n_state, list_size
        self.gamma, self.tau, self.temperature = gamma, tau, temperature
        self.vectors: Tensor
        padded = np.concatenate([vectors, np.zeros((1, dim))]).astype(np.float32)
        self.register_buffer("vectors", torch.from_numpy(padded))  # (n_items + 1, d), the last row for the item -1
        self.actor = Perceptron((n_state * dim, *hidden, list_size * dim), "relu")
        self.critic = Perceptron(((n_state + list_size) * dim, *hidden, 1), "relu")
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)

    def parts(self) -> dict[str, Any]:
        return {"critic": self.critic.parameters(), "actor": self.actor.parameters()}

    def embed(self, codes: Tensor) -> Tensor:
        """Return the concatenated vectors of items (b, n), shape (b, n d)."""
        return self.vectors[codes].flatten(1)

    def weights(self, actor: nn.Module, observations: Tensor) -> Tensor:
        """Return the weight vector of each place, at length 1 or, where it is very short, less, (b, K, d)."""
        w = actor(self.embed(observations[:, : self.n_state]))
        return nn.functional.normalize(w.unflatten(1, (self.list_size, -1)), dim=2, eps=LEAST_LENGTH)

    def scores(self, weights: Tensor) -> Tensor:
        r"""Return :math:`w_k^T e_i`, shape (b, K, n_items)."""
        return weights @ self.vectors[:-1].T

    def taken(self, observations: Tensor) -> Tensor:
        """Return which items stand in the observations, (b, n_items)."""
        found = torch.zeros(len(observations), len(self.vectors), dtype=torch.bool, device=observations.device)
        return found.scatter(1, observations % len(self.vectors), True)[:, :-1]

    def value(self, critic: nn.Module, observations: Tensor, lists: Tensor) -> Tensor:
        """Return Q(s, a) of embedded lists (b, K d), shape (b,)."""
        return critic(torch.cat([self.embed(observations[:, : self.n_state]), lists], dim=1)).squeeze(1)

    def relaxed(self, scores: Tensor, taken: Tensor) -> Tensor:
        r"""Return the embedded list (b, K d), exact forward, with the gradient of a softmax over the items left at a place."""
        left = left_scores(scores, taken)
        lists = left.detach().argmax(dim=2)
        share = (left / self.temperature).softmax(dim=2)  # (b, K, n_items)
        soft = share @ self.vectors[:-1]  # (b, K, d)
        return (self.vectors[lists] + soft - soft.detach()).flatten(1)

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        r"""Return :math:`y = r + \gamma (1 - \text{terminated})\, Q'(s', a')` with the list of the target actor, (b,)."""
        after = batch.next_observation
        lists = pick_lists(self.scores(self.weights(self.target_actor, after)), self.taken(after))
        future = self.value(self.target_critic, after, self.embed(lists))
        return batch.reward + self.gamma * (1 - batch.terminated) * future

    def steps(self, batch: Batch) -> Steps:
        y = self.targets(batch)
        q = self.value(self.critic, batch.observation, self.embed(batch.action))
        yield Step("critic", nn.functional.mse_loss(q, y), {"q": q.detach().mean(), "reward": batch.recent_return})
        scores = self.scores(self.weights(self.actor, batch.observation))
        lists = self.relaxed(scores, self.taken(batch.observation))
        yield Step("actor", -self.value(self.critic, batch.observation, lists).mean())
        self.follow()

    @torch.no_grad()
    def follow(self) -> None:
        """Move both targets a share tau of the way."""
        for target, source in ((self.target_actor, self.actor), (self.target_critic, self.critic)):
            for mine, theirs in zip(target.parameters(), source.parameters()):
                mine.lerp_(theirs, self.tau)


class ListPlayer:
    """Plays the actor's lists with noise on the weights, which fades; remembers a round as its lists."""

    def __init__(self, learner: ListActorCritic, noise: float) -> None:
        self.learner = learner
        self.noise = noise

    @torch.no_grad()
    def lists(self, observations: np.ndarray, progress: float, generator: np.random.Generator) -> np.ndarray:
        """Return lists (b, K) of :math:`w + \\sigma_t \\xi / \\sqrt d`, with :math:`\\sigma_t` falling linearly to 0."""
        rows = torch.from_numpy(observations)
        w = self.learner.weights(self.learner.actor, rows)
        size = self.noise * (1.0 - progress) / np.sqrt(w.shape[2])
        w = w + torch.from_numpy((size * generator.standard_normal(w.shape)).astype(np.float32))
        return pick_lists(self.learner.scores(w), self.learner.taken(rows)).numpy()

    def learned(
        self, observations: np.ndarray, lists: np.ndarray, liked: np.ndarray, visits: Visits
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the lists and their rewards."""
        return lists, visits.simulator.reward(liked)


class LIRD(SimulatedRecommender):
    r"""An actor gives a weight vector for every place of a list, a critic says what the whole list is worth.

    .. math:: w_1, \dots, w_K = f_{\theta}(s), \qquad a_k = \arg\max_{i \notin \{a_1 \dots a_{k-1}\}} w_k^T e_i

    .. math:: L(\mu) = E\big[(r + \gamma\, Q_{\mu'}(s', a'(s')) - Q_\mu(s, a))^2\big], \qquad
              \nabla_\theta J = E\big[\nabla_{a} Q_\mu(s, a)\big|_{a = \tilde a(s)}\, \nabla_\theta \tilde a_\theta(s)\big]

    with s the vectors of the last N liked items and :math:`r = \sum_k \Gamma^{k-1} u_k` of a list whose items are liked or not,
    :math:`u_k \in \{0, 1\}`. It is trained in a simulator that is made from the table
    (:class:`~fivefold.models.recommend._simulator.UserSimulator`).

    Parameters
    ----------
    noise : float >= 0, default 1.0
        Length of the noise on a weight vector, which has length 1; it falls linearly to 0.
    temperature : float > 0, default 0.1
        Of the softmax that carries the actor's gradient.
    actor_learning_rate, critic_learning_rate : float > 0, default 1e-3 and 3e-3
        Of Adam.
    list_size, n_state, hidden_sizes and others
        As of the base :class:`~fivefold.models.recommend._states.SimulatedRecommender`; lists are kept for replay.

    Attributes
    ----------
    learner_ : ListActorCritic
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
    The paper puts the weights w into the critic where it has learned from item vectors; here :math:`\tilde a` is the list
    itself, and the gradient passes the arg max as if it were a softmax (straight-through). Only the direction of w matters for
    the list, so w has length 1. ``recommend`` goes on after the K-th place with :math:`w_1, w_2, \dots` again, leaves what the
    user met to the end, and scores by 1 / place; ``predict`` gives the same number.

    References
    ----------
    Zhao, Zhang, Xia, Ding, Yin & Tang 2017, "Deep reinforcement learning for list-wise recommendations". Spec: ``04#lird``.
    """

    def __init__(
        self,
        *,
        noise: float = 1.0,
        temperature: float = 0.1,
        actor_learning_rate: float = 1e-3,
        critic_learning_rate: float = 3e-3,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.noise = noise
        self.temperature = temperature
        self.actor_learning_rate = actor_learning_rate
        self.critic_learning_rate = critic_learning_rate

    def _check_params(self) -> None:
        super()._check_params()
        real("noise", self.noise, low=0.0)
        real("temperature", self.temperature, low=0.0, above=True)
        for name in ("actor_learning_rate", "critic_learning_rate"):
            real(name, getattr(self, name), low=0.0, above=True)

    def _build(self) -> ListActorCritic:
        with seeded(Streams(self.seed_), "networks"):
            return ListActorCritic(
                self.item_factors_,
                self.n_state,
                self.list_size,
                tuple(self.hidden_sizes),
                self.gamma,
                self.tau,
                self.temperature,
            )

    def _train(self) -> None:
        self.learner_ = self._build()
        rollout = self.rollout(ListPlayer(self.learner_, self.noise), (self.list_size,))
        self.learner_.rollout = rollout
        parts = {
            "actor": PartSpec(options={"lr": self.actor_learning_rate}),
            "critic": PartSpec(options={"lr": self.critic_learning_rate}),
        }
        Trainer(
            max_batches=rollout.n_batches, parts=parts, seed=Streams(self.seed_).integer("trainer"), device="cpu"
        ).fit(self.learner_, rollout)
        self.learner_.rollout = None
        self.learner_.eval()
        self.rewards_ = np.array(rollout.rewards)

    @torch.no_grad()
    def lists(self, observations: np.ndarray, number: int = 0) -> np.ndarray:
        """Return the actor's lists (b, K) for observations of the simulator (b, N + …), by places in ``items_``."""
        rows = torch.from_numpy(observations)
        learner = self.learner_
        return pick_lists(learner.scores(learner.weights(learner.actor, rows)), learner.taken(rows)).numpy()

    @torch.no_grad()
    def _ranked(self, states: np.ndarray, met: np.ndarray) -> np.ndarray:
        """Return 1 / place of every item, (b, n_items), what was ``met`` after all others."""
        out = np.empty(met.shape)
        for first in range(0, len(states), _USERS):
            part = slice(first, first + _USERS)
            weights = self.learner_.weights(self.learner_.actor, torch.from_numpy(states[part]))
            order = self.learner_.scores(weights).argsort(dim=2, descending=True, stable=True).numpy()
            out[part] = 1.0 / merged_ranks(order, met[part])
        return out
