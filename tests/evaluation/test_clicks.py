"""Measures of click models by group: what they refuse, and the order of their answer."""

from __future__ import annotations

import pytest

from fivefold.base.errors import DataError
from fivefold.evaluation.clicks import calibration_by_group, grouped_auc


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ([0, 1], [0.5], ["a", "b"]),
            "Labels, scores and groups need one value a row each; got the shapes .2,., .1,. and .2,.",
        ),
        (([], [], []), "Labels, scores and groups need one value a row each"),
        (([0, 2], [0.5, 0.1], ["a", "b"]), "Labels must be 0 or 1."),
        (([0, 1], [0.5, float("nan")], ["a", "b"]), "Scores must be finite numbers."),
    ],
)
def test_columns(columns, message):
    for measure in (grouped_auc, calibration_by_group):
        with pytest.raises(DataError, match=message):
            measure(*columns)


def test_what_cannot_be_judged():
    with pytest.raises(DataError, match="No group has both labels, so no ranking within a group can be judged."):
        grouped_auc([0, 1], [0.5, 0.1], ["a", "b"])
    with pytest.raises(DataError, match=r"Probabilities must lie in \[0, 1\]."):
        calibration_by_group([0, 1], [0.5, 1.1], ["a", "b"])


def test_largest_group_first():
    found = calibration_by_group([0, 1, 1], [0.25, 0.5, 1.0], ["b", "a", "b"])
    assert found.groups.tolist() == ["b", "a"] and found.rows.tolist() == [2, 1]
    assert found.predicted.tolist() == [0.625, 0.5] and found.observed.tolist() == [0.5, 1.0]
