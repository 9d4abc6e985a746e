"""Activations beside PyTorch, SciPy, identities and worked numbers."""

from __future__ import annotations

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest, smallest
from fivefold.models.nn import GumbelSoftmax, LeakyReLU, Maxout, PReLU, ReLU, Sigmoid, Softmax, Swish, Tanh

from ._common import gap, noise


def _grid() -> torch.Tensor:
    return torch.linspace(-6, 6, 121, dtype=torch.float64).reshape(11, 11)


def _slope(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    v = x.clone().requires_grad_()
    return torch.autograd.grad(layer(v).sum(), v)[0]


@evidence("relu", claim="Values and gradients agree, at zero too", against="torch.nn.ReLU")
def relu_as_torch() -> Check:
    return Check(gap(ReLU(), torch.nn.ReLU(), _grid()), 0, "max difference", "torch.nn.ReLU")


@evidence("relu", claim="Values are max(0, x), slopes 1 above 0 and 0 elsewhere", against="the definition in NumPy")
def relu_definition() -> Check:
    x = _grid()
    error = np.abs(ReLU()(x).numpy() - np.maximum(0, x.numpy())).max()
    wrong = int((_slope(ReLU(), x).numpy() != (x.numpy() > 0)).sum())
    return Check(float(error) + wrong, 0, "max difference", "NumPy")


@evidence("relu", claim="About half of the units are active with symmetric first weights", against="the binomial law")
def relu_active() -> Check:
    w, x = noise(400, 50, seed=1), noise(50, 50, seed=2)
    units = (ReLU()(x @ w.T) > 0).double().mean()
    # 50 inputs in 50 dimensions, 400 independent units: a unit's share has deviation at most 1/2, their mean 1/(2·20).
    return Check(abs(float(units) - 0.5), 5 / 40, "|share - 1/2|", "1/2 within five deviations")


@evidence("sigmoid", claim="Values and gradients agree", against="torch.sigmoid")
def sigmoid_as_torch() -> Check:
    return Check(gap(Sigmoid(), torch.sigmoid, _grid()), 0, "max difference", "torch.sigmoid")


@evidence("sigmoid", claim="Values are 1/(1+exp(-x)) and slopes s(1-s)", against="the definition in NumPy")
def sigmoid_definition() -> Check:
    x = _grid().numpy()
    s = 1 / (1 + np.exp(-x))
    error = (
        np.abs(Sigmoid()(_grid()).numpy() - s).max() + np.abs(_slope(Sigmoid(), _grid()).numpy() - s * (1 - s)).max()
    )
    return Check(float(error), 1e-15, "max difference", "NumPy")


@evidence("sigmoid", claim="Large inputs give 0 and 1 with slope 0, no NaN", against="the limits")
def sigmoid_extremes() -> Check:
    x = torch.tensor([-1e4, 1e4], dtype=torch.float64)
    error = (Sigmoid()(x) - torch.tensor([0.0, 1.0])).abs().max() + _slope(Sigmoid(), x).abs().max()
    return Check(float(error), 0, "max difference", "0 and 1")


@evidence("tanh", claim="Values and gradients agree", against="torch.nn.Tanh")
def tanh_as_torch() -> Check:
    return Check(gap(Tanh(), torch.nn.Tanh(), _grid()), 0, "max difference", "torch.nn.Tanh")


@evidence("tanh", claim="Values are 2 sigmoid(2x) - 1", against="the sigmoid, in NumPy")
def tanh_sigmoid() -> Check:
    x = _grid()
    return Check(
        float(np.abs(Tanh()(x).numpy() - (2 / (1 + np.exp(-2 * x.numpy())) - 1)).max()),
        1e-15,
        "max difference",
        "NumPy",
    )


@evidence("tanh", claim="Slopes are 1 - tanh² = 4e^{2x}/(e^{2x}+1)²", against="the definition in NumPy")
def tanh_slope() -> Check:
    e = np.exp(2 * _grid().numpy())
    slope = _slope(Tanh(), _grid()).numpy()
    error = np.abs(slope - 4 * e / (e + 1) ** 2).max() + np.abs(slope - (1 - np.tanh(_grid().numpy()) ** 2)).max()
    return Check(float(error), 1e-15, "max difference", "NumPy")


@evidence("leaky-relu", claim="Values and gradients agree at the default slope 0.01", against="torch.nn.LeakyReLU")
def leaky_as_torch() -> Check:
    return Check(gap(LeakyReLU(), torch.nn.LeakyReLU(), _grid()), 0, "max difference", "torch.nn.LeakyReLU")


@evidence("leaky-relu", claim="Negative inputs are multiplied by the slope, others stay", against="numpy.where")
def leaky_definition() -> Check:
    x = _grid().numpy()
    worst = 0.0
    for slope in (0.0, 0.01, 0.3, 1.0):
        layer = LeakyReLU() if slope == 0.01 else LeakyReLU(slope)
        worst = largest(worst, float(np.abs(layer(_grid()).numpy() - np.where(x > 0, x, slope * x)).max()))
    return Check(worst, 0, "max difference", "NumPy")


@evidence("prelu", claim="Values, input gradients and slope gradients agree", against="torch.nn.PReLU")
def prelu_as_torch() -> Check:
    worst = gap(PReLU().double(), torch.nn.PReLU().double(), _grid())
    ours, peer = PReLU(11, 0.1).double(), torch.nn.PReLU(11, 0.1).double()
    return Check(largest(worst, gap(ours, peer, _grid())), 0, "max difference", "torch.nn.PReLU")


@evidence("prelu", claim="The slope's gradient is the sum of negative inputs of its channel", against="the formula")
def prelu_slope() -> Check:
    x = noise(6, 4, 5)
    layer = PReLU(4).double()
    grad = torch.autograd.grad(layer(x).sum(), layer.weight)[0].numpy()
    error = np.abs(grad - np.minimum(x.numpy(), 0).sum(axis=(0, 2))).max()
    wrong = int(not torch.equal(PReLU(3).weight.detach(), torch.full((3,), 0.25)))
    return Check(float(error) + wrong, 1e-13, "max difference", "sum of min(x, 0); first slope 1/4")


@evidence("swish", claim="At beta 1 values and gradients agree", against="torch.nn.SiLU")
def swish_as_torch() -> Check:
    fixed = gap(Swish(), torch.nn.SiLU(), _grid())
    x = _grid()
    learned = float((Swish(1.0, learnable=True).double()(x) - torch.nn.functional.silu(x)).detach().abs().max())
    return Check(largest(fixed, learned), 1e-14, "max difference", "torch.nn.SiLU")


@evidence("swish", claim="Values are x sigmoid(beta x), and beta's slope is x² s(1-s)", against="the formula in NumPy")
def swish_formula() -> Check:
    x = _grid().numpy()
    s = 1 / (1 + np.exp(-2.5 * x))
    layer = Swish(2.5, learnable=True).double()
    grad = torch.autograd.grad(layer(_grid()).sum(), layer.beta)[0]
    error = np.abs(Swish(2.5)(_grid()).numpy() - x * s).max() + abs(float(grad) - (x**2 * s * (1 - s)).sum())
    return Check(float(error), 1e-12, "max difference", "NumPy")


@evidence(
    "swish", claim="As beta grows it tends to the rectifier: the largest gap is 0.2785/beta", against="the maximum"
)
def swish_limit() -> Check:
    # |x σ(-βx)| is largest where βx = 1.2785, with value 0.2784645/β.
    x = torch.linspace(-1, 1, 200001, dtype=torch.float64)
    gaps = [float((Swish(b)(x) - x.clamp(min=0)).abs().max()) * b for b in (10.0, 100.0)]
    return Check(largest(abs(g - 0.2784645428) for g in gaps), 1e-6, "|beta gap - constant|", "0.2784645")


@evidence("softmax", claim="Values agree along every axis", against="scipy.special.softmax")
def softmax_as_scipy() -> Check:
    from scipy.special import softmax

    x = 5 * noise(3, 4, 5)
    worst = largest(np.abs(Softmax(d)(x).numpy() - softmax(x.numpy(), axis=d)).max() for d in (0, 1, 2))
    worst = largest(worst, np.abs(Softmax()(x).numpy() - softmax(x.numpy(), axis=-1)).max())
    return Check(float(worst), 1e-15, "max difference", "scipy.special.softmax")


@evidence("softmax", claim="Sums to 1, ignores shifts, and with two classes is the sigmoid", against="identities")
def softmax_identities() -> Check:
    x = noise(7, 4)
    p = Softmax()(x)
    error = (p.sum(-1) - 1).abs().max() + (Softmax()(x + 1e3) - p).abs().max()
    two = Softmax()(x[:, :2])[:, 0]
    error = error + (two - torch.sigmoid(x[:, 0] - x[:, 1])).abs().max()
    extreme = Softmax()(torch.tensor([1e4, 0.0, -1e4], dtype=torch.float64))
    return Check(
        float(error + (extreme - torch.tensor([1.0, 0, 0])).abs().max()), 1e-12, "max difference", "identities"
    )


@evidence("softmax", claim="The Jacobian is diag(p) - p p'", against="the closed form")
def softmax_jacobian() -> Check:
    x = noise(5)
    p = Softmax()(x)
    jacobian = torch.autograd.functional.jacobian(Softmax(), x)
    return Check(float((jacobian - (p.diag() - p.outer(p))).abs().max()), 1e-15, "max difference", "diag(p) - pp'")


@evidence("maxout", claim="The group {5, 7} gives 7", against="the worked number of the source")
def maxout_worked() -> Check:
    layer = Maxout(1, 1).double()
    with torch.no_grad():
        layer.linear.weight.zero_()
        layer.linear.bias.copy_(torch.tensor([5.0, 7.0]))
    gradient = torch.autograd.grad(layer(torch.zeros(1, 1).double()).sum(), layer.linear.bias)[0]
    wrong = abs(float(layer(torch.zeros(1, 1).double()).detach()) - 7) + float(
        (gradient - torch.tensor([0, 1])).abs().sum()
    )
    return Check(wrong, 0, "difference", "7, learned by the second alone")


@evidence(
    "maxout", claim="Two pieces fit |x| and the rectifier exactly, three make three pieces", against="the functions"
)
def maxout_shapes() -> Check:
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None]
    cases = [
        ([1.0, -1.0], [0.0, 0.0], x.abs()),
        ([1.0, 0.0], [0.0, 0.0], x.clamp(min=0)),
        ([-1.0, 0.0, 1.0], [-1.0, 0.0, -1.0], (x.abs() - 1).clamp(min=0)),
    ]
    worst = 0.0
    for slopes, shifts, wanted in cases:
        layer = Maxout(1, 1, len(slopes)).double()
        with torch.no_grad():
            layer.linear.weight.copy_(torch.tensor(slopes)[:, None])
            layer.linear.bias.copy_(torch.tensor(shifts))
        worst = largest(worst, float((layer(x) - wanted).detach().abs().max()))
    return Check(worst, 1e-15, "max difference", "|x|, max(0, x), max(0, |x| - 1)")


