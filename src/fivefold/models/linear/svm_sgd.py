"""Linear support vector machine by stochastic subgradient steps (Pegasos)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from fivefold.base.checks import real, whole
from fivefold.base.errors import InputError
from fivefold.base.jit import njit
from fivefold.base.random import Streams
from fivefold.data.validation import sample_weights

from .linear_svm import _LinearMachine


@njit
def _pass(data, indices, indptr, sign, weight, order, w, scale, t, lam, bias, average, share):  # type: ignore[no-untyped-def]
    """Take a step at each row of the order, in place; return the scale of w and the number of steps.

    The weights are ``scale * w``: the shrinking of a step costs one number, not d. The last entry of w is the bias, whose
    feature is the constant ``bias``. ``average`` gathers ``share`` of the iterates lazily: a_t = Σ w_s is kept as
    ``average - (sum of scales) * w`` by Shalev-Shwartz's trick, so that a sparse row costs its non-zeros alone.
    """
    d = len(w) - 1
    for i in order:
        t += 1.0
        eta = 1.0 / (lam * t)
        score = w[d] * bias
        for p in range(indptr[i], indptr[i + 1]):
            score += w[indices[p]] * data[p]
        score *= scale
        # At t = 1 the shrinking factor is zero: every start is forgotten.
        factor = 1.0 - 1.0 / t
        if factor <= 0.0:
            w[:] = 0.0
            average[:] = 0.0
            scale = 1.0
            share = 0.0
        else:
            scale *= factor
        if sign[i] * score < 1.0:
            step = eta * weight[i] * sign[i] / scale
            for p in range(indptr[i], indptr[i + 1]):
                w[indices[p]] += step * data[p]
                average[indices[p]] -= share * step * data[p]
            w[d] += step * bias
            average[d] -= share * step * bias
        share += scale
        if scale < 1e-9:
            # Fold the scale into the numbers before it underflows.
            average += share * w
            w *= scale
            scale = 1.0
            share = 0.0
    return scale, t, share


class PegasosSVM(_LinearMachine):
    r"""Linear support vector machine that learns from one row at a time.

    .. math::
        J(w) = \frac{\lambda}{2} \lVert w \rVert^2 + \frac{1}{n} \sum_i v_i \max(0, 1 - y_i w^\top x_i), \qquad
        w_{t+1} = (1 - \eta_t \lambda) w_t + \eta_t v_i y_i x_i [y_i w_t^\top x_i < 1], \quad \eta_t = \frac{1}{\lambda t}

    The term :math:`-\eta_t \lambda w_t` is the gradient of the penalty; one source leaves it out. The bias is the weight of
    a constant feature and is penalized like the others. With :math:`\lambda = 1 / (n C)` the minimum is that of
    :math:`\tfrac12 \lVert w \rVert^2 + C \sum_i v_i \max(0, 1 - y_i w^\top x_i)`.

    Parameters
    ----------
    alpha : float, > 0, default=1e-4
        The penalty :math:`\lambda`.
    max_iter : int, >= 1, default=50
        Passes over the rows, each in a random order of its own.
    average : bool, default=True
        Whether the answer is the mean of the iterates of the second half of the passes instead of the last one.
    fit_intercept : bool, default=True
    intercept_scaling : float, > 0, default=1.0
        The constant feature; a larger one penalizes the bias less.
    random_state : int, Generator or None
        Seed of the orders.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    objective_ : float
        J at the answer.
    n_iter_ : int
        Passes taken.
    t_ : float
        Steps taken.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    References
    ----------
    Shalev-Shwartz, Singer & Srebro (2007), Pegasos: primal estimated sub-gradient solver for SVM. Spec
    ``01#svm-hinge-sgd``, ``05#linear-svm``.
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "a row of weight two is one step, repeated rows are two",
    )

    def __init__(
        self,
        alpha: float = 1e-4,
        *,
        max_iter: int = 50,
        average: bool = True,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.alpha = alpha
        self.max_iter = max_iter
        self.average = average
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from ``max_iter`` passes over the rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Labels of two classes.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the losses.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        lam = real("alpha", self.alpha, low=0.0, above=True)
        passes = whole("max_iter", self.max_iter, low=1)
        constant = real("intercept_scaling", self.intercept_scaling, low=0.0, above=True)
        if not isinstance(self.average, (bool, np.bool_)):
            raise InputError(f"`average` is {self.average!r}; give True or False.")
        X, classes, codes = self._two_classes(X, y)
        weight = sample_weights(sample_weight, X.shape[0])
        weight = np.ones(X.shape[0]) if weight is None else weight
        sign = 2.0 * codes - 1.0
        rows = sp.csr_array(X)
        bias = constant if self.fit_intercept else 0.0
        streams = Streams.of(self.random_state)
        w, total = np.zeros(X.shape[1] + 1), np.zeros(X.shape[1] + 1)
        scale, t, share, counted = 1.0, 0.0, 0.0, 0
        for epoch in range(passes):
            if epoch == passes // 2:
                total[:], share, counted = 0.0, 0.0, 0
            order = streams.numpy("pegasos", epoch).permutation(len(sign))
            scale, t, share = _pass(
                rows.data, rows.indices, rows.indptr, sign, weight, order, w, scale, t, lam, bias, total, share
            )
            counted += len(order)
        answer = (total + share * w) / counted if self.average else scale * w
        self.coef_ = answer[None, :-1].copy()
        self.intercept_ = np.array([answer[-1] * bias])
        self.t_ = float(t)
        self.n_iter_ = passes
        margin = sign * (X @ self.coef_[0] + self.intercept_[0])
        self.objective_ = float(0.5 * lam * (answer @ answer) + (weight @ np.maximum(0.0, 1.0 - margin)) / len(sign))
        self.classes_ = classes
        return self
