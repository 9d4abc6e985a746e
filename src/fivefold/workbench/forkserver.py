"""A server that forks workers: the heavy libraries are imported once, so that a worker starts in hundredths of a second.

:class:`fivefold.workbench.workers.Pool` starts it and speaks to it in lines of JSON, one message a line, over the server's
standard input and output (moved to descriptors of their own, so that no print can reach them). The server has one thread and
never computes: the thread pools of NumPy, Numba, torch and polars come to life in the workers only, after the fork. It keeps
the queue, the slots and the time limits itself, so that limits hold while the parent is busy, and it ends with its parent.

Messages in: the first line holds ``preload`` and ``jobs``; then ``{"id", "call", "arguments", "memory", "seconds",
"directory"}`` adds a task, ``{"id", "limit"}`` changes its time and ``{"close"}`` ends it all. Messages out: ``ready`` or
``failed``; then for a task ``start``, any number of ``progress``, and ``end`` with ``status`` ok, error, memory, killed or
timeout.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from fivefold.base.cards import load_path

from .forked import Lines, die_with, encode, report, sentence, work

__all__ = ["Server", "main", "report"]

_SET_SUBREAPER = 36  # prctl's number
_CHUNK = 1 << 16
_CROWDED = 1 << 24  # bytes waiting for the parent; beyond that progress stays in the workers' pipes
_TAIL = 2000
# What C++ and Rust print before they abort because an allocation failed; they cannot raise MemoryError.
_OUT_OF_MEMORY = ("std::bad_alloc", "memory allocation of")


@dataclass
class _Worker:
    order: dict[str, Any]
    process: int
    pipe: int
    log: BinaryIO
    started: float
    lines: Lines = field(default_factory=Lines)
    result: dict[str, Any] | None = None
    late: bool = False

    @property
    def deadline(self) -> float:
        seconds = self.order["seconds"]
        return float("inf") if seconds is None else self.started + seconds


def _kill_group(process: int) -> None:
    # EPERM is what macOS answers for a group whose only member has ended and waits to be reaped.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


class Server:
    """Forks a worker for each task, at most ``jobs`` at a time, and tells the parent what becomes of them."""

    def __init__(self, commands: int, messages: int, parent: int) -> None:
        self._commands, self._messages = commands, messages
        self._incoming, self._outgoing = Lines(), bytearray()
        self._queue: deque[dict[str, Any]] = deque()
        self._workers: dict[int, _Worker] = {}  # by process
        self._jobs = 1
        self._open = True
        self._wake, self._ring = os.pipe()
        self._libc: ctypes.CDLL | None = None
        self._parent = -1
        if sys.platform == "linux":
            # Orphans of workers become children of the server, which ends them. A parent that is killed is noticed even
            # where a process that it forked still holds the other end of our input.
            self._libc = ctypes.CDLL(None)
            self._libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0)
            with contextlib.suppress(OSError):  # a kernel before 5.3; the end of our input tells the same
                self._parent = os.pidfd_open(parent)

    def run(self) -> int:
        """Import what is asked for, then serve until the input ends."""
        lines: list[bytes] = []
        while not lines:
            data = os.read(self._commands, _CHUNK)
            if not data:
                return 0
            lines = self._incoming.feed(data)
        first = json.loads(lines[0])
        self._jobs = first["jobs"]
        failure = _preload(first["preload"])
        if failure:
            os.write(self._messages, encode({"event": "failed", "reason": failure}, "The reason"))
            return 1
        for descriptor in (self._commands, self._messages, self._wake, self._ring):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        self._tell({"event": "ready"})
        for line in lines[1:]:
            self._obey(line)
        try:
            while self._open:
                self._turn()
        finally:
            self._end_all()
        return 0

    def _stop(self, *_: object) -> None:
        self._open = False

    def _turn(self) -> None:
        while self._queue and len(self._workers) < self._jobs:
            self._start(self._queue.popleft())
        poll = select.poll()
        for descriptor in (self._commands, self._wake, self._parent):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        if self._outgoing:
            poll.register(self._messages, select.POLLOUT)
        if len(self._outgoing) < _CROWDED:
            for worker in self._workers.values():
                if worker.pipe >= 0:
                    poll.register(worker.pipe, select.POLLIN)
        deadline = min((w.deadline for w in self._workers.values() if not w.late), default=float("inf"))
        wait = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        # poll takes whole milliseconds in a C int: rounded up, and a far deadline is looked at again after a day.
        ready = {
            descriptor for descriptor, _ in poll.poll(None if wait is None else min(int(wait * 1e3) + 1, 86_400_000))
        }
        if self._parent in ready:
            self._open = False
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, _CHUNK)
        if self._commands in ready:
            self._listen()
        for worker in list(self._workers.values()):
            if worker.pipe in ready:
                self._hear(worker)
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.deadline <= now and not worker.late:
                worker.late = True
                _kill_group(worker.process)
        self._reap()
        if not self._workers:
            self._end_orphans()
        self._flush()

    # The parent.

    def _listen(self) -> None:
        data = os.read(self._commands, _CHUNK)
        self._open = self._open and bool(data)
        for line in self._incoming.feed(data):
            self._obey(line)

    def _obey(self, line: bytes) -> None:
        order = json.loads(line)
        if "close" in order:
            self._open = False
        elif "limit" in order:
            for known in (*self._queue, *(w.order for w in self._workers.values())):
                if known["id"] == order["id"]:
                    known["seconds"] = order["limit"]
        else:
            self._queue.append(order)

    def _tell(self, message: dict[str, Any]) -> None:
        self._outgoing += encode(message, "A message")
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outgoing:
                sent = os.write(self._messages, memoryview(self._outgoing)[:_CHUNK])
                del self._outgoing[:sent]
        except BlockingIOError:
            return  # the parent is busy; it will read
        except BrokenPipeError:
            self._open = False

    # The workers.

    def _start(self, order: dict[str, Any]) -> None:
        if order["seconds"] is not None and order["seconds"] <= 0:
            self._refuse(order, "timeout", "")
            return
        try:
            log = _open_log(order)
        except OSError as error:
            self._refuse(order, "error", f"could not be started, because its log cannot be written: {error}")
            return
        ear, mouth = os.pipe()
        server = os.getpid()
        try:
            process = os.fork()
        except OSError as error:
            log.close()
            os.close(ear)
            os.close(mouth)
            self._refuse(order, "error", f"could not be started: {error}")
            return
        if process == 0:
            self._become_worker(order, server, ear, mouth, log)
        os.close(mouth)
        os.set_blocking(ear, False)
        with contextlib.suppress(PermissionError, ProcessLookupError):  # the worker does the same; whoever is first
            os.setpgid(process, process)
        worker = _Worker(order, process, ear, log, time.monotonic())
        self._workers[process] = worker
        self._tell({"id": order["id"], "event": "start", "process": process, "started": worker.started})

    def _refuse(self, order: dict[str, Any], status: str, reason: str) -> None:
        end = {"id": order["id"], "event": "end", "status": status, "reason": reason, "elapsed": 0.0, "output": ""}
        self._tell(end)

    def _become_worker(self, order: dict[str, Any], server: int, ear: int, mouth: int, log: BinaryIO) -> NoReturn:
        status = 1
        try:
            os.setpgid(0, 0)
            die_with(server, self._libc)
            # What is the server's must not be held open, or read, by its workers.
            others = [w.pipe for w in self._workers.values()] + [w.log.fileno() for w in self._workers.values()]
            signal.set_wakeup_fd(-1)
            for descriptor in (self._commands, self._messages, self._wake, self._ring, self._parent, ear, *others):
                if descriptor >= 0:
                    os.close(descriptor)
            work(order, mouth, log.fileno())
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may return into the loop of the server
            traceback.print_exc()
        finally:
            os._exit(status)

    def _hear(self, worker: _Worker) -> bool:
        """Read once from a worker; return whether more may be there."""
        try:
            data = os.read(worker.pipe, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            os.close(worker.pipe)
            worker.pipe = -1
            return False
        for line in worker.lines.feed(data):
            try:
                message = json.loads(line)
                event = message["event"] if message["id"] == worker.order["id"] else ""
            except (ValueError, TypeError, KeyError):
                event = ""
            if event not in ("progress", "end"):
                worker.result = {
                    "status": "error",
                    "reason": "wrote into the pipe of its messages, which is not its own",
                }
                _kill_group(worker.process)
                return False
            if event == "end":
                worker.result = message
            else:
                self._outgoing += line + b"\n"
        return True

    def _reap(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            worker = self._workers.pop(process, None)
            if worker is not None:  # else an orphan that a worker left
                self._finish(worker, status)

    def _finish(self, worker: _Worker, status: int) -> None:
        elapsed = time.monotonic() - worker.started
        _kill_group(worker.process)  # what the worker started and left behind
        while worker.pipe >= 0 and self._hear(worker):
            pass
        if worker.pipe >= 0:
            os.close(worker.pipe)
        with worker.log as log:
            output = _last_words(log)
        result = worker.result or _verdict(status, worker.late, output)
        self._tell({**result, "id": worker.order["id"], "event": "end", "elapsed": elapsed, "output": output[-_TAIL:]})

    def _end_orphans(self) -> None:
        """End what workers put into sessions of their own, which by now are the server's children; no worker runs."""
        if sys.platform == "linux":
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def _end_all(self) -> None:
        for worker in self._workers.values():
            _kill_group(worker.process)
        patience = time.monotonic() + 2.0
        while time.monotonic() < patience:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
                # The orphans of those that have just ended arrive here one generation at a time.
                self._end_orphans()
                time.sleep(0.002)
                continue
            return


