"""Collaborative filtering by neighbors: users who rated alike, or items that were rated alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import choice, real, whole
from fivefold.models.trees._threads import threads_for

from ._interactions import Recommender
from ._neighbor_kernels import neighbor_sums
from ._tables import Interactions

_BASELINE_EPOCHS, _BASELINE_USER, _BASELINE_ITEM = 10, 15.0, 10.0


def likeness(matrix: Any, mask: Any, how: str, min_support: int, shrinkage: float = 0.0) -> np.ndarray:
    r"""Return how alike the rows of a CSR matrix rate what both rated, (n, n).

    Parameters
    ----------
    matrix, mask : CSR (n, m)
        Ratings, and ones where there is one.
    how : "cosine", "msd" or "pearson"
        :math:`\sum xy / \sqrt{\sum x^2 \sum y^2}`; :math:`1 / (1 + \text{mean}(x - y)^2)`; the correlation: all over the
        columns that both rows have.
    min_support : int
        Rows with fewer common columns are not alike at all: 0.
    shrinkage : float, default 0.0
        Multiply by (c - 1) / (c - 1 + shrinkage) for c common columns.
    """
    common = (mask @ mask.T).toarray().astype(np.float64)
    product = (matrix @ matrix.T).toarray()
    squares = (matrix.power(2) @ mask.T).toarray()  # of the row, over what both rated
    if how == "cosine":
        top, bottom = product, np.sqrt(squares * squares.T)
    elif how == "msd":
        top, bottom = common, common + squares + squares.T - 2 * product
    else:
        sums = (matrix @ mask.T).toarray()
        top = common * product - sums * sums.T
        spread = common * squares - sums**2
        # Sums of a few ratings leave rounding where the spread is zero.
        spread[spread < 1e-9 * common * squares] = 0.0
        bottom = np.sqrt(spread * spread.T)
    found = np.divide(top, bottom, out=np.zeros_like(top), where=(bottom > 0) & (common >= min_support))
    if shrinkage:
        found *= np.maximum(common - 1, 0) / (np.maximum(common - 1, 0) + shrinkage)
    # Equal likeness must not be split by the last bits of two sums, for then the neighbors would depend on the machine.
    return np.ascontiguousarray(np.round(found, 12))


class NeighborModel(Recommender):
    """A rating as a base plus what neighbors deviate from theirs."""

    by_user = True

    def __init__(
        self,
        *,
        k: int = 40,
        min_k: int = 1,
        similarity: str = "pearson",
        base: str = "mean",
        min_support: int = 1,
        shrinkage: float = 0.0,
        rating: str | None = "rating",
        **common: Any,
    ) -> None:
        super().__init__(rating=rating, **common)
        self.k = k
        self.min_k = min_k
        self.similarity = similarity
        self.base = base
        self.min_support = min_support
        self.shrinkage = shrinkage

    def _check(self, data: Interactions) -> None:
        whole("k", self.k, low=1)
        whole("min_k", self.min_k, low=1)
        choice("similarity", self.similarity, ("cosine", "msd", "pearson"))
        choice("base", self.base, ("none", "mean", "baseline"))
        whole("min_support", self.min_support, low=1)
        real("shrinkage", self.shrinkage, low=0.0)

    def _learn(self, data: Interactions) -> None:
        ratings = data.matrix(mean=True)
        ratings.sort_indices()
        self.values_ = ratings.data
        self.mean_ = float(np.average(data.ratings, weights=data.weights))
        self.scale_ = (float(ratings.data.min()), float(ratings.data.max()))
        mask = ratings.copy()
        mask.data = np.ones_like(mask.data)
        self.user_base_, self.item_base_ = self._bases(ratings, mask)
        sides = (ratings, mask) if self.by_user else (ratings.T.tocsr(), mask.T.tocsr())
        self.likeness_ = likeness(*sides, self.similarity, self.min_support, self.shrinkage)
        self._rebuild()

    def _bases(self, ratings: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return what a user and what an item adds to the mean of all."""
        people, things = ratings.shape
        user_base, item_base = np.zeros(people), np.zeros(things)
        centered = ratings.copy()
        centered.data = centered.data - self.mean_
        count_user, count_item = np.asarray(mask.sum(axis=1)).ravel(), np.asarray(mask.sum(axis=0)).ravel()
        if self.base == "mean":
            if self.by_user:
                user_base = np.asarray(centered.sum(axis=1)).ravel() / count_user
            else:
                item_base = np.asarray(centered.sum(axis=0)).ravel() / count_item
        elif self.base == "baseline":
            by_user, by_item = np.asarray(centered.sum(axis=1)).ravel(), np.asarray(centered.sum(axis=0)).ravel()
            for _ in range(_BASELINE_EPOCHS):
                item_base = (by_item - mask.T @ user_base) / (_BASELINE_ITEM + count_item)
                user_base = (by_user - mask @ item_base) / (_BASELINE_USER + count_user)
        return user_base, item_base

    _rebuilt = ("lists_",)

    def _rebuild(self) -> None:
        """Make the lists that the sums go over: the raters of each item, or the items of each user."""
        from scipy import sparse

        owners = np.repeat(np.arange(len(self.users_)), np.diff(self.starts_))
        rest = self.values_ - self._base(owners, self.seen_)
        self.lists_ = (self.starts_, self.seen_, rest)
        if self.by_user:
            shape = (len(self.users_), len(self.items_))
            # An explicit zero must stay an entry, so that positions are turned and not the numbers.
            places = sparse.csr_array((np.arange(1, len(rest) + 1), self.seen_, self.starts_), shape=shape).T.tocsr()
            places.sort_indices()
            self.lists_ = (places.indptr.astype(np.int64), places.indices.astype(np.int64), rest[places.data - 1])

    def _base(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        if self.base == "none":
            return np.zeros(len(users))
        known_user = np.where(users >= 0, self.user_base_[users], 0.0)
        return np.asarray(self.mean_ + known_user + np.where(items >= 0, self.item_base_[items], 0.0))

    def _raw(self, users: np.ndarray, items: np.ndarray, lists: Any = None) -> np.ndarray:
        """Return base plus the neighbors' mean deviation (n,); without neighbors the base, or the mean of all."""
        own, groups = (users, items) if self.by_user else (items, users)
        found = np.empty(len(own))
        lists = self.lists_ if lists is None else lists
        with threads_for(len(own) * 64):
            neighbor_sums(own, groups, self.likeness_, *lists, self.k, self.min_k, found)
        base = self._base(users, items)
        lonely = base if self.base != "none" else self.mean_
        return np.where(np.isnan(found), lonely, base + found)

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.clip(self._raw(users, items), *self.scale_)

    def _scores(self, users: np.ndarray) -> np.ndarray:
        things = len(self.items_)
        found = self._raw(np.repeat(users, things), np.tile(np.arange(things), len(users)))
        return found.reshape(len(users), things)

    def _vectors(self) -> np.ndarray:
        from scipy import sparse

        owners = np.repeat(np.arange(len(self.users_)), np.diff(self.starts_))
        shape = (len(self.items_), len(self.users_))
        return np.asarray(sparse.coo_array((self.values_, (self.seen_, owners)), shape=shape).toarray())


class UserBasedCF(NeighborModel):
    r"""A rating from the k users most alike who rated the item.

    .. math:: \hat y_{ui} = b_{ui} + \frac{\sum_{v \in S^k(u; i)} s_{uv} (y_{vi} - b_{vi})}{\sum_{v \in S^k(u; i)} s_{uv}}

    with the users of positive likeness s only.

    Parameters
    ----------
    k : int >= 1, default 40
        Neighbors at most.
    min_k : int >= 1, default 1
        With fewer the rating is the base.
    similarity : "cosine", "msd" or "pearson", default "pearson"
        Over the items that both rated.
    base : "none", "mean" or "baseline", default "mean"
        b: zero (the mean of all without neighbors), the mean of the user, or mean plus shrunken biases of user and item: ten
        rounds of alternating sums over count plus 15 (users) or 10 (items).
    min_support : int >= 1, default 1
        Users with fewer common items are not alike.
    shrinkage : float >= 0, default 0.0
        Likeness is multiplied by (c - 1) / (c - 1 + shrinkage) for c common items.
    user, item : str, default "user" and "item"
    rating : str, default "rating"
        Equal pairs are averaged.
    random_state : int, generator or None, default None
        Only orders equal scores.

    Attributes
    ----------
    likeness_ : array (n_users, n_users)

    Raises
    ------
    InputError
        A parameter outside its range.

    Notes
    -----
    ``base`` "none", "mean" and "baseline" are Surprise's KNNBasic, KNNWithMeans and KNNBaseline, ``pearson`` being its
    correlation over common items. The source takes all users who rated i for the set of "k most similar": here it is the k most
    similar of them. Others divide by the sum of |s|, which is the same where only positive s count.

    References
    ----------
    Resnick et al. 1994; ``03#user-cf``.
    """


class ItemBasedCF(NeighborModel):
    r"""A rating from the k items most alike that the user rated.

    .. math:: \hat y_{ui} = b_{ui} + \frac{\sum_{j \in S^k(i; u)} s_{ij} (y_{uj} - b_{uj})}{\sum_{j \in S^k(i; u)} s_{ij}}

    Parameters and notes are those of :class:`UserBasedCF`, with the mean of the item as ``base="mean"`` and likeness over the
    users that rated both. New users fold in from their history, and ``explain`` splits a score into it.

    Attributes
    ----------
    likeness_ : array (n_items, n_items)

    References
    ----------
    Sarwar et al. 2001; ``03#user-cf``.
    """

    by_user = False

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        rows, things = len(starts) - 1, len(self.items_)
        stranger = np.full(len(items), -1)
        lists = (starts.astype(np.int64), items, ratings - self._base(stranger, items))
        groups, asked = np.repeat(np.arange(rows), things), np.tile(np.arange(things), rows)
        found = np.empty(len(groups))
        neighbor_sums(asked, groups, self.likeness_, *lists, self.k, self.min_k, found)
        base = self._base(np.full(len(asked), -1), asked)
        lonely = base if self.base != "none" else self.mean_
        return np.where(np.isnan(found), lonely, base + found).reshape(rows, things)

    def _likeness(self, code: int) -> np.ndarray:
        return np.array(self.likeness_[code])

    def _shares(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        starts, members, rest = self.lists_
        part = slice(starts[user], starts[user + 1])
        near, value = self.likeness_[item, members[part]], rest[part]
        order = np.argsort(-near, kind="stable")[: self.k]
        order = order[near[order] > 0]
        total = near[order].sum()
        return members[part][order], near[order] * value[order] / (total if total > 0 else 1.0)
