"""Workers: limits hold, failures have a reason, nothing is left behind."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fivefold.base.errors import CapabilityError, InputError, InputTypeError, TrainingError
from fivefold.workbench import forked, forkserver, workers
from fivefold.workbench.workers import Event, Pool, Task, memory_limit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

HERE = Path(__file__).parent
TASKS = "worker_tasks"
BARE = ()  # no library is loaded: such a server is there in a tenth of a second


@pytest.fixture(scope="module")
def path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        yield


@pytest.fixture(scope="module")
def pool(path):
    with Pool(2, threads=2) as pool:
        yield pool


def settle(pool: Pool, *tasks: Task, within: float = 20.0) -> list[Event]:
    """Wait for tasks and return the events until then; one that hangs fails the test."""
    deadline, events = time.monotonic() + within, []
    while not all(task.ended for task in tasks):
        event = pool.wait(max(0.0, deadline - time.monotonic()))
        assert event is not None, f"after {within} s: {tasks}"
        events.append(event)
    return events


def outcome(pool: Pool, function: str, limits: dict | None = None, **arguments) -> Task:
    task = pool.submit(f"{TASKS}:{function}", arguments, **(limits or {}))
    settle(pool, task)
    return task


def descendants(process: int) -> list[int]:
    try:
        children = [int(c) for c in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return []
    return [*children, *itertools.chain.from_iterable(descendants(c) for c in children)]


def alive(processes: list[int]) -> list[int]:
    """Return those that exist, zombies apart where a stranger has not reaped them yet."""
    return [p for p in processes if state(p) not in (None, "Z")]


def state(process: int) -> str | None:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it has ended, perhaps between opening and reading
        return None


def gone(processes: list[int], within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while alive(processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(processes)


def reaped(within: float = 2.0) -> bool:
    """Whether no process below this one is a zombie, at the latest after a moment."""
    deadline = time.monotonic() + within
    while (below := descendants(os.getpid())) != alive(below):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# What comes back.


def test_values_arrive_intact(pool):
    values = {
        "floats": [0.1, 1e-308, math.pi, math.inf],
        "text": "Zoë\n\u2028\U0001f600",
        "none": None,
        "nested": {"a": [True, 10**20]},
    }
    task = outcome(pool, "echo", **values)
    assert (task.status, task.value, task.reason) == ("ok", values, "")
    assert math.copysign(1.0, outcome(pool, "echo", x=-0.0).value["x"]) == -1.0
    assert math.isnan(outcome(pool, "echo", x=math.nan).value["x"])
    assert task.elapsed is not None and 0 < task.elapsed < 5 and task.started is not None


def test_values_of_megabytes_arrive_intact(pool):
    values = {"pad": "é" * 1_000_000, "numbers": [i / 7 for i in range(100_000)]}
    assert outcome(pool, "echo", **values).value == values


def test_progress_arrives_in_order_and_before_the_end(pool):
    task = pool.submit(f"{TASKS}:count", {"number": 40, "size": 100_000})
    events = settle(pool, task)
    assert [e.kind for e in events] == ["start", *["progress"] * 40, "end"]
    assert [e.value["step"] for e in events[1:-1]] == list(range(40))
    assert {len(e.value["pad"]) for e in events[1:-1]} == {100_000}


def test_report_outside_a_worker_does_nothing():
    assert forkserver.report({"a": 1}) is None


def test_prints_and_standard_input_disturb_nothing(pool):
    task = outcome(pool, "say", text="plain")
    assert (task.status, task.value) == ("ok", "said")
    assert "plain\n" in task.output and "beside\n" in task.output
    assert outcome(pool, "ask").value == ""


def test_lines_are_cut_wherever_the_pieces_end():
    stream = b'{"a": 1}\n\n{"b": "xyz"}\n' * 3
    for size in range(1, len(stream)):
        lines = forked.Lines()
        found = [line for i in range(0, len(stream), size) for line in lines.feed(stream[i : i + size])]
        assert b"".join(line + b"\n" for line in found) == stream, size


# How tasks fail.


@pytest.mark.parametrize(
    ("function", "arguments", "status", "reason"),
    [
        ("fail", {}, "error", "TypeError: two"),
        ("fail", {"text": ""}, "error", "TypeError"),
        ("fail_in_our_words", {}, "error", "Column 'a' is empty."),
        ("fail", {"unknown": 1}, "error", "TypeError: fail() got an unexpected keyword argument 'unknown'"),
        ("missing", {}, "error", "AttributeError: module 'worker_tasks' has no attribute 'missing'"),
        ("segfault", {}, "killed", "died by signal 11 (segmentation fault)"),
        ("leave", {"status": 3}, "error", "ended by itself with exit status 3 before it gave a result"),
        ("leave", {"status": 0}, "error", "ended by itself with exit status 0 before it gave a result"),
        ("stop", {"status": 4}, "error", "SystemExit: 4"),
        ("terminated", {}, "killed", "died by signal 15 (terminated)"),
        ("pretend", {"message": "no message"}, "error", "wrote into the pipe of its messages, which is not its own"),
        (
            "pretend",
            {"message": '{"id": 100000, "event": "end", "status": "ok"}'},
            "error",
            "wrote into the pipe of its messages, which is not its own",
        ),
    ],
)
def test_failures_have_their_reason(pool, function, arguments, status, reason):
    task = outcome(pool, function, **arguments)
    assert (task.status, task.reason, task.value) == (status, reason, None)


def test_the_class_and_the_trace_of_an_error_are_kept(pool):
    task = outcome(pool, "fail_in_our_words")
    assert task.error == "DataError"
    assert "Traceback" in task.output and "worker_tasks.py" in task.output


def test_the_place_of_a_crash_is_kept(pool):
    assert "worker_tasks.py" in outcome(pool, "segfault").output


def test_a_result_that_is_not_plain_is_an_error_that_says_so(pool):
    task = outcome(pool, "not_plain")
    assert task.status == "error"
    assert task.reason.startswith("What worker_tasks:not_plain returns must be plain JSON")
    assert "Object of type set is not JSON serializable" in task.reason


def test_arguments_that_are_not_plain_are_refused(pool):
    with pytest.raises(InputTypeError, match=r"The arguments of worker_tasks:echo must be plain JSON .* type set"):
        pool.submit(f"{TASKS}:echo", {"x": {1}})
    with pytest.raises(InputError, match=r"written 'package.module:function', not 'worker_tasks.echo'"):
        pool.submit("worker_tasks.echo", {})
    assert list(pool.events()) == []  # nothing of them is queued


def test_an_interrupt_does_not_reach_workers(pool):
    assert outcome(pool, "interrupted").value == "went on"


# Limits.


@pytest.mark.parametrize("function", ["sleep", "sleep_in_c"])
def test_a_sleeper_is_stopped_at_its_limit(pool, function):
    begin = time.monotonic()
    task = outcome(pool, function, {"seconds": 0.3})
    assert task.status == "timeout"
    assert task.reason == f"was stopped after {task.elapsed:.3g} s, the limit of its share of the budget"
    assert 0.3 <= task.elapsed <= time.monotonic() - begin < 3


def test_limits_hold_while_the_parent_is_busy(pool):
    task = pool.submit(f"{TASKS}:sleep", {}, seconds=0.1)
    time.sleep(0.6)
    settle(pool, task)
    assert task.status == "timeout" and task.elapsed < 0.5


def test_the_limit_may_change_while_running_or_queued(pool):
    task = pool.submit(f"{TASKS}:sleep", {}, seconds=500.0)
    assert pool.wait(5.0).kind == "start"
    task.seconds = 0.2
    settle(pool, task, within=5.0)
    assert task.status == "timeout" and 0.2 <= task.elapsed < 3

    lifted = pool.submit(f"{TASKS}:sleep", {"seconds": 0.5}, seconds=0.2)
    lifted.seconds = None
    settle(pool, lifted)
    assert (lifted.status, lifted.seconds) == ("ok", None)

    first = [pool.submit(f"{TASKS}:sleep", {"seconds": 0.2}) for _ in range(2)]
    queued = pool.submit(f"{TASKS}:sleep", {})
    queued.seconds = 0
    settle(pool, *first, queued)
    assert (queued.status, queued.reason) == ("timeout", "was not started, because no time was left for it")
    assert [t.status for t in first] == ["ok", "ok"]


@pytest.mark.parametrize("function", ["allocate", "allocate_torch"])
def test_more_memory_than_the_limit_is_refused(pool, function):
    task = outcome(pool, function, {"memory": 1 << 30}, gibibytes=64)
    assert task.status == "memory"
    assert task.reason.startswith("asked for more memory than its limit of 1.0 GiB (")


def test_memory_below_the_limit_is_given(pool):
    # The limit leaves out what the server holds: half a gibibyte goes into one whatever the libraries take.
    task = outcome(pool, "echo", {"memory": 1 << 29})
    assert task.status == "ok"
    for gibibytes, status in ((1, "ok"), (3, "memory")):
        assert outcome(pool, "allocate", {"memory": 2 << 30}, gibibytes=gibibytes).status == status


def test_last_words_about_memory_count_as_memory(pool):
    task = outcome(pool, "allocate_polars", {"memory": 1 << 30}, rows=1 << 31)
    assert task.status == "memory", task.reason
    words = "memory allocation of 17179869184 bytes failed"
    assert task.reason == f"asked for more memory than its limit of 1.0 GiB ({words})"


def test_a_worker_killed_from_outside(pool):
    task = pool.submit(f"{TASKS}:sleep", {})
    assert pool.wait(5.0).kind == "start"
    os.kill(task.process, signal.SIGKILL)
    settle(pool, task)
    assert task.status == "killed"
    assert task.reason == "was killed from outside by signal 9, which is what a system does that runs out of memory"


# How they run.


def test_two_jobs_run_at_once_and_a_third_waits(pool, tmp_path):
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    tasks = [pool.submit(f"{TASKS}:meet", {"own": own, "other": other}, name=own) for own, other in ((a, b), (b, a))]
    third = pool.submit(f"{TASKS}:echo", {})
    settle(pool, *tasks, third)
    assert [t.status for t in tasks] == ["ok", "ok"], [t.reason for t in tasks]
    assert third.started >= min(t.started + t.elapsed for t in tasks)


def test_tasks_may_be_submitted_while_events_are_read(pool):
    pool.submit(f"{TASKS}:echo", {"n": 0})
    seen = []
    for event in pool.events():
        if event.kind == "end":
            seen.append(event.value["n"])
            if len(seen) < 4:
                pool.submit(f"{TASKS}:echo", {"n": len(seen)})
    assert seen == [0, 1, 2, 3]


def test_waiting_may_time_out(pool):
    task = pool.submit(f"{TASKS}:sleep", {"seconds": 0.3})
    assert pool.wait(5.0).kind == "start"
    assert pool.wait(0.0) is None and pool.wait(0.05) is None
    assert task.status == "running" and "running" in repr(task)
    settle(pool, task)
    assert pool.wait() is None


def test_every_thread_pool_works_after_the_fork(pool):
    assert outcome(pool, "threads").value == ["python\n"]
    for task in (outcome(pool, "pools"), outcome(pool, "pools")):
        assert task.status == "ok", task.reason
        assert task.value == {
            "numpy": 300.0**3,
            "torch": [2 * 300.0**3, 2],
            "numba": [1000 * 1001 // 2, 2],
            "polars": [sum(range(90, 9000)), [1000] * 9, 2],
        }


def test_a_worker_starts_in_hundredths_of_a_second(pool):
    outcome(pool, "echo")
    spans = []
    for _ in range(5):
        begin = time.perf_counter()
        outcome(pool, "echo")
        spans.append(time.perf_counter() - begin)
    assert min(spans) < 0.25  # an import of the libraries takes ten times as long


def test_processes_that_a_worker_leaves_are_ended(pool, tmp_path):
    pids = tmp_path / "pids"
    task = pool.submit(f"{TASKS}:leave_children", {"pids": str(pids), "escape": True})
    while pool.wait(10.0).kind != "progress":
        pass
    task.seconds = 0.01
    settle(pool, task)
    children = [int(p) for p in pids.read_text().split()]
    assert len(children) == 2 and gone(children)
    assert task.status == "timeout" and reaped()


# The pool's own life.


def test_environment_path_and_log(path, tmp_path, monkeypatch):
    monkeypatch.setenv("FIVEFOLD_TEST_VARIABLE", "here")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "only_here.py").write_text("def double(x):\n    print('doubled')\n    return 2 * x\n")
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # a notebook's path: the folder it runs in
    with Pool(threads=3, libraries=BARE, environment={"OTHER": "set"}, directory="logs") as pool:
        task = pool.submit("only_here:double", {"x": 2.5})
        names = [
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "NUMBA_NUM_THREADS",
            "POLARS_MAX_THREADS",
            "FIVEFOLD_TEST_VARIABLE",
            "OTHER",
        ]
        variables = pool.submit(f"{TASKS}:environment", {"names": names})
        settle(pool, task, variables)
    assert task.value == 5.0 and variables.value == ["3", "3", "3", "3", "here", "set"]
    assert (tmp_path / "logs" / "worker-0.log").read_text() == "doubled\n"


def test_close_ends_everything(path, tmp_path):
    pids = tmp_path / "pids"
    with pytest.raises(KeyboardInterrupt), Pool(2, libraries=BARE) as pool:
        tasks = [pool.submit(f"{TASKS}:leave_children", {"pids": str(pids), "escape": True}) for _ in range(3)]
        while pool.wait(10.0).kind != "progress":
            pass
        processes = descendants(pool._server.pid)
        assert len(processes) >= 3
        raise KeyboardInterrupt
    assert gone([pool._server.pid, *processes, *(int(p) for p in pids.read_text().split())], within=0.5)
    assert not Path(f"/proc/{pool._server.pid}").exists()
    assert [(t.status, t.reason) for t in tasks] == [("killed", "was ended together with its pool")] * 3
    pool.close()
    assert pool.wait() is None
    with pytest.raises(InputError, match="The pool of workers is closed"):
        pool.submit(f"{TASKS}:echo", {})


def test_a_pool_may_be_closed_while_its_server_still_imports(path):
    begin = time.monotonic()
    with Pool() as pool:
        pool.submit(f"{TASKS}:echo", {"pad": "x" * 1_000_000})  # more than the pipe to the server holds
    assert time.monotonic() - begin < 1.0
    assert not Path(f"/proc/{pool._server.pid}").exists()


def test_the_end_of_the_server_is_one_clear_error(path, tmp_path):
    with Pool(libraries=BARE) as pool:
        task = pool.submit(f"{TASKS}:leave_children", {"pids": str(tmp_path / "pids"), "escape": False})
        while pool.wait(10.0).kind != "progress":
            pass
        processes = [task.process, *descendants(task.process)]
        os.kill(pool._server.pid, signal.SIGKILL)
        with pytest.raises(
            TrainingError, match=r"The server of the workers ended by signal 9, and the workers with it\."
        ):
            list(pool.events())
        assert len(processes) == 2 and gone(processes)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no luck')", "loading module_x failed with RuntimeError: no luck"),
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True, name='idler').start()",
            "loading module_x starts the thread 'idler', which forked workers would lack",
        ),
    ],
)
def test_a_module_that_cannot_be_preloaded(path, tmp_path, monkeypatch, code, reason):
    (tmp_path / "module_x.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Pool(libraries=BARE, preload=["module_x"]) as pool:
        pool.submit(f"{TASKS}:echo", {})
        with pytest.raises(InputError, match=f"The workers cannot start: {reason}"):
            pool.wait(20.0)


def test_preloading_calls_functions(path):
    with Pool(libraries=BARE, preload=["json", "worker_tasks:threads"]) as pool:
        assert outcome(pool, "echo", x=1).value == {"x": 1}


@pytest.mark.parametrize("held", [False, True], ids=["alone", "pipes-held-by-a-fork"])
def test_nothing_outlives_a_parent_that_is_killed(tmp_path, held):
    pids = tmp_path / "pids"
    script = f"""
