"""Kernels: inner products in feature spaces that are never formed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data

from ._validation import query_data

KERNELS = ("linear", "poly", "rbf", "sigmoid", "precomputed")


def dense_product(A: Any, B: Any) -> np.ndarray:
    """Return ``A B'`` in float64: (a, d), (b, d) -> (a, b), whichever of them is sparse."""
    product = A @ B.T
    return np.asarray(product.toarray() if sp.issparse(product) else product, dtype=np.float64)


def squared_norms(A: Any) -> np.ndarray:
    """Return the squared length of every row: (n, d) -> (n,)."""
    if sp.issparse(A):
        return np.asarray(A.multiply(A).sum(axis=1), dtype=np.float64).ravel()
    return np.einsum("ij,ij->i", A, A, dtype=np.float64)


def linear(A: Any, B: Any) -> np.ndarray:
    """Return the inner products of rows: (a, b)."""
    return dense_product(A, B)


def polynomial(A: Any, B: Any, *, degree: float, gamma: float, coef0: float) -> np.ndarray:
    r"""Return :math:`(\gamma\, x^\top z + c_0)^d` of rows: (a, b)."""
    product = dense_product(A, B)
    product *= gamma
    product += coef0
    return product**degree


def rbf(
    A: Any, B: Any, *, gamma: float, a_norms: np.ndarray | None = None, b_norms: np.ndarray | None = None
) -> np.ndarray:
    r"""Return :math:`\exp(-\gamma \lVert x - z \rVert^2)` of rows: (a, b)."""
    distance = dense_product(A, B)
    distance *= -2.0
    distance += (squared_norms(A) if a_norms is None else a_norms)[:, None]
    distance += squared_norms(B) if b_norms is None else b_norms
    # Rounding may leave a small negative distance, whose kernel value would exceed one.
    np.maximum(distance, 0.0, out=distance)
    distance *= -gamma
    return np.exp(distance, out=distance)


def sigmoid(A: Any, B: Any, *, gamma: float, coef0: float) -> np.ndarray:
    r"""Return :math:`\tanh(\gamma\, x^\top z + c_0)` of rows: (a, b)."""
    product = dense_product(A, B)
    product *= gamma
    product += coef0
    return np.tanh(product, out=product)


