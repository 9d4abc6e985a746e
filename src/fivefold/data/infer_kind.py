"""What a column is: the decision about one column's kind, with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

import polars as pl

from fivefold.base.errors import DataError

from .parse import (
    GRAMMAR,
    NUMBER_STYLES,
    PLAIN_MISSING,
    ambiguous_dates,
    as_boolean,
    as_category,
    as_datetime,
    as_lists,
    as_number,
    date_formats,
    is_boolean_pair,
    number_style,
    strip_missing,
)

_numeral = re.compile("|".join(GRAMMAR.values()))

ID_WORDS = frozenset(
    {"id", "ids", "uuid", "guid", "rownames", "rowname", "rownum", "rowid", "index", "idx", "key", "pk"}
)
CODE_WORDS = frozenset(
    {
        "code",
        "codes",
        "zip",
        "zipcode",
        "postcode",
        "postal",
        "type",
        "class",
        "category",
        "cat",
        "kind",
        "region",
        "sector",
        "status",
        "store",
        "shop",
        "dept",
        "department",
        "county",
        "country",
        "state",
        "brand",
        "sku",
        "naics",
        "sic",
        "fips",
        "cluster",
        "segment",
        "zone",
        "route",
        "district",
        "branch",
        "gender",
        "sex",
        "race",
    }
)
SAMPLE = 1000  # rows looked at before a whole column is parsed
FEW = 20  # rows below which uniqueness says nothing


@dataclass(frozen=True)
class Facts:
    """What a first pass over a column counted; it spares most columns the closer look.

    Parameters
    ----------
    rows, missing : int
        Values, and those that are null or NaN.
    distinct : int or None
        Distinct values, counted for strings only.
    low, high : float or None
        Smallest and largest number.
    infinite : int
        Infinite numbers.
    whole : bool
        Whether the first numbers are integers.
    clean : bool
        Whether no string needs stripping or says that it is missing.
    digits : bool
        Whether any string holds a digit.
    """

    rows: int
    missing: int
    distinct: int | None = None
    low: float | None = None
    high: float | None = None
    infinite: int = 0
    whole: bool = True
    clean: bool = False
    digits: bool = True

    @property
    def present(self) -> int:
        """Return the number of values that are there."""
        return self.rows - self.missing


@dataclass(frozen=True)
class Decision:
    """The kind of a column, why, and its parsed values."""

    kind: str
    reason: str
    values: pl.Series
    how: tuple[str, ...] = ()
    distinct: int | None = None


def words_of(name: str) -> set[str]:
    """Return the lower-case words of a column name: ``"userId"`` and ``"user_id"`` -> {"user", "id"}."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return {word for word in re.split(r"[^A-Za-z0-9]+", split.lower()) if word}


def decide(values: pl.Series, facts: Facts, *, position: int, columns: int) -> Decision:
    """Return the kind of a column.

    Parameters
    ----------
    values : polars.Series
    facts : Facts
        Counts from the first pass.
    position, columns : int
        Where the column stands and how many there are; a first column that only counts rows is an id.
    """
    dtype = values.dtype
    if facts.present == 0:
        return Decision("constant", _all_missing(facts), values, distinct=0)
    if dtype == pl.Boolean:
        if facts.low == facts.high and not facts.missing:
            return Decision("constant", "always the same truth value", values, distinct=1)
        return Decision("boolean", "true or false", values, distinct=2)
    if dtype.is_temporal():
        if dtype in (pl.Duration, pl.Time):
            return Decision("numeric", "a time span, in seconds", as_number(values))
        if values.n_unique() == 1:
            return Decision("constant", "always the same date", as_datetime(values), distinct=1)
        return Decision("datetime", "dates and times", as_datetime(values))
    if dtype.is_numeric():
        return decide_number(values, facts, position=position, columns=columns)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return decide_string(values, facts, position=position, columns=columns)
    if isinstance(dtype, (pl.List, pl.Array)) and _holds_names(values):
        return _decide_lists(values)
    raise DataError(
        f"Column {values.name!r} holds {_what(dtype)}; a table needs one number, word or date a cell. "
        f"Spread it over columns, or leave it out with --drop {values.name}."
    )


