"""Bad input and protocol of SWATS, sparse Adam, hypergradient descent and Follow-the-Ridge."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import InputError
from fivefold.optimizers.gradient.hypergradient import HypergradientDescent
from fivefold.optimizers.gradient.ridge import FollowTheRidge
from fivefold.optimizers.gradient.sparse_adam import SparseAdam
from fivefold.optimizers.gradient.swats import SWATS


def _point() -> torch.Tensor:
    return torch.zeros(1, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (SWATS, {"tolerance": -1.0}, "SWATS: tolerance must be a finite number >= 0, got -1.0"),
        (SWATS, {"eps": 0.0}, "SWATS: eps must be a finite number > 0"),
        (SWATS, {"betas": (0.9, 1.0)}, r"betas\[1\] must be a finite number >= 0 and < 1"),
        (SparseAdam, {"eps": 0.0}, "SparseAdam: eps must be a finite number"),
        (HypergradientDescent, {"hypergrad_lr": -1e-3}, "hypergrad_lr must be a finite number"),
        (HypergradientDescent, {"base": "rmsprop"}, "base must be one of sgd, nesterov, adam; got 'rmsprop'"),
        (HypergradientDescent, {"momentum": 1.0}, "momentum must be a finite number"),
        (FollowTheRidge, {"iterations": 0}, "iterations must be a finite number >= 1, got 0"),
        (FollowTheRidge, {"damping": -0.1}, "damping must be a finite number"),
        (SWATS, {"lr": -1.0}, "lr must be a finite number"),
    ],
)
def test_bad_parameters_are_refused_in_a_sentence(make, options, message) -> None:
    with pytest.raises(InputError, match=message):
        make([_point()], **options)


def test_sparse_gradients_are_refused_where_the_method_is_dense() -> None:
    p = torch.zeros(3, 2, requires_grad=True)
    p.grad = torch.sparse_coo_tensor([[1]], [[1.0, 2.0]], (3, 2), check_invariants=True)
    for make in (SWATS, HypergradientDescent, FollowTheRidge):
        with pytest.raises(InputError, match="got a sparse gradient"):
            make([p]).step()
    with pytest.raises(InputError, match="cannot decay weights under a sparse gradient"):
        SparseAdam([p], weight_decay=0.1).step()
    p.grad = torch.sparse_coo_tensor([[1], [0]], [1.0], (3, 2), check_invariants=True)
    with pytest.raises(InputError, match="this one is in 2 dimensions"):
        SparseAdam([p]).step()


def test_the_ridge_needs_the_value_with_its_graph() -> None:
    x, y = _point(), _point()
    players = [{"params": [x]}, {"params": [y], "maximize": True}]
    with pytest.raises(InputError, match="call step\\(closure\\)"):
        FollowTheRidge(players).step()

    def used_up() -> torch.Tensor:
        value = ((x - y) ** 2).sum()
        value.backward()
        return value

    with pytest.raises(InputError, match="without calling backward on it"):
        FollowTheRidge(players).step(used_up)
    with pytest.raises(InputError, match="as a tensor with its graph"):
        FollowTheRidge(players).step(lambda: 1.0)
    z = _point()
    groups = [{"params": [x], "lr": 0.1}, {"params": [z], "lr": 0.2}, {"params": [y], "maximize": True}]
    with pytest.raises(InputError, match=r"need one lr, got \[0.1, 0.2\]"):
        FollowTheRidge(groups).step(lambda: (x * y).sum() + z.sum())


def test_a_step_with_no_rows_changes_a_lazy_table_not_at_all() -> None:
    p = torch.ones(3, 2, requires_grad=True)
    p.grad = torch.sparse_coo_tensor(
        torch.zeros((1, 0), dtype=torch.long), torch.zeros((0, 2)), (3, 2), check_invariants=True
    )
    SparseAdam([p], lazy=True).step()
    assert torch.equal(p, torch.ones(3, 2))
