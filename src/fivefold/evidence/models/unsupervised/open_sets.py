"""Anomaly protocol and open sets: the course's cost tables, parts that stay apart, confidence by hand, classes left out."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest, smallest


class _Recorder:
    """A detector that scores a row by its first column and keeps the rows it was shown."""

    shown: list[tuple[str, tuple[float, ...]]] = []

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def get_params(self, deep: bool = True) -> dict[str, float]:
        return {"sign": self.sign}

    def set_params(self, **params: float) -> _Recorder:
        return self

    def fit(self, X: np.ndarray) -> _Recorder:
        self.shown.append(("fit", tuple(X[:, 1])))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        self.shown.append(("score", tuple(X[:, 1])))
        return -self.sign * X[:, 0]


def _course() -> tuple[np.ndarray, np.ndarray]:
    """Return anomaly scores (105,) and truth of the course: 1 alarm and 4 missing at 0.5, 6 and 3 at 0.2."""
    # At 0.5 one normal and one abnormal row raise alarms; at 0.2 six normal and two abnormal ones.
    normal = np.r_[0.6, np.full(5, 0.3), np.full(94, 0.1)]
    return np.r_[normal, 0.7, 0.3, np.full(3, 0.05)], np.arange(105) >= 100


@evidence(
    "anomaly-detection-protocol",
    claim="The two thresholds of the course cost 104 against 603 and 401 against 306; the cheapest of all is taken",
    against="the course's tables",
)
def costs_choose() -> Check:
    from fivefold.models.unsupervised.anomaly_protocol import AnomalyProtocol, AnomalySplit

    score, truth = _course()
    # Development and test rows are alike; training rows stand before them.
    X = np.c_[np.r_[np.zeros(20), score, score], np.arange(230.0)]
    odd = np.r_[np.zeros(20, dtype=bool), truth, truth]
    split = AnomalySplit(np.arange(20), np.arange(20, 125), np.arange(125, 230))
    worst = 0.0

    def tables(threshold: float, fp: float, fn: float) -> float:
        return float(fp * (score[~truth] >= threshold).sum() + fn * (score[truth] < threshold).sum())

    worst = largest(worst, abs(tables(0.5, 100, 1) - 104), abs(tables(0.2, 100, 1) - 603))
    worst = largest(worst, abs(tables(0.5, 1, 100) - 401), abs(tables(0.2, 1, 100) - 306))
    for fp, fn in ((100.0, 1.0), (1.0, 100.0), (20, 100)):
        report = AnomalyProtocol({"first": _Recorder()}, fp, fn).run(X, odd, split)
        every = [tables(t, fp, fn) for t in (np.inf, 0.65, 0.5, 0.2, 0.07, 0.0)]
        worst = largest(
            worst, abs(105 * report.dev_costs["first"] - min(every)), abs(105 * report.test_cost - min(every))
        )
        worst = largest(
            worst, abs(report.trivial_accuracy - 100 / 105), abs(tables(report.threshold, fp, fn) - min(every))
        )
        worst = largest(worst, abs(report.false_alarms * fp + report.missing * fn - min(every)))
        worst = largest(worst, abs(report.test_accuracy - (1 - (report.false_alarms + report.missing) / 105)))
        worst = largest(worst, float((report.predict(X) != np.where(X[:, 0] >= report.threshold, -1, 1)).any()))
        pairs = (score[truth][:, None] > score[~truth]) + 0.5 * (score[truth][:, None] == score[~truth])
        worst = largest(worst, abs(report.test_auc - pairs.mean()), abs(report.dev_auc - pairs.mean()))
    two = AnomalyProtocol({"wrong": _Recorder(0.0), "right": _Recorder(), "same": _Recorder()}, 1, 1).run(X, odd, split)
    worst = largest(worst, float(two.name != "right" or list(two.dev_costs) != ["wrong", "right", "same"]))
    default = AnomalyProtocol({})
    worst = largest(worst, float((default.false_alarm, default.missing) != (1.0, 1.0)))
    return Check(worst, 1e-10, "largest difference", "the course's tables")


@evidence(
    "anomaly-detection-protocol",
    claim="Training holds normal rows only; test rows are scored once, after the choice, and change nothing in it",
    against="a detector that keeps what it is shown",
)
def parts_stay_apart() -> Check:
    from fivefold.models.unsupervised.anomaly_protocol import AnomalyProtocol, anomaly_split

    rng = Streams(11).numpy("apart")
    odd = rng.random(200) < 0.2
    X = np.c_[rng.normal(size=200) + 2 * odd, np.arange(200.0)]
    split = anomaly_split(odd, random_state=3)
    usual, unusual = int((~odd).sum()), int(odd.sum())
    sizes = [round(0.6 * usual), round(0.5 * (usual - round(0.6 * usual))) + round(0.5 * unusual)]
    every = np.concatenate([split.train, split.dev, split.test])
    worst = float([len(split.train), len(split.dev)] != sizes or (np.sort(every) != np.arange(200)).any())
    worst = largest(worst, float(odd[split.train].any()), float(odd[split.dev].sum() != round(0.5 * unusual)))
    again, other = anomaly_split(odd, random_state=3), anomaly_split(odd, random_state=4)
    worst = largest(worst, float((again.test != split.test).any() or np.array_equal(other.train, split.train)))
    _Recorder.shown = []
    protocol = AnomalyProtocol({"a": _Recorder(), "b": _Recorder(-1.0)})
    report = protocol.run(X, odd, split)
    train, dev, test = (tuple(part.astype(float)) for part in (split.train, split.dev, split.test))
    wanted = [("fit", train), ("score", dev), ("fit", train), ("score", dev), ("score", test)]
    worst = largest(worst, float(_Recorder.shown != wanted))
    spoiled = X.copy()
    spoiled[split.test, 0] = rng.normal(size=len(split.test)) * 100
    same = protocol.run(spoiled, odd, split)
    worst = largest(
        worst, abs(same.threshold - report.threshold), float(same.name != report.name or same.dev_auc != report.dev_auc)
    )
    return Check(worst, 0, "violations", "a detector that keeps what it is shown")


@evidence(
    "msp-open-set-detection",
    claim="Confidence is the largest probability or the negative entropy, λ its percentile; the course's probabilities",
    against="the formulas by hand",
)
def confidence_by_hand() -> Check:
    from fivefold.models.linear import GaussianNB
    from fivefold.models.unsupervised import OpenSetClassifier

    rng = Streams(11).numpy("hand")
    X, y = rng.normal(size=(90, 3)) + 2 * np.repeat(np.eye(3), 30, axis=0), np.repeat(["a", "b", "c"], 30)
    worst = 0.0
    for base in (None, GaussianNB()):
        for kind in ("max-probability", "entropy"):
            model = OpenSetClassifier(base, confidence=kind).fit(X, y)
            p = model.predict_proba(X)
            known = p.max(axis=1) if kind == "max-probability" else (p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
            worst = largest(worst, float(np.abs(model.score_samples(X) - known).max()))
            worst = largest(worst, abs(model.threshold_ - np.percentile(known, 5)))
            worst = largest(worst, float((model.known(X) != (known > model.threshold_)).any()))
            worst = largest(worst, float((model.predict(X) != model.classes_[p.argmax(axis=1)]).any()))
    fixed = OpenSetClassifier(threshold=0.6).fit(X, y)
    worst = largest(worst, abs(fixed.threshold_ - 0.6))

    class Course:
        """The course's pictures: Bart 0.81 and 0.12, one like Miku 0.34, 0.31, 0.10, a sure one."""

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return np.array([[0.81, 0.12, 0.07, 0.0], [0.34, 0.31, 0.10, 0.25], [1.0, 0.0, 0.0, 0.0]])

    fixed.estimator_ = Course()
    worst = largest(worst, float(np.abs(fixed.score_samples(X[:3]) - [0.81, 0.34, 1.0]).max()))
    worst = largest(worst, float((fixed.known(X[:3]) != [True, False, True]).any()))
    fixed.threshold_ = 0.81  # a confidence of λ itself is not above it
    worst = largest(worst, float((fixed.known(X[:3]) != [False, False, True]).any()))
    stated = {"estimator": None, "confidence": "max-probability", "contamination": 0.05, "threshold": None}
    worst = largest(worst, float(OpenSetClassifier().get_params() != stated))
    return Check(worst, 1e-12, "largest difference", "the formulas by hand")


