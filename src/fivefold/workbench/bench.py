"""Benchmarks: ours and the peer interleaved in one process on the same data, under the same thread limits.

A file in ``benchmarks/`` builds :class:`Contest` values and hands them to :func:`play`. The ratio is our median time
divided by the peer's: below 1 is faster. Compilation happens in the warm-up, outside the clock; conversion and binning
inside. A contest whose quality floor is missed fails, however fast.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fivefold.base.errors import InputError
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
    """

    name: str
    ours: Callable[[int], Any]
    peer: Callable[[int], Any]
    quality: Callable[[list[Any], list[Any]], tuple[float, float, bool]]
    target: float | None = 1.0
    repeats: int = 5


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

    @property
    def ratio(self) -> float:
        """Our median time divided by the peer's."""
        return self.ours / self.peer

    @property
    def passed(self) -> bool:
        """Whether quality is sound and the ratio meets the target."""
        return self.sound and (self.target is None or self.ratio <= self.target * PASSES_AT)


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
            with thread_limit(limit):
                contest.ours(0), contest.peer(0)  # warm-up: compilation, caches, first touch of memory
                ours: list[tuple[float, Any]] = []
                peer: list[tuple[float, Any]] = []
                for run in range(contest.repeats):
                    ours.append(_timed(contest.ours, run))
                    peer.append(_timed(contest.peer, run))
                quality = contest.quality([r for _, r in ours], [r for _, r in peer])
            medians = (statistics.median(t for t, _ in ours), statistics.median(t for t, _ in peer))
            ours_median, peer_median = medians
            score = Score(contest.name, limit, ours_median, peer_median, *quality, target=contest.target)
            scores.append(score)
            sys.stderr.write(line(score) + "\n")
    return scores


def line(score: Score) -> str:
    """Return one line about a score."""
    verdict = "ok" if score.passed else ("too slow" if score.sound else "QUALITY MISSED")
    return (
        f"{score.name}  threads={score.threads}  ours {score.ours:.4g} s  peer {score.peer:.4g} s"
        f"  ratio {score.ratio:.3f}  quality {score.our_quality:.6g} / {score.peer_quality:.6g}  {verdict}"
    )


def benchmark_files(folder: Path | None = None) -> dict[str, Path]:
    """Return the benchmarks of a checkout by name."""
    place = folder or Path.cwd() / "benchmarks"
    if not place.is_dir():
        raise InputError(f"There is no folder {place}; run `fivefold bench` in a checkout of fivefold.")
    return {p.stem.replace("_", "-"): p for p in sorted(place.glob("*.py")) if not p.name.startswith("_")}


def bench(names: Sequence[str] = (), *, threads: Sequence[int] = (1, 2), folder: Path | None = None) -> list[Score]:
    """Run benchmarks by name, all by default.

    Raises
    ------
    UnknownNameError
        When no file of that name is there.
    """
    files = benchmark_files(folder)
    chosen = [resolve(name, files, "benchmark") for name in names] or list(files)
    scores: list[Score] = []
    for name in chosen:
        spec = importlib.util.spec_from_file_location(f"benchmarks_{name.replace('-', '_')}", files[name])
        if spec is None or spec.loader is None:
            raise InputError(f"{files[name]} cannot be loaded as a module.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        scores.extend(module.main(threads=threads))
    return scores
