"""The verb ``compare``: methods of the field side by side on one table, on the same folds, with the trivial baseline.

    runs/<time>-compare-<data>/  spec.yaml  run.json  cells/  oof.parquet  splits.parquet  model/  report.html

The work goes through the stages of :mod:`fivefold.workbench.comparison`: plan → splits → cells → table → page.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shlex
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.base import codec
from fivefold.base.errors import ArtifactError, SpecError
from fivefold.base.files import atomic_file, write_text
from fivefold.base.random import Streams

from .comparison.cells import Cell, CellStore, fixed_threads, run_cell
from .comparison.plan import Options, Plan, make_plan
from .comparison.show import text_table, watching
from .comparison.splits import assign_folds, split_table
from .comparison.table import Row, as_frame, make_row, out_of_fold, rank, verdict
from .store import RunRecord, RunStore, now, read_record, versions
from .tabular import TableModel, fit_table
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
        Data, schema, task, methods and metrics.
    rows : list of Row
        Best first; failed methods after the ranked ones, the baseline last.
    oof, splits : polars.DataFrame
        Every prediction out of fold, and the fold of every row.
    verdict : str
        One sentence.
    directory : Path
        The run: its report, its record, the best method refitted on all rows.
    """

    plan: Plan
    rows: list[Row]
    oof: pl.DataFrame
    splits: pl.DataFrame
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
    def failed(self) -> bool:
        """Whether no method but the baseline came through; the command then exits with status 1."""
        return self.best is None

    @property
    def report(self) -> Path:
        """Where the report is."""
        return self.directory / "report.html"

    @property
    def model(self) -> TableModel:
        """The best method, fitted on all rows."""
        from .predict import load_table_model

        return load_table_model(self.directory)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain values, for ``--json``."""
        rows = [
            {
                "rank": row.rank,
                "method": row.id,
                "scores": {
                    name: {"mean": _finite(row.mean(name)), "deviation": _finite(row.deviation(name)), "folds": list(v)}
                    for name, v in row.scores.items()
                },
                "fit_seconds": _finite(row.fit_seconds),
                "predict_seconds": _finite(row.predict_seconds),
                "reason": row.reason or None,
                "notes": list(row.notes),
            }
            for row in self.rows
        ]
        return {
            "verdict": self.verdict,
            "task": self.plan.task,
            "target": self.plan.target,
            "rank_by": self.plan.rank_by,
            "rows": rows,
            "directory": str(self.directory),
            "report": str(self.report),
        }

    def text(self, width: int = 0) -> str:
        """Return table and verdict as plain text, at most ``width`` columns wide where that is given."""
        return f"{text_table(self.plan, self.rows, width)}\n\n{self.verdict}"

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
    metrics: Iterable[str] = (),
    params: Mapping[str, Mapping[str, Any]] | None = None,
    threads: int | None = None,
    sql: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    verbose: bool = True,
    progress: bool | None = None,
    command: Sequence[str] = (),
) -> Comparison:
    """Compare methods on a table: same folds and seeds for all, everything fitted inside the training folds.

    Parameters
    ----------
    data : path, URL, name of a data set, data frame, Arrow table or loaded data set
    target : str
        Column to predict; a data set knows its own.
    methods : names, or one text with commas, optional
        By default every method whose card serves the task and calls it fast.
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
    threads : int >= 1, optional
        Threads of every method; by default one, so that times compare and nothing depends on the machine's cores.
    sql : str, optional
        Query, where ``data`` is a database URL.
    resume : path or name of a comparison, optional
        Go on where it was interrupted, with its own options; finished cells are kept. ``data`` is needed again only if it was
        not read from a file or data set.
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
    if resume is not None:
        directory = RunStore().find(resume)
        options = _read_options(directory)
        source = options.data if data is None else data
        record: RunRecord | None = read_record(directory) if (directory / "run.json").is_file() else None
        command = record.command if record else command
    else:
        if data is None:
            raise SpecError("Which data? Give a file, a URL or the name of a data set (see `fivefold data list`).")
        source, record = data, None
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
        )
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
        fixed = {
            **options.to_dict(),
            "methods": [e.id for e in plan.entries if not e.is_baseline],
            "threads": plan.threads,
        }
        fixed["target"] = plan.target
        write_text(directory / "spec.yaml", dump_yaml({"verb": "compare", **fixed}))
    record = _begin(plan, directory, command or _command(options), record)
    try:
        result = _carry_out(plan, directory, record, verbose if progress is None else progress)
    except KeyboardInterrupt:
        record.changed(status="interrupted", ended=now()).write()
        raise ComparisonInterrupted(directory) from None
    except BaseException as error:
        record.changed(status="failed", ended=now(), error=f"{type(error).__name__}: {error}").write()
        raise
    say(result.text(_terminal_width()), "")
    say(f"Report    {result.report}")
    if not result.failed:
        say(f"Predict   fivefold predict {shlex.quote(str(directory))} new.parquet")
    return result


