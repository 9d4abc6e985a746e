"""SMOTE: synthetic rows of the smaller classes between a row and its nearest neighbors of the same class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.spatial import KDTree
from sklearn.utils import check_array

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from .encoders_columns import find_categories, find_codes, read_columns
from .resampling import Resampler

_TREE = 15  # any value: both ways give the same neighbors; up to so many columns the tree is faster
_BLOCK = 1 << 22  # any value: distances held at a time


def nearest_rows(X: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest other rows of each row by Euclidean distance, nearest first, shape (n, k)."""
    n = len(X)
    if X.shape[1] <= _TREE:  # any value: speed only
        found = KDTree(X).query(X, k + 1)[1]
        # A row is its own neighbor at distance 0, but among equal rows not always the first: take it out where it stands.
        own = found == np.arange(n)[:, None]
        own[~own.any(axis=1), k] = True
        return found[~own].reshape(n, k)
    squares = np.einsum("ij,ij->i", X, X)
    out = np.empty((n, k), dtype=np.int64)
    step = max(1, _BLOCK // n)  # any value: rows at a time
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        rows = np.arange(part.start, part.stop)
        distance = squares[part, None] + squares - 2 * X[part] @ X.T
        distance[rows - start, rows] = np.inf
        near = np.argpartition(distance, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
        out[part] = np.take_along_axis(near, order, axis=1)
    return out


class SMOTE(Resampler):
    r"""Add synthetic rows of the smaller classes.

    .. math:: x_{new} = x_i + u \, (x_{nn} - x_i), \qquad u \sim U[0, 1),

    where :math:`x_{nn}` is one of the k nearest rows of the class of :math:`x_i`. Every row serves as :math:`x_i` equally
    often, up to one. With nominal features (SMOTE-NC) the squared distance of two rows grows by
    :math:`\mathrm{Med}^2` for each of them that differs, Med being the median of the class's standard deviations of the
    numeric features, and the new row takes the value most frequent among the k neighbors; the nearest of equals wins.

    Parameters
    ----------
    sampling_strategy : "auto", float in (0, 1] or mapping, default "auto"
        As in :class:`~fivefold.data.resampling.RandomOverSampler`.
    k_neighbors : int >= 1, default 5
    categorical_features : sequence, optional
        Nominal features: column numbers or names; a tuple of columns is one feature, such as a one-hot block.
    random_state : int, generator or None, default None

    Attributes
    ----------
    base_, neighbor_ : int arrays of shape (new,)
        The two rows of ``X`` between which each new row lies.
    gap_ : array of shape (new,)
        The u of each new row.

    Returns
    -------
    fit_resample : X of shape (m, d), the rows there were and then the new ones; y of shape (m,)

    Raises
    ------
    DataError
        For missing values, features that are all nominal, and a class with too few rows for ``k_neighbors``.
    InputError
        For wrong parameters.

    Notes
    -----
    The paper's text draws one u per new row, which lies on the segment; its pseudo-code draws one per feature, which leaves
    the segment. The text is followed. Features are not scaled here: scale before. New rows pull towards the inside of the
    class, so the variance within it shrinks where its rows lie far apart; over-fitting to a few rows becomes less, not none.

    References
    ----------
    Spec ``01#smote``; Chawla, Bowyer, Hall & Kegelmeyer 2002, "SMOTE: synthetic minority over-sampling technique", sections
    4.2 and 6.1.
    """

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        k_neighbors: int = 5,
        categorical_features: Sequence[Any] | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy, random_state=random_state)
        self.k_neighbors = k_neighbors
        self.categorical_features = categorical_features

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return ``X`` and ``y`` followed by the synthetic rows."""
        k = check_count("k_neighbors", self.k_neighbors)
        X, y, codes = self._plan(X, y)
        table = _Mixed(self, X, self.categorical_features)
        draw = Streams.of(self.random_state).numpy("smote")
        base, neighbor, gap, nominal = [], [], [], []
        for c, (have, want) in enumerate(zip(self.counts_, self.wanted_)):
            missing = int(want - have)
            if not missing:
                continue
            if have <= k:
                raise DataError(
                    f"The class {self.classes_.tolist()[c]!r} has {have} row(s), too few for k_neighbors={k}, which needs "
                    f"{k + 1}; lower k_neighbors or use RandomOverSampler."
                )
            rows = np.flatnonzero(codes == c)
            near = nearest_rows(table.places(rows), k)  # (have, k), places in rows
            turns = np.repeat(np.arange(have), missing // have)
            turns = np.concatenate([turns, np.sort(draw.permutation(have)[: missing % have])])
            base.append(rows[turns])
            neighbor.append(rows[near[turns, draw.integers(0, k, missing)]])
            gap.append(draw.random(missing))
            nominal.append(table.votes(rows[near], turns))
        whole_rows = np.zeros(0, dtype=np.int64)
        self.base_ = np.concatenate([whole_rows, *base])
        self.neighbor_ = np.concatenate([whole_rows, *neighbor])
        self.gap_ = np.concatenate([np.zeros(0), *gap])
        extra = np.repeat(self.classes_, self.wanted_ - self.counts_)
        if not len(extra):
            return X, y
        return table.extended(self.base_, self.neighbor_, self.gap_, np.vstack(nominal)), np.concatenate([y, extra])


class _Mixed:
    """A table as numbers (n, p) and nominal codes (n, q), and the way back into its own type."""

    def __init__(self, owner: SMOTE, X: Any, nominal: Sequence[Any] | None) -> None:
        self.source = X
        self.framed = hasattr(X, "columns")
        names = list(X.columns) if self.framed else []
        d = X.shape[1]
        self.blocks = [self._block(f, names, d) for f in (nominal if nominal is not None else ())]
        taken = [j for block in self.blocks for j in block]
        if len(set(taken)) < len(taken):
            raise InputError(f"categorical_features names a column twice: {list(nominal or ())!r}.")
        self.numeric = [j for j in range(d) if j not in set(taken)]
        if not self.numeric:
            raise DataError("SMOTE needs at least one numeric feature; use RandomOverSampler for nominal ones alone.")
        columns = read_columns(owner, X, reset=True) if self.blocks else None
        self.numbers = self._numbers(owner, X, columns)
        self.categories = []
        parts = []
        for block in self.blocks:
            codes = np.column_stack([find_codes(columns[j], find_categories(columns[j])[0]) for j in block])  # type: ignore[index]
            known, first, code = np.unique(codes, axis=0, return_index=True, return_inverse=True)
            self.categories.append(first)  # a row that holds each value
            parts.append(code.reshape(-1))
        self.codes = np.column_stack(parts) if parts else np.zeros((len(self.numbers), 0), dtype=np.int64)

    @staticmethod
    def _block(feature: Any, names: list[Any], d: int) -> list[int]:
        members = list(feature) if isinstance(feature, (tuple, list)) else [feature]
        found = [names.index(m) if isinstance(m, str) and m in names else m for m in members]
        for m in found:
            if isinstance(m, (str, bool)) or not 0 <= m < d:
                raise InputError(f"categorical_features names {m!r}, which is no column of X (0 … {d - 1}).")
        return [int(m) for m in found]

    def _numbers(self, owner: SMOTE, X: Any, columns: list[Any] | None) -> np.ndarray:
        values = X if columns is None else np.column_stack([columns[j] for j in self.numeric])
        try:
            return np.asarray(check_array(values, dtype=np.float64, estimator=owner, input_name="X"))
        except ValueError as error:
            text = str(error).strip().splitlines()[0].rstrip(".")
            raise DataError(
                f"{text}; SMOTE needs finite numbers: fill missing values, and name nominal columns in categorical_features."
            ) from error

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Return coordinates of a class whose Euclidean distances are those of SMOTE-NC."""
        numbers = self.numbers[rows]
        median = float(np.median(numbers.std(axis=0)))
        parts = [numbers]
        for codes in self.codes[rows].T:
            # Two different values are sqrt(2) * Med / sqrt(2) apart.
            known, place = np.unique(codes, return_inverse=True)
            parts.append(np.eye(len(known))[place] * (median / np.sqrt(2.0)))
        return np.hstack(parts)

    def votes(self, near: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """Return the nominal codes of the new rows, (new, q): most frequent among the neighbors (n, k) of each base row."""
        found = np.empty((len(turns), self.codes.shape[1]), dtype=np.int64)
        for q, column in enumerate(self.codes.T):
            values = column[near]  # (n, k)
            counts = np.count_nonzero(values[:, :, None] == values[:, None, :], axis=2)
            found[:, q] = np.take_along_axis(values, counts.argmax(axis=1)[:, None], axis=1)[turns, 0]
        return found

    def extended(self, base: np.ndarray, neighbor: np.ndarray, gap: np.ndarray, nominal: np.ndarray) -> Any:
        """Return the source followed by the new rows, in its own type."""
        start = self.numbers[base]
        fresh = start + gap[:, None] * (self.numbers[neighbor] - start)
        # Rows of the source to copy from, by column: the base for numbers (to be overwritten), else one of the value.
        donors = {
            j: first[nominal[:, q]] for q, (block, first) in enumerate(zip(self.blocks, self.categories)) for j in block
        }
        place = {j: p for p, j in enumerate(self.numeric)}
        d = len(donors) + len(place)
        if not self.framed:
            old = np.asarray(self.source)
            old = old if old.dtype.kind in "fO" else old.astype(np.float64)
            new = np.empty((len(base), d), dtype=old.dtype)
            for j in range(d):
                new[:, j] = fresh[:, place[j]] if j in place else old[donors[j], j]
            return np.vstack([old, new])
        if isinstance(self.source, pl.DataFrame):
            columns = [
                pl.concat([self.source.to_series(j).cast(pl.Float64), pl.Series(fresh[:, place[j]])])
                if j in place
                else pl.concat([self.source.to_series(j), self.source.to_series(j)[donors[j]]])
                for j in range(d)
            ]
            return pl.DataFrame(dict(zip(self.source.columns, columns)))
        grown = self.source.iloc[np.concatenate([np.arange(len(self.numbers)), base])].reset_index(drop=True)
        for j, name in enumerate(self.source.columns):
            if j in place:
                grown[name] = np.concatenate([self.numbers[:, place[j]], fresh[:, place[j]]])
            else:
                rows = np.concatenate([np.arange(len(self.numbers)), donors[j]])
                grown[name] = self.source[name].iloc[rows].array
        return grown
