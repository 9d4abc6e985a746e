"""k-means: Lloyd's iterations written out, enumeration of partitions, the law of the seeds, bounds, weights."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest, smallest


def _table(n: int, d: int, name: str, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return overlapping clusters away from zero and weights that include zero."""
    rng = Streams(3).numpy(name)
    centers = rng.uniform(-5, 5, size=(12, d))
    X = centers[rng.integers(12, size=n)] + spread * rng.normal(size=(n, d)) + 7.0
    return X, rng.integers(0, 4, n).astype(float)


def _squares(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return ((X[:, None, :] - centers) ** 2).sum(axis=2)


def _by_the_book(
    X: np.ndarray, w: np.ndarray, centers: np.ndarray, max_iter: int, tol: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Run Lloyd's iterations as stated: assign, move an empty cluster to the farthest row, average, stop."""
    before, least = np.full(len(X), -1), tol * X.var(axis=0).mean()
    for n_iter in range(1, max_iter + 1):
        squares = _squares(X, centers)
        labels = squares.argmin(axis=1)
        owner, nearest = labels.copy(), np.where(w > 0, squares.min(axis=1), 0.0)
        for j in np.flatnonzero(np.bincount(labels, w, len(centers)) == 0):
            if nearest.max() > 0:
                far = int(nearest.argmax())
                owner[far], nearest[far] = j, 0.0
        share = w[:, None] * (owner[:, None] == np.arange(len(centers)))  # (n, k)
        mass = share.sum(axis=0)[:, None]
        fresh = np.where(mass > 0, share.T @ X / np.where(mass > 0, mass, 1.0), centers)
        moved, centers = ((fresh - centers) ** 2).sum(), fresh
        if np.array_equal(labels, before):
            return centers, labels, n_iter
        before = labels
        if moved <= least:
            break
    return centers, _squares(X, centers).argmin(axis=1), n_iter


def _differences(model: Any, X: np.ndarray, w: np.ndarray, known: tuple[np.ndarray, np.ndarray, int]) -> int:
    centers, labels, n_iter = known
    inertia = (w * ((X - centers[labels]) ** 2).sum(axis=1)).sum()
    wrong = int(np.sum(model.labels_ != labels)) + (model.n_iter_ != n_iter)
    return (
        wrong
        + int(not np.allclose(model.cluster_centers_, centers, rtol=1e-9, atol=1e-9))
        + int(abs(model.inertia_ - inertia) > 1e-9 * inertia)
    )


@evidence(
    "k-means",
    claim="Labels, centers, inertia and iterations follow Lloyd's steps as stated",
    against="the steps written out",
)
def lloyd_by_the_book() -> Check:
    from fivefold.models.unsupervised import KMeans

    wrong = 0
    for n, d, k in ((60, 2, 3), (400, 3, 7), (900, 2, 40)):
        X, w = _table(n, d, f"book-{n}")
        seeds = X[:k].copy()
        for weight, options in product((None, w), ({}, {"tol": 0.0}, {"max_iter": 2}, {"tol": 0.01})):
            v = np.ones(n) if weight is None else w
            known = _by_the_book(X, v, seeds, options.get("max_iter", 300), options.get("tol", 1e-4))
            for algorithm in ("lloyd", "elkan"):
                model = KMeans(k, init=seeds, algorithm=algorithm, **options).fit(X, sample_weight=weight)
                wrong += _differences(model, X, v, known)
    return Check(wrong, 0, "facts that differ", "the steps written out")


@evidence("k-means", claim="An empty cluster moves to the farthest row", against="the steps written out")
def empty_clusters() -> Check:
    from fivefold.models.unsupervised import KMeans

    wrong = 0
    for case in range(12):
        X, w = _table(80, 2, f"empty-{case}")
        w = w if case % 2 else np.ones(80)
        seeds = np.concatenate([X[:3], np.full((1 + case % 3, 2), 1e3) + np.arange(1 + case % 3)[:, None] * 1e3])
        for algorithm in ("lloyd", "elkan"):
            model = KMeans(len(seeds), init=seeds, algorithm=algorithm).fit(X, sample_weight=w)
            wrong += _differences(model, X, w, _by_the_book(X, w, seeds, 300, 1e-4))
    return Check(wrong, 0, "facts that differ", "the steps written out")


@evidence(
    "k-means",
    claim="Labels equal scikit-learn's from the same centers, in both precisions",
    against="scikit-learn KMeans",
)
def same_labels_as_scikit_learn() -> Check:
    from sklearn.cluster import KMeans as Peer

    from fivefold.models.unsupervised import KMeans

    wrong = 0
    for n, d, k in ((9000, 5, 12), (4500, 17, 45)):
        X, w = _table(n, d, f"peer-{n}")
        for weight in (None, w):
            ours = KMeans(k, init=X[:k]).fit(X, sample_weight=weight)
            peer = Peer(k, init=X[:k], n_init=1).fit(X, sample_weight=weight)
            wrong += int(np.sum(ours.labels_ != peer.labels_)) + (ours.n_iter_ != peer.n_iter_)
            wrong += not np.allclose(ours.cluster_centers_, peer.cluster_centers_, rtol=1e-9)
            wrong += not abs(ours.inertia_ / peer.inertia_ - 1) <= 1e-10
        # In float32 a row may fall on either side of a border that lies within the rounding of its squared distances.
        rows = X.astype(np.float32)
        single = KMeans(k, init=rows[:k], max_iter=3).fit(rows)
        double = KMeans(k, init=rows[:k], max_iter=3).fit(rows.astype(np.float64))
        centers = single.cluster_centers_.astype(np.float64)
        squares = _squares(rows.astype(np.float64), centers)
        own, least = squares[np.arange(n), single.labels_], squares.min(axis=1)
        rounding = 2.0**-23 * (d + 4) * ((X**2).sum(axis=1) + (centers**2).sum(axis=1).max())
        wrong += int(np.sum(~(own - least <= rounding))) + (single.cluster_centers_.dtype != np.float32)
        wrong += not (abs(single.inertia_ / own.sum() - 1) <= 1e-5)
        wrong += not (abs(single.inertia_ / double.inertia_ - 1) <= 1e-3)
    return Check(wrong, 0, "facts that differ", "scikit-learn KMeans")


@evidence("k-means", claim="Many starts find the best of all partitions", against="enumeration of all partitions")
def best_partition() -> Check:
    from fivefold.models.unsupervised import KMeans

    worst = 0.0
    for case, k in ((0, 2), (1, 3), (2, 3), (3, 1)):
        rng = Streams(case).numpy("partitions")
        X, w = rng.normal(size=(8, 2)), rng.integers(1, 4, 8).astype(float)
        labels = np.array(list(product(range(k), repeat=8)))  # (k^8, 8)
        share = w[:, None] * (labels[:, :, None] == np.arange(k))  # (k^8, 8, k)
        share = share[(share.sum(axis=1) > 0).all(axis=1)]
        means = share.transpose(0, 2, 1) @ X / share.sum(axis=1)[:, :, None]  # (m, k, 2)
        totals = (share * ((X[:, None] - means[:, None]) ** 2).sum(axis=3)).sum(axis=(1, 2))
        least = smallest(np.inf, *totals.tolist())
        for init in ("k-means++", "random"):
            model = KMeans(k, init=init, n_init=40, tol=0.0, random_state=case).fit(X, sample_weight=w)
            worst = largest(worst, abs(model.inertia_ / least - 1))
    return Check(worst, 1e-12, "|inertia / optimum - 1|", "enumeration")


@evidence("k-means", claim="The inertia never rises, and the end is a fixed point", against="theory")
def inertia_never_rises() -> Check:
    from fivefold.models.unsupervised import KMeans

    wrong = 0
    for algorithm in ("lloyd", "elkan"):
        X, w = _table(3000, 4, "falling")
        values = [
            KMeans(9, init=X[:9], max_iter=i, tol=0.0, algorithm=algorithm).fit(X, sample_weight=w).inertia_
            for i in range(1, 25)
        ]
        wrong += int(np.sum(~(np.diff(values) <= 1e-9 * values[0]))) + int(not values[0] > values[-1])
        model = KMeans(9, init=X[:9], tol=0.0, algorithm=algorithm).fit(X, sample_weight=w)
        wrong += int(np.sum(_squares(X, model.cluster_centers_).argmin(axis=1) != model.labels_))
        for j in range(9):
            mine = model.labels_ == j
            gap = np.average(X[mine], axis=0, weights=w[mine]) - model.cluster_centers_[j]
            wrong += not np.abs(gap).max() <= 1e-9
    return Check(wrong, 0, "violations", "theory")


@evidence("k-means", claim="Pairs of seeds occur as often as greedy k-means++ says", against="enumeration of all draws")
def law_of_the_seeds() -> Check:
    from fivefold.models.unsupervised import KMeans
    from fivefold.models.unsupervised.k_means import _plus_plus, _Rows

    X = np.array([[0.0], [1.0], [3.0], [3.5], [9.0]])
    w = np.array([1.0, 2.0, 1.0, 0.5, 0.25])
    law = np.zeros((5, 5))
    for first in range(5):
        square = ((X - X[first]) ** 2)[:, 0]
        share = w * square / (w * square).sum()
        left = np.array([(w * np.minimum(square, ((X - x) ** 2)[:, 0])).sum() for x in X])
        for a, b in product(range(5), repeat=2):  # two trials for two clusters
            law[first, a if left[a] <= left[b] else b] += w[first] / w.sum() * share[a] * share[b]
    rows = _Rows.of(KMeans(), X, w, 2)
    draws, seen = 4000, np.zeros((5, 5))
    generator = Streams(1).numpy("law")
    for _ in range(draws):
        chosen = _plus_plus(rows, 2, generator)[:, 0] + rows.shift[0]
        seen[tuple(np.abs(X[:, 0] - c).argmin() for c in chosen)] += 1
    possible = law > 0
    if seen[~possible].any():
        return Check(np.inf, 1.0, "impossible pairs", "enumeration")
    expected = draws * law[possible]
    statistic = ((seen[possible] - expected) ** 2 / expected).sum()
    from scipy.stats import chi2

    return Check(float(statistic), float(chi2.isf(1e-6, possible.sum() - 1)), "chi-squared of the pairs", "enumeration")


@evidence(
    "k-means",
    claim="Every center is the best of 2 + ln k trials, measured without error",
    against="the definition written out",
)
def greedy_choice() -> Check:
    from fivefold.models.unsupervised import KMeans
    from fivefold.models.unsupervised.k_means import _plus_plus, _Rows

    worst = 0.0
    for n, d, k in ((3000, 3, 2), (6000, 4, 30)):
        X, w = _table(n, d, f"greedy-{n}", spread=0.5)
        weight = w + 1.0
        rows = _Rows.of(KMeans(), X, weight, k)
        centers = _plus_plus(rows, k, Streams(2).numpy("greedy")) + rows.shift
        trials = 2 + int(np.log(k))
        generator = Streams(2).numpy("greedy")
        mark = generator.random() * weight.sum()
        known = [X[np.searchsorted(np.cumsum(weight), mark, side="right")]]
        closest = ((X - known[0]) ** 2).sum(axis=1)
        for _ in range(1, k):
            marks = generator.random(trials) * (weight * closest).sum()
            chosen = np.searchsorted(np.cumsum(weight * closest), marks, side="right")
            left = [(weight * np.minimum(closest, ((X - X[i]) ** 2).sum(axis=1))).sum() for i in chosen]
            known.append(X[chosen[int(np.argmin(left))]])
            closest = np.minimum(closest, ((X - known[-1]) ** 2).sum(axis=1))
        worst = largest(worst, float(np.abs(centers - np.array(known)).max()))
    return Check(worst, 1e-12, "max |seed - seed|", "the definition")


@evidence(
    "k-means",
    claim="Weights equal repeated rows, zero removed ones; shift and scale change nothing",
    against="invariance",
)
def invariances() -> Check:
    from fivefold.models.unsupervised import KMeans

    X, w = _table(800, 3, "invariance")
    seeds = X[:6]

    def fitted(Z: np.ndarray, weight: Any = None, init: np.ndarray = seeds) -> Any:
        return KMeans(6, init=init, tol=0.0).fit(Z, sample_weight=weight)

    base, repeated = fitted(X, w), fitted(np.repeat(X, w.astype(int), axis=0))
    wrong = int(not np.allclose(base.cluster_centers_, repeated.cluster_centers_, rtol=1e-9))
    wrong += not abs(base.inertia_ / repeated.inertia_ - 1) <= 1e-10
    plain = fitted(X)
    for scale, shift in ((1.0, 1e7), (1e-6, 0.0), (1e6, -3e9)):
        moved = fitted(X * scale + shift, init=seeds * scale + shift)
        wrong += int(np.sum(moved.labels_ != plain.labels_))
        # The offset costs the data themselves as many digits.
        wrong += not abs(moved.inertia_ / scale**2 / plain.inertia_ - 1) <= 1e-6
    return Check(wrong, 0, "changes that matter", "invariance")


@evidence("k-means", claim="The bounds that save distances hold and are tight", against="all distances")
def bounds_of_distances() -> Check:
    from fivefold.models.unsupervised import KMeans
    from fivefold.models.unsupervised import _kernels as kernels
    from fivefold.models.unsupervised.k_means import _Rows, _shifted

    X, w = _table(700, 3, "bounds")
    worst = 0.0
    for k, n_groups in ((9, 9), (45, 32)):
        rows = _Rows.of(KMeans(), X, w, k)
        group = np.arange(k) * n_groups // k
        labels, upper = np.zeros(700, dtype=np.int32), np.zeros(700, dtype=np.float32)
        lower = np.zeros((700, n_groups), dtype=np.float32)
        centers, steps = X[:k] - rows.shift, Streams(6).numpy("steps").normal(size=(k, 3)) * 0.05
        for moves, first in ((np.zeros(k), True), (np.linalg.norm(steps, axis=1), False)):
            centers = centers if first else centers + steps
            most = np.array([moves[group == g].max() for g in range(n_groups)])
            before = (upper.copy(), lower.copy())
            kernels.lloyd_pass(
                X, rows.chunks, rows.norms, w, rows.shift, centers, *_shifted(centers, rows.shift, X.dtype), 1e3, 1e-15,
                labels, True, first, group, moves.astype(np.float32), most.astype(np.float32), upper, lower, False,
                np.empty((0, 0, 0)), np.empty((0, 0)), np.empty((0, 0), dtype=np.int64), np.zeros(1, dtype=np.int64),
            )  # fmt: skip
            distance = np.sqrt(_squares(X - rows.shift, centers))
            own = distance[np.arange(700), labels]
            others = np.where(np.arange(k) == labels[:, None], np.inf, distance)
            nearest = np.stack([others[:, group == g].min(axis=1) for g in range(n_groups)], axis=1)
            # float32 keeps seven digits and the margins cost another two.
            worst = largest(worst, float((own - upper).max()), float((lower - nearest)[np.isfinite(nearest)].max()))
            if first:
                worst = largest(worst, float((upper - own).max()), float((nearest - lower)[np.isfinite(nearest)].max()))
            else:
                # A row that was skipped carries its old bounds, moved; at least half of these rows are.
                moved = np.isclose(upper, before[0] + moves[labels], rtol=1e-5) & np.isclose(
                    lower, np.where(before[1] > 1e29, before[1], before[1] - most), rtol=1e-4, atol=1e-4
                ).all(axis=1)
                worst = np.inf if moved.mean() < 0.5 else worst
    return Check(worst, 1e-4, "largest violation or slack", "all distances")


@evidence("k-means", claim="predict, transform and score say what they are defined to", against="definition")
def predictions() -> Check:
    from fivefold.models.unsupervised import KMeans

    X, w = _table(3000, 4, "predict")
    model = KMeans(7, random_state=1).fit(X[:2000])
    squares = _squares(X, model.cluster_centers_)
    wrong = int(np.sum(model.predict(X) != squares.argmin(axis=1)))
    wrong += int(np.sum(model.predict(X[:2000]) != model.labels_))
    wrong += int(not np.abs(model.transform(X) - np.sqrt(squares)).max() <= 1e-9)
    wrong += not abs(model.score(X) + squares.min(axis=1).sum()) <= 1e-8 * squares.sum()
    wrong += not abs(model.score(X, None, w) + (w * squares.min(axis=1)).sum()) <= 1e-8 * squares.sum()
    halves = KMeans(2, init=np.array([[0.0], [2.0]])).fit([[0.0], [2.0]])
    wrong += halves.predict([[1.0], [0.9], [1.1]]).tolist() != [0, 0, 1]  # the first of equals
    wrong += not np.array_equal(KMeans(3, random_state=5).fit(X).labels_, KMeans(3, random_state=5).fit(X).labels_)
    return Check(wrong, 0, "wrong answers", "definition")


@evidence("k-means", claim="The defaults are the stated ones; the best of the starts is kept", against="definition")
def defaults_and_starts() -> Check:
    from fivefold.models.unsupervised import KMeans

    X, _ = _table(400, 2, "starts", spread=0.7)
    wrong = int(len(KMeans(random_state=0).fit(X).cluster_centers_) != 8)
    stated = {"n_clusters": 8, "init": "k-means++", "n_init": "auto", "max_iter": 300, "tol": 1e-4, "algorithm": "auto"}
    params = KMeans().get_params()
    wrong += sum(params[name] != value for name, value in stated.items())
    for init, auto in (("k-means++", 1), ("random", 10)):
        one, many = (KMeans(12, init=init, n_init=n, random_state=4).fit(X).inertia_ for n in (1, auto))
        wrong += KMeans(12, init=init, random_state=4).fit(X).inertia_ != many
        best = [KMeans(12, init=init, n_init=n, random_state=4).fit(X).inertia_ for n in (1, 2, 5, 20)]
        wrong += int(np.sum(~(np.diff(best) <= 0))) + (best[0] == best[-1]) + (not one >= many)
    # A row far away is always a seed of k-means++, hardly ever of random rows; one iteration does not mend that.
    far = np.concatenate([np.linspace(0, 1, 99), [1e6]])[:, None]
    left = {
        init: [KMeans(2, init=init, n_init=1, max_iter=1, random_state=s).fit(far).inertia_ for s in range(10)]
        for init in ("k-means++", "random")
    }
    wrong += not max(left["k-means++"]) <= 99 or not max(left["random"]) >= 1e6
    # Every start ends at the same inertia here, so the first start stands.
    even = np.array([[0.0], [1.0], [9.0], [10.0]])
    for seed in range(8):
        once, often = (KMeans(2, n_init=n, random_state=seed).fit(even) for n in (1, 6))
        wrong += once.inertia_ != 1.0 or not np.array_equal(once.labels_, often.labels_)
    seeds = KMeans(12, init="random", n_init=1, max_iter=1, tol=1e9, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrong += len(np.unique(seeds.fit(X).labels_)) != 12
    return Check(wrong, 0, "wrong facts", "definition")


@evidence("k-means", claim="Random seeds are different rows, drawn by weight", against="binomial law")
def random_rows() -> Check:
    from fivefold.models.unsupervised import KMeans
    from fivefold.models.unsupervised.k_means import _random_rows, _Rows

    X = np.arange(6.0)[:, None]
    w = np.array([4.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    rows = _Rows.of(KMeans(), X, w, 2)
    generator = Streams(0).numpy("rows")
    drawn = np.array([(_random_rows(rows, 2, generator) + rows.shift)[:, 0].round() for _ in range(2000)]).astype(int)
    if (drawn[:, 0] == drawn[:, 1]).any() or (drawn == 2).any():
        return Check(np.inf, 5.0, "impossible rows", "binomial law")
    # The first row is row 0 with probability 1/2: 2000 draws deviate by 5 standard deviations once in a million.
    plain = _Rows.of(KMeans(), X, None, 2)
    even = np.array([(_random_rows(plain, 1, generator) + plain.shift)[0, 0].round() for _ in range(2000)])
    weighted = abs((drawn[:, 0] == 0).sum() - 1000) / np.sqrt(500)
    return Check(
        float(largest(weighted, abs((even == 2).sum() - 2000 / 6) / np.sqrt(2000 * 5 / 36))),
        5.0,
        "standard deviations",
        "binomial law",
    )
