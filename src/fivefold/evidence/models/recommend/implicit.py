"""Evidence for implicit feedback: normal equations over all pairs, conjugate gradients, shares of the history, BPR."""

from __future__ import annotations

import numba
import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest

from ._ratings import ratings


def _amounts(frame: pl.DataFrame) -> np.ndarray:
    matrix = np.zeros((frame["user"].max() + 1, frame["item"].max() + 1))
    np.add.at(matrix, (frame["user"].to_numpy(), frame["item"].to_numpy()), frame["rating"].to_numpy())
    return matrix


def _objective(r: np.ndarray, p: np.ndarray, q: np.ndarray, alpha: float, lam: float) -> float:
    return float(((1 + alpha * r) * ((r > 0) - p @ q.T) ** 2).sum() + lam * ((p**2).sum() + (q**2).sum()))


def _solved(r: np.ndarray, q: np.ndarray, alpha: float, lam: float) -> np.ndarray:
    out = []
    for row in r:
        c = np.diag(1 + alpha * row)
        out.append(np.linalg.solve(q.T @ c @ q + lam * np.eye(q.shape[1]), q.T @ c @ (row > 0)))
    return np.array(out)


@evidence(
    "matrix-factorization",
    claim="Implicit ALS solves the weighted least squares over all pairs, met or not; amounts of equal pairs add up",
    against="the normal equations with the dense confidence matrix, and the objective, which never rises",
)
def implicit_equations() -> Check:
    from fivefold.models.recommend.implicit_als import AlternatingLeastSquares

    frame = pl.concat([ratings(seed=7), ratings(seed=7).head(20)])
    r, alpha, lam = _amounts(frame), 1.7, 0.3
    how = {"factors": 3, "alpha": alpha, "regularization": lam, "rating": "rating", "random_state": 0}
    worst, path = 0.0, []
    for steps in (1, 2, 4, 30):
        model = AlternatingLeastSquares(**how, iterations=steps, solver="cholesky").fit(frame)
        p, q = model.user_factors_, model.item_factors_
        worst = largest(worst, np.abs(q - _solved(r.T, p, alpha, lam)).max())
        path.append(_objective(r, p, q, alpha, lam))
    worst = largest(worst, max(0.0, *np.diff(path)))
    # Weights multiply amounts; a weight of zero leaves the row out.
    weight = np.random.default_rng(0).integers(0, 3, len(frame)).astype(float)
    weighted = frame.with_columns(rating=pl.col("rating") * weight).filter(pl.Series(weight > 0))
    one, two = (
        AlternatingLeastSquares(**how, iterations=3, solver="cholesky").fit(f, sample_weight=w)
        for f, w in ((frame, weight), (weighted, None))
    )
    worst = largest(worst, np.abs(one.predict(weighted) - two.predict(weighted)).max())
    return Check(worst, 1e-9, "largest difference", "dense normal equations")


@evidence(
    "matrix-factorization",
    claim="Conjugate gradients find the exact solution in as many steps as there are factors, and three steps are the default's",
    against="numpy.linalg.solve, and the textbook recurrence on the dense matrix",
)
def implicit_gradients() -> Check:
    from fivefold.models.recommend import _factorization_kernels as k
    from fivefold.models.recommend.implicit_als import _CG_STEPS, AlternatingLeastSquares

    draw = np.random.default_rng(0)
    starts, index = np.array([0, 4, 4, 9]), draw.integers(0, 6, 9)
    w, t, f = draw.random(9), draw.random(9), draw.normal(size=(6, 5))
    base, lam = f.T @ f, 0.4
    worst = 0.0
    for steps in (1, 3, 12):
        out = draw.normal(size=(3, 5))
        expected = out.copy()
        for g in range(3):
            mine = slice(starts[g], starts[g + 1])
            near = f[index[mine]]
            a, b = base + lam * np.eye(5) + (near.T * w[mine]) @ near, near.T @ t[mine]
            x = expected[g] if mine.stop > mine.start else np.zeros(5)
            residual = b - a @ x if mine.stop > mine.start else np.zeros(5)
            d = residual.copy()
            for _ in range(steps):
                size = residual @ residual
                if size < 1e-20:
                    break
                length = size / (d @ a @ d)
                x = x + length * d
                residual = residual - length * a @ d
                d = residual + residual @ residual / size * d
            expected[g] = np.linalg.solve(a, b) if steps == 12 and mine.stop > mine.start else x
        k.descend_rows(starts, index, w, t, f, base, lam, steps, out)
        worst = largest(worst, np.abs(out - expected).max())
    exact = np.empty((3, 5))
    k.solve_rows(starts, index, w, t, f, base, lam, exact)
    worst = largest(worst, np.abs(exact - expected).max(), abs(_CG_STEPS - 3))
    frame = ratings(40, 25, seed=8)
    how = {"factors": 4, "regularization": 0.5, "alpha": 2.0, "iterations": 100, "random_state": 0}
    r = (_amounts(frame) > 0).astype(float)
    values = [
        _objective(r, m.user_factors_, m.item_factors_, 2.0, 0.5)
        for m in (AlternatingLeastSquares(**how, solver=s).fit(frame) for s in ("cg", "cholesky"))
    ]
    worst = largest(worst, 1e-6 * abs(values[0] / values[1] - 1))  # both come to rest within a thousandth
    return Check(worst, 1e-9, "largest difference", "numpy.linalg.solve")


