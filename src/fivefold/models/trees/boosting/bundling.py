"""Exclusive feature bundling as a transformer (Ke et al. 2017)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data

from ._binning import BinMapper
from ._bundles import bundles, defaults_of, merged


class ExclusiveFeatureBundler(TransformerMixin, Estimator):
    r"""Merge sparse columns that hardly ever differ from their usual value together.

    A bundle of the columns f = 1 ... m holds in row i

    .. math:: B_i = \begin{cases} 0 & \text{all columns have their usual value} \\
              o_f + r_f(x_{if}) & \text{column } f \text{ has another} \end{cases}, \qquad o_1 = 1,\; o_{f+1} = o_f + K_f - 1

    where r_f numbers the K_f - 1 other bins of the column from 0 on. Bundles are the color classes of a greedy coloring of the
    graph of conflicts; a conflict is a row in which two columns differ from their usual values.

    Parameters
    ----------
    max_conflict_rate : float in [0, 1), default 0.0
        Share of the rows that may be conflicts in one bundle; of such a row the last column of the bundle is kept.
    sparse_threshold : float in [0, 1], default 0.8
        Share of the rows with the usual value that makes a column sparse; other columns stay as they are.
    max_bin : int in [2, 255], default 255
        Bins of a column, and of a bundle.

    Attributes
    ----------
    groups_ : list of lists of columns, one for each column of the output, in order of their first columns
    offsets_ : int64 array (d,), where the bins of a bundled column begin; 0 for a column that is alone
    usual_ : int64 array (d,), the usual bin of a bundled column; -1 for a column that is alone
    conflicts_ : int64 array (len(groups_),), conflicts among the training rows
    n_features_in_ : int

    Raises
    ------
    DataError
        Infinite numbers, or tables of other columns.
    InputError
        A parameter outside its range.

    Notes
    -----
    Columns with missing values stay alone; a missing value that turns up later makes its bundle missing. Boosting bundles in the
    same way without conflicts (``enable_bundle``) and searches the columns of a bundle one by one, so that its trees are those of
    the plain table.

    References
    ----------
    Ke et al., LightGBM: A highly efficient gradient boosting decision tree, 2017, algorithms 3 and 4; ``01#efb``.

    Examples
    --------
    >>> X = [[0, 0, 0]] * 18 + [[1, 0, 0], [0, 5, 0]]
    >>> bundler = ExclusiveFeatureBundler().fit(X)
    >>> bundler.groups_, bundler.transform(X[-2:]).ravel().tolist()
    ([[0, 1], [2]], [1.0, 0.0, 2.0, 0.0])
    """

    def __init__(self, *, max_conflict_rate: float = 0.0, sparse_threshold: float = 0.8, max_bin: int = 255) -> None:
        self.max_conflict_rate = max_conflict_rate
        self.sparse_threshold = sparse_threshold
        self.max_bin = max_bin

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the bundles of X (n, d), dense or sparse; y is not used."""
        rate = real("max_conflict_rate", self.max_conflict_rate, low=0.0, high=1.0, below=True)
        sparse = real("sparse_threshold", self.sparse_threshold, low=0.0, high=1.0)
        most = min(255, whole("max_bin", self.max_bin, low=2))
        table = checked_data(self, X, ensure_all_finite="allow-nan", accept_sparse="csr")
        n, d = table.shape
        self.bins_ = BinMapper(most, 1, n).fit(table, np.zeros(d, dtype=bool), Streams(0))
        binned = self.bins_.transform(table, 1)
        found = bundles(binned.columns, binned.n_bins, binned.kinds, sparse=sparse, budget=int(rate * n), most=most)
        inside = {f for group in found for f in group}
        self.groups_ = sorted([*found, *([f] for f in range(d) if f not in inside)])
        self.offsets_, self.usual_ = np.zeros(d, dtype=np.int64), np.full(d, -1, dtype=np.int64)
        self.conflicts_ = np.zeros(len(self.groups_), dtype=np.int64)
        for q, group in enumerate(self.groups_):
            if len(group) == 1:
                continue
            self.usual_[group] = defaults_of(binned.columns[group])
            more = binned.n_bins[group] - 1
            self.offsets_[group] = 1 + np.cumsum(more) - more
            away = (binned.columns[group] != self.usual_[group][:, None]).sum(axis=0)
            self.conflicts_[q] = int(np.maximum(away - 1, 0).sum())
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the bundles and the columns that are alone: X (n, d) -> (n, len(groups_)) float64."""
        require_fitted(self, "groups_")
        table = checked_data(self, X, reset=False, ensure_all_finite="allow-nan", accept_sparse="csr")
        binned = self.bins_.transform(table, 1)
        columns = table.tocsc() if sp.issparse(table) else table
        out = np.zeros((table.shape[0], len(self.groups_)))
        for q, group in enumerate(self.groups_):
            for f in group:
                values = columns[:, [f]].toarray()[:, 0] if sp.issparse(columns) else columns[:, f]
                if len(group) == 1:
                    out[:, q] = values
                    continue
                merged(out[:, q], binned.columns[f], int(self.usual_[f]), int(self.offsets_[f]))
                out[np.isnan(values), q] = np.nan
        return out

    def bins(self, X: Any) -> np.ndarray:
        """Return the bins of the bundled columns, read back from what :meth:`transform` returned: (n, len(groups_)) -> (n, d).

        Columns that are alone, and columns of a missing bundle, get -1.
        """
        require_fitted(self, "groups_")
        given = np.asarray(X, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.groups_):
            raise DataError(f"X has the shape {given.shape}; give what `transform` returned: (n, {len(self.groups_)}).")
        out = np.full((len(given), self.n_features_in_), -1, dtype=np.int64)
        for q, group in enumerate(self.groups_):
            present = np.flatnonzero(~np.isnan(given[:, q]))
            for f in group if len(group) > 1 else []:
                own = given[present, q].astype(np.int64) - self.offsets_[f]
                usual, here = int(self.usual_[f]), (own >= 0) & (own < self.bins_.n_bins[f] - 1)
                out[present, f] = np.where(here, own + (own >= usual), usual)
        return out

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the output: those of a bundle joined by "|"."""
        require_fitted(self, "groups_")
        names = _check_feature_names_in(self, input_features)
        return np.array(["|".join(str(names[f]) for f in group) for group in self.groups_], dtype=object)
