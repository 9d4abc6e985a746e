"""A specification: data, model, objective, optimizer, evaluation, trainer and seed of one run, in one YAML file.

    Obj(θ) = L(θ) + Ω(θ),  f(x; θ) fitted on D by an optimizer, judged by an evaluation

A file says only what differs from the stock experiment of its subject; :func:`resolve_spec` fills in the rest and remembers where
every value comes from. Unknown keys are refused with their place and nearest neighbor, whether they come from a file or from
``--set``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fivefold.base.cards import Card, all_cards, get_card
from fivefold.base.errors import FivefoldError, SpecError
from fivefold.base.names import resolve

from . import rules
from .yaml_loader import Document, KeyPath, dotted, dump_yaml, parse_yaml


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method chosen by name, with its parameters."""

    name: str
    variant: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataPart:
    """What is learned from.

    Parameters
    ----------
    name : str
        A data set (``fivefold data list``), a file, a URL, or the id of an environment.
    target, weight, group, time : str, optional
        Columns with these roles.
    task : {"binary", "multiclass", "regression", ...}, optional
        Inferred from the target unless given.
    types : mapping column -> kind
        Overrides of the inferred column types.
    drop : sequence of column names
        Left out.
    recipe : str, optional
        Preprocessing; by default what the model's card wants.
    sql : str, optional
        Query, where ``name`` is a database URL.
    split : {"auto", "random", "stratified", "group", "time"}
        How the test rows are held out; "auto" stratifies by the class, or takes no notice of a number.
    test : float in (0, 1), default 0.25
        Share of the rows held out.
    rows : int, optional
        Use so many rows only, drawn by the seed.
    """

    name: str | None = None
    target: str | None = None
    task: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    recipe: str | None = None
    sql: str | None = None
    split: str = "auto"
    test: float = 0.25
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class OptimizerPart:
    """How parameters are found: a gradient optimizer with its options, schedule, clipping and averaging; per part if need be."""

    name: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    schedule: Method | None = None
    clip_norm: float | None = None
    clip_norm_each: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    parts: Mapping[str, OptimizerPart] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvaluationPart:
    """How the result is judged: metrics on the rows held out, the first of which ranks; a splitter for cross-validation."""

    metrics: tuple[str, ...] = ()
    splitter: Method | None = None


