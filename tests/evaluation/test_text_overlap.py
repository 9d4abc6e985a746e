"""BLEU and ROUGE: what they refuse, and in which words."""

from __future__ import annotations

import pytest

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.evaluation.text_overlap import Bleu, Rouge, bleu, rouge


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Bleu(0), InputError, "max_n must be a whole number >= 1, got 0"),
        (lambda: Bleu(smoothing="floor"), InputError, "smoothing must be one of none, add-one"),
        (lambda: Bleu().compute(), InputError, "bleu has seen no texts"),
        (lambda: bleu("a b", "a b"), DataError, "a list of candidates and as many references"),
        (lambda: bleu(["a"], ["a", "b"]), DataError, "as many references"),
        (lambda: bleu([[]], ["a"]), DataError, "at least one reference"),
        (lambda: bleu(["a"], [3]), InputTypeError, "a string or a sequence of tokens; got 3"),
        (lambda: Bleu().update(["a"], ["a"], [1.0]), InputError, "takes no sample_weight"),
        (lambda: Rouge("w"), InputError, "kind must be 'l' or a whole number >= 1, got 'w'"),
        (lambda: Rouge(measure="f2"), InputError, "measure must be one of precision, recall, f1"),
        (lambda: rouge([], []), DataError, "rouge needs a list"),
        (lambda: Rouge().merge(Rouge(2)), InputTypeError, "Only metrics of one kind merge"),
    ],
)
def test_refusals(call, error, words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
