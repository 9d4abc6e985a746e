"""Sparse columns by the thousand: passes over rows, the step on the face, the whole fit beside dense solvers and the peer."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, fault, largest


def _wide(n: int = 300, d: int = 400, seed: int = 3) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
    """Return sparse rows of more columns than the exact solver takes, labels and whole weights."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, d), density=0.05, rng=rng, format="csr") + sp.csr_array(
        rng.random((n, 1)) * (rng.random((n, d)) < 0.02)
    )
    X = sp.csr_array(X)
    y = (X @ rng.normal(size=d) + 0.5 * rng.normal(size=n) > 0.2).astype(int)
    return X, y, rng.integers(0, 4, size=n).astype(float)


def _value(X: Any, y: np.ndarray, v: np.ndarray, w: np.ndarray, b: float, C: float, ratio: float) -> float:
    """Return the objective as it is written, over the sum of the weights."""
    margin = (2.0 * y - 1.0) * (X @ w + b)
    penalty = ratio * np.abs(w).sum() + 0.5 * (1 - ratio) * (w @ w)
    return float((v @ np.logaddexp(0.0, -margin) + penalty / C) / v.sum())


@evidence(
    "logistic-regression",
    claim="Sums over compressed rows are those of the dense matrix",
    against="NumPy matrix products",
)
@evidence(
    "sparse-logistic-regression",
    claim="Sums over compressed rows are those of the dense matrix",
    against="NumPy matrix products",
)
def passes() -> Check:
    from fivefold.models.linear._columns import Columns
    from fivefold.models.linear._sparse_rows import Rows

    rng, worst = np.random.default_rng(0), 0.0
    for n, d, density in ((1, 1, 1.0), (7, 3, 0.5), (200, 6, 0.5), (30, 90, 0.02), (5, 4, 0.0)):
        A = rng.normal(size=(n, d)) * (rng.random((n, d)) < density)
        w, r, h, shift = rng.normal(size=d), rng.normal(size=n), rng.random(n), 0.7
        work = np.flatnonzero(rng.random(d) < 0.6)
        long = sp.csr_array(A)
        long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
        for X in (sp.csr_array(A), sp.csr_matrix(A), sp.csc_array(A), long, sp.csr_array(A.astype(np.float32))):
            dense = X.toarray().astype(float)
            rows, columns = Rows(X), Columns(X)
            image, sums = rows.bend(h, w, shift)
            pairs = [
                (rows.scores(w), dense @ w),
                (rows.sums(r), dense.T @ r),
                (rows.squares(h), (dense**2).T @ h),
                (image, dense @ w + shift),
                (sums, dense.T @ (h * (dense @ w + shift))),
                (columns.combine(work, w[work]), dense[:, work] @ w[work]),
                (columns.products(work, r), dense[:, work].T @ r),
                (columns.curvatures(work, h), (dense[:, work] ** 2).T @ h),
                (Columns(dense).curvatures(work, h), (dense[:, work] ** 2).T @ h),
            ]
            for got, known in pairs:
                worst = largest(worst, float(got.shape != known.shape), np.abs(got - known).max(initial=0.0))
    # Sums of 200 products of numbers below 5 in any order.
    return Check(worst, 200 * 25 * 2.0**-52, "error", "NumPy")


@evidence(
    "sparse-logistic-regression",
    claim="Conjugate gradients within a trust region, a step at a time",
    against="worked by hand",
)
def trust_region_by_hand() -> Check:
    from fivefold.models.linear._sparse_newton import _conjugate_gradients

    H, slope, ones = np.diag([1.0, 3.0]), np.array([1.0, 1.0]), np.ones(2)
    worst = 0.0
    # The first step is (1/2, 1/2) with the residual (1/2, -1/2), half the slope; the second ends at (1, 1/3).
    first, whole = np.array([0.5, 0.5]), np.array([1.0, 1 / 3])
    half, left = np.sqrt(0.5), float(np.hypot(*whole))
    between = first + (whole - first) * 0.25
    for c in (1.0, 4.0):  # lengths count by the diagonal c
        cases = [
            (np.inf, 1, first, False),
            (np.inf, 2, whole, False),
            (np.inf, 9, whole, False),
            (np.sqrt(c) * half * 0.5, 9, 0.5 * first, True),
            (np.sqrt(c) * half * (1 + 1e-9), 1, first, False),
            (np.sqrt(c) * float(np.hypot(*between)), 9, between, True),
            (np.sqrt(c) * left * (1 + 1e-9), 9, whole, False),
        ]
        for radius, most, known, edge in cases:
            step, ended = _conjugate_gradients(lambda v: H @ v, slope, c * ones, radius, most)
            worst = largest(worst, np.abs(step - known).max(), float(ended != edge))
    # The exact diagonal takes one step; a residual of a tenth of the slope is small enough, a little more is not.
    step, _ = _conjugate_gradients(lambda v: H @ v, slope, np.array([1.0, 3.0]), np.inf, 9)
    worst = largest(worst, np.abs(step - whole).max())
    for spread, known in ((0.0999, False), (0.1001, True)):
        near = np.diag([1 - spread, 1 + spread])
        # From (1, 1) the step has length one and leaves the residual (spread, -spread).
        step, _ = _conjugate_gradients(lambda v, near=near: near @ v, slope, ones, np.inf, 9)
        solved = np.abs(near @ step - slope).max() < 1e-12
        worst = largest(worst, float(solved != known))
    # Without curvature nothing is known beyond the start.
    step, ended = _conjugate_gradients(lambda v: 0.0 * v, slope, ones, np.inf, 9)
    return Check(largest(worst, np.abs(step).max(), float(ended)), 1e-12, "error", "worked by hand")


