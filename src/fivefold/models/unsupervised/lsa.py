"""Latent semantic analysis: singular vectors of a tf-idf weighted matrix of documents and terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fivefold.base.checks import choice, whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.data.validation import checked_data

from .svd import decompose


class LatentSemanticAnalysis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Topics of documents as the leading singular vectors of their tf-idf weights.

    .. math:: a_{ij} = \frac{c_{ij}\, g_j}{\lVert c_i \odot g \rVert}, \quad g_j = 1 + \ln\frac{1 + n}{1 + n_j}, \qquad
              A \approx U_k \Sigma_k V_k^\top, \quad z_i = V_k^\top a_i

    with the count c_ij of term j in document i, and n_j of n documents holding term j.

    Parameters
    ----------
    n_components : int in [1, min(n, d)], default 2
        Topics k.
    sublinear_tf : bool, default False
        Use 1 + ln c in place of a count c > 0.
    smooth_idf : bool, default True
        Add one to both counts of documents; without it g_j = 1 + ln(n / n_j).
    norm : {"l2", "none"}, default "l2"
        Scale every document to length one.
    algorithm : {"auto", "full", "jacobi", "randomized"}, default "auto"
    n_iter : int >= 0, default 7
    random_state : int, Generator or None

    Attributes
    ----------
    components_ : array (k, d), weights of the terms in each topic
    singular_values_ : array (k,)
    idf_ : array (d,)

    Raises
    ------
    DataError
        Missing, infinite or negative counts.
    InputError
        A parameter outside its range.

    Notes
    -----
    A term of every document has the smallest weight, 1; it is not dropped. A document without terms stays at the origin. A
    term that no document holds has weight 0 without smoothing, as it never counts.

    References
    ----------
    Deerwester et al., Indexing by latent semantic analysis, 1990; ``06#lsa``.

    Examples
    --------
    >>> LatentSemanticAnalysis(1).fit_transform([[2, 0], [1, 0]]).round(6).tolist()
    [[1.0], [1.0]]
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        sublinear_tf: bool = False,
        smooth_idf: bool = True,
        norm: str = "l2",
        algorithm: str = "auto",
        n_iter: int = 7,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.sublinear_tf = sublinear_tf
        self.smooth_idf = smooth_idf
        self.norm = norm
        self.algorithm = algorithm
        self.n_iter = n_iter
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the topics of counts X (n, d), dense or sparse; ``y`` is ignored."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Find the topics and return the coordinates of the documents: X (n, d) -> (n, k)."""
        choice("norm", self.norm, ("l2", "none"))
        choice("algorithm", self.algorithm, ("auto", "full", "jacobi", "randomized"))
        k = whole("n_components", self.n_components, low=1)
        counts = self._counts(X, reset=True)
        n = counts.shape[0]
        holding = np.bincount(counts.indices[counts.data != 0], minlength=counts.shape[1])
        if self.smooth_idf:
            idf = 1.0 + np.log((1.0 + n) / (1.0 + holding))
        else:
            idf = np.where(holding > 0, 1.0 + np.log(n / np.maximum(holding, 1)), 0.0)
        self.idf_ = idf.astype(counts.dtype)
        U, sigma, Vh = decompose(
            self._weighted(counts), k, self.algorithm, whole("n_iter", self.n_iter, low=0), self.random_state
        )
        self.components_ = Vh.astype(counts.dtype)
        self.singular_values_ = sigma.astype(counts.dtype)
        return (U * sigma).astype(counts.dtype)

    def transform(self, X: Any) -> np.ndarray:
        """Return the coordinates of documents in the topics: counts X (n, d) -> (n, k)."""
        require_fitted(self, "components_")
        return np.asarray(self._weighted(self._counts(X, reset=False)) @ self.components_.T)

    def weights(self, X: Any) -> sparse.csr_array:
        """Return the tf-idf weights of counts X (n, d), sparse (n, d)."""
        require_fitted(self, "components_")
        return self._weighted(self._counts(X, reset=False))

    def top_terms(self, vocabulary: Sequence[str], count: int = 10) -> list[list[str]]:
        """Return the ``count`` terms of largest weight in size of every topic."""
        require_fitted(self, "components_")
        whole("count", count, low=1)
        if len(vocabulary) != self.n_features_in_:
            raise DataError(f"`vocabulary` has {len(vocabulary)} terms; the counts have {self.n_features_in_} columns.")
        order = np.argsort(-np.abs(self.components_), axis=1, kind="stable")[:, :count]
        return [[vocabulary[j] for j in row] for row in order]

    def _counts(self, X: Any, *, reset: bool) -> sparse.csr_array:
        X = checked_data(self, X, accept_sparse="csr", reset=reset)
        counts = sparse.csr_array(X)
        if counts.nnz and counts.data.min() < 0:
            raise DataError("Negative values in data passed to LatentSemanticAnalysis; give counts of terms, all >= 0.")
        return counts

    def _weighted(self, counts: sparse.csr_array) -> sparse.csr_array:
        out = counts.copy()
        if self.sublinear_tf:
            positive = out.data > 0
            out.data[positive] = 1.0 + np.log(out.data[positive])
        out.data *= self.idf_[out.indices]
        if self.norm == "l2":
            rows = np.repeat(np.arange(out.shape[0]), np.diff(out.indptr))
            length = np.sqrt(np.bincount(rows, weights=out.data.astype(np.float64) ** 2, minlength=out.shape[0]))
            length = length[rows].astype(out.dtype)
            filled = length > 0  # a row may hold nothing but zeros
            out.data[filled] /= length[filled]
        return out
