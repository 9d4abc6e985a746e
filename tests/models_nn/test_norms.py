"""Normalizations refuse what they cannot take, each in one sentence."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import FivefoldError
from fivefold.models import nn as parts

X = torch.randn(4, 3)
IMAGE = torch.randn(2, 4, 3, 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parts.LayerNorm(4)(X), r"LayerNorm takes inputs that end in \(4,\), got \(4, 3\)"),
        (lambda: parts.LayerNorm([]), "normalized_shape must have at least one axis"),
        (lambda: parts.LayerNorm(3, eps=0), "eps must be a number > 0, got 0"),
        (lambda: parts.GroupNorm(3, 4), "num_groups must divide the 4 channels, got 3"),
        (lambda: parts.GroupNorm(2, 6)(IMAGE), r"GroupNorm takes \(N, 6, \*\) with 6 channels, got \(2, 4, 3, 3\)"),
        (lambda: parts.InstanceNorm(3)(IMAGE), r"InstanceNorm takes \(N, 3, \*\) with 3 channels"),
        (lambda: parts.InstanceNorm(3)(X), "InstanceNorm takes .* with at least two places for each channel"),
        (lambda: parts.AdaptiveInstanceNorm()(IMAGE, IMAGE[:1]), "must have the same examples and channels"),
        (lambda: parts.AdaptiveInstanceNorm()(X, X), "at least two places for each channel"),
        (lambda: parts.LocalResponseNorm(k=0), "k must be a number > 0, got 0"),
        (lambda: parts.LocalResponseNorm(-1), "depth_radius must be a whole number >= 0, got -1"),
        (lambda: parts.LocalResponseNorm()(X[0]), r"LocalResponseNorm takes \(N, C, \*\), got \(3,\)"),
        (lambda: parts.WeightNorm(torch.nn.ReLU()), "goes around a module with a `weight` .* got ReLU"),
        (lambda: parts.SpectralNorm(torch.nn.BatchNorm1d(3)), "of at least two axes, got BatchNorm1d"),
        (lambda: parts.SpectralNorm(torch.nn.Linear(2, 2), 0), "n_power_iterations must be a whole number"),
        (lambda: parts.SpectralNormPenalty(-1), "strength must be at least 0, got -1"),
        (lambda: parts.SpectralNormPenalty()(X[0]), "needs a weight of at least two axes"),
        (lambda: parts.SpectralNormPenalty()(torch.nn.ReLU()), "The module has no weight of at least two axes"),
        (lambda: parts.BatchInstanceNorm(4, rho=1.5), r"rho must lie in \[0, 1\], got 1.5"),
        (lambda: parts.BatchInstanceNorm(4, momentum=2), r"momentum must lie in \[0, 1\], got 2"),
        (lambda: parts.BatchInstanceNorm(3)(X), "at least two places for each channel, got"),
        (lambda: parts.BatchRenorm(3, r_max=0.5), "r_max must be at least 1 and d_max at least 0, got 0.5"),
        (lambda: parts.BatchRenorm(3, momentum=-1), r"momentum must lie in \[0, 1\], got -1"),
        (lambda: parts.BatchRenorm(3)(X[:1]), r"needs more than one value per channel, got \(1, 3\)"),
        (lambda: parts.BatchRenorm(4)(X), r"BatchRenorm takes \(N, 4, \*\) with 4 channels, got \(4, 3\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, sentence) -> None:
    with pytest.raises(FivefoldError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
