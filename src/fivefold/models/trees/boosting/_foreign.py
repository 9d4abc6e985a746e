"""Columns of a model that another library fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.base.errors import DataError

from ._tables import Columns

_ALMOST_ZERO = float(np.float32(1e-35))


class ForeignColumns(Columns):
    """Columns as LightGBM reads them: categories are whole numbers (others are cut off), and zero may stand for missing.

    Attributes
    ----------
    names, levels, categorical
        Those of :class:`Columns`.
    categories : list of d float64 arrays or None
        The categories of a column that some tree names, ascending; None for a column without categorical splits.
    places : list of d int64 arrays or None
        LightGBM's code of each category.
    zero_is_missing : bool array (d,)
    """

    @classmethod
    def read(cls, blocks: list[dict[str, str]], header: dict[str, str], frame: Any) -> ForeignColumns:
        """Collect the facts of the columns from the trees of a text model; ``frame`` lists the categories of a frame."""
        self = cls()
        names = header["feature_names"].split()
        d = len(names)
        self.levels, self.categorical = [None] * d, np.zeros(d, dtype=bool)
        self.zero_is_missing = np.zeros(d, dtype=bool)
        codes: list[list[np.ndarray]] = [[] for _ in range(d)]
        for block in blocks:
            feature = np.array(block.get("split_feature", "").split(), dtype=np.int64)
            kind = np.array(block.get("decision_type", "").split(), dtype=np.int64)
            if len(kind) != len(feature) or (feature >= d).any() or (feature < 0).any():
                raise DataError("A tree of the LightGBM model splits on a column that the header does not name.")
            self.zero_is_missing[feature[kind >> 2 == 1]] = True
            self.categorical[feature[kind & 1 == 1]] = True
            numbers = np.array(block.get("threshold", "").split(), dtype=np.float64)
            sets = _sets(block)
            for node in np.flatnonzero(kind & 1):
                codes[feature[node]].append(sets[int(numbers[node])])
        self.names = names if frame else None
        self.places: list[np.ndarray | None] = [
            np.unique(np.concatenate(c)) if self.categorical[f] else None for f, c in enumerate(codes)
        ]
        self.categories = [None if c is None else c.astype(np.float64) for c in self.places]
        if frame:
            self._match(frame, header.get("feature_infos", "").split())
        return self

    def _match(self, frame: list[list[Any]], infos: list[str]) -> None:
        """Take the levels of a frame's categorical columns, which come in the order of the columns."""
        columns = [f for f, info in enumerate(infos) if info != "none" and not info.startswith("[")]
        if len(columns) != len(frame):
            raise DataError(
                f"The LightGBM model knows the categories of {len(frame)} columns of a frame and splits {len(columns)} columns "
                "by level, so that they cannot be matched; train it without ordered or unused categories."
            )
        for f, levels in zip(columns, frame, strict=True):
            texts = np.array([str(level) for level in levels], dtype=str)
            self.levels[f] = np.sort(texts)
            self.categorical[f] = True
            places = self.places[f]
            if places is not None:
                self.categories[f] = np.argsort(np.argsort(texts))[places].astype(np.float64)

    def transform(self, estimator: Any, X: Any) -> Any:
        """Return another table (n, d) with the columns learnt, missing values as NaN."""
        table = super().transform(estimator, X)
        cut = self.categorical & np.array([levels is None for levels in self.levels])
        if not (cut.any() or self.zero_is_missing.any()):
            return table
        out = table.toarray() if sp.issparse(table) else table.copy()
        out[:, cut] = np.trunc(out[:, cut])
        zeros = out[:, self.zero_is_missing]
        out[:, self.zero_is_missing] = np.where(np.abs(zeros) <= _ALMOST_ZERO, np.nan, zeros)
        return out

    def bits(
        self, block: dict[str, str], feature: np.ndarray, number: np.ndarray, by_level: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return, for the nodes of a tree, where their sets of levels begin and the sets as 64-bit words."""
        offsets, parts, at = np.full(len(feature), -1, dtype=np.int32), [], 0
        sets = _sets(block)
        for node in np.flatnonzero(by_level):
            places = self.places[feature[node]]
            if places is None:
                continue
            held = np.searchsorted(places, sets[int(number[node])])
            words = np.zeros(max(4, -(-len(places) // 64)), dtype=np.uint64)
            np.bitwise_or.at(words, held // 64, np.uint64(1) << (held % 64).astype(np.uint64))
            offsets[node] = at
            at += len(words)
            parts.append(words)
        return offsets, np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def _sets(block: dict[str, str]) -> list[np.ndarray]:
    """Return the categories of each bit set of a tree, ascending."""
    words = np.array(block.get("cat_threshold", "").split(), dtype=np.int64)
    edges = np.array(block.get("cat_boundaries", "").split(), dtype=np.int64)
    out = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        bits = (words[start:stop, None] >> np.arange(32)) & 1  # (words, 32)
        out.append(np.flatnonzero(bits.ravel()))
    return out
