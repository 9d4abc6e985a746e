"""ROC and precision-recall curves: every threshold counted by hand, scikit-learn, shards, and the shift of the class ratio."""

from __future__ import annotations

import itertools
import math

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random(260) < 0.3).astype(int)
    return y, np.round(rng.normal(size=260) + 0.9 * y, 1), rng.uniform(0.2, 3.0, 260)


def _points(y: np.ndarray, score: np.ndarray, w: np.ndarray) -> list[tuple[float, ...]]:
    """Return false-positive rate, recall, precision and threshold at every distinct score from high to low."""
    found = []
    for t in sorted(set(score.tolist()), reverse=True):
        called = score >= t
        tp, fp = w[called & (y == 1)].sum(), w[called & (y == 0)].sum()
        found.append((fp / w[y == 0].sum(), tp / w[y == 1].sum(), tp / (tp + fp), t))
    return found


@evidence(
    "roc-curve", claim="Each distinct score is a point, ties together, weighted", against="every threshold counted"
)
def roc_curve_counted() -> Check:
    from fivefold.evaluation.metrics import RocCurve

    y, score, w = _rows()
    worst = 0.0
    for weight in (None, w):
        points = np.array([(0.0, 0.0, 1.0, np.inf), *_points(y, score, np.ones(260) if weight is None else w)])
        curve = RocCurve().update(y, score, weight).compute()
        worst = largest(worst, np.abs(curve.x - points[:, 0]).max(), np.abs(curve.y - points[:, 1]).max())
        worst = largest(worst, float(not np.array_equal(curve.thresholds, points[:, 3])))
        best = min(range(len(points)), key=lambda i: math.hypot(points[i, 0], 1 - points[i, 1]))
        worst = largest(worst, float(curve.corner() != best))
    return Check(float(worst), 1e-13, "max difference", "brute force")


@evidence(
    "pr-curve", claim="Each distinct score is a point, ties together, weighted", against="every threshold counted"
)
def pr_curve_counted() -> Check:
    from fivefold.evaluation.metrics import PrecisionRecallCurve

    y, score, w = _rows()
    worst = 0.0
    for weight in (None, w):
        points = np.array(_points(y, score, np.ones(260) if weight is None else w))
        curve = PrecisionRecallCurve().update(y, score, weight).compute()
        worst = largest(worst, np.abs(curve.x - points[:, 1]).max(), np.abs(curve.y - points[:, 2]).max())
        worst = largest(worst, float(not np.array_equal(curve.thresholds, points[:, 3])))
        best = min(range(len(points)), key=lambda i: math.hypot(1 - points[i, 1], 1 - points[i, 2]))
        worst = largest(worst, float(curve.corner() != best))
        area = np.sum(np.diff(points[:, 1], prepend=0.0) * points[:, 2])
        worst = largest(worst, abs(curve.area - area))
    return Check(float(worst), 1e-13, "max difference", "brute force")


@evidence("roc-curve", claim="Rates, thresholds and area agree, ties included", against="scikit-learn roc_curve")
def roc_curve_sklearn() -> Check:
    import sklearn.metrics as peer

    from fivefold.evaluation.metrics import RocCurve

    y, score, w = _rows()
    worst = 0.0
    for weight in (None, w):
        curve = RocCurve().update(np.where(y == 1, "sick", "healthy"), score, weight).compute()
        fpr, tpr, thresholds = peer.roc_curve(y, score, sample_weight=weight, drop_intermediate=False)
        worst = largest(worst, np.abs(curve.x - fpr).max(), np.abs(curve.y - tpr).max())
        worst = largest(worst, float(not np.array_equal(curve.thresholds, thresholds)))
        worst = largest(worst, abs(curve.area - peer.roc_auc_score(y, score, sample_weight=weight)))
    return Check(float(worst), 1e-13, "max difference", "scikit-learn")


@evidence("pr-curve", claim="Precision, recall and thresholds agree", against="scikit-learn precision_recall_curve")
def pr_curve_sklearn() -> Check:
    import sklearn.metrics as peer

    from fivefold.evaluation.metrics import PrecisionRecallCurve

    y, score, w = _rows()
    worst = 0.0
    for weight in (None, w):
        curve = PrecisionRecallCurve().update(y, score, weight).compute()
        precision, recall, thresholds = peer.precision_recall_curve(y, score, sample_weight=weight)
        # scikit-learn goes from the lowest score up and adds the point (recall 0, precision 1).
        worst = largest(worst, np.abs(curve.y[::-1] - precision[:-1]).max(), np.abs(curve.x[::-1] - recall[:-1]).max())
        worst = largest(worst, float(not np.array_equal(curve.thresholds[::-1], thresholds)))
        worst = largest(worst, abs(curve.area - peer.average_precision_score(y, score, sample_weight=weight)))
    return Check(float(worst), 1e-13, "max difference", "scikit-learn")


