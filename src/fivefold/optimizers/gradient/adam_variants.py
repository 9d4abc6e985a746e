"""Relatives of Adam that change its moments or its step: AMSGrad, AdaMax, Nadam, RAdam, Yogi."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.checks import check_number

from ._base import check_convention, hyperparameters, zeros
from ._fused import LARGEST, NORM, SIGN, AdamFamily, Sizes


class AMSGrad(AdamFamily):
    r"""AMSGrad (Reddi et al. 2018): Adam divided by the largest second moment so far, so that no step grows again.

    .. math:: \hat v_t = \max(\hat v_{t-1}, v_t), \qquad
        \theta_t = \theta_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{\hat v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
    convention : {"torch", "paper"}, default "torch"
        The paper has no bias correction.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Reddi, Kale & Kumar, "On the convergence of Adam and beyond", ICLR 2018; 01#amsgrad, 08#nadam.
    """

    rule = LARGEST

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_convention(self._name, group, ("torch", "paper"))

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        beta1, beta2 = group["betas"]
        lr, eps = float(group["lr"]), group["eps"]
        if group["convention"] == "paper":
            return Sizes(lr, eps=eps)
        return Sizes(lr / (1 - beta1**t), root=math.sqrt(1 - beta2**t), eps=eps)


class Adamax(AdamFamily):
    r"""AdaMax (Kingma & Ba 2015, section 7.1): Adam with the infinity norm of past gradients in place of the root mean square.

    .. math:: u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \qquad
        \theta_t = \theta_{t-1} - \frac{\eta}{1 - \beta_1^t} \frac{m_t}{u_t}

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 2e-3
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
    convention : {"torch", "keras", "paper"}, default "torch"
        Where epsilon stands: beside each \|g\| (torch), beside u in the division (Keras), nowhere (paper; a parameter whose
        gradients were all zero stays).
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015; 08#adam-b.
    """

    rule = NORM
    names = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_convention(self._name, group)

    def _tiny(self, group: dict[str, Any]) -> float:
        return float(group["eps"]) if group["convention"] == "torch" else 0.0

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        keras = group["convention"] == "keras"
        return Sizes(float(group["lr"]) / (1 - group["betas"][0] ** t), eps=group["eps"] if keras else 0.0)


class NAdam(AdamFamily):
    r"""Nadam (Dozat 2016): Adam that looks ahead with Nesterov's momentum.

    .. math::
        \mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \qquad \theta_t = \theta_{t-1} - \eta \left(
        \frac{\mu_{t+1} m_t}{1 - \prod_{i=1}^{t+1} \mu_i} + \frac{(1 - \mu_t) g_t}{1 - \prod_{i=1}^{t} \mu_i} \right)
        \Big/ \left( \sqrt{v_t / (1 - \beta_2^t)} + \epsilon \right)

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 2e-3
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
    momentum_decay : float >= 0, default 4e-3
        :math:`\psi`; 0 keeps :math:`\mu_t = \beta_1 / 2`.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    Notes
    -----
    As in ``torch.optim.NAdam``, :math:`m_t` itself decays with :math:`\beta_1`; Dozat's report lets it decay with
    :math:`\mu_t`.

    References
    ----------
    Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016; 08#nadam.
    """

    own_form = True
    with_grad = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_number(f"{self._name}: momentum_decay", group["momentum_decay"], 0.0)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {**super()._fresh(p, group), "mu_product": torch.ones((), dtype=_wide(p))}

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        beta1, beta2 = group["betas"]
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (s * group["momentum_decay"])) for s in (t, t + 1))
        product = float(state["mu_product"]) * mu
        state["mu_product"].fill_(product)
        lr = float(group["lr"])
        return Sizes(
            lr * following / (1 - product * following),
            lr * (1 - mu) / (1 - product),
            root=math.sqrt(1 - beta2**t),
            eps=group["eps"],
        )


def _wide(p: Tensor) -> torch.dtype:
    return torch.float64 if p.dtype == torch.float64 else torch.float32


class RAdam(AdamFamily):
    r"""Rectified Adam (Liu et al. 2020): plain momentum until the variance of the adaptive rate can be estimated.

    .. math::
        \rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}

        \theta_t = \theta_{t-1} - \eta\, \hat m_t \cdot
        \begin{cases} r_t \sqrt{1 - \beta_2^t} / (\sqrt{v_t} + \epsilon) & \rho_t > 5 \\ 1 & \text{else} \end{cases}

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
    convention : {"torch", "paper"}, default "torch"
        The paper rectifies from :math:`\rho_t > 4` on, torch from 5 on.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020; 01#radam.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_convention(self._name, group, ("torch", "paper"))

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        beta1, beta2 = group["betas"]
        lr = float(group["lr"]) / (1 - beta1**t)
        limit = 2 / (1 - beta2) - 1
        rho = limit - 2 * t * beta2**t / (1 - beta2**t)
        if rho <= (5 if group["convention"] == "torch" else 4):
            return Sizes(lr, adaptive=False)
        rectified = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
        return Sizes(lr * rectified * math.sqrt(1 - beta2**t), eps=group["eps"])


class Yogi(AdamFamily):
    r"""Yogi (Zaheer et al. 2018): Adam whose second moment moves by at most :math:`(1 - \beta_2) g^2`, so it forgets slowly.

    .. math:: v_t = v_{t-1} - (1 - \beta_2)\, \mathrm{sign}(v_{t-1} - g_t^2)\, g_t^2, \qquad
        \theta_t = \theta_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-2
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-3
    initial_accumulator : float >= 0, default 1e-6
        :math:`v_0`.
    weight_decay : float >= 0, default 0
    convention : {"torch", "paper"}, default "torch"
        ``"torch"`` is the package pytorch-optimizer: :math:`m_0 = v_0`, with bias correction. The paper starts
        :math:`m_0` at 0 and corrects nothing.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Zaheer et al., "Adaptive methods for nonconvex optimization", NeurIPS 2018; 08#nadam.
    """

    rule = SIGN

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        initial_accumulator: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_convention(self._name, group, ("torch", "paper"))
        check_number(f"{self._name}: initial_accumulator", group["initial_accumulator"], 0.0)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        first = group["initial_accumulator"]
        return {"exp_avg": zeros(p, first if group["convention"] == "torch" else 0.0), "exp_avg_sq": zeros(p, first)}

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        beta1, beta2 = group["betas"]
        lr, eps = float(group["lr"]), group["eps"]
        if group["convention"] == "paper":
            return Sizes(lr, eps=eps)
        return Sizes(lr / (1 - beta1**t), root=math.sqrt(1 - beta2**t), eps=eps)
