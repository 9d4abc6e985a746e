"""Cross-validation: splitters whose folds equal scikit-learn's index by index."""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fivefold.base.checks import check_count
from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError


def row_count(X: Any) -> int:
    """Return the number of rows of an array, frame, sparse matrix or list."""
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) == 0:
        raise DataError("X must hold rows; got a single value.")
    return int(shape[0]) if shape is not None else len(X)


def _column(values: Any, rows: int, name: str, what: str) -> np.ndarray:
    if values is None:
        raise DataError(f"{what} needs {name}, one entry a row; call split(X, y, groups) with it.")
    column = np.asarray(values)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.shape != (rows,):
        raise DataError(f"{name} must have shape ({rows},), one entry a row of X; got {column.shape}.")
    return column


class _Splitter(Stateful):
    """The protocol of scikit-learn's splitters, so that ours serve there too."""

    n_splits: int

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds; the arguments are ignored."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and the test indices of each fold.

        Parameters
        ----------
        X : array-like with n rows
        y : array (n,), optional
            Labels; needed for stratification.
        groups : array (n,), optional
            Groups; needed for grouping.
        """
        rows = row_count(X)
        if rows < self.n_splits:
            raise DataError(
                f"{type(self).__name__} cannot make {self.n_splits} folds of {rows} rows; "
                f"set n_splits to at most {rows} or give more rows."
            )
        fold = self._folds(rows, y, groups)
        for k in range(self.n_splits):
            test = fold == k
            yield np.flatnonzero(~test), np.flatnonzero(test)

    def _folds(self, rows: int, y: Any, groups: Any) -> np.ndarray:
        """Return the fold of each row (n,)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class _Shuffled(_Splitter):
    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None) -> None:
        self.n_splits = check_count("n_splits", n_splits, 2)
        if not isinstance(shuffle, (bool, np.bool_)):
            raise InputError(f"shuffle must be True or False, got {shuffle!r}.")
        if random_state is not None and not shuffle:
            raise InputError("random_state has no effect without shuffle=True; set shuffle=True or leave it None.")
        self.shuffle = bool(shuffle)
        self.random_state = random_state


