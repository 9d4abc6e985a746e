"""BFGS: the update against linear algebra, termination on quadratics, rates, Wolfe's conditions, SciPy's minima."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest, smallest


def _spd(n: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T + np.eye(n)


def _pair(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return a step and a difference of gradients with positive curvature."""
    rng = np.random.default_rng(seed)
    s = rng.normal(size=n)
    return s, _spd(n, seed + 1) @ s


@evidence(
    "bfgs",
    claim="The update is the inverse of B + yyᵀ/yᵀs - Bs(Bs)ᵀ/sᵀBs",
    against="numpy.linalg.inv of the direct form",
)
def bfgs_update_direct() -> Check:
    from fivefold.optimizers.numerical.bfgs import bfgs_update

    worst = 0.0
    for seed in range(5):
        H, (s, y) = _spd(6, seed) / 6, _pair(6, seed + 10)
        B = np.linalg.inv(H)
        direct = B + np.outer(y, y) / (y @ s) - np.outer(B @ s, B @ s) / (s @ B @ s)
        found = bfgs_update(H, s, y)
        scale = np.linalg.cond(direct) * np.abs(found).max()
        worst = largest(worst, np.abs(found - np.linalg.inv(direct)).max() / scale)
        worst = largest(worst, np.abs(found @ y - s).max() / (np.abs(found).max() * np.abs(y).sum()))
        worst = largest(worst, float(np.any(found != found.T)), float(not np.linalg.eigvalsh(found).min() > 0))
    return Check(float(worst), 1e-14, "max error relative to conditioning", "closed form")


@evidence(
    "bfgs", claim="The form printed in the notes, s and Hy exchanged, breaks the secant equation", against="H⁺y = s"
)
def bfgs_misprint() -> Check:
    from fivefold.optimizers.numerical.bfgs import bfgs_update

    H, (s, y) = _spd(4), _pair(4)
    Hy = H @ y
    a = y @ Hy
    # 08#dfp as printed, with yᵀsᵀ read as yᵀs: signs of the lost minus included.
    printed = H - 2 * np.outer(Hy, s) / a + (1 + (y @ s) / a) * np.outer(Hy, Hy) / a
    ours = bfgs_update(H, s, y)
    residual = [float(np.linalg.norm(m @ y - s) / np.linalg.norm(s)) for m in (printed, ours)]
    crooked = float(np.abs(printed - printed.T).max() / np.abs(printed).max())
    right = residual[1] < 1e-12 and np.array_equal(ours, ours.T)
    return Check(
        smallest(residual[0], crooked) if right else 0.0,
        1e-3,
        "relative violation of the misprint",
        "secant",
        at_least=True,
    )


@evidence(
    "bfgs",
    claim="With exact line search a quadratic of n variables ends in n steps with H = A⁻¹",
    against="linear algebra",
)
def bfgs_quadratic() -> Check:
    from fivefold.optimizers.numerical.bfgs import BFGS

    A, b, worst = _spd(6), np.arange(1.0, 7.0), 0.0
    for scaling in (True, False):
        optimizer = BFGS(gtol=1e-8, c1=1e-12, c2=1e-9, initial_scaling=scaling)
        result = optimizer.minimize(lambda x: 0.5 * x @ A @ x - b @ x, np.zeros(6), lambda x: A @ x - b)
        worst = largest(worst, float(result.nit != 6), float(not result.success))
        worst = largest(worst, float(np.abs(result.hess_inv - np.linalg.inv(A)).max()))
        worst = largest(worst, float(np.abs(result.x - np.linalg.solve(A, b)).max()))
    # Conjugacy holds to the accuracy of the line search, 1e-9, times the condition number (below 100).
    return Check(worst, 1e-6, "largest deviation", "closed form")


