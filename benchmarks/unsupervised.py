"""Factors and topics beside scikit-learn: NMF on MNIST, LDA on 10,000 made documents.

Qualities are computed by one program for both sides: the squared error of the best nonnegative coordinates, and the
perplexity of held-out documents under the same inference.

    python benchmarks/unsupervised.py [nmf] [lda]
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from sklearn import decomposition

from fivefold.data.datasets import load_dataset
from fivefold.models.unsupervised import NMF, LatentDirichletAllocation
from fivefold.workbench.bench import Contest, Score, play

PARTS, TOPICS, DOCUMENTS, TERMS, WORDS, PASSES = 16, 20, 10_000, 5_000, 80, 5


def digits(rows: int) -> np.ndarray:
    """Return MNIST pictures (rows, 784), 0 to 1."""
    x = np.asarray(load_dataset("mnist", part="test").arrays["x"], dtype=np.float64)
    return np.ascontiguousarray(x.reshape(len(x), -1)[:rows])


def nmf() -> Contest:
    """Both coordinate solvers with their defaults, 16 parts; error of both within one percent."""
    X = digits(10_000)

    def error(parts: np.ndarray) -> float:
        # scikit-learn solves for the coordinates of both.
        W = decomposition.non_negative_factorization(
            X[:1000], H=parts, n_components=PARTS, init="custom", update_H=False, max_iter=500, tol=1e-6
        )[0]
        return float(((X[:1000] - W @ parts) ** 2).sum())

    def quality(ours: list[np.ndarray], peer: list[np.ndarray]) -> tuple[float, float, bool]:
        mine, other = error(ours[-1]), error(peer[-1])
        return mine, other, mine <= 1.01 * other

    return Contest(
        name="NMF, MNIST 10k x 784, 16 parts",
        ours=lambda run: NMF(PARTS, random_state=run).fit(X).components_,
        peer=lambda run: decomposition.NMF(PARTS, init="nndsvda", random_state=run).fit(X).components_,
        quality=quality,
        target=0.6,
        repeats=3,
        warm=lambda: NMF(PARTS, max_iter=2).fit(X[:512]),
    )


def documents() -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return counts to train on (10,000 x 5,000) and held-out ones (1,000 x 5,000), 80 words each, of 20 topics."""
    rng = np.random.default_rng(0)
    beta = rng.dirichlet(np.full(TERMS, 0.05), size=TOPICS)
    theta = rng.dirichlet(np.full(TOPICS, 0.1), size=DOCUMENTS + 1000)
    counts = sparse.csr_array(np.array([rng.multinomial(WORDS, row @ beta) for row in theta], dtype=np.float64))
    return counts[:DOCUMENTS], counts[DOCUMENTS:]


def lda() -> Contest:
    """Five passes in batches; mean perplexity of held-out documents within one percent."""
    X, held = documents()

    def perplexity(topics: np.ndarray) -> float:
        model = LatentDirichletAllocation(TOPICS, init=topics, max_iter=1).fit(held[:1])
        model.components_ = topics
        # The topics' own part of the bound counts for all documents; it is left out for both.
        return float(np.exp(-(model.score(held) - model._topic_bound()) / held.sum()))

    def quality(ours: list[np.ndarray], peer: list[np.ndarray]) -> tuple[float, float, bool]:
        mine, other = (float(np.mean([perplexity(t) for t in side])) for side in (ours, peer))
        return mine, other, mine <= 1.01 * other

    return Contest(
        name="LDA topics, 10k documents x 5k terms, k=20, 5 passes",
        ours=lambda run: LatentDirichletAllocation(TOPICS, max_iter=PASSES, random_state=run).fit(X).components_,
        peer=lambda run: (
            decomposition.LatentDirichletAllocation(TOPICS, max_iter=PASSES, random_state=run).fit(X).components_
        ),
        quality=quality,
        target=0.6,
        # Starts are random, and the perplexities of single ones scatter by two percent.
        repeats=5,
        warm=lambda: LatentDirichletAllocation(TOPICS, max_iter=1).fit(X[:512]),
    )


CONTESTS: dict[str, Callable[[], Contest]] = {"nmf": nmf, "lda": lda}


def main(threads: Sequence[int] = (1, 2), names: Sequence[str] = tuple(CONTESTS)) -> list[Score]:
    """Run the contests and return their scores."""
    with warnings.catch_warnings():
        # Both sides are stopped at a number of steps, and both say so.
        warnings.filterwarnings("ignore", category=UserWarning)
        return [score for name in names for score in play([CONTESTS[name]()], threads)]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main(names=sys.argv[1:] or tuple(CONTESTS))))
