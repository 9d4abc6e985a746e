"""Nested cross-validation: the error of choosing a model and fitting it, not of the model that won."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from fivefold.base.errors import DataError, InputError

from .metric import Metric
from .selection import _as_metrics, _as_splitter, _rows_of, predict_form
from .validation import row_count


@dataclass(frozen=True)
class NestedCrossValidation:
    """The outcome of :func:`nested_cross_validate`.

    Attributes
    ----------
    scores : array (k,)
        For each outer fold, the score on it of the candidate that the other folds chose.
    chosen : tuple of str, one a fold
    inner : mapping name -> array (k,)
        For each outer fold, the mean score of the candidate over the other folds, on which the choice was made.
    outer : mapping name -> array (k,)
        The score of every candidate on the outer fold.
    """

    scores: np.ndarray
    chosen: tuple[str, ...]
    inner: Mapping[str, np.ndarray]
    outer: Mapping[str, np.ndarray]

    @property
    def mean(self) -> float:
        """Mean over the outer folds."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Standard deviation over the outer folds, with k - 1 in the denominator."""
        return float(self.scores.std(ddof=1))


def choose_by_fold(inner: Mapping[str, np.ndarray], *, higher_is_better: bool) -> tuple[str | None, ...]:
    """Return for each fold the candidate that is best on the other folds.

    Parameters
    ----------
    inner : mapping name -> array (k,)
        For each fold, the mean score of the candidate over the other folds; NaN where it was not judged.
    higher_is_better : bool

    Returns
    -------
    tuple of str or None
        One a fold; the earlier of equals, None where no candidate was judged.
    """
    sign = 1.0 if higher_is_better else -1.0
    chosen: list[str | None] = []
    for scores in zip(*inner.values(), strict=True):
        judged = {name: sign * score for name, score in zip(inner, scores, strict=True) if not np.isnan(score)}
        chosen.append(max(judged, key=judged.__getitem__, default=None))
    return tuple(chosen)


def nested_cross_validate(
    candidates: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    metric: str | Metric | None = None,
    groups: Any = None,
    sample_weight: Any = None,
) -> NestedCrossValidation:
    r"""Estimate how well *choosing and fitting* does: for each fold the choice is made on the other folds alone.

    .. math:: c_f = \arg\min_c \frac{1}{k-1} \sum_{g \ne f} e\big(c \text{ fitted without } f, g;\ g\big), \qquad
              \hat e = \frac1k \sum_f e\big(c_f \text{ fitted without } f;\ f\big)

    The winner's own mean over the folds is optimistic, because it was chosen for it; this is not.

    Parameters
    ----------
    candidates : mapping name -> estimator
        Also one model with several settings.
    X, y, groups, sample_weight
        As in :func:`cross_validate`.
    cv : int or splitter, default 5
        Folds k >= 3 that hold each row once; inner and outer folds are the same ones, so a model without the folds f and g
        serves both of them: k (k - 1)/2 inner and k outer fits a candidate.
    metric : name or metric, optional
        Default: the one that ranks the task.

    Returns
    -------
    NestedCrossValidation
        On equal means the earlier candidate is chosen.

    Raises
    ------
    InputError
        When there is no candidate.
    DataError
        When there are fewer than three folds, or they do not hold each row once.

    References
    ----------
    Varma & Simon 2006; Cawley & Talbot 2010; spec ``08#k-fold-cv``.
    """
    if not candidates:
        raise InputError("nested_cross_validate needs at least one candidate, for example {'ridge': Ridge()}.")
    rows, first = row_count(X), next(iter(candidates.values()))
    if y is None or row_count(y) != rows:
        raise DataError(f"X has {rows} rows, y has {'none' if y is None else row_count(y)}; give one target a row.")
    judge = next(iter(_as_metrics(metric, first, y).values()))
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight is not None and weight.shape != (rows,):
        raise DataError(f"sample_weight must have shape ({rows},), one weight a row; got {weight.shape}.")
    folds = [test for _, test in _as_splitter(cv, first, y).split(X, y, groups)]
    if len(folds) < 3 or not np.array_equal(np.sort(np.concatenate(folds)), np.arange(rows)):
        raise DataError(
            f"nested_cross_validate needs three folds or more that hold each of the {rows} rows once; got {len(folds)}."
        )
    fold = np.empty(rows, dtype=np.int64)
    for k, test in enumerate(folds):
        fold[test] = k

    def scores(estimator: Any, left_out: tuple[int, ...]) -> list[float]:
        train = np.flatnonzero(~np.isin(fold, left_out))
        more = {} if weight is None else {"sample_weight": weight[train]}
        model = clone(estimator).fit(_rows_of(X, train), _rows_of(y, train), **more)
        found = []
        for k in left_out:
            fresh = judge.fresh(getattr(model, "classes_", None))
            form = predict_form(model, _rows_of(X, folds[k]), judge.needs)
            found.append(fresh.update(_rows_of(y, folds[k]), form, _rows_of(weight, folds[k])).compute())
        return found

    count = len(folds)
    inner, outer = {}, {}
    for name, estimator in candidates.items():
        table = np.full((count, count), np.nan)  # [f, g]: fitted without both, scored on g
        for f in range(count):
            for g in range(f):
                table[g, f], table[f, g] = scores(estimator, (f, g))
        inner[name] = np.nanmean(table, axis=1)
        outer[name] = np.array([scores(estimator, (f,))[0] for f in range(count)])
    chosen = choose_by_fold(inner, higher_is_better=judge.higher_is_better)
    if None in chosen:
        raise DataError(
            f"No candidate has a score on the folds beside fold {chosen.index(None) + 1}: the metric {judge.name} is not "
            "defined there. Use fewer folds or another metric."
        )
    return NestedCrossValidation(np.array([outer[n][f] for f, n in enumerate(chosen)]), chosen, inner, outer)
