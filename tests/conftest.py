"""Shared by all tests: one thread a worker, and the account of core-seconds that each package's quick tier may use."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Tests never reach for the network: a data set that is not at hand is skipped with its reason.
os.environ["FIVEFOLD_OFFLINE"] = "1"

import pytest  # noqa: E402 - the limits must stand before a library starts its threads

from fivefold.base.errors import DataUnavailableError  # noqa: E402

SECONDS_PER_ROW = 2.0
LEAST = 10.0  # a package of two rows would have less time than one honest training takes
REFERENCE_WORK = 0.020  # seconds that `_fixed_work` takes on the machine whose core-seconds the account counts
# How far a package may be above its account before a run with other workers fails: what neighbors on a shared machine take,
# of memory and caches above all, is not seen by the fixed work, and has more than doubled seconds. `make account` takes 1.
MARGIN = 4.0

_spent: dict[str, float] = defaultdict(float)
_speed = {"taken_at": -math.inf, "slowness": 1.0}


def _fixed_work() -> None:
    """Interpreter, small tensors and sorting, in the shares in which the evidence uses them.

    The sort is the stable one: NumPy's default has a form for wide vectors that makes it three times as fast on some
    processors, and nothing else there is.
    """
    import numpy as np
    import torch

    total = 0
    for i in range(60_000):
        total += i % 7
    x = torch.full((64, 64), 0.5)
    for _ in range(400):
        (x @ x).tanh()
    numbers = np.sin(np.arange(5_000))
    for _ in range(24):
        np.argsort(numbers, kind="stable")


def _slowness() -> float:
    """How much slower than the reference this core is now: a shared machine may be slower by half within a minute."""
    if time.monotonic() - _speed["taken_at"] > 3.0:
        seconds = []
        for _ in range(3):
            start = time.process_time()
            _fixed_work()
            seconds.append(time.process_time() - start)
        _speed.update(taken_at=time.monotonic(), slowness=statistics.median(seconds) / REFERENCE_WORK)
    return _speed["slowness"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--account-margin",
        type=float,
        default=None,
        help=f"fail when a package uses more than this many times its core-seconds (default {MARGIN} for all tests, else none)",
    )


@contextlib.contextmanager
def _timed_imports() -> Iterator[list[float]]:
    """Collect the processor time of every import, those within it included: whoever comes first pays for all."""
    # The interpreter looks this function up for each module that is not loaded yet.
    original, seconds, inside = importlib._bootstrap._find_and_load, [], []

    def timed(*arguments):
        if inside:
            return original(*arguments)
        inside.append(True)
        start = time.process_time()
        try:
            return original(*arguments)
        finally:
            inside.clear()
            seconds.append(time.process_time() - start)

    importlib._bootstrap._find_and_load = timed
    try:
        yield seconds
    finally:
        importlib._bootstrap._find_and_load = original


@pytest.fixture
def slowness() -> float:
    """How much slower than the reference this core is now."""
    return _slowness()


@pytest.fixture
def account(request: pytest.FixtureRequest):
    """Return a runner that books the processor time of a function on the test's package.

    Neither imports nor compilation are booked: where kernels were compiled the function runs once more, now that they are
    cached. Seconds are those of the reference machine, so that a slow machine fails no run and a fast one hides nothing.
    """
    import numba
    import torch
    from numba.core import event

    import fivefold.evidence.batteries  # noqa: F401 - imports are not the test's own time

    numba.set_num_threads(1)
    torch.set_num_threads(1)  # each worker has one core, whatever an earlier test has set
    package = request.node.callspec.params["package"]

    def run(function):
        for _ in range(2):
            with event.install_recorder("numba:compile") as compiled, _timed_imports() as imports:
                start = time.process_time()
                result = function()
                spent = time.process_time() - start - sum(imports)
            if not compiled.buffer:
                break
        request.node.user_properties.append(("account", (package, spent / _slowness())))
        return result

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Skip a test whose data set is not at hand, with the reason."""
    try:
        return (yield)
    except DataUnavailableError as error:
        pytest.skip(str(error))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == "account":
                _spent[value[0]] += value[1]


def _rows() -> dict[str, int]:
    from fivefold.base.cards import all_cards

    rows: dict[str, int] = defaultdict(int)
    for card in all_cards().values():
        rows[card.package] += 1
    return rows


def _over(margin: float = 1.0) -> list[str]:
    rows = _rows()
    return [p for p, s in _spent.items() if s > margin * max(LEAST, SECONDS_PER_ROW * rows[p])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _spent:
        return
    rows = _rows()
    terminalreporter.section("core-seconds of the quick tier, compilation apart, on the reference machine")
    for package, seconds in sorted(_spent.items()):
        limit = max(LEAST, SECONDS_PER_ROW * rows[package])
        mark = "  OVER" if package in _over() else ""
        terminalreporter.write_line(f"{package:24} {rows[package]:3} rows {seconds:7.1f} of {limit:6.1f}{mark}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    option = session.config.option
    if hasattr(session.config, "workerinput") or session.exitstatus != 0:
        return
    margin = option.account_margin
    if margin is None and not option.keyword and not option.file_or_dir:
        margin = MARGIN
    if margin is not None and _over(margin):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
