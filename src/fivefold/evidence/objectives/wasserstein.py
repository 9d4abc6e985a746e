"""Wasserstein distances: the network simplex certified by its duals and beside peers, closed forms, slices, Sinkhorn."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _clouds(n: int, m: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p, q = rng.random(n), rng.random(m)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5, p / p.sum(), q / q.sum()


def _violation(found: Any, costs: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Return by how much a plan and its potentials miss the conditions of optimality."""
    slack = costs - found.dual_x[:, None] - found.dual_y
    return largest(
        float(np.abs(found.plan.sum(1) - p).max()),
        float(np.abs(found.plan.sum(0) - q).max()),
        -float(found.plan.min()),
        -float(slack.min()),
        float((found.plan * slack).sum()),
        abs(float((found.plan * costs).sum()) - found.cost),
        abs(float(p @ found.dual_x + q @ found.dual_y) - found.cost),
        float(not (found.plan > 0).sum() <= sum(costs.shape) - 1),
    )


@evidence(
    "wasserstein-distance",
    claim="On a line, with weights and ties, it equals scipy",
    against="scipy wasserstein_distance",
)
def wasserstein_scipy() -> Check:
    from scipy import stats

    from fivefold.objectives.wasserstein import optimal_transport, wasserstein_distance

    rng = np.random.default_rng(0)
    worst = 0.0
    for n, m in ((1, 1), (5, 8), (30, 17)):
        x, y = rng.normal(size=n).round(1), rng.normal(1, 2, size=m).round(1)
        v, w = rng.random(n), rng.random(m)
        worst = largest(worst, abs(wasserstein_distance(x, y) - stats.wasserstein_distance(x, y)))
        exact = stats.wasserstein_distance(x, y, v, w)
        worst = largest(worst, abs(wasserstein_distance(x, y, v, w) - exact))
        apart = np.abs(x[:, None] - y)
        worst = largest(worst, abs(optimal_transport(apart, v, w).cost - exact))
        squared = optimal_transport(apart**2, v, w).cost ** 0.5
        worst = largest(worst, abs(wasserstein_distance(x, y, v, w, order=2) - squared))
    return Check(worst, 1e-12, "max difference", "scipy")


@evidence(
    "wasserstein-distance",
    claim="In the plane, equal numbers of equal masses are an assignment; shifts and halved masses",
    against="scipy linear_sum_assignment",
)
def wasserstein_assignment() -> Check:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    from fivefold.objectives.wasserstein import wasserstein_distance

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(80, 2)), rng.normal(size=(80, 2)) + 1
    d = cdist(x, y)
    exact = d[linear_sum_assignment(d)].mean()
    wrong = abs(wasserstein_distance(x, y) - exact)
    cubes = (d**3)[linear_sum_assignment(d**3)].mean()
    wrong = largest(wrong, abs(wasserstein_distance(x, y, order=3) ** 3 - cubes) / cubes)
    # Splitting points into halves of the mass changes nothing; a shift of all points moves it by its length.
    doubled = wasserstein_distance(np.repeat(x, 2, axis=0), y, np.tile([1.0, 3.0], 80))
    wrong = largest(wrong, abs(doubled - exact), abs(wasserstein_distance(x, x + [3.0, 4.0]) - 5))
    wrong = largest(wrong, abs(wasserstein_distance([[0.0, 0]], [[3.0, 4]]) - 5), abs(wasserstein_distance(x, x[::-1])))
    wrong = largest(wrong, abs(wasserstein_distance([[0.0, 0]], [[3.0, 4]], order=2) - 5))
    return Check(wrong, 1e-12, "max difference", "scipy")


@evidence(
    "wasserstein-distance",
    claim="Two 10-state distributions: the plan has the marginals and at most 19 moves; dual value = primal value",
    against="the conditions of optimality",
)
def wasserstein_plan() -> Check:
    from fivefold.objectives.wasserstein import optimal_transport, wasserstein_distance

    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(10)), rng.dirichlet(np.ones(10))
    states = np.arange(10.0)
    d = np.abs(states[:, None] - states)
    found = optimal_transport(d, p, q)
    wrong = largest(_violation(found, d, p, q), abs(found.cost - np.abs(np.cumsum(p - q)).sum()))
    wrong = largest(wrong, abs(wasserstein_distance(states, states, p, q) - found.cost))
    return Check(wrong, 1e-13, "max violation", "optimality")


