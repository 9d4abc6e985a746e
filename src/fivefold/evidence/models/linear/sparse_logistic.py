"""Sparse logistic regression: closed forms, optimality, the duality gap, weights, index:value files and the peer."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _rows(n: int = 80, d: int = 12, k: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d + k)
    X = rng.normal(size=(n, d)) * np.geomspace(0.5, 3, d) * (rng.random((n, d)) < 0.7)
    scores = X @ rng.normal(size=(d, k)) * 0.5 + rng.gumbel(size=(n, k)) + np.arange(k) * 0.5
    return X, scores.argmax(axis=1), rng.integers(0, 4, size=n).astype(float)


def _losses(model: Any, X: np.ndarray, codes: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the losses of the rows by the objective as it is written: W (K, d), b (K,)."""
    Z = X @ W.T + b
    if len(W) == 1:
        return np.logaddexp(0, -(2.0 * codes - 1) * Z[:, 0])
    if model.multi_class == "ovr":
        sign = np.where(codes[:, None] == np.arange(len(W)), 1.0, -1.0)
        return np.logaddexp(0, -sign * Z).sum(axis=1)
    return np.logaddexp.reduce(Z, axis=1) - Z[np.arange(len(Z)), codes]


@evidence(
    "sparse-logistic-regression", claim="One binary feature has its closed form", against="soft threshold of log-odds"
)
def closed_form() -> Check:
    from fivefold.models.linear import SparseLogisticRegression

    worst = 0.0
    # Rows x = 1: p of a rows are positive; without a bias Σ(y - σ(w)) = 1/C fixes w = logit((p - 1/C) / a).
    for ones, zeros, C in ((30, 10, 0.5), (10, 30, 0.2), (22, 18, 0.1)):
        X, y = np.ones((ones + zeros, 1)), np.r_[np.ones(ones, int), np.zeros(zeros, int)]
        model = SparseLogisticRegression(C, fit_intercept=False, tol=1e-14).fit(X, y)
        pull = ones - (ones + zeros) / 2
        p = (ones - np.sign(pull) / C) / (ones + zeros)
        w = np.log(p / (1 - p)) if abs(pull) > 1 / C else 0.0
        worst = largest(worst, abs(model.coef_[0, 0] - w))
        # With a bias a constant feature has nothing left to say; the bias is the log-odds.
        free = SparseLogisticRegression(C, tol=1e-14).fit(X, y)
        worst = largest(worst, abs(free.coef_[0, 0]), abs(free.intercept_[0] - np.log(ones / zeros)))
        worst = largest(worst, np.abs(free.predict_proba(X[:1]) - [zeros / 40, ones / 40]).max())
    facts = SparseLogisticRegression()
    stated = (facts.C, facts.l1_ratio, facts.fit_intercept, facts.class_weight, facts.multi_class, facts.tol)
    return Check(
        worst + (stated != (1.0, 1.0, True, None, "multinomial", 1e-4)) + (facts.max_iter != 1000), 1e-6, "error"
    )


