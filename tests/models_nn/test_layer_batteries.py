"""The batteries of layers see what they are for, and new refusals say what came."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from fivefold.base.cards import get_card
from fivefold.base.errors import FivefoldError
from fivefold.evidence.batteries import enrol, layers
from fivefold.models import nn as parts

NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parts.BatchNorm(0), "num_features must be a whole number >= 1, got 0"),
        (lambda: parts.BatchNorm(2.5), "num_features must be a whole number >= 1, got 2.5"),
        (lambda: parts.BatchNorm(2, eps=0), "eps must be a number > 0, got 0"),
        (
            lambda: parts.BatchNorm(2)(torch.ones(3, 2).long()),
            "BatchNorm takes floating-point tensors, got torch.int64",
        ),
        (lambda: parts.PReLU(init=NAN), "init must be a finite number, got nan"),
        (lambda: parts.Conv2d(1, 1, 2.5), "kernel_size must be a whole number >= 1, got 2.5"),
        (lambda: parts.ConvTranspose2d(1, 1, 2, stride=1.5), "stride must be a whole number >= 1, got 1.5"),
        (lambda: parts.LayerNorm(2.5), "normalized_shape must be a whole number >= 1, got 2.5"),
        (lambda: parts.LocalResponseNorm(alpha=-1.0), "alpha must be a finite number of at least 0, got -1.0"),
        (lambda: parts.LocalResponseNorm(beta=NAN), "beta must be a finite number, got nan"),
        (lambda: parts.BatchRenorm(2, r_max=NAN), "r_max must be at least 1 and d_max at least 0, got nan"),
        (lambda: parts.PeepholeLSTM(3, 2)(torch.zeros(2, 4, 5)), r"PeepholeLSTM takes \(batch, time, 3\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, sentence) -> None:
    with pytest.raises(FivefoldError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


class Careless(torch.nn.Module):
    """A layer without checks.

    Parameters
    ----------
    width : int, default 4
    slope : float, default 0.5
    """

    def __init__(self, width: int = 3, slope: float = 0.5) -> None:
        super().__init__()
        self.linear, self.slope = torch.nn.Linear(width, 2), slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(x.sum()) > 1e9:
            raise ValueError("large")
        return self.linear(x) * torch.tensor(self.slope).sqrt()


CARELESS = SimpleNamespace(load=lambda variant: Careless, experiment={"layer": {}}, capabilities=())


def test_raw_errors_and_silent_nan_are_found() -> None:
    check = layers.refusals(CARELESS, "default")
    assert not check.passed
    assert "torch.int64 RuntimeError" in check.unit and "slope=-1.0 taken, and not finite" in check.unit


def test_a_wrong_default_is_found() -> None:
    check = layers.defaults(CARELESS, "default")
    assert check.value == 1 and "width=3" in check.unit


def test_a_graph_that_breaks_needs_a_reason_and_a_reason_must_hold() -> None:
    assert not layers.compiled(CARELESS, "default").passed
    said = {"layer": {**get_card("relu").experiment["layer"], "uncompiled": "A reason."}}
    assert not layers.compiled(replace(get_card("relu"), experiment=said), "default").passed


def test_machine_code_is_compiled_in_the_slow_tier_where_there_is_a_compiler(monkeypatch) -> None:
    monkeypatch.setattr(layers.shutil, "which", lambda name: "/usr/bin/c++" if name == "c++" else None)
    assert [b.slow for b in enrol(get_card("relu")) if b.name == "compiled-inductor"] == [True]
    monkeypatch.setattr(layers.shutil, "which", lambda name: None)
    assert not [b for b in enrol(get_card("relu")) if b.name == "compiled-inductor"]