@dataclass(frozen=True, kw_only=True)
class TrainerPart:
    """How long and on what: epochs, batches, early stopping, device, number of processes, precision."""

    max_epochs: int | None = None
    batch_size: int | None = None
    patience: int | None = None
    validation_fraction: float | None = None
    device: str = "cpu"
    devices: int = 1
    precision: str = "32-true"
    tensorboard: bool = False


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A resolved specification; equal when its values are, wherever they came from."""

    id: str
    seed: int = 0
    quick: bool = False
    data: DataPart = field(default_factory=DataPart)
    model: Method | None = None
    objective: Method | None = None
    optimizer: OptimizerPart = field(default_factory=OptimizerPart)
    evaluation: EvaluationPart = field(default_factory=EvaluationPart)
    trainer: TrainerPart = field(default_factory=TrainerPart)
    experiment: Mapping[str, Any] = field(default_factory=dict)
    tree: Mapping[str, Any] = field(default_factory=dict, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def card(self) -> Card:
        """The card of what is run."""
        return get_card(self.id)

    def to_dict(self) -> dict[str, Any]:
        """Return every value that is not a plain default, as nested plain data."""
        return _copy(self.tree)

    def to_yaml(self) -> str:
        """Return the specification as YAML; :func:`read_spec` gives an equal one back."""
        return dump_yaml(self.to_dict())

    def origin(self, path: str) -> str:
        """Return where the value at ``path`` comes from: "default", "card <id>", "file:line" or "--set"."""
        return self.origins.get(path, "default")

    def fail(self, path: str, message: str) -> SpecError:
        """Return an error that names the place of the value at ``path``."""
        origin = self.origin(path)
        return SpecError(f"{path}: {message}" if origin == "default" else f"{origin}: {path}: {message}")

    def lines(self) -> list[tuple[str, Any, str]]:
        """Return ``(path, value, origin)`` of every value, defaults included, in the order of the parts."""
        rows: list[tuple[str, Any, str]] = []
        for path, value in _leaves(rules.with_defaults(self.tree)):
            rows.append((dotted(path), value, self.origin(dotted(path))))
        return rows


@dataclass(frozen=True)
class _Layer:
    tree: Mapping[str, Any]
    where: Callable[[KeyPath], str]


def resolve_spec(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    seed: int | None = None,
    quick: bool = False,
    trainer: Mapping[str, Any] | None = None,
) -> Spec:
    """Return the resolved specification of a card's stock experiment, of a YAML file or of a mapping.

    Parameters
    ----------
    source : id of a card, path of a YAML file, or mapping
    overrides : sequence of "path=value"
        Dotted overrides such as ``"optimizer.lr=3e-4"``, checked like the file.
    seed, quick, trainer
        The command line's own options; they count as overrides.

    Raises
    ------
    SpecError
        For an unknown key, a wrong value or parts that do not fit; the message names file, line and key.
    UnknownNameError
        For a name that no card carries.
    """
    layers: list[_Layer] = []
    if isinstance(source, Mapping):
        layers.append(_Layer(_copy(source), _constant("given")))
    elif _is_file(source):
        document = read_document(source)
        layers.append(_Layer(document.value, document.where))
    else:
        card = get_card(str(source))
        layers.append(_Layer({"id": card.id}, _constant("command line")))
    extra: dict[str, Any] = {}
    if seed is not None:
        extra["seed"] = seed
    if quick:
        extra["quick"] = True
    if trainer:
        extra["trainer"] = dict(trainer)
    if extra:
        layers.append(_Layer(extra, _constant("command line")))
    layers.extend(_override(text) for text in overrides)
    return _resolve(layers)


def read_spec(path: str | Path) -> Spec:
    """Return the specification in a YAML file, resolved."""
    return resolve_spec(Path(path))


def read_document(path: str | Path) -> Document:
    """Return the YAML mapping in a file."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SpecError(f"There is no specification file {str(path)!r}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"The specification file {str(path)!r} cannot be read: {error}.") from error
    document = parse_yaml(text, str(path))
    if not isinstance(document.value, dict):
        what = "nothing" if document.value is None else f"a {type(document.value).__name__}"
        raise SpecError(f"{path}:1: a specification is a mapping such as 'model: mlp'; this file holds {what}.")
    return document


def _is_file(source: str | Path) -> bool:
    text = str(source)
    return isinstance(source, Path) or text.endswith((".yaml", ".yml")) or "/" in text


def _override(text: str) -> _Layer:
    path, equals, value = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise SpecError(f"--set {text!r} is not of the form path=value, for example --set optimizer.lr=3e-4.")
    tree: Any = parse_yaml(value, f"--set {path.strip()}").value
    for key in reversed(keys):
        tree = {key: tree}
    return _Layer(tree, _constant(f"--set {path.strip()}"))


def _resolve(layers: list[_Layer]) -> Spec:
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        canonical = rules.canonical(layer.tree, layer.where)
        rules.merge(tree, canonical, origins, layer.where)
    subject = _subject(tree, origins)
    card = get_card(subject)
    base: dict[str, Any] = {}
    base_origins: dict[str, str] = {}
    for label, stock in rules.stock_layers(card, tree):
        where = _constant(label)
        rules.merge(base, rules.canonical(stock, where), base_origins, where)
    rules.merge(base, tree, base_origins, lambda path: origins.get(dotted(path), "default"), reset=True)
    _let_settings_win(base, base_origins, origins)
    base["id"] = card.id
    base_origins.setdefault("id", "default")
    _resolve_names(base, base_origins)
    return _build(base, base_origins)


def _constant(label: str) -> Callable[[KeyPath], str]:
    return lambda path: label


