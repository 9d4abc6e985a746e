"""Two processes train what one trains."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from engine_learners import gap, weights
from engine_scenarios import SCENARIOS

from fivefold.base import codec
from fivefold.base.errors import InputError
from fivefold.engine.distribution import join, launch_command
from fivefold.engine.trainer import Trainer

HERE = Path(__file__).parent


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("ranks")
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": str(HERE),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "engine_worker", str(out)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=HERE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return [codec.load(out / f"rank-{rank}") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_two_processes_equal_one(two, name):
    learner, source, validation, settings = SCENARIOS[name]()
    history = Trainer(**settings).fit(learner, source, validation)
    bound = 1e-5 if name == "single" else 1e-9
    for rank in two:
        assert gap(weights(learner), rank[name]["weights"]) <= bound
        assert rank[name]["counters"] == history.counters
        for mine, theirs in zip(history.epochs, rank[name]["epochs"], strict=True):
            # Logs of a learner are the first process's own; losses, metrics and rates are global.
            for key in mine.keys() - {"real"}:
                assert theirs[key] == pytest.approx(mine[key], rel=max(bound, 1e-9) * 10)
    assert gap(two[0][name]["weights"], two[1][name]["weights"]) == 0


def test_several_devices_need_several_processes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(InputError, match="2 devices need 2 processes"):
        join("cpu", 2)
    assert join("cpu").size == 1


def test_launch_command_is_torchrun():
    command = launch_command(["fivefold", "run", "mlp"], 2)
    assert command[1:] == [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "fivefold",
        "run",
        "mlp",
    ]
