"""Errors of numbers and probabilities: MAE, MSE, RMSE, MAPE, R² and log loss, by hand, by scikit-learn, over shards."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _values() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets far from zero, predictions and weights, two outputs."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2)) * [3.0, 0.5] + [100.0, -7.0]
    return y, y + rng.normal(size=y.shape) * [1.0, 2.0], rng.uniform(0.2, 3.0, 200)


def _function(name: str) -> Any:
    from fivefold.evaluation.registry import metric_class

    return metric_class(name).function


def _against(name: str, other: Any) -> Check:
    y, p, w = _values()
    ours, worst = _function(name), 0.0
    for true, pred in ((y, p), (y[:, 0], p[:, 0]), (y[:, 1:], p[:, 1])):
        for weight in (None, w):
            worst = largest(worst, abs(ours(true, pred, weight) / other(true, pred, sample_weight=weight) - 1.0))
    return Check(float(worst), 1e-13, "max relative difference", "scikit-learn")


def _shards(name: str) -> Check:
    """Seven unequal shards, some without weights, merged in several orders."""
    from fivefold.evaluation.registry import get_metric

    y, p, w = _values()
    w[:50] = 1.0  # shards 0 and 1 come without weights: their rows count once
    cuts = np.split(np.arange(200), [3, 50, 51, 90, 140, 195])
    parts = [get_metric(name).update(y[c], p[c], None if k < 2 else w[c]) for k, c in enumerate(cuts)]
    whole, worst = _function(name)(y, p, w), 0.0
    for order in itertools.islice(itertools.permutations(range(7)), 0, 5040, 700):
        total = get_metric(name)
        for k in order:
            total.merge(parts[k])
        worst = largest(worst, abs(total.compute() / whole - 1.0))
    return Check(float(worst), 1e-13, "max relative difference", "the whole set")


def _by_hand(name: str, expected: float, weighted: float) -> Check:
    """Targets 1, 2, 4 and predictions 2, 2, 1: errors -1, 0 and 3; weights 2, 1, 1."""
    y, p, w = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 1.0]), np.array([2.0, 1.0, 1.0])
    metric = _function(name)
    wrong = abs(metric(y, p) - expected) + abs(metric(y, p, w) - weighted) + abs(metric(y, y) - (name == "r2-score"))
    return Check(float(wrong), 1e-15, "sum of differences", "by hand")


@evidence("mae-metric", claim="Errors 1, 0, 3 have the mean 4/3, weighted 5/4", against="by hand")
def mae_by_hand() -> Check:
    return _by_hand("mae-metric", 4 / 3, 5 / 4)


@evidence("mse-metric", claim="Errors 1, 0, 3 have the mean square 10/3, weighted 11/4", against="by hand")
def mse_by_hand() -> Check:
    return _by_hand("mse-metric", 10 / 3, 11 / 4)


@evidence("rmse-metric", claim="Errors 1, 0, 3 have the root mean square √(10/3), weighted √(11/4)", against="by hand")
def rmse_by_hand() -> Check:
    return _by_hand("rmse-metric", (10 / 3) ** 0.5, (11 / 4) ** 0.5)


@evidence("mape-metric", claim="Errors 1 of 1, 0 of 2 and 3 of 4 are 7/12, weighted 11/16", against="by hand")
def mape_by_hand() -> Check:
    return _by_hand("mape-metric", 7 / 12, 11 / 16)


@evidence("r2-score", claim="1 - 10/(14/3) is negative; weighted 1 - 11/6", against="by hand")
def r2_by_hand() -> Check:
    # Spread: mean 7/3, 21 - 49/3 = 14/3; weighted mean 2, 2 + 0 + 4 = 6.
    return _by_hand("r2-score", 1 - 10 / (14 / 3), 1 - 11 / 6)


@evidence(
    "mae-metric", claim="One and two outputs, weighted and not, agree", against="scikit-learn mean_absolute_error"
)
def mae_sklearn() -> Check:
    from sklearn.metrics import mean_absolute_error

    return _against("mae-metric", mean_absolute_error)


@evidence("mse-metric", claim="One and two outputs, weighted and not, agree", against="scikit-learn mean_squared_error")
def mse_sklearn() -> Check:
    from sklearn.metrics import mean_squared_error

    return _against("mse-metric", mean_squared_error)


@evidence("rmse-metric", claim="One and two outputs, weighted, agree", against="scikit-learn root_mean_squared_error")
def rmse_sklearn() -> Check:
    from sklearn.metrics import root_mean_squared_error

    return _against("rmse-metric", root_mean_squared_error)


@evidence(
    "mape-metric", claim="One and two outputs, weighted, agree", against="scikit-learn mean_absolute_percentage_error"
)
def mape_sklearn() -> Check:
    from sklearn.metrics import mean_absolute_percentage_error

    return _against("mape-metric", mean_absolute_percentage_error)


@evidence("r2-score", claim="One and two outputs, weighted and not, agree", against="scikit-learn r2_score")
def r2_sklearn() -> Check:
    from sklearn.metrics import r2_score

    return _against("r2-score", r2_score)


@evidence("mae-metric", claim="Seven unequal shards in any order give the whole", against="the whole set")
def mae_shards() -> Check:
    return _shards("mae-metric")


@evidence("mse-metric", claim="Seven unequal shards in any order give the whole", against="the whole set")
def mse_shards() -> Check:
    return _shards("mse-metric")


@evidence("rmse-metric", claim="Seven unequal shards in any order give the whole", against="the whole set")
def rmse_shards() -> Check:
    return _shards("rmse-metric")


@evidence("mape-metric", claim="Seven unequal shards in any order give the whole", against="the whole set")
def mape_shards() -> Check:
    return _shards("mape-metric")


@evidence("r2-score", claim="Seven unequal shards in any order give the whole", against="the whole set")
def r2_shards() -> Check:
    return _shards("r2-score")


@evidence("rmse-metric", claim="With the root inside the mean it would be the MAE", against="the source's misprint")
def rmse_misprint() -> Check:
    from fivefold.evaluation.metrics import RMSE, mae, rmse

    y, p, _ = _values()
    y, p = y[:, 0], p[:, 0]
    inside = np.mean(np.sqrt((y - p) ** 2))
    wrong = abs(inside - mae(y, p)) + float(not rmse(y, p) > 1.1 * inside)  # normal errors: √(π/2) = 1.25 apart
    # Batches with errors 3 and 4: the root of the mean square 12.5 is not the mean 3.5 of the batches.
    streamed = RMSE().update([0.0], [3.0]).update([0.0], [4.0]).compute()
    wrong += abs(streamed - 12.5**0.5)
    return Check(float(wrong), 1e-14, "sum of differences", "01#rmse-metric")


@evidence(
    "mape-metric", claim="A target of 0 is refused, skipped or divided by epsilon", against="by hand, scikit-learn"
)
def mape_zeros() -> Check:
    from sklearn.metrics import mean_absolute_percentage_error

    from fivefold.base.errors import DataError
    from fivefold.evaluation.metrics import MAPE, mape

    y, p, w = np.array([0.0, 2.0, -4.0, 0.0]), np.array([1.0, 3.0, -3.0, 0.0]), np.array([5.0, 1.0, 3.0, 7.0])
    wrong = abs(mape(y, p, zero="skip") - (0.5 + 0.25) / 2) + abs(mape(y, p, w, zero="skip") - (0.5 + 0.75) / 4)
    theirs = mean_absolute_percentage_error(y, p, sample_weight=w)
    wrong += abs(mape(y, p, w, zero="epsilon") / theirs - 1.0)
    two = np.stack([y, y + 10], axis=1), np.stack([p, p + 10], axis=1)
    second = np.mean([1 / 10, 1 / 12, 1 / 6, 0])
    wrong += abs(mape(*two, zero="skip") - (0.375 + second) / 2)  # an output without a zero loses no rows
    refused = 0
    for call in (lambda: mape(y, p), lambda: MAPE().update(y, p), lambda: mape([0.0], [1.0], zero="skip")):
        try:
            call()
        except DataError:
            refused += 1
    return Check(float(wrong + (refused != 3)), 1e-14, "sum of differences", "by hand")


@evidence("r2-score", claim="The source's form is another number and never negative", against="its formula")
def r2_misprint() -> Check:
    from fivefold.evaluation.metrics import r2

    y = np.array([1.0, 2.0, 3.0, 4.0])
    good, bad = np.array([1.1, 1.9, 3.2, 3.8]), np.array([4.0, 3.0, 2.0, 1.0])

    def printed(p: np.ndarray) -> float:
        spread = np.sum((y - y.mean()) ** 2)
        return float(spread / (spread + np.sum((y - p) ** 2)))

    wrong = abs(r2(y, good) - (1 - 0.1 / 5)) + abs(r2(y, bad) - (1 - 20 / 5)) + abs(r2(y, np.full(4, 2.5)))
    wrong += abs(printed(bad) - 0.2) + float(not abs(printed(good) - r2(y, good)) > 1e-4)
    # Only for least squares on its own rows is it the explained share too.
    x = np.array([0.0, 1.0, 2.0, 4.0])
    fitted = np.polyval(np.polyfit(x, y, 1), x)
    wrong += abs(r2(y, fitted) - np.sum((fitted - y.mean()) ** 2) / np.sum((y - y.mean()) ** 2))
    return Check(float(wrong), 1e-14, "sum of differences", "01#r2-metric")


def _probabilities() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 200)
    return y, rng.dirichlet(np.ones(3), 200), rng.uniform(0.2, 3.0, 200)


@evidence("log-loss-metric", claim="Mean and sum of two and of many classes agree", against="scikit-learn log_loss")
def log_loss_sklearn() -> Check:
    import sklearn.metrics as peer

    from fivefold.evaluation.metrics import log_loss

    y, p, w = _probabilities()
    two = (y == 2).astype(int)
    worst = 0.0
    for true, pred in ((y, p), (two, p[:, 2]), (two, np.stack([1 - p[:, 2], p[:, 2]], axis=1))):
        for weight, mean in itertools.product((None, w), (True, False)):
            theirs = peer.log_loss(true, pred, sample_weight=weight, normalize=mean)
            worst = largest(worst, abs(log_loss(true, pred, weight, normalize=mean) / theirs - 1.0))
    few = y < 2
    p2 = p[few]
    worst = largest(worst, abs(log_loss(y[few], p2, labels=[0, 1, 2]) - peer.log_loss(y[few], p2, labels=[0, 1, 2])))
    return Check(float(worst), 1e-13, "max relative difference", "scikit-learn")


@evidence(
    "log-loss-metric", claim="Probabilities 1/2, 1/4 and 1 of the true class cost ln 8 together", against="by hand"
)
def log_loss_by_hand() -> Check:
    from fivefold.evaluation.metrics import log_loss

    y, p = np.array([1, 1, 0]), np.array([0.5, 0.25, 0.0])
    wrong = abs(log_loss(y, p) - np.log(8) / 3) + abs(log_loss(y, p, normalize=False) - np.log(8))
    wrong += abs(log_loss(y, p, [2.0, 1.0, 5.0]) - np.log(16) / 8)
    wrong += abs(log_loss(y, p, [2.0, 1.0, 5.0], normalize=False) - np.log(16))
    wrong += abs(log_loss(["b", "b", "a"], p) - np.log(8) / 3)
    # Certain and wrong is clipped at the machine epsilon of the type.
    wrong += abs(log_loss([0, 1], [0.0, 0.0]) - 52 * np.log(2) / 2)
    wrong += abs(log_loss([0, 1], np.zeros(2, dtype=np.float32)) - 23 * np.log(2) / 2) / 1e6
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


@evidence(
    "log-loss-metric", claim="Shards that lack classes merge into the whole, mean and sum", against="the whole set"
)
def log_loss_shards() -> Check:
    from fivefold.evaluation.metrics import LogLoss, log_loss

    y, p, w = _probabilities()
    order = np.argsort(y, kind="stable")
    y, p, w = y[order], p[order], w[order]
    cuts, worst = np.split(np.arange(200), [2, 9, 40, 100, 101, 170]), 0.0
    for mean in (True, False):
        whole = log_loss(y, p, w, normalize=mean)
        total = LogLoss(normalize=mean)
        for k in (3, 0, 6, 1, 5, 2, 4):
            total.merge(LogLoss(normalize=mean).update(y[cuts[k]], p[cuts[k]], w[cuts[k]]))
        worst = largest(worst, abs(total.compute() / whole - 1))
    return Check(float(worst), 1e-13, "max relative difference", "the whole set")
