"""Demonstrations of activations and of batch normalization: files, words, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.nn.activation_study import ActivationStudy
from fivefold.demos.nn.batch_norm_pitfalls import BatchNormPitfalls


def test_activations_draw_four_figures(tmp_path) -> None:
    result = ActivationStudy(rates=(0.1,), width=4, steps=5, max_depth=1).run(out=tmp_path, quick=True)
    assert [p.name for p in result.figures] == ["curves.png", "training.png", "dead-units.png", "folds.png"]
    assert len(result.notes) == 3 and "folds the line 1 times" in result.text


@pytest.mark.parametrize("wrong", [{"rates": ()}, {"rates": (0.0,)}, {"rate": 0}, {"width": 0}, {"max_depth": 15}])
def test_activations_refuse_what_cannot_be_studied(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="learning rates above 0, width and steps"):
        ActivationStudy(**wrong).run(out=tmp_path)


def test_batch_norm_pitfalls_say_what_each_mistake_costs(tmp_path) -> None:
    result = BatchNormPitfalls(batch_sizes=(2, 8), width=4, steps=6).run(out=tmp_path, quick=True)
    assert [p.name for p in result.figures] == ["mistakes.png", "batch-size.png"]
    assert len(result.notes) == 4 and result.notes[2].startswith("With batches of one class")


@pytest.mark.parametrize("wrong", [{"batch_sizes": (1,)}, {"batch_sizes": ()}, {"width": 0}, {"learning_rate": 0}])
def test_batch_norm_pitfalls_refuse_what_cannot_be_trained(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="batches of at least 2 images"):
        BatchNormPitfalls(**wrong).run(out=tmp_path)
