"""Compiled steps of the methods that accumulate squared gradients; d is the gradient with its sign and decay."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fivefold.base.jit import njit

from ._sweep import column


@functools.cache
def adagrad_kernel(inside: bool) -> Any:
    """Return the kernel of s += d^2, x -= lr d / root(s)."""

    @njit(error_model="numpy")
    def kernel(table, numbers):  # type: ignore[no-untyped-def]
        for row in range(len(table)):
            p, g, s = column(table, row, 0, numbers), column(table, row, 1, numbers), column(table, row, 2, numbers)
            n = numbers[row]
            sign, l2, keep, lr, eps = n[0], n[1], n[2], n[3], n[4]
            for i in range(p.size):
                x = p[i] * keep
                d = sign * g[i] + l2 * x
                total = s[i] + d * d
                s[i] = total
                root = np.sqrt(total + eps) if inside else np.sqrt(total) + eps
                p[i] = x + -lr * d / root

    return kernel


@functools.cache
def rmsprop_kernel(inside: bool, centered: bool, moving: bool) -> Any:
    """Return the kernel of s = old s + new d^2 with the variance, the velocity or neither; unused arrays are s itself."""

    @njit(error_model="numpy")
    def kernel(table, numbers):  # type: ignore[no-untyped-def]
        for row in range(len(table)):
            p, g, s = column(table, row, 0, numbers), column(table, row, 1, numbers), column(table, row, 2, numbers)
            m = column(table, row, 3, numbers) if centered else s
            v = column(table, row, 4 if centered else 3, numbers) if moving else s
            n = numbers[row]
            sign, l2, keep, lr, old, new = n[0], n[1], n[2], n[3], n[4], n[5]
            rest, momentum, eps = n[6], n[7], n[8]
            zero = l2 - l2
            for i in range(p.size):
                x = p[i] * keep
                d = sign * g[i] + l2 * x
                square = old * s[i] + new * d * d
                s[i] = square
                if centered:
                    mean = m[i] + rest * (d - m[i])
                    m[i] = mean
                    # Rounding may leave a variance a hair below zero.
                    square = max(square - mean * mean, zero)
                root = np.sqrt(square + eps) if inside else np.sqrt(square) + eps
                if moving:
                    move = momentum * v[i] + d / root
                    v[i] = move
                    p[i] = x - lr * move
                else:
                    p[i] = x + -lr * d / root

    return kernel


@njit(error_model="numpy")
def adadelta_kernel(table, numbers):  # type: ignore[no-untyped-def]
    """Step with the ratio of the roots of the mean squared updates u and gradients s."""
    for row in range(len(table)):
        p, g, s = column(table, row, 0, numbers), column(table, row, 1, numbers), column(table, row, 2, numbers)
        u, n = column(table, row, 3, numbers), numbers[row]
        sign, l2, keep, lr, rho, rest, eps = n[0], n[1], n[2], n[3], n[4], n[5], n[6]
        for i in range(p.size):
            x = p[i] * keep
            d = sign * g[i] + l2 * x
            square = rho * s[i] + rest * d * d
            s[i] = square
            move = np.sqrt(u[i] + eps) / np.sqrt(square + eps) * d
            u[i] = rho * u[i] + rest * move * move
            p[i] = x - lr * move


@njit(error_model="numpy")
def ftrl_kernel(table, numbers):  # type: ignore[no-untyped-def]
    """Step to the minimum of the linear model z with its curvature and the penalty l1."""
    for row in range(len(table)):
        p, g, total = column(table, row, 0, numbers), column(table, row, 1, numbers), column(table, row, 2, numbers)
        z, n = column(table, row, 3, numbers), numbers[row]
        sign, lr, beta, l1, l2 = n[0], n[3], n[4], n[5], n[6]
        zero = l1 - l1
        for i in range(p.size):
            d = sign * g[i]
            before = np.sqrt(total[i])
            square = total[i] + d * d
            total[i] = square
            root = np.sqrt(square)
            linear = z[i] + d - (root - before) / lr * p[i]
            z[i] = linear
            curvature = (beta + root) / lr + l2
            far = max(abs(linear) - l1, zero)
            # A weight that has never had a gradient may have no curvature; it stays.
            p[i] = -np.sign(linear) * far / curvature if curvature > zero else p[i]
