"""Evidence for the demonstrations about optimization."""

from __future__ import annotations

import functools
import math
import tempfile
from typing import Any

import numpy as np
import torch

from fivefold.base.random import Streams
from fivefold.demos.optimizers.cookbook import (
    RATES,
    RULES,
    DigitsNetwork,
    OptimizerCookbook,
    RingGAN,
    Setting,
    SparseLogistic,
    _fit,
    _rows,
    energy_distance,
    verdict,
)
from fivefold.demos.optimizers.critical_points import CriticalPointsDemo, classify, positive_share
from fivefold.demos.optimizers.matrix_calculus import MatrixCalculusDemo, identities, jacobian
from fivefold.demos.optimizers.minibatch import MiniBatchDemo, squared_error_gradients, standard_errors
from fivefold.demos.optimizers.starts import StartsDemo, convex, descend, distinct, himmelblau
from fivefold.evidence import Check, evidence, largest


@functools.cache
def _numbers(make: Any, quick: bool = True) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return dict(make().run(seed=0, out=folder, quick=quick).numbers)


@evidence(
    "minibatch-sgd",
    claim="A batch's standard error is sqrt(tr C / m): 100 rows err 10 times as much as 10000",
    against="closed form",
)
def minibatch_errors() -> Check:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(500, 3)), np.array([0.5, -1.0, 2.0])
    y = rng.normal(size=500)
    gradients = squared_error_gradients(x, y, w)
    tensor = torch.tensor(w, requires_grad=True)
    values = 0.5 * (torch.as_tensor(x) @ tensor - torch.as_tensor(y)) ** 2
    (whole,) = torch.autograd.grad(values.mean(), tensor)
    exact = float(np.abs(gradients.mean(0) - whole.numpy()).max())
    repeats = 800
    found = standard_errors(gradients, (1, 7, 100, 10_000), repeats, 0)
    apart = ((gradients - gradients.mean(0)) ** 2).sum(1)
    spread, worst = math.sqrt(float(np.trace(np.cov(gradients.T, ddof=0)))), 0.0
    for m, value in found.items():
        # The mean of `repeats` squared distances; each has the relative variance 2 of a sum of normals at most, and single
        # rows' excess over m.
        error = math.sqrt((float(apart.var() / apart.mean() ** 2) / m + 2) / repeats) / 2
        worst = largest(worst, abs(value / (spread / math.sqrt(m)) - 1) / error)
    return Check(worst + 100 * (not exact <= 1e-12), 4, "standard errors", "closed form")


@evidence(
    "minibatch-sgd",
    claim="All rows give gradient descent's path; smaller batches step more, rougher, and get further in as many epochs",
    against="the recurrence in NumPy; the counts",
)
def minibatch_paths() -> Check:
    demo = MiniBatchDemo(n=200, batch_sizes=(200, 20, 1), epochs=4)
    x, y = demo._data(0, 200)
    path = demo._path(0, x, y, np.array([-2.0, 2.5]), 200, 4)
    w, gap = np.array([-2.0, 2.5]), 0.0
    for found in path:
        gap = largest(gap, float(np.abs(found - w).max()))
        w = w - 0.1 * x.T @ (x @ w - y) / 200
    numbers = _numbers(MiniBatchDemo)
    updates = [numbers[f"batch {size}: updates of an epoch"] for size in (1000, 32, 1)]
    rough = [numbers[f"batch {size}: roughness"] for size in (1000, 32, 1)]
    above = [numbers[f"batch {size}: last loss above the least"] for size in (1000, 32, 1)]
    wrong = (updates != [1.0, 13.0, 400.0]) + (rough != sorted(rough)) + (not above[0] >= 10 * max(above[1:]))
    wrong += not 1 - 1e-9 <= rough[0] < 1.2  # a straight line has 1
    return Check(gap + wrong, 1e-12, "max |difference|", "NumPy")


@evidence(
    "critical-points",
    claim="Of random symmetric matrices of 1, 2, 3 rows, 1/2, (2 - sqrt 2) / 4, (pi - 2 sqrt 2) / (4 pi) are positive definite",
    against="closed form of the Gaussian ensemble",
)
def critical_shares() -> Check:
    draws = 20_000
    worst = 0.0
    for d, exact in ((1, 0.5), (2, (2 - math.sqrt(2)) / 4), (3, (math.pi - 2 * math.sqrt(2)) / (4 * math.pi))):
        error = math.sqrt(exact * (1 - exact) / draws)
        worst = largest(worst, abs(positive_share(d, draws, 1) - exact) / error)
    return Check(worst, 4, "standard errors", "closed form")


