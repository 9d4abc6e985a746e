"""The door: create, list, describe."""

from __future__ import annotations

import functools

import pytest

import fivefold
from fivefold.base.cards import all_cards, get_card
from fivefold.base.errors import SpecError, UnknownNameError
from fivefold.workbench.door import describe, list_methods, parameters


def test_create_by_any_spelling_and_variant() -> None:
    assert type(fivefold.create("Ridge_Regression", alpha=2.0)).__name__.startswith("Ridge")
    assert fivefold.create("mlp").__class__ is not fivefold.create("mlp", task="regression").__class__


def test_create_gives_optimizers_as_partials() -> None:
    made = fivefold.create("adam", lr=0.1)
    assert isinstance(made, functools.partial)
    assert made.keywords == {"lr": 0.1}


def test_create_refuses() -> None:
    with pytest.raises(
        UnknownNameError, match="Unknown method 'rigde-regression'; did you mean one of: ridge-regression"
    ):
        fivefold.create("rigde-regression")
    with pytest.raises(
        UnknownNameError, match="'ridge-regression' has no parameter 'alhpa'; did you mean one of: alpha"
    ):
        fivefold.create("ridge-regression", alhpa=1)
    with pytest.raises(UnknownNameError, match="Unknown variant of mlp 'clasification'"):
        fivefold.create("mlp", variant="clasification")
    with pytest.raises(SpecError, match="'run-records' is a system and cannot be created; `fivefold run run-records`"):
        fivefold.create("run-records")


def test_list_filters_add_up() -> None:
    everything = list_methods()
    assert [card.id for card in everything] == sorted(all_cards())
    linear = list_methods(package="models.linear", kind="Classifier", task="binary")
    assert "logistic-regression" in [card.id for card in linear]
    assert all(card.package == "models.linear" and card.kind == "classifier" for card in linear)
    assert {card.package for card in list_methods(package="models")} >= {"models.linear", "models.nn"}
    assert [card.id for card in list_methods(text="ridge hoerl")] == ["ridge-regression"]
    assert list_methods(text="nothing has this word") == []


def test_list_refuses_unknown_filters() -> None:
    with pytest.raises(UnknownNameError, match="Unknown kind 'clasifier'; did you mean one of: classifier"):
        list_methods(kind="clasifier")
    with pytest.raises(UnknownNameError, match="Unknown package 'models.liner'; did you mean one of: models.linear"):
        list_methods(package="models.liner")


def test_describe_reads_signature_and_docstring() -> None:
    facts = describe(get_card("ridge-regression"))
    alpha = next(p for p in facts["parameters"] if p["name"] == "alpha")
    assert alpha["doc"] or alpha["type"]
    assert facts["evidence"]
    assert all(entry["claim"] for entry in facts["evidence"])


def test_parameters_of_a_function() -> None:
    def function(a: int, b: float = 2.0, *rest: int, c: str = "x") -> None:
        """Do it.

        Parameters
        ----------
        a, b : numbers
            Two of them.
        c : str, default "x"
            A text
            of two lines.

        Returns
        -------
        None
        """

    found = {p.name: p for p in parameters(function)}
    assert list(found) == ["a", "b", "c"]
    assert found["a"].required
    assert found["a"].doc == found["b"].doc == "Two of them."
    assert found["c"].doc == "A text of two lines."
    assert found["c"].type == 'str, default "x"'
