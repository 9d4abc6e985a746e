"""One part of a learner in training: its parameters, optimizer, schedule, clipping, moving average and loss scaler."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from fivefold.base.cards import get_card
from fivefold.base.errors import CapabilityError, FivefoldError, SpecError
from fivefold.base.names import nearest, resolve
from fivefold.optimizers.schedules._base import MetricSchedule, Then

from .averaging import ExponentialMovingAverage
from .clipping import clip_norm_, clip_norm_each_, clip_value_
from .distribution import Reducer, World
from .learner import Learner, PartSpec

SHARED_COUNTERS = ("batches", "epochs", "environment_steps")
"""Counters that every learner has, beside one for each part."""


class Part:
    """A part while it is trained; built by :func:`build_parts`."""

    def __init__(
        self,
        name: str,
        params: list[Parameter],
        spec: PartSpec,
        optimizer: Optimizer,
        schedule: LRScheduler | None,
        counter: str,
        world: World,
        scaler: torch.amp.GradScaler | None,
        metric: str | None = None,
    ) -> None:
        self.name = name
        self.params = params
        self.spec = spec
        self.optimizer = optimizer
        self.schedule = schedule
        self.counter = counter
        self.scaler = scaler
        self.metric = metric  # which number of the epoch's record the schedule gets, when the spec says
        self.measures = schedule is not None and reacts(schedule)
        self.reducer = Reducer(params) if world.size > 1 else None
        self.ema = (
            ExponentialMovingAverage(params, spec.ema, bias_correction=spec.ema_bias_correction) if spec.ema else None
        )
        self.followed = 0  # how far the schedule has followed its counter
        self.window_weight = 0.0  # rows in the open accumulation window, in units of its first batch
        self.window_loss: Any = 0.0
        self.happened = False
        closure = inspect.signature(type(optimizer).step).parameters.get("closure")
        self.needs_closure = closure is not None and closure.default is inspect.Parameter.empty
        # A schedule may advance before this part has stepped at all, when it follows another counter.
        if schedule is not None and counter != name:
            optimizer._opt_called = True  # type: ignore[attr-defined]
        if scaler is not None:
            # The scaler skips the optimizer after an overflow without saying so; the hook runs only when it does step.
            optimizer.register_step_post_hook(self._note)

    def _note(self, *_: Any) -> None:
        self.happened = True

    @property
    def clips(self) -> bool:
        """Whether any clipping is set."""
        spec = self.spec
        return spec.clip_value is not None or spec.clip_norm_each is not None or spec.clip_norm is not None

    def trainable(self) -> list[Parameter]:
        """Return the parameters that take gradients now; a learner may freeze some for a while."""
        return [p for p in self.params if p.requires_grad]

    def zero(self) -> None:
        """Drop the gradients."""
        for p in self.params:
            p.grad = None

    def clip(self) -> None:
        """Clip the gradients as the spec says: by value, then tensor by tensor, then together."""
        spec = self.spec
        if spec.clip_value is not None:
            clip_value_(self.params, spec.clip_value)
        if spec.clip_norm_each is not None:
            clip_norm_each_(self.params, spec.clip_norm_each)
        if spec.clip_norm is not None:
            clip_norm_(self.params, spec.clip_norm)

    def step(self) -> bool:
        """Clip and step with the gradients as they are; return whether the step happened."""
        if self.scaler is None:
            if self.clips:
                self.clip()
            self.optimizer.step()
        else:
            self.happened = False
            if any(p.grad is not None for p in self.params):
                self.scaler.unscale_(self.optimizer)
                if self.clips:
                    self.clip()
                self.scaler.step(self.optimizer)
                self.scaler.update()
            if not self.happened:
                return False
        if self.ema is not None:
            self.ema.update()
        return True

    def follow(self, counters: Mapping[str, int]) -> None:
        """Advance the schedule to where its counter stands; one that gets a metric each epoch waits for it."""
        if self.schedule is not None and not (self.measures and self.counter == "epochs"):
            target = counters[self.counter]
            while self.followed < target:
                self.schedule.step()
                self.followed += 1

    def measure(self, record: Mapping[str, Any], epochs: int, *, validates: bool) -> None:
        """Hand the schedule its metric of the epoch that ended; without one (validation was not due) it counts the epoch only.

        Raises
        ------
        SpecError
            When the record lacks the metric.
        """
        if self.schedule is None or not self.measures:
            return
        own = "loss" if self.name == "model" else f"{self.name}/loss"
        metric = self.metric or ("val_loss" if validates else own)
        waits = validates and metric.startswith("val_") and not any(key.startswith("val_") for key in record)
        if metric not in record and not waits:
            known = [key for key in record if key not in ("epoch", "batches") and not key.endswith("lr")]
            raise SpecError(
                f"The schedule of part {self.name!r} reacts to {metric!r}, which no epoch has measured; "
                f'give schedule_options={{"metric": ...}} one of {", ".join(known)}.'
            )
        value = None if waits else float(record[metric])
        if self.counter != "epochs":
            if value is not None:
                self.schedule.observe(value, self.schedule.last_epoch)  # type: ignore[attr-defined]
                self.schedule._last_lr = self.schedule.get_lr()
                for group, rate in zip(self.optimizer.param_groups, self.schedule._last_lr, strict=True):
                    group["lr"] = rate
            return
        # torch's own knows no step without a measurement.
        if value is not None:
            self.schedule.step(value)  # type: ignore[arg-type]
        elif isinstance(self.schedule, MetricSchedule):
            self.schedule.step()
        self.followed = epochs

    @property
    def lr(self) -> float:
        """The present learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of this part."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "followed": self.followed,
            "ema": None if self.ema is None else self.ema.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.followed = int(state["followed"])
        for name in ("schedule", "ema", "scaler"):
            mine = getattr(self, name)
            if mine is not None and state[name] is not None:
                mine.load_state_dict(state[name])


