import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation.nested import choose_by_fold, nested_cross_validate
from fivefold.evaluation.validation import TimeSeriesSplit

X, Y = np.arange(12.0)[:, None], np.arange(12.0)
ONE = {"mean": DummyRegressor()}


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InputError, "needs at least one candidate", lambda: nested_cross_validate({}, X, Y)),
        (DataError, "X has 12 rows, y has 11", lambda: nested_cross_validate(ONE, X, Y[:11])),
        (DataError, "X has 12 rows, y has none", lambda: nested_cross_validate(ONE, X, None)),
        (DataError, "needs three folds or more", lambda: nested_cross_validate(ONE, X, Y, cv=2)),
        (DataError, "hold each of the 12 rows once", lambda: nested_cross_validate(ONE, X, Y, cv=TimeSeriesSplit(3))),
        (
            DataError,
            r"sample_weight must have shape \(12,\)",
            lambda: nested_cross_validate(ONE, X, Y, sample_weight=[1]),
        ),
    ],
)
def test_bad_input_gets_one_clear_sentence(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_on_equal_means_the_earlier_candidate_is_chosen():
    found = nested_cross_validate({"a": DummyRegressor(), "b": DummyRegressor()}, X, Y, cv=3)
    assert found.chosen == ("a", "a", "a")


def test_the_best_on_the_other_folds_is_chosen():
    nan = float("nan")
    inner = {"a": np.array([1.0, 2.0, nan, nan]), "b": np.array([1.0, 3.0, 5.0, nan])}
    assert choose_by_fold(inner, higher_is_better=True) == ("a", "b", "b", None)
    assert choose_by_fold(inner, higher_is_better=False) == ("a", "a", "b", None)
    assert choose_by_fold({}, higher_is_better=True) == ()
