"""What every recommender shares: a table of interactions in, the best unseen items of any user out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import polars as pl

from fivefold.base.checks import whole
from fivefold.base.errors import CapabilityError, DataError, InputError, TrainingError, UnknownNameError
from fivefold.base.estimator import Estimator
from fivefold.base.names import nearest
from fivefold.base.random import Streams
from fivefold.models.trees._threads import threads_for

from ._tables import Interactions, as_frame, codes_of, column, id_array, ids, numbers, read_interactions, weights
from ._vectors import unit

_BLOCK = 1 << 22  # any value: scores held at a time
_SPREAD = np.uint64(0xD1B54A32D192ED03)
"""Any odd number: it spreads the users over all keys of their ties."""


class Recommender(Estimator):
    r"""Base of the recommenders. A method says how it learns and how it scores every item for some users.

    Ids are integers or strings and come back as they came. Fitted attributes: ``users_`` and ``items_`` (sorted ids),
    ``counts_`` (users that met each item), ``starts_`` and ``seen_`` (the items each user met).

    Parameters
    ----------
    user, item : str, default "user" and "item"
        Columns of the table.
    rating : str or None, default None
        Column of the ratings; None counts every row as 1.
    random_state : int, generator or None, default None
    """

    def __init__(
        self, *, user: str = "user", item: str = "item", rating: str | None = None, random_state: Any = None
    ) -> None:
        self.user = user
        self.item = item
        self.rating = rating
        self.random_state = random_state

    def fit(self, table: Any, sample_weight: Any = None) -> Self:
        """Learn from interactions.

        Parameters
        ----------
        table : polars or pandas frame, Arrow table or mapping of columns
            One row an interaction.
        sample_weight : array (n,) or name of a column, optional
            Weight of each row, >= 0; a row of weight 0 counts for nothing.
        """
        data = self._read(table, sample_weight)
        self._check(data)
        seen = data.matrix()
        seen.sort_indices()
        self.users_, self.items_ = data.user_ids, data.item_ids
        self.starts_, self.seen_ = seen.indptr.astype(np.int64), seen.indices.astype(np.int64)
        self.counts_ = np.bincount(self.seen_, minlength=len(self.items_)).astype(np.float64)
        self.tie_key_ = Streams.of(self.random_state).integer("ties") if self.random_state is not None else 0
        # Overflow of a training that diverges is told below, in a sentence.
        with np.errstate(over="ignore", invalid="ignore"):
            self._learn(data)
        for name, value in vars(self).items():
            if (
                name.endswith("_")
                and getattr(value, "dtype", np.dtype("U")).kind == "f"
                and not np.isfinite(value).all()
            ):
                raise TrainingError(
                    f"{type(self).__name__} diverged: {name} holds numbers that are not finite; lower the learning rate or "
                    "raise the regularization."
                )
        return self

    def _read(self, table: Any, sample_weight: Any) -> Interactions:
        """Return the table as codes and numbers."""
        return read_interactions(table, self.user, self.item, self.rating, sample_weight)

    def _check(self, data: Interactions) -> None:
        """Refuse wrong parameters and data that the method cannot use."""

    def _learn(self, data: Interactions) -> None:
        """Set the fitted attributes of the method."""
        raise NotImplementedError

    def _scores(self, users: np.ndarray) -> np.ndarray:
        """Return the scores (b, n_items) of known users, given by their codes (b,)."""
        raise NotImplementedError

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return one number a pair of codes; -1 is an unknown user or item."""
        raise NotImplementedError

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        """Return the scores (b, n_items) of new users from their histories; None where the method cannot."""
        return None

    def predict(self, table: Any) -> np.ndarray:
        """Return one number a row of a table with a user and an item column, shape (n,)."""
        self._check_fitted()
        frame = as_frame(table)
        users = codes_of(self.users_, ids(frame, self.user, "user"), "user")
        items = codes_of(self.items_, ids(frame, self.item, "item"), "item")
        return np.asarray(self._pairs(users, items), dtype=np.float64)

    def recommend(
        self,
        users: Any = None,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Any = None,
        history: Any = None,
    ) -> pl.DataFrame:
        """Return the best items of users, without their training table being passed again.

        Parameters
        ----------
        users : id or sequence of ids, optional
            By default the users of ``history``, or else all users of the training.
        k : int >= 1, default 10
        exclude_seen : bool, default True
            Leave out what the user met in training or in ``history``.
        candidates : sequence of item ids, optional
            Only these are recommended.
        history : table, optional
            Interactions of users who are folded in from them, in place of what training knows of these users.

        Returns
        -------
        polars.DataFrame
            Columns user, item, score, rank (1 is best) and fallback: true for users without any usable history, who get the
            items that most users met. Equal scores are ordered at random, by user. Fewer than k rows a user where fewer
            items are left.
        """
        self._check_fitted()
        k = whole("k", k, low=1)
        allowed = self._allowed(candidates)
        past = self._past(history)
        asked = self._asked(users, past)
        codes = codes_of(self.users_, asked, "user")
        first = np.full(len(asked), -1, dtype=np.int64)
        if past is not None:
            first = codes_of(past.user_ids, asked, "user")
        items, best, fallback = self._best(codes, first, past, min(k, len(self.items_)), allowed, exclude_seen)
        rows, ranks = np.nonzero(items >= 0)
        chosen = items[rows, ranks]
        return pl.DataFrame(
            {
                "user": asked[rows],
                "item": self.items_[chosen],
                "score": best[rows, ranks],
                "rank": ranks + 1,
                "fallback": fallback[rows],
            }
        )

    def _allowed(self, candidates: Any) -> np.ndarray:
        if candidates is None:
            return np.ones(len(self.items_), dtype=bool)
        allowed = np.zeros(len(self.items_), dtype=bool)
        codes = codes_of(self.items_, id_array(candidates, "candidates"), "item")
        allowed[codes[codes >= 0]] = True
        if not allowed.any():
            raise DataError("None of the candidates is an item of the training table; give some that are.")
        return allowed

    def _past(self, history: Any) -> Interactions | None:
        """Return the interactions of ``history`` with items that are known, items by their codes."""
        if history is None:
            return None
        frame = as_frame(history, "`history`")
        people = ids(frame, self.user, "user")
        items = codes_of(self.items_, ids(frame, self.item, "item"), "item")
        ratings = numbers(frame, self.rating)
        user_ids, users = np.unique(people, return_inverse=True)
        kept = items >= 0
        return Interactions(
            users[kept].astype(np.int64), items[kept], ratings[kept], np.ones(int(kept.sum())), user_ids, self.items_
        )

    def _asked(self, users: Any, past: Interactions | None) -> np.ndarray:
        if users is not None:
            return id_array(users, "users")
        return self.users_ if past is None else past.user_ids

    def _best(
        self,
        codes: np.ndarray,
        first: np.ndarray,
        past: Interactions | None,
        k: int,
        allowed: np.ndarray,
        exclude_seen: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return item codes (b, k) with -1 where nothing is left, their scores, and who got the fallback (b,)."""
        rows, width = len(codes), len(self.items_)
        items, best = np.empty((rows, k), dtype=np.int64), np.empty((rows, k))
        fallback = np.zeros(rows, dtype=bool)
        step = max(1, _BLOCK // width)
        # An unknown user has a key of its own, by its place.
        keys = np.where(codes >= 0, codes, len(self.users_) + np.arange(rows))
        keys = keys.astype(np.uint64) * _SPREAD ^ np.uint64(self.tie_key_)
        for begin in range(0, rows, step):
            part = slice(begin, begin + step)
            items[part], best[part], fallback[part] = self._lists(
                codes[part], first[part], past, k, allowed, exclude_seen, keys[part]
            )
        return items, best, fallback

    def _lists(
        self,
        codes: np.ndarray,
        first: np.ndarray,
        past: Interactions | None,
        k: int,
        allowed: np.ndarray,
        exclude_seen: bool,
        keys: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what :meth:`_best` does, for some users; ``keys`` (b,) order equal scores."""
        from ._top import top_k

        items, best = np.empty((len(codes), k), dtype=np.int64), np.empty((len(codes), k))
        scores, starts, seen, lost = self._block(codes, first, past)
        if not exclude_seen:
            starts = np.zeros(len(starts), dtype=np.int64)
        with threads_for(scores.size):
            top_k(scores, allowed, starts, seen, keys, items, best)
        return items, best, lost

    def _block(
        self, codes: np.ndarray, first: np.ndarray, past: Interactions | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return scores, what to leave out (starts and items) and the flag of the fallback, for some users."""
        scores = np.empty((len(codes), len(self.items_)))
        scores[:] = self.counts_
        lost = np.ones(len(codes), dtype=bool)
        histories: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(codes)
        known = np.flatnonzero((codes >= 0) & (first < 0))
        if len(known):
            scores[known] = self._scores(codes[known])
        lost[known] = False
        for place in np.flatnonzero(codes >= 0):
            histories[place] = self.seen_[self.starts_[codes[place]] : self.starts_[codes[place] + 1]]
        new = np.flatnonzero(first >= 0)
        if past is not None:
            order, bounds = past.by_user()
            told = [order[bounds[first[r]] : bounds[first[r] + 1]] for r in new]
            for place, rows in zip(new, told):
                histories[place] = np.concatenate([histories[place], past.items[rows]])
            usable = np.array([len(rows) > 0 for rows in told], dtype=bool)
            whose, rows = new[usable], [r for r in told if len(r)]
            if rows:
                flat = np.concatenate(rows)
                starts = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
                folded = self._folded(starts, past.items[flat], past.ratings[flat])
                if folded is not None:
                    scores[whose] = folded
                    lost[whose] = False
        starts = np.concatenate([[0], np.cumsum([len(h) for h in histories])]).astype(np.int64)
        return scores, starts, np.concatenate([*histories, np.empty(0, dtype=np.int64)]), lost

    def _vectors(self) -> np.ndarray:
        """Return a vector an item (n_items, d), whose cosines say how alike items are."""
        raise CapabilityError(f"{type(self).__name__} has no vectors of items, so it cannot tell which are alike.")

    def _likeness(self, code: int) -> np.ndarray:
        """Return how alike every item is to one, (n_items,)."""
        directions = unit(self._vectors())
        return np.asarray(directions @ directions[code])

    def _item_code(self, item: Any) -> int:
        code = int(codes_of(self.items_, id_array(item, "item"), "item")[0])
        if code < 0:
            raise UnknownNameError(
                f"{item!r} is no item of the training table; near it are "
                f"{', '.join(nearest(str(item), [str(i) for i in self.items_], 3))}."
            )
        return code

    def similar_items(self, item: Any, k: int = 10) -> pl.DataFrame:
        """Return the k items most alike to one, as a frame with the columns item, score and rank.

        Parameters
        ----------
        item : id
        k : int >= 1, default 10
        """
        self._check_fitted()
        k = whole("k", k, low=1)
        code = self._item_code(item)
        score = self._likeness(code)
        score[code] = -np.inf
        best = np.argsort(-score, kind="stable")[: min(k, len(score) - 1)]
        return pl.DataFrame({"item": self.items_[best], "score": score[best], "rank": np.arange(1, len(best) + 1)})

    def explain(self, user: Any, item: Any, k: int = 10) -> pl.DataFrame:
        """Return the items of the user's history that carry the score of an item, largest share first.

        Parameters
        ----------
        user, item : id
        k : int >= 1, default 10

        Returns
        -------
        polars.DataFrame
            Columns item and contribution; all contributions together are the score, less what does not come from the history.

        Raises
        ------
        CapabilityError
            For a method whose score is no sum over the history.
        """
        self._check_fitted()
        k = whole("k", k, low=1)
        person = int(codes_of(self.users_, id_array(user, "user"), "user")[0])
        if person < 0:
            raise UnknownNameError(
                f"{user!r} is no user of the training table, so there is no history to explain with."
            )
        items, shares = self._shares(person, self._item_code(item))
        order = np.argsort(-np.abs(shares), kind="stable")[:k]
        return pl.DataFrame({"item": self.items_[items[order]], "contribution": shares[order]})

    def _shares(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        raise CapabilityError(
            f"The scores of {type(self).__name__} are no sum over the items of a history; implicit ALS and item-based "
            "neighbors explain theirs."
        )


class FactorModel(Recommender):
    """A recommender whose score is a product of vectors plus a bias of the item (and of the user, for ratings)."""

    def _scores(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self.user_factors_[users] @ self.item_factors_.T + self.item_bias_)

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the product plus the bias; an unknown user or item counts as a vector of zeros."""
        bias = np.where(items >= 0, self.item_bias_[items], 0.0)
        both = (users >= 0) & (items >= 0)
        product = np.einsum("nd,nd->n", self.user_factors_[users], self.item_factors_[items])
        return np.asarray(bias + np.where(both, product, 0.0))

    def _vectors(self) -> np.ndarray:
        return np.asarray(self.item_factors_)


class TimedRecommender(Recommender):
    """A recommender that learns from the rows in their order.

    Parameters
    ----------
    time : str or None, default None
        Column that orders the rows; None takes them as they come.
    """

    def __init__(self, *, time: str | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.time = time

    def fit(self, table: Any, sample_weight: Any = None) -> Self:
        """Learn from interactions in the order of ``time``; parameters as of :class:`Recommender`."""
        return super().fit(*self._ordered(as_frame(table), sample_weight))

    def _ordered(self, frame: pl.DataFrame, sample_weight: Any) -> tuple[pl.DataFrame, np.ndarray]:
        weight = weights(frame, sample_weight)
        if self.time is None:
            return frame, weight
        order = np.argsort(column(frame, self.time, "time").to_numpy(), kind="stable")
        return frame[order], weight[order]


class PopularityRecommender(Recommender):
    """The same for everyone: the items that most users met. The baseline of every table."""

    def _learn(self, data: Interactions) -> None:
        """Nothing but the counts."""

    def _scores(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.counts_, (len(users), 1))

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.where(items >= 0, self.counts_[items], 0.0)


def positive(ratings: np.ndarray, what: str) -> None:
    """Refuse what is no amount of implicit feedback."""
    if (ratings < 0).any():
        raise InputError(f"{what} takes ratings as amounts of attention, which are >= 0; got {ratings.min():g}.")


__all__ = ["FactorModel", "PopularityRecommender", "Recommender", "TimedRecommender", "column", "positive"]
