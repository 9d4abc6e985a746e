"""Momentum: steps along a running average of the gradients, in the forms in which the field writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fivefold.base.errors import InputError

from ._checks import dense, number

FORMS = ("heavy-ball", "torch", "ewma", "arithmetic")


class Momentum(Optimizer):
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
        L2 penalty added to the gradient.

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
    ) -> None:
        number("Momentum", "lr", lr, 0.0)
        number("Momentum", "momentum", momentum, 0.0, 1.0)
        number("Momentum", "weight_decay", weight_decay, 0.0)
        if form not in FORMS:
            raise InputError(f"Momentum: form must be one of {', '.join(FORMS)}; got {form!r}.")
        if int(window) != window or window < 1:
            raise InputError(f"Momentum: window must be a whole number of at least 1, got {window!r}.")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "form": form,
            "window": int(window),
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Update the parameters that have a gradient; return what ``closure`` returned, if one was given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        params: list[Tensor] = [p for p in group["params"] if p.grad is not None]
        if not params:
            return
        grads: list[Tensor] = [p.grad for p in params if p.grad is not None]
        dense("Momentum", grads)
        if group["weight_decay"] != 0:
            grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
        lr, momentum, form = float(group["lr"]), group["momentum"], group["form"]
        if form == "arithmetic":
            average = [self._window(p, g, group["window"]) for p, g in zip(params, grads, strict=True)]
            torch._foreach_add_(params, average, alpha=-lr)
            return
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        velocity = [state["momentum_buffer"] for state in states]
        torch._foreach_mul_(velocity, momentum)
        if form == "heavy-ball":
            torch._foreach_add_(velocity, grads, alpha=-lr)
            torch._foreach_add_(params, velocity)
            return
        torch._foreach_add_(velocity, grads, alpha=1.0 if form == "torch" else 1 - momentum)
        torch._foreach_add_(params, velocity, alpha=-lr)

    def _window(self, p: Tensor, grad: Tensor, window: int) -> Tensor:
        state = self.state[p]
        if "gradients" not in state:
            state["gradients"] = torch.zeros((window, *p.shape), dtype=p.dtype, device=p.device)  # (n, *shape), a ring
            state["step"] = torch.zeros((), dtype=torch.float32)
        step = int(state["step"])
        state["gradients"][step % window] = grad
        state["step"] += 1
        # The slot written k steps ago weighs n - k; slots that were never written hold zeros and weigh nothing.
        age = (step - torch.arange(window)) % window
        weights = torch.where(age <= step, window - age, 0).to(p.dtype)
        weights = (weights / weights.sum()).to(p.device)
        return torch.tensordot(weights, state["gradients"], dims=1)
