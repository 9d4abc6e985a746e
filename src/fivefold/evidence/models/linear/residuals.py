"""Residuals of a minimum from the objective as written, and errors of rows left out from fits without them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax

from fivefold.evidence import Check, evidence, largest


def _rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(70, 3))
    return X, (X[:, 0] + rng.normal(size=70) > 0.3) + 2 * (X[:, 1] > 0.8), rng.integers(0, 3, size=70) + 0.5


def _gradient(model: Any, X: np.ndarray, target: np.ndarray, weight: np.ndarray, C: float) -> np.ndarray:
    """Return the gradient of the mean objective: (K, d + 1)."""
    scores = X @ model.coef_.T + model.intercept_  # (n, K)
    one_against_all = scores.shape[1] == 1 or type(model).__name__ == "OneVsRestLogistic"
    p = expit(scores) if one_against_all else softmax(scores, axis=1)
    share = ((p - target) * weight[:, None]).T / weight.sum()  # (K, n)
    return np.column_stack([share @ X + model.coef_ / (C * weight.sum()), share.sum(axis=1)])


@evidence("logistic-regression", claim="The residual is the largest entry of the gradient", against="the formula")
@evidence("softmax-regression", claim="The residual is the largest entry of the gradient", against="the formula")
@evidence("one-vs-rest-logistic", claim="The residual is the largest entry of the gradients", against="the formula")
def linear_residuals() -> Check:
    from fivefold.models.linear import LogisticRegression, OneVsRestLogistic, SoftmaxRegression

    X, y, weight = _rows()
    worst = 0.0
    for kind, labels in ((LogisticRegression, y % 2), (SoftmaxRegression, y), (OneVsRestLogistic, y)):
        target = (labels[:, None] == np.unique(labels)[None, :]).astype(float)
        target = target[:, 1:] if kind is LogisticRegression else target
        for C in (0.1, 100.0):
            model = kind(C=C, tol=1e-3).fit(X, labels, weight)
            worst = largest(worst, abs(np.abs(_gradient(model, X, target, weight, C)).max() - model.kkt_residual_))
            worst = largest(worst, 1.0 if model.kkt_residual_ > 1e-3 else 0.0)
    return Check(worst, 1e-12, "max difference", "the formula")


@evidence(
    "kernel-logistic-regression",
    claim="The residual is that of the features of the kernel matrix; multipliers and biases of classes sum to zero",
    against="the formula",
)
def kernel_residuals() -> Check:
    from fivefold.models.linear import KernelLogisticRegression

    X, y, weight = _rows()
    K = np.exp(-0.5 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    values, vectors = np.linalg.eigh(K)
    root = np.sqrt(np.maximum(values, 0))
    worst = 0.0
    for labels in (y % 2, y):
        target = (labels[:, None] == np.unique(labels)[None, :]).astype(float)
        target = target[:, 1:] if target.shape[1] == 2 else target
        model = KernelLogisticRegression(C=3.0, kernel="rbf", gamma=0.5, tol=1e-3).fit(X, labels, weight)
        alpha = np.zeros(target.shape)
        alpha[model.support_] = model.dual_coef_
        scores = K @ alpha + model.intercept_
        p = expit(scores) if target.shape[1] == 1 else softmax(scores, axis=1)
        share = (p - target) * weight[:, None] / weight.sum()
        gradient = root[:, None] * (vectors.T @ (share + alpha / (3.0 * weight.sum())))  # (n, K)
        found = largest(np.abs(gradient).max(), np.abs(share.sum(axis=0)).max())
        worst = largest(worst, abs(found - model.kkt_residual_))
        if target.shape[1] > 1:
            worst = largest(worst, np.abs(alpha.sum(axis=1)).max() / np.abs(alpha).max(), abs(model.intercept_.sum()))
    return Check(worst, 1e-9, "max difference", "the formula")


@evidence(
    "lasso-regression",
    claim="Errors without a row equal those of fits without it where these keep features and signs",
    against="as many fits as rows",
)
def lasso_without_a_row() -> Check:
    from fivefold.models.linear import Lasso

    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 6)) + 1.0
    y = 2 * X[:, 0] - X[:, 1] + 3.0 + 0.5 * rng.normal(size=40)
    weight = rng.uniform(0.5, 2.0, size=40)
    worst, same = 0.0, []
    for ratio, bias, mass in ((1.0, True, np.ones(40)), (0.4, True, weight), (0.7, False, weight)):
        model = Lasso(0.15, l1_ratio=ratio, fit_intercept=bias, tol=1e-14)
        found, signs = model.leave_one_out(X, y, mass), np.sign(model.fit(X, y, mass).coef_)
        same.append(0)
        for i in range(40):
            rest = np.arange(40) != i
            model.set_params(alpha=0.15 * mass.sum() / mass[rest].sum()).fit(X[rest], y[rest], mass[rest])
            if np.array_equal(np.sign(model.coef_), signs):
                same[-1] += 1
                worst = largest(worst, abs(y[i] - model.predict(X[i : i + 1])[0] - found[i]))
    # Newton steps end at the limit of rounding; half the rows at least have to be compared.
    worst = largest(worst, 1.0 if min(same) < 20 else 0.0)
    alone = np.zeros((10, 1))
    alone[3] = 1.0
    through = Lasso(1e-3, tol=1e-14).leave_one_out(alone, np.append(np.zeros(9), 1.0)[[0, 1, 2, 9, 3, 4, 5, 6, 7, 8]])
    worst = largest(worst, float(not np.isposinf(through[3])), float(np.isinf(np.delete(through, 3)).any()))
    return Check(worst, 1e-11, "max difference", "fits without the row")
