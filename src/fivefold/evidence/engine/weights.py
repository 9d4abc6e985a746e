"""Evidence for moving averages and gradient clipping."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import Parameter

from fivefold.base.errors import TrainingError
from fivefold.data.batches import Batches
from fivefold.engine.averaging import ExponentialMovingAverage, polyak_update
from fivefold.engine.clipping import clip_norm_, clip_norm_each_, clip_value_
from fivefold.engine.learner import SupervisedLearner
from fivefold.engine.trainer import Trainer
from fivefold.evidence import Check, evidence, largest

from ._toys import ADAM, gap, regression, source


def _value(number: float) -> torch.Tensor:
    return torch.full((3,), number, dtype=torch.float64)


@evidence(
    "ema-weights",
    claim="Constant input c from start s: c + d^t (s - c); bias-corrected exactly c from the first update",
    against="closed form",
)
def ema_constant() -> Check:
    plain, corrected = _value(5.0), _value(5.0)
    a = ExponentialMovingAverage([plain], 0.9)
    b = ExponentialMovingAverage([corrected], 0.9, bias_correction=True)
    plain.fill_(2.0)
    corrected.fill_(2.0)
    worst = 0.0
    for t in range(1, 60):
        a.update()
        b.update()
        worst = largest(worst, float((a.averages()[0] - (2.0 + 0.9**t * 3.0)).abs().max()))
        worst = largest(worst, float((b.averages()[0] - 2.0).abs().max()))
    return Check(worst, 1e-13, "max |average - closed form|", "closed form")


@evidence(
    "ema-weights", claim="Bias-corrected weights are (1 - d) d^k / (1 - d^t)", against="the weighted mean, brute force"
)
def ema_weighted_mean() -> Check:
    tensor = _value(0.0)
    ema = ExponentialMovingAverage([tensor], 0.7, bias_correction=True)
    values, worst = [], 0.0
    for t in range(1, 30):
        values.append(float((t * 7919) % 13))
        tensor.fill_(values[-1])
        ema.update()
        weights = [0.7**k for k in range(t)]
        mean = sum(w * v for w, v in zip(weights, reversed(values))) / sum(weights)
        worst = largest(worst, float((ema.averages()[0] - mean).abs().max()))
    return Check(worst, 1e-12, "max |average - weighted mean|", "brute force")


@evidence(
    "ema-weights", claim="The average over a training equals torch's", against="torch.optim.swa_utils.AveragedModel"
)
def ema_equals_torch() -> Check:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    from fivefold.engine.callbacks import Callback

    learner = regression()
    peer = AveragedModel(learner.module, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    peer.update_parameters(learner.module)  # its first call copies

    class Follow(Callback):
        def on_step(self, fit: Any, part: str, stepped: bool) -> None:
            peer.update_parameters(fit.learner.module)

    parts = {"model": {**ADAM["model"], "ema": 0.95}}
    history = Trainer(4, parts=parts, callbacks=[Follow()]).fit(learner, source())
    raw = {name: value.clone() for name, value in learner.module.state_dict().items()}
    with history.averages["model"].swap():
        apart = gap(learner.module, peer.module)
    back = sum(not torch.equal(value, raw[name]) for name, value in learner.module.state_dict().items())
    away = float(gap(learner.module, peer.module) < 1e-6)
    return Check(apart + back + away, 1e-13, "max |weight difference|", "torch AveragedModel")


@evidence(
    "ema-weights", claim="Validation uses the averages, training does not", against="the loss of each, recomputed"
)
def ema_in_evaluation() -> Check:
    learner = regression()
    history = Trainer(3, parts={"model": {**ADAM["model"], "ema": 0.98}}).fit(learner, source(), source(80))
    plain = regression()
    Trainer(3, parts=ADAM).fit(plain, source())
    trained_apart = gap(learner, plain)
    raw = Trainer(1).evaluate(learner, source(80))["loss"]
    history.averages["model"].copy_to()
    averaged = Trainer(1).evaluate(learner, source(80))["loss"]
    wrong = abs(history["val_loss"][-1] - averaged) + (not abs(raw - averaged) >= 1e-6) + trained_apart
    return Check(wrong, 1e-13, "|val_loss - loss of the averages|", "recomputation")


@evidence(
    "ema-weights",
    claim="Polyak: after n updates towards a fixed source the gap is (1 - tau)^n; tau = 1 copies",
    against="closed form",
)
def ema_polyak() -> Check:
    target, wanted = [_value(4.0)], [_value(1.0)]
    for _ in range(25):
        polyak_update(target, wanted, 0.05)
    apart = float((target[0] - (1.0 + 3.0 * 0.95**25)).abs().max())
    polyak_update(target, wanted, 1.0)
    return Check(apart + float((target[0] - 1.0).abs().max()), 1e-13, "max |weight - closed form|", "closed form")


def _parameters(seed: int = 0, scale: float = 1.0) -> list[Parameter]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for shape in ((4, 3), (3,), (5, 2)):
        p = Parameter(torch.zeros(shape, dtype=torch.float64))
        p.grad = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        found.append(p)
    return [*found, Parameter(torch.zeros(2))]  # the last has no gradient


def _flat(params: list[Parameter]) -> torch.Tensor:
    return torch.cat([p.grad.reshape(-1) for p in params if p.grad is not None])


@evidence(
    "gradient-clipping",
    claim="The global norm becomes min(norm, threshold) and the direction stays",
    against="the definition; (3, 4) at 1 is (0.6, 0.8)",
)
def clipping_by_norm() -> Check:
    p = Parameter(torch.zeros(2, dtype=torch.float64))
    p.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    before = float(clip_norm_([p], 1.0))
    worst = float((p.grad - torch.tensor([0.6, 0.8], dtype=torch.float64)).abs().max()) + abs(before - 5.0)
    for threshold in (0.1, 2.0, 100.0):
        params = _parameters()
        g = _flat(params).clone()
        clip_norm_(params, threshold)
        worst = largest(worst, float((_flat(params) - g * min(1.0, threshold / float(g.norm()))).abs().max()))
    kept = _parameters()
    g = _flat(kept).clone()
    clip_norm_(kept, float(g.norm()) * 1.001)
    worst += not torch.equal(_flat(kept), g)
    return Check(worst, 1e-14, "max |gradient - definition|", "definition")


@evidence(
    "gradient-clipping",
    claim="Equal to torch's up to the 1e-6 that torch adds to the norm",
    against="clip_grad_norm_, clip_grad_value_",
)
def clipping_equals_torch() -> Check:
    ours, theirs = _parameters(), _parameters()
    clip_norm_(ours, 1.0)
    nn.utils.clip_grad_norm_(theirs, 1.0)
    worst = float((_flat(ours) - _flat(theirs)).abs().max())
    ours, theirs = _parameters(1), _parameters(1)
    clip_value_(ours, 0.3)
    nn.utils.clip_grad_value_(theirs, 0.3)
    return Check(
        worst + float((_flat(ours) - _flat(theirs)).abs().max()), 1e-6, "max |gradient difference|", "torch.nn.utils"
    )


@evidence(
    "gradient-clipping",
    claim="Tensor by tensor: each norm becomes min(norm, threshold), so the direction of the whole turns",
    against="torch, one tensor at a time",
)
def clipping_each() -> Check:
    params = _parameters()
    g = [p.grad.clone() for p in params if p.grad is not None]
    threshold = float(sorted(t.norm() for t in g)[1])  # one below, one at, one above
    clip_norm_each_(params, threshold)
    worst = 0.0
    for p, before in zip(params, g):
        worst = largest(worst, float((p.grad - before * min(1.0, threshold / float(before.norm()))).abs().max()))
    whole = torch.cat([t.reshape(-1) for t in g])
    turned = float(torch.cosine_similarity(whole, _flat(params), dim=0)) < 1 - 1e-6
    return Check(worst + (not turned), 1e-14, "max |gradient - definition|", "definition")


@evidence(
    "gradient-clipping",
    claim="Each value is capped: 20 at 15 is 15, -20 is -15, 10 stays",
    against="the worked numbers of 05#grad-clipping",
)
def clipping_by_value() -> Check:
    p = Parameter(torch.zeros(3))
    p.grad = torch.tensor([20.0, -20.0, 10.0])
    clip_value_([p], 15.0)
    return Check(
        float((p.grad - torch.tensor([15.0, -15.0, 10.0])).abs().max()),
        0.0,
        "max |gradient - number|",
        "worked numbers",
    )


class _Recurrent(nn.Module):
    """h <- w h over 40 steps: the gradient in w grows as 40 w^39 where |w| > 1."""

    def __init__(self) -> None:
        super().__init__()
        self.w = Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x
        for _ in range(40):
            h = self.w * h
        return h


@evidence(
    "gradient-clipping",
    claim="A recurrent toy whose gradients explode trains with clipping and breaks without",
    against="the solution w = 0.5^(1/40)",
)
def clipping_saves_a_recurrent_net() -> Check:
    x = torch.ones(4, 1, dtype=torch.float64)
    batches = Batches({"x": x, "y": 0.5 * x}, 4)
    spec: dict[str, Any] = {"optimizer": "momentum", "options": {"lr": 1e-2, "momentum": 0.0}}

    def fit(**clip: float) -> float:
        net = _Recurrent()
        Trainer(400, parts={"model": {**spec, **clip}}).fit(SupervisedLearner(net, nn.functional.mse_loss), batches)
        return float(net.w.detach())

    try:
        fit()
    except TrainingError:
        broke = 0.0
    else:
        broke = 1.0
    # Steps have length lr until the clipped region ends, so w lands within one of them of the solution.
    return Check(abs(fit(clip_norm=1.0) - 0.5 ** (1 / 40)) + broke, 1e-2, "|w - solution|", "closed form")
