"""PCA: eigenvectors of the covariance, least reconstruction error, closed forms, the probabilistic model."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _table(n: int, d: int, name: str, offset: float = 0.0) -> np.ndarray:
    """Return correlated columns with well separated variances."""
    rng = Streams(4).numpy(name)
    mix, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return rng.normal(size=(n, d)) * np.geomspace(10.0, 0.5, d) @ mix + offset


@evidence("pca", claim="Variances, directions and sign solve the 2 x 2 problem", against="quadratic formula")
def two_columns() -> Check:
    from fivefold.models.unsupervised import PCA

    X = np.array([[2.0, 0.0], [0.0, -1.0], [3.0, 1.0], [-1.0, -4.0], [5.0, 3.0]])
    (a, b), (_, c) = np.cov(X.T)  # divisor n - 1
    root = np.sqrt((a - c) ** 2 / 4 + b**2)
    values = np.array([(a + c) / 2 + root, (a + c) / 2 - root])
    first = np.array([b, values[0] - a]) / np.hypot(b, values[0] - a)
    vectors = np.array([first, [-first[1], first[0]]])
    vectors *= np.sign(vectors[[0, 1], np.abs(vectors).argmax(axis=1)])[:, None]
    worst = 0.0
    for solver in ("auto", "full", "covariance_eigh"):
        model = PCA(svd_solver=solver).fit(X)
        known = {
            "mean_": X.sum(axis=0) / 5,
            "components_": vectors,
            "explained_variance_": values,
            "explained_variance_ratio_": values / (a + c),
            "singular_values_": np.sqrt(4 * values),
        }
        worst = largest(worst, *(float(np.abs(getattr(model, name) - value).max()) for name, value in known.items()))
        worst = largest(worst, float(np.abs(model.transform(X) - (X - X.mean(axis=0)) @ vectors.T).max()))
        one = PCA(1, svd_solver=solver).fit(X)
        worst = largest(worst, abs(one.noise_variance_ - values[1]), abs(model.noise_variance_))
    return Check(worst, 1e-12, "max |value - formula|", "quadratic formula")


@evidence(
    "pca",
    claim="Projections are uncorrelated with the eigenvalues as variances; directions orthonormal",
    against="definition",
)
def decorrelation() -> Check:
    from fivefold.models.unsupervised import PCA

    worst = 0.0
    for n, d, offset in ((50, 4, 0.0), (30_000, 40, 3.0), (40, 60, 0.0), (3000, 12, 1e6)):
        X = _table(n, d, f"decorrelation-{n}", offset)
        exact = np.cov(X.T)
        for solver in ("auto", "full", "covariance_eigh"):
            model = PCA(min(n - 1, d), svd_solver=solver).fit(X)
            W = model.components_
            worst = largest(worst, float(np.abs(W @ W.T - np.eye(len(W))).max()))
            scale = exact.trace()
            # An offset of 1e6 leaves the data themselves ten digits.
            lost = 1e-2 if offset > 100 else 1.0
            worst = largest(
                worst, lost * float(np.abs(W @ exact @ W.T - np.diag(model.explained_variance_)).max() / scale)
            )
            worst = largest(
                worst,
                lost * float(np.abs(np.cov(model.transform(X).T) - np.diag(model.explained_variance_)).max() / scale),
            )
            worst = largest(
                worst, lost * abs(model.explained_variance_.sum() / scale - model.explained_variance_ratio_.sum())
            )
            worst = largest(
                worst,
                lost * float(np.abs(model.singular_values_**2 / (n - 1) - model.explained_variance_).max() / scale),
            )
    return Check(worst, 1e-11, "largest violation", "definition")


@evidence("pca", claim="The reconstruction has the least error of any of its rank", against="Eckart-Young theorem")
def least_reconstruction_error() -> Check:
    from fivefold.models.unsupervised import PCA

    X = _table(200, 9, "reconstruction", 2.0)
    singular = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    worst = 0.0
    for count in range(10):
        for whiten in (False, True):
            for solver in ("full", "covariance_eigh"):
                model = PCA(count, whiten=whiten, svd_solver=solver).fit(X)
                back = model.inverse_transform(model.transform(X))
                worst = largest(
                    worst, abs(((X - back) ** 2).sum() - (singular[count:] ** 2).sum()) / (singular**2).sum()
                )
    return Check(worst, 1e-12, "|error - discarded squares| / total", "Eckart-Young theorem")


_FACTS = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "noise_variance_",
)


def _gap(ours: Any, peer: Any) -> float:
    if ours.n_components_ != peer.n_components_:
        return np.inf
    return largest(
        float(
            np.abs(np.asarray(getattr(ours, name)) - getattr(peer, name)).max(initial=0)
            / max(1.0, np.abs(getattr(peer, name)).max(initial=0))
        )
        for name in _FACTS
    )


@evidence(
    "pca",
    claim="All solvers, shares, whitening and the estimate of rank equal scikit-learn's",
    against="scikit-learn PCA",
)
def same_as_scikit_learn() -> Check:
    from sklearn import decomposition as peers
    from sklearn.datasets import load_digits, load_iris, load_wine

    from fivefold.models.unsupervised import PCA

    worst = 0.0
    low_rank = _table(300, 4, "rank") @ _table(4, 12, "rank-mix") + 0.3 * _table(300, 12, "rank-noise")
    for X in (load_iris().data, load_wine().data, low_rank, _table(8, 30, "wide"), load_digits().data[:, 17:23]):
        choices: list[dict[str, Any]] = [{}, {"n_components": 2}, {"n_components": 0.9}, {"n_components": 0.999}]
        choices += [{"n_components": 3, "whiten": True}]
        if len(X) > X.shape[1]:
            choices += [{"n_components": "mle"}, {"n_components": 0.5, "svd_solver": "covariance_eigh"}]
            choices += [{"svd_solver": "full"}, {"svd_solver": "covariance_eigh"}]
        for params in choices:
            ours, peer = PCA(**params).fit(X), peers.PCA(**params).fit(X)
            if ours.n_components_ == len(X):
                continue  # centered rows have one direction less; the last is rounding
            worst = largest(
                worst, _gap(ours, peer), float(np.abs(ours.transform(X) - peer.transform(X)).max() / np.abs(X).max())
            )
            if not ours.whiten:  # scikit-learn scales twice there
                scale = np.abs(np.cov(X.T)).max()
                worst = largest(worst, float(np.abs(ours.get_covariance() - peer.get_covariance()).max() / scale))
    return Check(worst, 1e-9, "largest relative difference", "scikit-learn PCA")


@evidence("pca", claim="Random projection finds the leading components", against="full factorization")
def random_projection() -> Check:
    from fivefold.models.unsupervised import PCA

    X = _table(400, 80, "random", 1.0)
    full, worst = PCA(6, svd_solver="full").fit(X), 0.0
    for seed in range(5):
        found = PCA(6, svd_solver="randomized", random_state=seed).fit(X)
        worst = largest(worst, float(np.abs(found.components_ - full.components_).max()))
        worst = largest(worst, float(np.abs(found.explained_variance_ / full.explained_variance_ - 1).max()))
        worst = largest(
            worst, float(np.abs(found.explained_variance_ratio_ / full.explained_variance_ratio_ - 1).max())
        )
        worst = largest(worst, abs(found.noise_variance_ / full.noise_variance_ - 1))
    # Halko et al.: the error shrinks as (sigma_17 / sigma_6)^(2 q + 1), here 0.66 ** 15 = 2e-3, of an angle below 1.
    return Check(worst, 2e-3, "largest difference", "full factorization")


@evidence("pca", claim="auto takes the stated solver on either side of each border", against="definition")
def automatic_solver() -> Check:
    from fivefold.models.unsupervised import PCA

    wrong = 0
    cases = (
        (100, 10, None, "covariance_eigh"),
        (99, 10, None, "full"),
        (99, 10, 3, "full"),
        (501, 60, 47, "randomized"),
        (501, 60, 48, "full"),
        (500, 60, 47, "full"),
        (60, 501, 3, "randomized"),
        (501, 60, 0.5, "full"),
        (600, 60, 3, "covariance_eigh"),
        (501, 60, 1, "randomized"),
    )
    for n, d, count, solver in cases:
        X = _table(n, d, "auto")
        auto = PCA(count, random_state=3).fit(X)
        same = [
            np.array_equal(auto.components_, PCA(count, svd_solver=name, random_state=3).fit(X).components_)
            for name in ("covariance_eigh", "full", "randomized")
            if not (name == "randomized" and not isinstance(count, int))
        ]
        expected = [name == solver for name in ("covariance_eigh", "full", "randomized")][: len(same)]
        wrong += same != expected
    return Check(wrong, 0, "shapes with another solver", "definition")


@evidence("pca", claim="A share of variance takes the least number of components that exceeds it", against="definition")
def share_of_variance() -> Check:
    from fivefold.models.unsupervised import PCA

    X = np.diag(np.sqrt([4.0, 3.0, 2.0, 1.0])) @ np.eye(4)
    X = np.concatenate([X, -X])  # variances in the ratio 4 : 3 : 2 : 1
    wrong = 0
    for share, count in ((0.05, 1), (0.3, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.89, 3), (0.95, 4), (0.9999, 4)):
        for solver in ("full", "covariance_eigh"):
            wrong += PCA(share, svd_solver=solver).fit(X).n_components_ != count
    wrong += PCA(0).fit(X).transform(X).shape != (8, 0)
    wrong += PCA().fit(X).n_components_ != 4
    return Check(wrong, 0, "wrong numbers of components", "definition")


@evidence("pca", claim="Offset and scale of the columns leave the variances as they are", against="invariance")
def offset_costs_no_digits() -> Check:
    from fivefold.models.unsupervised import PCA

    X = _table(5000, 6, "offset").astype(np.float32).astype(np.float64)
    base, worst = PCA().fit(X), 0.0
    for offset in (50.0, 1e4, 2.0**24):
        moved = PCA().fit(X + offset)
        # Adding the offset itself rounds the data by half an ulp, 2e-9 for 2 ** 24; the spread is at least 0.5.
        worst = largest(worst, float(np.abs(moved.explained_variance_ / base.explained_variance_ - 1).max()))
        worst = largest(worst, float(np.abs(moved.components_ - base.components_).max()))
    return Check(worst, 1e-8, "largest change", "invariance")


@evidence(
    "pca",
    claim="score is the log-density of the probabilistic model; whitened projections have unit variance",
    against="scipy multivariate_normal",
)
def probabilistic_model() -> Check:
    from scipy.stats import multivariate_normal

    from fivefold.models.unsupervised import PCA

    X, worst = _table(300, 6, "density", 1.5), 0.0
    for count in (1, 3, 5, 6):
        model = PCA(count).fit(X)
        density = multivariate_normal(model.mean_, model.get_covariance()).logpdf(X)
        worst = largest(
            worst, float(np.abs(model.score_samples(X) - density).max()), abs(model.score(X) - density.mean())
        )
        values = np.linalg.eigvalsh(np.cov(X.T))[::-1]
        noise = values[count:].mean() if count < 6 else 0.0
        worst = largest(worst, abs(model.noise_variance_ - noise))
        known = np.where(np.arange(6) < count, values, noise)
        worst = largest(worst, float(np.abs(np.linalg.eigvalsh(model.get_covariance())[::-1] - known).max()))
        white = PCA(count, whiten=True).fit(X).transform(X)
        worst = largest(
            worst, float(np.abs(np.cov(white.T) - np.eye(count)).max()), float(np.abs(white.mean(axis=0)).max())
        )
    return Check(worst, 1e-10, "largest difference", "scipy multivariate_normal")
