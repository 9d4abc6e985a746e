"""Triplets, pairs and centers: loops over the definitions, torch's triplet loss, updates by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _batch(seed: int = 0, n: int = 9, d: int = 3) -> Any:
    import torch

    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n, d))), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 3][:n])


def _distances(x: np.ndarray) -> np.ndarray:
    return np.array([[((a - b) ** 2).sum() for b in x] for a in x])


@evidence(
    "triplet-loss", claim="Squared distances by hand: margin 0.2, d(a,p) = 1, d(a,n) = 0.25", against="arithmetic"
)
def triplet_by_hand() -> Check:
    import torch

    from fivefold.objectives.embedding import TripletLoss

    a, p, n = (
        torch.zeros(3, 2),
        torch.tensor([[1.0, 0], [0, 0], [0, 0.5]]),
        torch.tensor([[0, 0.5], [2.0, 0], [0, 0.5]]),
    )
    values = TripletLoss(normalize=False, reduction="none").triplets(a, p, n)
    wrong = np.abs(values.numpy() - [1 - 0.25 + 0.2, 0, 0.2]).max()
    unsquared = TripletLoss(0.3, squared=False, normalize=False, reduction="none").triplets(a, p, n)
    wrong = largest(wrong, np.abs(unsquared.numpy() - [1 - 0.5 + 0.3, 0, 0.3]).max())
    # Of length 1 after scaling: (1, 0), (0, 1), (-1, 0) have squared distances 2 and 4.
    b, q, r = torch.tensor([[3.0, 0]]), torch.tensor([[0, 5.0]]), torch.tensor([[-0.1, 0]])
    wrong = largest(wrong, abs(float(TripletLoss(margin=2.5).triplets(b, q, r)) - 0.5))
    return Check(wrong, 1e-6, "max difference", "arithmetic")


@evidence("triplet-loss", claim="Unsquared, values and slopes equal torch's", against="torch triplet_margin_loss")
def triplet_torch() -> Check:
    from torch.nn import functional

    from fivefold.objectives.embedding import TripletLoss

    parts = [_batch(s)[0] for s in (1, 2, 3)]
    worst = 0.0
    for reduction in ("none", "mean", "sum"):
        ours, theirs = ([p.clone().requires_grad_() for p in parts] for _ in range(2))
        found = TripletLoss(0.7, False, normalize=False, reduction=reduction).triplets(*ours)
        other = functional.triplet_margin_loss(*theirs, margin=0.7, eps=0.0, reduction=reduction)
        found.sum().backward(), other.sum().backward()
        worst = largest(worst, float((found - other).detach().abs().max()))
        worst = largest(worst, *(float((a.grad - b.grad).abs().max()) for a, b in zip(ours, theirs)))
    return Check(worst, 1e-13, "max difference", "torch")


@evidence(
    "triplet-loss",
    claim="Over a batch: for each anchor the mean over its triplets, of every kind of mining",
    against="loops",
)
def triplet_batch() -> Check:
    import torch

    from fivefold.objectives.embedding import TripletLoss

    x, y = _batch(4)
    worst = 0.0
    for normalize in (True, False):
        z = x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True) if normalize else x.numpy()
        d = _distances(z)
        for mining in ("all", "semi-hard", "hard", "easy", "batch-hard"):
            each = np.zeros(9)
            for a in range(9):
                terms = []
                pos = [p for p in range(9) if p != a and y[p] == y[a]]
                neg = [n for n in range(9) if y[n] != y[a]]
                pairs = [(p, n) for p in pos for n in neg]
                if mining == "batch-hard":
                    pairs = [(max(pos, key=lambda p: d[a, p]), min(neg, key=lambda n: d[a, n]))] if pos else []
                for p, n in pairs:
                    kind = "hard" if d[a, n] <= d[a, p] else "semi-hard" if d[a, n] <= d[a, p] + 0.5 else "easy"
                    if mining in ("all", "batch-hard", kind):
                        terms.append(max(0.0, d[a, p] - d[a, n] + 0.5))
                each[a] = np.mean(terms) if terms else 0.0
            found = TripletLoss(0.5, True, mining, normalize, "none")(x, y).numpy()
            worst = largest(worst, np.abs(found - each).max())
    default = TripletLoss()
    worst += float((default.margin, default.squared, default.mining, default.normalize) != (0.2, True, "all", True))
    lonely = x.clone().requires_grad_()
    none = TripletLoss()(lonely, torch.arange(9))
    none.backward()
    return Check(worst + abs(float(none.detach())) + float(lonely.grad.abs().max()), 1e-13, "max difference", "loops")


@evidence(
    "triplet-mining",
    claim="Every kind equals brute force, each triplet is of one kind, hardest ones too",
    against="loops",
)
def mining_brute_force() -> Check:
    from fivefold.objectives.embedding import TripletMiner, mine_triplets

    wrong = 0
    for seed in range(4):
        x, y = _batch(seed)
        for squared in (True, False):
            d = _distances(x.numpy()) if squared else np.sqrt(_distances(x.numpy()))
            expected: dict[str, set[tuple[int, int, int]]] = {
                k: set() for k in ("easy", "semi-hard", "hard", "batch-hard")
            }
            for a in range(9):
                pos = [p for p in range(9) if p != a and y[p] == y[a]]
                neg = [n for n in range(9) if y[n] != y[a]]
                for p in pos:
                    for n in neg:
                        if d[a, p] + 1.0 < d[a, n]:
                            expected["easy"].add((a, p, n))
                        elif d[a, p] < d[a, n]:
                            expected["semi-hard"].add((a, p, n))
                        else:
                            expected["hard"].add((a, p, n))
                if pos:
                    expected["batch-hard"].add((a, pos[np.argmax(d[a, pos])], neg[np.argmin(d[a, neg])]))
            for kind, triplets in expected.items():
                found = TripletMiner(1.0, kind, squared)(x, y)
                wrong += len(set(zip(*(v.tolist() for v in found))) ^ triplets)
            whole = set.union(*(expected[k] for k in ("easy", "semi-hard", "hard")))
            import torch

            found = mine_triplets(torch.tensor(d), y, 1.0)
            wrong += len(set(zip(*(v.tolist() for v in found))) ^ whole)
    return Check(wrong, 0, "triplets too many or missing", "brute force")


@evidence(
    "triplet-mining",
    claim="Ties and borders: d(A,N) = d(A,P) is hard, d(A,P) + m is semi-hard; nothing to mine",
    against="by hand",
)
def mining_borders() -> Check:
    import torch

    from fivefold.objectives.embedding import TripletMiner, mine_triplets

    d = torch.tensor(
        [[0.0, 1.0, 1.0, 1.5, 2.0], [1.0, 0, 9, 9, 9], [1.0, 9, 0, 9, 9], [1.5, 9, 9, 0, 9], [2.0, 9, 9, 9, 0]]
    )
    y = torch.tensor([0, 0, 1, 1, 1])
    wrong = 0
    for kind, negatives in (("hard", [2]), ("semi-hard", [3]), ("easy", [4])):
        a, p, n = mine_triplets(d, y, 0.5, kind)
        wrong += int(n[a == 0].tolist() != negatives) + int(p[a == 0].tolist() != [1])
    alone = [len(TripletMiner(0.2, k)(torch.randn(3, 2), torch.arange(3))[0]) for k in ("all", "batch-hard")]
    one = [len(TripletMiner(0.2, k)(torch.randn(3, 2), torch.zeros(3).long())[0]) for k in ("all", "batch-hard")]
    unit = TripletMiner(0.0, "easy", normalize=True)(torch.tensor([[1.0, 0], [9, 0], [0, 1]]), torch.tensor([0, 0, 1]))
    default = TripletMiner()
    wrong += sum(alone) + sum(one) + int(unit[0].tolist() != [0, 1])
    wrong += int((default.margin, default.kind, default.squared, default.normalize) != (0.2, "semi-hard", True, False))
    return Check(wrong, 0, "violations", "by hand")


@evidence(
    "contrastive-loss", claim="Pairs and batches equal loops over the formula; nothing past the margin", against="loops"
)
def contrastive_loops() -> Check:
    import torch

    from fivefold.objectives.embedding import ContrastiveLoss

    x, y = _batch(5)
    d = np.sqrt(_distances(x.numpy()))
    worst = 0.0
    for margin in (1.0, 2.5):
        table = np.zeros((9, 9))
        for i in range(9):
            for j in range(9):
                if i != j:
                    table[i, j] = 0.5 * d[i, j] ** 2 if y[i] == y[j] else 0.5 * max(0, margin - d[i, j]) ** 2
        each = ContrastiveLoss(margin, "none")(x, y).numpy()
        worst = largest(worst, np.abs(each - table.sum(1) / 8).max())
        worst = largest(worst, abs(float(ContrastiveLoss(margin)(x, y)) - table.sum() / 72))
        i, j = np.triu_indices(9, 1)
        pairs = ContrastiveLoss(margin, "none").pairs(x[i], x[j], y[i] == y[j]).numpy()
        worst = largest(worst, np.abs(pairs - table[i, j]).max())
    worst += float(ContrastiveLoss().margin != 1.0)
    far = torch.tensor([[0.0, 0], [3.0, 4.0], [0.0, 0]], dtype=torch.float64, requires_grad=True)
    value = ContrastiveLoss(5.0, "sum")(far, torch.tensor([0, 1, 2]))
    value.backward()
    # Rows 0 and 2 coincide: ½ m² from either side, with no direction to part in; the others are 5 apart, at the margin.
    worst = largest(worst, abs(float(value.detach()) - 2 * 12.5 / 2), float(far.grad.abs().max()))
    return Check(worst, 1e-13, "max difference", "loops")


@evidence(
    "contrastive-loss", claim="Slopes: f_i - f_j for equal labels, -(m - d) / d times it for others", against="calculus"
)
def contrastive_slopes() -> Check:
    import torch

    from fivefold.objectives.embedding import ContrastiveLoss

    a = torch.tensor([[0.3, 0.4], [0.3, 0.4]], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(2, 2, dtype=torch.float64)
    ContrastiveLoss(2.0, "sum").pairs(a, b, torch.tensor([True, False])).backward()
    exact = np.array([[0.3, 0.4], [-(2 - 0.5) / 0.5 * 0.3, -(2 - 0.5) / 0.5 * 0.4]])
    wrong = np.abs(a.grad.numpy() - exact).max()
    half = ContrastiveLoss(reduction="none").pairs(
        1e4 * torch.ones(1, 1).bfloat16(), b[:1, :1].bfloat16(), torch.tensor([1])
    )
    wrong += float(not abs(float(half) - 5e7) <= 1e6)
    return Check(wrong, 1e-14, "max difference", "calculus")


@evidence(
    "center-loss",
    claim="Values use the centers before they move; at rate 1 they become the class means",
    against="NumPy",
)
def center_updates() -> Check:
    from fivefold.objectives.embedding import CenterLoss

    worst = 0.0
    for alpha, denominator in ((1.0, "count"), (0.5, "count"), (0.5, "paper")):
        loss = CenterLoss(5, 3, alpha, denominator, "none").double()
        centers = np.zeros((5, 3))
        for seed in range(3):
            x, y = _batch(seed)
            loss.eval()
            loss(x, y)
            loss.train()
            found = loss(x.requires_grad_(), y)
            found.sum().backward()
            difference = x.detach().numpy() - centers[y.numpy()]
            worst = largest(worst, np.abs(found.detach().numpy() - 0.5 * (difference**2).sum(1)).max())
            worst = largest(worst, np.abs(x.grad.numpy() - difference).max())
            for c in range(5):
                rows = x.detach().numpy()[y.numpy() == c]
                if len(rows):
                    n = len(rows) + (denominator == "paper")
                    centers[c] = centers[c] - alpha * (centers[c] - rows).sum(0) / n
                    if alpha == 1.0:
                        worst = largest(worst, np.abs(centers[c] - rows.mean(0)).max())
            worst = largest(worst, np.abs(loss.centers.numpy() - centers).max())
    again = CenterLoss(5, 3).double()
    again.load_state_dict(loss.state_dict())
    worst = largest(worst, np.abs(again.centers.numpy() - centers).max())
    default = CenterLoss()
    worst += float((default.alpha, default.denominator, default.centers) != (0.5, "count", None))
    return Check(worst, 1e-13, "max difference", "the update written as loops")


@evidence(
    "center-loss",
    claim="Without stored centers: half the scatter within classes, and it falls in training",
    against="NumPy",
)
def center_batch() -> Check:
    import torch

    from fivefold.objectives.embedding import CenterLoss

    x, y = _batch(6)
    v = x.numpy()
    each = np.array([0.5 * ((v[i] - v[y.numpy() == int(y[i])].mean(0)) ** 2).sum() for i in range(9)])
    worst = np.abs(CenterLoss(reduction="none")(x, y).numpy() - each).max()
    worst = largest(worst, abs(float(CenterLoss()(x, y)) - each.mean()))
    # Ten steps of gradient descent at rate 0.5 on the sum halve the distance to the mean each.
    for _ in range(10):
        x = x.detach().requires_grad_()
        CenterLoss(reduction="sum")(x, y).backward()
        with torch.no_grad():
            x = x - 0.5 * x.grad
    after = CenterLoss(reduction="none")(x.detach(), y).numpy()
    return Check(largest(worst, np.abs(after - each * 0.25**10).max()), 1e-13, "max difference", "NumPy")
