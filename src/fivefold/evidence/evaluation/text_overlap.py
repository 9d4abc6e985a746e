"""BLEU and ROUGE: the worked examples of their papers, brute force, shards."""

from __future__ import annotations

import itertools
import math

import numpy as np

from fivefold.evidence import Check, evidence

REFERENCES = [
    "It is a guide to action that ensures that the military will forever heed Party commands".lower(),
    "It is the guiding principle which guarantees the military forces always being under the command of the Party".lower(),
    "It is the practical guide for the army always to heed the directions of the party".lower(),
]
FIRST = "It is a guide to action which ensures that the military always obeys the commands of the party".lower()
SECOND = "It is to insure the troops forever hearing the activity guidebook that party direct".lower()


def _texts() -> tuple[list[list[list[str]]], list[list[str]]]:
    """Return references and candidates of few words, so that runs repeat."""
    rng = np.random.default_rng(0)
    candidates = [[str(w) for w in rng.integers(0, 3, size)] for size in rng.integers(4, 9, 12)]
    references = [[[str(w) for w in rng.integers(0, 3, size)] for size in rng.integers(4, 9, 2)] for _ in candidates]
    return references, candidates


@evidence("bleu", claim="Precisions 17/18, 8/14, 10/17, 1/13 and 2/7 of the paper", against="Papineni et al. 2002")
def bleu_paper() -> Check:
    from fivefold.evaluation.text_overlap import Bleu, bleu

    wrong = 0.0
    for text, one, two in ((FIRST, 17 / 18, 10 / 17), (SECOND, 8 / 14, 1 / 13)):
        found = Bleu().update([REFERENCES], [text]).counts
        wrong += abs(found[0] / found[4] - one) + abs(found[1] / found[5] - two)
    the = Bleu(max_n=1).update([["the cat is on the mat", "there is a cat on the mat"]], ["the " * 7])
    wrong += abs(the.compute() - 2 / 7)
    # A candidate of 6 of 8 words: the brevity penalty is e^(1 - 8/6); all four precisions are 1.
    wrong += abs(bleu(["a b c d e f g h"], ["a b c d e f"]) - math.exp(1 - 8 / 6))
    wrong += abs(bleu(["a b c d e f g h"], ["a b c d e f g h"]) - 1) + bleu(["a b c d"], ["a b c e"])
    # One longer than its reference is not punished but by its precision; of 4 and 6 words the shorter is nearest to 5.
    wrong += abs(bleu(["a b"], ["a b c"], max_n=1) - 2 / 3)
    wrong += abs(int(Bleu().update([["a b c d e f", "a b c d"]], ["a b c d x"]).counts[-1]) - 4)
    smooth = ((3 / 4) * (3 / 4) * (2 / 3) * (1 / 2)) ** 0.25  # 3/4, (2+1)/(3+1), (1+1)/(2+1), (0+1)/(1+1)
    wrong += abs(bleu(["a b c d"], ["a b c e"], smoothing="add-one") - smooth)
    return Check(float(wrong), 1e-14, "sum of differences", "Papineni et al.")


@evidence(
    "bleu",
    claim="Clipped counts over a corpus; shards give the whole, means of sentences do not",
    against="brute force",
)
def bleu_brute_force() -> Check:
    from fivefold.evaluation.text_overlap import Bleu, bleu

    references, candidates = _texts()
    logs = []
    for n in range(1, 5):
        hits = runs = 0
        for refs, text in zip(references, candidates):
            windows = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
            runs += len(windows)
            for gram in set(windows):
                there = max(sum(tuple(r[i : i + n]) == gram for i in range(len(r) - n + 1)) for r in refs)
                hits += min(windows.count(gram), there)
        logs.append(math.log(hits / runs))
    made = sum(map(len, candidates))
    wanted = sum(sorted(map(len, r), key=lambda k: (abs(k - len(c)), k))[0] for r, c in zip(references, candidates))
    exact = min(1.0, math.exp(1 - wanted / made)) * math.exp(sum(logs) / 4)
    wrong = abs(bleu(references, candidates) - exact)
    total = Bleu()
    for k in (2, 0, 1):
        total.merge(Bleu().update(references[k::3], candidates[k::3]))
    wrong += abs(total.compute() - exact)
    singles = np.mean([bleu([r], [c]) for r, c in zip(references, candidates)])
    return Check(float(wrong + (not abs(singles - exact) >= 0.01)), 1e-14, "sum of differences", "brute force")


