"""Losses of boosting: gradients and Hessians of the raw score, the best constant, and what a leaf should hold.

``raw`` is (K, n), ``y`` (n,) and ``weight`` (n,) or None. Written for one row, with s the raw score:

===============  =========================================  ==============================  ===============================
squared          (s - y)^2 / 2                              s - y                           1
absolute         abs(s - y)                                 sign(s - y)                     1, leaves renewed: median
huber            quadratic within alpha, then linear        clip(s - y, -alpha, alpha)      1
quantile         pinball                                    1 - alpha if s >= y else -alpha 1, leaves renewed: quantile
poisson          e^s - y s                                  e^s - y                         e^(s + max_delta_step)
gamma            y e^-s + s                                 1 - y e^-s                      y e^-s
tweedie          -y e^((1-r) s)/(1-r) + e^((2-r) s)/(2-r)   -y e^((1-r) s) + e^((2-r) s)    its derivative
logistic         log(1 + e^s) - y s                         p - y, p = 1 / (1 + e^-s)       p (1 - p)
exponential      e^(-z s), z = 2 y - 1                      -z e^(-z s)                     e^(-z s)
focal            -(1 - q)^gamma log q, q = p of the label   its derivative                  its second one, at least 1e-16
softmax          log sum_k e^s_k - s_y                      p_k - [y = k]                   K / (K - 1) p_k (1 - p_k)
===============  =========================================  ==============================  ===============================

The Hessian of the squared loss is +1; the source prints -1. A gradient y - p belongs to the logit, not to the probability.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError
from fivefold.base.jit import njit

_TINY = 1e-16


class Loss(Stateful):
    """What boosting needs of a loss."""

    n_outputs = 1
    constant_hessian = False
    quantile: float | None = None
    """Level of the residuals' quantile that leaves are renewed with; None keeps the second-order step."""

    def check(self, y: np.ndarray) -> None:
        """Raise when the loss is not defined for these targets."""

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the constant raw score with the least loss: (K,)."""
        return np.array([np.average(y, weights=weight)])

    def gradients(
        self, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None, g: np.ndarray, h: np.ndarray, threads: int
    ) -> None:
        """Write gradients and Hessians (K, n)."""
        self.derive(y, raw[0], g[0], h[0])
        if weight is not None:
            g *= weight
            h *= weight

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        """Write the derivatives of a loss with one output, unweighted: (n,) each."""
        raise NotImplementedError

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """Return the loss of each row: raw (K, n) -> (n,)."""
        raise NotImplementedError

    def link(self, raw: np.ndarray) -> np.ndarray:
        """Return predictions from raw scores: (n, K) -> (n,) values or (n, C) probabilities."""
        return raw[:, 0]


class Squared(Loss):
    constant_hessian = True

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        np.subtract(s, y, out=g)
        h[:] = 1.0

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        return 0.5 * (raw[0] - y) ** 2


class Quantile(Loss):
    constant_hessian = True

    def __init__(self, alpha: float) -> None:
        if not 0 < alpha < 1:
            raise InputError(f"`alpha` of the quantile loss is {alpha!r}; give a level in (0, 1), such as 0.9.")
        self.quantile = alpha

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return np.array([quantile_of(y, weight, self.level)])

    @property
    def level(self) -> float:
        """Level of the quantile."""
        return float(self.quantile if self.quantile is not None else 0.5)

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        g[:] = np.where(s >= y, 1 - self.level, -self.level)
        h[:] = 1.0

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        miss = y - raw[0]
        return np.maximum(self.level * miss, (self.level - 1) * miss)


class Absolute(Quantile):
    def __init__(self) -> None:
        self.quantile = 0.5

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        np.sign(s - y, out=g)
        h[:] = 1.0

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        return np.abs(raw[0] - y)


class Huber(Loss):
    constant_hessian = True

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        np.clip(s - y, -self.alpha, self.alpha, out=g)
        h[:] = 1.0

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        miss = np.abs(raw[0] - y)
        return np.where(miss <= self.alpha, 0.5 * miss**2, self.alpha * (miss - 0.5 * self.alpha))


class LogLink(Loss):
    """The score is the logarithm of the mean."""

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return np.log(np.array([np.average(y, weights=weight)]))

    def link(self, raw: np.ndarray) -> np.ndarray:
        return np.exp(raw[:, 0])

    def check(self, y: np.ndarray) -> None:
        if y.min() < 0 or not y.any():
            raise DataError(
                f"{type(self).__name__} loss needs targets >= 0 that are not all zero; y begins at {y.min():g}."
            )


class Poisson(LogLink):
    def __init__(self, max_delta_step: float) -> None:
        self.safety = max_delta_step

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        np.exp(s, out=h)
        np.subtract(h, y, out=g)
        h *= np.exp(self.safety)

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        return np.exp(raw[0]) - y * raw[0]


class Gamma(LogLink):
    def check(self, y: np.ndarray) -> None:
        if y.min() <= 0:
            raise DataError(f"Gamma loss needs targets > 0; y begins at {y.min():g}.")

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        np.multiply(y, np.exp(-s), out=h)
        np.subtract(1.0, h, out=g)

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        return y * np.exp(-raw[0]) + raw[0]


class Tweedie(LogLink):
    def __init__(self, power: float) -> None:
        if not 1 < power < 2:
            raise InputError(f"`tweedie_variance_power` is {power!r}; give a number in (1, 2), such as 1.5.")
        self.power = power

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        low, high = y * np.exp((1 - self.power) * s), np.exp((2 - self.power) * s)
        g[:] = high - low
        h[:] = (2 - self.power) * high - (1 - self.power) * low

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        p = self.power
        return -y * np.exp((1 - p) * raw[0]) / (1 - p) + np.exp((2 - p) * raw[0]) / (2 - p)


class _Binary(Loss):
    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        share = min(max(float(np.average(y, weights=weight)), 1e-15), 1 - 1e-15)
        return np.array([np.log(share / (1 - share))])

    def link(self, raw: np.ndarray) -> np.ndarray:
        p = sigmoid(raw[:, 0])
        return np.column_stack([1 - p, p])


class Logistic(_Binary):
    def gradients(
        self, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None, g: np.ndarray, h: np.ndarray, threads: int
    ) -> None:
        weights = np.empty(0) if weight is None else weight
        if threads == 1:
            logistic_share(y, raw[0], weights, g[0], h[0], 0, len(y))
        else:
            logistic(y, raw[0], weights, g[0], h[0], threads)

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, raw[0]) - y * raw[0]


class Exponential(_Binary):
    """The score is half the log odds."""

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return super().start(y, weight) / 2

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        sign = 2 * y - 1
        np.exp(-sign * s, out=h)
        np.multiply(-sign, h, out=g)

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        return np.exp((1 - 2 * y) * raw[0])

    def link(self, raw: np.ndarray) -> np.ndarray:
        return super().link(2 * raw)


class Focal(_Binary):
    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def derive(self, y: np.ndarray, s: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
        # With q the probability of the label and t its logit: d/dt = (1-q)^c (c q log q - (1 - q)).
        c, sign = self.gamma, 2 * y - 1
        q = np.clip(sigmoid(sign * s), _TINY, 1 - _TINY)
        log_q, rest = np.log(q), 1 - q
        first = rest**c * (c * q * log_q - rest)
        second = rest**c * q * (c * (rest * (log_q + 1) - c * q * log_q) + (c + 1) * rest)
        g[:] = sign * first
        h[:] = np.maximum(second, _TINY)

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        margin = (2 * y - 1) * raw[0]
        return sigmoid(-margin) ** self.gamma * np.logaddexp(0.0, -margin)


class Softmax(Loss):
    """``factor`` times p (1 - p) bounds the Hessian: K / (K - 1) in LightGBM, 2 in XGBoost."""

    def __init__(self, n_classes: int, factor: float | None = None, *, centered: bool = True) -> None:
        self.n_outputs = n_classes
        self.factor = n_classes / (n_classes - 1) if factor is None else factor
        self.centered = centered

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        shares = np.bincount(y.astype(np.int64), weights=weight, minlength=self.n_outputs)
        return np.log(np.maximum(shares / shares.sum(), 1e-15))

    def gradients(
        self, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None, g: np.ndarray, h: np.ndarray, threads: int
    ) -> None:
        softmax_gradients(y, raw, np.empty(0) if weight is None else weight, self.factor, g, h, threads)

    def values(self, y: np.ndarray, raw: np.ndarray) -> np.ndarray:
        top = raw.max(axis=0)
        picked = raw[y.astype(np.int64), np.arange(len(y))]
        return np.log(np.exp(raw - top).sum(axis=0)) + top - picked

    def link(self, raw: np.ndarray) -> np.ndarray:
        p = np.exp(raw - raw.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)


class Custom(Loss):
    """A callable ``(y, raw) -> (gradient, Hessian)``, raw of the shape (n,), or (n, K) for K > 1 outputs."""

    def __init__(self, function: Callable[..., Any], n_outputs: int = 1) -> None:
        self.function, self.n_outputs = function, n_outputs

    def start(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return np.zeros(self.n_outputs)

    def gradients(
        self, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None, g: np.ndarray, h: np.ndarray, threads: int
    ) -> None:
        single = self.n_outputs == 1
        answer = self.function(y, raw[0] if single else raw.T)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise InputError(f"The custom objective returned {type(answer).__name__}; return (gradient, hessian).")
        for name, got, out in zip(("gradient", "hessian"), answer, (g, h), strict=True):
            values = np.asarray(got, dtype=np.float64)
            wanted = (len(y),) if single else (len(y), self.n_outputs)
            if values.shape != wanted:
                raise InputError(f"The {name} of the custom objective has the shape {values.shape}; it needs {wanted}.")
            out[:] = values if single else values.T
            if weight is not None:
                out *= weight

    def link(self, raw: np.ndarray) -> np.ndarray:
        return raw[:, 0] if self.n_outputs == 1 else raw

    def get_state(self) -> dict[str, Any]:
        return {"n_outputs": self.n_outputs, "function": None}


def sigmoid(s: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-s) without overflow."""
    small = np.exp(-np.abs(s))
    return np.where(s >= 0, 1.0, small) / (1 + small)


