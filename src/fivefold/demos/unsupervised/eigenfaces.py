"""Eigen-digits: principal components of pictures look like whole pictures, the parts of NMF like strokes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.models.unsupervised.nmf import NMF
from fivefold.models.unsupervised.pca import PCA

from ..result import Result, save_figure


def wholeness(parts: np.ndarray) -> np.ndarray:
    r"""Return the effective share of pixels in every row of parts (k, d): (Σ|w|)² / (d Σ w²), 1 when all weigh the same."""
    size = np.abs(parts)
    square = (size**2).sum(axis=1)
    return size.sum(axis=1) ** 2 / (parts.shape[1] * np.where(square > 0, square, 1.0))


@dataclass
class EigenfacesDemo:
    """Draw the first components of handwritten digits beside as many parts of NMF, and rebuild a digit from few of them.

    Parameters
    ----------
    n_components : int >= 1, default 30
    rows : int >= 31, default 3000
        Pictures; the quick form takes at most 500 of the small digits.

    Notes
    -----
    The course shows digits and faces. No set of faces is among those that the library reads, so this is the half with
    digits: MNIST (28 x 28 pixels), in the quick form scikit-learn's (8 x 8).
    """

    n_components: int = 30
    rows: int = 3000

    def pictures(self, quick: bool) -> np.ndarray:
        """Return the pictures (n, height, width), 0 to 1."""
        from fivefold.data.datasets import load_dataset

        found = load_dataset("digits") if quick else load_dataset("mnist", part="test")
        x = np.asarray(found.arrays["x"], dtype=np.float64)
        x = x.reshape(len(x), *x.shape[-2:])[: min(self.rows, 500) if quick else self.rows]
        return x / (x.max() or 1.0)

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``components.png``, ``parts.png`` and ``rebuilt.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
            Chooses the picture that is rebuilt.
        out : path of a directory, made if it is not there
        quick : bool, default False
            Small digits.

        Returns
        -------
        Result
            Share of the variance kept; effective share of pixels in a component and in a part (mean); shares of negative
            entries; mean squared error a pixel of both.
        """
        if self.n_components < 1 or self.rows <= max(self.n_components, 30):
            raise InputError(
                f"The demonstration needs n_components >= 1 and more rows than those and than 30; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = self.pictures(quick)
        shape = pictures.shape[1:]
        X = pictures.reshape(len(pictures), -1)
        if self.n_components > X.shape[1]:
            raise InputError(
                f"`n_components` is {self.n_components}; a picture has {X.shape[1]} pixels, so give at most that."
            )
        pca = PCA(self.n_components, svd_solver="full").fit(X)
        nmf = NMF(self.n_components, tol=1e-3).fit(X)
        coordinates, weights = pca.transform(X), nmf.transform(X)
        numbers = {
            "share of variance kept": float(pca.explained_variance_ratio_.sum()),
            "pixels in a component": float(wholeness(pca.components_).mean()),
            "pixels in a part of NMF": float(wholeness(nmf.components_).mean()),
            "negative entries, components": float((pca.components_ < 0).mean()),
            "negative entries, parts": float((nmf.components_ < 0).mean()),
            "error of PCA": float(((X - pca.inverse_transform(coordinates)) ** 2).mean()),
            "error of NMF": float(((X - nmf.inverse_transform(weights)) ** 2).mean()),
            "pictures": float(len(X)),
        }
        dpi, number = 100 if quick else 120, seed % len(X)
        stages = [c for c in (1, 3, 10, 30, 100) if c < self.n_components] + [self.n_components]
        rebuilt = [pca.mean_ + coordinates[number, :c] @ pca.components_[:c] for c in stages]
        figures = [
            _grid(
                folder / "components.png", pca.components_.reshape(-1, *shape), "RdBu_r", "principal components", dpi
            ),
            _grid(folder / "parts.png", nmf.components_.reshape(-1, *shape), "Greys", "parts of NMF", dpi),
            _grid(
                folder / "rebuilt.png",
                np.array([*rebuilt, X[number]]).reshape(-1, *shape),
                "Greys",
                "one picture rebuilt by PCA",
                dpi,
                [f"first {c}" for c in stages] + ["original"],
            ),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _text(self, numbers: dict[str, float]) -> str:
        whole, part = numbers["pixels in a component"], numbers["pixels in a part of NMF"]
        word = "more" if whole > part else "no more"
        return (
            f"The first {self.n_components} principal components of {numbers['pictures']:.0f} digits keep "
            f"{numbers['share of variance kept']:.0%} of the variance. {numbers['negative entries, components']:.0%} of their "
            "entries are negative: a digit is a sum of whole pictures in which strokes of one take away those of another.\n\n"
            f"The effective share of pixels is {whole:.0%} in a component and {part:.0%} in a part of NMF, {word} in the "
            f"component; of the parts' entries {numbers['negative entries, parts']:.0%} are negative, so parts can only be "
            f"added. The mean squared error a pixel is {numbers['error of PCA']:.4f} with PCA and {numbers['error of NMF']:.4f} "
            "with NMF; no linear rebuilding from as many components has less than PCA."
        )


def _grid(path: Path, pictures: np.ndarray, colors: str, title: str, dpi: int, names: list[str] | None = None) -> Path:
    from matplotlib.figure import Figure

    columns = min(10, len(pictures))
    lines = -(-len(pictures) // columns)
    figure = Figure(figsize=(max(1.0 * columns, 4.0), 1.05 * lines + (0.7 if names else 0.4)), layout="constrained")
    grid: Any = figure.subplots(lines, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        axes.set_axis_off()
        if number < len(pictures):
            picture = pictures[number]
            size = float(np.abs(picture).max()) or 1.0
            axes.imshow(picture, cmap=colors, vmin=-size if colors == "RdBu_r" else 0.0, vmax=size)
            if names:
                axes.set_title(names[number], fontsize=7)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path, dpi=dpi)
    return path
