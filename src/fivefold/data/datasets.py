"""Real data by name: ``load_dataset("california-housing")``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError
from fivefold.base.names import resolve

from .catalog import BUNDLED, GENERATED, REMOTE, Entry
from .download import at_hand, offline

_ALL: dict[str, Entry] = {**BUNDLED, **GENERATED, **REMOTE}


@dataclass(frozen=True, repr=False)
class Dataset:
    """A data set, loaded.

    Parameters
    ----------
    name : str
    kind : "table", "images", "text", "sequences", "graph" or "series"
    title, source : str
        What it is and where it comes from.
    task : str
        What it is used for.
    target : str or None
        Name of the column or array to predict.
    frame : polars.DataFrame or None
        The table, for whatever has one.
    arrays : mapping name -> array or list
        Everything else: ``x``, ``y``, ``text``, ``edge_index`` ...
    classes : tuple of str
        Names of the classes in the order of their codes in ``xy()[1]``.
    targets : tuple of str
        All target columns of a multi-output set.
    parts : tuple of str
        The parts that are loaded here.
    rows : mapping part -> range
        Which rows of ``frame`` or ``arrays`` come from which part.
    missing_parts : tuple of str
        Parts of the whole set that are not at hand.
    types : mapping column -> kind
        Kinds that the values do not tell, for :func:`~fivefold.data.infer.infer_schema`.
    """

    name: str
    kind: str
    title: str = ""
    source: str = ""
    task: str = ""
    target: str | None = None
    frame: pl.DataFrame | None = None
    arrays: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("all",)
    rows: Mapping[str, range] = field(default_factory=dict)
    missing_parts: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Dataset {self.describe()}>"

    def describe(self) -> str:
        """Return name, kind, size and the parts at hand, in one line."""
        if self.frame is not None:
            size = f"{self.frame.height:,} rows x {self.frame.width} columns"
        else:
            size = ", ".join(f"{k} {_size(v)}" for k, v in self.arrays.items())
        whole = "" if self.parts == ("all",) and not self.missing_parts else f"; parts {', '.join(self.parts)}"
        lacking = f"; not at hand: {', '.join(self.missing_parts)}" if self.missing_parts else ""
        return f"{self.name} ({self.kind}): {size}{whole}{lacking}"

    def xy(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features and target as arrays, for quick use.

        Returns
        -------
        X : float array of shape (n, d), or (n, channels, height, width) for images
            Numbers and booleans as they are, categories as codes in alphabetical order, NaN for missing.
        y : int64 codes of :attr:`classes`, float64 for regression; shape (n,), or (n, k) with k targets

        Raises
        ------
        DataError
            When the set has no features and target of this form.
        """
        if self.kind == "images":
            return self.arrays["x"], self.arrays["y"]
        if self.kind != "table" or self.frame is None or self.target is None:
            raise DataError(f"{self.name!r} is {self.kind}, not a table with a target; use its arrays.")
        targets = self.targets or (self.target,)
        columns = [_codes(self.frame[name]) for name in self.frame.columns if name not in targets]
        answers = [self.frame[name] for name in targets]
        if self.classes:
            order = {label: i for i, label in enumerate(self.classes)}
            codes = answers[0].cast(pl.String).replace_strict(order, return_dtype=pl.Int64)
            return np.column_stack(columns), codes.to_numpy().copy()
        y = np.column_stack([answer.cast(pl.Float64).to_numpy() for answer in answers])
        return np.column_stack(columns), y if len(targets) > 1 else y[:, 0].copy()


def of_entry(name: str, entry: Entry, **found: Any) -> Dataset:
    """Return the data set that ``entry`` describes; what was ``found`` in it overrides the description."""
    facts = {key: getattr(entry, key) for key in ("kind", "title", "source", "task", "types")}
    return Dataset(**{"name": name, "target": entry.target or None, **facts, **found})


def _size(value: Any) -> str:
    return "x".join(map(str, value.shape)) if hasattr(value, "shape") else f"of length {len(value):,}"


