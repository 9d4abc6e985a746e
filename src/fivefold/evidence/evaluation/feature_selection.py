"""Filter, wrapper and embedded selection: scikit-learn, counts by hand, planted columns, closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns of which 0, 3 and 5 tell of the classes and the quantity."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 7)) * [1, 2, 3, 1, 0.1, 1, 5]
    value = X[:, 0] + 0.8 * X[:, 3] ** 2 + 2 * np.tanh(X[:, 5]) + 0.3 * rng.normal(size=150)
    return X, np.digitize(value, [-0.5, 1.5]), value


@evidence("feature-filter", claim="F, chi-square and mutual information with p-values agree", against="scikit-learn")
def filter_sklearn() -> Check:
    import sklearn.feature_selection as peer

    from fivefold.evaluation.feature_scores import feature_scores

    X, classes, value = _rows()
    counts = np.random.default_rng(1).poisson(3.0 + classes[:, None] * [0, 0.3, 1, 0, 2, 0, 0], size=X.shape)
    # Categories of many rows: in small ones scikit-learn's distances round, and so do its counts of neighbors.
    large, errors = np.clip(counts, 2, 5), []
    for (a, b), mine in (
        (peer.f_classif(X, classes), feature_scores(X, classes)),
        (peer.f_regression(X, value), feature_scores(X, value)),
        (peer.chi2(counts, classes), feature_scores(counts, classes, criterion="chi2")),
    ):
        errors += [np.abs(mine.scores / a - 1).max(), np.abs(mine.p_values - b).max()]
    for k in (3, 5):
        options: dict[str, Any] = {"criterion": "mutual-information", "n_neighbors": k}
        for target, function in ((classes, peer.mutual_info_classif), (value, peer.mutual_info_regression)):
            theirs = function(X, target, n_neighbors=k, random_state=0)
            errors.append(np.abs(feature_scores(X, target, **options).scores - theirs).max())
            theirs = function(large, target, discrete_features=True, n_neighbors=k, random_state=0)
            mine = feature_scores(large, target, discrete_features=True, **options).scores
            errors.append(np.abs(mine - theirs).max())
    return Check(float(largest(errors)), 1e-9, "max difference", "scikit-learn")


@evidence(
    "feature-filter",
    claim="The columns kept are the same",
    against="scikit-learn SelectKBest, VarianceThreshold, SelectFpr",
)
def filter_selects() -> Check:
    import sklearn.feature_selection as peer

    from fivefold.evaluation.feature_selection import FilterSelector

    X, classes, value = _rows()
    X = np.column_stack([X, np.full(150, 0.1)])  # a constant, whose variance rounds away from zero
    wrong = 0
    for k in (1, 3, 5):
        for y, function in ((classes, peer.f_classif), (value, peer.f_regression)):
            theirs = peer.SelectKBest(function, k=k).fit(X[:, :7], y)
            mine = FilterSelector(k=k).fit(X[:, :7], y)
            wrong += int(not np.array_equal(mine.get_support(), theirs.get_support()))
            wrong += int(not np.array_equal(mine.transform(X[:, :7]), theirs.transform(X[:, :7])))
    for threshold in (0.0, 0.5, 3.0):
        theirs = peer.VarianceThreshold(threshold).fit(X)
        mine = FilterSelector("variance", k=None, threshold=threshold).fit(X)
        wrong += int(not np.array_equal(mine.get_support(), theirs.get_support()))
    theirs = peer.SelectFpr(peer.f_classif, alpha=0.05).fit(X[:, :7], classes)
    mine = FilterSelector(k=None, alpha=0.05).fit(X[:, :7], classes)
    wrong += int(not np.array_equal(mine.get_support(indices=True), theirs.get_support(indices=True)))
    # Constants and ties: NaN ranks last, of equal scores the earlier column is kept, too many are all.
    tied = np.column_stack([np.ones(150), X[:, 0], X[:, 0], X[:, 1]])
    wrong += int(FilterSelector(k=1).fit(tied, classes).get_support(indices=True).tolist() != [1])
    wrong += int(not np.isnan(FilterSelector(k=3).fit(tied, classes).scores_[0]))
    wrong += int(FilterSelector(k=3).fit(tied, classes).support_.tolist() != [False, True, True, True])
    wrong += int(not FilterSelector().fit(tied, classes).support_.all())
    return Check(wrong, 0, "selections that differ", "scikit-learn")


@evidence(
    "feature-filter", claim="A 2 × 3 table, a t test and copies of the target score as they must", against="by hand"
)
def filter_by_hand() -> Check:
    from scipy.stats import ttest_ind

    from fivefold.evaluation.feature_scores import feature_scores

    # Classes a, a, b and totals (3, 1): expected (8/3, 4/3), so 1/9 · (3/8 + 3/4) = 1/8.
    wrong = abs(feature_scores([[1.0], [2.0], [1.0]], ["a", "a", "b"], criterion="chi2").scores[0] - 1 / 8)
    X, classes, _ = _rows()
    half = (classes > 0).astype(int)
    t = ttest_ind(X[half == 1], X[half == 0])
    found = feature_scores(X, half)
    wrong += np.abs(found.scores - t.statistic**2).max() + np.abs(found.p_values - t.pvalue).max()
    # Information of a column with itself is its entropy; of independent ones 0.
    x = np.repeat([0.0, 1.0, 2.0, 3.0], [10, 20, 30, 40])
    share = np.array([0.1, 0.2, 0.3, 0.4])
    options: dict[str, Any] = {"criterion": "mutual-information", "discrete_features": True}
    wrong += abs(feature_scores(x[:, None], x.astype(int), **options).scores[0] + share @ np.log(share))
    wrong += feature_scores(np.tile([0.0, 1.0], 50)[:, None], np.repeat([0, 1], 50), **options).scores[0]
    wrong += np.abs(feature_scores([[1.0, 5.0], [3.0, 5.0]], criterion="variance").scores - [1.0, 0.0]).max()
    return Check(float(wrong), 1e-10, "sum of differences", "by hand")


@evidence("feature-filter", claim="Neighbors estimate -½ ln(1 - ρ²) nats of normal pairs", against="the closed form")
def filter_information() -> Check:
    from fivefold.evaluation.feature_scores import feature_scores

    rng, worst = np.random.default_rng(0), 0.0
    for rho in (0.0, 0.6, 0.9):
        x = rng.normal(size=4000)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=4000)
        found = feature_scores(100 * x[:, None], y, criterion="mutual-information").scores[0]
        worst = largest(worst, abs(found + 0.5 * np.log(1 - rho**2)))
    # The variance of the information density of normal pairs is ρ²; neighbor noise of k = 3 adds about 1/3 + 1/n terms.
    return Check(float(worst), 5 * np.sqrt((0.81 + 1.0) / 4000), "max error in nats", "closed form")


def _planted() -> tuple[np.ndarray, np.ndarray, dict[str, list[int]]]:
    """Return a table whose base is column 0; weather (1-3) helps by 1 and 3, price (4, 5) by 5, noise (6-8) does not."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 9))
    y = X[:, 0] + 0.8 * X[:, 1] - 0.7 * X[:, 3] + 0.6 * X[:, 5] + 0.5 * rng.normal(size=240)
    return X, y, {"weather": [1, 2, 3], "price": [4, 5], "noise": [6, 7, 8]}


