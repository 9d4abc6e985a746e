"""Tables of interactions: ids become codes, ratings become numbers, and everything odd becomes a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.errors import DataError, InputTypeError, UnknownNameError
from fivefold.base.names import nearest


def as_frame(table: Any, what: str = "The table of interactions") -> pl.DataFrame:
    """Return a polars or pandas frame, an Arrow table or a mapping of columns as a polars frame."""
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, Mapping):
        lengths = {name: len(values) for name, values in table.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{what} has columns of different lengths: {lengths}; give as many values for each.")
        return pl.DataFrame({str(name): np.asarray(values) for name, values in table.items()})
    if hasattr(table, "to_pandas") or hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    if hasattr(table, "iloc"):
        return pl.DataFrame(pl.from_pandas(table))
    raise InputTypeError(
        f"{what} must be a polars or pandas frame, an Arrow table or a mapping of columns; got {type(table).__name__}."
    )


def column(frame: pl.DataFrame, name: str, what: str) -> pl.Series:
    """Return a column that the model needs, without missing values."""
    if name not in frame.columns:
        raise UnknownNameError(
            f"The table has no column {name!r} for the {what}; did you mean "
            f"{', '.join(map(repr, nearest(name, frame.columns))) or 'no column'}? "
            f"The parameter that names the column is `{what}`."
        )
    values = frame[name]
    missing = values.is_null()
    if values.dtype.is_float():
        missing = missing | values.is_nan()
    if missing.any():
        raise DataError(
            f"The column {name!r} has {int(missing.sum())} missing values, the first in row {int(missing.arg_max() or 0)}; "
            "drop these rows first."
        )
    return values


def ids(frame: pl.DataFrame, name: str, what: str) -> np.ndarray:
    """Return the ids of a column (n,): 64-bit integers, or strings."""
    values = column(frame, name, what)
    if values.dtype.is_integer():
        return values.cast(pl.Int64).to_numpy()
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        texts = values.cast(pl.String).to_numpy()
        return texts.astype(np.str_) if len(texts) else np.empty(0, dtype="<U1")
    raise InputTypeError(f"The column {name!r} holds {values.dtype}; ids of the {what} are integers or strings.")


def id_array(values: Any, what: str) -> np.ndarray:
    """Return one id or several, given outside a table, as an array (n,) of integers or strings."""
    if isinstance(values, str | int | np.integer):
        values = [values]
    if not isinstance(values, Iterable):
        raise InputTypeError(f"`{what}` must be an id or a sequence of ids; got {values!r}.")
    found = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(list(values))
    if found.dtype.kind == "O":
        found = np.asarray(found.tolist())
    if found.ndim != 1 or found.dtype.kind not in "iuU" and len(found):
        raise InputTypeError(f"`{what}` must be a sequence of integers or of strings; got {values!r:.80}.")
    return found


def codes_of(known: np.ndarray, values: np.ndarray, what: str) -> np.ndarray:
    """Return the place of each value among the sorted ids ``known``, -1 for one that is not there."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    if (known.dtype.kind == "U") != (values.dtype.kind == "U"):
        kinds = ("strings", "integers") if known.dtype.kind == "U" else ("integers", "strings")
        raise InputTypeError(f"The ids of the {what}s are {kinds[0]} in the training table; got {kinds[1]}.")
    place = np.minimum(np.searchsorted(known, values), max(len(known) - 1, 0))
    return np.where(known[place] == values, place, -1).astype(np.int64) if len(known) else np.full(len(values), -1)


@dataclass(frozen=True)
class Interactions:
    """Who met what, and how it was: codes and numbers, one row an interaction.

    Parameters
    ----------
    users, items : int64 (n,), codes into the sorted ids
    ratings, weights : float64 (n,)
    user_ids, item_ids : sorted arrays of ids
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    weights: np.ndarray
    user_ids: np.ndarray
    item_ids: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and of items."""
        return len(self.user_ids), len(self.item_ids)

    def by_user(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows ordered by user, those of a user as they came, and where each user begins, (n_users + 1,)."""
        return _grouped(self.users, len(self.user_ids))

    def by_item(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows ordered by item and where each item begins, (n_items + 1,)."""
        return _grouped(self.items, len(self.item_ids))

    def matrix(self, *, mean: bool = False) -> Any:
        """Return ratings times weights as a CSR matrix (users, items); equal pairs are added, or averaged with ``mean``."""
        from scipy import sparse

        place = (self.users, self.items)
        total = sparse.csr_array(sparse.coo_array((self.ratings * self.weights, place), shape=self.shape))
        if mean:
            total.data /= sparse.csr_array(sparse.coo_array((self.weights, place), shape=self.shape)).data
        return total


def _grouped(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    starts = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(codes, minlength=size), out=starts[1:])
    return np.argsort(codes, kind="stable"), starts


def numbers(frame: pl.DataFrame, rating: str | None) -> np.ndarray:
    """Return the ratings (n,), ones where no column is named."""
    if rating is None:
        return np.ones(len(frame))
    values = column(frame, rating, "rating")
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise InputTypeError(f"The column {rating!r} holds {values.dtype}; ratings are numbers.")
    found = values.cast(pl.Float64).to_numpy()
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise DataError(f"The rating in row {row} is {found[row]}; ratings are finite numbers.")
    return found


def weights(frame: pl.DataFrame, sample_weight: Any) -> np.ndarray:
    """Return the weights (n,): a column by its name, an array, or ones."""
    if sample_weight is None:
        return np.ones(len(frame))
    if isinstance(sample_weight, str):
        found = column(frame, sample_weight, "sample_weight").cast(pl.Float64).to_numpy()
    else:
        found = np.asarray(sample_weight, dtype=np.float64)
    if found.shape != (len(frame),):
        raise DataError(f"sample_weight has shape {found.shape}, the table {len(frame)} rows; give one weight a row.")
    if not np.isfinite(found).all() or (found < 0).any():
        raise DataError("sample_weight holds negative or infinite numbers; give finite numbers >= 0.")
    return found


def read_interactions(table: Any, user: str, item: str, rating: str | None, sample_weight: Any = None) -> Interactions:
    """Return a table as codes and numbers; rows of weight 0 count for nothing and are left out."""
    frame = as_frame(table)
    people, things = ids(frame, user, "user"), ids(frame, item, "item")
    ratings, weight = numbers(frame, rating), weights(frame, sample_weight)
    kept = weight > 0
    if not kept.any():
        raise DataError("The table of interactions has no rows of positive weight; give at least one.")
    user_ids, users = np.unique(people[kept], return_inverse=True)
    item_ids, items = np.unique(things[kept], return_inverse=True)
    return Interactions(users.astype(np.int64), items.astype(np.int64), ratings[kept], weight[kept], user_ids, item_ids)
