"""Permutation importance of the columns of a table, before any encoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.base.names import nearest
from fivefold.base.random import Streams

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Importance:
    """How much a score loses when a column is shuffled.

    Attributes
    ----------
    column : str
    mean : float
        Mean loss over the repeats; about 0 for a column that the model does not use, below 0 by chance only.
    deviation : float
        Standard deviation over the repeats (divisor n - 1); NaN for a single repeat.
    """

    column: str
    mean: float
    deviation: float


def permutation_importance(
    predict: Callable[[pl.DataFrame], Any],
    frame: pl.DataFrame,
    columns: Sequence[str],
    score: Callable[[Any], float],
    *,
    n_repeats: int = 5,
    seed: int = 0,
    higher_is_better: bool = True,
) -> list[Importance]:
    r"""Loss of score when one original column is shuffled over the rows, the model left as it is.

    .. math:: I_j = s - \frac{1}{R} \sum_{r=1}^{R} s_{j,r}

    with s the score of the frame and s_{j,r} that of the frame with column j in the r-th random order; for a score that is
    better when lower the sign is turned, so that a useful column is always positive.

    Parameters
    ----------
    predict : callable (frame) -> prediction
        Called once for the frame and once for each column and repeat.
    frame : polars.DataFrame
        Rows that the model was not trained on.
    columns : sequence of str
        Original columns, shuffled as a whole before the model's recipe encodes them.
    score : callable (prediction) -> float
        Compares with the truth of the rows of ``frame``, in their order.
    n_repeats : int >= 1, default 5
    seed : int >= 0, default 0
        The order of a column depends on seed, column and repeat alone, not on which other columns are asked for.
    higher_is_better : bool, default True

    Returns
    -------
    list of Importance
        Largest mean first; equal ones in the order of ``columns``.

    Raises
    ------
    InputError, DataError
        When a column is missing or named twice, the frame has fewer than two rows, or a score is not a finite number.

    Notes
    -----
    Of two columns that carry the same information each looks unimportant, because the other one remains.

    References
    ----------
    Breiman 2001; Fisher, Rudin & Dominici 2019.
    """
    check_count("n_repeats", n_repeats)
    names = list(columns)
    for name in names:
        if name not in frame.columns:
            hint = ", ".join(nearest(name, frame.columns)) or "it has none"
            raise UnknownNameError(f"The frame has no column {name!r}; the nearest are: {hint}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"The column {twice!r} is named twice; name each column once.")
    if frame.height < 2:
        raise DataError(f"Permutation importance needs at least two rows to shuffle; the frame has {frame.height}.")
    streams = Streams(seed)
    sign = 1.0 if higher_is_better else -1.0
    base = _finite(score(predict(frame)), "the frame as it is")
    found = []
    for name in names:
        losses = np.empty(n_repeats)
        for repeat in range(n_repeats):
            order = streams.numpy(f"permutation-importance:{name}", repeat).permutation(frame.height)
            shuffled = frame.with_columns(frame.get_column(name).gather(order))
            losses[repeat] = sign * (base - _finite(score(predict(shuffled)), f"the shuffled column {name!r}"))
        deviation = float(losses.std(ddof=1)) if n_repeats > 1 else float("nan")
        found.append(Importance(name, float(losses.mean()), deviation))
    return sorted(found, key=lambda one: -one.mean)


def _finite(value: Any, where: str) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise DataError(f"Permutation importance needs a finite score; it is {number:g} for {where}.")
    return number
