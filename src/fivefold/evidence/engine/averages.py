"""Evidence of running averages and of metrics as JSON."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np

from fivefold.engine.running_average import RunningAverage, load_metrics, save_metrics
from fivefold.evidence import Check, evidence, largest


@evidence("running-average", claim="2 and 4 average 3; NaN before the first; reset forgets", against="04#train-utils")
def worked_example() -> Check:
    average = RunningAverage()
    wrong = float(not math.isnan(average()))
    average.update(2)
    wrong += average() != 2.0
    average.update(4)
    wrong += average() != 3.0
    wrong += average.count != 2.0
    average.reset()
    wrong += not math.isnan(average()) or average.count != 0
    average.update(-7.5)
    wrong += average() != -7.5
    average.reset()
    average.update(1e-300)  # would drown in any trace of a start that is not zero
    wrong += average() != 1e-300
    return Check(wrong, 0, "wrong values", "04#train-utils")


@evidence(
    "running-average", claim="Weighted means, merged in any split, equal the mean of all", against="numpy.average"
)
def weighted_and_merged() -> Check:
    random = np.random.default_rng(0)
    values, weights = random.normal(5.0, 3.0, 400), random.integers(0, 9, 400).astype(float)
    expected = np.average(values, weights=weights)
    worst = 0.0
    for cut in (0, 1, 137, 400):
        halves = [RunningAverage(), RunningAverage()]
        for i, (value, weight) in enumerate(zip(values, weights, strict=True)):
            halves[i >= cut].update(value, weight)
        halves[0].merge(halves[1])
        worst = largest(worst, abs(halves[0]() - expected), abs(halves[0].count - weights.sum()))
    # Each of 400 updates rounds numbers of the size of the values once or twice.
    return Check(worst, 400 * 2 * np.finfo(float).eps * 20, "max |difference|", "numpy.average")


@evidence("running-average", claim="A mean of very many like numbers keeps its digits", against="exact value")
def many() -> Check:
    average = RunningAverage()
    for _ in range(20_000):
        average.update(0.1)
    plain = 0.0
    for _ in range(20_000):
        plain += 0.1
    # The control: the plain sum has lost digits by then.
    control = abs(plain / 20_000 - 0.1) == 0
    return Check(abs(average() - 0.1) + control, 1e-17, "|difference| + control that fails", "0.1")


@evidence("running-average", claim="Metrics come back from JSON as the floats they were, indented by 4", against="json")
def round_trip() -> Check:
    metrics = {"loss": 0.1 + 0.2, "steps": 3, "größe": np.float32(0.1), "tiny": 5e-324}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.json"
        save_metrics(metrics, path)
        text = path.read_text(encoding="utf8")
        found = load_metrics(path)
    wrong = found != {name: float(value) for name, value in metrics.items()}
    wrong += not all(isinstance(value, float) for value in json.loads(text).values())
    wrong += '\n    "loss": 0.30000000000000004' not in text
    wrong += list(found) != list(metrics)
    return Check(wrong, 0, "wrong facts", "json")
