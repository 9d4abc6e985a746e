"""Edges of the linear classifiers: columns that repeat each other, classes without weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError
from fivefold.evidence import Check, evidence, largest
from fivefold.models.linear import Lasso, LogisticRegression, MulticlassSVM, RankingSVM, SoftmaxRegression


@evidence(
    "logistic-regression",
    claim="Of the many maxima with a repeated column the one of least norm is found: equal coefficients",
    against="symmetry",
)
def repeated_columns() -> Check:
    worst = 0.0
    for seed in range(12):
        stream = np.random.default_rng(seed)
        x = stream.normal(size=(80, 3))
        y = (x[:, 0] + stream.logistic(size=80) > 0).astype(int)
        model = LogisticRegression(penalty=None, solver="newton").fit(np.column_stack([x, x]), y)
        halves = model.coef_[0, :3], model.coef_[0, 3:]
        alone = LogisticRegression(penalty=None, solver="newton").fit(x, y).coef_[0]
        worst = largest(worst, float(np.abs(halves[0] - halves[1]).max()), float(np.abs(sum(halves) - alone).max()))
    return Check(worst, 1e-5, "max difference", "equal halves of the coefficients")


def _refusals(model: object, labels: list[str], words: str = "needs two classes with weight") -> int:
    """Count the weights without two classes that are accepted, and the sound ones that are refused."""
    x, y = np.arange(12.0).reshape(6, 2), np.array(labels)
    wrong = 0
    for name in set(labels):
        try:
            model.fit(x, y, sample_weight=(y == name).astype(float))  # type: ignore[attr-defined]
        except DataError as error:
            wrong += int(words not in str(error))
        else:
            wrong += 1
    model.fit(x, y, sample_weight=np.ones(6))  # type: ignore[attr-defined]
    return wrong


@evidence(
    "logistic-regression", claim="Weights that leave one class alone are refused in words", against="the definition"
)
def one_class_has_weight() -> Check:
    return Check(_refusals(LogisticRegression(), list("ababab")), 0, "wrong answers", "two classes are needed")


@evidence(
    "softmax-regression", claim="Weights that leave one class alone are refused in words", against="the definition"
)
def one_of_three_has_weight() -> Check:
    return Check(_refusals(SoftmaxRegression(), list("abcabc")), 0, "wrong answers", "two classes are needed")


@evidence("multiclass-svm", claim="Weights that leave one class alone are refused in words", against="the definition")
def one_class_of_a_machine_has_weight() -> Check:
    words = "MulticlassSVM needs two classes; y holds one class, '"
    return Check(_refusals(MulticlassSVM(), list("abcabc"), words), 0, "wrong answers", "two classes are needed")


@evidence(
    "multiclass-svm", claim="A tolerance of one is met by weights of zero, with equality", against="the gap at zero"
)
def loosest_tolerance() -> Check:
    return _at_once(MulticlassSVM(tol=1.0))


@evidence("ranking-svm", claim="A tolerance of one is met by weights of zero, with equality", against="the gap at zero")
def loosest_tolerance_of_ranks() -> Check:
    return _at_once(RankingSVM(tol=1.0))


def _at_once(model: Any) -> Check:
    """At weights and multipliers of zero the dual value is zero, so the gap is all of the objective."""
    x = np.arange(12.0).reshape(6, 2) ** 1.5
    model.fit(x, np.array([0, 1, 2, 0, 1, 2]))
    return Check(float(np.abs(model.coef_).max()) + (model.n_iter_ != 1), 0, "steps beyond", "the gap at zero")


@evidence("lasso-regression", claim="A target of zeros is met at once by weights of zero", against="the gap is zero")
def nothing_to_explain() -> Check:
    x = np.random.default_rng(0).normal(size=(30, 5))
    worst = 0.0
    for alpha in (1e-6, 0.1):
        model = Lasso(alpha).fit(x, np.zeros(30))
        worst = largest(worst, float(np.abs(model.coef_).max()), abs(model.intercept_), float(model.n_iter_ != 1))
        worst = largest(worst, model.dual_gap_)
    return Check(worst, 0, "steps, weights or gap", "the gap is zero")
