"""Exclusive feature bundling: the coloring by brute force, the bins of bundles, and trees that do not change."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence

_FIELDS = ("offset", "feature", "bin", "threshold", "missing_left", "left", "right", "value", "gain", "count", "cover")


def _one_hot(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return columns of two one-hot coded categories (9 and 12 levels), two of real numbers, and targets."""
    rng = Streams(seed).numpy("one-hot")
    first, second = rng.integers(0, 9, n), rng.integers(0, 12, n)
    real = np.round(rng.normal(size=(n, 2)), 1)
    X = np.column_stack([real[:, 0], np.eye(9)[first], np.eye(12)[second] * (1 + second % 3)[:, None], real[:, 1]])
    y = np.sin(first) + 0.5 * (second == 3) * real[:, 0] + real[:, 1] ** 2 + rng.normal(size=n) / 4
    return X, y


def _sparse(n: int, d: int, seed: int) -> np.ndarray:
    """Return columns that are zero but for 2 to 12 % of their rows, where they hold 1, 2 or 3."""
    rng = Streams(seed).numpy("sparse")
    return np.where(rng.random((n, d)) < rng.uniform(0.02, 0.12, d), rng.integers(1, 4, (n, d)), 0).astype(float)


def _usual(X: np.ndarray) -> np.ndarray:
    """Return the most frequent value of each column, the smallest of equals."""
    counted = [np.unique(X[:, f], return_counts=True) for f in range(X.shape[1])]
    return np.array([values[counts.argmax()] for values, counts in counted])


def _colored(X: np.ndarray, rate: float, sparse: float, most: int) -> tuple[list[list[int]], list[int]]:
    """Return the groups of the greedy coloring and their conflicts, by sets of rows."""
    n, d = X.shape
    away = [set(np.flatnonzero(X[:, f] != u).tolist()) for f, u in enumerate(_usual(X))]
    more = [len(np.unique(X[:, f])) - 1 for f in range(d)]
    groups: list[list[int]] = []
    clashes: list[int] = []
    for f in sorted(range(d), key=lambda f: -len(away[f])):
        if more[f] == 0 or n - len(away[f]) < sparse * n:
            continue
        for q, group in enumerate(groups):
            taken = set().union(*(away[g] for g in group))
            clash = len(taken & away[f])
            if clashes[q] + clash <= int(rate * n) and 1 + sum(more[g] for g in group) + more[f] <= most:
                group.append(f)
                clashes[q] += clash
                break
        else:
            groups.append([f])
            clashes.append(0)
    alone = set(range(d)) - {f for g in groups for f in g}
    both = [(sorted(g), c) for g, c in zip(groups, clashes, strict=True)] + [([f], 0) for f in alone]
    both.sort()
    return [g for g, _ in both], [c for _, c in both]


@evidence("efb", claim="Bundles and their conflicts are those of the greedy coloring", against="sets of rows")
def coloring() -> Check:
    from fivefold.models.trees import ExclusiveFeatureBundler

    wrong = 0
    for seed, params in enumerate(
        (
            {},
            {"max_conflict_rate": 0.01},
            {"max_conflict_rate": 0.05, "sparse_threshold": 0.9},
            {"max_conflict_rate": 0.2, "max_bin": 9},
            {"max_conflict_rate": 0.2, "sparse_threshold": 0.95},
        )
    ):
        X = _sparse(200, 24, seed)
        X[:, 3], X[:, 5] = 7.0, np.arange(200) % 4
        bundler = ExclusiveFeatureBundler(**params).fit(X)
        rate, sparse = params.get("max_conflict_rate", 0.0), params.get("sparse_threshold", 0.8)
        groups, clashes = _colored(X, rate, sparse, int(params.get("max_bin", 255)))
        wrong += int(bundler.groups_ != groups) + int(bundler.conflicts_.tolist() != clashes)
        wrong += int(not max(len(g) for g in groups) >= 2)
    # A column is sparse from exactly 80 % on; 5 conflicts of 100 rows are within a rate of 0.05, 6 are not.
    edge = np.zeros((100, 2))
    edge[:20, 0], edge[15:20, 1] = 1, 1
    wrong += int(ExclusiveFeatureBundler(max_conflict_rate=0.05).fit(edge).groups_ != [[0, 1]])
    edge[14, 1] = 1
    wrong += int(ExclusiveFeatureBundler(max_conflict_rate=0.05).fit(edge).groups_ != [[0], [1]])
    edge[20, 0], edge[14, 1] = 1, 0
    wrong += int(ExclusiveFeatureBundler(max_conflict_rate=0.05).fit(edge).groups_ != [[0], [1]])
    return Check(wrong, 0, "groups that differ", "brute force")


