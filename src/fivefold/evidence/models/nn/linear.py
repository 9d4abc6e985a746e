"""Dense layers and embeddings beside PyTorch, NumPy and worked numbers; backpropagation by hand beside autograd."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import Dense, Embedding, TimeDistributedDense, by_hand, two_layer

from ._common import gap, noise, same_weights


@evidence("dense-layer", claim="Values and gradients agree", against="torch.nn.Linear")
def dense_as_torch() -> Check:
    worst = 0.0
    for bias in (True, False):
        ours, peer = Dense(4, 3, bias).double(), nn.Linear(4, 3, bias).double()
        same_weights(ours, peer)
        worst = largest(worst, gap(ours, peer, noise(5, 4)), gap(ours, peer, noise(2, 5, 4)))
    return Check(worst, 1e-15, "max difference", "torch.nn.Linear")


@evidence("dense-layer", claim="By hand Z = XW' + b, dX = dZ W, dW = dZ'X, db = sum dZ", against="autograd in float64")
@evidence("backpropagation", claim="Both passes of a dense layer by hand", against="autograd in float64")
def dense_by_hand() -> Check:
    x, w, b, g = noise(6, 4), noise(3, 4, seed=1), noise(3, seed=2), noise(6, 3, seed=3)
    layer = Dense(4, 3).double()
    with torch.no_grad():
        layer.weight.copy_(w), layer.bias.copy_(b)
    v = x.clone().requires_grad_()
    y = layer(v)
    wanted = torch.autograd.grad(y, (v, layer.weight, layer.bias), g)
    out, cache = by_hand.dense(x.numpy(), w.numpy(), b.numpy())
    found = by_hand.dense_backward(g.numpy(), cache)
    error = largest(np.abs(a - c.numpy()).max() for a, c in zip((out, *found), (y.detach(), *wanted)))
    return Check(float(error), 1e-14, "max difference", "autograd")


@evidence(
    "time-distributed-dense", claim="Equals a broadcast product and a dense layer", against="NumPy, torch.nn.Linear"
)
def time_distributed() -> Check:
    ours, peer = TimeDistributedDense(4, 3).double(), nn.Linear(4, 3).double()
    same_weights(ours, peer)
    x = noise(2, 5, 4)
    product = x.numpy() @ peer.weight.detach().numpy().T + peer.bias.detach().numpy()
    error = largest(gap(ours, peer, x), float(np.abs(ours(x).detach().numpy() - product).max()))
    strided = noise(5, 2, 4).transpose(0, 1)
    return Check(largest(error, gap(ours, peer, strided)), 1e-14, "max difference", "broadcasting")


@evidence(
    "embedding-layer", claim="Row 4 of the printed table is (10, 12, 19)", against="the worked number of the source"
)
def embedding_worked() -> Check:
    table = torch.tensor([[17, 24, 1], [23, 5, 7], [4, 6, 13], [10, 12, 19], [11, 18, 25]], dtype=torch.float64)
    layer = Embedding(5, 3).double()
    with torch.no_grad():
        layer.weight.copy_(table)
    onehot = torch.eye(5, dtype=torch.float64) @ table
    every = layer(torch.arange(5)).detach()
    error = (layer(torch.tensor([3])).detach() - torch.tensor([[10.0, 12, 19]])).abs().max() + (
        every - onehot
    ).abs().max()
    return Check(float(error), 0, "difference", "(10, 12, 19)")


@evidence(
    "embedding-layer", claim="Values, gradients, padding and sparse gradients agree", against="torch.nn.Embedding"
)
def embedding_as_torch() -> Check:
    x, worst = torch.tensor([[0, 2, 2], [1, 4, 0]]), 0.0
    for padding, sparse in ((None, False), (2, False), (None, True)):
        ours = Embedding(5, 3, padding_idx=padding, sparse=sparse).double()
        peer = nn.Embedding(5, 3, padding_idx=padding, sparse=sparse).double()
        worst += 0.0 if padding is None else float(ours.weight[padding].detach().abs().max())
        same_weights(ours, peer)
        pair = []
        for layer in (ours, peer):
            (layer(x) * noise(2, 3, 3)).sum().backward()
            grad = layer.weight.grad
            worst += float(grad.is_sparse != sparse)
            pair.append((layer(x).detach(), grad.to_dense()))
        worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    return Check(worst, 0, "max difference", "torch.nn.Embedding")


def _two() -> list[torch.Tensor]:
    return [noise(7, 4), noise(7, 2, seed=1).sigmoid(), *(noise(*s, seed=9) for s in ((5, 4), (5,), (2, 5), (2,)))]


@evidence(
    "backpropagation", claim="Loss and the four gradients of two sigmoid layers agree", against="autograd in float64"
)
def backpropagation_autograd() -> Check:
    x, target, *weights = _two()
    given = [w.clone().requires_grad_() for w in weights]
    y = torch.sigmoid(torch.sigmoid(x @ given[0].T + given[1]) @ given[2].T + given[3])
    loss = ((y - target) ** 2).sum() / (2 * len(x))
    wanted = torch.autograd.grad(loss, given)
    value, found = two_layer(x.numpy(), target.numpy(), *(w.numpy() for w in weights))
    error = largest(np.abs(a - b.numpy()).max() for a, b in zip(found, wanted))
    return Check(float(largest(error, abs(value - loss.item()))), 1e-15, "max difference", "autograd")


@evidence("backpropagation", claim="Gradients are those of the loss", against="central differences")
def backpropagation_differences() -> Check:
    x, target, *weights = (v.numpy() for v in _two())
    _, grads = two_layer(x, target, *weights)
    worst, step = 0.0, 1e-5
    for number, grad in enumerate(grads):
        for place in np.ndindex(grad.shape):
            values = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[number][place] += sign * step
                values.append(two_layer(x, target, *moved)[0])
            worst = largest(worst, abs((values[0] - values[1]) / (2 * step) - grad[place]))
    # Truncation is step²/6 times a third derivative below 1, rounding 1e-16/step.
    return Check(worst, 1e-10, "max difference", "finite differences")


@evidence(
    "backpropagation", claim="The printed code's slope at σ(H) is wrong: its first gradients miss", against="autograd"
)
def backpropagation_misprint() -> Check:
    x, target, w1, b1, w2, b2 = (v.numpy() for v in _two())
    _, (right, *_) = two_layer(x, target, w1, b1, w2, b2)
    h = by_hand.sigmoid(x @ w1.T + b1)
    y = by_hand.sigmoid(h @ w2.T + b2)
    back = ((y - target) / len(x) * y * (1 - y)) @ w2
    printed = by_hand.sigmoid(h)
    misses = np.abs((back * printed * (1 - printed)).T @ x - right).max() / np.abs(right).max()
    mended = np.abs((back * h * (1 - h)).T @ x - right).max()
    return Check(float(misses) if mended < 1e-15 else 0.0, 0.01, "relative error of the misprint", "", at_least=True)


class _Counted(np.ndarray):
    """Arrays that count the multiplications of their matrix products."""

    work = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [v.view(np.ndarray) if isinstance(v, _Counted) else v for v in inputs]
        if ufunc is np.matmul:
            _Counted.work += plain[0].shape[0] * plain[0].shape[1] * plain[1].shape[1]
        return np.asarray(getattr(ufunc, method)(*plain, **options)).view(_Counted)


@evidence(
    "backpropagation",
    claim="All derivatives cost three forward passes, not one for each parameter as in forward mode",
    against="the multiplications counted",
)
def backpropagation_cost() -> Check:
    x, target, *weights = (v.numpy().view(_Counted) for v in _two())
    _Counted.work = 0
    two_layer(x, target, *weights)
    forward = 7 * 4 * 5 + 7 * 5 * 2
    return Check(_Counted.work / forward, 3 if _Counted.work >= forward else 0, "forward passes", "37 in forward mode")


@evidence("softmax", claim="Cross-entropy by hand and its gradient (p - onehot)/n agree", against="torch.cross_entropy")
@evidence("backpropagation", claim="Cross-entropy by hand and its gradient", against="torch.cross_entropy")
def cross_entropy_by_hand() -> Check:
    logits, target = (40 * noise(6, 4)).requires_grad_(), torch.tensor([0, 3, 2, 1, 1, 0])
    loss = nn.functional.cross_entropy(logits, target)
    value, grad = by_hand.softmax_cross_entropy(logits.detach().numpy(), target.numpy())
    error = np.abs(grad - torch.autograd.grad(loss, logits)[0].numpy()).max()
    return Check(
        float(largest(error, abs(value - loss.item()) / loss.item())), 1e-14, "max difference", "torch.cross_entropy"
    )


@evidence("batch-norm", claim="Forward and backward passes by hand agree", against="the layer under autograd, float64")
@evidence("backpropagation", claim="Both passes of batch norm by hand", against="autograd in float64")
def batch_norm_by_hand() -> Check:
    from fivefold.models.nn import BatchNorm

    x, w, b, g = 2 + noise(7, 3), noise(3, seed=1), noise(3, seed=2), noise(7, 3, seed=3)
    layer = BatchNorm(3).double()
    with torch.no_grad():
        layer.weight.copy_(w), layer.bias.copy_(b)
    v = x.clone().requires_grad_()
    y = layer(v)
    wanted = torch.autograd.grad(y, (v, layer.weight, layer.bias), g)
    out, cache = by_hand.batch_norm(x.numpy(), w.numpy(), b.numpy())
    found = by_hand.batch_norm_backward(g.numpy(), cache)
    error = largest(np.abs(a - c.numpy()).max() for a, c in zip((out, *found), (y.detach(), *wanted)))
    return Check(float(error), 1e-13, "max difference", "autograd")
