"""Similarities of rows for neighbor embeddings, and the divergence of a map from them with its gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from fivefold.models.trees._threads import threads_for

from . import _embedding as k
from ._common import neighbors

Repulsion = Callable[[np.ndarray], tuple[np.ndarray, float]]
"""Gives Σ_j s² (y_i - y_j) of each row of a map (n, k) and Σ_i Σ_j≠i s."""


def conditional_affinities(square: np.ndarray, perplexity: float) -> tuple[np.ndarray, np.ndarray]:
    """Return p(j|i) and 1 / (2 σ_i²) of squared distances (n, m) to other rows, at the perplexity 2^H, H in bits."""
    out, beta = np.empty_like(square), np.empty(len(square))
    with threads_for(square.size * 50):  # any value: when threads pay
        k.calibrate(square, float(perplexity), out, beta)
    return out, beta


def joint_affinities(X: np.ndarray, perplexity: float) -> np.ndarray:
    """Return p_ij = (p(j|i) + p(i|j)) / 2n of the rows of X (n, d): symmetric (n, n) with a zero diagonal, sum one."""
    P = conditional_matrix(X, perplexity)
    return (P + P.T) / (2.0 * len(X))


def conditional_matrix(X: np.ndarray, perplexity: float) -> np.ndarray:
    """Return p(j|i) of the rows of X (n, d) as a matrix (n, n) with a zero diagonal."""
    n = len(X)
    center = X - X.mean(axis=0)
    others = ~np.eye(n, dtype=bool)
    square = np.empty((n, n))
    for i in range(0, n, 256):
        square[i : i + 256] = (
            ((center[i : i + 256, None, :] - center) ** 2).sum(axis=2)
            if n * X.shape[1] < 1 << 15
            else (_precise(center, i))
        )
    P = np.zeros((n, n))
    P[others] = conditional_affinities(square[others].reshape(n, n - 1), perplexity)[0].ravel()
    return P


def _precise(center: np.ndarray, i: int) -> np.ndarray:
    """Return squared distances (256, n) of rows from ``i`` on, by differences where products would lose digits."""
    norms = (center**2).sum(axis=1)
    block = norms[i : i + 256, None] + norms - 2.0 * (center[i : i + 256] @ center.T)
    rows, columns = np.nonzero(block < 1e-6 * (norms[i : i + 256, None] + norms))  # any value: where digits are lost
    block[rows, columns] = ((center[rows + i] - center[columns]) ** 2).sum(axis=1)
    return block


def sparse_affinities(X: np.ndarray, perplexity: float) -> sparse.csr_array:
    """Return p_ij of the rows of X (n, d) with probabilities among ⌊3 · perplexity⌋ + 1 nearest rows only: sparse (n, n)."""
    n = len(X)
    count = min(n - 1, int(3.0 * perplexity + 1))
    index, distance = neighbors(X, count)
    P, _ = conditional_affinities(distance**2, perplexity)
    one = sparse.csr_array((P.ravel(), index.ravel(), np.arange(0, n * count + 1, count)), shape=(n, n))
    both = (one + one.T).tocsr()
    both.sort_indices()
    return both / both.sum()


def divergence(
    P: np.ndarray, Y: np.ndarray, exaggeration: float = 1.0, *, kernel: str = "student", measured: bool = True
) -> tuple[float, np.ndarray]:
    """Return Σ p ln(p / q) and its gradient (n, k) in the map Y (n, k); "gaussian" takes P as p(j|i) / n.

    Exaggeration multiplies the attraction alone; without ``measured`` the divergence is left at zero.
    """
    Y = np.ascontiguousarray(Y)
    grad, room = np.empty_like(Y), np.empty((3, len(Y)))
    with threads_for(P.size * 8):  # any value: when threads pay
        loss = k.exact_gradient(P, Y, kernel == "student", exaggeration, measured, grad, room)
    return float(loss), grad


def sparse_divergence(
    P: sparse.csr_array, Y: np.ndarray, repel: Repulsion, exaggeration: float = 1.0, *, measured: bool = True
) -> tuple[float, np.ndarray]:
    """Return Σ p ln(p / q) and its gradient (n, k) with the repulsion and the total of similarities that ``repel`` gives."""
    Y = np.ascontiguousarray(Y)
    force, whole = repel(Y)
    grad, losses = np.empty_like(Y), np.empty(len(Y))
    work = P.nnz * 8  # any value: when threads pay
    with threads_for(work):
        k.attract(P.indptr, P.indices, P.data, Y, whole, exaggeration, measured, force, grad, losses)
    return float(losses.sum()), grad


class Tree:
    """Repulsion among the rows of a map from a tree of cells; ``angle`` 0 visits every pair."""

    def __init__(self, angle: float) -> None:
        self.angle = angle

    def __call__(self, Y: np.ndarray) -> tuple[np.ndarray, float]:
        """Return Σ_j s² (y_i - y_j) for each row of Y (n, k) and Σ_i Σ_j≠i s, with s = 1 / (1 + |y_i - y_j|²)."""
        n, dims = Y.shape
        room = 2 * n + 1
        order, skip = np.empty(n, dtype=np.int64), np.empty(room, dtype=np.int64)
        start, stop, depth = (np.empty(room, dtype=np.int64) for _ in range(3))
        mass, size = np.empty((room, dims)), np.empty(room)
        nodes = k.build_tree(Y, order, start, stop, depth, mass, size, np.empty(dims))
        k.skip_links(depth, nodes, skip)
        force, totals = np.empty_like(Y), np.empty(n)
        with threads_for(n * 400):  # any value: when threads pay
            k.repel(Y, order, start, stop, mass, size, skip, nodes, self.angle, force, totals)
        return force, float(totals.sum())


def tree_divergence(
    P: sparse.csr_array, Y: np.ndarray, angle: float = 0.5, exaggeration: float = 1.0
) -> tuple[float, np.ndarray]:
    """Return Σ p ln(p / q) and its gradient (n, k) with the repulsion from a tree of cells; ``angle`` 0 is exact."""
    return sparse_divergence(P, Y, Tree(angle), exaggeration)
