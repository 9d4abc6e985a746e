"""A training of the phase command that was cut off: it goes on as it was, or says why it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fivefold.base.errors import SpecError
from fivefold.workbench.phases import run_phase
from fivefold.workbench.phases_flags import parse_flags
from fivefold.workbench.phases_training import STARTED


def lines_of(place: Path, rows: int) -> None:
    draw = np.random.default_rng(0)
    a, b = draw.integers(0, 5, rows), draw.integers(0, 5, rows)
    place.mkdir()
    text = "".join(f"{(i + j) % 2} {i}:1 {5 + j}:1\n" for i, j in zip(a.tolist(), b.tolist()))
    (place / "train.txt").write_text(text)


def flags_of(data: Path, out: Path) -> list[str]:
    words = ["--phase=train", f"--data_dir={data}", f"--model_dir={out}", "--field_size=2", "--feat_size=10"]
    words += ["--embed_size=3", "--batch_size=20", "--epochs=3", "--dropouts=0.2,0.2", "--hidden_sizes=8,4"]
    return [*words, "--noperform_valid_during_train", "--save_checkpoints_steps=7", "--log_step_count_steps=5"]


def test_another_training_is_refused(tmp_path):
    lines_of(tmp_path / "data", 60)
    words = flags_of(tmp_path / "data", tmp_path / "m")
    run_phase(parse_flags(words))
    assert not (tmp_path / "m" / STARTED).exists()
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "m" / "metrics.jsonl").read_text().splitlines()]
    assert kinds == ["epoch", "batch", "epoch", "epoch"]  # nine batches, a line every five
    lines_of(tmp_path / "more", 80)
    other = flags_of(tmp_path / "more", tmp_path / "m")
    (tmp_path / "m" / STARTED).write_text("{}")
    told = (
        "A training in .* was cut off that differs in --model, .*--seed, the lines of train.; repeat it as it was, or"
    )
    with pytest.raises(SpecError, match=told):
        run_phase(parse_flags(other))
    (tmp_path / "m" / STARTED).unlink()
    assert run_phase(parse_flags(other))["rows"] == 80


@pytest.mark.slow
def test_killed_and_repeated_gives_the_same_weights(tmp_path):
    lines_of(tmp_path / "data", 1500)

    def start(out: Path, kill: bool) -> None:
        command = [sys.executable, "-m", "fivefold.cli", "phase", *flags_of(tmp_path / "data", out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        log = out / "metrics.jsonl"
        while kill and not (log.is_file() and len(log.read_text().splitlines()) > 20):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        if kill:
            os.kill(process.pid, signal.SIGKILL)
        told = process.communicate(timeout=300)[1]
        assert process.returncode == (-signal.SIGKILL if kill else 0), told
        assert kill or ("it goes on from its last checkpoint" in told) == (out.name == "cut")

    start(tmp_path / "whole", False)
    start(tmp_path / "cut", True)
    assert (tmp_path / "cut" / STARTED).is_file() and not (tmp_path / "cut" / "model").exists()
    start(tmp_path / "cut", False)
    found = [load_file(tmp_path / name / "model" / "arrays.safetensors") for name in ("whole", "cut")]
    assert found[0].keys() == found[1].keys()
    assert all(values.tobytes() == found[1][name].tobytes() for name, values in found[0].items())
