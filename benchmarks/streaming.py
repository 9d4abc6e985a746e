"""Training from a Parquet file that is streamed, beside training on the same rows in memory.

Prints for both the rows a second and the AUC, and for the streamed one the resident memory above the libraries. The file is
*sorted by label*, which is the hard case for a shuffle buffer. Each side runs in a process of its own, several times in turn.

    python benchmarks/streaming.py --megabytes 2000 --repeats 5 --threads 1 2
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.data.streams import StreamedBatches
from fivefold.workbench.bench import Score

FEATURES = 50
COLUMNS = [f"x{k}" for k in range(FEATURES)]
MEMORY, TIME, AUC = 1000.0, 1.3, 0.01  # MB above the libraries, ratio of seconds a row, difference: upper limits
_CHILD_OPTIONS = ("batch_size", "hidden", "epochs", "readers")


def rows_of(labels: np.ndarray, stream: int) -> np.ndarray:
    """Return features for given labels: half of them shifted, half of them spread by the label; shape (n, 50), float32."""
    draw = Streams(0).numpy("benchmark/streaming", stream)
    x = draw.standard_normal((len(labels), FEATURES), dtype=np.float32)
    sign = (2.0 * labels - 1.0).astype(np.float32)[:, None]
    x[:, :25] += 0.08 * sign
    x[:, 25:] *= 1.0 + 0.05 * sign
    return x


def write_file(path: Path, rows: int, group_rows: int) -> None:
    """Write ``rows`` rows sorted by label, 40 % of label 1."""
    schema = pa.schema([*((name, pa.float32()) for name in COLUMNS), ("y", pa.int8())])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for number, start in enumerate(range(0, rows, group_rows)):
            labels = (np.arange(start, min(start + group_rows, rows)) >= 0.6 * rows).astype(np.int8)
            x = rows_of(labels, number)
            writer.write_table(pa.table([*(pa.array(x[:, k]) for k in range(FEATURES)), labels], schema=schema))


def resident(field: str = "VmRSS") -> float:
    """Return this process's resident memory in MB: now (VmRSS) or at its peak (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def train(batches: Any, hidden: int, epochs: int) -> tuple[nn.Module, float, float]:
    """Train with Adam and return the model, the seconds it took and those of all processors."""
    torch.manual_seed(0)
    model = nn.Linear(FEATURES, 1)
    if hidden:
        model = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss = nn.BCEWithLogitsLoss()
    start, used = time.perf_counter(), time.process_time()
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            loss(model(batch.x).squeeze(1), batch.y.float()).backward()
            optimizer.step()
    return model, time.perf_counter() - start, time.process_time() - used


def auc(model: nn.Module) -> float:
    """Return the area under the ROC curve on 200,000 new rows."""
    from sklearn.metrics import roc_auc_score

    labels = (np.arange(200_000) % 5 >= 3).astype(np.int8)
    with torch.no_grad():
        score = model(torch.from_numpy(rows_of(labels, 10**6))).squeeze(1)
    return float(roc_auc_score(labels, score.numpy()))


def child(side: str, path: Path, given: argparse.Namespace) -> None:
    """Train one side in this process and print its figures as JSON."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    # The readers' threads count: torch leaves them their share, as it should whenever rows are streamed.
    torch.set_num_threads(max(1, threads - given.readers) if side == "streamed" else threads)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    libraries = resident()
    if side == "streamed":
        batches: Any = StreamedBatches(path, given.batch_size, fields={"x": COLUMNS, "y": "y"}, readers=given.readers)
    else:
        table = pq.read_table(path)
        x = np.empty((table.num_rows, FEATURES), dtype=np.float32)
        for k, name in enumerate(COLUMNS):
            x[:, k] = table[name].to_numpy()
        batches = Batches({"x": x, "y": table["y"].to_numpy()}, given.batch_size)
        del table
    model, seconds, used = train(batches, given.hidden, given.epochs)
    memory = resident("VmHWM") - libraries
    rows = batches.rows * given.epochs
    print(json.dumps({"time": seconds / rows, "processor": used / rows, "memory": memory, "auc": auc(model)}))


def measure(path: Path, given: argparse.Namespace, threads: int) -> Score:
    """Run both sides in turn, each in a process of its own, and print what they took."""
    found: dict[str, list[dict[str, float]]] = {"streamed": [], "memory": []}
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in vars(given).items() if name in _CHILD_OPTIONS]
    for _ in range(given.repeats):
        for side, results in found.items():
            command = [sys.executable, __file__, *options, "--child", side, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **limits})
            results.append(json.loads(done.stdout.splitlines()[-1]))
    time_of = {side: statistics.median(r["time"] for r in results) for side, results in found.items()}
    for side, results in found.items():
        print(
            f"threads {threads}  {side:9s}{1e-3 / time_of[side]:8.1f} thousand rows/s   "
            f"{1e6 * statistics.median(r['processor'] for r in results):.2f} processor seconds a million rows   "
            f"AUC {results[0]['auc']:.4f}   memory above the libraries {max(r['memory'] for r in results):.0f} MB"
        )
    ratio = statistics.median(a["time"] / b["time"] for a, b in zip(*found.values()))
    memory = max(r["memory"] for r in found["streamed"])
    difference = abs(found["streamed"][0]["auc"] - found["memory"][0]["auc"])
    for name, value, limit in zip(
        ("time ratio", "memory in MB", "AUC difference"), (ratio, memory, difference), (TIME, MEMORY, AUC)
    ):
        print(f"threads {threads}  {name:15s}{value:10.4f}   limit {limit:g}   {'ok' if value <= limit else 'MISSED'}")
    return Score(
        name=f"streamed training, {path.stat().st_size / 1e6:.0f} MB sorted by label",
        threads=threads,
        ours=ratio * time_of["memory"],
        peer=time_of["memory"],
        our_quality=found["streamed"][0]["auc"],
        peer_quality=found["memory"][0]["auc"],
        sound=memory <= MEMORY and difference <= AUC,
        target=TIME,
    )


def main(threads: Sequence[int] = (1,), arguments: Sequence[str] = ()) -> list[Score]:
    """Write the file and compare both sides under each thread limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=2000.0, help="size of the file")
    parser.add_argument("--group-rows", type=int, default=122_880, help="rows of a Parquet row group")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--hidden", type=int, default=256, help="units of the hidden layer; 0 for logistic regression")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=list(threads), help="threads of each side, readers included"
    )
    parser.add_argument("--readers", type=int, default=1, help="reader threads of the streamed side")
    parser.add_argument("--directory", default=None, help="where the file is written; default a temporary directory")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args(list(arguments))
    if given.child:
        child(given.child[0], Path(given.child[1]), given)
        return []
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        path = Path(directory) / "sorted.parquet"
        write_file(path, int(given.megabytes * 1e6 / (4 * FEATURES + 1)), given.group_rows)
        return [measure(path, given, count) for count in given.threads]


if __name__ == "__main__":
    raise SystemExit(int(not all(score.passed for score in main(arguments=sys.argv[1:]))))
