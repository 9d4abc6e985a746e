"""Agglomerative clustering: a table by hand, SciPy's merge tables, cuts, inversions."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest

_ALL = ("single", "complete", "average", "weighted", "ward", "centroid", "median")


@evidence(
    "hierarchical-agglomerative-clustering",
    claim="Five points: heights of every linkage, order of merges, cuts by number and height",
    against="worked by hand",
)
def five_points() -> Check:
    from fivefold.models.unsupervised import AgglomerativeClustering

    # Five points of the course's example kind: pairs {0, 1} and {2, 3}, then 4 with the second pair.
    X = np.array([[0.0], [1.0], [5.0], [7.0], [10.0]])
    heights = {
        "single": [1, 2, 3, 4],
        "complete": [1, 2, 5, 10],
        "average": [1, 2, 4, (5 + 7 + 10 + 4 + 6 + 9) / 6],
        "weighted": [1, 2, 4, (5.5 + 9.5) / 2],
        "ward": [1, 2, np.sqrt(2 * 2 * 1 / 3) * 4, np.sqrt(2 * 2 * 3 / 5) * (22 / 3 - 0.5)],
        "centroid": [1, 2, 4, 22 / 3 - 0.5],
        "median": [1, 2, 4, 8 - 0.5],
    }
    worst = 0.0
    for linkage, known in heights.items():
        model = AgglomerativeClustering(2, linkage=linkage).fit(X)
        worst = largest(worst, float(np.abs(model.distances_ - known).max()))
        worst = largest(
            worst, float(model.merges_[:, [0, 1, 3]].tolist() != [[0, 1, 2], [2, 3, 2], [4, 6, 3], [5, 7, 5]])
        )
        worst = largest(worst, float(model.labels_.tolist() != [0, 0, 1, 1, 1] or model.n_clusters_ != 2))
        worst = largest(worst, float(model.children_.tolist() != [[0, 1], [2, 3], [4, 6], [5, 7]]))
        for height, count in ((0.0, 5), (0.999, 5), (1.0, 4), (2.0, 3), (2.5, 3), (known[2] + 1e-9, 2), (99.0, 1)):
            worst = largest(worst, float(len(set(model.cut(height=height).tolist())) != count))
        for count, labels in ((1, [0] * 5), (3, [0, 0, 1, 1, 2]), (4, [0, 0, 1, 2, 3]), (5, [0, 1, 2, 3, 4])):
            worst = largest(worst, float(model.cut(count).tolist() != labels))
        far = AgglomerativeClustering(None, linkage=linkage, distance_threshold=2.0).fit(X)
        worst = largest(worst, float(far.n_clusters_ != 3 or far.labels_.tolist() != [0, 0, 1, 1, 2]))
    defaults = AgglomerativeClustering().get_params()
    stated = {"n_clusters": 2, "metric": "euclidean", "linkage": "ward", "distance_threshold": None}
    worst = largest(worst, float(defaults != stated))
    return Check(worst, 1e-12, "largest difference", "worked by hand")


@evidence(
    "hierarchical-agglomerative-clustering",
    claim="Merge tables of all linkages and metrics equal SciPy's",
    against="scipy.cluster.hierarchy.linkage",
)
def same_as_scipy() -> Check:
    from scipy.cluster.hierarchy import linkage as peer
    from scipy.spatial.distance import pdist, squareform

    from fivefold.models.unsupervised import AgglomerativeClustering

    worst = 0.0
    for n, d in ((2, 1), (3, 2), (120, 3), (200, 2)):
        X = Streams(6).numpy("table", n).normal(size=(n, d)) + 5.0
        for linkage in _ALL:
            known = peer(X, linkage)
            ours = AgglomerativeClustering(1, linkage=linkage).fit(X).merges_
            worst = largest(worst, float(np.abs(ours - known).max()))
            if linkage in ("ward", "centroid", "median"):
                continue
            for metric, name in (("manhattan", "cityblock"), ("chebyshev", "chebyshev"), ("cosine", "cosine")):
                if d == 1 and metric == "cosine":
                    continue
                ours = AgglomerativeClustering(1, linkage=linkage, metric=metric).fit(X).merges_
                worst = largest(worst, float(np.abs(ours - peer(X, linkage, name)).max()))
            matrix = squareform(pdist(X))
            ours = AgglomerativeClustering(1, linkage=linkage, metric="precomputed").fit(matrix).merges_
            worst = largest(worst, float(np.abs(ours - known).max()))
    return Check(worst, 1e-10, "largest difference", "scipy.cluster.hierarchy.linkage")


@evidence(
    "hierarchical-agglomerative-clustering",
    claim="Cuts by height equal SciPy's, inversions included; cuts by number equal scikit-learn's",
    against="scipy fcluster, scikit-learn AgglomerativeClustering",
)
def same_cuts() -> Check:
    from scipy.cluster.hierarchy import fcluster
    from sklearn.cluster import AgglomerativeClustering as Peer

    from fivefold.models.unsupervised import AgglomerativeClustering

    wrong, inversions = 0, 0
    X = Streams(6).numpy("cuts").normal(size=(90, 2))
    for linkage in _ALL:
        model = AgglomerativeClustering(1, linkage=linkage).fit(X)
        inversions += int((np.diff(model.distances_) < 0).sum())
        for height in np.quantile(model.distances_, [0.05, 0.3, 0.6, 0.9, 1.0]):
            known = fcluster(model.merges_, height, "distance")
            wrong += _differs(model.cut(height=float(height)), known)
        if linkage in ("single", "complete", "average", "ward"):
            for count in (2, 5, 40):
                wrong += _differs(model.cut(count), Peer(count, linkage=linkage).fit_predict(X))
    wrong += inversions == 0  # or the check would not meet any
    return Check(wrong, 0, "cuts that differ", "SciPy and scikit-learn")


def _differs(ours: np.ndarray, known: np.ndarray) -> int:
    """Return 0 when two clusterings are the same up to names, and ours are numbered by first rows."""
    _, first = np.unique(ours, return_index=True)
    pairs = {(int(a), int(b)) for a, b in zip(ours, known, strict=True)}
    same = len(pairs) == len(set(ours.tolist())) == len(set(known.tolist()))
    return int(not same or (np.diff(first) <= 0).any())


@evidence(
    "hierarchical-agglomerative-clustering",
    claim="Repeated rows and equal distances end in valid trees; scale, offset of 1e8 and threads change no merge",
    against="invariance",
)
def degenerate_rows() -> Check:
    import numba

    from fivefold.models.unsupervised import AgglomerativeClustering

    grid = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0)), axis=-1).reshape(-1, 2)
    same = np.ones((12, 2))
    X = Streams(6).numpy("scale").normal(size=(900, 2)).astype(np.float32).astype(np.float64)
    wrong = 0
    for linkage in _ALL:
        for rows in (grid, same, np.repeat(grid, 2, axis=0)):
            table = AgglomerativeClustering(1, linkage=linkage).fit(rows).merges_
            n = len(rows)
            wrong += sorted(table[:, :2].ravel().astype(int).tolist()) != list(range(2 * n - 2)) or table[-1, 3] != n
            distinct = len(np.unique(rows, axis=0))
            wrong += not int((table[:, 2] == 0).sum()) >= n - distinct
        base = AgglomerativeClustering(3, linkage=linkage).fit(X[:150])
        far = AgglomerativeClustering(3, linkage=linkage).fit(X[:150] * 2.0**27)
        wrong += not np.array_equal(base.children_, far.children_)
        wrong += not np.array_equal(base.distances_ * 2.0**27, far.distances_)
    before, found = numba.get_num_threads(), []
    for threads in {1, before}:
        numba.set_num_threads(threads)
        found.append(AgglomerativeClustering(3).fit(X).merges_)
    numba.set_num_threads(before)
    wrong += not np.array_equal(found[0], found[-1])
    return Check(wrong, 0, "violations", "invariance")


@evidence(
    "hierarchical-agglomerative-clustering",
    claim="The dendrogram joins branches at their heights over the middle, without crossings, and cuts between two merges",
    against="a tree of four points by hand",
)
def dendrogram_by_hand() -> Check:
    from unittest.mock import patch

    from matplotlib.figure import Figure

    from fivefold.models.unsupervised import AgglomerativeClustering

    # Places 0, 1, 4 and 10: merges at 1, 3 and 6; from left to right the row at 10 and those at 4, 0 and 1.
    X, wrong = np.array([[0.0], [10.0], [1.0], [4.0]]), 0
    tree = [
        [[2, 0], [2, 1], [3, 1], [3, 0]],
        [[1, 0], [1, 3], [2.5, 3], [2.5, 1]],
        [[0, 0], [0, 6], [1.75, 6], [1.75, 3]],
    ]
    cuts = [
        ({"n_clusters": 1}, []),
        ({"n_clusters": 2}, [4.5]),
        ({"n_clusters": 3}, [2.0]),
        ({"n_clusters": 4}, [0.5]),
        ({"n_clusters": None, "distance_threshold": 5.5}, [5.5]),
    ]
    for options, lines in cuts:
        seen: list[Figure] = []
        with patch.object(Figure, "savefig", lambda figure, path, seen=seen, **_: seen.append(figure)):
            AgglomerativeClustering(linkage="single", **options).fit(X).dendrogram("unwritten.png")
        axes = seen[0].axes[0]
        drawn = [path.vertices.tolist() for path in axes.collections[0].get_paths()]
        wrong += not np.allclose(drawn, tree, rtol=0, atol=1e-12)
        wrong += not np.allclose([line.get_ydata()[0] for line in axes.get_lines()], lines, rtol=0, atol=1e-12)
        wrong += [t.get_text() for t in axes.get_xticklabels()] != ["1", "3", "0", "2"]
        wrong += axes.get_xticks().tolist() != [0, 1, 2, 3]
        low, high = axes.get_ylim()
        wrong += low != 0 or not high > 6
    return Check(float(wrong), 0.0, "differences", "by hand")
