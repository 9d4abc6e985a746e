"""XOR: what lines can do by linear programming, gradients under autograd, the closed optimum of one logistic unit."""

from __future__ import annotations

import itertools
import math
import tempfile

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest

from ._common import noise


@evidence(
    "xor-hidden-layer",
    claim="No line gets more than three of the four points right; every other half-split of them but its mirror is separable",
    against="linear programs for all 16 labelings (scipy.optimize.linprog)",
)
def lines() -> Check:
    from scipy.optimize import linprog

    from fivefold.demos.nn.xor import CLASSES, POINTS, XorDemo

    design = np.column_stack([POINTS, np.ones(4)])
    best, separable = 0.0, 0
    for labels in itertools.product((-1, 1), repeat=4):
        signs = np.array(labels)
        solved = linprog(np.zeros(3), A_ub=-signs[:, None] * design, b_ub=-np.ones(4), bounds=(None, None)).status == 0
        separable += solved
        if solved:
            best = largest(best, float(np.mean((signs > 0) == (CLASSES > 0))))
    with tempfile.TemporaryDirectory() as folder:
        numbers = XorDemo(starts=2, steps=10).run(out=folder, quick=True).numbers
    wrong = abs(best - 0.75) + abs(separable - 14) + abs(numbers["best of 10000 random lines: accuracy"] - best)
    return Check(wrong, 0.0, "sum of differences", "linear programs")


@evidence(
    "xor-hidden-layer", claim="The cascade and its gradients agree", against="autograd of torch's layers, float64"
)
def gradients() -> Check:
    from fivefold.demos.nn.xor import cascade, cascade_gradients

    x, y = noise(5, 2), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    first, last = noise(3, 4, 3, seed=1).requires_grad_(), noise(3, 5, seed=2).requires_grad_()
    loss, worst = torch.zeros((), dtype=torch.float64), 0.0
    for s in range(3):
        hidden = torch.sigmoid(torch.nn.functional.linear(x, first[s, :, :2], first[s, :, 2]))
        score = torch.nn.functional.linear(hidden, last[s, None, :-1], last[s, -1:])[:, 0]
        found = cascade(x, first, last)
        worst = largest(worst, float((found[1][s] - score).detach().abs().max()))
        worst = largest(worst, float((found[0][s] - hidden).detach().abs().max()))
        loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(score, y)
    wanted = torch.autograd.grad(loss, (first, last))
    with torch.no_grad():
        gaps = [float((a - b).abs().max()) for a, b in zip(cascade_gradients(x, y, first, last), wanted)]
    return Check(largest(worst, *gaps), 1e-14, "max difference", "autograd")


@evidence(
    "xor-hidden-layer",
    claim="One logistic unit ends at weights 0 and log 2 on XOR, and descends as scikit-learn's optimum elsewhere",
    against="the symmetry of a convex loss; LogisticRegression without penalty",
)
def one_unit() -> Check:
    from sklearn.linear_model import LogisticRegression

    from fivefold.demos.nn.xor import CLASSES, POINTS, logistic

    weights, losses = logistic(
        torch.as_tensor(POINTS).float(), torch.as_tensor(CLASSES).float(), noise(3, 3).float(), 2.0, 1500
    )
    worst = float(weights.abs().max()) + float((losses - math.log(2)).abs().max())
    x, y = noise(40, 2, seed=3), (noise(40, seed=4) > 0).long()
    weights, losses = logistic(x.float(), y.float(), noise(1, 3, seed=5).float(), 1.0, 800)
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(x.numpy(), y.numpy())
    p = peer.predict_proba(x.numpy())[np.arange(40), y.numpy()]
    worst = largest(worst, abs(float(losses[0]) + float(np.log(p).mean())))
    worst = largest(worst, float(np.abs(weights[0].numpy() - [*peer.coef_[0], peer.intercept_[0]]).max()))
    return Check(worst, 2e-3, "max difference", "optimum")


@evidence(
    "xor-hidden-layer",
    claim="Distances to (0, 0) and (1, 1), and two hidden units, separate all four points; one hidden unit does not",
    against="the source's construction",
)
def separated() -> Check:
    from fivefold.demos.nn.xor import POINTS, XorDemo, distances

    root = math.sqrt(2)
    wrong = float(np.abs(distances(POINTS) - [[0, root], [1, 1], [1, 1], [root, 0]]).max())
    with tempfile.TemporaryDirectory() as folder:
        two = XorDemo(starts=50).run(seed=4, out=folder, quick=True).numbers
        one = XorDemo(hidden=1, starts=20).run(seed=4, out=folder, quick=True).numbers
    wrong += abs(two["logistic unit on distances: accuracy"] - 1) + abs(two["network 2-2-1: accuracy"] - 1)
    wrong += float(not two["logistic unit on distances: cross-entropy"] <= 0.05) + float(
        not two["network 2-2-1: cross-entropy"] <= 0.05
    )
    wrong += float(not two["logistic unit on coordinates: accuracy"] <= 0.75)
    wrong += abs(two["logistic unit on coordinates: cross-entropy"] - math.log(2))
    # One unit is a line again, and its best cross-entropy leaves the four points unsolved.
    wrong += (
        float(not one["network 2-1-1: accuracy"] <= 0.75)
        + one["network 2-1-1: share of starts that separate all points"]
    )
    wrong += float(not two["network 2-2-1: share of starts that separate all points"] >= 0.1)
    return Check(wrong, 1e-3, "sum of differences", "the construction")
