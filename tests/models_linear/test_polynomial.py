"""Polynomial regression: what is refused and how; saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fivefold
from fivefold.base.errors import InputError
from fivefold.models.linear import PolynomialRegression

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
y = X[:, 0] ** 2 + RNG.normal(size=30)


def test_a_degree_of_zero_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        PolynomialRegression(0).fit(X, y)
    assert str(caught.value) == "`degree` is 0; give a whole number >= 1."


def test_too_many_products_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        PolynomialRegression(8).fit(np.hstack([X] * 10), y)
    assert str(caught.value) == (
        "degree=8 makes 48903491 products of 30 features, too many for 30 rows; lower `degree` or drop features."
    )


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    model = PolynomialRegression(3).fit(X, y)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").predict(X), model.predict(X))
