"""Mean average precision of object detectors: COCO's protocol with its twelve numbers, and both of Pascal VOC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.jit import njit

from .metric import Metric

PROTOCOLS = ("coco", "voc2010", "voc2007")
BOX_FORMATS = ("xyxy", "xywh", "cxcywh")
SIZES: dict[str, tuple[float, float]] = {
    "all": (0.0, np.inf),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, np.inf),
}
"""Areas in square pixels of the objects that a row of COCO's summary is about, both ends included."""


def as_corners(boxes: Any, box_format: str = "xyxy") -> np.ndarray:
    """Return boxes (n, 4) as left, top, right, bottom.

    Parameters
    ----------
    boxes : array (n, 4)
    box_format : "xyxy" (default), "xywh" (left, top, width, height: COCO files) or "cxcywh" (center and size: DETR)

    Raises
    ------
    DataError
        When the shape is another one, a number is not finite, or a box has a negative width or height.
    """
    check_one_of("box_format", box_format, BOX_FORMATS)
    box = np.asarray(boxes, dtype=np.float64)
    if box.size == 0:
        return np.zeros((0, 4))
    if box.ndim != 2 or box.shape[1] != 4:
        raise DataError(f"boxes must have shape (n, 4); got {box.shape}.")
    if not np.isfinite(box).all():
        raise DataError("boxes must be finite; found NaN or infinite coordinates.")
    if box_format != "xyxy":
        corner = box[:, :2] - (box[:, 2:] / 2 if box_format == "cxcywh" else 0.0)
        box = np.concatenate([corner, corner + box[:, 2:]], axis=1)
    if (box[:, 2:] < box[:, :2]).any():
        odd = int(np.flatnonzero((box[:, 2:] < box[:, :2]).any(axis=1))[0])
        raise DataError(
            f"box {odd} has a negative width or height; box_format is {box_format!r}, one of {', '.join(BOX_FORMATS)}."
        )
    return box


