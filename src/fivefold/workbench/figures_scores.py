"""Figures that judge a comparison: precision-recall, calibration, learning curve, importance and differences to the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fivefold.base.errors import InputError

from .figures import INK, MUTED, PAPER, SERIES, canvas, style, thin, thousands, to_svg

_DASHED = (0, (4, 3))
_LINES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)))
_BARS = 15


def pr_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], prevalence: float) -> str:
    """Draw precision-recall curves ``name -> (recall, precision)`` above the prevalence, which guessing reaches.

    Either order of the points is taken. Steps are drawn as average precision counts them: the precision of a point holds back
    to the recall before it.
    """
    with style():
        figure, axes = canvas(height=4.4)
        handles = []
        for i, (recall, precision) in enumerate(curves.values()):
            across, up = _pair(recall, precision, "recall and precision")
            if across[0] > across[-1]:
                across, up = across[::-1], up[::-1]
            if across[-1] > 0:  # points before the first hit are steps without width
                across, up = across[across > 0], up[across > 0]
            across, up = thin(np.append(0.0, across), np.append(up[0], up), 300)
            handles += axes.plot(across, up, drawstyle="steps-pre", **_look(i))
        axes.axhline(prevalence, color=MUTED, lw=1, ls=_DASHED)
        # Curves end at the right on this line and seldom go below it.
        below = prevalence > 0.08
        axes.annotate(
            f"prevalence {prevalence:.3g}", (0.985, prevalence), xycoords=("axes fraction", "data"),
            xytext=(0, -4 if below else 4), textcoords="offset points", ha="right", va="top" if below else "bottom",
            color=MUTED, fontsize=10,
        )  # fmt: skip
        _unit_square(axes)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        _legend(axes, handles, curves)
        return to_svg(figure)


def reliability_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Draw reliability curves ``name -> (mean predicted, observed)``; calibrated ones lie on the diagonal."""
    with style():
        figure, axes = canvas(height=4.4)
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=_DASHED)
        handles = []
        for i, (predicted, observed) in enumerate(curves.values()):
            handles += axes.plot(*_pair(predicted, observed, "predicted and observed"), marker="o", ms=4.5, **_look(i))
        _unit_square(axes)
        axes.set_xlabel("predicted probability, mean of a bin")
        axes.set_ylabel("observed share")
        _legend(axes, handles, curves)
        return to_svg(figure)


def learning_curve(rows: Sequence[int], means: Sequence[float], deviations: Sequence[float], *, score: str) -> str:
    """Draw mean score ± deviation against the rows trained on, on a logarithmic axis; NaN deviations draw no band."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    x, y, spread = _columns(rows, means, deviations)
    if not (x > 0).all():
        raise InputError(f"rows of a learning curve must be above 0; got {x.min():g}.")
    order = np.argsort(x)
    x, y, spread = x[order], y[order], spread[order]
    with style():
        figure, axes = canvas()
        axes.set_xscale("log")
        axes.grid(True)
        axes.fill_between(x, y - spread, y + spread, color=SERIES[0], alpha=0.18, lw=0)
        axes.plot(x, y, "-o", ms=5, color=SERIES[0])
        left, right = x[0] / 1.15, x[-1] * 1.15
        axes.set_xlim(left, right)
        axes.set_xticks(_apart(x, left, right))
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))
        axes.set_xlabel("rows trained on")
        axes.set_ylabel(_plain_name(score))
        return to_svg(figure)


def importance_bars(
    names: Sequence[str],
    means: Sequence[float],
    deviations: Sequence[float],
    *,
    score: str = "score",
    higher_is_better: bool = True,
) -> str:
    """Draw how much the score loses when a column is shuffled ± deviation: the 15 largest, largest on top."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    mean, spread = _columns(means, deviations, names=names)
    chosen = np.argsort(-mean, kind="stable")[:_BARS]
    mean, spread = mean[chosen], np.nan_to_num(spread[chosen])
    with style():
        figure, axes = canvas(height=max(1.6, 0.29 * len(chosen) + 0.9))
        places = np.arange(len(chosen))
        axes.barh(places, mean, height=0.62, color=SERIES[0], alpha=0.75, lw=0)
        axes.hlines(places, mean - spread, mean + spread, color=INK, lw=1.1)
        axes.axvline(0, color=MUTED, lw=0.8)
        _rows(axes, [names[i] for i in chosen])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.set_xlabel(f"loss of {_plain_name(score)} when the column is shuffled", loc="right")
        return to_svg(figure)


def group_intervals(
    names: Sequence[str],
    means: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    *,
    score: str,
    best: str,
) -> str:
    """Draw each method's difference to the best with its interval, in the order given from the top.

    Methods whose interval holds 0 are not distinguishable from the best: filled dots. The others are hollow and gray. A NaN
    bound draws the dot alone. A method far beyond the others, the baseline for example, becomes an arrow at the edge with its
    value, so that the others can be told apart.
    """
    return _intervals(
        names,
        _columns(means, lows, highs, names=names),
        0.0,
        f"{_plain_name(score)}: difference to {_plain_name(best)}",
    )


