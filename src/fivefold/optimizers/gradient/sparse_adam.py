"""Adam for tables of embeddings: sparse gradients with the path of dense ones, or steps of the looked-up rows alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.base.jit import njit

from ._base import hyperparameters
from ._fused import AdamFamily
from ._sweep import PARTS, SHARED_FROM, WIDTHS, alike, each
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
        size = self._sizes(group, state, float(state["step"]))
        tensors = [p, mean, square]
        if alike(tensors) and values.is_contiguous() and values.dtype == p.dtype:
            numbers = (1 - beta1, beta2, 1 - beta2, size.mean, 1 / size.root, size.eps)
            _sweep_table(tensors, index, values, np.array(numbers, dtype=WIDTHS[p.dtype]))
            torch.autograd.graph.increment_version(tensors)
            return
        mean.mul_(beta1).index_add_(0, index, values, alpha=1 - beta1)
        square.mul_(beta2).index_add_(0, index, values * values, alpha=1 - beta2)
        p.addcdiv_(mean, square.sqrt().div_(size.root).add_(size.eps), value=-size.mean)


@njit(error_model="numpy", fastmath={"contract"})
def _part_of_table(p, mean, square, index, values, numbers, first, last):  # type: ignore[no-untyped-def]
    """Step the rows ``first`` to ``last`` of p (rows, width): those in ``index`` (k,) with a gradient, the others without."""
    rest1, b2, rest2, a, r, eps = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    width = p.shape[1]
    flat_p, flat_m, flat_v = p.reshape(-1), mean.reshape(-1), square.reshape(-1)
    at, k = first, np.searchsorted(index, first)
    while at < last:
        stop = min(index[k], last) if k < len(index) else last
        # Slices, whose index starts at 0: the compiler then sees that it never counts from the end, and vectorizes.
        low, high = at * width, stop * width
        some_p, some_m, some_v = flat_p[low:high], flat_m[low:high], flat_v[low:high]
        for i in range(some_p.size):
            m = some_m[i] - rest1 * some_m[i]
            s = b2 * some_v[i]
            some_m[i] = m
            some_v[i] = s
            some_p[i] -= a * m / (np.sqrt(s) * r + eps)
        if stop < last:
            for j in range(width):
                g = values[k, j]
                m = mean[stop, j] + rest1 * (g - mean[stop, j])
                s = b2 * square[stop, j] + rest2 * (g * g)
                mean[stop, j], square[stop, j] = m, s
                p[stop, j] -= a * m / (np.sqrt(s) * r + eps)
            k += 1
        at = stop + 1


def _sweep_table(tensors: list[Tensor], index: Tensor, values: Tensor, numbers: np.ndarray) -> None:
    """Pass over the whole table once, on torch's number of threads."""
    rows, threads = len(tensors[0]), torch.get_num_threads()
    arrays = [t.detach().numpy().reshape(rows, -1) for t in tensors]
    rest = (index.numpy(), values.numpy().reshape(len(values), -1), numbers)
    count = PARTS * threads if threads > 1 and tensors[0].numel() >= SHARED_FROM else 1
    bounds = np.linspace(0, rows, count + 1).astype(np.int64)
    each(_part_of_table, [(*arrays, *rest, a, b) for a, b in zip(bounds[:-1], bounds[1:])], threads if count > 1 else 1)
