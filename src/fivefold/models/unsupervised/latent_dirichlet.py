"""Latent Dirichlet allocation by variational Bayes, in batches over all documents or online."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.special import gammaln, psi
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data
from fivefold.models.trees._threads import threads_for

from . import _topics as k


class TopicModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Base of topic models: checked sparse counts, both ways round, and the terms of a topic."""

    components_: np.ndarray

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def top_terms(self, vocabulary: Sequence[str], count: int = 10) -> list[list[str]]:
        """Return the ``count`` terms of largest weight of every topic."""
        require_fitted(self, "components_")
        whole("count", count, low=1)
        if len(vocabulary) != self.n_features_in_:
            raise DataError(f"`vocabulary` has {len(vocabulary)} terms; the counts have {self.n_features_in_} columns.")
        order = np.argsort(-self.components_, axis=1, kind="stable")[:, :count]
        return [[vocabulary[j] for j in row] for row in order]

    def _counts(self, X: Any, *, reset: bool) -> sparse.csr_array:
        counts = sparse.csr_array(checked_data(self, X, accept_sparse="csr", reset=reset)).astype(np.float64)
        if counts.nnz and counts.data.min() < 0:
            raise DataError(f"Negative values in data passed to {type(self).__name__}; give counts of terms, all >= 0.")
        if not counts.has_canonical_format:
            counts = counts.copy()
            counts.sum_duplicates()
        return counts


def by_term(counts: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pointers (d + 1,), documents (nnz,) and places in the rows' order (nnz,) of the entries of every term."""
    order = np.argsort(counts.indices, kind="stable")
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(counts.indices, minlength=counts.shape[1]))])
    return pointers, rows[order], order


