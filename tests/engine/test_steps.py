"""The rules of the ``steps`` loop."""

from __future__ import annotations

import math

import pytest
import torch
from engine_learners import ADAM, SGD, ToyGAN, batches, data, gap, regression, weights
from torch import nn

from fivefold.base.errors import CapabilityError, DataError, InputTypeError, SpecError, TrainingError, UnknownNameError
from fivefold.data.batches import Batches
from fivefold.engine.callbacks import Callback
from fivefold.engine.learner import Learner, PartSpec, Step, SupervisedLearner
from fivefold.engine.trainer import Trainer
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.momentum import Momentum


class Custom(Learner):
    """A learner whose steps are given by the test."""

    defaults = {"model": PartSpec(optimizer=Momentum, options={"lr": 0.1, "momentum": 0.0})}

    def __init__(self, steps=None, **modules):
        super().__init__()
        for name, module in (modules or {"net": nn.Linear(5, 1).double()}).items():
            setattr(self, name, module)
        self._steps = steps
        self.answers = []

    def steps(self, batch):
        return self._steps(self, batch)


def mse(self, batch):
    return (self.net(batch.x) - batch.y).square().mean()


def one(steps, **settings):
    return Trainer(max_batches=1, **settings).fit(Custom(steps), batches())


def test_loop_equals_hand_written_loop():
    ours, theirs = regression(), regression()
    source = batches()
    parts = {"model": {"optimizer": torch.optim.Adam, "options": {"lr": 1e-2}, "clip_norm": 0.1}}
    Trainer(3, parts=parts).fit(ours, source)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    for epoch in range(3):
        for batch in source.epoch(epoch):
            loss = nn.functional.mse_loss(theirs.module(batch.x), batch.y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
            optimizer.step()
    assert gap(weights(ours), weights(theirs)) < 1e-6  # torch adds 1e-6 to the norm


def test_alternating_equals_hand_written_loop():
    ours, theirs = ToyGAN(), ToyGAN()
    source = batches()
    parts = {"generator": {"clip_norm": None, "ema": None}}
    Trainer(max_batches=40, parts=parts).fit(ours, source)
    critic = torch.optim.Adam(theirs.critic.parameters(), lr=1e-3, betas=(0.5, 0.999))
    generator = torch.optim.Adam(theirs.generator.parameters(), lr=1e-3)
    softplus = nn.functional.softplus
    done = 0
    for epoch in range(5):
        for batch in source.epoch(epoch):
            if done == 40:
                break
            for k in range(2):
                fake = theirs.generator(batch.randn(f"z{k}", 3)).detach()
                loss = softplus(-theirs.critic(batch.x)).mean() + softplus(theirs.critic(fake)).mean()
                critic.zero_grad()
                loss.backward()
                critic.step()
            if done % 2 == 0:
                generator.zero_grad()
                softplus(-theirs.critic(theirs.generator(batch.randn("z", 3)))).mean().backward()
                generator.step()
            done += 1
    assert gap(weights(ours), weights(theirs)) < 1e-12
    assert ours.counters["critic"] == 80 and ours.counters["generator"] == 20 and ours.counters["batches"] == 40
    assert ours.seen[0]["batches"] == 0 and ours.seen[7] == {
        "batches": 7,
        "epochs": 0,
        "environment_steps": 0,
        "critic": 14,
        "generator": 4,
    }
    assert ours.answers[:6] == [("critic", True)] * 2 + [("generator", True)] + [("critic", True)] * 3


def test_only_the_part_gets_gradients():
    seen = []

    class Look(Callback):
        def on_step(self, fit, part, stepped):
            seen.append((part, [p.grad is not None for p in fit.learner.generator.parameters()]))

    Trainer(max_batches=1, callbacks=[Look()]).fit(ToyGAN(), batches())
    assert seen[0] == ("critic", [False] * 4) and seen[1] == ("critic", [False] * 4)
    assert seen[2] == ("generator", [True] * 4)


def test_code_after_a_yield_runs_after_the_step():
    def steps(self, batch):
        before = self.net.weight.detach().clone()
        stepped = yield Step("model", mse(self, batch))
        self.answers.append((stepped, bool((self.net.weight != before).any())))

    learner = Custom(steps)
    Trainer(max_batches=1).fit(learner, batches())
    assert learner.answers == [(True, True)]


def test_return_ends_the_batch_early():
    def steps(self, batch):
        yield Step("model", mse(self, batch))
        if self.counters["batches"] % 2:
            return
        yield Step("model", mse(self, batch))

    history = Trainer(max_batches=4).fit(Custom(steps), batches())
    assert history.counters["model"] == 6 and history.counters["batches"] == 4


def test_retain_graph():
    def steps(self, batch):
        hidden = self.a(batch.x)
        yield Step("b", self.b(hidden).square().mean(), retain_graph=True)
        # Through a only: b was stepped after this graph was built.
        yield Step("a", hidden.square().mean())

    learner = Custom(steps, a=nn.Linear(5, 3).double(), b=nn.Linear(3, 1).double())
    learner.parts = lambda: {"a": learner.a.parameters(), "b": learner.b.parameters()}
    assert Trainer(max_batches=2, parts=dict.fromkeys("ab", SGD["model"])).fit(learner, batches()).counters["a"] == 2


def test_stale_graph_is_named():
    def steps(self, batch):
        out = self.b(torch.tanh(self.a(batch.x)))
        yield Step("b", out.square().mean(), retain_graph=True)
        yield Step("a", out.square().mean())

    learner = Custom(steps, a=nn.Linear(5, 3).double(), b=nn.Linear(3, 1).double())
    learner.parts = lambda: {"a": learner.a.parameters(), "b": learner.b.parameters()}
    with pytest.raises(TrainingError, match=r"step 1 of part 'a' reaches through a parameter that was stepped after"):
        Trainer(max_batches=2, parts=dict.fromkeys("ab", SGD["model"])).fit(learner, batches())


def test_a_parameter_may_belong_to_several_parts():
    def steps(self, batch):
        yield Step("all", mse(self, batch))
        yield Step("bias", mse(self, batch))

    learner = Custom(steps)
    learner.parts = lambda: {"all": learner.net.parameters(), "bias": [learner.net.bias]}
    history = Trainer(max_batches=3, parts={"all": SGD["model"], "bias": SGD["model"]}).fit(learner, batches())
    assert history.counters["all"] == history.counters["bias"] == 3


# -- accumulation ---------------------------------------------------------------------------------------------------------


def test_accumulation_equals_larger_batches():
    large, small = regression(), regression()
    Trainer(4, parts=ADAM).fit(large, Batches(data(), 60, shuffle=False))
    history = Trainer(4, parts=ADAM, accumulate=4).fit(small, Batches(data(), 15, shuffle=False))
    assert gap(weights(large), weights(small)) < 1e-12
    assert history.counters == {"batches": 80, "epochs": 4, "environment_steps": 0, "model": 20}


def test_accumulation_weighs_batches_by_rows_and_closes_at_the_epoch():
    large, small = regression(), regression()
    Trainer(2, parts=ADAM).fit(large, Batches(data(50), 50, shuffle=False))
    history = Trainer(2, parts=ADAM, accumulate=9).fit(
        small, Batches(data(50), 8, shuffle=False)
    )  # 6 of 8 rows, one of 2
    assert gap(weights(large), weights(small)) < 1e-12
    assert history.counters["model"] == 2


def test_accumulation_answers_false_until_the_window_closes():
    answers = []

    class Listening(SupervisedLearner):
        def steps(self, batch):
            answers.append((yield Step("model", (self.module(batch.x) - batch.y).square().mean())))

    learner = Listening(regression().module, nn.functional.mse_loss)
    Trainer(max_batches=7, parts=ADAM, accumulate=3).fit(learner, batches())
    assert answers == [False, False, True, False, False, True, True]


def test_accumulation_needs_the_declaration():
    with pytest.raises(CapabilityError, match="ToyGAN cannot accumulate gradients over 2 batches: it does not declare"):
        Trainer(1, accumulate=2).fit(ToyGAN(), batches())


def test_accumulation_refuses_two_yields():
    def steps(self, batch):
        yield Step("model", mse(self, batch))
        yield Step("model", mse(self, batch))

    learner = Custom(steps)
    type(learner).accumulates = True
    try:
        with pytest.raises(
            TrainingError, match="Part 'model' was yielded twice in one batch while gradients accumulate"
        ):
            Trainer(1, accumulate=2).fit(learner, batches())
    finally:
        type(learner).accumulates = False


def test_a_part_absent_from_the_last_batch_of_a_window_still_steps():
    class Sometimes(Learner):
        accumulates = True
        defaults = {"model": PartSpec(optimizer=Adam)}

        def __init__(self):
            super().__init__()
            self.net = nn.Linear(5, 1).double()

        def steps(self, batch):
            if self.counters["batches"] % 2 == 0:
                yield Step("model", mse(self, batch))

    assert Trainer(max_batches=4, accumulate=2).fit(Sometimes(), batches()).counters["model"] == 2


# -- callables ------------------------------------------------------------------------------------------------------------


def test_a_callable_loss_serves_lbfgs():
    def steps(self, batch):
        yield Step("model", lambda: mse(self, batch))

    learner = Custom(steps)
    parts = {
        "model": {
            "optimizer": torch.optim.LBFGS,
            "options": {"max_iter": 99, "tolerance_grad": 1e-12, "tolerance_change": 1e-15},
        }
    }
    table = data()
    history = Trainer(3, parts=parts).fit(learner, Batches(table, 300))
    design = torch.cat([table["x"], torch.ones(300, 1, dtype=torch.float64)], 1)
    solution = torch.linalg.lstsq(design, table["y"]).solution[:, 0]
    assert torch.allclose(learner.net.weight[0], solution[:5], atol=1e-5)
    assert history.counters["model"] == 3


def test_an_optimizer_that_needs_a_callable_says_so():
    parts = {"model": {"optimizer": torch.optim.LBFGS}}
    with pytest.raises(
        CapabilityError, match=r"LBFGS, evaluates the loss several times a step; yield Step\('model', function\)"
    ):
        one(lambda self, batch: (yield Step("model", mse(self, batch))), parts=parts)
    with pytest.raises(CapabilityError, match="cannot be combined with accumulate > 1"):
        Trainer(1, parts=parts, accumulate=2).fit(regression(), batches())


def test_a_callable_excludes_accumulation():
    class Lazy(SupervisedLearner):
        def steps(self, batch):
            yield Step("model", lambda: mse(self, batch))

    with pytest.raises(
        CapabilityError, match="yields a function as its loss, which cannot be combined with accumulated"
    ):
        Trainer(1, parts=ADAM, accumulate=2).fit(Lazy(nn.Linear(5, 1).double(), nn.functional.mse_loss), batches())


# -- schedules ------------------------------------------------------------------------------------------------------------


def _rates(learner, source, **settings):
    rates = []

    class Watch(Callback):
        def on_batch_end(self, fit, batch):
            rates.append(next(iter(fit.parts.values())).lr)

    Trainer(callbacks=[Watch()], **settings).fit(learner, source)
    return rates


def _cosine(t, total, lr):
    return 0.5 * lr * (1 + math.cos(math.pi * min(t, total) / total))


def test_a_schedule_follows_its_parts_steps_and_ends_at_zero():
    parts = {"model": {**ADAM["model"], "schedule": "lr-cosine"}}
    rates = _rates(regression(), batches(), max_epochs=2, parts=parts)
    assert rates == pytest.approx([_cosine(t, 20, 1e-2) for t in range(1, 21)], abs=1e-15)
    rates = _rates(regression(), batches(), max_epochs=2, parts=parts, accumulate=4)  # 3 steps an epoch
    assert rates[3] == rates[6] == pytest.approx(_cosine(1, 6, 1e-2)) and rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("counter", "expected"), [("batches", 8), ("epochs", 0), ("generator", 4), ("critic", 16)])
