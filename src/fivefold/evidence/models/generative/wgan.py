"""WGAN-GP: the penalty by closed form and finite differences, the order of steps, norms near one and 25 Gaussians."""

from __future__ import annotations

import numpy as np
import torch

from fivefold.data.batches import Batch, Batches, Place
from fivefold.evidence import Check, evidence
from fivefold.models.generative import WGANGP
from fivefold.models.generative.wgan import WGANGPLearner, gradient_norms, gradient_penalty
from fivefold.models.nn.perceptron import Perceptron


def _linear(weight: list[float]) -> torch.nn.Linear:
    layer = torch.nn.Linear(len(weight), 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight], dtype=torch.float64))
    return layer


@evidence(
    "wgan-gp",
    claim="For a linear critic the penalty is (|w| - 1)^2 and its gradient 2 (|w| - 1) w/|w|",
    against="closed form",
)
def linear_critic() -> Check:
    critic = _linear([3.0, 4.0])
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    penalty = gradient_penalty(critic, x, x + 1, torch.full((6, 1), 0.3, dtype=torch.float64))
    penalty.backward()
    expected = 2 * 4 * torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    error = abs(float(penalty.detach()) - 16) + float((critic.weight.grad - expected).abs().max())
    return Check(error, 1e-10, "difference", "16 and (4.8, 6.4)")


@evidence(
    "wgan-gp", claim="Double backward through the penalty equals finite differences", against="torch.autograd.gradcheck"
)
def double_backward() -> Check:
    torch.manual_seed(0)
    critic = Perceptron((2, 5, 1), "tanh").double()
    real, fake, mix = (torch.randn(4, k, dtype=torch.float64) for k in (2, 2, 1))
    names = [n for n, _ in critic.named_parameters()]

    def penalty(*values: torch.Tensor) -> torch.Tensor:
        return gradient_penalty(
            lambda v: torch.func.functional_call(critic, dict(zip(names, values)), (v,)), real, fake, mix
        )

    values = tuple(p.detach().clone().requires_grad_() for p in critic.parameters())
    ok = torch.autograd.gradcheck(penalty, values, raise_exception=False)
    return Check(0 if ok else 1, 0, "failed gradient checks", "finite differences")


@evidence(
    "wgan-gp",
    claim="Points lie between datum and sample, one share a row: e x + (1 - e) G(z)",
    against="a quadratic critic",
)
def mixing() -> Check:
    class Quadratic(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x.square().sum(dim=1)  # its gradient is the point itself

    real, fake = torch.tensor([[4.0, 0.0], [0.0, 2.0]]).double(), torch.tensor([[0.0, 0.0], [0.0, -2.0]]).double()
    mix = torch.tensor([[0.75], [0.25]]).double()
    # Points (3, 0) and (0, -1): norms 3 and 1, penalties 4 and 0.
    return Check(
        abs(float(gradient_penalty(Quadratic(), real, fake, mix).detach()) - 2.0), 1e-12, "difference", "(4 + 0) / 2"
    )


def _learner(n_critic: int = 2) -> WGANGPLearner:
    torch.manual_seed(0)
    return WGANGPLearner(Perceptron((3, 4, 2)).double(), Perceptron((2, 4, 1)).double(), 3, n_critic, gp_weight=10.0)


@evidence(
    "wgan-gp",
    claim="The critic's loss is E D(G(z)) - E D(x) + 10 penalty, the generator's -E D(G(z))",
    against="the formula",
)
def losses() -> Check:
    learner = _learner(n_critic=1)
    batch = Batch({"x": torch.randn(5, 2, dtype=torch.float64)}, Place(0, 0, 0, 5, 0))
    learner.counters = {"critic": 1, "generator": 0}
    steps = learner.steps(batch)
    critic_loss = next(steps).loss
    generator_loss = steps.send(True).loss
    fake = learner.generator(batch.randn("critic", 3)).detach()
    epsilon = batch.rand("mix", 1)
    points = (epsilon * batch.x + (1 - epsilon) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(learner.critic(points).sum(), points)
    expected = learner.critic(fake).mean() - learner.critic(batch.x).mean()
    expected = expected + 10 * ((gradient**2).sum(dim=1).sqrt() - 1).pow(2).mean()
    other = -learner.critic(learner.generator(batch.randn("generator", 3))).mean()
    error = (critic_loss - expected).abs() + (generator_loss - other).abs()
    return Check(float(error.detach()), 1e-12, "difference", "the formula")


@evidence("wgan-gp", claim="n_critic critic steps come before each generator step", against="algorithm 1")
def order() -> Check:
    learner, seen = _learner(), []
    for batch in Batches({"x": torch.randn(10, 2, dtype=torch.float64)}, 2).epoch(0):
        steps = learner.steps(batch)
        answer: bool | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                break
            seen.append(step.part[0])
            learner.counters[step.part] = learner.counters.get(step.part, 0) + 1
            answer = True
    return Check(int("".join(seen) != "ccgccgc"), 0, "wrong order", "n_critic = 2")


@evidence(
    "wgan-gp",
    claim="Defaults: lambda 10, n_critic 5, learning rate 1e-4, betas (0, 0.9), batch 64",
    against="the paper's algorithm 1",
)
def defaults() -> Check:
    model = WGANGP()
    wrong = int((model.gp_weight, model.n_critic, model.learning_rate, model.batch_size) != (10.0, 5, 1e-4, 64))
    wrong += sum(s.options != {"lr": 1e-4, "betas": (0.0, 0.9)} for s in model.part_specs().values())
    return Check(wrong, 0, "defaults that differ", "the paper")


def _grid(rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    centers = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(-1, 2).astype(float)
    return centers[generator.integers(25, size=rows)] + 0.05 * generator.normal(size=(rows, 2)), centers


@evidence(
    "wgan-gp", claim="On a Gaussian the critic's gradient norm ends near one", against="the 1-Lipschitz condition"
)
def norms_near_one() -> Check:
    x = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    model = WGANGP(latent_dim=4, hidden_layer_sizes=(32,), learning_rate=1e-3, max_epochs=25, random_state=0).fit(x)
    data = torch.as_tensor((x - model.mean_) / model.scale_)
    with torch.no_grad():
        fake = model.learner_.generator(torch.randn(1000, 4, generator=torch.Generator().manual_seed(0)))
    mix = torch.rand(1000, 1, generator=torch.Generator().manual_seed(1))
    norms = gradient_norms(model.learner_.critic, mix * data + (1 - mix) * fake, create_graph=False)
    return Check(abs(float(norms.mean()) - 1), 0.25, "|mean norm - 1|", "1")


@evidence("wgan-gp", claim="25 Gaussians on a grid: all modes are found", against="the modes of the mixture", slow=True)
def twenty_five() -> Check:
    x, centers = _grid(20000)
    model = WGANGP(
        latent_dim=8, hidden_layer_sizes=(128, 128), learning_rate=5e-4, max_epochs=60, batch_size=256, random_state=0
    ).fit(x.astype(np.float32))
    distance = np.linalg.norm(model.sample(5000)[:, None] - centers, axis=2)
    share = np.bincount(distance.argmin(axis=1)[distance.min(axis=1) < 0.3], minlength=25) / 5000
    return Check(
        int((share > 0.01).sum()), 23, "modes with at least 1 % of the samples, of 25", "the mixture", at_least=True
    )
