"""Gradient descent of neighbor embedding: momentum, gains, exaggeration and its end."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Gradient = Callable[[np.ndarray, float, bool], tuple[float, np.ndarray]]
"""Takes map (n, k), exaggeration and whether the divergence is wanted; gives the divergence and its gradient (n, k)."""

_CHECK = 50


def descend(
    gradient: Gradient,
    Y: np.ndarray,
    *,
    max_iter: int,
    exaggeration: float,
    exaggeration_iter: int,
    learning_rate: tuple[float, float],
    patience: int,
    min_grad_norm: float,
) -> tuple[np.ndarray, float, int]:
    """Return map, divergence and steps of gradient descent with gains: momentum 0.5 while exaggerated, then 0.8.

    ``learning_rate`` holds the rates of both stages; the second starts with gains of one and without momentum. A gain
    grows by 0.2 where gradient and last step disagree in sign, else shrinks by a fifth, not below 0.01. The second stage
    stops early when 50 steps leave the gradient below ``min_grad_norm`` or ``patience`` steps bring no progress.
    """
    step, gains = np.zeros_like(Y), np.ones_like(Y)
    best, best_at = math.inf, 0
    done = 0
    for t in range(max_iter):
        early = t < exaggeration_iter
        if t == exaggeration_iter:
            step[:], gains[:] = 0.0, 1.0
            best, best_at = math.inf, t
        checked = not early and (t + 1) % _CHECK == 0
        loss, grad = gradient(Y, exaggeration if early else 1.0, checked)
        slower = step * grad < 0
        gains = np.maximum(np.where(slower, gains + 0.2, gains * 0.8), 0.01)
        step = (0.5 if early else 0.8) * step - learning_rate[not early] * gains * grad
        Y = Y + step
        done = t + 1
        if checked:
            if loss < best:
                best, best_at = loss, t
            elif t - best_at > patience:
                break
            if np.linalg.norm(grad) <= min_grad_norm:
                break
    loss, _ = gradient(Y, 1.0, True)
    return Y, loss, done
