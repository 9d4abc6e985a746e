"""Dense layers, batch normalization, softmax with cross-entropy, and a network of two layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import InputError

Array = np.ndarray[Any, Any]


def sigmoid(z: Array) -> Array:
    """Return 1/(1 + exp(-z)) = exp(-log(1 + exp(-z))), which never overflows."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)))


def dense(x: Array, weight: Array, bias: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return ``x @ weight.T + bias`` for x (n, in), weight (out, in), bias (out,), and the cache."""
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1] or bias.shape != (weight.shape[0],):
        raise InputError(
            f"dense takes x (n, in), weight (out, in) and bias (out,), got {x.shape}, {weight.shape} and {bias.shape}."
        )
    return x @ weight.T + bias, (x, weight)


def dense_backward(grad: Array, cache: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias: dX = dZ W, dW = dZ' X, db = sum of dZ over the batch."""
    x, weight = cache
    return grad @ weight, grad.T @ x, grad.sum(axis=0)


def softmax_cross_entropy(logits: Array, target: Array) -> tuple[float, Array]:
    """Return the mean cross-entropy of logits (n, k) with classes (n,), and its gradient (p - onehot)/n."""
    if logits.ndim != 2 or target.shape != (len(logits),) or not len(logits):
        raise InputError(f"logits must be (n, k) and target (n,), got {logits.shape} and {target.shape}.")
    if target.min() < 0 or target.max() >= logits.shape[1]:
        raise InputError(f"Classes must lie in [0, {logits.shape[1]}), got {target.min()} to {target.max()}.")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    rows = np.arange(len(target))
    grad = np.exp(shifted - log_sum[:, None])
    grad[rows, target] -= 1
    return float((log_sum - shifted[rows, target]).mean()), grad / len(target)


def batch_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return x (n, c) standardized over the batch by the biased variance, times weight plus bias, and the cache."""
    if x.ndim != 2 or len(x) < 2 or weight.shape != (x.shape[1],) or bias.shape != weight.shape:
        raise InputError(
            f"batch_norm takes x (n >= 2, c), weight (c,) and bias (c,), got {x.shape}, {weight.shape}, {bias.shape}."
        )
    scale = 1 / np.sqrt(x.var(axis=0) + eps)
    standard = (x - x.mean(axis=0)) * scale
    return standard * weight + bias, (standard, scale, weight)


def batch_norm_backward(grad: Array, cache: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias.

    Mean and variance depend on every row, so what the gradient has along 1 and along the standardized values is removed.
    """
    standard, scale, weight = cache
    inner = grad * weight
    along = inner.mean(axis=0) + standard * (inner * standard).mean(axis=0)
    return (inner - along) * scale, (grad * standard).sum(axis=0), grad.sum(axis=0)


def two_layer(
    x: Array, target: Array, weight1: Array, bias1: Array, weight2: Array, bias2: Array
) -> tuple[float, tuple[Array, Array, Array, Array]]:
    r"""Return half the mean squared error of a network of two sigmoid layers, and its gradients by backpropagation.

    .. math:: H = \sigma(X W_1^T + b_1), \quad Y = \sigma(H W_2^T + b_2), \quad L = \frac{1}{2N} \sum (Y - T)^2

    Parameters
    ----------
    x, target : ndarray (n, in), (n, out)
    weight1, bias1, weight2, bias2 : ndarray (hidden, in), (hidden,), (out, hidden), (out,)

    Returns
    -------
    float, tuple of ndarray
        The loss and the gradients of the four parameters, in their order and shapes.

    Raises
    ------
    InputError
        For shapes that do not fit.

    Notes
    -----
    A printed version adds the bias to the transposed weight inside the product, squares the sum instead of summing squares,
    returns weight gradients transposed, and takes the slope at σ(H) instead of H; all four are mended here.

    References
    ----------
    Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors".
    Spec: 05#backpropagation, 08#backprop, 08#backprop-2layer-numpy, 08#forward-propagation, 08#pytorch-autograd-demo.
    """
    z1, first = dense(x, weight1, bias1)
    hidden = sigmoid(z1)
    z2, second = dense(hidden, weight2, bias2)
    y = sigmoid(z2)
    if target.shape != y.shape:
        raise InputError(f"target must have the shape of the output, {y.shape}, got {target.shape}.")
    loss = float(((y - target) ** 2).sum() / (2 * len(x)))
    dz2 = (y - target) / len(x) * y * (1 - y)
    dhidden, dweight2, dbias2 = dense_backward(dz2, second)
    _, dweight1, dbias1 = dense_backward(dhidden * hidden * (1 - hidden), first)
    return loss, (dweight1, dbias1, dweight2, dbias2)