@evidence(
    "wasserstein-distance",
    claim="Small problems with tied costs, tied and zero masses, one point, negative costs: optimal, and the cost of HiGHS",
    against="the conditions of optimality; scipy linprog",
)
def wasserstein_degenerate() -> Check:
    import scipy.sparse as sp
    from scipy.optimize import linprog

    from fivefold.objectives.wasserstein import optimal_transport

    rng = np.random.default_rng(3)
    worst = 0.0
    for case in range(120):
        n, m = rng.integers(1, 9, 2)
        costs = rng.integers(-3, 4, (n, m)).astype(float) if case % 2 else rng.normal(size=(n, m))
        p, q = rng.integers(0, 3, n).astype(float), rng.integers(0, 3, m).astype(float)
        p[rng.integers(n)] += 1
        q[rng.integers(m)] += 1
        if case % 3 == 0:
            p, q = np.ones(n), np.ones(m)
        found = optimal_transport(costs, p, q)
        p, q = p / p.sum(), q / q.sum()
        worst = largest(worst, _violation(found, costs, p, q))
        if case < 12:
            rows = sp.vstack([sp.kron(sp.eye(n), np.ones((1, m))), sp.kron(np.ones((1, n)), sp.eye(m))])
            exact = linprog(costs.ravel(), A_eq=rows, b_eq=np.concatenate([p, q]), method="highs").fun
            worst = largest(worst, abs(found.cost - exact) * 1e-5)  # HiGHS is feasible within 1e-7
    return Check(worst, 1e-12, "max violation", "optimality, HiGHS")


@evidence(
    "wasserstein-distance",
    claim="Assignments of 250 to 250 with costs 0 to 3, and 7 to 900: degenerate throughout, exact, and few pivots",
    against="scipy linear_sum_assignment; the conditions of optimality",
)
def wasserstein_ties() -> Check:
    from scipy.optimize import linear_sum_assignment

    from fivefold.objectives.wasserstein import optimal_transport

    rng = np.random.default_rng(11)
    worst = 0.0
    for n, m in ((250, 250), (7, 900), (900, 7)):
        costs = rng.integers(0, 4, (n, m)).astype(float) + 10 * (rng.random((n, m)) < 0.9)
        found = optimal_transport(costs)
        worst = largest(worst, _violation(found, costs, np.full(n, 1 / n), np.full(m, 1 / m)))
        if n == m:
            worst = largest(worst, abs(found.cost - costs[linear_sum_assignment(costs)].mean()))
        worst = largest(worst, float(not found.n_pivots <= 20 * (n + m)))
    return Check(worst, 1e-11, "max violation", "scipy")


@evidence(
    "wasserstein-distance",
    claim="The tree stays strongly feasible: an arc that moves nothing points to the root, so ties cannot make it cycle",
    against="Cunningham's condition, with whole masses and no rounding",
)
def wasserstein_strongly_feasible() -> Check:
    from fivefold.objectives._transport_kernels import network_simplex

    rng = np.random.default_rng(12)
    down, empty = 0, 0
    for _ in range(60):
        n = int(rng.integers(4, 30))
        masses = rng.integers(1, 3, n).astype(float)
        costs = rng.random((n, n)) if rng.random() < 0.5 else rng.integers(0, 6, (n, n)).astype(float)
        for limit in (0, 3, 10**6):  # the greedy tree, on the way, at the end
            moved = network_simplex(costs, masses, rng.permutation(masses), n, 1e-13, limit)[2]
            # Arcs are given by their lower node: those of sinks, from n on, point down.
            down += int((moved[n:] == 0).sum()) + int((moved < 0).sum())
            empty += int((moved[:n] == 0).sum())
    return Check(down + float(not empty >= 100), 0, "empty arcs that point down", "condition")


@evidence(
    "wasserstein-distance",
    claim="Clouds of 300 and 220 points, random and equal masses: the exact cost, no gap, and few pivots",
    against="POT emd2; the conditions of optimality",
    peer="ot",
)
def wasserstein_pot() -> Check:
    import ot
    from scipy.spatial.distance import cdist

    from fivefold.objectives.wasserstein import optimal_transport, wasserstein_distance

    x, y, p, q = _clouds(300, 220, 3, 4)
    costs = cdist(x, y)
    worst = 0.0
    for v, w in ((p, q), (np.full(300, 1 / 300), np.full(220, 1 / 220))):
        found = optimal_transport(costs, v, w)
        exact = ot.emd2(v, w, costs, numItermax=10**7)
        worst = largest(worst, _violation(found, costs, v, w), abs(found.cost - exact))
        worst = largest(worst, abs(wasserstein_distance(x, y, v, w) - exact))
        # A simplex with first improvement, or with a bad start, takes several times as many.
        worst = largest(worst, float(not found.n_pivots <= 20 * (300 + 220)))
    return Check(worst, 1e-12, "max difference", "POT")


