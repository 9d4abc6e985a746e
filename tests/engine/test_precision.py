"""Devices and number formats."""

from __future__ import annotations

import pytest
import torch
from engine_learners import ADAM, ToyGAN, batches, gap, regression, weights
from lightning_fabric.plugins.precision import MixedPrecision
from torch import nn

from fivefold.base.errors import CapabilityError, InputError
from fivefold.engine.learner import Step, SupervisedLearner
from fivefold.engine.session import session
from fivefold.engine.trainer import Trainer


@pytest.mark.parametrize(
    ("precision", "inside", "stored"),
    [
        ("32-true", torch.float32, torch.float32),
        ("64-true", torch.float64, torch.float64),
        ("bf16-mixed", torch.bfloat16, torch.float32),
        ("bf16-true", torch.bfloat16, torch.bfloat16),
    ],
)
def test_precision(precision, inside, stored):
    seen = []

    class Look(SupervisedLearner):
        def steps(self, batch):
            hidden = self.module[0](batch.x)
            seen.append(hidden.dtype)
            yield Step("model", (self.module[1:](hidden) - batch.y).square().mean())

    learner = Look(regression(dtype=torch.float32).module, nn.functional.mse_loss)
    source = batches(dtype=torch.float32)
    history = Trainer(3, parts=ADAM, precision=precision).fit(learner, source, source)
    assert set(seen) == {inside} and learner.module[0].weight.dtype is stored
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert torch.get_default_dtype() is torch.float32


def test_a_session_gives_the_precision():
    learner = regression(dtype=torch.float32)
    with session(progress=False, precision="64-true"):
        Trainer(1, parts=ADAM).fit(learner, batches(dtype=torch.float32))
    assert learner.module[0].weight.dtype is torch.float64


def test_scaled_training_equals_unscaled():
    plain, scaled = regression(dtype=torch.float32), regression(dtype=torch.float32)

    class Exact(MixedPrecision):
        """The scaler alone, without half precision."""

        def forward_context(self):
            return torch.autocast("cpu", enabled=False)

    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=10)
    parts = {"model": {**ADAM["model"], "clip_norm": 0.2}}
    Trainer(2, parts=parts).fit(plain, batches(dtype=torch.float32))
    Trainer(2, parts=parts, precision=Exact("16-mixed", "cpu", scaler=scaler)).fit(scaled, batches(dtype=torch.float32))
    assert gap(weights(plain), weights(scaled)) < 1e-6


def test_each_part_has_its_own_scaler():
    class Overflow(ToyGAN):
        def steps(self, batch):
            generator = super().steps(batch)
            answer = None
            while True:
                try:
                    step = generator.send(answer)
                except StopIteration:
                    return
                answer = yield Step(step.part, step.loss.float() * (1e38 if step.part == "critic" else 1.0))

    learner = Overflow().float()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    Trainer(max_batches=4, precision=plugin).fit(learner, batches(dtype=torch.float32))
    assert learner.counters["critic"] == 0 and learner.counters["generator"] == 2


def test_a_callable_excludes_a_scaler():
    class Lazy(SupervisedLearner):
        def steps(self, batch):
            yield Step("model", lambda: self.module(batch.x).square().mean())

    plugin = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
    learner = Lazy(regression(dtype=torch.float32).module, nn.functional.mse_loss)
    with pytest.raises(CapabilityError, match=r"cannot be combined with a loss scaler \(16-mixed precision\)"):
        Trainer(1, parts=ADAM, precision=plugin).fit(learner, batches(dtype=torch.float32))
    with pytest.raises(
        CapabilityError, match=r"LBFGS, evaluates the loss several times a step, which cannot be combined"
    ):
        Trainer(1, parts={"model": {"optimizer": torch.optim.LBFGS}}, precision=plugin).fit(learner, batches())


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"precision": "8-bit"}, InputError, "Unknown precision '8-bit'; accepted are 32-true"),
        ({"device": "tpu"}, InputError, "Unknown device 'tpu'; accepted are cpu, cuda"),
        (
            {"precision": "16-mixed"},
            CapabilityError,
            "16-mixed needs a CUDA device; on a CPU use precision='bf16-mixed'",
        ),
    ],
)
def test_wrong_settings(settings, error, text):
    with pytest.raises(error, match=text):
        Trainer(1, parts=ADAM, **settings).fit(regression(), batches())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_no_cuda():
    with pytest.raises(InputError, match="torch sees no CUDA device here; use device='cpu'"):
        Trainer(1, parts=ADAM, device="cuda").fit(regression(), batches())
    Trainer(1, parts=ADAM, device="auto").fit(regression(), batches())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_cuda_agrees_with_the_cpu(precision):
    cpu, cuda = regression(dtype=torch.float32), regression(dtype=torch.float32)
    source = batches(dtype=torch.float32)
    on_cpu = Trainer(3, parts=ADAM).fit(cpu, source, source)
    on_cuda = Trainer(3, parts=ADAM, device="cuda", precision=precision).fit(cuda, source, source)
    bound = 1e-4 if precision == "32-true" else 3e-2
    assert on_cuda["val_loss"][-1] == pytest.approx(on_cpu["val_loss"][-1], abs=bound)