@evidence("rouge", claim="The gunman: ROUGE-L 3/4 and 2/4, ROUGE-2 1/3 and 1/3", against="Lin 2004")
def rouge_paper() -> Check:
    from fivefold.evaluation.text_overlap import Rouge, rouge

    truth, first, second = "police killed the gunman", "police kill the gunman", "the gunman kill police"
    wrong = abs(rouge([truth], [first]) - 3 / 4) + abs(rouge([truth], [second]) - 2 / 4)
    wrong += sum(abs(rouge([truth], [text], kind=2) - 1 / 3) for text in (first, second))
    # Of 5 words 2 are shared with a reference of 4, in order: P 2/5, R 2/4, F 4/9; the better of two references counts.
    parts = Rouge().update(["a b c d"], ["a x y z d"]).parts()
    wrong += abs(parts.precision - 2 / 5) + abs(parts.recall - 1 / 2) + abs(parts.f1 - 4 / 9)
    wrong += abs(rouge(["a b c d"], ["a x y z d"], measure="recall") - 1 / 2)
    wrong += abs(rouge(["a b c d"], ["a x y z d"], measure="precision") - 2 / 5)
    wrong += abs(rouge([["a b c d", "a x y z q"]], ["a x y z d"]) - 4 / 5)
    wrong += abs(rouge(["a a b"], ["a a a a"], kind=1) - 4 / 7) + rouge(["a"], ["a"], kind=2) + rouge(["a"], ["b"])
    wrong += abs(rouge(["a b", "c d"], ["a b", "d c"]) - (1 + 1 / 2) / 2)
    return Check(float(wrong), 1e-14, "sum of differences", "Lin 2004")


@evidence(
    "rouge", claim="The common subsequence is the longest there is; shards give the whole", against="all subsequences"
)
def rouge_brute_force() -> Check:
    from fivefold.evaluation.text_overlap import Rouge

    references, candidates = _texts()

    def subsequences(text: list[str]) -> set[tuple[str, ...]]:
        return {c for size in range(len(text) + 1) for c in itertools.combinations(text, size)}

    values = []
    for refs, text in zip(references, candidates):
        mine = subsequences(text)
        found = [(max(map(len, mine & subsequences(r))), len(r)) for r in refs]
        values.append(max(2 * shared / (len(text) + size) for shared, size in found))
    total = Rouge()
    for k in (2, 0, 1):
        total.merge(Rouge().update(references[k::3], candidates[k::3]))
    return Check(abs(total.compute() - float(np.mean(values))), 1e-14, "difference", "brute force")


@evidence(
    "bleu", claim="A text is a string or a sequence of strings; numbers and sets are refused", against="the contract"
)
def texts_accepted() -> Check:
    from fivefold.base.errors import InputError, InputTypeError
    from fivefold.evaluation.text_overlap import bleu, rouge

    wrong = abs(bleu(["a b c d"], ["a b c d"]) - bleu([[("a", "b", "c", "d")]], [["a", "b", "c", "d"]]))
    for text in ([1, 2], {"a", "b"}, 3):
        for metric in (bleu, rouge):
            try:
                metric(["a b"], [text])
                wrong += 1
            except InputTypeError as error:
                wrong += "a string or a sequence of tokens" not in str(error)
    wrong += rouge(["a b"], ["a b"], kind=np.int64(2)) != 1.0
    for kind in (True, 0, 1.0, "n", "1"):
        try:
            rouge(["a b"], ["a b"], kind=kind)
            wrong += 1
        except InputError as error:
            wrong += "whole number >= 1" not in str(error)
    return Check(float(wrong), 0.0, "differences", "the contract")
