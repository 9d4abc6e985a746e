"""A classifier and an embedding trained together, and a penalty on the weights of the features that a batch holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputTypeError

from ._common import checking, wide
from .cross_entropy import CrossEntropyLoss
from .embedding import TripletLoss


class JointEmbeddingClassificationLoss(nn.Module):
    r"""Cross-entropy of a softmax layer plus a loss of the embedding below it.

    .. math:: L = L_{class}(z, y) + \lambda L_{embedding}(f, y)

    Parameters
    ----------
    weight : float >= 0, default 1.0
        λ; 0 is the classifier alone.
    embedding, classification : modules, optional
        Called as ``loss(input, target)``; default :class:`TripletLoss` and :class:`CrossEntropyLoss`.
    class_weight : float >= 0, default 1.0
        Factor of the classifier's loss; 0 is the embedding alone.

    Shapes
    ------
    embeddings : (n, d); logits : (n, k); target : class indices (n,); output : scalar

    Raises
    ------
    InputError
        When a weight is negative.
    InputTypeError
        When a loss is no module.

    Notes
    -----
    With :class:`ContrastiveLoss` it is DeepID2's identification and verification, with :class:`CenterLoss` the loss of Wen
    et al. 2016.

    References
    ----------
    Spec ``01#hierarchical-multi-loss``, ``01#deepid2-loss``.
    """

    def __init__(
        self,
        weight: float = 1.0,
        embedding: nn.Module | None = None,
        classification: nn.Module | None = None,
        class_weight: float = 1.0,
    ) -> None:
        super().__init__()
        for name, loss in (("embedding", embedding), ("classification", classification)):
            if loss is not None and not isinstance(loss, nn.Module):
                raise InputTypeError(f"{name} must be a loss module, got {type(loss).__name__}.")
        self.weight = check_number("weight", weight, 0)
        self.class_weight = check_number("class_weight", class_weight, 0)
        self.embedding = TripletLoss() if embedding is None else embedding
        self.classification = CrossEntropyLoss() if classification is None else classification

    def forward(self, embeddings: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        """Return the joint loss of embeddings (n, d) and logits (n, k) with class indices (n,)."""
        together: Tensor = self.class_weight * self.classification(logits, target)
        return together + self.weight * self.embedding(embeddings, target)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"weight={self.weight:g}, class_weight={self.class_weight:g}"


class MinibatchAwareRegularizer(nn.Module):
    r"""L2 penalty on the weights of the features that occur in a batch, heavier for rarer ones.

    .. math:: \Omega_B = \frac{\lambda}{2} \sum_j \frac{I_j}{n_j} \lVert w_j \rVert^2

    with :math:`I_j = 1` when some row of the batch has feature j, and :math:`n_j` the number of training rows that have it.

    Parameters
    ----------
    counts : tensor of shape (J,)
        :math:`n_j`, >= 0.
    strength : float >= 0, default 1e-4
        λ.

    Shapes
    ------
    weight : (J, d) or (J,), for example of an embedding; features : indices of the batch's features, any shape, repeats
    count once; output : scalar

    Raises
    ------
    InputError
        When the strength is negative.
    DataError
        When counts are no vector of numbers >= 0, shapes differ, or a feature of the batch has the count 0.

    Notes
    -----
    The gradient of a feature is λ w / n; a source prints that gradient as the penalty itself. It also says that the paper
    penalizes the L1 norm, but equations 4 to 6 there have the squared L2 norm. Cost grows with the features of the batch only.

    References
    ----------
    Zhou et al. 2018, "Deep Interest Network"; spec ``01#minibatch-aware-reg``.
    """

    counts: Tensor

    def __init__(self, counts: Tensor, strength: float = 1e-4) -> None:
        super().__init__()
        self.strength = check_number("strength", strength, 0)
        values = torch.as_tensor(counts, dtype=torch.float64)
        if values.ndim != 1 or not bool((values >= 0).all()):
            raise DataError("counts must be a vector of the number of training rows that have each feature, >= 0.")
        self.register_buffer("counts", values)

    def forward(self, weight: Tensor, features: Tensor) -> Tensor:
        """Return the penalty of the weights (J, d) or (J,) of the features of a batch."""
        if len(weight) != len(self.counts) or weight.ndim not in (1, 2):
            raise DataError(f"There are {len(self.counts)} counts, but the weight has the shape {tuple(weight.shape)}.")
        active = torch.unique(features)
        if checking() and len(active) and not 0 <= int(active[0]) <= int(active[-1]) < len(weight):
            raise DataError(f"Features must be indices from 0 to {len(weight) - 1}.")
        rows = wide(weight if weight.ndim == 2 else weight[:, None])[active]  # (features of the batch, d)
        counts = self.counts[active]
        if checking() and bool((counts == 0).any()):
            raise DataError(f"Feature {int(active[counts == 0][0])} is in the batch, but its count is 0.")
        return self.strength / 2 * (rows.square().sum(1) / counts.to(rows.dtype)).sum()

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"features={len(self.counts)}, strength={self.strength:g}"
