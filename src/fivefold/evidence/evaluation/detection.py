"""Mean average precision: COCO's program line by line in plain Python, the published worked example, cases by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _images(seed: int, count: int = 14) -> tuple[list[Any], list[Any]]:
    """Return crowded images with ties of score, ignored objects, missing classes and boxes of all sizes."""
    rng = np.random.default_rng(seed)
    true, pred = [], []
    for _ in range(count):
        n = int(rng.integers(0, 7))
        corner, size = rng.uniform(0, 60, (n, 2)), np.exp(rng.uniform(2.3, 5.0, (n, 2)))
        boxes = np.concatenate([corner, corner + size], axis=1)
        labels = rng.integers(0, 3, n)
        copies = np.repeat(np.arange(n), rng.integers(0, 4, n))
        found = boxes[copies] + rng.normal(0, 0.09, (len(copies), 4)) * np.tile(size[copies], 2)
        stray = rng.uniform(0, 60, (2, 2))
        found = np.concatenate([found, np.concatenate([stray, stray + rng.uniform(5, 120, (2, 2))], axis=1)])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        names = np.concatenate([np.where(rng.random(len(copies)) < 0.85, labels[copies], 1), rng.integers(0, 4, 2)])
        area = size.prod(axis=1) * rng.uniform(0.5, 1.0, n)
        true.append({"boxes": boxes, "labels": labels, "ignore": rng.random(n) < 0.2, "area": area})
        pred.append({"boxes": found, "labels": names, "scores": np.round(rng.random(len(found)), 1)})
    return true, pred


def _iou(a: np.ndarray, b: np.ndarray, crowd: bool = False) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    first, second = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (first if crowd else first + second - w * h)


def _coco(true: list[Any], pred: list[Any], low: float, high: float, limit: int, at: np.ndarray) -> tuple[Any, Any]:
    """Return precision (T, 101, K) and recall (T, K) the way COCO's program finds them; -1 where there is no object."""
    points = np.linspace(0.0, 1.0, 101)
    precision, recall = -np.ones((len(at), 101, 3)), -np.ones((len(at), 3))
    for k in range(3):
        scores, matched, dropped, positive = [], [], [], 0
        for t, p in zip(true, pred):
            gt = [g for g in range(len(t["labels"])) if t["labels"][g] == k]
            skip = {g: bool(t["ignore"][g] or t["area"][g] < low or t["area"][g] > high) for g in gt}
            gt = sorted(gt, key=lambda g: skip[g])
            dt = sorted((d for d in range(len(p["labels"])) if p["labels"][d] == k), key=lambda d: -p["scores"][d])[
                :limit
            ]
            positive += sum(not skip[g] for g in gt)
            hit, passed = np.zeros((len(at), len(dt)), bool), np.zeros((len(at), len(dt)), bool)
            for i, threshold in enumerate(at):
                used: set[int] = set()
                for j, d in enumerate(dt):
                    best, m = min(threshold, 1 - 1e-10), -1
                    for g in gt:
                        if g in used and not t["ignore"][g]:
                            continue
                        if m > -1 and not skip[m] and skip[g]:
                            break
                        overlap = _iou(p["boxes"][d], t["boxes"][g], bool(t["ignore"][g]))
                        if overlap < best:
                            continue
                        best, m = overlap, g
                    box = p["boxes"][d]
                    area = (box[2] - box[0]) * (box[3] - box[1])
                    if m == -1:
                        passed[i, j] = area < low or area > high
                        continue
                    hit[i, j], passed[i, j] = True, skip[m]
                    used.add(m)
            scores += [p["scores"][d] for d in dt]
            matched.append(hit)
            dropped.append(passed)
        if positive == 0:
            continue
        order = np.argsort(-np.array(scores), kind="mergesort")
        hits, drops = np.concatenate(matched, axis=1)[:, order], np.concatenate(dropped, axis=1)[:, order]
        for i in range(len(at)):
            tp, fp = np.cumsum(hits[i] & ~drops[i]), np.cumsum(~hits[i] & ~drops[i])
            rc, pr = tp / positive, tp / (fp + tp + np.spacing(1))
            recall[i, k] = rc[-1] if len(rc) else 0.0
            for j in range(len(pr) - 1, 0, -1):
                pr[j - 1] = max(pr[j - 1], pr[j])
            precision[i, :, k] = 0.0
            for r, place in enumerate(np.searchsorted(rc, points, side="left")):
                if place < len(pr):
                    precision[i, r, k] = pr[place]
    return precision, recall


def _over(values: np.ndarray) -> float:
    return float(values[values > -1].mean()) if (values > -1).any() else float("nan")


