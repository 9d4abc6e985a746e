"""How well one column alone predicts the target, for many columns at once and without fitting a model.

Two measures a column: its own order (rank AUC, Pearson and Spearman correlation), and the means of the target in its bins or
levels. The means are cross-fitted, each half of the rows being predicted from the other, so that 700 levels of noise score as
noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

BINS = 128  # quantile bins of a numeric column
ROWS_A_BIN = 10
BLOCK = 2_000_000  # values handled at a time
FEW = 10  # classes with fewer rows in the sample are not judged


@dataclass(frozen=True)
class Target:
    """The target in the sampled rows.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Class codes, or centered numbers of unit variance.
    classes : int
        Number of classes; 0 for regression.
    half : ndarray of shape (n,) in {0, 1}
        The half of the rows for cross-fitting.
    """

    values: np.ndarray
    classes: int
    half: np.ndarray

    def take(self, rows: np.ndarray) -> Target:
        """Return the target in some of the rows."""
        values = self.values[rows]
        return Target(values if self.classes else standardize(values), self.classes, self.half[rows])

    @property
    def judged(self) -> np.ndarray:
        """Return the classes that have rows enough; of two classes only the second."""
        counts = np.bincount(self.values.astype(np.int64), minlength=self.classes)
        enough = np.flatnonzero(counts >= min(FEW, counts.max(initial=0)))
        return enough[-1:] if self.classes == 2 and len(enough) == 2 else enough


@dataclass(frozen=True)
class Strength:
    """What one column tells about the target.

    Attributes
    ----------
    score : float
        AUC (least over the classes) or R²: the better of order and cross-fitted means; NaN where it cannot be had.
    correlation : float
        Largest of the absolute Pearson and Spearman correlations with the target; NaN for three or more classes.
    """

    score: float
    correlation: float


def standardize(values: np.ndarray) -> np.ndarray:
    """Return values with mean 0 and variance 1 along the last axis; zeros where they do not vary."""
    centered = values - values.mean(axis=-1, keepdims=True)
    scale = np.sqrt(np.mean(centered**2, axis=-1, keepdims=True))
    return np.divide(centered, scale, out=np.zeros_like(centered), where=scale > 0)


def _runs(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last position of the run of equal values that each sorted value is in, along the last axis."""
    n = ordered.shape[-1]
    place = np.broadcast_to(np.arange(n), ordered.shape)
    new = np.ones(ordered.shape, bool)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    old = np.ones(ordered.shape, bool)
    old[..., :-1] = new[..., 1:]
    first = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(old, place, n - 1)[..., ::-1], axis=-1)[..., ::-1]
    return first, last


