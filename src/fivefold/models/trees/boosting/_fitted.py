"""What a fitted model of boosted trees can do besides predicting: explain itself, and take leaves from new data."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import sample_weights

from . import _losses as losses
from ._explanation import Explanation, cells
from ._losses import Loss, quantile_of
from ._shap import contributions, expected
from ._trees import Trees


class Fitted:
    """Mixin of the boosting estimators; uses ``trees_``, ``columns_``, ``loss_`` and the settings of the fit."""

    trees_: Trees
    loss_: Loss
    columns_: Any
    n_features_in_: int

    def shap_values(self, X: Any, *, num_iteration: int | None = None) -> np.ndarray:
        r"""Return what each column adds to the raw score of each row: TreeSHAP.

        .. math:: \phi_i = \sum_{S \not\ni i} \frac{|S|! (d - |S| - 1)!}{d!} \bigl(v(S \cup i) - v(S)\bigr)

        where v(S) is the mean of the trees over the training rows, given the columns S of the row: at a split on another
        column both branches are followed, weighted by their training rows.

        Parameters
        ----------
        X : table (n, d)
        num_iteration : int, optional
            Rounds used; by default the best or all.

        Returns
        -------
        array (n, d), or (n, d, K) for K outputs
            With :attr:`expected_value` added, the values of a row sum to its raw score.

        References
        ----------
        Lundberg, Erion & Lee, Consistent individualized feature attribution for tree ensembles, 2018.
        """
        values = self._contributions(X, num_iteration)[:, :, :-1]
        return values[:, 0] if values.shape[1] == 1 else np.ascontiguousarray(values.transpose(0, 2, 1))

    @property
    def expected_value(self) -> float | np.ndarray:
        """Mean raw score over the training rows: a number, or (K,) for K outputs."""
        require_fitted(self, "trees_")
        mean = expected(self.trees_.head(self._rounds(None)))  # type: ignore[attr-defined]
        return float(mean[0]) if len(mean) == 1 else mean

    def _contributions(self, X: Any, num_iteration: int | None) -> np.ndarray:
        """Return contributions and expected scores: (n, K, d + 1)."""
        require_fitted(self, "trees_")
        table = self.columns_.transform(self, X)
        return contributions(self.trees_, table, self._rounds(num_iteration))  # type: ignore[attr-defined]

    def _flat_contributions(self, X: Any, num_iteration: int | None) -> np.ndarray:
        """Return them as LightGBM's ``pred_contrib`` does: (n, K (d + 1))."""
        values = self._contributions(X, num_iteration)
        return values.reshape(len(values), -1)

    def explain(self, row: Any, *, top: int = 5, output: Any = None) -> Explanation:
        """Explain one prediction in words: what each column added to it.

        Parameters
        ----------
        row : array (d,) or (1, d), or a frame of one row
        top : int >= 1, default 5
            Columns named in the sentences.
        output : class label, optional
            With several classes, whose score is explained; by default that of the predicted class.

        Returns
        -------
        Explanation
            ``print`` it; its attributes hold the numbers.
        """
        require_fitted(self, "trees_")
        if not hasattr(row, "columns") and not sp.issparse(row):
            row = np.atleast_2d(np.asarray(row))
        if row.shape[0] != 1:
            raise DataError(f"`row` holds {row.shape[0]} rows; give one, such as X[:1].")
        values = self._contributions(row, None)[0]  # (K, d + 1)
        raw = values.sum(axis=1)
        outcome, k, linked = self._outcome(row, output)
        names = getattr(self, "feature_names_in_", None)
        names = [f"column {f}" for f in range(self.n_features_in_)] if names is None else [str(n) for n in names]
        table = self._followed_table(row)  # type: ignore[attr-defined]
        shown = cells(row, table.toarray() if sp.issparse(table) else table, names)
        top = whole("top", top, low=1)
        return Explanation(outcome, float(raw[k]), float(values[k, -1]), linked, names, shown, values[k, :-1], top)

    def _outcome(self, row: Any, output: Any) -> tuple[str, int, bool]:
        """Return what was predicted, which score tells of it, and whether a link lies between."""
        classes = getattr(self, "classes_", None)
        if classes is None:
            if output is not None:
                raise InputError(f"`output` is {output!r}; it names a class, and this model has none.")
            prediction = float(self.predict(row)[0])  # type: ignore[attr-defined]
            return f"The prediction is {prediction:.4g}", 0, isinstance(self.loss_, losses.LogLink)
        p = self.predict_proba(row)[0]  # type: ignore[attr-defined]
        if output is None:
            k = int(p.argmax())
        else:
            at = np.flatnonzero(classes == output)
            if len(at) == 0:
                raise InputError(f"`output` is {output!r}; give one of the classes {', '.join(map(str, classes))}.")
            k = int(at[0])
        alone = self.trees_.n_outputs == 1
        if alone:
            k = len(classes) - 1  # one score speaks for the second class
        return f"The probability of {str(classes[k])!r} is {p[k]:.4g}", 0 if alone else k, True

    def refit(self, X: Any, y: Any, decay_rate: float = 0.9, sample_weight: Any = None, *, group: Any = None) -> Self:
        r"""Return the same trees with leaves moved towards new data; this model stays as it is.

        .. math:: v \leftarrow \text{decay\_rate}\; v + (1 - \text{decay\_rate})\, \eta\, w^*,
                  \qquad w^* = -\frac{\sum g}{\sum h + \lambda}

        Tree by tree, with the gradients at the scores of the trees already refitted.

        Parameters
        ----------
        X, y : table (n, d) and targets (n,)
        decay_rate : float in [0, 1], default 0.9
            Share of the old leaf values; 1 changes nothing.
        sample_weight : array (n,), optional
        group : array, optional
            Sizes of the queries of a ranker.

        Returns
        -------
        estimator

        Notes
        -----
        As in LightGBM a leaf that no row reaches decays too, and counts stay those of the fit. LightGBM moves the start score
        as a part of the first tree, ours stays. Losses whose leaves are quantiles take the quantile of the new residuals.
        """
        require_fitted(self, "trees_")
        decay = real("decay_rate", decay_rate, low=0.0, high=1.0)
        table = self.columns_.transform(self, X)
        n = table.shape[0]
        if len(y) != n:
            raise DataError(f"X has {n} rows, y {len(y)}; give one target a row.")
        target, weight, loss = self._refit_targets(y, sample_weights(sample_weight, n), group)
        loss.check(target)
        plan = self._plan_with(loss, self.n_features_in_, "loss")  # type: ignore[attr-defined]
        rate = getattr(self, "learning_rate_", plan.learning_rate)
        rates = getattr(self, "shrinkage_", np.full(len(self.trees_), rate))
        other = copy.copy(self)
        other.trees_ = copy.copy(self.trees_)
        other.trees_.value = _refitted(self.trees_, table, target, weight, loss, plan.growth, rates, decay)
        vars(other.trees_).pop("_packed", None)
        return other

    def _refit_targets(
        self, y: Any, weight: np.ndarray | None, group: Any
    ) -> tuple[np.ndarray, np.ndarray | None, Loss]:
        """Return targets and weights (n,) and the loss of new data."""
        raise InputError(f"The leaves of {type(self).__name__} cannot be refitted.")


