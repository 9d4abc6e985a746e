"""Batteries: conformance checks that every method of a kind passes; a method enrols by its card alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fivefold.workbench.proof import Battery, Check

if TYPE_CHECKING:
    from fivefold.base.cards import Card

BatteryFunction = Callable[["Card", str], Check]


def _tables() -> dict[str, dict[str, BatteryFunction]]:
    from . import agents, ctr, embeddings, estimators, generators, layers, losses, optimizers, parts, recommenders

    return {
        "classifier": estimators.CLASSIFIER,
        "regressor": estimators.REGRESSOR,
        "transformer": estimators.TRANSFORMER,
        "clusterer": estimators.CLUSTERER,
        "detector": estimators.DETECTOR,
        "generator": generators.GENERATOR,
        "agent": agents.AGENT,
        "recommender": recommenders.RECOMMENDER,
        "ctr-model": ctr.CTR_MODEL,
        "embedding": embeddings.EMBEDDING,
        "loss": losses.LOSS,
        "layer": layers.LAYER,
        "gradient-optimizer": optimizers.GRADIENT,
        "schedule": optimizers.SCHEDULE,
        "numerical-optimizer": optimizers.NUMERICAL,
        "metric": parts.METRIC,
        "splitter": parts.SPLITTER,
        "demo": parts.DEMO,
        "reader": parts.READER,
        "resampler": parts.RESAMPLER,
    }


def enrol(card: Card) -> list[Battery]:
    """Return the checks of the card's kind, one set per variant; every kind has the one of the stated defaults."""
    from .defaults import stated
    from .estimators import SLOW_TABLE
    from .layers import SLOW_LAYER, has_compiler
    from .learners import LEARNER, trained_by_engine
    from .losses import SLOW_LOSS

    functions = dict(_tables().get(card.kind, {}))
    slow: set[str] = set()
    if has_compiler():
        for kind, longer in (("layer", SLOW_LAYER), ("loss", SLOW_LOSS)):
            if card.kind == kind:
                functions.update(longer)
                slow.update(longer)
    if card.kind in ("classifier", "regressor", "generator", "ctr-model") and trained_by_engine(card):
        functions.update(LEARNER)
    elif card.kind in ("classifier", "regressor", "transformer", "clusterer", "detector"):
        functions.update(SLOW_TABLE)
        slow.update(SLOW_TABLE)
    if not {"documented", "defaults"} & set(functions):  # kinds whose own check says more
        functions["stated"] = stated
    found: list[Battery] = []
    for name, function in functions.items():
        for variant in card.factory:
            label = name + ("" if variant == "default" else f"[{variant}]")
            claim = (function.__doc__ or "").strip().split("\n")[0]
            found.append(Battery(label, claim, partial(function, card, variant), name in slow))
    return found
