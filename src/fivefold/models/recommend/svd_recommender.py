"""Completion of the rating matrix by a singular value decomposition, of zeros in the gaps or of the observed entries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import svd_flip

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import InputError

from ._interactions import FactorModel
from ._tables import Interactions


class SVDRecommender(FactorModel):
    r"""The nearest matrix of rank K to the ratings, with zeros where there are none.

    .. math:: \min_{\mathrm{rank}\, \hat Y \le K} \|Y - \hat Y\|_F^2 = \sum_{k > K} \sigma_k^2, \qquad
              \hat Y = U_K \Sigma_K V_K^\top

    Zeros weigh as much as ratings, so that predictions are drawn towards zero by all that a user did not rate: the drawback that
    factorization of the observed entries does without. ``entries="observed"`` is such a one: gaps are filled with what the
    decomposition so far says, again and again, which minimizes the error of the observed entries alone,

    .. math:: \min_{\hat Y} \tfrac12 \sum_{(u,i)\ \mathrm{observed}} (y_{ui} - \hat y_{ui})^2 + \lambda \|\hat Y\|_*

    with singular values lowered by ``shrinkage``, and only the first K kept.

    Parameters
    ----------
    n_factors : int >= 1, default 20
        K; at most the smaller number of users and items.
    entries : "zero-filled" or "observed", default "zero-filled"
    center : bool, default False
        Subtract the mean of each user first, so that a gap means average rather than zero.
    shrinkage : float >= 0, default 0.0
        What singular values are lowered by, not below zero.
    max_iter : int >= 1, default 100
        Fillings, for observed entries.
    tol : float >= 0, default 1e-4
        Stop when the filled matrix moves by less than this share of its length.
    user, item : str, default "user" and "item"
    rating : str, default "rating"
        Equal pairs are averaged.
    random_state : int, generator or None, default None
        Only orders equal scores.

    Attributes
    ----------
    user_factors_ : array (n_users, K), U times the singular values
    item_factors_ : array (n_items, K), orthonormal columns
    singular_values_ : array (K,)
    user_mean_ : array (n_users,), zeros without ``center``
    n_iter_ : int

    Raises
    ------
    InputError
        A parameter outside its range.

    Warns
    -----
    ConvergenceWarning
        When ``max_iter`` fillings did not bring the matrix to rest.

    Notes
    -----
    The source prints the sum over :math:`(U \Sigma V)^\top_{ij}`; it is :math:`(U \Sigma V^\top)_{ij}`.
    Predictions are not clipped to the scale of the ratings, which would hide the pull to zero.

    References
    ----------
    Eckart & Young 1936; Mazumder, Hastie & Tibshirani 2010 (observed entries); ``03#svd-rec``.
    """

    def __init__(
        self,
        *,
        n_factors: int = 20,
        entries: str = "zero-filled",
        center: bool = False,
        shrinkage: float = 0.0,
        max_iter: int = 100,
        tol: float = 1e-4,
        rating: str | None = "rating",
        **common: Any,
    ) -> None:
        super().__init__(rating=rating, **common)
        self.n_factors = n_factors
        self.entries = entries
        self.center = center
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.tol = tol

    def _check(self, data: Interactions) -> None:
        whole("n_factors", self.n_factors, low=1)
        choice("entries", self.entries, ("zero-filled", "observed"))
        real("shrinkage", self.shrinkage, low=0.0)
        whole("max_iter", self.max_iter, low=1)
        real("tol", self.tol, low=0.0)
        if self.n_factors > min(data.shape):
            raise InputError(
                f"n_factors={self.n_factors} is more than the {min(data.shape)} singular values of {data.shape[0]} users by "
                f"{data.shape[1]} items; lower it."
            )

    def _learn(self, data: Interactions) -> None:
        ratings = data.matrix(mean=True)
        ratings.sort_indices()
        owners = np.repeat(np.arange(data.shape[0]), np.diff(ratings.indptr))
        count = np.diff(ratings.indptr)
        self.user_mean_ = np.bincount(owners, ratings.data, minlength=len(count)) / count
        if not self.center:
            self.user_mean_ = np.zeros(len(count))
        place, values = (owners, ratings.indices), ratings.data - self.user_mean_[owners]
        filled = np.zeros(data.shape)
        filled[place] = values
        u, sigma, vt = self._leading(filled)
        self.n_iter_ = 1
        if self.entries == "observed":
            u, sigma, vt = self._fill(place, values, filled, u, sigma, vt)
        self.user_factors_, self.item_factors_, self.singular_values_ = u * sigma, np.ascontiguousarray(vt.T), sigma
        self.item_bias_ = np.zeros(data.shape[1])

    def _leading(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the leading K singular vectors, from the eigenvectors of the smaller Gram matrix, values lowered."""
        wide = matrix.shape[0] < matrix.shape[1]  # any value: both sides give the same, the shorter one sooner
        gram = matrix @ matrix.T if wide else matrix.T @ matrix
        size = len(gram)
        values, vectors = linalg.eigh(gram, subset_by_index=(size - self.n_factors, size - 1))
        sigma, one = np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]
        # A singular value of zero has no partner vector; zeros stand for it.
        turned = matrix.T @ one if wide else matrix @ one
        turned = np.divide(turned, sigma, out=np.zeros_like(turned), where=sigma > 0)
        u, v = (one, turned) if wide else (turned, one)
        u, vt = svd_flip(u, v.T, u_based_decision=False)
        return u, np.maximum(sigma - self.shrinkage, 0.0), vt

    def _fill(
        self, place: Any, values: np.ndarray, filled: np.ndarray, u: np.ndarray, sigma: np.ndarray, vt: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        before = (u * sigma) @ vt
        for step in range(2, self.max_iter + 1):
            filled = before.copy()
            filled[place] = values
            u, sigma, vt = self._leading(filled)
            after = (u * sigma) @ vt
            self.n_iter_ = step
            if np.linalg.norm(after - before) <= self.tol * np.linalg.norm(before):
                return u, sigma, vt
            before = after
        warnings.warn(
            f"SVDRecommender stopped after max_iter={self.max_iter} fillings before the matrix came to rest within "
            f"tol={self.tol}; raise `max_iter` or `tol`.",
            ConvergenceWarning,
            stacklevel=2,
        )
        return u, sigma, vt

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.asarray(super()._pairs(users, items) + np.where(users >= 0, self.user_mean_[users], 0.0))

    def _scores(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(super()._scores(users) + self.user_mean_[users][:, None])
