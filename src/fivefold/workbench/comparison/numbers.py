"""Numbers with no more digits than their deviation supports."""

from __future__ import annotations

import math

import numpy as np


def decimals(deviation: float) -> int:
    """Return how many decimals a deviation supports (negative: rounded to tens, hundreds, …).

    The rule of the Particle Data Group: two digits of the deviation when they begin with 10 … 35, else one.
    """
    exponent = math.floor(math.log10(deviation))
    lead = round(deviation / 10.0 ** (exponent - 2))
    return 1 - exponent if lead <= 354 else -exponent


def with_deviation(mean: float, deviation: float) -> str:
    """Return "0.8214 ± 0.0031" for people; a mean without a usable deviation gets four significant digits."""
    if math.isnan(mean):
        return "–"
    if not math.isfinite(mean):
        return "∞" if mean > 0 else "−∞"
    if not math.isfinite(deviation) or deviation <= 0 or deviation < 1e-9 * abs(mean):
        return plain(mean)
    # A deviation as large as the number still leaves its first digit.
    places = decimals(deviation)
    return f"{fixed(mean, places)} ± {fixed(deviation, places)}"


def fixed(value: float, places: int) -> str:
    """Return the value rounded to ``places`` decimals, with separators; negative places round before the point."""
    rounded = round(value, places)
    return f"{rounded + 0.0:,.{max(places, 0)}f}"


def plain(value: float) -> str:
    """Return four significant digits, never an exponent between 0.0001 and a billion."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(value)))
    return f"{value:.3g}" if magnitude < -4 or magnitude > 9 else fixed(value, 3 - magnitude)


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation (n − 1) of scores over folds; NaN deviation for one fold."""
    mean = float(np.mean(values))
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
