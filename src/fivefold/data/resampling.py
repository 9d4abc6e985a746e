"""Resamplers: random over-sampling and under-sampling of classes, which change the rows of a fit and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import _safe_indexing, assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, column_or_1d

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams


class Resampler(Estimator):
    """What resamplers share: how many rows of each class are wanted, and the class shares before and after.

    Attributes
    ----------
    classes_ : array of shape (k,)
    counts_, wanted_ : int arrays of shape (k,)
        Rows of each class before and after.
    true_shares_, trained_shares_ : arrays of shape (k,)
        The shares that these make; :class:`~fivefold.data.prior_correction.PriorCorrection` reads them.
    """

    _over = True

    def __init__(self, *, sampling_strategy: Any = "auto", random_state: Any = None) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return the rows to fit on and their classes.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, d)
        y : array of shape (n,)
            Two or more classes.

        Returns
        -------
        X of shape (m, d) in the type it came, y of shape (m,)
        """
        raise NotImplementedError

    def _plan(self, X: Any, y: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        """Check the input, settle what is wanted, and return X, the target and its class codes."""
        X = X if hasattr(X, "shape") else np.asarray(X)
        X = X.tocsr() if scipy.sparse.issparse(X) else X
        if len(X.shape) != 2:
            raise InputError(f"X must have rows and columns, shape (n, d); got {len(X.shape)} axes.")
        if _num_samples(X) == 0:
            raise DataError("X has no rows to resample.")
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.counts_ = np.bincount(codes)
        if len(self.classes_) < 2:
            raise DataError(f"The target has the one class {self.classes_.tolist()[0]!r}; there is nothing to balance.")
        self.wanted_ = self._wanted(self.counts_)
        self.true_shares_ = self.counts_ / self.counts_.sum()
        self.trained_shares_ = self.wanted_ / self.wanted_.sum()
        return X, y, codes

    def _wanted(self, counts: np.ndarray) -> np.ndarray:
        asked, over = self.sampling_strategy, self._over
        goal = counts.max() if over else counts.min()
        if isinstance(asked, str) and asked == "auto":
            return np.full(len(counts), goal)
        wanted = counts.copy()
        if isinstance(asked, Mapping):
            known = self.classes_.tolist()
            for name, count in asked.items():
                if name not in known:
                    raise InputError(f"sampling_strategy names {name!r}, but the classes are {known!r}.")
                wanted[known.index(name)] = count
        elif isinstance(asked, Real) and not isinstance(asked, bool) and 0 < asked <= 1:
            if len(counts) != 2:
                raise InputError(
                    f"A ratio as sampling_strategy is for two classes, the target has {len(counts)}; give a count per class."
                )
            small = int(counts.argmin())
            large = 1 - small
            if over:
                wanted[small] = round(asked * counts[large])
            else:
                wanted[large] = round(counts[small] / asked)
        else:
            raise InputError(
                f"sampling_strategy must be 'auto', a ratio in (0, 1] of the smaller to the larger class, or a count per class; "
                f"got {asked!r}."
            )
        wrong = wanted < counts if over else (wanted > counts) | (wanted < 1)
        if wrong.any():
            k = int(wrong.argmax())
            limit = "at least its own" if over else "from 1 to its own"
            raise InputError(
                f"sampling_strategy asks for {wanted[k]} rows of the class {self.classes_.tolist()[k]!r}, which has {counts[k]}; "
                f"give {limit}."
            )
        return wanted


class RandomOverSampler(Resampler):
    r"""Repeat random rows of the smaller classes.

    Of class k, :math:`m_k - n_k` rows are drawn with replacement and put behind the :math:`n_k` there are. For a logistic
    regression this leaves the slopes and moves the intercept by :math:`\log\frac{\rho_1 / \pi_1}{\rho_0 / \pi_0}`, with the
    class shares :math:`\pi` before and :math:`\rho` after.

    Parameters
    ----------
    sampling_strategy : "auto", float in (0, 1] or mapping, default "auto"
        "auto" brings every class to the size of the largest; a ratio brings the smaller of two classes to that part of the
        larger; a mapping gives the rows wanted per class.
    random_state : int, generator or None, default None

    Attributes
    ----------
    sample_indices_ : int array of shape (m,)
        Which row each row is: first all rows in their order, then the repeated ones by class.

    Returns
    -------
    fit_resample : X of shape (m, d) in its own type, y of shape (m,)

    Raises
    ------
    InputError, DataError
        For a strategy that takes rows away, a target of one class, and lengths that differ.

    Notes
    -----
    That slopes stay holds without regularization and in the limit of a true model. One source says that sensitivity and
    specificity stay while false-positive and false-negative rate change, which contradict each other: at a fixed threshold
    all four change, over all thresholds (the ROC curve) none does.

    References
    ----------
    Spec ``01#random-oversampling``.
    """

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return ``X`` and ``y`` followed by the repeated rows."""
        X, y, codes = self._plan(X, y)
        draw = Streams.of(self.random_state).numpy("over-sampling")
        chosen = [np.arange(len(y))]
        for k, (have, want) in enumerate(zip(self.counts_, self.wanted_)):
            chosen.append(np.flatnonzero(codes == k)[draw.integers(0, have, want - have)])
        self.sample_indices_ = np.concatenate(chosen)
        return _safe_indexing(X, self.sample_indices_), y[self.sample_indices_]


class RandomUnderSampler(Resampler):
    """Leave out random rows of the larger classes.

    Of class k, ``m_k`` of ``n_k`` rows stay, each set of them equally likely. What the others told is lost.

    Parameters
    ----------
    sampling_strategy : "auto", float in (0, 1] or mapping, default "auto"
        "auto" brings every class to the size of the smallest; a ratio lets the larger of two classes keep so many rows that
        the smaller is that part of it; a mapping gives the rows wanted per class.
    random_state : int, generator or None, default None

    Attributes
    ----------
    sample_indices_ : int array of shape (m,)
        The rows that stay, in their order.

    Returns
    -------
    fit_resample : X of shape (m, d) in its own type, y of shape (m,)

    Raises
    ------
    InputError, DataError
        For a strategy that asks for more rows than there are, a target of one class, and lengths that differ.

    References
    ----------
    Spec ``01#random-undersampling``.
    """

    _over = False

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return the rows of ``X`` and ``y`` that stay."""
        X, y, codes = self._plan(X, y)
        draw = Streams.of(self.random_state).numpy("under-sampling")
        chosen = [
            draw.choice(np.flatnonzero(codes == k), want, replace=False, shuffle=False)
            for k, want in enumerate(self.wanted_)
        ]
        self.sample_indices_ = np.sort(np.concatenate(chosen))
        return _safe_indexing(X, self.sample_indices_), y[self.sample_indices_]
