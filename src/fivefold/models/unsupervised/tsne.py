"""Stochastic neighbor embedding: t-SNE over all pairs, with the Barnes-Hut tree or a grid and FFT; SNE."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data
from fivefold.models.trees._threads import threads_for

from . import _embedding as k
from ._affinities import (
    Repulsion,
    Tree,
    conditional_affinities,
    conditional_matrix,
    divergence,
    joint_affinities,
    sparse_affinities,
    sparse_divergence,
)
from ._common import finite_squares, neighbors
from ._descent import Gradient, descend
from ._interpolation import Grid
from .pca import PCA

METHODS = ("auto", "exact", "barnes-hut", "fft")

_FEW = 1000
"""Rows up to which counting every pair costs no more than a tree or a grid."""


class TSNE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Map of the rows in which near rows stay near, by Student-t similarities.

    .. math:: p_{j|i} = \frac{e^{-\lVert x_i - x_j\rVert^2 / 2\sigma_i^2}}{\sum_{l \ne i} e^{-\lVert x_i - x_l\rVert^2 /
              2\sigma_i^2}}, \quad p_{ij} = \frac{p_{j|i} + p_{i|j}}{2n}, \quad q_{ij} = \frac{(1 + \lVert y_i -
              y_j\rVert^2)^{-1}}{\sum_{a \ne b} (1 + \lVert y_a - y_b\rVert^2)^{-1}}, \quad \min_Y \sum p_{ij}
              \ln\frac{p_{ij}}{q_{ij}}

    Parameters
    ----------
    n_components : int >= 1, default 2
        Dimensions of the map.
    perplexity : float in [1, n), default 30.0
        Effective number of neighbors 2^H(P_i), which sets σ_i.
    early_exaggeration : float >= 1, default 12.0
        Factor of P in the first ``exaggeration_iter`` steps.
    learning_rate : float > 0 or "auto", default "auto"
        "auto" is max(n / exaggeration / 4, 50), the exaggeration being ``early_exaggeration`` and then 1.
    max_iter : int >= 1, default 1000
    exaggeration_iter : int >= 0, default 250
    n_iter_without_progress : int >= 0, default 300
    min_grad_norm : float >= 0, default 1e-7
    init : {"pca", "random"} or array (n, k), default "pca"
        Principal components scaled to the deviation 1e-4, or normal draws of that deviation.
    method : {"auto", "exact", "barnes-hut", "fft"}, default "auto"
        "exact" counts every pair, in O(n²) time and memory. "barnes-hut" takes the repulsion from a tree of cells, in
        O(n log n) a step and 1 to 3 dimensions; "fft" from a grid, in O(n + m log m) for m nodes and 1 or 2 dimensions.
        "auto" is exact up to 1000 rows or beyond 3 dimensions, else "fft", in 3 dimensions "barnes-hut".
    angle : float in [0, 1], default 0.5
        Of the tree: larger is faster and coarser; 0 visits every pair.
    spacing : float > 0, default 0.4
        Of the grid's nodes, in units of the map, where the Student kernel has the width 1: smaller is finer and slower.
        Halving it divides the error of the forces by about 64.
    random_state : int, Generator or None

    Attributes
    ----------
    embedding_ : array (n, k)
    kl_divergence_ : float, in nats; the total of similarities is that of ``method_``
    method_ : str, what "auto" became
    n_iter_ : int
    learning_rate_ : (float, float), those of both stages

    Raises
    ------
    DataError
        Missing or infinite values, or not more rows than the perplexity.
    InputError
        A parameter outside its range.

    Notes
    -----
    Corrected misprints of the sources: distances are squared in both similarities (06#sne), the numerator of q is
    (1 + |y_i - y_j|²)^-1 and not 1, and σ_i² is the variance (01#tsne). Equal rows: where at least ``perplexity`` others are
    equally near, they share p(·|i) evenly; with ``init="pca"`` equal rows start in one place and
    stay there up to the rounding of the descent, which may part them slowly. ``transform`` puts a new row where
    the divergence of its own neighbors is least in the fixed map; a row equal to a training row takes the place of that.

    "barnes-hut" and "fft" keep p(j|i) for the ⌊3 · perplexity⌋ + 1 nearest rows, found exactly. The grid replaces the
    kernel between two rows by the quintic spline through its values at the nodes, where Linderman et al. take a parabola
    in each cell; the forces are the gradient of the energy so found, so one convolution is enough. A map wider than 1000
    spacings, as a learning rate too large makes, is served by the tree in that step.

    References
    ----------
    van der Maaten & Hinton, Visualizing data using t-SNE, 2008; Kobak & Berens, The art of using t-SNE, 2019, and Belkina
    et al., Automated optimized parameters for t-SNE, 2019 (defaults);
    Linderman et al., Fast interpolation-based t-SNE, 2019; Essmann et al., A smooth particle mesh Ewald method, 1995
    (splines); ``01#tsne``, ``01#tsne-perplexity``, ``06#sne``.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        early_exaggeration: float = 12.0,
        learning_rate: float | str = "auto",
        max_iter: int = 1000,
        exaggeration_iter: int = 250,
        n_iter_without_progress: int = 300,
        min_grad_norm: float = 1e-7,
        init: Any = "pca",
        method: str = "auto",
        angle: float = 0.5,
        spacing: float = 0.4,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.perplexity = perplexity
        self.early_exaggeration = early_exaggeration
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.exaggeration_iter = exaggeration_iter
        self.n_iter_without_progress = n_iter_without_progress
        self.min_grad_norm = min_grad_norm
        self.init = init
        self.method = method
        self.angle = angle
        self.spacing = spacing
        self.random_state = random_state

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def fit(self, X: Any, y: Any = None) -> Self:
        """Map the rows of X (n, d); ``y`` is ignored."""
        X = finite_squares(checked_data(self, X, ensure_min_samples=2).astype(np.float64, order="C"))
        self._embed(X)
        return self

    def _embed(self, X: np.ndarray) -> None:
        n = len(X)
        dims = whole("n_components", self.n_components, low=1)
        perplexity = real("perplexity", self.perplexity, low=1.0)
        if perplexity >= n:
            raise DataError(
                f"`perplexity` is {perplexity:g} with n_samples = {n} rows; it has to be below their number."
            )
        exaggeration = real("early_exaggeration", self.early_exaggeration, low=1.0)
        if isinstance(self.learning_rate, str):
            if self.learning_rate != "auto":
                raise InputError(f"`learning_rate` is {self.learning_rate!r}; give a number > 0 or 'auto'.")
            self.learning_rate_ = (self._auto_rate(n, exaggeration), self._auto_rate(n, 1.0))
        else:
            rate = real("learning_rate", self.learning_rate, low=0.0, above=True)
            self.learning_rate_ = (rate, rate)
        # Ratios of distances are all that counts; scaled ones neither overflow nor vanish.
        self._scale_ = float(np.abs(X - X.mean(axis=0)).max()) or 1.0
        scaled = (X - X.mean(axis=0)) / self._scale_
        self.embedding_, self.kl_divergence_, self.n_iter_ = descend(
            self._gradient(scaled, min(perplexity, n - 1.0)),
            self._start(scaled, dims),
            max_iter=whole("max_iter", self.max_iter, low=1),
            exaggeration=exaggeration,
            exaggeration_iter=whole("exaggeration_iter", self.exaggeration_iter, low=0),
            learning_rate=self.learning_rate_,
            patience=whole("n_iter_without_progress", self.n_iter_without_progress, low=0),
            min_grad_norm=real("min_grad_norm", self.min_grad_norm, low=0.0),
        )
        self.training_rows_ = X

    def _auto_rate(self, n: int, exaggeration: float) -> float:
        return max(n / exaggeration / 4.0, 50.0)

    def _gradient(self, X: np.ndarray, perplexity: float) -> Gradient:
        """Return the function that gives divergence and gradient of a map of X (n, d)."""
        self.method_ = self._chosen(len(X))
        if self.method_ == "exact":
            P = joint_affinities(X, perplexity)
            return lambda Y, exaggeration, measured: divergence(P, Y, exaggeration, measured=measured)
        tree = Tree(real("angle", self.angle, low=0.0, high=1.0))
        spacing = real("spacing", self.spacing, low=0.0, above=True)
        repel: Repulsion = Grid(spacing, wide=tree) if self.method_ == "fft" else tree
        sparse = sparse_affinities(X, perplexity)
        return lambda Y, exaggeration, measured: sparse_divergence(sparse, Y, repel, exaggeration, measured=measured)

    def _chosen(self, n: int) -> str:
        method, dims = choice("method", self.method, METHODS), self.n_components
        if method == "fft" and dims > 2:
            raise InputError(f"`n_components` is {dims}; the grid serves 1 and 2, the tree 3, 'exact' more.")
        if method == "barnes-hut" and dims > 3:
            raise InputError(f"`n_components` is {dims}; the tree serves 1 to 3, 'exact' more.")
        if method != "auto":
            return method
        if n <= _FEW or dims > 3:
            return "exact"
        return "fft" if dims < 3 else "barnes-hut"

    def _start(self, X: np.ndarray, dims: int) -> np.ndarray:
        n = len(X)
        if not isinstance(self.init, str):
            Y = np.array(self.init, dtype=np.float64, order="C")
            if Y.shape != (n, dims) or not np.isfinite(Y).all():
                raise InputError(f"`init` has the shape {Y.shape}; give finite numbers of the shape ({n}, {dims}).")
            return Y
        if self.init not in ("pca", "random"):
            raise InputError(f"`init` is {self.init!r}; give 'pca', 'random' or an array.")
        Y = 1e-4 * Streams.of(self.random_state).numpy("tsne").normal(size=(n, dims))
        if self.init == "pca":
            found = PCA(min(dims, *X.shape), svd_solver="full").fit(X)
            # Axes that the data do not have keep their random start.
            variance = found.explained_variance_
            least = 1e-12 * max(variance.max(), 1e-300)  # any value: a few roundings
            real_axes = int((variance > least).sum())
            if real_axes:
                axes = found.transform(X)[:, :real_axes]
                Y[:, :real_axes] = axes / axes[:, 0].std() * 1e-4
        return Y

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Map the rows of X (n, d) and return their places (n, k)."""
        return self.fit(X).embedding_

    def transform(self, X: Any) -> np.ndarray:
        """Return places for rows in the fitted map, each by itself: X (m, d) -> (m, k)."""
        require_fitted(self, "embedding_")
        X = checked_data(self, X, reset=False).astype(np.float64)
        n = len(self.training_rows_)
        perplexity = min(float(self.perplexity), n - 1.0)
        index, distance = neighbors(self.training_rows_, min(n, int(3.0 * perplexity + 1)), X)
        P, _ = conditional_affinities((distance / self._scale_) ** 2, max(min(perplexity, index.shape[1] - 1.0), 1.0))
        out = np.empty((len(X), self.embedding_.shape[1]))
        with threads_for(len(X) * n * 100):  # any value: when threads pay
            k.settle(index, P, np.ascontiguousarray(self.embedding_), 200, out)
        same = distance[:, 0] == 0
        out[same] = self.embedding_[index[same, 0]]
        return out


