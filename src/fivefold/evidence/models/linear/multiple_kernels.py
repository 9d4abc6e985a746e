"""Multiple kernels: one kernel alone, the program in the multipliers, the simplex by brute force, invariances."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest


def _rows(n: int = 60, classes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows whose first two of five columns tell the class, labels and weights."""
    rng = np.random.default_rng(n + classes)
    y = rng.integers(0, classes, size=n)
    X = rng.normal(size=(n, 5)) * [1, 2, 1, 0.5, 3]
    X[:, 0] += 1.5 * y
    X[:, 1] += 2.0 * (y == 1)
    return X, y, rng.integers(1, 4, size=n) / 2.0


def _rbf(A: np.ndarray, gamma: float) -> np.ndarray:
    return np.exp(-gamma * ((A[:, None, :] - A[None, :, :]) ** 2).sum(axis=2))


def _bank(X: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return three kernels as the parameter names them, and their matrices."""
    named = [
        {"kernel": "linear", "features": [0, 1]},
        {"gamma": 0.3, "features": [1, 2]},
        {"kernel": "poly", "degree": 2, "gamma": 0.2, "coef0": 1.0, "features": [4, 3]},
    ]
    Z = X[:, [4, 3]]
    return named, np.stack([X[:, :2] @ X[:, :2].T, _rbf(X[:, 1:3], 0.3), (0.2 * Z @ Z.T + 1) ** 2])


def _value(K: np.ndarray, sign: np.ndarray, bound: np.ndarray) -> float:
    """Return the value of a machine by the peer."""
    from sklearn.svm import SVC as Peer  # noqa: N811

    model = Peer(kernel="precomputed", C=1.0, tol=1e-8).fit(K, sign, sample_weight=bound)
    beta = model.dual_coef_[0]
    return float(np.abs(beta).sum() - 0.5 * beta @ K[np.ix_(model.support_, model.support_)] @ beta)


@evidence(
    "multiple-kernel-learning",
    claim="With one kernel it is the support vector machine, one class against the rest",
    against="scikit-learn SVC",
)
def one_kernel() -> Check:
    from sklearn.svm import SVC as Peer  # noqa: N811

    from fivefold.models.linear import MultipleKernelSVC

    worst = 0.0
    for classes in (2, 3):
        X, y, weight = _rows(80, classes)
        labels = np.array(["a", "b", "c"])[y]
        K = _rbf(X[:, :2], 0.3)
        for mass, kind in ((None, None), (weight, {"b": 2.5})):
            price = 0.8 * (np.ones(80) if mass is None else mass * np.where(y == 1, 2.5, 1.0))
            v = np.full(80, 1 / 80) if mass is None else mass / mass.sum()
            for normalize in (False, True):
                model = MultipleKernelSVC(
                    [{"gamma": 0.3, "features": [0, 1]}], C=0.8, tol=1e-9, normalize=normalize, class_weight=kind
                ).fit(X, labels, mass)
                scale = 1.0 if not normalize else v @ K.diagonal() - v @ K @ v
                total, scores = 0.0, []
                for k in [1] if classes == 2 else range(3):
                    sign = np.where(y == k, 1, -1)
                    peer = Peer(kernel="precomputed", C=1.0, tol=1e-9).fit(K / scale, sign, sample_weight=price)
                    scores.append(peer.decision_function(K / scale))
                    total += _value(K / scale, sign, price)
                ours = model.decision_function(X).reshape(80, -1)
                worst = largest(worst, np.abs(ours - np.stack(scores, axis=1)).max(), abs(model.objective_ / total - 1))
                worst = largest(worst, abs(model.kernel_scales_[0] - scale), abs(model.kernel_weights_[0] - 1))
                best = (ours[:, 0] > 0).astype(int) if classes == 2 else ours.argmax(axis=1)
                worst = largest(worst, (model.predict(X) != np.array(["a", "b", "c"])[best]).sum())
    # A relative gap of 1e-9 of an objective near 50 leaves |w - w*| <= sqrt(2 · 5e-8), and a score within that.
    return Check(worst, 4e-4, "largest difference", "scikit-learn SVC")


@evidence(
    "multiple-kernel-learning",
    claim="Weights, objective and gap solve the program in the multipliers",
    against="scipy SLSQP",
)
def program() -> Check:
    from scipy.optimize import minimize

    from fivefold.models.linear import MultipleKernelSVC

    X, y, weight = _rows(26)
    sign = np.where(y == 1, 1.0, -1.0)
    named, K = _bank(X)
    Q = K * np.outer(sign, sign)
    worst = 0.0
    for norm, mass, C in ((1.0, None, 0.5), (1.0, weight, 5.0), (2.0, weight, 0.5), (1.25, None, 2.0)):
        bound = C * (np.ones(26) if mass is None else mass)
        q = np.inf if norm == 1 else norm / (norm - 1)
        # The largest of the squares by a variable t above each; a smooth norm of them directly.
        extra = int(norm == 1)

        def value(z: np.ndarray, q: float = q, extra: int = extra) -> float:
            a = z[:26]
            squares = np.array([a @ M @ a for M in Q])
            return float(0.5 * (z[26] if extra else (squares**q).sum() ** (1 / q)) - a.sum())

        def slope(z: np.ndarray, q: float = q, extra: int = extra) -> np.ndarray:
            a = z[:26]
            if extra:
                return np.append(-np.ones(26), 0.5)
            squares = np.array([a @ M @ a for M in Q])
            size = largest((squares**q).sum() ** (1 / q), 1e-300)
            return np.einsum("m,mij,j->i", (squares / size) ** (q - 1), Q, a) - 1

        constraints: list[dict[str, Any]] = [
            {"type": "eq", "fun": lambda z: z[:26] @ sign, "jac": lambda z: np.append(sign, np.zeros(len(z) - 26))}
        ]
        if extra:
            constraints += [
                {
                    "type": "ineq",
                    "fun": lambda z, M=M: z[26] - z[:26] @ M @ z[:26],
                    "jac": lambda z, M=M: np.append(-2 * M @ z[:26], 1.0),
                }
                for M in Q
            ]
        found = minimize(
            value,
            np.append(np.full(26, 1e-3) * bound, np.ones(extra)),
            jac=slope,
            bounds=[(0.0, b) for b in bound] + [(0.0, None)] * extra,
            constraints=constraints,
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        model = MultipleKernelSVC(named, C=C, norm=norm, normalize=False, tol=1e-8).fit(X, y, mass)
        worst = largest(worst, abs(model.objective_ / -found.fun - 1))
        # The weights are the derivative of half the dual norm by the squares.
        squares = np.array([found.x[:26] @ M @ found.x[:26] for M in Q])
        if norm > 1:
            beta = squares ** (q / norm) / (squares**q).sum() ** (1 / norm)
            worst = largest(worst, 1e-2 * np.abs(model.kernel_weights_ - beta).max())
        else:
            # A kernel whose square is below the largest has no weight.
            idle = squares < squares.max() * (1 - 1e-3)
            worst = largest(worst, np.abs(model.kernel_weights_[idle]).max(initial=0.0))
        worst = largest(worst, abs((model.kernel_weights_**norm).sum() - 1), -model.dual_gap_ / model.objective_)
    return Check(worst, 1e-6, "relative difference", "scipy.optimize SLSQP")


@evidence(
    "multiple-kernel-learning",
    claim="No weights on a grid of the simplex are better; the gap is a bound; two kernels meet a line search",
    against="brute force with scikit-learn SVC",
)
def simplex() -> Check:
    from scipy.optimize import minimize_scalar

    from fivefold.models.linear import MultipleKernelSVC

    X, y, _ = _rows(50)
    sign, bound = np.where(y == 1, 1.0, -1.0), np.full(50, 2.0)
    named, K = _bank(X)
    model = MultipleKernelSVC(named, C=2.0, normalize=False, tol=1e-6).fit(X, y)
    grid = np.array([(i, j, 10 - i - j) for i in range(11) for j in range(11 - i)]) / 10
    values = np.array([_value(np.tensordot(beta, K, 1), sign, bound) for beta in grid])
    below = model.objective_ - values.min() - model.dual_gap_
    worst = largest(below / model.objective_, model.dual_gap_ / model.objective_ - 1e-6)
    worst = largest(worst, float(not values.min() <= 1.05 * model.objective_))
    two = MultipleKernelSVC(named[:2], C=2.0, normalize=False, tol=1e-8).fit(X, y)
    line = minimize_scalar(
        lambda t: _value(t * K[0] + (1 - t) * K[1], sign, bound),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-6},
    )
    worst = largest(worst, abs(two.objective_ / line.fun - 1), 1e-3 * abs(two.kernel_weights_[0] - line.x))
    # Bounds of a rough fit: its objective is at most its gap above that of the fine one.
    for tol in (0.3, 1e-2):
        rough = MultipleKernelSVC(named, C=2.0, normalize=False, tol=tol).fit(X, y)
        excess = rough.objective_ - model.objective_
        worst = largest(worst, (excess - rough.dual_gap_) / model.objective_, -excess / model.objective_)
        worst = largest(worst, rough.dual_gap_ / rough.objective_ - tol)
    return Check(worst, 2e-6, "relative excess", "scikit-learn SVC")


@evidence(
    "multiple-kernel-learning",
    claim="Objective, multipliers and optimality conditions are as written for each class, weights shared",
    against="definition",
)
def conditions() -> Check:
    from fivefold.models.linear import MultipleKernelSVC

    X, y, weight = _rows(90, 3)
    named, K = _bank(X)
    worst = 0.0
    # Norms with a smooth value: at the optimum β_m is in proportion to s_m^{1/(p-1)} (s summed over the classes).
    for norm, C in ((2.0, 0.3), (4.0, 3.0), (1.5, 1.0)):
        model = MultipleKernelSVC(named, C=C, norm=norm, tol=1e-9).fit(X, y, weight)
        v = weight / weight.sum()
        scale = np.array([v @ M.diagonal() - v @ M @ v for M in K])
        worst = largest(worst, np.abs(model.kernel_scales_ / scale - 1).max())
        total = np.tensordot(model.kernel_weights_ / scale, K, 1)
        coef = np.zeros((3, 90))
        coef[:, model.support_] = model.dual_coef_
        squares = np.array([np.einsum("ki,ij,kj->", coef, M, coef) for M in K]) / scale
        beta = squares ** (1 / (norm - 1))
        # The value is flat to second order in the weights: a gap of 1e-9 leaves them within a few roots of it.
        worst = largest(worst, 1e-3 * np.abs(model.kernel_weights_ - beta / (beta**norm).sum() ** (1 / norm)).max())
        scores = total @ coef.T + model.intercept_
        value = 0.5 * model.kernel_weights_ @ squares
        for k in range(3):
            sign = np.where(y == k, 1.0, -1.0)
            alpha = coef[k] * sign
            value += C * weight @ np.maximum(0, 1 - sign * scores[:, k])
            worst = largest(worst, -alpha.min(), (alpha - C * weight).max(), abs(coef[k].sum()))
        worst = largest(worst, abs(model.objective_ / value - 1), np.abs(model.decision_function(X) - scores).max())
        worst = largest(worst, np.abs(model.combined_kernel(X) - total[:, model.support_]).max())
        q = norm / (norm - 1)
        gap = value - np.abs(coef).sum() + 0.5 * (squares**q).sum() ** (1 / q)
        worst = largest(worst, abs(gap - model.dual_gap_) / value, 1e-6 * (not model.dual_gap_ <= 1e-9 * value))
    return Check(worst, 1e-7, "largest violation", "definition")


@evidence(
    "multiple-kernel-learning",
    claim="The informative kernel gets the weight, noise and a constant kernel none, copies share",
    against="construction of the rows",
)
def informative() -> Check:
    from fivefold.models.linear import MultipleKernelSVC

    rng = np.random.default_rng(5)
    y = np.arange(200) % 2
    X = rng.normal(size=(200, 12))
    X[:, 6:8] += np.where(y == 1, 2.0, -2.0)[:, None]  # the fourth of six groups
    groups = [{"gamma": 0.25, "features": [2 * j, 2 * j + 1]} for j in range(6)]
    model = MultipleKernelSVC(groups, tol=1e-4).fit(X, y)
    share = model.kernel_weights_
    faults = (
        float(share.argmax() != 3) + float(not share[3] >= 0.6) + abs(share.sum() - 1) + float((~(share >= 0)).any())
    )

    def constant(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        return np.full((len(A), len(B)), 3.0)

    # With the noise scaled down no kernel but the fourth can help.
    clean = MultipleKernelSVC([*groups[2:4], constant], C=0.05, tol=1e-6).fit(X, y)
    faults += abs(clean.kernel_weights_[2]) + float(clean.kernel_scales_[2] != 1)
    faults += float(not clean.kernel_weights_[1] >= 0.9)
    twice = MultipleKernelSVC([groups[3], groups[3]], tol=1e-8).fit(X, y)
    once = MultipleKernelSVC([groups[3]], tol=1e-8).fit(X, y)
    faults += 1e-2 * float(not abs(twice.objective_ / once.objective_ - 1) <= 1e-7)
    # In the p-norm copies get equal weights, 2^(-1/p) each.
    even = MultipleKernelSVC([groups[3], groups[3]], norm=3.0).fit(X, y).kernel_weights_
    faults += float(np.abs(even - 2 ** (-1 / 3)).max())
    return Check(faults, 1e-9, "faults", "construction")


@evidence(
    "multiple-kernel-learning",
    claim="Scale and offset of a kernel, repeated rows, sparse rows and formed-again kernels change nothing",
    against="invariance",
)
def invariances() -> Check:
    import scipy.sparse as sp

    from fivefold.models.linear import MultipleKernelSVC

    X, y, weight = _rows(70)
    named, _ = _bank(X)
    fit = {"C": 0.7, "tol": 1e-8}
    plain = MultipleKernelSVC(named, **fit).fit(X, y)
    want = plain.decision_function(X)

    def moved(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        return 40.0 * (A[:, :2] @ B[:, :2].T) + 7.0

    other = MultipleKernelSVC([moved, *named[1:]], **fit).fit(X, y)
    worst = largest(np.abs(other.decision_function(X) - want).max(), abs(other.objective_ / plain.objective_ - 1))
    few = MultipleKernelSVC(named, cache_size=1e-3, **fit).fit(X, y)
    worst = largest(worst, np.abs(few.decision_function(X) - want).max())
    sparse = MultipleKernelSVC(named, **fit).fit(sp.csr_array(X), y)
    worst = largest(worst, np.abs(sparse.decision_function(sp.csr_array(X)) - want).max())
    worst = largest(worst, np.abs(sparse.decision_function(X) - want).max())
    counts = np.arange(70) % 3  # rows of no weight do not count
    repeated = MultipleKernelSVC(named, **fit).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    weighted = MultipleKernelSVC(named, **fit).fit(X, y, counts)
    worst = largest(worst, np.abs(repeated.decision_function(X) - weighted.decision_function(X)).max())
    worst = largest(worst, float((counts[weighted.support_] == 0).any()))
    worst = largest(worst, np.abs(X[weighted.support_] - weighted.support_vectors_).max())
    counted = np.bincount(y, weights=weight)
    balanced = MultipleKernelSVC(named, class_weight="balanced", **fit).fit(X, y, weight)
    given = MultipleKernelSVC(named, class_weight=dict(enumerate(weight.sum() / (2 * counted))), **fit).fit(
        X, y, weight
    )
    worst = largest(worst, np.abs(balanced.decision_function(X) - given.decision_function(X)).max())
    # A relative gap of 1e-8 of an objective near 20 leaves |w - w*| <= sqrt(2 · 2e-7), times a row of length at most 5.
    return Check(worst, 3e-3, "largest difference", "itself")


@evidence(
    "multiple-kernel-learning", claim="Defaults are those that the signature states", against="the list written out"
)
def defaults() -> Check:
    from fivefold.models.linear import MultipleKernelSVC

    X, y, _ = _rows(70)
    scale = 1 / (5 * X.var())
    stated = [
        {"kernel": "linear"},
        {"kernel": "poly", "degree": 2, "gamma": scale, "coef0": 1.0},
        {"kernel": "rbf", "gamma": 0.1 * scale},
        {"kernel": "rbf", "gamma": scale},
        {"kernel": "rbf", "gamma": 10 * scale},
    ]
    plain = MultipleKernelSVC().fit(X, y)
    given = MultipleKernelSVC(stated, C=1.0, norm=1.0, normalize=True, tol=1e-3, max_iter=200).fit(X, y)
    worst = np.abs(plain.decision_function(X) - given.decision_function(X)).max()
    worst = largest(worst, np.abs(plain.gammas_[1:] / (scale * np.array([1, 0.1, 1, 10])) - 1).max())
    # An entry without numbers: degree 3, gamma "scale" of its own columns, no offset.
    short = MultipleKernelSVC([{"kernel": "poly", "features": [0, 4]}, {}, "linear"], norm=2.0).fit(X, y)
    part = X[:, [0, 4]]
    full = [
        {"kernel": "poly", "features": [0, 4], "degree": 3, "gamma": 1 / (2 * part.var()), "coef0": 0.0},
        {"kernel": "rbf", "features": range(5), "gamma": scale},
        {"kernel": "linear", "features": None},
    ]
    other = MultipleKernelSVC(full, norm=2.0).fit(X, y)
    worst = largest(worst, np.abs(short.decision_function(X) - other.decision_function(X)).max())
    auto = MultipleKernelSVC([{"gamma": "auto"}]).fit(X, y)
    worst = largest(worst, abs(auto.gammas_[0] - 0.2))
    facts = MultipleKernelSVC()
    told = (facts.C, facts.norm, facts.normalize, facts.tol, facts.max_iter, facts.class_weight, facts.cache_size)
    faults = float(told != (1.0, 1.0, True, 1e-3, 200, None, 1000) or facts.kernels is not None)
    return Check(worst + faults, 1e-9, "max difference", "itself")


@evidence(
    "multiple-kernel-learning",
    claim="The curvature of a machine's value by the weights of the kernels, some multipliers being at their bounds",
    against="differences of its slopes",
)
def curvature_of_the_value() -> Check:
    from fivefold.models.linear._kernel_bank import KernelBank, read_kernels
    from fivefold.models.linear.multiple_kernels import _Machine

    X, y, price = _rows(40)
    named, _ = _bank(X)
    kernels = read_kernels(named, X)
    bank, weights, worst = KernelBank(kernels, X, None, 100.0), np.array([0.5, 0.3, 0.2]), 0.0
    for C in (0.3, 3.0):
        start = _Machine(np.where(y == 1, 1.0, -1.0), C * price, np.zeros(40), np.zeros((3, 40)))

        def machine(at: np.ndarray, start: Any = start) -> Any:
            return start.solved(bank, at, 1e-13, 100.0)

        here, h = machine(weights), 1e-5
        bounded = (here.beta == here.low) | (here.beta == here.high)
        kept = ((np.abs(here.beta) > 0) & bounded).any() and not bounded.all()
        slopes = [
            -0.5 * (machine(weights + d).squares() - machine(weights - d).squares()) / (2 * h) for d in h * np.eye(3)
        ]
        found = here.curvature(bank, weights)
        worst = largest(worst, np.abs(found - np.array(slopes)).max() / np.abs(found).max(), fault(not kept))
    # The slopes are exact to 1e-12 of their size, over 2e-5; third derivatives add h².
    return Check(worst, 1e-6, "relative difference", "central differences")
