"""Regression, classification and ranking on top of the shared loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from fivefold.base.checks import real
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import require_fitted
from fivefold.data.validation import class_weights, encode_labels

from . import _losses as losses
from ._boosted import Boosted
from ._metrics import ndcg
from ._ranking import LambdaRank, group_sizes
from ._targets import label_targets, numeric_targets


class BoostedRegressor(RegressorMixin, Boosted):
    """Regression by boosting: the fit and what follows from raw scores."""

    def _regression_loss(self) -> losses.Loss:
        raise NotImplementedError

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        init_score: Any = None,
        eval_set: Any = None,
        eval_names: Any = None,
        eval_sample_weight: Any = None,
        eval_init_score: Any = None,
        callbacks: Any = None,
    ) -> Self:
        """Fit the trees on X (n, d) and targets y (n,), with optional weights (n,) >= 0 and initial scores (n,).

        ``eval_set`` is a list of pairs (X, y) whose metrics are kept in ``evals_result_``; with ``early_stopping_rounds``
        the fit ends when none improves. ``callbacks`` are callables (estimator, round), of which True ends the fit, and
        :class:`Checkpoint` objects, from which an interrupted fit goes on.
        """
        X, weight = self._prepare(X, y, sample_weight, self._categorical())
        y = numeric_targets(y)
        loss = self._regression_loss()
        sets = self._eval_sets(eval_set, eval_names, eval_sample_weight, eval_init_score, None, numeric_targets, 1)
        plan = self._plan_with(loss, X.shape[1], "loss" if not isinstance(loss, losses.Custom) else "l2")
        self._boost(X, y, weight, plan, init_score=init_score, eval_sets=sets, callbacks=callbacks)
        return self

    def _refit_targets(
        self, y: Any, weight: np.ndarray | None, group: Any
    ) -> tuple[np.ndarray, np.ndarray | None, losses.Loss]:
        return numeric_targets(y), weight, self.loss_

    def predict(
        self, X: Any, *, num_iteration: int | None = None, raw_score: bool = False, pred_contrib: bool = False
    ) -> np.ndarray:
        """Return predictions: X (n, d) -> (n,); ``raw_score`` leaves the link out.

        With ``pred_contrib``, (n, d + 1): what each column adds to the raw score, and the expected score (TreeSHAP).
        """
        if pred_contrib:
            return self._flat_contributions(X, num_iteration)
        raw = self.predict_raw(X, num_iteration)
        return raw[:, 0] if raw_score else self.loss_.link(raw)

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the predictions after each round."""
        for raw in self._staged_raw(X):
            yield self.loss_.link(raw)


