"""Why a model errs: squared bias, variance and noise, estimated over many training sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

Sampler = Callable[[np.random.Generator], tuple[Any, Any]]


@dataclass(frozen=True)
class BiasVariance:
    """The parts of the expected squared error, at each test point and on average.

    Attributes
    ----------
    bias2, variance : array (m,)
        Squared bias and variance of the predictions at the test points.
    noise : float
        Variance of the noise in a new target.
    error : float
        Mean squared error against fresh targets where these were given, else against truth plus the known noise.
    standard_error : float
        Standard deviation of ``error - (bias2 + variance + noise)`` that sampling alone explains; 0 when the data sets are
        all that there are.
    mean_prediction : array (m,)
        Average model.
    """

    bias2: np.ndarray
    variance: np.ndarray
    noise: float
    error: float
    standard_error: float
    mean_prediction: np.ndarray

    @property
    def total(self) -> float:
        """Mean squared bias + mean variance + noise: what the identity says the error is."""
        return float(self.bias2.mean() + self.variance.mean() + self.noise)

    @property
    def gap(self) -> float:
        """``error - total``; zero but for sampling."""
        return self.error - self.total

    def __str__(self) -> str:
        return (
            f"error {self.error:.4g} = squared bias {self.bias2.mean():.4g} + variance {self.variance.mean():.4g} "
            f"+ noise {self.noise:.4g} (gap {self.gap:.2g}, standard error {self.standard_error:.2g})"
        )


def decompose(
    predictions: Any, truth: Any, *, noise: float = 0.0, targets: Any = None, exhaustive: bool = False
) -> BiasVariance:
    r"""Decompose the squared error of models that were trained on independent data sets.

    With t = y + ε, E ε = 0, and a model φ trained without the test point,

    .. math:: E (t - \varphi)^2 = \underbrace{(y - E\varphi)^2}_{\text{bias}^2}
              + \underbrace{E (\varphi - E\varphi)^2}_{\text{variance}} + \underbrace{E \varepsilon^2}_{\text{noise}}

    Parameters
    ----------
    predictions : array (D, m)
        Predictions of D >= 2 models at m test points.
    truth : array (m,)
        y, the values without noise.
    noise : float >= 0, default 0
        Variance of ε.
    targets : array (D, m), optional
        Fresh noisy targets, independent of the training sets; with them the error is measured by itself, so that the identity
        can be checked.
    exhaustive : bool, default False
        The D data sets are all that there are, equally likely; then the variance divides by D and nothing is estimated.

    Returns
    -------
    BiasVariance

    Raises
    ------
    DataError
        When shapes do not fit, values are not finite, or there is only one model.

    Notes
    -----
    The bias enters *squared*, and it is E φ - y, not E φ. With D data sets the variance divides by D - 1 and the squared
    bias is corrected by variance/D, so both are unbiased; a squared bias can therefore come out slightly negative. The
    identity is about *new* points: at training points φ depends on ε, and the mean error there is lower (for least squares
    with p parameters and n rows by 2σ²p/n).

    References
    ----------
    Geman, Bienenstock & Doursat 1992; spec ``01#bias-variance``, ``05#bias-variance-decomposition``,
    ``08#bias-variance-decomposition``.
    """
    p, y = np.asarray(predictions, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if p.ndim != 2 or len(p) < 2 or y.shape != p.shape[1:]:
        raise DataError(
            f"The decomposition needs predictions (D, m) of D >= 2 models and truth (m,); got {p.shape} and {y.shape}."
        )
    if not (np.isfinite(p).all() and np.isfinite(y).all()):
        raise DataError("The decomposition needs finite predictions and truth; found NaN or infinite values.")
    if not noise >= 0:
        raise InputError(f"noise is a variance and must be >= 0, got {noise!r}.")
    count = len(p)
    mean = p.mean(axis=0)
    variance = p.var(axis=0, ddof=0 if exhaustive else 1)
    bias2 = (mean - y) ** 2 - (0.0 if exhaustive else variance / count)
    if targets is None:
        error = float(((p - y) ** 2).mean() + noise)
        return BiasVariance(bias2, variance, float(noise), error, 0.0, mean)
    t = np.asarray(targets, dtype=np.float64)
    if t.shape != p.shape:
        raise DataError(f"targets must have the shape of the predictions, {p.shape}; got {t.shape}.")
    # Without fresh targets the identity holds to rounding; what sampling adds is (t - y)² - σ² - 2 (t - y)(φ - y).
    excess = ((t - p) ** 2 - (p - y) ** 2).mean(axis=1) - noise
    error = float(((t - p) ** 2).mean())
    spread = 0.0 if exhaustive else float(excess.std(ddof=1) / np.sqrt(count))
    return BiasVariance(bias2, variance, float(noise), error, spread, mean)


def bias_variance_decomposition(
    estimator: Any,
    sampler: Sampler,
    X_test: Any,
    truth: Any,
    *,
    noise: float = 0.0,
    n_datasets: int = 100,
    random_state: Any = None,
) -> BiasVariance:
    """Train an estimator on many data sets and decompose its squared error at test points.

    Parameters
    ----------
    estimator : estimator
        Cloned for each data set.
    sampler : callable (numpy Generator) -> (X, y)
        Draws one training set; for a fixed table, bootstrap its rows.
    X_test : array (m, d)
    truth : array (m,)
        Values without noise at the test points.
    noise : float >= 0, default 0
        Variance of the noise of a target; with noise > 0 fresh Gaussian targets measure the error independently.
    n_datasets : int >= 2, default 100
    random_state : int, optional

    Returns
    -------
    BiasVariance
        See :func:`decompose` for the equation.

    Raises
    ------
    InputError, DataError
        When a parameter or a shape does not fit.
    """
    check_count("n_datasets", n_datasets, 2)
    streams = Streams.of(random_state)
    y = np.asarray(truth, dtype=np.float64)
    fitted = (clone(estimator).fit(*sampler(streams.numpy("dataset", k))) for k in range(n_datasets))
    predictions = np.stack([np.asarray(model.predict(X_test), dtype=np.float64) for model in fitted])
    if not noise >= 0:
        raise InputError(f"noise is a variance and must be >= 0, got {noise!r}.")
    targets = None
    if noise > 0:
        targets = y + np.sqrt(noise) * streams.numpy("targets").standard_normal((n_datasets, *y.shape))
    return decompose(predictions, y, noise=noise, targets=targets)
