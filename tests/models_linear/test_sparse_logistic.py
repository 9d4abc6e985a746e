"""Sparse, one-vs-rest and kernel logistic regression, the multiclass machine: refusals and warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import DataError, FivefoldError, InputError, InputTypeError
from fivefold.models.linear import (
    KernelLogisticRegression,
    MulticlassSVM,
    OneVsRestLogistic,
    RankingSVM,
    SparseLogisticRegression,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5))
y = np.where(X[:, 0] + RNG.normal(size=30) > 0, "b", "a")

CASES: dict[str, tuple[Callable[[], Any], type[FivefoldError], str]] = {
    "C": (lambda: SparseLogisticRegression(0).fit(X, y), InputError, "`C` is 0; give a number > 0."),
    "ratio": (
        lambda: SparseLogisticRegression(l1_ratio=0).fit(X, y),
        InputError,
        "`l1_ratio` is 0; give a number > 0 and <= 1.",
    ),
    "tol": (
        lambda: SparseLogisticRegression(tol="x").fit(X, y),
        InputTypeError,
        "`tol` is 'x' of type str; give a number > 0.",
    ),
    "steps": (
        lambda: SparseLogisticRegression(max_iter=0).fit(X, y),
        InputError,
        "`max_iter` is 0; give a whole number >= 1.",
    ),
    "mode": (
        lambda: SparseLogisticRegression(multi_class="ovo").fit(X, y),
        InputError,
        "`multi_class` is 'ovo'; give one of 'multinomial', 'ovr'.",
    ),
    "one class": (
        lambda: SparseLogisticRegression().fit(X, ["a"] * 30),
        DataError,
        "SparseLogisticRegression needs two classes; y holds one class, 'a' with weight. Give rows of others.",
    ),
    "one class of many functions": (
        lambda: OneVsRestLogistic().fit(X, ["a"] * 30),
        DataError,
        "OneVsRestLogistic needs two classes or more; y holds one class, 'a'. Give rows of the others.",
    ),
    "solver": (
        lambda: OneVsRestLogistic(solver="x").fit(X, y),
        InputError,
        "`solver` is 'x'; give one of 'auto', 'newton', 'newton-cg', 'lbfgs'.",
    ),
    "price": (lambda: MulticlassSVM(0).fit(X, y), InputError, "`C` is 0; give a number > 0."),
    "margins": (
        lambda: MulticlassSVM(cost=[[0, 1]]).fit(X, y),
        InputError,
        "`cost` has the shape (1, 2) or entries that do not fit; give (2, 2) numbers >= 0 with zeros on the diagonal.",
    ),
    "own margin": (
        lambda: MulticlassSVM(cost=[[1, 1], [1, 0]]).fit(X, y),
        InputError,
        "`cost` has the shape (2, 2) or entries that do not fit; give (2, 2) numbers >= 0 with zeros on the diagonal.",
    ),
    "one class of a machine": (
        lambda: MulticlassSVM().fit(X, ["a"] * 30),
        DataError,
        "MulticlassSVM needs two classes; y holds one class, 'a' with weight. Give rows of others.",
    ),
    "kernel": (
        lambda: KernelLogisticRegression(kernel="precomputed").fit(-np.eye(30), y),
        DataError,
        "The kernel matrix has the negative eigenvalue -1: its functions have no norm to penalize. Take a kernel that is "
        "positive semi-definite, such as 'rbf'.",
    ),
    "one class of a kernel": (
        lambda: KernelLogisticRegression().fit(X, ["a"] * 30),
        DataError,
        "KernelLogisticRegression needs two classes; y holds one class, 'a' with weight. Give rows of others.",
    ),
    "price of a pair": (lambda: RankingSVM(-1).fit(X, X[:, 0]), InputError, "`C` is -1; give a number > 0."),
    "one grade": (
        lambda: RankingSVM().fit(X, np.ones(30)),
        DataError,
        "No group holds two grades, so there is nothing to rank; give rows whose y differs.",
    ),
    "groups": (
        lambda: RankingSVM().fit(X, X[:, 0], [1, 2]),
        DataError,
        "`groups` has the shape (2,), X has 30 rows; give one group a row.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name: str) -> None:
    act, kind, text = CASES[name]
    with pytest.raises(FivefoldError) as caught:
        act()
    assert isinstance(caught.value, kind)
    assert str(caught.value) == text


def test_an_unfinished_fit_warns_with_the_gap() -> None:
    with pytest.warns(
        ConvergenceWarning, match=r"after max_iter=1 Newton steps the duality gap is \d.*Raise `max_iter`"
    ):
        SparseLogisticRegression(10, tol=1e-12, max_iter=1).fit(X, y)


def test_an_unfinished_machine_warns_with_the_gap() -> None:
    with pytest.warns(ConvergenceWarning, match=r"after max_iter=1 passes the duality gap is \d.*Raise `max_iter`"):
        MulticlassSVM(10, tol=1e-12, max_iter=1).fit(X, y)


def test_an_unfinished_kernel_fit_warns() -> None:
    with pytest.warns(ConvergenceWarning, match="KernelLogisticRegression did not reach tol=1e-12: .*Raise `max_iter`"):
        KernelLogisticRegression(10, tol=1e-12, max_iter=1).fit(X, y)


def test_an_unfinished_ranking_warns() -> None:
    with pytest.warns(ConvergenceWarning, match=r"RankingSVM did not reach tol=1e-12: after max_iter=1 passes.*Raise"):
        RankingSVM(10, tol=1e-12, max_iter=1).fit(X, X[:, 0])
