"""Hold-out and leave-one-out: scikit-learn's parts, the closed form against n fits, and the optimism of a tuned score."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "holdout-validation", claim="Parts equal index by index, stratified too", against="scikit-learn train_test_split"
)
def holdout_sklearn() -> Check:
    from sklearn.model_selection import train_test_split

    from fivefold.evaluation.holdout import HoldOut

    rng, wrong = np.random.default_rng(0), 0
    for rows in (20, 53):
        y = np.concatenate([[0, 0, 1, 1, 2, 2], rng.integers(0, 3, rows - 6)])
        for size in (0.25, 0.1 + 1e-9, 0.5, 7):
            for seed in (0, 1, 7):
                for stratify in (False, True):
                    splitter = HoldOut(size, stratify=stratify, random_state=seed)
                    mine = next(splitter.split(np.zeros(rows), y))
                    theirs = train_test_split(
                        np.arange(rows), test_size=size, random_state=seed, stratify=y if stratify else None
                    )
                    wrong += int(not all(np.array_equal(a, b) for a, b in zip(mine, theirs)))
            last = next(HoldOut(size, shuffle=False).split(np.zeros(rows)))
            theirs = train_test_split(np.arange(rows), test_size=size, shuffle=False)
            wrong += int(not all(np.array_equal(a, b) for a, b in zip(last, theirs)))
    theirs = train_test_split(np.arange(30), random_state=0)
    wrong += int(not np.array_equal(next(HoldOut(random_state=0).split(np.zeros(30)))[1], theirs[1]))
    return Check(wrong, 0, "splits that differ of 57", "scikit-learn")


@evidence(
    "holdout-validation", claim="Parts are disjoint, cover all rows and keep class shares to a row", against="counting"
)
def holdout_counts() -> Check:
    from fivefold.evaluation.holdout import HoldOut

    wrong = 0.0
    y = np.repeat([0, 1, 2], [50, 30, 17])
    for seed in range(20):
        train, test = next(HoldOut(0.3, stratify=True, random_state=seed).split(y, y))
        wrong += float(not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(97))) + (len(test) != 30)
        exact = np.array([50, 30, 17]) * 30 / 97
        wrong += float((~(np.abs(np.bincount(y[test]) - exact) < 1)).any())
    wrong += float(HoldOut().get_n_splits() != 1)
    return Check(wrong, 0, "violations", "the definition")


@evidence(
    "holdout-validation", claim="Chosen on validation rows, refitted on both, tested once", against="done by hand"
)
def holdout_protocol() -> Check:
    from sklearn.linear_model import Ridge

    from fivefold.evaluation.holdout import holdout_select

    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 25))
    y = X @ rng.normal(size=25) + 4 * rng.normal(size=80)
    alphas = {"little": 1e-6, "some": 30.0, "much": 1e5}
    found = holdout_select({k: Ridge(alpha=a) for k, a in alphas.items()}, X, y, random_state=3)
    train, validation, test = found.parts

    def error(fit: np.ndarray, rows: np.ndarray, alpha: float) -> float:
        mean = X[fit].mean(axis=0)
        z = X[fit] - mean
        coef = np.linalg.solve(z.T @ z + alpha * np.eye(25), z.T @ (y[fit] - y[fit].mean()))
        return float(np.sqrt(np.mean((y[rows] - y[fit].mean() - (X[rows] - mean) @ coef) ** 2)))

    scores = {name: error(train, validation, alpha) for name, alpha in alphas.items()}
    wrong = largest(abs(found.validation[name] - scores[name]) for name in alphas)
    wrong += float(found.name != min(scores, key=lambda name: scores[name]))
    wrong += abs(found.test - error(np.concatenate([train, validation]), test, alphas[found.name]))
    wrong += float([len(p) for p in found.parts] != [45, 15, 20])
    wrong += float(len(np.unique(np.concatenate(found.parts))) != 80)
    return Check(float(wrong), 1e-8, "sum of differences", "by hand")


@evidence(
    "holdout-validation",
    claim="Tuning on public rows raises that score alone",
    against="the closed form",
)
def holdout_leaderboard() -> Check:
    import tempfile
    from itertools import product

    from fivefold.demos.evaluation.leaderboard import LeaderboardDemo, expected_best

    # Every outcome of 2 submissions on 3 rows, one by one.
    total = 0.0
    for outcome in product((0, 1), repeat=6):
        chance = np.prod([0.7 if o else 0.3 for o in outcome])
        total += chance * max(sum(outcome[:3]), sum(outcome[3:])) / 3
    wrong = abs(expected_best(2, 3, 0.7) - total) + abs(expected_best(1, 500, 0.7) - 0.7)
    demo = LeaderboardDemo(repeats=400)
    with tempfile.TemporaryDirectory() as folder:
        numbers = demo.run(seed=0, out=folder).numbers
    error = np.sqrt(0.7 * 0.3 / 500 / 400)  # of a mean of 400 winners; the best of many varies less
    for count in demo.submissions:
        wrong += float(not abs(numbers[f"{count} submissions: private"] - 0.7) <= 4.5 * error)
        gap = numbers[f"{count} submissions: public"] - numbers[f"{count} submissions: expected"]
        wrong += float(not abs(gap) <= 4.5 * error)
    wrong += float(not numbers["300 submissions: public"] >= 0.74)
    return Check(float(wrong), 1e-12, "claims that fail", "05#holdout-validation")


def _rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25, 4)) + 3.0
    return X, X @ [1.0, 2.0, -1.0, 0.0] + rng.normal(size=25) + 5.0, rng.uniform(0.2, 3.0, 25)


@evidence("leave-one-out", claim="e/(1 - h) equals n fits: ridge, weights, no intercept, two outputs", against="n fits")
def loo_n_fits() -> Check:
    from sklearn.linear_model import LinearRegression, Ridge

    from fivefold.evaluation.holdout import LeaveOneOut, leave_one_out_residuals

    X, y, w = _rows()
    two = np.stack([y, y**2 / 10], axis=1)
    zero = w.copy()
    zero[[3, 11]] = 0.0
    worst = 0.0
    for alpha in (0.0, 0.7, 50.0):
        for intercept in (True, False):
            for target in (y, two):
                for weight in (None, w, zero):
                    make = LinearRegression if alpha == 0 else Ridge
                    model = make(fit_intercept=intercept, **({} if alpha == 0 else {"alpha": alpha}))
                    errors = np.empty_like(target)
                    for train, test in LeaveOneOut().split(X):
                        fitted = model.fit(X[train], target[train], None if weight is None else weight[train])
                        errors[test] = target[test] - fitted.predict(X[test])
                    mine = leave_one_out_residuals(
                        X, target, alpha=alpha, fit_intercept=intercept, sample_weight=weight
                    )
                    worst = largest(worst, np.abs(mine - errors).max())
    return Check(float(worst), 1e-9, "max difference", "n fits")


@evidence(
    "leave-one-out", claim="Without columns the error is n/(n - 1) times the distance from the mean", against="by hand"
)
def loo_by_hand() -> Check:
    from fivefold.evaluation.holdout import LeaveOneOut, leave_one_out_residuals

    y = np.array([1.0, 2.0, 6.0])
    wrong = np.abs(leave_one_out_residuals(np.zeros((3, 0)), y) - [-3.0, -1.5, 4.5]).max()
    # One column of ones and penalty 1: the mean shrinks to Σ/(n + 1), without the row to Σ'/n.
    wrong += np.abs(
        leave_one_out_residuals(np.ones((3, 1)), y, alpha=1.0, fit_intercept=False) - [1 - 8 / 3, 2 - 7 / 3, 6 - 1]
    ).max()
    folds = [(a.tolist(), b.tolist()) for a, b in LeaveOneOut().split(y)]
    wrong += float(folds != [([1, 2], [0]), ([0, 2], [1]), ([0, 1], [2])]) + float(LeaveOneOut().get_n_splits(y) != 3)
    return Check(float(wrong), 1e-13, "sum of differences", "by hand")


@evidence("leave-one-out", claim="Folds and scores equal", against="scikit-learn LeaveOneOut and RidgeCV")
def loo_sklearn() -> Check:
    from sklearn.linear_model import LinearRegression, RidgeCV
    from sklearn.model_selection import LeaveOneOut as Peer
    from sklearn.model_selection import cross_val_score

    from fivefold.evaluation.holdout import LeaveOneOut, leave_one_out_residuals
    from fivefold.evaluation.selection import cross_validate

    X, y, _ = _rows()
    wrong = float(
        not all(
            np.array_equal(a, c) and np.array_equal(b, d)
            for (a, b), (c, d) in zip(LeaveOneOut().split(X), Peer().split(X), strict=True)
        )
    )
    mine = cross_validate(LinearRegression(), X, y, cv=LeaveOneOut(), metrics="mse").scores["mse"]
    wrong += np.abs(mine + cross_val_score(LinearRegression(), X, y, scoring="neg_mean_squared_error", cv=Peer())).max()
    for alpha in (0.1, 3.0):
        peer = RidgeCV([alpha], store_cv_results=True).fit(X, y)
        wrong += np.abs(leave_one_out_residuals(X, y, alpha=alpha) ** 2 - peer.cv_results_[:, 0]).max()
    return Check(float(wrong), 1e-9, "sum of differences", "scikit-learn")
