"""Evidence for experiment specifications: scalars of YAML 1.2, round trips, five parts that reach the method."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.cards import all_cards
from fivefold.base.errors import FivefoldError
from fivefold.evidence import Check, evidence, largest

# YAML 1.2.2, chapter 10.3.2, example 10.9 with the values its comments state.
_PUBLISHED = """\
A null: null
Booleans: [ true, True, false, FALSE ]
Integers: [ 0, 0o7, 0x3A, -19 ]
Floats: [ 0., -0.0, .5, +12e03, -2E+05 ]
Also floats: [ .inf, -.Inf, +.INF, .NAN ]
"""
_VALUES: dict[str, Any] = {
    "A null": None,
    "Booleans": [True, True, False, False],
    "Integers": [0, 7, 58, -19],
    "Floats": [0.0, -0.0, 0.5, 12000.0, -200000.0],
    "Also floats": [math.inf, -math.inf, math.inf, math.nan],
}


@evidence("experiment-spec", claim="Scalars are read as YAML 1.2 says", against="YAML 1.2.2, example 10.9")
def published_scalars() -> Check:
    from fivefold.workbench.yaml_loader import parse_yaml

    found = parse_yaml(_PUBLISHED).value
    wrong = sum(repr(found[key]) != repr(value) for key, value in _VALUES.items())
    # What YAML 1.1 readers are known to get wrong.
    tricky = parse_yaml("[no, on, 3e-4, 1_000, 12:30, 2020-01-01, 0777]").value
    wrong += sum(a != b for a, b in zip(tricky, ["no", "on", 0.0003, "1_000", "12:30", "2020-01-01", 777]))
    return Check(wrong, 0, "values that differ", "the specification of YAML")


@evidence("experiment-spec", claim="Whatever is written is read back equal", against="Python values, PyYAML's reader")
def plain_round_trip() -> Check:
    import yaml

    from fivefold.workbench.yaml_loader import dump_yaml, parse_yaml

    value = {
        "strings": [
            "no",
            "1e3",
            "3e-4",
            "",
            "~",
            "null",
            "0o7",
            "a: b",
            "- x",
            "ünï",
            " lead",
            "line\nbreak",
            "#",
            "012",
        ],
        "numbers": [0, -1, 1e-5, 1e300, 2.5, 10**20, math.inf],
        "nested": {"empty": {}, "list": [[], [1, [2]]], "none": None, "yes": True},
    }
    text = dump_yaml(value)
    wrong = int(parse_yaml(text).value != value)
    # Another reader, of YAML 1.1, must find the same texts: they are quoted wherever either would see a number.
    wrong += int(yaml.safe_load(text)["strings"] != value["strings"])
    return Check(wrong, 0, "readings that differ", "PyYAML")


@evidence(
    "experiment-spec",
    claim="The resolved specification of every card, written and read again, is equal to itself",
    against="itself before writing",
)
def round_trip() -> Check:
    from fivefold.workbench.experiments import stock
    from fivefold.workbench.spec import read_spec, resolve_spec

    wrong, count = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spec.yaml"
        for card in all_cards().values():
            try:
                stock(card.kind)
            except FivefoldError:
                continue  # a kind without stock experiment has no specification of its own
            for quick in (False, True):
                spec = resolve_spec(card.id, ["data.test=0.3", "seed=7"], quick=quick)
                file.write_text(spec.to_yaml(), encoding="utf8")
                again = read_spec(file)
                wrong += again != spec or again.seed != 7 or again.data.test != 0.3
                count += 1
    return Check(wrong if count else 1, 0, "specifications that change", "the round trip")


@evidence(
    "experiment-spec",
    claim="One file with data, model and evaluation gives the error of the closed form on the same rows",
    against="numpy.linalg.solve of the normal equations",
)
def file_reaches_the_method() -> Check:
    import fivefold
    from fivefold.base.random import Streams
    from fivefold.data.splits import random_split

    text = (
        "data: {name: diabetes, test: 0.3, drop: [sex]}\n"
        "model: {name: ridge-regression, alpha: 3.5}\nevaluation: [mae]\nseed: 11\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "spec.yaml").write_text(text, encoding="utf8")
        record = fivefold.run(Path(folder) / "spec.yaml", out=Path(folder) / "run")
    x, y = fivefold.load_dataset("diabetes").xy()
    x = np.delete(x, 1, axis=1)  # without sex, a category
    split = random_split(len(x), test_size=0.3, random_state=Streams(11).child("holdout"))
    mean, deviation = x[split.train].mean(axis=0), x[split.train].std(axis=0)
    a, b = (x[split.train] - mean) / deviation, y[split.train]
    w = np.linalg.solve(a.T @ a + 3.5 * np.eye(a.shape[1]), a.T @ (b - b.mean()))
    answer = (x[split.test] - mean) / deviation @ w + b.mean()
    expected = {"mae": np.abs(answer - y[split.test]).mean(), "rmse": np.sqrt(((answer - y[split.test]) ** 2).mean())}
    first = next(iter(record.metrics))
    error = largest(abs(float(record.metrics[k] or 0) / v - 1) for k, v in expected.items()) + float(first != "mae")
    return Check(error, 1e-8, "relative difference", "closed form")


_FAMILIES = {
    "linear": ("ridge-regression", "diabetes"),
    "trees": ("cart-classifier", "iris"),
    "networks": ("mlp", "wine"),
    "clusters": ("k-means", "iris"),
}


@evidence(
    "experiment-spec",
    claim="The same five keys run every family that has a card: linear models, trees, networks, clusterers",
    against="the files a run must leave",
)
def every_family() -> Check:
    import fivefold

    wrong, count = 0, 0
    for name, data in _FAMILIES.values():
        if name not in all_cards():
            continue
        with tempfile.TemporaryDirectory() as folder:
            spec = {"data": {"name": data, "rows": 80}, "model": {"name": name}, "seed": 3, "quick": True}
            record = fivefold.run(spec, out=Path(folder) / "run")
            files = ("spec.yaml", "run.json", "report.html", "model/manifest.json")
            wrong += sum(not (record.directory / file).is_file() for file in files)
            wrong += record.status != "finished" or not record.metrics or record.data is None
        count += 1
    return Check(wrong if count >= 2 else 1, 0, "files missing", "the list of a run's files")


@evidence(
    "experiment-spec",
    claim="Optimizer, trainer and schedule of the file become exactly these parameters of the model",
    against="a table written by hand",
)
def settings_reach_the_model() -> Check:
    from fivefold.workbench.parts import model_params
    from fivefold.workbench.spec import resolve_spec

    spec = resolve_spec(
        {
            "model": {"name": "mlp", "hidden_layer_sizes": [8]},
            "optimizer": {"name": "momentum", "lr": 0.25, "clip_norm": 2.0, "schedule": "lr-cosine"},
            "trainer": {"max_epochs": 7, "batch_size": 16},
        }
    )
    expected = {
        "hidden_layer_sizes": [8],
        "optimizer": "momentum",
        "learning_rate": 0.25,
        "clip_norm": 2.0,
        "schedule": "lr-cosine",
        "max_epochs": 7,
        "batch_size": 16,
    }
    found = model_params(spec)
    wrong = sum(found.get(key) != value for key, value in expected.items()) + len(set(found) - set(expected))
    return Check(wrong, 0, "parameters that differ", "a table by hand")
