r"""Distributions of NGBoost: scores, gradients and natural gradients in closed form.

Parameters are (K, n), raw as the trees give them. With z = (y - m) / s and the log score (minus the log density):

===========  ==================  ============================  ========================  ===============================
             raw parameters      gradient                      Fisher information        natural gradient
===========  ==================  ============================  ========================  ===============================
Normal       m, log s            -z / s, 1 - z^2               diag(1 / s^2, 2)          m - y, (1 - z^2) / 2
LogNormal    m, log s of log y   the same of log y             the same                  the same
Poisson      log r               r - y                         r                         1 - y / r
Categorical  logits 1 ... C - 1  p_k - [y = k]                 diag(p) - p p^T           [y = 0] / p_0 - [y = k] / p_k
===========  ==================  ============================  ========================  ===============================

The metric of a score is twice the integral of dF dF^T over y for the continuous ranked probability score (CRPS). For the
Normal that is diag(2 / s, s) / (2 sqrt(pi)); the paper prints it times s, which makes steps depend on the unit of y.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import special, stats

from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError

_ROOT_PI = float(np.sqrt(np.pi))
_HALF_LOG_TAU = 0.5 * float(np.log(2 * np.pi))


class Distribution(Stateful):
    """One distribution a row; ``raw`` (K, n) holds its parameters as the trees give them."""

    scorings: ClassVar[tuple[str, ...]] = ("log",)

    def __init__(self, raw: np.ndarray) -> None:
        self.raw = raw

    def __len__(self) -> int:
        return self.raw.shape[1]

    @staticmethod
    def check(y: np.ndarray) -> None:
        """Raise when targets lie outside the support."""

    @staticmethod
    def start(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the raw parameters (K,) of greatest likelihood for all rows at once."""
        raise NotImplementedError

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Parameters in their usual form, (n,) each."""
        raise NotImplementedError

    def scores(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        """Return the score of each row (n,), lower is better: "log" (minus the log density) or "crps"."""
        return -self.logpdf(y) if scoring == "log" else self.crps(y)

    def gradient(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        """Return the derivatives (K, n) of the score by the raw parameters."""
        raise NotImplementedError

    def metric(self, scoring: str = "log") -> np.ndarray:
        """Return the Riemannian metric (K, K, n) of the score: Fisher's information for the log score."""
        raise NotImplementedError

    def natural(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        """Return the metric's inverse times the gradient: (K, n)."""
        raise NotImplementedError

    def logpdf(self, y: Any) -> np.ndarray:
        """Return the log density (probability, for counts and classes) of ``y``, one value a row: (n,)."""
        raise NotImplementedError

    def cdf(self, y: Any) -> np.ndarray:
        """Return the probability of values up to ``y``: (n,)."""
        raise NotImplementedError

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score, the integral of (F(t) - [t >= y])^2: (n,)."""
        raise NotImplementedError

    def ppf(self, q: Any) -> np.ndarray:
        """Return the quantiles of level ``q``: (n,)."""
        raise NotImplementedError

    def mean(self) -> np.ndarray:
        """Return the means (n,)."""
        raise NotImplementedError

    def std(self) -> np.ndarray:
        """Return the standard deviations (n,)."""
        raise NotImplementedError

    def rvs(self, generator: np.random.Generator) -> np.ndarray:
        """Return one draw a row: (n,)."""
        return self.ppf(generator.random(len(self)))

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the central interval that holds ``confidence`` of the mass: low (n,) and high (n,)."""
        if not 0 < confidence < 1:
            raise InputError(f"`confidence` is {confidence!r}; give a share in (0, 1), such as 0.9.")
        return self.ppf((1 - confidence) / 2), self.ppf((1 + confidence) / 2)


class Normal(Distribution):
    scorings = ("log", "crps")

    @staticmethod
    def start(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        center = np.average(y, weights=weight)
        spread = np.sqrt(np.average((y - center) ** 2, weights=weight))
        # Equal targets have no spread; a width far below their size stands for it.
        return np.array([center, np.log(max(spread, 1e-9 * max(1.0, abs(center))))])

    @property
    def loc(self) -> np.ndarray:
        """Location m (n,)."""
        return self.raw[0]

    @property
    def scale(self) -> np.ndarray:
        """Scale s (n,)."""
        return np.exp(self.raw[1])

    @property
    def params(self) -> dict[str, np.ndarray]:
        return {"loc": self.loc, "scale": self.scale}

    def gradient(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        s = self.scale
        z = (y - self.loc) / s
        if scoring == "log":
            return np.stack([-z / s, 1 - z * z])
        return np.stack([1 - 2 * special.ndtr(z), s * (2 * _density(z) - 1 / _ROOT_PI)])

    def metric(self, scoring: str = "log") -> np.ndarray:
        s = self.scale
        zero = np.zeros_like(s)
        if scoring == "log":
            return np.array([[s**-2.0, zero], [zero, np.full_like(s, 2.0)]])
        return np.array([[2 / s, zero], [zero, s]]) / (2 * _ROOT_PI)

    def natural(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        s = self.scale
        z = (y - self.loc) / s
        if scoring == "log":
            return np.stack([self.loc - y, (1 - z * z) / 2])
        first, second = self.gradient(y, scoring)
        return np.stack([first * s * _ROOT_PI, second * 2 * _ROOT_PI / s])

    def logpdf(self, y: Any) -> np.ndarray:
        z = (y - self.loc) * np.exp(-self.raw[1])
        return -0.5 * z * z - self.raw[1] - _HALF_LOG_TAU

    def cdf(self, y: Any) -> np.ndarray:
        return special.ndtr((y - self.loc) / self.scale)

    def crps(self, y: np.ndarray) -> np.ndarray:
        s = self.scale
        z = (y - self.loc) / s
        return s * (z * (2 * special.ndtr(z) - 1) + 2 * _density(z) - 1 / _ROOT_PI)

    def ppf(self, q: Any) -> np.ndarray:
        return self.loc + self.scale * special.ndtri(q)

    def mean(self) -> np.ndarray:
        return self.loc

    def std(self) -> np.ndarray:
        return self.scale


class LogNormal(Normal):
    """The logarithm is Normal."""

    @staticmethod
    def check(y: np.ndarray) -> None:
        if y.min() <= 0:
            raise DataError(f"The LogNormal distribution needs targets > 0; y begins at {y.min():g}.")

    @staticmethod
    def start(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return Normal.start(np.log(y), weight)

    def gradient(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        if scoring == "log":
            return super().gradient(np.log(y), scoring)
        m, s = self.loc, self.scale
        mean, tail = self.mean(), special.ndtr((np.log(y) - m) / s - s)
        half = special.ndtr(s / np.sqrt(2))
        first = -2 * mean * (tail + half - 1)
        bell = np.exp(-s * s / 4) / (2 * _ROOT_PI)
        here = y * _density((np.log(y) - m) / s)
        return np.stack([first, s * (s * first + 2 * here - 2 * mean * bell)])

    def metric(self, scoring: str = "log") -> np.ndarray:
        if scoring == "log":
            return super().metric(scoring)
        s = self.scale
        lift = np.exp(self.loc + s * s / 4) / _ROOT_PI
        return lift * np.array([[1 / s, s / 2], [s / 2, s / 2 + s**3 / 4]])

    def natural(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        if scoring == "log":
            return super().natural(np.log(y), scoring)
        (a, b), (_, d) = self.metric(scoring)
        first, second = self.gradient(y, scoring)
        return np.stack([d * first - b * second, a * second - b * first]) / (a * d - b * b)

    def logpdf(self, y: Any) -> np.ndarray:
        return super().logpdf(np.log(y)) - np.log(y)

    def cdf(self, y: Any) -> np.ndarray:
        return super().cdf(np.log(y))

    def crps(self, y: np.ndarray) -> np.ndarray:
        s = self.scale
        z = (np.log(y) - self.loc) / s
        rest = special.ndtr(z - s) + special.ndtr(s / np.sqrt(2)) - 1
        return y * (2 * special.ndtr(z) - 1) - 2 * self.mean() * rest

    def ppf(self, q: Any) -> np.ndarray:
        return np.exp(super().ppf(q))

    def mean(self) -> np.ndarray:
        return np.exp(self.loc + self.scale**2 / 2)

    def std(self) -> np.ndarray:
        return self.mean() * np.sqrt(np.expm1(self.scale**2))


class Poisson(Distribution):
    @staticmethod
    def check(y: np.ndarray) -> None:
        if y.min() < 0 or (y != np.floor(y)).any() or not y.any():
            raise DataError("The Poisson distribution needs counts, whole targets >= 0 that are not all zero.")

    @staticmethod
    def start(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        return np.log(np.array([np.average(y, weights=weight)]))

    @property
    def rate(self) -> np.ndarray:
        """Rate r (n,)."""
        return np.exp(self.raw[0])

    @property
    def params(self) -> dict[str, np.ndarray]:
        return {"mu": self.rate}

    def gradient(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        return (self.rate - y)[None]

    def metric(self, scoring: str = "log") -> np.ndarray:
        return self.rate[None, None]

    def natural(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        return (1 - y / self.rate)[None]

    def logpdf(self, y: Any) -> np.ndarray:
        return y * self.raw[0] - self.rate - special.gammaln(np.asarray(y) + 1.0)

    def cdf(self, y: Any) -> np.ndarray:
        return special.pdtr(np.floor(y), self.rate)

    def crps(self, y: np.ndarray) -> np.ndarray:
        r = self.rate
        bessel = special.ive(0, 2 * r) + special.ive(1, 2 * r)
        return (y - r) * (2 * self.cdf(y) - 1) + 2 * r * np.exp(self.logpdf(y)) - r * bessel

    def ppf(self, q: Any) -> np.ndarray:
        return stats.poisson.ppf(q, self.rate)

    def mean(self) -> np.ndarray:
        return self.rate

    def std(self) -> np.ndarray:
        return np.sqrt(self.rate)


class Categorical(Distribution):
    """Classes 0 ... C - 1; the logit of class 0 is zero."""

    @staticmethod
    def start(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        shares = np.bincount(y.astype(np.int64), weights=weight)
        return np.log(shares[1:] / shares[0])

    @property
    def probabilities(self) -> np.ndarray:
        """Probabilities of the classes (C, n)."""
        logits = np.concatenate([np.zeros((1, len(self))), self.raw])
        p = np.exp(logits - logits.max(axis=0))
        return p / p.sum(axis=0)

    @property
    def params(self) -> dict[str, np.ndarray]:
        return {f"p{k}": p for k, p in enumerate(self.probabilities)}

    def _is(self, y: np.ndarray) -> np.ndarray:
        return np.arange(len(self.raw) + 1)[:, None] == y

    def gradient(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        return (self.probabilities - self._is(y))[1:]

    def metric(self, scoring: str = "log") -> np.ndarray:
        p = self.probabilities[1:]
        return np.eye(len(p))[:, :, None] * p - p[:, None] * p[None]

    def natural(self, y: np.ndarray, scoring: str = "log") -> np.ndarray:
        # Sherman and Morrison: the inverse is diag(1 / p) + 1 1^T / p_0.
        inverse = self._is(y) / np.maximum(self.probabilities, 1e-15)
        return inverse[:1] - inverse[1:]

    def logpdf(self, y: Any) -> np.ndarray:
        logits = np.concatenate([np.zeros((1, len(self))), self.raw])
        return np.take_along_axis(logits, np.asarray(y, dtype=np.int64)[None], axis=0)[0] - special.logsumexp(
            logits, axis=0
        )


def _density(z: np.ndarray) -> np.ndarray:
    """Return the standard normal density."""
    return np.exp(-0.5 * z * z - _HALF_LOG_TAU)


DISTRIBUTIONS: dict[str, type[Distribution]] = {"normal": Normal, "lognormal": LogNormal, "poisson": Poisson}