def calibration_slopes(names: Sequence[str], slopes: Sequence[float], standard_errors: Sequence[float]) -> str:
    """Draw calibration slopes with their 95 % intervals; 1 is calibrated, below it a method is overconfident.

    Methods whose slope is NaN have no finite one and are left out.
    """
    slope, error = _columns(slopes, standard_errors, names=names)
    kept = np.isfinite(slope)
    if not kept.any():
        raise InputError(f"Calibration slopes cannot be drawn: no method has a finite one, among {len(names)} given.")
    slope, error = slope[kept], error[kept]
    return _intervals(
        [name for name, keep in zip(names, kept) if keep],
        [slope, slope - 1.96 * error, slope + 1.96 * error],
        1.0,
        "calibration slope (below 1: overconfident)",
    )


def _intervals(names: Sequence[str], columns: Sequence[np.ndarray], reference: float, label: str) -> str:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    middle, low, high = columns
    known = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(known, low, middle), np.where(known, high, middle)
    apart = known & ((low > reference) | (high < reference))
    nearest = np.maximum(np.maximum(low - reference, reference - high), 0.0)  # of the interval to the reference
    farthest = np.maximum(np.abs(low - reference), np.abs(high - reference))
    limit = 4.0 * np.median(farthest[farthest > 0]) if (farthest > 0).any() else 1.0
    far = nearest > limit
    shown = np.concatenate([low[~far], high[~far], [reference]])
    room = 0.06 * (shown.max() - shown.min()) or 0.5
    left = shown.min() - (2.5 if (far & (middle < reference)).any() else 1.0) * room
    right = shown.max() + (2.5 if (far & (middle > reference)).any() else 1.0) * room
    with style():
        figure, axes = canvas(height=max(1.6, 0.36 * len(names) + 0.9))
        axes.axvline(reference, color=MUTED, lw=1, ls=_DASHED)
        for place in range(len(names)):
            color = MUTED if apart[place] else SERIES[0]
            if far[place]:
                down = middle[place] < reference
                axes.plot([left + room if down else right - room], [place], "<" if down else ">", ms=6, color=color)
                axes.annotate(
                    thousands(float(f"{middle[place]:.3g}")), (left + room if down else right - room, place),
                    xytext=(8 if down else -8, 0), textcoords="offset points", ha="left" if down else "right",
                    va="center", color=color, fontsize=10,
                )  # fmt: skip
                continue
            if known[place]:
                axes.plot([low[place], high[place]], [place, place], color=color, lw=1.8)
            axes.plot([middle[place]], [place], "o", ms=6.5, color=color, mfc=PAPER if apart[place] else color, mew=1.5)
        _rows(axes, names)
        axes.set_xlim(left, right)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.set_xlabel(label, loc="right")
        return to_svg(figure)


def _look(index: int) -> dict[str, Any]:
    # The ninth method takes the first color again, with another line.
    return {"color": SERIES[index % len(SERIES)], "ls": _LINES[index // len(SERIES) % len(_LINES)]}


def _plain_name(name: str, limit: int = 30) -> str:
    """Return a name on one line of at most ``limit`` characters, without characters that cannot be printed."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _pair(x: Any, y: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    across, up = np.asarray(x, float), np.asarray(y, float)
    if across.ndim != 1 or across.shape != up.shape or not len(across):
        raise InputError(f"{what} must be two arrays (n,) of one length >= 1; got {across.shape} and {up.shape}.")
    return across, up


def _columns(*values: Sequence[float], names: Sequence[str] | None = None) -> list[np.ndarray]:
    columns = [np.asarray(v, float) for v in values]
    lengths = [len(c) for c in columns] + ([] if names is None else [len(names)])
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise InputError(f"The columns of a figure must be of one length >= 1; got lengths {lengths}.")
    return columns


def _apart(x: np.ndarray, left: float, right: float) -> list[float]:
    """Return the values to label: from the largest down, those whose labels do not touch."""
    kept: list[float] = []
    for value in x[::-1]:
        if not kept or np.log(kept[-1] / value) / np.log(right / left) >= 0.14:
            kept.append(float(value))
    return kept[::-1]


def _rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_plain_name(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")


def _unit_square(axes: Any) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.grid(True)


def _legend(axes: Any, handles: Sequence[Any], names: Mapping[str, Any]) -> None:
    if not handles:
        raise InputError("A figure of curves needs at least one curve.")
    # Below the drawing it never covers a curve. Matplotlib leaves out labels that begin with "_", so they are set after.
    legend = axes.figure.legend(
        handles, [str(i) for i in range(len(handles))], loc="outside lower center", labelcolor=INK,
        ncols=2 if len(handles) > 1 else 1,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names):
        text.set_text(_plain_name(name, 28))
