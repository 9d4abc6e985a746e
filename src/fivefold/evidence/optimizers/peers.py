"""Evidence for optimizers that torch lacks, against the package pytorch-optimizer."""

from __future__ import annotations

from typing import Any

import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.accumulators import FTRL
from fivefold.optimizers.gradient.adabound import AdaBound
from fivefold.optimizers.gradient.adam_variants import Yogi

from ._trajectories import SHAPES, compare, walk

STEPS = 500


def _same(ours: Any, theirs: Any, *options: dict[str, Any]) -> Check:
    """Compare paths; the peer adds 1e-15 under its roots, so that the bound is the 1e-6 asked of a trajectory."""
    gap = 0.0
    for given in options:
        for problem in SHAPES:
            peer = walk(theirs, problem, given, STEPS, reload=False)
            gap = largest(gap, compare(walk(ours, problem, given, STEPS), peer, "peer"))
    return Check(gap, 1e-6, "max |parameter difference|", "pytorch_optimizer")


@evidence(
    "adabound",
    claim="500 steps equal the peer's, coupled and decoupled, with the bounds wide and closing",
    against="pytorch_optimizer.AdaBound",
    peer="pytorch_optimizer",
    slow=True,
)
def adabound_peer() -> Check:
    import pytorch_optimizer

    slow = {"lr": 0.01, "betas": (0.8, 0.97), "eps": 0.1, "weight_decay": 0.05}
    closing = {**slow, "gamma": 0.3, "final_lr": 0.05}
    coupled = _same(AdaBound, lambda p: pytorch_optimizer.AdaBound(p, weight_decouple=False), {}, slow, closing)
    decoupled = _same(lambda p: AdaBound(p, decoupled_weight_decay=True), pytorch_optimizer.AdaBound, closing)
    return Check(largest(coupled.value, decoupled.value), 1e-6, coupled.unit, coupled.peer)


@evidence(
    "yogi",
    claim="500 steps equal the peer's, with defaults and with every option",
    against="pytorch_optimizer.Yogi",
    peer="pytorch_optimizer",
    slow=True,
)
def yogi_peer() -> Check:
    import pytorch_optimizer

    options = {"lr": 0.01, "betas": (0.8, 0.97), "eps": 0.1, "weight_decay": 0.05, "initial_accumulator": 0.01}
    coupled = _same(Yogi, lambda p: pytorch_optimizer.Yogi(p, weight_decouple=False), {}, options)
    decoupled = _same(lambda p: Yogi(p, decoupled_weight_decay=True), pytorch_optimizer.Yogi, options)
    return Check(largest(coupled.value, decoupled.value), 1e-6, coupled.unit, coupled.peer)


@evidence(
    "ftrl",
    claim="From zero weights 100 steps equal the peer's, with both penalties and beta",
    against="pytorch_optimizer.FTRL",
    peer="pytorch_optimizer",
)
def ftrl_peer() -> Check:
    import pytorch_optimizer

    target = torch.tensor([1.0, -2.0, 0.01, 0.5], dtype=torch.float64)

    def path(make: Any) -> torch.Tensor:
        # The peer forgets weights that do not start at zero, as Keras does; the paper's start at zero.
        w = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        optimizer, found = make([w]), []
        for step in range(100):
            w.grad = (w.detach() - target) * (1 + 0.5 * (-1) ** step)
            optimizer.step()
            found.append(w.detach().clone())
        return torch.stack(found)

    ours = path(lambda p: FTRL(p, lr=0.3, beta=0.7, l1=0.2, l2=0.1))
    theirs = path(lambda p: pytorch_optimizer.FTRL(p, lr=0.3, beta=0.7, lambda_1=0.2, lambda_2=0.1))
    sparse = 5 < int((ours[:, 2] == 0).sum()) < 100  # the penalty holds the small weight at exactly zero for a while
    return Check(
        float((ours - theirs).abs().max()) + (not sparse), 1e-12, "max |weight difference|", "pytorch_optimizer"
    )
