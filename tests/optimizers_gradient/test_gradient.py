"""Bad input of gradient optimizers, closures, maximize, decay, state across devices and types."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fivefold.base.cards import get_card
from fivefold.base.errors import InputError, UnknownNameError
from fivefold.optimizers import FTRL, Adagrad, Adam, Adamax, AMSGrad, GradientDescent, Nesterov, RMSprop
from fivefold.optimizers.registry import make_optimizer

ADAM_LIKE = ["adam", "amsgrad", "adamax", "nadam", "radam", "yogi", "adabound"]
OTHERS = ["gradient-descent", "sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "ftrl"]


def point(*shape: int) -> torch.Tensor:
    return torch.ones(shape or (2,), dtype=torch.float64, requires_grad=True)


BAD: list[tuple[str, dict[str, Any], str]] = [
    *((name, {"lr": -1.0}, "lr must be a finite number") for name in ADAM_LIKE + OTHERS),
    *((name, {"betas": (0.9, 1.0)}, "betas[1] must be a finite number >= 0 and < 1, got 1.0.") for name in ADAM_LIKE),
    *((name, {"betas": (-0.1, 0.9)}, "betas[0] must be a finite number >= 0 and < 1, got -0.1.") for name in ADAM_LIKE),
    *((name, {"betas": 0.9}, "betas must be a pair of floats in [0, 1), got 0.9.") for name in ADAM_LIKE),
    *((name, {"eps": 0.0}, "eps must be a finite number > 0, got 0.0.") for name in ADAM_LIKE),
    *(
        (name, {"weight_decay": -0.1}, "weight_decay must be a finite number >= 0, got -0.1.")
        for name in [*ADAM_LIKE, "sgd"]
    ),
    *((n, {"convention": "tf"}, "convention must be one of") for n in ("adamax", "radam", "yogi", "nesterov", "ftrl")),
    ("ftrl", {"l1": -1.0}, "FTRL: l1 must be a finite number >= 0, got -1.0."),
    ("ftrl", {"lr": 0.0}, "FTRL: lr must be a finite number > 0, got 0.0."),
    ("rmsprop", {"alpha": 1.0}, "RMSprop: alpha must be a finite number >= 0 and < 1, got 1.0."),
    ("rmsprop", {"initial": "ones"}, "RMSprop: initial must be 'zeros' or 'gradient', got 'ones'."),
    ("adadelta", {"rho": 2.0}, "Adadelta: rho must be a finite number >= 0 and < 1, got 2.0."),
    ("adagrad", {"lr_decay": -1.0}, "Adagrad: lr_decay must be a finite number >= 0, got -1.0."),
    ("nesterov", {"momentum": 1.0}, "Nesterov: momentum must be a finite number >= 0 and < 1, got 1.0."),
    ("gradient-descent", {"noise": -1.0}, "GradientDescent: noise must be a finite number >= 0, got -1.0."),
    ("nadam", {"momentum_decay": -1.0}, "NAdam: momentum_decay must be a finite number"),
    ("adabound", {"final_lr": -1.0}, "AdaBound: final_lr must be a finite number"),
    ("yogi", {"initial_accumulator": -1.0}, "Yogi: initial_accumulator must be a finite number"),
]


@pytest.mark.parametrize(("name", "options", "text"), BAD)
def test_bad_hyperparameters_are_refused_in_a_sentence(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        get_card(name).load()([point()], **options)
    assert text in str(caught.value)


def test_a_bad_value_in_one_group_is_refused_too() -> None:
    with pytest.raises(InputError, match="lr must be a finite number"):
        Adam([{"params": [point()]}, {"params": [point()], "lr": -0.1}])


@pytest.mark.parametrize("name", [*ADAM_LIKE, "gradient-descent", "nesterov", "rmsprop", "adadelta"])
def test_sparse_gradients_are_refused_where_the_method_has_none(name: str) -> None:
    table = torch.nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(InputError, match="sparse gradient"):
        get_card(name).load()(table.parameters()).step()


def test_weights_do_not_decay_under_a_sparse_gradient() -> None:
    table = torch.nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(InputError, match="cannot decay weights under a sparse gradient"):
        Adagrad(table.parameters(), weight_decay=0.1).step()
    with pytest.raises(InputError, match="FTRL has its own penalties"):
        FTRL([{"params": list(table.parameters()), "weight_decay": 0.1}])


def test_the_look_ahead_form_needs_a_closure() -> None:
    with pytest.raises(InputError, match=r"call step\(closure\)"):
        Nesterov([point()], convention="paper").step()


@pytest.mark.parametrize("name", ADAM_LIKE + OTHERS)
def test_maximize_climbs_as_descent_of_the_negative(name: str) -> None:
    up, down = point(3), point(3)
    climbing, falling = get_card(name).load()([up], maximize=True), get_card(name).load()([down])
    for t in range(5):
        up.grad = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) * (t + 1)
        down.grad = -up.grad
        climbing.step()
        falling.step()
    assert torch.equal(up, down)
    assert not torch.equal(up, point(3))


@pytest.mark.parametrize("name", [n for n in ADAM_LIKE + OTHERS if n != "ftrl"])
def test_decoupled_decay_shrinks_before_the_step_and_leaves_the_moments_alone(name: str) -> None:
    make = get_card(name).load()
    plain, decayed = point(2), point(2)
    a, b = make([plain], lr=0.1), make([decayed], lr=0.1, weight_decay=0.5, decoupled_weight_decay=True)
    for p in (plain, decayed):
        p.grad = torch.tensor([1.0, -2.0], dtype=torch.float64)
    a.step()
    b.step()
    torch.testing.assert_close(decayed.detach(), plain.detach() - 0.05)


@pytest.mark.parametrize("name", ADAM_LIKE)
def test_half_precision_and_strided_parameters_step(name: str) -> None:
    make = get_card(name).load()
    plain = torch.arange(6.0).reshape(2, 3).requires_grad_()
    strided = torch.arange(6.0).reshape(2, 3).t().contiguous().t().requires_grad_()
    half = torch.arange(6.0).reshape(2, 3).bfloat16().requires_grad_()
    for p in (plain, strided, half):
        optimizer = make([p], lr=0.1)
        for _ in range(3):
            p.grad = torch.ones_like(p)
            optimizer.step()
    torch.testing.assert_close(strided, plain)
    torch.testing.assert_close(half.float(), plain, rtol=0.02, atol=0.02)


def test_the_kernel_tells_autograd_that_it_wrote() -> None:
    p = point(2)
    value = (p * p).sum()
    p.grad = torch.ones_like(p)
    Adam([p]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@pytest.mark.parametrize("name", ADAM_LIKE + OTHERS)
def test_a_closure_is_called_once_and_its_loss_returned(name: str) -> None:
    p, calls = point(2), []
    optimizer = get_card(name).load()([p])

    def closure() -> torch.Tensor:
        calls.append(1)
        optimizer.zero_grad()
        value = (p * p).sum()
        value.backward()
        return value

    assert optimizer.step(closure).item() == 2.0
    assert len(calls) == 1


@pytest.mark.parametrize("name", [name for name in ADAM_LIKE + OTHERS if name != "sgd"])  # which keeps no state
def test_a_state_moves_to_the_type_of_the_parameter(name: str) -> None:
    p = point(2)
    optimizer = get_card(name).load()([p])
    p.grad = torch.ones_like(p)
    optimizer.step()
    q = torch.ones(2, requires_grad=True)
    other = get_card(name).load()([q])
    other.load_state_dict(optimizer.state_dict())
    q.grad = torch.ones_like(q)
    other.step()
    state = other.state[q]
    assert int(state.get("step", 2)) == 2
    assert all(v.dtype == torch.float32 for v in state.values() if torch.is_tensor(v))


def test_plain_optimizers_have_torchs_names() -> None:
    for ours, theirs in ((AMSGrad, torch.optim.Adam), (Adamax, torch.optim.Adamax), (RMSprop, torch.optim.RMSprop)):
        p, q = point(2), point(2)
        a, b = ours([p]), theirs([q], **({"amsgrad": True} if ours is AMSGrad else {}))
        for parameter, optimizer in ((p, a), (q, b)):
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        assert set(a.state[p]) == set(b.state[q])


def test_noise_needs_no_state_but_the_step() -> None:
    p, q = point(3), point(3)
    for parameter in (p, q):
        optimizer = GradientDescent([parameter], noise=1.0, random_state=3)
        parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert torch.equal(p, q)
    assert not torch.equal(p, point(3))


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownNameError, match="Unknown optimizer 'adgrad'; did you mean adagrad"):
        make_optimizer("adgrad", [point()], 0.1)
    with pytest.raises(InputError, match="lr must be a finite number"):
        make_optimizer("sgd", [point()], -0.1)
