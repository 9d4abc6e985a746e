"""Edges of the linear classifiers: columns that repeat each other, classes without weight."""

from __future__ import annotations

import numpy as np

from fivefold.base.errors import DataError
from fivefold.evidence import Check, evidence, largest
from fivefold.models.linear import LogisticRegression, MulticlassSVM, SoftmaxRegression


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
