"""The gradient boosting machine of Friedman (2001): trees fitted to residuals, a line search in every leaf, shrinkage."""

from __future__ import annotations

from typing import Any, ClassVar

from fivefold.base.checks import choice, real
from fivefold.base.errors import InputError

from . import _losses as losses
from ._boosted import Boosted, Plan, count, share
from ._core import Growth
from ._tasks import BoostedClassifier, BoostedRegressor

_STEPS = 500  # any value: the search in a leaf ends by itself, late where the Huber loss is linear for most rows


class _GradientBoosting(Boosted):
    _ALIASES: ClassVar[dict[str, str]] = {
        "eta": "learning_rate",
        "num_leaves": "max_leaf_nodes",
        "max_leaves": "max_leaf_nodes",
        "min_child_samples": "min_samples_leaf",
        "min_data_in_leaf": "min_samples_leaf",
        "bagging_fraction": "subsample",
        "max_bin": "max_bins",
        "early_stopping_rounds": "n_iter_no_change",
        "categorical_feature": "categorical_features",
    }

    def __init__(
        self,
        *,
        loss: Any = None,
        learning_rate: float = 0.1,
        n_estimators: int = 100,
        subsample: float = 1.0,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_depth: int | None = 3,
        max_leaf_nodes: int | None = None,
        max_features: float | None = None,
        init: str | None = None,
        alpha: float = 0.9,
        line_search: str = "newton",
        split_finder: str = "histogram",
        max_bins: int = 255,
        categorical_features: Any = "auto",
        handle_unknown: str = "missing",
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        **aliases: Any,
    ) -> None:
        self.loss = loss
        self.learning_rate = learning_rate
        self.n_estimators = n_estimators
        self.subsample = subsample
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.max_features = max_features
        self.init = init
        self.alpha = alpha
        self.line_search = line_search
        self.split_finder = split_finder
        self.max_bins = max_bins
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self._accept(aliases)

    def _categorical(self) -> Any:
        return self.categorical_features

    def _plan_with(self, loss: losses.Loss, d: int, default_metric: str) -> Plan:
        """Return the checked settings."""
        choice("line_search", self.line_search, ("newton", "exact"))
        choice("split_finder", self.split_finder, ("histogram", "exact"))
        if self.init is not None:
            choice("init", self.init, ("zero",))
        if self.line_search == "exact" and loss.n_outputs > 1:
            raise InputError("`line_search` 'exact' is for losses with one output; use 'newton' for several classes.")
        leaves = None if self.max_leaf_nodes is None else count("max_leaf_nodes", self.max_leaf_nodes, low=2)
        return Plan(
            loss=loss,
            growth=Growth(
                max_leaves=1 << 30 if leaves is None else leaves,
                max_depth=None if self.max_depth is None else count("max_depth", self.max_depth),
                min_samples=count("min_samples_leaf", self.min_samples_leaf),
                min_split=count("min_samples_split", self.min_samples_split, low=2),
                depthwise=leaves is None,
                by_node=1.0 if self.max_features is None else share("max_features", self.max_features),
            ),
            n_estimators=count("n_estimators", self.n_estimators),
            learning_rate=real("learning_rate", self.learning_rate, low=0.0, above=True),
            max_bins=min(255, count("max_bins", self.max_bins, low=2)),
            subsample=share("subsample", self.subsample),
            start_from_average=self.init is None,
            unit_hessian=True,
            search_steps=1 if self.line_search == "newton" else _STEPS,
            finder=self.split_finder,
            patience=None if self.n_iter_no_change is None else count("n_iter_no_change", self.n_iter_no_change),
            held_out=real("validation_fraction", self.validation_fraction, low=0.0, high=1.0, above=True, below=True)
            if self.n_iter_no_change is not None
            else 0.0,
            tolerance=real("tol", self.tol, low=0.0),
            default_metric=default_metric,
        )


