"""Columns of any type as categories, rare categories, nearly constant columns, and rows drawn by class."""

from __future__ import annotations

import contextlib
import datetime
import math
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest, smallest


def _lost(value: Any) -> bool:
    return value is None or value != value


def _plain(values: Any) -> list[Any]:
    return [None if _lost(v) else v for v in values]


@evidence(
    "one-hot-encoder",
    claim="Categories, counts and codes of numbers, flags, times, strings and mixtures; missing last, all missing, unknown",
    against="a dictionary in plain Python",
)
def columns_counted() -> Check:
    from fivefold.data.encoders_columns import find_categories, find_codes, given_categories

    day = [datetime.datetime(2024, 1, d) for d in (3, 1, 2, 3)]
    mixed = np.empty(5, dtype=object)
    mixed[:] = [2, 1.5, None, 2, float("nan")]
    pairs = [
        (np.array([3, 1, 1, 7]), np.array([1, 2, 7, 0, 9])),
        (np.array([True, False, True]), np.array([False, True])),
        (np.array([True, True]), np.array([False, True])),
        (np.array([2.5, np.nan, -1.0, 2.5]), np.array([np.nan, 2.5, 0.0, 3.0])),
        (np.array([2.5, -1.0]), np.array([np.nan, -1.0])),
        (np.array([np.nan, np.nan]), np.array([1.0, np.nan])),
        (
            np.array([*day, "NaT"], dtype="datetime64[us]"),
            np.array([day[1], "NaT", "2025-05-05"], dtype="datetime64[us]"),
        ),
        (pl.Series(["b", None, "a", "b", ""]), pl.Series(["a", None, "c", "", "b"])),
        (pl.Series(["b", "a"]), pl.Series(["a", None])),
        (pl.Series([None, None], dtype=pl.String), pl.Series([None, "a"])),
        (mixed, mixed[::-1]),
        (mixed[:2], np.array([1.5, np.nan, 4.0])),
    ]
    wrong = 0
    for seen, new in pairs:
        counted = Counter(_plain(seen.tolist() if isinstance(seen, np.ndarray) else seen.to_list()))
        order = sorted(v for v in counted if v is not None) + [None] * (None in counted)
        categories, counts = find_categories(seen)
        wrong += _plain(categories.tolist()) != order or counts.tolist() != [counted[v] for v in order]
        asked = _plain(new.tolist() if isinstance(new, np.ndarray) else new.to_list())
        wanted = [order.index(v) if v in order else -1 for v in asked]
        wrong += find_codes(new, categories).tolist() != wanted
        # Categories given by hand keep their order, but for what is missing.
        turned = order[::-1]
        given = given_categories(turned)
        known = [v for v in turned if v is not None] + [None] * (None in turned)
        wrong += _plain(given.tolist()) != known
        if not isinstance(seen, np.ndarray) or seen.dtype.kind in "iufO":
            wrong += find_codes(new, given).tolist() != [known.index(v) if v in known else -1 for v in asked]
    return Check(float(wrong), 0.0, "differences", "plain Python")


@evidence(
    "one-hot-encoder",
    claim="Categories below the least frequency are pooled, then the rarest beyond the most columns, first ones of equals",
    against="sorting in plain Python",
)
def rare_counted() -> Check:
    from fivefold.data.encoders_columns import choose_rare

    rng, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        counts = rng.integers(1, 6, int(rng.integers(1, 8)))
        n = int(counts.sum())
        for least in (None, 3, 3 / n, 0.25):
            floor = 0 if least is None else least if isinstance(least, int) else least * n
            for most in (None, 1, 2, 4, len(counts), len(counts) + 1):
                for always in (False, True):
                    rare = [bool(c < floor) for c in counts]
                    columns = rare.count(False) + (always or any(rare))
                    if most is not None and columns > most:
                        ranked = sorted(range(len(counts)), key=lambda i: (counts[i], i))
                        rare = [i in ranked[: len(counts) - most + 1] for i in range(len(counts))]
                    more = {"always": True} if always else {}
                    wrong += choose_rare(counts, n, least, most, **more).tolist() != rare
    return Check(float(wrong), 0.0, "differences", "plain Python")