@evidence("maxout", claim="Outputs are the maxima of groups of k linear maps", against="NumPy")
def maxout_numpy() -> Check:
    layer, x = Maxout(4, 3, 5).double(), noise(2, 6, 4)
    z = x.numpy() @ layer.linear.weight.detach().numpy().T + layer.linear.bias.detach().numpy()
    error = np.abs(layer(x).detach().numpy() - z.reshape(2, 6, 3, 5).max(axis=-1)).max()
    return Check(float(error) + int(Maxout(1, 1).num_pieces != 2), 1e-13, "max difference", "NumPy")


@evidence("gumbel-softmax", claim="On the same noise soft and hard samples agree", against="functional.gumbel_softmax")
def gumbel_as_torch() -> Check:
    x, worst = noise(4, 6), 0.0
    for tau, hard, dim in ((1.0, False, -1), (0.3, True, -1), (2.0, False, 0), (0.5, True, 0)):
        pair = []
        for layer in (
            GumbelSoftmax(tau, hard, dim),
            lambda v, t=tau, h=hard, d=dim: torch.nn.functional.gumbel_softmax(v, t, h, dim=d),
        ):
            torch.manual_seed(5)
            v = x.clone().requires_grad_()
            y = layer(v)
            pair.append((y.detach(), torch.autograd.grad((y * x.cos()).sum(), v)[0]))
        worst = largest(worst, *(float((a - b).abs().max()) for a, b in zip(*pair)))
    return Check(worst, 1e-15, "max difference", "torch.nn.functional.gumbel_softmax")


