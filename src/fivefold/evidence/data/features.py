"""Evidence for discretization and feature crosses."""

from __future__ import annotations

import itertools

import numpy as np

from fivefold.evidence import Check, evidence, largest, smallest


@evidence(
    "discretizer",
    claim="Quantile and width bins, their edges, one-hot columns and the way back agree, ties and constants included",
    against="scikit-learn KBinsDiscretizer",
)
def discretizer_peer() -> Check:
    import warnings

    from sklearn.preprocessing import KBinsDiscretizer

    from fivefold.data.discretizer import Discretizer

    draw = np.random.default_rng(0)
    X = np.column_stack([draw.normal(size=200), draw.integers(0, 4, 200), draw.exponential(size=200), np.ones(200)])
    X[:80, 2] = 0.25
    wrong = 0.0
    for strategy, name in (("quantile", "quantile"), ("width", "uniform")):
        for n_bins in (2, 5, 9):
            # With a constant column the peer opens the edges to infinity, so there the bins alone are compared.
            for columns, encode in itertools.product(([0, 1, 2], [0, 3]), ("ordinal", "onehot", "onehot-dense")):
                part = X[:, columns]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    peer = KBinsDiscretizer(n_bins, strategy=name, encode=encode, subsample=None).fit(part)
                ours = Discretizer(strategy=strategy, n_bins=n_bins, encode=encode).fit(part)
                a, b = ours.transform(part), peer.transform(part)
                if encode == "onehot":
                    wrong += a.format != "csr"
                    a, b = a.toarray(), b.toarray()
                wrong += float(np.abs(a - b).sum()) if a.shape == b.shape else 1.0
                wrong += not np.array_equal(ours.n_bins_, peer.n_bins_)
                if columns != [0, 3]:
                    for mine, theirs in zip(ours.bin_edges_, peer.bin_edges_):
                        wrong += float(np.abs(mine - theirs).max()) if len(mine) == len(theirs) else 1.0
                    wrong += float(np.abs(ours.inverse_transform(a) - peer.inverse_transform(b)).max())
    default = Discretizer()
    wrong += (default.n_bins, default.strategy, default.encode) != (5, "quantile", "onehot")
    return Check(wrong, 1e-12, "differences", "scikit-learn KBinsDiscretizer")


