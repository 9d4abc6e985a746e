"""The verb ``compare``: methods of the field side by side on one table, on the same folds, with the trivial baseline.

    runs/<time>-compare-<data>/  spec.yaml  run.json  cells/  oof.parquet  splits.parquet  model/  report.html

The work goes through the stages of :mod:`fivefold.workbench.comparison`: options → plan (schema, alarms, splits) → cells, each
method in a worker of its own → table (differences, groups) → finish (sealed test, checks of the winner) → page.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import shlex
import shutil
import time as clock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from fivefold.base.errors import ArtifactError, SpecError
from fivefold.base.files import atomic_file, write_text

from .comparison.cells import Cell
from .comparison.conduct import Conductor
from .comparison.finish import Estimate, Finish, finish, second_splits
from .comparison.judge import Judgement, judge
from .comparison.options import Options, parse_seconds
from .comparison.plan import Plan, make_plan
from .comparison.progress import Silent
from .comparison.show import text_table, watching
from .comparison.splits import test_share
from .comparison.table import Row, as_frame, make_row, out_of_fold, rank, verdict
from .comparison.words import closing
from .store import RunRecord, RunStore, now, read_record, versions
from .tabular import TableModel
from .yaml_loader import dump_yaml, parse_yaml


class ComparisonInterrupted(KeyboardInterrupt):
    """A comparison stopped by Ctrl-C; ``directory`` can be resumed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"Interrupted; go on with `fivefold compare --resume {directory}`.")
        self.directory = directory


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`compare`; printing it shows the table.

    Attributes
    ----------
    plan : Plan
        Data, schema, alarms, task, splits, methods and metrics.
    rows : list of Row
        Best first; failed methods after the ranked ones, the baseline last.
    oof, splits : polars.DataFrame
        Every prediction out of fold, and the fold of every row.
    finish : Finish or None
        The sealed test and the checks of the winner; None when nothing is ranked.
    judgements : mapping method -> Judgement
        Decisions and calibration, for methods with probabilities.
    verdict : str
        The sentences that must be read.
    directory : Path
        The run: its report, its record, the best method refitted on all rows.
    """

    plan: Plan
    rows: list[Row]
    oof: pl.DataFrame
    splits: pl.DataFrame
    finish: Finish | None
    judgements: dict[str, Judgement]
    verdict: str
    directory: Path
    record: RunRecord = field(repr=False)

    @property
    def table(self) -> pl.DataFrame:
        """The table with full digits."""
        return as_frame(self.rows, self.plan.metrics)

    @property
    def best(self) -> Row | None:
        """The row that ranks first; None when every method failed."""
        return self.rows[0] if self.rows and self.rows[0].rank == 1 else None

    @property
    def sealed(self) -> dict[str, Estimate]:
        """The scores of the best method on the sealed test, with their intervals; empty where no row was sealed."""
        return self.finish.sealed if self.finish else {}

    @property
    def failed(self) -> bool:
        """Whether no method but the baseline came through; the command then exits with status 1."""
        return self.best is None

    @property
    def report(self) -> Path:
        """Where the report is."""
        return self.directory / "report.html"

    @property
    def model(self) -> TableModel:
        """The best method of ours, fitted on all rows."""
        from .predict import load_table_model

        return load_table_model(self.directory)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain values, for ``--json``."""
        rows = [
            {
                "rank": row.rank,
                "in_group": row.in_group,
                "method": row.id,
                "setting": row.setting,
                "scores": {
                    name: {"mean": _finite(row.mean(name)), "deviation": _finite(row.deviation(name)), "folds": list(v)}
                    for name, v in row.scores.items()
                },
                "behind_best": _finite(row.difference.mean) if row.difference else None,
                "p_adjusted": _finite(row.difference.adjusted) if row.difference else None,
                "fit_seconds": _finite(row.fit_seconds),
                "predict_seconds": _finite(row.predict_seconds),
                "weights": _finite(row.weights),
                "rows_per_second": _finite(row.rows_per_second),
                "reason": row.reason or None,
                "notes": list(row.notes),
            }
            for row in self.rows
        ]
        return {
            "verdict": self.verdict,
            "alarms": [{"kind": a.kind, "columns": list(a.columns), "text": a.text} for a in self.plan.alarms],
            "task": self.plan.task,
            "target": self.plan.target,
            "rank_by": self.plan.rank_by,
            "sealed_test": {
                name: {"value": e.value, "low": _finite(e.low), "high": _finite(e.high), "rows": e.rows}
                for name, e in self.sealed.items()
            },
            "nested": dict(self.finish.nested) if self.finish else {},
            "rows": rows,
            "directory": str(self.directory),
            "report": str(self.report),
        }

    def text(self, width: int = 0) -> str:
        """Return table and verdict as plain text, at most ``width`` columns wide where that is given."""
        return f"{text_table(self.plan, self.rows, self.finish, width, self.judgements)}\n\n{self.verdict}"

    def __str__(self) -> str:
        return self.text()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def compare(
    data: Any = None,
    target: str | None = None,
    methods: Iterable[str] | str | None = None,
    cv: int = 5,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    *,
    task: str | None = None,
    types: Mapping[str, str] | None = None,
    drop: Iterable[str] = (),
    weight: str | None = None,
    positive: str | None = None,
    metrics: Iterable[str] | str = (),
    params: Mapping[str, Mapping[str, Any]] | None = None,
    threads: int | None = None,
    sql: str | None = None,
    test: str | os.PathLike[str] | None = None,
    time: str | None = None,
    gap: str | float | None = None,
    group: str | None = None,
    split_column: str | None = None,
    repeats: int = 1,
    jobs: int = 1,
    tune: int = 0,
    budget: float | str | None = None,
    cost: Mapping[str, float] | str | None = None,
    encode: str = "auto",
    select: int | None = None,
    resample: str | None = None,
    peers: bool = False,
    drop_missing_target: bool = False,
    resume: str | os.PathLike[str] | None = None,
    isolate: bool = True,
    verbose: bool = True,
    progress: bool | None = None,
    command: Sequence[str] = (),
) -> Comparison:
    """Compare methods on a table: same folds and seeds for all, everything fitted inside the training folds.

    A fifth of the rows is sealed before anything is fitted; the others choose the winner by cross-validation, which is then
    scored on the sealed rows once. Below 1,000 rows nested cross-validation judges the choice instead.

    Parameters
    ----------
    data : path, URL, name of a data set, data frame, Arrow table or loaded data set
    target : str
        Column to predict; a data set knows its own.
    methods : names, or one text with commas, optional
        By default every method whose card serves the task and calls it fast. A kind, such as ``ctr-model``, names all its
        methods.
    cv : int >= 2, default 5
        Folds; stratified by class for classification.
    seed : int, default 0
        Of the folds and of the methods that draw.
    out : path, optional
        New directory of the run; by default ``runs/<time>-compare-<data>``.
    task : {"binary", "multiclass", "regression"}, optional
        Inferred from the target unless given.
    types : mapping column -> kind
        Overrides of the inferred kinds.
    drop : names of columns left out
    weight : name of the column that weighs the rows, optional
    positive : str, optional
        Positive class of a binary target; by default the later in order.
    metrics : names, optional
        The first ranks. By default roc-auc (binary), log-loss (multiclass) or rmse (regression) and those beside it.
    params : mapping method -> parameters, optional
        Those of a kind go to all its methods that have them.
    threads : int >= 1, optional
        Threads of every method; by default one, so that times compare and nothing depends on the machine's cores.
    sql : str, optional
        Query, where ``data`` is a database URL.
    test : path, optional
        File whose rows are the sealed test.
    time, gap : str, optional
        Column that orders the rows: training always comes before testing, by at least ``gap`` (``7d``, ``12h``, a number).
    group : str, optional
        Column whose equal values never stand on two sides of a split; it is no feature then.
    split_column : str, optional
        Column that names the part of each row (train, validation, test) or its fold (whole numbers).
    repeats : int >= 1, default 1
        Repeats of the cross-validation with other folds.
    jobs : int >= 1, default 1
        Methods computed at a time; scores do not depend on it.
    tune : int >= 0, default 0
        Trials of each method, the same for all, scored on inner splits of each training part; 0 keeps the defaults.
    budget : seconds or text such as "10m", optional
        Wall clock for the whole comparison, shared equally by the methods.
    cost : mapping or text such as "fp=1,fn=10", optional
        What mistakes cost (binary); the expected cost a row is reported with thresholds chosen on other rows.
    encode : {"auto", "one-hot", "target", "hash"}, default "auto"
        How categories of many levels become numbers; target means are cross-fitted within the training rows.
    select : int >= 1, optional
        Features kept by their univariate F statistic on the training rows.
    resample : {"oversample", "undersample", "smote"}, optional
        Balance classes in the fit only; probabilities are corrected for it.
    peers : bool, default False
        Put installed LightGBM, XGBoost and scikit-learn models into the same folds.
    drop_missing_target : bool, default False
        Leave out rows without a target instead of refusing them.
    resume : path or name of a comparison, optional
        Go on where it was interrupted, with its own options; finished cells are kept. ``data`` is needed again only if it was
        not read from a file or data set.
    isolate : bool, default True
        Compute each method in a worker process of its own, with limits; False computes everything in this process.
    verbose : bool, default True
        Print the plan before any fit and the outcome at the end.
    progress : bool, optional
        Show live progress on stderr; by default as ``verbose``.
    command : sequence of str
        What was typed, for the record.

    Returns
    -------
    Comparison

    Raises
    ------
    FivefoldError
        Before any fit, for data, options or methods that cannot be compared. A method that fails later is a row with its
        reason.
    """
    started = clock.monotonic()
    record: RunRecord | None = None
    if resume is not None:
        directory = RunStore().find(resume)
        options = _read_options(directory)
        source = options.data if data is None else data
        record = read_record(directory) if (directory / "run.json").is_file() else None
        command = record.command if record else command
    else:
        if data is None:
            raise SpecError("Which data? Give a file, a URL or the name of a data set (see `fivefold data list`).")
        source = data
        options = Options(
            data=_describe(data),
            target=target,
            methods=_names(methods),
            cv=cv,
            seed=seed,
            task=task,
            types=dict(types or {}),
            drop=tuple(drop),
            weight=weight,
            positive=positive,
            metrics=_names(metrics),
            params={name: dict(values) for name, values in (params or {}).items()},
            threads=threads,
            sql=sql,
            test=None if test is None else os.fspath(test),
            time=time,
            gap=None if gap is None else str(gap),
            group=group,
            split_column=split_column,
            repeats=repeats,
            jobs=jobs,
            tune=tune,
            budget=parse_seconds(budget, "budget"),
            cost=_costs(cost),
            encode=encode,
            select=select,
            resample=resample,
            peers=peers,
            drop_missing_target=drop_missing_target,
        )
    with contextlib.ExitStack() as stack:
        # The workers load their libraries while the data are read here.
        pool = stack.enter_context(_pool(options)) if isolate else None
        plan, name = make_plan(source, options)
        if record is not None and record.data is not None and record.data.sha256 != plan.data.sha256:
            raise ArtifactError(
                f"The data have changed since {directory} began (SHA-256 {record.data.sha256[:12]}…, now "
                f"{plan.data.sha256[:12]}…); start a new comparison."
            )
        say = _printer(verbose)
        say("\n".join([*plan.explain(), ""]))
        if resume is None:
            directory = RunStore().new(f"compare-{_slug(name)}", out)
            named = [e.id for e in plan.entries if not e.is_baseline and not (e.is_peer and options.peers)]
            fixed = {**options.to_dict(), "methods": named, "threads": plan.threads, "target": plan.target}
            write_text(directory / "spec.yaml", dump_yaml({"verb": "compare", **fixed}))
        record = _begin(plan, directory, command or options.command(), record)
        try:
            result = _carry_out(plan, directory, record, verbose if progress is None else progress, pool, started)
        except KeyboardInterrupt:
            record.changed(status="interrupted", ended=now()).write()
            raise ComparisonInterrupted(directory) from None
        except BaseException as error:
            record.changed(status="failed", ended=now(), error=f"{type(error).__name__}: {error}").write()
            raise
    say(result.text(_terminal_width()), "")
    say(f"Report    {result.report}")
    if result.finish is not None and result.finish.kept is not None:
        other = "" if result.finish.kept == result.finish.winner else f"  (with {result.finish.kept}, the best of ours)"
        say(f"Predict   fivefold predict {shlex.quote(str(directory))} new.parquet{other}")
    return result


