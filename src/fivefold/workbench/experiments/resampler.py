"""A resampler: training rows resampled, a logistic regression fitted on them, its probabilities before and after correction."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import SpecError

from ..context import Context
from ..parts import model_params
from ._data import holdout, load
from ._plots import project, scatter

SLOT = "model"
STOCK: dict[str, Any] = {"data": {"name": "breast-cancer"}}
QUICK: dict[str, Any] = {"data": {"rows": 300}}
SESSION = False


def run(context: Context) -> None:
    """Resample the training rows; compare log loss and AUC with those of the fit on the rows as they are."""
    from fivefold.data.prior_correction import PriorCorrection
    from fivefold.data.recipes import Recipe
    from fivefold.evaluation.registry import get_metric
    from fivefold.models.linear.logistic import LogisticRegression

    from ..tabular import build

    loaded = load(context)
    if loaded.kind != "table" or loaded.schema.task != "binary":
        raise SpecError(f"A resampler is shown on a table with two classes; {context.spec.data.name} is none.")
    frame = loaded.frame
    names, y = np.unique(frame[loaded.schema.target.name].cast(str).to_numpy(), return_inverse=True)
    # The first class is made rare, so that there is something to balance.
    rare = np.flatnonzero(y == 0)
    kept = np.sort(np.concatenate([np.flatnonzero(y == 1), rare[: max(30, len(rare) // 6)]]))
    frame, y = frame[kept], y[kept]
    split = holdout(context, y, len(y), classes=True)
    recipe = Recipe("scaled-one-hot", loaded.schema).fit(frame[split.train])
    x, x_test = recipe.transform(frame[split.train]), recipe.transform(frame[split.test])
    y_train, y_test = y[split.train], y[split.test]
    card = context.card
    variant = card.variant(context.spec.model.variant if context.spec.model else None)
    resampler = build(card, variant, model_params(context.spec), context.spec.seed)
    with context.timed("resample"):
        grown, labels = resampler.fit_resample(x, y_train)
    plain = LogisticRegression().fit(x, y_train)
    corrected = PriorCorrection(LogisticRegression(), resampler).fit(x, y_train)
    answers = {
        "rows as they are": plain.predict_proba(x_test)[:, 1],
        "resampled": corrected.estimator_.predict_proba(x_test)[:, 1],
        "resampled, corrected": corrected.predict_proba(x_test)[:, 1],
    }
    rows: list[list[Any]] = []
    for name, p in answers.items():
        scores = [get_metric(metric).function(y_test, p) for metric in ("roc-auc", "log-loss")]
        rows.append([name, float(p.mean()), *scores])
        context.metrics[f"{name}: log-loss"] = float(scores[1])
    context.metrics["rows before"] = float(len(x))
    context.metrics["rows after"] = float(len(labels))
    for k, name in enumerate(names):
        context.metrics[f"share of {name} before"] = float((y_train == k).mean())
        context.metrics[f"share of {name} after"] = float((labels == k).mean())
    context.model = resampler
    context.table(
        f"Held-out rows, share of {names[1]} {y_test.mean():.3g}",
        ["fit", "mean probability", "AUC", "log loss"],
        rows,
    )
    scatter(context, "resampled", project(grown), names[labels], "Training rows after resampling, first two axes.")
