"""Figures for reports: drawn by matplotlib, written as SVG whose colors are CSS variables of the page.

One drawing therefore looks right on a light and on a dark page. Draw with :func:`canvas` and the colors named here
(:data:`INK`, :data:`MUTED`, :data:`GRID`, :data:`SERIES`) and turn the figure into markup with :func:`to_svg`.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import numpy as np

P = ParamSpec("P")

# Colors that nobody draws with by chance; to_svg replaces each by the page's CSS variable.
INK, MUTED, GRID, PAPER = "#010a01", "#010a02", "#010a03", "#010a04"
SERIES = tuple(f"#020a0{i}" for i in range(1, 9))
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"} | {
    color: f"--s{i}" for i, color in enumerate(SERIES, 1)
}
_FONT = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif'

_STYLE: Any = {
    "font.size": 11,
    "font.family": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a column name is a dollar sign
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.6,
}


def _styled(draw: Callable[P, str]) -> Callable[P, str]:
    """Draw within :func:`style`, so that a name such as ``$x$`` is never taken for a formula."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> str:
        with style():
            return draw(*args, **options)

    return drawn


def style() -> Any:
    """Return the context of matplotlib settings that text made outside :func:`canvas` needs, a legend for example."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def canvas(width: float = 5.4, height: float = 3.5) -> tuple[Any, Any]:
    """Return a figure and its axes, ``width`` × ``height`` inches, in the style of the reports."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
    return figure, axes


def to_svg(figure: Any) -> str:
    """Return the figure as SVG markup for :meth:`fivefold.workbench.report.Report.figure`."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": "fivefold"}), warnings.catch_warnings():
        # The reader's browser brings the glyphs that matplotlib's measuring font lacks.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        settle(figure)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    markup = buffer.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup, flags=re.DOTALL)
    # Inside a page a style element would speak for the whole page, and a fixed size would not shrink with it.
    markup = re.sub(r"<style.*?</style>", "", markup, flags=re.DOTALL)
    markup = re.sub(r"(<svg[^>]*?) width=\"[^\"]*\"", r"\1", markup, count=1)
    markup = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", markup, count=1)
    markup = markup.replace("'DejaVu Sans'", _FONT.replace('"', "'")).strip()
    markup = re.sub(r"<!--.*?-->\n?", "", markup, flags=re.DOTALL)
    markup = re.sub(r" (?:d|x|y|points|transform)=\"[^\"]*\"", _rounded, markup)
    for color, variable in _VARIABLES.items():
        markup = markup.replace(color, f"var({variable})")
    return markup


def settle(figure: Any) -> None:
    """Lay the figure out once and for all: saving would do it again for every file, and draw everything twice for it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _rounded(attribute: re.Match[str]) -> str:
    # A hundredth of a point is finer than any screen.
    return re.sub(r"(\d\.\d\d)\d+", r"\1", attribute.group())


def seconds(value: float) -> str:
    """Return a duration for people: "0.4 ms", "31 ms", "2.4 s", "3 min"."""
    if value < 0.0995:
        return f"{value * 1e3:.2g} ms" if value < 0.00995 else f"{value * 1e3:.0f} ms"
    if value < 9.95:
        return f"{value:.2g} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"


