"""SNE and t-SNE: affinities and gradients by definition, the optimizer step by step, the tree, new points, peers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _blobs(n: int, d: int, name: str) -> np.ndarray:
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


def _gaussian(P: np.ndarray, Y: np.ndarray) -> float:
    near = np.exp(-((Y[:, None] - Y) ** 2).sum(axis=2))
    np.fill_diagonal(near, 0)
    q = near / near.sum(axis=1, keepdims=True) / len(Y)
    keep = P > 0
    return float((P[keep] * np.log(P[keep] / q[keep])).sum())


def _slopes(function: Any, Y: np.ndarray, step: float = 1e-5) -> np.ndarray:
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
        X = _blobs(n, 4, "affinities")
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
        X = _blobs(25, 5, "gradient")
        Y = Streams(1).numpy("map", dims).normal(size=(25, dims))
        P = joint_affinities(X, 6.0)
        loss, grad = divergence(P, Y)
        worst = largest(worst, abs(loss - _student(P, Y)))
        worst = largest(worst, float(np.abs(grad - _slopes(lambda y, P=P: _student(P, y), Y)).max()))
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

    X = _blobs(30, 4, "optimizer")
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

    X = _blobs(100, 4, "repeated")
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
        large = _blobs(1500, 4, "threads")
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

    X = _blobs(120, 4, "new")
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
        X = _blobs(n, 5, "tree")
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

    X = _blobs(300, 6, "peer")
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


@evidence("sne", claim="Divergence and gradient by definition", against="finite differences")
def sne_gradient() -> Check:
    from fivefold.models.unsupervised._affinities import conditional_matrix, divergence

    worst = 0.0
    for dims in (1, 2):
        P = conditional_matrix(_blobs(22, 5, "sne"), 6.0) / 22
        Y = 0.7 * Streams(1).numpy("sne-map", dims).normal(size=(22, dims))
        loss, grad = divergence(P, Y, kernel="gaussian")
        worst = largest(worst, abs(loss - _gaussian(P, Y)))
        worst = largest(worst, float(np.abs(grad - _slopes(lambda y, P=P: _gaussian(P, y), Y)).max()))
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

    X = _blobs(40, 5, "sne-fit")
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
    X, label = _blobs(100, 20, "crowding"), np.arange(100) % 5
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
    X = _blobs(60, 4, "auto")
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
        model = AutoPerplexityTSNE(max_iter=2).fit(_blobs(n, 3, "sweep"))
        wrong += not np.array_equal(model.perplexities_, known)
    model = AutoPerplexityTSNE(max_iter=300, exaggeration_iter=100).fit(_blobs(160, 3, "sweep"))
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
