"""Sparse discretized features with logistic regression against raw numbers with boosted trees."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.data.discretizer import Discretizer
from fivefold.data.encoders import StandardScaler
from fivefold.evaluation.registry import get_metric
from fivefold.models.linear.logistic import LogisticRegression
from fivefold.models.trees.cart import DecisionTreeRegressor

from ..result import Result, ResultTable, save_figure

MODELS = ("raw numbers, logistic regression", "bins, logistic regression", "raw numbers, boosted trees")
COLORS = ("#4c78a8", "#f58518", "#54a24b")


def made_up(n: int, seed: int, *, bent: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (n, 4), classes (n,) and the true probabilities (n,): effects are bent, or straight as a control."""
    draw = Streams(seed).numpy("table", int(bent))
    X = draw.uniform(-2.0, 2.0, (n, 4))
    effect = 1.5 * (X[:, 0] ** 2 - 4 / 3) + 2.0 * np.sin(2 * X[:, 1]) + X[:, 2] if bent else X @ [1.0, -1.5, 0.7, 0.0]
    p = 1 / (1 + np.exp(-effect))
    return X, (draw.random(n) < p).astype(np.int64), p


def boosted(X: np.ndarray, y: np.ndarray, new: np.ndarray, *, trees: int, depth: int, rate: float) -> np.ndarray:
    """Return probabilities for ``new`` of gradient boosting with the log loss: each tree is fitted to y - p (Friedman 2001)."""
    base = float(np.log(y.mean() / (1 - y.mean())))
    score, answer = np.full(len(X), base), np.full(len(new), base)
    for _ in range(trees):
        p = 1 / (1 + np.exp(-score))
        tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=20, random_state=0).fit(X, y - p)
        # The leaf holds the mean residual; a Newton step divides by the mean of p (1 - p), at most 1/4.
        score += 4.0 * rate * tree.predict(X)
        answer += 4.0 * rate * tree.predict(new)
    probabilities: np.ndarray = 1 / (1 + np.exp(-answer))
    return probabilities