def _codes(values: pl.Series) -> np.ndarray:
    if values.dtype.is_nested():
        raise DataError(f"The column {values.name!r} holds lists, which are no column of an array; use the frame.")
    if values.dtype != pl.String:
        return values.cast(pl.Float64).to_numpy()
    order = {label: float(i) for i, label in enumerate(values.drop_nulls().unique().sort())}
    return values.replace_strict(order, default=None, return_dtype=pl.Float64).to_numpy()


def list_datasets() -> list[str]:
    """Return the names that :func:`load_dataset` knows."""
    return sorted(_ALL)


def describe_dataset(name: str) -> dict[str, Any]:
    """Return facts about a data set without loading it: title, kind, task, target, source, parts and which are at hand."""
    key = resolve(name, _ALL, "data set")
    entry = _ALL[key]
    here = [part for part, files in entry.parts.items() if all(at_hand(entry.home or key, file) for file in files)]
    return {
        "name": key,
        "title": entry.title,
        "kind": entry.kind,
        "task": entry.task,
        "target": entry.target or None,
        "source": entry.source,
        "parts": list(entry.parts) or ["all"],
        "at_hand": here if entry.parts else ["all"],
    }


def load_dataset(name: str, *, part: str | None = None, n: int | None = None, seed: int = 0) -> Dataset:
    """Load a data set, downloading and caching its files on first use.

    Parameters
    ----------
    name : str
        One of :func:`list_datasets`.
    part : str, optional
        One of its parts, for example "train". By default the whole set; with the network switched off or a mirror set
        (``FIVEFOLD_DATA_MIRROR``) the parts that are at hand, the others are named in ``missing_parts``.
    n : int >= 1, optional
        Rows of a generated set ("mixture-25": 10,000; "moons": 1,000; "synthetic-clicks": 100,000).
    seed : int, default 0
        Seed of a generated set.

    Returns
    -------
    Dataset

    Raises
    ------
    UnknownNameError
        For an unknown name or part; the nearest ones are offered.
    DataError
        When a file cannot be fetched or its hash differs (both hashes are named).

    Notes
    -----
    Files come from the directory ``FIVEFOLD_DATA_MIRROR``, else the cache ``FIVEFOLD_CACHE`` (default
    ``~/.cache/fivefold``), else their home; ``FIVEFOLD_OFFLINE=1`` forbids the network. Every file is checked against its
    SHA-256 on record each time it is read.
    """
    key = resolve(name, _ALL, "data set")
    entry = _ALL[key]
    if key in GENERATED:
        from .datasets_small import generate

        _whole_only(key, part)
        return generate(key, entry, n, seed)
    if n is not None:
        raise DataError(f"n is the size of a generated set ({', '.join(GENERATED)}); {key!r} has its own size.")
    if key in BUNDLED:
        from .datasets_small import bundled

        _whole_only(key, part)
        return bundled(key, entry)
    from .datasets_remote import build

    if part is not None:
        wanted = [resolve(part, entry.parts, f"part of {key}")]
        return build(key, entry, wanted, [])
    # Movielens keeps its published splits and side tables apart from the ratings.
    natural = ["ratings"] if key == "movielens-100k" else list(entry.parts)
    wanted = [p for p in natural if all(at_hand(entry.home or key, file) for file in entry.parts[p])]
    if not _restricted() or not wanted:
        # Small and full Omniglot overlap: the small part is the default, the others are asked for by name.
        wanted = natural[:1] if key == "omniglot" else natural
    missing = [p for p in natural if p not in wanted]
    return build(key, entry, wanted, missing)


def _restricted() -> bool:
    import os

    return offline() or bool(os.environ.get("FIVEFOLD_DATA_MIRROR"))


def _whole_only(name: str, part: str | None) -> None:
    if part not in (None, "all"):
        raise DataError(f"The data set {name!r} has no parts; got part={part!r}. Leave it out.")
