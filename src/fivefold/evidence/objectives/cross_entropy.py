"""Cross-entropy, label smoothing, confidence penalty: torch in every combination, the slope p - y, extremes, definitions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _batch(seed: int = 0, n: int = 24, k: int = 5) -> Any:
    import torch

    rng = np.random.default_rng(seed)
    return torch.tensor(3 * rng.normal(size=(n, k))), torch.tensor(rng.integers(0, k, n)), rng


@evidence(
    "cross-entropy",
    claim="Class weights × ignored rows × smoothing × reductions equal torch, values and slopes",
    against="torch cross_entropy",
)
def cross_entropy_combinations() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.cross_entropy import CrossEntropyLoss

    x, y, _ = _batch()
    worst = 0.0
    for ignore, weighted, epsilon, reduction in itertools.product(
        (-100, 2), (False, True), (0.0, 0.15), ("none", "mean", "sum")
    ):
        weight = [0.5, 1.0, 2.0, 0.0, 3.0] if weighted else None
        tensor = None if weight is None else torch.tensor(weight, dtype=torch.float64)
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        found = CrossEntropyLoss(weight, ignore, epsilon, reduction)(ours, y)
        other = functional.cross_entropy(
            theirs, y, tensor, ignore_index=ignore, label_smoothing=epsilon, reduction=reduction
        )
        found.sum().backward(), other.sum().backward()
        worst = largest(
            worst, float((found - other).detach().abs().max()), float((ours.grad - theirs.grad).abs().max())
        )
        q = torch.softmax(x.flip(1), 1)
        soft = CrossEntropyLoss(weight, ignore, epsilon, reduction)(x, q)
        other = functional.cross_entropy(x, q, tensor, label_smoothing=epsilon, reduction=reduction)
        worst = largest(worst, float((soft - other).abs().max()))
        grid, labels = x.reshape(4, 6, 5).movedim(2, 1), y.reshape(4, 6)
        pixels = CrossEntropyLoss(weight, ignore, epsilon, reduction)(grid, labels)
        worst = largest(worst, float((pixels.flatten() - found.detach().flatten()).abs().max()))
    # 24 rows of logits below 15 are summed: values below 500 with a few roundings of 1e-16 each.
    return Check(worst, 1e-12, "max difference", "torch")


@evidence("cross-entropy", claim="The slope of a row is softmax - onehot, and defaults are the mean", against="algebra")
def cross_entropy_slope() -> Check:
    import torch

    from fivefold.objectives.cross_entropy import CrossEntropyLoss

    x, y, rng = _batch(1)
    x.requires_grad_()
    CrossEntropyLoss(reduction="sum")(x, y).backward()
    z = x.detach().numpy()
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    wrong = np.abs(x.grad.numpy() - (p - np.eye(5)[y.numpy()])).max()
    x = x.detach()
    each = -np.log(p[np.arange(24), y.numpy()])
    wrong = largest(wrong, abs(float(CrossEntropyLoss()(x, y)) - each.mean()))
    w = rng.uniform(size=24)
    c = np.array([1.0, 2.0, 0.5, 3.0, 0.1])[y.numpy()]
    both = CrossEntropyLoss([1.0, 2.0, 0.5, 3.0, 0.1])(x, y, torch.tensor(w))
    wrong = largest(wrong, abs(float(both) - (w * c * each).sum() / (w * c).sum()))
    soft = CrossEntropyLoss()(x, torch.tensor(p), torch.tensor(w))
    wrong = largest(wrong, abs(float(soft) - (w * -(p * np.log(p)).sum(1)).sum() / w.sum()))
    return Check(wrong, 1e-13, "max difference", "NumPy")


@evidence(
    "cross-entropy",
    claim="At logits ±1e4 values are exact, in bfloat16 within 2 %; empty and ignored batches cost 0",
    against="the limits of the formula",
)
def cross_entropy_extremes() -> Check:
    import torch

    from fivefold.objectives.cross_entropy import CrossEntropyLoss

    x = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 0.0, -torch.inf]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1])
    exact = torch.tensor([0.0, 2e4, np.log(2)], dtype=torch.float64)
    loss = CrossEntropyLoss(reduction="none")
    wrong = float((loss(x, y) - exact).abs().max())
    for dtype in (torch.bfloat16, torch.float16):
        found = loss(x.to(dtype), y)
        wrong += float((~((found.double() - exact).abs() <= 0.02 * exact)).sum()) + float(found.dtype != dtype)
    some = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for reduction in ("mean", "sum"):
        idle = CrossEntropyLoss(ignore_index=1, reduction=reduction)(some, torch.ones(4, dtype=torch.long))
        idle.backward()
        wrong += abs(float(idle.detach())) + float(some.grad.abs().max())
        wrong += abs(float(CrossEntropyLoss(reduction=reduction)(some[:0], y[:0]).detach()))
    return Check(wrong, 1e-11, "sum of differences", "limits")


@evidence(
    "label-smoothing",
    claim="Labels sum to 1 with ε/(K-1) off the class; 0.04 of five classes",
    against="02#label-smoothing",
)
def label_smoothing_labels() -> Check:
    import torch

    from fivefold.objectives.cross_entropy import LabelSmoothingLoss, smooth_labels

    y = torch.tensor([2, 0])
    found = smooth_labels(y, 5, 0.04).double().numpy()
    printed = np.array([[0.01, 0.01, 0.96, 0.01, 0.01], [0.96, 0.01, 0.01, 0.01, 0.01]])
    wrong = np.abs(found - printed).max()
    # ε = 0.01 of the source's text gives 0.0025 and 0.99, not its printed numbers.
    small = smooth_labels(y, 5, 0.01).double().numpy()
    wrong = largest(wrong, np.abs(small[0] - [0.0025, 0.0025, 0.99, 0.0025, 0.0025]).max())
    every = smooth_labels(y, 5, 0.1, "all").double().numpy()
    wrong = largest(wrong, np.abs(every[1] - [0.92, 0.02, 0.02, 0.02, 0.02]).max(), np.abs(found.sum(1) - 1).max())
    x, t, _ = _batch(2)
    z = x.numpy()
    logp = z - np.log(np.exp(z).sum(1, keepdims=True))
    q = np.where(np.eye(5)[t.numpy()] == 1, 0.9, 0.1 / 4)
    wrong = largest(wrong, 1e6 * abs(float(LabelSmoothingLoss()(x, t)) + (q * logp).sum(1).mean()) * 1e-1)
    return Check(wrong, 1e-7, "max difference", "printed numbers")


@evidence(
    "label-smoothing", claim="It is torch's with ε K/(K-1), and `all` with ε itself", against="torch cross_entropy"
)
def label_smoothing_torch() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.cross_entropy import LabelSmoothingLoss

    x, y, rng = _batch(3)
    weight = torch.tensor(rng.uniform(0.2, 2, 5))
    worst = 0.0
    for spread, factor in (("others", 5 / 4), ("all", 1.0)):
        for reduction in ("none", "mean", "sum"):
            found = LabelSmoothingLoss(0.2, spread, weight, ignore_index=3, reduction=reduction)(x, y)
            other = functional.cross_entropy(
                x, y, weight, ignore_index=3, label_smoothing=0.2 * factor, reduction=reduction
            )
            worst = largest(worst, float((found - other).abs().max()))
    return Check(worst, 1e-12, "max difference", "torch")


@evidence(
    "label-smoothing",
    claim="The best logits are finite: their softmax is the smoothed label",
    against="the gradient's zero",
)
def label_smoothing_optimum() -> Check:
    import torch

    from fivefold.objectives.cross_entropy import LabelSmoothingLoss

    target = torch.tensor([1])
    q = torch.tensor([[0.1 / 3, 0.9, 0.1 / 3, 0.1 / 3]], dtype=torch.float64)
    x = q.log().requires_grad_()
    LabelSmoothingLoss(0.1)(x, target).backward()
    return Check(float(x.grad.abs().max()), 1e-15, "slope at the optimum", "zero")


@evidence(
    "confidence-penalty", claim="Loss = cross-entropy - β·entropy with β = 0.1; β = 0 is cross-entropy", against="NumPy"
)
def confidence_penalty_definition() -> Check:
    import torch
    from scipy.stats import entropy
    from torch.nn import functional

    from fivefold.objectives.cross_entropy import ConfidencePenaltyLoss

    x, y, rng = _batch(4)
    h = entropy(torch.softmax(x, 1).numpy(), axis=1)
    ce = functional.cross_entropy(x, y, reduction="none").numpy()
    worst = np.abs(ConfidencePenaltyLoss(reduction="none")(x, y).numpy() - (ce - 0.1 * h)).max()
    worst = largest(worst, np.abs(ConfidencePenaltyLoss(0.7)(x, y).item() - (ce - 0.7 * h).mean()))
    worst = largest(worst, abs(float(ConfidencePenaltyLoss(0.0)(x, y)) - ce.mean()))
    weight = rng.uniform(0.5, 2, 5)
    own = weight[y.numpy()]
    keep = y.numpy() != 2
    found = ConfidencePenaltyLoss(0.3, weight.tolist(), ignore_index=2)(x, y)
    worst = largest(worst, abs(float(found) - ((own * ce - 0.3 * h) * keep).sum() / (own * keep).sum()))
    return Check(worst, 1e-13, "max difference", "scipy entropy")


@evidence(
    "confidence-penalty",
    claim="The penalty is KL(p‖u), bounded by β ln K, where smoothing's KL(u‖p) grows without bound",
    against="both directions of KL",
)
def confidence_penalty_direction() -> Check:
    import torch
    from scipy.special import rel_entr

    from fivefold.objectives.cross_entropy import ConfidencePenaltyLoss, CrossEntropyLoss

    x, y, _ = _batch(5)
    p, u = torch.softmax(x, 1).numpy(), np.full((24, 5), 0.2)
    extra = (ConfidencePenaltyLoss(1.0, reduction="none")(x, y) - CrossEntropyLoss(reduction="none")(x, y)).numpy()
    wrong = np.abs(extra + np.log(5) - rel_entr(p, u).sum(1)).max()
    smooth = (CrossEntropyLoss(label_smoothing=0.5, reduction="none")(x, y)).numpy()
    half = 0.5 * CrossEntropyLoss(reduction="none")(x, y).numpy() + 0.5 * (rel_entr(u, p).sum(1) + np.log(5))
    wrong = largest(wrong, np.abs(smooth - half).max())
    sure = torch.tensor([[1e4, 0.0, 0.0, 0.0, 0.0]])
    wrong = largest(wrong, abs(float(ConfidencePenaltyLoss(1.0)(sure, torch.tensor([0])))))
    wrong += float(not CrossEntropyLoss(label_smoothing=0.5)(sure, torch.tensor([0])) >= 1e3)
    return Check(wrong, 1e-12, "max difference", "scipy rel_entr")