@evidence("sparse-logistic-regression", claim="The optimality conditions hold", against="their definition")
def conditions() -> Check:
    from fivefold.models.linear import SparseLogisticRegression

    worst = 0.0
    for k, mode, ratio, C in (
        (2, "ovr", 1.0, 0.2),
        (2, "multinomial", 0.4, 0.5),
        (3, "multinomial", 1.0, 0.3),
        (4, "ovr", 0.6, 0.3),
        (4, "multinomial", 0.6, 0.2),
    ):
        X, codes, mass = _rows(k=k)
        y = np.array(["d", "a", "c", "b"])[codes]
        codes = np.unique(y, return_inverse=True)[1]
        for weight, rows in ((None, X), (mass, sp.csr_array(X)), (mass, sp.csc_array(X)), (mass, X)):
            v = np.ones(len(X)) if weight is None else weight
            model = SparseLogisticRegression(C, l1_ratio=ratio, multi_class=mode, tol=1e-10, class_weight={"a": 2.0})
            model.fit(rows, y, weight)
            v = v * np.where(y == "a", 2.0, 1.0)
            W, b = model.coef_, model.intercept_
            Z = X @ W.T + b
            if k == 2:
                R = (codes - 1 / (1 + np.exp(-Z[:, 0])))[:, None]
            elif mode == "ovr":
                R = (codes[:, None] == np.arange(k)) - 1 / (1 + np.exp(-Z))
            else:
                P = np.exp(Z - np.logaddexp.reduce(Z, axis=1)[:, None])
                R = (codes[:, None] == np.arange(k)) - P
            G = (v[:, None] * R).T @ X - (1 - ratio) / C * W
            l1 = ratio / C
            off = np.where(W != 0, np.abs(G - l1 * np.sign(W)), np.maximum(np.abs(G) - l1, 0)).max()
            value = v @ _losses(model, X, codes, W, b) + l1 * np.abs(W).sum() + (1 - ratio) / (2 * C) * (W**2).sum()
            worst = largest(worst, off, np.abs(v @ R).max(), abs(value / v.sum() - model.objective_) * 1e3)
            worst = largest(
                worst, float(not model.dual_gap_ <= 1e-10), float((W == 0).sum() < 2) if ratio == 1 else 0.0
            )
            answer = model.decision_function(rows)
            worst = largest(worst, np.abs(answer.reshape(Z.shape) - Z).max())
            chance = P if k > 2 and mode == "multinomial" else 1 / (1 + np.exp(-Z))
            chance = np.hstack([1 - chance, chance]) if k == 2 else chance / chance.sum(axis=1, keepdims=True)
            worst = largest(worst, np.abs(model.predict_proba(rows) - chance).max())
            worst = largest(worst, float((model.predict(rows) != model.classes_[chance.argmax(axis=1)]).any()))
    # Relative gap 1e-10 of an objective below 150, curvature Σ v x² / 4 below 2,000: sqrt(2 · 2000 · 1.5e-8) = 8e-3.
    return Check(worst, 8e-3, "largest violation")


