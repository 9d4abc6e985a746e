"""AdaBoost (Freund & Schapire 1997): each member is trained where the ones before it erred. Two classes, SAMME, M1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin

from fivefold.base.checks import whole
from fivefold.base.errors import DataError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._boosting import Boosted
from ._members import votes
from .cart import DecisionTreeClassifier


class _BoostedClassifier(ClassifierMixin, Boosted):
    """The loop that AdaBoost, SAMME and M1 share; ``_chance`` and ``_weight`` tell them apart."""

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 50,
        learning_rate: float = 1.0,
        resample: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.resample = resample
        self.random_state = random_state

    def _chance(self) -> float:
        """Return the error from which a member is of no use."""
        raise NotImplementedError

    def _vote(self, error: float) -> float:
        """Return the weight of a member with an error above 0 and below that of chance."""
        raise NotImplementedError

    _depth = 1  # of the default tree
    _doubled = 2.0  # factor from the weight of a member to the logarithm of the ratio of wrong to right rows

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the members one after the other on X (n, d) and labels y (n,), with optional weights (n,) >= 0."""
        X, y = checked_data(self, X, y, ensure_all_finite="allow-nan")
        weight = sample_weights(sample_weight, len(X))
        self.classes_, _ = encode_labels(y)
        base = DecisionTreeClassifier(max_depth=self._depth) if self.estimator is None else self.estimator
        count, rate = whole("n_estimators", self.n_estimators, low=1), self._rate()
        self._can_weigh(base)
        streams = Streams.of(self.random_state)
        u = np.ones(len(X)) if weight is None else weight.copy()
        u /= u.sum()
        self.estimators_, alphas, errors = [], [], []
        for t in range(count):
            member = self._fit_member(base, X, y, u, streams, t)
            wrong = np.asarray(member.predict(X)) != y
            error = float(u[wrong].sum())
            if error >= self._chance():
                if t == 0:
                    raise DataError(
                        f"The first {type(base).__name__} errs on a share of {error:.3g}, no better than chance "
                        f"({self._chance():.3g}); give a stronger `estimator`."
                    )
                break
            if error <= 0:
                # Its weight is infinite: it decides alone.
                self.estimators_, alphas, errors = [member], [1.0], [0.0]
                break
            alpha = rate * self._vote(error)
            self.estimators_.append(member)
            alphas.append(alpha)
            errors.append(error)
            # Wrong rows times e^(2 alpha), right ones as they are, is e^alpha and e^(-alpha) once all are divided by Z.
            u *= np.exp(self._doubled * alpha * wrong)
            u /= u.sum()
        self.estimator_weights_, self.estimator_errors_ = np.array(alphas), np.array(errors)
        return self

    def _tallies(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the summed votes (n, K) after each member."""
        require_fitted(self, "estimators_")
        X = checked_data(self, X, reset=False, ensure_all_finite="allow-nan")
        total = np.zeros((len(X), len(self.classes_)))
        for member, alpha in zip(self.estimators_, self.estimator_weights_, strict=True):
            total = total + alpha * votes(member.predict(X), self.classes_)
            yield total

    def _tally(self, X: Any) -> np.ndarray:
        *_, last = self._tallies(X)
        return last

    def _score(self, tally: np.ndarray) -> np.ndarray:
        return tally[:, 1] - tally[:, 0] if tally.shape[1] == 2 else tally

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the summed votes: for two classes those of the second minus those of the first (n,), else (n, K)."""
        return self._score(self._tally(X))

    def staged_decision_function(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the decision function after each member."""
        for tally in self._tallies(X):
            yield self._score(tally)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the most votes, the first of equals: X (n, d) -> (n,)."""
        tally = self._tally(X)
        return self.classes_[tally.argmax(axis=1)]

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """Yield the predicted classes after each member."""
        for tally in self._tallies(X):
            yield self.classes_[tally.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities whose logarithms the votes estimate: X (n, d) -> (n, K)."""
        logits = self._doubled * self._tally(X)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)


class AdaBoostClassifier(_BoostedClassifier):
    r"""Weighted vote of members, each trained with more weight on the rows its predecessors got wrong.

    .. math:: \varepsilon_t = \sum_i u_i [h_t(x_i) \ne y_i], \quad
              \alpha_t = \tfrac12 \ln\frac{1-\varepsilon_t}{\varepsilon_t} + \tfrac12 \ln(K-1), \quad
              u_i \leftarrow \frac{u_i e^{\pm\alpha_t}}{Z_t}, \quad H(x) = \arg\max_k \sum_{t: h_t(x) = k} \alpha_t

    For two classes this is AdaBoost, H = sign(Σ α h) with h in {-1, 1}; for more it is SAMME.

    Parameters
    ----------
    estimator : classifier, optional
        What is boosted; its ``fit`` takes ``sample_weight`` unless ``resample``. Default: a stump, a tree of one split.
    n_estimators : int >= 1, default 50
        Most members; fewer when one is perfect or no better than chance.
    learning_rate : float > 0, default 1
        Factor on the weights of the members.
    resample : bool, default False
        Draw the rows of each member by their weights (roulette wheel) instead of weighing its loss.
    random_state : int, Generator or None

    Attributes
    ----------
    classes_ : array (K,)
    estimators_ : list of T fitted members
    estimator_weights_ : array (T,), the alphas
    estimator_errors_ : array (T,), the weighted errors
    feature_importances_ : array (d,), those of the members, weighted

    Raises
    ------
    DataError
        Unequal lengths, continuous targets, or a first member no better than chance.
    InputError
        A parameter outside its range, or an ``estimator`` that cannot weigh.

    Notes
    -----
    scikit-learn's weights are twice these; votes and probabilities are the same but for that factor. A member that errs on
    nothing has infinite weight: it stays alone (scikit-learn gives it the weight 1). One with an error of at least 1 - 1/K is
    dropped and boosting ends. A source has the error *above* one half, and swaps the masses of right and wrong rows, which
    are Z(1 - ε)e^-α and Z ε e^α; the next Z is 2Z√(ε(1 - ε)). Probabilities are softmax(2 Σ α [h = k]), for two classes
    1 / (1 + e^(-2f)) (Friedman, Hastie & Tibshirani 2000).

    References
    ----------
    Freund & Schapire, A Decision-Theoretic Generalization of On-Line Learning, 1997; Zhu, Zou, Rosset & Hastie, Multi-class
    AdaBoost, 2009; ``01#adaboost-binary``, ``01#sample-weight-usage``, ``05#boosting-framework``, ``05#adaboost``.

    Examples
    --------
    >>> boosted = AdaBoostClassifier(n_estimators=3).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 1, 0])
    >>> boosted.predict([[0.1], [1.5], [2.9]]).tolist()
    [0, 1, 0]
    """

    def _chance(self) -> float:
        return 1 - 1 / max(2, len(self.classes_))

    def _vote(self, error: float) -> float:
        return float(np.log((1 - error) / error) + np.log(max(1, len(self.classes_) - 1))) / 2


class AdaBoostM1Classifier(_BoostedClassifier):
    r"""AdaBoost for several classes that asks every member for an error below one half.

    .. math:: \beta_t = \frac{\varepsilon_t}{1 - \varepsilon_t}, \quad
              u_i \leftarrow \frac{u_i \beta_t^{[h_t(x_i) = y_i]}}{Z_t}, \quad
              G(x) = \arg\max_y \sum_{t: h_t(x) = y} \ln\frac{1}{\beta_t}

    Parameters
    ----------
    estimator : classifier, optional
        What is boosted. Default: a tree of depth 3; with many classes give a deeper one.
    n_estimators, learning_rate, resample, random_state
        As for :class:`AdaBoostClassifier`.

    Attributes
    ----------
    estimator_weights_ : array (T,), ln(1 / β), twice the alphas of AdaBoost
    classes_, estimators_, estimator_errors_, feature_importances_
        As for :class:`AdaBoostClassifier`.

    Raises
    ------
    DataError
        As for :class:`AdaBoostClassifier`; the first member's error is at least one half.
    InputError
        A parameter outside its range.

    Notes
    -----
    The weights ln(1 / β) lie in (0, ∞), not (1, ∞) as in a source. A member without error has β = 0: it stays alone.

    References
    ----------
    Freund & Schapire, A Decision-Theoretic Generalization of On-Line Learning, 1997; ``01#adaboost-m1``.

    Examples
    --------
    >>> tree = DecisionTreeClassifier(max_depth=2)
    >>> boosted = AdaBoostM1Classifier(tree).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "c", "a"])
    >>> boosted.predict([[0.1], [1.1], [2.1]]).tolist()
    ['a', 'b', 'c']
    """

    _depth = 3
    _doubled = 1.0

    def _chance(self) -> float:
        return 0.5

    def _vote(self, error: float) -> float:
        return float(np.log((1 - error) / error))