class BarnesHutTSNE(TSNE):
    r"""t-SNE whose repulsion comes from a tree of cells, in O(n log n) a step.

    .. math:: \frac{\partial}{\partial y_i} = 4 \sum_j p_{ij} s_{ij} (y_i - y_j) - \frac{4}{Z} \sum_{\text{cells } c}
              N_c\, s_{ic}^2 (y_i - y_c), \qquad s_{ic} = \frac{1}{1 + \lVert y_i - y_c \rVert^2}

    A cell of N_c rows with center y_c stands for them when its extent is below ``angle`` · ‖y_i - y_c‖.

    Parameters
    ----------
    angle : float in [0, 1], default 0.5
        Larger is faster and coarser; 0 visits every pair.
    n_components : int in [1, 3], default 2

    Others as in :class:`TSNE`.

    Attributes
    ----------
    embedding_, kl_divergence_, n_iter_, learning_rate_ : as in :class:`TSNE`; the divergence uses the tree's total

    Raises
    ------
    DataError, InputError
        As :class:`TSNE`.

    Notes
    -----
    p(j|i) is kept for the ⌊3 · perplexity⌋ + 1 nearest rows, found exactly. Cells are bounding boxes, cut in the middle of
    every axis; a cell that holds the row itself is always opened.

    References
    ----------
    van der Maaten, Accelerating t-SNE using tree-based algorithms, 2014; ``01#tsne-barnes-hut``.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        angle: float = 0.5,
        perplexity: float = 30.0,
        early_exaggeration: float = 12.0,
        learning_rate: float | str = "auto",
        max_iter: int = 1000,
        exaggeration_iter: int = 250,
        n_iter_without_progress: int = 300,
        min_grad_norm: float = 1e-7,
        init: Any = "pca",
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_components,
            perplexity=perplexity,
            early_exaggeration=early_exaggeration,
            learning_rate=learning_rate,
            max_iter=max_iter,
            exaggeration_iter=exaggeration_iter,
            n_iter_without_progress=n_iter_without_progress,
            min_grad_norm=min_grad_norm,
            init=init,
            method="barnes-hut",
            angle=angle,
            random_state=random_state,
        )


class SNE(TSNE):
    r"""Map of the rows by Gaussian similarities, the forerunner of t-SNE, in which rows crowd in the middle.

    .. math:: q_{j|i} = \frac{e^{-\lVert y_i - y_j\rVert^2}}{\sum_{l \ne i} e^{-\lVert y_i - y_l\rVert^2}}, \qquad
              \min_Y \frac1n \sum_i \sum_j p_{j|i} \ln\frac{p_{j|i}}{q_{j|i}}

    Parameters
    ----------
    early_exaggeration : float >= 1, default 1.0
        None, as in the paper.

    Others as in :class:`TSNE`.

    Attributes
    ----------
    embedding_, n_iter_, learning_rate_ : as in :class:`TSNE`
    kl_divergence_ : float, mean divergence of a row in nats

    Raises
    ------
    DataError, InputError
        As :class:`TSNE`.

    Notes
    -----
    The gradient is (2/n) Σ_j (p(j|i) - q(j|i) + p(i|j) - q(i|j)) (y_i - y_j): without the factor (1 + |y_i - y_j|²)^-1 of
    the Student tail nothing damps steps, so the learning rate "auto" is n / early_exaggeration / 4 for any n. The course
    prints distances in place of their squares.

    References
    ----------
    Hinton & Roweis, Stochastic neighbor embedding, 2002; ``06#sne``.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        early_exaggeration: float = 1.0,
        learning_rate: float | str = "auto",
        max_iter: int = 1000,
        exaggeration_iter: int = 250,
        n_iter_without_progress: int = 300,
        min_grad_norm: float = 1e-7,
        init: Any = "pca",
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_components,
            perplexity=perplexity,
            early_exaggeration=early_exaggeration,
            learning_rate=learning_rate,
            max_iter=max_iter,
            exaggeration_iter=exaggeration_iter,
            n_iter_without_progress=n_iter_without_progress,
            min_grad_norm=min_grad_norm,
            init=init,
            random_state=random_state,
        )

    def _auto_rate(self, n: int, exaggeration: float) -> float:
        return n / exaggeration / 4.0

    def _gradient(self, X: np.ndarray, perplexity: float) -> Gradient:
        self.method_ = "exact"
        P = conditional_matrix(X, perplexity) / len(X)
        return lambda Y, exaggeration, measured: divergence(P, Y, exaggeration, kernel="gaussian", measured=measured)
