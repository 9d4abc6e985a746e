"""A worst of many keeps NaN, so that a method that yields NaN fails its check."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import fivefold
from fivefold.evidence import Check, fault, largest, smallest, worst_check

NAN = float("nan")


@pytest.mark.parametrize("values", [(0.0, NAN), (NAN, 0.0), (1, NAN, 2.0), ([0.0, NAN],)])
def test_nan_fails_the_check(values):
    assert math.isnan(largest(*values)) and math.isnan(smallest(*values))
    assert not Check(largest(*values), 1e9).passed
    assert not Check(smallest(*values), -1e9, at_least=True).passed


def test_numbers_of_any_library():
    values = [1, np.float32(2.5), np.array(-4.0), torch.tensor(7.0), True]
    assert largest(*values) == 7.0 and smallest(*values) == -4.0
    assert largest(v for v in values) == 7.0 and isinstance(largest(1, 2), float)
    for value in values:
        assert largest(value) == smallest(value) == float(value)
    assert math.isnan(largest(0.0, torch.tensor(NAN))) and math.isnan(smallest(np.float64(NAN), 1))


def test_a_fault_passes_no_bound():
    assert fault(np.array([False]).any()) == 0.0 and fault([]) == 0.0
    assert not Check(fault([1]), 1e9).passed and not Check(0.5 + fault(True), 1e9).passed


def test_worst_check_prefers_nan():
    checks = [Check(0.5, 1.0), Check(NAN, 1.0), Check(0.7, 1.0)]
    assert not worst_check(*checks).passed
    assert worst_check(checks[0], checks[2]).value == 0.7


def test_no_evidence_gathers_a_worst_with_max():
    """`worst = max(worst, x)` drops a NaN in x; `min` likewise."""
    found = []
    for path in sorted((Path(fivefold.__file__).parent / "evidence").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                call, targets = node.value, {ast.unparse(target) for target in node.targets}
                if isinstance(node.targets[0], ast.Name) and getattr(call.func, "id", "") in ("max", "min"):
                    found += [f"{path.name}:{node.lineno}"] * bool(targets & {ast.unparse(a) for a in call.args})
    assert found == [], "use largest or smallest of fivefold.evidence: they keep NaN"


_ACCOUNTS = {"wrong", "faults", "failed", "worst"}
_GATHERED = {"any", "sum", "mean", "max", "all", "count_nonzero"}


def _comparisons(node: ast.AST, elements: bool = False) -> list[ast.Compare]:
    """Return the comparisons by size that count a fault when they hold; a NaN makes them false."""
    match node:
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE()]):
            sides = (node.left, node.comparators[0])
            return [] if any(ast.unparse(side).startswith("len(") for side in sides) else [node]
        case ast.BoolOp():
            return [c for value in node.values for c in _comparisons(value, elements)]
        case ast.BinOp(op=ast.Add()):
            return _comparisons(node.left, elements) + _comparisons(node.right, elements)
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd()) if elements:
            return _comparisons(node.left, True) + _comparisons(node.right, True)
        case ast.Call(func=ast.Name(id="float" | "int" | "bool" | "largest")):
            return [c for value in node.args for c in _comparisons(value, elements)]
        case ast.Call(func=ast.Name(id="sum" | "any"), args=[ast.GeneratorExp() | ast.ListComp() as each]):
            return _comparisons(each.elt)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "torch"), attr=name)) if name in _GATHERED:
            return _comparisons(node.args[0], True)
        case ast.Call(func=ast.Attribute(value=values, attr=name)) if name in _GATHERED:
            return _comparisons(values, True)
    return []


def _blind_to_nan(text: str) -> list[int]:
    """Return the lines of ``wrong += x > bound``, by itself or within any(), sum(), `or` and the like."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AugAssign | ast.Assign):
            target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
            found += _comparisons(node.value) if getattr(target, "id", "") in _ACCOUNTS else []
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "largest":
            found += _comparisons(node)
    return [comparison.lineno for comparison in found]


@pytest.mark.parametrize(
    ("line", "blind"),
    [
        ("wrong += x > 1", True),
        ("wrong = int(x > 1)", True),
        ("wrong += not x <= 1", False),
        ("wrong += float(np.abs(x).max() >= 1e-9) + 0", True),
        ("wrong += int((x < 0).any() or y != 2)", True),
        ("wrong += int((~(x >= 0)).any())", False),
        ("wrong += np.sum((p < 0) | ~(p <= 1))", True),
        ("wrong += sum(abs(a - b) > 2 for a in c)", True),
        ("wrong += len(x) > 1", False),
        ("wrong += [1] != x[x > 0]", False),
        ("faults += bool(1 <= x)", True),
        ("worst = largest(worst, float(x > 1))", True),
        ("wins += x > y", False),
    ],
)
def test_the_search_for_comparisons_blind_to_nan(line, blind):
    assert bool(_blind_to_nan(line)) == blind


def test_no_evidence_counts_faults_by_comparisons_blind_to_nan():
    """`wrong += x > bound` takes NaN for right; `wrong += not x <= bound` counts it."""
    found = []
    for path in sorted((Path(fivefold.__file__).parent / "evidence").rglob("*.py")):
        found += [f"{path.name}:{line}" for line in _blind_to_nan(path.read_text(encoding="utf8"))]
    assert found == [], "write `not x <= bound`, of arrays `~(x <= bound)`: NaN is then a fault"


_YES_OR_NO = {"any", "all", "startswith", "endswith", "isinstance"}


def _yes_or_no(node: ast.AST) -> bool:
    match node:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.BoolOp():
            return any(_yes_or_no(value) for value in node.values)
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name in _YES_OR_NO
    return False


def _counted_as_one(text: str) -> list[int]:
    """Return the lines of ``float(x != y)`` in a function whose checks have bounds of 1 and more."""
    found = []
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        nodes = list(ast.walk(function))
        bounds = [
            node.args[1].value
            for node in nodes
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check" and len(node.args) > 1
            if isinstance(node.args[1], ast.Constant)
        ]
        if max(bounds, default=0) < 1:
            continue
        products = [node for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)]
        weighed = {id(side) for node in products for side in (node.left, node.right)}
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id="float" | "int"), args=[value]) if _yes_or_no(value):
                    found += [node.lineno] * (id(node) not in weighed)
                case ast.AugAssign(op=ast.Add(), value=value) if _yes_or_no(value):
                    found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("line", "bound", "unseen"),
    [
        ("worst = largest(worst, float(x != y))", 1.0, True),
        ("worst = largest(worst, float(x != y))", 0.5, False),
        ("worst += not x <= 1", 5, True),
        ("worst += int(np.any(x))", 1, True),
        ("worst += fault(x != y)", 5, False),
        ("worst += 100 * float(x != y)", 5, False),
    ],
)
def test_the_search_for_faults_below_the_bound(line, bound, unseen):
    text = f"def f():\n    {line}\n    return Check(worst, {bound})"
    assert bool(_counted_as_one(text)) == unseen


def test_no_evidence_counts_a_fault_below_its_bound():
    """One fault adds 1, which a bound of 1 or more lets pass."""
    found = []
    for path in sorted((Path(fivefold.__file__).parent / "evidence").rglob("*.py")):
        found += [f"{path.name}:{line}" for line in _counted_as_one(path.read_text(encoding="utf8"))]
    assert found == [], "use fault of fivefold.evidence: it is infinite where its condition holds"
