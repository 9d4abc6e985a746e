"""Recall, then ranking: a cheap search finds some items among all, a model with more to look at orders them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError
from fivefold.base.random import Streams
from fivefold.models.linear.logistic import LogisticRegression

from ._index import build_cells, highest, search_cells
from ._interactions import TimedRecommender, positive
from ._tables import Interactions
from ._vectors import unit
from .implicit_als import AlternatingLeastSquares

FEATURES = (
    "recall score",
    "cosine with the history",
    "log users of the item",
    "log length of the history",
    "mean rating",
)
"""What the ranker looks at."""

_PEOPLE = 256  # any value: users looked at together
_PRIOR = 5.0  # any value: ratings of the overall mean that each item is given beside its own


class TwoStageRecommender(TimedRecommender):
    r"""Recall by inner products in the nearest cells, ranking by a logistic regression on features of user and item.

    Recall: implicit ALS gives vectors :math:`p_u, q_i`; items are put in cells by direction, and of the ``n_probe`` cells with
    the largest :math:`p_u^T c` the ``n_candidates`` unseen items of largest :math:`p_u^T q_i` come through. Ranking:

    .. math:: P(\text{met}) = \sigma\Big( b + \sum_f w_f x_f(u, i) \Big)

    on :data:`FEATURES`. The ranker learns from what each user met last: recall is fitted without these rows, and of the
    candidates it then finds, those among them are positives and the rest negatives. Recall is then fitted on all rows.

    Parameters
    ----------
    factors : int >= 1, default 32
    regularization : float > 0, default 0.1
    alpha : float > 0, default 10.0
        Of the recall, as in :class:`~fivefold.models.recommend.implicit_als.AlternatingLeastSquares`.
    iterations : int >= 1, default 10
    n_candidates : int >= 1, default 200
        Items of each user that reach the ranker.
    n_cells : int >= 1 or None, default None
        None is the square root of the number of items, rounded up.
    n_probe : int >= 1, default 10
        Cells that are looked into; as many as there are cells make the search exact.
    holdout : float in (0, 1), default 0.2
        Share of each user's rows, the last ones, that the ranker learns from.
    user, item : str, default "user" and "item"
    rating : str or None, default None
        Amounts >= 0, the confidence of recall; their mean by item is a feature.
    time : str or None, default None
        Column that orders the rows; None takes them as they come.
    random_state : int, generator or None, default None

    Attributes
    ----------
    user_factors_, item_factors_ : arrays (n_users, factors), (n_items, factors)
    centers_ : array (cells, factors)
    cell_ : array (n_items,)
    weights_ : array (5,)
        Of the standardized features; ``intercept_`` beside it.
    recall_ : float
        Share of the held-out rows that the first stage found among the candidates, for the users of the training.

    Raises
    ------
    InputError, DataError
        A parameter outside its range, negative amounts, a table in which no held-out row is found again.

    Notes
    -----
    Scores of candidates, and of what the user met, are probabilities; all other items follow with scores in (-1, 0), in the
    order of recall. So a list is as long as asked, and a score above 0 says that the ranker saw the item. The ranker learns to
    follow users who are in the middle of their history; where the whole table is cut at one moment, as in a log, and tastes
    move with it, its order can be no better than that of recall.

    References
    ----------
    Covington, Adams & Sargin 2016 (the two stages); Hu, Koren & Volinsky 2008; ``03#two-stage-recsys``.
    """

    def __init__(
        self,
        *,
        factors: int = 32,
        regularization: float = 0.1,
        alpha: float = 10.0,
        iterations: int = 10,
        n_candidates: int = 200,
        n_cells: int | None = None,
        n_probe: int = 10,
        holdout: float = 0.2,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.n_candidates = n_candidates
        self.n_cells = n_cells
        self.n_probe = n_probe
        self.holdout = holdout

    def _check(self, data: Interactions) -> None:
        for name in ("factors", "iterations", "n_candidates", "n_probe"):
            whole(name, getattr(self, name), low=1)
        if self.n_cells is not None:
            whole("n_cells", self.n_cells, low=1)
        for name in ("regularization", "alpha"):
            real(name, getattr(self, name), low=0.0, above=True)
        real("holdout", self.holdout, low=0.0, high=1.0, above=True, below=True)
        positive(data.ratings, "The recall stage")

    def _learn(self, data: Interactions) -> None:
        self.streams_ = Streams.of(self.random_state).integer("two-stage")
        late = last_rows(data, float(self.holdout))
        early = _part(data, ~late)
        self._recall(early)
        self._fit_ranker(early, _part(data, late))
        self._recall(data)

    def _recall(self, data: Interactions) -> None:
        """Fit the first stage, and what the features say of items and users."""
        how = {"factors": self.factors, "regularization": self.regularization, "alpha": self.alpha}
        seed = Streams(self.streams_)
        first = AlternatingLeastSquares(**how, iterations=self.iterations, random_state=seed.integer("als"))
        first._learn(data)
        self.user_factors_, self.item_factors_ = first.user_factors_, first.item_factors_
        cells = self.n_cells or int(np.ceil(np.sqrt(data.shape[1])))
        self.centers_, self.cell_ = build_cells(self.item_factors_, cells, seed.integer("cells"))
        met = data.matrix().astype(bool).astype(np.float64)
        self.popular_ = np.asarray(met.sum(axis=0)).ravel()
        total = np.bincount(data.items, data.weights * data.ratings, minlength=data.shape[1])
        weight = np.bincount(data.items, data.weights, minlength=data.shape[1])
        mean = total.sum() / weight.sum()
        self.quality_ = (total + _PRIOR * mean) / (weight + _PRIOR)

    def _fit_ranker(self, early: Interactions, late: Interactions) -> None:
        seen, wanted = early.matrix().astype(bool), late.matrix().astype(bool)
        wanted = (wanted > seen).tocsr()
        people = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(seen.indptr) > 0))
        kept, labels, found = [], [], 0
        for begin in range(0, len(people), _PEOPLE):
            part = people[begin : begin + _PEOPLE]
            mine, truth = seen[part], wanted[part].toarray()
            mask, _, features = self._look(self.user_factors_[part], mine.indptr, mine.indices, unseen_only=True)
            kept.append(features[mask])
            labels.append(truth[mask])
            found += int((truth & mask).sum())
        label = np.concatenate([*labels, np.empty(0, dtype=bool)])
        if not label.any() or label.all():
            raise DataError(
                "Of the last interactions of the users the first stage finds "
                + ("nothing else" if label.any() else "none")
                + ", so the ranker has nothing to learn from; give more rows, or change n_candidates or holdout."
            )
        self.recall_ = found / int(wanted[people].sum())
        rows = np.concatenate(kept)
        self.shift_, spread = rows.mean(axis=0), rows.std(axis=0)
        self.scale_ = np.where(spread > 1e-12, spread, 1.0)
        ranker = LogisticRegression(tol=1e-8).fit((rows - self.shift_) / self.scale_, label.astype(np.int64))
        self.weights_, self.intercept_ = ranker.coef_[0], float(ranker.intercept_[0])

    def _look(
        self, vectors: np.ndarray, starts: np.ndarray, seen: np.ndarray, unseen_only: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return who is ranked (b, n), the scores of recall (b, n) and the features (b, n, 5) of users with histories."""
        rows = np.repeat(np.arange(len(vectors)), np.diff(starts))
        met = np.zeros((len(vectors), len(self.item_factors_)), dtype=bool)
        met[rows, seen] = True
        found = search_cells(vectors, self.item_factors_, self.centers_, self.cell_, self.n_probe)
        mask = highest(np.where(met, -np.inf, found), self.n_candidates)
        if not unseen_only:
            mask |= met
        score = vectors @ self.item_factors_.T
        directions = unit(self.item_factors_)
        count = met.sum(axis=1)
        cosine = (met @ directions / np.maximum(count, 1)[:, None]) @ directions.T
        shape = score.shape
        facts = (
            score,
            cosine,
            np.broadcast_to(np.log1p(self.popular_), shape),
            np.broadcast_to(np.log1p(count)[:, None], shape),
            np.broadcast_to(self.quality_, shape),
        )
        return mask, score, np.stack(facts, axis=2)

    def _chance(self, features: np.ndarray) -> np.ndarray:
        logit = ((features - self.shift_) / self.scale_) @ self.weights_ + self.intercept_
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def _ranked(self, vectors: np.ndarray, starts: np.ndarray, seen: np.ndarray) -> np.ndarray:
        mask, score, features = self._look(vectors, starts, seen)
        return np.where(mask, self._chance(features), -1.0 / (1.0 + np.exp(np.clip(score, -30, 30))))

    def _scores(self, users: np.ndarray) -> np.ndarray:
        parts = [self.seen_[self.starts_[u] : self.starts_[u + 1]] for u in users]
        starts = np.concatenate([[0], np.cumsum([len(p) for p in parts])])
        return self._ranked(self.user_factors_[users], starts, np.concatenate(parts))

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        first = AlternatingLeastSquares(factors=self.factors, regularization=self.regularization, alpha=self.alpha)
        first.item_factors_ = self.item_factors_
        return self._ranked(first.fold(starts, items, ratings), starts, items)

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the ranker's probability; an unknown user has no history, an unknown item nobody who met it."""
        out = np.empty(len(users))
        lone = self._chance(np.array([[0.0, 0.0, 0.0, 0.0, float(np.mean(self.quality_))]]))[0]
        whom, place = np.unique(users, return_inverse=True)
        for begin in range(0, len(whom), _PEOPLE):
            part = whom[begin : begin + _PEOPLE]
            rows = np.flatnonzero((place >= begin) & (place < begin + len(part)))
            vectors = np.where(part[:, None] >= 0, self.user_factors_[part], 0.0)
            told = [self.seen_[self.starts_[u] : self.starts_[u + 1]] if u >= 0 else self.seen_[:0] for u in part]
            starts = np.concatenate([[0], np.cumsum([len(t) for t in told])])
            _, _, features = self._look(vectors, starts, np.concatenate(told))
            chance = self._chance(features)
            out[rows] = np.where(items[rows] >= 0, chance[place[rows] - begin, items[rows]], lone)
        return out

    def candidates(self, users: Any) -> np.ndarray:
        """Return a mask (n_users, n_items) of the unseen items that the first stage lets through for known users, by code."""
        self._check_fitted()
        told = [self.seen_[self.starts_[u] : self.starts_[u + 1]] for u in users]
        starts = np.concatenate([[0], np.cumsum([len(t) for t in told])])
        return self._look(self.user_factors_[users], starts, np.concatenate(told), unseen_only=True)[0]

    def _vectors(self) -> np.ndarray:
        return np.asarray(self.item_factors_)


def last_rows(data: Interactions, share: float) -> np.ndarray:
    """Return a mask (n,) of the last ``share`` of each user's rows, rounded down: users of few rows keep them all."""
    order, starts = data.by_user()
    size = np.diff(starts)
    rank = np.arange(len(order)) - np.repeat(starts[:-1], size)  # place among the rows of the user
    mask = np.zeros(len(order), dtype=bool)
    mask[order] = rank >= np.repeat(size - np.floor(share * size).astype(np.int64), size)
    return mask


def _part(data: Interactions, rows: np.ndarray) -> Interactions:
    columns = {name: getattr(data, name)[rows] for name in ("users", "items", "ratings", "weights")}
    return replace(data, **columns)
