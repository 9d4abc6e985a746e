"""Selection of columns by a score of each (filter) and by what a fitted model makes of them (embedded)."""

from __future__ import annotations

import numbers
from typing import Any, Self

import numpy as np
from sklearn.base import MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils.validation import _check_feature_names_in, check_array, validate_data

from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator

from .feature_scores import CRITERIA, feature_scores


def _finite(owner: Any, X: Any) -> np.ndarray:
    """Return X as float64 (n, d), read in by ``owner``; NaN and infinity are refused in a sentence."""
    values = validate_data(owner, X, dtype=np.float64, ensure_min_samples=2, ensure_all_finite=False)
    if not np.isfinite(values).all():
        column = int(np.argmin(np.isfinite(values).all(axis=0)))
        raise DataError(
            f"Column {column} of X holds NaN or infinity; impute or drop these rows before selecting columns."
        )
    return np.asarray(values)


class _Selector(TransformerMixin, Estimator):
    """Keeps the columns of ``support_`` (d,) bool."""

    support_: np.ndarray

    def get_support(self, indices: bool = False) -> np.ndarray:
        """Return which columns are kept, as mask (d,) or as numbers."""
        self._check_fitted()
        return np.flatnonzero(self.support_) if indices else self.support_

    def transform(self, X: Any) -> np.ndarray:
        """Return the columns kept (n, kept)."""
        self._check_fitted()
        values = validate_data(self, X, reset=False, dtype=None)
        return np.asarray(values[:, self.support_])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns kept."""
        self._check_fitted()
        return np.asarray(_check_feature_names_in(self, input_features)[self.support_])


class FilterSelector(_Selector):
    r"""Keep the columns that score best by themselves; no model is fitted.

    The score s_j of :func:`feature_scores` keeps column j when it is among the k largest, above a threshold, or significant:

    .. math:: \text{rank}(s_j) \le k, \qquad s_j > \tau, \qquad p_j < \alpha

    Parameters
    ----------
    criterion : "f" (default), "mutual-information", "chi2" or "variance"
    k : int >= 1 or None, default 10
        How many to keep; all when there are fewer. Of equal scores the earlier column wins.
    threshold : float, optional
        Instead of k (which must be None): keep scores above it. 0 with "variance" drops constant columns.
    alpha : float in (0, 1), optional
        Instead of both: keep p-values below it ("f" and "chi2").
    discrete_features, n_neighbors
        As in :func:`feature_scores`.

    Attributes
    ----------
    scores_, p_values_ : array (d,)
    support_ : array (d,) of bool

    Raises
    ------
    InputError
        When not exactly one of k, threshold and alpha is given, or one is out of range.
    DataError
        When no column is left.

    Notes
    -----
    Fit it inside every fold (as a step of a pipeline): columns chosen with the test rows make the test optimistic.

    References
    ----------
    Spec ``01#feature-filter``, ``06#feature-selection-drop``.
    """

    def __init__(
        self,
        criterion: str = "f",
        *,
        k: int | None = 10,
        threshold: float | None = None,
        alpha: float | None = None,
        discrete_features: Any = False,
        n_neighbors: int = 3,
    ) -> None:
        self.criterion = criterion
        self.k = k
        self.threshold = threshold
        self.alpha = alpha
        self.discrete_features = discrete_features
        self.n_neighbors = n_neighbors

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.criterion != "variance"
        tags.input_tags.positive_only = self.criterion == "chi2"
        return tags

    def _check(self) -> None:
        given = [name for name in ("k", "threshold", "alpha") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(f"Give exactly one of k, threshold and alpha; got {', '.join(given) or 'none'}.")
        if self.criterion not in CRITERIA:
            raise InputError(f"criterion must be one of {', '.join(CRITERIA)}; got {self.criterion!r}.")
        if self.k is not None and (isinstance(self.k, bool) or not isinstance(self.k, numbers.Integral) or self.k < 1):
            raise InputError(f"k must be a whole number >= 1 or None, got {self.k!r}.")
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise InputError(f"alpha must be in (0, 1), got {self.alpha!r}.")
        if self.alpha is not None and self.criterion not in ("f", "chi2"):
            raise InputError(f"alpha needs p-values, which {self.criterion!r} has not; use k or threshold.")

    def fit(self, X: Any, y: Any = None) -> Self:
        """Score the columns of X (n, d) against y (n,) and choose."""
        self._check()
        if y is None and self.criterion != "variance":
            # The words of scikit-learn's own checks.
            raise DataError(
                f"FilterSelector requires y to be passed, but the target y is None; {self.criterion!r} needs it."
            )
        values = _finite(self, X)
        found = feature_scores(
            values, y, criterion=self.criterion, discrete_features=self.discrete_features, n_neighbors=self.n_neighbors
        )
        self.scores_, self.p_values_ = found
        if self.k is not None:
            order = np.argsort(np.where(np.isnan(self.scores_), np.inf, -self.scores_), kind="stable")
            self.support_ = np.zeros(len(order), dtype=bool)
            self.support_[order[: self.k]] = True
        elif self.threshold is not None:
            self.support_ = self.scores_ > self.threshold
        else:
            self.support_ = self.p_values_ < self.alpha
        if not self.support_.any():
            best = np.nanmax(self.scores_) if not np.isnan(self.scores_).all() else float("nan")
            raise DataError(
                f"No column passes: the best {self.criterion} score is {best:.4g}; lower threshold or raise alpha."
            )
        return self


def importances_of(model: Any) -> np.ndarray:
    """Return the importance of each column (d,): ``feature_importances_``, or the absolute ``coef_`` summed over outputs."""
    if hasattr(model, "feature_importances_"):
        return np.asarray(model.feature_importances_, dtype=np.float64)
    if hasattr(model, "coef_"):
        coef = np.abs(np.asarray(model.coef_, dtype=np.float64))
        return coef if coef.ndim == 1 else coef.sum(axis=0)
    raise InputError(
        f"{type(model).__name__} has neither feature_importances_ nor coef_ after fit; choose a linear model or trees."
    )


class EmbeddedSelector(MetaEstimatorMixin, _Selector):
    r"""Keep the columns that a fitted model uses: the coefficients an L1 penalty leaves, or the importances of trees.

    .. math:: I_j \ge \tau, \qquad I_j = \sum_o |w_{oj}| \;\text{ or the model's importance}

    Parameters
    ----------
    estimator : estimator with ``coef_`` or ``feature_importances_`` after fit
        Cloned and fitted on the columns given; scale them first when it is linear.
    threshold : float, "nonzero", "mean", "median" or such as "1.25*mean", default "mean"
        "nonzero" means 1e-5, below which a solver's coefficient counts as zero.
    max_features : int >= 1, optional
        Keep at most so many, the most important first; of equal ones the earlier column.

    Attributes
    ----------
    estimator_ : the fitted estimator
    importances_ : array (d,)
    threshold_ : float
    support_ : array (d,) of bool

    Raises
    ------
    InputError
        When the threshold cannot be read or the model has no importances.
    DataError
        When no column is left.

    References
    ----------
    Tibshirani 1996; Breiman 2001; spec ``01#feature-embedded``.
    """

    def __init__(self, estimator: Any, *, threshold: float | str = "mean", max_features: int | None = None) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.max_features = max_features

    def _level(self, importances: np.ndarray) -> float:
        known = {"mean": float(importances.mean()), "median": float(np.median(importances)), "nonzero": 1e-5}
        if isinstance(self.threshold, str):
            factor, star, name = self.threshold.replace(" ", "").rpartition("*")
            try:
                scale = float(factor) if star else 1.0
                return scale * known[name]
            except (ValueError, KeyError) as error:
                raise InputError(
                    f"threshold must be a number, 'nonzero', 'mean', 'median' or such as '1.25*mean'; got {self.threshold!r}."
                ) from error
        return float(self.threshold)

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit the estimator on X (n, d) and y (n,), and choose."""
        most = self.max_features
        if most is not None and (isinstance(most, bool) or not isinstance(most, numbers.Integral) or most < 1):
            raise InputError(f"max_features must be a whole number >= 1 or None, got {most!r}.")
        validate_data(self, X, skip_check_array=True)
        values = check_array(X, dtype=np.float64)
        self.estimator_ = clone(self.estimator).fit(values, y, **fit_params)
        self.importances_ = importances_of(self.estimator_)
        self.threshold_ = self._level(self.importances_)
        self.support_ = self.importances_ >= self.threshold_
        if most is not None:
            order = np.argsort(-self.importances_, kind="stable")
            self.support_[order[most:]] = False
        if not self.support_.any():
            raise DataError(
                f"No column reaches the threshold {self.threshold_:.4g}; the largest importance is "
                f"{self.importances_.max():.4g}. Lower the threshold or penalize less."
            )
        return self
