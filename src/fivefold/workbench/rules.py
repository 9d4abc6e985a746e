"""What a specification may hold: its keys, the values they accept, their defaults, and how layers are merged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fivefold.base.cards import TASKS, Card
from fivefold.base.errors import SpecError
from fivefold.base.names import nearest, normalize

from .yaml_loader import KeyPath, dotted

Where = Callable[[KeyPath], str]
Check = Callable[[Any], str | None]
"""Returns what is accepted when the value is not, else None."""


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "text"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _integer(low: int) -> Check:
    def check(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
        return None if fits else f"a whole number of at least {low}"

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> str | None:
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        if plain and math.isfinite(value) and low < value < high:
            return None
        return f"a number between {low:g} and {high:g}" if math.isfinite(high) else f"a number above {low:g}"

    return check


def _choice(*accepted: str) -> Check:
    return lambda value: None if value in accepted else f"one of {', '.join(accepted)}"


def _texts(value: Any) -> str | None:
    return None if isinstance(value, list) and all(isinstance(v, str) and v for v in value) else "a list of names"


def _text_map(value: Any) -> str | None:
    fits = isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())
    return None if fits else "a mapping of names to text"


PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true")

_DATA: dict[str, tuple[Check, Any]] = {
    "name": (_text, None),
    "target": (_text, None),
    "task": (_choice(*TASKS), None),
    "types": (_text_map, {}),
    "drop": (_texts, []),
    "weight": (_text, None),
    "group": (_text, None),
    "time": (_text, None),
    "recipe": (_text, None),
    "sql": (_text, None),
    "split": (_choice("auto", "random", "stratified", "group", "time"), "auto"),
    "test": (_number(0, 1), 0.25),
    "rows": (_integer(1), None),
}
_TRAINER: dict[str, tuple[Check, Any]] = {
    "max_epochs": (_integer(1), None),
    "batch_size": (_integer(1), None),
    "patience": (_integer(1), None),
    "validation_fraction": (_number(0, 1), None),
    "device": (_text, "cpu"),
    "devices": (_integer(1), 1),
    "precision": (_choice(*PRECISIONS), "32-true"),
    "tensorboard": (_boolean, False),
}
_EVALUATION: dict[str, tuple[Check, Any]] = {"metrics": (_texts, []), "splitter": (lambda value: None, None)}
OPTIMIZER_NUMBERS = ("clip_norm", "clip_norm_each", "clip_value", "ema")
_TOP = ("id", "seed", "quick", "data", "model", "objective", "optimizer", "evaluation", "trainer", "experiment")


# Setting of the specification -> names under which a model may take it, the first known one is used.
SETTINGS: dict[str, tuple[str, ...]] = {
    "trainer.max_epochs": ("max_epochs", "max_iter", "n_epochs"),
    "trainer.batch_size": ("batch_size",),
    "trainer.patience": ("patience", "n_iter_no_change"),
    "trainer.validation_fraction": ("validation_fraction",),
    "objective.name": ("loss", "objective"),
    "optimizer.name": ("optimizer",),
    "optimizer.lr": ("learning_rate", "lr"),
    "optimizer.weight_decay": ("weight_decay",),
    "optimizer.schedule": ("schedule",),
    "optimizer.clip_norm": ("clip_norm",),
    "optimizer.ema": ("ema",),
}


def _raise(where: Where, path: KeyPath, message: str) -> SpecError:
    return SpecError(f"{where(path)}: {dotted(path)}: {message}")


def _unknown(where: Where, path: KeyPath, known: tuple[str, ...] | list[str]) -> SpecError:
    hint = ", ".join(nearest(str(path[-1]), known))
    return SpecError(f"{where(path)}: unknown key {dotted(path)!r}; did you mean one of: {hint}?")


def canonical(tree: Any, where: Where) -> dict[str, Any]:
    """Return ``tree`` with its short forms written out (``model: mlp``), every key and value checked.

    Raises
    ------
    SpecError
        Naming the place, the key path and what is accepted.
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path: KeyPath = (key,)
        if key not in _TOP:
            raise _unknown(where, path, list(_TOP))
        if key == "id":
            _check(_text, value, path, where)
            found[key] = value
        elif key == "seed":
            _check(_integer(0), value, path, where)
            found[key] = value
        elif key == "quick":
            _check(_boolean, value, path, where)
            found[key] = value
        elif key in ("model", "objective"):
            found[key] = _named(value, path, where)
        elif key == "optimizer":
            found[key] = _optimizer(value, path, where)
        elif key == "experiment":
            found[key] = dict(_mapping(value, path, where))
        else:
            keys = {"data": _DATA, "evaluation": _EVALUATION, "trainer": _TRAINER}[key]
            found[key] = _section(value, keys, path, where)
    return found


def _check(check: Check, value: Any, path: KeyPath, where: Where) -> None:
    accepted = check(value)
    if accepted is not None:
        raise _raise(where, path, f"got {value!r}, accepted is {accepted}.")


def _mapping(value: Any, path: KeyPath, where: Where) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _raise(where, path, f"got {value!r}, accepted is a mapping of keys to values.")
    return value


