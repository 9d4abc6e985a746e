"""The loop that all boosting estimators share: sampling, trees, leaf renewal, evaluation sets, early stopping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numba
import numpy as np

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import Estimator, require_fitted
from fivefold.base.names import nearest
from fivefold.base.random import Streams
from fivefold.data.validation import sample_weights

from . import _grow as k
from ._binned import Binned
from ._binning import BinMapper
from ._bundles import bundled_table
from ._core import Grower, Grown, Growth
from ._fitted import Fitted
from ._following import EvalSet, Stopper
from ._losses import Loss, quantile_of
from ._metrics import measure, metrics_of
from ._sampling import column_draw, drawn_rows, one_side
from ._sorted import SortedGrower, refuse_categories
from ._tables import Columns
from ._trees import Trees
from .checkpoints import Rounds, fingerprint, keepers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that one fit needs, in one vocabulary.

    ``goss`` holds the shares (a, b) of rows kept for their large gradients and drawn from the rest. With ``unit_hessian`` the
    structure of a tree comes from first-order residuals, and leaves take a Newton step afterwards.
    """

    loss: Loss
    growth: Growth
    n_estimators: int
    learning_rate: float
    max_bins: int = 255
    min_rows_in_bin: int = 1
    sample_for_bins: int = 200_000
    subsample: float = 1.0
    subsample_every: int = 1
    columns: float = 1.0
    goss: tuple[float, float] | None = None
    start_from_average: bool = True
    start: float | None = None
    unit_hessian: bool = False
    monotone: np.ndarray | None = None
    groups: np.ndarray | None = None
    patience: int | None = None
    metric: Any = None
    default_metric: str = "loss"
    first_metric_only: bool = False
    tolerance: float = 0.0
    finder: str = "histogram"
    sketch_eps: float = 0.03
    search_steps: int = 1
    bundle: bool = False
    held_out: float = 0.0


