"""Delimited text: encoding, separator and header are found out, every line is checked, numbers take the fast scanner."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fivefold.base.errors import DataError

from .parse import GRAMMAR, MISSING, number_style, strip_missing

SEPARATORS = (",", "\t", ";", "|")
HEAD = 1 << 18  # bytes looked at to find separator, quotes and header


@dataclass(frozen=True)
class Dialect:
    """How a file of delimited text is written."""

    separator: str
    header: bool
    names: tuple[str, ...]
    skip: int  # lines before the first record: blank ones, and the header
    encoding: str

    def describe(self) -> str:
        """Return the dialect in words."""
        name = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "blank"}.get(
            self.separator, self.separator
        )
        return f"{name}-separated, {'with' if self.header else 'without'} header, {self.encoding}"


def read_csv(
    source: Path | bytes, label: str, *, header: bool | None = None, separator: str | None = None
) -> tuple[pl.DataFrame, Dialect]:
    """Read delimited text.

    Parameters
    ----------
    source : path or bytes
        Bytes where the text was compressed or came over the network.
    label : str
        What error messages call it.
    header : bool, optional
        Whether the first line names the columns; found out by default.
    separator : str, one character, optional
        Found out by default among comma, tab, semicolon and bar.

    Raises
    ------
    DataError
        Empty, header only, ragged (named with its line), duplicate names, binary or not closed quotes.
    """
    if separator is not None and len(separator) != 1:
        raise DataError(f"separator must be one character, got {separator!r}.")
    source, encoding = _as_utf8(source, label)
    head = source[:HEAD] if isinstance(source, bytes) else _head(source)
    whole = len(head) < HEAD
    dialect = _dialect(head.removeprefix(b"\xef\xbb\xbf"), whole, label, header, separator, encoding)
    frame = _scan(source, dialect, label)
    if frame.height == 0:
        raise DataError(f"{label} has a header with {len(dialect.names)} columns but no rows.")
    _check_short_lines(source, frame, dialect, label)
    return _without_blank_lines(frame), dialect


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEAD)


def _as_utf8(source: Path | bytes, label: str) -> tuple[Path | bytes, str]:
    """Return the source as UTF-8 with line feeds, and the encoding found; a plain UTF-8 file stays a path."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    encoding = "UTF-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
        try:
            data = data.decode("utf-16").encode("utf8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{label} begins as UTF-16 text but is not: {error.reason} at byte {error.start}."
            ) from error
    if b"\x00" in data[:HEAD]:
        raise DataError(
            f"{label} is not text: it holds zero bytes. Give a CSV file in UTF-8, or name its true format by its ending."
        )
    try:
        # ASCII is checked by machine words, UTF-8 by a fast decoder; both cost little beside parsing.
        if not data.isascii():
            data.decode("utf8")
    except UnicodeDecodeError as error:
        _refuse_damaged_utf8(data, error, label)
        encoding = "Latin-1"
        # Windows-1252 is Latin-1 with letters where Latin-1 has control codes; five codes are undefined in it.
        try:
            data = data.decode("cp1252").encode("utf8")
        except UnicodeDecodeError:
            data = data.decode("latin1").encode("utf8")
    if b"\r" in data[:HEAD] and b"\n" not in data[:HEAD]:
        data = data.replace(b"\r", b"\n")
    elif encoding == "UTF-8" and not isinstance(source, bytes):
        return source, encoding
    return data, encoding


def _refuse_damaged_utf8(data: bytes, error: UnicodeDecodeError, label: str) -> None:
    """Raise for text that is UTF-8 but for a few bytes: read as Latin-1 every other accent would turn to rubbish."""
    text = data.decode("utf8", errors="surrogateescape")
    wrong = sum("\udc80" <= char <= "\udcff" for char in text)
    good = sum(char > "\x7f" for char in text) - wrong
    if good > wrong:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{label} is UTF-8 text except for {wrong} damaged byte{'s' if wrong > 1 else ''}, the first in line {line} "
            f"(0x{data[error.start]:02X}); mend it, or save the file again as UTF-8."
        ) from error


def _dialect(
    head: bytes, whole: bool, label: str, header: bool | None, separator: str | None, encoding: str
) -> Dialect:
    text = head.decode("utf8", errors="ignore")
    if not text.strip():
        raise DataError(f"{label} is empty; give a table with at least one row.")
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines = lines[:-1]  # the last one may be cut
    skip = next(i for i, line in enumerate(lines) if line.strip())
    lines = lines[skip:]
    char = separator or _separator(lines, label)
    records = _records(lines, char, 200)  # any value: lines to judge by
    if not records:
        raise DataError(f"{label} begins with a quote that is not closed; quotes inside a value are written twice.")
    first = [cell.strip() for cell in records[0]]
    named = header if header is not None else looks_like_header(records)
    if not named:
        names = tuple(f"column_{i + 1}" for i in range(len(first)))
        return Dialect(char, False, names, skip, encoding)
    names = tuple(cell or f"column_{i + 1}" for i, cell in enumerate(first))
    refuse_duplicates(names, label)
    # A header with line breaks in quotes spans several lines; the scanner counts lines, not records.
    reader = csv.reader(lines, delimiter=char)
    next(reader)
    return Dialect(char, True, names, skip + reader.line_num, encoding)