def _merged(name: str) -> float:
    from fivefold.evaluation import curves

    cls = getattr(curves, name)
    y, score, w = _rows()
    whole = cls().update(y, score, w).compute()
    parts = [cls().update(y[c], score[c], w[c]) for c in np.split(np.arange(260), [1, 4, 60, 61, 150, 255])]
    worst = 0.0
    for order in ((0, 1, 2, 3, 4, 5, 6), (6, 3, 0, 5, 2, 4, 1)):
        total = cls()
        for k in order:
            total.merge(parts[k])
        found = total.compute()
        worst = largest(worst, *(np.abs(a - b).max() for a, b in ((found.x, whole.x), (found.y, whole.y))))
        worst = largest(worst, float(not np.array_equal(found.thresholds, whole.thresholds)))
    # A row is a label and a score of eight bytes each and a weight.
    return largest(worst, abs(total.bytes_per_row - 24.0))


@evidence("roc-curve", claim="Seven unequal shards in any order give the curve of the whole", against="the whole set")
def roc_curve_merged() -> Check:
    return Check(_merged("RocCurve"), 1e-13, "max difference", "the whole set")


@evidence("pr-curve", claim="Seven unequal shards in any order give the curve of the whole", against="the whole set")
def pr_curve_merged() -> Check:
    return Check(_merged("PrecisionRecallCurve"), 1e-13, "max difference", "the whole set")


