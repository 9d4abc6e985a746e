"""Hyper-parameter search: grid, quasi-random and Bayesian, as a stateless proposal, a loop, and an estimator."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if

from fivefold.base.checks import check_count
from fivefold.base.codec import Stateful
from fivefold.base.errors import CapabilityError, FivefoldError, InputError, InputTypeError, SpecError, TrainingError
from fivefold.base.estimator import Estimator, NotFittedError
from fivefold.base.names import resolve
from fivefold.base.random import Streams

from .search_space import Space

__all__ = ["METHODS", "Search", "SearchCV", "Space", "Trial", "propose", "search"]

METHODS = ("bayesian", "random", "grid")


@dataclass(frozen=True)
class Trial(Stateful):
    """One evaluation: the parameters, their score (None when it failed, with the reason), and how long it took."""

    params: dict[str, Any]
    score: float | None
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Search(Stateful):
    """A finished search: the best trial and all of them in their order."""

    best: Trial
    trials: tuple[Trial, ...]


def propose(
    space: Space,
    trials: Sequence[Trial],
    *,
    seed: int = 0,
    method: str = "bayesian",
    first: Mapping[str, Any] | None = None,
    maximize: bool = True,
    points: int = 5,
) -> dict[str, Any] | None:
    """Return the parameters to be tried next, from the finished trials alone.

    The answer depends on the arguments only, so a search that was interrupted goes on as if it had not been. No point is
    proposed twice.

    Parameters
    ----------
    space : Space
    trials : sequence of Trial
        What was tried, in its order; a failed trial counts as the worst score seen.
    seed : int, default 0
    method : {"bayesian", "random", "grid"}, default "bayesian"
        "random" is point number ``len(trials)`` of a scrambled Sobol sequence; "bayesian" starts with max(5, 2 d) such points
        and then maximizes the expected improvement under a Gaussian process; "grid" walks through :meth:`Space.grid`.
    first : mapping, optional
        Parameters of trial 0, for example the defaults; they may lie outside the space, whose model then leaves them out.
    maximize : bool, default True
        Whether a larger score is better.
    points : int, default 5
        Points of a range in a grid.

    Returns
    -------
    dict or None
        None when every point of a finite space (or of the grid) has been tried.

    Raises
    ------
    SpecError
        For a space without parameters.
    UnknownNameError
        For an unknown method.
    """
    chosen = resolve(method, METHODS, "search method")
    if not len(space):
        raise SpecError("The search space is empty; give at least one parameter with a range or choices.")
    if not trials and first is not None:
        return dict(first)
    inside = [trial for trial in trials if space.holds(trial.params)]
    tried = {space.key(trial.params) for trial in inside}
    if chosen == "grid":
        return next((params for params in space._combinations(points) if space.key(params) not in tried), None)
    streams = Streams(seed)
    finite = [trial.score for trial in inside if trial.score is not None]
    if chosen == "random" or len(trials) < max(5, 2 * len(space)) or len(set(finite)) < 2:
        return _untried(space, tried, streams, len(trials))
    from .search_bayes import suggest

    sign = 1.0 if maximize else -1.0
    worst = min(sign * score for score in finite)
    values = np.array([worst if trial.score is None else sign * trial.score for trial in inside])
    units = np.array([space.encode(trial.params) for trial in inside])
    unit = suggest(space, units, values, units, streams, len(trials))
    if unit is not None:
        params = space.decode(unit)
        if space.key(params) not in tried:
            return params
    return _untried(space, tried, streams, len(trials))


def _untried(space: Space, tried: set[str], streams: Streams, number: int) -> dict[str, Any] | None:
    """Return the first point of the Sobol sequence from ``number`` on that is new, else any that is, else None."""
    from .search_bayes import sobol_points

    for start, count in ((number, 1), (number + 1, 1023)):
        for unit in sobol_points(streams, "search/sobol", len(space), start, count):
            params = space.decode(unit)
            if space.key(params) not in tried:
                return params
    if space.size is None:
        return None
    # Among len(tried) + 1 distinct points one is new, so this walk is short; ranges are finite here and are walked whole.
    return next((params for params in space._combinations(space.size) if space.key(params) not in tried), None)


def search(
    objective: Callable[[dict[str, Any]], float],
    space: Space,
    *,
    n_trials: int,
    method: str = "bayesian",
    maximize: bool = True,
    seed: int = 0,
    first: Mapping[str, Any] | None = None,
    deadline: float | None = None,
) -> Search:
    """Evaluate up to ``n_trials`` parameters one after the other and return the best.

    Parameters
    ----------
    objective : callable(params) -> float
        A :class:`FivefoldError`, a ValueError or a score that is not finite makes a failed trial; other errors are raised.
    space : Space
    n_trials : int >= 1
        A finite space that is exhausted earlier ends the search.
    method, seed, first, maximize
        As in :func:`propose`. A grid gives every range as many points as keep it within ``n_trials``.
    deadline : float, optional
        Value of ``time.monotonic()`` after which no new trial starts.

    Returns
    -------
    Search
        Of equal scores the earlier trial is the best.

    Raises
    ------
    TrainingError
        When every trial failed (the message gives the first reason), or the deadline had passed before the first.
    InputError
        When the grid cannot be as small as ``n_trials``.
    """
    check_count("n_trials", n_trials)
    points = 5
    if resolve(method, METHODS, "search method") == "grid":
        points = _grid_points(space, int(n_trials) - (first is not None))
        if _grid_size(space, points) + (first is not None) > n_trials:
            raise InputError(
                f"The grid has {_grid_size(space, points):,} points{' besides the first trial' if first is not None else ''}, "
                f"more than n_trials={n_trials}; raise n_trials, or use the method 'random' or 'bayesian'."
            )
    trials: list[Trial] = []
    while len(trials) < n_trials and (deadline is None or time.monotonic() < deadline):
        params = propose(space, trials, seed=seed, method=method, first=first, maximize=maximize, points=points)
        if params is None:
            break
        trials.append(_try(objective, params))
    return Search(_best(trials, maximize), tuple(trials))


def _try(objective: Callable[[dict[str, Any]], float], params: dict[str, Any]) -> Trial:
    start = time.perf_counter()
    score: float | None = None
    reason = ""
    try:
        score = float(objective(dict(params)))
    except (FivefoldError, ValueError) as error:
        reason = str(error) or type(error).__name__
    if score is not None and not math.isfinite(score):
        score, reason = None, f"the score is {score}"
    return Trial(params, score, time.perf_counter() - start, reason)


def _best(trials: Sequence[Trial], maximize: bool) -> Trial:
    if not trials:
        raise TrainingError("The time was over before the first trial of the search could start; give it more time.")
    best: Trial | None = None
    for trial in trials:
        if trial.score is None:
            continue
        if best is None or best.score is None or (trial.score > best.score if maximize else trial.score < best.score):
            best = trial
    if best is None:
        raise TrainingError(f"All {len(trials)} trials of the search failed; the first: {trials[0].reason}")
    return best


def _grid_size(space: Space, points: int) -> int:
    return math.prod(len(dimension.values(points)) for dimension in space.dimensions)


def _grid_points(space: Space, n_trials: int) -> int:
    """Return the most points a range, at least 2, for which the grid has at most ``n_trials``."""
    ranged = any(not dimension.choices for dimension in space.dimensions)
    points = 2
    while ranged and points < n_trials and _grid_size(space, points + 1) <= n_trials:
        points += 1
    return points


def _refitted_has(name: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        getattr(getattr(self, "best_estimator_", self.estimator), name)
        return True

    return check


class SearchCV(MetaEstimatorMixin, Estimator):
    r"""Estimator that searches its parameters by cross-validation and refits with the best.

    The score of parameters :math:`\theta` is the mean over the folds,
    :math:`s(\theta) = \frac1k \sum_{j=1}^k s_j(\theta)`, each fold scored by a model trained on the others.

    Parameters
    ----------
    estimator : estimator
        Cloned for every fold.
    space : mapping or Space
        As in :meth:`Space.from_dict`; a list is short for choices.
    n_trials : int >= 1, default 20
        Evaluations; a grid is walked whole, its ranges with as many points as keep it within ``n_trials`` (two at least).
    method : {"bayesian", "random", "grid"}, default "bayesian"
    cv : int, splitter, or iterable of (train, test) indices, default 5
        An int makes stratified folds for classifiers and plain ones otherwise, without shuffling.
    scoring : str or callable(estimator, X, y), optional
        Larger is better; a name is one of ``sklearn.metrics.get_scorer_names()``; by default the estimator's own ``score``.
    refit : bool, default True
        Fit ``best_estimator_`` on all rows.
    random_state : int, RandomState or None, default 0

    Attributes
    ----------
    best_params_, best_score_, best_index_
        Parameters, mean score and number of the best trial; the earlier of equal ones.
    best_estimator_ : estimator
    cv_results_ : list of Trial
    n_splits_ : int

    Raises
    ------
    TrainingError
        When every trial failed; the message gives the first reason.

    Notes
    -----
    ``best_score_`` is the maximum over many trials and therefore too good; rows that took no part in the search tell the error.

    References
    ----------
    Bergstra & Bengio (2012); Snoek, Larochelle & Adams (2012). Spec ``03#automl-architecture-selection``,
    ``07#meta-other-slots``, ``01#practice-pipeline``.
    """

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        n_trials: int = 20,
        method: str = "bayesian",
        cv: Any = 5,
        scoring: Any = None,
        refit: bool = True,
        random_state: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.space = space
        self.n_trials = n_trials
        self.method = method
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Self:
        """Search, and refit with the best parameters.

        Parameters
        ----------
        X : array, frame or list of n rows
        y : array (n,), optional
        groups : array (n,), optional
            Handed to the splitter.

        Returns
        -------
        self
        """
        space = self.space if isinstance(self.space, Space) else Space.from_dict(self.space)
        folds = list(self._folds(X, y, groups))
        if not folds:
            raise InputError("cv gave no folds; give at least one pair of training and test rows.")
        scorer = self._scorer()

        def objective(params: dict[str, Any]) -> float:
            scores = []
            for train, test in folds:
                model = clone(self.estimator).set_params(**params)
                _fit(model, _safe_indexing(X, train), None if y is None else _safe_indexing(y, train))
                scores.append(scorer(model, _safe_indexing(X, test), None if y is None else _safe_indexing(y, test)))
            return float(np.mean(scores))

        n_trials = self.n_trials
        if resolve(self.method, METHODS, "search method") == "grid":
            n_trials = max(int(n_trials), _grid_size(space, _grid_points(space, int(n_trials))))
        found = search(
            objective,
            space,
            n_trials=n_trials,
            method=self.method,
            seed=Streams.of(self.random_state).integer("search-cv"),
        )
        self.n_splits_ = len(folds)
        self.cv_results_ = list(found.trials)
        self.best_index_ = self.cv_results_.index(found.best)
        self.best_params_ = dict(found.best.params)
        self.best_score_ = found.best.score
        if self.refit:
            self.best_estimator_ = _fit(clone(self.estimator).set_params(**self.best_params_), X, y)
        return self

    def _folds(self, X: Any, y: Any, groups: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from fivefold.evaluation.validation import KFold, StratifiedKFold

        splitter = self.cv
        if isinstance(splitter, (int, np.integer)) and not isinstance(splitter, bool):
            stratified = is_classifier(self.estimator) and y is not None
            splitter = StratifiedKFold(int(splitter)) if stratified else KFold(int(splitter))
        if hasattr(splitter, "split"):
            yield from splitter.split(X, y, groups)
            return
        try:
            yield from ((np.asarray(train), np.asarray(test)) for train, test in splitter)
        except TypeError as error:
            raise InputTypeError(
                f"cv must be a number of folds, a splitter or pairs of row indices; got {splitter!r}."
            ) from error

    def _scorer(self) -> Callable[[Any, Any, Any], float]:
        if callable(self.scoring):
            scorer: Callable[[Any, Any, Any], float] = self.scoring
            return scorer
        if self.scoring is None:
            if not hasattr(self.estimator, "score"):
                raise CapabilityError(f"{type(self.estimator).__name__} has no method score; give scoring.")
            return lambda model, X, y: float(model.score(X) if y is None else model.score(X, y))
        from sklearn.metrics import get_scorer, get_scorer_names

        named: Callable[[Any, Any, Any], float] = get_scorer(resolve(str(self.scoring), get_scorer_names(), "scoring"))
        return named

    def _model(self) -> Any:
        if not hasattr(self, "cv_results_"):
            raise NotFittedError("This SearchCV is not fitted yet; call `fit` before using it.")
        if not hasattr(self, "best_estimator_"):
            raise NotFittedError(
                "This SearchCV was fitted with refit=False and has no model; fit one with best_params_."
            )
        return self.best_estimator_

    @available_if(_refitted_has("predict"))
    def predict(self, X: Any) -> Any:
        """Return the predictions of the refitted model."""
        return self._model().predict(X)

    @available_if(_refitted_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the refitted model."""
        return self._model().predict_proba(X)

    @available_if(_refitted_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Return the decision values of the refitted model."""
        return self._model().decision_function(X)

    @available_if(_refitted_has("transform"))
    def transform(self, X: Any) -> Any:
        """Return what the refitted model makes of ``X``."""
        return self._model().transform(X)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the score of the refitted model on other rows, by ``scoring``."""
        return float(self._scorer()(self._model(), X, y))

    @property
    def classes_(self) -> Any:
        """Labels in the order of the probabilities."""
        return self._model().classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features of the refitted model."""
        return int(self._model().n_features_in_)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags

        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        return tags


def _fit(model: Any, X: Any, y: Any) -> Any:
    return model.fit(X) if y is None else model.fit(X, y)
