"""Small trainings on real data, told apart by one part only: the loss, the optimizer, the schedule or a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.base.errors import SpecError

from ..context import Context
from ._data import holdout, load, matrix

HIDDEN = 64


@dataclass(frozen=True)
class Problem:
    """Standardized rows of a real data set with their targets as tensors."""

    form: str  # binary | class | real
    train: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]
    outputs: int

    @property
    def inputs(self) -> int:
        """Number of columns."""
        return int(self.train[0].shape[1])

    def usual_loss(self) -> nn.Module:
        """Return the loss one would take without thinking."""
        return {"binary": nn.BCEWithLogitsLoss, "class": nn.CrossEntropyLoss, "real": nn.MSELoss}[self.form]()


def refuse_model(context: Context) -> None:
    """The stock experiments of parts train a network of their own; a model of the user's is another run."""
    if context.spec.model is not None:
        raise SpecError(
            f"The stock experiment of {context.card.id!r} trains a small network of its own; to use it with the model "
            f"{context.spec.model.name!r}, leave out `id` so that the run is of the model."
        )


def problem(context: Context) -> Problem:
    """Return the data of the specification as standardized tensors."""
    loaded = load(context)
    x, y, _ = matrix(context, loaded, "scaled-one-hot")
    if y is None:
        raise SpecError(f"{loaded.name} has no target to learn.")
    form = {"binary": "binary", "multiclass": "class", "regression": "real"}[str(loaded.task)]
    outputs = 1
    if form == "real":
        values = y.astype(np.float64)
        target = torch.as_tensor((values - values.mean()) / values.std(), dtype=torch.float32)
    else:
        classes, codes = np.unique(y.astype(str), return_inverse=True)
        outputs = len(classes) if form == "class" else 1
        target = torch.as_tensor(codes, dtype=torch.long if form == "class" else torch.float32)
    split = holdout(context, y, len(x), classes=form != "real", loaded=loaded)
    mean, deviation = x[split.train].mean(axis=0), x[split.train].std(axis=0)
    scaled = torch.as_tensor((x - mean) / np.where(deviation > 0, deviation, 1.0), dtype=torch.float32)
    train, test = torch.as_tensor(split.train), torch.as_tensor(split.test)
    return Problem(form, (scaled[train], target[train]), (scaled[test], target[test]), outputs)


class Network(nn.Module):
    """One hidden layer, with an optional layer under study between the linear map and the nonlinearity, or in its place."""

    def __init__(
        self, inputs: int, outputs: int, between: nn.Module | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, HIDDEN)
        self.between = between if between is not None else nn.Identity()
        self.activation = activation if activation is not None else nn.ReLU()
        self.last = nn.Linear(HIDDEN, outputs)
        self.squeeze = outputs == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (batch,) or (batch, classes)."""
        out = self.last(self.activation(self.between(self.first(x))))
        return out.squeeze(-1) if self.squeeze else out


def network(
    context: Context, given: Problem, between: nn.Module | None = None, activation: nn.Module | None = None
) -> Network:
    """Return the network with the same first weights in every training of a run."""
    state = torch.random.get_rng_state()
    torch.manual_seed(context.streams.integer("network") % 2**63)
    try:
        return Network(given.inputs, given.outputs, between, activation)
    finally:
        torch.random.set_rng_state(state)


def train(
    context: Context, given: Problem, net: nn.Module, objective: Any, part: Mapping[str, Any]
) -> tuple[Any, dict[str, float]]:
    """Train by the engine; return its history and the measures on the rows held out."""
    from fivefold.data.batches import Batches
    from fivefold.engine.learner import SupervisedLearner
    from fivefold.engine.trainer import Trainer

    trainer = context.spec.trainer
    learner = SupervisedLearner(net, objective)
    batches = Batches(
        {"x": given.train[0], "y": given.train[1]},
        trainer.batch_size or 32,
        seed=context.streams.integer("batches") % 2**31,
    )
    history = Trainer(
        max_epochs=trainer.max_epochs or 20,
        parts={"model": dict(part)},
        seed=context.streams.integer("trainer") % 2**31,
    ).fit(learner, batches)
    return history, judge(given, net)


def judge(given: Problem, net: nn.Module) -> dict[str, float]:
    """Return accuracy and the usual loss (or the error) on the rows held out."""
    net.eval()
    with torch.no_grad():
        answer = net(given.test[0])
        found = {"usual loss held out": float(given.usual_loss()(answer, given.test[1]))}
        if given.form == "binary":
            found["accuracy held out"] = float(((answer > 0) == (given.test[1] > 0.5)).float().mean())
        elif given.form == "class":
            found["accuracy held out"] = float((answer.argmax(dim=1) == given.test[1]).float().mean())
    net.train()
    return found


def contest(
    context: Context, given: Problem, entrants: Mapping[str, tuple[nn.Module, Any, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Train every entrant ``name -> (network, objective, part)``; write metrics, a table and the curves; return histories."""
    from ._plots import curves

    histories: dict[str, Any] = {}
    rows: list[list[Any]] = []
    for name, (net, objective, part) in entrants.items():
        context.say(f"training with {name}")
        with context.timed(f"fit {name}"):
            histories[name], measures = train(context, given, net, objective, part)
        final = histories[name]["loss"][-1]
        context.metrics[f"{name}: final training loss"] = float(final)
        context.metrics.update({f"{name}: {key}": value for key, value in measures.items()})
        rows.append([name, final, *measures.values()])
    columns = ["", "final training loss", *judge(given, next(iter(entrants.values()))[0])]
    context.table("Beside the usual choice", columns, rows, "Same data, same first weights, same order of batches.")
    series = {name: (range(1, len(h) + 1), h["loss"]) for name, h in histories.items()}
    curves(context, "training", series, x="epoch", y="training loss", log=all(min(v[1]) > 0 for v in series.values()))
    return histories


def usual_optimizer(context: Context) -> dict[str, Any]:
    """Return the optimizer of the specification as the engine takes it."""
    from ..parts import part_spec

    return part_spec(context.spec.optimizer)


def own_params(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the part under study: what its card's experiment needs, then what the specification says."""
    return {**dict(context.knob("params", {})), **given}
