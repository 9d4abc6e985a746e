"""The multiclass support vector machine: its two-class form, brute force, the gap, costs, weights and the peer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _rows(k: int = 3, n: int = 45) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(10 * k)
    X = rng.normal(size=(n, 4)) * [1, 2, 0.5, 1] + 0.5
    return X, (X @ rng.normal(size=(4, k)) + rng.gumbel(size=(n, k))).argmax(axis=1), rng.integers(0, 4, n) * 1.0


def _value(X: np.ndarray, codes: np.ndarray, W: np.ndarray, price: Any, cost: np.ndarray) -> float:
    """Return the objective as it is written, W (d, K)."""
    Z = X @ W
    slack = (cost[codes] + Z - Z[np.arange(len(Z)), codes][:, None]).max(axis=1)
    return float(0.5 * (W**2).sum() + (price * slack).sum())


@evidence(
    "multiclass-svm", claim="Two classes are the usual machine at twice the price", against="svm-soft-margin's dual"
)
def two_classes() -> Check:
    from fivefold.models.linear import SVC, MulticlassSVM

    X, codes, weight = _rows(2)
    worst = 0.0
    for C, mass in ((0.3, None), (2.0, weight)):
        ours = MulticlassSVM(C, intercept_scaling=2.0, tol=1e-9).fit(X, codes, mass)
        v = np.ones(len(X)) if mass is None else mass
        # The penalized bias is a constant feature of value 2; the machine without a bias is solved by a general program.
        wide = np.hstack([X, np.full((len(X), 1), 2.0)])
        w = np.append(ours.coef_[0], ours.intercept_[0] / 2)
        sign = 2.0 * codes - 1
        value = 0.5 * w @ w + 2 * C * v @ np.maximum(0, 1 - sign * (wide @ w))
        from scipy.optimize import Bounds, minimize

        Q = (sign[:, None] * wide) @ (sign[:, None] * wide).T
        dual = minimize(
            lambda a, Q=Q: 0.5 * a @ Q @ a - a.sum(),
            np.zeros(len(X)),
            jac=lambda a, Q=Q: Q @ a - 1,
            bounds=Bounds(np.zeros(len(X)), 2 * C * v),
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
        )
        worst = largest(worst, abs(value + dual.fun) / value, abs(ours.objective_ * 2 - value) / value)
        worst = largest(worst, np.abs(ours.predict(X) != (wide @ w > 0)).max())
    # Without a bias and rows in pairs x, -x of opposite classes the kernel machine's free bias is zero as well.
    X2, y2 = np.vstack([X, -X]), np.r_[codes, 1 - codes]
    ours = MulticlassSVM(0.5, fit_intercept=False, tol=1e-9).fit(X2, y2)
    kernel = SVC(C=1.0, kernel="linear", tol=1e-8).fit(X2, y2)
    worst = largest(worst, 1e-3 * np.abs(ours.coef_ - kernel.coef_).max(), float(ours.intercept_[0] != 0))
    return Check(worst, 1e-6, "relative difference")


@evidence(
    "multiclass-svm", claim="The gap is the true one and no perturbation improves the objective", against="definition"
)
def optimality() -> Check:
    from fivefold.models.linear import MulticlassSVM

    rng, worst = np.random.default_rng(0), 0.0
    cost = np.array([[0, 1, 2.5], [0.5, 0, 1], [3, 1, 0.0]])
    for k, given, factor in ((3, None, None), (3, cost, {1: 2.0}), (4, None, "balanced")):
        X, codes, weight = _rows(k)
        for rows in (X, sp.csr_array(X)):
            model = MulticlassSVM(0.4, cost=given, tol=1e-8, class_weight=factor)
            model.fit(rows, codes, weight)
            mass = np.bincount(codes, weights=weight)
            scale = (
                np.ones(k)
                if factor is None
                else np.array([1, 2.0, 1])
                if factor != "balanced"
                else mass.sum() / (k * mass)
            )
            price = 0.4 * weight * scale[codes]
            margin = 1 - np.eye(k) if given is None else given
            wide = np.hstack([X, np.ones((len(X), 1))])
            W = np.vstack([model.coef_.T, model.intercept_])
            a = model.dual_coef_
            worst = largest(worst, np.abs(wide.T @ a - W).max() * 1e3, np.abs(a.sum(axis=1)).max() * 1e3)
            cap = np.where(codes[:, None] == np.arange(k), price[:, None], 0)
            worst = largest(worst, (a - cap).max() * 1e3)
            value = _value(wide, codes, W, price, margin)
            gap = value + 0.5 * (W**2).sum() + (margin[codes] * a).sum()
            worst = largest(worst, abs(value - model.objective_) / value, abs(gap / value - model.dual_gap_))
            worst = largest(worst, model.dual_gap_ / 1e-8 * 1e-6)
            for _ in range(34):
                moved = W + 10.0 ** rng.uniform(-5, 0) * rng.normal(size=W.shape)
                worst = largest(worst, (value - _value(wide, codes, moved, price, margin)) / value)
            worst = largest(worst, float((model.predict(rows) != (wide @ W).argmax(axis=1)).any()))
    facts = MulticlassSVM()
    stated = (facts.C, facts.cost, facts.fit_intercept, facts.intercept_scaling, facts.tol, facts.max_iter)
    return Check(worst + (stated != (1.0, None, True, 1.0, 1e-4, 10_000)), 1.01e-6, "violation")


@evidence("multiclass-svm", claim="Two rows have their closed form", against="closed form")
def closed_form() -> Check:
    from fivefold.models.linear import MulticlassSVM

    worst = 0.0
    # x = 1 of class 0 and x = -1 of class 1: w_0 = -w_1 = a, with margin 2a = 1 when C allows, else a = 2C.
    for C, a in ((1.0, 0.5), (0.1, 0.2)):
        model = MulticlassSVM(C, fit_intercept=False, tol=1e-12).fit([[1.0], [-1.0]], [0, 1])
        worst = largest(worst, abs(model.coef_[0, 0] + 2 * a), abs(model.objective_ - (a * a + 2 * C * (1 - 2 * a))))
    # Weights of the slack count like repeated rows.
    X, codes, weight = _rows()
    again = np.repeat(np.arange(len(X)), weight.astype(int))
    one = MulticlassSVM(tol=1e-9).fit(X, codes, weight)
    two = MulticlassSVM(tol=1e-9, random_state=3).fit(X[again], codes[again])
    worst = largest(worst, abs(one.objective_ / two.objective_ - 1), 1e-3 * np.abs(one.coef_ - two.coef_).max())
    return Check(worst, 1e-6, "error")


@evidence("multiclass-svm", claim="Weights equal the peer's", against="scikit-learn LinearSVC(crammer_singer)")
def peer() -> Check:
    from sklearn.datasets import load_iris, load_wine
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import scale
    from sklearn.svm import LinearSVC

    from fivefold.models.linear import MulticlassSVM

    worst = 0.0
    for load, C, bias in ((load_iris, 0.1, True), (load_wine, 1.0, True), (load_wine, 0.05, False)):
        X, y = load(return_X_y=True)
        X = scale(X)
        theirs = LinearSVC(C=C, multi_class="crammer_singer", tol=1e-8, max_iter=200_000, fit_intercept=bias)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs.fit(X, y)
        ours = MulticlassSVM(C, tol=1e-9, fit_intercept=bias).fit(X, y)
        worst = largest(
            worst, np.abs(ours.coef_ - theirs.coef_).max(), np.abs(ours.intercept_ - theirs.intercept_).max()
        )
    # Strong convexity 1: |W - W*| <= sqrt(2 gap) with a gap of 1e-9 of an objective below 20.
    return Check(worst, 2 * np.sqrt(2 * 1e-9 * 20), "largest difference", "scikit-learn LinearSVC")
