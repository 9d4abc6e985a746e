"""Hold-out splits: disjoint index arrays for training, validation and test, at random, by class, by group, by time or as given.

Every function returns a :class:`Holdout`; ``validation`` is empty unless it was asked for. The rows of each part are in
ascending order, so that a split depends on the seed alone and not on the order in which rows were drawn.
"""

from __future__ import annotations

import datetime
import numbers
from typing import Any, NamedTuple

import numpy as np

from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

Size = float | int


class Holdout(NamedTuple):
    """Row numbers of the parts, int64, ascending and disjoint."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def _count(size: Size, n: int, name: str) -> int:
    if isinstance(size, numbers.Integral) and not isinstance(size, bool):
        if 0 <= size < n:
            return int(size)
        raise InputError(f"{name} must leave rows for training: between 0 and {n - 1} of {n} rows; got {size}.")
    if isinstance(size, numbers.Real) and 0 <= size < 1:
        # A fraction is rounded up, as scikit-learn does; the guard keeps 0.1 * 30 at 3.
        return int(np.ceil(round(size * n, 9)))
    raise InputError(f"{name} must be a fraction in [0, 1) or a number of rows; got {size!r}.")


def _counts(n: int, test_size: Size, validation_size: Size) -> tuple[int, int]:
    if n < 2:
        raise DataError(f"A split needs at least 2 rows; got {n}.")
    test, validation = _count(test_size, n, "test_size"), _count(validation_size, n, "validation_size")
    if test + validation == 0:
        raise InputError("test_size and validation_size are both 0; nothing would be held out.")
    if test + validation >= n:
        raise InputError(
            f"test_size={test_size} and validation_size={validation_size} take {test + validation} of {n} rows and leave none "
            "for training; make them smaller."
        )
    return validation, test


def _holdout(part: np.ndarray) -> Holdout:
    # part (n,): 0 training, 1 validation, 2 test, -1 none
    return Holdout(*(np.flatnonzero(part == k) for k in range(3)))


def _column(values: Any, name: str) -> np.ndarray:
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} must have one value a row, shape (n,); got shape {array.shape}.")
    if array.dtype.kind == "O":
        missing = np.equal(array, None).astype(bool) | (array != array).astype(bool)
    else:
        missing = np.isnan(array) if array.dtype.kind == "f" else np.isnat(array) if array.dtype.kind in "mM" else None
    if missing is not None and missing.any():
        raise DataError(
            f"{name} has {int(missing.sum())} missing values; fill them or drop these rows before the split."
        )
    return array


def _codes(values: np.ndarray, name: str) -> np.ndarray:
    try:
        return np.unique(values, return_inverse=True)[1].reshape(-1)
    except TypeError:
        raise DataError(f"{name} mixes types that cannot be compared; convert it to one type.") from None


def random_split(n: int, *, test_size: Size = 0.2, validation_size: Size = 0.0, random_state: Any = 0) -> Holdout:
    """Hold out rows at random.

    Parameters
    ----------
    n : int >= 2
        Number of rows.
    test_size, validation_size : fraction in [0, 1) or number of rows, defaults 0.2 and 0
        Fractions are of all n rows, rounded up.
    random_state : int, generator or None, default 0

    Returns
    -------
    Holdout

    Raises
    ------
    InputError
        When no row would be left for training, or none held out.
    """
    validation, test = _counts(n, test_size, validation_size)
    order = Streams.of(random_state).numpy("split/random").permutation(n)
    part = np.zeros(n, dtype=np.int8)
    part[order[:test]] = 2
    part[order[test : test + validation]] = 1
    return _holdout(part)


def stratified_split(y: Any, *, test_size: Size = 0.2, validation_size: Size = 0.0, random_state: Any = 0) -> Holdout:
    """Hold out rows so that every part has the class shares of the whole.

    Each class gives its share by largest remainder, so that parts have exactly the size asked for. Every class keeps at
    least one row in training; equal remainders are ordered at random.

    Parameters
    ----------
    y : array of shape (n,)
        Classes; no missing values.
    test_size, validation_size, random_state : as in :func:`random_split`

    Returns
    -------
    Holdout

    Raises
    ------
    DataError
        When there are more classes than training rows, so that a class could not be trained on.
    """
    labels = _column(y, "The target")
    validation, test = _counts(len(labels), test_size, validation_size)
    codes = _codes(labels, "The target")
    counts = np.bincount(codes)
    if len(labels) - test - validation < len(counts):
        raise DataError(
            f"The target has {len(counts)} classes, but only {len(labels) - test - validation} rows would be left for "
            "training; hold out fewer rows, or use a random split if the target is numeric."
        )
    generator = Streams.of(random_state).numpy("split/stratified")
    order = generator.permutation(len(labels))
    grouped = order[np.argsort(codes[order], kind="stable")]  # rows class by class, each class shuffled
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(labels), dtype=np.int64)  # of a row within its shuffled class
    rank[grouped] = np.arange(len(labels)) - np.repeat(starts, counts)
    held = _allot(counts, test + validation, counts - 1, generator)
    tested = _allot(held, test, held, generator) if validation else held
    part = np.zeros(len(labels), dtype=np.int8)
    part[rank < held[codes]] = 1
    part[rank < tested[codes]] = 2
    return _holdout(part)


def _allot(weights: np.ndarray, total: int, limit: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return whole numbers near ``weights`` scaled to sum to ``total``, none above ``limit`` (largest remainder)."""
    exact = weights * (total / max(weights.sum(), 1))
    share = np.minimum(np.floor(exact), limit).astype(np.int64)
    ties = generator.random(len(weights))
    while (left := total - int(share.sum())) > 0:
        open_classes = np.flatnonzero(share < limit)
        best = open_classes[np.lexsort((ties[open_classes], share[open_classes] - exact[open_classes]))]
        share[best[:left]] += 1
    return share


