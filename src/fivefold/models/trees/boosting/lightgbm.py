"""LightGBM: histograms, leaf-wise growth, one-side sampling, categorical splits (Ke et al. 2017)."""

from __future__ import annotations

from typing import Any, ClassVar

from fivefold.base.checks import choice, real
from fivefold.base.errors import InputError

from . import _losses as losses
from ._boosted import Boosted, Plan, count, directions_of, groups_of, share
from ._core import Growth
from ._tasks import BoostedClassifier, BoostedRanker, BoostedRegressor

_REGRESSION = (
    "regression", "regression_l1", "huber", "quantile", "poisson", "gamma", "tweedie", "l2", "l1", "mse", "mae",
    "mean_squared_error", "mean_absolute_error",
)  # fmt: skip
_CLASSIFICATION = ("binary", "multiclass", "softmax", "focal", "exponential")


class _LightGBM(Boosted):
    _ALIASES: ClassVar[dict[str, str]] = {
        "max_leaves": "num_leaves",
        "eta": "learning_rate",
        "num_iterations": "n_estimators",
        "num_boost_round": "n_estimators",
        "min_data_in_leaf": "min_child_samples",
        "min_sum_hessian_in_leaf": "min_child_weight",
        "lambda_l2": "reg_lambda",
        "lambda": "reg_lambda",
        "lambda_l1": "reg_alpha",
        "alpha_l1": "reg_alpha",
        "min_gain_to_split": "min_split_gain",
        "gamma": "min_split_gain",
        "bagging_fraction": "subsample",
        "bagging_freq": "subsample_freq",
        "feature_fraction": "colsample_bytree",
        "feature_fraction_bynode": "colsample_bynode",
        "bin_construct_sample_cnt": "subsample_for_bin",
        "boosting": "boosting_type",
        "seed": "random_state",
        "categorical_features": "categorical_feature",
        "num_threads": "n_jobs",
        "early_stopping_round": "early_stopping_rounds",
        "eval_metric": "metric",
    }

    def __init__(
        self,
        *,
        boosting_type: str = "gbdt",
        num_leaves: int = 31,
        max_depth: int = -1,
        learning_rate: float = 0.1,
        n_estimators: int = 100,
        subsample_for_bin: int = 200_000,
        objective: Any = None,
        class_weight: Any = None,
        min_split_gain: float = 0.0,
        min_child_weight: float = 1e-3,
        min_child_samples: int = 20,
        subsample: float = 1.0,
        subsample_freq: int = 0,
        colsample_bytree: float = 1.0,
        colsample_bynode: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        max_delta_step: float = 0.0,
        max_bin: int = 255,
        min_data_in_bin: int = 3,
        enable_bundle: bool = True,
        data_sample_strategy: str = "bagging",
        top_rate: float = 0.2,
        other_rate: float = 0.1,
        monotone_constraints: Any = None,
        interaction_constraints: Any = None,
        categorical_feature: Any = "auto",
        handle_unknown: str = "missing",
        max_cat_to_onehot: int = 4,
        max_cat_threshold: int = 32,
        min_data_per_group: int = 100,
        cat_smooth: float = 10.0,
        cat_l2: float = 10.0,
        scale_pos_weight: float = 1.0,
        alpha: float = 0.9,
        tweedie_variance_power: float = 1.5,
        poisson_max_delta_step: float = 0.7,
        focal_gamma: float = 2.0,
        boost_from_average: bool = True,
        metric: Any = None,
        early_stopping_rounds: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        **aliases: Any,
    ) -> None:
        self.boosting_type = boosting_type
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.n_estimators = n_estimators
        self.subsample_for_bin = subsample_for_bin
        self.objective = objective
        self.class_weight = class_weight
        self.min_split_gain = min_split_gain
        self.min_child_weight = min_child_weight
        self.min_child_samples = min_child_samples
        self.subsample = subsample
        self.subsample_freq = subsample_freq
        self.colsample_bytree = colsample_bytree
        self.colsample_bynode = colsample_bynode
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.max_delta_step = max_delta_step
        self.max_bin = max_bin
        self.min_data_in_bin = min_data_in_bin
        self.enable_bundle = enable_bundle
        self.data_sample_strategy = data_sample_strategy
        self.top_rate = top_rate
        self.other_rate = other_rate
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.categorical_feature = categorical_feature
        self.handle_unknown = handle_unknown
        self.max_cat_to_onehot = max_cat_to_onehot
        self.max_cat_threshold = max_cat_threshold
        self.min_data_per_group = min_data_per_group
        self.cat_smooth = cat_smooth
        self.cat_l2 = cat_l2
        self.scale_pos_weight = scale_pos_weight
        self.alpha = alpha
        self.tweedie_variance_power = tweedie_variance_power
        self.poisson_max_delta_step = poisson_max_delta_step
        self.focal_gamma = focal_gamma
        self.boost_from_average = boost_from_average
        self.metric = metric
        self.early_stopping_rounds = early_stopping_rounds
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self._accept(aliases)

    def _strategy(self) -> str:
        """Return how rows are sampled."""
        return self.data_sample_strategy

    def _categorical(self) -> Any:
        return self.categorical_feature

    def _plan_with(self, loss: losses.Loss, d: int, default_metric: str) -> Plan:
        """Return the checked settings."""
        choice("boosting_type", self.boosting_type, ("gbdt", "goss"))
        choice("data_sample_strategy", self.data_sample_strategy, ("bagging", "goss"))
        names = getattr(self, "feature_names_in_", None)
        monotone = directions_of(self.monotone_constraints, d, names)
        if monotone is not None and loss.quantile is not None:
            raise InputError(
                "`monotone_constraints` cannot be kept by losses whose leaves are renewed (absolute error, quantiles); use "
                "'huber' or 'regression'."
            )
        goss = None
        if "goss" in (self.boosting_type, self._strategy()):
            goss = (share("top_rate", self.top_rate), share("other_rate", self.other_rate))
            if sum(goss) > 1 + 1e-12:
                raise InputError(
                    f"`top_rate` + `other_rate` is {sum(goss):g}; they are shares of the rows and may sum to 1."
                )
        every = count("subsample_freq", self.subsample_freq, low=0)
        return Plan(
            loss=loss,
            growth=Growth(
                max_leaves=count("num_leaves", self.num_leaves, low=2),
                max_depth=None if self.max_depth is None or self.max_depth <= 0 else count("max_depth", self.max_depth),
                min_samples=count("min_child_samples", self.min_child_samples, low=0),
                min_hessian=real("min_child_weight", self.min_child_weight, low=0.0),
                l2=real("reg_lambda", self.reg_lambda, low=0.0),
                l1=real("reg_alpha", self.reg_alpha, low=0.0),
                min_gain=real("min_split_gain", self.min_split_gain, low=0.0),
                max_step=real("max_delta_step", self.max_delta_step, low=0.0),
                prefer_high=True,
                by_node=share("colsample_bynode", self.colsample_bynode),
                cat_one_hot=count("max_cat_to_onehot", self.max_cat_to_onehot),
                cat_limit=count("max_cat_threshold", self.max_cat_threshold),
                cat_group=count("min_data_per_group", self.min_data_per_group),
                cat_smooth=real("cat_smooth", self.cat_smooth, low=0.0),
                cat_l2=real("cat_l2", self.cat_l2, low=0.0),
            ),
            n_estimators=count("n_estimators", self.n_estimators),
            learning_rate=real("learning_rate", self.learning_rate, low=0.0, above=True),
            max_bins=min(255, count("max_bin", self.max_bin, low=2)),
            min_rows_in_bin=count("min_data_in_bin", self.min_data_in_bin),
            sample_for_bins=count("subsample_for_bin", self.subsample_for_bin),
            subsample=share("subsample", self.subsample) if every > 0 else 1.0,
            subsample_every=max(1, every),
            columns=share("colsample_bytree", self.colsample_bytree),
            goss=goss,
            bundle=bool(self.enable_bundle),
            start_from_average=self.boost_from_average,
            monotone=monotone,
            groups=groups_of(self.interaction_constraints, d, names),
            patience=None
            if self.early_stopping_rounds is None
            else count("early_stopping_rounds", self.early_stopping_rounds),
            metric=self.metric,
            default_metric=default_metric,
        )


