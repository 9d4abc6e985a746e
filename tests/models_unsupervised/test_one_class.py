"""One-class machine: what is refused and how, the warning, scikit-learn's checks, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import fivefold
from fivefold.base.errors import InputError
from fivefold.models.unsupervised import OneClassSVM

X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.parametrize("nu", [0, 1.5])
def test_a_share_out_of_range_is_refused(nu: float) -> None:
    with pytest.raises(InputError) as caught:
        OneClassSVM(nu=nu).fit(X)
    assert str(caught.value) == f"`nu` is {nu!r}; give a number > 0 and <= 1."


def test_an_unfinished_fit_warns_with_the_residual() -> None:
    with pytest.warns(ConvergenceWarning, match=r"after 2 pairs the optimality conditions are violated by \d"):
        OneClassSVM(max_iter=2).fit(X)


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    model = OneClassSVM().fit(X)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").predict(X), model.predict(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [OneClassSVM()], expected_failed_checks=lambda e: dict(e._expected_failed_checks), xfail_strict=True
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
