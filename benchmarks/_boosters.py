"""What the benchmarks of boosting share: tables, the peers at equal settings, contests of one against the fastest of several.

Equal settings: 100 trees, 31 leaves, 255 bins, rate 0.1, at least 20 rows and a Hessian of 1e-3 a leaf, no penalties, no
sampling of rows, leaf-wise growth. Our sums are 64-bit sums of numbers with 30 fraction bits and the peers' are floating
point: none is quantized. Each run draws a table of its own; quality is the mean over runs of the AUC on rows not trained on,
and ours may be 0.0005 below that of the fastest peer.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info

from fivefold.models.trees import LGBMClassifier
from fivefold.workbench.bench import Score, announce, thread_limit

TREES, LEAVES, BINS, RATE, LOSS_OF_AUC = 100, 31, 255, 0.1, 0.0005

Fit = Callable[[Any, np.ndarray], Any]
"""Fits a classifier: X (n, d), y (n,) -> model with ``predict_proba``."""


def threads_left() -> int:
    """Return the threads that the limit of the contest leaves to OpenMP."""
    return min([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"], default=1)


def table(n: int, d: int, seed: int = 0, *, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return single-precision columns (n, d) and noisy classes (n,); with ``missing``, a third of the columns is skewed.

    The factors of the product have effects of their own. A product without them is found by luck: LightGBM beside itself with
    another seed of its bins then differs by 0.001 in AUC, twice the margin; here it differs by 0.0002.
    """
    stream = np.random.default_rng(seed)
    X = stream.standard_normal((n, d), dtype=np.float32)
    score = X[:, 0] + (X[:, 1] + 1) * (X[:, 2] + 1) / 2 + np.sin(2 * X[:, 3]) + X[:, 4:10].sum(axis=1) / 3 - 0.5
    y = (score + stream.standard_normal(n) > 0).astype(np.int32)
    if missing:
        X[:, ::3] = np.exp(2 * X[:, ::3])
        X[stream.random(X.shape, dtype=np.float32) < missing] = np.nan
    return X, y


def ours(X: Any, y: np.ndarray) -> Any:
    """Fit our classifier."""
    return LGBMClassifier(n_estimators=TREES, num_leaves=LEAVES, max_bin=BINS, learning_rate=RATE).fit(X, y)


def lightgbm_fit(X: Any, y: np.ndarray, **extra: Any) -> Any:
    """Fit LightGBM's classifier."""
    model = lightgbm.LGBMClassifier(
        n_estimators=TREES,
        num_leaves=LEAVES,
        max_bin=BINS,
        learning_rate=RATE,
        n_jobs=threads_left(),
        verbose=-1,
        **extra,
    )
    return model.fit(X, y)


def xgboost_fit(X: Any, y: np.ndarray) -> Any:
    """Fit XGBoost's classifier by histograms, leaf by leaf."""
    model = xgboost.XGBClassifier(
        n_estimators=TREES, max_leaves=LEAVES, max_depth=0, grow_policy="lossguide", max_bin=BINS, learning_rate=RATE,
        tree_method="hist", min_child_weight=1e-3, reg_lambda=0.0, n_jobs=threads_left(),
    )  # fmt: skip
    return model.fit(X, y)


def histogram_fit(X: Any, y: np.ndarray) -> Any:
    """Fit scikit-learn's histogram boosting."""
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        max_bins=BINS,
        learning_rate=RATE,
        min_samples_leaf=20,
        early_stopping=False,
    )
    return model.fit(X, y)


PEERS: dict[str, Fit] = {"LightGBM": lightgbm_fit, "XGBoost": xgboost_fit, "scikit-learn": histogram_fit}


@dataclass(frozen=True, kw_only=True)
class Field:
    """Ours against the fastest of several peers.

    ``data(run)`` is drawn outside the clock; ``runs`` maps a name to a function of the data, ours under "ours";
    ``quality(data, result)`` is a number of which ours may be lower by ``loss``.
    """

    name: str
    data: Callable[[int], Any]
    runs: Mapping[str, Callable[..., Any]]
    quality: Callable[[Any, Any], float]
    target: float = 1.0
    loss: float = LOSS_OF_AUC
    repeats: int = 3


