"""One hidden layer approximates a continuous function as well as its width allows, unless its activation is a polynomial."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import Dense, ReLU

Array = np.ndarray[Any, Any]


def target(x: Array) -> Array:
    """Return sin(2πx) + |x|/2, continuous on [-1, 1] and no polynomial."""
    return np.sin(2 * np.pi * x) + 0.5 * np.abs(x)


def interpolating_network(function: Callable[[Array], Array], width: int) -> torch.nn.Sequential:
    r"""Return a network of one hidden ReLU layer that meets ``function`` at width + 1 even places of [-1, 1].

    .. math:: y(x) = f(t_0) + \sum_{i=0}^{m-1} (s_i - s_{i-1})\, \mathrm{relu}(x - t_i), \quad
        s_i = \frac{f(t_{i+1}) - f(t_i)}{t_{i+1} - t_i},\ s_{-1} = 0

    Between two places it is a line, so for a twice differentiable f its error is at most :math:`h^2 \max |f''| / 8`, h = 2/m.

    Parameters
    ----------
    function : callable
        Values (n,) of places (n,).
    width : int >= 1
        Hidden units m.

    Returns
    -------
    Sequential
        In float64: (n, 1) to (n, 1).
    """
    if width < 1:
        raise InputError(f"width must be at least 1, got {width}.")
    places = np.linspace(-1.0, 1.0, width + 1)
    values = function(places)
    slopes = np.diff(values) / np.diff(places)
    hidden, last = Dense(1, width).double(), Dense(width, 1).double()
    with torch.no_grad():
        hidden.weight.fill_(1.0)
        hidden.bias.copy_(torch.from_numpy(-places[:-1]))
        last.weight.copy_(torch.from_numpy(np.diff(slopes, prepend=0.0))[None])
        last.bias.fill_(float(values[0]))
    return torch.nn.Sequential(hidden, ReLU(), last)


def fitted_values(x: Array, y: Array, weight: Array, bias: Array, activation: Callable[[Array], Array]) -> Array:
    """Return the best values of a hidden layer (weight, bias of each unit) whose last layer is solved by least squares.

    The columns are brought to length 1 first; directions below 1e-10 of the longest are left out.
    """
    features = np.column_stack([np.ones_like(x), activation(x[:, None] * weight + bias)])  # (n, 1 + width)
    features /= np.linalg.norm(features, axis=0).clip(np.finfo(float).tiny)
    solution, *_ = np.linalg.lstsq(features, y, rcond=1e-10)
    return np.asarray(features @ solution)


@dataclass
class UniversalApproximationDemo:
    r"""Widen one hidden layer and watch its largest error: with ReLU and tanh it falls, with a polynomial it stays.

    .. math:: \sup_x \Big| f(x) - c - \sum_{i=1}^{m} v_i\, \sigma(w_i x + b_i) \Big| \to 0 \quad (m \to \infty)
        \iff \sigma \text{ is no polynomial}

    Parameters
    ----------
    widths : sequence of int >= 1, rising, default (2, 4, 8, 16, 32, 64, 128, 256)
        Hidden units m.
    degree : int >= 1, default 3
        The polynomial activation is z to this power.
    n_points : int, default 1001
        Even places of [-1, 1] where the error is taken; more than twice the largest width.

    Raises
    ------
    InputError
        For values outside these ranges.

    Notes
    -----
    The theorem says that good weights exist, not that a descent finds them. So hidden weights are random and the last layer is
    the exact least-squares one; one more network is built by hand and has a bound of its own. With :math:`\sigma(z) = z^k` every
    network is a polynomial of degree k, however wide, and cannot do better than the best one.

    References
    ----------
    Cybenko 1989, "Approximation by superpositions of a sigmoidal function"; Leshno, Lin, Pinkus & Schocken 1993.
    Spec: 05#universality-theorem, 08#universal-approximation.
    """

    widths: Sequence[int] = (2, 4, 8, 16, 32, 64, 128, 256)
    degree: int = 3
    n_points: int = 1001

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Fit every width and write ``width-sweep.png`` and ``fits.png`` into ``out``.

        Returns
        -------
        Result
            Largest error of each activation at each width, and that of the least-squares polynomial of the same degree.
        """
        widths = list(self.widths)
        if (
            not widths
            or widths != sorted(set(widths))
            or widths[0] < 1
            or self.degree < 1
            or self.n_points <= 2 * widths[-1]
        ):
            raise InputError(
                "The demonstration needs rising widths of at least 1, degree >= 1 and more than twice as many points as the "
                f"largest width; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        x = np.linspace(-1.0, 1.0, self.n_points)
        y = target(x)
        numbers: dict[str, float] = {}
        fits: dict[tuple[str, int], Array] = {}
        for width in widths:
            for name, values in self._fits(seed, width, x, y).items():
                fits[name, width] = values
                numbers[f"{name}, width {width}: largest error"] = float(np.abs(values - y).max())
        best = np.polynomial.Chebyshev.fit(x, y, self.degree)(x)
        numbers["polynomial: largest error"] = float(np.abs(best - y).max())
        dpi = resolution(quick)
        figures = [
            self._draw_sweep(folder / "width-sweep.png", numbers, dpi),
            self._draw_fits(folder / "fits.png", x, y, fits, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _names(self) -> tuple[str, ...]:
        return ("relu by hand", "relu", "tanh", f"power {self.degree}")

    def _fits(self, seed: int, width: int, x: Array, y: Array) -> dict[str, Array]:
        """Return the values of each kind of network of one width."""
        streams, built = Streams(seed), interpolating_network(target, width)
        with torch.no_grad():
            by_hand = built(torch.from_numpy(x)[:, None])[:, 0].numpy()
        sign = streams.numpy("signs", width).choice([-1.0, 1.0], width)
        kinks = streams.numpy("kinks", width).uniform(-1.0, 1.0, width)
        activations: dict[str, tuple[float, Callable[[Array], Array]]] = {
            "relu": (1.0, lambda z: np.maximum(z, 0.0)),
            "tanh": (8.0, np.tanh),
            f"power {self.degree}": (1.0, lambda z: z**self.degree),
        }
        found = {"relu by hand": by_hand}
        for name, (scale, activation) in activations.items():
            found[name] = fitted_values(x, y, scale * sign, -scale * sign * kinks, activation)
        return found

    def _draw_sweep(self, path: Path, numbers: dict[str, float], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.6), layout="constrained")  # any value: looks
        axes = figure.subplots()
        for name, color in zip(self._names(), ("#54a24b", "#4c78a8", "#f58518", "#e45756")):
            errors = [numbers[f"{name}, width {w}: largest error"] for w in self.widths]
            axes.loglog(self.widths, errors, "o-", color=color, label=name)
        label = f"least-squares polynomial of degree {self.degree}"
        axes.axhline(numbers["polynomial: largest error"], color="gray", linestyle=":", label=label)
        axes.set(xlabel="hidden units", ylabel="largest error on [-1, 1]")
        axes.legend(loc="lower left")
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_fits(self, path: Path, x: Array, y: Array, fits: dict[tuple[str, int], Array], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 3.6), layout="constrained")  # any value: looks
        shown = [self.widths[i] for i in sorted({0, len(self.widths) // 2, len(self.widths) - 1})]
        panels: Any = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]  # any value: looks
        for axes, width in zip(panels, shown):
            axes.plot(x, y, color="black", linewidth=3, alpha=0.25, label="function")  # any value: looks
            axes.plot(x, fits["relu", width], color="#4c78a8", label="relu")
            axes.plot(x, fits[f"power {self.degree}", width], color="#e45756", label=f"power {self.degree}")
            axes.set(title=f"{width} hidden units", xlabel="x", ylim=(-1.6, 2.4))  # any value: looks
        panels[0].legend(loc="upper center", ncols=3, fontsize=8)  # any value: looks
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        first, last = self.widths[0], self.widths[-1]
        fall = {n: [numbers[f"{n}, width {w}: largest error"] for w in (first, last)] for n in self._names()}
        listed = "; ".join(f"{name} from {a:.2g} to {b:.2g}" for name, (a, b) in fall.items())
        return (
            f"From {first} to {last} hidden units the largest error goes: {listed}.\n\n"
            f"A network whose activation is the power {self.degree} is a polynomial of that degree, however wide: the "
            f"least-squares polynomial itself has the largest error {numbers['polynomial: largest error']:.3f}."
        )
