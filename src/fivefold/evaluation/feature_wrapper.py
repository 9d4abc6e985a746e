"""Selection by a model's score over folds: groups first, then fields, then combinations; or one column at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.utils.validation import check_array, validate_data

from fivefold.base.errors import DataError, InputError

from .feature_selection import _Selector
from .metric import Metric
from .selection import _as_metrics, _as_splitter, _Fixed, cross_validate

MODES = ("protocol", "forward", "backward")


@dataclass(frozen=True)
class Trial:
    """One set of columns that was scored.

    Attributes
    ----------
    stage : "base", "group", "field", "combination", "across", "forward" or "backward"
    columns : tuple of int
    mean, std : float
        Of the metric over the folds.
    accepted : bool
        Whether the search went on from it.
    note : str
        What was tried, in words.
    """

    stage: str
    columns: tuple[int, ...]
    mean: float
    std: float
    accepted: bool = False
    note: str = ""


class WrapperSelector(MetaEstimatorMixin, _Selector):
    r"""Choose columns by the cross-validated score of a model that is fitted on them.

    The protocol has three stages; :math:`s(\cdot)` is the mean score over the same folds and base the columns always used:

    1. *group*: accept a candidate group g when :math:`s(\text{base} \cup g)` is better than :math:`s(\text{base})`;
    2. *field*: within each accepted group score every single field and every combination of its fields beside the base, and
       keep the best one;
    3. *combinations across groups*: score every union of the kept fields of accepted groups beside the base, and keep the
       best set of all that were scored.

    Parameters
    ----------
    estimator : estimator
    groups : mapping name -> sequence of column numbers (or names, when X is a frame), for "protocol"
    base : sequence of columns, default ()
        Used in every trial. Without any, the score to beat is that of the class shares or the mean of the target.
    mode : "protocol" (default), "forward" or "backward"
        The latter add or drop the one column that scores best until ``n_features`` are left.
    n_features : int >= 1, optional
        For "forward" and "backward"; default: half of the columns.
    metric : name or metric, optional
        Default: the one that ranks the task.
    cv : int or splitter, default 5
        Drawn once, so all trials meet the same folds.
    tolerance : float >= 0, default 0
        How much better the score must be to accept a group, and to prefer a larger set.
    max_combinations : int >= 1, default 4096
        Most sets of fields that a stage may score.

    Attributes
    ----------
    log_ : list of dict
        Every score in the order in which it was taken, with the fields of :class:`Trial`.
    support_ : array (d,) of bool
    score_ : float
        Mean over the folds of the set chosen; optimistic, because it was chosen.

    Raises
    ------
    InputError, DataError
        When groups, columns or numbers are not accepted, or a stage would score too many sets.

    Notes
    -----
    All scores come from folds within the rows given to ``fit``. To judge the whole, cross-validate the selector and the model
    as one pipeline: rows that chose the columns cannot test them.

    References
    ----------
    Kohavi & John 1997; spec ``01#feature-wrapper``, ``08#k-fold-cv``.
    """

    def __init__(
        self,
        estimator: Any,
        groups: Mapping[str, Sequence[Any]] | None = None,
        *,
        base: Sequence[Any] = (),
        mode: str = "protocol",
        n_features: int | None = None,
        metric: str | Metric | None = None,
        cv: Any = 5,
        tolerance: float = 0.0,
        max_combinations: int = 4096,
    ) -> None:
        self.estimator = estimator
        self.groups = groups
        self.base = base
        self.mode = mode
        self.n_features = n_features
        self.metric = metric
        self.cv = cv
        self.tolerance = tolerance
        self.max_combinations = max_combinations

    def fit(self, X: Any, y: Any) -> Self:
        """Search on X (n, d) and y (n,)."""
        if self.mode not in MODES:
            raise InputError(f"mode must be one of {', '.join(MODES)}; got {self.mode!r}.")
        if not self.tolerance >= 0:
            raise InputError(f"tolerance must be >= 0, got {self.tolerance!r}.")
        validate_data(self, X, skip_check_array=True)
        self._values = check_array(X, dtype=np.float64)
        self._target = np.asarray(y)
        self._metric = next(iter(_as_metrics(self.metric, self.estimator, y).values()))
        self._sign = 1.0 if self._metric.higher_is_better else -1.0
        self._folds = _Fixed(list(_as_splitter(self.cv, self.estimator, y).split(self._values, self._target, None)))
        self._known: dict[tuple[int, ...], tuple[float, float]] = {}
        self._trials: list[Trial] = []
        chosen = self._protocol() if self.mode == "protocol" else self._one_by_one()
        self.support_ = np.zeros(self._values.shape[1], dtype=bool)
        self.support_[list(chosen)] = True
        self.score_ = self._score(chosen)[0]
        self.log_ = [asdict(trial) for trial in self._trials]
        for name in ("_trials", "_values", "_target", "_metric", "_sign", "_folds", "_known"):
            delattr(self, name)
        return self

    def _score(self, columns: tuple[int, ...]) -> tuple[float, float]:
        columns = tuple(sorted(set(columns)))
        if columns not in self._known:
            data, model = self._values[:, list(columns)], clone(self.estimator)
            if not columns:
                # Many estimators refuse a table without columns or one constant; the share of the classes or the mean is fair.
                data = np.zeros((len(self._values), 1))
                model = DummyClassifier(strategy="prior") if is_classifier(model) else DummyRegressor()
            found = cross_validate(model, data, self._target, cv=self._folds, metrics=self._metric)
            self._known[columns] = (found.mean[self._metric.name], found.std[self._metric.name])
        return self._known[columns]

    def _try(self, stage: str, columns: tuple[int, ...], note: str) -> float:
        """Score a set, log it, and return the score with larger better."""
        columns = tuple(sorted(set(columns)))
        mean, std = self._score(columns)
        self._trials.append(Trial(stage, columns, mean, std, note=note))
        return self._sign * mean

    def _accept(self, position: int) -> None:
        trial = self._trials[position]
        self._trials[position] = Trial(trial.stage, trial.columns, trial.mean, trial.std, True, trial.note)

    def _numbers(self, columns: Sequence[Any], what: str) -> tuple[int, ...]:
        names = list(getattr(self, "feature_names_in_", []))
        width, found = self._values.shape[1], []
        for column in columns:
            if isinstance(column, str) and column in names:
                found.append(names.index(column))
            elif not isinstance(column, (str, bool)) and isinstance(column, (int, np.integer)) and 0 <= column < width:
                found.append(int(column))
            else:
                raise InputError(f"{what} names the column {column!r}, which X with {width} columns does not have.")
        return tuple(found)

    def _protocol(self) -> tuple[int, ...]:
        if not self.groups:
            raise InputError("The protocol needs groups, such as {'weather': [3, 4]}; or set mode='forward'.")
        base = self._numbers(self.base, "base")
        groups = {name: self._numbers(columns, f"The group {name!r}") for name, columns in self.groups.items()}
        empty = [name for name, columns in groups.items() if not columns]
        if empty:
            raise InputError(f"The group {empty[0]!r} has no columns.")
        start = self._try("base", base, "base")
        self._accept(0)
        best, best_score = base, start
        kept: dict[str, list[tuple[int, ...]]] = {}
        for name, columns in groups.items():
            score = self._try("group", base + columns, f"base + {name}")
            if score > start + self.tolerance:
                self._accept(-1)
                kept[name] = []
                if score > best_score + self.tolerance:
                    best, best_score = base + columns, score
        for name in kept:
            options = self._subsets(groups[name])
            scores = []
            for fields in options:
                stage = "field" if len(fields) == 1 else "combination"
                scores.append(self._try(stage, base + fields, f"base + {len(fields)} of {name}"))
            first = len(self._trials) - len(options)
            # Smaller sets come first, so that of equal scores the smaller one is kept.
            place = self._first_best(scores)
            self._accept(first + place)
            # Singles that help alone may help together with fields of another group.
            helpful = [f for f, s in zip(options, scores) if len(f) == 1 and s > start + self.tolerance]
            kept[name] = list(dict.fromkeys([options[place], *helpful]))
            if scores[place] > best_score + self.tolerance or (
                scores[place] >= best_score and len(base + options[place]) < len(best)
            ):
                best, best_score = base + options[place], scores[place]
        if len(kept) > 1:
            sets = [[(), *options] for options in kept.values()]
            count = int(np.prod([len(options) for options in sets]))
            self._bound(count, "combinations across groups")
            unions = [sum(parts, base) for parts in itertools.product(*sets) if sum(map(bool, parts)) > 1]
            unions.sort(key=len)
            scores = [self._try("across", union, f"{len(union)} columns of several groups") for union in unions]
            place = self._first_best(scores)
            if scores[place] > best_score + self.tolerance:
                self._accept(len(self._trials) - len(unions) + place)
                best = unions[place]
        if not best:
            raise DataError("No group improves on a constant; give other groups, a base, or another estimator.")
        return best

    def _first_best(self, scores: list[float]) -> int:
        """Return the first score that no later one beats by more than the tolerance."""
        place = 0
        for number, score in enumerate(scores):
            if score > scores[place] + self.tolerance:
                place = number
        return place

    def _bound(self, count: int, what: str) -> None:
        if count > self.max_combinations:
            raise InputError(
                f"The search would score {count} {what}; split the groups or raise max_combinations={self.max_combinations}."
            )

    def _subsets(self, columns: tuple[int, ...]) -> list[tuple[int, ...]]:
        self._bound(2 ** len(columns) - 1, f"combinations of {len(columns)} fields")
        return [c for size in range(1, len(columns) + 1) for c in itertools.combinations(columns, size)]

    def _one_by_one(self) -> tuple[int, ...]:
        width = self._values.shape[1]
        wanted = max(1, width // 2) if self.n_features is None else self.n_features
        if not 1 <= wanted <= width:
            raise InputError(f"n_features must be between 1 and the {width} columns of X, got {wanted!r}.")
        current: tuple[int, ...] = self._numbers(self.base, "base") if self.mode == "forward" else tuple(range(width))
        while len(current) != wanted:
            if self.mode == "forward" and len(current) > wanted:
                raise InputError(f"base has {len(current)} columns, more than n_features={wanted}.")
            if self.mode == "forward":
                options = [(*current, j) for j in range(width) if j not in current]
            else:
                options = [tuple(c for c in current if c != j) for j in current]
            scores = [self._try(self.mode, option, f"{len(option)} columns") for option in options]
            place = int(np.argmax(scores))
            self._accept(len(self._trials) - len(options) + place)
            current = options[place]
        return tuple(sorted(current))
