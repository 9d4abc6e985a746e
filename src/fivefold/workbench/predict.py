"""Apply a saved run to new data: ``fivefold predict RUN new.parquet``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from fivefold.base import codec
from fivefold.base.errors import ArtifactError

from .tabular import TableModel


def load_table_model(run: Any) -> TableModel:
    """Return the model that a run left behind.

    Parameters
    ----------
    run : TableModel, Comparison, RunRecord, path or name of a run
        A run directory, the ``model`` directory in it, or a name that the run store knows ("latest", the beginning of a name).

    Raises
    ------
    ArtifactError
        When there is no model, or one that is not applied to tables.
    """
    if isinstance(run, TableModel):
        return run
    directory = getattr(run, "directory", run)
    if not isinstance(directory, (str, os.PathLike)):
        raise ArtifactError(f"predict takes a run directory, its name or a model, not a {type(run).__name__}.")
    path = Path(directory)
    if not (path / "manifest.json").is_file():
        if not path.is_dir():
            from .store import RunStore

            path = RunStore().find(str(directory))
        path = path / "model"
        if not path.is_dir() and not path.with_name("model.previous").is_dir():
            raise ArtifactError(f"{path.parent} holds no model; it did not finish, or what it ran leaves none behind.")
    model = codec.load(path)
    if not isinstance(model, TableModel):
        raise ArtifactError(
            f"{path} holds a {type(model).__name__}, which is not applied to a table; load it with `fivefold.load` instead."
        )
    return model


def predict(run: Any, data: Any) -> pl.DataFrame:
    """Predict every row of new data with a saved run.

    Parameters
    ----------
    run : path or name of a run, RunRecord, Comparison or TableModel
    data : path, URL, data frame or Arrow table
        Columns may come in any order; extra ones are ignored, rows keep their order.

    Returns
    -------
    polars.DataFrame
        ``prediction`` and, for a classifier with probabilities, ``probability_<class>``; one row a row of ``data``.

    Raises
    ------
    ArtifactError
        When the run holds no model for tables.
    DataError
        When columns are missing (all are named) or cannot be read as what they were in training.
    """
    from fivefold.data.readers import read_table

    model = load_table_model(run)
    frame = data if isinstance(data, pl.DataFrame) else read_table(data)
    return model.predict(frame)