def group_split(groups: Any, *, test_size: Size = 0.2, validation_size: Size = 0.0, random_state: Any = 0) -> Holdout:
    """Hold out whole groups: no group has rows in two parts.

    Groups come in random order; each goes to the held-out part that is still furthest below its size while that brings the
    part nearer to it, else to training.

    Parameters
    ----------
    groups : array of shape (n,)
        Group of each row, for example a user or a patient.
    test_size, validation_size, random_state : as in :func:`random_split`
        Sizes count rows and are met as nearly as whole groups allow; every part asked for gets at least one group.

    Returns
    -------
    Holdout

    Raises
    ------
    DataError
        When there are fewer groups than parts.
    """
    values = _column(groups, "The group column")
    validation, test = _counts(len(values), test_size, validation_size)
    codes = _codes(values, "The group column")
    sizes = np.bincount(codes)
    parts = [(k, target) for k, target in ((2, test), (1, validation)) if target]
    if len(sizes) < len(parts) + 1:
        raise DataError(
            f"The group column has {len(sizes)} group(s), but {len(parts) + 1} parts need at least one each; hold out fewer "
            "parts or split without groups."
        )
    order = Streams.of(random_state).numpy("split/group").permutation(len(sizes))
    part_of = np.zeros(len(sizes), dtype=np.int8)
    position = 0
    for place, (part, target) in enumerate(parts):
        last = len(sizes) - (len(parts) - place)  # leave a group for each later part and for training
        running = np.cumsum(sizes[order[position:last]])
        take = int(np.abs(running - target).argmin()) + 1
        part_of[order[position : position + take]] = part
        position += take
    return _holdout(part_of[codes])