@evidence(
    "critical-points",
    claim="Known points are named as they should be, and the share of minima falls faster than 2^-d",
    against="calculus; 2^-d",
)
def critical_kinds() -> Check:
    cases = [
        ([[2.0, 0], [0, 1]], "minimum"),
        ([[-2.0, 0], [0, -1]], "maximum"),
        ([[0.0, 1], [1, 0]], "saddle"),
        ([[1.0, 0], [0, 0]], "undecided"),
        ([[-1.0, 0], [0, 0]], "undecided"),
        ([[0.0, 0], [0, 0]], "undecided"),
        ([[1.0, 2], [2, 1]], "saddle"),  # eigenvalues 3 and -1 although its diagonal is positive
        (np.diag([1.0, 0.0, -1.0]).tolist(), "saddle"),
        ([[1e9, 0], [0, 1e-3]], "undecided"),
        ([[1e-7, 0], [0, 1e-7]], "undecided"),
        ([[1e-5, 0], [0, 1e-5]], "minimum"),
    ]
    wrong = sum(classify(np.array(matrix)) != kind for matrix, kind in cases)
    numbers = _numbers(CriticalPointsDemo)
    wrong += numbers["functions"] != 6 or numbers["functions classified as they should be"] != 6
    wrong += not numbers["largest gradient at the points"] <= 1e-8
    wrong += sum(not numbers[f"share of minima in {d} dimensions"] < 0.5**d for d in range(2, 7))
    wrong += any(numbers[f"share with independent signs in {d} dimensions"] != 0.5**d for d in range(1, 7))
    return Check(wrong, 0, "violations", "calculus")


@evidence(
    "convex-vs-nonconvex-starts",
    claim="All starts of the convex objective end in the minimum Newton's method finds; Himmelblau's four minima are all found",
    against="scipy.optimize; the known minima",
)
def starts_minima() -> Check:
    from scipy.optimize import minimize

    numbers = _numbers(StartsDemo)
    rng = np.random.default_rng(3).uniform(-4.5, 4.5, (30, 2))
    best = minimize(lambda p: float(convex(torch.tensor(p[None]))[0]), [0.0, 0.0], tol=1e-12).x
    gap = float(np.abs(descend("convex", rng, 300, 0.05)[-1] - best).max())  # SciPy's own, from differences: about 1e-8
    ends = distinct(descend("non-convex", rng, 300, 0.05)[-1])
    known = np.array([[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])
    nearest = np.linalg.norm(known[:, None] - ends[None], axis=-1).min(axis=1)
    wrong = (len(ends) != 4) + (numbers["convex: distinct minima reached"] != 1)
    wrong += numbers["non-convex: distinct minima reached"] != 4
    wrong += not numbers["convex: largest distance between ends"] <= 1e-6
    wrong += not largest(numbers[f"{name}: largest gradient left"] for name in ("convex", "non-convex")) <= 1e-4
    return Check(
        largest(gap, float(nearest.max())) + wrong, 2e-6, "distance to the known minima", "scipy; Himmelblau 1972"
    )


@evidence(
    "convex-vs-nonconvex-starts",
    claim="The chord inequality holds for the convex objective alone; values at known points",
    against="the definition",
)
def starts_convexity() -> Check:
    numbers = _numbers(StartsDemo)
    point = torch.tensor([[0.0, 0.0], [3.0, 2.0]], dtype=torch.float64)
    gap = float((himmelblau(point) - torch.tensor([170 / 20, 0.0], dtype=torch.float64)).abs().max())
    exact = torch.tensor([1.5 + 0.5 * math.log(2), 4 + 4.5 + 0.5 * math.log1p(math.exp(5))], dtype=torch.float64)
    gap += float((convex(point) - exact).abs().max())
    wrong = numbers["convex: share of chords below the function"] != 0
    wrong += not numbers["non-convex: share of chords below the function"] >= 0.1
    three = distinct(np.array([[0.0, 0.0], [0.0, 0.005], [0.02, 0.0], [1.0, 0.0]]))
    return Check(gap + wrong + (len(three) != 3), 1e-12, "violations", "the definition")


@evidence(
    "matrix-calculus",
    claim="Each identity equals the transposed Jacobian, and central differences",
    against="torch.autograd.functional.jacobian; differences",
)
def matrix_identities() -> Check:
    rng = np.random.default_rng(5)
    a, b, c, x = (torch.as_tensor(rng.normal(size=shape)) for shape in ((4, 3), (3, 3), (3,), (3,)))
    gap = rough = 0.0
    h = 1e-6
    for identity in identities(a, b, c):
        found = identity.derivative(x)
        gap = largest(gap, float((found - jacobian(identity, x).T).abs().max()))
        rows = [
            (identity.function(x + h * e) - identity.function(x - h * e)) / (2 * h) for e in torch.eye(3, dtype=x.dtype)
        ]
        rough = largest(rough, float((found - torch.stack(rows)).abs().max()))
    return Check(gap + (not rough <= 1e-7), 1e-13, "max |difference|", "autograd")


@evidence(
    "matrix-calculus",
    claim="The demonstration counts 8 equal identities; 2, with symmetric derivatives, need no transpose",
    against="by hand",
)
def matrix_counts() -> Check:
    numbers = _numbers(MatrixCalculusDemo)
    wrong = numbers["identities equal to the transposed Jacobian"] != 8
    wrong += numbers["identities equal to the Jacobian itself"] != 2  # the identity and diag f'
    return Check(wrong, 0, "counts that differ", "by hand")


@evidence(
    "optimizer-cookbook",
    claim="A rule is confirmed or contested where Student's paired test says so at 0.05, both ways",
    against="scipy.stats.ttest_rel",
)
def cookbook_verdict() -> Check:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(2)
    wrong, gap, seen = 0, 0.0, set()
    for shift in np.linspace(-2, 2, 41):
        better, worse = rng.normal(size=6), rng.normal(size=6) + shift
        test = ttest_rel(worse, better)
        expected = "undecided" if test.pvalue >= 0.05 else "confirmed" if test.statistic > 0 else "contested"
        found, score = verdict(better, worse)
        seen.add(found)
        wrong += found != expected
        gap = largest(gap, abs(score - test.statistic))
    wrong += verdict(np.ones(3), np.ones(3)) != ("undecided", 0.0)
    wrong += (
        verdict(np.ones(3), np.full(3, 2.0))[0] != "confirmed" or verdict(np.full(3, 2.0), np.ones(3))[0] != "contested"
    )
    return Check(wrong + gap + (len(seen) != 3), 1e-12, "verdicts that differ", "scipy.stats")


@evidence(
    "optimizer-cookbook",
    claim="The verdicts are those of the losses, and a rule that sets a method against itself is undecided",
    against="the numbers; a control",
)
def cookbook_consistent() -> Check:
    numbers = _numbers(OptimizerCookbook)
    wrong = 0
    for rule in RULES:
        sign = numbers[f"{rule.advice}: verdict"]
        difference = numbers[f"{rule.advice}: loss of the other"] - numbers[f"{rule.advice}: loss"]
        wrong += not sign * difference >= 0 or not numbers[f"{rule.advice}: standard errors in favor"] * difference >= 0
        wrong += rule.problem not in ("sparse", "cnn", "gan")
    problem, losses = SparseLogistic(0), []
    for _ in range(2):
        losses.append([problem.train(Setting("adam"), 0.02, 10, 32, Streams(0).child(str(s))) for s in range(3)])
    wrong += verdict(*np.array(losses)) != ("undecided", 0.0)
    return Check(wrong, 0, "violations", "a control")


@evidence(
    "optimizer-cookbook",
    claim="Training helps on each problem; at a rate of 0 the loss is log 2 and log 10; the energy distance is exact",
    against="closed form",
)
def cookbook_problems() -> Check:
    streams, setting = Streams(1), Setting("adam")
    sparse, digits, gan = SparseLogistic(0), DigitsNetwork(), RingGAN()
    still = sparse.train(setting, 0.0, 3, 8, streams)
    wrong = not abs(still - math.log(2)) <= 1e-6
    wrong += not sparse.train(setting, 0.1, 60, 32, streams) <= math.log(2) - 0.05
    wrong += (
        not digits.train(setting, 0.005, 60, 32, streams) <= 1.5 or not digits.train(setting, 0.0, 1, 8, streams) >= 2.2
    )
    wrong += not gan.train(Setting("adam-half"), 0.001, 200, 64, streams) <= 0.75 * gan.train(
        setting, 0.0, 1, 8, streams
    )
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [5.0]])
    wrong += not abs(energy_distance(a, b) - (2 * 3.5 - 0.5 - 1.0)) <= 1e-6 or not abs(energy_distance(a, a)) <= 1e-6
    labels = np.array([2, 0, 1, 0])
    rows = _rows(np.random.default_rng(0), labels, Setting("sgd", shuffle=False), 3, 4)
    wrong += rows.tolist() != [[1, 3, 2, 0]] * 3
    shuffled = _rows(np.random.default_rng(0), labels, Setting("sgd"), 2, 4)
    wrong += sorted(shuffled[0]) != [0, 1, 2, 3] or sorted(shuffled[1]) != [0, 1, 2, 3]
    return Check(wrong, 0, "violations", "closed form")


