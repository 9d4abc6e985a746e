"""Kernel ridge and Nadaraya-Watson regression: closed forms, refits without a row, attention and the peers."""

from __future__ import annotations

import warnings

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 3)) * [1.0, 2.0, 0.5]
    return X, np.sin(X[:, 0]) + X[:, 1] + 0.2 * rng.normal(size=n) + 2, rng.integers(1, 4, size=n) / 2.0


@evidence(
    "kernel-ridge-regression",
    claim="A linear kernel gives ridge without a bias; weights repeat rows",
    against="the normal equations",
)
def linear_ridge() -> Check:
    from fivefold.models.linear import KernelRidge

    X, y, weight = _rows()
    worst = 0.0
    for alpha, mass in ((None, None), (0.3, weight), (20.0, weight)):
        model = (KernelRidge() if alpha is None else KernelRidge(alpha)).fit(X, y, mass)
        v = np.ones(40) if mass is None else mass
        w = np.linalg.solve((X.T * v) @ X + (alpha or 1.0) * np.eye(3), X.T @ (v * y))
        query = X * 2 - 1
        worst = largest(worst, np.abs(model.predict(query) - query @ w).max())
        # The multipliers are the weighted residuals over alpha.
        worst = largest(worst, np.abs(model.dual_coef_ - v * (y - X @ w) / (alpha or 1.0)).max())
    gone = weight * (np.arange(40) % 3 > 0)
    part = gone > 0
    one, two = (
        KernelRidge(0.5, kernel="rbf").fit(X, y, gone),
        KernelRidge(0.5, kernel="rbf").fit(X[part], y[part], gone[part]),
    )
    worst = largest(worst, np.abs(one.predict(X) - two.predict(X)).max())
    both = KernelRidge(0.5).fit(X, np.stack([y, -2 * y], axis=1)).predict(X)
    worst = largest(
        worst,
        np.abs(both[:, 1] + 2 * both[:, 0]).max(),
        np.abs(both[:, 0] - KernelRidge(0.5).fit(X, y).predict(X)).max(),
    )
    return Check(worst, 1e-10, "max difference", "numpy.linalg.solve")


@evidence(
    "kernel-ridge-regression", claim="Errors of rows left out equal those of refits", against="a fit without each row"
)
def leave_one_out() -> Check:
    from fivefold.models.linear import KernelRidge

    X, y, weight = _rows(25)
    worst = 0.0
    for mass in (None, weight):
        errors = KernelRidge(kernel="rbf", gamma=0.4).leave_one_out(X, y, mass, alphas=[0.1, 2.0])
        for k, alpha in enumerate((0.1, 2.0)):
            model = KernelRidge(alpha, kernel="rbf", gamma=0.4)
            for i in range(25):
                kept = np.arange(25) != i
                without = model.fit(X[kept], y[kept], None if mass is None else mass[kept]).predict(X[i : i + 1])[0]
                worst = largest(worst, abs(errors[k, i] - (y[i] - without)))
            worst = largest(worst, np.abs(model.leave_one_out(X, y, mass) - errors[k]).max())
    return Check(worst, 1e-10, "max |error - refit|", "refits")


@evidence(
    "kernel-ridge-regression", claim="Multipliers and predictions equal the peer's", against="scikit-learn KernelRidge"
)
def ridge_peer() -> Check:
    import scipy.sparse as sp
    from sklearn.kernel_ridge import KernelRidge as Peer

    from fivefold.models.linear import KernelRidge

    X, y, weight = _rows()
    worst = 0.0
    for case in (
        {"kernel": "rbf"},
        {"kernel": "poly", "degree": 2, "alpha": 0.2},
        {"kernel": "poly", "coef0": 0.5},
        {"kernel": "rbf", "gamma": 2.0, "alpha": 1e-3},
    ):
        for mass in (None, weight):
            ours, theirs = KernelRidge(**case).fit(X, y, mass), Peer(**case).fit(X, y, mass)  # type: ignore[arg-type]
            size = np.abs(theirs.dual_coef_).max()
            worst = largest(worst, np.abs(ours.dual_coef_ - theirs.dual_coef_).max() / size)
            worst = largest(worst, np.abs(ours.predict(X + 0.1) - theirs.predict(X + 0.1)).max())
            sparse = KernelRidge(**case).fit(sp.csr_array(X), y, mass)  # type: ignore[arg-type]
            worst = largest(worst, np.abs(sparse.predict(sp.csr_array(X)) - ours.predict(X)).max())
    K = X @ X.T
    given = KernelRidge(kernel="precomputed").fit(K, y).predict(K)
    worst = largest(worst, np.abs(given - KernelRidge().fit(X, y).predict(X)).max())
    return Check(worst, 1e-8, "max difference", "scikit-learn")


