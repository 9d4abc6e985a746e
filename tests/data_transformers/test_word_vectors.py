"""Word vectors: reproducibility and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base.errors import DataError, InputError
from fivefold.data.word_vectors import Word2VecFeatures

TEXTS = ["the ship sails", "the ship sinks", "a cake bakes", "a cake burns"]


def test_seeds() -> None:
    fits = [Word2VecFeatures(vector_size=4, random_state=s).fit(TEXTS).vectors_ for s in (1, 1, 2)]
    assert np.array_equal(fits[0], fits[1]) and not np.array_equal(fits[0], fits[2])


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Word2VecFeatures(min_count=9), DataError, "Only 0 word\\(s\\) occur at least 9 times"),
        (Word2VecFeatures(vector_size=0), InputError, "vector_size must be a whole number >= 1"),
        (Word2VecFeatures(sample=2.0), InputError, "sample must be a finite number >= 0 and <= 1"),
        (Word2VecFeatures(learning_rate=0.0), InputError, "learning_rate must be a finite number"),
        (Word2VecFeatures(vectors={"a": [1.0], "b": [1.0, 2.0]}), InputError, "as many numbers"),
        (Word2VecFeatures(vectors={}), InputError, "at least one word to finite numbers"),
        (Word2VecFeatures(vectors={"a": [np.nan]}), InputError, "finite numbers"),
    ],
)
def test_refusals(model, error, message: str) -> None:
    with pytest.raises(error, match=message):
        model.fit(TEXTS)


def test_unknown_word() -> None:
    with pytest.raises(InputError, match="'zebra' has no vector"):
        Word2VecFeatures(random_state=0).fit(TEXTS).most_similar("zebra")
