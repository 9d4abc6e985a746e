"""The ambient context of a run, so that ``estimator.fit(X, y)`` stays scikit-learn pure.

The workbench opens a :func:`session` around whatever trains inside; the engine reads :func:`current_session` for where
checkpoints go, what to show and which device to use. Outside a session nothing is written and nothing is printed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivefold.base.errors import InputError

if TYPE_CHECKING:
    from .callbacks import Callback


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a run gives to everything that trains inside it; see :func:`session`."""

    directory: Path | None = None
    resume: bool = False
    progress: bool = True
    device: str = "cpu"
    devices: int = 1
    precision: Any = "32-true"
    tensorboard: bool = False
    callbacks: Sequence[Callback] = ()
    _stages: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False, compare=False)

    def stage(self) -> tuple[Path | None, str]:
        """Return the directory of the next fit of this session and the suffix of its log files.

        The first fit writes to ``<directory>/checkpoints`` and ``metrics.jsonl``; further ones (a second training stage, say)
        to ``checkpoints-2`` and ``metrics-2.jsonl``. Numbers follow the order of the fits, which a resumed run repeats.
        """
        number = next(self._stages)
        return self.directory, "" if number == 1 else f"-{number}"


_current: ContextVar[Session | None] = ContextVar("fivefold_session", default=None)


def current_session() -> Session | None:
    """Return the session around this call, or None."""
    return _current.get()


@contextlib.contextmanager
def session(
    directory: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    progress: bool = True,
    device: str = "cpu",
    devices: int = 1,
    precision: Any = "32-true",
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Iterator[Session]:
    """Open a session; everything that trains inside the ``with`` block belongs to it.

    Parameters
    ----------
    directory : path, optional
        Run directory: checkpoints go to ``checkpoints/`` below it, metrics to ``metrics.jsonl``.
    resume : bool, default False
        Go on from the last checkpoint in ``directory``, if there is one.
    progress : bool, default True
        Show a progress bar on stderr.
    device : str, default "cpu"
        "cpu", "cuda" or "auto".
    devices : int >= 1, default 1
        Number of processes; more than one must have been started by ``fivefold run --devices N`` (torchrun).
    precision : str, default "32-true"
        "32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true" or "16-true".
    tensorboard : bool, default False
        Write TensorBoard event files to ``<directory>/tensorboard``.
    callbacks : sequence of callbacks
        Added to every fit inside.

    Raises
    ------
    InputError
        When ``devices`` is less than one.
    """
    if devices < 1:
        raise InputError(f"devices must be at least 1, got {devices}.")
    opened = Session(
        directory=Path(directory) if directory is not None else None,
        resume=resume,
        progress=progress,
        device=device,
        devices=devices,
        precision=precision,
        tensorboard=tensorboard,
        callbacks=tuple(callbacks),
    )
    token = _current.set(opened)
    try:
        yield opened
    finally:
        _current.reset(token)
