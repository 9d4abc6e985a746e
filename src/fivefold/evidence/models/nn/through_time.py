"""Recurrent cells by hand beside PyTorch's kernels under autograd, and the sums the sources write out."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import by_hand, rnn_backward

from ._common import noise


def _parts(gates: int) -> tuple[np.ndarray, ...]:
    shapes = ((6, 2, 3), (2, 4), (gates * 4, 3), (gates * 4, 4), (gates * 4,))
    return tuple(0.7 * noise(*s, seed=n).numpy() for n, s in enumerate(shapes))


@evidence("bptt", claim="Gradients of x, h0, W, U and b agree", against="torch.nn.RNN under autograd, float64")
def bptt_autograd() -> Check:
    x, h0, w, u, b = _parts(1)
    peer = nn.RNN(3, 4).double()
    with torch.no_grad():
        for p, v in zip(peer.parameters(), (w, u, b, np.zeros(4))):
            p.copy_(torch.as_tensor(v))
    inputs = [torch.as_tensor(v).clone().requires_grad_() for v in (x, h0)]
    y = peer(inputs[0], inputs[1][None])[0]
    g = noise(*y.shape, seed=8)
    wanted = torch.autograd.grad(y, (*inputs, *list(peer.parameters())[:3]), g)
    out, cache = by_hand.rnn(x, h0, w, u, b)
    found = rnn_backward(g.numpy(), cache)
    error = largest(np.abs(a - c.detach().numpy()).max() for a, c in zip((out, *found), (y, *wanted)))
    return Check(float(error), 1e-14, "max difference", "autograd")


@evidence(
    "bptt", claim="The double sum over t and k with products of Jacobians gives U, W and b", against="the closed form"
)
def bptt_sums() -> Check:
    x, h0, w, u, b = (v[:, :1] if n < 1 else v[:1] if n == 1 else v for n, v in enumerate(_parts(1)))
    h, cache = by_hand.rnn(x, h0, w, u, b)
    g = noise(*h.shape, seed=8).numpy()
    states = np.concatenate([h0[None], h])[:, 0]  # (time + 1, hidden)
    sums = [np.zeros_like(w), np.zeros_like(u), np.zeros_like(b)]
    for t in range(len(x)):
        for k in range(t + 1):
            back = g[t, 0] * (1 - states[t + 1] ** 2)  # dJ_t/dz_t
            for i in range(t, k, -1):
                back = (back @ u) * (1 - states[i] ** 2)  # numerator layout: U diag(f'(z_{i-1}))
            for total, term in zip(sums, (np.outer(back, x[k, 0]), np.outer(back, states[k]), back)):
                total += term
    found = rnn_backward(g, cache)[2:]
    return Check(
        float(largest(np.abs(a - c).max() for a, c in zip(found, sums))), 1e-14, "max difference", "the double sum"
    )


@evidence("bptt", claim="The mixed form U' diag(f') of the sources misses", against="autograd's value")
def bptt_misprint() -> Check:
    x, h0, w, u, b = _parts(1)
    h, cache = by_hand.rnn(x, h0, w, u, b)
    g = np.zeros_like(h)
    g[-1] = 1.0
    right = rnn_backward(g, cache)[1]
    back = g[-1] * (1 - h[-1] ** 2)
    mixed = back
    for i in range(len(x) - 2, -1, -1):
        mixed = (mixed @ u.T) * (1 - h[i] ** 2)
        back = (back @ u) * (1 - h[i] ** 2)
    good = np.abs(back @ u - right).max()
    miss = np.abs(mixed @ u.T - right).max() / np.abs(right).max()
    return Check(float(miss) if good < 1e-15 else 0.0, 0.01, "relative error of the misprint", "", at_least=True)