class GradientBoostingRegressor(BoostedRegressor, _GradientBoosting):
    r"""Regression by Friedman's gradient boosting: each tree follows the negative gradient of the loss.

    .. math:: F_0 = \arg\min_a \sum_i L(y_i, a), \quad r_i = -\frac{\partial L(y_i, F(x_i))}{\partial F}, \quad
              F_m = F_{m-1} + \eta \sum_j \gamma_{jm} [x \in R_{jm}], \quad
              \gamma_{jm} = \arg\min_\gamma \sum_{x_i \in R_{jm}} L(y_i, F_{m-1}(x_i) + \gamma)

    Parameters
    ----------
    loss : str or callable, optional
        "squared_error" (default), "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie"; of two classes
        "log_loss" (default), "exponential", "focal"; or a callable ``(y, raw) -> (gradient, Hessian)``.
    learning_rate : float > 0, default 0.1
    n_estimators : int >= 1, default 100
    subsample : float in (0, 1], default 1
        Share of rows drawn for each tree.
    min_samples_split : int >= 2, default 2
    min_samples_leaf : int >= 1, default 1
    max_depth : int >= 1 or None, default 3
    max_leaf_nodes : int >= 2, optional
        Grow the leaf that gains most next, up to this many.
    max_features : float in (0, 1], optional
        Share of columns drawn at each node.
    init : "zero" or None
        Begin with zero instead of the best constant.
    alpha : float, default 0.9
        Where the Huber loss turns linear, in units of y, and the level of the quantile loss.
    line_search : {"newton", "exact"}, default "newton"
        One Newton step in each leaf, as scikit-learn, or as many as it takes. Absolute error and quantiles always take the
        exact minimum.
    split_finder : {"histogram", "exact"}, default "histogram"
        At most ``max_bins`` cuts a column, or all between distinct values.
    max_bins : int in [2, 255], default 255
    categorical_features : "auto", boolean mask, numbers or names of columns, default "auto"
    handle_unknown : {"missing", "error"}, default "missing"
        What becomes of categories that were not there in ``fit``: they go the way of missing values, or are refused.
    validation_fraction : float in (0, 1), default 0.1
        Share of rows held out when ``n_iter_no_change`` is set.
    n_iter_no_change : int >= 1, optional
        Stop when the held-out loss has not fallen by ``tol`` for so many rounds; predictions use the best round.
    tol : float >= 0, default 1e-4
    warm_start : bool, default False
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads; any number gives the same model.

    Attributes
    ----------
    trees_, n_estimators_, best_iteration_, best_score_, evals_result_, feature_importances_
        As for :class:`LGBMRegressor`.

    Raises
    ------
    DataError
        Targets that the loss is not defined for.
    InputError
        A parameter outside its range.

    Notes
    -----
    Trees are grown on the residuals r alone, by least squares; leaves then follow the loss. The residual y - p of one source
    holds for the logit, with p its sigmoid or softmax. The Huber loss has a fixed ``alpha``; scikit-learn takes a quantile of the
    absolute residuals anew in each round.

    References
    ----------
    Friedman, Greedy function approximation: a gradient boosting machine, 2001; ``01#gbm``, ``01#gbm-regression``,
    ``01#gbm-classification``, ``05#gradient-boosting``.

    Examples
    --------
    >>> model = GradientBoostingRegressor(n_estimators=1, learning_rate=1.0, max_depth=1)
    >>> model.fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 4.0, 4.0]).predict([[0.2], [2.9]]).tolist()
    [0.0, 4.0]
    """

    def _regression_loss(self) -> losses.Loss:
        name = "squared_error" if self.loss is None else self.loss
        if callable(name):
            return losses.Custom(name)
        choice("loss", name, ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie"))
        if name == "absolute_error":
            return losses.Absolute()
        if name == "huber":
            return losses.Huber(real("alpha", self.alpha, low=0.0, above=True))
        if name == "quantile":
            return losses.Quantile(real("alpha", self.alpha, low=0.0, high=1.0, above=True, below=True))
        if name == "poisson":
            return losses.Poisson(0.0)
        if name == "gamma":
            return losses.Gamma()
        return losses.Tweedie(1.5) if name == "tweedie" else losses.Squared()


class GradientBoostingClassifier(BoostedClassifier, _GradientBoosting):
    """Classification by Friedman's gradient boosting: logistic or exponential loss, softmax for K > 2.

    Parameters, attributes, notes and references are those of :class:`GradientBoostingRegressor`; ``classes_`` holds the
    labels.
    """

    def _classification_loss(self, n_classes: int) -> losses.Loss:
        if callable(self.loss):
            return losses.Custom(self.loss, 1 if n_classes <= 2 else n_classes)
        name = "log_loss" if self.loss is None else self.loss
        choice("loss", name, ("log_loss", "exponential", "focal"))
        if n_classes > 2:
            if name != "log_loss":
                raise InputError(f"`loss` {name!r} is for two classes; y holds {n_classes}: use 'log_loss'.")
            return losses.Softmax(n_classes)
        if name == "focal":
            return losses.Focal(2.0)
        return losses.Exponential() if name == "exponential" else losses.Logistic()
