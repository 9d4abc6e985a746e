"""Evidence: functions that compare a method with something independent, and the verb that runs them.

Evidence lies in ``fivefold/evidence/<package>/<topic>.py``; plug-ins bring theirs through the entry-point group
``fivefold.evidence``. Files are found by reading their text: only those that speak of an asked id are imported.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from fivefold.base.cards import all_cards, get_card
from fivefold.base.errors import DataUnavailableError, FivefoldError, SpecError


@dataclass(frozen=True)
class Check:
    """The outcome of one piece of evidence.

    Parameters
    ----------
    value : float
        What was measured.
    bound : float
        What it may be at most (at least, with ``at_least=True``); fixed beforehand from theory or a published figure.
    unit : str
        What the value is: "max |coef - peer|", "accuracy", "mismatches".
    peer : str
        What it was compared with: "scikit-learn Ridge", "closed form", "brute force".
    at_least : bool
        The value must reach the bound instead of staying under it.
    """

    value: float
    bound: float
    unit: str = ""
    peer: str = ""
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value respects the bound; NaN never does."""
        if math.isnan(self.value):
            return False
        return bool(self.value >= self.bound if self.at_least else self.value <= self.bound)


def fault(found: Any) -> float:
    """Return infinity where a yes-or-no part of a check is at fault, else 0, so that no bound can let it pass."""
    return math.inf if found else 0.0


def largest(*values: Any) -> float:
    """Return the largest of several numbers or of one iterable, and NaN where one is NaN.

    Python's ``max`` keeps or drops a NaN by its place, so that a method that yields NaN could pass its check.
    """
    return max(_numbers(values), key=lambda v: (v != v, v))


def smallest(*values: Any) -> float:
    """Return the smallest of several numbers or of one iterable, and NaN where one is NaN."""
    return min(_numbers(values), key=lambda v: (v == v, v))


def _numbers(values: tuple[Any, ...]) -> list[float]:
    # A scalar of NumPy or torch is an iterable by type, of no dimension.
    alone = len(values) == 1 and isinstance(values[0], Iterable) and bool(getattr(values[0], "ndim", 1))
    return [float(v) for v in (values[0] if alone else values)]


def worst_check(*checks: Check) -> Check:
    """Return the check of the largest value, one of NaN before all others; the checks share their bound."""
    return max(checks, key=lambda check: (math.isnan(check.value), check.value))


@dataclass(frozen=True)
class Evidence:
    """A registered evidence function."""

    id: str
    claim: str
    against: str
    function: Callable[[], Any]
    peer: str | None = None
    slow: bool = False


def evidence(
    id: str, *, claim: str, against: str, peer: str | None = None, slow: bool = False
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a function as evidence for the card ``id``.

    Parameters
    ----------
    id : str
        Catalogue id, a literal string.
    claim : str
        What is shown, one sentence.
    against : str
        The independent thing compared with.
    peer : str, optional
        Import name of the library that must be installed; without it the evidence is skipped: a skip proves nothing.
    slow : bool
        Longer than 10 s; run by ``fivefold verify --slow``.
    """

    def register(function: Callable[[], Any]) -> Callable[[], Any]:
        earlier: tuple[Evidence, ...] = getattr(function, "__fivefold_evidence__", ())
        entry = Evidence(id, claim, against, function, peer, slow)
        vars(function)["__fivefold_evidence__"] = (*earlier, entry)
        return function

    return register


@dataclass(frozen=True)
class Entry:
    """Where a piece of evidence stands, read from the text of its file."""

    id: str
    module: str
    function: str
    slow: bool
    peer: str | None

    def load(self) -> Evidence:
        """Import the function and return its registration for this id."""
        function = getattr(importlib.import_module(self.module), self.function)
        found: tuple[Evidence, ...] = function.__fivefold_evidence__
        return next(e for e in found if e.id == self.id)


def _folders() -> list[tuple[str, Path]]:
    folders = [("fivefold.evidence", Path(__file__).resolve().parent.parent / "evidence")]
    for point in metadata.entry_points(group="fivefold.evidence"):
        spec = importlib.util.find_spec(point.value)
        if spec is not None and spec.submodule_search_locations:
            folders.append((point.value, Path(next(iter(spec.submodule_search_locations)))))
    return folders


def _entries_of(path: Path, module: str) -> Iterable[Entry]:
    for node in ast.parse(path.read_text(encoding="utf8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if not (isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "evidence"):
                continue
            if not (decorator.args and isinstance(decorator.args[0], ast.Constant)):
                raise SpecError(f"{path}:{decorator.lineno}: the id of evidence must be a literal string.")
            options = {k.arg: k.value.value for k in decorator.keywords if isinstance(k.value, ast.Constant)}
            yield Entry(
                str(decorator.args[0].value),
                module,
                node.name,
                bool(options.get("slow", False)),
                options.get("peer"),  # type: ignore[arg-type]
            )


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Return every piece of evidence, in the order of files and lines."""
    found: list[Entry] = []
    for package, folder in _folders():
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder)
            if relative.parts[0] == "batteries":
                continue
            parts = [*relative.parts[:-1], *([] if path.stem == "__init__" else [path.stem])]
            found.extend(_entries_of(path, ".".join([package, *parts])))
    return tuple(found)