def _section(value: Any, keys: Mapping[str, tuple[Check, Any]], path: KeyPath, where: Where) -> dict[str, Any]:
    if isinstance(value, str) and "name" in keys:
        value = {"name": value}
    if keys is _EVALUATION and isinstance(value, (str, list)):
        value = {"metrics": value}
    found: dict[str, Any] = {}
    for key, item in _mapping(value, path, where).items():
        if key not in keys:
            raise _unknown(where, (*path, key), list(keys))
        if key == "metrics" and isinstance(item, str):
            item = [item]
        if key == "splitter":
            item = _named(item, (*path, key), where)
        elif item is not None:
            _check(keys[key][0], item, (*path, key), where)
        found[key] = item
    return found


def _named(value: Any, path: KeyPath, where: Where) -> dict[str, Any]:
    if isinstance(value, str):
        value = {"name": value}
    if value is None:
        return {"name": None}
    found = dict(_mapping(value, path, where))
    for key in ("name", "variant"):
        if found.get(key) is not None:
            _check(_text, found[key], (*path, key), where)
    return found


def _optimizer(value: Any, path: KeyPath, where: Where) -> dict[str, Any]:
    found = _named(value, path, where)
    if "schedule" in found:
        found["schedule"] = _named(found["schedule"], (*path, "schedule"), where)
    for key in OPTIMIZER_NUMBERS:
        if found.get(key) is not None:
            _check(_number(0, 1) if key == "ema" else _number(0, math.inf), found[key], (*path, key), where)
    if "parts" in found:
        if len(path) > 1:
            raise _raise(where, (*path, "parts"), "a part has no parts of its own.")
        parts = _mapping(found["parts"], (*path, "parts"), where)
        found["parts"] = {name: _optimizer(part, (*path, "parts", name), where) for name, part in parts.items()}
    return found


def merge(
    base: dict[str, Any],
    over: Mapping[str, Any],
    origins: dict[str, str],
    where: Where,
    *,
    reset: bool = False,
    path: KeyPath = (),
) -> None:
    """Write ``over`` into ``base``, leaf by leaf, noting where each comes from.

    With ``reset``, a part whose ``name`` changes loses what ``base`` said of the former one: the options of Adam are no
    options of momentum.
    """
    if reset and path and "name" in over and normalize(str(base.get("name"))) != normalize(str(over["name"])):
        base.clear()
        prefix = dotted(path) + "."
        for known in [key for key in origins if key.startswith(prefix)]:
            del origins[known]
    for key, value in over.items():
        here = (*path, key)
        if isinstance(value, Mapping):
            below = base.get(key)
            if not isinstance(below, dict):
                below = base[key] = {}
            merge(below, value, origins, where, reset=reset, path=here)
        else:
            base[key] = value
            origins[dotted(here)] = where(here)


def with_defaults(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree with the plain defaults filled in, parts in their order."""
    sections = {"data": _DATA, "evaluation": _EVALUATION, "trainer": _TRAINER}
    full: dict[str, Any] = {}
    for key in _TOP:
        if key in sections:
            given = tree.get(key) or {}
            full[key] = {
                name: default if given.get(name) is None else given[name]
                for name, (_, default) in sections[key].items()
            }
        elif key in ("seed", "quick"):
            full[key] = tree.get(key, 0 if key == "seed" else False)
        elif key in tree:
            full[key] = tree[key]
    return full


def stock_layers(card: Card, given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the layers beneath what the user says: the kind's stock experiment, the card's facts, the card's quick settings."""
    from .experiments import stock

    experiment = stock(card.kind)
    yield "default", dict(experiment.STOCK)
    if hasattr(experiment, "stock_for"):
        yield "default", experiment.stock_for(card)
    own: dict[str, Any] = {}
    slot = experiment.SLOT
    _put(own, slot, {"name": card.id, **card.defaults})
    facts = {**card.experiment}
    for variant in card.factory:
        facts.pop(variant, None)
    facts.update(card.experiment.get(_variant(card, given), {}))
    dataset, metric = facts.pop("dataset", card.dataset), facts.pop("metric", card.metric)
    if dataset:
        own["data"] = {"name": dataset}
    if metric and slot != "evaluation":
        own.setdefault("evaluation", {})["metrics"] = [metric]
    quick_rows, quick_steps = facts.pop("quick_rows", None), facts.pop("quick_steps", None)
    for name in _BATTERY_FACTS:
        facts.pop(name, None)
    if facts:
        own["experiment"] = facts
    yield f"card {card.id}", own
    if given.get("quick"):
        yield "default (quick)", dict(getattr(experiment, "QUICK", {}))
        quick = _put({}, slot, {"name": card.id, **card.quick})
        if quick_rows is not None:
            quick["data"] = {"rows": quick_rows}
        if quick_steps is not None:
            quick["experiment"] = {"total_steps": quick_steps}
        yield f"card {card.id} (quick)", quick


# Facts of a card's experiment that only the conformance batteries read.
_BATTERY_FACTS = ("conformance", "input_shape")


def _variant(card: Card, given: Mapping[str, Any]) -> str:
    if not card.factory:
        return ""
    named = (given.get("model") or {}).get("variant")
    return card.variant(named, (given.get("data") or {}).get("task"))


def _put(tree: dict[str, Any], slot: str, value: dict[str, Any]) -> dict[str, Any]:
    if slot == "evaluation":
        tree["evaluation"] = {"metrics": [value["name"]]}
        return tree
    keys = slot.split(".")
    holder = tree
    for key in keys[:-1]:
        holder = holder.setdefault(key, {})
    holder[keys[-1]] = value
    return tree
