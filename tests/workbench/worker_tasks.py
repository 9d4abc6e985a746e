"""What the workers of test_workers.py are asked to do."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from fivefold.workbench.forkserver import report


def echo(**values):
    return values


def where():
    return {"process": os.getpid(), "group": os.getpgid(0), "cwd": os.getcwd(), "path": sys.path}


def environment(names):
    return [os.environ.get(name) for name in names]


def sleep(seconds=600.0):
    time.sleep(seconds)
    return seconds


def sleep_in_c():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    libc = ctypes.PyDLL(None)  # holds the interpreter lock: no handler of Python can run
    libc.sleep(600)


def leave_children(pids, escape):
    """Start two processes, one in the group of the worker and, if asked, one in a session of its own."""
    line = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    children = [subprocess.Popen(line)]
    if escape:
        children.append(subprocess.Popen(line, start_new_session=True))
    Path(pids).write_text(" ".join(str(child.pid) for child in children))
    report("started")
    time.sleep(600)


def allocate(gibibytes):
    import numpy as np

    return float(np.zeros(gibibytes << 27)[-1])


def allocate_torch(gibibytes):
    import torch

    return float(torch.empty(gibibytes << 28)[-1])


def allocate_polars(rows):
    """Ask for more than there is in a library that aborts: it prints a long trace after its reason."""
    import polars as pl

    return pl.int_range(0, rows, eager=True).sum()


def fail(text="two\nlines"):
    raise TypeError(text)


def fail_in_our_words():
    from fivefold.base.errors import DataError

    raise DataError("Column 'a' is empty.")


def segfault():
    ctypes.string_at(0)


def leave(status):
    os._exit(status)


def stop(status):
    sys.exit(status)


def not_plain():
    return {"a": {1, 2}}


def say(text):
    print(text)  # noqa: T201 - what user code does
    os.write(1, b'{"id": 0, "event": "end", "status": "ok"}\n')
    sys.stderr.write("beside\n")
    return "said"


def ask():
    return sys.stdin.read()


def count(number, size=0):
    for i in range(number):
        report({"step": i, "pad": "x" * size})
    return number


def pretend(message):
    """Send a message that the server must not take for the worker's."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, message.encode() + b"\n")
        except OSError:
            continue
    time.sleep(600)


def terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    return "went on"


def meet(own, other):
    """Return once another worker is there too."""
    Path(own).touch()
    deadline = time.monotonic() + 10
    while not Path(other).exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the other did not come")
        time.sleep(0.005)
    return time.monotonic()


def pools():
    """Use each library that has threads and return what it computed and with how many threads."""
    import numba
    import numpy as np
    import polars as pl
    import torch

    ones = np.ones((300, 300))
    tensor = torch.ones(300, 300, requires_grad=True)
    (tensor @ tensor).sum().backward()

    @numba.njit(parallel=True)
    def triangle(n):
        total = 0
        for i in numba.prange(n):
            total += i
        return total

    frame = pl.DataFrame({"a": range(9000), "b": [i % 9 for i in range(9000)]})
    joined = frame.filter(pl.col("a") >= 90).join(frame, on="a").group_by("b").agg(pl.col("a").sum())
    streamed = frame.lazy().group_by("b").len().collect(engine="streaming")
    return {
        "numpy": float((ones @ ones).sum()),
        "torch": [float(tensor.grad.sum()), torch.get_num_threads()],
        "numba": [int(triangle(1001)), numba.get_num_threads()],
        "polars": [joined["a"].sum(), streamed["len"].to_list(), pl.thread_pool_size()],
    }


def threads():
    return [Path(f"/proc/self/task/{i}/comm").read_text() for i in os.listdir("/proc/self/task")]
