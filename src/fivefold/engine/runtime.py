"""Device, precision, random state and signals around a fit."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from fivefold.base.errors import CapabilityError, InputError
from fivefold.base.random import Streams

PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")


def _place(device: str) -> tuple[str, str, str]:
    """Return kind and number of a device that is here, and what had to be given up."""
    kind, colon, index = device.partition(":")
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda", "", ""
        return "cpu", "", "device='auto': torch sees no CUDA device here, so everything is computed on the CPU."
    if kind not in ("cpu", "cuda") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise InputError(f"Unknown device {device!r}; accepted are cpu, cuda, cuda:<number> and auto.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"The device {device} was asked for, but torch sees no CUDA device here; use device='cpu', or 'auto'."
        )
    if index and int(index) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(
            f"The device {device} was asked for, but torch sees {count} CUDA device{'s' * (count > 1)} here, numbered from 0; "
            f"use cuda:{count - 1} or a smaller number."
        )
    return kind, index, ""


class Runtime:
    """Where and in which number format a fit computes; Lightning Fabric supplies both.

    Parameters
    ----------
    device : str
        "cpu", "cuda", "cuda:1" or "auto".
    precision : str or Fabric precision plugin
        One of :data:`PRECISIONS`.

    Attributes
    ----------
    device : torch.device
        Where the fit computes.
    message : str
        What "auto" fell back to and why; empty when nothing had to be given up.

    Raises
    ------
    InputError, CapabilityError
        When the device is not there, or cannot compute in that precision.
    """

    def __init__(self, device: str = "cpu", precision: Any = "32-true") -> None:
        if isinstance(precision, str) and precision not in PRECISIONS:
            raise InputError(f"Unknown precision {precision!r}; accepted are {', '.join(PRECISIONS)}.")
        kind, index, self.message = _place(str(device))
        if self.message:
            logging.getLogger("fivefold.engine").info(self.message)
        if kind == "cpu" and precision == "16-mixed":
            raise CapabilityError("16-mixed needs a CUDA device; on a CPU use precision='bf16-mixed' or '32-true'.")
        self.plugin: Any = None
        if kind == "cpu" and precision == "32-true":
            self.device = torch.device("cpu")  # nothing to supply, and importing Fabric takes a second
        else:
            self._open_fabric(kind, index, precision)
        name = precision if isinstance(precision, str) else getattr(precision, "precision", "32-true")
        self.dtype = {"64-true": torch.float64, "bf16-true": torch.bfloat16, "16-true": torch.float16}.get(name)
        self.moves = self.device.type != "cpu" or self.dtype is not None

    def _open_fabric(self, kind: str, index: str, precision: Any) -> None:
        from lightning_fabric import Fabric

        number = int(index) if index else int(os.environ.get("LOCAL_RANK", "0"))
        settings: dict[str, Any] = {"precision": precision} if isinstance(precision, str) else {"plugins": [precision]}
        # One device: the engine itself joins the processes, so Fabric must not look for others.
        fabric = Fabric(accelerator=kind, devices=1 if kind == "cpu" else [number], strategy="auto", **settings)
        self.device = fabric.device
        plugin = fabric.strategy.precision
        self.plugin = plugin if type(plugin).__name__ != "Precision" else None

    def prepare(self, module: torch.nn.Module) -> None:
        """Move a module to the device and give it the number format."""
        if self.plugin is not None:
            self.plugin.convert_module(module)
        module.to(self.device)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which losses are computed."""
        return contextlib.nullcontext() if self.plugin is None else self.plugin.forward_context()

    def new_scaler(self) -> torch.amp.GradScaler | None:
        """Return a loss scaler for one part, where the precision needs one."""
        like = getattr(self.plugin, "scaler", None)
        if like is None:
            return None
        # Each part steps at its own moments, so each follows its own overflows.
        return torch.amp.GradScaler(
            device=self.device.type,
            init_scale=like.get_scale(),
            growth_factor=like.get_growth_factor(),
            backoff_factor=like.get_backoff_factor(),
            growth_interval=like.get_growth_interval(),
        )

    def seed(self, streams: Streams, name: str, *counters: int) -> None:
        """Seed torch's global generators, from which dropout and the like draw, for one batch."""
        value = streams.integer(name, *counters)
        torch.default_generator.manual_seed(value)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(value)


@contextlib.contextmanager
def preserved_random_state(device: torch.device | None = None) -> Iterator[None]:
    """Put torch's global random state back as it was when the block ends."""
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device is not None and device.type == "cuda" else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)  # type: ignore[arg-type]


@contextlib.contextmanager
def seeded(streams: Streams, name: str, *counters: int) -> Iterator[None]:
    """Run a block, such as the building of a module, under a named stream; the caller's random state is put back."""
    with preserved_random_state():
        torch.default_generator.manual_seed(streams.integer(name, *counters))
        yield


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by a signal after everything had been saved; the message says how to go on."""


class Interrupts:
    """Turns the first Ctrl-C (or SIGTERM) into a request that the loop answers between batches; the second ends at once."""

    def __init__(self, active: bool) -> None:
        # Python delivers signals to the main thread only.
        self.active = active and threading.current_thread() is threading.main_thread()
        self.wanted = ""
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.wanted = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __enter__(self) -> Interrupts:
        if self.active:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
