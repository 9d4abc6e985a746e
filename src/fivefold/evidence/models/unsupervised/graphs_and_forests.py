"""Eigenmaps, spectral clustering, scaling, probabilistic PCA and isolation forests: closed forms and peers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest, smallest


def _curve(n: int) -> np.ndarray:
    """Return rows along a curve, so that every graph of neighbors is connected."""
    t = np.sort(Streams(6).numpy("curve").random(n)) * 4
    return np.c_[np.cos(t), np.sin(t), t / 3]


@evidence(
    "laplacian-eigenmaps",
    claim="Columns solve L z = λ D z with Z'DZ = I, and ½ Σ w |z_i - z_j|² = tr Z'LZ = Σ λ, by differences squared",
    against="definition",
)
def eigenmap_equations() -> Check:
    from fivefold.models.unsupervised import LaplacianEigenmaps

    X, worst = _curve(60), 0.0
    near = np.argsort(((X[:, None] - X) ** 2).sum(axis=2), axis=1)[:, 1:6]
    votes = np.zeros((60, 60))
    np.put_along_axis(votes, near, 1.0, axis=1)
    graphs = {
        "nearest_neighbors": (votes + votes.T) / 2,
        "rbf": np.exp(-2.0 * ((X[:, None] - X) ** 2).sum(axis=2)) - np.eye(60),
    }
    for affinity, W in graphs.items():
        model = LaplacianEigenmaps(3, affinity=affinity, n_neighbors=6, gamma=2.0).fit(X)
        Z, values = model.embedding_, model.eigenvalues_
        D = np.diag(W.sum(axis=1))
        L = D - W
        worst = largest(
            worst, float(np.abs(L @ Z - D @ Z * values).max()), float(np.abs(Z.T @ D @ Z - np.eye(3)).max())
        )
        worst = largest(worst, float(np.abs(np.ones(60) @ D @ Z).max()))
        smooth = 0.5 * (W * ((Z[:, None] - Z) ** 2).sum(axis=2)).sum()
        worst = largest(worst, abs(smooth - np.trace(Z.T @ L @ Z)), abs(smooth - values.sum()))
        normal = np.linalg.eigvalsh(np.eye(60) - W / np.sqrt(np.outer(np.diag(D), np.diag(D))))
        worst = largest(worst, float(np.abs(values - normal[1:4]).max()), float(model.n_connected_components_ != 1))
        # A new row takes the mean of its neighbors over 1 - λ, its own row of the equation.
        x = X[10:11] + 0.01
        w = np.exp(-2.0 * ((x - X) ** 2).sum(axis=1))
        if affinity == "nearest_neighbors":
            w = np.isin(np.arange(60), np.argsort(-w)[:5]).astype(float)
        worst = largest(worst, float(np.abs(model.transform(x) - (w @ Z) / w.sum() / (1 - values)).max()))
        worst = largest(worst, float(np.abs(model.transform(X) - Z).max()))
    stated = {"n_components": 2, "affinity": "nearest_neighbors", "n_neighbors": 10, "gamma": None}
    worst = largest(worst, float(LaplacianEigenmaps().get_params() != stated))
    return Check(worst, 1e-10, "largest violation", "definition")


@evidence(
    "laplacian-eigenmaps",
    claim="The map of a path of rows is the cosine of its places; a large ring's waves; a graph in pieces is named",
    against="closed form",
)
def path_graph() -> Check:
    from scipy.linalg import circulant
    from sklearn.exceptions import ConvergenceWarning

    from fivefold.models.unsupervised import LaplacianEigenmaps

    n = 30
    W = np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)
    model = LaplacianEigenmaps(3, affinity="precomputed").fit(W)
    modes = np.arange(1, 4)
    worst = float(np.abs(model.eigenvalues_ - (1 - np.cos(np.pi * modes / (n - 1)))).max())
    known = np.cos(np.pi * np.outer(np.arange(n), modes) / (n - 1))
    known /= np.sqrt((known**2 * W.sum(axis=1)[:, None]).sum(axis=0))
    worst = largest(worst, float(np.abs(np.abs(model.embedding_) - np.abs(known)).max()))
    # A ring too large for dense algebra, each row linked to 100 on either side: waves in pairs.
    size, reach = 1600, np.arange(1, 101)
    ring = circulant(np.isin(np.minimum(np.arange(size), size - np.arange(size)), reach).astype(float))
    found = LaplacianEigenmaps(3, affinity="precomputed").fit(ring).eigenvalues_
    waves = 1 - np.cos(2 * np.pi * np.outer([1, 1, 2], reach) / size).mean(axis=1)
    worst = largest(worst, float(np.abs(found - waves).max()))
    W[9, 10] = W[10, 9] = 0.0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pieces = LaplacianEigenmaps(2, affinity="precomputed").fit(W)
    worst = largest(worst, float(pieces.n_connected_components_ != 2 or not abs(pieces.eigenvalues_[0]) <= 1e-12))
    worst = largest(worst, float([w.category for w in said] != [ConvergenceWarning]))
    return Check(worst, 1e-10, "largest difference", "closed form")


@evidence(
    "laplacian-eigenmaps",
    claim="Equal to scikit-learn's up to sign and scale, dense and by Lanczos",
    against="scikit-learn SpectralEmbedding",
)
def same_eigenmaps() -> Check:
    from sklearn.manifold import SpectralEmbedding

    from fivefold.models.unsupervised import LaplacianEigenmaps

    worst = 0.0
    for n in (150, 1700):
        X = _curve(n)
        for affinity in ("rbf", "nearest_neighbors"):
            if n > 1500 and affinity == "rbf":
                continue
            ours = LaplacianEigenmaps(2, affinity=affinity, n_neighbors=60, gamma=1.0).fit(X).embedding_
            peer = SpectralEmbedding(2, affinity=affinity, n_neighbors=60, gamma=1.0, random_state=0).fit_transform(X)
            ours, peer = (Z / np.linalg.norm(Z, axis=0) for Z in (ours, peer))
            worst = largest(worst, float(np.abs(np.abs((ours * peer).sum(axis=0)) - 1).max()))
    return Check(worst, 1e-6, "1 - |cosine|", "scikit-learn SpectralEmbedding")


def _moons_and_rings(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_circles, make_moons

    maker: Any = make_moons if name == "moons" else make_circles
    options = {} if name == "moons" else {"factor": 0.4}
    return maker(200, noise=0.05, random_state=0, **options)


@evidence(
    "spectral-clustering",
    claim="Two moons and two rings part without an error, where k-means fails",
    against="known labels, k-means as control",
)
def moons_and_rings() -> Check:
    from sklearn.metrics import adjusted_rand_score

    from fivefold.models.unsupervised import KMeans, SpectralClustering

    worst = 1.0
    for name in ("moons", "rings"):
        X, y = _moons_and_rings(name)
        for params in ({"affinity": "nearest_neighbors", "n_neighbors": 8}, {"gamma": 30.0}):
            labels = SpectralClustering(2, random_state=0, **params).fit(X).labels_
            worst = smallest(worst, adjusted_rand_score(y, labels))
        plain = adjusted_rand_score(y, KMeans(2, random_state=0).fit(X).labels_)
        worst = smallest(worst, 1.0 if plain < 0.6 else 0.0)
    return Check(worst, 0.98, "adjusted Rand index", "known labels", at_least=True)


@evidence(
    "spectral-clustering", claim="Labels match scikit-learn's up to names", against="scikit-learn SpectralClustering"
)
def same_clusters() -> Check:
    from sklearn.cluster import SpectralClustering as Peer
    from sklearn.metrics import adjusted_rand_score

    from fivefold.models.unsupervised import SpectralClustering

    rng = Streams(6).numpy("clusters")
    X = np.repeat([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], 50, axis=0) + 0.6 * rng.normal(size=(150, 2))
    W = np.exp(-0.7 * ((X[:, None] - X) ** 2).sum(axis=2))
    least = 1.0
    for params, data in (
        ({"affinity": "rbf", "gamma": 0.7}, X),
        ({"affinity": "precomputed"}, W),
        ({"affinity": "rbf"}, X),
    ):
        ours = SpectralClustering(3, random_state=0, **params).fit(data).labels_
        peer = Peer(3, random_state=0, **params).fit(data).labels_
        least = smallest(least, adjusted_rand_score(ours, peer))
    return Check(least, 1.0 - 1e-12, "adjusted Rand index", "scikit-learn SpectralClustering", at_least=True)


@evidence(
    "spectral-clustering",
    claim="Pieces of a graph are its clusters, with as many eigenvalues of zero; rows of the eigenvectors have length one",
    against="theorem",
)
def pieces_are_clusters() -> Check:
    from fivefold.models.unsupervised import KMeans, SpectralClustering
    from fivefold.models.unsupervised.spectral import smooth_vectors

    rng = Streams(6).numpy("blocks")
    W = np.zeros((30, 30))
    for a, b in ((0, 5), (5, 15), (15, 30)):
        block = rng.random((b - a, b - a)) + 0.1
        W[a:b, a:b] = (block + block.T) / 2
    model = SpectralClustering(3, affinity="precomputed", random_state=0).fit(W)
    truth = np.repeat([0, 1, 2], [5, 10, 15])
    wrong = int(
        len({*zip(truth.tolist(), model.labels_.tolist(), strict=True)}) != 3 or len(set(model.labels_.tolist())) != 3
    )
    wrong += bool(not np.abs(model.eigenvalues_).max() <= 1e-12)
    more = SpectralClustering(4, affinity="precomputed", random_state=0).fit(W)
    wrong += bool(not more.eigenvalues_[3] >= 1e-3)
    # Weights from a row to itself are no edge.
    loops = SpectralClustering(4, affinity="precomputed", random_state=0).fit(W + np.eye(30))
    wrong += not np.allclose(loops.eigenvalues_, more.eigenvalues_, atol=1e-12)
    bridged = W.copy()
    bridged[4, 5] = bridged[5, 4] = bridged[14, 15] = bridged[15, 14] = 0.3
    found = SpectralClustering(3, affinity="precomputed", random_state=0).fit(bridged)
    np.fill_diagonal(bridged, 0.0)
    values, vectors, _ = smooth_vectors(bridged, 3)
    points = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    seed = Streams(0).integer("spectral")
    wrong += not np.array_equal(found.labels_, KMeans(3, n_init=10, random_state=seed).fit(points).labels_)
    wrong += not np.allclose(values, found.eigenvalues_, atol=1e-14)
    stated = {"n_clusters": 8, "affinity": "rbf", "n_neighbors": 10, "gamma": None, "n_init": 10, "random_state": None}
    wrong += SpectralClustering().get_params() != stated
    return Check(wrong, 0, "violations", "theorem")


@evidence(
    "multidimensional-scaling",
    claim="Euclidean distances give the PCA scores up to sign, also of new rows, and distances are rebuilt",
    against="PCA",
)
def scaling_is_pca() -> Check:
    from fivefold.models.unsupervised import PCA, ClassicalMDS

    X = Streams(6).numpy("mds").normal(size=(50, 4)) * [4, 3, 2, 1] + 7
    distance = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
    scores = PCA(3).fit(X[:40]).transform(X)
    given = ClassicalMDS(3, metric="precomputed").fit(distance[:40, :40])
    rows = ClassicalMDS(3).fit(X[:40])
    worst = 0.0
    for Z in (given.transform(distance[:, :40]), rows.transform(X)):
        worst = largest(worst, float(np.abs(Z * np.sign((Z * scores).sum(axis=0)) - scores).max()))
    worst = largest(worst, float(np.abs(rows.embedding_ - rows.transform(X[:40])).max()))
    worst = largest(worst, float(np.abs(rows.eigenvalues_ - 39 * scores[:40].var(axis=0, ddof=1)).max() / 100))
    every = ClassicalMDS(6, metric="precomputed").fit(distance)
    Z = every.embedding_
    worst = largest(worst, float(np.abs(np.sqrt(((Z[:, None] - Z) ** 2).sum(axis=2)) - distance).max()))
    worst = largest(worst, float(np.abs(Z[:, 4:]).max()), every.negative_share_)
    # Three of four rows in a ring at distance 1, the fourth at 0.5 of all: no place in any space.
    ring = np.ones((4, 4)) - np.eye(4)
    ring[3, :3] = ring[:3, 3] = 0.5
    J = np.eye(4) - 0.25
    values = np.linalg.eigvalsh(-0.5 * J @ ring**2 @ J)
    bad = ClassicalMDS(2, metric="precomputed").fit(ring)
    worst = largest(worst, abs(bad.negative_share_ + values[values < 0].sum() / np.abs(values).sum()))
    worst = largest(worst, float(not values.min() <= -1e-3), float(ClassicalMDS().n_components != 2))
    return Check(worst, 1e-8, "largest difference", "PCA")


@evidence(
    "multidimensional-scaling",
    claim="Distances by hand: three points of a line, and an equilateral triangle",
    against="worked by hand",
)
def scaling_by_hand() -> Check:
    from fivefold.models.unsupervised import ClassicalMDS

    line = ClassicalMDS(2, metric="precomputed").fit([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]])
    # Places 0, 1, 3 less their mean 4/3; the largest entry is positive.
    worst = float(np.abs(line.embedding_ - np.array([[-4 / 3, 0], [-1 / 3, 0], [5 / 3, 0]])).max())
    worst = largest(worst, abs(line.eigenvalues_[0] - 42 / 9))
    triangle = ClassicalMDS(2, metric="precomputed").fit(np.ones((3, 3)) - np.eye(3))
    worst = largest(worst, float(np.abs(triangle.eigenvalues_ - 0.5).max()))
    same = ClassicalMDS(2).fit(np.ones((5, 3)))
    worst = largest(worst, float(np.abs(same.embedding_).max()))
    return Check(worst, 1e-7, "largest difference", "worked by hand")


@evidence(
    "probabilistic-pca",
    claim="σ² is the mean discarded eigenvalue; covariance, posterior and likelihood by the normal law",
    against="scipy multivariate_normal",
)
def latent_normal() -> Check:
    from scipy.stats import multivariate_normal

    from fivefold.models.unsupervised import PCA, ProbabilisticPCA

    rng = Streams(6).numpy("ppca")
    X = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5)) + 4
    values = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]
    worst = 0.0
    for k in (1, 2, 4):
        model = ProbabilisticPCA(k).fit(X)
        worst = largest(worst, abs(model.noise_variance_ - values[k:].mean()))
        C = model.get_covariance()
        known = np.where(np.arange(5) < k, values, values[k:].mean())
        worst = largest(worst, float(np.abs(np.linalg.eigvalsh(C)[::-1] - known).max()))
        worst = largest(
            worst, float(np.abs(model.score_samples(X) - multivariate_normal(X.mean(axis=0), C).logpdf(X)).max())
        )
        worst = largest(worst, abs(model.score(X) - model.log_likelihoods_[-1]))
        # The posterior mean is the regression of z on x in the joint normal law.
        W = model.loadings_
        worst = largest(worst, float(np.abs(model.transform(X) - (X - X.mean(axis=0)) @ np.linalg.solve(C, W)).max()))
        # PCA divides by n - 1: rows drawn in by sqrt((n - 1) / n) have its covariance with the divisor n.
        drawn = X.mean(axis=0) + (X - X.mean(axis=0)) * np.sqrt(79 / 80)
        worst = largest(worst, abs(PCA(k).fit(drawn).score(X) - model.score(X)))
        w = rng.integers(0, 3, size=80)
        weighted, repeated = (
            ProbabilisticPCA(k).fit(X, sample_weight=w),
            ProbabilisticPCA(k).fit(np.repeat(X, w, axis=0)),
        )
        worst = largest(worst, float(np.abs(weighted.get_covariance() - repeated.get_covariance()).max()))
    return Check(worst, 1e-10, "largest difference", "scipy multivariate_normal")


@evidence(
    "probabilistic-pca",
    claim="EM never lowers the likelihood and ends at the closed form, which no perturbation beats",
    against="theorem",
)
def expectation_maximization() -> Check:
    from fivefold.models.unsupervised import ProbabilisticPCA

    rng = Streams(6).numpy("em")
    X = rng.normal(size=(60, 4)) * [4, 2, 1, 0.7]
    exact = ProbabilisticPCA(2).fit(X)
    model = ProbabilisticPCA(2, algorithm="em", max_iter=5000, tol=1e-14).fit(X)
    worst = largest(0.0, -float(np.diff(model.log_likelihoods_).min()))
    # The likelihood is flat to second order: 1e-10 of it is 1e-5 of the covariance, whose size is 16.
    worst = largest(worst, 1e-6 * float(np.abs(model.get_covariance() - exact.get_covariance()).max()))
    worst = largest(
        worst, abs(model.score(X) - exact.score(X)), float(model.n_iter_ != len(model.log_likelihoods_) - 1)
    )
    one = ProbabilisticPCA(2, algorithm="em", max_iter=1).fit(X)
    S = np.cov(X.T, bias=True)
    order = np.argsort(-np.diag(S))[:2]
    W, noise = S[:, order] / np.sqrt(np.diag(S)[order]), np.trace(S) / 4
    z = np.linalg.inv(W.T @ W + noise * np.eye(2)) @ W.T  # E[z | x] = z x
    second = noise * np.linalg.inv(W.T @ W + noise * np.eye(2)) + z @ S @ z.T
    new = S @ z.T @ np.linalg.inv(second)
    variance = np.trace(S - 2 * new @ z @ S + new @ second @ new.T) / 4
    worst = largest(worst, float(np.abs(one.loadings_ - new).max()), abs(one.noise_variance_ - variance))
    for _ in range(100):
        other = ProbabilisticPCA(2).fit(X)
        other.loadings_ = exact.loadings_ + 0.01 * rng.normal(size=(4, 2))
        other.noise_variance_ = exact.noise_variance_ * np.exp(0.01 * rng.normal())
        worst = largest(worst, other.score(X) - exact.score(X))
    stated = {"n_components": 1, "algorithm": "closed-form", "max_iter": 1000, "tol": 1e-10}
    worst = largest(worst, float(ProbabilisticPCA().get_params() != stated))
    return Check(worst, 1e-10, "largest violation", "theorem")


@evidence(
    "isolation-forest",
    claim="c(n) is the mean depth of a search in a random tree; 0 for one row, 1 for two",
    against="harmonic numbers",
)
def path_normalizer() -> Check:
    from fivefold.models.unsupervised.isolation_forest import average_path

    exact = [
        0.0 if n < 2 else 1.0 if n == 2 else 2 * (np.log(n - 1) + 0.5772156649015329) - 2 * (n - 1) / n
        for n in range(300)
    ]
    worst = float(np.abs(average_path(np.arange(300)) - exact).max())
    # ln m + γ misses the harmonic number by less than 1 / 2m.
    for n in (10, 100, 256):
        harmonic = sum(1 / i for i in range(1, n))
        worst = largest(worst, float(not abs(average_path(n) - (2 * harmonic - 2 * (n - 1) / n)) <= 1 / (n - 1)))
    return Check(worst, 1e-12, "largest difference", "harmonic numbers")


@evidence(
    "isolation-forest",
    claim="Trees partition their rows, end at the depth limit, and the score is -2^(-E h / c)",
    against="walk through the trees",
)
def trees_by_walk() -> Check:
    from fivefold.models.unsupervised import IsolationForest
    from fivefold.models.unsupervised.isolation_forest import average_path

    X = Streams(6).numpy("walk").normal(size=(40, 3))
    X[:, 1] = 2.0  # never cut
    X[5] = X[6]
    worst = 0.0
    for psi in (40, 16):
        model = IsolationForest(12, max_samples=psi, random_state=3).fit(X)
        depth = np.zeros((12, 40))
        limit = int(np.ceil(np.log2(psi)))
        for t in range(12):
            rows = 0
            stack = [(0, 0, model.size_[t, 0])]
            while stack:
                node, level, size = stack.pop()
                worst = largest(worst, float(model.size_[t, node] != size))
                if model.feature_[t, node] < 0:
                    rows += size
                    worst = largest(worst, float(not level <= limit))
                    continue
                worst = largest(worst, float(model.feature_[t, node] == 1))
                a = model.left_[t, node]
                sizes = model.size_[t, a], model.size_[t, a + 1]
                worst = largest(worst, float(sum(sizes) != size or not min(sizes) >= 1))
                stack += [(a, level + 1, sizes[0]), (a + 1, level + 1, sizes[1])]
            worst = largest(worst, float(rows != psi))
            for i, x in enumerate(X):
                node = 0
                while model.feature_[t, node] >= 0:
                    node = model.left_[t, node] + int(x[model.feature_[t, node]] > model.cut_[t, node])
                    depth[t, i] += 1
                depth[t, i] += average_path(model.size_[t, node])
        known = -(2.0 ** (-depth.mean(axis=0) / average_path(psi)))
        worst = largest(worst, float(np.abs(model.score_samples(X) - known).max()))
    worst = largest(
        worst, float(np.abs(IsolationForest(5).fit(np.ones((9, 2))).score_samples(np.ones((9, 2))) + 0.5).max())
    )
    worst = largest(worst, abs(IsolationForest(5).fit([[1.0]]).score_samples([[7.0]])[0] + 0.5))
    shares = [
        IsolationForest(2, max_samples=given).fit(np.arange(400.0)[:, None]).max_samples_
        for given in ("auto", 0.25, 500, 10)
    ]
    worst = largest(worst, float(shares != [256, 100, 400, 10]))
    stated = {"n_estimators": 100, "max_samples": "auto", "contamination": "auto", "random_state": None}
    worst = largest(worst, float(IsolationForest().get_params() != stated))
    return Check(worst, 1e-12, "largest difference", "walk through the trees")


@evidence(
    "isolation-forest",
    claim="Cuts are uniform between the extremes of a column drawn evenly among the varying ones",
    against="uniform law",
)
def uniform_cuts() -> Check:
    from fivefold.models.unsupervised import IsolationForest

    X = np.array([[0.0, 5.0, 1.0], [10.0, 5.0, 3.0]])
    model = IsolationForest(4000, random_state=0).fit(X)
    first = model.feature_[:, 0] == 0
    share = np.abs(first.mean() - 0.5) / np.sqrt(0.25 / 4000)
    places = np.where(first, model.cut_[:, 0] / 10, (model.cut_[:, 0] - 1) / 2)
    middle = np.abs(places.mean() - 0.5) / np.sqrt(1 / 12 / 4000)
    spread = np.abs((places**2).mean() - 1 / 3) / np.sqrt(4 / 45 / 4000)
    wide = places.min() >= 0 and places.max() <= 1
    # Five standard deviations happen once in a million.
    return Check(float(largest(share, middle, spread) if wide else np.inf), 5.0, "standard deviations", "uniform law")


@evidence(
    "isolation-forest",
    claim="Ranks anomalies within noise of scikit-learn's; thresholds and threads as stated",
    against="scikit-learn IsolationForest",
)
def same_auroc() -> Check:
    import numba
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import IsolationForest as Peer
    from sklearn.metrics import roc_auc_score

    from fivefold.models.unsupervised import IsolationForest

    X, y = load_breast_cancer(return_X_y=True)
    train, malignant = X[y == 1][:200], y[200:] == 0
    before = numba.get_num_threads()
    ours, peer = [], []
    for seed in range(3):
        model = IsolationForest(random_state=seed).fit(train)
        ours.append(roc_auc_score(malignant, -model.score_samples(X[200:])))
        known = Peer(random_state=seed).fit(train)
        peer.append(roc_auc_score(malignant, -known.score_samples(X[200:])))
    gap = abs(np.mean(ours) - np.mean(peer))
    numba.set_num_threads(1)
    alone = IsolationForest(random_state=2).fit(train)
    numba.set_num_threads(before)
    gap = largest(
        gap, float(not np.array_equal(alone.score_samples(X), model.score_samples(X))), float(model.offset_ != -0.5)
    )
    tenth = IsolationForest(random_state=0, contamination=0.1).fit(train)
    gap = largest(gap, float((tenth.predict(train) == -1).sum() != 20))
    # The mean score of 100 trees leaves an AUROC with a deviation of about 0.005 a seed.
    return Check(float(gap), 0.015, "difference of mean AUROC", "scikit-learn IsolationForest")
