"""Where PCA fails: it knows no labels, and it is linear."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.evaluation.ranking import roc_auc
from fivefold.models.unsupervised._common import neighbors
from fivefold.models.unsupervised.lle import LocallyLinearEmbedding
from fivefold.models.unsupervised.pca import PCA

from ..result import Result, save_figure


def two_classes(rows: int, distance: float, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return X (2 rows, 2) and classes: normal clouds at (0, ± distance / 2) with deviations ``spread`` and 1."""
    y = np.repeat([0, 1], rows)
    X = rng.normal(size=(2 * rows, 2)) * [spread, 1.0]
    X[:, 1] += distance * (y - 0.5)
    return X, y


def fisher_direction(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the direction (d,) of length one that linear discriminant analysis projects on: S_w^-1 (m_1 - m_0)."""
    low, high = X[y == 0], X[y == 1]
    within = np.cov(low.T) * (len(low) - 1) + np.cov(high.T) * (len(high) - 1)
    w = np.linalg.solve(within, high.mean(axis=0) - low.mean(axis=0))
    return w / np.linalg.norm(w)


def sheet(rows: int, width: float, curved: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 3) on a sheet, bent to an S or flat, and their places on it (n, 2): along and across."""
    t, across = rng.uniform(-1.5 * np.pi, 1.5 * np.pi, rows), rng.uniform(0.0, width, rows)
    if curved:
        return np.c_[np.sin(t), across, np.sign(t) * (np.cos(t) - 1.0)], np.c_[t, across]
    return np.c_[t, across, np.zeros(rows)], np.c_[t, across]


def false_neighbors(found: np.ndarray, place: np.ndarray, count: int = 10) -> float:
    """Return the share of the ``count`` nearest rows in the map (n, k) that lie more than a quarter turn away along the sheet."""
    index, _ = neighbors(found, count)
    return float((np.abs(place[index, 0] - place[:, :1]) > np.pi / 2).mean())


@dataclass
class PCALimitsDemo:
    """Project two long classes on PCA's and on LDA's direction, and map an S-shaped sheet by PCA and by LLE.

    Parameters
    ----------
    rows : int >= 50, default 1000
        Rows of a class, and of the sheet; the quick form takes at most 400.
    distance : float > 0, default 4.0
        Between the class means, in deviations along the short axis.
    spread : float > 0, default 5.0
        Deviation along the long axis.
    width : float > 0, default 5.0
        Of the sheet, which is 3 π long.
    """

    rows: int = 1000
    distance: float = 4.0
    spread: float = 5.0
    width: float = 5.0

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``classes.png`` and ``sheet.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            At most 400 rows and coarser figures.

        Returns
        -------
        Result
            Areas under the ROC curve of the classes along the first principal component and along LDA's direction; shares of
            false neighbors in the maps by PCA and LLE, and by PCA of a flat sheet.
        """
        if self.rows < 50 or min(self.distance, self.spread, self.width) <= 0:
            raise InputError(f"The demonstration needs rows >= 50 and distance, spread and width above 0; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        streams, rows = Streams(seed), min(self.rows, 400) if quick else self.rows
        X, y = two_classes(rows, self.distance, self.spread, streams.numpy("classes"))
        first, fisher = PCA(1).fit(X).components_[0], fisher_direction(X, y)
        curve, place = sheet(rows, self.width, True, streams.numpy("sheet"))
        flat, flat_place = sheet(rows, self.width, False, streams.numpy("flat"))
        pca_map = PCA(2).fit_transform(curve)
        lle_map = LocallyLinearEmbedding(2, n_neighbors=12).fit_transform(curve)
        numbers = {
            "auc along the first component": area(X @ first, y),
            "auc along that of LDA": area(X @ fisher, y),
            "angle between the two (degrees)": float(np.degrees(np.arccos(min(abs(float(first @ fisher)), 1.0)))),
            "false neighbors, PCA": false_neighbors(pca_map, place),
            "false neighbors, LLE": false_neighbors(lle_map, place),
            "false neighbors, PCA of a flat sheet": false_neighbors(PCA(2).fit_transform(flat), flat_place),
        }
        dpi = 60 if quick else 120
        figures = [
            self._draw_classes(folder / "classes.png", X, y, {"first component": first, "LDA": fisher}, dpi),
            self._draw_sheet(folder / "sheet.png", place, {"PCA": pca_map, "LLE": lle_map}, curve, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _draw_classes(self, path: Path, X: np.ndarray, y: np.ndarray, ways: dict[str, np.ndarray], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.6), layout="constrained")
        grid: Any = figure.subplots(1, 3)
        for label, color in ((0, "#4c78a8"), (1, "#e45756")):
            grid[0].scatter(*X[y == label].T, s=4, color=color, label=f"class {label}")
            for axes, (name, way) in zip(grid[1:], ways.items(), strict=True):
                axes.hist(X[y == label] @ way, bins=40, color=color, alpha=0.6)
                axes.set_xlabel(f"projection on the direction: {name}")
                axes.set_ylabel("rows")
        grid[0].set_xlabel("long axis")
        grid[0].set_ylabel("short axis")
        grid[0].set_aspect("equal", adjustable="datalim")
        figure.legend(loc="outside upper center", ncols=2, fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_sheet(
        self, path: Path, place: np.ndarray, maps: dict[str, np.ndarray], curve: np.ndarray, dpi: int
    ) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.4), layout="constrained")
        grid: Any = figure.subplots(1, 3)
        dots: Any = None
        names = ("first column of the map", "second column of the map")
        shown = {"the sheet from its side": (curve[:, [0, 2]], ("x", "z"))}
        shown |= {f"map by {name}": (found, names) for name, found in maps.items()}
        for axes, (title, (points, labels)) in zip(grid, shown.items(), strict=True):
            dots = axes.scatter(*points.T, c=place[:, 0], s=4, cmap="viridis")
            axes.set_title(title)
            axes.set_xlabel(labels[0])
            axes.set_ylabel(labels[1])
        figure.colorbar(dots, ax=grid, label="place along the sheet")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        return (
            f"Along the first principal component the classes have the area {numbers['auc along the first component']:.2f} "
            f"under the ROC curve (0.50 is chance), along LDA's direction {numbers['auc along that of LDA']:.3f}; "
            f"the two directions are {numbers['angle between the two (degrees)']:.0f} degrees apart. PCA sees no labels and "
            "follows the variance.\n\n"
            f"In PCA's map of the S-shaped sheet {numbers['false neighbors, PCA']:.1%} of the ten nearest rows are far away "
            f"along the sheet, in that by LLE {numbers['false neighbors, LLE']:.1%}, and in PCA's map of a flat sheet "
            f"{numbers['false neighbors, PCA of a flat sheet']:.1%}: a linear map projects the folds on one another."
        )


def area(projection: np.ndarray, y: np.ndarray) -> float:
    """Return the area under the ROC curve of the classes along a direction, whichever way it points."""
    found = float(roc_auc(y, projection))
    return max(found, 1.0 - found)
