"""Data parallelism in one process: replicas of a module, each with its shard of the batch, whose gradients are summed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError

from .ring import Traffic, ring_allreduce


@dataclass(frozen=True)
class ReplicaGradients:
    """What the replicas computed together.

    Parameters
    ----------
    loss : float
        Mean loss over the rows of the whole batch.
    gradients : dict name -> Tensor
        Of that loss; the same on every replica.
    rows : tuple of int
        Rows of each replica's shard.
    traffic : Traffic
        Of the all-reduce.
    """

    loss: float
    gradients: dict[str, Tensor]
    rows: tuple[int, ...]
    traffic: Traffic


def data_parallel_gradients(
    module: nn.Module, objective: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, replicas: int
) -> ReplicaGradients:
    r"""Split a batch over simulated replicas and return the gradient of its mean loss.

    .. math:: \nabla L = \sum_{r=1}^{R} \frac{n_r}{n} \nabla L_r, \quad L_r = \frac{1}{n_r} \sum_{i \in r} \ell_i

    Parameters
    ----------
    module : nn.Module
        Copied once a replica; itself left as it is.
    objective : callable (prediction, target) -> mean loss, or one loss a row
    x, y : tensors (n, ...) with n >= 1
        The batch; each replica takes the contiguous rows that the engine gives a process of that rank.
    replicas : int >= 1
        R; more than there are rows leaves some without a row, whose gradient is zero.

    Returns
    -------
    ReplicaGradients

    Raises
    ------
    InputError
        For no replicas, no rows, or x and y of different length.

    Notes
    -----
    The plain average over replicas, as ``torch.nn.parallel.DistributedDataParallel`` takes it, weighs every row alike only when
    all shards have the same size; an uneven last batch then counts wrongly. Layers that mix rows (batch normalization) see
    their shard alone. In training over processes :class:`fivefold.engine.trainer.Trainer` does the same through
    ``torch.distributed``.

    References
    ----------
    04#tf-multi-gpu, 04#torch-distributed, 04#multi-device-network-setup.
    """
    check_count("replicas", replicas)
    total = len(x)
    if total == 0 or len(y) != total:
        raise InputError(f"A batch needs rows, as many in x as in y; got {total} and {len(y)}.")
    edges = [total * rank // replicas for rank in range(replicas + 1)]
    shards = [slice(low, high) for low, high in zip(edges[:-1], edges[1:])]
    flats = [_shard_gradient(copy.deepcopy(module), objective, x[shard], y[shard], total) for shard in shards]
    sums, traffic = ring_allreduce(flats)
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    *parts, loss = torch.split(sums[0], [*(p.numel() for _, p in named), 1])
    gradients = {name: part.view_as(p).to(p.dtype) for (name, p), part in zip(named, parts, strict=True)}
    return ReplicaGradients(float(loss), gradients, tuple(s.stop - s.start for s in shards), traffic)


def _shard_gradient(
    replica: nn.Module, objective: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, total: int
) -> Tensor:
    """Return this shard's share of the gradient, flat, with its share of the loss behind."""
    params = [p for p in replica.parameters() if p.requires_grad]
    if not len(x):
        return torch.zeros(sum(p.numel() for p in params) + 1, dtype=params[0].dtype, device=params[0].device)
    loss = objective(replica(x), y).mean() * (len(x) / total)
    grads = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
    return torch.cat([*(g.reshape(-1) for g in grads), loss.detach().reshape(1)])
