"""Killed at any moment, a run resumes to the same weights, to the bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow
KILLS = 10
SETTINGS = {
    "lenet5": ["--set", "trainer.max_epochs=1"],
    "gan": ["--set", "trainer.max_epochs=2"],
}


def command(name: str, place: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "fivefold.cli", "run", name, "--out", str(place), *SETTINGS[name], *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def weights(place: Path) -> dict[str, bytes]:
    return {k: v.tobytes() for k, v in load_file(place / "model" / "arrays.safetensors").items()}


def writes_a_checkpoint(place: Path) -> bool:
    """Whether a directory with a temporary name stands among the checkpoints."""
    folder = place / "checkpoints"
    return folder.is_dir() and any(entry.startswith(".") for entry in os.listdir(folder))


def kill(name: str, place: Path, moment: float | None) -> None:
    """Start a run and kill it after ``moment`` seconds, or while it writes a checkpoint."""
    process = subprocess.Popen(
        command(name, place), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    start = time.monotonic()
    while process.poll() is None:
        if moment is None and writes_a_checkpoint(place):
            break
        if moment is not None and time.monotonic() - start >= moment:
            break
        time.sleep(0 if moment is None else 0.01)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("name", list(SETTINGS))
def test_killed_anywhere_it_resumes_to_the_same_weights(name: str, tmp_path: Path) -> None:
    if name == "lenet5" and not os.environ.get("FIVEFOLD_DATA_MIRROR"):
        pytest.skip("MNIST is not at hand; set FIVEFOLD_DATA_MIRROR")
    start = time.monotonic()
    subprocess.run(command(name, tmp_path / "whole"), env=environment(), check=True, capture_output=True)
    duration = time.monotonic() - start
    expected = weights(tmp_path / "whole")
    stream = random.Random(0)
    for number in range(KILLS):
        place = tmp_path / f"killed-{number}"
        # The first seconds are imports; a run that was not begun has nothing to resume, so it is started again.
        kill(name, place, None if number == 0 else stream.uniform(0.2, 0.95) * duration)
        if (place / "run.json").exists():
            resumed = [sys.executable, "-m", "fivefold.cli", "run", "--resume", str(place)]
        else:
            resumed = command(name, place)
        done = subprocess.run(resumed, env=environment(), check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"kill {number}: {done.stderr[-2000:]}"
        assert weights(place) == expected, f"kill {number} ended in other weights"
