"""The threads of NumPy's and SciPy's matrix products."""

from __future__ import annotations

import functools
from typing import Any

from threadpoolctl import ThreadpoolController


@functools.cache
def blas_libraries() -> Any:
    """Return the loaded BLAS libraries; found once, since looking through all libraries costs milliseconds."""
    return ThreadpoolController().select(user_api="blas")


def one_blas_thread() -> Any:
    """Return a context in which matrix products use one thread.

    For many small products, which threads that wait for each other make slower, and for workers that share the cores already.
    """
    return blas_libraries().limit(limits=1)
