"""Scores over folds: mean and variance of a method, and the choice among several."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import _safe_indexing

from fivefold.base.errors import CapabilityError, DataError, InputError, InputTypeError

from .metric import Metric
from .registry import default_metrics, get_metric
from .validation import KFold, StratifiedKFold, row_count


@dataclass(frozen=True)
class CrossValidation:
    """The outcome of :func:`cross_validate`.

    Attributes
    ----------
    scores : mapping metric -> array (k,)
        One value a fold.
    fit_time, predict_time : array (k,), seconds
    estimators : list
        The fitted estimators, if they were asked for.
    """

    scores: Mapping[str, np.ndarray]
    fit_time: np.ndarray
    predict_time: np.ndarray
    estimators: list[Any] = field(default_factory=list)

    @property
    def mean(self) -> dict[str, float]:
        """Metric -> mean over the folds."""
        return {name: float(np.mean(values)) for name, values in self.scores.items()}

    @property
    def variance(self) -> dict[str, float]:
        """Metric -> unbiased variance over the folds, with k - 1 in the denominator.

        The folds share training rows, so this understates the variance of the mean times k (Bengio & Grandvalet 2004).
        """
        return {name: float(np.var(values, ddof=1)) for name, values in self.scores.items()}

    @property
    def std(self) -> dict[str, float]:
        """Metric -> standard deviation over the folds."""
        return {name: float(np.sqrt(value)) for name, value in self.variance.items()}

    def __str__(self) -> str:
        return "\n".join(f"{name}: {self.mean[name]:.6g} ± {self.std[name]:.3g}" for name in self.scores)


def predict_form(estimator: Any, X: Any, needs: str) -> Any:
    """Return the predictions of a fitted estimator in the form a metric needs.

    Parameters
    ----------
    estimator : fitted estimator
    X : array (n, d)
    needs : "labels", "scores", "probabilities" or "values"
        For two classes, scores and probabilities are those of ``classes_[1]``, (n,); else (n, k).

    Raises
    ------
    CapabilityError
        When the estimator gives no probabilities or scores.
    """
    if needs in ("labels", "values"):
        return estimator.predict(X)
    if hasattr(estimator, "predict_proba"):
        probability = np.asarray(estimator.predict_proba(X))
        return probability[:, 1] if probability.ndim == 2 and probability.shape[1] == 2 else probability
    if needs == "scores" and hasattr(estimator, "decision_function"):
        return estimator.decision_function(X)
    raise CapabilityError(
        f"The metric needs {needs}, but {type(estimator).__name__} has no predict_proba"
        f"{' or decision_function' if needs == 'scores' else ''}; choose a metric of labels or another estimator."
    )


def _rows_of(values: Any, index: np.ndarray) -> Any:
    return None if values is None else _safe_indexing(values, index)


def _as_splitter(cv: Any, estimator: Any, y: Any) -> Any:
    if hasattr(cv, "split") and not isinstance(cv, str):
        return cv
    if isinstance(cv, int) and not isinstance(cv, bool):
        return StratifiedKFold(cv) if is_classifier(estimator) and y is not None else KFold(cv)
    raise InputTypeError(f"cv must be a number of folds or a splitter with split(X, y, groups); got {cv!r}.")


def _as_metrics(metrics: Any, estimator: Any, y: Any) -> dict[str, Metric]:
    if metrics is None:
        task = "regression"
        if is_classifier(estimator):
            task = "binary" if len(np.unique(np.asarray(y))) <= 2 else "multiclass"
        metrics = default_metrics(task)[:1]
    if isinstance(metrics, (str, Metric)):
        metrics = [metrics]
    made = [metric if isinstance(metric, Metric) else get_metric(metric) for metric in metrics]
    return {metric.name: metric for metric in made}


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    metrics: str | Metric | Sequence[str | Metric] | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    return_estimator: bool = False,
) -> CrossValidation:
    r"""Fit a fresh copy of an estimator on all folds but one, score it on that one, and do so for every fold.

    .. math:: \bar e = \frac1k \sum_j e_j, \qquad s^2 = \frac{1}{k-1} \sum_j (e_j - \bar e)^2

    Parameters
    ----------
    estimator : estimator
        Cloned for every fold; the one given is not touched.
    X : array, frame or sparse matrix (n, d)
    y : array (n,) or (n, outputs)
    cv : int or splitter, default 5
        A number means contiguous :class:`StratifiedKFold` for classifiers and :class:`KFold` for others.
    metrics : name, metric or several, optional
        Default: the one that ranks the task (roc-auc, log-loss or rmse).
    groups : array (n,), optional
        For the splitter.
    sample_weight : array (n,), optional
        Given to ``fit`` and to the metrics.
    return_estimator : bool, default False

    Returns
    -------
    CrossValidation
        Scores a fold with ``mean``, ``variance`` and ``std``, and the seconds of fitting and predicting.

    Raises
    ------
    UnknownNameError
        When a metric is unknown.
    CapabilityError
        When a metric needs probabilities that the estimator does not give.
    DataError
        When the rows cannot be split, or a metric is undefined on a fold (such as roc-auc of one class).

    References
    ----------
    Spec ``05#k-fold-cv``, ``08#k-fold-cv``.
    """
    rows = row_count(X)
    if y is None or row_count(y) != rows:
        raise DataError(f"X has {rows} rows, y has {'none' if y is None else row_count(y)}; give one target a row.")
    wanted = _as_metrics(metrics, estimator, y)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight is not None and weight.shape != (rows,):
        raise DataError(f"sample_weight must have shape ({rows},), one weight a row; got {weight.shape}.")
    scores: dict[str, list[float]] = {name: [] for name in wanted}
    fit_time, predict_time, fitted = [], [], []
    for train, test in _as_splitter(cv, estimator, y).split(X, y, groups):
        model = clone(estimator)
        start = time.perf_counter()
        more = {} if weight is None else {"sample_weight": weight[train]}
        model.fit(_rows_of(X, train), _rows_of(y, train), **more)
        middle = time.perf_counter()
        forms = {needs: predict_form(model, _rows_of(X, test), needs) for needs in {m.needs for m in wanted.values()}}
        fit_time.append(middle - start)
        predict_time.append(time.perf_counter() - middle)
        true, test_weight = _rows_of(y, test), _rows_of(weight, test)
        for name, metric in wanted.items():
            fresh = metric.fresh(getattr(model, "classes_", None))
            scores[name].append(fresh.update(true, forms[metric.needs], test_weight).compute())
        if return_estimator:
            fitted.append(model)
    return CrossValidation(
        {name: np.array(values) for name, values in scores.items()}, np.array(fit_time), np.array(predict_time), fitted
    )


@dataclass(frozen=True)
class Selection:
    """The outcome of :func:`select_model`: the winner's name, refitted on all rows, and the folds of every candidate."""

    name: str
    estimator: Any
    results: Mapping[str, CrossValidation]