@njit
def _overlap(a: np.ndarray, b: np.ndarray, crowd: bool) -> Any:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    shared = width * height
    own = (a[2] - a[0]) * (a[3] - a[1])
    if crowd:
        return shared / own
    return shared / (own + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@njit
def _match(
    found: np.ndarray,  # (D, 4) in segments, best score first
    found_start: np.ndarray,  # (S + 1,)
    truth: np.ndarray,  # (G, 4) in the same segments
    truth_start: np.ndarray,  # (S + 1,)
    crowd: np.ndarray,  # (G,)
    ignored: np.ndarray,  # (G,) crowd, difficult, or of another size
    thresholds: np.ndarray,  # (T,)
    voc: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which detections hit an object (T, D) and which of them do not count (T, D)."""
    hit = np.zeros((len(thresholds), len(found)), dtype=np.bool_)
    passed = np.zeros((len(thresholds), len(found)), dtype=np.bool_)
    taken = np.empty(len(truth), dtype=np.bool_)
    for s in range(len(found_start) - 1):
        first, last = truth_start[s], truth_start[s + 1]
        overlap = np.empty((found_start[s + 1] - found_start[s], last - first))
        for d in range(found_start[s], found_start[s + 1]):
            for g in range(first, last):
                overlap[d - found_start[s], g - first] = _overlap(found[d], truth[g], crowd[g])
        for t in range(len(thresholds)):
            taken[first:last] = False
            # An overlap of 1 must reach the threshold 1 whatever its rounding.
            threshold = min(thresholds[t], 1.0 - 1e-10)
            for d in range(found_start[s], found_start[s + 1]):
                best, most = -1, threshold
                if voc:
                    # The object that overlaps most, taken or not: a second detection of it is a false alarm.
                    most = -1.0
                    for g in range(first, last):
                        if overlap[d - found_start[s], g - first] > most:
                            best, most = g, overlap[d - found_start[s], g - first]
                    if best < 0 or most < threshold:
                        continue
                    passed[t, d] = ignored[best]
                    hit[t, d] = not taken[best]
                    taken[best] = not ignored[best]
                    continue
                # The free object that overlaps most, the last of equals; ignored ones serve only when no other fits.
                for phase in range(2):
                    for g in range(first, last):
                        if ignored[g] != (phase == 1) or (taken[g] and not crowd[g]):
                            continue
                        if overlap[d - found_start[s], g - first] >= most:
                            best, most = g, overlap[d - found_start[s], g - first]
                    if best >= 0:
                        break
                if best >= 0:
                    hit[t, d] = True
                    passed[t, d] = ignored[best]
                    taken[best] = True
    return hit, passed


@dataclass(frozen=True)
class DetectionScores:
    """What :meth:`MeanAveragePrecision.summary` returns; NaN where no object is there to be found.

    Attributes
    ----------
    value : float
        Mean average precision over classes and thresholds.
    by_threshold : mapping overlap -> float
        Mean over the classes.
    by_class : mapping class -> float
        Mean over the thresholds.
    by_size : mapping "small", "medium", "large" -> float
        COCO only: objects of other sizes do not count, nor do detections of other sizes that hit none.
    recall : mapping detections an image and class -> float
        Mean over classes and thresholds of the largest recall when only that many of the best are kept.
    recall_by_size : mapping "small", "medium", "large" -> float
    """

    value: float
    by_threshold: Mapping[float, float]
    by_class: Mapping[Any, float]
    by_size: Mapping[str, float]
    recall: Mapping[int, float]
    recall_by_size: Mapping[str, float]

    def __str__(self) -> str:
        parts = [f"mean average precision {self.value:.4f}"]
        parts += [f"at overlap {t:g}: {self.by_threshold[t]:.4f}" for t in self.by_threshold if t in (0.5, 0.75)]
        parts += [f"{size} objects: {value:.4f}" for size, value in self.by_size.items()]
        parts += [f"recall of {k} detections: {value:.4f}" for k, value in self.recall.items()]
        return "; ".join(parts)


class _Image(NamedTuple):
    truth: np.ndarray  # (g, 4)
    truth_label: np.ndarray  # (g,)
    area: np.ndarray  # (g,)
    ignore: np.ndarray  # (g,) bool
    found: np.ndarray  # (d, 4)
    found_label: np.ndarray  # (d,)
    score: np.ndarray  # (d,)


def mean_average_precision(y_true: Any, y_pred: Any, **options: Any) -> float:
    """Return the mean average precision of detections; see :class:`MeanAveragePrecision` for data and options.

    References
    ----------
    Spec ``08#detr-finetune``.
    """
    return MeanAveragePrecision(**options).update(y_true, y_pred).compute()


class MeanAveragePrecision(Metric):
    r"""Mean average precision of an object detector over classes and overlap thresholds.

    Detections of a class, over all images from the best score down, are matched to its objects by the overlap
    :math:`\mathrm{IoU} = |A \cap B| / |A \cup B|`; a match at or above the threshold is a hit. With precision p and recall r
    down the list and the interpolated precision :math:`\bar p(r) = \max_{r' \ge r} p(r')`

    .. math:: \mathrm{AP}_{101} = \tfrac{1}{101} \sum_{k=0}^{100} \bar p(k/100), \quad
              \mathrm{AP}_{11} = \tfrac{1}{11} \sum_{k=0}^{10} \bar p(k/10), \quad
              \mathrm{AP}_{\infty} = \int_0^1 \bar p(r)\, dr

    Parameters
    ----------
    protocol : "coco" (default), "voc2010" or "voc2007"
        COCO: 101 points, thresholds 0.5, 0.55 … 0.95; a detection takes the free object that overlaps most. Pascal VOC:
        the whole area (2010) or 11 points (2007), threshold 0.5; a detection claims the object that overlaps most, and is
        a false alarm when that one is taken.
    thresholds : sequence of float in (0, 1], optional
        Other overlaps than the protocol's.
    box_format : "xyxy" (default), "xywh" or "cxcywh"
    max_detections : int >= 1, optional
        Detections kept an image and class; default 100 for COCO, all for VOC.

    Raises
    ------
    DataError
        When boxes, scores and labels differ in number, a box is no box, or no object is there.

    Notes
    -----
    ``update`` takes a list with one mapping an image. Of ``y_true``: ``boxes`` (g, 4), ``labels`` (g,) and optionally
    ``ignore`` (g,), COCO's crowd regions (which take any number of detections, by the share of the detection inside) or VOC's
    difficult objects, and ``area`` (g,) (default: of the box). Of ``y_pred``: ``boxes`` (d, 4), ``scores`` (d,) and ``labels``
    (d,). Classes without an object do not count. Detections of equal score stand in the order of their images, as in
    pycocotools; its recall points are 0.01·k in floating point, and so are these. VOC's programs measure whole pixels, with
    1 added to width and height, this class measures coordinates: add 1 to right and bottom for the same numbers.

    References
    ----------
    Lin et al. 2014; Everingham et al. 2010; spec ``08#detr-finetune``.
    """

    name: ClassVar[str] = "mean-average-precision"
    needs: ClassVar[str] = "values"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ()
    function = staticmethod(mean_average_precision)

    def __init__(
        self,
        protocol: str = "coco",
        *,
        thresholds: Sequence[float] | None = None,
        box_format: str = "xyxy",
        max_detections: int | None = None,
    ) -> None:
        check_one_of("protocol", protocol, PROTOCOLS)
        check_one_of("box_format", box_format, BOX_FORMATS)
        if thresholds is None:
            grid = np.linspace(0.5, 0.95, 10).tolist() if protocol == "coco" else [0.5]
        else:
            grid = [float(t) for t in thresholds]
            if not grid or not all(0.0 < t <= 1.0 for t in grid):
                raise InputError(f"thresholds must be overlaps in (0, 1], at least one; got {list(thresholds)!r}.")
        if max_detections is not None:
            check_count("max_detections", max_detections)
        elif protocol == "coco":
            max_detections = 100
        super().__init__(protocol=protocol, thresholds=grid, box_format=box_format, max_detections=max_detections)

    def reset(self) -> None:
        """Forget all images."""
        self.images: list[_Image] = []

    def get_state(self) -> dict[str, Any]:
        """Return options and images, as plain tuples."""
        return {**super().get_state(), "images": [tuple(image) for image in self.images]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Any:
        """Build the metric from what :meth:`get_state` returned."""
        return super().from_state({**state, "images": [_Image(*image) for image in state["images"]]})

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add images: one mapping of objects and one of detections each; there are no weights."""
        if sample_weight is not None:
            raise InputError("mean-average-precision has no weights of images; leave sample_weight out.")
        for name, images in (("y_true", y_true), ("y_pred", y_pred)):
            if isinstance(images, Mapping) or not all(isinstance(image, Mapping) for image in images):
                raise InputTypeError(
                    f"{name} must be a list with one mapping an image, such as [{{'boxes': …, 'labels': …}}]."
                )
        if len(y_true) != len(y_pred):
            raise DataError(f"y_true has {len(y_true)} images, y_pred has {len(y_pred)}; give a mapping for each.")
        self.images.extend([self._image(t, p) for t, p in zip(y_true, y_pred)])
        return self

    def _image(self, true: Mapping[str, Any], pred: Mapping[str, Any]) -> _Image:
        for name, needed, image in (
            ("y_true", ("boxes", "labels"), true),
            ("y_pred", ("boxes", "scores", "labels"), pred),
        ):
            lacking = [key for key in needed if key not in image]
            if lacking:
                raise DataError(f"an image of {name} lacks {', '.join(lacking)}; it needs {', '.join(needed)}.")
        truth = as_corners(true["boxes"], self.options["box_format"])
        found = as_corners(pred["boxes"], self.options["box_format"])
        size = (truth[:, 2] - truth[:, 0]) * (truth[:, 3] - truth[:, 1])
        area = np.asarray(true.get("area", size), dtype=np.float64)
        ignore = np.asarray(true.get("ignore", np.zeros(len(truth))), dtype=bool)
        score = np.asarray(pred["scores"], dtype=np.float64)
        labels = np.asarray(true["labels"]), np.asarray(pred["labels"])
        for name, column, boxes in (
            ("labels", labels[0], truth), ("area", area, truth), ("ignore", ignore, truth),
            ("scores", score, found), ("labels", labels[1], found),
        ):  # fmt: skip
            if column.shape != (len(boxes),):
                raise DataError(f"{name} must have one entry a box, shape ({len(boxes)},); got {column.shape}.")
        if np.isnan(score).any():
            raise DataError("scores must be numbers; found NaN.")
        return _Image(truth, labels[0], area, ignore, found, labels[1], score)

    def merge(self, other: Metric) -> Self:
        """Add all images of ``other``, a metric with the same options."""
        self._check_same(other)
        self.images.extend(other.images)  # type: ignore[attr-defined]
        return self

    def compute(self) -> float:
        """Return the mean over classes and thresholds."""
        return self.summary().value

    def summary(self) -> DetectionScores:
        """Return all numbers of the protocol; for COCO the twelve of its program."""
        if not self.images:
            raise InputError("mean-average-precision has seen no images; call `update` before `compute`.")
        labels = [image.truth_label for image in self.images if len(image.truth)]
        classes = np.unique(np.concatenate(labels)) if labels else np.zeros(0)
        coco, most = self.options["protocol"] == "coco", self.options["max_detections"]
        sizes = list(SIZES) if coco else ["all"]
        limits = sorted({k for k in (1, 10) if most is None or k < most} | ({most} if most else set()))
        thresholds = np.array(self.options["thresholds"])
        precision = np.full((len(sizes), len(classes), len(thresholds)), np.nan)
        recall = np.full((len(sizes), len(limits), len(classes), len(thresholds)), np.nan)
        for k, label in enumerate(classes):
            found, truth, area, ignore, score, starts = self._of_class(label)
            rank = np.arange(len(found)) - np.repeat(starts[0][:-1], np.diff(starts[0]))
            order = np.argsort(-score, kind="stable")
            box = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
            for a, size in enumerate(sizes):
                low, high = SIZES[size]
                aside = ignore | (area < low) | (area > high)
                if aside.all():
                    continue
                hit, passed = _match(found, starts[0], truth, starts[1], ignore & coco, aside, thresholds, not coco)
                passed |= ~hit & ((box < low) | (box > high))
                total = int((~aside).sum())
                counted = hit & ~passed
                for m, limit in enumerate(limits):
                    recall[a, m, k] = counted[:, rank < limit].sum(axis=1) / total
                for t in range(len(thresholds)):
                    kept = order[~passed[t, order]]
                    precision[a, k, t] = _average(hit[t, kept], total, self.options["protocol"])
        if np.isnan(precision[0]).all():
            raise DataError("mean-average-precision needs at least one object that is not ignored in y_true.")
        return DetectionScores(
            value=_mean(precision[0]),
            by_threshold={t: _mean(precision[0, :, i]) for i, t in enumerate(self.options["thresholds"])},
            by_class={label: _mean(precision[0, i]) for i, label in enumerate(classes.tolist())},
            by_size={size: _mean(precision[a]) for a, size in enumerate(sizes) if a},
            recall={limit: _mean(recall[0, m]) for m, limit in enumerate(limits)},
            recall_by_size={size: _mean(recall[a, -1]) for a, size in enumerate(sizes) if a},
        )

    def _of_class(self, label: Any) -> tuple[Any, ...]:
        """Return detections, objects, their area, whether to ignore them, scores, and where each image starts in both."""
        most = self.options["max_detections"]
        found, truth, area, ignore, score = [np.zeros((0, 4))], [np.zeros((0, 4))], [], [], []
        for image in self.images:
            here, there = np.flatnonzero(image.found_label == label), image.truth_label == label
            here = here[np.argsort(-image.score[here], kind="stable")][:most]
            found.append(image.found[here])
            score.append(image.score[here])
            truth.append(image.truth[there])
            area.append(image.area[there])
            ignore.append(image.ignore[there])
        starts = tuple(np.cumsum([len(part) for part in parts]) for parts in (found, truth))
        columns = [np.concatenate(parts) for parts in (found, truth, area, ignore, score)]
        return (*columns, starts)


def _mean(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")


def _average(hit: np.ndarray, total: int, protocol: str) -> float:
    """Return the average precision of a ranked list of hits and false alarms (d,) when there are ``total`` objects."""
    found = np.cumsum(hit)
    precision = np.maximum.accumulate((found / np.arange(1, len(hit) + 1))[::-1])[::-1]
    if protocol == "voc2010":
        return float(precision[hit].sum() / total)
    if protocol == "voc2007":
        # Recall found/total >= k/10 in whole numbers.
        place = np.searchsorted(10 * found, np.arange(11) * total)
    else:
        place = np.searchsorted(found / total, np.linspace(0.0, 1.0, 101))
    return float(np.append(precision, 0.0)[place].mean())
