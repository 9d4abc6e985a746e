"""Calibration: bins counted by hand, Cox's line by its score equations, and the rows where no line fits best."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import expit

from fivefold.evidence import Check, evidence


def _drawn(rows: int, tilt: float = 1.0, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return y drawn with log-odds z and the stated probabilities σ(shift + tilt z)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.5, 1.5, rows)
    return (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int), 1 / (1 + np.exp(-shift - tilt * z))


def _weights(rows: int) -> list[np.ndarray | None]:
    """Return no weights, equal ones, equal ones but for a little, and uneven ones with zeros."""
    rng = np.random.default_rng(3)
    uneven = rng.exponential(size=rows) * (rng.random(rows) < 0.8)
    return [None, np.full(rows, 0.7), 1.0 + 1e-12 * rng.random(rows), uneven]


@evidence(
    "cost-sensitive-threshold",
    claim="Bins hold the rows above one edge and up to the next; quantiles go by weight; the error is the weighted gap",
    against="rows counted bin by bin",
)
def bins_counted() -> Check:
    from fivefold.evaluation.calibration import expected_calibration_error, reliability_curve

    # 150 rows: no quantile of two or seven bins falls upon a row.
    wrong, places = 0.0, itertools.product((1, 2, 7), ("quantile", "uniform"), (1, None), _weights(150))
    for bins, strategy, digits, weight in places:
        y, p = _drawn(150, 1.4)
        p = p if digits is None else np.round(p, digits)
        found = reliability_curve(y, p, weight, n_bins=bins, strategy=strategy)
        gap = expected_calibration_error(y, p, weight, n_bins=bins, strategy=strategy)
        w = np.ones(150) if weight is None else weight
        y, p, w = y[w > 0], p[w > 0], w[w > 0]
        order = np.argsort(p)
        # A row stands at the middle of its weight, the first one at 0 and the last one at 1.
        middle = np.cumsum(w[order]) - w[order] / 2
        shares = np.arange(1, bins) / bins
        place = (middle - middle[0]) / (middle[-1] - middle[0])
        inner = shares if strategy == "uniform" else np.interp(shares, place, p[order])
        edges = [-1.0, *inner, 2.0]
        members = [np.flatnonzero((p > a) & (p <= b)) for a, b in itertools.pairwise(edges)]
        members = [m for m in members if len(m)]
        wrong += float(found[2].tolist() != [len(m) for m in members])
        means = [(w[m] @ p[m] / w[m].sum(), w[m] @ y[m] / w[m].sum(), w[m].sum()) for m in members]
        wrong += sum(abs(a - c) + abs(b - d) for (a, b), (c, d, _) in zip(np.transpose(found[:2]), means))
        wrong += abs(gap - sum(m[2] * abs(m[0] - m[1]) for m in means) / w.sum())
    # An edge belongs to the bin below it, 0 and 1 to the outer bins.
    middle = reliability_curve([0, 1, 1, 0], [0.5, 0.25, 0.75, 0.0], n_bins=2, strategy="uniform")
    wrong += float(middle[2].tolist() != [3, 1]) + abs(expected_calibration_error([1, 0], [0.0, 1.0]) - 1.0)
    return Check(float(wrong), 1e-10, "sum of differences", "by hand")


@evidence(
    "cost-sensitive-threshold",
    claim="Slope, intercept, calibration in the large and the standard error, weighted, with certain rows and many alike",
    against="the score equations and the inverse information",
)
def cox_line() -> Check:

    from fivefold.evaluation.calibration import calibration_slope_intercept

    rng, worst = np.random.default_rng(1), []
    sure = np.array([0, 0, 1, 1, 0, 1, 1, 0]), np.array([0.0, 0.2, 1.0, 0.7, 0.6, 0.4, 0.9, 1.0])
    # One pair only stands in the wrong order: the slope is finite and large.
    x = np.sort(rng.normal(size=400))
    steep = np.repeat([0, 1], 200)
    steep[[199, 200]] = 1, 0
    tiny = (rng.random(300) < 0.3).astype(int), np.where(rng.random(300) < 0.5, 0.0, 1e-12)
    far = (rng.random(300) < 0.5).astype(int), 1 / (1 + np.exp(-np.r_[rng.normal(size=298), 30.0, -30.0]))
    tables = [_drawn(500, 1.7, 0.4), _drawn(200, 0.3, -3.0), sure, (steep, 1 / (1 + np.exp(-x))), tiny, far]
    for y, p in tables:
        for weight in (None, rng.exponential(size=len(y)) * 7, np.round(3 * rng.random(len(y)))):
            w = np.ones(len(y)) if weight is None else weight
            if not _overlap(y[w > 0], p[w > 0]):
                continue
            found = calibration_slope_intercept(y, p, weight)
            z = np.log(np.clip(p, 1e-15, 1 - 1e-15)) - np.log1p(-np.clip(p, 1e-15, 1 - 1e-15))
            design = np.stack([np.ones(len(z)), (z - z.mean()) / z.std()])
            q = expit(found.intercept + found.slope * z)
            worst += (np.abs(design @ (w * (y - q))) / w.sum()).tolist()
            error = np.sqrt(np.linalg.inv((design * w * q * (1 - q)) @ design.T)[1, 1]) / z.std()
            worst.append(
                abs(found.slope_standard_error / error - 1.0) / 1e4
            )  # of the information a step before the end
            alone = expit(found.intercept_given_slope_1 + z)
            worst.append(abs(w @ (y - alone)) / w.sum())
    return Check(float(np.max(worst)), 1e-9, "largest mean residual", "score equations")


def _overlap(y: np.ndarray, p: np.ndarray) -> bool:
    up, down = p[y == 1], p[y == 0]
    return bool(len(up) and len(down) and up.min() < down.max() and up.max() > down.min())


@evidence(
    "cost-sensitive-threshold",
    claim="Log-odds doubled give the slope ½; moved by 0.7 the intercept -0.7; a whole weight is that many rows",
    against="what was done to the probabilities",
)
def cox_recovers() -> Check:
    from fivefold.evaluation.calibration import calibration_slope_intercept

    wrong = 0.0
    for tilt, shift in ((1.0, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 0.7)):
        y, p = _drawn(20_000, tilt, shift)
        found = calibration_slope_intercept(y, p)
        # Standard errors of 20,000 rows are near 0.02; five of them are missed once in two million draws.
        wrong += float(not abs(found.slope * tilt - 1.0) <= 0.1) + float(not abs(found.intercept + shift) <= 0.12)
        wrong += float(not 0.5 < found.slope_standard_error * tilt / (2.0 / 20_000**0.5) < 1.5)
        wrong += float(tilt == 1.0 and not abs(found.intercept_given_slope_1 + shift) <= 0.12)
    y, p = _drawn(300, 1.5)
    times = np.random.default_rng(1).integers(0, 4, 300)
    plain = calibration_slope_intercept(np.repeat(y, times), np.repeat(p, times))
    weighed = calibration_slope_intercept(y, p, times)
    for field in ("slope", "intercept", "intercept_given_slope_1", "slope_standard_error"):
        wrong += float(not abs(getattr(weighed, field) - getattr(plain, field)) <= 1e-8)
    return Check(wrong, 0.0, "differences", "the transformation")


@evidence(
    "cost-sensitive-threshold",
    claim="Parted classes have no best slope but a level; a single class has neither",
    against="where the likelihood has a maximum",
)
def cox_without_end() -> Check:

    from fivefold.evaluation.calibration import calibration_slope_intercept

    wrong = 0.0
    parted = (
        ([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8]),
        ([1, 1, 0, 0], [0.1, 0.2, 0.7, 0.8]),
        ([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.8]),
        ([1, 1, 0, 0], [0.1, 0.5, 0.5, 0.8]),
        ([0, 1, 0, 1], [0.4, 0.4, 0.4, 0.4]),
        ([0, 0, 0, 1], [1e-9, 0.2, 0.3, 0.9999]),
        ([0, 1, 1, 1], [1e-9, 1 - 1e-9, 1 - 1e-12, 1 - 1e-14]),
    )
    for (y, p), w in itertools.product(parted, ([1.0] * 4, [1.0, 5.0, 30.0, 0.25])):
        found = calibration_slope_intercept(y, p, w)
        wrong += float(not np.isnan([found.slope, found.intercept, found.slope_standard_error]).all())
        z = np.log(p) - np.log1p(-np.asarray(p))
        level = expit(found.intercept_given_slope_1 + z)
        wrong += float(not abs(np.dot(w, level) - np.dot(w, y)) < 1e-10)
    for y, p, w in (
        ([0, 0, 0], [0.2, 0.5, 0.7], None),
        ([1, 1, 1], [0.2, 0.5, 0.7], None),
        ([0, 0, 1], [0.2, 0.5, 0.7], [1, 1, 0]),
    ):
        found = calibration_slope_intercept(y, p, w)
        every = (found.slope, found.intercept, found.intercept_given_slope_1, found.slope_standard_error)
        wrong += float(not np.isnan(every).all())
    both = calibration_slope_intercept([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4])  # they overlap: all four are numbers
    wrong += float(not np.isfinite([both.slope, both.intercept, both.slope_standard_error]).all())
    return Check(wrong, 0.0, "differences", "theory")


@evidence(
    "cost-sensitive-threshold",
    claim="The most probable class, of equal ones the first, and whether it is right",
    against="by hand",
)
def top_label_by_hand() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.evaluation.calibration import top_label

    table = [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]
    correct, confidence = top_label([0, 2, 1, 1], table)
    wrong = float(correct.tolist() != [1, 1, 0, 1]) + float(confidence.tolist() != [0.5, 0.7, 0.6, 0.8])
    for code in (3, -1):
        try:
            top_label([0, 2, code, 1], table)
            wrong += 1
        except DataError as error:
            wrong += float(f"the code {code}, but probabilities has the columns 0 to 2" not in str(error))
    return Check(wrong, 0.0, "differences", "by hand")
