"""The compiled steps of skip-gram with negative sampling."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit


@njit
def step(inner: np.ndarray, outer: np.ndarray, word: int, targets: np.ndarray, used: int, rate: float) -> None:
    """Move the vector of ``word`` and those of its first ``used`` targets: the first is its neighbor, the rest are noise.

    One step of gradient descent on -log s(u_0 v) - sum_k log s(-u_k v) with the logistic function s.
    """
    size = inner.shape[1]
    moved = np.zeros(size)
    for k in range(used):
        target = targets[k]
        product = 0.0
        for d in range(size):
            product += inner[word, d] * outer[target, d]
        label = 1.0 if k == 0 else 0.0
        gain = rate * (label - 1.0 / (1.0 + np.exp(-product)))
        for d in range(size):
            moved[d] += gain * outer[target, d]
            outer[target, d] += gain * inner[word, d]
    for d in range(size):
        inner[word, d] += moved[d]


@njit
def train(
    inner: np.ndarray,
    outer: np.ndarray,
    words: np.ndarray,
    ends: np.ndarray,
    reach: np.ndarray,
    kept: np.ndarray,
    noise: np.ndarray,
    rate: float,
    last_rate: float,
) -> None:
    """Go once over all texts: each kept word meets the kept words around it, each pair with its own noise words.

    ``words`` (m,) are the word ids of all texts, which end at ``ends`` (n,); ``reach`` (m,) is the window of each place,
    ``kept`` (m,) what subsampling leaves; ``noise`` (r, k) holds drawn word ids, used row by row and again from the start. The
    rate falls linearly from ``rate`` to ``last_rate``.
    """
    negative = noise.shape[1]
    targets = np.empty(1 + negative, dtype=np.int64)
    row, start, total = 0, 0, len(words)
    line = np.empty(total, dtype=np.int64)
    for n in range(len(ends)):
        length = 0
        for i in range(start, ends[n]):
            if kept[i]:
                line[length] = i
                length += 1
        start = ends[n]
        for a in range(length):
            word = words[line[a]]
            window = reach[line[a]]
            current = rate + (last_rate - rate) * line[a] / total
            for b in range(max(0, a - window), min(length, a + window + 1)):
                if a == b:
                    continue
                targets[0] = words[line[b]]
                used = 1
                for k in range(negative):
                    # A neighbor drawn as noise would be pushed away: it is passed over.
                    if noise[row, k] != targets[0]:
                        targets[used] = noise[row, k]
                        used += 1
                row = row + 1 if row + 1 < len(noise) else 0
                step(inner, outer, word, targets, used, current)
