"""One harness for trajectories: an optimizer against a torch peer or against its recurrence in NumPy.

Two parameter groups with their own rates and weight decay, a parameter that never has a gradient, one whose gradient is all
zero, and a state dict loaded into a new optimizer halfway; on a quadratic and on a small network, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fivefold.evidence import Check, largest

Rule = Callable[[dict[str, Any], np.ndarray, np.ndarray, int, dict[str, Any]], np.ndarray]
STEPS = 500
SHAPES = {"quadratic": ((3,), (2, 2)), "network": ((5, 3), (5,), (1, 5))}


def start(problem: str) -> list[Tensor]:
    """Return the first parameters; the last two are the idle one and the one with zero gradient."""
    generator = torch.Generator().manual_seed(7)
    shapes = (*SHAPES[problem], (2,), (3,))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


_DATA = torch.randn(12, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
_TARGET = torch.sin(_DATA.sum(1, keepdim=True))
_CURVES = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64)


def loss(problem: str, params: list[Tensor]) -> Tensor:
    """Return the objective; the parameter before the last does not appear in it."""
    if problem == "quadratic":
        a, b = params[:2]
        value = (
            0.5 * (_CURVES * (a - 1) ** 2).sum()
            + 0.5 * (b**2).sum()
            + 0.2 * ((b + b.T) ** 2).sum()
            + 0.1 * (b[0] * a[:2]).sum()
        )
    else:
        first, bias, last = params[:3]
        value = ((torch.tanh(_DATA @ first.T + bias) @ last.T - _TARGET) ** 2).mean()
    return value + 0 * params[-1].sum()


def gradients(problem: str, params: list[Tensor]) -> list[Tensor | None]:
    """Return the gradient of each parameter, None for the idle one."""
    return list(torch.autograd.grad(loss(problem, params), params, allow_unused=True))


def groups(params: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return two groups; the second has half the rate and no decay."""
    first = {"params": params[:1], **options}
    second = {"params": params[1:], **options, "weight_decay": 0.0}
    if "lr" in options:
        second["lr"] = options["lr"] / 2
    if "weight_decay" not in options:
        second.pop("weight_decay")
    return [first, second]


def walk(
    make: Any,
    problem: str,
    options: dict[str, Any],
    steps: int = STEPS,
    reload: bool = True,
    given: list[list[Tensor | None]] | None = None,
) -> np.ndarray:
    """Return the path (steps, weights) of a torch optimizer, along the gradients ``given`` if there are any."""
    params = [p.clone().requires_grad_() for p in start(problem)]
    optimizer = make(groups(params, options))
    path = []
    for step in range(steps):
        if reload and step == steps // 2:
            state = optimizer.state_dict()
            optimizer = make(groups(params, options))
            optimizer.load_state_dict(state)
        for p, g in zip(params, given[step] if given else gradients(problem, params)):
            p.grad = g if g is None else g.clone()
        optimizer.step()
        path.append(torch.cat([p.detach().reshape(-1) for p in params]).numpy())
    return np.array(path)


def recur(rule: Rule, problem: str, options: dict[str, Any], steps: int = STEPS) -> np.ndarray:
    """Return the path of a recurrence ``rule(state, x, g, t, group) -> x``, with coupled weight decay."""
    values = [p.numpy().copy() for p in start(problem)]
    owners = [group for group in groups(list(range(len(values))), options) for _ in group["params"]]
    states: list[dict[str, Any]] = [{} for _ in values]
    path = []
    for step in range(1, steps + 1):
        params = [torch.tensor(x, requires_grad=True) for x in values]
        for i, g in enumerate(gradients(problem, params)):
            if g is not None:
                decayed = g.numpy() + owners[i].get("weight_decay", 0.0) * values[i]
                values[i] = rule(states[i], values[i], decayed, step, owners[i])
        path.append(np.concatenate([x.reshape(-1) for x in values]))
    return np.array(path)


