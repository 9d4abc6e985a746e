"""t-SNE on a grid: forces beside all pairs, gradients, the choice of the method, repeated rows, threads, new rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _blobs(n: int, d: int, name: str) -> np.ndarray:
    rng = Streams(1).numpy(name)
    return 4.0 * rng.normal(size=(5, d))[np.arange(n) % 5] + rng.normal(size=(n, d))


def _map(n: int, width: float, dims: int, name: str) -> np.ndarray:
    rng = Streams(1).numpy(name)
    centers = rng.uniform(-0.5, 0.5, size=(20, dims))
    return width * (centers[rng.integers(20, size=n)] + 0.03 * rng.normal(size=(n, dims)))


def _pairs(Y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the repulsion on every row and the total of similarities, over all pairs."""
    gap = Y[:, None] - Y
    near = 1 / (1 + (gap**2).sum(axis=2))
    np.fill_diagonal(near, 0)
    return ((near**2)[:, :, None] * gap).sum(axis=1), float(near.sum())


def _refused(Y: np.ndarray) -> tuple[np.ndarray, float]:
    return np.full_like(Y, np.nan), np.nan


def _lost(dims: int, spacing: float) -> float:
    """Return the share of the force that a quintic spline through nodes may lose, by the waves of the kernel.

    A wave k on nodes h apart comes with the alias 2π/h - k, of relative height r^6, r = kh / (2π - kh), whose slope is
    higher by 1/r; the kernel's waves are e^-k in one dimension, K_0(k) in two.
    """
    from scipy.special import k0

    k = np.linspace(1e-3, 60.0, 6000)
    power = (k * (np.exp(-k) if dims == 1 else k0(k))) ** 2 * k ** (dims - 1)
    turn = np.minimum(k * spacing / (2 * np.pi), 0.5)
    alias = 2.0 * (turn / (1 - turn)) ** 5
    return float(np.sqrt((power * alias**2).sum() / power.sum()))


@evidence(
    "t-sne",
    claim="Forces and total from a grid approach those of all pairs at the order of the spline, in 1 and 2 dimensions",
    against="the sum over all pairs",
)
def grid_forces() -> Check:
    from fivefold.models.unsupervised._interpolation import Grid

    worst = 0.0
    for dims in (1, 2):
        Y = _map(500, 60.0, dims, "grid")
        force, total = _pairs(Y)
        errors = []
        for spacing in (0.8, 0.4, 0.2, 0.1):
            found, whole = Grid(spacing, wide=_refused)(Y)
            errors.append(float(np.linalg.norm(found - force) / np.linalg.norm(force)))
            bound = _lost(dims, spacing)
            worst = largest(worst, errors[-1] / bound, abs(whole / total - 1) / bound)
        # Once nodes resolve the kernel, half the spacing leaves 2^-5 of the error of slopes or less.
        worst = largest(worst, 8.0 * errors[1] / errors[0], 32.0 * errors[2] / errors[1], 32.0 * errors[3] / errors[2])
    return Check(worst, 1.0, "error over its bound", "the sum over all pairs")


