"""Multiple kernel learning: a support vector machine and the weights of its kernels, found together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.checks import real, whole
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._blocks import row_blocks
from ._kernel_bank import KernelBank, read_kernels
from ._kernel_rows import KernelRows
from ._smo import minimize_dual
from ._validation import query_data, row_weights

# Below this violation of its optimality conditions a machine is at the limit of float64.
_FINEST = 1e-12  # any value: the limit of rounding
# Share of the gap that the machines themselves may leave.
_SHARE = 0.3  # any value: cost alone
# Armijo's share of the decrease that the gradient promises.
_DESCENT = 1e-4  # any value: cost alone


@dataclass
class _Machine:
    """One class against the rest: bounds of its signed multipliers, and where its solver stands."""

    sign: np.ndarray  # (n,)
    bound: np.ndarray  # (n,)
    beta: np.ndarray  # (n,)
    parts: np.ndarray  # (M, n): K_m β
    bias: float = 0.0
    low: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.low = np.where(self.sign > 0, 0.0, -self.bound)
        self.high = np.where(self.sign > 0, self.bound, 0.0)

    def solved(self, bank: KernelBank, weights: np.ndarray, tol: float, cache: float) -> _Machine:
        """Return the machine of the combined kernel, begun at the multipliers of this one."""
        scores = weights @ self.parts
        solution = minimize_dual(
            KernelRows(bank.combined(weights), len(self.sign)),
            -self.sign,
            self.low,
            self.high,
            self.beta,
            tol=tol,
            max_iter=-1,
            cache_size=cache,
            scores=scores,
        )
        return _Machine(self.sign, self.bound, solution.beta, bank.products(solution.beta), solution.bias)

    def squares(self) -> np.ndarray:
        """Return ``β'K_m β`` of every kernel: (M,)."""
        return np.maximum(self.parts @ self.beta, 0.0)

    def slack(self, weights: np.ndarray) -> float:
        """Return the sum of the slacks times their prices."""
        margin = self.sign * (weights @ self.parts + self.bias)
        return float(self.bound @ np.maximum(0.0, 1.0 - margin))

    def curvature(self, bank: KernelBank, weights: np.ndarray) -> np.ndarray:
        """Return the second derivatives of the dual value by the weights, the free multipliers following: (M, M)."""
        free = np.flatnonzero((self.beta > self.low) & (self.beta < self.high))
        if not len(free):
            return np.zeros((len(weights), len(weights)))
        values, vectors = np.linalg.eigh(bank.combined(weights)(free)[:, free])
        root = vectors / np.sqrt(np.maximum(values, 1e-10 * max(values[-1], np.finfo(float).tiny)))
        moved = root.T @ self.parts[:, free].T  # (f, M)
        ones = root.T @ np.ones(len(free))
        # The sum of the multipliers stays as it is, which takes one direction out.
        moved -= np.outer(ones, ones @ moved) / (ones @ ones)
        return np.asarray(moved.T @ moved)


@dataclass
class _State:
    """Weights of the kernels with the machines solved for them."""

    weights: np.ndarray
    machines: list[_Machine]
    norm: float
    squares: np.ndarray = field(init=False)
    primal: float = field(init=False)
    total: float = field(init=False)
    dual: float = field(init=False)
    lower: float = field(init=False)

    def __post_init__(self) -> None:
        self.squares = sum((m.squares() for m in self.machines), np.zeros(len(self.weights)))
        self.primal = 0.5 * float(self.weights @ self.squares) + sum(m.slack(self.weights) for m in self.machines)
        self.total = sum(float(np.abs(m.beta).sum()) for m in self.machines)
        # The value of the machines at these weights, and the least value that any weights could reach with them.
        self.dual = self.total - 0.5 * float(self.weights @ self.squares)
        self.lower = self.total - 0.5 * _dual_norm(self.squares, self.norm)


def _dual_norm(squares: np.ndarray, norm: float) -> float:
    """Return the largest ``Σ β_m s_m`` over weights >= 0 whose p-norm is at most 1."""
    largest = float(squares.max())
    if norm == 1.0 or largest == 0.0:
        return largest
    q = norm / (norm - 1.0)
    return largest * float(((squares / largest) ** q).sum()) ** (1.0 / q)


