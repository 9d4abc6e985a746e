"""Focal loss: the published formula in 60 digits, the paper's numbers, balanced cross-entropy, the switch."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _formula(logit: float, positive: bool, gamma: float, alpha: float | None) -> float:
    """Return -α_t (1 - p_t)^γ ln p_t as it is written, from probabilities with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        p = 1 / (1 + (-Decimal(logit)).exp())
        p_t = p if positive else 1 - p
        weight = Decimal(1) if alpha is None else (Decimal(alpha) if positive else 1 - Decimal(alpha))
        muted = (1 - p_t) ** Decimal(gamma) if gamma else Decimal(1)
        return float(-weight * muted * p_t.ln())


@evidence(
    "focal-loss", claim="Binary values equal the formula over logits from -50 to 50", against="60-digit arithmetic"
)
def focal_formula() -> Check:
    import torch

    from fivefold.objectives.focal import FocalLoss

    worst = 0.0
    logits = torch.tensor([-50.0, -20.0, -3.7, -0.5, 0.0, 0.25, 2.0, 9.0, 30.0, 50.0], dtype=torch.float64)
    for gamma, alpha in ((2.0, 0.25), (0.5, 0.9), (5.0, None), (1.0, 0.5), (0.0, 0.25)):
        for positive in (True, False):
            target = torch.full_like(logits, float(positive))
            found = FocalLoss(gamma, alpha, reduction="none")(logits, target)
            for logit, value in zip(logits.tolist(), found.tolist()):
                exact = _formula(logit, positive, gamma, alpha)
                worst = largest(worst, abs(value - exact) / exact)
    # exp(-γ·50) carries γ·50 roundings of its argument.
    return Check(worst, 250 * 2.3e-16, "max relative difference", "the paper's formula")


