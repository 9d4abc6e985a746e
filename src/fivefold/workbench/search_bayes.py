r"""Bayesian optimization: a Gaussian process over the unit cube and the expected improvement it promises.

The process has the Matérn 5/2 kernel with one length scale a parameter,

.. math:: k(x, x') = s\,\bigl(1 + \sqrt5\,r + \tfrac53 r^2\bigr) e^{-\sqrt5\,r}, \qquad r^2 = \sum_j d_j^2 / l_j^2

where :math:`d_j` is the difference of a number and 0 or 1 for equal or different choices. Its parameters maximize the marginal
likelihood; the next point maximizes :math:`\log E[\max(f(x) - f^*, 0)]`.

References: Snoek, Larochelle & Adams (2012); Ament et al. (2023), Unexpected improvements to expected improvement (the stable
logarithm); Garrido-Merchan & Hernandez-Lobato (2020) (kernels at rounded values).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, ndtr
from scipy.stats import qmc

from fivefold.base.random import Streams

from .search_space import Space

_SQRT5 = math.sqrt(5.0)
_LOG_LENGTH = (math.log(0.02), math.log(20.0))
_LOG_SIGNAL = (math.log(0.02), math.log(50.0))
_LOG_NOISE = (math.log(1e-6), math.log(1.0))


def sobol_points(streams: Streams, name: str, d: int, start: int, n: int) -> np.ndarray:
    """Return points ``start`` … ``start + n - 1`` of a Sobol sequence (n, d), scrambled by a random digital shift.

    The shift (one XOR a dimension) keeps the evenness of the sequence and makes each point uniform on the cube.
    """
    bits = 30
    engine = qmc.Sobol(d, scramble=False, bits=bits)
    # The first draw of the engine warns unless it is a power of two; it is the origin.
    drawn = engine.random(1)
    if start:
        engine.fast_forward(start - 1)
        drawn = engine.random(n)
    elif n > 1:
        drawn = np.vstack([drawn, engine.random(n - 1)])
    shift = streams.numpy(name).integers(0, 2**bits, size=d)
    whole = (drawn * 2.0**bits).astype(np.int64) ^ shift
    return (whole + 0.5) / 2.0**bits


def squared_differences(a: np.ndarray, b: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return the squared differences (d, n, m) of points (n, d) and (m, d); of choices, whether they differ."""
    difference = a.T[:, :, None] - b.T[:, None, :]  # (d, n, m)
    squares = difference**2
    squares[categorical] = np.abs(difference[categorical]) > 1e-9
    return squares


def matern52(squares: np.ndarray, length: np.ndarray, signal: float) -> np.ndarray:
    """Return the kernel matrix (n, m) from :func:`squared_differences` (d, n, m)."""
    r = np.sqrt(np.tensordot(length**-2, squares, axes=1))
    return np.asarray(signal * (1.0 + _SQRT5 * r + 5.0 / 3.0 * r**2) * np.exp(-_SQRT5 * r))


def negative_log_likelihood(theta: np.ndarray, squares: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    r"""Return :math:`-\log p(y)` and its gradient in ``theta``, the logarithms of (l_1 … l_d, s, noise variance).

    .. math:: -\log p(y) = \tfrac12 y^T K^{-1} y + \tfrac12 \log\det K + \tfrac n2 \log 2\pi

    Parameters
    ----------
    theta : array (d + 2,)
    squares : array (d, n, n)
    y : array (n,)
    """
    n = len(y)
    weights = np.exp(-2.0 * theta[:-2])
    signal, noise = math.exp(theta[-2]), math.exp(theta[-1])
    r2 = np.tensordot(weights, squares, axes=1)
    r = np.sqrt(r2)
    decay = np.exp(-_SQRT5 * r)
    K = signal * (1.0 + _SQRT5 * r + 5.0 / 3.0 * r2) * decay
    lower = cholesky(K + noise * np.eye(n), lower=True, check_finite=False)
    inverse = cho_solve((lower, True), np.eye(n), check_finite=False)
    alpha = inverse @ y
    value = 0.5 * y @ alpha + np.log(np.diag(lower)).sum() + 0.5 * n * math.log(2.0 * math.pi)
    inner = inverse - np.outer(alpha, alpha)  # dL/dK = inner / 2
    # dk/dlog l_j = s 5/3 (1 + sqrt5 r) exp(-sqrt5 r) d_j^2 / l_j^2
    slope = inner * (signal * 5.0 / 3.0 * (1.0 + _SQRT5 * r) * decay)
    gradient = np.empty_like(theta)
    gradient[:-2] = 0.5 * weights * np.tensordot(squares, slope, axes=2)
    gradient[-2] = 0.5 * float((inner * K).sum())
    gradient[-1] = 0.5 * noise * float(np.trace(inner))
    return float(value), gradient


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process: points (n, d) of the unit cube, values (n,), kernel parameters and the factor of its matrix."""

    points: np.ndarray
    values: np.ndarray
    categorical: np.ndarray
    length: np.ndarray
    signal: float
    noise: float
    factor: np.ndarray
    alpha: np.ndarray

    @classmethod
    def given(
        cls,
        points: np.ndarray,
        values: np.ndarray,
        length: np.ndarray,
        signal: float,
        noise: float,
        categorical: np.ndarray | None = None,
    ) -> GaussianProcess:
        """Condition a process with known kernel parameters on the observations."""
        kinds = np.zeros(points.shape[1], dtype=bool) if categorical is None else categorical
        K = matern52(squared_differences(points, points, kinds), length, signal)
        factor = cholesky(K + noise * np.eye(len(values)), lower=True, check_finite=False)
        alpha = cho_solve((factor, True), values, check_finite=False)
        return cls(points, values, kinds, length, signal, noise, factor, alpha)

    @classmethod
    def fitted(
        cls,
        points: np.ndarray,
        values: np.ndarray,
        categorical: np.ndarray,
        rng: np.random.Generator,
        restarts: int = 1,
    ) -> GaussianProcess:
        """Condition a process whose parameters maximize the marginal likelihood, from a fixed and ``restarts`` random starts."""
        d = points.shape[1]
        squares = squared_differences(points, points, categorical)
        bounds = [_LOG_LENGTH] * d + [_LOG_SIGNAL, _LOG_NOISE]
        starts = [np.concatenate([np.full(d, math.log(0.5)), [0.0, math.log(1e-3)]])]
        starts += [np.array([rng.uniform(low, high) for low, high in bounds]) for _ in range(restarts)]
        best, theta = math.inf, starts[0]
        for start in starts:
            found = minimize(
                negative_log_likelihood,
                start,
                args=(squares, values),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": 40},
            )
            if found.fun < best:
                best, theta = float(found.fun), found.x
        return cls.given(points, values, np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1]), categorical)

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the function, without the noise, at points (m, d); two arrays (m,)."""
        cross = matern52(squared_differences(points, self.points, self.categorical), self.length, self.signal)
        half = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        variance = self.signal - np.einsum("nm,nm->m", half, half)
        return cross @ self.alpha, np.sqrt(np.maximum(variance, 1e-14))


def log_expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    r"""Return the logarithm of the expected improvement of a normal variable over ``best``, stable far below it.

    .. math:: E[\max(f - f^*, 0)] = \sigma\,\bigl(\varphi(z) + z\,\Phi(z)\bigr), \qquad z = (\mu - f^*) / \sigma
    """
    z = (np.asarray(mean) - best) / deviation
    log_phi = -0.5 * z**2 - 0.5 * math.log(2.0 * math.pi)
    near = np.maximum(z, -1.0)
    direct = np.log(np.exp(-0.5 * near**2) / math.sqrt(2.0 * math.pi) + near * ndtr(near))
    far = np.minimum(z, -1.0)
    # phi + z Phi = phi (1 - |z| sqrt(pi/2) erfcx(|z|/sqrt2)); beyond 1e3 the bracket cancels and 1/z^2 is exact to 3e-6.
    bracket = -np.expm1(np.log(erfcx(-far / math.sqrt(2.0)) * -far) + 0.5 * math.log(math.pi / 2.0))
    tail = np.where(far < -1e3, -2.0 * np.log(-far), np.log(np.where(far < -1e3, 1.0, bracket)))
    return np.asarray(np.log(deviation) + np.where(z > -1.0, direct, log_phi + tail))


def standardize(values: np.ndarray) -> np.ndarray:
    """Return values to be maximized with zero mean and unit variance, bad outliers drawn in.

    A diverged trial would flatten everything else; how bad it is does not matter, so nothing lies further below the median
    than three times the range from the lower quartile to the best.
    """
    middle, lower = np.median(values), np.quantile(values, 0.25)
    span = float(values.max() - lower)
    drawn = np.maximum(values, middle - 3.0 * span) if span > 0 else values
    spread = float(drawn.std())
    return np.asarray((drawn - drawn.mean()) / spread) if spread > 0 else np.zeros_like(drawn)


def suggest(
    space: Space, points: np.ndarray, values: np.ndarray, tried: np.ndarray, streams: Streams, trial: int
) -> np.ndarray | None:
    """Return the point (d,) with the largest expected improvement, none of ``tried``; None when every candidate was tried.

    Parameters
    ----------
    space : Space
    points, values : arrays (n, d) and (n,)
        Finished trials in the unit cube, and what is to be maximized.
    tried : array (m, d)
        Points not to be proposed again.
    streams : Streams
    trial : int
        Number of the trial; candidates and starts are drawn from streams of this counter.
    """
    y = standardize(values)
    process = GaussianProcess.fitted(points, y, space.categorical, streams.numpy("search/restarts", trial))
    best = float(process.predict(points)[0].max())  # the mean, for a noisy best score is partly luck

    def promise(candidates: np.ndarray) -> np.ndarray:
        mean, deviation = process.predict(candidates)
        gain = log_expected_improvement(mean, deviation, best)
        if len(tried):
            near = np.abs(candidates[:, None, :] - tried[None, :, :]).max(axis=2).min(axis=1)
            gain[near < 1e-9] = -np.inf
        return gain

    if space.size is not None and space.size <= 2048:
        candidates = np.array([space.encode(params) for params in space.grid(2048)])
        gains = promise(candidates)
        return None if not np.isfinite(gains.max()) else candidates[int(gains.argmax())]
    rng = streams.numpy("search/candidates", trial)
    d = len(space)
    leaders = points[np.argsort(-y, kind="stable")[:4]]
    wide = sobol_points(streams.child("search/cloud", trial), "shift", d, 0, 512)
    candidates = space.snap(np.vstack([wide, _around(leaders, 0.05, 32, space, rng)]))
    gains = promise(candidates)
    scale = 0.1
    for _ in range(7):  # the best few are refined in ever smaller neighborhoods, all at once
        keep = np.argsort(-gains, kind="stable")[:4]
        fresh = space.snap(_around(candidates[keep], scale, 24, space, rng))
        candidates, gains = np.vstack([candidates[keep], fresh]), np.concatenate([gains[keep], promise(fresh)])
        scale *= 0.4
    return None if not np.isfinite(gains.max()) else candidates[int(gains.argmax())]


def _around(centers: np.ndarray, scale: float, count: int, space: Space, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` points about each center: numbers moved a little, sometimes only one; choices sometimes redrawn."""
    base = np.repeat(centers, count, axis=0)
    n, d = base.shape
    moved = np.clip(base + scale * rng.standard_normal((n, d)), 0.0, 1.0)
    alone = rng.uniform(size=(n, d)) < np.where(rng.uniform(size=n) < 0.5, 1.0, 1.0 / d)[:, None]
    moved = np.where(alone, moved, base)
    redraw = rng.uniform(size=(n, d)) < 0.2
    return np.where(space.categorical, np.where(redraw, rng.uniform(size=(n, d)), base), moved)
