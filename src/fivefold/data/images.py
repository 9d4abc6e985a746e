"""Operations on batches of images of shape (n, channels, height, width) that several transformers share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError, InputTypeError

GRAY = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in the brightness of a pixel (ITU-R 601)."""


def images(X: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return images as floats of shape (n, c, h, w); ``shape`` is (c, h, w) where it must be that of the fit.

    Raises
    ------
    InputTypeError
        For anything but four axes of numbers.
    DataError
        Without images, for values that are not finite, and for another shape.
    """
    values = np.asarray(X)
    if values.ndim != 4 or values.dtype.kind not in "biuf":
        raise InputTypeError(
            f"Images are numbers of shape (n, channels, height, width); got {values.dtype} of shape {values.shape}."
        )
    if 0 in values.shape:
        raise DataError(f"There is no image or no pixel in an array of shape {values.shape}.")
    if shape is not None and values.shape[1:] != tuple(shape):
        raise DataError(f"The images have shape {values.shape[1:]}, those of the fit {tuple(shape)}; give equal ones.")
    values = values.astype(np.float64 if values.dtype != np.float32 else np.float32, copy=False)
    if not np.isfinite(values).all():
        raise DataError("The images contain NaN or infinity; fill such pixels first.")
    return values


def resize_matrix(size: int, wanted: int, filter: str) -> np.ndarray:
    """Return the weights (wanted, size) of each old place in each new one; shrinking averages over what it leaves out."""
    scale = size / wanted
    centers = (np.arange(wanted) + 0.5) * scale  # (wanted,)
    if filter == "nearest":
        out = np.zeros((wanted, size))
        out[np.arange(wanted), np.minimum(centers.astype(np.int64), size - 1)] = 1.0
        return out
    stretch = max(scale, 1.0)
    support = {"bilinear": 1.0, "bicubic": 2.0}[filter] * stretch
    place = np.arange(size)
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centers + support + 0.5).astype(np.int64), size)
    distance = np.abs((place + 0.5 - centers[:, None]) / stretch)  # (wanted, size)
    if filter == "bilinear":
        weight = np.maximum(1.0 - distance, 0.0)
    else:
        # Keys' cubic with a = -1/2.
        near = (1.5 * distance - 2.5) * distance**2 + 1.0
        far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
        weight = np.where(distance < 1, near, far)
    weight = np.where((place >= first[:, None]) & (place < end[:, None]), weight, 0.0)
    return weight / weight.sum(axis=1, keepdims=True)


def resize(X: np.ndarray, height: int, width: int, filter: str) -> np.ndarray:
    """Return images of the wanted height and width, separably interpolated."""
    rows = resize_matrix(X.shape[2], height, filter).astype(X.dtype)
    columns = resize_matrix(X.shape[3], width, filter).astype(X.dtype)
    return rows @ X @ columns.T


def gray(X: np.ndarray) -> np.ndarray:
    """Return the brightness of each pixel, shape (n, 1, h, w)."""
    if X.shape[1] != len(GRAY):
        return X.mean(axis=1, keepdims=True)
    return np.einsum("nchw,c->nhw", X, GRAY.astype(X.dtype))[:, None]


def recolor(X: np.ndarray, brightness: Any, contrast: Any, saturation: Any) -> np.ndarray:
    """Return images in [0, 1] with changed colors; factors are numbers or one per image, 1 changes nothing.

    Brightness multiplies; contrast moves pixels from the mean brightness of the image, saturation from their own gray, by the
    factor. After each step values are cut to [0, 1].
    """
    b, c, s = (np.asarray(f, dtype=X.dtype).reshape(-1, 1, 1, 1) for f in (brightness, contrast, saturation))
    X = np.clip(X * b, 0.0, 1.0)
    middle = gray(X).mean(axis=(1, 2, 3), keepdims=True)
    X = np.clip(middle + c * (X - middle), 0.0, 1.0)
    own = gray(X)
    return np.clip(own + s * (X - own), 0.0, 1.0)


def center_matrices(shape: tuple[int, int], *, angle: Any, shear: Any, scale: Any, shift: Any, flip: Any) -> np.ndarray:
    """Return affine maps of pixel coordinates (x, y, 1) about the middle of the image, shape (n, 2, 3).

    A point is mirrored, scaled, sheared in x, rotated (positive angles turn counter-clockwise as seen, y pointing down), then
    moved.

    Parameters
    ----------
    shape : (height, width)
    angle, shear : degrees of shape (n,)
    scale : array of shape (n,)
    shift : pixels in x and y, shape (n, 2)
    flip : bool of shape (n, 2), mirror x and mirror y
    """
    turn, lean = np.deg2rad(np.asarray(angle, dtype=float)), np.tan(np.deg2rad(np.asarray(shear, dtype=float)))
    sign = np.where(np.asarray(flip), -1.0, 1.0) * np.asarray(scale, dtype=float)[:, None]  # (n, 2)
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.empty((len(turn), 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = cos * sign[:, 0], (cos * lean + sin) * sign[:, 1]
    linear[:, 1, 0], linear[:, 1, 1] = -sin * sign[:, 0], (-sin * lean + cos) * sign[:, 1]
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    moved = middle - linear @ middle + np.asarray(shift, dtype=float)
    return np.concatenate([linear, moved[:, :, None]], axis=2)


def warp(X: np.ndarray, maps: np.ndarray, fill: float) -> np.ndarray:
    """Return the images after their affine maps (n, 2, 3), interpolated between the four nearest old pixels."""
    from .images_kernels import sample  # loads numba

    linear = np.linalg.inv(maps[:, :, :2])
    back = np.concatenate([linear, -linear @ maps[:, :, 2:]], axis=2)
    out = np.empty_like(X)
    sample(np.ascontiguousarray(X), back, fill, out)
    return out
