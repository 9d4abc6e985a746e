"""Stochastic neighbor embedding: t-SNE exact and with the Barnes-Hut tree, SNE, and the choice of the perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams
from fivefold.models.trees._threads import threads_for
from fivefold.models.trees._validation import checked_data, real, require_fitted, whole

from . import _embedding as k
from ._affinities import (
    conditional_affinities,
    conditional_matrix,
    joint_affinities,
    sparse_affinities,
    tree_divergence,
)
from ._common import finite_squares, neighbors
from .pca import PCA

_CHECK = 50


def descend(
    gradient: Callable[[np.ndarray, float], tuple[float, np.ndarray]],
    Y: np.ndarray,
    *,
    max_iter: int,
    exaggeration: float,
    exaggeration_iter: int,
    learning_rate: float,
    patience: int,
    min_grad_norm: float,
) -> tuple[np.ndarray, float, int]:
    """Return map, divergence and steps of gradient descent with gains: momentum 0.5 while exaggerated, then 0.8.

    A gain grows by 0.2 where gradient and last step disagree in sign, else shrinks by a fifth, not below 0.01. The second
    stage stops early when 50 steps leave the gradient below ``min_grad_norm`` or ``patience`` steps bring no progress.
    """
    step, gains = np.zeros_like(Y), np.ones_like(Y)
    best, best_at, loss = math.inf, 0, math.inf
    done = 0
    for t in range(max_iter):
        early = t < exaggeration_iter
        if t == exaggeration_iter:
            step[:], gains[:] = 0.0, 1.0
            best, best_at = math.inf, t
        loss, grad = gradient(Y, exaggeration if early else 1.0)
        slower = step * grad < 0
        gains = np.maximum(np.where(slower, gains + 0.2, gains * 0.8), 0.01)
        step = (0.5 if early else 0.8) * step - learning_rate * gains * grad
        Y = Y + step
        done = t + 1
        if not early and done % _CHECK == 0:
            if loss < best:
                best, best_at = loss, t
            elif t - best_at > patience:
                break
            if np.linalg.norm(grad) <= min_grad_norm:
                break
    loss, _ = gradient(Y, 1.0)
    return Y, loss, done


class TSNE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Map of the rows in which near rows stay near, by Student-t similarities; every pair is counted.

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
        "auto" is max(n / early_exaggeration / 4, 50).
    max_iter : int >= 1, default 1000
    exaggeration_iter : int >= 0, default 250
    n_iter_without_progress : int >= 0, default 300
    min_grad_norm : float >= 0, default 1e-7
    init : {"pca", "random"} or array (n, k), default "pca"
        Principal components scaled to the deviation 1e-4, or normal draws of that deviation.
    random_state : int, Generator or None

    Attributes
    ----------
    embedding_ : array (n, k)
    kl_divergence_ : float, in nats
    n_iter_ : int
    learning_rate_ : float

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

    References
    ----------
    van der Maaten & Hinton, Visualizing data using t-SNE, 2008; Kobak & Berens, The art of using t-SNE, 2019 (defaults);
    ``01#tsne``, ``01#tsne-perplexity``, ``06#sne``.
    """

    _kernel = "student"

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
        rate = self.learning_rate
        if isinstance(rate, str):
            if rate != "auto":
                raise InputError(f"`learning_rate` is {rate!r}; give a number > 0 or 'auto'.")
            rate = self._auto_rate(n, exaggeration)
        self.learning_rate_ = real("learning_rate", rate, low=0.0, above=True)
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

    def _gradient(self, X: np.ndarray, perplexity: float) -> Callable[[np.ndarray, float], tuple[float, np.ndarray]]:
        """Return the function of map and exaggeration that gives divergence and gradient."""
        student = self._kernel == "student"
        P = joint_affinities(X, perplexity) if student else conditional_matrix(X, perplexity) / len(X)
        room = np.empty((3, len(X)))

        def gradient(Y: np.ndarray, exaggeration: float) -> tuple[float, np.ndarray]:
            grad = np.empty_like(Y)
            with threads_for(P.size * 8):
                return float(k.exact_gradient(P, Y, student, exaggeration, grad, room)), grad

        return gradient

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
            real_axes = int((found.explained_variance_ > 1e-12 * max(found.explained_variance_.max(), 1e-300)).sum())
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
        with threads_for(len(X) * n * 100):
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
            random_state=random_state,
        )
        self.angle = angle

    def _gradient(self, X: np.ndarray, perplexity: float) -> Callable[[np.ndarray, float], tuple[float, np.ndarray]]:
        angle = real("angle", self.angle, low=0.0, high=1.0)
        if self.n_components > 3:
            raise InputError(f"`n_components` is {self.n_components}; the tree serves 1 to 3, TSNE more.")
        P = sparse_affinities(X, perplexity)
        return lambda Y, exaggeration: tree_divergence(P, Y, angle, exaggeration)


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

    _kernel = "gaussian"

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


