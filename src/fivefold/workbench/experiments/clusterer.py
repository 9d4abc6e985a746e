"""A clusterer: groups of the rows, how tight they are, how they agree with known classes, and a projection."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..context import Context
from ..parts import model_params
from ._data import load, matrix
from ._plots import project, scatter

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "iris", "recipe": "scaled-one-hot"}}
QUICK: dict[str, Any] = {"data": {"rows": 400}}
SESSION = True


def run(context: Context) -> None:
    """Fit on all rows; the classes, where there are any, are only compared with."""
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    from ..tabular import build

    loaded = load(context, labeled=False)
    x, target, _ = matrix(context, loaded, context.spec.data.recipe or context.card.recipe)
    card = context.card
    model = build(card, card.variant(), model_params(context.spec), context.spec.seed)
    with context.timed("fit"):
        model.fit(x)
    context.model = model
    labels = np.asarray(model.labels_)
    found = np.unique(labels[labels >= 0])
    if hasattr(model, "inertia_"):
        context.metrics["inertia"] = float(model.inertia_)
    context.metrics["clusters"] = float(len(found))
    if 1 < len(found) < len(x):
        sample = min(len(x), 2000)
        context.metrics["silhouette"] = float(
            silhouette_score(x, labels, sample_size=sample, random_state=context.spec.seed)
        )
    if target is not None and loaded.task in ("binary", "multiclass"):
        context.metrics["adjusted Rand index"] = float(adjusted_rand_score(target.astype(str), labels))
        context.notes.append("The classes of the data were not shown to the method; the Rand index compares with them.")
    scatter(context, "clusters", project(x), labels, "All rows, projected to their first two principal axes.")
    context.table("Sizes", ["cluster", "rows"], [[int(k), int(np.sum(labels == k))] for k in np.unique(labels)])