@evidence(
    "optimizer-cookbook",
    claim="Each setting takes the best rate of its grid; decay sums half a cosine; a share of steps is that many steps",
    against="the grid tried one by one; closed form",
)
def cookbook_settings() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = OptimizerCookbook(seeds=2, steps=4).run(seed=0, out=folder).numbers
    sparse, gap = SparseLogistic(0), 0.0
    for advice, name, key in (
        ("AdaGrad", "adagrad", "loss"),
        ("Adam", "adam", "loss"),
        ("Adam", "sgd", "loss of the other"),
    ):
        tried = [
            np.mean([sparse.train(Setting(name), rate, 4, 32, Streams(0).child(str(s))) for s in range(2)])
            for rate in RATES[name]
        ]
        gap = largest(gap, abs(min(tried) - numbers[f"sparse data: {advice} before SGD: {key}"]))
    half = sparse.train(Setting("adam", share=0.5), 0.02, 12, 32, Streams(1))
    gap = largest(gap, abs(half - sparse.train(Setting("adam"), 0.02, 6, 32, Streams(1))))
    line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(line.weight)
    rows = torch.ones(4, 1, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    end = _fit(line, lambda z, y: z.mean(), rows, rows, Setting("sgd", decay=True), 0.3, 8, 2, Streams(0))
    exact = -0.3 * sum(0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8))
    return Check(largest(gap, abs(end - exact)), 1e-9, "max |difference|", "one by one")
