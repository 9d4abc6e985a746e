"""What the bundler refuses and names."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from fivefold.base.errors import FivefoldError
from fivefold.models.trees import ExclusiveFeatureBundler


def test_refusals():
    X = np.eye(20)
    bundler = ExclusiveFeatureBundler().fit(X)
    for make, message in (
        (
            lambda: ExclusiveFeatureBundler(max_conflict_rate=1.0).fit(X),
            "`max_conflict_rate` is 1.0; give a number >= 0 and < 1.",
        ),
        (
            lambda: ExclusiveFeatureBundler(sparse_threshold=-1).fit(X),
            "`sparse_threshold` is -1; give a number >= 0 and <= 1.",
        ),
        (lambda: ExclusiveFeatureBundler(max_bin=1).fit(X), "`max_bin` is 1; give a whole number >= 2."),
        (lambda: bundler.bins(X), "X has the shape (20, 20); give what `transform` returned: (n, 1)."),
        (lambda: bundler.transform(np.full((1, 20), np.inf)), "X contains infinity; give finite numbers"),
        (lambda: ExclusiveFeatureBundler().transform(X), "is not fitted yet"),
    ):
        with pytest.raises(FivefoldError, match=re.escape(message)):
            make()


def test_names_and_dense_columns():
    X = np.zeros((40, 4))
    X[:3, 0], X[5:8, 2] = 1, 2
    X[:, 1], X[:, 3] = np.arange(40), [np.nan, *[0.0] * 39]
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    bundler = ExclusiveFeatureBundler().fit(frame)
    assert bundler.groups_ == [[0, 2], [1], [3]]
    assert bundler.get_feature_names_out().tolist() == ["a|c", "b", "d"]
    out = bundler.transform(frame)
    assert np.array_equal(out[:, 1:], X[:, [1, 3]], equal_nan=True)
    assert out[[0, 5, 9], 0].tolist() == [1, 2, 0]
