"""Which learning rate is right: loss curves of several rates, told apart and drawn in one plot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import DataError, InputError

PATTERNS: dict[str, str] = {
    "diverges": "far too large: the loss ends above its start or is no number",
    "oscillates": "too large: the loss falls fast, then stays up because the steps jump across the valley",
    "slow": "too small: the loss is still on its way down when the updates are used up",
    "right": "right: the loss ends where the best curve does",
}
"""The four patterns and what each says about the rate."""

COLORS = {"diverges": "#e45756", "oscillates": "#f58518", "slow": "#4c78a8", "right": "#54a24b"}


@dataclass(frozen=True)
class LearningRateReport:
    """What the loss curves say.

    Attributes
    ----------
    patterns : mapping rate -> "diverges", "oscillates", "slow" or "right"
        From the smallest rate up.
    ends : mapping rate -> float
        Mean loss over the last tenth of the updates; inf for a curve that left the numbers.
    floor : float
        The loss that counts as reached.
    best : float or None
        The rate with the lowest end; None when all diverge.
    advice : str
        What to do next.
    curves : mapping rate -> array (T + 1,)
    """

    patterns: Mapping[float, str]
    ends: Mapping[float, float]
    floor: float
    best: float | None
    advice: str
    curves: Mapping[float, np.ndarray]

    def __str__(self) -> str:
        lines = [f"learning rate {rate:g}: {PATTERNS[pattern]}" for rate, pattern in self.patterns.items()]
        return "\n".join([*lines, self.advice])

    def draw(self, path: str | os.PathLike[str], *, dpi: int = 120) -> Path:  # any value: figure layout
        """Write the plot of loss over updates, colored by pattern, and return its path."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 4.6), layout="constrained")  # any value: figure layout
        axes = figure.subplots()
        start = max(float(curve[0]) for curve in self.curves.values())
        positive = all((curve[np.isfinite(curve)] > 0).all() for curve in self.curves.values())
        for rate, curve in self.curves.items():
            pattern = self.patterns[rate]
            # What has left the picture far above the start is cut, so that the other curves keep their shape.
            shown = np.where(curve <= 100 * abs(start), curve, np.nan)  # any value: how much higher
            axes.plot(np.arange(len(curve)), shown, color=COLORS[pattern], label=f"{rate:g}: {pattern}")
        if positive:
            axes.set_yscale("log")
        axes.set_xlabel("updates")
        axes.set_ylabel("loss")
        figure.legend(loc="outside right upper", fontsize=9, title="learning rate")  # any value: figure layout
        figure.savefig(path, dpi=dpi)
        return Path(path)


