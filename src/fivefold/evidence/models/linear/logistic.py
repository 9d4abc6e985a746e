"""Logistic and softmax regression: gradients, optimality, closed forms, the link between two classes and K."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _table(n: int = 120, d: int = 4, k: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, class numbers with overlap, and whole weights that include zero."""
    rng = np.random.default_rng(10 * n + d + k)
    X = rng.normal(size=(n, d)) * np.linspace(0.5, 2, d) + 0.7
    scores = X @ rng.normal(size=(d, k)) + rng.gumbel(size=(n, k)) * 1.5
    codes = scores.argmax(axis=1)
    codes[:k] = np.arange(k)
    return X, codes, rng.integers(0, 4, size=n).astype(float)


def _binary_gradient(model: Any, X: Any, codes: np.ndarray, v: np.ndarray, inverse: float) -> float:
    """Return the largest entry of the gradient of the summed objective, per unit of weight, written out anew."""
    residual = v * (1 / (1 + np.exp(-(X @ model.coef_[0] + model.intercept_[0]))) - codes)
    gradient = X.T @ residual + inverse * model.coef_[0]
    bias = residual.sum() if model.fit_intercept else 0.0
    return float(largest(np.abs(gradient).max(), abs(bias)) / v.sum())


def _softmax_gradient(model: Any, X: Any, codes: np.ndarray, v: np.ndarray, inverse: float) -> float:
    """Return the same for K classes."""
    z = X @ model.coef_.T + model.intercept_
    q = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    residual = v[:, None] * (q - np.eye(q.shape[1])[codes])
    gradient = (X.T @ residual).T + inverse * model.coef_
    bias = np.abs(residual.sum(axis=0)).max() if model.fit_intercept else 0.0
    return float(largest(np.abs(gradient).max(), bias) / v.sum())


def _differences(objective: Any, size: int) -> float:
    """Return the largest error of gradient, Hessian, its diagonal and its product against central differences."""
    rng = np.random.default_rng(2)
    theta, v = rng.normal(size=size), rng.normal(size=size)
    step = 1e-5
    _, gradient = objective.value_gradient(theta)
    gradient = gradient.copy()
    hessian = objective.hessian(theta)
    product, diagonal = objective.hessian_vector(theta)(v), objective.hessian_diagonal(theta)
    axes = np.eye(size) * step
    slopes = [
        (objective.value_gradient(theta + e)[0] - objective.value_gradient(theta - e)[0]) / (2 * step) for e in axes
    ]
    bends = [
        (objective.value_gradient(theta + e)[1] - objective.value_gradient(theta - e)[1]) / (2 * step) for e in axes
    ]
    exact = np.array(bends)
    return float(
        largest(
            np.abs(gradient - slopes).max(),
            np.abs(objective.gauge(hessian) - exact).max(),
            np.abs(product - exact @ v).max(),
            np.abs(diagonal - np.diagonal(exact)).max(),
        )
    )


@evidence("logistic-regression", claim="Gradient and Hessian are those of the objective", against="central differences")
def binary_derivatives() -> Check:
    from fivefold.models.linear._objectives import BinaryCrossEntropy

    X, codes, v = _table()
    worst = 0.0
    for form in (np.asarray, np.asfortranarray, sp.csr_array):
        for weight in (None, v):
            for intercept in (True, False):
                objective = BinaryCrossEntropy(form(X), 2.0 * codes - 1, weight, 0.3, intercept)
                objective.gauge = lambda hessian: hessian
                worst = largest(worst, _differences(objective, 4 + intercept))
    # Truncation h^2 f''' / 6 and rounding eps f / h, both near 1e-10.
    return Check(worst, 1e-8, "max |derivative - difference|", "central differences")


