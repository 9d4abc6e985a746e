"""A transformer: fitted on training rows, applied to the rows held out; what goes in, what comes out, and a picture of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import SpecError

from ..context import Context
from ..parts import model_params
from ._data import Loaded, holdout, load, matrix
from ._plots import scatter

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "wine"}}
QUICK: dict[str, Any] = {"data": {"rows": 400}}
SESSION = True


def run(context: Context) -> None:
    """Fit and transform; compare the way back with what went in, where there is one."""
    from ..tabular import build

    if context.card.experiment.get("images"):
        _images(context)
        return
    loaded = load(context, labeled=False)
    if context.card.experiment.get("input") == "text":
        _texts(context, loaded)
        return
    x, target, names = _input(context, loaded)
    split = holdout(context, None, len(x), classes=False)
    card = context.card
    model = build(
        card,
        card.variant(context.spec.model.variant if context.spec.model else None),
        model_params(context.spec),
        context.spec.seed,
    )
    with context.timed("fit"):
        if card.supervision == "supervised" and target is not None:
            model.fit(x[split.train], target[split.train])
        else:
            model.fit(x[split.train])
    with context.timed("transform"):
        out = _dense(model.transform(x[split.test]))
    context.model = model
    context.metrics["columns in"] = float(x.shape[1])
    context.metrics["columns out"] = float(out.shape[1])
    context.metrics["rows held out"] = float(len(out))
    ratio = getattr(model, "explained_variance_ratio_", None)
    if ratio is not None:
        context.metrics["explained variance"] = float(np.sum(ratio))
    if hasattr(model, "inverse_transform"):
        _way_back(context, x[split.test], model.inverse_transform(out))
    shown = out if out.shape[1] > 1 else np.column_stack([out[:, 0], np.zeros(len(out))])
    labels = None if target is None else target[split.test]
    scatter(
        context,
        "transformed",
        shown[:, :2].astype(float),
        labels,
        "Rows held out, first two columns after the transformation.",
    )
    outs = (
        list(getattr(model, "get_feature_names_out", lambda: [])()) if hasattr(model, "get_feature_names_out") else []
    )
    if outs:
        context.table("Columns", ["in", "out"], [[", ".join(names[:30]), ", ".join(map(str, outs[:60]))]])


def _images(context: Context) -> None:
    """Fit on training images; show held-out ones before and after."""
    from fivefold.data.datasets import load_dataset

    from ..tabular import build
    from ._plots import image_grid

    name = context.spec.data.name or "digits"
    arrays = load_dataset(name).arrays or {}
    if "x" not in arrays or arrays["x"].ndim != 4:
        raise SpecError(f"{context.card.id} reads images; {name} holds none.")
    x = np.asarray(arrays["x"])[: context.spec.data.rows]
    context.saw(name, {"x": x})
    split = holdout(context, None, len(x), classes=False)
    card = context.card
    model = build(
        card,
        card.variant(context.spec.model.variant if context.spec.model else None),
        model_params(context.spec),
        context.spec.seed,
    )
    with context.timed("fit"):
        model.fit(x[split.train])
    with context.timed("transform"):
        out = model.transform(x[split.test])
    context.model = model
    for axis, side in zip(("channels", "height", "width"), out.shape[1:]):
        context.metrics[f"{axis} out"] = float(side)
    context.metrics["mean out"] = float(out.mean())
    context.metrics["deviation out"] = float(out.std())
    low, high = float(out.min()), float(out.max())
    image_grid(context, "before", x[split.test][:16], "Held-out images.")
    image_grid(context, "after", (out[:16] - low) / max(high - low, 1e-12), "The same after the transformation.")


def _texts(context: Context, loaded: Loaded) -> None:
    """Fit on the training texts; show what becomes of held-out ones and how much of them is kept."""
    from .. import figures
    from ..tabular import build

    if "text" not in loaded.arrays:
        raise SpecError(f"{context.card.id} reads texts; {loaded.name} holds none.")
    found = [str(text) for text in loaded.arrays["text"]]
    split = holdout(context, None, len(found), classes=False)
    train, test = ([found[i] for i in rows] for rows in (split.train, split.test))
    if context.card.experiment.get("unit") == "word":
        train, test = ([word for text in part for word in text.split()] for part in (train, test))
    card = context.card
    model = build(
        card,
        card.variant(context.spec.model.variant if context.spec.model else None),
        model_params(context.spec),
        context.spec.seed,
    )
    with context.timed("fit"):
        model.fit(train)
    with context.timed("transform"):
        out = model.transform(test)
    context.model = model
    context.metrics["texts held out"] = float(len(test))
    names = [str(name) for name in model.get_feature_names_out()]
    if isinstance(out, list):
        filled = np.array([len(text.split()) for text in out])
        shown = list(out[:8])
    else:
        filled = np.asarray((out != 0).sum(axis=1)).ravel()
        context.metrics["columns out"] = float(out.shape[1])
        dense = _dense(out[:8])
        shown = [", ".join(f"{names[j]}={row[j]:.4g}" for j in np.flatnonzero(row)[:12]) for row in dense]
    context.metrics["entries of a text, mean"] = float(filled.mean())
    context.table("Held-out texts", ["text", "becomes"], [[t[:120], s[:240]] for t, s in zip(test, shown)])
    figure, axes = figures.canvas(5.4, 3.2)
    wide = 1 + int(filled.max()) // 40  # whole numbers: each bar holds as many of them
    axes.hist(filled, bins=np.arange(0, int(filled.max()) + 1 + wide, wide) - 0.5, color=figures.SERIES[0])
    axes.set_xlabel("entries of a text after the transformation")
    axes.set_ylabel("texts")
    context.draw("entries", figure, f"Histogram of the entries of {len(test)} held-out texts.", "")


def _input(context: Context, loaded: Loaded) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    if loaded.kind == "table" and "categorical" in context.card.capabilities:
        columns = [c.name for c in loaded.schema.features if c.kind in ("categorical", "boolean")]
        if columns:
            values = loaded.frame.select(columns).to_numpy().astype(object)
            return values, None, columns
    return matrix(context, loaded, context.spec.data.recipe or context.card.recipe)


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.todense() if hasattr(values, "todense") else values)


def _way_back(context: Context, before: np.ndarray, after: Any) -> None:
    back = _dense(after)
    if before.dtype.kind == "O":
        context.metrics["cells that differ on the way back"] = float(np.sum(back != before))
        return
    scale = float(np.linalg.norm(before - before.mean(axis=0)))
    context.metrics["error of the way back"] = float(np.linalg.norm(back - before)) / scale if scale else 0.0
