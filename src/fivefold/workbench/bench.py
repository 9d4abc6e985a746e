"""Benchmarks: ours and the peer interleaved in one process on the same data, under the same thread limits.

A file in ``benchmarks/`` builds :class:`Contest` values and hands them to :func:`play`. The ratio is our median time
divided by the peer's: below 1 is faster. Compilation happens in the warm-up, outside the clock; conversion and binning
inside. A contest whose quality floor is missed fails, however fast. What a contest raises is its score, and the others go on.
:func:`bench` runs each file in a process of its own and hands on every score as soon as it is there.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fivefold.base.errors import InputError, SpecError
from fivefold.base.names import resolve

PASSES_AT = 1.03
"""A target of at most 1.0 passes at this ratio: the noise of a median of five."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One comparison.

    Parameters
    ----------
    name : str
        What is measured, with the size: "logistic-regression 500k x 50".
    ours, peer : callable(run) -> result
        One whole run; ``run`` counts from 0 and may serve as seed.
    quality : callable(list of ours, list of peer's results) -> (our quality, peer's quality, sound)
        Judges the results; ``sound`` is False when ours is not good enough.
    target : float
        Largest ratio that passes (with the tolerance of a median); None measures only.
    warm : callable(), optional
        Stands for the whole run of each side before the clock starts, where a small one compiles all there is.
    """

    name: str
    ours: Callable[[int], Any]
    peer: Callable[[int], Any]
    quality: Callable[[list[Any], list[Any]], tuple[float, float, bool]]
    target: float | None = 1.0
    repeats: int = 5
    warm: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Score:
    """What a contest gave under one thread limit."""

    name: str
    threads: int
    ours: float
    peer: float
    our_quality: float
    peer_quality: float
    sound: bool
    target: float | None
    error: str = ""

    @property
    def ratio(self) -> float:
        """Our median time divided by the peer's."""
        return self.ours / self.peer

    @property
    def passed(self) -> bool:
        """Whether quality is sound and the ratio meets the target."""
        return not self.error and self.sound and (self.target is None or self.ratio <= self.target * PASSES_AT)

    @property
    def verdict(self) -> str:
        """What came out, in a word or two, or what was raised."""
        if self.error:
            return f"failed: {self.error}"
        return "ok" if self.passed else ("too slow" if self.sound else "quality missed")

    @classmethod
    def failed(cls, name: str, threads: int, error: str, target: float | None = None) -> Score:
        """Return the score of a contest that came to no end."""
        return cls(name, threads, math.nan, math.nan, math.nan, math.nan, False, target, error)


@contextlib.contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Limit OpenMP, BLAS, Numba and torch alike."""
    import numba
    import threadpoolctl
    import torch

    before = (torch.get_num_threads(), numba.get_num_threads())
    with threadpoolctl.threadpool_limits(threads):
        torch.set_num_threads(threads)
        numba.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            numba.set_num_threads(before[1])


def _timed(function: Callable[[int], Any], run: int) -> tuple[float, Any]:
    gc.collect()
    start = time.perf_counter()
    result = function(run)
    return time.perf_counter() - start, result


def play(contests: Sequence[Contest], threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run contests under each thread limit, printing a line for each."""
    scores = []
    for contest in contests:
        for limit in threads:
            try:
                score = _play(contest, limit)
            except Exception as error:  # noqa: BLE001 - whatever a contest raises is its score, shown with its name
                traceback.print_exception(error)
                score = Score.failed(contest.name, limit, one_line(error), contest.target)
            scores.append(score)
            announce(score)
    return scores


def _play(contest: Contest, limit: int) -> Score:
    with thread_limit(limit):
        if contest.warm is None:
            contest.ours(0), contest.peer(0)  # compilation, caches, first touch of memory
        else:
            contest.warm()
        ours: list[tuple[float, Any]] = []
        peer: list[tuple[float, Any]] = []
        for run in range(contest.repeats):
            ours.append(_timed(contest.ours, run))
            peer.append(_timed(contest.peer, run))
        mine, theirs, sound = contest.quality([r for _, r in ours], [r for _, r in peer])
    medians = (statistics.median(t for t, _ in ours), statistics.median(t for t, _ in peer))
    return Score(contest.name, limit, *medians, mine, theirs, sound, contest.target)


