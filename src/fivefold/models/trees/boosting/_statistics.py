r"""Target statistics: categories become numbers that do not give away a row's own target (Prokhorenkova et al. 2018).

A row at place p of a permutation sees the rows before it alone:

.. math:: \hat x_p = \frac{\sum_{q < p,\, c_q = c_p} w_q y_q + a P}{\sum_{q < p,\, c_q = c_p} w_q + a}

Rows to be predicted see all training rows. A level without rows, unseen ones too, has the prior P. Several priors give several
statistics one beside another: how far they lie apart tells how much a level is worth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.base.codec import Stateful
from fivefold.base.jit import njit

from ._tables import Columns, refuse_infinity

_LARGEST_KEY = 1 << 62


@njit
def ordered_means(codes, order, target, weight, prior, strength, n_levels, out):
    """Write the ordered statistics of one column: codes, target and weight (n,), ``order`` a permutation -> out (n,)."""
    total, mass = np.zeros(n_levels), np.zeros(n_levels)
    for p in range(len(order)):
        r = order[p]
        c = codes[r]
        out[r] = (total[c] + strength * prior) / (mass[c] + strength)
        total[c] += weight[r] * target[r]
        mass[c] += weight[r]


class Source(Stateful):
    """One categorical column, or several taken together, with the sums of its levels.

    Attributes
    ----------
    members : list of positions among the categorical columns, ascending
    keys : int64 array (L,), ascending; what :meth:`Features.keys` makes of the levels seen
    totals : float64 array (m, L), weighted sums of the m targets
    mass : float64 array (L,), sums of weights
    """

    def __init__(self, members: list[int], keys: np.ndarray, totals: np.ndarray, mass: np.ndarray) -> None:
        self.members, self.keys, self.totals, self.mass = members, keys, totals, mass

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return the level of each key (n,), L for those never seen."""
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, len(self.keys))


