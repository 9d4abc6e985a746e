"""Which rows train and which test: decided once, before anything is fitted, for all methods alike.

A fifth of the rows is sealed until the end. The others are dealt into folds: stratified by class, whole groups together,
or forward in time. Rows that repeat each other never fall on two sides.
"""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputError
from fivefold.base.files import atomic_file, write_json
from fivefold.base.random import Streams

SEALED = 5  # one row in so many is sealed
NESTED_BELOW = 1000  # rows; with fewer a sealed test would say too little

KINDS = {
    "random": "shuffled folds",
    "stratified": "folds stratified by class",
    "group": "folds of whole groups",
    "time": "forward in time: each block is tested by what came before it",
    "column": "as the split column says",
}


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The parts of the rows.

    Parameters
    ----------
    kind : one of :data:`KINDS`
    cv : int >= 1
        Folds of a repeat.
    fold : int16 array of shape (repeats, n)
        Fold in which a row tests, −1 for none. By time: number of its block less one, so that block 0 is never tested.
    sealed : bool array of shape (n,)
        Rows of the sealed test.
    clock : array of shape (n,), optional
        Time of each row, for kind "time".
    gap : float
        Distance in the unit of ``clock`` between training and test.
    groups : int64 array of shape (n,), optional
        Rows of equal number stay together.
    """

    kind: str
    cv: int
    fold: np.ndarray
    sealed: np.ndarray
    clock: np.ndarray | None = None
    gap: float = 0.0
    groups: np.ndarray | None = None

    @property
    def repeats(self) -> int:
        """How often the cross-validation is repeated."""
        return len(self.fold)

    @property
    def has_sealed(self) -> bool:
        """Whether some rows are sealed."""
        return bool(self.sealed.any())

    @property
    def nested(self) -> bool:
        """Whether the choice of the winner is judged by nested folds, for lack of sealed rows."""
        return not self.has_sealed and (self.cv >= 3 or (self.kind == "time" and self.cv >= 2))

    def rows(self, what: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return training and test rows, ascending.

        ``what`` is ``("fold", repeat, fold)``; ``("pair", f, g)``: trained on neither fold, tested on both;
        ``("develop",)``: trained on all but the sealed rows, tested on these; ``("all",)``: trained on every row, tested on none.
        """
        if what[0] == "fold":
            repeat, fold = int(what[1]), int(what[2])
            return self._before(repeat, fold), np.flatnonzero(self.fold[repeat] == fold)
        if what[0] == "pair":
            in_pair = np.isin(self.fold[0], [int(what[1]), int(what[2])])
            return np.flatnonzero(~self.sealed & ~in_pair), np.flatnonzero(in_pair)
        if what[0] == "develop":
            train = ~self.sealed
            if self.clock is not None and self.has_sealed:
                train &= self.clock < self.clock[self.sealed].min() - self.gap
            return np.flatnonzero(train), np.flatnonzero(self.sealed)
        return np.arange(len(self.sealed)), np.zeros(0, dtype=np.int64)

    def _before(self, repeat: int, fold: int) -> np.ndarray:
        own = self.fold[repeat]
        if self.kind == "time" and self.clock is not None:
            begin = self.clock[own == fold].min()
            return np.flatnonzero(~self.sealed & (self.clock < begin - self.gap))
        return np.flatnonzero(~self.sealed & (own != fold))

    def inner(
        self, train: np.ndarray, y: np.ndarray | None, seed: int, folds: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``folds`` inner splits of some training rows, of the same kind as the outer ones; positions in the table.

        With one fold a quarter of the rows is held out.
        """
        if self.kind == "time" and self.clock is not None:
            clock = self.clock[train]
            block = time_blocks(clock, max(folds, 3))
            last = int(block.max())
            pairs = []
            for k in range(last - folds + 1, last + 1):
                begin = clock[block == k].min()
                pairs.append((train[clock < begin - self.gap], train[block == k]))
            return [pair for pair in pairs if len(pair[0])]
        groups = None if self.groups is None else self.groups[train]
        dealt = deal(y, groups, max(folds, 4) if folds == 1 else folds, seed, len(train))
        return [(train[dealt != k], train[dealt == k]) for k in range(folds)]

    def table(self) -> pl.DataFrame:
        """Return the parts as ``splits.parquet`` holds them: row, repeat, fold (−1: never tested in it), sealed."""
        repeats, n = self.fold.shape
        return pl.DataFrame(
            {
                "row": np.tile(np.arange(n, dtype=np.int64), repeats),
                "repeat": np.repeat(np.arange(repeats, dtype=np.int64), n),
                "fold": self.fold.reshape(-1).astype(np.int64),
                "sealed": np.tile(self.sealed, repeats),
            }
        )

    def explain(self) -> str:
        """Return one line for people."""
        tested = int((self.fold[0] >= 0).sum())
        times = f", {self.repeats} times" if self.repeats > 1 else ""
        sealed = int(self.sealed.sum())
        end = f"; {sealed:,} rows sealed until the end" if sealed else "; no row sealed"
        return f"{self.cv} {KINDS[self.kind]}{times} over {tested:,} rows{end}"

    def save(self, directory: Path) -> None:
        """Write the parts below ``directory``."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("fold", "sealed", "clock", "groups"):
            values = getattr(self, name)
            if values is not None:
                with atomic_file(directory / f"{name}.npy") as temporary, open(temporary, "wb") as handle:
                    np.save(handle, values, allow_pickle=False)
        write_json(directory / "splits.json", {"kind": self.kind, "cv": self.cv, "gap": self.gap})

    @classmethod
    def load(cls, directory: Path) -> Splits:
        """Read what :meth:`save` wrote."""
        import json

        facts = json.loads((directory / "splits.json").read_text(encoding="utf8"))
        arrays: dict[str, Any] = {}
        for name in ("fold", "sealed", "clock", "groups"):
            path = directory / f"{name}.npy"
            arrays[name] = np.load(path, allow_pickle=False) if path.is_file() else None
        return cls(**facts, **arrays)


def deal(strata: np.ndarray | None, groups: np.ndarray | None, k: int, seed: int, n: int) -> np.ndarray:
    """Deal rows into ``k`` folds of nearly equal size: (n,) int64 in 0 … k−1.

    Parameters
    ----------
    strata : int array (n,), optional
        Classes whose shares every fold keeps.
    groups : int array (n,), optional
        Rows of equal number share a fold. Groups of several rows go, the largest first, to the fold that has fewest rows of
        their class; single rows then fill the folds up.
    """
    from fivefold.evaluation.validation import KFold, StratifiedKFold

    random_state = Streams(seed).integer("compare/folds") % 2**31
    if groups is None or len(np.unique(groups)) == n:
        splitter = (KFold if strata is None else StratifiedKFold)(n_splits=k, shuffle=True, random_state=random_state)
        fold = np.full(n, -1, dtype=np.int64)
        with warnings.catch_warnings():
            # The plan has said so already, with the name of the class.
            warnings.filterwarnings("ignore", message=".*fewer than n_splits.*", category=UserWarning)
            labels = np.zeros(n) if strata is None else strata
            for number, (_, test) in enumerate(splitter.split(np.zeros((n, 1)), labels)):
                fold[test] = number
        return fold
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    sizes = np.bincount(group)
    if len(sizes) < k:
        raise DataError(
            f"The rows fall into {len(sizes)} groups, fewer than {k} folds; use fewer folds or another group."
        )
    label = np.zeros(len(sizes), dtype=np.int64) if strata is None else strata[first]  # class of the group's first row
    ties = Streams(seed).numpy("compare/deal").permutation(len(sizes))
    placed = np.full(len(sizes), -1, dtype=np.int64)
    total = np.zeros(k, dtype=np.int64)
    for stratum in np.unique(label):
        members = np.flatnonzero(label == stratum)
        members = members[np.lexsort((ties[members], -sizes[members]))]
        large, single = members[sizes[members] > 1], members[sizes[members] == 1]
        heap = [(0, int(total[j]), j) for j in range(k)]
        heapq.heapify(heap)
        load = np.zeros(k, dtype=np.int64)
        for member in large.tolist():
            _, _, j = heapq.heappop(heap)
            placed[member] = j
            load[j] += sizes[member]
            heapq.heappush(heap, (int(load[j]), int(total[j] + load[j]), j))
        placed[single] = _fill(load, total, len(single))
        total += load + np.bincount(placed[single], minlength=k)
    return placed[group]


def _fill(load: np.ndarray, total: np.ndarray, count: int) -> np.ndarray:
    """Return the folds of ``count`` single rows so that loads become as equal as they can."""
    k = len(load)
    order = np.lexsort((total, load))
    level = load[order].astype(np.int64)
    share = np.zeros(k, dtype=np.int64)
    # Water filling: the lowest folds rise together.
    for used in range(k, 0, -1):
        height, rest = divmod(count + int(level[:used].sum()), used)
        if height >= level[used - 1]:
            share[order[:used]] = height - level[:used]
            share[order[:rest]] += 1
            break
    return np.repeat(np.arange(k), share)


def time_blocks(clock: np.ndarray, folds: int) -> np.ndarray:
    """Return the block of each row, 0 … folds, of nearly equal size; rows of one moment share a block.

    Raises
    ------
    DataError
        When there are fewer moments than blocks.
    """
    ordered = np.sort(clock)
    borders = ordered[[len(ordered) * j // (folds + 1) for j in range(1, folds + 1)]]
    block = np.searchsorted(borders, clock, side="right")
    if len(np.unique(block)) != folds + 1:
        raise DataError(
            f"The time column has too few different moments for {folds} forward folds; use fewer folds (--cv) or finer times."
        )
    return block


def make_splits(
    *,
    n: int,
    strata: np.ndarray | None,
    cv: int,
    repeats: int,
    seed: int,
    given_test: np.ndarray | None = None,
    time: np.ndarray | None = None,
    gap: float = 0.0,
    group: np.ndarray | None = None,
    column: np.ndarray | None = None,
    duplicates: np.ndarray | None = None,
) -> Splits:
    """Decide the parts of ``n`` rows.

    Parameters
    ----------
    strata : int array (n,), optional
        Class of each row.
    given_test : bool array (n,), optional
        Rows of a test file: sealed as they are.
    time, group, column : arrays (n,), at most one
        Clock of each row; number of its group; values of the split column.
    duplicates : int64 array (n,), optional
        Equal numbers for rows that repeat each other.

    Raises
    ------
    DataError
        When the rows cannot be split so.
    """
    groups = group if group is not None else duplicates
    if column is not None:
        return _by_column(column, strata, cv, repeats, seed, duplicates)
    if time is not None:
        return _by_time(time, gap, cv, given_test)
    kind = "group" if group is not None else "random" if strata is None else "stratified"
    sealed = np.zeros(n, dtype=bool) if given_test is None else given_test.copy()
    if given_test is None and n >= NESTED_BELOW:
        sealed = deal(strata, groups, SEALED, Streams(seed).integer("compare/sealed"), n) == 0
    fold = np.full((repeats, n), -1, dtype=np.int16)
    open_rows = np.flatnonzero(~sealed)
    for repeat in range(repeats):
        fold[repeat, open_rows] = deal(
            None if strata is None else strata[open_rows],
            None if groups is None else groups[open_rows],
            cv,
            seed if repeat == 0 else Streams(seed).integer("compare/repeat", repeat),
            len(open_rows),
        )
    return Splits(kind=kind, cv=cv, fold=fold, sealed=sealed, groups=groups)


def _by_time(clock: np.ndarray, gap: float, cv: int, given_test: np.ndarray | None) -> Splits:
    if gap < 0:
        raise InputError(f"The gap must not be negative; got {gap}.")
    n = len(clock)
    if given_test is not None:
        sealed = given_test.copy()
    elif n < NESTED_BELOW:
        sealed = np.zeros(n, dtype=bool)
    else:
        sealed = clock >= np.sort(clock)[n - n // SEALED]
        if sealed.all() or not sealed.any():
            raise DataError(
                "The time column has the same moment in most rows, so the latest fifth cannot be set apart."
            )
    open_rows = np.flatnonzero(~sealed)
    fold = np.full((1, n), -1, dtype=np.int16)
    fold[0, open_rows] = time_blocks(clock[open_rows], cv) - 1
    splits = Splits(kind="time", cv=cv, fold=fold, sealed=sealed, clock=clock, gap=gap)
    for k in range(cv):
        if not len(splits.rows(("fold", 0, k))[0]):
            raise DataError(f"No row is left to train on before fold {k + 1}; shorten --gap or use fewer folds (--cv).")
    return splits


def _by_column(
    values: np.ndarray, strata: np.ndarray | None, cv: int, repeats: int, seed: int, duplicates: np.ndarray | None
) -> Splits:
    from fivefold.data.splits import column_split

    n = len(values)
    numbers = np.unique(values)
    if values.dtype.kind in "iuf" and len(numbers) > 2:
        fold = np.searchsorted(numbers, values)[None, :].astype(np.int16)
        return Splits(kind="column", cv=len(numbers), fold=fold, sealed=np.zeros(n, dtype=bool))
    if values.dtype.kind in "iuf":
        values = values.astype(bool)
    holdout = column_split(values)
    sealed = np.zeros(n, dtype=bool)
    sealed[holdout.test] = True
    if len(holdout.validation):
        fold = np.full((1, n), -1, dtype=np.int16)
        fold[0, holdout.validation] = 0
        return Splits(kind="column", cv=1, fold=fold, sealed=sealed)
    made = make_splits(n=n, strata=strata, cv=cv, repeats=repeats, seed=seed, given_test=sealed, duplicates=duplicates)
    return replace(made, kind="column")


def test_share(splits: Splits) -> float:
    """Return tested over training rows, on average over folds."""
    shares = []
    for fold in range(splits.cv):
        train, test = splits.rows(("fold", 0, fold))
        shares.append(len(test) / max(1, len(train)))
    return float(np.mean(shares))
