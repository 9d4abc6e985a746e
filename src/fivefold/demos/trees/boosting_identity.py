"""Gradient boosting with the exponential loss is AdaBoost: same members, same weights, same scores at every round."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.optimize import brentq
from sklearn.base import BaseEstimator, ClassifierMixin

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.models.trees.adaboost import AdaBoostClassifier

Stump = tuple[int, float, int]
"""Column, threshold and sign of the right side."""


def best_stump(X: np.ndarray, direction: np.ndarray) -> Stump:
    r"""Return the stump f in {-1, 1} with the largest :math:`\sum_i r_i f(x_i)`: X (n, d), direction r (n,).

    Cuts below all values are allowed, so a constant answer is one of the stumps.
    """
    order = np.argsort(X, axis=0, kind="stable")
    sums = np.cumsum(direction[order], axis=0)  # (n, d): of the rows up to and including each
    values = np.take_along_axis(X, order, axis=0)
    merit = sums[-1] - 2 * sums  # right minus left
    merit[:-1][values[:-1] == values[1:]] = 0.0
    merit = np.vstack([sums[-1], merit])
    # Equal stumps must be equal to both ways of summing: the first within rounding of the best.
    reached = np.abs(merit) >= np.abs(merit).max() - 1e-10 * np.abs(direction).sum()
    at, column = np.unravel_index(reached.argmax(), merit.shape)
    if at == 0:
        threshold = -np.inf
    elif at == len(X):
        threshold = np.inf
    else:
        threshold = float(values[at - 1, column] / 2 + values[at, column] / 2)
    return int(column), threshold, 1 if merit[at, column] > 0 else -1


def answer(stump: Stump, X: np.ndarray) -> np.ndarray:
    """Return the signs (n,) that a stump gives to X (n, d)."""
    column, threshold, sign = stump
    return np.where(X[:, column] > threshold, sign, -sign)


class LeastErrorStump(ClassifierMixin, BaseEstimator):
    """The stump of least weighted error, as a base of :class:`AdaBoostClassifier` for signs."""

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> Self:
        """Find the stump on X (n, d) and signs y (n,)."""
        self.classes_ = np.array([-1, 1])
        self.stump_ = best_stump(X, sample_weight * y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return signs (n,)."""
        return answer(self.stump_, X)


LOSSES = {
    "exponential": (lambda m: np.exp(-m), lambda m: -np.exp(-m)),
    "logistic": (lambda m: np.logaddexp(0, -m), lambda m: -1 / (1 + np.exp(m))),
}
"""Losses of the margin y g and their derivatives."""


def gradient_boosting(
    X: np.ndarray, y: np.ndarray, rounds: int, loss: str
) -> tuple[list[Stump], np.ndarray, np.ndarray]:
    r"""Return stumps, weights (T,) and scores g (T, n) of functional gradient descent on a loss of the margin.

    .. math:: r_i = -\frac{\partial \ell}{\partial g} = -y_i \ell'(y_i g_{t-1}(x_i)), \quad
              f_t = \arg\max_f \sum_i r_i f(x_i), \quad \alpha_t = \arg\min_\alpha \sum_i \ell(y_i (g_{t-1} + \alpha f_t)(x_i))

    The line search is numerical: it looks for the root of the derivative.
    """
    slope = LOSSES[loss][1]
    g, stumps, alphas, scores = np.zeros(len(y)), [], [], []
    for _ in range(rounds):
        stump = best_stump(X, -y * slope(y * g))
        f = answer(stump, X)

        def derivative(alpha: float, f: np.ndarray = f, g: np.ndarray = g) -> float:
            return float(np.mean(y * f * slope(y * (g + alpha * f))))

        alpha = float(brentq(derivative, 0.0, 20.0, xtol=1e-14, rtol=1e-15, maxiter=500))
        g = g + alpha * f
        stumps.append(stump)
        alphas.append(alpha)
        scores.append(g)
    return stumps, np.array(alphas), np.array(scores)