import os, sys, time
sys.path.insert(0, {str(HERE)!r})
from fivefold.workbench.workers import Pool
pool = Pool(2, libraries=())
pool.submit("worker_tasks:leave_children", {{"pids": {str(pids)!r}, "escape": True}})
while pool.wait().kind != "progress":
    pass
if {held} and os.fork() == 0:
    time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "ready\n"
        processes = descendants(parent.pid)
        holder = [
            p
            for p in processes
            if Path(f"/proc/{p}/cmdline").read_bytes() == Path(f"/proc/{parent.pid}/cmdline").read_bytes()
        ]
        assert len(processes) == 4 + held and len(holder) == held  # the server, the worker and the two that it started
        parent.kill()
        parent.wait()
        rest = gone([p for p in processes if p not in holder])
        for process in holder:
            os.kill(process, signal.SIGKILL)
    assert rest
    assert gone([int(p) for p in pids.read_text().split()])


def test_other_systems_are_told(monkeypatch):
    monkeypatch.setattr(workers.sys, "platform", "win32")
    with pytest.raises(CapabilityError, match="need a system that can fork a process, Linux or macOS; this is win32"):
        Pool()


def test_counts_are_at_least_one():
    for options in ({"jobs": 0}, {"threads": 0}):
        with pytest.raises(InputError, match="jobs and threads are at least 1"):
            Pool(**options)
    with pytest.raises(InputError, match="jobs is at least 1, not 0"):
        memory_limit(0)


