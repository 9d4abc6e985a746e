"""Where checkpoints lie and how they are written: whole or not at all, last, best and the newest N epochs."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from fivefold.base import codec
from fivefold.base.errors import ArtifactError
from fivefold.base.files import atomic_directory, recover_directory

_EPOCH = re.compile(r"epoch-(\d+)$")


class CheckpointStore:
    """Checkpoints of one fit in one directory: ``last``, ``best`` and ``epoch-0001`` ….

    Parameters
    ----------
    directory : path
    keep : int >= 0, default 1
        How many of the newest ``epoch-*`` checkpoints stay.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int = 1) -> None:
        self.directory = Path(directory)
        self.keep = keep

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.directory / "last"

    @property
    def best(self) -> Path:
        """The checkpoint of the best monitored metric."""
        return self.directory / "best"

    def sweep(self) -> None:
        """Remove what a killed process left half written, and undo replacements that were cut short."""
        if not self.directory.is_dir():
            return
        for entry in sorted(self.directory.iterdir()):
            if entry.name.startswith("."):
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name.endswith(".previous"):
                target = entry.with_name(entry.name.removesuffix(".previous"))
                recover_directory(target)
                shutil.rmtree(entry, ignore_errors=True)

    def exists(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return recover_directory(self.last).is_dir()

    def save(self, state: dict[str, Any], *, best: bool = False, epoch: int | None = None) -> Path:
        """Write ``state`` as ``last``; also as ``best`` and as the checkpoint of a finished epoch where asked."""
        codec.save(state, self.last, meta={"epoch": state.get("epoch"), "batch": state.get("batch")})
        if epoch is not None and self.keep > 0:
            self._copy(self.directory / f"epoch-{epoch:04d}")
            for old in self.epochs()[: -self.keep]:
                shutil.rmtree(old)
        if best:
            self._copy(self.best)
        return self.last

    def epochs(self) -> list[Path]:
        """Return the kept epoch checkpoints, oldest first."""
        found = [entry for entry in self.directory.iterdir() if _EPOCH.fullmatch(entry.name)]
        return sorted(found, key=lambda entry: int(entry.name.removeprefix("epoch-")))

    def _copy(self, target: Path) -> None:
        # Saved files never change in place, so a second name for them costs nothing.
        with atomic_directory(target) as temporary:
            for file in self.last.iterdir():
                try:
                    os.link(file, temporary / file.name)
                except OSError:
                    shutil.copyfile(file, temporary / file.name)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state saved in a checkpoint.

    Raises
    ------
    ArtifactError
        When there is none, or it is damaged or something else.
    """
    state = codec.load(path)
    if not isinstance(state, dict) or "learner" not in state or "counters" not in state:
        raise ArtifactError(f"{Path(path)} holds something that fivefold saved, but not a training checkpoint.")
    return state
