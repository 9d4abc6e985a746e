"""First weights beside PyTorch on the same stream of numbers, and by their moments and what they do to depth."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, fault, largest
from fivefold.models.nn import BasicInit, HeInit, OrthogonalInit, XavierInit, initialize


def _twin(ours: object, peer: object, *shapes: tuple[int, ...]) -> float:
    """Return the largest difference when both draw from generators with the same seed."""
    worst = 0.0
    for shape in shapes:
        pair = [
            fill(torch.empty(shape, dtype=torch.float64), generator=torch.Generator().manual_seed(4))
            for fill in (ours, peer)
        ]
        worst = largest(worst, float((pair[0] - pair[1]).abs().max()))
    return worst


_SHAPES = ((7, 12), (6, 4, 3, 5))


def _relative(values: torch.Tensor, variance: float) -> float:
    """Return mean and variance of a sample as deviations in standard errors (kurtosis at most that of a normal)."""
    n = values.numel()
    mean = float(values.mean()) / math.sqrt(variance / n)
    return largest(abs(mean), abs(float(values.var()) / variance - 1) / math.sqrt(2 / n))


@evidence(
    "xavier-init", claim="Both distributions agree on the same stream", against="torch xavier_uniform_, xavier_normal_"
)
def xavier_as_torch() -> Check:
    def torch_normal(t: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return nn.init.xavier_normal_(t, 1.7, generator=generator)

    worst = largest(
        _twin(XavierInit(), nn.init.xavier_uniform_, *_SHAPES), _twin(XavierInit("normal", 1.7), torch_normal, *_SHAPES)
    )
    return Check(worst, 1e-15, "max difference", "torch.nn.init")


@evidence("xavier-init", claim="Mean 0, variance 2/(n_in+n_out) and bound ±sqrt(6/(n_in+n_out))", against="the formula")
def xavier_moments() -> Check:
    generator = torch.Generator().manual_seed(0)
    w = [XavierInit(d)(torch.empty(300, 100, dtype=torch.float64), generator) for d in ("uniform", "normal")]
    bound = math.sqrt(6 / 400)
    outside = int((w[0].abs() > bound).sum()) + fault(float(w[0].abs().max()) < 0.99 * bound)
    worst = largest(_relative(v, 2 / 400) for v in w)
    return Check(worst + 100 * outside, 5, "standard errors", "2/(n_in + n_out)")


@evidence("xavier-init", claim="Activations and gradients keep their variance in 20 square linear layers", against="1")
def xavier_depth() -> Check:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 256, generator=generator, dtype=torch.float64)
    start = h = x.requires_grad_()
    for _ in range(20):
        h = h @ XavierInit()(torch.empty(256, 256, dtype=torch.float64), generator).T
    grad = torch.autograd.grad((h * torch.randn(h.shape, generator=generator, dtype=h.dtype)).sum(), start)[0]
    # A layer multiplies a squared norm by 1 ± sqrt(2/256); twenty of them by exp(± 0.4) in one deviation.
    worst = largest(abs(math.log(float(h.detach().var()))), abs(math.log(float(grad.var()))))
    return Check(worst, 5 * math.sqrt(20 * 2 / 256), "|log variance|", "five deviations of the product")


@evidence("he-init", claim="Both distributions and modes agree on the same stream", against="torch kaiming_*_")
def he_as_torch() -> Check:
    worst = 0.0
    for mode, word in (("fan-in", "fan_in"), ("fan-out", "fan_out")):
        for slope in (0.0, 0.2):

            def normal(t, generator, m=word, a=slope):
                return nn.init.kaiming_normal_(t, a, m, generator=generator)

            def uniform(t, generator, m=word, a=slope):
                return nn.init.kaiming_uniform_(t, a, m, generator=generator)

            worst = largest(worst, _twin(HeInit("normal", mode, slope), normal, *_SHAPES))
            worst = largest(worst, _twin(HeInit("uniform", mode, slope), uniform, *_SHAPES))
    return Check(worst, 1e-15, "max difference", "torch.nn.init")


@evidence("he-init", claim="By default variance 2/n_in, mean 0, normal", against="the formula and a test of normality")
def he_moments() -> Check:
    from scipy.stats import kstest

    w = HeInit()(torch.empty(100, 300, dtype=torch.float64), torch.Generator().manual_seed(0))
    fit = kstest(w.flatten().numpy(), "norm", args=(0, math.sqrt(2 / 300))).pvalue
    return Check(_relative(w, 2 / 300) + 100 * int(not fit >= 1e-4), 5, "standard errors", "2/n_in")


@evidence(
    "he-init", claim="30 rectified layers keep the scale where Xavier loses half a layer", against="the ratio 2^30"
)
def he_depth() -> Check:
    scales = []
    for init in (HeInit(), XavierInit("normal")):
        generator = torch.Generator().manual_seed(2)
        h = torch.randn(100, 256, generator=generator, dtype=torch.float64)
        for _ in range(30):
            h = torch.relu(h @ init(torch.empty(256, 256, dtype=torch.float64), generator).T)
        scales.append(float((h**2).mean()))
    # Same normal numbers, so the ratio is exactly 2 for each layer; the kept scale varies as for linear layers, 5/n each.
    wrong = int(not abs(math.log(scales[0])) <= 5 * math.sqrt(30 * 5 / 256))
    return Check(abs(scales[0] / scales[1] / 2**30 - 1) + wrong, 1e-9, "relative difference", "2^30")


@evidence(
    "orthogonal-init", claim="W'W = g² I for tall, WW' for wide weights and kernels", against="the identity matrix"
)
def orthogonal_identity() -> Check:
    worst = 0.0
    for shape, gain in (((9, 5), 1.0), ((5, 9), 1.0), ((4, 3, 2, 2), 0.5), ((6, 6), 2.0)):
        init = OrthogonalInit() if gain == 1 else OrthogonalInit(gain)
        w = init(torch.empty(shape, dtype=torch.float64), torch.Generator().manual_seed(0)).flatten(1)
        product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        worst = largest(worst, float((product - gain**2 * torch.eye(len(product))).abs().max()))
    return Check(worst, 1e-14, "max |W'W - I|", "identity")


@evidence("orthogonal-init", claim="The same stream gives the same weights", against="torch.nn.init.orthogonal_")
def orthogonal_as_torch() -> Check:
    def peer(t: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return nn.init.orthogonal_(t, 1.3, generator=generator)

    return Check(
        _twin(OrthogonalInit(1.3), peer, (6, 6), (8, 5), (5, 8), (4, 3, 2)), 1e-14, "max difference", "torch.nn.init"
    )


@evidence(
    "orthogonal-init", claim="Diagonal entries are symmetric about 0, as uniform matrices have them", against="t-test"
)
def orthogonal_signs() -> Check:
    generator = torch.Generator().manual_seed(0)
    traces = np.array([float(OrthogonalInit()(torch.empty(3, 3), generator).diagonal().sum()) for _ in range(400)])
    # The trace of a uniform orthogonal matrix has mean 0 and variance 1.
    return Check(abs(traces.mean()) * 20, 5, "standard errors of the mean trace", "0")


@evidence("basic-init", claim="Moments and bounds are those of each distribution", against="their formulas")
def basic_moments() -> Check:
    worst, outside = 0.0, 0
    cut = 1 - 2 * 2 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))  # variance cut at two deviations
    cases = {
        "normal": (0.04, math.inf),
        "truncated-normal": (0.04 * cut, 0.4),
        "uniform": (0.04 / 3, 0.2),
        "fan-uniform": (1 / 300, 0.1),
    }
    for name, (variance, bound) in cases.items():
        mean = 0.0 if name == "fan-uniform" else 1.5
        w = (
            BasicInit(name, mean, 0.2)(torch.empty(200, 100, dtype=torch.float64), torch.Generator().manual_seed(0))
            - mean
        )
        worst = largest(worst, _relative(w, variance))
        outside += int((~(w.abs() <= bound + 1e-12)).sum()) + fault(
            name != "normal" and not float(w.abs().max()) >= 0.98 * bound
        )
    return Check(worst + 100 * outside, 5, "standard errors", "formulas")


@evidence("basic-init", claim="The truncated normal has the right distribution", against="scipy.stats.truncnorm")
def basic_truncated() -> Check:
    from scipy.stats import kstest, truncnorm

    w = BasicInit("truncated-normal")(torch.empty(5000, dtype=torch.float64), torch.Generator().manual_seed(1))
    fit = kstest(w.numpy(), truncnorm(-2, 2, 0, 0.1).cdf).pvalue
    return Check(float(fit), 1e-4, "p-value", "scipy.stats.truncnorm", at_least=True)


@evidence("basic-init", claim="Constants fill; by default N(0, 0.1²)", against="the same stream of normal numbers")
def basic_constant() -> Check:
    wrong = int(not torch.equal(BasicInit("constant", 0.3)(torch.empty(4)), torch.full((4,), 0.3)))
    w = BasicInit()(torch.empty(50, dtype=torch.float64), torch.Generator().manual_seed(1))
    peer = torch.empty(50, dtype=torch.float64).normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    return Check(wrong + float((w - peer).abs().max()), 0, "difference", "torch.Tensor.normal_")


def _net() -> nn.Module:
    inner = nn.Sequential(nn.Linear(40, 60), nn.BatchNorm1d(60))
    net = nn.Sequential(nn.Embedding(50, 40), inner, nn.Conv1d(2, 3, 2))
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(7.0)
    return net


@evidence("init-registry", claim="Each of the five names draws its distribution, children too", against="torch.nn.init")
def registry_names() -> Check:
    peers = {
        "normal": lambda t, g: nn.init.normal_(t, generator=g),
        "uniform": lambda t, g: nn.init.uniform_(t, -1, 1, generator=g),
        "xavier": lambda t, g: nn.init.xavier_normal_(t, generator=g),
        "kaiming": lambda t, g: nn.init.kaiming_normal_(t, generator=g),
        "orthogonal": lambda t, g: nn.init.orthogonal_(t, generator=g),
    }
    worst = 0.0
    for name, fill in peers.items():
        net = initialize(_net(), name, torch.Generator().manual_seed(3))
        generator = torch.Generator().manual_seed(3)
        for weight in (net[0].weight, net[1][0].weight):
            worst = largest(worst, float((weight - fill(torch.empty_like(weight), generator)).detach().abs().max()))
    return Check(worst, 1e-6, "max difference in float32", "torch.nn.init")


@evidence(
    "init-registry",
    claim="Linear bias 0, batch norm 1 and 0, convolutions untouched; xavier by default",
    against="rules",
)
def registry_rules() -> Check:
    net = initialize(_net(), generator=torch.Generator().manual_seed(3))
    linear, norm = net[1][0], net[1][1]
    wrong = [
        linear.bias.abs().max(),
        (norm.weight - 1).abs().max(),
        norm.bias.abs().max(),
        (net[2].weight - 7).abs().max(),
    ]
    peer = initialize(_net(), "xavier", torch.Generator().manual_seed(3))
    wrong.append((peer[1][0].weight - linear.weight).abs().max())
    return Check(float(sum(wrong).detach()), 0, "differences", "the rules")


@evidence("init-registry", claim="An unknown name is refused and the nearest offered", against="the message")
def registry_unknown() -> Check:
    try:
        initialize(_net(), "kaimin")
    except KeyError as error:
        return Check(0 if "kaiming" in str(error) else 1, 0, "unclear messages", "house rule")
    return Check(1, 0, "accepted", "house rule")
