"""The taxonomy of tasks: what comes out, by how it is supervised; and which losses and metrics fit which task.

Learning is the search for a function. What the function returns is the *output*: a number (regression), a choice (binary,
multiclass, multilabel), an order (ranking), a structure (generation), a grouping, a code. What tells it right from wrong is the
*supervision*: labels, a reward, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from fivefold.base.cards import SUPERVISION, TASKS, Card
from fivefold.base.errors import CapabilityError
from fivefold.base.names import resolve


@dataclass(frozen=True)
class Task:
    """One output type.

    Parameters
    ----------
    name : str
        As cards spell it.
    output : str
        What the learned function returns for one input.
    supervisions : tuple of str
        Under which supervision methods of this task are trained.
    """

    name: str
    output: str
    supervisions: tuple[str, ...]


_ALL = ("supervised", "unsupervised", "reinforcement")
REGISTRY: dict[str, Task] = {
    task.name: task
    for task in (
        Task("binary", "one of two classes", ("supervised",)),
        Task("multiclass", "one of several classes", ("supervised",)),
        Task("multilabel", "a set of classes", ("supervised",)),
        Task("regression", "a number", ("supervised",)),
        Task("ranking", "an order of items", ("supervised", "reinforcement")),
        Task("clustering", "a group", ("unsupervised",)),
        Task("generation", "a structured object", ("supervised", "unsupervised", "reinforcement")),
        Task("representation", "a code", ("supervised", "unsupervised")),
        Task("detection", "a degree of strangeness", ("supervised", "unsupervised")),
        Task("forecasting", "the future of a series", ("supervised",)),
        Task("control", "an action", ("reinforcement",)),
        Task("optimization", "a point", ("none",)),
        Task("none", "whatever it is a part of", ("none", *_ALL)),
    )
}
"""Every task of the taxonomy by name."""


def get_task(name: str) -> Task:
    """Return the task that ``name`` means; an unknown one is an error with its nearest neighbors."""
    return REGISTRY[resolve(name, REGISTRY, "task")]


def check_card(card: Card) -> None:
    """Refuse a card whose task and supervision exclude each other.

    Raises
    ------
    CapabilityError
        Naming the task, the supervision and what goes together.
    """
    if card.supervision == "none":
        return
    for name in card.task:
        task = REGISTRY[name]
        if card.supervision not in task.supervisions:
            raise CapabilityError(
                f"{card.id!r} declares the task {name!r} and {card.supervision!r} supervision, which exclude each other; "
                f"{name} goes with: {', '.join(task.supervisions)}."
            )


def serves(card: Card, task: str) -> bool:
    """Tell whether a method, loss or metric serves a task; one that declares ``none`` serves any."""
    return "none" in card.task or task in card.task


def check_fit(owner: Card, task: str, *, part: str, because: str = "") -> None:
    """Refuse a part that does not serve the task.

    Parameters
    ----------
    owner : Card
        Of the model, loss or metric.
    task : str
        The task that the data set.
    part : str
        The role of ``owner`` in the sentence: "model", "objective", "metric".
    because : str
        Where the task comes from, for the sentence.

    Raises
    ------
    CapabilityError
        Naming both sides and what is missing.
    """
    get_task(task)
    if not serves(owner, task):
        raise CapabilityError(
            f"The {part} {owner.id!r} does not fit the task {task!r}{because}: it serves {', '.join(owner.task)}."
        )


def check_combination(model: Card, task: str, objective: Card | None = None, metrics: tuple[Card, ...] = ()) -> None:
    """Check a whole combination: model, loss and metrics against one task and against each other.

    Raises
    ------
    CapabilityError
        For the first part that does not fit.
    """
    check_fit(model, task, part="model")
    if objective is not None:
        check_fit(objective, task, part="objective", because=f" of the model {model.id!r}")
    for metric in metrics:
        check_fit(metric, task, part="metric", because=f" of the model {model.id!r}")


def table() -> list[dict[str, object]]:
    """Return the taxonomy as rows: task, output and the supervisions under which it is learned."""
    return [
        {"task": task.name, "output": task.output, **{s: s in task.supervisions for s in SUPERVISION if s != "none"}}
        for task in (REGISTRY[name] for name in TASKS)
    ]
