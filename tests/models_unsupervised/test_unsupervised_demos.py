"""The demonstrations of unsupervised learning."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.unsupervised.eigenfaces import EigenfacesDemo
from fivefold.demos.unsupervised.linear_autoencoder import LinearAutoencoderDemo
from fivefold.demos.unsupervised.pca_limits import PCALimitsDemo


def test_the_auto_encoder_says_how_near_it_came(tmp_path) -> None:
    result = LinearAutoencoderDemo(n_starts=1, steps=80).run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == ["training.png"]
    assert len(result.notes) == 2 and "from 1 random starts" in result.text


@pytest.mark.parametrize(
    ("demo", "text"),
    [
        (LinearAutoencoderDemo(steps=0), "needs n_starts >= 1, steps >= 1 and a rate above 0"),
        (LinearAutoencoderDemo(code=3), "`code` is 3; the data have 3 columns, so give 1 to 2."),
        (PCALimitsDemo(rows=10), "needs rows >= 50 and distance, spread and width above 0"),
        (PCALimitsDemo(width=0.0), "needs rows >= 50 and distance, spread and width above 0"),
        (EigenfacesDemo(rows=30), "needs n_components >= 1 and more rows than those and than 30"),
        (EigenfacesDemo(n_components=65), "`n_components` is 65; a picture has 64 pixels, so give at most that."),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, demo, text) -> None:
    with pytest.raises(InputError, match=text):
        demo.run(out=tmp_path, quick=True)


def test_the_limits_and_the_digits_are_drawn_and_told(tmp_path) -> None:
    limits = PCALimitsDemo(rows=120).run(out=tmp_path / "a", quick=True)
    assert [path.name for path in limits.figures] == ["classes.png", "sheet.png"]
    assert len(limits.notes) == 2 and "LDA's direction" in limits.text
    digits = EigenfacesDemo(n_components=4).run(seed=3, out=tmp_path / "b", quick=True)
    assert [path.name for path in digits.figures] == ["components.png", "parts.png", "rebuilt.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in limits.figures + digits.figures)
    assert "The first 4 principal components of 500 digits" in digits.text
