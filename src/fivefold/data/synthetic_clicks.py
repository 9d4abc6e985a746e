"""A click log whose click probabilities are known: Zipf categories in many fields, weights of each, planted products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fivefold.base.errors import InputError
from fivefold.base.random import Streams

ZIPF = 1.1
"""Exponent of the categories' frequencies by rank."""

LINEAR_STD, PRODUCT_STD = 0.15, 0.6
"""Spread of a category's own weight and of a planted product."""


@dataclass(frozen=True)
class SyntheticClicks:
    """A table of clicks.

    Attributes
    ----------
    frame : polars.DataFrame
        ``click`` (0 or 1) and the fields ``c0`` …, whole numbers.
    probability : array (n,)
        Of each row; no ranking is better than by it.
    products : array (n,)
        The planted products of each row, summed: what no linear model sees.
    sizes : tuple of int
        Categories of each field.
    pairs : tuple of pairs of fields
        Whose products are planted.
    """

    frame: pl.DataFrame
    probability: NDArray[np.float64]
    products: NDArray[np.float64]
    sizes: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


def field_sizes(fields: int, categories: int) -> tuple[int, ...]:
    """Return geometrically growing sizes from 4 on that add up to about ``categories``."""
    low, high = 0.0, float(categories)
    for _ in range(60):  # any value from 40 on: bisection of the largest size
        middle = (low + high) / 2
        low, high = (middle, high) if np.geomspace(4, 4 + middle, fields).sum() < categories else (low, middle)
    return tuple(np.round(np.geomspace(4, 4 + low, fields)).astype(int).tolist())


def synthetic_clicks(
    rows: int, *, fields: int = 39, categories: int = 1_000_000, n_pairs: int = 12, seed: int = 0, part: int = 0
) -> SyntheticClicks:
    r"""Draw a click log with known probabilities.

    .. math:: P(y = 1) = \sigma\Big(-1 + \sum_f w_{f, c_f} + \sum_{(f, g)} u_{f, c_f} \, v_{g, c_g}\Big), \qquad
        P(c_f = r) \propto r^{-1.1}

    Parameters
    ----------
    rows : int >= 1
    fields : int >= 4, default 39
    categories : int >= 4 * fields, default 1000000
        In all fields together; sizes grow geometrically.
    n_pairs : int >= 1, default 12
        Planted products between the smallest fields, ten at most, each with numbers of its own.
    seed : int, default 0
    part : int >= 0, default 0
        Further rows of the same log: the weights are those of the seed.

    Returns
    -------
    SyntheticClicks

    Raises
    ------
    InputError
        For counts out of range.
    """
    if rows < 1 or fields < 4 or categories < 4 * fields or n_pairs < 1 or part < 0:
        raise InputError(
            "A click log needs rows >= 1, fields >= 4, categories >= 4 * fields, n_pairs >= 1 and part >= 0; got "
            f"{rows}, {fields}, {categories}, {n_pairs} and {part}."
        )
    streams = Streams(seed)
    own = (part,) if part else ()
    sizes = field_sizes(fields, categories)
    codes = np.empty((rows, fields), dtype=np.int64)
    score = np.full(rows, -1.0)
    for f, size in enumerate(sizes):
        shares = np.arange(1, size + 1, dtype=np.float64) ** -ZIPF
        edges = np.cumsum(shares) / shares.sum()
        codes[:, f] = np.minimum(
            np.searchsorted(edges, streams.numpy("codes", f, *own).random(rows), side="right"), size - 1
        )
        score += LINEAR_STD * streams.numpy("weights", f).normal(size=size)[codes[:, f]]
    small = min(fields, 10)
    possible = [(f, g) for f in range(small) for g in range(f + 1, small)]
    chosen = streams.numpy("pairs").permutation(len(possible))[:n_pairs]
    pairs = tuple(possible[k] for k in sorted(chosen.tolist()))
    products = np.zeros(rows)
    for number, (f, g) in enumerate(pairs):
        u, v = (streams.numpy("products", number, side).normal(size=sizes[h]) for side, h in enumerate((f, g)))
        products += PRODUCT_STD * u[codes[:, f]] * v[codes[:, g]]
    probability = 1 / (1 + np.exp(-(score + products)))
    click = (streams.numpy("clicks", *own).random(rows) < probability).astype(np.int64)
    columns = {f"c{f}": codes[:, f] for f in range(fields)}
    return SyntheticClicks(pl.DataFrame({"click": click, **columns}), probability, products, sizes, pairs)
