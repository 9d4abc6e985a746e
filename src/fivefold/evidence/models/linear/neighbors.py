"""k-nearest neighbors: every search against sorting all distances, votes and means by hand, ties, equal rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest

METRICS: tuple[dict[str, Any], ...] = (
    {"metric": "euclidean"},
    {"metric": "manhattan"},
    {"metric": "chebyshev"},
    {"metric": "chebyshev", "p": 1},  # p belongs to minkowski alone
    {"metric": "euclidean", "p": 1},
    {"metric": "minkowski", "p": 3},
    {"metric": "minkowski", "p": 1},
    {"metric": "minkowski", "p": np.inf},
    {},
)


def _all_distances(Q: np.ndarray, X: np.ndarray, metric: str = "minkowski", p: float = 2) -> np.ndarray:
    """Return all distances by the definition."""
    gaps = np.abs(Q[:, None, :] - X[None, :, :])
    p = {"euclidean": 2, "manhattan": 1, "chebyshev": np.inf}.get(metric, p)
    if np.isinf(p):
        return gaps.max(axis=2)
    return (gaps**p).sum(axis=2) ** (1 / p)


def _sorted(distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest by distance, then by row number."""
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, rows, axis=1), rows


@evidence(
    "k-nearest-neighbors",
    claim="All searches find the same neighbors, ties by row number",
    against="sorting all distances",
)
def searches_on_a_lattice() -> Check:
    from fivefold.models.linear import KNeighborsClassifier

    # Whole numbers: distances are exact and full of ties, and half of the rows occur several times.
    rng = np.random.default_rng(0)
    X, Q = rng.integers(0, 4, size=(700, 3)).astype(float), rng.integers(-1, 5, size=(60, 3)).astype(float)
    y = np.zeros(700)
    y[0] = 1
    wrong = 0.0
    for options in METRICS:
        powers = _all_distances(Q, X, **options) ** (3 if options.get("p") == 3 else 1)
        rounded = np.round(powers) if options.get("p") == 3 else powers
        for k in (1, 7, 40):
            known, rows = _sorted(rounded, k)
            known = known ** (1 / 3) if options.get("p") == 3 else known
            for algorithm, leaf in (("brute", 30), ("kd_tree", 1), ("kd_tree", 30), ("auto", 30)):
                model = KNeighborsClassifier(algorithm=algorithm, leaf_size=leaf, **options).fit(X, y)
                distances, found = model.kneighbors(Q, k)
                wrong += (found != rows).sum() + (~(np.abs(distances - known) <= 1e-14 * (1 + known))).sum()
            if k == 7:
                for form, query in (
                    (sp.csr_array, sp.csr_array),
                    (sp.csr_array, np.asarray),
                    (np.asarray, sp.csr_array),
                ):
                    distances, found = KNeighborsClassifier(**options).fit(form(X), y).kneighbors(query(Q), k)
                    wrong += (found != rows).sum() + (~(np.abs(distances - known) <= 1e-14 * (1 + known))).sum()
    return Check(float(wrong), 0, "neighbors or distances that differ", "sorting all distances")


@evidence("k-nearest-neighbors", claim="The matrix product never misses a neighbor", against="sorting all distances")
def product_search() -> Check:
    from fivefold.models.linear import KNeighborsRegressor

    rng = np.random.default_rng(1)
    wrong = 0
    plain = rng.normal(size=(5000, 12))
    cases = {
        "plain": (plain, plain[:50] + 0.1),
        "far from zero": (plain + 1e6, plain[:50] + 1e6 + 0.1),
        "one far row": (np.vstack([plain, np.full((1, 12), 1e9)]), plain[:50]),
        "near copies": (plain[:50].repeat(60, axis=0) * (1 + 1e-9 * rng.normal(size=(3000, 1))), plain[:50]),
        "small near copies": (
            1e-5 * plain[:50].repeat(60, axis=0) * (1 + 1e-9 * rng.normal(size=(3000, 1))),
            1e-5 * plain[:50],
        ),
        "equal rows": (plain[:20].repeat(100, axis=0), plain[:30]),
        "far queries": (plain[:3000], plain[:10] * 1e12),
        "huge": (plain[:3000] * 1e30, plain[:20] * 1e30),
        "tiny": (plain[:3000] * 1e-30, plain[:20] * 1e-30),
        "single precision": (plain.astype(np.float32), plain[:50].astype(np.float32)),
    }
    for X, Q in cases.values():
        known = np.zeros((len(Q), len(X)))
        for j in range(12):  # the order of summation of the definition, so that equal means equal
            known += (Q[:, None, j].astype(float) - X[None, :, j].astype(float)) ** 2
        values, rows = _sorted(known, 10)
        distances, found = KNeighborsRegressor(algorithm="brute").fit(X, np.arange(len(X))).kneighbors(Q, 10)
        wrong += int((found != rows).sum() + (~(np.abs(distances - np.sqrt(values)) <= 1e-15 * np.sqrt(values))).sum())
    return Check(wrong, 0, "neighbors or distances that differ", "sorting all distances")