@evidence(
    "softmax-regression",
    claim="The gradient is q_k - [y = k] for all k, the Hessian fits",
    against="central differences",
)
def softmax_derivatives() -> Check:
    from fivefold.models.linear._objectives import SoftmaxCrossEntropy

    X, codes, v = _table(k=3)
    worst = 0.0
    for form in (np.asarray, np.asfortranarray, sp.csr_array):
        for weight in (None, v):
            for intercept in (True, False):
                for strength in (0.0, 0.3):
                    objective = SoftmaxCrossEntropy(form(X), codes, 3, weight, strength, intercept)
                    size = 4 + intercept
                    # The curvature along "one vector added to all classes" is the objective's own choice; there the exact
                    # Hessian has the penalty alone.
                    along = np.kron(np.full((3, 3), 1 / 3), np.eye(size))
                    flat = np.diag([strength] * 4 + [0.0] * intercept)
                    across = np.eye(3 * size) - along

                    def gauge(h: np.ndarray, a: np.ndarray = across, f: np.ndarray = flat) -> np.ndarray:
                        return a @ h @ a + np.kron(np.full((3, 3), 1 / 3), f)

                    objective.gauge = gauge
                    worst = largest(worst, _differences(objective, 3 * size))
    return Check(worst, 1e-8, "max |derivative - difference|", "central differences")


@evidence("logistic-regression", claim="At the end the gradient of the objective vanishes", against="the formula")
def binary_optimality() -> Check:
    from fivefold.models.linear import LogisticRegression

    X, codes, v = _table(200, 5)
    worst = 0.0
    for solver in ("auto", "newton", "newton-cg", "lbfgs"):
        for options in ({}, {"C": 0.05}, {"penalty": None}, {"C": np.inf}, {"fit_intercept": False}):
            for form in (np.asarray, sp.csr_array):
                for weight in (None, v):
                    tol = 1e-6 if solver == "lbfgs" else 1e-9
                    model = LogisticRegression(solver=solver, tol=tol, **options).fit(form(X), codes, weight)
                    inverse = 0.0 if options.get("penalty", "l2") is None else 1 / options.get("C", 1.0)
                    mass = np.ones(200) if weight is None else weight
                    worst = largest(worst, _binary_gradient(model, X, codes, mass, inverse) / tol)
        # Where the features are large, a small gap alone leaves a large gradient.
        for scale in (30.0, 1000.0):
            model = LogisticRegression(solver=solver, tol=1e-6, max_iter=10_000).fit(X * scale, codes, v)
            worst = largest(worst, _binary_gradient(model, X * scale, codes, v, 1.0) / 1e-6)
    return Check(worst, 1.0 + 1e-3, "largest gradient entry / tol", "the formula")


@evidence("softmax-regression", claim="At the end the gradient of the objective vanishes", against="the formula")
def softmax_optimality() -> Check:
    from fivefold.models.linear import SoftmaxRegression

    X, codes, v = _table(200, 4, 4)
    worst = 0.0
    for solver in ("auto", "newton", "newton-cg", "lbfgs"):
        for options in ({}, {"C": 0.05}, {"penalty": None}, {"fit_intercept": False}):
            for form, weight in ((np.asarray, None), (np.asarray, v), (sp.csr_array, v)):
                tol = 1e-6 if solver == "lbfgs" else 1e-9
                model = SoftmaxRegression(solver=solver, tol=tol, **options).fit(form(X), codes, weight)
                inverse = 0.0 if options.get("penalty", "l2") is None else 1 / options.get("C", 1.0)
                mass = np.ones(200) if weight is None else weight
                worst = largest(worst, _softmax_gradient(model, X, codes, mass, inverse) / tol)
                # The freedom of adding a vector to all classes is used up: weights and biases sum to zero.
                worst = largest(worst, 1e3 * np.abs(model.coef_.sum(axis=0)).max(), 1e3 * abs(model.intercept_.sum()))
    return Check(float(worst), 1.0 + 1e-3, "largest gradient entry / tol", "the formula")


@evidence(
    "logistic-regression", claim="Inner conjugate gradients give Newton's direction", against="numpy.linalg.solve"
)
@evidence("softmax-regression", claim="Inner conjugate gradients give Newton's direction", against="numpy.linalg.solve")
def inner_direction() -> Check:
    from fivefold.models.linear._solvers import _conjugate_gradients

    rng = np.random.default_rng(6)
    worst = 0.0
    for size in (1, 5, 30):
        root = rng.normal(size=(size, size)) * np.geomspace(1, 100, size)
        hessian, gradient = root.T @ root + np.eye(size), rng.normal(size=size)
        calls: list[int] = []

        def product(v: np.ndarray, h: np.ndarray = hessian, count: list[int] = calls) -> np.ndarray:
            count.append(1)
            return h @ v

        target = 1e-9 * float(np.linalg.norm(gradient))
        direction = _conjugate_gradients(product, gradient, np.diagonal(hessian), target)
        # The residual that stops the loop is a recursion, so the true one may be a little larger.
        worst = largest(worst, np.linalg.norm(hessian @ direction + gradient) / target / 2)
        exact = np.linalg.solve(hessian, -gradient)
        worst = largest(worst, np.linalg.norm(direction - exact) / target)  # the smallest eigenvalue is at least one
        # Exact arithmetic needs one product a dimension; rounding costs a few times more.
        worst = largest(worst, len(calls) / (4 * size))
    return Check(worst, 1.0, "residual and distance / target, products / 4 p", "numpy.linalg.solve")


