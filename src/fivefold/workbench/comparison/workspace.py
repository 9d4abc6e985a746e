"""The plan of a comparison on disk, so that every worker reads the same table instead of being sent a copy."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from fivefold.base.files import atomic_file, write_json
from fivefold.base.random import Streams

from ..store import DataFacts
from .cells import CellSpec, CellStore, run_cell
from .entries import Entry, find_card
from .options import Options
from .plan import Plan
from .splits import Splits


def write_workspace(plan: Plan, directory: Path, other: Splits | None = None) -> None:
    """Write table, schema, splits and options below ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_file(directory / "table.arrow") as temporary:
        plan.frame.write_ipc(temporary, compression="uncompressed")
    plan.splits.save(directory / "splits")
    if other is not None:
        other.save(directory / "other")
    write_json(
        directory / "plan.json",
        {
            "options": plan.options.to_dict(),
            "schema": plan.schema.to_dict(),
            "classes": plan.classes,
            "entries": [{"id": e.id, "variant": e.variant, "params": dict(e.params)} for e in plan.entries],
            "metrics": list(plan.metrics),
            "threads": plan.threads,
            "data": vars(plan.data),
        },
    )


def read_workspace(directory: Path) -> tuple[Plan, Splits | None]:
    """Return the plan that :func:`write_workspace` wrote, and the second splits; the table is mapped, not copied."""
    from fivefold.data.schema import Schema

    facts = json.loads((directory / "plan.json").read_text(encoding="utf8"))
    schema = Schema.from_dict(facts["schema"])
    entries = tuple(
        Entry(card=find_card(e["id"], str(schema.task), facts["threads"]), variant=e["variant"], params=e["params"])
        for e in facts["entries"]
    )
    plan = Plan(
        options=Options.from_dict(facts["options"]),
        frame=_mapped(directory / "table.arrow"),
        schema=schema,
        classes=facts["classes"],
        entries=entries,
        metrics=tuple(facts["metrics"]),
        threads=facts["threads"],
        data=DataFacts(**facts["data"]),
        splits=Splits.load(directory / "splits"),
    )
    other = Splits.load(directory / "other") if (directory / "other" / "splits.json").is_file() else None
    return plan, other


def _mapped(path: Path) -> pl.DataFrame:
    import pyarrow as pa

    with pa.memory_map(os.fspath(path)) as source, pa.ipc.open_file(source) as reader:
        return pl.DataFrame(pl.from_arrow(reader.read_all(), rechunk=False))


def work(directory: str, method: str, cells: Sequence[dict[str, Any]], seconds: float | None = None) -> int:
    """Compute cells of one method in a worker; returns how many.

    Every finished cell is written at once and reported by its name, so that nothing is lost when the worker is stopped.
    """
    from ..forkserver import report

    home = Path(directory)
    plan, other = read_workspace(home / "work")
    store = CellStore(home / "cells")
    started = time.monotonic()
    entry = plan.entry(method)
    for number, plain in enumerate(cells):
        spec = CellSpec.from_dict(plain)
        # Tuning leaves room for the cells to come: each gets an equal share of what is left of the method's time.
        deadline = None
        if seconds is not None:
            left = seconds - (time.monotonic() - started)
            deadline = time.monotonic() + 0.7 * left / (len(cells) - number)
        _seed_globals(Streams(plan.options.seed).integer(f"compare/globals/{method}/{spec.name}") % 2**32)
        cell = run_cell(plan, entry, spec, other=other, store=store, deadline=deadline)
        store.save(cell)
        report({"cell": spec.name})
        if cell.reason and spec.name.startswith("fold-"):
            break  # a method that fails in one fold is not ranked, whatever the others say
    sys.stdout.flush()
    return os.getpid()


def _seed_globals(seed: int) -> None:
    """Seed the global generators, for methods of others that draw from them."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
