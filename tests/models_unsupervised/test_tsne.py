"""Refusals of neighbor embedding, and its place in a pipeline."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import SNE, TSNE, AutoPerplexityTSNE, BarnesHutTSNE

X = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize("cls", [TSNE, BarnesHutTSNE, SNE])
@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"perplexity": 20.0}, "`perplexity` is 20 with n_samples = 20 rows; it has to be below their number."),
        ({"perplexity": 0.5}, "`perplexity` is 0.5; give a number >= 1."),
        ({"perplexity": 5.0, "early_exaggeration": 0.5}, "`early_exaggeration` is 0.5; give a number >= 1."),
        ({"perplexity": 5.0, "learning_rate": "fast"}, "`learning_rate` is 'fast'; give a number > 0 or 'auto'."),
        ({"perplexity": 5.0, "learning_rate": 0.0}, "`learning_rate` is 0.0; give a number > 0."),
        ({"perplexity": 5.0, "init": "spectral"}, "`init` is 'spectral'; give 'pca', 'random' or an array."),
        (
            {"perplexity": 5.0, "init": X[:, :1]},
            "`init` has the shape (20, 1); give finite numbers of the shape (20, 2).",
        ),
        ({"perplexity": 5.0, "max_iter": 0}, "`max_iter` is 0; give a whole number >= 1."),
        ({"n_components": 0}, "`n_components` is 0; give a whole number >= 1."),
    ],
)
def test_refused_parameters(cls, params, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        cls(**params).fit(X)


def test_refused_by_tree_and_sweep():
    with pytest.raises(FivefoldError, match="`angle` is 2.0; give a number >= 0 and <= 1."):
        BarnesHutTSNE(perplexity=3.0, angle=2.0).fit(X)
    with pytest.raises(FivefoldError, match="`n_components` is 4; the tree serves 1 to 3, 'exact' more."):
        BarnesHutTSNE(4, perplexity=3.0).fit(X)
    with pytest.raises(FivefoldError, match="`n_components` is 3; the grid serves 1 and 2, the tree 3, 'exact' more."):
        TSNE(3, perplexity=3.0, method="fft").fit(X)
    with pytest.raises(FivefoldError, match="`spacing` is 0.0; give a number > 0."):
        TSNE(perplexity=3.0, method="fft", spacing=0.0).fit(X)
    with pytest.raises(FivefoldError, match="`method` is 'grid'; give one of 'auto', 'exact', 'barnes-hut', 'fft'."):
        TSNE(perplexity=3.0, method="grid").fit(X)
    for given in ([], [5.0, 3.0], [[2.0]], [np.nan]):
        with pytest.raises(FivefoldError, match="give one or more growing numbers >= 1"):
            AutoPerplexityTSNE(perplexities=given).fit(X)
    with pytest.raises(FivefoldError, match="not fitted yet"):
        TSNE().transform(X)
    with pytest.raises(FivefoldError, match="minimum of 2 is required"):
        TSNE().fit(X[:1])


def test_in_a_pipeline():
    steps = make_pipeline(StandardScaler(), BarnesHutTSNE(perplexity=4.0, max_iter=60)).fit(X)
    assert steps.transform(X).shape == (20, 2)
    assert steps.get_feature_names_out().tolist() == ["barneshuttsne0", "barneshuttsne1"]
