"""Policies of slates played against users whose model was learned from logs that no policy saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch

from fivefold.base.errors import DataError

from ..context import Context

HELD_OUT = 0.2
"""Of the users, how many the policies never meet in learning: the users of the sessions."""

Policy = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(histories (n, m), allowed items (n, n_items), step) -> slates (n, k), all in codes of the world."""


def play(world: Any, policy: Policy, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards and whether something was chosen, (n_users, steps) each, in sessions with every user of ``world``.

    Sessions begin with the last choices of the user; what was chosen is not shown again. Equal seeds give users equal luck.
    """
    from fivefold.base.random import Streams
    from fivefold.models.recommend._cascade import Sessions

    none = len(world.items_)
    sessions = Sessions(world.users_model_, torch.from_numpy(world.windows_.copy()))
    rows = np.arange(len(world.users_))
    allowed = np.ones((len(rows), none + 1), dtype=bool)
    allowed[rows[:, None], world.windows_] = False
    rewards, taken = np.empty((len(rows), steps)), np.empty((len(rows), steps), dtype=bool)
    for step in range(steps):
        slates = policy(sessions.history.numpy(), allowed[:, :none].copy(), step)
        luck = torch.rand(len(rows), generator=Streams(seed).torch("luck", step))
        reward, _, chosen = sessions.show(torch.from_numpy(slates), luck)
        rewards[:, step], taken[:, step] = reward.numpy(), chosen.numpy() < none
        allowed[rows, chosen.numpy()] = False
    return rewards, taken


def best_of(scores: np.ndarray, allowed: np.ndarray, size: int) -> np.ndarray:
    """Return the ``size`` allowed items of the highest scores (n, size)."""
    return np.argsort(-np.where(allowed, scores, -np.inf), axis=1, kind="stable")[:, :size]


def policies_of(world: Any, model: Any, seed: int) -> dict[str, Policy]:
    """Return the cascade of ``model`` and what it is compared with, all choosing among items that both know."""
    from fivefold.base.random import Streams
    from fivefold.models.recommend._tables import codes_of

    size = int(model.slate_size)
    place = codes_of(model.items_, world.items_, "item")  # code of the model, of each item of the world
    shared = place >= 0
    theirs = np.append(np.where(shared, place, len(model.items_)), len(model.items_))
    back = np.full(len(model.items_), -1)
    back[place[shared]] = np.flatnonzero(shared)

    def cascade(history: np.ndarray, allowed: np.ndarray, step: int) -> np.ndarray:
        mine = np.zeros((len(history), len(model.items_)), dtype=bool)
        mine[:, place[shared]] = allowed[:, shared]
        return back[model.slates(theirs[history], mine)]

    def greedy(history: np.ndarray, allowed: np.ndarray, step: int) -> np.ndarray:
        return best_of(model.rewards(theirs[history])[:, theirs[:-1] % len(model.items_)], allowed & shared, size)

    def popular(history: np.ndarray, allowed: np.ndarray, step: int) -> np.ndarray:
        counts = model.counts_[theirs[:-1] % len(model.items_)]
        return best_of(np.tile(counts, (len(history), 1)), allowed & shared, size)

    def random(history: np.ndarray, allowed: np.ndarray, step: int) -> np.ndarray:
        return best_of(Streams(seed).numpy("random", step).random(allowed.shape), allowed & shared, size)

    return {"cascade": cascade, "greedy by reward": greedy, "popularity": popular, "random": random}


def compare_policies(context: Context, make: Callable[[], Any], frame: pl.DataFrame) -> None:
    """Fit one model on most users and one on the rest; the slates of the first are shown to the users of the second."""
    from ._plots import curves

    model, world = make(), make()
    people = frame[model.user].unique().sort()
    held = people.gather(
        np.sort(context.streams.numpy("world").permutation(len(people))[: round(HELD_OUT * len(people))])
    )
    others = pl.col(model.user).is_in(held.implode())
    if not len(held):
        raise DataError("There are too few users to hold some out; give more rows.")
    with context.timed("policy"):
        model.fit(frame.filter(~others))
    with context.timed("users of the sessions"):
        world.set_params(policy_steps=0).fit(frame.filter(others))
    steps = int(context.knob("session_steps", 20))
    rows, series = [], {}
    for name, policy in policies_of(world, model, context.spec.seed).items():
        with context.timed(f"play {name}"):
            rewards, taken = play(world, policy, steps, context.spec.seed)
        total = rewards.sum(axis=1)
        error = float(total.std(ddof=1) / np.sqrt(len(total)))
        rows.append([name, float(total.mean()), error, float(taken.mean())])
        context.metrics[f"reward of a session, {name}"] = float(total.mean())
        context.metrics[f"chosen from, {name}"] = float(taken.mean())
        series[name] = (range(1, steps + 1), rewards.mean(axis=0).cumsum().tolist())
    context.table(
        "Policies",
        ["policy", f"reward of {steps} displays", "standard error", "displays chosen from"],
        rows,
        f"Sessions with the user model of {len(held)} users that were held out with all their rows, from their last choices on.",
    )
    curves(
        context,
        "policies",
        series,
        x="display of the session",
        y="reward so far",
        caption="Means over the held-out users, as their own model simulates them.",
    )
