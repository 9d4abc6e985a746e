"""Gradients through time: products of Jacobians that vanish, last or explode, and the bound that is only one-sided."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import by_hand

from ._studies import place

Array = np.ndarray[Any, Any]


def neuron(weight: float, steps: int) -> float:
    """Return the last output of y_t = x_t + w y_{t-1} for the input 1, 0, 0, ...: w to the power steps - 1."""
    y = 0.0
    for x in [1.0] + [0.0] * (steps - 1):
        y = x + weight * y
    return y


def jacobians(u: Array, states: Array) -> Array:
    r"""Return :math:`\partial h_T / \partial h_{T-k}` of a tanh layer for k = 0 ... T, (T + 1, hidden, hidden).

    .. math:: \frac{\partial h_T}{\partial h_k} = \prod_{i=T}^{k+1} \mathrm{diag}(1 - h_i^2)\, U

    ``states`` (T, hidden) are h_1 ... h_T; products grow on the right, towards earlier steps.
    """
    found = [np.eye(len(u))]
    for state in states[::-1]:
        found.append(found[-1] @ ((1 - state**2)[:, None] * u))
    return np.stack(found)


def recurrent_weight(kind: str, hidden: int, gain: float, generator: np.random.Generator) -> Array:
    """Return a matrix of spectral norm ``gain``: "orthogonal" (every singular value), or "shift" (a nilpotent chain)."""
    if kind == "shift":
        return gain * np.eye(hidden, k=1)
    q, r = np.linalg.qr(generator.standard_normal((hidden, hidden)))
    return gain * q * np.sign(np.diag(r))


@dataclass
class RecurrentGradientDemo:
    r"""Follow the gradient of a simple recurrent layer back through time.

    .. math:: \Big\lVert \frac{\partial h_t}{\partial h_k} \Big\rVert \le (\gamma_u \gamma_f)^{t-k}, \quad
        \gamma_u = \lVert U \rVert, \ \gamma_f = \max \lVert \mathrm{diag} f' \rVert

    Parameters
    ----------
    gains : sequence of float > 0, default (0.9, 1.0, 1.5)
        Spectral norms of the orthogonal recurrent weights.
    hidden : int >= 2, default 20
        Units.
    steps : int >= hidden, default 60
        Length of the sequences.
    input_scale : float >= 0, default 0.1
        Standard deviation of what comes in at each step.

    Notes
    -----
    A source says that a factor above 1 explodes. The bound is one-sided: above 1 is needed, not enough. A chain of units has a
    recurrent norm of 1.5, all its eigenvalues are 0, and its gradient is exactly 0 after as many steps as there are units;
    saturated units shrink the factor too. Numbers are the same in the quick form.

    References
    ----------
    Pascanu, Mikolov & Bengio 2013, "On the Difficulty of Training Recurrent Neural Networks".
    Spec: 02#rnn-gradient-norm-analysis, 05#rnn-gradient-toy, 08#bptt.
    """

    gains: Sequence[float] = (0.9, 1.0, 1.5)
    hidden: int = 20
    steps: int = 60
    input_scale: float = 0.1

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the analysis and write ``neuron.png`` and ``norms.png`` into ``out``.

        Returns
        -------
        Result
            Outputs of the linear neuron after 1000 steps; for each recurrent weight the norm of the Jacobian over the whole
            length, and the largest ratio of a norm to its bound (at most 1) at a lag above 0.
        """
        if (
            not self.gains
            or min(self.gains) <= 0
            or self.hidden < 2
            or self.steps < self.hidden
            or self.input_scale < 0
        ):
            raise InputError(
                "The demonstration needs gains above 0, at least 2 units, at least as many steps as units and an input scale "
                f"of at least 0; got {self}."
            )
        folder, streams = place(out), Streams(seed)
        numbers = {f"linear neuron, weight {w}: output 1000": neuron(w, 1000) for w in (1.0, 1.01, 0.99, 0.01)}
        curves: dict[str, tuple[Array, Array]] = {}
        for kind, gain in [*(("orthogonal", g) for g in self.gains), ("shift", max(self.gains))]:
            name = f"{kind}, norm {gain:g}"
            norms, factor = self._norms(streams, kind, gain)
            bound = factor ** np.arange(self.steps + 1)
            curves[name] = norms, bound
            numbers[f"{name}: Jacobian norm over {self.steps} steps"] = float(norms[-1])
            numbers[f"{name}: largest ratio to the bound"] = float((norms / bound)[1:].max())
        figures = [self._draw_neuron(folder / "neuron.png"), self._draw_norms(folder / "norms.png", curves)]
        return Result(numbers, figures, self._text(numbers, list(curves)))

    def _norms(self, streams: Streams, kind: str, gain: float) -> tuple[Array, float]:
        """Return the norms of the Jacobians by lag and the factor of the bound."""
        u = recurrent_weight(kind, self.hidden, gain, streams.numpy("weights"))
        x = self.input_scale * streams.numpy("inputs").standard_normal((self.steps, 1, self.hidden))
        states, _ = by_hand.rnn(x, np.zeros((1, self.hidden)), np.eye(self.hidden), u, np.zeros(self.hidden))
        slopes = 1 - states[:, 0] ** 2
        return np.linalg.norm(jacobians(u, states[:, 0]), ord=2, axis=(1, 2)), gain * float(slopes.max())

    def _draw_neuron(self, path: Path) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes: Any = figure.subplots()
        steps = np.arange(1, 1001)
        for weight, color in ((1.01, "#e45756"), (1.0, "black"), (0.99, "#4c78a8")):
            axes.semilogy(steps, weight ** (steps - 1.0), color=color, label=f"weight {weight}")
        axes.set_xlabel("step")
        axes.set_ylabel("output of a linear neuron")
        axes.legend(loc="upper left", fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _draw_norms(self, path: Path, curves: dict[str, tuple[Array, Array]]) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.6), layout="constrained")
        axes: Any = figure.subplots()
        for number, (name, (norms, bound)) in enumerate(curves.items()):
            lags = np.arange(len(norms))
            axes.semilogy(lags, np.where(norms > 0, norms, np.nan), "-", color=f"C{number}", label=name)
            axes.semilogy(lags, bound, ":", color=f"C{number}")
        axes.plot([], [], ":", color="gray", label="bound")
        axes.set_ylim(1e-6, None)
        axes.set_xlabel("lag t - k")
        axes.set_ylabel("spectral norm of dh_t / dh_k")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
        save_figure(figure, path, dpi=100)
        return path

    def _text(self, numbers: dict[str, float], names: list[str]) -> str:
        ends = [numbers[f"linear neuron, weight {w}: output 1000"] for w in (1.01, 0.99)]
        parts = [
            f"After 1000 steps a linear neuron with the recurrent weight 1.01 gives {ends[0]:.3g} for a first input of 1, with "
            f"0.99 {ends[1]:.2g}: a hundredth more or less decides."
        ]
        for name in names:
            last = numbers[f"{name}: Jacobian norm over {self.steps} steps"]
            ratio = numbers[f"{name}: largest ratio to the bound"]
            parts.append(
                f"{name}: over {self.steps} steps the Jacobian has the norm {last:.3g}, at most {ratio:.3f} of its bound."
            )
        chain = numbers[f"{names[-1]}: Jacobian norm over {self.steps} steps"]
        parts.append(
            f"The chain's recurrent weight has a norm of {max(self.gains):g}, and its gradient ends at {chain:.3g}: "
            + (
                "a norm above 1 does not suffice to explode."
                if max(self.gains) > 1
                else "a norm of at most 1 cannot explode."
            )
        )
        return "\n\n".join(parts)
