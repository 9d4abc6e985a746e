"""The verb ``replay``: execute a recorded run again and compare its metrics with the record."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fivefold.base.errors import ArtifactError, InputError

from .store import RunRecord, RunStore, read_record, versions


@dataclass(frozen=True)
class Difference:
    """One metric, as recorded and as it came out now."""

    name: str
    recorded: float | None
    now: float | None

    @property
    def equal(self) -> bool:
        """Whether both are the same number (or both none)."""
        if self.recorded is None or self.now is None:
            return self.recorded is None and self.now is None
        return self.recorded == self.now

    @property
    def size(self) -> float:
        """The absolute difference; infinite where only one side has the metric."""
        if self.recorded is None or self.now is None:
            return 0.0 if self.equal else math.inf
        return abs(self.recorded - self.now)


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes
    ----------
    recorded, again : RunRecord
        The run, and the run made now.
    differences : list of Difference
        Every metric of either.
    versions : mapping library -> (then, now)
        Only those that changed.
    """

    recorded: RunRecord
    again: RunRecord
    differences: list[Difference]
    versions: dict[str, tuple[str, str]]

    @property
    def reproduced(self) -> bool:
        """Whether every metric is equal to the last bit."""
        return all(difference.equal for difference in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "run": str(self.recorded.directory),
            "again": str(self.again.directory),
            "reproduced": self.reproduced,
            "metrics": [
                {"name": d.name, "recorded": d.recorded, "now": d.now, "equal": d.equal} for d in self.differences
            ],
            "versions": {name: list(pair) for name, pair in self.versions.items()},
        }


def replay(
    run: str | os.PathLike[str] | RunRecord,
    *,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Replay:
    """Execute a finished run again from its resolved specification and compare every metric.

    Parameters
    ----------
    run : path, name, beginning of a name, "latest" or RunRecord
    out : path, optional
        Directory of the new run.
    progress : bool, default False

    Returns
    -------
    Replay

    Raises
    ------
    InputError
        When the run did not finish, so that there is nothing to compare with.
    ArtifactError
        When the data are not those of the record; the message names both hashes.
    """
    record = run if isinstance(run, RunRecord) else read_record(RunStore().find(run))
    if record.status != "finished":
        raise InputError(
            f"{record.name} is {record.status} and has no final metrics; finish it with "
            f"`fivefold run --resume {record.directory}` first."
        )
    again = _compare(record, out, progress) if record.kind == "comparison" else _run(record, out, progress)
    if record.data is not None and again.data is not None and record.data.sha256 != again.data.sha256:
        raise ArtifactError(
            f"The data {record.data.name!r} are not those of {record.name}: their SHA-256 was "
            f"{record.data.sha256}, now it is {again.data.sha256}."
        )
    names = list(dict.fromkeys([*record.metrics, *again.metrics]))
    differences = [Difference(name, record.metrics.get(name), again.metrics.get(name)) for name in names]
    now = versions()
    changed = {k: (v, now.get(k, "absent")) for k, v in record.versions.items() if now.get(k) != v}
    return Replay(record, again, differences, changed)


def _run(record: RunRecord, out: str | os.PathLike[str] | None, progress: bool) -> RunRecord:
    from .run import run as run_spec

    return run_spec(Path(record.spec_file), out=out, progress=progress, command=record.command)


def _compare(record: RunRecord, out: str | os.PathLike[str] | None, progress: bool) -> RunRecord:
    from .compare import compare
    from .spec import read_document

    options = dict(read_document(record.spec_file).value)
    options.pop("verb", None)
    return compare(**options, out=out, verbose=False, progress=progress, command=record.command).record
