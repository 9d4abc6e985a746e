"""The demonstrations about optimization: what they write, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base.errors import InputError
from fivefold.demos.optimizers.cookbook import RULES, OptimizerCookbook
from fivefold.demos.optimizers.critical_points import CriticalPointsDemo, classify
from fivefold.demos.optimizers.matrix_calculus import MatrixCalculusDemo
from fivefold.demos.optimizers.minibatch import MiniBatchDemo
from fivefold.demos.optimizers.starts import StartsDemo


@pytest.mark.parametrize(
    ("demo", "figures", "words"),
    [
        (MiniBatchDemo(n=100, epochs=1), ["paths.png", "standard-error.png"], "standard error"),
        (CriticalPointsDemo(draws=1000), ["functions.png", "share.png"], "saddle"),
        (StartsDemo(n_starts=8), ["starts.png"], "non-convex"),
        (MatrixCalculusDemo(), ["identities.png"], "transposed Jacobian"),
    ],
)
def test_figures_and_text(demo, figures, words, tmp_path) -> None:
    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == figures
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert len(result.notes) == 2 and words in result.text


def test_the_cookbook_names_every_rule_once(tmp_path) -> None:
    result = OptimizerCookbook().run(seed=2, out=tmp_path, quick=True)
    listed = "\n".join(result.notes[:3])
    assert all(listed.count(f"{rule.advice};") + listed.count(f"{rule.advice}.") == 1 for rule in RULES)
    assert "3 seeds and 20 steps" in result.notes[3] and result.figures[0].exists()


@pytest.mark.parametrize(
    ("demo", "message"),
    [
        (MiniBatchDemo(n=10), "n >= 100"),
        (MiniBatchDemo(lr=0.0), "lr > 0"),
        (CriticalPointsDemo(draws=5), "draws >= 100"),
        (StartsDemo(n_starts=1), "n_starts >= 2"),
        (MatrixCalculusDemo(inputs=3, outputs=3), "two different sizes"),
        (OptimizerCookbook(seeds=1), "seeds >= 2"),
    ],
)
def test_bad_parameters_are_refused(demo, message, tmp_path) -> None:
    with pytest.raises(InputError, match=message):
        demo.run(out=tmp_path)


def test_a_hessian_must_be_square_and_finite() -> None:
    with pytest.raises(InputError, match=r"square, finite Hessian, got an array of shape \(2, 3\)"):
        classify(np.ones((2, 3)))
    with pytest.raises(InputError, match="square, finite Hessian"):
        classify(np.full((2, 2), np.nan))
