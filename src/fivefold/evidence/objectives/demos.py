"""Demonstrations of objectives: duality of transport, noise as ridge, surrogate losses."""

from __future__ import annotations

import tempfile

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "kantorovich-rubinstein-duality",
    claim="Primal and dual value agree, the critic has the slope 1 and falls by it along every move; no other function beats it",
    against="the duality; 1-Lipschitz functions of other kinds; a control of twice the slope",
)
def duality_demo() -> Check:
    from fivefold.demos.objectives.kantorovich_rubinstein import KantorovichRubinsteinDemo

    worst = 0.0
    for seed in range(2):
        with tempfile.TemporaryDirectory() as folder:
            found = KantorovichRubinsteinDemo(n_points=60).run(seed, folder, quick=True).numbers
        primal = found["primal value"]
        worst = largest(worst, abs(primal - found["dual value"]), abs(found["steepest slope of the critic"] - 1))
        worst = largest(worst, 1 - found["slope along moves"], found["best gap of the other functions"] - primal)
        # The control: without the bound on the slope the gap is not the cost.
        worst = largest(worst, float(not found["gap of the critic times 2"] >= 1.9 * primal))
        # Directions alone reach the distance of the means, a lower bound near the cost of shifted clouds.
        worst = largest(worst, float(not found["best gap of the other functions"] >= 0.8 * primal))
        worst = largest(worst, float(not 20 <= found["moves"] <= 39))
    return Check(worst, 1e-12, "max violation", "duality")


@evidence(
    "kantorovich-rubinstein-duality",
    claim="The cost of the demonstration's clouds, and a critic that is 1-Lipschitz whatever its potentials",
    against="scipy linprog; random potentials",
)
def duality_critic() -> Check:
    import scipy.sparse as sp
    from scipy.optimize import linprog
    from scipy.spatial.distance import cdist

    from fivefold.base.random import Streams
    from fivefold.demos.objectives.kantorovich_rubinstein import KantorovichRubinsteinDemo, critic, steepest

    with tempfile.TemporaryDirectory() as folder:
        found = KantorovichRubinsteinDemo(n_points=36, shift=1.0).run(3, folder, quick=True).numbers
    streams = Streams(3)
    x = streams.numpy("x").normal(size=(12, 2))
    y = streams.numpy("y").normal(size=(12, 2)) * [0.5, 1.5] + [1.0, 0.0]
    p, q = streams.numpy("p").dirichlet(np.full(12, 2.0)), streams.numpy("q").dirichlet(np.full(12, 2.0))
    rows = sp.vstack([sp.kron(sp.eye(12), np.ones((1, 12))), sp.kron(np.ones((1, 12)), sp.eye(12))])
    exact = linprog(cdist(x, y).ravel(), A_eq=rows, b_eq=np.concatenate([p, q]), method="highs").fun
    wrong = abs(found["primal value"] - exact) * 1e-5  # HiGHS is feasible within 1e-7
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 2))
    values = critic(points, rng.normal(size=(9, 2)), rng.normal(size=9))
    wrong = largest(wrong, steepest(points, values) - 1)
    # min_j (|x - y_j| - v_j) by hand, and a slope of 2 seen as such.
    anchors, v = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([1.0, 2.0])
    by_hand = critic(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]]), anchors, v)
    wrong = largest(wrong, float(np.abs(by_hand - [-1.0, -2.0, 1.0]).max()))
    steep = abs(steepest(np.array([[0.0], [1.0], [3.0], [3.0]]), np.array([0.0, 2.0, 1.0, 1.0])) - 2)
    return Check(largest(wrong, steep), 1e-12, "max violation", "scipy")