class KernelSpec:
    """A kernel with its numbers settled; ``spec(A, B)`` is the matrix of values of rows.

    Parameters
    ----------
    name : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable
    degree, gamma, coef0 : float
    """

    def __init__(self, name: str | Callable[[Any, Any], Any], degree: float, gamma: float, coef0: float) -> None:
        self.name = name
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0

    @classmethod
    def of(cls, estimator: Any, X: Any) -> Self:
        """Read ``kernel``, ``degree``, ``gamma`` and ``coef0`` of an estimator and settle gamma by the rows X."""
        kernel = estimator.kernel
        if not callable(kernel):
            choice("kernel", kernel, KERNELS)
        degree = whole("degree", estimator.degree, low=0)
        coef0 = real("coef0", estimator.coef0)
        return cls(kernel, degree, gamma_of(estimator.gamma, X), coef0)

    def __call__(
        self, A: Any, B: Any, a_norms: np.ndarray | None = None, b_norms: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the kernel of the rows of A and B: (a, b). Norms spare their computation for "rbf"."""
        if callable(self.name):
            return self._own(A, B)
        if self.name == "precomputed":
            return np.asarray(A.toarray() if sp.issparse(A) else A, dtype=np.float64)
        if self.name == "linear":
            return linear(A, B)
        if self.name == "poly":
            return polynomial(A, B, degree=self.degree, gamma=self.gamma, coef0=self.coef0)
        if self.name == "rbf":
            return rbf(A, B, gamma=self.gamma, a_norms=a_norms, b_norms=b_norms)
        return sigmoid(A, B, gamma=self.gamma, coef0=self.coef0)

    def _own(self, A: Any, B: Any) -> np.ndarray:
        values = np.asarray(self.name(A, B), dtype=np.float64)  # type: ignore[operator]
        if values.shape != (A.shape[0], B.shape[0]):
            raise DataError(
                f"`kernel` gave the shape {values.shape} for {A.shape[0]} and {B.shape[0]} rows; "
                f"give one value a pair: ({A.shape[0]}, {B.shape[0]})."
            )
        return values


def gamma_of(gamma: Any, X: Any) -> float:
    """Return the number that "scale", ``1 / (d Var X)``, "auto", ``1 / d``, or a number stands for."""
    if isinstance(gamma, str):
        if gamma not in ("scale", "auto"):
            raise InputError(f"`gamma` is {gamma!r}; give 'scale', 'auto' or a number >= 0.")
        if gamma == "auto":
            return 1.0 / X.shape[1]
        if sp.issparse(X):
            mean = X.mean()
            variance = float(X.multiply(X).mean() - mean * mean)
        else:
            variance = float(X.var(dtype=np.float64))
        return 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0
    return real("gamma", gamma, low=0.0)


class _KernelTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Base of the transformers that turn rows into their kernel values with the rows of ``fit``."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _numbers(self, n_features: int) -> dict[str, float]:
        raise NotImplementedError

    def _values(self, A: Any, B: Any, numbers: Mapping[str, float]) -> np.ndarray:
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None) -> Self:
        """Keep the rows with which the kernel will be taken.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X or a parameter cannot be used.
        """
        X = checked_data(self, X, accept_sparse="csr")
        self._numbers(X.shape[1])
        # A copy: NumPy multiplies an array with its own transpose by another routine, whose last bits differ.
        self.X_fit_ = X if sp.issparse(X) else np.array(X, order="C")
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the kernel of each row with each row of ``fit``.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_samples)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        X = query_data(self, X, "X_fit_", accept_sparse="csr")
        return self._values(X, self.X_fit_, self._numbers(self.n_features_in_)).astype(X.dtype, copy=False)

    @property
    def _n_features_out(self) -> int:
        return int(self.X_fit_.shape[0])


class PolynomialKernel(_KernelTransformer):
    r"""Kernel whose feature space holds all products of features up to a degree.

    .. math:: K(x, z) = (\gamma\, x^\top z + c_0)^d

    With :math:`d = 2, \gamma = 1, c_0 = 0` and two features it is the inner product of
    :math:`\phi(x) = (x_1^2, \sqrt 2 x_1 x_2, x_2^2)`.

    Parameters
    ----------
    degree : int, >= 0, default=2
        The power d.
    gamma : float, >= 0, or None, default=1.0
        Factor of the inner product; None takes 1 / n_features.
    coef0 : float, default=0.0
        The constant :math:`c_0`; above zero, products of lower degree are in the feature space too.

    Attributes
    ----------
    X_fit_ : array or sparse matrix of shape (n_samples, n_features)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    scikit-learn's function defaults to degree 3, gamma 1 / n_features and coef0 1; here the defaults are the plain square of
    the inner product. ``transform`` followed by an estimator with ``kernel="precomputed"`` makes a pipeline.

    References
    ----------
    Boser, Guyon & Vapnik (1992), A training algorithm for optimal margin classifiers. Spec ``05#kernel-poly2``.
    """

    def __init__(self, degree: int = 2, gamma: float | None = 1.0, coef0: float = 0.0) -> None:
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0

    def _numbers(self, n_features: int) -> dict[str, float]:
        return {
            "degree": whole("degree", self.degree, low=0),
            "gamma": 1.0 / n_features if self.gamma is None else real("gamma", self.gamma, low=0.0),
            "coef0": real("coef0", self.coef0),
        }

    def _values(self, A: Any, B: Any, numbers: Mapping[str, float]) -> np.ndarray:
        return polynomial(A, B, **numbers)


class RBFKernel(_KernelTransformer):
    r"""Gaussian kernel, the similarity of rows by their distance.

    .. math:: K(x, z) = e^{-\gamma \lVert x - z \rVert^2}
              = e^{-\gamma \lVert x \rVert^2} e^{-\gamma \lVert z \rVert^2} \sum_{i \ge 0} \frac{(2\gamma\, x^\top z)^i}{i!}

    The series shows that its feature space holds products of every degree.

    Parameters
    ----------
    gamma : float, >= 0, or None, default=0.5
        Inverse of twice the squared width; None takes 1 / n_features.

    Attributes
    ----------
    X_fit_ : array or sparse matrix of shape (n_samples, n_features)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    One source writes the distance without its square; then the series above does not hold. A narrow kernel (large gamma)
    fits any training labels and overfits easily.

    References
    ----------
    Boser, Guyon & Vapnik (1992), A training algorithm for optimal margin classifiers. Spec ``05#kernel-rbf``.
    """

    def __init__(self, gamma: float | None = 0.5) -> None:
        self.gamma = gamma

    def _numbers(self, n_features: int) -> dict[str, float]:
        return {"gamma": 1.0 / n_features if self.gamma is None else real("gamma", self.gamma, low=0.0)}

    def _values(self, A: Any, B: Any, numbers: Mapping[str, float]) -> np.ndarray:
        return rbf(A, B, **numbers)
