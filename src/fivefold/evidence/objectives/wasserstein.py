"""Wasserstein distance: scipy on a line, assignments, marginals, duality, invariances."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence


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
        worst = max(worst, abs(wasserstein_distance(x, y) - stats.wasserstein_distance(x, y)))
        exact = stats.wasserstein_distance(x, y, v, w)
        worst = max(worst, abs(wasserstein_distance(x, y, v, w) - exact))
        program = optimal_transport(np.abs(x[:, None] - y), v, w).cost
        worst = max(worst, abs(program - exact) * 1e-3)  # HiGHS ends within 1e-7 of feasibility
    return Check(worst, 1e-10, "max difference", "scipy")


@evidence(
    "wasserstein-distance",
    claim="In the plane, equal numbers of equal masses are an assignment",
    against="scipy linear_sum_assignment",
)
def wasserstein_assignment() -> Check:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    from fivefold.objectives.wasserstein import wasserstein_distance

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(25, 2)), rng.normal(size=(25, 2)) + 1
    d = cdist(x, y)
    exact = d[linear_sum_assignment(d)].mean()
    wrong = abs(wasserstein_distance(x, y) - exact)
    # Splitting points into halves of the mass changes nothing; a shift of all points moves it by its length.
    doubled = wasserstein_distance(np.repeat(x, 2, axis=0), y, np.tile([1.0, 3.0], 25))
    wrong = max(wrong, abs(doubled - exact), abs(wasserstein_distance(x, x + [3.0, 4.0]) - 5))
    wrong = max(wrong, abs(wasserstein_distance([[0.0, 0]], [[3.0, 4]]) - 5), abs(wasserstein_distance(x, x[::-1])))
    return Check(wrong, 1e-7, "max difference", "scipy")


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
    wrong = np.abs(found.plan.sum(1) - p).max() + np.abs(found.plan.sum(0) - q).max()
    wrong += abs((found.plan * d).sum() - found.cost) + abs(p @ found.dual_x + q @ found.dual_y - found.cost)
    wrong += max(0.0, float((found.dual_x[:, None] + found.dual_y - d).max())) + max(0.0, -float(found.plan.min()))
    wrong += float((found.plan > 1e-9).sum() > 19) + abs(found.cost - np.abs(np.cumsum(p - q)).sum())
    wrong += abs(wasserstein_distance(states, states, p, q) - found.cost)
    return Check(wrong, 1e-7, "sum of violations", "optimality")