def _mdlp(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return the cuts of one column by the formula of the paper, written out with logarithms of lists."""

    def entropy(labels: list[int]) -> float:
        shares = [labels.count(c) / len(labels) for c in set(labels)]
        return -sum(p * np.log2(p) for p in shares)

    pairs = sorted(zip(x.tolist(), y.tolist()))
    best: tuple[float, float] | None = None
    for a, b in itertools.pairwise(sorted({v for v, _ in pairs})):
        left = [c for v, c in pairs if v <= a]
        right = [c for v, c in pairs if v > a]
        value = (len(left) * entropy(left) + len(right) * entropy(right)) / len(pairs)
        if best is None or value < best[0] - 1e-12:
            best = (value, (a + b) / 2)
    if best is None:
        return []
    labels = [c for _, c in pairs]
    left = [c for v, c in pairs if v < best[1]]
    right = [c for v, c in pairs if v > best[1]]
    k, k1, k2 = len(set(labels)), len(set(left)), len(set(right))
    delta = np.log2(3**k - 2) - (k * entropy(labels) - k1 * entropy(left) - k2 * entropy(right))
    if entropy(labels) - best[0] <= np.log2(len(pairs) - 1) / len(pairs) + delta / len(pairs):
        return []
    below = x < best[1]
    return sorted([*_mdlp(x[below], y[below]), best[1], *_mdlp(x[~below], y[~below])])


@evidence(
    "discretizer",
    claim="Information-gain cuts equal those of the criterion written out, for separable, noisy and pure-noise columns",
    against="brute force over all cuts with the formula of Fayyad & Irani 1993",
)
def discretizer_mdlp() -> Check:
    from fivefold.data.discretizer import Discretizer

    draw = np.random.default_rng(3)
    wrong, cuts = 0.0, 0
    for classes, noise in itertools.product((2, 3, 4), (0.0, 0.1, 0.25, 1.0)):
        for n in (14, 60, 150):
            x = draw.integers(0, 40, n) / 8
            y = np.floor(x / 5.01 * 2 * classes).astype(int) % classes
            y = np.where(draw.uniform(size=n) < noise, draw.integers(0, classes, n), y)
            expected = _mdlp(x, y)
            names = np.array(["d", "a", "c", "b"])[y]
            found = Discretizer(strategy="information-gain").fit(x[:, None], names).cuts_[0]
            cuts += len(expected)
            wrong += float(np.abs(found - expected).max(initial=0)) if len(found) == len(expected) else 1.0
    return Check(wrong + (not cuts >= 40), 1e-12, "difference of cuts", "brute force")


@evidence(
    "discretizer",
    claim="The threshold is where the formula puts it: 7 + 7 rows in order are cut at the middle, 2 + 2 rows are not",
    against="the criterion by hand: gain 1 bit against (log2(n - 1) + log2(7) - 2) / n",
)
def discretizer_threshold() -> Check:
    from fivefold.data.discretizer import Discretizer

    wrong = 0
    for half in range(1, 9):
        n = 2 * half
        y = np.repeat([0, 1], half)
        cut = Discretizer(strategy="information-gain").fit(np.arange(n, dtype=float)[:, None], y).cuts_[0]
        # Both parts are pure: delta = log2(3^2 - 2) - 2 * 1.
        accepted = (np.log2(n - 1) + np.log2(7) - 2) / n < 1 if n > 2 else (np.log2(7) - 2) / 2 < 1
        wrong += cut.tolist() != ([half - 0.5] if accepted else [])
    x = np.arange(8.0)[:, None]
    wrong += Discretizer(strategy="information-gain").fit(x, np.zeros(8)).n_bins_.tolist() != [1]
    return Check(wrong, 0, "wrong sizes", "criterion by hand")


@evidence(
    "discretizer",
    claim="k-means bins have the least possible sum of squares, also far from 0 and with repeated values",
    against="brute force over all partitions into intervals",
)
def discretizer_kmeans() -> Check:
    from fivefold.data.discretizer import Discretizer

    draw = np.random.default_rng(1)
    wrong = 0.0
    for shift, n_bins in itertools.product((0.0, 1e5), (2, 3, 4)):
        for _ in range(6):
            x = np.sort(draw.integers(0, 30, 12) ** 1.5) + shift
            distinct = np.unique(x)
            k = min(n_bins, len(distinct))

            def squares(parts: list[np.ndarray]) -> float:
                return sum(float(((p - p.mean()) ** 2).sum()) for p in parts)

            least = smallest(
                squares([x[np.searchsorted(chosen, x, side="right") == b] for b in range(k)])
                for chosen in itertools.combinations(distinct[1:], k - 1)
            )
            cuts = Discretizer(strategy="kmeans", n_bins=n_bins).fit(x[:, None]).cuts_[0]
            place = np.searchsorted(cuts, x, side="right")
            wrong = largest(wrong, abs(squares([x[place == b] for b in range(k)]) - least) / (1 + least))
            # A cut is the middle between two training values.
            for cut in cuts:
                wrong += not abs(cut - (x[x < cut].max() + x[x >= cut].min()) / 2) <= 1e-9 * abs(cut)
    return Check(wrong, 1e-9, "relative excess", "brute force")


@evidence(
    "discretizer",
    claim="k-means bins cost no more than Lloyd's algorithm finds from 20 starts, with no more bins, at 3,000 values",
    against="scikit-learn KMeans",
)
def discretizer_kmeans_large() -> Check:
    from sklearn.cluster import KMeans

    from fivefold.data.discretizer import Discretizer

    draw = np.random.default_rng(2)
    x = np.concatenate([draw.normal(m, s, 1000) for m, s in ((0, 1), (4, 0.3), (9, 2))])[:, None]
    worst = -np.inf
    for k in (2, 5, 8):
        model = Discretizer(strategy="kmeans", n_bins=k, encode="ordinal").fit(x)
        codes = model.transform(x)[:, 0]
        ours = sum(((x[codes == b] - x[codes == b].mean()) ** 2).sum() for b in range(k))
        theirs = KMeans(k, n_init=20, random_state=0).fit(x).inertia_
        worst = largest(worst, ours / theirs - 1, float(model.n_bins_[0] != k))
    return Check(worst, 1e-10, "relative excess", "scikit-learn KMeans")


@evidence(
    "discretizer",
    claim="Expert cuts: a value at a cut lies right of it, outer bins are open, and a fit is the same with age = 300 for 90",
    against="the definition, by hand",
)
def discretizer_expert() -> Check:
    from fivefold.data.discretizer import Discretizer

    age = np.array([[17.0], [18.0], [64.9], [65.0], [90.0]])
    outlier = np.where(age == 90, 300.0, age)
    model = Discretizer(strategy="expert", cuts=[[18, 65]], encode="onehot-dense").fit(age)
    expected = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])
    wrong = int((model.transform(age) != expected).sum()) + int((model.transform(outlier) != expected).sum())
    wrong += model.transform([[-1e9], [1e9]]).tolist() != [[1, 0, 0], [0, 0, 1]]
    wrong += model.bin_edges_[0].tolist() != [17, 18, 65, 90]
    wrong += model.inverse_transform(expected).ravel().tolist() != [17.5, 41.5, 41.5, 77.5, 77.5]
    wrong += list(model.get_feature_names_out(["age"])) != ["age_[-inf, 18)", "age_[18, 65)", "age_[65, inf)"]
    # Cuts outside the data widen the outer edges.
    wrong += Discretizer(strategy="expert", cuts=[[0, 99]]).fit(age).bin_edges_[0].tolist() != [0, 0, 99, 99]
    return Check(wrong, 0, "wrong cells", "definition")


@evidence(
    "discretizer",
    claim="A logistic regression on quantile bins is unchanged when one age becomes 300; on raw numbers it changes",
    against="itself with and without the outlier; the raw model as control",
)
def discretizer_outlier() -> Check:
    from sklearn.linear_model import LogisticRegression

    from fivefold.data.discretizer import Discretizer

    draw = np.random.default_rng(4)
    age = draw.uniform(18, 90, (300, 1))
    y = (draw.uniform(size=300) < 1 / (1 + np.exp(-(age[:, 0] - 50) / 8))).astype(int)
    other = age.copy()
    y[age.argmax()] = 0
    other[age.argmax()] = 300.0
    probabilities = []
    for x in (age, other):
        binned = Discretizer(n_bins=8).fit(x)
        probabilities.append(
            (
                LogisticRegression().fit(binned.transform(x), y).predict_proba(binned.transform(age))[:, 1],
                LogisticRegression().fit(x, y).predict_proba(age)[:, 1],
            )
        )
    (binned_a, raw_a), (binned_b, raw_b) = probabilities
    moved, control = float(np.abs(binned_a - binned_b).max()), float(np.abs(raw_a - raw_b).max())
    return Check(moved + (not control >= 1e-3), 1e-12, "largest change of a probability", "without the outlier")


@evidence(
    "feature-cross",
    claim="Products of up to 2, 3 and 4 distinct columns and their names agree, with and without the input",
    against="scikit-learn PolynomialFeatures(interaction_only=True)",
)
def cross_peer() -> Check:
    from sklearn.preprocessing import PolynomialFeatures

    from fivefold.data.cross import FeatureCross

    X = np.random.default_rng(0).normal(size=(40, 4))
    wrong = 0.0
    for degree in (2, 3, 4):
        peer = PolynomialFeatures(degree, interaction_only=True, include_bias=False).fit(X)
        ours = FeatureCross(degree=degree).fit(X)
        wrong += float(np.abs(ours.transform(X) - peer.transform(X)).max())
        wrong += list(ours.get_feature_names_out()) != list(peer.get_feature_names_out())
        bare = FeatureCross(degree=degree, include_input=False).fit(X)
        wrong += float(np.abs(bare.transform(X) - peer.transform(X)[:, 4:]).max())
    wrong += FeatureCross().fit(X).crosses_ != list(itertools.combinations(range(4), 2))
    named = FeatureCross(crosses=[(2, 0)]).fit_transform(X)
    wrong += float(np.abs(named - np.column_stack([X, X[:, 2] * X[:, 0]])).max())
    return Check(wrong, 1e-14, "difference", "scikit-learn PolynomialFeatures")


@evidence(
    "feature-cross",
    claim="On XOR quadrants a linear model stays below 0.6 accuracy and reaches 1 with x1*x2 or the crossed sign bins",
    against="the sign of the product, which is the label",
)
def cross_xor() -> Check:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from fivefold.data.cross import FeatureCross
    from fivefold.data.discretizer import Discretizer

    # Points and their mirror images: the raw problem has no linear signal at all.
    half = np.random.default_rng(0).uniform(0.1, 1, (100, 2))
    X = np.vstack([half * s for s in ((1, 1), (-1, 1), (1, -1), (-1, -1))])
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    raw = LogisticRegression().fit(X, y).score(X, y)
    product = make_pipeline(FeatureCross(), LogisticRegression(C=100)).fit(X, y).score(X, y)
    signs = Discretizer(strategy="expert", cuts=[[0], [0]], encode="ordinal")
    crossed = make_pipeline(signs, FeatureCross(kind="category"), LogisticRegression()).fit(X, y).score(X, y)
    binned = make_pipeline(signs, Discretizer(strategy="expert", cuts=[[1], [1]]), LogisticRegression())
    alone = binned.fit(X, y).score(X, y)
    return Check(
        (not raw < 0.6) + (not alone < 0.6) + (1 - product) + (1 - crossed), 0, "faults", "the label's definition"
    )


@evidence(
    "feature-cross",
    claim="Crossed categories are the products of the one-hot columns; combinations not seen in training give zeros",
    against="scikit-learn OneHotEncoder and all products of its columns",
)
def cross_categories() -> Check:
    from sklearn.preprocessing import OneHotEncoder

    from fivefold.data.cross import FeatureCross

    draw = np.random.default_rng(5)
    X = np.column_stack([draw.choice(list("abc"), 60), draw.choice(["u", "v"], 60), draw.choice(list("xyz"), 60)])
    X = X[~((X[:, 0] == "c") & (X[:, 1] == "v"))].astype(object)
    ours = FeatureCross(kind="category", degree=3).fit(X)
    names = list(ours.get_feature_names_out())
    found = ours.transform(X).toarray()
    hot = OneHotEncoder(sparse_output=False).fit(X)
    columns = dict(zip(hot.get_feature_names_out(), hot.transform(X).T))
    wrong = 0
    for name, column in zip(names, found.T):
        wrong += not np.array_equal(column, np.prod([columns[part] for part in name.split(" x ")], axis=0))
    singles = 3 + 2 + 3
    seen = [len(np.unique(X[:, list(c)].astype(str), axis=0)) for c in ((0, 1), (0, 2), (1, 2), (0, 1, 2))]
    wrong += found.shape[1] != singles + sum(seen) or len(set(names)) != len(names)
    wrong += "x0_c x x1_v" in names
    new = ours.transform(np.array([["c", "v", "x"], ["q", "u", "x"]], dtype=object)).toarray()
    lit = [{n for n, v in zip(names, row) if v} for row in new]
    wrong += lit[0] != {"x0_c", "x1_v", "x2_x", "x0_c x x2_x", "x1_v x x2_x"}
    wrong += lit[1] != {"x1_u", "x2_x", "x1_u x x2_x"}
    return Check(wrong, 0, "wrong columns", "products of one-hot columns")


@evidence(
    "feature-cross",
    claim="Hashed crosses: one 1 per cross and row, equal pairs share a bucket in any table, buckets are evenly used",
    against="the axioms of a hash; chi-squared of the bucket counts within six deviations",
)
def cross_hashing() -> Check:
    from fivefold.data.cross import FeatureCross

    grid = np.array(list(itertools.product(range(60), range(60))), dtype=float)
    cross = FeatureCross(kind="category", n_buckets=64, include_input=False).fit(grid[:50])
    out = cross.transform(grid)
    bucket = out.indices
    wrong = int(out.shape != (3600, 64)) + int((np.diff(out.indptr) != 1).any()) + int((out.data != 1).any())
    again = FeatureCross(kind="category", n_buckets=64, include_input=False).fit(grid[::-7].astype(int))
    wrong += not np.array_equal(again.transform(grid.astype(int)[::-1]).indices[::-1], bucket)
    # (a, b) and (b, a) are different crosses: they agree by chance only, in 1 of 64.
    turned = cross.transform(grid[:, ::-1]).indices
    apart = grid[:, 0] != grid[:, 1]
    wrong += int(not (turned == bucket)[apart].mean() <= 1 / 64 + 6 * np.sqrt(1 / 64 / apart.sum()))
    counts = np.bincount(bucket, minlength=64)
    chi2 = float(((counts - 3600 / 64) ** 2).sum() / (3600 / 64))
    wrong += not chi2 <= 63 + 6 * np.sqrt(2 * 63)
    wrong += len(cross.get_feature_names_out()) != 64
    return Check(wrong, 0, "violations", "axioms of a hash")


@evidence(
    "feature-cross",
    claim="The bucket of a pair is MurmurHash3 of both values mixed by the finalizer of splitmix64, value order counted",
    against="the published mixing steps in Python's whole numbers",
)
def cross_bucket() -> Check:
    from sklearn.utils import murmurhash3_32

    from fivefold.data.cross import FeatureCross

    X = np.array([["a", 1.5], ["b", 2.0], ["c", -3.0], ["a", 2.0]], dtype=object)
    wrong = 0
    for width in (7, 1000, 1 << 20):
        model = FeatureCross(kind="category", n_buckets=width).fit(X[:3])
        out = model.transform(X)
        wrong += out.shape[1] != 3 + 3 + width
        for i, (text, number) in enumerate(X.tolist()):
            mixed = 0
            for value in (text, repr(number)):
                mixed = (mixed * 0x9E3779B97F4A7C15 + murmurhash3_32(value, seed=0, positive=True)) % 2**64
                mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
                mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % 2**64
                mixed ^= mixed >> 31
            wrong += out[i].indices.max() != 6 + mixed % width
        names = model.get_feature_names_out(["k", "v"])
        wrong += names[6] != "k x v_bucket0" or names[-1] != f"k x v_bucket{width - 1}" or len(names) != 6 + width
    return Check(wrong, 0, "wrong buckets", "splitmix64")


@evidence(
    "feature-cross",
    claim="Crosses by number and by name are one; unknown, single and doubled columns are refused",
    against="the contract",
)
def cross_places() -> Check:
    import polars as pl

    from fivefold.base.errors import InputError
    from fivefold.data.cross import FeatureCross

    X = np.random.default_rng(0).normal(size=(6, 3))
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    wrong = 0.0
    for crosses in ([("a", "c"), (2, "b")], [(0, 2), (2, 1)], [(np.int64(0), "c"), ("c", "b")]):
        found = FeatureCross(crosses=crosses).fit(frame)
        wrong += float(found.crosses_ != [(0, 2), (2, 1)])
        wrong += float(np.abs(found.transform(frame)[:, 3:] - X[:, [0, 2]] * X[:, [2, 1]]).max())
    every = FeatureCross(degree=9, include_input=False).fit_transform(X)
    wanted = np.column_stack([X[:, 0] * X[:, 1], X[:, 0] * X[:, 2], X[:, 1] * X[:, 2], X.prod(axis=1)])
    wrong += float(np.abs(every - wanted).max()) + float(FeatureCross().fit_transform(X).shape[1] != 6)
    for cross in (("a", "z"), ("a", -1), (0, 3), ("a",), ("a", 0), (1, 1)):
        try:
            FeatureCross(crosses=[cross]).fit(frame)
            wrong += 1
        except InputError as error:
            wrong += float("cross" not in str(error).lower())
    return Check(wrong, 1e-15, "sum of differences", "the contract")


@evidence(
    "discretizer",
    claim="Between neighbors in floating point the cut is the upper one, so that both strategies part them",
    against="the rounding of a middle",
)
def discretizer_neighbors() -> Check:
    from fivefold.data.discretizer import Discretizer

    wrong, low = 0, 0.5
    for _ in range(2):  # the rounded middle is even: once the lower and once the upper one
        high = float(np.nextafter(low, 1.0))
        X = np.repeat([low, high], 20)[:, None]
        for strategy in ("kmeans", "information-gain"):
            model = Discretizer(strategy=strategy, n_bins=2, encode="ordinal").fit(X, np.repeat([0, 1], 20))
            wrong += model.transform(X)[:, 0].tolist() != [0.0] * 20 + [1.0] * 20
        low = high
    return Check(float(wrong), 0.0, "differences", "floating point")
