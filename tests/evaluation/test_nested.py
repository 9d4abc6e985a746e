import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation.nested import nested_cross_validate
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
