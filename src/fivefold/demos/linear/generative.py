"""Naive Bayes against logistic regression: who is ahead on few examples, and who on many (Ng & Jordan 2002)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.models.linear import LogisticRegression

from ..result import Result, save_figure

NAMES = ("naive Bayes", "logistic regression")


def covariance(n_features: int, n_tied: int, correlation: float) -> np.ndarray:
    """Return unit variances with a correlation among the first ``n_tied`` features: (d, d)."""
    matrix = np.eye(n_features)
    matrix[:n_tied, :n_tied] += correlation * (1.0 - np.eye(n_tied))
    return matrix


def naive_bayes(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the log-odds (w, b) of normal features with their own class means and a variance that the classes share.

    With shared variances the log-odds are linear: the function set is that of logistic regression, the estimator another.
    """
    first, second = X[y == 0], X[y == 1]
    low, high = first.mean(axis=0), second.mean(axis=0)
    variance = (((first - low) ** 2).sum(axis=0) + ((second - high) ** 2).sum(axis=0)) / len(y)
    w = (high - low) / variance
    return w, float(np.log(len(second) / len(first)) - 0.5 * w @ (high + low))


def error_rate(w: np.ndarray, b: float, mean: np.ndarray, matrix: np.ndarray) -> float:
    r"""Return how often the sign of :math:`w^\top x + b` errs on two equally frequent classes :math:`N(\pm m, \Sigma)`."""
    spread = np.sqrt(w @ matrix @ w)
    return float(0.5 * (ndtr(-(w @ mean + b) / spread) + ndtr(-(w @ mean - b) / spread)))


def limits(mean: np.ndarray, matrix: np.ndarray) -> dict[str, float]:
    r"""Return the error rates that both reach with unlimited examples of :math:`N(\pm m, \Sigma)`, in closed form.

    Any linear score w errs at the rate :math:`\Phi(-w^\top m / \sqrt{w^\top \Sigma w})`. Naive Bayes ends at
    :math:`w = \mathrm{diag}(\Sigma)^{-1} m`, logistic regression at the best, :math:`w = \Sigma^{-1} m`.
    """
    directions = {"naive Bayes": mean / matrix.diagonal(), "logistic regression": np.linalg.solve(matrix, mean)}
    return {name: error_rate(w, 0.0, mean, matrix) for name, w in directions.items()}


