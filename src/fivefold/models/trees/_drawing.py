"""Trees as outlines and as pictures: boxes joined by labeled lines, leaves side by side."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape


@dataclass
class Box:
    """A node: its title, the line below it, the label of the line from its parent, and its children."""

    title: str
    counts: str
    edge: str
    children: list[int]


def outline(boxes: list[Box]) -> str:
    """Return one line a node, indented by depth."""
    lines: list[str] = []
    stack = [(0, 0)]
    while stack:
        node, depth = stack.pop()
        box = boxes[node]
        edge = f"{box.edge}: " if box.edge else ""
        lines.append(f"{'|   ' * depth}{edge}{box.title} {box.counts}")
        stack += [(child, depth + 1) for child in reversed(box.children)]
    return "\n".join(lines) + "\n"


_LETTER, _HEIGHT, _GAP, _DROP = 7.2, 40.0, 14.0, 84.0  # any value: pixels of the picture


def draw(boxes: list[Box]) -> str:
    """Return the SVG of a tree; parents stand over the middle of their children, text and lines take the reader's colors."""
    widths = [max(len(box.title), len(box.counts), len(box.edge) + 2) * _LETTER + 16 for box in boxes]
    middle, depth = [0.0] * len(boxes), [0] * len(boxes)
    order, stack = [], [0]
    while stack:
        node = stack.pop()
        order.append(node)
        for child in reversed(boxes[node].children):
            depth[child] = depth[node] + 1
            stack.append(child)
    # A branch takes the room of its widest part, so nothing overlaps; a parent stands in the middle of its room.
    room = [0.0] * len(boxes)
    for node in reversed(order):
        room[node] = max(widths[node] + _GAP, sum(room[child] for child in boxes[node].children))
    start = {0: 0.0}
    for node in order:
        middle[node] = start[node] + room[node] / 2
        at = middle[node] - sum(room[child] for child in boxes[node].children) / 2
        for child in boxes[node].children:
            start[child] = at
            at += room[child]
    left, right = -_GAP, room[0] + _GAP
    height = max(depth) * _DROP + _HEIGHT + 2 * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {-_GAP:.0f} {right - left:.0f} {height:.0f}" '
        f'width="{right - left:.0f}" height="{height:.0f}" role="img" font-family="monospace" font-size="12" '
        'fill="currentColor" stroke="none" text-anchor="middle">'
    ]
    for node in order:
        box, x, y = boxes[node], middle[node], depth[node] * _DROP
        for child in box.children:
            cx, cy = middle[child], depth[child] * _DROP
            parts.append(
                f'<line x1="{x:.1f}" y1="{y + _HEIGHT:.1f}" x2="{cx:.1f}" y2="{cy:.1f}" stroke="currentColor" opacity="0.4"/>'
            )
            parts.append(f'<text x="{cx:.1f}" y="{cy - 8:.1f}">{escape(boxes[child].edge)}</text>')
        fill = "0.06" if box.children else "0.16"
        parts.append(
            f'<rect x="{x - widths[node] / 2:.1f}" y="{y:.1f}" width="{widths[node]:.1f}" height="{_HEIGHT:.0f}" rx="5" '
            f'fill-opacity="{fill}" stroke="currentColor" stroke-opacity="0.5"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.1f}">{escape(box.title)}</text>')
        parts.append(f'<text x="{x:.1f}" y="{y + 32:.1f}">{escape(box.counts)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
