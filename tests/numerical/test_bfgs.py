"""BFGS: refusals, edges of the domain, failures that say so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from fivefold.base.errors import InputError, InputTypeError
from fivefold.optimizers.numerical.bfgs import BFGS, minimize_bfgs

START = np.array([-1.2, 1.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimize_bfgs(rosen, [np.inf, 1.0]), "x0 must be finite, but x0[0] is inf"),
        (lambda: minimize_bfgs(rosen, np.ones((2, 2))), "x0 must be a vector of shape (n,)"),
        (lambda: minimize_bfgs(rosen, []), "x0 must be a vector"),
        (lambda: minimize_bfgs(rosen, START, lambda x: np.ones(3)), "jac returned shape (3,)"),
        (lambda: minimize_bfgs(rosen, START, "4-point"), "jac must be a function, True"),
        (lambda: minimize_bfgs(lambda x: np.nan, START), "fun must be finite at the start"),
        (lambda: minimize_bfgs(rosen, START, lambda x: np.array([1.0, np.nan])), "entry 1 is nan"),
        (lambda: minimize_bfgs(rosen, START, gtol=-1), "gtol must be a number >= 0"),
        (lambda: minimize_bfgs(rosen, START, c1=0.9, c2=0.1), "0 < c1 < c2 < 1"),
        (lambda: minimize_bfgs(rosen, START, maxiter=1.5), "maxiter must be a whole number"),
        (
            lambda: minimize_bfgs(rosen, START, hess_inv0=np.eye(3)),
            "hess_inv0 must be a finite symmetric matrix of shape (2, 2)",
        ),
        (lambda: minimize_bfgs(rosen, START, hess_inv0=-np.eye(2)), "positive definite"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimize_bfgs(3.0, START), "fun must be a function"),
        (lambda: minimize_bfgs(rosen, ["a"]), "x0 must hold real numbers"),
        (lambda: minimize_bfgs(lambda x: x, START), "fun must return one real number"),
        (lambda: minimize_bfgs(lambda x: None, START), "fun must return one real number"),
        (lambda: minimize_bfgs(lambda x: 1j, START), "fun must return one real number"),
        (lambda: minimize_bfgs(rosen, START, True), "fun must return the pair"),
    ],
)
def test_wrong_types_are_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(InputTypeError) as caught:
        call()
    assert words in str(caught.value)


def test_a_wrong_gradient_is_no_success() -> None:
    result = BFGS().minimize(rosen, START, lambda x: -rosen_der(x))
    assert result.status == 2 and not result.success and "lowers the function" in result.message
    assert result.x.tolist() == START.tolist()


def test_a_gradient_that_fails_away_from_the_start_is_stepped_back_from() -> None:
    def jac(x: np.ndarray) -> np.ndarray:
        return np.where(np.abs(x) > 2.5, np.nan, 2 * x)

    result = BFGS().minimize(lambda x: float(x @ x), [2.4, -2.4], jac)
    assert result.success and np.abs(result.x).max() < 1e-5


def test_a_function_may_write_into_its_argument() -> None:
    def rude(x: np.ndarray) -> float:
        value = float(((x - 1) ** 2).sum())
        x[:] = 99.0
        return value

    assert np.abs(BFGS().minimize(rude, [5.0, 5.0]).x - 1).max() < 1e-5


def test_a_scalar_start_and_integers_are_accepted() -> None:
    assert BFGS().minimize(lambda x: float((x[0] - 3) ** 2), 0).x == pytest.approx([3.0], abs=1e-5)
    assert BFGS().minimize(lambda x: (x - 3) ** 2, [0]).success


def test_central_differences_take_over_where_forward_ones_end() -> None:
    # Steep and shallow at once: the forward difference's error exceeds gtol near the minimum.
    def fun(x: np.ndarray) -> float:
        return float(1e4 * (x[0] - 1) ** 2 + (x[1] + 2) ** 2)

    result = BFGS(gtol=1e-7).minimize(fun, [0.0, 0.0])
    assert result.success and np.abs(result.x - [1, -2]).max() < 1e-6


def test_large_offsets_do_not_stop_it() -> None:
    result = BFGS(gtol=1e-3).minimize(lambda x: 1e6 + float(rosen(x)), START, rosen_der)
    assert result.success and np.abs(result.x - 1).max() < 1e-2


def test_flat_is_converged() -> None:
    result = BFGS().minimize(lambda x: 7.0, [1.0, 2.0])
    assert result.success and result.nit == 0 and result.fun == 7.0
