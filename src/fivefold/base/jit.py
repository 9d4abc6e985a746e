"""Numba with the settings of the house: cached on disk where that is possible, without the interpreter lock.

Numba's own cache watches only the file of a kernel, so a kernel that inlines another of a neighboring file would go stale
silently. Ours keys the cache over all sources of the kernel's package.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache


@functools.cache
def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted(folder.glob("*.py"))
    return tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in files)


class _PackageCacheImpl(CompileResultCacheImpl):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        own = self._locator.get_source_stamp
        folder = Path(function.__code__.co_filename).parent
        self._locator.get_source_stamp = lambda: (own(), _stamp(folder))


class _PackageCache(FunctionCache):
    _impl_class = _PackageCacheImpl


def _cacheable(function: Callable[..., Any]) -> bool:
    folder = Path(function.__code__.co_filename).parent
    return folder.is_dir() and (os.access(folder, os.W_OK) or bool(os.environ.get("NUMBA_CACHE_DIR")))


def njit(function: Callable[..., Any] | None = None, *, cache: bool = True, **options: Any) -> Any:
    """Compile a kernel on first use.

    Used bare (``@njit``) or with Numba's options (``@njit(parallel=True)``). ``cache=False`` compiles anew in every
    process; without a writable place that happens by itself.
    """

    def wrap(kernel: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(kernel)
        if cache and _cacheable(kernel):
            dispatcher._cache = _PackageCache(kernel)  # type: ignore[no-untyped-call]
        return dispatcher

    return wrap(function) if callable(function) else wrap
