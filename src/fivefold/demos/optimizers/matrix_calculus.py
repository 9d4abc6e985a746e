"""Vector gradient identities, each held against automatic differentiation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure


class Identity(NamedTuple):
    """A function of a vector x (n,) and its derivative in denominator layout, (n, outputs): column j is the gradient of z_j."""

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]


def identities(a: Tensor, b: Tensor, c: Tensor) -> list[Identity]:
    """Return the identities for matrices a (m, n) and b (n, n) and a vector c (n,)."""
    return [
        Identity("∂x/∂x = I", lambda x: x * 1.0, lambda x: torch.eye(len(x), dtype=x.dtype)),
        Identity("∂(Ax)/∂x = Aᵀ", lambda x: a @ x, lambda x: a.T),
        Identity("∂(xᵀA)/∂x = A", lambda x: x @ b, lambda x: b),
        Identity("∂(cᵀx)/∂x = c", lambda x: (c @ x).reshape(1), lambda x: c[:, None]),
        Identity("∂(xᵀAx)/∂x = (A + Aᵀ)x", lambda x: (x @ b @ x).reshape(1), lambda x: ((b + b.T) @ x)[:, None]),
        Identity("∂|x|²/∂x = 2x", lambda x: (x @ x).reshape(1), lambda x: 2 * x[:, None]),
        Identity("∂f(x)/∂x = diag f′(x)", torch.tanh, lambda x: torch.diag(1 - torch.tanh(x) ** 2)),
        # In denominator layout the chain runs outward from x: the inner derivative stands left.
        Identity(
            "∂f(Ax)/∂x = Aᵀ diag f′(Ax)",
            lambda x: torch.tanh(a @ x),
            lambda x: a.T @ torch.diag(1 - torch.tanh(a @ x) ** 2),
        ),
    ]


def jacobian(identity: Identity, x: Tensor) -> Tensor:
    """Return autograd's Jacobian of an identity's function at x, (outputs, n): numerator layout."""
    found: Tensor = torch.autograd.functional.jacobian(identity.function, x)
    return found


@dataclass
class MatrixCalculusDemo:
    """Compare each identity with the transpose of the Jacobian that automatic differentiation gives.

    Parameters
    ----------
    inputs : int >= 2, default 5
        Entries of x.
    outputs : int >= 2, default 3
        Rows of the rectangular matrix.
    """

    inputs: int = 5
    outputs: int = 3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the comparison and write ``identities.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A coarser figure.

        Returns
        -------
        Result
            For each identity the largest difference from the transposed Jacobian; how many are equal to it, and how many of
            these would be equal without the transpose.
        """
        if self.inputs < 2 or self.outputs < 2 or self.inputs == self.outputs:
            raise InputError(f"The demonstration needs two different sizes of at least 2; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        random = Streams(seed).numpy("matrices")
        n, m = self.inputs, self.outputs
        a, b, c, x = (torch.as_tensor(random.standard_normal(shape)) for shape in ((m, n), (n, n), (n,), (n,)))
        numbers: dict[str, float] = {}
        drawn: list[tuple[str, np.ndarray]] = []
        equal = plain = 0
        for identity in identities(a, b, c):
            ours, theirs = identity.derivative(x), jacobian(identity, x)
            gap = float((ours - theirs.T).abs().max())
            numbers[f"{identity.name}: difference"] = gap
            equal += gap < 1e-12
            plain += ours.shape == theirs.shape and float((ours - theirs).abs().max()) < 1e-12
            drawn.append((identity.name, ours.numpy()))
        numbers["identities equal to the transposed Jacobian"] = float(equal)
        numbers["identities equal to the Jacobian itself"] = float(plain)
        figure = self._draw(folder / "identities.png", drawn, 60 if quick else 120)
        text = (
            f"{equal} of {len(drawn)} identities equal the transposed Jacobian of automatic differentiation: they are in "
            f"denominator layout, with the shape (entries of x, outputs). {plain} would also pass without the transpose, those "
            "whose derivative is symmetric.\n\n"
            "A layer's parameters are best differentiated by whole vectors and matrices, an activation entry by entry: its "
            "derivative is diagonal, and multiplying by it is a product of entries."
        )
        return Result(numbers, [figure], text)

    def _draw(self, file: Path, drawn: list[tuple[str, np.ndarray]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 5.2), layout="constrained")
        largest = max(float(np.abs(values).max()) for _, values in drawn)
        grid = figure.subplots(2, -(-len(drawn) // 2))
        for axes, (name, values) in zip(grid.flat, drawn, strict=False):
            image = axes.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest)
            axes.set_title(name, fontsize=10)
            axes.set_xlabel("output")
            axes.set_ylabel("entry of x")
            axes.set_xticks(range(values.shape[1]))
            axes.set_yticks(range(values.shape[0]))
        figure.colorbar(image, ax=grid, shrink=0.7, label="derivative")
        save_figure(figure, file, dpi=dpi)
        return file
