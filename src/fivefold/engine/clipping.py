"""Gradient clipping: by global norm, by the norm of each tensor, and by value; in place, without a host sync."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import Parameter

from fivefold.base.errors import InputError


def _gradients(parameters: Iterable[Parameter], threshold: float) -> list[Tensor]:
    if not threshold > 0:
        raise InputError(f"The clipping threshold must be greater than 0, got {threshold!r}.")
    return [p.grad for p in parameters if p.grad is not None]


@torch.no_grad()
def clip_norm_(parameters: Iterable[Parameter], threshold: float) -> Tensor:
    r"""Rescale all gradients together when their joint L2 norm exceeds the threshold.

    .. math:: g \leftarrow g \cdot \min(1, c / \lVert g \rVert_2), \quad g \text{ the concatenation of all gradients}

    Parameters
    ----------
    parameters : iterable of parameters
        Those without a gradient are passed over.
    threshold : float > 0
        :math:`c`.

    Returns
    -------
    Tensor, shape ()
        The norm before clipping.

    Raises
    ------
    InputError
        When the threshold is not greater than 0.

    Notes
    -----
    The direction of the whole gradient is kept. ``torch.nn.utils.clip_grad_norm_`` adds 1e-6 to the norm, which leaves the
    clipped norm slightly under the threshold; this is the published rule.

    References
    ----------
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013;
    02#gradient-norm-clipping.
    """
    grads = _gradients(parameters, threshold)
    if not grads:
        return torch.zeros(())
    first = grads[0]
    norms = [norm.to(first.device, first.dtype) for norm in torch._foreach_norm(grads)]
    total = torch.linalg.vector_norm(torch.stack(norms))
    factor = (threshold / total).clamp(max=1.0)
    if all(g.device == first.device and g.dtype == first.dtype for g in grads):
        torch._foreach_mul_(grads, factor)
    else:
        for grad in grads:
            grad.mul_(factor.to(grad.device, grad.dtype))
    return total


@torch.no_grad()
def clip_norm_each_(parameters: Iterable[Parameter], threshold: float) -> None:
    r"""Rescale each tensor's gradient by itself when its L2 norm exceeds the threshold.

    .. math:: g_i \leftarrow g_i \cdot \min(1, c / \lVert g_i \rVert_2) \quad \text{for each tensor } i

    Parameters
    ----------
    parameters : iterable of parameters
    threshold : float > 0
        :math:`c`.

    Raises
    ------
    InputError
        When the threshold is not greater than 0.

    Notes
    -----
    Changes the direction of the whole gradient, unlike :func:`clip_norm_`; the source states that rule and codes this one.

    References
    ----------
    02#gradient-norm-clipping.
    """
    grads = _gradients(parameters, threshold)
    if grads:
        factors = [(threshold / norm).clamp(max=1.0) for norm in torch._foreach_norm(grads)]
        torch._foreach_mul_(grads, factors)


@torch.no_grad()
def clip_value_(parameters: Iterable[Parameter], threshold: float) -> None:
    r"""Cap every entry of the gradients to ``[-threshold, threshold]``.

    Parameters
    ----------
    parameters : iterable of parameters
    threshold : float > 0

    Raises
    ------
    InputError
        When the threshold is not greater than 0.

    References
    ----------
    05#grad-clipping.
    """
    grads = _gradients(parameters, threshold)
    if grads:
        torch._foreach_clamp_min_(grads, -threshold)
        torch._foreach_clamp_max_(grads, threshold)
