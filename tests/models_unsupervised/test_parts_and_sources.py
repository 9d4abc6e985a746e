"""Refusals and warnings of NMF, independent components and kernel PCA."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import NMF, FastICA, KernelPCA

X = np.random.default_rng(0).gamma(1.0, size=(12, 4))


@pytest.mark.parametrize(
    ("model", "data", "text"),
    [
        (NMF(2), -X, "Negative values in data passed to NMF; all entries have to be >= 0."),
        (NMF(2, solver="cd"), X, "`solver` is 'cd'; give one of 'hals', 'mu'."),
        (NMF(2, beta_loss="kullback-leibler"), X, "which needs solver='mu'; 'hals' serves 'frobenius'."),
        (NMF(2, beta_loss="itakura"), X, "`beta_loss` is 'itakura'; give one of 'frobenius', 'kullback-leibler'."),
        (NMF(0), X, "`n_components` is 0; give a whole number >= 1."),
        (NMF(2, init="custom"), X, "`init` is 'custom'; give one of 'svd', 'random'."),
        (NMF(2, init=X), X, "`init` has the shape (12, 4); give finite numbers >= 0 of the shape (2, 4)."),
        (NMF(2, max_iter=0), X, "`max_iter` is 0; give a whole number >= 1."),
        (NMF(2, tol=-1.0), X, "`tol` is -1.0; give a number >= 0."),
        (FastICA(5), X, "`n_components` is 5; X is 12 x 4, so give a whole number between 1 and 4."),
        (FastICA(2), np.outer(X[:, 0], [1, 2, 3]), "X varies in 1 directions only (n_samples = 12)"),
        (FastICA(), np.ones((5, 2)), "X varies in 0 directions only (n_samples = 5), so 1 sources"),
        (FastICA(fun="tanh"), X, "`fun` is 'tanh'; give one of 'logcosh', 'exp', 'cube'."),
        (FastICA(algorithm="both"), X, "`algorithm` is 'both'; give one of 'parallel', 'deflation'."),
        (FastICA(2, w_init=np.eye(3)), X, "`w_init` has the shape (3, 3); give finite numbers of the shape (2, 2)."),
        (FastICA(tol=0.0), X, "`tol` is 0.0; give a number > 0."),
        (KernelPCA(13), X, "`n_components` is 13; there are n_samples = 12 rows, so give at most 12."),
        (KernelPCA(kernel="laplace"), X, "`kernel` is 'laplace'; give one of 'linear', 'rbf'"),
        (KernelPCA(kernel="precomputed"), X, "With kernel='precomputed' X has to be a symmetric square matrix."),
        (KernelPCA(kernel="rbf", gamma=0.0), X, "`gamma` is 0.0; give a number > 0."),
        (KernelPCA(degree=0), X, "`degree` is 0; give a number > 0."),
    ],
)
def test_refusals(model, data, text):
    with pytest.raises(FivefoldError, match=re.escape(text)):
        model.fit(data)


def test_refused_questions():
    with pytest.raises(FivefoldError, match="Coordinates have the shape"):
        NMF(2, tol=0.1).fit(X).inverse_transform(X)
    with pytest.raises(FivefoldError, match="Sources have the shape"):
        FastICA(2, random_state=0, tol=0.1).fit(X).inverse_transform(X)
    for model in (NMF(), FastICA(), KernelPCA()):
        with pytest.raises(FivefoldError, match="not fitted yet"):
            model.transform(X)


def test_warnings_name_the_setting():
    with pytest.warns(ConvergenceWarning, match="NMF stopped after max_iter=10 iterations"):
        NMF(3, max_iter=10, tol=1e-9).fit(X)
    with pytest.warns(ConvergenceWarning, match="FastICA stopped after max_iter=1 with a turn of"):
        FastICA(3, max_iter=1, tol=1e-12, random_state=0).fit(X)


def test_in_a_pipeline():
    for model in (NMF(2, tol=0.01), FastICA(2, tol=0.1, random_state=0), KernelPCA(2)):
        assert make_pipeline(MinMaxScaler(), model).fit(X).transform(X).shape == (12, 2)
