"""The verb about data sets: data list, data show, data path, data write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import emit, log, say, table, write_frame
from .methods import Json

Name = Annotated[str, typer.Argument(help="Name of a data set.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    group = typer.Typer(help="Data sets: list, show, path, write.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_)
    group.command()(show)
    group.command()(path)
    group.command()(write)
    app.add_typer(group, name="data")


def list_(json: Json = False) -> None:
    """List the data sets known by name."""
    from fivefold.data.datasets import describe_dataset, list_datasets

    facts = [describe_dataset(name) for name in list_datasets()]
    if json:
        emit(facts)
        return
    rows = [
        [f["name"], f["kind"], f["task"], "here" if f["at_hand"] == f["parts"] else "to be fetched", f["title"]]
        for f in facts
    ]
    table(["data set", "kind", "task", "files", "what"], rows)


def show(name: Name, json: Json = False) -> None:
    """Show what a data set is and holds."""
    from fivefold.data.datasets import load_dataset

    dataset = load_dataset(name)
    facts: dict[str, Any] = {
        key: getattr(dataset, key)
        for key in ("name", "kind", "title", "source", "task", "target")
        if hasattr(dataset, key)
    }
    if dataset.kind == "table":
        from fivefold.data.infer import infer_schema

        schema, frame = infer_schema(dataset.frame, target=dataset.target, types=dataset.types)
        facts["rows"], facts["columns"] = len(frame), len(frame.columns)
        rows = [[c.name, c.kind, c.role, c.reason] for c in schema.columns]
    else:
        rows = [
            [key, str(getattr(v, "dtype", type(v).__name__)), str(getattr(v, "shape", len(v))), ""]
            for key, v in dataset.arrays.items()
        ]
    if json:
        emit({**facts, "fields": [dict(zip(("name", "kind", "role", "reason"), row)) for row in rows]})
        return
    for key, value in facts.items():
        if value is not None:
            say(f"{key:9}{value}")
    table(["name", "kind", "role or shape", "why"], rows)


def path(name: Name, json: Json = False) -> None:
    """Print where the files of a data set lie on this machine."""
    from fivefold.base.names import resolve
    from fivefold.data.catalog import REMOTE
    from fivefold.data.datasets import list_datasets
    from fivefold.data.download import fetch

    key = resolve(name, list_datasets(), "data set")
    parts = REMOTE[key].parts if key in REMOTE else {}
    home = REMOTE[key].home if key in REMOTE else ""
    files = list(dict.fromkeys(str(fetch(home or key, file)) for group in parts.values() for file in group))
    if json:
        emit(files)
        return
    for file in files:
        say(file)
    if not files:
        log(f"fivefold: {key} has no files: it comes with a library or is generated.")


def write(
    name: Name,
    file: Annotated[str, typer.Argument(help="New .csv, .parquet, .jsonl or .arrow file.")],
    rows: Annotated[int | None, typer.Option(help="Rows of a generated set.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of a generated set.")] = 0,
    json: Json = False,
) -> None:
    """Write the table of a data set to a file."""
    from fivefold.base.errors import InputError
    from fivefold.data.datasets import load_dataset

    dataset = load_dataset(name, n=rows, seed=seed)
    if dataset.frame is None:
        raise InputError(f"{dataset.name} is a set of {dataset.kind} and has no table to write.")
    write_frame(dataset.frame, Path(file), "The file")
    log(f"{len(dataset.frame):,} rows of {dataset.name} written to {file}")
    for kind in dict.fromkeys(dataset.types.values()):
        names = [column for column, told in dataset.types.items() if told == kind]
        log(f"Tell who reads it that these columns are {kind} (--type COL={kind}): {', '.join(names)}")
    if json:
        emit({"rows": len(dataset.frame), "columns": dataset.frame.columns, "file": file, "types": dict(dataset.types)})
