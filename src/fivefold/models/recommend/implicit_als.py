"""Implicit feedback: alternating least squares over all pairs, and Bayesian personalized ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import choice, real, whole
from fivefold.base.random import Streams
from fivefold.models.trees._threads import threads_for

from . import _factorization_kernels as kernels
from ._interactions import FactorModel, positive
from ._tables import Interactions

_CG_STEPS = 3


class AlternatingLeastSquares(FactorModel):
    r"""Whether a user met an item, as a product of vectors over all pairs, those met with more confidence.

    .. math:: \min \sum_{u,i} c_{ui} (m_{ui} - p_u^T q_i)^2 + \lambda \big(\|p\|^2 + \|q\|^2\big), \qquad
              c_{ui} = 1 + \alpha r_{ui}, \quad m_{ui} = [r_{ui} > 0]

    Pairs that never met have :math:`r = 0`. With the items fixed, a user solves
    :math:`(Q^T Q + \lambda I + Q^T (C_u - I) Q) p_u = Q^T C_u m_u`, whose first term all users share.

    Parameters
    ----------
    factors : int >= 1, default 100
    regularization : float > 0, default 0.01
    alpha : float > 0, default 1.0
        Confidence per unit of ``rating``.
    iterations : int >= 1, default 15
    solver : "cg" or "cholesky", default "cg"
        Three steps of conjugate gradients from the vectors so far, or the exact solution.
    user, item : str, default "user" and "item"
    rating : str or None, default None
        Column of the amount r >= 0, such as plays; None counts every row as 1. Rows of one pair are added.
    random_state : int, generator or None, default None

    Attributes
    ----------
    user_factors_ : array (n_users, factors)
    item_factors_ : array (n_items, factors)

    Raises
    ------
    InputError
        A parameter outside its range, a negative amount.

    Notes
    -----
    Names are those of ``implicit``, whose confidence is :math:`\alpha r` without the 1. New users fold in from their history
    exactly; ``explain`` splits a score into the shares of the history.

    References
    ----------
    Hu, Koren & Volinsky 2008; Takacs, Pilaszy & Tikk 2011 (conjugate gradients); ``03#mf``.
    """

    def __init__(
        self,
        *,
        factors: int = 100,
        regularization: float = 0.01,
        alpha: float = 1.0,
        iterations: int = 15,
        solver: str = "cg",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.solver = solver

    def _check(self, data: Interactions) -> None:
        whole("factors", self.factors, low=1)
        real("regularization", self.regularization, low=0.0, above=True)
        real("alpha", self.alpha, low=0.0, above=True)
        whole("iterations", self.iterations, low=1)
        choice("solver", self.solver, ("cg", "cholesky"))
        positive(data.ratings, "Implicit ALS")

    def _learn(self, data: Interactions) -> None:
        draw = Streams.of(self.random_state).child("factors")
        scale = 0.01  # any value: the start is forgotten
        self.user_factors_ = scale * draw.numpy("users").random((data.shape[0], self.factors))
        self.item_factors_ = scale * draw.numpy("items").random((data.shape[1], self.factors))
        self.item_bias_ = np.zeros(data.shape[1])
        amounts = data.matrix()
        other = amounts.T.tocsr()
        # What each user met and how much stays for folding in and explanations.
        self.amounts_ = amounts.data
        with threads_for(amounts.nnz * self.factors):
            for _ in range(self.iterations):
                self._half(amounts, self.item_factors_, self.user_factors_)
                self._half(other, self.user_factors_, self.item_factors_)

    def _half(self, amounts: Any, features: np.ndarray, out: np.ndarray) -> None:
        extra = self.alpha * amounts.data
        system = (
            amounts.indptr.astype(np.int64),
            amounts.indices.astype(np.int64),
            extra,
            np.where(amounts.data > 0, 1.0 + extra, 0.0),
            features,
            features.T @ features,
            float(self.regularization),
        )
        if self.solver == "cholesky":
            kernels.solve_rows(*system, out)
        else:
            kernels.descend_rows(*system, _CG_STEPS, out)

    def fold(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray:
        """Return the vectors (b, factors) of new users from their histories, the items of user u at starts[u] ... ."""
        positive(ratings, "Implicit ALS")
        out = np.empty((len(starts) - 1, self.factors))
        extra, features = self.alpha * ratings, self.item_factors_
        right = np.where(ratings > 0, 1.0 + extra, 0.0)
        strength = float(self.regularization)
        kernels.solve_rows(starts.astype(np.int64), items, extra, right, features, features.T @ features, strength, out)
        return out

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        return np.asarray(self.fold(starts, items, ratings) @ self.item_factors_.T)

    def _shares(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(self.starts_[user], self.starts_[user + 1])
        met = self.seen_[part]
        near = self.item_factors_[met]
        extra = self.alpha * self.amounts_[part]
        left = self.item_factors_.T @ self.item_factors_ + self.regularization * np.eye(self.factors)
        left += (near.T * extra) @ near
        weight = np.where(self.amounts_[part] > 0, 1.0 + extra, 0.0)
        return met, weight * (near @ np.linalg.solve(left, self.item_factors_[item]))


class BayesianPersonalizedRanking(FactorModel):
    r"""Items a user met above those the user did not: the area under the ROC curve, smoothed.

    .. math:: \max \sum_{u, i \in N(u), j \notin N(u)} \ln \sigma(\hat x_{ui} - \hat x_{uj}) - \tfrac{\lambda}{2} \|\theta\|^2,
              \qquad \hat x_{ui} = b_i + p_u^T q_i

    by stochastic gradients: an interaction (u, i) and an item j are drawn evenly; a draw whose j the user met is passed over.

    Parameters
    ----------
    factors : int >= 1, default 100
    learning_rate : float > 0, default 0.01
    regularization : float >= 0, default 0.01
    iterations : int >= 1, default 100
        As many draws each as there are interactions.
    user, item : str, default "user" and "item"
    rating : str or None, default None
        Not used: that two met is all that counts. Named, it must hold amounts above zero.
    random_state : int, generator or None, default None

    Attributes
    ----------
    user_factors_ : array (n_users, factors)
    item_factors_ : array (n_items, factors)
    item_bias_ : array (n_items,)
    accuracy_path_ : array (iterations,)
        Share of the pairs drawn that stood in the right order.

    Raises
    ------
    InputError
        A parameter outside its range, an amount that is not above zero.

    Notes
    -----
    Names and defaults are those of ``implicit``. Training is in one thread, so that a seed fixes the result. New users fold in
    by the same steps on a vector of their own, items as they are.

    References
    ----------
    Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009; ``03#mf``.
    """

    def __init__(
        self,
        *,
        factors: int = 100,
        learning_rate: float = 0.01,
        regularization: float = 0.01,
        iterations: int = 100,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.factors = factors
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.iterations = iterations

    def _check(self, data: Interactions) -> None:
        whole("factors", self.factors, low=1)
        real("learning_rate", self.learning_rate, low=0.0, above=True)
        real("regularization", self.regularization, low=0.0)
        whole("iterations", self.iterations, low=1)
        positive(data.ratings, "BPR")

    def _learn(self, data: Interactions) -> None:
        draw = Streams.of(self.random_state).child("factors")
        people, things = data.shape
        self.user_factors_ = (draw.numpy("users").random((people, self.factors)) - 0.5) / self.factors
        self.item_factors_ = (draw.numpy("items").random((things, self.factors)) - 0.5) / self.factors
        self.item_bias_ = np.zeros(things)
        path = []
        for epoch in range(self.iterations):
            used, right = self._pass(epoch, data.users, data.items, data.weights, self.starts_, self.seen_, None)
            path.append(right / max(used, 1))
        self.accuracy_path_ = np.array(path)

    def _pass(
        self,
        epoch: int,
        users: np.ndarray,
        items: np.ndarray,
        weights: np.ndarray,
        starts: np.ndarray,
        seen: np.ndarray,
        vectors: np.ndarray | None,
    ) -> tuple[int, int]:
        """Draw as many pairs as there are interactions; with ``vectors`` only these learn, in place of the users'."""
        draw = Streams.of(0 if vectors is not None else self.random_state).numpy("pairs", epoch)
        rows = draw.integers(0, len(users), len(users))
        others = draw.integers(0, len(self.item_bias_), len(users))
        own = self.user_factors_ if vectors is None else vectors
        pairs = (users[rows], items[rows], others, weights[rows], starts, seen)
        model = (own, self.item_factors_, self.item_bias_)
        how = (float(self.learning_rate), float(self.regularization), vectors is not None)
        used, right = kernels.bpr_epoch(*pairs, *model, *how)
        return int(used), int(right)

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        users = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        order = np.lexsort((items, users))
        vectors = np.zeros((len(starts) - 1, self.factors))
        for epoch in range(self.iterations):
            self._pass(epoch, users, items, np.ones(len(items)), starts.astype(np.int64), items[order], vectors)
        return np.asarray(vectors @ self.item_factors_.T + self.item_bias_)
