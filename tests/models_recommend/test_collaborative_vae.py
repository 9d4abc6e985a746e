"""The collaborative variational autoencoder: what is refused, in which words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError
from fivefold.models.recommend import CollaborativeVAE

TABLE = pl.DataFrame({"user": ["u", "u", "v"], "item": [1, 2, 2]})
WORDS = pl.DataFrame({"item": [1, 2, 3], "w": [0.0, 1.0, 0.5]})


@pytest.mark.parametrize(
    ("model", "content", "words"),
    [
        (CollaborativeVAE(factors=0), None, "`factors` is 0; give a whole number >= 1."),
        (CollaborativeVAE(hidden_layer_sizes=(4, 0)), None, "`hidden_layer_sizes` is 0; give a whole number >= 1."),
        (CollaborativeVAE(epochs=-1), None, "`epochs` is -1; give a whole number >= 0."),
        (CollaborativeVAE(lambda_v=0.0), None, "`lambda_v` is 0.0; give a number > 0"),
        (CollaborativeVAE(b=1.0), None, "b is 1.0 and a 1.0; what met counts for more than what did not: give b < a."),
        (CollaborativeVAE(), [1], "`content` must be a polars or pandas frame"),
        (CollaborativeVAE(), WORDS.rename({"item": "thing"}), "no column 'item' for the item"),
        (CollaborativeVAE(), WORDS[:1], "The content lacks 1 items of the table, such as 2."),
        (CollaborativeVAE(), WORDS.select("item"), "The content has no column beside item; give columns of numbers"),
        (CollaborativeVAE(), WORDS.with_columns(t=pl.lit("x")), "the column 't', which holds String; give columns"),
        (
            CollaborativeVAE(),
            WORDS.with_columns(w=pl.lit(2.0)),
            "Row 0 of the content is 2.0 in 'w'; give numbers in [0, 1].",
        ),
        (CollaborativeVAE(), WORDS.with_columns(w=pl.lit(float("nan"))), "Row 0 of the content is nan in 'w'"),
        (CollaborativeVAE(), pl.concat([WORDS, WORDS[:1]]), "The item 1 has several rows of content; give one."),
    ],
)
def test_wrong_content_is_told(model, content, words) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        model.fit(TABLE, content=content)
    assert words in str(caught.value)


def test_new_items_are_encoded_as_in_training() -> None:
    small = {"factors": 2, "hidden_layer_sizes": (3,), "iterations": 1, "pretrain_epochs": 1, "random_state": 0}
    with pytest.raises(DataError, match="fitted without content, so it has no encoder"):
        CollaborativeVAE(**small).fit(TABLE).encode(WORDS)
    model = CollaborativeVAE(**small).fit(TABLE, content=WORDS)
    with pytest.raises(DataError, match="The content lacks columns of the training: w; give all of them."):
        model.encode(WORDS.rename({"w": "x"}))
    assert np.allclose(model.encode(WORDS.select(pl.lit(0.0).alias("other"), "w", "item")), model.codes_, atol=1e-6)
    assert set(model.recommend("u", k=3)["item"]) == {3}