def one_line(error: BaseException) -> str:
    """Return class and text of an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


_STDERR = 2
_listeners: list[Callable[[Score], None]] = []


@contextlib.contextmanager
def listening(listener: Callable[[Score], None]) -> Iterator[None]:
    """Hand every score of :func:`play` to ``listener`` as soon as it is there."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(score: Score) -> None:
    """Print a score and hand it to whoever listens."""
    sys.stderr.write(line(score) + "\n")
    for listener in _listeners:
        listener(score)


def line(score: Score) -> str:
    """Return one line about a score."""
    if score.error:
        return f"{score.name}  threads={score.threads}  {score.verdict}"
    return (
        f"{score.name}  threads={score.threads}  ours {score.ours:.4g} s  peer {score.peer:.4g} s"
        f"  ratio {score.ratio:.3f}  quality {score.our_quality:.6g} / {score.peer_quality:.6g}  {score.verdict}"
    )


def benchmark_files(folder: Path | None = None) -> dict[str, Path]:
    """Return the benchmarks of a checkout by name."""
    place = folder or Path.cwd() / "benchmarks"
    if not place.is_dir():
        raise InputError(f"There is no folder {place}; run `fivefold bench` in a checkout of fivefold.")
    return {p.stem.replace("_", "-"): p for p in sorted(place.glob("*.py")) if not p.name.startswith("_")}


def benchmark_groups(folder: Path | None = None) -> dict[str, list[str]]:
    """Return the groups that ``benchmarks/groups.toml`` names: lists of benchmarks in the order of their run."""
    path = (folder or Path.cwd() / "benchmarks") / "groups.toml"
    if not path.is_file():
        return {}
    groups = tomllib.loads(path.read_text(encoding="utf8"))
    for name, members in groups.items():
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise SpecError(f"{path} gives the group {name!r} as {members!r}; give a list of names of benchmarks.")
    return groups


def chosen_benchmarks(names: Sequence[str], folder: Path | None = None) -> list[str]:
    """Return the benchmarks that names of benchmarks and of groups stand for, each once; all without names.

    Raises
    ------
    UnknownNameError
        When neither a file nor a group has that name.
    """
    files, groups = benchmark_files(folder), benchmark_groups(folder)
    found: list[str] = []
    for name in names or files:
        known = resolve(name, [*files, *groups], "benchmark")
        found.extend(groups.get(known, [known]))
    return list(dict.fromkeys(found))


def bench(
    names: Sequence[str] = (),
    *,
    threads: Sequence[int] = (1, 2),
    folder: Path | None = None,
    report: Callable[[str, Score], None] | None = None,
) -> list[Score]:
    """Run benchmarks by name or group, all by default, each file in a process of its own.

    ``report`` receives the name of the benchmark and a score as soon as a contest ends. A file that is missing, crashes or is
    killed gives a failed score of its name; the others run.

    Raises
    ------
    UnknownNameError
        When neither a file nor a group has that name.
    """
    files = benchmark_files(folder)
    scores: list[Score] = []
    for name in chosen_benchmarks(names, folder):
        for score in _run_file(name, files.get(name), threads):
            scores.append(score)
            if report is not None:
                report(name, score)
    return scores


def _run_file(name: str, path: Path | None, threads: Sequence[int]) -> Iterator[Score]:
    """Yield the scores of a benchmark as they come."""
    if path is None:
        yield Score.failed(name, 0, f"there is no benchmarks/{name.replace('-', '_')}.py")
        return
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "scores.jsonl"
        out.touch()
        command = [sys.executable, "-m", "fivefold.workbench.bench_file", str(path), str(out), *map(str, threads)]
        # Answers belong to the parent's stdout: what a file prints goes to stderr.
        process = subprocess.Popen(command, stdout=_STDERR)
        with out.open(encoding="utf8") as lines:
            try:
                while True:
                    status = process.poll()
                    yield from _complete_lines(lines)
                    if status is not None:
                        break
                    time.sleep(0.2)
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait()
        if status:
            yield Score.failed(name, 0, f"its process ended with {_reason(status)}")


def _complete_lines(lines: Any) -> Iterator[Score]:
    while True:
        place = lines.tell()
        text = lines.readline()
        if not text.endswith("\n"):
            lines.seek(place)
            return
        yield Score(**json.loads(text))


def _reason(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    return f"signal {signal.Signals(-status).name}"


def encoded(score: Score) -> str:
    """Return a score as a line of JSON, of which :class:`Score` can be made again."""
    values = asdict(score)
    # Judges often answer with numpy's numbers, which JSON refuses.
    values |= {name: float(values[name]) for name in ("ours", "peer", "our_quality", "peer_quality")}
    values["sound"] = bool(values["sound"])
    return json.dumps(values) + "\n"
