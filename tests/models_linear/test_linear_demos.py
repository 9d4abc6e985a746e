"""The demonstrations of linear models: figures, text and what is refused."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.linear.generative import GenerativeDiscriminativeDemo
from fivefold.demos.linear.least_squares import LeastSquaresClassificationDemo
from fivefold.demos.linear.squared_error import SquaredErrorFailureDemo


@pytest.mark.parametrize(
    ("demo", "figures"),
    [
        (LeastSquaresClassificationDemo(), ["boundaries.png"]),
        (SquaredErrorFailureDemo(n_steps=20), ["slopes.png", "surfaces.png"]),
        (GenerativeDiscriminativeDemo(sizes=(10, 20, 40), n_repeats=3), ["curves.png"]),
    ],
)
def test_it_writes_its_figures_and_says_what_they_show(demo, figures, tmp_path) -> None:
    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == figures
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert len(result.notes) == 2


@pytest.mark.parametrize(
    ("demo", "text"),
    [
        (LeastSquaresClassificationDemo(n_points=2), "needs n_points >= 10, n_far >= 0 and distance >= 0; got"),
        (SquaredErrorFailureDemo(bad=0), "needs n_points >= 4, bad > 0, learning_rate > 0 and n_steps >= 1; got"),
        (GenerativeDiscriminativeDemo(correlation=1.0), "0 <= correlation < 1, signal > 0, sizes of at least 4"),
    ],
)
def test_parameters_out_of_range_are_refused(demo, text, tmp_path) -> None:
    with pytest.raises(InputError, match=text):
        demo.run(out=tmp_path)
