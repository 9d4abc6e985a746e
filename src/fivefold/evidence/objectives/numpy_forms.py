"""NumPy forms of losses: values and slopes of rows beside torch's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _gap(loss: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Return the worst difference of values and slopes, relative to their size where that is above 1."""
    import torch

    tx = torch.tensor(x, requires_grad=True)
    exact = loss(tx, torch.as_tensor(y))
    (slope,) = torch.autograd.grad(exact.sum(), tx)
    values, slopes = loss.numpy(x, y)
    worst = 0.0
    for ours, theirs in ((values, exact.detach().numpy()), (slopes, slope.numpy())):
        if ours.shape != theirs.shape or ours.dtype != np.float64:
            return float("inf")
        worst = largest(worst, float((np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1)).max()))
    return worst


def _scores() -> np.ndarray:
    """Return random scores, kinks and extremes."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=40) * 4, [0.0, 1.0, -1.0, 0.5, -0.5, 700.0, -700.0, 1e4, -1e4]])


def _real(loss: Any) -> float:
    x = _scores()
    y = np.random.default_rng(1).normal(size=len(x))
    return largest(_gap(loss, x, y), _gap(loss, x, np.zeros_like(x)), _gap(loss, x.reshape(7, 7), y.reshape(7, 7)))


def _binary(loss: Any) -> float:
    x = _scores()
    return largest(_gap(loss, x, np.full(len(x), label)) for label in (0.0, 1.0))


@evidence("mse-loss", claim="The NumPy form has the values and slopes of the module", against="autograd")
def mse_numpy() -> Check:
    from fivefold.objectives.regression import MSELoss

    return Check(_real(MSELoss(reduction="none")), 1e-12, "max relative difference", "torch")


@evidence("mae-loss", claim="The NumPy form has the values and slopes of the module, 0 at the kink", against="autograd")
def mae_numpy() -> Check:
    from fivefold.objectives.regression import MAELoss

    return Check(_real(MAELoss(reduction="none")), 1e-12, "max relative difference", "torch")


@evidence("huber-loss", claim="The NumPy form has the values and slopes of the module for any δ", against="autograd")
def huber_numpy() -> Check:
    from fivefold.objectives.regression import HuberLoss

    worst = largest(_real(HuberLoss(delta, "none")) for delta in (0.5, 1.0, 3.0))
    return Check(worst, 1e-12, "max relative difference", "torch")


@evidence("lp-loss", claim="The NumPy form has the values and slopes of the module for any p", against="autograd")
def lp_numpy() -> Check:
    from fivefold.objectives.regression import LpLoss

    worst = largest(_real(LpLoss(p, "none")) for p in (1, 1.5, 2.0, 3.2))
    return Check(worst, 1e-12, "max relative difference", "torch")


@evidence(
    "binary-cross-entropy",
    claim="The NumPy form has the values and slopes of the module, for soft targets, weights and extremes",
    against="autograd",
)
def binary_numpy() -> Check:
    from fivefold.objectives.binary import BinaryCrossEntropyLoss

    worst = largest(_binary(BinaryCrossEntropyLoss(w, "none")) for w in (1.0, 3.5))
    x = _scores()
    soft = np.random.default_rng(2).random(len(x))
    return Check(
        largest(worst, _gap(BinaryCrossEntropyLoss(2.0, "none"), x, soft)), 1e-12, "max relative difference", "torch"
    )


@evidence("balanced-cross-entropy", claim="The NumPy form has the values and slopes of the module", against="autograd")
def balanced_numpy() -> Check:
    from fivefold.objectives.binary import BalancedCrossEntropyLoss

    worst = largest(_binary(BalancedCrossEntropyLoss(alpha, "none")) for alpha in (0.5, 0.2, 1.0))
    return Check(worst, 1e-12, "max relative difference", "torch")


@evidence(
    "hinge-loss", claim="The NumPy form has the values and slopes of the module, plain and squared", against="autograd"
)
def hinge_numpy() -> Check:
    from fivefold.objectives.binary import HingeLoss

    worst = largest(_binary(HingeLoss(power, "none")) for power in (1, 2))
    return Check(worst, 1e-12, "max relative difference", "torch")


@evidence("zero-one-loss", claim="The NumPy form has the values of the module and the slope 0", against="autograd")
def zero_one_numpy() -> Check:
    from fivefold.objectives.binary import ZeroOneLoss

    worst = largest(_binary(ZeroOneLoss(threshold, "none")) for threshold in (0.0, 0.5))
    return Check(worst, 1e-12, "max relative difference", "torch")


@evidence(
    "cross-entropy",
    claim="The NumPy form has the values and slopes of the module: indices, distributions, weights, smoothing, ignored rows",
    against="autograd",
)
def softmax_numpy() -> Check:
    from fivefold.objectives.cross_entropy import CrossEntropyLoss

    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 4)) * 3
    x[0], x[1] = [1e4, 0, -1e4, 5], [-800.0, 0, 0, 800]
    index, shares = rng.integers(0, 4, 30), rng.dirichlet(np.ones(4), 30)
    worst = 0.0
    for weight in (None, [0.5, 2.0, 0.0, 1.0]):
        for epsilon in (0.0, 0.2):
            for ignored in (-100, 2):
                loss = CrossEntropyLoss(weight, ignored, epsilon, "none")
                worst = largest(worst, _gap(loss, x, index))
            worst = largest(worst, _gap(loss, x, shares))
    return Check(worst, 1e-12, "max relative difference", "torch")


@evidence(
    "label-smoothing", claim="The NumPy form has the values and slopes of the module, both spreads", against="autograd"
)
def smoothing_numpy() -> Check:
    from fivefold.objectives.cross_entropy import LabelSmoothingLoss

    rng = np.random.default_rng(4)
    x, index = rng.normal(size=(20, 5)) * 3, rng.integers(0, 5, 20)
    worst = largest(
        _gap(LabelSmoothingLoss(0.3, spread=spread, reduction="none"), x, index) for spread in ("others", "all")
    )
    return Check(worst, 1e-12, "max relative difference", "torch")
