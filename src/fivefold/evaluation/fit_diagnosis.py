"""Why a model falls short and what to do next, in words: training error first, then the gap, then the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from sklearn.base import clone, is_classifier

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams

from .selection import _as_splitter, _rows_of
from .validation import KFold, StratifiedKFold, row_count

ADVICE: dict[str, str] = {
    "leakage": "The validation rows are not new to the model: drop copies, split by group or time, and remove columns that "
    "know the target; until then no other number here means anything.",
    "shift": "The rows of use are of another kind than the training rows: collect or weight training rows that are like "
    "them, and validate on such rows; tuning on the present folds will not help.",
    "optimization": "Training fails, not the model: a simpler one already reaches a lower training error. Change the "
    "optimizer, learning rate, initialization or activation, or add normalization or skip connections; more data or "
    "regularization will not help.",
    "underfitting": "The model is too simple (high bias): add features, take a richer model, or regularize less. More rows "
    "will not help. Check the training error again after each change.",
    "too-complex": "The model is too rich for what there is to learn (high variance): regularize, stop early, use dropout or "
    "take a simpler model.",
    "too-little-data": "The model suits but has too few rows (high variance): collect or augment rows; regularization helps "
    "until they are there.",
    "label-noise": "Much of the target is noise that no model of these columns predicts: clean or repeat the labels, or find "
    "columns that explain what is left.",
    "good": "The fit is good: training and validation error are at the goal. Test it once, on rows not used so far.",
}
"""What to do next for each finding, in the order in which findings should be mended."""


@dataclass(frozen=True)
class FitDiagnosis:
    """What keeps a model from its goal.

    Attributes
    ----------
    findings : tuple of str
        Keys of ``ADVICE``, the one to mend first at the front; ("good",) when there is none.
    bias, variance, shift : float
        Training error above the goal, validation above training error, and the error of use above the validation error, as
        shares of what can be learned: the error of a constant guess minus the goal. ``shift`` is NaN without rows of use.
    noise : float
        The goal as a share of the error of a constant guess.
    sizes, train, validation : array (m,)
        The learning curve: mean errors at growing numbers of training rows.
    guess, goal : float
    """

    findings: tuple[str, ...]
    bias: float
    variance: float
    shift: float
    noise: float
    sizes: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    guess: float
    goal: float

    @property
    def advice(self) -> str:
        """What to do next."""
        return ADVICE[self.findings[0]]

    def __str__(self) -> str:
        head = (
            f"With {self.sizes[-1]:.0f} rows the training error is {self.train[-1]:.4g}, the validation error "
            f"{self.validation[-1]:.4g}; a constant guess errs by {self.guess:.4g}, the goal is {self.goal:.4g}."
        )
        return "\n".join([head, *(f"{name}: {ADVICE[name]}" for name in self.findings)])


def diagnose_fit(
    sizes: Any,
    train: Any,
    validation: Any,
    *,
    guess: float,
    goal: float,
    fresh: float | None = None,
    simpler: Sequence[float] | None = None,
    copies: float = 0.0,
    tolerance: float = 0.1,
) -> FitDiagnosis:
    r"""Say from the errors of a model what to do next.

    With the scale :math:`s = e_{guess} - e_{goal}` and the tolerance :math:`\tau`, in this order: *leakage* when
    :math:`e_{val} < e_{goal} - \tau s` or more than the share :math:`\tau` of the rows are copies; *shift* when
    :math:`e_{fresh} - e_{val} > \tau s`; for :math:`e_{train} - e_{goal} > \tau s` *optimization* when the simpler model trains
    better by more than :math:`\tau s`, else *underfitting*; for :math:`e_{val} - e_{train} > \tau s` *too-complex* or
    *too-little-data*; *label-noise* when :math:`e_{goal} > 0.3\, e_{guess}`.

    Parameters
    ----------
    sizes : array (m,)
        Numbers of training rows, rising.
    train, validation : array (m,) or (m, folds)
        Errors (less is better) at these sizes.
    guess : float
        Error of the best constant prediction.
    goal : float < guess
        Error that can be reached: of people, of an earlier system, or :func:`noise_floor`.
    fresh : float, optional
        Error on rows from where the model will be used.
    simpler : (training error, validation error), optional
        Of a simpler model of the same kind, fitted to the same rows.
    copies : float in [0, 1], default 0.0
        Share of validation rows that are also training rows.
    tolerance : float in (0, 1), default 0.1

    Returns
    -------
    FitDiagnosis

    Raises
    ------
    DataError
        When the shapes do not fit, errors are not finite, sizes do not rise, or ``guess`` is not above ``goal``.
    InputError
        When ``tolerance`` or ``copies`` is out of its range.

    Notes
    -----
    A gap between validation and training is too much complexity when the simpler model validates better. Without such a
    model the learning curve decides: through its last two points the validation error is read as a + b/n; of least squares
    with enough features a doubling of the rows takes away a quarter of the gap, and when it would take less than an eighth
    more rows are no cure.

    References
    ----------
    Spec ``05#bias-variance-advice``, ``05#dl-recipe``.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance must be in (0, 1), got {tolerance!r}.")
    if not 0 <= copies <= 1:
        raise InputError(f"copies is a share and must be in [0, 1], got {copies!r}.")
    n = np.asarray(sizes, dtype=np.float64)
    curves = []
    for name, values in (("train", train), ("validation", validation)):
        errors = np.asarray(values, dtype=np.float64)
        errors = errors.mean(axis=1) if errors.ndim == 2 else errors
        if n.ndim != 1 or len(n) < 2 or errors.shape != n.shape:
            raise DataError(
                f"diagnose_fit needs two sizes or more and one error for each: sizes has shape {n.shape}, {name} "
                f"{errors.shape}."
            )
        if not np.isfinite(errors).all():
            raise DataError(f"{name} must hold finite errors; found NaN or infinite ones.")
        curves.append(errors)
    if not (np.diff(n) > 0).all() or not n[0] > 0:
        raise DataError(f"sizes must rise from above 0; got {n.tolist()}.")
    if not guess > goal:
        raise DataError(
            f"The goal ({goal:g}) must be below the error of a constant guess ({guess:g}); there is nothing to learn "
            "from these columns, or the goal is of another unit."
        )
    fit, held = curves[0][-1], curves[1][-1]
    scale = guess - goal
    bias, variance = (fit - goal) / scale, (held - fit) / scale
    shift = float("nan") if fresh is None else (fresh - held) / scale
    findings = []
    if copies > tolerance or held < goal - tolerance * scale:
        findings.append("leakage")
    elif shift > tolerance:
        findings.append("shift")
    if bias > tolerance:
        fails = simpler is not None and simpler[0] < fit - tolerance * scale
        findings.append("optimization" if fails else "underfitting")
    if variance > tolerance:
        if simpler is not None:
            rich = simpler[1] < held
        else:
            slope = (curves[1][-2] - held) / (1 / n[-2] - 1 / n[-1])
            rich = slope / (2 * n[-1]) < (held - fit) / 8
        findings.append("too-complex" if rich else "too-little-data")
    if goal > 0.3 * guess:
        findings.append("label-noise")
    return FitDiagnosis(
        findings=tuple(findings) or ("good",),
        bias=bias,
        variance=variance,
        shift=shift,
        noise=goal / guess,
        sizes=n,
        train=curves[0],
        validation=curves[1],
        guess=float(guess),
        goal=float(goal),
    )