class LGBMRegressor(BoostedRegressor, _LightGBM):
    r"""Regression by histogram boosting, the leaf that gains most split next.

    .. math:: w^* = -\frac{\sum g}{\sum h + \lambda}, \qquad
              gain = \frac{G_L^2}{H_L + \lambda} + \frac{G_R^2}{H_R + \lambda} - \frac{G^2}{H + \lambda}

    Parameters
    ----------
    boosting_type : {"gbdt", "goss"}, default "gbdt"
        "goss" is short for ``data_sample_strategy="goss"``.
    num_leaves : int >= 2, default 31
    max_depth : int, default -1
        Largest depth; no limit when it is <= 0.
    learning_rate : float > 0, default 0.1
    n_estimators : int >= 1, default 100
        Rounds.
    subsample_for_bin : int >= 1, default 200,000
        Rows that bin bounds are found from.
    objective : str or callable, optional
        "regression" (default), "regression_l1", "huber", "quantile", "poisson", "gamma", "tweedie"; "binary", "focal",
        "exponential", "multiclass"; or a callable ``(y, raw) -> (gradient, Hessian)``.
    class_weight : mapping or "balanced", optional
    min_split_gain : float >= 0, default 0
        The gain must exceed this.
    min_child_weight : float >= 0, default 1e-3
        Sum of Hessians of a leaf.
    min_child_samples : int >= 0, default 20
        Rows of a leaf, counted exactly.
    subsample : float in (0, 1], default 1
        Share of rows drawn every ``subsample_freq`` (default 0: never) rounds.
    colsample_bytree, colsample_bynode : float in (0, 1], default 1
        Shares of columns drawn for each round and each node.
    reg_alpha, reg_lambda : float >= 0, default 0
        Penalties on absolute and squared leaf values.
    max_delta_step : float >= 0, default 0
        Largest leaf value before shrinkage; 0 sets no limit.
    max_bin : int >= 2, default 255
        Bins of a column, at most 255; missing values have another.
    min_data_in_bin : int >= 1, default 3
    enable_bundle : bool, default True
        Put sparse columns that never leave their default bins together into one column in memory; the trees stay the same.
    data_sample_strategy : {"bagging", "goss"}, default "bagging"
    top_rate, other_rate : float, default 0.2 and 0.1
        GOSS: shares of the rows kept for large gradients and drawn from the others, whose weights grow by (1 - a) / b.
    monotone_constraints : sequence of d of -1, 0, 1, or mapping, optional
    interaction_constraints : list of lists of columns, optional
    categorical_feature : "auto", boolean mask, numbers or names of columns, default "auto"
        "auto" takes the columns of categories or text of a frame.
    handle_unknown : {"missing", "error"}, default "missing"
        What becomes of categories that were not there in ``fit``: they go the way of missing values, or are refused.
    max_cat_to_onehot, max_cat_threshold, min_data_per_group, cat_smooth, cat_l2
        Categorical splits; defaults 4, 32, 100, 10, 10.
    scale_pos_weight : float > 0, default 1
        Factor on the weights of the second class.
    alpha, tweedie_variance_power, poisson_max_delta_step, focal_gamma : float, default 0.9, 1.5, 0.7, 2
        Parameters of the Huber and quantile, Tweedie, Poisson and focal losses.
    boost_from_average : bool, default True
        Begin with the best constant instead of 0.
    metric : str, callable or list, optional
        Followed on ``eval_set``; default: the loss.
    early_stopping_rounds : int >= 1, optional
    warm_start : bool, default False
        Continue the trees of the last fit up to ``n_estimators``.
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads; any number gives the same model, bit for bit.

    Attributes
    ----------
    trees_ : Trees
        The model as plain arrays.
    n_estimators_ : int
    best_iteration_ : int or None, best_score_ : float or None
    n_columns_ : int
        Columns in memory after bundling.
    evals_result_ : dict, set name to metric name to values by round
    feature_importances_ : array (d,)

    Raises
    ------
    DataError
        Targets that the loss is not defined for, or tables of other columns.
    InputError
        A parameter outside its range.

    Notes
    -----
    Parameters are accepted under LightGBM's other names as well (``max_leaves``, ``min_data_in_leaf``, ``lambda_l2``,
    ``bagging_fraction``, ``feature_fraction``, ``eta`` ...). LightGBM estimates the rows of a leaf from Hessians where these
    vary; here they are counted. ``min_child_samples`` and ``min_data_in_bin`` count rows; where they do not bind, a weight of
    two equals a row given twice, and quantiles that bound bins are weighted (LightGBM's are not). Missing values go where they
    gain more; a node that saw none sends them to its heavier side. LightGBM does not try a column again below a node where it
    gained nothing; here each node tries all.
    GOSS ranks rows by the absolute gradient as the paper does (LightGBM: times the Hessian), and the last line of the
    source's algorithm must weight the rows used, not the drawn ones alone.

    References
    ----------
    Ke et al., LightGBM: A highly efficient gradient boosting decision tree, 2017; ``01#lightgbm``, ``01#goss``.

    Examples
    --------
    >>> model = LGBMRegressor(n_estimators=50, min_child_samples=1).fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 4.0, 4.0])
    >>> model.predict([[0.2], [2.9]]).round(1).tolist()
    [0.0, 4.0]
    """

    def _regression_loss(self) -> losses.Loss:
        name = "regression" if self.objective is None else self.objective
        if callable(name):
            return losses.Custom(name)
        choice("objective", name, _REGRESSION)
        if name in ("regression", "l2", "mse", "mean_squared_error"):
            return losses.Squared()
        if name in ("regression_l1", "l1", "mae", "mean_absolute_error"):
            return losses.Absolute()
        if name == "huber":
            return losses.Huber(real("alpha", self.alpha, low=0.0, above=True))
        if name == "quantile":
            return losses.Quantile(real("alpha", self.alpha, low=0.0, high=1.0, above=True, below=True))
        if name == "poisson":
            return losses.Poisson(real("poisson_max_delta_step", self.poisson_max_delta_step, low=0.0))
        if name == "gamma":
            return losses.Gamma()
        return losses.Tweedie(self.tweedie_variance_power)