@evidence(
    "matrix-factorization",
    claim="Folding in a history gives the user's solution, and the shares of the history add up to the score",
    against="the normal equations of the same history; the sum",
)
def implicit_folding() -> Check:
    from fivefold.models.recommend.implicit_als import AlternatingLeastSquares

    frame = ratings(30, 20, seed=9)
    model = AlternatingLeastSquares(factors=4, alpha=3.0, regularization=0.2, rating="rating", random_state=0).fit(
        frame
    )
    r = _amounts(frame)
    p = _solved(r, model.item_factors_, 3.0, 0.2)
    past = frame.with_columns(user=pl.col("user") + 1000)
    got = model.recommend(history=past, k=20, exclude_seen=False).sort("user", "item")
    worst = largest(
        np.abs(got["score"].to_numpy().reshape(30, 20) - p @ model.item_factors_.T).max(), got["fallback"].any()
    )
    for user, item in ((3, 5), (17, 0)):
        shares = model.explain(user, item, k=50)
        worst = largest(worst, abs(shares["contribution"].sum() - p[user] @ model.item_factors_[item]))
        met = set(frame.filter(pl.col("user") == user)["item"].to_list())
        size = np.abs(shares["contribution"].to_numpy())
        worst = largest(worst, float(set(shares["item"].to_list()) != met), float((np.diff(size) > 0).any()))
    return Check(worst, 1e-9, "largest difference", "closed form")


@evidence(
    "matrix-factorization",
    claim="BPR raises the item met over the one drawn, passes over draws the user met, and leaves items alone when folding in",
    against="the gradient of ln sigma(margin) as a plain loop over the same draws",
)
def bpr_loop() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend.implicit_als import BayesianPersonalizedRanking

    frame = ratings(seed=10)
    users, items = frame["user"].to_numpy(), frame["item"].to_numpy()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(frame))
    model = BayesianPersonalizedRanking(factors=3, learning_rate=0.3, regularization=0.05, iterations=2, random_state=0)
    model.fit(frame, sample_weight=weight)
    draw = Streams.of(0).child("factors")
    p = (draw.numpy("users").random((12, 3)) - 0.5) / 3
    q = (draw.numpy("items").random((9, 3)) - 0.5) / 3
    b = np.zeros(9)
    pairs = set(zip(users.tolist(), items.tolist()))
    path = []
    for epoch in range(2):
        chance = Streams.of(0).numpy("pairs", epoch)
        rows, others = chance.integers(0, len(users), len(users)), chance.integers(0, 9, len(users))
        used = right = 0
        for n, j in zip(rows, others):
            u, i = users[n], items[n]
            if (u, j) in pairs:
                continue
            margin = b[i] - b[j] + p[u] @ (q[i] - q[j])
            used, right = used + 1, right + (margin > 0)
            s, g = 0.3 * weight[n], 1 / (1 + np.exp(margin))
            old = p[u].copy()
            p[u] += s * (g * (q[i] - q[j]) - 0.05 * p[u])
            q[i], q[j] = q[i] + s * (g * old - 0.05 * q[i]), q[j] + s * (-g * old - 0.05 * q[j])
            b[i], b[j] = b[i] + s * (g - 0.05 * b[i]), b[j] + s * (-g - 0.05 * b[j])
        path.append(right / used)
    worst = largest(np.abs(model.user_factors_ - p).max(), np.abs(model.item_factors_ - q).max())
    worst = largest(worst, np.abs(model.item_bias_ - b).max(), np.abs(model.accuracy_path_ - path).max())
    grid = {"user": np.repeat(np.arange(12), 9), "item": np.tile(np.arange(9), 12)}
    worst = largest(worst, np.abs(model.predict(grid) - (b + p @ q.T).ravel()).max())
    x = np.zeros((1, 3))
    history = np.array([1, 4, 6])
    for epoch in range(2):
        chance = Streams.of(0).numpy("pairs", epoch)
        rows, others = chance.integers(0, 3, 3), chance.integers(0, 9, 3)
        for n, j in zip(rows, others):
            if j not in history:
                i = history[n]
                g = 1 / (1 + np.exp(b[i] - b[j] + x[0] @ (q[i] - q[j])))
                x[0] += 0.3 * (g * (q[i] - q[j]) - 0.05 * x[0])
    told = {"user": [88, 88, 88], "item": [1, 4, 6], "rating": [1, 1, 1]}
    got = model.recommend(history=told, k=9, exclude_seen=False).sort("item")["score"].to_numpy()
    return Check(largest(worst, np.abs(got - b - q @ x[0]).max()), 1e-10, "largest difference", "plain loop")