@evidence("logistic-regression", claim="A 2 x 2 table gives its log odds and log odds ratio", against="the closed form")
def odds_of_a_table() -> Check:
    from fivefold.models.linear import LogisticRegression

    # Counts as weights: x = 0 has 30 "no", 10 "yes"; x = 1 has 5 "no", 25 "yes".
    X, y, v = [[0.0], [0.0], [1.0], [1.0]], ["no", "yes", "no", "yes"], [30.0, 10.0, 5.0, 25.0]
    model = LogisticRegression(penalty=None, tol=1e-10).fit(X, y, v)
    value = largest(abs(model.intercept_[0] - np.log(10 / 30)), abs(model.coef_[0, 0] - np.log((25 / 5) / (10 / 30))))
    value = largest(value, np.abs(model.predict_proba([[0.0], [1.0]]) - [[3 / 4, 1 / 4], [1 / 6, 5 / 6]]).max())
    value += list(model.predict([[0.0], [1.0]])) != ["no", "yes"]
    return Check(float(value), 1e-9, "max |coefficient - log odds|", "the closed form")


@evidence(
    "logistic-regression",
    claim="Maximum likelihood is least divergence: zero where the model can be exact",
    against="theory",
)
def likelihood_is_divergence() -> Check:
    from fivefold.models.linear import LogisticRegression

    rng = np.random.default_rng(4)
    cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    full = np.column_stack([cells, cells.prod(axis=1)])  # a weight a cell: every table of shares can be met
    share, mass = rng.uniform(0.1, 0.9, size=4), rng.uniform(1, 5, size=4)
    X, y, v = np.vstack([full, full]), np.repeat([0, 1], 4), np.concatenate([mass * (1 - share), mass * share])

    def divergence(w: np.ndarray, b: float, features: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-(features @ w + b)))
        return float(mass @ (share * np.log(share / p) + (1 - share) * np.log((1 - share) / (1 - p))) / mass.sum())

    exact = LogisticRegression(penalty=None, tol=1e-10).fit(X, y, v)
    value = divergence(exact.coef_[0], exact.intercept_[0], full)
    # Without the third column it cannot be met; then no neighbor of the maximum likelihood has a smaller divergence.
    model = LogisticRegression(penalty=None, tol=1e-10).fit(X[:, :2], y, v)
    best = divergence(model.coef_[0], model.intercept_[0], cells)
    around = [
        divergence(model.coef_[0] + s * rng.normal(size=2), model.intercept_[0] + s * rng.normal(), cells)
        for s in (1e-3, 1e-1)
        for _ in range(20)
    ]
    return Check(value + sum(not a > best for a in around), 1e-12, "divergence, smaller neighbors", "theory")


@evidence(
    "logistic-regression",
    claim="Weights of classes multiply those of rows; balanced means n / (2 n_k)",
    against="plain weights",
)
@evidence(
    "softmax-regression",
    claim="Weights of classes multiply those of rows; balanced means n / (K n_k)",
    against="plain weights",
)
def class_weights_are_row_weights() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    worst = 0.0
    for k, method in ((2, LogisticRegression), (3, SoftmaxRegression)):
        X, codes, v = _table(150, 3, k)
        y = np.array(["low", "mid", "top"])[codes]
        for weight in (np.ones(150), v):
            given = None if weight is not v else v
            counts = np.array([weight[codes == c].sum() for c in range(k)])
            factor = weight.sum() / (k * counts)
            plain = method(tol=1e-10).fit(X, y, weight * factor[codes])
            worst = largest(
                worst, np.abs(method(tol=1e-10, class_weight="balanced").fit(X, y, given).coef_ - plain.coef_).max()
            )
            plain = method(tol=1e-10).fit(X, y, weight * np.array([1.0, 3.0, 1.0])[codes])
            model = method(tol=1e-10, class_weight={"mid": 3.0}).fit(X, y, given)
            worst = largest(
                worst, np.abs(model.coef_ - plain.coef_).max(), np.abs(model.intercept_ - plain.intercept_).max()
            )
            if weight is v:
                repeated = method(tol=1e-10).fit(X.repeat(v.astype(int), axis=0), y.repeat(v.astype(int)))
                worst = largest(worst, np.abs(method(tol=1e-10).fit(X, y, v).coef_ - repeated.coef_).max())
    return Check(float(worst), 1e-7, "max |coefficient - plain weights|", "plain weights")


