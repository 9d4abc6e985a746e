"""Cards: one TOML table per method, the only place where a method is declared.

Names, command-line lists, batteries, documentation and public imports follow from the cards. Reading a card imports nothing
of the method; :meth:`Card.load` does.
"""

from __future__ import annotations

import functools
import importlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Any

from .errors import SpecError
from .names import resolve

KINDS: dict[str, str] = {
    "classifier": "fit, predict, predict_proba",
    "regressor": "fit, predict",
    "transformer": "fit, transform",
    "clusterer": "fit, predict, labels_",
    "detector": "fit, score_samples, predict",
    "text-classifier": "fit(texts, y), predict, predict_proba",
    "matcher": "fit(pairs, y), predict, predict_proba",
    "tagger": "fit(sequences, tags), predict, score",
    "language-model": "fit(corpus), perplexity, generate",
    "translator": "fit(sources, targets), translate",
    "embedding": "fit(corpus, graph or sessions), vectors_, most_similar",
    "node-classifier": "fit(graph), predict(graph)",
    "graph-classifier": "fit(graphs, y), predict(graphs)",
    "generator": "fit(X), sample(n)",
    "recommender": "fit(table), predict(table), recommend(users, k)",
    "ctr-model": "fit(table, target), predict(table)",
    "forecaster": "fit(y), predict(horizon)",
    "agent": "learn(total_steps), act(observation), evaluate(episodes)",
    "planner": "solve(mdp)",
    "environment": "reset, step",
    "numerical-optimizer": "minimize(fun, x0)",
    "program": "solve()",
    "loss": "torch module: forward(input, target)",
    "layer": "torch module: forward(input)",
    "gradient-optimizer": "torch optimizer: step()",
    "schedule": "torch learning-rate scheduler: step()",
    "metric": "update, merge, compute; .function",
    "statistical-test": "test(a, b)",
    "splitter": "split(X, y, groups)",
    "resampler": "fit_resample(X, y)",
    "sampler": "iterator of row indices",
    "reader": "read(source)",
    "explainer": "explain(model, x, target)",
    "attack": "attack(model, x, y)",
    "defense": "wraps a model",
    "demo": "run(seed, out, quick)",
    "system": "run executes its evidence scenario",
}
"""The closed list of kinds, each with its verbs."""

TASKS = (
    "binary",
    "multiclass",
    "multilabel",
    "regression",
    "ranking",
    "clustering",
    "generation",
    "representation",
    "detection",
    "forecasting",
    "control",
    "optimization",
    "none",
)
"""Output types of the taxonomy; ``none`` is for parts that serve any task."""

SUPERVISION = ("supervised", "unsupervised", "reinforcement", "none")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the workbench knows of a method without importing it.

    ``factory`` maps a variant to an import path ``"package.module:Name"``; the single variant of most methods is ``default``.
    """

    id: str
    package: str
    title: str
    kind: str
    summary: str
    factory: Mapping[str, str] = field(default_factory=dict)
    paper: str = ""
    task: tuple[str, ...] = ("none",)
    supervision: str = "none"
    dataset: str = ""
    metric: str = ""
    recipe: str = "none"
    capabilities: frozenset[str] = frozenset()
    related: tuple[str, ...] = ()
    spec: tuple[str, ...] = ()
    search: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    experiment: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "fivefold"

    def variant(self, name: str | None = None, task: str | None = None) -> str:
        """Return the variant that ``name`` or ``task`` asks for; without either, the first."""
        if not self.factory:
            raise SpecError(
                f"{self.id!r} is a {self.kind} and cannot be created; `fivefold run {self.id}` executes it."
            )
        if name is not None:
            return resolve(name, self.factory, f"variant of {self.id}")
        if task is not None:
            wanted = "regression" if task == "regression" else "classification"
            if wanted in self.factory:
                return wanted
        return next(iter(self.factory))

    def load(self, variant: str | None = None, task: str | None = None) -> Any:
        """Import the method and return its class, function or module member."""
        return load_path(self.factory[self.variant(variant, task)])


def load_path(path: str) -> Any:
    """Import ``"package.module:Name"`` and return the member."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_FIELDS = {f for f in Card.__dataclass_fields__ if f not in {"id", "package", "origin"}}
