"""The minimizers: where exactly they stop, every step of Newton, starts without curvature, singular matrices."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fivefold.evidence import Check, evidence, largest


class _Parabola:
    """``c x² / 2`` with c a power of two, so that every number on the way is exact."""

    def __init__(self, bend: float) -> None:
        self.bend = bend

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        return float(self.bend * theta @ theta / 2), self.bend * theta

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        return np.array([[self.bend]])

    def hessian_vector(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda v: self.bend * v

    def hessian_diagonal(self, theta: np.ndarray) -> np.ndarray:
        return np.array([self.bend])


@evidence(
    "linear-regression",
    claim="The minimizers stop at a gradient of at most `tol` and half a squared decrement of at most the gap",
    against="worked by hand",
)
@evidence(
    "logistic-regression",
    claim="The minimizers stop at a gradient of at most `tol` and half a squared decrement of at most `tol**2`",
    against="worked by hand",
)
def stops_exactly() -> Check:
    from fivefold.models.linear._solvers import lbfgs, newton, newton_cg

    below = 1 - 2.0**-20
    # c = 4 at x = 1: gradient 4, half the squared decrement 4² / 4 / 2 = 2.
    start, steep = np.ones(1), _Parabola(4.0)
    steps = [
        (newton(steep, start, tol=4.0, max_iter=5, gap=2.0, keep=False), 0),
        (newton(steep, start, tol=4.0 * below, max_iter=5, gap=2.0, keep=False), 1),
        (newton(steep, start, tol=4.0, max_iter=5, gap=2.0 * below, keep=False), 1),
        (newton(steep, start, tol=4.0, max_iter=5, keep=False), 0),
        (newton_cg(steep, start, tol=4.0, max_iter=5), 0),
        (newton_cg(steep, start, tol=4.0 * below, max_iter=5), 1),
        (newton_cg(steep, start, tol=4.0, max_iter=0), 0),
        (lbfgs(steep, start, tol=4.0, max_iter=5), 0),
    ]
    # c = 1/8 at x = 4: gradient 1/2, half the squared decrement 1/4 * 8 / 2 = 1. At 64 times the scale 2048 against 32².
    flat = _Parabola(0.125)
    steps += [
        (newton_cg(flat, 4 * start, tol=1.0, max_iter=5), 0),
        (newton_cg(flat, 4 * start, tol=1.0 * below, max_iter=5), 1),
        (newton(_Parabola(0.0625), 16 * start, tol=1.0, max_iter=5, gap=8.0, keep=False), 0),
        (newton(_Parabola(0.0625), 16 * start, tol=1.0, max_iter=5, keep=False), 1),
        (newton_cg(flat, 16 * start, tol=3.0, max_iter=5), 1),
    ]
    wrong = sum(s.n_iter != n or bool(s.reason) for s, n in steps)
    wrong += not newton(steep, start, tol=1.0, max_iter=0, keep=False).reason
    wrong += not newton_cg(steep, start, tol=1.0, max_iter=0).reason
    return Check(int(wrong), 0, "solutions with another number of steps", "worked by hand")


@evidence(
    "linear-regression", claim="Conjugate gradients on a 2 x 2 system, a step at a time", against="worked by hand"
)
def two_steps_by_hand() -> Check:
    from fivefold.models.linear._solvers import _conjugate_gradients

    matrix, gradient, ones = np.diag([1.0, 3.0]), np.array([-1.0, -1.0]), np.ones(2)
    # The first step has length 2/4 and leaves the residual (1/2, -1/2); the second ends at (1, 1/3).
    left = float(np.linalg.norm([0.5, -0.5]))
    values = []
    for target, known in ((left, [0.5, 0.5]), (left * (1 - 1e-9), [1, 1 / 3]), (0.0, [1, 1 / 3])):
        for scale in (1.0, 8.0):  # a common factor of the diagonal changes nothing
            got = _conjugate_gradients(lambda v: matrix @ v, gradient, scale * ones, target)
            values.append(np.abs(got - known).max())
    # With the exact diagonal one step does it; without curvature the scaled gradient comes back.
    values.append(
        np.abs(_conjugate_gradients(lambda v: matrix @ v, gradient, np.array([1.0, 3.0]), left) - [1, 1 / 3]).max()
    )
    values.append(
        np.abs(_conjugate_gradients(lambda v: 0 * v, gradient, np.array([1.0, 4.0]), left) - [1, 1 / 4]).max()
    )
    # Curvature below the rounding of c |s|², with c the diagonal, is none.
    flat = _conjugate_gradients(lambda v: 1e-14 * v, gradient, 1e4 * ones, left)
    values.append(np.abs(flat * 1e4 - ones).max())
    return Check(largest(values), 1e-15, "max |direction - by hand|", "worked by hand")


@evidence(
    "linear-regression", claim="Singular and nearly singular systems get the answer of least norm", against="theory"
)
def singular_systems() -> Check:
    from fivefold.models.linear._solvers import Factor

    values = []
    # Two columns whose correlation differs from one by less than rounding carry one direction: halves of b.
    near = np.array([[1.0, 1 - 1e-15], [1 - 1e-15, 1.0]])
    values.append(np.abs(Factor(near).solve(np.array([1.0, 1.0 + 1e-6])) - 0.5).max() / 1e-6)
    many = np.kron(np.array([[1.0, 0.5], [0.5, 1.0]]), np.ones((30, 30)))
    answer = Factor(many).solve(np.repeat([1.0, 2.0], 30))
    values.append(np.abs(answer - np.repeat([0.0, 2.0], 30) / 30).max() / 1e-12)
    values.append(np.abs(Factor(np.zeros((3, 3))).solve(np.ones(3))).max())
    # Apart from that the system is solved: |x - x*| <= eps / (smallest eigenvalue) * |x*|.
    apart = np.array([[1.0, 1 - 1e-10], [1 - 1e-10, 1.0]])
    exact = np.array([1.0, -1.0]) / 1e-10
    values.append(np.abs(Factor(apart).solve(np.array([1.0, -1.0])) / exact - 1).max() / 1e-5)
    return Check(largest(values), 1.0, "error / its bound", "the pseudoinverse by hand")


@evidence("logistic-regression", claim="Each step is Newton's step", against="numpy.linalg.solve")
def every_step_of_newton() -> Check:
    from fivefold.models.linear import LogisticRegression

    rng = np.random.default_rng(11)
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] + rng.logistic(size=200) > 0).astype(int)
    A, ridge = np.column_stack([X, np.ones(200)]), np.diag([1.0, 1.0, 1.0, 0.0])
    theta, worst, stopped = np.zeros(4), 0.0, 0
    for step in range(1, 9):
        p = 1 / (1 + np.exp(-A @ theta))
        gradient, hessian = A.T @ (p - y) + ridge @ theta, (A * (p * (1 - p))[:, None]).T @ A + ridge
        theta = theta - np.linalg.solve(hessian, gradient)
        p = 1 / (1 + np.exp(-A @ theta))
        gradient, hessian = (A.T @ (p - y) + ridge @ theta) / 200, (A * (p * (1 - p))[:, None]).T @ A + ridge
        gap = gradient @ np.linalg.solve(hessian / 200, gradient) / 2
        stopped = stopped or (step if np.abs(gradient).max() <= 1e-6 and gap <= 1e-12 else 0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = LogisticRegression(solver="newton", tol=1e-6, max_iter=step).fit(X, y)
        if stopped and step > stopped:
            worst = largest(worst, abs(model.n_iter_[0] - stopped), len(caught))
            continue
        worst = largest(
            worst, np.abs(np.append(model.coef_, model.intercept_) - theta).max(), abs(model.n_iter_[0] - step)
        )
        worst = largest(worst, abs(len(caught) - (not stopped)))
    return Check(largest(worst, not stopped), 1e-10, "max |coefficient - Newton's|, steps", "numpy.linalg.solve")


@evidence(
    "logistic-regression", claim="A start without any curvature leads back to the minimum", against="a cold start"
)
@evidence("softmax-regression", claim="A start without any curvature leads back to the minimum", against="a cold start")
def starts_without_curvature() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    rng = np.random.default_rng(12)
    Z = rng.normal(size=(80, 2))
    X = np.column_stack([Z + np.sign(Z), np.zeros(80)])  # a column of zeros has no gradient either
    y = (X[:, 0] + 2 * rng.logistic(size=80) > 0).astype(int)
    worst = 0.0
    for method in (LogisticRegression, SoftmaxRegression):
        known = method(penalty=None, tol=1e-8, solver="lbfgs", max_iter=1000).fit(X, y)
        for solver in ("newton", "newton-cg"):
            model = method(penalty=None, tol=1e-8, solver=solver, warm_start=True, max_iter=1000).fit(X, y)
            # At -1000 every probability is exactly zero or one, as exp(-1000) is no number above zero; at -25 the
            # curvature is one part in 1e11 and Newton's step leads out of sight.
            for far in (-1000.0, -25.0):
                model.coef_, model.intercept_ = np.zeros_like(model.coef_), np.zeros_like(model.intercept_)
                model.coef_[-1, 0] = far
                with warnings.catch_warnings():
                    warnings.simplefilter("error", ConvergenceWarning)
                    model.fit(X, y)
                worst = largest(worst, np.abs(model.predict_proba(X) - known.predict_proba(X)).max())
    return Check(worst, 1e-5, "max |probability - cold start|", "a cold start")


@evidence(
    "logistic-regression", claim="Too few steps are told of, with the gradient that is left", against="the formula"
)
@evidence(
    "softmax-regression", claim="Too few steps are told of, with the gradient that is left", against="the formula"
)
def tells_of_too_few_steps() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    rng = np.random.default_rng(13)
    X = np.column_stack([rng.normal(size=(60, 2)), np.zeros(60)])
    y = (X[:, 0] + rng.logistic(size=60) > 0).astype(int)
    wrong = 0
    for method in (LogisticRegression, SoftmaxRegression):
        for solver in ("newton", "newton-cg", "lbfgs"):
            model = method(penalty=None, solver=solver, max_iter=1, tol=1e-8)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X, y)
            residual = model.predict_proba(X)[:, 1] - y
            left = largest(np.abs(X.T @ residual).max(), abs(residual.sum())) / 60
            told = [re.search(r"gradient entry is (\S+)\.", str(w.message)) for w in caught]
            wrong += len(told) != 1 or told[0] is None or told[0].group(1) != f"{left:.2e}"
    return Check(int(wrong), 0, "warnings that are missing or wrong", "the formula")


@evidence("logistic-regression", claim="At zero weights the objective is log 2", against="the closed form")
@evidence("softmax-regression", claim="At zero weights the objective is log K", against="the closed form")
def value_at_zero() -> Check:
    import scipy.sparse as sp

    from fivefold.models.linear._objectives import BinaryCrossEntropy, SoftmaxCrossEntropy

    X, codes, v = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2]), np.array([1.0, 0, 2, 3, 1, 1])
    worst = 0.0
    for form in (np.asarray, sp.csr_array):
        for weight in (None, v):
            two = BinaryCrossEntropy(form(X), np.where(codes > 0, 1.0, -1.0), weight, 0.5, True)
            three = SoftmaxCrossEntropy(form(X), codes, 3, weight, 0.5, True)
            worst = largest(worst, abs(two.value_gradient(np.zeros(3))[0] - np.log(2)))
            worst = largest(worst, abs(three.value_gradient(np.zeros(9))[0] - np.log(3)))
    return Check(worst, 1e-15, "max |value - log K|", "the closed form")


@evidence(
    "logistic-regression",
    claim="A class that a part of the rows misses is found among all rows",
    against="odds by hand",
)
@evidence(
    "softmax-regression", claim="A class that a part of the rows misses is found among all rows", against="odds by hand"
)
def rare_class() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    n = 120_000
    x = (np.arange(n) // 2) % 2
    y = np.zeros(n, dtype=int)
    y[[11, 31, 51, 43]] = 1  # odd rows, x = 1
    y[[13, 33]] = 1  # x = 0
    worst = 0.0
    odds = [np.log(y[x == g].sum() / (y[x == g] == 0).sum()) for g in (0, 1)]
    for method in (LogisticRegression, SoftmaxRegression):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = method(penalty=None, tol=1e-9).fit(x[:, None].astype(float), y)
        score = model.decision_function([[0.0], [1.0]])
        worst = largest(worst, np.abs(score - odds).max())
    # A gap of 1e-18 over a curvature of 2 / n in the mean objective: an error of at most sqrt(1e-18 n).
    return Check(worst, float(np.sqrt(1e-18 * n)), "max |score - log odds|", "odds by hand")
