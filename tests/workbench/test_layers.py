"""A layer standing in the small network of the stock experiment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import fivefold
from fivefold.base.cards import get_card
from fivefold.workbench.layers import Standing, build_layer, codes, layer_facts, wrapped_layer


def test_codes_are_bins_of_equal_probability() -> None:
    x = torch.tensor([-50.0, -0.6745, -0.6744, 0.0, 0.6744, 0.6745, 50.0], dtype=torch.float64)
    assert codes(x, 4).tolist() == [0, 0, 1, 2, 2, 3, 3]


def test_a_second_input_is_another_map_of_the_same_vector() -> None:
    class Both(nn.Module):
        def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
            return torch.cat([x.flatten(1), context.flatten(1)], dim=1)

    standing = Standing(Both(), (2, 3), 6, (4, 5))
    x = torch.randn(7, 6)
    out = standing(x)
    right = standing.last(torch.cat([x, standing.second(x)], dim=1))
    assert out.shape == (7, 6) and torch.equal(out, right)


def test_codes_feed_a_table_that_learns() -> None:
    standing = Standing(nn.Embedding(5, 3), (8,), 8, integers=5)
    x = torch.randn(6, 8, requires_grad=True)
    standing(x).sum().backward()
    assert x.grad is None and standing.layer.weight.grad.abs().sum() > 0


def test_a_wrapped_layer_in_the_network_is_the_one_of_the_stand() -> None:
    card = get_card("weight-norm")
    wraps = layer_facts(card, card.variant(None))["stand"]["wraps"]
    torch.manual_seed(0)
    around = build_layer(card, card.variant(None), {}, wraps)
    torch.manual_seed(0)
    alone = wrapped_layer(wraps)
    x = torch.randn(3, 64)
    assert alone.weight.shape == (64, 64)
    torch.testing.assert_close(around(x), alone(x))


@pytest.mark.parametrize(
    ("name", "rival"),
    [
        ("embedding-layer", "without"),
        ("adain", "without"),
        ("transformer-decoder-layer", "without"),
        ("weight-norm", "with dense-layer alone"),
        ("spectral-norm", "with dense-layer alone"),
    ],
)
def test_the_stock_experiment_trains_the_layer_beside_its_rival(tmp_path: Path, name: str, rival: str) -> None:
    record = fivefold.run(name, out=tmp_path / "run", quick=True)
    assert {f"with {name}: accuracy held out", f"{rival}: accuracy held out"} <= set(record.metrics)
    assert (tmp_path / "run" / "figures" / "training.png").exists()
