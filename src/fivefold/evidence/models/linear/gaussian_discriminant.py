"""Linear and quadratic discriminants: scipy's densities, Fisher's ratio, weights and the peers."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _classes(k: int = 3, n: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + k)
    y = rng.choice(list("abcd"[:k]), p=np.arange(1, k + 1) / sum(range(1, k + 1)), size=n)
    code = np.searchsorted(list("abcd"[:k]), y)
    mix = rng.normal(size=(3, 3)) * [1.0, 20.0, 0.05]
    X = (rng.normal(size=(n, 3)) * (1 + code[:, None]) + rng.normal(size=(k, 3))[code] * 2) @ mix + 5
    return X, y, rng.integers(0, 4, size=n).astype(float)


def _densities(
    X: np.ndarray,
    y: np.ndarray,
    v: np.ndarray,
    priors: list[float] | None,
    shared: bool,
    ddof: int = 0,
    share: float = 0.0,
) -> np.ndarray:
    """Return log-posteriors by scipy's normal densities: (n, K)."""
    from scipy.stats import multivariate_normal

    labels = np.unique(y)
    mass = np.array([v[y == c].sum() for c in labels])
    prior = mass / mass.sum() if priors is None else np.array(priors)
    means = [np.average(X[y == c], axis=0, weights=v[y == c]) for c in labels]
    spreads = []
    for c, mean, total in zip(labels, means, mass):
        around = X[y == c] - mean
        spreads.append((around.T * v[y == c]) @ around / (total - ddof) * (1 - share) + share * np.eye(X.shape[1]))
    if shared:
        spreads = [sum(p * s for p, s in zip(prior, spreads))] * len(labels)
    joint = np.stack(
        [np.log(p) + multivariate_normal(m, s).logpdf(X) for p, m, s in zip(prior, means, spreads)], axis=1
    )
    return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)


@evidence(
    "linear-discriminant-analysis",
    claim="Posteriors are those of normal classes with one covariance",
    against="scipy.stats",
)
def shared() -> Check:
    from fivefold.models.linear import LinearDiscriminantAnalysis

    worst = 0.0
    for k in (2, 3, 4):
        X, y, weight = _classes(k)
        for priors, mass in ((None, None), (None, weight), (list(np.arange(k, 0, -1) / (k * (k + 1) / 2)), weight)):
            model = LinearDiscriminantAnalysis(priors=priors).fit(X, y, mass)
            expected = _densities(X, y, np.ones(len(y)) if mass is None else mass, priors, True)
            worst = largest(worst, np.abs(model.predict_log_proba(X) - expected).max())
            worst = largest(worst, np.abs(model.predict_proba(X) - np.exp(expected)).max())
            worst = largest(worst, (model.predict(X) != model.classes_[expected.argmax(axis=1)]).sum())
            if k == 2:
                # P(second | x) = sigma(w x + b).
                z = X @ model.coef_[0] + model.intercept_[0]
                worst = largest(worst, np.abs(model.predict_proba(X)[:, 1] - 1 / (1 + np.exp(-z))).max())
                worst = largest(worst, np.abs(model.decision_function(X) - z).max() / np.abs(z).max())
    return Check(worst, 1e-8, "max |log-posterior - scipy|", "scipy.stats.multivariate_normal")


@evidence(
    "linear-discriminant-analysis", claim="Directions maximize Fisher's ratio", against="the generalized eigenproblem"
)
def fisher() -> Check:
    from scipy.linalg import eigh

    from fivefold.models.linear import LinearDiscriminantAnalysis

    X, y, weight = _classes(4)
    model = LinearDiscriminantAnalysis().fit(X, y, weight)
    labels, prior = np.unique(y), model.priors_
    means = np.stack([np.average(X[y == c], axis=0, weights=weight[y == c]) for c in labels])
    within = sum(np.cov(X[y == c].T, aweights=weight[y == c], ddof=0) * p for c, p in zip(labels, prior))
    center = prior @ means
    between = (means - center).T @ np.diag(prior) @ (means - center)
    ratios, vectors = eigh(between, within)
    W = model.scalings_
    worst = largest(np.abs(W.T @ within @ W - np.eye(3)).max(), np.abs(model.covariance_ / within - 1).max())
    worst = largest(worst, np.abs(np.diag(W.T @ between @ W) / ratios[::-1] - 1).max())
    worst = largest(worst, np.abs(np.abs(W.T @ within @ vectors[:, ::-1]) - np.eye(3)).max())
    worst = largest(worst, np.abs(model.explained_variance_ratio_ - ratios[::-1] / ratios.sum()).max())
    worst = largest(worst, np.abs(model.transform(X) - (X - center) @ W).max())
    one = LinearDiscriminantAnalysis(n_components=1).fit(X, y, weight)
    worst = largest(
        worst, np.abs(one.transform(X)[:, 0] - model.transform(X)[:, 0]).max(), one.transform(X).shape[1] != 1
    )
    worst = largest(worst, abs(one.explained_variance_ratio_[0] - model.explained_variance_ratio_[0]))
    # A copy of a feature, and a constant one, change no posterior.
    more = np.hstack([X, X[:, :1], np.ones((len(X), 1))])
    same = LinearDiscriminantAnalysis().fit(more, y, weight).predict_proba(more) - model.predict_proba(X)
    return Check(largest(worst, np.abs(same).max()), 1e-8, "max difference", "scipy.linalg.eigh")


