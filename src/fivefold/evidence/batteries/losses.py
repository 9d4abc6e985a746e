"""Losses: gradients by finite differences, reductions, extremes, compilation."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from fivefold.base.cards import Card
from fivefold.workbench.proof import Check


def _pair(card: Card) -> tuple[Tensor, Tensor]:
    """Return an input that needs gradients and a target, in float64."""
    generator = torch.Generator().manual_seed(0)
    form = card.experiment.get("target", "binary")
    if form == "class":
        x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
        return x.requires_grad_(), torch.arange(6) % 4
    x = torch.randn(6, generator=generator, dtype=torch.float64)
    if form == "real":
        return x.requires_grad_(), torch.randn(6, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), (torch.arange(6) % 2).double()


def _loss(card: Card, variant: str, **params: Any) -> Any:
    return card.load(variant)(**params)


def gradients(card: Card, variant: str) -> Check:
    """Gradients equal finite differences in float64; second ones too where the card says so."""
    x, y = _pair(card)
    loss = _loss(card, variant)
    ok = torch.autograd.gradcheck(lambda v: loss(v, y), (x,), raise_exception=False)
    if "twice-differentiable" in card.capabilities:
        ok = ok and torch.autograd.gradgradcheck(lambda v: loss(v, y), (x,), raise_exception=False)
    return Check(0 if ok else 1, 0, "failed gradient checks", "finite differences")


def reductions(card: Card, variant: str) -> Check:
    """The mean and the sum are those of the unreduced values; float32 agrees with float64."""
    cls = card.load(variant)
    if "reduction" not in inspect.signature(cls.__init__).parameters:
        return Check(1, 0, "the loss has no `reduction`", "PyTorch's protocol")
    x, y = _pair(card)
    each = cls(reduction="none")(x, y)
    error = (cls(reduction="mean")(x, y) - each.mean()).abs() + (cls(reduction="sum")(x, y) - each.sum()).abs()
    target = y.float() if y.is_floating_point() else y
    single = cls(reduction="none")(x.detach().float(), target)
    # In float32 the values agree to 1e-6 of their size.
    error = error + (single.double() - each).abs().max() / each.detach().abs().max().clamp(min=1) * 1e-6
    return Check(float(error.detach()), 1e-12, "max difference", "sum and mean of the values")


def extremes(card: Card, variant: str) -> Check:
    """Value and gradient stay finite for inputs of magnitude 1e4."""
    x, y = _pair(card)
    wild = (x.detach().sign() * 1e4).requires_grad_()
    value = _loss(card, variant)(wild, y)
    value.backward()
    finite = bool(torch.isfinite(value)) and wild.grad is not None and bool(torch.isfinite(wild.grad).all())
    return Check(0 if finite else 1, 0, "not finite", "the real numbers")


def compiled(card: Card, variant: str) -> Check:
    """torch.compile in one graph (back end aot_eager) gives the same value and gradient."""
    x, y = _pair(card)
    loss = _loss(card, variant)
    torch.compiler.reset()
    together = torch.compile(_loss(card, variant), fullgraph=True, backend="aot_eager")(x, y)
    alone = loss(x, y)
    (slope,), (expected,) = torch.autograd.grad(together, x), torch.autograd.grad(alone, x)
    error = (together - alone).detach().abs() + (slope - expected).abs().max()
    return Check(float(error), 1e-12, "max difference", "the loss itself")


LOSS = {"gradients": gradients, "reductions": reductions, "extremes": extremes, "compiled": compiled}
