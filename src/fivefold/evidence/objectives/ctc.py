"""CTC: brute force over all alignments, torch, slopes, the collapse rule."""

from __future__ import annotations

import itertools

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "ctc-loss",
    claim="Minus the log of the sum over every alignment, doubled symbols and empty labels too",
    against="enumeration",
)
def ctc_brute_force() -> Check:
    import torch

    from fivefold.objectives.ctc import CTCLoss

    rng = np.random.default_rng(0)
    worst = 0.0
    for blank, symbols in ((0, (1, 2)), (2, (0, 1))):
        a, b = symbols
        labels = [[a], [a, a], [a, b], [a, b, a], [b, b, a], []]
        z = rng.normal(size=(5, 6, 3))
        p = np.exp(z) / np.exp(z).sum(2, keepdims=True)
        lengths = [5, 4, 5, 3, 5, 2]
        exact = []
        for n, (label, frames) in enumerate(zip(labels, lengths)):
            total = 0.0
            for path in itertools.product(range(3), repeat=frames):
                merged = [s for s, _ in itertools.groupby(path)]
                if [s for s in merged if s != blank] == label:
                    total += np.prod([p[t, n, s] for t, s in enumerate(path)])
            exact.append(-np.log(total))
        target = torch.tensor([label + [77] * (3 - len(label)) for label in labels])
        sizes = torch.tensor([len(label) for label in labels])
        args = (torch.tensor(z), target, torch.tensor(lengths), sizes)
        worst = largest(worst, np.abs(CTCLoss(blank, reduction="none")(*args).numpy() - exact).max())
        mean = np.mean(np.array(exact) / np.maximum(sizes.numpy(), 1))
        worst = largest(worst, abs(float(CTCLoss(blank)(*args)) - mean))
        worst = largest(worst, abs(float(CTCLoss(blank, reduction="sum")(*args)) - np.sum(exact)))
    return Check(worst, 1e-12, "max difference", "enumeration")


@evidence(
    "ctc-loss",
    claim="Values and slopes equal torch's, with lengths, reductions and zero_infinity",
    against="torch ctc_loss",
)
def ctc_torch() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.ctc import CTCLoss

    rng = np.random.default_rng(1)
    z = torch.tensor(2 * rng.normal(size=(20, 5, 6)))
    target = torch.tensor(rng.integers(1, 6, (5, 7)))
    frames, sizes = torch.tensor([20, 15, 20, 12, 3]), torch.tensor([7, 4, 0, 3, 6])  # the last cannot fit
    worst = 0.0
    for reduction in ("none", "mean", "sum"):
        a, b = z.clone().requires_grad_(), z.clone().requires_grad_()
        mine = CTCLoss(0, True, reduction)(a, target, frames, sizes)
        other = functional.ctc_loss(
            torch.log_softmax(b, 2), target, frames, sizes, reduction=reduction, zero_infinity=True
        )
        mine.sum().backward(), other.sum().backward()
        worst = largest(worst, float((mine - other).detach().abs().max()), float((a.grad - b.grad).abs().max()))
    infinite = CTCLoss(reduction="none")(z, target, frames, sizes)
    worst += float(infinite[4] != float("inf")) + float(not infinite[:4].isfinite().all())
    worst += float(CTCLoss().blank != 0)
    return Check(worst, 1e-11, "max difference", "torch")


@evidence(
    "ctc-loss",
    claim="First and second slopes hold; extremes stay finite; an infeasible label has slope 0",
    against="finite differences",
)
def ctc_slopes() -> Check:
    import torch

    from fivefold.objectives.ctc import CTCLoss

    rng = np.random.default_rng(2)
    z = torch.tensor(rng.normal(size=(4, 2, 3)), requires_grad=True)
    rest = (torch.tensor([[1, 1], [2, 1]]), torch.tensor([4, 3]), torch.tensor([2, 2]))
    ok = torch.autograd.gradcheck(lambda v: CTCLoss()(v, *rest), (z,), raise_exception=False)
    ok = ok and torch.autograd.gradgradcheck(lambda v: CTCLoss()(v, *rest), (z,), raise_exception=False)
    wild = (1e4 * z.detach().sign()).requires_grad_()
    value = CTCLoss()(wild, *rest)
    value.backward()
    ok = ok and bool(value.isfinite()) and bool(wild.grad.isfinite().all())
    near = CTCLoss()(wild.detach().bfloat16(), *rest)
    ok = ok and abs(float(near) - float(value.detach())) <= 0.02 * float(value.detach())
    tight = z.detach()[:2, :1].clone().requires_grad_()
    none = CTCLoss()(tight, torch.tensor([[1, 1]]), torch.tensor([2]), torch.tensor([2]))
    none.backward()
    empty = CTCLoss()(z.detach()[:, :0], rest[0][:0], rest[1][:0], rest[2][:0])
    wrong = float(not ok) + float(none.detach() != float("inf")) + float(tight.grad.abs().max()) + abs(float(empty))
    return Check(wrong, 0, "violations", "theory")


