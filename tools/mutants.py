"""Seed faults into the methods of a package, one at a time, and count how many the evidence kills.

    python tools/mutants.py models.linear [--faults 20] [--seed 0] [--jobs 2]

A fault is one change of one expression: a sign, a comparison, an off-by-one, a dropped weight, a swapped branch, a
wrong default. The faulty package is an overlay of the sources in a temporary folder with a Numba cache of its own; only the
evidence and the batteries of the ids that use the changed file run, until one of them fails. Lines with the comment
``# any value: <reason>`` (block sizes, iteration caps) are left alone, and so are messages, checks that only raise, and
type annotations.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "fivefold"
BAR = 0.95  # 19 of 20

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {
    "argmax": "argmin",
    "argmin": "argmax",
    "max": "min",
    "min": "max",
    "sum": "mean",
    "mean": "sum",
    "sqrt": "square",
    "exp": "expm1",
    "log": "log1p",
    "maximum": "minimum",
    "minimum": "maximum",
    "cumsum": "cumprod",
}
WEIGHTS = {"sample_weight", "weight", "weights"}


@dataclass(frozen=True)
class Fault:
    """One change: the file, the line, the words for it and the changed text of the whole file."""

    path: Path
    line: int
    what: str
    operator: str
    text: str


class _Sites(ast.NodeVisitor):
    """Collect the nodes that may be changed, each with its operator."""

    def __init__(self, text: str) -> None:
        self.found: list[tuple[ast.AST, str]] = []
        self.spared = {i for i, line in enumerate(text.splitlines(), 1) if "# any value:" in line}

    def add(self, node: ast.AST, operator: str) -> None:
        if getattr(node, "lineno", 0) not in self.spared:
            self.found.append((node, operator))

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave messages alone."""

    def visit_If(self, node: ast.If) -> None:
        """Leave checks that only raise to the tests of messages."""
        if all(isinstance(s, ast.Raise) for s in node.body):
            for statement in node.orelse:
                self.visit(statement)
            return
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.add(node, "branch")
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Skip annotations and docstrings; defaults may be wrong."""
        if node.name in ("__sklearn_tags__", "__repr__", "get_state", "from_state"):
            return
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
            if isinstance(default, ast.Constant) and type(default.value) in (int, float, bool):
                self.add(default, "default")
        for statement in node.body:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Skip the annotation."""
        if node.value is not None:
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Indices are off by one elsewhere; a wrong one fails at once and shows nothing."""
        self.visit(node.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Swap plus and minus, times and by."""
        words = isinstance(node.left, (ast.JoinedStr,)) or isinstance(node.right, (ast.JoinedStr,))
        if type(node.op) in SWAPS and not words:
            self.add(node, "arithmetic")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Swap strict and weak, equal and not."""
        if len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
            self.add(node, "comparison")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Swap and, or."""
        self.add(node, "logic")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Drop a sign or a negation."""
        if isinstance(node.op, (ast.USub, ast.Not)) and not isinstance(node.operand, ast.Constant):
            self.add(node, "sign")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Change a number in the body."""
        if type(node.value) in (int, float) and node.value not in (-1,):
            self.add(node, "number")

    def visit_Call(self, node: ast.Call) -> None:
        """Swap max and min, sum and mean; drop a weight."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in NAMES and isinstance(node.func, ast.Attribute):
            self.add(node, "function")
        for keyword in node.keywords:
            if keyword.arg in WEIGHTS and not isinstance(keyword.value, ast.Constant):
                self.add(keyword.value, "weight")
        self.generic_visit(node)


def _change(node: ast.AST, operator: str) -> ast.AST:
    new = copy.deepcopy(node)
    if isinstance(new, ast.If):
        new.test = ast.UnaryOp(ast.Not(), new.test)
    elif operator == "weight":
        return ast.Constant(None)
    elif isinstance(new, ast.BinOp):
        new.op = SWAPS[type(new.op)]()  # type: ignore[assignment]
    elif isinstance(new, ast.Compare):
        new.ops = [SWAPS[type(new.ops[0])]()]  # type: ignore[list-item]
    elif isinstance(new, ast.BoolOp):
        new.op = SWAPS[type(new.op)]()  # type: ignore[assignment]
    elif isinstance(new, ast.UnaryOp):
        return new.operand
    elif isinstance(new, ast.Call):
        new.func = ast.Attribute(new.func.value, NAMES[new.func.attr], ast.Load())  # type: ignore[attr-defined]
    elif isinstance(new, ast.Constant):
        if isinstance(new.value, bool):
            new.value = not new.value
        elif isinstance(new.value, int):
            new.value = new.value + 1
        else:
            new.value = new.value * 3 if new.value else 0.1
    return new


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Return the new node in the place of the old one."""
        return self.new if node is self.old else super().generic_visit(node)

    def visit(self, node: ast.AST) -> ast.AST:
        """Return the new node in the place of the old one."""
        return self.new if node is self.old else super().visit(node)


def faults_of(path: Path) -> Iterator[Fault]:
    """Yield every fault that can be seeded into a file."""
    text = path.read_text(encoding="utf8")
    sites = _Sites(text)
    for statement in ast.parse(text).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            sites.visit(statement)
    for index, (node, operator) in enumerate(sites.found):
        tree = ast.parse(text)
        again = _Sites(text)
        for statement in tree.body:
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                again.visit(statement)
        old = again.found[index][0]
        new = _change(old, operator)
        shown = old.test if isinstance(old, ast.If) else old
        after = new.test if isinstance(new, ast.If) else new
        what = f"{ast.unparse(shown)}  ->  {ast.unparse(after)}"
        changed = ast.unparse(ast.fix_missing_locations(_Replace(old, new).visit(tree)))
        yield Fault(path, node.lineno, what, operator, changed)


