"""K-fold cross-validation: the definition, scikit-learn's indices, the closed form of leave-one-out."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "k-fold-cv", claim="Contiguous folds, the first n mod k one row larger; 5 by default", against="the definition"
)
def k_fold_definition() -> Check:
    from fivefold.evaluation.validation import KFold

    expected = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    wrong = 0
    for (train, test), fold in zip(KFold(3).split(np.zeros(11)), expected, strict=True):
        wrong += int(test.tolist() != fold) + int(train.tolist() != [i for i in range(11) if i not in fold])
    wrong += int([len(test) for _, test in KFold().split(range(53))] != [11, 11, 11, 10, 10])
    wrong += int(KFold(7).get_n_splits() != 7)
    return Check(wrong, 0, "folds that differ", "by hand")


@evidence("k-fold-cv", claim="Folds equal index by index, shuffled too", against="scikit-learn's four splitters")
def k_fold_sklearn() -> Check:
    import sklearn.model_selection as peer

    from fivefold.evaluation import validation as ours

    rng = np.random.default_rng(0)
    wrong = 0
    for n in (30, 53, 100):
        # Class 2 appears first and groups are of unequal size, with ties.
        y = np.concatenate([[2], rng.integers(0, 3, n - 1)])
        groups = rng.integers(0, 13, n)
        for k in (2, 3, 5):
            cases = [
                (name, {"n_splits": k, **options}, target, group)
                for name, target, group in (
                    ("KFold", None, None),
                    ("StratifiedKFold", y, None),
                    ("GroupKFold", None, groups),
                )
                for options in ({}, {"shuffle": True, "random_state": 0}, {"shuffle": True, "random_state": 7})
            ]
            for options in ({}, {"gap": 2}, {"test_size": 3, "max_train_size": 10}, {"test_size": 4, "gap": 1}):
                cases.append(("TimeSeriesSplit", {"n_splits": k, **options}, None, None))
            for name, options, target, group in cases:
                mine = list(getattr(ours, name)(**options).split(np.zeros(n), target, group))
                other = list(getattr(peer, name)(**options).split(np.zeros(n), target, group))
                same = len(mine) == len(other) and all(
                    np.array_equal(a, c) and np.array_equal(b, d) for (a, b), (c, d) in zip(mine, other)
                )
                wrong += int(not same)
    return Check(wrong, 0, "splits that differ of 117", "scikit-learn")


@evidence("holdout-validation", claim="Scores of each fold equal", against="scikit-learn cross_val_score")
@evidence("k-fold-cv", claim="Scores of each fold equal", against="scikit-learn cross_val_score")
def k_fold_scores() -> Check:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import KFold as PeerKFold
    from sklearn.model_selection import cross_val_score

    from fivefold.evaluation.selection import cross_validate
    from fivefold.evaluation.validation import KFold

    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    y = X @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=150)
    label = np.where(y > 0.3, "yes", "no")
    errors = []
    for metric, scoring in (("roc-auc", "roc_auc"), ("accuracy", "accuracy"), ("log-loss", "neg_log_loss")):
        mine = cross_validate(LogisticRegression(), X, label, metrics=metric).scores[metric]
        other = cross_val_score(LogisticRegression(), X, label, scoring=scoring, cv=5)
        errors.append(mine - (-other if metric == "log-loss" else other))
    mine = cross_validate(Ridge(), X, y, cv=KFold(4, shuffle=True, random_state=2), metrics="rmse").scores["rmse"]
    folds = PeerKFold(4, shuffle=True, random_state=2)
    errors.append(mine + cross_val_score(Ridge(), X, y, scoring="neg_root_mean_squared_error", cv=folds))
    default = cross_validate(Ridge(), X, y).scores["rmse"]
    errors.append(default + cross_val_score(Ridge(), X, y, scoring="neg_root_mean_squared_error"))
    return Check(float(np.abs(np.concatenate(errors)).max()), 1e-12, "max difference", "scikit-learn")


@evidence("leave-one-out", claim="Leave-one-out errors of least squares are e/(1 - h)", against="the PRESS identity")
@evidence("k-fold-cv", claim="Leave-one-out errors of least squares are e/(1 - h)", against="the PRESS identity")
def k_fold_press() -> Check:
    from sklearn.linear_model import LinearRegression

    from fivefold.evaluation.selection import cross_validate
    from fivefold.evaluation.validation import KFold

    rng = np.random.default_rng(0)
    X = rng.normal(size=(25, 3))
    y = X @ [1.0, 2.0, -1.0] + rng.normal(size=25)
    design = np.column_stack([np.ones(25), X])
    hat = design @ np.linalg.pinv(design)
    closed = np.abs((y - hat @ y) / (1 - np.diag(hat)))
    found = cross_validate(LinearRegression(), X, y, cv=KFold(25), metrics="mae")
    wrong = np.abs(found.scores["mae"] - closed).max()
    # The mean and the unbiased variance of these errors, by their definitions.
    wrong += abs(found.mean["mae"] - closed.sum() / 25)
    wrong += abs(found.variance["mae"] - ((closed - closed.sum() / 25) ** 2).sum() / 24)
    wrong += abs(found.std["mae"] ** 2 - found.variance["mae"])
    return Check(float(wrong), 1e-11, "sum of differences", "closed form")


@evidence(
    "holdout-validation", claim="Weights reach both the fit and the metric", against="rows repeated by their weight"
)
@evidence("k-fold-cv", claim="Weights reach both the fit and the metric", against="rows repeated by their weight")
def k_fold_weights() -> Check:
    from sklearn.linear_model import LinearRegression

    from fivefold.evaluation.selection import cross_validate
    from fivefold.evaluation.validation import GroupKFold

    rng = np.random.default_rng(0)
    X, copies = rng.normal(size=(40, 2)), rng.integers(1, 4, 40)
    y = X[:, 0] ** 2 + rng.normal(size=40)
    row = np.arange(40) % 5  # folds by group, so that copies stay together
    cv = GroupKFold(5, shuffle=True, random_state=0)
    weighted = cross_validate(LinearRegression(), X, y, cv=cv, groups=row, sample_weight=copies)
    again = cross_validate(
        LinearRegression(), np.repeat(X, copies, axis=0), np.repeat(y, copies), cv=cv, groups=np.repeat(row, copies)
    )
    return Check(float(np.abs(weighted.scores["rmse"] - again.scores["rmse"]).max()), 1e-12, "max difference", "copies")


@evidence(
    "holdout-validation",
    claim="3 folds × 3 models: the least mean error wins and is refitted",
    against="the closed form",
)
@evidence("k-fold-cv", claim="3 folds × 3 models: the least mean error wins and is refitted", against="the closed form")
def k_fold_selects() -> Check:
    from sklearn.linear_model import Ridge

    from fivefold.evaluation.selection import select_model
    from fivefold.evaluation.validation import KFold

    rng = np.random.default_rng(3)
    X = rng.normal(size=(45, 30))
    y = X @ rng.normal(size=30) + 5.0 * rng.normal(size=45)
    models = {f"alpha={a:g}": Ridge(alpha=a, fit_intercept=False) for a in (1e-6, 10.0, 1e6)}
    chosen = select_model(models, X, y, cv=KFold(3), metric="rmse")

    def solve(rows: np.ndarray, a: float) -> np.ndarray:
        return np.linalg.solve(X[rows].T @ X[rows] + a * np.eye(30), X[rows].T @ y[rows])

    means = []
    for a in (1e-6, 10.0, 1e6):
        errors = []
        for k in range(3):
            test = np.arange(45) // 15 == k
            errors.append(np.sqrt(np.mean((y[test] - X[test] @ solve(~test, a)) ** 2)))
        means.append(np.mean(errors))
    wrong = largest(abs(chosen.results[n].mean["rmse"] - m) / m for n, m in zip(models, means))
    wrong += float(list(models).index(chosen.name) != int(np.argmin(means)))
    wrong += float(np.abs(chosen.estimator.coef_ - solve(np.arange(45), models[chosen.name].alpha)).max())
    return Check(float(wrong), 1e-6, "sum of differences", "normal equations")


@evidence(
    "k-fold-cv",
    claim="Defaults are 5 folds in order; what cannot be split is refused in a sentence",
    against="one case for each rule",
)
def k_fold_contract() -> Check:
    import warnings
    from collections.abc import Callable
    from typing import Any

    from fivefold.base.errors import InputError
    from fivefold.evaluation.validation import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    X, y = np.zeros((20, 2)), np.arange(20) % 2
    rare = np.r_[np.zeros(16, int), np.ones(4, int)]
    wrong = 0
    for splitter in (KFold(), StratifiedKFold(), GroupKFold()):
        wrong += int(splitter.get_n_splits() != 5 or splitter.shuffle or splitter.random_state is not None)
    time = TimeSeriesSplit()
    wrong += int((time.get_n_splits(), time.gap, time.test_size, time.max_train_size) != (5, 0, None, None))

    def splits(splitter: Any, *data: Any) -> list[list[int]]:
        return [test.tolist() for _, test in splitter.split(*data)]

    # A column counts as a vector, a frame or list has rows, whole floats are classes.
    wrong += int(splits(StratifiedKFold(2), X, y[:, None]) != splits(StratifiedKFold(2), X, y))
    wrong += int(splits(StratifiedKFold(2), X.tolist(), y.astype(float)) != splits(StratifiedKFold(2), X, y))
    wrong += int(splits(TimeSeriesSplit(2, test_size=1, gap=1), X[:4]) != [[2], [3]])  # one row is left to train on
    slides = [train.tolist() for train, _ in TimeSeriesSplit(2, test_size=1, max_train_size=1).split(X[:4])]
    wrong += int(slides != [[1], [2]])
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: KFold(1), ">= 2, got 1"),
        (lambda: KFold(True), ">= 2, got True"),
        (lambda: KFold(2.0), ">= 2, got 2.0"),
        (lambda: KFold(random_state=1), "without shuffle=True"),
        (lambda: KFold(shuffle=1), "True or False"),
        (lambda: splits(KFold(5), X[:4]), "5 folds of 4 rows"),
        (lambda: splits(StratifiedKFold(), X), "needs y"),
        (lambda: splits(StratifiedKFold(), X, np.ones((20, 2))), "(20, 2)"),
        (lambda: splits(StratifiedKFold(), X, y[:7]), "(7,)"),
        (lambda: splits(StratifiedKFold(), X, y + 0.5), "continuous"),
        (lambda: splits(StratifiedKFold(), X, np.arange(20) // 4), "only 4 rows"),
        (lambda: splits(GroupKFold(), X, y), "needs groups"),
        (lambda: splits(GroupKFold(5), X, y, np.arange(20) % 4), "5 folds of 4 groups"),
        (lambda: TimeSeriesSplit(gap=-1), "gap"),
        (lambda: TimeSeriesSplit(test_size=0), "test_size"),
        (lambda: TimeSeriesSplit(max_train_size=0), "max_train_size"),
        (lambda: TimeSeriesSplit(n_splits=1), "n_splits"),
        (lambda: splits(TimeSeriesSplit(2, test_size=1, gap=1), X[:3]), "nothing to train"),
        (lambda: splits(TimeSeriesSplit(5), X[:5]), "nothing to train"),
    ]
    for call, words in cases:
        try:
            call()
            wrong += 1
        except InputError as error:
            wrong += int(words not in str(error))
    for target, expected in ((rare, 1), (np.r_[np.zeros(15, int), np.ones(5, int)], 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            splits(StratifiedKFold(5), X, target)
        wrong += int(len(caught) != expected or any("only 4 rows" not in str(w.message) for w in caught))
    return Check(wrong, 0, "violations", "the contract")


@evidence(
    "holdout-validation",
    claim="Weights reach the choice and the fit of the winner; of equal means the first; bools and texts are no folds",
    against="rows repeated by their weight",
)
def selection_weights() -> Check:
    from sklearn.linear_model import LogisticRegression, Ridge

    from fivefold.base.errors import InputTypeError
    from fivefold.evaluation.selection import cross_validate, select_model
    from fivefold.evaluation.validation import GroupKFold, KFold, StratifiedKFold

    rng, wrong = np.random.default_rng(5), 0.0
    X = rng.normal(size=(40, 3))
    y = X[:, 0] + rng.normal(size=40)
    row, copies = np.arange(40) % 4, rng.integers(1, 9, 40)
    models = {"little": Ridge(0.1), "again": Ridge(0.1), "some": Ridge(30.0), "much": Ridge(1e4)}
    more = {"cv": GroupKFold(4), "metric": "rmse"}
    found = select_model(models, X, y, groups=row, sample_weight=copies, **more)
    many = [np.repeat(v, copies, axis=0) for v in (X, y, row)]
    other = select_model(models, many[0], many[1], groups=many[2], **more)
    for name in models:
        # Groups of equal weight sums may be dealt otherwise, so each fold is compared with the one of its rows.
        a, b = found.results[name].scores["rmse"], other.results[name].scores["rmse"]
        wrong += float(np.abs(np.sort(a) - np.sort(b)).max())
    wrong += float(found.name != other.name) + float(np.abs(found.estimator.coef_ - other.estimator.coef_).max())
    even = select_model({"first": Ridge(0.1), "second": Ridge(0.1)}, X, y)
    wrong += float(even.name != "first") + float(len(even.results["first"].scores["rmse"]) != 5)
    label = (y > 0).astype(int)
    kept = cross_validate(LogisticRegression(), X, label, cv=3, return_estimator=True)
    folds = list(StratifiedKFold(3).split(X, label))
    wrong += float(list(kept.scores) != ["roc-auc"]) + float(len(kept.estimators) != 3)
    for (train, _), model in zip(folds, kept.estimators):
        wrong += float(np.abs(model.coef_ - LogisticRegression().fit(X[train], label[train]).coef_).max())
    third = np.arange(40) % 3
    wrong += float(list(cross_validate(LogisticRegression(), X, third).scores) != ["log-loss"])
    wrong += float(len(cross_validate(Ridge(), X, y, cv=KFold(4)).estimators))
    wrong += float(not (kept.fit_time > 0).all() or not (kept.predict_time > 0).all() or not kept.fit_time.max() <= 60)
    for cv in (True, "split", 2.0):
        try:
            cross_validate(Ridge(), X, y, cv=cv)
            wrong += 1
        except InputTypeError as error:
            wrong += float("number of folds" not in str(error))
    return Check(float(wrong), 1e-9, "sum of differences", "copies")
