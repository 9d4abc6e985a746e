"""Adam for tables of embeddings: sparse gradients with the path of dense ones, or steps of the looked-up rows alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from ._base import hyperparameters
from ._fused import AdamFamily
from .adam import Adam


class SparseAdam(Adam):
    r"""Adam with gradients that name some rows of a table: on the path of dense Adam, or lazy.

    With the rows :math:`i \in I_t` that a step names,

    .. math::
        \text{dense-equivalent:}\quad & m_t = \beta_1 m_{t-1}, \; v_t = \beta_2 v_{t-1}, \qquad
        m_{t,i} \mathrel{+}= (1 - \beta_1) g_{t,i}, \; v_{t,i} \mathrel{+}= (1 - \beta_2) g_{t,i}^2 \quad (i \in I_t), \\
        & \text{then Adam's step of every row;} \\
        \text{lazy:}\quad & \text{Adam's means and step for } i \in I_t \text{ alone; the other rows stay as they are.}

    Parameters
    ----------
    params : iterable of parameters or of parameter groups
        Those with dense gradients take Adam's steps.
    lr : float >= 0, default 1e-3
    betas : pair of floats in [0, 1), default (0.9, 0.999)
    eps : float > 0, default 1e-8
    weight_decay : float >= 0, default 0
        For dense gradients only.
    lazy : bool, default False
        Rows that are not looked up have neither decay of their means nor a step: the cost is that of the named rows, and the
        path another one. The correction of the start-up bias counts all steps, as in torch.
    epsilon_hat : bool, default True
        Epsilon beside the uncorrected root, as TensorFlow's Adam and ``torch.optim.SparseAdam`` have it; False: as
        :class:`~fivefold.optimizers.Adam` by default.
    decoupled_weight_decay : bool, default False
    maximize : bool, default False

    Raises
    ------
    InputError
        When a hyperparameter is out of range, weights are to decay under a sparse gradient, or a gradient is sparse in more
        than its rows.

    Notes
    -----
    The dense-equivalent form lets the mean move rows long after they were looked up, and so passes over the whole table.

    References
    ----------
    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015; 01#adam-sparse.
    """

    by_rows = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        lazy: bool = False,
        epsilon_hat: bool = True,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults = hyperparameters(locals())
        AdamFamily.__init__(self, params, defaults)  # Adam's own would not know `lazy`

    def _rows(self, group: dict[str, Any], p: Tensor, grad: Tensor) -> None:
        if group["lazy"]:
            super()._rows(group, p, grad)
            return
        self._check_rows(group, grad)
        state = self._states(group, [p])[0]
        index, values = grad.indices()[0], grad.values()  # (k,), (k, *row)
        if group["maximize"]:
            values = -values
        (beta1, beta2), mean, square = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        mean.mul_(beta1).index_add_(0, index, values, alpha=1 - beta1)
        square.mul_(beta2).index_add_(0, index, values * values, alpha=1 - beta2)
        size = self._sizes(group, state, float(state["step"]))
        p.addcdiv_(mean, square.sqrt().div_(size.root).add_(size.eps), value=-size.mean)