def test_a_schedule_names_the_counter_it_follows(counter, expected):
    spec = {"schedule": "lr-cosine", "schedule_options": {"counter": counter, "total_steps": 100}}
    rates = _rates(ToyGAN(), batches(), max_batches=8, parts={"critic": spec})
    assert rates[-1] == pytest.approx(_cosine(expected, 100, 1e-3))


def test_a_schedule_follows_environment_steps():
    class Source(Batches):
        def epoch(self, *place):
            for batch in super().epoch(*place):
                yield type(batch)({**batch, "environment_steps": 5}, batch.place)

    spec = {"schedule": "lr-cosine", "schedule_options": {"counter": "environment-steps"}}
    trainer = Trainer(max_environment_steps=40, parts={"model": {**ADAM["model"], **spec}})
    history = trainer.fit(regression(), Source(data(), 32))
    assert history.counters["environment_steps"] == 40 and history.counters["batches"] == 8
    assert history["lr"][-1] == pytest.approx(0, abs=1e-12)
    assert history.stop_reason == "max_environment_steps = 40 reached"


def test_a_schedule_of_unknown_length_asks_for_it():
    with pytest.raises(
        SpecError, match="schedule of part 'critic' needs total_steps: how far the counter 'critic' will go"
    ):
        Trainer(1, parts={"critic": {"schedule": "lr-cosine"}}).fit(ToyGAN(), batches())
    spec = {"schedule": "lr-cosine", "schedule_options": {"counter": "batches"}}
    assert Trainer(1, parts={"critic": spec}).fit(ToyGAN(), batches())["critic/lr"] == [pytest.approx(0, abs=1e-12)]


