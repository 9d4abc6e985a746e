"""The least settings that transformers of words and crosses take: one is enough, none is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence


def _violations(cls: Any, name: str, least: int, X: Any, shape: tuple[int, ...], **others: Any) -> int:
    """Count what is wrong: the least value has to give the shape, one less a message that names the setting."""
    from fivefold.base.errors import InputError

    wrong = int(np.shape(cls(**{name: least}, **others).fit(X).transform(X)) != shape)
    try:
        cls(**{name: least - 1}, **others).fit(X)
    except InputError as error:
        return wrong + (name not in str(error))
    return wrong + 1


@evidence("token-sequence-encoder", claim="One word or one place is enough, none is refused", against="the contract")
def least_sequences() -> Check:
    from fivefold.data.words import TokenSequenceEncoder

    wrong = _violations(TokenSequenceEncoder, "max_length", 1, ["a b", "c"], (2, 1))
    wrong += _violations(TokenSequenceEncoder, "max_tokens", 1, ["a b", "a c d"], (2, 3))
    # Texts without words have one place, of padding.
    wrong += TokenSequenceEncoder().fit(["", ""]).length_ != 1
    return Check(wrong, 0, "violations", "the contract")


@evidence("word-one-hot", claim="A count of one and a single word are enough, none is refused", against="the contract")
def least_words() -> Check:
    from fivefold.data.words import WordOneHot

    once = np.shape(WordOneHot(min_count=1).fit(["cat", "dog"]).transform(["cat"]))[1]
    wrong = _violations(WordOneHot, "min_count", 1, ["cat", "dog"], (2, once))
    one = np.shape(WordOneHot(max_words=1).fit(["cat", "dog", "cat"]).transform(["cat"]))[1]
    wrong += _violations(WordOneHot, "max_words", 1, ["cat", "dog", "cat"], (3, one)) + (once - one != 1)
    return Check(wrong, 0, "violations", "the contract")


@evidence("word-hashing", claim="A single feature is enough, none is refused", against="the contract")
def least_features() -> Check:
    from fivefold.data.words import WordHashing

    wrong = _violations(WordHashing, "n_features", 1, ["cat", "dog"], (2, 1))
    return Check(wrong, 0, "violations", "the contract")


@evidence(
    "feature-cross", claim="A single bucket and crosses of two are enough, fewer are refused", against="the contract"
)
def least_crosses() -> Check:
    from fivefold.data.cross import FeatureCross

    X = np.array([["a", "x"], ["b", "y"], ["a", "y"]], dtype=object)
    own = np.shape(FeatureCross(kind="category", n_buckets=1).fit(X).transform(X))
    wrong = _violations(FeatureCross, "n_buckets", 1, X, own, kind="category")
    pairs = np.shape(FeatureCross(degree=2, kind="category").fit(X).transform(X))
    wrong += _violations(FeatureCross, "degree", 2, X, pairs, kind="category")
    return Check(wrong, 0, "violations", "the contract")


@evidence(
    "word2vec-features",
    claim="How far a word reaches is uniform from one to the window, drawn afresh in every pass",
    against="counts of the draws",
)
def reach_of_words() -> Check:
    from fivefold.data import word_vectors_kernels
    from fivefold.data.word_vectors import Word2VecFeatures

    drawn: list[np.ndarray] = []
    own = word_vectors_kernels.train
    texts = ["a b c d e f g h"] * 400
    wrong = 0
    for window in (1, 4):
        drawn.clear()
        word_vectors_kernels.train = lambda *parts: drawn.append(parts[4])
        try:
            Word2VecFeatures(vector_size=2, window=window, min_count=1, epochs=2, random_state=3).fit(texts)
        finally:
            word_vectors_kernels.train = own
        counts = np.bincount(np.concatenate(drawn), minlength=window + 1)
        mean = counts.sum() / window
        wrong += counts[0] + (len(counts) != window + 1) + (len(drawn) != 2)
        wrong += int((~(np.abs(counts[1:] - mean) <= 6 * np.sqrt(mean))).any())
        wrong += window != 1 and np.array_equal(drawn[0], drawn[-1])
    return Check(float(wrong), 0.0, "violations", "counts of the draws")
