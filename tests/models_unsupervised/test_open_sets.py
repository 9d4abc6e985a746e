"""Refusals of the anomaly protocol and of open-set detection."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fivefold.base.errors import FivefoldError
from fivefold.models.linear import PegasosSVM
from fivefold.models.unsupervised import GaussianAnomalyDetector, OpenSetClassifier
from fivefold.models.unsupervised.anomaly_protocol import AnomalyProtocol, AnomalySplit, anomaly_split

X = np.random.default_rng(0).normal(size=(40, 2))
ODD = np.arange(40) >= 30
SPLIT = anomaly_split(ODD, random_state=0)


@pytest.mark.parametrize(
    ("abnormal", "params", "text"),
    [
        (ODD.astype(int), {}, "`abnormal` has the shape (40,) and type int64; give one truth value a row: (n,)."),
        (ODD, {"train": 1.0}, "`train` is 1.0; give a number > 0 and < 1."),
        (ODD, {"dev": 0.0}, "`dev` is 0.0; give a number > 0 and < 1."),
        (np.arange(40) == 3, {}, "39 normal and 1 abnormal rows are too few for train=0.6 and dev=0.5"),
    ],
)
def test_rows_that_cannot_be_split_are_refused(abnormal, params, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        anomaly_split(abnormal, **params)


@pytest.mark.parametrize(
    ("protocol", "abnormal", "split", "text"),
    [
        (AnomalyProtocol({}), ODD, SPLIT, "`detectors` is empty; give at least one"),
        (AnomalyProtocol({"a": 1}, 0.0, 0.0), ODD, SPLIT, "Costs need fp or fn above 0"),
        (
            AnomalyProtocol({"a": 1}),
            ODD[:3],
            SPLIT,
            "`abnormal` has the shape (3,) and type bool; give 40 truth values.",
        ),
        (AnomalyProtocol({"a": 1}), ~ODD, SPLIT, "18 of the training rows are abnormal; train on normal rows only"),
        (
            AnomalyProtocol({"a": 1}),
            ODD,
            AnomalySplit(SPLIT.train, SPLIT.dev, SPLIT.dev),
            "A row stands in more than one part of the split; the test must be unseen before.",
        ),
        (
            AnomalyProtocol({"a": 1}),
            ODD,
            AnomalySplit(np.arange(5), np.arange(5, 10), np.arange(10, 40)),
            "The part `dev` needs normal and abnormal rows; it has 0 of 5.",
        ),
    ],
)
def test_a_protocol_that_would_deceive_is_refused(protocol, abnormal, split, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        protocol.run(X, abnormal, split)


def test_it_runs_with_a_detector_of_ours() -> None:
    shifted = X + 6.0 * ODD[:, None]
    report = AnomalyProtocol({"gaussian": GaussianAnomalyDetector()}).run(shifted, ODD, SPLIT)
    assert report.name == "gaussian" and report.test_auc == 1.0
    assert report.predict(shifted)[SPLIT.test].tolist() == np.where(ODD, -1, 1)[SPLIT.test].tolist()


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (OpenSetClassifier(confidence="margin"), "`confidence` is 'margin'; give one of 'max-probability', 'entropy'."),
        (OpenSetClassifier(contamination=1.0), "`contamination` is 1.0; give a number >= 0 and < 1."),
        (OpenSetClassifier(PegasosSVM()), "`estimator` is a PegasosSVM, which has no `predict_proba`"),
    ],
)
def test_an_open_set_that_cannot_be_told_is_refused(model, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        model.fit(X, ODD)