@evidence(
    "wasserstein-distance",
    claim="An affine map of a cloud by a positive definite matrix is optimal: W2² = |shift|² + Σ (1 - λ)² var",
    against="Gaussian closed form on the cloud itself",
)
def wasserstein_gaussian() -> Check:
    from fivefold.objectives.wasserstein import wasserstein_distance

    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 2))
    mean = x.mean(axis=0)
    # The Gaussian form is exact between any cloud and its image under the gradient of a convex function.
    y = mean + (x - mean) * [2.0, 0.5] + [1.0, -2.0]
    exact = 5.0 + (np.array([1.0, 0.25]) * x.var(axis=0)).sum()
    wrong = abs(wasserstein_distance(x, y[::-1], order=2) ** 2 - exact) / exact
    line = abs(wasserstein_distance(x[:, 0], y[::-1, 0], order=2) ** 2 - (1 + x[:, 0].var()))
    return Check(largest(wrong, line), 1e-12, "max difference", "closed form")


@evidence(
    "wasserstein-distance",
    claim="The exact loss: POT's cost; slopes along points and masses are finite differences, orders 1 and 2",
    against="finite differences; our plan",
)
def wasserstein_loss() -> Check:
    import torch

    from fivefold.objectives.transport import WassersteinLoss
    from fivefold.objectives.wasserstein import wasserstein_distance

    x, y, p, q = (torch.tensor(v) for v in _clouds(6, 5, 2, 6))
    failed = 0.0
    for order in (1, 2):
        loss = WassersteinLoss(order)
        exact = wasserstein_distance(x, y, p, q, order=order) ** order
        failed += float(not abs(float(loss(x, y, 3 * p, 5 * q)) - exact) <= 1e-12)
        given = tuple(v.clone().requires_grad_() for v in (x, y, p, q))
        failed += not torch.autograd.gradcheck(loss, given, raise_exception=False)
    failed += float(not abs(float(WassersteinLoss()(x, y)) - wasserstein_distance(x, y)) <= 1e-12)
    # Points that meet have the slope 0; in float32 the value agrees to its precision.
    both = x.clone().requires_grad_()
    WassersteinLoss()(both, x).backward()
    failed += float(not both.grad.abs().max() <= 0)
    failed += float(not abs(float(WassersteinLoss()(x.float(), y.float())) - wasserstein_distance(x, y)) <= 1e-6)
    return Check(failed, 0, "failed checks", "finite differences")


@evidence(
    "wasserstein-distance",
    claim="The sliced loss is the mean of the distances on its lines, and its slopes are finite differences",
    against="wasserstein_distance of each projection; finite differences; two points",
)
def wasserstein_sliced() -> Check:
    from itertools import pairwise

    import torch

    from fivefold.objectives.transport import SlicedWassersteinLoss
    from fivefold.objectives.wasserstein import wasserstein_distance

    x, y, p, q = (torch.tensor(v) for v in _clouds(7, 5, 3, 7))
    worst = 0.0
    for order in (1, 2):
        loss = SlicedWassersteinLoss(15, order)
        lines = loss.directions(3)
        exact = [wasserstein_distance(x @ line, y @ line, p, q, order=order) ** order for line in lines]
        worst = largest(worst, abs(float(loss(x, y, p, q)) - float(np.mean(exact))))
        given = tuple(v.clone().requires_grad_() for v in (x, y, p, q))
        worst = largest(worst, float(not torch.autograd.gradcheck(loss, given, raise_exception=False)))
        pairs = [float(loss(x[k : k + 5], y, p[:5], q)) for k in range(2)]
        stacked = loss(torch.stack([x[:5], x[1:6]]), torch.stack([y, y]), p[:5], q)
        worst = largest(worst, abs(float(stacked) - float(np.mean(pairs))))
    default = SlicedWassersteinLoss()
    worst = largest(
        worst, float(default.directions(3).shape != (100, 3)), abs(float(default(x, x[[3, 1, 2, 0, 4, 6, 5]])))
    )
    # Of two points at distance l the mean of order 2 over all lines is l²/d, var 2(d - 1)/(d²(d + 2)) l⁴ a line.
    many = SlicedWassersteinLoss(20_000)
    ends = torch.tensor([[0.0, 0, 0]]).double(), torch.tensor([[1.0, 2, 2]]).double()
    deviation = abs(float(many(*ends)) - 9 / 3) / (9 * (2 * 2 / (9 * 5) / 20_000) ** 0.5)
    worst = largest(worst, float(not deviation <= 4))
    worst = largest(worst, float((many.directions(3).norm(dim=1) - 1).abs().max()))
    fresh = SlicedWassersteinLoss(4, resample=True)
    values = [float(fresh(x, y)) for _ in range(3)]
    again = SlicedWassersteinLoss(4, resample=True)
    again.calls.fill_(2)
    worst = largest(worst, float(any(a == b for a, b in pairwise(values))), abs(float(again(x, y)) - values[2]))
    fixed = fresh.eval()
    worst = largest(worst, abs(float(fixed(x, y)) - values[2]))
    return Check(worst, 1e-12, "max difference", "one line at a time")


