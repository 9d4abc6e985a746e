"""The demonstrations of unsupervised learning."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.unsupervised.linear_autoencoder import LinearAutoencoderDemo


def test_the_auto_encoder_says_how_near_it_came(tmp_path) -> None:
    result = LinearAutoencoderDemo(n_starts=1, steps=80).run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == ["training.png"]
    assert len(result.notes) == 2 and "from 1 random starts" in result.text


@pytest.mark.parametrize(
    ("demo", "text"),
    [
        (LinearAutoencoderDemo(steps=0), "needs n_starts >= 1, steps >= 1 and a rate above 0"),
        (LinearAutoencoderDemo(code=3), "`code` is 3; the data have 3 columns, so give 1 to 2."),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, demo, text) -> None:
    with pytest.raises(InputError, match=text):
        demo.run(out=tmp_path, quick=True)
