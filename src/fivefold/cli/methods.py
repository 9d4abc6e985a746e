"""The verbs about methods: list, show, check, verify, bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import emit, log, number, say, table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override, e.g. optimizer.lr=3e-4; repeatable.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command("list")(list_)
    app.command()(show)
    app.command()(check)
    app.command()(verify)
    app.command()(bench)


def list_(
    text: Annotated[list[str] | None, typer.Argument(help="Words in id, title, summary or paper.")] = None,
    kind: Annotated[str | None, typer.Option(help="classifier, loss, gradient-optimizer, ...")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass, regression, ...")] = None,
    package: Annotated[str | None, typer.Option(help="models.linear, optimizers, ...")] = None,
    capability: Annotated[str | None, typer.Option(help="probabilities, sample-weight, ...")] = None,
    json: Json = False,
) -> None:
    """List methods."""
    from fivefold.workbench.door import list_methods

    cards = list_methods(kind=kind, task=task, package=package, capability=capability, text=" ".join(text or []))
    if json:
        keys = ("id", "title", "kind", "task", "package", "summary", "paper", "capabilities")
        emit([{key: getattr(card, key) for key in keys} for card in cards])
        return
    if not cards:
        log("fivefold: nothing matches.")
        return
    table(
        ["id", "kind", "task", "title"],
        [[c.id, c.kind, ", ".join(t for t in c.task if t != "none"), c.title] for c in cards],
    )
    say(f"{len(cards)} method{'s' if len(cards) != 1 else ''}")


def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="Name of a method.")],
    variant: Annotated[str | None, typer.Option(help="Which variant's parameters to show.")] = None,
    json: Json = False,
) -> None:
    """Show a method: card, parameters, equation, evidence."""
    from fivefold.base.cards import get_card
    from fivefold.workbench.door import describe

    facts = describe(get_card(name), variant)
    if json:
        emit(facts)
        return
    say(f"{facts['title']}" + (f"  ({facts['paper']})" if facts["paper"] else ""))
    say(facts["summary"])
    say()
    wanted = (
        "id",
        "kind",
        "verbs",
        "package",
        "task",
        "supervision",
        "dataset",
        "metric",
        "recipe",
        "capabilities",
        "related",
        "spec",
    )
    for key in wanted:
        value = facts[key]
        value = ", ".join(value) if isinstance(value, list) else value
        if value and value != "none":
            say(f"{key:14}{value}")
    for label, path in facts["factory"].items():
        say(f"{'import' if label == 'default' else label:14}{path}")
    if facts.get("doc"):
        say()
        say(_before_parameters(facts["doc"]))
    _print_parameters(facts)
    if facts["evidence"]:
        say()
        table(["evidence", "claim", "against"], [[e["name"], e["claim"], e["against"]] for e in facts["evidence"]])
    if facts["batteries"]:
        say(f"Batteries of its kind: {', '.join(b['name'] for b in facts['batteries'])}")


def _before_parameters(doc: str) -> str:
    return doc.split("\nParameters\n", 1)[0].rstrip()


def _print_parameters(facts: dict[str, Any]) -> None:
    rows = [
        [p["name"], "required" if p["required"] else repr(p["default"]), p["type"], p["doc"]]
        for p in facts.get("parameters", [])
    ]
    if rows:
        say()
        table(["parameter", "default", "accepted", ""], rows)


def check(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or the id of a method.")],
    overrides: Overrides = None,
    seed: Annotated[int | None, typer.Option(help="Seed.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="As a rehearsal.")] = False,
    json: Json = False,
) -> None:
    """Check a specification; print where each value comes from."""
    from fivefold.workbench.parts import check_spec
    from fivefold.workbench.spec import resolve_spec

    resolved = resolve_spec(spec, overrides or [], seed=seed, quick=quick)
    check_spec(resolved)
    if json:
        lines = [{"path": path, "value": value, "origin": origin} for path, value, origin in resolved.lines()]
        emit({"id": resolved.id, "kind": resolved.card.kind, "spec": resolved.to_dict(), "values": lines})
        return
    table(
        ["key", "value", "origin"],
        [
            [path, repr(value) if isinstance(value, str) and not value else str(value), origin]
            for path, value, origin in resolved.lines()
        ],
    )
    say(f"All parts fit; `fivefold run {spec}` runs it.")


def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Names of methods.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every method.")] = False,
    slow: Annotated[bool, typer.Option("--slow", help="What takes longer than 10 s too.")] = False,
    json: Json = False,
) -> int:
    """Run the evidence of methods (status 1: some fails)."""
    from fivefold.base.errors import InputError
    from fivefold.workbench.proof import Outcome
    from fivefold.workbench.proof import verify as run_evidence

    if not names and not all_:
        raise InputError("Which method? Give ids (see `fivefold list`), or --all.")

    def progress(outcome: Outcome) -> None:
        log(f"{outcome.status:8}{outcome.id}  {outcome.name}  {outcome.seconds:.1f} s")

    outcomes = run_evidence(None if all_ else names, slow=slow, progress=progress)
    counts = {status: sum(o.status == status for o in outcomes) for status in ("passed", "failed", "error", "skipped")}
    if json:
        emit({"outcomes": [o.to_dict() for o in outcomes], **counts})
    else:
        rows = []
        for o in outcomes:
            sign = "" if o.check is None else ("≥" if o.check.at_least else "≤")
            measured = (
                "" if o.check is None else f"{number(float(o.check.value))} {sign} {number(float(o.check.bound))}"
            )
            # A failure tells what was counted: batteries name the cases there.
            why = o.reason or (o.check.unit if o.check is not None and o.status == "failed" else "")
            rows.append([o.id, o.claim, o.against, measured, o.status + (f": {why}" if why else "")])
        table(["id", "claim", "against", "measured", "outcome"], rows)
        say(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    return 1 if counts["failed"] or counts["error"] else 0


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Benchmarks or groups of them; all by default.")
    ] = None,
    threads: Annotated[list[int] | None, typer.Option(help="Thread limit, once for each; by default 1 and 2.")] = None,
    scores: Annotated[Path, typer.Option(metavar="FILE", help="Every score is added here as it comes.")] = Path(
        "runs/bench.jsonl"
    ),
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the last score of every contest as a page for the docs.")
    ] = None,
    no_run: Annotated[bool, typer.Option("--no-run", help="Show the scores that are kept, run nothing.")] = False,
    json: Json = False,
) -> int:
    """Run benchmarks beside the best peer (status 1: one misses)."""
    from dataclasses import asdict

    from fivefold.base.files import write_text
    from fivefold.workbench import bench_table
    from fivefold.workbench.bench import Score, chosen_benchmarks
    from fivefold.workbench.bench import bench as run_benchmarks

    chosen = chosen_benchmarks(names or ())
    facts = bench_table.machine()

    def page() -> None:
        if markdown is not None:
            words = " ".join(["fivefold bench", *(names or []), "--markdown", markdown.as_posix()])
            kept = bench_table.latest(scores, chosen)
            title = "Benchmarks" + (f": {', '.join(names)}" if names else "")
            write_text(markdown, bench_table.markdown(kept, chosen, title=title, command=words))

    def report(benchmark: str, score: Score) -> None:
        bench_table.append(scores, benchmark, score, facts)
        page()

    if no_run:
        found = [bench_table.score_of(row) for row in bench_table.latest(scores, chosen)]
        page()
    else:
        found = run_benchmarks(names or (), threads=threads or (1, 2), report=report)
    if json:
        emit([{**asdict(s), "ratio": s.ratio, "passed": s.passed, "verdict": s.verdict} for s in found])
    else:
        rows = [[s.name, s.threads, s.ours, s.peer, s.ratio, s.our_quality, s.peer_quality, s.verdict] for s in found]
        columns = ["benchmark", "threads", "ours (s)", "peer (s)", "ratio", "our quality", "peer's", ""]
        table(columns, rows, numbers=(1, 2, 3, 4, 5, 6))
    return 0 if all(score.passed for score in found) else 1
