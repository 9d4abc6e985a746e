"""Sessions, embeddings of listings and their inspection: what is refused, in which words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError, InputError, InputTypeError, UnknownNameError
from fivefold.data.listings_log import listings_log
from fivefold.data.sessions import SessionBuilder, skip_gram_pairs
from fivefold.evaluation.embedding_inspection import EmbeddingInspector
from fivefold.models.recommend import ColdStartEmbedding, ListingEmbedding, UserListingTypeEmbedding
from fivefold.models.recommend.listing_types import listing_types, user_types

SESSIONS = [["a", "b", "c"], ["b", "c"]]


@pytest.mark.parametrize(
    ("model", "sessions", "markets", "words"),
    [
        (ListingEmbedding(vector_size=0), SESSIONS, None, "`vector_size` is 0; give a whole number >= 1."),
        (ListingEmbedding(learning_rate=0.0), SESSIONS, None, "`learning_rate` is 0.0; give a number > 0"),
        (ListingEmbedding(), SESSIONS, None, "give `markets` to `fit`, or set market_negative=0."),
        (ListingEmbedding(), SESSIONS, {"a": 1, "b": 1}, "1 listings of the sessions have no market, such as 'c'."),
        (ListingEmbedding(), SESSIONS, pl.DataFrame({"item": ["a"]}), "`markets` has no column 'market'; it has item."),
        (ListingEmbedding(), SESSIONS, [1], "`markets` must map items to markets or be a frame; got list."),
        (ListingEmbedding(market_negative=0), [], None, "There are no sessions; give at least one of two items."),
        (ListingEmbedding(market_negative=0), [["a", "a"]], None, "fewer than two different items"),
        (ListingEmbedding(market_negative=0), "abc", None, "or sequences of items; got str."),
        (ListingEmbedding(market_negative=0), [[0.5, 1.5]], None, "must be integers or strings; got float64."),
        (ListingEmbedding(market_negative=0, learning_rate=1e200), SESSIONS, None, "grew beyond all bounds"),
    ],
)
def test_wrong_sessions_are_told(model, sessions, markets, words) -> None:
    with pytest.raises((InputError, TypeError, RuntimeError)) as caught:
        model.fit(sessions, markets)
    assert words in str(caught.value)


def test_wrong_listings_are_told() -> None:
    _, listings = listings_log(markets=2, listings=4, sessions=5)
    vectors = {0: [1.0, 2.0], 1: [0.0, 1.0]}
    with pytest.raises(DataError, match="no column 'stars'; they have item, market"):
        ColdStartEmbedding(match=("stars",)).fit(listings, vectors)
    with pytest.raises(DataError, match=r"Row 0 is at \[95.0, .*give degrees in"):
        ColdStartEmbedding().fit(listings.with_columns(latitude=pl.lit(95.0)), vectors)
    with pytest.raises(DataError, match="None of the listings has a vector"):
        ColdStartEmbedding().fit(listings, {99: [1.0]})
    with pytest.raises(InputTypeError, match="be an embedding; got list"):
        ColdStartEmbedding().fit(listings, [1.0])
    with pytest.raises(InputError, match="`radius` is 0; give a number > 0"):
        ColdStartEmbedding(radius=0).fit(listings, vectors)


def test_wrong_logs_are_told() -> None:
    log = pl.DataFrame({"user": [1], "item": [2], "time": [3.0]})
    with pytest.raises(InputTypeError, match="The log is a polars frame; got list"):
        SessionBuilder().build([1])
    with pytest.raises(DataError, match="The log has no column 'paid'; it has user, item, time."):
        SessionBuilder(booked="paid").build(log)
    with pytest.raises(InputError, match="min_length must be a whole number >= 1, got 0."):
        SessionBuilder(min_length=0).build(log)
    draw = np.random.default_rng(0)
    with pytest.raises(InputError, match="market_negative needs the market of each item"):
        skip_gram_pairs(*[log["item"].to_numpy()] * 2, draw, counts=[1.0] * 3, market_negative=1)


def test_inspection_tells_what_is_wrong() -> None:
    tool = EmbeddingInspector(["ant", "bee"], [[1.0, 0.0], [0.0, 1.0]])
    for call, error, words in (
        (lambda: EmbeddingInspector(["a"], [[1.0], [2.0]]), DataError, r"vectors has shape \(2, 1\) for 1 keys"),
        (lambda: EmbeddingInspector(["a", "a"], [[1.0], [2.0]]), DataError, "1 keys occur more than once"),
        (lambda: EmbeddingInspector(["a"], [[float("nan")]]), DataError, "not finite; leave such keys out"),
        (lambda: tool.search("bees"), UnknownNameError, "'bees' has no vector; near it are bee"),
        (lambda: tool.search("bee", 0), InputError, "k must be a whole number >= 1, got 0"),
        (lambda: tool.search("bee", by="dot"), InputError, "by must be 'cosine' or 'euclidean'; got 'dot'"),
        (lambda: tool.search([1.0]), DataError, r"The query has shape \(1,\); give 2 finite numbers"),
        (lambda: tool.clusters(3), InputError, "between 1 and the 2 keys; got 3"),
        (lambda: tool.category_cosine({"ant": 1}), DataError, "1 keys have no category, such as 'bee'"),
        (lambda: tool.category_cosine([1]), DataError, "1 categories for 2 keys"),
        (lambda: tool.category_cosine(["x", "y"], order=["x"]), DataError, "order lacks the category 'y'"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_wrong_bookings_are_told() -> None:
    frame = pl.DataFrame({"user": [1], "user_type": ["a"], "listing_type": ["b"], "accepted": [False]})
    for table, words in (
        ([1], "Bookings are a polars frame; got list."),
        (frame.drop("user_type"), "no column 'user_type'; they have user, listing_type, accepted."),
        (frame.with_columns(user_type=pl.lit(None, pl.String)), "'user_type' has 1 missing values"),
        (frame, "No booking was accepted"),
    ):
        with pytest.raises((InputError, TypeError)) as caught:
            UserListingTypeEmbedding().fit(table)
        assert words in str(caught.value)


def test_types_need_their_columns() -> None:
    with pytest.raises(DataError, match="The table of listings has no column 'country'; the rules need country, type"):
        listing_types({"type": ["Entire"]})
    with pytest.raises(DataError, match="The column 'market' of users has missing values"):
        user_types({"market": [None]})