@evidence(
    "feature-wrapper", claim="Planted groups and fields are found, noise is not", against="how the table was made"
)
def wrapper_planted() -> Check:
    from sklearn.linear_model import LinearRegression

    from fivefold.evaluation.feature_wrapper import WrapperSelector

    X, y, groups = _planted()
    found = WrapperSelector(LinearRegression(), groups, base=[0], tolerance=0.005).fit(X, y)
    wrong = int(found.get_support(indices=True).tolist() != [0, 1, 3, 5])
    accepted = [t["note"] for t in found.log_ if t["stage"] == "group" and t["accepted"]]
    wrong += int(accepted != ["base + weather", "base + price"])
    counts = {s: sum(t["stage"] == s for t in found.log_) for s in ("base", "group", "field", "combination")}
    wrong += int(counts != {"base": 1, "group": 3, "field": 5, "combination": 4 + 1})
    across = [t for t in found.log_ if t["stage"] == "across"]
    wrong += int(not across or found.log_[: len(found.log_) - len(across)] + across != found.log_)
    wrong += int(sorted(t["columns"] for t in across if t["accepted"]) != [(0, 1, 3, 5)])
    wrong += int(not abs(found.score_ - min(t["mean"] for t in across)) <= 0.005)
    return Check(wrong, 0, "claims that fail", "planted table")


@evidence(
    "feature-wrapper", claim="Every score in the log is that of its columns over the folds", against="cross_val_score"
)
def wrapper_log() -> Check:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_score

    from fivefold.evaluation.feature_wrapper import WrapperSelector

    X, y, groups = _planted()
    cv = KFold(3, shuffle=True, random_state=1)
    found = WrapperSelector(Ridge(), groups, base=[0], cv=cv).fit(X, y)
    worst = 0.0
    for trial in found.log_:
        scores = -cross_val_score(
            Ridge(), X[:, list(trial["columns"])], y, cv=cv, scoring="neg_root_mean_squared_error"
        )
        worst = largest(worst, abs(trial["mean"] - scores.mean()), abs(trial["std"] - scores.std(ddof=1)))
    best = min(found.log_, key=lambda t: t["mean"])
    worst += float(found.get_support(indices=True).tolist() != list(best["columns"]))
    worst += abs(found.score_ - best["mean"])
    return Check(float(worst), 1e-12, "max difference", "scikit-learn")


