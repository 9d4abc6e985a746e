"""Behavior of k-means beyond its evidence: scikit-learn's protocol, saving, threads, refusals."""

from __future__ import annotations

import re

import numba
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import fivefold
from fivefold.base import codec
from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import KMeans


@parametrize_with_checks(
    [KMeans(3), KMeans(2, algorithm="lloyd", init="random", n_init=2)],
    expected_failed_checks=lambda estimator: estimator._expected_failed_checks,
    xfail_strict=True,
)
def test_scikit_learn_protocol(estimator, check):
    check(estimator)


def test_digits_form_ten_clusters():
    X, y = load_digits(return_X_y=True)
    model = KMeans(10, n_init=3, random_state=0).fit(X)
    purity = sum(np.bincount(y[model.labels_ == j]).max() for j in range(10)) / len(y)
    assert purity > 0.7
    assert model.get_feature_names_out()[:2].tolist() == ["kmeans0", "kmeans1"]


def test_saved_models_answer_alike(tmp_path):
    X = np.random.default_rng(0).normal(size=(100, 3))
    model = KMeans(4, random_state=0).fit(X)
    codec.save(model, tmp_path / "model")
    again = codec.load(tmp_path / "model")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.transform(X), model.transform(X))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="Numba was started with one thread")
def test_threads_change_nothing():
    X = np.random.default_rng(0).normal(size=(30_000, 4))
    found = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        found.append(KMeans(6, random_state=0).fit(X))
    numba.set_num_threads(1)
    assert np.array_equal(found[0].labels_, found[1].labels_)
    assert np.array_equal(found[0].cluster_centers_, found[1].cluster_centers_)


def test_repeated_rows_give_fewer_clusters():
    with pytest.warns(
        ConvergenceWarning, match=re.escape("Only 2 distinct clusters were found, fewer than n_clusters=4")
    ):
        KMeans(4, random_state=0).fit(np.repeat([[0.0], [1.0]], 5, axis=0))


def test_as_many_clusters_as_rows():
    X = np.random.default_rng(0).normal(size=(40, 2))
    assert KMeans(40, random_state=0).fit(X).inertia_ < 1e-28


def test_created_by_id():
    assert isinstance(fivefold.create("k_means", n_clusters=2), KMeans)


X = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n_clusters": 0}, "`n_clusters` is 0; give a whole number >= 1."),
        ({"n_clusters": 2.0}, "`n_clusters` is 2.0 of type float; give a whole number >= 1."),
        ({"n_clusters": 7}, "X has n_samples=6, fewer than n_clusters=7; ask for fewer clusters."),
        ({"n_clusters": 2, "init": "farthest"}, "`init` is 'farthest'; give one of 'k-means++', 'random'."),
        ({"n_clusters": 2, "init": X[:3]}, "`init` has the shape (3, 2); give one center a row: (2, 2)."),
        ({"n_clusters": 1, "init": [[np.nan, 1.0]]}, "`init` contains NaN or infinity; give finite centers."),
        ({"n_clusters": 1, "init": [["a", "b"]]}, "give 'k-means++', 'random' or an array of centers."),
        ({"n_clusters": 2, "n_init": "many"}, "`n_init` is 'many'; give one of 'auto'."),
        ({"n_clusters": 2, "n_init": 0}, "`n_init` is 0; give a whole number >= 1."),
        ({"n_clusters": 2, "max_iter": 0}, "`max_iter` is 0; give a whole number >= 1."),
        ({"n_clusters": 2, "tol": -1.0}, "`tol` is -1.0; give a number >= 0."),
        ({"n_clusters": 2, "algorithm": "full"}, "`algorithm` is 'full'; give one of 'auto', 'lloyd', 'elkan'."),
    ],
)
def test_refused_parameters(params, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        KMeans(**params).fit(X)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (np.where(X == 3, np.nan, X), "Input X contains NaN."),
        (np.where(X == 3, np.inf, X), "Input X contains infinity"),
        (np.where(X == 3, 1e200, X), "X holds values whose squares overflow; scale its columns first."),
    ],
)
def test_refused_data(data, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        KMeans(2).fit(data)


def test_refused_questions():
    with pytest.raises(FivefoldError, match="not fitted yet; call `fit`"):
        KMeans(2).predict(X)
    with pytest.raises(FivefoldError, match="X has 1 features, but KMeans is expecting 2"):
        KMeans(2, random_state=0).fit(X).predict(X[:, :1])
    with pytest.raises(FivefoldError, match="Only 1 rows have a weight above zero"):
        KMeans(2, init="random").fit(X, sample_weight=[1.0, 0, 0, 0, 0, 0])
