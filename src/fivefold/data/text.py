"""Bags of words: counts of terms, and their TF-IDF weights, as CSR matrices."""

from __future__ import annotations

import itertools
import numbers
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import TransformerMixin

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator

from .validation import texts

_ANALYZERS = ("word", "char", "char_wb")
_NORMS = ("l1", "l2", None)


def strip_accents(text: str) -> str:
    """Return the text without combining marks: é becomes e."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def char_ngrams(text: str, low: int, high: int) -> list[str]:
    """Return all substrings of ``low`` to ``high`` characters, short ones first."""
    return [text[i : i + n] for n in range(low, min(high, len(text)) + 1) for i in range(len(text) - n + 1)]


def word_char_ngrams(words: Iterable[str], low: int, high: int, boundary: str = " ") -> list[str]:
    """Return the n-grams within each word, put between boundary marks; a word shorter than n is one n-gram, once."""
    found = []
    for word in words:
        padded = f"{boundary}{word}{boundary}"
        for n in range(low, high + 1):
            found += [padded[i : i + n] for i in range(max(len(padded) - n, 0) + 1)]
            if len(padded) <= n:
                break
    return found


class CountVectorizer(TransformerMixin, Estimator):
    r"""Count the terms of each text: :math:`X_{ij}` is how often term j occurs in text i.

    Parameters
    ----------
    analyzer : {"word", "char", "char_wb"} or callable, default "word"
        Terms are words, characters, characters within words padded by blanks, or what ``analyzer(text)`` returns.
    ngram_range : (int, int), default (1, 1)
        Fewest and most consecutive words or characters of a term.
    lowercase : bool, default True
    strip_accents : bool, default False
    token_pattern : str, default ``r"(?u)\b\w\w+\b"``
        What a word is; with one group, the group.
    stop_words : "english", collection of str or None, default None
        Words left out before n-grams are formed.
    min_df, max_df : int or float, default 1 and 1.0
        Fewest and most texts that hold a term that is kept; a float is a share of the texts.
    max_features : int >= 1, optional
        Keep the terms most frequent in all texts, the alphabetically first of equals.
    vocabulary : collection of str or mapping to 0 … m - 1, optional
        Terms to count, in place of those found.
    binary : bool, default False
        1 for every term that occurs.
    dtype : {"int64", "float64", "float32", "int32"}, default "int64"

    Attributes
    ----------
    vocabulary_ : dict of term -> column

    Returns
    -------
    transform : CSR matrix of shape (n, m), columns sorted in each row

    Raises
    ------
    InputError, InputTypeError
        For a wrong parameter, one string in place of a collection, and elements that are no strings.
    DataError
        When no term is left.

    Notes
    -----
    "Alice sent a message to Bob" and "Bob sent a message to Alice" have one vector: order is lost.

    References
    ----------
    Spec ``01#count-vectorizer``, ``08#bag-of-words``.
    """

    def __init__(
        self,
        *,
        analyzer: str | Callable[[str], Iterable[str]] = "word",
        ngram_range: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        strip_accents: bool = False,
        token_pattern: str = r"(?u)\b\w\w+\b",
        stop_words: Any = None,
        min_df: float = 1,
        max_df: float = 1.0,
        max_features: int | None = None,
        vocabulary: Any = None,
        binary: bool = False,
        dtype: str = "int64",
    ) -> None:
        self.analyzer = analyzer
        self.ngram_range = ngram_range
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.token_pattern = token_pattern
        self.stop_words = stop_words
        self.min_df = min_df
        self.max_df = max_df
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.binary = binary
        self.dtype = dtype

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def build_analyzer(self) -> Callable[[str], list[str]]:
        """Return the function from a text to the list of its terms.

        Raises
        ------
        InputError
            For a wrong analyzer, range, pattern or stop list.
        """
        low, high = self.ngram_range
        if not 1 <= low <= high:
            raise InputError(f"ngram_range must be (fewest, most) with 1 <= fewest <= most; got {self.ngram_range!r}.")

        def prepare(text: str) -> str:
            text = text.lower() if self.lowercase else text
            return strip_accents(text) if self.strip_accents else text

        if callable(self.analyzer):
            custom = self.analyzer
            return lambda text: list(custom(text))
        if self.analyzer == "char":
            return lambda text: char_ngrams(re.sub(r"\s\s+", " ", prepare(text)), low, high)
        if self.analyzer == "char_wb":
            return lambda text: word_char_ngrams(prepare(text).split(), low, high)
        if self.analyzer != "word":
            raise InputError(
                f"analyzer must be one of {', '.join(map(repr, _ANALYZERS))} or a callable; got {self.analyzer!r}."
            )
        pattern = re.compile(self.token_pattern)
        if pattern.groups > 1:
            raise InputError(f"token_pattern may have one group at most; {self.token_pattern!r} has {pattern.groups}.")
        stop = stop_list(self.stop_words)

        def words(text: str) -> list[str]:
            tokens = [t for t in pattern.findall(prepare(text)) if t not in stop]
            if high == 1:
                return tokens
            return [" ".join(tokens[i : i + n]) for n in range(low, high + 1) for i in range(len(tokens) - n + 1)]

        return words

    def _count(self, X: Any, known: dict[str, int] | None) -> tuple[scipy.sparse.csr_matrix, list[str]]:
        """Return the counts and the terms; new terms are added as they come unless they are ``known``."""
        analyze = self.build_analyzer()
        place = dict(known) if known is not None else {}
        columns: list[int] = []
        ends = [0]
        for text in texts(X):
            if known is None:
                columns += [place.setdefault(term, len(place)) for term in analyze(text)]
            else:
                columns += [place[term] for term in analyze(text) if term in place]
            ends.append(len(columns))
        found = scipy.sparse.csr_matrix(
            (np.ones(len(columns), dtype=self.dtype), np.array(columns, dtype=np.int64), np.array(ends)),
            shape=(len(ends) - 1, len(place)),
        )
        found.sum_duplicates()
        if self.binary:
            found.data[:] = 1
        return found, list(place)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the terms of the texts ``X``, n strings."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> scipy.sparse.csr_matrix:
        """Learn the terms of the texts ``X`` and return their counts."""
        if self.dtype not in ("int64", "int32", "float64", "float32"):
            raise InputError(f"dtype must be 'int64', 'int32', 'float64' or 'float32'; got {self.dtype!r}.")
        if self.vocabulary is not None:
            self.vocabulary_ = _given(self.vocabulary)
            return self._count(X, self.vocabulary_)[0]
        counts, names = self._count(X, None)
        kept = self._kept(counts, np.array(names, dtype=object))
        order = kept[np.argsort(np.array(names, dtype=object)[kept])] if len(kept) else kept
        if not len(order):
            raise DataError(
                "No term is left: the texts hold none, or stop_words, min_df and max_df leave all of them out."
            )
        self.vocabulary_ = {names[j]: column for column, j in enumerate(order.tolist())}
        out = counts[:, order]
        out.sort_indices()
        return out

    def _kept(self, counts: scipy.sparse.csr_matrix, names: np.ndarray) -> np.ndarray:
        n = counts.shape[0]
        low, high = (self._limit(name, n) for name in ("min_df", "max_df"))
        if high < low:
            raise InputError(f"max_df ({self.max_df!r}) leaves fewer texts than min_df ({self.min_df!r}) asks for.")
        seen = np.bincount(counts.indices, minlength=counts.shape[1])
        kept = np.flatnonzero((seen >= low) & (seen <= high))
        if self.max_features is not None:
            if not isinstance(self.max_features, numbers.Integral) or self.max_features < 1:
                raise InputError(f"max_features must be an int >= 1 or None; got {self.max_features!r}.")
            kept = kept[np.argsort(names[kept])]
            total = np.asarray(counts.sum(axis=0)).ravel()[kept]
            kept = kept[np.argsort(-total, kind="stable")[: self.max_features]]
        return kept

    def _limit(self, name: str, n: int) -> float:
        value = getattr(self, name)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1
        share = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral) and 0 <= value <= 1
        if not whole and not share:
            raise InputError(f"{name} must be an int >= 1 (texts) or a float from 0 to 1 (share); got {value!r}.")
        return float(value) if whole else float(value) * n

    def transform(self, X: Any) -> scipy.sparse.csr_matrix:
        """Return the counts of the known terms in the texts ``X``, n strings; other terms are passed over."""
        if not hasattr(self, "vocabulary_") and self.vocabulary is not None:
            return self._count(X, _given(self.vocabulary))[0]
        self._check_fitted()
        return self._count(X, self.vocabulary_)[0]

    def inverse_transform(self, X: Any) -> list[np.ndarray]:
        """Return the terms that occur in each row, n arrays in the order of the columns."""
        self._check_fitted()
        rows = scipy.sparse.csr_matrix(X)
        names = self.get_feature_names_out()
        return [names[np.sort(rows.indices[a:b][rows.data[a:b] != 0])] for a, b in itertools.pairwise(rows.indptr)]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the terms in the order of the columns."""
        self._check_fitted()
        return np.array(sorted(self.vocabulary_, key=self.vocabulary_.__getitem__), dtype=object)