@evidence(
    "mean-average-precision",
    claim="COCO's twelve numbers and the values by class and overlap, with crowds, ties, sizes and lost classes",
    against="the steps of COCO's evaluation program in plain Python",
)
def map_coco() -> Check:
    from fivefold.evaluation.detection import MeanAveragePrecision

    at, worst = np.linspace(0.5, 0.95, 10), 0.0
    for seed in range(3):
        true, pred = _images(seed)
        metric = MeanAveragePrecision(max_detections=11 if seed else None).update(true, pred)
        top = 11 if seed else 100
        found = metric.summary()
        precision, recall = _coco(true, pred, 0, 1e10, top, at)
        pairs = [(metric.compute(), _over(precision)), (found.recall[top], _over(recall))]
        pairs += [(found.by_threshold[float(t)], _over(precision[i])) for i, t in enumerate(at)]
        pairs += [(found.by_class[k], _over(precision[:, :, k])) for k in range(3)]
        pairs += [(found.recall[limit], _over(_coco(true, pred, 0, 1e10, limit, at)[1])) for limit in (1, 10)]
        for size, low, high in (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, 1e10)):
            precision, recall = _coco(true, pred, low, high, top, at)
            pairs += [(found.by_size[size], _over(precision)), (found.recall_by_size[size], _over(recall))]
        worst = largest(worst, *(0.0 if np.isnan(a) and np.isnan(b) else abs(a - b) for a, b in pairs))
        worst = largest(
            worst, float(set(found.recall) != {1, 10, top} or set(found.by_size) != {"small", "medium", "large"})
        )
    return Check(worst, 1e-12, "max difference", "plain Python")


PADILLA = "TFTFFFFFFTFTTTFFFFFFFFTF"
"""Hits and false alarms of the 24 detections of Padilla, Netto & da Silva 2020, from the best score down; 15 objects."""


@evidence(
    "mean-average-precision",
    claim="0.2457 by the whole area (2010), 0.2684 by 11 points (2007)",
    against="the worked example of Padilla, Netto & da Silva 2020",
)
def map_worked_example() -> Check:
    from fivefold.evaluation.detection import mean_average_precision

    objects = np.array([[30.0 * i, 0.0, 30.0 * i + 10, 10.0] for i in range(15)])
    free = iter(range(15))
    boxes = [objects[next(free)] if c == "T" else [0.0, 500.0, 9.0, 509.0] for c in PADILLA]
    true = [{"boxes": objects, "labels": ["car"] * 15}]
    pred = [{"boxes": boxes, "labels": ["car"] * 24, "scores": np.linspace(0.95, 0.14, 24)}]
    # The printed fractions: hits at ranks 1, 3, 10, 12, 13, 14 and 23.
    steps = [1, 2 / 3, 3 / 7, 3 / 7, 3 / 7, 3 / 7, 7 / 23]
    wrong = abs(
        mean_average_precision(true, pred, protocol="voc2010")
        - sum(s if i != 2 else 6 / 14 for i, s in enumerate(steps)) / 15
    )
    wrong += abs(mean_average_precision(true, pred, protocol="voc2007") - (1 + 2 / 3 + 3 * 6 / 14) / 11)
    printed = abs(round(sum(steps) / 15, 3) - 0.246) + abs(round((1 + 2 / 3 + 9 / 7) / 11, 4) - 0.2684)
    # COCO's points 0.00 … 0.46: recall 1/15 serves 0 to 0.06, 2/15 to 0.13, 6/15 to 0.40, 7/15 to 0.46.
    coco = (7 * 1 + 7 * 2 / 3 + 27 * 6 / 14 + 6 * 7 / 23) / 101
    wrong += abs(mean_average_precision(true, pred, thresholds=[0.3]) - coco)
    return Check(float(wrong + printed), 1e-12, "sum of differences", "worked example")