class Boosted(Fitted, Estimator):
    """Base of the boosting estimators; a subclass says what its parameters mean in :meth:`_plan_with`."""

    _ALIASES: ClassVar[dict[str, str]] = {}
    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "check_do_not_raise_errors_in_init_or_set_params": "unknown keywords are refused, as they may be misspelt aliases"
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags

    def _accept(self, aliases: dict[str, Any]) -> None:
        """Set parameters given under the names of other libraries."""
        for name, value in aliases.items():
            if name not in self._ALIASES:
                known = sorted({*self._ALIASES, *self.get_params(deep=False)})
                hint = nearest(name, known)
                raise InputTypeError(
                    f"{type(self).__name__} has no parameter {name!r}"
                    + (f"; did you mean {hint[0]!r}?" if hint else ".")
                )
            setattr(self, self._ALIASES[name], value)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, by their names or those of other libraries."""
        super().set_params(**{self._ALIASES.get(name, name): value for name, value in params.items()})
        return self

    def _threads(self) -> int:
        jobs = getattr(self, "n_jobs", None)
        most = numba.get_num_threads()
        return most if jobs is None or jobs < 1 else min(int(jobs), most)

    def _categorical(self) -> Any:
        """Return which columns are declared categorical."""
        return "auto"

    def _plan_with(self, loss: Loss, d: int, default_metric: str) -> Plan:
        """Return the checked settings of a fit."""
        raise NotImplementedError

    def _boost(
        self,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray | None,
        plan: Plan,
        *,
        init_score: Any = None,
        eval_sets: list[EvalSet] | None = None,
        callbacks: Any = None,
    ) -> None:
        """Fit: X (n, d), y (n,) and weights (n,); eval sets carry raw scores of their offsets alone."""
        loss, threads = plan.loss, self._threads()
        loss.check(y)
        sets = list(eval_sets or [])
        keeper, calls = keepers(callbacks)
        identity, saved = "", None
        if keeper is not None:
            followed = [item for s in sets for item in (s.X, s.y, s.weight, s.raw)]
            identity = fingerprint(self, X, y, weight, init_score, *followed)
            saved = keeper.load(identity)
        streams = Streams(saved.seed) if saved is not None else self._streams()
        if plan.held_out > 0 and not sets:
            keys = streams.numpy("held-out").permutation(X.shape[0])
            n_held = max(1, int(plan.held_out * len(keys)))
            if n_held == len(keys):
                raise DataError(f"X has {len(keys)} rows; too few to hold some out for early stopping.")
            held, kept = np.sort(keys[:n_held]), np.sort(keys[n_held:])
            part = None if weight is None else weight[held]
            sets.append(EvalSet("held_out", X[held], y[held], part, np.zeros((loss.n_outputs, n_held))))
            X, y, weight = X[kept], y[kept], None if weight is None else weight[kept]
            init_score = None if init_score is None else np.asarray(init_score)[kept]
        n, d = X.shape
        continues = self._continues()
        if continues and not hasattr(self, "bins_"):
            raise InputError("A model read from another library has no bins to go on with; fit without `warm_start`.")
        if saved is not None:
            self.bins_, self.trees_, continues = saved.bins, saved.trees, True
        if continues and self.trees_.n_outputs != loss.n_outputs:
            raise InputError(
                f"`warm_start` goes on from {self.trees_.n_outputs} scores a row; this loss has {loss.n_outputs}."
            )
        if not continues:
            mapper = BinMapper(plan.max_bins, plan.min_rows_in_bin, plan.sample_for_bins)
            self.bins_ = self._fit_bins(mapper, X, streams, weight)
            base = np.zeros(loss.n_outputs)
            if plan.start is not None:
                base[:] = plan.start
            elif plan.start_from_average and init_score is None:
                base = self._start(loss, y, weight)
            levels = [c if kind else None for c, kind in zip(self.bins_.cuts, self.bins_.kinds, strict=True)]
            self.trees_ = Trees(loss.n_outputs, base, levels)
        self.loss_ = loss
        raw = self._scores(X, np.zeros((1, 1)) if init_score is None else _offsets(init_score, loss.n_outputs, n))
        for s in sets:
            s.raw = self._scores(s.X, s.raw)
        grower: Grower | SortedGrower
        if plan.finder == "histogram":
            table = bundled_table(self.bins_, X, threads) if plan.bundle else self.bins_.transform(X, threads)
            self.n_columns_ = len(table.widths)
            grower = self._grower(table, plan, threads)
        else:
            refuse_categories(self.bins_.kinds, plan.finder)
            grower = SortedGrower(X, plan.growth, plan.finder, plan.sketch_eps, plan.monotone, plan.groups)
        tables = [grower.table(s.X, self.bins_) for s in sets]
        # Rows of weight 0 are left out; numbers of all rows are made only where some are drawn from them.
        draws = plan.goss is not None or plan.subsample < 1
        every_row = np.flatnonzero(weight > 0) if weight is not None else np.arange(n if draws else 0)
        weighty = every_row if weight is not None and len(every_row) < n else None
        metrics = metrics_of(plan.metric, plan.default_metric)
        g, h = np.empty((loss.n_outputs, n)), np.empty((loss.n_outputs, n))
        ones = (np.ones(n) if weight is None else weight) if plan.unit_hessian else None
        first = len(self.trees_) // loss.n_outputs
        if first > plan.n_estimators:
            raise InputError(
                f"`n_estimators` is {plan.n_estimators} but {first} rounds are fitted already; it must grow."
            )
        rows: np.ndarray | None = None
        parts: list[dict[str, np.ndarray]] = []
        stopper = Stopper(plan.patience, plan.tolerance, first_metric_only=plan.first_metric_only)
        if saved is not None:
            stopper.restore(saved.stopper)
            for s in sets:
                s.history = saved.histories[s.name]
        certain = (
            plan.goss is None and min(plan.subsample, plan.columns, plan.growth.by_level, plan.growth.by_node) == 1
        )
        for round_ in range(first, plan.n_estimators):
            loss.gradients(y, raw, weight, g, h, threads)
            if plan.goss is not None:
                rows = one_side(g, h, every_row, plan.goss, plan.learning_rate, streams, round_)
            elif plan.subsample < 1 and (rows is None or round_ % plan.subsample_every == 0):
                rows = self._drawn(every_row, plan.subsample, streams, round_ - round_ % plan.subsample_every)
            used = rows if rows is not None else weighty
            mask = column_draw(d, plan.columns, streams, round_)
            grew = False
            for c in range(loss.n_outputs):
                seed = streams.integer("columns", round_, c)
                tree = grower.grow(g[c], h[c] if ones is None else ones, used, mask, seed)
                grew |= len(tree.ints) > 1
                self._settle(tree, plan, y, raw[c], weight, g[c], h[c])
                tree.values[:] *= plan.learning_rate
                grower.add(tree, raw[c])
                for s, table in zip(sets, tables, strict=True):
                    grower.add_to(tree, table, s.raw[c])
                parts.append(tree.part(self.bins_))
            for s in sets:
                for metric in metrics:
                    name, value, higher = measure(metric, s.y, s.raw, s.weight, loss, s.group)
                    s.history.setdefault(name, []).append(value)
                    stopper.see(s.name, name, value, higher, round_)
            due = keeper is not None and keeper.due(round_ + 1)
            if due or calls:
                self.trees_.extend(parts)
                parts.clear()
            ended = sum(bool(call(self, round_ + 1)) for call in calls) > 0
            if stopper.done() or ended or (not grew and certain):
                break
            if due and keeper is not None:
                histories = {s.name: s.history for s in sets}
                keeper.save(Rounds(identity, streams.seed, self.bins_, self.trees_, histories, stopper.get_state()))
        self.trees_.extend(parts)
        self.n_estimators_ = len(self.trees_) // loss.n_outputs
        self.evals_result_ = {s.name: s.history for s in sets}
        self.best_iteration_ = stopper.best_round + 1 if stopper.best_round is not None else None
        self.best_score_ = stopper.best_value

    def _streams(self) -> Streams:
        return Streams.of(getattr(self, "random_state", None))

    def _fit_bins(self, mapper: BinMapper, X: Any, streams: Streams, weight: np.ndarray | None) -> BinMapper:
        """Return the bins of the training table."""
        return mapper.fit(X, self.columns_.categorical, streams, weight)

    def _start(self, loss: Loss, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the scores to begin with: (K,)."""
        return loss.start(y, weight)

    def _grower(self, table: Binned, plan: Plan, threads: int) -> Grower:
        """Return what grows trees on the binned training table."""
        return Grower(table, plan.growth, threads, plan.monotone, plan.groups)

    def _drawn(self, rows: np.ndarray, share: float, streams: Streams, round_: int) -> np.ndarray:
        """Return the share of the rows that a round uses, ascending."""
        return drawn_rows(rows, share, streams, round_)

    def _continues(self) -> bool:
        """Return whether a fit goes on from the trees of the last one."""
        return bool(getattr(self, "warm_start", False)) and hasattr(self, "trees_")

    def _scores(self, X: Any, offsets: np.ndarray) -> np.ndarray:
        """Return the scores (K, n) of the trees so far on top of offsets (K, n) or (1, 1), added up in the order of the fit."""
        scores = np.empty((X.shape[0], self.trees_.n_outputs))
        scores[:] = self.trees_.base
        scores += offsets.T
        if len(self.trees_):
            self.trees_.raw(X, out=scores)
        return np.ascontiguousarray(scores.T)

    def _settle(
        self,
        tree: Grown,
        plan: Plan,
        y: np.ndarray,
        raw: np.ndarray,
        weight: np.ndarray | None,
        g: np.ndarray,
        h: np.ndarray,
    ) -> None:
        """Renew leaf values: by the quantile of the residuals, or by a step on the true Hessians."""
        level = plan.loss.quantile
        if level is None and not plan.unit_hessian:
            return
        for leaf in tree.leaves:
            rows = tree.rows[tree.ints[leaf, k.START] : tree.ints[leaf, k.END]]
            if level is not None:
                tree.values[leaf] = quantile_of(y[rows] - raw[rows], None if weight is None else weight[rows], level)
            else:
                bottom = h[rows].sum()
                tree.values[leaf] = -g[rows].sum() / bottom if bottom > 1e-150 else 0.0
                if plan.search_steps > 1:
                    part = None if weight is None else weight[rows]
                    tree.values[leaf] = _searched(plan, y[rows], raw[rows], part, float(tree.values[leaf]))

    def _prepare(self, X: Any, y: Any, sample_weight: Any, categorical: Any) -> tuple[Any, np.ndarray | None]:
        """Return the table (n, d) and the weights."""
        if self._continues():
            columns = self.columns_
            table = columns.transform(self, X)
        else:
            columns = Columns()
            table = columns.fit(self, X, categorical)
        if y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        rows = len(y) if hasattr(y, "__len__") else len(np.atleast_1d(np.asarray(y)))
        if rows != table.shape[0]:
            raise DataError(
                f"X and y have inconsistent numbers of samples: [{table.shape[0]}, {rows}]; give one target a row."
            )
        self.columns_ = columns
        return table, sample_weights(sample_weight, table.shape[0])

    def _followed_table(self, X: Any) -> Any:
        """Return the table of an evaluation set."""
        return self.columns_.transform(self, X)

    def _eval_sets(
        self,
        eval_set: Any,
        eval_names: Any,
        eval_sample_weight: Any,
        eval_init_score: Any,
        eval_group: Any,
        encode: Any,
        n_outputs: int,
    ) -> list[EvalSet]:
        """Return checked evaluation sets from a list of pairs (X, y)."""
        if eval_set is None:
            return []
        pairs = [eval_set] if isinstance(eval_set, tuple) else list(eval_set)
        out = []
        for i, (X, y) in enumerate(pairs):
            table = self._followed_table(X)
            n = table.shape[0]
            weight = None if eval_sample_weight is None else sample_weights(eval_sample_weight[i], n)
            raw = np.zeros((n_outputs, n))
            if eval_init_score is not None:
                raw += _offsets(eval_init_score[i], n_outputs, n)
            name = eval_names[i] if eval_names is not None else f"valid_{i}"
            out.append(EvalSet(name, table, encode(y), weight, raw, None if eval_group is None else eval_group[i]))
        return out

    def _rounds(self, num_iteration: int | None) -> int:
        """Return how many trees predictions use: the best iteration's, if there is one."""
        if num_iteration is None or num_iteration <= 0:
            num_iteration = self.best_iteration_ if self.best_iteration_ is not None else self.n_estimators_
        return num_iteration * self.trees_.n_outputs

    def predict_raw(self, X: Any, num_iteration: int | None = None) -> np.ndarray:
        """Return raw scores: X (n, d) -> (n, K); ``num_iteration`` rounds, by default the best or all."""
        require_fitted(self, "trees_")
        return self.trees_.raw(self.columns_.transform(self, X), n_trees=self._rounds(num_iteration))

    def _staged_raw(self, X: Any) -> Iterator[np.ndarray]:
        require_fitted(self, "trees_")
        table = self.columns_.transform(self, X)
        outputs = self.trees_.n_outputs
        raw = self.trees_.raw(table, n_trees=0)
        for round_ in range(self.n_estimators_):
            self.trees_.raw(table, n_trees=(round_ + 1) * outputs, out=raw, first=round_ * outputs)
            yield raw.copy()

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf that each row reaches in each tree, numbered within the tree: X (n, d) -> (n, trees)."""
        require_fitted(self, "trees_")
        return self.trees_.leaves(self.columns_.transform(self, X))

    def importance(self, kind: str = "split") -> np.ndarray:
        """Return how often ("split") or with what total gain ("gain") each column is split on: (d,)."""
        require_fitted(self, "trees_")
        inner = self.trees_.feature >= 0
        weights = self.trees_.gain[inner] if kind == "gain" else None
        return np.bincount(self.trees_.feature[inner], weights=weights, minlength=self.n_features_in_)

    @property
    def feature_importances_(self) -> np.ndarray:
        """Total gain of each column, normalized to sum one: (d,); zeros when no tree splits."""
        total = self.importance("gain")
        return total / total.sum() if total.sum() > 0 else total.astype(np.float64)


def _searched(plan: Plan, y: np.ndarray, raw: np.ndarray, weight: np.ndarray | None, value: float) -> float:
    """Return the constant that, added to the raw scores of a leaf, minimizes its loss: Newton's method, halving steps."""
    g, h = np.empty((1, len(y))), np.empty((1, len(y)))

    def risk(v: float) -> float:
        return float(np.average(plan.loss.values(y, raw[None] + v), weights=weight))

    here = risk(value)
    for _ in range(plan.search_steps):
        plan.loss.gradients(y, raw[None] + value, weight, g, h, 1)
        bottom = h.sum()
        if bottom <= 1e-150:
            break
        step = -g.sum() / bottom
        # Closer to the minimum the rounding of the loss says nothing about a step.
        while abs(step) > 1e-6 * (1 + abs(value)) and risk(value + step) > here:
            step /= 2
        value += step
        if abs(step) <= 1e-12 * (1 + abs(value)):
            break
        here = risk(value)
    return value