@dataclass
class BoostingIdentityDemo:
    r"""Boost stumps by AdaBoost and by gradient descent in function space, and compare them round by round.

    .. math:: L(g) = \sum_i e^{-y_i g(x_i)} \;\Rightarrow\; -\frac{\partial L}{\partial g_i} = y_i e^{-y_i g_{t-1}(x_i)}
              \propto y_i u_i, \qquad \alpha_t = \ln\sqrt{\frac{1 - \varepsilon_t}{\varepsilon_t}}

    Parameters
    ----------
    n_samples : int >= 20, default 300
        Rows: two noisy classes in four columns.
    rounds : int >= 2, default 60
        Members; a third in the quick form.

    Notes
    -----
    The weights of the exponential loss hold g of the round before; a source prints that of the same round. With the logistic
    loss, the control, members and weights part from AdaBoost's after the first rounds.

    References
    ----------
    Friedman, Hastie & Tibshirani, Additive Logistic Regression, 2000; ``05#gradient-boosting``.
    """

    n_samples: int = 300
    rounds: int = 60

    def data(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return columns (n, 4) and signs (n,)."""
        stream = Streams(seed).numpy("rows")
        X = stream.standard_normal((self.n_samples, 4))
        score = X[:, 0] + X[:, 1] * X[:, 2] + 0.7 * stream.standard_normal(self.n_samples)
        return X, np.where(score > 0, 1, -1)

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the comparison and write ``identity.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            Fewer rounds and a coarser figure.

        Returns
        -------
        Result
            How many members differ, the largest gaps of weights and scores, for both losses.
        """
        if self.n_samples < 20 or self.rounds < 2:
            raise InputError(f"The demonstration needs n_samples >= 20 and rounds >= 2; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        rounds = max(2, self.rounds // 3) if quick else self.rounds
        X, y = self.data(seed)
        boosted = AdaBoostClassifier(LeastErrorStump(), n_estimators=rounds).fit(X, y)
        f = np.array(list(boosted.staged_decision_function(X)))
        numbers: dict[str, float] = {"rounds": float(len(boosted.estimators_))}
        alphas = {"AdaBoost": boosted.estimator_weights_}
        losses = {"AdaBoost": np.exp(-y * f).mean(axis=1)}
        for loss in LOSSES:
            stumps, own, scores = gradient_boosting(X, y, len(boosted.estimators_), loss)
            differ = [a != b.stump_ for a, b in zip(stumps, boosted.estimators_, strict=True)]
            numbers[f"{loss}: members that differ"] = float(np.sum(differ))
            numbers[f"{loss}: largest gap of weights"] = float(np.abs(own - boosted.estimator_weights_).max())
            numbers[f"{loss}: largest gap of scores"] = float(np.abs(scores - f).max())
            alphas[f"gradient boosting, {loss}"] = own
            losses[f"gradient boosting, {loss}"] = np.exp(-y * scores).mean(axis=1)
        figure = self._draw(folder / "identity.png", alphas, losses, 60 if quick else 120)  # any value: looks
        return Result(numbers, [figure], self._text(numbers))

    def _draw(self, path: Path, alphas: dict[str, np.ndarray], losses: dict[str, np.ndarray], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4.2), layout="constrained")  # any value: looks
        axes: Any = figure.subplots(1, 2)  # any value: looks
        styles = [("o", "#9ecae9", 7.0), (".", "#1b3a5c", 5.0), ("x", "#e45756", 5.0)]  # any value: looks
        for axis, curves, title in ((axes[0], alphas, "weight of each member"), (axes[1], losses, "mean exp(-y g)")):
            for (name, values), (marker, color, size) in zip(curves.items(), styles, strict=True):
                rounds = np.arange(1, len(values) + 1)  # any value: looks
                axis.plot(rounds, values, marker, color=color, markersize=size, label=name)
            axis.set_xlabel("round")
            axis.set_title(title)
        axes[0].legend(loc="best", fontsize=8)  # any value: looks
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        return (
            f"Over {numbers['rounds']:.0f} rounds AdaBoost and gradient boosting with the exponential loss differ in "
            f"{numbers['exponential: members that differ']:.0f} members; their weights agree to "
            f"{numbers['exponential: largest gap of weights']:.0e}, their scores to "
            f"{numbers['exponential: largest gap of scores']:.0e}. The line search knows nothing of ε and finds "
            "ln √((1 - ε) / ε).\n\n"
            f"With the logistic loss {numbers['logistic: members that differ']:.0f} members differ: the identity belongs to "
            "the exponential loss."
        )
