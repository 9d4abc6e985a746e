"""Connectionist temporal classification: the likelihood of a label over all alignments, by the forward recursion in logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fivefold.base.errors import DataError, InputError
from fivefold.base.tensors import by_hand, slopes_of

from ._common import check_float, check_logits, check_reduction, checking, wide
from ._ctc_kernels import NEVER, passes


def collapse(path: Sequence[int] | Tensor, blank: int = 0) -> list[int]:
    """Return the label of an alignment: repeats merged first, then blanks dropped.

    A blank between two equal symbols keeps both, which merging after dropping could not.

    Parameters
    ----------
    path : sequence of T ints, or int tensor of shape (T,)
    blank : int, default 0

    Examples
    --------
    >>> collapse([1, 1, 0, 2, 2, 0, 2]), collapse([1, 1, 2, 2, 2])
    ([1, 2, 2], [1, 2])
    """
    symbols = [int(symbol) for symbol in path]
    kept = [s for i, s in enumerate(symbols) if i == 0 or s != symbols[i - 1]]
    return [s for s in kept if s != blank]


class CTCLoss(nn.Module):
    r"""CTC loss: minus the log-probability of a label, summed over every alignment that collapses to it.

    .. math:: L = -\ln \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t), \qquad
        \alpha_t(s) = p_t(l_s) \big(\alpha_{t-1}(s) + \alpha_{t-1}(s - 1) +
        [l_s \ne \text{blank}, l_s \ne l_{s-2}]\, \alpha_{t-1}(s - 2)\big)

    with l the label with blanks around each symbol and B of :func:`collapse`.

    Parameters
    ----------
    blank : int >= 0, default 0
        Index of the blank symbol.
    zero_infinity : bool, default False
        Labels that do not fit into their frames cost 0 instead of infinity.
    reduction : "mean" (default), "sum" or "none"
        As in PyTorch the mean divides each loss by the length of its label (at least 1), then averages over the batch; over
        an empty batch it is 0.

    Shapes
    ------
    input : logits or log-probabilities (T, n, k); target : labels (n, S), padded with anything; input_lengths and
    target_lengths : (n,); output : scalar, or (n,) with ``reduction="none"``

    Raises
    ------
    InputError
        When a parameter is out of range.
    DataError
        When shapes, lengths or symbols do not fit.

    Notes
    -----
    The recursion works on logarithms. On the CPU a compiled kernel runs both passes, in double precision; elsewhere, and for
    second derivatives, there is one step of the whole batch at a time. A label with r equal neighbors needs at least its
    length + r frames: otherwise the loss is infinite, and its gradient 0.

    References
    ----------
    Graves et al. 2006, "Connectionist Temporal Classification"; spec ``05#ctc``.
    """

    def __init__(self, blank: int = 0, zero_infinity: bool = False, reduction: str = "mean") -> None:
        super().__init__()
        if not isinstance(blank, int) or blank < 0:
            raise InputError(f"blank must be an index >= 0, got {blank!r}.")
        self.blank, self.zero_infinity = blank, bool(zero_infinity)
        self.reduction = check_reduction(reduction)

    def forward(self, input: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
        """Return the loss of logits (T, n, k) and labels (n, S)."""
        self._check(input, target, input_lengths, target_lengths)
        logp = torch.log_softmax(wide(input), dim=2)
        n, size = target.shape
        places = torch.arange(size, device=target.device)
        known = torch.where(places < target_lengths[:, None], target.long(), self.blank)
        labels = torch.full((n, 2 * size + 1), self.blank, dtype=torch.long, device=target.device)
        labels[:, 1::2] = known  # blank, symbol, blank, ..., symbol, blank
        skip = torch.zeros_like(labels, dtype=torch.bool)
        skip[:, 3::2] = known[:, 1:] != known[:, :-1]
        values = _unlikelihood(logp, labels, skip, input_lengths, target_lengths)
        impossible = values > -NEVER / 2  # any value: far above any loss, and below that of an impossible path
        values = torch.where(impossible, 0.0 if self.zero_infinity else torch.inf, values)
        if self.reduction == "none":
            return values.to(input.dtype)
        if self.reduction == "sum":
            return values.sum().to(input.dtype)
        return ((values / target_lengths.clamp(min=1)).sum() / max(n, 1)).to(input.dtype)

    def _check(self, input: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> None:
        check_float("CTCLoss", input)
        shapes = tuple(tuple(v.shape) for v in (input, target, input_lengths, target_lengths))
        n = shapes[0][1:2]
        if input.ndim != 3 or target.ndim != 2 or any(s[:1] != n for s in shapes[1:]) or not input.shape[0]:
            raise DataError(
                "CTCLoss needs an input (T, n, k) with T >= 1, labels (n, S) and two vectors of lengths (n,); got shapes "
                f"{', '.join(map(str, shapes))}."
            )
        if self.blank >= input.shape[2]:
            raise DataError(f"blank is {self.blank}, but the input has the symbols 0 to {input.shape[2] - 1}.")
        if not checking() or not input.shape[1]:
            return
        if bool(((input_lengths < 1) | (input_lengths > input.shape[0])).any()):
            raise DataError(f"CTCLoss needs input lengths from 1 to {input.shape[0]}, the number of frames.")
        if bool(((target_lengths < 0) | (target_lengths > target.shape[1])).any()):
            raise DataError(f"CTCLoss needs target lengths from 0 to {target.shape[1]}, the width of the labels.")
        inside = torch.arange(target.shape[1], device=target.device) < target_lengths[:, None]
        if bool((inside & ((target < 0) | (target >= input.shape[2]) | (target == self.blank))).any()):
            raise DataError(
                f"CTCLoss needs labels of symbols from 0 to {input.shape[2] - 1} other than the blank {self.blank}."
            )
        check_logits("CTCLoss", input.movedim(2, 1))

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"blank={self.blank}, zero_infinity={self.zero_infinity}, reduction={self.reduction!r}"


def _unlikelihood(logp: Tensor, labels: Tensor, skip: Tensor, frames: Tensor, sizes: Tensor) -> Tensor:
    """Return minus the log-likelihoods (n,), about 1e30 for labels that do not fit."""
    if logp.device.type != "cpu" or not by_hand(logp):
        return _plain(logp, labels, skip, frames, sizes)
    found: Tensor = _Passes.apply(logp, labels, skip, frames, sizes)
    return found


def _plain(logp: Tensor, labels: Tensor, skip: Tensor, frames: Tensor, sizes: Tensor) -> Tensor:
    emitted = logp.gather(2, labels.expand(len(logp), -1, -1)).clamp(min=NEVER)  # (T, n, 2S + 1)
    never = torch.full_like(emitted[0], NEVER)
    start = torch.arange(labels.shape[1], device=labels.device) < 2
    alpha = torch.where(start, emitted[0], never)
    for t in range(1, len(logp)):
        one = torch.cat([never[:, :1], alpha[:, :-1]], dim=1)
        two = torch.where(skip, torch.cat([never[:, :2], alpha[:, :-2]], dim=1)[:, : labels.shape[1]], never)
        fresh = torch.logsumexp(torch.stack([alpha, one, two]), dim=0) + emitted[t]
        alpha = torch.where((t < frames)[:, None], fresh, alpha)
    end = 2 * sizes[:, None].long()
    last, before = alpha.gather(1, end), alpha.gather(1, (end - 1).clamp(min=0))
    before = torch.where(end > 0, before, NEVER)
    return -torch.logsumexp(torch.cat([last, before], dim=1), dim=1)


class _Passes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logp: Tensor, labels: Tensor, skip: Tensor, frames: Tensor, sizes: Tensor) -> Tensor:
        values = logp.new_empty(len(labels))
        slopes = (
            torch.zeros_like(logp, memory_format=torch.contiguous_format)
            if ctx.needs_input_grad[0]
            else logp.new_empty(0, 0, 0)
        )
        arrays = (logp, labels, skip, frames.long(), sizes.long(), values, slopes)
        passes(*(t.detach().contiguous().numpy() for t in arrays))
        ctx.save_for_backward(logp, labels, skip, frames, sizes, slopes)
        return values

    @staticmethod
    def backward(ctx: Any, d_values: Tensor) -> tuple[Tensor | None, ...]:
        logp, *rest, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():
            return slopes_of(lambda v: _plain(v, *rest), (logp,), (d_values,))[0], None, None, None, None
        return slopes * d_values[:, None], None, None, None, None
