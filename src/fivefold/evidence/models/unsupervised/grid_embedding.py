"""t-SNE on a grid: forces against all pairs, their order of convergence, gradients, maps, threads, repeated and new rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence


def _blobs(n: int, d: int, name: str) -> np.ndarray:
    rng = Streams(1).numpy(name)
    return 4.0 * rng.normal(size=(5, d))[np.arange(n) % 5] + rng.normal(size=(n, d))


def _pairs(Y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the repulsion on every row and the total of similarities, over all pairs."""
    gap = Y[:, None] - Y
    near = 1 / (1 + (gap**2).sum(axis=2))
    np.fill_diagonal(near, 0)
    return ((near**2)[:, :, None] * gap).sum(axis=1), float(near.sum())


def _refuse(Y: np.ndarray) -> tuple[np.ndarray, float]:
    return np.full_like(Y, np.nan), np.nan


def _map(n: int, width: float, dims: int, name: str) -> np.ndarray:
    rng = Streams(1).numpy(name)
    centers = rng.uniform(-0.5, 0.5, size=(20, dims))
    return width * (centers[rng.integers(20, size=n)] + 0.03 * rng.normal(size=(n, dims)))


@evidence(
    "t-sne",
    claim="Forces and total of a grid approach those of all pairs by (spacing / 2)^6, in one and two dimensions",
    against="the sum over all pairs",
)
def grid_forces() -> Check:
    from fivefold.models.unsupervised._interpolation import Grid

    worst = 0.0
    for dims in (1, 2):
        Y = _map(500, 60.0, dims, "grid")
        force, total = _pairs(Y)
        errors = []
        for spacing in (0.8, 0.4, 0.2, 0.1):
            found, whole = Grid(spacing, wide=_refuse)(Y)
            errors.append(float(np.linalg.norm(found - force) / np.linalg.norm(force)))
            # The spectrum of the kernel falls as e^-k: a spline of degree 5 loses e^(-pi/h) past the nodes' last wave.
            bound = 4.0 * np.exp(-np.pi / spacing) + 2.0 * spacing**6
            worst = max_keeping_nan(worst, errors[-1] / bound, abs(whole / total - 1) / bound)
        # Halving the spacing gains at least the factor 2^5 of the slopes of a quintic spline, once waves are resolved.
        worst = max_keeping_nan(worst, 8.0 * errors[1] / errors[0], 32.0 * errors[2] / errors[1])
        worst = max_keeping_nan(worst, 32.0 * errors[3] / errors[2])
    return Check(worst, 1.0, "error over its bound", "the sum over all pairs")


def max_keeping_nan(*values: float) -> float:
    return float(np.max(values))