@evidence(
    "efb",
    claim="A bundle numbers the bins of its columns one after another, and they can be read back",
    against="an encoding by dictionary",
)
def offsets() -> Check:
    import scipy.sparse as sp

    from fivefold.models.trees import ExclusiveFeatureBundler

    wrong = 0.0
    for seed in range(3):
        X = _sparse(300, 12, seed) - 1.0  # the usual value is not the smallest bin for all of them
        X[:, 4] = np.where(X[:, 4] == -1, 9.0, X[:, 4])
        X[:, 7] = Streams(seed).numpy("dense").normal(size=300)
        bundler = ExclusiveFeatureBundler().fit(X)
        out = bundler.transform(X)
        usual = _usual(X)
        bins = np.full(X.shape, -1)
        for q, group in enumerate(bundler.groups_):
            if len(group) == 1:
                wrong += np.abs(out[:, q] - X[:, group[0]]).max()
                continue
            code: dict[tuple[int, float], int] = {}
            for f in group:
                levels = np.unique(X[:, f])
                bins[:, f] = np.searchsorted(levels, X[:, f])
                for value in levels[levels != usual[f]]:
                    code[f, float(value)] = len(code) + 1
            expected = [sum(code.get((f, float(row[f])), 0) for f in group) for row in X]
            wrong += np.abs(out[:, q] - expected).max()
        wrong += np.abs(bundler.bins(out) - bins).max() + float((bundler.transform(sp.csr_matrix(X)) != out).sum())
        wrong += float(len(bundler.groups_) >= 12)
    # Of a conflict the last column stays; a missing value makes its bundle missing and no other.
    bundler = ExclusiveFeatureBundler().fit(np.vstack([np.zeros((16, 2)), np.eye(2), [[0, 3], [3, 0]]]))
    told = bundler.transform(np.array([[1.0, 3.0], [np.nan, 0.0], [0.0, 0.0]]))[:, 0]
    wrong += float(told[0] != 4) + float(not np.isnan(told[1])) + float(told[2] != 0)
    wrong += float(bundler.bins(told[:, None]).tolist() != [[0, 2], [-1, -1], [0, 0]])
    return Check(wrong, 0, "codes that differ", "an encoding by dictionary")


