"""Gaussian discriminants: one covariance for all classes (linear), or one for each (quadratic)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._classifier import PosteriorClassifier, given_priors
from ._validation import query_data


class _GaussianDiscriminant(PosteriorClassifier, Estimator):
    """Base: priors, means and covariances of the classes."""

    priors: Any

    def _moments(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Set classes, priors and means; return X in float64 (n, d), codes (n,) and weights (n,)."""
        X, y = checked_data(self, X, y)
        X = X.astype(np.float64, copy=False)
        if len(X) < 2:
            raise DataError(f"{type(self).__name__} needs rows of two classes or more; X has 1 sample.")
        weight = sample_weights(sample_weight, len(X))
        weight = np.ones(len(X)) if weight is None else weight
        # A row of no weight is no row.
        X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        classes, codes = encode_labels(y)
        mass = np.bincount(codes, weights=weight, minlength=len(classes))
        if len(classes) < 2:
            raise DataError(
                f"{type(self).__name__} needs two classes or more with weight; y holds one class, {classes[0].item()!r}."
            )
        priors = given_priors(self.priors, len(classes), zero=False)
        self.priors_ = mass / mass.sum() if priors is None else priors
        self.means_ = np.stack([weight[codes == c] @ X[codes == c] / mass[c] for c in range(len(classes))])
        self._mass = mass
        self._found = classes
        return X, codes, weight

    def decision_function(self, X: Any) -> np.ndarray:
        """Return log-posteriors up to a term that all classes share; of two classes, their difference.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of two classes, positive means ``classes_[1]``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        joint = self._log_joint(X)
        return joint[:, 1] - joint[:, 0] if joint.shape[1] == 2 else joint


class LinearDiscriminantAnalysis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _GaussianDiscriminant):
    r"""Classifier that takes the classes as normal with one covariance, and projection on what tells them apart.

    .. math::
        \Sigma = \sum_c \pi_c \Sigma_c, \qquad
        \log p(c \mid x) = \mu_c^\top \Sigma^{-1} x - \tfrac12 \mu_c^\top \Sigma^{-1} \mu_c + \log \pi_c + \text{const}

    Of two classes the posterior is :math:`\sigma(w^\top x + b)`. ``transform`` projects on the directions w that maximize
    Fisher's ratio :math:`w^\top S_B w / w^\top \Sigma w`, scaled to :math:`w^\top \Sigma w = 1`.

    Parameters
    ----------
    priors : array of shape (n_classes,) or None, default=None
        Class probabilities > 0 in the order of ``classes_``; None takes the (weighted) shares.
    n_components : int in [1, min(n_classes - 1, n_features)] or None, default=None
        Directions of ``transform``; None takes all.

    Attributes
    ----------
    classes_, priors_ : ndarray of shape (n_classes,)
    means_ : ndarray of shape (n_classes, n_features)
    covariance_ : ndarray of shape (n_features, n_features)
        The shared covariance, each class's divided by its weight (maximum likelihood).
    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
    intercept_ : ndarray of shape (n_classes,) or (1,)
    scalings_ : ndarray of shape (n_features, n_components)
    explained_variance_ratio_ : ndarray of shape (n_components,)
    xbar_ : ndarray of shape (n_features,)
        Mean of the class means with the priors, the origin of the projection.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    One source defines the log-odds with the classes swapped; the right odds of class one are :math:`p(x|1)\pi_1` over
    :math:`p(x|2)\pi_2`. Directions in which no class varies are left out. scikit-learn's solvers "lsqr" and "eigen" divide
    the covariance as here; "svd" divides by n - K.

    References
    ----------
    Fisher (1936), The use of multiple measurements in taxonomic problems. Spec ``01#lda-discriminant``,
    ``05#lda-shared-covariance``, ``06#mds``.
    """

    def __init__(self, *, priors: Any = None, n_components: int | None = None) -> None:
        self.priors = priors
        self.n_components = n_components

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Estimate means and the shared covariance.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        X, codes, weight = self._moments(X, y, sample_weight)
        k, d = self.means_.shape
        most = min(k - 1, d)
        count = most if self.n_components is None else whole("n_components", self.n_components, low=1)
        if count > most:
            raise InputError(f"`n_components` is {count}; {k} classes and {d} features have at most {most} directions.")
        factor = weight * (self.priors_ / self._mass)[codes]  # sums to one
        around = X - self.means_[codes]
        self.covariance_ = (around * factor[:, None]).T @ around
        self.xbar_ = self.priors_ @ self.means_
        # Whitening by eigenvectors on the scale of each feature; what does not vary within classes is left out.
        scale = np.sqrt(np.diag(self.covariance_))
        size = np.sqrt(np.mean(np.square(X), axis=0))
        alive = scale > 1e-12 * np.where(size > 0, size, 1.0)
        if not alive.any():
            raise DataError("No feature varies within the classes; drop constant features or bring more rows.")
        unit = np.where(alive, scale, 1.0)
        values, vectors = linalg.eigh(self.covariance_ / np.outer(unit, unit) * np.outer(alive, alive))
        kept = values > d * np.finfo(np.float64).eps * values[-1]
        white = vectors[:, kept] / np.sqrt(values[kept]) * alive[:, None] / unit[:, None]  # (d, r)
        middle = (self.means_ - self.xbar_) @ white  # (K, r)
        _, lengths, axes = linalg.svd(np.sqrt(self.priors_)[:, None] * middle, full_matrices=False)
        axes = axes * np.where(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
        self.scalings_ = white @ axes[:count].T
        total = np.square(lengths[:most]).sum()
        self.explained_variance_ratio_ = np.square(lengths[:count]) / (total if total > 0 else 1.0)
        coef = middle @ white.T  # (K, d)
        offset = -0.5 * np.square(middle).sum(axis=1) - coef @ self.xbar_ + np.log(self.priors_)
        self.coef_ = coef[1:] - coef[:1] if k == 2 else coef
        self.intercept_ = offset[1:] - offset[:1] if k == 2 else offset
        self.classes_ = self._found
        return self

    def _log_joint(self, X: Any) -> np.ndarray:
        X = query_data(self, X, "classes_")
        scores = X @ self.coef_.T + self.intercept_
        return np.hstack([np.zeros_like(scores), scores]) if len(self.classes_) == 2 else np.asarray(scores)

    def transform(self, X: Any) -> np.ndarray:
        """Project rows on the directions that tell the classes apart.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        X = query_data(self, X, "classes_")
        return np.asarray((X - self.xbar_) @ self.scalings_).astype(X.dtype, copy=False)

    @property
    def _n_features_out(self) -> int:
        return int(self.scalings_.shape[1])


