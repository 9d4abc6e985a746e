"""Data parallel training over torch.distributed: the engine reduces gradients itself, the learner is never wrapped.

Each rank takes its contiguous rows of every global batch. Its loss is a mean over its rows, so multiplied by its share of
the rows and summed over ranks it is the mean over the global batch, and so are its gradients.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import Parameter

from fivefold.base.errors import InputError

BUCKET_ELEMENTS = 8 * 2**20
"""Elements of a flat bucket: large enough to use the wire, small enough to overlap copying with sending."""


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.rank == 0


def join(device_type: str, devices: int = 1) -> World:
    """Join the processes that torchrun started, or that the caller has already joined; alone otherwise.

    Raises
    ------
    InputError
        When several devices are wanted but this process was not started as one of them.
    """
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started > 1 and "RANK" in os.environ:
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
        atexit.register(leave)
        return World(dist.get_rank(), dist.get_world_size())
    if devices > 1:
        raise InputError(
            f"{devices} devices need {devices} processes, but this is a single one; "
            f"start it with `fivefold run ... --devices {devices}` or torchrun."
        )
    return World()


def leave() -> None:
    """Leave the process group, if one is joined."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def launch_command(arguments: Sequence[str], devices: int, num_nodes: int = 1) -> list[str]:
    """Return the torchrun command that starts ``arguments`` (a module and its arguments) on ``devices`` processes a node."""
    where = ["--standalone"] if num_nodes == 1 else [f"--nnodes={num_nodes}"]
    return [sys.executable, "-m", "torch.distributed.run", *where, f"--nproc-per-node={devices}", "-m", *arguments]


def broadcast(module: nn.Module, world: World, *, buffers_only: bool = False) -> None:
    """Give every rank the parameters and buffers of the first."""
    if world.size == 1:
        return
    with torch.no_grad():
        tensors: list[Tensor] = list(module.buffers())
        if not buffers_only:
            tensors += list(module.parameters())
        for tensor in tensors:
            dist.broadcast(tensor.data, src=0)


def gather(value: Any, world: World) -> list[Any]:
    """Return the value of every rank, in order, on every rank."""
    if world.size == 1:
        return [value]
    values: list[Any] = [None] * world.size
    dist.all_gather_object(values, value)
    return values


def global_weight(weight: Tensor, rows: int, global_rows: int) -> Tensor:
    """Return the divisor that makes this rank's weighted sum its share of the weighted mean over the global batch.

    The engine multiplies each rank's loss by ``rows / global_rows``; a weighted mean must therefore be divided by the sum of
    weights over all ranks times that factor.
    """
    total = weight.sum()
    if dist.is_available() and dist.is_initialized():  # on every rank, also one that holds no row or all of them
        total = total.detach().clone()
        dist.all_reduce(total)
        total = total * (rows / global_rows)
    # A batch in which every weight is zero teaches nothing, instead of 0 / 0.
    return total.clamp_min(torch.finfo(total.dtype).tiny)


@dataclass
class _Bucket:
    params: list[Parameter]
    flat: Tensor  # gradients, then one flag a parameter, then the loss and the stop flag
    views: list[Tensor]
    flags: Tensor  # (number of parameters,)
    tail: Tensor  # (2,): loss, stop


class Reducer:
    """Sums the gradients of one part over all ranks, in flat buckets sent while the next one is filled.

    A flag for each parameter travels with its gradient: a parameter without a gradient on any rank keeps none, so optimizers
    skip it as they would in one process.
    """

    def __init__(self, params: Iterable[Parameter], bucket_elements: int = BUCKET_ELEMENTS) -> None:
        groups: dict[tuple[torch.dtype, torch.device], list[list[Parameter]]] = {}
        for p in params:
            lists = groups.setdefault((p.dtype, p.device), [[]])
            if lists[-1] and sum(q.numel() for q in lists[-1]) + p.numel() > bucket_elements:
                lists.append([])
            lists[-1].append(p)
        self.buckets = [self._bucket(chosen) for lists in groups.values() for chosen in lists]

    @staticmethod
    def _bucket(params: list[Parameter]) -> _Bucket:
        sizes = [p.numel() for p in params]
        flat = torch.zeros(sum(sizes) + len(params) + 2, dtype=params[0].dtype, device=params[0].device)
        *parts, flags, tail = torch.split(flat, [*sizes, len(params), 2])
        return _Bucket(params, flat, [v.view_as(p) for v, p in zip(parts, params, strict=True)], flags, tail)

    def reduce(self, loss: Tensor | float, stop: bool) -> tuple[Tensor, Tensor]:
        """Replace each gradient by its sum over ranks; return the summed loss and the number of ranks that want to stop."""
        pending = []
        for bucket in self.buckets:
            for p, view in zip(bucket.params, bucket.views, strict=True):
                if p.grad is None:
                    view.zero_()
                else:
                    view.copy_(p.grad)
            bucket.flags.copy_(torch.tensor([float(p.grad is not None) for p in bucket.params]))
            bucket.tail[0] = loss
            bucket.tail[1] = float(stop)
            pending.append(dist.all_reduce(bucket.flat, async_op=True))
        for bucket, work in zip(self.buckets, pending, strict=True):
            work.wait()
            lacking = any(p.grad is None for p in bucket.params)
            present = bucket.flags.tolist() if lacking else [1.0] * len(bucket.params)
            for p, view, flag in zip(bucket.params, bucket.views, present, strict=True):
                if p.grad is not None:
                    p.grad.copy_(view)
                elif flag > 0:
                    p.grad = view.clone()
        tail = self.buckets[0].tail.clone()
        return tail[0], tail[1]