@evidence("roc-curve", claim="Four rows give the corners (0,0) (0,½) (½,½) (½,1) (1,1)", against="by hand")
def roc_curve_by_hand() -> Check:
    from fivefold.evaluation.metrics import RocCurve

    curve = RocCurve().update([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).compute()
    wrong = int(curve.x.tolist() != [0, 0, 0.5, 0.5, 1]) + int(curve.y.tolist() != [0, 0.5, 0.5, 1, 1])
    wrong += int(curve.thresholds.tolist() != [np.inf, 0.8, 0.4, 0.35, 0.1]) + int(curve.area != 0.75)
    tied = RocCurve().update([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]).compute()
    wrong += int(tied.x.tolist() != [0, 1]) + int(tied.area != 0.5)
    return Check(wrong, 0, "points that differ", "by hand")


@evidence("pr-curve", claim="r times as many negatives turn TP/(TP+FP) into TP/(TP+r FP)", against="the closed form")
def pr_curve_ratio() -> Check:
    from fivefold.evaluation.metrics import PrecisionRecallCurve, RocCurve

    y, score, _ = _rows()
    more = np.where(y == 1, 1, 10)
    y10, score10 = np.repeat(y, more), np.repeat(score, more)
    before, after = (PrecisionRecallCurve().update(*rows).compute() for rows in ((y, score), (y10, score10)))
    roc, roc10 = (RocCurve().update(*rows).compute() for rows in ((y, score), (y10, score10)))
    odds = (1 - before.y) / before.y
    worst = np.abs(after.y - 1 / (1 + 10 * odds)).max() + np.abs(after.x - before.x).max()
    worst += np.abs(roc.x - roc10.x).max() + np.abs(roc.y - roc10.y).max()
    return Check(float(worst + (not after.area <= 0.8 * before.area)), 1e-13, "sum of differences", "closed form")


@evidence(
    "pr-curve",
    claim="Four panels: ten times the negatives leave ROC and lower precision",
    against="the control of once",
)
def pr_curve_panels() -> Check:
    import tempfile

    from fivefold.demos.evaluation.ratio_shift import RatioShiftDemo

    with tempfile.TemporaryDirectory() as folder:
        shifted = RatioShiftDemo().run(seed=1, out=folder, quick=True).numbers
        same = RatioShiftDemo(times=1).run(seed=1, out=folder, quick=True)
    wrong = int(largest(v for k, v in same.numbers.items() if "largest" in k) != 0.0) + int("neither" not in same.text)
    # The area of normal scores 1.5 apart is Φ(1.5/√2); 1000 rows of a class leave a standard error below 0.01.
    exact = 0.5 * (1 + math.erf(1.5 / 2))
    areas = [shifted[f"{n}: area under the ROC curve"] for n in ("balanced", "shifted")]
    wrong += sum(not abs(a - exact) <= 0.04 for a in areas)
    wrong += int(not shifted["balanced: average precision"] - shifted["shifted: average precision"] >= 0.2)
    wrong += int(not shifted["largest change of the precision-recall curve"] >= 0.3)
    return Check(wrong, 0, "claims that fail", "01#pr-curve")


@evidence("roc-auc", claim="Seven unequal shards in 100 orders equal the peer, ties included", against="scikit-learn")
def roc_auc_seven_shards() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.evaluation.metrics import RocAuc

    rng = np.random.default_rng(7)
    sizes = [1, 2, 17, 60, 200, 311, 409]
    y = (rng.random(1000) < 0.2).astype(int)
    score = np.round(rng.normal(size=1000) + y, 1)  # about 60 distinct scores: most rows are tied
    w = rng.uniform(0.1, 4.0, 1000)
    cuts = np.split(np.arange(1000), np.cumsum(sizes)[:-1])
    worst = 0.0
    for weight in (None, w):
        parts = [RocAuc().update(y[c], score[c], None if weight is None else w[c]) for c in cuts]
        exact = roc_auc_score(y, score, sample_weight=weight)
        for _ in range(50):
            total = RocAuc()
            for k in rng.permutation(7):
                total.merge(parts[k])
            worst = largest(worst, abs(total.compute() - exact))
    return Check(float(worst), 1e-12, "max difference of 100", "scikit-learn")


@evidence(
    "roc-auc",
    claim="Bins keep the area within the bound they state",
    against="the exact area",
)
def roc_auc_binned() -> Check:
    from fivefold.evaluation.metrics import BinnedRocAuc, roc_auc

    rng = np.random.default_rng(2)
    y = (rng.random(3000) < 0.3).astype(int)
    p, w = 1 / (1 + np.exp(-rng.normal(size=3000) - y)), rng.uniform(0.2, 2, 3000)
    wrong = 0.0
    for bins, weight in itertools.product((2, 10, 1024), (None, w)):
        parts = [BinnedRocAuc(bins).update(y[s::3], p[s::3], None if weight is None else w[s::3]) for s in range(3)]
        total = BinnedRocAuc(bins).merge(parts[2]).merge(parts[0]).merge(parts[1])
        exact = roc_auc(y, p, weight)
        wrong += float(not abs(total.compute() - exact) <= total.error_bound() + 1e-12)
        wrong += float(not 0.2 / bins < total.error_bound() < 1.5 / bins)  # as dense as this: about pairs / bins
        wrong += abs(total.compute() - roc_auc(y, np.floor(p * bins), weight))
    sixteenths = np.floor(p * 16) / 16
    wrong += abs(BinnedRocAuc(16).update(y, sixteenths).compute() - roc_auc(y, sixteenths))
    wrong += float(BinnedRocAuc().update(y, p).counts.shape != (2, 1024)) + BinnedRocAuc().update(y, p).bytes_per_row
    wrong += abs(BinnedRocAuc(4).update([0, 1, 1], [0.2, 1.0, 0.9]).compute() - 1.0)  # 1.0 is in the last bin
    return Check(wrong, 1e-12, "sum of differences", "exact area")


@evidence(
    "roc-curve",
    claim="The area from bins is that of the rounded scores, within its bound of the exact one",
    against="all pairs",
)
def binned_area() -> Check:
    from fivefold.evaluation.metrics import BinnedRocAuc

    rng, worst = np.random.default_rng(3), 0.0
    y = (rng.random(120) < 0.4).astype(int)
    p = np.clip(0.5 + 0.2 * y + 0.3 * rng.normal(size=120), 0.0, 1.0)  # some of exactly 1, which belong to the last bin
    w = rng.uniform(0.2, 3.0, 120)
    for bins, weight in ((2, None), (7, w), (1024, w)):
        v = np.ones(120) if weight is None else weight
        cell = np.minimum(np.floor(p * bins), bins - 1)
        pairs = np.outer(v[y == 1], v[y == 0])

        def area(score: np.ndarray, pairs: np.ndarray = pairs) -> float:
            apart = score[y == 1][:, None] - score[y == 0]
            return float((pairs * ((apart > 0) + 0.5 * (apart == 0))).sum() / pairs.sum())

        metric = BinnedRocAuc(bins) if bins != 1024 else BinnedRocAuc()
        metric.update(y[:70], p[:70], None if weight is None else w[:70])
        metric.merge(metric.fresh().update(y[70:], p[70:], None if weight is None else w[70:]))
        same = cell[y == 1][:, None] == cell[y == 0]
        worst = largest(worst, abs(metric.compute() - area(cell)))
        worst = largest(worst, abs(metric.error_bound() - (pairs * same).sum() / pairs.sum() / 2))
        worst = largest(worst, abs(metric.compute() - area(p)) - metric.error_bound())
    return Check(worst, 1e-12, "max difference", "brute force")
