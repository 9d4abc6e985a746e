"""Perceptron: the rule written out, Novikoff's bound and the peer."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows(gap: float, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 3))
    y = (X @ [1.0, -2.0, 0.5] + 0.3 > 0).astype(int)
    return X + gap * (2 * y - 1)[:, None] * np.array([1.0, -2.0, 0.5]) / 5.25, y


@evidence(
    "perceptron", claim="Weights follow the rule in the order of the seed", against="the rule written out row by row"
)
def rule() -> Check:
    import scipy.sparse as sp

    from fivefold.base.random import Streams
    from fivefold.models.linear import Perceptron

    worst = 0.0
    for shuffle, bias, eta, passes, gap in (
        (True, True, 1.0, 3, 0.0),
        (False, True, 0.5, 4, -0.5),
        (True, False, 2.0, 6, -0.5),
    ):
        X, y = _rows(gap)
        sign = 2 * y - 1
        w, b, total, epochs = np.zeros(3), 0.0, 0, 0
        for epoch in range(passes):
            order = Streams.of(5).numpy("perceptron", epoch).permutation(80) if shuffle else range(80)
            wrong = 0
            for i in order:
                if sign[i] * (w @ X[i] + b) <= 0:
                    w, b, wrong = w + eta * sign[i] * X[i], b + eta * sign[i] * bias, wrong + 1
            total, epochs = total + wrong, epoch + 1
            if not wrong:
                break
        for rows in (X, sp.csr_array(X)):
            model = Perceptron(eta, max_iter=passes, shuffle=shuffle, fit_intercept=bias, random_state=5).fit(rows, y)
            worst = largest(worst, np.abs(model.coef_[0] - w).max(), abs(model.intercept_[0] - b))
            worst = largest(worst, model.n_mistakes_ != total, model.last_mistakes_ != wrong, model.n_iter_ != epochs)
            worst = largest(worst, (model.predict(rows) != (X @ w + b > 0)).sum())
    return Check(worst, 1e-11, "max |number - rule|", "the rule")


@evidence(
    "perceptron",
    claim="On separable classes it ends without errors within (R / margin)² mistakes",
    against="Novikoff's theorem",
)
def novikoff() -> Check:
    from fivefold.models.linear import HardMarginSVM, Perceptron

    faults = 0
    for gap in (0.3, 1.0):
        X, y = _rows(gap)
        rows = np.hstack([X, np.ones((80, 1))])
        # The widest street through the origin of the rows with their constant: mirrored rows have no bias.
        both, labels = np.vstack([rows, -rows]), np.concatenate([y, 1 - y])
        margin = HardMarginSVM().fit(both, labels).width_ / 2
        bound = (np.linalg.norm(rows, axis=1).max() / margin) ** 2
        for seed in range(5):
            model = Perceptron(random_state=seed).fit(X, y)
            faults += (
                int(not model.n_mistakes_ <= bound)
                + int((model.predict(X) != y).any())
                + int(model.last_mistakes_ != 0)
            )
    X, y = _rows(0.0)
    never = Perceptron(max_iter=30, random_state=0).fit(np.vstack([X, X]), np.concatenate([y, 1 - y]))
    faults += int(never.last_mistakes_ == 0) + int(never.n_iter_ != 30)
    return Check(float(faults), 0.0, "violations", "Novikoff 1962")


@evidence("perceptron", claim="The step scales the weights alone; defaults as stated", against="itself")
def scale() -> Check:
    from fivefold.models.linear import Perceptron

    X, y = _rows(-0.3)
    one, eight = (Perceptron(eta, max_iter=20, random_state=1).fit(X, y) for eta in (1.0, 8.0))
    facts = Perceptron()
    stated = (facts.eta0, facts.max_iter, facts.shuffle, facts.fit_intercept) == (1.0, 1000, True, True)
    worst = largest(np.abs(8 * one.coef_ - eight.coef_).max(), abs(8 * one.intercept_[0] - eight.intercept_[0]))
    return Check(worst + (not stated), 1e-11, "max |8 w - w of eight times the step|", "itself")


@evidence("perceptron", claim="In the order of the rows, weights equal the peer's", against="scikit-learn Perceptron")
def peer() -> Check:
    from sklearn.linear_model import Perceptron as Peer

    from fivefold.models.linear import Perceptron

    worst = 0.0
    for gap in (-0.5, 0.0):
        X, y = _rows(gap)
        for bias in (True, False):
            for passes in (1, 7):
                ours = Perceptron(max_iter=passes, shuffle=False, fit_intercept=bias).fit(X, y)
                theirs = Peer(max_iter=passes, shuffle=False, fit_intercept=bias, tol=None).fit(X, y)
                worst = largest(worst, np.abs(ours.coef_ - theirs.coef_).max())
                worst = largest(worst, np.abs(ours.intercept_ - theirs.intercept_).max())
    return Check(worst, 1e-10, "max |number - peer|", "scikit-learn")
