"""Dropout in training beside what comes before or after it: fewer tables in memory, and masks from whole random words.

PyTorch's attention with dropout on the CPU writes five tables of the size of its weights; here one sequence after another stays
in the cache, and the weights and one byte each for the mask remain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fivefold.base.tensors import by_hand, slopes_of


def _left_out(shape: torch.Size, p: float) -> Tensor:
    """Return a mask, True with probability p to 2^-32: two entries from each random word, in half the time of Bernoulli's."""
    words = torch.empty((shape.numel() + 1) // 2, dtype=torch.int64).random_(-(2**63), None)
    return (words.view(torch.int32)[: shape.numel()] < round(p * 2**32) - 2**31).view(shape)


def add_dropped(x: Tensor, branch: Tensor, p: float, training: bool) -> Tensor:
    """Return ``x`` plus the thinned ``branch``, a fresh tensor of the same shape whose memory is taken."""
    if not training or not p:
        return x + branch
    if x.device.type != "cpu" or not by_hand(x, branch):
        return x + functional.dropout(branch, p)
    found: Tensor = _AddDropped.apply(branch, x, p)
    return found


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, branch: Tensor, x: Tensor, p: float) -> Tensor:
        # The tensor that is overwritten comes first: autograd takes the first slope for it where it is a view.
        out = _left_out(branch.shape, p)
        ctx.save_for_backward(out)
        ctx.mark_dirty(branch)
        ctx.p = p
        return branch.mul_(1 / (1 - p)).masked_fill_(out, 0.0).add_(x)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (out,) = ctx.saved_tensors
        return (slope * (1 / (1 - ctx.p))).masked_fill(out, 0.0), slope, None


def dropped_relu(x: Tensor, p: float, training: bool) -> Tensor:
    """Return the thinned positive parts of ``x``, a fresh tensor whose memory is taken."""
    if not training or not p:
        return functional.relu(x)
    if x.device.type != "cpu" or not by_hand(x):
        return functional.dropout(functional.relu(x), p)
    found: Tensor = _DroppedReLU.apply(x, p)
    return found


class _DroppedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        x.masked_fill_(_left_out(x.shape, p), 0.0).clamp_min_(0.0).mul_(1 / (1 - p))
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        ctx.p = p
        return x

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors  # above 0 where the unit was, and was kept
        return torch.ops.aten.threshold_backward(slope, y, 0.0) * (1 / (1 - ctx.p)), None


def dropped_attention(packed: Tensor, heads: int, p: float, added: Tensor | None) -> Tensor | None:
    """Return joined heads (batch, L, E) of self-attention with thinned weights, or None where PyTorch should do it.

    Parameters
    ----------
    packed : tensor of shape (batch, L, 3 E)
        Queries, keys and values of all heads.
    heads : int
    p : float in (0, 1)
    added : tensor that broadcasts to (batch, heads, L, L) or None
        Boolean (True may be seen) or added to the scores.
    """
    if packed.device.type != "cpu" or not by_hand(packed) or torch.get_num_threads() > 1 or not packed.numel():
        return None
    batch, length = packed.shape[:2]
    if added is None:
        added = packed.new_zeros(1, 1)
    if added.dtype == torch.bool:
        added = packed.new_zeros(added.shape).masked_fill_(~added, -torch.inf)
    # A learned mask has a slope, and a row that sees nothing is 0 by agreement: PyTorch's form knows both.
    if added.requires_grad or bool((added.amax(-1) == -torch.inf).any()):
        return None
    mask = added.to(packed.dtype).expand(batch, heads, length, length)
    found: Tensor = _DroppedAttention.apply(packed, mask, p)
    return found


def _heads(packed: Tensor, heads: int) -> Tensor:
    return packed.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # (3, batch, heads, L, H)


class _DroppedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, packed: Tensor, mask: Tensor, p: float) -> Tensor:
        q, k, v = _heads(packed, mask.shape[1])
        weights = packed.new_empty(mask.shape)
        out = torch.empty(mask.shape, dtype=torch.bool)
        joined = packed.new_empty(*packed.shape[:2], packed.shape[2] // 3)
        apart = joined.unflatten(2, (mask.shape[1], -1)).transpose(1, 2)  # (batch, heads, L, H)
        scale, room = q.shape[-1] ** -0.5, torch.empty_like(weights[0])
        for b in range(len(packed)):
            torch.baddbmm(mask[b], q[b], k[b].transpose(1, 2), alpha=scale, out=room)
            torch.softmax(room, -1, out=weights[b])
            out[b] = _left_out(room.shape, p)
            room.copy_(weights[b]).masked_fill_(out[b], 0.0).mul_(1 / (1 - p))
            torch.bmm(room, v[b], out=apart[b])
        ctx.save_for_backward(packed, mask, weights, out)
        ctx.p = p
        return joined

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        packed, mask, weights, out = ctx.saved_tensors
        heads, grow = mask.shape[1], 1 / (1 - ctx.p)
        q, k, v = _heads(packed, heads)
        scale = q.shape[-1] ** -0.5
        if torch.is_grad_enabled():

            def plain(both: Tensor) -> Tensor:
                a, b, c = _heads(both, heads)
                kept = (a @ b.transpose(2, 3) * scale + mask).softmax(-1).masked_fill(out, 0.0) * grow
                return (kept @ c).transpose(1, 2).flatten(2)

            return *slopes_of(plain, (packed,), (slope,)), None, None
        slopes = torch.empty_like(packed, memory_format=torch.contiguous_format)
        d_q, d_k, d_v = _heads(slopes, heads)
        apart = slope.unflatten(2, (heads, -1)).transpose(1, 2)
        room = torch.empty_like(weights[0])
        for b in range(len(packed)):
            room.copy_(weights[b]).masked_fill_(out[b], 0.0).mul_(grow)
            torch.bmm(room.transpose(1, 2), apart[b], out=d_v[b])
            torch.bmm(apart[b], v[b].transpose(1, 2), out=room)
            room.masked_fill_(out[b], 0.0).mul_(grow * scale)
            d_scores = torch.ops.aten._softmax_backward_data(room, weights[b], -1, room.dtype)
            torch.bmm(d_scores, k[b], out=d_q[b])
            torch.bmm(d_scores.transpose(1, 2), q[b], out=d_k[b])
        return slopes, None, None
