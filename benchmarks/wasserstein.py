"""Exact transport beside POT's network simplex: 2,000 points in the plane and in ten dimensions, the same table of costs.

Quality is the relative difference of the cost from that of the dual potentials, a lower bound of every plan.

    python benchmarks/wasserstein.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import ot
from scipy.spatial.distance import cdist

from fivefold.objectives import optimal_transport
from fivefold.workbench.bench import Contest, Score, play


def contest(n: int, m: int, d: int, weights: bool) -> Contest:
    rng = np.random.default_rng(0)
    costs = cdist(rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5)
    p, q = (rng.random(k) if weights else np.ones(k) for k in (n, m))
    p, q = p / p.sum(), q / q.sum()
    found = optimal_transport(costs, p, q)
    bound = float(p @ found.dual_x + q @ found.dual_y)
    if (found.dual_x[:, None] + found.dual_y - costs).max() > 1e-12:
        raise SystemExit("The potentials are not feasible: they bound nothing.")

    def quality(ours: list[float], peer: list[float]) -> tuple[float, float, bool]:
        our, their = (max(abs(cost / bound - 1) for cost in side) for side in (ours, peer))
        return our, their, our <= 1e-12

    return Contest(
        name=f"wasserstein {n} x {m}, {d} dimensions, {'random' if weights else 'equal'} weights",
        ours=lambda run: optimal_transport(costs, p, q).cost,
        peer=lambda run: float(ot.emd2(p, q, costs, numItermax=10_000_000)),
        quality=quality,
        target=1.5,
    )


def main(threads: Sequence[int] = (1,)) -> list[Score]:
    """Run the contests and return their scores; both sides use one thread whatever the limit."""
    sizes = [(2000, 2000, 2, False), (2000, 1500, 2, False), (2000, 1500, 2, True), (2000, 2000, 10, True)]
    return play([contest(*size) for size in sizes], threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