@evidence(
    "t-sne",
    claim="A narrow map gets closer nodes: digits hold at any width, for lines in the plane and coincident rows too",
    against="the sum over all pairs",
)
def narrow_maps() -> Check:
    from fivefold.models.unsupervised._interpolation import Grid

    worst = 0.0
    grid = Grid(0.4, wide=_refused)
    shape = _map(300, 1.0, 2, "narrow")
    flat = shape * [1.0, 0.0]
    for width in (1e-12, 1e-4, 1.0):
        for Y in (
            shape * width,
            shape * [width, 1e-3 * width],
            flat * width,
            flat[:, ::-1] * width,
            shape[:, :1] * width,
        ):
            force, total = _pairs(Y)
            found, whole = grid(Y)
            worst = largest(worst, float(np.linalg.norm(found - force) / np.linalg.norm(force)), abs(whole / total - 1))
    thin = shape * [30.0, 1e-9]
    force, found = _pairs(thin)[0][:, 1], grid(thin)[0][:, 1]
    worst = largest(worst, 1e-4 * float(np.linalg.norm(found - force) / np.linalg.norm(force)))
    # 32 nodes a width leave (w / 32 / 2π)^6 of waves of the length of the kernel or longer, and the rounding of the FFT. The
    # short side of a thin map is held to the error of its long side, 1e-2.
    point, count = grid(np.full((40, 2), 3.0))
    worst = largest(worst, float(np.abs(point).max()), abs(count - 40 * 39) / (40 * 39))
    # A map beyond the widest grid is handed over, one within it is not.
    edge = np.array([[0.0, 0.0], [0.4 * 1018, 1.0]])
    worst = largest(worst, float(np.isnan(grid(edge)[1])), float(not np.isnan(grid(edge * 1.001)[1])))
    return Check(worst, 1e-6, "largest relative difference", "the sum over all pairs")


@evidence(
    "t-sne",
    claim="With fine nodes divergence and gradient are those of the definition; exaggeration acts on attraction alone",
    against="finite differences of the exact divergence",
)
def grid_gradient() -> Check:
    from scipy import sparse

    from fivefold.models.unsupervised._affinities import divergence, joint_affinities, sparse_divergence
    from fivefold.models.unsupervised._interpolation import Grid

    worst = 0.0
    for dims in (1, 2):
        P = joint_affinities(_blobs(24, 5, "gradient"), 6.0)
        Y = 2.0 * Streams(1).numpy("grid-map", dims).normal(size=(24, dims))
        held, grid = sparse.csr_array(P), Grid(0.05, wide=_refused)
        loss, grad = sparse_divergence(held, Y, grid)
        slopes = np.empty_like(Y)
        for index in np.ndindex(*Y.shape):
            bump = np.zeros_like(Y)
            bump[index] = 1e-5
            slopes[index] = (_exact(P, Y + bump) - _exact(P, Y - bump)) / 2e-5
        worst = largest(worst, abs(loss - _exact(P, Y)), float(np.abs(grad - slopes).max()))
        once = sparse_divergence(held, Y, grid, 3.0, measured=False)
        worst = largest(worst, float(np.abs(once[1] - divergence(P, Y, 3.0)[1]).max()), abs(once[0]))
        worst = largest(worst, float(np.abs(once[1] - grad - 2.0 * _pull(P, Y)).max()))
        worst = largest(worst, abs(divergence(P, Y, measured=False)[0]))
    # Nodes 0.05 apart lose (0.05 / 2π)^5 of waves of length 1, times the count of pairs of a row.
    return Check(worst, 1e-6, "largest difference", "finite differences")


def _exact(P: np.ndarray, Y: np.ndarray) -> float:
    near = 1 / (1 + ((Y[:, None] - Y) ** 2).sum(axis=2))
    np.fill_diagonal(near, 0)
    keep = P > 0
    return float((P[keep] * np.log(P[keep] / (near / near.sum())[keep])).sum())


