"""Sets without files of their own: those bundled with scikit-learn and those drawn from a seed."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.base.errors import DataError
from fivefold.base.random import Streams

from .catalog import Entry
from .datasets import Dataset, of_entry


def bundled(name: str, entry: Entry) -> Dataset:
    """Return one of scikit-learn's sets as a table with named columns; class names instead of codes."""
    from sklearn import datasets as sk

    load = {
        "iris": sk.load_iris,
        "wine": sk.load_wine,
        "breast-cancer": sk.load_breast_cancer,
        "digits": sk.load_digits,
        "diabetes": sk.load_diabetes,
        "linnerud": sk.load_linnerud,
    }[name]
    bunch = load(scaled=False) if name == "diabetes" else load()
    names = [_column(feature) for feature in bunch.feature_names]
    frame = pl.DataFrame({label: bunch.data[:, i] for i, label in enumerate(names)})
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    arrays: dict[str, np.ndarray] = {}
    if name == "linnerud":
        targets = tuple(_column(target) for target in bunch.target_names)
        frame = frame.with_columns(pl.Series(label, bunch.target[:, i]) for i, label in enumerate(targets))
    elif name == "diabetes":
        frame = frame.with_columns(pl.Series(entry.target, bunch.target))
    elif name == "digits":
        classes = tuple(str(digit) for digit in range(10))
        frame = frame.with_columns(pl.Series(entry.target, bunch.target))
        images = (bunch.images / 16.0).astype(np.float32)[:, None]  # (n, 1, 8, 8), gray levels 0 to 16 at home
        arrays = {"x": images, "y": bunch.target.astype(np.int64)}
    else:
        classes = tuple(str(label) for label in bunch.target_names)
        frame = frame.with_columns(pl.Series(entry.target, [classes[code] for code in bunch.target]))
    return of_entry(name, entry, frame=frame, arrays=arrays, classes=classes, targets=targets)


def _column(label: str) -> str:
    plain = label.split(" (")[0].replace("/", "_per_").replace("-", "_")
    return plain.strip().lower().replace(" ", "_")


def generate(name: str, entry: Entry, n: int | None, seed: int) -> Dataset:
    """Return a set drawn from ``seed``."""
    rows = n if n is not None else {"mixture-25": 10_000, "moons": 1_000, "synthetic-clicks": 100_000}[name]
    if rows < 1:
        raise DataError(f"n must be at least 1, got {rows}.")
    if name == "synthetic-clicks":
        return _clicks(name, entry, rows, seed)
    draw = Streams(seed).numpy(f"dataset/{name}")
    if name == "mixture-25":
        # Modes at {-4, -2, 0, 2, 4}^2, standard deviation 0.05, each mode equally often.
        label = draw.permutation(np.arange(rows) % 25)
        centers = np.stack(np.meshgrid(np.arange(-4, 5, 2), np.arange(-4, 5, 2), indexing="ij"), -1).reshape(25, 2)
        x = draw.normal(centers[label], 0.05)  # (n, 2)
        classes = tuple(str(i) for i in range(25))
    else:
        # Half circles of radius 1 about (0, 0) and, turned over, about (1, 1/2); noise of standard deviation 0.1.
        label = draw.permutation(np.arange(rows) % 2)
        angle = np.pi * draw.random(rows)
        upper = np.column_stack([np.cos(angle), np.sin(angle)])
        lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
        x = draw.normal(np.where(label[:, None] == 0, upper, lower), 0.1)
        classes = ("0", "1")
    frame = pl.DataFrame({"x1": x[:, 0], "x2": x[:, 1], entry.target: label.astype(np.int64)})
    arrays = {"x": x.astype(np.float32), "y": label.astype(np.int64)}
    return of_entry(name, entry, frame=frame, arrays=arrays, classes=classes)


def _clicks(name: str, entry: Entry, rows: int, seed: int) -> Dataset:
    """Return the synthetic click log; ``arrays`` holds the probabilities, by which no ranking is better."""
    from .synthetic_clicks import synthetic_clicks

    found = synthetic_clicks(rows, seed=seed)
    return of_entry(name, entry, frame=found.frame, arrays={"probability": found.probability}, classes=("0", "1"))