class LGBMClassifier(BoostedClassifier, _LightGBM):
    """Classification by histogram boosting, the leaf that gains most split next: logistic loss, or softmax for K > 2.

    Parameters, attributes, notes and references are those of :class:`LGBMRegressor`; ``classes_`` holds the labels.
    """

    def _classification_loss(self, n_classes: int) -> losses.Loss:
        name = self.objective
        if callable(name):
            return losses.Custom(name, 1 if n_classes <= 2 else n_classes)
        if name is not None:
            choice("objective", name, _CLASSIFICATION)
        if n_classes > 2:
            if name not in (None, "multiclass", "softmax"):
                raise InputError(f"`objective` {name!r} is for two classes; y holds {n_classes}: use 'multiclass'.")
            return losses.Softmax(n_classes)
        if name == "focal":
            return losses.Focal(real("focal_gamma", self.focal_gamma, low=0.0))
        return losses.Exponential() if name == "exponential" else losses.Logistic()


class LGBMRanker(BoostedRanker, _LightGBM):
    """Ranking of the rows of queries by LambdaRank on histogram boosting.

    Parameters, attributes, notes and references are those of :class:`LGBMRegressor`.
    """


_DRAWN = Boosted._expected_failed_checks | dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "rows are drawn, so another number of rows draws others",
)


class GOSSRegressor(LGBMRegressor):
    """Regression by boosting with gradient-based one-side sampling.

    Of n rows the ``top_rate`` n with the largest absolute gradients are kept and ``other_rate`` n drawn from the rest, whose
    gradients and Hessians grow by (1 - top_rate) / other_rate, so that sums stay unbiased. The first 1 / learning_rate
    rounds use all rows. Parameters are those of :class:`LGBMRegressor` with ``data_sample_strategy="goss"``.
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = _DRAWN

    def _strategy(self) -> str:
        return "goss"


class GOSSClassifier(LGBMClassifier):
    """Classification by boosting with gradient-based one-side sampling; see :class:`GOSSRegressor`."""

    _expected_failed_checks: ClassVar[dict[str, str]] = _DRAWN

    def _strategy(self) -> str:
        return "goss"
