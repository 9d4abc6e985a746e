"""Every card has evidence; every piece of evidence, every battery and every quick run passes."""

from __future__ import annotations

import importlib.util
import itertools

import pytest

from fivefold.base.cards import all_cards
from fivefold.workbench.proof import Check, batteries_of, entries

CARDS = all_cards()


@pytest.mark.parametrize("name", CARDS)
def test_a_card_has_evidence_that_needs_no_peer(name: str) -> None:
    mine = [entry for entry in entries() if entry.id == name]
    assert mine, f"{name} has a card but no evidence in src/fivefold/evidence/"
    assert any(entry.peer is None for entry in mine), f"all evidence of {name} needs a peer to be installed"


@pytest.mark.parametrize("name", sorted({entry.id for entry in entries()}))
def test_evidence_belongs_to_a_card(name: str) -> None:
    assert name in CARDS, f"there is evidence for {name!r}, which no card names"


@pytest.mark.parametrize(
    ("package", "entry"),
    [
        pytest.param(
            CARDS[e.id].package,
            e,
            id=f"{e.id}-{e.function}",
            marks=[pytest.mark.slow] if e.slow else [],
        )
        for e in entries()
        if e.id in CARDS
    ],
)
def test_evidence(package: str, entry, account) -> None:
    if entry.peer is not None and importlib.util.find_spec(entry.peer) is None:
        pytest.skip(f"{entry.peer} is not installed")
    check = account(entry.load().function)
    assert isinstance(check, Check), "evidence returns a Check"
    assert check.passed, str(check)


def _batteries():
    for name, card in CARDS.items():
        for battery in batteries_of(name):
            marks = [pytest.mark.slow] if battery.slow else []
            yield pytest.param(card.package, battery, id=f"{name}-{battery.name}", marks=marks)


@pytest.mark.parametrize(("package", "battery"), list(_batteries()))
def test_battery(package: str, battery, account) -> None:
    check = account(battery.function)
    assert check.passed, str(check)


# The battery of demonstrations holds a quick run already.
@pytest.mark.parametrize(
    ("package", "name"), [pytest.param(c.package, n, id=n) for n, c in CARDS.items() if c.kind != "demo"]
)
def test_quick_run(package: str, name: str, account, tmp_path) -> None:
    import fivefold

    places = (tmp_path / f"run-{number}" for number in itertools.count())
    record = account(lambda: fivefold.run(name, quick=True, out=next(places)))
    assert record.status == "finished"
    assert (tmp_path / "run-0" / "report.html").stat().st_size > 0