# -- specs ----------------------------------------------------------------------------------------------------------------


def test_a_spec_refines_the_learners_defaults():
    seen = {}

    class Look(Callback):
        def on_fit_start(self, fit):
            seen.update(fit.parts)

    Trainer(1, parts={"critic": {"options": {"lr": 0.5}}}, callbacks=[Look()]).fit(ToyGAN(), batches())
    assert seen["critic"].optimizer.defaults["betas"] == (0.5, 0.999) and seen["critic"].optimizer.defaults["lr"] == 0.5
    Trainer(1, parts={"critic": {"optimizer": "momentum"}}, callbacks=[Look()]).fit(ToyGAN(), batches())
    assert isinstance(seen["critic"].optimizer, Momentum) and seen["critic"].optimizer.defaults["lr"] == 1e-3
    assert seen["generator"].spec.clip_norm == 0.5


@pytest.mark.parametrize(
    ("parts", "error", "text"),
    [
        ({"critc": {}}, UnknownNameError, "Unknown part of the learner 'critc'; did you mean one of: critic"),
        ({"critic": {"clipnorm": 1}}, SpecError, "parts.critic has the unknown key 'clipnorm'; did you mean clip_norm"),
        (
            {"critic": {"options": {"beta": 1}}},
            SpecError,
            r"Adam \(optimizer of part 'critic'\) has no parameter 'beta'",
        ),
        ({"critic": {"options": {"lr": -1}}}, ValueError, r"Adam: lr must be a finite number >= 0, got -1"),
        ({"critic": {"optimizer": "adamm"}}, UnknownNameError, "Unknown method 'adamm'; did you mean one of: adam"),
        (
            {"critic": {"optimizer": "lr-cosine"}},
            SpecError,
            "must be a gradient-optimizer, but 'lr-cosine' is a schedule",
        ),
        ({"critic": {"optimizer": 3}}, SpecError, "optimizer must be a card's id or a torch class, got 3"),
        ({"critic": {"clip_norm": 0}}, SpecError, "clip_norm must be greater than 0, got 0"),
        ({"critic": {"ema": 1.0}}, SpecError, "ema must lie between 0 and 1"),
        (
            {"critic": {"schedule": "lr-cosine", "schedule_options": {"counter": "steps", "total_steps": 3}}},
            UnknownNameError,
            "Unknown counter 'steps'",
        ),
    ],
)
def test_a_wrong_spec_is_refused_before_any_work(parts, error, text):
    with pytest.raises(error, match=text):
        Trainer(1, parts=parts).fit(ToyGAN(), batches())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1, got 0"),
        ({"max_epochs": 1, "accumulate": 0}, "accumulate must be a whole number of at least 1, got 0"),
        ({"max_epochs": 2.5}, "max_epochs must be a whole number of at least 1, got 2.5"),
        ({}, "The trainer has no limit: give max_epochs"),
    ],
)
def test_a_wrong_setting_is_refused(settings, text):
    with pytest.raises(SpecError, match=text):
        Trainer(**settings).fit(regression(), batches())