def diagnose_learning_rates(
    curves: Mapping[float, Any], *, floor: float | None = None, tolerance: float = 0.05
) -> LearningRateReport:
    r"""Tell learning rates apart by their loss curves.

    With the start :math:`L_0`, the end :math:`\bar L` (mean over the last tenth of the updates) and the floor :math:`L^*`, a
    rate *diverges* when :math:`\bar L` is no number or above :math:`L_0`, and is *right* when

    .. math:: \bar L - L^* \le \tau\,(L_0 - L^*).

    What ends above that is *slow* if it is smaller than the best rate, and *oscillates* if it is larger. When the best rate
    itself ends above the floor, its course decides: slow while the last quarter of the updates still takes away more than
    the share :math:`\tau` of what is left, else it oscillates.

    Parameters
    ----------
    curves : mapping learning rate > 0 -> array (T + 1,)
        Losses from the first update on; the same start and number of updates make them comparable.
    floor : float, optional
        The lowest loss that can be reached, if it is known; default: the lowest end among the curves, so the best of several
        counts as right.
    tolerance : float in (0, 1), default 0.05
        :math:`\tau`.

    Returns
    -------
    LearningRateReport

    Raises
    ------
    DataError
        When there is no curve, one has fewer than 8 losses, or one starts with no number.
    InputError
        When a rate is not positive, or ``tolerance`` is outside (0, 1).

    Notes
    -----
    Gradient descent on a quadratic with curvatures :math:`\lambda` diverges for :math:`\eta > 2/\lambda_{\max}`, oscillates
    for ever at equality, is quickest at :math:`2/(\lambda_{\min} + \lambda_{\max})`, and slow far below.

    References
    ----------
    Spec ``05#lr-diagnosis``.
    """
    if not curves:
        raise DataError("diagnose_learning_rates needs at least one loss curve: {learning rate: losses}.")
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance must be in (0, 1), got {tolerance!r}.")
    tracks: dict[float, np.ndarray] = {}
    for rate in sorted(curves):
        if not (rate > 0 and np.isfinite(rate)):
            raise InputError(f"A learning rate must be a positive number, got {rate!r}.")
        track = np.asarray(curves[rate], dtype=np.float64)
        if track.ndim != 1 or len(track) < 8:
            raise DataError(
                f"The curve of learning rate {rate:g} must hold 8 losses or more, shape (T,); got shape {track.shape}."
            )
        if not np.isfinite(track[0]):
            raise DataError(
                f"The curve of learning rate {rate:g} starts with {track[0]}; its first loss must be finite."
            )
        tracks[float(rate)] = track
    ends = {rate: _level(track, 10) for rate, track in tracks.items()}
    alive = [rate for rate, track in tracks.items() if ends[rate] <= track[0]]
    if not alive:
        advice = (
            f"Every rate diverges; try rates below {min(tracks):g}, for example {min(tracks) / 10:g} and "
            f"{min(tracks) / 100:g}."
        )
        low = float("nan") if floor is None else float(floor)
        return LearningRateReport(dict.fromkeys(tracks, "diverges"), ends, low, None, advice, tracks)
    best = min(alive, key=lambda rate: ends[rate])
    low = ends[best] if floor is None else float(floor)
    patterns = {}
    for rate, track in tracks.items():
        above = ends[rate] - low
        if rate not in alive:
            patterns[rate] = "diverges"
        elif above <= tolerance * (track[0] - low):
            patterns[rate] = "right"
        elif rate == best:
            before = _level(track[: len(track) - len(track) // 4], 10)
            patterns[rate] = "slow" if before - ends[rate] > tolerance * (before - low) else "oscillates"
        else:
            patterns[rate] = "slow" if rate < best else "oscillates"
    return LearningRateReport(patterns, ends, low, best, _advice(patterns, best), tracks)


def sweep_learning_rates(
    train: Callable[[float], Any], rates: Iterable[float], *, floor: float | None = None, tolerance: float = 0.05
) -> LearningRateReport:
    """Train once with each rate and tell them apart; see :func:`diagnose_learning_rates`.

    Parameters
    ----------
    train : callable (learning rate) -> losses (T + 1,)
        Starts from the same weights every time.
    rates : iterable of float
    floor, tolerance
        As in :func:`diagnose_learning_rates`.
    """
    return diagnose_learning_rates({rate: train(rate) for rate in rates}, floor=floor, tolerance=tolerance)


def _level(track: np.ndarray, parts: int) -> float:
    """Return the mean of the last of ``parts`` parts of a curve; inf when it holds what is no number."""
    tail = track[-max(1, len(track) // parts) :]
    return float(tail.mean()) if np.isfinite(tail).all() else float("inf")


def _advice(patterns: Mapping[float, str], best: float) -> str:
    rates = list(patterns)
    pattern = patterns[best]
    if pattern == "slow":
        return f"{best:g} is the best rate, but still on its way; use a larger rate, for example {3 * best:g}, or more updates."
    if pattern == "oscillates":
        return (
            f"{best:g} is the best, but jumps across the valley; use a smaller one, for example {best / 3:g}, or decay."
        )
    if len(rates) > 1 and best == rates[-1]:
        return f"Use {best:g}; it is the largest rate tried and the best, so try {3 * best:g} as well."
    if len(rates) > 1 and best == rates[0]:
        return f"Use {best:g}; it is the smallest rate tried and the best, so try {best / 3:g} as well."
    return f"Use {best:g}."