class QuadraticDiscriminantAnalysis(_GaussianDiscriminant):
    r"""Classifier that takes every class as normal with a covariance of its own.

    .. math::
        p(c \mid x) \propto \pi_c (2\pi)^{-d/2} |\Sigma_c|^{-1/2}
        e^{-\frac12 (x - \mu_c)^\top \Sigma_c^{-1} (x - \mu_c)}, \qquad
        \Sigma_c = \frac{1}{n_c - \delta} \sum_{i \in c} (x_i - \mu_c)(x_i - \mu_c)^\top

    Parameters
    ----------
    priors : array of shape (n_classes,) or None, default=None
        Class probabilities > 0 in the order of ``classes_``; None takes the (weighted) shares.
    reg_param : float in [0, 1], default=0.0
        Share of the identity in each covariance.
    ddof : {0, 1}, default=0
        The :math:`\delta`: 0 is maximum likelihood, 1 the unbiased estimate.

    Attributes
    ----------
    classes_, priors_ : ndarray of shape (n_classes,)
    means_ : ndarray of shape (n_classes, n_features)
    covariance_ : ndarray of shape (n_classes, n_features, n_features)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    One source sums the covariance from i = 0 to n with 1/n; the sum runs over the n rows.

    References
    ----------
    Duda & Hart (1973), Pattern classification and scene analysis. Spec ``05#gaussian-generative-classifier``.
    """

    def __init__(self, *, priors: Any = None, reg_param: float = 0.0, ddof: int = 0) -> None:
        self.priors = priors
        self.reg_param = reg_param
        self.ddof = ddof

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Estimate means and covariances.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, or a covariance is singular.
        """
        share = real("reg_param", self.reg_param, low=0.0, high=1.0)
        if self.ddof not in (0, 1):
            raise InputError(f"`ddof` is {self.ddof!r}; give 0 or 1.")
        X, codes, weight = self._moments(X, y, sample_weight)
        k, d = self.means_.shape
        self.covariance_ = np.empty((k, d, d))
        self._factors = np.empty((k, d, d))
        for c in range(k):
            rows = codes == c
            around = X[rows] - self.means_[c]
            mass = self._mass[c] - self.ddof
            if mass <= 0:
                self._refuse(c, self._found)
            spread = (around * weight[rows, None]).T @ around / mass
            self.covariance_[c] = (1 - share) * spread + share * np.eye(d)
            self._factors[c] = self._factor(c, self._found)
        self.classes_ = self._found
        return self

    def _factor(self, c: int, classes: np.ndarray) -> np.ndarray:
        """Return the Cholesky factor of a covariance, checked on the scale of its features."""
        scale = np.sqrt(np.diag(self.covariance_[c]))
        if not (scale > 0).all():
            self._refuse(c, classes)
        try:
            unit = linalg.cholesky(self.covariance_[c] / np.outer(scale, scale), lower=True)
        except linalg.LinAlgError:
            self._refuse(c, classes)
        if np.diag(unit).min() ** 2 < len(scale) * np.finfo(np.float64).eps:
            self._refuse(c, classes)
        return np.asarray(scale[:, None] * unit)

    def _refuse(self, c: int, classes: np.ndarray) -> None:
        raise DataError(
            f"The covariance of the class {classes[c].item()!r} (total weight {self._mass[c]:g}; n_samples=1 has none) is "
            "singular: drop constant or dependent features, bring more rows or set `reg_param` above zero."
        )

    def _log_joint(self, X: Any) -> np.ndarray:
        X = query_data(self, X, "classes_")
        joint = np.empty((len(X), len(self.classes_)))
        for c, factor in enumerate(self._factors):
            white = linalg.solve_triangular(factor, (X - self.means_[c]).T, lower=True)  # (d, n)
            joint[:, c] = -0.5 * np.square(white).sum(axis=0) - np.log(np.diag(factor)).sum() + np.log(self.priors_[c])
        return joint

    _rebuilt = ("_factors",)

    def _rebuild(self) -> None:
        self._mass = np.zeros(len(self.classes_))
        self._factors = np.stack([self._factor(c, self.classes_) for c in range(len(self.classes_))])
