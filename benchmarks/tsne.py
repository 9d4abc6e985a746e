"""t-SNE beside openTSNE: 10,000 MNIST pictures in 50 principal components, the same start and 250 + 500 steps.

Affinities and their search for neighbors are inside the clock of both. openTSNE runs with its grid and with its tree, with
exact and with approximate neighbors (annoy); ours is one program with its defaults. Quality is the exact divergence on one
sparse P, at most one percent above openTSNE's, and the share of each row's 10 nearest rows that are among its 10 nearest in the
map, at most 0.001 below: maps of one program from starts that differ by rounding scatter by 0.0004 and more.

    python benchmarks/tsne.py [NAME...] (fft-exact, fft-approx, bh-exact, bh-approx; by default the fastest)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numba
import numpy as np
import openTSNE
from openTSNE.affinity import PerplexityBasedNN

from fivefold.data.datasets import load_dataset
from fivefold.models.unsupervised import PCA, TSNE
from fivefold.models.unsupervised._affinities import Tree, sparse_affinities, sparse_divergence
from fivefold.models.unsupervised._common import neighbors
from fivefold.workbench.bench import Contest, Score, play

ROWS, PERPLEXITY, EARLY, LATE, NEAREST = 10_000, 30.0, 250, 500, 10
FASTEST = ("fft-exact",)


def pictures(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Return principal components (rows, 50) and the start (rows, 2)."""
    x = np.asarray(load_dataset("mnist", part="test").arrays["x"], dtype=np.float64)
    X = np.ascontiguousarray(PCA(50).fit_transform(x.reshape(len(x), -1)[:rows]))
    return X, np.ascontiguousarray(X[:, :2] / X[:, 0].std() * 1e-4)


def contests(names: Sequence[str] = FASTEST) -> list[Contest]:
    X, start = pictures()
    P, near = sparse_affinities(X, PERPLEXITY), neighbors(X, NEAREST)[0]

    def ours(run: int, late: int = LATE) -> np.ndarray:
        model = TSNE(perplexity=PERPLEXITY, init=start, max_iter=EARLY + late, n_iter_without_progress=late)
        return model.fit(X).embedding_

    def peer(form: str, late: int = LATE) -> np.ndarray:
        repulsion, search = form.split("-")
        jobs = numba.get_num_threads()
        model = openTSNE.TSNE(
            initialization=start.copy(),
            early_exaggeration_iter=EARLY,
            n_iter=late,
            negative_gradient_method=repulsion,
            n_jobs=jobs,
        )
        # Given alone, affinities are a step of their own; the clock runs over both.
        affinities = PerplexityBasedNN(X, perplexity=PERPLEXITY, method=search, n_jobs=jobs, random_state=0)
        return np.asarray(model.fit(affinities=affinities, initialization=start.copy()), dtype=np.float64)

    def recall(Y: np.ndarray) -> float:
        found = np.concatenate([near, neighbors(Y, NEAREST)[0]], axis=1)
        found.sort(axis=1)
        return float((found[:, 1:] == found[:, :-1]).sum(axis=1).mean() / NEAREST)

    def quality(mine: list[np.ndarray], theirs: list[np.ndarray]) -> tuple[float, float, bool]:
        (depth, kept), (peer_depth, peer_kept) = (
            (sparse_divergence(P, side[-1], Tree(0.0))[0], recall(side[-1])) for side in (mine, theirs)
        )
        sys.stderr.write(f"10-neighbor recall: ours {kept:.5f}, peer {peer_kept:.5f}\n")
        return depth, peer_depth, depth <= 1.01 * peer_depth and kept >= peer_kept - 1e-3

    def contest(form: str) -> Contest:
        return Contest(
            name=f"t-SNE, MNIST {ROWS} x 50, {EARLY + LATE} steps, beside openTSNE {form}",
            ours=ours,
            peer=lambda run: peer(form),
            quality=quality,
            target=0.9,
            repeats=1,
            warm=lambda: ours(0, 1),
        )

    return [contest(name) for name in names]


def main(threads: Sequence[int] = (1, 2), names: Sequence[str] = FASTEST) -> list[Score]:
    """Run the contests and return their scores."""
    return play(contests(names), threads)


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main(names=sys.argv[1:] or FASTEST)))