@evidence(
    "wasserstein-distance",
    claim="The sliced loss with weights and given lines",
    against="POT sliced_wasserstein_distance",
    peer="ot",
)
def wasserstein_sliced_pot() -> Check:
    import ot
    import torch

    from fivefold.objectives.transport import SlicedWassersteinLoss

    x, y, p, q = _clouds(40, 30, 4, 8)
    worst = 0.0
    for order in (1, 2):
        loss = SlicedWassersteinLoss(25, order)
        exact = ot.sliced_wasserstein_distance(x, y, p, q, projections=loss.directions(4).numpy().T, p=order) ** order
        worst = largest(worst, abs(float(loss(*(torch.tensor(v) for v in (x, y, p, q)))) - exact))
    return Check(worst, 1e-12, "max difference", "POT")


@evidence(
    "wasserstein-distance",
    claim="Sinkhorn: the plan has the marginals, its regularized cost is the value, and slopes are finite differences",
    against="the primal cost of the plan; finite differences; limits",
)
def wasserstein_sinkhorn() -> Check:
    import torch

    from fivefold.objectives.transport import SinkhornDivergence, WassersteinLoss

    x, y, p, q = (torch.tensor(v) for v in _clouds(6, 5, 2, 9))
    worst = 0.0
    for order in (1, 2):
        loss = SinkhornDivergence(2.0, order, debias=False, tol=1e-12, max_iter=5000)
        costs = torch.cdist(x, y) ** order
        f, g = loss.potentials(costs, p, q)
        outer = p[:, None] * q
        plan = outer * torch.exp((f[:, None] + g - costs) / 2.0)
        worst = largest(worst, float((plan.sum(1) - p).abs().max()), float((plan.sum(0) - q).abs().max()))
        primal = float((plan * costs).sum() + 2.0 * (plan * (plan / outer).log()).sum())
        worst = largest(worst, abs(float(loss(x, y, p, q)) - primal))
        own = SinkhornDivergence(2.0, order, tol=1e-12, max_iter=5000)
        parts = float(loss(x, y, p, q) - 0.5 * loss(x, x, p, p) - 0.5 * loss(y, y, q, q))
        worst = largest(worst, abs(float(own(x, y, 2 * p, 4 * q)) - parts))
        given = tuple(v.clone().requires_grad_() for v in (x, y, p, q))
        worst = largest(worst, float(not torch.autograd.gradcheck(own, given, raise_exception=False)))
        worst = largest(worst, abs(float(own(x, x[[1, 0, 2, 5, 3, 4]]))))
        stacked = own(torch.stack([x, x + 1]), torch.stack([y, y]), p, q)
        worst = largest(worst, abs(float(stacked) - 0.5 * float(own(x, y, p, q) + own(x + 1, y, p, q))))
        # A point without mass is not there.
        without = own(x, y, torch.cat([p[:5], p.new_zeros(1)]), q)
        worst = largest(worst, abs(float(without) - float(own(x[:5], y, p[:5], q))))
    # Towards 0 the cost falls to the exact one, by at most ε times the entropy ln min(n, m) of a plan; ∞ is an energy distance.
    sharp = float(SinkhornDivergence(0.01, 1, debias=False, tol=1e-9, max_iter=50_000)(x, y, p, q))
    excess = sharp - float(WassersteinLoss()(x, y, p, q))
    worst = largest(worst, float(not 0 <= excess <= 0.01 * np.log(30)))
    apart = [float(a @ torch.cdist(u, v) @ b) for u, v, a, b in ((x, y, p, q), (x, x, p, p), (y, y, q, q))]
    energy = apart[0] - 0.5 * apart[1] - 0.5 * apart[2]
    worst = largest(worst, abs(float(SinkhornDivergence(1e6, 1)(x, y, p, q)) - energy) * 1e-6)
    return Check(worst, 1e-10, "max difference", "primal cost")


@evidence(
    "wasserstein-distance",
    claim="Sinkhorn's regularized cost with the defaults of order and strength",
    against="POT solve with reg_type KL",
    peer="ot",
)
def wasserstein_sinkhorn_pot() -> Check:
    import ot
    import torch
    from scipy.spatial.distance import cdist

    from fivefold.objectives.transport import SinkhornDivergence

    x, y, p, q = _clouds(12, 9, 2, 10)
    x, y = 0.3 * x, 0.3 * y

    def peer(u: np.ndarray, v: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return float(ot.solve(cdist(u, v) ** 2, a, b, reg=0.05, reg_type="KL", tol=1e-12, max_iter=100_000).value)

    exact = peer(x, y, p, q) - 0.5 * peer(x, x, p, p) - 0.5 * peer(y, y, q, q)
    ours = float(SinkhornDivergence()(*(torch.tensor(v) for v in (x, y, p, q))))
    return Check(abs(ours - exact), 1e-6, "difference", "POT")
