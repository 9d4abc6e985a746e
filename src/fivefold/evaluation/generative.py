"""Distances of generated samples from real ones: Fréchet, Inception and Mode Score, kernel MMD and optimal assignment.

All take features or class probabilities as arrays, so that any network can give them; images are first sent through one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from fivefold.base.checks import check_one_of
from fivefold.base.errors import DataError, InputError

from ._inputs import as_probabilities
from .metric import Metric


def _samples(values: Any, name: str, what: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
        raise DataError(f"{what} needs {name} as finite features (n, d); got shape {array.shape} or NaN in it.")
    return array


class _SampleMetric(Metric):
    """A metric of a real and a generated sample, which need not be of one size."""

    needs: ClassVar[str] = "values"
    higher_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("generation",)

    def reset(self) -> None:
        self.real: list[np.ndarray] = []
        self.generated: list[np.ndarray] = []

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add real (n, d) and generated (m, d) rows; either may be None."""
        if sample_weight is not None:
            raise InputError(f"{self.name} takes no sample_weight; repeat rows instead.")
        for values, name, kept in ((y_true, "y_true", self.real), (y_pred, "y_pred", self.generated)):
            if values is not None:
                kept.append(_samples(values, name, self.name).copy())
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        self.real.extend(other.real)  # type: ignore[attr-defined]
        self.generated.extend(other.generated)  # type: ignore[attr-defined]
        return self

    def _both(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.real or not self.generated:
            raise InputError(f"{self.name} has seen no {'real' if not self.real else 'generated'} rows; call `update`.")
        if len({part.shape[1] for part in (*self.real, *self.generated)}) > 1:
            raise DataError(f"{self.name} needs real and generated rows of one width.")
        return np.concatenate(self.real), np.concatenate(self.generated)


def frechet_distance(y_true: Any, y_pred: Any) -> float:
    """Fréchet distance of real (n, d) and generated (m, d) features; see :class:`FrechetDistance`."""
    return FrechetDistance().update(y_true, y_pred).compute()


class FrechetDistance(_SampleMetric):
    r"""Fréchet (Inception) distance: the squared 2-Wasserstein distance of the normal laws fitted to both samples.

    .. math:: \lVert \mu_1 - \mu_2 \rVert^2 + \mathrm{Tr}\left( \Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2} \right)

    Covariances divide by n - 1. The stream keeps means and centered products, O(d²), and merges exactly.

    Raises
    ------
    DataError
        When a sample has fewer than two rows, or widths differ.

    Notes
    -----
    The value falls with more rows (bias of order 1/n), so compare only at equal sizes. The trace of the root is the sum of the
    roots of the eigenvalues of :math:`\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2}`, which stay real for singular covariances.
    FID proper takes the 2048 features of Inception-v3's last pooling layer.

    References
    ----------
    Heusel et al. 2017; spec ``01#fid``, ``06#gan-compare-fid``, ``06#rouge``, ``08#inception-score``.
    """

    name: ClassVar[str] = "fid"
    function = staticmethod(frechet_distance)

    def reset(self) -> None:
        self.sums: list[tuple[int, np.ndarray, np.ndarray] | None] = [None, None]  # rows, mean (d,), scatter (d, d)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        if sample_weight is not None:
            raise InputError(f"{self.name} takes no sample_weight; repeat rows instead.")
        for side, (values, name) in enumerate(((y_true, "y_true"), (y_pred, "y_pred"))):
            if values is not None:
                rows = _samples(values, name, self.name)
                mean = rows.mean(axis=0)
                self._add(side, (len(rows), mean, (rows - mean).T @ (rows - mean)))
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        for side, part in enumerate(other.sums):  # type: ignore[attr-defined]
            if part is not None:
                self._add(side, part)
        return self

    def _add(self, side: int, part: tuple[int, np.ndarray, np.ndarray]) -> None:
        old = self.sums[side]
        if old is None:
            self.sums[side] = part
            return
        (n, mean, scatter), (m, other, more) = old, part
        if len(mean) != len(other):
            raise DataError(f"{self.name} needs rows of one width; got {len(mean)} and {len(other)}.")
        gap = other - mean
        self.sums[side] = (n + m, mean + gap * (m / (n + m)), scatter + more + np.outer(gap, gap) * (n * m / (n + m)))

    def compute(self) -> float:
        """Return the distance of all rows so far."""
        real, generated = self.sums
        if real is None or generated is None:
            raise InputError(f"{self.name} has seen no {'real' if real is None else 'generated'} rows; call `update`.")
        if min(real[0], generated[0]) < 2 or len(real[1]) != len(generated[1]):
            raise DataError(f"{self.name} needs two rows or more on either side, of one width.")
        first, second = real[2] / (real[0] - 1), generated[2] / (generated[0] - 1)
        values, vectors = np.linalg.eigh(first)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0.0)).sum()
        distance = ((real[1] - generated[1]) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross
        return float(max(0.0, distance))


def _entropy_terms(p: np.ndarray) -> np.ndarray:
    """Return p ln p, 0 where p is 0."""
    return np.asarray(p * np.log(np.where(p > 0, p, 1.0)))


def _table(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{what} needs class probabilities (n, K); got shape {array.shape}.")
    return as_probabilities(array, what).astype(np.float64)


def inception_score(y_true: Any, y_pred: Any) -> float:
    """Inception Score of class probabilities ``y_pred`` (n, K); ``y_true`` is not looked at. See :class:`InceptionScore`."""
    return InceptionScore().update(y_true, y_pred).compute()


class InceptionScore(Metric):
    r"""Inception Score: each sample of a clear class, and all classes equally often.

    .. math:: \exp\left( \frac1n \sum_x D_{KL}(p(y | x) \,\Vert\, p(y)) \right)
              = \exp\left( H(p(y)) - \frac1n \sum_x H(p(y | x)) \right), \qquad p(y) = \frac1n \sum_x p(y | x)

    In [1, K]: 1 for equal predictions, K for certain ones that are balanced over K classes. The stream keeps two sums.

    Raises
    ------
    DataError
        When rows are no probabilities.

    Notes
    -----
    One value over all rows; averaging over ten splits, as first published, is lower, since p(y) is estimated on fewer rows. It
    never sees a real sample, so a generator of one good picture a class is perfect. A source prints the exponent.

    References
    ----------
    Salimans et al. 2016; spec ``01#inception-score``, ``06#inception-score``, ``08#inception-score``.
    """

    name: ClassVar[str] = "inception-score"
    needs: ClassVar[str] = "probabilities"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("generation",)
    function = staticmethod(inception_score)

    def reset(self) -> None:
        self.count = 0
        self.total: np.ndarray | None = None  # (K,) sum of probabilities
        self.sharpness = 0.0  # sum of p ln p

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add class probabilities of generated samples (n, K); ``y_true`` is not looked at."""
        if sample_weight is not None:
            raise InputError(f"{self.name} takes no sample_weight; repeat rows instead.")
        p = _table(y_pred, self.name)
        self._add(len(p), p.sum(axis=0), float(_entropy_terms(p).sum()))
        return self

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.total is not None:  # type: ignore[attr-defined]
            self._add(other.count, other.total, other.sharpness)  # type: ignore[attr-defined]
        return self

    def _add(self, count: int, total: np.ndarray, sharpness: float) -> None:
        if self.total is not None and self.total.shape != total.shape:
            raise DataError(f"{self.name} has seen {len(self.total)} classes and now {len(total)}; give all classes.")
        self.total = total if self.total is None else self.total + total
        self.count += count
        self.sharpness += sharpness

    def _exponent(self) -> tuple[float, np.ndarray]:
        if self.total is None:
            raise InputError(f"{self.name} has seen no rows; call `update` before `compute`.")
        marginal = self.total / self.count
        return self.sharpness / self.count - float(_entropy_terms(marginal).sum()), marginal

    def compute(self) -> float:
        """Return the score of all rows so far."""
        return float(np.exp(self._exponent()[0]))


def mode_score(y_true: Any, y_pred: Any) -> float:
    """Mode Score of real (n, K) and generated (m, K) class probabilities; see :class:`ModeScore`."""
    return ModeScore().update(y_true, y_pred).compute()


class ModeScore(InceptionScore):
    r"""Mode Score: the Inception Score, less the distance of the classes generated from those of the real rows.

    .. math:: \exp\left( E_x D_{KL}(p(y | x) \,\Vert\, p(y)) - D_{KL}(p(y) \,\Vert\, p(y^*)) \right)

    with p(y*) the mean over the real rows; labels may be given as one-hot rows. Equal to the Inception Score when the class
    shares match, lower otherwise, and 0 when a class is generated that no real row has.

    Raises
    ------
    DataError
        When rows are no probabilities or the numbers of classes differ.

    Notes
    -----
    Printed with p(y*) in the first divergence too, the two references cancel and the value *is* the Inception Score whatever
    the real rows are; this is the form that sees them.

    References
    ----------
    Che et al. 2017; Xu et al. 2018; spec ``01#mode-score``.
    """

    name: ClassVar[str] = "mode-score"
    function = staticmethod(mode_score)

    def reset(self) -> None:
        super().reset()
        self.reference: np.ndarray | None = None  # (K,)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add class probabilities of real (n, K) and generated (m, K) samples; either may be None."""
        if y_true is not None:
            self._refer(_table(y_true, self.name).sum(axis=0))
        return self if y_pred is None else super().update(None, y_pred, sample_weight)

    def _refer(self, total: np.ndarray) -> None:
        if self.reference is not None and self.reference.shape != total.shape:
            raise DataError(f"{self.name} has seen {len(self.reference)} real classes and now {len(total)}.")
        self.reference = total if self.reference is None else self.reference + total

    def merge(self, other: Metric) -> Self:
        super().merge(other)
        if other.reference is not None:  # type: ignore[attr-defined]
            self._refer(other.reference)  # type: ignore[attr-defined]
        return self

    def compute(self) -> float:
        """Return the score of all rows so far."""
        exponent, marginal = self._exponent()
        if self.reference is None:
            raise InputError(f"{self.name} has seen no real rows; pass their class probabilities as y_true.")
        if self.reference.shape != marginal.shape:
            raise DataError(f"{self.name} needs one number of classes; got {len(self.reference)} and {len(marginal)}.")
        real = self.reference / self.reference.sum()
        there = marginal > 0
        if (real[there] == 0).any():
            return 0.0
        return float(np.exp(exponent - marginal[there] @ np.log(marginal[there] / real[there])))


KERNELS = ("rbf", "polynomial", "linear")


def kernel_mmd(y_true: Any, y_pred: Any, **options: Any) -> float:
    """Squared maximum mean discrepancy of real (n, d) and generated (m, d) rows; see :class:`KernelMMD`."""
    return KernelMMD(**options).update(y_true, y_pred).compute()


class KernelMMD(_SampleMetric):
    r"""Squared kernel maximum mean discrepancy: the distance of two samples' means in the kernel's feature space.

    .. math:: \widehat{\mathrm{MMD}}^2 = \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \ne j}
              k(y_i, y_j) - \frac{2}{nm} \sum_{ij} k(x_i, y_j)

    Parameters
    ----------
    kernel : "rbf" (default), "polynomial" or "linear"
        :math:`e^{-\lVert x - y \rVert^2 / 2 \sigma^2}`; :math:`(x^T y / d + 1)^3`, the Kernel Inception Distance; x'y.
    bandwidth : float > 0, optional
        σ; default: the median distance between rows of the joint sample.
    unbiased : bool, default True
        Leave out i = j, so that the mean is 0 for equal laws (single values may be negative); False keeps them and is never
        negative.

    Raises
    ------
    DataError
        When widths differ or a sample has fewer than two rows.

    References
    ----------
    Gretton et al. 2012; Bińkowski et al. 2018; spec ``01#kernel-mmd``.
    """

    name: ClassVar[str] = "kernel-mmd"
    function = staticmethod(kernel_mmd)

    def __init__(self, kernel: str = "rbf", bandwidth: float | None = None, unbiased: bool = True) -> None:
        check_one_of("kernel", kernel, KERNELS)
        if bandwidth is not None and not (np.isfinite(bandwidth) and bandwidth > 0):
            raise InputError(f"bandwidth must be a finite number > 0 or None, got {bandwidth!r}.")
        super().__init__(kernel=kernel, bandwidth=bandwidth, unbiased=bool(unbiased))

    def compute(self) -> float:
        """Return the squared discrepancy of all rows so far."""
        x, y = self._both()
        n, m = len(x), len(y)
        if min(n, m) < 2:
            raise DataError(f"{self.name} needs two rows or more on either side; got {n} and {m}.")
        rows = np.concatenate([x, y])
        if self.options["kernel"] == "rbf":
            squared = cdist(rows, rows, "sqeuclidean")
            sigma = self.options["bandwidth"]
            if sigma is None:
                sigma = float(np.sqrt(np.median(squared[np.triu_indices(n + m, 1)])))
                if sigma == 0:
                    raise DataError(f"{self.name}: the median distance is 0; pass bandwidth=.")
            k = np.exp(-squared / (2 * sigma**2))
        else:
            k = rows @ rows.T
            k = (k / rows.shape[1] + 1) ** 3 if self.options["kernel"] == "polynomial" else k
        parts, cross = (k[:n, :n], k[n:, n:]), float(k[:n, n:].mean())
        if self.options["unbiased"]:
            within = sum((p.sum() - np.trace(p)) / (len(p) * (len(p) - 1)) for p in parts)
        else:
            within = sum(p.mean() for p in parts)
        return float(within - 2 * cross)


def sample_wasserstein(y_true: Any, y_pred: Any, *, order: float = 1.0) -> float:
    """Wasserstein distance of two samples of one size (n, d) by their best assignment; see :class:`SampleWasserstein`."""
    return SampleWasserstein(order).update(y_true, y_pred).compute()


class SampleWasserstein(_SampleMetric):
    r"""Wasserstein distance of two samples of one size: the mean distance of the best one-to-one assignment.

    .. math:: W_p = \left( \min_\pi \frac1n \sum_i \lVert x_i - y_{\pi(i)} \rVert^p \right)^{1/p}

    Parameters
    ----------
    order : float >= 1, default 1
        The power p.

    Raises
    ------
    DataError
        When sizes or widths differ.

    Notes
    -----
    With equal masses some optimal transport plan is an assignment. O(n³) time and O(n²) memory.

    References
    ----------
    Arjovsky et al. 2017; Xu et al. 2018; spec ``01#wasserstein-metric``.
    """

    name: ClassVar[str] = "sample-wasserstein-metric"
    function = staticmethod(sample_wasserstein)

    def __init__(self, order: float = 1.0) -> None:
        if not (np.isfinite(order) and order >= 1):
            raise InputError(f"order must be a finite number >= 1, got {order!r}.")
        super().__init__(order=float(order))

    def compute(self) -> float:
        """Return the distance of all rows so far."""
        x, y = self._both()
        if len(x) != len(y):
            raise DataError(
                f"{self.name} assigns rows one to one; there are {len(x)} real and {len(y)} generated ones."
            )
        cost = cdist(x, y) ** self.options["order"]
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].mean() ** (1 / self.options["order"]))
