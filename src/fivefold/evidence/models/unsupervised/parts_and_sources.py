"""NMF, independent components and kernel PCA: updates by hand, monotone losses, known sources, peers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest, smallest


def _positive(n: int, d: int, rank: int, name: str, noise: float = 0.05) -> np.ndarray:
    rng = Streams(6).numpy(name)
    return rng.gamma(1.0, size=(n, rank)) @ rng.gamma(0.5, size=(rank, d)) + noise * rng.gamma(1.0, size=(n, d))


def _loss(X: np.ndarray, F: np.ndarray, beta_loss: str) -> float:
    if beta_loss == "frobenius":
        return float(((X - F) ** 2).sum() / 2)
    return float(np.where(X > 0, X * np.log(np.where(X > 0, X, 1) / F), 0).sum() - X.sum() + F.sum())


@evidence(
    "nmf", claim="One step of each solver from a given start, and the loss along it", against="the updates by hand"
)
def updates_by_hand() -> Check:
    from fivefold.models.unsupervised import NMF

    X, start = _positive(7, 5, 2, "hand"), Streams(6).numpy("start").gamma(1.0, size=(2, 5))
    X[0, 0] = 0.0
    W0 = np.full((7, 2), np.sqrt(X.mean() / 2))
    worst = 0.0
    for solver, loss in (("mu", "frobenius"), ("mu", "kullback-leibler"), ("hals", "frobenius")):
        model = NMF(2, solver=solver, beta_loss=loss, init=start, max_iter=1).fit(X)
        W, H = W0.copy(), start.copy()
        if solver == "hals":
            for j in range(2):
                W[:, j] = np.maximum(0, (X @ H[j] - W[:, 1 - j] * (H[1 - j] @ H[j])) / (H[j] @ H[j]))
            for j in range(2):
                H[j] = np.maximum(0, (W[:, j] @ X - H[1 - j] * (W[:, 1 - j] @ W[:, j])) / (W[:, j] @ W[:, j]))
        elif loss == "frobenius":
            W = W * (X @ H.T) / (W @ H @ H.T)
            H = H * (W.T @ X) / (W.T @ W @ H)
        else:
            W = W * ((X / (W @ H)) @ H.T) / H.sum(axis=1)
            H = H * (W.T @ (X / (W @ H))) / W.sum(axis=0)[:, None]
        worst = largest(worst, float(np.abs(model.components_ - H).max()))
        known = [_loss(X, W0 @ start, loss), _loss(X, W @ H, loss)]
        worst = largest(worst, float(np.abs(model.loss_path_ - known).max()))
        worst = largest(worst, abs(model.reconstruction_err_ - np.sqrt(2 * known[1])), float(model.n_iter_ != 1))
    stated = {"n_components": None, "solver": "hals", "beta_loss": "frobenius", "init": "svd", "max_iter": 200}
    stated |= {"tol": 1e-4, "random_state": None}
    worst = largest(worst, float(NMF().get_params() != stated))
    return Check(worst, 1e-11, "largest difference", "the updates by hand")


@evidence("nmf", claim="No update ever raises the loss and no entry is negative, from any start", against="theorem")
def monotone() -> Check:
    from fivefold.models.unsupervised import NMF

    X, worst = _positive(40, 12, 4, "monotone"), 0.0
    X[3], X[:, 5] = 0.0, 0.0
    for solver, loss in (("mu", "frobenius"), ("mu", "kullback-leibler"), ("hals", "frobenius")):
        for init in ("svd", "random"):
            model = NMF(4, solver=solver, beta_loss=loss, init=init, max_iter=150, tol=0.0, random_state=1).fit(X)
            path = model.loss_path_
            worst = largest(
                worst, float(np.diff(path).max() / path[0]), float(len(path) != 151), float(not path[0] >= path[-1])
            )
            W = model.transform(X)
            worst = largest(
                worst, float((~(model.components_ >= 0)).any() or (~(W >= 0)).any()), float(np.abs(W[3]).max())
            )
    return Check(worst, 1e-12, "largest rise", "theorem")


@evidence(
    "nmf", claim="Coordinates are the nonnegative least squares of each row; stopping by tol", against="scipy nnls"
)
def coordinates() -> Check:
    from scipy.optimize import nnls

    from fivefold.models.unsupervised import NMF

    X = _positive(60, 10, 3, "rows")
    model = NMF(3, max_iter=400).fit(X)
    W = model.transform(X)
    worst = largest(float(np.abs(W[i] - nnls(model.components_.T, X[i])[0]).max()) for i in range(60))
    worst = largest(worst, float(np.abs(model.inverse_transform(W) - W @ model.components_).max()))
    worst = largest(worst, float(np.abs(model.fit_transform(X) - W).max()))
    roots = np.sqrt(2 * model.loss_path_)
    falls = roots[:-10:10] - roots[10::10]
    stops = falls < 1e-4 * roots[0]
    worst = largest(worst, float(model.n_iter_ % 10 != 0 or not stops[-1] or stops[:-1].any()))
    # With tol = 0 nothing stops it, not even a loss that is zero and stays so.
    for solver in ("hals", "mu"):
        worst = largest(worst, float(NMF(1, tol=0.0, max_iter=37, solver=solver).fit(np.ones((4, 3))).n_iter_ != 37))
    return Check(worst, 1e-7, "largest difference", "scipy nnls")


@evidence(
    "nmf", claim="The error equals scikit-learn's from one start, for every solver and loss", against="scikit-learn NMF"
)
def same_as_scikit_learn() -> Check:
    from sklearn import decomposition
    from sklearn.datasets import load_digits

    from fivefold.models.unsupervised import NMF

    X = load_digits().data[:300]
    worst = 0.0
    start = Streams(6).numpy("digits").gamma(1.0, size=(8, 64))
    W0 = np.full((300, 8), np.sqrt(X.mean() / 8))
    with warnings.catch_warnings():
        # Both are stopped on purpose.
        warnings.simplefilter("ignore")
        for solver, loss in (("mu", "frobenius"), ("mu", "kullback-leibler"), ("cd", "frobenius")):
            peer = decomposition.NMF(8, solver=solver, beta_loss=loss, init="custom", max_iter=60, tol=0)
            peer.fit_transform(X, W=W0.copy(), H=start.copy())
            own = {"mu": "mu", "cd": "hals"}[solver]  # coordinate descent in turn is HALS
            ours = NMF(8, solver=own, beta_loss=loss, init=start, max_iter=60, tol=0.0).fit(X)
            worst = largest(worst, abs(ours.reconstruction_err_ / peer.reconstruction_err_ - 1))
    # The peer adds 1e-7 to divisors; sixty steps keep that small.
    return Check(worst, 1e-4, "relative difference", "scikit-learn NMF")


@evidence("nmf", claim="Parts of digits are strokes: sparser than whole-digit components of PCA", against="PCA")
def strokes() -> Check:
    from sklearn.datasets import load_digits

    from fivefold.models.unsupervised import NMF, PCA

    X = load_digits().data
    shares = []
    for parts in (NMF(16).fit(X).components_, PCA(16).fit(X).components_):
        size = np.abs(parts)
        shares.append((size > 0.1 * size.max(axis=1, keepdims=True)).mean())
    return Check(float(shares[0] / shares[1]), 0.75, "share of pixels in a part over that of PCA", "PCA")


def _sources(n: int) -> np.ndarray:
    t = np.linspace(0, 8, n)
    rng = Streams(6).numpy("sources")
    S = np.c_[np.sin(2 * t), np.sign(np.sin(3 * t)), rng.laplace(size=n)]
    return (S - S.mean(axis=0)) / S.std(axis=0)


_MIXING = np.array([[1.0, 1.0, 1.0], [0.5, 2.0, 1.0], [1.5, 1.0, 2.0]])


@evidence(
    "independent-component-analysis",
    claim="Unmixes known sources with correlation above 0.99, by every contrast and algorithm, at any scale",
    against="known sources",
)
def known_sources() -> Check:
    from fivefold.models.unsupervised import FastICA

    S = _sources(2000)
    least = 1.0
    for algorithm in ("parallel", "deflation"):
        for fun in ("logcosh", "exp", "cube"):
            for scale in (1.0, 1e8):
                model = FastICA(algorithm=algorithm, fun=fun, random_state=0, max_iter=500).fit(
                    scale * S @ _MIXING.T + 3
                )
                found = np.abs(np.corrcoef(S.T, model.transform(scale * S @ _MIXING.T + 3).T)[:3, 3:])
                least = smallest(least, float(found.max(axis=1).min()), float(found.max(axis=0).min()))
    return Check(least, 0.99, "least correlation", "known sources", at_least=True)


@evidence(
    "independent-component-analysis",
    claim="Sources are white, fixed points of the iteration and rebuild the mixture; constant columns are left out",
    against="definition",
)
def fixed_point() -> Check:
    from fivefold.models.unsupervised import FastICA

    X = _sources(800) @ _MIXING.T + 5.0
    derivatives: dict[str, Any] = {
        "logcosh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
        "exp": (lambda u: u * np.exp(-(u**2) / 2), lambda u: (1 - u**2) * np.exp(-(u**2) / 2)),
        "cube": (lambda u: u**3, lambda u: 3 * u**2),
    }
    worst = 0.0
    for algorithm in ("parallel", "deflation"):
        for fun, (g, slope) in derivatives.items():
            model = FastICA(algorithm=algorithm, fun=fun, tol=1e-13, max_iter=3000, random_state=1).fit(X)
            S = model.transform(X)
            worst = largest(worst, float(np.abs(S.T @ S / 800 - np.eye(3)).max()), float(np.abs(S.mean(axis=0)).max()))
            worst = largest(worst, float(np.abs(model.inverse_transform(S) - X).max()))
            worst = largest(worst, float(np.abs(model.mixing_ @ model.components_ - np.eye(3)).max()))
            peaks = model.components_[np.arange(3), np.abs(model.components_).argmax(axis=1)]
            worst = largest(worst, float((~(peaks > 0)).any()))
            # In coordinates of the sources the iteration maps the identity to E[g(s) s'] - diag E[g'(s)].
            M = g(S).T @ S / 800 - np.diag(slope(S).mean(axis=0))
            if algorithm == "parallel":
                u, _, v = np.linalg.svd(M)
                worst = largest(worst, float(np.abs(np.abs(u @ v) - np.eye(3)).max()))
    flat = FastICA(random_state=0).fit(np.c_[X, np.ones(800), X[:, 0]])
    worst = largest(worst, float(flat.components_.shape != (3, 5)))
    stated = {"n_components": None, "algorithm": "parallel", "fun": "logcosh", "max_iter": 200, "tol": 1e-4}
    worst = largest(worst, float(FastICA().get_params() != stated | {"w_init": None, "random_state": None}))
    # The turn is quadratic in the angle: 1e-13 leaves angles of 5e-7.
    return Check(worst, 5e-6, "largest violation", "definition")


@evidence(
    "independent-component-analysis",
    claim="From one start the sources equal scikit-learn's up to order and sign",
    against="scikit-learn FastICA",
)
def same_ica() -> Check:
    from sklearn.decomposition import FastICA as Peer

    from fivefold.models.unsupervised import FastICA

    X = _sources(1000) @ _MIXING.T
    worst = 0.0
    for algorithm in ("parallel", "deflation"):
        for fun in ("logcosh", "exp", "cube"):
            settings: dict[str, Any] = {"algorithm": algorithm, "fun": fun, "tol": 1e-12, "max_iter": 2000}
            start = np.array([[1.0, 0.2, 0.1], [-0.3, 1.0, 0.5], [0.2, -0.4, 1.0]])
            ours = FastICA(w_init=start, **settings).fit(X)
            # Both whiten with the singular vectors, whose signs are free; one start in two frames.
            first = Peer(whiten="unit-variance", w_init=start, max_iter=1, tol=1e9, fun=fun).fit(X)
            frame = np.sign((first.whitening_ @ ours.whitening_.T).diagonal())
            peer = Peer(whiten="unit-variance", w_init=start * frame, **settings)
            match = np.abs(ours.fit(X).transform(X).T @ peer.fit_transform(X)) / 1000
            worst = largest(
                worst, float(np.abs(match.max(axis=1) - 1).max()), float(np.abs(np.sort(match, axis=1)[:, :2]).max())
            )
    # Turns of 1e-12 are angles of 1e-6; deflation adds up two of them.
    return Check(worst, 1e-5, "largest difference", "scikit-learn FastICA")


@evidence("kernel-pca", claim="The linear kernel is PCA; projections of new rows too", against="PCA")
def linear_is_pca() -> Check:
    from fivefold.models.unsupervised import PCA, KernelPCA

    X = Streams(6).numpy("linear").normal(size=(50, 4)) * [4, 3, 2, 1] + 10
    ours, known = KernelPCA(3).fit(X[:40]), PCA(3).fit(X[:40])
    turn = np.sign((ours.transform(X[:40]) * known.transform(X[:40])).sum(axis=0))
    worst = float(np.abs(ours.transform(X) * turn - known.transform(X)).max())
    worst = largest(worst, float(np.abs(ours.eigenvalues_ / known.singular_values_**2 - 1).max()))
    every = KernelPCA().fit(X)
    worst = largest(
        worst,
        float(every.transform(X).shape != (50, 4)),
        float(KernelPCA().fit(np.ones((5, 2))).transform(np.ones((5, 2))).any()),
    )
    stated = {"n_components": None, "kernel": "linear", "gamma": None, "degree": 3, "coef0": 1.0}
    worst = largest(worst, float(KernelPCA().get_params() != stated))
    return Check(worst, 1e-9, "largest difference", "PCA")


@evidence(
    "kernel-pca",
    claim="Scores are centered kernel projections with variance λ / n: the polynomial kernel equals PCA of its monomials",
    against="explicit features",
)
def explicit_features() -> Check:
    from fivefold.models.unsupervised import PCA, KernelPCA

    X = Streams(6).numpy("explicit").normal(size=(60, 2))
    a, b = X.T
    for_two = np.c_[a * a, b * b, np.sqrt(2) * a * b, np.sqrt(2) * a, np.sqrt(2) * b]  # (x·y + 1)²
    known = PCA(5).fit(for_two)
    ours = KernelPCA(5, kernel="poly", degree=2, gamma=1.0, coef0=1.0).fit(X)
    z, reference = ours.transform(X), known.transform(for_two)
    worst = float(np.abs(np.abs(z) - np.abs(reference)).max())
    worst = largest(worst, float(np.abs(z.T @ z - np.diag(ours.eigenvalues_)).max() / ours.eigenvalues_[0]))
    worst = largest(worst, float(np.abs(z.mean(axis=0)).max()))
    best = ours.eigenvectors_[np.abs(ours.eigenvectors_).argmax(axis=0), np.arange(5)]
    worst = largest(worst, float((~(best > 0)).any()), float(ours.gamma_ != 1.0), abs(KernelPCA().fit(X).gamma_ - 0.5))
    return Check(worst, 1e-10, "largest difference", "explicit features")


@evidence("kernel-pca", claim="Scores of all kernels equal scikit-learn's", against="scikit-learn KernelPCA")
def same_kernel_pca() -> Check:
    from sklearn.decomposition import KernelPCA as Peer

    from fivefold.models.unsupervised import KernelPCA

    X = Streams(6).numpy("kernels").normal(size=(70, 3))
    worst = 0.0
    for params in (
        {"kernel": "rbf", "gamma": 0.3},
        {"kernel": "rbf"},
        {"kernel": "poly", "degree": 3, "coef0": 0.5},
        {"kernel": "sigmoid", "gamma": 0.1, "coef0": 0.2},
        {"kernel": "cosine"},
    ):
        ours, peer = KernelPCA(4, **params).fit(X[:50]), Peer(4, eigen_solver="dense", **params).fit(X[:50])
        if params["kernel"] == "cosine":
            ours, peer = KernelPCA(2, **params).fit(X[:50]), Peer(2, eigen_solver="dense", **params).fit(X[:50])
        worst = largest(worst, float(np.abs(ours.eigenvalues_ / peer.eigenvalues_ - 1).max()))
        worst = largest(worst, float(np.abs(np.abs(ours.transform(X)) - np.abs(peer.transform(X))).max()))
    K = np.exp(-0.3 * ((X[:, None] - X) ** 2).sum(axis=2))
    given = KernelPCA(4, kernel="precomputed").fit(K[:50, :50]).transform(K[:, :50])
    worst = largest(worst, float(np.abs(given - KernelPCA(4, kernel="rbf", gamma=0.3).fit(X[:50]).transform(X)).max()))
    return Check(worst, 1e-8, "largest difference", "scikit-learn KernelPCA")
