"""Costs of decisions and the threshold that turns a score into the cheapest decision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fivefold.base.checks import check_one_of
from fivefold.base.errors import DataError, InputError
from fivefold.base.names import resolve

from ._inputs import as_rows, as_scores
from .calibration import zero_one

OBJECTIVES = ("youden", "f1", "accuracy")
_KEYS = ("fp", "fn", "tp", "tn")


@dataclass(frozen=True)
class Costs:
    """What each outcome of a decision costs, in any unit; a negative ``tp`` or ``tn`` is a gain.

    Parameters
    ----------
    fp, fn : float >= 0
        A false alarm and a miss; not both zero.
    tp, tn : float, default 0
        A hit and a correct rejection.

    Raises
    ------
    InputError
        When a cost is not a finite number, fp or fn is negative, or both are zero.
    """

    fp: float
    fn: float
    tp: float = 0.0
    tn: float = 0.0

    def __post_init__(self) -> None:
        for key in _KEYS:
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
                raise InputError(f"The cost {key} must be a number, got {value!r}.")
            if not math.isfinite(value):
                raise InputError(f"The cost {key} must be finite, got {float(value):g}.")
            if key in ("fp", "fn") and value < 0:
                raise InputError(
                    f"The cost {key} must be >= 0, got {float(value):g}; write a gain as tp or tn below 0."
                )
            object.__setattr__(self, key, float(value))
        if self.fp == 0 and self.fn == 0:
            raise InputError("Costs need fp or fn above 0; with both 0 every decision costs the same.")

    @classmethod
    def parse(cls, text: str) -> Costs:
        """Return the costs written as ``"fp=1,fn=10"``, with ``tp`` and ``tn`` if wanted.

        Raises
        ------
        InputError
            When an entry is not ``key=number``, a key is unknown or repeated, or fp or fn is missing.
        """
        found: dict[str, float] = {}
        for entry in text.split(","):
            key, equals, value = (part.strip() for part in entry.partition("="))
            if not equals or not key:
                raise InputError(f"Costs are written like fp=1,fn=10; {entry.strip()!r} is not of the form key=number.")
            key = resolve(key, _KEYS, "cost")
            if key in found:
                raise InputError(f"The cost {key} is given twice in {text!r}; give it once.")
            try:
                found[key] = float(value)
            except ValueError as error:
                raise InputError(f"The cost {key} must be a number, got {value!r}.") from error
        missing = [key for key in ("fp", "fn") if key not in found]
        if missing:
            raise InputError(
                f"Costs need both fp and fn, like fp=1,fn=10; {' and '.join(missing)} is missing in {text!r}."
            )
        return cls(**found)

    def __str__(self) -> str:
        return ",".join(f"{key}={getattr(self, key):g}" for key in _KEYS if key in ("fp", "fn") or getattr(self, key))


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it reaches on the rows it was chosen on.

    Attributes
    ----------
    value : float
        A row is called positive when its score is >= value; ``inf`` calls none and ``-inf`` calls all.
    score : float
        Mean cost a row (lower is better) or the objective (higher is better).
    """

    value: float
    score: float


def cost_of(y_true: Any, decision: Any, costs: Costs, sample_weight: Any = None) -> float:
    r"""Mean cost a row of decisions.

    .. math:: \frac{1}{W} \left( c_{fp} W_{fp} + c_{fn} W_{fn} + c_{tp} W_{tp} + c_{tn} W_{tn} \right)

    Parameters
    ----------
    y_true, decision : array (n,) of 0 and 1, or bool
    costs : Costs
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    float
        In the unit of the costs; times n it is the total.

    Raises
    ------
    DataError
        When lengths or values are not accepted.

    References
    ----------
    Elkan 2001; spec ``06#anomaly-metrics``.
    """
    true, pred, weight = as_rows(y_true, decision, sample_weight, what="the cost of decisions")
    positive = zero_one(true, "y_true", "the cost of decisions")
    called = zero_one(pred, "decision", "the cost of decisions")
    outcome = 2 * positive.astype(np.int64) + called  # 0 tn, 1 fp, 2 fn, 3 tp
    amount = np.bincount(outcome, weights=weight, minlength=4)
    return float(amount @ np.array([costs.tn, costs.fp, costs.fn, costs.tp]) / amount.sum())


def theoretical_threshold(costs: Costs) -> float:
    r"""Threshold of a calibrated probability above which calling a row positive is the cheaper decision.

    .. math:: p^* = \frac{c_{fp} - c_{tn}}{c_{fp} - c_{tn} + c_{fn} - c_{tp}}

    Parameters
    ----------
    costs : Costs

    Returns
    -------
    float
        At most 0 when a false alarm is no dearer than a correct rejection (call all), at least 1 when a miss is no dearer than
        a hit (call none).

    Raises
    ------
    InputError
        When wrong decisions together cost no more than right ones, so that no threshold of this form is best.

    References
    ----------
    Elkan 2001, equation 2; spec ``06#anomaly-protocol``.
    """
    alarm, miss = costs.fp - costs.tn, costs.fn - costs.tp
    if alarm + miss <= 0:
        raise InputError(
            f"The costs {costs} make wrong decisions no dearer than right ones (fp - tn + fn - tp = {alarm + miss:g}); "
            "give fp + fn above tp + tn."
        )
    return alarm / (alarm + miss)


