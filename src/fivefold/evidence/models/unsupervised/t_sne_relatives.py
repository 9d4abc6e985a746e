"""Relatives of t-SNE: its tree of Barnes and Hut, SNE with Gaussians in the map, the choice of the perplexity."""

from __future__ import annotations

import time

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest

from .t_sne import blobs, slopes


@evidence(
    "tsne-barnes-hut",
    claim="Angle 0 is the exact gradient and divergence; the error grows with the angle and stays small",
    against="the sum over all pairs",
)
def tree_against_all_pairs() -> Check:
    from scipy import sparse

    from fivefold.models.unsupervised._affinities import divergence, joint_affinities, tree_divergence

    worst = 0.0
    for dims, n in ((1, 60), (2, 9), (2, 400), (3, 300)):
        X = blobs(n, 5, "tree")
        P = joint_affinities(X, 3.0)
        for scale in (1e-4, 1.0, 30.0):
            Y = scale * Streams(1).numpy("tree-map", dims).normal(size=(n, dims))
            Y[::7] = Y[0]  # coincident rows
            loss, grad = divergence(P, Y)
            tree_loss, tree_grad = tree_divergence(sparse.csr_array(P), Y, 0.0)
            worst = largest(worst, abs(tree_loss - loss), float(np.abs(tree_grad - grad).max() / np.abs(grad).max()))
            twice = tree_divergence(sparse.csr_array(P), Y, 0.0, 2.0)[1]
            once = tree_divergence(sparse.csr_array(2 * P), Y, 0.0)[1]
            worst = largest(worst, float(np.abs(twice - once).max() / np.abs(once).max()))
            if n < 300:
                continue
            errors = [
                float(np.linalg.norm(tree_divergence(sparse.csr_array(P), Y, angle)[1] - grad) / np.linalg.norm(grad))
                for angle in (0.2, 0.5, 1.0)
            ]
            # A cell's error is of second order in the angle, with weights that partly cancel.
            limits = np.array([0.2, 0.5, 1.0]) ** 2 / 4
            rising = errors[0] <= errors[1] <= errors[2]
            fails = not rising or bool(np.any(np.array(errors) > limits)) or errors[2] < 1e-9
            worst = largest(worst, float(fails))
    return Check(worst, 1e-10, "largest difference", "the sum over all pairs")


