"""What the command prints: answers on stdout, for people or as JSON; everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def say(text: str = "") -> None:
    """Write a line to stdout as it is."""
    sys.stdout.write(text + "\n")


def log(text: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(text + "\n")


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are not finite become null, sets lists, everything unknown its text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return plain(value.item())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def emit(value: Any) -> None:
    """Write a value to stdout as JSON."""
    say(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def number(value: Any) -> str:
    """Return a number for people: five significant digits, a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", numbers: Sequence[int] = ()
) -> None:
    """Print a table; columns in ``numbers`` stand to the right. Piped into a file, no line is ever cut."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for place, name in enumerate(columns):
        made.add_column(name, justify="right" if place in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(number(value)) for value in row))
    terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if terminal else 500, highlight=False).print(made)


def write_frame(frame: Any, path: Path, option: str) -> None:
    """Write a table to a file by the ending of its name; lists become text such as ``a|b`` in CSV, which has none.

    Raises
    ------
    InputError
        For another ending; ``option`` says what was given.
    """
    import polars as pl

    from fivefold.base.errors import InputError
    from fivefold.base.files import atomic_file

    writers = {".csv": "write_csv", ".parquet": "write_parquet", ".jsonl": "write_ndjson", ".arrow": "write_ipc"}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{option} {str(path)!r} has an ending that is not written; use {', '.join(writers)}.")
    if writer == "write_csv":
        lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
        frame = frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|") for name in lists)
    with atomic_file(path) as temporary:
        getattr(frame, writer)(temporary)
