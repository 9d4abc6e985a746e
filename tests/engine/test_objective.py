"""A loss by name trains a network; one that does not fit is refused in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fivefold.base.errors import CapabilityError
from fivefold.engine.objective import named_objective
from fivefold.models.nn import MLPClassifier, MLPRegressor


def test_focal_loss_without_focus_is_half_the_cross_entropy():
    outputs, y = torch.randn(7, 1, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 2
    found = named_objective("focal-loss", {"gamma": 0.0, "alpha": 0.5}, "binary")(outputs, y)
    expected = 0.5 * torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], y.float(), reduction="none")
    torch.testing.assert_close(found, expected)


def test_a_classifier_trains_with_it():
    x = np.random.default_rng(0).normal(size=(80, 2))
    y = (x[:, 0] > 0).astype(int)
    shared = {"max_epochs": 20, "learning_rate": 0.05, "loss": "focal-loss"}
    sharp, flat = (MLPClassifier(**shared, loss_options={"gamma": g}).fit(x, y) for g in (0.0, 4.0))
    assert sharp.score(x, y) > 0.9
    assert np.abs(sharp.predict_proba(x) - flat.predict_proba(x)).max() > 0.05


def test_a_loss_for_another_form_of_target_is_refused():
    with pytest.raises(
        CapabilityError, match=r"^The objective 'focal-loss' takes targets of the form 'binary', but this"
    ):
        MLPRegressor(loss="focal-loss").fit(np.eye(4), np.arange(4.0))


def test_what_is_no_loss_is_refused():
    with pytest.raises(CapabilityError, match=r"^The objective 'adam' takes nothing: it is a gradient-optimizer"):
        MLPClassifier(loss="adam").fit(np.eye(4), [0, 1, 0, 1])
