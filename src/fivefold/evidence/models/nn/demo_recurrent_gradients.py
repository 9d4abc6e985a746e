"""Gradients through time: the source's powers, autograd's Jacobians, the bound and the chain that it misjudges."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest

from ._common import noise


@evidence(
    "rnn-gradient-analysis",
    claim="1.01^999 = 2.08e4 and 0.99^999 = 4.4e-5; 1 stays 1 and 0.01 is gone",
    against="the numbers of the row and of 05#rnn-gradient-toy",
)
def source_numbers() -> Check:
    from fivefold.demos.nn.recurrent_gradients import RecurrentGradientDemo, neuron

    with tempfile.TemporaryDirectory() as folder:
        found = RecurrentGradientDemo().run(out=folder, quick=True).numbers
    up, down, same, gone = (found[f"linear neuron, weight {w}: output 1000"] for w in (1.01, 0.99, 1.0, 0.01))
    wrong = largest(abs(up / math.exp(999 * math.log(1.01)) - 1), abs(down / math.exp(999 * math.log(0.99)) - 1))
    wrong += abs(same - 1) + gone + abs(neuron(3.0, 4) - 27) + abs(neuron(-2.0, 2) + 2)
    wrong += float(f"{up:.2e}" != "2.08e+04") + float(f"{down:.1e}" != "4.4e-05")
    return Check(wrong, 1e-11, "difference", "powers")


@evidence("rnn-gradient-analysis", claim="Jacobians by lag agree", against="autograd through the layer RNN, float64")
def jacobians_by_autograd() -> Check:
    from fivefold.demos.nn.recurrent_gradients import jacobians
    from fivefold.models.nn import RNN

    torch.manual_seed(0)
    layer, x = RNN(3, 4).double(), noise(1, 5, 3)
    states = [s.detach() for s in layer(x)[0][0]]
    found = jacobians(layer.weight_hh_l0.detach().numpy(), torch.stack(states).numpy())
    worst = float(np.abs(found[0] - np.eye(4)).max()) + float(len(found) != 6)
    starts = [torch.zeros(4, dtype=torch.float64), *states]
    for k in range(5):

        def rest(h: torch.Tensor, k: int = k) -> torch.Tensor:
            return layer(x[:, k:], h.view(1, 1, 4))[1].view(4)

        wanted = torch.autograd.functional.jacobian(rest, starts[k])
        worst = largest(worst, float(np.abs(found[5 - k] - wanted.numpy()).max()))
    return Check(worst, 1e-14, "max difference", "autograd")


@evidence(
    "rnn-gradient-analysis",
    claim="The norm stays below (gamma_u gamma_f)^(t-k), and meets it without inputs and with orthogonal weights",
    against="Pascanu et al. 2013",
)
def bound() -> Check:
    from fivefold.demos.nn.recurrent_gradients import RecurrentGradientDemo

    with tempfile.TemporaryDirectory() as folder:
        noisy = RecurrentGradientDemo().run(seed=2, out=folder, quick=True).numbers
        still = RecurrentGradientDemo(input_scale=0.0).run(seed=2, out=folder, quick=True).numbers
    ratios = [v for k, v in noisy.items() if "ratio" in k]
    wrong = largest(0.0, largest(ratios) - 1) + float(len(ratios) != 4)
    # With inputs some unit's slope is below the largest one, so the bound is not met.
    wrong += float(not largest(v for k, v in noisy.items() if "ratio" in k and "orthogonal" in k) < 1)
    for gain in (0.9, 1.0, 1.5):
        end = still[f"orthogonal, norm {gain:g}: Jacobian norm over 60 steps"]
        wrong += abs(end / gain**60 - 1) + abs(still[f"orthogonal, norm {gain:g}: largest ratio to the bound"] - 1)
        wrong += largest(0.0, noisy[f"orthogonal, norm {gain:g}: Jacobian norm over 60 steps"] / end - 1)
    return Check(wrong, 1e-11, "sum of violations", "the bound")


@evidence(
    "rnn-gradient-analysis",
    claim="A recurrent norm above 1 need not explode: a chain of n units forgets wholly in n steps; orthogonal ones explode",
    against="U^n = 0 of a nilpotent matrix",
)
def one_sided() -> Check:
    from fivefold.demos.nn.recurrent_gradients import RecurrentGradientDemo, jacobians, recurrent_weight

    u = recurrent_weight("shift", 6, 1.5, np.random.default_rng(0))
    norms = np.linalg.norm(jacobians(u, np.zeros((8, 6))), ord=2, axis=(1, 2))
    wrong = float(np.abs(norms - [1.5**k if k < 6 else 0.0 for k in range(9)]).max())
    with tempfile.TemporaryDirectory() as folder:
        result = RecurrentGradientDemo().run(seed=1, out=folder, quick=True)
    wrong += result.numbers["shift, norm 1.5: Jacobian norm over 60 steps"]
    wrong += float(not result.numbers["orthogonal, norm 1.5: Jacobian norm over 60 steps"] >= 100)
    wrong += float(not result.numbers["orthogonal, norm 0.9: Jacobian norm over 60 steps"] <= 0.9**60)
    wrong += float("does not suffice" not in result.text)
    return Check(wrong, 1e-12, "sum of differences", "powers of the chain")
