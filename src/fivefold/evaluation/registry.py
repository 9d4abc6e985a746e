"""The metric registry: every metric by name, at three levels, one's own functions included.

A model is judged by more than its loss. *Algorithm* metrics (roc-auc, rmse) tell the modeler how well it predicts,
*enterprise* metrics (misclassification-cost) what its decisions are worth to the business and its suppliers, *user* metrics
(hit-rate) what the person served notices. All are found, streamed, merged and summarized alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from fivefold.base.cards import all_cards, load_path
from fivefold.base.errors import InputError, InputTypeError
from fivefold.base.names import normalize, resolve

from .metric import Metric

LEVELS = ("algorithm", "enterprise", "user")
NEEDS = ("labels", "scores", "probabilities", "values")
TASKS = ("binary", "multiclass", "regression")

_BUILT_IN: dict[str, str] = {
    "roc-auc": "fivefold.evaluation.ranking:RocAuc",
    "pr-auc": "fivefold.evaluation.ranking:AveragePrecision",
    "log-loss": "fivefold.evaluation.classification:LogLoss",
    "brier-score": "fivefold.evaluation.classification:BrierScore",
    "accuracy": "fivefold.evaluation.classification:Accuracy",
    "balanced-accuracy": "fivefold.evaluation.classification:BalancedAccuracy",
    "macro-f1": "fivefold.evaluation.classification:MacroF1",
    "rmse": "fivefold.evaluation.regression:RMSE",
    "mae": "fivefold.evaluation.regression:MAE",
    "r2": "fivefold.evaluation.regression:R2",
    "mse": "fivefold.evaluation.regression:MSE",
    "mape": "fivefold.evaluation.regression:MAPE",
    "roc-auc-binned": "fivefold.evaluation.curves:BinnedRocAuc",
    "misclassification-cost": "fivefold.evaluation.classification:MisclassificationCost",
    "hit-rate": "fivefold.evaluation.classification:HitRate",
}

_DEFAULTS: dict[str, list[str]] = {
    "binary": ["roc-auc", "pr-auc", "log-loss", "brier-score", "accuracy", "balanced-accuracy", "macro-f1"],
    "multiclass": ["log-loss", "accuracy", "balanced-accuracy", "macro-f1", "roc-auc"],
    "regression": ["rmse", "mae", "r2"],
}

_registered: dict[str, type[Metric]] = {}


def _known() -> dict[str, Any]:
    """Return name -> class or import path: ours, those with a card, and those registered in this process."""
    carded = {key: next(iter(card.factory.values())) for key, card in all_cards().items() if card.kind == "metric"}
    return {**carded, **_BUILT_IN, **_registered}


def metric_class(name: str) -> type[Metric]:
    """Return the class of a metric; :func:`get_metric` gives an object.

    Raises
    ------
    UnknownNameError
        With the nearest three names.
    """
    known = _known()
    found = known[resolve(name, known, "metric")]
    cls: type[Metric] = load_path(found) if isinstance(found, str) else found
    return cls


def get_metric(name: str, **options: Any) -> Metric:
    """Return a fresh streaming metric by name, whatever its case, hyphens or underscores.

    Parameters
    ----------
    name : str
        For example ``"roc-auc"``.
    **options
        Parameters of the metric, for example ``cost_missing=100`` of ``misclassification-cost``.

    Raises
    ------
    UnknownNameError
        With the nearest three names.
    """
    return metric_class(name)(**options)


def list_metrics(*, task: str | None = None, level: str | None = None) -> list[str]:
    """Return the names of all metrics, optionally of one task or level."""
    for value, accepted, what in ((task, TASKS, "task"), (level, LEVELS, "level")):
        if value is not None:
            resolve(value, accepted, what)
    classes = {name: metric_class(name) for name in _known()}
    # A card may know a metric by a longer id ("log-loss-metric"); it is listed once, under its own name.
    classes = {name: cls for name, cls in classes.items() if cls.name == name or cls.name not in classes}
    return sorted(
        name
        for name, cls in classes.items()
        if (task is None or task in cls.tasks) and (level is None or cls.level == level)
    )


def default_metrics(task: str) -> list[str]:
    """Return the metrics reported for a task; the first one ranks methods.

    Binary tasks rank by roc-auc, multiclass ones by log-loss and regression by rmse.
    """
    return list(_DEFAULTS[resolve(task, _DEFAULTS, "task")])


def register_metric(
    name: str,
    function: Callable[..., float] | type[Metric],
    *,
    level: str = "user",
    needs: str = "labels",
    higher_is_better: bool = True,
    tasks: Iterable[str] = TASKS,
    replace: bool = False,
) -> type[Metric]:
    """Make a metric known under ``name`` in this process.

    Parameters
    ----------
    name : str
    function : callable (y_true, y_pred, sample_weight=None, **options) -> float, or a :class:`Metric` class
        A function is streamed by keeping the rows, so it may be any function of the whole set.
    level : "algorithm", "enterprise" or "user" (default)
    needs : "labels" (default), "scores", "probabilities" or "values"
    higher_is_better : bool, default True
    tasks : some of "binary", "multiclass", "regression"; default all
    replace : bool, default False
        Whether a metric of that name may be replaced.

    Returns
    -------
    type[Metric]
        The class that :func:`get_metric` will build. A class given is registered as it is; its own facts count.

    Raises
    ------
    InputError
        When the name is taken or a fact is not one of those above.
    InputTypeError
        When ``function`` cannot be called.
    """
    taken = {normalize(known) for known in _known()}
    if normalize(name) in taken and not replace:
        raise InputError(f"The metric name {name!r} is taken; choose another or pass replace=True.")
    if isinstance(function, type) and issubclass(function, Metric):
        made = function
    elif not callable(function):
        raise InputTypeError(
            f"A metric is a function of (y_true, y_pred, sample_weight) or a Metric; got {function!r}."
        )
    else:
        facts = {
            "name": name,
            "level": resolve(level, LEVELS, "level"),
            "needs": resolve(needs, NEEDS, "kind of prediction"),
            "higher_is_better": bool(higher_is_better),
            "tasks": tuple(resolve(task, TASKS, "task") for task in tasks),
            "function": staticmethod(function),
            "__module__": __name__,
            "__doc__": function.__doc__,
        }
        made = type("".join(part.title() for part in name.replace("_", "-").split("-")), (Metric,), facts)
    # The replaced name may be spelled differently; one spelling stays.
    for known in [key for key in _registered if normalize(key) == normalize(name)]:
        del _registered[known]
    _registered[name] = made
    return made


def registered_here(name: str) -> bool:
    """Return whether a metric was registered in this process, so that no other process knows it."""
    return normalize(name) in {normalize(known) for known in _registered}


def unregister_metric(name: str) -> None:
    """Forget a metric that :func:`register_metric` added; a built-in one that it hid is back."""
    del _registered[resolve(name, _registered, "registered metric")]


def prediction_for(needs: str, predictions: Mapping[str, Any], classes: Any = None) -> Any:
    """Return what a metric needs from the forms of prediction at hand.

    Parameters
    ----------
    needs : "labels", "scores", "probabilities" or "values"
    predictions : mapping of these names to arrays
        ``scores`` may be replaced by ``probabilities`` (they rank alike), and ``labels`` by the most probable class when
        ``classes`` is given. Nothing is ever rounded to serve a metric of scores or probabilities.
    classes : array (k,), optional
        Classes in the order of the columns of ``probabilities``.

    Raises
    ------
    InputError
        When the form needed can not be had.
    """
    if needs in predictions:
        return predictions[needs]
    if needs == "scores" and "probabilities" in predictions:
        return predictions["probabilities"]
    if needs == "labels" and "probabilities" in predictions and classes is not None:
        probability = np.asarray(predictions["probabilities"])
        column = probability.argmax(axis=1) if probability.ndim == 2 else (probability > 0.5).astype(int)
        return np.asarray(classes)[column]
    raise InputError(
        f"This metric needs {needs}, but the predictions hold only: {', '.join(predictions) or 'nothing'}; "
        f"add {needs} to the mapping."
    )


def summary(
    names: Iterable[str], y_true: Any, y_pred: Any, sample_weight: Any = None, *, classes: Any = None
) -> dict[str, float]:
    """Return several metrics of the same rows: name -> value, each equal to its own function.

    Parameters
    ----------
    names : iterable of str
    y_true : array (n, ...)
    y_pred : array, or mapping from "labels", "scores", "probabilities", "values" to arrays
        An array serves every metric as it is. A mapping gives each metric the form it needs: probabilities for log-loss
        and roc-auc, labels for accuracy.
    sample_weight : array (n,), optional
    classes : array (k,), optional
        All classes, in the order of the columns of the probabilities: for rows that lack some of them, and to derive labels
        where the mapping has none.

    Raises
    ------
    UnknownNameError
        When a name is unknown; nothing is computed then.
    """
    chosen = {name: get_metric(name).fresh(classes) for name in names}
    result = {}
    for name, metric in chosen.items():
        prediction = prediction_for(metric.needs, y_pred, classes) if isinstance(y_pred, Mapping) else y_pred
        result[name] = metric.update(y_true, prediction, sample_weight).compute()
    return result
