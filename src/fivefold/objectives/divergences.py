"""Divergences between distributions as losses: Kullback-Leibler, Jensen-Shannon, f-divergences, Bregman's, Gaussian."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError

from ._common import (
    check_classes,
    check_float,
    check_logits,
    check_reduction,
    check_same,
    checking,
    reduce,
    root,
    sum_slack,
    wide,
)


def _xlogy(x: Tensor, logy: Tensor) -> Tensor:
    """Return x · logy with 0 · (-inf) = 0, also in the gradient."""
    return x * torch.where(x > 0, logy, torch.zeros_like(logy))


def _log(p: Tensor) -> Tensor:
    return torch.where(p > 0, p, torch.ones_like(p)).log().where(p > 0, -torch.inf)


class _DivergenceLoss(nn.Module):
    """A divergence of the softmax q of logits from target distributions p; a class index is the distribution on it."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the divergence of logits (n, k) and distributions (n, k) or class indices (n,)."""
        name = type(self).__name__
        check_float(name, input)
        x = wide(input)
        if target.shape == input.shape and target.is_floating_point():
            p = target.to(x.dtype)
            if x.ndim < 2:
                raise DataError(
                    f"{name} needs distributions over the classes in dimension 1, got shape {tuple(x.shape)}."
                )
            if checking() and not bool(((p >= 0).all(1) & ((p.sum(1) - 1).abs() <= sum_slack(target))).all()):
                raise DataError(f"{name} needs target distributions >= 0 that sum to 1 over the classes.")
        else:
            check_classes(name, input, target)
            p = torch.zeros_like(x).scatter(1, target.long().unsqueeze(1), 1.0)
        check_logits(name, input)
        values = self._values(p, torch.log_softmax(x, dim=1))
        return reduce(name, values, self.reduction, input.dtype, sample_weight)

    def _values(self, p: Tensor, logq: Tensor) -> Tensor:
        """Return (n, ...) from p and ln q (n, k, ...)."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"reduction={self.reduction!r}"


class KLDivergenceLoss(_DivergenceLoss):
    r"""Kullback-Leibler divergence between target distributions p and the softmax q of logits.

    .. math:: \mathrm{KL}(p \Vert q) = \sum_j p_j \ln \frac{p_j}{q_j} = H(p, q) - H(p)

    Parameters
    ----------
    direction : "forward" (default) or "reverse"
        "reverse" is :math:`\mathrm{KL}(q \Vert p)`, infinite where p is 0.
    reduction : "mean" (default), "sum" or "none"
        Over rows: the mean is PyTorch's "batchmean". Over no rows it is 0.

    Shapes
    ------
    input : logits (n, k, ...); target : distributions (n, k, ...), or class indices (n, ...); sample_weight : (n, ...);
    output : scalar, or (n, ...) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is unknown.
    DataError
        When shapes do not fit, a target is no distribution, or probabilities come where logits are wanted.

    Notes
    -----
    Non-negative and asymmetric; model parameters belong into q. Some sources write the sum without the minus sign of the
    cross-entropy: KL is cross-entropy minus entropy.

    References
    ----------
    Spec ``01#kl-divergence``, ``06#kl-divergence``, ``08#entropy-kl-js-bregman``, ``08#mle``.
    """

    def __init__(self, direction: str = "forward", reduction: str = "mean") -> None:
        super().__init__(reduction)
        if direction not in ("forward", "reverse"):
            raise InputError(f"direction must be 'forward' or 'reverse', got {direction!r}.")
        self.direction = direction

    def _values(self, p: Tensor, logq: Tensor) -> Tensor:
        if self.direction == "forward":
            return _xlogy(p, _log(p) - logq).sum(1)
        return _xlogy(logq.exp(), logq - _log(p)).sum(1)


class JensenShannonLoss(_DivergenceLoss):
    r"""Jensen-Shannon divergence: symmetric, between 0 and ln 2.

    .. math:: \mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p \Vert m) + \tfrac12 \mathrm{KL}(q \Vert m), \quad m = (p + q) / 2

    Parameters
    ----------
    reduction : "mean" (default), "sum" or "none"
        As in :class:`KLDivergenceLoss`, also shapes and errors.

    References
    ----------
    Lin 1991, "Divergence Measures Based on the Shannon Entropy"; spec ``08#entropy-kl-js-bregman``.
    """

    def _values(self, p: Tensor, logq: Tensor) -> Tensor:
        q = logq.exp()
        logm = _log((p + q) / 2)
        return 0.5 * (_xlogy(p, _log(p) - logm) + _xlogy(q, logq - logm)).sum(1)


class FDivergenceLoss(_DivergenceLoss):
    r"""f-divergence of target distributions p from the softmax q of logits.

    .. math:: D_f(p \Vert q) = \sum_j q_j\, f(p_j / q_j)

    Parameters
    ----------
    f : str or callable, default "kl"
        "kl" (t ln t), "reverse-kl" (-ln t), "hellinger" ((√t - 1)²: the squared Hellinger distance), "total-variation"
        (|t - 1| / 2), "pearson" ((t - 1)²); or a convex function of tensors with f(1) = 0.
    reduction : "mean" (default), "sum" or "none"
        As in :class:`KLDivergenceLoss`, also shapes and errors.

    Notes
    -----
    The named ones are summed in closed form, so p = 0 and tiny q give their limits; "reverse-kl" is infinite where p is 0.
    2 (1 - √t) gives the same distance as (√t - 1)², because both sum to 2 - 2 Σ √(pq).

    References
    ----------
    Csiszár 1967; spec ``08#f-divergences``.
    """

    def __init__(self, f: str | Callable[[Tensor], Tensor] = "kl", reduction: str = "mean") -> None:
        super().__init__(reduction)
        if not callable(f) and f not in _CLOSED:
            raise InputError(f"f must be one of {', '.join(_CLOSED)} or a function, got {f!r}.")
        if callable(f) and not abs(float(f(torch.ones(1, dtype=torch.float64)))) < 1e-9:
            raise InputError("f must be 0 at 1, so that equal distributions have divergence 0.")
        self.f = f

    def _values(self, p: Tensor, logq: Tensor) -> Tensor:
        if not isinstance(self.f, str):
            q = logq.exp()
            return (q * self.f(p / q)).sum(1)
        return _CLOSED[self.f](p, logq).sum(1)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"f={self.f!r}, reduction={self.reduction!r}"


def _hellinger(p: Tensor, logq: Tensor) -> Tensor:
    return (root(p) - (0.5 * logq).exp()) ** 2


_CLOSED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": lambda p, logq: _xlogy(p, _log(p) - logq),
    "reverse-kl": lambda p, logq: _xlogy(logq.exp(), logq - _log(p)),
    "hellinger": _hellinger,
    "total-variation": lambda p, logq: 0.5 * (p - logq.exp()).abs(),
    "pearson": lambda p, logq: torch.where(p > 0, p * p * (-torch.where(p > 0, logq, 0)).exp(), 0) - 2 * p + logq.exp(),
}


class BregmanLoss(nn.Module):
    r"""Bregman divergence of targets y from predictions x: how far F lies above its tangent at x.

    .. math:: D_F(y, x) = F(y) - F(x) - \langle \nabla F(x), y - x \rangle

    Parameters
    ----------
    generator : str, default "squared"
        Of each entry: "squared" (F = t²: squared error), "entropy" (F = t ln t: generalized KL, targets >= 0, predictions > 0),
        "itakura-saito" (F = -ln t, both > 0), "logistic" (F = t ln t + (1 - t) ln(1 - t): binary KL, targets in [0, 1],
        predictions in (0, 1)).
    reduction : "mean" (default), "sum" or "none"
        Over entries, or weighted by the sample weights. Over no entries the mean is 0.

    Shapes
    ------
    input (predictions x), target (y), sample_weight : one shape; output : scalar, or the shape with ``reduction="none"``

    Raises
    ------
    InputError
        When the generator is unknown.
    DataError
        When shapes differ or values lie outside the domain of F.

    Notes
    -----
    Non-negative, 0 only at x = y, convex in y. Whatever F, the constant prediction of least total divergence is the mean of
    the targets. Taken on distributions themselves, F = (1 - t)² gives squared error and (t ln t - (t + 1) ln(t + 1)) no
    Jensen-Shannon divergence, as a source has it: that holds for Bregman divergences between density *ratios*.

    References
    ----------
    Bregman 1967; Banerjee et al. 2005; spec ``08#entropy-kl-js-bregman``.
    """

    def __init__(self, generator: str = "squared", reduction: str = "mean") -> None:
        super().__init__()
        if generator not in _BREGMAN:
            raise InputError(f"generator must be one of {', '.join(_BREGMAN)}, got {generator!r}.")
        self.generator = generator
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the divergence of targets from predictions of one shape."""
        check_same("BregmanLoss", input, target)
        x = wide(input)
        y = target.to(x.dtype)
        low_open, high, function = _BREGMAN[self.generator]
        if checking() and self.generator != "squared":
            fits = bool(((x > 0) & (x < high)).all()) and bool(((y > 0) if low_open else (y >= 0)).all())
            if not fits or not bool((y <= high).all()):
                raise DataError(
                    f"The generator {self.generator!r} needs predictions in (0, {high:g}) and targets in "
                    f"{'(' if low_open else '['}0, {high:g}{']' if high < torch.inf else ')'}; some lie outside."
                )
        return reduce("BregmanLoss", function(y, x), self.reduction, input.dtype, sample_weight)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"generator={self.generator!r}, reduction={self.reduction!r}"