class KFold(_Shuffled):
    r"""k-fold cross-validation: each row is tested exactly once, by a model trained on the other folds.

    The first :math:`n \bmod k` folds hold :math:`\lceil n/k \rceil` rows, the others :math:`\lfloor n/k \rfloor`. With the
    errors :math:`e_1 \dots e_k` of the folds, the estimate is their mean :math:`\bar e`; see :func:`cross_validate` for it and
    its variance.

    Parameters
    ----------
    n_splits : int >= 2, default 5
        Number of folds k.
    shuffle : bool, default False
        Assign rows to folds at random; without it folds are contiguous, which is wrong for rows sorted by target.
    random_state : int or RandomState, optional
        Seed of the shuffle; the folds equal scikit-learn's for the same seed.

    Raises
    ------
    InputError
        When a parameter is out of range, or ``random_state`` is given without ``shuffle``.
    DataError
        When there are fewer rows than folds.

    References
    ----------
    Stone 1974; spec ``01#kfold``, ``05#k-fold-cv``, ``08#k-fold-cv``.
    """

    def _folds(self, rows: int, y: Any, groups: Any) -> np.ndarray:
        order = np.arange(rows)
        if self.shuffle:
            check_random_state(self.random_state).shuffle(order)
        sizes = np.full(self.n_splits, rows // self.n_splits)
        sizes[: rows % self.n_splits] += 1
        fold = np.empty(rows, dtype=np.int64)
        fold[order] = np.repeat(np.arange(self.n_splits), sizes)
        return fold


class StratifiedKFold(_Shuffled):
    """k folds that each hold the classes in the proportions of the whole.

    Parameters
    ----------
    n_splits : int >= 2, default 5
    shuffle : bool, default False
        Shuffle within each class.
    random_state : int or RandomState, optional
        The folds equal scikit-learn's for the same seed.

    Raises
    ------
    DataError
        When ``y`` is missing or continuous, or every class has fewer rows than there are folds.

    Warns
    -----
    UserWarning
        When some class has fewer rows than there are folds, so that some folds lack it.
    """

    def _folds(self, rows: int, y: Any, groups: Any) -> np.ndarray:
        label = _column(y, rows, "y", "StratifiedKFold")
        if label.dtype.kind == "f" and not np.equal(label, np.floor(label)).all():
            raise DataError(
                f"StratifiedKFold keeps proportions of classes, but y holds {label[label != np.floor(label)][0]!r}; "
                "use KFold for a continuous target."
            )
        _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
        # Classes are numbered by first appearance, which decides who gets the larger shares; as in scikit-learn.
        code = np.argsort(np.argsort(first))[inverse]
        counts = np.bincount(code)
        if (counts < self.n_splits).all():
            raise DataError(
                f"StratifiedKFold cannot make {self.n_splits} folds: the largest class has only {counts.max()} rows; "
                f"set n_splits to at most {max(counts.max(), 2)} or use KFold."
            )
        if counts.min() < self.n_splits:
            warnings.warn(
                f"A class has only {counts.min()} rows, fewer than n_splits={self.n_splits}; some folds lack it.",
                UserWarning,
                stacklevel=3,
            )
        rng = check_random_state(self.random_state)
        ranked = np.sort(code)
        # Dealing the sorted rows round robin says how many of each class every fold receives.
        share = np.array([np.bincount(ranked[k :: self.n_splits], minlength=len(counts)) for k in range(self.n_splits)])
        fold = np.empty(rows, dtype=np.int64)
        for c in range(len(counts)):
            block = np.repeat(np.arange(self.n_splits), share[:, c])
            if self.shuffle:
                rng.shuffle(block)
            fold[code == c] = block
        return fold


class GroupKFold(_Shuffled):
    """k folds that never part a group: rows of one patient, user or document are tested together.

    Groups are dealt from the largest down, each to the fold with the fewest rows.

    Parameters
    ----------
    n_splits : int >= 2, default 5
    shuffle : bool, default False
        Deal the groups at random instead, in equal numbers.
    random_state : int or RandomState, optional
        The folds equal scikit-learn's for the same seed.

    Raises
    ------
    DataError
        When ``groups`` are missing or fewer than the folds.
    """

    def _folds(self, rows: int, y: Any, groups: Any) -> np.ndarray:
        column = _column(groups, rows, "groups", "GroupKFold")
        names, code = np.unique(column, return_inverse=True)
        if len(names) < self.n_splits:
            raise DataError(
                f"GroupKFold cannot make {self.n_splits} folds of {len(names)} groups; set n_splits to at most {len(names)}."
            )
        fold_of = np.empty(len(names), dtype=np.int64)
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(len(names))
            for k, part in enumerate(np.array_split(order, self.n_splits)):
                fold_of[part] = k
            return fold_of[code]
        sizes = np.bincount(code)
        # A heap of (rows, fold).
        lightest = [(0, k) for k in range(self.n_splits)]  # any value: only differences of rows matter
        for group in np.argsort(sizes, kind="stable")[::-1].tolist():
            held, k = lightest[0]
            heapq.heapreplace(lightest, (held + int(sizes[group]), k))
            fold_of[group] = k
        return fold_of[code]


class TimeSeriesSplit(_Splitter):
    """Folds in the order of time: each is tested by a model trained on what lies before it.

    Parameters
    ----------
    n_splits : int >= 2, default 5
    max_train_size : int >= 1, optional
        Rows of a training window that slides; default: all of the past.
    test_size : int >= 1, optional
        Rows of each test fold; default n // (n_splits + 1).
    gap : int >= 0, default 0
        Rows left out between training and test, for targets that look ahead (a 7-day target on daily rows wants 6).

    Raises
    ------
    DataError
        When no row would be left to train the first fold.
    """

    def __init__(
        self, n_splits: int = 5, *, max_train_size: int | None = None, test_size: int | None = None, gap: int = 0
    ) -> None:
        self.n_splits = check_count("n_splits", n_splits, 2)
        self.max_train_size = None if max_train_size is None else check_count("max_train_size", max_train_size)
        self.test_size = None if test_size is None else check_count("test_size", test_size)
        self.gap = check_count("gap", gap, 0)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and the test indices of each fold, oldest first; ``y`` and ``groups`` are ignored."""
        rows = row_count(X)
        size = self.test_size if self.test_size is not None else rows // (self.n_splits + 1)
        first = rows - self.n_splits * size
        if size == 0 or first - self.gap <= 0:
            raise DataError(
                f"TimeSeriesSplit leaves nothing to train the first of {self.n_splits} folds: {rows} rows, test folds of "
                f"{size} and a gap of {self.gap}; set fewer splits, a smaller test_size or a smaller gap."
            )
        for start in range(first, rows, size):
            end = start - self.gap
            begin = 0 if self.max_train_size is None else max(0, end - self.max_train_size)
            yield np.arange(begin, end), np.arange(start, start + size)
