"""Rates for each weight from its past squared gradients: AdaGrad, RMSProp, Adadelta, FTRL-Proximal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._accumulating import adadelta_kernel, adagrad_kernel, ftrl_kernel, rmsprop_kernel
from ._base import check_convention, hyperparameters, zeros
from ._sweep import SweptOptimizer


class Adagrad(SweptOptimizer):
    r"""AdaGrad (Duchi et al. 2011): each weight's rate falls with the root of its summed squared gradients.

    .. math:: s_t = s_{t-1} + g_t^2, \qquad \theta_t = \theta_{t-1} - \frac{\eta}{\sqrt{s_t} + \epsilon} g_t

    Weights with rare gradients keep larger steps.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-2
        :math:`\eta`.
    lr_decay : float >= 0, default 0
        Divides the rate by ``1 + (t - 1) lr_decay``.
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient.
    initial_accumulator_value : float >= 0, default 0
        :math:`s_0`; TensorFlow takes 0.1.
    eps : float > 0, default 1e-10
    convention : {"torch", "keras", "paper"}, default "torch"
        Keras has epsilon inside the root; torch and the paper as above.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or weights are to decay under a sparse gradient.

    Notes
    -----
    Sparse gradients step the rows they name, which equals the dense step. One source prints a factor in front of
    :math:`s_{t-1}`; AdaGrad has none (08#adagrad).

    References
    ----------
    Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 2011;
    01#adagrad, 05#adagrad, 08#adagrad.
    """

    by_rows = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        for name in ("lr_decay", "initial_accumulator_value"):
            check_number(f"{self._name}: {name}", group[name], 0.0)
        check_number(f"{self._name}: eps", group["eps"], 0.0, above=True)
        check_convention(self._name, group)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"sum": zeros(p, group["initial_accumulator_value"])}

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return adagrad_kernel(group["convention"] == "keras"), (self._rate(group, state), group["eps"])

    def _rate(self, group: dict[str, Any], state: dict[str, Any]) -> float:
        return float(group["lr"]) / (1 + (float(state["step"]) - 1) * group["lr_decay"])

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        sums = [state["sum"] for state in states]
        torch._foreach_addcmul_(sums, grads, grads)
        rates = [-self._rate(group, state) for state in states]
        torch._foreach_addcdiv_(params, grads, _root(sums, group["eps"], group["convention"] == "keras"), rates)


class RMSprop(SweptOptimizer):
    r"""RMSProp (Hinton 2012): AdaGrad with a running mean, so that the steps do not vanish.

    .. math:: s_t = \rho s_{t-1} + (1 - \rho) g_t^2, \qquad \theta_t = \theta_{t-1} - \frac{\eta}{\sqrt{s_t} + \epsilon} g_t

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-2
    alpha : float in [0, 1), default 0.99
        :math:`\rho`; about :math:`1 / (1 - \rho)` squared gradients are remembered.
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient.
    momentum : float in [0, 1), default 0
        Of a velocity :math:`b_t = \mu b_{t-1} + g_t / (\sqrt{s_t} + \epsilon)` along which it steps.
    centered : bool, default False
        Whether the squared running mean of the gradient is taken off :math:`s`, leaving a variance.
    convention : {"torch", "keras", "paper"}, default "torch"
        Keras, TensorFlow and the paper (01#rmsprop) have epsilon inside the root: :math:`\sqrt{s_t + \epsilon}`.
    initial : {"zeros", "gradient"}, default "zeros"
        Whether :math:`s_1` is :math:`(1 - \rho) g_1^2` or, as in 05#rmsprop, :math:`g_1^2`.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Hinton, "Neural networks for machine learning", lecture 6e, 2012; 01#rmsprop, 05#rmsprop, 08#nag-b.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        convention: str = "torch",
        initial: str = "zeros",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: alpha", group["alpha"], 0.0, 1.0, below=True)
        check_number(f"{self._name}: momentum", group["momentum"], 0.0, 1.0, below=True)
        check_number(f"{self._name}: eps", group["eps"], 0.0, above=True)
        check_convention(self._name, group)
        if group["initial"] not in ("zeros", "gradient"):
            raise InputError(f"{self._name}: initial must be 'zeros' or 'gradient', got {group['initial']!r}.")

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"square_avg": zeros(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros(p)
        if group["centered"]:
            state["grad_avg"] = zeros(p)
        return state

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        moving = ("momentum_buffer",) if group["momentum"] > 0 else ()
        return ("square_avg", *(("grad_avg",) if group["centered"] else ()), *moving)

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        kernel = rmsprop_kernel(group["convention"] != "torch", bool(group["centered"]), group["momentum"] > 0)
        first = group["initial"] == "gradient" and float(state["step"]) == 1
        alpha = group["alpha"]
        new = 1.0 if first else 1 - alpha
        return kernel, (float(group["lr"]), alpha, new, 1 - alpha, group["momentum"], group["eps"])

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        squares, alpha = [state["square_avg"] for state in states], group["alpha"]
        torch._foreach_mul_(squares, alpha)
        torch._foreach_addcmul_(squares, grads, grads, 1 - alpha)
        if group["initial"] == "gradient":
            for square, grad, state in zip(squares, grads, states, strict=True):
                if state["step"] == 1:
                    torch.mul(grad, grad, out=square)
        inside = group["convention"] != "torch"
        if group["centered"]:
            means = [state["grad_avg"] for state in states]
            torch._foreach_lerp_(means, grads, 1 - alpha)
            squares = list(torch._foreach_addcmul(squares, means, means, -1.0))
            # Rounding may leave a variance a hair below zero.
            torch._foreach_clamp_min_(squares, 0.0)
        root = _root(squares, group["eps"], inside)
        if group["momentum"] > 0:
            velocity = [state["momentum_buffer"] for state in states]
            torch._foreach_mul_(velocity, group["momentum"])
            torch._foreach_addcdiv_(velocity, grads, root)
            torch._foreach_add_(params, velocity, alpha=-float(group["lr"]))
        else:
            torch._foreach_addcdiv_(params, grads, root, -float(group["lr"]))


class Adadelta(SweptOptimizer):
    r"""Adadelta (Zeiler 2012): the running mean of squared updates takes the place of the rate.

    .. math::
        s_t = \rho s_{t-1} + (1 - \rho) g_t^2, \qquad
        \Delta_t = \frac{\sqrt{d_{t-1} + \epsilon}}{\sqrt{s_t + \epsilon}} g_t, \qquad
        d_t = \rho d_{t-1} + (1 - \rho) \Delta_t^2, \qquad \theta_t = \theta_{t-1} - \eta \Delta_t

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1
        :math:`\eta`, which is 1 in the paper.
    rho : float in [0, 1), default 0.9
        :math:`\rho`.
    eps : float > 0, default 1e-6
    weight_decay : float >= 0, default 0
        L2 penalty added to the gradient.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Zeiler, "ADADELTA: an adaptive learning rate method", 2012; 01#adadelta, 08#adadelta, 08#nag-b.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: rho", group["rho"], 0.0, 1.0, below=True)
        check_number(f"{self._name}: eps", group["eps"], 0.0, above=True)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"square_avg": zeros(p), "acc_delta": zeros(p)}

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return adadelta_kernel, (float(group["lr"]), group["rho"], 1 - group["rho"], group["eps"])

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        squares, updates = ([state[k] for state in states] for k in ("square_avg", "acc_delta"))
        rho, eps = group["rho"], group["eps"]
        torch._foreach_mul_(squares, rho)
        torch._foreach_addcmul_(squares, grads, grads, 1 - rho)
        delta = _root(updates, eps, True)
        torch._foreach_div_(delta, _root(squares, eps, True))
        torch._foreach_mul_(delta, grads)
        torch._foreach_mul_(updates, rho)
        torch._foreach_addcmul_(updates, delta, delta, 1 - rho)
        torch._foreach_add_(params, delta, alpha=-float(group["lr"]))


class FTRL(SweptOptimizer):
    r"""FTRL-Proximal (McMahan et al. 2013): AdaGrad's rates with an L1 penalty that gives exact zeros.

    .. math::
        \sigma_t = (\sqrt{n_t} - \sqrt{n_{t-1}}) / \eta, \quad n_t = n_{t-1} + g_t^2, \quad
        z_t = z_{t-1} + g_t - \sigma_t w_{t-1}

        w_t = \begin{cases} 0 & |z_t| \le \lambda_1 \\
        -\left(\frac{\beta + \sqrt{n_t}}{\eta} + \lambda_2\right)^{-1} (z_t - \mathrm{sign}(z_t) \lambda_1) & \text{else}
        \end{cases}

    Without penalties it is online gradient descent with the rate :math:`\eta / (\beta + \sqrt{n_t})`.

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float > 0, default 0.1
        :math:`\eta` (:math:`\alpha` in the paper).
    beta : float >= 0, default 1
    l1, l2 : float >= 0, default 0
        :math:`\lambda_1, \lambda_2`.
    initial_accumulator_value : float >= 0, default 0
        :math:`n_0`; TensorFlow takes 0.1.
    convention : {"paper", "keras"}, default "paper"
        The paper's weights start at 0. Of others, ``"paper"`` starts :math:`z` where the closed form gives just these
        weights, as far as the penalties allow; Keras starts it at 0 and so forgets most of them in the first step.
        Keras counts :math:`\lambda_2` and :math:`\beta/\eta` as it documents: :math:`2 \lambda_2 + (\beta + \sqrt n) / \eta`.
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or weights are to decay (use ``l2``).

    Notes
    -----
    Sparse gradients step the rows they name; the dense step leaves a weight without gradient alone too.

    References
    ----------
    McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013; 01#ftrl.
    """

    by_rows = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.1,
        beta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        initial_accumulator_value: float = 0.0,
        *,
        convention: str = "paper",
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: lr", float(group["lr"]), 0.0, above=True)
        for name in ("beta", "l1", "l2", "initial_accumulator_value"):
            check_number(f"{self._name}: {name}", group[name], 0.0)
        check_convention(self._name, group, ("paper", "keras"))
        if group["weight_decay"] != 0:
            raise InputError("FTRL has its own penalties: give l2 (or l1) in place of weight_decay.")

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        n = zeros(p, group["initial_accumulator_value"])
        z = zeros(p)
        if group["convention"] == "paper":
            z = -(self._curvature(group, n) * p + torch.sign(p) * group["l1"])
        return {"n": n, "z": z}

    def _curvature(self, group: dict[str, Any], n: Tensor) -> Tensor:
        return (group["beta"] + n.sqrt()) / float(group["lr"]) + self._l2(group)

    def _l2(self, group: dict[str, Any]) -> float:
        return float((2 if group["convention"] == "keras" else 1) * group["l2"])

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("n", "z")

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return ftrl_kernel, (float(group["lr"]), group["beta"], group["l1"], self._l2(group))

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        for p, g, state in zip(params, grads, states, strict=True):
            n, z = state["n"], state["z"]
            before = n.sqrt()
            n.addcmul_(g, g)
            z.add_(g - (n.sqrt() - before) / float(group["lr"]) * p)
            curvature = self._curvature(group, n)
            far = (z.abs() - group["l1"]).clamp_(min=0.0)
            # A weight that has never had a gradient may have no curvature; it stays.
            p.copy_(torch.where(curvature > 0, -torch.sign(z) * far / curvature, p))


def _root(squares: list[Tensor], eps: float, inside: bool) -> list[Tensor]:
    """Return the roots with epsilon inside or outside."""
    if inside:
        return list(torch._foreach_sqrt(torch._foreach_add(squares, eps)))
    root = list(torch._foreach_sqrt(squares))
    torch._foreach_add_(root, eps)
    return root
