import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation.fit_diagnosis import diagnose_fit, fit_report, noise_floor

GIVEN = {"guess": 2.0, "goal": 1.0}


def plain(**options):
    return diagnose_fit((1, 2), (1, 1), (1, 1), **GIVEN, **options)


def report(**options):
    return fit_report(LinearRegression(), np.eye(9), np.ones(9), **options)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InputError, r"tolerance must be in \(0, 1\), got 1", lambda: plain(tolerance=1)),
        (InputError, r"tolerance must be in \(0, 1\), got 0", lambda: plain(tolerance=0)),
        (InputError, r"copies is a share and must be in \[0, 1\]", lambda: plain(copies=2)),
        (DataError, "two sizes or more and one error for each", lambda: diagnose_fit((1,), (1,), (1,), **GIVEN)),
        (DataError, "two sizes or more and one error for each", lambda: diagnose_fit((1, 2), (1, 1), (1,), **GIVEN)),
        (DataError, "train must hold finite errors", lambda: diagnose_fit((1, 2), (1, np.nan), (1, 1), **GIVEN)),
        (DataError, "sizes must rise from above 0", lambda: diagnose_fit((2, 2), (1, 1), (1, 1), **GIVEN)),
        (DataError, "sizes must rise from above 0", lambda: diagnose_fit((0, 2), (1, 1), (1, 1), **GIVEN)),
        (DataError, "there is nothing to learn", lambda: diagnose_fit((1, 2), (1, 1), (1, 1), guess=1, goal=1)),
        (DataError, "more than 10 distinct rows; got 3", lambda: noise_floor(np.eye(3), [1, 2, 3], classification=True)),
        (DataError, r"finite numbers X \(n, d\)", lambda: noise_floor(np.ones(3), [1, 2, 3], classification=True)),
        (InputError, "neighbors must be a whole", lambda: noise_floor(np.eye(3), [0] * 3, classification=True, neighbors=1)),
        (InputError, "fractions must be two or more rising shares", lambda: report(fractions=(1.0,))),
        (InputError, "fractions must be two or more rising shares", lambda: report(fractions=(0.5, 0.5))),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_sentence(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_the_diagnosis_is_words_that_say_what_to_do_next():
    found = diagnose_fit((50, 100), (0.2, 0.25), (0.55, 0.45), guess=1.0, goal=0.0)
    lines = str(found).splitlines()
    assert lines[0].startswith("With 100 rows the training error is 0.25, the validation error 0.45; a constant guess")
    assert [line.split(":")[0] for line in lines[1:]] == ["underfitting", "too-little-data"]
    assert found.advice.startswith("The model is too simple")


def test_one_class_and_constant_columns_have_no_noise():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=40), np.ones(40)])
    assert noise_floor(X, ["a"] * 40, classification=True) == 0.0
    assert noise_floor(X, np.zeros(40), classification=False) == 0.0
