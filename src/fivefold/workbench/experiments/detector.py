"""An anomaly detector: fitted on normal rows alone, asked about held-out normal rows and the rows of the other classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError

from ..context import Context
from ..parts import model_params
from ._data import load, matrix
from ._plots import project, scatter

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "breast-cancer", "recipe": "scaled-one-hot"}}
QUICK: dict[str, Any] = {"data": {"rows": 400}}
SESSION = True


def run(context: Context) -> None:
    """Take the most frequent class as normal; a data set without classes is only scored."""
    from ..tabular import build

    loaded = load(context, labeled=False)
    x, target, _ = matrix(context, loaded, context.spec.data.recipe or context.card.recipe)
    card = context.card
    model = build(card, card.variant(), model_params(context.spec), context.spec.seed)
    known = target is not None and loaded.task in ("binary", "multiclass")
    normal = np.ones(len(x), dtype=bool)
    if known:
        names, counts = np.unique(np.asarray(target).astype(str), return_counts=True)
        normal = np.asarray(target).astype(str) == names[counts.argmax()]
        context.notes.append(
            f"Normal is the class {names[counts.argmax()]!r}; the detector never saw another in training."
        )
    rows = np.flatnonzero(normal)
    if len(rows) < 4:
        raise DataError(f"Only {len(rows)} rows are normal; a detector needs at least 4.")
    order = context.streams.numpy("holdout").permutation(rows)
    train, held = order[: 2 * len(rows) // 3], order[2 * len(rows) // 3 :]
    with context.timed("fit"):
        model.fit(x[train])
    context.model = model
    asked = np.concatenate([held, np.flatnonzero(~normal)])
    with context.timed("score"):
        scores = np.asarray(model.score_samples(x[asked]))
    alarms = np.asarray(model.predict(x[asked])) < 0
    context.metrics["rows trained on"] = float(len(train))
    context.metrics["false alarm rate"] = float(alarms[: len(held)].mean())
    if known and not normal.all():
        from sklearn.metrics import roc_auc_score

        context.metrics["detection rate"] = float(alarms[len(held) :].mean())
        context.metrics["roc-auc"] = float(roc_auc_score(~normal[asked], -scores))
    labels = np.where(alarms, "alarm", "no alarm")
    scatter(
        context, "alarms", project(x[asked]), labels, "Rows asked about, projected to their first two principal axes."
    )
