"""Demonstrations of gradients through layers and through time: files, words, refusals."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.nn.depth import VanishingGradientDemo
from fivefold.demos.nn.recurrent_gradients import RecurrentGradientDemo


def test_depth_writes_two_figures_and_a_paragraph_for_each_activation(tmp_path) -> None:
    demo = VanishingGradientDemo(depths=(2, 3), activations=("tanh", "relu"), width=8, steps=5)
    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == ["gradients.png", "accuracy.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert len(result.notes) == 2 and result.notes[0].startswith("With tanh units")


@pytest.mark.parametrize(
    "wrong", [{"depths": (1, 5)}, {"depths": ()}, {"width": 0}, {"steps": 0}, {"learning_rate": 0}]
)
def test_depth_refuses_what_cannot_be_trained(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="depths of at least 2, width and steps of at least 1"):
        VanishingGradientDemo(**wrong).run(out=tmp_path)


def test_depth_refuses_an_unknown_activation(tmp_path) -> None:
    with pytest.raises(InputError, match="logistc"):
        VanishingGradientDemo(activations=("logistc",)).run(out=tmp_path)


def test_recurrent_gradients_say_what_the_chain_does(tmp_path) -> None:
    result = RecurrentGradientDemo(gains=(0.5,), hidden=3, steps=5).run(out=tmp_path, quick=True)
    assert [path.name for path in result.figures] == ["neuron.png", "norms.png"]
    assert "cannot explode" in result.text


@pytest.mark.parametrize("wrong", [{"gains": ()}, {"gains": (0.0,)}, {"hidden": 1}, {"steps": 5}, {"input_scale": -1}])
def test_recurrent_gradients_refuse_what_they_cannot_follow(tmp_path, wrong) -> None:
    with pytest.raises(InputError, match="gains above 0, at least 2 units"):
        RecurrentGradientDemo(**wrong).run(out=tmp_path)
