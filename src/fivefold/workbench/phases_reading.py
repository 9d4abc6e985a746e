"""The files of a phase: lines of all files of a prefix at once, or train* piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base.errors import DataError

if TYPE_CHECKING:
    from fivefold.data.readers_sparse import MultiFieldReader
    from fivefold.data.streams_sources import Source


def files_of(flags: Mapping[str, Any], prefix: str) -> list[Path]:
    """Return the files of a prefix by name."""
    files = sorted(path for path in Path(flags["data_dir"]).glob(prefix + "*") if path.is_file())
    if not files:
        raise DataError(f"There is no file {prefix}* in {flags['data_dir']}.")
    return files


def reader_of(flags: Mapping[str, Any], labeled: bool) -> MultiFieldReader:
    from fivefold.data.readers_sparse import MultiFieldReader

    classes = {"binary": 2, "multi": max(2, flags["output_size"]), "regression": None}[flags["task"]]
    return MultiFieldReader(
        field_size=flags["field_size"],
        n_features=flags["feat_size"],
        n_classes=classes if labeled else None,
        delimiter=None if flags["delimiter"] == " " else flags["delimiter"],
        separator=flags["separator"],
    )


def streamed(flags: Mapping[str, Any]) -> Source:
    """Return the lines of train* as a source that is read piece by piece."""
    from fivefold.data.streams_sources import JoinedSource, LineSource

    reader = reader_of(flags, labeled=True)
    return JoinedSource([LineSource(path, partial(reader.parse, name="the file")) for path in files_of(flags, "train")])


def read_rows(flags: Mapping[str, Any], prefix: str, *, labeled: bool) -> dict[str, np.ndarray]:
    """Return the lines of all files of a prefix, in the order of their names."""
    files, reader = files_of(flags, prefix), reader_of(flags, labeled)
    parts = [reader.read(path) for path in files]
    if labeled:
        bare = next((path for path, part in zip(files, parts) if "label" not in part), None)
        if bare is not None:
            raise DataError(f"{bare} has no labels, which the phase {flags['phase']} needs.")
    return {
        name: np.concatenate([part[name] for part in parts]) for name in ("label", "inds", "vals") if name in parts[0]
    }


def digest_of(rows: Source | Mapping[str, np.ndarray]) -> str:
    """Return what tells these rows from others: all numbers, or names, sizes and times of files that are streamed."""
    digest = hashlib.sha256()
    if isinstance(rows, Mapping):
        for name, values in rows.items():
            digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    else:
        for path in rows.files:
            facts = path.stat()
            digest.update(f"{path.name} {facts.st_size} {facts.st_mtime_ns}".encode())
    return digest.hexdigest()
