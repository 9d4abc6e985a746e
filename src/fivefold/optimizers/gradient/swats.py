"""SWATS: Adam at first, then SGD at the rate that Adam's own steps show."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number

from ._base import GradientOptimizer, check_betas, hyperparameters, zeros


class SWATS(GradientOptimizer):
    r"""SWATS (Keskar & Socher 2017): a switch from Adam to SGD when the rate that SGD would need has settled.

    With Adam's step :math:`p_t` for all weights of a group as one vector,

    .. math::
        p_t = -\eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_t}{\sqrt{a_t} + \epsilon}, \qquad
        \gamma_t = \frac{p_t^T p_t}{-p_t^T g_t}, \qquad \lambda_t = \beta_2 \lambda_{t-1} + (1 - \beta_2) \gamma_t,

    :math:`\gamma_t` is the rate at which SGD's step, projected on Adam's, equals it. Once :math:`t > 1` and
    :math:`|\lambda_t / (1 - \beta_2^t) - \gamma_t|` is below the tolerance, the group goes on with
    :math:`\Lambda = \lambda_t / (1 - \beta_2^t)` and

    .. math:: v_t = \beta_1 v_{t-1} + g_t, \qquad \theta_t = \theta_{t-1} - (1 - \beta_1) \Lambda v_t, \qquad v = 0
        \text{ at the switch.}

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
        Each group switches for itself; its dictionary then holds ``phase`` ("adam" or "sgd") and ``sgd_lr``
        (:math:`\Lambda`).
    lr : float >= 0, default 1e-3
        :math:`\eta`. A schedule that changes it after the switch scales :math:`\Lambda` alike.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-9
    tolerance : float >= 0, default 1e-9
        Of the switch. The paper has one number for this and ``eps``; it is absolute, in units of the rate.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient, which counts in :math:`\gamma` too.
    decoupled_weight_decay : bool, default False
        Decay by ``lr * weight_decay`` a step instead, in both phases.
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    Notes
    -----
    A group never switches to a rate that is not positive, which the paper's algorithm would when momentum leads uphill
    throughout. Some texts put epsilon inside the root or leave out the step of Adam's phase; the paper has neither.

    References
    ----------
    Keskar & Socher, "Improving generalization performance by switching from Adam to SGD", 2017; 01#swats.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-9,
        tolerance: float = 1e-9,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_betas(self._name, group)
        check_number(f"{self._name}: eps", group["eps"], 0.0, above=True)
        check_number(f"{self._name}: tolerance", group["tolerance"], 0.0)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, which begins with Adam."""
        super().add_param_group(param_group)
        for name, value in {
            "phase": "adam",
            "iteration": 0,
            "rate_average": 0.0,
            "sgd_lr": 0.0,
            "switch_lr": 0.0,
        }.items():
            self.param_groups[-1].setdefault(name, value)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if group["phase"] == "sgd":
            return {"momentum_buffer": zeros(p)}
        return {"exp_avg": zeros(p), "exp_avg_sq": zeros(p)}

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        beta1, beta2 = group["betas"]
        group["iteration"] += 1
        if group["phase"] == "sgd":
            velocity = [state["momentum_buffer"] for state in states]
            torch._foreach_mul_(velocity, beta1)
            torch._foreach_add_(velocity, grads)
            rate = group["sgd_lr"] * float(group["lr"]) / group["switch_lr"]
            torch._foreach_add_(params, velocity, alpha=-(1 - beta1) * rate)
            return
        mean, square = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        torch._foreach_lerp_(mean, grads, 1 - beta1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, grads, grads, 1 - beta2)
        moves = list(torch._foreach_sqrt(square))
        torch._foreach_add_(moves, group["eps"])
        moves = list(torch._foreach_div(mean, moves))
        for move, state in zip(moves, states, strict=True):
            t = float(state["step"])  # a parameter whose gradients came late corrects for its own steps
            move.mul_(-float(group["lr"]) * math.sqrt(1 - beta2**t) / (1 - beta1**t))
        torch._foreach_add_(params, moves)
        if self._settled(group, moves, grads):
            group["phase"], group["switch_lr"] = "sgd", float(group["lr"])
            for p in group["params"]:
                if self.state.get(p):
                    self.state[p].update(momentum_buffer=zeros(p))
                    del self.state[p]["exp_avg"], self.state[p]["exp_avg_sq"]

    def _settled(self, group: dict[str, Any], moves: list[Tensor], grads: list[Tensor]) -> bool:
        """Follow the rate of SGD, and return whether its mean agrees with its present value."""
        along = -_dot(moves, grads)
        if along == 0:
            return False
        beta2, t = group["betas"][1], group["iteration"]
        rate = _dot(moves, moves) / along
        group["rate_average"] = beta2 * group["rate_average"] + (1 - beta2) * rate
        group["sgd_lr"] = group["rate_average"] / (1 - beta2**t)
        return bool(t > 1 and group["sgd_lr"] > 0 and abs(group["sgd_lr"] - rate) < group["tolerance"])


def _dot(a: list[Tensor], b: list[Tensor]) -> float:
    return float(sum(float(x.sum()) for x in torch._foreach_mul(a, b)))
