"""One drawing, two files: the SVG that follows the page's colors, and a PNG in the colors of a white page."""

from __future__ import annotations

import io
from typing import Any

from . import figures

_PALETTE = {
    figures.INK: "#1d1f23",
    figures.MUTED: "#62666d",
    figures.GRID: "#e3e4e6",
    figures.PAPER: "#ffffff",
    **dict(
        zip(
            figures.SERIES,
            ("#1f5fa8", "#c4541b", "#2f7d4f", "#8a4fa3", "#a67c00", "#a8324a", "#3a8c94", "#6b6f76"),
            strict=True,
        )
    ),
}
_GETTERS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def _plain(color: Any) -> Any:
    """Return the color of a white page for one or many placeholder colors, opacity kept."""
    import numpy as np
    from matplotlib.colors import to_hex, to_rgba, to_rgba_array

    table = np.asarray(to_rgba_array(color))
    new = [(*to_rgba(_PALETTE.get(to_hex(row[:3]), to_hex(row[:3])))[:3], float(row[3])) for row in table]
    return new if len(new) != 1 else new[0]


def to_png(figure: Any, dpi: int = 120) -> bytes:
    """Return the figure as a PNG on white; placeholder colors are replaced in the figure itself, so write the SVG first."""
    for artist in figure.findobj():
        for name in _GETTERS:
            getter, setter = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if getter is None or setter is None:
                continue
            value = getter()
            if isinstance(value, str) and value in ("none", "auto"):
                continue
            if value is not None and len(value) > 0:
                setter(_plain(value))
    figures.settle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
