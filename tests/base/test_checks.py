"""Checks of numbers and words: what they accept, and the one sentence of every refusal."""

import math
from fractions import Fraction

import numpy as np
import pytest

from fivefold.base.checks import check_count, check_number, check_one_of, choice, real, whole
from fivefold.base.errors import InputError, InputTypeError

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "limits", "error", "said"),
    [
        (-1, {"low": 0}, InputError, "`a` is -1; give a number >= 0."),
        (0, {"low": 0, "above": True}, InputError, "`a` is 0; give a number > 0."),
        (1.0, {"low": 0, "high": 1, "below": True}, InputError, "`a` is 1.0; give a number >= 0 and < 1."),
        (1.5, {"low": 0, "high": 1, "above": True}, InputError, "`a` is 1.5; give a number > 0 and <= 1."),
        (2, {"high": 1}, InputError, "`a` is 2; give a number <= 1."),
        (INF, {"low": 0}, InputError, "`a` is inf; give a number >= 0."),
        (NAN, {}, InputError, "`a` is nan; give a finite number."),
        (NAN, {"finite": False}, InputError, "`a` is nan; give a number."),
        ("1", {"low": 0}, InputTypeError, "`a` is '1' of type str; give a number >= 0."),
        (True, {"low": 0}, InputTypeError, "`a` is True of type bool; give a number >= 0."),
        (None, {}, InputTypeError, "`a` is None of type NoneType; give a finite number."),
    ],
)
def test_a_number_that_a_parameter_cannot_be(value, limits, error, said):
    with pytest.raises(error) as caught:
        real("a", value, **limits)
    assert str(caught.value) == said and type(caught.value) is error


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        (-1, {"low": 0}, "a must be a finite number >= 0, got -1."),
        (1, {"low": 0, "high": 1, "below": True}, "a must be a finite number >= 0 and < 1, got 1."),
        (0, {"low": 0, "above": True, "finite": False}, "a must be a number > 0, got 0."),
        (INF, {}, "a must be a finite number, got inf."),
        (NAN, {"finite": False}, "a must be a number, got nan."),
        ("1", {}, "a must be a finite number, got '1'."),
        (False, {"low": 0}, "a must be a finite number >= 0, got False."),
    ],
)
def test_a_number_that_an_argument_cannot_be(value, limits, said):
    with pytest.raises(InputError) as caught:
        check_number("a", value, **limits)
    assert str(caught.value) == said


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1), Fraction(1)])
def test_numbers_of_every_kind_come_back_as_floats(value):
    for found in (real("a", value, low=1, high=1), check_number("a", value, 1, 1)):
        assert found == 1.0 and type(found) is float
    assert real("a", INF, low=0, finite=False) == check_number("a", INF, finite=False) == INF


def test_whole_numbers():
    for found in (whole("n", np.int8(2), low=2), check_count("n", np.int8(2), 2), check_count("n", 2)):
        assert found == 2 and type(found) is int
    for value, error, said in (
        (1, InputError, "`n` is 1; give a whole number >= 2."),
        (2.0, InputTypeError, "`n` is 2.0 of type float; give a whole number >= 2."),
        (True, InputTypeError, "`n` is True of type bool; give a whole number >= 2."),
    ):
        with pytest.raises(error) as caught:
            whole("n", value, low=2)
        assert str(caught.value) == said and type(caught.value) is error
        with pytest.raises(InputError) as caught:
            check_count("KFold: n", value, 2)
        assert str(caught.value) == f"KFold: n must be a whole number >= 2, got {value!r}."


def test_words():
    assert choice("w", "l2", ("l2", None)) == check_one_of("w", "l2", {"l1": 1, "l2": 2}) == "l2"
    assert choice("w", None, ("l2", None)) is None
    for value in ("l1", 0, np.zeros(2)):
        with pytest.raises(InputError) as caught:
            choice("w", value, ("l2", None))
        assert str(caught.value) == f"`w` is {value!r}; give one of 'l2', None."
        with pytest.raises(InputError) as caught:
            check_one_of("w", value, ("l2", "none"))
        assert str(caught.value) == f"w must be one of l2, none; got {value!r}."