@evidence(
    "sparse-logistic-regression",
    claim="The gap bounds the distance to the minimum at any stage and closes",
    against="the minimum by a far smaller tolerance",
)
def gap() -> Check:
    from sklearn.exceptions import ConvergenceWarning

    from fivefold.models.linear import SparseLogisticRegression

    faults = 0
    for k, ratio in ((2, 1.0), (2, 0.5), (3, 1.0), (3, 0.3)):
        X, codes, weight = _rows(k=k)
        best = SparseLogisticRegression(0.7, l1_ratio=ratio, tol=1e-11).fit(X, codes, weight).objective_
        for steps in (1, 2, 3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = SparseLogisticRegression(0.7, l1_ratio=ratio, tol=1e-11, max_iter=steps).fit(X, codes, weight)
            truth = (model.objective_ - best) / model.objective_
            faults += int(not model.dual_gap_ >= truth - 1e-12)
            faults += int(not model.n_iter_.max() <= steps)
    # That it closes shows in the fits without a warning to 1e-11.
    return Check(float(faults), 0.0, "stages where the gap is not a bound")


@evidence(
    "sparse-logistic-regression",
    claim="A hundred perturbations do not improve the objective; too strong a penalty leaves the biases",
    against="the objective written out",
)
def perturbations() -> Check:
    from fivefold.models.linear import SparseLogisticRegression

    rng, faults = np.random.default_rng(1), 0.0
    for k, mode in ((2, "ovr"), (3, "multinomial"), (3, "ovr")):
        X, codes, weight = _rows(d=100, k=k)
        model = SparseLogisticRegression(0.3, multi_class=mode, tol=1e-9).fit(sp.csr_array(X), codes, weight)
        W, b, total = model.coef_, model.intercept_, weight.sum()
        for _ in range(34):
            size = 10.0 ** rng.uniform(-5, 0)
            V = W + size * rng.normal(size=W.shape) * (rng.random(W.shape) < 0.2)
            c = b + size * rng.normal(size=b.shape)
            value = (weight @ _losses(model, X, codes, V, c) + np.abs(V).sum() / 0.3) / total
            faults += float(not value >= model.objective_ * (1 - 1e-9))
        share = np.bincount(codes, weights=weight) / total
        top = max(np.abs(X.T @ (weight * ((codes == j) - share[j]))).max() for j in range(k))
        for factor, any_left in ((0.999, False), (1.02, True)):
            edge = SparseLogisticRegression(factor / top, multi_class=mode, tol=1e-9).fit(X, codes, weight)
            faults += float(edge.coef_.any() != any_left)
        logits = np.log(share) if mode == "multinomial" else np.log(share / (1 - share))
        logits = logits[1:] if k == 2 else logits - (logits.mean() if mode == "multinomial" else 0)
        none = SparseLogisticRegression(0.5 / top, multi_class=mode, tol=1e-12).fit(X, codes, weight)
        faults += float(not np.abs(none.intercept_ - logits).max() <= 1e-6)
    return Check(faults, 0.0, "faults")


@evidence(
    "sparse-logistic-regression",
    claim="Weights equal repeated rows; ill-conditioned, separable, huge and constant columns end at their tolerance",
    against="repetition and the gap",
)
def hard_data() -> Check:
    from fivefold.models.linear import SparseLogisticRegression

    X, codes, weight = _rows()
    a = SparseLogisticRegression(0.5, tol=1e-12, class_weight="balanced").fit(X, codes, weight)
    again = np.repeat(np.arange(len(X)), weight.astype(int))
    b = SparseLogisticRegression(0.5, tol=1e-12, class_weight="balanced").fit(X[again], codes[again])
    worst = largest(np.abs(a.coef_ - b.coef_).max(), abs(a.objective_ - b.objective_))
    wide = np.hstack([X, X[:, :1], np.full((80, 1), 1e8), X[:, 1:2] * 1e8])
    split = X[:, 0] + X[:, 5] > 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (wide, sp.csr_array(wide)):
            worst = largest(worst, float(not SparseLogisticRegression(1.0).fit(rows, codes).dual_gap_ <= 1e-4))
            firm = SparseLogisticRegression(1e6, tol=1e-5).fit(rows[:, :12], split)
            worst = largest(worst, float(not firm.dual_gap_ <= 1e-5), 1.0 - firm.score(rows[:, :12], split))
    return Check(worst, 1e-5, "difference")


@evidence("sparse-logistic-regression", claim="Objective and weights equal the peer's", against="scikit-learn saga")
def peer() -> Check:
    from sklearn.datasets import load_breast_cancer, load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import scale

    from fivefold.models.linear import SparseLogisticRegression

    worst = 0.0
    for load, C, ratio in ((load_breast_cancer, 0.05, 1.0), (load_breast_cancer, 0.02, 0.5), (load_iris, 0.1, 0.7)):
        X, y = load(return_X_y=True)
        X, weight = scale(X), 1.0 + np.arange(len(y)) % 3
        theirs = LogisticRegression(C=C, l1_ratio=ratio, penalty="elasticnet", solver="saga", tol=1e-8, max_iter=5000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            theirs.fit(X, y, weight)
        ours = SparseLogisticRegression(C, l1_ratio=ratio, tol=1e-11).fit(X, y, weight)
        worst = largest(
            worst, np.abs(ours.coef_ - theirs.coef_).max(), np.abs(ours.intercept_ - theirs.intercept_).max()
        )
    return Check(worst, 1e-4, "largest difference", "scikit-learn saga")


@evidence(
    "sparse-logistic-regression",
    claim="index:value lines train, evaluate by the probabilities and export",
    against="a dense fit and the area counted over all pairs",
)
def index_value_lines() -> Check:
    import tempfile
    from pathlib import Path

    from sklearn.datasets import load_svmlight_file

    import fivefold
    from fivefold.models.linear import SparseLogisticRegression

    X, codes, _ = _rows(d=30)
    lines = [
        f"{y} " + " ".join(f"{j}:{float(v)!r}" for j, v in enumerate(x) if v) for x, y in zip(X, codes, strict=True)
    ]
    rows, labels = load_svmlight_file(io.BytesIO("\n".join(lines).encode()), n_features=30, zero_based=True)
    model = SparseLogisticRegression(0.5, tol=1e-10).fit(rows, labels)
    dense = SparseLogisticRegression(0.5, tol=1e-10).fit(X, codes)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        served: Any = fivefold.load(Path(folder) / "model")
        score = served.predict_proba(X)[:, 1]
    worst = largest(np.abs(score - dense.predict_proba(X)[:, 1]).max())
    from fivefold.evaluation.registry import get_metric

    area = get_metric("roc-auc").function(codes, score)
    up, down = score[codes == 1][:, None], score[codes == 0][None, :]
    pairs = float(((up > down) + 0.5 * (up == down)).mean())
    rounded = get_metric("roc-auc").function(codes, np.round(score))
    return Check(largest(worst, abs(area - pairs), float(not abs(area - rounded) >= 1e-3)), 1e-6, "difference")
