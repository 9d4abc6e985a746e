"""Q-learning: Q* by value iteration, updates by hand, time limits, two ways of simulating."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from fivefold.evidence import Check, evidence, fault


def value_iteration(mdp: Any, gamma: float) -> np.ndarray:
    """Return Q* (S, A) of a tabular MDP to 1e-12, by iterating Bellman's equation over all states."""
    value = np.zeros(mdp.shape[0])
    while True:
        behind = np.where(mdp.terminal, 0.0, value[mdp.next_state])
        q = (mdp.probability * (mdp.reward + gamma * behind)).sum(axis=2)
        if np.abs(q.max(axis=1) - value).max() < 1e-13:
            return q
        value = q.max(axis=1)


class _Corridor(gymnasium.Env[int, int]):
    """One room: every action earns ``reward(action, count)``; ends or is cut off after ``length`` steps."""

    def __init__(self, rewards: Any, length: int, ends: bool, actions: int = 1, offset: int = 0) -> None:
        self.observation_space = gymnasium.spaces.Discrete(length + 1, start=offset)
        self.action_space = gymnasium.spaces.Discrete(actions, start=offset)
        self.rewards, self.length, self.ends, self.offset, self.count = rewards, length, ends, offset, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 0
        return self.offset, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        reward = float(self.rewards(action - self.offset, self.count))
        self.place, self.count = self.place + 1, self.count + 1
        over = self.place == self.length
        return self.place + self.offset, reward, over and self.ends, over and not self.ends, {}


@evidence("q-learning", claim="On Taxi, α = 1 reaches Q* exactly; terminal states keep 0", against="value iteration")
def q_learning_taxi() -> Check:
    from fivefold.models.rl.mdp import TabularMDP
    from fivefold.models.rl.q_learning import QLearning

    agent = QLearning("Taxi-v4", gamma=0.95, learning_rate=1.0, exploration_final_eps=1.0, random_state=0)
    agent.learn(3_000_000)
    mdp = TabularMDP.from_env(gymnasium.make("Taxi-v4"))
    best = value_iteration(mdp, 0.95)
    seen = agent.visits_.sum(axis=1) > 0
    wrong = float(np.abs(agent.q_table_ - best)[seen].max())
    ends = np.unique(mdp.next_state[(mdp.probability > 0) & mdp.terminal & seen[:, None, None]])
    wrong += float(np.abs(agent.q_table_[ends]).max()) + float(agent.visits_[ends].sum())
    wrong += float(seen.sum() != 400)  # 404 reachable of 500, of which 4 end the episode
    wrong += float(agent.n_steps_ != agent.visits_.sum())
    # 3 million steps visit each of 2,400 pairs some hundred times; in order-free sweeps the error shrinks as .95ᵏ.
    return Check(wrong, 1e-9, "max |Q - Q*| where visited", "closed form")


@evidence(
    "q-learning",
    claim="On slippery FrozenLake, falling steps come within five deviations of Q*",
    against="value iteration",
)
def q_learning_frozen_lake() -> Check:
    from fivefold.models.rl.mdp import TabularMDP
    from fivefold.models.rl.q_learning import QLearning

    agent = QLearning(gamma=0.9, learning_rate=1.0, visit_power=0.8, exploration_final_eps=1.0, random_state=0)
    agent.learn(2_000_000)
    mdp = TabularMDP.from_env(gymnasium.make("FrozenLake-v1"))
    best = value_iteration(mdp, 0.9)
    target = mdp.reward + 0.9 * np.where(mdp.terminal, 0.0, best.max(axis=1)[mdp.next_state])
    spread = np.sqrt(np.maximum((mdp.probability * target**2).sum(axis=2) - best**2, 0.0)).max()
    seen = agent.visits_ > 0
    # Near Q* an entry averages its targets over 1/α visits, deviation √(α/2) σ; its successors' errors add a geometric series.
    rate = 1.0 / agent.visits_[seen].min() ** 0.8
    wrong = np.abs(agent.q_table_ - best)[seen].max() / (np.sqrt(rate / 2) * spread / (1 - 0.9))
    holes = [5, 7, 11, 12, 15]
    wrong += float(np.abs(agent.q_table_[holes]).max()) + fault((~seen).sum() != 4 * len(holes))
    return Check(float(wrong), 5.0, "deviations", "stochastic approximation")


