"""Evidence for SMOTE, of numbers and of mixed types."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "smote",
    claim="Each new point is on the segment from a row to one of its k nearest rows of the class, for 2 and 30 columns",
    against="brute force over all pairs of the class, duplicates included",
)
def smote_segments() -> Check:
    from fivefold.data.smote import SMOTE

    draw = np.random.default_rng(0)
    worst = 0.0
    for d, k in ((2, 5), (2, 1), (30, 5), (30, 3)):
        X = draw.normal(size=(150, d))
        y = np.repeat([0, 1, 2], [90, 40, 20])
        X[95:99] = X[90]  # equal rows are neighbors of each other, never of themselves
        model = SMOTE(k_neighbors=k, random_state=3) if k != 5 else SMOTE(random_state=3)
        Z, labels = model.fit_resample(X, y)
        worst += not np.array_equal(Z[:150], X) or np.bincount(labels).tolist() != [90, 90, 90]
        worst += not np.array_equal(labels[:150], y)
        for point, label in zip(Z[150:], labels[150:]):
            rows = X[y == label]
            distance = np.linalg.norm(rows[:, None] - rows, axis=2)
            np.fill_diagonal(distance, np.inf)
            # Ties at the k-th place may go either way.
            edge = np.sort(distance, axis=1)[:, k - 1 : k]
            a, b = np.nonzero(distance <= edge * (1 + 1e-9) + 1e-12)
            step = rows[b] - rows[a]
            length = np.einsum("ij,ij->i", step, step)
            u = np.clip(np.einsum("ij,ij->i", point - rows[a], step) / np.where(length > 0, length, 1), 0, 1)
            worst = largest(worst, float(np.linalg.norm(rows[a] + u[:, None] * step - point, axis=1).min()))
    return Check(worst, 1e-10, "distance from the nearest allowed segment", "brute force")


@evidence(
    "smote",
    claim="Base rows serve equally often up to one, each of 5 neighbors equally often, and u is uniform on [0, 1)",
    against="counts, a chi-squared and a Kolmogorov-Smirnov statistic with chance below 1e-8",
)
def smote_draws() -> Check:
    from scipy.stats import chisquare, kstest

    from fivefold.data.smote import SMOTE, nearest_rows

    draw = np.random.default_rng(1)
    X = draw.normal(size=(3050, 3))
    y = np.repeat([0, 1], [3000, 50])
    model = SMOTE(random_state=0)
    Z, _ = model.fit_resample(X, y)
    uses = np.bincount(model.base_ - 3000, minlength=50)
    wrong = int(not uses.max() - uses.min() <= 1) + int(uses.sum() != 2950)
    rebuilt = X[model.base_] + model.gap_[:, None] * (X[model.neighbor_] - X[model.base_])
    wrong += int(not np.abs(rebuilt - Z[3050:]).max() <= 1e-12)
    near = nearest_rows(X[3000:], 5)
    place = (near[model.base_ - 3000] + 3000 == model.neighbor_[:, None]).argmax(axis=1)
    wrong += int(not chisquare(np.bincount(place, minlength=5)).pvalue >= 1e-8)
    wrong += int(not kstest(model.gap_, "uniform").pvalue >= 1e-8)
    # The rest of a division is shared out: 55 rows to make of 50.
    few = SMOTE(sampling_strategy={1: 105}, random_state=0)
    few.fit_resample(X, y)
    wrong += sorted(np.bincount(few.base_ - 3000, minlength=50).tolist()) != [1] * 45 + [2] * 5
    return Check(wrong, 0, "violations", "chance")


@evidence(
    "smote",
    claim="Mixed types: neighbors count Med squared per differing value, new values are the neighbors' majority",
    against="brute force over the class with the distance of the paper's section 6.1",
)
def smote_nominal() -> Check:
    from fivefold.data.smote import SMOTE

    draw = np.random.default_rng(2)
    n, k = 30, 5
    numbers = np.vstack([draw.normal(size=(60, 2)) * [1, 3], draw.normal(size=(n, 2)) * [1, 3] + 1])
    colors = draw.choice(["red", "green", "blue"], 90)
    hot = np.eye(2)[draw.integers(0, 2, 90)]
    X = np.column_stack([numbers[:, 0], colors, numbers[:, 1], hot]).astype(object)
    X[:, [0, 2, 3, 4]] = np.column_stack([numbers, hot])
    y = np.repeat([0, 1], [60, n])
    model = SMOTE(categorical_features=[1, (3, 4)], random_state=0)
    Z, _ = model.fit_resample(X, y)
    rows = np.arange(60, 90)
    median = np.median([numbers[rows, 0].std(), numbers[rows, 1].std()])
    wrong = 0.0
    for new, base, neighbor, u in zip(Z[90:], model.base_, model.neighbor_, model.gap_):
        squared = ((numbers[rows] - numbers[base]) ** 2).sum(axis=1)
        squared += median**2 * (colors[rows] != colors[base]) + median**2 * (hot[rows] != hot[base]).any(axis=1)
        squared[base - 60] = np.inf
        near = rows[np.argsort(squared)[:k]]
        wrong += neighbor not in near
        wrong += (
            not float(np.abs(new[[0, 2]].astype(float) - numbers[base] - u * (numbers[neighbor] - numbers[base])).max())
            <= 1e-12
        )
        votes = [colors[near].tolist().count(c) for c in colors[near]]
        wrong += new[1] != colors[near][int(np.argmax(votes))]
        pairs = [tuple(row) for row in hot[near]]
        wrong += tuple(new[3:]) != max(set(pairs), key=pairs.count)
    return Check(wrong, 0, "wrong cells", "brute force")


@evidence(
    "smote",
    claim="One row per class cannot be interpolated, k rows are too few for k neighbors, k + 1 are enough",
    against="the definition",
)
def smote_few() -> Check:
    from fivefold.data.smote import SMOTE

    X = np.arange(26.0)[:, None]
    wrong = 0
    for small, enough in ((1, False), (5, False), (6, True)):
        y = np.repeat([0, 1], [20, small])
        try:
            _, labels = SMOTE(random_state=0).fit_resample(X[: 20 + small], y)
        except ValueError as error:
            wrong += enough or f"has {small} row(s), too few for k_neighbors=5" not in str(error)
        else:
            wrong += not enough or np.bincount(labels).tolist() != [20, 20]
    return Check(wrong, 0, "wrong outcomes", "definition")


@evidence(
    "smote",
    claim="Frames keep columns and types and get the same rows as arrays; with more rows asked of two classes both grow",
    against="the result for the array, cell by cell",
)
def smote_frames() -> Check:
    import polars as pl

    from fivefold.data.smote import SMOTE

    draw = np.random.default_rng(3)
    a, b, town = draw.normal(size=50), draw.integers(0, 9, 50), draw.choice(["Ulm", "Bonn", "Kiel"], 50)
    y = np.repeat([0, 1], [38, 12])
    X = np.column_stack([a.astype(object), town, b.astype(object)])
    X[:, 0], X[:, 2] = a, b
    options = {
        "categorical_features": ["town"],
        "sampling_strategy": {0: 45, 1: 40},
        "random_state": 0,
        "k_neighbors": 3,
    }
    model = SMOTE(**options)
    found, labels = model.fit_resample(pl.DataFrame({"a": a, "town": town, "b": b}), y)
    plain, same = SMOTE(**{**options, "categorical_features": [1]}).fit_resample(X, y)
    wrong = int(not isinstance(found, pl.DataFrame)) + int(found.columns != ["a", "town", "b"])
    wrong += int(not np.array_equal(labels, same)) + int(np.bincount(labels).tolist() != [45, 40])
    wrong += int(not np.array_equal(found["town"].to_numpy(), plain[:, 1]))
    for name, j in (("a", 0), ("b", 2)):
        wrong += int(not np.abs(found[name].to_numpy() - plain[:, j].astype(float)).max() <= 1e-12)
    wrong += int((~(model.base_[:7] < 38)).any()) + int((~(model.base_[7:] >= 38)).any()) + int(len(model.base_) != 35)
    wrong += int(labels[50:].tolist() != [0] * 7 + [1] * 28)
    return Check(wrong, 0, "differences", "the array")


@evidence(
    "smote",
    claim="After a recipe the synthetic rows are rows of a table: one 1 per one-hot block, flags and booleans 0 or 1",
    against="the definition of the recipe's blocks, with all features and with selected ones",
)
def smote_recipe() -> Check:
    import polars as pl

    from fivefold.data.infer import infer_schema
    from fivefold.data.recipes import Recipe
    from fivefold.data.smote import SMOTE

    draw = np.random.default_rng(4)
    y = np.repeat([0, 1], [90, 30])
    age = draw.normal(40, 9, 120)
    age[::7] = np.nan
    frame = pl.DataFrame(
        {
            "town": draw.choice(["Ulm", "Bonn", "Kiel"], 120),
            "age": age,
            "income": draw.normal(size=120) + y,
            "old": draw.random(120) < 0.4,
            "y": np.where(y == 1, "yes", "no"),
        }
    )
    schema, frame = infer_schema(frame, target="y")
    wrong = 0
    for select in (None, 6):
        recipe = Recipe("scaled-one-hot", schema, select=select)
        X = recipe.fit_transform(frame, y, classes=2)
        names = recipe.feature_names_out_
        blocks = recipe.nominal_blocks()
        expected = [{n for n in names if n.startswith("town=")}, {"age_missing"}, {"old"}]
        expected = [block & set(names) for block in expected if block & set(names)]
        wrong += [{names[j] for j in block} for block in blocks] != expected
        Z, _ = SMOTE(categorical_features=blocks, random_state=0).fit_resample(X, y)
        for block in blocks:
            known = {tuple(row) for row in X[:, block].tolist()}
            wrong += sum(tuple(row) not in known for row in Z[:, block].tolist())
        wrong += len(Z) != 180
    return Check(wrong, 0, "impossible rows", "definition")


@evidence(
    "smote",
    claim="pandas frames keep columns, types and a running index, and get the rows that polars frames get",
    against="the result for polars",
    peer="pandas",
)
def smote_pandas() -> Check:
    import pandas as pd
    import polars as pl

    from fivefold.data.smote import SMOTE

    draw = np.random.default_rng(3)
    columns = {
        "a": draw.normal(size=50),
        "town": draw.choice(["Ulm", "Bonn", "Kiel"], 50),
        "b": draw.integers(0, 9, 50),
    }
    y = np.repeat([0, 1], [38, 12])
    options = {"categorical_features": ["town"], "random_state": 0, "k_neighbors": 3}
    index = draw.permutation(50) + 7
    found, labels = SMOTE(**options).fit_resample(pd.DataFrame(columns, index=index), y)
    other, same = SMOTE(**options).fit_resample(pl.DataFrame(columns), y)
    wrong = int(not isinstance(found, pd.DataFrame)) + int(list(found.columns) != ["a", "town", "b"])
    wrong += int(list(found.index) != list(range(76))) + int(not np.array_equal(labels, same))
    for name in columns:
        wrong += int(found[name].tolist() != other[name].to_list())
    wrong += int(found["town"].dtype != pd.DataFrame(columns)["town"].dtype)
    few, _ = SMOTE(random_state=0, k_neighbors=3).fit_resample(pd.DataFrame({k: columns[k] for k in "ab"}), y)
    plain, _ = SMOTE(random_state=0, k_neighbors=3).fit_resample(np.column_stack([columns["a"], columns["b"]]), y)
    wrong += int(not np.array_equal(few.to_numpy(), plain))
    return Check(wrong, 0, "differences", "polars")


@evidence(
    "smote",
    claim="Nominal columns go by name or number; unknown and doubled ones and tables of nominal columns alone are refused",
    against="the contract",
)
def smote_columns() -> Check:
    import polars as pl

    from fivefold.base.errors import InputError
    from fivefold.data.smote import SMOTE

    draw = np.random.default_rng(3)
    frame = pl.DataFrame({"a": draw.normal(size=30), "b": draw.integers(0, 2, 30), "c": draw.integers(0, 2, 30)})
    y = np.repeat([0, 1], [20, 10])

    def grown(X: object, *features: object) -> np.ndarray:
        found, _ = SMOTE(categorical_features=features, random_state=0).fit_resample(X, y)
        return np.asarray(found, dtype=float)

    wanted = grown(frame, "b", "c")
    wrong = sum(not np.array_equal(grown(frame, *given), wanted) for given in ((1, 2), ("b", 2), (np.int64(1), "c")))
    wrong += not np.array_equal(grown(frame.to_numpy(), 1, 2), wanted)
    cases = [
        (frame, ("z",), "'z', which is no column"),
        (frame, (3,), "3, which is no column"),
        (frame, (-1,), "-1, which is no column"),
        (frame, (True,), "True, which is no column"),
        (frame.to_numpy(), ("b",), "'b', which is no column"),
        (frame, ("b", 1), "names a column twice"),
        (frame, ("b", (1, "c")), "names a column twice"),
        (frame, ("a", "b", "c"), "at least one numeric feature"),
    ]
    for table, features, words in cases:
        try:
            grown(table, *features)
            wrong += 1
        except InputError as error:
            wrong += words not in str(error)
    return Check(wrong, 0, "violations", "the contract")
