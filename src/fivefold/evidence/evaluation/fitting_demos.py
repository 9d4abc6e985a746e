"""Double descent and under- and overfitting: closed forms, exact enumeration of a small case, and controls."""

from __future__ import annotations

import itertools
import tempfile

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest


@evidence(
    "double-descent",
    claim="Mean errors on both sides of the threshold lie within five standard errors",
    against="closed form",
)
def descent_closed_form() -> Check:
    from fivefold.demos.evaluation.double_descent import DoubleDescentDemo, expected_risk

    demo, worst = DoubleDescentDemo(rows=12, columns=60, noise=0.25), 0.0
    for p in (0, 1, 4, 7, 20, 30, 45, 60):
        found = demo.errors(3, p, 1500)[0]
        off = abs(found.mean() - expected_risk(p, 12, 60, 0.25))
        worst = largest(worst, off / (found.std(ddof=1) / np.sqrt(1500)) if p else 1e12 * off)
    edges = [expected_risk(p, 12, 60, 0.25) for p in range(9, 17)]
    worst += fault([np.isinf(v) for v in edges] != [False, False, True, True, True, False, False, False])
    # Worked by hand: n = 12, D = 60, p = 10: (5/6 + 1/4)(1 + 10) = 143/12; p = 14: 7/30 (1 - 6/7) + (23/30 + 1/4)(1 + 12).
    worst += 1e9 * abs(edges[1] - 143 / 12) + 1e9 * abs(edges[5] - (1 / 30 + (23 / 30 + 1 / 4) * 13))
    return Check(float(worst), 5.0, "standard errors", "Belkin, Hsu & Xu 2020")


@evidence(
    "double-descent",
    claim="Each data set's error is that of minimum-norm least squares, and of the ridge with the best penalty",
    against="numpy.linalg.lstsq and the normal equations on the same draws",
)
def descent_fits() -> Check:
    from fivefold.base.random import Streams
    from fivefold.demos.evaluation.double_descent import DoubleDescentDemo

    demo, worst = DoubleDescentDemo(rows=10, columns=30, noise=0.5), 0.0
    for p in (3, 10, 17, 30):
        rng = Streams(1).numpy("linear", p)
        X = rng.standard_normal((12, 10, 30))
        beta = np.ones(30) / 30**0.5
        y = X @ beta + 0.5**0.5 * rng.standard_normal((12, 10))
        found = demo.errors(1, p, 12)
        for k in range(12):
            Z = X[k, :, :p]
            least = np.linalg.lstsq(Z, y[k], rcond=None)[0]
            # Noise to the model (30 - p)/30 + 1/2 over the variance 1/30 of a coefficient.
            ridge = np.linalg.solve(Z.T @ Z + (30 - p + 15) * np.eye(p), Z.T @ y[k])
            for row, b in zip(found, (least, ridge)):
                wanted = ((np.append(b, np.zeros(30 - p)) - beta) ** 2).sum() + 0.5
                worst = largest(worst, abs(row[k] / wanted - 1))
    return Check(worst, 1e-8, "largest relative difference", "LAPACK")


@evidence(
    "double-descent",
    claim="The peak is at n parameters, the second descent goes below the first, and a ridge penalty removes the peak",
    against="the demonstration at two seeds",
)
def descent_seen() -> Check:
    from fivefold.demos.evaluation.double_descent import DoubleDescentDemo

    wrong = 0
    for seed in (0, 1):
        with tempfile.TemporaryDirectory() as folder:
            found = DoubleDescentDemo().run(seed, folder, quick=True)
            wrong += [path.name for path in found.figures] != ["double-descent.png"]
        value = found.numbers
        for name in ("Gaussian columns", "ReLU features"):
            peak, top = value[f"{name}: parameters at the peak"], value[f"{name}: error at the peak"]
            wrong += not abs(peak - 40) <= 3
            wrong += not top >= 3 * value[f"{name}: error with the most parameters"]
            wrong += not top >= 3 * value[f"{name}: best error below the threshold"]
        wrong += (
            not value["Gaussian columns: error with the most parameters"]
            <= value["Gaussian columns: best error below the threshold"]
        )
        # The best penalty never does worse than predicting 0, which errs by 1.04.
        wrong += not value["Gaussian columns: largest error with the best ridge penalty"] <= 1.04 + 1e-9
        wrong += "the error peaks at" not in found.text
    return Check(float(wrong), 0.0, "claims that fail", "the claims")


