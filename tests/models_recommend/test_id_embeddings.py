"""Joint embeddings of ids: what is refused, in which words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError
from fivefold.models.recommend import IDEmbedding
from fivefold.models.recommend.id_transfer import GroupTransfer

SESSIONS = [["a", "b", "c"], ["b", "c"]]
ITEMS = pl.DataFrame({"item": ["a", "b", "c"], "shop": [1, 1, 2]})


@pytest.mark.parametrize(
    ("model", "sessions", "items", "words"),
    [
        (IDEmbedding(vector_size=0), SESSIONS, ITEMS, "`vector_size` is 0; give a whole number >= 1."),
        (IDEmbedding(beta=-1.0), SESSIONS, ITEMS, "`beta` is -1.0; give a number >= 0"),
        (IDEmbedding(), [["a", "a"]], ITEMS, "fewer than two different items"),
        (IDEmbedding(), SESSIONS, {"a": 1}, "Items are a polars frame with the column item; got dict."),
        (IDEmbedding(), SESSIONS, ITEMS.rename({"item": "thing"}), "no column 'item'; they have thing, shop."),
        (IDEmbedding(), SESSIONS, ITEMS[:2], "1 items of the sessions have no row, such as 'c'."),
        (IDEmbedding(), [[1, 2]], ITEMS, "2 items of the sessions have no row, such as 1."),
        (IDEmbedding(), SESSIONS, ITEMS[:0], "3 items of the sessions have no row, such as 'a'."),
        (
            IDEmbedding(),
            SESSIONS,
            pl.concat([ITEMS, ITEMS[:1]]),
            "The item 'a' has several rows; give one row an item.",
        ),
        (IDEmbedding(), SESSIONS, ITEMS.select("item"), "The items have no attribute; give columns"),
        (IDEmbedding(attributes=("brand",)), SESSIONS, ITEMS, "no column 'brand'; they have item, shop."),
        (
            IDEmbedding(),
            SESSIONS,
            ITEMS.with_columns(shop=pl.Series([1, None, 2])),
            "The column 'shop' has 1 missing values; give every item a value.",
        ),
        (IDEmbedding(learning_rate=1e200), SESSIONS, ITEMS, "grew beyond all bounds"),
    ],
)
def test_wrong_items_are_told(model, sessions, items, words) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
        model.fit(sessions, items)
    assert words in str(caught.value)


def test_new_items_are_asked_with_their_attributes() -> None:
    model = IDEmbedding(epochs=1, random_state=0).fit(SESSIONS, ITEMS)
    with pytest.raises(DataError, match="no column 'shop'; they have brand"):
        model.embed(pl.DataFrame({"brand": ["x"]}))
    with pytest.raises(TypeError, match="Items are a polars frame; got list"):
        model.embed([1])
    assert np.isnan(model.user_vectors([[]])).all()


def test_transfer_tells_what_is_wrong() -> None:
    table = pl.DataFrame({"user": [1, 2], "item": [5, 6]})
    vectors = np.eye(2)
    with pytest.raises(DataError, match=r"have the shape \(1, 2\); give one row for each of the 2 users"):
        GroupTransfer().fit([1, 2], vectors[:1], table)
    with pytest.raises(DataError, match="The vector in row 1 is not finite; leave out users"):
        GroupTransfer().fit([1, 2], vectors * [[1], [np.nan]], table)
    with pytest.raises(DataError, match="A user comes twice"):
        GroupTransfer().fit([1, 1], vectors, table)
    with pytest.raises(DataError, match="No user of the table has a vector"):
        GroupTransfer().fit([8, 9], vectors, table)
    model = GroupTransfer(random_state=0).fit([1, 2], vectors, table)
    with pytest.raises(DataError, match="The vectors have 3 numbers, those of the training 2"):
        model.recommend([1], np.ones((1, 3)))
