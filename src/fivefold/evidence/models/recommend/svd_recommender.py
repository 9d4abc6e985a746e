"""Evidence for completion by singular value decomposition."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest

from ._ratings import dense, movielens, ratings, rmse


def _grid(people: int, things: int) -> dict[str, np.ndarray]:
    return {"user": np.repeat(np.arange(people), things), "item": np.tile(np.arange(things), people)}


@evidence(
    "svd-recommender",
    claim="The completion is the best approximation of the zero-filled matrix, whichever side is longer, and its error the rest",
    against="scipy.sparse.linalg.svds, and the sum of the squared singular values left out",
)
def eckart_young() -> Check:
    from scipy.sparse.linalg import svds

    from fivefold.models.recommend import SVDRecommender

    worst = 0.0
    for people, things, center in ((14, 9, False), (9, 14, False), (12, 10, True)):
        frame = ratings(people, things, 0.6, seed=1)
        matrix = dense(frame)
        mean = np.nanmean(matrix, axis=1, keepdims=True) if center else np.zeros((people, 1))
        zero = np.nan_to_num(matrix - mean, nan=0.0)
        u, s, vt = svds(zero, k=3)
        model = SVDRecommender(n_factors=3, center=center).fit(frame)
        found = model.predict(_grid(people, things)).reshape(people, things)
        worst = largest(worst, np.abs(found - mean - (u * s) @ vt).max())
        rest = np.linalg.svd(zero, compute_uv=False)[3:]
        worst = largest(worst, abs(((zero + mean - found) ** 2).sum() - (rest**2).sum()))
        worst = largest(worst, np.abs(model.singular_values_ - np.sort(s)[::-1]).max())
        worst = largest(worst, np.abs(model.item_factors_.T @ model.item_factors_ - np.eye(3)).max())
        worst = largest(worst, np.abs(model._scores(np.arange(people)) - found).max())
        top = model.item_factors_[np.abs(model.item_factors_).argmax(axis=0), np.arange(3)]
        worst = largest(worst, fault((~(top > 0)).any()), fault(model.n_iter_ != 1))
    # One user with a rating of zero alone, and the rest multiples of one row: of three values two are zero.
    rows = np.outer([1.0, 2.0, 0.0, 3.0, 1.0, 2.0], [2.0, 1.0, 4.0, 3.0])
    for matrix in (rows, rows.T):
        frame = {**_grid(*matrix.shape), "rating": matrix.ravel()}
        model = SVDRecommender(n_factors=3).fit(frame)
        worst = largest(worst, np.abs(model.predict(_grid(*matrix.shape)) - matrix.ravel()).max())
        # A value is the root of an eigenvalue, so that rounding stands there by its root.
        worst = largest(worst, 1e-3 * np.abs(model.singular_values_ - [np.linalg.norm(rows), 0, 0]).max())
    return Check(worst, 1e-9, "largest difference", "scipy svds")


@evidence(
    "svd-recommender",
    claim="Filled with its own predictions, observed entries alone are fitted; at rest the shrunken decomposition holds",
    against="the planted matrix of rank two; the optimality condition of the nuclear norm",
)
def observed_entries() -> Check:
    from fivefold.models.recommend import SVDRecommender

    draw = np.random.default_rng(0)
    truth = draw.normal(size=(50, 2)) @ draw.normal(size=(2, 40))
    shown = draw.random(truth.shape) < 0.6
    frame = pl.DataFrame({"user": np.nonzero(shown)[0], "item": np.nonzero(shown)[1], "rating": truth[shown]})
    hard = SVDRecommender(n_factors=2, entries="observed", max_iter=2000, tol=1e-9).fit(frame)
    found = hard.predict(_grid(50, 40)).reshape(50, 40)
    zero = SVDRecommender(n_factors=2).fit(frame).predict(_grid(50, 40)).reshape(50, 40)
    wrong = int(not np.abs(found - truth)[~shown].max() <= 1e-3) + int(not np.abs(zero - truth)[~shown].mean() >= 0.2)
    lam = 3.0
    soft = SVDRecommender(n_factors=40, entries="observed", shrinkage=lam, max_iter=2000, tol=1e-12).fit(frame)
    y = soft.predict(_grid(50, 40)).reshape(50, 40)
    # The gradient of the squared error is lam times a subgradient of the nuclear norm at the solution.
    g = np.where(shown, truth - y, 0.0) / lam
    u, s, vt = np.linalg.svd(y)
    rank = int((s > 1e-6).sum())
    worst = np.abs(u[:, :rank].T @ g @ vt[:rank].T - np.eye(rank)).max()
    worst = largest(worst, max(0.0, np.linalg.norm(g, 2) - 1))
    wrong += int(not worst < 1e-5) + int(not 2 <= rank < 40)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        short = SVDRecommender(n_factors=2, entries="observed", max_iter=3, tol=0.0).fit(frame)
    wrong += int(short.n_iter_ != 3) + int(not any("max_iter=3 fillings" in str(t.message) for t in told))
    # The fillings by hand, up to the first that moves the matrix by no more than tol of its length.
    loose = SVDRecommender(n_factors=2, entries="observed", tol=0.01).fit(frame)
    fillings = [np.zeros(truth.shape)]
    for _ in range(loose.n_iter_):
        u, s, vt = np.linalg.svd(np.where(shown, truth, fillings[-1]), full_matrices=False)
        fillings.append((u[:, :2] * s[:2]) @ vt[:2])
    moved = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in itertools.pairwise(fillings[1:])]
    wrong += int(not (moved[-1] <= 0.01 < min(moved[:-1])))
    wrong += int(not np.abs(loose.predict(_grid(50, 40)).reshape(50, 40) - fillings[-1]).max() <= 1e-9)
    # Without gaps there is nothing to fill: the second decomposition is the first, which is at rest for a tol of zero.
    full = {**_grid(5, 4), "rating": draw.normal(size=20)}
    wrong += int(SVDRecommender(n_factors=2, entries="observed", tol=0.0).fit(full).n_iter_ != 2)
    return Check(wrong + int(zero.shape != found.shape), 0, "conditions not met", "planted matrix")


@evidence(
    "svd-recommender",
    claim="On MovieLens u1 zeros in the gaps pull predictions of held-out cells far below the ratings, factorization does not",
    against="held-out ratings: mean error and RMSE of both",
)
def zero_bias() -> Check:
    from fivefold.models.recommend import MatrixFactorization, SVDRecommender

    train, test = movielens("u1")
    zero = SVDRecommender(n_factors=20).fit(train)
    factors = MatrixFactorization(n_factors=20, random_state=0).fit(train)
    centered = SVDRecommender(n_factors=20, center=True).fit(train)
    y = test["rating"].to_numpy()
    pull, fair = float(np.mean(zero.predict(test) - y)), float(np.mean(factors.predict(test) - y))
    wrong = int(not pull <= -1.5) + int(not abs(fair) <= 0.1) + int(not rmse(zero, test) >= 2 * rmse(factors, test))
    wrong += int(not rmse(centered, test) <= 1.05)
    facts = {"n_factors": 20, "entries": "zero-filled", "center": False, "shrinkage": 0.0, "max_iter": 100, "tol": 1e-4}
    wrong += sum(SVDRecommender().get_params()[name] != value for name, value in facts.items())
    return Check(wrong, 0, "conditions not met", "held-out cells")