@evidence("ctc-loss", claim="The collapse rule keeps doubled characters that a blank parts", against="05#ctc")
def ctc_collapse() -> Check:
    from fivefold.objectives.ctc import collapse

    cases = [
        ([1, 1, 0, 2, 2, 0, 2, 0], [1, 2, 2]),
        ([1, 1, 0, 2, 2, 2, 2, 0], [1, 2]),
        ([0, 0, 0], []),
        ([], []),
        ([3, 0, 3, 3, 0, 0, 3], [3, 3, 3]),
    ]
    wrong = sum(collapse(path) != label for path, label in cases)
    return Check(wrong + int(collapse([0, 0, 2, 0], blank=2) != [0, 0]), 0, "wrong labels", "by hand")


@evidence(
    "ctc-loss",
    claim="The compiled passes give the values and slopes of the plain recursion, for any strides and precision",
    against="autograd through the recursion",
)
def ctc_passes() -> Check:
    import torch

    from fivefold.objectives.ctc import CTCLoss

    rng = np.random.default_rng(3)
    z = torch.tensor(3 * rng.normal(size=(6, 30, 5)))
    labels = torch.tensor(rng.integers(0, 4, (6, 9)))  # doubled symbols among them
    frames, sizes = torch.tensor([30, 29, 30, 17, 9, 1]), torch.tensor([9, 8, 0, 5, 9, 1])
    z[0, :, 2] = -torch.inf  # a symbol that cannot be said
    found = []
    for plain in (False, True):
        x = z.clone().requires_grad_()
        with torch.autocast(
            "cpu", torch.bfloat16, enabled=plain
        ):  # asks for the plain form and leaves float64 as it is
            each = CTCLoss(4, True, "none")(x.transpose(0, 1), labels, frames, sizes)
        each.backward(torch.linspace(1, 2, 6, dtype=torch.float64))
        found.append((each.detach(), x.grad))
    worst = largest(float((a - b).abs().max()) for a, b in zip(*found, strict=True))
    single = z.float().requires_grad_()
    value = CTCLoss(4, True, "none")(single.transpose(0, 1), labels, frames, sizes)
    value.backward(torch.linspace(1, 2, 6))
    # The logarithms of 30 frames are rounded to 6e-8 of their size, about 10, before anything is summed.
    near = (
        largest(float((value.detach() - found[0][0]).abs().max()), float((single.grad - found[0][1]).abs().max())) / 30
    )
    return Check(largest(worst, near * 1e-5), 1e-11, "max difference", "the plain recursion")


@evidence("ctc-loss", claim="Batched by vmap the loss is that of each sample alone", against="one sample after another")
def ctc_under_vmap() -> Check:
    import torch

    from fivefold.objectives.ctc import CTCLoss, _unlikelihood

    logp = torch.randn(3, 6, 1, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64).log_softmax(3)
    target, frames, sizes = torch.tensor([[1, 2]]), torch.tensor([6]), torch.tensor([2])
    skip = torch.tensor([[False, False, False, True, False]])
    labels = torch.tensor([[0, 1, 0, 2, 0]])
    together = torch.vmap(lambda x: _unlikelihood(x, labels, skip, frames, sizes))(logp)
    alone = torch.stack([CTCLoss(reduction="none")(x, target, frames, sizes) for x in logp])
    return Check(float((together - alone).abs().max()), 1e-12, "max difference", "one by one")