def _what(dtype: pl.DataType) -> str:
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = dtype.inner
        return (
            "lists of numbers with decimals" if isinstance(inner, pl.DataType) and inner.is_float() else "nested lists"
        )
    return {"Struct": "nested records", "Binary": "raw bytes", "Object": "Python objects"}.get(
        dtype.base_type().__name__, str(dtype)
    )


def _holds_names(values: pl.Series) -> bool:
    """Whether the members of lists can be names: words, truth values or whole numbers."""
    inner = values.dtype.inner  # type: ignore[attr-defined]
    if inner.is_float():
        return _whole(values.explode().drop_nulls())
    return inner.is_integer() or inner in (pl.String, pl.Categorical, pl.Enum, pl.Boolean)


def _decide_lists(values: pl.Series) -> Decision:
    lists = as_lists(values)
    distinct = lists.n_unique() - bool(lists.null_count())
    if distinct == 1 and not lists.null_count():
        return Decision("constant", "always the same list", lists, distinct=1)
    mean = cast(float, lists.list.len().mean() or 0.0)
    return Decision("list", f"lists of {mean:.3g} members on average", lists, distinct=distinct)


def _all_missing(facts: Facts) -> str:
    return f"every one of the {facts.rows:,} values is missing; it cannot be used"


def _whole(values: pl.Series) -> bool:
    """Whether every number is an integer; a sample decides first."""
    if values.dtype.is_integer():
        return True
    for part in (values.head(SAMPLE), values):
        clean = part.fill_nan(None).drop_nulls() if part.dtype.is_float() else part.drop_nulls().cast(pl.Float64)
        if not ((clean == clean.floor()) & (clean.abs() < 2**53)).all():
            return False
    return True


def decide_number(values: pl.Series, facts: Facts, *, position: int, columns: int, origin: str = "") -> Decision:
    """Return the kind of a column of numbers; ``origin`` tells how they were written where that needs telling."""
    number = values if values.dtype == pl.Float64 and not facts.missing else as_number(values)
    said = origin or "numbers"
    if facts.low == facts.high and facts.infinite == 0:
        value = _short(facts.low)
        if not facts.missing:
            return Decision("constant", f"always {value}", number, distinct=1)
        return Decision("categorical", f"{value} or missing; whether it is there may tell", as_category(values), (), 1)
    if facts.infinite or not facts.whole or not _whole(values):
        return Decision("numeric", said, number)
    distinct = facts.distinct if facts.distinct is not None else number.drop_nulls().n_unique()
    low, high = facts.low or 0.0, facts.high or 0.0
    if distinct == 2 and low == 0 and high == 1:
        return Decision("boolean", "only 0 and 1", as_boolean(number), distinct=2)
    words = words_of(values.name)
    count = facts.present
    counts_rows = distinct == count == facts.rows and high - low + 1 == count and low in (0, 1)
    named = words & ID_WORDS or not words or values.name.lower().startswith("unnamed")
    if named and count >= FEW // 2 and distinct >= 0.95 * count and columns > 1:
        return Decision("id", "named like an identifier, and nearly every value differs", number, distinct=distinct)
    if (
        counts_rows
        and position == 0
        and columns > 2
        and count >= 2 * FEW
        and bool((number.diff().drop_nulls() == 1).all())
    ):
        return Decision("id", "the first column, and it only counts the rows", number, distinct=distinct)
    if words & ID_WORDS and count >= FEW:
        why = f"named like an identifier, but only {distinct:,} values in {count:,} rows: groups of rows"
        return Decision("categorical", why, as_category(values), (), distinct)
    if words & CODE_WORDS and low >= 0 and count >= FEW and distinct <= 0.5 * count:
        why = f"integers named like a code, with {distinct:,} distinct values"
        return Decision("categorical", why, as_category(values), (), distinct)
    if count >= 100 and distinct <= 0.05 * count and low >= 100 and _fixed_width_codes(number, distinct, low, high):
        why = f"integers of one width with gaps between the {distinct:,} distinct values, like codes"
        return Decision("categorical", why, as_category(values), (), distinct)
    why = f"{origin + ', ' if origin else ''}integers from {_short(low)} to {_short(high)}"
    return Decision("numeric", why, number, distinct=distinct)


