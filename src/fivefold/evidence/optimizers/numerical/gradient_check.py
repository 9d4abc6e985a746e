"""Evidence for gradients and Hessians by differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence
from fivefold.optimizers.numerical.gradient_check import check_gradient, numeric_gradient, numeric_hessian


def _fun(x: np.ndarray) -> float:
    return float(np.exp(x[0]) * x[1] + x[1] ** 3 * x[2] + np.sin(x[2]))


def _grad(x: np.ndarray) -> np.ndarray:
    e = np.exp(x[0])
    return np.array([e * x[1], e + 3 * x[1] ** 2 * x[2], x[1] ** 3 + np.cos(x[2])])


POINT = np.array([0.3, -1.2, 0.7])


@evidence(
    "gradient-check", claim="The error is O(eps^2): a tenth of eps has a hundredth of the error", against="Taylor"
)
def order_two() -> Check:
    errors = [np.abs(numeric_gradient(_fun, POINT, eps) - _grad(POINT)).max() for eps in (1e-1, 1e-2)]
    return Check(abs(float(errors[0] / errors[1]) - 100), 2.0, "|ratio - 100|", "second-order error")


@evidence(
    "gradient-check", claim="A cubic's error is exactly h^2, with h relative to |x| above one", against="closed form"
)
def cubic_error() -> Check:
    found = numeric_gradient(lambda x: float((x**3).sum()), np.array([0.5, 4.0, -10.0]), 1e-2)
    expected = 3 * np.array([0.5, 4.0, 10.0]) ** 2 + np.array([1e-2, 4e-2, 1e-1]) ** 2
    return Check(float(np.abs(found - expected).max()), 1e-9, "max |difference|", "closed form")


@evidence(
    "gradient-check",
    claim="The default step errs by less than 1e-9, as SciPy's three-point rule",
    against="scipy.optimize.approx_fprime and the exact gradient",
)
def default_step() -> Check:
    from scipy.optimize import check_grad

    ours = check_gradient(_fun, _grad, POINT)
    wrong = int(not ours.passed) + int(not check_grad(_fun, _grad, POINT) <= 1e-6)
    return Check(ours.error + wrong, 1e-9, "relative error", "exact gradient")


@evidence(
    "gradient-check",
    claim="Default steps: x^3 at 0 has the error (6e-6)^2, x^4 the second derivative 8 (1e-4)^2, and beyond 1 they grow with x",
    against="closed form",
)
def step_sizes() -> Check:
    flat = np.zeros(1)
    gap = abs(float(numeric_gradient(lambda x: float(x[0] ** 3), flat)[0]) / 36e-12 - 1)
    gap += abs(check_gradient(lambda x: float(x[0] ** 3), lambda x: 0 * x, flat).error / 36e-12 - 1)
    gap += abs(float(numeric_hessian(lambda x: float(x[0] ** 4), flat)[0, 0]) / 8e-8 - 1)
    # At x the fourth power has 12 x^2 + 8 h^2 with h = eps |x| beyond one and eps below.
    for x in (20.0, 0.5):
        h = 0.01 * max(1.0, x)
        found = float(numeric_hessian(lambda z: float(z[0] ** 4), np.array([x]), 0.01)[0, 0])
        gap += abs(found / (12 * x * x + 8 * h * h) - 1)
    return Check(gap, 1e-9, "sum of relative differences", "closed form")


@evidence(
    "gradient-check",
    claim="The error is relative to the larger gradient beyond one; one of just the tolerance passes, 1e-6 by default",
    against="closed form",
)
def errors_by_hand() -> Check:
    slope = np.array([8.0, 0.25, -2.0])

    def found(fault: Any, **options: Any) -> Any:
        return check_gradient(lambda x: float(slope @ x), lambda x: slope + fault, np.zeros(3), **options)

    gap = abs(found([0.5, 0.01, 0.0]).error - 0.5 / 8.5) + abs(found([-0.5, 0.01, 0.0]).error - 0.5 / 8)
    gap += abs(found([0.0, 0.5, 0.01]).error - 0.5) + abs(found([0.0, -0.5, 0.0]).error - 0.5)
    wrong = found([0.0, 2e-6, 0.0]).passed + (not found([0.0, 0.9e-6, 0.0]).passed)
    still = check_gradient(lambda x: 0.0, lambda x: 0 * x, np.zeros(2), tolerance=0.0)
    wrong += not still.passed
    return Check(gap + wrong, 1e-9, "sum of differences", "closed form")


@evidence("gradient-check", claim="A planted fault in one coordinate is caught and named", against="the planted fault")
def catches_fault() -> Check:
    missed = 0
    for i in range(3):
        for fault in (1e-4, -1e-4):
            found = check_gradient(_fun, lambda x, i=i, fault=fault: _grad(x) + fault * np.eye(3)[i], POINT)  # type: ignore[misc]
            missed += found.passed or found.worst != i
    return Check(missed, 0, "faults missed", "planted")


@evidence(
    "gradient-check", claim="The Hessian equals the exact one and tells a saddle from a minimum", against="closed form"
)
def hessian() -> Check:
    a, b, c = POINT
    e = np.exp(a)
    exact = np.array([[e * b, e, 0], [e, 6 * b * c, 3 * b**2], [0, 3 * b**2, -np.sin(c)]])
    gap = np.abs(numeric_hessian(_fun, POINT) - exact).max()
    saddle = np.linalg.eigvalsh(numeric_hessian(lambda x: float(x[0] * x[1]), np.zeros(2)))
    # Rounding: a few 1e-16 over 4e-8; truncation: 1e-8 times fourth derivatives of about 7.
    return Check(float(np.max([gap, np.abs(saddle - [-1, 1]).max()])), 5e-7, "max |difference|", "closed form")
