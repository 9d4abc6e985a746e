"""The nearest-neighbor search where it could go wrong: rows that the product cannot tell apart, boxes, parts of the work."""

from __future__ import annotations

from unittest import mock

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _nearest(X: np.ndarray, Q: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest rows by the definition, summed in the order of the columns."""
    known = np.zeros((len(Q), len(X)))
    for j in range(X.shape[1]):
        known += (Q[:, None, j] - X[None, :, j]) ** 2
    return np.argsort(known, axis=1, kind="stable")[:, :k]


@evidence(
    "k-nearest-neighbors",
    claim="Rows at nearly one distance are told apart, near the center and far from it",
    against="sorting all distances",
)
def thin_shells() -> Check:
    from fivefold.models.linear._search import Search

    rng = np.random.default_rng(21)
    wrong = 0
    for trial in range(150):
        d = (2, 3, 10)[trial % 3]
        turn = rng.normal(size=(60, d))
        turn /= np.linalg.norm(turn, axis=1, keepdims=True)
        # Distances that differ by less than single precision holds, around a row in the middle, and rows far outside.
        width = (0.0, 3e-7, 1e-6)[trial // 3 % 3]
        X = np.vstack([np.zeros(d), turn[:30] * (1 + width * rng.random((30, 1))), turn[30:] * 5])
        X = X[rng.permutation(len(X))]
        Q = np.vstack([np.zeros(d), 1e-9 * turn[:8]])
        wrong += int((Search(X, "euclidean", 2.0, "brute", 30).query(Q, 2)[1] != _nearest(X, Q, 2)).sum())
        # A hollow cloud seen from its inside: the nearest row may lie on the other side of the center.
        X = turn * (0.6 + 0.6 * rng.random((60, 1)))
        Q = turn[:20] * 0.1 * rng.random((20, 1))
        wrong += int((Search(X, "euclidean", 2.0, "brute", 30).query(Q, 1)[1] != _nearest(X, Q, 1)).sum())
        # A line seen at right angles from far: the difference of the scores drowns in the products.
        side = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
        X = np.linspace(0.5, 1, 60)[:, None] * np.sign(rng.normal(size=(60, 1))) * side[0] + 1e-4 * rng.normal(
            size=(60, d)
        )
        Q = side[1] * np.geomspace(1e3, 1e5, 12)[:, None]
        wrong += int((Search(X, "euclidean", 2.0, "brute", 30).query(Q, 1)[1] != _nearest(X, Q, 1)).sum())
    return Check(wrong, 0, "neighbors that differ", "sorting all distances")


@evidence(
    "k-nearest-neighbors", claim="The bound of the product holds and still decides for rows far apart", against="theory"
)
def product_decides() -> Check:
    from fivefold.models.linear._search import Search

    rng = np.random.default_rng(22)
    X, Q = rng.normal(size=(3000, 20)), rng.normal(size=(40, 20))
    search = Search(X, "euclidean", 2.0, "brute", 30)
    with mock.patch.object(Search, "_query_rows", side_effect=AssertionError("row by row")):
        wrong = int((search.query(Q, 5)[1] != _nearest(X, Q, 5)).sum())
    return Check(wrong, 0, "neighbors that differ", "theory")


@evidence(
    "k-nearest-neighbors", claim="Every node has the tightest box around its rows and halves the widest side",
    against="the definition",
)  # fmt: skip
def boxes_of_the_tree() -> Check:
    from fivefold.models.linear._search import Search

    rng = np.random.default_rng(23)
    wrong = 0
    for X in (rng.normal(size=(300, 3)) * [1, 4, 2] - 7, rng.integers(0, 3, size=(300, 2)) + 5.0, np.ones((90, 2))):
        for leaf in (1, 7, 30):
            order, low, high, span, children = Search(X, "euclidean", 2.0, "kd_tree", leaf).tree
            wrong += int((np.sort(order) != np.arange(len(X))).sum())
            for node, (start, stop) in enumerate(span):
                mine = X[order[start:stop]]
                wrong += int((low[node] != mine.min(axis=0)).sum() + (high[node] != mine.max(axis=0)).sum())
                wide = mine.max(axis=0) - mine.min(axis=0)
                left, right = children[node]
                if len(mine) <= leaf or wide.max() == 0:
                    wrong += int(left != -1) + int(right != -1)
                    continue
                middle, axis = (start + stop) // 2, int(wide.argmax())
                wrong += int((span[left] != [start, middle]).sum() + (span[right] != [middle, stop]).sum())
                wrong += int(not X[order[start:middle], axis].max() <= X[order[middle:stop], axis].min())
    # A tree of a single leaf.
    X, Q = rng.normal(size=(9, 2)), rng.normal(size=(5, 2))
    wrong += int((Search(X, "euclidean", 2.0, "kd_tree", 30).query(Q, 3)[1] != _nearest(X, Q, 3)).sum())
    return Check(wrong, 0, "nodes that differ from the definition", "the definition")


@evidence("k-nearest-neighbors", claim="Threads share the queries without loss", against="one thread by hand")
def parts_of_the_work() -> Check:
    from fivefold.models.linear import _search

    wrong = 0
    for threads in (1, 2, 3, 16):
        for n in (1, 7, 8, 24, 25, 1000):
            seen = np.zeros(n, dtype=int)

            def work(part: slice, seen: np.ndarray = seen) -> None:
                seen[part] += 1

            with mock.patch.object(_search.numba, "get_num_threads", return_value=threads):
                _search._parallel(work, n)
            wrong += int((seen != 1).sum())
    return Check(wrong, 0, "rows not worked on exactly once", "counting")


@evidence("k-nearest-neighbors", claim="Cosine distances of tiny and huge entries stay exact", against="worked by hand")
def cosine_at_the_ends_of_the_range() -> Check:
    from fivefold.models.linear import KNeighborsRegressor

    worst = 0.0
    X = np.array([[3.0, 4.0], [4.0, 3.0], [-3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    known = np.array([0.0, 1 - 24 / 25, 1 - 7 / 25, 1.0, 1 - 3 / 5])
    rows = np.argsort(known, kind="stable")
    for ours, theirs in ((1e-200, 1e200), (1e200, 1e-200), (1.0, 1.0)):
        model = KNeighborsRegressor(5, metric="cosine").fit(X * ours, np.arange(5.0))
        distances, found = model.kneighbors(X[:1] * theirs)
        worst = largest(worst, np.abs(distances[0] - known[rows]).max(), (found[0] != rows).sum())
        distances, found = model.kneighbors(np.zeros((1, 2)))
        worst = largest(worst, np.abs(distances - 1).max(), (found[0] != np.arange(5)).sum())
    sparse = KNeighborsRegressor(5, metric="cosine").fit(sp.csr_array(X), np.arange(5.0))
    distances, found = sparse.kneighbors(sp.csr_array(np.vstack([X[:1], np.zeros((1, 2))])))
    worst = largest(worst, np.abs(distances[0] - known[rows]).max(), (found[0] != rows).sum())
    worst = largest(worst, np.abs(distances[1] - 1).max(), (found[1] != np.arange(5)).sum())
    return Check(worst, 1e-15, "max |distance - by hand|", "worked by hand")
