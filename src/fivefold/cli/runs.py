"""The verbs about runs: run, compare, predict, replay, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import emit, log, number, say, table, write_frame
from .methods import Json, Overrides


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(run)
    app.command()(compare)
    app.command()(predict)
    app.command()(replay)
    app.command()(report)


def _typed() -> list[str]:
    return ["fivefold", *sys.argv[1:]]


def _print_record(record: Any) -> None:
    table(["", "value"], list(record.metrics.items()), numbers=(1,))
    say(f"Run       {record.directory}")
    if record.report.is_file():
        say(f"Report    {record.report}")


def run(
    target: Annotated[str | None, typer.Argument(metavar="ID|SPEC", help="A method, or a YAML file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A rehearsal of about a second.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run: its directory, name or 'latest'.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed.")] = None,
    out: Annotated[str | None, typer.Option(help="Directory of the run; by default runs/<time>-<id>.")] = None,
    overrides: Overrides = None,
    devices: Annotated[int | None, typer.Option(help="Processes that train together.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto.")] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, 64-true, bf16-mixed, ...")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events too.")] = False,
    json: Json = False,
) -> None:
    """Run a method's stock experiment, or a specification."""
    from fivefold.base.errors import InputError
    from fivefold.workbench.run import run as run_spec

    if resume is not None:
        given = {
            "an ID": target,
            "--out": out,
            "--seed": seed,
            "--set": overrides,
            "--quick": quick,
            "--devices": devices,
        }
        for name, value in given.items():
            if value:
                raise InputError(f"--resume goes on with a run as it was begun; leave out {name}.")
        record = run_spec(resume, resume=True, progress=True)
    elif target is None:
        raise InputError(
            "What shall be run? Give the id of a method (see `fivefold list`), a YAML file, or --resume RUN."
        )
    else:
        record = run_spec(
            target,
            out=out,
            quick=quick,
            seed=seed,
            overrides=overrides or [],
            devices=devices,
            device=device,
            precision=precision,
            tensorboard=tensorboard,
            progress=True,
            command=_typed(),
        )
    if json:
        emit({**record.model_dump(mode="json"), "directory": record.directory, "report": record.report})
    else:
        _print_record(record)


def _pairs(texts: list[str] | None, option: str, example: str) -> dict[str, str]:
    from fivefold.base.errors import InputError

    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise InputError(f"{option} {text!r} is not of the form {example}.")
        found[name] = value
    return found


def _params(texts: list[str] | None) -> dict[str, dict[str, Any]]:
    from fivefold.base.errors import InputError
    from fivefold.workbench.yaml_loader import parse_yaml

    found: dict[str, dict[str, Any]] = {}
    for text in texts or []:
        path, equals, value = text.partition("=")
        method, dot, name = path.partition(".")
        if not equals or not dot or not method or not name:
            raise InputError(f"--param {text!r} is not of the form METHOD.PARAMETER=VALUE.")
        found.setdefault(method, {})[name] = parse_yaml(value, f"--param {path}").value
    return found


def _source(data: str | None, sql: tuple[str, str] | None) -> tuple[str | None, str | None]:
    from fivefold.base.errors import InputError

    if sql is not None and data is not None:
        raise InputError(f"Give data either as {data!r} or by --sql URL QUERY, not both.")
    return (data, None) if sql is None else sql


Sql = Annotated[
    tuple[str, str] | None, typer.Option("--sql", metavar="URL QUERY", help="Read from a database instead of DATA.")
]


