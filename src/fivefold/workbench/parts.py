"""Whether the parts of a specification fit each other, and how its settings become parameters of the model.

Everything here happens before any data is read: a mismatch is an error that names both parts and what is missing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from fivefold.base.cards import Card, get_card
from fivefold.base.errors import CapabilityError, SpecError, UnknownNameError
from fivefold.base.names import nearest

from . import rules
from .door import unknown_parameter
from .spec import Method, OptimizerPart, Spec
from .tasks import check_card, check_combination, serves

_TRAINED = (
    "classifier",
    "regressor",
    "transformer",
    "clusterer",
    "generator",
    "agent",
    "detector",
    "recommender",
    "embedding",
)


def check_spec(spec: Spec) -> None:
    """Refuse a specification whose parts do not fit each other.

    Raises
    ------
    UnknownNameError
        For a parameter that a method does not have.
    CapabilityError
        For parts that do not fit, naming both and what is missing.
    """
    card = spec.card
    check_card(card)
    for path, method in _methods(spec):
        _check_params(spec, path, method)
    _check_slots(spec)
    model = get_card(spec.model.name) if spec.model is not None else None
    if model is not None and model.kind in _TRAINED:
        model_params(spec)
        if spec.data.task is not None:
            check_task(spec, spec.data.task)
        _check_needs(spec, model)
    _check_metrics(spec)


def _methods(spec: Spec) -> Iterator[tuple[str, Method]]:
    for path, method in (
        ("model", spec.model),
        ("objective", spec.objective),
        ("evaluation.splitter", spec.evaluation.splitter),
    ):
        if method is not None:
            yield path, method
    yield from _of_optimizer("optimizer", spec.optimizer)


def _of_optimizer(path: str, part: OptimizerPart) -> Iterator[tuple[str, Method]]:
    if part.name is not None:
        yield path, Method(name=part.name, params=part.params)
    if part.schedule is not None:
        yield f"{path}.schedule", part.schedule
    for name, child in part.parts.items():
        yield from _of_optimizer(f"{path}.parts.{name}", child)


def _check_params(spec: Spec, path: str, method: Method) -> None:
    card = get_card(method.name)
    if not card.factory:
        if method.params:
            key = next(iter(method.params))
            raise spec.fail(f"{path}.{key}", unknown_parameter(card.id, key, []))
        return
    signature = inspect.signature(card.load(method.variant, spec.data.task)).parameters
    if any(p.kind is p.VAR_KEYWORD for p in signature.values()):
        return
    known = [name for name in signature if name not in ("params", "optimizer", "self")]
    if card.kind not in ("gradient-optimizer", "schedule"):
        known = list(signature)
    if path.endswith("schedule"):
        known.append("counter")
    for key in method.params:
        if key not in known:
            where = spec.origin(f"{path}.{key}")
            raise UnknownNameError(f"{where}: {path}.{key}: {unknown_parameter(card.id, key, known)}")


def _check_slots(spec: Spec) -> None:
    kind = spec.card.kind
    if spec.model is not None and spec.model.name != spec.id and kind in _TRAINED:
        raise spec.fail(
            "model.name", f"the run is of {spec.id!r}, so its model cannot be {spec.model.name!r}; drop `id`."
        )


def check_task(spec: Spec, task: str) -> None:
    """Check model, objective and metrics of a specification against the task that the data set.

    Raises
    ------
    CapabilityError
        Naming the part that does not fit, the task, and what it serves.
    """
    if spec.model is None:
        return
    objective = get_card(spec.objective.name) if spec.objective is not None else None
    check_combination(get_card(spec.model.name), task, objective)
    for number, name in enumerate(spec.evaluation.metrics):
        tasks = metric_tasks(name)
        if task not in tasks and tasks:
            raise CapabilityError(
                f"{spec.origin('evaluation.metrics')}: evaluation.metrics[{number}]: the metric {name!r} does not fit the "
                f"task {task!r} of the model {spec.model.name!r}: it serves {', '.join(tasks)}."
            )


def metric_tasks(name: str) -> tuple[str, ...]:
    """Return the tasks a metric serves; an unknown metric is an error with its nearest neighbors."""
    from fivefold.evaluation.registry import metric_class

    return tuple(metric_class(name).tasks)


def _check_metrics(spec: Spec) -> None:
    if not spec.evaluation.metrics:
        return
    from fivefold.evaluation.registry import metric_class

    model = get_card(spec.model.name) if spec.model is not None else None
    for name in spec.evaluation.metrics:
        if name == "none":
            continue
        try:
            metric = metric_class(name)
        except UnknownNameError as error:
            raise UnknownNameError(f"{spec.origin('evaluation.metrics')}: evaluation.metrics: {error}") from None
        if model is None or model.kind not in ("classifier", "regressor"):
            continue
        if (
            metric.needs == "probabilities"
            and "probabilities" not in model.capabilities
            and "regression" not in metric.tasks
        ):
            raise CapabilityError(
                f"{spec.origin('evaluation.metrics')}: the metric {name!r} needs probabilities, which the model "
                f"{model.id!r} does not give; its card lacks the capability 'probabilities'."
            )
        if spec.data.task is None and "none" not in model.task and not any(serves(model, t) for t in metric.tasks):
            raise CapabilityError(
                f"{spec.origin('evaluation.metrics')}: the metric {name!r} serves {', '.join(metric.tasks)}, the model "
                f"{model.id!r} serves {', '.join(model.task)}; they have no task in common."
            )


def _check_needs(spec: Spec, model: Card) -> None:
    """What an optimizer or objective declares to need (``experiment.needs`` of its card), the model must be able to."""
    for path, method in _methods(spec):
        if path == "model":
            continue
        card = get_card(method.name)
        for need in card.experiment.get("needs", ()):
            if need not in model.capabilities:
                raise CapabilityError(
                    f"{spec.origin(f'{path}.name')}: the {path} {card.id!r} needs a model that is {need}, which "
                    f"{model.id!r} is not: its card lacks the capability {need!r}."
                )


def given_settings(spec: Spec) -> dict[str, Any]:
    """Return the settings of objective, optimizer and trainer that somebody set, by path."""
    found: dict[str, Any] = {}
    trainer = spec.trainer
    for key in ("max_epochs", "batch_size", "patience", "validation_fraction"):
        if getattr(trainer, key) is not None:
            found[f"trainer.{key}"] = getattr(trainer, key)
    if spec.objective is not None:
        found["objective.name"] = spec.objective.name
        found.update({f"objective.{key}": value for key, value in spec.objective.params.items()})
    optimizer = spec.optimizer
    if optimizer.name is not None:
        found["optimizer.name"] = optimizer.name
    found.update({f"optimizer.{key}": value for key, value in optimizer.params.items()})
    if optimizer.schedule is not None:
        found["optimizer.schedule"] = optimizer.schedule.name
        found.update({f"optimizer.schedule.{key}": value for key, value in optimizer.schedule.params.items()})
    for key in ("clip_norm", "clip_norm_each", "clip_value", "ema"):
        if getattr(optimizer, key) is not None:
            found[f"optimizer.{key}"] = getattr(optimizer, key)
    if optimizer.parts:
        found["optimizer.parts"] = part_specs(optimizer)
    return found


_GROUPS = {"optimizer": "optimizer_options", "optimizer.schedule": "schedule_options", "objective": "loss_options"}
"""Settings that have no parameter of their own go into the mapping parameter of this name, where the model has one."""


def model_params(spec: Spec, variant: str | None = None, task: str | None = None) -> dict[str, Any]:
    """Return the parameters of the model: its own, and the settings of the other parts under the names it takes them by.

    Raises
    ------
    CapabilityError
        When the model cannot take a setting; the message names it, the model and what is missing.
    """
    if spec.model is None:
        raise SpecError(f"{spec.id!r} has no model.")
    card = get_card(spec.model.name)
    params = dict(spec.model.params)
    signature = inspect.signature(card.load(variant or spec.model.variant, task or spec.data.task)).parameters
    known = list(signature)
    for path, value in given_settings(spec).items():
        part, _, key = path.rpartition(".")
        name = next((n for n in rules.SETTINGS.get(path, (key,)) if n in known), None)
        if path == "optimizer.parts":
            name = "parts" if "parts" in known else None
        if name is None and _GROUPS.get(part) in known:
            _check_option(spec, path, part, signature)
            group = params.setdefault(_GROUPS[part], {})
            group[key] = value
            continue
        if name is None:
            raise CapabilityError(f"{spec.origin(_origin_path(spec, path))}: {_lacks(path, value, card, known)}")
        if name in params:
            mine = spec.origin(f"model.{name}")
            raise SpecError(
                f"{spec.origin(_origin_path(spec, path))}: {path} and model.{name} ({mine}) set the same parameter of "
                f"{card.id!r}; give one of them."
            )
        params[name] = value
    return params


def _check_option(spec: Spec, path: str, part: str, model: Mapping[str, inspect.Parameter]) -> None:
    """Refuse an option that the optimizer, schedule or loss does not have."""
    key = path.rpartition(".")[2]
    if part == "optimizer":
        name = spec.optimizer.name or str(model["optimizer"].default)
    elif part == "optimizer.schedule":
        name = "" if spec.optimizer.schedule is None else spec.optimizer.schedule.name
    else:
        name = "" if spec.objective is None else spec.objective.name
    options = list(inspect.signature(get_card(name).load()).parameters)[0 if part == "objective" else 1 :]
    if key not in options:
        hint = ", ".join(nearest(key, options)) or "none"
        raise SpecError(
            f"{spec.origin(_origin_path(spec, path))}: {name} has no parameter {key!r}; did you mean one of: {hint}?"
        )


def _origin_path(spec: Spec, path: str) -> str:
    return path if path in spec.origins else f"{path}.name"


def _lacks(path: str, value: Any, card: Card, known: list[str]) -> str:
    if path == "objective.name":
        return (
            f"the objective {value!r} cannot be put into the model {card.id!r}, which fixes its own: "
            "it has no parameter 'loss'."
        )
    if path == "optimizer.name":
        return (
            f"the optimizer {value!r} cannot train the model {card.id!r}, which has its own way of fitting: "
            "it has no parameter 'optimizer'."
        )
    return f"{path}: the model {card.id!r} has no such setting; it takes: {', '.join(known) or 'nothing'}."


def part_specs(optimizer: OptimizerPart) -> dict[str, dict[str, Any]]:
    """Return an optimizer's parts as the engine takes them: part -> fields of ``PartSpec``."""
    return {name: part_spec(part) for name, part in optimizer.parts.items()}


def part_spec(part: OptimizerPart) -> dict[str, Any]:
    """Return one part as fields of the engine's ``PartSpec``."""
    found: dict[str, Any] = {}
    if part.name is not None:
        found["optimizer"] = part.name
    if part.params:
        found["options"] = dict(part.params)
    if part.schedule is not None:
        found["schedule"] = part.schedule.name
        if part.schedule.params:
            found["schedule_options"] = dict(part.schedule.params)
    for key in ("clip_norm", "clip_norm_each", "clip_value", "ema"):
        if getattr(part, key) is not None:
            found[key] = getattr(part, key)
    return found


def method_params(method: Method | None) -> Mapping[str, Any]:
    """Return the parameters of a method, or none."""
    return {} if method is None else method.params
