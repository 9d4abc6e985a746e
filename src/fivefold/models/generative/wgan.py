"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.data.batches import Batch
from fivefold.engine.learner import Learner, PartSpec, Step, Steps, Sums
from fivefold.models.generative.adversarial import AdversarialGenerator
from fivefold.models.nn.perceptron import Perceptron


def gradient_norms(critic: nn.Module, points: Tensor, create_graph: bool = True) -> Tensor:
    r"""Return :math:`\|\nabla_x D(x)\|_2` at each point, shape (batch,); differentiable again with ``create_graph``."""
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        # Rows do not interact in the critic, so the gradient of the sum is each row's own gradient.
        (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=create_graph)  # (B, *)
    return gradient.flatten(1).norm(dim=1)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    r"""Return :math:`\frac1m \sum (\|\nabla D(\hat x)\|_2 - 1)^2` with :math:`\hat x = \epsilon x + (1 - \epsilon) \tilde x`.

    ``mix`` holds one :math:`\epsilon \sim U[0, 1]` per sample, shape (batch, 1).
    """
    mix = mix.view(-1, *[1] * (real.ndim - 1))
    return (gradient_norms(critic, mix * real + (1 - mix) * fake) - 1).square().mean()


class WGANGPLearner(Learner):
    """Algorithm 1 of the paper: ``n_critic`` steps of the critic, each on a batch of its own, then one of the generator."""

    defaults: ClassVar[dict[str, PartSpec]] = {
        "critic": PartSpec(optimizer="adam", options={"lr": 1e-4, "betas": (0.0, 0.9)}),
        "generator": PartSpec(optimizer="adam", options={"lr": 1e-4, "betas": (0.0, 0.9)}),
    }

    def __init__(
        self, generator: nn.Module, critic: nn.Module, latent_dim: int, n_critic: int, gp_weight: float
    ) -> None:
        super().__init__()
        self.generator = generator
        self.critic = critic
        self.latent_dim = latent_dim
        self.n_critic = n_critic
        self.gp_weight = gp_weight

    def parts(self) -> dict[str, Any]:
        return {"critic": self.critic.parameters(), "generator": self.generator.parameters()}

    def steps(self, batch: Batch) -> Steps:
        with torch.no_grad():
            fake = self.generator(batch.randn("critic", self.latent_dim))  # (B, *)
        distance = self.critic(batch.x).mean() - self.critic(fake).mean()
        penalty = gradient_penalty(self.critic, batch.x, fake, batch.rand("mix", 1))
        logs = {"wasserstein": distance.detach(), "penalty": penalty.detach()}
        stepped = yield Step("critic", self.gp_weight * penalty - distance, logs)
        if stepped and self.counters["critic"] % self.n_critic == 0:
            yield Step("generator", -self.critic(self.generator(batch.randn("generator", self.latent_dim))).mean())

    def evaluate(self, batch: Batch) -> Sums:
        fake = self.generator(batch.randn("evaluation", self.latent_dim))
        distance = self.critic(batch.x).sum() - self.critic(fake).sum()
        mix = batch.rand("mix", 1).view(-1, *[1] * (batch.x.ndim - 1))
        norms = gradient_norms(self.critic, mix * batch.x + (1 - mix) * fake, create_graph=False)
        n = len(batch)
        return Sums({"loss": (-distance, n), "wasserstein": (distance, n), "gradient_norm": (norms.sum(), n)})


class WGANGP(AdversarialGenerator):
    r"""A critic with gradients of norm one estimates the Wasserstein distance that the generator reduces.

    .. math:: \min_G \max_D \; E[D(x)] - E[D(\tilde x)] - \lambda E[(\|\nabla_{\hat x} D(\hat x)\|_2 - 1)^2]

    with :math:`\tilde x = G(z)` and :math:`\hat x` uniform on the line between a sample and a datum.

    Parameters
    ----------
    latent_dim : int >= 1, default 64
        Width of the noise z ~ N(0, I).
    hidden_layer_sizes : sequence of int, default (256, 256)
        Of both networks; the critic has no batch normalization, which would tie the rows of a batch together.
    n_critic : int >= 1, default 5
        Batches that the critic learns from before each step of the generator.
    gp_weight : float >= 0, default 10
        The paper's :math:`\lambda`.
    learning_rate : float > 0, default 1e-4
        Of Adam with betas (0, 0.9), for both.
    batch_size : int >= 1, default 64
    max_epochs : int >= 1, default 100
    parts : mapping part -> fields of PartSpec, optional
        How a part is optimized, where it differs, for example ``{"generator": {"clip_norm": 1.0}}``.
    random_state : int, generator or None, default None
    device : str, default "cpu"

    Attributes
    ----------
    learner_ : WGANGPLearner
    history_ : History
    shape_ : tuple
        Of one sample.

    Raises
    ------
    InputError
        For a negative penalty weight or n_critic below 1, or data that are not finite.

    Notes
    -----
    The penalty is two-sided, as in the paper; a one-sided form max(0, norm - 1) appears in other texts.

    References
    ----------
    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1. Spec: 02#wgan-gp, 06#wgan-gp.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        n_critic: int = 5,
        gp_weight: float = 10.0,
        learning_rate: float = 1e-4,
        batch_size: int = 64,
        max_epochs: int = 100,
        parts: Mapping[str, Mapping[str, Any]] | None = None,
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_critic = n_critic
        self.gp_weight = gp_weight
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.parts = parts
        self.random_state = random_state
        self.device = device

    def build(self, width: int) -> WGANGPLearner:
        """Return the learner for samples of ``width`` numbers."""
        if self.n_critic < 1:
            raise InputError(f"n_critic must be at least 1, got {self.n_critic}.")
        if not self.gp_weight >= 0:
            raise InputError(f"gp_weight must be at least 0, got {self.gp_weight}.")
        hidden = tuple(self.hidden_layer_sizes)
        generator = Perceptron((self.latent_dim, *hidden, width), "relu")
        critic = Perceptron((width, *hidden, 1), "leaky-relu")
        return WGANGPLearner(generator, critic, self.latent_dim, self.n_critic, self.gp_weight)

    def part_specs(self) -> dict[str, PartSpec]:
        """Return how both parts are optimized."""
        adam = PartSpec(optimizer="adam", options={"lr": self.learning_rate, "betas": (0.0, 0.9)})
        return {"critic": adam, "generator": adam}
