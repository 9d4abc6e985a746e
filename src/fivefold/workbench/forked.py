"""Inside a worker: its messages to the server, its limit of memory, and the call that it is there for."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from fivefold.base.cards import load_path
from fivefold.base.errors import FivefoldError, InputTypeError

_SET_DEATH_SIGNAL = 1  # prctl's number


def encode(message: dict[str, Any], what: str) -> bytes:
    """Return a message as one line of JSON, or say that ``what`` cannot be one."""
    try:
        return json.dumps(message).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InputTypeError(
            f"{what} must be plain JSON (text, numbers, lists, dicts with text as keys): {error}."
        ) from error


class Lines:
    """Cuts a stream of bytes into lines, whatever the pieces are in which it arrives."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes and return the lines that they complete."""
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._pieces, whole[0]])
            self._pieces = []
        if rest:
            self._pieces.append(rest)
        return whole


class _Link:
    """The worker's end of its pipe to the server."""

    def __init__(self, task: int, descriptor: int) -> None:
        self.task, self._descriptor, self._process = task, descriptor, os.getpid()
        self._lock = threading.Lock()

    def send(self, event: str, what: str, **content: Any) -> None:
        line = memoryview(encode({"id": self.task, "event": event, **content}, what))
        if os.getpid() != self._process:
            return  # a process that the worker forked: its lines would cut into those of the worker
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


_links: list[_Link] = []  # one in a worker, none elsewhere


def report(value: Any) -> None:
    """Send progress, a JSON-able value, to the parent; outside a worker nobody listens and nothing happens."""
    for link in _links:
        link.send("progress", "Progress", value=value)


def die_with(server: int, libc: ctypes.CDLL | None) -> None:
    """Have the kernel kill this process when the server ends, where it can."""
    if libc is not None:
        libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        os._exit(1)  # the server ended between the fork and the line above


def _limit_memory(allowed: int | None) -> None:
    """Let the worker take ``allowed`` bytes beyond what the server holds; Linux counts anonymous maps as data."""
    if allowed is None or sys.platform != "linux":
        return
    import resource  # not on Windows, where this module must import for the sake of `report`

    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = int(fields["VmData"].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = held + allowed if hard == resource.RLIM_INFINITY else min(held + allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _lift_memory_limit() -> None:
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def sentence(error: BaseException) -> str:
    """Return the first line of an error, with its class unless it is a sentence of ours."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else ""
    if isinstance(error, FivefoldError) and line:
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _is_memory(error: BaseException) -> bool:
    # torch has no class of its own for it: "DefaultCPUAllocator: can't allocate memory".
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _perform(order: dict[str, Any], link: _Link) -> None:
    try:
        _limit_memory(order["memory"])
        value = load_path(order["call"])(**order["arguments"])
        link.send("end", f"What {order['call']} returns", status="ok", value=value)
    except BaseException as error:  # noqa: BLE001 - whatever a task raises, SystemExit included, is its result
        _lift_memory_limit()  # telling what happened needs a little memory
        traceback.print_exception(error)
        status = "memory" if _is_memory(error) else "error"
        link.send("end", "An error", status=status, reason=sentence(error), error=type(error).__name__)


def work(order: dict[str, Any], descriptor: int, log: int) -> None:
    """Make a worker of this process, just forked, and perform its order."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, which ends its workers
    os.dup2(log, 1)
    os.dup2(log, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    faulthandler.enable(file=2)
    link = _Link(order["id"], descriptor)
    _links.append(link)
    _perform(order, link)
    sys.stdout.flush()
    sys.stderr.flush()
