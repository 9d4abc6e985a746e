"""Old NumPy/SciPy pickles, read without trusting them: arrays, sparse matrices and containers only.

The Planetoid files were written by Python 2. This is the one place in fivefold that reads a pickle; each global a file names
is looked up in a short list, and anything else is refused before it is imported.
"""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

from fivefold.base.errors import DataError


def _codecs_encode(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``_codecs.encode``, with which Python 2 strings are spelled, for Latin-1 alone."""
    if encoding not in ("latin1", "latin-1"):
        raise DataError(f"The pickle wants the encoding {encoding!r}; only Latin-1 is admitted.")
    return text.encode("latin1")


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        import numpy as np
        import scipy.sparse

        plain: dict[tuple[str, str], Any] = {
            ("collections", "defaultdict"): defaultdict,
            ("__builtin__", "list"): list,
            ("builtins", "list"): list,
            ("_codecs", "encode"): _codecs_encode,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) in plain:
            return plain[module, name]
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in ("_reconstruct", "scalar"):
            from numpy._core import multiarray

            return getattr(multiarray, name)
        if module.startswith("scipy.sparse") and name == "csr_matrix":
            return scipy.sparse.csr_matrix
        raise DataError(
            f"The pickle asks for {module}.{name}, which is refused; only NumPy arrays, CSR matrices, lists and defaultdicts "
            "are read."
        )


def read_array_pickle(path: Path) -> Any:
    """Return the array, sparse matrix or container in a pickle.

    Raises
    ------
    DataError
        When the file asks for anything else, or is truncated or damaged.
    """
    data = path.read_bytes()
    try:
        return _Restricted(io.BytesIO(data), encoding="latin1").load()
    except DataError:
        raise
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise DataError(f"{path.name} is not a readable pickle of arrays: {error}.") from error