@evidence(
    "underfitting-overfitting",
    claim="Expected errors of every degree are exact",
    against="all sign patterns of the noise, fitted in powers",
)
def degrees_enumerated() -> Check:
    from fivefold.demos.evaluation.under_over import curve, expected_errors

    x, sigma, worst = np.linspace(-1, 1, 7), 0.4, 0.0
    signs = sigma * np.array(list(itertools.product([-1.0, 1.0], repeat=7)))
    truth = np.cos(3 * x) + x
    worst = float(np.abs(curve(x) - truth).max())
    for degree in range(5):
        fits = np.array([np.polyval(np.polyfit(x, truth + e, degree), x) for e in signs])
        train = ((truth + signs - fits) ** 2).mean()
        new = ((truth - fits) ** 2).mean() + sigma**2
        found = expected_errors(x, degree, sigma**2)
        worst = largest(worst, abs(found[0] - train), abs(found[1] - new))
    return Check(worst, 1e-12, "max difference", "enumeration")


@evidence(
    "underfitting-overfitting",
    claim="Measured errors of degrees and forecasts lie within five standard errors of the closed forms, any correlation",
    against="closed forms",
)
def measured_errors() -> Check:
    from fivefold.demos.evaluation.under_over import UnderOverDemo, expected_errors

    demo = UnderOverDemo(items=12, weeks=4, spread=0.5)
    train, new = demo.degrees(2, 3000)
    worst = 0.0
    for degree in range(13):
        wanted = expected_errors(np.linspace(-1, 1, 24), degree, 0.1)
        # n errors σ² χ² a data set have at least the relative deviation √(2 / 24); bias terms add less than as much again.
        for value, exact in zip((train[degree], new[degree]), wanted):
            worst = largest(worst, abs(value / exact - 1) / (2 * np.sqrt(2 / (24 * 3000))))
    for shared in (0.0, 0.3, 1.0):
        found = demo.forecasts(0, shared, 400)
        item = 0.5 * np.sqrt(1.25)
        for value, exact in zip(found, (item, item * np.sqrt((1 + 11 * shared) / 12))):
            # A root of a mean of 7 · 400 squares errs by 1/√(2 · 2800); items add rows unless they share their noise.
            worst = largest(worst, abs(value / exact - 1) * np.sqrt(2 * 2800))
        closed = demo.expected_forecasts(shared)
        worst = largest(
            worst, 1e12 * abs(closed[0] - item), 1e12 * abs(closed[1] - item * np.sqrt((1 + 11 * shared) / 12))
        )
    return Check(float(worst), 5.0, "standard errors", "closed form")


@evidence(
    "underfitting-overfitting",
    claim="The new error is U-shaped while the training error falls; a category forecasts better unless items share their noise",
    against="the demonstration at two seeds",
)
def under_over_seen() -> Check:
    from fivefold.demos.evaluation.under_over import UnderOverDemo

    wrong = 0
    for seed in (0, 1):
        demo = UnderOverDemo()
        with tempfile.TemporaryDirectory() as folder:
            found = demo.run(seed, folder, quick=True)
            wrong += [path.name for path in found.figures] != ["degrees.png", "forecasts.png"]
        value = found.numbers
        train, new = demo.degrees(seed, 100)
        wrong += not (np.diff(train) <= 1e-12).all() or not 0 < value["best degree"] < 12
        wrong += value["best degree"] != np.argmin(new) or value["degree 12: new error"] != new[12]
        wrong += value["degree 0: training error"] != train[0]
        low = value["best degree: new error"]
        wrong += not value["degree 0: new error"] >= 2 * low or not value["degree 12: new error"] >= 1.1 * low
        ratio = value["items, own noise: relative error"] / value["category, own noise: relative error"]
        wrong += not abs(ratio / 50**0.5 - 1) <= 0.15
        same = value["items, shared noise: relative error"] / value["category, shared noise: relative error"]
        wrong += not abs(same - 1) <= 1e-9
        wrong += f"{ratio:.1f} times less" not in found.text
    return Check(float(wrong), 0.0, "claims that fail", "the claims")