def noise_floor(X: Any, y: Any, *, classification: bool, neighbors: int = 10) -> float:
    r"""Estimate the error that no model goes below, from how much the targets of neighboring rows differ.

    With the k-th neighbor :math:`i_k` of row i in standardized columns,

    .. math:: \delta_k = \tfrac1n \sum_i \lVert x_i - x_{i_k} \rVert^2, \qquad
              \gamma_k = \tfrac{1}{2n} \sum_i (y_i - y_{i_k})^2 \ \to\ \sigma^2 \quad (\delta_k \to 0),

    so the intercept of the line through :math:`(\delta_k, \gamma_k)` is the variance of the noise (Gamma test). For c classes
    :math:`\gamma_k` is the share of neighbors of another class, whose limit R bounds the least error rate from below:
    :math:`R^* \ge \frac{c-1}{c} \left(1 - \sqrt{1 - \frac{c}{c-1} R}\right)`, with equality for labels that are flipped alike
    everywhere.

    Parameters
    ----------
    X : array (n, d), numeric
    y : array (n,)
    classification : bool
        Error rate instead of mean squared error.
    neighbors : int >= 2, default 10

    Returns
    -------
    float >= 0

    Raises
    ------
    DataError
        When X is not a table of finite numbers, or has not more distinct rows than neighbors.

    Notes
    -----
    Rows that are copies, target included, count once. The estimate is of use where neighbors are near: many rows, few
    columns that matter.

    References
    ----------
    Cover & Hart 1967; Stefánsson, Končar & Jones 1997; spec ``05#bias-variance-advice``.
    """
    check_count("neighbors", neighbors, 2)
    table, target = np.asarray(X, dtype=np.float64), np.asarray(y)
    if table.ndim != 2 or not np.isfinite(table).all() or target.shape != (len(table),):
        raise DataError(
            f"noise_floor needs finite numbers X (n, d) and targets (n,); got shapes {table.shape} and {target.shape}."
        )
    code = np.unique(target, return_inverse=True)[1] if classification else target.astype(np.float64)
    _, first = np.unique(np.column_stack([table, code]), axis=0, return_index=True)
    if len(first) <= neighbors:
        raise DataError(f"noise_floor needs more than {neighbors} distinct rows; got {len(first)}.")
    table, code = table[first], code[first]
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    distance, near = cKDTree(table).query(table, k=neighbors + 1)
    # Among rows at distance 0 the row itself need not come first.
    own = near == np.arange(len(table))[:, None]
    own[~own.any(axis=1), -1] = True
    distance, near = distance[~own].reshape(len(table), -1), near[~own].reshape(len(table), -1)
    apart = (code[near] != code[:, None]) if classification else (code[near] - code[:, None]) ** 2 / 2
    x, g = (distance**2).mean(axis=0), apart.mean(axis=0)
    varies = x.var()
    slope = ((x - x.mean()) * (g - g.mean())).mean() / varies if varies > 0 else 0.0
    level = max(0.0, float(g.mean() - slope * x.mean()))
    if not classification:
        return level
    classes = int(code.max()) + 1
    top = (classes - 1) / classes if classes > 1 else 1.0
    return top * (1 - float(np.sqrt(max(0.0, 1 - level / top))))


