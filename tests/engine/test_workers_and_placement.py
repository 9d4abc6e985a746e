"""Reductions, replicas, placement and running averages: arguments and errors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from fivefold.base.errors import DataError, InputError
from fivefold.engine.replicas import data_parallel_gradients
from fivefold.engine.ring import Traffic, ring_allreduce, ring_allreduce_
from fivefold.engine.running_average import RunningAverage, load_metrics, save_metrics
from fivefold.engine.runtime import Runtime
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ([], "at least one worker, got no tensors"),
        (
            [torch.zeros(2), torch.zeros(3)],
            r"one shape and format, got \(2,\) of torch.float32, \(3,\) of torch.float32",
        ),
        ([torch.zeros(2), torch.zeros(2).double()], r"got \(2,\) of torch.float32, \(2,\) of torch.float64"),
        ([torch.zeros(2, dtype=torch.bool)], "sums tensors of numbers, got a tensor of torch.bool; convert it"),
        ([[1.0, 2.0]], "sums tensors of numbers, got a list"),
    ],
)
def test_what_no_ring_can_sum(tensors, text):
    with pytest.raises(InputError, match=text):
        ring_allreduce(tensors)


def test_a_ring_of_one_and_of_nothing():
    (only,), traffic = ring_allreduce([torch.tensor([3, 4])])
    assert only.tolist() == [3, 4] and traffic == Traffic(0, (0,))
    sums, traffic = ring_allreduce([torch.zeros(0)] * 3)
    assert [len(s) for s in sums] == [0, 0, 0] and traffic == Traffic(4, (0, 0, 0))
    with pytest.raises(InputError, match="sums tensors of numbers"):
        ring_allreduce_(torch.zeros(1, dtype=torch.bool))


@pytest.mark.parametrize(
    ("x", "y", "replicas", "text"),
    [
        (torch.ones(3, 1), torch.ones(3, 1), 0, "replicas must be a whole number >= 1, got 0"),
        (torch.ones(3, 1), torch.ones(3, 1), True, "got True"),
        (torch.ones(3, 1), torch.ones(2, 1), 2, "as many in x as in y; got 3 and 2"),
        (torch.ones(0, 1), torch.ones(0, 1), 2, "A batch needs rows"),
    ],
)
def test_what_no_replicas_can_share(x, y, replicas, text):
    with pytest.raises(InputError, match=text):
        data_parallel_gradients(nn.Linear(1, 1), nn.functional.mse_loss, x, y, replicas)


def test_a_running_average_takes_numbers():
    average = RunningAverage()
    average.update(5.0, 0.0)
    assert math.isnan(average())  # a weight of zero counts for nothing
    for value in (True, "2", None, torch.tensor(2.0)):
        with pytest.raises(InputError, match="A running average takes numbers, got"):
            average.update(value)
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="must be a finite number of at least 0, got"):
            average.update(1.0, weight)


def test_metrics_that_json_cannot_hold(tmp_path):
    with pytest.raises(InputError, match="The metric 'loss' must be a number to be written as JSON, got 'low'"):
        save_metrics({"loss": "low"}, tmp_path / "a.json")
    with pytest.raises(InputError, match="The metric 'loss' is nan, which JSON cannot hold"):
        save_metrics({"loss": math.nan}, tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()
    with pytest.raises(DataError, match="There is no file of metrics at"):
        load_metrics(tmp_path / "a.json")
    for text in ("[1]", "{", '{"a": "b"}'):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(DataError, match="does not hold metrics"):
            load_metrics(tmp_path / "b.json")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_auto_says_what_it_fell_back_to(capsys, caplog):
    from engine_learners import ADAM, batches, regression

    with caplog.at_level("INFO", "fivefold.engine"), session(None, progress=True):
        Trainer(max_epochs=1, parts=ADAM, device="auto").fit(regression(), batches(64))
    text = "torch sees no CUDA device here, so everything is computed on the CPU"
    assert text in " ".join(capsys.readouterr().err.split())
    assert text in caplog.text
    with pytest.raises(InputError, match="The device cuda:1 was asked for, but torch sees no CUDA device here"):
        Trainer(max_epochs=1, device="cuda:1").fit(regression(), batches(64))
    assert Runtime("cpu").message == ""


def test_auto_is_silent_outside_a_session(capsys):
    from engine_learners import ADAM, batches, regression

    Trainer(max_epochs=1, parts=ADAM, device="auto").fit(regression(), batches(64))
    assert capsys.readouterr() == ("", "")