def refuse_duplicates(names: tuple[str, ...] | list[str], label: str) -> None:
    """Raise when two columns share a name."""
    if len(set(names)) == len(names):
        return
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i + 1)
    twice = {name: spots for name, spots in places.items() if len(spots) > 1}
    shown = "; ".join(f"{name!r} (columns {', '.join(map(str, spots))})" for name, spots in list(twice.items())[:5])
    raise DataError(
        f"{label} has {len(twice)} column names more than once: {shown}. Rename them so that each is unique."
    )


def _separator(lines: list[str], label: str) -> str:
    """Return the separator that cuts the first lines into the most equal pieces; a single column has none."""
    best, best_score = ",", 0.0
    for char in SEPARATORS:
        widths = [len(record) for record in _records(lines, char, 50)]  # any value: lines to judge by
        if len(widths) == 0 or widths[0] < 2:
            continue
        agree = sum(width == widths[0] for width in widths) / len(widths)
        # Agreement counts first: a comma may stand inside semicolon-separated numbers such as 1,5.
        score = agree + 1e-3 * min(widths[0], 100) / 100  # any value: less than one line of disagreement
        if score > best_score:
            best, best_score = char, score
    if best_score == 0.0:
        widths = [len(line.split()) for line in lines[:50] if line.strip()]
        numbers = all(number_style(pl.Series(line.split())) == "plain" for line in lines[1:20] if line.strip())
        if len(lines) > 2 and widths[0] > 1 and len(set(widths)) == 1 and numbers and "  " not in lines[0].strip():
            return " "
    return best


def _records(lines: list[str], char: str, most: int) -> list[list[str]]:
    records: list[list[str]] = []
    try:
        for record in csv.reader((line.rstrip("\r") + "\n" for line in lines), delimiter=char, strict=False):
            if any(cell.strip() for cell in record):
                records.append(record)
            if len(records) == most:
                break
    except csv.Error:  # a field beyond the module's size limit: what came before it is enough to judge by
        return records
    return records


def looks_like_header(records: list[list[str]]) -> bool:
    """Return whether the first record names the columns.

    It does when none of its cells is a number, a missing value or repeated, or when its numbers are a run of years or
    counts (1990, 1991, ...) above columns.
    """
    first = [cell.strip() for cell in records[0]]
    filled = [cell for cell in first if cell]
    if not filled:
        return False
    numeric = [cell for cell in filled if _is_number(cell)]
    if not numeric:
        if any(cell.lower() in MISSING for cell in filled):
            return False
        if len(set(filled)) < len(filled):
            # Repeated words: data when a later record repeats them too, else a header to be refused as ambiguous.
            return not any(set(map(str.strip, record)) & set(filled) for record in records[1:50])
        return True
    if len(numeric) < 3 or len(records) < 2:
        return False
    whole = [int(cell) for cell in numeric if re.fullmatch(r"\d{1,4}", cell)]
    steps = {b - a for a, b in zip(whole, whole[1:])}
    return len(whole) == len(numeric) and steps == {1} and [c.strip() for c in records[1]] != first


def _is_number(cell: str) -> bool:
    return any(re.search(grammar, cell) for grammar in GRAMMAR.values())


