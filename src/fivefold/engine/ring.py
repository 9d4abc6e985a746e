"""Ring all-reduce: every worker talks to its two neighbors only, and all end with the same sum."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from fivefold.base.errors import InputError


@dataclass(frozen=True)
class Traffic:
    """What an all-reduce sent.

    Parameters
    ----------
    steps : int
        Rounds in which every worker sends one chunk and receives one: 2 (N - 1).
    sent_bytes : tuple of int
        Bytes that each worker sent, in the order of the ranks; of a real process, its own alone.
    """

    steps: int
    sent_bytes: tuple[int, ...]


def _worker(rank: int, size: int, flat: Tensor) -> Generator[tuple[Tensor, Tensor], Tensor, None]:
    """Play one worker: yield the chunk for the right neighbor and one like what is awaited from the left; sum in place."""
    chunks = torch.tensor_split(flat, size)  # sizes differ by one at most; some are empty when there are few elements
    # Reduce-scatter: the sum of chunk c travels c, c + 1, ..., c - 1, and every worker on the way adds its own.
    for step in range(size - 1):
        mine = chunks[(rank - step - 1) % size]
        received = yield chunks[(rank - step) % size], mine
        mine += received
    # All-gather: worker r now holds the whole sum of chunk r + 1; the finished chunks go around once more.
    for step in range(size - 1):
        mine = chunks[(rank - step) % size]
        received = yield chunks[(rank + 1 - step) % size], mine
        mine.copy_(received)


def _bytes(chunk: Tensor) -> int:
    return chunk.numel() * chunk.element_size()


def _check(tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype == torch.bool:
        got = f"a tensor of {tensor.dtype}" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        raise InputError(f"An all-reduce sums tensors of numbers, got {got}; convert it with torch.as_tensor(...).")


def ring_allreduce(tensors: Sequence[Tensor]) -> tuple[list[Tensor], Traffic]:
    r"""Sum the tensors of N simulated workers by a ring, in one process.

    .. math:: y^{(r)} = \sum_{k=1}^{N} x^{(k)} \text{ on every worker } r

    The n elements are cut into N chunks. In N - 1 steps of reduce-scatter each worker sends a chunk to the right and adds the
    one from the left; in N - 1 steps of all-gather the finished chunks are passed on. Each worker sends
    :math:`2 (N - 1) / N \cdot n` elements, however many workers there are.

    Parameters
    ----------
    tensors : sequence of N >= 1 tensors of one shape and one format
        What each worker holds; they stay as they are.

    Returns
    -------
    sums : list of N tensors
        Bit for bit the same on every worker.
    traffic : Traffic

    Raises
    ------
    InputError
        For no workers, tensors of different shapes or formats, and booleans.

    Notes
    -----
    The order of summation differs from chunk to chunk, so the last digits may differ from those of ``sum(tensors)``.

    References
    ----------
    Patarasuk & Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009; Sergeev & Del Balso,
    "Horovod", 2018; 04#horovod.
    """
    if not len(tensors):
        raise InputError("A ring needs at least one worker, got no tensors.")
    for tensor in tensors:
        _check(tensor)
    kinds = {(tuple(t.shape), t.dtype) for t in tensors}
    listed = ", ".join(sorted(f"{shape} of {dtype}" for shape, dtype in kinds))
    if len(kinds) > 1:
        raise InputError(f"All workers of a ring need tensors of one shape and format, got {listed}.")
    size = len(tensors)
    sums = [t.detach().clone(memory_format=torch.contiguous_format) for t in tensors]
    workers = [_worker(rank, size, total.view(-1)) for rank, total in enumerate(sums)]
    sent = [0] * size
    steps = 2 * (size - 1)
    if size > 1:
        outgoing = [next(worker) for worker in workers]
        for _ in range(steps):
            chunks = [chunk for chunk, _ in outgoing]
            sent = [before + _bytes(chunk) for before, chunk in zip(sent, chunks, strict=True)]
            # Within a step no worker changes the chunk that it sends, so views may be handed over.
            outgoing = [_pass(worker, chunks[rank - 1]) for rank, worker in enumerate(workers)]
    return sums, Traffic(steps, tuple(sent))


def _pass(worker: Generator[tuple[Tensor, Tensor], Tensor, None], received: Tensor) -> tuple[Tensor, Tensor]:
    try:
        return worker.send(received)
    except StopIteration:
        return received[:0], received[:0]


def ring_allreduce_(tensor: Tensor) -> Traffic:
    """Replace a tensor by its sum over all joined processes, by messages between neighbors.

    Parameters
    ----------
    tensor : Tensor
        Of the same shape and format in every process.

    Returns
    -------
    Traffic
        Steps, and the bytes that this process sent; alone, or without a process group, nothing is sent.

    Raises
    ------
    InputError
        For booleans.

    Notes
    -----
    For showing how it works: in training the engine calls ``torch.distributed.all_reduce``, whose back ends (gloo, NCCL) run
    rings and trees of their own.

    References
    ----------
    As of :func:`ring_allreduce`.
    """
    _check(tensor)
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return Traffic(0, (0,))
    rank, size = dist.get_rank(), dist.get_world_size()
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    worker = _worker(rank, size, total.view(-1))
    steps, sent = 0, 0
    chunk, like = next(worker)
    while True:
        steps, sent = steps + 1, sent + _bytes(chunk)
        received = torch.empty_like(like)
        # An empty chunk is no message; both neighbors know its size.
        going = dist.isend(chunk, (rank + 1) % size) if chunk.numel() else None
        coming = dist.irecv(received, (rank - 1) % size) if received.numel() else None
        for message in (going, coming):
            if message is not None:
                message.wait()
        try:
            chunk, like = worker.send(received)
        except StopIteration:
            break
    with torch.no_grad():
        tensor.copy_(total)
    return Traffic(steps, (sent,))