@evidence(
    "linear-discriminant-analysis",
    claim="Weights, projections and posteriors equal the peer's",
    against="scikit-learn LinearDiscriminantAnalysis",
)
def linear_peer() -> Check:
    from sklearn.datasets import load_breast_cancer, load_wine
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as Peer

    from fivefold.models.linear import LinearDiscriminantAnalysis

    worst = 0.0
    for load in (load_wine, load_breast_cancer):
        X, y = load(return_X_y=True)
        ours, theirs = LinearDiscriminantAnalysis().fit(X, y), Peer(solver="eigen").fit(X, y)
        worst = largest(worst, np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max())
        one, two = ours.transform(X), theirs.transform(X)
        # Signs and the origin are free.
        one, two = one - one.mean(0), two - two.mean(0)
        worst = largest(worst, np.abs(np.abs(one) - np.abs(two)).max() / np.abs(two).max())
    return Check(worst, 1e-7, "max |number - peer|", "scikit-learn")


@evidence(
    "quadratic-discriminant-analysis",
    claim="Posteriors are those of normal classes, covariances divided by n",
    against="scipy.stats",
)
def own_covariances() -> Check:
    from fivefold.models.linear import QuadraticDiscriminantAnalysis

    X, y, weight = _classes(3)
    worst = 0.0
    for priors, mass, share, ddof in ((None, None, 0.0, 0), (None, weight, 0.1, 0), ([0.2, 0.2, 0.6], weight, 0.0, 1)):
        model = QuadraticDiscriminantAnalysis(priors=priors, reg_param=share, ddof=ddof).fit(X, y, mass)
        expected = _densities(X, y, np.ones(len(y)) if mass is None else mass, priors, False, ddof, share)
        worst = largest(worst, np.abs(model.predict_log_proba(X) - expected).max() / (1 + np.abs(expected).max()))
        worst = largest(worst, np.abs(model.predict_proba(X) - np.exp(expected)).max())
        worst = largest(worst, (model.predict(X) != model.classes_[expected.argmax(axis=1)]).sum())
    plain = QuadraticDiscriminantAnalysis()
    worst = largest(worst, (plain.reg_param, plain.ddof, plain.priors) != (0.0, 0, None))
    return Check(worst, 1e-9, "max difference", "scipy.stats.multivariate_normal")


@evidence(
    "quadratic-discriminant-analysis",
    claim="A small case, and the source's shares of 79 and 61",
    against="worked by hand",
)
def quadratic_by_hand() -> Check:
    from fivefold.models.linear import QuadraticDiscriminantAnalysis

    # a: 0, 2 (mean 1, variance 1); b: 4, 8, 6, 6 (mean 6, variance 2). At 3: -2 and -9/4 in the exponents.
    model = QuadraticDiscriminantAnalysis().fit([[0.0], [4], [2], [8], [6], [6]], list("ababbb"))
    worst = largest(np.abs(model.covariance_.ravel() - [1, 2]).max(), np.abs(model.means_.ravel() - [1, 6]).max())
    log = np.array([np.log(1 / 3) - 2, np.log(2 / 3) - 0.5 * np.log(2) - 9 / 4])
    worst = largest(worst, abs(model.decision_function([[3.0]])[0] - (log[1] - log[0])))
    # A boundary that is curved: b is the wider class, so it wins on both far sides.
    worst = largest(worst, (model.predict([[-20.0], [1.0], [20.0]]) != ["b", "a", "b"]).sum())
    rng = np.random.default_rng(0)
    shares = QuadraticDiscriminantAnalysis().fit(rng.normal(size=(140, 2)), ["water"] * 79 + ["normal"] * 61).priors_
    worst = largest(
        worst, np.abs(shares - [61 / 140, 79 / 140]).max(), np.abs(np.round(shares, 2) - [0.44, 0.56]).max()
    )
    return Check(worst, 1e-14, "max |number - by hand|", "worked by hand")


@evidence(
    "quadratic-discriminant-analysis",
    claim="Posteriors equal the peer's",
    against="scikit-learn QuadraticDiscriminantAnalysis",
)
def quadratic_peer() -> Check:
    from sklearn.datasets import load_wine
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as Peer

    from fivefold.models.linear import QuadraticDiscriminantAnalysis

    X, y = load_wine(return_X_y=True)
    worst = 0.0
    for part in (slice(None), y < 2):
        for priors in (None, [0.5, 0.3, 0.2] if isinstance(part, slice) else [0.9, 0.1]):
            ours = QuadraticDiscriminantAnalysis(priors=priors).fit(X[part], y[part])
            theirs = Peer(priors=priors).fit(X[part], y[part])
            scale = np.abs(theirs.decision_function(X)).max()
            worst = largest(worst, np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max())
            if not isinstance(part, slice):
                worst = largest(worst, np.abs(ours.decision_function(X) - theirs.decision_function(X)).max() / scale)
    return Check(worst, 1e-8, "max |number - peer|", "scikit-learn")
