"""What GANs share as estimators: data in, networks trained by the engine, samples out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_array

from fivefold.base.errors import ArtifactError, InputError
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.fit import Fit
from fivefold.engine.learner import Learner, PartSpec
from fivefold.engine.runtime import seeded
from fivefold.engine.session import current_session
from fivefold.engine.trainer import Trainer


class AdversarialGenerator(Estimator):
    """Base of the generators that are trained against a critic.

    A subclass stores the parameters ``latent_dim``, ``batch_size``, ``max_epochs``, ``random_state`` and ``device``, and gives
    ``build(width)``, the learner for samples of ``width`` numbers with a module ``generator``, and ``part_specs()``.

    Data are centered per feature and divided by one common standard deviation; samples are scaled back.
    """

    latent_dim: int
    batch_size: int
    max_epochs: int
    parts: Mapping[str, Mapping[str, Any]] | None
    random_state: Any
    device: str

    def build(self, width: int) -> Learner:
        """Return the learner for samples of ``width`` numbers."""
        raise NotImplementedError

    def part_specs(self) -> dict[str, PartSpec]:
        """Return how each part is optimized unless ``parts`` says otherwise."""
        raise NotImplementedError

    def _chosen_parts(self) -> dict[str, Any]:
        chosen: dict[str, Any] = dict(self.part_specs())
        for name, given in dict(self.parts or {}).items():
            usual = chosen.get(name, PartSpec())
            fields = dict(given)
            if fields.get("optimizer", usual.optimizer) == usual.optimizer:
                fields["options"] = {**usual.options, **dict(fields.get("options", {}))}
            try:
                chosen[name] = replace(usual, **fields)
            except TypeError as error:
                raise InputError(f"parts[{name!r}] has a field that a part does not have: {error}.") from error
        return chosen

    def _start(self, width: int, streams: Streams) -> Learner:
        with seeded(streams, "init"):
            return self.build(width)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn to make samples like the rows of X.

        Parameters
        ----------
        X : array of shape (n_samples, *sample shape), n_samples >= 2, finite
            Vectors, or images of shape (channels, height, width).
        y : ignored

        Returns
        -------
        self
        """
        if self.latent_dim < 1:
            raise InputError(f"latent_dim must be at least 1, got {self.latent_dim}.")
        x = check_array(X, dtype=np.float32, allow_nd=True, ensure_min_samples=2, input_name="X", estimator=self)
        self.shape_ = tuple(x.shape[1:])
        self.n_features_in_ = int(x.shape[1])
        flat = x.reshape(len(x), -1)  # (n, width)
        self.mean_ = flat.mean(axis=0)  # (width,)
        self.scale_ = float(flat.std(dtype=np.float64)) or 1.0
        streams = Streams.of(self.random_state)
        self.seed_ = streams.seed
        self.learner_ = self._start(flat.shape[1], streams)
        batches = Batches({"x": (flat - self.mean_) / self.scale_}, self.batch_size, seed=streams.integer("batches"))
        trainer = Trainer(
            max_epochs=self.max_epochs,
            parts=self._chosen_parts(),
            seed=streams.integer("engine"),
            device=None if self.device == "cpu" else self.device,
            callbacks=[SampleGrid(self, flat)],
        )
        self.history_ = trainer.fit(self.learner_, batches)
        self.learner_.to("cpu").eval()
        return self

    def sample(self, n: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw samples.

        Parameters
        ----------
        n : int >= 1
        random_state : int, generator or None
            By default the seed of the fit, so that the same model draws the same samples.

        Returns
        -------
        array of shape (n, *sample shape), float32
        """
        self._check_fitted()
        if n < 1:
            raise InputError(f"The number of samples must be at least 1, got {n}.")
        streams = Streams(self.seed_) if random_state is None else Streams.of(random_state)
        weight = next(self.learner_.parameters())
        z = torch.randn(n, self.latent_dim, generator=streams.torch("sample")).to(weight)  # (n, latent)
        generator: Any = self.learner_.generator
        training = generator.training
        generator.eval()
        with torch.no_grad():
            made = generator(z).float().cpu().numpy()  # (n, width)
        generator.train(training)
        return (made * self.scale_ + self.mean_).reshape(n, *self.shape_)

    def get_state(self) -> dict[str, Any]:
        """Return parameters, fitted attributes and the weights of all networks."""
        state = super().get_state()
        learner = state["fitted"].pop("learner_", None)
        state["weights"] = None if learner is None else dict(learner.state_dict())
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the generator from what :meth:`get_state` returned."""
        weights = state.pop("weights", None)
        self = super().from_state(state)
        if weights is not None:
            self.learner_ = self._start(math.prod(self.shape_), Streams(self.seed_))
            self.learner_.to(next(iter(weights.values())).dtype)
            try:
                self.learner_.load_state_dict(weights)
            except RuntimeError as error:
                raise ArtifactError(f"The saved weights do not fit this {cls.__name__}: {error}") from error
            self.learner_.eval()
        return self


class SampleGrid(Callback):
    """Draws samples while training, after epochs 1, 2, 5, 10, 20, 50, …, into ``figures/`` of the session's directory."""

    first_rank_only = True

    def __init__(self, model: AdversarialGenerator, data: np.ndarray) -> None:
        self.model = model
        self.data = data

    def on_epoch_end(self, fit: Fit) -> None:
        """Draw, where there is a directory and the epoch is one of those."""
        around = current_session()
        epoch = fit.counters["epochs"]
        if around is None or around.directory is None or not _is_round(epoch):
            return
        draw_samples(
            self.model.sample(64 if len(self.model.shape_) == 3 else 1000),
            Path(around.directory) / "figures" / f"samples-{epoch:04d}.png",
            data=self.data,
            title=f"after epoch {epoch}",
        )


def _is_round(epoch: int) -> bool:
    while epoch >= 10 and epoch % 10 == 0:
        epoch //= 10
    return epoch in (1, 2, 5)


def draw_samples(samples: np.ndarray, path: Path, *, data: np.ndarray | None = None, title: str = "") -> Path:
    """Draw images as a grid and points as a scatter over the data; other shapes as lines."""
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    if samples.ndim == 4:
        side = math.isqrt(len(samples))
        tiles = samples[: side * side].reshape(side, side, *samples.shape[1:])  # (s, s, C, H, W)
        picture = tiles.transpose(0, 3, 1, 4, 2).reshape(side * samples.shape[2], side * samples.shape[3], -1)
        axes.imshow(np.clip(picture, 0, 1).squeeze(), cmap="gray")
        axes.set_axis_off()
    elif samples.ndim == 2 and samples.shape[1] == 2:
        if data is not None:
            axes.scatter(*data[:2000].T, s=3, color="0.7", label="data")
        axes.scatter(*samples.T, s=3, color="C0", label="samples")
        axes.legend(loc="upper right")
        axes.set_aspect("equal")
    else:
        axes.plot(samples[:20].reshape(min(20, len(samples)), -1).T, lw=0.7)
    axes.set_title(title)
    figure.savefig(path, dpi=110)
    return path