def _refitted(
    trees: Trees,
    table: Any,
    y: np.ndarray,
    weight: np.ndarray | None,
    loss: Loss,
    growth: Any,
    rates: np.ndarray,
    decay: float,
) -> np.ndarray:
    """Return the values of all nodes (m,) after a refit; only those of leaves change."""
    leaves = trees.leaves(table)  # (n, t)
    n, K = len(leaves), trees.n_outputs
    values = trees.value.copy()
    raw = np.empty((K, n))
    raw[:] = trees.base[:, None]
    g, h = np.empty((K, n)), np.empty((K, n))
    for t in range(len(trees)):
        if t % K == 0:
            loss.gradients(y, raw, weight, g, h, 1)
        k, part, at = t % K, slice(trees.offset[t], trees.offset[t + 1]), leaves[:, t]
        m = part.stop - part.start
        if loss.quantile is None:
            new = _steps(np.bincount(at, g[k], m), np.bincount(at, h[k], m), growth)
        else:
            new = _quantiles(y - raw[k], weight, loss.quantile, at, m)
        old = trees.value[part]
        values[part] = np.where(trees.left[part] < 0, decay * old + (1 - decay) * rates[t] * new, old)
        raw[k] += values[part][at]
    return values


def _steps(top: np.ndarray, hessians: np.ndarray, growth: Any) -> np.ndarray:
    """Return the best values of leaves with these sums of gradients and Hessians, before shrinkage."""
    bottom = hessians + growth.l2
    step = -np.sign(top) * np.maximum(np.abs(top) - growth.l1, 0)
    step = np.divide(step, bottom, out=np.zeros_like(step), where=bottom > 0)
    return np.clip(step, -growth.max_step, growth.max_step) if growth.max_step > 0 else step


def _quantiles(residuals: np.ndarray, weight: np.ndarray | None, level: float, at: np.ndarray, m: int) -> np.ndarray:
    """Return the quantiles of the residuals (n,) in the leaves ``at`` (n,) of m nodes, 0 where there are none."""
    out = np.zeros(m)
    for leaf in np.unique(at):
        rows = at == leaf
        out[leaf] = quantile_of(residuals[rows], None if weight is None else weight[rows], level)
    return out