def _pool(options: Options) -> Any:
    from .workers import Pool

    return Pool(options.jobs, threads=options.threads or 1, preload=("fivefold.workbench.comparison.workspace",))


def _costs(cost: Mapping[str, float] | str | None) -> dict[str, float]:
    from fivefold.evaluation.thresholds import Costs

    if not cost:
        return {}
    parsed = Costs.parse(cost) if isinstance(cost, str) else Costs(**cost)
    return {name: value for name, value in vars(parsed).items() if value or name in ("fp", "fn")}


def _carry_out(plan: Plan, directory: Path, record: RunRecord, progress: bool, pool: Any, started: float) -> Comparison:
    splits = plan.splits.table()
    _write_parquet(splits, directory / "splits.parquet")
    other, option, dropped = second_splits(plan)
    conductor = Conductor(plan, directory, other=other, pool=pool, started=started)
    with watching(plan, conductor.cross_validation(), progress) as watcher:
        cells = conductor.run(conductor.cross_validation(), watcher)
    rows = [make_row(plan, entry, cells[entry.id]) for entry in plan.entries]
    rows = rank(rows, plan.rank_by, test_share(plan.splits))
    oof = out_of_fold(plan, cells)
    _write_parquet(oof, directory / "oof.parquet")
    judgements = _judgements(plan, rows, cells)
    end: Finish | None = None
    if rows and rows[0].rank == 1:
        end = finish(plan, conductor, rows, cells, Silent(), (option, dropped), directory)
    seconds = clock.monotonic() - started
    from .comparison.page import build_page

    text = "\n".join([verdict(plan, rows), *closing(plan, rows, end)])
    build_page(plan, rows, oof, end, judgements, text, record, seconds).write(directory / "report.html")
    metrics = {f"{row.id}/{name}": _finite(row.mean(name)) for row in rows for name in row.scores}
    if end:
        metrics |= {f"{end.winner}/sealed/{name}": _finite(e.value) for name, e in end.sealed.items()}
    timings = {f"{row.id}/fit": row.fit_seconds for row in rows if row.scores} | {"total": seconds}
    notes = [text, *(alarm.text for alarm in plan.alarms), *plan.notes, *(end.notes if end else ())]
    # The report is there before the record says "finished", so that a kill in between is made good by resuming.
    done = record.changed(status="finished", ended=now(), metrics=metrics, timings=timings, notes=notes)
    shutil.rmtree(directory / "work", ignore_errors=True)
    return Comparison(plan, rows, oof, splits, end, judgements, text, directory, done.write())


