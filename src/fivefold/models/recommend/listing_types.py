"""Rules that put listings and users into types, by buckets of what is known of them."""

from __future__ import annotations

from typing import Any

import polars as pl

from fivefold.base.errors import DataError

Rule = tuple[str, tuple[float, ...], bool]
"""Short name, the largest number of each bucket but the last, and whether the first bound itself belongs to the second bucket."""

PRICE_NIGHT = (40.0, 55.0, 69.0, 83.0, 100.0, 129.0, 189.0)
PRICE_GUEST = (21.0, 27.0, 34.0, 42.0, 52.0, 75.0)
FIVE_STAR = (40.0, 60.0, 90.0)

LISTING_RULES: dict[str, Rule | str] = {
    "country": "",
    "type": "lt",
    "price_night": ("pn", PRICE_NIGHT, True),
    "price_guest": ("pg", PRICE_GUEST, True),
    "reviews": ("r", (0.0, 1.0, 5.0, 10.0, 35.0), False),
    "five_star": ("5s", FIVE_STAR, False),
    "capacity": ("c", (1.0, 2.0, 3.0, 4.0, 5.0), False),
    "beds": ("b", (3.0,), False),
    "bedrooms": ("bd", (3.0,), False),
    "bathrooms": ("bt", (2.0,), False),
    "new_guest": ("nu", (60.0, 90.0), True),
}
"""Column of a listing -> its rule; a text is a category that is taken as it is, behind that prefix."""

USER_RULES: dict[str, Rule | str] = {
    "market": "",
    "language": "lg",
    "device": "dt",
    "full_profile": "fp",
    "photo": "pp",
    "bookings": ("nb", (0.0, 1.0, 7.0), False),
    "price_night": ("ppn", PRICE_NIGHT, True),
    "price_guest": ("ppg", PRICE_GUEST, True),
    "capacity": ("c", (2.0, 2.6, 3.0, 4.0, 6.0), True),
    "reviews": ("nr", (1.0, 3.5, 10.0), True),
    "listing_five_star": ("l5s", FIVE_STAR, False),
    "guest_five_star": ("g5s", FIVE_STAR, False),
}
"""Column of a user -> its rule."""


def bucket(values: pl.Series, bounds: tuple[float, ...], strict: bool) -> pl.Series:
    """Return the bucket 1, 2, … of numbers: the first whose bound they do not exceed.

    With ``strict`` the first bucket is printed as "<x": x itself belongs to the second. A number between two printed buckets
    belongs to the upper one.
    """
    number = values.cast(pl.Float64)
    found = pl.Series(values.name, [1] * len(values), dtype=pl.Int64)
    for place, bound in enumerate(bounds):
        above = number >= bound if strict and place == 0 else number > bound
        found = found + above.cast(pl.Int64)
    return found


def types_of(table: Any, rules: dict[str, Rule | str], what: str) -> list[str]:
    """Return the type of each row, such as ``US_ltEntire_pn4_pg3_r3_5s4_c2_b1_bd2_bt2_nu3``.

    Raises
    ------
    DataError
        A column that the rules need is missing or holds nothing in some row.
    """
    frame = table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)
    parts = []
    for name, rule in rules.items():
        if name not in frame.columns:
            raise DataError(f"The table of {what} has no column {name!r}; the rules need {', '.join(rules)}.")
        values = frame[name]
        if values.is_null().any() or (values.dtype.is_float() and values.is_nan().any()):
            raise DataError(f"The column {name!r} of {what} has missing values; fill them or drop these rows.")
        if isinstance(rule, str):
            if values.dtype == pl.Boolean:
                values = values.cast(pl.Int64)
            parts.append([f"{rule}{value}" for value in values.to_list()])
        else:
            short, bounds, strict = rule
            if not values.dtype.is_numeric():
                raise DataError(f"The column {name!r} of {what} holds {values.dtype}; give numbers.")
            parts.append([f"{short}{place}" for place in bucket(values, bounds, strict).to_list()])
    return ["_".join(row) for row in zip(*parts, strict=True)]


def listing_types(table: Any) -> list[str]:
    """Return the listing type of each row of a table with the columns of :data:`LISTING_RULES`."""
    return types_of(table, LISTING_RULES, "listings")


def user_types(table: Any) -> list[str]:
    """Return the user type of each row of a table with the columns of :data:`USER_RULES`."""
    return types_of(table, USER_RULES, "users")
