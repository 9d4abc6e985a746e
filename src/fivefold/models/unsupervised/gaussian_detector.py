"""Gaussian density as an anomaly detector."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from scipy import linalg

from fivefold.base.checks import choice, real
from fivefold.base.errors import DataError
from fivefold.data.validation import checked_data, sample_weights

from ._common import Detector, finite_squares


class GaussianAnomalyDetector(Detector):
    r"""Rows where a fitted normal density is low are anomalies.

    .. math:: \mu = \frac1N \sum_i x_i, \quad \Sigma = \frac1N \sum_i (x_i - \mu)(x_i - \mu)^\top, \qquad
              \ln f(x) = -\tfrac12\left(D \ln 2\pi + \ln\lvert\Sigma\rvert + (x - \mu)^\top \Sigma^{-1} (x - \mu)\right)

    Parameters
    ----------
    covariance_type : {"full", "diag"}, default "full"
        All covariances, or the variances alone.
    reg_covar : float >= 0, default 0.0
        Added to the variances, in units of the squared column.
    contamination : float in [0, 0.5], default 0.1
        Share of training rows below the threshold ``offset_``.
    threshold : float or None, default None
        Log-density λ of the threshold instead; a row is normal when ln f(x) >= λ.

    Attributes
    ----------
    location_ : array (d,)
    covariance_ : array (d, d)
    offset_ : float, the threshold

    Raises
    ------
    DataError
        Missing or infinite values, fewer than two rows, or a singular covariance, which has no density.
    InputError
        A parameter outside its range.

    Notes
    -----
    The divisor is N, of maximum likelihood. A constant column or one that others determine makes the density infinite on a
    plane; that is refused and not mended unasked. Singularity is judged after scaling all columns to unit variance, so that
    units do not matter. 06#gaussian-anomaly names the parameters "μ and covariance μ"; the second is Σ.

    References
    ----------
    ``06#gaussian-anomaly``.

    Examples
    --------
    >>> GaussianAnomalyDetector().fit([[0.0], [1.0], [2.0], [3.0]]).covariance_.tolist()
    [[1.25]]
    """

    _expected_failed_checks = {
        "check_sample_weight_equivalence_on_dense_data": (
            "the check leaves fewer distinct rows than columns, which have no density and are refused"
        ),
    }

    def __init__(
        self,
        *,
        covariance_type: str = "full",
        reg_covar: float = 0.0,
        contamination: float = 0.1,
        threshold: float | None = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.contamination = contamination
        self.threshold = threshold

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit mean and covariance of X (n, d), rows counted by ``sample_weight`` (n,); ``y`` is ignored."""
        choice("covariance_type", self.covariance_type, ("full", "diag"))
        ridge = real("reg_covar", self.reg_covar, low=0.0)
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64))
        weight = sample_weights(sample_weight, len(X))
        share = np.full(len(X), 1.0 / len(X)) if weight is None else weight / weight.sum()
        mean = share @ X
        mean += share @ (X - mean)  # a second pass takes away what rounding left of a far mean
        centered = X - mean
        covariance = (centered.T * share) @ centered
        if self.covariance_type == "diag":
            covariance = np.diag(np.diag(covariance))
        # A constant column far from zero has a variance of rounding alone.
        rounding = 4 * np.finfo(np.float64).eps  # any value: a few roundings
        noise = np.square(rounding * mean)
        constant = np.flatnonzero(np.diag(covariance) <= noise)
        covariance[np.diag_indices_from(covariance)] += ridge
        if len(constant) and ridge == 0:
            raise DataError(
                f"Column {constant[0]} of X is constant over the n_samples = {len(X)} rows, so the covariance is singular "
                "and there is no density; drop the column or set `reg_covar` above zero."
            )
        self._factor(covariance)
        self.location_, self.covariance_ = mean, covariance
        if self.threshold is None:
            kept = slice(None) if weight is None else weight > 0
            self._set_offset(self._score(X[kept]))
        else:
            self.offset_ = real("threshold", self.threshold)
        return self

    def _factor(self, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the deviations (d,) and the Cholesky factor (d, d) of the correlations."""
        deviation = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(deviation, deviation)
        factor, failed = linalg.lapack.dpotrf(correlation, lower=1, clean=1)
        if failed or np.diag(factor).min() ** 2 < 16 * len(correlation) * np.finfo(np.float64).eps:
            raise DataError(
                "The columns of X determine one another (or there are fewer rows than columns), so the covariance is "
                "singular and there is no density; drop columns, use covariance_type='diag' or set `reg_covar` above zero."
            )
        return deviation, factor

    def mahalanobis(self, X: np.ndarray) -> np.ndarray:
        """Return the squared Mahalanobis distance of the rows to the mean: X (n, d) -> (n,)."""
        deviation, factor = self._factor(self.covariance_)
        scaled = (np.asarray(X, dtype=np.float64) - self.location_) / deviation
        return (linalg.solve_triangular(factor, scaled.T, lower=True) ** 2).sum(axis=0)

    def _score(self, X: np.ndarray) -> np.ndarray:
        deviation, factor = self._factor(self.covariance_)
        log_det = 2.0 * float(np.log(np.diag(factor)).sum() + np.log(deviation).sum())
        return -0.5 * (X.shape[1] * math.log(2.0 * math.pi) + log_det + self.mahalanobis(X))
