"""Linear and ridge regression: closed forms, least norm, gradient descent from any start, the free bias."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _table(n: int, d: int, t: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return correlated features far from zero, targets and whole weights that include zero."""
    rng = np.random.default_rng(n + 7 * d)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d))) + rng.normal(size=d) * 5
    Y = X @ rng.normal(size=(d, t)) + rng.normal(size=(n, t)) + 3
    return X, Y, rng.integers(0, 4, size=n).astype(float)


def _gap(model: Any, coef: np.ndarray, intercept: Any) -> float:
    """Return the largest difference from known coefficients; a wrong shape counts as infinite."""
    if np.shape(model.coef_) != np.shape(coef) or np.shape(model.intercept_) != np.shape(intercept):
        return np.inf
    return float(largest(np.abs(model.coef_ - coef).max(), np.abs(model.intercept_ - intercept).max()))


@evidence("linear-regression", claim="Weighted coefficients and bias equal least squares", against="numpy.linalg.lstsq")
def lstsq_with_a_column_of_ones() -> Check:
    from fivefold.models.linear import LinearRegression

    worst = 0.0
    for n, d in ((60, 4), (300, 1), (5000, 20)):
        X, Y, v = _table(n, d)
        for weight in (None, v):
            root = np.ones((n, 1)) if weight is None else np.sqrt(weight)[:, None]
            known = np.linalg.lstsq(np.hstack([X, np.ones((n, 1))]) * root, Y * root)[0]
            worst = largest(worst, _gap(LinearRegression().fit(X, Y, weight), known[:-1].T, known[-1]))
            known = np.linalg.lstsq(X * root, Y[:, 0] * root[:, 0])[0]
            model = LinearRegression(fit_intercept=False).fit(X, Y[:, 0], sample_weight=weight)
            worst = largest(worst, _gap(model, known, 0.0))
    return Check(worst, 1e-10, "max |coefficient - lstsq|", "numpy.linalg.lstsq")


@evidence("linear-regression", claim="Of all minimizers it takes the one of least norm", against="the pseudoinverse")
def least_norm() -> Check:
    from fivefold.models.linear import LinearRegression

    worst = 0.0
    wide, Y, v = _table(12, 30)
    tall, Z, u = _table(80, 3)
    twins = np.hstack([tall, tall[:, :2] * 2.0, np.full((80, 1), 7.0)])  # dependent columns and a constant one
    flat = np.full((12, 2), 3.0)  # no variance at all
    for X, target, weight in ((wide, Y, None), (wide, Y, v), (twins, Z, None), (twins, Z, u), (flat, Y, v)):
        for form in (np.asarray, sp.csr_array):
            mass = np.ones(len(X)) if weight is None else weight
            x_mean, y_mean = np.average(X, axis=0, weights=mass), np.average(target, axis=0, weights=mass)
            root = np.sqrt(mass)[:, None]
            coef = (np.linalg.pinv((X - x_mean) * root, rcond=1e-11) @ ((target - y_mean) * root)).T
            model = LinearRegression().fit(form(X), target, weight)
            worst = largest(worst, _gap(model, coef, y_mean - coef @ x_mean))
    return Check(worst, 1e-9, "max |coefficient - pseudoinverse|", "numpy.linalg.pinv")


@evidence(
    "linear-regression", claim="Columns far from zero and of unlike scales lose no accuracy", against="exact weights"
)
def badly_scaled_columns() -> Check:
    from fivefold.models.linear import LinearRegression

    rng = np.random.default_rng(3)
    scale = np.array([1e-6, 1.0, 1e6, 1.0])
    Z = rng.normal(size=(400, 4))
    Z[:, 3] = Z[:, 1] + 1e-2 * Z[:, 3]  # correlation 0.99995
    X = (Z + np.array([3.0, 1e4, -2.0, 1e4])) * scale
    w = np.array([2.0, -3.0, 5.0, 7.0]) / scale
    model = LinearRegression().fit(X, X @ w + 11.0)
    # The targets are rounded to 1e5 * eps; the smallest direction of Z has the length 1e-2.
    error = np.abs((model.coef_ - w) * scale).max()
    return Check(float(error), 1e5 * 2.2e-16 * 1e2, "max |scaled coefficient - exact|", "construction")


