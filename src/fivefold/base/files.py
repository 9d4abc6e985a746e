"""Files appear whole or not at all: they are written beside their place, flushed to disk and renamed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import StorageError


def _usual_mode(path: Path, mode: int) -> None:
    """Give a temporary file or folder, which is private, the permissions that a plain one would have."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, mode & ~mask)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        _usual_mode(temporary, 0o666)
        os.replace(temporary, target)
    except OSError as error:
        raise StorageError(f"Cannot write {target}: {error}; the file that was there before is intact.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON atomically, indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary directory that takes the place of ``path`` when the block ends without an error.

    A process killed between the two renames leaves ``<path>.previous``; :func:`recover_directory` puts it back.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"Cannot write to {target.parent}: {error}.") from error
    previous = target.with_name(target.name + ".previous")
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
        _usual_mode(temporary, 0o777)
        if target.exists():
            shutil.rmtree(previous, ignore_errors=True)
            os.rename(target, previous)
        os.rename(temporary, target)
        shutil.rmtree(previous, ignore_errors=True)
    except OSError as error:
        recover_directory(target)
        raise StorageError(f"Cannot write {target}: {error}; what was there before is intact.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover_directory(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` after undoing a replacement that was cut short."""
    target = Path(path)
    previous = target.with_name(target.name + ".previous")
    if previous.exists() and not target.exists():
        os.rename(previous, target)
    return target