@evidence(
    "standard-scaler",
    claim="What varies within the rounding of its mean is left alone; what varies more is scaled, in one part or in many",
    against="the rounding of a sum",
)
def nearly_constant() -> Check:
    from fivefold.data.encoders_scale import StandardScaler

    wrong, n = 0, 1000
    turn = np.where(np.arange(n) % 2, 1.0, -1.0)
    unit = n * np.finfo(float).eps  # the relative rounding of a sum of n numbers
    for mean in (1.0, 1e6, -1e6, 1e-6):
        for size, kept in ((0.0, False), (0.5, False), (2.5, True), (1e6, True)):
            X = (mean + size * unit * abs(mean) * turn)[:, None]
            spread = X.std()
            for parts in (1, 4):
                scaler = StandardScaler()
                for part in np.split(X, parts):
                    scaler.partial_fit(part)
                wrong += not math.isclose(scaler.scale_[0], spread if kept else 1.0, rel_tol=0.05)
    tiny = StandardScaler().fit(1e-12 * turn[:, None])
    wrong += not math.isclose(tiny.scale_[0], 1e-12, rel_tol=1e-9)
    lone = StandardScaler().fit([[5.0, 1.0], [np.nan, 2.0]])
    wrong += lone.scale_[0] != 1.0 or lone.n_samples_seen_.tolist() != [1, 2] or lone.n_samples_seen_.dtype.kind != "i"
    half = StandardScaler().fit([[1.0], [3.0]], sample_weight=[0.5, 1.0])
    wrong += half.n_samples_seen_ != 1.5 or not math.isclose(half.var_[0], 8 / 9)
    return Check(float(wrong), 0.0, "differences", "theory")


@evidence(
    "prior-correction",
    claim="Rows drawn by class: all and further ones, or the smallest class and as many of the others; weights add up alike",
    against="counting",
)
def resample_counted() -> Check:
    from fivefold.data.resample import class_shares, resample

    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 30, 7]))
    over, under = (resample(y, strategy=s, random_state=1) for s in ("oversample", "undersample"))
    wrong = float(np.bincount(y[over]).tolist() != [100] * 3) + float(np.bincount(y[under]).tolist() != [7] * 3)
    wrong += float(set(over.tolist()) != set(range(len(y))) or (~(np.diff(over) >= 0)).any())
    wrong += float(len(set(under.tolist())) != 21 or (~(np.diff(under) > 0)).any())
    wrong += float(np.bincount(over)[y == 0].max() != 1)
    # 93 draws among 7 rows: mean 13.3 and deviation 3.4, of which six are allowed.
    wrong += float(not np.abs(np.bincount(over)[y == 2] - 100 / 7).max() <= 20.4)
    weight = np.where(y == 0, 0.5, 2.0)
    weight[np.flatnonzero(y == 1)[:10]] = 0.0
    for strategy, goal in (("oversample", 50.0), ("undersample", 14.0)):
        rows = resample(y, strategy=strategy, random_state=0, sample_weight=weight)
        totals = np.bincount(y[rows], weights=weight[rows])
        wrong += float((weight[rows] == 0).any()) + float(
            not np.abs(totals - goal).max() <= 1.0
        )  # half a row of weight 2
        same = resample(y, strategy=strategy, random_state=0, sample_weight=np.full(len(y), 0.1))
        wrong += float(not np.array_equal(same, resample(y, strategy=strategy, random_state=0)))
    heavy = resample([0, 0, 0, 1], strategy="undersample", random_state=0, sample_weight=[9.0, 9.0, 9.0, 1.0])
    wrong += float(np.bincount(np.array([0, 0, 0, 1])[heavy]).tolist() != [1, 1])  # one row at least
    wrong += float(not np.abs(class_shares(y, 4, weight) - np.array([50, 40, 14, 0]) / 104).max() <= 1e-15)
    return Check(wrong, 0.0, "differences", "counting")


