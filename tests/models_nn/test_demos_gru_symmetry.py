"""Demonstrations of GRU beside LSTM and of symmetry: files, words, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.nn.gru_lstm import GruLstmDemo
from fivefold.demos.nn.symmetry import SymmetryDemo


def test_gru_and_lstm_are_timed_in_the_text(tmp_path) -> None:
    result = GruLstmDemo(hidden=3, steps=2).run(out=tmp_path, quick=True)
    assert [p.name for p in result.figures] == ["loss.png", "time.png"]
    assert len(result.notes) == 4 and "4 gate blocks" in result.notes[2]


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"steps": 0}, {"learning_rate": 0.0}])
def test_gru_and_lstm_need_numbers_above_zero(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="needs hidden, steps and a learning rate above 0"):
        GruLstmDemo(**wrong).run(out=tmp_path)


def test_symmetry_has_a_paragraph_for_each_start(tmp_path) -> None:
    result = SymmetryDemo(hidden_layer_sizes=(2,), steps=3).run(out=tmp_path, quick=True)
    assert [p.name for p in result.figures] == ["spread.png", "units.png"]
    assert len(result.notes) == 4 and result.notes[1].startswith("From equal weights")


@pytest.mark.parametrize("wrong", [{"hidden_layer_sizes": ()}, {"hidden_layer_sizes": (1,)}, {"steps": 0}])
def test_symmetry_refuses_layers_of_one_unit(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="hidden layers of at least 2 units"):
        SymmetryDemo(**wrong).run(out=tmp_path)
