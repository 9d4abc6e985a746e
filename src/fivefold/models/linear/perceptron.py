"""Rosenblatt's perceptron."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from fivefold.base.checks import real, whole
from fivefold.base.jit import njit
from fivefold.base.random import Streams

from .linear_svm import _LinearMachine


@njit
def _epoch(data, indices, indptr, sign, order, rate, w, b, fit_intercept):  # type: ignore[no-untyped-def]
    """Visit the rows in order, in place; return the bias and the number of mistakes."""
    mistakes = 0
    for i in order:
        score = b
        for p in range(indptr[i], indptr[i + 1]):
            score += w[indices[p]] * data[p]
        if sign[i] * score <= 0.0:
            mistakes += 1
            step = rate * sign[i]
            for p in range(indptr[i], indptr[i + 1]):
                w[indices[p]] += step * data[p]
            if fit_intercept:
                b += step
    return b, mistakes


class Perceptron(_LinearMachine):
    r"""Linear classifier that learns from its mistakes alone.

    .. math::
        \hat y = \operatorname{sign}(w^\top x + b), \qquad
        y_i (w^\top x_i + b) \le 0 \;\Rightarrow\; w \leftarrow w + \eta\, y_i x_i, \quad b \leftarrow b + \eta\, y_i

    On classes that a plane separates with the margin :math:`\gamma` (of rows and bias feature together no longer than R) it
    makes at most :math:`(R / \gamma)^2` mistakes; on others it never settles.

    Parameters
    ----------
    eta0 : float, > 0, default=1.0
        The step η. Starting from zero it scales w and b alone and changes no prediction.
    max_iter : int, >= 1, default=1000
        Most passes over the rows; a pass without a mistake ends the fit.
    shuffle : bool, default=True
        Whether every pass has a random order of its own.
    fit_intercept : bool, default=True
    random_state : int, Generator or None
        Seed of the orders.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    n_iter_ : int
        Passes taken.
    n_mistakes_ : int
        Mistakes of all passes together.
    last_mistakes_ : int
        Mistakes of the last pass; zero means that the classes are separated.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    A row on the plane counts as a mistake in training. One source gives such a row to the positive class; here, as in
    scikit-learn, ``predict`` gives it to ``classes_[0]``.

    References
    ----------
    Rosenblatt (1958), The perceptron: a probabilistic model for information storage and organization in the brain. Novikoff
    (1962), On convergence proofs for perceptrons. Spec ``05#perceptron``, ``08#perceptron``.
    """

    def __init__(
        self,
        eta0: float = 1.0,
        *,
        max_iter: int = 1000,
        shuffle: bool = True,
        fit_intercept: bool = True,
        random_state: Any = None,
    ) -> None:
        self.eta0 = eta0
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learn until a pass makes no mistake, or for ``max_iter`` passes.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Labels of two classes.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        rate = real("eta0", self.eta0, low=0.0, above=True)
        passes = whole("max_iter", self.max_iter, low=1)
        X, classes, codes = self._two_classes(X, y)
        rows = sp.csr_array(X)
        sign = 2.0 * codes - 1.0
        streams = Streams.of(self.random_state)
        w, b, total, mistakes, epoch = np.zeros(X.shape[1]), 0.0, 0, 0, 0
        order = np.arange(len(sign))
        for epoch in range(passes):
            if self.shuffle:
                order = streams.numpy("perceptron", epoch).permutation(len(sign))
            b, mistakes = _epoch(
                rows.data, rows.indices, rows.indptr, sign, order, rate, w, b, bool(self.fit_intercept)
            )
            total += mistakes
            if mistakes == 0:
                break
        self.coef_ = w[None, :]
        self.intercept_ = np.array([b])
        self.n_iter_ = epoch + 1
        self.n_mistakes_, self.last_mistakes_ = int(total), int(mistakes)
        self.classes_ = classes
        return self