def _pull(P: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return the attractive part of the gradient."""
    gap = Y[:, None] - Y
    return 4.0 * ((P / (1 + (gap**2).sum(axis=2)))[:, :, None] * gap).sum(axis=1)


@evidence(
    "t-sne",
    claim="The grid's map is as deep as the exact one's, in either dimension; 'auto' takes what its note says",
    against="method='exact'",
)
def grid_map() -> Check:
    from fivefold.models.unsupervised import TSNE
    from fivefold.models.unsupervised._affinities import divergence, joint_affinities

    X = _blobs(250, 6, "grid-fit")
    P = joint_affinities(X, 12.0)
    settings: dict[str, Any] = {"perplexity": 12.0, "max_iter": 300, "exaggeration_iter": 100}
    worst = 0.0
    for dims in (1, 2):
        exact = TSNE(dims, method="exact", **settings).fit(X)
        grid = TSNE(dims, method="fft", **settings).fit(X)
        depth = divergence(P, grid.embedding_)[0]
        # The neglected affinities beyond 37 neighbors and the minimum that a descent finds move the divergence by percents.
        worst = largest(worst, (depth / exact.kl_divergence_ - 1) / 0.08)
        worst = largest(worst, 2.0 * (grid.method_ != "fft" or exact.method_ != "exact"))
    known = {(1000, 2): "exact", (1001, 2): "fft", (1001, 1): "fft", (1001, 3): "barnes-hut", (1001, 4): "exact"}
    for (n, dims), method in known.items():
        worst = largest(worst, 2.0 * (TSNE(dims)._chosen(n) != method))
    tree = TSNE(method="barnes-hut", angle=0.0, perplexity=12.0, max_iter=5, exaggeration_iter=2).fit(X)
    fine = TSNE(method="fft", spacing=0.01, perplexity=12.0, max_iter=5, exaggeration_iter=2).fit(X)
    worst = largest(worst, 1e4 * float(np.abs(tree.embedding_ / fine.embedding_ - 1).max()))
    return Check(worst, 1.0, "worst over its bound", "method='exact'")


@evidence(
    "t-sne",
    claim="On the grid 30 % repeated rows share places; scaling, constant columns and the number of threads change nothing",
    against="invariance",
)
def grid_degenerate() -> Check:
    import numba

    from fivefold.models.unsupervised import TSNE
    from fivefold.models.unsupervised._interpolation import Grid

    X = _blobs(200, 4, "repeated")
    X[140:] = X[:60]
    settings: dict[str, Any] = {"perplexity": 5.0, "max_iter": 120, "exaggeration_iter": 50, "method": "fft"}
    Y = TSNE(**settings).fit(X).embedding_
    wrong = int(not np.isfinite(Y).all())
    # Equal rows start in one place and see the same forces; descent magnifies the rounding that parts them.
    wrong += int(not np.abs(Y[140:] - Y[:60]).max() <= 0.05 * Y.std())
    wrong += int(not np.array_equal(TSNE(**settings).fit(X * 2.0**27).embedding_, Y))
    wrong += int(not np.isfinite(TSNE(**settings).fit(np.c_[X, np.ones(200)]).embedding_).all())
    wrong += int(not np.isfinite(TSNE(**settings).fit(np.ones((40, 2))).embedding_).all())
    before = numba.get_num_threads()
    large, plane = _blobs(1500, 4, "threads"), _map(20_000, 40.0, 2, "threads")
    maps, forces = [], []
    for threads in {1, before}:
        numba.set_num_threads(threads)
        maps.append(TSNE(perplexity=5.0, max_iter=12, exaggeration_iter=5).fit(large).embedding_)
        forces.append(Grid(0.4, wide=_refused)(plane)[0])
    numba.set_num_threads(before)
    wrong += int(not np.array_equal(maps[0], maps[-1])) + int(not np.array_equal(forces[0], forces[-1]))
    # A kernel kept from one map must not serve another.
    grid = Grid(0.4, wide=_refused)
    grid(plane)
    wrong += int(not np.array_equal(grid(0.2 * plane)[0], Grid(0.4, wide=_refused)(0.2 * plane)[0]))
    return Check(wrong, 0, "violations", "invariance")


@evidence(
    "t-sne",
    claim="New rows of a grid's map land in their cluster, training rows on their places",
    against="known clusters",
)
def grid_new_rows() -> Check:
    from fivefold.models.unsupervised import TSNE

    X = _blobs(320, 4, "grid-new")
    model = TSNE(perplexity=8.0, max_iter=250, exaggeration_iter=100, method="fft").fit(X[:300])
    places = model.transform(X[300:])
    nearest = ((places[:, None] - model.embedding_) ** 2).sum(axis=2).argmin(axis=1)
    wrong = int((nearest % 5 != np.arange(300, 320) % 5).sum())
    wrong += int(not np.array_equal(model.transform(X[:300]), model.embedding_))
    return Check(wrong, 0, "rows astray", "known clusters")
