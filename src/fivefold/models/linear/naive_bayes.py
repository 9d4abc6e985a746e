"""Gaussian naive Bayes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from fivefold.base.checks import real
from fivefold.base.errors import DataError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._blocks import row_blocks
from ._classifier import PosteriorClassifier, batch_codes, check_first_classes, given_priors
from ._validation import query_data


class GaussianNB(PosteriorClassifier, Estimator):
    """Classifier that takes every feature as normal and independent of the others within a class.

    .. math::
        p(c \\mid x) \\propto \\pi_c \\prod_j \\frac{1}{\\sqrt{2 \\pi \\sigma_{cj}^2}}
        \\exp\\!\\left(-\\frac{(x_j - \\theta_{cj})^2}{2 \\sigma_{cj}^2}\\right)

    This is the Gaussian discriminant with a diagonal covariance for each class.

    Parameters
    ----------
    priors : array of shape (n_classes,) or None, default=None
        Class probabilities :math:`\\pi_c >= 0` that sum to one, in the order of ``classes_``; None takes the (weighted)
        shares of the classes.
    var_smoothing : float, >= 0, default=1e-9
        Share of the largest variance of a feature that is added to every variance.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_count_ : ndarray of shape (n_classes,)
        Weighted number of rows.
    class_prior_ : ndarray of shape (n_classes,)
    theta_, var_ : ndarray of shape (n_classes, n_features)
        Means and variances; variances divide by the number of rows (no Bessel correction) and include ``epsilon_``.
    epsilon_ : float
        The number added to the variances.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    Features that agree with each other are counted as if each were news, so probabilities are often too sure.
    With ``partial_fit`` the number added to the variances comes from the largest variance of the batch at hand, as in
    scikit-learn.

    References
    ----------
    Chan, Golub & LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances, for
    ``partial_fit``. Spec ``05#naive-bayes``.
    """

    def __init__(self, *, priors: Any = None, var_smoothing: float = 1e-9) -> None:
        self.priors = priors
        self.var_smoothing = var_smoothing

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Estimate means, variances and class shares.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows; 1 each when not given.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        X, y = checked_data(self, X, y)
        classes, codes = encode_labels(y)
        checked = self._checked(len(X), len(classes), sample_weight)
        self._start(classes, X.shape[1])
        self._update(X, codes, *checked)
        self._check_variances()
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Add a batch of rows; any split into batches gives the same means and variances up to rounding.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        classes : array of shape (n_classes,), optional
            All labels that will ever come; needed in the first call.
        sample_weight : array of shape (n_samples,) or float, optional

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, a label is not in ``classes``, or ``classes`` is missing or changed.
        """
        first = check_first_classes(self, classes)
        X, y = checked_data(self, X, y, reset=first)
        known, codes = batch_codes(self, y, classes)
        checked = self._checked(len(X), len(known), sample_weight)
        if first:
            self._start(known, X.shape[1])
        self._update(X, codes, *checked)
        return self

    def _checked(
        self, n_samples: int, n_classes: int, sample_weight: Any
    ) -> tuple[np.ndarray, float, np.ndarray | None]:
        """Return the row weights, the smoothing and the given priors."""
        weight = sample_weights(sample_weight, n_samples)
        smoothing = real("var_smoothing", self.var_smoothing, low=0.0)
        return np.ones(n_samples) if weight is None else weight, smoothing, given_priors(self.priors, n_classes)

    def _start(self, classes: np.ndarray, n_features: int) -> None:
        self.classes_ = classes
        self.class_count_ = np.zeros(len(classes))
        self.theta_ = np.zeros((len(classes), n_features))
        self.var_ = np.zeros((len(classes), n_features))
        self.epsilon_ = 0.0  # any value: comes off variances of weight zero

    def _update(
        self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray, smoothing: float, priors: np.ndarray | None
    ) -> None:
        k = len(self.classes_)
        count, mean, squares = _class_moments(X, codes, weight, k)
        # Chan, Golub & LeVeque: join the batch with what was there; the smoothing is taken off and added anew.
        seen = self.class_count_[:, None]
        total = seen + count[:, None]
        share = np.where(total > 0, total, 1.0)  # any value: for classes without rows
        shift = mean - self.theta_
        before = (self.var_ - self.epsilon_) * seen
        # One class of all rows: the variances of the features, in which rows of zero weight do not count either.
        one = 1  # any value: a class without rows has no deviations
        _, _, around = _class_moments(X, np.zeros_like(codes), weight, one)
        epsilon = float(smoothing * around.max() / weight.sum())
        var = (before + squares + np.square(shift) * (seen * count[:, None] / share)) / share + epsilon
        self.epsilon_ = epsilon
        self.var_ = var
        self.theta_ = self.theta_ + shift * (count[:, None] / share)
        self.class_count_ = total[:, 0]
        self.class_prior_ = self.class_count_ / self.class_count_.sum() if priors is None else priors

    def _check_variances(self) -> None:
        flat = (self.var_ <= 0).any(axis=1) & (self.class_count_ > 0)
        if flat.any():
            raise DataError(
                f"A feature does not vary within the class {self.classes_[flat.argmax()].item()!r} (total weight "
                f"{self.class_count_.sum():g}; n_samples=1 has no variance) and var_smoothing={self.var_smoothing} adds "
                "nothing: drop constant features, bring more rows or set var_smoothing above zero."
            )

    def predict_joint_log_proba(self, X: Any) -> np.ndarray:
        """Return :math:`\\log \\pi_c + \\sum_j \\log p(x_j \\mid c)`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            ``-inf`` for a class without rows or with prior zero.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            When the batches so far leave a feature without variance.
        """
        X = query_data(self, X, "class_prior_")
        self._check_variances()
        possible = (self.class_prior_ > 0) & (self.class_count_ > 0)
        joint = np.full((len(X), len(self.classes_)), -np.inf)
        for c in np.flatnonzero(possible):
            precision = 1.0 / self.var_[c]
            constant = np.log(self.class_prior_[c]) - 0.5 * np.log(2.0 * np.pi * self.var_[c]).sum()
            for rows in row_blocks(*X.shape):
                joint[rows, c] = constant - 0.5 * (np.square(X[rows] - self.theta_[c]) @ precision)
        return joint

    _log_joint = predict_joint_log_proba


def _class_moments(
    X: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted counts (K,), means (K, d) and sums of squared deviations (K, d), in two passes."""
    count = np.bincount(codes, weights=weight, minlength=n_classes)
    mean = np.zeros((n_classes, X.shape[1]))
    squares = np.zeros_like(mean)
    blocks = list(row_blocks(*X.shape))
    members = [
        sp.csr_array(
            (weight[rows], (codes[rows], np.arange(rows.stop - rows.start))), (n_classes, rows.stop - rows.start)
        )
        for rows in blocks
    ]
    for rows, member in zip(blocks, members):
        mean += member @ X[rows]
    mean /= np.where(count > 0, count, 1.0)[:, None]  # any value: for classes without rows
    for rows, member in zip(blocks, members):
        squares += member @ np.square(X[rows] - mean[codes[rows]])
    return count, mean, squares
