"""Naive Bayes for binary and for categorical features."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fivefold.base.checks import real, whole
from fivefold.base.errors import DataError, InputError
from fivefold.base.estimator import Estimator
from fivefold.data.validation import checked_data, encode_labels, sample_weights

from ._blocks import row_blocks
from ._classifier import PosteriorClassifier, batch_codes, check_first_classes, given_priors
from ._validation import query_data
from .kernels import dense_product


class _CountingNB(PosteriorClassifier, Estimator):
    """Base of the models whose parameters are smoothed counts."""

    alpha: float
    priors: Any
    _sparse: Any = False

    def _start(self, classes: np.ndarray, n_features: int) -> None:
        raise NotImplementedError

    def _count(self, X: Any, codes: np.ndarray, weight: np.ndarray) -> None:
        raise NotImplementedError

    def _joint(self, X: Any) -> np.ndarray:
        """Return the log-likelihood of each row under each class: (n, K)."""
        raise NotImplementedError

    def _prepared(self, X: Any) -> Any:
        return X

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Count features and classes.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Class labels: strings, integers or booleans.
        sample_weight : array of shape (n_samples,) or float, optional
            Weights >= 0 of the rows; 1 each when not given.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used.
        """
        self._check_parameters()
        X, y = checked_data(self, X, y, accept_sparse=self._sparse)
        X = self._prepared(X)
        weight = sample_weights(sample_weight, X.shape[0])
        classes, codes = encode_labels(y)
        priors = given_priors(self.priors, len(classes))
        self._start(classes, X.shape[1])
        self._add(X, codes, np.ones(X.shape[0]) if weight is None else weight, priors)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Add a batch of rows; any split into batches gives the same counts.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        classes : array of shape (n_classes,), optional
            All labels that will ever come; needed in the first call.
        sample_weight : array of shape (n_samples,) or float, optional

        Returns
        -------
        self

        Raises
        ------
        DataError, InputError
            When X, y or a parameter cannot be used, a label is not in ``classes``, or ``classes`` is missing or changed.
        """
        self._check_parameters()
        first = check_first_classes(self, classes)
        X, y = checked_data(self, X, y, reset=first, accept_sparse=self._sparse)
        X = self._prepared(X)
        known, codes = batch_codes(self, y, classes)
        weight = sample_weights(sample_weight, X.shape[0])
        priors = given_priors(self.priors, len(known))
        if first:
            self._start(known, X.shape[1])
        self._add(X, codes, np.ones(X.shape[0]) if weight is None else weight, priors)
        return self

    def _add(self, X: Any, codes: np.ndarray, weight: np.ndarray, priors: np.ndarray | None) -> None:
        self.class_count_ = self.class_count_ + np.bincount(codes, weights=weight, minlength=len(self.classes_))
        self._count(X, codes, weight)
        self.class_prior_ = self.class_count_ / self.class_count_.sum() if priors is None else priors

    def _check_parameters(self) -> None:
        real("alpha", self.alpha, low=0.0)

    def predict_joint_log_proba(self, X: Any) -> np.ndarray:
        """Return :math:`\\log \\pi_c + \\sum_j \\log p(x_j \\mid c)`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            ``-inf`` where a class is impossible.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        X = self._prepared(query_data(self, X, "class_prior_", accept_sparse=self._sparse))
        possible = (self.class_prior_ > 0) & (self.class_count_ > 0)
        prior = np.log(np.where(possible, self.class_prior_, 1.0))
        return np.where(possible, self._joint(X) + prior, -np.inf)

    _log_joint = predict_joint_log_proba

    def _check_joint(self, joint: np.ndarray) -> None:
        lost = np.isneginf(joint.max(axis=1))
        if lost.any():
            raise DataError(
                f"Row {int(lost.argmax())} is impossible under every class: with alpha=0 a value that a class never had "
                "has no probability; set `alpha` above zero."
            )


