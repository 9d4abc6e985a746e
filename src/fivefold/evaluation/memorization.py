"""Does a generator copy its training rows, and how many different rows can it make?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputError

METRICS = {"l2": "euclidean", "l1": "cityblock"}


def _rows(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 2 or 0 in array.shape or not np.isfinite(array).all():
        raise DataError(
            f"{name} must be finite rows (n, d) or images (n, height, width, ...); got shape {array.shape}."
        )
    return array


@dataclass(frozen=True)
class CopyReport:
    """Nearest training row of each generated one.

    Attributes
    ----------
    distance : array (m,)
    nearest : array (m,) of int
    copied : array (m,) of bool
        Whether the distance is at most the threshold.
    threshold : float
    """

    distance: np.ndarray
    nearest: np.ndarray
    copied: np.ndarray
    threshold: float

    @property
    def share(self) -> float:
        """Share of generated rows that are copies."""
        return float(self.copied.mean())


class NearestNeighborCopyTest(Stateful):
    r"""Flag generated rows that lie next to a training row, :math:`\min_i \lVert g - x_i \rVert \le \tau`.

    Parameters
    ----------
    distance : "l2" (default) or "l1"
    threshold : float >= 0, default 0
        τ; 0 flags exact copies only. :meth:`calibrate` sets it from rows that cannot be copies.
    max_shift : int >= 0, default 0
        For images: also compare with the training images shifted by up to so many pixels along either axis, on the part that
        overlaps, with distances scaled to the whole size.

    Raises
    ------
    InputError, DataError
        When parameters or shapes are not accepted.

    Notes
    -----
    Pixel distances are fooled by what the eye ignores: a training image shifted by a few pixels is often nearer to an image of
    something else. So "no near neighbor" does not prove that nothing was memorized; ``max_shift`` closes this one gap.

    References
    ----------
    Theis, van den Oord & Bethge 2016; spec ``06#memory-gan-check``.
    """

    def __init__(self, distance: str = "l2", threshold: float = 0.0, max_shift: int = 0) -> None:
        self.distance = check_one_of("distance", distance, tuple(METRICS))
        if not threshold >= 0:
            raise InputError(f"threshold must be >= 0, got {threshold!r}.")
        self.threshold = float(threshold)
        self.max_shift = check_count("max_shift", max_shift, 0)

    def _distances(self, training: np.ndarray, generated: np.ndarray) -> np.ndarray:
        """Return distances (m, n), over shifts the least."""
        if training.shape[1:] != generated.shape[1:]:
            raise DataError(f"Rows must have one shape; got {training.shape[1:]} and {generated.shape[1:]}.")
        metric = METRICS[self.distance]
        if self.max_shift == 0:
            return cdist(generated.reshape(len(generated), -1), training.reshape(len(training), -1), metric)
        if training.ndim < 3 or min(training.shape[1:3]) <= self.max_shift:
            raise DataError(f"max_shift={self.max_shift} needs images (n, height, width, ...) larger than it.")
        best = np.full((len(generated), len(training)), np.inf)
        size = int(np.prod(training.shape[1:]))
        h, w = training.shape[1:3]
        for dy in range(-self.max_shift, self.max_shift + 1):
            for dx in range(-self.max_shift, self.max_shift + 1):
                a = generated[:, max(0, dy) : h + min(0, dy), max(0, dx) : w + min(0, dx)].reshape(len(generated), -1)
                b = training[:, max(0, -dy) : h + min(0, -dy), max(0, -dx) : w + min(0, -dx)].reshape(len(training), -1)
                scale = size / a.shape[1]
                scale = np.sqrt(scale) if self.distance == "l2" else scale
                best = np.minimum(best, cdist(a, b, metric) * scale)
        return best

    def test(self, training: Any, generated: Any) -> CopyReport:
        """Return the nearest training row of each generated one, and which are copies."""
        found = self._distances(_rows(training, "training"), _rows(generated, "generated"))
        nearest = found.argmin(axis=1)
        distance = found[np.arange(len(found)), nearest]
        return CopyReport(distance, nearest, distance <= self.threshold, self.threshold)

    def calibrate(self, training: Any, held_out: Any, *, quantile: float = 0.01) -> NearestNeighborCopyTest:
        """Return a test whose threshold is the given quantile of the distances of held-out rows to the training rows.

        Held-out rows are no copies, so about this share of honest samples is flagged.
        """
        if not 0 <= quantile <= 1:
            raise InputError(f"quantile must be in [0, 1], got {quantile!r}.")
        found = self._distances(_rows(training, "training"), _rows(held_out, "held_out")).min(axis=1)
        return NearestNeighborCopyTest(self.distance, float(np.quantile(found, quantile)), self.max_shift)


def collision_probability(samples: int, support: float) -> float:
    r"""Return the chance that ``samples`` uniform draws of ``support`` values hold a pair, :math:`1 - \prod_{i<s} (1 - i/N)`."""
    if samples < 1 or not support >= 1:
        raise InputError(f"Collisions need samples >= 1 and support >= 1; got {samples!r} and {support!r}.")
    if samples > support:
        return 1.0
    return float(-np.expm1(np.log1p(-np.arange(1, samples) / support).sum()))


@dataclass(frozen=True)
class BirthdayReport:
    """Collisions in batches of one size.

    Attributes
    ----------
    size : int
        Rows a batch, s.
    share : float
        Share of batches with a pair of duplicates.
    pairs : array (b, 2) of int
        The closest pair of each batch, for the eye to judge.
    distance : array (b,)
        Its distance.
    support : float
        :math:`s^2`, the rule of thumb for the size at which half the batches collide.
    exact_support : float
        The uniform support with the share found, from :math:`s (s - 1) / (2 \\ln \frac{1}{1 - \text{share}})`; inf without
        collisions, 0 when every batch collides.
    """

    size: int
    share: float
    pairs: np.ndarray
    distance: np.ndarray
    support: float
    exact_support: float


class BirthdayParadoxTest(Stateful):
    r"""Estimate how many different rows a generator makes from how soon two are alike.

    Of N equally likely rows, s draws hold a duplicate with probability :math:`1 - e^{-s(s-1)/2N}`, one half at
    :math:`s \approx \sqrt{2 \ln 2 \, N} = 1.18 \sqrt N`.

    Parameters
    ----------
    threshold : float >= 0, default 0
        Two rows within this distance are duplicates.
    distance : "l2" (default) or "l1"

    Raises
    ------
    InputError, DataError
        When parameters or shapes are not accepted.

    Notes
    -----
    Duplicates in half the batches of s = 400 tell of a support of about 400² = 0.16 million (0.115 million if exactly uniform).
    Unequal probabilities collide sooner, so the support found is a lower bound of the number of rows.

    References
    ----------
    Arora & Zhang 2018; spec ``06#birthday-test``.
    """

    def __init__(self, threshold: float = 0.0, distance: str = "l2") -> None:
        if not threshold >= 0:
            raise InputError(f"threshold must be >= 0, got {threshold!r}.")
        self.threshold = float(threshold)
        self.distance = check_one_of("distance", distance, tuple(METRICS))

    def test(self, batches: Any) -> BirthdayReport:
        """Return what batches (b, s, d) of independent samples show."""
        array = np.asarray(batches, dtype=np.float64)
        if array.ndim < 3 or 0 in array.shape or array.shape[1] < 2 or not np.isfinite(array).all():
            raise DataError(
                f"The birthday test needs finite batches (b, s, d) of s >= 2 rows; got shape {array.shape}."
            )
        count, size = array.shape[:2]
        pairs, distance = np.empty((count, 2), dtype=np.int64), np.empty(count)
        for k, rows in enumerate(array.reshape(count, size, -1)):
            table = cdist(rows, rows, METRICS[self.distance])
            np.fill_diagonal(table, np.inf)
            place = int(table.argmin())
            pairs[k], distance[k] = divmod(place, size), table.flat[place]
        share = float(np.mean(distance <= self.threshold))
        exact = np.inf if share == 0 else 0.0 if share == 1 else size * (size - 1) / (-2 * np.log1p(-share))
        return BirthdayReport(size, share, pairs, distance, float(size**2), float(exact))
