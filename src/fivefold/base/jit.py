"""Numba with the settings of the house: cached where the sources lie writable, threads as asked, no surprises at import."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def _writable(function: Callable[..., Any]) -> bool:
    folder = Path(function.__code__.co_filename).parent
    return os.access(folder, os.W_OK) or bool(os.environ.get("NUMBA_CACHE_DIR"))


def njit(
    signature: Any = None,
    *,
    parallel: bool = False,
    fastmath: bool | set[str] = False,
    cache: bool = True,
    **options: Any,
) -> Any:
    """Compile a kernel on first use, without the interpreter lock.

    Used bare (``@njit``) or with options (``@njit(parallel=True)``). A kernel that calls kernels of another file must be
    declared ``cache=False`` or live beside them: Numba's cache watches one file only.
    """

    def wrap(function: Callable[..., Any]) -> Any:
        return numba.njit(
            parallel=parallel, fastmath=fastmath, nogil=True, cache=cache and _writable(function), **options
        )(function)

    return wrap(signature) if callable(signature) else wrap
