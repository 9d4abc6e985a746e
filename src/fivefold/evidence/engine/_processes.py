"""Several real gloo processes for the evidence of the engine."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import torch

from fivefold.engine.distribution import leave


def _run(function: Callable[[int], Any], rank: int, size: int, port: int, results: Any) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(size),
        GLOO_SOCKET_IFNAME="lo",
    )
    results.put((rank, function(rank)))
    leave()


def together(function: Callable[[int], Any], size: int) -> dict[int, Any]:
    """Return what ``function(rank)`` returns in each of ``size`` processes; it must join them itself."""
    # Forked children need not import torch again; they use one thread each, so no pool of threads is carried over.
    context: Any = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = context.Queue()
    processes = [
        context.Process(target=_run, args=(function, rank, size, port, results), daemon=True) for rank in range(size)
    ]
    for process in processes:
        process.start()
    try:
        return dict(results.get(timeout=60) for _ in processes)
    finally:
        for process in processes:
            process.join(timeout=5)
            process.kill()
