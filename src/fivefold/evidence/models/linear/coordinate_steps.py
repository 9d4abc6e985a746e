"""The steps of the sparse solvers one by one: cycles over columns, exact moves, steps on the face, what they accept."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.evidence import Check, evidence, largest


def _cycles(
    X: np.ndarray,
    start: tuple[np.ndarray, ...],
    l1: float,
    l2: float,
    bias: bool,
    limits: tuple[int, float],
    leave: bool,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Minimize the quadratic model by coordinates: X (n, m), start w (m,), r (n,), h (n,); return w, r and the shift."""
    (w, r, h), shift, first = (part.copy() for part in start), 0.0, 0.0
    live = list(range(X.shape[1]))
    for t in range(limits[0]):
        size, at = 0.0, 0
        while at < len(live):
            k = live[at]
            x, bend = X[:, k], float(h @ X[:, k] ** 2)
            pull = float(x @ r) + bend * w[k]
            if leave and bend and w[k] == 0 and abs(pull) < 0.9 * l1:
                # The last one of those that stay takes its place.
                live[at] = live[-1]
                live.pop()
                continue
            at += 1
            new = np.sign(pull) * np.fmax(abs(pull) - l1, 0.0) / (bend + l2) if bend else w[k]
            change, w[k] = new - w[k], new
            r -= h * x * change
            size += change**2 * (bend + l2)
        if bias:
            change = r.sum() / h.sum()
            shift += change
            r -= h * change
            size += change**2 * h.sum()
        first = size if t == 0 else first
        if size <= limits[1] * first:
            break
    return w, r, shift


@evidence(
    "sparse-logistic-regression",
    claim="Cycles over sparse and dense columns move one weight after the other, leave and end as stated",
    against="the same loop over NumPy columns",
)
def cycles_over_columns() -> Check:
    from fivefold.models.linear._columns import Columns

    rng, worst = np.random.default_rng(4), 0.0
    for trial in range(18):
        n, d = 12, 9
        A = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.6)
        A[:, 3] = 0.0
        work = rng.permutation(d)[: 4 + trial % 6]
        w = rng.normal(size=len(work)) * (rng.random(len(work)) < 0.4) * (A[:, work].any(axis=0))
        r, h = rng.normal(size=n), rng.random(n) + 0.1
        l1, l2, bias = (0.3, 0.8, 1.5)[trial % 3], (0.0, 0.4)[trial % 2], trial % 5 > 1
        for limits in ((1, 0.0), (2, 0.0), (7, 0.3), (7, 0.02), (7, 1.0), (60, 0.0)):
            for X, leave in ((sp.csr_array(A), True), (A, False)):
                known = _cycles(A[:, work], (w, r, h), l1, l2, bias, limits, leave)
                new, left = w.copy(), r.copy()
                shift = Columns(X).descend(work, new, left, h, l1, l2, bias, *limits)
                worst = largest(
                    worst, np.abs(new - known[0]).max(), np.abs(left - known[1]).max(), abs(shift - known[2])
                )
    # A zero weight with a pull of exactly 0.9 l1 stays; the next one's move brings it to 1.9, beyond l1.
    A = np.array([[0.9, 0.0], [1.0, -1.0], [0.0, 1.0]])
    new = np.zeros(2)
    Columns(sp.csr_array(A)).descend(np.arange(2), new, np.array([1.0, 0.0, 3.0]), np.ones(3), 1.0, 0.0, False, 2, 0.0)
    worst = largest(worst, abs(new[0] - 0.9 / 1.81), abs(new[1] - 1 - 0.45 / 1.81))
    return Check(worst, 1e-11, "error", "NumPy")


def _move(A: np.ndarray, c: np.ndarray, w: np.ndarray, l1: np.ndarray) -> np.ndarray:
    """Return the weights after one move of the active-set method."""
    active = [k for k in range(len(w)) if w[k] != 0 or l1[k] == 0]
    goal = w.copy()
    rhs = [c[k] - l1[k] * np.sign(w[k]) for k in active]
    goal[active] = np.linalg.lstsq(A[np.ix_(active, active)], np.array(rhs), rcond=None)[0]
    meets = {k: w[k] / (w[k] - goal[k]) for k in active if l1[k] > 0 and goal[k] * w[k] < 0}
    if meets:
        first = sorted(meets, key=meets.__getitem__)[0]
        new = w + meets[first] * (goal - w)
        new[first] = 0.0
        return new
    slope = c - A @ goal
    excess = {k: abs(slope[k]) - l1[k] for k in range(len(w)) if goal[k] == 0}
    enters = sorted(excess, key=excess.__getitem__)[-1:]
    for k in enters:
        if excess[k] > 1e-9:
            goal[k] = np.sign(slope[k]) * excess[k] / A[k, k]
    return goal


