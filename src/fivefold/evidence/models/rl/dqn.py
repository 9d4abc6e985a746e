"""DQN: targets by hand, replay, the order of the algorithm, values of a small chain and CartPole."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from fivefold.data.batches import Batch, Place
from fivefold.evidence import Check, evidence, fault, largest
from fivefold.models.rl import DQN
from fivefold.models.rl.dqn import DQNLearner, td_target
from fivefold.models.rl.networks import FrameNetwork
from fivefold.models.rl.replay import ReplayBuffer


class Chain(gymnasium.Env[np.ndarray, int]):
    """Five cells in a row, seen as one-hot vectors: right at the end pays 1 and terminates, left at the start pays 0.1.

    An episode is cut off after twelve steps, which does not end the task.
    """

    observation_space = Box(0, 1, (5,), np.float32)
    action_space = Discrete(2)

    def _see(self) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[self.cell]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell, self.age = int(self.np_random.integers(5)), 0
        return self._see(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.age += 1
        if action == 1 and self.cell == 4:
            return self._see(), 1.0, True, False, {}
        reward = 0.1 if action == 0 and self.cell == 0 else 0.0
        self.cell = min(self.cell + 1, 4) if action == 1 else max(self.cell - 1, 0)
        return self._see(), reward, False, self.age >= 12, {}


def chain_values(gamma: float) -> np.ndarray:
    """Return Q* of the chain by value iteration, shape (5, 2)."""
    q = np.zeros((5, 2))
    for _ in range(2000):
        v = q.max(axis=1)
        left = np.array([0.1, 0, 0, 0, 0]) + gamma * v[[0, 0, 1, 2, 3]]
        right = np.append(gamma * v[1:], 1.0)
        q = np.column_stack([left, right])
    return q


@evidence("dqn", claim="The target is r + gamma max Q, and r alone after a termination", against="computed by hand")
def targets() -> Check:
    values = torch.tensor([[1.0, 3.0], [2.0, -1.0], [5.0, 6.0]])
    found = td_target(torch.tensor([0.5, 1.0, -1.0]), torch.tensor([0.0, 0.0, 1.0]), values, 0.9)
    return Check(float((found - torch.tensor([3.2, 2.8, -1.0])).abs().max()), 1e-6, "max difference", "3.2, 2.8, -1")


def _learner(loss: str = "squared", tau: float = 1.0) -> DQNLearner:
    network = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    return DQNLearner(network, gamma=0.5, tau=tau, target_update_interval=4, loss=loss)


def _batch(due: bool = False) -> Batch:
    fields = {
        "observation": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        "action": torch.tensor([0, 1]),
        "reward": torch.tensor([1.0, 0.0]),
        "next_observation": torch.tensor([[0.0, 1.0], [1.0, 1.0]]),
        "terminated": torch.tensor([0.0, 1.0]),
    }
    return Batch({**fields, "target_due": due, "recent_return": 0.0, "environment_steps": 1}, Place(0, 0, 0, 2, 0))


@evidence("dqn", claim="Loss and gradient are those of the squared error to a fixed target", against="computed by hand")
def loss_by_hand() -> Check:
    # Q(s, a) = 1 and 2; targets 1 + 0.5 * 2 = 2 and 0 (terminal); errors -1 and 2.
    learner = _learner()
    loss = next(learner.steps(_batch())).loss
    loss.backward()
    expected = torch.tensor([[-1.0, 0.0], [0.0, 2.0]])  # 2/2 * error * observation
    huber = next(_learner("huber").steps(_batch())).loss
    error = abs(float(loss.detach()) - 2.5) + float((learner.network.weight.grad - expected).abs().max())
    return Check(error + abs(float(huber.detach()) - (0.5 + 1.5) / 2), 1e-6, "difference", "2.5, (-1, 2) and 1.0")


@evidence(
    "dqn",
    claim="The target moves by tau when it is due, before the batch is used, and not otherwise",
    against="the formula",
)
def target_moves() -> Check:
    learner = _learner(tau=0.25)
    with torch.no_grad():
        learner.network.weight.add_(4.0)
    before = learner.target.weight.clone()
    next(learner.steps(_batch(due=False)))
    still = float((learner.target.weight - before).abs().max())
    next(learner.steps(_batch(due=True)))
    moved = float((learner.target.weight - (before + 1.0)).abs().max())
    trainable = sum(p.requires_grad for p in learner.target.parameters())
    return Check(still + moved + trainable, 1e-6, "difference", "0.25 new + 0.75 old")


@evidence(
    "dqn",
    claim="The replay ring keeps the last transitions and samples all of them equally often",
    against="the binomial law",
)
def replay() -> Check:
    buffer = ReplayBuffer(5, (1,))
    for i in range(13):
        buffer.add(np.array([i]), i % 2, float(i), np.array([i + 1]), i == 12)
    drawn = buffer.sample(50_000, np.random.default_rng(0))
    counts = np.bincount(drawn["reward"].astype(int), minlength=13)
    wrong = int(counts[:8].sum()) + fault(len(buffer) != 5)
    wrong += fault(np.any(drawn["next_observation"][:, 0] != drawn["observation"][:, 0] + 1))
    wrong += fault(np.any((drawn["terminated"] == 1) != (drawn["reward"] == 12)))
    off = np.abs(counts[8:] - 10_000).max() / np.sqrt(50_000 * 0.2 * 0.8)
    return Check(wrong * 100 + float(off), 5.0, "standard deviations", "uniform")


@evidence(
    "dqn",
    claim="On a chain with a time limit the values are Q*, cut-off episodes bootstrapped",
    against="value iteration",
)
def chain() -> Check:
    agent = DQN(
        Chain, hidden_layer_sizes=(), learning_rate=0.02, gamma=0.9, learning_starts=200, train_freq=2, batch_size=64,
        target_update_interval=20, exploration_final_eps=1.0, random_state=0, loss="squared",
    ).learn(2500)  # fmt: skip
    with torch.no_grad():
        found = agent.learner_.network(torch.eye(5)).numpy()
    # A time limit taken for an end would lower the left values by more than 0.2.
    return Check(float(np.abs(found - chain_values(0.9)).max()), 0.05, "max |Q - Q*|", "value iteration")


@evidence(
    "dqn",
    claim="Exploration falls linearly from 1 to 0.05 over 10,000 steps, all random before learning starts",
    against="the formula",
)
def exploration() -> Check:
    agent = DQN()
    error = largest(abs(agent.epsilon(t) - e) for t, e in ((0, 1.0), (5000, 0.525), (10_000, 0.05), (50_000, 0.05)))
    still = DQN(Chain, exploration_steps=0, exploration_initial_eps=0, exploration_final_eps=0, learning_starts=2000,
                hidden_layer_sizes=(), random_state=0).learn(2000)  # fmt: skip
    # 2,000 uniform actions: the shares of both in the buffer.
    share = abs(float(np.mean(still._replay["buffer"]["arrays"]["action"])) - 0.5)
    return Check(error * 100 + share, 5 * 0.5 / 2000**0.5, "difference", "linear; one half")


@evidence("dqn", claim="Updates and target copies come as often as the parameters say", against="counting")
def counting() -> Check:
    from fivefold.engine.trainer import Trainer

    seen: dict[str, list[int]] = {}
    original = Trainer.fit

    def spy(self: Any, learner: Any, batches: Any, *rest: Any, **more: Any) -> Any:
        moves: list[int] = []
        follow = learner.follow
        learner.follow = lambda: (moves.append(batches.n_steps), follow())
        history = original(self, learner, batches, *rest, **more)
        seen["counts"] = [history.counters["q"], history.counters["environment_steps"], len(moves)]
        return history

    Trainer.fit = spy  # type: ignore[method-assign]
    try:
        DQN(Chain, hidden_layer_sizes=(), learning_starts=100, train_freq=5, gradient_steps=3,
            target_update_interval=50, random_state=0).learn(1000)  # fmt: skip
    finally:
        Trainer.fit = original  # type: ignore[method-assign]
    # After step 100 there are 180 blocks of 5 steps with 3 updates each, and 1000/50 copies.
    return Check(int(seen["counts"] != [540, 1000, 20]), 0, f"wrong counts {seen['counts']}", "540, 1000, 20")


@evidence(
    "dqn",
    claim="Frames go through the convolutions of the Nature paper: 64 x 7 x 7 maps, 1,685,154 weights for 2 actions",
    against="counted by hand",
)
def frames() -> Check:
    network = FrameNetwork((4, 84, 84), 2)
    weights = 4 * 32 * 64 + 32 + 32 * 64 * 16 + 64 + 64 * 64 * 9 + 64 + 64 * 49 * 512 + 512 + 512 * 2 + 2
    x = torch.full((1, 4, 84, 84), 255, dtype=torch.uint8)
    same = network(x) - network.head(network.maps(torch.ones(1, 4, 84, 84)))
    wrong = abs(sum(p.numel() for p in network.parameters()) - weights)
    return Check(wrong + float(same.detach().abs().max()), 1e-6, "difference", "the paper's table")


@evidence(
    "dqn",
    claim="CartPole is solved within the 50,000 steps that SB3's zoo gives DQN, in the median of three seeds",
    against="return 475 of 500",
    slow=True,
)
def cartpole() -> Check:
    from fivefold.base.cards import get_card

    returns = []
    for seed in range(3):
        agent = DQN("CartPole-v1", random_state=seed, **get_card("dqn").defaults).learn(50_000)
        returns.append(agent.evaluate(20, seed=1).mean)
    return Check(float(np.median(returns)), 475.0, "mean return", "Gymnasium's threshold", at_least=True)
