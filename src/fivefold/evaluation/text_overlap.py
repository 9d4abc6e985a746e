"""Overlap of generated texts with reference texts: BLEU and ROUGE, as streams of exact counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import DataError, InputError, InputTypeError

from .metric import Metric

Tokens = tuple[str, ...]


def _tokens(text: Any, what: str) -> Tokens:
    if isinstance(text, str):
        return tuple(text.split())
    if isinstance(text, Sequence) and all(isinstance(token, str) for token in text):
        return tuple(text)
    raise InputTypeError(f"{what} takes each text as a string or a sequence of tokens; got {text!r}.")


def ngrams(tokens: Tokens, n: int) -> Counter[Tokens]:
    """Return how often each run of n tokens occurs."""
    return Counter(tokens[i : i + n] for i in range(len(tokens) - n + 1))


def _pairs(y_true: Any, y_pred: Any, sample_weight: Any, what: str) -> list[tuple[list[Tokens], Tokens]]:
    """Return (references, candidate) of every row; a row's references are one text or a list of texts."""
    if sample_weight is not None:
        raise InputError(f"{what} takes no sample_weight; repeat rows instead.")
    if isinstance(y_true, str) or isinstance(y_pred, str) or len(y_true) != len(y_pred) or len(y_pred) == 0:
        raise DataError(f"{what} needs a list of candidates and as many references, one or a list of texts each.")
    rows = []
    for references, candidate in zip(y_true, y_pred):
        several = [references] if isinstance(references, str) else list(references)
        if not several:
            raise DataError(f"{what} needs at least one reference for every candidate.")
        rows.append(([_tokens(text, what) for text in several], _tokens(candidate, what)))
    return rows


class _TextMetric(Metric):
    needs: ClassVar[str] = "labels"
    higher_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("generation",)

    def reset(self) -> None:
        self.counts: np.ndarray | None = None

    def merge(self, other: Metric) -> Self:
        self._check_same(other)
        if other.counts is not None:  # type: ignore[attr-defined]
            self._add(other.counts)  # type: ignore[attr-defined]
        return self

    def _add(self, counts: np.ndarray) -> None:
        self.counts = counts if self.counts is None else self.counts + counts

    def _seen(self) -> np.ndarray:
        if self.counts is None:
            raise InputError(f"{self.name} has seen no texts; call `update` before `compute`.")
        return self.counts


def bleu(y_true: Any, y_pred: Any, **options: Any) -> float:
    """BLEU of candidates ``y_pred`` against references ``y_true``; see :class:`Bleu`."""
    return Bleu(**options).update(y_true, y_pred).compute()


