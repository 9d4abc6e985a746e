"""Kernels of topic models: passes over sparse counts by document and by term, in an order that threads do not change."""

from __future__ import annotations

import math

import numba
import numpy as np

from fivefold.base.jit import njit

# Below any number that a product of scaled weights can be, above those that lose digits.
_LEAST = 1e-300


@njit
def digamma(x: float) -> float:
    """Return ψ(x) of x > 0: the recurrence up to 10, then the asymptotic series."""
    out = 0.0
    while x < 10.0:  # any value: from where the series is exact to rounding
        out -= 1.0 / x
        x += 1.0
    u = 1.0 / (x * x)
    tail = 1 / 12 - u * (1 / 120 - u * (1 / 252 - u * (1 / 240 - u * (1 / 132 - u * 691 / 32760))))
    return out + math.log(x) - 0.5 / x - u * tail


@njit(fastmath={"contract", "reassoc"})
def _settle(
    first: int,
    last: int,
    indices: np.ndarray,
    counts: np.ndarray,
    terms: np.ndarray,
    shift: np.ndarray,
    prior: float,
    steps: int,
    tol: float,
    now: np.ndarray,
    weight: np.ndarray,
    fresh: np.ndarray,
    ratio: np.ndarray,
) -> float:
    """Improve the parameters ``now`` (k,) of one document by coordinate ascent; return its part of the bound."""
    k = len(now)
    total = now.sum()
    base = digamma(total)
    for z in range(k):
        weight[z] = math.exp(digamma(now[z]) - base)
    for _ in range(steps):
        fresh[:] = 0.0
        for p in range(first, last):
            row = terms[indices[p]]
            norm = 0.0
            for z in range(k):
                norm += weight[z] * row[z]
            share = counts[p] / max(norm, _LEAST)
            for z in range(k):
                fresh[z] += share * row[z]
        change, total = 0.0, 0.0
        for z in range(k):
            value = prior + weight[z] * fresh[z]
            change += abs(value - now[z])
            now[z] = value
            total += value
        base = digamma(total)
        for z in range(k):
            weight[z] = math.exp(digamma(now[z]) - base)
        if change < tol * k:
            break
    words = 0.0
    for p in range(first, last):
        row = terms[indices[p]]
        norm = 0.0
        for z in range(k):
            norm += weight[z] * row[z]
        norm = max(norm, _LEAST)
        ratio[p] = counts[p] / norm
        words += counts[p] * (math.log(norm) + shift[indices[p]])
    # E ln p(θ) - E ln q(θ)
    rest = math.lgamma(k * prior) - k * math.lgamma(prior) - math.lgamma(total)
    for z in range(k):
        rest += (prior - now[z]) * (digamma(now[z]) - base) + math.lgamma(now[z])
    return words + rest


@njit(parallel=True, fastmath={"contract", "reassoc"})
def infer(
    indptr: np.ndarray,
    indices: np.ndarray,
    counts: np.ndarray,
    terms: np.ndarray,
    shift: np.ndarray,
    prior: float,
    steps: int,
    tol: float,
    carry: bool,
    gamma: np.ndarray,
    theta: np.ndarray,
    ratio: np.ndarray,
    bound: np.ndarray,
) -> None:
    """Find the Dirichlet parameters ``gamma`` (n, k) of the topics of every document, from ones.

    With ``carry`` a document whose bound would be better with the parameters that ``gamma`` brings goes on from those.
    ``terms`` (d, k) is exp(E ln β) of a term over its largest, whose logarithm is ``shift`` (d,). Also sets exp(E ln θ) as
    ``theta`` (n, k), count over normalizer as ``ratio`` (nnz,), and the document's part of the bound (n,).
    """
    n, k = gamma.shape
    for i in numba.prange(n):
        first, last = indptr[i], indptr[i + 1]
        now, fresh = np.ones(k), np.empty(k)
        found = _settle(
            first, last, indices, counts, terms, shift, prior, steps, tol, now, theta[i], fresh, ratio
        )  # fmt: skip
        if carry:
            old = gamma[i].copy()
            # Settling changes its argument, so what the old parameters are worth is asked with no steps first.
            worth = _settle(first, last, indices, counts, terms, shift, prior, 0, tol, old, theta[i], fresh, ratio)
            better = worth > found
            now = old if better else now
            rest = steps if better else 0
            found = _settle(first, last, indices, counts, terms, shift, prior, rest, tol, now, theta[i], fresh, ratio)
        gamma[i] = now
        bound[i] = found


@njit(parallel=True, fastmath={"contract", "reassoc"})
def gather(
    indptr: np.ndarray,
    indices: np.ndarray,
    place: np.ndarray,
    ratio: np.ndarray,
    theta: np.ndarray,
    terms: np.ndarray,
    out: np.ndarray,
) -> None:
    """Set ``out`` (d, k) to the expected counts of every term in every topic, by the index of documents of a term."""
    d, k = terms.shape
    for w in numba.prange(d):
        total = np.zeros(k)
        for p in range(indptr[w], indptr[w + 1]):
            share = ratio[place[p]]
            row = theta[indices[p]]
            for z in range(k):
                total[z] += share * row[z]
        for z in range(k):
            out[w, z] = total[z] * terms[w, z]


@njit(parallel=True, fastmath={"contract", "reassoc"})
def mix(
    indptr: np.ndarray,
    indices: np.ndarray,
    counts: np.ndarray,
    terms: np.ndarray,
    theta: np.ndarray,
    ratio: np.ndarray,
    fresh: np.ndarray,
    loglik: np.ndarray,
) -> None:
    """Set the expected share of every topic as ``fresh`` (n, k), the ratios (nnz,) and Σ_w n_dw ln P(w|d) (n,).

    ``terms`` (d, k) is P(w|z), ``theta`` (n, k) P(z|d).
    """
    n, k = theta.shape
    for i in numba.prange(n):
        total, mass = 0.0, 0.0
        gain = np.zeros(k)
        for p in range(indptr[i], indptr[i + 1]):
            row = terms[indices[p]]
            norm = 0.0
            for z in range(k):
                norm += theta[i, z] * row[z]
            norm = max(norm, _LEAST)
            ratio[p] = counts[p] / norm
            total += counts[p] * math.log(norm)
            mass += counts[p]
            for z in range(k):
                gain[z] += ratio[p] * row[z]
        for z in range(k):
            fresh[i, z] = theta[i, z] * gain[z] / mass if mass > 0.0 else theta[i, z]
        loglik[i] = total
