"""The demonstration of sequence encoders: files, words, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.nn.sequence_encoders import SequenceEncoderDemo


def test_it_has_a_paragraph_with_times_for_each_family(tmp_path) -> None:
    result = SequenceEncoderDemo(lags=(1,), lengths=(2, 3), width=4, kernel_size=1, steps=1).run(
        out=tmp_path, quick=True
    )
    assert [p.name for p in result.figures] == ["recall.png", "time.png"]
    assert len(result.notes) == 3 and all("ms at 3" in note for note in result.notes)
    assert result.numbers["convolution: reach over 1 steps"] == 0


@pytest.mark.parametrize(
    "wrong",
    [{"lags": (0,)}, {"lags": ()}, {"lengths": ()}, {"width": 6}, {"width": 0}, {"kernel_size": 4}, {"steps": 0}],
)
def test_it_refuses_what_it_cannot_compare(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="lags, lengths and steps of at least 1"):
        SequenceEncoderDemo(**wrong).run(out=tmp_path)