@evidence(
    "prior-correction",
    claim="It has probabilities when its classifier has, fitted or not; the pipeline corrects for all its resamplers",
    against="the parts in a row by hand",
)
def correction_parts() -> Check:
    from sklearn.linear_model import LogisticRegression, Perceptron

    from fivefold.data.encoders import StandardScaler
    from fivefold.data.prior_correction import PriorCorrection, ResamplingPipeline
    from fivefold.data.resampling import RandomOverSampler, RandomUnderSampler

    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2)) * [1.0, 9.0]
    y = np.array(["no", "yes"])[(X[:, 0] + rng.normal(size=120) > 1.2).astype(int)]
    wrong = float(not hasattr(PriorCorrection(LogisticRegression()), "predict_proba"))
    wrong += float(hasattr(PriorCorrection(Perceptron()), "predict_proba"))
    wrong += float(not hasattr(PriorCorrection(LogisticRegression()).fit(X, y), "predict_proba"))
    known = PriorCorrection(LogisticRegression(), true_shares=[9, 1]).fit(X, y)
    wrong += float(not np.abs(known.true_shares_ - [0.9, 0.1]).max() <= 1e-15)  # counts are taken as shares
    steps = [
        ("scale", StandardScaler()),
        ("less", RandomUnderSampler(sampling_strategy=0.8, random_state=1)),
        ("more", RandomOverSampler(random_state=2)),
        ("model", LogisticRegression()),
    ]
    found = ResamplingPipeline(steps).fit(X, y)
    Z = StandardScaler().fit(X).transform(X)
    rows, labels = RandomUnderSampler(sampling_strategy=0.8, random_state=1).fit_resample(Z, y)
    rows, labels = RandomOverSampler(random_state=2).fit_resample(rows, labels)
    given = LogisticRegression().fit(rows, labels).predict_proba(Z)
    before, after = (np.array([np.mean(t == c) for c in ("no", "yes")]) for t in (y, labels))
    moved = given * before / after
    moved /= moved.sum(axis=1, keepdims=True)
    wrong += float(not np.abs(found.predict_proba(X) - moved).max() <= 1e-9)
    wrong += float(np.mean(found.predict(X) != np.array(["no", "yes"])[moved.argmax(axis=1)]))
    wrong += float("model__C" not in found.get_params() or "model__C" in found.get_params(deep=False))
    found.set_params(model__C=3.0, less__sampling_strategy=0.5)
    wrong += float(found.get_params()["model__C"] != 3.0 or found.get_params()["less__sampling_strategy"] != 0.5)
    return Check(wrong, 0.0, "differences", "by hand")


@evidence(
    "word2vec-features",
    claim="The nearest words by cosine, the word itself left out, as many as there are; lines without known words are 0",
    against="all cosines",
)
def nearest_words() -> Check:
    from fivefold.data.word_vectors import Word2VecFeatures

    texts = ["a b c d a b", "c d e f", "a f e d c b"] * 4
    model = Word2VecFeatures(vector_size=5, min_count=1, epochs=2, random_state=0).fit(texts)
    vectors = {word: model.vectors_[i] for i, word in enumerate(model.words_)}
    wrong = 0.0
    for word, own in vectors.items():
        cosine = {w: v @ own / np.linalg.norm(v) / np.linalg.norm(own) for w, v in vectors.items() if w != word}
        order = sorted(cosine, key=lambda w: -cosine[w])
        for k in (1, 3, 50):
            found = model.most_similar(word, k)
            wrong += float([w for w, _ in found] != order[:k])
            wrong += float(not largest(abs(score - cosine[w]) for w, score in found) <= 1e-12)
    wrong += float(len(model.most_similar("a")) != smallest(5, len(vectors) - 1))
    mean = model.transform(["a c", "zebra", "b b zebra a"])
    a, b, c = (vectors[w] for w in "abc")
    wrong += float(not np.abs(mean - [(a + c) / 2, 0 * a, (2 * b + a) / 3]).max() <= 1e-12)
    return Check(wrong, 0.0, "differences", "brute force")


