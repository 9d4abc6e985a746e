"""Hold-out and leave-one-out: rows that no model was fitted on, one set or one row at a time."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError

from .metric import Metric
from .selection import _as_metrics, _rows_of, predict_form
from .validation import _column, row_count


def _approximate_mode(counts: np.ndarray, draws: int, rng: Any) -> np.ndarray:
    """Return how many of each class (k,) to draw: its share rounded down, the rest to the largest remainders, ties at random."""
    share = counts / counts.sum() * draws
    whole = np.floor(share)
    missing = int(draws - whole.sum())
    remainder = share - whole
    for value in np.unique(remainder)[::-1]:
        if missing <= 0:
            break
        tied = np.flatnonzero(remainder == value)
        chosen = rng.choice(tied, size=min(len(tied), missing), replace=False)
        whole[chosen] += 1
        missing -= len(chosen)
    return whole.astype(np.int64)


class HoldOut(Stateful):
    r"""Hold-out: fit on one part of the rows, test on the other, drawn once.

    The test part holds :math:`\lceil \text{test\_size} \cdot n \rceil` rows.

    Parameters
    ----------
    test_size : float in (0, 1) or int >= 1, default 0.25
        Share or number of rows held out.
    shuffle : bool, default True
        Draw the rows; False holds out the last ones.
    stratify : bool, default False
        Give both parts the classes of y in the proportions of the whole.
    random_state : int or RandomState, optional
        The parts equal scikit-learn's for the same seed, order included.

    Raises
    ------
    InputError
        When a size leaves no row on one side, or ``stratify`` comes without ``shuffle``.
    DataError
        When a class has a single row, or there are more classes than rows of a part.

    References
    ----------
    Spec ``01#holdout``, ``05#holdout-validation``.
    """

    def __init__(
        self, test_size: float = 0.25, *, shuffle: bool = True, stratify: bool = False, random_state: Any = None
    ) -> None:
        whole = isinstance(test_size, numbers.Integral) and not isinstance(test_size, bool) and test_size >= 1
        part = isinstance(test_size, numbers.Real) and not isinstance(test_size, numbers.Integral) and 0 < test_size < 1
        if not (whole or part):
            raise InputError(f"test_size must be a share in (0, 1) or a number of rows >= 1, got {test_size!r}.")
        if not shuffle and (stratify or random_state is not None):
            raise InputError("stratify and random_state have no effect without shuffle=True.")
        self.test_size = test_size
        self.shuffle = shuffle
        self.stratify = stratify
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1."""
        return 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and the test indices once; ``y`` (n,) is needed for stratification."""
        rows = row_count(X)
        size = self.test_size
        test = int(size) if isinstance(size, numbers.Integral) else int(np.ceil(size * rows))
        train = rows - test
        if train < 1:
            raise InputError(
                f"test_size={size} holds out {test} of {rows} rows and leaves none to fit on; make it smaller."
            )
        if not self.shuffle:
            yield np.arange(train), np.arange(train, rows)
            return
        rng = check_random_state(self.random_state)
        if not self.stratify:
            order = rng.permutation(rows)
            yield order[test:], order[:test]
            return
        code, counts = np.unique(
            _column(y, rows, "y", "HoldOut(stratify=True)"), return_inverse=True, return_counts=True
        )[1:]
        if counts.min() < 2 or len(counts) > min(train, test):
            raise DataError(
                f"A stratified hold-out needs two rows of every class and a row of each of the {len(counts)} classes in both "
                f"parts; the rarest class has {counts.min()}, the parts have {train} and {test} rows. Set stratify=False."
            )
        members = np.split(np.argsort(code, kind="stable"), np.cumsum(counts)[:-1])
        to_train = _approximate_mode(counts, train, rng)
        to_test = _approximate_mode(counts - to_train, test, rng)
        parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for rows_of_class, a, b in zip(members, to_train, to_test):
            drawn = rows_of_class[rng.permutation(len(rows_of_class))]
            parts[0].append(drawn[:a])
            parts[1].append(drawn[a : a + b])
        yield rng.permutation(np.concatenate(parts[0])), rng.permutation(np.concatenate(parts[1]))


@dataclass(frozen=True)
class HoldoutResult:
    """What :func:`holdout_select` found.

    Attributes
    ----------
    name : str
        The candidate that was best on the validation rows.
    estimator : estimator
        It, refitted on training and validation rows.
    validation : dict name -> float
        Score of every candidate on the validation rows; the winner's is optimistic.
    test : float
        Score of the refitted winner on the test rows, which nothing else ever saw.
    parts : tuple of three arrays
        Training, validation and test rows.
    """

    name: str
    estimator: Any
    validation: Mapping[str, float]
    test: float
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]


def holdout_select(
    candidates: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    validation_size: float = 0.25,
    test_size: float = 0.25,
    stratify: bool = False,
    metric: str | Metric | None = None,
    random_state: int | None = None,
) -> HoldoutResult:
    """Fit candidates on training rows, choose on validation rows, refit on both, and test once on the rest.

    Parameters
    ----------
    candidates : mapping name -> estimator
    X : array or frame (n, d)
    y : array (n,)
    validation_size, test_size : float in (0, 1) or int, default 0.25
        The test rows are drawn first; ``validation_size`` is a share of the rows that remain.
    stratify : bool, default False
    metric : name or metric, optional
        Default: the one that ranks the task.
    random_state : int, optional

    Returns
    -------
    HoldoutResult

    Raises
    ------
    InputError, DataError
        When there is no candidate or the rows cannot be split.

    Notes
    -----
    Choosing by the test score instead would make it optimistic for rows still to come: the public score of a leaderboard that
    one tunes on.

    References
    ----------
    Spec ``05#holdout-validation``.
    """
    if not candidates:
        raise InputError("holdout_select needs at least one candidate, for example {'ridge': Ridge()}.")
    target = np.asarray(y)
    outer = HoldOut(test_size, stratify=stratify, random_state=random_state)
    rest, test = next(outer.split(X, target))
    inner = HoldOut(validation_size, stratify=stratify, random_state=random_state)
    first, second = next(inner.split(rest, target[rest]))
    train, validation = rest[first], rest[second]
    chosen = next(iter(_as_metrics(metric, next(iter(candidates.values())), target).values()))

    def score(model: Any, rows: np.ndarray) -> float:
        form = predict_form(model, _rows_of(X, rows), chosen.needs)
        return float(chosen.fresh(getattr(model, "classes_", None)).update(target[rows], form).compute())

    found = {
        name: score(clone(candidate).fit(_rows_of(X, train), target[train]), validation)
        for name, candidate in candidates.items()
    }
    sign = 1.0 if chosen.higher_is_better else -1.0
    best = max(found, key=lambda name: sign * found[name])
    refitted = clone(candidates[best]).fit(_rows_of(X, rest), target[rest])
    return HoldoutResult(best, refitted, found, score(refitted, test), (train, validation, test))


class LeaveOneOut(Stateful):
    """Leave-one-out: as many folds as rows, each row tested by a model fitted on all the others.

    For least squares and ridge regression :func:`leave_one_out_residuals` gives all n errors from one fit.

    Raises
    ------
    DataError
        When there are fewer than two rows.

    References
    ----------
    Stone 1974; spec ``01#leave-one-out``.
    """

    def get_n_splits(self, X: Any, y: Any = None, groups: Any = None) -> int:
        """Return the number of rows."""
        return row_count(X)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and the test indices, row by row; ``y`` and ``groups`` are ignored."""
        rows = row_count(X)
        if rows < 2:
            raise DataError(f"Leave-one-out needs at least 2 rows; got {rows}.")
        every = np.arange(rows)
        for row in range(rows):
            yield np.delete(every, row), every[row : row + 1]