def time_split(times: Any, *, test_size: Size = 0.2, validation_size: Size = 0.0, gap: Any = None) -> Holdout:
    """Hold out the latest rows, with an optional gap before each held-out part.

    Rows of one moment never fall into two parts: a part starts at the first moment of its earliest row, so that it may be
    larger than asked for. Rows within ``gap`` before the first moment of the next part belong to no part.

    Parameters
    ----------
    times : array of shape (n,)
        Dates, times or numbers that grow with time; any row order.
    test_size, validation_size : as in :func:`random_split`
    gap : number, datetime.timedelta or numpy.timedelta64 > 0, optional
        In the unit of ``times``; a row at time t stays in the earlier part only if t < first time of the next part - gap.

    Returns
    -------
    Holdout

    Raises
    ------
    DataError
        When nothing is left for training, for example because most rows share one moment.
    InputError
        For a gap that is negative or of the wrong type.
    """
    clock = _column(times, "The time column")
    if clock.dtype.kind == "O" and len(clock) and isinstance(clock[0], (datetime.date, datetime.datetime)):
        clock = clock.astype("datetime64[us]")
    if clock.dtype.kind not in "iufM":
        raise DataError(
            f"The time column must hold numbers, dates or times; got {clock.dtype}. Parse it to a date first."
        )
    validation, test = _counts(len(clock), test_size, validation_size)
    width = _gap(gap, clock)
    part = np.zeros(len(clock), dtype=np.int8)
    for code, size in ((2, test), (1, validation)):
        if not size:
            continue
        free = np.flatnonzero(part == 0)
        # Ties pull the whole moment into the later part.
        border = np.sort(clock[free])[max(len(free) - size, 0)]
        part[free[clock[free] >= border]] = code
        if width is not None:
            near = free[(clock[free] < border) & (clock[free] >= border - width)]
            part[near] = -1
        if not (part == 0).any():
            raise DataError(
                f"No row is left before {border} for training (gap {gap}); hold out fewer rows, shorten the gap, or give finer "
                "times."
            )
    return _holdout(part)


def _gap(gap: Any, clock: np.ndarray) -> Any:
    if gap is None:
        return None
    if clock.dtype.kind == "M":
        if not isinstance(gap, (datetime.timedelta, np.timedelta64)):
            raise InputError(f"The times are dates, so the gap must be a timedelta; got {gap!r}.")
        width: Any = np.timedelta64(gap)
        negative = width < np.timedelta64(0)
    else:
        if not isinstance(gap, numbers.Real):
            raise InputError(f"The times are numbers, so the gap must be a number; got {gap!r}.")
        width, negative = gap, gap < 0
    if negative:
        raise InputError(f"The gap must not be negative; got {gap!r}.")
    return width


_PART_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing", "holdout"), 2),
}


def column_split(values: Any) -> Holdout:
    """Split as a column of the table says.

    Parameters
    ----------
    values : array of shape (n,)
        "train", "validation" (also valid, val, dev) or "test", whatever the case; or booleans, True for test.

    Returns
    -------
    Holdout

    Raises
    ------
    DataError
        For other values, missing ones, and when training or all held-out parts are empty.
    """
    column = _column(values, "The split column")
    if column.dtype.kind == "b" or all(isinstance(v, (bool, np.bool_)) for v in column[:1]):
        part = np.where(column.astype(bool), 2, 0)
    else:
        names, place = np.unique(np.char.lower(np.char.strip(column.astype(str))), return_inverse=True)
        unknown = [name for name in names.tolist() if name not in _PART_NAMES]
        if unknown:
            shown = ", ".join(map(repr, unknown[:5]))
            raise DataError(
                f"The split column holds {shown}; accepted are train, validation (valid, val, dev) and test, or booleans with "
                "True for test."
            )
        part = np.array([_PART_NAMES[name] for name in names.tolist()], dtype=np.int8)[place.reshape(-1)]
    split = _holdout(part)
    if not len(split.train) or not len(split.validation) + len(split.test):
        raise DataError(
            f"The split column gives {len(split.train)} training, {len(split.validation)} validation and {len(split.test)} test "
            "rows; training and at least one other part need rows."
        )
    return split