@dataclass
class FeaturesOrModel:
    """Two regimes on one table: many sparse bins with a simple model, few numbers with a complex one.

    Parameters
    ----------
    table : {"auto", "california-housing", "bent", "straight"}, default "auto"
        ``auto`` is the housing table (is a block's house value above the median?), or ``bent`` for the quick form. The made-up
        tables have effects that bend, or straight ones as a control, for which bins cannot win.
    n_bins : int >= 2, default 20
        Quantile bins of each column.
    trees : int >= 1, default 150
    depth : int >= 1, default 4
    rate : float > 0, default 0.1
    """

    table: str = "auto"
    n_bins: int = 20
    trees: int = 150
    depth: int = 4
    rate: float = 0.1

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Fit the three pipelines on half of the rows and write ``scores.png`` and ``effect.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            4,000 made-up rows and fewer trees.

        Returns
        -------
        Result
            AUC and log loss of each pipeline on the other half, and the number of features each sees.
        """
        if self.table not in ("auto", "california-housing", "bent", "straight") or self.trees < 1 or self.n_bins < 2:
            raise InputError(
                "table is 'auto', 'california-housing', 'bent' or 'straight', with trees >= 1 and n_bins >= 2; "
                f"got {self}."
            )
        table = self.table if self.table != "auto" else ("bent" if quick else "california-housing")
        X, y, names = self._data(table, seed)
        order = Streams(seed).numpy("halves").permutation(len(y))
        train, test = np.sort(order[: len(y) // 2]), np.sort(order[len(y) // 2 :])
        bins = Discretizer(n_bins=self.n_bins).fit(X[train])
        scaler = StandardScaler().fit(X[train])
        raw = LogisticRegression(C=100.0).fit(scaler.transform(X[train]), y[train])
        binned = LogisticRegression(C=1.0).fit(bins.transform(X[train]), y[train])
        trees = min(self.trees, 40) if quick else self.trees
        start = time.perf_counter()
        answers = {
            MODELS[0]: raw.predict_proba(scaler.transform(X[test]))[:, 1],
            MODELS[1]: binned.predict_proba(bins.transform(X[test]))[:, 1],
            MODELS[2]: boosted(X[train], y[train], X[test], trees=trees, depth=self.depth, rate=self.rate),
        }
        spent = time.perf_counter() - start
        widths = (X.shape[1], int(bins.n_bins_.sum()), X.shape[1])
        numbers: dict[str, float] = {}
        for (name, p), width in zip(answers.items(), widths):
            for metric in ("roc-auc", "log-loss"):
                numbers[f"{name}: {metric}"] = float(get_metric(metric).function(y[test], p))
            numbers[f"{name}: features"] = float(width)
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        dpi = 60 if quick else 120
        # The column whose bins differ most in weight shows the bend best.
        ends = np.cumsum(bins.n_bins_)
        weights = np.split(binned.coef_.ravel(), ends[:-1])
        widest = int(np.argmax([w.max() - w.min() for w in weights]))
        slope = float(raw.coef_.ravel()[widest]) / float(scaler.scale_[widest])
        figures = [
            _draw_scores(folder / "scores.png", numbers, dpi),
            _draw_effect(folder / "effect.png", bins.bin_edges_[widest], weights[widest], slope, names[widest], dpi),
        ]
        rows = [[n, numbers[f"{n}: features"], numbers[f"{n}: roc-auc"], numbers[f"{n}: log-loss"]] for n in MODELS]
        caption = f"{len(train):,} rows to fit, {len(test):,} to score; boosting and answers took {spent:.1f} s."
        summary = ResultTable("Held-out rows", ["pipeline", "features", "AUC", "log loss"], rows, caption)
        return Result(numbers, figures, _text(numbers, table), [summary])

    def _data(self, table: str, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        if table != "california-housing":
            X, y, _ = made_up(4000, seed, bent=table == "bent")
            return X, y, [f"x{j}" for j in range(4)]
        from fivefold.data.datasets import load_dataset

        frame = load_dataset("california-housing").frame
        value = frame["median_house_value"].to_numpy()
        columns = [c for c in frame.columns if c not in ("median_house_value", "ocean_proximity")]
        X = frame.select(columns).to_numpy().astype(np.float64)
        X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
        return X, (value > np.median(value)).astype(np.int64), columns


def _draw_scores(path: Path, numbers: dict[str, float], dpi: int) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes: Any = figure.subplots(1, 2, sharey=True)
    for place, (metric, label) in enumerate(
        (("roc-auc", "AUC (more is better)"), ("log-loss", "log loss (less is better)"))
    ):
        values = [numbers[f"{name}: {metric}"] for name in MODELS]
        bars = axes[place].barh([name.replace(", ", ",\n") for name in MODELS], values, color=COLORS)
        axes[place].bar_label(bars, fmt="%.3f", padding=3)
        axes[place].set_xlim(0, max(values) * 1.18)
        axes[place].set_xlabel(label)
    axes[0].invert_yaxis()  # the axes share it
    save_figure(figure, path, dpi=dpi)
    return path


def _draw_effect(path: Path, edges: np.ndarray, weights: np.ndarray, slope: float, name: str, dpi: int) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.stairs(
        weights - weights.mean(), edges, baseline=None, color=COLORS[1], linewidth=2, label="bins: a weight each"
    )
    ends = np.array([edges[0], edges[-1]])
    axes.plot(ends, slope * (ends - ends.mean()), color=COLORS[0], linewidth=2, label="raw number: one slope")
    axes.set_xlabel(name)
    axes.set_ylabel("part of the logit")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    save_figure(figure, path, dpi=dpi)
    return path


def _text(numbers: dict[str, float], table: str) -> str:
    raw, binned, trees = (numbers[f"{name}: roc-auc"] for name in MODELS)
    many, few = numbers[f"{MODELS[1]}: features"], numbers[f"{MODELS[0]}: features"]
    gained = "win" if binned > raw + 0.005 else "do not win"
    closer = "ahead of" if trees > binned + 0.005 else "behind" if trees < binned - 0.005 else "level with"
    return (
        f"On the table {table} the same logistic regression has the AUC {raw:.3f} on {few:.0f} raw numbers and {binned:.3f} on "
        f"{many:.0f} bins of them: bins {gained} here. They let a linear model bend, as the figure of the effect shows.\n\n"
        f"Boosted trees on the raw numbers have {trees:.3f}, {closer} the bins: what a simple model gets from many prepared "
        "features, a complex one can find in few, and adds what depends on several columns at once."
    )