def run_field(field: Field, threads: Sequence[int]) -> list[Score]:
    """Interleave ours and the peers under each limit of threads; the score is against the peer with the least median."""
    scores = []
    for limit in threads:
        seconds: dict[str, list[float]] = {name: [] for name in field.runs}
        qualities: dict[str, list[float]] = {name: [] for name in field.runs}
        with thread_limit(limit):
            for run in range(field.repeats):
                data = field.data(run)
                for name, function in field.runs.items():
                    gc.collect()
                    start = time.perf_counter()
                    result = function(*data[0])
                    seconds[name].append(time.perf_counter() - start)
                    qualities[name].append(field.quality(data, result))
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        means = {name: float(np.mean(values)) for name, values in qualities.items()}
        for name in field.runs:
            sys.stderr.write(f"  {name}: {medians[name]:.4g} s, quality {means[name]:.6g}\n")
        best = min((name for name in field.runs if name != "ours"), key=lambda name: medians[name])
        sound = means["ours"] >= means[best] - field.loss
        score = Score(
            f"{field.name} vs {best}",
            limit,
            medians["ours"],
            medians[best],
            means["ours"],
            means[best],
            sound,
            field.target,
        )
        announce(score)
        scores.append(score)
    return scores


def fit_field(
    name: str,
    make: Callable[[int, int], tuple[Any, np.ndarray]],
    n: int,
    *,
    mine: Fit = ours,
    peers: Mapping[str, Fit] = PEERS,
    target: float = 1.0,
    repeats: int = 3,
    held: int = 100_000,
) -> Field:
    """Return a contest of fits: ``make(rows, seed)`` gives the table of a run and the rows held out after it."""

    def data(run: int) -> tuple[tuple[Any, np.ndarray], tuple[Any, np.ndarray]]:
        X, y = make(n + held, run)
        return (X[:n], y[:n]), (X[n:], y[n:])

    def auc(data: Any, model: Any) -> float:
        X, y = data[1]
        return float(roc_auc_score(y, model.predict_proba(X)[:, 1]))

    return Field(name=name, data=data, runs={"ours": mine, **peers}, quality=auc, target=target, repeats=repeats)


def warm() -> None:
    """Compile or load what the contests call."""
    X, y = table(40_000, 10)
    for limit in (1, 2):
        with thread_limit(limit):
            ours(X, y).predict_proba(X)
            ours(X.astype(np.float64), y)


def child(code: str, *, cache: str | None = None) -> float:
    """Run code in a process of its own and return the number that it prints last."""
    environment = dict(os.environ) | ({} if cache is None else {"NUMBA_CACHE_DIR": cache})
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"A measuring process failed: {answer.stderr.strip().splitlines()[-1]}")
    return float(answer.stdout.split()[-1])


_FIRST_CALL = """
import time, numpy as np
from fivefold.models.trees import LGBMClassifier
X = np.random.default_rng(0).standard_normal((2000, 28), dtype=np.float32)
y = (X[:, 0] > 0).astype(int)
seconds = []
for _ in range(2):
    start = time.perf_counter()
    LGBMClassifier(n_estimators=5).fit(X, y).predict(X)
    seconds.append(time.perf_counter() - start)
print(seconds[0] - seconds[1])
"""


def first_calls() -> list[Score]:
    """Return what the first fit and prediction of a process take more than the second: after installation, and from cache."""
    scores = []
    with tempfile.TemporaryDirectory() as cache:
        for name, most in (("first call after installation", 20.0), ("first call of a process, from cache", 1.0)):
            seconds = child(_FIRST_CALL, cache=cache)
            score = Score(f"{name}, overhead (the bar stands as peer)", 1, seconds, most, 0.0, 0.0, True, 1.0)
            announce(score)
            scores.append(score)
    return scores


_MEMORY = """
import sys
from pathlib import Path
sys.path.append({folder!r})
import numpy as np
import _boosters as b

def status(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key)) / 1024

with b.thread_limit({threads}):
    X, y = b.table(1_000_000, 28)
    b.{fit}(X[:40_000].copy(), y[:40_000])
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS:")
    b.{fit}(X, y)
    print(status("VmHWM:") - before)
"""


def memory(folder: str, threads: Sequence[int]) -> list[Score]:
    """Return the peak of memory in MB over what was resident before the fit of 1,000,000 x 28, ours and LightGBM's."""
    scores = []
    for limit in threads:
        mine, theirs = (
            child(_MEMORY.format(folder=folder, threads=limit, fit=fit)) for fit in ("ours", "lightgbm_fit")
        )
        score = Score("peak memory of fit 1M x 28 (MB) vs LightGBM", limit, mine, theirs, 0.0, 0.0, True, 1.2)
        announce(score)
        scores.append(score)
    return scores
