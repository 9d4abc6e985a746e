"""Which methods are compared: ours by their cards, peers on request, and always the trivial baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fivefold.base.cards import Card, all_cards, get_card
from fivefold.base.errors import CapabilityError, SpecError
from fivefold.base.names import resolve

from ..baseline import BASELINE, baseline_card
from ..tabular import build


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
    methods: Iterable[str], task: str, params: Mapping[str, Mapping[str, Any]], *, peers: bool = False, threads: int = 1
) -> tuple[Entry, ...]:
    """Return the entries of a comparison, the baseline last.

    Raises
    ------
    UnknownNameError
        For a method or parameter that does not exist, with the nearest ones.
    CapabilityError
        For a method that does not serve the task.
    """
    named = list(methods)
    cards: dict[str, Card] = {}
    for name in named or default_entries(task):
        if name == BASELINE:
            continue
        card = find_card(name, task, threads)
        if card.kind not in ("classifier", "regressor"):
            raise CapabilityError(
                f"{card.id} is a {card.kind}; compare takes classifiers and regressors (see `fivefold list`)."
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
    given = {resolve(name, cards, "method of this comparison"): dict(values) for name, values in params.items()}
    entries = [
        Entry(card=card, variant=card.variant(None, task), params=given.get(card.id, {})) for card in cards.values()
    ]
    for entry in entries:
        if entry.params:
            build(entry.card, entry.variant, entry.params, 0)  # a wrong parameter is an error before any work
    base = baseline_card()
    return (*entries, Entry(card=base, variant=base.variant(None, task), params={}))