@evidence(
    "feature-wrapper", claim="Forward and backward steps choose the same columns", against="SequentialFeatureSelector"
)
def wrapper_sequential() -> Check:
    from sklearn.feature_selection import SequentialFeatureSelector
    from sklearn.linear_model import LogisticRegression, Ridge

    from fivefold.evaluation.feature_wrapper import WrapperSelector

    X, y, _ = _planted()
    X, wrong = X[:, :7], 0
    for mode in ("forward", "backward"):
        for k in (2, None):
            theirs = SequentialFeatureSelector(
                Ridge(), n_features_to_select=3 if k is None else k, direction=mode, cv=4,
                scoring="neg_root_mean_squared_error",
            ).fit(X, y)  # fmt: skip
            mine = WrapperSelector(Ridge(), mode=mode, n_features=k, cv=4).fit(X, y)
            wrong += int(not np.array_equal(mine.get_support(), theirs.get_support()))
    label = np.where(y > 0.4, "yes", "no")
    X = X[:, :4]
    theirs = SequentialFeatureSelector(LogisticRegression(), n_features_to_select=2, scoring="roc_auc", cv=3).fit(
        X, label
    )
    mine = WrapperSelector(LogisticRegression(), mode="forward", n_features=2, cv=3).fit(X, label)
    wrong += int(not np.array_equal(mine.get_support(), theirs.get_support()))
    return Check(wrong, 0, "selections that differ of 5", "scikit-learn")


@evidence(
    "feature-wrapper",
    claim="Chosen with all rows, noise looks telling; chosen inside folds it does not",
    against="chance",
)
def wrapper_inside() -> Check:
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline

    from fivefold.evaluation.feature_wrapper import WrapperSelector
    from fivefold.evaluation.selection import cross_validate

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 30)), np.repeat([0, 1], 40)
    selector = WrapperSelector(GaussianNB(), mode="forward", n_features=2, metric="accuracy", cv=4)
    outside = selector.fit(X, y).score_
    inside = cross_validate(make_pipeline(selector, GaussianNB()), X, y, cv=4, metrics="accuracy").mean["accuracy"]
    # 80 fair coins have the standard deviation 0.056: the best of 30 columns alone is expected 2 of them above one half.
    return Check(
        int(not outside >= 0.5 + 2 * 0.056) + int(not abs(inside - 0.5) <= 3.5 * 0.056), 0, "claims that fail", "chance"
    )


@evidence(
    "feature-embedded", claim="L1 coefficients and tree importances keep the same columns", against="SelectFromModel"
)
def embedded_sklearn() -> Check:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.feature_selection import SelectFromModel
    from sklearn.linear_model import Lasso, LogisticRegression

    from fivefold.evaluation.feature_selection import EmbeddedSelector

    X, classes, value = _rows()
    wrong = 0
    models = [
        (Lasso(0.2), value, "nonzero", None),
        (Lasso(0.2), value, 0.1, 2),
        (
            LogisticRegression(C=0.05, l1_ratio=1.0, solver="saga", max_iter=2000, random_state=0),
            classes,
            "nonzero",
            None,
        ),
        (LogisticRegression(max_iter=500), classes, "median", None),
        (ExtraTreesClassifier(20, random_state=0), classes, "mean", None),
        (ExtraTreesClassifier(20, random_state=0), classes, "1.25*mean", None),
        (ExtraTreesClassifier(20, random_state=0), classes, "0.5*median", 3),
    ]
    for model, y, threshold, most in models:
        mine = EmbeddedSelector(model, threshold=threshold, max_features=most).fit(X, y)
        same = 1e-5 if threshold == "nonzero" else threshold
        theirs = SelectFromModel(model, threshold=same, max_features=most).fit(X, y)
        wrong += int(not np.array_equal(mine.get_support(), theirs.get_support()))
        wrong += int(not np.isclose(mine.threshold_, theirs.threshold_, rtol=1e-12, atol=0))
    wrong += int(EmbeddedSelector(Lasso(0.2)).fit(X, value).threshold_ != np.abs(Lasso(0.2).fit(X, value).coef_).mean())
    return Check(wrong, 0, "selections that differ", "scikit-learn")


@evidence(
    "feature-embedded", claim="On orthonormal columns the lasso keeps |x'y|/n above alpha", against="soft thresholding"
)
def embedded_orthonormal() -> Check:
    from sklearn.linear_model import Lasso

    from fivefold.evaluation.feature_selection import EmbeddedSelector

    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.normal(size=(60, 6)) - 0.0)[0]
    X = np.linalg.qr(X - X.mean(axis=0))[0][:, :5] * np.sqrt(60)  # centered, X'X = 60 I
    X -= X.mean(axis=0)
    y = X @ [2.0, -1.0, 0.3, 0.0, -0.6] + 0.1 * rng.normal(size=60)
    correlation = np.abs(X.T @ (y - y.mean())) / 60
    wrong = 0.0
    for alpha in (0.2, 0.5, 0.8, 1.5):
        found = EmbeddedSelector(Lasso(alpha, tol=1e-12, max_iter=10000), threshold="nonzero").fit(X, y)
        wrong += float(not np.array_equal(found.support_, correlation > alpha))
        wrong += np.abs(found.importances_ - np.maximum(correlation - alpha, 0.0)).max()
    few = EmbeddedSelector(Lasso(0.2), threshold="nonzero", max_features=2).fit(X, y)
    wrong += float(few.get_support(indices=True).tolist() != [0, 1])
    return Check(float(wrong), 1e-8, "sum of differences", "closed form")