@evidence("k-nearest-neighbors", claim="The tree finds what brute force finds", against="brute force")
def tree_and_brute_force() -> Check:
    from fivefold.models.linear import KNeighborsRegressor

    rng = np.random.default_rng(2)
    X, Q = rng.normal(size=(4000, 3)) * [1, 5, 0.2], rng.normal(size=(300, 3)) * [2, 5, 0.2]
    wrong = 0
    for options in METRICS[:4]:
        pairs = [
            KNeighborsRegressor(algorithm=a, leaf_size=leaf, **options).fit(X, X[:, 0]).kneighbors(Q, 9)
            for a, leaf in (("brute", 30), ("kd_tree", 7))
        ]
        wrong += int((pairs[0][1] != pairs[1][1]).sum() + (pairs[0][0] != pairs[1][0]).sum())
    return Check(wrong, 0, "neighbors or distances that differ", "brute force")


@evidence("k-nearest-neighbors", claim="A node of the tree is halved at the median of its axis", against="sorting")
def halves_of_a_node() -> Check:
    from fivefold.models.linear import _kernels as kernels

    rng = np.random.default_rng(4)
    wrong = 0
    for data in (rng.normal(size=(101, 2)), rng.integers(0, 3, size=(101, 2)).astype(float), np.zeros((101, 2))):
        for start, stop in ((0, 101), (10, 60), (40, 42), (0, 2)):
            order = rng.permutation(101)
            before = order.copy()
            middle = (start + stop) // 2
            kernels._halve(data, order, 1, start, stop, middle)
            left, right = data[order[start:middle], 1], data[order[middle:stop], 1]
            wrong += int(not left.max() <= right.min()) + int(
                (np.sort(order[start:stop]) != np.sort(before[start:stop])).sum()
            )
            wrong += int((order[:start] != before[:start]).sum() + (order[stop:] != before[stop:]).sum())
    return Check(wrong, 0, "rows on the wrong side or lost", "sorting")


@evidence(
    "k-nearest-neighbors", claim="Cosine distance is one minus the cosine, one for rows of zeros", against="the formula"
)
def cosine() -> Check:
    from fivefold.models.linear import KNeighborsRegressor

    rng = np.random.default_rng(3)
    X, Q = rng.normal(size=(300, 6)), rng.normal(size=(40, 6))
    X[5], Q[3] = 0.0, 0.0
    norms = np.outer(np.linalg.norm(Q, axis=1), np.linalg.norm(X, axis=1))
    known = 1 - np.divide(Q @ X.T, norms, out=np.zeros_like(norms), where=norms > 0)
    worst = 0.0
    for form in (np.asarray, sp.csr_array):
        for algorithm in ("auto", "kd_tree") if form is np.asarray else ("auto",):
            model = KNeighborsRegressor(metric="cosine", algorithm=algorithm).fit(form(X), np.arange(300.0))
            distances, rows = model.kneighbors(form(Q), 200)
            worst = largest(worst, np.abs(np.take_along_axis(known, rows, axis=1) - distances).max())
            worst = largest(worst, np.abs(np.sort(known, axis=1)[:, :200] - distances).max())
            worst = largest(worst, float((rows[3] != np.arange(200)).sum()))  # all at distance one: by row number
            near = model.kneighbors(form(X[7:8] * 1e-8), 1)
            worst = largest(worst, float(near[1][0, 0] != 7), 1e8 * abs(near[0][0, 0]) * 1e-6)
    return Check(float(worst), 1e-14, "max |distance - formula|", "the formula")


