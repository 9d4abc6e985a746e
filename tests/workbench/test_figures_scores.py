"""Figures of scores: what they show, that names stay text, and what they refuse."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest

from fivefold.base.errors import InputError
from fivefold.workbench.figures_scores import (
    calibration_slopes,
    group_intervals,
    importance_bars,
    learning_curve,
    pr_curves,
    reliability_curves,
)

NAMES = ["<script>alert(1)</script>", "_under", "$x$ & co", 'a"b--><b>', "two\nlines\x00\u202e"]
SHOWN = ["<script>alert(1)</script>", "_under", "$x$ & co", 'a"b--><b>', "two lines"]
CURVE = (np.array([0.2, 0.6, 1.0]), np.array([1.0, 0.7, 0.3]))
ONES = [0.1] * 5
FIGURES: dict[str, Callable[[], str]] = {
    "pr": lambda: pr_curves(dict.fromkeys(NAMES, CURVE), 0.3),
    "reliability": lambda: reliability_curves(dict.fromkeys(NAMES, CURVE)),
    "importance": lambda: importance_bars(NAMES, ONES, ONES),
    "group": lambda: group_intervals(NAMES, ONES, [-0.1] * 5, [0.3] * 5, score="rmse", best="b"),
    "slopes": lambda: calibration_slopes(NAMES, [0.9] * 5, ONES),
}


def texts(svg: str) -> list[str]:
    """Return the texts of the drawing; a drawing that is not well-formed XML fails here."""
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("figure", list(FIGURES))
def test_names_stay_text(figure: str) -> None:
    svg = FIGURES[figure]()
    found = texts(svg)
    assert [name for name in SHOWN if name not in found] == []
    assert "<script" not in svg and "<b>" not in svg and "<!--" not in svg
    allowed = {"svg", "g", "path", "defs", "use", "text", "tspan", "clipPath", "rect"}
    assert {node.tag.split("}")[1] for node in ET.fromstring(svg).iter()} <= allowed


@pytest.mark.parametrize(
    "draw",
    [
        lambda s: learning_curve([10, 100], [0.1, 0.2], [0.1, 0.1], score=s),
        lambda s: importance_bars(["a"], [0.1], [0.0], score=s),
        lambda s: group_intervals(["a"], [0.1], [0.0], [0.2], score="rmse", best=s),
        lambda s: group_intervals(["a"], [0.1], [0.0], [0.2], score=s, best="a"),
    ],
)
def test_labels_stay_text(draw: Callable[[str], str]) -> None:
    for name in SHOWN:
        svg = draw(name)
        assert any(name in text for text in texts(svg))
        assert "<script" not in svg


def test_colors_are_variables_of_the_page() -> None:
    drawings = [draw() for draw in FIGURES.values()] + [learning_curve([1, 9], [0, 1], [0, 0], score="r2")]
    for svg in drawings:
        assert "var(--s1)" in svg and "var(--ink)" in svg and "var(--muted)" in svg
        assert re.findall(r"#[0-9a-f]{6}\b", svg) == []  # a color of its own would not follow the page


def test_drawings_are_reproducible() -> None:
    for draw in FIGURES.values():
        assert draw() == draw()


def test_pr_takes_either_order_and_thins_long_curves() -> None:
    recall, precision = np.linspace(0.001, 1, 50_000), np.linspace(1, 0.1, 50_000)
    svg = pr_curves({"a": (recall, precision)}, 0.1)
    assert svg == pr_curves({"a": (recall[::-1], precision[::-1])}, 0.1)
    assert len(svg) < 40_000
    assert "prevalence 0.1" in texts(svg)


def test_pr_steps_hold_back_to_the_recall_before() -> None:
    svg = pr_curves({"a": (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.8, 0.4]))}, 0.2)
    corners = re.search(r'<g id="line2d_\d+">\s*<path d="([^"]*)" clip-path[^>]*stroke: var\(--s1\)', svg)
    assert corners is not None
    points = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", corners.group(1)), float)
    # Level from recall 0 to 0.5 at 0.8, down at 0.5, level to 1 at 0.4; the drawing keeps hundredths of a point.
    at = (points - points[0]) / (points[-1] - points[0])
    turns = at[np.concatenate([[True], np.abs(np.diff(at, axis=0)).max(axis=1) > 1e-3])]
    np.testing.assert_allclose(turns, [[0, 0], [0.5, 0], [0.5, 1], [1, 1]], atol=1e-3)


def test_only_the_fifteen_largest_bars_from_the_top() -> None:
    names = [f"column {i}" for i in range(40)]
    shown = [t for t in texts(importance_bars(names, list(range(40)), [0.5] * 40, score="r2")) if t.startswith("col")]
    assert shown == [f"column {i}" for i in range(39, 24, -1)]


def test_long_names_are_shortened() -> None:
    found = texts(importance_bars(["x" * 200], [1.0], [float("nan")]))
    assert "x" * 29 + "…" in found
    assert "x" * 27 + "…" in texts(reliability_curves({"x" * 200: CURVE}))


def test_learning_curve_labels_rows_and_skips_crowded_ones() -> None:
    found = texts(learning_curve([8000, 500, 510, 1000], [0.8, 0.6, 0.6, 0.7], [0.1, 0.1, 0.1, np.nan], score="r2"))
    assert {"500", "1,000", "8,000"} & set(found) >= {"1,000", "8,000"}
    assert ("500" in found) != ("510" in found)
    assert learning_curve([10], [0.5], [np.nan], score="r2")


def test_a_far_method_is_an_arrow_with_its_value() -> None:
    means, lows, highs = [0, -0.01, -0.02, -5.0], [0, -0.02, -0.03, -5.1], [0, 0.0, -0.01, -4.9]
    found = texts(group_intervals(list("abcd"), means, lows, highs, score="r2", best="a"))
    assert "-5" in found
    ticks = [float(t.replace("\N{MINUS SIGN}", "-")) for t in found if re.fullmatch(r"[-\N{MINUS SIGN}]?0\.\d+", t)]
    assert ticks and min(ticks) > -0.1
    near = texts(group_intervals(list("abc"), [0, -1, -2], [0, -2, -3], [0, 0, -1], score="r2", best="a"))
    assert "-2" not in near
    assert min(float(t) for t in near if re.fullmatch(r"-\d\.\d", t)) <= -2.4


def test_unknown_intervals_and_slopes() -> None:
    nan = float("nan")
    assert texts(group_intervals(["a", "b"], [0, -0.1], [nan, nan], [nan, nan], score="r2", best="a"))
    assert "b" not in texts(calibration_slopes(["a", "b"], [0.8, nan], [0.1, nan]))
    assert group_intervals(["a"], [0], [0], [0], score="r2", best="a")


def test_more_methods_than_colors_differ_by_line() -> None:
    svg = reliability_curves({f"m{i}": CURVE for i in range(10)})
    lines = re.findall(r"style=\"(fill: none; stroke[^\"]*var\(--s1\)[^\"]*)\"", svg)
    assert len({"dasharray" in line for line in lines}) == 2


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: pr_curves({}, 0.5), "at least one curve"),
        (lambda: reliability_curves({}), "at least one curve"),
        (lambda: pr_curves({"a": (np.ones(2), np.ones(3))}, 0.5), "one length >= 1; got (2,) and (3,)"),
        (lambda: importance_bars(["a"], [1.0, 2.0], [0.0, 0.0]), "got lengths [2, 2, 1]"),
        (lambda: group_intervals([], [], [], [], score="r2", best="a"), "got lengths [0, 0, 0, 0]"),
        (lambda: learning_curve([0, 1], [1, 1], [0, 0], score="r2"), "above 0; got 0"),
        (lambda: calibration_slopes(["a"], [float("nan")], [float("nan")]), "no method has a finite"),
    ],
)
def test_refusals(draw: Callable[[], str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        draw()
    assert words in str(caught.value)
