"""Demonstrations of objectives: figures, texts from the numbers, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.objectives.kantorovich_rubinstein import KantorovichRubinsteinDemo
from fivefold.demos.objectives.noise_as_ridge import NoiseAsRidgeDemo
from fivefold.demos.objectives.surrogate_losses import SurrogateLossDemo


@pytest.mark.parametrize(
    ("demo", "figure", "words"),
    [
        (KantorovichRubinsteinDemo(n_points=15), "critic.png", "the two values differ by"),
        (NoiseAsRidgeDemo(n_copies=64), "distance.png", "least squares on 8 noisy copies"),
        (SurrogateLossDemo(), "losses.png", "Below it somewhere, by at most: sigmoid + square (0.75)"),
    ],
)
def test_a_demonstration_draws_its_figure_and_says_what_it_shows(demo, figure, words, tmp_path) -> None:
    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == [figure]
    assert result.figures[0].read_bytes()[:4] == b"\x89PNG"
    assert len(result.notes) == 2 and words in result.text
    again = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert dict(again.numbers) == dict(result.numbers)


@pytest.mark.parametrize(
    ("demo", "words"),
    [
        (KantorovichRubinsteinDemo(n_points=1), "n_points >= 2"),
        (NoiseAsRidgeDemo(rate=1.0), r"rate in \(0, 1\)"),
        (NoiseAsRidgeDemo(n_features=100), "n_features <= n_samples"),
        (SurrogateLossDemo(reach=1.0), "reach > 1"),
    ],
)
def test_bad_settings_are_refused(demo, words, tmp_path) -> None:
    with pytest.raises(InputError, match=words):
        demo.run(out=tmp_path)
