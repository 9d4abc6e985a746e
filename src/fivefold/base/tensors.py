"""What hand-written passes share: when they may stand in for plain operations, and second derivatives through the latter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def by_hand(*tensors: Tensor) -> bool:
    """Tell whether an autograd function with both passes written out may take these tensors.

    Not while PyTorch traces, batches or casts the operations by itself: those want the plain form.
    """
    tracing = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
    traced = tracing or torch._C._are_functorch_transforms_active()
    plain = all(type(t) in (Tensor, torch.nn.Parameter) and t.dtype == tensors[0].dtype for t in tensors)
    return plain and not traced and not torch.is_autocast_enabled(tensors[0].device.type)


def slopes_of(
    plain: Callable[..., Tensor | tuple[Tensor, ...]], given: Sequence[Tensor], slopes: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Return the slopes of the plain form, which can be differentiated again: the backward pass under ``create_graph``.

    Parameters
    ----------
    plain : function of the tensors
    given : tensors
        What the function was called with; those that need no gradient get None.
    slopes : one tensor for each output
    """
    outputs = plain(*given)
    wanted = [t for t in given if t.requires_grad]
    found = iter(
        torch.autograd.grad(
            (outputs,) if isinstance(outputs, Tensor) else outputs,
            wanted,
            slopes,
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(found) if t.requires_grad else None for t in given)
