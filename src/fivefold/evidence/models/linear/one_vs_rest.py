"""Independent logistic functions: one fit a class, weights, probabilities, cost and the peer."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _rows(k: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    X = rng.normal(size=(90, 5)) * [1, 2, 0.5, 3, 1] + 1
    return X, (X @ rng.normal(size=(5, k)) + 2 * rng.gumbel(size=(90, k))).argmax(axis=1), rng.integers(0, 4, 90) * 1.0


@evidence(
    "one-vs-rest-logistic", claim="Each row of weights is a logistic regression of its class", against="single fits"
)
def single_fits() -> Check:
    from fivefold.models.linear import LogisticRegression, OneVsRestLogistic

    worst = 0.0
    for k in (2, 4):
        X, codes, weight = _rows(k)
        y = np.array(["w", "z", "x", "y"])[codes]
        for rows in (X, sp.csr_array(X)):
            for solver in ("newton", "newton-cg", "lbfgs"):
                model = OneVsRestLogistic(C=0.3, solver=solver, tol=3e-8).fit(rows, y, weight)
                tasks = model.classes_[1:] if k == 2 else model.classes_
                singles = [LogisticRegression(C=0.3, tol=1e-9).fit(X, y == c, weight) for c in tasks]
                worst = largest(worst, np.abs(model.coef_ - np.concatenate([s.coef_ for s in singles])).max())
                worst = largest(worst, np.abs(model.intercept_ - np.concatenate([s.intercept_ for s in singles])).max())
                chance = np.stack([s.predict_proba(X)[:, 1] for s in singles], axis=1)
                chance = np.hstack([1 - chance, chance]) if k == 2 else chance / chance.sum(axis=1, keepdims=True)
                worst = largest(worst, np.abs(model.predict_proba(rows) - chance).max())
                worst = largest(worst, np.abs(np.exp(model.predict_log_proba(rows)) - chance).max())
                worst = largest(worst, float((model.predict(rows) != model.classes_[chance.argmax(axis=1)]).any()))
        # A second fit begins at the first: nothing is left to do.
        warm = OneVsRestLogistic(C=0.3, tol=1e-6, warm_start=True).fit(X, y).fit(X, y)
        cold = OneVsRestLogistic(C=0.3, tol=1e-6).fit(X, y)
        worst = largest(
            worst, float(not warm.n_iter_[0] <= 1 or not cold.n_iter_[0] >= 2), np.abs(warm.coef_ - cold.coef_).max()
        )
    # Class weights are those of the row's own class in every fit.
    model = OneVsRestLogistic(class_weight={"w": 3.0}, tol=1e-9).fit(X, y)
    same = OneVsRestLogistic(tol=1e-9).fit(X, y, np.where(y == "w", 3.0, 1.0))
    worst = largest(worst, np.abs(model.coef_ - same.coef_).max())
    facts = OneVsRestLogistic()
    stated = (facts.C, facts.penalty, facts.tol, facts.fit_intercept, facts.solver, facts.max_iter, facts.warm_start)
    worst = largest(worst, float(stated != (1.0, "l2", 1e-4, True, "auto", 100, False)))
    # L-BFGS stops at a gradient of 3e-8 of the mean; the penalty alone curves it by 1 / (0.3 · 135).
    return Check(worst, 3e-6, "largest difference")


@evidence("one-vs-rest-logistic", claim="One feature a class gives the log-odds", against="closed form")
def closed_form() -> Check:
    from fivefold.models.linear import OneVsRestLogistic

    # Every row has one of two kinds (x = 0 or 1): without a penalty the functions are the class shares of the kinds.
    counts = np.array([[6, 3, 1], [2, 3, 5]])
    X = np.repeat([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], counts.ravel())[:, None]
    y = np.repeat([0, 1, 2, 0, 1, 2], counts.ravel())
    model = OneVsRestLogistic(penalty=None, tol=1e-10).fit(X, y)
    share = counts / 10
    logits = np.log(share / (1 - share))
    worst = largest(np.abs(model.intercept_ - logits[0]).max(), np.abs(model.coef_[:, 0] - logits[1] + logits[0]).max())
    worst = largest(worst, np.abs(model.predict_proba([[0.0], [1.0]]) - share).max())
    far = model.predict_log_proba([[-1e5]])
    worst = largest(worst, float(not np.isfinite(far).all()), abs(np.exp(far).sum() - 1))
    return Check(worst, 1e-6, "error")


@evidence(
    "one-vs-rest-logistic",
    claim="Accuracy is close to a softmax's and no slower",
    against="softmax-regression on digits",
)
def close_to_softmax() -> Check:
    import time

    from sklearn.datasets import load_digits

    from fivefold.models.linear import OneVsRestLogistic, SoftmaxRegression

    X, y = load_digits(return_X_y=True)
    X, train = X / 16, np.arange(len(y)) % 2 == 0
    scores, seconds = [], []
    for cls in (OneVsRestLogistic, SoftmaxRegression):
        begin = time.process_time()
        scores.append(cls().fit(X[train], y[train]).score(X[~train], y[~train]))
        seconds.append(time.process_time() - begin)
    # Two standard errors of a difference of two accuracies of 0.95 on 898 rows are 0.02; the cost is that of small fits.
    return Check(
        largest(abs(scores[0] - scores[1]) / 0.02, seconds[0] / max(seconds[1], 0.2)), 1.0, "share of the allowance"
    )


@evidence("one-vs-rest-logistic", claim="Weights equal the peer's", against="scikit-learn OneVsRestClassifier")
def peer() -> Check:
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import scale

    from fivefold.models.linear import OneVsRestLogistic

    X, y = load_wine(return_X_y=True)
    X, worst = scale(X), 0.0
    for C, bias in ((1.0, True), (0.01, True), (10.0, False)):
        ours = OneVsRestLogistic(C=C, fit_intercept=bias, tol=1e-10).fit(X, y)
        theirs = OneVsRestClassifier(LogisticRegression(C=C, fit_intercept=bias, tol=1e-10, solver="newton-cholesky"))
        theirs.fit(X, y)
        for k, single in enumerate(theirs.estimators_):
            worst = largest(worst, np.abs(ours.coef_[k] - single.coef_[0]).max())
            worst = largest(worst, abs(ours.intercept_[k] - float(np.ravel(single.intercept_)[0])))
        worst = largest(worst, np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max())
    return Check(worst, 1e-6, "largest difference", "scikit-learn OneVsRestClassifier")
