"""AdaBound: Adam whose rate for each weight is kept between bounds that close in on one rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fivefold.base.checks import check_number

from ._base import check_convention, hyperparameters
from ._fused import AdamFamily, Sizes


class AdaBound(AdamFamily):
    r"""AdaBound (Luo et al. 2019): from Adam to SGD by clipping the rate of each weight between closing bounds.

    .. math::
        \theta_t = \theta_{t-1} - \mathrm{clip}\!\left(
        \frac{\eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)}{\sqrt{v_t} + \epsilon},
        \eta^* \Big(1 - \frac{1}{\gamma t + 1}\Big), \eta^* \Big(1 + \frac{1}{\gamma t}\Big) \right) m_t

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
    lr : float >= 0, default 1e-3
        :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    final_lr : float >= 0, default 0.1
        :math:`\eta^*`, the rate that both bounds approach; a schedule of ``lr`` scales it alike.
    gamma : float >= 0, default 1e-3
        How fast the bounds close; 0 leaves them at 0 and infinity, which is Adam.
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
    convention : {"torch", "paper"}, default "torch"
        ``"torch"`` is the authors' code, above. The paper's algorithm has no bias correction, epsilon inside the root, and
        divides the clipped rate by :math:`\sqrt t`.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, or a gradient is sparse.

    References
    ----------
    Luo, Xiong, Liu & Sun, "Adaptive gradient methods with dynamic bound of learning rate", ICLR 2019; 01#adabound.
    """

    bounded = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        convention: str = "torch",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, hyperparameters(locals()))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group and remember its first rate, to which a schedule's rate is compared."""
        super().add_param_group(param_group)
        self.param_groups[-1].setdefault("base_lr", float(self.param_groups[-1]["lr"]))

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        check_convention(self._name, group, ("torch", "paper"))
        check_number(f"{self._name}: final_lr", group["final_lr"], 0.0)
        check_number(f"{self._name}: gamma", group["gamma"], 0.0)

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        beta1, beta2 = group["betas"]
        lr, closing = float(group["lr"]), group["gamma"] * t
        final = group["final_lr"] * lr / group["base_lr"] if group["base_lr"] > 0 else 0.0
        if group["convention"] == "paper":
            size = Sizes(lr, eps=group["eps"], inside=True, outer=1 / math.sqrt(t))
        else:
            size = Sizes(lr * math.sqrt(1 - beta2**t) / (1 - beta1**t), eps=group["eps"])
        if closing > 0:
            size = size._replace(low=final * (1 - 1 / (closing + 1)), high=final * (1 + 1 / closing))
        return size
