"""Evidence for the trainer, the alternating loop, and the monitor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.data.batches import Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import Step, SupervisedLearner
from fivefold.engine.monitor import TrainValidationMonitor
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, BilinearGame, gap, network, regression, source, table


def _by_hand(module: nn.Module, batches: Batches, loss: Any, epochs: int, lr: float) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=lr)
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            loss(module(batch.x), batch.y).backward()
            optimizer.step()


@evidence(
    "trainer",
    claim="One spec trains an image network and an embedding model as the hand-written loop does",
    against="a plain torch loop with torch.optim.Adam",
)
def trainer_equals_hand_loop() -> Check:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(96, 1, 8, 8, generator=generator, dtype=torch.float64)
    fields = torch.randint(0, 20, (96, 4), generator=generator)
    labels = torch.randint(0, 3, (96,), generator=generator)

    def conv() -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3)).double()

    def embedding() -> nn.Module:
        torch.manual_seed(2)
        return nn.Sequential(nn.Embedding(20, 6), nn.Flatten(), nn.Linear(24, 3)).double()

    worst = 0.0
    state = torch.get_rng_state()
    for build, x in ((conv, images), (embedding, fields)):
        ours, theirs = build(), build()
        batches = Batches({"x": x, "y": labels}, 20, seed=4)
        Trainer(4, parts=ADAM).fit(SupervisedLearner(ours, nn.functional.cross_entropy), batches)
        _by_hand(theirs, batches, nn.functional.cross_entropy, 4, 1e-2)
        worst = largest(worst, gap(ours, theirs))
    torch.set_rng_state(state)
    return Check(worst, 1e-12, "max |weight difference|", "hand-written loop")


@evidence(
    "trainer",
    claim="Evaluation leaves dropout out and averages over rows, not batches",
    against="closed form on the whole table",
)
def trainer_evaluation() -> Check:
    learner = regression(dropout=0.5)
    learner.train()
    x, y = table()
    first, tanh, _, last = learner.module
    with torch.no_grad():
        expected = float((last(tanh(first(x))) - y).square().mean())
        predicted = last(tanh(first(x)))
    trainer = Trainer(1)
    ordered = source(size=77, shuffle=False)
    found = trainer.evaluate(learner, ordered)["loss"]
    apart = float((trainer.predict(learner, ordered) - predicted).abs().max())
    return Check(abs(found - expected) + apart + (not learner.training), 1e-14, "|loss - closed form|", "closed form")


@evidence(
    "trainer",
    claim="Gradients accumulated over 4 batches equal one batch 4 times as large, uneven rest included",
    against="large batches",
)
def trainer_accumulates() -> Check:
    large, small = regression(), regression()
    Trainer(5, parts=ADAM).fit(large, source(230, 40, shuffle=False))
    Trainer(5, parts=ADAM, accumulate=4).fit(small, source(230, 10, shuffle=False))
    return Check(gap(large, small), 1e-12, "max |weight difference|", "large batches")


@evidence(
    "trainer", claim="A row of weight 2 counts as that row twice, one of weight 0 as absent", against="repeated rows"
)
def trainer_weighs_rows() -> Check:
    x, y = table(60)
    weight = torch.arange(60) % 3
    twice = torch.repeat_interleave(torch.arange(60), weight)

    def fit(fields: dict[str, Any], rows: int) -> nn.Module:
        learner = SupervisedLearner(network(), lambda out, target: (out - target).square())
        Trainer(30, parts=ADAM).fit(learner, Batches(fields, rows, shuffle=False))
        return learner

    weighted = fit({"x": x, "y": y, "weight": weight.double()}, 60)
    repeated = fit({"x": x[twice], "y": y[twice]}, len(twice))
    return Check(gap(weighted, repeated), 1e-12, "max |weight difference|", "repeated rows")


@evidence(
    "trainer",
    claim="After an overflow in half precision nothing steps, and `steps` hears it",
    against="the rule of the loss scaler",
)
def trainer_overflow() -> Check:
    from lightning_fabric.plugins.precision import MixedPrecision

    answers: list[tuple[bool, bool]] = []

    class Overflowing(SupervisedLearner):
        def steps(self, batch: Any) -> Any:
            before = self.module[0].weight.detach().clone()
            scale = 1e38 if self.counters["batches"] in (1, 2) else 1.0
            loss = (self.module(batch.x).float() - batch.y).square().mean()
            stepped = yield Step("model", loss * scale)
            answers.append((stepped, bool((self.module[0].weight != before).any())))

    x, y = table()
    learner = Overflowing(network().float(), nn.functional.mse_loss)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    history = Trainer(
        max_batches=5,
        parts={"model": {**ADAM["model"], "schedule": "lr-cosine", "ema": 0.9}},
        precision=MixedPrecision("16-mixed", "cpu", scaler=scaler),
    ).fit(learner, Batches({"x": x.float(), "y": y.float()}, 20))
    wanted = [(True, True), (False, False), (False, False), (True, True), (True, True)]
    wrong = sum(a != b for a, b in zip(answers, wanted, strict=True))
    wrong += history.counters["model"] != 3
    wrong += history.averages["model"].updates != 3
    wrong += not abs(history["lr"][-1] - 1e-2 * 0.5 * (1 + np.cos(np.pi * 3 / 5))) <= 1e-12
    return Check(wrong, 0, "steps, counters and rates that are wrong", "rule")


@evidence(
    "alternating-trainer",
    claim="k steps of one player to one of the other follow the recurrence x' = x - lr y, y' = y + lr x",
    against="the recurrence in plain numbers",
)
def alternating_follows_the_recurrence() -> Check:
    game = BilinearGame(k=3)
    Trainer(max_batches=50).fit(game, Batches({"x": np.zeros(1)}, 1))
    x, y, worst = 1.0, 0.5, 0.0
    for found in game.path:
        for _ in range(3):
            y += 0.1 * x
        x -= 0.1 * y
        worst = largest(worst, abs(found[0] - x), abs(found[1] - y))
    wrong = abs(game.counters["y"] - 150) + abs(game.counters["x"] - 50) + abs(len(game.path) - 50)
    return Check(worst + wrong, 1e-12, "max |position difference| + wrong counts", "recurrence")


@evidence(
    "alternating-trainer",
    claim="The partner's weights and optimizer state do not move, to the bit",
    against="copies taken before each step",
)
def alternating_leaves_the_partner() -> Check:
    moved = 0

    def copy(fit: Any) -> dict[str, list[torch.Tensor]]:
        return {
            name: [*(p.detach().clone() for p in part.params)]
            + [value.clone() for state in part.optimizer.state.values() for value in state.values()]
            for name, part in fit.parts.items()
        }

    class Watch(Callback):
        def on_fit_start(self, fit: Any) -> None:
            self.before = copy(fit)

        def on_step(self, fit: Any, part: str, stepped: bool) -> None:
            nonlocal moved
            now, other = copy(fit), "y" if part == "x" else "x"
            moved += len(now[other]) != len(self.before[other])
            moved += not all(torch.equal(a, b) for a, b in zip(self.before[other], now[other]))
            moved += all(torch.equal(a, b) for a, b in zip(self.before[part], now[part]))
            self.before = now

    Trainer(max_batches=20, parts={"x": {"optimizer": "adam"}}, callbacks=[Watch()]).fit(
        BilinearGame(2), Batches({"x": np.zeros(1)}, 1)
    )
    return Check(moved, 0, "steps that moved the partner, or nothing", "copies")


@evidence(
    "alternating-trainer",
    claim="Each part keeps an optimizer of its own: Adam for one gives the steps of Adam alone",
    against="torch.optim, stepped by hand",
)
def alternating_separate_states() -> Check:
    game = BilinearGame(2)
    parts = {"x": {"optimizer": "adam", "options": {"lr": 0.05}}, "y": {"options": {"lr": 0.1, "momentum": 0.5}}}
    Trainer(max_batches=40, parts=parts).fit(game, Batches({"x": np.zeros(1)}, 1))
    x, y = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.0, 0.5))
    adam, sgd = torch.optim.Adam([x], lr=0.05), torch.optim.SGD([y], lr=0.1, momentum=0.5)
    worst = 0.0
    for found in game.path:
        for optimizer, sign in ((sgd, -1.0), (sgd, -1.0), (adam, 1.0)):
            x.grad = y.grad = None
            (sign * x * y).backward()
            optimizer.step()
        worst = largest(worst, abs(found[0] - float(x.detach())), abs(found[1] - float(y.detach())))
    return Check(worst, 1e-12, "max |position difference|", "torch.optim.Adam and SGD")


@evidence(
    "train-validation-monitor",
    claim="Objective, RMSE and R2 on both sets, every 5 batches, equal an offline recomputation",
    against="saved weights, scikit-learn metrics",
)
def monitor_equals_offline() -> Check:
    from sklearn.metrics import r2_score, root_mean_squared_error

    learner = regression(dropout=0.3)
    sets = {
        "train": source(200, shuffle=False),
        "validation": Batches(dict(zip("xy", [t[200:] for t in table(300)])), 7, shuffle=False),
    }
    kept: list[dict[str, Any]] = []

    class Keep(Callback):
        def on_batch_end(self, fit: Any, batch: Any) -> None:
            if fit.counters["batches"] % 5 == 0:
                kept.append(fit.snapshot()["learner"])

    monitor = TrainValidationMonitor(**sets, metrics={"rmse": root_mean_squared_error, "r2": r2_score}, every=5)
    Trainer(3, parts=ADAM, callbacks=[monitor, Keep()]).fit(learner, source(200))
    worst = float(len(monitor.records) != 4 or [r["batches"] for r in monitor.records] != [5, 10, 15, 20])
    offline = regression().eval()
    for record, weights in zip(monitor.records, kept, strict=True):
        offline.load_state_dict(weights)
        for name, batches in sets.items():
            with torch.no_grad():
                out = offline.module(batches.fields["x"]).numpy()
            y = batches.fields["y"].numpy()
            for key, value in {
                "loss": ((out - y) ** 2).mean(),
                "rmse": root_mean_squared_error(y, out),
                "r2": r2_score(y, out),
            }.items():
                worst = largest(worst, abs(record[f"{name}_{key}"] - value))
    return Check(worst, 1e-12, "max |metric difference|", "offline, scikit-learn")


@evidence(
    "train-validation-monitor",
    claim="AUC by the id of a metric equals the share of ordered pairs",
    against="brute force over pairs",
)
def monitor_auc() -> Check:
    x, y = table()
    labels = (y > 0.2).double()
    learner = SupervisedLearner(network(), nn.functional.binary_cross_entropy_with_logits)
    batches = Batches({"x": x, "y": labels}, 50, shuffle=False)
    monitor = TrainValidationMonitor(batches, batches, metrics=["roc-auc"])
    history = Trainer(2, parts=ADAM, callbacks=[monitor]).fit(learner, batches)
    with torch.no_grad():
        score = learner.module(x)[:, 0]
    positive, negative = score[labels[:, 0] == 1], score[labels[:, 0] == 0]
    pairs = positive[:, None] - negative[None, :]
    expected = float(((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean())
    found = history["train_roc-auc"][-1], history["validation_roc-auc"][-1]
    return Check(largest(abs(v - expected) for v in found), 1e-12, "|AUC - brute force|", "brute force")
