"""What makes a comparison trustworthy: the promises of the report, each tried on data made to break it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import misbehaving
import numpy as np
import polars as pl
import pytest

from fivefold.base import cards
from fivefold.base.errors import DataError, InputError, SpecError, UnknownNameError
from fivefold.workbench.compare import compare

FAST = ("gaussian-naive-bayes", "logistic-regression")


def binary(rows: int = 1200, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4))
    town = random.choice(["Bern", "Basel", "Chur"], rows)
    logit = x[:, 0] - 0.8 * x[:, 1] + (town == "Chur")
    label = np.where(random.random(rows) < 1 / (1 + np.exp(-logit)), "yes", "no")
    return pl.DataFrame({**{f"x{j}": x[:, j] for j in range(4)}, "town": town, "label": label})


def quiet(*args: Any, **options: Any) -> Any:
    return compare(*args, **{"verbose": False, "isolate": False, **options})


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return quiet(binary(), "label", FAST, cv=4, repeats=2, out=tmp_path_factory.mktemp("repeated") / "run")


def test_every_printed_number_follows_from_the_predictions(repeated: Any) -> None:
    from sklearn import metrics

    functions = {
        "roc-auc": lambda y, p, c: metrics.roc_auc_score(y, p),
        "pr-auc": lambda y, p, c: metrics.average_precision_score(y, p),
        "log-loss": lambda y, p, c: metrics.log_loss(y, p),
        "brier-score": lambda y, p, c: metrics.brier_score_loss(y, p),
        "accuracy": lambda y, p, c: metrics.accuracy_score(y, c),
        "balanced-accuracy": lambda y, p, c: metrics.balanced_accuracy_score(y, c),
        "macro-f1": lambda y, p, c: metrics.f1_score(y, c, average="macro"),
    }
    assert set(functions) == set(repeated.plan.metrics)
    oof = pl.read_parquet(repeated.directory / "oof.parquet")
    for row in repeated.table.iter_rows(named=True):
        parts = oof.filter(pl.col("method") == row["method"]).partition_by("repeat", "fold")
        assert len(parts) == 8
        for name, function in functions.items():
            values = [
                function(
                    (part["truth"] == "yes").to_numpy(),
                    part["probability_yes"].to_numpy(),
                    (part["prediction"] == "yes").to_numpy(),
                )
                for part in parts
            ]
            assert np.mean(values) == pytest.approx(row[name], abs=1e-9)
            assert np.std(values, ddof=1) == pytest.approx(row[f"{name}_deviation"], abs=1e-9)


def test_every_row_is_tested_once_a_repeat_in_the_same_fold_for_all(repeated: Any) -> None:
    oof = pl.read_parquet(repeated.directory / "oof.parquet")
    splits = pl.read_parquet(repeated.directory / "splits.parquet")
    expected = splits.filter(~pl.col("sealed")).select("repeat", "row", "fold").sort("repeat", "row")
    assert len(expected) == 2 * (1200 - 240)
    for method in (*FAST, "baseline"):
        mine = oof.filter(pl.col("method") == method).select("repeat", "row", "fold").sort("repeat", "row")
        assert mine.equals(expected)
    first, second = (splits.filter(pl.col("repeat") == r)["fold"] for r in (0, 1))
    assert not first.equals(second)


def test_sealed_rows_are_never_fitted_or_tested_before_the_end(repeated: Any) -> None:
    sealed = repeated.plan.splits.sealed
    assert 0.19 < sealed.mean() < 0.21
    oof = pl.read_parquet(repeated.directory / "oof.parquet")
    assert not sealed[oof["row"].to_numpy()].any()
    assert repeated.finish.sealed_cell.predictions["row"].to_list() == np.flatnonzero(sealed).tolist()
    # Wild values and turned labels in the sealed rows change nothing that was chosen by.
    wild = repeated.plan.frame.with_columns(
        pl.when(pl.Series(sealed)).then(pl.col("x0") * 1e3).otherwise(pl.col("x0")).alias("x0")
    )
    again = quiet(wild, "label", FAST, cv=4, repeats=2, out=repeated.directory.parent / "wild")
    assert again.plan.splits.sealed.tolist() == sealed.tolist()
    assert [row.scores for row in again.rows] == [row.scores for row in repeated.rows]
    assert again.sealed["log-loss"] != repeated.sealed["log-loss"]


def test_the_sealed_score_is_the_winner_fitted_on_all_other_rows(repeated: Any) -> None:
    from sklearn.metrics import roc_auc_score

    cell = repeated.finish.sealed_cell
    assert cell.trained == 960
    truth = (repeated.plan.frame["label"].gather(cell.predictions["row"]) == "yes").to_numpy()
    expected = roc_auc_score(truth, cell.predictions["probability_yes"].to_numpy())
    estimate = repeated.sealed["roc-auc"]
    assert estimate.value == pytest.approx(expected, abs=1e-12)
    assert estimate.low < estimate.value < estimate.high
    # Hanley and McNeil's standard error of an AUC of 0.8 over 240 rows is about 0.03.
    assert 0.06 < estimate.high - estimate.low < 0.18


def test_scores_depend_on_neither_company_nor_jobs(tmp_path: Path) -> None:
    name = "k-nearest-neighbors"
    frame = binary(400).head(400)
    found = []
    for number, (methods, jobs) in enumerate(
        [((name,), 1), (("logistic-regression", name), 1), (("logistic-regression", name), 2), ((name,), 2)]
    ):
        result = compare(frame, "label", methods, jobs=jobs, out=tmp_path / str(number), verbose=False)
        row = next(row for row in result.rows if row.id == name)
        oof = result.oof.filter(pl.col("method") == name)
        found.append((row.scores, oof.drop("method").to_dict(as_series=False)))
    assert all(one == found[0] for one in found[1:])
    here = quiet(frame, "label", name, out=tmp_path / "here")
    assert here.rows[0].scores == found[0][0]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    misbehaving.install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(misbehaving.__file__).parent))
    cards.all_cards.cache_clear()
    yield
    cards.all_cards.cache_clear()
    sys.modules.pop("misbehaving_cards", None)


@pytest.mark.usefixtures("plugin")
def test_misbehaving_methods_are_rows_with_reasons_and_harm_no_one(tmp_path: Path) -> None:
    frame = binary(300)
    start = time.monotonic()
    result = compare(frame, "label", [*misbehaving.MODES, *FAST], budget="30s", out=tmp_path / "run", verbose=False)
    assert time.monotonic() - start < 40
    reasons = {row.id: row.reason for row in result.rows if row.reason}
    assert set(reasons) == set(misbehaving.MODES)
    assert "was stopped after" in reasons["sleeps"] and "share of the budget" in reasons["sleeps"]
    assert "memory" in reasons["hoards"].lower()
    assert reasons["raises"].startswith("ZeroDivisionError: no luck today")
    assert "not finite" in reasons["answers-nan"]
    assert "of shape" in reasons["answers-short"]
    alone = compare(frame, "label", FAST, out=tmp_path / "alone", verbose=False)
    ranked = {row.id: row.scores for row in result.rows if row.rank}
    assert ranked == {row.id: row.scores for row in alone.rows if row.rank}
    assert not result.failed
    page = result.report.read_text(encoding="utf8")
    assert all(f"{mode} is not ranked" in page for mode in misbehaving.MODES)


@pytest.mark.usefixtures("plugin")
def test_only_when_every_method_fails_the_comparison_fails(tmp_path: Path) -> None:
    result = quiet(binary(100), "label", ["raises"], out=tmp_path / "run")
    assert result.failed
    assert result.finish is None


def test_leaks_are_named_first_and_an_id_is_no_feature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    rows = 1000
    x = random.normal(size=rows)
    y = np.sort(x + random.normal(size=rows))
    frame = pl.DataFrame(
        {"row_number": np.arange(rows), "x": x, "price_eur": y * 1.07 + 1e-4 * random.normal(size=rows), "price": y}
    )
    frame = pl.concat([frame, frame.head(430)])
    result = compare(frame, "price", ["linear-regression"], out=tmp_path / "run", isolate=False, progress=False)
    said = capsys.readouterr().out.splitlines()
    alarms = [line for line in said if line.startswith("Alarm")]
    assert said[: len(alarms)] == alarms
    text = " ".join(alarms)
    assert "price_eur" in text
    assert "row_number" in text
    assert "--drop" in text
    assert any("repeat" in line and "30" in line for line in alarms)
    assert "row_number" not in [column.name for column in result.plan.schema.features]
    assert "price_eur" in result.finish.suspects
    assert np.mean(result.finish.without) > 3 * result.rows[0].mean("rmse")
    assert "Without the suspect column" in result.verdict


def test_rows_that_repeat_each_other_share_a_side(tmp_path: Path) -> None:
    frame = pl.concat([binary(1000), binary(1000).head(300)])
    result = quiet(frame, "label", ["gaussian-naive-bayes"], out=tmp_path / "run")
    splits = result.splits
    side = splits["fold"].to_numpy()
    assert (side[:300] == side[1000:]).all()
    sizes = np.bincount(side[side >= 0])
    assert sizes.max() - sizes.min() <= 4


def walk(rows: int = 1500) -> pl.DataFrame:
    random = np.random.default_rng(5)
    dates = pl.datetime_range(
        pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 1) + pl.duration(hours=rows - 1), interval="1h", eager=True
    )
    return pl.DataFrame(
        {"date": dates, "noise": random.normal(size=rows), "level": np.cumsum(random.normal(size=rows))}
    )


def test_a_random_walk_is_predictable_at_random_but_not_forward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = compare(walk(), "level", ["cart-regressor"], out=tmp_path / "plain", isolate=False, progress=False)
    said = capsys.readouterr().out
    assert plain.rows[0].mean("r2") > 0.9
    assert "--time date" in said.splitlines()[0]
    assert plain.finish.other.disagree
    assert plain.verdict.splitlines()[1].startswith("Random folds give")
    page = plain.report.read_text(encoding="utf8")
    assert page.index("compare again with --time date") < page.index("is best with")
    forward = quiet(walk(), "level", ["cart-regressor", "linear-regression"], time="date", out=tmp_path / "forward")
    assert all(row.mean("r2") < 0.2 for row in forward.rows if row.rank)
    assert not forward.plan.alarms
    for repeat, fold in forward.plan.folds():
        train, test = forward.plan.splits.rows(("fold", repeat, fold))
        assert train.max() < test.min()


def test_a_gap_keeps_training_away_from_the_test(tmp_path: Path) -> None:
    result = quiet(walk(), "level", ["linear-regression"], time="date", gap="1d", out=tmp_path / "run")
    for what in [("fold", 0, k) for k in range(5)] + [("develop",)]:
        train, test = result.plan.splits.rows(what)
        assert test.min() - train.max() == 25


def test_groups_stay_whole_and_are_no_feature(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    person = random.integers(0, 300, 3000)
    habit = np.arange(300) / 10
    frame = pl.DataFrame({"person": person, "x": habit[person] + 0.01 * random.normal(size=3000)})
    mood = random.normal(size=300)
    frame = frame.with_columns(pl.Series("y", mood[person] + 0.1 * random.normal(size=3000)))
    result = quiet(frame, "y", ["k-nearest-neighbors"], group="person", out=tmp_path / "run")
    assert [column.name for column in result.plan.schema.features] == ["x"]
    side = result.splits["fold"].to_numpy()
    assert all(len(np.unique(side[person == k])) == 1 for k in np.unique(person))
    assert result.finish.other.disagree  # at random, a person's other rows give the answer away
    assert "only the latter is to be expected" in result.verdict.splitlines()[1]


def test_tuning_is_the_same_for_all_and_stays_inside(tmp_path: Path) -> None:
    frame = binary(500)
    result = quiet(frame, "label", ["k-nearest-neighbors", "logistic-regression"], tune=4, out=tmp_path / "run")
    assert [row.setting for row in result.rows if row.rank] == ["tuned (4)", "tuned (4)"]
    plain = quiet(frame, "label", ["k-nearest-neighbors"], out=tmp_path / "plain")
    tuned = next(row for row in result.rows if row.id == "k-nearest-neighbors")
    assert tuned.mean("log-loss") != plain.rows[0].mean("log-loss")
    assert "tuned (4)" in result.report.read_text(encoding="utf8")


def test_own_metrics_are_scored_like_ours_but_not_tuned_by(tmp_path: Path) -> None:
    from fivefold.evaluation.registry import register_metric, unregister_metric

    def agreement(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return float(np.mean(y_true == y_pred))

    register_metric("agreement", agreement, level="enterprise")
    try:
        names = ["agreement", "accuracy"]
        result = compare(binary(200), "label", FAST[0], metrics=names, out=tmp_path / "run", verbose=False)
        assert result.rows[0].scores["agreement"] == pytest.approx(result.rows[0].scores["accuracy"])
        with pytest.raises(SpecError, match="'agreement' was registered in this process"):
            quiet(binary(200), "label", FAST[0], metrics=names, tune=2, out=tmp_path / "tuned")
    finally:
        unregister_metric("agreement")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"encode": "onehot2"}, UnknownNameError, "Unknown encoding 'onehot2'; did you mean one of: one-hot"),
        ({"resample": "rose"}, UnknownNameError, "Unknown resampling strategy 'rose'"),
        ({"cost": "fp=1"}, InputError, "Costs need both fp and fn"),
        ({"gap": "7d"}, SpecError, "it needs --time COLUMN"),
        ({"time": "town", "group": "x0"}, SpecError, "give only one of --time and --group"),
        ({"time": "town"}, DataError, "The time column 'town' is categorical"),
        ({"group": "town"}, DataError, "The rows fall into 3 groups, fewer than 5 folds"),
        ({"split_column": "town"}, DataError, "The split column holds"),
        ({"budget": "soon"}, InputError, "budget takes a duration such as 30s, 5m, 2h or 7d; got 'soon'"),
        ({"budget": 0}, InputError, "budget must be above 0 seconds"),
        ({"tune": -1}, InputError, "tune must be at least 0 trials, got -1"),
        ({"repeats": 0}, InputError, "repeats must be at least 1"),
        ({"jobs": 0}, InputError, "jobs must be at least 1"),
        ({"select": 0}, InputError, "select must be at least 1 features"),
        ({"methods": "sklearn.Forest"}, UnknownNameError, "Unknown installed peer 'sklearn.Forest'"),
    ],
)
def test_refused_before_any_work(options: dict[str, Any], error: type[Exception], text: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=text):
        quiet(binary(60), "label", **{"methods": FAST, **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_options_of_one_task_are_refused_for_another(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--cost weighs the mistakes of two classes; the task is regression"):
        quiet(walk(100), "level", ["linear-regression"], cost="fp=1,fn=1", out=tmp_path / "run")
    with pytest.raises(SpecError, match="--resample balances classes, but the task is regression"):
        quiet(walk(100), "level", ["linear-regression"], resample="oversample", out=tmp_path / "run")


def test_costs_choose_thresholds_on_other_rows(tmp_path: Path) -> None:
    result = quiet(binary(), "label", FAST, cost="fp=1,fn=10", out=tmp_path / "run")
    for name in FAST:
        judged = result.judgements[name]
        assert judged.chosen.threshold < 0.3  # calibrated probabilities would be parted at 1 / 11
        assert judged.chosen.cost < judged.half.cost
    part = result.oof.filter((pl.col("method") == FAST[0]) & (pl.col("repeat") == 0))
    yes, called = (part["truth"] == "yes").to_numpy(), (part["probability_yes"] >= 0.5).to_numpy()
    expected = np.mean(np.where(yes & ~called, 10.0, np.where(~yes & called, 1.0, 0.0)))
    assert result.judgements[FAST[0]].half.cost == pytest.approx(expected, abs=1e-12)


def test_a_test_file_is_the_sealed_test(tmp_path: Path) -> None:
    binary(300, seed=9).write_csv(tmp_path / "test.csv")
    result = quiet(binary(400), "label", FAST, test=tmp_path / "test.csv", out=tmp_path / "run")
    assert result.plan.splits.sealed.tolist() == [False] * 400 + [True] * 300
    assert result.sealed["roc-auc"].rows == 300


def test_a_split_column_is_obeyed(tmp_path: Path) -> None:
    part = ["train"] * 300 + ["validation"] * 100 + ["test"] * 100
    frame = binary(500).with_columns(pl.Series("part", part))
    result = quiet(frame, "label", FAST, split_column="part", out=tmp_path / "run")
    train, test = result.plan.splits.rows(("fold", 0, 0))
    assert (train.tolist(), test.tolist()) == (list(range(300)), list(range(300, 400)))
    assert result.sealed["roc-auc"].rows == 100
    numbered = binary(500).with_columns(pl.Series("fold", np.arange(500) % 4))
    result = quiet(numbered, "label", FAST, split_column="fold", out=tmp_path / "numbered")
    assert (result.splits["fold"].to_numpy() == np.arange(500) % 4).all()


def test_shuffled_labels_score_what_guessing_scores(repeated: Any) -> None:
    # 240 rows: the standard deviation of the AUC of noise is about 0.037.
    assert abs(repeated.finish.shuffled - 0.5) < 0.15
    assert "on shuffled labels" in repeated.report.read_text(encoding="utf8")


def test_replay_gives_the_same_scores(tmp_path: Path) -> None:
    import fivefold

    binary(300).write_csv(tmp_path / "table.csv")
    result = quiet(tmp_path / "table.csv", "label", FAST, repeats=2, cost="fp=1,fn=3", out=tmp_path / "run")
    again = fivefold.replay(result.directory, out=tmp_path / "again")
    assert again.reproduced
