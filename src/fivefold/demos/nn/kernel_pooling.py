"""Attention as a kernel-weighted average: Nadaraya-Watson regression by our attention layer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fivefold.base.errors import InputError
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import ScaledDotProductAttention

Array = np.ndarray[Any, Any]


def attention_weights(queries: Array, keys: Array, bandwidth: float) -> Array:
    r"""Return how much each key counts for each query, (m, n): the Gaussian kernel, divided by its sum.

    .. math:: \alpha_{ij} = \frac{k(q_i, k_j)}{\sum_l k(q_i, k_l)}, \quad k(q, k) = e^{-\lVert q - k \rVert^2 / 2h^2}
    """
    distance = ((queries[:, None, :] - keys[None, :, :]) ** 2).sum(-1)  # (m, n)
    score = -distance / (2 * bandwidth**2)
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def attention_pooling(queries: Array, keys: Array, values: Array, bandwidth: float) -> Array:
    r"""Return the Nadaraya-Watson estimate at the queries, computed by scaled dot-product attention.

    .. math:: \hat y(q) = \sum_j \alpha(q, k_j)\, y_j, \quad
        -\frac{\lVert q - k \rVert^2}{2h^2} = \frac{1}{h^2}\Big(q \cdot k - \frac{\lVert k \rVert^2}{2}\Big) + c(q)

    What depends on the query alone leaves the softmax as it is, so a key that carries half its squared length as one more
    feature makes the Gaussian kernel a dot product. Keys are centered, which changes no distance, to keep the numbers small.

    Parameters
    ----------
    queries : ndarray (m, d)
    keys : ndarray (n, d)
    values : ndarray (n,) or (n, e)
    bandwidth : float > 0
        h, in the unit of the keys.

    Returns
    -------
    ndarray (m,) or (m, e)

    Raises
    ------
    InputError
        For a bandwidth that is not positive or arrays that do not fit each other.
    """
    if not bandwidth > 0:
        raise InputError(f"bandwidth must be positive, got {bandwidth}.")
    flat = not queries.ndim == keys.ndim == 2
    if flat or queries.shape[1] != keys.shape[1] or len(values) != len(keys) or len(keys) < 1:
        raise InputError(
            "Attention pooling takes queries (m, d), keys (n, d) and values (n, ...), got "
            f"{queries.shape}, {keys.shape} and {values.shape}."
        )
    middle = keys.mean(axis=0)
    q, k = queries - middle, keys - middle
    width = keys.shape[1] + 1
    query = np.column_stack([q, np.ones(len(q))]) * (np.sqrt(width) / bandwidth**2)  # undoes the layer's 1/sqrt(d)
    key = np.column_stack([k, -0.5 * (k**2).sum(axis=1)])
    value = values.reshape(len(values), -1)
    tensors = (torch.from_numpy(np.array(a, dtype=np.float64)) for a in (query, key, value))
    with torch.no_grad():
        pooled: Array = ScaledDotProductAttention()(*tensors).numpy()
    return pooled[:, 0] if values.ndim == 1 else pooled


def left_out_error(keys: Array, values: Array, bandwidth: float) -> float:
    """Return the mean squared error at each key of the estimate from all others."""
    weight = attention_weights(keys, keys, bandwidth)
    own = np.diagonal(weight)
    rest = np.maximum(1 - own, np.finfo(float).tiny)
    estimate = (weight @ values - own * values) / rest
    return float(((estimate - values) ** 2).mean())


@dataclass
class KernelAttentionDemo:
    """Smooth air passengers over time by attention with a Gaussian kernel, and show its weights.

    Parameters
    ----------
    bandwidths : tuple of float > 0, rising, default (0.5, 2, 8, 32)
        Widths of the kernel in months.

    Raises
    ------
    InputError
        For no bandwidth, one that is not positive, or ones that do not rise.

    Notes
    -----
    A narrow kernel repeats the data, a wide one gives their mean. Leaving each month out says which width foretells it best.

    References
    ----------
    Nadaraya 1964; Watson 1964. Spec: 08#kernel-attention-pooling.
    """

    bandwidths: tuple[float, ...] = (0.5, 2.0, 8.0, 32.0)

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Smooth and write ``attention.png`` into ``out``; nothing is random.

        Returns
        -------
        Result
            For each bandwidth: the largest difference of attention from the kernel sums, the error at left-out months, and
            how many months the weights in the middle of the series spread over (one over the sum of their squares).
        """
        widths = list(self.bandwidths)
        if not widths or not min(widths) > 0 or widths != sorted(set(widths)):
            raise InputError(f"bandwidths must be positive and rise, got {self.bandwidths}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        values = _passengers()
        months = np.arange(len(values), dtype=np.float64)[:, None]
        numbers: dict[str, float] = {}
        curves: dict[float, Array] = {}
        for width in widths:
            curves[width] = attention_pooling(months, months, values, width)
            weight = attention_weights(months, months, width)
            name = f"bandwidth {width:g}"
            numbers[f"{name}: attention minus kernel sums"] = float(np.abs(curves[width] - weight @ values).max())
            numbers[f"{name}: error at left-out months"] = left_out_error(months, values, width)
            numbers[f"{name}: months that count"] = float(1 / (weight[len(values) // 2] ** 2).sum())
        numbers["variance of the series"] = float(values.var())
        return Result(
            numbers, [self._draw(folder / "attention.png", values, curves, resolution(quick))], self._text(numbers)
        )

    def _draw(self, path: Path, values: Array, curves: dict[float, Array], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4.2), layout="constrained")  # any value: looks
        panels: Any = figure.subplots(1, 2, width_ratios=(1.5, 1))  # any value: looks
        panels[0].plot(values, ".", color="gray", label="month")  # any value: looks
        for (width, curve), color in zip(
            curves.items(), ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#b279a2", "#72b7b2")
        ):
            panels[0].plot(curve, color=color, label=f"bandwidth {width:g}")  # any value: looks
        panels[0].set(xlabel="month", ylabel="passengers (thousands)")
        panels[0].legend(loc="upper left")
        months = np.arange(len(values), dtype=np.float64)[:, None]
        shown = list(curves)[min(2, len(curves) - 1)]
        picture = panels[1].imshow(attention_weights(months, months, shown), cmap="viridis")  # any value: looks
        panels[1].set(title=f"attention weights, bandwidth {shown:g}", xlabel="key (month)", ylabel="query (month)")
        figure.colorbar(picture, ax=panels[1], shrink=0.85)  # any value: looks
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        names = [f"bandwidth {w:g}" for w in self.bandwidths]
        worst = max(numbers[f"{n}: attention minus kernel sums"] for n in names)
        best = min(names, key=lambda n: numbers[f"{n}: error at left-out months"])
        return (
            f"Attention with a Gaussian kernel and the kernel sums of Nadaraya and Watson differ by at most {worst:.1e} "
            f"passengers (thousands).\n\nOf these widths, {best} foretells a month that is left out best, with a mean squared "
            f"error of {numbers[f'{best}: error at left-out months']:.0f} where the series has the variance "
            f"{numbers['variance of the series']:.0f}. In the middle of the series "
            f"{numbers[f'{names[0]}: months that count']:.1f} months count at {names[0]} and "
            f"{numbers[f'{names[-1]}: months that count']:.0f} at {names[-1]}."
        )


def _passengers() -> Array:
    from fivefold.data.datasets import load_dataset

    data = load_dataset("air-passengers")
    return np.asarray(data.xy()[1] if data.frame is None else data.frame["passengers"], dtype=np.float64)
