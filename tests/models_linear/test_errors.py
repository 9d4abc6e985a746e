"""Bad input is refused in one sentence, and the sentence is the one that users read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import CapabilityError, DataError, FivefoldError, InputError, InputTypeError, TrainingError
from fivefold.base.estimator import NotFittedError
from fivefold.models.linear import (
    GaussianNB,
    KNeighborsClassifier,
    KNeighborsRegressor,
    LinearRegression,
    LogisticRegression,
    Ridge,
    SoftmaxRegression,
)

X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 0.0], [3.0, 2.0], [5.0, 5.0]])
TWO, THREE, REAL = ["n", "y", "n", "y", "y"], ["a", "b", "c", "a", "b"], [0.5, 1.0, 2.5, 3.0, 9.0]
WEIGHTS = [1.0, 1.0, 1.0, 1.0, 1.0]


def nan_in(rows: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    rows[1, 1] = np.nan
    return rows


CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "NaN": (
        lambda: Ridge().fit(nan_in(X), REAL),
        DataError,
        "Input X contains NaN. Fill or drop such rows first; SimpleImputer fills missing values.",
    ),
    "one dimension": (
        lambda: Ridge().fit(REAL, REAL),
        DataError,
        "Expected 2D array, got 1D array instead. Reshape your data: X.reshape(-1, 1) for one feature, "
        "X.reshape(1, -1) for one row.",
    ),
    "weights of another length": (
        lambda: LinearRegression().fit(X, REAL, sample_weight=[1.0, 2.0]),
        DataError,
        "`sample_weight` has the shape (2,), X has 5 rows; give one weight a row: (5,).",
    ),
    "negative weight": (
        lambda: GaussianNB().fit(X, TWO, sample_weight=[1, 1, 1, 1, -2]),
        DataError,
        "`sample_weight` contains the negative weight -2; give weights >= 0.",
    ),
    "weight not a number": (
        lambda: Ridge().fit(X, REAL, sample_weight=[1, 1, 1, 1, np.nan]),
        DataError,
        "`sample_weight` contains NaN or infinity; give finite weights >= 0.",
    ),
    "weight as text": (
        lambda: Ridge().fit(X, REAL, sample_weight=["one"] * 5),
        DataError,
        "`sample_weight` cannot be read as numbers: could not convert string to float: 'one'.",
    ),
    "no weight": (
        lambda: Ridge().fit(X, REAL, sample_weight=[0.0] * 5),
        DataError,
        "`sample_weight` is zero everywhere; at least one row needs a weight above zero.",
    ),
    "solver": (
        lambda: LinearRegression(solver="closed").fit(X, REAL),
        InputError,
        "`solver` is 'closed'; give one of 'closed-form', 'gradient-descent'.",
    ),
    "start of a closed form": (
        lambda: LinearRegression().fit(X, REAL, coef_init=[0, 0]),
        InputError,
        "`coef_init` and `intercept_init` are for solver='gradient-descent'; the closed form has no start.",
    ),
    "start of another shape": (
        lambda: LinearRegression(solver="gradient-descent").fit(X, REAL, coef_init=[0, 0, 0]),
        DataError,
        "`coef_init` has the shape (3,); 1 targets and 2 features need 2 numbers.",
    ),
    "learning rate": (
        lambda: LinearRegression(solver="gradient-descent", learning_rate=0).fit(X, REAL),
        InputError,
        "`learning_rate` is 0; give a number > 0.",
    ),
    "iterations": (
        lambda: LogisticRegression(max_iter=2.5).fit(X, TWO),
        InputTypeError,
        "`max_iter` is 2.5 of type float; give a whole number >= 1.",
    ),
    "no iterations": (
        lambda: LogisticRegression(max_iter=0).fit(X, TWO),
        InputError,
        "`max_iter` is 0; give a whole number >= 1.",
    ),
    "alpha": (
        lambda: Ridge(-1.0).fit(X, REAL),
        InputError,
        "`alpha` is -1.0; give a number >= 0 or one for each target.",
    ),
    "alpha as text": (
        lambda: Ridge("much").fit(X, REAL),
        InputError,
        "`alpha` is 'much'; give a number >= 0 or one for each target.",
    ),
    "alpha of another shape": (
        lambda: Ridge([1.0, 2.0]).fit(X, REAL),
        InputError,
        "`alpha` has the shape (2,); y has 1 targets, give one number or 1.",
    ),
    "singular": (
        lambda: Ridge(0.0, solver="cholesky").fit(np.ones((5, 2)), REAL),
        DataError,
        "solver='cholesky' met a singular matrix: features depend on each other and alpha does not make up for it; "
        "use solver='svd' or a larger alpha.",
    ),
    "C": (lambda: LogisticRegression(C=0).fit(X, TWO), InputError, "`C` is 0; give a number > 0."),
    "C as text": (
        lambda: SoftmaxRegression(C="1").fit(X, THREE),
        InputTypeError,
        "`C` is '1' of type str; give a number > 0.",
    ),
    "penalty": (
        lambda: LogisticRegression(penalty="l1").fit(X, TWO),
        InputError,
        "`penalty` is 'l1'; give one of 'l2', None.",
    ),
    "three classes": (
        lambda: LogisticRegression().fit(X, THREE),
        DataError,
        "Only binary classification is supported. The target has 3 classes ('a', 'b', 'c'); take softmax-regression for "
        "more than two.",
    ),
    "one class": (
        lambda: LogisticRegression().fit(X, ["n"] * 5),
        DataError,
        "LogisticRegression needs two classes; y holds one class, 'n'. Give rows of both.",
    ),
    "one class of many": (
        lambda: SoftmaxRegression().fit(X, ["n"] * 5),
        DataError,
        "SoftmaxRegression needs two classes or more; y holds one class, 'n'. Give rows of the others.",
    ),
    "one class with weight": (
        lambda: LogisticRegression().fit(X, TWO, sample_weight=[1, 0, 1, 0, 0]),
        DataError,
        "LogisticRegression needs two classes with weight; only the class 'n' has any.",
    ),
    "class weight of a stranger": (
        lambda: LogisticRegression(class_weight={"maybe": 1.0}).fit(X, TWO),
        InputError,
        "`class_weight` names the class 'maybe', which y does not hold: ['n', 'y'].",
    ),
    "class weight as a list": (
        lambda: LogisticRegression(class_weight=[1, 2]).fit(X, TWO),
        InputTypeError,
        "`class_weight` is [1, 2] of type list; give None, 'balanced' or a mapping from class to weight.",
    ),
    "class weights of zero": (
        lambda: LogisticRegression(class_weight={"n": 0.0, "y": 0.0}).fit(X, TWO),
        DataError,
        "`class_weight` and `sample_weight` together are zero everywhere; no row has any weight.",
    ),
    "continuous target": (
        lambda: GaussianNB().fit(X, REAL),
        DataError,
        "Unknown label type: y is continuous; a classifier needs classes, so bin the target or take a regressor.",
    ),
    "no variance": (
        lambda: GaussianNB().fit(np.ones((5, 2)), TWO),
        DataError,
        "A feature does not vary within the class 'n' (total weight 5; n_samples=1 has no variance) and var_smoothing=1e-09 "
        "adds nothing: drop constant features, bring more rows or set var_smoothing above zero.",
    ),
    "priors": (
        lambda: GaussianNB(priors=[0.5, 0.6]).fit(X, TWO),
        InputError,
        "`priors` is [0.5, 0.6]; give numbers >= 0 that sum to 1.",
    ),
    "priors of another length": (
        lambda: GaussianNB(priors=[1.0]).fit(X, TWO),
        InputError,
        "`priors` has the shape (1,); give one number for each of the 2 classes.",
    ),
    "smoothing": (
        lambda: GaussianNB(var_smoothing=-1e-9).fit(X, TWO),
        InputError,
        "`var_smoothing` is -1e-09; give a number >= 0.",
    ),
    "first batch without classes": (
        lambda: GaussianNB().partial_fit(X, TWO),
        InputError,
        "`classes` must be passed on the first call to partial_fit: later batches may bring new labels.",
    ),
    "a label not announced": (
        lambda: GaussianNB().partial_fit(X, THREE, classes=["a", "b"]),
        DataError,
        "y holds the label 'c', which is not in the initial classes ['a', 'b']; name every label in the first call to "
        "partial_fit.",
    ),
    "other classes later": (
        lambda: GaussianNB().partial_fit(X, TWO, classes=["n", "y"]).partial_fit(X, TWO, classes=["n", "x", "y"]),
        InputError,
        "`classes`=['n', 'x', 'y'] differs from ['n', 'y'] of the first call to partial_fit; leave it out or fit anew.",
    ),
    "neighbors": (
        lambda: KNeighborsClassifier(0).fit(X, TWO),
        InputError,
        "`n_neighbors` is 0; give a whole number >= 1.",
    ),
    "too many neighbors": (
        lambda: KNeighborsRegressor(6).fit(X, REAL).predict(X),
        InputError,
        "Expected n_neighbors <= n_samples_fit, but n_neighbors = 6, n_samples_fit = 5; ask for at most 5.",
    ),
    "too many others": (
        lambda: KNeighborsRegressor(5).fit(X, REAL).kneighbors(),
        InputError,
        "Expected n_neighbors <= n_samples_fit, but n_neighbors = 5, n_samples_fit = 5 of which a row does not count "
        "itself; ask for at most 4.",
    ),
    "tree of sparse rows": (
        lambda: KNeighborsClassifier(algorithm="kd_tree").fit(sp.csr_array(X), TWO),
        CapabilityError,
        "algorithm='kd_tree' needs dense X, got a sparse matrix; use 'brute' or 'auto', or X.toarray().",
    ),
    "weights of neighbors": (
        lambda: KNeighborsClassifier(weights="far").fit(X, TWO),
        InputError,
        "`weights` is 'far'; give one of 'uniform', 'distance'.",
    ),
    "weights of another shape": (
        lambda: KNeighborsClassifier(weights=lambda d: d[0]).fit(X, TWO).predict(X),
        InputError,
        "`weights` gave the shape (5,) for distances of shape (5, 5).",
    ),
    "weights of zero": (
        lambda: KNeighborsRegressor(weights=lambda d: 0 * d).fit(X, REAL).predict(X),
        DataError,
        "`weights` gave no neighbor of a row any weight; give weights whose sum is above zero.",
    ),
    "exponent": (
        lambda: KNeighborsRegressor(p=0.5).fit(X, REAL),
        InputError,
        "`p` is 0.5; give a number >= 1.",
    ),
    "metric": (
        lambda: KNeighborsRegressor(metric="haversine").fit(X, REAL),
        InputError,
        "`metric` is 'haversine'; give one of 'minkowski', 'euclidean', 'l2', 'manhattan', 'cityblock', 'l1', "
        "'chebyshev', 'cosine'.",
    ),
    "not fitted": (
        lambda: Ridge().predict(X),
        NotFittedError,
        "This Ridge is not fitted yet; call `fit` before using it.",
    ),
    "another width": (
        lambda: KNeighborsRegressor(2).fit(X, REAL).predict(X[:, :1]),
        DataError,
        "X has 1 features, but KNeighborsRegressor is expecting 2 features as input.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name: str) -> None:
    act, kind, text = CASES[name]
    with pytest.raises(FivefoldError) as caught:
        act()
    assert isinstance(caught.value, kind)
    assert str(caught.value) == text


def test_divergence_names_the_limit() -> None:
    with pytest.raises(
        TrainingError, match=r"learning_rate=10 is above 0\.\d+, twice the inverse of the largest curvature"
    ):
        LinearRegression(solver="gradient-descent", learning_rate=10).fit(X, REAL)


def test_an_unfinished_descent_warns() -> None:
    with pytest.warns(ConvergenceWarning, match="ended after max_iter=3 steps"):
        LinearRegression(solver="gradient-descent", max_iter=3).fit(X, REAL)


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
def test_an_unfinished_classifier_warns(solver: str) -> None:
    with pytest.warns(ConvergenceWarning, match=r"did not reach tol=1e-08: .*Raise `max_iter`"):
        LogisticRegression(solver=solver, max_iter=1, tol=1e-8).fit(X, TWO)