class BoostedClassifier(ClassifierMixin, Boosted):
    """Classification by boosting."""

    def _classification_loss(self, n_classes: int) -> losses.Loss:
        raise NotImplementedError

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        init_score: Any = None,
        eval_set: Any = None,
        eval_names: Any = None,
        eval_sample_weight: Any = None,
        eval_init_score: Any = None,
        callbacks: Any = None,
    ) -> Self:
        """Fit the trees on X (n, d) and labels y (n,); the other arguments as for :meth:`BoostedRegressor.fit`."""
        X, weight = self._prepare(X, y, sample_weight, self._categorical())
        labels = label_targets(y)
        if self._continues():
            codes = self._codes(labels, "y").astype(np.int64)
        else:
            self.classes_, codes = self._labels(labels)
        K = len(self.classes_)
        self.n_classes_ = K
        weight = self._weighted(codes, weight)
        loss = self._classification_loss(K)
        metric = "loss" if not isinstance(loss, losses.Custom) else "error"
        sets = self._eval_sets(
            eval_set, eval_names, eval_sample_weight, eval_init_score, None, self._codes, loss.n_outputs
        )
        plan = self._plan_with(loss, X.shape[1], metric)
        self._boost(
            X, codes.astype(np.float64), weight, plan, init_score=init_score, eval_sets=sets, callbacks=callbacks
        )
        return self

    def _labels(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes (K,) and the class of each row (n,)."""
        return encode_labels(y)

    def _weighted(self, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weights of rows times those of their classes, given the class of each row (n,)."""
        class_weight = getattr(self, "class_weight", None)
        if class_weight is not None:
            factors = class_weights(class_weight, self.classes_, codes, weight)[codes]
            weight = factors if weight is None else weight * factors
        positive = real("scale_pos_weight", getattr(self, "scale_pos_weight", 1.0), low=0.0, above=True)
        if positive != 1:
            if len(self.classes_) > 2:
                raise InputError(f"`scale_pos_weight` is for two classes; y holds {len(self.classes_)}.")
            weight = (np.ones(len(codes)) if weight is None else weight) * np.where(codes == 1, positive, 1.0)
        return weight

    def _codes(self, y: Any, name: str = "eval_set") -> np.ndarray:
        labels = np.asarray(y).ravel()
        at = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        if not (self.classes_[at] == labels).all():
            other = labels[self.classes_[at] != labels][:1].tolist()[0]
            raise DataError(
                f"`{name}` holds the class {other!r}, which is not one of the fit: {self.classes_.tolist()}."
            )
        return at.astype(np.float64)

    def _refit_targets(
        self, y: Any, weight: np.ndarray | None, group: Any
    ) -> tuple[np.ndarray, np.ndarray | None, losses.Loss]:
        codes = self._codes(label_targets(y), "y")
        return codes, self._weighted(codes.astype(np.int64), weight), self.loss_

    def predict_proba(self, X: Any, *, num_iteration: int | None = None) -> np.ndarray:
        """Return the probabilities of the classes: X (n, d) -> (n, K)."""
        return self._probabilities(self.predict_raw(X, num_iteration))

    def _probabilities(self, raw: np.ndarray) -> np.ndarray:
        if len(self.classes_) == 1:
            return np.ones((len(raw), 1))
        p = self.loss_.link(raw)
        if isinstance(self.loss_, losses.Custom):
            p = losses.sigmoid(p) if p.ndim == 1 else losses.Softmax(self.n_classes_).link(p)
            return np.column_stack([1 - p, p]) if p.ndim == 1 else p
        return p

    def decision_function(self, X: Any) -> np.ndarray:
        """Return raw scores: X (n, d) -> (n,) for two classes, (n, K) for more."""
        raw = self.predict_raw(X)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def predict(
        self, X: Any, *, num_iteration: int | None = None, raw_score: bool = False, pred_contrib: bool = False
    ) -> np.ndarray:
        """Return the most probable class of each row: X (n, d) -> (n,); ``raw_score`` returns the scores.

        With ``pred_contrib``, (n, d + 1) for two classes and (n, K (d + 1)) for more: what each column adds to the raw score
        of a class, and the expected score (TreeSHAP).
        """
        require_fitted(self, "trees_")
        if pred_contrib:
            return self._flat_contributions(X, num_iteration)
        if raw_score:
            raw = self.predict_raw(X, num_iteration)
            return raw[:, 0] if raw.shape[1] == 1 else raw
        return self.classes_[self.predict_proba(X, num_iteration=num_iteration).argmax(axis=1)]

    def staged_predict_proba(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the probabilities after each round."""
        for raw in self._staged_raw(X):
            yield self._probabilities(raw)

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the most probable classes after each round."""
        for p in self.staged_predict_proba(X):
            yield self.classes_[p.argmax(axis=1)]


class BoostedRanker(Boosted):
    """Ranking by boosting: LambdaRank."""

    _expected_failed_checks: ClassVar[dict[str, str]] = Boosted._expected_failed_checks | dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        "a row given twice takes two ranks of its query",
    )

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        group: Any = None,
        init_score: Any = None,
        eval_set: Any = None,
        eval_names: Any = None,
        eval_group: Any = None,
        callbacks: Any = None,
    ) -> Self:
        """Fit the trees on X (n, d) and relevances y (n,) of the queries whose sizes ``group`` lists, in the order of rows.

        Without ``group`` all rows are one query. A row of weight zero is left out of its query.
        """
        X, weight = self._prepare(X, y, sample_weight, self._categorical())
        y = numeric_targets(y)
        sizes = group_sizes(group, len(y))
        if weight is not None and not weight.all():
            kept = np.flatnonzero(weight)
            sizes = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[kept], minlength=len(sizes))
            X, y, weight, sizes = X[kept], y[kept], weight[kept], sizes[sizes > 0]
            init_score = None if init_score is None else np.asarray(init_score)[kept]
        loss = LambdaRank(sizes)
        sets = self._eval_sets(eval_set, eval_names, None, None, eval_group, numeric_targets, 1)
        plan = self._plan_with(loss, X.shape[1], "ndcg")
        self._boost(X, y, weight, plan, init_score=init_score, eval_sets=sets, callbacks=callbacks)
        return self

    def _refit_targets(
        self, y: Any, weight: np.ndarray | None, group: Any
    ) -> tuple[np.ndarray, np.ndarray | None, losses.Loss]:
        return numeric_targets(y), weight, LambdaRank(group_sizes(group, len(y)))

    def predict(self, X: Any, *, num_iteration: int | None = None, pred_contrib: bool = False) -> np.ndarray:
        """Return scores that order the rows of a query: X (n, d) -> (n,).

        With ``pred_contrib``, (n, d + 1): what each column adds to the score, and the expected score (TreeSHAP).
        """
        if pred_contrib:
            return self._flat_contributions(X, num_iteration)
        return self.predict_raw(X, num_iteration)[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, group: Any = None) -> float:
        """Return the mean NDCG at 5 of queries: X (n, d), relevances y (n,) and the sizes ``group``, or one query.

        Weights count for nothing: a query has none.
        """
        raw, y = self.predict_raw(X), numeric_targets(y)
        if len(y) != len(raw):
            raise DataError(f"X has {len(raw)} rows, `y` {len(y)}; give one relevance a row.")
        self.loss_.check(y)
        return ndcg(y, raw.T, group_sizes(group, len(y)))