@evidence(
    "q-learning",
    claim="On the cliff it learns the shortest path along the edge: return -13",
    against="Sutton & Barto 2018, example 6.6",
)
def q_learning_cliff() -> Check:
    from fivefold.models.rl.q_learning import QLearning

    agent = QLearning(
        "CliffWalking-v1",
        gamma=1.0,
        learning_rate=0.5,
        exploration_initial_eps=0.1,
        exploration_final_eps=0.1,
        random_state=0,
    )
    stats = agent.learn(50_000).evaluate(5)
    wrong = float(np.abs(stats.returns + 13).max()) + float(np.abs(stats.lengths - 13).max())
    # Learning costs: exploring beside the cliff, its online return lies well below the path's.
    wrong += float(not -120 < agent.episode_returns_[-300:].mean() < -25)
    wrong += float(np.abs(agent.q_table_[[*range(37, 48)]]).max())
    return Check(wrong, 0.0, "deviations", "published")


@evidence("q-learning", claim="A time limit is bootstrapped, an end is not", against="r / (1 - γ) and the finite sum")
def q_learning_truncation() -> Check:
    from fivefold.models.rl.q_learning import QLearning

    # Cut off after one step in a room that leads to itself the value is r / (1 - γ).
    class Room(_Corridor):
        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
            _, reward, ended, cut, info = super().step(action)
            return 0, reward, ended, cut, info

    def learned(env: Any) -> np.ndarray:
        return QLearning(env, gamma=0.5, learning_rate=1.0, random_state=0).learn(120).q_table_

    wrong = abs(learned(Room(lambda a, n: 3.0, 1, ends=False))[0, 0] - 6.0)
    wrong += abs(learned(Room(lambda a, n: 3.0, 1, ends=True))[0, 0] - 3.0)
    ended = learned(_Corridor(lambda a, n: 1.0, 3, ends=True))[:, 0]
    wrong += float(np.abs(ended - [1.75, 1.5, 1.0, 0.0]).max())
    limited = gymnasium.wrappers.TimeLimit(Room(lambda a, n: 3.0, 50, ends=True), 4)
    wrong += abs(learned(limited)[0, 0] - 6.0)
    return Check(float(wrong), 1e-12, "sum of differences", "closed form")


@evidence("q-learning", claim="Steps, step sizes and visits equal the rule worked out by hand", against="arithmetic")
def q_learning_by_hand() -> Check:
    from fivefold.models.rl.q_learning import QLearning

    def reward(action: int, count: int) -> float:
        return [4.0, 1.0, -2.0, 7.0, 0.5][count % 5]

    def learn(steps: int, length: int = 1, **params: Any) -> Any:
        return QLearning(_Corridor(reward, length, ends=True, offset=3), random_state=0, **params).learn(steps)

    # With α = 1/N the value of a one-step episode is the mean reward.
    wrong = abs(learn(5, learning_rate=1.0, visit_power=1.0).q_table_[0, 0] - 2.1)
    value = 10.0
    for n, r in enumerate([4.0, 1.0, -2.0, 7.0, 0.5], start=1):
        value += 0.5 / n**0.6 * (r - value)
    wrong += abs(learn(5, learning_rate=0.5, visit_power=0.6, initial_value=10.0).q_table_[0, 0] - value)
    # Two rooms, α = .5, γ = .9: Q(s0) = 2, then Q(s1) = .5, then Q(s0) += .5 (-2 + .9·.5 - 2).
    two = learn(3, length=2, learning_rate=0.5, gamma=0.9)
    wrong += float(np.abs(two.q_table_[:, 0] - [2 + 0.5 * (-2 + 0.45 - 2), 0.5, 0.0]).max())
    wrong += float(two.visits_[:, 0].tolist() != [2, 1, 0]) + float(two.episode_returns_.tolist() != [5.0])
    wrong += float(two.act(3) != 3)  # actions of this space are numbered from 3 on
    default = QLearning()
    wrong += float(
        (default.gamma, default.learning_rate, default.visit_power, default.initial_value) != (0.99, 0.1, 0.0, 0.0)
    )
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


