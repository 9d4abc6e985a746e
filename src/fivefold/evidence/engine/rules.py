"""Evidence for the rules of the loop: counters, schedules, accumulation, clipping, limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import TrainingError
from fivefold.data.batches import Batch, Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import Learner, PartSpec, Step, Steps, SupervisedLearner
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, SGD, BilinearGame, gap, network, regression, source, table


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
    wrong += not abs(history["rows"][0] - (4 * 32 * 32 + 22 * 22) / 150) <= 1e-12  # means weigh batches by their rows
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
