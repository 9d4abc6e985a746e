"""Multi-layer perceptrons for classification and regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from fivefold.engine.estimator import NeuralClassifier, NeuralRegressor
from fivefold.engine.schema import NetworkSchema
from fivefold.models.nn.perceptron import Perceptron


class MLPClassifier(NeuralClassifier):
    r"""A multi-layer perceptron that minimizes cross-entropy.

    .. math:: a^l = \sigma(W^l a^{l-1} + b^l), \quad p = \mathrm{softmax}(W^L a^{L-1} + b^L)

    Parameters
    ----------
    hidden_layer_sizes : sequence of int >= 1, default (100,)
        Width of each hidden layer; empty for a linear model.
    activation : {"relu", "tanh", "logistic", "identity", "leaky-relu", "gelu", "silu"}, default "relu"
    dropout : float in [0, 1), default 0
        Share of the hidden units that is left out in training.
    others
        As for :class:`~fivefold.engine.estimator.NeuralClassifier`.

    Attributes
    ----------
    classes_, module_, schema_, history_, n_iter_
        As for :class:`~fivefold.engine.estimator.NeuralClassifier`.

    Raises
    ------
    InputError
        For a width below 1, an unknown activation or a dropout outside [0, 1).

    Notes
    -----
    Rows of W are neurons and columns inputs; sources that lay samples in columns write W transposed.

    References
    ----------
    Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors". Spec: 05#mlp, 08#mlp.
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
        dropout: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout

    def build(self, schema: NetworkSchema) -> nn.Module:
        """Return the network."""
        return _build(self, schema)


class MLPRegressor(NeuralRegressor):
    r"""A multi-layer perceptron that minimizes squared error; the last layer is linear.

    .. math:: a^l = \sigma(W^l a^{l-1} + b^l), \quad \hat y = W^L a^{L-1} + b^L

    Parameters
    ----------
    hidden_layer_sizes, activation, dropout
        As for :class:`MLPClassifier`.
    others
        As for :class:`~fivefold.engine.estimator.NeuralRegressor`.

    Attributes
    ----------
    module_, schema_, history_, n_iter_, target_mean_, target_scale_
        As for :class:`~fivefold.engine.estimator.NeuralRegressor`.

    Raises
    ------
    InputError
        For a width below 1, an unknown activation or a dropout outside [0, 1).

    References
    ----------
    As for :class:`MLPClassifier`. Spec: 05#mlp, 08#mlp.
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
        dropout: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout

    def build(self, schema: NetworkSchema) -> nn.Module:
        """Return the network."""
        return _build(self, schema)


def _build(method: MLPClassifier | MLPRegressor, schema: NetworkSchema) -> nn.Module:
    sizes = (schema.n_features, *method.hidden_layer_sizes, schema.n_outputs)
    return Perceptron(sizes, method.activation, method.dropout)