def _suite() -> dict[str, tuple[Any, list[float], list[float] | None]]:
    """Return name -> (function, start, its known minimizer or None), from Moré, Garbow & Hillstrom 1981."""

    def rosenbrock(x: np.ndarray) -> float:
        return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))

    def beale(x: np.ndarray) -> float:
        return sum((c - x[0] * (1 - x[1] ** k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))

    def wood(x: np.ndarray) -> float:
        a, b, c, d = x
        valley = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
        return valley + 10 * (b + d - 2) ** 2 + 0.1 * (b - d) ** 2

    def helix(x: np.ndarray) -> float:
        turn = np.arctan2(x[1], x[0]) / (2 * np.pi)
        return 100 * ((x[2] - 10 * turn) ** 2 + (np.hypot(x[0], x[1]) - 1) ** 2) + x[2] ** 2

    def barrier(x: np.ndarray) -> float:  # not defined outside 0 < x0 < 1
        inside = 0 < x[0] < 1
        return float(-np.log(x[0]) - 2 * np.log(1 - x[0]) + (x[1] - 1) ** 2) if inside else np.nan

    return {
        "rosenbrock": (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
        "rosenbrock-8": (rosenbrock, [-1.2, 1.0] * 4, None),
        "beale": (beale, [1.0, 1.0], [3.0, 0.5]),
        "wood": (wood, [-3.0, -1.0, -3.0, -1.0], [1.0] * 4),
        "helix": (helix, [-1.0, 0.1, 0.0], [1.0, 0.0, 0.0]),
        "barrier": (barrier, [0.99, 8.0], [1 / 3, 1.0]),
    }


@evidence(
    "bfgs",
    claim="It finds the published minimizers, without gradients and past the edge of the domain",
    against="Moré, Garbow & Hillstrom 1981",
)
def bfgs_known_minima() -> Check:
    from fivefold.optimizers.numerical.bfgs import BFGS

    worst = 0.0
    for function, start, known in _suite().values():
        result = BFGS().minimize(function, start)
        worst = largest(worst, float(not result.success), float(not np.abs(result.jac).max() <= 1e-5))
        worst = largest(worst, abs(result.fun - function(result.x)))
        if known is not None:
            worst = largest(worst, float(np.abs(result.x - known).max()))
    # |x - x*| is at most gtol over the least curvature, which is 0.015 (in wood's valley) or more.
    return Check(worst, 1e-5 / 0.015, "distance to the minimizer", "published")


@evidence("bfgs", claim="The same minimum and minimizer", against="scipy.optimize.minimize(method='BFGS')")
def bfgs_scipy() -> Check:
    from scipy.optimize import minimize, rosen, rosen_der

    from fivefold.optimizers.numerical.bfgs import BFGS

    worst = 0.0
    for n in (2, 10, 30):
        # Near enough to (1 … 1): further out Rosenbrock's function has a second minimum from n = 4 on.
        start = np.tile([1.3, 0.7], n // 2)
        mine = BFGS(gtol=1e-8).minimize(rosen, start, rosen_der)
        other = minimize(rosen, start, jac=rosen_der, method="BFGS", options={"gtol": 1e-8})
        worst = largest(
            worst, float(np.abs(mine.x - other.x).max()), abs(mine.fun - other.fun), float(mine.status != other.status)
        )
    names = set(minimize(rosen, [0.5, 0.5], jac=rosen_der, method="BFGS").keys())
    worst = largest(worst, float(not names <= set(mine.keys())))
    return Check(worst, 1e-6, "max difference", "scipy")


def _errors(optimizer: Any) -> np.ndarray:
    """Return the distances to the minimizer 0 of a strictly convex function, an iteration each."""
    A = np.diag([1.0, 10.0, 100.0])
    path: list[np.ndarray] = []
    optimizer.minimize(
        lambda x: 0.5 * x @ A @ x + np.sum(x**4) / 4,
        [1.0, 1.0, 1.0],
        lambda x: A @ x + x**3,
        callback=path.append,
    )
    return np.array([np.linalg.norm(x) for x in path])


@evidence(
    "bfgs",
    claim="Error ratios fall towards 0 (superlinear); steepest descent would keep (κ-1)/(κ+1) = .98",
    against="theory",
)
def bfgs_superlinear() -> Check:
    from fivefold.optimizers.numerical.bfgs import BFGS

    errors = _errors(BFGS(gtol=1e-12))
    # A single ratio may swing: what theory bounds is the fall over n = 3 steps, here as the mean ratio a step.
    ratios = (errors[3:] / errors[:-3]) ** (1 / 3)
    return Check(float(ratios[-3:].max()), 0.1, "mean ratio a step, over 3 steps", "Dennis & Moré 1974")


@evidence(
    "bfgs", claim="Every accepted step satisfies both strong Wolfe conditions", against="the conditions, recomputed"
)
def bfgs_wolfe() -> Check:
    from scipy.optimize import rosen, rosen_der

    from fivefold.optimizers.numerical.bfgs import BFGS

    wrong = 0
    for c1, c2 in ((1e-4, 0.9), (1e-4, 0.1), (0.3, 0.5)):
        start = np.array([-1.2, 1.0, -1.2, 1.0])
        path = [start]
        BFGS(c1=c1, c2=c2, gtol=1e-4).minimize(rosen, start, rosen_der, callback=lambda x, path=path: path.append(x))
        for a, b in zip(path[:-1], path[1:]):
            slope = rosen_der(a) @ (b - a)  # α ∇fᵀp
            wrong += int(not rosen(b) <= rosen(a) + c1 * slope + 1e-14)
            wrong += int(not abs(rosen_der(b) @ (b - a)) <= c2 * abs(slope) * (1 + 1e-12))
        wrong += int(len(path) < 10)
    defaults = BFGS()
    wrong += int((defaults.c1, defaults.c2, defaults.gtol, defaults.maxiter) != (1e-4, 0.9, 1e-5, None))
    return Check(wrong, 0, "violations", "Nocedal & Wright 2006")


@evidence(
    "bfgs",
    claim="The cubic and the parabola through given values and slopes are minimized exactly",
    against="their coefficients",
)
def bfgs_interpolation() -> Check:
    from fivefold.optimizers.numerical.line_search import Trial, WolfeSearch, cubic_minimizer, quadratic_minimizer

    worst = 0.0
    for root, other, a, b in ((0.7, -1.0, 0.0, 1.0), (2.5, 0.3, 1.0, 4.0), (2.5, 0.3, 4.0, 1.0)):
        slope = np.poly1d([root * 0 + 1.0, -(root + other), root * other])  # (t - root)(t - other), least at the larger
        value = slope.integ()
        found = cubic_minimizer(a, value(a), slope(a), b, value(b), slope(b))
        worst = largest(worst, abs(found - max(root, other)))
        parabola = np.poly1d([3.0, -6.0 * root, 1.0])
        worst = largest(worst, abs(quadratic_minimizer(a, parabola(a), parabola.deriv()(a), b, parabola(b)) - root))
        for unit in (1e-5, 1e5):  # values in other units have the same minimizer
            scaled = cubic_minimizer(a, unit * value(a), unit * slope(a), b, unit * value(b), unit * slope(b))
            worst = largest(worst, abs(scaled - max(root, other)))
    for height in (-2.0, -1.0):  # bends downwards; a line
        worst = largest(worst, float(not np.isnan(quadratic_minimizer(0.0, 0.0, -1.0, 1.0, height))))
    # (t - 1/4)^3 from 0 to 1 has no minimum, only a flat point; t^3 + t not even that.
    worst = largest(worst, float(not np.isnan(cubic_minimizer(0.0, -1 / 64, 3 / 16, 1.0, 27 / 64, 27 / 16))))
    worst = largest(worst, float(not np.isnan(cubic_minimizer(0.0, 0.0, 1.0, 1.0, 2.0, 4.0))))
    # Inside a bracket: the minimizer, moved off the ends by a tenth of the width; the middle where nothing is known.
    x = np.zeros(1)
    low = Trial(2.0, x, 0.0, x, -3.0)
    for high, expected in (
        (Trial(6.0, x, np.inf), 4.0),
        (Trial(6.0, x, 4.0), 3.5),  # -3 t + t² from t = 0 to 4
        (Trial(6.0, x, 4.0, x, 5.0), 3.5),
        (Trial(6.0, x, 396.0), 2.4),
        (Trial(6.0, x, -12.0, x, 1e-9), 5.6),
        (Trial(6.0, x, -100.0), 4.0),
    ):
        worst = largest(worst, abs(WolfeSearch._guess(low, high) - expected))
    return Check(float(worst), 1e-12, "max difference", "closed form")


@evidence(
    "bfgs",
    claim="Numerical gradients stay within their truncation and rounding errors",
    against="the error bounds of differences",
)
def bfgs_differences() -> Check:
    from fivefold.optimizers.numerical.bfgs import BFGS
    from fivefold.optimizers.numerical.problem import Problem

    eps, worst = np.finfo(float).eps, 0.0
    for point in (np.array([0.3, -1.2, 2.0]), np.array([30.0, -50.0, 4.0])):
        # f = Σ sin x, so |f''|, |f'''| <= 1 and |f| <= 3; ten roundings to evaluate it.
        size = np.maximum(1, np.abs(point))
        for scheme, h, truncation in (
            ("2-point", np.sqrt(eps) * size, np.sqrt(eps) * size / 2),
            ("3-point", eps ** (1 / 3) * size, (eps ** (1 / 3) * size) ** 2 / 6),
        ):
            problem = Problem(lambda x: float(np.sin(x).sum()), scheme)
            error = np.abs(problem.gradient(point, float(np.sin(point).sum())) - np.cos(point))
            worst = largest(worst, float((error / (truncation + 10 * 3 * eps / h)).max()))
            worst = largest(worst, fault(problem.nfev != (3 if scheme == "2-point" else 6)))
    # Forward differences end at an error of about 1e-4 here; central ones then reach a gradient of 1e-7.
    fine = BFGS(gtol=1e-7).minimize(lambda x: float(1e4 * (x[0] - 1) ** 2 + (x[1] + 2) ** 2), [0.0, 0.0])
    worst += fault(not fine.success) + fault(not np.abs(fine.x - [1, -2]).max() <= 1e-6)
    plain, chosen = Problem(np.sum), Problem(np.sum, "2-point")
    worst += fault([plain.refine(), plain.refine(), chosen.refine()] != [True, False, False])
    return Check(worst, 1.0, "error over its bound", "theory")


@evidence("bfgs", claim="Counts are true, values never rise, limits and callbacks are kept", against="counting calls")
def bfgs_accounts() -> Check:
    from scipy.optimize import rosen, rosen_der

    from fivefold.optimizers.numerical.bfgs import BFGS

    calls = {"f": 0, "g": 0}

    def fun(x: np.ndarray) -> float:
        calls["f"] += 1
        return float(rosen(x))

    def jac(x: np.ndarray) -> np.ndarray:
        calls["g"] += 1
        return np.asarray(rosen_der(x))

    seen: list[float] = []
    result = BFGS().minimize(
        fun, [-1.2, 1.0], jac, callback=lambda intermediate_result: seen.append(intermediate_result.fun)
    )
    wrong = int(result.nfev != calls["f"]) + int(result.njev != calls["g"]) + int(result.nit != len(seen))
    wrong += sum(not b <= a for a, b in zip([float(rosen(np.array([-1.2, 1.0]))), *seen], seen))
    wrong += int(not np.abs(result.jac - rosen_der(result.x)).max() <= 0) + int(not np.abs(result.jac).max() <= 1e-5)
    short = BFGS(maxiter=3).minimize(fun, [-1.2, 1.0], jac)
    wrong += int(short.nit != 3 or short.status != 1 or short.success)
    both = BFGS().minimize(lambda x: (rosen(x), rosen_der(x)), [-1.2, 1.0], True)
    wrong += int(not np.abs(both.x - result.x).max() <= 0 or both.nit != result.nit)
    done = BFGS().minimize(fun, [1.0, 1.0], jac)
    wrong += int(done.nit != 0 or not done.success)

    def stop(x: np.ndarray) -> None:
        raise StopIteration

    stopped = BFGS().minimize(fun, [-1.2, 1.0], jac, callback=stop)
    wrong += int(stopped.status != 99 or stopped.nit != 1)
    # A first matrix that knows the quadratic solves it in one step.
    A = _spd(4)
    known = BFGS(hess_inv0=np.linalg.inv(A)).minimize(lambda x: 0.5 * x @ A @ x, np.ones(4), lambda x: A @ x)
    wrong += int(known.nit != 1 or known.nfev != 2)
    args = BFGS().minimize(lambda x, a: float(((x - a) ** 2).sum()), [0.0, 0.0], lambda x, a: 2 * (x - a), args=(3.0,))
    wrong += int(not np.abs(args.x - 3.0).max() <= 1e-6)
    endless = BFGS().minimize(lambda x: -x[0], [0.0], lambda x: np.array([-1.0]))
    wrong += int(endless.nit != 200 or endless.status != 1)  # 200 iterations for each variable
    falls = BFGS().minimize(lambda x: -np.inf if x[0] > 5 else -x[0], [0.0], lambda x: np.array([-1.0]))
    wrong += int(falls.status != 3 or falls.success)
    return Check(wrong, 0, "violations", "by hand")


@evidence(
    "bfgs",
    claim="While the function falls the line search goes on by the cubic within 1 to 9 widths, and it ends at its cap",
    against="the trial points, by hand",
)
def bfgs_trials() -> Check:
    from fivefold.optimizers.numerical.line_search import WolfeSearch
    from fivefold.optimizers.numerical.problem import Problem

    def trials(value: Any, slope: Any, cap: int, c2: float = 0.1) -> tuple[list[float], Any]:
        seen: list[float] = []

        def fun(x: np.ndarray) -> float:
            seen.append(float(x[0]))
            return float(value(x[0]))

        search = WolfeSearch(1e-4, c2, cap)
        start, down = np.zeros(1), np.ones(1)
        problem = Problem(fun, lambda x: np.array([slope(x[0])]))
        return seen, search(problem, start, value(0.0), np.array([slope(0.0)]), down, 1.0)

    falling, endless = trials(lambda t: -t, lambda t: -1.0, 4)
    wrong = float(np.abs(np.array(falling) - [1, 10, 91, 820]).max()) if len(falling) == 4 else 9.0
    wrong += endless.wolfe or endless.trial is None or endless.trial.step != 820
    # The minimum of this parabola at 1.2 is nearer than the least step beyond 1, that at 5 is met at once.
    near, far = (trials(lambda t, m=m: (t - m) ** 2, lambda t, m=m: 2 * (t - m), 3, 1e-3)[0] for m in (1.2, 5.0))
    wrong += abs(near[1] - 2) + abs(far[1] - 5) + (len(far) != 2)
    # Past an edge that no step reaches flatly, halving goes on as long as the cap allows.
    edged, found = trials(lambda t: -t if t < 1 / 3 else np.inf, lambda t: -1.0, 7)
    wrong += float(np.abs(np.array(edged[:3]) - [1, 1 / 2, 1 / 4]).max()) + (len(edged) != 7) + found.wolfe
    wrong += not 0.3 < found.trial.step < 1 / 3
    # A slope of just c2 times the first is flat enough; a value no lower than the last one ends the way out.
    at_once, found = trials(lambda t: (t - 2) ** 2, lambda t: 2 * (t - 2), 9, 0.5)
    wrong += at_once != [1.0] or not found.wolfe
    _, found = trials(lambda t: max(-t, -1.0), lambda t: -1.0 if t <= 1 else 0.0, 20)
    wrong += found.wolfe or found.trial.step != 1.0
    # Where the values drown in rounding the slopes find the minimum.
    _, found = trials(lambda t: 1e16, lambda t: t - 0.3, 40)
    wrong += not found.wolfe or not abs(found.trial.step - 0.3) <= 0.03
    return Check(wrong, 1e-12, "sum of differences", "by hand")


@evidence(
    "bfgs",
    claim="It mends a first matrix that leads nowhere, and converges where the values' differences drown in rounding",
    against="the known minimum",
)
def bfgs_recovers() -> Check:
    from fivefold.optimizers.numerical.bfgs import BFGS

    def bowl(x: np.ndarray) -> float:
        return float(x @ x) if np.abs(x).max() < 2 else np.inf

    wrong = 0
    for size in (1e30, 5e-324):  # steps that 40 halvings do not bring back, and steps of nothing
        found = BFGS(hess_inv0=size * np.eye(2), gtol=1e-7).minimize(bowl, np.array([1e-2, -5e-3]), lambda x: 2 * x)
        wrong += not found.success or not np.abs(found.x).max() <= 1e-7
    A = np.diag([1.0, 30.0, 1000.0])
    for offset in (1e6, -1e6):
        found = BFGS(gtol=1e-9).minimize(lambda x, c=offset: c + 0.5 * x @ A @ x, np.ones(3), lambda x: A @ x)
        wrong += not found.success or not np.abs(found.x).max() <= 1e-9
    return Check(int(wrong), 0, "failures", "known minimum")


def _more_thuente() -> list[tuple[Any, Any, float, float]]:
    """Return (function, slope, c1, c2) of the six line searches of Moré & Thuente 1994, section 5."""

    def hump(beta: float) -> tuple[Any, Any]:
        return lambda a: -a / (a**2 + beta), lambda a: (a**2 - beta) / (a**2 + beta) ** 2

    def shallow(beta: float) -> tuple[Any, Any]:
        return (lambda a: (a + beta) ** 5 - 2 * (a + beta) ** 4), (lambda a: 5 * (a + beta) ** 4 - 8 * (a + beta) ** 3)

    def waves(beta: float, count: int) -> tuple[Any, Any]:
        def base(a: float) -> tuple[float, float]:
            if a <= 1 - beta:
                return 1 - a, -1.0
            if a >= 1 + beta:
                return a - 1, 1.0
            return (a - 1) ** 2 / (2 * beta) + beta / 2, (a - 1) / beta

        turn = count * np.pi / 2
        return (
            lambda a: base(a)[0] + (1 - beta) / turn * np.sin(turn * a),
            lambda a: base(a)[1] + (1 - beta) * np.cos(turn * a),
        )

    def yanai(b1: float, b2: float) -> tuple[Any, Any]:
        g1, g2 = (np.sqrt(1 + b**2) - b for b in (b1, b2))
        return (
            lambda a: g1 * np.hypot(1 - a, b2) + g2 * np.hypot(a, b1),
            lambda a: -g1 * (1 - a) / np.hypot(1 - a, b2) + g2 * a / np.hypot(a, b1),
        )

    return [
        (*hump(2.0), 1e-3, 0.1),
        (*shallow(0.004), 0.1, 0.1),
        (*waves(0.01, 39), 0.1, 0.1),
        (*yanai(0.001, 0.001), 1e-3, 1e-3),
        (*yanai(0.01, 0.001), 1e-3, 1e-3),
        (*yanai(0.001, 0.01), 1e-3, 1e-3),
    ]


def _bisect(value: Any, slope: Any, c1: float, c2: float, step: float) -> int:
    """Return how many trials halving and doubling need to reach a strong Wolfe point."""
    low, high = 0.0, np.inf
    for trial in range(1, 200):
        if value(step) > value(0.0) + c1 * step * slope(0.0) or slope(step) > -c2 * slope(0.0):
            high = step
        elif slope(step) < c2 * slope(0.0):
            low = step
        else:
            return trial
        step = 2 * step if np.isinf(high) else (low + high) / 2
    return 200


@evidence(
    "bfgs",
    claim="Line searches from starts of .001 to 1000 end in Wolfe points, in fewer trials than halving and doubling",
    against="the six functions of Moré & Thuente 1994",
)
def bfgs_line_search() -> Check:
    from fivefold.optimizers.numerical.line_search import WolfeSearch
    from fivefold.optimizers.numerical.problem import Problem

    wrong = trials = halvings = 0
    for value, slope, c1, c2 in _more_thuente():
        for first in (1e-3, 0.1, 10.0, 1e3):
            problem = Problem(lambda x, value=value: value(x[0]), lambda x, slope=slope: np.array([slope(x[0])]))
            start, down = np.zeros(1), np.ones(1)
            found = WolfeSearch(c1, c2)(problem, start, value(0.0), np.array([slope(0.0)]), down, first)
            trials, halvings = trials + problem.nfev, halvings + _bisect(value, slope, c1, c2, first)
            if found.trial is None or not found.wolfe:
                wrong += 1
                continue
            step = found.trial.step
            wrong += fault(not value(step) <= value(0.0) + c1 * step * slope(0.0)) + fault(not step > 0.0)
            wrong += fault(not abs(slope(step)) <= c2 * abs(slope(0.0)))
            wrong += fault(found.trial.f != value(step) or found.trial.slope != slope(step))
    return Check(wrong + trials / halvings, 1.0, "violations + trials over those of halving", "Wolfe's conditions")


@evidence(
    "bfgs",
    claim="The first step is 1/|g|₁ long, and the identity is scaled by yᵀs/yᵀy before the first update",
    against="by hand",
)
def bfgs_first_iteration() -> Check:
    from fivefold.optimizers.numerical.bfgs import BFGS, bfgs_update

    A = np.diag([1.0, 5.0, 20.0])
    start = np.array([1.0, -2.0, 0.5])
    seen: list[np.ndarray] = []

    def fun(x: np.ndarray) -> float:
        seen.append(x)
        return float(0.5 * x @ A @ x)

    gradient = A @ start
    wrong = 0.0
    for options, scaled in (({}, True), ({"initial_scaling": True}, True), ({"initial_scaling": False}, False)):
        seen.clear()
        result = BFGS(maxiter=1, **options).minimize(fun, start, lambda x: A @ x)
        wrong += float(np.abs(seen[1] - (start - gradient / np.abs(gradient).sum())).max())
        s, y = result.x - start, result.jac - gradient
        first = np.eye(3) * (s @ y / (y @ y)) if scaled else np.eye(3)
        wrong += float(np.abs(result.hess_inv - bfgs_update(first, s, y)).max())
    # With a flat start the identity's step is not shortened: 1 at most.
    seen.clear()
    BFGS(gtol=0.0, maxiter=1).minimize(fun, start * 1e-3, lambda x: A @ x)
    wrong += float(np.abs(seen[1] - (start - gradient) * 1e-3).max())
    return Check(wrong, 1e-12, "sum of differences", "by hand")
