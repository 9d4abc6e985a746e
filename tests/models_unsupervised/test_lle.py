"""Refusals of locally linear embedding, and its place in a pipeline."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import LocallyLinearEmbedding

X = np.random.default_rng(0).normal(size=(12, 3))


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n_neighbors": 12}, "`n_neighbors` is 12 with n_samples = 12 rows; it has to be below their number."),
        ({"n_components": 12}, "`n_components` is 12 with n_samples = 12 rows; it has to be below their number."),
        ({"n_neighbors": 0}, "`n_neighbors` is 0; give a whole number >= 1."),
        ({"reg": 0.0}, "`reg` is 0.0; give a number > 0."),
    ],
)
def test_refused_parameters(params, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        LocallyLinearEmbedding(**params).fit(X)


def test_in_a_pipeline():
    with pytest.raises(FivefoldError, match="not fitted yet"):
        LocallyLinearEmbedding().transform(X)
    assert make_pipeline(StandardScaler(), LocallyLinearEmbedding()).fit(X).transform(X).shape == (12, 2)
