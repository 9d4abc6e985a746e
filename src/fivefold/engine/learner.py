"""What the engine asks of a method that is trained by gradients: :class:`Learner`, :class:`Step`, :class:`PartSpec`, :class:`Sums`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from fivefold.data.batches import Batch


@dataclass(frozen=True)
class Step:
    """One gradient step that a learner asks for.

    Parameters
    ----------
    part : str
        The part whose optimizer steps; only its parameters get gradients.
    loss : scalar tensor, or a callable that returns one
        A callable is for optimizers that evaluate the loss again (L-BFGS, line search, SAM).
    logs : mapping of detached tensors or floats
        Shown and logged beside the loss; never call ``.item()`` here.
    retain_graph : bool, default False
        Keep the graph for a later step of the same batch.
    """

    part: str
    loss: Tensor | Callable[[], Tensor]
    logs: Mapping[str, Any] = field(default_factory=dict)
    retain_graph: bool = False


Steps = Generator[Step, bool, None]
"""What ``steps`` returns: yields :class:`Step`, receives whether the step happened."""


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """How one part of a learner is optimized.

    Parameters
    ----------
    optimizer : str, default "adam"
        Id of a gradient optimizer's card.
    options : mapping
        Its parameters, for example ``{"lr": 1e-3}``.
    schedule : str, optional
        Id of a schedule's card.
    schedule_options : mapping
        Its parameters. ``counter`` (default: the part's own) names the counter it follows.
    clip_norm, clip_norm_each, clip_value : float > 0, optional
        Clip the global norm, the norm of each tensor, or each value of the gradient.
    ema : float in (0, 1), optional
        Decay of an exponential moving average of the weights, used in evaluation.
    """

    optimizer: str = "adam"
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str | None = None
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_norm_each: float | None = None
    clip_value: float | None = None
    ema: float | None = None


class Sums(dict[str, tuple[Any, Any]]):
    """Mergeable results of an evaluation: name -> (sum, count); the mean is their ratio, over batches and shards."""

    def merge(self, other: Sums) -> Sums:
        """Return the sums of both."""
        names = list(dict.fromkeys([*self, *other]))
        zero = (0.0, 0)
        return Sums(
            {
                n: (self.get(n, zero)[0] + other.get(n, zero)[0], self.get(n, zero)[1] + other.get(n, zero)[1])
                for n in names
            }
        )

    def means(self) -> dict[str, float]:
        """Return name -> sum / count."""
        return {
            name: float(total) / float(count) if float(count) else float("nan") for name, (total, count) in self.items()
        }


class Learner(nn.Module):
    """Everything trained by gradients: says which parts it has and what one batch teaches, in order.

    A learner never writes its own loop. The engine (:class:`fivefold.engine.trainer.Trainer`) owns zero-grad, backward,
    clipping, stepping, schedules, averaging and counting.

    Class attributes
    ----------------
    defaults : mapping part -> :class:`PartSpec`
        How each part is optimized unless the spec says otherwise.
    accumulates : bool
        True when every part yields at most once a batch, so that batches may be accumulated.
    """

    defaults: ClassVar[Mapping[str, PartSpec]] = {"model": PartSpec()}
    accumulates: ClassVar[bool] = False

    counters: dict[str, int]
    """Read-only for the learner, kept by the engine: ``batches``, ``environment_steps`` and one per part (steps that happened)."""

    def __init__(self) -> None:
        super().__init__()
        self.counters = {}

    def parts(self) -> dict[str, Iterable[Parameter]]:
        """Return the named groups of parameters; a parameter may belong to several."""
        return {"model": self.parameters()}

    def steps(self, batch: Batch) -> Steps:
        """Yield what one batch teaches, in order; what stands after a ``yield`` runs after the step."""
        raise NotImplementedError

    def evaluate(self, batch: Batch) -> Sums:
        """Return mergeable sums and counts for validation."""
        raise NotImplementedError

    def extra_state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold besides tensors in ``state_dict`` (replay buffers, environment states)."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`extra_state` returned."""


class SupervisedLearner(Learner):
    """A module f(x; θ) and an objective: one step a batch.

    Parameters
    ----------
    module : nn.Module
        Called as ``module(batch.x)``.
    objective : callable (prediction, target) -> scalar or per-row loss (batch,)
        Per-row losses are averaged, weighted by ``batch.weight`` where it is given.
    metrics : mapping name -> callable (prediction, target) -> per-row values (batch,)
        Reported by :meth:`evaluate` beside the loss.
    """

    accumulates = True

    def __init__(
        self,
        module: nn.Module,
        objective: Callable[[Tensor, Tensor], Tensor],
        metrics: Mapping[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.objective = objective
        self.metrics = dict(metrics or {})

    def _mean(self, values: Tensor, batch: Batch) -> Tensor:
        if values.ndim == 0:
            return values
        weight = batch.get("weight")
        if weight is None:
            return values.mean()
        return (values * weight).sum() / weight.sum()

    def steps(self, batch: Batch) -> Steps:
        prediction = self.module(batch.x)
        yield Step("model", self._mean(self.objective(prediction, batch.y), batch))

    def evaluate(self, batch: Batch) -> Sums:
        prediction = self.module(batch.x)
        weight = batch.get("weight")
        count = weight.sum() if weight is not None else torch.tensor(float(len(batch)))
        sums = Sums({"loss": (self._mean(self.objective(prediction, batch.y), batch) * count, count)})
        for name, metric in self.metrics.items():
            values = metric(prediction, batch.y)
            sums[name] = (self._mean(values, batch) * count, count)
        return sums
