"""Refusals, figures and pipelines of singular values, topics, trees of clusters and the Gaussian detector."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import (
    AgglomerativeClustering,
    GaussianAnomalyDetector,
    LatentSemanticAnalysis,
    TruncatedSVD,
)
from fivefold.models.unsupervised.svd import jacobi_svd

X = np.random.default_rng(0).normal(size=(12, 3))
COUNTS = np.random.default_rng(0).integers(0, 4, size=(12, 5)).astype(float)


@pytest.mark.parametrize(
    ("model", "data", "text"),
    [
        (TruncatedSVD(4), X, "`n_components` is 4; X is 12 x 3, so give a whole number between 1 and 3."),
        (TruncatedSVD(0), X, "`n_components` is 0; give a whole number >= 1."),
        (TruncatedSVD(algorithm="arpack"), X, "`algorithm` is 'arpack'; give one of 'auto', 'full', 'jacobi'"),
        (TruncatedSVD(n_iter=-1), X, "`n_iter` is -1; give a whole number >= 0."),
        (LatentSemanticAnalysis(), -COUNTS, "Negative values in data passed to LatentSemanticAnalysis"),
        (LatentSemanticAnalysis(norm="l1"), COUNTS, "`norm` is 'l1'; give one of 'l2', 'none'."),
        (LatentSemanticAnalysis(6), COUNTS, "`n_components` is 6; X is 12 x 5"),
        (AgglomerativeClustering(13), X, "`n_clusters` is 13, but there are only 12 rows; ask for fewer clusters."),
        (AgglomerativeClustering(None), X, "Exactly one of `n_clusters` and `distance_threshold` has to be given"),
        (AgglomerativeClustering(distance_threshold=1.0), X, "Exactly one of `n_clusters` and `distance_threshold`"),
        (AgglomerativeClustering(metric="cosine"), X, "`linkage` is 'ward', which is defined by means of rows"),
        (AgglomerativeClustering(linkage="nearest"), X, "`linkage` is 'nearest'; give one of 'single', 'complete'"),
        (AgglomerativeClustering(metric="l3"), X, "`metric` is 'l3'; give one of 'euclidean', 'manhattan'"),
        (AgglomerativeClustering(metric="precomputed", linkage="single"), X, "X has to be a symmetric square matrix"),
        (
            AgglomerativeClustering(metric="cosine", linkage="single"),
            np.eye(4)[:, :3],
            "A row of zeros has no direction, so it has no cosine distance",
        ),
        (AgglomerativeClustering(), X[:1], "minimum of 2 is required"),
        (
            AgglomerativeClustering(None, distance_threshold=-1.0),
            X,
            "`distance_threshold` is -1.0; give a number >= 0.",
        ),
        (GaussianAnomalyDetector(), X * [1, 1, 0], "Column 2 of X is constant over the n_samples = 12 rows"),
        (GaussianAnomalyDetector(), X * [1, 1, 0] + 1e8, "Column 2 of X is constant"),
        (GaussianAnomalyDetector(), np.c_[X, X.sum(axis=1)], "The columns of X determine one another"),
        (GaussianAnomalyDetector(), X[:3], "The columns of X determine one another (or there are fewer rows"),
        (GaussianAnomalyDetector(), X * 1e200, "X holds values whose squares overflow; scale its columns first."),
        (GaussianAnomalyDetector(contamination=0.6), X, "`contamination` is 0.6; give a number >= 0 and <= 0.5."),
        (GaussianAnomalyDetector(covariance_type="tied"), X, "`covariance_type` is 'tied'; give one of"),
        (GaussianAnomalyDetector(reg_covar=-1.0), X, "`reg_covar` is -1.0; give a number >= 0."),
    ],
)
def test_refusals(model, data, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        model.fit(data)


def test_refused_questions():
    with pytest.raises(FivefoldError, match="Coordinates have the shape"):
        TruncatedSVD().fit(X).inverse_transform(X)
    with pytest.raises(FivefoldError, match="`vocabulary` has 1 terms; the counts have 5 columns"):
        LatentSemanticAnalysis().fit(COUNTS).top_terms(["a"])
    with pytest.raises(FivefoldError, match="Cut by exactly one of"):
        AgglomerativeClustering().fit(X).cut(2, height=1.0)
    with pytest.raises(FivefoldError, match="not fitted yet"):
        AgglomerativeClustering().cut(2)
    with pytest.raises(FivefoldError, match="give a finite matrix"):
        jacobi_svd([[np.nan]])
    with pytest.raises(FivefoldError, match="not fitted yet"):
        GaussianAnomalyDetector().predict(X)


def test_regularized_constant_column_is_accepted():
    model = GaussianAnomalyDetector(reg_covar=1e-6).fit(X * [1, 1, 0])
    assert np.isfinite(model.score_samples(X)).all()


def test_dendrogram(tmp_path):
    for linkage, n in (("ward", 12), ("median", 12), ("single", 2)):
        model = AgglomerativeClustering(2, linkage=linkage).fit(X[:n])
        assert model.dendrogram(tmp_path / f"{linkage}.png").stat().st_size > 1000
        assert sorted(model._leaf_order()) == list(range(n))


def test_in_a_pipeline():
    assert make_pipeline(StandardScaler(), TruncatedSVD(2)).fit_transform(X).shape == (12, 2)
    assert set(make_pipeline(StandardScaler(), GaussianAnomalyDetector()).fit(X).predict(X)) == {1, -1}
    assert len(make_pipeline(TruncatedSVD(2), AgglomerativeClustering(3)).fit_predict(X)) == 12
