"""A click log that is streamed beside the same training in memory: rows a second, resident memory, and the order of the rows.

The log is synthetic (39 fields), written as Parquet sorted by label, the hard case for a shuffle buffer; as text it has about 230
bytes a row, so that 22 million rows are 5 GB. In memory a million rows train, which is all the peer's rate needs. Each side runs
in a process of its own. Fails below 0.8 of the rate, above 1.5 GB, or where the area under the ROC curve of a million sorted
rows lies more than .005 below that of the same rows in memory.

    python benchmarks/click_streaming.py --rows 22000000
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
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fivefold.data.synthetic_clicks import synthetic_clicks
from fivefold.evaluation.registry import get_metric
from fivefold.models.recommend import DeepFM
from fivefold.workbench.bench import Score, announce

RATE, MEMORY, AUC = 0.8, 1500.0, 0.005
PART, IN_MEMORY, HELD, GROUP = 500_000, 1_000_000, 100_000, 20_000
HOW: dict[str, Any] = {"batch_size": 4096, "max_epochs": 1, "random_state": 0}


def write(path: Path, rows: int) -> None:
    """Write parts of the log, first all rows without a click, then those with one."""
    names = sorted({f"part-{first}" for first in range(0, rows, PART)}, key=lambda n: int(n[5:]))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for number, name in enumerate(names):
            frame = synthetic_clicks(min(PART, rows - number * PART), seed=1, part=number).frame
            frame.cast(pl.Int32).write_parquet(Path(folder, name))
        writer = None
        for label in (0, 1):
            for name in names:
                table = pl.read_parquet(Path(folder, name)).filter(pl.col("click") == label).to_arrow()
                writer = writer or pq.ParquetWriter(path, table.schema)
                writer.write_table(pa.table(table), row_group_size=GROUP)
        if writer is not None:
            writer.close()


def resident() -> float:
    """Return the peak of this process's resident memory in MB."""
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith("VmHWM"):
            return int(text.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def child(mode: str, path: Path) -> None:
    """Train and print rows, seconds, memory and the area on rows held out."""
    import torch

    torch.set_num_threads(1)
    count = pq.ParquetFile(path).metadata.num_rows
    start = time.perf_counter()
    if mode == "memory":
        frame = pl.read_parquet(path)
        model = DeepFM(**HOW).fit(frame, "click")
    else:
        model = DeepFM(**HOW).fit_stream(path, "click")
    seconds, peak = time.perf_counter() - start, resident()
    test = synthetic_clicks(HELD, seed=1, part=10_000).frame
    area = get_metric("roc-auc").function(test["click"].to_numpy(), model.predict_proba(test)[:, 1])
    print(json.dumps({"rows": count, "seconds": seconds, "memory": peak, "auc": float(area)}))


def run(mode: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", mode, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {mode}: {found}", flush=True)
    return found


def main(threads: Sequence[int] = (1,), rows: int = 4_000_000) -> list[Score]:
    """Write the logs and train."""
    with tempfile.TemporaryDirectory() as folder:
        long, short = Path(folder, "long.parquet"), Path(folder, "short.parquet")
        write(short, min(rows, IN_MEMORY))
        memory, sorted_ = run("memory", short), run("stream", short)
        write(long, rows)
        stream = run("stream", long)
    ours, peer = (found["seconds"] / found["rows"] * 1e6 for found in (stream, memory))
    sound = stream["memory"] <= MEMORY and sorted_["auc"] >= memory["auc"] - AUC
    what = f"{rows} clicks streamed ({stream['memory']:.0f} MB), seconds a million rows beside memory"
    score = Score(what, 1, ours, peer, sorted_["auc"], memory["auc"], sound, 1 / RATE)
    announce(score)
    return [score]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--child", nargs=2, metavar=("MODE", "PATH"))
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
    else:
        sys.exit(not all(score.passed for score in main(rows=given.rows)))
