"""Calibration: whether events that are given probability p happen in a share p of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import DataError

from ._inputs import as_array, as_probabilities, as_rows

CLIP = 1e-15
"""Probabilities are kept in [CLIP, 1 - CLIP] before the logit, as :func:`~fivefold.evaluation.metrics.log_loss` does."""

_STEPS = 100
_STRATEGIES = ("quantile", "uniform")


@dataclass(frozen=True)
class Calibration:
    """Cox's recalibration of probabilities, see :func:`calibration_slope_intercept`.

    Attributes
    ----------
    slope, intercept : float
        b and a of logit P(y = 1) = a + b logit(p). Calibrated: 1 and 0; b < 1 means overconfident. NaN when no finite pair
        fits best: one class only, equal probabilities in all rows, a threshold that parts the classes, or (at extreme
        weights) none reached in 100 steps.
    intercept_given_slope_1 : float
        a of logit P(y = 1) = a + logit(p), calibration in the large: above 0 the probabilities are too low on the whole.
        NaN only when all rows are of one class.
    slope_standard_error : float
        Standard error of ``slope`` from the information matrix, weights counting rows; NaN with the slope.
    """

    slope: float
    intercept: float
    intercept_given_slope_1: float
    slope_standard_error: float


def zero_one(values: np.ndarray, name: str, what: str) -> np.ndarray:
    """Return where ``values`` (n,) are 1, as bool; anything but 0, 1 and booleans is refused."""
    if values.ndim != 1:
        raise DataError(f"{what} takes {name} of shape (n,); got {values.shape}.")
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind not in "iuf":
        raise DataError(f"{what} takes {name} of 0 and 1; found {values[0]!s}. Pass `labels == positive`.")
    positive = values == 1
    strange = np.flatnonzero(~positive & (values != 0))
    if strange.size:
        raise DataError(f"{what} takes {name} of 0 and 1; found {values[strange[0]]:g}. Pass `labels == positive`.")
    return np.asarray(positive)


def _input(
    y_true: Any, probability: Any, sample_weight: Any, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return y (n,) float64, p (n,) float64 and weights or None; rows of weight zero are left out."""
    true, pred, weight = as_rows(y_true, probability, sample_weight, what=what)
    chance = as_probabilities(pred, what)
    if chance.ndim != 1:
        raise DataError(f"{what} takes the probability of the positive class, shape (n,); got {chance.shape}.")
    y, p = zero_one(true, "y_true", what).astype(np.float64), chance.astype(np.float64)
    if weight is not None:
        kept = weight > 0
        y, p, weight = y[kept], p[kept], weight[kept]
    return y, p, weight


def _inner_edges(p: np.ndarray, weight: np.ndarray | None, n_bins: int, strategy: str) -> np.ndarray:
    """Return the n_bins - 1 edges between the bins."""
    check_one_of("strategy", strategy, _STRATEGIES)
    share = np.linspace(0.0, 1.0, check_count("n_bins", n_bins) + 1)
    if strategy == "uniform":
        return share[1:-1]
    if weight is None or np.ptp(weight) == 0:
        return np.asarray(np.percentile(p, share * 100))[1:-1]
    order = np.argsort(p)
    w = weight[order]
    # Row i stands at the middle of its weight; with equal weights that is i / (n - 1), NumPy's linear percentile.
    place = np.cumsum(w) - 0.5 * (w + w[0])
    return np.asarray(np.interp(share[1:-1] * place[-1], place, p[order]))


def _bins(
    y: np.ndarray, p: np.ndarray, weight: np.ndarray | None, n_bins: int, strategy: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean probability, observed share, rows and weight of the bins that hold rows, each (b,)."""
    index = np.searchsorted(_inner_edges(p, weight, n_bins, strategy), p)
    rows = np.bincount(index, minlength=n_bins)
    kept = rows > 0
    total = rows if weight is None else np.bincount(index, weights=weight, minlength=n_bins)
    mean = np.bincount(index, weights=p if weight is None else p * weight, minlength=n_bins)[kept] / total[kept]
    seen = np.bincount(index, weights=y if weight is None else y * weight, minlength=n_bins)[kept] / total[kept]
    return mean, seen, rows[kept], total[kept].astype(np.float64)


def reliability_curve(
    y_true: Any, probability: Any, sample_weight: Any = None, *, n_bins: int = 10, strategy: str = "quantile"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Mean predicted probability and observed share of positives in bins of the probability.

    .. math:: \bar p_b = \frac{\sum_{i \in b} w_i p_i}{\sum_{i \in b} w_i}, \qquad
              \bar y_b = \frac{\sum_{i \in b} w_i y_i}{\sum_{i \in b} w_i}

    Parameters
    ----------
    y_true : array (n,) of 0 and 1, or bool
    probability : array (n,) in [0, 1]
        Probability of class 1.
    sample_weight : array (n,), >= 0, optional
        Rows of weight zero are left out.
    n_bins : int >= 1, default 10
    strategy : "quantile" (default) or "uniform"
        Edges at quantiles of the probabilities, so that bins hold about equal weight, or at equal distances in [0, 1].

    Returns
    -------
    mean_predicted, observed : array (b,)
        By rising probability; b <= n_bins, since empty bins are left out.
    rows : array (b,) of int
        How many rows each bin holds.

    Raises
    ------
    DataError, InputError
        When lengths, values or options are not accepted.

    Notes
    -----
    Without weights the values are those of ``sklearn.calibration.calibration_curve``. Rows of equal probability are never
    parted: where many are tied, several quantiles coincide, and the bins between them are empty and left out, so that the
    others hold more than n / n_bins rows. A probability equal to an edge belongs to the bin below it.

    References
    ----------
    Murphy & Winkler 1977; Niculescu-Mizil & Caruana 2005.
    """
    y, p, weight = _input(y_true, probability, sample_weight, "the reliability curve")
    mean, seen, rows, _ = _bins(y, p, weight, n_bins, strategy)
    return mean, seen, rows


def expected_calibration_error(
    y_true: Any, probability: Any, sample_weight: Any = None, *, n_bins: int = 10, strategy: str = "uniform"
) -> float:
    r"""Mean distance between predicted and observed frequency over bins.

    .. math:: \mathrm{ECE} = \sum_b \frac{W_b}{W} \left| \bar y_b - \bar p_b \right|

    with the bins of :func:`reliability_curve` and W_b the weight of a bin.

    Parameters
    ----------
    y_true, probability, sample_weight, n_bins
        As in :func:`reliability_curve`.
    strategy : "uniform" (default, as in Guo et al.) or "quantile"

    Returns
    -------
    float in [0, 1]
        0 for a calibrated model with endless rows; with n rows and b bins sampling alone adds about sqrt(b / n) times 0.3.

    Raises
    ------
    DataError, InputError
        As :func:`reliability_curve`.

    References
    ----------
    Naeini, Cooper & Hauskrecht 2015; Guo, Pleiss, Sun & Weinberger 2017.
    """
    y, p, weight = _input(y_true, probability, sample_weight, "the expected calibration error")
    mean, seen, _, total = _bins(y, p, weight, n_bins, strategy)
    return float(np.sum(total * np.abs(seen - mean)) / total.sum())


def _log_likelihood(z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    return -float(weight @ np.logaddexp(0.0, np.where(y == 1, -z, z)))


def _newton(
    design: np.ndarray, y: np.ndarray, weight: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Maximize the logistic likelihood; return coefficients (k,) and the information (k, k), or None without an end."""
    theta, total = start, weight.sum()
    z = design @ theta  # (n,)
    value = _log_likelihood(z, y, weight)
    for _ in range(_STEPS):
        q = expit(z)
        gradient = design.T @ (weight * (y - q))  # (k,)
        information = design.T @ ((weight * q * (1.0 - q))[:, None] * design)  # (k, k)
        if not information.any():
            return None  # every row is saturated
        regular = np.linalg.cond(information) < 1e12  # any value: far from where the inverse has no digits left
        damping = 0.0 if regular else 1e-8 * np.trace(information)  # any value: a small share turns the step uphill
        step = np.linalg.solve(information + damping * np.eye(len(theta)), gradient)
        decrement = float(gradient @ step)
        # The likelihood is concave, so halving an ascent step ends at one that raises it enough (but for rounding).
        size = 1.0  # any value: the first length that is tried
        while True:
            z = design @ (theta + size * step)
            reached = _log_likelihood(z, y, weight)
            enough = 1e-4 * size * decrement - 1e-13 * abs(value)  # any value: a share of the rise, and the rounding
            if reached >= value + enough or size < 1e-10:  # any value: as short as rounding
                break
            size *= 0.5  # any value: how fast the step shrinks
        theta, value = theta + size * step, reached
        if decrement <= 1e-20 * total:  # any value: below the rounding of the coefficients
            return theta, information
    return None


def calibration_slope_intercept(y_true: Any, probability: Any, sample_weight: Any = None) -> Calibration:
    r"""Cox's logistic recalibration: the line that best turns log-odds predicted into log-odds observed.

    .. math:: \operatorname{logit} P(y = 1) = a + b \operatorname{logit}(p)

    fitted by maximum likelihood with Newton's method, once with a and b free and once with b = 1.

    Parameters
    ----------
    y_true : array (n,) of 0 and 1, or bool
    probability : array (n,) in [0, 1]
        Clipped to [1e-15, 1 - 1e-15], where the log-odds are ±34.5.
    sample_weight : array (n,), >= 0, optional
        A weight of 2 is the row twice, for the standard error too.

    Returns
    -------
    Calibration
        Slope 1 and intercept 0 when calibrated. Slope below 1: too extreme, as after overfitting; above 1: too timid.
        Entries are NaN where the likelihood has no maximum at finite values; see :class:`Calibration`.

    Raises
    ------
    DataError
        When lengths or values are not accepted.

    Notes
    -----
    "Intercept" means different things in the literature: a of the two-parameter line here, and calibration in the large (a
    with b = 1) in Van Calster et al.; both are returned.

    References
    ----------
    Cox 1958; Miller, Hui & Tierney 1991; Van Calster et al. 2019.
    """
    y, p, weight = _input(y_true, probability, sample_weight, "the calibration slope")
    w = np.ones(len(y)) if weight is None else weight
    nan = float("nan")
    positive = y == 1
    if positive.all() or not positive.any():
        return Calibration(nan, nan, nan, nan)
    clipped = np.clip(p, CLIP, 1.0 - CLIP)
    x = np.log(clipped) - np.log1p(-clipped)
    large = _in_the_large(x, y, w)
    up, down = x[positive], x[~positive]
    # With one covariate the maximum is finite exactly when the classes overlap in both directions.
    if up.min() >= down.max() or up.max() <= down.min():
        return Calibration(nan, nan, large, nan)
    center = float(np.average(x, weights=w))
    scale = float(np.sqrt(np.average((x - center) ** 2, weights=w)))
    design = np.stack([np.ones(len(x)), (x - center) / scale], axis=1)  # (n, 2)
    rate = float(np.average(y, weights=w))
    fit = _newton(design, y, w, np.array([np.log(rate / (1.0 - rate)), 0.0]))  # any value: where the search starts
    if fit is None:
        return Calibration(nan, nan, large, nan)
    (level, tilt), information = fit
    slope = float(tilt) / scale
    error = float(np.sqrt(np.linalg.inv(information)[1, 1])) / scale
    return Calibration(slope, float(level) - slope * center, large, error)


def _in_the_large(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return a with Σ w σ(a + x) = Σ w y: Newton's method inside a bracket that always holds the root."""
    rate = float(np.average(y, weights=weight))
    middle = float(np.log(rate / (1.0 - rate)))
    low, high = float(middle - x.max()), float(middle - x.min())
    a = float(np.clip(middle - np.average(x, weights=weight), low, high))  # any value: where the search starts
    total = weight.sum()
    for _ in range(_STEPS):
        q = expit(a + x)
        excess = float(weight @ (y - q) / total)
        low, high = (a, high) if excess > 0 else (low, a)
        bend = float(weight @ (q * (1.0 - q)) / total)
        new = a + excess / bend if bend > 0 else low - 1.0
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - a) <= 1e-14 * max(1.0, abs(a)):  # any value: the last digits
            return new
        a = new
    return a


def top_label(y_true: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the most probable class is right, and its probability, for the functions of this module.

    Parameters
    ----------
    y_true : array (n,) of int in [0, k)
        Column of the true class.
    probabilities : array (n, k), rows summing to 1

    Returns
    -------
    correct : array (n,) of 0 and 1
    confidence : array (n,) in [1/k, 1]
        Of equal probabilities the first column counts as the prediction.

    Raises
    ------
    DataError
        When shapes do not fit, rows do not sum to 1 or a code has no column.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger 2017.
    """
    true, pred, _ = as_rows(y_true, as_array(probabilities, "probabilities"), what="top-label calibration")
    chance = as_probabilities(pred, "top-label calibration")
    if chance.ndim != 2:
        raise DataError(f"top-label calibration takes probabilities of shape (n, classes); got {pred.shape}.")
    columns = chance.shape[1]
    if true.ndim != 1 or true.dtype.kind not in "iu":
        raise DataError("top-label calibration takes y_true (n,) of whole numbers: the column of each row's class.")
    strange = np.setdiff1d(true, np.arange(columns))
    if strange.size:
        raise DataError(f"y_true holds the code {strange[0]}, but probabilities has the columns 0 to {columns - 1}.")
    guess = np.argmax(chance, axis=1)
    confidence = np.take_along_axis(chance, guess[:, None], axis=1)[:, 0]
    return (guess == true).astype(np.int64), confidence.astype(np.float64)
