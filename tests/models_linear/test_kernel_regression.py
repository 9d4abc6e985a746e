"""Kernel ridge and Nadaraya-Watson regression: what is refused and how; saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fivefold
from fivefold.base.errors import DataError, FivefoldError, InputError
from fivefold.models.linear import KernelRidge, NadarayaWatson

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
y = X[:, 0] + RNG.normal(size=30)

CASES: dict[str, tuple[Callable[[], Any], type[FivefoldError], str]] = {
    "alpha": (lambda: KernelRidge(0).fit(X, y), InputError, "`alpha` is 0; give a number > 0."),
    "alphas": (
        lambda: KernelRidge().leave_one_out(X, y, alphas=[1.0, 0.0]),
        InputError,
        "`alphas` is [1.0, 0.0]; give numbers > 0.",
    ),
    "two targets left out": (
        lambda: KernelRidge().leave_one_out(X, np.stack([y, y], axis=1)),
        DataError,
        "Leaving one out takes one target and rows that all have weight; drop the others first.",
    ),
    "an indefinite kernel": (
        lambda: KernelRidge(0.1, kernel="precomputed").fit(-np.eye(30), y),
        DataError,
        "The kernel matrix plus alpha is not positive definite: raise `alpha`, or take a kernel that is.",
    ),
    "bandwidth": (
        lambda: NadarayaWatson(0.0).fit(X, y),
        InputError,
        "`bandwidth` is 0.0; give a number > 0 or one for each of the 3 features.",
    ),
    "bandwidths": (
        lambda: NadarayaWatson([1.0, 2.0]).fit(X, y),
        InputError,
        "`bandwidth` is [1.0, 2.0]; give a number > 0 or one for each of the 3 features.",
    ),
    "bandwidth as text": (
        lambda: NadarayaWatson("wide").fit(X, y),
        InputError,
        "`bandwidth` is 'wide'; give a number > 0 or one for each feature.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name: str) -> None:
    act, kind, text = CASES[name]
    with pytest.raises(FivefoldError) as caught:
        act()
    assert isinstance(caught.value, kind)
    assert str(caught.value) == text


@pytest.mark.parametrize("method", [KernelRidge, NadarayaWatson])
def test_a_saved_model_answers_the_same(method: Any, tmp_path: Path) -> None:
    model = method().fit(X, y)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").predict(X), model.predict(X))
