"""A table in bins, as the kernels read it."""

from __future__ import annotations

import numpy as np

from ._histograms import COLUMNS_OF_BLOCK


def _aligned(size: int) -> np.ndarray:
    """Return zeroed bytes that begin at a cache line."""
    memory = np.zeros(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


class Binned:
    """A table in bins, in both layouts.

    Attributes
    ----------
    words : uint64 array; the word w of row r in block b is ``words[blocks[b, 0] + r * blocks[b, 1] + w]``
    columns : uint8 array (d, n)
    blocks : int64 array (b, 4), first word, words a row, first column, columns
    n_bins, kinds : int64 arrays (d,); kind 1 is categorical
    widths : int64 array (p,), bins of the p columns in memory: less than d when columns are bundled
    where : int64 array (d, 3), place in memory, offset of the bins there, and default bin (-1 outside of bundles)
    members : int64 array (p + 1 + d,), where the columns of each place begin in this array, then the columns by place
    """

    def __init__(
        self,
        n: int,
        n_bins: np.ndarray,
        kinds: np.ndarray,
        widths: np.ndarray | None = None,
        where: np.ndarray | None = None,
    ) -> None:
        self.n_bins, self.kinds = n_bins, kinds
        alone = np.column_stack([np.arange(len(n_bins)), np.zeros_like(n_bins), np.full_like(n_bins, -1)])
        self.where = (alone if where is None else where).astype(np.int64)
        self.widths = n_bins if widths is None else widths
        d = len(self.widths)
        by_place = np.argsort(self.where[:, 0], kind="stable")
        starts_of = np.searchsorted(self.where[by_place, 0], np.arange(d + 1))
        self.members = np.concatenate([starts_of + d + 1, by_place]).astype(np.int64)
        first = np.arange(0, d, COLUMNS_OF_BLOCK)
        widths = np.minimum(d - first, COLUMNS_OF_BLOCK)
        n_words = -(-widths // 8)
        starts = n * (np.cumsum(n_words) - n_words)
        self.blocks = np.column_stack([starts, n_words, first, widths]).astype(np.int64)
        self.words = _aligned(8 * n * int(n_words.sum())).view(np.uint64)
        self.columns = np.empty((d, n), dtype=np.uint8)
        block = np.arange(d) // COLUMNS_OF_BLOCK
        self.places = 8 * starts[block] + np.arange(d) - first[block]
        self.strides = 8 * n_words[block]

    def __len__(self) -> int:
        return self.columns.shape[1]

    def used(self, mask: np.ndarray) -> np.ndarray:
        """Return how many columns of each word (b, 4) are summed when the columns of ``mask`` (d,) are wanted: 0, 4 or 8."""
        width = 8 * 4 * len(self.blocks)
        wanted = np.zeros(width, dtype=bool)
        wanted[self.where[mask, 0]] = True  # blocks are full but for the last, so columns lie in order
        wanted = wanted.reshape(len(self.blocks), 4, 8)
        return np.where(wanted[:, :, 4:].any(axis=2), 8, np.where(wanted.any(axis=2), 4, 0)).astype(np.int64)