def _judgements(plan: Plan, rows: Sequence[Row], cells: Mapping[str, Mapping[str, Cell]]) -> dict[str, Judgement]:
    found = {row.id: judge(plan, dict(cells[row.id])) for row in rows if row.finished}
    return {name: judgement for name, judgement in found.items() if judgement is not None}


def _begin(plan: Plan, directory: Path, command: Sequence[str], old: RunRecord | None) -> RunRecord:
    return RunRecord(
        id="model-comparison",
        kind="comparison",
        name=directory.name,
        status="running",
        seed=plan.options.seed,
        started=old.started if old else now(),
        resumed=old.resumed + 1 if old else 0,
        command=list(command),
        versions=versions(),
        platform=platform.platform(),
        data=plan.data,
        directory=directory,
    ).write()


def _write_parquet(table: pl.DataFrame, path: Path) -> None:
    with atomic_file(path) as temporary:
        table.write_parquet(temporary)


def _read_options(directory: Path) -> Options:
    try:
        plain = parse_yaml((directory / "spec.yaml").read_text(encoding="utf8"), str(directory / "spec.yaml")).value
    except OSError as error:
        raise ArtifactError(f"{directory} is not a comparison: its spec.yaml cannot be read.") from error
    if not isinstance(plain, Mapping) or plain.get("verb") != "compare":
        raise ArtifactError(f"{directory} is not a comparison; go on with `fivefold run --resume {directory}`.")
    return Options.from_dict({key: value for key, value in plain.items() if key != "verb"})


def _names(value: Iterable[str] | str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(part.strip() for part in parts if part.strip())


def _describe(data: Any) -> str:
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    return str(data.name) if hasattr(data, "frame") and hasattr(data, "name") else f"<{type(data).__name__}>"


def _slug(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return re.sub(r"\.(csv|tsv|txt|parquet|jsonl?|arrow|feather|gz|zst)\b", "", plain)[:40] or "table"


def _printer(verbose: bool) -> Any:
    if not verbose:
        return lambda *texts: None
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)

    def say(*texts: str) -> None:
        for text in texts:
            console.print(text, markup=False)

    return say


def _terminal_width() -> int:
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
