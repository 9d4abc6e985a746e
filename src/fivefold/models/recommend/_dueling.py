"""Dueling bandit gradient descent over networks that rank (Yue & Joachims 2009; Zheng et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ._baselines import best_left

RANK_POWER = 3.0
"""An item at rank j of a list is drawn with a chance proportional to 1 / j^3 (Hofmann, Whiteson & de Rijke 2011)."""


def perturbation(network: nn.Module, alpha: float, generator: np.random.Generator) -> list[Tensor]:
    r"""Return :math:`\Delta W = \alpha\, \mathrm{rand}(-1, 1) \odot W` for every parameter, one uniform number a weight."""
    found = []
    for p in network.parameters():
        uniform = torch.from_numpy(generator.uniform(-1.0, 1.0, tuple(p.shape))).to(p.dtype)
        found.append(alpha * uniform * p.detach())
    return found


@torch.no_grad()
def shift(network: nn.Module, direction: list[Tensor], size: float) -> None:
    r"""Move the weights: :math:`W \leftarrow W + \eta\, \Delta W`."""
    for p, step in zip(network.parameters(), direction):
        p.add_(step, alpha=size)


@contextmanager
def shifted(network: nn.Module, direction: list[Tensor]) -> Iterator[nn.Module]:
    r"""Give the network the weights :math:`\tilde W = W + \Delta W` for a while."""
    before = [p.detach().clone() for p in network.parameters()]
    shift(network, direction, 1.0)
    try:
        yield network
    finally:
        with torch.no_grad():
            for p, old in zip(network.parameters(), before):
                p.copy_(old)


def interleave(
    first: np.ndarray, second: np.ndarray, gone: np.ndarray, size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return lists (b, size) of the items of two rankings, and which places the second one filled, bool (b, size).

    A coin chooses the ranking of each place, which gives one of its ``size`` best items that are not listed yet, drawn by
    1 / rank^3.

    Parameters
    ----------
    first, second : float (b, n_items), scores
    gone : bool (b, n_items), items that no list may hold
    size : int
    generator : numpy Generator
    """
    keys = np.full((2, *first.shape), -np.inf)
    for keep, scores in zip(keys, (first, second)):
        best = best_left(scores, gone, size)  # (b, size)
        # Gumbel noise on log chances: taking the largest key left is drawing without replacement, whatever else is taken.
        noise = generator.gumbel(size=best.shape) - RANK_POWER * np.log(np.arange(1, size + 1))
        np.put_along_axis(keep, best, noise, axis=1)
    coin = generator.integers(2, size=(len(first), size)).astype(bool)
    lists = np.empty((len(first), size), dtype=np.int64)
    rows = np.arange(len(first))
    for place in range(size):
        chosen = np.where(coin[:, place, None], keys[1], keys[0]).argmax(axis=1)  # (b,)
        keys[:, rows, chosen] = -np.inf
        lists[:, place] = chosen
    return lists, coin


def outcome(liked: np.ndarray, coin: np.ndarray) -> int:
    """Return how many more liked items the second ranking brought than the first."""
    return int((liked & coin).sum()) - int((liked & ~coin).sum())
