"""Pictures that several kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..context import Context


def project(x: np.ndarray) -> np.ndarray:
    """Return the first two principal coordinates of rows (n, d), signs fixed by the largest loading."""
    if x.shape[1] == 1:
        return np.column_stack([x[:, 0], np.zeros(len(x))])
    if x.shape[1] == 2:
        return x
    centered = x - x.mean(axis=0)
    axes = np.linalg.svd(centered, full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return centered @ axes.T


def scatter(
    context: Context,
    name: str,
    points: np.ndarray,
    labels: np.ndarray | None,
    caption: str,
    *,
    centers: np.ndarray | None = None,
) -> None:
    """Draw points (n, 2), colored by at most eight labels (or by nothing)."""
    from .. import figures

    figure, axes = figures.canvas(5.4, 4.4)
    groups: Sequence[object] = [] if labels is None else list(np.unique(labels.astype(str)))[:8]
    if labels is None or len(np.unique(labels.astype(str))) > 8:
        axes.plot(points[:, 0], points[:, 1], "o", ms=3, mew=0, alpha=0.5, color=figures.SERIES[0])
        groups = []
    for number, group in enumerate(groups):
        chosen = points[labels.astype(str) == group] if labels is not None else points
        axes.plot(
            chosen[:, 0], chosen[:, 1], "o", ms=3, mew=0, alpha=0.6, color=figures.SERIES[number], label=str(group)
        )
    if centers is not None:
        axes.plot(centers[:, 0], centers[:, 1], "P", ms=9, color=figures.INK)
    if groups:
        axes.legend(loc="best", labelcolor=figures.INK, markerscale=2)
    axes.grid(True)
    context.draw(name, figure, f"Scatter of {len(points)} points. {caption}", caption)


def curves(
    context: Context,
    name: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    caption: str = "",
    log: bool = False,
) -> None:
    """Draw named curves over a common axis."""
    from .. import figures

    figure, axes = figures.canvas()
    for number, (label, (across, up)) in enumerate(series.items()):
        axes.plot(across, up, color=figures.SERIES[number % len(figures.SERIES)], label=label)
    if log:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.grid(True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if len(series) > 1:
        axes.legend(loc="best", labelcolor=figures.INK)
    context.draw(name, figure, f"{y} against {x}: {', '.join(series)}.", caption)


def image_grid(context: Context, name: str, images: np.ndarray, caption: str, columns: int = 8) -> None:
    """Draw gray or color images (n, h, w), (n, 1, h, w) or (n, 3, h, w) in [0, 1] as one grid."""
    from .. import figures

    if images.ndim == 4:
        images = np.moveaxis(images, 1, -1)
        images = images[..., 0] if images.shape[-1] == 1 else images
    columns = min(columns, len(images))
    lines = -(-len(images) // columns)
    height, width = images.shape[1:3]
    grid = np.ones((lines * (height + 2), columns * (width + 2), *images.shape[3:]))
    for number, image in enumerate(np.clip(images, 0, 1)):
        top, left = (number // columns) * (height + 2), (number % columns) * (width + 2)
        grid[top : top + height, left : left + width] = image
    figure, axes = figures.canvas(0.62 * columns, 0.62 * lines)
    axes.imshow(grid, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    context.draw(name, figure, f"Grid of {len(images)} images. {caption}", caption)