@njit
def logistic_share(y, s, weight, g, h, first, last):
    """Write the derivatives of the logistic loss for the rows [first, last): (n,) each."""
    for r in range(first, last):
        p = 1.0 / (1.0 + np.exp(-s[r]))
        w = weight[r] if len(weight) > 0 else 1.0
        g[r] = w * (p - y[r])
        h[r] = w * p * (1.0 - p)


@njit(parallel=True)
def logistic(y, s, weight, g, h, threads):
    """The same for all rows, shared among threads."""
    n = len(y)
    for t in prange(threads):
        logistic_share(y, s, weight, g, h, n * t // threads, n * (t + 1) // threads)


@njit(parallel=True)
def softmax_gradients(y, raw, weight, factor, g, h, threads):
    """Write the derivatives of the softmax loss: raw, g, h (K, n)."""
    n_classes, n = raw.shape
    for t in prange(threads):
        for r in range(n * t // threads, n * (t + 1) // threads):
            top = raw[0, r]
            for c in range(1, n_classes):
                top = max(top, raw[c, r])
            total = 0.0
            for c in range(n_classes):
                total += np.exp(raw[c, r] - top)
            w = weight[r] if len(weight) > 0 else 1.0
            for c in range(n_classes):
                p = np.exp(raw[c, r] - top) / total
                g[c, r] = w * (p - (1.0 if y[r] == c else 0.0))
                h[c, r] = w * factor * p * (1.0 - p)


def quantile_of(values: np.ndarray, weight: np.ndarray | None, level: float) -> float:
    """Return the quantile of a sample, interpolated linearly.

    A weight of two equals a value given twice. Weights below one are measured in units of the smallest, so that weights that
    are all alike change nothing.
    """
    n = len(values)
    if n <= 1:
        return float(values[0]) if n else 0.0
    if weight is None:
        place = level * (n - 1)
        at = min(int(place), n - 2)
        lower, upper = np.partition(values, [at, at + 1])[at : at + 2]
        return float(lower + (upper - lower) * (place - at))
    present = weight > 0
    order = np.argsort(values[present], kind="stable")
    ordered, mass = values[present][order], np.cumsum(weight[present][order])
    one = min(1.0, float(weight[present].min()))
    place = level * (mass[-1] - one)
    at = min(int(np.searchsorted(mass, place, side="right")), len(mass) - 1)
    beyond = (place - (mass[at] - one)) / one  # a value stays level until one unit before its mass ends
    if beyond <= 0 or at == len(mass) - 1:
        return float(ordered[at])
    return float(ordered[at] + (ordered[at + 1] - ordered[at]) * beyond)