@evidence(
    "msp-open-set-detection",
    claim="On digits of classes left out both confidences are lower than on new digits of known ones",
    against="chance, and known against known",
)
def classes_left_out() -> Check:
    from sklearn.datasets import load_digits

    from fivefold.evaluation.ranking import roc_auc
    from fivefold.models.unsupervised import OpenSetClassifier

    X, y = load_digits(return_X_y=True)
    X, outside = X / 16, y >= 7
    rows = Streams(11).numpy("digits").permutation(np.flatnonzero(~outside))
    train, new = rows[:700], rows[700:]
    least = 1.0
    for kind in ("max-probability", "entropy"):
        model = OpenSetClassifier(confidence=kind).fit(X[train], y[train])
        score = np.r_[-model.score_samples(X[new]), -model.score_samples(X[outside])]
        least = smallest(least, float(roc_auc(np.repeat([0, 1], [len(new), outside.sum()]), score)))
        half = len(new) // 2
        control = roc_auc(np.repeat([0, 1], [half, len(new) - half]), -model.score_samples(X[new]))
        # Two random halves of the known digits are alike: four standard errors of the rank statistic.
        if abs(control - 0.5) > 4 * np.sqrt((len(new) + 1) / (12 * half * (len(new) - half))):
            return Check(0.0, 0.5, "area under the ROC curve; the control failed", "chance", at_least=True)
    # Hendrycks & Gimpel report 85 to 97 percent for digits; this is a linear classifier of 7 classes.
    return Check(least, 0.75, "least area under the ROC curve", "chance", at_least=True)
