"""The demonstrations of tree ensembles: files, text, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.trees.boosting_identity import BoostingIdentityDemo
from fivefold.demos.trees.error_bound import AdaBoostErrorBoundDemo
from fivefold.demos.trees.picture_function import PictureFunctionDemo


@pytest.mark.parametrize(
    ("demo", "names", "word"),
    [
        (AdaBoostErrorBoundDemo(n_samples=60, n_new=50, members=(2, 20)), ["bound.png", "margins.png"], "least margin"),
        (BoostingIdentityDemo(n_samples=60, rounds=9), ["identity.png"], "line search"),
        (PictureFunctionDemo(size=40, n_estimators=3, rounds=(2, 4)), ["pictures.png"], "averaging smooths"),
    ],
)
def test_figures_and_text(demo, names, word, tmp_path):
    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == names
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert len(result.notes) == 2 and word in result.text


@pytest.mark.parametrize(
    ("demo", "text"),
    [
        (AdaBoostErrorBoundDemo(n_samples=3), "needs n_samples >= 20, n_new >= 1"),
        (BoostingIdentityDemo(rounds=1), "needs n_samples >= 20 and rounds >= 2"),
        (PictureFunctionDemo(size=4), "needs size >= 16"),
    ],
)
def test_refusals(demo, text, tmp_path):
    with pytest.raises(InputError, match=text):
        demo.run(out=tmp_path)