@evidence(
    "linear-regression", claim="Gradient descent from any start ends at the least squares", against="numpy.linalg.lstsq"
)
def every_start_ends_at_the_same_point() -> Check:
    from fivefold.models.linear import LinearRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) + 0.5
    Y = X @ rng.normal(size=(3, 2)) + 1 + rng.normal(size=(200, 2))
    v = rng.integers(0, 3, size=200).astype(float)
    A = np.hstack([X, np.ones((200, 1))])
    known = np.linalg.lstsq(A * np.sqrt(v)[:, None], Y * np.sqrt(v)[:, None])[0]
    bare = np.linalg.lstsq(X * np.sqrt(v)[:, None], Y * np.sqrt(v)[:, None])[0]
    worst = 0.0
    for reduction in ("mean", "sum"):
        for start in range(4):
            model = LinearRegression(solver="gradient-descent", reduction=reduction)
            first = (
                {"coef_init": 10 * rng.normal(size=(2, 3)), "intercept_init": 10 * rng.normal(size=2)} if start else {}
            )
            worst = largest(worst, _gap(model.fit(X, Y, v, **first), known[:-1].T, known[-1]))
        free = LinearRegression(solver="gradient-descent", reduction=reduction, fit_intercept=False).fit(
            sp.csr_array(X), Y, v
        )
        worst = largest(worst, _gap(free, bare.T, np.zeros(2)))
    # |theta - theta*| <= |gradient| / (smallest curvature) with |gradient| <= 1e-10 * 2 |A'Vy|, curvature 2 min eig A'VA.
    right = np.abs((A * v[:, None]).T @ Y).max()
    bound = 1e-10 * right * np.sqrt(8) / np.linalg.eigvalsh((A * v[:, None]).T @ A)[0]
    return Check(worst, float(bound), "max |coefficient - lstsq|", "numpy.linalg.lstsq")


