"""Factorization machines and their kin: what is refused, and in which words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse

from fivefold.base.errors import CapabilityError, DataError, FivefoldError, SpecError
from fivefold.data import MultiFieldReader
from fivefold.evidence.batteries.ctr import clicks
from fivefold.models.recommend import BilinearFM, BilinearFMLearner, FactorizationMachine, FieldAwareFM, Poly2

SPARSE = scipy.sparse.csr_matrix(np.eye(4))
Y = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (
            FactorizationMachine(task="multiclass"),
            CapabilityError,
            "serves the tasks binary, regression; got task='multiclass'.",
        ),
        (FactorizationMachine(solver="adam"), SpecError, "solver must be one of sgd, adagrad, ftrl; got 'adam'."),
        (FactorizationMachine(learning_rate=0), SpecError, "learning_rate must be greater than 0, got 0."),
        (FactorizationMachine(l2=-1), SpecError, "FactorizationMachine: l2 must be at least 0, got -1."),
        (
            FactorizationMachine(l1=1),
            SpecError,
            "l1 needs solver='ftrl', which alone gives exact zeros; got solver='adagrad'.",
        ),
        (
            FactorizationMachine(l1_pairs=1),
            SpecError,
            "l1_pairs needs solver='ftrl', which alone gives exact zeros; got solver='adagrad'.",
        ),
        (Poly2(l2_pairs=-1), SpecError, "Poly2: l2_pairs must be at least 0, got -1."),
        (FactorizationMachine(max_iter=0), SpecError, "max_iter must be a whole number of at least 1, got 0."),
        (
            FactorizationMachine(embedding_dim=-1),
            SpecError,
            "embedding_dim must be a whole number of at least 0, got -1.",
        ),
        (FactorizationMachine(init_std=-1), SpecError, "FactorizationMachine: init_std must be at least 0, got -1."),
        (
            FieldAwareFM(init="uniform"),
            SpecError,
            "FieldAwareFM: init must be one of normal, half-normal; got 'uniform'.",
        ),
        (
            FieldAwareFM(embedding_dim=0),
            SpecError,
            "FieldAwareFM: embedding_dim must be a whole number of at least 1, got 0.",
        ),
        (
            FieldAwareFM(),
            DataError,
            "FieldAwareFM needs the field of each feature: give a table, libffm lines, or lines of one",
        ),
        (
            BilinearFM(sharing="pair"),
            SpecError,
            "BilinearFM: sharing must be one of all, each, interaction; got 'pair'.",
        ),
        (Poly2(buckets=0), SpecError, "Poly2: buckets must be a whole number of at least 1, got 0."),
        (
            FactorizationMachine(solver="sgd", learning_rate=1e150, task="regression"),
            DataError,
            "FactorizationMachine diverged; use a smaller learning_rate than 1e+150.",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_refusals(model: FactorizationMachine, error: type[FivefoldError], message: str) -> None:
    with pytest.raises(error) as caught:
        model.fit(SPARSE, Y)
    assert message in str(caught.value)


def test_targets_and_weights() -> None:
    model = FactorizationMachine()
    for target, message in (
        (None, "FactorizationMachine needs a target: the name of a column, or one value a row."),
        ("click", "The table has no column 'click' to be the target."),
        (np.zeros(3), "The target has the shape (3,), the table 4 rows; give one value a row."),
        (np.array([0, 1, 2, 1]), "The target holds the label 2; a binary task has the labels 0 and 1."),
        (np.array(["a"] * 4), "A binary task needs exactly 2 classes; the target holds: 'a'."),
        (np.array([0, 1, np.nan, 1]), "The target has missing or infinite values; drop these rows."),
    ):
        with pytest.raises(DataError) as caught:
            model.fit(SPARSE, target)
        assert message in str(caught.value)
    with pytest.raises(DataError, match="There are no rows to train on; give at least one."):
        FactorizationMachine(task="regression").fit(SPARSE[:0], np.zeros(0))
    for weight in (np.ones(3), -np.ones(4), np.zeros(4), np.full(4, np.nan)):
        with pytest.raises(DataError, match="sample_weight must hold 4 finite weights >= 0, one of them positive."):
            model.fit(SPARSE, Y, weight)


def test_other_rows_than_in_training() -> None:
    model = FactorizationMachine(max_iter=1).fit(SPARSE, Y)
    with pytest.raises(DataError, match="These rows hold feature 4, but the model was fitted on 0 to 3."):
        model.predict(scipy.sparse.csr_matrix(np.eye(5)))
    with pytest.raises(
        DataError, match="This FactorizationMachine was fitted on sparse rows; give such rows, not a table."
    ):
        model.predict(pl.DataFrame({"a": [1]}))
    with pytest.raises(DataError, match="The rows contain NaN or infinity; give finite numbers."):
        model.predict(scipy.sparse.csr_matrix([[np.inf, 0, 0, 0]]))
    for index in (-1, 2**31 - 1):
        with pytest.raises(DataError, match=f"The rows hold the index {index}; indices are 0 to 2147483646."):
            model.predict({"inds": np.array([[index]]), "vals": np.ones((1, 1))})
    reader = MultiFieldReader(form="libffm")
    aware = FieldAwareFM(max_iter=1).fit(reader.read(["1 0:0:1 1:1:1", "0 0:1:1 1:0:1"]))
    with pytest.raises(DataError, match="These rows hold field 2, but the model was fitted on 0 to 1."):
        aware.predict(reader.read(["1 2:1:1"]))
    value = FactorizationMachine(task="regression", max_iter=1).fit(SPARSE, np.arange(4.0))
    assert value.predict(SPARSE).shape == (4,)
    with pytest.raises(
        CapabilityError, match="decision_function needs classes; this FactorizationMachine was fitted with"
    ):
        value.decision_function(SPARSE)


def test_ftrl_with_a_large_penalty_leaves_zeros_and_the_learner_checks_its_levels() -> None:
    model = FactorizationMachine(solver="ftrl", l1=10.0, embedding_dim=0, max_iter=1).fit(SPARSE, Y)
    assert np.count_nonzero(model.theta_[1:]) == 0
    with pytest.raises(
        SpecError, match="BilinearFMLearner: sharing must be one of all, each, interaction; got 'pair'."
    ):
        BilinearFMLearner(sharing="pair").fit(clicks(), "click")
