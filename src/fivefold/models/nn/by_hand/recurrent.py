"""Recurrent cells through time, on sequences (time, batch, inputs); gates lie one after the other, as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import InputError

from .feedforward import sigmoid

Array = np.ndarray[Any, Any]


def _check(name: str, x: Array, start: Array, w: Array, u: Array, bias: tuple[Array, ...], gates: int) -> None:
    fits = (
        x.ndim == 3
        and len(x) > 0
        and start.ndim == 2
        and start.shape[0] == x.shape[1]
        and w.shape == (gates * start.shape[1], x.shape[2])
        and u.shape == (gates * start.shape[1], start.shape[1])
        and all(b.shape == (gates * start.shape[1],) for b in bias)
    )
    if not fits:
        raise InputError(
            f"{name} takes x (time, batch, in), h0 (batch, hidden), w ({gates} hidden, in), u ({gates} hidden, hidden) and "
            f"bias ({gates} hidden,), got {x.shape}, {start.shape}, {w.shape}, {u.shape} and {[b.shape for b in bias]}."
        )


def rnn(x: Array, h0: Array, w: Array, u: Array, bias: Array) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """Return the states h_t = tanh(W x_t + U h_{t-1} + b), (time, batch, hidden), and the cache."""
    _check("rnn", x, h0, w, u, (bias,), 1)
    inputs = x @ w.T + bias  # (time, batch, hidden): all steps at once
    states = [h0]
    for z in inputs:
        states.append(np.tanh(z + states[-1] @ u.T))
    h = np.stack(states)
    return h[1:], (x, h, w, u)


def rnn_backward(grad: Array, cache: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
    r"""Return the gradients of x, h0, W, U and b: backpropagation through time.

    .. math:: \delta_t = (1 - h_t^2) \odot (\nabla_{h_t} + U^T \delta_{t+1}), \quad
        \nabla_W = \sum_t \delta_t x_t^T,\ \nabla_U = \sum_t \delta_t h_{t-1}^T,\ \nabla_b = \sum_t \delta_t

    Parameters
    ----------
    grad : ndarray (time, batch, hidden)
        Gradient of the loss in each state, without what flows back through time.
    cache : tuple
        As :func:`rnn` returned it.

    Returns
    -------
    tuple of ndarray
        The gradients of x (time, batch, in), h0 (batch, hidden), W (hidden, in), U (hidden, hidden) and b (hidden,).

    Raises
    ------
    InputError
        For a gradient of another shape.

    Notes
    -----
    The recursion sums the double sum over t and k <= t of the sources, each of whose terms holds the product of Jacobians
    :math:`\prod \mathrm{diag}(1 - h_i^2) U`. A widely copied form writes U' diag(f'), which mixes two layouts, and one line
    of the source drops the factor dz_t/dz_k.

    References
    ----------
    Werbos 1990, "Backpropagation Through Time". Spec: 02#bptt, 05#bptt, 08#bptt.
    """
    x, h, w, u = cache
    if grad.shape != h[1:].shape:
        raise InputError(f"The gradient must have the shape of the states, {h[1:].shape}, got {grad.shape}.")
    delta = np.empty_like(h[1:])
    later = np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        delta[t] = (1 - h[t + 1] ** 2) * (grad[t] + later)
        later = delta[t] @ u
    return (delta @ w, later, *_weights(delta, x, h[:-1]))


def _weights(delta: Array, x: Array, before: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of W, U and b, summed over time and batch."""
    axes = ((0, 1), (0, 1))
    return np.tensordot(delta, x, axes), np.tensordot(delta, before, axes), delta.sum(axis=(0, 1))


def lstm(x: Array, h0: Array, c0: Array, w: Array, u: Array, bias: Array) -> tuple[Array, tuple[Array, ...]]:
    """Return the outputs (time, batch, hidden) of an LSTM with gates in the order i, f, g, o, and the cache.

    c_t = f c_{t-1} + i g and h_t = o tanh(c_t), with i, f, o = σ(.) and g = tanh(.) of W x_t + U h_{t-1} + b.
    """
    _check("lstm", x, h0, w, u, (bias,), 4)
    if c0.shape != h0.shape:
        raise InputError(f"c0 must have the shape of h0, {h0.shape}, got {c0.shape}.")
    inputs = x @ w.T + bias
    states, cells, gates = [h0], [c0], []
    for z in inputs:
        i, f, g, o = np.split(z + states[-1] @ u.T, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        cells.append(f * cells[-1] + i * g)
        states.append(o * np.tanh(cells[-1]))
        gates.append(np.stack([i, f, g, o]))
    h = np.stack(states)
    return h[1:], (x, h, np.stack(cells), np.stack(gates), w, u)


def lstm_backward(grad: Array, cache: tuple[Array, ...]) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return the gradients of x, h0, c0, W, U and b; the cell passes on dC_t = dC_{t+1} f_{t+1} + what the output adds."""
    x, h, c, gates, w, u = cache
    delta = np.empty((*h[1:].shape[:2], 4 * h.shape[2]))
    later, cell = np.zeros_like(h[0]), np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        i, f, g, o = gates[t]
        squashed = np.tanh(c[t + 1])
        out = grad[t] + later
        cell = cell + out * o * (1 - squashed**2)
        parts = (cell * g * i * (1 - i), cell * c[t] * f * (1 - f), cell * i * (1 - g**2), out * squashed * o * (1 - o))
        delta[t] = np.concatenate(parts, axis=1)
        later, cell = delta[t] @ u, cell * f
    return (delta @ w, later, cell, *_weights(delta, x, h[:-1]))


def gru(x: Array, h0: Array, w: Array, u: Array, bias: Array, recurrent_bias: Array) -> tuple[Array, tuple[Array, ...]]:
    """Return the outputs (time, batch, hidden) of a GRU in PyTorch's convention (gates r, z, n), and the cache.

    n = tanh(W x + b + r (U h + b')), h' = (1 - z) n + z h: the reset gate acts after the recurrent product.
    """
    _check("gru", x, h0, w, u, (bias, recurrent_bias), 3)
    inputs = x @ w.T + bias
    states, gates = [h0], []
    for z in inputs:
        a, b, c = np.split(z, 3, axis=1)
        ra, rb, rc = np.split(states[-1] @ u.T + recurrent_bias, 3, axis=1)
        r, update = sigmoid(a + ra), sigmoid(b + rb)
        n = np.tanh(c + r * rc)
        states.append((1 - update) * n + update * states[-1])
        gates.append(np.stack([r, update, n, rc]))
    h = np.stack(states)
    return h[1:], (x, h, np.stack(gates), w, u)


def gru_backward(grad: Array, cache: tuple[Array, ...]) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return the gradients of x, h0, W, U, b and b'; the candidate's recurrent part carries the reset gate."""
    x, h, gates, w, u = cache
    delta = np.empty((*h[1:].shape[:2], 3 * h.shape[2]))
    recurrent = np.empty_like(delta)
    later = np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        r, update, n, product = gates[t]
        out = grad[t] + later
        dn = out * (1 - update) * (1 - n**2)
        dupdate = out * (h[t] - n) * update * (1 - update)
        dreset = dn * product * r * (1 - r)
        delta[t] = np.concatenate([dreset, dupdate, dn], axis=1)
        recurrent[t] = np.concatenate([dreset, dupdate, dn * r], axis=1)
        later = out * update + recurrent[t] @ u
    dw, _, db = _weights(delta, x, h[:-1])
    _, du, drecurrent = _weights(recurrent, x, h[:-1])
    return delta @ w, later, dw, du, db, drecurrent
