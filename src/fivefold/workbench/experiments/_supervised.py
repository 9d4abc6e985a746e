"""Classifiers and regressors: fitted on the rows left after a hold-out, judged on the rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fivefold.base.cards import Card, get_card
from fivefold.base.errors import CapabilityError

from ..context import Context
from ..parts import check_task, model_params
from ._data import Loaded, holdout, load

Predictions = Mapping[str, np.ndarray]
"""The forms a metric may need: labels, scores, probabilities, values."""


def run(context: Context) -> None:
    """Fit, predict the rows held out, measure, draw."""
    loaded = load(context)
    card = get_card(context.spec.model.name if context.spec.model is not None else context.spec.id)
    if loaded.task is not None:
        check_task(context.spec, loaded.task)
    truth, predictions, classes = fit_and_predict(context, card, loaded)
    task = loaded.task or ("regression" if classes is None else "multiclass")
    measure(context, task, truth, predictions)
    draw(context, truth, predictions, classes)
    training_curve(context)


def fit_and_predict(
    context: Context, card: Card, loaded: Loaded
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str] | None]:
    """Return the truth of the rows held out, every form of prediction for them, and the names of the classes."""
    return _on_table(context, card, loaded) if loaded.kind == "table" else _on_arrays(context, card, loaded)


def _on_table(
    context: Context, card: Card, loaded: Loaded
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str] | None]:
    from ..tabular import class_texts, fit_table, target_vector

    frame, schema = loaded.frame, loaded.schema
    classes = None
    if schema.task != "regression":
        classes = class_texts(schema, frame)
    y = target_vector(frame, schema, classes)
    split = holdout(context, y, len(frame), classes=classes is not None, loaded=loaded)
    variant = context.spec.model.variant if context.spec.model is not None else None
    params = model_params(context.spec, variant, schema.task) if _is_subject(context, card) else {}
    with context.timed("fit"):
        model = fit_table(
            card,
            frame[split.train],
            schema,
            params=params,
            seed=context.spec.seed,
            variant=variant,
            classes=classes,
            recipe=context.spec.data.recipe,
        )
    context.model, context.schema_hash = model, schema.hash()
    with context.timed("predict"):
        answer = model.predict(frame[split.test])
    truth = y[split.test]
    if classes is None:
        return truth, {"values": answer["prediction"].to_numpy()}, None
    labels = target_vector(answer.rename({"prediction": schema.target.name}), schema, classes)
    forms = {"labels": labels}
    if model.probabilistic:
        forms["probabilities"] = answer.select([f"probability_{name}" for name in classes]).to_numpy()
    return truth, _binary_forms(forms, classes), classes


def _is_subject(context: Context, card: Card) -> bool:
    return context.spec.model is not None and context.spec.model.name == card.id


def _on_arrays(
    context: Context, card: Card, loaded: Loaded
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str] | None]:
    from ..tabular import build

    if "x" not in loaded.arrays or "y" not in loaded.arrays:
        raise CapabilityError(
            f"{card.id!r} needs rows and a target; {loaded.name} is a set of {loaded.kind} with: {', '.join(loaded.arrays)}."
        )
    x, y = loaded.arrays["x"], loaded.arrays["y"]
    if "images" not in card.capabilities:
        x = x.reshape(len(x), -1)
    discrete = loaded.task != "regression"
    split = holdout(context, y, len(x), classes=discrete, loaded=loaded)
    task = loaded.task
    variant = context.spec.model.variant if context.spec.model is not None else None
    chosen = card.variant(variant, task)
    params = model_params(context.spec, chosen, task) if _is_subject(context, card) else {}
    model = build(card, chosen, params, context.spec.seed)
    with context.timed("fit"):
        model.fit(x[split.train], y[split.train])
    context.model = model
    with context.timed("predict"):
        answer = model.predict(x[split.test])
    if not discrete:
        return y[split.test], {"values": np.asarray(answer)}, None
    names = [str(c) for c in model.classes_]
    truth, labels = np.searchsorted(model.classes_, y[split.test]), np.searchsorted(model.classes_, answer)
    forms = {"labels": labels}
    if hasattr(model, "predict_proba"):
        forms["probabilities"] = np.asarray(model.predict_proba(x[split.test]), dtype=np.float64)
    return truth, _binary_forms(forms, names), names


def _binary_forms(forms: dict[str, np.ndarray], classes: list[str]) -> dict[str, np.ndarray]:
    if len(classes) == 2 and "probabilities" in forms:
        forms["probabilities"] = forms["probabilities"][:, 1]  # of the second class, which counts as positive
    return forms


def measure(context: Context, task: str, truth: np.ndarray, predictions: Predictions) -> None:
    """Write the metrics of the rows held out: those asked for, then the usual ones of the task that can be had."""
    from fivefold.evaluation.registry import default_metrics, metric_class, prediction_for

    asked = [name for name in context.spec.evaluation.metrics if name != "none"]
    default = [name for name in default_metrics(task) if name not in asked]
    for name in [*asked, *default]:
        metric = metric_class(name)
        if name not in asked and metric.needs in ("scores", "probabilities") and "probabilities" not in predictions:
            continue
        context.metrics[name] = float(metric.function(truth, prediction_for(metric.needs, predictions)))
    context.metrics["rows held out"] = float(len(truth))


def draw(context: Context, truth: np.ndarray, predictions: Predictions, classes: list[str] | None) -> None:
    """Draw the confusion of the classes, or predictions against the truth."""
    if classes is None:
        _against(context, truth, predictions["values"])
        return
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (truth, predictions["labels"]), 1)
    _confusion(context, counts, classes)


def _confusion(context: Context, counts: np.ndarray, classes: list[str]) -> None:
    from .. import figures

    size = min(1.6 + 0.45 * len(classes), 9.0)
    figure, axes = figures.canvas(size + 0.8, size)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for i, j in np.argwhere(counts > 0):
        axes.add_patch(_square(j, i, float(share[i, j])))
        if len(classes) <= 12:
            axes.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=9, color=figures.INK)
    ticks = range(len(classes)) if len(classes) <= 30 else []
    axes.set_xticks(list(ticks), [classes[t][:12] for t in ticks], rotation=45 if len(classes) > 4 else 0)
    axes.set_yticks(list(ticks), [classes[t][:12] for t in ticks])
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    right = int(np.trace(counts))
    context.draw(
        "confusion",
        figure,
        f"Confusion matrix of {len(classes)} classes; {right} of {counts.sum()} rows on the diagonal.",
        "Rows held out: true class down, predicted class across.",
    )


def _square(x: float, y: float, share: float) -> Any:
    from matplotlib.patches import Rectangle

    from ..figures import SERIES

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=SERIES[0], alpha=0.08 + 0.6 * share, linewidth=0)


def _against(context: Context, truth: np.ndarray, values: np.ndarray) -> None:
    from .. import figures

    truth, values = truth.reshape(len(truth), -1)[:, 0], values.reshape(len(values), -1)[:, 0]
    figure, axes = figures.canvas(5.0, 4.4)
    axes.plot(truth, values, "o", ms=3, mew=0, alpha=0.4, color=figures.SERIES[0])
    ends = [float(min(truth.min(), values.min())), float(max(truth.max(), values.max()))]
    axes.plot(ends, ends, color=figures.MUTED, lw=1, ls=(0, (4, 3)))
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.grid(True)
    context.draw(
        "predicted", figure, "Predictions against the truth, rows held out.", "The dashed line is a perfect prediction."
    )


def training_curve(context: Context) -> None:
    """Draw the losses by epoch, where the model was trained by epochs."""
    history = getattr(getattr(context.model, "model", context.model), "history_", None)
    epochs = getattr(history, "epochs", history)
    if not isinstance(epochs, list) or len(epochs) < 2 or not all(isinstance(e, dict) for e in epochs):
        return
    from .. import figures

    figure, axes = figures.canvas()
    names = [n for n in epochs[-1] if n == "loss" or n.endswith(("/loss", "_loss"))]
    for number, name in enumerate(names):
        values = [record.get(name, np.nan) for record in epochs]
        axes.plot(range(1, len(values) + 1), values, color=figures.SERIES[number % len(figures.SERIES)], label=name)
    axes.grid(True)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    if len(names) > 1:
        axes.legend(loc="best", labelcolor=figures.INK)
    context.draw("loss", figure, f"Loss over {len(epochs)} epochs: {', '.join(names)}.")
