"""Binary losses: torch and scikit-learn, published values, the GHM density by brute force, limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest


def _batch(seed: int = 0, n: int = 40) -> Any:
    import torch

    rng = np.random.default_rng(seed)
    return (
        torch.tensor(4 * rng.normal(size=n)),
        torch.tensor((rng.random(n) < 0.4).astype(float)),
        torch.tensor(rng.random(n)),
    )


@evidence(
    "binary-cross-entropy",
    claim="Values and slopes equal torch, with class and sample weights and soft targets",
    against="torch",
)
def binary_cross_entropy_torch() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.binary import BinaryCrossEntropyLoss

    x, hard, w = _batch()
    worst = 0.0
    for y in (hard, w.flip(0)):
        for weight in (1.0, 0.3, 7.0):
            for reduction in ("none", "mean", "sum"):
                a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
                mine = BinaryCrossEntropyLoss(weight, reduction)(a, y)
                other = functional.binary_cross_entropy_with_logits(
                    b, y, pos_weight=torch.tensor(weight, dtype=torch.float64), reduction=reduction
                )
                mine.sum().backward(), other.sum().backward()
                worst = largest(worst, float((mine - other).detach().abs().max()), float((a.grad - b.grad).abs().max()))
        each = BinaryCrossEntropyLoss(2.0, "none")(x, y)
        mean = BinaryCrossEntropyLoss(2.0)(x, y, w) - (each * w).sum() / w.sum()
        worst = largest(worst, abs(float(mean)))
    return Check(worst, 1e-12, "max difference", "torch")


@evidence(
    "binary-cross-entropy", claim="It is -ln p_t, and ln(1 + e^-yz) over ln 2 bounds the 0/1 loss", against="NumPy"
)
def binary_cross_entropy_forms() -> Check:
    from fivefold.objectives.binary import BinaryCrossEntropyLoss, ZeroOneLoss

    x, y, _ = _batch(1)
    p = 1 / (1 + np.exp(-x.numpy()))
    p_t = np.where(y.numpy() == 1, p, 1 - p)
    found = BinaryCrossEntropyLoss(reduction="none")(x, y).numpy()
    wrong = np.abs(found + np.log(p_t)).max() + abs(float(BinaryCrossEntropyLoss()(x, y)) + np.log(p_t).mean())
    sign = 2 * y.numpy() - 1
    wrong += np.abs(found - np.log1p(np.exp(-sign * x.numpy()))).max()
    wrong += float((~(found / np.log(2) >= ZeroOneLoss(reduction="none")(x, y).numpy())).sum())
    return Check(wrong, 1e-11, "sum of differences", "both forms")


@evidence(
    "binary-cross-entropy",
    claim="At 1 positive to 1000 easy negatives the summed loss is mostly theirs; limits at ±1e4 in every precision",
    against="01#binary-cross-entropy-pt",
)
def binary_cross_entropy_imbalance() -> Check:
    import torch

    from fivefold.objectives.binary import BinaryCrossEntropyLoss

    p_t = torch.linspace(0.7, 0.98, 1000, dtype=torch.float64)
    negatives = BinaryCrossEntropyLoss(reduction="sum")(-torch.logit(p_t), torch.zeros(1000))
    positive = BinaryCrossEntropyLoss(reduction="sum")(torch.logit(torch.tensor([0.3])), torch.ones(1))
    # The integral of -ln t over (.7, .98) by its width is 0.174 a row; the positive costs -ln .3 = 1.2.
    antiderivative = [t - t * np.log(t) for t in (0.7, 0.98)]
    wrong = abs(float(negatives) / 1000 - (antiderivative[1] - antiderivative[0]) / 0.28) / 1e-3
    wrong += fault(not negatives >= 100 * positive)
    x = torch.tensor([1e4, -1e4, 1e4, -1e4], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 0.0, 0.0])
    exact = torch.tensor([0.0, 1e4, 1e4, 0.0], dtype=torch.float64)
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        found = BinaryCrossEntropyLoss(reduction="none")(x.to(dtype), y)
        wrong += fault((~((found.double() - exact).abs() <= 0.02 * exact)).any()) + fault(found.dtype != dtype)
    wrong += abs(float(BinaryCrossEntropyLoss()(x[:0], y[:0])))
    return Check(wrong, 1.0, "violations", "the integral and the limits")


@evidence("balanced-cross-entropy", claim="(1 - α) × torch's with pos_weight α/(1 - α); α = .5 halves", against="torch")
def balanced_torch() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.binary import BalancedCrossEntropyLoss

    x, y, w = _batch(2)
    worst = 0.0
    for alpha in (0.1, 0.5, 0.75):
        ratio = torch.tensor(alpha / (1 - alpha), dtype=torch.float64)
        for reduction in ("none", "mean", "sum"):
            other = (1 - alpha) * functional.binary_cross_entropy_with_logits(
                x, y, pos_weight=ratio, reduction=reduction
            )
            worst = largest(worst, float((BalancedCrossEntropyLoss(alpha, reduction)(x, y) - other).abs().max()))
    half = 0.5 * functional.binary_cross_entropy_with_logits(x, y)
    worst = largest(worst, abs(float(BalancedCrossEntropyLoss()(x, y) - half)))
    each = BalancedCrossEntropyLoss(0.2, "none")(x, y)
    worst = largest(worst, abs(float(BalancedCrossEntropyLoss(0.2)(x, y, w) - (each * w).sum() / w.sum())))
    return Check(worst, 1e-12, "max difference", "torch")


@evidence("balanced-cross-entropy", claim="Reciprocal weights give both classes the same total", against="counting")
def balanced_counts() -> Check:
    import torch

    from fivefold.objectives.binary import BalancedCrossEntropyLoss

    loss = BalancedCrossEntropyLoss.from_counts(3, 9, "none")
    values = loss(torch.zeros(12, dtype=torch.float64), torch.tensor([1.0] * 3 + [0.0] * 9))
    # Each positive costs 3/4 ln 2, each negative 1/4 ln 2: 9/4 ln 2 a class.
    exact = np.log(2) * np.array([0.75] * 3 + [0.25] * 9)
    wrong = np.abs(values.numpy() - exact).max() + abs(float(values[:3].sum() - values[3:].sum()))
    wrong += abs(loss.alpha - 0.75) + float(loss.reduction != "none")
    ends = BalancedCrossEntropyLoss(1.0, "none")(torch.tensor([-2.0, 2.0]), torch.tensor([1.0, 0.0]))
    wrong += abs(float(ends[0]) - np.log1p(np.exp(2))) * 1e-6 + abs(float(ends[1]))
    return Check(wrong, 1e-12, "sum of differences", "by hand")


@evidence(
    "hinge-loss",
    claim="h = -1e5 costs 100001 for the class 1, h = 1e5 nothing; 1 on the border",
    against="01#hinge-loss",
)
def hinge_published() -> Check:
    import torch

    from fivefold.objectives.binary import HingeLoss

    x = torch.tensor([-1e5, 1e5, 0.0, 0.5, -1e5, 1e5, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, 1, 1, 1, 0, 0, 1, 0])
    values = HingeLoss(reduction="none")(x, y)
    values.sum().backward()
    exact = np.array([100001.0, 0, 1, 0.5, 0, 100001, 0, 0])
    wrong = np.abs(values.detach().numpy() - exact).sum()
    wrong += np.abs(x.grad.numpy() - [-1, 0, -1, -1, 0, 1, 0, 0]).sum()
    squared = HingeLoss(2, "none")(x.detach(), y).numpy()
    wrong += (np.abs(squared - exact**2) / np.maximum(exact**2, 1)).sum()
    half = HingeLoss(reduction="none")(x.detach().bfloat16(), y).double().numpy()
    wrong += float((~(np.abs(half - exact) <= 0.02 * exact)).sum())
    return Check(wrong, 0, "sum of differences", "published numbers")


@evidence("hinge-loss", claim="The mean, also weighted, equals scikit-learn's", against="scikit-learn hinge_loss")
def hinge_sklearn() -> Check:
    from sklearn.metrics import hinge_loss

    from fivefold.objectives.binary import HingeLoss

    x, y, w = _batch(3)
    wrong = abs(float(HingeLoss()(x, y)) - hinge_loss(y, x))
    wrong = largest(wrong, abs(float(HingeLoss()(x, y, w)) - hinge_loss(y, x, sample_weight=w)))
    wrong = largest(wrong, abs(float(HingeLoss(reduction="sum")(x, y)) - 40 * hinge_loss(y, x)))
    return Check(wrong, 1e-13, "max difference", "scikit-learn")


@evidence(
    "zero-one-loss",
    claim="The error rate and count equal scikit-learn's, also weighted",
    against="scikit-learn zero_one_loss",
)
def zero_one_sklearn() -> Check:
    import torch
    from sklearn.metrics import zero_one_loss

    from fivefold.objectives.binary import ZeroOneLoss

    x, y, w = _batch(4)
    predicted = (x > 0).double()
    wrong = abs(float(ZeroOneLoss()(x, y)) - zero_one_loss(y, predicted))
    wrong += abs(float(ZeroOneLoss()(x, y, w)) - zero_one_loss(y, predicted, sample_weight=w))
    wrong += abs(float(ZeroOneLoss(reduction="sum")(x, y)) - zero_one_loss(y, predicted, normalize=False))
    shifted = zero_one_loss(y, (x > 1.5).double())
    wrong += abs(float(ZeroOneLoss(1.5)(x, y)) - shifted)
    border = ZeroOneLoss(reduction="none")(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))
    wrong += float((border - torch.tensor([0.0, 1.0])).abs().sum())  # a score on the threshold is class 0
    return Check(wrong, 1e-13, "sum of differences", "scikit-learn")


@evidence("zero-one-loss", claim="Its slope is zero everywhere, and 1 marks a mismatch", against="the definition")
def zero_one_slope() -> Check:
    import torch

    from fivefold.objectives.binary import ZeroOneLoss

    x = torch.tensor([-3.0, -0.1, 0.0, 0.2, 1e4], requires_grad=True)
    values = ZeroOneLoss(reduction="none")(x, torch.tensor([1.0, 0, 1, 1, 0]))
    values.sum().backward()
    wrong = (values.detach() - torch.tensor([1.0, 0, 1, 0, 1])).abs().sum() + x.grad.abs().sum()
    return Check(float(wrong), 0, "sum of differences", "by hand")


@evidence("ghm-c", claim="Evenly spread gradient norms give cross-entropy", against="the definition of β")
def ghm_uniform() -> Check:
    import torch

    from fivefold.objectives.binary import BinaryCrossEntropyLoss, GHMCLoss

    norm = (torch.arange(330, dtype=torch.float64) + 0.5) / 330
    y = (torch.arange(330) % 2).double()
    x = torch.where(y == 1, torch.logit(1 - norm), torch.logit(norm))
    plain = BinaryCrossEntropyLoss(reduction="none")(x, y)
    wrong = float((GHMCLoss(reduction="none")(x, y) - plain).abs().max())
    wrong = largest(wrong, abs(float(GHMCLoss()(x, y) - plain.mean())))
    # In a window as wide as a bin, away from the ends, lie 11 rows as well: its edges fall between the norms.
    close = GHMCLoss(exact=True, reduction="none")(x, y)
    inner = (norm > 1 / 60) & (norm < 1 - 1 / 60)
    wrong = largest(wrong, float((close - plain)[inner].abs().max()))
    return Check(wrong, 1e-12, "max difference", "cross-entropy")


@evidence("ghm-c", claim="Both densities equal brute force over pairs and bins", against="loops over the definition")
def ghm_brute_force() -> Check:
    import torch

    from fivefold.objectives.binary import GHMCLoss

    x, y, _ = _batch(5, 60)
    z, t = x.numpy(), y.numpy()
    p = 1 / (1 + np.exp(-z))
    g = np.abs(p - t)
    ce = -np.where(t == 1, np.log(p), np.log(1 - p))
    worst = 0.0
    for bins in (7, 30):
        binned, window = np.zeros(60), np.zeros(60)
        for i in range(60):
            place = min(int(g[i] * bins), bins - 1)
            binned[i] = sum(min(int(v * bins), bins - 1) == place for v in g) * bins
            half = 0.5 / bins
            near = sum(g[i] - half <= v < g[i] + half for v in g)
            window[i] = near / (min(g[i] + half, 1) - max(g[i] - half, 0))
        for exact, density in ((False, binned), (True, window)):
            found = GHMCLoss(bins, exact=exact, reduction="none")(x, y).numpy()
            worst = largest(worst, np.abs(found - 60 / density * ce).max())
            total = GHMCLoss(bins, exact=exact)(x, y)
            worst = largest(worst, abs(float(total) - (ce / density).sum()))
    default = GHMCLoss()
    worst += float(default.bins != 30) + float(default.momentum != 0) + float(default.exact)
    # The slope is β (σ - y): β itself is held fixed.
    a = x.clone().requires_grad_()
    GHMCLoss(7, reduction="sum")(a, y).backward()
    n = torch.bincount((torch.tensor(g) * 7).long(), minlength=7)[(torch.tensor(g) * 7).long()].numpy() * 7
    worst = largest(worst, np.abs(a.grad.numpy() - 60 / n * (p - t)).max())
    return Check(worst, 1e-11, "max difference", "brute force")


@evidence(
    "ghm-c", claim="Momentum averages the counts of training batches only, and is saved", against="the recurrence"
)
def ghm_momentum() -> Check:
    from fivefold.objectives.binary import GHMCLoss

    loss = GHMCLoss(5, momentum=0.75)
    expected = np.zeros(5)
    worst = 0.0
    for seed in range(6):
        x, y, _ = _batch(seed, 30)
        loss.eval()
        loss(x, y)
        g = np.abs(1 / (1 + np.exp(-x.numpy())) - y.numpy())
        counts = np.bincount(np.minimum((g * 5).astype(int), 4), minlength=5)
        expected = np.where(counts > 0, 0.75 * expected + 0.25 * counts, expected)
        loss.train()
        ce = np.log1p(np.exp(-(2 * y.numpy() - 1) * x.numpy()))
        beta = 30 / (expected[np.minimum((g * 5).astype(int), 4)] * 5)
        worst = largest(worst, abs(float(loss(x, y)) - (beta * ce).mean()))
    again = GHMCLoss(5, momentum=0.75)
    again.load_state_dict(loss.state_dict())
    worst = largest(worst, np.abs(again.counts.numpy() - expected).max())
    return Check(worst, 1e-11, "max difference", "the recurrence")
