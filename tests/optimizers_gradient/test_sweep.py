"""The compiled step: after a fork, with states of another model, with strided gradients, and its threads."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest
import torch

from fivefold.base.errors import InputError
from fivefold.optimizers import SGD, Adam, Momentum, Nesterov
from fivefold.optimizers.gradient._sweep import SHARED_FROM

FORKED = """
import os, sys
import numpy as np, torch
from fivefold.optimizers import Adam

torch.set_num_threads(2)
pairs = []
for _ in range(2):
    p = torch.from_numpy(np.linspace(-1, 1, 300_001)).requires_grad_()
    p.grad = torch.from_numpy(np.linspace(3, -2, 300_001))
    pairs.append((p, Adam([p], lr=0.1)))
    pairs[-1][1].step()  # the pool of this process has its threads now
pairs[0][1].step()
# The child does nothing but our step: torch's own threads do not outlive a fork.
child = os.fork()
if child == 0:
    pairs[1][1].step()
    os._exit(0 if np.array_equal(*(p.detach().numpy() for p, _ in pairs)) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_steps_after_its_parent_used_the_threads() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(FORKED)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_state_of_another_shape_is_refused_before_the_kernel_reads_beyond_it() -> None:
    small, large = torch.ones(2, requires_grad=True), torch.ones(500, requires_grad=True)
    one, other = Adam([small]), Adam([large])
    small.grad, large.grad = torch.ones_like(small), torch.ones_like(large)
    one.step()
    other.load_state_dict(one.state_dict())
    with pytest.raises(
        InputError, match=r"the state 'exp_avg' is float32 of shape \(2,\) on cpu and its parameter float32 of"
    ):
        other.step()


def test_a_model_converted_after_its_first_step_is_refused() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = Momentum(layer.parameters())
    for double in (False, True):
        if double:
            layer.double()
        optimizer.zero_grad()
        layer(torch.ones(1, 3, dtype=layer.weight.dtype)).sum().backward()
        if not double:
            optimizer.step()
    with pytest.raises(InputError, match="convert or move a model before its optimizer takes a step"):
        optimizer.step()


@pytest.mark.parametrize("make", [Adam, Momentum, Nesterov, lambda p: SGD(p, weight_decay=0.1)])
def test_strided_parameters_and_gradients_step_as_contiguous_ones(make) -> None:
    values = torch.arange(12.0).reshape(3, 4)
    ends = []
    for parameter, gradient in ((False, False), (True, False), (False, True), (True, True)):
        p = (values.T.contiguous().T if parameter else values.clone()).requires_grad_()
        optimizer = make([p])
        for step in range(4):
            g = torch.cos(values + step)
            p.grad = g.T.contiguous().T if gradient else g
            optimizer.step()
        ends.append(p.detach().contiguous())
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-6, atol=1e-6)


def test_bfloat16_weights_keep_their_type_and_their_state() -> None:
    p = torch.linspace(-1, 1, 9).bfloat16().requires_grad_()
    optimizer = Adam([p], lr=0.125)
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert p.dtype == torch.bfloat16
    assert optimizer.state[p]["exp_avg"].dtype == torch.bfloat16
    torch.testing.assert_close(p.detach().float(), torch.linspace(-1, 1, 9) - 0.125, rtol=0.01, atol=0.01)


def test_an_error_in_a_part_of_another_thread_comes_back() -> None:
    import numpy as np

    from fivefold.optimizers.gradient._sweep import sweep

    tensor = torch.zeros(SHARED_FROM)
    home = threading.get_ident()
    busy = threading.Event()

    def kernel(table: np.ndarray, numbers: np.ndarray) -> None:
        if threading.get_ident() != home:
            busy.set()
            raise ValueError("the second part")
        assert busy.wait(20)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="the second part"):
            sweep(kernel, [[tensor]], np.zeros((1, 1), dtype=np.float32))
    finally:
        torch.set_num_threads(before)