def _children() -> list[int]:
    """Return the living and ended children of this process; a kernel built without the list has none to tell."""
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []


def _open_log(order: dict[str, Any]) -> BinaryIO:
    if order["directory"] is None:
        return cast(BinaryIO, tempfile.TemporaryFile())
    directory = Path(order["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    return open(directory / f"worker-{order['id']}.log", "w+b")


def _last_words(log: BinaryIO) -> str:
    end = log.seek(0, os.SEEK_END)
    log.seek(max(0, end - _CHUNK))
    lines = log.read().decode("utf-8", "replace").splitlines(keepends=True)
    # The fault handler's list of all extension modules would fill the whole tail.
    return "".join(line for line in lines if not line.startswith("Extension modules: "))


def _verdict(status: int, late: bool, output: str) -> dict[str, Any]:
    """Say what became of a worker that ended without a result."""
    if late:
        return {"status": "timeout"}
    if not os.WIFSIGNALED(status):
        code = os.waitstatus_to_exitcode(status)
        return {"status": "error", "reason": f"ended by itself with exit status {code} before it gave a result"}
    number = os.WTERMSIG(status)
    words = next((line.strip() for line in output.splitlines() if any(w in line for w in _OUT_OF_MEMORY)), None)
    if number == signal.SIGABRT and words:
        return {"status": "memory", "reason": words}
    if number == signal.SIGKILL:
        reason = "was killed from outside by signal 9, which is what a system does that runs out of memory"
        return {"status": "killed", "reason": reason}
    return {"status": "killed", "reason": f"died by signal {number} ({(signal.strsignal(number) or '?').lower()})"}


def _preload(names: list[str]) -> str:
    """Import modules and call ``module:function`` entries; return why that failed, or nothing."""
    for name in names:
        try:
            if ":" in name:
                load_path(name)()
            else:
                importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever an import raises is told to the parent
            traceback.print_exc()
            return f"loading {name} failed with {sentence(error)}"
        if threading.active_count() > 1:
            return (
                f"loading {name} starts the thread {threading.enumerate()[-1].name!r}, which forked workers would lack"
            )
    gc.collect()
    gc.freeze()  # else the first collection in every worker writes to, and so copies, all pages of the libraries
    return ""


def main() -> int:
    """Serve the parent at standard input and output."""
    parent = os.getppid()
    commands, messages = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Server(commands, messages, parent).run()