@evidence(
    "q-learning",
    claim="ε falls linearly, explores uniformly, and ties are broken at random",
    against="every case by hand",
)
def q_learning_exploration() -> Check:
    from fivefold.models.rl._kernels import choose, epsilon_at

    wrong = 0.0
    for step, expected in ((0, 1.0), (25, 0.775), (50, 0.55), (100, 0.1), (1000, 0.1)):
        wrong += abs(epsilon_at(step, 1.0, 0.1, 100) - expected)
    wrong += abs(epsilon_at(0, 1.0, 0.1, 0) - 0.1)
    values = np.array([1.0, 3.0, -2.0, 3.0])
    picks = (np.arange(8) + 0.5) / 8
    wrong += float([choose(values, 0.3, 0.29, p) for p in picks] != [0, 0, 1, 1, 2, 2, 3, 3])  # explores
    wrong += float([choose(values, 0.3, 0.3, p) for p in picks] != [1, 1, 1, 1, 3, 3, 3, 3])  # exploits
    wrong += float([choose(values, 0.0, 0.0, p) for p in picks] != [1, 1, 1, 1, 3, 3, 3, 3])
    wrong += float(choose(np.zeros(4), 0.0, 0.0, 1 - 1e-16) != 3)
    return Check(wrong, 1e-15, "sum of differences", "by hand")


@evidence(
    "q-learning", claim="The compiled table and the environment itself teach the same", against="gymnasium's own steps"
)
def q_learning_two_ways() -> Check:
    from fivefold.models.rl.q_learning import QLearning

    # The cliff is deterministic, so both ways must agree to the last bit.
    tables = []
    for simulation in ("model", "environment"):
        agent = QLearning(
            "CliffWalking-v1", learning_rate=0.3, exploration_steps=3000, simulation=simulation, random_state=4
        )
        agent.learn(6000)
        tables.append(agent)
    a, b = tables
    wrong = float(np.abs(a.q_table_ - b.q_table_).max()) + float(np.abs(a.visits_ - b.visits_).max())
    wrong += float(not np.array_equal(a.episode_returns_, b.episode_returns_))
    wrong += float(not np.array_equal(a.episode_lengths_, b.episode_lengths_))
    # The lake slips: outcomes of each pair must follow the table, and episodes are cut off at the environment's 100 steps.
    lake = QLearning(exploration_final_eps=1.0, simulation="model", random_state=0).learn(300_000)
    real = QLearning(exploration_final_eps=1.0, simulation="environment", random_state=0).learn(20_000)
    for stats in ("episode_lengths_", "episode_returns_"):
        one, other = getattr(lake, stats).astype(float), getattr(real, stats).astype(float)
        error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
        wrong += float(not abs(one.mean() - other.mean()) <= 5 * error)
    wrong += float(not lake.episode_lengths_.max() <= 100)
    return Check(wrong, 0.0, "differences", "the environment")


@evidence(
    "q-learning",
    claim="Learning n and n equals learning 2n, saved and loaded in between",
    against="the uninterrupted agent",
)
def q_learning_resumes() -> Check:
    import tempfile
    from pathlib import Path

    import fivefold
    from fivefold.models.rl.q_learning import QLearning

    wrong = 0.0
    for simulation, steps in (("model", 70_001), ("environment", 1501)):
        whole = QLearning(simulation=simulation, random_state=3).learn(2 * steps)
        half = QLearning(simulation=simulation, random_state=3).learn(steps)
        with tempfile.TemporaryDirectory() as folder:
            half.save(Path(folder) / "agent")
            again = fivefold.load(Path(folder) / "agent").learn(steps)
        wrong += float(np.abs(whole.q_table_ - again.q_table_).max()) + abs(whole.n_steps_ - again.n_steps_)
        wrong += float(not np.array_equal(whole.episode_returns_, again.episode_returns_))
    return Check(wrong, 0.0, "differences", "the uninterrupted agent")


@evidence(
    "q-learning",
    claim="With the card's parameters the lake is solved: chance of the goal at least .70",
    against="Gymnasium's reward threshold",
)
def q_learning_solves() -> Check:
    from fivefold.base.cards import get_card
    from fivefold.models.rl.mdp import TabularMDP
    from fivefold.models.rl.q_learning import QLearning

    card = get_card("q-learning")
    agent = QLearning(**card.defaults, random_state=0).learn(int(card.experiment["total_steps"]))
    mdp = TabularMDP.from_env(gymnasium.make("FrozenLake-v1"))
    states = np.arange(mdp.shape[0])
    policy = np.array([agent.act(s) for s in states])
    chance = np.zeros(len(states))  # of reaching the goal within the steps left
    for _ in range(mdp.limit):
        behind = np.where(mdp.terminal, 0.0, chance[mdp.next_state])
        chance = (mdp.probability * (mdp.reward + behind)).sum(axis=2)[states, policy]
    return Check(float(mdp.start @ chance), 0.70, "exact probability of the goal", "published threshold", at_least=True)
