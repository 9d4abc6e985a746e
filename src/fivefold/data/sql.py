"""Tables from databases: SQLite and DuckDB need nothing beside their driver, every other database goes by SQLAlchemy."""

from __future__ import annotations

import re
import sqlite3
import urllib.parse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from fivefold.base.errors import DataError, MissingDependencyError

from .download import public_url
from .readers_csv import refuse_duplicates

_DRIVERS = {
    "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg[binary]",
    "MySQLdb": "mysqlclient",
    "pyodbc": "pyodbc",
    "cx_Oracle": "oracledb",
    "oracledb": "oracledb",
    "pymysql": "pymysql",
}


def read_sql(url: str, query: str) -> pl.DataFrame:
    """Return the answer of a query as a frame.

    Parameters
    ----------
    url : str
        ``sqlite:///file.db``, ``duckdb:///file.duckdb`` (``sqlite://`` and ``duckdb://`` alone are in memory), the path of
        such a file, or any SQLAlchemy URL. Embedded databases are opened read-only.
    query : str
        A statement that returns rows, or the name of a table.

    Raises
    ------
    DataError
        When the database is not there, the query fails or has no rows; passwords never appear in the message.
    MissingDependencyError
        When a library or driver is missing; the message holds the install line.
    """
    if not query.strip():
        raise DataError("The query is empty; give a statement such as SELECT * FROM sales.")
    statement = f'SELECT * FROM "{query.strip()}"' if re.fullmatch(r"[A-Za-z_]\w*", query.strip()) else query
    engine, path = _split(url)
    if engine == "sqlite":
        return _from_sqlite(path, statement, url)
    if engine == "duckdb":
        return _from_duckdb(path, statement, url)
    return _from_sqlalchemy(url, statement)


def _split(url: str) -> tuple[str, str]:
    """Return the engine and, for embedded ones, the path (empty: in memory)."""
    match = re.fullmatch(r"(sqlite|duckdb)(?:\+\w+)?://(?:/(.*))?", url, flags=re.IGNORECASE)
    if match:
        path = urllib.parse.unquote((match[2] or "").partition("?")[0])
        return match[1].lower(), "" if path == ":memory:" else path
    if "://" not in url:
        ending = Path(url).suffix.lower()
        if ending in (".db", ".sqlite", ".sqlite3", ".db3"):
            return "sqlite", url
        if ending in (".duckdb", ".ddb"):
            return "duckdb", url
        raise DataError(
            f"{url!r} is not a database URL; use sqlite:///file.db, duckdb:///file.duckdb or a SQLAlchemy URL such as "
            "postgresql://user@host/name."
        )
    return "other", ""


def _file(path: str, url: str) -> Path:
    found = Path(path).expanduser()
    if not found.is_file():
        raise DataError(f"There is no database file {str(found)!r} (from {public_url(url)}); check the path.")
    return found


def _from_sqlite(path: str, query: str, url: str) -> pl.DataFrame:
    place = f"{_file(path, url).resolve().as_uri()}?mode=ro" if path else ":memory:"
    try:
        with closing(sqlite3.connect(place, uri=True)) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise DataError(f"The query on {public_url(url)} failed: {error}.") from error
    return _frame(names, rows, url)


def _from_duckdb(path: str, query: str, url: str) -> pl.DataFrame:
    try:
        import duckdb
    except ImportError as error:
        raise MissingDependencyError('Reading DuckDB needs duckdb: pip install "fivefold[sql]".') from error
    place = str(_file(path, url)) if path else ":memory:"
    try:
        with closing(duckdb.connect(place, read_only=bool(path))) as connection:
            relation = connection.sql(query)
            if relation is None:
                return _frame([], [], url)
            names = list(relation.columns)
            refuse_duplicates(names, f"The answer of {public_url(url)}")
            # Only relations carry Arrow out without copying row by row, in every version of DuckDB.
            frame = pl.DataFrame(relation)
    except duckdb.Error as error:
        raise DataError(f"The query on {public_url(url)} failed: {str(error).splitlines()[0]}.") from error
    return _checked(frame, url)


def _from_sqlalchemy(url: str, query: str) -> pl.DataFrame:
    try:
        import sqlalchemy
    except ImportError as error:
        raise MissingDependencyError('Reading this database needs sqlalchemy: pip install "fivefold[sql]".') from error
    try:
        engine = sqlalchemy.create_engine(url)
    except sqlalchemy.exc.NoSuchModuleError as error:
        dialect = urllib.parse.urlsplit(url).scheme
        raise MissingDependencyError(
            f"SQLAlchemy knows no database {dialect!r}; check the URL, or install its dialect: pip install sqlalchemy-{dialect}."
        ) from error
    except ModuleNotFoundError as error:
        name = error.name or "its driver"
        raise MissingDependencyError(
            f"{public_url(url)} needs the driver {name}: pip install {_DRIVERS.get(name, name)}."
        ) from error
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise DataError(f"{public_url(url)} is not a SQLAlchemy URL; use driver://user@host/name.") from error
    try:
        with engine.connect() as connection:
            answer = connection.execute(sqlalchemy.text(query))
            if not answer.returns_rows:
                return _frame([], [], url)
            names, rows = list(answer.keys()), [tuple(row) for row in answer.fetchall()]
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise DataError(f"The query on {public_url(url)} failed: {reason}.") from error
    finally:
        engine.dispose()
    return _frame(names, rows, url)


def _frame(names: Sequence[str], rows: Sequence[Sequence[Any]], url: str) -> pl.DataFrame:
    if not names:
        raise DataError(f"The query on {public_url(url)} returns no rows; use a SELECT.")
    refuse_duplicates(list(names), f"The answer of {public_url(url)}")
    columns = list(zip(*rows)) if rows else [()] * len(names)
    return _checked(pl.DataFrame([_series(name, list(values)) for name, values in zip(names, columns)]), url)


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return a column; SQLite may hold words among numbers, which then are all strings."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        big = int in kinds and any(isinstance(v, int) and abs(v) >= 2**63 for v in values)
        return pl.Series(name, values, dtype=pl.Float64 if float in kinds or big else pl.Int64, strict=False)
    if len(kinds) > 1:
        return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
    return pl.Series(name, values)


def _checked(frame: pl.DataFrame, url: str) -> pl.DataFrame:
    if frame.height == 0:
        raise DataError(f"The query on {public_url(url)} returned {frame.width} columns but no rows.")
    decimals = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal)]
    return frame.with_columns(pl.col(name).cast(pl.Float64) for name in decimals)