def _carry_out(plan: Plan, directory: Path, record: RunRecord, progress: bool) -> Comparison:
    start = time.perf_counter()
    folds = assign_folds(plan)
    splits = split_table(folds)
    _write_parquet(splits, directory / "splits.parquet")
    cells = run_cells(plan, folds, CellStore(directory / "cells"), progress)
    rows = rank(
        [make_row(plan, entry, [c for c in cells if c.method == entry.id]) for entry in plan.entries], plan.rank_by
    )
    oof = out_of_fold(plan, cells)
    _write_parquet(oof, directory / "oof.parquet")
    warned = _refit(plan, rows[0].id, directory) if rows and rows[0].rank == 1 else []
    seconds = time.perf_counter() - start
    from .comparison.page import build_page

    build_page(plan, rows, oof, record, seconds).write(directory / "report.html")
    text = verdict(plan, rows)
    metrics = {f"{row.id}/{name}": _finite(row.mean(name)) for row in rows for name in row.scores}
    timings = {f"{row.id}/fit": row.fit_seconds for row in rows if row.scores} | {"total": seconds}
    # The report is there before the record says "finished", so that a kill in between is made good by resuming.
    done = record.changed(
        status="finished", ended=now(), metrics=metrics, timings=timings, notes=[text, *plan.notes, *warned]
    )
    return Comparison(plan, rows, oof, splits, text, directory, done.write())


def run_cells(plan: Plan, folds: np.ndarray, store: CellStore, progress: bool = False) -> list[Cell]:
    """Return every cell of the plan, those that ``store`` holds already without computing them again."""
    cells = []
    with watching(plan, progress) as watcher:
        for entry in plan.entries:
            watcher.start(entry.id)
            fingerprint = plan.fingerprint(entry)
            for fold in range(plan.options.cv):
                cell = store.load(entry.id, fold, fingerprint)
                if cell is None:
                    cell = run_cell(plan, entry, fold, folds)
                    store.save(cell)
                cells.append(cell)
                watcher.done(cell)
    return cells


def _refit(plan: Plan, name: str, directory: Path) -> list[str]:
    """Fit the best method on all rows, save it, and return what it warned of."""
    from fivefold.engine.session import session

    entry = plan.entry(name)
    with fixed_threads(plan.threads), session(progress=False), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fit_table(
            entry.card,
            plan.frame,
            plan.schema,
            params=entry.params,
            seed=Streams(plan.options.seed).integer("compare/refit"),
            variant=entry.variant,
            classes=plan.classes,
        )
    codec.save(model, directory / "model", schema_hash=plan.schema.hash(), meta={"id": name, "seed": plan.options.seed})
    return list(dict.fromkeys(f"{name}, fitted on all rows: {w.message}" for w in caught))


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


def _command(options: Options) -> list[str]:
    """Return the command line that repeats the comparison."""
    words = ["fivefold", "compare", options.data]
    for name, value in options.to_dict().items():
        if name in ("data", "params"):
            continue
        if name in ("methods", "metrics"):
            words += [f"--{name}", ",".join(value)]
        elif name == "types":
            words += [word for column, kind in value.items() for word in ("--type", f"{column}={kind}")]
        elif name == "drop":
            words += [word for column in value for word in ("--drop", column)]
        else:
            words += [f"--{name}", str(value)]
    for method, values in options.params.items():
        words += [word for key, value in values.items() for word in ("--param", f"{method}.{key}={json.dumps(value)}")]
    return words


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
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
