"""A picture as a function of two numbers: a deep tree draws it, a shallow forest cannot, boosted shallow trees can."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.demos.result import Result, ResultTable, save_figure
from fivefold.models.trees.adaboost import AdaBoostClassifier
from fivefold.models.trees.cart import DecisionTreeClassifier
from fivefold.models.trees.forest import RandomForestClassifier


def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return 1 where the drawing is dark: a singer's head with two long tails of hair, at points of the unit square.

    x goes right and y goes up; the drawing is made of ellipses, half-planes and waves, none along the axes alone.
    """

    def disk(a: float, b: float, r: float, s: float = 1.0) -> np.ndarray:
        return (x - a) ** 2 + ((y - b) / s) ** 2 < r**2

    hair = disk(0.5, 0.66, 0.24)
    face = disk(0.5, 0.6, 0.17, 1.1) & (y < 0.7 + 0.03 * np.cos(40 * x))
    tails = np.zeros(x.shape, dtype=bool)
    for side in (-1, 1):
        center = 0.5 + side * (0.27 + 0.13 * np.sin(3.2 * (0.75 - y)))
        width = 0.035 + 0.045 * np.sin(np.pi * np.clip((0.78 - y) / 0.72, 0, 1))
        tails |= (np.abs(x - center + 0.012 * np.sin(30 * y)) < width) & (y < 0.78) & (y > 0.06)
    eyes = disk(0.43, 0.6, 0.03, 1.6) | disk(0.57, 0.6, 0.03, 1.6)
    shine = disk(0.437, 0.62, 0.011) | disk(0.577, 0.62, 0.011)
    mouth = disk(0.5, 0.5, 0.035, 0.8) & ~disk(0.5, 0.515, 0.035, 0.8)
    body = (np.abs(x - 0.5) < 0.05 + 0.28 * np.clip(0.42 - y, 0, 1)) & (y < 0.4)
    tie = (np.abs(x - 0.5) < 0.012 + 0.05 * np.clip(0.38 - y, 0, 1)) & (y < 0.38) & (y > 0.12)
    dark = (hair & ~face) | tails | eyes & ~shine | mouth | (body & ~tie)
    return dark.astype(np.int64)


def pixels(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centers (size², 2) of the pixels of a square, row by row from the top, and their color (size²,)."""
    at = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(at, at[::-1])
    X = np.column_stack([x.ravel(), y.ravel()])
    return X, picture(X[:, 0], X[:, 1])


@dataclass
class PictureFunctionDemo:
    """Learn a black-and-white picture from its pixels: trees and forests of four depths, boosted trees of depth 5.

    Parameters
    ----------
    size : int >= 16, default 128
        Pixels of a side; half in the quick form.
    depths : tuple of int, default (5, 10, 15, 20)
        Depths of the trees and of the forests.
    n_estimators : int >= 1, default 100
        Trees of a forest.
    rounds : tuple of int, default (10, 20, 50, 100)
        Members of the boosted trees; depth 5.
    boosted_depth : int >= 1, default 5

    References
    ----------
    ``05#decision-tree``, ``05#random-forest``, ``05#adaboost-miku``.
    """

    size: int = 128
    depths: tuple[int, ...] = (5, 10, 15, 20)
    n_estimators: int = 100
    rounds: tuple[int, ...] = (10, 20, 50, 100)
    boosted_depth: int = 5

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Fit all models on the pixels and write ``pictures.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A smaller picture.

        Returns
        -------
        Result
            The share of right pixels of every model, and that of always answering the more frequent color.
        """
        if self.size < 16 or min(*self.depths, *self.rounds, self.n_estimators, self.boosted_depth) < 1:
            raise InputError(f"The demonstration needs size >= 16 and depths, rounds and trees >= 1; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        size = max(16, self.size // 2) if quick else self.size
        X, y = pixels(size)
        drawn: dict[str, np.ndarray] = {}
        for depth in self.depths:
            drawn[f"tree, depth {depth}"] = DecisionTreeClassifier(max_depth=depth).fit(X, y).predict(X)
        for depth in self.depths:
            forest = RandomForestClassifier(self.n_estimators, max_depth=depth, random_state=seed)
            drawn[f"forest, depth {depth}"] = forest.fit(X, y).predict(X)
        base = DecisionTreeClassifier(max_depth=self.boosted_depth)
        boosted = AdaBoostClassifier(base, n_estimators=max(self.rounds)).fit(X, y)
        for t, labels in enumerate(boosted.staged_predict(X), 1):
            if t in self.rounds:
                drawn[f"boosted, {t} rounds"] = labels
        numbers = {name: float(np.mean(labels == y)) for name, labels in drawn.items()}
        numbers["one color"] = float(max(y.mean(), 1 - y.mean()))
        rows = [(name, f"{value:.4f}") for name, value in numbers.items()]
        table = ResultTable("Share of right pixels", ("model", "share"), rows)
        figure = self._draw(folder / "pictures.png", drawn, y, size, 60 if quick else 110)  # any value: looks
        return Result(numbers, [figure], self._text(numbers), (table,))

    def _draw(self, path: Path, drawn: dict[str, np.ndarray], y: np.ndarray, size: int, dpi: int) -> Path:
        from matplotlib.figure import Figure

        names = list(drawn)
        groups = [[n for n in names if n.startswith(kind)] for kind in ("tree", "forest", "boosted")]
        columns = max(len(group) for group in groups)
        figure = Figure(figsize=(2.3 * (columns + 1), 7.4), layout="constrained")  # any value: looks
        grid: Any = figure.subplots(3, columns + 1, squeeze=False)  # any value: looks
        for axes in grid.ravel():
            axes.set_axis_off()
        for row, group in enumerate(groups):
            for column, name in enumerate(group, 1):
                axes = grid[row, column]
                axes.imshow(1 - drawn[name].reshape(size, size), cmap="gray", vmin=0, vmax=1)  # any value: looks
                axes.set_title(f"{name}\n{np.mean(drawn[name] == y):.1%}", fontsize=9)  # any value: looks
        grid[1, 0].imshow(1 - y.reshape(size, size), cmap="gray", vmin=0, vmax=1)  # any value: looks
        grid[1, 0].set_title("the picture", fontsize=9)  # any value: looks
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        low, high = self.depths[0], self.depths[-1]
        boosted = [name for name in numbers if name.startswith("boosted")]
        last = f"{boosted[-1]}: {numbers[boosted[-1]]:.1%}" if boosted else "boosting stopped early"
        return (
            f"A tree of depth {low} gets {numbers[f'tree, depth {low}']:.1%} of the pixels right, one of depth {high} "
            f"{numbers[f'tree, depth {high}']:.1%}. A forest of {self.n_estimators} trees of depth {low} gets "
            f"{numbers[f'forest, depth {low}']:.1%}: averaging smooths, it does not fit better.\n\n"
            f"Boosting turns trees of depth {self.boosted_depth} into the picture ({last}), for each tree is asked about what "
            "the others got wrong."
        )
