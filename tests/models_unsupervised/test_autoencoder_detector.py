"""Refusals of the auto-encoder as a detector."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import AutoencoderAnomalyDetector

X = np.random.default_rng(0).normal(size=(12, 3))


@pytest.mark.parametrize(
    ("params", "data", "text"),
    [
        ({"hidden": ()}, X, "`hidden` is empty; give the units of at least one layer, such as (8, 4)."),
        ({"hidden": 4}, X, "`hidden` is 4; give a sequence of whole numbers >= 1, such as (8, 4)."),
        ({"hidden": (4, 0)}, X, "`hidden` is 0; give a whole number >= 1."),
        ({"activation": "step"}, X, "`activation` is 'step'; give one of 'relu', 'tanh', 'identity'."),
        ({"contamination": 0.7}, X, "`contamination` is 0.7; give a number >= 0 and <= 0.5."),
        ({}, np.full((5, 2), 0.1), "All n_samples = 5 rows of X are equal, so there is nothing to learn"),
    ],
)
def test_what_cannot_be_fitted_is_refused(params, data, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        AutoencoderAnomalyDetector(max_epochs=1, **params).fit(data)


def test_rows_are_asked_about_after_fitting_only() -> None:
    with pytest.raises(FivefoldError, match="not fitted yet"):
        AutoencoderAnomalyDetector().reconstruct(X)