_BREGMAN: dict[str, tuple[bool, float, Callable[[Tensor, Tensor], Tensor]]] = {
    "squared": (False, torch.inf, lambda y, x: (y - x) ** 2),
    "entropy": (False, torch.inf, lambda y, x: _xlogy(y, _log(y) - x.log()) - y + x),
    "itakura-saito": (True, torch.inf, lambda y, x: y / x - (y.log() - x.log()) - 1),
    "logistic": (
        False,
        1.0,
        lambda y, x: _xlogy(y, _log(y) - x.log()) + _xlogy(1 - y, _log(1 - y) - torch.log1p(-x)),
    ),
}


class GaussianKLLoss(nn.Module):
    r"""KL divergence of a diagonal Gaussian from the standard normal, in closed form.

    .. math:: \mathrm{KL}(N(\mu, \sigma^2) \Vert N(0, 1)) = \tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - 1 - \ln \sigma_j^2)

    Parameters
    ----------
    free_bits : float >= 0, default 0.0
        Least divergence of each dimension that is counted, in nats; below it a dimension has no gradient.
    reduction : "mean" (default), "sum" or "none"
        Over rows; dimensions are summed always. Over no rows the mean is 0.

    Shapes
    ------
    input : means (n, d) ; target : log-variances ln σ² (n, d); output : scalar, or (n,) with ``reduction="none"``

    Raises
    ------
    InputError
        When free_bits is negative.
    DataError
        When shapes differ or are not (n, d).

    References
    ----------
    Kingma & Welling 2014, appendix B; spec ``08#gaussian-kl-closed-form``.
    """

    def __init__(self, free_bits: float = 0.0, reduction: str = "mean") -> None:
        super().__init__()
        self.free_bits = check_number("free_bits", free_bits, 0)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the divergence of means and log-variances (n, d)."""
        check_same("GaussianKLLoss", input, target)
        if input.ndim != 2:
            raise DataError(f"GaussianKLLoss needs means and log-variances (n, d), got shape {tuple(input.shape)}.")
        mean, log_variance = wide(input), wide(target)
        # expm1(v) - v keeps its digits where σ² is near 1.
        each = 0.5 * (mean * mean + torch.expm1(log_variance) - log_variance)
        if self.free_bits:
            each = each.clamp(min=self.free_bits)
        return reduce("GaussianKLLoss", each.sum(1), self.reduction, input.dtype, sample_weight)

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"free_bits={self.free_bits:g}, reduction={self.reduction!r}"
