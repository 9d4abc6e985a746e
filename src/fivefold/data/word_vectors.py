"""Documents as means of word vectors, which skip-gram with negative sampling learns from the texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from .validation import texts
from .words import _TextInput, frequent

_NOISE_ROWS = 1 << 16  # any value: rows of noise words that are used in turn


class Word2VecFeatures(_TextInput):
    r"""Turn each text into the mean of the vectors of its words.

    .. math:: x_i = \frac{1}{|W_i|} \sum_{w \in W_i} v_w

    over the known words of text i. The vectors are learned so that v predicts the words around w: gradient descent on

    .. math:: -\log \sigma(u_c^T v_w) - \sum_{k=1}^{K} \log \sigma(-u_{n_k}^T v_w)

    for every neighbor c and K noise words drawn with probability proportional to :math:`\mathrm{count}^{3/4}`.

    Parameters
    ----------
    vector_size : int >= 1, default 50
    window : int >= 1, default 5
        Farthest neighbor; for each place the reach is drawn from 1 … window.
    negative : int >= 1, default 5
        Noise words a pair.
    min_count : int >= 1, default 2
        Words seen fewer times have no vector.
    sample : float in [0, 1], default 0.001
        Words more frequent than this share are passed over at random: one of share f is kept with the chance
        :math:`\min(1, \sqrt{t/f} + t/f)`. 0 keeps all.
    learning_rate : float in (0, 1], default 0.05
        Falls linearly to a thousandth.
    epochs : int >= 1, default 5
    lowercase : bool, default True
    token_pattern : str, default ``r"\\w+"``
    vectors : mapping of word to vector, optional
        Ready vectors in place of learned ones.
    random_state : int, generator or None, default None

    Attributes
    ----------
    words_ : list of str
        By falling frequency, equals alphabetically; sorted where vectors are given.
    vectors_ : array of shape (words, vector_size)

    Returns
    -------
    transform : array of shape (n, vector_size); a text without known words is zero

    Raises
    ------
    InputError, InputTypeError, DataError
        For wrong parameters, what are no texts, and texts that leave no word.

    Notes
    -----
    The order of the words is lost. A mean weighs every word the same; TF-IDF vectors keep rare words apart, which with few
    texts often classifies better.

    References
    ----------
    Spec ``01#word2vec-features``; Mikolov et al. 2013, "Distributed representations of words and phrases and their
    compositionality".
    """

    def __init__(
        self,
        *,
        vector_size: int = 50,
        window: int = 5,
        negative: int = 5,
        min_count: int = 2,
        sample: float = 0.001,
        learning_rate: float = 0.05,
        epochs: int = 5,
        lowercase: bool = True,
        token_pattern: str = r"\w+",
        vectors: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.vector_size = vector_size
        self.window = window
        self.negative = negative
        self.min_count = min_count
        self.sample = sample
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.vectors = vectors
        self.random_state = random_state

    def _lines(self, X: Any) -> list[list[str]]:
        pattern = re.compile(self.token_pattern)
        return [pattern.findall(text.lower() if self.lowercase else text) for text in texts(X)]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vectors from the texts ``X``, n strings, or take those given."""
        for name in ("vector_size", "window", "negative", "min_count", "epochs"):
            check_count(name, getattr(self, name))
        check_number("sample", self.sample, 0.0, 1.0)
        check_number("learning_rate", self.learning_rate, 1e-9, 1.0)
        lines = self._lines(X)
        if self.vectors is not None:
            self._take()
            return self
        counts = Counter(word for line in lines for word in line)
        self.words_ = frequent(counts, self.min_count, None)
        if len(self.words_) < 2:
            raise DataError(
                f"Only {len(self.words_)} word(s) occur at least {self.min_count} times; give more text or lower min_count."
            )
        place = {word: i for i, word in enumerate(self.words_)}
        ids = [[place[word] for word in line if word in place] for line in lines]
        self._learn(ids, np.array([counts[word] for word in self.words_], dtype=np.float64))
        return self

    def _take(self) -> None:
        given = dict(self.vectors or {})
        self.words_ = sorted(given)
        try:
            self.vectors_ = np.array([given[word] for word in self.words_], dtype=np.float64)
        except ValueError as error:
            raise InputError("vectors must map each word to as many numbers.") from error
        if self.vectors_.ndim != 2 or not np.isfinite(self.vectors_).all():
            raise InputError("vectors must map at least one word to finite numbers, as many for each.")

    def _learn(self, ids: list[list[int]], counts: np.ndarray) -> None:
        from .word_vectors_kernels import train  # loads numba

        streams = Streams.of(self.random_state)
        size = self.vector_size
        inner = (streams.numpy("vectors").random((len(counts), size)) - 0.5) / size
        outer = np.zeros_like(inner)
        words = np.array([word for line in ids for word in line], dtype=np.int64)
        ends = np.cumsum([len(line) for line in ids])
        rates = falling_rates(self.learning_rate, self.epochs)
        keep = keep_chances(counts, self.sample)[words]
        for epoch in range(self.epochs):
            draw = streams.numpy("epoch", epoch)
            reach = draw.integers(1, self.window + 1, len(words))
            kept = draw.random(len(words)) < keep
            noise = noise_words(draw, counts, min(_NOISE_ROWS, 2 * self.window * len(words)), self.negative)
            train(inner, outer, words, ends, reach, kept, noise, *rates[epoch])
        if not np.isfinite(inner).all():
            raise DataError("The word vectors grew beyond all bounds; lower learning_rate.")
        self.vectors_ = inner

    def transform(self, X: Any) -> np.ndarray:
        """Return the mean vector of each text, shape (n, vector_size)."""
        self._check_fitted()
        place = {word: i for i, word in enumerate(self.words_)}
        ids = [[place[word] for word in line if word in place] for line in self._lines(X)]
        length = np.array([len(line) for line in ids])
        out = np.zeros((len(ids), self.vectors_.shape[1]))
        row = np.repeat(np.arange(len(ids)), length)
        np.add.at(out, row, self.vectors_[[word for line in ids for word in line]])
        mean: np.ndarray = out / np.maximum(length, 1)[:, None]
        return mean

    def most_similar(self, word: str, k: int = 5) -> list[tuple[str, float]]:
        """Return the k words of largest cosine similarity to a known word, most similar first."""
        self._check_fitted()
        if word not in self.words_:
            raise InputError(f"{word!r} has no vector: it is not among the {len(self.words_)} words of the fit.")
        length = np.linalg.norm(self.vectors_, axis=1, keepdims=True)
        unit = self.vectors_ / np.maximum(length, 1e-300)  # any value: no division by 0
        own = self.words_.index(word)
        score = unit @ unit[own]
        score[own] = -np.inf
        best = np.argsort(-score, kind="stable")[: min(k, len(score) - 1)]
        return [(self.words_[i], float(score[i])) for i in best]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``word2vec0``, ``word2vec1``, …"""
        self._check_fitted()
        return np.array([f"word2vec{i}" for i in range(self.vectors_.shape[1])], dtype=object)


def noise_words(draw: np.random.Generator, counts: np.ndarray, rows: int, negative: int) -> np.ndarray:
    """Return word ids (rows, negative) drawn with probability proportional to the count to the power of 3/4."""
    ladder = np.cumsum(counts**0.75)
    return np.searchsorted(ladder, draw.random((rows, negative)) * ladder[-1], side="right")


def falling_rates(rate: float, epochs: int) -> list[tuple[float, float]]:
    """Return the learning rate at the start and the end of each epoch: linear, down to a thousandth."""
    ends = [rate * max(1 - done / epochs, 1e-3) for done in range(epochs + 1)]
    return list(zip(ends, ends[1:]))


def keep_chances(counts: np.ndarray, sample: float) -> np.ndarray:
    """Return the chance of each word to be kept by subsampling, shape (words,)."""
    if not sample:
        return np.ones(len(counts))
    ratio = sample / (counts / counts.sum())
    return np.minimum(1.0, np.sqrt(ratio) + ratio)
