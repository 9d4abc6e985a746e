"""Which methods are compared: ours by their cards or by kind, peers on request, and always the trivial baseline."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fivefold.base.cards import Card, all_cards, get_card
from fivefold.base.errors import CapabilityError, SpecError
from fivefold.base.names import normalize, resolve

from ..baseline import BASELINE, baseline_card
from ..tabular import build, check_preparation

COMPARED = ("classifier", "regressor", "ctr-model")
"""Kinds that learn a table's target; each also names all its methods."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One method of the comparison, with the variant that serves the task and the parameters it is given."""

    card: Card
    variant: str
    params: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name of its row."""
        return self.card.id

    @property
    def is_baseline(self) -> bool:
        """Whether it is the trivial baseline."""
        return self.card.id == BASELINE

    @property
    def is_peer(self) -> bool:
        """Whether it belongs to another library."""
        return self.card.origin == "peer"


def default_entries(task: str) -> list[str]:
    """Return the ids of the methods compared when none are named: supervised, for the task, and marked fast by their card."""
    return [
        card.id
        for card in all_cards().values()
        if card.kind in ("classifier", "regressor")
        and task in card.task
        and card.supervision == "supervised"
        and "fast" in card.capabilities
    ]


def kind_named(name: str) -> str | None:
    """Return the kind that a word means, such as ``"ctr-models"``, or None where it names a single method."""
    return next((kind for kind in COMPARED if normalize(name) in (normalize(kind), normalize(f"{kind}s"))), None)


def entries_of_kind(kind: str, task: str) -> list[str]:
    """Return the ids of all methods of a kind that serve the task.

    Raises
    ------
    CapabilityError
        When there is none.
    """
    found = [
        card.id
        for card in all_cards().values()
        if card.kind == kind and task in card.task and card.supervision == "supervised"
    ]
    if not found:
        raise CapabilityError(f"No {kind} serves the task {task}; the target asks for it.")
    return found


def find_card(name: str, task: str, threads: int) -> Card:
    """Return the card of a method, of a peer, or of the baseline."""
    if name == BASELINE:
        return baseline_card()
    if "." in name:
        from ..peers import peer_cards

        peers = peer_cards(task, threads)
        return peers[resolve(name, peers, "installed peer")]
    return get_card(name)


def choose_entries(
    methods: Iterable[str],
    task: str,
    params: Mapping[str, Mapping[str, Any]],
    *,
    peers: bool = False,
    threads: int = 1,
    encode: str = "auto",
    select: int | None = None,
    resample: str | None = None,
) -> tuple[Entry, ...]:
    """Return the entries of a comparison, the baseline last.

    A kind stands for all its methods that serve the task; among ``params`` for those of them that have the parameter.

    Raises
    ------
    UnknownNameError
        For a method or parameter that does not exist, with the nearest ones.
    CapabilityError
        For a method that does not serve the task.
    SpecError
        For preparation that a method cannot be given.
    """
    named: list[str] = []
    for name in methods:
        kind = kind_named(name)
        named += [name] if kind is None else entries_of_kind(kind, task)
    cards: dict[str, Card] = {}
    for name in named or default_entries(task):
        if name == BASELINE:
            continue
        card = find_card(name, task, threads)
        if card.kind not in COMPARED:
            raise CapabilityError(
                f"{card.id} is a {card.kind}; compare takes classifiers, regressors and models of click logs (see "
                "`fivefold list`)."
            )
        if task not in card.task:
            fitting = ", ".join(default_entries(task)) or "none"
            raise CapabilityError(
                f"{card.id} serves {', '.join(card.task)}, the target asks for {task}; methods that fit: {fitting}."
            )
        cards[card.id] = card
    if peers:
        from ..peers import peer_cards

        cards |= peer_cards(task, threads)
    if not cards:
        raise SpecError(f"No method to compare for the task {task}; name some with --methods.")
    for card in cards.values():
        check_preparation(card, encode=encode, select=select, resample=resample)
    given = _params_by_method(params, cards, task)
    entries = [
        Entry(card=card, variant=card.variant(None, task), params=given.get(card.id, {})) for card in cards.values()
    ]
    for entry in entries:
        if entry.params:
            build(entry.card, entry.variant, entry.params, 0)  # a wrong parameter is an error before any work
    base = baseline_card()
    return (*entries, Entry(card=base, variant=base.variant(None, task), params={}))


def _params_by_method(
    params: Mapping[str, Mapping[str, Any]], cards: Mapping[str, Card], task: str
) -> dict[str, dict[str, Any]]:
    """Return the parameters of each method; those given to a kind go to its methods that have them, the method's own win."""
    given: dict[str, dict[str, Any]] = {}
    single = {name: values for name, values in params.items() if kind_named(name) is None}
    for name, values in params.items():
        kind = kind_named(name)
        if kind is None:
            continue
        members = [card for card in cards.values() if card.kind == kind]
        for key, value in values.items():
            takers = [c.id for c in members if key in inspect.signature(c.load(c.variant(None, task))).parameters]
            if not takers:
                raise SpecError(f"No {kind} of this comparison has the parameter {key!r}; leave it out.")
            for taker in takers:
                given.setdefault(taker, {})[key] = value
    for name, values in single.items():
        given.setdefault(resolve(name, cards, "method of this comparison"), {}).update(values)
    return given
