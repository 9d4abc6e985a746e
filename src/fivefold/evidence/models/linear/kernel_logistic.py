"""Kernel logistic regression: the linear kernel, the condition on the multipliers, circles and weights."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _rows(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    X = rng.normal(size=(50, 4)) * [1, 2, 0.5, 1] + 0.5
    return X, (X @ rng.normal(size=(4, k)) + rng.gumbel(size=(50, k))).argmax(axis=1), rng.integers(0, 4, 50) * 1.0


@evidence(
    "kernel-logistic-regression", claim="A linear kernel is logistic or softmax regression", against="those models"
)
def linear_kernel() -> Check:
    from sklearn.linear_model import LogisticRegression

    from fivefold.models.linear import KernelLogisticRegression

    worst = 0.0
    for k in (2, 3):
        X, codes, weight = _rows(k)
        y = np.array(["c", "a", "b"])[codes]
        for C, bias, mass in ((0.5, True, None), (3.0, False, weight), (1.0, True, weight)):
            linear = LogisticRegression(C=C, fit_intercept=bias, tol=1e-10, solver="newton-cholesky").fit(X, y, mass)
            for rows in (X, sp.csr_array(X)):
                model = KernelLogisticRegression(C, kernel="linear", fit_intercept=bias, tol=1e-9).fit(rows, y, mass)
                worst = largest(worst, np.abs(model.predict_proba(rows) - linear.predict_proba(X)).max())
                worst = largest(worst, float((model.predict(rows) != linear.predict(X)).any()))
                gap = model.intercept_ - linear.intercept_
                worst = largest(worst, np.abs(gap if k == 2 else gap - gap.mean()).max())
                if k == 2:
                    worst = largest(worst, np.abs(model.decision_function(rows) - linear.decision_function(X)).max())
    return Check(worst, 1e-6, "largest difference", "scikit-learn LogisticRegression")


@evidence(
    "kernel-logistic-regression",
    claim="The multipliers are C v (target - probability), and no perturbation improves the objective",
    against="the optimality condition and the objective written out",
)
def condition() -> Check:
    from fivefold.models.linear import KernelLogisticRegression

    rng, worst = np.random.default_rng(5), 0.0
    for k in (2, 3):
        X, codes, weight = _rows(k)
        for kind, C, factor in (("rbf", 2.0, None), ("poly", 0.3, "balanced"), ("rbf", 50.0, {0: 2.0})):
            model = KernelLogisticRegression(
                C, kernel=kind, gamma=0.4, degree=2, coef0=1.0, tol=1e-9, class_weight=factor
            )
            model.fit(X, codes, weight)
            rows = model.support_
            mass = np.bincount(codes, weights=weight)
            scale = mass.sum() / (k * mass) if factor == "balanced" else np.r_[2.0 if factor else 1.0, np.ones(k - 1)]
            v = (weight * scale[codes])[rows]
            product = X[rows] @ X[rows].T
            square = (X[rows] ** 2).sum(axis=1)
            K = np.exp(-0.4 * (square[:, None] + square - 2 * product)) if kind == "rbf" else (0.4 * product + 1) ** 2
            chance = model.predict_proba(X[rows])
            target = (codes[rows, None] == np.arange(k)) * 1.0
            pull = C * v[:, None] * (target - chance)
            a = model.dual_coef_
            pull = pull[:, 1:] if k == 2 else pull
            # Where the kernel has no full rank, only the functions are unique.
            worst = largest(worst, np.abs(K @ (a - pull)).max(), np.abs(pull.sum(axis=0)).max())
            worst = largest(worst, float(not np.array_equal(rows, np.flatnonzero(weight))))

            mine = codes[rows]

            def value(
                a: np.ndarray, b: np.ndarray, K: np.ndarray = K, C: float = C, v: np.ndarray = v, y: np.ndarray = mine
            ) -> float:
                Z = K @ a + b
                Z = np.hstack([np.zeros_like(Z), Z]) if Z.shape[1] == 1 else Z
                loss = np.logaddexp.reduce(Z, axis=1) - Z[np.arange(len(Z)), y]
                return float(v @ loss + np.vdot(a, K @ a) / (2 * C))

            best = value(a, model.intercept_)
            for _ in range(17):
                size = 10.0 ** rng.uniform(-4, 0)
                moved = value(
                    a + size * rng.normal(size=a.shape), model.intercept_ + size * rng.normal(size=a.shape[1])
                )
                worst = largest(worst, best - moved)
    facts = KernelLogisticRegression()
    stated = (
        facts.C,
        facts.kernel,
        facts.gamma,
        facts.degree,
        facts.coef0,
        facts.fit_intercept,
        facts.tol,
        facts.max_iter,
    )
    return Check(worst + (stated != (1.0, "rbf", "scale", 3, 0.0, True, 1e-8, 100)), 1e-4, "largest violation")


@evidence(
    "kernel-logistic-regression", claim="Two circles come apart with an RBF kernel only", against="the linear kernel"
)
def circles() -> Check:
    from fivefold.models.linear import KernelLogisticRegression

    rng = np.random.default_rng(0)
    angle, y = rng.uniform(0, 2 * np.pi, 200), np.arange(200) % 2
    X = (1 + 2 * y + 0.1 * rng.normal(size=200))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    train, rest = slice(0, 120), slice(120, None)
    radial = KernelLogisticRegression(10.0).fit(X[train], y[train])
    precomputed = KernelLogisticRegression(10.0, kernel="precomputed")
    matrix = np.exp(-radial.gamma_ * ((X[:, None] - X[None, train]) ** 2).sum(axis=2))
    precomputed.fit(matrix[train], y[train])
    apart = np.abs(precomputed.predict_proba(matrix[rest]) - radial.predict_proba(X[rest])).max()
    flat = KernelLogisticRegression(10.0, kernel="linear").fit(X[train], y[train])
    faults = (not radial.score(X[rest], y[rest]) >= 1) + (not flat.score(X[rest], y[rest]) <= 0.75)
    return Check(float(apart + faults), 1e-8, "difference and faults")


@evidence("kernel-logistic-regression", claim="A weight counts like repeated rows", against="repetition")
def weights() -> Check:
    from fivefold.models.linear import KernelLogisticRegression

    worst = 0.0
    for k in (2, 3):
        X, codes, weight = _rows(k)
        again = np.repeat(np.arange(50), weight.astype(int))
        for factor in (None, "balanced"):
            one = KernelLogisticRegression(gamma=0.3, tol=1e-9, class_weight=factor).fit(X, codes, weight)
            two = KernelLogisticRegression(gamma=0.3, tol=1e-9, class_weight=factor).fit(X[again], codes[again])
            worst = largest(worst, np.abs(one.predict_proba(X) - two.predict_proba(X)).max())
    return Check(worst, 1e-6, "largest difference")
