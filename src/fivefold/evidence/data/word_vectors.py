"""Evidence for word vectors as document features."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest

TOPICS = (
    ["ship", "sail", "harbor", "wave", "captain", "anchor", "tide", "deck"],
    ["oven", "flour", "sugar", "butter", "bake", "cake", "dough", "spoon"],
)


def _corpus(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Return texts of one of two topics, half of whose words are shared by both."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    shared = ["the", "a", "of", "and", "in", "on", "with", "to"]
    return [
        " ".join(np.where(draw.random(12) < 0.5, draw.choice(shared, 12), draw.choice(TOPICS[k], 12))) for k in y
    ], y


@evidence(
    "word2vec-features",
    claim="A text is the mean of the vectors of its known words, repeated ones counted; a text without any is zero",
    against="a loop over the words",
)
def vectors_mean() -> Check:
    from fivefold.data.word_vectors import Word2VecFeatures

    lines, _ = _corpus(60, 0)
    model = Word2VecFeatures(vector_size=7, epochs=1, random_state=0).fit(lines)
    table = dict(zip(model.words_, model.vectors_))
    new = ["Ship ship zebra oven!", "zebra", "", *lines[:10]]
    worst = 0.0
    for found, line in zip(model.transform(new), new):
        words = [w for w in line.lower().replace("!", "").split() if w in table]
        expected = np.mean([table[w] for w in words], axis=0) if words else np.zeros(7)
        worst = largest(worst, float(np.abs(found - expected).max()))
    given = Word2VecFeatures(vectors={"b": [0.0, 4.0], "a": [2.0, 0.0]}).fit(["x"])
    worst += float(np.abs(given.transform(["A b c", "b"]) - [[1, 2], [0, 4]]).max())
    return Check(worst, 1e-15, "largest difference", "loop")


@evidence(
    "word2vec-features",
    claim="One step is gradient descent on the loss of a pair with its noise words",
    against="torch autograd of -log s(u v) - sum log s(-u v), noise words distinct",
)
def vectors_gradient() -> Check:
    import torch

    from fivefold.data.word_vectors_kernels import step

    draw = np.random.default_rng(0)
    inner, outer = draw.normal(size=(6, 5)), draw.normal(size=(6, 5))
    v, u = (torch.tensor(a, requires_grad=True) for a in (inner.copy(), outer.copy()))
    targets = np.array([3, 1, 4, 0])
    logits = u[torch.from_numpy(targets[:3])] @ v[2]
    loss = -torch.nn.functional.logsigmoid(logits[0]) - torch.nn.functional.logsigmoid(-logits[1:]).sum()
    loss.backward()
    expected = [p.detach().numpy() - 0.1 * p.grad.numpy() for p in (v, u)]
    step(inner, outer, 2, targets, 3, 0.1)
    worst = largest(float(np.abs(inner - expected[0]).max()), float(np.abs(outer - expected[1]).max()))
    return Check(worst, 1e-14, "largest difference", "torch autograd")


@evidence(
    "word2vec-features",
    claim="A pass over the texts trains exactly the pairs within reach, with noise in turn and a falling rate",
    against="the same pass written as loops over places in plain Python",
)
def vectors_pass() -> Check:
    from fivefold.data.word_vectors_kernels import train

    draw = np.random.default_rng(1)
    words, ends = draw.integers(0, 6, 30), np.array([11, 11, 12, 30])
    reach, kept = draw.integers(1, 4, 30), draw.random(30) < 0.8
    noise = draw.integers(0, 6, (17, 2))
    inner, outer = draw.normal(size=(6, 4)) / 4, draw.normal(size=(6, 4)) / 4
    v, u = inner.copy(), outer.copy()
    train(inner, outer, words, ends, reach, kept, noise, 0.2, 0.1)
    row = 0
    for start, end in zip([0, 11, 11, 12], ends):
        line = [i for i in range(start, end) if kept[i]]
        for a, i in enumerate(line):
            for b, j in enumerate(line):
                if a == b or abs(a - b) > reach[i]:
                    continue
                rate = 0.2 - 0.1 * i / 30
                moved = np.zeros(4)
                pairs = [(words[j], 1.0), *((w, 0.0) for w in noise[row % 17] if w != words[j])]
                for target, label in pairs:
                    gain = rate * (label - 1 / (1 + np.exp(-v[words[i]] @ u[target])))
                    moved += gain * u[target]
                    u[target] = u[target] + gain * v[words[i]]
                v[words[i]] += moved
                row += 1
    return Check(largest(float(np.abs(inner - v).max()), float(np.abs(outer - u).max())), 1e-12, "difference", "loops")


@evidence(
    "word2vec-features",
    claim="Words of share f are kept with min(1, sqrt(t/f) + t/f); words are ordered by count, rare ones left out",
    against="the formula on four counts",
)
def vectors_sampling() -> Check:
    from fivefold.data.word_vectors import Word2VecFeatures, keep_chances

    counts = np.array([9000.0, 900, 90, 10])
    expected = [min(1.0, (1e-2 / f) ** 0.5 + 1e-2 / f) for f in (0.9, 0.09, 0.009, 0.001)]
    wrong = float(np.abs(keep_chances(counts, 1e-2) - expected).max()) + float((keep_chances(counts, 0.0) != 1).any())
    model = Word2VecFeatures(vector_size=3, epochs=1, random_state=0).fit(["c b b a a a d", "a c"])
    return Check(wrong + (model.words_ != ["a", "b", "c"]), 1e-15, "difference", "formula")


@evidence(
    "word2vec-features",
    claim="Words of a topic are nearest each other, and the means classify new texts above 0.95, as TF-IDF does",
    against="the topics the texts were made of; shuffled words as control, for which neighbors are by chance",
)
def vectors_topics() -> Check:
    from sklearn.linear_model import LogisticRegression

    from fivefold.data.text import TfidfVectorizer
    from fivefold.data.word_vectors import Word2VecFeatures

    lines, y = _corpus(600, 0)
    new, truth = _corpus(200, 1)
    model = Word2VecFeatures(vector_size=16, sample=0.0, epochs=8, random_state=0).fit(lines)
    scores = [
        LogisticRegression(C=100).fit(m.transform(lines), y).score(m.transform(new), truth)
        for m in (model, TfidfVectorizer().fit(lines))
    ]

    def purity(fitted: Word2VecFeatures) -> float:
        hits = [
            sum(near in topic for near, _ in fitted.most_similar(word, 7)) / 7 for topic in TOPICS for word in topic
        ]
        return float(np.mean(hits))

    draw = np.random.default_rng(2)
    every = draw.permutation(" ".join(lines).split())
    mixed = [" ".join(part) for part in np.array_split(every, 600)]
    control = Word2VecFeatures(vector_size=16, sample=0.0, epochs=8, random_state=0).fit(mixed)
    wrong = (not min(scores) >= 0.95) + (not purity(model) >= 0.9) + (not purity(control) <= 0.6)
    return Check(wrong, 0, "conditions not met", "topics")


@evidence(
    "word2vec-features",
    claim="Noise words come with count^(3/4), rates fall linearly to a thousandth, defaults are those of the docstring",
    against="shares of 200,000 draws within six deviations; the line",
)
def vectors_noise() -> Check:
    from fivefold.data.word_vectors import Word2VecFeatures, falling_rates, noise_words

    counts = np.array([81.0, 16, 1, 256])
    drawn = noise_words(np.random.default_rng(0), counts, 50_000, 4)
    chance = np.array([27, 8, 1, 64]) / 100
    share = np.bincount(drawn.ravel(), minlength=4) / drawn.size
    wrong = int(drawn.shape != (50_000, 4))
    wrong += int((~(np.abs(share - chance) <= 6 * np.sqrt(chance * (1 - chance) / drawn.size))).any())
    expected = [(0.4, 0.3), (0.3, 0.2), (0.2, 0.1), (0.1, 0.0004)]
    wrong += int(not np.abs(np.array(falling_rates(0.4, 4)) - expected).max() <= 1e-12)
    found = Word2VecFeatures().get_params()
    facts = {"vector_size": 50, "window": 5, "negative": 5, "min_count": 2, "sample": 0.001, "learning_rate": 0.05}
    wrong += any(found[name] != value for name, value in {**facts, "epochs": 5}.items())
    return Check(wrong, 0, "violations", "formula")
