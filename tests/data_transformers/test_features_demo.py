"""The demonstration of bins and boosting: what it refuses, and its full form on real data."""

from __future__ import annotations

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.data.features_or_model import MODELS, FeaturesOrModel


def test_refusal(tmp_path) -> None:
    for demo in (FeaturesOrModel(table="iris"), FeaturesOrModel(trees=0), FeaturesOrModel(n_bins=1)):
        with pytest.raises(InputError, match="table is 'auto'"):
            demo.run(out=tmp_path)


def test_real_table(tmp_path) -> None:
    result = FeaturesOrModel(trees=10).run(out=tmp_path)
    raw, binned, _ = (result.numbers[f"{name}: roc-auc"] for name in MODELS)
    assert binned > raw + 0.005 and "california-housing" in result.text
    assert len(result.figures) == 2 and result.tables[0].rows[1][1] == result.numbers[f"{MODELS[1]}: features"]
