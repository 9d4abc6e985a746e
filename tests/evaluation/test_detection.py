import numpy as np
import pytest

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.evaluation.detection import MeanAveragePrecision, mean_average_precision

BOX = [0.0, 0.0, 10.0, 10.0]
TRUE = [{"boxes": [BOX], "labels": ["cat"]}]
PRED = [{"boxes": [BOX], "labels": ["cat"], "scores": [0.9]}]


def test_the_summary_reads_well_and_names_the_classes():
    scores = MeanAveragePrecision().update(TRUE, PRED).summary()
    assert scores.by_class == {"cat": 1.0}
    assert str(scores).startswith(
        "mean average precision 1.0000; at overlap 0.5: 1.0000; at overlap 0.75: 1.0000; small"
    )
    assert np.isnan(scores.by_size["large"])
    assert list(MeanAveragePrecision("voc2007").update(TRUE, PRED).summary().by_size) == []


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InputError, "protocol must be one of coco, voc2010, voc2007; got 'voc'", lambda: MeanAveragePrecision("voc")),
        (InputError, "box_format must be one of", lambda: MeanAveragePrecision(box_format="yx")),
        (InputError, r"thresholds must be overlaps in \(0, 1\]", lambda: MeanAveragePrecision(thresholds=[0.0])),
        (InputError, r"thresholds must be overlaps in \(0, 1\]", lambda: MeanAveragePrecision(thresholds=[])),
        (InputError, "max_detections must be a whole number >= 1", lambda: MeanAveragePrecision(max_detections=0)),
        (InputError, "has seen no images", lambda: MeanAveragePrecision().compute()),
        (InputError, "no weights of images", lambda: MeanAveragePrecision().update(TRUE, PRED, [1.0])),
        (InputTypeError, "y_true must be a list with one mapping an image", lambda: mean_average_precision(TRUE[0], PRED)),
        (DataError, "y_true has 1 images, y_pred has 2", lambda: mean_average_precision(TRUE, PRED * 2)),
        (DataError, "an image of y_pred lacks scores", lambda: mean_average_precision(TRUE, TRUE)),
        (DataError, r"boxes must have shape \(n, 4\)", lambda: mean_average_precision([{**TRUE[0], "boxes": BOX}], PRED)),
        (DataError, "negative width or height", lambda: mean_average_precision(TRUE, [{**PRED[0], "boxes": [[9, 0, 3, 9]]}])),
        (DataError, "boxes must be finite", lambda: mean_average_precision(TRUE, [{**PRED[0], "boxes": [[0, 0, 3, np.inf]]}])),
        (DataError, "labels must have one entry a box", lambda: mean_average_precision([{**TRUE[0], "labels": []}], PRED)),
        (DataError, "scores must be numbers", lambda: mean_average_precision(TRUE, [{**PRED[0], "scores": [np.nan]}])),
        (DataError, "at least one object", lambda: mean_average_precision([{**TRUE[0], "ignore": [True]}], PRED)),
        (DataError, "at least one object", lambda: mean_average_precision([{"boxes": [], "labels": []}], PRED)),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_sentence(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_only_equal_options_merge():
    with pytest.raises(InputTypeError, match="Only metrics of one kind merge"):
        MeanAveragePrecision().merge(MeanAveragePrecision("voc2007"))
