"""Reports: one HTML file that loads nothing from elsewhere, needs no JavaScript and follows the reader's light or dark setting.

Whatever is handed over as text is escaped. Figures are inline SVG (colored by the page, see :mod:`fivefold.workbench.figures`)
or PNG images embedded as base64.
"""

from __future__ import annotations

import base64
import functools
import html
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

from fivefold.base.errors import InputError
from fivefold.base.files import write_text

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBER = re.compile(r"[+-]?[\d,.]+(e[+-]?\d+)?( ?(±.*|%|s|ms|min|h|×))?$")
_FORBIDDEN_TAGS = {"script", "foreignObject", "iframe", "a", "animate", "set", "handler", "image"}


@functools.cache
def _style() -> str:
    return resources.files("fivefold.workbench").joinpath("report.css").read_text(encoding="utf8")


def escape(value: Any) -> str:
    """Return text that stands for itself in HTML, attribute values included."""
    # Control characters other than blanks are not allowed in HTML, and a lone surrogate cannot be written as UTF-8.
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", str(value))
    return html.escape(text, quote=True)


def show(value: Any) -> str:
    """Return the text of a table cell: a dash for nothing, at most five significant digits for a float."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.5g}"
    return str(value)


def _checked_svg(markup: str) -> str:
    """Return the SVG without its prolog after making sure that it runs nothing and loads nothing."""
    body = markup[markup.index("<svg") :]
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise InputError(f"The SVG of a figure is not well-formed: {error}.") from error
    for node in root.iter():
        tag = str(node.tag).rpartition("}")[2]
        embedded = tag == "image" and any(
            name.rpartition("}")[2] == "href" and value.startswith("data:image/png;base64,")
            for name, value in node.attrib.items()
        )
        if tag in _FORBIDDEN_TAGS and not embedded:
            raise InputError(f"The SVG of a figure holds a <{tag}> element; a report takes plain drawings only.")
        for name, value in node.attrib.items():
            local = name.rpartition("}")[2].lower()
            outside = local == "href" and not value.startswith(("#", "data:image/png;base64,"))
            if local.startswith("on") or outside or re.search(r"url\(\s*['\"]?(?!#)", value):
                raise InputError(
                    f"The SVG of a figure holds {local}={value[:60]!r}; a report loads nothing from elsewhere."
                )
    return body


class Report:
    """A page built from top to bottom: title, verdict, then sections of text, tables, figures, facts and code.

    Parameters
    ----------
    title : str
        Heading of the page and title of the window.
    byline : str
        One quiet line under it: what, when, by which version.

    Notes
    -----
    Every method returns the report, so calls can be chained. All strings are escaped; only figures carry markup, and that is
    checked: no scripts, no links, nothing from elsewhere.
    """

    def __init__(self, title: str, byline: str = "") -> None:
        self.title = title
        self.byline = byline
        self._blocks: list[str] = []
        self._section = False
        self._details = False

    def _add(self, block: str) -> Self:
        self._blocks.append(block)
        return self

    def _close(self, section: bool) -> None:
        if self._details:
            self._blocks.append("</details>")
            self._details = False
        if section and self._section:
            self._blocks.append("</section>")
            self._section = False

    def verdict(self, text: str) -> Self:
        """Add the one sentence that must be read."""
        return self._add(f'<p class="verdict">{escape(text)}</p>')

    def section(self, title: str) -> Self:
        """Begin a section; it ends where the next begins."""
        self._close(section=True)
        self._section = True
        return self._add(f"<section><h2>{escape(title)}</h2>")

    def details(self, summary: str) -> Self:
        """Begin a part that is folded away until the reader opens it; it ends with the section or the next such part."""
        self._close(section=False)
        self._details = True
        return self._add(f"<details><summary>{escape(summary)}</summary>")

    def text(self, text: str, *, kind: str = "") -> Self:
        """Add a paragraph; ``kind`` is "", "note" (quiet) or "warning"."""
        if kind not in {"", "note", "warning"}:
            raise InputError(f"A paragraph is of kind '', 'note' or 'warning', not {kind!r}.")
        return self._add(f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>")

    def items(self, texts: Iterable[str]) -> Self:
        """Add a list of sentences."""
        return self._add("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>")

    def code(self, text: str) -> Self:
        """Add commands or a file as they are."""
        return self._add(f"<pre>{escape(text)}</pre>")

    def facts(self, facts: Mapping[str, Any]) -> Self:
        """Add names and values, one a line."""
        rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(show(value))}</dd>" for name, value in facts.items())
        return self._add(f"<dl>{rows}</dl>")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        caption: str = "",
        align: str = "",
        best: Collection[int] = (),
        quiet: Collection[int] = (),
        apart: Collection[int] = (),
    ) -> Self:
        """Add a table that scrolls in its own box where the page is narrow.

        Parameters
        ----------
        columns : names; what follows a newline in a name is set small under it
        rows : values, one sequence a row; None and NaN become a dash
        caption : str
        align : str of "l", "r", "c", "n" (left, never wrapped) and "w" (left, wide), one a column
            Without it columns of numbers stand to the right.
        best, quiet, apart : indices of rows set bold, set gray, or preceded by a rule
        """
        texts = [[show(value) for value in row] for row in rows]
        for number, row in enumerate(texts):
            if len(row) != len(columns):
                raise InputError(f"Row {number} of a table has {len(row)} values for {len(columns)} columns.")
        if not align:
            cells = [[row[j] for row in texts if row[j] != "–"] for j in range(len(columns))]
            align = "".join("r" if c and all(_NUMBER.match(t) for t in c) else "l" for c in cells)
        kinds = [{"l": "", "w": ' class="wide"'}.get(a, f' class="{a}"') for a in align.ljust(len(columns), "l")]
        head = "".join(
            f'<th scope="col"{"" if "wide" in kind else kind}>{_heading(name)}</th>'
            for name, kind in zip(columns, kinds)
        )
        body = []
        for number, row in enumerate(texts):
            marks = [name for name, chosen in (("best", best), ("quiet", quiet), ("apart", apart)) if number in chosen]
            mark = f' class="{" ".join(marks)}"' if marks else ""
            body.append(f"<tr{mark}>" + "".join(f"<td{k}>{escape(t)}</td>" for t, k in zip(row, kinds)) + "</tr>")
        title, label = _caption(caption)
        return self._add(
            f'{title}<div class="scroll" tabindex="0"><table{label}><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table></div>"
        )

    def matrix(
        self, labels: Sequence[str], counts: Sequence[Sequence[float]], *, rows: str, columns: str, caption: str = ""
    ) -> Self:
        """Add a square table of counts shaded by their share of the row, such as a confusion matrix."""
        return self._add(_matrix(labels, counts, rows, columns, caption))

    def figure(
        self, image: str | bytes | Path, alt: str, caption: str = "", *, dark: bytes | Path | None = None
    ) -> Self:
        """Add a figure.

        Parameters
        ----------
        image : SVG markup, the bytes of a PNG, or the path of a PNG or SVG file
        alt : str
            What the figure shows, for who cannot see it.
        caption : str
        dark : PNG, optional
            The version for the dark page; without it a PNG stands on a white plate there.
        """
        return self._add(_figure(image, alt, caption, dark))

    def figures(
        self, figures: Iterable[tuple[str | bytes | Path, str, str]], *, matrices: Iterable[Mapping[str, Any]] = ()
    ) -> Self:
        """Add several figures ``(image, alt, caption)``, side by side where the page is wide enough.

        ``matrices`` are arguments of :meth:`matrix` for tables that stand among the figures.
        """
        drawn = [_figure(*each) for each in figures] + [f"<div>{_matrix(**each)}</div>" for each in matrices]
        return self._add('<div class="figures">' + "".join(drawn) + "</div>")

    def html(self) -> str:
        """Return the page."""
        from fivefold import __version__

        self._close(section=True)
        byline = f'<p class="byline">{escape(self.byline)}</p>' if self.byline else ""
        blocks = "\n".join(self._blocks)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(self.title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n<main>\n"
            f"<header><h1>{escape(self.title)}</h1>{byline}</header>\n{blocks}\n</main>\n"
            f"<footer>Written by fivefold {escape(__version__)}.</footer>\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all, and return its path."""
        write_text(path, self.html())
        return Path(path)


