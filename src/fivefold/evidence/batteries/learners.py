"""Whatever the engine trains: interruption and resumption to the bit, and losses that use no stale weights."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base.cards import Card
from fivefold.workbench.proof import Check

from . import ctr, estimators, generators

if TYPE_CHECKING:
    from fivefold.engine.fit import Fit


def trained_by_engine(card: Card) -> bool:
    """Whether the card's estimator is trained by the engine, as its ``max_epochs`` tells."""
    import inspect

    cls = card.load()
    return isinstance(cls, type) and "max_epochs" in inspect.signature(cls.__init__).parameters


def _subject(card: Card, variant: str) -> tuple[Any, tuple[np.ndarray, ...]]:
    model = ctr.subject(card, variant) if card.kind == "ctr-model" else estimators.make(card, variant)
    model.set_params(max_epochs=2, batch_size=16)
    if card.kind == "generator":
        return model, (generators.example(card),)
    if card.kind == "ctr-model":
        return model, (ctr.clicks(), "click")
    return model, estimators.data(card, variant)


def _weights(model: Any) -> dict[str, Any]:
    learner = model.learner_ if hasattr(model, "learner_") else model.module_
    return dict(learner.state_dict())


def resumed(card: Card, variant: str) -> Check:
    """Interrupted by a signal after three batches and resumed, it ends in the same weights, to the bit."""
    import torch

    from fivefold.engine.callbacks import Callback
    from fivefold.engine.runtime import TrainingInterrupted
    from fivefold.engine.session import session

    class Interrupt(Callback):
        def on_batch_end(self, fit: Fit, batch: Any) -> None:
            if fit.counters["batches"] == 3:
                signal.raise_signal(signal.SIGINT)

    whole, arguments = _subject(card, variant)
    whole.fit(*arguments)
    with tempfile.TemporaryDirectory() as folder:
        model, _ = _subject(card, variant)
        interrupted = False
        try:
            with session(Path(folder), progress=False, callbacks=[Interrupt()]):
                model.fit(*arguments)
        except TrainingInterrupted:
            interrupted = True
        with session(Path(folder), progress=False, resume=True):
            model.fit(*arguments)
    pairs = zip(_weights(whole).values(), _weights(model).values())
    differing = sum(not torch.equal(a, b) for a, b in pairs) + int(not interrupted)
    return Check(differing, 0, "tensors that differ", "the uninterrupted run")


def _walk(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (node, parameter) for every parameter that a node of the graph reads."""
    seen, stack = set(), [root]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for child, _ in node.next_functions:
            if child is not None and hasattr(child, "variable"):
                yield node, child.variable
            else:
                stack.append(child)


def no_stale_weights(card: Card, variant: str) -> Check:
    """No loss reaches through a weight that was stepped after that part of its graph was built."""
    import torch

    from fivefold.engine.callbacks import Callback
    from fivefold.engine.session import session

    stale: list[str] = []

    class Watch(Callback):
        def on_fit_start(self, fit: Fit) -> None:
            original = fit.learner.steps
            members = {name: {id(p) for p in part} for name, part in fit.learner.parts().items()}

            def steps(batch: Any) -> Any:
                stepped: dict[int, int] = {}
                generator = original(batch)
                answer = None
                while True:
                    try:
                        step = generator.send(answer)
                    except StopIteration:
                        return
                    if isinstance(step.loss, torch.Tensor):
                        for node, parameter in _walk(step.loss.grad_fn):
                            if node._sequence_nr() < stepped.get(id(parameter), 0):
                                stale.append(step.part)
                    answer = yield step
                    if answer:
                        now = torch.autograd._get_sequence_nr()
                        stepped.update(dict.fromkeys(members[step.part], now))

            fit.learner.steps = steps  # type: ignore[method-assign]

    model, arguments = _subject(card, variant)
    model.set_params(max_epochs=1)
    with session(progress=False, callbacks=[Watch()]):
        model.fit(*arguments)
    return Check(len(stale), 0, f"stale losses {sorted(set(stale))}", "the order of the graph")


LEARNER = {"resumed": resumed, "no-stale-weights": no_stale_weights}
