"""Double descent: the error of least squares falls, explodes where parameters equal rows, and falls again beyond."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams

from ..result import Result, save_figure


def expected_risk(p: int, rows: int, columns: int, noise: float) -> float:
    r"""Return the expected error of minimum-norm least squares on p of D Gaussian columns that matter alike.

    With :math:`\lVert\beta\rVert^2 = 1`, of which p/D is seen and :math:`\tau = 1 - p/D + \sigma^2` is noise to the model,

    .. math:: \tau \left(1 + \frac{p}{n - p - 1}\right) \ (p \le n - 2), \qquad
              \frac pD \left(1 - \frac np\right) + \tau \left(1 + \frac{n}{p - n - 1}\right) \ (p \ge n + 2),

    and infinite between (Belkin, Hsu & Xu 2020).
    """
    rest = 1 - p / columns + noise
    if p <= rows - 2:
        return rest * (1 + p / (rows - p - 1))
    if p >= rows + 2:
        return p / columns * (1 - rows / p) + rest * (1 + rows / (p - rows - 1))
    return float("inf")


@dataclass
class DoubleDescentDemo:
    """Error on new data over the number of parameters, below and beyond the number of rows.

    Parameters
    ----------
    rows : int >= 10, default 40
        Training rows n.
    columns : int > 2 rows, default 120
        Columns D of the linear problem; the model sees the first p.
    noise : float >= 0, default 0.04
        Variance of the noise.
    repeats : int >= 10, default 200
        Data sets per point.
    """

    rows: int = 40
    columns: int = 120
    noise: float = 0.04
    repeats: int = 200

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiment and write ``double-descent.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A quarter of the repeats.

        Returns
        -------
        Result
            For Gaussian columns and for random ReLU features: the parameters at the peak, the error there, the best error
            below the threshold and the last error beyond it; the largest error with the best ridge penalty.
        """
        if self.rows < 10 or self.columns <= 2 * self.rows or self.noise < 0 or self.repeats < 10:
            raise InputError(
                f"The demonstration needs rows >= 10, columns > 2 rows, noise >= 0 and repeats >= 10; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        repeats = max(10, self.repeats // 4) if quick else self.repeats
        n, d = self.rows, self.columns
        grid = sorted({*range(0, d + 1, max(1, n // 10)), n - 1, n, n + 1, d})
        errors = np.array([self.errors(seed, p, repeats) for p in grid])  # (g, 2, repeats)
        plain, ridge = np.median(errors[:, 0], axis=1), np.median(errors[:, 1], axis=1)
        wide = sorted({*(int(v) for v in np.geomspace(4, 20 * n, 21)), n})
        relu = np.median([[self.relu_error(seed, p, k) for k in range(max(5, repeats // 10))] for p in wide], axis=1)
        numbers: dict[str, float] = {"training rows": float(n)}
        for name, places, values in (("Gaussian columns", grid, plain), ("ReLU features", wide, relu)):
            peak, below = int(np.argmax(values)), [v for p, v in zip(places, values) if p < n]
            numbers[f"{name}: parameters at the peak"] = float(places[peak])
            numbers[f"{name}: error at the peak"] = float(values[peak])
            numbers[f"{name}: best error below the threshold"] = float(min(below))
            numbers[f"{name}: error with the most parameters"] = float(values[-1])
        numbers["Gaussian columns: largest error with the best ridge penalty"] = float(ridge.max())
        figure = self._draw(folder / "double-descent.png", (grid, plain, ridge), (wide, relu), 60 if quick else 120)
        return Result(numbers, [figure], self._text(numbers))

    def errors(self, seed: int, p: int, repeats: int) -> np.ndarray:
        """Return the exact errors on new rows (2, repeats) of minimum-norm least squares and of ridge with p columns."""
        rng = Streams(seed).numpy("linear", p)
        n, d = self.rows, self.columns
        beta = np.full(d, 1 / np.sqrt(d))
        X = rng.standard_normal((repeats, n, d))
        y = X @ beta + np.sqrt(self.noise) * rng.standard_normal((repeats, n))
        if p == 0:
            return np.full((2, repeats), 1 + self.noise)
        seen = X[:, :, :p]
        least = np.einsum("rpn,rn->rp", np.linalg.pinv(seen), y)
        # The penalty that is best on average: noise to the model over the variance of one coefficient.
        penalty = d * (1 - p / d + self.noise)
        gram = seen @ seen.transpose(0, 2, 1) + penalty * np.eye(n)
        shrunk = np.einsum("rnp,rn->rp", seen, np.linalg.solve(gram, y[:, :, None])[:, :, 0])
        # For columns of variance 1 the error on new rows is the squared distance of the coefficients, plus the noise.
        lost = 1 - p / d + self.noise
        return np.array([((b - beta[:p]) ** 2).sum(axis=1) + lost for b in (least, shrunk)])

    def relu_error(self, seed: int, p: int, repeat: int) -> float:
        """Return the error on 500 new rows of minimum-norm least squares on p random ReLU features of ten columns."""
        rng = Streams(seed).numpy("relu", p, repeat)
        x = rng.standard_normal((self.rows + 500, 10)) / np.sqrt(10)
        truth = np.sin(3 * x[:, 0]) + np.abs(x[:, 1]) + x[:, 2] * x[:, 3]
        weights, shifts = rng.standard_normal((10, p)), 0.3 * rng.standard_normal(p)
        z = np.maximum(x @ weights + shifts, 0) / np.sqrt(p)
        y = truth[: self.rows] + np.sqrt(self.noise) * rng.standard_normal(self.rows)
        found = z[self.rows :] @ (np.linalg.pinv(z[: self.rows]) @ y)
        return float(((found - truth[self.rows :]) ** 2).mean() + self.noise)

    def _draw(self, path: Path, linear: tuple[Any, ...], relu: tuple[Any, ...], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        grid, plain, ridge = linear
        closed = [expected_risk(p, self.rows, self.columns, self.noise) for p in range(self.columns + 1)]
        left.plot(range(self.columns + 1), closed, color="gray", linewidth=1.2, label="expected error, closed form")
        left.plot(grid, plain, "o", markersize=4, color="#e45756", label="least squares, minimum norm")
        left.plot(grid, ridge, "-", color="#54a24b", label="ridge, best penalty")
        left.set_title("Gaussian columns", fontsize=10)
        left.set_ylim(0.3, 10 * float(plain.max()))
        right.plot(*relu, "o-", markersize=4, color="#e45756", label="least squares, minimum norm")
        right.set_xscale("log")
        right.set_title("random ReLU features", fontsize=10)
        right.set_ylim(0.5 * float(min(relu[1])), 10 * float(max(relu[1])))
        for axes in (left, right):
            axes.axvline(self.rows, color="black", linestyle=":", linewidth=1, label=f"{self.rows} training rows")
            axes.set_yscale("log")
            axes.set_xlabel("parameters")
            axes.set_ylabel("squared error on new rows")
            axes.legend(loc="upper right", fontsize=8)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        parts = []
        for name in ("Gaussian columns", "ReLU features"):
            below = numbers[f"{name}: best error below the threshold"]
            last = numbers[f"{name}: error with the most parameters"]
            verdict = "lower than" if last < below else "not lower than"
            parts.append(
                f"{name}: the error peaks at {numbers[f'{name}: parameters at the peak']:.0f} parameters "
                f"({numbers[f'{name}: error at the peak']:.3g}) for {self.rows} rows; with the most parameters it is {last:.3g}, "
                f"{verdict} the best below the threshold ({below:.3g})."
            )
        parts.append(
            "With the best ridge penalty no number of parameters errs by more than "
            f"{numbers['Gaussian columns: largest error with the best ridge penalty']:.3g}: the peak is a lack of regularization."
        )
        return "\n\n".join(parts)
