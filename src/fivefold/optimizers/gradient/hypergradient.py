"""Hypergradient descent: the learning rate descends too, along the derivative of the loss by it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._base import GradientOptimizer, check_betas, hyperparameters, zeros


class HypergradientDescent(GradientOptimizer):
    r"""Hypergradient descent (Baydin et al. 2018): a learning rate that grows while steps agree and falls when they oppose.

    With :math:`\theta_{t-1} = \theta_{t-2} - \alpha_{t-1} u_{t-1}` the derivative of the loss by the last rate is
    :math:`\partial f(\theta_{t-1}) / \partial \alpha = -g_t^T u_{t-1}`, and a step against it comes first:

    .. math:: \alpha_t = \alpha_{t-1} + \beta \, g_t^T u_{t-1}, \qquad \theta_t = \theta_{t-1} - \alpha_t u_t,
        \qquad u_0 = 0

    .. math::
        \text{sgd:}\quad & u_t = g_t \\
        \text{nesterov:}\quad & v_t = \mu v_{t-1} + g_t, \quad u_t = g_t + \mu v_t \\
        \text{adam:}\quad & u_t = \hat m_t / (\sqrt{\hat v_t} + \epsilon)

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
        Each group has a rate of its own, which the products of all its weights change.
    lr : float >= 0, default 1e-3
        :math:`\alpha_0`. What the hypergradient has added is the group's ``adjustment``, and :attr:`rates` are the present
        rates; a schedule of ``lr`` shifts them.
    hypergrad_lr : float >= 0, default 1e-6
        :math:`\beta`.
    base : {"sgd", "nesterov", "adam"}, default "sgd"
    momentum : float in [0, 1), default 0.9
        :math:`\mu` of ``"nesterov"``.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Of ``"adam"``.
    eps : float > 0, default 1e-8
        Of ``"adam"``.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient, in :math:`g_t` of both formulas.
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    Notes
    -----
    The units of :math:`\beta` are those of the rate over those of the squared gradient: scale it with the loss. Nothing keeps
    the rate positive, as in the paper.

    References
    ----------
    Baydin et al., "Online learning rate adaptation with hypergradient descent", ICLR 2018; 08#hypergradient-descent.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        hypergrad_lr: float = 1e-6,
        base: str = "sgd",
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose rate begins at its ``lr``."""
        super().add_param_group(param_group)
        self.param_groups[-1].setdefault("adjustment", 0.0)

    @property
    def rates(self) -> list[float]:
        """The present learning rate of each group, :math:`\\alpha_t`."""
        return [_rate(group) for group in self.param_groups]

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: hypergrad_lr", group["hypergrad_lr"], 0.0)
        if group["base"] not in ("sgd", "nesterov", "adam"):
            raise InputError(f"{self._name}: base must be one of sgd, nesterov, adam; got {group['base']!r}.")
        check_number(f"{self._name}: momentum", group["momentum"], 0.0, 1.0, below=True)
        check_betas(self._name, group)
        check_number(f"{self._name}: eps", group["eps"], 0.0, above=True)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"direction": zeros(p)}
        if group["base"] == "nesterov":
            state["momentum_buffer"] = zeros(p)
        elif group["base"] == "adam":
            state |= {"exp_avg": zeros(p), "exp_avg_sq": zeros(p)}
        return state

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        before = [state["direction"] for state in states]
        agreement = sum(float(x.sum()) for x in torch._foreach_mul(grads, before))
        group["adjustment"] += group["hypergrad_lr"] * agreement
        directions = self._directions(group, grads, states)
        torch._foreach_copy_(before, directions)
        torch._foreach_add_(params, directions, alpha=-_rate(group))

    def _directions(self, group: dict[str, Any], grads: list[Tensor], states: list[dict[str, Any]]) -> list[Tensor]:
        """Return the step of a rate of one, before its sign."""
        if group["base"] == "sgd":
            return grads
        if group["base"] == "nesterov":
            velocity = [state["momentum_buffer"] for state in states]
            torch._foreach_mul_(velocity, group["momentum"])
            torch._foreach_add_(velocity, grads)
            return list(torch._foreach_add(grads, velocity, alpha=group["momentum"]))
        beta1, beta2 = group["betas"]
        mean, square = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        torch._foreach_lerp_(mean, grads, 1 - beta1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, grads, grads, 1 - beta2)
        found = []
        for m, v, state in zip(mean, square, states, strict=True):
            t = float(state["step"])
            found.append(m / (1 - beta1**t) / ((v.sqrt() / math.sqrt(1 - beta2**t)).add_(group["eps"])))
        return found


def _rate(group: dict[str, Any]) -> float:
    return float(group["lr"]) + float(group["adjustment"])