@evidence(
    "efb",
    claim="Boosting with bundles gives the trees of the plain table, bit for bit, from fewer columns",
    against="the same fit without bundles",
)
def trees_unchanged() -> Check:
    from fivefold.models.trees import LGBMClassifier, LGBMRegressor

    X, y = _one_hot(2500, 1)
    wrong = 0
    settings: tuple[dict[str, Any], ...] = (
        {},
        {"min_child_samples": 2, "reg_lambda": 0.5, "colsample_bytree": 0.4, "random_state": 3},
        {"data_sample_strategy": "goss", "learning_rate": 0.5, "random_state": 3},
        {
            "monotone_constraints": [1, *[-1, 0] * 10, 0, 0],
            "interaction_constraints": [[0, *range(1, 12), 22], [0, *range(8, 22)]],
        },
        {"subsample": 0.5, "subsample_freq": 1, "colsample_bynode": 0.5, "random_state": 1, "reg_alpha": 0.3},
    )
    for params in settings:
        for make, target in ((LGBMRegressor, y), (LGBMClassifier, np.digitize(y, [0.0, 1.0]))):
            packed = make(n_estimators=3, **params).fit(X, target)
            plain = make(n_estimators=3, enable_bundle=False, **params).fit(X, target)
            for name in _FIELDS:
                a, b = getattr(packed.trees_, name), getattr(plain.trees_, name)
                wrong += int(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
            # Two columns of reals, one for each category.
            wrong += int(packed.n_columns_ != 4) + int(plain.n_columns_ != 23)
            split = np.unique(packed.trees_.feature)
            wrong += int(not ((split >= 1) & (split <= 21)).any())
    return Check(wrong, 0, "arrays that differ", "enable_bundle=False")


@evidence(
    "efb",
    claim="A sparse table has the cuts, bins, bundles and trees of the same table made dense, weights and missing values too",
    against="the dense table",
)
def sparse_tables() -> Check:
    import scipy.sparse as sp

    from fivefold.models.trees import LGBMRegressor
    from fivefold.models.trees.boosting._binning import BinMapper
    from fivefold.models.trees.boosting._bundles import bundled_table, bundles

    wrong = 0
    for seed, kind in enumerate((np.float32, np.float64)):
        X = _sparse(400, 24, seed)
        rng = Streams(seed).numpy("more")
        X[:, 2] *= -1.0  # zero is the last bin
        X[:, 5] = np.where(X[:, 5] > 0, rng.normal(size=400), 0.0)
        X[:, 9] = np.where(rng.random(400) < 0.4, rng.normal(size=400), 0.0)  # too full for a bundle
        X[:7, 11], X[0, 13], X[:, 17] = np.nan, 0.0, 0.0
        X[:, 20] = rng.integers(0, 5, 400)
        table = sp.csr_matrix(X.astype(kind))
        table.data[:3] = 0.0  # zeros that are written out
        dense, weight = table.toarray(), rng.integers(1, 4, 400).astype(float)
        categorical = np.arange(24) == 20
        for mass in (None, weight):
            one, two = (BinMapper(16, 2).fit(t, categorical, Streams(0), mass) for t in (dense, table))
            wrong += sum(not np.array_equal(a, b) for a, b in zip(one.cuts, two.cuts, strict=True))
            a, b = one.transform(dense, 1), one.transform(table, 1)
            wrong += int(not np.array_equal(a.columns, b.columns)) + int(not np.array_equal(a.words, b.words))
        groups = bundles(a.columns, a.n_bins, a.kinds)
        wrong += int(one.sparse(table).bundles(0.8) != groups) + int(not 3 <= sum(map(len, groups)) < 22)
        a, b = bundled_table(one, dense, 1), bundled_table(one, table, 1)
        for name in ("columns", "words", "where", "widths", "members"):
            wrong += int(not np.array_equal(getattr(a, name), getattr(b, name)))
        y = dense[:, 5] + dense[:, 2] + rng.normal(size=400) / 4
        settings: dict[str, Any] = {"n_estimators": 4, "min_child_samples": 5, "categorical_feature": [20]}
        fits = [LGBMRegressor(**settings).fit(t, y, eval_set=[(t, y)]) for t in (dense, table)]
        for name in _FIELDS:
            a, b = (getattr(fit.trees_, name) for fit in fits)
            wrong += int(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
        wrong += int(fits[0].evals_result_ != fits[1].evals_result_)
    # A row that leaves the bins of zero of two columns keeps them apart; exactly 80 % zeros are enough.
    apart = np.zeros((100, 4))
    apart[:20, 0], apart[19:39, 1], apart[40:60, 2], apart[60:81, 3] = 1, 1, 1, 1
    mapper = BinMapper(255, 1).fit(apart, np.zeros(4, dtype=bool), Streams(0))
    wrong += int(mapper.sparse(sp.csr_matrix(apart)).bundles(0.8) != [[0, 2]])
    return Check(wrong, 0, "arrays that differ", "the dense table")


@evidence("efb", claim="Boosting on bundles gives LightGBM's raw scores", against="LightGBM", peer="lightgbm")
def bundles_as_lightgbm() -> Check:
    import lightgbm

    from fivefold.models.trees import LGBMRegressor

    X, y = _one_hot(2500, 2)
    y = np.round(y * 64) / 64
    shared: dict[str, Any] = {"n_estimators": 3, "min_data_in_bin": 1}
    peer = lightgbm.LGBMRegressor(verbose=-1, n_jobs=1, enable_bundle=True, **shared).fit(X, y)
    ours = LGBMRegressor(**shared).fit(X, y)
    gap = np.abs(peer.predict(X) - ours.predict(X)).max()
    return Check(gap if ours.n_columns_ == 4 else np.inf, 1e-6, "largest difference", "LightGBM enable_bundle=True")
