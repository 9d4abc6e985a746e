"""NGBoost: trees on natural gradients of all parameters of a distribution (Duan et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.checks import choice, real
from fivefold.base.errors import InputError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import encode_labels

from ._binning import BinMapper
from ._boosted import Boosted, EvalSet, count, share
from ._core import Grower, Growth
from ._distributions import DISTRIBUTIONS, Categorical, Distribution
from ._sampling import column_draw, drawn_rows
from ._sorted import SortedGrower, refuse_categories
from ._tables import refuse_infinity
from ._targets import label_targets, numeric_targets
from ._tasks import BoostedClassifier
from ._trees import Trees

_LONGEST = 256.0


class _NGBoost(Boosted):
    _expected_failed_checks: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        *,
        n_estimators: int = 500,
        learning_rate: float = 0.01,
        max_depth: int = 3,
        min_samples_leaf: int = 1,
        natural_gradient: bool = True,
        minibatch_frac: float = 1.0,
        col_sample: float = 1.0,
        tol: float = 1e-4,
        max_bin: int = 255,
        splitter: str = "histogram",
        categorical_feature: Any = "auto",
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.natural_gradient = natural_gradient
        self.minibatch_frac = minibatch_frac
        self.col_sample = col_sample
        self.tol = tol
        self.max_bin = max_bin
        self.splitter = splitter
        self.categorical_feature = categorical_feature
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _categorical(self) -> Any:
        return self.categorical_feature

    def _prepare(self, X: Any, y: Any, sample_weight: Any, categorical: Any) -> tuple[Any, np.ndarray | None]:
        table, weight = super()._prepare(X, y, sample_weight, categorical)
        refuse_infinity(table)
        return table, weight

    def _kind(self) -> type[Distribution]:
        raise NotImplementedError

    def _scoring(self) -> str:
        return "log"

    def _boost_distribution(self, X: Any, y: np.ndarray, weight: np.ndarray | None, sets: list[EvalSet]) -> None:
        """Fit the trees of all parameters: X (n, d), y (n,), weights (n,)."""
        rounds = count("n_estimators", self.n_estimators)
        rate = real("learning_rate", self.learning_rate, low=0.0, above=True)
        tol = real("tol", self.tol, low=0.0, above=True)
        depth = count("max_depth", self.max_depth)
        rows_share, columns_share = share("minibatch_frac", self.minibatch_frac), share("col_sample", self.col_sample)
        growth = Growth(
            max_leaves=1 << min(depth, 30),
            max_depth=depth,
            min_samples=count("min_samples_leaf", self.min_samples_leaf),
            depthwise=True,
        )
        patience = None
        if self.early_stopping_rounds is not None:
            patience = count("early_stopping_rounds", self.early_stopping_rounds)
        streams = Streams.of(self.random_state)
        if weight is not None and not weight.all():  # a row without weight is no row
            kept = np.flatnonzero(weight > 0)
            X, y, weight = X[kept], y[kept], weight[kept]
        if patience is not None and not sets:
            X, y, weight, held = _hold_out(
                X, y, weight, share("validation_fraction", self.validation_fraction), streams
            )
            sets = [held]
        kind, scoring, threads = self._kind(), self._scoring(), self._threads()
        kind.check(y)
        mapper = BinMapper(min(255, count("max_bin", self.max_bin, low=2)), min_rows=1)
        self.bins_ = mapper.fit(X, self.columns_.categorical, streams)
        start = kind.start(y, weight)
        K, n = len(start), len(y)
        levels = [c if coded else None for c, coded in zip(mapper.cuts, mapper.kinds, strict=True)]
        self.trees_ = Trees(K, start, levels)
        self.scalings_: list[float] = []
        grower: Grower | SortedGrower
        if choice("splitter", self.splitter, ("histogram", "exact")) == "histogram":
            grower = Grower(mapper.transform(X, threads), growth, threads)
        else:
            refuse_categories(mapper.kinds, "exact")
            grower = SortedGrower(X, growth, "exact", 0.0, None, None)
        tables = [grower.table(s.X, mapper) for s in sets]
        for s in sets:
            s.raw = np.repeat(start[:, None], s.X.shape[0], axis=1)
        raw = np.repeat(start[:, None], n, axis=1)
        ones = np.ones(n) if weight is None else weight
        every = np.arange(n)
        parts: list[dict[str, np.ndarray]] = []
        train: list[float] = []
        best, best_round = np.inf, 0
        # Equal targets leave nothing to learn but a width that shrinks for ever.
        for round_ in range(rounds if y.min() < y.max() else 0):
            rows = drawn_rows(every, rows_share, streams, round_) if rows_share < 1 else every
            mask = column_draw(X.shape[1], columns_share, streams, round_)
            here = kind(raw)
            train.append(_average(here.scores(y, scoring), weight))
            gradient = here.natural(y, scoring) if self.natural_gradient else here.gradient(y, scoring)
            step = np.zeros_like(raw)
            grown = []
            for k in range(K):
                used = rows if len(rows) < n else None
                tree = grower.grow(gradient[k] * ones, ones, used, mask, streams.integer("tree", round_, k))
                grower.add(tree, step[k])
                grown.append(tree)
            part = slice(None) if len(rows) == n else rows
            scale = _line_search(
                kind, raw[:, part], step[:, part], y[part], None if weight is None else weight[part], scoring, tol
            )
            self.scalings_.append(scale)
            for k, tree in enumerate(grown):
                tree.values[:] *= rate * scale
                raw[k] += rate * scale * step[k]
                for s, table in zip(sets, tables, strict=True):
                    grower.add_to(tree, table, s.raw[k])
                parts.append(tree.part(mapper))
            stalled = False
            for i, s in enumerate(sets):
                value = _average(kind(s.raw).scores(s.y, scoring), s.weight)
                s.history.setdefault(scoring, []).append(value)
                if i == 0 and patience is not None:
                    if value < best:
                        best, best_round = value, round_
                    stalled = round_ - best_round >= patience
            if stalled or _length(step) < tol:
                break
        self.trees_.extend(parts)
        self.n_estimators_ = len(self.trees_) // max(1, K)
        self.train_scores_ = np.array(train)
        self.evals_result_ = {s.name: s.history for s in sets}
        self.best_iteration_ = best_round + 1 if patience is not None and np.isfinite(best) else None
        self.best_score_ = float(best) if np.isfinite(best) else None

    def _sets(self, eval_set: Any, eval_sample_weight: Any, encode: Any) -> list[EvalSet]:
        return self._eval_sets(eval_set, None, eval_sample_weight, None, None, encode, 1)

    def pred_dist(self, X: Any, *, num_iteration: int | None = None) -> Distribution:
        """Return the distributions of the rows of X (n, d), after ``num_iteration`` rounds, by default the best or all."""
        require_fitted(self, "trees_")
        return self._kind()(np.ascontiguousarray(self.predict_raw(X, num_iteration).T))

    def staged_pred_dist(self, X: Any) -> Iterator[Distribution]:
        """Yield the distributions after each round."""
        for raw in self._staged_raw(X):
            yield self._kind()(np.ascontiguousarray(raw.T))


class NGBRegressor(RegressorMixin, _NGBoost):
    r"""Probabilistic regression: boosting of all parameters of a distribution along the natural gradient of a score.

    .. math:: \tilde g_i = I(\theta_i)^{-1} \nabla_\theta S(\theta_i, y_i), \qquad
              \theta \leftarrow \theta - \eta \, \rho \, f(x), \quad f \approx \tilde g

    In each round one tree for each parameter follows the natural gradients, and the step :math:`\rho` is doubled from 1 while
    the score falls, then halved until it does.

    Parameters
    ----------
    distribution : {"normal", "lognormal", "poisson"}, default "normal"
    scoring : {"log", "crps"}, default "log"
        The score to lower: minus the log likelihood, or the continuous ranked probability score (Normal and LogNormal).
    n_estimators : int >= 1, default 500
        Rounds.
    learning_rate : float > 0, default 0.01
    max_depth : int >= 1, default 3
    min_samples_leaf : int >= 1, default 1
    natural_gradient : bool, default True
        False follows the plain gradient.
    minibatch_frac, col_sample : float in (0, 1], default 1
        Shares of rows and columns drawn for each round.
    tol : float > 0, default 1e-4
        The fit ends when the mean length of a step is below this; the line search does as well.
    max_bin : int in [2, 255], default 255
        Bins of a column; columns with fewer distinct values are split exactly.
    splitter : {"histogram", "exact"}, default "histogram"
        "exact" looks at every value of every column, not at bins; it knows no categorical columns.
    categorical_feature : "auto", boolean mask, numbers or names of columns, default "auto"
    early_stopping_rounds : int >= 1, optional
        End when the score of the first evaluation set has not fallen for so many rounds; predictions use the best.
    validation_fraction : float in (0, 1), default 0.1
        Rows held out for early stopping when there is no ``eval_set``.
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads; any number gives the same model, bit for bit.

    Attributes
    ----------
    trees_ : Trees
        Tree t raises parameter ``t % K``.
    scalings_ : list of float
        The step of each round.
    train_scores_ : array (rounds,)
        Mean score before each round.
    evals_result_ : dict, set name to score name to values by round
    best_iteration_ : int or None, best_score_ : float or None
    feature_importances_ : array (d,)

    Raises
    ------
    DataError
        Targets outside the support of the distribution.
    InputError
        A parameter outside its range.

    Notes
    -----
    The metric of the CRPS is the one that its definition gives (see :mod:`._distributions`); the paper's carries a factor s
    more. ngboost fits the first parameters without the weights, here they count. A round whose line search finds no lower
    score takes the step whose mean length is below ``tol``.

    References
    ----------
    Duan et al., NGBoost: Natural gradient boosting for probabilistic prediction, 2019; ``01#ngboost``.

    Examples
    --------
    >>> X = [[0.0], [0.0], [1.0], [1.0]]
    >>> model = NGBRegressor(n_estimators=200, learning_rate=0.1).fit(X, [0.0, 2.0, 10.0, 14.0])
    >>> model.predict([[0.0], [1.0]]).round(1).tolist(), model.pred_dist([[0.0], [1.0]]).std().round(1).tolist()
    ([1.0, 12.0], [1.0, 2.0])
    """

    def __init__(
        self,
        *,
        distribution: str = "normal",
        scoring: str = "log",
        n_estimators: int = 500,
        learning_rate: float = 0.01,
        max_depth: int = 3,
        min_samples_leaf: int = 1,
        natural_gradient: bool = True,
        minibatch_frac: float = 1.0,
        col_sample: float = 1.0,
        tol: float = 1e-4,
        max_bin: int = 255,
        splitter: str = "histogram",
        categorical_feature: Any = "auto",
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            natural_gradient=natural_gradient,
            minibatch_frac=minibatch_frac,
            col_sample=col_sample,
            tol=tol,
            max_bin=max_bin,
            splitter=splitter,
            categorical_feature=categorical_feature,
            early_stopping_rounds=early_stopping_rounds,
            validation_fraction=validation_fraction,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        self.distribution = distribution
        self.scoring = scoring

    def _kind(self) -> type[Distribution]:
        return DISTRIBUTIONS[choice("distribution", self.distribution, tuple(DISTRIBUTIONS))]

    def _scoring(self) -> str:
        choice("scoring", self.scoring, ("log", "crps"))
        if self.scoring not in self._kind().scorings:
            raise InputError(f"`scoring` 'crps' is for 'normal' and 'lognormal', not {self.distribution!r}; use 'log'.")
        return self.scoring

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, eval_sample_weight: Any = None
    ) -> Self:
        """Fit the trees on X (n, d) and targets y (n,), with optional weights (n,) >= 0.

        ``eval_set`` is a list of pairs (X, y) whose scores are kept in ``evals_result_``.
        """
        X, weight = self._prepare(X, y, sample_weight, self._categorical())
        y = numeric_targets(y)
        self._boost_distribution(X, y, weight, self._sets(eval_set, eval_sample_weight, numeric_targets))
        return self

    def predict(self, X: Any, *, num_iteration: int | None = None) -> np.ndarray:
        """Return the means of the distributions: X (n, d) -> (n,)."""
        return self.pred_dist(X, num_iteration=num_iteration).mean()


class NGBClassifier(ClassifierMixin, _NGBoost):
    """Classification by natural gradient boosting of the logits of all classes but the first.

    Parameters but ``distribution`` and ``scoring``, attributes, notes and references are those of :class:`NGBRegressor`;
    ``classes_`` holds the labels.
    """

    _codes = BoostedClassifier._codes

    def _kind(self) -> type[Distribution]:
        return Categorical

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, eval_sample_weight: Any = None
    ) -> Self:
        """Fit the trees on X (n, d) and labels y (n,); the other arguments as for :meth:`NGBRegressor.fit`."""
        X, weight = self._prepare(X, y, sample_weight, self._categorical())
        self.classes_, codes = encode_labels(label_targets(y))
        self.n_classes_ = len(self.classes_)
        if weight is not None:
            seen = np.bincount(codes, weights=weight, minlength=self.n_classes_) > 0
            codes = (np.cumsum(seen) - 1)[codes]  # classes without weight are no classes
            self.classes_, self.n_classes_ = self.classes_[seen], int(seen.sum())
        self._boost_distribution(
            X, codes.astype(np.float64), weight, self._sets(eval_set, eval_sample_weight, self._codes)
        )
        return self

    def predict_proba(self, X: Any, *, num_iteration: int | None = None) -> np.ndarray:
        """Return the probabilities of the classes: X (n, d) -> (n, C)."""
        return np.ascontiguousarray(self.pred_dist(X, num_iteration=num_iteration).probabilities.T)  # type: ignore[attr-defined]

    def predict(self, X: Any, *, num_iteration: int | None = None) -> np.ndarray:
        """Return the most probable class of each row: X (n, d) -> (n,)."""
        require_fitted(self, "trees_")
        return self.classes_[self.predict_proba(X, num_iteration=num_iteration).argmax(axis=1)]


def _average(values: np.ndarray, weight: np.ndarray | None) -> float:
    return float(np.average(values, weights=weight))


def _length(step: np.ndarray) -> float:
    """Return the mean Euclidean length of the columns of a step (K, n)."""
    return float(np.sqrt((step * step).sum(axis=0)).mean())


def _line_search(
    kind: type[Distribution],
    raw: np.ndarray,
    step: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    scoring: str,
    tol: float,
) -> float:
    """Return the factor of the step (K, n): doubled from 1 while the mean score does not rise, then halved until it falls."""

    def score(scale: float) -> float:
        # A step too long may leave the range of numbers; its score is not finite and the step is refused.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value = _average(kind(raw + scale * step).scores(y, scoring), weight)
        return value if np.isfinite(value) else np.inf

    here, length = score(0.0), _length(step)
    scale, value = 1.0, score(1.0)
    while value <= here and scale <= _LONGEST:
        scale *= 2
        value = score(scale)
    while value >= here and length * scale >= tol:
        scale /= 2
        value = score(scale)
    return scale


def _hold_out(
    X: Any, y: np.ndarray, weight: np.ndarray | None, part: float, streams: Streams
) -> tuple[Any, np.ndarray, np.ndarray | None, EvalSet]:
    """Return the rows that are kept, and those held out."""
    n = len(y)
    order = streams.numpy("held-out").permutation(n)
    n_held = max(1, int(part * n))
    if n_held >= n:
        raise InputError(f"X has {n} rows; too few to hold some out for early stopping.")
    held, kept = np.sort(order[:n_held]), np.sort(order[n_held:])
    rest = None if weight is None else weight[held]
    out = EvalSet("held_out", X[held], y[held], rest, np.empty((1, n_held)))
    return X[kept], y[kept], None if weight is None else weight[kept], out
