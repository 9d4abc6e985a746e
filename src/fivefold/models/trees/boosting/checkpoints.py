"""Rounds saved while a fit goes on, so that one killed at any moment can go on to the same model."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.base import codec
from fivefold.base.checks import whole
from fivefold.base.codec import Stateful
from fivefold.base.errors import DataError, InputTypeError
from fivefold.engine.session import current_session

_SECONDS = 30.0  # any value: how long a fit goes on between two saves when no number of rounds is given


class Rounds(Stateful):
    """A fit after some rounds: what the next round needs beside the data."""

    def __init__(self, fingerprint: str, seed: int, bins: Any, trees: Any, histories: Any, stopper: Any) -> None:
        self.fingerprint, self.seed = fingerprint, seed
        self.bins, self.trees, self.histories, self.stopper = bins, trees, histories, stopper


class Checkpoint:
    """Callback of ``fit``: save the rounds of a fit, and go on from them when the same fit is started again.

    Parameters
    ----------
    directory : path
        Written whole or not at all.
    every : int >= 1, optional
        Rounds between two saves; by default a save is due after 30 seconds.
    resume : bool, default True
        Go on from what the directory holds.

    Raises
    ------
    DataError
        When the directory holds the rounds of a fit on other data or with other parameters.

    Notes
    -----
    Scores are added up tree by tree in the order of the fit and draws depend on the round alone, so the model is the same,
    bit for bit, as that of a fit that was never interrupted. ``n_estimators`` may be larger than before.
    """

    def __init__(self, directory: str | os.PathLike[str], every: int | None = None, resume: bool = True) -> None:
        self.directory, self.resume = Path(directory), resume
        self.every = None if every is None else whole("every", every, low=1)
        self._saved_at = time.monotonic()

    def load(self, fingerprint: str) -> Rounds | None:
        """Return the rounds saved by the same fit, or None when there are none."""
        self._saved_at = time.monotonic()
        if not self.resume or not self.directory.exists():
            return None
        rounds = codec.load(self.directory)
        if not isinstance(rounds, Rounds) or rounds.fingerprint != fingerprint:
            raise DataError(
                f"{self.directory} holds the checkpoint of a fit on other data or with other parameters; remove it, or give "
                "another directory."
            )
        return rounds

    def due(self, round_: int) -> bool:
        """Return whether the state after ``round_`` rounds is to be saved."""
        return time.monotonic() - self._saved_at >= _SECONDS if self.every is None else round_ % self.every == 0

    def save(self, rounds: Rounds) -> None:
        """Write the rounds in the place of those before."""
        codec.save(rounds, self.directory)
        self._saved_at = time.monotonic()


def keepers(callbacks: Iterable[Any] | None) -> tuple[Checkpoint | None, list[Callable[..., Any]]]:
    """Return the checkpoint of a fit, that of the session around it where none is given, and the other callbacks."""
    given = [] if callbacks is None else list(callbacks)
    for call in given:
        if not isinstance(call, Checkpoint) and not callable(call):
            raise InputTypeError(
                f"`callbacks` holds {type(call).__name__}; give Checkpoint objects and callables (estimator, round)."
            )
    own = [call for call in given if isinstance(call, Checkpoint)]
    around = current_session()
    if not own and around is not None:
        directory, suffix = around.stage()
        if directory is not None:
            own = [Checkpoint(directory / f"checkpoints{suffix}" / "rounds", resume=around.resume)]
    return own[0] if own else None, [call for call in given if not isinstance(call, Checkpoint)]


def fingerprint(estimator: Any, *data: Any) -> str:
    """Return a hash of the parameters that the rounds depend on and of tables, targets and weights."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(type(estimator).__name__.encode("utf8"))
    for name, value in sorted(estimator.get_params(deep=False).items()):
        if name in ("n_estimators", "n_jobs", "warm_start") or name == "random_state" and not isinstance(value, int):
            continue
        shown = f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else repr(value)
        digest.update(f"{name}={shown};".encode())
    for item in data:
        parts = (item.data, item.indices, item.indptr) if sp.issparse(item) else (item,)
        for part in parts:
            if part is None:
                digest.update(b"none")
                continue
            values = np.ascontiguousarray(part)
            digest.update(f"{values.dtype.str}{values.shape}".encode())
            digest.update(values.tobytes() if values.size == 0 else values.data)
    return digest.hexdigest()
