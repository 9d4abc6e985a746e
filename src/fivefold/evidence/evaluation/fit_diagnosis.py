"""Fit diagnosis: planted failures with a known right answer, the rules at their borders, the noise floor by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np

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
