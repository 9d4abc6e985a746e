"""Divergences and entropies: scipy, torch, Monte Carlo, closed forms, bounds, minimizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest


def _batch(seed: int = 0, n: int = 12, k: int = 5) -> Any:
    """Return logits, their softmax q, target distributions p with a zero, and row weights."""
    import torch

    rng = np.random.default_rng(seed)
    z = torch.tensor(2 * rng.normal(size=(n, k)))
    p = rng.dirichlet(np.ones(k), n)
    p[0] = [0.0, 0.5, 0.5, 0.0, 0.0]
    return z, torch.softmax(z, 1).numpy(), torch.tensor(p), torch.tensor(rng.random(n))


def _reduced(loss: Any, z: Any, p: Any, w: Any, values: np.ndarray) -> float:
    """Return the worst difference of the reductions of a loss class from NumPy's."""
    worst = np.abs(loss(reduction="none")(z, p).numpy() - values).max()
    worst = largest(worst, abs(float(loss()(z, p)) - values.mean()))
    worst = largest(worst, abs(float(loss(reduction="sum")(z, p)) - values.sum()))
    worst = largest(worst, abs(float(loss()(z, p, w)) - np.average(values, weights=w.numpy())))
    return largest(worst, abs(float(loss()(z[:0], p[:0]))))


@evidence(
    "kl-divergence", claim="Both directions equal scipy's entropy(p, q), with zeros in p", against="scipy.stats.entropy"
)
def kl_scipy() -> Check:
    from functools import partial

    from scipy.stats import entropy

    from fivefold.objectives.divergences import KLDivergenceLoss

    z, q, p, w = _batch()
    worst = _reduced(KLDivergenceLoss, z, p, w, entropy(p.numpy(), q, axis=1))
    worst = largest(
        worst,
        _reduced(partial(KLDivergenceLoss, "reverse"), z[1:], p[1:], w[1:], entropy(q[1:], p.numpy()[1:], axis=1)),
    )
    infinite = KLDivergenceLoss("reverse", "none")(z, p)[0]
    return Check(worst + float(infinite != float("inf")), 1e-13, "max difference", "scipy")


@evidence(
    "kl-divergence",
    claim="Values and slopes equal torch's batchmean; a class index gives cross-entropy",
    against="torch kl_div",
)
def kl_torch() -> Check:
    import torch
    from torch.nn import functional

    from fivefold.objectives.divergences import KLDivergenceLoss

    z, q, p, _ = _batch(1)
    a, b = z.clone().requires_grad_(), z.clone().requires_grad_()
    mine = KLDivergenceLoss()(a, p)
    other = functional.kl_div(torch.log_softmax(b, 1), p, reduction="batchmean")
    mine.backward(), other.backward()
    worst = largest(abs(float((mine - other).detach())), float((a.grad - b.grad).abs().max()))
    entropy = -(p * torch.where(p > 0, p, 1).log()).sum(1).mean()
    worst = largest(worst, abs(float(functional.cross_entropy(z, p) - entropy - mine.detach())))
    y = torch.arange(12) % 5
    worst = largest(worst, abs(float(KLDivergenceLoss()(z, y) - functional.cross_entropy(z, y))))
    wild = torch.tensor([[1e4, -1e4], [-1e4, 1e4]]).bfloat16()
    sure = KLDivergenceLoss(reduction="none")(wild, torch.tensor([0, 0])).double()
    wrong = float(sure[0] != 0) + float(not abs(sure[1] - 2e4) <= 400)
    return Check(worst + wrong, 1e-13, "max difference", "torch")


@evidence(
    "kl-divergence", claim="Non-negative, zero for equal distributions only, asymmetric", against="Gibbs' inequality"
)
def kl_gibbs() -> Check:
    import torch

    from fivefold.objectives.divergences import KLDivergenceLoss

    z, q, p, _ = _batch(2)
    there = KLDivergenceLoss(reduction="none")(z[1:], p[1:])
    back = KLDivergenceLoss("reverse", "none")(z[1:], p[1:])
    same = KLDivergenceLoss(reduction="none")(z, torch.tensor(q)).abs().max()
    wrong = (
        float((~(there > 0)).sum() + (~(back > 0)).sum())
        + fault((there - back).abs().min() < 1e-9)
        + float(same) / 1e-14
    )
    return Check(wrong, 1.0, "violations", "theory")


@evidence("jensen-shannon-divergence", claim="It is the square of scipy's distance", against="scipy jensenshannon")
def jensen_shannon_scipy() -> Check:
    from scipy.spatial.distance import jensenshannon

    from fivefold.objectives.divergences import JensenShannonLoss

    z, q, p, w = _batch(3)
    return Check(
        _reduced(JensenShannonLoss, z, p, w, jensenshannon(p.numpy(), q, axis=1) ** 2), 1e-13, "max difference", "scipy"
    )


