"""What the trainer and its parts take, refuse and assume: sentences, defaults, merged specifications, weights, losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import FivefoldError
from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import PartSpec, Step, Steps, Sums, SupervisedLearner
from fivefold.engine.parts import merge_specs
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, SGD, BilinearGame, gap, network, regression, source, table


def _refused(action: Callable[[], Any], words: str) -> bool:
    """Return whether an action is refused in a sentence that holds these words."""
    try:
        action()
    except FivefoldError as error:
        return words in str(error)
    return False


@evidence(
    "trainer",
    claim="What breaks the contract of `steps` is refused in a sentence, before or at the first yield",
    against="the words of the contract",
)
def refusals() -> Check:
    x, y = table()

    def learner(steps: Callable[..., Any], accumulates: bool = False) -> SupervisedLearner:
        kind = type("Custom", (SupervisedLearner,), {"steps": steps, "accumulates": accumulates})
        return kind(network(), nn.functional.mse_loss)

    def loss(self: Any, batch: Batch) -> Tensor:
        return (self.module(batch.x) - batch.y).square().mean()

    def twice(self: Any, batch: Batch) -> Steps:
        yield Step("model", loss(self, batch))
        yield Step("model", loss(self, batch))

    def stale(self: Any, batch: Batch) -> Steps:
        value = loss(self, batch)
        yield Step("model", value, retain_graph=True)
        yield Step("model", value)

    def bad(self: Any, batch: Batch) -> Steps:
        yield Step("model", loss(self, batch) * (math.nan if self.counters["batches"] == 10 else 1))

    def lazy(self: Any, batch: Batch) -> Steps:
        yield Step("model", lambda: loss(self, batch))

    def go(steps: Callable[..., Any], accumulates: bool = False, **settings: Any) -> Callable[[], Any]:
        settings = {"parts": {"model": SGD}, **settings}
        return lambda: Trainer(2, **settings).fit(learner(steps, accumulates), Batches({"x": x, "y": y}, 32))

    lbfgs = {"model": {"optimizer": torch.optim.LBFGS}}
    cases = [
        (go(twice, True, accumulate=2), "was yielded twice in one batch"),
        (go(twice, False, accumulate=2), "does not declare accumulates = True"),
        (go(stale), "step 2 of part 'model' reaches through a parameter that was stepped"),
        (go(bad), "nan at batch 11 (epoch 2, batch 3 of it), step 11 of part 'model'"),
        (go(lazy, True, accumulate=2), "cannot be combined with accumulated gradients"),
        (go(bad, parts=lbfgs), "evaluates the loss several times a step"),
        (go(lazy, True, parts=lbfgs, accumulate=2), "cannot be combined with accumulate > 1"),
        (go(lambda self, batch: iter(())), "must be a generator"),
    ]
    wrong = [words for action, words in cases if not _refused(action, words)]
    allowed = 0
    for steps in (twice, lazy):
        allowed += go(steps)().counters["batches"] != 16
    return Check(len(wrong) + allowed, 0, f"not refused: {wrong}", "contract")


@evidence(
    "trainer",
    claim="A given spec refines the learner's defaults: options merge for the same optimizer, else start anew",
    against="the merged values written out",
)
def specs_merge() -> Check:
    class Two(BilinearGame):
        defaults = {
            "x": PartSpec(
                optimizer="adam",
                options={"lr": 0.5, "eps": 0.1},
                schedule="lr-cosine",
                schedule_options={"eta_min": 0.2},
                ema=0.9,
            )
        }

    def merged(given: dict[str, Any]) -> PartSpec:
        return merge_specs(Two(), ["x", "y"], given)["x"]

    same = merged({"x": {"options": {"lr": 0.1}, "schedule_options": {"total_steps": 4}}})
    other = merged({"X": {"optimizer": "momentum", "clip_norm": 2.0, "schedule": None}})
    wrong = same.options != {"lr": 0.1, "eps": 0.1} or same.schedule_options != {"eta_min": 0.2, "total_steps": 4}
    wrong += other.options != {} or other.schedule_options != {} or other.ema != 0.9 or other.clip_norm != 2.0
    wrong += merged({"x": PartSpec()}) != PartSpec() or merged({}) != Two.defaults["x"]
    wrong += merge_specs(Two(), ["x", "y"], {})["y"] != PartSpec()
    standard = PartSpec()
    wrong += (standard.optimizer, standard.schedule, standard.ema, standard.ema_bias_correction) != (
        "adam",
        None,
        None,
        False,
    )
    wrong += (standard.clip_norm, standard.clip_norm_each, standard.clip_value) != (None, None, None)
    return Check(wrong, 0, "specs that differ", "written out")


@evidence(
    "trainer",
    claim="Defaults: no accumulation, validation each epoch, a log record each 50 batches, seed 0",
    against="explicit settings",
)
def trainer_defaults() -> Check:
    logged: list[int] = []

    class Log(Callback):
        def on_log(self, fit: Any, record: dict[str, Any]) -> None:
            logged.append(record["batches"])
            epochs.append(record["epoch"])

    epochs: list[int] = []
    first, second = regression(0.3), regression(0.3)
    history = Trainer(3, parts=ADAM, callbacks=[Log()]).fit(first, source(240, 6), source(60))
    Trainer(3, parts=ADAM, seed=0, accumulate=1).fit(second, source(240, 6))
    third = regression(0.3)
    Trainer(3, parts=ADAM, seed=1).fit(third, source(240, 6))
    wrong = gap(first, second) + (gap(first, third) == 0) + (logged != [50, 100]) + (epochs != [2, 3])
    wrong += any(math.isnan(v) for v in history["val_loss"]) or history.counters["model"] != 120
    every = Trainer(4, parts=ADAM, validate_every=2).fit(regression(), source(), source(60))
    wrong += [math.isnan(v) for v in every["val_loss"]] != [True, False, True, False]
    return Check(wrong, 0, "settings that differ", "explicit settings")


@evidence(
    "trainer",
    claim="Losses a row are averaged over outputs, then over rows with their weights; sums merge over batches",
    against="numpy.average",
)
def supervised_means() -> Check:
    x, y = table(50)
    pairs = torch.cat([y, 2 * y], 1)
    weight = torch.arange(50, dtype=torch.float64) % 4
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    module = nn.Linear(5, 2).double()
    torch.set_rng_state(torch_state)
    out = module(x).detach()
    rows = ((out - pairs) ** 2).mean(1).numpy()
    worst = 0.0
    for fields, expected in (
        ({"x": x, "y": pairs}, rows.mean()),
        ({"x": x, "y": pairs, "weight": weight}, np.average(rows, weights=weight.numpy())),
    ):
        seen: list[float] = []

        class Peek(SupervisedLearner):
            def steps(self, batch: Batch, seen: list[float] = seen) -> Steps:
                step = next(super().steps(batch))
                seen.append(float(step.loss.detach()))
                yield step

        learner = Peek(module, lambda a, b: (a - b).square(), {"gap": lambda a, b: (a - b).abs()})
        Trainer(1, parts={"model": {**SGD, "options": {"lr": 0.0}}}).fit(learner, Batches(fields, 50, shuffle=False))
        found = Trainer(1).evaluate(learner, Batches(fields, 7, shuffle=False))
        absolute = (out - pairs).abs().mean(1).numpy()
        mean = np.average(absolute, weights=weight.numpy()) if "weight" in fields else absolute.mean()
        worst = largest(worst, abs(seen[0] - expected), abs(found["loss"] - expected), abs(found["gap"] - float(mean)))
    scalar = SupervisedLearner(module, nn.functional.mse_loss)
    worst = largest(
        worst, abs(Trainer(1).evaluate(scalar, Batches({"x": x, "y": pairs}, 7))["loss"] - float(rows.mean()))
    )
    merged = Sums(a=(1.0, 2), b=(3.0, 4)).merge(Sums(b=(1.0, 1), c=(0.0, 0)))
    wrong = dict(merged) != {"a": (1.0, 2), "b": (4.0, 5), "c": (0.0, 0)} or not math.isnan(merged.means()["c"])
    return Check(worst + wrong + abs(merged.means()["b"] - 0.8), 1e-14, "max |mean - numpy.average|", "numpy.average")


@evidence("trainer", claim="A batch whose weights are all zero teaches nothing", against="unchanged weights")
def weightless_batch() -> Check:
    x, y = table(20)
    learner = SupervisedLearner(network(), lambda a, b: (a - b).square())
    batches = Batches({"x": x, "y": y, "weight": torch.zeros(20, dtype=torch.float64)}, 20)
    Trainer(3, parts={"model": SGD}).fit(learner, batches)
    return Check(gap(learner.module, network()), 0, "max |weight change|", "start")


@evidence(
    "trainer",
    claim="A callable loss lets L-BFGS find the least-squares solution; the part's average and counter follow",
    against="numpy.linalg.lstsq",
)
def callable_loss() -> Check:
    x, y = table()

    class Lazy(SupervisedLearner):
        def steps(self, batch: Batch) -> Steps:
            yield Step("model", lambda: (self.module(batch.x) - batch.y).square().mean())

    options = {"max_iter": 99, "tolerance_grad": 1e-12, "tolerance_change": 1e-15, "line_search_fn": "strong_wolfe"}
    learner = Lazy(nn.Linear(5, 1).double(), nn.functional.mse_loss)
    start = float((learner.module(x) - y).square().mean().detach())
    parts = {"model": {"optimizer": torch.optim.LBFGS, "options": options, "ema": 0.5}}
    history = Trainer(2, parts=parts).fit(learner, Batches({"x": x, "y": y}, 240))
    design = np.c_[x.numpy(), np.ones(240)]
    solution = np.linalg.lstsq(design, y.numpy(), rcond=None)[0][:, 0]
    found = np.r_[learner.module.weight.detach().numpy()[0], learner.module.bias.detach().numpy()]
    wrong = history.counters["model"] != 2 or history.averages["model"].updates != 2
    return Check(
        float(np.abs(found - solution).max()) + wrong + abs(history["loss"][0] - start),
        1e-6,
        "max |weight - solution|",
        "lstsq",
    )
