"""Random changes of images that keep their label, and of images with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams

from .images import center_matrices, images, recolor, warp


class ImageAugmentation(TransformerMixin, Estimator):
    r"""Turn each image into a random variant: mirrored, scaled, sheared, rotated, moved, recolored, with noise.

    .. math:: (x_i, y_i) \to \{(x_i^{*b}, y_i)\}_{b = 1 \dots B}

    Every range is drawn from uniformly, for each image on its own.

    Parameters
    ----------
    rotation : float in [0, 180], default 15.0
        Degrees to either side.
    shear : float in [0, 80], default 0.0
        Degrees to either side.
    translation : float in [0, 1], default 0.1
        Part of height and width to either side.
    zoom : float in [0, 0.9], default 0.0
        Scales from 1 - zoom to 1 + zoom; above 1 the border is cropped.
    flip_horizontal, flip_vertical : float in [0, 1], default 0.0
        Chances to be mirrored.
    brightness, contrast, saturation : float in [0, 1], default 0.0
        Factors from 1 - value to 1 + value; images must then be in [0, 1].
    noise : float >= 0, default 0.0
        Standard deviation of Gaussian noise on every value.
    fill : float, default 0.0
        Value outside the old image.
    random_state : int, generator or None, default None

    Attributes
    ----------
    shape_ : tuple
        (c, h, w) of the training images.
    seed_ : int

    Returns
    -------
    transform : array of shape (n, c, h, w)

    Raises
    ------
    InputError, InputTypeError, DataError
        For wrong parameters and for what are no images of the shape seen in fit.

    Notes
    -----
    ``transform`` gives the same variants each time it is called; ``epoch`` gives others. Digits bear ±15° but no mirroring,
    trains are mirrored: what keeps the label depends on the task.

    References
    ----------
    Spec ``08#data-augmentation``, ``05#data-augmentation-basic``.
    """

    def __init__(
        self,
        *,
        rotation: float = 15.0,
        shear: float = 0.0,
        translation: float = 0.1,
        zoom: float = 0.0,
        flip_horizontal: float = 0.0,
        flip_vertical: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        noise: float = 0.0,
        fill: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.rotation = rotation
        self.shear = shear
        self.translation = translation
        self.zoom = zoom
        self.flip_horizontal = flip_horizontal
        self.flip_vertical = flip_vertical
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.noise = noise
        self.fill = fill
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the ranges and note the shape of the images, (n, c, h, w)."""
        limits = {"rotation": 180.0, "shear": 80.0, "zoom": 0.9, "noise": np.inf}
        for name in ("translation", "flip_horizontal", "flip_vertical", "brightness", "contrast", "saturation"):
            limits[name] = 1.0
        for name, high in limits.items():
            check_number(name, getattr(self, name), 0.0, high)
        X = images(X)
        self.shape_ = tuple(int(side) for side in X.shape[1:])
        self.seed_ = Streams.of(self.random_state).integer("augmentation")
        return self

    def matrices(self, n: int, epoch: int = 0) -> np.ndarray:
        """Return the affine maps of pixel coordinates (x, y, 1) that ``transform`` applies to n images, shape (n, 2, 3)."""
        self._check_fitted()
        draw = Streams(self.seed_).numpy("maps", epoch)
        _, height, width = self.shape_
        unit = draw.uniform(-1.0, 1.0, (n, 5))
        flips = draw.random((n, 2)) < [self.flip_horizontal, self.flip_vertical]
        return center_matrices(
            (height, width),
            angle=self.rotation * unit[:, 0],
            shear=self.shear * unit[:, 1],
            scale=1.0 + self.zoom * unit[:, 2],
            shift=self.translation * unit[:, 3:] * [width, height],
            flip=flips,
        )

    def transform(self, X: Any, epoch: int = 0) -> np.ndarray:
        """Return a random variant of each image, shape (n, c, h, w); another ``epoch`` gives other ones."""
        self._check_fitted()
        X = images(X, self.shape_)
        out = warp(X, self.matrices(len(X), epoch), float(self.fill))
        factors = (self.brightness, self.contrast, self.saturation)
        if any(factors):
            if X.min() < 0 or X.max() > 1:
                raise InputError("Colors change in images with values in [0, 1]; divide 8-bit images by 255.")
            unit = Streams(self.seed_).numpy("colors", epoch).uniform(-1.0, 1.0, (3, len(X)))
            out = recolor(out, *(1.0 + f * u for f, u in zip(factors, unit)))
        if self.noise:
            draw = Streams(self.seed_).numpy("noise", epoch)
            out = out + (self.noise * draw.standard_normal(out.shape)).astype(out.dtype)
        return out

    def augment(self, X: Any, y: Any, copies: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``copies`` variants of every image with their labels: shapes (copies * n, c, h, w) and (copies * n, …)."""
        copies, labels = check_count("copies", copies), np.asarray(y)
        if len(labels) != len(X):
            raise DataError(f"There are {len(X)} images but {len(labels)} labels; give one each.")
        self.fit(X)
        return np.concatenate([self.transform(X, epoch) for epoch in range(copies)]), np.concatenate([labels] * copies)


class BoxAugmentation(Estimator):
    r"""Mirror, scale and rotate images together with the boxes of their objects.

    The four corners of a box go through the map of its image; the new box is the least one that holds them, cut to the image.
    It is dropped where the part within the image is less than ``min_visibility`` of its area.

    Parameters
    ----------
    flip_horizontal, flip_vertical : float in [0, 1], default 0.5
    rotation : float in [0, 180], default 180.0
        Degrees to either side.
    rotation_chance : float in [0, 1], default 0.9
    scale : float > 0, default 1.0
    min_visibility : float in [0, 1], default 0.1
    fill : float, default 0.0
    random_state : int, generator or None, default None

    Returns
    -------
    augment : images of shape (n, c, h, w), boxes and labels as lists of n arrays

    Raises
    ------
    InputError, DataError, InputTypeError
        For wrong parameters, boxes without extent or out of the image, and counts that differ.

    Notes
    -----
    Boxes are COCO boxes: left, top, width and height in pixels, where the pixel (0, 0) covers [0, 1) x [0, 1).

    References
    ----------
    Spec ``08#bbox-augmentation``; Buslaev et al. 2020, "Albumentations: fast and flexible image augmentations".
    """

    def __init__(
        self,
        *,
        flip_horizontal: float = 0.5,
        flip_vertical: float = 0.5,
        rotation: float = 180.0,
        rotation_chance: float = 0.9,
        scale: float = 1.0,
        min_visibility: float = 0.1,
        fill: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.flip_horizontal = flip_horizontal
        self.flip_vertical = flip_vertical
        self.rotation = rotation
        self.rotation_chance = rotation_chance
        self.scale = scale
        self.min_visibility = min_visibility
        self.fill = fill
        self.random_state = random_state

    def matrices(self, n: int, shape: tuple[int, int], epoch: int = 0) -> np.ndarray:
        """Return the affine maps of pixel coordinates that ``augment`` applies to n images of (height, width)."""
        for name in ("flip_horizontal", "flip_vertical", "rotation_chance", "min_visibility"):
            check_number(name, getattr(self, name), 0.0, 1.0)
        check_number("rotation", self.rotation, 0.0, 180.0)
        check_number("scale", self.scale, 1e-3, 1e3)
        draw = Streams.of(self.random_state).numpy("boxes", epoch)
        angle = self.rotation * draw.uniform(-1.0, 1.0, n) * (draw.random(n) < self.rotation_chance)
        flips = draw.random((n, 2)) < [self.flip_horizontal, self.flip_vertical]
        still = np.zeros(n)
        return center_matrices(
            shape, angle=angle, shear=still, scale=np.full(n, self.scale), shift=np.zeros((n, 2)), flip=flips
        )

    def augment(
        self, X: Any, boxes: Sequence[Any], labels: Sequence[Any], epoch: int = 0
    ) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """Return changed images and, for each, the boxes that stay in sight, shape (m', 4), with their labels.

        Parameters
        ----------
        X : array of shape (n, c, h, w)
        boxes : n arrays of shape (m, 4)
        labels : n sequences of length m
        epoch : int, default 0
            Another one draws other changes.
        """
        X = images(X)
        if not len(X) == len(boxes) == len(labels):
            raise DataError(f"There are {len(X)} images, {len(boxes)} sets of boxes and {len(labels)} of labels.")
        shape = (X.shape[2], X.shape[3])
        maps = self.matrices(len(X), shape, epoch)
        found, names = [], []
        for map_, given, tags in zip(maps, boxes, labels):
            table, tag = np.asarray(given, dtype=np.float64).reshape(-1, 4), np.asarray(tags)
            if len(table) != len(tag):
                raise DataError(f"An image has {len(table)} boxes and {len(tag)} labels; give one each.")
            moved, kept = move_boxes(table, map_, shape, self.min_visibility)
            found.append(moved)
            names.append(tag[kept])
        return warp(X, maps, float(self.fill)), found, names


def move_boxes(
    boxes: np.ndarray, map_: np.ndarray, shape: tuple[int, int], min_visibility: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (m', 4) that stay in sight after an affine map of pixel coordinates, and which they are, (m',).

    Raises
    ------
    DataError
        For a box without extent or not wholly within the image.
    """
    height, width = shape
    x, y, w, h = boxes.T
    if not ((w > 0) & (h > 0) & (x >= 0) & (y >= 0) & (x + w <= width) & (y + h <= height)).all():
        raise DataError(
            f"Boxes are (left, top, width, height) with an extent, within the image of {width} x {height} pixels."
        )
    corners = np.stack([[x, x + w, x, x + w], [y, y, y + h, y + h]]).transpose(2, 1, 0)  # (m, 4, 2)
    # Pixel i covers [i, i + 1): its center has the coordinate i in the map.
    moved = (corners - 0.5) @ map_[:, :2].T + map_[:, 2] + 0.5
    low, high = moved.min(axis=1), moved.max(axis=1)  # (m, 2)
    inside_low, inside_high = np.clip(low, 0, [width, height]), np.clip(high, 0, [width, height])
    extent = inside_high - inside_low
    area, seen = np.prod(high - low, axis=1), np.prod(extent, axis=1)
    kept = np.flatnonzero((seen >= min_visibility * area) & (seen > 0))
    return np.concatenate([inside_low, extent], axis=1)[kept], kept
