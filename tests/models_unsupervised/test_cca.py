"""Refusals of canonical correlation analysis, and its place in a pipeline."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

X = np.random.default_rng(0).normal(size=(12, 4))
Y = X[:, :2] + np.random.default_rng(1).normal(size=(12, 2))


@pytest.mark.parametrize(
    ("model", "second", "text"),
    [
        (
            CanonicalCorrelationAnalysis(3),
            Y,
            "`n_components` is 3; the lesser rank of the centered X and y is 2, so give 1 to 2.",
        ),
        (CanonicalCorrelationAnalysis(0), Y, "`n_components` is 0; give a whole number >= 1."),
        (
            CanonicalCorrelationAnalysis(),
            np.full(12, 0.1),
            "y is constant over the n_samples = 12 rows, so nothing correlates with it.",
        ),
        (CanonicalCorrelationAnalysis(), Y * 1e200, "squares overflow"),
    ],
)
def test_what_cannot_be_fitted_is_refused(model, second, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        model.fit(X, second)


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (Y[:, 0], "`y` has the shape (12, 1); give finite numbers of the shape (12, 2)."),
        ([["a", "b"]] * 12, "cannot be read"),
    ],
)
def test_the_second_table_must_fit(second, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        CanonicalCorrelationAnalysis().fit(X, Y).transform(X, second)


def test_it_is_a_step_of_a_pipeline() -> None:
    assert make_pipeline(StandardScaler(), CanonicalCorrelationAnalysis(1)).fit_transform(X, Y).shape == (12, 1)
