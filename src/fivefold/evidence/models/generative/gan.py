"""GAN: losses by formula, the game's value, and densities in two dimensions."""

from __future__ import annotations

import math

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.models.generative import GAN
from fivefold.models.generative.gan import GANLearner, discriminator_loss, generator_loss


def _logit(p: torch.Tensor) -> torch.Tensor:
    return torch.log(p) - torch.log1p(-p)


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@evidence(
    "gan",
    claim="The discriminator's loss is -E log D(x) - E log(1 - D(G(z)))",
    against="the formula from probabilities",
)
def discriminator_formula() -> Check:
    real, fake = _tensor(0.9, 0.6, 0.2), _tensor(0.3, 0.05, 0.8)
    expected = -torch.log(real).mean() - torch.log(1 - fake).mean()
    return Check(
        float((discriminator_loss(_logit(real), _logit(fake)) - expected).abs()), 1e-12, "difference", "formula"
    )


@evidence(
    "gan", claim="Slopes in D are -1/(1-D) for minimax and -1/D for non-saturating", against="the formulas of the spec"
)
def slopes() -> Check:
    worst = 0.0
    for form, slope in (("minimax", lambda d: -1 / (1 - d)), ("non-saturating", lambda d: -1 / d)):
        d = _tensor(1e-4, 0.1, 0.5, 0.9).requires_grad_()
        (generator_loss(_logit(d), form) * 4).backward()
        worst = largest(worst, float((d.grad / slope(d.detach()) - 1).abs().max()))
    return Check(worst, 1e-9, "max relative difference", "-1/(1-D), -1/D")


@evidence("gan", claim="Losses stay finite for logits of 1e4", against="the limit of the formulas")
def stable() -> Check:
    far = _tensor(1e4)
    error = abs(float(discriminator_loss(-far, far)) - 2e4) + abs(float(generator_loss(-far)) - 1e4)
    error += abs(float(generator_loss(far, "minimax")) + 1e4) + abs(float(generator_loss(-far, "minimax")))
    return Check(error, 1e-6, "difference", "limits")


@evidence("gan", claim="At the optimum D = 1/2 the value of the game is -2 log 2", against="the paper's theorem 1")
def value_at_the_optimum() -> Check:
    half = torch.zeros(5, dtype=torch.float64)
    return Check(abs(float(discriminator_loss(half, half)) - 2 * math.log(2)), 1e-12, "difference", "2 log 2")


class _Counting(torch.nn.Module):
    """A linear map that records whether it was called with gradients on."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(wide, narrow)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


@evidence(
    "gan", claim="k discriminator steps come before each generator step, on batches of their own", against="algorithm 1"
)
def schedule() -> Check:
    from fivefold.data.batches import Batches

    torch.manual_seed(0)
    learner = GANLearner(_Counting(3, 2), _Counting(2, 1), 3, "minimax", discriminator_steps=3)
    order: list[str] = []
    for batch in Batches({"x": torch.randn(14, 2)}, 2).epoch(0):
        steps = learner.steps(batch)
        step = next(steps)
        while True:
            order.append(step.part)
            learner.counters[step.part] = learner.counters.get(step.part, 0) + 1
            try:
                step = steps.send(True)
            except StopIteration:
                break
    expected = ["discriminator"] * 3 + ["generator"] + ["discriminator"] * 3 + ["generator"] + ["discriminator"]
    return Check(int(order != expected), 0, "wrong order", "k = 3")


def _moments(model: GAN, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    drawn = model.sample(4000)
    return np.abs(drawn.mean(axis=0) - x.mean(axis=0)), np.abs(np.cov(drawn.T) - np.cov(x.T))


@evidence(
    "gan", claim="Trained on a correlated Gaussian it finds mean and covariance", against="the moments of the data"
)
def gaussian() -> Check:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]]) + np.array([4.0, -2.0])
    # Five discriminator steps, as the theory part of the source advises: with one the game circles around its solution.
    model = GAN(
        latent_dim=4, hidden_layer_sizes=(64,), learning_rate=5e-4, max_epochs=80, discriminator_steps=5, random_state=0
    )
    mean, covariance = _moments(model.fit(x.astype(np.float32)), x)
    # An untrained generator makes almost constant samples: its covariance is off by 1.
    return Check(float(largest(mean.max(), covariance.max())), 0.5, "max difference of moments", "the data")


@evidence(
    "gan", claim="Eight Gaussians on a circle: every mode is found", against="the modes of the mixture", slow=True
)
def circle() -> Check:
    generator = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(8) / 8
    modes = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    x = modes[generator.integers(8, size=8000)] + 0.1 * generator.normal(size=(8000, 2))
    model = GAN(
        latent_dim=8, hidden_layer_sizes=(128, 128), learning_rate=5e-4, max_epochs=80, batch_size=128, random_state=0
    )
    drawn = model.fit(x.astype(np.float32)).sample(4000)
    nearest = np.linalg.norm(drawn[:, None] - modes, axis=2)
    share = np.bincount(nearest.argmin(axis=1)[nearest.min(axis=1) < 0.4], minlength=8) / 4000
    return Check(
        int((share > 0.02).sum()), 7, "modes with at least 2 % of the samples, of 8", "the mixture", at_least=True
    )
