"""Steps of boosting by hand: when a fit stops, line searches, constraints and columns by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


@evidence(
    "lightgbm",
    claim="A metric stalls when it has not improved for `patience` rounds, each on its own set",
    against="histories",
)
def stalls_by_hand() -> Check:
    from fivefold.models.trees.boosting._following import Stopper

    def told(
        values: list[float], patience: int | None, tolerance: float = 0.0, *, higher: bool = False
    ) -> tuple[Any, ...]:
        stopper = Stopper(patience, tolerance, first_metric_only=False)
        for round_, value in enumerate(values):
            stopper.see("a", "m", value, higher, round_)
            if stopper.done():
                return round_, stopper.best_round, stopper.best_value
        return -1, stopper.best_round, stopper.best_value

    wrong = 0
    for given, expected in (
        (told([4.0, 2.0, 2.0, 2.0, 1.0], 2), (3, 1, 2.0)),
        (told([4.0, 2.0, 3.0, 1.0, 5.0], 2), (-1, 3, 1.0)),
        (told([4.0, 3.75, 3.75, 3.0], 2, 0.25), (2, 0, 4.0)),
        (told([4.0, 3.75, 3.25, 3.0], 2, 0.25), (-1, 2, 3.25)),
        (told([1.0, 2.0, 2.0, 1.5, 3.0], 2, higher=True), (3, 1, 2.0)),
        (told([1.0, 0.5, 0.7, 0.7], 1), (2, 1, 0.5)),
        (told([1.0, 2.0, 3.0], None), (-1, None, None)),
    ):
        wrong += int(given != expected)
    # The first of two metrics to stall ends the fit, unless only the first metric counts.
    for only, expected_end in ((False, 2), (True, -1)):
        stopper = Stopper(2, 0.0, first_metric_only=only)
        end = -1
        for round_, (up, down) in enumerate([(3.0, 1.0), (2.0, 1.0), (1.0, 1.0), (0.5, 1.0)]):
            stopper.see("a", "up", up, False, round_)
            stopper.see("a", "down", down, False, round_)
            if stopper.done():
                end = round_
                break
        wrong += int(end != expected_end) + int(stopper.best_round != (0 if end >= 0 else 3))
    one, two = Stopper(3, 0.0, first_metric_only=True), Stopper(3, 0.0, first_metric_only=True)
    one.see("a", "m", 1.0, False, 0)
    two.restore(one.get_state())
    wrong += int(two.best != one.best) + int(two.lead != "m")
    return Check(wrong, 0, "endings that differ", "histories by hand")


@evidence(
    "gradient-boosting-machine",
    claim="The exact line search brings the gradient of every leaf to zero",
    against="sums of gradients",
)
def searches_end_at_zero() -> Check:
    from fivefold.models.trees import GradientBoostingClassifier, GradientBoostingRegressor

    rng = Streams(51).numpy("search")
    X = rng.normal(size=(200, 2))
    y = np.exp(X[:, 0] + rng.normal(size=200) / 2)
    label = (X[:, 0] + rng.normal(size=200) > 0).astype(float)
    weight = rng.uniform(0.5, 2.0, 200)
    worst, moved = 0.0, 0.0
    one: dict[str, Any] = {"n_estimators": 2, "max_depth": 2, "learning_rate": 1.0, "min_samples_leaf": 20}
    for make, target, params in (
        (GradientBoostingRegressor, y, {"loss": "poisson"}),
        (GradientBoostingRegressor, y, {"loss": "gamma"}),
        (GradientBoostingRegressor, y, {"loss": "gamma", "init": "zero"}),
        (GradientBoostingRegressor, y * 50, {"loss": "gamma", "init": "zero"}),
        (GradientBoostingRegressor, y, {"loss": "tweedie"}),
        (GradientBoostingRegressor, y, {"loss": "huber", "alpha": 0.2}),
        (GradientBoostingClassifier, label, {}),
        (GradientBoostingClassifier, label, {"loss": "exponential"}),
    ):
        for w in (None, weight):
            model = make(line_search="exact", **one, **params).fit(X, target, w)
            raw, leaf = model.predict_raw(X).T, model.apply(X)[:, 1]
            g, h = np.empty_like(raw), np.empty_like(raw)
            model.loss_.gradients(target, np.ascontiguousarray(raw), w, g, h, 1)
            sums = np.bincount(leaf, weights=g[0])
            worst = largest(worst, float(np.abs(sums / np.maximum(1.0, np.bincount(leaf, weights=np.abs(g[0])))).max()))
            newton = make(**one, **params).fit(X, target, w)
            moved = largest(moved, float(np.abs(newton.predict_raw(X) - model.predict_raw(X)).max()))
    return Check(worst if moved > 0.01 else np.inf, 1e-8, "relative sum of gradients")


@evidence(
    "lightgbm", claim="Constraints and categorical columns by name, number or mask are the same", against="one another"
)
def columns_by_name() -> Check:
    import polars as pl

    from fivefold.models.trees import LGBMRegressor

    rng = Streams(52).numpy("names")
    X = rng.integers(0, 40, (600, 4)).astype(float)
    y = X[:, 0] - np.abs(X[:, 1] - 20) + (X[:, 2] % 7 == 3) * 9 + rng.normal(size=600)
    frame = pl.DataFrame({name: X[:, f] for f, name in enumerate("abcd")})
    worst = 0.0
    for ways in (
        [
            {"monotone_constraints": v}
            for v in ([0, 1, 0, -1], {"b": 1, "d": -1}, {1: 1, 3: -1}, np.array([0, 1, 0, -1]))
        ],
        [{"interaction_constraints": v} for v in ([[0, 1], [2, 3]], [["a", "b"], ["c", "d"]], [["b", 0]])],
        [{"categorical_feature": v} for v in ([2], ["c"], np.array([False, False, True, False]))],
    ):
        told = [LGBMRegressor(n_estimators=4, **params).fit(frame, y).predict(frame) for params in ways]
        plain = LGBMRegressor(n_estimators=4).fit(frame, y).predict(frame)
        worst = largest(worst, *(float(np.abs(told[0] - other).max()) for other in told[1:]))
        worst = largest(worst, float(np.array_equal(told[0], plain)))
    return Check(worst, 0, "largest difference")