# Memory of the machine.


def test_the_limit_of_memory_is_a_share_of_what_is_available():
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(fields["MemTotal"].split()[0]) * 1024
    assert 0 < memory_limit(1) <= 0.8 * total
    assert memory_limit(4) == pytest.approx(memory_limit(1) / 4, rel=0.2)


def test_groups_of_version_two_are_asked_up_to_the_root(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for folder, most in ((inner, "max"), (inner.parent, "5000")):
        (folder / "memory.max").write_text(most + "\n")
        (folder / "memory.current").write_text("3000\n")
        (folder / "memory.stat").write_text("anon 100\ninactive_file 700\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b\n")
    assert list(workers._group_rooms(membership, tmp_path)) == [5000 - 3000 + 700]


def test_groups_of_version_one_are_asked_at_the_mount_from_inside_a_container(tmp_path):
    root = tmp_path / "memory"
    root.mkdir()
    (root / "memory.limit_in_bytes").write_text("9000\n")
    (root / "memory.usage_in_bytes").write_text("4000\n")
    (root / "memory.stat").write_text("cache 1\ntotal_inactive_file 500\n")
    membership = tmp_path / "cgroup"
    membership.write_text("5:cpu:/x\n4:memory:/docker/abc\n")
    assert list(workers._group_rooms(membership, tmp_path)) == [9000 - 4000 + 500]
    assert list(workers._group_rooms(tmp_path / "none", tmp_path)) == []
