"""What the evidence of several layers shares."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.errors import InputError
from fivefold.evidence import largest


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weighted(y: Tensor) -> Tensor:
    """Return a scalar in which every output counts differently."""
    return (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y).cos()).sum()


def gap(ours: Callable[..., Any], peer: Callable[..., Any], *inputs: Tensor) -> float:
    """Return the largest difference in outputs and in gradients to inputs and, for modules, parameters in their order."""
    found = []
    for function in (ours, peer):
        given = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
        parameters = list(function.parameters()) if isinstance(function, torch.nn.Module) else []
        y = function(*given)
        y = y[0] if isinstance(y, tuple) else y
        wanted = [v for v in (*given, *parameters) if v.requires_grad]
        found.append([y.detach(), *torch.autograd.grad(weighted(y), wanted)])
    if [tuple(v.shape) for v in found[0]] != [tuple(v.shape) for v in found[1]]:
        return float("inf")
    return largest(float((a - b).abs().max()) for a, b in zip(*found))


def same_weights(ours: torch.nn.Module, peer: torch.nn.Module, seed: int = 3) -> None:
    """Give both modules the same random parameters, in the order in which they list them."""
    with torch.no_grad():
        for number, (a, b) in enumerate(zip(ours.parameters(), peer.parameters(), strict=True)):
            value = 0.5 * noise(*a.shape, seed=seed + number)
            a.copy_(value), b.copy_(value)


def undocumented_defaults(demo: type[Any]) -> int:
    """Return how many defaults of a demonstration differ from those that its docstring states, or are not stated."""
    stated = dict(re.findall(r"^(\w+) : .*?default (\(.*\)|[^,\n]+)", inspect.getdoc(demo) or "", re.M))
    fields = {f.name: str(f.default) for f in dataclasses.fields(demo)}
    wrong = sum(re.sub(r"\.0\b", "", stated.get(k, "")) != re.sub(r"\.0\b", "", v) for k, v in fields.items())
    given = inspect.signature(demo.run).parameters
    return wrong + (given["seed"].default != 0 or given["quick"].default is not False)


def refused(make: Callable[..., Any], *given: Any) -> bool:
    """Return whether a call is refused in one sentence."""
    try:
        make(*given)
    except InputError as error:
        return str(error).endswith(".")
    return False
