"""On MovieLens as a click log the factorization machine beats logistic regression, and DeepFM both."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from fivefold.data.datasets import load_dataset

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parents[2] / "benchmarks" / "movielens_order.py"


def test_order_of_the_chosen_settings() -> None:
    load_dataset("movielens-100k", part="ratings")
    spec = importlib.util.spec_from_file_location("movielens_order", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    chosen = json.loads(program.CHOSEN.read_text(encoding="utf8"))
    areas, shuffled = {}, {}
    for method in program.METHODS:
        setting = chosen[method]["setting"]
        areas[method] = sum(program.area(method, setting, seed, program.TEST) for seed in range(100, 103)) / 3
        shuffled[method] = program.area(method, setting, 100, program.TEST, True)
    assert areas["LR"] < areas["FM"] < areas["DeepFM"], areas
    assert all(0.48 <= area <= 0.52 for area in shuffled.values()), shuffled
