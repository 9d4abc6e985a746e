"""Convex solutions on hard data: a hundred perturbations lower no objective, and the peer finds nothing lower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _hard() -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return dense, sparse, collinear, constant and unlike-scaled rows of one problem, a score and weights."""
    import scipy.sparse as sp

    rng = np.random.default_rng(12)
    X = rng.normal(size=(90, 6))
    thin = np.where(rng.random(X.shape) < 0.3, X, 0.0)
    rows = {
        "dense": X,
        "sparse": sp.csr_array(thin),
        "collinear": np.hstack([X, X[:, :2], X[:, :1] - X[:, 1:2]]),
        "constant": np.hstack([X, np.full((90, 1), 3.0), np.zeros((90, 1))]),
        "scaled": X * np.array([1, 1e2, 1, 1e-2, 1, 1]),
    }
    return rows, X[:, 0] - X[:, 1] + rng.normal(size=90), rng.integers(0, 3, size=90).astype(float)


def _improvement(value: Callable[[np.ndarray], float], theta: np.ndarray, scale: np.ndarray) -> float:
    """Return by how much the best of a hundred perturbations lowers an objective, as a share of it."""
    rng = np.random.default_rng(1)
    best = value(theta)
    moved = [value(theta + 10.0 ** rng.uniform(-8, 0) * rng.normal(size=theta.shape) / scale) for _ in range(100)]
    return largest(*((best - one) / abs(best) for one in moved))


def _spread(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    dense = rows.toarray() if hasattr(rows, "toarray") else rows
    return dense, np.append(np.where(dense.std(axis=0) > 0, dense.std(axis=0), 1.0), 1.0)


@evidence(
    "ridge-regression",
    claim="On collinear, constant, unlike-scaled, sparse and weighted rows nothing near the solution is better",
    against="a hundred perturbations of the objective and scikit-learn Ridge",
)
def ridge() -> Check:
    from sklearn.linear_model import Ridge as Peer

    from fivefold.models.linear import Ridge

    cases, score, weight = _hard()
    worst = 0.0
    for rows in cases.values():
        dense, scale = _spread(rows)
        for alpha in (1e-6, 1.0, 1e6):
            for mass in (np.ones(90), weight):
                model = Ridge(alpha).fit(rows, score, mass)

                def value(
                    theta: np.ndarray, dense: np.ndarray = dense, alpha: float = alpha, mass: np.ndarray = mass
                ) -> float:
                    error = score - dense @ theta[:-1] - theta[-1]
                    return float(mass @ error**2 + alpha * theta[:-1] @ theta[:-1])

                theta = np.append(model.coef_, model.intercept_)
                worst = largest(worst, _improvement(value, theta, scale))
                peer = Peer(alpha).fit(dense, score, mass)
                worst = largest(worst, value(theta) / value(np.append(peer.coef_, peer.intercept_)) - 1)
    return Check(worst, 1e-12, "relative improvement", "perturbations, scikit-learn Ridge")


@evidence(
    "logistic-regression",
    claim="On collinear, constant, unlike-scaled, sparse and weighted rows nothing near the solution is better, up to C = 1e6",
    against="a hundred perturbations of the objective and scikit-learn LogisticRegression",
)
def logistic() -> Check:
    from sklearn.linear_model import LogisticRegression as Peer

    from fivefold.models.linear import LogisticRegression

    cases, score, weight = _hard()
    y = (score > 0).astype(int)
    sign = np.where(y == 1, 1.0, -1.0)
    worst = 0.0
    for rows in cases.values():
        dense, scale = _spread(rows)
        for C in (1e-2, 1.0, 1e6):
            for mass in (np.ones(90), weight):
                model = LogisticRegression(C=C, tol=1e-10).fit(rows, y, mass)

                def value(theta: np.ndarray, dense: np.ndarray = dense, C: float = C, mass: np.ndarray = mass) -> float:
                    loss = np.logaddexp(0, -sign * (dense @ theta[:-1] + theta[-1]))
                    return float(mass @ loss + theta[:-1] @ theta[:-1] / (2 * C))

                theta = np.append(model.coef_[0], model.intercept_[0])
                worst = largest(worst, _improvement(value, theta, scale))
                peer = Peer(C=C, tol=1e-8, solver="newton-cholesky").fit(dense, y, mass)
                worst = largest(worst, value(theta) / value(np.append(peer.coef_[0], peer.intercept_[0])) - 1)
    return Check(worst, 1e-10, "relative improvement", "perturbations, scikit-learn LogisticRegression")


@evidence(
    "softmax-regression",
    claim="On collinear, constant, unlike-scaled, sparse and weighted rows nothing near the solution is better",
    against="a hundred perturbations of the objective and scikit-learn LogisticRegression",
)
def softmax() -> Check:
    from scipy.special import logsumexp
    from sklearn.linear_model import LogisticRegression as Peer

    from fivefold.models.linear import SoftmaxRegression

    cases, score, weight = _hard()
    y = np.digitize(score, [-0.7, 0.7])
    worst = 0.0
    for rows in cases.values():
        dense, scale = _spread(rows)
        for C, mass in ((1e-2, np.ones(90)), (1.0, weight), (1e4, np.ones(90))):
            model = SoftmaxRegression(C=C, tol=1e-10).fit(rows, y, mass)

            def value(theta: np.ndarray, dense: np.ndarray = dense, C: float = C, mass: np.ndarray = mass) -> float:
                z = dense @ theta[:, :-1].T + theta[:, -1]
                loss = logsumexp(z, axis=1) - z[np.arange(90), y]
                return float(mass @ loss + np.square(theta[:, :-1]).sum() / (2 * C))

            theta = np.column_stack([model.coef_, model.intercept_])
            worst = largest(worst, _improvement(value, theta, scale))
            peer = Peer(C=C, tol=1e-9, max_iter=10_000).fit(dense / scale[:-1] if C > 1e3 else dense, y, mass)
            other = np.column_stack([peer.coef_ / scale[:-1] if C > 1e3 else peer.coef_, peer.intercept_])
            worst = largest(worst, value(theta) / value(other) - 1)
    return Check(worst, 1e-10, "relative improvement", "perturbations, scikit-learn LogisticRegression")
