"""What a session is by default, and how the monitor hands weights to a streaming metric."""

from __future__ import annotations

import numpy as np

from fivefold.engine.monitor import _apply
from fivefold.engine.session import current_session, session
from fivefold.evaluation.registry import get_metric
from fivefold.evidence import Check, evidence, largest


@evidence(
    "trainer",
    claim="A session is by default: no directory, not resumed, with progress, cpu, one device, float32, no TensorBoard",
    against="written out",
)
def session_defaults() -> Check:
    with session() as opened:
        seen = current_session()
        found = (
            opened.directory, opened.resume, opened.progress, opened.device, opened.devices, opened.precision,
            opened.tensorboard, tuple(opened.callbacks),
        )  # fmt: skip
    wrong = int(found != (None, False, True, "cpu", 1, "32-true", False, ())) + int(seen is not opened)
    return Check(wrong + int(current_session() is not None), 0, "wrong defaults", "written out")


@evidence(
    "train-validation-monitor",
    claim="A streaming metric is reset and given the weights of the rows",
    against="NumPy",
)
def streaming_metric_is_weighted() -> Check:
    stream = np.random.default_rng(0)
    y, found, weight = stream.normal(size=30), stream.normal(size=30), stream.integers(0, 4, size=30).astype(float)
    metric, worst = get_metric("rmse"), 0.0
    for given in (weight, None, weight):  # the same object again: what came before must not count
        expected = np.sqrt(np.average((y - found) ** 2, weights=given))
        worst = largest(worst, abs(_apply(metric, y, found, given) - expected))
    return Check(float(worst), 1e-12, "max difference", "NumPy")
