"""The demonstration of bias and variance."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.bias_variance import BiasVarianceDemo


def test_it_writes_two_figures_and_says_what_they_show(tmp_path) -> None:
    result = BiasVarianceDemo(n_datasets=20).run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == ["curves.png", "u-curve.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert len(result.notes) == 2 and "U-shaped" in result.text


def test_too_few_examples_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="more examples than it"):
        BiasVarianceDemo(sizes=(5, 100)).run(out=tmp_path)