def _closed_form(weights: np.ndarray, squares: np.ndarray, norm: float) -> np.ndarray:
    """Return the weights that are best for the present functions: β_m from |w_m|² = β_m² s_m (Kloft et al. 2011)."""
    lengths = weights**2 * squares
    if not lengths.any():
        return weights
    lengths = lengths / lengths.max()
    return np.asarray(lengths ** (1 / (norm + 1)) / (lengths ** (norm / (norm + 1))).sum() ** (1 / norm))


def _newton_step(weights: np.ndarray, gradient: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Return the minimum over the simplex of the quadratic model at ``weights``, by the solver of the machines."""
    m = len(weights)
    least = 1e-10  # any value: size of rounding
    scale = max(float(np.trace(curvature)) / m, least * float(np.abs(gradient).max()), np.finfo(float).tiny)
    H = curvature / scale + least * np.eye(m)
    slope = gradient / scale - H @ weights
    found = minimize_dual(
        KernelRows(lambda rows: H[rows], m),
        slope,
        np.zeros(m),
        np.ones(m),
        weights,
        tol=1e-12 * max(1.0, float(np.abs(slope).max())),  # any value: size of rounding
        max_iter=100_000,  # any value: far above what is used
        cache_size=1.0,
        scores=H @ weights,
    )
    return found.beta


@dataclass
class _Bundle:
    """Linear bounds from below on the value of the machines, one from each set of multipliers that was met."""

    totals: list[float] = field(default_factory=list)
    squares: list[np.ndarray] = field(default_factory=list)

    def add(self, state: _State) -> None:
        self.totals.append(state.total)
        self.squares.append(state.squares)

    def bound(self) -> tuple[float, np.ndarray]:
        """Return the least value of the largest of the bounds over the simplex, and the weights where it is taken."""
        from scipy.optimize import linprog

        totals, squares = np.array(self.totals), np.array(self.squares)
        unit = max(float(np.abs(totals).max()), np.finfo(float).tiny)
        m = squares.shape[1]
        found = linprog(
            np.append(np.zeros(m), 1.0),
            A_ub=np.column_stack([-0.5 * squares / unit, -np.ones(len(totals))]),
            b_ub=-totals / unit,
            A_eq=np.append(np.ones(m), 0.0)[None, :],
            b_eq=[1.0],
            bounds=[(0.0, None)] * m + [(None, None)],
            method="highs",
        )
        if found.status != 0:  # any value: the linear program is feasible and bounded; rounding alone could end it
            return -np.inf, np.full(m, 1.0 / m)
        share, weights = np.maximum(-found.ineqlin.marginals, 0.0), np.maximum(found.x[:m], 0.0)
        # Any mixture of multipliers is feasible, so this holds whatever the accuracy of the linear program.
        share = share / share.sum()
        return float(share @ totals - 0.5 * (share @ squares).max()), weights / weights.sum()


@dataclass
class _Search:
    """The search for the kernel weights: what is fixed in it, and how exactly the machines are solved."""

    bank: KernelBank
    norm: float
    tol: float
    cache: float
    accuracy: float = 1e-3  # any value: cost alone
    bundle: _Bundle = field(default_factory=_Bundle)

    def at(self, weights: np.ndarray, machines: list[_Machine]) -> _State:
        solved = [one.solved(self.bank, weights, self.accuracy, self.cache) for one in machines]
        state = _State(weights, solved, self.norm)
        self.bundle.add(state)
        return state

    def run(self, machines: list[_Machine], max_iter: int) -> tuple[_State, float, int]:
        """Return the weights with their machines, the gap and the number of steps."""
        m = len(self.bank.kernels)
        best = self.at(np.full(m, m ** (-1.0 / self.norm)), machines)
        lower, done = -np.inf, 0
        while True:
            lower = max(lower, best.lower)
            if self.norm == 1.0 and m > 1:
                bound, corner = self.bundle.bound()
                lower = max(lower, bound)
            gap, goal = max(best.primal - lower, 0.0), self.tol * best.primal
            if gap <= goal or done >= max_iter:
                return best, gap, done
            done += 1
            if best.primal - best.dual > _SHARE * max(goal, best.dual - lower):
                # The machines must be better solved than what is left to win by the weights.
                if self.accuracy <= _FINEST:
                    return best, gap, done
                self.accuracy *= 0.1  # any value: cost alone
                best = self.at(best.weights, best.machines)
            elif self.norm > 1.0:
                best = self.at(_closed_form(best.weights, best.squares, self.norm), best.machines)
            else:
                # In turn the minimum of the quadratic model, fast where the value is smooth, and that of the bounds.
                target = self._newton(best) if done % 2 else corner
                best = self._along(best, target - best.weights)

    def _newton(self, state: _State) -> np.ndarray:
        m = len(state.weights)
        curvature = sum((one.curvature(self.bank, state.weights) for one in state.machines), np.zeros((m, m)))
        return _newton_step(state.weights, -0.5 * state.squares, curvature)

    def _along(self, state: _State, direction: np.ndarray) -> _State:
        """Return a better point on the way, or the state itself; every trial sharpens the bounds."""
        slope, step = -0.5 * float(state.squares @ direction), 1.0
        while step > 1e-2:  # any value: cost alone
            weights = np.maximum(state.weights + step * direction, 0.0)
            trial = self.at(weights / weights.sum(), state.machines)
            if trial.primal <= state.primal + _DESCENT * step * min(slope, 0.0):
                return trial
            step *= 0.3  # any value: cost alone
        return state


class MultipleKernelSVC(ClassifierMixin, Estimator):
    r"""Support vector machine with a learned combination of several kernels.

    .. math::
        \min_{\beta \ge 0, \lVert \beta \rVert_p \le 1} \; \max_\alpha \sum_i \alpha_i
        - \tfrac12 \sum_{ij} \alpha_i \alpha_j y_i y_j \sum_m \beta_m K_m(x_i, x_j), \quad
        0 \le \alpha_i \le C v_i, \quad \sum_i \alpha_i y_i = 0

    With p = 1 the weights sum to one and those of kernels that do not help are zero; with p > 1 every kernel keeps a part.
    Each kernel may read its own group of features. With more than two classes there is a machine for each class against the
    rest, and the kernel weights, which they share, minimize the sum of their values.

    Parameters
    ----------
    kernels : list or None, default=None
        One entry a kernel: a name ("linear", "poly", "rbf", "sigmoid"), a function of two sets of rows, or a mapping with
        "kernel" (default "rbf"), "degree" (3), "gamma" ("scale"), "coef0" (0) and "features" (None, all of them), a list of
        column numbers. None stands for a linear kernel, :math:`(1 + \gamma x^\top z)^2` and Gaussians of a tenth, one and
        ten times the gamma "scale".
    C : float, > 0, default=1.0
        Price of a unit of slack.
    norm : float, >= 1, default=1.0
        The p of the norm of the kernel weights.
    normalize : bool, default=True
        Divide each kernel by the variance of the rows in its feature space, so that the weights can be compared.
    tol : float, > 0, default=1e-3
        Largest duality gap at the end, relative to the objective.
    max_iter : int, >= 1, default=200
        Most steps of the kernel weights.
    class_weight : dict, "balanced" or None, default=None
        Factors of C by class.
    cache_size : float, > 0, default=1000
        Megabytes: kernel matrices that fit are kept, others are formed again when needed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    kernel_weights_ : ndarray of shape (n_kernels,)
        :math:`\beta`, of p-norm one.
    kernel_scales_ : ndarray of shape (n_kernels,)
        What each kernel was divided by.
    support_ : ndarray of shape (n_support,)
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
    dual_coef_ : ndarray of shape (n_classes, n_support), one row for two classes
        :math:`\alpha_i y_i` of each machine.
    intercept_ : ndarray of shape (n_classes,) or (1,)
    objective_ : float
        Value of the primal objective.
    dual_gap_ : float
        Bound on how far it lies above the minimum.
    n_iter_ : int

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    For p = 1 the weights follow Newton's method on the simplex, the second derivatives from the multipliers between their
    bounds (Chapelle & Rakotomamonjy 2008); for p > 1 the closed form of Kloft et al. alternates with the machine. The kernel
    weights may be read as the first layer of a network of two layers. A kernel that is divided by its variance s is the same
    as C divided by s. The kernel matrices take 8 bytes a pair of rows and kernel.

    References
    ----------
    Rakotomamonjy, Bach, Canu & Grandvalet (2008), SimpleMKL. Chapelle & Rakotomamonjy (2008), Second order optimization of
    kernel parameters. Kloft, Brefeld, Sonnenburg & Zien (2011), lp-norm multiple kernel learning. Spec
    ``05#multiple-kernel-learning``.
    """

    # Solutions agree within `tol`, not to the last digits that these two checks ask for.
    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "solutions of weighted and of repeated rows agree within tol",
    )

    def __init__(
        self,
        kernels: Any = None,
        *,
        C: float = 1.0,
        norm: float = 1.0,
        normalize: bool = True,
        tol: float = 1e-3,
        max_iter: int = 200,
        class_weight: Any = None,
        cache_size: float = 1000,
    ) -> None:
        self.kernels = kernels
        self.C = C
        self.norm = norm
        self.normalize = normalize
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.cache_size = cache_size

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the kernel weights, the support vectors and their multipliers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Factors >= 0 of C.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        C = real("C", self.C, low=0.0, above=True)
        norm = real("norm", self.norm, low=1.0)
        tol = real("tol", self.tol, low=0.0, above=True)
        cache = real("cache_size", self.cache_size, low=0.0, above=True)
        limit = whole("max_iter", self.max_iter, low=1)
        X, y = checked_data(self, X, y, accept_sparse="csr")
        X = X.astype(np.float64, copy=False)
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        bound = C * row_weights(self, classes, codes, weight)  # (n,)
        rows = np.flatnonzero(bound > 0)
        X, codes, bound = X[rows], codes[rows], bound[rows]
        share = np.ones(len(rows)) if weight is None else weight[rows]
        kernels = read_kernels(self.kernels, X)
        bank = KernelBank(kernels, X, share / share.sum() if self.normalize else None, cache)
        positives = [1] if len(classes) == 2 else range(len(classes))
        machines = [
            _Machine(np.where(codes == k, 1.0, -1.0), bound, np.zeros(len(rows)), np.zeros((len(kernels), len(rows))))
            for k in positives
        ]
        state, gap, done = _Search(bank, norm, tol, cache).run(machines, limit)
        if gap > tol * state.primal:
            warnings.warn(
                f"MultipleKernelSVC did not reach tol={self.tol}: after {done} steps the duality gap is "
                f"{gap / state.primal:.2e} of the objective. Raise `max_iter` or `tol`, scale the features or lower `C`.",
                ConvergenceWarning,
                stacklevel=2,  # any value: where the warning points
            )
        self.classes_ = classes
        self.kernel_weights_, self.kernel_scales_ = state.weights, bank.scale
        self.gammas_ = np.array([kernel.spec.gamma for kernel in kernels])
        self.objective_, self.dual_gap_, self.n_iter_ = state.primal, gap, max(1, done)
        coef = np.array([one.beta for one in state.machines])  # (k, n)
        used = np.flatnonzero(coef.any(axis=0))
        self.support_, self.support_vectors_ = rows[used], X[used]
        self.dual_coef_ = coef[:, used]
        self.intercept_ = np.array([one.bias for one in state.machines])
        return self

    def combined_kernel(self, X: Any) -> np.ndarray:
        """Return the weighted sum of the kernels of each row with each support vector.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_support)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        return self._kernel(query_data(self, X, "intercept_", accept_sparse="csr"))

    def _kernel(self, X: Any) -> np.ndarray:
        X = X.astype(np.float64, copy=False)
        kernels = read_kernels(self.kernels, X, self.gammas_)
        total = np.zeros((X.shape[0], len(self.support_)))
        for m in np.flatnonzero(self.kernel_weights_):
            total += self.kernel_weights_[m] / self.kernel_scales_[m] * kernels[m](X, self.support_vectors_)
        return total

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores; of two classes, positive means ``classes_[1]``.

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
        X = query_data(self, X, "intercept_", accept_sparse="csr")
        scores = np.empty((X.shape[0], len(self.intercept_)))
        for block in row_blocks(X.shape[0], max(1, len(self.support_))):
            scores[block] = self._kernel(X[block]) @ self.dual_coef_.T + self.intercept_
        return scores.ravel() if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row: the sign of two, the largest score of more (ties: the class that sorts first).

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
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)]
