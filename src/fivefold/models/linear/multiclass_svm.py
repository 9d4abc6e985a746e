"""The multiclass support vector machine as one structured problem, by dual coordinate descent over rows."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import real, whole
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator
from fivefold.base.jit import njit
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._classifier import ScoreClassifier
from ._validation import query_data, row_weights

# Epochs between two looks at the gap.
_EPOCHS = 5


@njit
def _sweep(data, columns, starts, norms, scale, codes, price, cost, alpha, W, order):  # type: ignore[no-untyped-def]
    """Minimize the dual over the multipliers of one row after the other, in place: alpha (n, K), W (d + 1, K).

    A row's problem is ``½ |x|² |a|² + Σ_m B_m a_m`` over ``a_m <= price [m = y]`` with sum 0; its solution caps
    ``(β - B_m) / |x|²`` where the β that brings the sum to 0 follows from the largest B (Keerthi et al. 2008).
    """
    k = W.shape[1]
    last = W.shape[0] - 1
    B = np.empty(k)
    D = np.empty(k)
    for i in order:
        A = norms[i]
        if A <= 0.0:
            continue
        y = codes[i]
        for m in range(k):
            B[m] = cost[y, m] - A * alpha[i, m] + scale * W[last, m]
        for p in range(starts[i], starts[i + 1]):
            for m in range(k):
                B[m] += data[p] * W[columns[p], m]
        for m in range(k):
            D[m] = B[m]
        D[y] += A * price[i]
        D.sort()
        beta = D[k - 1] - A * price[i]
        r = 1
        while r < k and beta < r * D[k - 1 - r]:
            beta += D[k - 1 - r]
            r += 1
        beta /= r
        for m in range(k):
            cap = price[i] if m == y else 0.0
            change = min(cap, (beta - B[m]) / A) - alpha[i, m]
            if change != 0.0:
                alpha[i, m] += change
                W[last, m] += scale * change
                for p in range(starts[i], starts[i + 1]):
                    W[columns[p], m] += change * data[p]


class MulticlassSVM(ScoreClassifier, Estimator):
    r"""Linear support vector machine of several classes in one problem: the right class must win by a margin.

    .. math::
        \min_W \tfrac12 \sum_k \lVert w_k \rVert^2 + C \sum_i v_i \max_k
        \big[ \Delta(y_i, k) - (w_{y_i} - w_k)^\top x_i \big]

    It is the structured machine whose joint features put x into the block of the class, :math:`F(x, k) = w_k^\top x`, with
    :math:`\Delta(y, y) = 0`.

    Parameters
    ----------
    C : float, > 0, default=1.0
        Price of a unit of slack.
    cost : array of shape (n_classes, n_classes) or None, default=None
        The margin :math:`\Delta` to ask for, rows by the true class, zero on the diagonal, >= 0; 1 off it when not given.
    fit_intercept : bool, default=True
        Whether the rows get a constant feature; its weights are penalized like the others.
    intercept_scaling : float, > 0, default=1.0
        Value of that feature: the larger, the less the penalty matters.
    class_weight : dict, "balanced" or None, default=None
        Factors of C by class.
    tol : float, > 0, default=1e-4
        Largest duality gap at the end, relative to the primal objective.
    max_iter : int, >= 1, default=10000
        Most passes over the rows.
    random_state : int, Streams or None, default=0
        Order of the rows in each pass.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Of two classes the difference of the two rows.
    intercept_ : ndarray of shape (n_classes,) or (1,)
    dual_coef_ : ndarray of shape (n_samples, n_classes)
        Multipliers; they sum to zero in a row, and :math:`w_k = \sum_i a_{ik} x_i`.
    objective_ : float
        Value of the primal objective.
    dual_gap_ : float
        Bound on how far it lies above the minimum, as a share of it.
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    For two classes and :math:`\Delta = 1` the weights come in opposite pairs, and their difference w minimizes
    :math:`\tfrac12 \lVert w \rVert^2 + 2 C \sum_i \max(0, 1 - s_i w^\top x_i)`: the usual machine at twice the price.

    References
    ----------
    Crammer & Singer (2001), On the algorithmic implementation of multiclass kernel-based vector machines. Keerthi et al.
    (2008), A sequential dual method for large scale multi-class linear SVMs. Spec ``07#multiclass-svm-structured``.
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "solutions of weighted and of repeated rows agree within tol",
    )

    def __init__(
        self,
        C: float = 1.0,
        *,
        cost: Any = None,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        tol: float = 1e-4,
        max_iter: int = 10_000,
        random_state: Any = 0,
    ) -> None:
        self.C = C
        self.cost = cost
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _margins(self, k: int) -> np.ndarray:
        """Return the margins to ask for: (K, K)."""
        if self.cost is None:
            return 1.0 - np.eye(k)
        cost = np.array(self.cost, dtype=np.float64)
        if cost.shape != (k, k) or not np.isfinite(cost).all() or cost.min() < 0 or cost.diagonal().any():
            raise InputError(
                f"`cost` has the shape {cost.shape} or entries that do not fit; give ({k}, {k}) numbers >= 0 with zeros on "
                "the diagonal."
            )
        return cost

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the slacks.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        C = real("C", self.C, low=0.0, above=True)
        scale = real("intercept_scaling", self.intercept_scaling, low=0.0, above=True) if self.fit_intercept else 0.0
        tol = real("tol", self.tol, low=0.0, above=True)
        limit = whole("max_iter", self.max_iter, low=1)
        X, y = checked_data(self, X, y, accept_sparse="csr")
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        price = C * row_weights(self, classes, codes, weight)  # (n,)
        k, streams = len(classes), Streams.of(self.random_state)
        cost = self._margins(k)
        rows = sp.csr_array(X, dtype=np.float64)
        norms = np.asarray(rows.multiply(rows).sum(axis=1)).ravel() + scale**2
        alpha, W = np.zeros((X.shape[0], k)), np.zeros((X.shape[1] + 1, k))
        used = np.flatnonzero(price > 0)
        parts = (rows.data, rows.indices, rows.indptr)
        done = 0
        while True:
            Z = np.asarray(rows @ W[:-1]) + scale * W[-1]  # (n, K)
            slack = (cost[codes] + Z - Z[np.arange(len(Z)), codes][:, None]).max(axis=1)
            square = float(np.vdot(W, W))
            value = 0.5 * square + float(price @ slack)
            # The dual is the negative of what the sweeps minimize: - ½ |W|² - Σ Δ(y_i, m) a_im.
            gap = value + 0.5 * square + float(np.vdot(cost[codes], alpha))
            if gap <= tol * value or done >= limit:
                break
            for _ in range(min(_EPOCHS, limit - done)):
                order = streams.numpy("order", done).permutation(used)
                _sweep(*parts, norms, scale, codes.astype(np.int64), price, cost, alpha, W, order)
                done += 1
        self.objective_, self.dual_gap_ = value, max(gap, 0.0) / value if value > 0 else 0.0
        if gap > tol * value:
            warnings.warn(
                f"MulticlassSVM did not reach tol={self.tol}: after max_iter={self.max_iter} passes the duality gap is "
                f"{self.dual_gap_:.2e} of the objective. Raise `max_iter` or `tol`, scale the features or lower `C`.",
                ConvergenceWarning,
                stacklevel=2,  # any value: where the warning points
            )
        self.classes_, self.n_iter_, self.dual_coef_ = classes, max(1, done), alpha
        full = (W[:, 1:] - W[:, :1]).T if k == 2 else W.T
        self.intercept_ = scale * full[:, -1]
        self.coef_ = np.ascontiguousarray(full[:, :-1])
        return self

    def _scores(self, X: Any) -> np.ndarray:
        X = query_data(self, X, "coef_", accept_sparse="csr")
        return np.asarray(X @ self.coef_.T + self.intercept_)  # (n, 1) or (n, n_classes)
