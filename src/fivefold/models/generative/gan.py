"""Generative adversarial network (Goodfellow et al. 2014), minimax and non-saturating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.data.batches import Batch
from fivefold.engine.learner import Learner, PartSpec, Step, Steps, Sums
from fivefold.models.generative.adversarial import AdversarialGenerator
from fivefold.models.nn.perceptron import Perceptron

LOSSES = ("non-saturating", "minimax")


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    r"""Return :math:`-\frac1m \sum [\log D(x) + \log(1 - D(G(z)))]` from logits of shape (batch,)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor, form: str = "non-saturating") -> Tensor:
    r"""Return the generator's loss from the logits of its samples, shape (batch,).

    minimax: :math:`\frac1m \sum \log(1 - D(G(z)))`, whose slope -1/(1-D) is flat where D is small;
    non-saturating: :math:`-\frac1m \sum \log D(G(z))`, whose slope -1/D is steep there.
    """
    return -F.softplus(fake).mean() if form == "minimax" else F.softplus(-fake).mean()


class GANLearner(Learner):
    """Algorithm 1 of the paper: k steps of the discriminator, each on a batch of its own, then one of the generator.

    Parameters
    ----------
    generator : module (batch, latent_dim) -> samples (batch, *)
    discriminator : module samples -> logits (batch, 1)
    latent_dim : int
    loss : {"non-saturating", "minimax"}
    discriminator_steps : int >= 1
        The paper's k.
    """

    defaults: ClassVar[dict[str, PartSpec]] = {
        "discriminator": PartSpec(optimizer="adam", options={"lr": 2e-4, "betas": (0.5, 0.999)}),
        "generator": PartSpec(optimizer="adam", options={"lr": 2e-4, "betas": (0.5, 0.999)}),
    }

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, latent_dim: int, loss: str, discriminator_steps: int
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = latent_dim
        self.loss = loss
        self.discriminator_steps = discriminator_steps

    def parts(self) -> dict[str, Any]:
        return {"discriminator": self.discriminator.parameters(), "generator": self.generator.parameters()}

    def judge(self, x: Tensor) -> Tensor:
        """Return the discriminator's logits, shape (batch,)."""
        return self.discriminator(x).squeeze(-1)

    def steps(self, batch: Batch) -> Steps:
        with torch.no_grad():
            fake = self.generator(batch.randn("discriminator", self.latent_dim))  # (B, *)
        real_logits, fake_logits = self.judge(batch.x), self.judge(fake)  # (B,), (B,)
        logs = {"D(x)": real_logits.detach().sigmoid().mean(), "D(G(z))": fake_logits.detach().sigmoid().mean()}
        stepped = yield Step("discriminator", discriminator_loss(real_logits, fake_logits), logs)
        if stepped and self.counters["discriminator"] % self.discriminator_steps == 0:
            fake = self.generator(batch.randn("generator", self.latent_dim))
            yield Step("generator", generator_loss(self.judge(fake), self.loss))

    def evaluate(self, batch: Batch) -> Sums:
        fake = self.generator(batch.randn("evaluation", self.latent_dim))
        real_logits, fake_logits = self.judge(batch.x), self.judge(fake)
        n = len(batch)
        right = 0.5 * ((real_logits > 0).sum() + (fake_logits <= 0).sum())
        return Sums(
            {"loss": (discriminator_loss(real_logits, fake_logits) * n, n), "discriminator_accuracy": (right, n)}
        )


class GAN(AdversarialGenerator):
    r"""A generator learns to make samples that a discriminator cannot tell from data.

    .. math:: \min_G \max_D \; E_{x \sim p_{data}} \log D(x) + E_{z \sim p_z} \log(1 - D(G(z)))

    For the best discriminator the value is :math:`2\,JS(p_{data} \| p_G) - 2 \log 2`, smallest where the two densities agree.

    Parameters
    ----------
    latent_dim : int >= 1, default 64
        Width of the noise z ~ N(0, I).
    hidden_layer_sizes : sequence of int, default (256, 256)
        Of both networks.
    loss : {"non-saturating", "minimax"}, default "non-saturating"
        The generator's: -log D(G(z)), as the paper recommends in practice, or log(1 - D(G(z))), as its game is stated.
    discriminator_steps : int >= 1, default 1
        Batches that the discriminator learns from before each step of the generator (the paper's k).
    learning_rate : float > 0, default 2e-4
        Of Adam with betas (0.5, 0.999), for both.
    batch_size : int >= 1, default 64
    max_epochs : int >= 1, default 100
    parts : mapping part -> fields of PartSpec, optional
        How a part is optimized, where it differs, for example ``{"generator": {"clip_norm": 1.0}}``.
    random_state : int, generator or None, default None
    device : str, default "cpu"

    Attributes
    ----------
    learner_ : GANLearner
    history_ : History
    shape_ : tuple
        Of one sample.

    Raises
    ------
    InputError
        For an unknown loss, or data that are not finite.

    Notes
    -----
    Several texts write the noise prior p_g(z); it is p_z. Neither loss tells how good the samples are: look at them.

    References
    ----------
    Goodfellow et al. 2014, "Generative Adversarial Nets", algorithm 1. Spec: 02#gan, 06#gan, 06#mmgan-nsgan, 08#gan-vanilla.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        loss: str = "non-saturating",
        discriminator_steps: int = 1,
        learning_rate: float = 2e-4,
        batch_size: int = 64,
        max_epochs: int = 100,
        parts: Mapping[str, Mapping[str, Any]] | None = None,
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.loss = loss
        self.discriminator_steps = discriminator_steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.parts = parts
        self.random_state = random_state
        self.device = device

    def build(self, width: int) -> GANLearner:
        """Return the learner for samples of ``width`` numbers."""
        if self.loss not in LOSSES:
            raise InputError(f"loss must be one of {', '.join(LOSSES)}; got {self.loss!r}.")
        if self.discriminator_steps < 1:
            raise InputError(f"discriminator_steps must be at least 1, got {self.discriminator_steps}.")
        hidden = tuple(self.hidden_layer_sizes)
        generator = Perceptron((self.latent_dim, *hidden, width), "relu")
        discriminator = Perceptron((width, *hidden, 1), "leaky-relu")
        return GANLearner(generator, discriminator, self.latent_dim, self.loss, self.discriminator_steps)

    def part_specs(self) -> dict[str, PartSpec]:
        """Return how both parts are optimized."""
        adam = PartSpec(optimizer="adam", options={"lr": self.learning_rate, "betas": (0.5, 0.999)})
        return {"discriminator": adam, "generator": adam}