@evidence(
    "sparse-logistic-regression",
    claim="Every exact move ends at the first zero or lets the worst weight in; the end is the minimum of the model",
    against="the moves in plain NumPy, cycles to the end, the conditions",
)
def exact_moves() -> Check:
    from fivefold.models.linear._columns import _BEYOND, Columns, active_set

    rng, worst = np.random.default_rng(7), 0.0
    for trial in range(25):
        m = 3 + trial % 6
        B = rng.normal(size=(m + 2, m))
        A, c = B.T @ B / m, 3 * rng.normal(size=m)
        l1 = rng.uniform(0.3, 1.5, size=m) * (rng.random(m) < 0.8)
        w = rng.normal(size=m) * (rng.random(m) < 0.6)
        known = w.copy()
        for moves in range(5):
            worst = largest(worst, np.abs(active_set(A, c, w, l1, moves) - known).max())
            known = _move(A, c, known, l1)
        end = active_set(A, c, w, l1)
        slope = c - A @ end
        worst = largest(worst, np.where(end != 0, np.abs(slope - l1 * np.sign(end)), np.abs(slope) - l1).max())
    # At the edge of what may enter nothing does, just beyond it does.
    one, l1 = np.eye(1), np.ones(1)
    for c, stays in ((_BEYOND, True), (_BEYOND + 1e-9, False)):
        worst = largest(worst, float((active_set(one, np.array([c]), np.zeros(1), l1)[0] == 0.0) != stays))
    # Two copies of a column: their sum is what one alone would have.
    twins = active_set(np.ones((2, 2)), np.array([3.0, 3.0]), np.array([0.5, 0.7]), np.ones(2))
    worst = largest(worst, abs(twins.sum() - 2.0))
    for trial in range(8):
        A = rng.normal(size=(14, 6)) * (rng.random((14, 6)) < 0.7)
        work = rng.permutation(6)[:5]
        w, r, h = rng.normal(size=5) * (rng.random(5) < 0.5), rng.normal(size=14), rng.random(14) + 0.1
        l2, bias = (0.0, 0.5)[trial % 2], trial % 4 > 1
        for X in (sp.csr_array(A), A):
            new, end = w.copy(), w.copy()
            shift = Columns(X).exact(work, new, r, h, 0.4, l2, bias)
            far = Columns(A).descend(work, end, r.copy(), h, 0.4, l2, bias, 3000, 0.0)
            worst = largest(worst, np.abs(new - end).max(), abs(shift - far))
    return Check(worst, 1e-8, "error", "NumPy")


@evidence(
    "sparse-logistic-regression",
    claim="Losses, slopes and curvatures are those of the logistic loss; a fall is enough from the stated share on",
    against="NumPy formulas",
)
def losses_and_falls() -> Check:
    from fivefold.models.linear._sparse_newton import ARMIJO, ROUNDING, _losses, falls_enough

    z = np.array([0.0, 0.3, -0.3, 2.0, -5.0, 40.0, -40.0, 0.0, 700.0, -700.0])
    sign, share = np.array([1.0, 1, 1, -1, -1, 1, 1, -1, 1, 1]), np.linspace(0.05, 0.15, 10)
    r, h = np.empty(10), np.empty(10)
    total = _losses(z, sign, share, r, h, 1e-6)
    chance = 1 / (1 + np.exp(sign * z))
    worst = largest(abs(total - share @ np.logaddexp(0, -sign * z)) / total, np.abs(r - share * sign * chance).max())
    worst = largest(worst, np.abs(h / np.fmax(share * chance * (1 - chance), 1e-6 * share) - 1).max())
    for before in (0.5, 3.0):
        for promise in (0.0, 0.02, 4.0):
            edge = before * (1.0 + ROUNDING) - ARMIJO * promise
            fits = falls_enough(edge, before, promise) and not falls_enough(np.nextafter(edge, 9.0), before, promise)
            worst = largest(worst, float(not fits))
    small = ARMIJO == 1e-4 and ROUNDING == 1e-15
    return Check(largest(worst, float(not small)), 1e-12, "error", "NumPy")


