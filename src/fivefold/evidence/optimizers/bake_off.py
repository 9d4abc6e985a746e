"""Evidence of the comparison of all gradient optimizers."""

from __future__ import annotations

import itertools
import tempfile

import numpy as np
import torch
from torch import nn

from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.demos.optimizers.bake_off import OptimizerBakeOff, Standing, Training, choose, split, train
from fivefold.engine.runtime import seeded
from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn.perceptron import Perceptron


@evidence(
    "optimizer-registry",
    claim="The bake-off trains as a loop of PyTorch with its own optimizers does",
    against="torch.optim, same weights and batches",
)
def bake_off_trains_as_torch() -> Check:
    data = split(0, 500, 300)
    wrong = 0.0
    for name, rate, peer in (("adam", 3e-3, torch.optim.Adam), ("sgd", 0.3, torch.optim.SGD)):
        found = train(name, rate, data, 5, 2, 64, 16)
        with seeded(Streams(5), "bake-off/weights"):
            net = Perceptron((784, 16, 10))
        optimizer = peer(net.parameters(), lr=rate)
        for epoch in range(2):
            for batch in Batches({"x": data.train[0], "y": data.train[1]}, 64, seed=5).epoch(epoch):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(batch.x), batch.y).backward()
                optimizer.step()
        for (x, y), mine in ((data.validation, found.validation_error), (data.test, found.test_error)):
            # Rounding may turn one answer of 300 that was a tie.
            wrong = largest(wrong, abs(float((net(x).argmax(dim=1) != y).double().mean()) - mine))
        wrong += not found.finite or not found.seconds > 0
        wrong += not found.validation_error < 0.6  # the control: chance is 0.9
    return Check(wrong, 1 / 300 + 1e-12, "|difference of errors|", "torch.optim")


@evidence(
    "optimizer-registry",
    claim="The rate with the least mean validation error is chosen, of equal ones the smallest; test errors have no say",
    against="brute force",
)
def bake_off_chooses_on_validation() -> Check:
    random = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        validation, test = random.integers(0, 4, (4, 3)) / 8, random.random((4, 3))
        trainings = [[Training(v, t, 1.0, True) for v, t in zip(*both)] for both in zip(validation, test)]
        sums = [sum(8 * row) for row in validation]
        chosen = choose(trainings)
        wrong += chosen != sums.index(min(sums))
        standing = Standing("x", trainings, chosen)
        wrong += not np.array_equal(standing.test_errors, test[chosen])
        wrong += not np.allclose(standing.validation, validation.mean(axis=1), atol=1e-15)
    seconds = [[Training(0.5, 0.5, s, s < 5) for s in row] for row in ((1.0, 2.0, 9.0), (4.0, 5.0, 6.0))]
    wrong += Standing("x", seconds, 0).seconds != 2.0 or Standing("x", seconds, 1).seconds != 5.0
    wrong += Standing("x", seconds, 0).diverged != 3
    return Check(wrong, 0, "wrong choices", "brute force")


@evidence(
    "optimizer-registry",
    claim="Training, validation and test rows are disjoint, and a rate that is far too large counts as wrong everywhere",
    against="set arithmetic, the rule",
)
def bake_off_rows() -> Check:
    data = split(3, 700, 300)
    rows = [{row.tobytes() for row in part[0].numpy()} for part in (data.train, data.validation, data.test)]
    wrong = [len(r) for r in rows] != [700, 300, 300]
    wrong += sum(len(a & b) for a, b in itertools.combinations(rows, 2))
    other = split(4, 700, 300)
    wrong += torch.equal(data.test[0], other.test[0])
    found = train("sgd", 1e30, data, 0, 1, 64, 8)
    wrong += (found.finite, found.validation_error, found.test_error) != (False, 1.0, 1.0)
    return Check(wrong, 0, "rows in two parts + wrong facts", "sets")


@evidence(
    "optimizer-registry",
    claim="What is reported is the mean and the deviation over the seeds at the chosen rate",
    against="the trainings one by one",
)
def bake_off_reports() -> Check:
    rates = (0.01, 0.3)
    demo = OptimizerBakeOff(
        ["sgd", "adagrad"], rates, seeds=3, epochs=1, train_rows=400, held_out_rows=300, hidden=8, batch_size=50
    )
    with tempfile.TemporaryDirectory() as folder:
        result = demo.run(seed=2, out=folder)
    data = split(2, 400, 300)
    wrong = 0.0
    best = {}
    for name in ("sgd", "adagrad"):
        trainings = [[train(name, rate, data, 2 + k, 1, 50, 8) for k in range(3)] for rate in rates]
        means = [sum(t.validation_error for t in row) / 3 for row in trainings]
        rate = means.index(min(means))
        errors = [t.test_error for t in trainings[rate]]
        best[name] = sum(errors) / 3
        wrong += result.numbers[f"{name}: learning rate"] != rates[rate]
        wrong = largest(wrong, abs(result.numbers[f"{name}: test error"] - best[name]))
        spread = (sum((e - best[name]) ** 2 for e in errors) / 2) ** 0.5
        wrong = largest(wrong, abs(result.numbers[f"{name}: spread of the test error"] - spread))
    wrong += result.numbers["trainings each"] != 6
    wrong += [row[0] for row in result.tables[0].rows] != sorted(best, key=best.__getitem__)
    return Check(wrong, 1e-12, "max |difference| + wrong facts", "one by one")