@evidence("gumbel-softmax", claim="Hard samples have the frequencies of softmax(x) at any temperature", against="chi²")
def gumbel_frequencies() -> Check:
    from scipy.stats import chisquare

    logits = torch.tensor([1.0, 0.0, -1.0, 0.5], dtype=torch.float64)
    least = 1.0
    for tau in (0.2, 3.0):
        generator = torch.Generator().manual_seed(1)
        counts = GumbelSoftmax(tau, hard=True)(logits.expand(20000, 4), generator=generator).sum(0)
        least = smallest(
            least, float(chisquare(counts.round().numpy(), 20000 * torch.softmax(logits, 0).numpy()).pvalue)
        )
    return Check(least, 1e-4, "p-value", "chi-squared test", at_least=True)


@evidence("gumbel-softmax", claim="With given noise the sample is softmax((x+g)/tau)", against="NumPy")
def gumbel_fixed() -> Check:
    x, g = noise(5, 3), noise(5, 3, seed=9)
    z = np.exp((x + g).numpy() / 0.4)
    soft = z / z.sum(axis=1, keepdims=True)
    error = np.abs(GumbelSoftmax(0.4)(x, g).numpy() - soft).max()
    hard = GumbelSoftmax(0.4, hard=True)(x, g).numpy()
    default = np.abs(GumbelSoftmax()(x, g).numpy() - torch.softmax(x + g, 1).numpy()).max()
    return Check(
        float(error + default + np.abs(hard - np.eye(3)[soft.argmax(1)]).max()), 1e-14, "max difference", "NumPy"
    )
