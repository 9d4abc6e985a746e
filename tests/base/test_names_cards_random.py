"""Names, cards, random streams and what an import costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fivefold.base.cards import all_cards, parse_card
from fivefold.base.errors import SpecError, UnknownNameError
from fivefold.base.names import resolve
from fivefold.base.random import Streams


def test_form_is_forgiven_and_meaning_is_not():
    assert resolve("K_Means", ["pca", "k-means"], "method") == "k-means"
    with pytest.raises(UnknownNameError, match=r"^Unknown method 'kmeens'; did you mean one of: k-means, pca\?$"):
        resolve("kmeens", ["pca", "k-means"], "method")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            {"title": "T", "kind": "demo", "summary": "S", "fatcory": "x"},
            "unknown key 'fatcory'; did you mean 'factory'",
        ),
        ({"title": "T", "kind": "dmeo", "summary": "S"}, "unknown kind 'dmeo'"),
        ({"title": "T", "kind": "demo"}, "lacks 'summary'"),
        ({"title": "T", "kind": "demo", "summary": "S", "task": "binry"}, "unknown task 'binry'"),
    ],
)
def test_a_wrong_card_is_refused_in_words(table, words):
    with pytest.raises(SpecError, match=words):
        parse_card("thing", table, "package", "test")


@pytest.mark.parametrize("name", all_cards())
def test_a_factory_can_be_loaded_and_is_public(name):
    card = all_cards()[name]
    for variant, path in card.factory.items():
        assert card.load(variant).__doc__, f"{path} has no docstring"


def test_streams_depend_on_seed_name_and_counters_alone():
    first, second = Streams(1), Streams(1)
    second.numpy("other").normal(size=10)
    np.testing.assert_array_equal(first.numpy("a", 2).normal(size=4), second.numpy("a", 2).normal(size=4))
    drawn = [Streams(s).numpy(n, c).integers(2**60) for s in (1, 2) for n in ("a", "b") for c in (0, 1)]
    assert len(set(drawn)) == 8


@pytest.mark.parametrize(
    "code", ["import fivefold", "import fivefold; dir(fivefold)", "import fivefold.models.linear as m; dir(m)"]
)
def test_an_import_loads_nothing_heavy(code):
    heavy = ("torch", "numba", "sklearn", "numpy", "polars", "pydantic")
    script = f"{code}; import sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
