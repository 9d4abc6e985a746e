"""What the evidence of the user model and of its cascade shares: small networks, histories, planted tastes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl


def tower(n_items: int = 9, dim: int = 3, history: int = 4, state: str = "position-weight", seed: int = 0) -> Any:
    """Return scores of items in double precision, with random biases."""
    import torch

    from fivefold.models.recommend._user_model import ItemScores

    torch.manual_seed(seed)
    made = ItemScores(n_items, dim, history, 2, 5, state).double()
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "bias" in name:
                p.normal_()
    return made


def histories(count: int, length: int, n_items: int, seed: int = 0) -> np.ndarray:
    """Return histories with 0 ... length choices, oldest first, ``n_items`` before them."""
    draw = np.random.default_rng(seed)
    found = draw.integers(n_items, size=(count, length))
    return np.where(np.arange(length) < length - (np.arange(count) % (length + 1))[:, None], n_items, found)


def layer(module: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and shift."""
    return module.weight.detach().numpy(), 0.0 if module.bias is None else module.bias.detach().numpy()


def tastes(people: int = 150, things: int = 12, seed: int = 0) -> pl.DataFrame:
    """Return ratings: users of two kinds, each liking its half of the items, some of them more than others."""
    draw = np.random.default_rng(seed)
    likes = (np.arange(people)[:, None] + np.arange(things)) % 2 == 0
    users, items = np.nonzero(draw.random((people, things)) < 0.5)
    order = draw.permutation(len(users))
    users, items = users[order], items[order]
    good = draw.random(len(users)) < np.where(likes[users, items], 0.85, 0.1)
    frame = {"user": users, "item": items, "rating": np.where(good, 5.0, 2.0), "time": np.arange(len(users))}
    return pl.DataFrame(frame)


HOW: dict[str, Any] = {
    "slate_size": 2,
    "history_length": 3,
    "embedding_dim": 6,
    "hidden": 16,
    "n_positions": 2,
    "rating": "rating",
    "time": "time",
    "random_state": 0,
}