@evidence(
    "logistic-regression", claim="Coefficients equal the peer's on real data", against="scikit-learn LogisticRegression"
)
def breast_cancer() -> Check:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression as Peer

    from fivefold.models.linear import LogisticRegression

    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    v = np.linspace(0.0, 2.0, len(y))
    worst = 0.0
    for options in ({}, {"C": 0.01, "class_weight": "balanced"}, {"C": 10.0, "fit_intercept": False}):
        for weight in (None, v):
            ours = LogisticRegression(tol=1e-9, **options).fit(X, y, weight)
            peer = Peer(tol=1e-10, solver="newton-cholesky", max_iter=500, **options).fit(X, y, weight)
            worst = largest(
                worst, np.abs(ours.coef_ - peer.coef_).max(), np.abs(ours.intercept_ - peer.intercept_).max()
            )
            worst = largest(worst, np.abs(ours.predict_proba(X) - peer.predict_proba(X)).max())
            worst = largest(worst, np.abs(ours.decision_function(X) - peer.decision_function(X)).max())
    # A gap of 1e-18 in the mean objective over a curvature of at least 1 / (C n) = 2e-4: sqrt(2e-18 / 2e-4) = 1e-7.
    return Check(float(worst), 1e-6, "max |coefficient - peer|", "scikit-learn LogisticRegression")


@evidence(
    "softmax-regression", claim="Coefficients equal the peer's on real data", against="scikit-learn LogisticRegression"
)
def wine_and_digits() -> Check:
    from sklearn.datasets import load_digits, load_wine
    from sklearn.linear_model import LogisticRegression as Peer

    from fivefold.models.linear import SoftmaxRegression

    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    v = np.linspace(0.0, 2.0, len(y))
    worst = 0.0
    for options in ({}, {"C": 0.1, "class_weight": "balanced"}, {"fit_intercept": False}):
        ours = SoftmaxRegression(tol=1e-9, **options).fit(X, y, v)
        peer = Peer(tol=1e-10, solver="newton-cg", max_iter=500, **options).fit(X, y, v)
        worst = largest(worst, np.abs(ours.coef_ - peer.coef_).max(), np.abs(ours.intercept_ - peer.intercept_).max())
        worst = largest(worst, np.abs(ours.predict_log_proba(X) - peer.predict_log_proba(X)).max())
    digits, y = load_digits(return_X_y=True)
    ours = SoftmaxRegression(C=0.1, tol=1e-7).fit(digits[:400] / 16, y[:400])  # 650 unknowns: conjugate gradients
    peer = Peer(C=0.1, tol=1e-8, max_iter=2000).fit(digits[:400] / 16, y[:400])
    worst = largest(worst, np.abs(ours.predict_proba(digits / 16) - peer.predict_proba(digits / 16)).max())
    return Check(float(worst), 1e-5, "max |coefficient - peer|", "scikit-learn LogisticRegression")


@evidence(
    "softmax-regression", claim="With two classes it is logistic regression of twice the C", against="the reduction"
)
@evidence(
    "logistic-regression", claim="Softmax of two classes and half the C gives the same model", against="the reduction"
)
def two_classes() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    X, codes, v = _table(150, 3)
    worst = 0.0
    for options in ({}, {"fit_intercept": False}):
        for C in (0.1, 1.0):
            many = SoftmaxRegression(C=C, tol=1e-10, **options).fit(X, codes, v)
            two = LogisticRegression(C=2 * C, tol=1e-10, **options).fit(X, codes, v)
            worst = largest(worst, np.abs(many.coef_[1] - many.coef_[0] - two.coef_[0]).max())
            worst = largest(worst, np.abs(many.decision_function(X) - two.decision_function(X)).max())
            worst = largest(worst, np.abs(many.predict_log_proba(X) - two.predict_log_proba(X)).max())
            worst = largest(worst, float((many.predict(X) != two.predict(X)).sum()))
    return Check(float(worst), 1e-7, "max |score - reduction|", "the reduction")