@evidence("k-nearest-neighbors", claim="Votes and means of a small case", against="worked by hand")
def votes_and_means() -> Check:
    from fivefold.models.linear import KNeighborsClassifier, KNeighborsRegressor

    X, y = [[0.0], [1.0], [3.0], [3.0], [7.0]], ["b", "a", "b", "a", "c"]
    target = [[0.0, 1.0], [1.0, 2.0], [3.0, 0.0], [5.0, 4.0], [100.0, 9.0]]
    values = []
    # From 2: rows 1, 2, 3 at distance 1, then row 0 at 2, then row 4 at 5.
    vote = KNeighborsClassifier(3).fit(X, y)
    values += [np.abs(vote.predict_proba([[2.0]]) - [[2 / 3, 1 / 3, 0]]).max(), vote.predict([[2.0]])[0] != "a"]
    # Two neighbors, one vote each: the tie goes to the class that sorts first although the other is nearer.
    tie = KNeighborsClassifier(2).fit(X, y)
    values += [tie.predict([[0.2]])[0] != "a", np.abs(tie.predict_proba([[0.2]]) - [[0.5, 0.5, 0]]).max()]
    # By distance: 1/0.2 for b against 1/0.8 for a.
    near = KNeighborsClassifier(2, weights="distance").fit(X, y)
    values += [np.abs(near.predict_proba([[0.2]]) - [[0.2, 0.8, 0]]).max(), near.predict([[0.2]])[0] != "b"]
    # At distance zero those rows alone vote: rows 2 and 3 at 3, row 0 at 0.
    values += [np.abs(near.predict_proba([[3.0], [0.0]]) - [[0.5, 0.5, 0], [0, 1, 0]]).max()]
    some = KNeighborsClassifier(5, weights="distance").fit(X, y)
    values += [np.abs(some.predict_proba([[3.0]]) - [[0.5, 0.5, 0]]).max()]
    # All five from 2 by distance: a has 1 + 1, b has 1 + 1/2, c has 1/5, of 3.7.
    values += [np.abs(some.predict_proba([[2.0]]) - np.array([[2, 1.5, 0.2]]) / 3.7).max()]
    tiny = KNeighborsClassifier(5, weights="distance", p=1).fit(np.array(X) * 2.0**-1040, y)  # one over them overflows
    values += [np.abs(tiny.predict_proba([[2.0**-1039]]) - np.array([[2, 1.5, 0.2]]) / 3.7).max()]
    mean = KNeighborsRegressor(4).fit(X, target)
    values += [np.abs(mean.predict([[2.0]]) - [[9 / 4, 7 / 4]]).max()]
    mean = KNeighborsRegressor(4, weights="distance").fit(X, target)
    values += [np.abs(mean.predict([[2.0], [3.0]]) - [[9 / 3.5, 6.5 / 3.5], [4, 2]]).max()]
    mean = KNeighborsRegressor(4, weights=lambda d: d**2).fit(X, np.array(target)[:, 0])
    values += [np.abs(mean.predict([[2.0]]) - [9 / 7]).max()]
    # The default is five neighbors with equal votes.
    values += [np.abs(KNeighborsRegressor().fit(X, np.array(target)[:, 1]).predict([[2.0]]) - [16 / 5]).max()]
    return Check(largest(values), 1e-14, "max |number - by hand|", "by hand")


@evidence(
    "k-nearest-neighbors",
    claim="One neighbor gives 100 % training accuracy; equal rows give the first one's label",
    against="theory",
)
def one_neighbor() -> Check:
    from sklearn.datasets import load_digits

    from fivefold.models.linear import KNeighborsClassifier

    X, y = load_digits(return_X_y=True)
    wrong = float(1 - KNeighborsClassifier(1).fit(X, y).score(X, y))
    twins = KNeighborsClassifier(1).fit(np.zeros((30, 2)), [1] + [0] * 29)
    return Check(wrong + abs(twins.predict(np.zeros((1, 2)))[0] - 1), 0, "training error", "theory")


@evidence("k-nearest-neighbors", claim="Without queries a row is not its own neighbor", against="sorting all distances")
def without_itself() -> Check:
    from fivefold.models.linear import KNeighborsClassifier

    rng = np.random.default_rng(5)
    wrong = 0
    for X in (rng.normal(size=(300, 2)), rng.integers(0, 2, size=(300, 2)).astype(float)):
        known = _all_distances(X, X)
        np.fill_diagonal(known, np.inf)
        values, rows = _sorted(known, 4)
        for algorithm in ("brute", "kd_tree"):
            model = KNeighborsClassifier(4, algorithm=algorithm).fit(X, np.arange(300) % 2)
            distances, found = model.kneighbors()
            wrong += int((found != rows).sum() + (~(np.abs(distances - values) <= 1e-14)).sum())
    return Check(wrong, 0, "neighbors that differ", "sorting all distances")


@evidence(
    "k-nearest-neighbors",
    claim="Probabilities and means equal the peer's on real data",
    against="scikit-learn KNeighbors",
)
def peers() -> Check:
    from sklearn import neighbors as peer
    from sklearn.datasets import load_breast_cancer, load_diabetes

    from fivefold.models.linear import KNeighborsClassifier, KNeighborsRegressor

    X, y = load_breast_cancer(return_X_y=True)
    Q = X[::5] * 1.01
    worst = 0.0
    for options in (
        {},
        {"n_neighbors": 15, "weights": "distance"},
        {"p": 1},
        {"metric": "cosine", "weights": "distance"},
    ):
        ours = KNeighborsClassifier(**options).fit(X, y).predict_proba(Q)
        worst = largest(worst, np.abs(ours - peer.KNeighborsClassifier(**options).fit(X, y).predict_proba(Q)).max())
    X, y = load_diabetes(return_X_y=True)
    Q = X[::5] * 1.01
    for options in ({}, {"n_neighbors": 15, "weights": "distance"}, {"p": 3}):
        ours = KNeighborsRegressor(**options).fit(X, np.column_stack([y, -y])).predict(Q)
        theirs = peer.KNeighborsRegressor(**options).fit(X, np.column_stack([y, -y])).predict(Q)
        worst = largest(worst, np.abs(ours / theirs - 1).max())
    # The peer's cosine distances, 1 - x'y, err by eps / distance, up to 1e-8 for the nearest rows here.
    return Check(float(worst), 1e-7, "max |probability - peer|", "scikit-learn")
