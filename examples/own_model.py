"""A model of your own is one f(x): batches, loss, optimizer, random streams and scikit-learn's verbs are there already.

With a card (see CONTRIBUTING.md) it is found by name as well, and can be run, compared, saved and loaded.
"""

from __future__ import annotations

import torch
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import fivefold
from fivefold.engine.estimator import NetworkSchema, NeuralClassifier


class Products(nn.Module):
    """f(x) = C ((A x) * (B x)): scores from products of features."""

    def __init__(self, n_features: int, n_outputs: int, width: int = 32) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(n_features, width), nn.Linear(n_features, width)
        self.out = nn.Linear(width, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.left(x) * self.right(x))  # (rows, n_outputs)


class ProductsClassifier(NeuralClassifier):
    """A scikit-learn estimator around f(x); all parameters of NeuralClassifier are its own."""

    def build(self, schema: NetworkSchema) -> nn.Module:
        return Products(schema.n_features, schema.n_outputs)


def main(max_epochs: int = 60) -> float:
    """Return the mean accuracy over three folds of iris."""
    X, y = fivefold.load_dataset("iris").xy()
    model = ProductsClassifier(
        max_epochs=max_epochs, batch_size=25, optimizer="adam", learning_rate=1e-2, random_state=0
    )
    return float(cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean())


if __name__ == "__main__":
    print(f"accuracy over three folds: {main():.3f}")