def _offsets(given: Any, n_outputs: int, n: int) -> np.ndarray:
    """Return initial scores as (K, n)."""
    scores = np.asarray(given, dtype=np.float64)
    if scores.shape == (n,) and n_outputs == 1:
        return scores[None]
    if scores.shape == (n, n_outputs):
        return scores.T
    wanted = f"({n},)" if n_outputs == 1 else f"({n}, {n_outputs})"
    raise DataError(f"`init_score` has the shape {scores.shape}; give {wanted}.")


def directions_of(given: Any, d: int, names: Any) -> np.ndarray | None:
    """Return monotone constraints as (d,) of -1, 0, 1 from a sequence or a mapping by column name or number."""
    if given is None:
        return None
    out = np.zeros(d, dtype=np.int64)
    if hasattr(given, "items"):
        known = [] if names is None else [str(c) for c in names]
        for column, value in given.items():
            out[known.index(column) if column in known else int(column)] = value
    else:
        if len(given) != d:
            raise InputError(f"`monotone_constraints` has {len(given)} entries, X has {d} columns; give one for each.")
        out[:] = given
    if not np.isin(out, (-1, 0, 1)).all():
        raise InputError("`monotone_constraints` may hold -1 (falling), 0 (free) and 1 (rising) only.")
    return out if out.any() else None


def groups_of(given: Any, d: int, names: Any) -> np.ndarray | None:
    """Return interaction constraints as (q, d) bool; columns in no group form one of their own."""
    if given is None:
        return None
    known = [] if names is None else [str(c) for c in names]
    out = np.zeros((len(given) + 1, d), dtype=bool)
    for q, group in enumerate(given):
        for column in group:
            f = known.index(column) if column in known else column
            if not isinstance(f, (int, np.integer)) or not 0 <= f < d:
                raise InputError(
                    f"`interaction_constraints` names {column!r}; give numbers from 0 to {d - 1} or names."
                )
            out[q, int(f)] = True
    out[-1] = ~out.any(axis=0)
    return out if out[-1].any() else out[:-1]


def share(name: str, value: Any) -> float:
    """Return a checked share in (0, 1]."""
    return real(name, value, low=0.0, high=1.0, above=True)


def count(name: str, value: Any, low: int = 1) -> int:
    """Return a checked whole number."""
    return whole(name, value, low=low)