def wants_metric(kind: Any) -> bool:
    """Return whether every schedule of a class reacts to measurements; of a sum of schedules only its terms can tell."""
    return inspect.isclass(kind) and issubclass(kind, MetricSchedule | ReduceLROnPlateau) and not issubclass(kind, Then)


def reacts(schedule: Any) -> bool:
    """Return whether a schedule, or a term of a sum of schedules, reacts to measurements."""
    if isinstance(schedule, Then):
        return reacts(schedule.first) or reacts(schedule.second)
    return wants_metric(type(schedule))


def merge_specs(learner: Learner, names: list[str], given: Mapping[str, Any]) -> dict[str, PartSpec]:
    """Return the spec of every part: what is given over the learner's defaults.

    Raises
    ------
    UnknownNameError, SpecError
        When a part or a key is unknown.
    """
    overlays = {resolve(name, names, "part of the learner"): value for name, value in given.items()}
    fields = [f.name for f in dataclasses.fields(PartSpec)]
    specs = {}
    for name in names:
        default = learner.defaults.get(name, PartSpec())
        overlay = overlays.get(name)
        if overlay is None or isinstance(overlay, PartSpec):
            specs[name] = default if overlay is None else overlay
            continue
        unknown = next((key for key in overlay if key not in fields), None)
        if unknown is not None:
            raise SpecError(
                f"parts.{name} has the unknown key {unknown!r}; did you mean {', '.join(nearest(unknown, fields))}?"
            )
        values = dict(overlay)
        # Options refine the default's, unless they belong to another optimizer or schedule.
        for key, options in (("optimizer", "options"), ("schedule", "schedule_options")):
            if values.get(key, getattr(default, key)) == getattr(default, key):
                values[options] = {**getattr(default, options), **values.get(options, {})}
            else:
                values.setdefault(options, {})
        specs[name] = dataclasses.replace(default, **values)
    return specs


def _load(name: Any, kind: str, what: str, part: str) -> Callable[..., Any]:
    if not isinstance(name, str):
        if not callable(name):
            raise SpecError(f"parts.{part}.{what} must be a card's id or a torch class, got {name!r}.")
        return name
    card = get_card(name)
    if card.kind != kind:
        raise SpecError(f"parts.{part}.{what} must be a {kind}, but {card.id!r} is a {card.kind}.")
    return card.load()


def _build(factory: Callable[..., Any], first: Any, options: Mapping[str, Any], what: str, part: str) -> Any:
    known = inspect.signature(factory).parameters
    names = [n for n in known if n not in ("self", "params", "optimizer")]
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        unknown = next((key for key in options if key not in names), None)
        if unknown is not None:
            raise SpecError(
                f"{getattr(factory, '__name__', factory)} ({what} of part {part!r}) has no parameter {unknown!r}; "
                f"did you mean {', '.join(nearest(unknown, names))}?"
            )
    try:
        return factory(first, **options)
    except FivefoldError:
        raise
    except (TypeError, ValueError) as error:
        raise SpecError(f"The {what} of part {part!r} cannot be built: {error}") from error