def fit_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    fresh: tuple[Any, Any] | None = None,
    simpler: Any = None,
    goal: float | None = None,
    cv: Any = 5,
    fractions: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0),
    tolerance: float = 0.1,
    random_state: Any = None,
) -> FitDiagnosis:
    """Draw the learning curve of an estimator by cross-validation and say what to do next; see :func:`diagnose_fit`.

    Parameters
    ----------
    estimator : classifier (error rate) or regressor (mean squared error)
    X : array (n, d), numeric
    y : array (n,)
    fresh : (X, y), optional
        Rows from where the model will be used; the estimator fitted to all of X is scored on them.
    simpler : estimator, optional
        A simpler model of the same kind.
    goal : float, optional
        Error that can be reached; default :func:`noise_floor` of all rows.
    cv : int or splitter, default 5
        A number means shuffled folds, stratified for classifiers.
    fractions : rising shares in (0, 1], two or more, default (0.2, 0.4, 0.6, 0.8, 1.0)
        Of the training rows of a fold, at random.
    tolerance : float in (0, 1), default 0.1
    random_state : int, optional

    Returns
    -------
    FitDiagnosis

    Raises
    ------
    DataError, InputError
        As :func:`diagnose_fit` and :func:`noise_floor`.
    """
    rows, target = row_count(X), np.asarray(y)
    shares = [float(f) for f in fractions]
    if len(shares) < 2 or not all(0 < f <= 1 for f in shares) or sorted(set(shares)) != shares:
        raise InputError(f"fractions must be two or more rising shares in (0, 1]; got {list(fractions)!r}.")
    streams, classes = Streams.of(random_state), is_classifier(estimator)
    if isinstance(cv, int) and not isinstance(cv, bool):
        seed = streams.integer("folds") % 2**32
        cv = (StratifiedKFold if classes else KFold)(cv, shuffle=True, random_state=seed)

    def error(model: Any, table: Any, truth: np.ndarray) -> float:
        guessed = np.asarray(model.predict(table))
        return float((guessed != truth).mean() if classes else ((guessed - truth) ** 2).mean())

    sizes, train, held, simple, guesses, copied = [], [], [], [], [], 0
    plain = np.asarray(X)
    for fold, (inside, outside) in enumerate(_as_splitter(cv, estimator, y).split(X, y)):
        mixed = streams.numpy("order", fold).permutation(inside)
        parts = [mixed[: max(1, round(share * len(mixed)))] for share in shares]
        models = [clone(estimator).fit(_rows_of(X, part), target[part]) for part in parts]
        sizes.append([len(part) for part in parts])
        train.append([error(m, _rows_of(X, part), target[part]) for m, part in zip(models, parts)])
        held.append([error(m, _rows_of(X, outside), target[outside]) for m in models])
        if simpler is not None:
            model = clone(simpler).fit(_rows_of(X, mixed), target[mixed])
            simple.append([error(model, _rows_of(X, i), target[i]) for i in (mixed, outside)])
        if classes:
            names, counts = np.unique(target[inside], return_counts=True)
            guesses.append(float((target[outside] != names[counts.argmax()]).mean()))
        else:
            guesses.append(float(((target[outside] - target[inside].mean()) ** 2).mean()))
        known = {row.tobytes() for row in plain[inside]}
        copied += sum(row.tobytes() in known for row in plain[outside])
    new = None
    if fresh is not None:
        new = error(clone(estimator).fit(X, target), fresh[0], np.asarray(fresh[1]))
    return diagnose_fit(
        np.mean(sizes, axis=0),
        np.transpose(train),
        np.transpose(held),
        guess=float(np.mean(guesses)),
        goal=noise_floor(X, target, classification=classes) if goal is None else goal,
        fresh=new,
        simpler=None if simpler is None else np.mean(simple, axis=0).tolist(),
        copies=copied / rows,
        tolerance=tolerance,
    )
