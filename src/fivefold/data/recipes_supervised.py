"""What a recipe learns from the target: cross-fitted encodings of categories and the choice of features; and hashing.

Whatever looks at the target looks at training rows only, and the value that a training row gets never depends on its own
target: the rows are dealt into folds, and each fold is encoded by what the other folds say.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.utils import murmurhash3_32

from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from .encoders_columns import find_codes
from .recipes_parts import Levels, Part, labels_of, standard

FOLDS = 5
HASHED = 32


def target_of(y: Any, rows: int, classes: int | None) -> np.ndarray:
    """Return the checked target of the training rows: codes (int64) for ``classes``, numbers (float64) without; shape (n,).

    Raises
    ------
    InputError
        For the wrong number of entries, codes outside 0 … classes - 1, and numbers that are not finite.
    """
    values = np.asarray(y)
    if values.shape != (rows,):
        raise InputError(f"y must have shape ({rows},), one entry a row of the table; got {values.shape}.")
    if classes is None:
        if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            raise InputError("y must hold finite numbers; give the number of classes where it holds class codes.")
        return values.astype(np.float64)
    if isinstance(classes, bool) or not isinstance(classes, (int, np.integer)) or classes < 1:
        raise InputError(f"classes must be an int >= 1, or None for regression; got {classes!r}.")
    if values.dtype.kind not in "biu" or values.min() < 0 or values.max() >= classes:
        raise InputError(f"y must hold the class codes 0 to {classes - 1} as integers; got {values.dtype} values.")
    return values.astype(np.int64)


def cross_folds(y: np.ndarray, classes: int | None, groups: Any, random_state: Any) -> np.ndarray:
    """Deal the training rows into :data:`FOLDS` folds.

    Rows come in random order; with ``classes`` each class is dealt evenly, with ``groups`` whole groups are dealt instead,
    from the largest to the smallest.

    Returns
    -------
    int64 array of shape (n,)

    Raises
    ------
    InputError
        When ``groups`` has the wrong shape.
    DataError
        When there is one group only, so that nothing is left to learn from.
    """
    random = Streams.of(random_state).numpy("recipe/cross-fit")
    if groups is None:
        order = random.permutation(len(y))
        if classes is not None:
            order = order[np.argsort(y[order], kind="stable")]
        return _dealt(order)
    given = np.asarray(groups)
    if given.shape != y.shape:
        raise InputError(f"groups must have shape {y.shape}, one entry a row of the table; got {given.shape}.")
    _, codes, sizes = np.unique(given, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise DataError(
            "All training rows are of one group, so a category cannot be encoded by the rows of other groups; "
            "choose encode='one-hot' or 'hash', or leave out the groups."
        )
    order = random.permutation(len(sizes))
    return _dealt(order[np.argsort(-sizes[order], kind="stable")])[codes]


def _dealt(order: np.ndarray) -> np.ndarray:
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    return fold


def shrunken_means(
    codes: np.ndarray, target: np.ndarray, levels: int, folds: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return the mean target of each level, drawn to the overall mean; of all rows, and of all rows but those of a fold.

    .. math:: \hat\mu_i = \lambda_i \bar y_i + (1 - \lambda_i) \bar y, \qquad
              \lambda_i = \frac{n_i \sigma^2}{n_i \sigma^2 + s_i^2}

    with the variance :math:`\sigma^2` of the target and :math:`s_i^2` within the level, both with denominator n.

    Parameters
    ----------
    codes : int array of shape (n,)
        Level of each row, 0 … levels - 1.
    target : float array of shape (n,)
    levels : int
    folds : int array of shape (n,), optional
        Values 0 … FOLDS - 1.

    Returns
    -------
    means : array of shape (levels,)
    prior : array of shape (1,)
        The overall mean, which a level without rows has.
    cross_means : array of shape (FOLDS, levels)
        Row f leaves out the rows of fold f; without ``folds`` there is no row.

    Notes
    -----
    Moments are taken a fold and merged (Chan, Golub & LeVeque 1983), so that one pass over the rows serves every fold.
    """
    blocks = 1 if folds is None else FOLDS
    place = codes if folds is None else folds * levels + codes
    cells = blocks * levels
    counts = np.bincount(place, minlength=cells).astype(np.float64)
    sums = np.bincount(place, weights=target, minlength=cells)
    means = sums / np.maximum(counts, 1)
    squares = np.bincount(place, weights=(target - means[place]) ** 2, minlength=cells)
    moments = counts.reshape(blocks, levels), means.reshape(blocks, levels), squares.reshape(blocks, levels)
    means, prior = _shrunken(*moments)
    if folds is None:
        return means, prior, np.empty((0, levels))
    others = [np.arange(FOLDS) != fold for fold in range(FOLDS)]
    return means, prior, np.stack([_shrunken(*(m[other] for m in moments))[0] for other in others])