@evidence(
    "focal-loss", claim="γ = 2 lowers the loss 100× at p_t = .9 and about 1000× at .968", against="Lin et al. 2017"
)
def focal_published() -> Check:
    import torch

    from fivefold.objectives.focal import FocalLoss

    p = torch.tensor([0.9, 0.968, 0.5], dtype=torch.float64)
    muted = FocalLoss(2.0, alpha=None, reduction="none")(torch.logit(p), torch.ones(3))
    ratio = -p.log() / muted
    wrong = abs(float(ratio[0]) - 100) + abs(float(ratio[2]) - 4) + abs(float(ratio[1]) - 1 / 0.032**2)
    wrong += float(not 950 < float(ratio[1]) < 1050)
    # The defaults: γ = 2, α = 0.25 for class 1 and 0.75 for class 0, and the mean.
    default = FocalLoss()(torch.tensor([0.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
    wrong += abs(float(default) - (0.25 + 0.75 + 0.75) / 3 * 0.25 * np.log(2)) * 1e3
    return Check(wrong, 1e-4, "sum of differences", "published numbers")


@evidence("focal-loss", claim="γ = 0 is balanced cross-entropy", against="torch's cross-entropies")
def focal_gamma_zero() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.focal import FocalLoss, MulticlassFocalLoss

    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(50, generator=generator, dtype=torch.float64)
    t = (torch.rand(50, generator=generator) < 0.3).double()
    errors = []
    for reduction in ("mean", "sum", "none"):
        for alpha in (0.25, 0.9, 0.0, None):
            weight = torch.ones(50) if alpha is None else torch.from_numpy(np.where(t == 1, alpha, 1 - alpha))
            other = functional.binary_cross_entropy_with_logits(x, t, weight, reduction=reduction)
            errors.append(FocalLoss(0.0, alpha, reduction)(x, t) - other)
    X = torch.randn(50, 5, generator=generator, dtype=torch.float64)
    T = torch.arange(50) % 5
    alpha = [0.5, 1.0, 2.0, 1.5, 0.1]
    weight = torch.tensor(alpha, dtype=torch.float64)
    for reduction in ("sum", "none"):  # torch's weighted mean divides by the weights, ours by the rows
        other = functional.cross_entropy(X, T, weight, reduction=reduction)
        errors.append(MulticlassFocalLoss(0.0, alpha, reduction)(X, T) - other)
    errors.append(MulticlassFocalLoss(0.0)(X, T) - functional.cross_entropy(X, T))
    return Check(largest(float(e.abs().max()) for e in errors), 1e-12, "max difference", "torch")


@evidence(
    "focal-loss",
    claim="k classes: the formula over softmax probabilities; two classes are the binary case",
    against="60-digit arithmetic",
)
def focal_multiclass() -> Check:
    import torch

    from fivefold.objectives.focal import FocalLoss, MulticlassFocalLoss

    rng = np.random.default_rng(0)
    logits, target = rng.normal(scale=6, size=(20, 4)), rng.integers(0, 4, 20)
    weights = [0.5, 1.0, 2.0, 0.25]
    found = MulticlassFocalLoss(1.5, weights, "none")(torch.tensor(logits), torch.tensor(target)).tolist()
    worst = 0.0
    with localcontext() as context:
        context.prec = 60
        for row, y, value in zip(logits.tolist(), target.tolist(), found):
            powers = [Decimal(v).exp() for v in row]
            p = powers[y] / sum(powers)
            exact = float(-Decimal(weights[y]) * (1 - p) ** Decimal(1.5) * p.ln())
            worst = largest(worst, abs(value - exact) / exact)
    z = torch.tensor(rng.normal(size=30))
    t = torch.arange(30) % 2
    pair = torch.stack([torch.zeros(30, dtype=torch.float64), z], dim=1)
    both = MulticlassFocalLoss(2.0, [0.75, 0.25])(pair, t) - FocalLoss()(z, t.double())
    grid = MulticlassFocalLoss(2.0, None, "none")(pair.T.reshape(1, 2, 30), t.reshape(1, 30))
    plain = MulticlassFocalLoss(2.0, None, "none")(pair, t)
    worst = largest(worst, abs(float(both)), float((grid.flatten() - plain).abs().max()))
    worst = largest(worst, abs(float(MulticlassFocalLoss()(pair, t) - plain.mean())))  # γ = 2, no weights, the mean
    return Check(worst, 1e-12, "max relative difference", "the formula")


@evidence(
    "focal-loss", claim="Finite to ±1e4 with exact limits, for γ below 1 too", against="the limits of the formula"
)
def focal_extremes() -> Check:
    import torch

    from fivefold.objectives.focal import FocalLoss, MulticlassFocalLoss

    wrong = 0.0
    for gamma in (0.0, 0.3, 2.0):
        x = torch.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
        values = FocalLoss(gamma, 0.25, "none")(x, torch.tensor([1.0, 1.0, 0.0, 0.0]))
        values.sum().backward()
        # A certain and wrong row costs α_t |logit|, a certain and right one nothing; slopes are ∓α_t and 0.
        wrong += float((values.detach() - torch.tensor([0.0, 2500.0, 7500.0, 0.0])).abs().max())
        wrong += float((x.grad - torch.tensor([0.0, -0.25, 0.75, 0.0])).abs().max())
        X = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
        rows = MulticlassFocalLoss(gamma, None, "none")(X, torch.tensor([0, 0]))
        rows.sum().backward()
        wrong += float((rows.detach() - torch.tensor([0.0, 2e4])).abs().max())
        wrong += float((X.grad - torch.tensor([[0.0, 0, 0], [-1.0, 1.0, 0.0]])).abs().max())
    return Check(wrong, 1e-6, "sum of differences", "limits")


@evidence(
    "focal-loss",
    claim="The share of rows with p_t > .5 in the loss falls as γ grows",
    against="the claim of 01#focal-loss",
)
def focal_share() -> Check:
    import torch

    from fivefold.objectives.focal import FocalLoss

    p = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    shares = []
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        values = FocalLoss(gamma, None, "none")(torch.logit(p), torch.ones(99))
        shares.append(float(values[p > 0.5].sum() / values.sum()))
    exact = [
        float(((1 - p) ** g * -p.log())[p > 0.5].sum() / ((1 - p) ** g * -p.log()).sum()) for g in (0, 0.5, 1, 2, 5)
    ]
    wrong = float(np.abs(np.array(shares) - exact).max()) + float(np.any(~(np.diff(shares) < 0)))
    return Check(wrong, 1e-12, "difference", "probabilities")


@evidence(
    "focal-loss", claim="The schedule switches after its batches, counts training only, and resumes", against="counting"
)
def focal_schedule() -> Check:
    import torch
    from torch import nn

    from fivefold.objectives.focal import FocalLoss, LossSchedule

    x, t = torch.tensor([0.3, -1.0]), torch.tensor([1.0, 0.0])
    cross, focal = nn.BCEWithLogitsLoss(), FocalLoss()
    schedule = LossSchedule([cross, focal], steps=[3])
    used = []
    for _ in range(5):
        schedule.eval()
        schedule(x, t)
        schedule.train()
        with torch.no_grad():
            schedule(x, t)
        used.append(float(schedule(x, t)))
    expected = [float(cross(x, t))] * 3 + [float(focal(x, t))] * 2
    again = LossSchedule([cross, focal], steps=[3])
    for _ in range(2):
        again(x, t)
    resumed = LossSchedule([cross, focal], steps=[3])
    resumed.load_state_dict(again.state_dict())
    rest = [float(resumed(x, t)) for _ in range(2)]
    three = LossSchedule([cross, focal, cross], steps=[1, 2])
    order = [float(three(x, t)) for _ in range(4)]
    wrong = int(used != expected) + int(rest != expected[2:4]) + int(int(schedule.count) != 5)
    wrong += int(order != [expected[0], expected[3], expected[3], expected[0]])
    return Check(wrong, 0, "violations", "by hand")


@evidence(
    "focal-loss",
    claim="k classes, many rows at once: values, first and second slopes; impossible classes; slopes of each row",
    against="logsumexp and finite differences",
)
def focal_passes() -> Check:
    import torch

    from fivefold.objectives._odds import own_and_others
    from fivefold.objectives.focal import MulticlassFocalLoss

    generator = torch.Generator().manual_seed(0)
    # 50,000 classes are walked two rows at a time; the strides are those of a transposed table.
    x = (3 * torch.randn(50_000, 5, generator=generator, dtype=torch.float64)).T
    y = torch.tensor([3, 0, 49_999, 7, 7])
    x[0, 4], x[1, 2:], x[3, 7] = -torch.inf, -torch.inf, 500.0
    found = []
    for hand in (True, False):
        v = x.clone().requires_grad_() if hand else x.contiguous().requires_grad_()
        if hand:
            own, others = own_and_others(v, y)
        else:
            own = torch.stack([v[i, c] for i, c in enumerate(y.tolist())])
            rest = [torch.cat([v[i, :c], v[i, c + 1 :]]) for i, c in enumerate(y.tolist())]
            others = torch.stack([row.logsumexp(0) for row in rest])
        scale = torch.linspace(1, 2, 5, dtype=torch.float64)
        found.append((own, others, torch.autograd.grad((own, others), v, (scale, scale.flip(0) - 3))[0]))
    worst = largest(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))
    alone = (
        torch.full((2, 3), -torch.inf, dtype=torch.float64).scatter_(1, torch.tensor([[1], [2]]), 0.5).requires_grad_()
    )
    sure = MulticlassFocalLoss()(alone, torch.tensor([1, 2]))
    slope = torch.autograd.grad(sure, alone)[0]
    worst += abs(float(sure.detach())) + float(slope.abs().max())
    small, label = (
        torch.randn(4, 3, generator=generator, dtype=torch.float64).requires_grad_(),
        torch.tensor([2, 0, 1, 1]),
    )
    loss = MulticlassFocalLoss(1.5, [0.5, 1.0, 2.0], "none")
    ok = torch.autograd.gradcheck(lambda v: loss(v, label), (small,), raise_exception=False)
    ok = ok and torch.autograd.gradgradcheck(lambda v: loss(v, label), (small,), raise_exception=False)
    each = torch.func.vmap(torch.func.grad(lambda row, c: loss(row[None], c[None]).sum()))(small.detach(), label)
    worst += float((each - torch.autograd.grad(loss(small, label).sum(), small)[0]).abs().max())
    return Check(worst + float(not ok), 1e-12, "differences and failed checks", "logsumexp and finite differences")
