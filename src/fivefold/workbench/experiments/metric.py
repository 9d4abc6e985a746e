"""A metric: of a real model's predictions beside the usual ones, and how it falls as predictions are spoiled by noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.cards import Card, get_card

from ..context import Context

SLOT = "evaluation"
STOCK: dict[str, Any] = {}
QUICK: dict[str, Any] = {"data": {"rows": 300}}
SESSION = False


def stock_for(card: Card) -> dict[str, Any]:
    """Return data and model of the first task that the metric serves."""
    if "binary" in card.task or "none" in card.task:
        return {"data": {"name": "breast-cancer"}, "model": {"name": "logistic-regression"}}
    if "multiclass" in card.task:
        return {"data": {"name": "digits"}, "model": {"name": "softmax-regression"}}
    return {"data": {"name": "diabetes"}, "model": {"name": "ridge-regression"}}


def run(context: Context) -> None:
    """Fit the model, measure its predictions, spoil them step by step."""
    from ._data import load
    from ._supervised import fit_and_predict, measure

    loaded = load(context)
    spec = context.spec
    truth, predictions, _ = fit_and_predict(context, get_card(spec.model.name if spec.model else ""), loaded)
    task = str(loaded.task)
    measure(context, task, truth, predictions)
    _beside(context, task, truth, predictions)
    _spoil(context, truth, predictions)


def _beside(context: Context, task: str, truth: np.ndarray, predictions: dict[str, np.ndarray]) -> None:
    from fivefold.evaluation.registry import default_metrics, metric_class, prediction_for

    rows: list[list[Any]] = []
    for name in dict.fromkeys([*context.spec.evaluation.metrics, *default_metrics(task)]):
        metric = metric_class(name)
        value = float(metric.function(truth, prediction_for(metric.needs, predictions)))
        context.metrics.setdefault(name, value)
        rows.append([name, value, "higher" if metric.higher_is_better else "lower", metric.needs, metric.level])
    context.table("Beside the usual metrics", ["metric", "value", "better", "needs", "level"], rows)


def _spoil(context: Context, truth: np.ndarray, predictions: dict[str, np.ndarray]) -> None:
    from fivefold.evaluation.registry import metric_class, prediction_for

    from ._plots import curves

    metric = metric_class(context.card.id)
    clean = np.asarray(prediction_for(metric.needs, predictions))
    generator = context.streams.numpy("spoil")
    order = generator.permutation(len(clean))
    foreign = generator.permutation(clean)
    shares = np.linspace(0, 1, 21)
    values = []
    for share in shares:
        spoiled = clean.copy()
        chosen = order[: int(round(share * len(clean)))]
        spoiled[chosen] = foreign[chosen]
        values.append(float(metric.function(truth, spoiled)))
    context.metrics["value at random"] = values[-1]
    curves(
        context,
        "spoiled",
        {context.card.id: (shares.tolist(), values)},
        x="share of predictions swapped at random",
        y=context.card.id,
        caption="What the metric says while more and more predictions are exchanged among rows.",
    )
