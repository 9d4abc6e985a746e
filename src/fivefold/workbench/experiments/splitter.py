"""A splitter: its folds on real data, drawn, and the usual model cross-validated on them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..context import Context

SLOT = "evaluation.splitter"
STOCK: dict[str, Any] = {"data": {"name": "breast-cancer"}}
QUICK: dict[str, Any] = {"data": {"rows": 300}}
SESSION = False


def run(context: Context) -> None:
    """Split, count, draw, and score a model on every fold."""
    from ._data import load
    from ._training import own_params

    loaded = load(context)
    method = context.spec.evaluation.splitter
    splitter = context.card.load(method.variant if method else None)(
        **own_params(context, method.params if method else {})
    )
    y = loaded.frame[loaded.schema.target.name].to_numpy()
    extra: dict[str, Any] = {}
    if context.spec.data.group is not None and "groups" in inspect.signature(splitter.split).parameters:
        extra["groups"] = loaded.frame[context.spec.data.group].to_numpy()
    folds = list(splitter.split(np.zeros((len(y), 1)), y, **extra))
    tested = np.concatenate([test for _, test in folds])
    context.metrics["folds"] = float(len(folds))
    context.metrics["rows"] = float(len(y))
    context.metrics["rows tested"] = float(len(np.unique(tested)))
    context.metrics["rows in both parts"] = float(sum(np.intersect1d(a, b).size for a, b in folds))
    scores = _scores(context, loaded, y, folds)
    if scores:
        context.metrics["mean score"], context.metrics["deviation of the score"] = (
            float(np.mean(scores)),
            float(np.std(scores, ddof=1)),
        )
    rows = [[k + 1, len(a), len(b), scores[k] if scores else None] for k, (a, b) in enumerate(folds)]
    context.table("Folds", ["fold", "training rows", "test rows", "score"], rows, _what(loaded.task))
    _draw(context, folds, len(y))


def _what(task: str | None) -> str:
    return {
        "binary": "Score: ROC AUC of logistic regression.",
        "multiclass": "Score: accuracy of softmax regression.",
    }.get(str(task), "Score: RMSE of ridge regression.")


def _scores(context: Context, loaded: Any, y: np.ndarray, folds: list[Any]) -> list[float]:
    from fivefold.base.cards import all_cards
    from fivefold.evaluation.registry import metric_class

    from ..tabular import class_texts, fit_table, target_vector

    name, metric = {
        "binary": ("logistic-regression", "roc-auc"),
        "multiclass": ("softmax-regression", "accuracy"),
    }.get(str(loaded.task), ("ridge-regression", "rmse"))
    card = all_cards().get(name)
    if card is None:
        return []
    schema, frame = loaded.schema, loaded.frame
    classes = None if loaded.task == "regression" else class_texts(schema, frame)
    truth = target_vector(frame, schema, classes)
    found = []
    for train, test in folds:
        answer = fit_table(card, frame[train], schema, seed=context.spec.seed, classes=classes).predict(frame[test])
        if loaded.task == "binary" and classes is not None:
            values = answer[f"probability_{classes[1]}"].to_numpy()
        elif classes is not None:
            values = target_vector(answer.rename({"prediction": schema.target.name}), schema, classes)
        else:
            values = answer["prediction"].to_numpy()
        found.append(float(metric_class(metric).function(truth[test], values)))
    return found


def _draw(context: Context, folds: list[Any], rows: int) -> None:
    from .. import figures

    figure, axes = figures.canvas(6.0, 0.35 * len(folds) + 1.0)
    for number, (train, test) in enumerate(folds):
        for color, chosen in ((figures.GRID, train), (figures.SERIES[0], test)):
            starts, lengths = _stretches(np.sort(chosen))
            axes.broken_barh(list(zip(starts, lengths)), (number - 0.4, 0.8), facecolors=color)
    axes.set_yticks(range(len(folds)), [f"fold {k + 1}" for k in range(len(folds))])
    axes.set_ylim(len(folds) - 0.5, -0.5)
    axes.set_xlim(0, rows)
    axes.set_xlabel("row (colored: tested)")
    context.draw("folds", figure, f"{len(folds)} folds of {rows} rows; test rows colored.")


def _stretches(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and lengths of the runs of consecutive numbers."""
    if rows.size == 0:
        return rows, rows
    breaks = np.flatnonzero(np.diff(rows) > 1) + 1
    starts = rows[np.concatenate([[0], breaks])]
    ends = rows[np.concatenate([breaks - 1, [rows.size - 1]])]
    return starts, ends - starts + 1