def _fixed_width_codes(number: pl.Series, distinct: int, low: float, high: float) -> bool:
    """Whether integers look like 101, 205, 733: one width, large gaps, no round step, no years."""
    if len(str(int(low))) != len(str(int(high))) or (low >= 1800 and high <= 2100) or high - low + 1 < 3 * distinct:
        return False
    values = number.drop_nulls().unique().cast(pl.Int64)
    last = (values % 10).n_unique()
    return last > 2  # prices such as 199, 299 and steps of 10 or 50 are amounts


def _short(value: float | None) -> str:
    return "missing" if value is None else f"{value:.6g}"


def decide_string(values: pl.Series, facts: Facts, *, position: int, columns: int) -> Decision:
    """Return the kind of a column of strings."""
    text = values if values.dtype == pl.String else values.cast(pl.String)
    bare = text if facts.clean else strip_missing(text)
    present = bare.drop_nulls() if bare.null_count() else bare
    if present.is_empty():
        return Decision("constant", _all_missing(facts), bare, distinct=0)
    first = [value for value in present.head(FEW).to_list() if any(c.isdigit() for c in value)]
    if any(_numeral.search(value) for value in first):
        found = _as_written_number(bare, present.head(SAMPLE), position=position, columns=columns)
        if found is not None:
            return found
    distinct = facts.distinct if facts.clean and facts.distinct is not None else present.n_unique()
    missing = len(bare) - len(present)
    if 2 <= distinct <= 6 and is_boolean_pair(present.unique().to_list()):  # Yes, yes and YES are one word
        pair = sorted({value.lower() for value in present.unique()})
        return Decision("boolean", f"only {pair[0]!r} and {pair[1]!r}", as_boolean(bare), distinct=2)
    sample = present.head(SAMPLE)
    dated_head = facts.digits and len(first) == len(present.head(FEW)) and len(first[0]) >= 6
    if dated_head and sample.str.contains(r"^[\dA-Za-z][\dA-Za-z ,.:/+\-]{5,34}$").all() and date_formats(sample):
        formats = date_formats(present)
        dated = as_datetime(bare, formats) if formats else None
        if dated is not None and dated.null_count() == missing and distinct > 1:
            why = f"dates written as {', '.join(formats)}"
            if ambiguous_dates(present, formats):
                why += "; day and month could be the other way round"
            return Decision("datetime", why, dated, formats, distinct)
    return _as_words(text, facts)


def _as_written_number(bare: pl.Series, sample: pl.Series, *, position: int, columns: int) -> Decision | None:
    """Return the decision for strings that are numbers, or None where they are not."""
    coded = sample.str.contains(r"^[+\-]?0\d") | sample.str.contains(r"^\d{16,}$")
    if coded.any() and sample.str.contains(r"^\d+$").all():
        return _digit_codes(bare)
    style = number_style(sample)
    stray: list[str] = []
    if style is None:
        style, stray = _nearly_numbers(bare)
        if style is None:
            return None
    number = as_number(bare, style)
    lost = number.is_null() & bare.is_not_null()
    if lost.any() and not stray:
        whole = number_style(bare)  # the sample misled: ask every value
        if whole is None:
            style, stray = _nearly_numbers(bare)
            if style is None:
                return None
        else:
            style = whole
        number = as_number(bare, style)
    if bare.drop_nulls().str.contains(r"^0\d+$").any() and bare.drop_nulls().str.contains(r"^\d+$").all():
        return _digit_codes(bare)
    clean = number.drop_nulls()
    finite = clean.filter(clean.is_finite())
    facts = Facts(
        len(number),
        number.null_count(),
        None,
        cast("float | None", finite.min()),
        cast("float | None", finite.max()),
        len(clean) - len(finite),
    )
    origin = "" if style == "plain" else NUMBER_STYLES[style]
    if stray:
        origin = f"{origin or 'numbers'}; {', '.join(map(repr, stray))} counts as missing"
    found = decide_number(number.alias(bare.name), facts, position=position, columns=columns, origin=origin)
    how = (style,) if style != "plain" or stray else ()
    return Decision(found.kind, found.reason, found.values, how if found.kind == "numeric" else (), found.distinct)


