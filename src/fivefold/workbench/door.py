"""The door: any method by its name, and the list of all."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fivefold.base.cards import KINDS, Card, all_cards, get_card
from fivefold.base.errors import SpecError, UnknownNameError
from fivefold.base.names import nearest, normalize, resolve

# These take the parameters or the optimizer they act on, which only the caller has: `create` gives a partial of the class.
_NEED_MORE = {"gradient-optimizer", "schedule"}


def create(id: str, task: str | None = None, variant: str | None = None, **params: Any) -> Any:
    """Build a method by its catalogue id.

    Parameters
    ----------
    id : str
        Name of the method, whatever its case, hyphens or underscores.
    task : {"binary", "multiclass", "regression", ...}, optional
        Chooses the variant of a method that serves several tasks.
    variant : str, optional
        Chooses the variant by its name.
    **params
        Parameters of the method.

    Returns
    -------
    object
        The estimator, agent, module, metric …; for gradient optimizers and schedules the class with ``params`` filled in, to be
        called with the parameters (or optimizer) it acts on.

    Raises
    ------
    UnknownNameError
        For an unknown method, variant or parameter; the message offers the nearest.
    SpecError
        For a system, which is executed with ``fivefold run`` and cannot be created.
    """
    card = get_card(id)
    factory = card.load(variant, task)
    check_parameters(card, params, variant=variant, task=task)
    if card.kind in _NEED_MORE:
        return functools.partial(factory, **params) if params else factory
    return factory(**params)


def list_methods(
    *,
    kind: str | None = None,
    task: str | None = None,
    package: str | None = None,
    capability: str | None = None,
    text: str | None = None,
) -> list[Card]:
    """Return the cards that match every condition given, by id.

    Parameters
    ----------
    kind, task, package, capability : str, optional
        As in the card; ``package`` also matches what lies below it (``"models"``).
    text : str, optional
        Words that id, title, summary or paper contain, whatever the case.

    Raises
    ------
    UnknownNameError
        For a kind, task, package or capability that no card has.
    """
    cards = list(all_cards().values())
    if kind is not None:
        wanted = resolve(kind, KINDS, "kind")
        cards = [card for card in cards if card.kind == wanted]
    if task is not None:
        known = sorted({t for card in all_cards().values() for t in card.task})
        wanted = resolve(task, known, "task")
        cards = [card for card in cards if wanted in card.task]
    if package is not None:
        packages = {card.package for card in all_cards().values()}
        parents = {p.rsplit(".", n)[0] for p in packages for n in range(p.count(".") + 1)}
        wanted = resolve(package, sorted(packages | parents), "package")
        cards = [card for card in cards if card.package == wanted or card.package.startswith(wanted + ".")]
    if capability is not None:
        known = sorted({c for card in all_cards().values() for c in card.capabilities})
        wanted = resolve(capability, known, "capability")
        cards = [card for card in cards if wanted in card.capabilities]
    for word in (text or "").lower().split():
        cards = [c for c in cards if word in f"{c.id} {c.title} {c.summary} {c.paper}".lower()]
    return sorted(cards, key=lambda card: card.id)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method, as its signature and docstring tell."""

    name: str
    default: Any
    required: bool
    type: str = ""
    doc: str = ""


def parameters(factory: Any) -> list[Parameter]:
    """Return the parameters of a class or function, with what its docstring says of each."""
    docs = _documented(inspect.getdoc(factory) or "")
    if inspect.isclass(factory):
        docs = {**_documented(inspect.getdoc(factory.__init__) or ""), **docs}
    found = []
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        required = parameter.default is parameter.empty
        type_, doc = docs.get(name, ("", ""))
        found.append(Parameter(name, None if required else parameter.default, required, type_, doc))
    return found


def check_parameters(
    card: Card, params: Mapping[str, Any], *, variant: str | None = None, task: str | None = None
) -> None:
    """Refuse a parameter that the method does not have, offering the nearest."""
    factory = card.load(variant, task)
    signature = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in signature.values()):
        return
    for name in params:
        if name not in signature:
            raise UnknownNameError(unknown_parameter(card.id, name, list(signature)))


def unknown_parameter(owner: str, name: str, known: list[str]) -> str:
    """Return the sentence about a parameter that ``owner`` does not have."""
    if not known:
        return f"{owner!r} has no parameter {name!r}; it takes none."
    return f"{owner!r} has no parameter {name!r}; did you mean one of: {', '.join(nearest(name, known))}?"


_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def _documented(doc: str) -> dict[str, tuple[str, str]]:
    """Return name -> (type, text) from the Parameters section of a numpydoc docstring."""
    sections = list(_SECTION.finditer(doc))
    for number, section in enumerate(sections):
        if section.group(1) == "Parameters":
            end = sections[number + 1].start() if number + 1 < len(sections) else len(doc)
            return _entries(doc[section.end() : end])
    return {}


def _entries(body: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    names: list[str] = []
    type_, lines = "", list[str]()

    def close() -> None:
        for name in names:
            found[name.strip().lstrip("*")] = (type_, " ".join(lines))

    for line in body.splitlines():
        if line and not line[0].isspace():
            close()
            head, _, type_ = line.partition(" : ")
            names, lines = head.split(","), []
        elif line.strip():
            lines.append(line.strip())
    close()
    return found


def same_name_twice() -> list[tuple[str, str]]:
    """Return pairs of cards whose ids mean the same to the resolver; there must be none."""
    forms: dict[str, str] = {}
    pairs = []
    for name in all_cards():
        form = normalize(name)
        if form in forms:
            pairs.append((forms[form], name))
        forms[form] = name
    return pairs


def describe(card: Card, variant: str | None = None) -> dict[str, Any]:
    """Return what is known of a method, importing it: the card, its parameters, docstring and evidence, as plain values."""
    from .proof import batteries_of, entries

    facts: dict[str, Any] = {
        "id": card.id,
        "title": card.title,
        "paper": card.paper,
        "kind": card.kind,
        "verbs": KINDS[card.kind],
        "package": card.package,
        "task": list(card.task),
        "supervision": card.supervision,
        "summary": card.summary,
        "factory": dict(card.factory),
        "dataset": card.dataset,
        "metric": card.metric,
        "recipe": card.recipe,
        "capabilities": sorted(card.capabilities),
        "search": {name: dict(space) for name, space in card.search.items()},
        "related": list(card.related),
        "spec": list(card.spec),
    }
    if card.factory:
        chosen = card.variant(variant)
        factory = card.load(chosen)
        facts["variant"] = chosen
        facts["doc"] = inspect.getdoc(factory) or ""
        facts["parameters"] = [
            {"name": p.name, "default": p.default, "required": p.required, "type": p.type, "doc": p.doc}
            for p in parameters(factory)
        ]
    elif variant is not None:
        raise SpecError(f"{card.id!r} is a {card.kind} and has no variants.")
    facts["evidence"] = [
        {"name": entry.function, "module": entry.module, "peer": entry.peer, "slow": entry.slow, **_claim(entry)}
        for entry in entries()
        if entry.id == card.id
    ]
    facts["batteries"] = [{"name": battery.name, "claim": battery.claim} for battery in batteries_of(card.id)]
    return facts


def _claim(entry: Any) -> dict[str, str]:
    loaded = entry.load()
    return {"claim": loaded.claim, "against": loaded.against}