class LatentDirichletAllocation(TopicModel):
    r"""Topics as distributions over terms, documents as mixtures of topics, both with Dirichlet priors.

    .. math:: \beta_z \sim \mathrm{Dir}(\eta), \quad \theta_d \sim \mathrm{Dir}(\alpha), \quad
              \ln p(w) \ge \mathcal L(\gamma, \lambda), \qquad
              \gamma_{dz} = \alpha + \sum_w n_{dw} \varphi_{dwz}, \quad
              \lambda_{zw} = \eta + \sum_d n_{dw} \varphi_{dwz}, \quad
              \varphi_{dwz} \propto e^{\psi(\gamma_{dz}) + \psi(\lambda_{zw}) - \psi(\sum_v \lambda_{zv})}

    Parameters
    ----------
    n_components : int >= 1, default 10
        Topics k.
    doc_topic_prior : float > 0 or None, default None
        α; None is 1 / k.
    topic_word_prior : float > 0 or None, default None
        η; None is 1 / k.
    learning_method : {"batch", "online"}, default "batch"
        All documents before each update of the topics, or ``batch_size`` of them in their order.
    learning_decay : float in (0.5, 1], default 0.7
        κ of the online rate ρ_t = (``learning_offset`` + t)^-κ, t = 1, 2, …
    learning_offset : float > -1, default 10.0
    max_iter : int >= 1, default 10
        Passes over the documents.
    batch_size : int >= 1, default 128
    total_samples : int >= 1, default 1,000,000
        Documents that ``partial_fit`` takes its batches to be drawn from.
    tol : float >= 0, default 0.0
        In batches, stop when a pass raises the bound by at most ``tol`` a word; 0 runs all passes.
    mean_change_tol : float >= 0, default 1e-3
        A document has settled when its γ change by less on average.
    max_doc_update_iter : int >= 1, default 100
    init : "random" or array (k, d), default "random"
        Draws of Gamma(100, 1/100) as the first λ, or a start > 0.
    random_state : int, Generator or None

    Attributes
    ----------
    components_ : array (k, d), λ
    bound_path_ : array (n_iter_ + 1,), in batches the bound before the first and after every update, once the documents settled
    bound_ : float, the last of them; online the bound of the documents of the last pass
    doc_topic_prior_, topic_word_prior_ : float
    n_iter_ : int, passes
    n_batch_iter_ : int, one more than updates

    Raises
    ------
    DataError
        Missing, infinite or negative counts.
    InputError
        A parameter outside its range.

    Notes
    -----
    The topics of a document are sought from γ = 1 in every pass, since going on from the last pass ends in far worse topics.
    In batches a document for which that is worse than its last γ goes on from there, so that the bound never falls, which
    other programs do not promise. A document without terms has even topics.

    References
    ----------
    Blei, Ng & Jordan, Latent Dirichlet allocation, 2003; Hoffman, Blei & Bach, Online learning for latent Dirichlet
    allocation, 2010; ``06#plsa``.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        doc_topic_prior: float | None = None,
        topic_word_prior: float | None = None,
        learning_method: str = "batch",
        learning_decay: float = 0.7,
        learning_offset: float = 10.0,
        max_iter: int = 10,
        batch_size: int = 128,
        total_samples: int = 1_000_000,
        tol: float = 0.0,
        mean_change_tol: float = 1e-3,
        max_doc_update_iter: int = 100,
        init: Any = "random",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.doc_topic_prior = doc_topic_prior
        self.topic_word_prior = topic_word_prior
        self.learning_method = learning_method
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.total_samples = total_samples
        self.tol = tol
        self.mean_change_tol = mean_change_tol
        self.max_doc_update_iter = max_doc_update_iter
        self.init = init
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the topics of counts X (n, d); ``y`` is ignored."""
        choice("learning_method", self.learning_method, ("batch", "online"))
        passes, tol = whole("max_iter", self.max_iter, low=1), real("tol", self.tol, low=0.0)
        counts = self._counts(X, reset=True)
        self._begin(counts.shape[1])
        if self.learning_method == "batch":
            return self._fit_batch(counts, passes, tol)
        size = whole("batch_size", self.batch_size, low=1)
        for self.n_iter_ in range(1, passes + 1):
            for start in range(0, counts.shape[0], size):
                self._online_step(counts[start : start + size], counts.shape[0])
        self.bound_ = self._bound(counts)
        self.bound_path_ = np.array([self.bound_])
        return self

    def _fit_batch(self, counts: sparse.csr_array, passes: int, tol: float) -> Self:
        index = by_term(counts)
        gamma = np.empty((counts.shape[0], len(self.components_)))
        words = max(float(counts.data.sum()), 1.0)
        path: list[float] = []
        settled = False
        for t in range(passes + 1):
            documents, expected = self._expect(counts, gamma, index if t < passes else None, t > 0)
            path.append(documents + self._topic_bound())
            self.n_iter_ = t
            settled = tol > 0 and t > 0 and path[-1] - path[-2] <= tol * words
            if settled or expected is None:
                break
            self.components_ = self.topic_word_prior_ + expected.T
            self.n_batch_iter_ += 1
        if tol > 0 and not settled:
            warnings.warn(
                f"LatentDirichletAllocation stopped after max_iter={self.max_iter} passes before the bound settled to "
                f"tol={self.tol}; raise `max_iter` or `tol`.",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.bound_path_ = np.array(path)
        self.bound_ = path[-1]
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Update the topics online with counts X (n, d), ``batch_size`` documents at a time; ``y`` is ignored."""
        size = whole("batch_size", self.batch_size, low=1)
        total = whole("total_samples", self.total_samples, low=1)
        first = not hasattr(self, "components_")
        counts = self._counts(X, reset=first)
        if first:
            self._begin(counts.shape[1])
            self.n_iter_ = 0
        for start in range(0, counts.shape[0], size):
            self._online_step(counts[start : start + size], total)
        self.n_iter_ += 1
        self.bound_ = self._bound(counts)
        self.bound_path_ = np.array([self.bound_])
        return self

    def _begin(self, d: int) -> None:
        topics = whole("n_components", self.n_components, low=1)
        for name in ("doc_topic_prior", "topic_word_prior"):
            given = getattr(self, name)
            setattr(self, f"{name}_", 1.0 / topics if given is None else real(name, given, low=0.0, above=True))
        real("mean_change_tol", self.mean_change_tol, low=0.0)
        whole("max_doc_update_iter", self.max_doc_update_iter, low=1)
        real("learning_decay", self.learning_decay, low=0.5, high=1.0, above=True)
        real("learning_offset", self.learning_offset, low=-1.0, above=True)
        if isinstance(self.init, str):
            choice("init", self.init, ("random",))
            self.components_ = Streams.of(self.random_state).numpy("lda").gamma(100.0, 0.01, size=(topics, d))
        else:
            start = np.array(self.init, dtype=np.float64)
            if start.shape != (topics, d) or not np.isfinite(start).all() or start.min() <= 0:
                raise InputError(
                    f"`init` has the shape {start.shape}; give finite numbers > 0 of the shape ({topics}, {d})."
                )
            self.components_ = start
        self.n_batch_iter_ = 1

    def _expect(
        self,
        counts: sparse.csr_array,
        gamma: np.ndarray,
        index: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
        carry: bool = False,
    ) -> tuple[float, np.ndarray | None]:
        """Set ``gamma`` (n, k), with ``carry`` no worse than it was; return its bound and, with an index, counts (d, k)."""
        logs = psi(self.components_) - psi(self.components_.sum(axis=1))[:, None]  # (k, d)
        shift = logs.max(axis=0)
        terms = np.ascontiguousarray(np.exp(logs - shift).T)  # (d, k)
        theta, ratio, bound = np.empty_like(gamma), np.empty(counts.nnz), np.empty(len(gamma))
        steps, tol = int(self.max_doc_update_iter), float(self.mean_change_tol)
        with threads_for(counts.nnz * gamma.shape[1] * 10):  # any value: when threads pay
            k.infer(
                counts.indptr, counts.indices, counts.data, terms, shift, self.doc_topic_prior_, steps, tol,
                carry, gamma, theta, ratio, bound,
            )  # fmt: skip
            if index is None:
                return float(bound.sum()), None
            expected = np.empty_like(terms)
            k.gather(*index, ratio, theta, terms, expected)
        return float(bound.sum()), expected

    def _online_step(self, counts: sparse.csr_array, total: int) -> None:
        gamma = np.empty((counts.shape[0], len(self.components_)))
        _, expected = self._expect(counts, gamma, by_term(counts))
        rate = (self.learning_offset + self.n_batch_iter_) ** -self.learning_decay
        goal = self.topic_word_prior_ + total / counts.shape[0] * expected.T
        self.components_ = (1.0 - rate) * self.components_ + rate * goal
        self.n_batch_iter_ += 1

    def _topic_bound(self) -> float:
        """Return E ln p(β) - E ln q(β) under the topics."""
        lam, prior = self.components_, self.topic_word_prior_
        total = lam.sum(axis=1)
        d = lam.shape[1]
        logs = psi(lam) - psi(total)[:, None]
        parts = ((prior - lam) * logs + gammaln(lam)).sum() - gammaln(total).sum()
        return float(parts + len(lam) * (gammaln(d * prior) - d * gammaln(prior)))

    def _bound(self, counts: sparse.csr_array) -> float:
        gamma = np.empty((counts.shape[0], len(self.components_)))
        return self._expect(counts, gamma, None)[0] + self._topic_bound()

    def transform(self, X: Any) -> np.ndarray:
        """Return the expected shares of the topics in documents: counts X (n, d) -> (n, k), rows that sum to one."""
        require_fitted(self, "components_")
        counts = self._counts(X, reset=False)
        gamma = np.empty((counts.shape[0], len(self.components_)))
        self._expect(counts, gamma, None)
        return gamma / gamma.sum(axis=1, keepdims=True)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the lower bound of ln p of counts X (n, d), the topics' own part included; ``y`` is ignored."""
        require_fitted(self, "components_")
        return self._bound(self._counts(X, reset=False))

    def perplexity(self, X: Any) -> float:
        """Return exp(-bound / words) of counts X (n, d); lower is better."""
        require_fitted(self, "components_")
        counts = self._counts(X, reset=False)
        words = float(counts.data.sum())
        if words == 0:
            raise DataError(
                "X holds no words, so there is no perplexity a word; give documents with counts above zero."
            )
        return float(np.exp(-self._bound(counts) / words))
