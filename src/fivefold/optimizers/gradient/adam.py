"""Adam: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fivefold.base.errors import InputError

from ._checks import dense, number


class Adam(Optimizer):
    r"""Adam (Kingma & Ba 2015): a step along the mean gradient divided by the root of the mean squared gradient.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2

        \theta_t = \theta_{t-1} - \eta \, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`m_0 = v_0 = 0`, so that the first step is :math:`-\eta g / (|g| + \epsilon)`.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decay of the two running means.
    eps : float > 0, default 1e-8
        :math:`\epsilon`; 0.1 to 1 helps some deep networks.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient (coupled; AdamW decouples it).
    epsilon_hat : bool, default False
        The "epsilon hat" form of the paper's section 2, used by TensorFlow:
        :math:`\theta_t = \theta_{t-1} - \eta \frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t} \frac{m_t}{\sqrt{v_t} + \hat\epsilon}`.
        Equal to the first form with :math:`\hat\epsilon = \epsilon \sqrt{1 - \beta_2^t}`, hence not with a constant.

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    Notes
    -----
    :math:`v` is the running mean of *squared* gradients; texts that call it the root mean square mean :math:`\sqrt{v}`.
    The state has the keys of ``torch.optim.Adam``, so either loads the other's ``state_dict``.

    References
    ----------
    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015; 01#adam, 05#adam, 08#adam.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        epsilon_hat: bool = False,
    ) -> None:
        number("Adam", "lr", lr, 0.0)
        if len(betas) != 2:
            raise InputError(f"Adam: betas must be a pair of floats in [0, 1), got {betas!r}.")
        number("Adam", "betas[0]", betas[0], 0.0, 1.0)
        number("Adam", "betas[1]", betas[1], 0.0, 1.0)
        number("Adam", "eps", eps, 0.0, open_low=True)
        number("Adam", "weight_decay", weight_decay, 0.0)
        defaults = {
            "lr": lr,
            "betas": (float(betas[0]), float(betas[1])),
            "eps": eps,
            "weight_decay": weight_decay,
            "epsilon_hat": epsilon_hat,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("epsilon_hat", False)
            for name in ("amsgrad", "maximize", "decoupled_weight_decay"):
                if group.get(name):
                    raise InputError(f"Adam cannot go on from a state with {name}=True; it has no such form.")

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
        dense("Adam", grads)
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        counts = [state["step"] for state in states]
        beta1, beta2 = group["betas"]
        lr, eps = float(group["lr"]), group["eps"]

        if group["weight_decay"] != 0:
            grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
        torch._foreach_add_(counts, 1)
        torch._foreach_lerp_(means, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)

        # Parameters of a group may have started at different times, so each has its own correction.
        steps = [float(count) for count in counts]
        correct1 = [1 - beta1**t for t in steps]
        correct2 = [math.sqrt(1 - beta2**t) for t in steps]
        root = torch._foreach_sqrt(squares)
        if group["epsilon_hat"]:
            torch._foreach_add_(root, eps)
            sizes = [-lr * c2 / c1 for c1, c2 in zip(correct1, correct2, strict=True)]
        else:
            torch._foreach_div_(root, correct2)
            torch._foreach_add_(root, eps)
            sizes = [-lr / c1 for c1 in correct1]
        torch._foreach_addcdiv_(params, means, root, sizes)