class Bleu(_TextMetric):
    r"""BLEU: how many runs of 1 to N words of the candidates stand in their references, over the whole corpus.

    .. math:: \mathrm{BLEU} = \min(1, e^{1 - r/c}) \, \Big( \prod_{n=1}^{N} p_n \Big)^{1/N}, \qquad
              p_n = \frac{\sum \min(\text{count}, \max_{\text{ref}} \text{count})}{\sum \text{count}}

    with c the length of all candidates and r that of the references nearest in length (the shorter of two equally near).

    Parameters
    ----------
    max_n : int >= 1, default 4
    smoothing : "none" (default) or "add-one"
        "add-one" adds 1 to both counts of every n > 1 (Lin & Och 2004), for single sentences, whose p_4 is often 0.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError, InputTypeError
        When the lists do not fit or an entry is no text.

    Notes
    -----
    Texts are split at blanks, nothing else; give tokens to count otherwise. The value of a corpus is not the mean over its
    sentences, so the stream keeps the 2N + 2 sums. Where a corpus has no runs of n words, n does not count.

    References
    ----------
    Papineni et al. 2002; spec ``06#rouge``.
    """

    name: ClassVar[str] = "bleu"
    function = staticmethod(bleu)

    def __init__(self, max_n: int = 4, smoothing: str = "none") -> None:
        super().__init__(
            max_n=check_count("max_n", max_n), smoothing=check_one_of("smoothing", smoothing, ("none", "add-one"))
        )

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add candidates and their references, one text or several each."""
        most = self.options["max_n"]
        counts = np.zeros(2 * most + 2, dtype=np.int64)  # hits and runs by n, candidate and reference length
        for references, candidate in _pairs(y_true, y_pred, sample_weight, self.name):
            for n in range(1, most + 1):
                mine, best = ngrams(candidate, n), Counter[Tokens]()
                for reference in references:
                    best |= ngrams(reference, n)  # the largest count among the references
                counts[n - 1] += (mine & best).total()
                counts[most + n - 1] += mine.total()
            counts[-2] += len(candidate)
            counts[-1] += min((abs(len(r) - len(candidate)), len(r)) for r in references)[1]
        self._add(counts)
        return self

    def compute(self) -> float:
        """Return BLEU of all texts so far."""
        counts, most = self._seen(), self.options["max_n"]
        hits, runs = counts[:most].astype(float), counts[most : 2 * most].astype(float)
        hits, runs = hits[runs > 0], runs[runs > 0]
        if self.options["smoothing"] == "add-one":
            hits[1:] += 1
            runs[1:] += 1
        if len(hits) == 0 or (hits == 0).any():
            return 0.0
        candidate, reference = counts[-2:]
        return float(min(1.0, np.exp(1 - reference / candidate)) * np.exp(np.log(hits / runs).mean()))


class RougeParts(NamedTuple):
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float
    f1: float


def _longest_common(a: Tokens, b: Tokens) -> int:
    """Return the length of the longest common subsequence, O(len a) steps over the whole of b."""
    words = np.array(b, dtype=object)
    row = np.zeros(len(b) + 1, dtype=np.int64)
    for token in a:
        step = np.maximum(row[1:], row[:-1] + (words == token))
        row[1:] = np.maximum.accumulate(step)
    return int(row[-1])


def rouge(y_true: Any, y_pred: Any, **options: Any) -> float:
    """ROUGE of candidates ``y_pred`` against references ``y_true``; see :class:`Rouge`."""
    return Rouge(**options).update(y_true, y_pred).compute()


class Rouge(_TextMetric):
    r"""ROUGE-N and ROUGE-L: shared runs of n words, or the longest common subsequence, averaged over texts.

    .. math:: R = \frac{\text{shared}}{\text{in the reference}}, \quad P = \frac{\text{shared}}{\text{in the candidate}},
              \quad F = \frac{2 P R}{P + R}

    Parameters
    ----------
    kind : "l" (default) or int n >= 1
        The longest common subsequence, or runs of n words.
    measure : "f1" (default), "precision" or "recall"
        What ``compute`` returns; the 2004 paper reports recall.

    Returns
    -------
    float in [0, 1]
        The mean over texts. With several references the one of the best F counts; without any run of n words it is 0.

    Raises
    ------
    DataError, InputTypeError
        When the lists do not fit or an entry is no text.

    Notes
    -----
    Texts are split at blanks, without lower-casing or stemming; give tokens to count otherwise. The stream keeps four sums.

    References
    ----------
    Lin 2004; spec ``06#rouge``.
    """

    name: ClassVar[str] = "rouge"
    function = staticmethod(rouge)

    def __init__(self, kind: str | int = "l", measure: str = "f1") -> None:
        whole = isinstance(kind, (int, np.integer)) and not isinstance(kind, bool) and kind >= 1
        if not (whole or kind == "l"):
            raise InputError(f"kind must be 'l' or a whole number >= 1, got {kind!r}.")
        super().__init__(kind=kind, measure=check_one_of("measure", measure, RougeParts._fields))

    def _one(self, reference: Tokens, candidate: Tokens) -> RougeParts:
        kind = self.options["kind"]
        if kind == "l":
            shared, wanted, made = _longest_common(reference, candidate), len(reference), len(candidate)
        else:
            a, b = ngrams(reference, kind), ngrams(candidate, kind)
            shared, wanted, made = (a & b).total(), a.total(), b.total()
        if shared == 0:
            return RougeParts(0.0, 0.0, 0.0)
        return RougeParts(shared / made, shared / wanted, 2 * shared / (made + wanted))

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Self:
        """Add candidates and their references, one text or several each."""
        counts = np.zeros(4)
        for references, candidate in _pairs(y_true, y_pred, sample_weight, self.name):
            best = max((self._one(reference, candidate) for reference in references), key=lambda parts: parts.f1)
            counts += [*best, 1.0]
        self._add(counts)
        return self

    def parts(self) -> RougeParts:
        """Return mean precision, recall and F of all texts so far."""
        counts = self._seen()
        return RougeParts(*(counts[:3] / counts[3]).tolist())

    def compute(self) -> float:
        """Return the measure chosen, of all texts so far."""
        return float(getattr(self.parts(), self.options["measure"]))
