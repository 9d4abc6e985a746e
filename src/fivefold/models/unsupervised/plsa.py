"""Probabilistic latent semantic analysis by expectation maximization on sparse counts."""

from __future__ import annotations

import itertools
import warnings
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.models.trees._threads import threads_for

from . import _topics as k
from .latent_dirichlet import TopicModel, by_term

# Steps and change of a share at which folding in stops; its likelihood is concave.
_FOLD_STEPS, _FOLD_CHANGE = 2000, 1e-10


class ProbabilisticLSA(TopicModel):
    r"""Terms of a document drawn from a mixture of topics, fitted by maximum likelihood without priors.

    .. math:: P(w \mid d) = \sum_z P(z \mid d) P(w \mid z), \quad \max \sum_{d, w} n_{dw} \ln P(w \mid d), \qquad
              P(w \mid z) \propto \sum_d n_{dw} P(z \mid d, w), \quad
              P(z \mid d) = \frac{\sum_w n_{dw} P(z \mid d, w)}{\sum_w n_{dw}}

    Parameters
    ----------
    n_components : int >= 1, default 10
        Topics k.
    max_iter : int >= 1, default 200
    tol : float >= 0, default 1e-5
        Stop when a step raises the log-likelihood by at most ``tol`` a word; 0 runs all steps.
    init : "random" or array (k, d), default "random"
        Even draws from the simplex as the first P(w|z), or a start >= 0, scaled to sum one a row. P(z|d) starts even.
    random_state : int, Generator or None

    Attributes
    ----------
    components_ : array (k, d), P(w|z), rows that sum to one
    loglik_path_ : array (n_iter_ + 1,), log-likelihood in nats before the first and after every step
    n_iter_ : int

    Raises
    ------
    DataError
        Missing, infinite or negative counts, or no word at all.
    InputError
        A parameter outside its range.

    Notes
    -----
    The log-likelihood never falls. It is the Kullback-Leibler loss of nonnegative matrix factorization, up to its sign and a
    constant. ``transform``, and with it ``fit_transform``, folds documents in with the topics fixed; a term that no training
    document holds has no weight in any topic and counts for nothing there. A document without terms has even topics.

    References
    ----------
    Hofmann, Probabilistic latent semantic analysis, 1999; Gaussier & Goutte, Relation between PLSA and NMF, 2005;
    ``06#plsa``.
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        max_iter: int = 200,
        tol: float = 1e-5,
        init: Any = "random",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the topics of counts X (n, d); ``y`` is ignored."""
        topics, steps = whole("n_components", self.n_components, low=1), whole("max_iter", self.max_iter, low=1)
        tol = real("tol", self.tol, low=0.0)
        counts = self._counts(X, reset=True)
        words = float(counts.data.sum())
        if words == 0:
            raise DataError("X holds no words, so there are no topics; give documents with counts above zero.")
        beta = self._start(topics, counts.shape[1])
        index = by_term(counts)
        theta = np.full((counts.shape[0], topics), 1.0 / topics)
        path: list[float] = []
        settled = False
        for t in itertools.count():
            terms = np.ascontiguousarray(beta.T)  # (d, k)
            loglik, fresh, ratio = _pass(counts, terms, theta)
            path.append(loglik)
            self.n_iter_ = t
            settled = tol > 0 and t > 0 and path[-1] - path[-2] <= tol * words
            if settled or t == steps:
                break
            expected = np.empty_like(terms)
            with threads_for(counts.nnz * topics * 4):  # any value: when threads pay
                k.gather(*index, ratio, theta, terms, expected)
            mass = expected.sum(axis=0)
            # A topic that no word belongs to any more keeps its terms.
            alive = mass > 0
            terms[:, alive] = expected[:, alive] / mass[alive]
            beta = terms.T
            theta = fresh
        if tol > 0 and not settled:
            warnings.warn(
                f"ProbabilisticLSA stopped after max_iter={self.max_iter} steps before the likelihood settled to "
                f"tol={self.tol}; raise `max_iter` or `tol`.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.components_ = np.ascontiguousarray(beta)
        self.loglik_path_ = np.array(path)
        return self

    def _start(self, topics: int, d: int) -> np.ndarray:
        if isinstance(self.init, str):
            choice("init", self.init, ("random",))
            return Streams.of(self.random_state).numpy("plsa").dirichlet(np.ones(d), size=topics)
        start = np.array(self.init, dtype=np.float64)
        if start.shape != (topics, d) or not np.isfinite(start).all() or start.min() < 0 or not start.any(axis=1).all():
            raise InputError(
                f"`init` has the shape {start.shape}; give finite numbers >= 0 of the shape ({topics}, {d}), no row all zero."
            )
        return start / start.sum(axis=1, keepdims=True)

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Find the topics of X (n, d) and return the best P(z|d) (n, k) for them."""
        return self.fit(X).transform(X)

    def transform(self, X: Any) -> np.ndarray:
        """Return P(z|d) of documents, the topics fixed: counts X (n, d) -> (n, k), rows that sum to one."""
        require_fitted(self, "components_")
        return self._fold(self._counts(X, reset=False))

    def _fold(self, counts: sparse.csr_array) -> np.ndarray:
        known = self.components_.any(axis=0)
        if not known[counts.indices].all():
            counts = counts.copy()
            counts.data[~known[counts.indices]] = 0.0
        terms = np.ascontiguousarray(self.components_.T)
        theta = np.full((counts.shape[0], len(self.components_)), 1.0 / len(self.components_))
        for _ in range(_FOLD_STEPS):
            _, fresh, _ = _pass(counts, terms, theta)
            change = float(np.abs(fresh - theta).max(initial=0.0))
            theta = fresh
            if change <= _FOLD_CHANGE:  # any value: the last digits
                break
        return theta

    def score(self, X: Any, y: Any = None) -> float:
        """Return the log-likelihood of counts X (n, d) folded in, in nats; ``y`` is ignored."""
        require_fitted(self, "components_")
        counts = self._counts(X, reset=False)
        unknown = np.unique(counts.indices[(counts.data > 0) & ~self.components_.any(axis=0)[counts.indices]])
        if len(unknown):
            raise DataError(
                f"Column {unknown[0]} of X holds words that no training document holds, so the likelihood is zero; drop it."
            )
        return _pass(counts, np.ascontiguousarray(self.components_.T), self._fold(counts))[0]

    def perplexity(self, X: Any) -> float:
        """Return exp(-log-likelihood / words) of counts X (n, d) folded in; lower is better."""
        loglik, words = self.score(X), float(self._counts(X, reset=False).data.sum())
        if words == 0:
            raise DataError(
                "X holds no words, so there is no perplexity a word; give documents with counts above zero."
            )
        return float(np.exp(-loglik / words))


def _pass(counts: sparse.csr_array, terms: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the log-likelihood of P(w|z) (d, k) and P(z|d) (n, k), the next P(z|d) and count over P(w|d) (nnz,)."""
    fresh, ratio, loglik = np.empty_like(theta), np.empty(counts.nnz), np.empty(len(theta))
    with threads_for(counts.nnz * theta.shape[1] * 4):  # any value: when threads pay
        k.mix(counts.indptr, counts.indices, counts.data, terms, theta, ratio, fresh, loglik)
    return float(loglik.sum()), fresh, ratio
