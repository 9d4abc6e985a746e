"""FM and FFM from a text file of MovieLens clicks, parsing included, beside xLearn's published rates.

xLearn has no wheel for this Python; measured once on two cores, both used without locks, it took 1.58 and 1.30 million rows a
second. The fields are user and item, a click is a rating of 4 and more, and the first 80 % in time train ten passes with four
factors. The area under the ROC curve on the rest stands beside that of the linear model trained the same way; it judges nothing.

    FIVEFOLD_DATA_MIRROR=... fivefold bench machines
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.data import MultiFieldReader
from fivefold.data.datasets import load_dataset
from fivefold.evaluation.registry import get_metric
from fivefold.models.recommend import FactorizationMachine, FieldAwareFM
from fivefold.workbench.bench import Score, announce, thread_limit

RATES = {"FM": (FactorizationMachine, 1.58e6), "FFM": (FieldAwareFM, 1.30e6)}
PASSES, FACTORS, RUNS, TARGET = 10, 4, 5, 1 / 1.2


def lines() -> list[str]:
    """Return ``label field:index:value ...`` of every rating, first in time first."""
    frame = pl.DataFrame(load_dataset("movielens-100k").frame).sort("timestamp", maintain_order=True)
    users, people = np.unique(frame["user_id"].to_numpy(), return_inverse=True)[1], frame["user_id"].n_unique()
    items = people + np.unique(frame["item_id"].to_numpy(), return_inverse=True)[1]
    clicks = (frame["rating"].to_numpy() >= 4).astype(int)
    return [f"{y} 0:{u}:1 1:{i}:1\n" for y, u, i in zip(clicks, users, items)]


def main(threads: Sequence[int] = (1,)) -> list[Score]:
    """Run the fits and return their scores."""
    text = lines()
    cut = int(0.8 * len(text))
    scores = []
    with tempfile.TemporaryDirectory() as folder, thread_limit(1):
        for name, part in (("train", text[:cut]), ("test", text[cut:])):
            Path(folder, name).write_text("".join(part), encoding="utf8")
        reader = MultiFieldReader(form="libffm", field_size=2, n_features=1 + max(int(t.split(":")[-2]) for t in text))

        def fit(model: Any, **how: Any) -> Any:
            return model(max_iter=PASSES, **how).fit(reader.read(Path(folder, "train")))

        test = reader.read(Path(folder, "test"))

        def auc(model: Any) -> float:
            return float(get_metric("roc-auc").function(test["label"], model.decision_function(test)))

        linear = auc(fit(FactorizationMachine, embedding_dim=0))
        for name, (model, rate) in RATES.items():
            seconds = []
            fitted = fit(model, embedding_dim=FACTORS)
            for _ in range(RUNS):
                start = time.perf_counter()
                fitted = fit(model, embedding_dim=FACTORS)
                seconds.append(time.perf_counter() - start)
            what = f"{name} on MovieLens text, 10 passes, beside xLearn's published rate"
            found = auc(fitted)
            score = Score(
                what, 1, statistics.median(seconds), cut * PASSES / rate, found, linear, found >= linear, TARGET
            )
            announce(score)
            scores.append(score)
    return scores


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