@evidence(
    "matrix-factorization",
    claim="On two groups of users with tastes of their own, implicit ALS and BPR find what was held out far above popularity",
    against="the planted groups; popularity as control, which is at the level of chance",
)
def implicit_groups() -> Check:
    from fivefold.evaluation.recommendation import evaluate_recommendations
    from fivefold.models.recommend._interactions import PopularityRecommender
    from fivefold.models.recommend.implicit_als import AlternatingLeastSquares, BayesianPersonalizedRanking

    draw = np.random.default_rng(0)
    users, items = np.nonzero((np.add.outer(np.arange(120), np.arange(60)) % 2 == 0) & (draw.random((120, 60)) < 0.5))
    frame = pl.DataFrame({"user": users, "item": items})
    held = pl.Series(draw.random(len(frame)) < 0.3)
    train, test = frame.filter(~held), frame.filter(held)

    def recall(model: object) -> float:
        found = model.fit(train).recommend(k=10)  # type: ignore[attr-defined]
        return evaluate_recommendations(found, test, train, k=10).metrics["recall@10"]

    als = recall(AlternatingLeastSquares(factors=4, random_state=0))
    bpr = recall(BayesianPersonalizedRanking(factors=4, learning_rate=0.05, iterations=60, random_state=0))
    popular = recall(PopularityRecommender(random_state=0))
    # All unseen items of one's own half are equally likely: 10 of about 20 of them, or of about 50 of both halves.
    return Check(int(als < 0.4) + int(bpr < 0.4) + int(popular > 0.3), 0, "conditions not met", "planted groups")


@evidence(
    "matrix-factorization",
    claim="One thread and two give the same factors and lists",
    against="itself with another number of threads",
)
def threads() -> Check:
    from fivefold.models.recommend.implicit_als import AlternatingLeastSquares
    from fivefold.models.recommend.matrix_factorization import MatrixFactorization

    frame = ratings(400, 300, 0.2, seed=11)
    before, worst = numba.get_num_threads(), 0.0
    for make in (
        lambda: AlternatingLeastSquares(factors=40, iterations=2, random_state=0),
        lambda: MatrixFactorization(n_factors=12, solver="als", n_epochs=2, reg_all=1.0, random_state=0),
    ):
        found = []
        for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(count)
            model = make().fit(frame)
            found.append((model.user_factors_, model.recommend(k=20)))
        numba.set_num_threads(before)
        worst = largest(worst, np.abs(found[0][0] - found[1][0]).max(), float(not found[0][1].equals(found[1][1])))
    return Check(worst, 1e-10, "largest difference", "one thread")


@evidence(
    "matrix-factorization",
    claim="Names and defaults are those of implicit, and the confidence is 1 + alpha r",
    against="the parameters of implicit's AlternatingLeastSquares and BayesianPersonalizedRanking",
)
def implicit_defaults() -> Check:
    from fivefold.models.recommend.implicit_als import AlternatingLeastSquares, BayesianPersonalizedRanking

    als = {"factors": 100, "regularization": 0.01, "alpha": 1.0, "iterations": 15, "solver": "cg", "rating": None}
    bpr = {"factors": 100, "learning_rate": 0.01, "regularization": 0.01, "iterations": 100, "rating": None}
    wrong = sum(AlternatingLeastSquares().get_params()[k] != v for k, v in als.items())
    wrong += sum(BayesianPersonalizedRanking().get_params()[k] != v for k, v in bpr.items())
    return Check(wrong, 0, "differences", "implicit")
