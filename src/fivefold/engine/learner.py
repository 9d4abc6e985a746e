"""What the engine asks of a method that is trained by gradients: a :class:`Learner` that yields :class:`Step` s."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from fivefold.base.errors import CapabilityError, SpecError
from fivefold.data.batches import Batch

from .distribution import global_weight


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
    optimizer : str or callable, default "adam"
        Id of a gradient optimizer's card; or a torch optimizer class, called with the parameters and ``options``.
    options : mapping
        Its parameters, for example ``{"lr": 1e-3}``.
    schedule : str or callable, optional
        Id of a schedule's card; or a torch scheduler class, called with the optimizer and ``schedule_options``.
    schedule_options : mapping
        Its parameters. ``counter`` (default: the part's own) names the counter it follows: "batches", "epochs",
        "environment_steps" or a part. ``total_steps`` may be left out where the length of the training is known.
        A schedule that reacts to a metric follows "epochs" and gets a number of the epoch's record once an epoch, after the
        validation: ``val_loss``, or the part's training loss when there is no validation; ``metric`` names another.
    clip_norm, clip_norm_each, clip_value : float > 0, optional
        Clip the global norm, the norm of each tensor, or each value of the gradient; several apply in reverse of this order.
    ema : float in (0, 1), optional
        Decay of an exponential moving average of the weights, used in evaluation.
    ema_bias_correction : bool, default False
        Start the average at zero and divide by ``1 - ema ** steps``, instead of starting it at the initial weights.

    Raises
    ------
    SpecError
        When a value is out of range.
    """

    optimizer: str | Callable[..., torch.optim.Optimizer] = "adam"
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str | Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_norm_each: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    ema_bias_correction: bool = False

    def __post_init__(self) -> None:
        for name in ("clip_norm", "clip_norm_each", "clip_value"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SpecError(f"{name} must be greater than 0, got {value!r}; leave it out for no clipping.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise SpecError(f"ema must lie between 0 and 1 (0.999 is usual), got {self.ema!r}; leave it out for none.")


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
    """Read-only for the learner, kept by the engine: ``batches`` and ``epochs`` that are finished, ``environment_steps``
    (summed from the field of that name which a batch may carry) and one per part (steps that happened)."""

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
        raise CapabilityError(
            f"{type(self).__name__} has no `evaluate`; define it, or train without validation batches."
        )

    def predict(self, batch: Batch) -> Any:
        """Return the predictions for a batch; what ``Trainer.predict`` concatenates."""
        raise CapabilityError(f"{type(self).__name__} has no `predict`; define it to use Trainer.predict.")

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

    def outputs(self, batch: Batch) -> Tensor:
        """Return what the module makes of a batch; override it where its input is more than ``batch.x``."""
        return self.module(batch.x)

    def _rows(self, values: Tensor) -> Tensor:
        # A loss per output, (batch, outputs), counts once a row.
        return values.flatten(1).mean(1) if values.ndim > 1 else values

    def _refuse_weights(self) -> None:
        raise CapabilityError(
            "The batch carries row weights, but the objective returned one number for the whole batch; "
            'let it return one loss a row (in torch: reduction="none").'
        )

    def steps(self, batch: Batch) -> Steps:
        yield Step("model", self.reduced(self.objective(self.outputs(batch), batch.y), batch))

    def reduced(self, values: Tensor, batch: Batch) -> Tensor:
        """Return the mean of the objective over the rows, weighted where the batch carries weights."""
        weight = batch.get("weight")
        if weight is None:
            return values if values.ndim == 0 else values.mean()
        if values.ndim == 0:
            self._refuse_weights()
        total = global_weight(weight, len(batch), batch.place.rows)
        return (self._rows(values) * weight).sum() / total

    def evaluate(self, batch: Batch) -> Sums:
        prediction = self.outputs(batch)
        weight = batch.get("weight")
        rows = len(batch)
        sums = Sums()
        for name, function in {"loss": self.objective, **self.metrics}.items():
            values = function(prediction, batch.y)
            if weight is None:
                sums[name] = (values.mean() * rows, rows)
            elif values.ndim == 0:
                self._refuse_weights()
            else:
                sums[name] = ((self._rows(values) * weight).sum(), weight.sum())
        return sums

    def predict(self, batch: Batch) -> Tensor:
        return self.outputs(batch)
