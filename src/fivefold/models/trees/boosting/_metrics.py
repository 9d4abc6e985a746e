"""Metrics of evaluation sets, by the names that LightGBM and XGBoost use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import rankdata

from fivefold.base.names import resolve

from ._losses import Loss
from ._ranking import group_sizes

Metric = tuple[str, Callable[..., float], bool]
"""Name, function (y, raw (K, n), weight, loss, group) -> float, whether higher is better."""


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    return float(np.average(values, weights=weight))


def _prediction(raw: np.ndarray, loss: Loss) -> np.ndarray:
    return loss.link(raw.T)


def _log_loss(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    p = _prediction(raw, loss)
    picked = p[np.arange(len(y)), y.astype(np.int64)]
    return _mean(-np.log(np.maximum(picked, 1e-15)), weight)


def _error(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    return _mean(_prediction(raw, loss).argmax(axis=1) != y, weight)


def _auc(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    """Return the share of pairs of a positive and a negative row in the right order, ties counting half."""
    score, positive = raw[0], y > 0
    if weight is None:
        n1, n0 = int(positive.sum()), int((~positive).sum())
        ranks = rankdata(score)
        return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)) if n1 and n0 else 1.0
    levels, at = np.unique(score, return_inverse=True)
    down = np.bincount(at, weights=weight * ~positive, minlength=len(levels))
    up = np.bincount(at, weights=weight * positive, minlength=len(levels))
    below = np.cumsum(down) - down
    total = up.sum() * down.sum()
    return float((up * (below + down / 2)).sum() / total) if total > 0 else 1.0


def _l2(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    return _mean((_prediction(raw, loss) - y) ** 2, weight)


def _rmse(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    return float(np.sqrt(_l2(y, raw, weight, loss, group)))


def _l1(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    return _mean(np.abs(_prediction(raw, loss) - y), weight)


def _loss(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    return _mean(loss.values(y, raw), weight)


def _ndcg(y: Any, raw: Any, weight: Any, loss: Loss, group: Any) -> float:
    return ndcg(y, raw, group_sizes(group, len(y)))


def ndcg(y: np.ndarray, raw: np.ndarray, group: np.ndarray) -> float:
    """Return the mean NDCG at 5 over queries of these sizes; a query whose rows are all of relevance 0 counts 1."""
    start, out = 0, []
    for size in group:
        rows = slice(start, start + int(size))
        start += int(size)
        gains, k = 2.0 ** y[rows] - 1, min(5, int(size))
        discount = 1 / np.log2(np.arange(2, k + 2))
        best = np.sort(gains)[::-1][:k] @ discount
        order = np.argsort(-raw[0, rows], kind="stable")[:k]
        out.append(gains[order] @ discount / best if best > 0 else 1.0)
    return float(np.mean(out))


METRICS: dict[str, Metric] = {
    "logloss": ("logloss", _log_loss, False),
    "binary_logloss": ("binary_logloss", _log_loss, False),
    "multi_logloss": ("multi_logloss", _log_loss, False),
    "mlogloss": ("mlogloss", _log_loss, False),
    "error": ("error", _error, False),
    "binary_error": ("binary_error", _error, False),
    "multi_error": ("multi_error", _error, False),
    "merror": ("merror", _error, False),
    "auc": ("auc", _auc, True),
    "l2": ("l2", _l2, False),
    "rmse": ("rmse", _rmse, False),
    "l1": ("l1", _l1, False),
    "mae": ("mae", _l1, False),
    "loss": ("loss", _loss, False),
    "ndcg": ("ndcg@5", _ndcg, True),
}


def metrics_of(given: Any, default: str) -> list[Metric | Callable[..., Any]]:
    """Return metrics from a name, a callable ``(y, prediction) -> (name, value, higher is better)``, or several of them."""
    items = [default] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
    return [m if callable(m) else METRICS[resolve(str(m), METRICS, "metric")] for m in items]


def measure(
    metric: Metric | Callable[..., Any],
    y: np.ndarray,
    raw: np.ndarray,
    weight: np.ndarray | None,
    loss: Loss,
    group: Any,
) -> tuple[str, float, bool]:
    """Return name, value and whether higher is better of a metric on raw scores (K, n)."""
    if callable(metric):
        name, value, higher = metric(y, _prediction(raw, loss))
        return str(name), float(value), bool(higher)
    name, function, higher = metric
    return name, function(y, raw, weight, loss, group), higher