def test_a_part_that_does_not_exist():
    with pytest.raises(
        UnknownNameError, match=r"Unknown part \(yielded by Custom.steps\) 'modle'; did you mean one of: model"
    ):
        one(lambda self, batch: (yield Step("modle", mse(self, batch))))


def test_parts_must_be_sound():
    learner = Custom()
    learner.parts = lambda: {"model": []}
    with pytest.raises(SpecError, match="Part 'model' of Custom has no parameters"):
        Trainer(1).fit(learner, batches())
    learner.parts = lambda: {"model": [learner.net.weight, learner.net.weight]}
    with pytest.raises(SpecError, match=r"lists the parameter 'net.weight' twice, so it would be stepped twice"):
        Trainer(1).fit(learner, batches())
    learner.parts = lambda: {"model": [nn.Parameter(torch.zeros(2))]}
    with pytest.raises(SpecError, match="that is not a parameter of Custom; assign its module to an attribute"):
        Trainer(1).fit(learner, batches())
    learner.parts = dict
    with pytest.raises(SpecError, match="names no part, so there is nothing to train"):
        Trainer(1).fit(learner, batches())
    learner.parts = lambda: {"batches": learner.net.parameters()}
    with pytest.raises(SpecError, match="A part cannot be called 'batches'"):
        Trainer(1).fit(learner, batches())


