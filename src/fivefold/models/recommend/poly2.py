"""Degree-2 polynomial model: a weight of its own for every pair of features."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import SpecError
from fivefold.base.random import Streams

from ._machines import Array, How, Rows, SparseMachine
from ._machines_kernels import poly2_pass, poly2_scores


class Poly2(SparseMachine):
    r"""Linear model of all products of two features.

    .. math:: z = w_0 + \sum_j w_j x_j + \sum_{i \le j} w_{ij} x_i x_j

    Parameters
    ----------
    buckets : int >= 1, optional
        Hash the pairs into so many weights; by default each has its own while these are at most 2^24, else there are 2^24.
    others
        As for the base :class:`~fivefold.models.recommend._machines.SparseMachine`.

    Attributes
    ----------
    n_pairs_trained_ : int
        Weights of pairs that any row of the training data stepped.
    others
        As for the base class.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    Notes
    -----
    On sparse data most pairs never meet in a row, so their weights stay 0: that is what factorization machines mend. One source
    loses the factor dJ/dz in the second line of its gradient; it is :math:`(p - y) x_i x_j`.

    References
    ----------
    Chang et al., "Training and testing low-degree polynomial data mappings via linear SVM", JMLR 2010; 04#poly2.
    """

    MOST = 2**24

    def __init__(self, *, buckets: int | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.buckets = buckets

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.buckets is not None and (
            isinstance(self.buckets, bool) or not isinstance(self.buckets, int) or self.buckets < 1
        ):
            raise SpecError(f"Poly2: buckets must be a whole number of at least 1, got {self.buckets!r}.")

    def _pairs(self) -> tuple[int, int]:
        """Return the weights of pairs, and the buckets (0: each pair has its own)."""
        exact = self.n_features_in_ * (self.n_features_in_ + 1) // 2
        if self.buckets is None and exact <= self.MOST:
            return exact, 0
        size = self.buckets or self.MOST
        return size, size

    def _start(self, streams: Streams) -> Array:
        size, _ = self._pairs()
        self._touched = np.zeros(size, dtype=np.bool_)
        return np.zeros(1 + self.n_features_in_ + size)

    def fit(self, table: Any, target: Any = None, sample_weight: Any = None) -> Poly2:
        super().fit(table, target, sample_weight)
        self.n_pairs_trained_ = int(self._touched.sum())
        del self._touched
        return self

    def _scores(self, rows: Rows) -> Array:
        return poly2_scores(rows.offsets, rows.inds, rows.vals, self.theta_, self.n_features_in_, self._pairs()[1])

    def _pass(self, rows: Rows, y: Array, weight: Array, state: tuple[Array, Array], how: How) -> None:
        data = (rows.offsets, rows.inds, rows.vals, y, weight)
        shape = (self.n_features_in_, self._pairs()[1], self._touched)
        poly2_pass(*data, self.theta_, *state, how, self.task == "binary", *shape)