@evidence(
    "jensen-shannon-divergence",
    claim="Symmetric, 0 for equals, ln 2 for disjoint supports and never more",
    against="its bounds",
)
def jensen_shannon_bounds() -> Check:
    import torch

    from fivefold.objectives.divergences import JensenShannonLoss

    z, q, p, _ = _batch(4)
    loss = JensenShannonLoss(reduction="none")
    there, back = loss(z[1:], p[1:]), loss(p[1:].log(), torch.tensor(q)[1:])
    wrong = float((there - back).abs().max()) + float(loss(z, torch.tensor(q)).abs().max())
    wrong += float((~(there > 0)).sum() + (~(there < np.log(2))).sum())
    x = torch.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    values = loss(x, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    values.sum().backward()
    wrong += abs(float(values[0].detach()) - np.log(2)) * 1e-6 + float(values[1].detach()) + float(x.grad.abs().max())
    return Check(wrong, 1e-12, "sum of differences", "0 and ln 2")


@evidence("f-divergence", claim="The named ones equal the mean under q of f(p/q)", against="NumPy")
def f_divergence_definition() -> Check:
    from functools import partial

    from fivefold.objectives.divergences import FDivergenceLoss

    z, q, p, w = _batch(5)
    z, q, p, w = z[1:], q[1:], p[1:], w[1:]
    ratio = p.numpy() / q
    worst = 0.0
    for name, values in {
        "kl": ratio * np.log(ratio),
        "reverse-kl": -np.log(ratio),
        "hellinger": (np.sqrt(ratio) - 1) ** 2,
        "total-variation": np.abs(ratio - 1) / 2,
        "pearson": (ratio - 1) ** 2,
    }.items():
        exact = (q * values).sum(1)
        worst = largest(worst, _reduced(partial(FDivergenceLoss, name), z, p, w, exact) / max(1, exact.max()))
    other = FDivergenceLoss(lambda t: 2 * (1 - t.sqrt()), "none")(z, p) - FDivergenceLoss("hellinger", "none")(z, p)
    return Check(largest(worst, float(other.abs().max())), 1e-13, "max difference", "the definition")


@evidence(
    "f-divergence",
    claim="Direct formulas, also with p = 0; the default is KL; a class index has known values",
    against="scipy",
)
def f_divergence_direct() -> Check:
    import torch
    from scipy.stats import entropy

    from fivefold.objectives.divergences import FDivergenceLoss

    z, q, p, _ = _batch(6)
    pn = p.numpy()
    wrong = np.abs(FDivergenceLoss(reduction="none")(z, p).numpy() - entropy(pn, q, axis=1)).max()
    wrong += np.abs(FDivergenceLoss("hellinger", "none")(z, p).numpy() - (2 - 2 * np.sqrt(pn * q).sum(1))).max()
    wrong += np.abs(FDivergenceLoss("total-variation", "none")(z, p).numpy() - np.maximum(pn - q, 0).sum(1)).max()
    chi = (pn**2 / q).sum(1) - 1
    wrong += (np.abs(FDivergenceLoss("pearson", "none")(z, p).numpy() - chi) / (1 + chi)).max()
    reverse = FDivergenceLoss("reverse-kl", "none")(z, p).numpy()
    wrong += float(reverse[0] != np.inf) + np.abs(reverse[1:] - entropy(q[1:], pn[1:], axis=1)).max()
    y = torch.tensor([1])
    wrong += abs(float(FDivergenceLoss("total-variation")(z[:1], y)) - (1 - q[0, 1]))
    return Check(wrong, 1e-12, "sum of differences", "direct formulas")


@evidence("bregman-divergence", claim="Each generator equals F(y) - F(x) - F'(x)(y - x)", against="NumPy")
def bregman_definition() -> Check:
    import torch

    from fivefold.objectives.divergences import BregmanLoss

    rng = np.random.default_rng(0)
    x, y, w = (rng.uniform(0.05, 0.95, 30) for _ in range(3))
    worst = 0.0
    for name, f, slope in (
        ("squared", lambda t: t**2, lambda t: 2 * t),
        ("entropy", lambda t: t * np.log(t), lambda t: np.log(t) + 1),
        ("itakura-saito", lambda t: -np.log(t), lambda t: -1 / t),
        ("logistic", lambda t: t * np.log(t) + (1 - t) * np.log(1 - t), lambda t: np.log(t / (1 - t))),
    ):
        exact = f(y) - f(x) - slope(x) * (y - x)
        a, b, c = (torch.tensor(v) for v in (x, y, w))
        found = BregmanLoss(name, "none")(a, b).numpy()
        scale = 1 + np.abs(exact).max()
        worst = largest(worst, np.abs(found - exact).max() / scale, float((~(found >= -1e-15)).sum()))
        worst = largest(worst, abs(float(BregmanLoss(name)(a, b, c)) - np.average(exact, weights=w)) / scale)
        worst = largest(worst, float(BregmanLoss(name, "none")(a, a).abs().max()))
    return Check(worst, 1e-14, "max relative difference", "the definition")


@evidence(
    "bregman-divergence",
    claim="Whatever the generator, the best constant is the mean; entropy gives KL",
    against="Banerjee et al. 2005",
)
def bregman_mean() -> Check:
    import torch
    from scipy.stats import entropy

    from fivefold.objectives.divergences import BregmanLoss

    rng = np.random.default_rng(1)
    y = torch.tensor(rng.uniform(0.1, 0.9, 50))
    worst = 0.0
    for name in ("squared", "entropy", "itakura-saito", "logistic"):
        at = y.mean().clone().requires_grad_()
        BregmanLoss(name)(at.expand(50), y).backward()
        worst = largest(worst, abs(float(at.grad)))
    p, q = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    p[0], p[1] = 0.0, p[0] + p[1]
    found = BregmanLoss("entropy", "sum")(torch.tensor(q), torch.tensor(p))
    worst = largest(worst, abs(float(found) - entropy(p, q)))
    euclid = BregmanLoss(reduction="sum")(torch.tensor(q), torch.tensor(p))
    worst = largest(worst, abs(float(euclid) - ((p - q) ** 2).sum()))
    edge = BregmanLoss("logistic", "none")(torch.tensor([0.25, 0.25]), torch.tensor([0.0, 1.0])).numpy()
    worst = largest(worst, np.abs(edge + np.log([0.75, 0.25])).max() * 1e-6)
    return Check(worst, 1e-12, "max slope at the mean", "zero")


@evidence("gaussian-kl", claim="Equals torch.distributions, summed over dimensions", against="torch kl_divergence")
def gaussian_kl_torch() -> Check:
    import torch
    from torch.distributions import Normal, kl_divergence

    from fivefold.objectives.divergences import GaussianKLLoss

    rng = np.random.default_rng(0)
    mean, log_variance = torch.tensor(rng.normal(size=(6, 3))), torch.tensor(rng.normal(size=(6, 3)))
    w = torch.tensor(rng.random(6))
    exact = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).numpy()
    worst = np.abs(GaussianKLLoss(reduction="none")(mean, log_variance).numpy() - exact).max()
    worst = largest(worst, abs(float(GaussianKLLoss()(mean, log_variance)) - exact.mean()))
    worst = largest(worst, abs(float(GaussianKLLoss(reduction="sum")(mean, log_variance)) - exact.sum()))
    worst = largest(worst, abs(float(GaussianKLLoss()(mean, log_variance, w)) - np.average(exact, weights=w.numpy())))
    each = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).numpy()
    free = GaussianKLLoss(0.4, "none")(mean, log_variance).numpy()
    worst = largest(worst, np.abs(free - np.maximum(each, 0.4).sum(1)).max())
    return Check(worst, 1e-13, "max difference", "torch")


