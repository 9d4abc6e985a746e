"""Evidence for looking into embeddings."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _inspector(n: int = 60, d: int = 5, seed: int = 0):
    from fivefold.evaluation.embedding_inspection import EmbeddingInspector

    vectors = np.random.default_rng(seed).normal(size=(n, d))
    return EmbeddingInspector([f"k{i}" for i in range(n)], vectors), vectors


@evidence(
    "embedding-inspection",
    claim="The nearest keys by cosine and by distance are those of a loop over all, the key itself left out",
    against="brute force",
)
def search_brute() -> Check:
    tool, x = _inspector()
    wrong = 0
    for query in ("k7", x[7], np.ones(5)):
        q = x[7] if isinstance(query, str) else np.asarray(query)
        cosine = [float(v @ q / np.sqrt(v @ v) / np.sqrt(q @ q)) for v in x]
        far = [-float(np.sqrt(((v - q) ** 2).sum())) for v in x]
        for by, score in (("cosine", cosine), ("euclidean", far)):
            order = sorted((i for i in range(60) if not (isinstance(query, str) and i == 7)), key=lambda i: -score[i])[
                :6
            ]
            found = tool.search(query, 6, by=by)
            wrong += int(found["key"].to_list() != [f"k{i}" for i in order]) + int(
                found["rank"].to_list() != [1, 2, 3, 4, 5, 6]
            )
            wrong += int(not np.abs(found["score"].to_numpy() - [score[i] for i in order]).max() <= 1e-12)
    wrong += (
        int(len(tool.search("k7")) != 10)
        + int(len(tool.search("k7", 100)) != 59)
        + int(len(tool.search(x[7], 100)) != 60)
    )
    return Check(wrong, 0, "differences", "brute force")


@evidence(
    "embedding-inspection",
    claim="Planted clusters are recovered, the largest numbered 0",
    against="five groups of known sizes",
)
def planted_clusters() -> Check:
    from fivefold.evaluation.embedding_inspection import EmbeddingInspector

    draw = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), [50, 40, 30, 20, 10])
    x = 6 * draw.normal(size=(5, 8))[truth] + draw.normal(size=(150, 8))
    mixed = draw.permutation(150)
    found = EmbeddingInspector(np.arange(150), x[mixed]).clusters(5)
    wrong = int((found != truth[mixed]).sum())
    same = EmbeddingInspector([1, 2, 3], np.ones((3, 2))).clusters(3, starts=1)
    return Check(wrong + int(same.shape != (3,)), 0, "keys in another cluster", "planted groups")


@evidence(
    "embedding-inspection",
    claim="Mean cosines between categories, pairs of a key with itself left out, a vector of zeros without direction",
    against="the table by hand, and a loop over all pairs",
)
def cosine_table() -> Check:
    from fivefold.evaluation.embedding_inspection import EmbeddingInspector

    hand = EmbeddingInspector(list("abcd"), [[2, 0], [0, 3], [1, 1], [-1, 0]])
    table = hand.category_cosine({"a": "x", "b": "x", "c": "y", "d": "z"}, order=["y", "x", "z"])
    half = 1 / np.sqrt(2)
    expected = np.array([[np.nan, half, -half], [half, 0, -0.5], [-half, -0.5, np.nan]])
    found = table.select("y", "x", "z").to_numpy()
    worst = float(np.abs(np.nan_to_num(found, nan=9) - np.nan_to_num(expected, nan=9)).max())
    tool, x = _inspector(30)
    x[4] = 0
    tool = type(tool)(np.arange(30), x)
    groups = [("red", "blue", "green")[i % 3] for i in range(30)]
    table = tool.category_cosine(groups)
    worst = largest(worst, float(table["category"].to_list() != ["blue", "green", "red"]))
    for a in ("red", "blue", "green"):
        for b in ("red", "blue", "green"):
            pairs = [
                float(x[i] @ x[j] / (np.linalg.norm(x[i]) * np.linalg.norm(x[j]) or 1.0))
                for i in range(30) for j in range(30) if i != j and groups[i] == a and groups[j] == b
            ]  # fmt: skip
            got = table[b].to_list()[table["category"].to_list().index(a)]
            worst = largest(worst, abs(got - np.mean(pairs)))
    # Neither a key of zeros nor a query of zeros has a cosine other than 0.
    for query in (4, np.zeros(x.shape[1])):
        worst = largest(worst, float(tool.search(query, 5)["score"].abs().max()))
    return Check(worst, 1e-12, "largest difference", "by hand")
