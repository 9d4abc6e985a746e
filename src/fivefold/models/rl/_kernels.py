"""Compiled loops of the tabular agents."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit


@njit
def epsilon_at(step: int, initial: float, final: float, steps: int) -> float:
    """Return the share of random actions at a step: linear from ``initial`` to ``final`` over ``steps``."""
    if step >= steps:
        return float(final)
    return float(initial + (final - initial) * step / steps)


@njit
def choose(values: np.ndarray, epsilon: float, explore: float, pick: float) -> int:
    """Return an ε-greedy action for action values (A,); ``explore`` and ``pick`` are uniform in [0, 1).

    Ties are broken at random: a table of zeros would otherwise repeat action 0 and never see a reward.
    """
    n = int(values.shape[0])
    if explore < epsilon:
        return min(int(pick * n), n - 1)
    best = values.max()
    ties = 0
    for a in range(n):
        if values[a] == best:
            ties += 1
    wanted = min(int(pick * ties), ties - 1)
    for a in range(n):
        if values[a] == best:
            if wanted == 0:
                return a
            wanted -= 1
    return 0


@njit
def update(
    q: np.ndarray,
    visits: np.ndarray,
    state: int,
    action: int,
    reward: float,
    after: int,
    terminated: bool,
    gamma: float,
    learning_rate: float,
    power: float,
) -> None:
    """Q(s, a) += α [r + γ max Q(s', ·) - Q(s, a)] in place, with Q = 0 behind the end of an episode."""
    visits[state, action] += 1
    rate = learning_rate
    if power > 0.0:
        rate = learning_rate / visits[state, action] ** power
    target = reward
    if not terminated:
        target += gamma * q[after].max()
    q[state, action] += rate * (target - q[state, action])


@njit
def draw(cumulative: np.ndarray, uniform: float) -> int:
    """Return the first index whose cumulative probability (m,) exceeds ``uniform``."""
    last = int(cumulative.shape[0]) - 1
    for i in range(last):
        if uniform < cumulative[i]:
            return i
    return last


@njit
def learn_from_model(
    q: np.ndarray,  # (S, A), changed in place
    visits: np.ndarray,  # (S, A), changed in place
    cumulative: np.ndarray,  # (S, A, m)
    next_state: np.ndarray,  # (S, A, m)
    rewards: np.ndarray,  # (S, A, m)
    terminal: np.ndarray,  # (S, A, m)
    start: np.ndarray,  # (S,) cumulative
    limit: int,
    uniforms: np.ndarray,  # (steps, 4): explore?, which action, which outcome, which first state
    first_step: int,
    epsilon_initial: float,
    epsilon_final: float,
    epsilon_steps: int,
    learning_rate: float,
    power: float,
    gamma: float,
    state: int,
    length: int,
    gained: float,
) -> tuple[int, int, float, np.ndarray, np.ndarray, np.ndarray]:
    """Play and learn ``len(uniforms)`` steps; return the open episode and the finished ones."""
    steps = uniforms.shape[0]
    returns, lengths, cut = np.empty(steps), np.empty(steps, np.int64), np.empty(steps, np.bool_)
    episodes = 0
    for i in range(steps):
        epsilon = epsilon_at(first_step + i, epsilon_initial, epsilon_final, epsilon_steps)
        action = choose(q[state], epsilon, uniforms[i, 0], uniforms[i, 1])
        outcome = draw(cumulative[state, action], uniforms[i, 2])
        after = next_state[state, action, outcome]
        reward = rewards[state, action, outcome]
        terminated = terminal[state, action, outcome]
        update(q, visits, state, action, reward, after, terminated, gamma, learning_rate, power)
        length += 1
        gained += reward
        truncated = limit > 0 and length >= limit
        state = after
        if terminated or truncated:
            returns[episodes], lengths[episodes], cut[episodes] = gained, length, not terminated
            episodes += 1
            state, length, gained = draw(start, uniforms[i, 3]), 0, 0.0
    return state, length, gained, returns[:episodes], lengths[:episodes], cut[:episodes]
