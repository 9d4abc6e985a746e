"""Counting and Gaussian models and the perceptron: what is refused and how; saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import fivefold
from fivefold.base.errors import DataError, FivefoldError, InputError, InputTypeError
from fivefold.models.linear import (
    BernoulliNB,
    CategoricalNB,
    LinearDiscriminantAnalysis,
    Perceptron,
    QuadraticDiscriminantAnalysis,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
CODES = RNG.integers(0, 3, size=(30, 3))
TWO = np.where(X[:, 0] > 0, "y", "n")

CASES: dict[str, tuple[Callable[[], Any], type[FivefoldError], str]] = {
    "alpha": (lambda: BernoulliNB(alpha=-1).fit(X, TWO), InputError, "`alpha` is -1; give a number >= 0."),
    "binarize": (
        lambda: BernoulliNB(binarize="yes").fit(X, TWO),
        InputTypeError,
        "`binarize` is 'yes' of type str; give a finite number.",
    ),
    "not binary": (
        lambda: BernoulliNB(binarize=None).fit(X, TWO),
        DataError,
        "X holds values other than 0 and 1; set `binarize` to the number above which they are 1.",
    ),
    "a negative cut of sparse rows": (
        lambda: BernoulliNB(binarize=-1.0).fit(sp.csr_array(X), TWO),
        InputError,
        "`binarize` is -1.0; with sparse X give a number >= 0, else every empty entry is one.",
    ),
    "impossible": (
        lambda: BernoulliNB(alpha=0).fit([[0.0], [0.0]], ["a", "b"]).predict_proba([[1.0]]),
        DataError,
        "Row 0 is impossible under every class: with alpha=0 a value that a class never had has no probability; set "
        "`alpha` above zero.",
    ),
    "priors": (
        lambda: CategoricalNB(priors=[0.5, 0.6]).fit(CODES, TWO),
        InputError,
        "`priors` is [0.5, 0.6]; give numbers >= 0 that sum to 1.",
    ),
    "fractions": (
        lambda: CategoricalNB().fit(np.abs(X), TWO),
        DataError,
        "X holds fractions; give the codes 0, 1, 2 ... of categories, or bin the numbers.",
    ),
    "negative codes": (
        lambda: CategoricalNB().fit(CODES - 1, TWO),
        DataError,
        "Negative values in data passed to CategoricalNB: -1; give codes 0, 1, 2 ....",
    ),
    "a code without end": (
        lambda: CategoricalNB().fit(CODES * 10**9, TWO),
        DataError,
        "X holds the code 2e+09; number the categories 0, 1, 2 ... without gaps.",
    ),
    "m": (lambda: CategoricalNB(m=-3).fit(CODES, TWO), InputError, "`m` is -3; give a number >= 0."),
    "least categories": (
        lambda: CategoricalNB(min_categories=[2, 2]).fit(CODES, TWO),
        InputError,
        "`min_categories` is [2, 2]; give a whole number or one for each of the 3 features.",
    ),
    "first batch without classes": (
        lambda: CategoricalNB().partial_fit(CODES, TWO),
        InputError,
        "`classes` must be passed on the first call to partial_fit: later batches may bring new labels.",
    ),
    "a label not announced": (
        lambda: BernoulliNB().partial_fit(X, TWO, classes=["n", "x"]),
        DataError,
        "y holds the label 'y', which is not in the initial classes ['n', 'x']; name every label in the first call to "
        "partial_fit.",
    ),
    "directions": (
        lambda: LinearDiscriminantAnalysis(n_components=2).fit(X, TWO),
        InputError,
        "`n_components` is 2; 2 classes and 3 features have at most 1 directions.",
    ),
    "one class": (
        lambda: LinearDiscriminantAnalysis().fit(X, ["n"] * 30),
        DataError,
        "LinearDiscriminantAnalysis needs two classes or more with weight; y holds one class, 'n'.",
    ),
    "priors of a discriminant": (
        lambda: QuadraticDiscriminantAnalysis(priors=[1.0, 0.0]).fit(X, TWO),
        InputError,
        "`priors` is [1.0, 0.0]; give numbers > 0 that sum to 1.",
    ),
    "nothing varies": (
        lambda: LinearDiscriminantAnalysis().fit(np.ones((4, 2)), ["a", "a", "b", "b"]),
        DataError,
        "No feature varies within the classes; drop constant features or bring more rows.",
    ),
    "singular": (
        lambda: QuadraticDiscriminantAnalysis().fit(np.hstack([X, X]), TWO),
        DataError,
        f"The covariance of the class 'n' (total weight {(TWO == 'n').sum()}; n_samples=1 has none) is singular: drop "
        "constant or dependent features, bring more rows or set `reg_param` above zero.",
    ),
    "ddof": (
        lambda: QuadraticDiscriminantAnalysis(ddof=2).fit(X, TWO),
        InputError,
        "`ddof` is 2; give 0 or 1.",
    ),
    "step": (lambda: Perceptron(0).fit(X, TWO), InputError, "`eta0` is 0; give a number > 0."),
    "passes": (lambda: Perceptron(max_iter=0).fit(X, TWO), InputError, "`max_iter` is 0; give a whole number >= 1."),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name: str) -> None:
    act, kind, text = CASES[name]
    with pytest.raises(FivefoldError) as caught:
        act()
    assert isinstance(caught.value, kind)
    assert str(caught.value) == text


@pytest.mark.parametrize("method", [BernoulliNB, LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis, Perceptron])
def test_a_saved_model_answers_the_same(method: Any, tmp_path: Path) -> None:
    model = method().fit(X, TWO)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").predict(X), model.predict(X))