def _objective(name: str, tp: np.ndarray, fp: np.ndarray, positive: Any, negative: Any) -> np.ndarray:
    """Return the objective at each candidate (c,) from the weights of true and false positives."""
    if name == "youden":
        for weight, lacking in ((positive, "positive"), (negative, "negative")):
            if weight == 0:
                raise DataError(
                    f"The threshold by youden needs rows of both classes; there is no {lacking} one (or all of weight zero)."
                )
        return np.asarray(tp / positive - fp / negative)
    if name == "f1":
        if positive == 0:
            raise DataError("The threshold by f1 needs at least one positive row of positive weight; there is none.")
        return np.asarray(2.0 * tp / (tp + fp + positive))
    return np.asarray((tp + negative - fp) / (positive + negative))


def _between(scores: np.ndarray) -> np.ndarray:
    """Return a threshold below each distinct score but the last and above the next, (g - 1,), scores falling."""
    upper, lower = scores[:-1], scores[1:]
    half = scores.dtype.type(0.5)
    middle = half * upper + half * lower
    # Between neighbors in floating point there is no middle; the upper one itself parts them.
    return np.asarray(np.where((middle > lower) & (middle <= upper), middle, upper))


def best_threshold(
    y_true: Any,
    score: Any,
    *,
    costs: Costs | None = None,
    objective: str | None = None,
    sample_weight: Any = None,
) -> Threshold:
    r"""Threshold with the lowest mean cost or the highest objective among all that tell these rows apart.

    With TP(t) and FP(t) the weights of positive and negative rows that score at least t, and P, N those of the classes:

    .. math:: \text{youden} = \frac{TP}{P} - \frac{FP}{N}, \quad F_1 = \frac{2 TP}{TP + FP + P}, \quad
              \text{accuracy} = \frac{TP + N - FP}{P + N}, \quad
              \text{cost} = \frac{c_{tp} TP + c_{fn} (P - TP) + c_{fp} FP + c_{tn} (N - FP)}{P + N}

    Parameters
    ----------
    y_true : array (n,) of 0 and 1, or bool
    score : array (n,)
        Finite; larger means more positive.
    costs : Costs, optional
        Minimize the mean cost a row; excludes ``objective``.
    objective : "youden" (default without costs), "f1" or "accuracy"
        Maximize it.
    sample_weight : array (n,), >= 0, optional

    Returns
    -------
    Threshold
        Decide "positive" when score >= value. The value lies midway between two neighboring distinct scores, or is ``inf``
        (no row is called) or ``-inf`` (all are). Among equally good ones (to 1e-12 of the range) it is the one nearest the
        theoretical threshold of the costs, or 0.5 for an objective; at equal distance, the higher.

    Raises
    ------
    DataError, InputError
        When values are not accepted, or the objective is not defined for rows of one class (youden; f1 without positives).

    Notes
    -----
    All candidates come from one sort and two cumulative sums, O(n log n); rows of equal score move together. The score on the
    rows that chose the threshold is optimistic: choose on inner data, report on other rows.

    References
    ----------
    Youden 1950; Elkan 2001; spec ``06#anomaly-metrics``, ``06#anomaly-protocol``.
    """
    what = "the choice of a threshold"
    if costs is not None and objective is not None:
        raise InputError(f"Give costs or objective, not both; got costs {costs} and objective {objective!r}.")
    name = check_one_of("objective", "youden" if objective is None else objective, OBJECTIVES)
    true, pred, weight = as_rows(y_true, score, sample_weight, what=what)
    scores = as_scores(pred, what)
    if scores.ndim != 1:
        raise DataError(f"{what} takes one score a row, shape (n,); got {scores.shape}.")
    if not np.isfinite(scores).all():
        raise DataError(f"{what} takes finite scores; found {int((~np.isfinite(scores)).sum())} infinite ones.")
    positive = zero_one(true, "y_true", what)
    target = 0.5 if costs is None else theoretical_threshold(costs)
    if weight is not None:
        kept = weight > 0
        positive, scores, weight = positive[kept], scores[kept], weight[kept]

    order = np.argsort(-scores)
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # (g,) last row of each distinct score
    # Counts stay integers, so that equal candidates are equal without rounding.
    hit = positive[order].astype(np.int64) if weight is None else np.where(positive[order], weight[order], 0.0)
    alarm = 1 - hit if weight is None else np.where(positive[order], 0.0, weight[order])
    tp = np.concatenate([[0], np.cumsum(hit)[last]])  # (g+1,) from calling none to calling all
    fp = np.concatenate([[0], np.cumsum(alarm)[last]])
    values = np.concatenate([[np.inf], _between(ranked[last]), [-np.inf]]).astype(np.float64)

    p, n = tp[-1], fp[-1]
    if costs is None:
        reached = _objective(name, tp, fp, p, n)
        loss = -reached
    else:
        loss = reached = (costs.tp * tp + costs.fn * (p - tp) + costs.fp * fp + costs.tn * (n - fp)) / (p + n)
    rounding = 1e-12 * np.ptp(loss)  # any value: far above rounding, far below a row's share
    equal = np.flatnonzero(loss <= loss.min() + rounding)
    chosen = int(equal[np.argmin(np.abs(values[equal] - target))])
    return Threshold(float(values[chosen]), float(reached[chosen]))
