"""Resampling of training rows by class, and the way back from its class shares to the true ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import DataError, InputError
from fivefold.base.names import resolve
from fivefold.base.random import Streams

ROW_STRATEGIES = {
    "oversample": "rows of the smaller classes are drawn again, up to the largest class",
    "undersample": "rows of the larger classes are left out, down to the smallest class",
}
STRATEGIES = {
    **ROW_STRATEGIES,
    "smote": "rows of the smaller classes are made up between neighbors, up to the largest class",
}


def resample(y: Any, *, strategy: str, random_state: Any, sample_weight: Any = None) -> np.ndarray:
    """Return rows whose classes weigh the same.

    ``oversample`` keeps every row and draws further ones of the smaller classes with replacement; ``undersample`` keeps the
    smallest class and draws rows of the larger ones without replacement.

    Parameters
    ----------
    y : array of shape (n,)
        Class of each row.
    strategy : {"oversample", "undersample"}
    random_state : int, Streams or numpy generator
    sample_weight : array of shape (n,), optional
        Nonnegative weights that go with their rows. Classes are balanced in total weight, up to one row, as if each row had
        the mean weight of its class; rows of weight 0 are left out.

    Returns
    -------
    int64 array of shape (m,)
        Rows in their order, repeated ones side by side.

    Raises
    ------
    InputError
        For weights of the wrong shape or sign.
    DataError
        Without rows.
    UnknownNameError
        For another strategy.
    """
    over = resolve(strategy, ROW_STRATEGIES, "resampling strategy") == "oversample"
    labels = np.asarray(y)
    weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != labels.shape or labels.ndim != 1 or not (np.isfinite(weight) & (weight >= 0)).all():
        raise InputError("y and sample_weight must be one-dimensional and of one length, the weights finite and >= 0.")
    used = np.flatnonzero(weight > 0)
    if not len(used):
        raise DataError("There is no row with a positive weight to resample.")
    _, codes = np.unique(labels[used], return_inverse=True)
    counts, totals = np.bincount(codes), np.bincount(codes, weights=weight[used])
    goal = totals.max() if over else totals.min()
    # Of a class whose rows weigh w each, goal / w rows weigh as much as the goal.
    wanted = np.maximum(np.rint(goal * counts / totals).astype(np.int64), 1)
    random = Streams.of(random_state).numpy(f"resample/{'over' if over else 'under'}")
    chosen = [used] if over else []
    for k, (have, want) in enumerate(zip(counts, wanted)):
        rows = used[codes == k]
        if over:
            chosen.append(rows[random.integers(0, have, want - have)])
        else:
            chosen.append(rows[random.permutation(have)[:want]])
    rows_of_all: np.ndarray = np.sort(np.concatenate(chosen))
    return rows_of_all


def class_shares(y: Any, classes: int, sample_weight: Any = None) -> np.ndarray:
    """Return the share of each class 0 … classes - 1 in the total weight, shape (classes,)."""
    totals: np.ndarray = np.bincount(np.asarray(y), weights=sample_weight, minlength=classes).astype(np.float64)
    totals /= totals.sum()
    return totals


def correct_prior(probabilities: Any, trained: Any, true: Any) -> np.ndarray:
    r"""Return the class probabilities under the true class shares, from those of a model fitted under others.

    .. math:: p'_k = \frac{p_k \, \pi_k / \tau_k}{\sum_j p_j \, \pi_j / \tau_j}

    Parameters
    ----------
    probabilities : array of shape (n, k)
        Of a model fitted where the classes have the shares :math:`\tau`.
    trained : array of shape (k,)
        Positive shares :math:`\tau` of the classes among the rows of the fit.
    true : array of shape (k,)
        Positive shares :math:`\pi` to be corrected to, such as those before resampling.

    Returns
    -------
    array of shape (n, k)
        Rows sum to one; exact zeros stay zero.

    Raises
    ------
    InputError
        For shares of the wrong shape or that are not positive, and probabilities that are negative or zero in a whole row.

    Notes
    -----
    Exact where resampling changed only how frequent the classes are, not how the features lie within a class.

    References
    ----------
    Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities", eq. 4; Elkan
    2001, "The foundations of cost-sensitive learning", theorem 2.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    fit, real = np.asarray(trained, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if given.ndim != 2 or fit.shape != given.shape[1:] or real.shape != given.shape[1:]:
        raise InputError(
            f"probabilities must have shape (n, k) and the shares (k,); got {given.shape}, {fit.shape} and {real.shape}."
        )
    if not (np.isfinite(fit) & np.isfinite(real) & (fit > 0) & (real > 0)).all():
        raise InputError("The class shares must be positive and finite; leave out the columns of classes without rows.")
    if not (given >= 0).all() or not given.any(axis=1).all():
        raise InputError(
            "probabilities must be >= 0 with a positive one in every row; some are negative, NaN or all zero."
        )
    ratio = real / fit
    moved: np.ndarray = given * (ratio / ratio.max())
    moved /= moved.sum(axis=1, keepdims=True)
    return moved
