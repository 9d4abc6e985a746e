"""What classifiers share: from scores or log-posteriors to classes and probabilities, priors, and labels of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin

from fivefold.base.errors import DataError, InputError
from fivefold.data.validation import encode_labels

from ._objectives import log1p_exp_neg


class ScoreClassifier(ClassifierMixin):
    """Verbs of a classifier that has one score of two classes, or a score of each class."""

    classes_: np.ndarray

    def _scores(self, X: Any) -> np.ndarray:
        """Return the scores: (n, 1) of two classes, else (n, n_classes)."""
        raise NotImplementedError

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores; of two classes one score, positive for ``classes_[1]``.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest score of each row; ties go to the class that sorts first.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        scores = self._scores(X)
        picked = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
        return self.classes_[picked.astype(np.intp)]


class CrossEntropyClassifier(ScoreClassifier):
    """A classifier by scores whose probabilities are the logistic function of one score, or the softmax of several."""

    def _logits(self, scores: np.ndarray) -> np.ndarray:
        """Return what the softmax is taken of, (n, n_classes) of three classes or more."""
        return scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        scores = self._scores(X)
        if scores.shape[1] == 1:
            # 1 / (1 + exp(z)) is the probability of the first class; the other is not taken from 1 so that both stay exact.
            return np.concatenate([log1p_exp_neg(scores)[1], log1p_exp_neg(-scores)[1]], axis=1)
        logits = self._logits(scores)
        # Over the largest, so that a row which every class refuses keeps a sum above zero.
        values = logits - logits.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        return values / values.sum(axis=1, keepdims=True)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba`, finite for any score.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        scores = self._scores(X)
        if scores.shape[1] == 1:
            return -log1p_exp_neg(np.concatenate([-scores, scores], axis=1))[0]
        logits = self._logits(scores)
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


class PosteriorClassifier(ClassifierMixin):
    """Verbs of a classifier that models the rows of each class: Bayes' rule from the joint log-density."""

    classes_: np.ndarray

    def _log_joint(self, X: Any) -> np.ndarray:
        """Return the log-density of each row with each class, (n, n_classes), up to a term that all classes share."""
        raise NotImplementedError

    def _check_joint(self, joint: np.ndarray) -> None:
        """Refuse rows that have no posterior."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row; ties go to the class that sorts first.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        best = self._log_joint(X).argmax(axis=1)
        return self.classes_[best]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            When a row is impossible under every class, which only counts without smoothing allow.
        """
        joint = self._log_joint(X)
        self._check_joint(joint)
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            When a row is impossible under every class, which only counts without smoothing allow.
        """
        return np.exp(self.predict_log_proba(X))


def given_priors(priors: Any, n_classes: int, *, zero: bool = True) -> np.ndarray | None:
    """Return the class probabilities that were passed, checked: None, or numbers >= 0 (> 0 without ``zero``) of sum 1."""
    if priors is None:
        return None
    priors = np.asarray(priors, dtype=np.float64)
    if priors.shape != (n_classes,):
        raise InputError(f"`priors` has the shape {priors.shape}; give one number for each of the {n_classes} classes.")
    low = (priors < 0) if zero else (priors <= 0)
    if low.any() or not np.isclose(priors.sum(), 1.0):
        sign = ">=" if zero else ">"
        raise InputError(f"`priors` is {priors.tolist()}; give numbers {sign} 0 that sum to 1.")
    return priors


def check_first_classes(model: Any, classes: Any) -> bool:
    """Return whether ``partial_fit`` is called for the first time; then it needs the classes."""
    first = not hasattr(model, "classes_")
    if first and classes is None:
        raise InputError(
            "`classes` must be passed on the first call to partial_fit: later batches may bring new labels."
        )
    return first


def batch_codes(model: Any, y: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes that ``partial_fit`` knows and the place of each label of a batch among them.

    Raises
    ------
    InputError
        When ``classes`` differs from those of the first call.
    DataError
        When a label is not among them.
    """
    known = getattr(model, "classes_", None)
    if classes is not None:
        classes = np.unique(np.asarray(classes))
        if known is not None and not np.array_equal(classes, known):
            raise InputError(
                f"`classes`={classes.tolist()} differs from {known.tolist()} of the first call to partial_fit; "
                "leave it out or fit anew."
            )
    known = classes if known is None else known
    present, codes = encode_labels(y)
    missing = present[~np.isin(present, known)]
    if len(missing):
        raise DataError(
            f"y holds the label {missing[0].item()!r}, which is not in the initial classes {known.tolist()}; "
            "name every label in the first call to partial_fit."
        )
    return known, np.searchsorted(known, present)[codes]
