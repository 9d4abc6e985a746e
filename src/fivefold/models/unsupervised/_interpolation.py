"""Repulsion of t-SNE through a regular grid: rows are spread on nodes, one convolution by FFT, and forces are read off.

The kernel between two rows is replaced by the quintic spline that goes through its values at the nodes. The forces are the
exact gradient of the total so found. Rows are spread in chunks whose number depends on that of the rows alone, and chunks
are added in order, so results do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import prange
from scipy import fft

from fivefold.base.jit import njit
from fivefold.models.trees._threads import threads_for

ORDER = 6
"""Nodes that a row touches in each axis: one more than the degree of the spline."""

NODES = 32  # any value: accuracy against time
"""Cells of a narrow map: its spacing is the width over this number."""

WIDEST = 1024  # any value: memory
"""Nodes of an axis beyond which a grid costs more than a tree of cells."""

_MARGIN = 12  # any value: keeps the spline clear of where the periodic kernel folds
_CHUNK = 4096  # any value: parallel work


@njit(inline="always")
def _spline(t, values, slopes):
    """Write the spline at t, t + 1, ... t + 5 (0 <= t < 1) and its derivative there."""
    values[0], values[1] = t, 1.0 - t
    for order in range(3, ORDER + 1):
        if order == ORDER:
            slopes[0] = values[0]
            for k in range(1, ORDER - 1):
                slopes[k] = values[k] - values[k - 1]
            slopes[ORDER - 1] = -values[ORDER - 2]
        values[order - 1] = (1.0 - t) * values[order - 2] / (order - 1)
        for k in range(order - 2, 0, -1):
            values[k] = ((t + k) * values[k] + (order - t - k) * values[k - 1]) / (order - 1)
        values[0] = t * values[0] / (order - 1)


@njit(parallel=True)
def spread(Y, low, spacing, grids):
    """Add each row of Y (n, 2) to the 6 x 6 nodes around it, chunk by chunk into grids (chunks, a, b) of zeros."""
    n, chunks = len(Y), len(grids)
    for part in prange(chunks):
        first, second, unused = np.empty(ORDER), np.empty(ORDER), np.empty(ORDER)
        for i in range(n * part // chunks, n * (part + 1) // chunks):
            u, v = (Y[i, 0] - low[0]) / spacing[0], (Y[i, 1] - low[1]) / spacing[1]
            a, b = int(u), int(v)
            _spline(u - a, first, unused)
            _spline(v - b, second, unused)
            for r in range(ORDER):
                for c in range(ORDER):
                    grids[part, a + ORDER - 1 - r, b + ORDER - 1 - c] += first[r] * second[c]


@njit(parallel=True)
def gather(Y, low, spacing, field, values, slopes):
    """Write the splined field (a, b) at the rows of Y (n, 2) into values (n,), its gradient into slopes (n, 2)."""
    for i in prange(len(Y)):
        first, second = np.empty(ORDER), np.empty(ORDER)
        first_slope, second_slope = np.empty(ORDER), np.empty(ORDER)
        u, v = (Y[i, 0] - low[0]) / spacing[0], (Y[i, 1] - low[1]) / spacing[1]
        a, b = int(u), int(v)
        _spline(u - a, first, first_slope)
        _spline(v - b, second, second_slope)
        value, down, right = 0.0, 0.0, 0.0
        for r in range(ORDER):
            along, across = 0.0, 0.0
            for c in range(ORDER):
                node = field[a + ORDER - 1 - r, b + ORDER - 1 - c]
                along += second[c] * node
                across += second_slope[c] * node
            value += first[r] * along
            down += first_slope[r] * along
            right += first[r] * across
        values[i] = value
        slopes[i, 0], slopes[i, 1] = down / spacing[0], right / spacing[1]


class Grid:
    """Repulsion among the rows of a map in one or two dimensions.

    Parameters
    ----------
    spacing : float > 0
        Largest distance of nodes; a map narrower than 32 of them gets closer nodes.
    wide : callable
        Serves the maps that are wider than 1018 times the spacing.
    """

    def __init__(self, spacing: float, *, wide: Callable[[np.ndarray], tuple[np.ndarray, float]]) -> None:
        self.spacing = spacing
        self.wide = wide
        self._key: tuple[float, ...] = ()
        self._kernel = np.empty(0)

    def __call__(self, Y: np.ndarray) -> tuple[np.ndarray, float]:
        """Return Σ_j s² (y_i - y_j) for each row of Y (n, k) and Σ_i Σ_j≠i s, with s = 1 / (1 + |y_i - y_j|²)."""
        n, dims = Y.shape
        plane = Y if dims == 2 else np.column_stack([Y, np.zeros(n)])
        # Columns are copied first: reductions over the long axis of a narrow array are slow.
        axes = np.ascontiguousarray(plane.T)
        low = axes.min(axis=1)
        width = axes.max(axis=1) - low
        if not float(width.max()) <= (WIDEST - ORDER) * self.spacing:  # true for NaN as well
            return self.wide(Y)
        spacing = np.minimum(self.spacing, width / NODES)
        # Nodes of a flat axis that are too close would magnify rounding, too far ones drown the other axis.
        spacing = np.maximum(spacing, 1e-3 * spacing.max()) if spacing.max() > 0 else np.full(2, self.spacing)
        nodes = [int(w / s) + ORDER + 1 for w, s in zip(width.tolist(), spacing.tolist(), strict=True)]
        sizes = [fft.next_fast_len(2 * (count + _MARGIN), real=True) for count in nodes]
        chunks = max(1, min(8, n // _CHUNK))  # any value: parallel work
        grids = np.zeros((chunks, *nodes))
        far, slopes = np.empty(n), np.empty((n, 2))
        work = n * ORDER * ORDER * 4  # any value: when threads pay
        with threads_for(work) as workers:
            spread(plane, low, spacing, grids)
            field = self._convolved(grids.sum(axis=0), sizes, spacing, workers)
            gather(plane, low, spacing, field, far, slopes)
        # The kernel is s - 1, which keeps its digits in a narrow map; the slope of s is -2 s² times the difference.
        return -0.5 * slopes[:, :dims], float(n * (n - 1.0) + far.sum())

    def _convolved(self, charge: np.ndarray, sizes: list[int], spacing: np.ndarray, workers: int) -> np.ndarray:
        rows, columns = charge.shape
        key = (*sizes, *spacing.tolist())
        if key != self._key:
            self._kernel, self._key = _transformed(sizes, spacing, workers), key
        wave = fft.rfft(charge, sizes[1], axis=1, workers=workers)
        wave = fft.fft(wave, sizes[0], axis=0, workers=workers, overwrite_x=True)
        wave *= self._kernel
        wave = fft.ifft(wave, axis=0, workers=workers, overwrite_x=True)[:rows]
        return fft.irfft(wave, sizes[1], axis=1, workers=workers)[:, :columns]


def _transformed(sizes: list[int], spacing: np.ndarray, workers: int) -> np.ndarray:
    """Return the transform of s - 1 on a periodic grid, divided by those of the splines of both rows."""
    squares, splines = [], []
    values, unused = np.zeros(ORDER), np.zeros(ORDER)
    _spline(0.0, values, unused)
    for size, step in zip(sizes, spacing.tolist(), strict=True):
        lag = np.minimum(np.arange(size), size - np.arange(size))
        squares.append((lag * step) ** 2)
        turns = 2.0 * math.pi * np.arange(size) / size
        # The spline is symmetric about its third node.
        splines.append(sum(values[k] * np.cos(turns * (k - ORDER // 2)) for k in range(ORDER)) ** 2)
    square = squares[0][:, None] + squares[1]
    wave = fft.rfft2(-square / (1.0 + square), workers=workers).real
    return wave / (splines[0][:, None] * splines[1][: wave.shape[1]])
