"""Momentum: steps along a running average of the gradients, in the forms in which the field writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError
from fivefold.base.jit import njit

from ._base import hyperparameters, zeros
from ._sweep import SweptOptimizer, column

FORMS = ("heavy-ball", "torch", "ewma", "arithmetic")


@njit(error_model="numpy")
def velocity_kernel(table, numbers):  # type: ignore[no-untyped-def]
    """Step with v = alpha v + c d and x += a v + b d, where d is the gradient with its decay."""
    for row in range(len(table)):
        p, g, v = column(table, row, 0, numbers), column(table, row, 1, numbers), column(table, row, 2, numbers)
        n = numbers[row]
        sign, l2, keep, alpha, c, a, b = n[0], n[1], n[2], n[3], n[4], n[5], n[6]
        for i in range(p.size):
            x = p[i] * keep
            d = sign * g[i] + l2 * x
            speed = alpha * v[i] + c * d
            v[i] = speed
            p[i] = x + a * speed + b * d


class Momentum(SweptOptimizer):
    r"""Gradient descent with momentum (Polyak 1964): each step follows an average of past gradients.

    .. math::
        \text{heavy-ball:}\quad & v_t = \alpha v_{t-1} - \eta g_t, & \theta_t = \theta_{t-1} + v_t \\
        \text{torch:}\quad & v_t = \alpha v_{t-1} + g_t, & \theta_t = \theta_{t-1} - \eta v_t \\
        \text{ewma:}\quad & v_t = \alpha v_{t-1} + (1 - \alpha) g_t, & \theta_t = \theta_{t-1} - \eta v_t \\
        \text{arithmetic:}\quad & v_t = \frac{n g_t + (n-1) g_{t-1} + \dots + 1\, g_{t-n+1}}{n + \dots + 1},
        & \theta_t = \theta_{t-1} - \eta v_t

    with :math:`v_0 = 0`. For a constant gradient the heavy ball tends to :math:`v = -\eta g / (1 - \alpha)`.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
        Learning rate :math:`\eta`.
    momentum : float in [0, 1), default 0.9
        :math:`\alpha`; 0 gives plain gradient descent. Not used by the arithmetic form.
    form : {"heavy-ball", "torch", "ewma", "arithmetic"}, default "heavy-ball"
        Which average. Heavy ball and torch walk the same path while ``lr`` is constant; when it changes, the heavy ball keeps
        the old steps in its velocity, torch rescales them.
    window : int >= 1, default 10
        Number of gradients :math:`n` that the arithmetic form averages; it stores them all.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient, or the share taken off the weights (decoupled).
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range or the form is unknown, or a gradient is sparse.

    Notes
    -----
    In the first n - 1 steps the arithmetic form averages the gradients there are, with the same weights
    n, n - 1, … normalized to one; sources leave these steps open.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; 01#momentum, 05#momentum, 08#momentum.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        form: str = "heavy-ball",
        window: int = 10,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number("Momentum: momentum", group["momentum"], 0.0, 1.0, below=True)
        if group["form"] not in FORMS:
            raise InputError(f"Momentum: form must be one of {', '.join(FORMS)}; got {group['form']!r}.")
        window = group["window"]
        if int(window) != window or window < 1:
            raise InputError(f"Momentum: window must be a whole number of at least 1, got {window!r}.")

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if group["form"] != "arithmetic":
            return {"momentum_buffer": zeros(p)}
        return {"gradients": torch.zeros((int(group["window"]), *p.shape), dtype=p.dtype, device=p.device)}  # a ring

    def _dense(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        if group["form"] == "arithmetic":
            self._listed(group, params, grads, self._states(group, params))
        else:
            super()._dense(group, params, grads)

    def _counts(self, group: dict[str, Any]) -> bool:
        return bool(group["form"] == "arithmetic")

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return velocity_kernel, (group["momentum"], *self._shares(group), 0.0)

    def _shares(self, group: dict[str, Any]) -> tuple[float, float]:
        """Return the share of the gradient in the velocity and of the velocity in the step."""
        lr = float(group["lr"])
        if group["form"] == "heavy-ball":
            return -lr, 1.0
        return (1.0 if group["form"] == "torch" else 1 - group["momentum"]), -lr

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        if group["form"] == "arithmetic":
            average = [self._average(g, state, group["window"]) for g, state in zip(grads, states, strict=True)]
            torch._foreach_add_(params, average, alpha=-float(group["lr"]))
            return
        taken, moved = self._shares(group)
        velocity = [state["momentum_buffer"] for state in states]
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, grads, alpha=taken)
        torch._foreach_add_(params, velocity, alpha=moved)

    def _average(self, grad: Tensor, state: dict[str, Any], window: int) -> Tensor:
        step = int(state["step"]) - 1
        state["gradients"][step % window] = grad
        # The slot written k steps ago weighs n - k; slots that were never written hold zeros and weigh nothing.
        age = (step - torch.arange(window)) % window
        weights = torch.where(age <= step, window - age, 0).to(grad.dtype)
        weights = (weights / weights.sum()).to(grad.device)
        return torch.tensordot(weights, state["gradients"], dims=1)
