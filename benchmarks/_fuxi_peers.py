"""FuxiCTR's layers and training step on the fields of a click log, for the benchmark of click models.

Its package has the layers, its repository what joins them to a model, which is written here anew. Its readers of files, which
need ray, stay out: batches are cut from arrays in memory. What differs from ours is kept as it has it: attention adds its input
without a matrix where the lengths agree, and the running statistics of Dice move by .01 a step.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LABEL, HISTORY = "click", "history"
OPTIONS = {
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "verbose": 0,
    "model_root": ".",
    "metrics": ["AUC"],
    "gpu": -1,
}


def library() -> Any:
    """Return FuxiCTR, kept from importing ray.

    Raises
    ------
    ImportError
        When it is not installed.
    """
    import fuxictr

    readers = types.ModuleType("fuxictr.preprocess.tokenizer")
    readers.load_pretrain_emb = lambda *given: None  # type: ignore[attr-defined]
    sys.modules.setdefault("fuxictr.preprocess", types.ModuleType("fuxictr.preprocess"))
    sys.modules.setdefault("fuxictr.preprocess.tokenizer", readers)
    import fuxictr.features
    import fuxictr.pytorch.layers
    import fuxictr.pytorch.models

    return fuxictr


def _deepfm(layers: Any, fields: Any, embed: Any, hidden: list[int], dim: int) -> tuple[nn.ModuleDict, Any]:
    parts = {
        "fm": layers.FactorizationMachine(fields),
        "deep": layers.MLP_Block(fields.sum_emb_out_dim(), hidden, output_dim=1, batch_norm=True),
    }

    def score(x: dict[str, Tensor]) -> Tensor:
        e = embed(x)
        return parts["fm"](x, torch.stack(list(e.values()), 1)) + parts["deep"](torch.cat(list(e.values()), 1))

    return nn.ModuleDict(parts), score


def _dcn(layers: Any, fields: Any, embed: Any, hidden: list[int], dim: int) -> tuple[nn.ModuleDict, Any]:
    size = fields.sum_emb_out_dim()
    parts = {
        "cross": layers.CrossNet(size, 3),
        "deep": layers.MLP_Block(size, hidden, batch_norm=True),
        "out": nn.Linear(size + hidden[-1], 1),
    }

    def score(x: dict[str, Tensor]) -> Tensor:
        e = torch.cat(list(embed(x).values()), 1)
        return parts["out"](torch.cat([parts["cross"](e), parts["deep"](e)], 1))

    return nn.ModuleDict(parts), score


class _Heads(nn.Module):
    """Two heads of its dot-product attention with a residual, as AutoInt has them."""

    def __init__(self, layers: Any, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.attention = layers.ScaledDotProductAttention()

    def forward(self, e: Tensor) -> Tensor:
        q, k, v = (part(e).unflatten(2, (2, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        return torch.relu(self.attention(q, k, v)[0].transpose(1, 2).flatten(2) + e)


def _autoint(layers: Any, fields: Any, embed: Any, hidden: list[int], dim: int) -> tuple[nn.ModuleDict, Any]:
    parts = {
        "attention": nn.Sequential(_Heads(layers, dim), _Heads(layers, dim)),
        "out": nn.Linear(fields.sum_emb_out_dim(), 1),
    }

    def score(x: dict[str, Tensor]) -> Tensor:
        return parts["out"](parts["attention"](torch.stack(list(embed(x).values()), 1)).flatten(1))

    return nn.ModuleDict(parts), score


def _din(layers: Any, fields: Any, embed: Any, hidden: list[int], dim: int) -> tuple[nn.ModuleDict, Any]:
    parts = {
        "unit": layers.DIN_Attention(dim, [80, 40], hidden_activations="Dice"),
        "deep": layers.MLP_Block(fields.sum_emb_out_dim(), hidden, output_dim=1, batch_norm=True),
    }
    target = list(fields.features)[-2]

    def score(x: dict[str, Tensor]) -> Tensor:
        e = embed(x)
        e[HISTORY] = parts["unit"](e[target], e[HISTORY], x[HISTORY] != 0)
        return parts["deep"](torch.cat(list(e.values()), 1))

    return nn.ModuleDict(parts), score


MODELS = {"DeepFM": _deepfm, "DCN": _dcn, "AutoInt": _autoint, "DIN": _din}


def _feature_map(fuxictr: Any, sizes: Sequence[int], history: int, dim: int) -> Any:
    """Return its description of the fields; with a history, code 0 of the last field stands for padding."""
    found = fuxictr.features.FeatureMap("log", ".")
    last = f"c{len(sizes) - 1}"
    for i, size in enumerate(sizes):
        found.features[f"c{i}"] = {"type": "categorical", "vocab_size": size, "source": ""}
    if history:
        padded = {"vocab_size": sizes[-1] + 1, "padding_idx": 0, "source": ""}
        found.features[last] = {"type": "categorical", **padded}
        found.features[HISTORY] = {"type": "sequence", "max_len": history, "share_embedding": last, **padded}
    found.num_fields, found.default_emb_dim = found.get_num_fields(), dim
    found.labels = [LABEL]
    return found


class FuxiPeer:
    """One of its models with dense Adam, without penalties, on categories alone; parameters as of ``_click_peers.Peer``."""

    def __init__(
        self,
        name: str,
        sizes: Sequence[int],
        hidden: Sequence[int],
        *,
        dim: int,
        rate: float,
        batch: int,
        seed: int,
        history: int,
    ) -> None:
        fuxictr = library()
        layers, fields = fuxictr.pytorch.layers, _feature_map(fuxictr, sizes, history, dim)
        torch.manual_seed(seed)
        embed = layers.FeatureEmbeddingDict(fields, dim, embedding_initializer="partial(nn.init.normal_, std=0.01)")
        parts, score = MODELS[name](layers, fields, embed, list(hidden), dim)

        class Model(fuxictr.pytorch.models.BaseModel):  # type: ignore[misc, name-defined]
            def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
                return {"y_pred": self.output_activation(score(self.get_inputs(inputs)))}

        self.model = Model(fields, **OPTIONS)
        self.model.embed, self.model.parts = embed, parts
        self.model.compile(OPTIONS["optimizer"], OPTIONS["loss"], rate)
        self.model.reset_parameters()
        self.model._max_gradient_norm = 10.0  # the default of its fit
        self._batch = batch

    def _batches(self, codes: np.ndarray, history: np.ndarray | None, y: np.ndarray, order: Tensor) -> Iterator[Any]:
        columns = {f"c{i}": torch.from_numpy(np.ascontiguousarray(c)) for i, c in enumerate(codes.T)}
        if history is not None:
            last = f"c{codes.shape[1] - 1}"
            columns |= {last: columns[last] + 1, HISTORY: torch.from_numpy(history + 1)}
        columns[LABEL] = torch.from_numpy(y)
        for rows in order.split(self._batch):
            yield {name: column[rows] for name, column in columns.items()}

    def fit(self, codes: np.ndarray, history: np.ndarray | None, y: np.ndarray) -> FuxiPeer:
        """Train one epoch."""
        self.model.train()
        for batch in self._batches(codes, history, y, torch.randperm(len(y))):
            self.model.train_step(batch)
        return self

    @torch.no_grad()
    def predict(self, codes: np.ndarray, history: np.ndarray | None) -> np.ndarray:
        """Return probabilities (n,)."""
        self.model.eval()
        batches = self._batches(codes, history, np.zeros(len(codes)), torch.arange(len(codes)))
        return torch.cat([self.model(batch)["y_pred"][:, 0] for batch in batches]).numpy()
