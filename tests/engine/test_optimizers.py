"""Optimizers, schedules, clipping and averages: arguments and errors, and use outside the engine."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from fivefold.base.errors import InputError
from fivefold.engine.averaging import ExponentialMovingAverage, polyak_update
from fivefold.engine.clipping import clip_norm_, clip_norm_each_, clip_value_
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.momentum import Momentum
from fivefold.optimizers.schedules.cosine import CosineDecay


def parameter(*grad):
    p = nn.Parameter(torch.zeros(len(grad)))
    p.grad = torch.tensor(grad)
    return p


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: Adam(p, lr=-1.0), r"Adam: lr must be a finite number >= 0, got -1.0"),
        (lambda p: Adam(p, lr=math.nan), r"Adam: lr must be a finite number >= 0, got nan"),
        (lambda p: Adam(p, betas=(1.0, 0.9)), r"Adam: betas\[0\] must be a finite number >= 0 and < 1, got 1.0"),
        (lambda p: Adam(p, betas=(0.9, -0.1)), r"Adam: betas\[1\] must be a finite number >= 0 and < 1, got -0.1"),
        (lambda p: Adam(p, betas=(0.9,)), r"Adam: betas must be a pair of floats in \[0, 1\), got \(0.9,\)"),
        (lambda p: Adam(p, eps=0.0), r"Adam: eps must be a finite number > 0, got 0.0"),
        (lambda p: Adam(p, weight_decay=-1), r"Adam: weight_decay must be a finite number >= 0, got -1"),
        (lambda p: Momentum(p, momentum=1.0), r"Momentum: momentum must be a finite number >= 0 and < 1, got 1.0"),
        (lambda p: Momentum(p, lr=math.inf), r"Momentum: lr must be a finite number >= 0, got inf"),
        (
            lambda p: Momentum(p, form="nesterov"),
            "form must be one of heavy-ball, torch, ewma, arithmetic; got 'nesterov'",
        ),
        (lambda p: Momentum(p, window=0), "window must be a whole number of at least 1, got 0"),
    ],
)
def test_hyperparameters_are_checked(make, text):
    with pytest.raises(InputError, match=text):
        make([parameter(1.0)])


@pytest.mark.parametrize("kind", [Adam, Momentum])
def test_sparse_gradients_are_refused(kind):
    table = nn.Embedding(4, 2, sparse=True)
    optimizer = kind(table.parameters())
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(
        InputError, match=r"got a sparse gradient and updates dense ones only; build the embedding with"
    ):
        optimizer.step()


@pytest.mark.parametrize("kind", [Adam, Momentum])
def test_closure_groups_and_absent_gradients(kind):
    p, q, r = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = kind([{"params": [p, r]}, {"params": [q], "lr": 0.0}], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum() + (q * q).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert (p < 1).all() and (q == 1).all() and (r == 1).all() and r not in optimizer.state
    assert optimizer.step() is None


@pytest.mark.parametrize("kind", [Adam, Momentum])
def test_steps_are_seen_by_autograd(kind):
    """A graph built before a step must not be differentiated after it."""
    w = nn.Parameter(torch.ones(3))
    optimizer = kind([w])
    loss = (w * w).sum()
    w.grad = torch.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("options", [{"form": form} for form in ("heavy-ball", "torch", "ewma", "arithmetic")])
def test_momentum_resumes(options):
    def run(relay):
        p = nn.Parameter(torch.ones(3, dtype=torch.float64))
        optimizer = Momentum([p], lr=0.1, window=3, **options)
        for step in range(10):
            if relay and step == 5:
                state = optimizer.state_dict()
                optimizer = Momentum([p], lr=0.1, window=3, **options)
                optimizer.load_state_dict(state)
            p.grad = torch.full((3,), float(step), dtype=torch.float64)
            optimizer.step()
        return p.detach()

    assert torch.equal(run(False), run(True))


def test_adam_refuses_a_state_it_has_no_form_for():
    p = parameter(1.0)
    peer = torch.optim.Adam([p], amsgrad=True)
    peer.step()
    with pytest.raises(InputError, match="cannot go on from a state with amsgrad=True"):
        Adam([p]).load_state_dict(peer.state_dict())


def test_adam_in_other_formats_and_layouts():
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        p = nn.Parameter(torch.ones(4, 4, dtype=dtype).t())
        q = nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer = Adam([p, q], lr=0.125)
        (p.sum().double() + q.sum()).backward()
        optimizer.step()
        assert p.dtype is dtype and torch.allclose(p.double(), torch.tensor(0.875, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"total_steps": 0}, "total_steps must be a whole number >= 1, got 0"),
        ({"total_steps": 2.5}, "total_steps must be a whole number >= 1, got 2.5"),
        ({"total_steps": 5, "eta_min": -0.1}, "eta_min must be a finite number >= 0, got -0.1"),
    ],
)
def test_cosine_arguments(options, text):
    with pytest.raises(InputError, match=text):
        CosineDecay(torch.optim.SGD([parameter(1.0)], lr=1.0), **options)


@pytest.mark.parametrize("clip", [clip_norm_, clip_norm_each_, clip_value_])
def test_clipping_edge_cases(clip):
    with pytest.raises(InputError, match="threshold must be greater than 0, got 0"):
        clip([parameter(1.0)], 0)
    clip([nn.Parameter(torch.ones(2))], 1.0)  # no gradient at all
    p = parameter(0.0, 0.0)
    clip([p], 1.0)
    assert (p.grad == 0).all()
    mixed = [parameter(3.0, 4.0), nn.Parameter(torch.zeros(1, dtype=torch.float64))]
    mixed[1].grad = torch.tensor([12.0], dtype=torch.float64)
    clip(mixed, 6.5)
    expected = {clip_norm_: ([1.5, 2.0], 6.0), clip_norm_each_: ([3.0, 4.0], 6.5), clip_value_: ([3.0, 4.0], 6.5)}[clip]
    assert mixed[0].grad.tolist() == pytest.approx(expected[0]) and mixed[1].grad.item() == pytest.approx(expected[1])


def test_averages():
    with pytest.raises(InputError, match="decay of a moving average must lie between 0 and 1, got 1"):
        ExponentialMovingAverage([torch.ones(1)], 1)
    p = nn.Parameter(torch.ones(2))
    ema = ExponentialMovingAverage([p], 0.5, bias_correction=True)
    with ema.swap():
        assert (p == 1).all()  # before the first update there is nothing but the weights
    with torch.no_grad():
        p.fill_(3.0)
    ema.update()
    with pytest.raises(RuntimeError, match="mine"), ema.swap():
        raise RuntimeError("mine")
    assert (p == 3).all()
    other = ExponentialMovingAverage([nn.Parameter(torch.zeros(2))], 0.5, bias_correction=True)
    other.load_state_dict(ema.state_dict())
    assert torch.equal(other.averages()[0], ema.averages()[0])


def test_polyak_arguments():
    with pytest.raises(InputError, match=r"tau must lie in \(0, 1\], got 0"):
        polyak_update([torch.ones(1)], [torch.ones(1)], 0)
    with pytest.raises(InputError, match="need the same tensors, got 1 and 2"):
        polyak_update([torch.ones(1)], [torch.ones(1)] * 2, 0.5)
