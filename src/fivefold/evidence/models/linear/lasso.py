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
            worst = largest(worst, abs(gap - model.dual_gap_) / half, 1e-5 * (model.dual_gap_ / half > 1e-12))
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
            faults += int(value(moved, model.intercept_ + size * rng.normal()) < best - model.dual_gap_ - 1e-12)
        faults += int(np.count_nonzero(model.coef_) > 45) + int(np.count_nonzero(model.coef_) == 0)
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
