"""Evidence for the optimizers by name."""

from __future__ import annotations

import torch

from fivefold.base.errors import UnknownNameError
from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.registry import make_optimizer, optimizer_names


def _point() -> torch.Tensor:
    return torch.ones(1, dtype=torch.float64, requires_grad=True)


@evidence(
    "optimizer-registry",
    claim="Every name builds with the sources' defaults, whatever its case",
    against="the lists of 02 and 04",
)
def registry_defaults() -> Check:
    listed = {
        "SGD": ("SGD", {}),
        "Momentum": ("Momentum", {"momentum": 0.9}),
        "nesterov": ("Nesterov", {"momentum": 0.9}),
        "adagrad": ("Adagrad", {"initial_accumulator_value": 0.1}),
        "adadelta": ("Adadelta", {"rho": 0.95, "eps": 1e-8}),
        "rmsprop": ("RMSprop", {"alpha": 0.9, "eps": 1e-10}),
        "ftrl": ("FTRL", {"initial_accumulator_value": 0.1}),
        "ADAM": ("Adam", {"betas": (0.9, 0.999), "eps": 1e-8}),
        "sgd_exp_decay": ("SGD", {}),
        "momentum-exp-decay": ("Momentum", {"momentum": 0.9}),
        "Nesterov-Exp-Decay": ("Nesterov", {"momentum": 0.9}),
    }
    wrong = int(len(listed) != len(optimizer_names()))
    for name, (kind, defaults) in listed.items():
        optimizer, schedule = make_optimizer(name, [_point()], 0.125)
        group = optimizer.param_groups[0]
        wrong += type(optimizer).__name__ != kind or group["lr"] != 0.125
        wrong += any(group[key] != value for key, value in defaults.items())
        wrong += (schedule is not None) != name.lower().endswith("decay")
    return Check(wrong, 0, "names built otherwise", "the lists")


@evidence(
    "optimizer-registry",
    claim="The decay is lr 0.998^floor(step / 5000)",
    against="torch StepLR(5000, 0.998) and the formula",
)
def registry_staircase() -> Check:
    optimizer, schedule = make_optimizer("sgd-exp-decay", [_point()], 0.5)
    peer = torch.optim.SGD([_point()], lr=0.5)
    theirs = torch.optim.lr_scheduler.StepLR(peer, 5000, 0.998)
    optimizer.step()
    peer.step()
    gap = 0.0
    for t in range(1, 10_002):
        schedule.step()  # type: ignore[union-attr]
        theirs.step()
        rate = optimizer.param_groups[0]["lr"]
        gap = largest(gap, abs(rate - peer.param_groups[0]["lr"]), abs(rate - 0.5 * 0.998 ** (t // 5000)))
    return Check(gap, 1e-15, "max |rate difference|", "torch StepLR")


@evidence(
    "optimizer-registry",
    claim="RMSProp by this name has epsilon inside the root, as TensorFlow 1",
    against="the first step, closed form",
)
def registry_rmsprop() -> Check:
    p = _point()
    optimizer, _ = make_optimizer("rmsprop", [p], 0.1, eps=0.5)
    p.grad = torch.full_like(p, 2.0)
    optimizer.step()
    return Check(abs(float(p.detach()) - (1 - 0.1 * 2 / (0.1 * 4 + 0.5) ** 0.5)), 1e-15, "|difference|", "closed form")


@evidence("optimizer-registry", claim="An unknown name is an error that names the nearest", against="the house rule")
def registry_unknown() -> Check:
    wrong = 0
    for name, near in (("adgrad", "adagrad"), ("adam-exp-decay", "sgd-exp-decay")):
        try:
            make_optimizer(name, [_point()], 0.1)
            wrong += 1
        except UnknownNameError as error:
            wrong += repr(name) not in str(error) or near not in str(error)
    return Check(wrong, 0, "violations", "house rule")
