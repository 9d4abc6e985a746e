"""Refusals and warnings of eigenmaps, spectral clustering, scaling, probabilistic PCA and isolation forests."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import (
    ClassicalMDS,
    IsolationForest,
    LaplacianEigenmaps,
    ProbabilisticPCA,
    SpectralClustering,
)

X = np.random.default_rng(0).normal(size=(14, 3))


@pytest.mark.parametrize(
    ("model", "data", "text"),
    [
        (LaplacianEigenmaps(14), X, "`n_components` is 14 with n_samples = 14 rows; it has to be below their number."),
        (LaplacianEigenmaps(affinity="cosine"), X, "`affinity` is 'cosine'; give one of 'nearest_neighbors', 'rbf'"),
        (LaplacianEigenmaps(n_neighbors=1), X, "`n_neighbors` is 1; give a whole number >= 2."),
        (LaplacianEigenmaps(affinity="precomputed"), X, "X has to be a symmetric square matrix of weights >= 0."),
        (LaplacianEigenmaps(gamma=0.0), X, "`gamma` is 0.0; give a number > 0."),
        (SpectralClustering(15), X, "`n_clusters` is 15, but there are n_samples = 14 rows; ask for fewer clusters."),
        (SpectralClustering(0), X, "`n_clusters` is 0; give a whole number >= 1."),
        (SpectralClustering(2, n_init=0), X, "`n_init` is 0; give a whole number >= 1."),
        (ClassicalMDS(15), X, "`n_components` is 15 with n_samples = 14 rows; give at most 14."),
        (ClassicalMDS(metric="cosine"), X, "`metric` is 'cosine'; give one of 'euclidean', 'precomputed'."),
        (ClassicalMDS(metric="precomputed"), X, "X has to be a symmetric square matrix of distances >= 0"),
        (ProbabilisticPCA(3), X, "`n_components` is 3; X has 3 columns, so give a whole number between 1 and 2."),
        (ProbabilisticPCA(1), np.outer(X[:, 0], [1, 2]), "The rows (n_samples = 14) vary in at most 1 directions"),
        (ProbabilisticPCA(algorithm="map"), X, "`algorithm` is 'map'; give one of 'closed-form', 'em'."),
        (ProbabilisticPCA(tol=-1.0), X, "`tol` is -1.0; give a number >= 0."),
        (IsolationForest(0), X, "`n_estimators` is 0; give a whole number >= 1."),
        (IsolationForest(max_samples="all"), X, "`max_samples` is 'all'; give a number or 'auto'."),
        (IsolationForest(max_samples=1), X, "`max_samples` is 1; give a whole number >= 2."),
        (IsolationForest(max_samples=1.5), X, "`max_samples` is 1.5; give a number > 0 and <= 1."),
        (IsolationForest(contamination="none"), X, "`contamination` is 'none'; give a number or 'auto'."),
        (IsolationForest(contamination=0.7), X, "`contamination` is 0.7; give a number >= 0 and <= 0.5."),
    ],
)
def test_refusals(model, data, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        model.fit(data)


def test_refused_questions():
    for model in (LaplacianEigenmaps(), ClassicalMDS(), ProbabilisticPCA()):
        with pytest.raises(FivefoldError, match="not fitted yet"):
            model.transform(X)
    with pytest.raises(FivefoldError, match="not fitted yet"):
        IsolationForest().score_samples(X)


def test_a_graph_in_pieces_is_named():
    apart = np.concatenate([X, X + 100.0])
    with pytest.warns(ConvergenceWarning, match="The graph falls into 2 pieces"):
        LaplacianEigenmaps(n_neighbors=4).fit(apart)


def test_precomputed_rows_keep_their_places():
    W = np.exp(-((X[:, None] - X) ** 2).sum(axis=2))
    model = LaplacianEigenmaps(affinity="precomputed").fit(W)
    assert np.array_equal(model.transform(W), model.embedding_)


def test_in_a_pipeline():
    for model in (LaplacianEigenmaps(affinity="rbf"), ClassicalMDS(2), ProbabilisticPCA(2)):
        assert make_pipeline(StandardScaler(), model).fit(X).transform(X).shape == (14, 2)
    assert set(make_pipeline(StandardScaler(), IsolationForest(random_state=0)).fit(X).predict(X)) <= {-1, 1}
    assert len(make_pipeline(StandardScaler(), SpectralClustering(2)).fit_predict(X)) == 14
