"""Empirical and expected risk, maximum likelihood: closed forms, rates, one problem under three names."""

from __future__ import annotations

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest

WEIGHTS = np.array([1.0, -2.0])
NOISE = 0.5


def _sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 2)) * [1.0, 2.0]
    return x, x @ WEIGHTS + np.sqrt(NOISE) * rng.normal(size=n)


@evidence(
    "empirical-risk-minimization",
    claim="The empirical risk of a fixed line is unbiased, and its error is that of the closed form: σ_L/√N",
    against="the expected squared loss of Gaussian data",
)
def risk_rate() -> Check:
    from fivefold.objectives.risk import expected_risk

    line = np.array([0.5, -1.5])
    # The residual is Gaussian, so the loss is its variance times χ² of one degree: mean v, variance 2v².
    exact = float(((line - WEIGHTS) ** 2 * [1.0, 4.0]).sum() + NOISE)
    worst = 0.0
    for n in (64, 4096):
        found = [
            expected_risk(lambda x: x @ line, lambda a, b: (a - b) ** 2, _sample, n, batch_size=1000, random_state=seed)
            for seed in range(300)
        ]
        scaled = (np.array([r.value for r in found]) - exact) * np.sqrt(n) / (exact * np.sqrt(2))  # about N(0, 1)
        worst = largest(worst, abs(scaled.mean()) * np.sqrt(300) / 4)
        # 300 squares of standard normals (kurtosis 3 + 12/n): mean 1, deviation √(2.2/300) at most.
        worst = largest(worst, abs((scaled**2).mean() - 1) / (4 * np.sqrt(2.2 / 300)))
    # The error it states itself, of 4096 examples, has a relative deviation of √((15 - 1)/4/4096).
    stated = np.array([r.standard_error for r in found]) * np.sqrt(4096) / (exact * np.sqrt(2))
    worst = largest(worst, float(np.abs(stated - 1).max()) / (5 * np.sqrt(3.5 / 4096)))
    worst = largest(worst, fault(found[0].n != 4096))
    return Check(worst, 1, "share of four to five standard deviations", "closed form")


@evidence(
    "empirical-risk-minimization",
    claim="Batches of any size, drawn or given, merge to the mean and standard error of all examples",
    against="NumPy",
)
def risk_merge() -> Check:
    from fivefold.base.random import Streams
    from fivefold.objectives.risk import expected_risk

    found = expected_risk(lambda x: x[:, 0], lambda a, b: 1e6 + a - b, _sample, 10, batch_size=4, random_state=7)
    drawn = [_sample(Streams(7).numpy("examples", k), m) for k, m in enumerate((4, 4, 2))]
    values = np.concatenate([1e6 + x[:, 0] - y for x, y in drawn])
    wrong = abs(found.value - values.mean()) + abs(found.standard_error - values.std(ddof=1) / np.sqrt(10))
    default = expected_risk(lambda x: x[:, 0], lambda a, b: a - b, _sample)
    return Check(wrong + float(default.n != 100_000), 1e-8, "difference", "NumPy")


@evidence(
    "empirical-risk-minimization",
    claim="Mean squared error + λ/2 ‖w‖² is minimized by ridge of Nλ/2; its gradient passes finite differences",
    against="the normal equations; finite differences",
)
def risk_ridge() -> Check:
    import torch

    from fivefold.objectives import L2Regularizer, MSELoss
    from fivefold.objectives.risk import EmpiricalRisk

    x, y = _sample(np.random.default_rng(1), 30)
    rows = np.linspace(0.5, 2.0, 30)
    model = torch.nn.Linear(2, 1, bias=False).double()
    tx, ty, tw = torch.tensor(x), torch.tensor(y)[:, None], torch.tensor(rows)[:, None]
    worst = 0.0
    for weight, w in ((None, np.ones(30)), (tw, rows)):
        objective = EmpiricalRisk(MSELoss(), L2Regularizer(0.4), 0.5)
        share = w / w.sum()
        solution = np.linalg.solve((x * share[:, None]).T @ x + 0.1 * np.eye(2), (x * share[:, None]).T @ y)
        with torch.no_grad():
            model.weight.copy_(torch.tensor(solution)[None])
        value = objective(model, tx, ty, weight)
        (slope,) = torch.autograd.grad(value, model.weight)
        exact = (share * (x @ solution - y) ** 2).sum() + 0.1 * (solution**2).sum()
        worst = largest(worst, float(slope.abs().max()), abs(float(value.detach()) - exact))
    plain = EmpiricalRisk(MSELoss())(model, tx, ty)
    worst = largest(worst, abs(float(plain.detach()) - ((x @ solution - y) ** 2).mean()))
    once = EmpiricalRisk(MSELoss(), L2Regularizer(0.4))(model, tx, ty) - plain
    worst = largest(worst, abs(float(once.detach()) - 0.2 * (solution**2).sum()))

    def call(weight: torch.Tensor) -> torch.Tensor:
        given = torch.nn.Linear(2, 1, bias=False).double()
        del given.weight
        given.weight = weight
        return EmpiricalRisk(MSELoss(), lambda net: net.weight.square().sum(), 0.3)(given, tx, ty)

    start = torch.tensor([[0.3, 0.7]]).double().requires_grad_()
    worst = largest(worst, float(not torch.autograd.gradcheck(call, (start,), raise_exception=False)))
    return Check(worst, 1e-12, "max difference", "normal equations")


