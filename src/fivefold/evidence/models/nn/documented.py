"""Defaults of initializers, penalties and passes by hand are those that are documented."""

from __future__ import annotations

import numpy as np

from fivefold.base.cards import get_card
from fivefold.evidence import Check, evidence
from fivefold.models.nn import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    by_hand,
)

from ._common import noise


@evidence(
    "backpropagation", claim="Defaults by hand: eps 1e-5, windows of 2, stride 1, no padding", against="the layers"
)
def by_hand_defaults() -> Check:
    x, ones, zeros = 1e-2 * noise(5, 3).numpy(), np.ones(3), np.zeros(3)
    found = by_hand.batch_norm(x, ones, zeros)[0]
    # At a variance of 1e-4 the eps weighs a tenth.
    error = np.abs(found - (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)).max()
    image = noise(1, 2, 4, 4)
    error += np.abs(by_hand.max_pool2d(image.numpy())[0] - MaxPool2d(2)(image).numpy()).max()
    error += np.abs(by_hand.mean_pool2d(image.numpy())[0] - AvgPool2d(2)(image).numpy()).max()
    plain, turned = Conv2d(2, 3, 3).double(), ConvTranspose2d(2, 3, 3).double()
    for layer, function in ((plain, by_hand.conv2d), (turned, by_hand.conv_transpose2d)):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        error += np.abs(function(image.numpy(), weight, bias)[0] - layer(image).detach().numpy()).max()
    z = np.array([-800.0, -1.0, 0.0, 1.0, 800.0])
    error += np.abs(by_hand.sigmoid(z) - [0.0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1.0]).max()
    return Check(float(error), 1e-13, "max difference", "the layers")


def _as_documented(name: str) -> Check:
    from fivefold.evidence.batteries.layers import defaults

    return defaults(get_card(name), "default")


@evidence("xavier-init", claim="Defaults are those that are documented", against="the docstring")
def xavier_defaults() -> Check:
    return _as_documented("xavier-init")


@evidence("he-init", claim="Defaults are those that are documented", against="the docstring")
def he_defaults() -> Check:
    return _as_documented("he-init")


@evidence("orthogonal-init", claim="Defaults are those that are documented", against="the docstring")
def orthogonal_defaults() -> Check:
    return _as_documented("orthogonal-init")


@evidence("basic-init", claim="Defaults are those that are documented", against="the docstring")
def basic_defaults() -> Check:
    return _as_documented("basic-init")


@evidence("init-registry", claim="Defaults are those that are documented", against="the docstring")
def registry_defaults() -> Check:
    return _as_documented("init-registry")


@evidence("spectral-norm-regularization", claim="Defaults are those that are documented", against="the docstring")
def penalty_defaults() -> Check:
    return _as_documented("spectral-norm-regularization")
