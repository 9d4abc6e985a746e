"""The demonstrations of the engine: figures, text, refused arguments."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.engine.autograd import AutogradDemo
from fivefold.demos.engine.mnist import MnistReference
from fivefold.demos.engine.ring import RingDemo


@pytest.mark.parametrize(
    ("demo", "figures", "words"),
    [
        (RingDemo(), ["steps.png", "bytes.png"], "All workers end with the same bits"),
        (AutogradDemo(), ["differences.png"], "gradient over a 2 × 2 tensor is 4.5"),
        (MnistReference(), ["losses.png", "mistakes.png"], "Accuracy on the rows held out"),
    ],
)
def test_it_draws_and_says_what_it_shows(demo, figures, words, tmp_path):
    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == figures
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert len(result.notes) == 2 and words in result.text


@pytest.mark.parametrize(
    ("demo", "text"),
    [
        (RingDemo(elements=0), "needs elements >= 1, workers >= 1 each"),
        (RingDemo(workers=()), "needs elements >= 1, workers >= 1 each"),
        (RingDemo(shown=1), "at least two workers shown"),
        (AutogradDemo(at=100.0), r"at a point in \[-10, 10\], got 100.0"),
        (MnistReference(epochs=0), "needs epochs, batch_size and style_epochs >= 1"),
        (MnistReference(learning_rate=0.0), "a positive rate"),
        (MnistReference(momentum=1.0), r"a momentum in \[0, 1\), got 1.0"),
    ],
)
def test_senseless_settings_are_refused(demo, text, tmp_path):
    with pytest.raises(InputError, match=text):
        demo.run(out=tmp_path, quick=True)
