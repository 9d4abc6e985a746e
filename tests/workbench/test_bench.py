"""Benchmarks by name and group: scores as they come, failures shown beside the others, the page for the docs."""

from __future__ import annotations

import json
import math
import textwrap
from pathlib import Path

import pytest

from fivefold.base.errors import ArtifactError, FivefoldError
from fivefold.cli import main
from fivefold.workbench import bench_table
from fivefold.workbench.bench import (
    Contest,
    Score,
    bench,
    benchmark_groups,
    chosen_benchmarks,
    encoded,
    listening,
    one_line,
    play,
)

GOOD = """
    import time
    from fivefold.workbench.bench import Contest, play

    def main(threads=(1, 2)):
        print("loud")
        fast = Contest(name="toy | fast", ours=lambda run: 1.0, peer=lambda run: time.sleep(0.01), repeats=1,
                       quality=lambda ours, peer: (ours[0], 2.0, True), target=1.0)
        return play([fast], threads)
"""
MIXED = """
    import time
    from fivefold.workbench.bench import Contest, Score, play

    def main(threads=(1, 2)):
        sleep = lambda run: time.sleep(0.01)
        broken = Contest(name="broken", ours=lambda run: 1 / 0, peer=sleep, quality=lambda a, b: (0, 0, True))
        slow = Contest(name="slow", ours=lambda run: time.sleep(0.05), peer=sleep, repeats=1,
                       quality=lambda a, b: (0, 0, True))
        wrong = Contest(name="wrong", ours=sleep, peer=sleep, repeats=1, quality=lambda a, b: (0, 0, False), target=None)
        own = Score("own clock", 1, 1.0, 2.0, 0.0, 0.0, True, 1.0)
        return [*play([broken, slow, wrong], threads), own]
"""
KILLED = """
    import os, signal
    from fivefold.workbench.bench import Score, announce

    def main(threads=(1, 2)):
        announce(Score("before the end", 1, 1.0, 2.0, 0.0, 0.0, True, 1.0))
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    files = {"good_one": GOOD, "killed": KILLED, "mixed": MIXED, "unreadable": "    raise ValueError('no\\nway')"}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    (folder / "groups.toml").write_text(
        'toys = ["mixed", "killed", "absent", "unreadable", "good-one"]\npair = ["killed"]\nends = ["killed", "good-one"]\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_failure_swallows_no_other(checkout: Path) -> None:
    heard: list[tuple[str, Score]] = []
    scores = bench(["toys"], threads=[1], report=lambda name, score: heard.append((name, score)))
    assert [score for _, score in heard] == scores
    assert [(name, score.name, score.threads, score.verdict) for name, score in heard] == [
        ("mixed", "broken", 1, "failed: ZeroDivisionError: division by zero"),
        ("mixed", "slow", 1, "too slow"),
        ("mixed", "wrong", 1, "quality missed"),
        ("mixed", "own clock", 1, "ok"),
        ("killed", "before the end", 1, "ok"),
        ("killed", "killed", 0, "failed: its process ended with signal SIGKILL"),
        ("absent", "absent", 0, "failed: there is no benchmarks/absent.py"),
        ("unreadable", "unreadable", 0, "failed: ValueError: no way"),
        ("good-one", "toy | fast", 1, "ok"),
    ]
    assert [score.passed for score in scores] == [False, False, False, True, True, False, False, False, True]
    assert scores[-1].ratio < 0.5
    assert math.isnan(scores[0].ratio)


def test_names_and_groups(checkout: Path) -> None:
    assert chosen_benchmarks([]) == ["good-one", "killed", "mixed", "unreadable"]
    assert chosen_benchmarks(["good_one", "pair", "killed"]) == ["good-one", "killed"]
    with pytest.raises(FivefoldError, match="toyz"):
        chosen_benchmarks(["toyz"])
    (checkout / "benchmarks" / "groups.toml").write_text("toys = 3\n")
    with pytest.raises(FivefoldError, match="gives the group 'toys' as 3; give a list of names of benchmarks."):
        benchmark_groups()
    (checkout / "benchmarks" / "groups.toml").unlink()
    assert benchmark_groups() == {}


def test_groups_of_this_checkout() -> None:
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    tables = benchmark_groups(folder)["tables"]
    assert {"logistic", "sparse-logistic", "lasso", "svm", "tsne", "kmeans", "pca", "unsupervised", "metrics"} <= {
        *tables
    }


def test_the_page_is_written_score_by_score(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = ["--scores", "kept/scores.jsonl", "--markdown", "docs/bench.md"]
    path = checkout / "kept" / "scores.jsonl"
    assert main(["bench", "ends", "--threads", "1", *kept]) == 1
    assert "loud" not in capsys.readouterr().out
    page = (checkout / "docs" / "bench.md").read_text()
    assert page.startswith(
        "# Benchmarks: ends\n\nWritten by `fivefold bench ends --markdown docs/bench.md`, measured 20"
    )
    assert "| good-one | toy \\| fast | 1 |" in page
    assert "| killed | killed | – | – | – | – |  | – | – | failed: its process ended with signal SIGKILL |" in page
    assert "| killed | before the end | 1 | 1 | 2 | 0.500 | 1 | 0 | 0 | ok |" in page
    for fact in ("Machine: ", "numpy ", "scikit-learn ", "python "):
        assert fact in page
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    assert [row["name"] for row in rows] == ["before the end", "killed", "toy | fast"]
    assert rows[1]["ours"] is None
    # What an interrupted run left is shown without running anything; a later score of a contest takes its place.
    again = Score("before the end", 1, 3.0, 2.0, 0.0, 0.0, True, 1.0)
    bench_table.append(path, "killed", again, bench_table.machine())
    assert main(["bench", "good-one", "killed", "--no-run", "--json", *kept]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["ours"]) for row in shown] == [("toy | fast", rows[2]["ours"]), ("before the end", 3.0)]
    assert (
        "| killed | before the end | 1 | 3 | 2 | 1.500 | 1 | 0 | 0 | too slow |"
        in (checkout / "docs/bench.md").read_text()
    )


def test_what_is_not_measured_is_named() -> None:
    page = bench_table.markdown([], ["svm", "lasso"], title="T", command="c")
    assert page.endswith("\nNot measured: svm, lasso.\n")
    assert "Written by `c`.\n" in page


def test_a_crash_is_forgotten_when_the_file_runs_again(tmp_path: Path) -> None:
    path, facts = tmp_path / "scores.jsonl", bench_table.machine()
    bench_table.append(path, "svm", Score.failed("svm", 0, "gone"), facts)
    assert [row["error"] for row in bench_table.latest(path, ["svm"])] == ["gone"]
    bench_table.append(path, "svm", Score("svm", 1, 1.0, 2.0, 0.0, 0.0, True, 0.4), facts)
    assert [row["error"] for row in bench_table.latest(path, ["svm"])] == [""]
    path.write_text("{broken")
    with pytest.raises(ArtifactError, match=r"Line 1 of .* is no JSON: .* Remove that line\."):
        bench_table.latest(path, ["svm"])


def test_warm_up_of_its_own_and_listeners() -> None:
    calls: list[str] = []
    contest = Contest(
        name="c",
        ours=lambda run: calls.append(f"ours {run}"),
        peer=lambda run: calls.append(f"peer {run}"),
        quality=lambda ours, peer: (0.0, 0.0, len(ours) == len(peer) == 2),
        repeats=2,
        warm=lambda: calls.append("warm"),
    )
    heard: list[Score] = []
    with listening(heard.append):
        scores = play([contest], [1])
    play([contest], [1])
    assert heard == scores
    assert calls[:5] == ["warm", "ours 0", "peer 0", "ours 1", "peer 1"]


def test_scores_travel_as_json() -> None:
    np = pytest.importorskip("numpy")
    score = Score("n", 2, 1.0, 2.0, np.float32(0.5), np.float64(1), np.bool_(True), None)
    assert Score(**json.loads(encoded(score))) == Score("n", 2, 1.0, 2.0, 0.5, 1.0, True, None)
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
