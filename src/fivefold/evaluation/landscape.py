"""The loss around a trained network, along random directions that are as long as its filters."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import InputError, InputTypeError
from fivefold.base.random import Streams

NORMALIZATIONS = ("filter", "layer", "none")


@dataclass(frozen=True)
class LossLandscape:
    """The loss on a grid around the weights.

    Attributes
    ----------
    steps : array (g,)
        How far along a direction, in lengths of the weights; the middle one is 0.
    loss : array (g,) for one direction or (g, g) for two
        ``loss[i, j]`` is at ``steps[i]`` times the first plus ``steps[j]`` times the second direction.
    center : float
        Loss of the weights as they are.
    directions : tuple of mappings parameter name -> array
    """

    steps: np.ndarray
    loss: np.ndarray
    center: float
    directions: tuple[dict[str, np.ndarray], ...]

    def draw(self, path: str | os.PathLike[str], *, dpi: int = 120) -> Path:  # any value: figure layout
        """Write the figure, a curve or filled contours, and return its path."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 5.2), layout="constrained")  # any value: figure layout
        axes = figure.subplots()
        axes.set_xlabel("first direction, in lengths of the filters")
        if self.loss.ndim == 1:
            axes.plot(self.steps, self.loss, color="#4c78a8", linewidth=2)  # any value: figure layout
            axes.plot([0.0], [self.center], "o", color="#e45756", label="trained weights")
            axes.set_ylabel("loss")
        else:
            # Losses of a landscape span decades; levels at equal ratios show the bottom as well as the walls.
            shown = np.log10(np.maximum(self.loss, np.finfo(np.float64).tiny))
            filled = axes.contourf(
                self.steps, self.steps, shown.T, levels=24, cmap="viridis"
            )  # any value: figure layout
            figure.colorbar(filled, ax=axes, label="log10 of the loss")
            axes.plot([0.0], [0.0], "o", color="#e45756", label="trained weights")
            axes.set_ylabel("second direction, in lengths of the filters")
        axes.legend(loc="upper right", fontsize=9)  # any value: figure layout
        figure.savefig(path, dpi=dpi)
        return Path(path)


def random_direction(module: nn.Module, normalization: str, streams: Streams, number: int) -> dict[str, torch.Tensor]:
    r"""Return a Gaussian direction for the weights of a network, scaled to them.

    .. math:: d_{ij} \leftarrow \frac{d_{ij}}{\lVert d_{ij} \rVert} \lVert \theta_{ij} \rVert

    for filter j of layer i (row of a matrix, kernel of an output channel), or for whole layers. Biases and the vectors of
    normalization layers do not move: their direction is 0.
    """
    direction = {}
    for place, (name, weight) in enumerate(module.named_parameters()):
        if weight.ndim < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        # Drawn as float64 on the CPU, so that the direction is the same for any type and device of the weights.
        drawn = torch.from_numpy(streams.numpy("direction", number, place).standard_normal(tuple(weight.shape)))
        d = drawn.to(dtype=weight.dtype, device=weight.device)
        if normalization != "none":
            dims = tuple(range(1 if normalization == "filter" else 0, weight.ndim))
            lengths = [torch.linalg.vector_norm(t.detach(), dim=dims, keepdim=True) for t in (weight, d)]
            d = d * (lengths[0] / lengths[1])
        direction[name] = d
    return direction


def loss_landscape(
    module: nn.Module,
    loss: Callable[[nn.Module], Any],
    *,
    directions: int = 2,
    span: float = 1.0,
    points: int = 21,
    normalization: str = "filter",
    random_state: Any = None,
) -> LossLandscape:
    r"""Measure the loss of a network along one or two random directions through its weights.

    .. math:: f(\alpha, \beta) = L(\theta + \alpha\,\delta + \beta\,\eta)

    with every filter of :math:`\delta, \eta` as long as the network's own. Without that scale the picture says more about
    the size of the weights than about the minimum: a ReLU network whose first layer is doubled and whose second is halved
    is the same function, yet looks half as sharp.

    Parameters
    ----------
    module : torch.nn.Module
        Put in evaluation mode while it is measured; weights and modes are restored, also after an error.
    loss : callable (module) -> number
        The loss on fixed data.
    directions : 1 or 2 (default)
    span : float > 0, default 1.0
        The grid reaches from -span to span.
    points : odd int >= 3, default 21
        Points along a direction; odd, so that the weights themselves are one.
    normalization : "filter" (default), "layer" or "none"
    random_state : int, optional

    Returns
    -------
    LossLandscape

    Raises
    ------
    InputError
        When a parameter is none of these.
    InputTypeError
        When ``module`` is no torch module.

    Notes
    -----
    Biases, and scale and shift of normalization layers, stay as they are. A filter of zeros stays zero.

    References
    ----------
    Li, Xu, Taylor, Studer & Goldstein 2018; spec ``01#loss-landscape``.
    """
    if not isinstance(module, nn.Module):
        raise InputTypeError(f"loss_landscape moves the weights of a torch.nn.Module; got {type(module).__name__}.")
    check_one_of("normalization", normalization, NORMALIZATIONS)
    if directions not in (1, 2) or isinstance(directions, bool):
        raise InputError(f"directions must be 1 or 2, got {directions!r}.")
    if check_count("points", points, 3) % 2 == 0:
        raise InputError(f"points must be odd, so that the weights themselves are one of them; got {points}.")
    if not (span > 0 and np.isfinite(span)):
        raise InputError(f"span must be a positive number, got {span!r}.")
    streams = Streams.of(random_state)
    chosen = [random_direction(module, normalization, streams, k) for k in range(directions)]
    half = points // 2
    steps = span * np.arange(-half, half + 1) / half  # exactly 0 in the middle
    start = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    modes = {part: part.training for part in module.modules()}
    values = np.empty((points,) * directions)
    module.eval()
    try:
        with torch.no_grad():
            for place in np.ndindex(*values.shape):
                for name, weight in module.named_parameters():
                    moved = start[name].clone()
                    for k, direction in zip(place, chosen):
                        moved += float(steps[k]) * direction[name]
                    weight.copy_(moved)
                values[place] = float(loss(module))
    finally:
        with torch.no_grad():
            for name, weight in module.named_parameters():
                weight.copy_(start[name])
        for part, training in modes.items():
            part.training = training
    arrays = tuple({name: d.cpu().numpy() for name, d in direction.items()} for direction in chosen)
    return LossLandscape(steps, values, float(values[(half,) * directions]), arrays)