def _heading(name: str) -> str:
    first, _, second = name.partition("\n")
    return escape(first) + (f"<br><small>{escape(second)}</small>" if second else "")


def _caption(text: str) -> tuple[str, str]:
    # Beside the box that scrolls, so that it wraps on a phone; the table carries it as its label.
    return (f'<p class="note">{escape(text)}</p>', f' aria-label="{escape(text)}"') if text else ("", "")


def _matrix(
    labels: Sequence[str], counts: Sequence[Sequence[float]], rows: str, columns: str, caption: str = ""
) -> str:
    head = "".join(f'<th scope="col" class="r">{escape(label)}</th>' for label in labels)
    body = []
    for label, row in zip(labels, counts):
        total = float(sum(row)) or 1.0
        cells = "".join(
            f'<td style="background:color-mix(in srgb, var(--s1) {55 * float(v) / total:.0f}%, transparent)">'
            f"{escape(show(v))}</td>"
            for v in row
        )
        body.append(f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>')
    title, label = _caption(caption)
    return (
        f'{title}<div class="scroll" tabindex="0"><table class="matrix"{label}><thead><tr><th scope="col">'
        f"<small>{escape(rows)} ↓ · {escape(columns)} →</small></th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _figure(image: str | bytes | Path, alt: str, caption: str = "", dark: bytes | Path | None = None) -> str:
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    if isinstance(image, Path):
        image = image.read_text(encoding="utf8") if image.suffix == ".svg" else image.read_bytes()
    if isinstance(image, str):
        if "<svg" not in image:
            raise InputError("A figure given as text must be SVG markup; give a path as pathlib.Path.")
        drawing = _checked_svg(image).replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
        return f"<figure>{drawing}{note}</figure>"
    source = _png(image)
    if dark is None:
        return f'<figure><img class="plain" src="{source}" alt="{escape(alt)}">{note}</figure>'
    other = _png(dark.read_bytes() if isinstance(dark, Path) else dark)
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{other}">'
        f'<img src="{source}" alt="{escape(alt)}"></picture>{note}</figure>'
    )


def _png(data: bytes) -> str:
    if not data.startswith(_PNG):
        raise InputError("A figure given as bytes must be a PNG image; these bytes do not begin like one.")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
