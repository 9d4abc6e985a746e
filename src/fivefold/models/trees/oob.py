"""Out-of-bag error: each row is judged by the members of an ensemble that were not trained on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.checks import whole
from fivefold.base.errors import DataError
from fivefold.data.validation import sample_weights

from ._members import votes


class OutOfBag:
    r"""Answers of an ensemble to its own training rows, each from the members that did not see the row.

    .. math:: \hat y(x_i) = \frac{1}{|M_i|} \sum_{t \in M_i} f_t(x_i), \quad M_i = \{t : i \notin D_t\}, \qquad
              E_{oob} = \frac1n \sum_i \ell(y_i, \hat y(x_i))

    Members are added one by one; nothing but the running sums is kept.

    Parameters
    ----------
    n_samples : int >= 1
        Rows of the training data.
    classes : array (K,), optional
        Sorted classes. Answers then are labels (votes) or shares (n, K) and the error is the share of wrong labels; without
        it answers are numbers and the error is the mean square.

    Attributes
    ----------
    counts : int array (n,), members that judged each row
    sums : array (n, K) or (n,), their summed answers

    Raises
    ------
    DataError
        Answers, marks or targets of another length.

    Notes
    -----
    Rows that every member was trained on have no answer (NaN) and do not count in the error. The source's example lets
    f1 judge x1 although it was trained on it, and speaks of x1 and x4 where x1 to x4 are meant; the four-member table is right
    in the evidence.

    References
    ----------
    Breiman, Out-of-bag estimation, 1996; ``05#oob-error``.

    Examples
    --------
    >>> bag = OutOfBag(2)
    >>> bag.add([1.0, 5.0], drawn=[True, False]).add([3.0, 7.0], drawn=[False, True]).mean.tolist()
    [3.0, 5.0]
    """

    def __init__(self, n_samples: int, classes: Any = None) -> None:
        n = whole("n_samples", n_samples, low=1)
        self.classes = None if classes is None else np.asarray(classes)
        self.counts = np.zeros(n, dtype=np.int64)
        self.sums = np.zeros(n if self.classes is None else (n, len(self.classes)))

    def add(self, answers: Any, drawn: Any) -> OutOfBag:
        """Add a member's answers (n,) or shares (n, K); ``drawn`` (n,) marks the rows it was trained on."""
        answers, drawn = np.asarray(answers), np.asarray(drawn)
        n = len(self.counts)
        if drawn.dtype != bool or drawn.shape != (n,):
            raise DataError(
                f"`drawn` has the shape {drawn.shape} and the type {drawn.dtype}; give one boolean a row: ({n},)."
            )
        if self.classes is not None and answers.ndim == 1:
            answers = votes(answers, self.classes)
        if answers.shape != self.sums.shape:
            raise DataError(f"`answers` has the shape {answers.shape}; give {self.sums.shape}, one answer a row.")
        self.sums[~drawn] += answers[~drawn]
        self.counts += ~drawn
        return self

    @property
    def mean(self) -> np.ndarray:
        """Mean answer of every row: (n,) or (n, K), NaN where no member may judge."""
        counts = self.counts if self.classes is None else self.counts[:, None]
        return np.divide(self.sums, counts, out=np.full(self.sums.shape, np.nan), where=counts > 0)

    def error(self, y: Any, sample_weight: Any = None) -> float:
        """Return the share of wrong labels, or the mean squared error, over the rows that can be judged.

        Parameters
        ----------
        y : array (n,)
        sample_weight : array (n,), optional

        Returns
        -------
        float
            NaN when no row can be judged. The first of equal classes is the answer.
        """
        y = np.asarray(y)
        if y.shape != self.counts.shape:
            raise DataError(f"`y` has the shape {y.shape}; give one target a row: {self.counts.shape}.")
        weight = sample_weights(sample_weight, len(y))
        judged = self.counts > 0
        w = np.ones(judged.sum()) if weight is None else weight[judged]
        if not w.any():
            return np.nan
        mean = self.mean[judged]
        if self.classes is None:
            return float(np.average((y[judged] - mean) ** 2, weights=w))
        return float(np.average(self.classes[mean.argmax(axis=1)] != y[judged], weights=w))