def thousands(value: float, _: Any = None) -> str:
    """Return a number for an axis, with separators instead of an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


@_styled
def score_against_time(
    names: Sequence[str],
    times: Sequence[float],
    means: Sequence[float],
    deviations: Sequence[float],
    *,
    score: str,
    baseline: float | None = None,
) -> str:
    """Draw mean score ± deviation of each method against its time, logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    figure, axes = canvas()
    axes.set_xscale("log")
    axes.grid(True)
    x, y, error = np.maximum(times, 1e-6), np.asarray(means, float), np.nan_to_num(np.asarray(deviations, float))
    low, high = _range(np.concatenate([y - error, y + error]))
    if baseline is not None and not low - (high - low) <= baseline <= high + (high - low):
        baseline = None  # so far away that the methods would shrink to one point
    if baseline is not None:
        low, high = _range(np.concatenate([[low, high], [baseline]]))
    left, right = x.min() / 2.0, x.max() * 2.0
    across = (np.log(x) - np.log(left)) / np.log(right / left)
    offsets = _label_places(names, across * 310, (y - low) / (high - low) * 200, error / (high - low) * 200, 310)
    for i, name in enumerate(names):
        color = SERIES[i % len(SERIES)]
        axes.errorbar(x[i], y[i], yerr=error[i], fmt="o", ms=6, color=color, elinewidth=1.1, capsize=2.5)
        axes.annotate(
            name, (x[i], y[i]), xytext=offsets[i][:2], textcoords="offset points", ha=offsets[i][2], va="center",
            color=color, fontsize=10,
        )  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    if baseline is not None:
        axes.axhline(baseline, color=MUTED, lw=1, ls=(0, (4, 3)))
        axes.annotate(
            "baseline", (0.995, baseline), xycoords=("axes fraction", "data"), xytext=(0, 4),
            textcoords="offset points", ha="right", color=MUTED, fontsize=10,
        )  # fmt: skip
    if right / left < 150:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if right / left < 30 else (1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: seconds(v)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_xlabel("time to fit and predict a fold")
    axes.set_ylabel(score)
    return to_svg(figure)


def _label_places(
    names: Sequence[str], x: np.ndarray, y: np.ndarray, error: np.ndarray, width: float
) -> list[tuple[float, float, str]]:
    """Return (right, up, alignment) of each name beside its point, in points, so that names, points and bars are apart."""
    taken = [(px - 4, py - 4, px + 4, py + 4) for px, py in zip(x, y)]
    taken += [(px - 2, py - e, px + 2, py + e) for px, py, e in zip(x, y, error)]
    places: list[tuple[float, float, str]] = []
    for name, px, py in zip(names, x, y):
        length = 5.8 * len(name)
        choices: list[tuple[float, float, float, str]] = []
        for up in (0.0, 9.0, -9.0, 16.0, -16.0, 25.0, -25.0, 36.0, -36.0):
            for right, align in ((8.0, "left"), (-8.0, "right")):
                start = px + right - (length if align == "right" else 0.0)
                box = (start, py + up - 6, start + length, py + up + 6)
                hits = sum(b[0] < box[2] and box[0] < b[2] and b[1] < box[3] and box[1] < b[3] for b in taken)
                outside = max(0.0, -start) + max(0.0, start + length - width)
                outside += max(0.0, 6 - py - up) + max(0.0, py + up - 194)
                choices.append((100.0 * hits + 5.0 * outside + abs(up), right, up, align))
        _, right, up, align = min(choices)
        start = px + right - (length if align == "right" else 0.0)
        taken.append((start, py + up - 6, start + length, py + up + 6))
        places.append((right, up, align))
    return places


@_styled
def fold_dots(scores: Mapping[str, Sequence[float]], *, score: str, baseline: float | None = None) -> str:
    """Draw the score of every fold, one line a method, its mean as a bar; the order is the order given, from the top."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, axes = canvas(height=max(1.6, 0.42 * len(scores) + 0.9))
    places = range(len(scores))
    for place, (i, values) in zip(places, enumerate(scores.values())):
        color = SERIES[i % len(SERIES)]
        axes.plot(values, [place] * len(values), "o", ms=5.5, color=color, alpha=0.55, mew=0)
        axes.plot([np.mean(values)] * 2, [place - 0.28, place + 0.28], color=color, lw=2.2)
    if baseline is not None:
        axes.axvline(baseline, color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.set_yticks(list(places), list(scores))
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_xlabel(score)
    return to_svg(figure)


def thin(x: np.ndarray, y: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return at most about ``points`` points of a monotone curve, evenly spaced along it, ends kept."""
    if len(x) <= points:
        return x, y
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    chosen = np.unique(np.searchsorted(way, np.linspace(0, way[-1], points)))
    chosen = np.unique(np.concatenate([[0], np.minimum(chosen, len(x) - 1), [len(x) - 1]]))
    return x[chosen], y[chosen]


def roc_points(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates at every distinct score, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    hits, ranked = np.asarray(positive, bool)[order], score[order]
    last = np.concatenate([np.flatnonzero(np.diff(ranked)), [len(ranked) - 1]])  # ties step together
    true = np.concatenate([[0], np.cumsum(hits)[last]])
    false = np.concatenate([[0], np.cumsum(~hits)[last]])
    return false / max(false[-1], 1), true / max(true[-1], 1)


@_styled
def roc_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Draw ROC curves ``name -> (false positive rate, true positive rate)``."""
    figure, axes = canvas(height=4.4)
    for i, (name, (false, true)) in enumerate(curves.items()):
        axes.plot(*thin(false, true), color=SERIES[i % len(SERIES)], label=name)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.grid(True)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.legend(loc="lower right", labelcolor=INK, frameon=False)
    return to_svg(figure)


@_styled
def predicted_against_actual(actual: np.ndarray, predicted: np.ndarray, *, target: str) -> str:
    """Draw predictions against the truth: as points up to 3,000 rows, above that as a shaded count of rows."""
    figure, axes = canvas(height=4.4)
    low, high = _range(np.concatenate([actual, predicted]))
    _cloud(axes, actual, predicted, (low, high), (low, high))
    axes.plot([low, high], [low, high], color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.set_aspect("equal")
    _plain(axes)
    axes.set_xlabel(f"{_short(target)}, true")
    axes.set_ylabel("predicted out of fold")
    return to_svg(figure)


@_styled
def residuals(predicted: np.ndarray, residual: np.ndarray) -> str:
    """Draw residuals (truth − prediction) against predictions."""
    figure, axes = canvas(height=4.4)
    _cloud(axes, predicted, residual, _range(predicted), _range(residual))
    axes.axhline(0, color=MUTED, lw=1, ls=(0, (4, 3)))
    _plain(axes)
    axes.set_xlabel("predicted out of fold")
    axes.set_ylabel("residual: true − predicted")
    return to_svg(figure)


@_styled
def lines(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, x: str, y: str) -> str:
    """Draw curves ``name -> (x, y)``, for example a training and a validation loss."""
    figure, axes = canvas()
    for i, (name, (across, up)) in enumerate(series.items()):
        axes.plot(across, up, color=SERIES[i % len(SERIES)], label=name)
    axes.grid(True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if len(series) > 1:
        axes.legend(loc="best", labelcolor=INK, frameon=False)
    return to_svg(figure)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.03 * (high - low) or 0.5
    return low - margin, high + margin


def _short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _plain(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.grid(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(thousands))


def _cloud(axes: Any, x: np.ndarray, y: np.ndarray, across: tuple[float, float], up: tuple[float, float]) -> None:
    if len(x) <= 3000:
        axes.plot(x, y, "o", ms=3, mew=0, alpha=0.4, color=SERIES[0])
    else:
        # One square a bin, more opaque the more rows it holds; a drawing of every row would weigh megabytes.
        bins = 48
        counts, xe, ye = np.histogram2d(x, y, bins=bins, range=(across, up))
        level = np.ceil(8 * np.sqrt(counts / counts.max())).astype(int)
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        for shade in range(1, 9):
            i, j = np.nonzero(level == shade)
            if not len(i):
                continue
            corners = np.stack(
                [xe[[i, i + 1, i + 1, i, i]].T, ye[[j, j, j + 1, j + 1, j]].T], axis=2
            )  # (squares, 5, 2)
            codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(i))
            squares = Path(corners.reshape(-1, 2), codes)
            axes.add_patch(PathPatch(squares, facecolor=SERIES[0], edgecolor="none", alpha=0.1 + 0.11 * shade))
    axes.set_xlim(*across)
    axes.set_ylim(*up)