@evidence(
    "sparse-logistic-regression",
    claim="A step on the face is Newton's, stops at zero, shrinks and rests as stated",
    against="NumPy, by hand",
)
def step_on_the_face() -> Check:
    from fivefold.models.linear._columns import Columns
    from fivefold.models.linear._sparse_newton import BinaryDescent

    worst = 0.0
    rng = np.random.default_rng(5)
    n, share = 40, rng.random(40) + 0.5
    share /= share.sum()
    sign = np.where(rng.random(n) < 0.4, 1.0, -1.0)
    # Columns that share no row have a diagonal Hessian, which conjugate gradients solve in one step.
    A = np.zeros((n, 6))
    A[np.arange(n), np.arange(n) % 5] = rng.normal(size=n) + 1.0
    for many in (False, True):
        dense = A.copy()
        if many:
            dense[:, 5] = 1.0  # never active; with it the active columns hold less than half of the entries
        X = sp.csr_array(dense)
        for l1, l2 in ((1e-4, 0.0), (3e-4, 0.02)):
            descent = BinaryDescent(X, Columns(X), sign, share, l1, l2, False)
            w = np.array([0.3, -0.2, 0.0, 0.25, -0.4, 0.0]) * np.array([1, 1, 1, 0 if many else 1, 1, 0])
            b, z = np.zeros(1), dense @ w
            chance = 1 / (1 + np.exp(-z))
            slope = dense.T @ (share * ((sign > 0) - chance)) - l2 * w - l1 * np.sign(w)
            bend = (dense**2).T @ (share * chance * (1 - chance)) + l2
            known = w + np.where(w != 0, slope, 0.0) / np.maximum(bend, 1e-300)
            known = np.where(known * np.sign(w) > 0, known, w)  # those that would cross are left alone
            moved = descent.face(w, b, z)
            worst = largest(worst, np.abs(w - known).max(), np.abs(z - dense @ w).max(), float(not moved), abs(b[0]))
            worst = largest(worst, float(descent.crossed), float(descent.radius != np.inf))
    # A weight and the bias: the step solves both equations; a weight beyond zero stops there.
    for start in (0.4, 2.0):
        dense = rng.normal(size=(n, 1))
        X = sp.csr_array(dense)
        descent = BinaryDescent(X, Columns(X), sign, share, 1e-3, 0.1, True)
        w, b = np.array([start]), np.array([0.1])
        z = dense @ w + b
        chance = 1 / (1 + np.exp(-z))
        h, r = share * chance * (1 - chance), share * ((sign > 0) - chance)
        D = np.hstack([dense, np.ones((n, 1))])
        slope = D.T @ r - np.array([0.1 * start + 1e-3, 0.0])
        before = descent.loss(z) + descent.penalty(w)
        descent.face(w, b, z)
        after = descent.loss(z) + descent.penalty(w)
        worst = largest(worst, np.abs(z - dense @ w - b).max(), float(not after <= before), float(not w[0] >= 0))
        hessian = (D.T * h) @ D + np.diag([0.1, 0.0])
        scale = np.diagonal(hessian)
        stays = np.array([start + slope[0] / scale[0] > 0, True])
        residual = slope - hessian @ (np.array([w[0], b[0]]) - [start, 0.1])
        if not descent.crossed and descent.radius == np.inf:
            off = np.linalg.norm(residual[stays]) / np.linalg.norm(slope[stays])
            worst = largest(worst, float(not off <= 0.1 + 1e-9))
    # Far out the curvature misleads: the whole step overshoots, its halves are tried, and the region is their length.
    X = sp.csr_array(np.ones((2, 1)))
    descent = BinaryDescent(X, Columns(X), np.array([1.0, -1.0]), np.array([0.5, 0.5]), 1e-6, 0.0, False)
    w, b = np.array([4.0]), np.zeros(1)
    z = np.array([4.0, 4.0])
    q = 1 / (1 + np.exp(-4.0))
    newton = (0.5 * (1 - 2 * q) - 1e-6 + 0.0) / (q * (1 - q)) * 1.0
    # Its own curvature sends the weight through zero: nothing is left to do here.
    worst = largest(worst, float(not 4.0 + newton <= 0), float(descent.face(w, b, z)), abs(w[0] - 4.0))
    return Check(worst, 1e-12, "error", "NumPy")