@evidence(
    "mean-average-precision",
    claim="The rules of matching: who gets an object, duplicates, the threshold reached exactly, difficult objects",
    against="cases of a few boxes by hand",
)
def map_rules() -> Check:
    from fivefold.evaluation.detection import MeanAveragePrecision, as_corners, mean_average_precision

    def ap(objects: Any, found: Any, scores: Any, protocol: str = "coco", t: float = 0.5, **more: Any) -> float:
        true = {"boxes": objects, "labels": [0] * len(objects), **more}
        pred = {"boxes": found, "labels": [0] * len(found), "scores": scores}
        return mean_average_precision([true], [pred], protocol=protocol, thresholds=[t])

    a, near = [0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 12.0, 10.0]  # overlap 8/12
    half = [0.0, 0.0, 10.0, 5.0]
    wrong = 0.0
    for protocol in ("coco", "voc2010", "voc2007"):
        wrong += abs(ap([a], [a], [0.1], protocol, 1.0) - 1) + abs(ap([a], [half], [0.1], protocol) - 1)
        wrong += abs(ap([a], [half], [0.1], protocol, 0.5001)) + abs(ap([a], np.zeros((0, 4)), [], protocol))
        # A false alarm above the hit halves the precision, one below costs nothing.
        wrong += abs(ap([a], [[50, 50, 60, 60], a], [0.9, 0.8], protocol) - 0.5)
        wrong += abs(ap([a], [[50, 50, 60, 60], a], [0.8, 0.9], protocol) - 1)
    # Both detections overlap `a` most: COCO gives the second one to the other object, VOC calls it a false alarm.
    first, second = [0.0, 0.0, 10.0, 10.0], [0.5, 0.0, 10.5, 10.0]
    wrong += abs(ap([a, near], [first, second], [0.9, 0.8]) - 1)
    wrong += abs(ap([a, near], [first, second], [0.9, 0.8], "voc2010") - 0.5)
    wrong += abs(ap([a, near], [first, second], [0.9, 0.8], "voc2007") - 6 / 11)
    # An ignored object neither counts nor harms; COCO's takes any number of boxes inside it, VOC's by plain overlap.
    inside = [60.0, 0.0, 65.0, 5.0]
    crowd = [50.0, 0.0, 90.0, 40.0]
    boxes, scores = [inside, inside, a], [0.9, 0.8, 0.7]
    wrong += abs(ap([a, crowd], boxes, scores, ignore=[False, True]) - 1)
    wrong += abs(ap([a, crowd], boxes, scores, "voc2010", ignore=[False, True]) - 1 / 3)
    wrong += abs(ap([a, crowd], [crowd, crowd, a], scores, "voc2010", ignore=[False, True]) - 1)
    # Of equal overlaps VOC takes the first object and COCO the last.
    twins = [a, [0.0, 0.0, 10.0, 10.0]]
    wrong += abs(ap(twins, [a, a], [0.9, 0.8]) - 1) + abs(ap(twins, [a, a], [0.9, 0.8], "voc2010") - 0.5)
    # The first one ignored: VOC's detection does not count, and the other object stays lost.
    wrong += ap(twins, [a], [0.9], "voc2010", ignore=[True, False])
    wrong += abs(ap(twins, [a], [0.9], "voc2010", ignore=[False, True]) - 1)
    # In any unit of length: shares of the picture instead of pixels.
    for scale in (1e-3, 1e3):
        scaled = [[scale * v for v in box] for box in (a, near)]
        for t, value in ((0.66, 1.0), (0.67, 0.0)):
            wrong += abs(ap(scaled[:1], scaled[1:], [0.9], t=t) - value)
    # Formats, and the limits of detections: COCO keeps 100, VOC all.
    corners = np.array([[1.0, 2.0, 4.0, 8.0]])
    for box, form in (([[1, 2, 3, 6]], "xywh"), ([[2.5, 5, 3, 6]], "cxcywh"), ([[1, 2, 4, 8]], "xyxy")):
        wrong += float(np.abs(as_corners(box, form) - corners).max())
        true, pred = {"boxes": box, "labels": [1]}, {"boxes": box, "labels": [1], "scores": [0.5]}
        wrong += abs(mean_average_precision([true], [pred], box_format=form) - 1)
    many = [[50.0, 50.0, 60.0, 60.0]] * 100 + [a]
    wrong += abs(ap([a], many, np.linspace(1, 0, 101))) + abs(
        ap([a], many, np.linspace(1, 0, 101), "voc2010") - 1 / 101
    )
    wrong += abs(ap([a], many[1:], np.linspace(1, 0, 100)) - 1 / 100)
    # Objects of exactly 32² and 96² pixels are of either neighboring size.
    true = {"boxes": [[0, 0, 32, 32], [200, 200, 296, 296]], "labels": [0, 0]}
    sizes = MeanAveragePrecision().update([true], [{**true, "scores": [1, 0.5]}]).summary().by_size
    wrong += sum(abs(value - 1) for value in sizes.values())
    return Check(float(wrong), 1e-12, "sum of differences", "by hand")


@evidence(
    "mean-average-precision",
    claim="Shards merged, a saved copy and scores moved by any rising function give the same numbers",
    against="invariance",
)
def map_invariance() -> Check:
    import tempfile

    from fivefold.base.codec import load, save
    from fivefold.evaluation.detection import MeanAveragePrecision

    true, pred = _images(5)
    rng = np.random.default_rng(1)
    pred = [{**p, "scores": rng.random(len(p["scores"]))} for p in pred]
    worst = 0.0
    for protocol in ("coco", "voc2010", "voc2007"):
        whole = MeanAveragePrecision(protocol).update(true, pred).compute()
        shards = [MeanAveragePrecision(protocol).update(true[i : i + 5], pred[i : i + 5]) for i in (10, 0, 5)]
        merged = shards[0].merge(shards[1]).merge(shards[2])
        bent = MeanAveragePrecision(protocol).update(true, [{**p, "scores": np.exp(p["scores"])} for p in pred])
        with tempfile.TemporaryDirectory() as folder:
            save(merged, folder + "/m")
            again = load(folder + "/m")
        values = (merged.compute(), bent.compute(), again.compute())
        worst = largest(worst, *(abs(v - whole) for v in values), float(not 0.05 < whole < 0.95))
    return Check(worst, 1e-12, "max difference", "invariance")
