"""A plain reading of the papers, one row and one number at a time, and the small problem on which networks are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

Vector = list[float]
SECOND = 1e-4
"""How far second derivatives in float32 may be from those in float64: hundreds of roundings, a factor of two is 1."""


def problem(rows: int = 7, seed: int = 0, longer: int = 0) -> tuple[Any, dict[str, Any]]:
    """Return a layout of five fields (user, item, price, gender; tags, history) and a batch in float64.

    ``longer`` adds so many places of padding, whose rows hold nothing but the mark of padding.
    """
    import torch

    from fivefold.models.recommend._inputs import Layout, SetField

    draw = np.random.default_rng(seed)
    sets = (SetField("tags", False, 3 + longer, None, (19, 25)), SetField("history", True, 4 + longer, 1, (0, 10)))
    counts = tuple(int(c) for c in np.random.default_rng(5).integers(0, 9, 25))
    layout = Layout(25, 4, (2,), (0, 1, 3), sets, counts)
    inds = np.stack([draw.integers(a, b, rows) for a, b in ((10, 15), (0, 10), (15, 16), (16, 19))], axis=1)
    vals = np.ones((rows, 4))
    vals[:, 2] = draw.normal(size=rows)
    batch = {"inds": torch.from_numpy(inds), "vals": torch.from_numpy(vals)}
    for name, (first, last), most in (("tags", (19, 25), 3), ("history", (0, 10), 4)):
        sizes = draw.integers(0, most + 1, rows)
        sizes[:3] = [0, 1, most]
        codes = draw.integers(first, last, (rows, most))
        codes[2, 0] = first  # of the history the first row of all, which is no padding
        codes[np.arange(most) >= sizes[:, None]] = -1
        batch[name] = torch.from_numpy(np.pad(codes, ((0, 0), (0, longer)), constant_values=-1))
    return layout, batch


def randomized(network: Any, seed: int = 1, spread: float = 0.4) -> Any:
    """Return the network in float64 with random weights and random running statistics, ready to answer."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    network = network.double().eval()
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * spread)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator, dtype=torch.float64) * 0.3)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator, dtype=torch.float64) + 0.5)
    return network


def weights(parameter: Any) -> list[Any]:
    """Return a parameter as nested lists of Python floats."""
    return parameter.detach().double().tolist()


def dot(a: Iterable[float], b: Iterable[float]) -> float:
    """Return the inner product of two vectors of one length."""
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def sigmoid(x: float) -> float:
    """Return the logistic function."""
    return 1 / (1 + math.exp(-x))


def row_of(network: Any, batch: dict[str, Any], row: int) -> dict[str, Any]:
    """Return what a row looks up: the vectors of its single fields, the rows of its sets, the first-order sum."""
    table, dim = weights(network.inputs.table.weight), network.inputs.dim
    inds, vals = batch["inds"][row].tolist(), batch["vals"][row].tolist()
    singles = [[table[i][k] * v for k in range(dim)] for i, v in zip(inds, vals)]
    sets = {s.name: [table[c][:dim] for c in batch[s.name][row].tolist() if c >= 0] for s in network.layout.sets}
    linear = 0.0
    if len(table[0]) > dim:
        linear = sum(table[i][dim] * v for i, v in zip(inds, vals))
        for s in network.layout.sets:
            members = [table[c][dim] for c in batch[s.name][row].tolist() if c >= 0]
            linear += sum(members) / len(members) if members else 0.0
    pooled = [mean(members, dim) for members in sets.values()]
    return {"singles": singles, "sets": sets, "linear": linear, "fields": [*singles, *pooled], "vals": vals}


def mean(members: list[Vector], dim: int) -> Vector:
    """Return the mean of vectors, 0 of none."""
    return [sum(m[k] for m in members) / len(members) if members else 0.0 for k in range(dim)]


def flat(vectors: Iterable[Vector]) -> Vector:
    """Return vectors one after the other."""
    return [x for vector in vectors for x in vector]


def dense(layer: Any, x: Vector) -> Vector:
    """Return W x + b."""
    bias = [0.0] * layer.out_features if layer.bias is None else weights(layer.bias)
    return [dot(w, x) + b for w, b in zip(weights(layer.weight), bias)]


def through(layers: Any, x: Vector) -> Vector:
    """Return what dense layers, batch norm, ReLU, PReLU and Dice make of a vector, with running statistics."""
    for layer in layers:
        kind = type(layer).__name__
        if kind == "Linear":
            x = dense(layer, x)
        elif kind == "BatchNorm":
            x = normed(layer, x)
            x = [w * v + b for w, v, b in zip(weights(layer.weight), x, weights(layer.bias))]
        elif kind == "ReLU":
            x = [max(v, 0.0) for v in x]
        elif kind == "PReLU":
            x = [v if v > 0 else a * v for v, a in zip(x, weights(layer.weight))]
        elif kind == "Dice":
            p = [sigmoid(v) for v in normed(layer.norm, x)]
            x = [q * v + (1 - q) * a * v for q, v, a in zip(p, x, weights(layer.alpha))]
        elif kind != "Dropout":
            raise ValueError(f"The plain reading knows no {kind}.")
    return x


def normed(layer: Any, x: Vector) -> Vector:
    """Return (x - mean) / sqrt(variance + eps)."""
    means, variances = weights(layer.running_mean), weights(layer.running_var)
    return [(v - m) / math.sqrt(s + layer.eps) for v, m, s in zip(x, means, variances)]


def furthest(network: Any, batch: dict[str, Any], score: Any) -> float:
    """Return the largest distance of the network's outputs from ``score(row) -> list``; NaN and wrong shapes are infinite."""
    import torch

    with torch.no_grad():
        found = network(batch).numpy()
    expected = np.array([score(row) for row in range(len(found))], dtype=np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return math.inf
    return float(np.abs(found - expected).max())


def second_derivatives(function: Any, given: list[Any]) -> float:
    """Return how far those of a compiled function are from those in float64, of its plain form, relative to the largest."""
    import torch

    found: list[Any] = []
    for kind in (torch.float32, torch.float64):
        leaves = [t.detach().to(kind).requires_grad_() for t in given]
        slopes = torch.autograd.grad(function(*leaves).square().sum(), leaves, create_graph=True)
        found.append(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), leaves))
    differences = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found)]
    return float(np.max(differences))


def count(network: Any) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in network.parameters())


def perceptron_count(sizes: list[int], *, batch_norm: bool) -> int:
    """Return the parameters of dense layers from sizes[0] on: (in + 1) out each, and 2 out for batch norm."""
    return sum((a + 1) * b + 2 * b * batch_norm for a, b in zip(sizes, sizes[1:]))