def select_model(
    candidates: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    metric: str | Metric | None = None,
    groups: Any = None,
    sample_weight: Any = None,
) -> Selection:
    """Choose the candidate with the best mean over the same folds and refit it on all rows given.

    Only then is it tested, once, on rows that were not given here: the winning mean is optimistic, because it was chosen.

    Parameters
    ----------
    candidates : mapping name -> estimator
    X, y, cv, groups, sample_weight
        As in :func:`cross_validate`; the folds are drawn once, so all candidates meet the same rows.
    metric : name or metric, optional
        Default: the one that ranks the task.

    Returns
    -------
    Selection
        On equal means the earlier candidate wins.

    References
    ----------
    Spec ``05#k-fold-cv``.
    """
    if not candidates:
        raise InputError("select_model needs at least one candidate, for example {'ridge': Ridge()}.")
    first = next(iter(candidates.values()))
    chosen = next(iter(_as_metrics(metric, first, y).values()))
    splitter = _as_splitter(cv, first, y)
    folds = list(splitter.split(X, y, groups))
    results = {
        name: cross_validate(estimator, X, y, cv=_Fixed(folds), metrics=chosen, sample_weight=sample_weight)
        for name, estimator in candidates.items()
    }
    sign = 1.0 if chosen.higher_is_better else -1.0
    best = max(results, key=lambda name: sign * results[name].mean[chosen.name])
    more = {} if sample_weight is None else {"sample_weight": sample_weight}
    return Selection(best, clone(candidates[best]).fit(X, y, **more), results)


class _Fixed:
    """Folds that are already drawn."""

    def __init__(self, folds: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.folds = folds

    def split(self, X: Any, y: Any = None, groups: Any = None) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.folds