def leave_one_out_residuals(
    X: Any, y: Any, *, alpha: float = 0.0, fit_intercept: bool = True, sample_weight: Any = None
) -> np.ndarray:
    r"""Errors of every row by the least-squares or ridge model fitted on all other rows, in closed form from one fit.

    .. math:: y_i - \hat y_i^{(-i)} = \frac{y_i - \hat y_i}{1 - h_{ii}}, \qquad
              H = Z (Z^T W Z + \alpha D)^{-1} Z^T W

    with Z the columns and the intercept, and D the identity but for the intercept, which is not penalized.

    Parameters
    ----------
    X : array (n, d)
    y : array (n,) or (n, outputs)
    alpha : float >= 0, default 0
        Penalty of the squared coefficients, against the sum (not the mean) of squared errors.
    fit_intercept : bool, default True
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    array of the shape of y
        y minus the prediction.

    Raises
    ------
    DataError
        When values are not accepted, or a row alone determines a coefficient (leverage 1), so that leaving it out leaves
        none.

    Notes
    -----
    The mean of squares is the PRESS statistic over n. O(n d²) in place of n fits.

    References
    ----------
    Allen 1974; spec ``01#leave-one-out``.
    """
    z, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if z.ndim != 2 or target.shape[:1] != z.shape[:1] or target.ndim > 2 or len(z) < 2:
        raise DataError(f"Leave-one-out needs X (n, d), y (n,) and n >= 2; got {z.shape} and {target.shape}.")
    if not (np.isfinite(z).all() and np.isfinite(target).all()):
        raise DataError("Leave-one-out needs finite numbers; X or y holds NaN or infinite values.")
    if not alpha >= 0:
        raise InputError(f"alpha must be >= 0, got {alpha!r}.")
    rows, width = z.shape
    root = np.ones(rows)
    if sample_weight is not None:
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != (rows,) or not (weight >= 0).all() or not weight.any():
            raise DataError(f"sample_weight must be {rows} numbers >= 0 with a positive sum; got shape {weight.shape}.")
        root = np.sqrt(weight)
    penalty = np.full(width, np.sqrt(alpha))
    if fit_intercept:
        z, penalty = np.column_stack([z, np.ones(rows)]), np.append(penalty, 0.0)
    # Least squares on the weighted rows and one row more for each penalized coefficient; Q Q^T projects onto the columns.
    stacked = np.vstack([root[:, None] * z, np.diag(penalty)])  # (n + d, d)
    left, singular, _ = np.linalg.svd(stacked, full_matrices=False)
    q = left[:, singular > singular.max() * max(stacked.shape) * np.finfo(float).eps]
    leverage = (q[:rows] ** 2).sum(axis=1)
    weighted = root.reshape(-1, *[1] * (target.ndim - 1)) * target
    residual = weighted - q[:rows] @ (q[:rows].T @ weighted)
    free = 1.0 - leverage
    if (free < 1e-10).any():
        row = int(np.argmin(free))
        raise DataError(
            f"Row {row} alone determines a coefficient (leverage 1); no model without it predicts it. Set alpha > 0 or drop "
            "a column."
        )
    shape = (-1, *[1] * (target.ndim - 1))
    if (root > 0).all():
        return np.asarray(residual / (free * root).reshape(shape))
    # A row of weight zero takes no part in the fit: its error is that of the fit itself.
    coefficient = np.linalg.lstsq(
        stacked, np.concatenate([weighted, np.zeros((len(penalty), *target.shape[1:]))]), rcond=None
    )
    plain = target - z @ coefficient[0]
    safe = np.where(root > 0, free * root, 1.0).reshape(shape)
    return np.asarray(np.where((root > 0).reshape(shape), residual / safe, plain))
