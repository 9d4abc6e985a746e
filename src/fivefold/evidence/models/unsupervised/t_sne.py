"""t-SNE: affinities and gradients by definition, the optimizer step by step, new points, degenerate rows, peers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def blobs(n: int, d: int, name: str) -> np.ndarray:
    rng = Streams(1).numpy(name)
    return 4.0 * rng.normal(size=(5, d))[np.arange(n) % 5] + rng.normal(size=(n, d))


def _conditional(X: np.ndarray, perplexity: float) -> np.ndarray:
    """Return p(j|i) by a root search on the bits of each row."""
    from scipy.optimize import brentq

    P = np.zeros((len(X), len(X)))
    for i, x in enumerate(X):
        others = np.arange(len(X)) != i
        square = ((X[others] - x) ** 2).sum(axis=1)

        def row(log_sigma: float, square: np.ndarray = square) -> np.ndarray:
            p = np.exp(-(square - square.min()) / (2 * np.exp(2 * log_sigma)))
            return p / p.sum()

        def surplus(log_sigma: float, row: Any = row) -> float:
            p = row(log_sigma)
            return -float((p[p > 0] * np.log2(p[p > 0])).sum()) - np.log2(perplexity)

        P[i, others] = row(brentq(surplus, -8, 8, xtol=1e-14))
    return P


def _student(P: np.ndarray, Y: np.ndarray) -> float:
    near = 1 / (1 + ((Y[:, None] - Y) ** 2).sum(axis=2))
    np.fill_diagonal(near, 0)
    q = near / near.sum()
    keep = P > 0
    return float((P[keep] * np.log(P[keep] / q[keep])).sum())


def slopes(function: Any, Y: np.ndarray, step: float = 1e-5) -> np.ndarray:
    out = np.empty_like(Y)
    for index in np.ndindex(*Y.shape):
        bump = np.zeros_like(Y)
        bump[index] = step
        out[index] = (function(Y + bump) - function(Y - bump)) / (2 * step)
    return out


@evidence(
    "t-sne",
    claim="p(j|i) has the perplexity 2^H, σ² in the exponent; p_ij is the mean of both over n",
    against="root search on the entropy",
)
def affinities() -> Check:
    from fivefold.models.unsupervised._affinities import conditional_affinities, conditional_matrix, joint_affinities

    worst = 0.0
    for n, perplexity in ((12, 2.0), (40, 5.0), (150, 30.0)):
        X = blobs(n, 4, "affinities")
        known = _conditional(X, perplexity)
        ours = conditional_matrix(X, perplexity)
        worst = largest(worst, float(np.abs(ours - known).max()))
        joint = joint_affinities(X, perplexity)
        worst = largest(worst, float(np.abs(joint - (known + known.T) / (2 * n)).max()), abs(joint.sum() - 1))
        far = joint_affinities(X + 1e5, perplexity)  # the offset leaves eleven digits
        worst = largest(worst, 1e-2 * float(np.abs(far - joint).max()))
    square = np.array([[1.0, 4.0, 9.0]])
    P, beta = conditional_affinities(square, 2.0)
    worst = largest(worst, float(np.abs(np.exp(-square * beta) / np.exp(-square * beta).sum() - P).max()))
    ties, limit = conditional_affinities(np.array([[2.0, 2.0, 2.0, 5.0]]), 2.0)
    worst = largest(worst, float(np.abs(ties - [[1 / 3, 1 / 3, 1 / 3, 0]]).max()), float(limit[0] != np.inf))
    even, _ = conditional_affinities(np.zeros((1, 5)), 2.0)
    worst = largest(worst, float(np.abs(even - 0.2).max()))
    return Check(worst, 1e-10, "largest difference", "root search on the entropy")


@evidence("t-sne", claim="Divergence and gradient by definition, in 1 to 3 dimensions", against="finite differences")
def exact_gradient() -> Check:
    from fivefold.models.unsupervised._affinities import divergence, joint_affinities

    worst = 0.0
    for dims in (1, 2, 3):
        X = blobs(25, 5, "gradient")
        Y = Streams(1).numpy("map", dims).normal(size=(25, dims))
        P = joint_affinities(X, 6.0)
        loss, grad = divergence(P, Y)
        worst = largest(worst, abs(loss - _student(P, Y)))
        worst = largest(worst, float(np.abs(grad - slopes(lambda y, P=P: _student(P, y), Y)).max()))
    # Central differences err by step² times third derivatives, and by rounding over the step: 1e-10 each.
    return Check(worst, 1e-8, "largest difference", "finite differences")


@evidence(
    "t-sne",
    claim="Gains, momentum, exaggeration and its end follow the recurrences; defaults are the stated ones",
    against="the recurrences, written out",
)
def optimizer() -> Check:
    from fivefold.models.unsupervised import TSNE
    from fivefold.models.unsupervised._affinities import divergence, joint_affinities
    from fivefold.models.unsupervised._descent import descend

    X = blobs(30, 4, "optimizer")
    centered = X - X.mean(axis=0)
    _, _, axes = np.linalg.svd(centered)
    axes = axes[:2] * np.sign(axes[:2][[0, 1], np.abs(axes[:2]).argmax(axis=1)])[:, None]
    start = centered @ axes.T
    start *= 1e-4 / start[:, 0].std()
    P = joint_affinities(X, 7.0)
    worst = 0.0
    for rate, expected in ((3.0, 3.0), ("auto", 50.0)):
        Y, step, gains = start.copy(), np.zeros_like(start), np.ones_like(start)
        for t in range(14):
            if t == 6:
                step, gains = np.zeros_like(start), np.ones_like(start)
            near = 1 / (1 + ((Y[:, None] - Y) ** 2).sum(axis=2))
            np.fill_diagonal(near, 0)
            pull = 4 * ((12.0 if t < 6 else 1.0) * P - near / near.sum()) * near
            grad = pull.sum(axis=1)[:, None] * Y - pull @ Y
            gains = np.clip(np.where(step * grad < 0, gains + 0.2, gains * 0.8), 0.01, None)
            step = (0.5 if t < 6 else 0.8) * step - expected * gains * grad
            Y = Y + step
        model = TSNE(perplexity=7.0, learning_rate=rate, max_iter=14, exaggeration_iter=6).fit(X)
        worst = largest(worst, float(np.abs(model.embedding_ - Y).max() / np.abs(Y).max()))
        worst = largest(
            worst, abs(model.kl_divergence_ - divergence(P, model.embedding_)[0]), float(model.n_iter_ != 14)
        )
        worst = largest(worst, abs(model.learning_rate_[0] - expected), abs(model.learning_rate_[1] - expected))
    many = TSNE(max_iter=1, early_exaggeration=2.0).fit(np.repeat(X, 20, axis=0))
    worst = largest(worst, abs(many.learning_rate_[0] - 75.0), abs(many.learning_rate_[1] - 150.0))
    stated = {"n_components": 2, "perplexity": 30.0, "early_exaggeration": 12.0, "learning_rate": "auto"}
    stated |= {"max_iter": 1000, "exaggeration_iter": 250, "n_iter_without_progress": 300, "min_grad_norm": 1e-7}
    stated |= {"init": "pca", "method": "auto", "angle": 0.5, "spacing": 0.4, "random_state": None}
    worst = largest(worst, float(TSNE().get_params() != stated))
    quiet = TSNE(perplexity=7.0, min_grad_norm=1e9, max_iter=400, exaggeration_iter=100).fit(X)
    worst = largest(worst, float(quiet.n_iter_ != 150))
    # A loss that stands still since step 50 is looked at again at 100, 150 ...: more than 50 steps later, then more than 49.
    for patience, stop in ((50, 150), (49, 100)):
        still = descend(
            lambda Y, factor, wanted: (1.0, np.ones_like(Y)), start, max_iter=400, exaggeration=1.0, exaggeration_iter=0,
            learning_rate=(0.1, 0.1), patience=patience, min_grad_norm=0.0,
        )  # fmt: skip
        worst = largest(worst, float(still[2] != stop))
    # Fourteen steps magnify rounding of the start, 1e-16 of its size, by less than the growth of the map itself.
    return Check(worst, 1e-8, "largest relative difference", "the recurrences, written out")


@evidence(
    "t-sne",
    claim="Divergence at scikit-learn's map is the one it states; ours from its start is no worse",
    against="scikit-learn TSNE(method='exact')",
)
def same_as_scikit_learn() -> Check:
    from scipy.spatial.distance import squareform
    from sklearn import manifold
    from sklearn.datasets import load_iris
    from sklearn.manifold._t_sne import _joint_probabilities
    from sklearn.metrics import pairwise_distances

    from fivefold.models.unsupervised import TSNE
    from fivefold.models.unsupervised._affinities import divergence, joint_affinities

    X = load_iris().data[::2].astype(np.float64)
    P = joint_affinities(X, 12.0)
    known = squareform(_joint_probabilities(pairwise_distances(X, squared=True), 12.0, 0))
    gap = float(np.abs(P - known).max() / P.max())
    theirs, ours = [], []
    for seed in range(4):
        start = 1e-2 * Streams(1).numpy("start", seed).normal(size=(75, 2))
        peer = manifold.TSNE(perplexity=12.0, method="exact", init=start, max_iter=600).fit(X)
        loss, _ = divergence(P, peer.embedding_.astype(np.float64))
        gap = largest(gap, abs(loss / peer.kl_divergence_ - 1))
        theirs.append(peer.kl_divergence_)
        ours.append(TSNE(perplexity=12.0, init=start, max_iter=600).fit(X).kl_divergence_)
    # Minima of random starts scatter by 4 %, so means of four differ by 3 % of one deviation; twice to thrice that is noise.
    worse = np.mean(ours) / np.mean(theirs) - 1 > 0.08
    # The peer calibrates entropies to 1e-5 and computes in float32.
    return Check(largest(gap, float(worse)), 1e-3, "relative gap", "scikit-learn TSNE")


@evidence(
    "t-sne",
    claim="30 % repeated rows share places; constant and 1e8-fold columns, few columns and threads are harmless",
    against="invariance",
)
def degenerate_rows() -> Check:
    import numba

    from fivefold.models.unsupervised import TSNE, BarnesHutTSNE

    X = blobs(100, 4, "repeated")
    X[70:] = X[:30]
    wrong = 0
    settings: dict[str, Any] = {"perplexity": 5.0, "max_iter": 150, "exaggeration_iter": 60}
    for cls in (TSNE, BarnesHutTSNE):
        base = cls(**settings).fit(X)
        Y = base.embedding_
        wrong += not np.isfinite(Y).all()
        # Equal rows start in one place and see the same forces; descent magnifies the rounding that parts them.
        wrong += not np.abs(Y[70:] - Y[:30]).max() <= 0.05 * Y.std()
        wrong += not np.array_equal(cls(**settings).fit(X * 2.0**27).embedding_, Y)
        wrong += not np.isfinite(cls(**settings).fit(np.c_[X, np.ones(100)]).embedding_).all()
        wrong += not np.isfinite(cls(**settings).fit(X[:, :1]).embedding_).all()
        wrong += not np.isfinite(cls(**settings).fit(np.ones((40, 2))).embedding_).all()
        found = []
        before = numba.get_num_threads()
        large = blobs(1500, 4, "threads")
        for threads in {1, before}:
            numba.set_num_threads(threads)
            found.append(cls(perplexity=5.0, max_iter=12, exaggeration_iter=5).fit(large).embedding_)
        numba.set_num_threads(before)
        wrong += not np.array_equal(found[0], found[-1])
        wrong += cls(init="random", random_state=1, **settings).fit(X).embedding_.std() == 0
    return Check(wrong, 0, "violations", "invariance")


@evidence(
    "t-sne",
    claim="A new row lands where the divergence of its own neighbors is least; training rows keep their places",
    against="scipy.optimize.minimize",
)
def new_rows() -> Check:
    from scipy.optimize import minimize

    from fivefold.models.unsupervised import TSNE

    X = blobs(120, 4, "new")
    model = TSNE(perplexity=6.0, max_iter=300, exaggeration_iter=100).fit(X[:100])
    Y = model.embedding_
    worst = float(np.abs(model.transform(X[:100]) - Y).max())
    placed = model.transform(X[100:])
    worst = largest(worst, float(np.abs(model.transform(X[105:106]) - placed[5:6]).max()))
    losses = []
    for x, y in zip(X[100:], placed, strict=True):
        square = ((X[:100] - x) ** 2).sum(axis=1)
        near = np.argsort(square)[:19]
        p = np.zeros(100)
        p[near] = _entropy_row(square[near], 6.0)

        def loss(y: np.ndarray, p: np.ndarray = p) -> float:
            s = 1 / (1 + ((y - Y) ** 2).sum(axis=1))
            return float(-(p * np.log(s)).sum() + np.log(s.sum()))

        losses.append(loss(y) - minimize(loss, y, options={"gtol": 1e-9}).fun)
    worst = largest(worst, *losses)
    share = np.mean((np.arange(100, 120) % 5) == np.argmin(((placed[:, None] - Y) ** 2).sum(axis=2), axis=1) % 5)
    return Check(largest(worst, 1.0 - share), 1e-6, "loss above the local least", "scipy.optimize.minimize")


def _entropy_row(square: np.ndarray, perplexity: float) -> np.ndarray:
    from scipy.optimize import brentq

    def row(beta: float) -> np.ndarray:
        p = np.exp(-(square - square.min()) * np.exp(beta))
        return p / p.sum()

    def surplus(beta: float) -> float:
        p = row(beta)
        return -float((p[p > 0] * np.log(p[p > 0])).sum()) - np.log(perplexity)

    return row(brentq(surplus, -12, 12, xtol=1e-14))


@evidence("t-sne", claim="Classes of handwritten digits part in the map and for held-out rows", against="known labels")
def digits_map() -> Check:
    from sklearn.datasets import load_digits

    from fivefold.models.unsupervised import BarnesHutTSNE

    X, y = load_digits(return_X_y=True)
    model = BarnesHutTSNE(perplexity=20.0, max_iter=350, exaggeration_iter=150).fit(X[:600])
    held = model.transform(X[600:800])
    nearest = ((held[:, None] - model.embedding_) ** 2).sum(axis=2).argmin(axis=1)
    # One nearest neighbor in all 64 dimensions reaches 0.96; a map of two may lose a tenth of it.
    return Check(float((y[nearest] == y[600:800]).mean()), 0.86, "accuracy", "known labels", at_least=True)
