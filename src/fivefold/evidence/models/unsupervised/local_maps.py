"""Locally linear embedding: weights and map by their definitions, scikit-learn, the effect of the neighbors."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _sheet(n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of an S-shaped sheet and their place along the curve."""
    rng = Streams(6).numpy(name)
    t = 3 * np.pi * (rng.random(n) - 0.5)
    return np.c_[np.sin(t), 2 * rng.random(n), np.sign(t) * (np.cos(t) - 1)], t


@evidence(
    "locally-linear-embedding",
    claim="Weights sum to one and solve the ridged local problem; the map has the least error of all orthonormal ones",
    against="constrained least squares",
)
def weights_and_map() -> Check:
    from fivefold.models.unsupervised import LocallyLinearEmbedding

    X, _ = _sheet(60, "definition")
    model = LocallyLinearEmbedding(2, n_neighbors=6, reg=0.01).fit(X)
    W = np.zeros((60, 60))
    square = ((X[:, None] - X) ** 2).sum(axis=2)
    for i in range(60):
        near = np.argsort(square[i])[1:7]
        G = (X[near] - X[i]) @ (X[near] - X[i]).T
        # Stationarity and the sum as one linear system with a multiplier.
        system = np.block([[G + 0.01 * np.trace(G) * np.eye(6), np.ones((6, 1))], [np.ones((1, 6)), np.zeros((1, 1))]])
        W[i, near] = np.linalg.solve(system, np.r_[np.zeros(6), 1.0])[:6]
    Z = model.embedding_
    worst = float(np.abs(Z.T @ Z - np.eye(2)).max())
    worst = largest(worst, float(np.abs(Z.sum(axis=0)).max()))
    error = ((Z - W @ Z) ** 2).sum()
    values = np.linalg.eigvalsh((np.eye(60) - W).T @ (np.eye(60) - W))
    worst = largest(worst, abs(error - values[1:3].sum()), abs(model.reconstruction_error_ - error))
    worst = largest(worst, float((~(Z[np.abs(Z).argmax(axis=0), [0, 1]] > 0)).any()))
    x = X[20:21] + 0.02
    near = np.argsort(((X - x) ** 2).sum(axis=1))[:6]
    G = (X[near] - x) @ (X[near] - x).T
    w = np.linalg.solve(G + 0.01 * np.trace(G) * np.eye(6), np.ones(6))
    worst = largest(worst, float(np.abs(model.transform(x) - w @ Z[near] / w.sum()).max()))
    worst = largest(worst, float(np.abs(model.transform(X) - Z).max()))
    stated = {"n_components": 2, "n_neighbors": 5, "reg": 1e-3}
    worst = largest(worst, float(LocallyLinearEmbedding().get_params() != stated))
    repeated = LocallyLinearEmbedding(2).fit(np.repeat(X[:10], 8, axis=0))
    worst = largest(worst, float(not np.isfinite(repeated.embedding_).all()))
    return Check(worst, 1e-8, "largest violation", "constrained least squares")


@evidence("locally-linear-embedding", claim="Equal to scikit-learn's up to sign", against="scikit-learn")
def same_lle() -> Check:
    from sklearn.manifold import LocallyLinearEmbedding as Peer

    from fivefold.models.unsupervised import LocallyLinearEmbedding

    worst = 0.0
    for n, count, reg in ((150, 10, 1e-3), (200, 12, 0.05)):
        X, _ = _sheet(n, "peer")
        ours = LocallyLinearEmbedding(2, n_neighbors=count, reg=reg).fit(X)
        peer = Peer(n_components=2, n_neighbors=count, reg=reg, eigen_solver="dense").fit(X)
        turn = np.sign((ours.embedding_ * peer.embedding_).sum(axis=0))
        worst = largest(worst, float(np.abs(ours.embedding_ * turn - peer.embedding_).max()))
        worst = largest(worst, abs(ours.reconstruction_error_ - peer.reconstruction_error_))
    # Eigenvalues lie near 1e-6, so rounding of 1e-15 turns vectors by 1e-9.
    return Check(worst, 1e-6, "largest difference", "scikit-learn LocallyLinearEmbedding")


@evidence(
    "locally-linear-embedding",
    claim="The S-shaped sheet unrolls with 12 neighbors; with 3 or with 250 it does not",
    against="place along the curve",
)
def number_of_neighbors() -> Check:
    from scipy.stats import spearmanr

    from fivefold.models.unsupervised import LocallyLinearEmbedding

    X, t = _sheet(500, "neighbors")
    found = []
    for count in (3, 12, 250):
        Z = LocallyLinearEmbedding(2, n_neighbors=count).fit(X).embedding_
        found.append(largest(abs(float(spearmanr(Z[:, j], t)[0])) for j in range(2)))
    good = found[1] > 0.95
    worse = max(found[0], found[2]) < found[1] - 0.05
    return Check(int(not good) + int(not worse), 0, f"violations; rank correlations {np.round(found, 3)}", "the curve")
