"""Support vector machines: optimality conditions from their definition, quadratic programs, closed forms and the peer."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest
from fivefold.evidence.models.linear._common import single_precision


def _two(n: int = 120, d: int = 3, shift: float = 1.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of two overlapping classes, labels and weights that include zero."""
    rng = np.random.default_rng(n + d)
    y = (rng.random(n) < 0.45).astype(int)
    X = rng.normal(size=(n, d)) * np.linspace(0.5, 2, d) + shift * y[:, None]
    return X, y, rng.integers(0, 4, size=n) / 2.0


def _conditions(scores: np.ndarray, sign: np.ndarray, alpha: np.ndarray, bound: np.ndarray) -> float:
    """Return how much rows violate: margin >= 1 at zero, = 1 between, <= 1 at the bound; and the feasibility of alpha."""
    margin = sign * scores - 1
    at_zero, at_bound = alpha <= 0, alpha >= bound
    violation = np.where(at_zero, -margin, np.where(at_bound, margin, np.abs(margin)))
    outside = largest(float((-alpha).max()), float((alpha - bound).max()), 0.0)
    return largest(violation.max(), outside, abs(alpha @ sign))


def _rbf(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    return np.exp(-gamma * ((A[:, None, :] - B[None, :, :]) ** 2).sum(axis=2))


@evidence("kernel-svm", claim="Every row meets the optimality conditions of the dual", against="their definition")
def kkt() -> Check:
    from fivefold.models.linear import SVC

    worst = 0.0
    # More rows than a block of 256, with a cache of the least size, so that rows are evicted and formed again.
    for n, C, cache in ((100, 1.0, 200), (700, 20.0, 0.001), (700, 0.5, 200)):
        X, y, weight = _two(n, 3, 0.8)
        for mass in (None, weight):
            model = SVC(C=C, gamma=0.3, tol=1e-6, cache_size=cache).fit(X, y, mass)
            bound = np.full(n, C) if mass is None else C * mass
            alpha = np.zeros(n)
            sign = np.where(y == 1, 1.0, -1.0)
            alpha[model.support_] = model.dual_coef_[0] * sign[model.support_]
            scores = _rbf(X, X, 0.3) @ (alpha * sign) + model.intercept_[0]
            counted = bound > 0
            worst = largest(worst, _conditions(scores[counted], sign[counted], alpha[counted], bound[counted]))
            worst = largest(worst, np.abs(model.decision_function(X) - scores).max())
            value = alpha.sum() - 0.5 * (alpha * sign) @ (scores - model.intercept_[0])
            # The dual value follows from the multipliers; the residual is at most the tolerance.
            worst = largest(worst, abs(model.dual_objective_[0] / value - 1), model.kkt_residual_)
    # The bias may sit anywhere in a violation of tol, so a single row violates by at most tol.
    return Check(worst, 1e-6 * (1 + 1e-3), "largest violation", "definition")


@evidence(
    "kernel-svm", claim="Two rows, and the four of exclusive or, have the multipliers worked by hand", against="algebra"
)
def by_hand() -> Check:
    from fivefold.models.linear import SVC

    # x = -1, 1 with a linear kernel: alpha = 1/2 each, w = 1, b = 0; with C = 0.2 the bound holds.
    model = SVC(kernel="linear", C=10, tol=1e-12).fit([[-1.0], [1.0]], ["n", "p"])
    worst = largest(np.abs(model.dual_coef_ - [[-0.5, 0.5]]).max(), abs(model.intercept_[0]))
    worst = largest(worst, abs(model.coef_[0, 0] - 1), abs(model.dual_objective_[0] - 0.5))
    model = SVC(kernel="linear", C=0.2, tol=1e-12).fit([[-1.0], [3.0]], ["n", "p"])
    # The unbounded answer 2 / 4^2 = 0.125 fits below 0.2: w = 1/2, b = -1/2; with C = 0.1 it does not.
    worst = largest(worst, np.abs(model.dual_coef_ - [[-0.125, 0.125]]).max(), abs(model.intercept_[0] + 0.5))
    model = SVC(kernel="linear", C=0.1, tol=1e-12).fit([[-1.0], [3.0]], ["n", "p"])
    # w = 0.4; the bias may lie in [1 - 1.2, -1 + 0.4] = [-0.2, -0.6] reversed: any between, and the middle is taken.
    worst = largest(worst, np.abs(model.dual_coef_ - [[-0.1, 0.1]]).max(), abs(model.intercept_[0] + 0.4))
    # Exclusive or with (x.z + 1)^2: K = 9 on the diagonal and 1 elsewhere, alpha = 1/8 (a textbook answer), f = -x1 x2.
    X = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    model = SVC(kernel="poly", degree=2, gamma=1, coef0=1, C=10, tol=1e-12).fit(X, [0, 1, 1, 0])
    query = np.array([[0.5, -2.0], [3, 1]])
    worst = largest(worst, np.abs(np.abs(model.dual_coef_) - 0.125).max())
    worst = largest(worst, np.abs(model.decision_function(query) + query[:, 0] * query[:, 1]).max())
    wrong = int((model.predict(X) != [0, 1, 1, 0]).sum())
    return Check(worst + wrong, 1e-10, "max |number - by hand|, wrong labels", "algebra")


@evidence("kernel-svm", claim="Rows that are no support vectors can be left out", against="a fit without them")
def without_others() -> Check:
    from fivefold.models.linear import SVC

    X, y, _ = _two(150)
    model = SVC(gamma=0.2, C=5, tol=1e-9).fit(X, y)
    few = SVC(gamma=0.2, C=5, tol=1e-9).fit(X[model.support_], y[model.support_])
    same = np.abs(model.decision_function(X) - few.decision_function(X)).max()
    fewer = len(model.support_) < len(X)
    return Check(float(same) + (not fewer), 1e-6, "max |f - f without the others|", "itself")


@evidence("kernel-svm", claim="Scores, multipliers and votes equal the peer's", against="scikit-learn SVC")
def peer() -> Check:
    import scipy.sparse as sp
    from sklearn.datasets import load_wine
    from sklearn.preprocessing import scale
    from sklearn.svm import SVC as Peer  # noqa: N811

    from fivefold.models.linear import SVC

    X, y = load_wine(return_X_y=True)
    X = np.asarray(scale(X))
    weight = np.random.default_rng(0).integers(0, 3, size=len(y)).astype(float)
    cases: list[dict[str, Any]] = [
        {},
        {"C": 0.05, "decision_function_shape": "ovo"},
        {"kernel": "poly", "coef0": 0.5},
        {"kernel": "sigmoid", "gamma": 0.02, "coef0": -0.1},
        {"kernel": "linear", "class_weight": "balanced"},
        {"gamma": "auto", "class_weight": {0: 2.0, 2: 0.3}},
    ]
    worst, wrong = 0.0, 0
    for part in (slice(None), y < 2):
        for case in cases:
            known = (
                case if not isinstance(case.get("class_weight"), dict) or isinstance(part, slice) else {"gamma": "auto"}
            )
            # "balanced" counts weights here and rows there.
            for mass in (None,) if case.get("class_weight") == "balanced" else (None, weight[part]):
                ours = SVC(**known, tol=1e-8).fit(X[part], y[part], mass)
                theirs = Peer(**known, tol=1e-8).fit(X[part], y[part], mass)
                worst = largest(worst, np.abs(ours.decision_function(X) - theirs.decision_function(X)).max())
                worst = largest(worst, np.abs(ours.intercept_ - theirs.intercept_).max())
                worst += fault((ours.predict(X) != theirs.predict(X)).any())
                wrong += int((ours.n_support_ != theirs.n_support_).any())
                if mass is None:  # the peer numbers the rows after those of no weight are gone
                    wrong += int((ours.support_ != theirs.support_).sum())
                    worst = largest(worst, np.abs(ours.dual_coef_ - theirs.dual_coef_).max())
                if case.get("kernel") == "linear":
                    worst = largest(worst, np.abs(ours.coef_ - theirs.coef_).max())
    dense = SVC(gamma=0.1, tol=1e-8).fit(X, y)
    sparse = SVC(gamma=0.1, tol=1e-8).fit(sp.csr_array(X), y)
    K = _rbf(X, X, 0.1)
    given = SVC(kernel="precomputed", tol=1e-8).fit(K, y)
    own = SVC(kernel=lambda A, B: _rbf(A, B, 0.1), tol=1e-8).fit(X, y)
    for other, rows in ((sparse, sp.csr_array(X)), (sparse, X), (given, K), (own, X)):
        worst = largest(worst, np.abs(other.decision_function(rows) - dense.decision_function(X)).max())
    # The peer keeps kernel values in single precision: 6e-8 a value, times multipliers that sum to about a hundred.
    return Check(worst + wrong, 2e-5, "max |number - peer|, wrong labels", "scikit-learn SVC")


@evidence("kernel-svm", claim="Defaults are those that the signature states", against="the dual written out with them")
def defaults() -> Check:
    from fivefold.models.linear import SVC

    X, y, _ = _two(90)
    gamma = 1 / (X.shape[1] * X.var())
    plain = SVC(tol=1e-9).fit(X, y)
    given = SVC(kernel="precomputed", C=1.0, tol=1e-9).fit(_rbf(X, X, gamma), y)
    worst = np.abs(plain.decision_function(X) - given.decision_function(_rbf(X, X, gamma))).max()
    poly = SVC(kernel="poly", tol=1e-9).fit(X, y)
    K = (gamma * X @ X.T) ** 3
    worst = largest(
        worst,
        np.abs(poly.decision_function(X) - SVC(kernel="precomputed", tol=1e-9).fit(K, y).decision_function(K)).max(),
    )
    auto = SVC(gamma="auto", tol=1e-9).fit(X, y).decision_function(X)
    worst = largest(worst, np.abs(auto - SVC(gamma=1 / 3, tol=1e-9).fit(X, y).decision_function(X)).max())
    facts = SVC()
    stated = (facts.tol, facts.cache_size, facts.max_iter, facts.decision_function_shape) == (1e-3, 200, -1, "ovr")
    return Check(float(worst) + (not stated), 1e-6, "max |f - f with the numbers given|", "itself")


@evidence("svm-soft-margin", claim="Multipliers solve the quadratic program", against="scipy SLSQP")
def quadratic_program() -> Check:
    from scipy.optimize import minimize

    from fivefold.models.linear import SoftMarginSVM

    X, y, weight = _two(24, 3)
    X = np.hstack([X, np.random.default_rng(3).normal(size=(24, 21))])  # (24, 24): the dual is strictly concave
    sign = np.where(y == 1, 1.0, -1.0)
    Q = (X * sign[:, None]) @ (X * sign[:, None]).T
    worst = 0.0
    for C, mass in ((0.02, np.ones(24)), (0.05, weight)):
        found = minimize(
            lambda a: 0.5 * a @ Q @ a - a.sum(),
            np.zeros(24),
            jac=lambda a: Q @ a - 1,
            bounds=[(0.0, C * m) for m in mass],
            constraints={"type": "eq", "fun": lambda a: a @ sign, "jac": lambda a: sign},
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        model = SoftMarginSVM(C, tol=1e-10).fit(X, y, mass)
        worst = largest(worst, np.abs(model.alpha_ - found.x).max() / C, abs(model.dual_objective_ / -found.fun - 1))
    return Check(worst, 1e-5, "relative difference", "scipy.optimize SLSQP")


@evidence("svm-soft-margin", claim="The optimality conditions, slacks, width and gap hold", against="their definition")
def soft_conditions() -> Check:
    from fivefold.models.linear import SoftMarginSVM

    worst = 0.0
    for n, C in ((100, 0.1), (600, 5.0)):
        X, y, weight = _two(n)
        sign = np.where(y == 1, 1.0, -1.0)
        for kind in (None, "balanced", {0: 3.0}):
            model = SoftMarginSVM(C, tol=1e-6, class_weight=kind).fit(X, y, weight)
            counts = np.bincount(y, weights=weight)
            factor = (
                np.ones(2)
                if kind is None
                else counts.sum() / (2 * counts)
                if kind == "balanced"
                else np.array([3.0, 1])
            )
            bound = C * weight * factor[y]
            scores = X @ (X.T @ (model.alpha_ * sign)) + model.intercept_[0]
            kept = bound > 0
            worst = largest(worst, _conditions(scores[kept], sign[kept], model.alpha_[kept], bound[kept]))
            w = model.coef_[0]
            slack = np.maximum(0, 1 - sign * scores)
            primal = 0.5 * w @ w + bound @ slack
            dual = model.alpha_.sum() - 0.5 * w @ w
            # tol times the total bound limits what the gap can be.
            limit = 1e-6 * bound.sum()
            worst = largest(
                worst, np.abs(w - X.T @ (model.alpha_ * sign)).max(), np.abs(model.slack_ - slack).max() / 10
            )
            worst = largest(worst, abs(model.width_ * np.linalg.norm(w) - 2), abs(model.primal_objective_ / primal - 1))
            worst = largest(worst, abs(model.dual_objective_ / dual - 1), 1e-6 * abs(model.gap_) / limit)
            worst = largest(worst, abs(model.gap_ - (primal - dual)) / primal)
    return Check(worst, 1e-6 * (1 + 1e-3), "largest violation", "definition")


@evidence(
    "svm-soft-margin",
    claim="Multipliers, weights and scores equal the peer's",
    against="scikit-learn SVC(kernel='linear')",
)
def soft_peer() -> Check:
    import scipy.sparse as sp
    from sklearn.svm import SVC as Peer  # noqa: N811

    from fivefold.models.linear import SoftMarginSVM

    X, y, weight = _two(200, 4)
    labels = np.where(y == 1, "yes", "no")
    worst = 0.0
    for C in (None, 0.1, 50.0):
        for mass in (None, weight):
            ours = (SoftMarginSVM(tol=1e-8) if C is None else SoftMarginSVM(C, tol=1e-8)).fit(X, labels, mass)
            theirs = Peer(kernel="linear", C=C or 1.0, tol=1e-8).fit(X, labels, mass)
            worst += fault((ours.predict(X) != theirs.predict(X)).any())
            numbers = [ours.coef_ - theirs.coef_, ours.intercept_ - theirs.intercept_]
            numbers.append(ours.decision_function(X) - theirs.decision_function(X))
            allowed = single_precision(X @ X.T, theirs.dual_coef_)
            worst = largest(worst, *(np.abs(number).max() / allowed for number in numbers))
            sparse = SoftMarginSVM(ours.C, tol=1e-8).fit(sp.csr_array(X), labels, mass)
            worst = largest(worst, np.abs(sparse.coef_ - ours.coef_).max() / allowed)
    return Check(worst, 1.0, "difference / what single precision loses", "scikit-learn SVC")


@evidence("svm-soft-margin", claim="A large C recovers the hard margin", against="HardMarginSVM on separable rows")
def large_price() -> Check:
    from fivefold.models.linear import HardMarginSVM, SoftMarginSVM

    X, y, _ = _two(80, 2, 6.0)
    hard, soft = HardMarginSVM(tol=1e-9).fit(X, y), SoftMarginSVM(1e6, tol=1e-9).fit(X, y)
    worst = largest(np.abs(hard.coef_ - soft.coef_).max(), abs(hard.intercept_[0] - soft.intercept_[0]))
    # A small C must not: there the street is wider than the hard one.
    wider = SoftMarginSVM(1e-3).fit(X, y).width_ > 1.1 * hard.width_
    return Check(worst + (not wider), 1e-6, "max |w - w of the hard margin|", "HardMarginSVM")


@evidence("svm-hard-margin", claim="Width and plane of small cases", against="geometry")
def geometry() -> Check:
    from fivefold.models.linear import HardMarginSVM

    # The street between (0, 0) and (3, 4) has the width 5; other rows behind them change nothing.
    X = np.array([[0.0, 0], [-1, -2], [-5, 0], [3, 4], [6, 8], [4, 9]])
    model = HardMarginSVM(tol=1e-12).fit(X, ["a", "a", "a", "b", "b", "b"])
    w = 2 / 25 * np.array([3.0, 4])
    worst = largest(abs(model.width_ - 5), np.abs(model.coef_[0] - w).max(), abs(model.intercept_[0] + 1))
    # w = alpha (3, 4) with alpha = 2 / 25; both values are |w|^2 / 2 = 2 / 25.
    worst = largest(worst, np.abs(model.alpha_ - np.array([2, 0, 0, 2, 0, 0]) / 25).max())
    worst = largest(worst, abs(model.dual_objective_ - 0.08), abs(model.primal_objective_ - 0.08))
    worst = largest(worst, np.abs(model.dual_coef_ - [[-0.08, 0.08]]).max(), np.abs(model.support_ - [0, 3]).max())
    # Far from the origin nothing but the bias changes.
    far = HardMarginSVM(tol=1e-12).fit(X + 1000.0, ["a", "a", "a", "b", "b", "b"])
    worst = largest(worst, np.abs(far.coef_[0] - w).max(), abs(far.intercept_[0] + 1 + 1000 * w.sum()) / 100)
    wrong = int((model.predict([[1.4, 2.0], [1.6, 2.0]]) != ["a", "b"]).sum())
    return Check(worst + wrong, 1e-10, "max |number - geometry|, wrong labels", "geometry")


@evidence(
    "svm-hard-margin", claim="Primal equals dual value and every row meets the conditions", against="their definition"
)
def hard_conditions() -> Check:
    import scipy.sparse as sp

    from fivefold.models.linear import HardMarginSVM

    worst = 0.0
    for n in (60, 600):
        X, y, _ = _two(n, 2, 9.0)
        sign = np.where(y == 1, 1.0, -1.0)
        for rows in (X, sp.csr_array(X)):
            model = HardMarginSVM().fit(rows, y)
            w = X.T @ (model.alpha_ * sign)
            margin = sign * (X @ w + model.intercept_[0])
            worst = largest(
                worst, (1 - margin).max(), (np.abs(margin - 1) * (model.alpha_ > 0)).max(), abs(model.alpha_ @ sign)
            )
            worst = largest(worst, abs(model.primal_objective_ - model.dual_objective_) / model.primal_objective_)
            worst = largest(worst, np.abs(w - model.coef_[0]).max(), -model.alpha_.min(), model.kkt_residual_)
    return Check(worst, 1e-6 * (1 + 1e-3), "largest violation", "definition")


@evidence("svm-hard-margin", claim="Inseparable classes get a price of slack when asked", against="SoftMarginSVM")
def softened() -> Check:
    from fivefold.models.linear import HardMarginSVM, SoftMarginSVM

    X, y, _ = _two(40, 2, 0.5)
    ours, soft = HardMarginSVM(soften=0.7, tol=1e-9).fit(X, y), SoftMarginSVM(0.7, tol=1e-9).fit(X, y)
    worst = largest(np.abs(ours.coef_ - soft.coef_).max(), np.abs(ours.alpha_ - soft.alpha_).max())
    X, y, _ = _two(60, 2, 9.0)
    apart = HardMarginSVM(soften=1e-6).fit(X, y)
    worst = largest(worst, np.abs(apart.coef_ - HardMarginSVM().fit(X, y).coef_).max())
    told = apart.separable_ and not ours.separable_ and HardMarginSVM().soften is None and HardMarginSVM().tol == 1e-6
    return Check(worst + (not told), 1e-6, "max |number - soft margin|", "SoftMarginSVM")


@evidence(
    "svm-hard-margin",
    claim="The plane equals the peer's with C = 1e9",
    against="scikit-learn SVC(kernel='linear', C=1e9)",
)
def hard_peer() -> Check:
    from sklearn.svm import SVC as Peer  # noqa: N811

    from fivefold.models.linear import HardMarginSVM

    X, y, _ = _two(100, 3, 7.0)
    ours, theirs = HardMarginSVM().fit(X, y), Peer(kernel="linear", C=1e9, tol=1e-8).fit(X, y)
    scores = np.abs(ours.decision_function(X) - theirs.decision_function(X)).max()
    return Check(
        largest(scores, np.abs(ours.coef_ - theirs.coef_).max()), 1e-5, "max |number - peer|", "scikit-learn SVC"
    )


@evidence("support-vector-regression", claim="Every row meets the conditions of the tube", against="their definition")
def tube() -> Check:
    from fivefold.models.linear import SVR

    rng = np.random.default_rng(0)
    worst = 0.0
    for n, C, epsilon in ((80, 0.7, 0.1), (500, 5.0, 0.3), (200, 1.0, 0.0)):
        X = rng.normal(size=(n, 2))
        y = np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=n) + 4
        weight = rng.integers(0, 3, size=n) / 1.5
        for mass in (None, weight):
            model = SVR(C=C, epsilon=epsilon, gamma=0.8, tol=1e-6, cache_size=1).fit(X, y, mass)
            bound = np.full(n, C) if mass is None else C * mass
            beta = np.zeros(n)
            beta[model.support_] = model.dual_coef_[0]
            f = _rbf(X, X, 0.8) @ beta
            error = y - f - model.intercept_[0]
            # Inside: |error| <= eps; edge: = eps on the side of beta; at the bound: beyond it on that side.
            side = np.sign(beta) * error - epsilon
            violation = np.where(
                beta == 0, np.abs(error) - epsilon, np.where(np.abs(beta) >= bound * (1 - 1e-12), -side, np.abs(side))
            )
            worst = largest(worst, violation[bound > 0].max(), (np.abs(beta) - bound).max(), abs(beta.sum()))
            worst = largest(worst, np.abs(model.predict(X) - f - model.intercept_[0]).max())
            dual = y @ beta - epsilon * np.abs(beta).sum() - 0.5 * beta @ f
            worst = largest(worst, abs(model.dual_objective_ / dual - 1), model.kkt_residual_)
    return Check(worst, 1e-6 * (1 + 1e-3), "largest violation", "definition")


@evidence("support-vector-regression", claim="Two rows give the line worked by hand", against="algebra")
def tube_by_hand() -> Check:
    from fivefold.models.linear import SVR

    # (0, 0), (2, 3), eps 0.1: the flattest line touches both ends of the tube, w = (3 - 0.2) / 2 = 1.4, b = 0.1.
    model = SVR(kernel="linear", C=100, tol=1e-12).fit([[0.0], [2.0]], [0.0, 3.0])
    worst = largest(
        np.abs(model.predict([[0.0], [1.0]]) - [0.1, 1.5]).max(), np.abs(model.dual_coef_ - [[-0.7, 0.7]]).max()
    )
    model = SVR(kernel="linear", C=0.25, epsilon=0.5, tol=1e-12).fit([[0.0], [2.0]], [0.0, 3.0])
    # The bound holds: w = 0.5, b between 0.5 and 3 - 1 - 0.5 = 1.5; the middle is taken.
    worst = largest(worst, np.abs(model.predict([[0.0], [1.0]]) - [1.0, 1.5]).max())
    facts = SVR()
    stated = (facts.C, facts.epsilon, facts.kernel, facts.gamma, facts.degree, facts.coef0, facts.tol, facts.max_iter)
    same = stated == (1.0, 0.1, "rbf", "scale", 3, 0.0, 1e-3, -1)
    return Check(worst + (not same), 1e-10, "max |number - by hand|", "algebra")


@evidence("support-vector-regression", claim="Predictions and multipliers equal the peer's", against="scikit-learn SVR")
def regression_peer() -> Check:
    import scipy.sparse as sp
    from sklearn.datasets import load_diabetes
    from sklearn.preprocessing import scale
    from sklearn.svm import SVR as Peer  # noqa: N811

    from fivefold.models.linear import SVR

    X, y = load_diabetes(return_X_y=True)
    X, y = np.asarray(scale(X))[:200], np.asarray(scale(y))[:200]
    weight = np.random.default_rng(0).integers(0, 3, size=200).astype(float)
    worst = 0.0
    for case in ({}, {"C": 5.0, "epsilon": 0.3}, {"kernel": "linear"}, {"kernel": "poly", "coef0": 1.0, "degree": 2}):
        for mass in (None, weight):
            ours, theirs = SVR(**case, tol=1e-8).fit(X, y, mass), Peer(**case, tol=1e-8).fit(X, y, mass)
            values = np.abs(X @ X.T) if "kernel" in case else 1.0
            values = (values / X.shape[1] + 1) ** 2 if case.get("kernel") == "poly" else values
            allowed = single_precision(values, theirs.dual_coef_)
            worst = largest(worst, np.abs(ours.predict(X) - theirs.predict(X)).max() / allowed)
            worst = largest(worst, np.abs(ours.intercept_ - theirs.intercept_).max() / allowed)
            sparse = SVR(**case, tol=1e-8).fit(sp.csr_array(X), y, mass)
            worst = largest(worst, np.abs(sparse.predict(sp.csr_array(X)) - ours.predict(X)).max() / allowed)
    return Check(worst, 1.0, "difference / what single precision loses", "scikit-learn SVR")


@evidence(
    "polynomial-kernel", claim="The square of the inner product is one of explicit features", against="the features"
)
def explicit_square() -> Check:
    import scipy.sparse as sp

    from fivefold.models.linear import PolynomialKernel

    rng = np.random.default_rng(0)
    A, B = rng.integers(-4, 5, size=(7, 2)).astype(float), rng.integers(-4, 5, size=(5, 2)).astype(float)

    def features(x: np.ndarray) -> np.ndarray:
        return np.stack([x[:, 0] ** 2, np.sqrt(2) * x[:, 0] * x[:, 1], x[:, 1] ** 2], axis=1)

    worst = np.abs(PolynomialKernel().fit(B).transform(A) - features(A) @ features(B).T).max()
    # With a constant the features of lower degree come in: (1 + xz)^3 = 1 + 3xz + 3(xz)^2 + (xz)^3.
    a, b = A[:, :1], B[:, :1]
    cube = PolynomialKernel(3, coef0=1.0).fit(b).transform(a)
    worst = largest(worst, np.abs(cube - (1 + 3 * a * b.T + 3 * (a * b.T) ** 2 + (a * b.T) ** 3)).max())
    worst = largest(worst, np.abs(PolynomialKernel(2, gamma=None).fit(B).transform(A) - (A @ B.T / 2) ** 2).max())
    sparse = PolynomialKernel().fit(sp.csr_array(B)).transform(sp.csr_array(A))
    worst = largest(worst, np.abs(sparse - (A @ B.T) ** 2).max())
    return Check(float(worst), 1e-11, "max |kernel - features|", "explicit features")


@evidence("polynomial-kernel", claim="Values equal the peer's", against="scikit-learn polynomial_kernel")
def polynomial_peer() -> Check:
    from sklearn.metrics.pairwise import polynomial_kernel

    from fivefold.models.linear import PolynomialKernel

    rng = np.random.default_rng(1)
    A, B = rng.normal(size=(20, 4)), rng.normal(size=(9, 4))
    worst = 0.0
    for degree, gamma, coef0 in ((2, 1.0, 0.0), (3, 0.3, 1.5), (1, None, -1.0), (4, None, 2.0)):
        ours = PolynomialKernel(degree, gamma, coef0).fit(B).transform(A)
        theirs = polynomial_kernel(A, B, degree=degree, gamma=gamma, coef0=coef0)
        worst = largest(worst, (np.abs(ours - theirs) / (1 + np.abs(theirs))).max())
    return Check(worst, 1e-13, "relative difference", "scikit-learn")


@evidence("rbf-kernel", claim="The truncated power series converges to it", against="the series of its feature space")
def series() -> Check:
    from math import factorial

    from fivefold.models.linear import RBFKernel

    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(8, 3)), rng.normal(size=(6, 3))
    worst = 0.0
    for gamma in (0.5, 0.2):
        model = RBFKernel() if gamma == 0.5 else RBFKernel(gamma)
        K = model.fit(B).transform(A)
        outer = np.exp(-gamma * (A**2).sum(1))[:, None] * np.exp(-gamma * (B**2).sum(1))
        inner = 2 * gamma * A @ B.T
        terms = [outer * inner**i / factorial(i) for i in range(60)]
        worst = largest(worst, np.abs(sum(terms) - K).max())
        # Three terms alone are not enough: the series is needed.
        worst = largest(worst, float(not np.abs(sum(terms[:3]) - K).max() >= 1e-3))
    return Check(worst, 1e-13, "max |series - kernel|", "power series")


@evidence("rbf-kernel", claim="Values equal the peer's; a row with itself gives one", against="scikit-learn rbf_kernel")
def rbf_peer() -> Check:
    import scipy.sparse as sp
    from sklearn.metrics.pairwise import rbf_kernel

    from fivefold.models.linear import RBFKernel

    rng = np.random.default_rng(1)
    A, B = rng.normal(size=(20, 4)), rng.normal(size=(9, 4))
    worst = 0.0
    for gamma in (0.5, 3.0, None):
        ours = RBFKernel(gamma).fit(B).transform(A)
        worst = largest(worst, np.abs(ours - rbf_kernel(A, B, gamma=gamma)).max())
        sparse = RBFKernel(gamma).fit(sp.csr_array(B)).transform(sp.csr_array(A))
        worst = largest(worst, np.abs(sparse - ours).max())
    itself = RBFKernel().fit(1e4 * A).transform(1e4 * A)
    # Rounding of squared norms of 1e9 is 1e-7; what it leaves below zero is cut, so no value exceeds one.
    worst = largest(worst, largest(itself.max() - 1, 0.0), 1e-8 * np.abs(np.diag(itself) - 1).max())
    return Check(worst, 1e-13, "max |number - peer|", "scikit-learn")