def _total_steps(
    factory: Callable[..., Any], options: dict[str, Any], part: str, counter: str, lengths: Mapping[str, int | None]
) -> None:
    wanted = inspect.signature(factory).parameters.get("total_steps")
    if wanted is None or wanted.default is not inspect.Parameter.empty or "total_steps" in options:
        return
    known = lengths.get(counter)
    if known is None:
        raise SpecError(
            f"The schedule of part {part!r} needs total_steps: how far the counter {counter!r} will go is not known "
            f'beforehand. Give schedule_options={{"total_steps": ...}}, or let it follow "batches" or "epochs".'
        )
    options["total_steps"] = known


def _check_metric(schedule: Any, part: str, counter: str, metric: Any) -> None:
    if metric is not None and not reacts(schedule):
        raise SpecError(
            f"schedule_options of part {part!r} name the metric {metric!r}, but {type(schedule).__name__} follows the step "
            'number alone; leave "metric" out, or take a schedule that reacts to one, such as lr-plateau.'
        )
    if isinstance(schedule, ReduceLROnPlateau) and counter != "epochs":
        raise SpecError(
            f"ReduceLROnPlateau (schedule of part {part!r}) steps once a measurement, so it follows the counter epochs, "
            f"not {counter!r}; leave the counter out, or take lr-plateau."
        )


def build_parts(
    learner: Learner,
    given: Mapping[str, Any],
    world: World,
    lengths: Mapping[str, int | None],
    new_scaler: Callable[[], torch.amp.GradScaler | None],
) -> dict[str, Part]:
    """Build every part of a learner from the specs.

    Raises
    ------
    SpecError, UnknownNameError
        When a part is empty, lists a parameter twice or one that is not the learner's, or a spec does not fit.
    """
    names_of = {id(p): name for name, p in learner.named_parameters(remove_duplicate=False)}
    listed = {name: list(params) for name, params in learner.parts().items()}
    if not listed:
        raise SpecError(f"{type(learner).__name__}.parts() names no part, so there is nothing to train.")
    parts: dict[str, Part] = {}
    specs = merge_specs(learner, list(listed), given)
    for name, params in listed.items():
        if name in SHARED_COUNTERS:
            raise SpecError(f"A part cannot be called {name!r}, which is a counter of the engine.")
        if not params:
            raise SpecError(
                f"Part {name!r} of {type(learner).__name__} has no parameters; "
                "drop the part, or create its modules in __init__."
            )
        seen: set[int] = set()
        for p in params:
            if id(p) not in names_of:
                raise SpecError(
                    f"Part {name!r} lists a parameter of shape {tuple(p.shape)} that is not a parameter of "
                    f"{type(learner).__name__}; assign its module to an attribute, so that it is saved with the learner."
                )
            if id(p) in seen:
                raise SpecError(
                    f"Part {name!r} lists the parameter {names_of[id(p)]!r} twice, so it would be stepped twice; "
                    "list a shared parameter once."
                )
            seen.add(id(p))
        spec = specs[name]
        optimizer = _build(
            _load(spec.optimizer, "gradient-optimizer", "optimizer", name), params, spec.options, "optimizer", name
        )
        schedule, counter, metric = None, name, None
        if spec.schedule is not None:
            options = dict(spec.schedule_options)
            factory = _load(spec.schedule, "schedule", "schedule", name)
            wanted, metric = options.pop("counter", None), options.pop("metric", None)
            default = "epochs" if wants_metric(factory) else name
            counter = resolve(default if wanted is None else wanted, [*SHARED_COUNTERS, *listed], "counter")
            _total_steps(factory, options, name, counter, lengths)
            schedule = _build(factory, optimizer, options, "schedule", name)
            if wanted is None and wants_metric(type(schedule)):
                counter = "epochs"  # also when a function made it
            _check_metric(schedule, name, counter, metric)
        parts[name] = Part(name, params, spec, optimizer, schedule, counter, world, new_scaler(), metric)
    return parts


def check_accumulation(learner: Learner, parts: Mapping[str, Part], accumulate: int) -> None:
    """Refuse accumulation where it would train something else.

    Raises
    ------
    CapabilityError
        When the learner does not declare ``accumulates`` or its parts share parameters.
    """
    if accumulate == 1:
        return
    if not learner.accumulates:
        raise CapabilityError(
            f"{type(learner).__name__} cannot accumulate gradients over {accumulate} batches: it does not declare "
            "accumulates = True (every part yields at most once a batch). Use accumulate=1 or a larger batch_size."
        )
    owner: dict[int, str] = {}
    for part in parts.values():
        for p in part.params:
            other = owner.setdefault(id(p), part.name)
            if other != part.name:
                raise CapabilityError(
                    f"Parts {other!r} and {part.name!r} share a parameter of shape {tuple(p.shape)}, so their gradients "
                    "would mix over an accumulation window; use accumulate=1."
                )
