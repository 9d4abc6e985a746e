"""The forward and backward recursion of CTC for a batch, in logarithms and double precision."""

from __future__ import annotations

import math

import numpy as np

from fivefold.base.jit import njit

NEVER = -1e30
"""The logarithm of an impossible path; finite, so that slopes through it are 0 and not NaN."""


@njit
def _join(a, b, c):
    """Return the logarithm of the sum of three powers."""
    top = max(a, b, c)
    if top <= NEVER / 2:
        return NEVER
    total = 0.0
    for v in (a, b, c):
        if v == top:
            total += 1.0
        elif v > top - 40.0:  # what is left out is below 2e-17 of the sum
            total += math.exp(v - top)
    return top + math.log(total)


@njit
def passes(logp, labels, skip, frames, sizes, values, slopes):
    """Fill in minus the log-likelihood (n,) and, where ``slopes`` is (T, n, k) of zeros and not empty, its slopes.

    Parameters
    ----------
    logp : array of shape (T, n, k)
    labels, skip : int and bool arrays of shape (n, 2 S + 1)
        Symbols with blanks around them, and where the blank before may be left out.
    frames, sizes : int arrays of shape (n,)
        Numbers of frames and of symbols.
    """
    alpha = np.empty((logp.shape[0], labels.shape[1]))
    later = np.empty(labels.shape[1])
    for row in range(len(values)):
        steps, states = frames[row], 2 * sizes[row] + 1
        for t in range(steps):
            for s in range(states):
                emitted = max(float(logp[t, row, labels[row, s]]), NEVER)
                if t == 0:
                    alpha[t, s] = emitted if s < 2 else NEVER
                    continue
                one = alpha[t - 1, s - 1] if s > 0 else NEVER
                two = alpha[t - 1, s - 2] if skip[row, s] else NEVER
                alpha[t, s] = _join(alpha[t - 1, s], one, two) + emitted
        total = _join(alpha[steps - 1, states - 1], alpha[steps - 1, states - 2] if states > 1 else NEVER, NEVER)
        values[row] = -total
        if slopes.size == 0 or total <= NEVER / 2:  # any value: below any likelihood, above an impossible one
            continue
        # later[s]: the log-likelihood of all that follows when frame t is in state s.
        for s in range(states):
            later[s] = 0.0 if s >= states - 2 else NEVER
        for t in range(steps - 1, -1, -1):
            for s in range(states):
                share = alpha[t, s] + later[s] - total
                if share > -700.0:
                    slopes[t, row, labels[row, s]] -= math.exp(share)
            for s in range(states):  # from here on: state and emission of frame t, then its sums
                later[s] += max(float(logp[t, row, labels[row, s]]), NEVER)
            for s in range(states):
                one = later[s + 1] if s + 1 < states else NEVER
                two = later[s + 2] if s + 2 < states and skip[row, s + 2] else NEVER
                later[s] = _join(later[s], one, two)
