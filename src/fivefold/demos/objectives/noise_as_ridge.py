"""Noise on the inputs of least squares is ridge regression in the mean; so is dropout, column by column."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams

from ..result import Result, save_figure


def ridge(x: np.ndarray, y: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Return the solution (d,) of (XᵀX + diag(penalty)) w = Xᵀy."""
    return np.linalg.solve(x.T @ x + np.diag(penalty), x.T @ y)


def input_noise_solution(x: np.ndarray, y: np.ndarray, variance: float) -> np.ndarray:
    r"""Return :math:`(X^T X + n \sigma^2 I)^{-1} X^T y`, which minimizes the mean squared error over the noise."""
    return ridge(x, y, np.full(x.shape[1], len(x) * variance))


def dropout_solution(x: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    r"""Return :math:`(X^T X + \tfrac{p}{1 - p} \mathrm{diag}(X^T X))^{-1} X^T y`; kept inputs are divided by 1 - p."""
    return ridge(x, y, rate / (1 - rate) * (x**2).sum(axis=0))


def noisy_solution(
    x: np.ndarray, y: np.ndarray, copies: int, rng: np.random.Generator, *, variance: float = 0.0, rate: float = 0.0
) -> np.ndarray:
    """Return least squares (d,) on ``copies`` noisy copies of the rows together."""
    gram, moment = np.zeros((x.shape[1],) * 2), np.zeros(x.shape[1])
    chunk = max(1, 200_000 // x.size)
    for start in range(0, copies, chunk):
        shape = (min(chunk, copies - start), *x.shape)
        noisy = x + np.sqrt(variance) * rng.normal(size=shape) if variance else np.broadcast_to(x, shape)
        if rate:
            noisy = noisy * (rng.random(shape) >= rate) / (1 - rate)
        rows = noisy.reshape(-1, x.shape[1])
        gram += rows.T @ rows
        moment += rows.T @ np.tile(y, shape[0])
    return np.linalg.solve(gram, moment)


@dataclass
class NoiseAsRidgeDemo:
    r"""Fit least squares on more and more noisy copies of the data, and compare with the two ridge solutions.

    .. math:: E \lVert y - (X + Z) w \rVert^2 = \lVert y - X w \rVert^2 + n \sigma^2 \lVert w \rVert^2, \qquad
        E \lVert y - \tfrac{1}{1 - p} (M \circ X) w \rVert^2 = \lVert y - X w \rVert^2 +
        \tfrac{p}{1 - p} \sum_j (X^T X)_{jj} w_j^2

    Parameters
    ----------
    n_samples : int, default 60
    n_features : int >= 1, default 5
        At most ``n_samples``.
    variance : float > 0, default 0.5
        σ² of the noise on the inputs.
    rate : float in (0, 1), default 0.3
        p, the share of inputs that dropout sets to 0.
    n_copies : int >= 16, default 16,384
        Most noisy copies of the data; the quick form takes an eighth.
    """

    n_samples: int = 60
    n_features: int = 5
    variance: float = 0.5
    rate: float = 0.3
    n_copies: int = 16_384

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``distance.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            An eighth of the copies.

        Returns
        -------
        Result
            For noise and for dropout: the relative distance of the solution on most copies from its closed form and from plain
            least squares, and the slope of its logarithm against that of the copies.
        """
        fits = 1 <= self.n_features <= self.n_samples and self.n_copies >= 16
        if not fits or self.variance <= 0 or not 0 < self.rate < 1:
            raise InputError(
                "The demonstration needs 1 <= n_features <= n_samples, variance > 0, rate in (0, 1) and n_copies >= 16; "
                f"got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        streams = Streams(seed)
        rng = streams.numpy("data")
        x = rng.normal(size=(self.n_samples, self.n_features)) * np.linspace(0.5, 2.0, self.n_features)
        y = x @ rng.normal(size=self.n_features) + 0.3 * rng.normal(size=self.n_samples)
        plain = ridge(x, y, np.zeros(self.n_features))
        most = self.n_copies // 8 if quick else self.n_copies
        copies = np.unique(np.geomspace(2, most, 6).astype(int))
        kinds = {
            "input noise": (input_noise_solution(x, y, self.variance), {"variance": self.variance}),
            "dropout": (dropout_solution(x, y, self.rate), {"rate": self.rate}),
        }
        numbers: dict[str, float] = {}
        curves: dict[str, np.ndarray] = {}
        for kind, (exact, options) in kinds.items():
            size = np.linalg.norm(exact)
            distances = []
            for count in copies:
                found = [
                    noisy_solution(x, y, int(count), streams.numpy(kind, int(count), k), **options) for k in range(8)
                ]
                distances.append(np.sqrt(np.mean([np.sum((w - exact) ** 2) for w in found])) / size)
            curves[kind] = np.array(distances)
            numbers[f"{kind}: distance from its closed form"] = float(distances[-1])
            numbers[f"{kind}: distance from least squares"] = float(np.linalg.norm(found[0] - plain) / size)
            numbers[f"{kind}: slope of the logarithms"] = float(np.polyfit(np.log(copies), np.log(distances), 1)[0])
        numbers["copies"] = float(copies[-1])
        figure = self._draw(folder / "distance.png", copies, curves, numbers, 60 if quick else 120)
        return Result(numbers, [figure], self._text(numbers))

    def _draw(
        self, path: Path, copies: np.ndarray, curves: dict[str, np.ndarray], numbers: dict[str, float], dpi: int
    ) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.6), layout="constrained")
        axes = figure.subplots()
        for (kind, distances), color in zip(curves.items(), ("#4c78a8", "#e45756"), strict=True):
            axes.loglog(copies, distances, "o-", color=color, label=f"{kind}: from its ridge solution")
            level = numbers[f"{kind}: distance from least squares"]
            axes.axhline(level, color=color, linestyle=":", label=f"{kind}: from plain least squares, most copies")
        axes.loglog(
            copies,
            max(d[0] for d in curves.values()) * (copies / copies[0]) ** -0.5,
            color="gray",
            linewidth=1,
            label="1 / √copies",
        )
        axes.set_xlabel("noisy copies of the data")
        axes.set_ylabel("relative distance (root mean square of 8)")
        figure.legend(loc="outside upper center", ncols=2, fontsize=8)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        parts = []
        for kind in ("input noise", "dropout"):
            near, far = (numbers[f"{kind}: distance from {what}"] for what in ("its closed form", "least squares"))
            parts.append(
                f"With {kind}, least squares on {numbers['copies']:.0f} noisy copies is {near:.2%} away from its ridge "
                f"solution and {far:.2%} from least squares on the clean data; the distance falls with the power "
                f"{numbers[f'{kind}: slope of the logarithms']:.2f} of the copies, where chance alone gives -0.50."
            )
        return "\n\n".join(parts)
