"""The compiled loop of an affine map of images."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

_SNAP = 1e-9  # any value: tiny, in pixels; rounding of a quarter turn must not blend in the border


@njit
def sample(X: np.ndarray, back: np.ndarray, fill: float, out: np.ndarray) -> None:
    """Write to ``out`` (n, c, h, w) the old value at ``back`` (n, 2, 3) of each new pixel; ``fill`` stands outside."""
    n, channels, height, width = X.shape
    for i in range(n):
        for y in range(height):
            for x in range(width):
                u = back[i, 0, 0] * x + back[i, 0, 1] * y + back[i, 0, 2]
                v = back[i, 1, 0] * x + back[i, 1, 1] * y + back[i, 1, 2]
                if abs(u - round(u)) < _SNAP:
                    u = float(round(u))
                if abs(v - round(v)) < _SNAP:
                    v = float(round(v))
                left, top = int(np.floor(u)), int(np.floor(v))
                right, low = u - left, v - top
                for c in range(channels):
                    total = 0.0
                    for dy in range(2):
                        share_y = low if dy else 1.0 - low
                        for dx in range(2):
                            share = share_y * (right if dx else 1.0 - right)
                            if share == 0.0:
                                continue
                            inside = 0 <= top + dy < height and 0 <= left + dx < width
                            total += share * (X[i, c, top + dy, left + dx] if inside else fill)
                    out[i, c, y, x] = total
