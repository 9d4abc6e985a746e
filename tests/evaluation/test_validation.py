"""Splitters, cross-validation and diagnostics: properties and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import cross_val_score

from fivefold.base.errors import CapabilityError, DataError, InputError, InputTypeError, UnknownNameError
from fivefold.evaluation.diagnostics import bias_variance_decomposition, decompose
from fivefold.evaluation.selection import cross_validate, select_model
from fivefold.evaluation.validation import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: KFold(1), "n_splits must be a whole number >= 2, got 1"),
        (lambda: KFold(2.5), "n_splits must be a whole number"),
        (lambda: KFold(random_state=3), "random_state has no effect without shuffle=True"),
        (lambda: KFold(shuffle="yes"), "shuffle must be True or False"),
        (lambda: TimeSeriesSplit(gap=-1), "gap must be a whole number >= 0"),
        (lambda: list(KFold(5).split(X[:3])), "cannot make 5 folds of 3 rows"),
        (lambda: list(StratifiedKFold(5).split(X)), "StratifiedKFold needs y"),
        (lambda: list(StratifiedKFold(5).split(X, X[:, 0])), "use KFold for a continuous target"),
        (lambda: list(StratifiedKFold(5).split(X, np.arange(40) // 4)), "the largest class has only 4 rows"),
        (lambda: list(StratifiedKFold(5).split(X, Y[:9])), "y must have shape (40,)"),
        (lambda: list(GroupKFold(5).split(X, Y)), "GroupKFold needs groups"),
        (lambda: list(GroupKFold(5).split(X, Y, np.arange(40) % 3)), "cannot make 5 folds of 3 groups"),
        (lambda: list(TimeSeriesSplit(5, gap=10).split(X)), "leaves nothing to train the first of 5 folds"),
        (lambda: list(TimeSeriesSplit(5).split(X[:4])), "leaves nothing to train"),
        (lambda: cross_validate(LinearRegression(), X, Y[:7]), "X has 40 rows, y has 7"),
        (lambda: cross_validate(LinearRegression(), X, Y, sample_weight=[1.0]), "sample_weight must have shape (40,)"),
        (lambda: select_model({}, X, Y), "at least one candidate"),
        (lambda: decompose(np.ones((1, 4)), np.ones(4)), "D >= 2 models"),
        (lambda: decompose(np.full((2, 4), np.nan), np.ones(4)), "finite predictions"),
        (lambda: decompose(np.ones((2, 4)), np.ones(4), noise=-1), "noise is a variance"),
        (lambda: decompose(np.ones((2, 4)), np.ones(4), targets=np.ones(4)), "targets must have the shape"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


def test_other_refusals() -> None:
    with pytest.raises(InputTypeError, match="cv must be a number of folds or a splitter"):
        cross_validate(LinearRegression(), X, Y, cv="five")
    with pytest.raises(UnknownNameError, match="Unknown metric 'rsme'"):
        cross_validate(LinearRegression(), X, Y, metrics="rsme")
    with pytest.raises(CapabilityError, match="RidgeClassifier has no predict_proba"):
        cross_validate(RidgeClassifier(), X, Y, metrics="log-loss")
    with pytest.raises(DataError, match="needs rows of both classes"):
        cross_validate(LogisticRegression(), X, np.sort(Y), cv=TimeSeriesSplit(2, test_size=3), metrics="roc-auc")


def test_a_rare_class_warns() -> None:
    y = np.r_[np.zeros(37, int), [1, 1, 1]]
    with pytest.warns(UserWarning, match="only 3 rows, fewer than n_splits=5"):
        folds = list(StratifiedKFold(5).split(X, y))
    assert sum(y[test].sum() for _, test in folds) == 3


def test_groups_stay_together_and_time_stays_in_order() -> None:
    groups = np.arange(40) % 7
    for train, test in GroupKFold(3).split(X, groups=groups):
        assert not set(groups[train]) & set(groups[test])
    for train, test in TimeSeriesSplit(4, gap=3).split(X):
        assert train.max() + 3 < test.min()


def test_splitters_serve_scikit_learn() -> None:
    ours = cross_val_score(LinearRegression(), X, Y, cv=KFold(4, shuffle=True, random_state=1))
    assert len(ours) == 4


def test_scores_use_the_decision_function_and_the_classes() -> None:
    found = cross_validate(RidgeClassifier(), X, Y, metrics=["roc-auc", "accuracy"], return_estimator=True)
    assert found.scores["roc-auc"].shape == (5,) and len(found.estimators) == 5
    assert (found.fit_time > 0).all() and "roc-auc" in str(found)
    # A fold without class 2 is scored all the same, because the fitted classes are known.
    y = np.arange(40) % 3
    y[np.arange(0, 8)] %= 2
    result = cross_validate(LogisticRegression(), X, y, cv=KFold(5), metrics="log-loss")
    assert np.isfinite(result.scores["log-loss"]).all()


def test_a_fixed_seed_gives_the_same_decomposition() -> None:
    def sampler(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(20, 1))
        return x, x[:, 0] ** 2 + rng.normal(size=20)

    points = np.linspace(-1, 1, 5)[:, None]
    runs = [
        bias_variance_decomposition(
            LinearRegression(), sampler, points, points[:, 0] ** 2, noise=1.0, n_datasets=200, random_state=4
        )
        for _ in range(2)
    ]
    assert runs[0].error == runs[1].error and "squared bias" in str(runs[0])
    assert abs(runs[0].gap) < 5 * runs[0].standard_error
