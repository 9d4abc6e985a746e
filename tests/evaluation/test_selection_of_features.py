"""Hold-out, leave-one-out and selection of columns: what they refuse, names of columns, pipelines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import NotFittedError
from fivefold.evaluation.feature_scores import feature_scores
from fivefold.evaluation.feature_selection import EmbeddedSelector, FilterSelector
from fivefold.evaluation.feature_wrapper import WrapperSelector
from fivefold.evaluation.holdout import HoldOut, LeaveOneOut, holdout_select, leave_one_out_residuals

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
Y = (X[:, 1] > 0).astype(int)
V = X[:, 1] + 0.1 * RNG.normal(size=40)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: HoldOut(1.5), InputError, "test_size must be a share in (0, 1) or a number of rows >= 1, got 1.5"),
        (lambda: HoldOut(True), InputError, "got True"),
        (lambda: HoldOut(shuffle=False, stratify=True), InputError, "no effect without shuffle=True"),
        (lambda: next(HoldOut(40).split(X)), InputError, "holds out 40 of 40 rows and leaves none"),
        (lambda: next(HoldOut(stratify=True).split(X)), DataError, "needs y"),
        (lambda: next(HoldOut(stratify=True).split(X, np.arange(40) == 3)), DataError, "the rarest class has 1"),
        (lambda: holdout_select({}, X, Y), InputError, "needs at least one candidate"),
        (lambda: next(LeaveOneOut().split(X[:1])), DataError, "at least 2 rows; got 1"),
        (lambda: leave_one_out_residuals(X, V[:-1]), DataError, "needs X (n, d), y (n,)"),
        (lambda: leave_one_out_residuals(X * np.nan, V), DataError, "holds NaN or infinite"),
        (lambda: leave_one_out_residuals(X, V, alpha=-1), InputError, "alpha must be >= 0, got -1"),
        (lambda: leave_one_out_residuals(X, V, sample_weight=-V), DataError, "numbers >= 0 with a positive sum"),
        (lambda: leave_one_out_residuals(np.eye(4), V[:4]), DataError, "alone determines a coefficient (leverage 1)"),
        (lambda: feature_scores(X, Y, criterion="r"), InputError, "criterion must be one of f, mutual-information"),
        (lambda: feature_scores(X, Y, n_neighbors=0), InputError, "n_neighbors must be a whole number >= 1"),
        (lambda: feature_scores(X[0], Y), DataError, "finite numbers of shape (n, d)"),
        (lambda: feature_scores(X), DataError, "relates columns to a target; pass y"),
        (lambda: feature_scores(X, Y[:-1]), DataError, "y must have shape (40,)"),
        (lambda: feature_scores(X, V * np.inf), DataError, "y holds NaN or infinite values"),
        (lambda: feature_scores(X, 0 * Y), DataError, "The target has one class, 0"),
        (lambda: feature_scores(X[:2], Y[:2] + [0, 1]), DataError, "needs more rows than classes"),
        (lambda: feature_scores(X, Y, criterion="chi2"), DataError, "chi2 takes counts or frequencies >= 0"),
        (lambda: feature_scores(abs(X), V, criterion="chi2"), DataError, "chi2 needs classes as target"),
        (lambda: FilterSelector(k=None).fit(X, Y), InputError, "exactly one of k, threshold and alpha; got none"),
        (lambda: FilterSelector(alpha=0.1).fit(X, Y), InputError, "got k, alpha"),
        (lambda: FilterSelector("r").fit(X, Y), InputError, "criterion must be one of"),
        (lambda: FilterSelector(k=0).fit(X, Y), InputError, "k must be a whole number >= 1"),
        (lambda: FilterSelector(k=None, alpha=2).fit(X, Y), InputError, "alpha must be in (0, 1), got 2"),
        (lambda: FilterSelector("variance", k=None, alpha=0.1).fit(X), InputError, "needs p-values"),
        (lambda: FilterSelector(k=None, threshold=1e9).fit(X, Y), DataError, "No column passes: the best f score"),
        (lambda: FilterSelector().fit(X), DataError, "requires y to be passed"),
        (lambda: FilterSelector().transform(X), NotFittedError, "not fitted yet"),
        (
            lambda: EmbeddedSelector(Lasso(9.0), threshold="nonzero").fit(X, V),
            DataError,
            "No column reaches the threshold",
        ),
        (lambda: EmbeddedSelector(Lasso(), threshold="most").fit(X, V), InputError, "'nonzero', 'mean', 'median'"),
        (lambda: EmbeddedSelector(Lasso(), max_features=0).fit(X, V), InputError, "max_features must be"),
        (
            lambda: EmbeddedSelector(KNeighborsClassifier()).fit(X, Y),
            InputError,
            "neither feature_importances_ nor coef_",
        ),
        (lambda: WrapperSelector(GaussianNB(), mode="best").fit(X, Y), InputError, "mode must be one of protocol"),
        (lambda: WrapperSelector(GaussianNB()).fit(X, Y), InputError, "The protocol needs groups"),
        (lambda: WrapperSelector(GaussianNB(), {"a": [9]}).fit(X, Y), InputError, "The group 'a' names the column 9"),
        (lambda: WrapperSelector(GaussianNB(), {"a": []}).fit(X, Y), InputError, "The group 'a' has no columns"),
        (lambda: WrapperSelector(GaussianNB(), tolerance=-1).fit(X, Y), InputError, "tolerance must be >= 0"),
        (
            lambda: WrapperSelector(GaussianNB(), {"a": [0, 1, 2, 3]}, max_combinations=9).fit(X, Y),
            InputError,
            "would score 15 combinations of 4 fields",
        ),
        (
            lambda: WrapperSelector(GaussianNB(), mode="forward", n_features=5).fit(X, Y),
            InputError,
            "between 1 and the 4",
        ),
        (
            lambda: WrapperSelector(GaussianNB(), mode="forward", base=[0, 1], n_features=1).fit(X, Y),
            InputError,
            "base has 2 columns, more than n_features=1",
        ),
        (
            lambda: WrapperSelector(LinearRegression(), {"noise": [0]}).fit(0 * X, V),
            DataError,
            "No group improves on a constant",
        ),
    ],
)
def test_refusals(call, error, words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_names_of_columns_are_kept() -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    assert FilterSelector(k=1).fit(frame, Y).get_feature_names_out().tolist() == ["b"]
    assert EmbeddedSelector(Lasso(0.1), threshold="nonzero").fit(frame, V).get_feature_names_out().tolist() == ["b"]
    wrapper = WrapperSelector(LinearRegression(), {"one": ["a", "b"], "two": ["c", "d"]}, tolerance=0.05).fit(frame, V)
    assert wrapper.get_feature_names_out().tolist() == ["b"]
    assert wrapper.transform(frame).shape == (40, 1)


def test_selectors_are_steps_of_a_pipeline_and_searched() -> None:
    pipeline = make_pipeline(FilterSelector(k=2), LogisticRegression())
    search = GridSearchCV(pipeline, {"filterselector__k": [1, 2, 3]}, cv=3).fit(X, Y)
    assert search.best_score_ > 0.8
    forest = RandomForestClassifier(10, random_state=0)
    assert make_pipeline(EmbeddedSelector(forest, max_features=1), GaussianNB()).fit(X, Y).score(X, Y) > 0.8