_REQUIRED = ("title", "kind", "summary")


def parse_card(key: str, table: Mapping[str, Any], package: str, origin: str) -> Card:
    """Build a card from its TOML table, refusing what no card may hold."""
    where = f"Card {key!r} in {package}.toml"
    for name in table:
        if name not in _FIELDS:
            raise SpecError(f"{where} has the unknown key {name!r}; did you mean {resolve_hint(name)}?")
    for name in _REQUIRED:
        if not table.get(name):
            raise SpecError(f"{where} lacks {name!r}.")
    if table["kind"] not in KINDS:
        raise SpecError(f"{where} has the unknown kind {table['kind']!r}; kinds are: {', '.join(KINDS)}.")
    values: dict[str, Any] = dict(table)
    factory = values.get("factory", {})
    values["factory"] = {"default": factory} if isinstance(factory, str) else dict(factory)
    task = values.get("task", ["none"])
    values["task"] = (task,) if isinstance(task, str) else tuple(task)
    for name in values["task"]:
        if name not in TASKS:
            raise SpecError(f"{where} has the unknown task {name!r}; tasks are: {', '.join(TASKS)}.")
    if values.get("supervision", "none") not in SUPERVISION:
        raise SpecError(f"{where} has the unknown supervision {values['supervision']!r}; use {', '.join(SUPERVISION)}.")
    values["capabilities"] = frozenset(values.get("capabilities", ()))
    for name in ("related", "spec"):
        values[name] = tuple(values.get(name, ()))
    return Card(id=key, package=package, origin=origin, **values)


def resolve_hint(name: str) -> str:
    """Return the field of a card nearest to ``name``."""
    from .names import nearest

    return repr(nearest(name, _FIELDS, 1)[0])


@functools.cache
def read_package(package: str) -> dict[str, Card]:
    """Return the cards of one package of ours, for example ``"models.linear"``; empty when it has none."""
    source = resources.files("fivefold").joinpath("cards", f"{package}.toml")
    if not source.is_file():
        return {}
    tables = tomllib.loads(source.read_text(encoding="utf8"))
    return {key: parse_card(key, table, package, "fivefold") for key, table in tables.items()}


@functools.cache
def all_cards() -> dict[str, Card]:
    """Return every card by id: ours, then those of installed plug-ins (entry-point group ``fivefold.cards``)."""
    found: dict[str, Card] = {}
    folder = resources.files("fivefold").joinpath("cards")
    packages = sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))
    for package in packages:
        _add(found, read_package(package))
    for point in metadata.entry_points(group="fivefold.cards"):
        # An entry point names a package resource: "their_package:cards.toml".
        module, _, name = point.value.partition(":")
        text = resources.files(module).joinpath(name).read_text(encoding="utf8")
        _add(found, {k: parse_card(k, t, point.name, module) for k, t in tomllib.loads(text).items()})
    return found


def _add(found: dict[str, Card], cards: Mapping[str, Card]) -> None:
    for key, card in cards.items():
        if key in found:
            raise SpecError(f"The id {key!r} is carded twice: in {found[key].package} and in {card.package}.")
        found[key] = card


def get_card(name: str) -> Card:
    """Return the card that ``name`` means, whatever its case, hyphens or underscores."""
    cards = all_cards()
    if name in cards:
        return cards[name]
    return cards[resolve(name, cards, "method")]


def exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package, so that its public names come from its cards (PEP 562).

    ``package`` is the dotted name below ``fivefold``, for example ``"models.linear"``.
    """
    full = f"fivefold.{package}"

    def names() -> dict[str, str]:
        paths = [path for card in read_package(package).values() for path in card.factory.values()]
        return {path.partition(":")[2]: path for path in paths}

    def module_getattr(name: str) -> Any:
        if not name.startswith("_"):
            path = names().get(name)
            if path is not None:
                return load_path(path)
        raise AttributeError(f"module {full!r} has no attribute {name!r}")

    def module_dir() -> list[str]:
        return sorted(names())

    return module_getattr, module_dir
