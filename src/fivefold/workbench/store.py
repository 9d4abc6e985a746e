"""The run store: what every run left behind, found again by name, by the beginning of a name, or as the latest."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fivefold.base.errors import ArtifactError, InputError, StorageError, UnknownNameError
from fivefold.base.files import write_json
from fivefold.base.names import nearest

FORMAT = 1
RECORD = "run.json"
_LIBRARIES = ("numpy", "scipy", "numba", "torch", "scikit-learn", "polars", "pyarrow", "gymnasium")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataFacts(_Frozen):
    """Which data a run saw; ``sha256`` is over the values, column by column, not over a file."""

    name: str
    sha256: str
    rows: int = Field(ge=0)
    columns: int = Field(ge=0)
    target: str | None = None
    task: str | None = None


class FigureFacts(_Frozen):
    """A figure of a run."""

    file: str
    alt: str
    caption: str = ""


class RunRecord(_Frozen):
    """What ``run.json`` holds; JSON schema: ``RunRecord.model_json_schema()``.

    Parameters
    ----------
    id : str
        The card that was run.
    status : {"running", "finished", "failed", "interrupted"}
        A run that was killed stays "running" until it is resumed.
    metrics : mapping name -> number
        What replay must reproduce; None where a number is not finite.
    timings : mapping name -> seconds
        What no replay reproduces.
    command : list of str
        The command line, to be typed again.
    origins : mapping path -> place
        Where each value of ``spec.yaml`` came from.
    """

    format: int = Field(default=FORMAT, ge=1)
    id: str
    kind: str
    name: str
    status: Literal["running", "finished", "failed", "interrupted"]
    seed: int = Field(ge=0)
    quick: bool = False
    started: str
    ended: str | None = None
    resumed: int = Field(default=0, ge=0)
    command: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    platform: str = ""
    devices: int = Field(default=1, ge=1)
    data: DataFacts | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    timings: dict[str, float] = Field(default_factory=dict)
    figures: list[FigureFacts] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    origins: dict[str, str] = Field(default_factory=dict)
    error: str | None = None
    directory: Path = Field(default=Path(), exclude=True)

    def write(self) -> RunRecord:
        """Write ``run.json`` to the run's directory, whole or not at all."""
        write_json(self.directory / RECORD, self.model_dump(mode="json"))
        return self

    def changed(self, **facts: Any) -> RunRecord:
        """Return the record with some facts replaced, validated again."""
        plain = {**self.model_dump(), "directory": self.directory, **facts}
        return type(self).model_validate(plain)

    @property
    def report(self) -> Path:
        """Where the report is."""
        return self.directory / "report.html"

    @property
    def spec_file(self) -> Path:
        """Where the resolved specification is."""
        return self.directory / "spec.yaml"

    def load_model(self) -> Any:
        """Return the fitted model of the run."""
        from fivefold.base import codec

        return codec.load(self.directory / "model")

    def history(self, file: str = "metrics.jsonl") -> list[dict[str, Any]]:
        """Return what was logged while training, one mapping a line; a line cut short by a kill is left out."""
        path = self.directory / file
        if not path.is_file():
            return []
        rows = []
        for line in path.read_text(encoding="utf8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows


def read_record(directory: str | os.PathLike[str]) -> RunRecord:
    """Return the record of a run directory.

    Raises
    ------
    ArtifactError
        When there is none, or it does not follow the schema; the message names file and field.
    """
    path = Path(directory) / RECORD
    try:
        plain = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{directory} is not a run: it has no {RECORD}.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}.") from error
    if not isinstance(plain, dict):
        raise ArtifactError(f"{path} is not the record of a run: it holds a {type(plain).__name__}.")
    if isinstance(plain.get("format"), int) and plain["format"] > FORMAT:
        raise ArtifactError(
            f"{path} has format {plain['format']}, this fivefold reads up to {FORMAT}; upgrade fivefold."
        )
    try:
        # Strictness is about JSON's types here: a JSON list is a list, a JSON number a float.
        record = RunRecord.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path} does not follow the schema of run records: {field}: {first['msg']}.") from error
    return record.changed(directory=Path(directory))


