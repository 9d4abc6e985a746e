"""How an anomaly detector is set up: trained on normal rows alone, tuned on development rows, judged once on test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from fivefold.base.checks import real
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams
from fivefold.evaluation.ranking import roc_auc
from fivefold.evaluation.thresholds import Costs, best_threshold, cost_of


@dataclass(frozen=True)
class AnomalySplit:
    """Row indices: ``train`` normal rows only; ``dev`` and ``test`` normal and abnormal ones."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class AnomalyReport:
    """What the protocol chose on the development rows and found on the test rows.

    Attributes
    ----------
    name : str, the detector with the least cost on the development rows, the first of equals
    model : the detector, fitted on the training rows
    threshold : float, λ; a row is an anomaly when its anomaly score -score_samples is >= λ
    dev_costs : mapping of name to the least mean cost a row on the development rows
    dev_auc, test_auc : float
    test_cost : float, mean cost a row on the test rows
    false_alarms, missing : int, on the test rows
    test_accuracy : float; and that of calling every row normal, ``trivial_accuracy``
    """

    name: str
    model: Any
    threshold: float
    dev_costs: Mapping[str, float]
    dev_auc: float
    test_auc: float
    test_cost: float
    false_alarms: int
    missing: int
    test_accuracy: float
    trivial_accuracy: float

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for normal rows and -1 for anomalies at the tuned threshold: X (n, d) -> (n,)."""
        return np.where(-np.asarray(self.model.score_samples(X)) >= self.threshold, -1, 1)


def anomaly_split(abnormal: Any, *, train: float = 0.6, dev: float = 0.5, random_state: Any = None) -> AnomalySplit:
    """Split rows so that training holds normal rows only.

    Parameters
    ----------
    abnormal : array (n,) of bool
    train : float in (0, 1), default 0.6
        Share of the normal rows to train on.
    dev : float in (0, 1), default 0.5
        Share of the other normal rows, and of the abnormal rows, to tune on; what is left is the test.
    random_state : int, Generator or None

    Returns
    -------
    AnomalySplit
        Sorted indices; every row is in one part.

    Raises
    ------
    DataError
        When ``abnormal`` is no vector of truth values, or a part would lack rows of a class.
    InputError
        A share outside its range.

    References
    ----------
    ``06#anomaly-protocol``.
    """
    kept, tuned = (
        real(name, value, low=0.0, high=1.0, above=True, below=True) for name, value in (("train", train), ("dev", dev))
    )
    odd = np.asarray(abnormal)
    if odd.ndim != 1 or odd.dtype != bool:
        raise DataError(f"`abnormal` has the shape {odd.shape} and type {odd.dtype}; give one truth value a row: (n,).")
    rng = Streams.of(random_state).numpy("anomaly-split")
    usual, unusual = (rng.permutation(np.flatnonzero(rows)) for rows in (~odd, odd))
    first = round(kept * len(usual))
    rest = usual[first:]
    cuts = round(tuned * len(rest)), round(tuned * len(unusual))
    counts = (first, cuts[0], len(rest) - cuts[0], cuts[1], len(unusual) - cuts[1])
    if min(counts) < 1:
        raise DataError(
            f"{len(usual)} normal and {len(unusual)} abnormal rows are too few for train={train:g} and dev={dev:g}: every "
            "part needs one of each of its classes."
        )
    return AnomalySplit(
        np.sort(usual[:first]),
        np.sort(np.concatenate([rest[: cuts[0]], unusual[: cuts[1]]])),
        np.sort(np.concatenate([rest[cuts[0] :], unusual[cuts[1] :]])),
    )


@dataclass
class AnomalyProtocol:
    r"""Fit detectors on normal rows, choose one and its threshold λ on development rows, and judge it on test rows once.

    .. math:: \hat\lambda = \arg\min_\lambda \frac{c_{fp}\, \#\{\text{normal } i: a(x_i) \ge \lambda\} + c_{fn}\,
              \#\{\text{abnormal } i: a(x_i) < \lambda\}}{n_\text{dev}}, \qquad a = -\text{score}

    Parameters
    ----------
    detectors : mapping of name to detector
        Unfitted; each has ``fit`` and ``score_samples``, high for normal rows. One entry a setting to be tried.
    false_alarm, missing : float >= 0, default 1.0
        Costs of calling a normal row an anomaly and of missing one; not both zero.

    Raises
    ------
    InputError
        No detector, or costs outside their range.
    DataError
        Abnormal rows among the training rows, overlapping parts, or a part that lacks a class.

    Notes
    -----
    Accuracy says little: with 100 normal and 5 abnormal rows, calling all normal is right on 95.2 % and useless. Of detectors
    with 1 false alarm and 4 missing or 6 and 3, the costs (100, 1) give 104 against 603, and (1, 100) give 401 against 306.
    Where several thresholds cost the same, the one nearest c_fp / (c_fp + c_fn) is taken.

    References
    ----------
    ``06#anomaly-formulation``, ``06#anomaly-protocol``, ``06#anomaly-metrics``.
    """

    detectors: Mapping[str, Any]
    false_alarm: float = 1.0
    missing: float = 1.0

    def run(self, X: Any, abnormal: Any, split: AnomalySplit) -> AnomalyReport:
        """Carry the protocol out on rows X (n, d), of which ``abnormal`` (n,) are anomalies, in the parts of ``split``."""
        costs = Costs(fp=self.false_alarm, fn=self.missing)
        if not self.detectors:
            raise InputError(
                "`detectors` is empty; give at least one, such as {'gaussian': GaussianAnomalyDetector()}."
            )
        X, odd = np.asarray(X), np.asarray(abnormal)
        self._check(odd, len(X), split)
        best: tuple[float, str, Any, float, np.ndarray] | None = None
        tried: dict[str, float] = {}
        for name, detector in self.detectors.items():
            model = clone(detector).fit(X[split.train])
            score = -np.asarray(model.score_samples(X[split.dev]))
            found = best_threshold(odd[split.dev], score, costs=costs)
            tried[name] = found.score
            if best is None or found.score < best[0]:
                best = (found.score, name, model, found.value, score)
        _, name, model, threshold, dev_score = best
        truth, score = odd[split.test], -np.asarray(model.score_samples(X[split.test]))
        alarm = score >= threshold
        return AnomalyReport(
            name=name,
            model=model,
            threshold=threshold,
            dev_costs=tried,
            dev_auc=float(roc_auc(odd[split.dev].astype(int), dev_score)),
            test_auc=float(roc_auc(truth.astype(int), score)),
            test_cost=cost_of(truth, alarm, costs),
            false_alarms=int((alarm & ~truth).sum()),
            missing=int((~alarm & truth).sum()),
            test_accuracy=float((alarm == truth).mean()),
            trivial_accuracy=float((~truth).mean()),
        )

    def _check(self, odd: np.ndarray, n: int, split: AnomalySplit) -> None:
        if odd.shape != (n,) or odd.dtype != bool:
            raise DataError(f"`abnormal` has the shape {odd.shape} and type {odd.dtype}; give {n} truth values.")
        every = np.concatenate([split.train, split.dev, split.test])
        if len(np.unique(every)) != len(every):
            raise DataError("A row stands in more than one part of the split; the test must be unseen before.")
        if odd[split.train].any():
            raise DataError(
                f"{int(odd[split.train].sum())} of the training rows are abnormal; train on normal rows only, as "
                "anomaly_split does."
            )
        for name in ("dev", "test"):
            part = odd[getattr(split, name)]
            if part.all() or not part.any():
                raise DataError(
                    f"The part `{name}` needs normal and abnormal rows; it has {int(part.sum())} of {len(part)}."
                )