def _shrunken(counts: np.ndarray, means: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge the moments of blocks (b, levels) and return the shrunken means (levels,) and the overall mean (1,)."""
    n, mean, square = _merged(counts, means, squares, axis=0)  # (levels,)
    rows, prior, total = _merged(n, mean, square, axis=0)
    if not total or not rows:
        return np.full(len(n), prior), np.array([prior])
    between = n * total / rows
    within = square / np.maximum(n, 1)
    weight = np.divide(between, between + within, out=np.zeros(len(n)), where=n > 0)
    return weight * mean + (1 - weight) * prior, np.array([prior])


def _merged(counts: np.ndarray, means: np.ndarray, squares: np.ndarray, axis: int) -> tuple[Any, Any, Any]:
    total = counts.sum(axis=axis)
    mean = (counts * means).sum(axis=axis) / np.maximum(total, 1)
    return total, mean, (squares + counts * (means - mean) ** 2).sum(axis=axis)


class Target:
    """The target of the training rows and the folds that keep a row's own target out of its encodings.

    Parameters
    ----------
    y, rows, classes
        As :func:`target_of` takes them.
    groups, random_state
        As :func:`cross_folds` takes them.
    """

    def __init__(self, y: Any, rows: int, classes: int | None, groups: Any, random_state: Any) -> None:
        self.y = target_of(y, rows, classes)
        self.classes = classes
        self._groups = groups
        self._random_state = random_state

    @cached_property
    def folds(self) -> np.ndarray:
        """The fold of each row, dealt when first asked for; shape (n,)."""
        return cross_folds(self.y, self.classes, self._groups, self._random_state)


class TargetPart(Part):
    """A column of categories as the smoothed mean of the target: one column, or one a class when there are three or more.

    Missing is a level; an unseen value gets the overall mean. Made by :meth:`cross_fit`.
    """

    levels: list[str]
    missing: bool
    means: np.ndarray
    center: list[float]
    scale: list[float]

    @classmethod
    def cross_fit(cls, levels: Levels, target: Target, *, scaled: bool) -> tuple[Self, np.ndarray]:
        """Return the part, fitted on all rows, and the values of these rows, each from the folds it is not in.

        Parameters
        ----------
        levels : Levels
            The column.
        target : Target
        scaled : bool
            Standardize by mean and deviation of the cross-fitted values.

        Returns
        -------
        part : TargetPart
        values : float array of shape (len(part.names), n)
        """
        y, classes, folds = target.y, target.classes, target.folds
        self = cls()
        self.column = levels.column
        self.levels = levels.names
        self.missing = bool(levels.labels.null_count())
        codes = find_codes(levels.labels, np.array(self.levels, dtype=object))
        codes[codes < 0] = len(self.levels)
        number = len(self.levels) + int(self.missing)
        shown = [1] if classes is not None and classes <= 2 else range(classes or 1)
        table, rows = [], np.empty((len(shown), len(y)))
        for out, k in zip(rows, shown):
            values = y if classes is None else (y == k).astype(np.float64)
            means, prior, cross = shrunken_means(codes, values, number, folds)
            table.append(np.concatenate([means, prior]))
            np.take(cross.ravel(), folds * number + codes, out=out)
        self.means = np.stack(table)  # (names, levels + 1), the last one for unseen values
        moments = [standard(row) if scaled else (0.0, 1.0) for row in rows]
        self.center, self.scale = [m[0] for m in moments], [m[1] for m in moments]
        rows -= np.array(self.center)[:, None]
        rows /= np.array(self.scale)[:, None]
        what = ["target"] if classes is None or classes <= 2 else [f"target{k}" for k in shown]
        self.names = [f"{self.column}_{word}" for word in what]
        return self, rows

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        """Fill ``out``, shape (len(names), len(series)), with what all training rows say."""
        labels = labels_of(series)
        codes = find_codes(labels, np.array(self.levels, dtype=object))
        codes[codes < 0] = self.means.shape[1] - 1
        if self.missing:
            codes[labels.is_null().to_numpy()] = len(self.levels)
        scaled = (self.means - np.array(self.center)[:, None]) / np.array(self.scale)[:, None]
        np.take(scaled, codes, axis=1, out=out)

    def describe(self) -> str:
        """Return one sentence about the fitted transformation."""
        each = "" if len(self.names) == 1 else f" in {len(self.names)} columns, one a class"
        lost = "; missing is a level" if self.missing else ""
        scaled = "; standardized" if any(s != 1.0 for s in self.scale) else ""
        return (
            f"{len(self.levels)} levels as the smoothed mean of the target{each}, cross-fitted in {FOLDS} folds of the "
            f"training rows, unseen values to the overall mean{lost}{scaled}"
        )


class HashPart(Part):
    """A column of categories hashed into a fixed number of columns, +1 or -1 in one of them; a missing value has zeros."""

    def __init__(self, levels: Levels) -> None:
        self.column = levels.column
        self.count = len(levels.names)
        self.names = [f"{self.column}_hash{k}" for k in range(HASHED)]

    def write(self, series: pl.Series, out: np.ndarray) -> None:
        """Fill ``out``, shape (len(names), len(series))."""
        labels = labels_of(series)
        unique = labels.drop_nulls().unique().to_list()
        # As scikit-learn's FeatureHasher: the position is |hash| modulo the width, the sign that of the hash.
        hashed = np.array([murmurhash3_32(text, seed=0) for text in unique], dtype=np.int64)
        codes = find_codes(labels, np.array(unique, dtype=object))
        rows = np.flatnonzero(codes >= 0)
        out[:] = 0.0
        out[(np.abs(hashed) % HASHED)[codes[rows]], rows] = np.where(hashed >= 0, 1.0, -1.0)[codes[rows]]

    def describe(self) -> str:
        """Return one sentence about the fitted transformation."""
        return f"{self.count} levels hashed into {HASHED} signed columns; missing and nothing else is all zeros"


def f_statistics(X: np.ndarray, y: np.ndarray, classes: int | None) -> np.ndarray:
    r"""Return the F statistic of every column of X on its own.

    .. math:: F = \frac{\sum_k n_k (\bar x_k - \bar x)^2 / (K - 1)}{\sum_k \sum_{i \in k} (x_i - \bar x_k)^2 / (n - K)}
              \quad\text{for classes},\qquad F = \frac{r^2}{1 - r^2} (n - 2) \quad\text{for numbers.}

    Parameters
    ----------
    X : float array of shape (n, d)
        NaN is missing: the statistic is that of the rows with a value.
    y : array of shape (n,)
        Codes 0 … classes - 1, or numbers.
    classes : int, optional

    Returns
    -------
    array of shape (d,)
        Infinite where a column tells the targets apart without rest; -1 for columns (or targets) that are constant.
    """
    out = np.empty(X.shape[1])
    width = max(1, 2**22 // max(len(X), 1))
    for first in range(0, X.shape[1], width):
        block = X[:, first : first + width].T.copy()  # (w, n): a column's rows side by side
        there = ~np.isnan(block)
        block[~there] = 0.0
        count = there.sum(axis=1)
        mean = block.sum(axis=1) / np.maximum(count, 1)
        block -= mean[:, None]
        block[~there] = 0.0
        low = np.where(there, block, np.inf).min(axis=1, initial=np.inf)
        high = np.where(there, block, -np.inf).max(axis=1, initial=-np.inf)
        between, rest, free, apart = (_of_classes if classes is not None else _of_numbers)(block, there, y, classes)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = (between / np.maximum(apart, 1)) / (rest / np.maximum(free, 1))
        dead = ~(high > low) | (apart < 1) | np.isnan(score)
        out[first : first + width] = np.where(dead, -1.0, score)
    return out


def _of_classes(block: np.ndarray, there: np.ndarray, y: np.ndarray, classes: int | None) -> tuple[Any, Any, Any, Any]:
    hot = np.zeros((len(y), int(classes or 1)))
    hot[np.arange(len(y)), y] = 1.0
    count = there @ hot  # (w, K)
    mean = (block @ hot) / np.maximum(count, 1)
    overall = (count * mean).sum(axis=1) / np.maximum(count.sum(axis=1), 1)
    between = (count * (mean - overall[:, None]) ** 2).sum(axis=1)
    rest = block - mean[:, y]
    rest[~there] = 0.0
    seen = (count > 0).sum(axis=1)
    return between, np.einsum("ij,ij->i", rest, rest), count.sum(axis=1) - seen, seen - 1


def _of_numbers(block: np.ndarray, there: np.ndarray, y: np.ndarray, classes: int | None) -> tuple[Any, Any, Any, Any]:
    count = there.sum(axis=1)
    target = np.where(there, y - y.mean(), 0.0)
    target = np.where(there, target - (target.sum(axis=1) / np.maximum(count, 1))[:, None], 0.0)
    square, spread = np.einsum("ij,ij->i", block, block), np.einsum("ij,ij->i", target, target)
    cross = np.einsum("ij,ij->i", block, target)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.minimum(cross**2 / (square * spread), 1.0)
    return r2, 1.0 - r2, count - 2, np.where(spread > 0, 1, 0)


def choose_features(scores: np.ndarray, most: int) -> np.ndarray:
    """Return the mask of the ``most`` columns with the largest scores, the first ones among equals."""
    kept = np.zeros(len(scores), dtype=bool)
    kept[np.argsort(-scores, kind="stable")[:most]] = True
    return kept
