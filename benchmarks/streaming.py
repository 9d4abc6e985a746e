"""Training from a Parquet file that is streamed, beside training on the same rows in memory.

Prints for both the rows a second and the AUC, and for the streamed one the resident memory above the libraries. The file is
*sorted by label*, which is the hard case for a shuffle buffer. Each side runs in a process of its own, several times in turn.

    python benchmarks/streaming.py --megabytes 2000 --repeats 5
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

FEATURES = 50
COLUMNS = [f"x{k}" for k in range(FEATURES)]
LIMITS = {"memory_mb": 1000.0, "time_ratio": 1.3, "auc_difference": 0.01}


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


def train(batches: Any, hidden: int, epochs: int) -> tuple[nn.Module, float]:
    """Train with Adam and return the model and the seconds it took."""
    torch.manual_seed(0)
    model = nn.Linear(FEATURES, 1)
    if hidden:
        model = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss = nn.BCEWithLogitsLoss()
    start = time.perf_counter()
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            loss(model(batch.x).squeeze(1), batch.y.float()).backward()
            optimizer.step()
    return model, time.perf_counter() - start


def auc(model: nn.Module) -> float:
    """Return the area under the ROC curve on 200,000 new rows."""
    from sklearn.metrics import roc_auc_score

    labels = (np.arange(200_000) % 5 >= 3).astype(np.int8)
    with torch.no_grad():
        score = model(torch.from_numpy(rows_of(labels, 10**6))).squeeze(1)
    return float(roc_auc_score(labels, score.numpy()))


def child(side: str, path: Path, arguments: argparse.Namespace) -> None:
    """Train one side in this process and print its figures as JSON."""
    torch.set_num_threads(arguments.threads)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    libraries = resident()
    if side == "streamed":
        batches: Any = StreamedBatches(
            path, arguments.batch_size, fields={"x": COLUMNS, "y": "y"}, readers=arguments.readers
        )
    else:
        table = pq.read_table(path)
        x = np.empty((table.num_rows, FEATURES), dtype=np.float32)
        for k, name in enumerate(COLUMNS):
            x[:, k] = table[name].to_numpy()
        batches = Batches({"x": x, "y": table["y"].to_numpy()}, arguments.batch_size)
        del table
    model, seconds = train(batches, arguments.hidden, arguments.epochs)
    memory = resident("VmHWM") - libraries
    facts = {"seconds": seconds, "rows": batches.rows * arguments.epochs, "memory_mb": memory, "auc": auc(model)}
    print(json.dumps(facts))


def main() -> int:
    """Run both sides in turn and compare them with the limits; the exit status says whether they hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=2000.0, help="size of the file")
    parser.add_argument("--group-rows", type=int, default=122_880, help="rows of a Parquet row group")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--hidden", type=int, default=256, help="units of the hidden layer; 0 for logistic regression")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, for both sides")
    parser.add_argument("--readers", type=int, default=1, help="reader threads of the streamed side")
    parser.add_argument("--directory", default=None, help="where the file is written; default a temporary directory")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]), arguments)
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        path = Path(directory) / "sorted.parquet"
        write_file(path, int(arguments.megabytes * 1e6 / (4 * FEATURES + 1)), arguments.group_rows)
        size = path.stat().st_size / 1e6
        found: dict[str, list[dict[str, float]]] = {"streamed": [], "memory": []}
        for _ in range(arguments.repeats):
            for side, results in found.items():
                command = [sys.executable, __file__, *sys.argv[1:], "--child", side, str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
                results.append(json.loads(done.stdout.splitlines()[-1]))
    per_row = {side: [r["seconds"] / r["rows"] for r in results] for side, results in found.items()}
    for side, results in found.items():
        print(
            f"{side:9s} {1e-3 / statistics.median(per_row[side]):8.1f} thousand rows/s   AUC {results[0]['auc']:.4f}   "
            f"memory above the libraries {max(r['memory_mb'] for r in results):.0f} MB"
        )
    figures = {
        "memory_mb": max(r["memory_mb"] for r in found["streamed"]),
        "time_ratio": statistics.median(a / b for a, b in zip(per_row["streamed"], per_row["memory"])),
        "auc_difference": abs(found["streamed"][0]["auc"] - found["memory"][0]["auc"]),
    }
    print(
        f"file {size:.0f} MB, sorted by label, row groups of {arguments.group_rows} rows; {arguments.repeats} runs each"
    )
    for name, value in figures.items():
        print(f"{name:15s} {value:9.4f}   limit {LIMITS[name]:g}   {'ok' if value <= LIMITS[name] else 'MISSED'}")
    return int(any(value > LIMITS[name] for name, value in figures.items()))


if __name__ == "__main__":
    raise SystemExit(main())