def stop_list(words: Any) -> frozenset[str]:
    """Return stop words as a set: none, "english", or those given."""
    if words is None:
        return frozenset()
    if isinstance(words, str):
        if words != "english":
            raise InputError(f"stop_words must be 'english' or a collection of words; got {words!r}.")
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return frozenset(ENGLISH_STOP_WORDS)
    return frozenset(words)


def _given(vocabulary: Any) -> dict[str, int]:
    if hasattr(vocabulary, "items"):
        found = {str(k): int(v) for k, v in vocabulary.items()}
    else:
        # A set has no order of its own: its terms are sorted.
        listed = sorted(vocabulary) if isinstance(vocabulary, (set, frozenset)) else list(vocabulary)
        found = {term: place for place, term in enumerate(listed)}
        if len(found) < len(listed):
            raise InputError("vocabulary names a term twice; name each once.")
    if not found or sorted(found.values()) != list(range(len(found))):
        raise InputError("vocabulary must map its terms to 0 … m - 1, each once, and hold at least one.")
    return found


class TfidfTransformer(TransformerMixin, Estimator):
    r"""Weight counts by how rare their terms are: :math:`\mathrm{tf}_{ij} \cdot \mathrm{idf}_j`, each row of norm 1.

    Parameters
    ----------
    norm, use_idf, smooth_idf, sublinear_tf
        As in :class:`TfidfVectorizer`.

    Attributes
    ----------
    idf_ : array of shape (m,)
        With ``use_idf``.

    References
    ----------
    Spec ``01#tfidf``, ``08#bag-of-words``.
    """

    def __init__(
        self, *, norm: str | None = "l2", use_idf: bool = True, smooth_idf: bool = True, sublinear_tf: bool = False
    ) -> None:
        self.norm = norm
        self.use_idf = use_idf
        self.smooth_idf = smooth_idf
        self.sublinear_tf = sublinear_tf

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn in how many rows of the counts ``X``, shape (n, m), each term occurs."""
        if self.norm not in _NORMS:
            raise InputError(f"norm must be 'l1', 'l2' or None; got {self.norm!r}.")
        counts = scipy.sparse.csr_matrix(X)
        extra = int(self.smooth_idf)
        rows = counts.shape[0] + extra
        seen = np.bincount(counts.indices[counts.data != 0], minlength=counts.shape[1]) + extra
        self.n_features_in_ = counts.shape[1]
        # A given vocabulary may hold terms that no text has: their idf is that of infinite rarity, they never weigh.
        with np.errstate(divide="ignore"):
            self.idf_ = np.log(rows / seen) + 1.0 if self.use_idf else None
        return self

    def transform(self, X: Any) -> scipy.sparse.csr_matrix:
        """Return the weights of the counts ``X``, CSR of shape (n, m)."""
        self._check_fitted()
        out = scipy.sparse.csr_matrix(X, dtype=np.float64, copy=True)
        if out.shape[1] != self.n_features_in_:
            raise InputError(f"X has {out.shape[1]} terms, but the fit saw {self.n_features_in_}.")
        out.eliminate_zeros()
        if self.sublinear_tf:
            out.data = np.log(out.data) + 1.0
        if self.idf_ is not None:
            out.data *= self.idf_[out.indices]
        if self.norm is not None:
            size = np.abs(out.data) if self.norm == "l1" else out.data**2
            total = np.add.reduceat(np.append(size, 0.0), np.minimum(out.indptr[:-1], len(size)))
            total[np.diff(out.indptr) == 0] = 1.0
            length = total if self.norm == "l1" else np.sqrt(total)
            out.data /= np.repeat(length, np.diff(out.indptr))
        return out


class TfidfVectorizer(CountVectorizer):
    r"""Weigh the terms of each text by how often they occur in it and how few texts hold them.

    .. math:: x_{ij} = \mathrm{tf}_{ij} \Bigl(\log\frac{1 + n}{1 + \mathrm{df}_j} + 1\Bigr), \qquad
              x_i \leftarrow x_i / \lVert x_i \rVert_2

    Parameters
    ----------
    norm : {"l2", "l1", None}, default "l2"
        What each row is divided by.
    use_idf : bool, default True
    smooth_idf : bool, default True
        Count as if one more text held every term; False gives :math:`\log(n / \mathrm{df}_j) + 1`.
    sublinear_tf : bool, default False
        :math:`1 + \log \mathrm{tf}` in place of tf.
    analyzer, ngram_range, lowercase, strip_accents, token_pattern, stop_words, min_df, max_df, max_features, vocabulary, binary
        As in :class:`CountVectorizer`.

    Attributes
    ----------
    vocabulary_ : dict of term -> column
    idf_ : array of shape (m,) or None

    Returns
    -------
    transform : CSR matrix of shape (n, m), float64

    Raises
    ------
    InputError, InputTypeError, DataError
        As in :class:`CountVectorizer`, and for an unknown norm.

    Notes
    -----
    One source writes IDF = 1 + log(N / df): that is ``smooth_idf=False, norm=None``.

    References
    ----------
    Spec ``01#tfidf``, ``08#bag-of-words``.
    """

    def __init__(
        self,
        *,
        analyzer: str | Callable[[str], Iterable[str]] = "word",
        ngram_range: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        strip_accents: bool = False,
        token_pattern: str = r"(?u)\b\w\w+\b",
        stop_words: Any = None,
        min_df: float = 1,
        max_df: float = 1.0,
        max_features: int | None = None,
        vocabulary: Any = None,
        binary: bool = False,
        dtype: str = "float64",
        norm: str | None = "l2",
        use_idf: bool = True,
        smooth_idf: bool = True,
        sublinear_tf: bool = False,
    ) -> None:
        super().__init__(
            analyzer=analyzer,
            ngram_range=ngram_range,
            lowercase=lowercase,
            strip_accents=strip_accents,
            token_pattern=token_pattern,
            stop_words=stop_words,
            min_df=min_df,
            max_df=max_df,
            max_features=max_features,
            vocabulary=vocabulary,
            binary=binary,
            dtype=dtype,
        )
        self.norm = norm
        self.use_idf = use_idf
        self.smooth_idf = smooth_idf
        self.sublinear_tf = sublinear_tf

    @property
    def idf_(self) -> np.ndarray | None:
        """Inverse document frequencies, shape (m,)."""
        self._check_fitted()
        idf: np.ndarray | None = self.weights_.idf_
        return idf

    def fit_transform(self, X: Any, y: Any = None) -> scipy.sparse.csr_matrix:
        """Learn terms and weights of the texts ``X`` and return their weights."""
        weights = TfidfTransformer(
            norm=self.norm, use_idf=self.use_idf, smooth_idf=self.smooth_idf, sublinear_tf=self.sublinear_tf
        )
        counts = super().fit_transform(X)
        self.weights_ = weights.fit(counts)
        return self.weights_.transform(counts)

    def transform(self, X: Any) -> scipy.sparse.csr_matrix:
        """Return the weights of the texts ``X``, n strings."""
        self._check_fitted()
        return self.weights_.transform(super().transform(X))
