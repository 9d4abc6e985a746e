"""Features that say the same as another one."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from fivefold.data.schema import Schema

from .alarm_scores import level_codes, standardize

TWIN = 0.99999
"""Correlation of two features from which one of them says nothing new."""

TWIN_ROWS = 4_000
TWIN_COLUMNS = 4_000
LEAST_VARIED = 10  # rows off the most frequent value that two copies must share


def near_copies(looked: pl.DataFrame, schema: Schema) -> list[list[str]]:
    """Return the sets of features that say the same: correlated numbers, and categories that are renamed."""
    part = looked[:: max(1, len(looked) // TWIN_ROWS)]
    if len(part) < 2 * LEAST_VARIED:
        return []
    sets: list[list[str]] = []
    numeric = [c.name for c in schema.features if c.kind in ("numeric", "boolean")][:TWIN_COLUMNS]
    seen: dict[bytes, list[str]] = {}
    for column in schema.features:
        if column.kind not in ("categorical", "text"):
            continue
        codes, levels = level_codes(part[column.name])
        if len(codes) - int(np.bincount(codes, minlength=levels).max()) < LEAST_VARIED:
            continue
        _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        renamed = np.argsort(np.argsort(first))[inverse.reshape(-1)]
        seen.setdefault(renamed.tobytes(), []).append(column.name)
    sets += [names for names in seen.values() if len(names) > 1]
    sets += _correlated(part, numeric)
    return sets


def _correlated(part: pl.DataFrame, names: list[str]) -> list[list[str]]:
    """Return sets of numeric columns whose correlation is above ``TWIN`` in size, missing values standing at the mean."""
    if len(names) < 2:
        return []
    values = np.stack([part[name].cast(pl.Float64).to_numpy() for name in names])  # (d, n)
    missing = np.isnan(values)
    there = np.maximum((~missing).sum(axis=1), 1)
    mean = np.where(missing, 0, values).sum(axis=1) / there
    filled = np.where(missing, mean[:, None], values)
    common = np.sort(filled, axis=1)[:, filled.shape[1] // 2]  # a value of more than half of the rows is the median
    varied = (filled != common[:, None]).sum(axis=1) >= LEAST_VARIED
    unit = standardize(filled) / math.sqrt(filled.shape[1])
    coarse = unit.astype(np.float32)
    leader = np.arange(len(names))
    for start in range(0, len(names), 500):
        close = np.abs(coarse[start : start + 500] @ coarse.T) > 0.999
        for i, j in np.argwhere(close):
            i += start
            if i < j and varied[i] and varied[j] and leader[j] == j and abs(float(unit[i] @ unit[j])) > TWIN:
                leader[j] = leader[i]
    sets: dict[int, list[str]] = {}
    for j, i in enumerate(leader.tolist()):
        sets.setdefault(i, []).append(names[j])
    return [members for members in sets.values() if len(members) > 1]
