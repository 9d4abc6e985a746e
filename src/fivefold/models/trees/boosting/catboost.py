"""CatBoost: ordered target statistics, ordered boosting, symmetric trees (Prokhorenkova et al. 2018)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fivefold.base.checks import choice, real
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import sample_weights

from . import _losses as losses
from ._binning import BinMapper
from ._boosted import Boosted, Plan, _offsets, count, share
from ._core import Growth
from ._following import EvalSet, Stopper
from ._metrics import measure, metrics_of
from ._permutations import Candidates, Ordered, Plain
from ._statistics import Features, View
from ._structures import Sampler, Structures, automatic_rate
from ._symmetric import descend, tree_arrays
from ._tasks import BoostedClassifier, BoostedRegressor
from ._trees import Trees


class _CatBoost(Boosted):
    _ALIASES: ClassVar[dict[str, str]] = {
        "n_estimators": "iterations",
        "num_boost_round": "iterations",
        "num_trees": "iterations",
        "eta": "learning_rate",
        "max_depth": "depth",
        "reg_lambda": "l2_leaf_reg",
        "max_bin": "border_count",
        "objective": "loss_function",
        "cat_features": "categorical_features",
        "categorical_feature": "categorical_features",
        "colsample_bylevel": "rsm",
        "class_weights": "class_weight",
        "eval_metric": "metric",
        "od_wait": "early_stopping_rounds",
        "random_seed": "random_state",
        "thread_count": "n_jobs",
    }

    def __init__(
        self,
        *,
        iterations: int = 1000,
        learning_rate: float | None = None,
        depth: int = 6,
        l2_leaf_reg: float = 3.0,
        loss_function: str | None = None,
        alpha: float = 0.5,
        boosting_type: str = "Plain",
        score_function: str = "Cosine",
        random_strength: float = 1.0,
        bootstrap_type: str | None = None,
        subsample: float | None = None,
        bagging_temperature: float = 1.0,
        rsm: float = 1.0,
        border_count: int = 254,
        nan_mode: str = "Min",
        categorical_features: Any = "auto",
        one_hot_max_size: int = 2,
        max_ctr_complexity: int = 4,
        ctr_border_count: int = 15,
        priors: Any = None,
        prior_weight: float = 1.0,
        model_size_reg: float = 0.5,
        handle_unknown: str = "prior",
        permutation_count: int = 4,
        leaf_estimation_iterations: int | None = None,
        boost_from_average: bool | None = None,
        class_weight: Any = None,
        scale_pos_weight: float = 1.0,
        metric: Any = None,
        use_best_model: bool = True,
        early_stopping_rounds: int | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        **aliases: Any,
    ) -> None:
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.depth = depth
        self.l2_leaf_reg = l2_leaf_reg
        self.loss_function = loss_function
        self.alpha = alpha
        self.boosting_type = boosting_type
        self.score_function = score_function
        self.random_strength = random_strength
        self.bootstrap_type = bootstrap_type
        self.subsample = subsample
        self.bagging_temperature = bagging_temperature
        self.rsm = rsm
        self.border_count = border_count
        self.nan_mode = nan_mode
        self.categorical_features = categorical_features
        self.one_hot_max_size = one_hot_max_size
        self.max_ctr_complexity = max_ctr_complexity
        self.ctr_border_count = ctr_border_count
        self.priors = priors
        self.prior_weight = prior_weight
        self.model_size_reg = model_size_reg
        self.handle_unknown = handle_unknown
        self.permutation_count = permutation_count
        self.leaf_estimation_iterations = leaf_estimation_iterations
        self.boost_from_average = boost_from_average
        self.class_weight = class_weight
        self.scale_pos_weight = scale_pos_weight
        self.metric = metric
        self.use_best_model = use_best_model
        self.early_stopping_rounds = early_stopping_rounds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self._accept(aliases)

    def _categorical(self) -> Any:
        return self.categorical_features

    def _prepare(self, X: Any, y: Any, sample_weight: Any, categorical: Any) -> tuple[Any, np.ndarray | None]:
        features = Features(real("prior_weight", self.prior_weight, low=0.0, above=True))
        table = features.learn(self, X, categorical)
        if y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        rows = len(y) if hasattr(y, "__len__") else len(np.atleast_1d(np.asarray(y)))
        if rows != len(table):
            raise DataError(
                f"X and y have inconsistent numbers of samples: [{len(table)}, {rows}]; give one target a row."
            )
        self.columns_ = features
        return table, sample_weights(sample_weight, len(table))

    def _followed_table(self, X: Any) -> np.ndarray:
        return self.columns_.dense(self, X)

    def _plan_with(self, loss: losses.Loss, d: int, default_metric: str) -> Plan:
        depth = count("depth", self.depth)
        if depth > 16:
            raise InputError(f"`depth` is {depth}; a symmetric tree has 2^depth leaves: give at most 16.")
        rounds = count("iterations", self.iterations)
        patience = None
        if self.early_stopping_rounds is not None:
            patience = count("early_stopping_rounds", self.early_stopping_rounds)
        elif self.use_best_model:
            patience = rounds + 1  # never reached: the best round is only remembered
        rate = self.learning_rate
        if rate is not None:
            rate = real("learning_rate", rate, low=0.0, above=True)
        start = self.boost_from_average
        return Plan(
            loss=loss,
            growth=Growth(max_leaves=2**depth, max_depth=depth, l2=real("l2_leaf_reg", self.l2_leaf_reg, low=0.0)),
            n_estimators=rounds,
            learning_rate=0.0 if rate is None else rate,
            max_bins=min(255, count("border_count", self.border_count) + 1),
            start_from_average=isinstance(self, BoostedRegressor) if start is None else bool(start),
            columns=share("rsm", self.rsm),
            patience=patience,
            metric=self.metric,
            default_metric=default_metric,
        )

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
        if callbacks:
            raise InputError(f"{type(self).__name__} takes no `callbacks`; leave them out.")
        loss, threads, sets = plan.loss, self._threads(), list(eval_sets or [])
        K = loss.n_outputs
        loss.check(y)
        raw = np.zeros((K, len(y)))
        if init_score is not None:
            raw += _offsets(init_score, K, len(y))
        if weight is not None and not weight.all():  # a row without weight is no row
            kept = np.flatnonzero(weight > 0)
            X, y, weight, raw = X[kept], y[kept], weight[kept], raw[:, kept]
        n = len(y)
        base = loss.start(y, weight) if plan.start_from_average and init_score is None else np.zeros(K)
        raw += base[:, None]
        rate = plan.learning_rate or automatic_rate(loss, n, plan.n_estimators, bool(sets) and self.use_best_model)
        streams = Streams.of(self.random_state)
        ordered = choice("boosting_type", self.boosting_type, ("Plain", "Ordered")) == "Ordered"
        draws = count("permutation_count", self.permutation_count, low=2)
        orders = [streams.numpy("permutation", p).permutation(n) for p in range(draws)]
        sampler = Sampler(self, K, n)
        structure = Structures(self, plan, streams, threads)
        features = self.columns_
        candidates = self._candidates(X, y, weight, plan, orders, streams, threads)
        several = ordered or len(candidates.mixed) > 0
        models: list[Plain | Ordered] = [Plain(loss, y, weight, raw, threads)]
        if several:
            models += [
                Ordered(loss, y, weight, raw, o, threads) if ordered else Plain(loss, y, weight, raw, threads)
                for o in orders[1:]
            ]
        ones = np.ones(n) if weight is None else weight
        l2 = plan.growth.l2
        steps = self.leaf_estimation_iterations
        steps = 1 if steps is None else count("leaf_estimation_iterations", steps)
        views = [View(features, s.X) for s in sets]
        for s in sets:
            s.raw += base[:, None]
        metrics, stopper = (
            metrics_of(plan.metric, plan.default_metric),
            Stopper(plan.patience, plan.tolerance, first_metric_only=False),
        )
        parts: list[dict[str, np.ndarray]] = []
        chosen: list[int] = []
        for round_ in range(plan.n_estimators):
            at = 1 + streams.integer("model", round_) % (draws - 1) if several else 0
            g, h = models[at].gradients()
            drawn = sampler.draw(g, streams, round_)
            left = np.exp(np.log(n) - rate * round_)
            noise = structure.strength * float(np.sqrt((g * g).sum() / n)) * left / (1 + left)
            splits = structure.find(candidates, at, g, h if structure.newton else ones[None], drawn, l2, noise, round_)
            chosen += [c for c, _ in splits]
            for p, model in enumerate(models):
                leaf = np.zeros(n, dtype=np.int32)
                for c, cut in splits:
                    descend(candidates.bins[candidates.slots[c][p]], cut, leaf)
                answer = model.boost(leaf, 2 ** len(splits), l2, steps, rate)
                if answer is not None:
                    values, cover = answer
                    rows = np.bincount(leaf, minlength=2 ** len(splits))
            sampler.look(values / rate)
            columns, thresholds = [c for c, _ in splits], [float(candidates.cuts[c][cut]) for c, cut in splits]
            for k in range(K):
                parts.append(tree_arrays(columns, thresholds, values[k], cover[k], rows, structure.nan_low))
            for s, view in zip(sets, views, strict=True):
                leaf = np.zeros(len(s.y), dtype=np.int32)
                for c, threshold in zip(columns, thresholds, strict=True):
                    x = view.column(c)
                    leaf = 2 * leaf + np.where(np.isnan(x), not structure.nan_low, x > threshold)
                s.raw += values[:, leaf]
                for metric in metrics:
                    name, value, higher = measure(metric, s.y, s.raw, s.weight, loss, s.group)
                    s.history.setdefault(name, []).append(value)
                    stopper.see(s.name, name, value, higher, round_)
            if stopper.done():
                break
        self._keep(features, parts, set(chosen))
        self.trees_ = Trees(K, base, [None] * len(features.owners))
        self.trees_.extend(parts)
        self.loss_, self.learning_rate_ = loss, rate
        self.shrinkage_ = np.full(len(self.trees_), rate)
        self.n_estimators_ = len(self.trees_) // K
        self.evals_result_ = {s.name: s.history for s in sets}
        self.best_iteration_ = stopper.best_round + 1 if stopper.best_round is not None else None
        self.best_score_ = stopper.best_value

    def _candidates(
        self,
        X: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        plan: Plan,
        orders: list[np.ndarray],
        streams: Streams,
        threads: int,
    ) -> Candidates:
        mode = choice("nan_mode", self.nan_mode, ("Min", "Max", "Forbidden"))
        features = self.columns_
        numbers = np.ascontiguousarray(X[:, ~features.categorical])
        if mode == "Forbidden" and np.isnan(numbers).any():
            raise DataError(
                "X contains NaN and nan_mode='Forbidden'; fill in the missing values, or take 'Min' or 'Max'."
            )
        mapper = BinMapper(plan.max_bins, 1).fit(numbers, np.zeros(numbers.shape[1], dtype=bool), streams)
        classes = np.arange(plan.loss.n_outputs)[:, None]
        return Candidates(
            features,
            X,
            (y == classes).astype(np.float64) if plan.loss.n_outputs > 1 else y[None],
            np.ones(len(y)) if weight is None else weight,
            orders,
            statistic_borders=min(254, count("ctr_border_count", self.ctr_border_count)),
            one_hot_size=count("one_hot_max_size", self.one_hot_max_size, low=0),
            nan_low=mode != "Max",
            priors=self._priors(),
            mapper=mapper,
            threads=threads,
        )

    def _priors(self) -> np.ndarray | None:
        """Return the priors of the statistics (q,), or None for the mean target."""
        given = self.priors
        if given is None:
            given = "mean" if isinstance(self, BoostedRegressor) else (0.0, 0.5, 1.0)
        if isinstance(given, str) and given == "mean":
            return None
        advice = f"`priors` is {given!r}; give 'mean', a finite number or a list of them."
        try:
            values = np.unique(np.asarray(given, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise InputError(advice) from error
        if values.size == 0 or not np.isfinite(values).all():
            raise InputError(advice)
        return values

    def _keep(self, features: Features, parts: list[dict[str, np.ndarray]], chosen: set[int]) -> None:
        """Forget the sources that no tree splits on."""
        first, width = len(features.numeric) + len(features.one_hot), features.prior.size + 1
        used = sorted({(c - first) // width for c in chosen if c >= first})
        places = np.full(first + width * len(features.sources) + 1, -1)  # the last entry stands for leaves
        places[:first] = np.arange(first)
        for new, old in enumerate(used):
            places[first + width * old : first + width * (old + 1)] = first + width * new + np.arange(width)
        features.sources = [features.sources[old] for old in used]
        for part in parts:
            part["feature"] = places[part["feature"]]

    def _contributions(self, X: Any, num_iteration: int | None) -> np.ndarray:
        inner = super()._contributions(X, num_iteration)
        out = np.zeros((*inner.shape[:2], self.n_features_in_ + 1))
        out[:, :, -1] = inner[:, :, -1]
        for c, columns in enumerate(self.columns_.owners):
            out[:, :, columns] += inner[:, :, c : c + 1] / len(columns)
        return out

    def importance(self, kind: str = "split") -> np.ndarray:
        """Return how often ("split") or with what total gain ("gain") each column is split on: (d,).

        A tree counts once for each of its levels; columns taken together share in equal parts.
        """
        require_fitted(self, "trees_")
        t = self.trees_
        inner = t.feature >= 0
        if kind == "gain":
            by_column = np.bincount(t.feature[inner], weights=t.gain[inner], minlength=len(self.columns_.owners))
        else:
            levels = np.array([t.feature[o + 2**i - 1] for o, e in zip(t.offset, t.offset[1:], strict=False)
                               for i in range(int(np.log2(e - o + 1)) - 1)], dtype=np.int64)  # fmt: skip
            by_column = np.bincount(levels, minlength=len(self.columns_.owners)).astype(np.float64)
        out = np.zeros(self.n_features_in_)
        for value, columns in zip(by_column, self.columns_.owners, strict=True):
            out[columns] += value / len(columns)
        return out


class CatBoostRegressor(BoostedRegressor, _CatBoost):
    r"""Regression by symmetric trees on ordered target statistics.

    .. math:: \hat x_p = \frac{\sum_{q < p,\, c_q = c_p} y_q + a P}{\#\{q < p : c_q = c_p\} + a}, \qquad
              \text{score} = \frac{\sum_s v_s G_s}{\sqrt{\sum_s v_s^2 W_s}}, \quad v_s = \frac{G_s}{W_s + \lambda}

    A level of a categorical column becomes the mean target of the rows before in a permutation, so that no row sees its own
    target. All nodes of a level share one split: the one that makes the score over all sides s largest.

    Parameters
    ----------
    iterations : int >= 1, default 1000
    learning_rate : float > 0, optional
        Default: what CatBoost chooses by rows, iterations and loss, at most 0.5.
    depth : int in [1, 16], default 6
    l2_leaf_reg : float >= 0, default 3
        Penalty on squared leaf values.
    loss_function : {"RMSE", "MAE", "Quantile", "Poisson", "Huber"}, default "RMSE"
    alpha : float, default 0.5
        Level of "Quantile", width of "Huber".
    boosting_type : {"Plain", "Ordered"}, default "Plain"
        "Ordered" finds structures on gradients of models that never saw the row.
    score_function : {"Cosine", "L2", "NewtonCosine", "NewtonL2"}, default "Cosine"
    random_strength : float >= 0, default 1
        Scores get Normal noise of this many root mean squared gradients, which fades as the model grows: once for the cuts of a
        column, and anew for the best cuts of the columns.
    bootstrap_type : {"MVS", "Bayesian", "Bernoulli", "No"}, optional
        Rows for finding a structure; default "MVS", for more than two classes "Bayesian". Leaf values use all rows.
    subsample : float in (0, 1], optional
        Share of rows of "MVS" and "Bernoulli"; default 0.8, for fewer than 100 rows 1.
    bagging_temperature : float >= 0, default 1
        "Bayesian" weights are (-log u) to this power, u uniform.
    rsm : float in (0, 1], default 1
        Share of columns drawn for each level.
    border_count : int in [1, 254], default 254
        Cuts of a column of numbers; columns with no more distinct values are split exactly.
    nan_mode : {"Min", "Max", "Forbidden"}, default "Min"
        Missing numbers are less, or greater, than all others.
    categorical_features : "auto", boolean mask, numbers or names of columns, default "auto"
        "auto" takes the columns of categories or text of a frame. A missing value is a level of its own.
    one_hot_max_size : int >= 0, default 2
        Columns of at most so many levels become indicators.
    max_ctr_complexity : int >= 1, default 4
        Categorical columns taken together, as a tree has combined them on its way; at most 200 combinations are tried.
    ctr_border_count : int in [1, 254], default 15
        Cuts of a target statistic.
    priors : "mean", float or list of floats, optional
        Priors P of the target statistics, one column for each; "mean" is the mean target. Default: [0, 0.5, 1] for classes, where
        the target is 0 or 1, "mean" for regression.
    prior_weight : float > 0, default 1
        The weight a of a prior P.
    model_size_reg : float >= 0, default 0.5
        Scores of statistics of L levels that no tree uses yet are divided by (1 + L / largest L) to this power.
    handle_unknown : {"prior", "error"}, default "prior"
        What a level that was not there in ``fit`` does at predict: its statistics are the priors, or it is an error.
    permutation_count : int >= 2, default 4
        One gives leaf values, the others structures. A table without statistics needs none with "Plain".
    leaf_estimation_iterations : int >= 1, default 1
        Newton steps of a leaf.
    boost_from_average : bool, optional
        Begin with the best constant instead of 0; default True for regression, False for classes.
    class_weight : mapping or "balanced", optional
    scale_pos_weight : float > 0, default 1
        Classes alone: factors on weights.
    metric : str, callable or list, optional
        Followed on ``eval_set``; default: the loss.
    use_best_model : bool, default True
        With an ``eval_set``, predict with the rounds that were best on it.
    early_stopping_rounds : int >= 1, optional
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads; any number gives the same model, bit for bit.

    Attributes
    ----------
    trees_ : Trees
        Whole binary trees over the columns that ``columns_`` makes.
    columns_ : Features
        Levels and target statistics.
    learning_rate_ : float
    n_estimators_ : int
    best_iteration_ : int or None, best_score_ : float or None
    evals_result_ : dict, set name to metric name to values by round
    feature_importances_ : array (d,)

    Raises
    ------
    DataError
        Targets that the loss is not defined for, tables of other columns, unseen levels when they are an error.
    InputError
        A parameter outside its range.

    Notes
    -----
    CatBoost multiplies the penalty by the mean weight; here a weight of two is a row twice, but for what is drawn by row
    (permutations, ``bootstrap_type``, noise) and for the automatic learning rate, which counts rows. Parameters are accepted
    under CatBoost's other names as well (``cat_features``, ``n_estimators``, ``max_depth``, ``reg_lambda``, ``eta`` ...).
    The paper's prior is the mean target; CatBoost takes 0, 0.5 and 1 one beside another, also for regression, whose targets it
    cuts in two first. Every statistic comes with the weight of its level. CatBoost combines categories with the numeric splits of
    a tree as well, here with one another alone. It takes ten Newton steps a leaf for "Logloss" from 200 iterations on. With
    "Ordered", gradients come from models of the first 2^j b rows, b = min(100, n / 50), and splits are scored on them as in
    "Plain"; rows before the first model keep the gradients of the start.

    References
    ----------
    Prokhorenkova et al., CatBoost: Unbiased boosting with categorical features, 2018; ``01#catboost``.

    Examples
    --------
    >>> model = CatBoostRegressor(iterations=50, learning_rate=0.5, bootstrap_type="No", random_strength=0.0)
    >>> model.fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 4.0, 4.0]).predict([[0.2], [2.9]]).round(1).tolist()
    [0.0, 4.0]
    """

    def _regression_loss(self) -> losses.Loss:
        name = choice("loss_function", self.loss_function or "RMSE", ("RMSE", "MAE", "Quantile", "Poisson", "Huber"))
        if name == "MAE":
            return losses.Absolute()
        if name == "Quantile":
            return losses.Quantile(real("alpha", self.alpha, low=0.0, high=1.0, above=True, below=True))
        if name == "Poisson":
            return losses.Poisson(0.0)
        if name == "Huber":
            return losses.Huber(real("alpha", self.alpha, low=0.0, above=True))
        return losses.Squared()


class CatBoostClassifier(BoostedClassifier, _CatBoost):
    """Classification by symmetric trees on ordered target statistics: logistic loss, or softmax for more than two classes.

    Parameters, attributes, notes and references are those of :class:`CatBoostRegressor`, with "Logloss" and "MultiClass" for
    ``loss_function``; ``classes_`` holds the labels.
    """

    def _classification_loss(self, n_classes: int) -> losses.Loss:
        name = self.loss_function or ("MultiClass" if n_classes > 2 else "Logloss")
        choice("loss_function", name, ("Logloss", "MultiClass"))
        if name == "Logloss" and n_classes > 2:
            raise InputError(f"`loss_function` 'Logloss' is for two classes; y holds {n_classes}: use 'MultiClass'.")
        return losses.Logistic() if n_classes <= 2 else losses.Softmax(n_classes, 1.0)
