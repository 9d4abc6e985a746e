"""Evidence for the encoders: one-hot encoding and standardization."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest

OTHER = "<other>"
TABLE = np.array([["M", "CN"], ["F", "US"], ["M", "SG"]], dtype=object)


@evidence(
    "one-hot-encoder",
    claim="gender x country: (M,CN), (F,US), (M,SG) become 10100, 01010, 10001",
    against="the worked table of the specification",
)
def one_hot_table() -> Check:
    from fivefold.data.encoders import OneHotEncoder

    encoder = OneHotEncoder(categories=[["M", "F"], ["CN", "US", "SG"]])
    rows = encoder.fit_transform(TABLE).toarray().astype(int)
    found = ["".join(map(str, row)) for row in rows]
    wrong = sum(a != b for a, b in zip(found, ["10100", "01010", "10001"]))
    wrong += not np.array_equal(encoder.inverse_transform(rows), TABLE)
    # A nested list keeps its numbers as numbers: 10 comes after 2.
    wrong += OneHotEncoder().fit([["M", 10], ["F", 2]]).categories_[1].tolist() != [2, 10]
    return Check(wrong, 0, "wrong rows", "worked table")


@evidence(
    "one-hot-encoder",
    claim="Every block of a row is a distribution: entries 0 or 1 that sum to 1, at the place of the value",
    against="brute force over rows and categories",
)
def one_hot_brute_force() -> Check:
    from fivefold.data.encoders import OneHotEncoder

    draw = np.random.default_rng(0)
    X = draw.integers(0, 7, (60, 3)) * np.array([1, 10, -5])
    out = OneHotEncoder(sparse_output=False).fit_transform(X)
    expected = []
    for row in X:
        line: list[float] = []
        for j, value in enumerate(row):
            line += [float(value == c) for c in sorted(set(X[:, j].tolist()))]
        expected.append(line)
    return Check(float(np.abs(out - np.array(expected)).sum()), 0.0, "sum |difference|", "brute force")


@evidence(
    "one-hot-encoder",
    claim="Categories, dropping, minimum counts, maximum numbers and unknown values agree over a grid of parameters",
    against="scikit-learn OneHotEncoder",
)
def one_hot_peer() -> Check:
    from sklearn.preprocessing import OneHotEncoder as Peer

    from fivefold.data.encoders import OneHotEncoder

    draw = np.random.default_rng(1)
    letters = np.array(list("abcdefg"), dtype=object)
    share = [0.3, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02]
    X = np.column_stack([draw.choice(letters, 200, p=share), draw.choice(letters[:2], 200), draw.integers(0, 4, 200)])
    new = np.vstack([X[:50], np.array([["z", "a", 1], ["a", "q", 9]], dtype=object)])
    grid: list[dict[str, object]] = [
        {},
        {"drop": "first"},
        {"drop": "if_binary"},
        {"handle_unknown": "ignore"},
        {"handle_unknown": "ignore", "min_frequency": 10},
        {"handle_unknown": "infrequent_if_exist", "min_frequency": 10},
        {"handle_unknown": "infrequent_if_exist", "min_frequency": 0.1},
        {"handle_unknown": "infrequent_if_exist", "max_categories": 3},
        {"handle_unknown": "infrequent_if_exist", "min_frequency": 1},
        {"handle_unknown": "infrequent_if_exist", "max_categories": 1},
        {"handle_unknown": "infrequent_if_exist", "min_frequency": 5, "max_categories": 5},
    ]
    wrong = 0.0
    for options in grid:
        ours, peer = OneHotEncoder(**options).fit(X), Peer(**options).fit(X)
        rows = new if options.get("handle_unknown", "error") != "error" else X
        a, b = ours.transform(rows).toarray(), peer.transform(rows).toarray()
        wrong += float(np.abs(a - b).sum()) if a.shape == b.shape else 1.0
        same = [x.tolist() for x in ours.categories_] == [x.tolist() for x in peer.categories_]
        wrong += not same
        names = [n.replace("infrequent_sklearn", "<other>") for n in peer.get_feature_names_out()]
        wrong += names != list(ours.get_feature_names_out())
        plain = a.any(axis=1) & ~np.array([OTHER in row for row in ours.inverse_transform(a).tolist()])
        if plain.any():
            wrong += ours.inverse_transform(a[plain]).tolist() != peer.inverse_transform(b[plain]).tolist()
    return Check(wrong, 0, "differences", "scikit-learn OneHotEncoder")


@evidence(
    "one-hot-encoder",
    claim="Among equally rare categories the first ones are pooled, and the count at the minimum is kept",
    against="scikit-learn OneHotEncoder",
)
def one_hot_ties() -> Check:
    from sklearn.preprocessing import OneHotEncoder as Peer

    from fivefold.data.encoders import OneHotEncoder

    X = np.array(list("aabbccddeee"), dtype=object)[:, None]
    wrong = 0
    for options in ({"min_frequency": 2}, {"min_frequency": 3}, {"max_categories": 2}, {"max_categories": 3}):
        a = OneHotEncoder(handle_unknown="infrequent_if_exist", **options).fit(X)
        b = Peer(handle_unknown="infrequent_if_exist", **options).fit(X)
        rare = [None if c is None else c.tolist() for c in a.infrequent_categories_]
        wrong += rare != [None if c is None else c.tolist() for c in b.infrequent_categories_]
    return Check(wrong, 0, "differences", "scikit-learn OneHotEncoder")


@evidence(
    "one-hot-encoder",
    claim="Unseen values, pooled rare ones and nothing else light <other>; a missing value is a category of its own",
    against="the definition, on a hand-sized column",
)
def one_hot_other() -> Check:
    from fivefold.data.encoders import OneHotEncoder

    column = np.array(["a", "a", "b", "b", "c", None, np.nan], dtype=object)[:, None]
    encoder = OneHotEncoder(handle_unknown="other", min_frequency=2, sparse_output=False).fit(column)
    new = np.array(["a", "b", "c", "never", None], dtype=object)[:, None]
    # columns: a, b, missing, <other>
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 0]]
    wrong = int((encoder.transform(new) != np.array(expected)).sum())
    wrong += list(encoder.get_feature_names_out()) != ["x0_a", "x0_b", "x0_None", "x0_<other>"]
    # The column for unseen values is there even when training had nothing to pool.
    plain = OneHotEncoder(handle_unknown="other", sparse_output=False).fit(column[:4])
    wrong += int((plain.transform(new[:4]) != np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])).sum())
    numbers = np.array([[2.0], [np.nan], [1.0]])
    wrong += int(
        (OneHotEncoder(sparse_output=False).fit_transform(numbers) != np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])).sum()
    )
    return Check(wrong, 0, "wrong cells", "definition")


@evidence(
    "one-hot-encoder",
    claim="Parameters outside their range and values of unknown categories are refused, those at its ends accepted",
    against="the documented ranges",
)
def one_hot_ranges() -> Check:
    from fivefold.base.errors import InputError
    from fivefold.data.encoders import OneHotEncoder

    X = np.array(list("aaab"), dtype=object)[:, None]
    bad: list[dict[str, object]] = [{"min_frequency": v} for v in (0, -1, 0.0, 1.0, 1.5, "1")]
    bad += [{"max_categories": v} for v in (0, -1, 1.5, "1")]
    bad += [{"drop": "last"}, {"handle_unknown": "skip"}, {"drop": "first", "handle_unknown": "ignore"}]
    bad += [{"categories": [["a"]]}, {"categories": [["a", "b"], ["c"]]}, {"categories": [["a", "b", "a"]]}]
    good: list[dict[str, object]] = [{"min_frequency": 1}, {"min_frequency": 0.01}, {"min_frequency": 0.99}]
    good += [{"max_categories": 1}, {"categories": [["b", "a", "c"]]}]
    accepted = 0
    for options in bad:
        try:
            OneHotEncoder(**options).fit(X)
        except InputError:
            continue
        accepted += 1
    for options in good:
        OneHotEncoder(**options).fit(X)
    return Check(accepted, 0, "bad parameters accepted", "documentation")


@evidence(
    "one-hot-encoder",
    claim="Integer codes of the same categories, their pooling, unknown and missing codes, and the way back agree",
    against="scikit-learn OrdinalEncoder",
)
def ordinal_peer() -> Check:
    from sklearn.preprocessing import OrdinalEncoder as Peer

    from fivefold.data.encoders import OrdinalEncoder

    draw = np.random.default_rng(2)
    letters = np.array(["a", "b", "c", "d", np.nan], dtype=object)
    text = draw.choice(letters, (80, 2), p=[0.4, 0.3, 0.15, 0.05, 0.1])
    numbers = draw.choice([3.0, -1.0, 7.5, np.nan], (80, 2), p=[0.5, 0.3, 0.1, 0.1])
    wrong = 0
    grid: list[dict[str, object]] = [
        {},
        {"min_frequency": 10},
        {"max_categories": 2},
        {"encoded_missing_value": -2},
        {"handle_unknown": "use_encoded_value", "unknown_value": -1},
        {"handle_unknown": "use_encoded_value", "unknown_value": 99, "min_frequency": 0.2},
    ]
    for X in (text, numbers):
        for options in grid:
            a, b = OrdinalEncoder(**options).fit(X), Peer(**options).fit(X)
            codes = a.transform(X)
            wrong += not np.array_equal(codes, b.transform(X), equal_nan=True)
            if "unknown_value" in options:
                new = np.array([["z", "a"]], dtype=object) if X is text else np.array([[5.0, 3.0]])
                wrong += not np.array_equal(a.transform(new), b.transform(new))
            if not any(c is not None for c in a.infrequent_categories_):
                back, known = a.inverse_transform(codes), b.inverse_transform(codes)
                lost = known != known
                wrong += int((back[~lost] != known[~lost]).sum()) + (back.dtype != X.dtype)
                wrong += sum(v is not None and v == v for v in back[lost])
    return Check(wrong, 0, "differences", "scikit-learn OrdinalEncoder")


@evidence(
    "standard-scaler",
    claim="Mean, variance and scaled values equal those of two passes in extended precision",
    against="closed form in longdouble",
)
def scaler_closed_form() -> Check:
    from fivefold.data.encoders import StandardScaler

    X = np.random.default_rng(0).normal(3.0, [0.1, 5.0, 200.0], (9001, 3))  # more than two blocks
    exact = X.astype(np.longdouble)
    mean = exact.mean(axis=0)
    variance = ((exact - mean) ** 2).mean(axis=0)
    scaler = StandardScaler().fit(X)
    z = ((exact - mean) / np.sqrt(variance)).astype(float)
    error = largest(
        float(np.abs(scaler.mean_ / mean - 1).max()),
        float(np.abs(scaler.var_ / variance - 1).max()),
        float(np.abs(scaler.transform(X) - z).max()),
        float(np.abs(scaler.inverse_transform(scaler.transform(X)) - X).max() / 1000),
    )
    return Check(error, 1e-12, "largest relative error", "longdouble")


@evidence(
    "standard-scaler",
    claim="The variance of a column that spreads by a billionth of its mean is right to ten digits",
    against="two passes in longdouble",
)
def scaler_far_from_origin() -> Check:
    from fivefold.data.encoders import StandardScaler

    draw = np.random.default_rng(6)
    X = 1e6 + 1e-3 * draw.random((4000, 3)) * [1.0, 0.5, 2.0] + [0.0, 123.0, 0.1]
    X[:, 2] = 1e6 + 2.0**-30 * draw.integers(0, 2**10, 4000)
    weight = draw.integers(1, 4, 4000)
    worst = 0.0
    for w in (None, weight):
        share = (np.ones(4000) if w is None else w).astype(np.longdouble)[:, None]
        mean = (share * X).sum(axis=0) / share.sum()
        variance = (share * (X - mean) ** 2).sum(axis=0) / share.sum()
        scaler = StandardScaler().fit(X, sample_weight=w)
        # The mean alone is rounded to a double; deviations from any double near it are exact.
        worst = largest(worst, float(np.abs(scaler.var_ / variance - 1).max()))
        worst = largest(worst, float(np.abs(scaler.mean_ - mean).max() / 1e6 * 1e5))
    return Check(worst, 1e-10, "largest relative error", "longdouble")


@evidence(
    "standard-scaler",
    claim="Weights act as repetitions of rows, and missing values as absent ones",
    against="the same rows repeated, and each column alone without its missing values",
)
def scaler_weights_and_missing() -> Check:
    import scipy.sparse

    from fivefold.data.encoders import StandardScaler

    draw = np.random.default_rng(1)
    X = draw.normal(2.0, 3.0, (200, 3))
    X[draw.random(X.shape) < 0.2] = np.nan
    repeat = draw.integers(0, 4, 200)
    weighted = StandardScaler().fit(X, sample_weight=repeat)
    repeated = StandardScaler().fit(np.repeat(X, repeat, axis=0))
    error = float(np.abs(weighted.mean_ - repeated.mean_).max() + np.abs(weighted.var_ - repeated.var_).max())
    error += float(np.abs(weighted.n_samples_seen_ - repeated.n_samples_seen_).max())
    for j in range(3):
        known = X[~np.isnan(X[:, j]), j]
        plain = StandardScaler().fit(X)
        error += abs(plain.mean_[j] - known.mean()) + abs(plain.var_[j] - known.var())
        error += abs(float(plain.n_samples_seen_[j]) - len(known))
        error += float((np.isnan(plain.transform(X)[:, j]) != np.isnan(X[:, j])).sum())
    # Sparse storage changes nothing, even where the weights sum to less than 1.
    X[draw.random(X.shape) < 0.5] = 0.0
    small = repeat / 1000
    dense = StandardScaler(with_mean=False).fit(X, sample_weight=small)
    sparse = StandardScaler(with_mean=False).fit(scipy.sparse.csr_matrix(X), sample_weight=small)
    error += float(np.abs(dense.mean_ - sparse.mean_).max() + np.abs(dense.var_ - sparse.var_).max())
    error += float(np.abs(dense.n_samples_seen_ - sparse.n_samples_seen_).max())
    return Check(error, 1e-10, "sum of differences", "repetition")


@evidence(
    "standard-scaler",
    claim="Any division of the rows, in any order of merging, gives the statistics of the whole, far from the origin too",
    against="one fit of all rows",
)
def scaler_merge() -> Check:
    from fivefold.data.encoders import StandardScaler

    draw = np.random.default_rng(2)
    X = draw.normal([1e6, -3.0, 0.0], [1.0, 2.0, 1e-3], (1000, 3))
    weight = draw.random(1000) + 0.1
    whole = StandardScaler().fit(X, sample_weight=weight)
    cuts = [0, 1, 7, 400, 401, 1000]
    parts = [StandardScaler().fit(X[a:b], sample_weight=weight[a:b]) for a, b in zip(cuts, cuts[1:])]
    merged = parts[3].merge(parts[0]).merge(parts[4]).merge(parts[2].merge(parts[1]))
    online = StandardScaler()
    for a, b in zip(cuts, cuts[1:]):
        online.partial_fit(X[a:b], sample_weight=weight[a:b])
    error = 0.0
    for other in (merged, online):
        error = largest(
            error,
            float(np.abs(other.mean_ - whole.mean_).max() / 1e6),
            float(np.abs(other.var_ / whole.var_ - 1).max()),
        )
        error = largest(error, float(np.abs(other.n_samples_seen_ / whole.n_samples_seen_ - 1).max()))
    # var of the first column: rounding of 1e6 against a deviation of 1 loses 1e6 * eps at most.
    return Check(error, 1e-9, "largest relative difference", "one fit")


@evidence(
    "standard-scaler",
    claim="Statistics and outputs agree for dense, sparse, missing, weighted, constant and single-precision input",
    against="scikit-learn StandardScaler",
)
def scaler_peer() -> Check:
    import scipy.sparse
    from sklearn.preprocessing import StandardScaler as Peer

    from fivefold.data.encoders import StandardScaler

    draw = np.random.default_rng(3)
    X = draw.normal(1.0, 2.0, (300, 5)) * (draw.random((300, 5)) < 0.4)
    X[:, 3] = 0.1  # constant, and its mean is not exact
    weight = draw.random(300)
    missing = X.copy()
    missing[draw.random(X.shape) < 0.1] = np.nan
    error = 0.0
    cases = [(X, {}), (missing, {}), (X, {"with_std": False}), (X, {"with_mean": False}), (X.astype(np.float32), {})]
    cases += [(scipy.sparse.csr_matrix(X), {"with_mean": False}), (scipy.sparse.csc_matrix(X), {"with_mean": False})]
    for data, options in cases:
        for sample_weight in (None, weight):
            a = StandardScaler(**options).fit(data, sample_weight=sample_weight)
            b = Peer(**options).fit(data, sample_weight=sample_weight)
            za, zb = a.transform(data), b.transform(data)
            if scipy.sparse.issparse(za):
                za, zb = za.toarray(), zb.toarray()
            single = za.dtype == np.float32
            error = largest(error, float(np.nanmax(np.abs(za - zb))) * (1e-6 if single else 1.0))
            error += float((za.dtype != zb.dtype) + (np.isnan(za) != np.isnan(zb)).sum())
            if a.scale_ is not None:
                error = largest(error, float(np.abs(a.scale_ / b.scale_ - 1).max()) * (1e-6 if single else 1.0))
    return Check(error, 1e-10, "largest difference", "scikit-learn StandardScaler")


def _descent(X: np.ndarray, y: np.ndarray) -> tuple[float, int]:
    """Return the condition number of the Hessian of least squares and the steps until the gradient is 1e-6 of its start."""
    A = np.column_stack([X, np.ones(len(X))])
    H = A.T @ A / len(A)
    values = np.linalg.eigvalsh(H)
    w = np.zeros(A.shape[1])
    target = A.T @ y / len(A)
    start = np.linalg.norm(target)
    rate = 2.0 / (values[0] + values[-1])  # the best constant step of a quadratic
    for step in range(20_000):
        gradient = H @ w - target
        if np.linalg.norm(gradient) <= 1e-6 * start:
            return float(values[-1] / values[0]), step
        w -= rate * gradient
    return float(values[-1] / values[0]), 20_000


def _landscape() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(4)
    X = draw.normal([2.0, 100.0], [1.0, 50.0], (2000, 2))  # small x1, large x2
    return X, X @ [1.0, 0.02] + 3.0 + 0.1 * draw.normal(size=2000)


@evidence(
    "standard-scaler",
    claim="The error surface becomes near-circular: the Hessian's condition number is near 1 after scaling",
    against="theory: independent scaled columns give H = I up to sampling error of order 1/sqrt(n)",
)
def scaler_condition_number() -> Check:
    from fivefold.data.encoders import StandardScaler

    X, y = _landscape()
    condition, _ = _descent(StandardScaler().fit_transform(X), y)
    # H is the correlation matrix and a 1: condition (1 + r)/(1 - r) with |r| < 4/sqrt(2000) = 0.09
    return Check(condition, 1.2, "condition number", "(1 + r) / (1 - r)")


@evidence(
    "standard-scaler",
    claim="Gradient descent with its best constant step needs at least 100 times fewer steps after scaling",
    against="theory: steps grow like condition number x log(1/tolerance) / 2",
)
def scaler_descent_steps() -> Check:
    from fivefold.data.encoders import StandardScaler

    X, y = _landscape()
    raw, scaled = _descent(X, y)[1], _descent(StandardScaler().fit_transform(X), y)[1]
    return Check(raw / max(scaled, 1), 100.0, "ratio of steps", "condition number", at_least=True)
