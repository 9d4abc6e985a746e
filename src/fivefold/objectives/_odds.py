"""The score of the true class beside the joint score of all others, without a table of probabilities for each step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fivefold.base.tensors import by_hand, slopes_of

_ENTRIES = 1 << 17
"""Entries that a single thread takes at once: half a megabyte, which stays in the cache between the operations."""


def own_and_others(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return the logit of the true class and :math:`\ln \sum_{j \ne y} e^{x_j}`, both (n, ...).

    Their difference is the logit of the true class against all others, so :math:`\ln p_y` and :math:`\ln (1 - p_y)` are exact
    in both tails.

    Parameters
    ----------
    logits : tensor of shape (n, k, ...)
    target : int tensor of shape (n, ...)
        Classes from 0 to k - 1.
    """
    if logits.ndim != 2 or not logits.numel() or not by_hand(logits):
        return _plain(logits, target)
    found: tuple[Tensor, Tensor] = _OwnAndOthers.apply(logits, target)
    return found


def _plain(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    column = target.unsqueeze(1)  # (n, 1, ...)
    others = torch.logsumexp(logits.scatter(1, column, -torch.inf), dim=1)
    return logits.gather(1, column).squeeze(1), others


class _OwnAndOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        column = target.unsqueeze(1)  # (n, 1)
        shares = torch.empty_like(
            logits, memory_format=torch.contiguous_format
        )  # of the other classes among themselves
        highest, largest = logits.new_empty(2, len(logits), 1).unbind(0)
        # One thread walks over parts that stay in its cache; several would wait for each other after each operation.
        rows = max(_ENTRIES // logits.shape[1], 1) if torch.get_num_threads() == 1 else len(logits)
        for part in zip(*(t.split(rows) for t in (logits, column, shares, highest, largest))):
            given, own, share, top, most = part
            share.copy_(given).scatter_(1, own, -torch.inf)
            torch.amax(share, 1, keepdim=True, out=top)
            torch.softmax(share, 1, out=share)
            torch.amax(share, 1, keepdim=True, out=most)
        alone = (highest == -torch.inf).squeeze(1)  # no other class is possible
        if bool(alone.any()):
            shares[alone], largest[alone] = 0.0, 1.0
        ctx.save_for_backward(logits, target, shares)
        return logits.gather(1, column).squeeze(1), (highest - largest.log()).squeeze(1)

    @staticmethod
    def backward(ctx: Any, d_own: Tensor, d_others: Tensor) -> tuple[Tensor | None, ...]:
        logits, target, shares = ctx.saved_tensors
        if torch.is_grad_enabled():
            return slopes_of(lambda x: _plain(x, target), (logits,), (d_own, d_others))[0], None
        slopes = shares * d_others.unsqueeze(1)
        return slopes.scatter_(1, target.unsqueeze(1), d_own.unsqueeze(1)), None
