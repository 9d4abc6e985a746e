"""Several kernels over groups of features: how they are named, put on one scale, combined and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fivefold.base.checks import choice, real, whole
from fivefold.base.errors import InputError, InputTypeError

from ._blocks import row_blocks
from .kernels import KERNELS, KernelSpec, gamma_of

_KEYS = ("kernel", "degree", "gamma", "coef0", "features")
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class GroupKernel:
    """A kernel of some columns of X, all of them when ``features`` is None."""

    spec: KernelSpec
    features: np.ndarray | None

    def part(self, X: Any) -> Any:
        """Return the columns that the kernel reads."""
        return X if self.features is None else X[:, self.features]

    def __call__(self, A: Any, B: Any) -> np.ndarray:
        """Return the kernel of the rows of A and B: (a, b)."""
        return self.spec(self.part(A), self.part(B))


def _columns(where: str, features: Any, d: int) -> np.ndarray | None:
    if features is None:
        return None
    if isinstance(features, str) or not isinstance(features, (Sequence, np.ndarray)) or not len(features):
        raise InputTypeError(f"`{where}` is {features!r}; give a list of column numbers or None for all columns.")
    columns = np.array([whole(where, item, low=0) for item in features], dtype=np.intp)
    if columns.max() >= d:
        raise InputError(f"`{where}` names the column {columns.max()}; X has {d} columns, numbered from 0.")
    return columns


def read_kernels(kernels: Any, X: Any, gammas: np.ndarray | None = None) -> list[GroupKernel]:
    """Return the kernels that the parameter names, with gamma settled by the rows X, or as given in ``gammas``.

    None stands for a linear kernel, ``(1 + γ x'z)²`` and Gaussians of a tenth, one and ten times the gamma "scale".
    """
    d = X.shape[1]
    if kernels is None:
        gamma = gamma_of("scale", X) if gammas is None else 1.0  # any value: replaced by `gammas` below
        kernels = [
            "linear",
            {"kernel": "poly", "degree": 2, "gamma": gamma, "coef0": 1.0},
            *({"gamma": factor * gamma} for factor in (0.1, 1.0, 10.0)),
        ]
    if isinstance(kernels, (str, Mapping)) or not isinstance(kernels, Sequence) or not len(kernels):
        raise InputTypeError(
            f"`kernels` is {kernels!r}; give None or a list of names, functions and mappings with {', '.join(_KEYS)}."
        )
    found = []
    for m, entry in enumerate(kernels):
        where = f"kernels[{m}]"
        given = dict(entry) if isinstance(entry, Mapping) else {"kernel": entry}
        unknown = [key for key in given if key not in _KEYS]
        if unknown:
            raise InputError(f"`{where}` holds {unknown[0]!r}; the keys are {', '.join(_KEYS)}.")
        name = given.get("kernel", "rbf")
        if not callable(name):
            choice(where, name, KERNELS[:-1])
        features = _columns(f"{where}['features']", given.get("features"), d)
        if gammas is None:
            gamma = gamma_of(given.get("gamma", "scale"), X if features is None else X[:, features])
        else:
            gamma = float(gammas[m])
        degree = whole(f"{where}['degree']", given.get("degree", 3), low=0)
        coef0 = real(f"{where}['coef0']", given.get("coef0", 0.0))
        found.append(GroupKernel(KernelSpec(name, degree, gamma, coef0), features))
    return found


class KernelBank:
    """The kernel matrices of n rows, kept when they fit into ``megabytes`` and formed row by row when not.

    Parameters
    ----------
    kernels : list of GroupKernel
    X : array or sparse matrix of shape (n, d)
    share : ndarray of shape (n,) or None
        Shares of the rows, with which each kernel is divided by the variance of the rows in its feature space,
        ``Σ v_i K_ii - v'Kv``; None leaves the kernels as they are.
    megabytes : float
    """

    def __init__(self, kernels: list[GroupKernel], X: Any, share: np.ndarray | None, megabytes: float) -> None:
        self.kernels = kernels
        self.n = X.shape[0]
        self.scale = np.ones(len(kernels))
        self._parts = [kernel.part(X) for kernel in kernels]
        self._stored: list[np.ndarray] | None = None
        if share is not None:
            self.scale = np.array([self._variance(m, share) for m in range(len(kernels))])
        if 8 * len(kernels) * self.n**2 <= megabytes * _MEGABYTE:
            every = np.arange(self.n)
            self._stored = [self._rows(m, every) for m in range(len(kernels))]

    def _rows(self, m: int, rows: np.ndarray) -> np.ndarray:
        """Return rows of a kernel matrix: (k, n)."""
        if self._stored is not None:
            return self._stored[m][rows]
        return self.kernels[m].spec(self._parts[m][rows], self._parts[m]) / self.scale[m]

    def _variance(self, m: int, share: np.ndarray) -> float:
        diagonal, mean = 0.0, 0.0
        for block in row_blocks(self.n, self.n):
            rows = np.arange(self.n)[block]
            values = self._rows(m, rows)
            diagonal += float(share[rows] @ values[np.arange(len(rows)), rows])
            mean += float(share[rows] @ (values @ share))
        # A kernel that is the same for all pairs keeps only rounding; it cannot be put on a scale, nor does it count.
        spread = diagonal - mean
        return spread if spread > 1e-12 * abs(diagonal) else 1.0  # any value: size of rounding

    def combined(self, weights: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function from row numbers (k,) to rows (k, n) of ``Σ β_m K_m``."""
        used = np.flatnonzero(weights)

        def rows_of(rows: np.ndarray) -> np.ndarray:
            total = np.zeros((len(rows), self.n))
            for m in used:
                total += weights[m] * self._rows(int(m), rows)
            return total

        return rows_of

    def products(self, beta: np.ndarray) -> np.ndarray:
        """Return ``K_m β`` of every kernel: (M, n)."""
        support = np.flatnonzero(beta)
        out = np.zeros((len(self.kernels), self.n))
        for m in range(len(self.kernels)):
            for block in row_blocks(len(support), self.n):
                rows = support[block]
                out[m] += beta[rows] @ self._rows(m, rows)
        return out
