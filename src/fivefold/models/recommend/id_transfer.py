"""What users of one shop, known by their vectors alone, will like in another: what their group likes there."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.checks import whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator
from fivefold.models.unsupervised.k_means import KMeans

from ._tables import as_frame, codes_of, id_array, ids


class GroupTransfer(Estimator):
    """Lists for users who are new to a shop: the items that most users of the nearest group met there.

    Users of both shops are grouped by their vectors of the first; each group has a list of items of the second. A user who is
    only in the first gets the list of the group whose center is nearest.

    Parameters
    ----------
    n_groups : int >= 1, default 1000
        At most as many as there are users of both shops.
    user, item : str, default "user" and "item"
        Columns of the second shop's interactions.
    random_state : int, generator or None, default None

    Attributes
    ----------
    centers_ : array (groups, d)
    items_ : sorted array of the second shop's items
    counts_ : array (groups, items)
        Users of the group who met the item.

    References
    ----------
    Zhao, Li, Yan, Wang, Wang, Li, Zhu & Gai 2018, section 4.4; ``03#id-embedding-ecommerce``.
    """

    def __init__(
        self, *, n_groups: int = 1000, user: str = "user", item: str = "item", random_state: Any = None
    ) -> None:
        self.n_groups = n_groups
        self.user = user
        self.item = item
        self.random_state = random_state

    def fit(self, users: Any, vectors: Any, table: Any) -> Self:
        """Group users and count what each group met.

        Parameters
        ----------
        users : sequence of ids (n,)
            Users of the first shop.
        vectors : array (n, d)
            As :meth:`~fivefold.models.recommend.id_embedding.IDEmbedding.user_vectors` gives them.
        table : table with the columns ``user`` and ``item``
            Interactions of the second shop; users without a vector are left out.
        """
        n_groups = whole("n_groups", self.n_groups, low=1)
        names, places = id_array(users, "users"), _matrix(vectors, len(id_array(users, "users")))
        if len(np.unique(names)) < len(names):
            raise DataError("A user comes twice; give one vector a user.")
        order = np.argsort(names, kind="stable")
        frame = as_frame(table)
        who = codes_of(names[order], ids(frame, self.user, "user"), "user")
        known = who >= 0
        if not known.any():
            raise DataError("No user of the table has a vector; give vectors of users whom both shops know.")
        self.items_, what = np.unique(ids(frame, self.item, "item")[known], return_inverse=True)
        both, row = np.unique(who[known], return_inverse=True)
        groups = KMeans(min(n_groups, len(both)), random_state=self.random_state).fit(places[order][both])
        self.centers_ = np.asarray(groups.cluster_centers_)
        self.counts_ = np.zeros((len(self.centers_), len(self.items_)))
        pairs = np.unique(np.column_stack([row, what]), axis=0)  # a user counts once for an item
        np.add.at(self.counts_, (np.asarray(groups.labels_)[pairs[:, 0]], pairs[:, 1]), 1.0)
        return self

    def recommend(self, users: Any, vectors: Any, k: int = 10) -> pl.DataFrame:
        """Return the k items of each user's group as a frame with the columns user, item, score (users) and rank.

        Equal counts are ordered by what all groups met, then by item. Items that nobody of the group met are not listed.
        """
        self._check_fitted()
        k = whole("k", k, low=1)
        names = id_array(users, "users")
        places = _matrix(vectors, len(names))
        if places.shape[1] != self.centers_.shape[1]:
            raise DataError(
                f"The vectors have {places.shape[1]} numbers, those of the training {self.centers_.shape[1]}."
            )
        distance = ((places[:, None, :] - self.centers_[None]) ** 2).sum(axis=2)
        group = distance.argmin(axis=1)
        overall = self.counts_.sum(axis=0)
        lists = np.array([np.lexsort((np.arange(len(overall)), -overall, -row)) for row in self.counts_])[:, :k]
        rows, ranks = np.nonzero(np.take_along_axis(self.counts_, lists, axis=1)[group] > 0)
        chosen = lists[group[rows], ranks]
        score = self.counts_[group[rows], chosen]
        return pl.DataFrame({"user": names[rows], "item": self.items_[chosen], "score": score, "rank": ranks + 1})


def _matrix(vectors: Any, count: int) -> np.ndarray:
    found = np.asarray(vectors, dtype=np.float64)
    if found.ndim != 2 or len(found) != count:
        raise DataError(f"The vectors have the shape {found.shape}; give one row for each of the {count} users.")
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found).all(axis=1)))
        raise DataError(f"The vector in row {row} is not finite; leave out users without a vector.")
    return found
