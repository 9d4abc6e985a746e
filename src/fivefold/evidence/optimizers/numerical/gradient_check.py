"""Evidence for gradients and Hessians by differences."""

from __future__ import annotations

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
    wrong = int(not ours.passed) + int(check_grad(_fun, _grad, POINT) > 1e-6)
    return Check(ours.error + wrong, 1e-9, "relative error", "exact gradient")


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
    return Check(float(max(gap, np.abs(saddle - [-1, 1]).max())), 5e-7, "max |difference|", "closed form")
