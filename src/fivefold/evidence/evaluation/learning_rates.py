"""Learning-rate diagnosis: quadratics whose losses are known in closed form, noisy ones with a known ball, programs by hand."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _descent(rate: float, curvature: np.ndarray, updates: int) -> np.ndarray:
    """Return the losses of gradient descent from (1, 1, …), computed step by step."""
    x, losses = np.ones(len(curvature)), []
    for _ in range(updates + 1):
        losses.append(0.5 * float(curvature @ x**2))
        x = x - rate * curvature * x
    return np.array(losses)


@evidence(
    "learning-rate-diagnosis",
    claim="Rates around the limits 2/λmax and 2/(λmin + λmax) of a quadratic get the pattern that theory gives them",
    against="the limits of gradient descent",
)
def rates_of_quadratics() -> Check:
    from fivefold.evaluation.learning_rates import diagnose_learning_rates

    wrong = 0
    for curvature in (np.array([1.0, 10.0]), np.array([0.3, 2.0, 4.0]), np.array([0.05, 0.5])):
        limit, right = 2 / curvature.max(), 2 / (curvature.min() + curvature.max())
        wanted = {
            1.2 * limit: "diverges",
            1.01 * limit: "diverges",
            limit: "oscillates",  # the steepest coordinate goes from 1 to -1 and back for ever
            right: "right",
            right / 200: "slow",
            right / 1000: "slow",
        }
        found = diagnose_learning_rates({rate: _descent(rate, curvature, 300) for rate in wanted})
        wrong += sum(found.patterns[rate] != pattern for rate, pattern in wanted.items())
        wrong += found.best != right or list(found.patterns) != sorted(wanted)
    return Check(float(wrong), 0.0, "wrong patterns", "theory")


@evidence(
    "learning-rate-diagnosis",
    claim="A grid of rates on random quadratics is called right exactly where the closed-form loss is within the tolerance",
    against="the closed form of every loss",
)
def rates_closed_form() -> Check:
    from fivefold.evaluation.learning_rates import diagnose_learning_rates

    rng, wrong, met = np.random.default_rng(0), 0, set()
    for _ in range(20):
        curvature, updates = np.exp(rng.uniform(-2, 1, 4)), 100
        rates = 2 / curvature.max() * np.array([*np.exp(np.linspace(-7, -0.1, 22)), 0.99, 0.999, 1.02])
        curves = {rate: _descent(rate, curvature, updates) for rate in rates}
        tolerance = float(rng.uniform(0.01, 0.3))
        given = diagnose_learning_rates(curves, tolerance=tolerance).patterns
        start = 0.5 * curvature.sum()
        # Mean over the last tenth, updates 91 to 100, of Σ ½ λ (1 - ηλ)^2t.
        t = np.arange(91, 101)
        ends = np.array(
            [0.5 * (curvature * (1 - rate * curvature) ** (2 * t[:, None])).sum(1).mean() for rate in rates]
        )
        best = int(np.argmin(ends))
        for k, rate in enumerate(rates):
            if ends[k] > start:
                wanted = "diverges"
            elif ends[k] - ends[best] <= tolerance * (start - ends[best]):
                wanted = "right"
            else:
                wanted = "slow" if k < best else "oscillates"
            wrong += given[rate] != wanted
            met.add(wanted)
        default = diagnose_learning_rates(curves).patterns
        inside = {rate for k, rate in enumerate(rates) if ends[k] - ends[best] <= 0.05 * (start - ends[best])}
        wrong += {rate for rate in rates if default[rate] == "right"} != inside
    return Check(float(wrong + 4 - len(met)), 0.0, "wrong patterns", "closed form")


@evidence(
    "learning-rate-diagnosis",
    claim="With noise in the gradient a large rate stays on its ball of η σ²/(2 (2 - ηλ)), which the report's ends measure",
    against="the stationary law of the noisy quadratic",
)
def rates_with_noise() -> Check:
    from fivefold.evaluation.learning_rates import diagnose_learning_rates

    rng, updates = np.random.default_rng(0), 4000
    curvature, sigma = 1.0, 1.0
    curves = {}
    for rate in (1.8, 1.0, 0.02, 0.0002):
        x, losses = np.full(64, 4.0), []  # 64 runs side by side
        for _ in range(updates + 1):
            losses.append(0.5 * curvature * float((x**2).mean()))
            x = x - rate * (curvature * x + sigma * rng.standard_normal(64))
        curves[rate] = np.array(losses)
    found = diagnose_learning_rates(curves)
    wrong = sum(
        found.patterns[rate] != pattern
        for rate, pattern in ((1.8, "oscillates"), (1.0, "oscillates"), (0.02, "right"), (0.0002, "slow"))
    )
    # E x² = η² σ² / (1 - (1 - η)²) on the ball; 64 runs of 400 updates settle the mean to a few percent.
    off = largest(abs(found.ends[rate] / (rate * sigma**2 / (2 * (2 - rate))) - 1) for rate in (1.8, 1.0))
    return Check(wrong + off, 0.1, "wrong patterns + relative difference", "stationary law")


@evidence(
    "learning-rate-diagnosis",
    claim="Single curves against a known floor, curves out of the numbers, and what each outcome advises",
    against="curves made by hand",
)
def rates_by_hand() -> Check:
    from fivefold.evaluation.learning_rates import diagnose_learning_rates, sweep_learning_rates

    flat = np.concatenate([[10.0, 6.0], np.full(38, 5.0)])
    line = np.linspace(10.0, 5.0, 40)
    low = np.concatenate([[10.0, 2.0], np.full(38, 0.4)])
    cases = [
        ({0.1: flat}, 0.0, {0.1: "oscillates"}, "use a smaller one, for example 0.0333333"),
        ({0.1: line}, 0.0, {0.1: "slow"}, "use a larger rate, for example 0.3,"),
        ({0.1: low}, 0.0, {0.1: "right"}, "Use 0.1."),
        ({0.1: flat}, None, {0.1: "right"}, "Use 0.1."),
        (
            {0.1: low, 0.3: np.append(low[:-1], np.nan)},
            0.0,
            {0.1: "right", 0.3: "diverges"},
            "so try 0.0333333 as well",
        ),
        ({0.1: flat, 0.3: low}, 0.0, {0.1: "slow", 0.3: "right"}, "so try 0.9 as well"),
        ({0.1: flat, 0.3: low, 1.0: flat}, 0.0, {0.1: "slow", 0.3: "right", 1.0: "oscillates"}, "Use 0.3."),
        (
            {0.1: line[::-1], 1.0: np.append(flat[:-1], np.inf)},
            0.0,
            {0.1: "diverges", 1.0: "diverges"},
            "0.01 and 0.001",
        ),
        ({0.1: np.full(8, 3.0)}, None, {0.1: "right"}, "Use 0.1."),
        ({0.1: np.full(8, 3.0)}, 1.0, {0.1: "oscillates"}, "smaller"),
    ]
    wrong = 0
    for curves, floor, patterns, words in cases:
        found = diagnose_learning_rates(curves, floor=floor)
        wrong += dict(found.patterns) != patterns or words not in found.advice
    again = sweep_learning_rates(lambda rate: {0.1: flat, 0.3: low}[rate], (0.3, 0.1), floor=0.0, tolerance=0.6)
    wrong += dict(again.patterns) != {0.1: "right", 0.3: "right"} or again.best != 0.3
    wrong += again.floor != 0.0 or again.ends[0.1] != 5.0 or not abs(again.ends[0.3] - 0.4) <= 1e-12
    wrong += not np.isnan(diagnose_learning_rates({1.0: np.geomspace(1, 1e9, 9)}).floor)
    # Of 8 and of 19 losses the last one is the end; of 20 it is the mean of two.
    for losses, end in ((8, 1.0), (19, 1.0), (20, 1.5)):
        wrong += diagnose_learning_rates({1.0: np.arange(losses, 0.0, -1.0)}).ends[1.0] != end
    # At the border of the tolerance a curve is right; one that the last quarter halves takes away no more than half.
    wrong += diagnose_learning_rates({0.1: flat}, floor=0.0, tolerance=0.5).patterns[0.1] != "right"
    halved = np.concatenate([[7.0], np.full(29, 8.0), np.full(10, 4.0)])
    wrong += diagnose_learning_rates({0.1: halved}, floor=0.0, tolerance=0.5).patterns[0.1] != "oscillates"
    return Check(float(wrong), 0.0, "wrong cases", "by hand")


@evidence(
    "learning-rate-diagnosis",
    claim="The figure shows each curve in the color of its pattern, on log scale where all losses are above zero",
    against="the lines of the figure",
)
def rates_drawn() -> Check:
    from unittest.mock import patch

    from matplotlib.figure import Figure

    from fivefold.evaluation.learning_rates import COLORS, diagnose_learning_rates

    low = np.concatenate([[10.0, 2.0], np.full(38, 0.4)])
    up = np.append(np.geomspace(9.0, 1e9, 39), np.nan)
    wrong = 0
    for shift, scale in ((0.0, "log"), (-0.4, "linear")):
        drawn: list[Figure] = []
        with patch.object(Figure, "savefig", lambda figure, path, drawn=drawn, **_: drawn.append(figure)):
            diagnose_learning_rates({0.1: low + shift, 0.3: up}).draw("unwritten.png")
        axes = drawn[0].axes[0]
        right, diverged = axes.get_lines()
        wrong += axes.get_yscale() != scale or right.get_ydata().tolist() != (low + shift).tolist()
        wrong += right.get_color() != COLORS["right"] or diverged.get_color() != COLORS["diverges"]
        shown = diverged.get_ydata()
        wrong += not (np.nanmax(shown) < 1e4 and shown[:10].tolist() == up[:10].tolist())
        wrong += [t.get_text() for t in drawn[0].legends[0].get_texts()] != ["0.1: right", "0.3: diverges"]
    return Check(float(wrong), 0.0, "differences", "by hand")
