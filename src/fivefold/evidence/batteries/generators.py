"""Generators: samples of the right shape, same seed, saving, interruption."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from fivefold.base import codec
from fivefold.base.cards import Card
from fivefold.workbench.proof import Check

from .estimators import make


def example(card: Card) -> np.ndarray:
    """Return a small data set of the shape that the card names."""
    generator = np.random.default_rng(0)
    shape = tuple(card.experiment.get("input_shape", (2,)))
    return generator.uniform(0, 1, size=(64, *shape)).astype(np.float32)


def samples(card: Card, variant: str) -> Check:
    """Samples are finite and have the shape of the data."""
    x = example(card)
    drawn = np.asarray(make(card, variant).fit(x).sample(7))
    wrong = int(drawn.shape != (7, *x.shape[1:])) + int(np.sum(~np.isfinite(drawn)))
    return Check(wrong, 0, "violations", "the shape of the data")


def same_seed(card: Card, variant: str) -> Check:
    """The same seed gives the same samples; another seed gives others."""
    x = example(card)
    first, second, other = (np.asarray(make(card, variant, random_state=s).fit(x).sample(5)) for s in (0, 0, 1))
    return Check(int(np.sum(first != second)) + int(np.all(first == other)), 0, "mismatches", "itself, fitted again")


def saved(card: Card, variant: str) -> Check:
    """A saved and loaded generator draws the same samples."""
    x = example(card)
    model = make(card, variant).fit(x)
    with tempfile.TemporaryDirectory() as folder:
        codec.save(model, Path(folder) / "model")
        again = codec.load(Path(folder) / "model")
    return Check(
        int(np.sum(np.asarray(model.sample(6)) != np.asarray(again.sample(6)))), 0, "numbers that differ", "before"
    )


GENERATOR = {"samples": samples, "same-seed": same_seed, "saved": saved}
