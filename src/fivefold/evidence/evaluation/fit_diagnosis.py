"""Fit diagnosis: planted failures with a known right answer, the rules at their borders, the noise floor by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from fivefold.evidence import Check, evidence, largest


def _polynomial(degree: int) -> Any:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    return make_pipeline(PolynomialFeatures(degree), LinearRegression())


def _cubic(n: int, seed: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    return x[:, None], 4 * x**3 - 2 * x + noise * rng.standard_normal(n)


@evidence(
    "fit-diagnosis",
    claim="Planted failures are found and nothing else: too simple, too complex, too few rows, copies, shift, noise, none",
    against="synthetic data of known makeup",
)
def planted_failures() -> Check:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.tree import DecisionTreeClassifier

    from fivefold.evaluation.fit_diagnosis import fit_report

    wrong = []

    def case(wanted: tuple[str, ...], *given: Any, **options: Any) -> None:
        found = fit_report(*given, random_state=0, **options).findings
        if found != wanted:
            wrong.append((wanted, found))

    many, few, goal = _cubic(600, 0), _cubic(14, 6), 0.09
    case(("good",), _polynomial(3), *many, goal=goal)
    case(("underfitting",), _polynomial(1), *many, goal=goal)
    # A cubic is the truth, yet fourteen rows do not pin it down; a line does worse still.
    case(("too-little-data",), _polynomial(3), *few, goal=goal, simpler=_polynomial(0), fractions=(0.75, 1.0))
    case(("too-complex",), _polynomial(14), *_cubic(30, 2), goal=goal, simpler=_polynomial(3), fractions=(0.8, 1.0))
    # Half of the rows twice: the folds share them, and a tree remembers.
    X, y = _cubic(400, 3)
    rng = np.random.default_rng(1)
    label = np.where(rng.random(400) < 0.3, y < 0, y > 0)
    twice = np.concatenate([np.arange(400), np.arange(200)])
    found = fit_report(DecisionTreeClassifier(random_state=0), X[twice], label[twice], goal=0.3, random_state=0)
    wrong += [] if found.findings[0] == "leakage" else [found.findings]
    # The rows of use come from where the training rows never were.
    far = np.linspace(1.5, 2.0, 50)
    case(("shift",), _polynomial(5), *many, goal=goal, fresh=(far[:, None], 4 * far**3 - 2 * far))
    case(("good",), _polynomial(3), *many, goal=goal, fresh=_cubic(600, 9))
    # Rows in the order of their input: folds must mix them, for neighbors do not reach beyond the rows they saw.
    order = np.argsort(many[0][:, 0])
    case(("good",), KNeighborsRegressor(15), many[0][order], many[1][order], goal=goal)
    # Three in ten labels flipped: 15 neighbors do what can be done, and the floor is estimated from the rows.
    X = rng.uniform(-1, 1, (1500, 2))
    label = (X[:, 0] > 0) ^ (rng.random(1500) < 0.3)
    case(("label-noise",), KNeighborsClassifier(101), X, label, tolerance=0.25)
    case(("too-complex", "label-noise"), KNeighborsClassifier(1), X, label, simpler=KNeighborsClassifier(101))
    case(("too-complex", "label-noise"), KNeighborsClassifier(1), X, label)
    return Check(float(len(wrong)), 0.0, f"cases not as planted {wrong}", "known makeup")


@evidence(
    "fit-diagnosis",
    claim="A deep plain net that trains worse than a shallow one is an optimization failure; with both alike it underfits",
    against="the picture of 20 and 56 layers (05#dl-recipe)",
)
def optimization_or_bias() -> Check:
    from fivefold.evaluation.fit_diagnosis import ADVICE, diagnose_fit

    # Error of 56 layers: 0.12 in training, 0.14 in test; of 20 layers 0.07 and 0.09. Ten classes, goal 0.02.
    sizes, deep, test = (40_000, 50_000), (0.12, 0.12), (0.15, 0.14)
    given: dict[str, Any] = {"guess": 0.9, "goal": 0.02, "tolerance": 0.05}
    cases = [
        (diagnose_fit(sizes, deep, test, simpler=(0.07, 0.09), **given), ("optimization",)),
        (diagnose_fit(sizes, deep, test, simpler=(0.12, 0.14), **given), ("underfitting",)),
        (diagnose_fit(sizes, deep, test, **given), ("underfitting",)),
        (diagnose_fit(sizes, (0.02, 0.02), test, simpler=(0.07, 0.09), **given), ("too-complex",)),
        (diagnose_fit(sizes, (0.02, 0.02), test, simpler=(0.07, 0.20), **given), ("too-little-data",)),
    ]
    wrong = sum(found.findings != wanted for found, wanted in cases)
    wrong += sum(found.advice != ADVICE[wanted[0]] or wanted[0] not in str(found) for found, wanted in cases)
    for name, words in (
        ("optimization", "more data or regularization will not help"),
        ("underfitting", "More rows will not"),
    ):
        wrong += words not in ADVICE[name]
    return Check(float(wrong), 0.0, "wrong cases", "the source's rules")


@evidence(
    "fit-diagnosis", claim="Each rule turns at its border and nowhere else", against="errors just inside and outside"
)
def borders() -> Check:
    from fivefold.evaluation.fit_diagnosis import diagnose_fit

    wrong = 0
    # The scale is 2 - 1 = 1 and the tolerance 0.1; the noise share 0.29 and 0.31 of the guess lie around 0.3.
    for sign, found in ((-1, False), (1, True)):
        e = 0.1 + sign * 1e-3
        base: dict[str, Any] = {"guess": 5.0, "goal": 4.0}
        flat = (4.0, 4.0)
        both = (4.0 + e, 4.0 + e)
        cases = {
            "underfitting": diagnose_fit((1, 2), both, both, **base),
            "too-complex": diagnose_fit((1, 2), flat, both, **base),
            "leakage": diagnose_fit((1, 2), flat, (4.0 - e, 4.0 - e), **base),
            "shift": diagnose_fit((1, 2), flat, flat, fresh=4.0 + e, **base),
            "optimization": diagnose_fit((1, 2), (4.5, 4.5), (4.5, 4.5), simpler=(4.5 - e, 4.4), **base),
            "label-noise": diagnose_fit((1, 2), (1, 1), (1, 1), guess=1 / (0.3 + sign * 1e-3), goal=1.0),
        }
        wrong += sum((name in case.findings) != found for name, case in cases.items())
        again = diagnose_fit((1, 2), flat, flat, copies=e, **base)
        wrong += ("leakage" in again.findings) != found
        # Validation error a + b/n at 50 and 100 rows: doubling takes b/200; the gap is 0.4.
        b = 200 * 0.4 * (0.125 + sign * 1e-3)
        curve = diagnose_fit((50, 100), (1.0, 1.0), (1.4 + b / 50 - b / 100, 1.4), guess=2.0, goal=1.0)
        wrong += ("too-little-data" in curve.findings) != found or ("too-complex" in curve.findings) == found
    shares = diagnose_fit((10, 30), [[1, 2], [3, 4]], [[5, 6], [6, 7]], guess=9.0, goal=2.0, fresh=7.9)
    parts = (shares.bias - 1.5 / 7, shares.variance - 3 / 7, shares.shift - 1.4 / 7, shares.noise - 2 / 9)
    wrong += not largest(abs(p) for p in parts) <= 1e-12 or not np.isnan(
        diagnose_fit((1, 2), (1, 1), (1, 1), guess=2, goal=1).shift
    )
    wrong += shares.findings != ("shift", "underfitting", "too-complex")
    # A leak is named instead of a shift, and comes first.
    leak = diagnose_fit((1, 2), (3, 3), (1, 1), guess=4.0, goal=2.0, fresh=3.0)
    wrong += leak.findings != ("leakage", "underfitting", "label-noise")
    return Check(float(wrong), 0.0, "wrong cases", "by hand")


@evidence("fit-diagnosis", claim="The noise floor is the Gamma test's intercept", against="neighbors by brute force")
def floor_brute_force() -> Check:
    from fivefold.evaluation.fit_diagnosis import noise_floor

    rng, worst = np.random.default_rng(0), 0.0
    X = rng.normal(size=(60, 3)) * [1.0, 20.0, 0.01]
    X[:2] = [9.0, 180.0, 0.09]  # a pair at distance 0 with two targets, nobody else's neighbors
    targets = {False: X[:, 0] + rng.normal(size=60), True: (X[:, 0] > 0).astype(int) + 2 * (rng.random(60) < 0.3)}
    targets[True][:2] = 0, 1
    Z = (X - X.mean(0)) / X.std(0)
    far = ((Z[:, None] - Z) ** 2).sum(-1)
    np.fill_diagonal(far, np.inf)
    for classification, y in targets.items():
        for k in (10, 4):
            near = np.argsort(far, axis=1, kind="stable")[:, :k]
            delta = np.sort(far, axis=1)[:, :k].mean(0)
            apart = (y[near] != y[:, None]) if classification else (y[near] - y[:, None]) ** 2 / 2
            level = largest(0.0, float(np.polyfit(delta, apart.mean(0), 1)[1]))
            if classification:
                level = 0.75 * (1 - np.sqrt(1 - 4 / 3 * level))
            more = {} if k == 10 else {"neighbors": k}
            found = noise_floor(
                np.concatenate([X, X[:5]]), np.concatenate([y, y[:5]]), classification=classification, **more
            )
            worst = largest(worst, abs(found - level))
    return Check(float(worst), 1e-9, "max difference", "brute force")


@evidence(
    "fit-diagnosis", claim="The noise floor finds the variance and the share of flipped labels", against="planted noise"
)
def floor_planted() -> Check:
    from fivefold.evaluation.fit_diagnosis import noise_floor

    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 2))
    off = []
    for sigma in (0.0, 0.5, 1.0):
        found = noise_floor(X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + sigma * rng.normal(size=4000), classification=False)
        # The mean of 4000 halves of squared differences, each used about twice, errs by 4 % of σ² (two deviations).
        off.append(abs(found - sigma**2) / (0.1 * sigma**2 + 0.005))
    for classes, flipped in ((2, 0.0), (2, 0.1), (2, 0.3), (4, 0.3)):
        truth = np.floor((X[:, 0] + 1) / 2 * classes).astype(int)
        drawn = rng.random(4000) < flipped
        label = np.where(drawn, (truth + rng.integers(1, classes, 4000)) % classes, truth)
        off.append(abs(noise_floor(X, label, classification=True) - flipped) / 0.05)
    return Check(float(largest(off)), 1.0, "differences in units of their bound", "planted noise")


@evidence(
    "fit-diagnosis",
    claim="The report's numbers: shares of every fold, errors, the guess of the training rows, and each copied row once",
    against="folds fitted by hand",
)
def report_by_hand() -> Check:
    from sklearn.linear_model import LinearRegression
    from sklearn.naive_bayes import GaussianNB

    from fivefold.evaluation.fit_diagnosis import fit_report
    from fivefold.evaluation.validation import KFold

    rng, wrong = np.random.default_rng(2), 0.0
    X = rng.normal(size=(40, 2))
    y, label = X[:, 0] + 0.1 * rng.normal(size=40), np.where(X[:, 0] + rng.normal(size=40) > -0.5, "up", "down")
    far = rng.normal(size=(30, 2)) + 3.0
    for model, target, new in (
        (LinearRegression(), y, far[:, 0] + 0.5),
        (GaussianNB(), label, np.where(far[:, 1] > 3, "up", "down")),
    ):
        found = fit_report(model, X, target, fresh=(far, new), goal=0.01, cv=KFold(4), fractions=(0.5, 1.0))
        name = model is not None and target is label

        def error(fitted: Any, rows: np.ndarray, truth: np.ndarray, name: bool = name) -> float:
            guess = fitted.predict(rows)
            return float(np.mean(guess != truth) if name else np.mean((guess - truth) ** 2))

        folds = [np.arange(10) + 10 * k for k in range(4)]
        train, held, plain = [], [], []
        for outside in folds:
            inside = np.setdiff1d(np.arange(40), outside)
            fitted = model.fit(X[inside], target[inside])
            train.append(error(fitted, X[inside], target[inside]))
            held.append(error(fitted, X[outside], target[outside]))
            names, counts = np.unique(target[inside], return_counts=True)
            constant = names[counts.argmax()] if name else target[inside].mean()
            plain.append(np.mean(target[outside] != constant if name else (target[outside] - constant) ** 2))
        wrong += abs(found.train[-1] - np.mean(train)) + abs(found.validation[-1] - np.mean(held))
        wrong += abs(found.guess - np.mean(plain)) + float(found.sizes.tolist() != [15.0, 30.0])
        scale = found.guess - 0.01
        use = (error(model.fit(X, target), far, new) - np.mean(held)) / scale
        wrong += abs(found.shift - use) + abs(found.noise - 0.01 / found.guess)
    # Two copied rows of twenty are the tolerance, three are above it; the halves of a pair lie in different folds.
    for pairs, leaks in (((0,), False), ((0, 1), True)):
        table = rng.normal(size=(20, 2))
        for row in pairs:
            table[10 + row] = table[row]
        target = table[:, 0] + 1.0
        found = fit_report(LinearRegression(), table, target, goal=0.0, cv=KFold(2), fractions=(0.5, 1.0))
        wrong += float(("leakage" in found.findings) != leaks)
    one = fit_report(LinearRegression(), X, y, goal=0.01, cv=KFold(20), fractions=(0.01, 1.0))
    wrong += float(one.sizes.tolist() != [1.0, 38.0])  # at least one row
    again = [fit_report(LinearRegression(), X, y, goal=0.01, random_state=4) for _ in range(2)]
    wrong += float(again[0].validation.tolist() != again[1].validation.tolist()) + float(len(again[0].sizes) != 5)
    wrong += float(again[0].sizes.tolist() != [6.0, 13.0, 19.0, 26.0, 32.0])  # 0.2 to 1.0 of four folds of five
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


class _Memory(RegressorMixin, BaseEstimator):
    """Errs by one number on rows it was fitted to and by another on new ones; the target is the first column."""

    def __init__(self, seen: float = 0.0, new: float = 0.0) -> None:
        self.seen = seen
        self.new = new

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Memory:
        self.rows_ = {row.tobytes() for row in X}
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0] + np.array([self.seen if row.tobytes() in self.rows_ else self.new for row in X])


@evidence(
    "fit-diagnosis",
    claim="The simpler model's training and validation errors, over folds, tell optimization, complexity and lack of rows apart",
    against="errors that are known beforehand",
)
def simpler_by_hand() -> Check:
    from fivefold.evaluation.fit_diagnosis import fit_report

    X = np.random.default_rng(0).normal(size=(30, 2))
    X[:, 0] = np.resize([-1.0, 1.0], 30)  # a constant guess errs by about 1
    cases = [
        (_Memory(0.7, 0.7), _Memory(0.0, 3.0), ("optimization",)),
        (_Memory(0.7, 0.7), _Memory(3.0, 0.0), ("underfitting",)),
        (_Memory(0.0, 0.7), _Memory(0.9, 0.5), ("too-complex",)),
        (_Memory(0.0, 0.7), _Memory(0.0, 0.8), ("too-little-data",)),
        (_Memory(0.0, 0.2), _Memory(0.0, 0.0), ("good",)),
    ]
    wrong = 0
    for model, simpler, wanted in cases:
        found = fit_report(model, X, X[:, 0], simpler=simpler, goal=0.0, fractions=(0.5, 1.0), random_state=0)
        wrong += found.findings != wanted
        wrong += not abs(found.train[-1] - model.seen**2) + abs(found.validation[-1] - model.new**2) <= 1e-12
    return Check(float(wrong), 0.0, "wrong cases", "by hand")