def compare(
    data: Annotated[str | None, typer.Argument(help="A file, a URL or a data set (see `fivefold data list`).")] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Names or kinds (ctr-model) with commas; by default all that are fast.")
    ] = None,
    cv: Annotated[int, typer.Option(help="Folds.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
    out: Annotated[str | None, typer.Option(help="Directory of the run.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression; inferred by default.")] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="COL=KIND", help="Kind of a column, or of all that fit C*; repeatable."),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COL", help="Leave a column out; repeatable.")] = None,
    weight: Annotated[str | None, typer.Option(help="Column that weighs the rows.")] = None,
    positive: Annotated[str | None, typer.Option(help="Positive class of a binary target.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Names with commas; the first ranks.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="METHOD.NAME=VALUE", help="Parameter of a method or kind; repeatable.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of every method; by default one.")] = None,
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Rows of the sealed test; by default a fifth.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COL", help="Train before, test after: forward in this column.")
    ] = None,
    gap: Annotated[
        str | None, typer.Option(help="With --time: least distance of training and test, such as 7d.")
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="COL", help="Equal values of this column stay together.")] = None,
    split_column: Annotated[str | None, typer.Option(metavar="COL", help="Names the part or fold of each row.")] = None,
    repeats: Annotated[int, typer.Option(help="Repeats of the cross-validation.")] = 1,
    jobs: Annotated[int, typer.Option(help="Methods computed at a time.")] = 1,
    tune: Annotated[int, typer.Option(metavar="N", help="Trials of every method, on inner splits.")] = 0,
    budget: Annotated[str | None, typer.Option(help="Wall clock for everything, such as 90s or 10m.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="fp=1,fn=10", help="What mistakes cost.")] = None,
    encode: Annotated[str, typer.Option(help="Categories of many levels: auto, one-hot, target or hash.")] = "auto",
    select: Annotated[
        int | None, typer.Option(metavar="K", help="Keep the K best features, chosen in training parts.")
    ] = None,
    resample: Annotated[str | None, typer.Option(help="oversample, undersample or smote, in the fit only.")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Also installed LightGBM, XGBoost and scikit-learn.")] = False,
    drop_missing_target: Annotated[
        bool, typer.Option("--drop-missing-target", help="Leave out rows without a target.")
    ] = False,
    sql: Sql = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a comparison.")] = None,
    json: Json = False,
) -> int:
    """Compare methods on a table: same folds for all, a sealed test, and what can be told apart."""
    from fivefold.workbench.compare import compare as compare_methods

    source, query = _source(data, sql)
    result = compare_methods(
        source,
        target=target,
        methods=methods,
        cv=cv,
        seed=seed,
        out=out,
        task=task,
        types=_pairs(types, "--type", "COLUMN=KIND"),
        drop=drop or (),
        weight=weight,
        positive=positive,
        metrics=[name.strip() for name in (metrics or "").split(",") if name.strip()],
        params=_params(param),
        threads=threads,
        sql=query,
        test=test,
        time=time,
        gap=gap,
        group=group,
        split_column=split_column,
        repeats=repeats,
        jobs=jobs,
        tune=tune,
        budget=budget,
        cost=cost,
        encode=encode,
        select=select,
        resample=resample,
        peers=peers,
        drop_missing_target=drop_missing_target,
        resume=resume,
        verbose=not json,
        progress=True,
        command=_typed(),
    )
    if json:
        emit(result.to_dict())
    return 1 if result.failed else 0


def predict(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run: its directory, name or 'latest'.")],
    data: Annotated[str | None, typer.Argument(help="New data: a file or a URL.")] = None,
    out: Annotated[str | None, typer.Option(help="Write to this .csv, .parquet, .jsonl or .arrow file.")] = None,
    sql: Sql = None,
    json: Json = False,
) -> None:
    """Predict new rows with a saved run; the order of rows is kept."""
    from fivefold.base.errors import InputError
    from fivefold.workbench.predict import predict as predict_rows

    source, query = _source(data, sql)
    if source is None:
        raise InputError("Which data? Give a file or a URL, or --sql URL QUERY.")
    rows: Any = source
    if query is not None:
        from fivefold.data.readers import read_table

        rows = read_table(source, sql=query)
    frame = predict_rows(run_name, rows)
    if out is not None:
        write_frame(frame, Path(out), "--out")
        log(f"{len(frame):,} predictions written to {out}")
        if json:
            emit({"rows": len(frame), "columns": frame.columns, "file": out})
    elif json:
        emit(frame.to_dicts())
    else:
        sys.stdout.write(frame.write_csv())


def replay(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run: its directory, name or 'latest'.")],
    out: Annotated[str | None, typer.Option(help="Directory of the new run.")] = None,
    json: Json = False,
) -> int:
    """Execute a recorded run again (status 1: it differs)."""
    from fivefold.workbench.replay import replay as replay_run

    result = replay_run(run_name, out=out, progress=True)
    if json:
        emit(result.to_dict())
        return 0 if result.reproduced else 1
    rows = [
        [d.name, d.recorded, d.now, "equal" if d.equal else f"differs by {number(d.size)}"] for d in result.differences
    ]
    table(["metric", "recorded", "now", ""], rows, numbers=(1, 2))
    for name, (then, now) in result.versions.items():
        say(f"{name} was {then}, is {now}")
    say("Reproduced." if result.reproduced else "Not reproduced.")
    return 0 if result.reproduced else 1


def report(
    run_name: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run; without it all are listed.")] = None,
    json: Json = False,
) -> None:
    """List runs, or show one and where its report is."""
    from fivefold.workbench.store import RunStore, read_record

    store = RunStore()
    if run_name is None:
        records = store.list()
        if json:
            emit([{**r.model_dump(mode="json"), "directory": r.directory} for r in records])
            return
        if not records:
            log(f"fivefold: {store.folder} holds no runs yet.")
            return
        rows = [[r.name, r.status, *_first_metric(r), r.seed] for r in records]
        table(["run", "status", "metric", "value", "seed"], rows, numbers=(3, 4))
        return
    record = read_record(store.find(run_name))
    if json:
        emit({**record.model_dump(mode="json"), "directory": record.directory, "report": record.report})
        return
    say(f"{record.name}  {record.status}  seed {record.seed}" + (f"  {record.error}" if record.error else ""))
    _print_record(record)


def _first_metric(record: Any) -> tuple[str, float | None]:
    return next(iter(record.metrics.items()), ("", None))
