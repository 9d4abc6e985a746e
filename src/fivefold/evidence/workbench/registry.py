"""Evidence for the component registry: every row is found by its name, duplicates and unknown names raise."""

from __future__ import annotations

import importlib
import inspect

from fivefold.base.cards import Card, all_cards, get_card, parse_card
from fivefold.base.errors import FivefoldError
from fivefold.evidence import Check, evidence


def _spellings(name: str) -> list[str]:
    words = name.split("-")
    return [name, name.upper(), name.replace("-", "_"), name.replace("-", " "), "".join(w.title() for w in words)]


@evidence("component-registry", claim="Every card is found under every spelling of its id", against="the list of ids")
def every_spelling() -> Check:
    wrong = sum(get_card(form).id != name for name in all_cards() for form in _spellings(name))
    return Check(wrong, 0, "names that lead elsewhere", "the ids themselves")


@evidence(
    "component-registry",
    claim="Every import path of every card leads to the class or function of that name",
    against="Python's import system",
)
def every_factory() -> Check:
    wrong = 0
    for card in all_cards().values():
        for variant, path in card.factory.items():
            module, _, name = path.partition(":")
            found = getattr(importlib.import_module(module), name, None)
            wrong += found is None or found is not card.load(variant)
            wrong += not (inspect.isclass(found) or inspect.isroutine(found))
            wrong += getattr(found, "__name__", name) != name
    return Check(wrong, 0, "paths that lead nowhere", "importlib")


def _distance(a: str, b: str) -> int:
    """Return the Levenshtein distance by dynamic programming over the whole table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@evidence(
    "component-registry",
    claim="A name that is off by one letter raises and the sentence offers the right one",
    against="Levenshtein distances to every id",
)
def unknown_names() -> Check:
    ids = list(all_cards())
    wrong = 0
    for name in ids[:: 1 + len(ids) // 60]:  # some sixty of them: each is compared with all
        if len(name) < 6:
            continue  # of three letters, one off is another word
        at = next(i for i in range(len(name) // 2, len(name)) if name[i].isalpha())
        broken = name[:at] + name[at + 1 :]
        if sum(abs(len(other) - len(broken)) <= 1 and _distance(broken, other) <= 1 for other in ids) > 1:
            continue  # two ids are equally near: either may be offered
        try:
            get_card(broken)
        except FivefoldError as error:
            wrong += name not in str(error) or not isinstance(error, ValueError) or broken not in str(error)
        else:
            wrong += 1
    return Check(wrong, 0, "names without the right hint", "brute force")


def _card(name: str) -> Card:
    return parse_card(name, {"title": "t", "kind": "system", "summary": "s"}, "somewhere", "elsewhere")


@evidence(
    "component-registry",
    claim="An id carded twice raises, names both packages, and no two ids read the same to the resolver",
    against="a set of normalized ids",
)
def duplicates() -> Check:
    from fivefold.base import cards

    wrong = 0
    known = dict(all_cards())
    first = next(iter(known))
    try:
        cards._add(known, {first: _card(first)})
    except FivefoldError as error:
        wrong += not all(part in str(error) for part in (first, known[first].package, "somewhere"))
    else:
        wrong += 1
    forms = {"".join(c for c in name.lower() if c.isalnum()) for name in all_cards()}
    wrong += len(all_cards()) - len(forms)
    return Check(wrong, 0, "duplicates let through", "set arithmetic")


# Names and defaults as printed in the source (02#optimizer-registry), where we have the optimizer.
_PRINTED = {
    "momentum": {"momentum": 0.9},
    "adam": {"betas": (0.9, 0.999), "eps": 1e-8},
}


@evidence(
    "component-registry",
    claim="Optimizers chosen by name, in any case, have the printed defaults; anything else is a ValueError",
    against="the table of the source (02#optimizer-registry)",
)
def printed_defaults() -> Check:
    import fivefold

    wrong = 0
    for name, defaults in _PRINTED.items():
        for form in (name, name.upper()):
            signature = inspect.signature(fivefold.create(form)).parameters
            wrong += sum(signature[key].default != value for key, value in defaults.items())
    try:
        fivefold.create("no-such-optimizer")
    except ValueError:
        pass
    else:
        wrong += 1
    return Check(wrong, 0, "defaults that differ", "printed table")
