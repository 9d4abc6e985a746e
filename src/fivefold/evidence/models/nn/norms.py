"""Normalizations of examples, batches and weights beside PyTorch, NumPy, the exact SVD and limits of one another."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import (
    AdaptiveInstanceNorm,
    BatchInstanceNorm,
    BatchNorm,
    BatchRenorm,
    Dense,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    SpectralNorm,
    SpectralNormPenalty,
    WeightNorm,
)

from ._common import gap, noise, same_weights


def _pair(ours: nn.Module, peer: nn.Module, x: torch.Tensor) -> float:
    ours.double(), peer.double()
    same_weights(ours, peer)
    return gap(ours, peer, x)


def _standard(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


@evidence(
    "layer-norm", claim="Values and gradients agree, on vectors and images", against="torch.nn.LayerNorm, GroupNorm"
)
def layer_norm_as_torch() -> Check:
    worst = _pair(LayerNorm(5), nn.LayerNorm(5), noise(3, 4, 5))
    worst = largest(worst, _pair(LayerNorm([3, 2], eps=0.1), nn.LayerNorm([3, 2], eps=0.1), noise(1, 3, 2)))
    plain = LayerNorm([4, 3, 2], elementwise_affine=False)
    x = noise(2, 4, 3, 2)
    return Check(largest(worst, gap(plain, nn.GroupNorm(1, 4, affine=False), x)), 1e-13, "max difference", "torch.nn")


@evidence("layer-norm", claim="Each example alone: (x - mean)/sqrt(var + eps), a batch of one works", against="NumPy")
def layer_norm_numpy() -> Check:
    x = 2 + noise(4, 6)
    y = LayerNorm(6).double()(x).detach().numpy()
    error = np.abs(y - _standard(x.numpy(), (1,), 1e-5)).max()
    alone = LayerNorm(6).double()(x[:1]).detach().numpy()
    return Check(float(largest(error, np.abs(alone - y[:1]).max())), 1e-13, "max difference", "NumPy")


@evidence("group-norm", claim="Values and gradients agree", against="torch.nn.GroupNorm")
def group_norm_as_torch() -> Check:
    worst = _pair(GroupNorm(2, 6), nn.GroupNorm(2, 6), noise(3, 6, 4))
    worst = largest(worst, _pair(GroupNorm(3, 6, eps=0.1), nn.GroupNorm(3, 6, eps=0.1), noise(2, 6, 2, 3)))
    return Check(worst, 1e-13, "max difference", "torch.nn.GroupNorm")


@evidence(
    "group-norm", claim="One group is layer norm, C groups are instance norm; groups are neighbors", against="NumPy"
)
def group_norm_limits() -> Check:
    x = noise(2, 4, 3, 3)
    error = (GroupNorm(1, 4).double()(x) - LayerNorm([4, 3, 3]).double()(x)).abs().max()
    error = error + (GroupNorm(4, 4).double()(x) - InstanceNorm(4).double()(x)).abs().max()
    grouped = _standard(x.numpy().reshape(2, 2, -1), (2,), 1e-5).reshape(x.shape)
    other = np.abs(GroupNorm(2, 4).double()(x).detach().numpy() - grouped).max()
    return Check(float(error.detach()) + float(other), 1e-12, "max difference", "limits")


@evidence(
    "instance-norm", claim="Values and gradients agree", against="torch.nn.InstanceNorm1d, InstanceNorm2d(affine=True)"
)
def instance_norm_as_torch() -> Check:
    worst = _pair(InstanceNorm(3), nn.InstanceNorm1d(3, affine=True), noise(2, 3, 5))
    worst = largest(worst, _pair(InstanceNorm(3, 0.1), nn.InstanceNorm2d(3, 0.1, affine=True), noise(2, 3, 4, 5)))
    return Check(worst, 1e-13, "max difference", "torch.nn")


@evidence("instance-norm", claim="Each channel of each example has mean 0 and variance v/(v+eps)", against="NumPy")
def instance_norm_numpy() -> Check:
    x = 3 + 2 * noise(2, 3, 4, 5)
    y = InstanceNorm(3).double()(x).detach().numpy()
    v = x.numpy().var(axis=(2, 3))
    error = np.abs(y.mean(axis=(2, 3))).max() + np.abs(y.var(axis=(2, 3)) - v / (v + 1e-5)).max()
    return Check(float(error + np.abs(y - _standard(x.numpy(), (2, 3), 1e-5)).max()), 1e-12, "max difference", "NumPy")


@evidence("adain", claim="Output channels have the style's mean and deviation", against="the style's statistics")
def adain_statistics() -> Check:
    content, style = noise(2, 3, 4, 5), 3 + 2 * noise(2, 3, 6, 2, seed=1)
    y = AdaptiveInstanceNorm(1e-12)(content, style).flatten(2)
    flat = style.flatten(2)
    error = (y.mean(2) - flat.mean(2)).abs().max() + (y.std(2, correction=0) - flat.std(2, correction=0)).abs().max()
    return Check(float(error), 1e-10, "max difference", "the style")


@evidence("adain", claim="σ(y)(x-μ(x))/σ(x) + μ(y), not the source's product with both", against="NumPy")
def adain_numpy() -> Check:
    content, style = noise(2, 3, 4), (3 + 2 * noise(2, 3, 7, seed=1))
    y = style.numpy()
    scale = np.sqrt(y.var(axis=2, keepdims=True) + 1e-5)
    standard = _standard(content.numpy(), (2,), 1e-5)
    found = AdaptiveInstanceNorm()(content, style).numpy()
    printed = scale * (standard + y.mean(axis=2, keepdims=True))
    wrong = int(not np.abs(found - printed).max() >= 0.1)
    return Check(
        float(np.abs(found - scale * standard - y.mean(axis=2, keepdims=True)).max()) + wrong, 1e-13, "difference", ""
    )


@evidence(
    "local-response-norm", claim="Radius 2, alpha 1e-4 agree with size 5, alpha 5e-4", against="torch LocalResponseNorm"
)
def local_response_as_torch() -> Check:
    x = 20 * noise(2, 9, 3, 4)
    worst = gap(LocalResponseNorm(), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2), x)
    peer = nn.LocalResponseNorm(3, alpha=0.6, beta=0.5, k=1.5)
    return Check(largest(worst, gap(LocalResponseNorm(1, 0.2, 0.5, 1.5), peer, x)), 1e-12, "max difference", "torch.nn")


@evidence("local-response-norm", claim="The sum runs over existing neighbors only", against="loops in NumPy")
def local_response_numpy() -> Check:
    x = noise(2, 6).numpy()
    worst = 0.0
    for r in (0, 1, 2, 7):
        wanted = np.empty_like(x)
        for c in range(6):
            near = x[:, max(0, c - r) : min(5, c + r) + 1]
            wanted[:, c] = x[:, c] / (2 + 0.3 * (near**2).sum(axis=1)) ** 0.75
        worst = largest(worst, float(np.abs(LocalResponseNorm(r, 0.3)(torch.as_tensor(x)).numpy() - wanted).max()))
    return Check(worst, 1e-14, "max difference", "NumPy")


@evidence("weight-norm", claim="Values and gradients of g and v agree", against="torch parametrizations.weight_norm")
def weight_norm_as_torch() -> Check:
    worst = 0.0
    for make, x in ((lambda: nn.Linear(4, 3), noise(5, 4)), (lambda: nn.Conv2d(2, 3, 2), noise(2, 2, 4, 4))):
        ours, peer = WeightNorm(make()), nn.utils.parametrizations.weight_norm(make())
        worst = largest(worst, _pair(ours, peer, x))
    return Check(worst, 1e-13, "max difference", "torch.nn.utils.parametrizations.weight_norm")


@evidence(
    "weight-norm", claim="w = g v/|v|; the layer starts as it was; v's gradient is orthogonal to v", against="NumPy"
)
def weight_norm_formula() -> Check:
    dense = Dense(4, 3).double()
    before = dense.weight.detach().clone()
    layer = WeightNorm(dense)
    error = (dense.weight - before).detach().abs().max()
    g, v = dense.parametrizations.weight.original0, dense.parametrizations.weight.original1
    same_weights(layer, layer)
    wanted = g.detach().numpy() * v.detach().numpy() / np.linalg.norm(v.detach().numpy(), axis=1, keepdims=True)
    error = error + np.abs(dense.weight.detach().numpy() - wanted).max()
    grad = torch.autograd.grad((layer(noise(6, 4)) ** 2).sum(), v)[0]
    return Check(float(error + (grad * v).sum(1).detach().abs().max()), 1e-12, "max difference", "NumPy")


@evidence(
    "spectral-norm", claim="The largest singular value is 1, of dense and convolution weights", against="the exact SVD"
)
def spectral_norm_svd() -> Check:
    torch.manual_seed(0)
    worst = 0.0
    for module in (nn.Linear(6, 4).double(), nn.Conv2d(2, 5, 3).double()):
        exact = module.weight.detach().flatten(1)
        layer = SpectralNorm(module, n_power_iterations=300)
        layer(noise(2, 6) if isinstance(module, nn.Linear) else noise(1, 2, 4, 4))
        weight = layer.module.weight.detach().flatten(1)
        worst = largest(worst, float((weight - exact / torch.linalg.matrix_norm(exact, 2)).abs().max()))
    return Check(worst, 1e-9, "max difference", "W/sigma(W) by SVD")


@evidence(
    "spectral-norm", claim="One step a pass from the same vectors agrees, with gradients", against="torch spectral_norm"
)
def spectral_norm_as_torch() -> Check:
    torch.manual_seed(0)
    ours = SpectralNorm(nn.Linear(5, 4).double())
    peer = nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4).double())
    same_weights(ours, peer)
    rule, other = ours.module.parametrizations.weight[0], peer.parametrizations.weight[0]
    start = [nn.functional.normalize(noise(n, seed=n), dim=0) for n in (4, 5)]
    with torch.no_grad():
        for mine, theirs, value in ((rule.u, other._u, start[0]), (rule.v, other._v, start[1])):
            mine.copy_(value), theirs.copy_(value)
    worst = 0.0
    for number in range(3):
        worst = largest(worst, gap(ours, peer, noise(6, 5, seed=number)))
    ours.eval(), peer.eval()
    return Check(
        largest(worst, gap(ours, peer, noise(6, 5)), gap(ours, peer, noise(6, 5))), 1e-13, "max difference", "torch"
    )


@evidence("spectral-norm-regularization", claim="The penalty is half λ Σσ²", against="the exact SVD")
def penalty_svd() -> Check:
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Conv2d(2, 3, 2)).double()
    same_weights(net, net)
    singular = [np.linalg.svd(p.detach().flatten(1).numpy())[1][0] for p in net.parameters() if p.ndim > 1]
    error = abs(float(SpectralNormPenalty(0.3, 500)(net).detach()) - 0.15 * sum(s**2 for s in singular))
    # Longest row orthogonal to the leading direction: a start from a row would give 1.21.
    trap = torch.tensor([[1.1, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    return Check(error + abs(float(SpectralNormPenalty(2.0, 200)(trap)) - 2), 1e-9, "difference", "SVD")


@evidence("spectral-norm-regularization", claim="Its gradient is λ σ u v'", against="the exact SVD")
def penalty_gradient() -> Check:
    w = noise(5, 4).requires_grad_()
    u, s, vt = np.linalg.svd(w.detach().numpy())
    grad = torch.autograd.grad(SpectralNormPenalty(n_power_iterations=500)(w), w)[0].numpy()
    return Check(float(np.abs(grad - 0.01 * s[0] * np.outer(u[:, 0], vt[0])).max()), 1e-11, "max difference", "SVD")


@evidence("spectral-norm-regularization", claim="Its gradient equals finite differences", against="gradcheck")
def penalty_gradcheck() -> Check:
    penalty = SpectralNormPenalty(0.5, 500)
    ok = torch.autograd.gradcheck(penalty, (noise(3, 4).requires_grad_(),), raise_exception=False)
    return Check(int(not ok), 0, "failed gradient checks", "finite differences")


@evidence(
    "batch-instance-norm",
    claim="rho 1 is batch norm, rho 0 instance norm, training and evaluation",
    against="both layers",
)
def batch_instance_limits() -> Check:
    x, worst = 1 + noise(4, 3, 2, 5), 0.0
    for rho, peer in ((1.0, nn.BatchNorm2d(3).double()), (0.0, nn.InstanceNorm2d(3, affine=True).double())):
        layer = BatchInstanceNorm(3, rho=rho).double()
        with torch.no_grad():
            for name in ("weight", "bias"):
                value = noise(3, seed=len(name))
                getattr(layer, name).copy_(value), getattr(peer, name).copy_(value)
        for _ in range(3):
            worst = largest(worst, float((layer(x) - peer(x)).detach().abs().max()))
        layer.eval(), peer.eval()
        worst = largest(worst, float((layer(x * 2) - peer(x * 2)).detach().abs().max()))
    return Check(worst, 1e-13, "max difference", "torch.nn")


@evidence("batch-instance-norm", claim="Between, it is the mix; rho stays in [0, 1] after any update", against="NumPy")
def batch_instance_mix() -> Check:
    x, layer = 1 + noise(4, 2, 6), BatchInstanceNorm(2, rho=0.25).double()
    wanted = 0.25 * _standard(x.numpy(), (0, 2), 1e-5) + 0.75 * _standard(x.numpy(), (2,), 1e-5)
    error = np.abs(layer(x).detach().numpy() - wanted).max()
    wrong = 0
    for step in (5.0, -5.0):
        with torch.no_grad():
            layer.rho.add_(step)
        layer(x)
        wrong += int(not layer.rho.min() >= 0) + int(not layer.rho.max() <= 1)
    wrong += int((BatchInstanceNorm(2).rho != 1).any())
    return Check(float(error) + wrong, 1e-13, "max difference", "NumPy")


@evidence(
    "batch-renorm", claim="With r_max 1 and d_max 0 it is batch norm", against="BatchNorm(eps=1e-3), biased variance"
)
def batch_renorm_limit() -> Check:
    ours = BatchRenorm(3, r_max=1, d_max=0, momentum=0.2).double()
    peer = BatchNorm(3, eps=1e-3, momentum=0.2, unbiased=False).double()
    worst = _pair(ours, peer, 1 + noise(6, 3))
    ours.eval(), peer.eval()
    return Check(largest(worst, gap(ours, peer, noise(6, 3, 2))), 1e-13, "max difference", "BatchNorm")


@evidence(
    "batch-renorm", claim="r and d are clipped ratios to the running statistics, then these move", against="NumPy"
)
def batch_renorm_formula() -> Check:
    layer = BatchRenorm(3, r_max=1.5, d_max=0.5).double()
    mean, var = np.zeros(3), np.ones(3)
    shift, size = np.array([0.1, 4.0, -4.0]), np.array([1.1, 5.0, 0.1])
    worst = 0.0
    for n in range(3):
        x = shift + size * noise(8, 3, seed=n).numpy()
        m, s, old = x.mean(axis=0), np.sqrt(x.var(axis=0) + 1e-3), np.sqrt(var + 1e-3)
        r, d = np.clip(s / old, 1 / 1.5, 1.5), np.clip((m - mean) / old, -0.5, 0.5)
        worst = largest(worst, np.abs(layer(torch.as_tensor(x)).detach().numpy() - ((x - m) / s * r + d)).max())
        mean, var = 0.99 * mean + 0.01 * m, 0.99 * var + 0.01 * x.var(axis=0)
    layer.eval()
    wanted = (x - mean) / np.sqrt(var + 1e-3)
    wrong = int((BatchRenorm(1).r_max, BatchRenorm(1).d_max) != (3, 5))
    return Check(
        float(largest(worst, np.abs(layer(torch.as_tensor(x)).detach().numpy() - wanted).max())) + wrong,
        1e-13,
        "",
        "NumPy",
    )


@evidence(
    "batch-renorm", claim="No gradient flows through r and d", against="autograd of the formula with both constant"
)
def batch_renorm_gradient() -> Check:
    x = (2 + 3 * noise(6, 2)).requires_grad_()
    layer = BatchRenorm(2).double()
    layer.running_mean.fill_(1.0), layer.running_var.fill_(4.0)
    found = torch.autograd.grad((layer(x) * noise(6, 2, seed=4)).sum(), x)[0]
    variance, mean = torch.var_mean(x, 0, correction=0)
    s, old = torch.sqrt(variance + 1e-3), (4 + 1e-3) ** 0.5
    y = (x - mean) / s * (s / old).detach() + ((mean - 1) / old).detach()
    wanted = torch.autograd.grad((y * noise(6, 2, seed=4)).sum(), x)[0]
    return Check(float((found - wanted).abs().max()), 1e-14, "max difference", "autograd")