def _scan(source: Path | bytes, dialect: Dialect, label: str) -> pl.DataFrame:
    """Read with the types of a sample; where a later value does not fit, read strings and convert whole columns."""
    names = list(dialect.names)
    rows = max(50, min(1000, 500_000 // max(1, len(names))))  # any value: rows to judge by
    try:
        sample = _polars(source, dialect, dict.fromkeys(names, pl.String), rows)
        return _with_types(source, dialect, _scan_types(sample))
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    except pl.exceptions.PolarsError as error:
        line = ragged_line(source, dialect)
        if line is not None:
            raise DataError(_ragged(label, dialect, *line)) from error
        reason = str(error).splitlines()[0]
        raise DataError(f"{label} cannot be read as {dialect.describe()}: {reason}.") from error


def _with_types(source: Path | bytes, dialect: Dialect, types: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """Read; a column with a value that does not fit the sample's type is read as strings and settled afterwards."""
    hoped = dict(types)
    attempt = 0
    while True:
        try:
            frame = _polars(source, dialect, types, None)
        except pl.exceptions.ComputeError as error:
            column = re.search(r"\(column number (\d+)\)", str(error))
            if "more fields" in str(error) or column is None or types[dialect.names[int(column[1]) - 1]] == pl.String:
                raise
            # One column in doubt costs one more pass; when several are, all of them are read as strings at once.
            types = (
                {**types, dialect.names[int(column[1]) - 1]: pl.String}
                if attempt < 2  # any value: passes before giving up
                else dict.fromkeys(types, pl.String)
            )
            attempt += 1
            continue
        doubtful = [name for name in types if types[name] != hoped[name]]
        return frame.with_columns(_settle(frame[name], hoped[name]) for name in doubtful)


def _polars(
    source: Path | bytes, dialect: Dialect, types: dict[str, type[pl.DataType]], rows: int | None
) -> pl.DataFrame:
    return pl.read_csv(
        source,
        has_header=False,
        skip_lines=dialect.skip,
        separator=dialect.separator,
        schema=types,
        n_rows=rows,
        infer_schema=False,
    )


def _scan_types(sample: pl.DataFrame) -> dict[str, type[pl.DataType]]:
    """Return the type the scanner should read each column as; strings wherever there is doubt."""
    asked: list[pl.Expr] = []
    for i, name in enumerate(sample.columns):
        column = pl.col(name)
        # Leading zeros are codes; blanks, underscores and more digits than a float holds are not for the scanner.
        asked.append(column.str.contains(r"^[+\-]?0\d|^\s|\s$|_|^\d{16,}$").any().alias(f"{i} odd"))
        asked.append(column.str.contains(r"^[+\-]?\d{1,18}$").all().alias(f"{i} int"))
        asked.append((column.cast(pl.Float64, strict=False).null_count() == column.null_count()).alias(f"{i} float"))
        asked.append((column.null_count() == pl.len()).alias(f"{i} empty"))
    found = sample.select(asked).row(0, named=True)
    types: dict[str, type[pl.DataType]] = {}
    for i, name in enumerate(sample.columns):
        if found[f"{i} empty"] or found[f"{i} odd"] or not found[f"{i} float"]:
            types[name] = pl.String
        else:
            types[name] = pl.Int64 if found[f"{i} int"] else pl.Float64
    return types


def _settle(values: pl.Series, hoped: type[pl.DataType]) -> pl.Series:
    """Return a column of strings as numbers where the sample said so and every value agrees."""
    if hoped == pl.String:
        return values
    bare = strip_missing(values)
    if bare.str.contains(r"^[+\-]?0\d|^\d{16,}$").any():
        return values
    for dtype in (pl.Int64, pl.Float64):
        number = bare.cast(dtype, strict=False)
        if number.null_count() == bare.null_count():
            return number
    return values


def _check_short_lines(source: Path | bytes, frame: pl.DataFrame, dialect: Dialect, label: str) -> None:
    """Raise for a line with too few values; the scanner fills them with null, so only a null at the end is suspicious."""
    if frame[frame.columns[-1]].null_count() == 0:
        return
    line = ragged_line(source, dialect)
    if line is not None:
        raise DataError(_ragged(label, dialect, *line))


def _ragged(label: str, dialect: Dialect, line: int, width: int) -> str:
    if width == 0:
        return (
            f"{label} has a quote in line {line} that is never closed; close it, or write quotes inside a value twice."
        )
    return (
        f"{label} is ragged: line {line} has {width} value{'s' if width != 1 else ''} where {len(dialect.names)} are "
        f"expected; mend that line, or give another separator than {dialect.separator!r}."
    )


def ragged_line(source: Path | bytes, dialect: Dialect) -> tuple[int, int] | None:
    """Return number and width of the first line with another number of values, or None; width 0: a quote left open."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    width = len(dialect.names)
    if b'"' not in data:
        return _ragged_unquoted(data, dialect, width)
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text, delimiter=dialect.separator, strict=True)
    begin = 1
    try:
        for record in reader:
            if (
                record
                and len(record) != width
                and not (len(record) == 1 and not record[0].strip())
                and begin > dialect.skip
            ):
                return begin, len(record)
            begin = reader.line_num + 1
    except csv.Error:
        return begin, 0
    return None


def _ragged_unquoted(data: bytes, dialect: Dialect, width: int) -> tuple[int, int] | None:
    """Count separators line by line; without quotes these counts decide."""
    char = dialect.separator.encode("utf8")
    for number, line in enumerate(data.split(b"\n")):
        if (
            line.count(char) + 1 != width
            and number >= dialect.skip
            and line.strip(b" \r\t" if char != b"\t" else b" \r")
        ):
            return number + 1, line.count(char) + 1
    return None


def _without_blank_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop rows that are entirely empty: blank lines, most often at the end of a file."""
    if frame.width == 1 or frame[frame.columns[0]].null_count() == 0:
        return frame
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    return frame.filter(~empty) if empty.any() else frame
