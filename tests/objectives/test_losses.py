"""Losses: refusals in a sentence, types, shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.objectives.binary import (
    BalancedCrossEntropyLoss,
    BinaryCrossEntropyLoss,
    GHMCLoss,
    HingeLoss,
    ZeroOneLoss,
)
from fivefold.objectives.cross_entropy import (
    ConfidencePenaltyLoss,
    CrossEntropyLoss,
    LabelSmoothingLoss,
    smooth_labels,
)
from fivefold.objectives.ctc import CTCLoss
from fivefold.objectives.divergences import (
    BregmanLoss,
    FDivergenceLoss,
    GaussianKLLoss,
    JensenShannonLoss,
    KLDivergenceLoss,
)
from fivefold.objectives.focal import FocalLoss, MulticlassFocalLoss
from fivefold.objectives.information import (
    conditional_entropy,
    mutual_information,
    mutual_information_of_labels,
    self_information,
    shannon_entropy,
)
from fivefold.objectives.likelihood import NegativeLogLikelihoodLoss
from fivefold.objectives.margin_softmax import ArcFaceLoss
from fivefold.objectives.regression import HuberLoss, LpLoss, MAELoss, MSELoss

X = torch.tensor([[0.2, -1.0, 3.0], [1.0, 0.0, -2.0]])
T = torch.tensor([2, 0])
P, T4 = X.repeat(2, 1).softmax(1), torch.tensor([2, 1, 2, 1])
V = torch.tensor([0.5, -1.0])
B = torch.tensor([1.0, 0.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CrossEntropyLoss(reduction="avg"), "reduction must be one of none, mean, sum"),
        (lambda: CrossEntropyLoss(weight=[1.0, -1.0]), "one finite number >= 0 for each class"),
        (
            lambda: CrossEntropyLoss(label_smoothing=1.5),
            "label_smoothing must be a finite number >= 0 and <= 1, got 1.5",
        ),
        (lambda: CrossEntropyLoss(weight=[1.0, 1.0])(X, T), "weight holds 2 classes, but the logits have 3"),
        (lambda: CrossEntropyLoss()(X, T[:1]), "got shapes (2, 3) and (1,)"),
        (lambda: CrossEntropyLoss()(X[:, :1], T), "k >= 2"),
        (
            lambda: CrossEntropyLoss()(X, torch.tensor([3, 0])),
            "got the class index 3, but the input has the classes 0 to 2",
        ),
        (lambda: CrossEntropyLoss()(X, torch.tensor([-1, 0])), "got the class index -1"),
        (lambda: CrossEntropyLoss()(X, X), "target distributions >= 0 that sum to 1"),
        (lambda: CrossEntropyLoss()(V, torch.tensor([0.5, 0.5])), "got shape (2,)"),
        (lambda: CrossEntropyLoss()(X.repeat(2, 1).softmax(1), T.repeat(2)), "leave out the softmax"),
        (lambda: CrossEntropyLoss()(X, T, torch.ones(3)), "sample_weight of the shape of its unreduced values, (2,)"),
        (lambda: CrossEntropyLoss()(X, T, -torch.ones(2)), "sample weights >= 0"),
        (
            lambda: LabelSmoothingLoss()(P, T4),
            "LabelSmoothingLoss needs logits, but the rows of the input are probabilities",
        ),
        (lambda: ConfidencePenaltyLoss()(P, T4), "ConfidencePenaltyLoss needs logits"),
        (lambda: MulticlassFocalLoss()(P, T4), "MulticlassFocalLoss needs logits"),
        (
            lambda: MulticlassFocalLoss()(X, torch.tensor([0, 3])),
            "got the class index 3, but the input has the classes 0 to 2",
        ),
        (lambda: KLDivergenceLoss()(P, T4), "KLDivergenceLoss needs logits"),
        (lambda: JensenShannonLoss()(P, P), "JensenShannonLoss needs logits"),
        (lambda: FDivergenceLoss()(P, T4), "leave out the softmax"),
        (
            lambda: NegativeLogLikelihoodLoss()(P, T4),
            "needs log-probabilities, which are <= 0; give it the log_softmax",
        ),
        (lambda: CTCLoss()(P[:, None], T4[None, :1], torch.tensor([4]), torch.tensor([1])), "CTCLoss needs logits"),
        (lambda: FocalLoss()(V, B, -torch.ones(2)), "FocalLoss needs sample weights >= 0"),
        (lambda: FocalLoss(gamma=float("inf")), "gamma must be a finite number >= 0, got inf"),
        (lambda: LabelSmoothingLoss(epsilon=-0.1), "epsilon must be a finite number >= 0 and <= 1"),
        (lambda: LabelSmoothingLoss(spread="some"), "spread must be 'others'"),
        (lambda: smooth_labels(T, 3, 2.0), "epsilon must be"),
        (lambda: ConfidencePenaltyLoss(beta=-1.0), "beta must be a finite number >= 0, got -1.0"),
        (lambda: MSELoss()(V, V[:, None]), "input has shape (2,), target (2, 1); squeeze or reshape"),
        (lambda: MSELoss(reduction="max"), "reduction must be one of"),
        (lambda: MAELoss()(V, V, torch.ones(1)), "sample_weight of the shape"),
        (lambda: HuberLoss(delta=0), "delta must be a finite number > 0, got 0"),
        (lambda: HuberLoss(delta=float("nan")), "delta must be"),
        (lambda: LpLoss(p=0.5), "p must be a finite number >= 1, got 0.5"),
        (lambda: BinaryCrossEntropyLoss(pos_weight=0.0), "pos_weight must be a finite number > 0"),
        (lambda: BinaryCrossEntropyLoss()(V, 2 * B), "BinaryCrossEntropyLoss takes targets between 0 and 1"),
        (lambda: BalancedCrossEntropyLoss(alpha=2.0), "alpha must be"),
        (lambda: BalancedCrossEntropyLoss.from_counts(0, 3), "at least one row of each class, got 0 and 3"),
        (lambda: BalancedCrossEntropyLoss()(V, 0.5 * B), "takes targets 0 and 1"),
        (lambda: HingeLoss(power=3), "power must be 1 or 2, got 3"),
        (lambda: HingeLoss()(V, 2 * B - 1), "HingeLoss takes targets 0 and 1"),
        (lambda: ZeroOneLoss(threshold=float("inf")), "threshold must be a finite number, got inf"),
        (lambda: ZeroOneLoss()(V, B[:1]), "one target for each entry"),
        (lambda: GHMCLoss(bins=0), "bins must be an integer >= 1, got 0"),
        (lambda: GHMCLoss(momentum=1.0), "momentum must lie in [0, 1), got 1.0"),
        (lambda: GHMCLoss(momentum=0.5, exact=True), "leave momentum at 0"),
        (lambda: KLDivergenceLoss("both"), "direction must be 'forward' or 'reverse'"),
        (lambda: KLDivergenceLoss()(X, X), "KLDivergenceLoss needs target distributions"),
        (lambda: JensenShannonLoss()(V, torch.tensor([0.5, 0.5])), "got shape (2,)"),
        (lambda: JensenShannonLoss()(X, torch.tensor([0, 3])), "got the class index 3"),
        (lambda: FDivergenceLoss("chi"), "f must be one of kl, reverse-kl"),
        (lambda: FDivergenceLoss(lambda t: t), "f must be 0 at 1"),
        (lambda: BregmanLoss("cubic"), "generator must be one of squared"),
        (lambda: BregmanLoss("entropy")(V, B), "needs predictions in (0, inf) and targets in [0, inf)"),
        (lambda: BregmanLoss("logistic")(V.abs() / 2, 2 * B), "predictions in (0, 1) and targets in [0, 1]"),
        (lambda: BregmanLoss("itakura-saito")(V.abs(), B), "targets in (0, inf)"),
        (lambda: GaussianKLLoss(-1.0), "free_bits must be"),
        (lambda: GaussianKLLoss()(V, V), "means and log-variances (n, d), got shape (2,)"),
        (lambda: shannon_entropy([0.5, 0.6]), "p must sum to 1, got a sum of 1.1"),
        (lambda: shannon_entropy([1.5, -0.5]), "finite probabilities >= 0"),
        (lambda: shannon_entropy([0.5, 0.5], 1), "base must be a number > 0 other than 1"),
        (lambda: self_information([1.5]), "probabilities <= 1"),
        (lambda: mutual_information([0.5, 0.5]), "joint must be a table (x values, y values), got shape (2,)"),
        (lambda: conditional_entropy(np.ones((2, 2))), "joint must sum to 1, got a sum of 4"),
        (lambda: mutual_information_of_labels([1, 2], [1]), "two columns of one length >= 1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CrossEntropyLoss()(X.long(), T), "floating-point numbers, got torch.int64"),
        (lambda: CrossEntropyLoss()(X, T.float()), "class indices of an integer type, got torch.float32"),
        (lambda: FocalLoss()(T, B), "FocalLoss needs an input tensor of floating-point numbers, got torch.int64"),
        (lambda: MulticlassFocalLoss()(X, T.float()), "class indices of an integer type, got torch.float32"),
        (
            lambda: ArcFaceLoss()([[1.0, 0.0]], T),
            "ArcFaceLoss needs an input tensor of floating-point numbers, got list",
        ),
        (lambda: MSELoss()([1.0], V), "floating-point numbers, got list"),
        (lambda: HingeLoss()(T, B), "floating-point numbers"),
    ],
)
def test_wrong_types_are_refused(call, words: str) -> None:
    with pytest.raises(InputTypeError) as caught:
        call()
    assert words in str(caught.value)


def test_logits_that_look_like_one_distribution_are_taken() -> None:
    assert CrossEntropyLoss()(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).isfinite()


def test_printing_and_moving() -> None:
    assert repr(HuberLoss(2)) == "HuberLoss(delta=2, reduction='mean')"
    assert repr(CrossEntropyLoss()) == "CrossEntropyLoss(label_smoothing=0, reduction='mean')"
    loss = CrossEntropyLoss(weight=[1.0, 2.0, 3.0])
    assert "weight" in loss.state_dict()
    assert loss(X.bfloat16(), T).dtype == torch.bfloat16
    assert loss(X, T.int()) == loss(X, T)


def test_ghm_weights_are_finite_at_certainty() -> None:
    for exact in (False, True):
        x = torch.tensor([1e4, -1e4, 0.0], requires_grad=True)
        GHMCLoss(exact=exact)(x, torch.tensor([0.0, 0.0, 1.0])).backward()
        assert x.grad is not None and x.grad.isfinite().all()
