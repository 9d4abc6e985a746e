"""Polynomial regression: exact polynomials, the curve of errors by degree, weights and the peer."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "polynomial-regression", claim="A polynomial comes back with its coefficients", against="the polynomial itself"
)
def exact() -> Check:
    from fivefold.models.linear import PolynomialRegression

    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(60, 2))
    a, b = X.T
    y = 3 + 2 * a - b + 0.5 * a**2 + 4 * a * b - 1.5 * b**2
    model = PolynomialRegression().fit(X, y)
    worst = largest(np.abs(model.coef_ - [2, -1, 0.5, 4, -1.5]).max(), abs(model.intercept_ - 3))
    worst = largest(worst, np.abs(model.powers_ - [[1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]).max())
    worst = largest(worst, abs(model.predict([[2.0, 1]])[0] - (3 + 4 - 1 + 2 + 8 - 1.5)))
    crossed = PolynomialRegression(2, interaction_only=True).fit(X, 1 + a + 2 * b + 3 * a * b)
    worst = largest(worst, np.abs(crossed.coef_ - [1, 2, 3]).max(), abs(crossed.intercept_ - 1))
    through = PolynomialRegression(3, fit_intercept=False).fit(X[:, :1], a**3 - a)
    worst = largest(worst, np.abs(through.coef_ - [-1, 0, 1]).max(), abs(through.intercept_))
    return Check(worst, 1e-12, "max |coefficient - truth|", "the polynomial")


@evidence(
    "polynomial-regression",
    claim="The training error never grows with the degree, the test error falls and rises",
    against="nested models; a cubic truth",
)
def curve() -> Check:
    from fivefold.models.linear import PolynomialRegression

    rng = np.random.default_rng(0)
    train, test, faults = [], [], 0
    for _ in range(40):
        x, far = rng.uniform(-1, 1, size=(2, 14, 1))
        truth = [np.polyval([6.0, 0, -4, 1], z[:, 0]) + 0.5 * rng.normal(size=14) for z in (x, far)]
        models = [PolynomialRegression(k).fit(x, truth[0]) for k in range(1, 11)]
        train.append([np.mean((m.predict(x) - truth[0]) ** 2) for m in models])
        test.append([np.mean((m.predict(far) - truth[1]) ** 2) for m in models])
    faults += int((~(np.diff(np.array(train), axis=1) <= 1e-9)).sum())
    middle = np.median(test, axis=0)
    # The cubic is the best degree; a line misses it and ten degrees chase the noise.
    faults += int(middle.argmin() != 2) + int(not middle[0] >= 2 * middle[2]) + int(not middle[9] >= 2 * middle[2])
    return Check(float(faults), 0.0, "violations", "theory")


@evidence(
    "polynomial-regression",
    claim="Weights and predictions equal the peer's, with row weights and several targets",
    against="scikit-learn PolynomialFeatures and LinearRegression",
)
def peer() -> Check:
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import PolynomialFeatures

    from fivefold.models.linear import PolynomialRegression

    rng = np.random.default_rng(1)
    X, Y, weight = rng.normal(size=(80, 3)), rng.normal(size=(80, 2)), rng.integers(0, 3, size=80).astype(float)
    worst = 0.0
    for degree in (1, 2, 3):
        for crossed in (False, True):
            for mass in (None, weight):
                expand = PolynomialFeatures(degree, interaction_only=crossed, include_bias=False)
                Z = expand.fit_transform(X)
                theirs = LinearRegression().fit(Z, Y, mass)
                ours = PolynomialRegression(degree, interaction_only=crossed).fit(X, Y, mass)
                worst = largest(worst, np.abs(ours.powers_ - expand.powers_).max())
                worst = largest(worst, np.abs(ours.coef_ - theirs.coef_).max())
                worst = largest(worst, np.abs(ours.predict(X) - theirs.predict(Z)).max())
    return Check(worst, 1e-9, "max |number - peer|", "scikit-learn")
