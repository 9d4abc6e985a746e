"""Ten metrics of ten million binary predictions: ours as streams of a million rows, scikit-learn's in one go.

Quality is the largest relative difference of the ten values; ours are exact, so it is rounding.

    python benchmarks/metrics.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from sklearn import metrics as peers

from fivefold.evaluation import metrics
from fivefold.workbench.bench import Contest, Score, play

ROWS, BATCH = 10_000_000, 1_000_000


def contest() -> Contest:
    rng = np.random.default_rng(0)
    true = (rng.random(ROWS) < 0.3).astype(np.int64)
    probability = 1 / (1 + np.exp(1 - 1.5 * true - rng.standard_normal(ROWS)))
    called = (probability > 0.5).astype(np.int64)
    classes = [0, 1]

    def ours(run: int) -> list[float]:
        scored = [
            metrics.RocAuc(labels=classes),
            metrics.AveragePrecision(labels=classes),
            metrics.LogLoss(labels=classes),
            metrics.BrierScore(labels=classes),
        ]
        named = [
            metrics.Accuracy(),
            metrics.BalancedAccuracy(),
            metrics.MacroF1(),
            metrics.Precision(),
            metrics.Recall(),
            metrics.F1Score(),
        ]
        for start in range(0, ROWS, BATCH):
            part = slice(start, start + BATCH)
            for metric in scored:
                metric.update(true[part], probability[part])
            for metric in named:
                metric.update(true[part], called[part])
        return [metric.compute() for metric in (*scored, *named)]

    def peer(run: int) -> list[float]:
        return [
            peers.roc_auc_score(true, probability),
            peers.average_precision_score(true, probability),
            peers.log_loss(true, probability),
            peers.brier_score_loss(true, probability),
            peers.accuracy_score(true, called),
            peers.balanced_accuracy_score(true, called),
            peers.f1_score(true, called, average="macro"),
            peers.precision_score(true, called),
            peers.recall_score(true, called),
            peers.f1_score(true, called),
        ]

    def quality(mine: list[list[float]], theirs: list[list[float]]) -> tuple[float, float, bool]:
        worst = float(np.abs(np.array(mine) / np.array(theirs) - 1).max())
        return worst, 0.0, worst <= 1e-10

    return Contest(name="10 metrics, 10M predictions", ours=ours, peer=peer, quality=quality, target=0.5, repeats=3)


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contest and return its scores."""
    return play([contest()], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
