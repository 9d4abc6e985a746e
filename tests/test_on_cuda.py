"""Optimizers, losses and layers on a CUDA card give what they give on the CPU; skipped where there is none."""

from __future__ import annotations

import copy

import pytest
import torch

from fivefold.base.cards import all_cards
from fivefold.evidence.batteries.layers import _answers, _layer
from fivefold.evidence.batteries.losses import _loss, _pair
from fivefold.evidence.batteries.optimizers import _optimizer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


def _of(kind: str):
    cards = [card for card in all_cards().values() if card.kind == kind]
    return [pytest.param(card, variant, id=f"{card.id}-{variant}") for card in cards for variant in card.factory]


def _path(card, variant: str, device: str) -> torch.Tensor:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 60, dtype=torch.float64).reshape(12, 5).to(device)
    target = (x * x).cos().sum(1)
    weights = [torch.full((5, 4), 0.1), torch.full((4,), -0.2), torch.full((4,), 0.3)]
    weights = [w.double().to(device).requires_grad_() for w in weights]
    optimizer = _optimizer(card, variant, weights)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((torch.tanh(x @ weights[0] + weights[1]) @ weights[2] - target) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(20):
        optimizer.step(closure)
    return torch.cat([w.detach().cpu().flatten() for w in weights])


@pytest.mark.parametrize(("card", "variant"), _of("gradient-optimizer"))
def test_twenty_steps_of_an_optimizer(card, variant: str) -> None:
    here, there = _path(card, variant, "cpu"), _path(card, variant, "cuda")
    torch.testing.assert_close(there, here, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("card", "variant"), _of("loss"))
def test_a_loss_and_its_gradient(card, variant: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        loss = _loss(card, variant)
        loss = loss.to(device) if isinstance(loss, torch.nn.Module) else loss
        x, y = (part.detach().to(device) for part in _pair(card))
        value = loss(x.requires_grad_(), y)
        value.backward()
        found.append((value.detach().cpu(), x.grad.cpu()))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("card", "variant"), _of("layer"))
def test_a_layer_and_its_gradients(card, variant: str) -> None:
    layer, inputs = _layer(card, variant)
    layer.eval()  # masks of dropout come from each device's own generator
    there = copy.deepcopy(layer).to("cuda")
    here = _answers(layer, inputs)
    answers = _answers(there, tuple(x.to("cuda") for x in inputs))
    torch.testing.assert_close([a.cpu() for a in answers], here, rtol=1e-8, atol=1e-9)
