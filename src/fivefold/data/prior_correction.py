"""Probabilities after resampling: corrected to the class shares before, by a wrapper of a classifier and by a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import _BaseComposition, available_if

from fivefold.base.errors import InputError, InputTypeError
from fivefold.base.estimator import Estimator

from .resample import class_shares, correct_prior


def logit_shift(trained: Any, true: Any) -> float:
    r"""Return :math:`\log\frac{\rho_1/\pi_1}{\rho_0/\pi_0}`, by which resampling moves the logit of class 1.

    Parameters
    ----------
    trained, true : arrays of shape (2,)
        Positive shares :math:`\rho` of the classes 0 and 1 in the fit and :math:`\pi` to be corrected to.

    Returns
    -------
    float
        To be subtracted from the logit, or from the intercept of a logistic regression.

    Raises
    ------
    InputError
        For anything but two positive shares each.

    References
    ----------
    Spec ``01#prior-correction``; King & Zeng 2001, "Logistic regression in rare events data", eq. 7.
    """
    fit, real = np.asarray(trained, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if fit.shape != (2,) or real.shape != (2,) or not ((fit > 0) & (real > 0)).all():
        raise InputError(f"trained and true must be two positive shares each; got {fit.tolist()} and {real.tolist()}.")
    return float(np.log(fit[1] / real[1]) - np.log(fit[0] / real[0]))


def _has(attribute: str) -> Any:
    def check(self: Any) -> bool:
        inner = getattr(self, "estimator_", None) or self.estimator
        getattr(inner, attribute)
        return True

    return check


class PriorCorrection(MetaEstimatorMixin, ClassifierMixin, Estimator):
    r"""Fit a classifier on resampled rows and correct its probabilities to the class shares there were.

    .. math:: p'_k = \frac{p_k \, \pi_k / \rho_k}{\sum_j p_j \, \pi_j / \rho_j}

    with the shares :math:`\rho` of the fit and :math:`\pi` before. Its last place in a scikit-learn Pipeline makes a resampler
    work there, in ``fit`` alone.

    Parameters
    ----------
    estimator : classifier with predict_proba
    resampler : object with fit_resample, optional
        Such as :class:`~fivefold.data.smote.SMOTE`; without it the estimator is fitted to the rows as they are.
    true_shares : array of shape (k,), optional
        Shares :math:`\pi` of the sorted classes, where they are known to differ from those of the rows given to ``fit``, for
        example of a case-control sample; by default those of these rows.

    Attributes
    ----------
    estimator_, resampler_ : the fitted copies
    classes_ : array of shape (k,)
    trained_shares_, true_shares_ : arrays of shape (k,)

    Returns
    -------
    predict_proba : array of shape (n, k)
    predict : array of shape (n,), the class of the largest corrected probability

    Raises
    ------
    InputError
        For shares of the wrong number or sign.
    InputTypeError
        For a resampler without ``fit_resample``.

    Notes
    -----
    One source gives A = (P1/ρ1)/(P0/ρ0), B = 1/A and P1 = A/(A + B): that squares the odds, and the shares before resampling
    never enter. Right are A = P1 π1/ρ1, B = P0 π0/ρ0, which subtracts :func:`logit_shift` from the logit.

    References
    ----------
    Spec ``01#prior-correction``; King & Zeng 2001, "Logistic regression in rare events data"; Elkan 2001, theorem 2.
    """

    def __init__(self, estimator: Any, resampler: Any = None, true_shares: Any = None) -> None:
        self.estimator = estimator
        self.resampler = resampler
        self.true_shares = true_shares

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Resample ``X`` of shape (n, d) and ``y`` of shape (n,), and fit a copy of the estimator."""
        if self.resampler is not None and not hasattr(self.resampler, "fit_resample"):
            raise InputTypeError(
                f"resampler must have fit_resample, such as SMOTE(); got {type(self.resampler).__name__}."
            )
        self.resampler_ = None
        rows, labels = X, y
        if self.resampler is not None:
            self.resampler_ = clone(self.resampler)
            rows, labels = self.resampler_.fit_resample(X, y)
        self.estimator_ = clone(self.estimator).fit(rows, labels)
        self.classes_ = self.estimator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        self.trained_shares_ = _shares(self.classes_, labels)
        self.true_shares_ = _shares(self.classes_, y)
        if self.true_shares is not None:
            given = np.asarray(self.true_shares, dtype=np.float64)
            if given.shape != self.classes_.shape or not (np.isfinite(given) & (given > 0)).all():
                raise InputError(
                    f"true_shares must be {len(self.classes_)} positive numbers, one per sorted class; got {self.true_shares!r}."
                )
            self.true_shares_ = given / given.sum()
        return self

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the corrected probabilities of the classes, shape (n, k)."""
        self._check_fitted()
        return correct_prior(self.estimator_.predict_proba(X), self.trained_shares_, self.true_shares_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class after the correction, shape (n,)."""
        self._check_fitted()
        labels: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels


def _shares(classes: np.ndarray, y: Any) -> np.ndarray:
    return class_shares(np.searchsorted(classes, np.asarray(y).reshape(-1)), len(classes))


class ResamplingPipeline(ClassifierMixin, Estimator, _BaseComposition):
    """Transformers and resamplers in a row, then a classifier whose probabilities are corrected for the resampling.

    Parameters
    ----------
    steps : list of (name, object)
        Objects with ``transform`` or ``fit_resample``, the last one a classifier. Resamplers act in ``fit`` alone.

    Attributes
    ----------
    steps_ : list of (name, fitted copy)
    trained_shares_, true_shares_ : arrays of shape (k,)
        Shares of the classes in the fit of the classifier and in the rows given.

    Returns
    -------
    predict_proba : array of shape (n, k)
    predict : array of shape (n,)

    Raises
    ------
    InputError
        For a step that can neither transform nor resample, and names used twice.

    References
    ----------
    Spec ``01#prior-correction``, ``01#smote``.
    """

    def __init__(self, steps: Sequence[tuple[str, Any]]) -> None:
        self.steps = steps

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the steps and, with ``deep``, their parameters as ``name__parameter``."""
        return dict(self._get_params("steps", deep=deep))

    def set_params(self, **params: Any) -> Self:
        """Set a step or, as ``name__parameter``, a parameter of one."""
        self._set_params("steps", **params)
        return self

    def _check_steps(self) -> None:
        names = [name for name, _ in self.steps]
        if not names or len(set(names)) < len(names) or any("__" in name for name in names):
            raise InputError(f"steps need one distinct name each, without '__', and a classifier last; got {names}.")
        for name, step in self.steps[:-1]:
            if hasattr(step, "transform") == hasattr(step, "fit_resample"):
                raise InputError(f"The step {name!r} ({type(step).__name__}) must have transform or fit_resample.")

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the steps one after another to ``X`` of shape (n, d) and the classes ``y`` of shape (n,)."""
        self._check_steps()
        rows, labels = X, y
        done: list[tuple[str, Any]] = []
        for name, step in self.steps[:-1]:
            step = clone(step)
            if hasattr(step, "fit_resample"):
                rows, labels = step.fit_resample(rows, labels)
            else:
                rows = step.fit(rows, labels).transform(rows)
            done.append((name, step))
        name, last = self.steps[-1]
        last = clone(last).fit(rows, labels)
        self.steps_ = [*done, (name, last)]
        self.classes_ = last.classes_
        self.trained_shares_ = _shares(self.classes_, labels)
        self.true_shares_ = _shares(self.classes_, y)
        return self

    def _transformed(self, X: Any) -> Any:
        self._check_fitted()
        for _, step in self.steps_[:-1]:
            if not hasattr(step, "fit_resample"):
                X = step.transform(X)
        return X

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the corrected probabilities of the classes, shape (n, k)."""
        rows = self._transformed(X)
        given = self.steps_[-1][1].predict_proba(rows)
        return correct_prior(given, self.trained_shares_, self.true_shares_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class after the correction, shape (n,)."""
        self._check_fitted()
        labels: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels
