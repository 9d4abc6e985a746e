"""Two processes train the real methods to the weights that one process reaches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fivefold.base import codec

pytestmark = pytest.mark.slow
WORKER = str(Path(__file__).with_name("devices_worker.py"))


def weights(name: str, precision: str, batches: int, devices: int, place: Path) -> dict:
    start = [sys.executable] if devices == 1 else [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    start += [] if devices == 1 else ["--nproc-per-node", str(devices)]
    command = [*start, WORKER, name, precision, str(batches), str(devices), str(place)]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return codec.load(place)


@pytest.mark.parametrize(
    ("name", "precision", "batches", "bound"),
    [
        ("mlp", "64-true", 200, 1e-9),
        ("gan", "64-true", 200, 1e-9),
        ("wgan-gp", "64-true", 200, 1e-9),
        ("mlp", "32-true", 20, 1e-5),
        ("gan", "32-true", 20, 1e-5),
    ],
)
def test_two_processes_equal_one(name: str, precision: str, batches: int, bound: float, tmp_path: Path) -> None:
    one, two = (weights(name, precision, batches, n, tmp_path / str(n)) for n in (1, 2))
    worst = max(float((one[key].double() - two[key].double()).abs().max()) for key in one)
    assert worst <= bound