@evidence(
    "tsne-barnes-hut",
    claim="Four times the rows cost far less than 16 times the work of a step",
    against="n log n",
)
def growth() -> Check:
    import numba
    from scipy import sparse

    from fivefold.models.unsupervised._affinities import tree_divergence

    before, seconds = numba.get_num_threads(), []
    numba.set_num_threads(1)
    for n in (2000, 8000):
        Y = 10.0 * Streams(1).numpy("growth").normal(size=(n, 2))
        P = sparse.csr_array((np.full(n, 1 / n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
        times = []
        for _ in range(4):
            start = time.process_time()
            tree_divergence(P, Y)
            times.append(time.process_time() - start)
        seconds.append(min(times))
    numba.set_num_threads(before)
    # 4 log(8000) / log(2000) = 4.7; all pairs would take 16.
    return Check(seconds[1] / seconds[0], 9.0, "ratio of times", "n log n")


@evidence(
    "tsne-barnes-hut",
    claim="Sparse affinities and the divergence reached equal scikit-learn's",
    against="scikit-learn TSNE(method='barnes_hut')",
)
def same_as_barnes_hut() -> Check:
    from sklearn import manifold

    from fivefold.models.unsupervised import BarnesHutTSNE
    from fivefold.models.unsupervised._affinities import conditional_affinities, sparse_affinities

    X = blobs(300, 6, "peer")
    P = sparse_affinities(X, 5.0)
    square = ((X[:, None] - X) ** 2).sum(axis=2)
    np.fill_diagonal(square, np.inf)
    near = np.argsort(square, axis=1)[:, :16]
    known = np.zeros((300, 300))
    np.put_along_axis(known, near, conditional_affinities(np.take_along_axis(square, near, axis=1), 5.0)[0], axis=1)
    gap = float(np.abs(P.toarray() - (known + known.T) / 600).max())
    start = 1e-2 * Streams(1).numpy("start").normal(size=(300, 2))
    ours = BarnesHutTSNE(perplexity=5.0, init=start, max_iter=500).fit(X)
    peer = manifold.TSNE(perplexity=5.0, init=start, max_iter=500).fit(X)
    worse = ours.kl_divergence_ / peer.kl_divergence_ - 1
    defaults = BarnesHutTSNE().get_params()
    gap = largest(
        gap, float(defaults["angle"] != 0.5 or defaults["perplexity"] != 30.0 or defaults["max_iter"] != 1000)
    )
    gap = largest(gap, float(defaults["exaggeration_iter"] != 250 or defaults["early_exaggeration"] != 12.0))
    # Chaotic descents end in other minima of much the same depth.
    return Check(gap if worse < 0.05 else worse, 1e-9, "largest difference", "scikit-learn TSNE")


def _gaussian(P: np.ndarray, Y: np.ndarray) -> float:
    near = np.exp(-((Y[:, None] - Y) ** 2).sum(axis=2))
    np.fill_diagonal(near, 0)
    q = near / near.sum(axis=1, keepdims=True) / len(Y)
    keep = P > 0
    return float((P[keep] * np.log(P[keep] / q[keep])).sum())


@evidence("sne", claim="Divergence and gradient by definition", against="finite differences")
def sne_gradient() -> Check:
    from fivefold.models.unsupervised._affinities import conditional_matrix, divergence

    worst = 0.0
    for dims in (1, 2):
        P = conditional_matrix(blobs(22, 5, "sne"), 6.0) / 22
        Y = 0.7 * Streams(1).numpy("sne-map", dims).normal(size=(22, dims))
        loss, grad = divergence(P, Y, kernel="gaussian")
        worst = largest(worst, abs(loss - _gaussian(P, Y)))
        worst = largest(worst, float(np.abs(grad - slopes(lambda y, P=P: _gaussian(P, y), Y)).max()))
    return Check(worst, 1e-8, "largest difference", "finite differences")


@evidence(
    "sne",
    claim="Descent reaches a stationary map of row-wise P, from its own defaults",
    against="scipy.optimize.minimize",
)
def sne_minimum() -> Check:
    from scipy.optimize import minimize

    from fivefold.models.unsupervised import SNE
    from fivefold.models.unsupervised._affinities import conditional_matrix, divergence

    X = blobs(40, 5, "sne-fit")
    model = SNE(perplexity=8.0, max_iter=800).fit(X)
    P = conditional_matrix(X, 8.0) / 40
    loss = _gaussian(P, model.embedding_)
    gap = abs(loss - model.kl_divergence_)
    polished = minimize(
        lambda y: (lambda f, g: (f, g.ravel()))(*divergence(P, y.reshape(40, 2), kernel="gaussian")),
        model.embedding_.ravel(),
        jac=True,
        method="L-BFGS-B",
    )
    gap = largest(gap, loss - float(polished.fun))
    gap = largest(gap, float(SNE().early_exaggeration != 1.0 or SNE().perplexity != 30.0 or SNE().max_iter != 1000))
    return Check(gap, 1e-4, "divergence above the least nearby", "scipy.optimize.minimize")


@evidence(
    "sne",
    claim="The Student tail puts far pairs farther: gaps between clusters over their widths exceed those of SNE",
    against="definition of both kernels",
)
def crowding() -> Check:
    from fivefold.models.unsupervised import SNE, TSNE

    # One similarity needs the distance sqrt(1/s - 1) under the Student kernel and sqrt(ln 1/s) under the Gaussian.
    s = np.array([0.9, 0.5, 0.1, 0.01])
    ratio = np.sqrt(1 / s - 1) / np.sqrt(np.log(1 / s))
    wrong = int((~(np.diff(ratio) > 0)).any())
    X, label = blobs(100, 20, "crowding"), np.arange(100) % 5
    spread = []
    for cls in (SNE, TSNE):
        Y = cls(perplexity=10.0, max_iter=600).fit(X).embedding_
        centers = np.array([Y[label == c].mean(axis=0) for c in range(5)])
        width = np.sqrt(np.mean((Y - centers[label]) ** 2))
        gaps = np.linalg.norm(centers[:, None] - centers, axis=2)[np.triu_indices(5, 1)]
        spread.append(gaps.min() / width)
    wrong += not spread[1] > spread[0]
    return Check(wrong, 0, "violations", "definition of both kernels")


@evidence("tsne-auto-perplexity", claim="S = 2 KL + ln(n) Perp / n, and its minimum is chosen", against="by hand")
def pseudo_bic() -> Check:
    from fivefold.models.unsupervised import TSNE, AutoPerplexityTSNE
    from fivefold.models.unsupervised._affinities import divergence, joint_affinities
    from fivefold.models.unsupervised.tsne_perplexity import pseudo_bic as score

    # n = 100: ln(100) = 4.605170185988092; 2 * 0.5 + 4.605170185988092 * 20 / 100.
    worst = abs(float(score(0.5, 20.0, 100)) - 1.9210340371976184)
    X = blobs(60, 4, "auto")
    model = AutoPerplexityTSNE(perplexities=[3.0, 8.0, 15.0], max_iter=250, exaggeration_iter=80).fit(X)
    kl = []
    for perplexity in (3.0, 8.0, 15.0):
        one = TSNE(perplexity=perplexity, max_iter=250, exaggeration_iter=80).fit(X)
        kl.append(divergence(joint_affinities(X, perplexity), one.embedding_)[0])
        if perplexity == model.perplexity_:
            worst = largest(worst, float(np.abs(one.embedding_ - model.embedding_).max()))
            worst = largest(worst, abs(model.kl_divergence_ - kl[-1]))
    known = 2 * np.array(kl) + np.log(60) * np.array([3.0, 8.0, 15.0]) / 60
    worst = largest(worst, float(np.abs(model.scores_ - known).max()), float(np.abs(model.kl_divergences_ - kl).max()))
    worst = largest(worst, float(model.perplexity_ != [3.0, 8.0, 15.0][int(known.argmin())]))
    worst = largest(worst, float(model.perplexity != model.perplexity_))
    return Check(worst, 1e-10, "largest difference", "by hand")


@evidence(
    "tsne-auto-perplexity",
    claim="The default sweep is 5 to 50 below a third of the rows; KL falls along it while the price rises",
    against="definition",
)
def sweep() -> Check:
    from fivefold.models.unsupervised import AutoPerplexityTSNE

    wrong = 0
    for n, known in ((170, np.arange(5.0, 51, 5)), (60, [5.0, 10.0, 15.0]), (12, [4.0]), (2, [1.0])):
        model = AutoPerplexityTSNE(max_iter=2).fit(blobs(n, 3, "sweep"))
        wrong += not np.array_equal(model.perplexities_, known)
    model = AutoPerplexityTSNE(max_iter=300, exaggeration_iter=100).fit(blobs(160, 3, "sweep"))
    wrong += int((~(np.diff(model.kl_divergences_) < 0)).sum())
    wrong += model.perplexity_ != model.perplexities_[model.scores_.argmin()]
    stated = {
        "n_components": 2,
        "perplexities": None,
        "angle": 0.5,
        "early_exaggeration": 12.0,
        "learning_rate": "auto",
    }
    stated |= {"max_iter": 1000, "exaggeration_iter": 250, "init": "pca", "random_state": None}
    wrong += AutoPerplexityTSNE().get_params() != stated
    return Check(wrong, 0, "violations", "definition")
