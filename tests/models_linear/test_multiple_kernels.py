"""Multiple kernels: what is refused and how, the warning, saving, tables, classes without weight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fivefold
from fivefold.base.errors import DataError, FivefoldError, InputError, InputTypeError
from fivefold.base.estimator import NotFittedError
from fivefold.models.linear import MultipleKernelSVC

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
y = np.where(X[:, 0] + 0.3 * RNG.normal(size=40) > 0, "y", "n")


def fit(kernels: Any = None, **params: Any) -> Any:
    return MultipleKernelSVC(kernels, **params).fit(X, y)


CASES: dict[str, tuple[Callable[[], Any], type[FivefoldError], str]] = {
    "C": (lambda: fit(C=0), InputError, "`C` is 0; give a number > 0."),
    "norm": (lambda: fit(norm=0.5), InputError, "`norm` is 0.5; give a number >= 1."),
    "tol": (lambda: fit(tol="1"), InputTypeError, "`tol` is '1' of type str; give a number > 0."),
    "cache": (lambda: fit(cache_size=0), InputError, "`cache_size` is 0; give a number > 0."),
    "steps": (lambda: fit(max_iter=0), InputError, "`max_iter` is 0; give a whole number >= 1."),
    "one name": (
        lambda: fit("rbf"),
        InputTypeError,
        "`kernels` is 'rbf'; give None or a list of names, functions and mappings with kernel, degree, gamma, coef0, "
        "features.",
    ),
    "no kernel": (
        lambda: fit([]),
        InputTypeError,
        "`kernels` is []; give None or a list of names, functions and mappings with kernel, degree, gamma, coef0, "
        "features.",
    ),
    "kernel": (
        lambda: fit(["linear", "cubic"]),
        InputError,
        "`kernels[1]` is 'cubic'; give one of 'linear', 'poly', 'rbf', 'sigmoid'.",
    ),
    "key": (
        lambda: fit([{"width": 1.0}]),
        InputError,
        "`kernels[0]` holds 'width'; the keys are kernel, degree, gamma, coef0, features.",
    ),
    "gamma": (
        lambda: fit([{"gamma": "wide"}]),
        InputError,
        "`gamma` is 'wide'; give 'scale', 'auto' or a number >= 0.",
    ),
    "degree": (
        lambda: fit([{"kernel": "poly", "degree": 1.5}]),
        InputTypeError,
        "`kernels[0]['degree']` is 1.5 of type float; give a whole number >= 0.",
    ),
    "offset": (
        lambda: fit([{"kernel": "poly", "coef0": "1"}]),
        InputTypeError,
        "`kernels[0]['coef0']` is '1' of type str; give a finite number.",
    ),
    "a column that is not there": (
        lambda: fit([{"features": [0, 3]}]),
        InputError,
        "`kernels[0]['features']` names the column 3; X has 3 columns, numbered from 0.",
    ),
    "columns": (
        lambda: fit([{"features": "x"}]),
        InputTypeError,
        "`kernels[0]['features']` is 'x'; give a list of column numbers or None for all columns.",
    ),
    "one class": (
        lambda: MultipleKernelSVC().fit(X, ["n"] * 40),
        DataError,
        "MultipleKernelSVC needs two classes; y holds one class, 'n' with weight. Give rows of others.",
    ),
    "before fit": (
        lambda: MultipleKernelSVC().predict(X),
        NotFittedError,
        "This MultipleKernelSVC is not fitted yet; call `fit` before using it.",
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
    with pytest.warns(ConvergenceWarning, match=r"after 1 steps the duality gap is \d.*Raise `max_iter` or `tol`"):
        fit(tol=1e-10, max_iter=1)


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    model = fit(["linear", {"gamma": 0.5, "features": [0, 2]}], norm=2.0)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").decision_function(X), model.decision_function(X))


def test_a_class_without_weight_is_not_predicted() -> None:
    three = np.where(X[:, 1] > 0.8, "z", y)
    model = MultipleKernelSVC().fit(X, three, (three != "z").astype(float))
    assert list(model.classes_) == ["n", "y", "z"]
    assert "z" not in model.predict(X)


def test_rows_that_are_all_alike_have_a_stated_result() -> None:
    for norm in (1.0, 2.0):
        model = MultipleKernelSVC(norm=norm).fit(np.ones((6, 2)), [0, 0, 0, 0, 1, 1])
        assert set(model.predict(np.ones((2, 2)))) == {0}
