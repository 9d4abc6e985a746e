"""The task taxonomy's sentences."""

from __future__ import annotations

import pytest

from fivefold.base.cards import Card
from fivefold.base.errors import CapabilityError, UnknownNameError
from fivefold.workbench.tasks import check_card, check_combination, get_task, table


def _card(name: str, kind: str, *tasks: str, supervision: str = "none") -> Card:
    return Card(id=name, package="p", title="t", kind=kind, summary="s", task=tasks, supervision=supervision)


def test_sentences() -> None:
    with pytest.raises(UnknownNameError, match="Unknown task 'binray'; did you mean one of: binary"):
        get_task("binray")
    with pytest.raises(CapabilityError, match="'m' declares the task 'clustering' and 'supervised' supervision"):
        check_card(_card("m", "clusterer", "clustering", supervision="supervised"))
    with pytest.raises(CapabilityError, match="The model 'm' does not fit the task 'binary': it serves regression."):
        check_combination(_card("m", "regressor", "regression"), "binary")
    with pytest.raises(
        CapabilityError,
        match="The objective 'l' does not fit the task 'binary' of the model 'm': it serves regression.",
    ):
        check_combination(_card("m", "classifier", "binary"), "binary", _card("l", "loss", "regression"))


def test_table_has_every_task() -> None:
    rows = {row["task"]: row for row in table()}
    assert rows["control"]["reinforcement"] is True
    assert rows["regression"]["unsupervised"] is False
