"""A generator: fitted to its default data; samples drawn while it trains and at the end, beside the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..context import Context
from ..parts import model_params

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "mixture-25"}}
QUICK: dict[str, Any] = {"data": {"rows": 640}}
SESSION = True


def run(context: Context) -> None:
    """Fit, sample, measure the distance to the data, draw."""
    from ..tabular import build
    from ._data import load

    loaded = load(context, labeled=False)
    x = np.asarray(loaded.arrays["x"] if loaded.kind != "table" else loaded.frame.to_numpy(), dtype=np.float32)
    card = context.card
    variant = card.variant(context.spec.model.variant if context.spec.model else None)
    model = build(card, variant, model_params(context.spec), context.spec.seed)
    with context.timed("fit"):
        model.fit(x)
    context.model = model
    count = min(512, len(x))
    drawn = np.asarray(model.sample(count))
    truth = x[np.sort(context.streams.numpy("truth").permutation(len(x))[:count])]
    context.metrics["energy distance"] = energy_distance(truth.reshape(count, -1), drawn.reshape(count, -1))
    context.metrics["energy distance of the data to themselves"] = _floor(context, x, count)
    context.metrics["rows"] = float(len(x))
    _show(context, "samples", drawn, truth, "Samples at the end.")
    _take_over(context)
    if x.ndim > 2:
        _show(context, "data", truth, truth, "The data, for comparison.")
    from ._supervised import training_curve

    training_curve(context)


def _take_over(context: Context) -> None:
    """Put what the method drew while training (``figures/`` of the session's directory) into the report."""
    for path in sorted((context.directory / "figures").glob("*.png")):
        if path.stem not in context.markup and path.stem not in ("samples", "data", "loss"):
            context.keep_png(path.stem, path, f"{context.card.title}: {path.stem}", "While training.")


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return 2 E|A - B| - E|A - A'| - E|B - B'|, which is 0 for equal distributions (Székely & Rizzo)."""
    from scipy.spatial.distance import cdist

    a, b = a.astype(np.float64), b.astype(np.float64)
    within = [float(cdist(v, v).sum()) / (len(v) * max(len(v) - 1, 1)) for v in (a, b)]
    return 2 * float(cdist(a, b).mean()) - within[0] - within[1]


def _floor(context: Context, x: np.ndarray, count: int) -> float:
    order = context.streams.numpy("floor").permutation(len(x))
    half = min(count, len(x) // 2)
    flat = x.reshape(len(x), -1)
    return energy_distance(flat[order[:half]], flat[order[half : 2 * half]])


def _show(context: Context, name: str, drawn: np.ndarray, truth: np.ndarray, caption: str) -> None:
    from ._plots import image_grid, project, scatter

    if drawn.ndim >= 3:
        image_grid(context, name, drawn[:64], caption)
        return
    count = min(len(drawn), len(truth))
    both = np.concatenate([truth[:count], drawn[:count]])
    labels = np.array(["data"] * count + ["samples"] * count)
    scatter(context, name, project(both), labels, caption)