@evidence("nadaraya-watson", claim="Predictions equal the ratio of sums over rows", against="the sums written out")
def ratio_of_sums() -> Check:
    from fivefold.models.linear import NadarayaWatson

    X, y, weight = _rows()
    worst = 0.0
    for width, mass in ((None, None), (0.5, weight), ([1.0, 2.0, 0.3], weight * (np.arange(40) % 4 > 0))):
        model = (NadarayaWatson() if width is None else NadarayaWatson(width)).fit(X, y, mass)
        v, query = np.ones(40) if mass is None else mass, X[:15] * 0.9
        for i, x in enumerate(query):
            k = v * np.exp(-0.5 * (((x - X) / (1.0 if width is None else np.array(width))) ** 2).sum(axis=1))
            worst = largest(worst, abs(model.predict(query)[i] - k @ y / k.sum()))
            worst = largest(worst, np.abs(model.attention(query)[i] - (k / k.sum())[v > 0]).max())
    return Check(worst, 1e-12, "max |f - ratio of sums|", "sums written out")


@evidence("nadaraya-watson", claim="It is softmax attention with squared distances as scores", against="torch softmax")
def attention() -> Check:
    import torch

    from fivefold.models.linear import NadarayaWatson

    X, y, _ = _rows()
    Y = np.stack([y, y**2], axis=1)
    query = torch.tensor(X[:10] + 0.3)
    scores = -0.5 * torch.cdist(query, torch.tensor(X)) ** 2 / 0.7**2
    expected = torch.softmax(scores, dim=1) @ torch.tensor(Y)
    model = NadarayaWatson(0.7).fit(X, Y)
    worst = largest(np.abs(model.predict(query.numpy()) - expected.numpy()).max())
    # Far away it is the target of the nearest row, not 0/0; far from the origin nothing changes.
    far = X[:1] + 1e4 * np.array([1.0, 0, 0])
    worst = largest(worst, np.abs(model.predict(far) - Y[X[:, 0].argmax()]).max())
    moved = NadarayaWatson(0.7).fit(X + 1e5, Y).predict(query.numpy() + 1e5)
    # Features of 1e5 are rounded to 1e-11, which the bandwidth and the distances (up to 10 widths) enlarge a hundredfold.
    worst = largest(worst, 1e-3 * np.abs(moved - expected.numpy()).max())
    return Check(worst, 1e-10, "max |f - attention|", "torch")


@evidence(
    "nadaraya-watson",
    claim="Predictions equal the peer's local constant estimate",
    against="statsmodels KernelReg",
    peer="statsmodels",
)
def nadaraya_peer() -> Check:
    from statsmodels.nonparametric.kernel_regression import KernelReg

    from fivefold.models.linear import NadarayaWatson

    X, y, _ = _rows()
    with warnings.catch_warnings():
        # The peer announces a change of its random numbers, of which this estimate takes none.
        warnings.simplefilter("ignore", FutureWarning)
        theirs = KernelReg(y, X, var_type="ccc", reg_type="lc", bw=[0.6, 1.0, 0.4]).fit(X)[0]
    ours = NadarayaWatson([0.6, 1.0, 0.4]).fit(X, y).predict(X)
    return Check(largest(np.abs(ours - theirs).max()), 1e-10, "max |f - peer|", "statsmodels KernelReg")
