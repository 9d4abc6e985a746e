"""The demonstration of how batch normalization helps: files, words, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.nn.smoothing import BatchNormSmoothing


def test_it_has_a_paragraph_for_each_network(tmp_path) -> None:
    result = BatchNormSmoothing(depth=1, width=4, steps=3).run(out=tmp_path, quick=True)
    assert [p.name for p in result.figures] == ["training.png", "smoothness.png"]
    assert len(result.notes) == 4 and result.notes[2].startswith("noisy batch norm")


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"width": 0}, {"steps": 0}, {"learning_rate": 0.0}, {"noise": -0.1}])
def test_it_refuses_what_cannot_be_trained(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="depth, width and steps of at least 1"):
        BatchNormSmoothing(**wrong).run(out=tmp_path)