def _subject(tree: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    if isinstance(tree.get("id"), str):
        return str(tree["id"])
    for slot in ("model", "objective", "optimizer"):
        name = tree.get(slot, {}).get("name") if isinstance(tree.get(slot), Mapping) else None
        if name is not None:
            return str(name)
    raise SpecError("The specification names nothing to run; give `model: NAME` or `id: NAME` (see `fivefold list`).")


_SLOT_KINDS: dict[str, tuple[str, ...]] = {
    "objective": ("loss",),
    "optimizer": ("gradient-optimizer", "numerical-optimizer"),
    "optimizer.schedule": ("schedule",),
    "evaluation.splitter": ("splitter",),
}


def _let_settings_win(tree: dict[str, Any], origins: dict[str, str], given: Mapping[str, str]) -> None:
    """Drop a stock parameter of the model that a setting of the user's replaces: ``trainer.max_epochs`` is ``max_epochs``."""
    model = tree.get("model")
    if not isinstance(model, dict):
        return
    for path, names in rules.SETTINGS.items():
        if path not in given:
            continue
        for name in names:
            if name in model and f"model.{name}" not in given:
                del model[name]
                origins.pop(f"model.{name}", None)


def _card_for(name: str, kinds: tuple[str, ...], where: str) -> Card:
    try:
        return get_card(name)
    except FivefoldError:
        pool = [card.id for card in all_cards().values() if not kinds or card.kind in kinds]
        try:
            return get_card(resolve(name, pool, " or ".join(kinds) or "method"))
        except FivefoldError as error:
            raise type(error)(f"{where}: {error}") from None


def _slot_kind(slot: str) -> str:
    if slot.endswith(".schedule"):
        return "optimizer.schedule"
    return "optimizer" if slot.startswith("optimizer.parts.") else slot


def _resolve_names(tree: dict[str, Any], origins: Mapping[str, str]) -> None:
    """Replace every method's name by the id of its card, checking that a card of the right kind carries it."""
    slots = ["model", *_SLOT_KINDS]
    parts = tree.get("optimizer", {}).get("parts") or {}
    for part in parts:
        slots += [f"optimizer.parts.{part}", f"optimizer.parts.{part}.schedule"]
    for slot in slots:
        holder = _get(tree, slot)
        if not isinstance(holder, dict) or holder.get("name") is None:
            continue
        where = origins.get(f"{slot}.name", "default")
        kinds = _SLOT_KINDS.get(_slot_kind(slot), ())
        card = _card_for(str(holder["name"]), kinds, f"{where}: {slot}")
        if kinds and card.kind not in kinds:
            raise SpecError(f"{where}: {slot}: {card.id!r} is a {card.kind}; a {' or '.join(kinds)} belongs here.")
        holder["name"] = card.id


def _build(tree: dict[str, Any], origins: dict[str, str]) -> Spec:
    full = rules.with_defaults(tree)
    data, evaluation, trainer = full["data"], full["evaluation"], full["trainer"]
    return Spec(
        id=tree["id"],
        seed=full["seed"],
        quick=full["quick"],
        data=DataPart(**{**data, "drop": tuple(data["drop"])}),
        model=_method(tree.get("model")),
        objective=_method(tree.get("objective")),
        optimizer=_optimizer(tree.get("optimizer")),
        evaluation=EvaluationPart(metrics=tuple(evaluation["metrics"]), splitter=_method(evaluation["splitter"])),
        trainer=TrainerPart(**trainer),
        experiment=dict(tree.get("experiment") or {}),
        tree=tree,
        origins=origins,
    )


def _method(tree: Mapping[str, Any] | None) -> Method | None:
    if not tree or tree.get("name") is None:
        return None
    params = {key: value for key, value in tree.items() if key not in ("name", "variant")}
    return Method(name=tree["name"], variant=tree.get("variant"), params=params)


def _optimizer(tree: Mapping[str, Any] | None) -> OptimizerPart:
    tree = tree or {}
    own = {key: tree.get(key) for key in rules.OPTIMIZER_NUMBERS}
    params = {k: v for k, v in tree.items() if k not in ("name", "schedule", "parts", *rules.OPTIMIZER_NUMBERS)}
    parts = {name: _optimizer(part) for name, part in (tree.get("parts") or {}).items()}
    return OptimizerPart(
        name=tree.get("name"), params=params, schedule=_method(tree.get("schedule")), parts=parts, **own
    )


def _get(tree: Mapping[str, Any], path: str) -> Any:
    value: Any = tree
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


def _leaves(tree: Mapping[str, Any], path: KeyPath = ()) -> Iterable[tuple[KeyPath, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        elif value is not None and not isinstance(value, Mapping):
            yield (*path, key), value
