"""Words as numbers: padded sequences of token ids, 1-of-N vectors, and counts of letter n-grams."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

import numpy as np
import scipy.sparse
from sklearn.base import TransformerMixin
from sklearn.utils import murmurhash3_32

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import Estimator

from .encoders import OTHER
from .text import word_char_ngrams
from .validation import texts

PADDING, UNKNOWN = "<pad>", "<unk>"


def frequent(counts: Counter[str], min_count: int, most: int | None) -> list[str]:
    """Return the words of at least ``min_count`` occurrences, most frequent first, equals in alphabetical order."""
    kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
    return kept[:most]


class _TextInput(TransformerMixin, Estimator):
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class TokenSequenceEncoder(_TextInput):
    r"""Turn sentences into rows of token ids of one length, padded; with a table of vectors, into matrices.

    A sentence of tokens :math:`t_1 \dots t_m` becomes the ids of these, then id 0 up to length L. With one-hot rows
    :math:`e_{id}` and a table :math:`E \in R^{V \times d}` the matrix of the sentence is :math:`X = [e_{id_i} E]_i`, a lookup
    of rows.

    Parameters
    ----------
    max_length : int >= 1, optional
        Length L; by default that of the longest training sentence. Longer sentences lose their end.
    min_count : int >= 1, default 1
        Tokens seen fewer times in training are ``<unk>``.
    max_tokens : int >= 1, optional
        The most frequent tokens that have ids of their own.
    lowercase : bool, default True
    token_pattern : str, default ``r"\\w+|[^\\w\\s]"``
        What a token of a string is. A list of strings is taken as tokens already.

    Attributes
    ----------
    tokens_ : list of str
        Token of each id: ``<pad>``, ``<unk>``, then by frequency, equals alphabetically.
    length_ : int

    Returns
    -------
    transform : int64 array of shape (n, L)

    Raises
    ------
    InputError, InputTypeError
        For wrong parameters and for what are no sentences.

    References
    ----------
    Spec ``02#text-sequence-encoding-pipeline``.
    """

    def __init__(
        self,
        *,
        max_length: int | None = None,
        min_count: int = 1,
        max_tokens: int | None = None,
        lowercase: bool = True,
        token_pattern: str = r"\w+|[^\w\s]",
    ) -> None:
        self.max_length = max_length
        self.min_count = min_count
        self.max_tokens = max_tokens
        self.lowercase = lowercase
        self.token_pattern = token_pattern

    def _sentences(self, X: Any) -> list[list[str]]:
        if isinstance(X, (list, tuple)) and X and all(isinstance(line, (list, tuple)) for line in X):
            lines = [list(line) for line in X]
            if not all(isinstance(token, str) for line in lines for token in line):
                raise InputTypeError("Sentences given as lists must hold strings, one a token.")
        else:
            pattern = re.compile(self.token_pattern)
            lines = [pattern.findall(text) for text in texts(X, "sentences")]
        return [[token.lower() for token in line] for line in lines] if self.lowercase else lines

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the tokens of the sentences ``X``, n strings or lists of tokens."""
        least = check_count("min_count", self.min_count)
        most = None if self.max_tokens is None else check_count("max_tokens", self.max_tokens)
        lines = self._sentences(X)
        longest = max(1, *(len(line) for line in lines))
        self.length_ = longest if self.max_length is None else check_count("max_length", self.max_length)
        counts = Counter(token for line in lines for token in line)
        for special in (PADDING, UNKNOWN):
            counts.pop(special, None)
        self.tokens_ = [PADDING, UNKNOWN, *frequent(counts, least, most)]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the token ids of the sentences, shape (n, L)."""
        self._check_fitted()
        place = {token: i for i, token in enumerate(self.tokens_)}
        lines = [line[: self.length_] for line in self._sentences(X)]
        out = np.zeros((len(lines), self.length_), dtype=np.int64)
        for row, line in zip(out, lines):
            row[: len(line)] = [place.get(token, 1) for token in line]
        return out

    def mask(self, ids: Any) -> np.ndarray:
        """Return which places hold a token, shape (n, L): those with another id than 0."""
        return np.asarray(ids) != 0

    def embed(self, X: Any, table: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of the tokens, shape (n, L, d), zeros where padded, and the mask of the tokens, (n, L).

        Parameters
        ----------
        X : n sentences
        table : array of shape (len(tokens_), d)
            The vector of each token.
        """
        ids = self.transform(X)
        vectors = np.asarray(table, dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(self.tokens_):
            raise InputError(f"table must have one row per token, ({len(self.tokens_)}, d); got shape {vectors.shape}.")
        present = self.mask(ids)
        return vectors[ids] * present[:, :, None], present

    def inverse_transform(self, ids: Any) -> list[list[str]]:
        """Return the tokens of each row without padding."""
        self._check_fitted()
        return [[self.tokens_[i] for i in row if i] for row in np.asarray(ids).tolist()]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``token0``, ``token1``, …"""
        self._check_fitted()
        return np.array([f"token{i}" for i in range(self.length_)], dtype=object)


class WordOneHot(_TextInput):
    """Turn words into 1-of-N vectors with one more dimension for all other words.

    Parameters
    ----------
    min_count : int >= 1, default 1
        Words seen fewer times in training are *other*.
    max_words : int >= 1, optional
        The most frequent words that have a dimension, the alphabetically first of equals.
    words : sequence of str, optional
        The words that have a dimension, in place of those found.
    lowercase : bool, default True

    Attributes
    ----------
    words_ : list of str
        Sorted, or as given; the dimension after them is ``<other>``.

    Returns
    -------
    transform : CSR matrix of shape (n, N + 1), one 1 in each row

    Raises
    ------
    InputError, InputTypeError
        For wrong parameters and for what are no words.

    Notes
    -----
    Any two words are equally far apart: the encoding holds no similarity.

    References
    ----------
    Spec ``05#word-one-hot-hash``, ``06#one-hot-encoding``.
    """

    def __init__(
        self,
        *,
        min_count: int = 1,
        max_words: int | None = None,
        words: Sequence[str] | None = None,
        lowercase: bool = True,
    ) -> None:
        self.min_count = min_count
        self.max_words = max_words
        self.words = words
        self.lowercase = lowercase

    def _read(self, X: Any) -> list[str]:
        found = texts(X, "words")
        return [word.lower() for word in found] if self.lowercase else found

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the words ``X``, n strings."""
        least = check_count("min_count", self.min_count)
        most = None if self.max_words is None else check_count("max_words", self.max_words)
        found = Counter(self._read(X))
        if self.words is None:
            self.words_ = sorted(frequent(found, least, most))
        else:
            self.words_ = texts(self.words, "words")
            if len(set(self.words_)) < len(self.words_):
                raise InputError("The given words must be distinct.")
        return self

    def transform(self, X: Any) -> scipy.sparse.csr_matrix:
        """Return one row per word, shape (n, N + 1)."""
        self._check_fitted()
        place = {word: i for i, word in enumerate(self.words_)}
        codes = np.array([place.get(word, len(place)) for word in self._read(X)], dtype=np.int64)
        return scipy.sparse.csr_matrix(
            (np.ones(len(codes)), codes, np.arange(len(codes) + 1)), shape=(len(codes), len(place) + 1)
        )

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the word of each row, ``<other>`` for the last dimension."""
        names = self.get_feature_names_out()
        rows = X if scipy.sparse.issparse(X) else np.asarray(X)
        return names[np.asarray(rows.argmax(axis=1)).reshape(-1)]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the words and ``<other>``."""
        self._check_fitted()
        return np.array([*self.words_, OTHER], dtype=object)


class WordHashing(_TextInput):
    r"""Count the letter n-grams of the words of each text, word boundaries marked: *good* is #go, goo, ood, od#.

    Parameters
    ----------
    n : int >= 1, default 3
        Letters of an n-gram, marks included. A word shorter than that is one n-gram.
    n_features : int >= 1, optional
        Hash the n-grams into so many columns. By default the n-grams of the training texts have a column each and others
        none.
    alternate_sign : bool, default False
        With ``n_features``: half of the n-grams count -1, so that collisions cancel on average.
    boundary : str of one character, default "#"
    lowercase : bool, default True

    Attributes
    ----------
    grams_ : list of str or None
        The n-grams in the order of the columns, sorted; None when hashed.
    n_texts_ : int

    Returns
    -------
    transform : CSR matrix of shape (n, m), float64

    Raises
    ------
    InputError, InputTypeError, DataError
        For wrong parameters, what are no texts, and texts without words.

    Notes
    -----
    30,000 letter trigrams stand for half a million words with few collisions, and unseen words share n-grams with those seen.
    The hash is MurmurHash3 of the n-gram's UTF-8 bytes, its absolute value modulo ``n_features``, its sign the sign.

    References
    ----------
    Spec ``05#word-one-hot-hash``; Huang et al. 2013, "Learning deep structured semantic models for web search using
    clickthrough data", section 3.2; Weinberger et al. 2009.
    """

    def __init__(
        self,
        *,
        n: int = 3,
        n_features: int | None = None,
        alternate_sign: bool = False,
        boundary: str = "#",
        lowercase: bool = True,
    ) -> None:
        self.n = n
        self.n_features = n_features
        self.alternate_sign = alternate_sign
        self.boundary = boundary
        self.lowercase = lowercase

    def _grams(self, X: Any) -> list[list[str]]:
        n = check_count("n", self.n)
        if not isinstance(self.boundary, str) or len(self.boundary) != 1:
            raise InputError(f"boundary must be one character; got {self.boundary!r}.")
        found = texts(X)
        lines = [text.lower() for text in found] if self.lowercase else found
        return [word_char_ngrams(line.split(), n, n, self.boundary) for line in lines]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the n-grams of the texts ``X``, n strings; with ``n_features`` there is nothing to learn."""
        if self.n_features is not None:
            check_count("n_features", self.n_features)
        elif self.alternate_sign:
            raise InputError("alternate_sign is for hashed n-grams; give n_features.")
        lines = self._grams(X)
        self.n_texts_ = len(lines)
        self.grams_ = None if self.n_features is not None else sorted({gram for line in lines for gram in line})
        if self.grams_ is not None and not self.grams_:
            raise DataError("The texts hold no word, so there is no n-gram to count.")
        return self

    def transform(self, X: Any) -> scipy.sparse.csr_matrix:
        """Return the counts of n-grams in the texts, shape (n, m)."""
        self._check_fitted()
        lines = self._grams(X)
        if self.grams_ is None:
            place = {gram: self._hash(gram) for gram in {gram for line in lines for gram in line}}
            width = cast(int, self.n_features)
        else:
            place, width = {gram: (i, 1.0) for i, gram in enumerate(self.grams_)}, len(self.grams_)
        cells = [[place[gram] for gram in line if gram in place] for line in lines]
        flat: Iterable[tuple[int, float]] = [cell for row in cells for cell in row]
        ends = np.concatenate([[0], np.cumsum([len(row) for row in cells])])
        table = np.array(flat, dtype=np.float64).reshape(int(ends[-1]), 2)
        out = scipy.sparse.csr_matrix((table[:, 1], table[:, 0].astype(np.int64), ends), shape=(len(lines), width))
        out.sum_duplicates()
        return out

    def _hash(self, gram: str) -> tuple[int, float]:
        value = int(murmurhash3_32(gram.encode(), seed=0))
        return abs(value) % cast(int, self.n_features), -1.0 if self.alternate_sign and value < 0 else 1.0

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the n-grams, or ``hash0``, ``hash1``, …"""
        self._check_fitted()
        names = self.grams_ if self.grams_ is not None else [f"hash{i}" for i in range(cast(int, self.n_features))]
        return np.array(names, dtype=object)
