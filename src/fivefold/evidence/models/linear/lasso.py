"""Lasso and elastic net: soft thresholds, optimality conditions, perturbations, the path and the peer."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows(n: int = 60, d: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n * d)
    X = rng.normal(size=(n, d)) * np.geomspace(0.5, 4, d) + 3
    X[:, 1] = X[:, 0] + 0.1 * rng.normal(size=n)
    y = X[:, 0] - 2 * X[:, min(3, d - 1)] + 0.5 * X[:, -1] + rng.normal(size=n) + 7
    return X, y, rng.integers(0, 4, size=n).astype(float)


@evidence("lasso-regression", claim="On orthonormal columns the weights are soft thresholds", against="closed form")
def soft_threshold() -> Check:
    from fivefold.models.linear import Lasso

    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(40, 6)))[0]
    y, worst = rng.normal(size=40) * 3, 0.0
    for alpha, ratio in ((0.01, 1.0), (0.02, 0.7), (0.5, 1.0)):
        model = Lasso(alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-14).fit(Q, y)
        z = Q.T @ y / 40
        w = np.sign(z) * np.maximum(np.abs(z) - alpha * ratio, 0) / (1 / 40 + alpha * (1 - ratio))
        worst = largest(worst, np.abs(model.coef_ - w).max(), abs(model.intercept_))
    # One feature -1, 1 and y = 4, 8: the mean 6 is free, w = 2 - alpha; the default alpha is 1.
    model = Lasso().fit([[-1.0], [1.0]], [4.0, 8.0])
    worst = largest(worst, abs(model.coef_[0] - 1), abs(model.intercept_ - 6), abs(model.predict([[2.0]])[0] - 8))
    facts = Lasso()
    stated = (facts.l1_ratio, facts.fit_intercept, facts.tol, facts.max_iter) == (1.0, True, 1e-6, 100_000)
    return Check(worst + (not stated), 1e-10, "max |weight - closed form|", "closed form")


@evidence(
    "lasso-regression",
    claim="Optimality conditions hold and the gap is the true one",
    against="their definition",
)
def conditions() -> Check:
    from fivefold.models.linear import Lasso

    worst = 0.0
    for n, d in ((60, 12), (40, 300)):
        X, y, weight = _rows(n, d)
        for alpha, ratio, mass in ((0.3, 1.0, None), (0.1, 0.4, weight), (1.5, 1.0, weight)):
            model = Lasso(alpha, l1_ratio=ratio, tol=1e-12).fit(X, y, mass)
            v = np.full(n, 1 / n) if mass is None else mass / mass.sum()
            w, r = model.coef_, y - X @ model.coef_ - model.intercept_
            g = X.T @ (v * r) - alpha * (1 - ratio) * w
            l1 = alpha * ratio
            # gradient = l1 sign(w) where w is not zero, at most l1 elsewhere; the residuals have mean zero.
            worst = largest(worst, np.where(w != 0, np.abs(g - l1 * np.sign(w)), np.abs(g) - l1).max(), abs(v @ r))
            center = y - v @ y
            size = v @ r**2 + alpha * (1 - ratio) * w @ w
            s = min(1.0, l1 / np.abs(g).max())
            gap = 0.5 * size + l1 * np.abs(w).sum() - s * (v * center) @ r + 0.5 * s * s * size
            half = 0.5 * v @ center**2
            worst = largest(worst, abs(gap - model.dual_gap_) / half, 1e-5 * (not model.dual_gap_ / half <= 1e-12))
    # A relative gap of 1e-12 leaves the gradient within sqrt(2 · 1e-12) of the scale of y (5) times a column (4).
    return Check(worst, 20 * np.sqrt(2e-12) * 5, "largest violation", "definition")


@evidence(
    "lasso-regression",
    claim="A hundred perturbations do not improve the objective; weights are sparse",
    against="the objective written out",
)
def perturbations() -> Check:
    from fivefold.models.linear import Lasso

    X, y, weight = _rows(50, 80)
    rng, faults = np.random.default_rng(1), 0
    for ratio in (1.0, 0.5):
        model = Lasso(0.4, l1_ratio=ratio).fit(X, y, weight)

        def value(w: np.ndarray, b: float, ratio: float = ratio) -> float:
            error = weight @ (y - b - X @ w) ** 2 / (2 * weight.sum())
            return float(error + 0.4 * ratio * np.abs(w).sum() + 0.2 * (1 - ratio) * w @ w)

        best = value(model.coef_, model.intercept_)
        for _ in range(100):
            size = 10.0 ** rng.uniform(-6, 0)
            moved = model.coef_ + size * rng.normal(size=80) * (rng.random(80) < 0.2)
            faults += int(not value(moved, model.intercept_ + size * rng.normal()) >= best - model.dual_gap_ - 1e-12)
        faults += int(not np.count_nonzero(model.coef_) <= 45) + int(np.count_nonzero(model.coef_) == 0)
    return Check(float(faults), 0.0, "improvements", "objective")


@evidence(
    "lasso-regression",
    claim="The path equals single fits and begins where all weights are zero",
    against="fits at each penalty",
)
def path() -> Check:
    from fivefold.models.linear import Lasso

    X, y, weight = _rows(50, 30)
    worst = 0.0
    for ratio, mass in ((1.0, None), (0.5, weight)):
        alphas, coefs, intercepts, gaps = Lasso(l1_ratio=ratio, tol=1e-12).path(X, y, mass, n_alphas=8, eps=1e-2)
        v = np.full(50, 1 / 50) if mass is None else mass / mass.sum()
        top = np.abs((X - v @ X).T @ (v * (y - v @ y))).max() / ratio
        worst = largest(worst, np.abs(alphas / np.geomspace(top, top / 100, 8) - 1).max(), np.abs(coefs[:, 0]).max())
        worst = largest(worst, 1.0 - (np.count_nonzero(coefs[:, 1]) > 0), 1e3 * gaps.max() / (v @ (y - v @ y) ** 2))
        for k in (1, 4, 7):
            one = Lasso(alphas[k], l1_ratio=ratio, tol=1e-12).fit(X, y, mass)
            worst = largest(worst, np.abs(one.coef_ - coefs[:, k]).max(), abs(one.intercept_ - intercepts[k]))
    given = Lasso().path(X, y, alphas=[0.1, 1.0])
    worst = largest(worst, np.abs(given[0] - [1.0, 0.1]).max())
    everything = Lasso().path(X, y)[0]
    worst = largest(worst, len(everything) != 100, abs(everything[-1] / everything[0] - 1e-3))
    return Check(worst, 1e-5, "max difference", "single fits")


@evidence("lasso-regression", claim="Weights equal the peer's", against="scikit-learn Lasso and ElasticNet")
def peer() -> Check:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import ElasticNet

    from fivefold.models.linear import Lasso

    worst = 0.0
    rng = np.random.default_rng(0)
    X, y = load_diabetes(return_X_y=True)
    X = X * 20
    weight = rng.integers(0, 3, size=len(y)).astype(float)
    for alpha, ratio in ((1.0, 1.0), (0.05, 1.0), (0.3, 0.5)):
        for mass in (None, weight):
            for bias in (True, False):
                ours = Lasso(alpha, l1_ratio=ratio, fit_intercept=bias, tol=1e-13).fit(X, y, mass)
                theirs = ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=bias, tol=1e-13, max_iter=100_000)
                theirs.fit(X, y, mass)
                worst = largest(worst, np.abs(ours.coef_ - theirs.coef_).max() / np.abs(theirs.coef_).max())
                worst = largest(worst, abs(ours.intercept_ - theirs.intercept_) / 150)
    return Check(worst, 1e-5, "relative difference", "scikit-learn ElasticNet")


@evidence(
    "lasso-regression",
    claim="Sparse rows give the weights of dense ones, whichever way they are stored",
    against="the same rows, dense",
)
def sparse() -> Check:
    import scipy.sparse as sp

    from fivefold.models.linear import Lasso

    rng, worst = np.random.default_rng(3), 0.0
    for n, d in ((80, 20), (40, 150)):
        X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.2) + 4.0 * (rng.random((n, d)) < 0.1)
        X[:, 2] = 0.0
        y = X[:, :5] @ [1.0, -2.0, 1.0, 0.5, 1.0] + rng.normal(size=n) + 3
        weight = rng.integers(0, 3, size=n).astype(float)
        for ratio, mass, bias in ((1.0, None, True), (0.6, weight, True), (1.0, weight, False)):
            plain = Lasso(0.05, l1_ratio=ratio, fit_intercept=bias, tol=1e-14).fit(X, y, mass)
            path = Lasso(l1_ratio=ratio, fit_intercept=bias, tol=1e-14).path(X, y, mass, n_alphas=6, eps=0.02)
            for rows in (sp.csr_array(X), sp.csc_array(X), sp.csr_matrix(X), np.asfortranarray(X)):
                other = Lasso(0.05, l1_ratio=ratio, fit_intercept=bias, tol=1e-14).fit(rows, y, mass)
                worst = largest(
                    worst, np.abs(other.coef_ - plain.coef_).max(), abs(other.intercept_ - plain.intercept_)
                )
                worst = largest(worst, np.abs(other.predict(rows) - plain.predict(X)).max())
                same = Lasso(l1_ratio=ratio, fit_intercept=bias, tol=1e-14).path(rows, y, mass, n_alphas=6, eps=0.02)
                worst = largest(worst, *(np.abs(a - b).max() for a, b in zip(path, same, strict=True)))
                worst = largest(worst, float(other.coef_[2] != 0))
    return Check(worst, 1e-10, "max difference", "dense rows")


@evidence(
    "lasso-regression",
    claim="A working set too large for a Gram matrix is solved by passes over the rows to the same weights",
    against="the Gram matrix",
)
def without_gram() -> Check:
    import scipy.sparse as sp

    from fivefold.models.linear._lasso_columns import Columns
    from fivefold.models.linear._lasso_path import LassoPath

    X, y, weight = _rows(50, 30)
    thin = np.where(np.random.default_rng(2).random(X.shape) < 0.4, X, 0.0)
    worst = 0.0
    for rows in (X, thin):
        for bias, ratio in ((True, 0.5), (False, 1.0)):
            plain = Columns(rows, y, weight + 1, bias)
            goal = 1e-13 * float(plain.target @ plain.target)
            known = LassoPath(plain)
            for columns in (Columns(rows, y, weight + 1, bias), Columns(sp.csc_array(rows), y, weight + 1, bias)):
                # Above 8 features there is no Gram matrix; the first penalties have one.
                found = LassoPath(columns, most=8)
                for alpha in (2.0, 0.5, 0.1):
                    gap, passes = found.solve(alpha * ratio, alpha * (1 - ratio), goal, 100_000)
                    known.solve(alpha * ratio, alpha * (1 - ratio), goal, 100_000)
                    worst = largest(worst, np.abs(found.coef() - known.coef()).max(), 1e-5 * (not gap <= goal))
                worst = largest(worst, float(len(found.members) <= 8), float(not passes >= 1))
                # A gap below zero cannot be had: all passes are used, and not one more.
                for limit in (25, 30):
                    used = LassoPath(columns, most=0).solve(0.1 * ratio, 0.1 * (1 - ratio), -1.0, limit)[1]
                    worst = largest(worst, float(used != limit))
    # A gap of 1e-13 of |y|² (40) leaves the weights within sqrt(2 · 4e-12 / 0.01), the least curvature being near 0.01.
    return Check(worst, 1e-5, "max difference", "Gram matrix")


@evidence(
    "lasso-regression",
    claim="Copies, constant columns, scales of 1e8 and more features than rows leave the minimum what it is",
    against="scikit-learn's objective on the same data",
)
def ill_conditioned() -> Check:
    from sklearn.linear_model import ElasticNet

    from fivefold.models.linear import Lasso

    rng, worst = np.random.default_rng(6), 0.0
    X = rng.normal(size=(60, 8)) + 2
    y = X[:, 0] - X[:, 1] + 0.5 * rng.normal(size=60)
    copies = np.hstack([X, X[:, :3], -X[:, :1], X[:, :1] + X[:, 1:2], np.full((60, 1), 1e8), np.zeros((60, 1))])
    scaled = np.hstack([X, X[:, 2:3] * 1e8, X[:, 3:4] * 1e-8])
    wide = rng.normal(size=(60, 400))
    for rows in (copies, scaled, wide, np.repeat(wide[:, :70], 3, axis=1)):
        for alpha, ratio in ((0.3, 1.0), (1e-3, 1.0), (0.01, 0.5)):
            ours = Lasso(alpha, l1_ratio=ratio, tol=1e-9).fit(rows, y)
            theirs = ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-10, max_iter=100_000).fit(rows, y)

            def value(w: np.ndarray, rows: np.ndarray = rows, alpha: float = alpha, ratio: float = ratio) -> float:
                error = y - y.mean() - (rows - rows.mean(axis=0)) @ w
                return float(error @ error / 120 + alpha * ratio * np.abs(w).sum() + alpha * (1 - ratio) / 2 * w @ w)

            half = float(np.var(y)) / 2
            worst = largest(worst, (value(ours.coef_) - value(theirs.coef_)) / half, ours.dual_gap_ / half)
            moves = rng.normal(size=(100, rows.shape[1])) * 10.0 ** rng.uniform(-8, 0, size=(100, 1))
            best = value(ours.coef_)
            worst = largest(
                worst, *((best - value(ours.coef_ + move / rows.std(axis=0).clip(1))) / half for move in moves)
            )
            worst = largest(worst, *(float(w != 0) for w in ours.coef_[rows.std(axis=0) == 0]))
    return Check(worst, 1.1e-9, "excess over half the variance of y", "scikit-learn ElasticNet")


@evidence(
    "lasso-regression",
    claim="Features that the bound leaves unread are those a full look would leave out, from many rows on",
    against="the gap recomputed with all features",
)
def unread() -> Check:
    from fivefold.models.linear import Lasso

    rng, worst = np.random.default_rng(8), 0.0
    X = np.asfortranarray(rng.normal(size=(120, 1500)))
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X[:, :40:4].sum(axis=1) + 2 * rng.normal(size=120)
    for bias in (True, False):
        alphas, coefs, intercepts, gaps = Lasso(fit_intercept=bias, tol=1e-6).path(X, y, n_alphas=30, eps=1e-3)
        center = y - y.mean() if bias else y
        half = float(center @ center) / 240
        r = y[:, None] - X @ coefs - intercepts
        scale = np.minimum(1.0, alphas * 120 / np.abs(X.T @ r).max(axis=0))
        size = np.square(r).sum(axis=0) / 120
        gap = 0.5 * size + alphas * np.abs(coefs).sum(axis=0) - scale * (center @ r) / 120 + 0.5 * scale**2 * size
        worst = largest(worst, gap.max() / half, 1e3 * np.abs(gap - gaps).max() / half)
        worst = largest(
            worst, float(not np.count_nonzero(coefs[:, -1]) <= 120), float(not np.count_nonzero(coefs[:, -1]) >= 60)
        )
    return Check(worst, 1.001e-6, "relative gap", "definition")


@evidence(
    "lasso-regression",
    claim="Columns a thousandth or a thousandfold as long, with their penalties, give the same path in their unit",
    against="the path at unit scale",
)
def any_unit() -> Check:
    from fivefold.models.linear import Lasso

    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 300))
    y = X[:, :6] @ rng.normal(size=6) + 0.3 * rng.normal(size=50)
    alphas = float(np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max()) / 50 * np.geomspace(0.9, 0.01, 12)
    known = Lasso(tol=1e-12).path(X, y, alphas=alphas)[1]
    worst = 0.0
    for unit in (1e-3, 1e3):
        found = Lasso(tol=1e-12).path(unit * X, y, alphas=unit * alphas)[1]
        worst = largest(worst, np.abs(unit * found - known).max() / np.abs(known).max())
    # A gap of 1e-12 of the objective leaves coefficients of size one within about 1e-5 where the curvature is near 0.01.
    return Check(worst, 1e-5, "largest relative difference", "unit scale")
