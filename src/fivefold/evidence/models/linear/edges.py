"""Least squares and naive Bayes at their edges: far targets, nearly singular rows, LSQR, flat features, refusals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import DataError, FivefoldError
from fivefold.evidence import Check, evidence, largest


def _refused(words: str, action: Any, *args: Any, **options: Any) -> int:
    """Return 0 when an action is refused in a sentence with these words, else 1."""
    try:
        action(*args, **options)
    except FivefoldError as error:
        return int(words not in str(error))
    return 1


@evidence("linear-regression", claim="Targets far from zero lose no accuracy in SVD and LSQR", against="invariance")
@evidence("ridge-regression", claim="Targets far from zero lose no accuracy in SVD and LSQR", against="invariance")
def far_targets() -> Check:
    from fivefold.models.linear import Ridge

    rng = np.random.default_rng(31)
    X, v = rng.normal(size=(60, 4)), rng.integers(1, 4, size=60).astype(float)
    y = np.round(rng.normal(size=60) * 1024) / 1024  # so that y + 2**30 is exact
    worst = 0.0
    for solver in ("svd", "lsqr"):
        for weight in (None, v):
            near, far = (Ridge(0.5, solver=solver).fit(X, t, weight) for t in (y, y + 2.0**30))
            worst = largest(worst, np.abs(near.coef_ - far.coef_).max())
    # Centered targets err by eps 2**30 in common, which centered columns do not see.
    return Check(worst, 1e-10, "max |coefficient - shifted|", "the shifted problem")


@evidence(
    "ridge-regression", claim="Nearly dependent columns or rows keep the accuracy of orthogonal methods",
    against="numpy.linalg.lstsq of the rows with sqrt(alpha) I below",
)  # fmt: skip
def nearly_dependent() -> Check:
    from fivefold.models.linear import Ridge

    rng = np.random.default_rng(32)
    worst = 0.0
    for shape in ((12, 30), (60, 4)):
        X = rng.normal(size=shape)
        if shape[0] < shape[1]:
            X[1] = X[0] + 1e-4 * rng.normal(size=30)
        else:
            X[:, 1] = X[:, 0] + 1e-4 * rng.normal(size=60)
        Y, alpha = rng.normal(size=(shape[0], 2)), np.array([1e-8, 4e-8])
        for form in (np.asarray, sp.csr_array):
            model = Ridge(alpha, solver="cholesky", fit_intercept=False).fit(form(X), Y)
            for t in range(2):
                below = np.vstack([X, np.sqrt(alpha[t]) * np.eye(shape[1])])
                known = np.linalg.lstsq(below, np.append(Y[:, t], np.zeros(shape[1])))[0]
                worst = largest(worst, np.abs(model.coef_[t] - known).max() / np.abs(known).max())
    # Condition 1e5 or less of the rows below each other; without the correction its square would count.
    return Check(worst, 1e-10, "max relative |coefficient - lstsq|", "numpy.linalg.lstsq")


@evidence("ridge-regression", claim="Cholesky refuses a singular matrix and LSQR tells how it ended", against="theory")
def ends_in_words() -> Check:
    from fivefold.models.linear import Ridge

    rng = np.random.default_rng(33)
    x, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    wrong = _refused("singular matrix", Ridge(0.0, solver="cholesky").fit, np.hstack([x, x]), y)
    apart = np.column_stack([x, x[:, 0] + 1e-5 * rng.normal(size=50)])
    known = apart @ np.linalg.lstsq(apart, y)[0]
    narrow = Ridge(0.0, solver="cholesky", fit_intercept=False).fit(apart, y).predict(apart)
    wrong += int(not np.abs(narrow - known).max() <= 1e-6)  # columns that differ by 1e-5 are solved, not refused
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Ridge(1.0, solver="lsqr").fit(x, y)
        wrong += len(caught)
        hard = rng.normal(size=(60, 40)) @ np.diag(np.geomspace(1, 1e7, 40)) @ rng.normal(size=(40, 40))
        Ridge(0.0, solver="lsqr").fit(hard, rng.normal(size=60))
    wrong += [w.category for w in caught] != [ConvergenceWarning]
    return Check(int(wrong), 0, "wrong ends", "theory")


@evidence("linear-regression", claim="Gradient descent takes the steps of a plain loop", against="the formula")
def steps_of_a_plain_loop() -> Check:
    from fivefold.models.linear import LinearRegression

    rng = np.random.default_rng(34)
    X = rng.normal(size=(40, 2)) * [1.0, 3.0]
    worst = 0.0
    for factor in (1.0, 1e-6):
        y = factor * (X @ [2.0, 0.1] + 0.3 + rng.normal(size=40))
        for tol in (1e-2, 1e-5):
            A = np.column_stack([X, np.ones(40)])
            gram, right = 2 * A.T @ A / 40, 2 * A.T @ y / 40
            theta, steps = np.zeros(3), 0
            while np.abs(gram @ theta - right).max() > tol * np.abs(right).max():
                theta, steps = theta - (gram @ theta - right) / np.linalg.eigvalsh(gram)[-1], steps + 1
            model = LinearRegression(solver="gradient-descent", tol=tol).fit(X, y)
            off = np.abs(np.append(model.coef_, model.intercept_) - theta).max() / factor
            worst = largest(worst, abs(model.n_iter_ - steps), off)
    worst = largest(worst, abs(LinearRegression().fit(X, y).n_iter_ - 1))
    # At the minimum from the start: no step.
    worst = largest(worst, LinearRegression(solver="gradient-descent").fit(X, np.zeros(40)).n_iter_)
    return Check(worst, 1e-12, "steps, max |coefficient - loop|", "the formula")


@evidence(
    "gaussian-naive-bayes", claim="Flat features are refused, weightless classes are not", against="the definition"
)
def flat_features() -> Check:
    from fivefold.models.linear import GaussianNB

    X = np.array([[0.0, 1.0], [0.5, 1.0], [0.0, 2.0], [0.5, 3.0]])
    y, light = np.array(["a", "a", "b", "b"]), np.full(4, 0.25)
    words = "A feature does not vary within the class 'a'"
    wrong = _refused(words, GaussianNB(var_smoothing=0.0).fit, X, y)
    wrong += _refused(words, GaussianNB(var_smoothing=0.0).fit, X, y, light)
    wrong += _refused(words, GaussianNB(var_smoothing=0.0).partial_fit(X, y, ["a", "b"]).predict, X)
    X[1, 1] = 0.0  # variances of 1/4 and less
    unseen = GaussianNB(var_smoothing=0.0).partial_fit(X, y, classes=["a", "b", "z"], sample_weight=light)
    given = GaussianNB(priors=[0.2, 0.0, 0.8]).partial_fit(X, y, classes=["a", "b", "z"], sample_weight=light)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrong += list(unseen.predict(X)) != list(y)
        wrong += int(np.abs(given.predict_proba(np.vstack([X, 0 * X])) - [1.0, 0.0, 0.0]).sum() != 0)
        wrong += int((GaussianNB(var_smoothing=0.0).fit(X, y, light).predict(X) != y).sum())
    return Check(int(wrong), 0, "wrong answers", "the definition")


@evidence("softmax-regression", claim="Balanced weights of light and of weightless classes", against="plain weights")
@evidence("logistic-regression", claim="Balanced weights of light and of weightless classes", against="plain weights")
def light_classes() -> Check:
    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    rng = np.random.default_rng(35)
    X, codes = rng.normal(size=(60, 2)), np.arange(60) % 3
    worst = 0.0
    for shares in ((0.5, 4.0, 0.0), (0.5, 4.0, 0.25)):
        v = np.array(shares)[codes] / 20
        some = [s for s in shares if s > 0]
        factor = np.array([sum(some) / (len(some) * s) if s > 0 else 0.0 for s in shares])
        balanced = SoftmaxRegression(class_weight="balanced", tol=1e-9, C=5.0).fit(X, codes, v)
        plain = SoftmaxRegression(tol=1e-9, C=5.0).fit(X, codes, v * factor[codes])
        worst = largest(worst, np.abs(balanced.predict_proba(X) - plain.predict_proba(X)).max())
    two = codes > 0
    light = LogisticRegression(class_weight={True: 0.01}, tol=1e-9).fit(X, two)
    plain = LogisticRegression(tol=1e-9).fit(X, two, np.where(two, 0.01, 1.0))
    worst = largest(worst, np.abs(light.predict_proba(X) - plain.predict_proba(X)).max())
    return Check(worst, 1e-7, "max |probability - plain weights|", "plain weights")


@evidence("linear-regression", claim="What cannot be used is refused in one sentence", against="the definition")
def refusals() -> Check:
    from fivefold.models.linear import GaussianNB, KNeighborsClassifier, LinearRegression, LogisticRegression
    from fivefold.models.linear._validation import label_text

    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    fill = "Fill or drop such rows first; SimpleImputer fills missing values."
    wrong = _refused(fill, LinearRegression().fit, np.where(X > 6, np.nan, X), y)
    wrong += _refused("Input X contains infinity", LinearRegression().fit, np.where(X > 6, np.inf, X), y)
    wrong += _refused("X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row.", LinearRegression().fit, y, y)
    for bad in (X[:3], X[:, :0]):
        try:
            LinearRegression().fit(bad, y[: len(bad)] if bad.shape[1] == 0 else y)
        except DataError as error:
            wrong += "Fill or drop" in str(error) or "Reshape" in str(error) or not str(error).endswith(".")
        else:
            wrong += 1
    wrong += _refused("`var_smoothing` is inf", GaussianNB(var_smoothing=np.inf).fit, X, y)
    wrong += _refused("Unknown label type", GaussianNB().fit, X, np.array([0.5, 1.5, 0.5, 1.5], dtype=object))
    for labels in ([-7, 4, -7, 4], [1000, 1003, 1000, 1003], ["no", "yes", "no", "yes"], [True, False, True, False]):
        for model in (LogisticRegression(C=1e6), GaussianNB(), KNeighborsClassifier(1)):
            Z = np.array([[0.0, 0.1], [5.0, 5.1], [0.2, 0.0], [5.3, 5.0]])
            wrong += int((model.fit(Z, np.array(labels)).predict(Z) != np.array(labels)).sum())
    wrong += label_text(np.arange(5)) != "0, 1, 2, 3, 4"
    wrong += label_text(np.arange(6)) != "0, 1, 2, 3, 4, …"
    return Check(int(wrong), 0, "answers that differ", "the definition")