def _module(path: Path) -> str:
    return ".".join(["fivefold", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")


def _imports(path: Path) -> set[str]:
    """Return the modules of fivefold that a file imports, by full name."""
    here = _module(path).split(".")
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            full = ".".join(p for p in (base, node.module or "") if p)
            found |= {full, *(f"{full}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    return found


def ids_by_file(package: str) -> dict[Path, list[str]]:
    """Return the files of a package with the ids whose method reaches them, nearest first."""
    from fivefold.base.cards import read_package

    folder = SOURCE / package.replace(".", "/")
    files = {_module(p): p for p in sorted(folder.rglob("*.py")) if p.stem != "__init__"}
    result: dict[Path, list[str]] = defaultdict(list)
    for key, card in read_package(package).items():
        start = {path.partition(":")[0] for path in card.factory.values()}
        reached, frontier = set(), [m for m in start if m in files]
        while frontier:
            module = frontier.pop(0)
            if module not in reached:
                reached.add(module)
                frontier += [m for m in _imports(files[module]) if m in files]
        for module in sorted(reached):
            result[files[module]].append(key)
    return result


def overlay(fault: Fault, folder: Path) -> Path:
    """Make a copy of the sources with one fault in it."""
    place = folder / "src"
    shutil.copytree(SOURCE, place / "fivefold", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "fivefold" / fault.path.relative_to(SOURCE)).write_text(fault.text, encoding="utf8")
    return place


PROBE = """
import json, sys
from fivefold.base.cards import get_card
from fivefold.workbench import proof
for name in sys.argv[1:]:
    for entry in proof.entries():
        if entry.id == name and not entry.slow:
            outcome = proof.run_entry(entry)
            if outcome.status in ("failed", "error"):
                sys.exit("killed by " + outcome.name)
for name in sys.argv[1:]:
    for battery in proof.batteries_of(name):
        if not battery.slow:
            outcome = proof._execute((name, battery.name, "", ""), battery.function)
            if outcome.status in ("failed", "error"):
                sys.exit("killed by battery " + battery.name)
"""


def attempt(fault: Fault, ids: list[str], limit: float) -> tuple[bool, str]:
    """Run the evidence of the ids against one fault; return whether it died and of what."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        place = overlay(fault, folder)
        environment = {
            **os.environ,
            "PYTHONPATH": str(place),
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "OMP_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
        }
        command = [sys.executable, "-W", "ignore", "-c", PROBE, *ids]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=limit, cwd=folder, check=False
            )
        except subprocess.TimeoutExpired:
            return True, f"killed by the clock ({limit:.0f} s)"
    last = (done.stderr.strip().splitlines() or ["?"])[-1]
    return done.returncode != 0, last[:100] if done.returncode else "alive"


def healthy(ids: list[str], limit: float) -> str:
    """Return what fails without any fault, or nothing: against a failing check every fault would seem to die."""
    command = [sys.executable, "-W", "ignore", "-c", PROBE, *ids]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}  # not those of another checkout that is installed
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=limit * len(ids), cwd=ROOT, check=False
    )
    return (done.stderr.strip().splitlines() or ["?"])[-1] if done.returncode else ""


def choose(package: str, count: int, seed: int) -> list[tuple[Fault, list[str]]]:
    """Choose faults at random, spread over ids first and operators next."""
    stream = random.Random(seed)
    groups: dict[tuple[str, str], list[tuple[Fault, list[str]]]] = defaultdict(list)
    for path, ids in ids_by_file(package).items():
        for fault in faults_of(path):
            groups[(ids[0], fault.operator)].append((fault, ids))
    order = sorted(groups)
    stream.shuffle(order)
    for members in groups.values():
        stream.shuffle(members)
    chosen: list[tuple[Fault, list[str]]] = []
    taken: dict[str, int] = defaultdict(int)
    while len(chosen) < count and any(groups.values()):
        key = min((k for k in order if groups[k]), key=lambda k: (taken[k[0]], taken[str(k)], order.index(k)))
        chosen.append(groups[key].pop())
        taken[key[0]] += 1
        taken[str(key)] += 1
    return chosen


def main() -> int:
    """Seed, run, print the account."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("package", help="for example models.linear")
    cli.add_argument("--faults", type=int, default=20)
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--jobs", type=int, default=2)
    cli.add_argument("--limit", type=float, default=180.0, help="seconds after which a fault counts as killed")
    cli.add_argument("--json", action="store_true")
    args = cli.parse_args()
    chosen = choose(args.package, args.faults, args.seed)
    if not chosen:
        print(f"{args.package} has no methods to seed faults into.", file=sys.stderr)
        return 2
    ids = sorted({name for _, names in chosen for name in names})
    failing = healthy(ids, args.limit)
    if failing:
        print(f"The evidence of {args.package} fails without any fault: {failing}; mend that first.", file=sys.stderr)
        return 2
    start = time.perf_counter()
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda pair: attempt(*pair, args.limit), chosen))
    rows = [
        {"id": ids[0], "file": f"{f.path.relative_to(ROOT)}:{f.line}", "fault": f.what[:90], "dead": dead, "by": why}
        for (f, ids), (dead, why) in zip(chosen, results)
    ]
    killed = sum(dead for dead, _ in results)
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            mark = "killed" if row["dead"] else "ALIVE "
            print(f"{mark}  {row['id']:24} {row['file']:50} {row['fault']}  [{row['by']}]")
    print(
        f"{killed} of {len(chosen)} faults killed in {args.package}, {time.perf_counter() - start:.0f} s",
        file=sys.stderr,
    )
    return 0 if killed >= BAR * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
