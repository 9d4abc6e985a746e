"""Evidence for text as numbers: counts, TF-IDF, preprocessing, sequences, one-hot words and letter n-grams."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest

CORPUS = [
    "The quick brown fox; the LAZY dog!",
    "A dog, a fox  and a café: don't   stop.",
    "brown Brown BROWN 2021 2021x",
    "an empty-ish line_1 of x y z",
    "Alice sent a message to Bob",
    "the fox saw the dog and the dog saw Alice",
]


def _differs(ours: Any, peer: Any) -> float:
    if ours.shape != peer.shape or ours.format != "csr" or not ours.has_sorted_indices:
        return 1.0
    return float(np.abs((ours - peer).toarray()).max())


@evidence(
    "count-vectorizer",
    claim="Counts, their columns, limits, stop words, n-grams, given vocabularies and unseen texts agree exactly",
    against="scikit-learn CountVectorizer",
)
def counts_peer() -> Check:
    from sklearn.feature_extraction.text import CountVectorizer as Peer

    from fivefold.data.text import CountVectorizer

    grid: list[dict[str, Any]] = [
        {},
        {"lowercase": False},
        {"ngram_range": (1, 3)},
        {"ngram_range": (2, 2), "stop_words": ["the", "a"]},
        {"stop_words": "english"},
        {"analyzer": "char", "ngram_range": (1, 3)},
        {"analyzer": "char_wb", "ngram_range": (2, 4)},
        {"analyzer": "char_wb", "ngram_range": (5, 6)},
        {"analyzer": str.split},
        {"min_df": 2},
        {"min_df": 0.3, "max_df": 0.5},
        {"max_df": 2},
        {"max_features": 3},
        {"max_features": 1, "ngram_range": (1, 2)},
        {"binary": True},
        {"vocabulary": ["fox", "dog", "zebra"]},
        {"vocabulary": {"dog": 1, "fox": 0}},
        {"vocabulary": {"fox", "dog"}},
        {"token_pattern": r"(?u)(\w)\w*"},
    ]
    new = [*CORPUS[::-1], "zebra fox", ""]
    wrong = 0.0
    for options in grid:
        ours, peer = CountVectorizer(**options), Peer(**options)
        wrong += _differs(ours.fit_transform(CORPUS), peer.fit_transform(CORPUS))
        wrong += _differs(ours.transform(new), peer.transform(new))
        wrong += ours.vocabulary_ != {k: int(v) for k, v in peer.vocabulary_.items()}
        wrong += list(ours.get_feature_names_out()) != list(peer.get_feature_names_out())
    accents = CountVectorizer(strip_accents=True).fit_transform(CORPUS)
    wrong += _differs(accents, Peer(strip_accents="unicode").fit_transform(CORPUS))
    wrong += CountVectorizer().fit_transform(CORPUS).dtype != np.int64
    return Check(wrong, 0, "differences", "scikit-learn CountVectorizer")


@evidence(
    "count-vectorizer",
    claim="Counts are those of a dictionary per text, and a sentence and its reversal have one vector",
    against="collections.Counter; the example of the specification",
)
def counts_counter() -> Check:
    from fivefold.data.text import CountVectorizer

    draw = np.random.default_rng(0)
    lines = [" ".join(draw.choice(["aa", "bb", "cc", "dd", "x"], draw.integers(0, 12))) for _ in range(40)]
    model = CountVectorizer().fit(lines)
    wrong = int(list(model.get_feature_names_out()) != ["aa", "bb", "cc", "dd"])
    for row, line in zip(model.transform(lines).toarray(), lines):
        found = Counter(word for word in line.split() if len(word) > 1)
        wrong += row.tolist() != [found[word] for word in ("aa", "bb", "cc", "dd")]
    wrong += any(
        set(words) != {w for w in line.split() if len(w) > 1}
        for words, line in zip(model.inverse_transform(model.transform(lines)), lines)
    )
    pair = CountVectorizer().fit_transform(["Alice sent a message to Bob", "Bob sent a message to Alice"]).toarray()
    wrong += int((pair[0] != pair[1]).any()) + int(pair.sum() != 10)
    # Two terms of four have the largest total; of equals the alphabetically first stays.
    ties = CountVectorizer(max_features=2).fit(["dd cc bb aa"])
    return Check(wrong + (list(ties.vocabulary_) != ["aa", "bb"]), 0, "wrong rows", "Counter")


@evidence(
    "tfidf",
    claim="Weights agree for every norm, smoothing, logarithmic tf and without idf, unseen and empty texts included",
    against="scikit-learn TfidfVectorizer",
)
def tfidf_peer() -> Check:
    from sklearn.feature_extraction.text import TfidfVectorizer as Peer

    from fivefold.data.text import TfidfVectorizer

    wrong = 0.0
    grid = itertools.product(("l2", "l1", None), (True, False), (True, False), (True, False))
    new = ["", "zebra", *CORPUS[::-1], ""]
    for norm, use, smooth, log in grid:
        options: dict[str, Any] = {"norm": norm, "use_idf": use, "smooth_idf": smooth, "sublinear_tf": log}
        ours, peer = TfidfVectorizer(**options), Peer(**options)
        wrong = largest(wrong, _differs(ours.fit_transform(CORPUS), peer.fit_transform(CORPUS)))
        wrong = largest(wrong, _differs(ours.transform(new), peer.transform(new)))
    ours, peer = TfidfVectorizer(ngram_range=(1, 2), min_df=2), Peer(ngram_range=(1, 2), min_df=2)
    wrong = largest(wrong, _differs(ours.fit_transform(CORPUS), peer.fit_transform(CORPUS)))
    wrong = largest(wrong, float(np.abs(ours.idf_ - peer.idf_).max()))
    wrong = largest(wrong, _differs(TfidfVectorizer().fit_transform(CORPUS), Peer().fit_transform(CORPUS)))
    return Check(wrong, 1e-14, "difference", "scikit-learn TfidfVectorizer")


@evidence(
    "tfidf",
    claim="Smooth weights by hand, and IDF = 1 + log(N/df) without smoothing and norm as a source writes it",
    against="the formulas on three texts",
)
def tfidf_by_hand() -> Check:
    from fivefold.data.text import TfidfVectorizer

    lines = ["ant ant bee", "ant cow", "ant"]
    smooth = TfidfVectorizer(norm=None).fit_transform(lines).toarray()
    ant, rare = np.log(4 / 4) + 1, np.log(4 / 2) + 1
    expected = np.array([[2 * ant, rare, 0], [ant, 0, rare], [ant, 0, 0]])
    wrong = float(np.abs(smooth - expected).max())
    rows = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    wrong = largest(wrong, float(np.abs(TfidfVectorizer().fit_transform(lines).toarray() - rows).max()))
    plain = TfidfVectorizer(norm=None, smooth_idf=False).fit_transform(lines).toarray()
    expected = np.array([[2.0, 1 + np.log(3), 0], [1, 0, 1 + np.log(3)], [1, 0, 0]])
    wrong = largest(wrong, float(np.abs(plain - expected).max()))
    log = TfidfVectorizer(norm=None, use_idf=False, sublinear_tf=True).fit_transform(lines).toarray()
    return Check(largest(wrong, float(np.abs(log[0] - [1 + np.log(2), 1, 0]).max())), 1e-15, "difference", "by hand")


@evidence(
    "text-pipeline",
    claim="driving and drove become drive, cats cat as lemmas; effective becomes effect as stem",
    against="the four words of the specification, and irregular and regular forms of a grammar",
)
def pipeline_words() -> Check:
    from fivefold.data.text_pipeline import TextPipeline

    def first(words: str, **options: Any) -> list[str]:
        return TextPipeline(stop_words=None, output="tokens", **options).fit([words]).transform([words])[0]

    wrong = int(first("driving drove cats", normalize="lemma") != ["drive", "drive", "cat"])
    wrong += int(first("driving cats effective", normalize="stem") != ["drive", "cat", "effect"])
    wrong += int(first("effective drove") != ["effect", "drove"])  # a stemmer knows no irregular verbs
    forms = (
        "running created making visiting studied studies boxes glasses hoped hopping men mice was agreed feed this bus "
        "going doing used aging added erring called king bed oed ties flies gas"
    )
    lemmas = "run create make visit study study box glass hope hop man mouse be agree feed this bus "
    lemmas += "go do use age add err call king bed oed tie fly gas"
    got = first(forms, normalize="lemma")
    wrong += sum(a != b for a, b in zip(got, lemmas.split())) + abs(len(got) - len(lemmas.split()))
    return Check(wrong, 0, "wrong words", "specification")


@evidence(
    "text-pipeline",
    claim="language='porter' gives the stems that Porter printed with the steps of his algorithm",
    against="examples of Porter 1980, all five steps in a row",
)
def pipeline_porter() -> Check:
    from fivefold.data.text_pipeline import TextPipeline

    table = {
        "caresses": "caress", "ponies": "poni", "ties": "ti", "cats": "cat", "feed": "feed", "plastered": "plaster",
        "motoring": "motor", "sing": "sing", "hopping": "hop", "falling": "fall", "filing": "file", "happy": "happi",
        "sky": "sky", "relational": "relat", "conditional": "condit", "vileness": "vile", "hopefulness": "hope",
        "formalize": "formal", "electrical": "electr", "revival": "reviv", "adjustment": "adjust", "effective": "effect",
        "probate": "probat", "rate": "rate", "controll": "control", "roll": "roll", "generalizations": "gener",
        "oscillators": "oscil",
    }  # fmt: skip
    model = TextPipeline(stop_words=None, language="porter", output="tokens").fit(["x"])
    found = model.transform([" ".join(table)])[0]
    wrong = sum(a != b for a, b in zip(found, table.values())) + abs(len(found) - len(table))
    return Check(wrong, 0, "wrong stems", "Porter 1980")


@evidence(
    "text-pipeline",
    claim="Each switch does its own step: case, punctuation, accents, digits, stop words, rare words, output",
    against="the result worked out by hand for one sentence",
)
def pipeline_steps() -> Check:
    from fivefold.data.text_pipeline import TextPipeline

    text = "The Café's 12 cats, don't 3rd!"
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "café 0 cat don't 0rd"),
        ({"normalize": None}, "café 0 cats don't 0rd"),
        ({"normalize": None, "lowercase": False}, "Café 0 cats don't 0rd"),
        ({"normalize": None, "punctuation": True}, "café 0 cats , don't 0rd !"),
        ({"normalize": None, "accents": False}, "cafe 0 cats don't 0rd"),
        ({"normalize": None, "digits": None}, "café 12 cats don't 3rd"),
        ({"normalize": None, "digits": "NUM"}, "café NUM cats don't NUMrd"),
        ({"normalize": None, "stop_words": None}, "the café 0 cats don't 0rd"),
        ({"normalize": None, "stop_words": ["cats"]}, "the café 0 don't 0rd"),
        ({"normalize": "lemma"}, "café 0 cat don't 0rd"),
    ]
    wrong = sum(TextPipeline(**options).fit([text]).transform([text]) != [expected] for options, expected in cases)
    # "dogs" and "dog" are one word twice; what occurs once in training goes, also from new texts.
    model = TextPipeline(min_count=2, output="tokens").fit(["dogs bark", "dog cat"])
    wrong += model.transform(["cat dog dogs bird"]) != [["dog", "dog"]] or model.kept_ != ["dog"]
    return Check(wrong, 0, "wrong results", "by hand")


@evidence(
    "token-sequence-encoder",
    claim="Ids by frequency after <pad> and <unk>; rows padded and cut at the end; the mask marks the tokens exactly",
    against="the table worked out by hand",
)
def sequence_by_hand() -> Check:
    from fivefold.data.words import TokenSequenceEncoder

    lines = ["the dog, the cat", "The cat", "a dog"]
    model = TokenSequenceEncoder().fit(lines)
    wrong = int(model.tokens_ != ["<pad>", "<unk>", "the", "cat", "dog", ",", "a"]) + int(model.length_ != 5)
    ids = model.transform([*lines, "", "a zebra saw the dog and me"])
    expected = [[2, 4, 5, 2, 3], [2, 3, 0, 0, 0], [6, 4, 0, 0, 0], [0] * 5, [6, 1, 1, 2, 4]]
    wrong += int((ids != np.array(expected)).sum()) + int(ids.dtype != np.int64)
    wrong += int((model.mask(ids).sum(axis=1) != [5, 2, 2, 0, 5]).sum())
    wrong += model.inverse_transform(ids)[1] != ["the", "cat"]
    wrong += TokenSequenceEncoder(min_count=2).fit(lines).tokens_[2:] != ["the", "cat", "dog"]
    wrong += TokenSequenceEncoder(max_tokens=1).fit(lines).tokens_[2:] != ["the"]
    wrong += TokenSequenceEncoder(lowercase=False).fit(lines).tokens_[2:] != ["cat", "dog", "the", ",", "The", "a"]
    short = TokenSequenceEncoder(max_length=2).fit(lines).transform(lines)
    wrong += int((short != np.array([[2, 4], [2, 3], [6, 4]])).sum())
    given = TokenSequenceEncoder().fit([line.lower().replace(",", " ,").split() for line in lines])
    return Check(wrong + (given.tokens_ != model.tokens_), 0, "wrong cells", "by hand")


@evidence(
    "token-sequence-encoder",
    claim="One-hot rows times the table equal the lookup, and torch's embedding layer with padding_idx=0 agrees",
    against="a matrix product; torch.nn.functional.embedding",
)
def sequence_lookup() -> Check:
    import torch

    from fivefold.data.words import TokenSequenceEncoder

    model = TokenSequenceEncoder().fit(CORPUS)
    table = np.random.default_rng(0).normal(size=(len(model.tokens_), 8))
    vectors, mask = model.embed(CORPUS, table)
    ids = model.transform(CORPUS)
    product = np.eye(len(table))[ids] @ table * mask[:, :, None]
    worst = float(np.abs(vectors - product).max())
    table[0] = 0
    peer = torch.nn.functional.embedding(torch.from_numpy(ids), torch.from_numpy(table), padding_idx=0).numpy()
    worst = largest(worst, float(np.abs(vectors - peer).max()))
    tokens = [len(line) for line in model.inverse_transform(ids)]
    worst += TokenSequenceEncoder().fit(["ant", "bee"]).transform(["bee", "cow ant"]).shape != (2, 1)
    return Check(worst + (mask.sum(axis=1).tolist() != tokens), 1e-14, "difference", "matrix product")


@evidence(
    "word-one-hot",
    claim="One 1 a word at its place in the vocabulary, words out of it at the last dimension, all equally far apart",
    against="a vocabulary lookup in plain Python",
)
def one_hot_words() -> Check:
    from fivefold.data.words import WordOneHot

    words = ["bee", "ant", "bee", "Cow", "ant", "bee", "dog"]
    model = WordOneHot().fit(words)
    wrong = int(list(model.get_feature_names_out()) != ["ant", "bee", "cow", "dog", "<other>"])
    new = ["cow", "zebra", "ANT", "dog", ""]
    rows = model.transform(new).toarray()
    place = {w: i for i, w in enumerate(["ant", "bee", "cow", "dog"])}
    for row, word in zip(rows, new):
        wrong += row.tolist() != [float(i == place.get(word.lower(), 4)) for i in range(5)]
    wrong += model.inverse_transform(rows).tolist() != ["cow", "<other>", "ant", "dog", "<other>"]
    gaps = np.linalg.norm(np.eye(5)[:, None] - model.transform(["ant", "bee", "cow", "dog", "?"]).toarray(), axis=2)
    wrong += int(not np.abs(gaps - np.sqrt(2) * (1 - np.eye(5))).max() <= 1e-12)
    wrong += WordOneHot(max_words=2).fit(words).words_ != ["ant", "bee"]
    wrong += WordOneHot(min_count=2).fit(words).words_ != ["ant", "bee"]
    wrong += WordOneHot(min_count=3).fit(words).words_ != ["bee"]
    wrong += WordOneHot(words=["dog", "ant"]).fit(words).transform(["ant", "bee"]).indices.tolist() != [1, 2]
    wrong += WordOneHot(lowercase=False).fit(words).words_ != ["Cow", "ant", "bee", "dog"]
    return Check(wrong, 0, "wrong rows", "vocabulary lookup")


@evidence(
    "word-hashing",
    claim="good is #go, goo, ood, od#; counts of every n equal those of sliding windows, short words are one n-gram",
    against="the example of the DSSM paper; brute force over all windows",
)
def letters_brute_force() -> Check:
    from fivefold.data.words import WordHashing

    wrong = int(list(WordHashing().fit(["good"]).get_feature_names_out()) != ["#go", "goo", "od#", "ood"])
    for n in (1, 2, 3, 4, 6):
        model = WordHashing(n=n).fit(CORPUS)
        names = list(model.get_feature_names_out())
        for row, text in zip(model.transform(CORPUS).toarray(), CORPUS):
            found: Counter[str] = Counter()
            for word in text.lower().split():
                marked = "#" + word + "#"
                windows = [marked[i : i + n] for i in range(len(marked)) if len(marked[i : i + n]) == n]
                found.update(windows or [marked])
            wrong += row.tolist() != [found[name] for name in names]
    wrong += WordHashing(lowercase=False, boundary="_").fit(["Ab"]).grams_ != ["Ab_", "_Ab"]
    wrong += int(WordHashing().fit(["good"]).transform(["goodly bad"]).toarray().tolist() != [[1, 1, 0, 1]])
    return Check(wrong, 0, "wrong rows", "brute force")


@evidence(
    "word-hashing",
    claim="Hashed columns and signs agree when words are padded by blanks, with and without alternating signs",
    against="scikit-learn HashingVectorizer(analyzer='char_wb')",
)
def letters_peer() -> Check:
    from sklearn.feature_extraction.text import HashingVectorizer

    from fivefold.data.words import WordHashing

    wrong = 0.0
    for n, width, sign in itertools.product((2, 3, 5), (7, 64, 1 << 18), (True, False)):
        peer = HashingVectorizer(
            analyzer="char_wb", ngram_range=(n, n), n_features=width, norm=None, alternate_sign=sign
        ).transform(CORPUS)
        ours = WordHashing(n=n, n_features=width, alternate_sign=sign, boundary=" ").fit_transform(CORPUS)
        wrong += float(abs(ours - peer).sum())
    return Check(wrong, 0, "sum of differences", "scikit-learn HashingVectorizer")


@evidence(
    "count-vectorizer",
    claim="A given vocabulary needs no fit and the fitted one stays; 1 text and the share 1.0 differ; equals go by the alphabet",
    against="by hand",
)
def counts_by_hand() -> Check:
    from fivefold.base.errors import InputError
    from fivefold.base.estimator import NotFittedError
    from fivefold.data.text import CountVectorizer

    lines = ["bee ant bee", "cow ant", "dog ant fly"]
    words = CountVectorizer(vocabulary=["bee", "cow", "ant"])
    wrong = int(words.transform(lines).toarray().tolist() != [[2, 0, 1], [0, 1, 1], [0, 0, 1]])
    words.fit(lines).set_params(vocabulary=["fly"])
    wrong += words.transform(lines[2:]).toarray().tolist() != [[0, 0, 1]]
    try:
        CountVectorizer().transform(lines)
        wrong += 1
    except NotFittedError:
        pass

    def names(**options: Any) -> list[str]:
        return CountVectorizer(**options).fit(lines).get_feature_names_out().tolist()

    wrong += names() != ["ant", "bee", "cow", "dog", "fly"]
    wrong += names(min_df=1.0) != ["ant"] or names(min_df=1) != names() or names(max_df=1) != names()[1:]
    wrong += names(min_df=2) != ["ant"] or names(max_df=2) != names()[1:] or names(min_df=1 / 3) != names()
    # ant 3 and bee 2 times; of those that occur once the first of the alphabet.
    wrong += names(max_features=2) != ["ant", "bee"] or names(max_features=3) != ["ant", "bee", "cow"]
    flags = CountVectorizer(binary=True).fit_transform(lines).toarray()
    wrong += flags.tolist() != [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 0, 1, 1]]
    back = CountVectorizer().fit(lines)
    wrong += [row.tolist() for row in back.inverse_transform(back.transform(lines))] != [
        ["ant", "bee"],
        ["ant", "cow"],
        ["ant", "dog", "fly"],
    ]
    pairs = CountVectorizer(ngram_range=(1, 2)).fit(["a1 b1 c1", "d1"]).get_feature_names_out().tolist()
    wrong += pairs != ["a1", "a1 b1", "b1", "b1 c1", "c1", "d1"]
    for options in ({"min_df": True}, {"min_df": 0}, {"max_df": 1.5}, {"max_features": 0}, {"ngram_range": (2, 1)}):
        try:
            names(**options)
            wrong += 1
        except InputError as error:
            wrong += next(iter(options)) not in str(error)
    return Check(float(wrong), 0.0, "differences", "by hand")
