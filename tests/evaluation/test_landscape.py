import pytest
import torch

from fivefold.base.errors import InputError, InputTypeError
from fivefold.evaluation.landscape import loss_landscape


def square(module):
    return module.weight.square().sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directions": 3}, "directions must be 1 or 2, got 3"),
        ({"directions": True}, "directions must be 1 or 2"),
        ({"points": 20}, "points must be odd"),
        ({"points": 1}, "points must be a whole number >= 3"),
        ({"span": 0.0}, "span must be a positive number"),
        ({"span": float("inf")}, "span must be a positive number"),
        ({"normalization": "weight"}, "normalization must be one of filter, layer, none"),
    ],
)
def test_bad_options_get_one_clear_sentence(options, message):
    with pytest.raises(InputError, match=message):
        loss_landscape(torch.nn.Linear(2, 2), square, **options)


def test_only_networks_have_a_landscape():
    with pytest.raises(InputTypeError, match="moves the weights of a torch.nn.Module; got list"):
        loss_landscape([], square)


@pytest.mark.parametrize("directions", [1, 2])
def test_the_figure_is_written(tmp_path, directions):
    found = loss_landscape(torch.nn.Linear(2, 2), square, directions=directions, points=5, random_state=0)
    assert found.draw(tmp_path / "landscape.png").stat().st_size > 5000
