"""Descent-ascent for games of two players: simultaneous steps, with momentum of either sign, and optimistic ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.errors import InputError

from ._base import GradientOptimizer, hyperparameters, zeros


class GradientDescentAscent(GradientOptimizer):
    r"""Simultaneous gradient descent-ascent: groups with ``maximize=True`` ascend what the others descend.

    .. math:: x_t = x_{t-1} - \eta \nabla_x f + \beta (x_{t-1} - x_{t-2}), \qquad
        y_t = y_{t-1} + \eta \nabla_y f + \beta (y_{t-1} - y_{t-2})

    On :math:`f = xy` without momentum the distance from the saddle grows by :math:`\sqrt{1 + \eta^2}` each step.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
        The maximizing player's in a group with ``"maximize": True``.
    lr : float >= 0, default 1e-2
        :math:`\eta`.
    momentum : float in (-1, 1), default 0
        :math:`\beta`; a negative one damps the rotation of a game.
    weight_decay : float >= 0, default 0
    decoupled_weight_decay : bool, default False
    maximize : bool, default False
        Default of the groups.

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Gidel et al., "Negative momentum for improved game dynamics", AISTATS 2019; 08#gda.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        if not -1 < group["momentum"] < 1:
            raise InputError(f"{self._name}: momentum must lie in (-1, 1), got {group['momentum']!r}.")

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"velocity": zeros(p)}

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        velocity = [state["velocity"] for state in states]
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, grads, alpha=-float(group["lr"]))
        torch._foreach_add_(params, velocity)


class OptimisticGDA(GradientOptimizer):
    r"""Optimistic gradient descent-ascent (Daskalakis et al. 2018): a step along the gradient expected next.

    .. math:: x_t = x_{t-1} - \eta (2 g_t - g_{t-1}), \qquad y_t = y_{t-1} + \eta (2 g_t - g_{t-1}), \qquad g_0 = g_1

    It stays close to the proximal point method and so converges on :math:`f = xy`, where descent-ascent spirals out.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
        The maximizing player's in a group with ``"maximize": True``.
    lr : float >= 0, default 1e-2
        :math:`\eta`.
    weight_decay : float >= 0, default 0
    decoupled_weight_decay : bool, default False
    maximize : bool, default False
        Default of the groups.

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Daskalakis, Ilyas, Syrgkanis & Zeng, "Training GANs with optimism", ICLR 2018; 08#gda.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"last_gradient": zeros(p)}

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        last, lr = [state["last_gradient"] for state in states], float(group["lr"])
        for before, grad, state in zip(last, grads, states, strict=True):
            if state["step"] == 1:
                before.copy_(grad)
        torch._foreach_add_(params, grads, alpha=-2 * lr)
        torch._foreach_add_(params, last, alpha=lr)
        torch._foreach_copy_(last, grads)
