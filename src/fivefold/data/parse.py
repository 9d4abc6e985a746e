"""Reading strings as numbers, booleans, dates and categories: whole columns at a time, null for what is missing.

A string that says "missing" becomes null; a string that cannot be read becomes null too, and callers compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from fivefold.base.errors import DataError

MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "<na>", "nat", "nil", "none", "?", "-", "--", ".", "\\n", "missing")
"""Spellings of a missing value, compared in lower case without surrounding blanks."""

PLAIN_MISSING = tuple(token for token in MISSING if token not in ("none", "missing", "nil", "."))
"""Those that mean missing in a column of categories too, where "none" can be a category of its own."""

TRUE_WORDS = {"true": "false", "yes": "no", "y": "n", "t": "f", "on": "off"}
"""Word for true -> word for false."""

_SPACE = " \u00a0\u202f\u2009'\u2019"  # blanks and apostrophes that group thousands
_MINUS = "\\-\u2212"
_CURRENCY = "$\u20ac\u00a3\u00a5"
_BEFORE = rf"^(?:[+{_MINUS}]?\s?[{_CURRENCY}]?\s?|[{_CURRENCY}]\s?[+{_MINUS}])"
_AFTER = rf"\s?[{_CURRENCY}%]?$"
_PLAIN = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+\-]?\d+)?"
_ENGLISH = rf"\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)?|\d{{1,3}}(?:[{_SPACE}]\d{{3}})+(?:\.\d*)?"
_CONTINENTAL = rf"\d{{1,3}}(?:\.\d{{3}})+(?:,\d*)?|\d{{1,3}}(?:[{_SPACE}]\d{{3}})+(?:,\d*)?|\d*,\d+"
_INFINITE = r"^[+\-]?(?i:inf(?:inity)?)$"

NUMBER_STYLES: dict[str, str] = {
    "plain": "digits with a decimal point",
    "english": "numbers such as 1,234.5, 12 % or $3 (comma groups thousands, point is decimal)",
    "continental": "numbers such as 1.234,5 (point groups thousands, comma is decimal)",
}
"""Ways of writing numbers, each with its description; tried in this order, one per column."""

GRAMMAR = {
    "english": rf"(?:{_BEFORE}(?:{_ENGLISH}|{_PLAIN}){_AFTER})|(?:^\((?:{_ENGLISH}|{_PLAIN})\)$)",
    "continental": rf"(?:{_BEFORE}(?:{_CONTINENTAL}|\d+){_AFTER})|(?:^\((?:{_CONTINENTAL}|\d+)\)$)",
}
"""Regular expressions of the styles; "english" includes "plain"."""

# Pattern of the date part -> formats; of two formats for one pattern the data decide, the first where both fit.
DATE_FORMATS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"^\d{4}-\d{1,2}-\d{1,2}$", ("%Y-%m-%d",)),
    (r"^\d{4}/\d{1,2}/\d{1,2}$", ("%Y/%m/%d",)),
    (r"^\d{4}\.\d{1,2}\.\d{1,2}$", ("%Y.%m.%d",)),
    (r"^\d{1,2}/\d{1,2}/\d{4}$", ("%m/%d/%Y", "%d/%m/%Y")),
    (r"^\d{1,2}/\d{1,2}/\d{2}$", ("%m/%d/%y", "%d/%m/%y")),
    (r"^\d{1,2}\.\d{1,2}\.\d{4}$", ("%d.%m.%Y", "%m.%d.%Y")),
    (r"^\d{1,2}\.\d{1,2}\.\d{2}$", ("%d.%m.%y",)),
    (r"^\d{1,2}-\d{1,2}-\d{4}$", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"^\d{1,2}-[A-Za-z]{3}-\d{4}$", ("%d-%b-%Y",)),
    (r"^\d{1,2}-[A-Za-z]{3}-\d{2}$", ("%d-%b-%y",)),
    (r"^\d{1,2} [A-Za-z]{3} \d{4}$", ("%d %b %Y",)),
    (r"^\d{1,2} [A-Za-z]{4,9} \d{4}$", ("%d %B %Y",)),
    (r"^[A-Za-z]{3} \d{1,2}, \d{4}$", ("%b %d, %Y",)),
    (r"^[A-Za-z]{4,9} \d{1,2}, \d{4}$", ("%B %d, %Y",)),
    (r"^(?:19|20)\d{6}$", ("%Y%m%d",)),
)
_PATTERN_OF = {fmt: pattern for pattern, formats in DATE_FORMATS for fmt in formats}
_CLOCK = r"^(?P<date>.*?)(?:[ T](?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}(?:\.\d+)?))?\s?(?P<z>Z|[+-]\d{2}:?\d{2})?)?$"


def first_row(mask: pl.Series) -> int:
    """Return the index of the first true value."""
    return int(mask.arg_max() or 0)


def strip_missing(values: pl.Series, tokens: Sequence[str] = MISSING) -> pl.Series:
    """Return strings without surrounding blanks, null where they say that the value is missing."""
    bare = values.str.strip_chars()
    absent = (bare.str.len_bytes() <= 8) & bare.str.to_lowercase().is_in(list(tokens))
    if not absent.any():
        return bare
    return pl.select(pl.when(~absent).then(bare)).to_series().alias(values.name)


def as_text(values: pl.Series) -> pl.Series:
    """Return the values as strings, null where missing."""
    if values.dtype == pl.String:
        return strip_missing(values, PLAIN_MISSING)
    if values.dtype.is_float():
        values = values.fill_nan(None)
    refuse_nested(values)
    return values.cast(pl.String)


def refuse_nested(values: pl.Series) -> None:
    """Refuse a column of lists or records where one value a cell is wanted."""
    if values.dtype.is_nested():
        raise DataError(
            f"Column {values.name!r} holds lists or records where one value a cell is wanted; lists of names are features of "
            "the kind list, and nothing else."
        )


def as_category(values: pl.Series) -> pl.Series:
    """Return category names: strings without surrounding blanks; 2139 and 2139.0 are the same name ``"2139"``."""
    if values.dtype.is_float():
        clean = values.fill_nan(None)
        whole = clean.cast(pl.Int64, strict=False)
        if clean.drop_nulls().is_finite().all() and (whole.cast(pl.Float64) == clean).all():
            return whole.cast(pl.String)
    return as_text(values)


SEPARATOR = "|"
"""Between the members of a list that comes as text."""


def names_of_floats(v: pl.Expr) -> pl.Expr:
    """Return floats as names, 3.0 as "3", null for NaN; by value, not by column as :func:`as_category`: 3 beside a NaN too."""
    whole = (v == v.floor()) & (v.abs() < 2.0**53)
    plain = v.cast(pl.Int64, strict=False).cast(pl.String)
    return pl.when(whole).then(plain).otherwise(v.fill_nan(None).cast(pl.String))


def names_in_lists(values: pl.Series) -> pl.Series:
    """Return lists, of one length or any, with their members as names: 3 and 3.0 are "3"; null stays null."""
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if values.dtype.inner.is_float():  # type: ignore[attr-defined]
        return values.list.eval(names_of_floats(pl.element()))
    return values.cast(pl.List(pl.String))


def as_lists(values: pl.Series) -> pl.Series:
    """Return lists of names, null where missing: lists as they are, text such as ``"a|b"`` cut at ``|``; 3 and 3.0 are "3".

    Members that are missing or empty are dropped, so that a list may be empty.
    """
    listed = isinstance(values.dtype, (pl.List, pl.Array))
    texts = names_in_lists(values) if listed else as_category(values).str.split(SEPARATOR)
    element = pl.element().str.strip_chars()
    return texts.list.eval(element.filter(element != ""))


def as_number(values: pl.Series, style: str = "plain") -> pl.Series:
    """Return float64; strings are read in ``style`` (a key of :data:`NUMBER_STYLES`), "12 %" as 0.12."""
    if values.dtype == pl.Float64 and not np.isnan(values.to_numpy()).any():
        return values  # nothing to do, and quickly said for a table of thousands of columns
    if values.dtype == pl.Boolean or values.dtype.is_numeric():
        result = values.cast(pl.Float64)
        return result.fill_nan(None) if values.dtype.is_float() else result
    if values.dtype == pl.Duration:
        return values.dt.total_microseconds().cast(pl.Float64) / 1e6
    if values.dtype == pl.Null:
        return values.cast(pl.Float64)
    if values.dtype.is_temporal():
        return values.to_physical().cast(pl.Float64)
    bare = strip_missing(values if values.dtype == pl.String else values.cast(pl.String))
    plain = bare.cast(pl.Float64, strict=False).fill_nan(None)
    if style != "continental" and plain.null_count() == bare.null_count():
        return plain
    grammar = GRAMMAR["continental" if style == "continental" else "english"]
    read = _read_numbers(bare, style).fill_nan(None)
    fits = bare.str.contains(grammar) | bare.str.contains(_INFINITE)
    return pl.select(pl.when(fits).then(read)).to_series().alias(values.name)


def _read_numbers(bare: pl.Series, style: str) -> pl.Series:
    percent = bare.str.ends_with("%")
    negative = bare.str.starts_with("(")
    drop = rf"[{_SPACE}{_CURRENCY}%()" + ("." if style == "continental" else ",") + "]"
    digits = bare.str.replace_all(drop, "").str.replace_all("\u2212", "-", literal=True)
    if style == "continental":
        digits = digits.str.replace_all(",", ".", literal=True)
    number = digits.cast(pl.Float64, strict=False)
    frame = pl.DataFrame({"n": number, "p": percent, "m": negative})
    signed = pl.when("m").then(-pl.col("n")).otherwise(pl.col("n"))
    return frame.select(pl.when("p").then(signed / 100).otherwise(signed)).to_series()


def number_style(values: pl.Series) -> str | None:
    """Return the first style in which every string of ``values`` (missing already null) is a number, or None."""
    if values.cast(pl.Float64, strict=False).null_count() == values.null_count():
        return "plain"
    for style in ("english", "continental"):
        if (values.str.contains(GRAMMAR[style]) | values.str.contains(_INFINITE)).all():
            return style
    return None


def as_boolean(values: pl.Series) -> pl.Series:
    """Return booleans: 0 and 1, true/false, yes/no, y/n, t/f, on/off in any case; null for the rest."""
    if values.dtype == pl.Boolean:
        return values
    if values.dtype.is_numeric():
        number = values.cast(pl.Float64)
        frame = pl.DataFrame({"n": number})
        return frame.select(pl.when(pl.col("n").is_in([0.0, 1.0])).then(pl.col("n") == 1.0)).to_series()
    words = {**dict.fromkeys(TRUE_WORDS, True), **dict.fromkeys(TRUE_WORDS.values(), False)}
    words |= {"1": True, "1.0": True, "0": False, "0.0": False}
    bare = strip_missing(values.cast(pl.String), [t for t in MISSING if t not in words]).str.to_lowercase()
    return bare.replace_strict(words, default=None, return_dtype=pl.Boolean)


def is_boolean_pair(names: Sequence[str]) -> bool:
    """Whether the distinct strings ``names`` are one word for true and its opposite."""
    form = {name.strip().lower() for name in names}
    return any(form == {yes, no} for yes, no in TRUE_WORDS.items())


def date_formats(values: pl.Series) -> tuple[str, ...]:
    """Return the date formats that together read every string of ``values`` (missing already null), or ()."""
    dates = values.str.extract(_CLOCK, 1).drop_nulls().unique(maintain_order=True)
    if dates.is_empty():
        return ()
    chosen: list[str] = []
    rest = dates
    for pattern, formats in DATE_FORMATS:
        fits = rest.str.contains(pattern)
        if not fits.any():
            continue
        matching = rest.filter(fits)
        good = [fmt for fmt in formats if matching.str.to_date(fmt, strict=False).null_count() == 0]
        if not good:
            return ()
        chosen.append(good[0])
        rest = rest.filter(~fits)
        if rest.is_empty():
            return tuple(chosen)
    return ()


def ambiguous_dates(values: pl.Series, formats: Sequence[str]) -> bool:
    """Whether day and month could be exchanged in every value that one of ``formats`` reads."""
    dates = values.str.extract(_CLOCK, 1).drop_nulls().unique()
    for pattern, pair in DATE_FORMATS:
        if len(pair) == 2 and pair[0] in formats:
            matching = dates.filter(dates.str.contains(pattern))
            if matching.str.to_date(pair[1], strict=False).null_count() == 0:
                return True
    return False


def as_datetime(values: pl.Series, formats: Sequence[str] = ()) -> pl.Series:
    """Return naive datetimes in microseconds, in UTC where a string carries an offset.

    Strings are read in ``formats``; without any, the formats are found in the values.
    """
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us"))
    if values.dtype == pl.Datetime:
        zone = getattr(values.dtype, "time_zone", None)
        naive = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else values
        return naive.cast(pl.Datetime("us"))
    bare = strip_missing(values.cast(pl.String))
    formats = tuple(formats) or date_formats(bare)
    if not formats:
        return pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))
    parts = bare.str.extract_groups(_CLOCK).struct.unnest()
    date = parts["date"]
    found = [
        pl.when(date.str.contains(_PATTERN_OF.get(fmt, ".")))
        .then(date.str.to_date(fmt, strict=False))
        .otherwise(None)
        .alias(str(i))
        for i, fmt in enumerate(formats)
    ]
    day = pl.select(pl.coalesce(found)).to_series()
    clock = parts.select(
        h=pl.col("h").cast(pl.Int64).fill_null(0),
        m=pl.col("m").cast(pl.Int64).fill_null(0),
        us=(pl.col("s").cast(pl.Float64).fill_null(0.0) * 1e6).round().cast(pl.Int64),
        off=pl.when(pl.col("z").str.starts_with("-")).then(-1).otherwise(1)
        * (
            pl.col("z").str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0) * 60
            + pl.col("z").str.slice(-2).cast(pl.Int64, strict=False).fill_null(0)
        ),
    )
    good = (clock["h"] < 24) & (clock["m"] < 60) & (clock["us"] < 61_000_000)
    seconds = (clock["h"] * 3600 + (clock["m"] - clock["off"]) * 60) * 1_000_000 + clock["us"]
    result = day.cast(pl.Datetime("us")) + seconds.cast(pl.Duration("us"))
    return pl.select(pl.when(good).then(result)).to_series().alias(values.name)
