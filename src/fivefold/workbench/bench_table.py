"""Scores of benchmarks kept as they come, and the table of them for the documentation."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from fivefold.base.errors import ArtifactError, StorageError

from .bench import PASSES_AT, Score
from .store import now, versions

_PEERS = (
    *("celer", "skglm", "openTSNE", "lightgbm", "xgboost", "catboost", "ngboost"),
    *("deepctr-torch", "fuxictr", "implicit", "scikit-surprise", "xlearn"),
)


def machine() -> dict[str, str]:
    """Return what times depend on: processor, its number, memory, system, versions of libraries and peers."""
    found = {"processor": _processor(), "cpus": str(os.cpu_count() or 1), "memory": _memory()}
    found["system"] = f"{platform.system()} {platform.machine()}"
    found.update(versions())
    for library in _PEERS:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text(encoding="utf8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return "unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"


def append(path: Path, benchmark: str, score: Score, facts: dict[str, str]) -> None:
    """Add a score to the file of scores, on disk before the next contest starts."""
    row = {"benchmark": benchmark, "when": now(), "machine": facts, **_finite(asdict(score))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"Cannot write the score to {path}: {error}.") from error


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    # Infinities and NaN are no JSON.
    return {k: None if isinstance(v, float) and not abs(v) < float("inf") else v for k, v in values.items()}


def latest(path: Path, benchmarks: Sequence[str]) -> list[dict[str, Any]]:
    """Return the last score of every contest of some benchmarks, in their order."""
    if not path.is_file():
        return []
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    crashes: dict[str, dict[str, Any]] = {}
    for number, text in enumerate(path.read_text(encoding="utf8").splitlines(), start=1):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise ArtifactError(f"Line {number} of {path} is no JSON: {error}. Remove that line.") from error
        name = row["benchmark"]
        if row["threads"] == 0:
            crashes[name] = row
            continue
        # A contest that came to its end after a crash of the whole file speaks for it.
        crashes.pop(name, None)
        rows[name, row["name"], row["threads"]] = row
    kept = [*rows.values(), *crashes.values()]
    place = {name: number for number, name in enumerate(benchmarks)}
    return sorted((row for row in kept if row["benchmark"] in place), key=lambda row: place[row["benchmark"]])


def score_of(row: dict[str, Any]) -> Score:
    """Return the score that a kept row stands for."""
    nan = float("nan")
    values = {name: row[name] for name in Score.__dataclass_fields__}
    numbers = ("ours", "peer", "our_quality", "peer_quality")
    return Score(**values | {name: nan if row[name] is None else row[name] for name in numbers})


def markdown(rows: Iterable[dict[str, Any]], benchmarks: Sequence[str], *, title: str, command: str) -> str:
    """Return a page with every score, the machines and the days; benchmarks without a score are named."""
    rows = list(rows)
    days = sorted({row["when"][:10] for row in rows})
    lines = [f"# {title}", "", f"Written by `{command}`" + (f", measured {_range(days)}." if days else "."), ""]
    lines += [
        "Both sides run interleaved in one process on the same data, under the same thread limit; the ratio is our median",
        "time divided by the peer's, and the quality of both is computed by one program. A contest passes when its quality",
        f"is sound and its ratio at most {PASSES_AT:g} times the target.",
        "",
    ]
    machines: list[dict[str, str]] = []
    for row in rows:
        if row["machine"] not in machines:
            machines.append(row["machine"])
    for facts in machines:
        known = dict(facts)
        head = f"{known.pop('cpus')} x {known.pop('processor')}, {known.pop('memory')}, {known.pop('system')}"
        lines += [f"Machine: {head}; " + ", ".join(f"{name} {value}" for name, value in known.items()) + ".", ""]
    lines += [
        "| benchmark | job | threads | ours (s) | peer (s) | ratio | target | our quality | peer's | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        score = score_of(row)
        target = "" if score.target is None else f"{score.target:g}"
        ratio = "–" if score.error else f"{score.ratio:.3f}"
        numbers = [_number(score.ours), _number(score.peer), ratio, target]
        numbers += [_number(score.our_quality), _number(score.peer_quality)]
        cells = [row["benchmark"], score.name, str(score.threads or "–"), *numbers, score.verdict]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    missing = [name for name in benchmarks if name not in {row["benchmark"] for row in rows}]
    if missing:
        lines += ["", "Not measured: " + ", ".join(missing) + "."]
    return "\n".join(lines) + "\n"


def _range(days: Sequence[str]) -> str:
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.4g}"