@evidence(
    "sparse-logistic-regression",
    claim="Wide sparse data end at the optimality conditions and at the gap, with weights, bias and both penalties",
    against="the conditions and the objective written out",
)
def wide_data() -> Check:
    from fivefold.models.linear import SparseLogisticRegression

    X, y, mass = _wide()
    dense, worst = X.toarray(), 0.0
    for C, ratio, weight, bias in (
        (0.3, 1.0, None, True),
        (3.0, 1.0, mass, False),
        (30.0, 1.0, mass, True),
        (3.0, 0.4, mass, True),
        (300.0, 0.5, None, False),
    ):
        v = np.ones(len(y)) if weight is None else weight
        model = SparseLogisticRegression(C, l1_ratio=ratio, fit_intercept=bias, tol=1e-9, max_iter=200)
        model.fit(X, y, weight)
        w, b = model.coef_[0], float(model.intercept_[0])
        r = v * (y - 1 / (1 + np.exp(-(dense @ w + b))))
        pull = dense.T @ r - (1 - ratio) / C * w
        l1 = ratio / C
        off = np.where(w != 0, np.abs(pull - l1 * np.sign(w)), np.maximum(np.abs(pull) - l1, 0.0)).max()
        value = _value(dense, y, v, w, b, C, ratio)
        # A gap of g bounds the squared violations by 2 g P L, with the curvature L of the heaviest column at most Σ v x² / 4.
        reach = np.sqrt(2e-9 * value * v.sum() * (v @ dense**2).max() / 4)
        worst = largest(worst, off / reach, abs(value - model.objective_) / value / 1e-12)
        worst = largest(worst, abs(r.sum()) / reach / 10 if bias else fault(b != 0.0), model.dual_gap_ / 1e-9)
    return Check(worst, 1.0, "error / its bound")


@evidence(
    "sparse-logistic-regression",
    claim="Sparse and dense columns of one matrix end at one objective; 1 and 2 threads at the same weights",
    against="the dense solver",
)
def sparse_is_dense() -> Check:
    import numba

    from fivefold.models.linear import SparseLogisticRegression

    X, y, mass = _wide(d=300)
    worst = 0.0
    for C, ratio in ((1.0, 1.0), (10.0, 0.7)):
        model = SparseLogisticRegression(C, l1_ratio=ratio, tol=1e-8).fit(X, y, mass)
        other = SparseLogisticRegression(C, l1_ratio=ratio, tol=1e-8).fit(X.toarray(), y, mass)
        worst = largest(worst, abs(model.objective_ - other.objective_) / other.objective_ / 1e-8)
        same = SparseLogisticRegression(C, l1_ratio=ratio, tol=1e-8).fit(sp.csc_matrix(X), y, mass)
        worst = largest(worst, np.abs(model.coef_ - same.coef_).max() / 1e-10)
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            one = SparseLogisticRegression(C, l1_ratio=ratio, tol=1e-8).fit(X, y, mass)
        finally:
            numba.set_num_threads(before)
        worst = largest(worst, np.abs(model.coef_ - one.coef_).max() / 1e-10)
    return Check(worst, 1.0, "difference / its bound")


@evidence(
    "sparse-logistic-regression",
    claim="Without an intercept the weights are liblinear's",
    against="scikit-learn liblinear",
    peer="sklearn",
)
def peer_without_bias() -> Check:
    from sklearn.linear_model import LogisticRegression

    from fivefold.models.linear import SparseLogisticRegression

    X, y, _ = _wide(n=300, d=300, seed=8)
    theirs = LogisticRegression(
        C=2.0, l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=1e-7, max_iter=20_000, random_state=0
    ).fit(sp.csr_matrix(X), y)
    ours = SparseLogisticRegression(2.0, fit_intercept=False, tol=1e-12).fit(X, y)
    worst = np.abs(ours.coef_ - theirs.coef_).max()
    support = np.mean((ours.coef_ != 0) != (theirs.coef_ != 0))
    return Check(largest(worst, float(not support <= 0.01)), 1e-4, "largest difference", "scikit-learn liblinear")