@evidence(
    "noise-as-ridge",
    claim="The closed forms minimize the mean squared error over the noise; all masks of dropout are counted out",
    against="every dropout mask; symmetric noise of two points",
)
def noise_closed_forms() -> Check:
    from itertools import product

    from fivefold.demos.objectives.noise_as_ridge import dropout_solution, input_noise_solution

    rng = np.random.default_rng(1)
    x, y, rate = rng.normal(size=(4, 3)), rng.normal(size=4), 0.3
    gram, moment = np.zeros((3, 3)), np.zeros(3)
    for row, target in zip(x, y, strict=True):  # rows drop independently: the mean over masks is a sum over rows
        for mask in product((0.0, 1.0), repeat=3):
            share = np.prod([1 - rate if kept else rate for kept in mask])
            z = row * mask / (1 - rate)
            gram += share * np.outer(z, z)
            moment += share * z * target
    wrong = np.abs(np.linalg.solve(gram, moment) - dropout_solution(x, y, rate)).max()
    gram, moment = np.zeros((3, 3)), np.zeros(3)
    for row, target in zip(x, y, strict=True):
        for signs in product((-1.0, 1.0), repeat=3):  # ±σ in each coordinate has the variance σ²
            z = row + np.sqrt(0.6) * np.array(signs)
            gram += np.outer(z, z) / 8
            moment += z * target / 8
    wrong = largest(wrong, np.abs(np.linalg.solve(gram, moment) - input_noise_solution(x, y, 0.6)).max())
    return Check(float(wrong), 1e-12, "max difference", "every mask")


@evidence(
    "noise-as-ridge",
    claim="Fits on noisy copies tend to both closed forms as 1/√copies, not to least squares; no noise, no ridge",
    against="closed forms",
)
def noise_demo() -> Check:
    from fivefold.demos.objectives.noise_as_ridge import NoiseAsRidgeDemo, noisy_solution

    with tempfile.TemporaryDirectory() as folder:
        found = NoiseAsRidgeDemo().run(0, folder, quick=True).numbers
    failed = float(found["copies"] != 2048)
    for kind in ("input noise", "dropout"):
        near, far = (found[f"{kind}: distance from {what}"] for what in ("its closed form", "least squares"))
        # 2048 copies of 60 rows with noise as large as the signal: about √(5 / 122,880), times the condition.
        failed += float(not near <= 0.02) + float(not far >= 0.2)
        # Six points, each a root mean square of 40 squared normals (relative deviation 0.11), over a range of ln 1024:
        # a standard error of 0.11 / √(6 · 5.6) = 0.02.
        failed += float(not abs(found[f"{kind}: slope of the logarithms"] + 0.5) <= 0.08)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(9, 2)), rng.normal(size=9)
    failed += float(not np.abs(noisy_solution(x, y, 3, rng) - np.linalg.lstsq(x, y, rcond=None)[0]).max() <= 1e-12)
    return Check(failed, 0, "failed checks", "closed forms")


@evidence(
    "surrogate-loss-comparison",
    claim="Five curves by their formulas; on the grid cross-entropy/ln 2, hinge and square lie above 0/1, sigmoid + square not",
    against="formulas at worked margins; counting",
)
def surrogate_curves() -> Check:
    from fivefold.demos.objectives.surrogate_losses import NAMES, SurrogateLossDemo, surrogates

    m = np.array([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    sigmoid = 1 / (1 + np.exp(-m))
    exact = (
        np.array([1.0, 1, 1, 0, 0, 0]),
        np.array([9.0, 2.25, 1, 0.25, 0, 4]),
        (1 - sigmoid) ** 2,
        np.log2(1 + np.exp(-m)),
        np.array([3.0, 1.5, 1, 0.5, 0, 0]),
    )
    curves = surrogates(m)
    wrong = largest(float(np.abs(curves[name] - values).max()) for name, values in zip(NAMES, exact, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        found = SurrogateLossDemo().run(0, folder, quick=True).numbers
    gaps = [found[f"{name}: least gap above 0/1"] for name in NAMES[1:]]
    # They touch the 0/1 loss at the margin 0, or at 1; (σ(0) - 1)² is 3/4 below it, and there it is lowest.
    wrong = largest(wrong, *(abs(gap) for gap in (gaps[0], gaps[2], gaps[3])), abs(gaps[1] + 0.75))
    wrong = largest(wrong, abs(found["square: at margin 3"] - 4), abs(found["square: at margin -3"] - 16))
    wrong = largest(wrong, abs(found["hinge: slope at margin -3"] + 1), abs(found["0/1 (ideal): at margin -3"] - 1))
    step = 6 / 1200
    wrong = largest(wrong, abs(found["square: slope at margin -3"] - (-8 + step)) * 1e-2)
    wrong = largest(wrong, float(len(curves) != 5))
    return Check(wrong, 1e-12, "max difference", "formulas")
