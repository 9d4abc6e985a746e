"""The pass over centers when an item has ids of several kinds."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit


@njit
def train_joint(
    inner: np.ndarray,
    outer: np.ndarray,
    traits: np.ndarray,
    outer_traits: np.ndarray,
    rows: np.ndarray,
    share: np.ndarray,
    links: np.ndarray,
    centers: np.ndarray,
    starts: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray,
    alpha: float,
    beta: float,
    rate: float,
    last_rate: float,
) -> None:
    """Take a step for every center: targets move by its vectors as they were, then it and the matrices by all at once.

    ``inner``, ``outer`` (n, d) are the vectors of the items, ``traits``, ``outer_traits`` (v, m) those of all attributes,
    ``rows`` (n, K) the row of each item's attributes, ``share`` (v,) their weights and ``links`` (K, d, m) the matrices. The
    rate falls linearly from ``rate`` to ``last_rate``.
    """
    size, small, kinds, total = inner.shape[1], traits.shape[1], rows.shape[1], len(centers)
    moved, turned = np.empty(size), np.empty((kinds, small))
    for c in range(total):
        i = centers[c]
        current = rate + (last_rate - rate) * c / total
        moved[:] = 0.0
        turned[:] = 0.0
        for at in range(starts[c], starts[c + 1]):
            j = targets[at]
            product = 0.0
            for d in range(size):
                product += inner[i, d] * outer[j, d]
            for k in range(kinds):
                a, b = rows[i, k], rows[j, k]
                for d in range(small):
                    product += share[a] * share[b] * traits[a, d] * outer_traits[b, d]
            gain = current * (labels[at] - 1.0 / (1.0 + np.exp(-product)))
            for d in range(size):
                moved[d] += gain * outer[j, d]
                outer[j, d] += gain * inner[i, d]
            for k in range(kinds):
                a, b = rows[i, k], rows[j, k]
                for d in range(small):
                    turned[k, d] += gain * share[a] * share[b] * outer_traits[b, d]
                    outer_traits[b, d] += gain * share[a] * share[b] * traits[a, d]
        product = 0.0
        for k in range(kinds):
            a = rows[i, k]
            for p in range(size):
                for q in range(small):
                    product += share[a] * inner[i, p] * links[k, p, q] * traits[a, q]
        gain = current * alpha / (1.0 + np.exp(product))
        for k in range(kinds):
            a = rows[i, k]
            for p in range(size):
                for q in range(small):
                    link = links[k, p, q]
                    moved[p] += gain * share[a] * link * traits[a, q]
                    turned[k, q] += gain * share[a] * link * inner[i, p]
                    links[k, p, q] += gain * share[a] * inner[i, p] * traits[a, q] - 2.0 * current * beta * link
        for d in range(size):
            inner[i, d] += moved[d]
        for k in range(kinds):
            for d in range(small):
                traits[rows[i, k], d] += turned[k, d]
