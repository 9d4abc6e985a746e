"""Bernoulli and categorical naive Bayes: the sources' worked numbers, products written out, batches and the peers."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest

# The ten cars of the source: color (0 red, 1 yellow), type (0 sports, 1 SUV), origin (0 domestic, 1 imported), stolen.
CARS = np.array(
    [
        [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 1, 1],
        [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1],
    ]
)  # fmt: skip


@evidence(
    "bernoulli-naive-bayes",
    claim="Thirteen points give (1, 1) the posterior 3/7",
    against="the source's worked example",
)
def thirteen_points() -> Check:
    from fivefold.models.linear import BernoulliNB

    X = np.array([[1, 1]] + [[1, 0]] * 4 + [[0, 1]] * 4 + [[0, 0]] * 4)
    y = np.array([1] + [2] * 12)
    model = BernoulliNB(alpha=0).fit(X, y)
    p = model.predict_proba([[1, 1]])[0]
    # Class 1 never lacks a feature, so alpha = 0 makes (1, 0) impossible for it.
    other = model.predict_proba([[1, 0]])[0]
    value = largest(np.abs(p - [3 / 7, 4 / 7]).max(), np.abs(other - [0, 1]).max(), model.predict([[1, 1]])[0] != 2)
    # The default adds one row of each value: class 1 has (2/3)^2, class 2 has (5/14)^2.
    odds = (1 / 13) * (2 / 3) ** 2 / ((12 / 13) * (5 / 14) ** 2)
    value = largest(value, abs(BernoulliNB().fit(X, y).predict_proba([[1, 1]])[0, 0] - odds / (1 + odds)))
    return Check(value, 1e-14, "max |number - worked|", "worked by hand")


@evidence(
    "bernoulli-naive-bayes",
    claim="Counts and posteriors equal the product written out",
    against="a product over features",
)
def bernoulli_product() -> Check:
    from fivefold.models.linear import BernoulliNB

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)) + 0.3, rng.choice(["a", "b", "c"], size=60)
    weight, worst = rng.integers(0, 4, size=60).astype(float), 0.0
    for alpha, cut, priors, mass in (
        (0.5, 0.0, None, None),
        (2.0, 0.4, [0.2, 0.5, 0.3], weight),
        (1e-3, -0.5, None, weight),
    ):
        model = BernoulliNB(alpha=alpha, binarize=cut, priors=priors).fit(X, y, mass)
        v, ones = np.ones(60) if mass is None else mass, cut < X
        joint = np.empty((60, 3))
        for c, label in enumerate("abc"):
            rows = y == label
            n = v[rows].sum()
            p = np.array([(v[rows & ones[:, j]].sum() + alpha) / (n + 2 * alpha) for j in range(4)])
            prior = n / v.sum() if priors is None else priors[c]
            joint[:, c] = prior * np.prod(np.where(ones, p, 1 - p), axis=1)
        worst = largest(worst, np.abs(np.exp(model.predict_joint_log_proba(X)) / joint - 1).max())
        worst = largest(worst, np.abs(model.predict_proba(X) - joint / joint.sum(1, keepdims=True)).max())
        worst = largest(worst, (model.predict(X) != model.classes_[joint.argmax(axis=1)]).sum())
    return Check(worst, 1e-11, "relative difference", "the product")


@evidence(
    "bernoulli-naive-bayes",
    claim="Parameters and probabilities equal the peer's; batches change nothing",
    against="scikit-learn BernoulliNB",
)
def bernoulli_peer() -> Check:
    import scipy.sparse as sp
    from sklearn.naive_bayes import BernoulliNB as Peer

    from fivefold.models.linear import BernoulliNB

    rng = np.random.default_rng(1)
    X, y = (rng.random((120, 6)) < 0.3).astype(float), rng.integers(0, 4, size=120)
    weight, worst = rng.random(120), 0.0
    for case in ({}, {"alpha": 0.1}, {"alpha": 3.0, "binarize": None}):
        for mass in (None, weight):
            theirs = Peer(**case).fit(X, y, mass)
            for rows in (X, sp.csr_array(X)):
                ours = BernoulliNB(**case).fit(rows, y, mass)
                worst = largest(worst, np.abs(ours.feature_count_ - theirs.feature_count_).max())
                worst = largest(worst, np.abs(ours.predict_log_proba(rows) - theirs.predict_log_proba(X)).max())
            parts = BernoulliNB(**case)
            for part in np.array_split(np.arange(120), 7):
                parts.partial_fit(X[part], y[part], range(4), None if mass is None else mass[part])
            worst = largest(worst, np.abs(parts.predict_log_proba(X) - theirs.predict_log_proba(X)).max())
    return Check(worst, 1e-11, "max |number - peer|", "scikit-learn")


@evidence(
    "categorical-naive-bayes",
    claim="Ten cars give 0.03845 and 0.06921, so not stolen",
    against="the source's worked example",
)
def cars() -> Check:
    from fivefold.models.linear import CategoricalNB

    query = [[0, 1, 0]]
    model = CategoricalNB(m=3).fit(CARS[:, :3], CARS[:, 3])
    joint = np.exp(model.predict_joint_log_proba(query))[0]
    # (n_c + 1.5) / (5 + 3): red 3 and 2, SUV 1 and 3, domestic 2 and 3 of five; the source's rounded 0.43 is 0.4375.
    exact = 0.5 * np.array([3.5 * 4.5 * 4.5, 4.5 * 2.5 * 3.5]) / 512
    value = largest(np.abs(joint - exact).max(), np.abs(model.predict_proba(query)[0, 0] - exact[0] / exact.sum()))
    value = largest(
        value,
        model.predict(query)[0] != 0,
        np.abs(
            CategoricalNB(alpha=1.5).fit(CARS[:, :3], CARS[:, 3]).predict_joint_log_proba(query) - np.log(exact)
        ).max(),
    )
    rounded = largest(abs(exact[0] - 0.06921), abs(exact[1] - 0.03845), abs(exact[0] / exact.sum() - 0.6429))
    # The source's numbers have four or five digits.
    return Check(value + (not rounded <= 6e-5), 1e-14, "max |number - worked|", "worked by hand")


@evidence(
    "categorical-naive-bayes",
    claim="Posteriors equal the product written out, unseen codes included",
    against="a product over features",
)
def categorical_product() -> Check:
    from fivefold.models.linear import CategoricalNB

    rng = np.random.default_rng(0)
    sizes = [2, 3, 5]
    X = np.stack([rng.integers(0, s, size=80) for s in sizes], axis=1)
    y, weight, worst = rng.choice(["a", "b"], p=[0.7, 0.3], size=80), rng.integers(0, 3, size=80).astype(float), 0.0
    query = np.vstack([X, [[4, 1, 0], [0, 9, 7]]])
    for alpha, m, least, priors, mass in (
        (1.0, None, None, None, None),
        (0.3, None, 6, [0.4, 0.6], weight),
        (1.0, 2.0, [2, 4, 5], None, weight),
    ):
        model = CategoricalNB(alpha=alpha, m=m, min_categories=least, priors=priors).fit(X, y, mass)
        v, joint = np.ones(80) if mass is None else mass, np.ones((len(query), 2))
        for c, label in enumerate("ab"):
            rows = y == label
            joint[:, c] *= v[rows].sum() / v.sum() if priors is None else priors[c]
            for j in range(3):
                k = max(sizes[j], np.broadcast_to(least or 1, 3)[j])
                a = alpha if m is None else m / k
                counts = np.array([v[rows & (X[:, j] == code)].sum() for code in query[:, j]])
                joint[:, c] *= (counts + a) / (v[rows].sum() + a * k)
        worst = largest(worst, np.abs(np.exp(model.predict_joint_log_proba(query)) / joint - 1).max())
        worst = largest(worst, np.abs(model.predict_proba(query) - joint / joint.sum(1, keepdims=True)).max())
        worst = largest(worst, (model.predict(query) != model.classes_[joint.argmax(axis=1)]).sum())
    # Without smoothing a value that a class never had excludes it.
    strict = CategoricalNB(alpha=0).fit([[0], [0], [1]], ["a", "b", "b"])
    worst = largest(worst, abs(strict.predict_proba([[1]])[0, 0]))
    worst = largest(worst, abs(strict.predict_proba([[0]])[0, 0] - (1 / 3) / (1 / 3 + 2 / 3 * 0.5)))
    return Check(worst, 1e-12, "relative difference", "the product")


@evidence(
    "categorical-naive-bayes",
    claim="Probabilities equal the peer's; batches change nothing",
    against="scikit-learn CategoricalNB",
)
def categorical_peer() -> Check:
    from sklearn.naive_bayes import CategoricalNB as Peer

    from fivefold.models.linear import CategoricalNB

    rng = np.random.default_rng(2)
    X, y = rng.integers(0, [2, 4, 7], size=(150, 3)), rng.integers(0, 3, size=150)
    weight, worst = rng.random(150), 0.0
    for case in ({}, {"alpha": 1.5}, {"alpha": 0.2, "min_categories": 9}):
        for mass in (None, weight):
            theirs = Peer(**case).fit(X, y, mass).predict_log_proba(X)
            worst = largest(worst, np.abs(CategoricalNB(**case).fit(X, y, mass).predict_log_proba(X) - theirs).max())
            parts = CategoricalNB(**case)
            # In the order of the last feature, so that later batches bring new codes.
            for part in np.array_split(np.argsort(X[:, 2]), 6):
                parts.partial_fit(X[part], y[part], range(3), None if mass is None else mass[part])
            worst = largest(worst, np.abs(parts.predict_log_proba(X) - theirs).max())
    return Check(worst, 1e-11, "max |number - peer|", "scikit-learn")
