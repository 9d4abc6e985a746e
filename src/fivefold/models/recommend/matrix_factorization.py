"""Matrix factorization of ratings with biases, by stochastic gradients or alternating least squares; and SVD++."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams
from fivefold.models.trees._threads import threads_for

from . import _factorization_kernels as kernels
from ._interactions import FactorModel
from ._tables import Interactions


class RatingModel(FactorModel):
    """A factor model of ratings: a mean, a bias and a vector for users and items."""

    n_factors: int
    n_epochs: int

    def _start(self, data: Interactions, mean: float, deviation: float) -> None:
        draw = Streams.of(self.random_state).child("factors")
        people, things = data.shape
        size = self.n_factors
        self.user_factors_ = draw.numpy("users").normal(mean, deviation, (people, size))
        self.item_factors_ = draw.numpy("items").normal(mean, deviation, (things, size))
        self.user_bias_, self.item_bias_ = np.zeros(people), np.zeros(things)
        self.scale_ = (float(data.ratings.min()), float(data.ratings.max()))

    def _shuffled(self, data: Interactions, epoch: int) -> np.ndarray:
        return Streams.of(self.random_state).numpy("order", epoch).permutation(len(data.users))

    def _linear(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return mean, biases and product a pair; what is unknown counts as zero."""
        bias = np.where(users >= 0, self.user_bias_[users], 0.0)
        return np.asarray(self.mean_ + bias + super()._pairs(users, items))

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.clip(self._linear(users, items), *self.scale_)

    def _scores(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(super()._scores(users) + (self.mean_ + self.user_bias_[users])[:, None])

    def _solved(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray:
        """Return bias and vector (b, 1 + d) of users by ridge regression of their ratings, items as they are."""
        features = np.column_stack([np.ones(len(self.item_bias_)), self.item_factors_])
        rest = ratings - self.mean_ - self.item_bias_[items]
        out = np.empty((len(starts) - 1, features.shape[1]))
        ones, none = np.ones(len(items)), np.zeros((features.shape[1], features.shape[1]))
        # What a step of SGD takes off a vector, it takes off once a rating: at rest that is reg times their number.
        for group in range(len(starts) - 1):
            part = slice(starts[group], starts[group + 1])
            strength = self.reg_all * (part.stop - part.start if self._solver() == "sgd" else 1)
            bounds = np.array([0, part.stop - part.start])
            one = (items[part], ones[part], rest[part])
            kernels.solve_rows(bounds, *one, features, none, max(strength, 1e-9), out[group : group + 1])
        return out

    def _solver(self) -> str:
        return "sgd"

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        found = self._solved(starts, items, ratings)
        return np.asarray(self.mean_ + found[:, :1] + found[:, 1:] @ self.item_factors_.T + self.item_bias_)


class MatrixFactorization(RatingModel):
    r"""Ratings as a mean, biases and a product of vectors: of observed entries only.

    .. math:: \hat y_{ui} = \mu + b_u + b_i + p_u^T q_i, \qquad
              \min \sum_{(u,i)} w_{ui} \, \ell(y_{ui}, \hat y_{ui}) + \lambda \big(\|p\|^2 + \|q\|^2 + \|b\|^2\big)

    with half the squared error, or with cross-entropy, where a rating is put on [0, 1] by the lowest and the highest of the
    training and :math:`\sigma(\hat y)` predicts it: for labels 0 and 1 that is logistic regression.

    Parameters
    ----------
    n_factors : int >= 0, default 100
        Length of the vectors; 0 leaves mean and biases.
    n_epochs : int >= 1, default 20
        Passes over the rows, or over users and items.
    biased : bool, default True
        Without, mean and biases are zero.
    solver : "sgd" or "als", default "sgd"
    loss : "squared" or "cross-entropy", default "squared"
        ALS solves squared errors only.
    init_mean : float, default 0.0
    init_std_dev : float >= 0, default 0.1
        Normal start of the vectors.
    lr_all : float > 0, default 0.005
        Step of SGD.
    reg_all : float >= 0, default 0.02
        SGD takes ``lr_all * reg_all`` of the vectors and biases it touches off at each row, so that it counts once a rating; ALS
        counts it once a vector, as in the equation, with the sum of squared errors.
    shuffle : bool, default False
        SGD visits user by user, the rows of each as they came; with ``shuffle`` all rows in a new order each epoch.
    user, item : str, default "user" and "item"
        Columns of the table.
    rating : str, default "rating"
    random_state : int, generator or None, default None

    Attributes
    ----------
    user_factors_ : array (n_users, n_factors)
    item_factors_ : array (n_items, n_factors)
    user_bias_ : array (n_users,)
    item_bias_ : array (n_items,)
    mean_ : float
        For cross-entropy the logit of the mean.
    scale_ : (lowest, highest) rating of the training
        Predictions are clipped to it; the scores of ``recommend`` are not.

    Raises
    ------
    InputError
        A parameter outside its range; cross-entropy with ALS.
    DataError
        Ratings that cannot be used.

    Notes
    -----
    Defaults, names and the order of SGD are those of Surprise's ``SVD``. New users fold in from their history by ridge
    regression on the vectors of the items (squared error only); unknown users and items otherwise have zeros.

    References
    ----------
    Koren, Bell & Volinsky 2009; ``03#mf``, ``06#matrix-factorization``.
    """

    def __init__(
        self,
        *,
        n_factors: int = 100,
        n_epochs: int = 20,
        biased: bool = True,
        solver: str = "sgd",
        loss: str = "squared",
        init_mean: float = 0.0,
        init_std_dev: float = 0.1,
        lr_all: float = 0.005,
        reg_all: float = 0.02,
        shuffle: bool = False,
        rating: str | None = "rating",
        **common: Any,
    ) -> None:
        super().__init__(rating=rating, **common)
        self.n_factors = n_factors
        self.n_epochs = n_epochs
        self.biased = biased
        self.solver = solver
        self.loss = loss
        self.init_mean = init_mean
        self.init_std_dev = init_std_dev
        self.lr_all = lr_all
        self.reg_all = reg_all
        self.shuffle = shuffle

    def _check(self, data: Interactions) -> None:
        whole("n_factors", self.n_factors, low=0)
        whole("n_epochs", self.n_epochs, low=1)
        choice("solver", self.solver, ("sgd", "als"))
        choice("loss", self.loss, ("squared", "cross-entropy"))
        real("init_mean", self.init_mean, low=-np.inf)
        real("init_std_dev", self.init_std_dev, low=0.0)
        real("lr_all", self.lr_all, low=0.0, above=True)
        real("reg_all", self.reg_all, low=0.0)
        if self.loss == "cross-entropy":
            if self.solver == "als":
                raise InputError("ALS solves squared errors; use solver='sgd' with loss='cross-entropy'.")
            if data.ratings.min() == data.ratings.max():
                raise DataError(
                    f"All ratings are {data.ratings[0]:g}, and cross-entropy needs a lowest and a highest; add the "
                    "interactions that did not happen, or use implicit feedback (variants implicit and bpr)."
                )
        if self.solver == "als" and self.reg_all == 0:
            raise InputError(
                "reg_all is 0, with which the equations of ALS may have no one solution; give a number > 0."
            )

    def _learn(self, data: Interactions) -> None:
        self._start(data, self.init_mean, self.init_std_dev)
        mean = float(np.average(data.ratings, weights=data.weights))
        low, high = self.scale_
        targets = data.ratings
        if self.loss == "cross-entropy":
            targets = (data.ratings - low) / (high - low)
            share = (mean - low) / (high - low)
            mean = float(np.log(share / (1 - share)))
        self.mean_ = mean if self.biased else 0.0
        (self._descend if self.solver == "sgd" else self._alternate)(data, targets)

    def _descend(self, data: Interactions, targets: np.ndarray) -> None:
        own = (self.user_factors_, self.item_factors_, self.user_bias_, self.item_bias_, self.mean_)
        how = (float(self.lr_all), float(self.reg_all), bool(self.biased), self.loss == "cross-entropy")
        plain = data.by_user()[0]
        for epoch in range(self.n_epochs):
            rows = self._shuffled(data, epoch) if self.shuffle else plain
            kernels.sgd_epoch(rows, data.users, data.items, targets, data.weights, *own, *how)

    def _alternate(self, data: Interactions, targets: np.ndarray) -> None:
        sides = (
            (data.by_user(), data.items, self.user_factors_, self.user_bias_, self.item_factors_, self.item_bias_),
            (data.by_item(), data.users, self.item_factors_, self.item_bias_, self.user_factors_, self.user_bias_),
        )
        lead = int(self.biased)
        size = self.n_factors + lead
        if size == 0:
            return
        none = np.zeros((size, size))
        with threads_for(len(targets) * size * size):
            for _ in range(self.n_epochs):
                for (rows, starts), other, own, own_bias, features, bias in sides:
                    near = other[rows]
                    matrix = np.column_stack([np.ones(len(features)), features]) if lead else features
                    rest = targets[rows] - self.mean_ - bias[near]
                    out = np.empty((len(own), size))
                    weight = data.weights[rows]
                    kernels.solve_rows(starts, near, weight, weight * rest, matrix, none, float(self.reg_all), out)
                    own[:] = out[:, lead:]
                    if lead:
                        own_bias[:] = out[:, 0]

    def _solver(self) -> str:
        return str(self.solver)

    def _pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        if self.loss == "squared":
            return super()._pairs(users, items)
        low, high = self.scale_
        return np.asarray(low + (high - low) / (1 + np.exp(-self._linear(users, items))))

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        return super()._folded(starts, items, ratings) if self.loss == "squared" and self.biased else None


class SVDPlusPlus(RatingModel):
    r"""Matrix factorization that also learns from which items a user rated, whatever the rating.

    .. math:: \hat y_{ui} = \mu + b_u + b_i + q_i^T \Big(p_u + |N(u)|^{-1/2} \sum_{j \in N(u)} y_j\Big)

    by stochastic gradients of half the squared error. One rating moves the :math:`y_j` of all items of its user; because all of
    them move alike, the cost of a step does not grow with the history.

    Parameters
    ----------
    n_factors : int >= 1, default 20
    n_epochs : int >= 1, default 20
    init_mean : float, default 0.0
    init_std_dev : float >= 0, default 0.1
    lr_all : float > 0, default 0.007
    reg_all : float >= 0, default 0.02
        Taken off at each rating.
    shuffle : bool, default False
        Visit the users, and the ratings of each, in a new order each epoch.
    user, item : str, default "user" and "item"
    rating : str, default "rating"
    random_state : int, generator or None, default None

    Attributes
    ----------
    user_factors_ : array (n_users, n_factors)
        p plus what the history implies.
    item_factors_, implicit_factors_ : arrays (n_items, n_factors)
    user_bias_, item_bias_, mean_, scale_ : as in :class:`MatrixFactorization`

    Raises
    ------
    InputError
        A parameter outside its range.

    Notes
    -----
    Defaults and names are those of Surprise's ``SVDpp``, and so is every step. A user may rate an item once.

    References
    ----------
    Koren 2008, "Factorization meets the neighborhood"; ``03#mf``.
    """

    def __init__(
        self,
        *,
        n_factors: int = 20,
        n_epochs: int = 20,
        init_mean: float = 0.0,
        init_std_dev: float = 0.1,
        lr_all: float = 0.007,
        reg_all: float = 0.02,
        shuffle: bool = False,
        rating: str | None = "rating",
        **common: Any,
    ) -> None:
        super().__init__(rating=rating, **common)
        self.n_factors = n_factors
        self.n_epochs = n_epochs
        self.init_mean = init_mean
        self.init_std_dev = init_std_dev
        self.lr_all = lr_all
        self.reg_all = reg_all
        self.shuffle = shuffle

    def _check(self, data: Interactions) -> None:
        whole("n_factors", self.n_factors, low=1)
        whole("n_epochs", self.n_epochs, low=1)
        real("init_mean", self.init_mean, low=-np.inf)
        real("init_std_dev", self.init_std_dev, low=0.0)
        real("lr_all", self.lr_all, low=0.0, above=True)
        real("reg_all", self.reg_all, low=0.0)
        pair = data.users * np.int64(len(data.item_ids)) + data.items
        found, first, times = np.unique(pair, return_index=True, return_counts=True)
        if len(found) < len(pair):
            again = int(first[times.argmax()])
            raise DataError(
                f"The user {data.user_ids[data.users[again]]} rated the item {data.item_ids[data.items[again]]} "
                f"{times.max()} times; SVD++ takes one rating a pair: keep the last."
            )

    def _learn(self, data: Interactions) -> None:
        self._start(data, self.init_mean, self.init_std_dev)
        size = self.item_factors_.shape
        draw = Streams.of(self.random_state).numpy("implicit")
        self.implicit_factors_ = draw.normal(self.init_mean, self.init_std_dev, size)
        self.mean_ = float(np.average(data.ratings, weights=data.weights))
        plain, starts = data.by_user()
        own = (self.user_factors_, self.item_factors_, self.implicit_factors_, self.user_bias_, self.item_bias_)
        for epoch in range(self.n_epochs):
            rows, order = plain, np.arange(len(data.user_ids))
            if self.shuffle:
                mixed = self._shuffled(data, epoch)
                rows = mixed[np.argsort(data.users[mixed], kind="stable")]
                order = Streams.of(self.random_state).numpy("users", epoch).permutation(len(order))
            where = (order, starts, rows, data.items, data.ratings, data.weights)
            kernels.svdpp_epoch(*where, *own, self.mean_, float(self.lr_all), float(self.reg_all))
        self.user_factors_ += self._implied(starts, data.items[plain])

    def _implied(self, starts: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the sum of the y of each history over the root of its length, (b, d)."""
        sums = np.zeros((len(starts) - 1, self.implicit_factors_.shape[1]))
        length = np.diff(starts)
        np.add.at(sums, np.repeat(np.arange(len(length)), length), self.implicit_factors_[items])
        return np.asarray(sums / np.sqrt(np.maximum(length, 1))[:, None])

    def _folded(self, starts: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray | None:
        implied = self._implied(starts, items)
        whose = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        explained = np.einsum("nd,nd->n", implied[whose], self.item_factors_[items])
        return np.asarray(super()._folded(starts, items, ratings - explained) + implied @ self.item_factors_.T)
