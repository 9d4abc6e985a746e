"""The objectives of logistic and softmax regression: mean cross-entropy plus half a squared norm of the weights.

Shapes: X (n, d), theta (d+1,) = (w, b) for two classes, (K, d+1) flattened for K; without an intercept d instead of d+1.
Each evaluation reads X once, in blocks; products of a block with the weights and with the residual share the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._blocks import dot, row_blocks, scaled_gram
from ._sparse_rows import Rows


def log1p_exp_neg(margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``log(1 + exp(-m))`` and ``1 / (1 + exp(m))`` without overflow for any m."""
    small = np.exp(-np.abs(margin))  # in (0, 1]
    above = 1.0 + small
    # log1p by way of log, corrected for the rounding of 1 + e; NumPy's log is vectorized, its log1p is not.
    loss = np.log(above) - ((above - 1.0) - small) / above
    loss -= np.minimum(margin, 0.0)
    right = margin >= 0  # any value: at zero both are one half
    return loss, np.where(right, small, 1.0) / above


class BinaryCrossEntropy:
    """``J(w, b) = Σ v_i log(1 + exp(-s_i (w·x_i + b))) / Σ v_i + (strength / 2) |w|²`` with labels s = ±1.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, d)
    sign : ndarray of shape (n,)
        +1 for the second class, -1 for the first.
    weight : ndarray of shape (n,) or None
        Row weights v.
    strength : float, >= 0
        Factor of the penalty; the intercept is not penalized.
    intercept : bool
        Whether theta ends with b.
    """

    def __init__(self, X: Any, sign: np.ndarray, weight: np.ndarray | None, strength: float, intercept: bool) -> None:
        self.X, self.sign, self.weight, self.strength, self.intercept = X, sign, weight, strength, intercept
        self.total = float(X.shape[0] if weight is None else weight.sum())
        self.wrong = np.empty(X.shape[0])  # probability of the other class, from the last evaluation
        self.rows = Rows(X) if sp.issparse(X) else None

    def _parts(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        return (theta[:-1], theta[-1]) if self.intercept else (theta, 0.0)

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J and ``(Σ v_i (p_i - y_i) x_i / Σ v + strength w, Σ v_i (p_i - y_i) / Σ v)``."""
        coef, bias = self._parts(theta)
        n, d = self.X.shape
        loss, slope = 0.0, 0.0
        gradient = np.zeros_like(theta)
        whole = self.rows is not None
        scores = self.rows.scores(coef) if self.rows is not None else None
        residuals = np.empty(n) if whole else None
        for rows in row_blocks(n, 1 if whole else d):  # any value: size of a block
            block = None if whole else self.X[rows].astype(np.float64, copy=False)  # (b, d)
            z = (scores[rows] if block is None else block @ coef) + bias
            part, wrong = log1p_exp_neg(self.sign[rows] * z)
            self.wrong[rows] = wrong
            residual = -self.sign[rows] * wrong  # p - y
            if self.weight is None:
                loss += part.sum()
            else:
                loss += dot(self.weight[rows], part)
                residual *= self.weight[rows]
            slope += residual.sum()
            if block is None:
                residuals[rows] = residual
            else:
                gradient[:d] += residual @ block
        if self.rows is not None:
            gradient[:d] = self.rows.sums(residuals)
        gradient /= self.total
        gradient[:d] += self.strength * coef
        if self.intercept:
            gradient[d] = slope / self.total
        return float(loss / self.total + 0.5 * self.strength * dot(coef, coef)), gradient

    def _curvature(self) -> np.ndarray:
        h = self.wrong * (1.0 - self.wrong) / self.total
        return h if self.weight is None else h * self.weight

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return ``Σ v_i p_i (1 - p_i) x̃_i x̃_i' / Σ v + strength I`` (the intercept's diagonal entry without strength)."""
        out = scaled_gram(self.X, self._curvature(), self.intercept)
        d = self.X.shape[1]
        out[np.arange(d), np.arange(d)] += self.strength
        return out

    def hessian_vector(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return ``v -> H v``."""
        h = self._curvature()

        def product(vector: np.ndarray) -> np.ndarray:
            coef, bias = self._parts(vector)
            out = np.empty_like(vector)
            if self.rows is not None:
                scores, sums = self.rows.bend(h, coef, bias)
                image = h * scores  # (n,)
            else:
                image = h * (self.X @ coef + bias)  # (n,)
                sums = self.X.T @ image
            out[: len(coef)] = sums + self.strength * coef
            if self.intercept:
                out[-1] = image.sum()
            return out

        return product

    def hessian_diagonal(self, theta: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian."""
        h = self._curvature()
        squares = np.einsum("ij,ij,i->j", self.X, self.X, h) if self.rows is None else self.rows.squares(h)
        diagonal = squares + self.strength
        return np.append(diagonal, h.sum()) if self.intercept else diagonal


class SoftmaxCrossEntropy:
    """``J(W, b) = -Σ v_i log q_{y_i}(x_i) / Σ v_i + (strength / 2) |W|²`` with ``q = softmax(W x + b)``.

    The softmax does not change when one vector is added to all rows of W. Where no penalty fixes that freedom, the Hessian
    gets curvature along it: the gradient has no part there, so the steps stay what they are.
    """

    def __init__(
        self,
        X: Any,
        codes: np.ndarray,
        n_classes: int,
        weight: np.ndarray | None,
        strength: float,
        intercept: bool,
    ) -> None:
        self.X, self.codes, self.n_classes, self.weight = X, codes, n_classes, weight
        self.strength, self.intercept = strength, intercept
        self.total = float(X.shape[0] if weight is None else weight.sum())
        self.probability = np.empty((X.shape[0], n_classes))  # from the last evaluation

    def _parts(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix = theta.reshape(self.n_classes, self.X.shape[1] + self.intercept)
        return (matrix[:, :-1], matrix[:, -1]) if self.intercept else (matrix, np.zeros(self.n_classes))

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J and, a row a class, ``Σ v_i (q_ik - [y_i = k]) x_i / Σ v + strength w_k`` with the same sum for b."""
        coef, bias = self._parts(theta)  # (K, d), (K,)
        n, d = self.X.shape
        loss = 0.0
        gradient = np.zeros((self.n_classes, d + self.intercept))
        for rows in row_blocks(n, d + self.n_classes):  # any value: size of a block
            block = self.X[rows] if sp.issparse(self.X) else self.X[rows].astype(np.float64, copy=False)
            z = np.asarray(block @ coef.T + bias)  # (b, K)
            z -= z.max(axis=1, keepdims=True)
            picked = z[np.arange(len(z)), self.codes[rows]]
            np.exp(z, out=z)
            total = z.sum(axis=1)
            z /= total[:, None]
            self.probability[rows] = z
            part = np.log(total) - picked
            z[np.arange(len(z)), self.codes[rows]] -= 1.0  # q - onehot
            if self.weight is None:
                loss += part.sum()
            else:
                loss += self.weight[rows] @ part
                z *= self.weight[rows, None]
            gradient[:, :d] += (block.T @ z).T
            if self.intercept:
                gradient[:, d] += z.sum(axis=0)
        gradient /= self.total
        gradient[:, :d] += self.strength * coef
        return float(loss / self.total + 0.5 * self.strength * np.vdot(coef, coef)), gradient.ravel()

    def _weights(self) -> np.ndarray:
        weight = np.ones(self.X.shape[0]) if self.weight is None else self.weight
        return weight / self.total

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the matrix of blocks ``Σ v_i q_k ([k = l] - q_l) x̃ x̃' / Σ v``, penalty and gauge included."""
        n, d = self.X.shape
        k, p = self.n_classes, d + self.intercept
        v = self._weights()
        out = np.zeros((k * p, k * p))
        for rows in row_blocks(n, k * p):
            block = self.X[rows].toarray() if sp.issparse(self.X) else self.X[rows]
            block = np.hstack([block, np.ones((len(block), 1))]) if self.intercept else block
            q = self.probability[rows]
            outer = (q[:, :, None] * block[:, None, :]).reshape(len(block), k * p) * np.sqrt(v[rows, None])
            out -= outer.T @ outer
        blocks = out.reshape(k, p, k, p)
        for c in range(k):
            blocks[c, :, c, :] += scaled_gram(self.X, v * self.probability[:, c], self.intercept)
        weights = np.arange(k * p).reshape(k, p)
        penalized = weights[:, :d].ravel()
        out[penalized, penalized] += self.strength
        free = range(d, p) if self.strength > 0 else range(p)  # any value: the gradient has no part there
        for j in free:
            column = weights[:, j]
            out[np.ix_(column, column)] += np.diagonal(out)[column].mean() / k  # any value: any curvature fixes it
        return out

    def hessian_vector(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return ``V -> H V``."""
        v = self._weights()[:, None]
        q = self.probability

        def product(vector: np.ndarray) -> np.ndarray:
            coef, bias = self._parts(vector)
            s = self.X @ coef.T + bias  # (n, K)
            image = v * q * (s - (q * s).sum(axis=1, keepdims=True))
            out = np.empty((self.n_classes, coef.shape[1] + self.intercept))
            out[:, : coef.shape[1]] = (self.X.T @ image).T + self.strength * coef
            if self.intercept:
                out[:, -1] = image.sum(axis=0)
            return out.ravel()

        return product

    def hessian_diagonal(self, theta: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian."""
        h = self._weights()[:, None] * self.probability * (1.0 - self.probability)  # (n, K)
        squares = self.X.multiply(self.X) if sp.issparse(self.X) else np.square(self.X, dtype=np.float64)
        diagonal = np.empty((self.n_classes, self.X.shape[1] + self.intercept))
        diagonal[:, : self.X.shape[1]] = (squares.T @ h).T + self.strength
        if self.intercept:
            diagonal[:, -1] = h.sum(axis=0)
        return diagonal.ravel()