@evidence("softmax-regression", claim="Scores 3, 1, -3 give 0.88, 0.12 and nearly 0", against="published example")
def published_probabilities() -> Check:
    from fivefold.models.linear import SoftmaxRegression

    model = SoftmaxRegression().fit([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    model.coef_, model.intercept_ = np.zeros((3, 1)), np.array([3.0, 1.0, -3.0])
    shown = np.abs(model.predict_proba([[5.0]])[0] - [0.88, 0.12, 0.0]).max()  # printed to two digits, the last as 0
    model.intercept_ = np.array([3000.0, 1000.0, -3000.0])
    far = np.abs(model.predict_log_proba([[5.0]])[0] - [0.0, -2000.0, -6000.0]).max()
    far = largest(far, np.abs(model.predict_proba([[5.0]])[0] - [1.0, 0.0, 0.0]).max())
    return Check(float(shown + far + (model.predict([[5.0]])[0] != "a")), 0.005, "max |probability - printed|", "spec")


@evidence(
    "logistic-regression",
    claim="Probabilities stay exact and finite for any score; a tie is the first class",
    against="by hand",
)
def extreme_scores() -> Check:
    from fivefold.models.linear import LogisticRegression

    model = LogisticRegression().fit([[-1.0], [1.0]], ["no", "yes"])
    model.coef_, model.intercept_ = np.array([[1.0]]), np.array([0.0])
    z = np.array([[-1000.0], [-40.0], [0.0], [np.log(3.0)], [40.0], [1000.0]])
    logs, p = model.predict_log_proba(z), model.predict_proba(z)
    known = np.array(
        [[0, -1000], [0, -40], [-np.log(2), -np.log(2)], [np.log(0.25), np.log(0.75)], [-40, 0], [-1000, 0]]
    )
    tails = np.array([[1, 0], [1, np.exp(-40)], [0.5, 0.5], [0.25, 0.75], [np.exp(-40), 1], [0, 1]])
    relative = np.abs(p - tails) / np.maximum(tails, 1e-300)
    value = largest(np.abs(logs - known).max() / 1000, relative[tails > 0].max())
    value += list(model.predict(z)) != ["no", "no", "no", "yes", "yes", "yes"]
    # The small logarithm is -exp(-40) and must not be lost to one plus it.
    value += abs(logs[4, 1] / -np.exp(-40) - 1)
    return Check(float(value), 1e-14, "max relative error", "by hand")


@evidence(
    "logistic-regression", claim="Without information it returns the shares of the classes", against="the closed form"
)
@evidence(
    "softmax-regression", claim="Without information it returns the shares of the classes", against="the closed form"
)
def shares_of_classes() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    X, v = np.zeros((4, 2)), np.array([1.0, 2.0, 3.0, 4.0])
    three = SoftmaxRegression(tol=1e-10).fit(X, ["a", "b", "c", "b"], v).predict_proba(X[:1])[0]
    two = LogisticRegression(tol=1e-10).fit(X, [3, 5, 3, 5], v).predict_proba(X[:1])[0]
    value = largest(np.abs(three - [0.1, 0.6, 0.3]).max(), np.abs(two - [0.4, 0.6]).max())
    return Check(float(value), 1e-9, "max |probability - share|", "the closed form")


@evidence(
    "logistic-regression",
    claim="Many rows: the start on a part of them ends at the minimum over all",
    against="plain Newton",
)
@evidence(
    "softmax-regression",
    claim="Many rows: the start on a part of them ends at the minimum over all",
    against="two classes",
)
def many_rows() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    X, codes, v = _table(100_000, 3)
    X, codes = X[np.argsort(codes, kind="stable")], np.sort(codes)  # rows in the order of their class
    A = np.column_stack([X, np.ones(len(X))])
    ridge = np.diag([1.0, 1.0, 1.0, 0.0])
    worst = 0.0
    for weight, mass in ((None, np.ones(len(X))), (v, v)):
        theta = np.zeros(4)
        for _ in range(10):
            p = 1 / (1 + np.exp(-(A @ theta)))
            hessian = (A * (mass * p * (1 - p))[:, None]).T @ A + ridge
            theta = theta - np.linalg.solve(hessian, A.T @ (mass * (p - codes)) + ridge @ theta)
        model = LogisticRegression().fit(X, codes, weight)
        off = np.append(model.coef_[0], model.intercept_) - theta
        # A gap of at most tol^2 = 1e-8 of the mean objective, that is half off' H off / total.
        worst = largest(worst, 0.5 * off @ hessian @ off / mass.sum() / 1e-8, model.n_iter_[0] / 3)
        many = SoftmaxRegression(C=0.5).fit(X, codes, weight)
        off = np.append(many.coef_[1] - many.coef_[0], many.intercept_[1] - many.intercept_[0]) - theta
        worst = largest(worst, 0.5 * off @ hessian @ off / mass.sum() / 1e-8, many.n_iter_[0] / 3)
    return Check(float(worst), 1.0, "gap / tol^2, passes / 3", "plain Newton")


@evidence(
    "logistic-regression", claim="Classes that a line separates are separated, without overflow", against="theory"
)
@evidence("softmax-regression", claim="Classes that lines separate are separated, without overflow", against="theory")
def separable_classes() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    X = np.array([[-3.0, 1.0], [-2.0, 1.0], [2.0, 1.0], [3.0, 1.0]])  # the second column is a second bias: singular
    wrong = 0
    for solver in ("newton", "newton-cg", "lbfgs"):
        for method in (LogisticRegression, SoftmaxRegression):
            model = method(penalty=None, solver=solver).fit(X, [0, 0, 1, 1])
            p = model.predict_proba(X)[:, 1]
            wrong += int((~(np.abs(p - [0, 0, 1, 1]) <= 1e-3)).sum() + (not np.isfinite(model.coef_).all()))
    return Check(wrong, 0, "rows on the wrong side", "theory")


@evidence(
    "logistic-regression", claim="A warm start at the solution ends at once; a cold start needs steps", against="itself"
)
@evidence(
    "softmax-regression", claim="A warm start at the solution ends at once; a cold start needs steps", against="itself"
)
def warm_start() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    wrong = 0
    for method, k in ((LogisticRegression, 2), (SoftmaxRegression, 3)):
        X, codes, _ = _table(100, 3, k)
        model = method(warm_start=True).fit(X, codes)
        cold, coef = model.n_iter_[0], model.coef_.copy()
        wrong += not cold >= 3
        wrong += not model.fit(X, codes).n_iter_[0] <= 1 or not np.abs(model.coef_ - coef).max() <= 1e-3
        for solver in ("newton", "newton-cg", "lbfgs"):
            # From far on the wrong side, where undamped steps overshoot, the way still leads to the minimum.
            model.set_params(solver=solver)
            model.coef_, model.intercept_ = -60 * coef, model.intercept_ + 40 * np.arange(len(coef))
            wrong += not np.abs(model.fit(X, codes).coef_ - coef).max() <= 1e-2
        model.set_params(solver="auto")
        wrong += method().fit(X, codes).n_iter_[0] != cold
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wrong += method(max_iter=1).fit(X, codes).n_iter_[0] != 1
        wrong += len(caught) != 1
    return Check(int(wrong), 0, "wrong counts", "itself")


@evidence(
    "logistic-regression", claim="The default stops at 1e-4 with the penalty one over C = 1", against="the formula"
)
@evidence(
    "softmax-regression", claim="The default stops at 1e-4 with the penalty one over C = 1", against="the formula"
)
def defaults() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    X, codes, v = _table(30, 3)
    worst = 0.0
    for form in (np.float64, np.float32):
        model = LogisticRegression().fit(X.astype(form), codes, v)
        worst = largest(worst, _binary_gradient(model, X, codes, v, 1.0))
        worst = np.inf if model.coef_.dtype != form else worst
        X3, codes3, v3 = _table(30, 3, 3)
        model3 = SoftmaxRegression().fit(X3.astype(form), codes3, v3)
        worst = largest(worst, _softmax_gradient(model3, X3, codes3, v3, 1.0))
        worst = np.inf if model3.coef_.dtype != form else worst
    return Check(worst, 1e-4, "largest gradient entry", "the formula")
