"""The joint loss and the mini-batch-aware penalty: sums of gradients, single features, whole passes."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "joint-embedding-classification-loss",
    claim="Value and gradient are the weighted sums of the parts; a weight of 0 leaves the other",
    against="torch cross_entropy and triplet_margin_loss",
)
def joint_parts() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.embedding import TripletLoss
    from fivefold.objectives.joint import JointEmbeddingClassificationLoss

    rng = np.random.default_rng(0)
    x, w = torch.tensor(rng.normal(size=(3, 4))), torch.tensor(rng.normal(size=(4, 2)))
    y = torch.tensor([0, 0, 1])
    triplet = TripletLoss(5.0, squared=False, normalize=False, reduction="sum")
    worst = 0.0
    for a, b in ((1.0, 1.0), (0.3, 2.0), (0.0, 1.0), (1.0, 0.0)):
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        found = JointEmbeddingClassificationLoss(a, triplet, class_weight=b)(ours, ours @ w, y)
        # Rows 0 and 1 are anchors of one triplet each.
        pairs = functional.triplet_margin_loss(
            theirs[[0, 1]], theirs[[1, 0]], theirs[[2, 2]], 5.0, eps=0.0, reduction="sum"
        )
        other = b * functional.cross_entropy(theirs @ w, y) + a * pairs
        found.backward(), other.backward()
        worst = largest(worst, abs(float((found - other).detach())), float((ours.grad - theirs.grad).abs().max()))
    return Check(worst, 1e-13, "max difference", "torch")


@evidence(
    "joint-embedding-classification-loss",
    claim="By default triplets and cross-entropy, both weighted 1",
    against="those losses",
)
def joint_defaults() -> Check:
    import torch

    from fivefold.objectives.cross_entropy import CrossEntropyLoss
    from fivefold.objectives.embedding import ContrastiveLoss, TripletLoss
    from fivefold.objectives.joint import JointEmbeddingClassificationLoss

    rng = np.random.default_rng(1)
    f, z, y = torch.tensor(rng.normal(size=(8, 3))), torch.tensor(rng.normal(size=(8, 4))), torch.arange(8) % 4
    exact = TripletLoss()(f, y) + CrossEntropyLoss()(z, y)
    wrong = abs(float(JointEmbeddingClassificationLoss()(f, z, y) - exact))
    smooth = CrossEntropyLoss(label_smoothing=0.2)
    exact = 0.5 * ContrastiveLoss()(f, y) + smooth(z, y)
    wrong = largest(
        wrong, abs(float(JointEmbeddingClassificationLoss(0.5, ContrastiveLoss(), smooth)(f, z, y) - exact))
    )
    return Check(wrong, 1e-14, "max difference", "the parts")


@evidence(
    "minibatch-aware-regularizer",
    claim="Gradient λ w / n on the features of the batch, exactly 0 elsewhere",
    against="NumPy",
)
def minibatch_gradient() -> Check:
    import torch

    from fivefold.objectives.joint import MinibatchAwareRegularizer

    rng = np.random.default_rng(0)
    w = torch.tensor(rng.normal(size=(6, 3)), requires_grad=True)
    counts = torch.tensor([4.0, 1.0, 10.0, 2.0, 0.0, 5.0])
    value = MinibatchAwareRegularizer(counts, 0.3)(w, torch.tensor([[0, 3], [3, 1]]))
    value.backward()
    v, n = w.detach().numpy(), counts.numpy()
    active = np.array([1, 1, 0, 1, 0, 0])[:, None]
    exact = np.where(active, 0.3 * v / np.maximum(n, 1)[:, None], 0.0)
    wrong = np.abs(w.grad.numpy() - exact).max()
    wrong = largest(wrong, abs(float(value.detach()) - sum(0.15 * (v[j] ** 2).sum() / n[j] for j in (0, 1, 3))))
    wrong += float((w.grad.numpy()[[2, 4, 5]] != 0).sum())
    default = MinibatchAwareRegularizer(counts)(w.detach(), torch.tensor([0]))
    wrong = largest(wrong, abs(float(default) - 0.5e-4 * (v[0] ** 2).sum() / 4))
    none = MinibatchAwareRegularizer(counts)(w.detach(), torch.zeros(0, dtype=torch.long))
    return Check(wrong + abs(float(none)), 1e-15, "max difference", "NumPy")


@evidence(
    "minibatch-aware-regularizer",
    claim="A pass in which every feature occurs is L2 with weights 1 / n",
    against="NumPy",
)
def minibatch_whole() -> Check:
    import torch

    from fivefold.objectives.joint import MinibatchAwareRegularizer

    rng = np.random.default_rng(1)
    rows = np.concatenate([np.arange(5), rng.integers(0, 5, 40)])
    counts = np.bincount(rows)
    w = rng.normal(size=5)
    found = MinibatchAwareRegularizer(torch.tensor(counts), 2.0)(torch.tensor(w), torch.tensor(rows))
    wrong = abs(float(found) - (w**2 / counts).sum())
    # One row a batch: each feature is met n times, so that a pass adds up to plain L2 on all.
    each = sum(
        float(MinibatchAwareRegularizer(torch.tensor(counts), 2.0)(torch.tensor(w), torch.tensor([r]))) for r in rows
    )
    return Check(largest(wrong, abs(each - (w**2).sum())), 1e-13, "max difference", "NumPy")
