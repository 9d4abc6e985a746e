"""The ranking machine: differences, groups, closed form, the gap, order and the peer."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(36, 4)) * [1, 2, 0.5, 1] + 3
    return X, np.round(X @ [1.0, -0.5, 1, 0] + rng.normal(size=36)), rng.integers(0, 3, 36)


def _differences(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the differences of all pairs, one by one."""
    same = np.zeros(len(y)) if groups is None else groups
    pairs = [(i, j) for i in range(len(y)) for j in range(len(y)) if same[i] == same[j] and y[i] > y[j]]
    return np.array([X[i] - X[j] for i, j in pairs])


@evidence(
    "ranking-svm", claim="Weights equal the peer's on pairwise differences", against="scikit-learn LinearSVC(hinge)"
)
def peer() -> Check:
    from sklearn.svm import LinearSVC

    from fivefold.models.linear import RankingSVM

    X, y, groups = _rows()
    worst = 0.0
    for C, given in ((0.1, None), (1.0, groups)):
        D = _differences(X, y, given)
        sign = np.where(np.arange(len(D)) % 2, 1.0, -1.0)
        theirs = LinearSVC(C=C, loss="hinge", fit_intercept=False, tol=1e-9, max_iter=200_000).fit(
            sign[:, None] * D, sign
        )
        ours = RankingSVM(C, tol=1e-8).fit(X, y, given)
        worst = largest(worst, np.abs(ours.coef_ - theirs.coef_[0]).max(), float(ours.n_pairs_ != len(D)))
    # Strong convexity 1: |w - w*| <= sqrt(2 gap) with a gap of 1e-8 of an objective below 100.
    return Check(worst, 2 * np.sqrt(2 * 1e-8 * 100), "largest difference", "scikit-learn LinearSVC")


@evidence("ranking-svm", claim="The gap is a bound, objective and perturbations are as written", against="definition")
def optimality() -> Check:
    from fivefold.models.linear import RankingSVM

    X, y, groups = _rows()
    rng, worst = np.random.default_rng(0), 0.0
    for C, given in ((0.05, None), (2.0, groups)):
        D = _differences(X, y, given)
        model = RankingSVM(C, tol=1e-7).fit(X, y, given)
        value = 0.5 * model.coef_ @ model.coef_ + C * np.maximum(0, 1 - D @ model.coef_).sum()
        worst = largest(worst, abs(value / model.objective_ - 1), model.dual_gap_, float(not model.dual_gap_ >= 0))
        for _ in range(50):
            w = model.coef_ + 10.0 ** rng.uniform(-5, 0) * rng.normal(size=4)
            worst = largest(worst, (value - 0.5 * w @ w - C * np.maximum(0, 1 - D @ w).sum()) / value)
        worst = largest(worst, np.abs(model.predict(X) - X @ model.coef_).max())
        rough = RankingSVM(C, tol=0.3).fit(X, y, given)
        worst = largest(worst, (rough.objective_ - value) / rough.objective_ - rough.dual_gap_)
    facts = RankingSVM()
    stated = (facts.C, facts.tol, facts.max_iter, facts.random_state) != (1.0, 1e-3, 10_000, 0)
    return Check(worst + stated, 1e-7, "violation")


@evidence(
    "ranking-svm",
    claim="Separable grades are ranked with a Kendall tau of 1; two rows have a closed form",
    against="order",
)
def order() -> Check:
    from scipy.stats import kendalltau

    from fivefold.models.linear import RankingSVM

    X, _, groups = _rows()
    score = X @ [1.0, -0.5, 1, 0.3]
    grades = np.argsort(np.argsort(score)).astype(float)
    worst = 1.0 - kendalltau(RankingSVM(1e4, tol=1e-2, max_iter=100_000).fit(X, grades).predict(X), grades).statistic
    # Grades of different groups are not compared: moving a group by a constant changes nothing.
    one = RankingSVM(0.5).fit(X, grades, groups)
    two = RankingSVM(0.5).fit(X, grades + 100 * groups, np.array(["b", "a", "c"])[groups])
    far = RankingSVM(0.5).fit(X, grades + 100 * groups)
    worst = largest(worst, np.abs(one.objective_ / two.objective_ - 1) * 1e-6, float(far.n_pairs_ == two.n_pairs_))
    # One pair at distance 2: w = min(2 C, 1 / 2).
    for C, w in ((1.0, 0.5), (0.1, 0.2)):
        worst = largest(worst, abs(RankingSVM(C, tol=1e-10).fit([[3.0], [1.0]], [2, 1]).coef_[0] - w))
    return Check(worst, 1e-8, "error")
