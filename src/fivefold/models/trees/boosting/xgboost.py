"""XGBoost: second-order boosting with exact, approximate or histogram splits and pruning (Chen & Guestrin 2016)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fivefold.base.checks import choice, real
from fivefold.base.errors import InputError

from . import _losses as losses
from ._boosted import Boosted, Plan, count, directions_of, groups_of, share
from ._core import Growth
from ._tasks import BoostedClassifier, BoostedRanker, BoostedRegressor

_REGRESSION = (
    "reg:squarederror", "reg:absoluteerror", "reg:quantileerror", "count:poisson", "reg:gamma", "reg:tweedie",
)  # fmt: skip
_CLASSIFICATION = ("binary:logistic", "multi:softprob", "multi:softmax")


class _XGBoost(Boosted):
    _ALIASES: ClassVar[dict[str, str]] = {
        "eta": "learning_rate",
        "num_leaves": "max_leaves",
        "num_boost_round": "n_estimators",
        "min_split_loss": "gamma",
        "min_split_gain": "gamma",
        "lambda": "reg_lambda",
        "lambda_l2": "reg_lambda",
        "alpha": "reg_alpha",
        "lambda_l1": "reg_alpha",
        "bagging_fraction": "subsample",
        "feature_fraction": "colsample_bytree",
        "max_bins": "max_bin",
        "seed": "random_state",
        "nthread": "n_jobs",
        "min_sum_hessian_in_leaf": "min_child_weight",
        "categorical_feature": "categorical_features",
    }

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_depth: int | None = 6,
        max_leaves: int = 0,
        max_bin: int = 255,
        grow_policy: str = "depthwise",
        learning_rate: float = 0.3,
        objective: Any = None,
        tree_method: str = "hist",
        proposals: str = "global",
        sketch_eps: float = 0.03,
        gamma: float = 0.0,
        min_child_weight: float = 1.0,
        max_delta_step: float = 0.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        colsample_bylevel: float = 1.0,
        colsample_bynode: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 1.0,
        scale_pos_weight: float = 1.0,
        base_score: float | None = None,
        quantile_alpha: float = 0.5,
        tweedie_variance_power: float = 1.5,
        monotone_constraints: Any = None,
        interaction_constraints: Any = None,
        categorical_features: Any = "auto",
        handle_unknown: str = "missing",
        class_weight: Any = None,
        eval_metric: Any = None,
        early_stopping_rounds: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        **aliases: Any,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.max_leaves = max_leaves
        self.max_bin = max_bin
        self.grow_policy = grow_policy
        self.learning_rate = learning_rate
        self.objective = objective
        self.tree_method = tree_method
        self.proposals = proposals
        self.sketch_eps = sketch_eps
        self.gamma = gamma
        self.min_child_weight = min_child_weight
        self.max_delta_step = max_delta_step
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.colsample_bylevel = colsample_bylevel
        self.colsample_bynode = colsample_bynode
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.scale_pos_weight = scale_pos_weight
        self.base_score = base_score
        self.quantile_alpha = quantile_alpha
        self.tweedie_variance_power = tweedie_variance_power
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.class_weight = class_weight
        self.eval_metric = eval_metric
        self.early_stopping_rounds = early_stopping_rounds
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self._accept(aliases)

    def _method(self) -> str:
        """Return how splits are found."""
        return self.tree_method

    def _categorical(self) -> Any:
        return self.categorical_features

    def _plan_with(self, loss: losses.Loss, d: int, default_metric: str) -> Plan:
        """Return the checked settings."""
        choice("tree_method", self.tree_method, ("hist", "exact", "approx"))
        choice("proposals", self.proposals, ("global", "local"))
        choice("grow_policy", self.grow_policy, ("depthwise", "lossguide"))
        names = getattr(self, "feature_names_in_", None)
        depth = None if not self.max_depth else count("max_depth", self.max_depth)
        leaves = count("max_leaves", self.max_leaves, low=0)
        if depth is None and leaves == 0 and self.grow_policy == "lossguide":
            raise InputError("`max_depth` and `max_leaves` are both 0; limit one of them.")
        monotone = directions_of(self.monotone_constraints, d, names)
        if monotone is not None and loss.quantile is not None:
            raise InputError("`monotone_constraints` cannot be kept by losses whose leaves are renewed.")
        method = self._method()
        step = real("max_delta_step", self.max_delta_step, low=0.0)
        if isinstance(loss, losses.Poisson):
            step = loss.safety
        finder = {"hist": "histogram", "exact": "exact", "approx": self.proposals}[method]
        if finder != "histogram" and (self.grow_policy != "depthwise" or leaves > 0):
            raise InputError(f"`tree_method` {method!r} grows depthwise without `max_leaves`; use 'hist'.")
        return Plan(
            loss=loss,
            growth=Growth(
                max_leaves=leaves if leaves > 0 else 1 << 30,
                max_depth=depth,
                min_hessian=real("min_child_weight", self.min_child_weight, low=0.0),
                l2=real("reg_lambda", self.reg_lambda, low=0.0),
                l1=real("reg_alpha", self.reg_alpha, low=0.0),
                min_gain=real("gamma", self.gamma, low=0.0),
                max_step=step,
                depthwise=self.grow_policy == "depthwise",
                inclusive=True,
                by_level=share("colsample_bylevel", self.colsample_bylevel),
                by_node=share("colsample_bynode", self.colsample_bynode),
            ),
            n_estimators=count("n_estimators", self.n_estimators),
            learning_rate=real("learning_rate", self.learning_rate, low=0.0, above=True),
            max_bins=min(255, count("max_bin", self.max_bin, low=2)),
            subsample=share("subsample", self.subsample),
            columns=share("colsample_bytree", self.colsample_bytree),
            start=None if self.base_score is None else self._margin(loss),
            monotone=monotone,
            groups=groups_of(self.interaction_constraints, d, names),
            patience=None
            if self.early_stopping_rounds is None
            else count("early_stopping_rounds", self.early_stopping_rounds),
            metric=self.eval_metric,
            default_metric=default_metric,
            finder=finder,
            sketch_eps=real("sketch_eps", self.sketch_eps, low=0.0, high=1.0, above=True, below=True),
        )

    def _margin(self, loss: losses.Loss) -> float:
        """Return the raw score of ``base_score``, which is on the scale of predictions."""
        score = real("base_score", self.base_score, low=-1e300)
        if isinstance(loss, losses.Logistic):
            if not 0 < score < 1:
                raise InputError(f"`base_score` is {score!r}; the logistic loss needs a probability in (0, 1).")
            return float(np.log(score / (1 - score)))
        if isinstance(loss, losses.LogLink):
            if score <= 0:
                raise InputError(f"`base_score` is {score!r}; this loss needs a number > 0.")
            return float(np.log(score))
        return score


class XGBRegressor(BoostedRegressor, _XGBoost):
    r"""Regression by second-order boosting.

    .. math:: obj = \sum_i g_i f(x_i) + \tfrac12 h_i f(x_i)^2 + \gamma T + \tfrac{\lambda}{2} \sum_j w_j^2, \quad
              w_j^* = -\frac{G_j}{H_j + \lambda}, \quad
              gain = \frac{G_L^2}{H_L + \lambda} + \frac{G_R^2}{H_R + \lambda} - \frac{G^2}{H + \lambda}

    Parameters
    ----------
    n_estimators : int >= 1, default 100
    max_depth : int >= 0 or None, default 6
        0 and None set no limit.
    max_leaves : int >= 0, default 0
        0 sets no limit.
    max_bin : int >= 2, default 255
        Bins of a column for "hist", at most 255.
    grow_policy : {"depthwise", "lossguide"}, default "depthwise"
    learning_rate : float > 0, default 0.3
    objective : str or callable, optional
        "reg:squarederror" (default), "reg:absoluteerror", "reg:quantileerror", "count:poisson", "reg:gamma",
        "reg:tweedie"; "binary:logistic", "multi:softprob"; or a callable ``(y, raw) -> (gradient, Hessian)``.
    tree_method : {"hist", "exact", "approx"}, default "hist"
        Histograms of fixed bins; every cut between distinct values; cuts at quantiles of the Hessians.
    proposals : {"global", "local"}, default "global"
        "approx": cuts are proposed once a tree or anew in every node.
    sketch_eps : float in (0, 1), default 0.03
        "approx": about 1 / sketch_eps cuts a column, between which the Hessians sum to at most that share.
    gamma : float >= 0, default 0
        Least gain. "exact" grows to ``max_depth`` and then prunes leaf splits below it from the bottom; the other methods
        stop early.
    min_child_weight : float >= 0, default 1
        Sum of Hessians of a leaf.
    max_delta_step : float >= 0, default 0
        Largest leaf value before shrinkage; 0 sets no limit, but means 0.7 for "count:poisson", as in the library.
    subsample, colsample_bytree, colsample_bylevel, colsample_bynode : float in (0, 1], default 1
    reg_alpha : float >= 0, default 0
    reg_lambda : float >= 0, default 1
    scale_pos_weight : float > 0, default 1
    base_score : float, optional
        Prediction to begin with; default: the best constant.
    quantile_alpha, tweedie_variance_power : float, default 0.5, 1.5
    monotone_constraints, interaction_constraints, categorical_features, handle_unknown, class_weight, \
    early_stopping_rounds, warm_start, random_state, n_jobs
        As for :class:`LGBMRegressor`.
    eval_metric : str, callable or list, optional

    Attributes
    ----------
    trees_, n_estimators_, best_iteration_, best_score_, evals_result_, feature_importances_
        As for :class:`LGBMRegressor`.

    Raises
    ------
    DataError
        Targets that the loss is not defined for, or tables of other columns.
    InputError
        A parameter outside its range.

    Notes
    -----
    The gain of the paper is half of the one here and less gamma; as in the library, gamma is compared with the gain above. The
    second derivative of the squared loss is +1, which one source prints as -1. Missing values go where they gain more.
    The Hessian of the softmax is 2 p (1 - p), as in the library.

    References
    ----------
    Chen & Guestrin, XGBoost: A scalable tree boosting system, 2016; ``01#xgboost``, ``01#xgb-exact-split``,
    ``01#xgb-pruning``, ``01#xgb-approx-split``.

    Examples
    --------
    >>> model = XGBRegressor(n_estimators=1, learning_rate=1.0, reg_lambda=0.0, base_score=0.0)
    >>> model.fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 4.0, 4.0]).predict([[0.2], [2.9]]).tolist()
    [0.0, 4.0]
    """

    def _regression_loss(self) -> losses.Loss:
        name = "reg:squarederror" if self.objective is None else self.objective
        if callable(name):
            return losses.Custom(name)
        choice("objective", name, _REGRESSION)
        if name == "reg:absoluteerror":
            return losses.Absolute()
        if name == "reg:quantileerror":
            return losses.Quantile(real("quantile_alpha", self.quantile_alpha, low=0, high=1, above=True, below=True))
        if name == "count:poisson":
            return losses.Poisson(self.max_delta_step or 0.7)
        if name == "reg:gamma":
            return losses.Gamma()
        return losses.Tweedie(self.tweedie_variance_power) if name == "reg:tweedie" else losses.Squared()


class XGBClassifier(BoostedClassifier, _XGBoost):
    """Classification by second-order boosting: logistic loss, or softmax for K > 2.

    Parameters, attributes, notes and references are those of :class:`XGBRegressor`; ``classes_`` holds the labels.
    """

    def _classification_loss(self, n_classes: int) -> losses.Loss:
        if callable(self.objective):
            return losses.Custom(self.objective, 1 if n_classes <= 2 else n_classes)
        if self.objective is not None:
            choice("objective", self.objective, _CLASSIFICATION)
        return losses.Softmax(n_classes, 2.0) if n_classes > 2 else losses.Logistic()


class XGBRanker(BoostedRanker, _XGBoost):
    """Ranking of the rows of queries by LambdaRank.

    Parameters, attributes, notes and references are those of :class:`XGBRegressor`.
    """


class ApproximateXGBRegressor(XGBRegressor):
    """Regression by second-order boosting with cuts at quantiles of the Hessians.

    A column is cut where the sum of Hessians, in order of its values, passes a multiple of ``sketch_eps`` of its total: of the
    whole table at the beginning of a tree (``proposals="global"``) or of each node (``"local"``). A bucket is closed above,
    ``s_{v-1} < x <= s_v``; the source closes both ends, which would count boundary points twice. Parameters are those of
    :class:`XGBRegressor` with ``tree_method="approx"``.
    """

    def _method(self) -> str:
        return "approx"


class ApproximateXGBClassifier(XGBClassifier):
    """Classification by second-order boosting with cuts at quantiles; see :class:`ApproximateXGBRegressor`."""

    def _method(self) -> str:
        return "approx"