def _nearly_numbers(bare: pl.Series) -> tuple[str | None, list[str]]:
    """Return the style and the few words among many numbers that can only mean "missing", such as "unknown"."""
    present = bare.drop_nulls()
    if len(present) < FEW or len(present.head(FEW).cast(pl.Float64, strict=False).drop_nulls()) < FEW // 2:
        return None, []
    for style in ("english", "continental"):
        number = as_number(present, style)
        words = present.filter(number.is_null())
        names = words.unique().sort().to_list()
        enough = len(words) <= 0.05 * len(present) and number.n_unique() > FEW
        if enough and len(names) <= 3 and all(re.fullmatch(r"[A-Za-z ./*#()_-]{1,20}", name) for name in names):
            plain = present.cast(pl.Float64, strict=False).null_count() == len(words)
            return "plain" if plain else style, names
    return None, []


def _digit_codes(bare: pl.Series) -> Decision:
    present = bare.drop_nulls()
    distinct = present.n_unique()
    if len(present) >= FEW and distinct >= 0.95 * len(present):
        return Decision(
            "id", "digits with leading zeros or too long for a number, nearly all different", bare, (), distinct
        )
    if distinct == 1 and len(present) == len(bare):
        return Decision("constant", f"always {present[0]!r}", bare, (), 1)
    why = f"digits with leading zeros or too long for a number, {distinct:,} distinct: codes"
    return Decision("categorical", why, bare, (), distinct)


def _as_words(text: pl.Series, facts: Facts) -> Decision:
    """Return the decision for strings that are neither numbers nor dates."""
    bare = text if facts.clean else strip_missing(text, PLAIN_MISSING)
    kept = ""
    lost = pl.Series([False]) if facts.clean else text.str.strip_chars() == "NA"
    if lost.any():
        others = bare.drop_nulls().unique()
        # Among two-letter country codes "NA" is Namibia.
        if len(others) >= 10 and others.str.contains(r"^[A-Z]{2}$").all():
            bare = pl.select(pl.when(lost).then(pl.lit("NA")).otherwise(bare)).to_series().alias(text.name)
            kept = "; 'NA' is kept as one of the two-letter codes"
    present = bare.drop_nulls() if bare.null_count() else bare
    count = len(present)
    distinct = facts.distinct if facts.clean and facts.distinct is not None else present.n_unique()
    if distinct == 1:
        if count == len(bare):
            return Decision("constant", f"always {present[0]!r}", bare, (), 1)
        why = f"{present[0]!r} or missing; whether it is there may tell"
        return Decision("categorical", why, bare, (), 1)
    ratio = distinct / count
    if ratio <= 0.2:  # neither text nor names of rows
        return Decision("categorical", f"text with {distinct:,} distinct values{kept}", bare, (), distinct)
    sample = present.gather_every(max(1, count // SAMPLE))
    length = cast(float, sample.str.len_chars().mean() or 0.0)
    words = cast(float, sample.str.count_matches(r"\S+").mean() or 0.0)
    if (words >= 4 and ratio > 0.5) or (words >= 6 and ratio > 0.2 and length > 30):
        return Decision("text", f"free text, {words:.0f} words a value on average", bare, (), distinct)
    hashes = sample.str.contains(
        r"^(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32,64})$"
    ).all()
    if count >= FEW and (ratio >= 0.95 or (hashes and ratio > 0.5)):
        return Decision(
            "id", f"{distinct:,} different values in {count:,} rows: each names its row", bare, (), distinct
        )
    return Decision("categorical", f"text with {distinct:,} distinct values{kept}", bare, (), distinct)