@evidence(
    "random-oversampling", claim="A ratio lies in (0, 1] and is a number; truth values are none", against="the contract"
)
def ratios_accepted() -> Check:
    from fivefold.base.errors import InputError
    from fivefold.data.resampling import RandomOverSampler, RandomUnderSampler

    X, y, wrong = np.zeros((12, 1)), np.repeat([0, 1], [9, 3]), 0
    for ratio, counts in ((1.0, [9, 9]), (1, [9, 9]), (2 / 3, [9, 6])):
        wrong += np.bincount(RandomOverSampler(sampling_strategy=ratio).fit_resample(X, y)[1]).tolist() != counts
    # Two classes as large as each other keep their rows at the ratio 1.
    for sampler in (RandomOverSampler, RandomUnderSampler):
        same = sampler(sampling_strategy=1.0).fit_resample(X[:6], np.repeat(["a", "b"], 3))[1]
        wrong += sorted(same.tolist()) != ["a"] * 3 + ["b"] * 3
    for ratio in (True, 0, 1.5, -0.5, "half", None):
        try:
            RandomOverSampler(sampling_strategy=ratio).fit_resample(X, y)
            wrong += 1
        except InputError as error:
            wrong += "a ratio in (0, 1]" not in str(error)
    return Check(float(wrong), 0.0, "violations", "the contract")


@evidence(
    "data-ingestion",
    claim="Columns of a query keep their kinds; words among numbers make strings, large whole numbers make floats",
    against="the values put in",
)
def kinds_of_queries() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.data.readers import read_table

    columns: dict[str, list[Any]] = {
        "whole": [1, None, -3],
        "mixed": [1, "two", None],
        "broken": [1.5, "x", 2],
        "number": [1, 2.5, None],
        "most": [2**63 - 1, 0, None],
        "word": ["a", None, "b"],
        "bytes": [b"a", b"b", None],
        "void": [None, None, None],
    }
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.db"
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.execute(f"CREATE TABLE t ({', '.join(columns)})")
            places = ", ".join("?" * len(columns))
            base.executemany(f"INSERT INTO t VALUES ({places})", list(zip(*columns.values(), strict=True)))
            base.commit()
        frame = read_table(sql=(f"sqlite:///{path}", "SELECT * FROM t"))
        known = columns | {"mixed": ["1", "two", None], "broken": ["1.5", "x", "2"], "number": [1.0, 2.5, None]}
        wrong += sum(frame[name].to_list() != values for name, values in known.items())
        wrong += [str(frame[name].dtype) for name in ("whole", "number", "most")] != ["Int64", "Float64", "Int64"]
        for query, part in (
            ("SELECT * FROM t WHERE 0", "returned 8 columns but no rows"),
            ("SELECT nowhere FROM t", "failed"),
        ):
            try:
                read_table(sql=(f"sqlite:///{path}", query))
                wrong += 1
            except DataError as error:
                wrong += part not in str(error)
    return Check(float(wrong), 0.0, "differences", "the values put in")


@evidence(
    "one-hot-encoder",
    claim="Numbers of the fit are found in a column of objects, among missing values and words",
    against="by hand",
)
def numbers_among_objects() -> Check:
    from fivefold.data.encoders_columns import find_codes

    known, wrong = np.array([3.0, 1.0, 7.0]), 0
    for column, codes in (
        (np.array([1.0, None, "x", 7, 3.0, 2], dtype=object), [1, -1, -1, 2, 0, -1]),
        (np.array([1, 7, 3, 2, 9, 0]), [1, 2, 0, -1, -1, -1]),
        (np.array([1.0, np.nan, 8.0]), [1, -1, -1]),
    ):
        wrong += find_codes(column, known).tolist() != codes
    return Check(float(wrong), 0.0, "codes that differ", "by hand")
