"""Gaussian naive Bayes: worked numbers, the diagonal Gaussian classifier, weights, batches and the smoothing."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _table(n: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, labels of three classes and whole weights that include zero."""
    rng = np.random.default_rng(n)
    y = rng.choice(["a", "b", "c"], p=[0.5, 0.3, 0.2], size=n)
    shift = np.searchsorted(["a", "b", "c"], y)[:, None] * np.array([1.0, -0.5, 0.0])
    return rng.normal(size=(n, 3)) * [1.0, 2.0, 0.3] + shift + 4, y, rng.integers(0, 4, size=n).astype(float)


@evidence(
    "gaussian-naive-bayes", claim="Means, variances, shares and posterior of a small case", against="worked by hand"
)
def by_hand() -> Check:
    from fivefold.models.linear import GaussianNB

    # a: 1, 3 (mean 2, variance 1); b: 5, 9, 7 (mean 7, variance 8/3); all: mean 5, variance 8.
    X, y = [[1.0], [5.0], [3.0], [9.0], [7.0]], ["a", "b", "a", "b", "b"]
    model = GaussianNB(var_smoothing=0.0).fit(X, y)
    value = np.abs(np.concatenate([model.theta_ - [[2], [7]], model.var_ - [[1], [8 / 3]]])).max()
    value = largest(value, np.abs(model.class_prior_ - [0.4, 0.6]).max(), np.abs(model.class_count_ - [2, 3]).max())
    joint = [np.log(0.4) - np.log(2 * np.pi) / 2 - 2, np.log(0.6) - np.log(2 * np.pi * 8 / 3) / 2 - 9 / (16 / 3)]
    value = largest(value, np.abs(model.predict_joint_log_proba([[4.0]]) - joint).max())
    odds = np.exp(joint[0] - joint[1])
    value = largest(value, abs(model.predict_proba([[4.0]])[0, 0] - odds / (1 + odds)))
    # Weight 0 is absence and weight 3 a row three times: a keeps 3 alone twice over with 1.
    heavy = GaussianNB(var_smoothing=0.0).fit(X, y, sample_weight=[1, 0, 3, 2, 2])
    value = largest(value, np.abs(heavy.theta_ - [[2.5], [8]]).max(), np.abs(heavy.var_ - [[0.75], [1]]).max())
    value = largest(value, np.abs(heavy.class_prior_ - 0.5).max())
    # The default adds 1e-9 times the variance 8 of all rows, here of the weighted rows for the second model.
    plain = GaussianNB().fit(X, y)
    value = largest(value, abs(plain.epsilon_ / 8e-9 - 1), np.abs(plain.var_ - model.var_ - 8e-9).max())
    half = GaussianNB(var_smoothing=0.5).fit(X, y)
    value = largest(value, abs(half.epsilon_ - 4), np.abs(half.var_ - [[5], [8 / 3 + 4]]).max())
    return Check(float(value), 1e-14, "max |number - by hand|", "by hand")


@evidence(
    "gaussian-naive-bayes", claim="It is the Gaussian classifier with diagonal covariances", against="scipy.stats"
)
def diagonal_gaussians() -> Check:
    from scipy.stats import multivariate_normal

    from fivefold.models.linear import GaussianNB

    X, y, v = _table()
    query = np.vstack([X, X * 3 - 5])
    worst, wrong = 0.0, 0
    for weight in (None, v):
        for priors in (None, [0.1, 0.2, 0.7]):
            model = GaussianNB(priors=priors).fit(X, y, weight)
            mass = np.ones(len(y)) if weight is None else weight
            spread = np.cov(X.T, aweights=mass, ddof=0)
            joint = np.empty((len(query), 3))
            for c, label in enumerate("abc"):
                rows = y == label
                mean = np.average(X[rows], axis=0, weights=mass[rows])
                var = np.average((X[rows] - mean) ** 2, axis=0, weights=mass[rows]) + 1e-9 * np.diagonal(spread).max()
                share = mass[rows].sum() / mass.sum() if priors is None else priors[c]
                joint[:, c] = np.log(share) + multivariate_normal(mean, np.diag(var)).logpdf(query)
            posterior = joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)
            worst = largest(worst, np.abs(model.predict_joint_log_proba(query) - joint).max())
            worst = largest(worst, np.abs(model.predict_log_proba(query) - posterior).max())
            worst = largest(worst, np.abs(model.predict_proba(query) - np.exp(posterior)).max())
            wrong += int((model.predict(query) != np.array(["a", "b", "c"])[joint.argmax(axis=1)]).sum())
    return Check(
        float(worst + wrong), 1e-10, "max |log-probability - scipy|, wrong labels", "scipy.stats.multivariate_normal"
    )


@evidence(
    "gaussian-naive-bayes", claim="Parameters and probabilities equal the peer's", against="scikit-learn GaussianNB"
)
def wine() -> Check:
    from sklearn.datasets import load_wine
    from sklearn.naive_bayes import GaussianNB as Peer

    from fivefold.models.linear import GaussianNB

    X, y = load_wine(return_X_y=True)
    worst = 0.0
    for smoothing in (1e-9, 1e-3):
        ours, peer = GaussianNB(var_smoothing=smoothing).fit(X, y), Peer(var_smoothing=smoothing).fit(X, y)
        worst = largest(worst, np.abs(ours.theta_ / peer.theta_ - 1).max(), np.abs(ours.var_ / peer.var_ - 1).max())
        worst = largest(worst, np.abs(ours.class_prior_ - peer.class_prior_).max())
        worst = largest(worst, np.abs(ours.predict_proba(X) - peer.predict_proba(X)).max())
    # The peer takes the smoothing from unweighted rows; without smoothing, weights must agree.
    v = np.linspace(0.0, 2.0, len(y))
    ours, peer = GaussianNB(var_smoothing=0.0).fit(X, y, v), Peer(var_smoothing=0.0).fit(X, y, v)
    worst = largest(worst, np.abs(ours.theta_ / peer.theta_ - 1).max(), np.abs(ours.var_ / peer.var_ - 1).max())
    worst = largest(worst, np.abs(ours.predict_proba(X) - peer.predict_proba(X)).max())
    return Check(float(worst), 1e-11, "max |number - peer|", "scikit-learn GaussianNB")