def auc(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return the AUC along the last axis from weights of positives and negatives at each score, ties counting half.

    Parameters
    ----------
    scores, positive, negative : ndarray of shape (..., L)

    Returns
    -------
    ndarray of shape (...)
        NaN where a class has no weight.
    """
    order = np.argsort(scores, axis=-1, kind="stable")
    up = np.take_along_axis(positive, order, -1)
    down = np.take_along_axis(negative, order, -1)
    first, last = _runs(np.take_along_axis(scores, order, -1))
    below = np.concatenate([np.zeros((*down.shape[:-1], 1)), np.cumsum(down, axis=-1)], axis=-1)
    wins = np.take_along_axis(below, first, -1) + np.take_along_axis(below, last + 1, -1)
    pairs = up.sum(axis=-1) * down.sum(axis=-1)
    won = (up * wins).sum(axis=-1) / 2
    return np.divide(won, pairs, out=np.full(won.shape, np.nan), where=pairs > 0)


def _cross_fitted(codes: np.ndarray, levels: int, target: Target) -> np.ndarray:
    """Return AUC or R² of cross-fitted means for columns of codes (b, n) in 0 ... levels-1."""
    width = codes.shape[0]
    cell = (np.arange(width)[:, None] * 2 + target.half) * levels + codes  # (b, n)
    shape = (width, 2, levels)
    size = 2 * width * levels
    if not target.classes:
        y = np.broadcast_to(target.values, codes.shape).ravel()
        count = np.bincount(cell.ravel(), minlength=size).reshape(shape)
        total = np.bincount(cell.ravel(), y, minlength=size).reshape(shape)
        mean = np.divide(total, count, out=np.zeros(shape), where=count > 0)[:, ::-1]  # of the other half
        saved = (2 * mean * total - mean**2 * count).sum(axis=(1, 2))
        return np.asarray(saved / max(float(np.sum(target.values**2)), 1e-300))
    k = target.classes
    y = target.values.astype(np.int64)
    table = np.bincount((cell * k + y).ravel(), minlength=size * k).reshape(*shape, k).astype(np.float64)
    count = table.sum(axis=-1)
    if k > 2:  # one class against the rest is only looked at where the classes are told apart at all
        guess = table[:, ::-1].argmax(axis=-1)
        right = np.take_along_axis(table, guess[..., None], -1).sum(axis=(1, 2, 3)) / count.sum(axis=(1, 2))
        promising = right > 0.5
    else:
        promising = np.ones(width, bool)
    result = np.zeros(width)
    if not promising.any():
        return result
    table, count = table[promising], count[promising]
    least = np.full(len(table), np.inf)
    for c in target.judged:
        share = table[..., c].sum(axis=2, keepdims=True) / np.maximum(count.sum(axis=2, keepdims=True), 1)
        mean = np.divide(table[..., c], count, out=np.broadcast_to(share, count.shape).copy(), where=count > 0)
        halves = auc(mean[:, ::-1], table[..., c], count - table[..., c])  # (b, 2)
        least = np.minimum(least, halves.mean(axis=1))
    result[promising] = np.where(np.isfinite(least), least, np.nan)
    return result


def numeric_strengths(values: np.ndarray, target: Target) -> list[Strength]:
    """Return the strength of numeric columns (d, n) without missing values."""
    result: list[Strength] = []
    for block in _blocks(values):
        n = block.shape[1]
        order = np.argsort(block, axis=1)
        first, last = _runs(np.take_along_axis(block, order, 1))
        ranks = np.empty(block.shape)
        np.put_along_axis(ranks, order, (first + last) / 2, 1)
        bins = max(2, min(BINS, n // ROWS_A_BIN))
        codes = np.empty(block.shape, np.int64)
        np.put_along_axis(codes, order, first * bins // n, 1)  # ties share the bin of their first
        score = _cross_fitted(codes, bins, target)
        correlation = np.full(len(block), np.nan)
        if target.classes in (0, 2):
            y = standardize(target.values.astype(np.float64))
            pearson = standardize(block) @ y / n
            spearman = standardize(ranks) @ (y if target.classes else standardize(_rank(target.values))) / n
            correlation = np.maximum(np.abs(pearson), np.abs(spearman))
        if target.classes == 2:
            positive = target.values == 1
            up, down = int(positive.sum()), int((~positive).sum())
            if up and down:
                area = (ranks[:, positive].sum(axis=1) - up * (up - 1) / 2) / (up * down)
                score = np.fmax(score, np.maximum(area, 1 - area))
        elif not target.classes:
            score = np.fmax(score, correlation**2)
        result += [Strength(float(s), float(c)) for s, c in zip(score, correlation, strict=True)]
    return result


def level_strength(codes: np.ndarray, levels: int, target: Target) -> Strength:
    """Return the strength of a column of levels 0 ... levels-1; correlation is 1 for a renaming of the classes."""
    score = float(_cross_fitted(codes[None], levels, target)[0])
    correlation = np.nan
    if target.classes and levels == target.classes:
        table = np.bincount(codes * levels + target.values.astype(np.int64), minlength=levels**2)
        table = table.reshape(levels, levels)
        if len(set(table.argmax(axis=1).tolist())) == levels:
            correlation = float(table.max(axis=1).sum() / table.sum())
    return Strength(score, correlation)


def level_codes(values: pl.Series) -> tuple[np.ndarray, int]:
    """Return the sorted number of each value and how many there are; missing counts as a level of its own."""
    ranks = values.rank("dense")
    codes = ranks.fill_null(0).to_numpy().astype(np.int64)
    if not values.null_count():
        codes -= 1
    return codes, int(codes.max(initial=0)) + 1


def _rank(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    first, last = _runs(values[order])
    ranks = np.empty(len(values))
    ranks[order] = (first + last) / 2
    return ranks


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BLOCK // max(values.shape[1], 1))
    for start in range(0, len(values), step):
        yield values[start : start + step]