class AutoPerplexityTSNE(TSNE):
    r"""t-SNE at the perplexity with the least pseudo-BIC among several.

    .. math:: S(\mathrm{Perp}) = 2\, \mathrm{KL}(P \Vert Q) + \ln(n) \frac{\mathrm{Perp}}{n}

    Parameters
    ----------
    perplexities : sequence of float or None, default None
        Those to try; None is 5, 10, … 50, as far as they are below n / 3, or n / 3 alone.
    angle : float in [0, 1], default 0.5
        Of the tree, which serves more than 1000 rows; fewer are counted pair by pair.
    n_components, early_exaggeration, learning_rate, max_iter, exaggeration_iter, init, random_state
        As in :class:`TSNE`.

    Attributes
    ----------
    perplexity_ : float, the one chosen, the least of equals
    perplexities_ : array (m,), those tried
    scores_ : array (m,), S of each
    kl_divergences_ : array (m,)
    embedding_, kl_divergence_, n_iter_, learning_rate_ : of the chosen map

    Raises
    ------
    DataError, InputError
        As :class:`TSNE`; also an empty or unsorted sequence of perplexities.

    Notes
    -----
    KL falls as the perplexity grows; the second term is the price, as the number of parameters is in BIC.

    References
    ----------
    Cao & Wang, Automatic selection of t-SNE perplexity, 2017; ``01#tsne-auto-perplexity``.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexities: Sequence[float] | None = None,
        angle: float = 0.5,
        early_exaggeration: float = 12.0,
        learning_rate: float | str = "auto",
        max_iter: int = 1000,
        exaggeration_iter: int = 250,
        init: Any = "pca",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.perplexities = perplexities
        self.angle = angle
        self.early_exaggeration = early_exaggeration
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.exaggeration_iter = exaggeration_iter
        self.init = init
        self.random_state = random_state

    @property
    def perplexity(self) -> float:
        """The perplexity chosen."""
        require_fitted(self, "perplexity_")
        return self.perplexity_

    def _embed(self, X: np.ndarray) -> None:
        n = len(X)
        if self.perplexities is None:
            tried = np.arange(5.0, 51.0, 5.0)
            tried = tried[tried < n / 3.0]
            tried = tried if len(tried) else np.array([max(n / 3.0, 1.0)])
        else:
            tried = np.asarray(self.perplexities, dtype=np.float64)
            if tried.ndim != 1 or not len(tried) or not np.isfinite(tried).all() or (np.diff(tried) <= 0).any():
                raise InputError(f"`perplexities` is {self.perplexities!r}; give one or more growing numbers >= 1.")
        # One draw for all, so that the perplexity alone makes the difference.
        seed = Streams.of(self.random_state).integer("tsne-auto")
        shared = {
            "early_exaggeration": self.early_exaggeration,
            "learning_rate": self.learning_rate,
            "max_iter": self.max_iter,
            "exaggeration_iter": self.exaggeration_iter,
            "init": self.init,
            "random_state": seed,
        }
        maps = []
        for perplexity in tried.tolist():
            if n > 1000:
                model: TSNE = BarnesHutTSNE(self.n_components, angle=self.angle, perplexity=perplexity, **shared)
            else:
                model = TSNE(self.n_components, perplexity=perplexity, **shared)
            model._embed(X)
            maps.append(model)
        self.perplexities_ = tried
        self.kl_divergences_ = np.array([model.kl_divergence_ for model in maps])
        self.scores_ = pseudo_bic(self.kl_divergences_, tried, n)
        best = maps[int(self.scores_.argmin())]
        self.perplexity_ = float(best.perplexity)
        for name in ("embedding_", "kl_divergence_", "n_iter_", "learning_rate_", "training_rows_", "_scale_"):
            setattr(self, name, getattr(best, name))


def pseudo_bic(kl: Any, perplexity: Any, n: int) -> np.ndarray:
    """Return S = 2 KL + ln(n) · Perp / n."""
    return np.asarray(2.0 * np.asarray(kl) + math.log(n) * np.asarray(perplexity) / n)
