"""Rows and columns that a round of boosting draws."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams


def drawn_rows(rows: np.ndarray, share: float, streams: Streams, round_: int) -> np.ndarray:
    """Return ``floor(share n)`` rows (at least one), drawn without replacement, ascending."""
    keep = max(1, int(share * len(rows)))
    keys = streams.numpy("rows", round_).random(len(rows))
    return rows[np.sort(np.argpartition(keys, keep - 1)[:keep])] if keep < len(rows) else rows


def one_side(
    g: np.ndarray,
    h: np.ndarray,
    rows: np.ndarray,
    shares: tuple[float, float],
    rate: float,
    streams: Streams,
    round_: int,
) -> np.ndarray | None:
    """Gradient-based one-side sampling: the rows to use; the drawn ones' gradients and Hessians grow by (1 - a) / b in place.

    The first 1 / learning_rate rounds use all rows, as in LightGBM.
    """
    a, b = shares
    if round_ < int(1 / rate):
        return None
    n = len(rows)
    n_top, n_rest = max(1, int(a * n)), int(b * n)
    if n_top + n_rest >= n:
        return None
    every = n == g.shape[1]
    size = np.abs(g if every else g[:, rows]).sum(axis=0)
    kept = _largest(size, n_top)
    some = np.flatnonzero(~kept)
    keys = streams.numpy("goss", round_).random(n - n_top)
    some = some[_largest(keys, n_rest)]
    factor = (n - n_top) / n_rest if n_rest > 0 else 1.0
    g[:, rows[some]] *= factor
    h[:, rows[some]] *= factor
    kept[some] = True
    return rows[kept]


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return which values (n,) are the k largest, as a mask; of equal ones the first."""
    if k == 0:
        return np.zeros(len(values), dtype=bool)
    least = np.partition(values, len(values) - k)[len(values) - k]
    kept = values > least
    kept[np.flatnonzero(values == least)[: k - np.count_nonzero(kept)]] = True
    return kept


def column_draw(d: int, share: float, streams: Streams, round_: int) -> np.ndarray | None:
    """Return the columns of one round: (d,) bool with ``max(1, round(share d))`` of them."""
    if share >= 1:
        return None
    mask = np.zeros(d, dtype=bool)
    mask[streams.numpy("columns", round_).permutation(d)[: max(1, round(share * d))]] = True
    return mask
