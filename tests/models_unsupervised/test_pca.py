"""Behavior of PCA beyond its evidence: scikit-learn's protocol, saving, precision, refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

import fivefold
from fivefold.base import codec
from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import PCA

X = np.random.default_rng(0).normal(size=(60, 4)) * [3.0, 2.0, 1.0, 0.5]


@parametrize_with_checks([PCA(), PCA(whiten=True), PCA(1, svd_solver="randomized", random_state=0), PCA(0.9)])
def test_scikit_learn_protocol(estimator, check):
    check(estimator)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "randomized"])
def test_float32_stays_float32(solver):
    model = PCA(2, svd_solver=solver, random_state=0).fit(X.astype(np.float32))
    known = PCA(2, svd_solver=solver, random_state=0).fit(X)
    assert model.components_.dtype == model.explained_variance_.dtype == np.float32
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    assert np.allclose(model.components_, known.components_, atol=1e-5)


def test_saved_models_answer_alike(tmp_path):
    model = PCA(2, whiten=True).fit(X)
    codec.save(model, tmp_path / "model")
    assert np.array_equal(codec.load(tmp_path / "model").transform(X), model.transform(X))


def test_threads_change_nothing():
    wide = np.random.default_rng(0).normal(size=(40_000, 30)) + 2.0
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(PCA().fit(wide))
    assert np.allclose(found[0].explained_variance_, found[1].explained_variance_, rtol=1e-10)
    assert np.allclose(found[0].components_, found[1].components_, atol=1e-10)


def test_constant_columns_have_no_variance():
    model = PCA().fit(np.ones((10, 3)))
    assert not model.explained_variance_.any()
    assert not model.explained_variance_ratio_.any()
    assert np.array_equal(PCA(whiten=True).fit_transform(np.ones((10, 3))), np.zeros((10, 3)))


def test_a_flat_direction_is_not_blown_up():
    flat = np.column_stack([X[:, 0], np.zeros(60)])
    assert np.abs(PCA(whiten=True, svd_solver="full").fit_transform(flat)[:, 1]).max() == 0.0


def test_created_by_id():
    assert isinstance(fivefold.create("PCA", n_components=2), PCA)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n_components": 5}, "`n_components` is 5; X is 60 x 4, so give a whole number between 0 and 4."),
        ({"n_components": -1}, "`n_components` is -1; give a whole number >= 0."),
        ({"n_components": 1.5}, "`n_components` is 1.5; give a number > 0 and < 1."),
        ({"n_components": "all"}, "`n_components` is 'all'; give one of 'mle'."),
        (
            {"svd_solver": "arpack"},
            "`svd_solver` is 'arpack'; give one of 'auto', 'full', 'covariance_eigh', 'randomized'.",
        ),
        (
            {"n_components": 0.5, "svd_solver": "randomized"},
            "needs a whole number of components >= 1; `n_components` is 0.5.",
        ),
    ],
)
def test_refused_parameters(params, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        PCA(**params).fit(X)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (np.nan, "Input X contains NaN."),
        (np.inf, "Input X contains infinity"),
    ],
)
def test_refused_values(solver, change, text):
    for row in (5, 2000):
        spoiled = np.tile(X, (50, 1))
        spoiled[row, 1] = change
        spoiled[row + 1, 1] = -change
        with pytest.raises(FivefoldError, match=re.escape(text)):
            PCA(svd_solver=solver).fit(spoiled)


def test_refused_data_and_questions():
    with pytest.raises(FivefoldError, match=re.escape("Found array with 1 sample(s)")):
        PCA().fit(X[:1])
    with pytest.raises(FivefoldError, match="squares overflow; scale its columns first."):
        PCA(svd_solver="covariance_eigh").fit(np.where(X > 4, 1e300, X))
    with pytest.raises(FivefoldError, match="'mle', which needs at least as many rows as columns; X is 3 x 4."):
        PCA("mle").fit(X[:3])
    with pytest.raises(FivefoldError, match="not fitted yet; call `fit`"):
        PCA().transform(X)
    model = PCA(2).fit(X)
    with pytest.raises(
        FivefoldError, match=re.escape("Projections have the shape (60, 4); give one column a component: (n, 2).")
    ):
        model.inverse_transform(X)
    with pytest.raises(FivefoldError, match="The fitted covariance is singular"):
        PCA().fit(np.column_stack([X, X[:, 0]])[:, [0, 4]] * [1.0, 0.0]).score(X[:, :2])
