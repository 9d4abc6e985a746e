"""Maximum likelihood: the mean log-probability of what was seen, as a loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fivefold.base.errors import DataError

from ._common import check_class_weight, check_classes, check_reduction, checking, reduce, wide


class NegativeLogLikelihoodLoss(nn.Module):
    r"""Minus the log-likelihood of class indices under log-probabilities.

    .. math:: L = -\frac{1}{N} \sum_{i=1}^N \ln q(y_i \mid x_i)

    Parameters
    ----------
    weight : sequence of k floats >= 0, optional
        Weights of the classes.
    ignore_index : int, default -100
        Rows with this target count nothing.
    reduction : "mean" (default), "sum" or "none"
        The mean is over the weights of the classes and rows, as in PyTorch; over no rows it is 0.

    Shapes
    ------
    input : log-probabilities (n, k, ...), for example of ``log_softmax``; target : class indices (n, ...);
    sample_weight : (n, ...); output : scalar, or (n, ...) with ``reduction="none"``

    Raises
    ------
    DataError
        When shapes do not fit, a class is out of range, there is not one weight for each class, or an input is above 0 and so
        no log-probability.

    Notes
    -----
    With p the shares of the classes in the data, :math:`L = H(p, q) = H(p) + \mathrm{KL}(p \Vert q)`: maximum likelihood, least
    cross-entropy and least divergence *from the data to the model* are one problem, whose values differ by the entropy of the
    data. One source labels that divergence KL(q‖p) and leaves a logarithm out of its sum. For other models than classes use
    :func:`negative_log_likelihood`.

    References
    ----------
    Spec ``01#log-likelihood``, ``08#mle``, ``06#mle-equals-kl``.
    """

    def __init__(
        self,
        weight: Sequence[float] | Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("weight", check_class_weight(weight))
        self.ignore_index = int(ignore_index)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of log-probabilities (n, k, ...) and class indices (n, ...)."""
        name = type(self).__name__
        check_classes(name, input, target, self.ignore_index)
        x = wide(input)
        if checking() and bool((x > 0).any()):
            raise DataError(f"{name} needs log-probabilities, which are <= 0; give it the log_softmax of logits.")
        kept = target != self.ignore_index
        index = (target * kept).long()
        values = torch.where(kept, -x.gather(1, index.unsqueeze(1)).squeeze(1), 0)
        total = kept.to(x.dtype)
        weight: Tensor | None = self.weight
        if weight is not None:
            if len(weight) != x.shape[1]:
                raise DataError(f"weight has {len(weight)} entries, but the input has {x.shape[1]} classes.")
            total = total * weight.to(x.dtype)[index]
            values = torch.where(total > 0, values, torch.zeros_like(values)) * total
        return reduce(name, values, self.reduction, input.dtype, sample_weight, total)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"reduction={self.reduction!r}"


def negative_log_likelihood(distribution: torch.distributions.Distribution, values: Tensor) -> Tensor:
    r"""Return minus the mean log-density of values under a distribution.

    .. math:: L(\theta) = -\frac{1}{N} \sum_i \ln q(x_i; \theta)

    Parameters
    ----------
    distribution : torch distribution
        Differentiable in its parameters.
    values : tensor of shape (n, *batch_shape, *event_shape), n >= 1

    Returns
    -------
    scalar tensor

    Raises
    ------
    DataError
        When there are no values.

    References
    ----------
    Spec ``08#mle``.
    """
    if not values.numel():
        raise DataError("negative_log_likelihood needs at least one value.")
    return -distribution.log_prob(values).reshape(len(values), -1).sum(1).mean()
