"""AdaBoost's bound on the training error, its optimal weight, and margins that grow when all rows are right already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.models.trees.adaboost import AdaBoostClassifier
from fivefold.models.trees.cart import DecisionTreeClassifier


def sphere(rows: int, stream: np.random.Generator, features: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return normal columns (n, d) and signs (n,): +1 outside the sphere that holds about half of them."""
    X = stream.standard_normal((rows, features))
    return X, np.where((X**2).sum(axis=1) > features - 2 / 3, 1, -1)


def normalizers(answers: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return :math:`Z_t = \sum_i u_i e^{-\alpha_t y_i h_t(x_i)}` (T,) and the weighted errors (T,), from u = 1/n on.

    answers (T, n) and y (n,) are signs.
    """
    u = np.full(len(y), 1 / len(y))
    z, errors = np.empty(len(alphas)), np.empty(len(alphas))
    for t, alpha in enumerate(alphas):
        errors[t] = u[answers[t] != y].sum()
        u = u * np.exp(-alpha * y * answers[t])
        z[t] = u.sum()
        u /= z[t]
    return z, errors


@dataclass
class AdaBoostErrorBoundDemo:
    r"""Boost small trees and compare the training error with its bounds, round by round.

    .. math:: \frac1n \sum_i [H(x_i) \ne y_i] \le \frac1n \sum_i e^{-y_i f(x_i)} = \prod_t Z_t
              = \prod_t 2\sqrt{\varepsilon_t (1 - \varepsilon_t)}, \qquad
              \alpha_t = \arg\min Z_t = \tfrac12 \ln\frac{1 - \varepsilon_t}{\varepsilon_t}

    Parameters
    ----------
    n_samples : int >= 20, default 400
        Training rows: points inside or outside a sphere in 10 dimensions.
    n_new : int >= 1, default 2000
        New rows.
    members : tuple of int, default (5, 100, 1000)
        Numbers of members whose margins are drawn; a tenth of the last two in the quick form.
    depth : int >= 1, default 3
        Depth of the members.

    Notes
    -----
    A source has exp(y f) > 1 for the rows that are wrong, where exp(-y f) >= 1 is meant. A margin is y f / Σ α, in [-1, 1].

    References
    ----------
    Freund & Schapire 1997; Schapire, Freund, Bartlett & Lee, Boosting the Margin, 1998; ``01#adaboost-bound``,
    ``05#adaboost-bound``.
    """

    n_samples: int = 400
    n_new: int = 2000
    members: tuple[int, ...] = (5, 100, 1000)
    depth: int = 3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the experiment and write ``bound.png`` and ``margins.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            Fewer members and coarser figures.

        Returns
        -------
        Result
            The gaps of the two equalities, rounds in which the bound fails, the round without training errors, errors on new
            rows then and in the end, and the least and median margin by members.
        """
        if self.n_samples < 20 or self.n_new < 1 or not self.members or min(*self.members, self.depth) < 1:
            raise InputError(
                f"The demonstration needs n_samples >= 20, n_new >= 1 and members and depth >= 1; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        marks = sorted({min(m, max(5, m // 10)) if quick else m for m in self.members})
        streams = Streams(seed)
        X, y = sphere(self.n_samples, streams.numpy("training"))
        new, truth = sphere(self.n_new, streams.numpy("new"))
        boosted = AdaBoostClassifier(DecisionTreeClassifier(max_depth=self.depth), n_estimators=marks[-1]).fit(X, y)
        alphas = boosted.estimator_weights_
        answers = np.array([member.predict(X) for member in boosted.estimators_])  # (T, n)
        far = np.array([member.predict(new) for member in boosted.estimators_])
        f, g = np.cumsum(alphas[:, None] * answers, axis=0), np.cumsum(alphas[:, None] * far, axis=0)
        z, errors = normalizers(answers, y, alphas)
        curves = {
            "training error": (y * f <= 0).mean(axis=1),
            "mean exp(-y f)": np.exp(-y * f).mean(axis=1),
            "product of Z": np.cumprod(z),
            "product of 2 sqrt(e (1 - e))": np.cumprod(2 * np.sqrt(errors * (1 - errors))),
            "error on new rows": (truth * g <= 0).mean(axis=1),
        }
        bound = curves["mean exp(-y f)"]
        wrong = np.flatnonzero(curves["training error"] > 0)
        first = int(wrong[-1]) + 1 if len(wrong) else 0  # from here on all rows stay right
        clean = first < len(alphas)
        first = min(first, len(alphas) - 1)
        marks = [min(m, len(alphas)) for m in marks]
        margins = {m: y * f[m - 1] / alphas[:m].sum() for m in marks}
        grid = np.linspace(0, 2 * alphas[0], 2001)
        z_of = (1 - errors[0]) * np.exp(-grid) + errors[0] * np.exp(grid)
        numbers = {
            "relative gap of exp-loss and product of Z": float(np.abs(curves["product of Z"] / bound - 1).max()),
            "relative gap of exp-loss and product of 2 sqrt(e (1 - e))": float(
                np.abs(curves["product of 2 sqrt(e (1 - e))"] / bound - 1).max()
            ),
            "rounds in which the bound fails": float(np.sum(curves["training error"] > bound)),
            "first alpha": float(alphas[0]),
            "argument of the least Z of the first round": float(grid[z_of.argmin()]),
            "members": float(len(alphas)),
            "first round without training errors": float(first + 1) if clean else np.inf,
            "error on new rows then": float(curves["error on new rows"][first]),
            "error on new rows in the end": float(curves["error on new rows"][-1]),
        }
        for m in marks:
            numbers[f"least margin, {m} members"] = float(margins[m].min())
            numbers[f"median margin, {m} members"] = float(np.median(margins[m]))
        dpi = 60 if quick else 120  # any value: looks
        figures = [
            self._draw_bound(folder / "bound.png", curves, grid, z_of, float(alphas[0]), dpi),
            self._draw_margins(folder / "margins.png", margins, dpi),
        ]
        return Result(numbers, figures, self._text(numbers, marks))

    def _draw_bound(
        self, path: Path, curves: dict[str, np.ndarray], grid: np.ndarray, z: np.ndarray, alpha: float, dpi: int
    ) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4.2), layout="constrained")  # any value: looks
        axes: Any = figure.subplots(1, 2, width_ratios=(2, 1))  # any value: looks
        rounds = np.arange(1, len(curves["training error"]) + 1)  # any value: looks
        styles = {
            "training error": ("#e45756", "-", 1.6),  # any value: looks
            "mean exp(-y f)": ("#4c78a8", "-", 4.0),  # any value: looks
            "product of Z": ("#f58518", "--", 2.0),  # any value: looks
            "product of 2 sqrt(e (1 - e))": ("black", ":", 1.6),
            "error on new rows": ("#54a24b", "-", 1.6),  # any value: looks
        }
        for name, (color, line, width) in styles.items():
            alpha_of = 0.45 if width > 3 else 1.0
            axes[0].plot(rounds, curves[name], line, color=color, linewidth=width, label=name, alpha=alpha_of)
        axes[0].set_xscale("log")
        axes[0].set_yscale("symlog", linthresh=1e-3)  # any value: looks
        axes[0].set_ylim(0, 1.2)  # any value: looks
        axes[0].set_xlabel("members")
        axes[0].legend(fontsize=8, loc="lower left")  # any value: looks
        axes[0].set_title("The training error and its bound")  # any value: looks
        axes[1].plot(grid, z, color="#4c78a8")
        axes[1].axvline(alpha, color="#e45756", linestyle="--", label="½ ln((1 - ε) / ε)")  # any value: looks
        axes[1].set_xlabel("α of the first member")
        axes[1].set_title("Z(α)")  # any value: looks
        axes[1].legend(loc="best", fontsize=8)  # any value: looks
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_margins(self, path: Path, margins: dict[int, np.ndarray], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.2), layout="constrained")  # any value: looks
        axes = figure.subplots()
        colors = ["#9ecae9", "#4c78a8", "#1b3a5c", "#f58518", "#e45756"]  # any value: looks
        for (m, values), color in zip(margins.items(), colors * len(margins), strict=False):
            share = np.arange(1, len(values) + 1) / len(values)  # any value: looks
            axes.step(np.sort(values), share, where="post", color=color, linewidth=1.8, label=f"{m} members")
        axes.axvline(0, color="gray", linestyle=":")  # any value: looks
        axes.set_xlabel("margin y f / Σ α")
        axes.set_ylabel("share of training rows at or below")
        axes.legend(loc="best", fontsize=9)  # any value: looks
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float], marks: list[int]) -> str:
        few, many = marks[0], marks[-1]
        first = numbers["first round without training errors"]
        clean = f"No training row is wrong from round {first:.0f} on" if np.isfinite(first) else "Some rows stay wrong"
        return (
            "The training error never exceeds the mean of exp(-y f), which is the product of the Z and of "
            f"2 sqrt(ε (1 - ε)) to {numbers['relative gap of exp-loss and product of Z']:.0e} of itself. Each α is the one "
            "that makes its Z least.\n\n"
            f"{clean}; the error on new rows was {numbers['error on new rows then']:.3f} then and is "
            f"{numbers['error on new rows in the end']:.3f} with {numbers['members']:.0f} members. The least margin goes from "
            f"{numbers[f'least margin, {few} members']:.3f} with {few} members to "
            f"{numbers[f'least margin, {many} members']:.3f} with {many}: the loss keeps pushing rows that are right already."
        )