@evidence(
    "gaussian-kl",
    claim="Gradients hold to second order; 0 and flat at the standard normal",
    against="finite differences",
)
def gaussian_kl_gradients() -> Check:
    import torch

    from fivefold.objectives.divergences import GaussianKLLoss

    rng = np.random.default_rng(1)
    pair = tuple(torch.tensor(rng.normal(size=(3, 2))).requires_grad_() for _ in range(2))
    ok = torch.autograd.gradcheck(GaussianKLLoss(), pair, raise_exception=False)
    ok = ok and torch.autograd.gradgradcheck(GaussianKLLoss(), pair, raise_exception=False)
    zero = tuple(torch.zeros(2, 3, requires_grad=True) for _ in range(2))
    value = GaussianKLLoss()(*zero)
    value.backward()
    wrong = abs(float(value.detach())) + sum(float(v.grad.abs().max()) for v in zero)
    half = GaussianKLLoss(reduction="none")(torch.tensor([[100.0, -100.0]]).bfloat16(), torch.zeros(1, 2).bfloat16())
    return Check(wrong + float(not ok) + float(not abs(float(half) - 1e4) <= 200), 0, "violations", "theory")


@evidence("gaussian-kl", claim="Monte Carlo: the mean of ln q - ln p over samples of q", against="200,000 samples")
def gaussian_kl_monte_carlo() -> Check:
    import torch

    from fivefold.objectives.divergences import GaussianKLLoss

    rng = np.random.default_rng(2)
    mean, deviation = np.array([0.7, -1.2]), np.array([0.5, 1.6])
    z = mean + deviation * rng.normal(size=(200_000, 2))
    gap = (-np.log(deviation) - 0.5 * ((z - mean) / deviation) ** 2 + 0.5 * z**2).sum(1)
    exact = GaussianKLLoss()(torch.tensor(mean[None]), torch.tensor(2 * np.log(deviation[None])))
    # Five standard errors of the sample.
    error = 5 * gap.std() / np.sqrt(len(gap))
    return Check(abs(gap.mean() - float(exact)) / error, 1.0, "difference in 5 standard errors", "Monte Carlo")


