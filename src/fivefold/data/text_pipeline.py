"""Text preprocessing: segment, clean, drop stop words and rare words, then lemmas or stems."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError
from fivefold.base.estimator import Estimator

from .lemmas import lemma
from .text import stop_list, strip_accents
from .validation import texts

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_POSSESSIVE = re.compile(r"['’]s$")


@lru_cache(maxsize=16)
def _stemmer(language: str) -> Any:
    import snowballstemmer

    if language not in snowballstemmer.algorithms():
        raise InputError(f"There is no stemmer of {language!r}; there are: {', '.join(snowballstemmer.algorithms())}.")
    return snowballstemmer.stemmer(language)


def segment(text: str) -> list[str]:
    """Return words and punctuation marks in their order; an apostrophe within a word belongs to it."""
    return _TOKEN.findall(text)


class TextPipeline(TransformerMixin, Estimator):
    """Turn raw texts into clean ones: segmentation, cleaning, stop and rare words, normalization.

    Parameters
    ----------
    lowercase : bool, default True
    punctuation : bool, default False
        Keep punctuation marks as tokens of their own.
    accents : bool, default True
        Keep accents; False turns é into e.
    digits : str or None, default "0"
        What stands for every run of digits; None keeps them.
    stop_words : "english", collection of str or None, default "english"
        Words left out, compared in lower case and before normalization.
    min_count : int >= 1, default 1
        Words that occur fewer times in the training texts, after normalization, are left out.
    normalize : {"stem", "lemma", None}, default "stem"
        Word stems by Snowball's algorithm of ``language``, or English lemmas by irregular forms and rules of inflection.
    language : str, default "english"
        Of the stemmer: ``"english"``, ``"porter"`` (the algorithm of 1980), ``"german"`` …
    output : {"text", "tokens"}, default "text"
        A string of tokens with blanks between, or the list of them.

    Attributes
    ----------
    kept_ : list of str or None
        Words of the training texts that are frequent enough, sorted; None with ``min_count=1``.
    n_texts_ : int

    Returns
    -------
    transform : list of n strings, or of n lists of strings

    Raises
    ------
    InputError, InputTypeError
        For a wrong parameter, one string in place of a collection, and elements that are no strings.

    Notes
    -----
    Lemmas are words (driving, drove: drive; cats: cat), stems need not be. Lemmas need no dictionary here, so a rare irregular
    form stays as it is.

    References
    ----------
    Spec ``01#text-pipeline``; Porter 1980, "An algorithm for suffix stripping".
    """

    def __init__(
        self,
        *,
        lowercase: bool = True,
        punctuation: bool = False,
        accents: bool = True,
        digits: str | None = "0",
        stop_words: Any = "english",
        min_count: int = 1,
        normalize: str | None = "stem",
        language: str = "english",
        output: str = "text",
    ) -> None:
        self.lowercase = lowercase
        self.punctuation = punctuation
        self.accents = accents
        self.digits = digits
        self.stop_words = stop_words
        self.min_count = min_count
        self.normalize = normalize
        self.language = language
        self.output = output

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _tokens(self, found: list[str]) -> list[list[str]]:
        stop = stop_list(self.stop_words)
        if self.normalize not in ("stem", "lemma", None):
            raise InputError(f"normalize must be 'stem', 'lemma' or None; got {self.normalize!r}.")
        form = lemma
        if self.normalize == "stem":
            form = lru_cache(maxsize=None)(_stemmer(self.language).stemWord)
        out = []
        for text in found:
            text = text if self.accents else strip_accents(text)
            tokens = []
            for token in segment(text.lower() if self.lowercase else text):
                if not token[0].isalnum() and token[0] != "_":
                    if self.punctuation:
                        tokens.append(token)
                    continue
                if token.lower() in stop:
                    continue
                token = _POSSESSIVE.sub("", token)
                token = token if self.digits is None else re.sub(r"\d+", self.digits, token)
                tokens.append(form(token) if self.normalize else token)
            out.append(tokens)
        return out

    def fit(self, X: Any, y: Any = None) -> Self:
        """Count the words of the texts ``X``, n strings."""
        least = check_count("min_count", self.min_count)
        if self.output not in ("text", "tokens"):
            raise InputError(f"output must be 'text' or 'tokens'; got {self.output!r}.")
        found = texts(X)
        tokens = self._tokens(found)
        self.n_texts_ = len(found)
        self.kept_ = None
        if least > 1:
            counts = Counter(token for line in tokens for token in line)
            self.kept_ = sorted(token for token, count in counts.items() if count >= least)
        return self

    def transform(self, X: Any) -> list[Any]:
        """Return the clean form of the texts ``X``, n strings."""
        self._check_fitted()
        lines = self._tokens(texts(X))
        if self.kept_ is not None:
            kept = set(self.kept_)
            lines = [[token for token in line if token in kept] for line in lines]
        return lines if self.output == "tokens" else [" ".join(line) for line in lines]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the one name ``text``."""
        return np.array(["text"], dtype=object)
