"""Evidence of training over several workers and of the placement on devices."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import torch
from torch import nn

from fivefold.base.errors import InputError
from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.runtime import Runtime
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._processes import together
from ._toys import ADAM, network, table

ROWS, SIZE, EPOCHS = 61, 10, 4
"""The last batch of an epoch has one row: one of two workers has none of it."""


class _Seen(Callback):
    """Notes which rows this worker trains on, by epoch and batch."""

    first_rank_only = False

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, list[int]]] = []

    def on_batch_start(self, fit: Any, batch: Batch) -> None:
        self.rows.append((fit.epoch, fit.batch, batch.index.tolist()))


def _train(devices: int) -> tuple[dict[str, Any], list[float], list[tuple[int, int, list[int]]]]:
    x, y = table(ROWS)
    seen = _Seen()
    learner = SupervisedLearner(network(), nn.functional.mse_loss)
    with session(None, progress=False, devices=devices):
        history = Trainer(max_epochs=EPOCHS, parts=ADAM, callbacks=[seen]).fit(
            learner, Batches({"x": x, "y": y}, SIZE, seed=4, index=True)
        )
    return {k: v.numpy().copy() for k, v in learner.state_dict().items()}, list(history["loss"]), seen.rows


def _worker(rank: int) -> Any:
    return _train(2)


@functools.cache
def _both() -> tuple[Any, dict[int, Any]]:
    """Return what one process and what each of two workers trained."""
    return _train(1), together(_worker, 2)


@evidence(
    "multi-worker", claim="Two gloo processes reach the weights and losses of one", against="one process, float64"
)
def same_weights() -> Check:
    (weights, losses, _), ranks = _both()
    worst = 0.0
    for rank in (0, 1):
        other, their_losses, _ = ranks[rank]
        worst = largest(worst, *(float(abs(value - other[key]).max()) for key, value in weights.items()))
        worst = largest(worst, *(abs(a - b) for a, b in zip(losses, their_losses, strict=True)))
    start = network().state_dict()
    moved = max(float(abs(value - start[key[7:]].numpy()).max()) for key, value in weights.items())
    worst += not moved >= 0.01  # the control: something was learned
    return Check(worst, 1e-9, "max |difference|", "one process")


@evidence(
    "multi-worker",
    claim="Each row is seen by one worker once an epoch, also of the uneven last batch",
    against="counting",
)
def each_row_once() -> Check:
    (_, _, rows), ranks = _both()
    wrong = 0
    for epoch in range(EPOCHS):
        counts = Counter(i for rank in (0, 1) for e, _, indices in ranks[rank][2] if e == epoch for i in indices)
        wrong += counts != Counter(range(ROWS))
    # Batch by batch the two shares, one behind the other, are the batch of one process.
    for alone, first, second in zip(rows, ranks[0][2], ranks[1][2], strict=True):
        wrong += alone != (first[0], first[1], first[2] + second[2])
        wrong += not abs(len(first[2]) - len(second[2])) <= 1
    wrong += not any(len(first[2]) == 0 for first in ranks[0][2])
    return Check(wrong, 0, "wrong batches", "counting")


def _single(device: str) -> list[float]:
    x, y = table(100)
    learner = SupervisedLearner(network().float(), nn.functional.mse_loss)
    batches = Batches({"x": x.float(), "y": y.float()}, 32, seed=2)
    history = Trainer(max_epochs=3, parts=ADAM, device=device).fit(learner, batches)
    return list(history["loss"])


def _refusal(device: str) -> str:
    try:
        Runtime(device)
    except InputError as error:
        return str(error)
    return ""


class _Pretend:
    """Lets torch see a number of CUDA devices for a while."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> None:
        self.before = torch.cuda.is_available, torch.cuda.device_count
        torch.cuda.is_available, torch.cuda.device_count = lambda: self.count > 0, lambda: self.count  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        torch.cuda.is_available, torch.cuda.device_count = self.before  # type: ignore[assignment]


@evidence(
    "multi-device-placement",
    claim="Where no GPU is, auto falls back with a message and an explicit one is refused",
    against="written out",
)
def without_a_gpu() -> Check:
    with _Pretend(0):
        auto, cpu = Runtime("auto"), Runtime("cpu")
        wrong = auto.device.type != "cpu" or cpu.device.type != "cpu"
        wrong += auto.message != "device='auto': torch sees no CUDA device here, so everything is computed on the CPU."
        wrong += cpu.message != ""
        for device in ("cuda", "cuda:0", "cuda:3"):
            wrong += _refusal(device) != (
                f"The device {device} was asked for, but torch sees no CUDA device here; use device='cpu', or 'auto'."
            )
    return Check(wrong, 0, "wrong answers", "written out")


@evidence(
    "multi-device-placement",
    claim="A number beyond the GPUs that are here, and a misspelled device, are refused",
    against="written out",
)
def numbers_of_gpus() -> Check:
    wrong = 0
    for count, device, text in (
        (1, "cuda:1", "sees 1 CUDA device here, numbered from 0; use cuda:0"),
        (4, "cuda:4", "sees 4 CUDA devices here, numbered from 0; use cuda:3"),
    ):
        with _Pretend(count):
            wrong += text not in _refusal(device)
    for device in ("cuda:", "cuda:x", "cuda:-1", "cpu:0", "gpu", "auto:1", ""):
        wrong += not _refusal(device).startswith(
            f"Unknown device {device!r}; accepted are cpu, cuda, cuda:<number> and auto"
        )
    return Check(wrong, 0, "wrong answers", "written out")


@evidence(
    "multi-device-placement",
    claim="The same script gives the same losses on the CPU and on the best device here",
    against="the CPU, float32",
)
def same_script() -> Check:
    cpu, best = _single("cpu"), _single("auto")
    worst = largest(abs(a - b) / abs(a) for a, b in zip(cpu, best, strict=True))
    falling = cpu[-1] < cpu[0]
    # Without a GPU both are the CPU and must agree to the bit; with one, sums are taken in another order.
    return Check(worst + (not falling), 1e-4 if torch.cuda.is_available() else 0.0, "relative difference", "CPU")
