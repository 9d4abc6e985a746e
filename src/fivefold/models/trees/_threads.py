"""Threads only where they pay."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numba

# Waking threads costs tens of microseconds, far more on a busy machine; this much work takes longer on one.
_WORTH_IT = 1 << 19


@contextlib.contextmanager
def threads_for(work: int) -> Iterator[int]:
    """Run kernels on one thread when they touch fewer than half a million numbers; yield the number of threads."""
    before = numba.get_num_threads()
    count = before if work >= _WORTH_IT else 1  # any value: results do not depend on threads
    numba.set_num_threads(count)
    try:
        yield count
    finally:
        numba.set_num_threads(before)