def compare(ours: np.ndarray, theirs: np.ndarray, peer: str, bound: float = 1e-9) -> float:
    """Return the largest difference; a path that does not move is no evidence, nor is one that is not finite."""
    moved, gap = np.abs(theirs[-1] - theirs[0]).max(), np.abs(ours - theirs).max()
    return float(gap) if moved > 1e-3 and np.isfinite(gap) else float("inf")


def same(ours: Any, theirs: Any, *options: dict[str, Any], rule: bool = False, steps: int = STEPS) -> Check:
    """Check both problems with every set of options; ``theirs`` is a torch class or, with ``rule``, a recurrence."""
    gap = 0.0
    for given in options:
        for problem in SHAPES:
            peer = recur(theirs, problem, given, steps) if rule else walk(theirs, problem, given, steps, reload=False)
            gap = largest(gap, compare(walk(ours, problem, given, steps), peer, "peer"))
    # 500 contracting float64 steps add at most about 500 roundings of numbers near one, far below the 1e-6 asked for.
    return Check(gap, 1e-9, "max |parameter difference|", "NumPy recurrence" if rule else "torch.optim")


def replayed(ours: Any, theirs: Any, options: dict[str, Any]) -> Check:
    """Check each step along the same 500 gradients.

    With an epsilon far below the gradients the paths of a network's own gradients part from one rounding: a sign decides the
    step where a gradient is about 0. The rule itself is the map from gradients to steps, and that must agree.
    """
    gap = 0.0
    for problem in SHAPES:
        generator = torch.Generator().manual_seed(3)
        scale = torch.logspace(0, -6, STEPS, dtype=torch.float64)
        drawn = [
            [torch.randn(p.shape, generator=generator, dtype=torch.float64) * scale[i] for p in start(problem)]
            for i in range(STEPS)
        ]
        given: list[list[Tensor | None]] = [[*row[:-2], None, torch.zeros_like(row[-1])] for row in drawn]
        peer = walk(theirs, problem, options, reload=False, given=given)
        gap = largest(gap, compare(walk(ours, problem, options, given=given), peer, "peer"))
    return Check(gap, 1e-11, "max |parameter difference|", "torch.optim")


def listed_equals_fused(make: Any, *options: dict[str, Any]) -> Check:
    """The list form, which runs on a GPU, against the CPU kernel: the same steps in float64."""
    gap = 0.0
    for given in options:
        fused = walk(make, "network", given, 120)

        def listed(params: Any) -> Any:
            optimizer = make(params)
            kind = type(optimizer)

            class Listed(kind):  # type: ignore[misc,valid-type]
                def _dense(self, group: Any, params: Any, grads: Any) -> None:
                    self._listed(group, params, grads, self._states(group, params))

            optimizer.__class__ = Listed
            return optimizer

        gap = largest(gap, compare(walk(listed, "network", given, 120), fused, "kernel"))
    return Check(gap, 1e-10, "max |parameter difference|", "the CPU kernel")


def sparse_rows(make: Any, options: dict[str, Any], dense_too: Any = None, steps: int = 60) -> Check:
    """An embedding with sparse gradients against the same with dense ones."""
    rows = np.random.default_rng(5).integers(0, 7, size=(steps, 3))  # with repeats, to be summed; row 7 is never seen
    rows[9] = 2  # and one row alone
    paths = []
    for sparse in (True, False):
        table = torch.nn.Embedding(8, 3, sparse=sparse, dtype=torch.float64)
        with torch.no_grad():
            table.weight.copy_(torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(8, 3))
        optimizer = (make if sparse or dense_too is None else dense_too)([table.weight], **options)
        for step in range(steps):
            optimizer.zero_grad()
            ((table(torch.as_tensor(rows[step])) - 0.5) ** 2).sum().backward()
            optimizer.step()
        paths.append(table.weight.detach().numpy().copy())
    moved = np.abs(paths[1] - np.linspace(-1, 1, 24).reshape(8, 3)).max()
    return Check(
        float(np.abs(paths[0] - paths[1]).max()) + (not moved >= 1e-3),
        1e-12,
        "max |parameter difference|",
        "dense gradients",
    )