class Features(Columns):
    """A table of numbers and categories as numbers alone.

    The columns are: numbers as they are; for every categorical column of few levels one indicator a level (one in all for two
    levels); then for every source m q target statistics and the weight of the level.

    Attributes
    ----------
    numeric, coded : int64 arrays, the columns of numbers and those of categories
    values : list of float64 arrays, the levels of each categorical column, ascending; NaN has the code after them
    n_codes : int64 array, levels of each categorical column, a missing one included
    one_hot : list of (column, code)
    sources : list of Source
    prior : float64 array (m, q), q priors for each target
    strength : float
    """

    LENIENT = ("prior", "gives them the prior")
    unseen = -1.0

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.sources: list[Source] = []
        self.prior = np.zeros((0, 0))

    def learn(self, estimator: Any, X: Any, categorical: Any) -> np.ndarray:
        """Learn the columns and return the dense table (n, d)."""
        table: Any = self.fit(estimator, X, categorical)
        refuse_infinity(table)
        return table.toarray() if sp.issparse(table) else table

    def code(self, table: np.ndarray, one_hot_size: int) -> np.ndarray:
        """Learn the levels of a table (n, d) and return the codes (c, n) of its categorical columns."""
        self.numeric, self.coded = np.flatnonzero(~self.categorical), np.flatnonzero(self.categorical)
        self.values, sizes, self.one_hot = [], [], []
        for i, f in enumerate(self.coded):
            levels = np.unique(table[:, f])  # NaN last, once
            missing = bool(np.isnan(levels[-1:]).any())
            self.values.append(levels[: len(levels) - missing].astype(np.float64))
            sizes.append(len(levels))
            if 2 <= len(levels) <= one_hot_size:
                self.one_hot += [(i, c) for c in range(len(levels) if len(levels) > 2 else 1)]
        self.n_codes = np.array(sizes, dtype=np.int64)
        return self.codes(table)

    def codes(self, table: np.ndarray) -> np.ndarray:
        """Return the codes (c, n) of the categorical columns, -1 for levels never seen."""
        out = np.empty((len(self.coded), len(table)), dtype=np.int64)
        for i, (f, levels) in enumerate(zip(self.coded, self.values, strict=True)):
            x = table[:, f].astype(np.float64)
            missing, L = np.isnan(x), len(levels)
            at = np.minimum(np.searchsorted(levels, x), max(0, L - 1))
            known = (levels[at] == x) if L else np.zeros(len(x), dtype=bool)
            out[i] = np.where(known, at, -1)
            out[i, missing] = L if self.n_codes[i] > L else -1
        return out

    def keys(self, codes: np.ndarray, members: list[int]) -> np.ndarray:
        """Return one number (n,) for the levels of several columns taken together, -1 where one was never seen."""
        key = np.zeros(codes.shape[1], dtype=np.int64)
        for i in members:
            key = np.where((key < 0) | (codes[i] < 0), -1, key * self.n_codes[i] + codes[i])
        return key

    def fits(self, members: list[int]) -> bool:
        """Return whether the levels of several columns taken together can be numbered."""
        size = 1
        for i in members:
            size *= int(self.n_codes[i])
        return size < _LARGEST_KEY

    def add(self, members: list[int], codes: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Append a source from codes (c, n), targets (m, n) and weights (n,); return the level of each row (n,)."""
        keys, level = np.unique(self.keys(codes, members), return_inverse=True)
        totals = np.stack([np.bincount(level, weights=weight * t, minlength=len(keys)) for t in targets])
        self.sources.append(Source(members, keys, totals, np.bincount(level, weights=weight, minlength=len(keys))))
        return level

    @property
    def owners(self) -> list[list[int]]:
        """Columns of the table that each column here comes from."""
        out = [[int(f)] for f in self.numeric] + [[int(self.coded[i])] for i, _ in self.one_hot]
        for s in self.sources:
            out += [[int(self.coded[i]) for i in s.members]] * (self.prior.size + 1)
        return out

    def dense(self, estimator: Any, X: Any) -> np.ndarray:
        """Return another table as it was in ``fit``: (n, d)."""
        table: Any = super().transform(estimator, X)
        refuse_infinity(table)
        return table.toarray() if sp.issparse(table) else table

    def transform(self, estimator: Any, X: Any) -> np.ndarray:
        """Return another table (n, d) in the columns described above."""
        return self.extended(self.dense(estimator, X))

    def extended(self, table: np.ndarray) -> np.ndarray:
        """Return the columns described above of a dense table (n, d): (n, e)."""
        if len(self.coded) == 0:
            return table
        view = View(self, table)
        columns = [view.column(c) for c in range(len(self.owners))]
        return np.column_stack(columns) if columns else np.empty((len(table), 0))


class View:
    """A table of rows to be predicted, whose columns are made when they are asked for."""

    def __init__(self, features: Features, table: np.ndarray) -> None:
        self.features, self.table = features, table
        self.codes = features.codes(table)
        self.levels: dict[int, np.ndarray] = {}

    def column(self, c: int) -> np.ndarray:
        """Return one of the columns that :class:`Features` describes: (n,)."""
        f = self.features
        if c < len(f.numeric):
            return self.table[:, f.numeric[c]].astype(np.float64)
        c -= len(f.numeric)
        if c < len(f.one_hot):
            i, code = f.one_hot[c]
            return (self.codes[i] == code).astype(np.float64)
        at, part = divmod(c - len(f.one_hot), f.prior.size + 1)
        source = f.sources[at]
        if at not in self.levels:
            self.levels[at] = source.places(f.keys(self.codes, source.members))
        mass = np.append(source.mass, 0.0)
        if part < f.prior.size:
            target, which = divmod(part, f.prior.shape[1])
            total = np.append(source.totals[target], 0.0)
            mass = (total + f.strength * f.prior[target, which]) / (mass + f.strength)
        return mass[self.levels[at]]
