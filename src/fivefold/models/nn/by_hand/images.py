"""Convolution as a matrix product, its transpose, and pooling, on images (n, channels, height, width)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fivefold.base.errors import InputError

Array = np.ndarray[Any, Any]


def _windows(x: Array, size: tuple[int, int], stride: int) -> Array:
    """Return a view (n, c, rows, columns, u, v) of the windows of an image."""
    view = sliding_window_view(x, size, axis=(2, 3))[:, :, ::stride, ::stride]
    return np.asarray(view)


def _scatter(columns: Array, shape: tuple[int, ...], stride: int) -> Array:
    """Add windows (n, c, rows, columns, u, v) into an image: the transpose of taking them."""
    image = np.zeros(shape)
    rows, cols, high, wide = columns.shape[2:]
    for u in range(high):  # places inside one kernel, not pixels
        for v in range(wide):
            image[:, :, u : u + stride * rows : stride, v : v + stride * cols : stride] += columns[..., u, v]
    return image


def _pad(x: Array, padding: int, value: float = 0.0) -> Array:
    edge = (padding, padding)
    return np.pad(x, ((0, 0), (0, 0), edge, edge), constant_values=value)


def _unpad(x: Array, padding: int) -> Array:
    return x[:, :, padding : x.shape[2] - padding, padding : x.shape[3] - padding]


def _check(name: str, x: Array, weight: Array, bias: Array, stride: int, padding: int, transposed: bool) -> None:
    inputs, outputs = (weight.shape[:2] if transposed else weight.shape[1::-1]) if weight.ndim == 4 else (-1, -1)
    if x.ndim != 4 or x.shape[1] != inputs or bias.shape != (outputs,):
        layout = "(in, out, u, v)" if transposed else "(out, in, u, v)"
        raise InputError(
            f"{name} takes x (n, in, h, w), weight {layout} and bias (out,), got {x.shape}, {weight.shape} and {bias.shape}."
        )
    if stride < 1 or padding < 0:
        raise InputError(
            f"{name} needs a stride of at least 1 and a padding of at least 0, got {stride} and {padding}."
        )
    if not transposed and min(np.array(x.shape[2:]) + 2 * padding - weight.shape[2:]) < 0:
        raise InputError(f"{name}: the kernel {weight.shape[2:]} is larger than the padded image {x.shape[2:]}.")


def conv2d(
    x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0
) -> tuple[Array, tuple[Array, Array, tuple[int, ...], int, int]]:
    """Return the convolution as one product of unfolded windows (im2col) with the weight (out, in, u, v), and the cache."""
    _check("conv2d", x, weight, bias, stride, padding, False)
    padded = _pad(x, padding)
    windows = _windows(padded, (weight.shape[2], weight.shape[3]), stride)  # (n, c, i, j, u, v)
    y = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3)))  # (n, i, j, out)
    return y.transpose(0, 3, 1, 2) + bias[:, None, None], (windows, weight, padded.shape, stride, padding)


def conv2d_backward(grad: Array, cache: tuple[Array, Array, tuple[int, ...], int, int]) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias; a shared weight sums over all places where it stands."""
    windows, weight, shape, stride, padding = cache
    dweight = np.tensordot(grad, windows, axes=((0, 2, 3), (0, 2, 3)))  # (out, c, u, v)
    columns = np.tensordot(grad, weight, axes=((1,), (0,)))  # (n, i, j, c, u, v)
    dx = _scatter(columns.transpose(0, 3, 1, 2, 4, 5), shape, stride)
    return _unpad(dx, padding), dweight, grad.sum(axis=(0, 2, 3))


def conv_transpose2d(
    x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0
) -> tuple[Array, tuple[Array, Array, int, int]]:
    """Return the transposed convolution with weight (in, out, u, v): each pixel stamps the kernel; and the cache."""
    _check("conv_transpose2d", x, weight, bias, stride, padding, True)
    high, wide = weight.shape[2:]
    shape = (len(x), weight.shape[1], (x.shape[2] - 1) * stride + high, (x.shape[3] - 1) * stride + wide)
    if min(shape[2:]) <= 2 * padding:
        raise InputError(f"conv_transpose2d: a padding of {padding} leaves nothing of the output {shape[2:]}.")
    stamps = np.tensordot(x, weight, axes=((1,), (0,))).transpose(0, 3, 1, 2, 4, 5)  # (n, out, i, j, u, v)
    return _unpad(_scatter(stamps, shape, stride), padding) + bias[:, None, None], (x, weight, stride, padding)


def conv_transpose2d_backward(grad: Array, cache: tuple[Array, Array, int, int]) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias; that of x is the plain convolution of the gradient."""
    x, weight, stride, padding = cache
    windows = _windows(_pad(grad, padding), (weight.shape[2], weight.shape[3]), stride)  # (n, out, i, j, u, v)
    dx = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    dweight = np.tensordot(x, windows, axes=((0, 2, 3), (0, 2, 3)))  # (in, out, u, v)
    return dx, dweight, grad.sum(axis=(0, 2, 3))


def _check_pool(name: str, x: Array, size: int, stride: int) -> None:
    if x.ndim != 4 or size < 1 or stride < 1 or min(x.shape[2:]) < size:
        raise InputError(f"{name} takes images (n, c, h, w) of at least {size} pixels a side, got {x.shape}.")


def max_pool2d(
    x: Array, size: int = 2, stride: int | None = None
) -> tuple[Array, tuple[Array, tuple[int, ...], int, int]]:
    """Return the largest value of each window, and the cache: which of each window it was (the first of equal ones)."""
    step = size if stride is None else stride
    _check_pool("max_pool2d", x, size, step)
    windows = _windows(x, (size, size), step)
    flat = windows.reshape(*windows.shape[:4], -1)
    places = flat.argmax(axis=-1)
    return np.take_along_axis(flat, places[..., None], axis=-1)[..., 0], (places, x.shape, size, step)


def max_pool2d_backward(grad: Array, cache: tuple[Array, tuple[int, ...], int, int]) -> Array:
    """Return the gradient of x: each window's gradient goes to its largest value alone."""
    places, shape, size, stride = cache
    chosen = places[..., None] == np.arange(size * size)  # (n, c, i, j, size²)
    return _scatter((grad[..., None] * chosen).reshape(*grad.shape, size, size), shape, stride)


def mean_pool2d(x: Array, size: int = 2, stride: int | None = None) -> tuple[Array, tuple[tuple[int, ...], int, int]]:
    """Return the mean of each window, and the cache."""
    step = size if stride is None else stride
    _check_pool("mean_pool2d", x, size, step)
    return _windows(x, (size, size), step).mean(axis=(4, 5)), (x.shape, size, step)


def mean_pool2d_backward(grad: Array, cache: tuple[tuple[int, ...], int, int]) -> Array:
    """Return the gradient of x: each window's gradient is shared equally."""
    shape, size, stride = cache
    share = np.broadcast_to(grad[..., None, None] / size**2, (*grad.shape, size, size))
    return _scatter(share, shape, stride)
