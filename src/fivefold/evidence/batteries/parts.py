"""Metrics, splitters, demonstrations, readers and resamplers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.cards import Card
from fivefold.workbench.proof import Check


def _predictions(card: Card, metric: Any) -> tuple[Any, Any, np.ndarray | None]:
    """Return truth, prediction and whole-numbered weights; a metric of texts, boxes or samples brings its own example."""
    generator = np.random.default_rng(0)
    if hasattr(metric, "example"):
        return (*metric.example(generator), None)
    score = generator.uniform(0.05, 0.95, size=200).round(2)  # rounded: ties must be right too
    weight = generator.integers(1, 4, size=200).astype(float)
    needs = getattr(metric, "needs", "scores")
    if needs == "values":
        return generator.normal(size=200), score, weight
    truth = (generator.uniform(size=200) < score).astype(int)
    predicted = (score > 0.5).astype(int) if needs == "labels" else score
    return truth, predicted, weight


def merges(card: Card, variant: str) -> Check:
    """Shards updated apart and merged equal the whole, the function and the metric after reset."""
    cls = card.load(variant)
    whole, left, right = cls(), cls(), cls()
    y, p, w = _predictions(card, whole)
    cut = (73 * len(y)) // 200
    first, second = ((), ()) if w is None else ((w[:cut],), (w[cut:],))
    everything = () if w is None else (w,)
    whole.update(y, p, *everything)
    left.update(y[:cut], p[:cut], *first)
    right.update(y[cut:], p[cut:], *second)
    left.merge(right)
    values = [whole.compute(), left.compute(), whole.function(y, p, *everything)]
    whole.reset()
    whole.update(y, p, *everything)
    values.append(whole.compute())
    scale = max(1.0, float(np.abs(values).max()))
    return Check(float(np.ptp(values)) / scale, 1e-12, "relative spread of the four", "the whole")


def weights(card: Card, variant: str) -> Check:
    """An integer weight equals that many copies of the row; a metric without weights refuses them."""
    metric = card.load(variant)()
    y, p, w = _predictions(card, metric)
    if w is None:
        try:
            metric.update(y, p, np.ones(len(y)))
        except ValueError as error:
            return Check(int("sample_weight" not in str(error)), 0, "unclear sentences", "house rule")
        return Check(1, 0, "weights accepted in silence", "house rule")
    n = w.astype(int)
    copies = metric.function(np.repeat(y, n), np.repeat(p, n))
    return Check(abs(float(metric.function(y, p, w)) - float(copies)), 1e-12, "difference", "repeated rows")


def empty(card: Card, variant: str) -> Check:
    """A metric without rows refuses in a sentence instead of giving a number."""
    try:
        card.load(variant)().compute()
    except ValueError as error:
        return Check(0 if str(error)[:1].isupper() or " " in str(error) else 1, 0, "unclear sentences", "house rule")
    return Check(1, 0, "computed from nothing", "house rule")


METRIC = {"merges": merges, "weights": weights, "empty": empty}


def partition(card: Card, variant: str) -> Check:
    """Every row is tested exactly once, no row is in both parts, and a second call gives the same folds."""
    splitter = card.load(variant)(n_splits=5)
    x, y = np.arange(53), np.arange(53) % 2
    first, second = list(splitter.split(x, y)), list(splitter.split(x, y))
    tested = np.concatenate([test for _, test in first])
    wrong = int(np.any(np.bincount(tested, minlength=53) != 1)) + int(len(first) != splitter.get_n_splits(x, y))
    wrong += sum(np.intersect1d(train, test).size + int(train.size + test.size != 53) for train, test in first)
    wrong += sum(not np.array_equal(a, b) for pair, other in zip(first, second) for a, b in zip(pair, other))
    return Check(wrong, 0, "violations", "the definition of a partition")


SPLITTER = {"partition": partition}


def reproducible(card: Card, variant: str) -> Check:
    """Alone and within a run, one seed gives the same finite numbers, figures that are not empty, and a report."""
    import fivefold

    with tempfile.TemporaryDirectory() as folder:
        alone = card.load(variant)().run(seed=0, out=Path(folder) / "alone", quick=True)
        numbers = {name: float(value) for name, value in alone.numbers.items()}
        record = fivefold.run(card.id, quick=True, out=Path(folder) / "run")
        wrong = int(record.status != "finished") + int(not numbers)
        wrong += sum(record.metrics.get(name) != value for name, value in numbers.items())
        wrong += sum(not np.isfinite(value) for value in numbers.values())
        wrong += sum(not Path(f).stat().st_size >= 5000 for f in alone.figures) + int(not alone.figures)
        wrong += int(not (Path(folder) / "run" / "report.html").stat().st_size > 0)
    return Check(wrong, 0, "violations", "itself, run again")


DEMO = {"reproducible": reproducible}


def reads(card: Card, variant: str) -> Check:
    """A missing file and an empty file are refused in a sentence that names the file."""
    reader = card.load(variant)()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        empty_file = Path(folder) / "empty.csv"
        empty_file.touch()
        for path in (Path(folder) / "absent.csv", empty_file):
            try:
                reader.read(path)
            except (ValueError, OSError) as error:
                wrong += int(path.name not in str(error))
            else:
                wrong += 1
    return Check(wrong, 0, "unclear or absent sentences", "house rule")


READER = {"reads": reads}


def _unbalanced() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(90, 3)), np.array(["ant", "bee", "cow"])[np.repeat([0, 1, 2], [50, 25, 15])]


def balances(card: Card, variant: str) -> Check:
    """Classes are equal afterwards, a seed gives the same rows twice, and the class shares are told."""
    x, y = _unbalanced()
    before = x.copy()
    first, second = card.load(variant)(random_state=4), card.load(variant)(random_state=4)
    (xa, ya), (xb, yb) = first.fit_resample(x, y), second.fit_resample(x, y)
    _, counts = np.unique(ya, return_counts=True)
    wrong = int(len(set(counts.tolist())) != 1) + int(not np.array_equal(xa, xb) or not np.array_equal(ya, yb))
    wrong += int(not np.array_equal(card.load(variant)(random_state=5).fit_resample(x, y)[0], xa)) == 0
    wrong += int(not np.abs(first.true_shares_ - np.array([50, 25, 15]) / 90).max() <= 1e-12)
    wrong += int(not np.abs(first.trained_shares_ - 1 / 3).max() <= 1e-12) + int(not np.array_equal(x, before))
    return Check(wrong, 0, "violations", "the definition")


def refuses(card: Card, variant: str) -> Check:
    """One class, no rows, lengths that differ, a wrong strategy and numbers as target are refused in a sentence."""
    x, y = _unbalanced()
    cls = card.load(variant)
    cases = [
        (cls(), x[:50], y[:50]),
        (cls(), x[:0], y[:0]),
        (cls(), x, y[:-1]),
        (cls(sampling_strategy="some"), x, y),
        (cls(sampling_strategy=0.5), x, y),
        (cls(sampling_strategy={"dog": 3}), x, y),
        (cls(), x, x[:, 0]),
    ]
    wrong = 0
    for model, rows, target in cases:
        try:
            model.fit_resample(rows, target)
        except (ValueError, TypeError) as error:
            wrong += int(" " not in str(error) or len(str(error)) > 600)
        else:
            wrong += 1
    return Check(wrong, 0, "accepted or unclear", "house rule")


RESAMPLER = {"balances": balances, "refuses": refuses}
