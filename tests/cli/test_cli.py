"""The command: exit statuses, one-line errors, JSON, what loads at start."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fivefold.cli import main

HEAVY = {"torch", "numba", "sklearn", "numpy", "scipy", "polars", "pyarrow", "pydantic", "matplotlib", "yaml", "pandas"}


def _fivefold(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fivefold.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.parametrize("code", ["import fivefold", "from fivefold.cli import main; main(['--help'])"])
def test_nothing_heavy_loads_at_start(code: str) -> None:
    program = f"import sys\n{code}\nprint('|'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split("|")}
    assert not loaded & HEAVY


def test_help_is_quick(slowness: float) -> None:
    times = []
    for _ in range(5):
        start = _seconds_of_children()
        assert _fivefold("--help").returncode == 0
        times.append(_seconds_of_children() - start)
    assert min(times) / slowness < 0.3


def _seconds_of_children() -> float:
    """Return processor time: others that wait for the same core do not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_list_and_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--kind", "metric", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "roc-auc" in [row["id"] for row in found]
    assert main(["show", "ridge-regression", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["id"] == "ridge-regression"
    assert facts["parameters"]


def test_list_and_show_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "ridge"]) == 0
    assert "ridge-regression" in capsys.readouterr().out
    assert main(["show", "Ridge_Regression"]) == 0
    out = capsys.readouterr().out
    assert "alpha" in out
    assert "claim" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["show", "rigde-regression"],
            "fivefold: Unknown method 'rigde-regression'; did you mean one of: ridge-regression",
        ),
        (["run"], "fivefold: What shall be run?"),
        (["verify"], "fivefold: Which method? Give ids (see `fivefold list`), or --all."),
        (["rnu"], "fivefold: No such command 'rnu'. Did you mean 'run'?"),
        (["list", "--knd", "x"], "fivefold: No such option: --knd"),
        (["check", "mlp", "--set", "optimizer.lrr=1"], "fivefold: --set optimizer.lrr: "),
        (["run", "mlp", "--resume", "x"], "fivefold: --resume goes on with a run as it was begun; leave out an ID."),
        (["compare", "iris", "--type", "a"], "fivefold: --type 'a' is not of the form COLUMN=KIND."),
        (["predict", "nothing-there", "x.csv"], "fivefold: There is no run 'nothing-there'"),
        (["report", "nothing-there"], "fivefold: There is no run 'nothing-there'"),
        (["data", "show", "irsi"], "fivefold: Unknown data set 'irsi'; did you mean one of: iris"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIVEFOLD_RUNS", str(tmp_path))
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if not line.startswith("Usage:")]
    assert len(lines) == 1
    assert lines[0].startswith(message)


def test_debug_shows_the_traceback() -> None:
    done = _fivefold("show", "rigde", "--debug")
    assert "Traceback" in done.stderr
    assert "UnknownNameError" in done.stderr
    assert "Traceback" not in _fivefold("show", "rigde").stderr


def test_check_prints_values_with_their_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("model: mlp\noptimizer:\n  lr: 3e-4\n", encoding="utf8")
    assert main(["check", str(file), "--set", "trainer.max_epochs=2", "--json"]) == 0
    values = {row["path"]: row for row in json.loads(capsys.readouterr().out)["values"]}
    assert values["optimizer.lr"] == {"path": "optimizer.lr", "value": 3e-4, "origin": f"{file}:3"}
    assert values["trainer.max_epochs"]["origin"] == "--set trainer.max_epochs"
    assert values["data.test"]["origin"] == "default"
    assert values["model.name"]["origin"] == f"{file}:1"


def test_run_report_and_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIVEFOLD_RUNS", str(tmp_path))
    assert main(["run", "ridge-regression", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "finished"
    assert Path(record["report"]).is_file()
    assert main(["report", "latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == record["metrics"]
    assert main(["report"]) == 0
    assert record["name"] in capsys.readouterr().out
    assert main(["replay", record["name"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reproduced"] is True
    path = Path(record["directory"]) / "run.json"
    path.write_text(path.read_text(encoding="utf8").replace('"rmse": ', '"rmse": 1'), encoding="utf8")
    assert main(["replay", record["name"]]) == 1
    assert "Not reproduced." in capsys.readouterr().out


def test_verify_exit_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from fivefold.workbench import proof

    outcome = proof.Outcome("x", "f", "c", "a", "failed", 0.0, proof.Check(2.0, 1.0))
    monkeypatch.setattr(proof, "verify", lambda *a, **k: [outcome])
    assert main(["verify", "x", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == 1


def test_ctrl_c_names_the_way_back(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom fivefold.workbench.experiments import regressor\n"
        "def run(context): raise KeyboardInterrupt\nregressor.run = run\n"
        "from fivefold.cli import main\nsys.exit(main(['run', 'ridge-regression', '--out', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "r")], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 130
    assert done.stderr.strip().endswith(f"go on with `fivefold run --resume {tmp_path / 'r'}`.")
    assert json.loads((tmp_path / "r" / "run.json").read_text(encoding="utf8"))["status"] == "interrupted"


def test_data_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    assert "iris" in json.dumps(json.loads(capsys.readouterr().out))
    assert main(["data", "show", "iris", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 150


def test_data_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.csv"
    assert main(["data", "write", "synthetic-clicks", str(file), "--rows", "7", "--json"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert (facts["rows"], len(facts["columns"]), facts["types"]["c0"]) == (7, 40, "categorical")
    assert "these columns are categorical (--type COL=categorical): c0, c1" in captured.err
    assert len(file.read_text(encoding="utf8").splitlines()) == 8
    for words, text in (
        (["moons", str(tmp_path / "x.xlsx")], "has an ending that is not written; use .csv, .parquet, .jsonl, .arrow"),
        (["iris", str(file), "--rows", "5"], "n is the size of a generated set"),
    ):
        assert main(["data", "write", *words]) == 2
        assert text in capsys.readouterr().err


def test_lists_become_text_in_csv(tmp_path: Path) -> None:
    import polars as pl

    from fivefold.cli.console import write_frame

    frame = pl.DataFrame({"a": [["x", "y"], [], None]}, schema={"a": pl.List(pl.String)})
    write_frame(frame, tmp_path / "a.csv", "--out")
    assert (tmp_path / "a.csv").read_text(encoding="utf8").splitlines() == ["a", "x|y", '""', ""]
    write_frame(frame, tmp_path / "a.parquet", "--out")
    assert pl.read_parquet(tmp_path / "a.parquet").equals(frame)


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m fivefold.cli list --json | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"]])
def test_help_of_phase_lists_every_flag(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from fivefold.workbench.phases_flags import FLAGS

    assert main(["phase", *words]) == 0
    shown = capsys.readouterr().out
    assert all(f"--{name} " in shown for name in FLAGS)
