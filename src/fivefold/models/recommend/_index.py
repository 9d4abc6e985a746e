"""The items of largest inner product with a user, looked for in the nearest cells only."""

from __future__ import annotations

import numpy as np

from fivefold.models.unsupervised.k_means import KMeans

from ._vectors import unit


def build_cells(vectors: np.ndarray, n_cells: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centers (cells, d) of items (n, d) by direction, and the cell (n,) of each item.

    Items are grouped by their direction, for a long vector wins an inner product wherever it points nearly the same way.
    """
    directions = unit(vectors)
    groups = KMeans(min(n_cells, len(np.unique(directions, axis=0))), random_state=seed).fit(directions)
    cell = np.asarray(groups.labels_)
    # A center as long as the longest of its items says what the cell has to offer.
    reach = np.zeros(int(cell.max()) + 1)
    np.maximum.at(reach, cell, np.linalg.norm(vectors, axis=1))
    return unit(np.asarray(groups.cluster_centers_)) * reach[:, None], cell


def search_cells(
    queries: np.ndarray, vectors: np.ndarray, centers: np.ndarray, cell: np.ndarray, n_probe: int
) -> np.ndarray:
    """Return inner products (b, n) of queries (b, d) with the items of their ``n_probe`` best cells, -inf elsewhere."""
    scores = np.full((len(queries), len(vectors)), -np.inf)
    probed = np.zeros((len(queries), len(centers)), dtype=bool)
    best = np.argsort(-(queries @ centers.T), axis=1, kind="stable")[:, :n_probe]
    np.put_along_axis(probed, best, True, axis=1)
    for number in range(len(centers)):
        rows, members = np.flatnonzero(probed[:, number]), np.flatnonzero(cell == number)
        scores[np.ix_(rows, members)] = queries[rows] @ vectors[members].T
    return scores


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return a mask (b, n) of the ``count`` highest finite scores of every row; of equal ones the first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    mask = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(mask, order, True, axis=1)
    return np.asarray(mask & np.isfinite(scores))
