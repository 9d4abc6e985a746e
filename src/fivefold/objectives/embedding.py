"""Losses of embeddings within a batch: triplets and their mining, pairs, centers, and a classifier joined to them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError, InputTypeError

from ._common import check_float, check_reduction, checking, reduce, root, wide


def _check(name: str, input: Tensor, target: Tensor) -> None:
    check_float(name, input)
    if input.ndim != 2 or target.shape != input.shape[:1]:
        raise DataError(
            f"{name} needs embeddings (n, d) and one label for each, (n,); got shapes {tuple(input.shape)} and "
            f"{tuple(target.shape)}."
        )
    if target.is_floating_point():
        raise InputTypeError(f"{name} needs labels of an integer type, got {target.dtype}; use target.long().")


def squared_distances(x: Tensor) -> Tensor:
    r"""Return :math:`\lVert x_i - x_j \rVert^2` of rows (n, d) as (n, n), from differences: exact also for near rows."""
    return (x[:, None] - x[None]).square().sum(2)


def mine_triplets(distances: Tensor, target: Tensor, margin: float, kind: str = "all") -> tuple[Tensor, Tensor, Tensor]:
    r"""Return the triplets of a batch of one class, as rows of anchors, positives and negatives.

    .. math:: \text{easy: } d_{AP} + m < d_{AN}, \quad \text{semi-hard: } d_{AP} < d_{AN} \le d_{AP} + m, \quad
        \text{hard: } d_{AN} \le d_{AP}

    Parameters
    ----------
    distances : tensor of shape (n, n)
    target : integer tensor of shape (n,)
    margin : float >= 0
    kind : "all" (default), "easy", "semi-hard", "hard", or "batch-hard"
        "batch-hard" takes for each anchor its farthest positive and nearest negative (Hermans et al. 2017).

    Returns
    -------
    anchors, positives, negatives : int64 tensors of shape (t,)

    Raises
    ------
    InputError
        When kind is unknown or margin negative.
    DataError
        When shapes do not fit.

    References
    ----------
    Schroff et al. 2015; Hermans et al. 2017, "In Defense of the Triplet Loss"; spec ``01#triplet-mining``.
    """
    check_number("margin", margin, 0)
    if kind not in _KINDS:
        raise InputError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}.")
    n = len(target)
    if distances.shape != (n, n) or target.ndim != 1:
        raise DataError(
            f"mine_triplets needs distances (n, n) and labels (n,); got {tuple(distances.shape)} and {tuple(target.shape)}."
        )
    distances = distances.detach()
    same = target[:, None] == target[None]
    other = ~same
    same = same & ~torch.eye(n, dtype=torch.bool, device=target.device)
    if kind == "batch-hard":
        anchors = torch.nonzero(same.any(1) & other.any(1)).squeeze(1)
        far = torch.where(same, distances, -torch.inf)[anchors]
        near = torch.where(other, distances, torch.inf)[anchors]
        if not n:
            return anchors, anchors, anchors
        return anchors, far.argmax(1), near.argmin(1)
    valid = same[:, :, None] & other[:, None, :]  # (anchor, positive, negative)
    gap = distances[:, None, :] - distances[:, :, None]  # d(A, N) - d(A, P)
    if kind == "easy":
        valid = valid & (gap > margin)
    elif kind == "semi-hard":
        valid = valid & (gap > 0) & (gap <= margin)
    elif kind == "hard":
        valid = valid & (gap <= 0)
    anchors, positives, negatives = torch.nonzero(valid, as_tuple=True)
    return anchors, positives, negatives


_KINDS = ("all", "easy", "semi-hard", "hard", "batch-hard")


class TripletMiner(nn.Module):
    """Finds triplets of a kind in a batch of embeddings; :func:`mine_triplets` on their distances.

    Parameters
    ----------
    margin : float >= 0, default 0.2
    kind : "all", "easy", "semi-hard" (default), "hard", or "batch-hard"
    squared : bool, default True
        Squared Euclidean distances.
    normalize : bool, default False
        Scale embeddings to length 1 first.

    Shapes
    ------
    input : (n, d); target : (n,); output : three int64 tensors (t,)
    """

    def __init__(
        self, margin: float = 0.2, kind: str = "semi-hard", squared: bool = True, normalize: bool = False
    ) -> None:
        super().__init__()
        self.margin = check_number("margin", margin, 0)
        if kind not in _KINDS:
            raise InputError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}.")
        self.kind, self.squared, self.normalize = kind, bool(squared), bool(normalize)

    @torch.no_grad()
    def forward(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return anchors, positives and negatives of embeddings (n, d) with labels (n,)."""
        _check("TripletMiner", input, target)
        x = wide(input)
        squares = squared_distances(nn.functional.normalize(x) if self.normalize else x)
        return mine_triplets(squares if self.squared else squares.sqrt(), target, self.margin, self.kind)


