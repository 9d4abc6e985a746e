"""What the caller of a comparison asked for: one frozen value, written to ``spec.yaml`` and read back to resume or replay."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fivefold.base.errors import InputError, SpecError

_LISTS = ("methods", "drop", "metrics")
_ALWAYS = ("data", "cv", "seed")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the caller asked for.

    Parameters
    ----------
    data : str
        File, URL or name of a data set; a description for tables given in memory.
    test : str, optional
        File of the sealed test; by default a fifth of the rows is sealed.
    time, gap : str, optional
        Column that orders the rows in time, and how long before a test nothing is trained on: ``7d``, ``12h``, or a number.
    group, split_column : str, optional
        Column whose values stay together; column that says which part or fold a row belongs to.
    repeats : int >= 1
        How often the cross-validation is repeated with other folds.
    jobs, threads : int >= 1
        Methods at a time, and threads of each.
    tune : int >= 0
        Trials of each method, on inner splits; 0 for the defaults.
    budget : float, optional
        Seconds of wall clock for the whole command.
    cost : mapping, optional
        What mistakes cost: ``fp``, ``fn``, ``tp``, ``tn``.
    encode, select, resample : optional
        How categories become numbers, how many features are kept, how classes are balanced; all within training parts.
    peers : bool
        Put installed LightGBM, XGBoost and scikit-learn models beside ours.
    """

    data: str
    target: str | None = None
    methods: tuple[str, ...] = ()
    cv: int = 5
    seed: int = 0
    task: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    weight: str | None = None
    positive: str | None = None
    metrics: tuple[str, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int | None = None
    sql: str | None = None
    test: str | None = None
    time: str | None = None
    gap: str | None = None
    group: str | None = None
    split_column: str | None = None
    repeats: int = 1
    jobs: int = 1
    tune: int = 0
    budget: float | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    encode: str = "auto"
    select: int | None = None
    resample: str | None = None
    peers: bool = False
    drop_missing_target: bool = False

    def __post_init__(self) -> None:
        for name, least, what in (
            ("cv", 2, "folds"),
            ("repeats", 1, ""),
            ("threads", 1, ""),
            ("jobs", 1, ""),
            ("tune", 0, "trials"),
            ("select", 1, "features"),
        ):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InputError(f"{name} must be at least {least}{' ' + what if what else ''}, got {value}.")
        if self.budget is not None and not self.budget > 0:
            raise InputError(f"budget must be above 0 seconds, got {self.budget}.")
        splits = [name for name in ("time", "group", "split_column") if getattr(self, name) is not None]
        if len(splits) > 1:
            raise SpecError(
                f"Rows are split in one way; give only one of {' and '.join('--' + s.replace('_', '-') for s in splits)}."
            )
        if self.gap is not None and self.time is None:
            raise SpecError("--gap is the distance in time between training and test; it needs --time COLUMN.")

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain values."""
        plain: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _ALWAYS or not _is_default(item.name, value):
                plain[item.name] = list(value) if isinstance(value, tuple) else _plain(value)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Options:
        """Return the options that :meth:`to_dict` gave."""
        unknown = sorted(set(plain) - {item.name for item in fields(cls)})
        if unknown:
            raise SpecError(f"The specification of a comparison has the unknown key {unknown[0]!r}.")
        values: dict[str, Any] = {k: tuple(v) if k in _LISTS else v for k, v in plain.items()}
        return cls(**values)

    def command(self) -> list[str]:
        """Return the command line that repeats the comparison."""
        words = ["fivefold", "compare", self.data]
        for name, value in self.to_dict().items():
            flag = f"--{name.replace('_', '-')}"
            if name in ("data", "params"):
                continue
            if name in ("methods", "metrics"):
                words += [flag, ",".join(value)]
            elif name == "types":
                words += [word for column, kind in value.items() for word in ("--type", f"{column}={kind}")]
            elif name == "drop":
                words += [word for column in value for word in (flag, column)]
            elif name == "cost":
                words += [flag, ",".join(f"{k}={v:g}" for k, v in value.items())]
            elif value is True:
                words.append(flag)
            elif name == "budget":
                words += [flag, f"{value:g}s"]
            else:
                words += [flag, str(value)]
        for method, given in self.params.items():
            words += [w for key, value in given.items() for w in ("--param", f"{method}.{key}={json.dumps(value)}")]
        return words


def _is_default(name: str, value: Any) -> bool:
    default = Options.__dataclass_fields__[name].default
    return value in (None, (), {}) or (not isinstance(value, (tuple, Mapping)) and value == default)


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_seconds(text: str | float | None, option: str) -> float | None:
    """Return a duration such as ``30s``, ``5m``, ``2h`` or ``7d`` in seconds; a bare number counts seconds.

    Raises
    ------
    InputError
        For anything else.
    """
    if text is None or isinstance(text, (int, float)):
        return None if text is None else float(text)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or (found[2] or "s") not in _UNITS:
        raise InputError(f"{option} takes a duration such as 30s, 5m, 2h or 7d; got {text!r}.")
    return float(found[1]) * _UNITS[found[2] or "s"]