# -- losses ---------------------------------------------------------------------------------------------------------------


def test_a_loss_must_be_a_single_number():
    with pytest.raises(TrainingError, match=r"must be a single number, got a tensor of shape \(32, 1\); take its mean"):
        one(lambda self, batch: (yield Step("model", self.net(batch.x))))


def test_a_loss_must_depend_on_parameters():
    with pytest.raises(TrainingError, match="does not depend on any parameter at batch 1"):
        one(lambda self, batch: (yield Step("model", mse(self, batch).detach())))


def test_a_step_must_be_a_step():
    with pytest.raises(TrainingError, match="must yield Step"):
        one(lambda self, batch: (yield "model"))
    with pytest.raises(TrainingError, match="steps must be a generator"):
        one(lambda self, batch: None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_names_the_step(bad):
    def steps(self, batch):
        scale = bad if self.counters["batches"] == 4 else 1.0
        yield Step("model", mse(self, batch) * scale)

    learner = Custom(steps)
    text = rf"The loss is {bad} at batch 5 \(epoch 1, batch 5 of it\), step 5 of part 'model', so training stopped"
    with pytest.raises(TrainingError, match=text):
        Trainer(1).fit(learner, batches())
    # It stops before the step.
    assert torch.isfinite(learner.net.weight).all() and learner.counters["model"] == 4


def test_no_host_sync_before_the_logging_interval(monkeypatch):
    """On a device other than the CPU nothing reads a tensor between two log records."""
    reads = []
    real = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: reads.append(1) or real(self))
    at = []

    class Pretend(Callback):
        def on_fit_start(self, fit):
            fit.stepper.reads_at_once = False

        def on_batch_end(self, fit, batch):
            at.append(len(reads))

    plain = {"model": {"optimizer": torch.optim.SGD, "options": {"lr": 0.1}, "clip_norm": 1.0, "ema": 0.9}}
    Trainer(1, parts=plain, callbacks=[Pretend()], log_every=4).fit(regression(), batches())
    assert at == [0] * len(at)


