"""Image preprocessing: resize, crop, flip, recolor and normalize, the same for every image."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator

from .images import images, recolor, resize

_FILTERS = ("bilinear", "bicubic", "nearest")


class ImagePreprocessing(TransformerMixin, Estimator):
    r"""Bring images to one size and scale: resize, crop, flip, recolor, then normalize.

    .. math:: x'_{c} = \frac{x_{c} - \mu_c}{\sigma_c}

    per channel c, after the steps before.

    Parameters
    ----------
    size : int or (height, width), optional
        Resize to this; one number is the shorter side, and the longer keeps its ratio.
    filter : {"bilinear", "bicubic", "nearest"}, default "bilinear"
        Shrinking widens the filter by the ratio, so that no pixel is passed over (not with ``nearest``).
    crop : int or (height, width), optional
        Cut this from the middle.
    flip : {"horizontal", "vertical", None}, default None
    brightness, contrast, saturation : float >= 0, default 1.0
        Factors for images in [0, 1]; 1 changes nothing.
    normalize : bool, default True
        Subtract the mean and divide by the deviation of each channel.
    mean, std : sequence of one number a channel, optional
        By default those of the training images.

    Attributes
    ----------
    mean_, std_ : arrays of shape (c,)
        ``std_`` is 1 where a channel is constant.
    shape_ : tuple
        (c, h, w) of the training images.

    Returns
    -------
    transform : array of shape (n, c, h', w')

    Raises
    ------
    InputError, InputTypeError, DataError
        For wrong parameters and for what are no images of the shape seen in fit.

    References
    ----------
    Spec ``01#image-preprocessing``.
    """

    def __init__(
        self,
        *,
        size: Any = None,
        filter: str = "bilinear",
        crop: Any = None,
        flip: str | None = None,
        brightness: float = 1.0,
        contrast: float = 1.0,
        saturation: float = 1.0,
        normalize: bool = True,
        mean: Any = None,
        std: Any = None,
    ) -> None:
        self.size = size
        self.filter = filter
        self.crop = crop
        self.flip = flip
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.normalize = normalize
        self.mean = mean
        self.std = std

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _wanted(self, height: int, width: int) -> tuple[int, int]:
        if self.size is None:
            return height, width
        if np.ndim(self.size) == 0:
            short = check_count("size", self.size)
            # As Pillow and torchvision: the longer side is cut off to whole pixels.
            return (short, int(short * width / height)) if height <= width else (int(short * height / width), short)
        return self._pair("size", self.size)

    @staticmethod
    def _pair(name: str, value: Any) -> tuple[int, int]:
        sides = (value, value) if np.ndim(value) == 0 else tuple(value)
        if len(sides) != 2:
            raise InputError(f"{name} must be one side or (height, width); got {value!r}.")
        return check_count(name, sides[0]), check_count(name, sides[1])

    def _prepared(self, X: np.ndarray) -> np.ndarray:
        if self.filter not in _FILTERS:
            raise InputError(f"filter must be one of {', '.join(map(repr, _FILTERS))}; got {self.filter!r}.")
        if self.flip not in ("horizontal", "vertical", None):
            raise InputError(f"flip must be 'horizontal', 'vertical' or None; got {self.flip!r}.")
        factors = (self.brightness, self.contrast, self.saturation)
        if any(not np.isfinite(f) or f < 0 for f in factors):
            raise InputError(f"brightness, contrast and saturation must be finite and >= 0; got {factors}.")
        height, width = self._wanted(*X.shape[2:])
        if (height, width) != X.shape[2:]:
            X = resize(X, height, width, self.filter)
        if self.crop is not None:
            tall, wide = self._pair("crop", self.crop)
            if tall > height or wide > width:
                raise InputError(f"The crop {tall} x {wide} is larger than the image, {height} x {width}.")
            top, left = round((height - tall) / 2.0), round((width - wide) / 2.0)
            X = X[:, :, top : top + tall, left : left + wide]
        if self.flip is not None:
            X = X[:, :, :, ::-1] if self.flip == "horizontal" else X[:, :, ::-1]
        if factors != (1.0, 1.0, 1.0):
            if X.min() < 0 or X.max() > 1:
                raise InputError("Colors change in images with values in [0, 1]; divide 8-bit images by 255.")
            X = recolor(X, *factors)
        return X

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn mean and deviation of each channel of the images, shape (n, c, h, w), after the other steps."""
        X = images(X)
        prepared = self._prepared(X)
        channels = X.shape[1]
        mean, std = (f(prepared, axis=(0, 2, 3), dtype=np.float64) for f in (np.mean, np.std))
        rounding = 100 * np.finfo(prepared.dtype).eps  # any value: what a few sums of products may be off
        # A constant channel has a deviation within the rounding error of its mean.
        std[std <= rounding * np.abs(mean)] = 1.0
        for name, found in (("mean", mean), ("std", std)):
            given = getattr(self, name)
            values = np.asarray(found if given is None else given, dtype=np.float64)
            if values.shape != (channels,) or not np.isfinite(values).all():
                raise InputError(f"{name} must be one number a channel ({channels}); got {given!r}.")
            setattr(self, f"{name}_", values)
        if self.std is not None and (self.std_ <= 0).any():
            raise InputError(f"std must be positive; got {self.std!r}.")
        self.shape_ = tuple(int(side) for side in X.shape[1:])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the images after all steps, shape (n, c, h', w')."""
        self._check_fitted()
        X = self._prepared(images(X, self.shape_))
        if not self.normalize:
            return np.ascontiguousarray(X)
        mean, std = (v.astype(X.dtype).reshape(1, -1, 1, 1) for v in (self.mean_, self.std_))
        return (X - mean) / std
