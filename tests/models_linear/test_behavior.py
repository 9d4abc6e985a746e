"""What users rely on beyond the numbers: saving, tables with names, labels of any kind, threads, read-only rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import fivefold
from fivefold.models.linear import (
    GaussianNB,
    KNeighborsClassifier,
    KNeighborsRegressor,
    LinearRegression,
    LogisticRegression,
    Ridge,
    SoftmaxRegression,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
LABELS = np.where(X[:, 0] + 0.3 * RNG.normal(size=60) > 0, "yes", "no")
VALUES = X @ [1.0, 2.0, 3.0] + RNG.normal(size=60)
CLASSIFIERS = [LogisticRegression, SoftmaxRegression, GaussianNB, KNeighborsClassifier]
REGRESSORS = [LinearRegression, Ridge, KNeighborsRegressor]


def same_answers(one: np.ndarray, two: np.ndarray) -> None:
    """Labels are equal; numbers agree up to the order in which BLAS sums rows of another layout."""
    assert np.allclose(one, two, rtol=1e-10) if one.dtype.kind == "f" else np.array_equal(one, two)


@pytest.mark.parametrize("method", [*CLASSIFIERS, *REGRESSORS])
def test_a_saved_model_answers_the_same(method: Any, tmp_path: Path) -> None:
    model = method().fit(X, LABELS if method in CLASSIFIERS else VALUES)
    model.save(tmp_path / "model")
    again = fivefold.load(tmp_path / "model")
    assert np.array_equal(model.predict(X), again.predict(X))
    assert again.get_params() == model.get_params()


def test_a_saved_tree_is_planted_anew(tmp_path: Path) -> None:
    model = KNeighborsClassifier(algorithm="kd_tree", weights="distance").fit(X, LABELS)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").predict_proba(X + 0.1), model.predict_proba(X + 0.1))


@pytest.mark.parametrize("method", CLASSIFIERS)
@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS == "yes", np.where(LABELS == "yes", 7, -3), (LABELS == "yes").astype(float), LABELS.astype(object)],
    ids=["text", "boolean", "integer", "whole float", "object"],
)
def test_labels_come_back_as_they_were_given(method: Any, labels: np.ndarray) -> None:
    model = method().fit(X, labels)
    assert np.array_equal(model.classes_, np.unique(labels))
    assert model.classes_.dtype == labels.dtype
    assert model.score(X, labels) > 0.8
    assert model.predict_proba(X).shape == (60, 2)


def test_far_apart_integer_labels() -> None:
    labels = np.where(LABELS == "yes", 2**60, -(2**60))
    assert np.array_equal(GaussianNB().fit(X, labels).classes_, [-(2**60), 2**60])


def test_small_unsigned_and_signed_labels() -> None:
    for dtype in (np.uint8, np.int8):
        labels = np.array([0, 127] * 30, dtype=dtype) - np.array(0 if dtype == np.uint8 else 100, dtype=dtype)
        assert np.array_equal(SoftmaxRegression().fit(X, labels).classes_, np.unique(labels))


@pytest.mark.parametrize("method", [*CLASSIFIERS, *REGRESSORS])
def test_polars_tables_carry_their_names(method: Any) -> None:
    table = pl.DataFrame(X, schema=["a", "b", "c"])
    target = pl.Series(LABELS if method in CLASSIFIERS else VALUES)
    model = method().fit(table, target)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    same_answers(model.predict(table), method().fit(X, target.to_numpy()).predict(X))


@pytest.mark.parametrize(
    "method", [LogisticRegression, SoftmaxRegression, KNeighborsClassifier, Ridge, LinearRegression]
)
def test_sparse_equals_dense(method: Any) -> None:
    rows = np.where(np.abs(X) > 0.5, X, 0.0)
    target = LABELS if method is not Ridge and method is not LinearRegression else VALUES
    dense = method().fit(rows, target)
    for form in (sp.csr_array, sp.csc_matrix, sp.coo_array):
        model = method().fit(form(rows), target)
        same_answers(model.predict(form(rows)), dense.predict(rows))


def test_a_dense_model_takes_sparse_queries_and_the_other_way_round() -> None:
    dense = KNeighborsRegressor().fit(X, VALUES)
    sparse = KNeighborsRegressor().fit(sp.csr_array(X), VALUES)
    assert np.array_equal(dense.predict(sp.csr_array(X)), sparse.predict(X))


def test_failed_fit_leaves_the_parameters_alone() -> None:
    model = LogisticRegression(C=3.0, class_weight={"no": 2.0})
    with pytest.raises(ValueError, match="continuous"):
        model.fit(X, VALUES)
    assert model.get_params()["C"] == 3.0
    assert model.get_params()["class_weight"] == {"no": 2.0}


def test_integer_and_fortran_input() -> None:
    rows = np.asfortranarray(RNG.integers(0, 9, size=(60, 3)))
    for method, target in ((Ridge, VALUES), (LogisticRegression, LABELS), (KNeighborsRegressor, VALUES)):
        same_answers(method().fit(rows, target).predict(rows), method().fit(rows.copy("C"), target).predict(rows))


PROGRAM = """
import numpy as np
from fivefold.models.linear import KNeighborsClassifier, LogisticRegression, Ridge
rng = np.random.default_rng(0)
X = rng.normal(size=(60_000, 6)); y = (X[:, 0] + rng.normal(size=60_000) > 0).astype(int)
for model in (LogisticRegression(), Ridge()):
    print(*np.append(model.fit(X, y).coef_, model.intercept_).tolist())
print(*KNeighborsClassifier(algorithm="brute").fit(X[:3000], y[:3000]).kneighbors(X[:300])[1].ravel().tolist())
"""


def test_the_number_of_threads_does_not_matter() -> None:
    answers = []
    for threads in ("1", "2"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env={**os.environ, **limits}, capture_output=True, text=True, check=True
        )
        answers.append([np.array(line.split(), dtype=float) for line in done.stdout.splitlines()])
    for one, two in zip(*answers):
        assert np.allclose(one, two, rtol=1e-10, atol=1e-12)
