"""Least squares as a classifier: points that are too correct tilt its boundary, and coding three classes orders them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.models.linear import LinearRegression, LogisticRegression, SoftMarginSVM, SoftmaxRegression

from ..result import Result, save_figure

NAMES = ("least squares", "logistic", "hinge")


def boundaries(X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the boundary (w_1, w_2, b) of least squares on y = ±1, of logistic regression and of the soft margin."""
    models: dict[str, Any] = {
        "least squares": LinearRegression(),
        "logistic": LogisticRegression(C=1.0),
        "hinge": SoftMarginSVM(C=1.0),
    }
    found = {}
    for name, model in models.items():
        model.fit(X, y.astype(float) if name == "least squares" else y)
        found[name] = np.append(np.ravel(model.coef_), np.ravel(model.intercept_))
    return found


def turn(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle in degrees between the boundaries (w_1, w_2, b)."""
    across = first[0] * second[1] - first[1] * second[0]
    return float(np.degrees(np.arctan2(abs(across), first[:2] @ second[:2])))


@dataclass
class LeastSquaresClassificationDemo:
    """Add points far on the right side of the boundary and see which boundaries turn; then code three classes as 1, 2, 3.

    Parameters
    ----------
    n_points : int >= 10, default 60
        Points of each class.
    n_far : int >= 0, default 20
        Points added to the positive class.
    distance : float >= 0, default 15.0
        How far beyond the class they lie.
    """

    n_points: int = 60
    n_far: int = 20
    distance: float = 15.0

    def data(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the points (2n, 2), their labels ±1 and the far points (m, 2), all of the positive class."""
        stream = Streams(seed).numpy("points")
        n = self.n_points
        X = stream.normal(size=(2 * n, 2)) * 0.8 + np.repeat([[-2.0, 0.0], [2.0, 0.0]], n, axis=0)
        far = np.array([2.0 + self.distance, -self.distance]) + 0.8 * stream.normal(size=(self.n_far, 2))
        return X, np.repeat([-1, 1], n), far

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``boundaries.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A coarser figure; the numbers are the same.

        Returns
        -------
        Result
            For each loss the turn of its boundary and the errors at the first points; accuracy with classes coded 1, 2, 3.
        """
        if self.n_points < 10 or self.n_far < 0 or self.distance < 0:
            raise InputError(f"The demonstration needs n_points >= 10, n_far >= 0 and distance >= 0; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        X, y, far = self.data(seed)
        before = boundaries(X, y)
        after = boundaries(np.vstack([X, far]), np.append(y, np.ones(len(far), dtype=y.dtype)))
        numbers: dict[str, float] = {}
        for name in NAMES:
            numbers[f"{name}: turn in degrees"] = turn(before[name], after[name])
            for when, found in (("before", before), ("after", after)):
                wrong = (X @ found[name][:2] + found[name][2]) * y <= 0
                numbers[f"{name}: errors {when}"] = float(wrong.sum())
        coded, softmax = self._coded(seed)
        numbers["classes coded 1, 2, 3: accuracy of least squares"] = coded
        numbers["classes coded 1, 2, 3: accuracy of softmax"] = softmax
        figure = self._draw(folder / "boundaries.png", X, y, far, before, after, 60 if quick else 120)
        return Result(numbers, [figure], self._text(numbers))

    def _coded(self, seed: int) -> tuple[float, float]:
        """Return the accuracies on three classes in a row whose coding 1, 2, 3 puts the outer one between the others."""
        stream, n = Streams(seed).numpy("coded"), self.n_points
        codes = np.repeat([1, 2, 3], n)
        # Centers -4, 4, 0 for the codes 1, 2, 3: the order of the codes is not the order of the places.
        X = np.array([-4.0, 4.0, 0.0])[codes - 1][:, None] + 0.6 * stream.normal(size=(3 * n, 1))
        guess = np.clip(np.round(LinearRegression().fit(X, codes.astype(float)).predict(X)), 1, 3)
        return float((guess == codes).mean()), float(SoftmaxRegression().fit(X, codes).score(X, codes))

    def _draw(
        self,
        path: Path,
        X: np.ndarray,
        y: np.ndarray,
        far: np.ndarray,
        before: dict[str, np.ndarray],
        after: dict[str, np.ndarray],
        dpi: int,
    ) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4.6), layout="constrained")
        everything = np.vstack([X, far])
        low, high = everything.min(axis=0) - 1.5, everything.max(axis=0) + 1.5
        for axes, found, points, title in zip(
            figure.subplots(1, 2, sharex=True, sharey=True),
            (before, after),
            (X[y > 0], np.vstack([X[y > 0], far])),
            ("without far points", "with far points"),
            strict=True,
        ):
            axes.scatter(*X[y < 0].T, s=12, color="#4c78a8", label="class -1")
            axes.scatter(*points.T, s=12, color="#e45756", label="class +1")
            for name, style in zip(NAMES, ("-", "--", ":"), strict=True):
                w1, w2, b = found[name]
                height = np.linspace(low[1], high[1], 50)
                axes.plot(-(w2 * height + b) / w1, height, style, color="black", label=name)
            axes.set_xlim(low[0], high[0])
            axes.set_ylim(low[1], high[1])
            axes.set_title(title)
            axes.set_xlabel("first feature")
        figure.axes[0].set_ylabel("second feature")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        turns = ", ".join(f"that of {name} {numbers[f'{name}: turn in degrees']:.1f}" for name in NAMES[1:])
        return (
            f"{self.n_far} points far on the right side turn the boundary of least squares by "
            f"{numbers['least squares: turn in degrees']:.1f} degrees, {turns}: a squared error charges a point for being too "
            f"correct. Of the first {2 * self.n_points} points least squares gets "
            f"{numbers['least squares: errors after']:.0f} wrong, the hinge {numbers['hinge: errors after']:.0f}.\n\n"
            "Three classes coded 1, 2, 3 whose places do not follow that order: least squares reaches an accuracy of "
            f"{numbers['classes coded 1, 2, 3: accuracy of least squares']:.2f}, softmax "
            f"{numbers['classes coded 1, 2, 3: accuracy of softmax']:.2f}."
        )