@evidence(
    "shannon-entropy", claim="Equals scipy in nats, bits and other bases, along any axis", against="scipy.stats.entropy"
)
def shannon_scipy() -> Check:
    from scipy.stats import entropy

    from fivefold.objectives.information import shannon_entropy

    p = np.random.default_rng(0).dirichlet(np.ones(6), 9)
    p[0] = [0, 0, 1, 0, 0, 0]
    worst = np.abs(shannon_entropy(p) - entropy(p, axis=1)).max()
    worst = largest(worst, np.abs(shannon_entropy(p, 2) - entropy(p, axis=1, base=2)).max())
    worst = largest(worst, np.abs(shannon_entropy(p.T, 10, axis=0) - entropy(p, axis=1, base=10)).max())
    return Check(worst, 1e-14, "max difference", "scipy")


@evidence(
    "shannon-entropy",
    claim="Coins and dice: 1 bit, log2 6 bits, 0; uniform is most; rare events tell more",
    against="by hand",
)
def shannon_by_hand() -> Check:
    from fivefold.objectives.information import self_information, shannon_entropy

    wrong = abs(shannon_entropy([0.5, 0.5], 2) - 1) + abs(shannon_entropy([1 / 6] * 6, 2) - np.log2(6))
    wrong += abs(shannon_entropy([1.0, 0.0])) + abs(shannon_entropy([0.5, 0.25, 0.25], 2) - 1.5)
    wrong += abs(shannon_entropy([0.5, 0.5]) - np.log(2))
    told = self_information([0.5, 0.125, 1.0, 0.0], 2)
    wrong += np.abs(told[:3] - [1, 3, 0]).max() + float(told[3] != np.inf)
    wrong += abs(float(self_information(np.exp(-2.0))) - 2)
    others = shannon_entropy(np.random.default_rng(1).dirichlet(np.ones(5), 200))
    wrong += float((~(others < np.log(5))).sum())
    p = np.array([0.2, 0.5, 0.3])
    wrong += abs((p * self_information(p)).sum() - shannon_entropy(p))
    return Check(wrong, 1e-14, "sum of differences", "arithmetic")


@evidence(
    "mutual-information", claim="Equals scikit-learn's score of label columns", against="scikit-learn mutual_info_score"
)
def mutual_sklearn() -> Check:
    from sklearn.metrics import mutual_info_score

    from fivefold.objectives.information import mutual_information_of_labels

    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, 300)
    y = np.where(rng.random(300) < 0.6, x % 3, rng.integers(0, 3, 300))
    exact = mutual_info_score(x, y)
    wrong = abs(mutual_information_of_labels(x, y) - exact)
    wrong = largest(wrong, abs(mutual_information_of_labels(x.astype(str), y, 2) - exact / np.log(2)))
    return Check(wrong, 1e-14, "max difference", "scikit-learn")


@evidence(
    "mutual-information",
    claim="I = H(X) - H(X|Y) = H(Y) - H(Y|X), 0 when independent, H when equal",
    against="entropies",
)
def mutual_identities() -> Check:
    from scipy.stats import entropy

    from fivefold.objectives.information import conditional_entropy, mutual_information

    joint = np.random.default_rng(1).dirichlet(np.ones(12)).reshape(3, 4)
    joint[0, 0], joint[0, 1] = 0.0, joint[0, 0] + joint[0, 1]
    h_x, h_y, h_xy = entropy(joint.sum(1)), entropy(joint.sum(0)), entropy(joint.ravel())
    found = mutual_information(joint)
    wrong = abs(found - (h_x + h_y - h_xy)) + abs(conditional_entropy(joint) - (h_xy - h_y))
    wrong += abs(found - (h_x - conditional_entropy(joint))) + abs(found - (h_y - conditional_entropy(joint.T)))
    wrong += abs(mutual_information(joint, 2) - found / np.log(2)) + abs(
        conditional_entropy(joint, 2) - (h_xy - h_y) / np.log(2)
    )
    wrong += abs(mutual_information(np.outer([0.3, 0.7], [0.1, 0.4, 0.5])))
    wrong += abs(mutual_information(np.diag([0.5, 0.25, 0.25]), 2) - 1.5)
    wrong += abs(conditional_entropy(np.diag([0.5, 0.25, 0.25])))
    # Independence is the product, p(x, y) = p(x) p(y): the sum that a source prints is no distribution here.
    return Check(wrong, 1e-13, "sum of differences", "entropies")
