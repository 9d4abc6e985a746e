"""Gradient descent without memory, and with Nesterov's look-ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError
from fivefold.base.jit import njit
from fivefold.base.random import Streams

from ._base import GradientOptimizer, check_convention, hyperparameters, zeros
from ._sweep import SweptOptimizer, column
from .momentum import velocity_kernel


@njit(error_model="numpy")
def descent_kernel(table, numbers):  # type: ignore[no-untyped-def]
    """Step with x -= lr d, where d is the gradient with its decay."""
    for row in range(len(table)):
        p, g = column(table, row, 0, numbers), column(table, row, 1, numbers)
        n = numbers[row]
        sign, l2, keep, lr = n[0], n[1], n[2], n[3]
        for i in range(p.size):
            x = p[i] * keep
            p[i] = x - lr * (sign * g[i] + l2 * x)


class GradientDescent(GradientOptimizer):
    r"""Batch gradient descent, with optional noise that helps it out of narrow minima and off saddle points.

    .. math:: \theta_t = \theta_{t-1} - \eta (g_t + \sigma_t z_t), \qquad z_t \sim N(0, 1), \quad
        \sigma_t^2 = \frac{\nu}{t^{0.55}}

    On a quadratic with largest curvature :math:`\lambda` it converges for :math:`\eta < 2 / \lambda` and diverges above.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
        :math:`\eta`.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient.
    noise : float >= 0, default 0
        :math:`\nu`, the variance of the noise at the first step (Neelakantan et al. 2015).
    random_state : int, default 0
        Of the noise, which depends on it, the parameter's place and the step alone.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    01#gradient-descent-variants, 05#gradient-descent, 08#gradient-descent, 08#gradient-descent-b.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        noise: float = 0.0,
        random_state: int = 0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: noise", group["noise"], 0.0)

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        if group["noise"]:
            place = {id(p): (i, j) for i, g in enumerate(self.param_groups) for j, p in enumerate(g["params"])}
            streams = Streams(int(group["random_state"]))
            noisy = []
            for p, g, state in zip(params, grads, states, strict=True):
                t = int(state["step"])
                draw = streams.numpy("noise", *place[id(p)], t).standard_normal(tuple(p.shape))
                noisy.append(g + torch.as_tensor(draw).to(g) * (group["noise"] / t**0.55) ** 0.5)
            grads = noisy
        torch._foreach_add_(params, grads, alpha=-float(group["lr"]))


class SGD(SweptOptimizer):
    r"""Stochastic gradient descent: a step against the gradient of one example, or of a few.

    .. math:: \theta_t = \theta_{t-1} - \eta_t g_t, \qquad E\,g_t = \nabla J(\theta_{t-1})

    It converges when :math:`\sum \eta_t = \infty` and :math:`\sum \eta_t^2 < \infty`; let a schedule lower the rate.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
        :math:`\eta`.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or weights are to decay under a sparse gradient.

    Notes
    -----
    Sparse gradients step the rows they name. With momentum it is :class:`~fivefold.optimizers.Momentum` or
    :class:`~fivefold.optimizers.Nesterov`.

    References
    ----------
    Robbins & Monro, "A stochastic approximation method", 1951; 01#sgd, 05#sgd, 08#sgd-b.
    """

    by_rows = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _dense(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        if group["weight_decay"] != 0:
            super()._dense(group, params, grads)
            return
        # Without decay one addition does it all, and nothing is faster.
        torch._foreach_add_(params, grads, alpha=float(group["lr"]) * (1 if group["maximize"] else -1))

    def _counts(self, group: dict[str, Any]) -> bool:
        return False

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ()

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return descent_kernel, (float(group["lr"]),)

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        torch._foreach_add_(params, grads, alpha=-float(group["lr"]))


class Nesterov(SweptOptimizer):
    r"""Nesterov's accelerated gradient (1983): momentum whose gradient is taken where the momentum leads.

    .. math::
        \text{paper:}\quad & v_t = \alpha v_{t-1} - \eta \nabla J(\theta_{t-1} + \alpha v_{t-1}),
        & \theta_t = \theta_{t-1} + v_t \\
        \text{keras:}\quad & v_t = \alpha v_{t-1} - \eta g_t, & \theta_t = \theta_{t-1} + \alpha v_t - \eta g_t \\
        \text{torch:}\quad & v_t = \alpha v_{t-1} + g_t, & \theta_t = \theta_{t-1} - \eta (g_t + \alpha v_t)

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
        :math:`\eta`.
    momentum : float in [0, 1), default 0.9
        :math:`\alpha`.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient.
    convention : {"torch", "keras", "paper"}, default "torch"
        The paper's form moves to the look-ahead point itself and so needs ``step(closure)``. The other two are the same path
        seen from the look-ahead points; they differ from one another only while ``lr`` changes.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, a gradient is sparse, or the paper's form steps without a closure.

    References
    ----------
    Nesterov, "A method for solving the convex programming problem with convergence rate O(1/k^2)", 1983; Sutskever et al.,
    ICML 2013; 01#nesterov, 08#nesterov-momentum, 08#nag-b.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: momentum", group["momentum"], 0.0, 1.0, below=True)
        check_convention(self._name, group)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": zeros(p)}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Update the parameters that have a gradient; the paper's form calls ``closure`` at the look-ahead point."""
        ahead = [group for group in self.param_groups if group["convention"] == "paper"]
        if ahead and closure is None:
            raise InputError(
                "Nesterov(convention='paper') takes its gradient at the look-ahead point: call step(closure), or use 'torch'."
            )
        if not ahead:
            return super().step(closure)
        self._look(ahead, 1.0)
        with torch.enable_grad():
            loss = closure()  # type: ignore[misc]
        self._look(ahead, -1.0)
        super().step()
        return loss

    @torch.no_grad()
    def _look(self, groups: list[dict[str, Any]], sign: float) -> None:
        for group in groups:
            for p in group["params"]:
                if self.state.get(p):
                    p.add_(self.state[p]["momentum_buffer"], alpha=sign * group["momentum"])

    def _counts(self, group: dict[str, Any]) -> bool:
        return False

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return velocity_kernel, (group["momentum"], *self._shares(group))

    def _shares(self, group: dict[str, Any]) -> tuple[float, float, float]:
        """Return the gradient's share in the velocity, then those of the velocity and of the gradient in the step."""
        lr, momentum = float(group["lr"]), group["momentum"]
        return {"torch": (1.0, -lr * momentum, -lr), "keras": (-lr, momentum, -lr), "paper": (-lr, 1.0, 0.0)}[
            group["convention"]
        ]

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        taken, moved, direct = self._shares(group)
        velocity = [state["momentum_buffer"] for state in states]
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, grads, alpha=taken)
        torch._foreach_add_(params, velocity, alpha=moved)
        torch._foreach_add_(params, grads, alpha=direct)