@evidence(
    "linear-regression", claim="One step of gradient descent is the update of the formula", against="worked by hand"
)
def one_step_by_hand() -> Check:
    from fivefold.models.linear import LinearRegression

    # (1, 2) and (2, 3) at w = b = 0: dL/dw = -2 (2*1 + 3*2) = -16 and dL/db = -2 (2 + 3) = -10 for the sum.
    # At w = 1, b = 2: residuals -1 and -1, so 6 and 4.
    worst = 0.0
    cases = [
        ("sum", {}, (0.16, 0.10)),
        ("mean", {}, (0.08, 0.05)),
        ("sum", {"coef_init": [1.0], "intercept_init": 2.0}, (0.94, 1.96)),
        ("mean", {"sample_weight": [1.0, 3.0]}, (0.01 * 2 * 20 / 4, 0.01 * 2 * 11 / 4)),
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for reduction, start, (w, b) in cases:
            model = LinearRegression(solver="gradient-descent", reduction=reduction, learning_rate=0.01, max_iter=1)
            model.fit([[1.0], [2.0]], [2.0, 3.0], **start)
            worst = largest(worst, abs(model.coef_[0] - w), abs(model.intercept_ - b), abs(model.n_iter_ - 1))
    return Check(worst + abs(len(caught) - len(cases)), 1e-14, "max |step - by hand|, missing warnings", "by hand")


@evidence(
    "linear-regression", claim="Gradient descent falls below a step of two inverse curvatures only", against="theory"
)
def step_size_limit() -> Check:
    from fivefold.base.errors import TrainingError
    from fivefold.models.linear import LinearRegression

    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    A = np.hstack([X, np.ones((50, 1))])
    limit = 1.0 / np.linalg.eigvalsh(A.T @ A / 50)[-1]  # 2 / L with L = 2 * largest eigenvalue
    LinearRegression(solver="gradient-descent", learning_rate=0.98 * limit).fit(X, y)
    try:
        LinearRegression(solver="gradient-descent", learning_rate=1.02 * limit).fit(X, y)
    except TrainingError as error:
        return Check(int(f"above {limit:g}" not in str(error)), 0, "wrong limit in the message", "2 / L")
    return Check(1, 0, "divergence not seen", "2 / L")


@evidence("linear-regression", claim="Warm start goes on from where the last fit ended", against="one longer run")
def warm_start_continues() -> Check:
    from fivefold.models.linear import LinearRegression

    X, Y, v = _table(40, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = LinearRegression(solver="gradient-descent", max_iter=20).fit(X, Y, v)
        parts = LinearRegression(solver="gradient-descent", max_iter=10, warm_start=True).fit(X, Y, v)
        half = parts.coef_.copy()
        parts.fit(X, Y, v)
    moved = np.abs(half - whole.coef_).max() > 1e-6
    return Check(
        _gap(parts, whole.coef_, whole.intercept_) + (not moved), 1e-12, "max |difference|", "20 steps at once"
    )


@evidence(
    "linear-regression", claim="Predictions on real data equal the peer's", against="scikit-learn LinearRegression"
)
def diabetes_linear() -> Check:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression as Peer

    from fivefold.models.linear import LinearRegression

    X, y = load_diabetes(return_X_y=True)
    v = np.linspace(0, 2, len(y))
    ours, peer = LinearRegression().fit(X, y, v), Peer().fit(X, y, v)
    value = largest(
        _gap(ours, peer.coef_, peer.intercept_) / 1e3, np.abs(ours.predict(X) - peer.predict(X)).max() / 1e2
    )
    return Check(float(value), 1e-11, "max relative difference", "scikit-learn LinearRegression")


@evidence(
    "ridge-regression", claim="Coefficients equal (X'VX + aI)^-1 X'Vy after centering", against="numpy.linalg.solve"
)
@evidence("linear-regression", claim="Ridge at strength zero is least squares", against="numpy.linalg.solve")
def normal_equations() -> Check:
    from fivefold.models.linear import LinearRegression, Ridge

    worst = 0.0
    for n, d in ((50, 6), (8, 20)):
        X, Y, v = _table(n, d)
        for weight in (None, v):
            for alpha in (0.01, 1.0, np.array([0.5, 30.0])):
                for intercept in (True, False):
                    mass = np.ones(n) if weight is None else weight
                    x_mean = np.average(X, axis=0, weights=mass) * intercept
                    y_mean = np.average(Y, axis=0, weights=mass) * intercept
                    A, B = X - x_mean, Y - y_mean
                    strengths = np.broadcast_to(alpha, 2)
                    coef = np.stack(
                        [
                            np.linalg.solve((A * mass[:, None]).T @ A + a * np.eye(d), (A * mass[:, None]).T @ B[:, t])
                            for t, a in enumerate(strengths)
                        ]
                    )
                    for form in (np.asarray, sp.csr_array, sp.csc_array):
                        for solver in ("auto", "cholesky", "svd", "lsqr"):
                            model = Ridge(alpha, fit_intercept=intercept, solver=solver).fit(form(X), Y, weight)
                            worst = largest(worst, _gap(model, coef, y_mean - coef @ x_mean))
        if d < n:
            worst = largest(
                worst, float(np.abs(Ridge(0.0).fit(X, Y, v).coef_ - LinearRegression().fit(X, Y, v).coef_).max())
            )
    return Check(worst, 1e-9, "max |coefficient - closed form|", "numpy.linalg.solve")


@evidence("ridge-regression", claim="The default penalty is one times the squared norm", against="worked by hand")
def ridge_by_hand() -> Check:
    from fivefold.models.linear import Ridge

    # x = -1, 0, 1 and y = 1, 2, 6: slope (X'X + 1)^-1 X'y = 5 / 3, bias the mean 3 since x is centered.
    model = Ridge().fit([[-1.0], [0.0], [1.0]], [1.0, 2.0, 6.0])
    # Weights 2, 1, 0: means -2/3 and 4/3; X'VX = 2/3, X'Vy = 2/3, so slope 2/5 and bias 4/3 + 4/15.
    heavy = Ridge().fit([[-1.0], [0.0], [1.0]], [1.0, 2.0, 6.0], sample_weight=[2.0, 1.0, 0.0])
    value = largest(_gap(model, np.array([5 / 3]), 3.0), _gap(heavy, np.array([0.4]), 1.6))
    value = largest(value, float(np.abs(model.predict([[2.0]]) - (3 + 10 / 3)).max()))
    return Check(value, 1e-14, "max |coefficient - by hand|", "by hand")


@evidence("ridge-regression", claim="Coefficients equal the peer's on real data", against="scikit-learn Ridge")
def diabetes_ridge() -> Check:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge as Peer

    from fivefold.models.linear import Ridge

    X, y = load_diabetes(return_X_y=True)
    v = np.linspace(0.0, 2.0, len(y))
    worst = 0.0
    for alpha in (1e-3, 1.0, 100.0):
        ours, peer = Ridge(alpha).fit(X, y, v), Peer(alpha, solver="cholesky").fit(X, y, v)
        worst = largest(worst, _gap(ours, peer.coef_, peer.intercept_) / np.abs(peer.coef_).max())
    # Cholesky without a correction, as the peer's, errs by eps times the condition of X'X + aI, below 1e4.
    return Check(worst, 1e-11, "max relative |coefficient - peer|", "scikit-learn Ridge")


@evidence("ridge-regression", claim="The training error rises and the norm falls with the strength", against="theory")
def monotone_in_the_strength() -> Check:
    from fivefold.models.linear import Ridge

    X, Y, v = _table(40, 10, 1)
    y = Y[:, 0]
    errors, norms = [], []
    for alpha in (0.0, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5):
        model = Ridge(alpha).fit(X, y, v)
        errors.append(float(v @ (y - model.predict(X)) ** 2))
        norms.append(float(model.coef_ @ model.coef_))
    violations = int(np.sum(np.diff(errors) <= 0) + np.sum(np.diff(norms) >= 0))
    return Check(violations, 0, "steps of the grid that break the order", "theory")


@evidence("ridge-regression", claim="The bias is free: a shift of y or X moves it alone", against="invariance")
def bias_is_not_penalized() -> Check:
    from fivefold.models.linear import Ridge

    X, Y, v = _table(30, 3)
    plain, up = Ridge(5.0).fit(X, Y, v), Ridge(5.0).fit(X, Y + 1000.0, v)
    aside = Ridge(5.0).fit(X + 50.0, Y, v)
    heavy = Ridge(1e12).fit(X, Y, v)
    value = largest(
        np.abs(up.coef_ - plain.coef_).max(),
        np.abs(up.intercept_ - plain.intercept_ - 1000).max(),
        np.abs(aside.coef_ - plain.coef_).max(),
        np.abs(heavy.intercept_ - np.average(Y, axis=0, weights=v)).max() / 1e3,
    )
    return Check(float(value), 1e-9, "max |difference|", "the shifted problem")


@evidence("ridge-regression", claim="No small change of the weights lowers the objective", against="perturbation")
def nothing_lies_lower() -> Check:
    from fivefold.models.linear import Ridge

    rng = np.random.default_rng(5)
    X, Y, v = _table(60, 5, 1)
    y = Y[:, 0]
    model = Ridge(3.0).fit(X, y, v)

    def objective(w: np.ndarray, b: float) -> float:
        return float(v @ (y - X @ w - b) ** 2 + 3.0 * (w @ w))

    best = objective(model.coef_, model.intercept_)
    lower = sum(
        objective(model.coef_ + s * rng.normal(size=5), model.intercept_ + s * rng.normal()) <= best
        for s in (1e-5, 1e-3, 1e-1)
        for _ in range(30)
    )
    return Check(lower, 0, "perturbations that lie lower", "the objective itself")


@evidence(
    "linear-regression",
    claim="Single-precision input gives single-precision weights, summed in double",
    against="float64",
)
@evidence(
    "ridge-regression",
    claim="Single-precision input gives single-precision weights, summed in double",
    against="float64",
)
def single_precision() -> Check:
    from fivefold.models.linear import LinearRegression, Ridge

    X, Y, v = _table(3000, 5)
    X = X.astype(np.float32)
    worst = 0.0
    for model in (LinearRegression(), Ridge(2.0)):
        narrow = model.fit(X, Y, v)
        coef, bias, dtype = narrow.coef_, narrow.intercept_, narrow.predict(X).dtype
        wide = model.fit(X.astype(np.float64), Y, v)
        exact = np.append(wide.coef_, wide.intercept_)
        worst = largest(worst, np.abs(np.append(coef, bias) - exact).max() / np.abs(exact).max())
        worst = np.inf if coef.dtype != np.float32 or dtype != np.float32 else worst
    return Check(float(worst), float(np.finfo(np.float32).eps), "max relative |float32 - float64|", "float64")
