"""Evidence for Adam with sparse gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.sparse_adam import SparseAdam

from ._trajectories import same, sparse_rows

OPTIONS = {"lr": 0.03, "betas": (0.8, 0.97), "eps": 0.01}


@evidence(
    "sparse-adam",
    claim="Sparse gradients give the path of dense ones, for both places of epsilon",
    against="torch Adam; Adam",
)
def sparse_adam_dense() -> Check:
    found = [
        # torch's Adam corrects the root, then adds epsilon.
        sparse_rows(SparseAdam, {**OPTIONS}, lambda p, **o: Adam(p, epsilon_hat=True, **o)),
        sparse_rows(lambda p, **o: SparseAdam(p, epsilon_hat=False, **o), OPTIONS, torch.optim.Adam),
        sparse_rows(lambda p, **o: SparseAdam(p, epsilon_hat=False, **o), {}, torch.optim.Adam, 200),
        sparse_rows(SparseAdam, {**OPTIONS, "maximize": True}, lambda p, **o: Adam(p, epsilon_hat=True, **o), 20),
    ]
    return Check(largest(c.value for c in found), 1e-12, found[0].unit, "torch.optim.Adam")


def _table(make: Any, options: dict[str, Any], steps: int = 80, reload: bool = False) -> np.ndarray:
    """Return the path of a table of 8 rows whose row 7 is looked up first and then never again."""
    rows = np.random.default_rng(6).integers(0, 7, size=(steps, 3))
    rows[0] = 7
    table = torch.nn.Embedding(8, 3, sparse=True, dtype=torch.float64)
    with torch.no_grad():
        table.weight.copy_(torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(8, 3))
    optimizer, path = make([table.weight], **options), []
    for step in range(steps):
        if reload and step == steps // 2:
            state = optimizer.state_dict()
            optimizer = make([table.weight], **options)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        ((table(torch.as_tensor(rows[step])) - 0.5) ** 2).sum().backward()
        optimizer.step()
        path.append(table.weight.detach().numpy().copy())
    return np.array(path)


def _lazy(params: Any, **options: Any) -> SparseAdam:
    return SparseAdam(params, lazy=True, **options)


@evidence(
    "sparse-adam",
    claim="The lazy form takes torch's steps, resumed and with its defaults",
    against="torch.optim.SparseAdam",
)
def sparse_adam_lazy() -> Check:
    gap = 0.0
    for options in ({}, OPTIONS, {**OPTIONS, "maximize": True}):
        theirs = _table(torch.optim.SparseAdam, options)
        gap = largest(gap, float(np.abs(_table(_lazy, options, reload=True) - theirs).max()))
    gap += not float(np.abs(theirs[-1] - theirs[0]).max()) >= 1e-2
    return Check(gap, 1e-12, "max |parameter difference|", "torch.optim.SparseAdam")


@evidence(
    "sparse-adam",
    claim="A row no longer looked up goes on by its mean, and stays where it is in the lazy form",
    against="closed form",
)
def sparse_adam_forms() -> Check:
    path = _table(SparseAdam, OPTIONS, 12)[:, 7]  # its only gradient comes at the first step
    gradient = 2 * 3 * (np.linspace(-1, 1, 24).reshape(8, 3)[7] - 0.5)  # three look-ups of the row
    (b1, b2), lr, eps, gap = OPTIONS["betas"], OPTIONS["lr"], OPTIONS["eps"], 0.0  # type: ignore[misc]
    for t in range(2, 13):
        mean, square = (1 - b1) * b1 ** (t - 1) * gradient, (1 - b2) * b2 ** (t - 1) * gradient**2  # type: ignore[operator]
        step = lr * np.sqrt(1 - b2**t) / (1 - b1**t) * mean / (np.sqrt(square) + eps)  # type: ignore[operator]
        gap = largest(gap, float(np.abs(path[t - 2] - path[t - 1] - step).max()))
    still = _table(_lazy, OPTIONS, 12)[:, 7]
    return Check(gap + float(np.abs(still - still[0]).max()), 1e-14, "max |difference|", "closed form")


@evidence("sparse-adam", claim="Parameters with dense gradients take Adam's steps", against="torch.optim.Adam")
def sparse_adam_other() -> Check:
    options = {"lr": 0.01, "betas": (0.8, 0.97), "eps": 0.1, "weight_decay": 0.05}
    lazy = same(lambda p: SparseAdam(p, lazy=True, epsilon_hat=False), torch.optim.Adam, options, steps=150)
    return Check(lazy.value, 1e-9, lazy.unit, lazy.peer)
