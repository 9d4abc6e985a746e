"""Runs: what they leave behind, how they end, how they go on, what is found again."""

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

import fivefold
from fivefold.base import codec
from fivefold.base.errors import ArtifactError, DataError, FivefoldError, InputError, UnknownNameError
from fivefold.workbench.run import RunInterrupted
from fivefold.workbench.store import RunStore, read_record


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIVEFOLD_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_a_run_leaves_everything(runs: Path) -> None:
    record = fivefold.run("ridge-regression", overrides=["model.alpha=2.5"], seed=3)
    place = record.directory
    assert place.parent == runs
    assert place.name.endswith("-ridge-regression")
    for file in ("spec.yaml", "run.json", "report.html", "model/manifest.json", "figures/predicted.png"):
        assert (place / file).stat().st_size > 0, file
    assert read_record(place) == record
    assert record.status == "finished"
    assert record.seed == 3
    assert record.data is not None
    assert record.data.rows == 442
    assert record.origins["model.alpha"] == "--set model.alpha"
    assert record.load_model().model.alpha == 2.5
    page = (place / "report.html").read_text(encoding="utf8")
    assert "--set model.alpha" in page
    assert "<script" not in page


def test_every_file_of_a_finished_run_is_whole_json(runs: Path) -> None:
    record = fivefold.run("mlp", quick=True)
    json.loads((record.directory / "run.json").read_text(encoding="utf8"))
    assert record.history()
    assert all(isinstance(row, dict) for row in record.history())


def test_the_same_seed_gives_the_same_metrics_and_another_does_not(runs: Path) -> None:
    first, second, other = (fivefold.run("mlp", quick=True, seed=s).metrics for s in (0, 0, 1))
    assert first == second
    assert first != other


def test_out_must_be_new_or_empty(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "precious.txt").write_text("data", encoding="utf8")
    with pytest.raises(InputError, match="exists and is not empty; give a new directory, or `--resume"):
        fivefold.run("ridge-regression", out=tmp_path / "x")
    assert (tmp_path / "x" / "precious.txt").read_text(encoding="utf8") == "data"


def test_nothing_is_written_for_a_specification_that_cannot_run(runs: Path) -> None:
    with pytest.raises(FivefoldError):
        fivefold.run("ridge-regression", overrides=["model.alhpa=1"])
    assert not runs.exists()


def test_a_failure_is_recorded(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,x\n2,x\n3,x\n4,x\n5,x\n6,x\n", encoding="utf8")
    with pytest.raises(FivefoldError):
        fivefold.run("logistic-regression", overrides=[f"data.name={tmp_path / 't.csv'}", "data.target=y"])
    record = RunStore().list()[0]
    assert record.status == "failed"
    assert record.error


def test_unknown_data_offers_near_ones(runs: Path) -> None:
    with pytest.raises(
        UnknownNameError, match="'brest-cancer' is neither a file nor a data set; did you mean one of: breast"
    ):
        fivefold.run("logistic-regression", overrides=["data.name=brest-cancer"])


def test_a_file_needs_a_target(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf8")
    with pytest.raises(FivefoldError, match=r"data.target is missing: .* has the columns a, b"):
        fivefold.run("logistic-regression", overrides=[f"data.name={tmp_path / 't.csv'}"])


def test_a_finished_run_is_not_run_again(runs: Path) -> None:
    record = fivefold.run("ridge-regression")
    stamp = (record.directory / "run.json").stat().st_mtime_ns
    assert fivefold.run(record.directory, resume=True) == record
    assert (record.directory / "run.json").stat().st_mtime_ns == stamp


def test_interruption_is_recorded_and_resumes_to_the_same_model(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fivefold.workbench.experiments import classifier

    whole = fivefold.run("mlp", overrides=["data=wine", "trainer.max_epochs=4"])

    def interrupted(context: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(classifier, "run", interrupted)
        with pytest.raises(RunInterrupted, match=r"go on with `fivefold run --resume .*`") as caught:
            fivefold.run("mlp", overrides=["data=wine", "trainer.max_epochs=4"])
    assert read_record(caught.value.directory).status == "interrupted"
    again = fivefold.run(caught.value.directory, resume=True)
    assert again.resumed == 1
    assert again.metrics == whole.metrics


_PROGRAM = """
import sys, fivefold
fivefold.run("mlp", out=sys.argv[1], overrides=["data=digits", "trainer.max_epochs=12", "trainer.batch_size=16"])
"""


@pytest.mark.slow
def test_kill_9_then_resume_is_bit_identical(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", _PROGRAM, str(tmp_path / "whole")], check=True, env=environment, timeout=300)
    killed = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path / "killed")], env=environment)
    deadline = time.monotonic() + 120
    while not any((tmp_path / "killed").glob("checkpoints/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert read_record(tmp_path / "killed").status == "running"
    record = fivefold.run(tmp_path / "killed", resume=True)
    assert record.metrics == read_record(tmp_path / "whole").metrics
    weights = [codec.load(tmp_path / name / "model").model.module_.state_dict() for name in ("whole", "killed")]
    assert all(np.array_equal(weights[0][k].numpy(), weights[1][k].numpy()) for k in weights[0])


def test_replay_reproduces(runs: Path) -> None:
    record = fivefold.run("cart-classifier", overrides=["data=iris"])
    result = fivefold.replay("latest")
    assert result.recorded == record
    assert result.reproduced
    assert result.again.directory != record.directory


def test_replay_shows_what_differs(runs: Path) -> None:
    record = fivefold.run("ridge-regression")
    record.changed(metrics={**record.metrics, "rmse": 1.0, "gone": 2.0}).write()
    result = fivefold.replay(record.directory)
    assert not result.reproduced
    assert {d.name for d in result.differences if not d.equal} == {"rmse", "gone"}


def test_replay_refuses_other_data(runs: Path, tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 2}" for i in range(40))
    (tmp_path / "t.csv").write_text(f"a,y\n{rows}\n", encoding="utf8")
    record = fivefold.run("logistic-regression", overrides=[f"data.name={tmp_path / 't.csv'}", "data.target=y"])
    (tmp_path / "t.csv").write_text(f"a,y\n{rows}\n99,1\n", encoding="utf8")
    with pytest.raises(ArtifactError, match=f"their SHA-256 was {record.data.sha256}, now it is"):
        fivefold.replay(record)


def test_store_finds_runs(runs: Path) -> None:
    record = fivefold.run("ridge-regression")
    store = RunStore()
    for name in (record.directory, record.name, record.name[:17], "latest", "ridge-regression"):
        assert store.find(name).name == record.name
    with pytest.raises(UnknownNameError, match=f"There is no run 'rigde' in .*; did you mean one of: {record.name}"):
        store.find("rigde")
    with pytest.raises(UnknownNameError, match="holds no runs yet"):
        RunStore(runs / "elsewhere").find("latest")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"id": "x"', encoding="utf8")
    with pytest.raises(ArtifactError, match=r"run.json cannot be read"):
        read_record(tmp_path)
    with pytest.raises(ArtifactError, match="is not a run: it has no run.json"):
        read_record(tmp_path / "absent")


def test_missing_target_values_are_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a,y\n" + "\n".join(f"{i},{'x' if i % 2 else ''}" for i in range(20)), encoding="utf8"
    )
    with pytest.raises(DataError, match="missing"):
        fivefold.run("logistic-regression", overrides=[f"data.name={tmp_path / 't.csv'}", "data.target=y"])
