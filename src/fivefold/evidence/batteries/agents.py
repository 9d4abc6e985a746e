"""Agents: learn, act and evaluate; same seed; saving; a step count that is kept."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base import codec
from fivefold.base.cards import Card
from fivefold.workbench.proof import Check

from .estimators import make

STEPS = 300


def _environment(card: Card) -> str:
    return str(card.experiment["environment"])


def _trained(card: Card, variant: str, seed: int = 0) -> Any:
    agent = make(card, variant, random_state=seed, env=_environment(card))
    agent.learn(total_steps=STEPS)
    return agent


def _actions(agent: Any, card: Card) -> list[Any]:
    import gymnasium

    env = gymnasium.make(_environment(card))
    observation, _ = env.reset(seed=5)
    actions = []
    for _ in range(20):
        action = agent.act(observation, deterministic=True)
        if not env.action_space.contains(action):
            raise ValueError(f"the action {action!r} is not in {env.action_space}")
        actions.append(action)
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
    env.close()
    return actions


def same_seed(card: Card, variant: str) -> Check:
    """The same seed gives the same agent."""
    first, second = (_actions(_trained(card, variant), card) for _ in range(2))
    return Check(sum(a != b for a, b in zip(first, second)), 0, "actions that differ", "itself, trained again")


def saved(card: Card, variant: str) -> Check:
    """A saved and loaded agent acts the same."""
    agent = _trained(card, variant)
    with tempfile.TemporaryDirectory() as folder:
        codec.save(agent, Path(folder) / "agent")
        again = codec.load(Path(folder) / "agent")
    first, second = _actions(agent, card), _actions(again, card)
    return Check(sum(a != b for a, b in zip(first, second)), 0, "actions that differ", "the agent before saving")


def evaluates(card: Card, variant: str) -> Check:
    """Evaluation gives one finite return an episode and leaves the agent as it was."""
    agent = _trained(card, variant)
    before = _actions(agent, card)
    result = agent.evaluate(episodes=3, seed=1)
    returns = np.asarray(result.returns, dtype=float)
    wrong = int(returns.shape != (3,)) + int(np.sum(~np.isfinite(returns)))
    wrong += int(before != _actions(agent, card))
    return Check(wrong, 0, "violations", "the contract of agents")


AGENT = {"same-seed": same_seed, "saved": saved, "evaluates": evaluates}