@dataclass
class GenerativeDiscriminativeDemo:
    """Draw learning curves of both where features are correlated within a class, and where they are independent.

    Parameters
    ----------
    n_features : int >= 2, default 30
    n_tied : int >= 1, default 10
        Features that are correlated within a class, against the assumption of naive Bayes.
    correlation : float in [0, 1), default 0.3
    signal : float > 0, default 0.3
        Distance of each feature's class means from zero.
    sizes : tuple of int >= 4, default (10, 20, 40, 80, 160, 320, 640, 1280, 2560)
        Training examples, half of each class.
    n_repeats : int >= 1, default 30
        Training sets of each size.
    """

    n_features: int = 30
    n_tied: int = 10
    correlation: float = 0.3
    signal: float = 0.3
    sizes: tuple[int, ...] = (10, 20, 40, 80, 160, 320, 640, 1280, 2560)
    n_repeats: int = 30

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``curves.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A third of the training sets, every other size, and no real data.

        Returns
        -------
        Result
            Error rates by size, their limits in closed form, and the size from which logistic regression is ahead for
            good, -1 for none; in
            the full form the same curve on the breast-cancer data.
        """
        if (
            not 1 <= self.n_tied <= self.n_features
            or not 0 <= self.correlation < 1
            or self.signal <= 0
            or not self.sizes
            or min(self.sizes) < 4
            or self.n_repeats < 1
        ):
            raise InputError(
                "The demonstration needs 1 <= n_tied <= n_features, 0 <= correlation < 1, signal > 0, sizes of at least 4 and "
                f"n_repeats >= 1; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        sizes = tuple(self.sizes[::2] if quick else self.sizes)
        repeats = max(1, self.n_repeats // 3) if quick else self.n_repeats
        numbers: dict[str, float] = {}
        curves: dict[str, tuple[tuple[int, ...], dict[str, np.ndarray], dict[str, float]]] = {}
        mean = np.full(self.n_features, self.signal)
        for world, correlation in (("correlated features", self.correlation), ("independent features", 0.0)):
            matrix = covariance(self.n_features, self.n_tied, correlation)
            errors = self.measure(seed, mean, matrix, sizes, repeats)
            curves[world] = sizes, errors, limits(mean, matrix)
        if not quick:
            curves["breast-cancer"] = self._real(seed, repeats)
        for world, (world_sizes, errors, bounds) in curves.items():
            for name in NAMES:
                for size, value in zip(world_sizes, errors[name], strict=True):
                    numbers[f"{world}, {size} examples: error of {name}"] = float(value)
                if bounds:
                    numbers[f"{world}: limit of {name}"] = bounds[name]
            ahead = np.flatnonzero(errors[NAMES[1]] < errors[NAMES[0]])
            # Ahead for good: from a size on, at all larger ones.
            behind = np.flatnonzero(errors[NAMES[1]] >= errors[NAMES[0]])
            first = 0 if not len(behind) else int(behind[-1]) + 1
            crossed = len(ahead) > 0 and first < len(world_sizes)
            numbers[f"{world}: logistic regression ahead from"] = float(world_sizes[first]) if crossed else -1.0
        return Result(numbers, [self._draw(folder / "curves.png", curves, 60 if quick else 120)], self._text(numbers))

    def measure(
        self, seed: int, mean: np.ndarray, matrix: np.ndarray, sizes: tuple[int, ...], repeats: int
    ) -> dict[str, np.ndarray]:
        """Return the mean error rates of both at each size, each rate exact: (sizes,)."""
        streams, root = Streams(seed), np.linalg.cholesky(matrix)

        errors = {name: np.zeros(len(sizes)) for name in NAMES}
        for s, size in enumerate(sizes):
            for repeat in range(repeats):
                y = np.arange(size) % 2
                noise = streams.numpy("rows", size, repeat).normal(size=(size, len(mean))) @ root.T
                X = (2.0 * y - 1.0)[:, None] * mean + noise
                for name, (w, b) in self._fits(X, y).items():
                    errors[name][s] += error_rate(w, b, mean, matrix) / repeats
        return errors

    def _fits(self, X: np.ndarray, y: np.ndarray) -> dict[str, tuple[np.ndarray, float]]:
        """Return the scores (w, b) of both, positive for class 1."""
        # Few examples of many features are separable: a weak penalty keeps the weights finite.
        model = LogisticRegression(C=100.0, tol=1e-3).fit(X, y)
        return {NAMES[0]: naive_bayes(X, y), NAMES[1]: (model.coef_[0], float(model.intercept_[0]))}

    def _real(self, seed: int, repeats: int) -> tuple[tuple[int, ...], dict[str, np.ndarray], dict[str, float]]:
        from fivefold.data.datasets import load_dataset

        X, labels = load_dataset("breast-cancer").xy()
        y = (labels == np.unique(labels)[1]).astype(int)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        sizes = (10, 20, 40, 80, 160, 320)
        errors = {name: np.zeros(len(sizes)) for name in NAMES}
        streams = Streams(seed)
        for repeat in range(repeats):
            order = streams.numpy("real", repeat).permutation(len(y))
            # A few rows of each class first, so that every size holds both.
            heads = np.concatenate([order[y[order] == c][:3] for c in (0, 1)])
            order = np.concatenate([heads, order[~np.isin(order, heads)]])
            rest = order[sizes[-1] :]
            for s, size in enumerate(sizes):
                for name, (w, b) in self._fits(X[order[:size]], y[order[:size]]).items():
                    errors[name][s] += ((X[rest] @ w + b > 0) != y[rest]).mean() / repeats
        return sizes, errors, {}

    def _draw(
        self, path: Path, curves: dict[str, tuple[tuple[int, ...], dict[str, np.ndarray], dict[str, float]]], dpi: int
    ) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.6 * len(curves), 4.2), layout="constrained")
        grid = np.ravel(figure.subplots(1, len(curves)))
        for axes, (world, (sizes, errors, bounds)) in zip(grid, curves.items(), strict=True):
            for name, color in zip(NAMES, ("#4c78a8", "#e45756"), strict=True):
                axes.plot(sizes, errors[name], "o-", color=color, label=name)
                if bounds:
                    axes.axhline(bounds[name], color=color, linestyle=":", linewidth=1)
            axes.set_xscale("log")
            axes.set_title(world)
            axes.set_xlabel("training examples" + (" (dotted: limits)" if bounds else ""))
        grid[0].set_ylabel("error rate on new data")
        grid[0].legend(loc="upper right", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        def when(world: str) -> str:
            size = numbers[f"{world}: logistic regression ahead from"]
            return f"from {size:.0f} examples on" if size > 0 else "at no size that was tried for good"

        said = (
            "Where features are correlated within a class, logistic regression is ahead "
            f"{when('correlated features')}; with unlimited examples it errs at "
            f"{numbers['correlated features: limit of logistic regression']:.3f}, naive Bayes at "
            f"{numbers['correlated features: limit of naive Bayes']:.3f}. Naive Bayes estimates one feature at a time and needs "
            "few examples for that, but its assumption does not go away with more.\n\n"
            f"Where features are independent the assumption holds and logistic regression is ahead "
            f"{when('independent features')}; both tend to "
            f"{numbers['independent features: limit of naive Bayes']:.3f}."
        )
        if "breast-cancer: logistic regression ahead from" in numbers:
            said += f"\n\nOn the breast-cancer data logistic regression is ahead {when('breast-cancer')}."
        return said
