"""An agent: learns in its default environment; the return of its episodes before, while and after."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..context import Context
from ..parts import model_params

SLOT = "model"
STOCK: dict[str, Any] = {}
QUICK: dict[str, Any] = {"experiment": {"total_steps": 300, "episodes": 3}}
SESSION = True


def run(context: Context) -> None:
    """Learn for the steps asked, evaluate, draw the curve of returns."""
    from fivefold.base.errors import SpecError

    from ..tabular import build

    environment = context.knob("environment", context.spec.data.name)
    if environment is None:
        raise SpecError(f"{context.card.id!r} names no environment; give experiment.environment, such as CartPole-v1.")
    params = {"env": environment, **model_params(context.spec)}
    card = context.card
    variant = card.variant(context.spec.model.variant if context.spec.model else None)
    agent = build(card, variant, params, context.spec.seed)
    steps, episodes = int(context.knob("total_steps", 20_000)), int(context.knob("episodes", 20))
    with context.timed("learn"):
        agent.learn(total_steps=steps)
    context.model = agent
    with context.timed("evaluate"):
        result = agent.evaluate(episodes=episodes, seed=context.spec.seed + 1)
    returns = np.asarray(result.returns, dtype=float)
    context.metrics["mean return"] = float(returns.mean())
    context.metrics["deviation of the return"] = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    context.metrics["steps learned"] = float(steps)
    context.notes.append(f"{episodes} episodes of {environment} after {steps:,} steps, acting greedily.")
    _draw(context, agent, returns)


def _draw(context: Context, agent: Any, returns: np.ndarray) -> None:
    from ._plots import curves

    learned = np.asarray(getattr(agent, "episode_returns_", []), dtype=float)
    if len(learned) >= 2:
        width = max(1, len(learned) // 50)
        smooth = np.convolve(learned, np.ones(width) / width, mode="valid")
        series = {"each episode": (range(1, len(learned) + 1), learned.tolist())}
        if width > 1:
            series[f"mean of {width}"] = (range(width, len(learned) + 1), smooth.tolist())
        curves(context, "returns", series, x="episode while learning", y="return")
    series = {"greedy": (range(1, len(returns) + 1), returns.tolist())}
    curves(context, "evaluation", series, x="episode after learning", y="return")
