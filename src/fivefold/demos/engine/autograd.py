"""Automatic differentiation: the worked examples of the sources, beside difference quotients."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fivefold.base.errors import InputError
from fivefold.demos.result import Result, save_figure


def mean_of_squares(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return z = 3 (x + 2)² and its mean o."""
    z = 3 * (x + 2) ** 2
    return z, z.mean()


def product_of_sum(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Return (x + y) z."""
    return (x + y) * z


def second_backward_is_refused() -> bool:
    """Return whether a graph can be used only once, unless it is retained: the "tape" of the sources."""
    x = torch.tensor(3.0, requires_grad=True)
    value = x * x
    torch.autograd.grad(value, x)
    try:
        torch.autograd.grad(value, x)
    except RuntimeError as error:
        return "second time" in str(error)
    return False


def difference_errors(
    function: Callable[[Tensor], Tensor], at: float, steps: Tensor
) -> tuple[float, list[float], list[float]]:
    """Return the derivative by autograd, and the errors of forward and central difference quotients for each step size."""
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(x), x)
    point = torch.tensor(at, dtype=torch.float64)
    forward = (function(point + steps) - function(point)) / steps
    central = (function(point + steps) - function(point - steps)) / (2 * steps)
    return float(slope), (forward - slope).abs().tolist(), (central - slope).abs().tolist()


@dataclass
class AutogradDemo:
    """Differentiate the sources' examples, and a longer function by difference quotients too.

    Parameters
    ----------
    at : float, default 1.0
        Where the longer function, exp(-x²) sin(5x), is differentiated.
    """

    at: float = 1.0

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Compute the examples and write ``differences.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
            Nothing here is random.
        out : path of a directory, made if it is not there
        quick : bool, default False
            A coarser figure; the numbers are the same.

        Returns
        -------
        Result
            Values and gradients of the examples, and the least errors of the difference quotients with their steps.
        """
        if not -10 <= self.at <= 10:
            raise InputError(f"The demonstration differentiates at a point in [-10, 10], got {self.at!r}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        numbers = self._examples()
        steps = torch.logspace(-13, -0.5, 51, dtype=torch.float64)
        slope, forward, central = difference_errors(lambda x: torch.exp(-x * x) * torch.sin(5 * x), self.at, steps)
        numbers["slope of exp(-x²) sin(5x)"] = slope
        for name, errors in (("forward", forward), ("central", central)):
            best = min(range(len(errors)), key=errors.__getitem__)
            numbers[f"{name} difference: least error"] = errors[best]
            numbers[f"{name} difference: step of the least error"] = float(steps[best])
        path = self._draw(folder / "differences.png", steps.tolist(), forward, central, 60 if quick else 120)
        return Result(numbers, [path], self._text(numbers))

    def _examples(self) -> dict[str, float]:
        x = torch.ones(2, 2, requires_grad=True)
        z, mean = mean_of_squares(x)
        (slopes,) = torch.autograd.grad(mean, x)
        numbers = {
            "z = 3 (x + 2)² at 1": float(z[0, 0].detach()),
            "mean of z": float(mean.detach()),
            "d mean / dx, smallest": float(slopes.min()),
            "d mean / dx, largest": float(slopes.max()),
        }
        point = [torch.tensor(value, requires_grad=True) for value in (1.0, 2.0, 4.0)]
        for name, slope in zip("xyz", torch.autograd.grad(product_of_sum(*point), point)):
            numbers[f"d (x + y) z / d{name} at (1, 2, 4)"] = float(slope)
        constant = torch.tensor(3.0)  # not tracked until it is watched
        numbers["x² is tracked before x is watched"] = float((constant * constant).requires_grad)
        constant.requires_grad_()
        (slope,) = torch.autograd.grad(constant * constant, constant)
        numbers["d x² / dx at 3"] = float(slope)
        with torch.no_grad():
            numbers["x² is tracked under no_grad"] = float((constant * constant).requires_grad)
        numbers["a second backward pass is refused"] = float(second_backward_is_refused())
        return numbers

    def _draw(self, path: Path, steps: list[float], forward: list[float], central: list[float], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.subplots()
        for errors, color, label in (
            (forward, "#f58518", "forward difference"),
            (central, "#4c78a8", "central difference"),
        ):
            # An error of exactly 0 has no place on a logarithmic axis.
            axes.loglog(steps, [max(error, 1e-17) for error in errors], "o-", ms=3, lw=1, color=color, label=label)
        axes.axhline(2.2e-16, color="gray", linestyle=":", label="machine precision")
        axes.set_xlabel("step of the difference quotient")
        axes.set_ylabel("difference from autograd")
        axes.set_title(f"Slope of exp(-x²) sin(5x) at {self.at:g}", fontsize=10)
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        return (
            f"At x = 1 the mean of z = 3 (x + 2)² is {numbers['mean of z']:g}, and its gradient over a 2 × 2 tensor is "
            f"{numbers['d mean / dx, smallest']:g} in every entry. The gradient of (x + y) z at (1, 2, 4) is "
            f"({numbers['d (x + y) z / dx at (1, 2, 4)']:g}, {numbers['d (x + y) z / dy at (1, 2, 4)']:g}, "
            f"{numbers['d (x + y) z / dz at (1, 2, 4)']:g}), and that of x² at 3 is {numbers['d x² / dx at 3']:g} once x is "
            "watched; under no_grad nothing is tracked.\n\n"
            "Autograd applies the chain rule and has no step to choose. A difference quotient errs by its curvature when the "
            "step is large and by rounding when it is small: the best forward difference is off by "
            f"{numbers['forward difference: least error']:.0e} at a step of "
            f"{numbers['forward difference: step of the least error']:.0e}, the best central one by "
            f"{numbers['central difference: least error']:.0e} at "
            f"{numbers['central difference: step of the least error']:.0e}."
        )