@evidence(
    "maximum-likelihood",
    claim="Negative log-likelihood, cross-entropy and KL(data‖model) have one minimum; KL(model‖data) has another",
    against="grid search of a family; binomial closed form",
)
def likelihood_argmin() -> Check:
    import torch

    from fivefold.objectives import CrossEntropyLoss, KLDivergenceLoss
    from fivefold.objectives.likelihood import NegativeLogLikelihoodLoss, negative_log_likelihood

    seen = torch.tensor([0] * 5 + [1] * 3 + [2] * 12)
    shares = torch.bincount(seen).double() / 20
    # Binomial of two draws: q = ((1-t)², 2t(1-t), t²) cannot equal the shares; likelihood is largest at t = mean / 2.
    t = torch.linspace(0.001, 0.999, 999).double()
    log_q = torch.stack([2 * (-t).log1p(), np.log(2) + t.log() + (-t).log1p(), 2 * t.log()], dim=1)
    nll, kl, ce = NegativeLogLikelihoodLoss(), KLDivergenceLoss(), CrossEntropyLoss()
    curves = [
        torch.stack([nll(row.expand(20, 3), seen) for row in log_q]),
        kl_curve := torch.stack([kl(row[None], shares[None]) for row in log_q]),
        torch.stack([ce(row.expand(20, 3), seen) for row in log_q]),
        torch.stack([negative_log_likelihood(torch.distributions.Categorical(logits=row), seen) for row in log_q]),
    ]
    best = [float(t[curve.argmin()]) for curve in curves]
    exact = float(seen.double().mean() / 2)
    wrong = largest(abs(b - exact) for b in best) * 1e-9  # one step of the grid is 1e-3
    wrong += float(not largest(abs(b - exact) for b in best) <= 0.0005 + 1e-12)
    entropy = float(-(shares * shares.log()).sum())
    wrong += float((curves[0] - kl_curve - entropy).abs().max() + (curves[0] - curves[2]).abs().max())
    wrong += float((curves[0] - curves[3]).abs().max())
    reverse = torch.stack([KLDivergenceLoss("reverse")(row[None], shares[None]) for row in log_q])
    wrong += float(not abs(float(t[reverse.argmin()]) - exact) >= 0.01)
    return Check(wrong, 1e-11, "sum of differences", "closed form")


@evidence(
    "maximum-likelihood",
    claim="Weights of classes and rows, ignored rows, reductions, pixels, slopes",
    against="torch NLLLoss",
)
def likelihood_torch() -> Check:
    import torch
    from torch import nn

    from fivefold.objectives.likelihood import NegativeLogLikelihoodLoss

    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for shape in ((7, 4), (3, 4, 5)):
        x = torch.randn(shape, generator=generator, dtype=torch.float64).log_softmax(1).requires_grad_()
        y = torch.randint(0, 4, (shape[0], *shape[2:]), generator=generator)
        for ignored in (-100, 1, 2):
            for weight in (None, torch.tensor([0.5, 2.0, 0.0, 1.0]).double()):
                for how in ("mean", "sum", "none"):
                    ours = NegativeLogLikelihoodLoss(weight, ignored, how)(x, y)
                    peer = nn.NLLLoss(weight, ignore_index=ignored, reduction=how)(x, y)
                    worst = largest(worst, float((ours - peer).detach().abs().max()))
                    (a,), (b,) = (torch.autograd.grad(v.sum(), x) for v in (ours, peer))
                    worst = largest(worst, float((a - b).abs().max()))
    worst = largest(worst, float((NegativeLogLikelihoodLoss()(x, y) - nn.NLLLoss()(x, y)).detach().abs()))
    # A row of weight 2 is two rows.
    x, y = x[:, :, 0].detach(), y[:, 0]
    doubled = NegativeLogLikelihoodLoss()(x, y, torch.tensor([2.0, 1.0, 0.0]))
    worst = largest(worst, float((doubled - NegativeLogLikelihoodLoss()(x[[0, 0, 1]], y[[0, 0, 1]])).abs()))
    return Check(worst, 1e-12, "max difference", "torch")


@evidence(
    "maximum-likelihood",
    claim="Of a Gaussian the least value is ½ ln(2πe s²), at the mean and the variance of the data divided by N",
    against="closed form",
)
def likelihood_gaussian() -> Check:
    import torch

    from fivefold.objectives.likelihood import negative_log_likelihood

    x = torch.tensor(np.random.default_rng(2).normal(3, 2, size=(40, 2)))
    mean, spread = x.mean(0).requires_grad_(), x.std(0, correction=0).requires_grad_()
    value = negative_log_likelihood(torch.distributions.Normal(mean, spread), x)
    slopes = torch.autograd.grad(value, (mean, spread))
    exact = 0.5 * np.log(2 * np.pi * np.e * spread.detach().numpy() ** 2).sum()
    wrong = abs(float(value.detach()) - exact) + sum(float(s.abs().max()) for s in slopes)
    return Check(wrong, 1e-12, "sum of differences", "closed form")
