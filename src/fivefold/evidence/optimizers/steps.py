"""Evidence for the compiled step of all optimizers: its cut among threads, its types and its fallback; limits."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fivefold.base.errors import InputError
from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient import _sweep
from fivefold.optimizers.gradient.accumulators import FTRL, Adadelta, Adagrad, RMSprop
from fivefold.optimizers.gradient.adabound import AdaBound
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.adam_variants import Adamax, AMSGrad, NAdam, RAdam, Yogi
from fivefold.optimizers.gradient.descent import SGD, Nesterov
from fivefold.optimizers.gradient.momentum import Momentum

SWEPT: list[tuple[Any, dict[str, Any]]] = [
    (Adam, {}),
    (AMSGrad, {}),
    (Adamax, {}),
    (NAdam, {}),
    (RAdam, {}),
    (Yogi, {}),
    (AdaBound, {}),
    (SGD, {"weight_decay": 0.1}),
    (Momentum, {}),
    (Nesterov, {}),
    (Adagrad, {}),
    (RMSprop, {"momentum": 0.5, "centered": True}),
    (Adadelta, {}),
    (FTRL, {}),
]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _parts(sizes: list[int], threads: int) -> tuple[list[list[tuple[int, ...]]], list[list[tuple[int, ...]]]]:
    """Return the parts that a step of tensors of these sizes is cut into and those of brute force, as rows of the kernel."""
    slots = [[torch.zeros(n) for n in sizes] for _ in range(2)]
    numbers = np.arange(len(sizes), dtype=np.float32)[:, None]
    meeting, found = threading.Barrier(threads), []
    met: set[int] = set()

    def kernel(table: np.ndarray, own: np.ndarray) -> None:
        if sum(sizes) >= _sweep.SHARED_FROM and threading.get_ident() not in met:
            met.add(threading.get_ident())
            meeting.wait(20)  # passes only when every thread has a part under way
        found.append([(*map(int, row), int(n[0])) for row, n in zip(table, own, strict=True)])

    with _threads(threads):
        _sweep.sweep(kernel, slots, numbers)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.arange(n) for n in sizes])
    share = len(owner) if threads == 1 or len(owner) < _sweep.SHARED_FROM else -(-len(owner) // (4 * threads))
    expected = []
    for low in range(0, len(owner), share):
        rows = []
        for i in dict.fromkeys(owner[low : low + share].tolist()):
            inside = place[low : low + share][owner[low : low + share] == i]
            starts = (slot[i].data_ptr() + 4 * int(inside[0]) for slot in slots)
            rows.append((len(inside), *starts, i))
        expected.append(rows)
    return sorted(found), sorted(expected)


@evidence("adam", claim="A step is cut evenly among torch's threads, which work at once", against="brute force")
def step_is_cut_evenly() -> Check:
    full = _sweep.SHARED_FROM
    wrong = 0
    for sizes in (
        [full],
        [1, full - 2, 3],
        [full // 2, full // 2],
        [7, full // 3, full // 3, full // 3],
        [5, full + 1],
    ):
        for threads in (1, 2, 3):
            found, expected = _parts(sizes, threads)
            wrong += found != expected
    found, expected = _parts([full - 1], 2)
    wrong += found != expected or len(found) != 1
    misses = _sweep._pool.cache_info().misses
    _sweep._pool(os.getpid(), 2), _sweep._pool(os.getpid(), 1)
    wrong += _sweep._pool.cache_info().misses != misses  # one pool for each number of threads, less the caller's
    return Check(wrong, 0, "steps cut otherwise", "brute force")


@evidence(
    "adam",
    claim="Two and three threads take the steps of one, to the bit, in every method",
    against="one thread",
    slow=True,
)
def step_threads() -> Check:
    generator = torch.Generator().manual_seed(0)
    shapes = ((3,), (1,), (211, 311), (0,), (5,), (257, 257))  # 131679 elements, cut inside tensors and not on rows
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    grads = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(2)]

    def end(make: Any, options: dict[str, Any], threads: int) -> torch.Tensor:
        params = [p.clone().requires_grad_() for p in starts]
        optimizer = make(params, **options)
        with _threads(threads):
            for row in grads:
                for p, g in zip(params, row, strict=True):
                    p.grad = g.clone()
                optimizer.step()
        return torch.cat([p.detach().reshape(-1) for p in params])

    wrong = 0
    still = torch.cat([p.reshape(-1) for p in starts])
    for make, options in SWEPT:
        one = end(make, options, 1)
        wrong += int(not (one == still).double().mean() <= 0.01) + sum(
            not torch.equal(end(make, options, n), one) for n in (2, 3)
        )
    return Check(wrong, 0, "methods whose paths differ", "one thread")


@evidence(
    "adam",
    claim="One group may hold all types and layouts: each steps as torch's Adam does, contiguous floats by the kernel",
    against="torch.optim.Adam",
)
def step_types() -> Check:
    def params() -> list[torch.Tensor]:
        base = torch.linspace(-1, 1, 12)
        plain = [base.clone(), base.double(), base.bfloat16(), base.reshape(3, 4).clone().T, base.reshape(3, 4)[:, ::2]]
        return [p.requires_grad_() for p in plain] + [torch.linspace(0, 1, 12).reshape(3, 4).requires_grad_()]

    def end(make: Any, ours: list[torch.Tensor]) -> list[torch.Tensor]:
        optimizer = make(ours)
        for step in range(1, 6):
            for i, p in enumerate(ours):
                g = torch.sin(torch.arange(p.numel()) * step + i).reshape(p.shape).to(p.dtype)
                p.grad = g.T.contiguous().T if i == 5 else g  # contiguous, with a gradient that is not
            optimizer.step()
        return [p.detach().double() for p in ours]

    options = {"lr": 0.1, "weight_decay": 0.1}
    ours = end(lambda p: Adam(p, **options), params())
    theirs = end(lambda p: torch.optim.Adam(p, **options, foreach=False), params())
    # Five steps near one: roundings of 6e-8 in float32, of 4e-3 in bfloat16, 1e-16 in float64.
    worst = 0.0
    for a, b, bound in zip(ours, theirs, (1e-6, 1e-14, 0.05, 1e-6, 1e-6, 1e-6), strict=True):
        gap = float((a - b).abs().max())
        worst = largest(worst, gap / bound if np.isfinite(gap) else np.inf)

    class KernelOnly(Adam):
        def _listed(self, *_: Any) -> None:
            raise InputError("the form of lists")

    end(KernelOnly, params()[:2])  # raises when a contiguous float32 or float64 takes the other form
    return Check(worst, 1.0, "difference over its bound", "torch.optim.Adam")


@evidence("momentum", claim="It goes on from a state of torch's SGD along torch's path", against="torch.optim.SGD")
def momentum_from_torch() -> Check:
    gap = 0.0
    for ours, nesterov in (
        (lambda p: Momentum(p, 0.05, 0.8, "torch"), False),
        (lambda p: Nesterov(p, 0.05, 0.8), True),
    ):
        ends = []
        for change in (False, True):
            p = torch.linspace(-1, 1, 7, dtype=torch.float64).requires_grad_()
            q = torch.ones(2, dtype=torch.float64, requires_grad=True)  # joins after the change, without any state
            optimizer: Any = torch.optim.SGD([p, q], lr=0.05, momentum=0.8, nesterov=nesterov)
            for step in range(40):
                if step == 20 and change:
                    state = optimizer.state_dict()
                    optimizer = ours([p, q])
                    optimizer.load_state_dict(state)
                p.grad = (p.detach() - 0.3) * torch.arange(1, 8)
                q.grad = q.detach().clone() if step >= 25 else None
                optimizer.step()
            ends.append(torch.cat([p.detach(), q.detach()]))
        gap = largest(gap, float((ends[0] - ends[1]).abs().max()))
    return Check(gap, 1e-13, "max |parameter difference|", "torch.optim.SGD")
