"""Canonical correlation analysis: the directions in two tables of the same rows that go together most."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data

from ._common import finite_squares, signs_of_rows


class CanonicalCorrelationAnalysis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Pairs of directions in two tables of the same rows whose projections correlate most.

    .. math:: \rho_j = \max_{a, b} \operatorname{corr}(X a, Y b) \text{, uncorrelated with the pairs before}, \qquad
              X = U_x S_x V_x^\top, \quad Y = U_y S_y V_y^\top, \quad U_x^\top U_y = L \operatorname{diag}(\rho) R^\top, \quad
              A = \sqrt{n - 1}\, V_x S_x^{-1} L, \quad B = \sqrt{n - 1}\, V_y S_y^{-1} R

    X and Y are centered.

    Parameters
    ----------
    n_components : int >= 1 or None, default None
        Pairs k, at most the lesser rank of the two centered tables; None is that rank.

    Attributes
    ----------
    canonical_correlations_ : array (k,), falling
    x_weights_ : array (d, k), A; the largest entry in size of a column, counted in deviations of the columns of X, is positive
    y_weights_ : array (q, k), B
    x_mean_, y_mean_ : array (d,), (q,)

    Raises
    ------
    DataError
        Missing or infinite values, fewer than two rows, or a table that does not vary.
    InputError
        ``n_components`` outside its range.

    Notes
    -----
    The projections have variance one with the divisor n - 1, as those of R's ``cancor`` up to that factor; scikit-learn
    scales weights to length one instead. With at least as many independent columns as rows less one all correlations are 1 and
    say nothing. The rank is judged after scaling columns to unit variance: singular values below max(n, d) ε of the largest
    count as zero. ``fit_transform`` returns the projections of X alone, as a pipeline needs.

    References
    ----------
    Hotelling, Relations between two sets of variates, 1936; Björck & Golub, Numerical methods for computing angles between
    linear subspaces, 1973; ``06#mds``.
    """

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.canonical_correlations_)

    def fit(self, X: Any, y: Any) -> Self:
        """Find the pairs of X (n, d) and the second table ``y`` (n, q) or (n,)."""
        wanted = None if self.n_components is None else whole("n_components", self.n_components, low=1)
        X, y = checked_data(self, X, y, ensure_min_samples=2, multi_output=True, y_numeric=True)
        X, Y = finite_squares(X.astype(np.float64)), finite_squares(_table(y))
        self.x_mean_, self.y_mean_ = X.mean(axis=0), Y.mean(axis=0)
        x_basis, x_way, x_spread = _basis(X - self.x_mean_, X, "X")
        y_basis, y_way, _ = _basis(Y - self.y_mean_, Y, "y")
        most = min(x_basis.shape[1], y_basis.shape[1])
        if wanted is not None and wanted > most:
            raise InputError(
                f"`n_components` is {wanted}; the lesser rank of the centered X and y is {most}, so give 1 to {most}."
            )
        count = most if wanted is None else wanted
        left, correlations, right = linalg.svd(x_basis.T @ y_basis, full_matrices=False)
        scale = np.sqrt(len(X) - 1.0)
        A, B = scale * x_way @ left[:, :count], scale * y_way @ right[:count].T
        # The sign of a pair is free.
        turn = np.diag(signs_of_rows((A * x_spread[:, None]).T)[:, 0])
        self.x_weights_, self.y_weights_ = A @ turn, B @ turn
        self.canonical_correlations_ = np.minimum(correlations[:count], 1.0)
        return self

    def fit_transform(self, X: Any, y: Any) -> np.ndarray:
        """Find the pairs and return the projections of X: (n, k)."""
        return self.fit(X, y).transform(X)

    def transform(self, X: Any, y: Any = None) -> Any:
        """Return the projections (n, k) of X (n, d), or with ``y`` (n, q) those of both: a pair of arrays (n, k)."""
        require_fitted(self, "x_weights_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        x_scores = (X - self.x_mean_) @ self.x_weights_
        if y is None:
            return x_scores
        try:
            Y = _table(np.asarray(y, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"`y` cannot be read as numbers: {error}.") from error
        if Y.shape != (len(X), len(self.y_mean_)) or not np.isfinite(Y).all():
            raise DataError(
                f"`y` has the shape {Y.shape}; give finite numbers of the shape ({len(X)}, {len(self.y_mean_)})."
            )
        return x_scores, (Y - self.y_mean_) @ self.y_weights_


def _table(y: np.ndarray) -> np.ndarray:
    y = np.asarray(y, dtype=np.float64)
    return y[:, None] if y.ndim == 1 else y


def _basis(centered: np.ndarray, raw: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an orthonormal basis (n, r) of the columns, the way (d, r) from columns to it, and their deviations (d,)."""
    n, d = centered.shape
    spread = centered.std(axis=0)
    # A constant column far from zero keeps deviations of rounding alone.
    varies = spread > 4 * np.finfo(np.float64).eps * np.abs(raw).max(axis=0)  # any value: a few roundings
    if not varies.any():
        raise DataError(f"{name} is constant over the n_samples = {n} rows, so nothing correlates with it.")
    inverse = np.reciprocal(spread, out=np.zeros(d), where=varies)
    U, s, Vh = linalg.svd(centered * inverse, full_matrices=False)
    rank = int((s > max(n, d) * np.finfo(np.float64).eps * s[0]).sum())  # any value: a few roundings
    return U[:, :rank], inverse[:, None] * Vh[:rank].T / s[:rank], spread
