"""An auto-encoder as an anomaly detector: rows that it cannot rebuild are unlike those it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.checks import choice, whole
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import require_fitted
from fivefold.engine.estimator import PREDICTION_ROWS, NeuralEstimator
from fivefold.engine.schema import NetworkSchema

from ._common import Detector, finite_squares

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity}


class AutoencoderAnomalyDetector(Detector, NeuralEstimator):
    r"""Rows that an auto-encoder, trained on normal rows, rebuilds badly are anomalies.

    .. math:: \min_\theta \frac1n \sum_i \frac{\lVert u_i - g(h(u_i)) \rVert^2}{d}, \quad u = \frac{x - \bar x}{s}, \qquad
              \text{score}(x) = -s \lVert u - g(h(u)) \rVert

    Parameters
    ----------
    hidden : sequence of int >= 1, default (8, 4)
        Units of the layers of the encoder h; the last is the code. The decoder g mirrors it and ends in d linear units.
    activation : {"relu", "tanh", "identity"}, default "relu"
        Of every layer but the code and the output, which are linear. "identity" spans what PCA spans.
    contamination : float in [0, 0.5], default 0.1
        Share of training rows below the threshold ``offset_``.
    max_epochs : int >= 1, default 100
    batch_size : int >= 1, default 32
    learning_rate : float >= 0, default 1e-2
    others
        As for :class:`~fivefold.engine.NeuralRegressor`.

    Attributes
    ----------
    location_ : array (d,), the mean x̄ of the training rows
    scale_ : float, s, the root of their mean variance over the columns
    offset_ : float, the threshold
    module_, schema_, history_, n_iter_
        As for :class:`~fivefold.engine.NeuralRegressor`.

    Raises
    ------
    DataError
        Missing or infinite values, or fewer than two rows.
    InputError, SpecError
        A parameter outside its range.

    Notes
    -----
    One number scales all columns, so that the distance keeps its meaning: columns in unlike units should be scaled first.
    The score is the distance in the units of X. With activation="identity" and a code of k units the minimum is the distance
    to the plane of the k leading principal components. A network with too large a code rebuilds anomalies too.

    References
    ----------
    Hawkins et al., Outlier detection using replicator neural networks, 2002; ``06#autoencoder-anomaly``.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (8, 4),
        *,
        activation: str = "relu",
        contamination: float = 0.1,
        max_epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-2,
        **common: Any,
    ) -> None:
        super().__init__(max_epochs=max_epochs, batch_size=batch_size, learning_rate=learning_rate, **common)
        self.hidden = hidden
        self.activation = activation
        self.contamination = contamination

    def build(self, schema: NetworkSchema) -> nn.Module:
        """Return encoder and decoder: rows (batch, d) in, rebuilt rows (batch, d) out."""
        widths = [schema.n_features, *self._widths()]
        widths += widths[-2::-1]
        code = len(widths) // 2
        layers: list[nn.Module] = []
        for number, (ins, outs) in enumerate(pairwise(widths), start=1):
            layers.append(nn.Linear(ins, outs))
            if number not in (code, len(widths) - 1):
                layers.append(ACTIVATIONS[self.activation]())
        return nn.Sequential(*layers)

    def _widths(self) -> list[int]:
        if isinstance(self.hidden, str) or not isinstance(self.hidden, Sequence):
            raise InputTypeError(f"`hidden` is {self.hidden!r}; give a sequence of whole numbers >= 1, such as (8, 4).")
        if not self.hidden:
            raise InputError("`hidden` is empty; give the units of at least one layer, such as (8, 4).")
        return [whole("hidden", units, low=1) for units in self.hidden]

    def usual_objective(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the squared error, averaged over the columns, one number a row."""
        return lambda outputs, rows: (outputs - rows).square().mean(1)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on normal rows X (n, d); ``y`` is ignored."""
        self._check_settings()
        choice("activation", self.activation, tuple(ACTIVATIONS))
        self._widths()
        X = finite_squares(np.asarray(self._check_x(X, True, ensure_min_samples=2), dtype=np.float64))
        self.location_ = X.mean(axis=0)
        self.scale_ = float(np.sqrt(((X - self.location_) ** 2).mean()))
        if self.scale_ <= 4 * np.finfo(np.float64).eps * np.abs(X).max():
            raise DataError(
                f"All n_samples = {len(X)} rows of X are equal, so there is nothing to learn; give rows that vary."
            )
        rows = self._scaled(X)
        schema = NetworkSchema(rows.shape[1:], rows.shape[1], "regression", self._dtype_name())
        self._train(rows, rows, None, schema)
        self._set_offset(self._score(X))
        return self

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return ((X - self.location_) / self.scale_).astype(self._dtype_name())

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return the rows as the network rebuilds them: X (n, d) -> (n, d)."""
        require_fitted(self, "module_")
        return self._decoded(np.asarray(self._check_x(X, False), dtype=np.float64))

    def _decoded(self, X: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(self._scaled(X))
        with torch.no_grad():
            found = torch.cat([self.module_(chunk) for chunk in torch.split(rows, PREDICTION_ROWS)])
        return found.numpy().astype(np.float64) * self.scale_ + self.location_

    def _score(self, X: np.ndarray) -> np.ndarray:
        return -np.sqrt(((X - self._decoded(X)) ** 2).sum(axis=1))
