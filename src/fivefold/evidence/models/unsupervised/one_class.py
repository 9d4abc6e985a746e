"""One-class machine: the conditions of its dual, the bound on outliers and the peer."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence("one-class-svm", claim="Every row meets the optimality conditions of the dual", against="their definition")
def conditions() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    rng = np.random.default_rng(0)
    numbers = []
    for n, nu in ((80, 0.5), (500, 0.1), (90, 1.0)):
        X = rng.normal(size=(n, 2))
        for mass in (None, rng.integers(0, 3, size=n).astype(float)):
            model = OneClassSVM(nu=nu, gamma=0.4, tol=1e-6, cache_size=0.5).fit(X, None, mass)
            bound = np.ones(n) if mass is None else mass
            alpha = np.zeros(n)
            alpha[model.support_] = model.dual_coef_[0]
            K = np.exp(-0.4 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
            f = K @ alpha - model.offset_
            violation = np.where(alpha <= 0, -f, np.where(alpha >= bound, f, np.abs(f)))[bound > 0]
            numbers += [violation.max(), abs(alpha.sum() - nu * bound.sum()), (alpha - bound).max(), -alpha.min()]
            numbers += [np.abs(model.decision_function(X) - f).max(), model.kkt_residual_]
            numbers += [abs(model.dual_objective_ / (0.5 * alpha @ K @ alpha) - 1)]
            numbers += [np.abs(model.score_samples(X) - K @ alpha).max(), abs(model.intercept_[0] + model.offset_)]
            numbers += [float((model.predict(X) != np.where(f >= 0, 1, -1))[np.abs(f) > 1e-9].sum())]
    return Check(float(np.max(numbers)), 1e-6 * (1 + 1e-3), "largest violation", "definition")


@evidence(
    "one-class-svm", claim="At most the share ν are outliers, at least it are support vectors", against="the theorem"
)
def shares() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    rng = np.random.default_rng(1)
    X, faults = rng.normal(size=(300, 3)), 0
    for nu in (0.05, 0.2, 0.5, 0.8):
        model = OneClassSVM(nu=nu, tol=1e-8).fit(X)
        # Rows on the edge have f = 0 up to tol; they are no outliers.
        outliers = (model.decision_function(X) < -1e-6).mean()
        faults += int(not outliers <= nu) + int(not len(model.support_) / 300 >= nu) + int(not outliers >= nu - 0.05)
        far = model.predict(np.full((1, 3), 20.0))[0]
        faults += int(far != -1)
    return Check(float(faults), 0.0, "violations", "Schölkopf et al., proposition 4")


@evidence("one-class-svm", claim="Two rows give the offset worked by hand", against="algebra")
def by_hand() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    # Two rows at distance 1, gamma = ln 2: K = 1/2. alpha = nu each, rho = 1.5 nu, here with the default nu = 0.5.
    model = OneClassSVM(gamma=np.log(2), tol=1e-12).fit([[0.0], [1.0]])
    value = largest(np.abs(model.dual_coef_ - 0.5).max(), abs(model.offset_ - 0.75), abs(model.dual_objective_ - 0.375))
    facts = (model.kernel, OneClassSVM().gamma, OneClassSVM().tol, OneClassSVM().max_iter, OneClassSVM().degree)
    same = facts == ("rbf", "scale", 1e-3, -1, 3)
    return Check(float(value) + (not same), 1e-11, "max |number - by hand|", "algebra")


@evidence("one-class-svm", claim="Decision values equal the peer's", against="scikit-learn OneClassSVM")
def peer() -> Check:
    import scipy.sparse as sp
    from sklearn.svm import OneClassSVM as Peer

    from fivefold.models.unsupervised import OneClassSVM

    rng = np.random.default_rng(2)
    X = np.vstack([rng.normal(size=(180, 4)), rng.normal(size=(20, 4)) * 5])
    weight = rng.integers(0, 3, size=200).astype(float)
    worst, wrong = 0.0, 0
    for case in (
        {},
        {"nu": 0.07},
        {"kernel": "poly", "coef0": 1.0, "gamma": 0.1},
        {"kernel": "sigmoid", "gamma": 0.01},
    ):
        for mass in (None, weight):
            ours, theirs = OneClassSVM(**case, tol=1e-9).fit(X, None, mass), Peer(**case, tol=1e-9).fit(X, None, mass)
            scale = np.abs(theirs.score_samples(X)).max()
            worst = largest(worst, np.abs(ours.decision_function(X) - theirs.decision_function(X)).max() / scale)
            worst = largest(worst, abs(ours.offset_ - theirs.offset_[0]) / scale)
            sparse = OneClassSVM(**case, tol=1e-9).fit(sp.csr_array(X), None, mass)
            worst = largest(worst, np.abs(sparse.decision_function(X) - ours.decision_function(X)).max() / scale)
            clear = np.abs(theirs.decision_function(X)) > 1e-5 * scale
            wrong += int((ours.predict(X) != theirs.predict(X))[clear].sum())
    # The peer keeps kernel values in single precision.
    return Check(float(worst) + wrong, 1e-5, "relative difference, wrong labels", "scikit-learn OneClassSVM")
