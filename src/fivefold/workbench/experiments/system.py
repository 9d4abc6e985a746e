"""A system: its evidence, executed and shown, and the demonstration that its card may name."""

from __future__ import annotations

from typing import Any

from fivefold.base.cards import load_path
from fivefold.base.errors import SpecError, TrainingError

from ..context import Context
from ..proof import Entry, Outcome, entries, run_entry
from .demo import take_over

SLOT = "model"
STOCK: dict[str, Any] = {}
SESSION = False


def run(context: Context) -> None:
    """Run every piece of evidence of the card (a rehearsal: the first); one that fails fails the run."""
    mine = [entry for entry in entries() if entry.id == context.card.id]
    if not mine:
        raise SpecError(f"{context.card.id!r} is a system without evidence, so there is nothing to execute.")
    chosen = [entry for entry in mine if not entry.slow]
    if context.quick:
        chosen = _first(chosen)
    outcomes = []
    for entry in chosen:
        outcome = run_entry(entry)
        context.say(f"{outcome.status:8} {outcome.name}  {outcome.claim}")
        outcomes.append(outcome)
    for status in ("passed", "failed", "error", "skipped"):
        context.metrics[status] = float(sum(o.status == status for o in outcomes))
    context.metrics["longer ones not run"] = float(len(mine) - len(chosen))
    context.timings.update({o.name: o.seconds for o in outcomes})
    context.table(
        "Evidence",
        ["claim", "against", "measured", "bound", "outcome"],
        [[o.claim, o.against, *_numbers(o), o.status + (f": {o.reason}" if o.reason else "")] for o in outcomes],
    )
    wrong = [o for o in outcomes if o.status in ("failed", "error")]
    if wrong:
        value, bound = _numbers(wrong[0])
        reason = wrong[0].reason or f"measured {value:.4g}, bound {bound:.4g}"
        raise TrainingError(f"The evidence {wrong[0].name!r} of {context.card.id!r} does not hold: {reason}.")
    path = context.card.experiment.get("demo")
    if path is not None:
        context.say(f"demonstration {path.partition(':')[2]}")
        take_over(context, load_path(path)())


def _first(chosen: list[Entry]) -> list[Entry]:
    plain = [entry for entry in chosen if entry.peer is None]
    return (plain or chosen)[:1]


def _numbers(outcome: Outcome) -> tuple[Any, Any]:
    return (None, None) if outcome.check is None else (float(outcome.check.value), float(outcome.check.bound))
