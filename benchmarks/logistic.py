"""Logistic regression on 500,000 x 50 dense rows, beside scikit-learn with the same objective, runs interleaved.

    python benchmarks/logistic.py [--rows 500000] [--features 50] [--repeats 5] [--threads 1 2]

Each thread count runs in a process of its own, because BLAS reads it once. Fails (exit status 1) when our objective is
worse than the peer's by more than 1e-6 of it, or when the median time is above the peer's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

WORSE = 1e-6


def measure(rows: int, features: int, repeats: int, spread: float) -> int:
    """Time both in turn and print medians, their ratio and both objectives; return the exit status."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression as Peer

    from fivefold.models.linear import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features)) * np.geomspace(1.0, spread, features)
    w = rng.standard_normal(features) * 2 / np.sqrt(features) / np.geomspace(1.0, spread, features)
    y = (rng.random(rows) < 1 / (1 + np.exp(-(X @ w + 0.3)))).astype(int)

    def objective(model: object) -> float:
        z = X @ model.coef_[0] + model.intercept_[0]
        return float(np.logaddexp(0, np.where(y == 1, -z, z)).sum() + 0.5 * model.coef_[0] @ model.coef_[0])

    methods = {"fivefold": LogisticRegression, "scikit-learn": Peer}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    value = {}
    for method in methods.values():
        method().fit(X[:2000], y[:2000])
    for _ in range(repeats):
        for name, method in methods.items():
            start = time.perf_counter()
            model = method().fit(X, y)
            seconds[name].append(time.perf_counter() - start)
            value[name] = objective(model)
    ours, peer = (statistics.median(seconds[name]) for name in methods)
    worse = (value["fivefold"] - value["scikit-learn"]) / value["scikit-learn"]
    print(
        f"threads {os.environ['OMP_NUM_THREADS']}  {rows} x {features}, scales 1 to {spread:g}  fivefold {ours:.3f} s  "
        f"scikit-learn {peer:.3f} s  ratio {ours / peer:.2f}  objective {value['fivefold']:.6f} and "
        f"{value['scikit-learn']:.6f} (ours worse by {worse:.1e})"
    )
    return int(worse > WORSE or ours > peer)


def main() -> int:
    """Run each thread count in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--spread", type=float, nargs="+", default=[1.0, 10.0], help="ratio of the feature scales")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        return max(measure(given.rows, given.features, given.repeats, spread) for spread in given.spread)
    status = 0
    for threads in given.threads:
        count = str(threads)
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
        command = [sys.executable, __file__, *sys.argv[1:], "--here"]
        status = max(status, subprocess.run(command, check=False, env={**os.environ, **limits}).returncode)
    return status


if __name__ == "__main__":
    sys.exit(main())
