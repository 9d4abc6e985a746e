"""The comparison: what it decides, what it refuses, what it writes, and how it goes on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fivefold.base.cards import Card
from fivefold.base.errors import ArtifactError, CapabilityError, DataError, InputError, SpecError, UnknownNameError
from fivefold.workbench.compare import ComparisonInterrupted, compare
from fivefold.workbench.comparison import conduct, entries
from fivefold.workbench.comparison import plan as planning
from fivefold.workbench.comparison.cells import CellSpec, CellStore, fold_cell, run_cell
from fivefold.workbench.store import read_record

FAST = ("gaussian-naive-bayes", "logistic-regression")


def labeled(rows: int = 120, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    return pl.DataFrame(
        {
            "x": x,
            "z": random.normal(size=rows),
            "town": random.choice(["Bern", "Basel", "Chur"], rows),
            "label": np.where(x + 0.7 * random.normal(size=rows) > 0, "yes", "no"),
        }
    )


def numbers(rows: int = 120) -> pl.DataFrame:
    random = np.random.default_rng(1)
    x = random.normal(size=(rows, 2))
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "price": 3 * x[:, 0] - x[:, 1] + random.normal(size=rows)})


def quiet(*args: Any, **options: Any) -> Any:
    return compare(*args, **{"verbose": False, "threads": 1, "cv": 3, "isolate": False, **options})


def test_the_run_holds_everything(tmp_path: Path) -> None:
    result = quiet(labeled(), "label", FAST, out=tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"spec.yaml", "run.json", "oof.parquet", "splits.parquet", "report.html", "model", "cells"}
    record = read_record(tmp_path / "run")
    assert (record.kind, record.status, record.id) == ("comparison", "finished", "model-comparison")
    assert record.metrics[f"{result.best.id}/roc-auc"] == result.best.mean("roc-auc")
    oof = pl.read_parquet(tmp_path / "run" / "oof.parquet")
    assert oof.columns[:6] == ["method", "repeat", "fold", "row", "truth", "prediction"]
    assert len(oof) == 3 * 120
    assert result.model.predict(labeled(5, seed=9)).columns == ["prediction", "probability_no", "probability_yes"]
    assert json.dumps(result.to_dict(), allow_nan=False)


def test_the_baseline_is_always_there_and_never_ranked(tmp_path: Path) -> None:
    result = quiet(numbers(), "price", "ridge-regression, baseline", out=tmp_path / "run")
    assert [row.id for row in result.rows] == ["ridge-regression", "baseline"]
    assert result.rows[-1].rank is None
    assert result.rows[0].mean("rmse") < result.rows[1].mean("rmse")
    assert "(baseline" in result.verdict


def test_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(labeled(), "label", FAST, cv=3, threads=1, out=tmp_path / "run", progress=False, isolate=False)
    said = capsys.readouterr().out
    assert said.index("Task      binary on 'label'") < said.index("gaussian-naive-bayes  ")
    assert "positive is yes" in said
    assert f"Report    {tmp_path}/run/report.html" in said
    assert f"Predict   fivefold predict {tmp_path}/run new.parquet" in said


def test_progress_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet(labeled(), "label", FAST, out=tmp_path / "run", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "gaussian-naive-bayes" in captured.err


def test_positive_class_can_be_chosen(tmp_path: Path) -> None:
    a = quiet(labeled(), "label", FAST, out=tmp_path / "a", metrics=["pr-auc"])
    b = quiet(labeled(), "label", FAST, out=tmp_path / "b", metrics=["pr-auc"], positive="no")
    assert (a.plan.classes, b.plan.classes) == (["no", "yes"], ["yes", "no"])
    assert a.best.mean("pr-auc") != b.best.mean("pr-auc")


def test_the_affirmative_class_is_positive() -> None:
    for words, positive in ((("ja", "nein"), "ja"), (("no", "yes"), "yes"), (("a", "b"), "b"), (("0", "1"), "1")):
        frame = labeled().with_columns(pl.col("label").replace({"yes": words[0], "no": words[1]}))
        plan, _ = planning.make_plan(frame, planning.Options(data="t", target="label", methods=FAST))
        assert plan.classes[1] == positive


def test_classes_of_every_type_come_back_as_they_were(tmp_path: Path) -> None:
    frame = labeled()
    for number, (values, kind) in enumerate(
        [((frame["label"] == "yes").cast(pl.Int64), pl.Int64), (frame["label"] == "yes", pl.Boolean)]
    ):
        given = frame.with_columns(values.alias("label"))
        result = quiet(given, "label", ["gaussian-naive-bayes"], out=tmp_path / str(number))
        answer = result.model.predict(given)
        assert answer["prediction"].dtype == kind
        assert (answer["prediction"] == given["label"]).mean() > 0.6


def test_rare_classes_are_said_and_single_ones_refused(tmp_path: Path) -> None:
    frame = labeled(60)
    rare = frame.with_columns(pl.Series("label", ["maybe"] * 2 + frame["label"].to_list()[2:]))
    result = quiet(rare, "label", ["gaussian-naive-bayes"], out=tmp_path / "run")
    assert any("'maybe' has 2 rows, fewer than 3 folds" in note for note in result.plan.notes)
    single = frame.with_columns(pl.Series("label", ["maybe"] + frame["label"].to_list()[1:]))
    with pytest.raises(DataError, match="'maybe' of the target 'label' has 1 row"):
        quiet(single, "label", ["gaussian-naive-bayes"], out=tmp_path / "other")


def test_nothing_beats_the_baseline_on_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    frame = pl.DataFrame({"x": random.normal(size=300), "y": random.normal(size=300)})
    result = quiet(frame, "y", ["k-nearest-neighbors"], out=tmp_path / "run")
    assert result.verdict.startswith("No method beats the trivial baseline")


def test_weights_change_fit_and_score_or_are_refused(tmp_path: Path) -> None:
    frame = numbers().with_columns(pl.Series("w", np.linspace(0.1, 5, 120)))
    plain = quiet(frame.drop("w"), "price", ["linear-regression"], out=tmp_path / "a")
    result = quiet(frame, "price", ["linear-regression", "k-nearest-neighbors"], out=tmp_path / "b", weight="w")
    assert "w" not in [column.name for column in result.plan.schema.features]
    assert result.rows[0].mean("rmse") != plain.rows[0].mean("rmse")
    refused = next(row for row in result.rows if row.id == "k-nearest-neighbors")
    assert "k-nearest-neighbors takes no row weights" in refused.reason


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"target": None}, SpecError, "Give --target; the columns are: x, z, town, label"),
        ({"target": "lable"}, DataError, "'label'"),
        ({"cv": 1}, InputError, "cv must be at least 2 folds, got 1"),
        ({"cv": 100}, DataError, "120 rows are too few for 100 folds"),
        ({"threads": 0}, InputError, "threads must be at least 1"),
        ({"methods": "logistic-regresion"}, UnknownNameError, "logistic-regression"),
        (
            {"methods": "ridge-regression"},
            CapabilityError,
            "ridge-regression serves regression, the target asks for binary",
        ),
        (
            {"methods": "roc-auc"},
            CapabilityError,
            "roc-auc is a metric; compare takes classifiers, regressors and models of click logs",
        ),
        ({"metrics": ["rmse"]}, CapabilityError, "The metric rmse serves regression, not binary"),
        ({"metrics": ["acuracy"]}, UnknownNameError, "accuracy"),
        ({"positive": "maybe"}, UnknownNameError, "yes"),
        ({"params": {"logistic-regression": {"c": 1}}}, SpecError, "has no parameter 'c'; did you mean one of: C"),
        ({"params": {"mlp": {}}}, UnknownNameError, "method of this comparison"),
    ],
)
def test_refused_before_any_work(change: dict[str, Any], error: type[Exception], text: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"target": "label", "methods": FAST, **change}
    with pytest.raises(error, match=text):
        quiet(labeled(), out=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_one_class_is_refused(tmp_path: Path) -> None:
    frame = labeled().with_columns(pl.lit("yes").alias("label"))
    with pytest.raises(DataError, match="one"):
        quiet(frame, "label", FAST, out=tmp_path / "run", task="binary")


def test_missing_targets_are_counted(tmp_path: Path) -> None:
    frame = numbers().with_columns(
        pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("price")).alias("price")
    )
    with pytest.raises(DataError, match="7"):
        quiet(frame, "price", ["linear-regression"], out=tmp_path / "run")


def test_no_data_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="Which data"):
        compare(verbose=False)


def test_default_methods_fit_the_task() -> None:
    for task in ("binary", "multiclass", "regression"):
        chosen = entries.choose_entries((), task, {})
        assert chosen[-1].is_baseline
        assert len(chosen) >= 4
        assert all(task in entry.card.task for entry in chosen)


def broken_card(name: str, mode: str) -> Card:
    return Card(
        id=name,
        package="tests",
        title="Broken",
        kind="classifier",
        summary="Fails.",
        factory={"default": "fivefold.evidence.workbench.comparison:Fragile"},
        task=("binary",),
        recipe="ordinal",
        defaults={"mode": mode},
    )


def test_a_failing_method_is_a_row_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {"broken": broken_card("broken", "raise")}
    real = entries.get_card
    monkeypatch.setattr(entries, "get_card", lambda name: cards.get(name) or real(name))
    result = quiet(labeled(), "label", ["broken", *FAST], out=tmp_path / "run")
    assert [row.id for row in result.rows if row.rank] and result.rows[-2].id == "broken"
    assert result.rows[-2].reason == "ZeroDivisionError: no luck"
    assert "broken is not ranked: ZeroDivisionError: no luck" in result.report.read_text(encoding="utf8")
    assert "broken" not in result.oof["method"].unique().to_list()
    assert not result.failed
    alone = quiet(labeled(), "label", ["broken"], out=tmp_path / "alone")
    assert alone.failed
    assert not (tmp_path / "alone" / "model").exists()
    assert alone.verdict.startswith("No method finished every fold")


def test_warnings_of_a_method_are_told(tmp_path: Path) -> None:
    params = {"logistic-regression": {"max_iter": 1, "tol": 1e-12}}
    result = quiet(labeled(), "label", ["logistic-regression"], params=params, out=tmp_path / "run")
    assert any("in 3 of 3 folds" in note for note in result.rows[0].notes)


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    stop_at = [10_000]

    def counted(plan: Any, entry: Any, spec: CellSpec, **options: Any) -> Any:
        if len(done) == stop_at[0]:
            raise KeyboardInterrupt
        done.append(spec.name)
        return run_cell(plan, entry, spec, **options)

    monkeypatch.setattr(conduct, "run_cell", counted)
    whole = quiet(labeled(), "label", FAST, out=tmp_path / "whole")
    total = len(done)
    done.clear()
    stop_at[0] = 2
    with pytest.raises(ComparisonInterrupted, match="fivefold compare --resume"):
        quiet(labeled(), "label", FAST, out=tmp_path / "part")
    assert read_record(tmp_path / "part").status == "interrupted"
    done.clear()
    stop_at[0] = 10_000
    resumed = compare(labeled(), resume=tmp_path / "part", verbose=False, isolate=False)
    assert len(done) == total - 2
    assert resumed.oof.equals(whole.oof)
    assert [row.scores for row in resumed.rows] == [row.scores for row in whole.rows]
    assert resumed.finish.curve == whole.finish.curve
    assert read_record(tmp_path / "part").resumed == 1


def test_resume_refuses_other_data_and_other_runs(tmp_path: Path) -> None:
    quiet(labeled(), "label", FAST, out=tmp_path / "run")
    with pytest.raises(ArtifactError, match="data have changed"):
        compare(labeled(seed=5), resume=tmp_path / "run", verbose=False, isolate=False)
    (tmp_path / "run" / "spec.yaml").write_text("id: k-means\n", encoding="utf8")
    with pytest.raises(ArtifactError, match="is not a comparison"):
        compare(labeled(), resume=tmp_path / "run", verbose=False, isolate=False)


def test_a_cell_of_other_settings_is_not_taken(tmp_path: Path) -> None:
    plan, _ = planning.make_plan(labeled(), planning.Options(data="t", target="label", methods=FAST, cv=3, threads=1))
    entry = plan.entries[0]
    cell = run_cell(plan, entry, fold_cell(0, 0))
    store = CellStore(tmp_path)
    store.save(cell)
    assert store.load(entry.id, "fold-0-0", plan.fingerprint(entry)).predictions.equals(cell.predictions)
    assert store.load(entry.id, "fold-0-0", "other") is None
    assert store.load(entry.id, "fold-0-1", plan.fingerprint(entry)) is None


def test_from_file_and_again_from_its_own_command(tmp_path: Path) -> None:
    labeled().write_csv(tmp_path / "my table.csv")
    result = quiet(tmp_path / "my table.csv", "label", FAST, out=tmp_path / "run", types={"town": "categorical"})
    assert result.record.command[:3] == ["fivefold", "compare", str(tmp_path / "my table.csv")]
    assert "--type town=categorical" in " ".join(result.record.command)
    resumed = compare(resume=tmp_path / "run", verbose=False, isolate=False)
    assert resumed.oof.equals(result.oof)


def test_names_of_columns_and_classes_are_escaped(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>"
    frame = labeled().rename({"x": nasty, "label": "<b>target</b>"})
    frame = frame.with_columns(pl.when(pl.col("town") == "Bern").then(pl.lit(nasty)).otherwise("town").alias("town"))
    frame = frame.with_columns(pl.col("<b>target</b>").replace({"yes": nasty}))
    result = quiet(frame, "<b>target</b>", FAST, out=tmp_path / "run")
    page = result.report.read_text(encoding="utf8")
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_report_says_how(tmp_path: Path) -> None:
    result = quiet(labeled(), "label", FAST, out=tmp_path / "run", seed=11)
    page = result.report.read_text(encoding="utf8")
    for text in (
        "scaled-one-hot",
        "dealt once with seed 11",
        "fivefold predict",
        result.plan.data.sha256,
        "scikit-learn",
    ):
        assert text in page
    assert len(page) < 400_000