class TripletLoss(nn.Module):
    r"""Triplet loss: a positive shall be nearer to the anchor than a negative, by a margin.

    .. math:: L = \max(0, d(a, p) - d(a, n) + m)

    over the triplets of a batch with labels: for each row as anchor, the mean over its triplets.

    Parameters
    ----------
    margin : float >= 0, default 0.2
    squared : bool, default True
        Squared Euclidean distance, as in FaceNet; PyTorch's TripletMarginLoss is not squared.
    mining : "all" (default), "easy", "semi-hard", "hard", or "batch-hard"
        Which triplets count, see :func:`mine_triplets`.
    normalize : bool, default True
        Scale embeddings to length 1 first, as the paper does.
    reduction : "mean" (default), "sum" or "none"
        The mean is over the anchors; anchors without a triplet cost 0.

    Shapes
    ------
    input : embeddings (n, d); target : labels (n,) of an integer type; output : scalar, or (n,) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes do not fit.

    Notes
    -----
    :meth:`triplets` takes anchors, positives and negatives (t, d) as they are. A batch without a triplet costs 0.

    References
    ----------
    Schroff et al. 2015, "FaceNet"; spec ``01#triplet-loss``, ``02#triplet-loss``, ``07#triplet-loss``.
    """

    def __init__(
        self,
        margin: float = 0.2,
        squared: bool = True,
        mining: str = "all",
        normalize: bool = True,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.margin = check_number("margin", margin, 0)
        if mining not in _KINDS:
            raise InputError(f"mining must be one of {', '.join(_KINDS)}; got {mining!r}.")
        self.mining, self.squared, self.normalize = mining, bool(squared), bool(normalize)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of embeddings (n, d) with labels (n,)."""
        _check("TripletLoss", input, target)
        x = self._prepared(input)
        squares = squared_distances(x)
        distances = squares if self.squared else root(squares)
        a, p, n = mine_triplets(distances, target, self.margin, self.mining)
        each = (distances[a, p] - distances[a, n] + self.margin).clamp(min=0)
        zero = x.sum(1) * 0  # keeps the graph where there is no triplet
        count = torch.zeros_like(zero).index_add(0, a, torch.ones_like(each)).clamp(min=1)
        values = zero.index_add(0, a, each) / count
        return reduce("TripletLoss", values, self.reduction, input.dtype)

    def triplets(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of given triplets, each tensor of shape (t, d)."""
        if not anchor.shape == positive.shape == negative.shape or anchor.ndim != 2:
            raise DataError(
                "triplets needs anchors, positives and negatives of one shape (t, d); got "
                f"{tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}."
            )
        a, p, n = self._prepared(anchor), self._prepared(positive), self._prepared(negative)
        near, far = (a - p).square().sum(1), (a - n).square().sum(1)
        if not self.squared:
            near, far = root(near), root(far)
        return reduce("TripletLoss", (near - far + self.margin).clamp(min=0), self.reduction, anchor.dtype)

    def _prepared(self, input: Tensor) -> Tensor:
        x = wide(input)
        return nn.functional.normalize(x) if self.normalize else x

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"margin={self.margin:g}, squared={self.squared}, mining={self.mining!r}, reduction={self.reduction!r}"


class ContrastiveLoss(nn.Module):
    r"""Verification loss of pairs: equal labels are drawn together, others pushed beyond a margin.

    .. math:: L_{ij} = \tfrac12 \lVert f_i - f_j \rVert^2 \;(y_i = y_j), \quad
        \tfrac12 \max(0, m - \lVert f_i - f_j \rVert)^2 \;(y_i \ne y_j)

    over all pairs of a batch: for each row, the mean over its n - 1 partners.

    Parameters
    ----------
    margin : float > 0, default 1.0
    reduction : "mean" (default), "sum" or "none"
        Over rows; the mean is the mean over all pairs.

    Shapes
    ------
    input : embeddings (n, d); target : labels (n,) of an integer type; output : scalar, or (n,) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes do not fit.

    Notes
    -----
    :meth:`pairs` takes the two sides of given pairs. DeepID2 adds it, times λ, to the cross-entropy of a classifier; see
    ``joint-embedding-classification-loss``. Two equal embeddings of different labels have no direction to part in: slope 0.

    References
    ----------
    Sun et al. 2014, "Deep Learning Face Representation by Joint Identification-Verification"; spec ``01#deepid2-loss``.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.margin = check_number("margin", margin, 0, above=True)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of embeddings (n, d) with labels (n,)."""
        _check("ContrastiveLoss", input, target)
        x = wide(input)
        values = self._values(squared_distances(x), target[:, None] == target[None])
        # The diagonal is a pair of a row with itself and costs exactly 0.
        return reduce("ContrastiveLoss", values.sum(1) / max(len(x) - 1, 1), self.reduction, input.dtype)

    def pairs(self, first: Tensor, second: Tensor, same: Tensor) -> Tensor:
        """Return the loss of pairs (t, d) and (t, d), where ``same`` (t,) tells whether their labels are equal."""
        if first.shape != second.shape or first.ndim != 2 or same.shape != first.shape[:1]:
            raise DataError(
                f"pairs needs two sides (t, d) and a truth value for each pair (t,); got {tuple(first.shape)}, "
                f"{tuple(second.shape)} and {tuple(same.shape)}."
            )
        squares = (wide(first) - wide(second)).square().sum(1)
        return reduce("ContrastiveLoss", self._values(squares, same.bool()), self.reduction, first.dtype)

    def _values(self, squares: Tensor, same: Tensor) -> Tensor:
        short = (self.margin - root(squares)).clamp(min=0)
        return 0.5 * torch.where(same, squares, short * short)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"margin={self.margin:g}, reduction={self.reduction!r}"


class CenterLoss(nn.Module):
    r"""Center loss: embeddings are drawn to the center of their class.

    .. math:: L_i = \tfrac12 \lVert f_i - c_{y_i} \rVert^2, \qquad
        c_j \leftarrow c_j - \alpha\, \overline{(c_j - f_i)}_{y_i = j}

    Parameters
    ----------
    n_classes, n_features : int >= 1, optional
        With them centers are kept over batches. Without them a center is the mean of its class in the batch.
    alpha : float in [0, 1], default 0.5
        Rate at which centers move; 1 sets them to the mean of the class in the batch.
    denominator : "count" (default) or "paper"
        Divide the sum of differences by the number of rows of the class, or by 1 + that number as the paper does.
    reduction : "mean" (default), "sum" or "none"

    Attributes
    ----------
    centers : tensor of shape (n_classes, n_features)
        Start at 0 and move after each batch in training mode with gradients enabled; part of ``state_dict``.

    Shapes
    ------
    input : embeddings (n, d); target : labels (n,) from 0; output : scalar, or (n,) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes do not fit or a label has no center.

    Notes
    -----
    The paper adds it, times λ / 2 over ½, to softmax cross-entropy; alone, all embeddings may collapse to one point.

    References
    ----------
    Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face Recognition"; spec ``01#center-loss``.
    """

    centers: Tensor | None

    def __init__(
        self,
        n_classes: int | None = None,
        n_features: int | None = None,
        alpha: float = 0.5,
        denominator: str = "count",
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if (n_classes is None) != (n_features is None) or min(n_classes or 1, n_features or 1) < 1:
            raise InputError(
                f"Give both n_classes and n_features, each >= 1, or neither; got {n_classes!r} and {n_features!r}."
            )
        if denominator not in ("count", "paper"):
            raise InputError(f"denominator must be 'count' or 'paper', got {denominator!r}.")
        self.alpha = check_number("alpha", alpha, 0, 1)
        self.denominator = denominator
        self.reduction = check_reduction(reduction)
        size = [n for n in (n_classes, n_features) if n is not None]
        self.register_buffer("centers", torch.zeros(size) if size else None)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of embeddings (n, d) with labels (n,); in training mode, move the centers."""
        _check("CenterLoss", input, target)
        x = wide(input)
        if self.centers is None:
            same = (target[:, None] == target[None]).to(x.dtype)
            center = same @ x / same.sum(1, keepdim=True)
        else:
            if x.shape[1] != self.centers.shape[1]:
                raise DataError(f"The centers have {self.centers.shape[1]} features, the embeddings {x.shape[1]}.")
            if checking() and len(x) and not 0 <= int(target.min()) <= int(target.max()) < len(self.centers):
                raise DataError(f"Labels must lie from 0 to {len(self.centers) - 1}, one for each center.")
            center = self.centers.to(x.dtype)[target]
        values = 0.5 * (x - center).square().sum(1)
        if self.centers is not None and self.training and torch.is_grad_enabled():
            self._move(x.detach(), target)
        return reduce("CenterLoss", values, self.reduction, input.dtype)

    def _move(self, x: Tensor, target: Tensor) -> None:
        if self.centers is None:
            return
        x = x.to(self.centers.dtype)
        count = torch.zeros_like(self.centers[:, 0]).index_add(0, target, torch.ones_like(x[:, 0]))
        pull = torch.zeros_like(self.centers).index_add(0, target, self.centers[target] - x)
        divisor = count + 1 if self.denominator == "paper" else count.clamp(min=1)
        # Not in place: the backward pass of a compiled loss may look the centers up again.
        self.centers = self.centers - self.alpha * pull / divisor[:, None]

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"alpha={self.alpha:g}, reduction={self.reduction!r}"
