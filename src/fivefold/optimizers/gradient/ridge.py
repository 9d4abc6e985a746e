"""Follow-the-Ridge: descent-ascent that corrects the follower, so that it stays where it is best."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._base import GradientOptimizer, hyperparameters

SOLVED = 1e-30
"""Share of the first squared residual that is nothing but rounding."""


class FollowTheRidge(GradientOptimizer):
    r"""Follow-the-Ridge (Wang, Zhang & Ba 2020): converges to local minimax points of :math:`\min_x \max_y f`, and to no other.

    .. math::
        x_t = x_{t-1} - \eta_x \nabla_x f, \qquad
        y_t = y_{t-1} + \eta_y \nabla_y f + \eta_x H_{yy}^{-1} H_{yx} \nabla_x f

    The last term moves the follower along the ridge :math:`\nabla_y f = 0` when the leader moves. On a quadratic the step has
    the eigenvalues of :math:`1 - \eta_x (H_{xx} - H_{xy} H_{yy}^{-1} H_{yx})` and of :math:`1 + \eta_y H_{yy}`.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
        The leader :math:`x` in groups without, the follower :math:`y` in groups with ``"maximize": True``.
    lr : float >= 0, default 1e-2
        :math:`\eta`; the leader's groups need one rate in common.
    iterations : int >= 1, default 10
        Steps of conjugate gradients on :math:`H_{yy}^2 z = H_{yy} b`, which needs no definite :math:`H_{yy}`; as many as the
        follower has weights solve it.
    damping : float >= 0, default 0
        Added to :math:`H_{yy}^2`, where it is close to singular.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradients of the plain steps; the correction is that of :math:`f`.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False
        Default of the groups.

    Raises
    ------
    InputError
        When a hyperparameter is out of range, two players step without a closure whose value still has its graph, the leader's
        rates differ, or a gradient is sparse.

    Notes
    -----
    With both players ``step(closure)`` takes the derivatives itself: the closure returns :math:`f` and need not call
    ``backward``. A single player has no ridge; it takes plain steps along ``.grad``.

    References
    ----------
    Wang, Zhang & Ba, "On solving minimax optimization locally: a follow-the-ridge approach", ICLR 2020; 08#gda.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        iterations: int = 10,
        damping: float = 0.0,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: iterations", group["iterations"], 1)
        check_number(f"{self._name}: damping", group["damping"], 0.0)

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        torch._foreach_add_(params, grads, alpha=-float(group["lr"]))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update both players; ``closure`` returns the value of the game with its graph."""
        leaders = [group for group in self.param_groups if not group["maximize"]]
        followers = [group for group in self.param_groups if group["maximize"]]
        if not leaders or not followers:
            return super().step(closure)
        if closure is None:
            raise InputError(
                "FollowTheRidge needs second derivatives of the game: call step(closure) with a closure that returns its value."
            )
        rates = {float(group["lr"]) for group in leaders}
        if len(rates) > 1:
            raise InputError(f"FollowTheRidge: the leader's groups need one lr, got {sorted(rates)}.")
        x, y = ([p for group in groups for p in group["params"]] for groups in (leaders, followers))
        with torch.enable_grad():
            value = closure()
        first = _gradients(value, [*x, *y])
        for p, g in zip([*x, *y], first, strict=True):
            p.grad = g.detach()
        correction = self._correction(first[: len(x)], first[len(x) :], x, y, followers[0])
        super().step()
        with torch.no_grad():
            torch._foreach_add_(y, correction, alpha=rates.pop())
        return value.detach()

    def _correction(
        self, gx: list[Tensor], gy: list[Tensor], x: list[Tensor], y: list[Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        """Return :math:`H_{yy}^{-1} H_{yx} \\nabla_x f` by conjugate gradients on the normal equations."""

        def curve(vector: list[Tensor]) -> list[Tensor]:
            return _products(gy, y, vector)  # H_yy v, symmetric

        def squared(vector: list[Tensor]) -> list[Tensor]:
            return list(torch._foreach_add(curve(curve(vector)), vector, alpha=group["damping"]))

        # H_yx v is the gradient by y of gx' v with v held fixed.
        residual = curve(_products(gx, y, [g.detach() for g in gx]))
        solution = [torch.zeros_like(p) for p in y]
        direction, size = residual, _dot(residual, residual)
        start = size
        for _ in range(int(group["iterations"])):
            if size <= SOLVED * start:
                break
            moved = squared(direction)
            along = size / _dot(direction, moved)
            solution = list(torch._foreach_add(solution, direction, alpha=along))
            residual = list(torch._foreach_sub(residual, torch._foreach_mul(moved, along)))
            size, before = _dot(residual, residual), size
            direction = list(torch._foreach_add(residual, direction, alpha=size / before))
        return solution


def _gradients(value: Any, params: list[Tensor]) -> list[Tensor]:
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise InputError("FollowTheRidge: the closure must return the value of the game as a tensor with its graph.")
    try:
        found = torch.autograd.grad(value, params, create_graph=True, allow_unused=True)
    except RuntimeError as error:
        raise InputError(
            "FollowTheRidge cannot differentiate what the closure returned; let the closure return the value of the game "
            f"without calling backward on it. PyTorch says: {str(error).splitlines()[0]}"
        ) from error
    return [torch.zeros_like(p) if g is None else g for p, g in zip(params, found, strict=True)]


def _products(outputs: list[Tensor], inputs: list[Tensor], vector: list[Tensor]) -> list[Tensor]:
    """Return the gradient by ``inputs`` of the sum of outputs times vector."""
    pairs = [(o, v) for o, v in zip(outputs, vector, strict=True) if o.requires_grad]
    if not pairs:
        return [torch.zeros_like(p) for p in inputs]
    found = torch.autograd.grad(
        [o for o, _ in pairs], inputs, [v for _, v in pairs], retain_graph=True, allow_unused=True
    )
    return [torch.zeros_like(p) if g is None else g for p, g in zip(inputs, found, strict=True)]


def _dot(a: list[Tensor], b: list[Tensor]) -> float:
    return float(sum(float(x.sum()) for x in torch._foreach_mul(a, b)))