@dataclass(frozen=True)
class Outcome:
    """What came of one piece of evidence or one battery."""

    id: str
    name: str
    claim: str
    against: str
    status: str  # passed | failed | skipped | error
    seconds: float
    check: Check | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        plain = asdict(self)
        if self.check is not None:
            plain["check"]["passed"] = self.check.passed
        return plain


def run_entry(entry: Entry) -> Outcome:
    """Execute one piece of evidence."""
    loaded = entry.load()
    describe = (entry.id, entry.function, loaded.claim, loaded.against)
    if entry.peer is not None and importlib.util.find_spec(entry.peer) is None:
        return Outcome(*describe, "skipped", 0.0, reason=f"{entry.peer} is not installed; a skip proves nothing")
    return _execute(describe, loaded.function)


def _execute(describe: tuple[str, str, str, str], function: Callable[[], Any]) -> Outcome:
    start = time.perf_counter()
    try:
        check = function()
    except DataUnavailableError as error:
        return Outcome(*describe, "skipped", time.perf_counter() - start, reason=f"{error} A skip proves nothing")
    except FivefoldError as error:
        return Outcome(*describe, "error", time.perf_counter() - start, reason=str(error))
    except Exception as error:  # noqa: BLE001 - whatever evidence raises is its result, shown with its name
        return Outcome(*describe, "error", time.perf_counter() - start, reason=f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - start
    if not isinstance(check, Check):
        return Outcome(*describe, "error", seconds, reason=f"returned {type(check).__name__} instead of a Check")
    return Outcome(*describe, "passed" if check.passed else "failed", seconds, check)


def verify(
    ids: str | Sequence[str] | None = None, *, slow: bool = False, batteries: bool = True, progress: Any = None
) -> list[Outcome]:
    """Run the evidence of methods and the batteries of their kinds.

    Parameters
    ----------
    ids : str or list of str, optional
        Names of methods; all by default.
    slow : bool, default False
        Run what takes longer than 10 s too.
    batteries : bool, default True
        Run the conformance checks that every method of the kind passes.
    progress : callable(Outcome), optional
        Told each outcome as it comes.

    Returns
    -------
    list of Outcome

    Raises
    ------
    UnknownNameError
        When a name is not known; the message offers the nearest.
    """
    names = list(all_cards()) if ids is None else [get_card(n).id for n in ([ids] if isinstance(ids, str) else ids)]
    outcomes: list[Outcome] = []

    def add(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if progress is not None:
            progress(outcome)

    for name in names:
        mine = [e for e in entries() if e.id == name and (slow or not e.slow)]
        for entry in mine:
            add(run_entry(entry))
        if not mine:
            add(Outcome(name, "-", "There is evidence", "-", "failed", 0.0, reason="this card has no evidence"))
        if batteries:
            for battery in batteries_of(name):
                if slow or not battery.slow:
                    describe = (name, f"battery:{battery.name}", battery.claim, "conformance of its kind")
                    add(_execute(describe, battery.function))
    return outcomes


@dataclass(frozen=True)
class Battery:
    """One conformance check, bound to one card and variant."""

    name: str
    claim: str
    function: Callable[[], Check]
    slow: bool = False


def batteries_of(name: str) -> list[Battery]:
    """Return the conformance checks that the card's kind asks for."""
    # The batteries stand on the evidence floor, above this one, and are found by name like every method.
    enrol: Callable[..., list[Battery]] = importlib.import_module("fivefold.evidence.batteries").enrol
    return enrol(get_card(name))
