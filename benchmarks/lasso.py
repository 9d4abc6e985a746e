"""A lasso path of 100 penalties with intercept beside celer, skglm and scikit-learn.

Ours must have a duality gap of at most 1e-6 of half the mean square of y at every penalty; one program computes it for all
sides from the weights alone, the residual scaled until it is feasible for the dual. Each peer runs at the tolerance at which
its own certificate promises that; where its certificate is better than the residual, its printed gap is larger than 1e-6,
which only spares it work. The contest with a target is that with the fastest peer; the others are measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from celer import celer_path
from skglm import Lasso as SkglmLasso
from sklearn.linear_model import lasso_path

from fivefold.models.linear import Lasso
from fivefold.workbench.bench import Contest, Score, play, thread_limit

SIZES = ((1_000, 10_000), (2_000, 50_000))
IN_REACH = 3.0  # times as long as the fastest peer: those that take longer on one size are not asked on the next
PENALTIES, REACH, GAP, PLANTED, CORRELATION = 100, 1e-2, 1e-6, 100, 0.5


def table(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated columns by columns, and a target of a hundred of them with a third of noise."""
    stream = np.random.default_rng(0)
    X = np.empty((rows, features), order="F")
    X[:, 0] = stream.standard_normal(rows)
    for j in range(1, features):
        X[:, j] = CORRELATION * X[:, j - 1] + np.sqrt(1 - CORRELATION**2) * stream.standard_normal(rows)
    w = np.zeros(features)
    w[stream.choice(features, PLANTED, replace=False)] = stream.choice([-1.0, 1.0], PLANTED) * stream.uniform(
        0.5, 2, PLANTED
    )
    signal = X @ w
    return X, signal + stream.standard_normal(rows) * signal.std() / 3 + 3


def contests(rows: int, features: int, names: Sequence[str]) -> tuple[list[Contest], list[str]]:
    """Return the contest with the fastest peer and those with the others, and the peers in reach of the fastest."""
    X, y = table(rows, features)
    n, x_mean, center = rows, X.mean(axis=0), y - y.mean()
    half = float(center @ center) / (2 * n)
    top = float(np.abs(X.T @ center).max()) / n
    alphas = np.geomspace(top, top * REACH, PENALTIES)

    def gaps(coefs: np.ndarray) -> np.ndarray:
        """Return the gaps of weights (d, K) with the best intercepts."""
        residuals = center[:, None] - (X @ coefs - x_mean @ coefs)
        residuals -= residuals.mean(axis=0)
        size = np.square(residuals).sum(axis=0) / n
        scale = np.minimum(1.0, alphas * n / np.abs(X.T @ residuals).max(axis=0))
        primal = 0.5 * size + alphas * np.abs(coefs).sum(axis=0)
        return (primal - scale * (center @ residuals) / n + 0.5 * scale**2 * size) / half

    def worst(results: list[np.ndarray]) -> float:
        return max(float(gaps(coefs).max()) for coefs in results)

    def quality(ours: list[Any], peer: list[Any]) -> tuple[float, float, bool]:
        mine, theirs = worst(ours), worst(peer)
        return mine, theirs, mine <= GAP

    def centered() -> tuple[np.ndarray, np.ndarray]:
        return np.asfortranarray(X - X.mean(axis=0)), y - y.mean()

    def ours(run: int) -> np.ndarray:
        return Lasso(tol=GAP).path(X, y, alphas=alphas)[1]

    # celer's tolerance is relative to the mean square, scikit-learn's to the sum of squares, in both twice ours.
    def celer(run: int) -> np.ndarray:
        return np.asarray(celer_path(*centered(), "lasso", alphas=alphas, tol=GAP / 2, max_iter=100)[1])

    def scikit(run: int) -> np.ndarray:
        return np.asarray(lasso_path(*centered(), alphas=alphas, tol=GAP / 2, max_iter=100_000)[1])

    # skglm bounds the violation of the optimality conditions; this is the largest that reached the gap on 300 x 2000.
    def skglm(run: int) -> np.ndarray:
        return np.asarray(
            SkglmLasso(fit_intercept=False, tol=1e-2 * alphas[-1], max_iter=200).path(*centered(), alphas=alphas)[1]
        )

    every: dict[str, Callable[[int], np.ndarray]] = {"celer": celer, "skglm": skglm, "scikit-learn": scikit}
    peers = {name: every[name] for name in names}
    times = {}
    with thread_limit(1):
        for name, peer in peers.items():
            start = time.perf_counter()
            peer(0)
            times[name] = time.perf_counter() - start
    fastest = min(times, key=times.__getitem__)
    sys.stderr.write(f"{rows} x {features}: " + ", ".join(f"{k} {v:.1f} s" for k, v in times.items()) + "\n")
    made = [
        Contest(
            name=f"lasso path {rows} x {features}, {name}",
            ours=ours,
            peer=peers[name],
            quality=quality,
            target=1.0 if name == fastest else None,
            repeats=3 if name == fastest else 1,
        )
        for name in sorted(peers, key=times.__getitem__)
    ]
    return made, [name for name in peers if times[name] <= IN_REACH * times[fastest]]


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    scores, names = [], ["celer", "skglm", "scikit-learn"]
    for rows, features in SIZES:
        made, names = contests(rows, features, names)
        scores += play(made, threads)
    return scores


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
