"""Group penalties: L2 of one group, weight decay of parameter groups, the group lasso; the congenerous cosine loss."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "group-regularizer",
    claim="One group is the L2 and the L1 penalty; by default the factor is 1, of the group lasso √size",
    against="L2Regularizer, L1Regularizer, NumPy",
)
def group_plain() -> Check:
    import torch

    from fivefold.objectives import L1Regularizer, L2Regularizer
    from fivefold.objectives.groups import GroupRegularizer

    w = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    worst = abs(float(GroupRegularizer(["all"] * 6)(w) - L2Regularizer()(w)))
    worst = largest(
        worst, abs(float(GroupRegularizer(["all"] * 6, penalty="l1", strength=0.3)(w) - L1Regularizer(0.3)(w)))
    )
    labels, a = ["x", "y", "x", "z", "z", "z"], {"x": 2.0, "z": 0.5}
    wn, g = w.numpy(), np.array([2.0, 1.0, 2.0, 0.5, 0.5, 0.5])[:, None]
    worst = largest(worst, abs(float(GroupRegularizer(labels, a, "l2", 0.3)(w)) - 0.15 * (g * wn**2).sum()))
    worst = largest(worst, abs(float(GroupRegularizer(labels, a, "l1", 0.3)(w)) - 0.3 * np.abs(g * wn).sum()))
    norms = [np.linalg.norm(wn[[0, 2]]), np.linalg.norm(wn[1]), np.linalg.norm(wn[3:])]
    lasso = 0.3 * (2 * norms[0] + 3**0.5 * norms[1] + 0.5 * norms[2])
    worst = largest(worst, abs(float(GroupRegularizer(labels, a, "group-lasso", 0.3)(w)) - lasso))
    bare = 0.3 * (6**0.5 * norms[0] + 3**0.5 * norms[1] + 3 * norms[2])
    worst = largest(worst, abs(float(GroupRegularizer(labels, None, "group-lasso", 0.3)(w)) - bare))
    side = GroupRegularizer(labels, a, "group-lasso", 0.3, dim=1)(w.T)
    worst = largest(
        worst,
        abs(float(side) - lasso),
        abs(float(GroupRegularizer(labels, a, "l2", 0.3, -1)(w.T)) - 0.15 * (g * wn**2).sum()),
    )
    return Check(worst, 1e-13, "max difference", "L1, L2, NumPy")


@evidence(
    "group-regularizer",
    claim="Gradient descent with the L2 form is weight decay λ a of parameter groups; slopes are finite differences",
    against="torch SGD with weight_decay per group",
)
def group_decay() -> Check:
    import torch

    from fivefold.objectives.groups import GroupRegularizer

    start = torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels, factors = ["numeric"] * 2 + ["categorical"] * 3, {"numeric": 0.2, "categorical": 3.0}
    ours = start.clone().requires_grad_()
    penalty = GroupRegularizer(labels, factors, strength=0.1)
    mine = torch.optim.SGD([ours], lr=0.3)
    parts = [start[:2].clone().requires_grad_(), start[2:].clone().requires_grad_()]
    peer = torch.optim.SGD(
        [{"params": [parts[0]], "weight_decay": 0.02}, {"params": [parts[1]], "weight_decay": 0.3}], lr=0.3
    )
    for _ in range(5):
        for optimizer, weight in ((mine, ours), (peer, None)):
            optimizer.zero_grad()
            w = torch.cat(parts) if weight is None else weight
            loss = (w - 1).pow(4).sum()
            (loss if weight is None else loss + penalty(w)).backward()
            optimizer.step()
    worst = float((ours - torch.cat(parts)).detach().abs().max())
    for kind in ("l2", "l1", "group-lasso"):
        given = start.clone().requires_grad_()
        form = GroupRegularizer(labels, factors, kind, 0.7)
        worst = largest(worst, float(not torch.autograd.gradcheck(form, (given,), raise_exception=False)))
        flat = torch.zeros(5, 2).requires_grad_()
        form(flat).backward()
        worst = largest(worst, float(flat.grad.abs().max()))
    return Check(worst, 1e-13, "max difference", "torch")


@evidence(
    "group-regularizer",
    claim="Each proximal step minimizes ½‖v - w‖² + ηR(v)",
    against="perturbations of the minimum; closed forms on a vector",
)
def group_prox() -> Check:
    import torch

    from fivefold.objectives.groups import GroupRegularizer

    generator = torch.Generator().manual_seed(2)
    w = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    worst = 0.0
    for kind in ("l2", "l1", "group-lasso"):
        form = GroupRegularizer([0, 0, 1, 1, 2, 2], {1: 5.0}, kind, 0.5)
        found = w.clone()
        form.proximal_step_(found, 0.4)

        def cost(v: torch.Tensor, form: GroupRegularizer = form) -> float:
            return float(0.5 * (v - w).square().sum() + 0.4 * form(v))

        best = cost(found)
        for _ in range(60):
            moved = found + 1e-3 * torch.randn(6, 2, generator=generator, dtype=torch.float64)
            worst = largest(worst, best - cost(moved))
    v = torch.tensor([[3.0, 4.0], [0.3, 0.4]], dtype=torch.float64)
    form = GroupRegularizer(["a", "b"], {"a": 1.0, "b": 1.0}, "group-lasso", 2.0)
    form.proximal_step_(v, 0.5)  # lengths 5 and 0.5 fall by 1
    worst = largest(worst, float((v - torch.tensor([[2.4, 3.2], [0, 0]], dtype=torch.float64)).abs().max()))
    worst = largest(worst, float(form.zero_groups(v) != ["b"]))
    row = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    GroupRegularizer(["a", "b", "b"], {"b": 2.0}, "l1", 0.5, dim=1).proximal_step_(row, 0.8)
    worst = largest(worst, float((row - torch.tensor([[0.6, -1.2, 0]], dtype=torch.float64)).abs().max()))
    row = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    GroupRegularizer(["a", "b", "b"], {"b": 2.0}, "l2", 0.5, dim=1).proximal_step_(row, 0.8)
    worst = largest(
        worst, float((row - torch.tensor([[1 / 1.4, -2 / 1.8, 0.5 / 1.8]], dtype=torch.float64)).abs().max())
    )
    return Check(worst, 1e-12, "max difference", "the minimum")


@evidence(
    "group-regularizer",
    claim="Least squares by proximal steps: fields that matter little are 0 as a whole, as the conditions of the optimum say",
    against="the conditions of optimality of the group lasso",
)
def group_lasso_fields() -> Check:
    import torch

    from fivefold.objectives.groups import GroupRegularizer

    rng = np.random.default_rng(3)
    labels = ["city"] * 3 + ["age"] * 1 + ["color"] * 4 + ["noise"] * 2
    x = rng.normal(size=(80, 10))
    y = x[:, :3] @ [1.0, -1.0, 0.5] + 2 * x[:, 3] + 0.3 * rng.normal(size=80)
    tx, ty = torch.tensor(x), torch.tensor(y)
    rate = 80 / float(torch.linalg.matrix_norm(tx, 2)) ** 2
    limit = max(
        float(np.linalg.norm(x[:, [g == k for g in labels]].T @ y)) / 80 / labels.count(k) ** 0.5 for k in set(labels)
    )
    worst = 0.0
    for strength in (0.1, limit * 1.01, limit * 0.99):
        form = GroupRegularizer(labels, penalty="group-lasso", strength=strength)
        w = torch.zeros(10, dtype=torch.float64)
        for _ in range(500):
            w -= rate / 80 * tx.T @ (tx @ w - ty)
            form.proximal_step_(w, rate)
        slope = (tx.T @ (ty - tx @ w) / 80).numpy()
        for label in form.labels:
            inside = np.array([g == label for g in labels])
            part, most = w.numpy()[inside], strength * inside.sum() ** 0.5
            if part.any():
                worst = largest(worst, float(np.abs(slope[inside] - most * part / np.linalg.norm(part)).max()))
            else:
                worst = largest(worst, float(np.linalg.norm(slope[inside])) - most)
        empty = {0.1: ["color", "noise"], limit * 1.01: form.labels}.get(strength)
        worst = largest(
            worst, float(form.zero_groups(w) == form.labels if empty is None else form.zero_groups(w) != empty)
        )
    return Check(worst, 1e-9, "max violation", "optimality")


@evidence(
    "coco-loss",
    claim="It is cross-entropy over scaled cosines to unit centroids: learned ones, and the means of a batch",
    against="torch cross_entropy of cosine_similarity",
)
def coco_softmax() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.coco import COCOLoss

    generator = torch.Generator().manual_seed(4)
    x = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 2, 2, 5, 0, 0, 5, 2, 2])
    centers = torch.stack([x[y == k].mean(0) for k in (0, 2, 5)])
    place = torch.tensor([0, 1, 1, 2, 0, 0, 2, 1, 1])
    cosines = functional.cosine_similarity(x[:, None], centers, dim=-1)
    worst = abs(float(COCOLoss()(x, y) - functional.cross_entropy(16 * cosines, place)))
    each = functional.cross_entropy(5 * cosines, place, reduction="none")
    worst = largest(worst, float((COCOLoss(scale=5.0, reduction="none")(x, y) - each).abs().max()))
    weights = torch.rand(9, generator=generator, dtype=torch.float64)
    weighed = (weights * each).sum() / weights.sum()
    worst = largest(worst, abs(float(COCOLoss(scale=5.0)(x, y, weights) - weighed)))
    learned = COCOLoss(3, 4, scale=7.0).double()
    with torch.no_grad():
        learned.centroids.copy_(torch.randn(4, 3, generator=generator) * 3)
    cosines = functional.cosine_similarity(x[:, None], learned.centroids, dim=-1)
    exact = functional.cross_entropy(7 * cosines, y % 4, reduction="none")
    worst = largest(worst, abs(float(learned(x, y % 4).detach() - exact.mean().detach())))
    worst = largest(worst, abs(float((learned(0.2 * x, y % 4) - learned(x, y % 4)).detach())))
    default = COCOLoss(3, 4).double()
    default.load_state_dict(learned.state_dict())
    sixteen = functional.cross_entropy(16 * cosines, y % 4)
    worst = largest(worst, abs(float((default(x, y % 4) - sixteen).detach())))
    return Check(worst, 1e-12, "max difference", "torch")


@evidence(
    "coco-loss",
    claim="Slopes along embeddings and centroids; the bound of the simplex, a lone class, a vanishing embedding",
    against="finite differences; closed form",
)
def coco_gradients() -> Check:
    import torch

    from fivefold.objectives.coco import COCOLoss

    generator = torch.Generator().manual_seed(5)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64).requires_grad_()
    y = torch.tensor([1, 0, 1, 2, 0, 1])
    failed = float(not torch.autograd.gradcheck(lambda v: COCOLoss()(v, y), (x,), raise_exception=False))
    learned = COCOLoss(3, 3).double()

    def call(v: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(learned, {"centroids": c}, (v, y))

    given = (x, torch.randn(3, 3, generator=generator, dtype=torch.float64).requires_grad_())
    failed += not torch.autograd.gradcheck(call, given, raise_exception=False)
    # Corners of a simplex: cosine 1 to one's own centroid, -1/2 to the two others.
    corners = torch.eye(3).double() - 1 / 3
    bound = np.log(1 + 2 * np.exp(-2 * 1.5))
    failed += float(not abs(float(COCOLoss(scale=2.0)(corners, torch.arange(3))) - bound) <= 1e-12)
    failed += float(COCOLoss()(x[:2], torch.tensor([4, 4])).detach() != 0)
    flat = torch.zeros(2, 3, dtype=torch.float64).requires_grad_()
    value = COCOLoss()(flat, torch.tensor([0, 1]))
    value.backward()
    failed += float(not abs(float(value.detach()) - np.log(2)) <= 1e-12) + float(not torch.isfinite(flat.grad).all())
    return Check(failed, 0, "failed checks", "finite differences")
