"""scikit-learn's own battery, strict: an expected failure that passes is an error too."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fivefold.models.linear import (
    SVC,
    SVR,
    BernoulliNB,
    CategoricalNB,
    GaussianNB,
    HardMarginSVM,
    KernelRidge,
    KNeighborsClassifier,
    KNeighborsRegressor,
    Lasso,
    LinearDiscriminantAnalysis,
    LinearRegression,
    LogisticRegression,
    MultipleKernelSVC,
    NadarayaWatson,
    PegasosSVM,
    Perceptron,
    PolynomialKernel,
    PolynomialRegression,
    QuadraticDiscriminantAnalysis,
    RBFKernel,
    Ridge,
    SoftMarginSVM,
    SoftmaxRegression,
)

ESTIMATORS = [
    LinearRegression(),
    Ridge(),
    Ridge(solver="svd"),
    LogisticRegression(),
    LogisticRegression(solver="newton-cg"),
    LogisticRegression(class_weight="balanced"),
    SoftmaxRegression(),
    SoftmaxRegression(solver="newton"),
    GaussianNB(),
    KNeighborsClassifier(),
    KNeighborsClassifier(weights="distance", algorithm="kd_tree"),
    KNeighborsRegressor(),
    SVC(),
    SVC(kernel="precomputed"),
    SoftMarginSVM(),
    HardMarginSVM(soften=1.0),
    SVR(),
    SVR(kernel="linear"),
    PegasosSVM(),
    PolynomialKernel(),
    RBFKernel(),
    BernoulliNB(),
    CategoricalNB(),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    Perceptron(),
    Lasso(),
    Lasso(0.1, l1_ratio=0.5),
    KernelRidge(),
    KernelRidge(kernel="rbf"),
    NadarayaWatson(),
    PolynomialRegression(),
    MultipleKernelSVC(),
]


def expected_failures(estimator: Any) -> dict[str, str]:
    return dict(getattr(estimator, "_expected_failed_checks", {}))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures, xfail_strict=True)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
