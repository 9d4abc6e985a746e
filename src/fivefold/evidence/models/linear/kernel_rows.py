"""Kernel machines on more rows than a draft needs: Gaussian rows, blocks, drafts in single precision and what they end in."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest, smallest


def _rows(n: int = 1100, d: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows far from the origin, labels of overlapping classes and weights that include zero."""
    rng = np.random.default_rng(n)
    y = (rng.random(n) < 0.45).astype(int)
    X = rng.normal(size=(n, d)) * np.linspace(0.5, 1.5, d) + 0.9 * y[:, None] + 20.0
    return X, y, rng.integers(1, 4, size=n) / 2.0


def _exact(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    """Return the kernel from differences: (a, d), (b, d) -> (a, b)."""
    return np.exp(-gamma * sum((A[:, None, j] - B[None, :, j]) ** 2 for j in range(A.shape[1])))


def _residual(f: np.ndarray, q: np.ndarray, beta: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return the largest violation by a pair, from its definition."""
    v = -(f + q)
    return float(v[beta < high].max() - v[beta > low].min())


@evidence("kernel-svm", claim="Kernel rows are within their stated error", against="exponentials of differences")
def stated_error() -> Check:
    from fivefold.models.linear._kernel_rows import GaussianRows, Team

    rng = np.random.default_rng(0)
    worst, d = 0.0, 7
    # Columns come in pieces of 1024, rows in blocks of 256; repeated rows; exponents up to and beyond those of drafts.
    for n, gamma, spread in ((1023, 0.05, 1.0), (2050, 0.4, 1.0), (1030, 0.1, 30.0)):
        X = rng.normal(size=(n, d)) * spread + 50.0
        X[:20] = X[20:40]
        chosen, beta = np.r_[:30, rng.choice(np.arange(40, n), 270, replace=False)], np.zeros(n)
        beta[chosen] = rng.normal(size=300)
        true = _exact(X[chosen], X, gamma)
        length = np.linalg.norm(X - X.mean(axis=0), axis=1)
        for dtype in (np.float64, np.float32):
            u = np.finfo(dtype).eps / 2
            rows = GaussianRows(X, gamma, dtype)
            allowed = (d + 6) * u * gamma * (length[chosen][:, None] + length) ** 2 + 4 * u
            # Entries that underflow may be lost, and a power series in the error is one beyond its first term.
            allowed = true * np.expm1(allowed) + np.finfo(dtype).tiny
            values, slots = np.zeros((400, n), dtype), rng.permutation(400)[:300]
            with Team(True) as team:
                rows.fill(chosen, values, slots, team)
                product = rows.product(beta, team)
            block = rows.block(chosen, values, slots)
            for found in (values[slots], rows(chosen)):
                worst = largest(worst, (np.abs(found - true) / allowed).max())
            worst = largest(worst, (np.abs(block - true[:, chosen]) / allowed[:, chosen]).max())
            sums = 300 * u * (np.abs(beta[chosen]) @ true) + np.abs(beta[chosen]) @ allowed
            worst = largest(worst, (np.abs(product - beta[chosen] @ true) / sums).max())
            exact_one = (np.diag(block) == 1).all() and (values[slots, chosen] == 1).all()
            untouched = not np.delete(values, slots, axis=0).any()
            # Large exponents are kept from rising above zero by rounding.
            above = spread > 1 and values.max() > 1
            worst = largest(worst, 2.0 * (not exact_one), 2.0 * (not untouched), 2.0 * above)
    return Check(worst, 1.0, "error / stated error", "exponentials of differences")


@evidence("kernel-svm", claim="The residual and the dual value are those of float64", against="their definition")
def drafted() -> Check:
    from fivefold.models.linear import SVC
    from fivefold.models.linear._kernel_rows import rows_of_kernel
    from fivefold.models.linear.kernels import KernelSpec

    X, y, weight = _rows()
    n, sign = len(y), np.where(y == 1, 1.0, -1.0)
    K = _exact(X, X, 0.3)
    worst = 0.0
    # A cache of one block makes rows be dropped and formed again; C = 50 leaves many multipliers between their bounds.
    for C, tol, cache, mass in ((1.0, 1e-3, 200, weight), (50.0, 1e-3, 0.001, None), (5.0, 1e-8, 200, weight)):
        model = SVC(C=C, gamma=0.3, tol=tol, cache_size=cache).fit(X, y, mass)
        beta, bound = np.zeros(n), C * (np.ones(n) if mass is None else mass)
        beta[model.support_] = model.dual_coef_[0]
        f = K @ beta
        residual = _residual(f, -sign, beta, np.minimum(0, sign * bound), np.maximum(0, sign * bound))
        # Sums of a thousand products of float64: errors of 1e-16 times the sum of the multipliers.
        scale = 1e-13 * (1 + np.abs(beta).sum())
        value = np.abs(beta).sum() - 0.5 * beta @ f
        worst = largest(worst, abs(residual - model.kkt_residual_) / scale, (residual - tol) / scale)
        worst = largest(worst, abs(value - model.dual_objective_[0]) / (1e-13 * np.abs(beta).sum() ** 2))
        worst = largest(worst, abs(beta.sum()) / scale, (sign * beta - bound).max() / scale, -(sign * beta).min())
        free = (beta != 0) & (np.abs(beta) < bound)
        worst = largest(worst, abs(model.intercept_[0] - (sign - f)[free].mean()) / scale)
    rows = rows_of_kernel(KernelSpec("rbf", 3, 0.3, 0.0), X)
    draft = rows.draft()
    offered = draft is not None and draft.dtype == np.float32 and draft.draft() is None
    few = rows_of_kernel(KernelSpec("rbf", 3, 0.3, 0.0), X[:999]).draft() is None
    narrow = rows_of_kernel(KernelSpec("rbf", 3, 60.0, 0.0), X).draft() is None
    other = rows_of_kernel(KernelSpec("linear", 3, 0.3, 0.0), X).draft() is None
    told = offered and few and narrow and other and rows.dtype == np.float64
    return Check(worst + 10 * (not told), 1.0, "difference / rounding", "definition")


@evidence("kernel-svm", claim="Blocks end in the solution of the quadratic program", against="its linear system")
def system() -> Check:
    from fivefold.models.linear import SVC

    X, y, weight = _rows(1050)
    sign, K, worst = np.where(y == 1, 1.0, -1.0), _exact(X, X, 0.5) + 0.0, 0.0
    for C, mass in ((0.5, None), (3.0, weight)):
        model = SVC(C=C, gamma=0.5, tol=1e-9).fit(X, y, mass)
        given = SVC(C=C, kernel="precomputed", tol=1e-9).fit(K, y, mass)
        beta, bound = np.zeros(len(y)), sign * C * (1 if mass is None else mass)
        beta[model.support_] = model.dual_coef_[0]
        free = (beta != 0) & (beta != bound)
        held = np.where(free, 0.0, beta)
        # Between the bounds the function meets the margin: K_ff b_f + bias = y_f - K_fh b_h, and all sum to zero.
        size = int(free.sum())
        A = np.block([[K[np.ix_(free, free)], np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
        found = np.linalg.lstsq(A, np.append((sign - K @ held)[free], -held.sum()), rcond=1e-13)[0]
        full = held.copy()
        full[free] = found[:-1]
        # The multipliers of near rows are loose where the kernel is nearly singular; the function is not.
        worst = largest(worst, np.abs(K @ (full - beta)).max(), abs(found[-1] - model.intercept_[0]))
        worst = largest(worst, np.abs(given.decision_function(K) - model.decision_function(X)).max())
        margin = sign * (K @ full + found[-1]) - 1
        worst = largest(worst, (-margin[beta == 0]).max(), margin[(beta == bound)].max())
        worst = largest(worst, abs(model.dual_objective_[0] / given.dual_objective_[0] - 1))
    return Check(worst, 1e-7, "max |f - f of the system|", "numpy.linalg.lstsq")


@evidence(
    "kernel-svm", claim="A block holds the worst violators of both sides and the newest kept ones", against="sorting"
)
def violators() -> Check:
    from fivefold.models.linear._smo import _BINS, _conditions, _working_set

    rng, worst = np.random.default_rng(1), 0.0
    for n, m in ((2000, 2000), (700, 1400)):
        f, q = rng.standard_cauchy(n), rng.normal(size=m)
        low, high = np.full(m, -1.0), np.full(m, 2.0)
        beta = rng.choice([-1.0, 2.0, 0.5], size=m)
        v = np.empty(m)
        top, bottom, total, free, longest, square = _conditions(f, q, beta, low, high, v)
        expected = -(np.tile(f, m // n) + q)
        up, down, inner = beta < high, beta > low, beta == 0.5
        worst = largest(worst, np.abs(v - expected).max(), abs(top - v[up].max()), abs(bottom - v[down].min()))
        worst = largest(worst, abs(total - v[inner].sum()) / np.abs(v[inner]).sum() * 1e-3, free - inner.sum())
        worst = largest(worst, abs(longest - 2), abs(square / (beta @ beta) - 1) * 1e-3)
        for before in (np.empty(0, np.int64), rng.permutation(m)[:256]):
            work = _working_set(v, beta, low, high, top, bottom, before, 256)
            worst = largest(worst, len(work) - 256, len(set(work.tolist())) - 256)
            each = 64 if len(before) else 128
            new = np.zeros(m, dtype=bool)
            root = np.sqrt(top - bottom)
            for side, gap in ((up, v - bottom), (down, top - v)):
                violation = np.sqrt(np.where(side, np.maximum(gap, 0), 0)) / root
                edge = np.sort(violation)[-each]
                # All that violate by a bin more than the last wanted one are in; no more new ones are than wanted.
                worst = largest(
                    worst, float(not np.isin(np.flatnonzero(violation > edge + 1 / (_BINS - 1)), work).all())
                )
                new |= violation >= edge - 1 / (_BINS - 1)
            fresh = work[: 2 * each] if not len(before) else work[np.r_[True, np.diff(work) > 0].cumprod().astype(bool)]
            worst = largest(worst, float(not new[fresh[:-1]].all()), float(len(fresh) > 2 * each + 1))
            if len(before):
                chosen = work[: len(work) - len(_tail(work, before))]
                kept = [t for t in before.tolist() if t not in set(chosen.tolist())][: 256 - len(chosen)]
                worst = largest(worst, float(_tail(work, before) != kept))
    return Check(worst, 1e-15, "difference, wrong rows", "sorting")


def _tail(work: np.ndarray, before: np.ndarray) -> list[int]:
    """Return the end of ``work`` in which rows stand in the order of ``before``."""
    place = {t: k for k, t in enumerate(before.tolist())}
    end = len(work)
    while end and work[end - 1] in place and (end == len(work) or place[work[end - 1]] < place[work[end]]):
        end -= 1
    return work[end:].tolist()


@evidence("support-vector-regression", claim="A thousand rows end in float64 optimality", against="its definition")
def drafted_tube() -> Check:
    from fivefold.models.linear import SVR

    rng, worst = np.random.default_rng(5), 0.0
    X = rng.normal(size=(1010, 2)) + 5
    y = np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=len(X)) + 4
    K, n = _exact(X, X, 0.8), len(X)
    for C, epsilon, tol in ((2.0, 0.1, 1e-3), (20.0, 0.2, 1e-6)):
        model = SVR(C=C, epsilon=epsilon, gamma=0.8, tol=tol).fit(X, y)
        beta = np.zeros(n)
        beta[model.support_] = model.dual_coef_[0]
        f = np.tile(K @ beta, 2)
        both, zero = np.concatenate([np.maximum(beta, 0), np.minimum(beta, 0)]), np.zeros(n)
        q = np.concatenate([epsilon - y, -epsilon - y])
        bound = np.full(n, C)
        residual = _residual(f, q, both, np.concatenate([zero, -bound]), np.concatenate([bound, zero]))
        scale = 1e-13 * (1 + np.abs(beta).sum())
        worst = largest(worst, abs(residual - model.kkt_residual_) / scale, (residual - tol) / scale)
        worst = largest(worst, abs(beta.sum()) / scale, (np.abs(beta) - C).max() / scale)
        value = y @ beta - epsilon * np.abs(beta).sum() - 0.5 * beta @ K @ beta
        worst = largest(worst, abs(model.dual_objective_ / value - 1) * 1e10)
    return Check(worst, 1.0, "difference / rounding", "definition")


@evidence("one-class-svm", claim="A thousand rows end in float64 optimality", against="its definition")
def drafted_support() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    X, _, weight = _rows(1200)
    K, worst = _exact(X, X, 0.4), 0.0
    for nu, tol, mass in ((0.3, 1e-3, None), (0.6, 1e-7, weight)):
        facts: dict[str, Any] = {} if mass is None else {"sample_weight": mass}
        model = OneClassSVM(nu=nu, gamma=0.4, tol=tol).fit(X, **facts)
        alpha, bound = np.zeros(len(X)), np.ones(len(X)) if mass is None else mass
        alpha[model.support_] = model.dual_coef_[0]
        residual = _residual(K @ alpha, 0 * alpha, alpha, 0 * alpha, bound)
        scale = 1e-13 * alpha.sum()
        worst = largest(worst, abs(residual - model.kkt_residual_) / scale, (residual - tol) / scale)
        worst = largest(worst, abs(alpha.sum() - nu * bound.sum()) / scale, (alpha - bound).max() / scale, -alpha.min())
        worst = largest(worst, abs(model.dual_objective_ / (0.5 * alpha @ K @ alpha) - 1) * 1e10)
    return Check(worst, 1.0, "difference / rounding", "definition")


@evidence(
    "kernel-svm", claim="A step is the exact one along the pair of greatest gain", against="all pairs, one by one"
)
def one_pair() -> Check:
    from fivefold.models.linear._smo import _pairs

    rng, worst = np.random.default_rng(2), 0.0
    for trial in range(60):
        m = 5 + trial % 9
        A = rng.normal(size=(m, 4)) * rng.uniform(0.5, 2, size=(m, 1))
        A[1] = A[0]
        K = A @ A.T
        v, low = 3 * rng.normal(size=m), rng.uniform(-2, -1, size=m)
        high = np.where(rng.random(m) < 0.2, np.inf, rng.uniform(1, 2, size=m))
        place = rng.integers(0, 3, size=m)
        beta = np.where(place == 0, low, np.where((place == 1) & np.isfinite(high), high, 0.2))
        up, down = beta < high, beta > low
        i = int(np.flatnonzero(up)[v[up].argmax()])
        best, pair = 0.0, None
        for j in np.flatnonzero(down):
            curvature = K[i, i] + K[j, j] - 2 * K[i, j]
            gain = (v[i] - v[j]) ** 2 / (curvature if curvature > 0 else 1e-12)
            if v[j] < v[i] and gain > best:
                best, pair = gain, (int(j), curvature if curvature > 0 else 1e-12)
        expected, after = beta.copy(), v.copy()
        if pair is not None:
            j, curvature = pair
            step = smallest((v[i] - v[j]) / curvature, high[i] - beta[i], beta[j] - low[j])
            expected[i] += step
            expected[j] -= step
            after -= step * (K[i] - K[j])
        for dtype, allowed in ((np.float64, 1e-12), (np.float32, 1e-5)):
            found, slope = beta.copy(), v.copy()
            count = _pairs(K.astype(dtype), found, slope, low, high, 0.0, 1)
            same = np.abs(found - expected).max(), np.abs(slope - after).max() / (1 + np.abs(after).max())
            # A curvature that is zero but for rounding differs between precisions; the step then ends at a bound all the same.
            worst = largest(worst, *(value / allowed for value in same), 2.0 * (count != (pair is not None)))
            # What reaches a bound is exactly there, and nothing passes it.
            at = np.isclose(expected, high, atol=1e-9) & (dtype is np.float64)
            worst = largest(
                worst, 2.0 * (found[at] != high[at]).any(), 2.0 * ((~(found >= low)) | (~(found <= high))).any()
            )
        gap = v[up].max() - v[down].min() if down.any() else -1.0
        idle = _pairs(K, beta.copy(), v.copy(), low, high, largest(gap, 0.0), 5)
        worst = largest(worst, 2.0 * (idle != 0))
    return Check(worst, 1.0, "difference / rounding, wrong counts", "all pairs")


@evidence(
    "kernel-svm", claim="A kernel row is formed again only after it was dropped, the oldest first", against="a list"
)
def kept_rows() -> Check:
    from fivefold.models.linear._kernel_rows import KernelRows, Team
    from fivefold.models.linear._smo import RowCache

    n, rng, wrong = 600, np.random.default_rng(4), 0
    K = rng.normal(size=(n, n))
    asked: list[int] = []

    def rows_of(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return K[rows]

    for megabytes, room in ((1.5, 327), (1e-9, 256), (100.0, 600)):
        with Team(False) as team:
            cache = RowCache(KernelRows(rows_of, n), megabytes, team)
            wrong += int(len(cache.values) != room)
            last_used: dict[int, int] = {}
            known: set[int] = set()
            for clock in range(150):
                rows = rng.choice(n, int(rng.integers(1, 40)), replace=False)
                asked.clear()
                wrong += int(not np.array_equal(cache.values[cache.slots(rows)], K[rows]))
                absent = [r for r in rows.tolist() if r not in last_used]
                wrong += len(set(absent) - set(asked))
                last_used.update(dict.fromkeys(rows.tolist(), clock))
                # Those there are the last used, as many as there is room for; of equally old ones any may be gone.
                there = set(np.flatnonzero(cache._slot >= 0).tolist())
                gone = [used for r, used in last_used.items() if r not in there]
                wrong += int(len(there) != min(room, len(last_used)))
                wrong += int(not max(gone, default=-1) <= min(last_used[r] for r in there))
                wrong += len(set(asked) & known)
                known = there
    return Check(float(wrong), 0.0, "rows formed without need, or wrong", "a list")
