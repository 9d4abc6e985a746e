"""Congenerous cosine loss: softmax over scaled cosines to the centroids of the classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError, InputTypeError

from ._common import check_classes, check_float, check_reduction, reduce, wide


def _unit(x: Tensor) -> Tensor:
    """Return rows of length 1; a vanishing row stays 0, with a finite slope."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    known = length > 1e-12  # any value: below the length of an embedding
    return x / torch.where(known, length, torch.ones_like(length))


class COCOLoss(nn.Module):
    r"""Congenerous cosine loss: an embedding is drawn to the centroid of its class and away from the others.

    .. math:: L = -\ln \frac{e^{\alpha \cos(f, c_y)}}{\sum_k e^{\alpha \cos(f, c_k)}}

    Parameters
    ----------
    n_features, n_classes : int, optional
        Size of the embedding and number of classes: centroids are learned, in :attr:`centroids`. Without them a centroid is the
        mean of its class in the batch, and the sum runs over the classes of the batch.
    scale : float > 0, default 16.0
        α; the cosines alone would bound the probability of the true class well below 1.
    reduction : "mean" (default), "sum" or "none"
        The mean is over rows, or weighted by sample weights; over no rows it is 0.

    Attributes
    ----------
    centroids : Parameter of shape (n_classes, n_features), or None
        Give it to the optimizer with those of the network. Only its directions matter.

    Shapes
    ------
    input : embeddings (n, d); target : class indices (n,); sample_weight : (n,); output : scalar, or (n,) with
    ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes do not fit or a class index is out of range.

    Notes
    -----
    With the best directions in enough dimensions, cosines 1 and -1/(K - 1), the loss cannot fall below
    :math:`\ln(1 + (K - 1) e^{-\alpha K / (K - 1)})`. Centroids of a batch take part in the gradient. A vanishing embedding has
    no angle: its cosines are 0.

    References
    ----------
    Liu, Li & Wang 2017, "Rethinking Feature Discrimination and Polymerization for Large-scale Recognition";
    spec ``01#coco-loss``.
    """

    def __init__(
        self,
        n_features: int | None = None,
        n_classes: int | None = None,
        scale: float = 16.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if (n_features is None) != (n_classes is None) or (n_features or 1) < 1 or (n_classes or 2) < 2:
            raise InputError(
                f"Give both n_features >= 1 and n_classes >= 2, or neither; got {n_features!r} and {n_classes!r}."
            )
        self.scale = check_number("scale", scale, 0, above=True)
        self.reduction = check_reduction(reduction)
        self.centroids: nn.Parameter | None = None
        size = [n for n in (n_classes, n_features) if n is not None]
        if size:
            self.centroids = nn.Parameter(torch.empty(size))
            nn.init.normal_(self.centroids)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of embeddings (n, d) with class indices (n,)."""
        check_float("COCOLoss", input)
        if input.ndim != 2 or target.shape != input.shape[:1]:
            raise DataError(
                f"COCOLoss needs embeddings (n, d) and class indices (n,), got shapes {tuple(input.shape)} and "
                f"{tuple(target.shape)}."
            )
        if target.is_floating_point() or target.dtype == torch.bool:
            raise InputTypeError(f"COCOLoss needs class indices of an integer type, got {target.dtype}.")
        x = wide(input)
        values = self._of_batch(x, target) if self.centroids is None else self._of_parameter(x, target)
        return reduce("COCOLoss", values, self.reduction, input.dtype, sample_weight)

    def _of_parameter(self, x: Tensor, target: Tensor) -> Tensor:
        centroids = self.centroids.to(x.dtype)  # type: ignore[union-attr]
        if x.shape[1] != centroids.shape[1]:
            raise DataError(f"COCOLoss needs embeddings (n, {centroids.shape[1]}), got shape {tuple(x.shape)}.")
        check_classes("COCOLoss", x[:, :1].expand(-1, len(centroids)), target)
        logits = self.scale * _unit(x) @ _unit(centroids).T  # (n, k)
        return torch.logsumexp(logits, dim=1) - logits.gather(1, target[:, None]).squeeze(1)

    def _of_batch(self, x: Tensor, target: Tensor) -> Tensor:
        same = (target[:, None] == target).to(x.dtype)  # (n, n)
        counts = same.sum(1)
        logits = self.scale * _unit(x) @ _unit(same @ x / counts[:, None]).T  # (n, n): a column for each row's centroid
        # Each class stands in as many columns as it has rows.
        return torch.logsumexp(logits - counts.log(), dim=1) - logits.diagonal()

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"scale={self.scale:g}, reduction={self.reduction!r}"
