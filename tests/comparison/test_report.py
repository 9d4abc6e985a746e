"""The report: everything escaped, nothing loaded from elsewhere, figures checked, tables aligned."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fivefold.base.errors import InputError
from fivefold.workbench import figures
from fivefold.workbench.report import Report, escape, show

NASTY = "<script>alert(1)</script>\"'&"


class Tags(HTMLParser):
    """Collects tags and attributes; void elements never close."""

    VOID = {"meta", "br", "img", "source", "path", "use", "rect", "g"}

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "img", "source"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def parse(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert not tags.open, f"never closed: {tags.open}"
    return tags


def full_page() -> str:
    page = Report(NASTY, NASTY).verdict(NASTY).section(NASTY).text(NASTY).text(NASTY, kind="warning").items([NASTY])
    page.table([NASTY, f"b\n{NASTY}"], [[NASTY, 1.5]], caption=NASTY).matrix(
        [NASTY, "b"], [[3, 1], [0, 2]], rows=NASTY, columns=NASTY, caption=NASTY
    )
    page.details(NASTY).code(NASTY).facts({NASTY: NASTY}).details("second").text("x")
    svg = figures.lines({NASTY: ([1, 2], [1, 2]), "$x$ 値": ([1, 2], [2, 1])}, x=NASTY, y=NASTY)
    page.section("figures").figure(svg, NASTY, NASTY).figures([(svg, NASTY, NASTY)])
    return page.html()


def test_every_string_is_escaped_and_every_tag_closed() -> None:
    page = full_page()
    tags = parse(page)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 20
    assert all(tag != "script" for tag, _ in tags.tags)


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = full_page()
    for tag, attributes in parse(page).tags:
        assert tag not in {"link", "iframe", "script", "object", "embed", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset"}:
                assert (value or "").startswith(("data:image/png;base64,", "#"))
    assert "@import" not in page
    assert not re.search(r"url\((?!['\"]?#)", page)


def test_light_and_dark_and_phone() -> None:
    page = Report("t").html()
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "color-scheme: light dark" in page


def test_control_characters_and_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    target = Report("a\x00b\ud800c").write(tmp_path / "report.html")
    assert "a\ufffdb\ufffdc" in target.read_text(encoding="utf8")


def test_details_end_with_their_section() -> None:
    parse(Report("t").section("a").details("d").text("x").section("b").text("y").html())


def test_cells() -> None:
    assert [show(v) for v in (None, float("nan"), True, 20640, 0.123456789, 1234567.8, "x")] == [
        "–", "–", "yes", "20,640", "0.12346", "1,234,568", "x",
    ]  # fmt: skip
    assert escape('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"


def test_columns_of_numbers_stand_to_the_right() -> None:
    page = Report("t").table(["name", "value"], [["a", 1.0], ["b", None]]).html()
    assert '<td class="r">1</td>' in page
    assert "<td>a</td>" in page


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="Row 1 of a table has 1 values for 2 columns"):
        Report("t").table(["a", "b"], [[1, 2], [3]])


@pytest.mark.parametrize(
    ("markup", "what"),
    [
        ("<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", "<script> element"),
        ("<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "onload="),
        ("<svg xmlns='http://www.w3.org/2000/svg'><use href='http://x/y'/></svg>", "loads nothing from elsewhere"),
        ("<svg xmlns='http://www.w3.org/2000/svg'><rect style='fill:url(http://x)'/></svg>", "loads nothing"),
        ("<svg><g></svg>", "not well-formed"),
    ],
)
def test_a_figure_that_does_more_than_draw_is_refused(markup: str, what: str) -> None:
    with pytest.raises(InputError, match=re.escape(what)):
        Report("t").figure(markup, "alt")


def test_png_light_and_dark() -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 8
    page = Report("t").figure(png, 'a "b"', dark=png).figure(png, "plain").html()
    assert '<source media="(prefers-color-scheme: dark)"' in page
    assert 'alt="a &quot;b&quot;"' in page
    with pytest.raises(InputError, match="must be a PNG"):
        Report("t").figure(b"GIF89a", "alt")
    with pytest.raises(InputError, match="must be SVG markup"):
        Report("t").figure("figures/a.png", "alt")


def test_figures_take_their_colors_from_the_page() -> None:
    svg = figures.score_against_time(
        ["a", "b"], [0.01, 2.0], [0.9912, 0.9934], [0.01, 0.02], score="AUC", baseline=0.98
    )
    for placeholder in (figures.INK, figures.MUTED, figures.GRID, *figures.SERIES):
        assert placeholder not in svg
    assert "var(--ink)" in svg
    assert "var(--s1)" in svg
    assert "<style" not in svg
    assert "0.995" in svg, "labels must keep their digits"


def test_many_rows_make_a_small_figure() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200_000)
    svg = figures.predicted_against_actual(truth, truth + random.normal(size=200_000), target="y")
    assert len(svg) < 200_000


def test_a_thinned_curve_keeps_its_ends() -> None:
    x = np.linspace(0, 1, 5000)
    across, up = figures.thin(x, np.sqrt(x))
    assert len(across) <= 202
    assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)


def test_durations() -> None:
    assert [figures.seconds(v) for v in (0.0004, 0.031, 0.25, 2.4, 31, 600)] == [
        "0.4 ms", "31 ms", "0.25 s", "2.4 s", "31 s", "10 min",
    ]  # fmt: skip
