"""Texts as numbers: pipelines, frames and series, saving, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.data.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from fivefold.data.text_pipeline import TextPipeline
from fivefold.data.words import TokenSequenceEncoder, WordHashing, WordOneHot

GOOD, BAD = "a wonderful moving film", "a dull boring mess of a film"
TEXTS = [GOOD, BAD, GOOD.upper(), BAD + "!"] * 6
LABELS = [1, 0, 1, 0] * 6


@pytest.mark.parametrize(
    "steps",
    [[TextPipeline(), TfidfVectorizer()], [CountVectorizer(), TfidfTransformer()], [WordHashing(n_features=64)]],
)
def test_pipelines(steps) -> None:
    model = make_pipeline(*steps, LogisticRegression()).fit(TEXTS, LABELS)
    assert model.predict(["a moving wonderful film", "boring mess"]).tolist() == [1, 0]


def test_grid_search() -> None:
    steps = make_pipeline(TfidfVectorizer(), LogisticRegression())
    found = GridSearchCV(steps, {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]}, cv=2).fit(TEXTS, LABELS)
    assert found.best_score_ == 1.0


@pytest.mark.parametrize("kind", [pd.Series, pl.Series, np.array, tuple])
def test_any_sequence_of_strings(kind) -> None:
    assert (CountVectorizer().fit_transform(kind(TEXTS)) != CountVectorizer().fit_transform(TEXTS)).nnz == 0


@pytest.mark.parametrize(
    ("model", "X", "error", "message"),
    [
        (CountVectorizer(), "one text", InputTypeError, "such as a list of strings; got one string"),
        (CountVectorizer(), [], DataError, "There is no text to read"),
        (CountVectorizer(), ["a b", None], InputTypeError, "Element 1 of the texts is None"),
        (CountVectorizer(), ["a b", "c"], DataError, "No term is left"),
        (CountVectorizer(ngram_range=(2, 1)), TEXTS, InputError, r"fewest <= most; got \(2, 1\)"),
        (CountVectorizer(analyzer="line"), TEXTS, InputError, "analyzer must be one of 'word', 'char', 'char_wb'"),
        (CountVectorizer(token_pattern="(a)(b)"), TEXTS, InputError, "may have one group at most"),
        (CountVectorizer(min_df=0), TEXTS, InputError, "min_df must be an int >= 1"),
        (CountVectorizer(max_df=1.5), TEXTS, InputError, "max_df must be an int >= 1"),
        (CountVectorizer(min_df=9, max_df=2), TEXTS, InputError, "leaves fewer texts than min_df"),
        (CountVectorizer(max_features=0), TEXTS, InputError, "max_features must be an int >= 1 or None"),
        (CountVectorizer(dtype="object"), TEXTS, InputError, "dtype must be 'int64'"),
        (CountVectorizer(vocabulary=["a", "a"]), TEXTS, InputError, "names a term twice"),
        (CountVectorizer(vocabulary={"a": 1}), TEXTS, InputError, "must map its terms to 0"),
        (CountVectorizer(stop_words="german"), TEXTS, InputError, "stop_words must be 'english' or a collection"),
        (TfidfVectorizer(norm="l3"), TEXTS, InputError, "norm must be 'l1', 'l2' or None"),
        (TextPipeline(normalize="root"), TEXTS, InputError, "normalize must be 'stem', 'lemma' or None"),
        (TextPipeline(language="klingon"), TEXTS, InputError, "There is no stemmer of 'klingon'; there are: "),
        (TextPipeline(min_count=0), TEXTS, InputError, "min_count must be a whole number >= 1"),
        (TextPipeline(output="words"), TEXTS, InputError, "output must be 'text' or 'tokens'"),
        (TokenSequenceEncoder(max_length=0), TEXTS, InputError, "max_length must be a whole number >= 1"),
        (TokenSequenceEncoder(), [["a", 1]], InputTypeError, "must hold strings, one a token"),
        (WordOneHot(words=["a", "a"]), TEXTS, InputError, "must be distinct"),
        (WordOneHot(max_words=0), TEXTS, InputError, "max_words must be a whole number >= 1"),
        (WordHashing(n=0), TEXTS, InputError, "n must be a whole number >= 1"),
        (WordHashing(boundary="##"), TEXTS, InputError, "boundary must be one character"),
        (WordHashing(alternate_sign=True), TEXTS, InputError, "give n_features"),
        (WordHashing(), ["", "  "], DataError, "hold no word"),
    ],
)
def test_refusals(model, X, error, message: str) -> None:
    with pytest.raises(error, match=message):
        model.fit(X)


def test_refusals_later() -> None:
    with pytest.raises(InputError, match="X has 2 terms, but the fit saw 3"):
        TfidfTransformer().fit(np.eye(3)).transform(np.eye(2))
    with pytest.raises(InputError, match=r"one row per token, \(4, d\); got shape \(3, 2\)"):
        TokenSequenceEncoder().fit(["a b"]).embed(["a"], np.zeros((3, 2)))
