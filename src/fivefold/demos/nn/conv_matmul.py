"""A convolution as a matrix product, in three forms: im2col, a doubly block Toeplitz matrix, a masked dense layer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import by_hand

Array = np.ndarray[Any, Any]


def toeplitz(row: Array, length: int) -> Array:
    """Return the matrix (length - k + 1, length) whose row i holds the k values of ``row``, i places to the right."""
    places = (
        np.arange(length)[None, :] - np.arange(length - len(row) + 1)[:, None]
    )  # how far into the row a column lies
    inside = (places >= 0) & (places < len(row))
    return np.where(inside, row[np.clip(places, 0, len(row) - 1)], 0.0)


def block_toeplitz(weight: Array, shape: tuple[int, int]) -> Array:
    r"""Return the doubly block Toeplitz matrix T of a convolution with stride 1 and no padding.

    .. math:: \mathrm{vec}(y) = T\, \mathrm{vec}(x), \quad T_{(o,i),(c,r)} = \mathrm{toeplitz}(w_{o,c,r-i})

    Images are read row by row. Block (i, r) of a pair of channels is the Toeplitz matrix of row r - i of its kernel: the same
    matrix all along a diagonal of blocks.

    Parameters
    ----------
    weight : ndarray (out, in, u, v)
    shape : (int, int)
        Height and width of the images, at least those of the kernel.

    Returns
    -------
    ndarray (out * i * j, in * height * width)
        With i and j the height and width of the output.

    Raises
    ------
    InputError
        For a weight of another rank, or a kernel larger than the image.
    """
    if weight.ndim != 4 or weight.shape[2] > shape[0] or weight.shape[3] > shape[1]:
        raise InputError(
            f"The weight must be (out, in, u, v) with a kernel that fits into the image {shape}, got {weight.shape}."
        )
    out, channels, high, wide = weight.shape
    rows, columns = shape[0] - high + 1, shape[1] - wide + 1
    matrix = np.zeros((out, rows, columns, channels, *shape))
    for o, c, u in np.ndindex(out, channels, high):  # rows of kernels, not pixels
        block = toeplitz(weight[o, c, u], shape[1])  # (columns, width)
        for i in range(rows):
            matrix[o, i, :, c, i + u, :] = block
    return matrix.reshape(out * rows * columns, -1)


def shared_places(shape: tuple[int, int, int, int], image: tuple[int, int]) -> Array:
    """Return which weight stands at each place of the dense layer that is a convolution, -1 where none does.

    Parameters
    ----------
    shape : (out, in, u, v)
    image : (height, width)

    Returns
    -------
    ndarray of int (out * i * j, in * height * width)
        Index into the flattened weight: the mask is ``places >= 0``, and equal indices are tied.
    """
    numbered = np.arange(1, np.prod(shape) + 1, dtype=np.float64).reshape(shape)
    return block_toeplitz(numbered, image).astype(np.int64) - 1


def masked_dense(x: Array, weight: Array) -> tuple[Array, tuple[Array, Array, Array, tuple[int, ...]]]:
    """Return the convolution of x (n, in, h, w) by a dense layer whose weights are masked and tied, and the cache."""
    places = shared_places(weight.shape, x.shape[2:])
    dense = np.where(places >= 0, weight.reshape(-1)[places], 0.0)
    out, cache = by_hand.dense(x.reshape(len(x), -1), dense, np.zeros(len(dense)))
    side = (x.shape[2] - weight.shape[2] + 1, x.shape[3] - weight.shape[3] + 1)
    return out.reshape(len(x), len(weight), *side), (places, *cache, weight.shape)


def masked_dense_backward(grad: Array, cache: tuple[Array, Array, Array, tuple[int, ...]]) -> tuple[Array, Array]:
    """Return the gradients of x, flat, and of the weight: that of a shared weight is the sum over its places."""
    places, x, dense, shape = cache
    dx, ddense, _ = by_hand.dense_backward(grad.reshape(len(grad), -1), (x, dense))
    seen = places >= 0
    return dx, np.bincount(places[seen], ddense[seen], minlength=int(np.prod(shape))).reshape(shape)


@dataclass
class ConvAsMatmulDemo:
    r"""Convolve digits by three matrix products, which agree, and show the matrices.

    .. math:: \mathrm{vec}(w * x) = T_w\, \mathrm{vec}(x) = \mathrm{im2col}(x)\, \mathrm{vec}(w)

    Parameters
    ----------
    n_images : int >= 1, default 64
        Digits of 8 x 8 pixels.
    filters : int >= 1, default 4
        Random filters beside the diagonal one of the worked example.
    kernel_size : int in [1, 8], default 3

    Raises
    ------
    InputError
        For sizes outside these ranges.

    References
    ----------
    Spec: 02#conv-as-matmul, 05#conv2d, 08#conv2d-toeplitz.
    """

    n_images: int = 64
    filters: int = 4
    kernel_size: int = 3

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``matrices.png`` into ``out``.

        Returns
        -------
        Result
            Largest difference of each form from :class:`~fivefold.models.nn.Conv2d`, in values and in gradients; how many
            numbers each form stores, and which share of the dense matrix is not zero.
        """
        import torch

        from fivefold.data.datasets import load_dataset
        from fivefold.models.nn import Conv2d

        if self.n_images < 1 or self.filters < 1 or not 1 <= self.kernel_size <= 8:
            raise InputError(
                f"The demonstration needs an image, a filter and a kernel of 1 to 8 pixels a side; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(load_dataset("digits").xy()[0], dtype=np.float64)[: self.n_images]
        x = pixels.reshape(-1, 1, 8, 8) / 16.0
        streams, size = Streams(seed), self.kernel_size
        weight = streams.numpy("filters").standard_normal((self.filters, 1, size, size))
        layer = Conv2d(1, self.filters, size, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
        given = torch.from_numpy(x).requires_grad_()
        y = layer(given)
        grad = streams.numpy("gradient").standard_normal(tuple(y.shape))
        dx, dweight = torch.autograd.grad(y, (given, layer.weight), torch.from_numpy(grad))
        right = (y.detach().numpy(), dx.numpy(), dweight.numpy())

        columns, cache = by_hand.conv2d(x, weight, np.zeros(self.filters))
        matrix = block_toeplitz(weight, (8, 8))
        product = (x.reshape(len(x), -1) @ matrix.T).reshape(columns.shape)
        masked, tied = masked_dense(x, weight)
        flat = grad.reshape(len(grad), -1)
        back = masked_dense_backward(grad, tied)
        unfolded = by_hand.conv2d_backward(grad, cache)
        found = {
            "im2col": (columns, unfolded[0], unfolded[1]),
            "Toeplitz": (product, (flat @ matrix).reshape(x.shape), None),
            "masked dense": (masked, back[0].reshape(x.shape), back[1]),
        }
        numbers: dict[str, float] = {}
        for name, parts in found.items():
            numbers[f"{name}: largest difference in values"] = float(np.abs(parts[0] - right[0]).max())
            gaps = [float(np.abs(a - b).max()) for a, b in zip(parts[1:], right[1:]) if a is not None]
            numbers[f"{name}: largest difference in gradients"] = max(gaps)
        side = 8 - size + 1
        numbers["weights of the convolution"] = float(weight.size)
        numbers["weights of a full dense layer"] = float(matrix.size)
        numbers["share of the dense matrix that is not masked"] = float((tied[0] >= 0).mean())
        numbers["numbers im2col stores per pixel"] = float(side**2 * size**2 / 64)
        picture = self._draw(
            folder / "matrices.png", x[0, 0], weight, columns[0], resolution(quick)
        )  # any value: looks
        return Result(numbers, [picture], self._text(numbers))

    def _draw(self, path: Path, image: Array, weight: Array, maps: Array, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 6.4), layout="constrained")  # any value: looks
        panels: Any = figure.subplots(2, 3, width_ratios=(1, 1, 1.6))  # any value: looks
        limit = float(np.abs(weight[0]).max())
        for axes, values, title in (
            (panels[0, 0], image, "a digit, 8 x 8"),
            (panels[0, 1], weight[0, 0], "one filter"),
            (panels[1, 0], maps[0], "its feature map"),
        ):
            signed = title == "one filter"
            axes.imshow(
                values,
                cmap="coolwarm" if signed else "gray_r",
                vmin=-limit if signed else None,
                vmax=limit if signed else None,
            )
            axes.set_title(title)
            axes.set_xticks([]), axes.set_yticks([])
        unfolded = np.lib.stride_tricks.sliding_window_view(image, weight.shape[2:]).reshape(-1, weight[0, 0].size)
        panels[1, 1].imshow(unfolded, cmap="gray_r", aspect="auto", interpolation="nearest")  # any value: looks
        panels[1, 1].set(title="im2col: one window a row", xlabel="place in the window", ylabel="place in the map")
        panels[0, 2].imshow(
            block_toeplitz(weight[:1], (8, 8)),
            cmap="coolwarm",
            vmin=-limit,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        panels[0, 2].set(
            title="doubly block Toeplitz matrix of the filter", xlabel="pixel, row by row", ylabel="place in the map"
        )
        places = shared_places((1, *weight.shape[1:]), (8, 8)).astype(float)
        places[places < 0] = np.nan
        panels[1, 2].imshow(places, cmap="tab20", aspect="auto", interpolation="nearest")  # any value: looks
        panels[1, 2].set(
            title="masked dense layer: one color, one weight",
            xlabel="pixel, row by row",
            ylabel="place in the map",
        )
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        worst = max(v for k, v in numbers.items() if "difference" in k)
        return (
            f"On {self.n_images} digits im2col, the doubly block Toeplitz matrix and the masked dense layer differ from the "
            f"convolution by at most {worst:.1e}, in values and in gradients.\n\n"
            f"The convolution has {numbers['weights of the convolution']:.0f} weights where a full dense layer between the "
            f"same images and maps has {numbers['weights of a full dense layer']:,.0f}; of those the mask leaves "
            f"{numbers['share of the dense matrix that is not masked']:.1%}, tied to one another. The gradient of a shared "
            "weight is the sum over its places."
        )
