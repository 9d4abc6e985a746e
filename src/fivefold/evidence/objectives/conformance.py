"""What the batteries of losses ask, of the methods whose cards are of another kind; borders of domains and of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _class_weights(make: Callable[..., Any], scale: Callable[[Any], Any]) -> float:
    """Return the worst difference from torch of a loss of class indices, over weights, ignored rows and reductions."""
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(7)
    x = torch.tensor(3 * rng.normal(size=(12, 4)))
    y = torch.tensor(rng.integers(0, 4, 12))
    own, rows = torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64), torch.tensor(rng.random(12))
    gaps: list[Any] = []
    for ignore in (-100, 2):
        exact = functional.cross_entropy(x, y, own, ignore_index=ignore, reduction="none")
        for reduction in ("none", "sum", "mean"):
            total = scale((own[y], y != ignore))
            for weight in (None, rows):
                each, count = (exact, total) if weight is None else (exact * weight, total * weight)
                found = make(own.tolist(), ignore, reduction)(x, y, weight)
                other = {"none": each, "sum": each.sum(), "mean": each.sum() / count.sum()}[reduction]
                gaps.append((found - other).abs().max())
        gaps.append(make(None, ignore, "mean")(x, torch.full_like(y, ignore)).abs())
    gaps.append(make(None, -100, "mean")(x[:0], y[:0]).abs())
    return float(torch.stack(gaps).max())


@evidence(
    "focal-loss",
    claim="Of classes, γ = 0 is torch's cross-entropy with class weights, sample weights and ignored rows",
    against="torch cross_entropy",
)
def focal_class_weights() -> Check:
    from fivefold.objectives.focal import MulticlassFocalLoss

    def make(weight: Any, ignore: int, reduction: str) -> Any:
        return MulticlassFocalLoss(0.0, weight, reduction, ignore)

    # The mean divides by the rows that count, whatever their class weighs.
    return Check(_class_weights(make, lambda pair: pair[1].double()), 1e-12, "max difference", "torch")


@evidence(
    "maximum-likelihood",
    claim="Class weights, sample weights and ignored rows are torch's; an impossible class of weight 0 costs 0",
    against="torch cross_entropy",
)
def likelihood_class_weights() -> Check:
    import torch

    from fivefold.objectives.likelihood import NegativeLogLikelihoodLoss

    def make(weight: Any, ignore: int, reduction: str) -> Any:
        loss = NegativeLogLikelihoodLoss(weight, ignore, reduction)
        return lambda x, *rest: loss(torch.log_softmax(x, 1), *rest)

    gap = _class_weights(make, lambda pair: pair[0] * pair[1])
    certain = torch.tensor([[0.0, -torch.inf], [-0.5, -1.0]], dtype=torch.float64)
    value = NegativeLogLikelihoodLoss([2.0, 0.0], reduction="none")(certain, torch.tensor([1, 0]))
    gap += float((value - torch.tensor([0.0, 1.0])).abs().max())
    return Check(gap, 1e-12, "max difference", "torch")


def _taken(calls: Iterable[Callable[[], Any]]) -> list[bool]:
    from fivefold.base.errors import DataError

    taken = []
    for call in calls:
        try:
            call()
        except DataError:
            taken.append(False)
        else:
            taken.append(True)
    return taken


@evidence(
    "bregman-divergence",
    claim="Predictions on the border of the domain are refused, targets where F is finite are taken",
    against="the domains",
)
def bregman_borders() -> Check:
    import torch

    from fivefold.objectives.divergences import BregmanLoss

    cases = [
        ("squared", -1.0, -2.0, True),
        ("entropy", 0.0, 1.0, False),
        ("entropy", 1e6, 0.0, True),
        ("entropy", 1.0, -1e-9, False),
        ("itakura-saito", 0.0, 1.0, False),
        ("itakura-saito", 1.0, 0.0, False),
        ("itakura-saito", 7.0, 9.0, True),
        ("logistic", 1.0, 0.5, False),
        ("logistic", 0.0, 0.5, False),
        ("logistic", 0.5, 0.0, True),
        ("logistic", 0.5, 1.0, True),
        ("logistic", 0.5, 1.0 + 1e-9, False),
    ]
    taken = _taken(
        lambda f=f, x=x, y=y: BregmanLoss(f)(  # type: ignore[misc]
            torch.tensor([x, 0.25], dtype=torch.float64), torch.tensor([y, 0.5], dtype=torch.float64)
        )
        for f, x, y, _ in cases
    )
    wrong = [case for case, found in zip(cases, taken) if case[-1] != found]
    # Where a target lies on the border, F there is its limit 0.
    ends = BregmanLoss("logistic", "none")(torch.full((2,), 0.25).double(), torch.tensor([0.0, 1.0]))
    gap = float((ends + torch.tensor([0.75, 0.25]).double().log()).abs().max())
    return Check(len(wrong) + float(not gap <= 1e-15), 0, f"wrong borders {wrong}", "the domains")


@evidence(
    "combined-margin-loss",
    claim="Each distance alone is added with its weight; slopes are finite at the angles 0 and π",
    against="the formula in NumPy",
)
def combined_distances() -> Check:
    import torch

    from fivefold.objectives.margin_union import CombinedMarginLoss

    x = torch.tensor([[2.0, 1.0, -1.0], [0.5, 3.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([0, 1, 1])
    plain = CombinedMarginLoss(m2=0.0, reduction="none")(x, y)
    apart = np.linalg.norm(x.numpy() - np.eye(3)[y.numpy()], axis=1)
    worst = 0.0
    for intra, inter in ((0.3, 0.0), (0.0, 0.7), (0.3, 0.7)):
        found = CombinedMarginLoss(m2=0.0, intra=intra, inter=inter, reduction="none")(x, y)
        # Two of the three axes lie √2 from the own one: their mean distance is √2.
        exact = plain.numpy() + intra * apart - inter * np.sqrt(2)
        worst = largest(worst, float(np.abs(found.numpy() - exact).max()))
    ends = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    values = CombinedMarginLoss(m1=2.0, m2=0.1, reduction="none")(ends, torch.tensor([0, 0]))
    values.sum().backward()
    # ψ(0.1) = cos 0.1 and ψ(2π + 0.1) = cos 0.1 - 4, up to the cut of the angle.
    logits = 3 * (np.cos(0.1) - np.array([0.0, 4.0]))
    exact = np.log(np.exp(logits) + 2) - logits
    worst += float(not ends.grad.isfinite().all()) + float(not np.abs(values.detach().numpy() - exact).max() <= 1e-6)
    return Check(worst, 1e-12, "max difference", "NumPy")


@evidence("contrastive-loss", claim="Batches of two rows and of one", against="by hand")
def contrastive_small() -> Check:
    import torch

    from fivefold.objectives.embedding import ContrastiveLoss

    x = torch.tensor([[0.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    pair = float(ContrastiveLoss(3.0)(x, torch.tensor([0, 0]))), float(ContrastiveLoss(3.0)(x, torch.tensor([0, 1])))
    one = ContrastiveLoss()(x[:1], torch.tensor([0]))
    return Check(abs(pair[0] - 0.5) + abs(pair[1] - 2.0) + abs(float(one)), 1e-14, "sum of differences", "by hand")


@evidence("center-loss", claim="Centers of one and of several rows move by α times their mean pull", against="by hand")
def center_steps() -> Check:
    import torch

    from fivefold.objectives.embedding import CenterLoss

    x = torch.tensor([[2.0], [4.0], [8.0]])
    wrong = 0.0
    for denominator, exact in (("count", [1.5, 4.0, 0.0]), ("paper", [1.0, 2.0, 0.0])):
        loss = CenterLoss(3, 1, alpha=0.5, denominator=denominator)
        loss(x, torch.tensor([0, 0, 1]))
        wrong += float((loss.centers[:, 0] - torch.tensor(exact)).abs().max())
    return Check(wrong, 1e-6, "sum of differences", "by hand")


@evidence("ctc-loss", claim="The mean of a batch of one label is its loss by its length", against="by hand")
def ctc_one() -> Check:
    import torch

    from fivefold.objectives.ctc import CTCLoss

    z = torch.zeros(2, 1, 3, dtype=torch.float64)
    # Two frames of three equal symbols: aa, -a, a- give "a", so 3 of 9 paths; only "ab" gives "ab".
    lengths = torch.tensor([2])
    one = CTCLoss()(z, torch.tensor([[1, 0]]), lengths, torch.tensor([1]))
    two = CTCLoss()(z, torch.tensor([[1, 2]]), lengths, torch.tensor([2]))
    none = CTCLoss()(z, torch.tensor([[1, 2]]), lengths, torch.tensor([0]))
    gap = abs(float(one) - np.log(3)) + abs(float(two) - np.log(9) / 2) + abs(float(none) - np.log(9))
    return Check(gap, 1e-12, "sum of differences", "counting paths")


@evidence("focal-loss", claim="A parameter out of range is refused with its range", against="the sentences")
def range_sentences() -> Check:
    from fivefold.base.checks import check_number
    from fivefold.base.errors import InputError

    cases: list[tuple[Any, dict[str, Any], str]] = [
        (-1, {"low": 0}, "g must be a finite number >= 0, got -1."),
        (0, {"low": 0, "above": True}, "g must be a finite number > 0, got 0."),
        (3.5, {"low": 0, "high": 2}, "g must be a finite number >= 0 and <= 2, got 3.5."),
        (2.5, {"high": 2}, "g must be a finite number <= 2, got 2.5."),
        (float("nan"), {}, "g must be a finite number, got nan."),
        (float("inf"), {}, "g must be a finite number, got inf."),
        (True, {}, "g must be a finite number, got True."),
        ("1", {}, "g must be a finite number, got '1'."),
        (0, {"low": 0}, ""),
        (2, {"low": 0, "high": 2, "above": True}, ""),
    ]
    wrong = 0
    for value, bounds, words in cases:
        said = ""
        try:
            check_number("g", value, **bounds)
        except InputError as error:
            said = str(error)
        wrong += said != words
    return Check(wrong, 0, "wrong sentences", "the words")


def _takes_probabilities(*losses: Any) -> Check:
    """Count losses of logits (n, k) that take four rows of probabilities, or refuse them when one row is no distribution."""
    import torch

    x = torch.softmax(torch.arange(12.0).reshape(4, 3).sin(), 1)
    y = torch.tensor([0, 1, 2, 0])
    near = x.clone()
    near[3, 0] += 1e-3
    cases = [(loss, v, False) for loss in losses for v in (x, torch.eye(3)[[0, 1, 2, 0]])]
    cases += [
        (loss, other, True) for loss in losses for other in (near, 2 * x, -x, x[:3], torch.eye(3)[[0, 1, 2, 0]] - 1)
    ]
    taken = _taken(lambda loss=loss, v=v: loss(v, y[: len(v)]) for loss, v, _ in cases)  # type: ignore[misc]
    wrong = sum(case[-1] != found for case, found in zip(cases, taken))
    return Check(wrong, 0, "misjudged inputs", "by hand")


@evidence("cross-entropy", claim="Rows of probabilities are refused, other inputs taken", against="by hand")
@evidence("label-smoothing", claim="Rows of probabilities are refused, other inputs taken", against="by hand")
@evidence("confidence-penalty", claim="Rows of probabilities are refused, other inputs taken", against="by hand")
def cross_entropy_probabilities() -> Check:
    from fivefold import objectives

    return _takes_probabilities(
        objectives.CrossEntropyLoss(), objectives.LabelSmoothingLoss(), objectives.ConfidencePenaltyLoss()
    )


@evidence("kl-divergence", claim="Rows of probabilities are refused, other inputs taken", against="by hand")
@evidence("jensen-shannon-divergence", claim="Rows of probabilities are refused, other inputs taken", against="by hand")
@evidence("f-divergence", claim="Rows of probabilities are refused, other inputs taken", against="by hand")
def divergence_probabilities() -> Check:
    from fivefold import objectives

    return _takes_probabilities(
        objectives.KLDivergenceLoss(), objectives.JensenShannonLoss(), objectives.FDivergenceLoss()
    )


@evidence("focal-loss", claim="Rows of probabilities of classes are refused, other inputs taken", against="by hand")
def focal_probabilities() -> Check:
    from fivefold.objectives.focal import MulticlassFocalLoss

    return _takes_probabilities(MulticlassFocalLoss())


@evidence("ctc-loss", claim="Frames of probabilities are refused, other inputs taken", against="by hand")
def ctc_probabilities() -> Check:
    import torch

    from fivefold.objectives.ctc import CTCLoss

    lengths = torch.tensor([2])
    return _takes_probabilities(lambda x, y: CTCLoss()(x[:, None], y[None, 1:3], torch.tensor([len(x)]), lengths))


@evidence("maximum-likelihood", claim="Inputs above 0 are refused: they are no log-probabilities", against="by hand")
def likelihood_probabilities() -> Check:
    import torch

    from fivefold.objectives.likelihood import NegativeLogLikelihoodLoss

    y = torch.tensor([0, 1])
    cases = (torch.full((2, 2), 0.5), torch.tensor([[0.0, -torch.inf], [-0.5, 1e-6]]), torch.zeros(2, 2))
    taken = _taken(lambda x=x: NegativeLogLikelihoodLoss()(x, y) for x in cases)  # type: ignore[misc]
    return Check(float(taken != [False, False, True]), 0, "misjudged inputs", "by hand")


@evidence("arcface", claim="At θ = π - m itself the loss goes on with cos θ - m sin m", against="InsightFace's rule")
def arcface_border() -> Check:
    import math

    import torch

    from fivefold.objectives.margin_softmax import ArcFaceLoss

    x = torch.tensor([[-math.cos(math.pi / 2), 1.0]], dtype=torch.float64)
    own = math.exp(-math.pi / 2)
    value = ArcFaceLoss(margin=math.pi / 2, scale=1.0)(x, torch.tensor([0]))
    return Check(abs(float(value) - math.log((own + math.e) / own)), 1e-14, "difference", "by hand")


@evidence("mutual-information", claim="Values that never occur add nothing; certainty is +0", against="by hand")
def information_zeros() -> Check:
    from fivefold import objectives

    table = [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    found = [
        objectives.mutual_information(table),
        objectives.conditional_entropy(table),
        objectives.conditional_entropy([[1.0]]),
        float(objectives.self_information(1.0)),
    ]
    signs = sum(bool(np.signbit(value)) for value in found)
    return Check(float(np.sum(np.abs(found))) + signs, 0, "sum and signs", "by hand")


@evidence("focal-loss", claim="Of two classes it is the binary loss for γ = 0, 1/2, 1 and 3", against="the binary form")
def focal_two_classes() -> Check:
    import torch

    from fivefold.objectives.focal import FocalLoss, MulticlassFocalLoss

    z = torch.linspace(-4, 4, 9, dtype=torch.float64)
    y = torch.arange(9) % 2
    pair = torch.stack([z, torch.zeros_like(z)], 1)
    gaps = [
        (MulticlassFocalLoss(g, reduction="none")(pair, y) - FocalLoss(g, None, "none")(-z, y)).abs().max()
        for g in (0.0, 0.5, 1.0, 3.0)
    ]
    return Check(float(torch.stack(gaps).max()), 1e-13, "max difference", "the binary form")


@evidence(
    "wasserstein-distance",
    claim="Sinkhorn's rounds end when the marginals differ by tol in sum, not before and not much later",
    against="the marginals after each number of rounds",
)
def sinkhorn_tolerance() -> Check:
    import warnings

    import torch

    from fivefold.objectives.transport import SinkhornDivergence, _costs

    rng = np.random.default_rng(3)
    x, y = torch.tensor(rng.normal(size=(40, 2))), torch.tensor(rng.normal(size=(30, 2)) + 1)
    p, q = (torch.full((n,), 1 / n, dtype=torch.float64) for n in (40, 30))
    wrong = 0.0
    for tol in (1e-2, 1e-3):
        costs = _costs(x, y, 2)

        def off(rounds: int, tol: float, costs: Any = costs) -> tuple[float, Any]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                f, g = SinkhornDivergence(0.1, max_iter=rounds, tol=tol).potentials(costs, p, q)
            plan = p[:, None] * q * torch.exp((f[:, None] + g - costs) / 0.1)
            return float((plan.sum(1) - p).abs().sum()), f

        # A round measures the plan before it: the first plan within tol has one round more.
        need = next(rounds for rounds in range(1, 1000) if off(rounds, 1e-300)[0] <= tol) + 1
        wrong += float((off(1000, tol)[1] - off(need, 1e-300)[1]).abs().max())
        own = _costs(x, x, 2)
        f = SinkhornDivergence(0.1, tol=tol)._own_potential(own, p)
        plan = p[:, None] * p * torch.exp((f[:, None] + f - own) / 0.1)
        wrong += float(not (plan.sum(1) - p).abs().sum() <= tol)
    return Check(wrong, 0, "differences", "counted rounds")


@evidence(
    "cross-entropy", claim="Class indices below 0 or from k on are refused, the ignored one is taken", against="by hand"
)
@evidence(
    "focal-loss", claim="Class indices below 0 or from k on are refused, the ignored one is taken", against="by hand"
)
def class_borders() -> Check:
    import torch

    from fivefold.objectives.cross_entropy import CrossEntropyLoss
    from fivefold.objectives.focal import MulticlassFocalLoss

    x = torch.zeros(2, 3)
    calls = [
        lambda loss=loss, y=y: loss(x, torch.tensor([0, y]))  # type: ignore[misc]
        for loss in (CrossEntropyLoss(), MulticlassFocalLoss())
        for y in (-1, 0, 2, 3, -100)
    ]
    return Check(float(_taken(calls) != [False, True, True, False, True] * 2), 0, "misjudged indices", "by hand")
