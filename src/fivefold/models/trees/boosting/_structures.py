"""How CatBoost finds a tree: the learning rate it chooses, the rows it draws, and the splits of a level."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import choice, real
from fivefold.base.random import Streams

from . import _losses as losses
from ._boosted import Plan, count, share
from ._permutations import Candidates
from ._sampling import column_draw
from ._symmetric import LEAST_GAIN, TIE, descend, fixed_point, scan, scan_alone, standing

_MOST_SOURCES = 200
"""Combinations of categories that a model may try."""
_SERIAL = 1 << 16  # any value: rows x columns that one thread scans faster than two
# Learning rates that CatBoost chooses: exp(a log n + b) (iterations / 1000)^c, by loss and whether the best round is kept.
_RATES = {
    ("RMSE", False): (0.158, -4.287, -0.813),
    ("RMSE", True): (0.157, -4.062, -0.61),
    ("Logloss", False): (0.427, -7.525, -0.917),
    ("Logloss", True): (0.247, -5.158, -0.435),
    ("MultiClass", False): (0.051, -2.889, -0.845),
    ("MultiClass", True): (0.02, -2.364, -0.382),
}


def automatic_rate(loss: losses.Loss, n: int, rounds: int, best: bool) -> float:
    """Return the learning rate that CatBoost chooses for n rows, at most 0.5; 0.03 for losses that it has no rule for."""
    kinds = {losses.Squared: "RMSE", losses.Logistic: "Logloss", losses.Softmax: "MultiClass"}
    key = (kinds.get(type(loss), ""), best)
    if key not in _RATES:
        return 0.03
    a, b, c = _RATES[key]
    return round(min(0.5, float(np.exp(a * np.log(n) + b) * (rounds / 1000) ** c)), 6)


class Sampler:
    """Weights of the rows for finding one structure."""

    def __init__(self, model: Any, n_outputs: int, n: int) -> None:
        kind = model.bootstrap_type
        if kind is None:
            kind = "Bayesian" if n_outputs > 1 else "MVS"
        self.kind = choice("bootstrap_type", kind, ("MVS", "Bayesian", "Bernoulli", "No"))
        default = 1.0 if n < 100 else 0.8
        self.share = share("subsample", default if model.subsample is None else model.subsample)
        self.temperature = real("bagging_temperature", model.bagging_temperature, low=0.0)
        self.scale: float | None = None

    def draw(self, g: np.ndarray, streams: Streams, round_: int) -> np.ndarray | None:
        """Return one factor a row (n,) for gradients g (K, n), or None for no sampling."""
        if self.kind == "No" or (self.kind != "Bayesian" and self.share == 1):
            return None
        uniform = streams.numpy("rows", round_).random(g.shape[1])
        if self.kind == "Bayesian":
            return (-np.log(uniform + 1e-100)) ** self.temperature
        if self.kind == "Bernoulli":
            return (uniform < self.share).astype(np.float64)
        size = np.sqrt((g * g).sum(axis=0))
        scale = size.mean() if self.scale is None else self.scale
        kept = keep_chances(np.sqrt(size * size + scale * scale), self.share)
        return np.where(uniform < kept, 1 / np.maximum(kept, 1e-300), 0.0)

    def look(self, values: np.ndarray) -> None:
        """Note the leaf values (K, L) of the last tree, before shrinkage: their mean length balances even and weighted draws."""
        self.scale = float(np.sqrt((values * values).sum(axis=0)).mean())


def keep_chances(size: np.ndarray, part: float) -> np.ndarray:
    """Return chances min(1, size / c) (n,) that sum to ``part`` n: minimal variance sampling."""
    wanted = part * len(size)
    sure = np.zeros(len(size), dtype=bool)
    while True:
        rest = size[~sure].sum()
        if rest == 0:
            return np.where(sure, 1.0, part)
        chance = np.where(sure, 1.0, size * ((wanted - sure.sum()) / rest))
        if (chance <= 1).all():
            return chance
        sure |= chance >= 1


class Structures:
    """Finds the splits of symmetric trees."""

    def __init__(self, model: Any, plan: Plan, streams: Streams, threads: int) -> None:
        score = choice("score_function", model.score_function, ("Cosine", "L2", "NewtonCosine", "NewtonL2"))
        self.newton, self.cosine = score.startswith("Newton"), score.endswith("Cosine")
        self.depth, self.share = plan.growth.max_depth or 1, plan.columns
        self.strength = real("random_strength", model.random_strength, low=0.0)
        self.nan_low = model.nan_mode != "Max"
        self.complexity = count("max_ctr_complexity", model.max_ctr_complexity)
        self.size_penalty = real("model_size_reg", model.model_size_reg, low=0.0)
        self.streams, self.threads = streams, threads

    def find(
        self,
        candidates: Candidates,
        at: int,
        g: np.ndarray,
        w: np.ndarray,
        drawn: np.ndarray | None,
        l2: float,
        noise: float,
        round_: int,
    ) -> list[tuple[int, int]]:
        """Return the (column, bin) of each level for gradients g (K, n) and weights w (1 or K, n) under permutation ``at``."""
        K, n = g.shape
        bits = 61 - int(np.ceil(np.log2(n + 1)))
        fixed_g, fixed_w = np.empty((K, n), dtype=np.int64), np.empty((len(w), n), dtype=np.int64)
        units = np.empty((K, 2))
        for k in range(len(w)):
            units[k:, 1] = fixed_point(w[k] if drawn is None else w[k] * drawn, bits, fixed_w[k])
        for k in range(K):
            units[k, 0] = fixed_point(g[k] if drawn is None else g[k] * drawn, bits, fixed_g[k])
        leaf = np.zeros(n, dtype=np.int32)
        chosen: list[tuple[int, int]] = []
        for level in range(self.depth):
            columns = list(candidates.base)
            if self.share < 1:
                mask = column_draw(len(columns), self.share, self.streams.child("level", level), round_)
                columns = [c for c, kept in zip(columns, mask, strict=True) if kept] if mask is not None else columns
            if self.complexity > 1:
                columns += candidates.combined([c for c, _ in chosen], self.complexity, _MOST_SOURCES)
            n_bins = np.array([len(candidates.cuts[c]) + 1 for c in columns], dtype=np.int64)
            slots = np.array([candidates.slots[c][at] for c in columns], dtype=np.int64)
            ends = np.cumsum(n_bins - 1)
            if noise > 0:
                rough = noise * self.streams.numpy("noise", round_, level).standard_normal(int(ends[-1]))
            else:
                rough = np.zeros(int(ends[-1]))
            best, bins = np.empty(len(columns)), np.empty(len(columns), dtype=np.int64)
            arguments = (
                candidates.bins, slots, n_bins, leaf, fixed_g, fixed_w, units, 2**level, l2, self.cosine, rough,
                ends - n_bins + 1, best, bins,
            )  # fmt: skip
            if self.threads == 1 or n * len(columns) <= _SERIAL:
                scan_alone(*arguments)
            else:
                scan(*arguments, self.threads)
            if noise > 0:
                # Among columns noise is drawn anew: the best of many cuts would else be the one with the most luck.
                again = self.streams.numpy("noise of columns", round_, level).standard_normal(len(columns))
                best += noise * again - rough[ends - n_bins + 1 + bins]
            best *= self._factors(candidates, columns)
            highest = best.max()
            top = int(np.argmax(best >= highest - TIE * abs(highest)))
            here = standing(leaf, fixed_g, fixed_w, units, 2**level, l2, self.cosine)
            if not best[top] > here + LEAST_GAIN:
                break
            chosen.append((columns[top], int(bins[top])))
            descend(candidates.bins[slots[top]], int(bins[top]), leaf)
        candidates.used |= {candidates.members[c] for c, _ in chosen}
        return chosen

    def _factors(self, candidates: Candidates, columns: list[int]) -> np.ndarray:
        """Return what multiplies the score of each column: less than one for many levels that no tree has used yet."""
        sizes = {m: len(s.mass) for m, s in zip(candidates.by_source, candidates.features.sources, strict=True)}
        largest = max(sizes.values(), default=1)
        factors = np.ones(len(columns))
        for i, c in enumerate(columns):
            members = candidates.members[c]
            if members in sizes and members not in candidates.used:
                factors[i] = (1 + sizes[members] / largest) ** -self.size_penalty
        return factors
