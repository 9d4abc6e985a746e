"""Worker processes with limits: each task runs in a process of its own, which time or memory may end without harm to others.

A :class:`Pool` starts the server of :mod:`fivefold.workbench.forkserver`, which has the heavy libraries loaded and forks a
worker for each task. A task names a function by its path and hands it plain JSON; the function writes large results to files
itself. Nothing is pickled and the parent's ``__main__`` is not imported again.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from fivefold.base.errors import CapabilityError, InputError, TrainingError

from .forked import Lines, encode

LIBRARIES = (
    "numpy",
    "scipy.linalg",
    "scipy.optimize",
    "scipy.sparse",
    "scipy.special",
    "polars",
    "sklearn.base",
    "numba",
    "torch",
)
"""What the server loads before the modules that a pool asks for."""

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_GIB = 1 << 30
_CHUNK = 1 << 20

Status = Literal["queued", "running", "ok", "error", "killed", "timeout", "memory"]


class Task:
    """A call in a worker: what was asked for, how it stands and what it came to.

    ``status`` is "queued" or "running", and in the end "ok" (``value`` is what the function returned), "error" (it raised),
    "timeout", "memory" (it asked for more than its limit) or "killed" (by a signal, or with its pool). ``reason`` is a
    sentence without its subject, ``error`` the class of the exception, ``started`` the :func:`time.monotonic` of its start,
    ``elapsed`` the seconds that it took and ``output`` the end of what it printed.
    """

    def __init__(self, number: int, call: str, name: str, seconds: float | None, memory: int | None) -> None:
        self.number, self.call, self.name, self.memory = number, call, name, memory
        self.status: Status = "queued"
        self.value: Any = None
        self.reason = ""
        self.error = ""
        self.output = ""
        self.started: float | None = None
        self.elapsed: float | None = None
        self.process: int | None = None
        self._seconds = seconds
        self._changed: Callable[[Task], None] | None = None

    @property
    def seconds(self) -> float | None:
        """The limit of its time, counted from the start of its worker; it may be changed at any time, None lifts it."""
        return self._seconds

    @seconds.setter
    def seconds(self, value: float | None) -> None:
        changed = value != self._seconds
        self._seconds = value
        if changed and self._changed is not None and not self.ended:
            self._changed(self)

    @property
    def ended(self) -> bool:
        """Whether the task has come to an end."""
        return self.status not in ("queued", "running")

    def __repr__(self) -> str:
        return f"Task({self.name or self.call!r}, {self.status}{': ' + self.reason if self.reason else ''})"


@dataclass(frozen=True)
class Event:
    """What a pool tells of a task: "start", "progress" with the value reported, or "end"."""

    task: Task
    kind: Literal["start", "progress", "end"]
    value: Any = None


class Pool:
    """Worker processes for functions named by path, at most ``jobs`` at a time; use it in a ``with`` block.

    Parameters
    ----------
    jobs : int
        Workers at a time.
    threads : int
        Threads of each worker: BLAS, OpenMP, Numba and polars.
    preload : sequence of str
        Modules that the server imports, and ``"module:function"`` entries that it calls, before any worker starts. They
        must start no thread.
    environment : mapping of str to str, optional
        Variables of the server and its workers beside those of this process.
    directory : path, optional
        Where each worker's output is kept, as ``worker-<number>.log``; by default only its end is, in ``Task.output``.
    libraries : sequence of str
        What is imported before ``preload``; :data:`LIBRARIES` by default.

    Raises
    ------
    CapabilityError
        On a system without ``fork``.
    """

    def __init__(
        self,
        jobs: int = 1,
        *,
        threads: int = 1,
        preload: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        libraries: Sequence[str] = LIBRARIES,
    ) -> None:
        if sys.platform not in ("linux", "darwin"):
            raise CapabilityError(
                f"Workers need a system that can fork a process, Linux or macOS; this is {sys.platform}. A comparison works "
                "without them by isolate=False."
            )
        if not sys.executable:
            raise CapabilityError("Workers need the path of the Python interpreter, and sys.executable is empty.")
        if jobs < 1 or threads < 1:
            raise InputError(f"jobs and threads are at least 1, not {jobs} and {threads}.")
        self._tasks: dict[int, Task] = {}
        self._unfinished = 0
        self._directory = None if directory is None else os.path.abspath(directory)
        self._outbox, self._lines = bytearray(), Lines()
        self._inbox: deque[dict[str, Any]] = deque()
        self._ready = self._closed = self._ended = False
        self._failure = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server is
        self._server = subprocess.Popen(
            # The parent's path comes first of all, so that whatever can be imported here can be imported there.
            [sys.executable, "-P", "-c", _BOOT, json.dumps([_absolute(p) for p in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(threads, environment or {}),
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which closes the pool
            bufsize=0,
        )
        if self._server.stdin is None or self._server.stdout is None:
            raise CapabilityError("The server of the workers has no pipes.")
        self._in, self._out = self._server.stdin.fileno(), self._server.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._send({"jobs": jobs, "preload": [*libraries, *preload]}, "The names to preload")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self,
        call: str,
        arguments: Mapping[str, Any],
        *,
        memory: int | None = None,
        seconds: float | None = None,
        name: str = "",
    ) -> Task:
        """Queue a call; it runs when one of the ``jobs`` is free.

        Parameters
        ----------
        call : str
            ``"package.module:function"``; must be importable from here.
        arguments : mapping of str to JSON-able values
            Keyword arguments of the function.
        memory : int, optional
            Bytes that the worker may hold beside the libraries. The kernel keeps it on Linux only.
        seconds : float, optional
            Time from the start of the worker until it is killed with all that it started.
        name : str
            For people.

        Raises
        ------
        InputError
            Where ``call`` is no path of a function or the pool is closed.
        InputTypeError
            Where an argument is not plain JSON.
        """
        if self._closed:
            raise InputError("The pool of workers is closed; submit tasks before that.")
        if not all(call.partition(":")):
            raise InputError(f"A call is written 'package.module:function', not {call!r}.")
        task = Task(len(self._tasks), call, name, seconds, memory)
        order = {
            "id": task.number,
            "call": call,
            "arguments": dict(arguments),
            "memory": memory,
            "seconds": seconds,
            "directory": self._directory,
        }
        self._send(order, f"The arguments of {call}")
        task._changed = self._tell_limit
        self._tasks[task.number] = task
        self._unfinished += 1
        return task

    def wait(self, timeout: float | None = None) -> Event | None:
        """Return the next event, or None after ``timeout`` seconds or when every task has ended.

        Raises
        ------
        InputError
            Where a library or module to preload cannot be loaded.
        TrainingError
            Where the server has died, and with it all workers.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while self._unfinished:
            while self._inbox:
                event = self._apply(self._inbox.popleft())
                if event is not None:
                    return event
            if self._closed:
                return None
            if self._ended:
                raise self._crash()
            left = None if limit is None else limit - time.monotonic()
            self._exchange(None if left is None else max(0.0, left))
            if left is not None and left <= 0 and not self._inbox and not self._ended:
                return None
        return None

    def events(self) -> Iterator[Event]:
        """Yield events until every task has ended; tasks may be submitted meanwhile."""
        while (event := self.wait()) is not None:
            yield event

    def close(self) -> None:
        """End the server and all workers, running or not, and wait until they are gone."""
        if self._closed:
            return
        self._closed = True
        try:
            self._exchange(0.0)
            while self._inbox:
                self._apply(self._inbox.popleft())
            self._send({"close": True}, "A message")
            for pipe in (self._server.stdin, self._server.stdout):
                if pipe is not None:
                    pipe.close()
            # A server that still imports does not listen; it has no workers yet.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(5.0 if self._ready else 0.0)
        finally:
            self._kill()
            self._errors.close()
            for task in self._tasks.values():
                if not task.ended:
                    task.status, task.reason = "killed", "was ended together with its pool"

    # Messages.

    def _tell_limit(self, task: Task) -> None:
        if not self._closed:
            self._send({"id": task.number, "limit": task.seconds}, "A limit of seconds")

    def _send(self, message: dict[str, Any], what: str) -> None:
        self._outbox += encode(message, what)
        self._push()

    def _push(self) -> None:
        try:
            while self._outbox:
                sent = os.write(self._in, memoryview(self._outbox)[:_CHUNK])
                del self._outbox[:sent]
        except BlockingIOError:
            return  # the server still imports; the rest goes with the next call
        except BrokenPipeError:
            self._outbox.clear()  # the server is gone: `wait` says so

    def _exchange(self, timeout: float | None) -> None:
        """Wait for the server at most so long, then write and read what can be."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if self._outbox:
            poll.register(self._in, select.POLLOUT)
        poll.poll(None if timeout is None else min(int(timeout * 1e3) + 1, 86_400_000))
        self._push()
        while not self._ended:
            try:
                data = os.read(self._out, _CHUNK)
            except BlockingIOError:
                return
            self._ended = not data
            self._inbox.extend(json.loads(line) for line in self._lines.feed(data))

    def _apply(self, message: dict[str, Any]) -> Event | None:
        kind = message["event"]
        if kind == "ready":
            self._ready = True
        if kind == "failed":
            self._failure = message["reason"]
        if "id" not in message:
            return None
        task = self._tasks[message["id"]]
        if kind == "start":
            task.status, task.started, task.process = "running", message["started"], message["process"]
            return Event(task, "start")
        if kind == "progress":
            return Event(task, "progress", message["value"])
        task.status, task.elapsed, task.output = message["status"], message["elapsed"], message["output"]
        task.value, task.error = message.get("value"), message.get("error", "")
        task.reason = _reason(task, message.get("reason", ""))
        self._unfinished -= 1
        return Event(task, "end", task.value)

    # The end of the server.

    def _crash(self) -> Exception:
        if self._failure:
            return InputError(f"The workers cannot start: {self._failure}.")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(2.0)
        self._kill()
        code = self._server.returncode
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        how = f"by signal {-code}" if code < 0 else f"with exit status {code}"
        last = f"; its last words: {words[-1].strip()}" if words else ""
        return TrainingError(f"The server of the workers ended {how}, and the workers with it{last}.")

    def _kill(self) -> None:
        """Leave nothing behind, whatever state the server is in."""
        orderly = self._server.poll() == 0
        if not orderly:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._server.pid, signal.SIGKILL)
            for task in self._tasks.values():
                if task.status == "running" and task.process is not None:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(task.process, signal.SIGKILL)
        self._server.wait()


_BOOT = (
    "import sys, json, os; sys.path[:] = json.loads(sys.argv[1]); "
    # The libraries hold nothing that needs the interpreter's long way out.
    "from fivefold.workbench.forkserver import main; os._exit(main())"
)


def _absolute(entry: str) -> str:
    """Return an entry of the path that holds in any folder; what is no file or folder is the mark of an import hook."""
    return os.path.abspath(entry) if not entry or os.path.exists(entry) else entry


def _environment(threads: int, extra: Mapping[str, str]) -> dict[str, str]:
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
    environment.setdefault("PYTHONHASHSEED", "0")  # the order of sets of text is the same in every run
    # Asking torch for a GPU through the driver would make the use of it in forked workers impossible.
    environment.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    if sys.platform == "darwin":
        environment.setdefault("OBJC_DISABLE_INITIALIZE_FORK_SAFETY", "YES")
    return {**environment, **extra}


def _reason(task: Task, reason: str) -> str:
    if task.status == "timeout":
        if task.started is None:
            return "was not started, because no time was left for it"
        return f"was stopped after {task.elapsed:.3g} s, the limit of its share of the budget"
    if task.status == "memory" and task.memory is not None:
        return f"asked for more memory than its limit of {task.memory / _GIB:.1f} GiB ({reason})"
    return reason


# ---------------------------------------------------------------------------------------------------------- memory


def memory_limit(jobs: int) -> int:
    """Return the bytes that each of ``jobs`` workers may take: 80 % of what is available now, shared.

    On Linux that is ``MemAvailable``, or less where a control group (version 1 or 2) leaves less; elsewhere the physical
    memory.
    """
    if jobs < 1:
        raise InputError(f"jobs is at least 1, not {jobs}.")
    if sys.platform == "linux":
        available = min(
            [_mem_available(Path("/proc/meminfo")), *_group_rooms(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))]
        )
    else:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(0, available) * 8 // 10 // jobs


def _mem_available(meminfo: Path) -> int:
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024


def _group_rooms(membership: Path, mount: Path) -> Iterator[int]:
    """Yield what each control group above this process still lets it take; none without such groups."""
    if not membership.is_file():
        return
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = mount, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = mount / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = root / path.strip("/")
        # Seen from inside a container the path may not exist; the mount itself is then the group.
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield from _room(folder, *names)


def _room(folder: Path, limit: str, usage: str, cache: str) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError):
        most = (folder / limit).read_text().strip()
        if most != "max":
            statistics = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
            # Cached files are counted as used, yet they give way.
            yield int(most) - int((folder / usage).read_text()) + int(statistics.get(cache, 0))
