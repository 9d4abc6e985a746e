"""Which rows test in which fold: decided once, for all methods alike."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl

from fivefold.base.errors import DataError
from fivefold.base.random import Streams

from ..tabular import target_vector
from .plan import Plan


def assign_folds(plan: Plan) -> np.ndarray:
    """Return the fold in which each row tests, (n,) int64 in 0 … cv−1: stratified by class, or shuffled for numbers.

    Raises
    ------
    DataError
        When the splitter leaves out a row or gives one twice.
    """
    from fivefold.evaluation.validation import KFold, StratifiedKFold

    y = target_vector(plan.frame, plan.schema, plan.classes)
    splitter = (KFold if plan.classes is None else StratifiedKFold)(
        n_splits=plan.options.cv,
        shuffle=True,
        random_state=Streams(plan.options.seed).integer("compare/folds") % 2**31,
    )
    folds = np.full(len(y), -1, dtype=np.int64)
    seen = np.zeros(len(y), dtype=np.int64)
    with warnings.catch_warnings():
        # The plan has said so already, with the name of the class.
        warnings.filterwarnings("ignore", message=".*fewer than n_splits.*", category=UserWarning)
        for fold, (_, test) in enumerate(splitter.split(np.zeros((len(y), 1)), y)):
            folds[test] = fold
            seen[test] += 1
    if not (seen == 1).all():
        raise DataError(
            f"The splitter tests {int((seen != 1).sum()):,} rows never or more than once; this is a defect."
        )
    return folds


def split_table(folds: np.ndarray) -> pl.DataFrame:
    """Return the folds as the table that ``splits.parquet`` holds."""
    return pl.DataFrame(
        {"row": np.arange(len(folds), dtype=np.int64), "repeat": np.zeros(len(folds), np.int64), "fold": folds}
    )