def test_a_late_look_still_names_the_batch():
    class Pretend(Callback):
        def on_fit_start(self, fit):
            fit.stepper.reads_at_once = False

    def steps(self, batch):
        yield Step("model", mse(self, batch) * (math.nan if self.counters["batches"] == 4 else 1.0))

    with pytest.raises(TrainingError, match=r"not finite at batch 5 .*step 5 of part 'model'"):
        Trainer(1, callbacks=[Pretend()], log_every=8).fit(Custom(steps), batches())


def test_frozen_parameters_stay():
    learner = regression()
    learner.module[0].requires_grad_(False)
    before = weights(learner)
    Trainer(1, parts=ADAM).fit(learner, batches())
    after = weights(learner)
    assert torch.equal(before["module.0.weight"], after["module.0.weight"])
    assert not torch.equal(before["module.3.weight"], after["module.3.weight"])


def test_row_weights_need_row_losses():
    source = batches(weight=torch.ones(300, dtype=torch.float64))
    with pytest.raises(CapabilityError, match="the objective returned one number for the whole batch"):
        Trainer(1, parts=ADAM).fit(regression(), source)


def test_inputs_are_named():
    with pytest.raises(InputTypeError, match="trains a Learner, got a Linear; wrap a module as SupervisedLearner"):
        Trainer(1).fit(nn.Linear(2, 1), batches())
    with pytest.raises(InputTypeError, match="reads batches through `epoch`, which a dict lacks"):
        Trainer(1).fit(regression(), {})

    class Nothing:
        def epoch(self, *place):
            return iter(())

    with pytest.raises(DataError, match="The epoch held no batch"):
        Trainer(1, parts=ADAM).fit(regression(), Nothing())


def test_randomness_comes_from_the_seed_and_leaves_no_trace():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    a, b, c = regression(0.5), regression(0.5), regression(0.5)
    Trainer(1, parts=ADAM, seed=1).fit(a, batches())
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(100)
    Trainer(1, parts=ADAM, seed=1).fit(b, batches())
    Trainer(1, parts=ADAM, seed=2).fit(c, batches())
    assert gap(weights(a), weights(b)) == 0 < gap(weights(a), weights(c))


def test_evaluation_is_without_dropout_and_with_averages():
    learner = regression(0.5)
    modes = []

    class Look(Callback):
        def on_fit_start(self, fit):
            fit.learner.module[0].eval()  # set by hand: evaluation must not wake it up

        @torch.no_grad()
        def on_epoch_end(self, fit):
            modes.append([module.training for module in fit.learner.module])
            first, tanh, _, last = fit.learner.module
            with fit.parts["model"].ema.swap():
                expected = nn.functional.mse_loss(last(tanh(first(data()["x"]))), data()["y"])
            assert fit.metrics["val_loss"] == pytest.approx(float(expected), rel=1e-12)

    parts = {"model": {**ADAM["model"], "ema": 0.9}}
    Trainer(2, parts=parts, callbacks=[Look()]).fit(learner, batches(), batches(size=70))
    assert modes == [[False, True, True, True]] * 2


def test_evaluate_and_predict():
    learner = regression(0.5)
    trainer = Trainer(1, parts=ADAM)
    ordered = Batches(data(), 70, shuffle=False)
    learner.eval()
    out = learner.module(data()["x"])
    learner.train()
    expected = nn.functional.mse_loss(out, data()["y"]).item()
    assert trainer.evaluate(learner, ordered)["loss"] == pytest.approx(expected)
    assert torch.allclose(trainer.predict(learner, ordered), out)
    with pytest.raises(SpecError, match="shuffled order; give batches with shuffle=False"):
        trainer.predict(learner, batches())