def runs_folder() -> Path:
    """Return where runs go: ``$FIVEFOLD_RUNS``, else ``runs`` below the current directory."""
    return Path(os.environ.get("FIVEFOLD_RUNS") or "runs")


class RunStore:
    """The runs below one folder.

    Parameters
    ----------
    folder : path, optional
        By default ``$FIVEFOLD_RUNS`` or ``./runs``.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder) if folder is not None else runs_folder()

    def directories(self) -> list[Path]:
        """Return the run directories, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if (path / RECORD).is_file() and not path.name.startswith(".")]
        return sorted(found, key=lambda path: (path.name[:15], (path / RECORD).stat().st_mtime_ns))

    def list(self, *, id: str | None = None, status: str | None = None) -> list[RunRecord]:
        """Return the readable records, oldest first, of one card or status if asked."""
        records = []
        for path in self.directories():
            try:
                records.append(read_record(path))
            except ArtifactError:
                continue  # `find` names what is wrong with it when it is asked for
        return [r for r in records if (id is None or r.id == id) and (status is None or r.status == status)]

    def find(self, name: str | os.PathLike[str]) -> Path:
        """Return the directory of a run.

        Parameters
        ----------
        name : path, name, beginning of a name, id of a card, or "latest"
            The latest match wins where a card was run several times.

        Raises
        ------
        UnknownNameError
            When nothing matches; the message names the nearest.
        """
        text = str(name)
        path = Path(text)
        if path.is_dir() and ((path / RECORD).is_file() or (path / "spec.yaml").is_file()):
            return path
        known = self.directories()
        if text == "latest" and known:
            return known[-1]
        for fits in (
            [p for p in known if p.name == text],
            [p for p in known if p.name.startswith(text)],
            [p for p in known if p.name[16:] == text],
        ):
            if len(fits) > 1 and fits[0].name.startswith(text):
                raise UnknownNameError(
                    f"{text!r} begins the names of {len(fits)} runs: {', '.join(p.name for p in fits[:5])}; give more of it."
                )
            if fits:
                return fits[-1]
        if not known:
            raise UnknownNameError(f"There is no run {text!r}: {self.folder} holds no runs yet (see `fivefold run`).")
        raise UnknownNameError(
            f"There is no run {text!r} in {self.folder}; did you mean one of: "
            f"{', '.join(nearest(text, [p.name for p in known]))}?"
        )

    def new(self, id: str, out: str | os.PathLike[str] | None = None) -> Path:
        """Make the directory of a new run, ``<time>-<id>`` or ``out``, which must be new or empty."""
        if out is not None:
            path = Path(out)
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InputError(
                    f"{path} exists and is not empty; give a new directory, or `--resume {path}` to go on."
                )
        else:
            stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
            path, count = self.folder / f"{stamp}-{id}", 1
            while path.exists():
                count += 1
                path = self.folder / f"{stamp}-{id}-{count}"
        try:
            path.mkdir(parents=True, exist_ok=out is not None)
        except OSError as error:
            raise StorageError(f"Cannot make the run directory {path}: {error}.") from error
        return path


def versions() -> dict[str, str]:
    """Return the versions a result depends on."""
    found = {"fivefold": _fivefold(), "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _fivefold() -> str:
    from fivefold import __version__

    return __version__


def now() -> str:
    """Return the time as ISO 8601 with its offset."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def data_hash(columns: Mapping[str, Any]) -> str:
    """Return the SHA-256 over named arrays or polars columns: names, types, shapes and values, in this order."""
    import hashlib

    import numpy as np

    digest = hashlib.sha256()
    for name, values in columns.items():
        array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
        digest.update(f"{name}|{array.dtype.kind}|{array.shape}|".encode())
        if array.dtype.kind in "OUS":
            # A length before each text, so that ("ab", "c") differs from ("a", "bc"); None differs from "".
            for value in array.ravel():
                text = b"" if value is None else str(value).encode("utf8", "surrogatepass")
                digest.update(f"{-1 if value is None else len(text)}:".encode() + text)
        else:
            wide = array.astype("<f8" if array.dtype.kind == "f" else "<i8") if array.dtype.kind in "fiub" else array
            digest.update(np.ascontiguousarray(wide).tobytes())
    return digest.hexdigest()
