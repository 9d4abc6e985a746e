"""A worst of many keeps NaN, so that a method that yields NaN fails its check."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import fivefold
from fivefold.evidence import Check, largest, smallest, worst_check

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
