"""Compare methods on a CSV file of your own: `python examples/own_csv.py FILE TARGET`, or without words on a small one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import fivefold
from fivefold.workbench.compare import Comparison


def write_houses(path: Path, rows: int = 240) -> Path:
    """Write a table as tables come: numbers, categories, dates, empty cells."""
    draw = np.random.default_rng(0)
    size, city = draw.uniform(30, 200, rows), draw.choice(["Bern", "Graz", "Ulm"], rows)
    price = 2_000 * size + 90_000 * (city == "Bern") + draw.normal(0, 20_000, rows)
    frame = pl.DataFrame(
        {"size": size.round(1), "city": city, "floor": draw.integers(0, 9, rows), "price": price.round()}
    )
    frame.with_columns(pl.when(pl.col("floor") == 0).then(None).otherwise(pl.col("floor")).alias("floor")).write_csv(
        path
    )
    return path


def main(path: Path | str, target: str, out: Path | str, methods: str | None = None, **options: object) -> Comparison:
    """Compare methods; what is inferred, the table and the verdict are printed, the rest stands in the report."""
    result = fivefold.compare(path, target=target, methods=methods, out=out, **options)
    print(f"kept, fitted on all rows: {type(result.model.model).__name__}")
    return result


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(sys.argv[1], sys.argv[2], Path("runs") / f"own-csv-{Path(sys.argv[1]).stem}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            houses = write_houses(Path(folder) / "houses.csv")
            main(houses, "price", Path(folder) / "run", methods="ridge-regression,k-nearest-neighbors")