class BernoulliNB(_CountingNB):
    r"""Classifier of binary features that are taken as independent of each other within a class.

    .. math::
        p(c \mid x) \propto \pi_c \prod_j p_{cj}^{x_j} (1 - p_{cj})^{1 - x_j}, \qquad
        p_{cj} = \frac{n_{cj} + \alpha}{n_c + 2 \alpha}

    A feature that is absent counts as evidence too.

    Parameters
    ----------
    alpha : float, >= 0, default=1.0
        Rows added to each of the two values of a feature; zero gives maximum likelihood.
    binarize : float or None, default=0.0
        Values above it are one; None takes X as zeros and ones.
    priors : array of shape (n_classes,) or None, default=None
        Class probabilities in the order of ``classes_``; None takes the (weighted) shares.

    Attributes
    ----------
    classes_, class_count_, class_prior_ : ndarray of shape (n_classes,)
    feature_count_ : ndarray of shape (n_classes, n_features)
        Weighted number of rows with the feature.

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    With one point (1, 1) of one class and four each of (1, 0), (0, 1), (0, 0) of the other, (1, 1) is given to the other
    class, 4/7 to 3/7: independence invents points that were never seen.

    References
    ----------
    McCallum & Nigam (1998), A comparison of event models for naive Bayes text classification. Spec ``05#naive-bayes``.
    """

    _sparse = "csr"

    def __init__(self, *, alpha: float = 1.0, binarize: float | None = 0.0, priors: Any = None) -> None:
        self.alpha = alpha
        self.binarize = binarize
        self.priors = priors

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        # Only which side of `binarize` a number lies on is seen.
        tags.classifier_tags.poor_score = True
        return tags

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.binarize is not None:
            real("binarize", self.binarize)

    def _prepared(self, X: Any) -> Any:
        if self.binarize is not None:
            if not hasattr(X, "toarray"):
                return (self.binarize < X).astype(np.float64)
            if self.binarize < 0:
                raise InputError(
                    f"`binarize` is {self.binarize}; with sparse X give a number >= 0, else every empty entry is one."
                )
            return (self.binarize < X).astype(np.float64)
        values = X.data if hasattr(X, "toarray") else X
        if not np.isin(values, (0, 1)).all():
            raise DataError("X holds values other than 0 and 1; set `binarize` to the number above which they are 1.")
        return X.astype(np.float64)

    def _start(self, classes: np.ndarray, n_features: int) -> None:
        self.classes_ = classes
        self.class_count_ = np.zeros(len(classes))
        self.feature_count_ = np.zeros((len(classes), n_features))

    def _count(self, X: Any, codes: np.ndarray, weight: np.ndarray) -> None:
        member = np.zeros((len(self.classes_), len(codes)))
        member[codes, np.arange(len(codes))] = weight
        self.feature_count_ = self.feature_count_ + dense_product(member, X.T)

    def _joint(self, X: Any) -> np.ndarray:
        with_it = self.feature_count_ + self.alpha
        without = self.class_count_[:, None] - self.feature_count_ + self.alpha
        # Weights leave a rounding of either sign where every row has the feature.
        without = np.where(without > 1e-12 * self.class_count_[:, None], without, 0.0)
        total = self.class_count_[:, None] + 2.0 * self.alpha
        total = np.where(total > 0, total, 1.0)
        yes = np.log(np.where(with_it > 0, with_it, 1.0) / total)
        no = np.log(np.where(without > 0, without, 1.0) / total)
        joint = dense_product(X, yes - no) + no.sum(axis=1)
        never, always = (with_it <= 0).astype(float), (without <= 0).astype(float)
        impossible = dense_product(X, never - always) + always.sum(axis=1)
        return np.where(impossible > 0.5, -np.inf, joint)