def _problem(seed: int, n: int = 30, d: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    A[:, 1] += A[:, 0]
    share = rng.random(n) + 0.2
    return A, np.where(rng.random(n) < 0.5, 1.0, -1.0), share / share.sum()


def _descent(A: np.ndarray, sign: np.ndarray, share: np.ndarray, l1: float, l2: float, bias: bool) -> Any:
    """Return a solver whose values can be chosen: those of trials become what ``answer`` holds, while it holds any."""
    from fivefold.models.linear._columns import Columns
    from fivefold.models.linear._sparse_newton import BinaryDescent

    class Answering(BinaryDescent):
        answer: list[float]
        asked = 0

        def loss(self, z: np.ndarray) -> float:
            true = super().loss(z)
            self.asked += 1
            return self.answer.pop(0) if self.answer else true

    X = sp.csr_array(A)
    one = Answering(X, Columns(X), sign, share, l1, l2, bias)
    one.answer = []
    return one


@evidence(
    "sparse-logistic-regression",
    claim="Steps on the face are accepted, halved, cut at zero, bounded and put off exactly as stated",
    against="the same step in NumPy, with chosen values of the objective",
)
def steps_on_the_face() -> Check:
    from fivefold.models.linear._sparse_newton import ARMIJO, _conjugate_gradients

    worst, cut, edges = 0.0, 0, 0
    for seed in range(24):
        A, sign, share = _problem(seed)
        rng = np.random.default_rng(seed)
        l1, l2, bias = (1e-3, 0.02)[seed % 2], (0.0, 0.05)[seed // 2 % 2], seed % 3 > 0
        w = rng.normal(size=8) * (rng.random(8) < (0.9 if seed % 5 else 0.3)) * 0.5
        b = np.array([0.2 if bias else 0.0])
        z = A @ w + b
        q = 1 / (1 + np.exp(sign * z))
        r, h = share * sign * q, share * q * (1 - q)
        on = np.flatnonzero(w)
        D = np.hstack([A[:, on], np.ones((30, 1))])
        scale = np.append((A[:, on] ** 2).T @ h + l2, h.sum())
        slope = np.append(A[:, on].T @ r - l2 * w[on] - l1 * np.sign(w[on]), r.sum())
        use = np.append((w[on] + slope[:-1] / scale[:-1]) * w[on] > 0, bias)
        slope = np.where(use, slope, 0.0)
        if not slope.any():
            continue
        hessian = (D.T * h) @ D + np.diag([l2] * len(on) + [0.0])
        hessian = np.where(np.outer(use, use), hessian, 0.0)
        for radius in (np.inf, 0.15):
            step, edge = _conjugate_gradients(lambda v, H=hessian: H @ v, slope, scale, radius, 25)
            length = np.sqrt(scale @ step**2)
            before = share @ np.logaddexp(0, -sign * z) + l1 * np.abs(w).sum() + 0.5 * l2 * w @ w
            edges += int(edge)
            for refused in (0, 1, 3, 8):
                t = 0.5**refused
                trial = w[on] + t * step[:-1]
                crosses = trial * w[on] < 0
                trial[crosses] = 0.0
                cut += int(crosses.any())
                promise = slope @ np.append(trial - w[on], t * step[-1])
                edge_of = before - ARMIJO * np.fmax(promise, 0.0)
                penalty = l1 * np.abs(trial).sum() + 0.5 * l2 * trial @ trial
                for accepted in {refused < 8, False}:
                    if promise < 1e-6 and refused < 8:
                        continue
                    one = _descent(A, sign, share, l1, l2, bias)
                    one.radius = radius
                    first = one.loss(z)
                    value = edge_of + ARMIJO * 1e-3 * promise * (-1 if accepted else 1) - penalty
                    # After a refusal at the edge of what is enough, all the rest is refused.
                    one.answer = [first] + [9.0] * refused + ([value] if refused < 8 else []) + [9.0] * 9
                    new, move, scores = w.copy(), b.copy(), z.copy()
                    moved = one.face(new, move, scores)
                    worst = largest(worst, float(moved != accepted))
                    if accepted:
                        known = w.copy()
                        known[on] = trial
                        want = t * length if refused else (radius * 4 if edge else radius)
                        told = (one.delay, one.rest, one.crossed) == (0, 0, bool(crosses.any()))
                        worst = largest(worst, np.abs(new - known).max(), abs(move[0] - b[0] - t * step[-1]))
                        worst = largest(worst, np.abs(scores - A @ new - move).max(), float(not told))
                        worst = largest(
                            worst, abs(one.radius - want) if np.isfinite(want) else float(one.radius != want)
                        )
                        worst = largest(worst, float((new[on][crosses] != 0).any()))
                        continue
                    worst = largest(worst, np.abs(new - w).max(), abs(move[0] - b[0]), np.abs(scores - z).max())
                    worst = largest(worst, abs(one.radius - length / 2**8), float(not one.crossed))
                    # One step is skipped, after the next failure three, after a success none.
                    for rest in (1, 3):
                        worst = largest(worst, float(one.rest != rest or one.delay != rest))
                        one.answer, one.asked = [], 0
                        worst = largest(worst, *(float(one.face(new, move, scores)) for _ in range(rest)), one.asked)
                        one.answer = [first] + [9.0] * 9
                        worst = largest(worst, float(one.face(new, move, scores)))
                    one.rest, one.answer = 0, []
                    worst = largest(worst, float(not one.face(new, move, scores)), float(one.delay))
    # Landing exactly on zero counts as leaving: z = 0, slope -1.5, curvature 1, weight 1.5.
    one = _descent(np.array([[2.0, 2.0]]), np.array([-1.0]), np.ones(1), 0.5, 0.0, False)
    w, z = np.array([1.5, -1.5]), np.zeros(1)
    one.face(w, np.zeros(1), z)
    worst = largest(worst, np.abs(w - [1.5, -2.0]).max(), abs(z[0] + 1.0))
    # Nothing to do moves nothing.
    idle = _descent(np.array([[2.0, 2.0]]), np.array([-1.0]), np.ones(1), 0.5, 0.0, False)
    worst = largest(worst, float(idle.face(np.zeros(2), np.zeros(1), np.zeros(1))))
    worst = largest(worst, float(not min(cut, edges) >= 5))
    return Check(worst, 1e-10, "error", "NumPy")


@evidence(
    "sparse-logistic-regression",
    claim="A prox-Newton step takes the columns in doubt, ends as its cycles do and is halved until it falls enough",
    against="the same step in NumPy, with chosen values of the objective",
)
def prox_newton_steps() -> Check:
    from fivefold.models.linear._sparse_newton import ARMIJO

    worst, seen = 0.0, [0, 0]
    for seed in range(16):
        A, sign, share = _problem(seed)
        rng = np.random.default_rng(seed)
        l1, l2, bias, exact = 0.03, (0.0, 0.05)[seed % 2], seed % 3 > 0, seed % 4 == 3
        w = rng.normal(size=8) * (rng.random(8) < 0.3) * 0.3
        b = np.array([0.1 if bias else 0.0])
        z = A @ w + b
        q = 1 / (1 + np.exp(sign * z))
        r, h = share * sign * q, share * q * (1 - q)
        pull = A.T @ r
        work = np.array([k for k in range(8) if w[k] != 0 or abs(pull[k]) > 0.9 * l1])
        passes = int(np.clip((A != 0).sum() // (A[:, work] != 0).sum(), 2, 8))
        new, _, shift = _cycles(A[:, work], (w[work], r, h), l1, l2, bias, (passes, 0.05), True)
        if exact:
            new, _, shift = _cycles(A[:, work], (w[work], r, h), l1, l2, bias, (4000, 0.0), False)
        change = new - w[work]
        scores = A[:, work] @ change + shift
        promise = 0.5 * (h @ scores**2 + l2 * change @ change)
        if promise < 1e-8:
            continue
        before = share @ np.logaddexp(0, -sign * z) + l1 * np.abs(w).sum() + 0.5 * l2 * w @ w
        for refused in (0, 2, 39):
            t = 0.5**refused
            trial = w[work] + t * change
            penalty = l1 * np.abs(trial).sum() + 0.5 * l2 * trial @ trial
            for side in (-1, 1):
                if refused == 39:
                    value = 0.0 if side == -1 else 9.0
                else:
                    value = before - ARMIJO * t * promise * (1 - 1e-2 * side) - penalty
                one = _descent(A, sign, share, l1, l2, bias)
                loss = one.loss(z)
                one.answer = [9.0] * refused + [value] + [9.0] * (39 - refused) + [0.0] * 5
                now, move, ends = w.copy(), b.copy(), z.copy()
                moved = one.cycle(pull, loss, now, move, ends, exact)
                accepted = side == -1
                seen[accepted] += 1
                known = w.copy()
                if accepted:
                    known[work] = trial
                worst = largest(worst, float(moved != accepted), np.abs(now - known).max())
                worst = largest(worst, abs(move[0] - b[0] - accepted * t * shift), np.abs(ends - A @ now - move).max())
    # With nothing beyond the penalty nothing moves.
    A, sign, share = _problem(3)
    one = _descent(A, sign, share, 9.0, 0.1, False)
    loss = one.loss(np.zeros(30))
    worst = largest(worst, float(one.cycle(A.T @ one.r, loss, np.zeros(8), np.zeros(1), np.zeros(30), True)))
    # The exact solution is asked for up to 256 columns in doubt, and only where the caller wants it.
    for d, wanted, known in ((256, True, True), (257, True, False), (256, False, False)):
        A = np.tile(np.eye(2), (1, 129))[:, :d]
        one = _descent(A, np.array([1.0, -1.0]), np.array([0.5, 0.5]), 1e-3, 0.1, False)
        asked: list[int] = []
        plain = one.columns.exact
        one.columns.exact = lambda work, *rest, plain=plain, asked=asked: asked.append(len(work)) or plain(work, *rest)
        loss = one.loss(np.zeros(2))
        one.cycle(A.T @ one.r, loss, np.zeros(d), np.zeros(1), np.zeros(2), wanted)
        worst = largest(worst, float(asked != ([d] if known else [])))
    return Check(largest(worst, float(not min(seen) >= 10)), 1e-9, "error", "NumPy")
