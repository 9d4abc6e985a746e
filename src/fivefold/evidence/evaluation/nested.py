"""Nested cross-validation: scikit-learn's grid search inside folds, and the optimism that it removes."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "k-fold-cv",
    claim="Nested scores and choices are those of a grid search over the other folds inside every fold, weights included",
    against="scikit-learn GridSearchCV with PredefinedSplit",
)
def nested_grid_search() -> Check:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, PredefinedSplit

    from fivefold.evaluation.nested import nested_cross_validate
    from fivefold.evaluation.validation import KFold

    rng = np.random.default_rng(0)
    X = rng.normal(size=(43, 12))
    y = X[:, 0] + 1.5 * rng.normal(size=43)
    alphas = {"weak": 20.0, "middle": 45.0, "strong": 110.0}
    fold = np.empty(43, dtype=int)
    for k, (_, test) in enumerate(KFold(4).split(X)):
        fold[test] = k
    worst, seen = 0.0, set()
    found = nested_cross_validate({n: Ridge(alpha=a) for n, a in alphas.items()}, X, y, cv=4, metric="mse")
    for k in range(4):
        inside = fold != k
        search = GridSearchCV(
            Ridge(),
            {"alpha": list(alphas.values())},
            scoring="neg_mean_squared_error",
            cv=PredefinedSplit(fold[inside]),
        ).fit(X[inside], y[inside])
        error = float(((search.predict(X[~inside]) - y[~inside]) ** 2).mean())
        worst = largest(
            worst, abs(found.scores[k] - error), float(alphas[found.chosen[k]] != search.best_params_["alpha"])
        )
        for name, mean in zip(alphas, search.cv_results_["mean_test_score"]):
            worst = largest(worst, abs(found.inner[name][k] + mean))
        seen.add(found.chosen[k])
    worst = largest(
        worst, abs(found.mean - np.mean(found.scores)), abs(found.std - np.std(found.scores) * (4 / 3) ** 0.5)
    )
    # Whole weights are rows that occur so often.
    times = rng.integers(1, 3, 43)
    weighted = nested_cross_validate({"r": Ridge()}, X, y, cv=4, metric="mse", sample_weight=times)
    copies = np.repeat(np.arange(43), times)

    class Copied:
        def split(self, X: object, y: object = None, groups: object = None) -> list[tuple[np.ndarray, np.ndarray]]:
            return [(np.flatnonzero(fold[copies] != k), np.flatnonzero(fold[copies] == k)) for k in range(4)]

    repeated = nested_cross_validate({"r": Ridge()}, X[copies], y[copies], cv=Copied(), metric="mse")
    worst = largest(worst, float(np.abs(weighted.scores - repeated.scores).max()))
    worst = largest(worst, float(np.abs(weighted.inner["r"] - repeated.inner["r"]).max()), float(len(seen) < 2))
    return Check(worst, 1e-10, "max difference", "scikit-learn")


@evidence(
    "k-fold-cv",
    claim="Among rules that only guess, the winner's mean looks better than chance and the nested mean does not",
    against="labels that nothing predicts",
)
def nested_is_honest() -> Check:
    from sklearn.base import BaseEstimator, ClassifierMixin

    from fivefold.evaluation.nested import nested_cross_validate

    class Column(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self, column: int = 0) -> None:
            self.column = column

        def fit(self, X: np.ndarray, y: np.ndarray) -> Column:
            self.classes_ = np.array([0, 1])
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return (X[:, self.column] > 0).astype(int)

    rng = np.random.default_rng(0)
    winner, nested = [], []
    for _ in range(15):
        X, y = rng.normal(size=(40, 8)), np.tile([0, 1], 20)
        found = nested_cross_validate({str(c): Column(c) for c in range(8)}, X, y, metric="accuracy")
        winner.append(max(found.outer[name].mean() for name in found.outer))
        nested.append(found.mean)
    # 15 tables of 40 rows: a fair mean errs by less than 0.5/√600 = 0.0204, times 4 for the rows that share a choice.
    wrong = float(not np.mean(winner) >= 0.58) + float(not abs(np.mean(nested) - 0.5) <= 4 * 0.0204)
    return Check(wrong, 0.0, "claims that fail", "chance")
