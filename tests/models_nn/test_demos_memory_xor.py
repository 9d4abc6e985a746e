"""Demonstrations of memory and of XOR: files, words, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.nn.memory import MemoryDemo
from fivefold.demos.nn.xor import XorDemo


def test_memory_says_what_each_layer_recalls(tmp_path) -> None:
    result = MemoryDemo(lags=(1, 2), forget_biases=(1.0,), hidden=3, steps=2).run(out=tmp_path, quick=True)
    assert [path.name for path in result.figures] == ["recall.png", "retention.png"]
    assert len(result.notes) == 3 and "LSTM, forget bias 1 recalls" in result.text


@pytest.mark.parametrize(
    "wrong", [{"lags": (0,)}, {"lags": ()}, {"forget_biases": ()}, {"hidden": 0}, {"symbols": 1}, {"learning_rate": 0}]
)
def test_memory_refuses_what_cannot_be_recalled(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="lags of at least 1, a forget bias"):
        MemoryDemo(**wrong).run(out=tmp_path)


def test_xor_with_one_hidden_unit_draws_two_spaces(tmp_path) -> None:
    result = XorDemo(hidden=1, starts=3, steps=10).run(out=tmp_path, quick=True)
    assert [path.name for path in result.figures] == ["features.png", "decision.png"]
    assert len(result.notes) == 3


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"starts": 0}, {"steps": 0}, {"learning_rate": 0.0}])
def test_xor_refuses_numbers_that_are_not_above_zero(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="numbers above 0"):
        XorDemo(**wrong).run(out=tmp_path)
