"""What a comparison costs beyond its methods: wall clock of the whole command beside the sum of their fits and predictions.

On 100,000 x 50 with the default methods at most 15 % more. On 1,000,000 x 50 the fast methods end within ten minutes, and all
processes together stay within 6 GiB.

Run: python benchmarks/comparison.py [--rows 100000 1000000] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from fivefold.workbench.bench import PASSES_AT, Score

FEATURES = 50
OVERHEAD, SECONDS, MEMORY = 1.15, 600.0, 6.0  # ratio, wall clock and GiB of the large table: upper limits
FAST = "logistic-regression,gaussian-naive-bayes,cart-classifier"


def write_table(path: Path, rows: int) -> None:
    """Write a table of numbers with a category and missing values, and a binary target that depends on some of them."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, FEATURES - 1)).astype(np.float32)
    town = draw.integers(0, 12, rows)
    logit = x[:, :5].sum(axis=1) / 2 + x[:, 5] * x[:, 6] + (town == 3)
    columns = {f"x{k}": x[:, k] for k in range(FEATURES - 1)}
    columns["x0"] = np.where(draw.random(rows) < 0.1, np.float32("nan"), x[:, 0])
    label = (draw.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    pl.DataFrame({**columns, "town": np.char.add("town ", town.astype(str)), "label": label}).write_parquet(path)


def memory_of(process: int) -> float:
    """Return the memory of a process and all below it in GiB; shared pages count once."""
    total, found = 0, [process]
    while found:
        number = found.pop()
        try:
            rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{number}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError, StopIteration, PermissionError):
            continue  # it ended meanwhile
    return total / 2**20


def run_once(table: Path, out: Path, methods: str, threads: int) -> tuple[float, float, float]:
    """Run the command once; return wall clock, the methods' own seconds and the peak of memory in GiB."""
    command = [sys.executable, "-m", "fivefold.cli", "compare", str(table), "--target", "label", "--out", str(out)]
    command += ["--threads", str(threads), *(["--methods", methods] if methods else [])]
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.2)
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    cells = [json.loads(path.read_text()) for path in (out / "cells").glob("*/*.json")]
    own = sum(cell["fit_seconds"] + cell["predict_seconds"] + cell["tune_seconds"] for cell in cells)
    return wall, own, peak


def measure(rows: int, runs: int, threads: int) -> Score:
    """Return wall clock beside the methods' own time, medians over runs, and print the memory."""
    large = rows >= 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "table.parquet"
        write_table(table, rows)
        found = [run_once(table, Path(directory) / f"run-{k}", FAST if large else "", threads) for k in range(runs)]
    ratios = [wall / own for wall, own, _ in found]
    wall, own, peak = found[int(np.argsort(ratios)[len(ratios) // 2])]
    print(
        f"{rows:,} x {FEATURES}: {wall:.1f} s, of these {own:.1f} s in the methods; peak {max(p for *_, p in found):.2f} GiB"
    )
    return Score(
        name=f"comparison of {rows:,} x {FEATURES}",
        threads=threads,
        ours=wall,
        peer=own,
        our_quality=peak,
        peer_quality=MEMORY,
        sound=not large or (wall <= SECONDS and peak <= MEMORY),
        target=None if large else OVERHEAD / PASSES_AT,
    )


def main(threads: Sequence[int] = (1,), rows: Sequence[int] = (100_000, 1_000_000), runs: int = 3) -> list[Score]:
    """Measure every size under each thread limit; the large one once."""
    return [measure(n, runs if n < 1_000_000 else 1, count) for count in threads for n in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    raise SystemExit(int(not all(score.passed for score in main(given.threads, given.rows, given.runs))))
