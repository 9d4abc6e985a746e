"""Evidence for learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.schedules.cosine import CosineDecay


def _rates(make: Any, steps: int, lrs: tuple[float, ...] = (1.0,)) -> list[list[float]]:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    schedule = make(optimizer)
    rates = [[group["lr"] for group in optimizer.param_groups]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


def _apart(a: list[list[float]], b: list[list[float]]) -> float:
    return largest(abs(x - y) for left, right in zip(a, b, strict=True) for x, y in zip(left, right, strict=True))


@evidence("lr-cosine", claim="Equal to torch's up to T, per parameter group, with a floor", against="CosineAnnealingLR")
def cosine_equals_torch() -> Check:
    lrs = (0.7, 0.02)
    ours = _rates(lambda o: CosineDecay(o, 37, eta_min=0.01), 37, lrs)
    peer = _rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 37, eta_min=0.01), 37, lrs)
    return Check(_apart(ours, peer), 1e-13, "max |rate difference|", "torch CosineAnnealingLR")


@evidence(
    "lr-cosine",
    claim="The rate is 1/2 lr (1 + cos(pi t / T)) and ends at 0 by default",
    against="closed form of 02#lr-cosine",
)
def cosine_closed_form() -> Check:
    rates = [r[0] for r in _rates(lambda o: CosineDecay(o, 8), 8, (0.4,))]
    # At t = 0, T/4, T/2, 3T/4, T: 1, (2 + sqrt 2)/4, 1/2, (2 - sqrt 2)/4, 0.
    known = {0: 1.0, 2: (2 + math.sqrt(2)) / 4, 4: 0.5, 6: (2 - math.sqrt(2)) / 4, 8: 0.0}
    gap = largest(abs(rates[t] - 0.4 * share) for t, share in known.items())
    return Check(gap, 1e-15, "max |rate - closed form|", "closed form")


@evidence("lr-cosine", claim="Past T the rate stays at the floor", against="the definition of a decay")
def cosine_stays() -> Check:
    rates = [r[0] for r in _rates(lambda o: CosineDecay(o, 5, eta_min=0.1), 12)]
    rising = sum(b > a for a, b in zip(rates, rates[1:]))
    return Check(largest(abs(r - 0.1) for r in rates[5:]) + rising, 0.0, "max |rate - floor| + rises", "definition")


@evidence(
    "lr-cosine",
    claim="A schedule restored in the middle gives the very same rates",
    against="the uninterrupted schedule",
)
def cosine_resumes() -> Check:
    whole = _rates(lambda o: CosineDecay(o, 20), 20)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = CosineDecay(optimizer, 20)
    for _ in range(9):
        optimizer.step()
        schedule.step()
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    again = CosineDecay(other, 20)
    again.load_state_dict(schedule.state_dict())
    other.load_state_dict(optimizer.state_dict())
    differing = 0
    for t in range(10, 21):
        other.step()
        again.step()
        differing += other.param_groups[0]["lr"] != whole[t][0]
    return Check(differing, 0, "rates that differ", "uninterrupted schedule")