@evidence("gaussian-naive-bayes", claim="Batches in any split give the parameters of one fit", against="one fit")
def batches() -> Check:
    from fivefold.models.linear import GaussianNB

    X, y, v = _table()
    worst = 0.0
    for weight in (None, v):
        whole = GaussianNB(var_smoothing=0.0).fit(X, y, weight)
        for edges in ([30, 60], [1, 5, 89], [89]):
            order = np.argsort(y, kind="stable") if len(edges) == 3 else np.arange(len(y))  # classes come one by one
            model = GaussianNB(var_smoothing=0.0)
            smooth = GaussianNB(var_smoothing=1e-3)
            parts = [p for p in np.split(order, edges) if weight is None or weight[p].any()]
            for k, part in enumerate(parts):
                mine = None if weight is None else weight[part]
                model.partial_fit(X[part], y[part], classes=["c", "a", "b"] if k == 0 else None, sample_weight=mine)
                smooth.partial_fit(X[part], y[part], classes=["a", "b", "c"] if k == 0 else None, sample_weight=mine)
            for name in ("theta_", "var_", "class_count_", "class_prior_"):
                worst = largest(worst, np.abs(getattr(model, name) - getattr(whole, name)).max())
            # What smoothing adds comes from the last batch, once, not once a batch.
            last = parts[-1]
            mass = np.ones(len(last)) if weight is None else weight[last]
            mean = np.average(X[last], axis=0, weights=mass)
            added = 1e-3 * np.average((X[last] - mean) ** 2, axis=0, weights=mass).max()
            worst = largest(worst, np.abs(smooth.var_ - whole.var_ - added).max(), abs(smooth.epsilon_ - added))
    return Check(float(worst), 1e-12, "max |parameter - one fit|", "one fit")


@evidence("gaussian-naive-bayes", claim="A weight of w counts as w rows, zero as none", against="repeated rows")
def weights_are_repetitions() -> Check:
    from fivefold.models.linear import GaussianNB

    X, y, v = _table()
    X[0] = 1e6 if v[0] == 0 else X[0]
    X[v == 0] *= 100  # rows without weight must not reach the smoothing either
    worst = 0.0
    for smoothing in (0.0, 0.1):
        weighted = GaussianNB(var_smoothing=smoothing).fit(X, y, v)
        repeated = GaussianNB(var_smoothing=smoothing).fit(X.repeat(v.astype(int), axis=0), y.repeat(v.astype(int)))
        for name in ("theta_", "var_", "class_count_", "class_prior_", "epsilon_"):
            worst = largest(worst, np.abs(getattr(weighted, name) - getattr(repeated, name)).max())
    return Check(float(worst), 1e-12, "max |parameter - repeated rows|", "repeated rows")


@evidence(
    "gaussian-naive-bayes", claim="A large common offset costs no accuracy; far rows stay finite", against="invariance"
)
def offset_and_distance() -> Check:
    from fivefold.models.linear import GaussianNB

    X, y, _ = _table(50_000)
    X = np.round(X * 1024) / 1024  # so that X + 2**20 is exact
    near, far = GaussianNB().fit(X, y), GaussianNB().fit(X + 2.0**20, y)
    value = largest(np.abs(far.var_ / near.var_ - 1).max(), np.abs(far.theta_ - near.theta_ - 2.0**20).max())
    logs = near.predict_log_proba(np.full((1, 3), 1e6))
    p = near.predict_proba(np.full((1, 3), 1e6))
    value += (not np.isfinite(logs).all()) + abs(p.sum() - 1)
    # A mean of numbers near 2**20 errs by eps * 2**20 * sqrt(n), far below the bound; a one-pass variance would lose 1e-4.
    return Check(float(value), 1e-8, "max |relative variance, mean - shifted|", "the shifted problem")


@evidence(
    "gaussian-naive-bayes",
    claim="Impossible classes get probability zero; ties go to the first class",
    against="by hand",
)
def impossible_and_tied() -> Check:
    from fivefold.models.linear import GaussianNB

    X, y = [[0.0], [2.0], [4.0], [6.0]], ["b", "b", "a", "a"]
    wrong = int(GaussianNB().fit(X, y).predict([[3.0]])[0] != "a")
    never = GaussianNB(priors=[0.0, 1.0]).fit(X, y)
    wrong += int(never.predict([[5.0]])[0] != "b") + int(never.predict_proba([[5.0]])[0, 0] != 0)
    unseen = GaussianNB().partial_fit(X[:3], y[:3], classes=["a", "b", "z"])
    wrong += int((unseen.predict_proba([[1.0], [9.0]])[:, 2] != 0).sum()) + int(unseen.class_prior_[2] != 0)
    wrong += int(np.isnan(unseen.predict_proba([[1.0]])).any())
    return Check(wrong, 0, "wrong answers", "by hand")
