"""Evidence for the rules of the loop: counters, schedules, accumulation, clipping, limits, specs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import FivefoldError, TrainingError
from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import Learner, PartSpec, Step, Steps, Sums, SupervisedLearner
from fivefold.engine.parts import merge_specs
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, BilinearGame, gap, network, regression, source, table

SGD: dict[str, Any] = {"optimizer": "momentum", "options": {"lr": 0.05, "momentum": 0.0}}


class _Watch(Callback):
    """Notes the learning rate of every part after each batch."""

    def __init__(self) -> None:
        self.rates: list[dict[str, float]] = []
        self.fit: Any = None

    def on_fit_start(self, fit: Any) -> None:
        self.fit = fit

    def on_batch_end(self, fit: Any, batch: Batch) -> None:
        self.rates.append({name: part.lr for name, part in fit.parts.items()})


class _Told(Batches):
    """Batches that say they took 5 steps of an environment."""

    def epoch(self, *place: Any) -> Any:
        for batch in super().epoch(*place):
            yield Batch({**batch, "environment_steps": 5}, batch.place)


def _cosine(t: int, total: int, lr: float) -> float:
    return 0.5 * lr * (1 + math.cos(math.pi * min(t, total) / total))


@evidence(
    "trainer",
    claim="A schedule follows the counter it names, starting at the full rate",
    against="the closed form at that counter",
)
def schedules_follow_their_counter() -> Check:
    worst = 0.0
    wanted = {"batches": 7, "epochs": 2, "environment_steps": 35, "x": 7, "y": 21}
    for counter, reached in wanted.items():
        watch = _Watch()
        options = {"counter": counter, "total_steps": 50}
        parts = {"y": {"schedule": "lr-cosine", "schedule_options": options}}
        history = Trainer(max_batches=7, parts=parts, callbacks=[watch]).fit(
            BilinearGame(3), _Told({"x": np.zeros(3)}, 1)
        )
        worst = largest(worst, abs(watch.fit.parts["y"].lr - _cosine(reached, 50, 0.1)))
        worst += history.counters[counter] != reached
        worst += watch.rates[0]["x"] != 0.1
    return Check(worst, 1e-15, "max |rate - closed form|", "closed form")


@evidence(
    "trainer",
    claim="A total that is left out is the number of steps to come, in every way of limiting them",
    against="the count of real steps",
)
def schedules_know_their_length() -> Check:
    wrong = 0.0
    cases: list[tuple[dict[str, Any], int]] = [
        ({"max_epochs": 3}, 24),
        ({"max_batches": 11}, 11),
        ({"max_epochs": 3, "max_batches": 100}, 24),
        ({"max_epochs": 3, "accumulate": 3}, 9),
        ({"max_batches": 13, "accumulate": 3}, 5),
    ]
    for settings, steps in cases:
        watch = _Watch()
        parts = {"model": {**ADAM["model"], "schedule": "lr-cosine"}}
        history = Trainer(parts=parts, callbacks=[watch], **settings).fit(regression(), source(240, 32))
        wrong += abs(watch.fit.parts["model"].schedule.total_steps - steps) + abs(history.counters["model"] - steps)
        wrong += abs(history["lr"][-1])
    for counter, total in (("batches", 24), ("epochs", 3), ("environment_steps", 120)):
        watch = _Watch()
        parts = {"model": {**ADAM["model"], "schedule": "lr-cosine", "schedule_options": {"counter": counter}}}
        x, y = table()
        trainer = Trainer(3, max_environment_steps=120, parts=parts, callbacks=[watch])
        trainer.fit(regression(), _Told({"x": x, "y": y}, 32))
        wrong += abs(watch.fit.parts["model"].schedule.total_steps - total)
    return Check(wrong, 1e-12, "steps and rates that are wrong", "counts")


@evidence(
    "trainer", claim="Each limit ends the fit where it says, and the history says which", against="counts written out"
)
def limits() -> Check:
    wrong = 0
    cases: list[tuple[dict[str, Any], tuple[int, int, int, str]]] = [
        ({"max_epochs": 2}, (16, 2, 2, "max_epochs = 2 reached")),
        ({"max_batches": 8}, (8, 1, 1, "max_batches = 8 reached")),
        ({"max_batches": 11}, (11, 1, 2, "max_batches = 11 reached")),
        ({"max_environment_steps": 22}, (5, 0, 1, "max_environment_steps = 22 reached")),
        ({"max_environment_steps": 25}, (5, 0, 1, "max_environment_steps = 25 reached")),
    ]
    for settings, (batches, epochs, records, reason) in cases:
        x, y = table()
        watch = _Watch()
        history = Trainer(parts=ADAM, callbacks=[watch], **settings).fit(regression(), _Told({"x": x, "y": y}, 32))
        found = (history.counters["batches"], history.counters["epochs"], len(history), history.stop_reason)
        wrong += found != (batches, epochs, records, reason) or history["batches"][-1] != batches
        wrong += history["epoch"] != list(range(1, records + 1))
        known = {"max_epochs": 16, "max_batches": settings.get("max_batches")}
        wrong += watch.fit.total_batches != known.get(next(iter(settings)))
    return Check(wrong, 0, "fits that ended elsewhere", "counts")


@evidence(
    "trainer",
    claim="Clipping in a part's spec is that of torch's functions before the step; several apply by value, each, together",
    against="a hand-written loop",
)
def clipping_in_the_loop() -> Check:
    worst = 0.0
    cases: list[dict[str, float]] = [
        {"clip_value": 0.01},
        {"clip_norm_each": 0.05},
        {"clip_norm": 0.05},
        {"clip_value": 0.02, "clip_norm_each": 0.04, "clip_norm": 0.05},
    ]
    for clips in cases:
        learner, peer = regression(), network()
        Trainer(1, parts={"model": {**SGD, **clips}}).fit(learner, source())
        for batch in source().epoch(0):
            peer.zero_grad()
            nn.functional.mse_loss(peer(batch.x), batch.y).backward()
            params = list(peer.parameters())
            with torch.no_grad():
                for p in params:
                    g = p.grad
                    g = g.clamp(-clips["clip_value"], clips["clip_value"]) if "clip_value" in clips else g
                    p.grad = g * min(1.0, clips["clip_norm_each"] / float(g.norm())) if "clip_norm_each" in clips else g
                total = float(torch.cat([p.grad.reshape(-1) for p in params]).norm())
                for p in params:
                    p.sub_(0.05 * p.grad * min(1.0, clips.get("clip_norm", math.inf) / total))
        worst = largest(worst, gap(learner.module, peer))
    return Check(worst, 1e-13, "max |weight difference|", "hand-written loop")


@evidence(
    "ema-weights",
    claim="With bias correction in the spec the average is the weighted mean of the weights after each step",
    against="brute force",
)
def ema_bias_correction_in_the_loop() -> Check:
    seen: list[Tensor] = []

    class Keep(Callback):
        def on_step(self, fit: Any, part: str, stepped: bool) -> None:
            seen.append(fit.learner.module[0].weight.detach().clone())

    parts = {"model": {**ADAM["model"], "ema": 0.8, "ema_bias_correction": True}}
    history = Trainer(1, parts=parts, callbacks=[Keep()]).fit(regression(), source())
    weights = [0.8**k for k in range(len(seen))]
    mean = sum(w * v for w, v in zip(weights, reversed(seen))) / sum(weights)
    return Check(
        float((history.averages["model"].averages()[0] - mean).abs().max()),
        1e-13,
        "max |average - mean|",
        "brute force",
    )


@evidence(
    "trainer",
    claim="`steps` hears whether a step happened; windows close when full, at the end of an epoch and of the fit",
    against="the answers written out",
)
def answers() -> Check:
    found: list[bool] = []

    class Listening(SupervisedLearner):
        def steps(self, batch: Batch) -> Steps:
            found.append(
                (yield Step("model", (self.module(batch.x) - batch.y).square().mean(), {"rows": float(len(batch))}))
            )

    def run(**settings: Any) -> Any:
        found.clear()
        return Trainer(parts=ADAM, **settings).fit(Listening(network(), nn.functional.mse_loss), source(150, 32))

    run(max_epochs=2, accumulate=3)  # 5 batches an epoch
    wrong = found != [False, False, True, False, True] * 2
    run(max_batches=7, accumulate=3)
    wrong += found != [False, False, True, False, True, False, True]
    history = run(max_epochs=1)
    wrong += found != [True] * 5
    wrong += abs(history["rows"][0] - (4 * 32 * 32 + 22 * 22) / 150) > 1e-12  # means weigh batches by their rows
    return Check(wrong, 0, "wrong answers", "written out")


class _Sometimes(Learner):
    """Its second part yields in every third batch only."""

    accumulates = True
    defaults = {name: PartSpec(optimizer="momentum", options={"lr": 0.05, "momentum": 0.0}) for name in ("a", "b")}

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = network(), network()

    def parts(self) -> Any:
        return {"a": self.a.parameters(), "b": self.b.parameters()}

    def steps(self, batch: Batch) -> Steps:
        yield Step("a", (self.a(batch.x) - batch.y).square().mean())
        if self.counters["batches"] % 3 == 0:
            yield Step("b", (self.b(batch.x) - batch.y).square().mean())


@evidence(
    "alternating-trainer",
    claim="A part absent from the last batch of a window still steps, over the rows that it saw",
    against="the step by hand",
)
def absent_part_steps() -> Check:
    learner, peer = _Sometimes(), network()
    history = Trainer(max_batches=6, accumulate=3).fit(learner, source(210, 35, shuffle=False))
    for low in (0, 105):  # batches 0 and 3
        x, y = (t[low : low + 35] for t in table(210))
        peer.zero_grad()
        nn.functional.mse_loss(peer(x), y).backward()
        with torch.no_grad():
            for p in peer.parameters():
                p.sub_(0.05 * p.grad)
    wrong = (history.counters["a"], history.counters["b"]) != (2, 2)
    return Check(gap(learner.b, peer) + wrong, 1e-14, "max |weight difference|", "by hand")


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
    claim="Where losses are read late, the first that was not finite is still named; finite ones pass",
    against="the batch where it was put",
)
def late_look() -> Check:
    class Bad(SupervisedLearner):
        at = 6

        def steps(self, batch: Batch) -> Steps:
            scale = math.inf if self.counters["batches"] >= self.at else 1.0
            yield Step("model", (self.module(batch.x) - batch.y).square().mean() * scale, {"log": math.nan})

    class Late(Callback):
        def on_fit_start(self, fit: Any) -> None:
            fit.stepper.reads_at_once = False

    def run() -> Any:
        plain = {"model": {**SGD, "options": {"lr": 0.0}}}
        return Trainer(1, parts=plain, callbacks=[Late()], log_every=5).fit(
            Bad(network(), nn.functional.mse_loss), source()
        )

    try:
        run()
    except TrainingError as error:
        wrong = 0 if "not finite at batch 7 (epoch 1, batch 7 of it), step 7 of part 'model'" in str(error) else 1
    else:
        wrong = 1
    Bad.at = 99
    exact = Trainer(1).evaluate(regression(), source())["loss"]
    return Check(wrong + abs(run()["loss"][0] - exact), 1e-12, "|mean loss - closed form|", "closed form")


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
    claim="Dropout draws from (seed, batch) alone: the caller's random state neither matters nor changes",
    against="two runs",
)
def randomness() -> Check:
    before = torch.get_rng_state()
    first, second = regression(0.5), regression(0.5)
    Trainer(2, parts=ADAM).fit(first, source(), source(60))
    wrong = not torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    Trainer(2, parts=ADAM).fit(second, source())  # without validation between the epochs
    torch.set_rng_state(before)
    masks: list[Tensor] = []

    class Drawing(SupervisedLearner):
        def steps(self, batch: Batch) -> Steps:
            masks.append(torch.rand(4))
            yield from super().steps(batch)

    Trainer(1, parts=ADAM).fit(Drawing(network(), nn.functional.mse_loss), source())
    same = sum(torch.equal(a, b) for i, a in enumerate(masks) for b in masks[:i])
    return Check(gap(first, second) + wrong + same, 0, "differences, repeated draws", "two runs")


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