class CategoricalNB(_CountingNB):
    r"""Classifier of categorical features that are taken as independent of each other within a class.

    .. math::
        p(c \mid x) \propto \pi_c \prod_j \frac{n_{cj}(x_j) + \alpha_j}{n_c + \alpha_j K_j}

    With ``m`` this is the m-estimate :math:`(n_{cj} + m p) / (n_c + m)` with equal shares :math:`p = 1 / K_j`, that is
    :math:`\alpha_j = m / K_j`.

    Parameters
    ----------
    alpha : float, >= 0, default=1.0
        Rows added to each category.
    m : float, >= 0, or None, default=None
        Rows added to each feature, shared by its categories; takes the place of ``alpha``.
    min_categories : int, array of shape (n_features,) or None, default=None
        Least number :math:`K_j` of categories; None counts to the largest code seen.
    priors : array of shape (n_classes,) or None, default=None
        Class probabilities in the order of ``classes_``; None takes the (weighted) shares.

    Attributes
    ----------
    classes_, class_count_, class_prior_ : ndarray of shape (n_classes,)
    n_categories_ : ndarray of shape (n_features,)
    category_count_ : ndarray of shape (n_features, n_classes, largest n_categories)

    Raises
    ------
    InputError, DataError
        On a parameter out of range or data that cannot be used.

    Notes
    -----
    X holds codes 0, 1, 2 ...; a code never seen in training has the count zero. One source calls the model non-linear and
    non-parametric; it is parametric, and its log-odds are linear in the one-hot features.

    References
    ----------
    Mitchell (1997), Machine learning, section 6.9. Spec ``01#naive-bayes-categorical``.
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check_sample_weight_equivalence_on_dense_data", "check_classifiers_one_label_sample_weights"),
        "the data of the check are fractions, which are no codes of categories",
    )

    def __init__(
        self, *, alpha: float = 1.0, m: float | None = None, min_categories: Any = None, priors: Any = None
    ) -> None:
        self.alpha = alpha
        self.m = m
        self.min_categories = min_categories
        self.priors = priors

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.positive_only = True
        tags.classifier_tags.poor_score = True
        return tags

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.m is not None:
            real("m", self.m, low=0.0)

    def _prepared(self, X: Any) -> np.ndarray:
        if (X < 0).any():
            raise DataError(f"Negative values in data passed to CategoricalNB: {X.min():g}; give codes 0, 1, 2 ....")
        if not np.array_equal(X, np.floor(X)):
            raise DataError("X holds fractions; give the codes 0, 1, 2 ... of categories, or bin the numbers.")
        if X.size and X.max() > 1 << 20:
            raise DataError(f"X holds the code {X.max():g}; number the categories 0, 1, 2 ... without gaps.")
        return np.asarray(X, dtype=np.int64)

    def _least(self, n_features: int) -> np.ndarray:
        if self.min_categories is None:
            return np.zeros(n_features, dtype=np.int64)
        least = np.asarray(self.min_categories)
        if least.dtype.kind not in "iu" or least.shape not in ((), (n_features,)):
            raise InputError(
                f"`min_categories` is {self.min_categories!r}; give a whole number or one for each of the "
                f"{n_features} features."
            )
        whole("min_categories", int(least.min()), low=1)
        return np.broadcast_to(least, (n_features,)).astype(np.int64)

    def _start(self, classes: np.ndarray, n_features: int) -> None:
        least = self._least(n_features)
        self.classes_ = classes
        self.class_count_ = np.zeros(len(classes))
        self.n_categories_ = least
        self.category_count_ = np.zeros((n_features, len(classes), int(least.max(initial=0))))

    def _count(self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> None:
        d, k, before = self.category_count_.shape
        # A row of no weight is no row: its codes count as not seen.
        X, codes, weight = X[weight > 0], codes[weight > 0], weight[weight > 0]
        self.n_categories_ = np.maximum(self.n_categories_, X.max(axis=0) + 1)
        width = max(before, int(self.n_categories_.max()))
        place = (np.arange(d) * k + codes[:, None]) * width + X  # (n, d)
        counts = np.bincount(place.ravel(), weights=np.repeat(weight, d), minlength=d * k * width)
        self.category_count_ = np.pad(self.category_count_, ((0, 0), (0, 0), (0, width - before)))
        self.category_count_ = self.category_count_ + counts.reshape(d, k, width)

    def _joint(self, X: np.ndarray) -> np.ndarray:
        d, k, width = self.category_count_.shape
        share = self.alpha if self.m is None else self.m / self.n_categories_
        added = np.broadcast_to(np.asarray(share, dtype=np.float64), (d,))  # (d,)
        # The last column stands for every code that training did not see.
        counts = np.pad(self.category_count_, ((0, 0), (0, 0), (0, 1))) + added[:, None, None]
        total = self.class_count_[None, :] + (added * self.n_categories_)[:, None]  # (d, K)
        total = np.where(total > 0, total, 1.0)
        table = np.where(counts > 0, np.log(np.where(counts > 0, counts, 1.0)), -np.inf) - np.log(total)[:, :, None]
        out = np.empty((len(X), k))
        features = np.arange(d)
        for rows in row_blocks(len(X), d * k):
            seen = np.minimum(X[rows], width)  # (b, d)
            out[rows] = table[features, :, seen].sum(axis=1)
        return out
