"""Adam: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fivefold.base.errors import InputError

from ._fused import AdamFamily, Sizes


class Adam(AdamFamily):
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
        L2 penalty added to the gradient (coupled), or the share of the weights that each step takes off per unit of the
        rate (decoupled, AdamW).
    epsilon_hat : bool, default False
        The "epsilon hat" form of the paper's section 2, used by TensorFlow:
        :math:`\theta_t = \theta_{t-1} - \eta \frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t} \frac{m_t}{\sqrt{v_t} + \hat\epsilon}`.
        Equal to the first form with :math:`\hat\epsilon = \epsilon \sqrt{1 - \beta_2^t}`, hence not with a constant.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False
        Ascend instead of descend.

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
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "epsilon_hat": epsilon_hat,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if any(group.get("amsgrad") for group in self.param_groups):
            raise InputError("Adam cannot go on from a state with amsgrad=True; AMSGrad can.")

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        beta1, beta2 = group["betas"]
        lr, correct1, correct2 = float(group["lr"]), 1 - beta1**t, math.sqrt(1 - beta2**t)
        if group["epsilon_hat"]:
            return Sizes(lr * correct2 / correct1, eps=group["eps"])
        return Sizes(lr / correct1, root=correct2, eps=group["eps"])
