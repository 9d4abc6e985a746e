"""Samplers and in-memory batches."""

import numpy as np
import pytest
import torch

from fivefold.base.errors import DataError, InputError
from fivefold.data.batches import Batches
from fivefold.data.samplers import ClassBalancedSampler, RandomSampler, SequentialSampler, WeightedSampler


def test_sequential_and_random():
    assert SequentialSampler(4).indices(3).tolist() == [0, 1, 2, 3]
    sampler = RandomSampler(100, seed=1)
    assert sorted(sampler.indices(0)) == list(range(100)) and len(sampler) == 100
    assert np.array_equal(sampler.indices(5), RandomSampler(100, seed=1).indices(5))
    assert not np.array_equal(sampler.indices(0), sampler.indices(1))
    assert len(set(RandomSampler(10, num_samples=4).indices(0))) == 4
    many = RandomSampler(3, replacement=True, num_samples=50).indices(0)
    assert len(many) == 50 and set(many) == {0, 1, 2}


def test_weights_with_replacement():
    weights = np.array([0.0, 1.0, 3.0, 0.0, 6.0, 0.0])
    counts = np.bincount(WeightedSampler(weights, num_samples=100_000).indices(0), minlength=6)
    assert counts[[0, 3, 5]].sum() == 0
    expected = weights * 10_000
    # six standard deviations of a binomial count
    assert (np.abs(counts - expected) <= 6 * np.sqrt(expected * (1 - weights / 10)) + 1e-9).all()


def test_weights_without_replacement():
    sampler = WeightedSampler([0.0, 1.0, 3.0, 6.0], replacement=False)
    assert len(sampler) == 3 and sorted(sampler.indices(0)) == [1, 2, 3]
    first = np.bincount([sampler.indices(e)[0] for e in range(4000)], minlength=4) / 4000
    assert np.abs(first - [0, 0.1, 0.3, 0.6]).max() < 6 * 0.5 / np.sqrt(4000)
    # After row 3, row 2 comes with chance 3/4: the second draw is among those that are left.
    pairs = [sampler.indices(e)[:2].tolist() for e in range(4000)]
    second = [b for a, b in pairs if a == 3]
    assert abs(second.count(2) / len(second) - 0.75) < 6 * 0.5 / np.sqrt(len(second))


def test_class_balance_is_exact():
    labels = np.array(["a"] * 90 + ["b"] * 10)
    rows = ClassBalancedSampler(labels).indices(2)
    assert (labels[rows] == "b").sum() == 50
    uses = np.bincount(rows, minlength=100)
    assert set(uses[90:]) == {5} and set(uses[:90]) == {0, 1}
    extra = ClassBalancedSampler(np.arange(3), num_samples=7)
    assert sorted(np.bincount(extra.indices(0))) == [2, 2, 3]
    assert len({tuple(np.bincount(extra.indices(e))) for e in range(20)}) == 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandomSampler(0), "The number of rows must be a whole number >= 1, got 0"),
        (lambda: RandomSampler(3, num_samples=4), "Cannot draw 4 of 3 rows without replacement"),
        (lambda: WeightedSampler([1.0, -1.0]), "weights must be finite and not negative"),
        (lambda: WeightedSampler([0.0, 0.0]), "at least one above zero"),
        (lambda: WeightedSampler([1.0, 0.0], num_samples=2, replacement=False), "only 1 have a positive weight"),
        (lambda: WeightedSampler([[1.0]]), r"shape \(n,\); got shape \(1, 1\)"),
        (lambda: ClassBalancedSampler([]), "labels must have one class a row"),
        (lambda: RandomSampler(3, num_samples=0), "num_samples must be a whole number >= 1, got 0"),
    ],
)
def test_bad_samplers(make, words):
    with pytest.raises((DataError, InputError), match=words):
        make()


X = np.arange(50.0).reshape(25, 2)


def test_fields_index_and_weight():
    batches = Batches({"x": X, "weight": np.ones(25)}, 4, index=True)
    for batch in batches.epoch(0):
        assert torch.equal(batch.x, torch.as_tensor(X)[batch.index]) and batch.weight.shape == (len(batch),)
    with pytest.raises(AttributeError, match="This batch has no field 'z'; it has: x, weight, index"):
        batch.z  # noqa: B018


@pytest.mark.parametrize("size", [1, 4, 25, 100])
def test_gathering_several_batches_at_once_changes_nothing(size, monkeypatch):
    whole = [b.x for b in Batches({"x": X}, size).epoch(1)]
    monkeypatch.setattr("fivefold.data.batches._GATHER_BYTES", 1)
    assert all(torch.equal(a, b.x) for a, b in zip(whole, Batches({"x": X}, size).epoch(1), strict=True))


def test_without_shuffling_batches_are_views():
    batches = Batches({"x": torch.as_tensor(X)}, 10, shuffle=False)
    first, _, last = batches.epoch(0)
    assert first.x.data_ptr() == batches.fields["x"].data_ptr() and last.place.rows == 5


def test_sampler_decides_rows():
    batches = Batches({"x": X}, 4, sampler=RandomSampler(25, num_samples=10), index=True)
    assert len(batches) == 3
    seen = torch.cat([b.index for b in batches.epoch(0)])
    assert seen.tolist() == RandomSampler(25, num_samples=10).indices(0).tolist()
    with pytest.raises(DataError, match="asks for rows 0 to 29, but there are only 25 rows"):
        list(Batches({"x": X}, 4, sampler=SequentialSampler(30)).epoch(0))


def test_dropping_the_last():
    assert [len(b) for b in Batches({"x": X}, 10, drop_last=True).epoch(0)] == [10, 10]
    assert [len(b) for b in Batches({"x": X}, 100, drop_last=True).epoch(0)] == [25]


def test_device_and_strides():
    batches = Batches({"x": X[::-1], "m": np.asfortranarray(X)}, 25, shuffle=False, device="cpu")
    (batch,) = batches.epoch(0)
    assert batch.x[0].tolist() == [48.0, 49.0] and batch.m[1].tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("fields", "size", "words"),
    [
        ({}, 4, "Batches need at least one field"),
        ({"x": X, "y": np.zeros(3)}, 4, "same number of rows; got x: 25, y: 3"),
        ({"x": X[:0]}, 4, "There are no rows to train on"),
        ({"x": X}, 0, "batch_size must be a whole number >= 1, got 0"),
        ({"x": np.array(["a"])}, 4, "The field 'x' holds <U1 values; encode text"),
        ({"x": np.float64(3)}, 4, "The field 'x' is a single number"),
    ],
)
def test_bad_fields(fields, size, words):
    with pytest.raises((DataError, InputError), match=words):
        Batches(fields, size)
    with pytest.raises(InputError, match="rank must lie in 0 … world - 1; got rank=2 and world=2"):
        next(Batches({"x": X}, 4).epoch(0, rank=2, world=2))
