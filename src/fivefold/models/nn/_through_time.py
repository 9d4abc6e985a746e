"""Cells that PyTorch has no kernel for, with both passes through time written out.

A step forward is one matrix product and a few operations in place. Backward, the slopes of every gate are taken for all steps
at once, a step only scales them, and the gradient of the recurrent weights is one product after the loop. Each cell also has
its plain form, which is what PyTorch traces, compiles, and differentiates twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fivefold.base.tensors import by_hand, slopes_of

_sigmoid_slope = torch.ops.aten.sigmoid_backward  # (slope, output) -> slope * output * (1 - output)
_tanh_slope = torch.ops.aten.tanh_backward  # (slope, output) -> slope * (1 - output²)


def peephole_lstm(inputs: Tensor, weight: Tensor, peephole: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs (time, batch, hidden) and the last cell (batch, hidden), from the products of the inputs.

    Parameters
    ----------
    inputs : tensor of shape (time, batch, 4 hidden)
        Sums of gates i, f, g, o without the recurrent part.
    weight : tensor of shape (4 hidden, hidden)
    peephole : tensor of shape (3, hidden)
        For i, f, o.
    """
    if not by_hand(inputs, weight, peephole):
        return _peephole_plain(inputs, weight, peephole)
    found: tuple[Tensor, Tensor] = _PeepholeLSTM.apply(inputs, weight, peephole)
    return found


def _peephole_plain(inputs: Tensor, weight: Tensor, peephole: Tensor) -> tuple[Tensor, Tensor]:
    h = c = inputs.new_zeros(inputs.shape[1], weight.shape[1])
    outputs = []
    for step in inputs.unbind(0):
        i, f, g, o = (step + h @ weight.T).chunk(4, dim=1)
        kept = torch.sigmoid(f + peephole[1] * c) * c
        c = kept + torch.sigmoid(i + peephole[0] * c) * torch.tanh(g)
        h = torch.sigmoid(o + peephole[2] * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), c


class _PeepholeLSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, peephole: Tensor) -> tuple[Tensor, Tensor]:
        steps, batch, width = len(inputs), inputs.shape[1], weight.shape[1]
        gates = torch.empty_like(inputs, memory_format=torch.contiguous_format)  # (time, batch, 4 hidden)
        states, squashed = inputs.new_empty(2, steps, batch, width).unbind(0)
        cells = inputs.new_zeros(steps + 1, batch, width)  # the first is the start
        early, late, recurrent = peephole[:2], peephole[2], weight.T
        h = cells[0]
        split = gates.unflatten(2, (4, width))  # (time, batch, 4, hidden)
        rows = zip(
            inputs.unbind(0),
            gates.unbind(0),
            split[:, :, :2].unbind(0),
            *(split[:, :, k].unbind(0) for k in range(4)),
            cells[:-1].unbind(0),
            cells[:-1].unsqueeze(2).unbind(0),
            cells[1:].unbind(0),
            squashed.unbind(0),
            states.unbind(0),
        )
        for given, sums, pair, i, f, g, o, before, beside, c, flat, state in rows:
            torch.addmm(given, h, recurrent, out=sums)
            pair.addcmul_(early, beside).sigmoid_()
            g.tanh_()
            torch.mul(f, before, out=c).addcmul_(i, g)
            o.addcmul_(late, c).sigmoid_()
            h = torch.mul(o, torch.tanh(c, out=flat), out=state)
        ctx.save_for_backward(inputs, weight, peephole, gates, cells, squashed, states)
        return states, cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, d_states: Tensor, d_cell: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, peephole, gates, cells, squashed, states = ctx.saved_tensors
        if torch.is_grad_enabled():
            return slopes_of(_peephole_plain, (inputs, weight, peephole), (d_states, d_cell))
        width = weight.shape[1]
        i, f, g, o = gates.unflatten(2, (4, width)).unbind(2)  # each (time, batch, hidden)
        before, after = cells[:-1], cells[1:]
        sums = torch.empty_like(gates)  # first the slopes of the cell, or of the output for o, then those of the loss
        split = sums.unflatten(2, (4, width))
        for k, (slope, kind, gate) in enumerate(
            ((g, _sigmoid_slope, i), (before, _sigmoid_slope, f), (i, _tanh_slope, g), (squashed, _sigmoid_slope, o))
        ):
            kind(slope, gate, grad_input=split[:, :, k])
        through = _tanh_slope(o, squashed).addcmul_(split[:, :, 3], peephole[2])  # of the output in the cell
        carry = torch.addcmul(f, split[:, :, 0], peephole[0]).addcmul_(
            split[:, :, 1], peephole[1]
        )  # of c in the last c
        dh, dc = d_states[-1], d_cell
        given, products = d_states.contiguous().unbind(0), sums.unbind(0)
        three, last = split[:, :, :3].unbind(0), split[:, :, 3].unbind(0)
        through_steps, carries = through.unbind(0), carry.unbind(0)
        for t in range(len(inputs) - 1, -1, -1):
            dc = torch.addcmul(dc, dh, through_steps[t])
            three[t].mul_(dc.unsqueeze(1))
            last[t].mul_(dh)
            dc.mul_(carries[t])
            if t:
                dh = torch.addmm(given[t - 1], products[t], weight)
        d_weight = sums[1:].flatten(0, 1).T @ states[:-1].flatten(0, 1)
        seen = ((0, before), (1, before), (3, after))
        d_peephole = torch.stack([(split[:, :, k] * cell).sum((0, 1)) for k, cell in seen])
        return sums, d_weight, d_peephole


def gru_reset_before(inputs: Tensor, first: Tensor, weight: Tensor, writes: bool) -> Tensor:
    """Return the states (time, batch, hidden) of a GRU that resets before the recurrent product.

    Parameters
    ----------
    inputs : tensor of shape (time, batch, 3 hidden)
        Sums of gates r, z and of the candidate n without the recurrent part, with all biases.
    first : tensor of shape (batch, hidden)
    weight : tensor of shape (3 hidden, hidden)
    writes : bool
        Whether z is the share of the candidate (the paper) or that of the state before (Keras).
    """
    if not by_hand(inputs, first, weight):
        return _gru_plain(inputs, first, weight, writes)
    found: Tensor = _GRU.apply(inputs, first, weight, writes)
    return found


def _gru_plain(inputs: Tensor, first: Tensor, weight: Tensor, writes: bool) -> Tensor:
    n = 2 * weight.shape[1]
    h, states = first, []
    for step in inputs.unbind(0):
        r, z = torch.sigmoid(step[:, :n] + h @ weight[:n].T).chunk(2, dim=1)
        new = torch.tanh(step[:, n:] + (r * h) @ weight[n:].T)
        h = (1 - z) * h + z * new if writes else (1 - z) * new + z * h
        states.append(h)
    return torch.stack(states)


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, first: Tensor, weight: Tensor, writes: bool) -> Tensor:
        steps, batch, width = len(inputs), inputs.shape[1], weight.shape[1]
        gates = inputs.new_empty(steps, batch, 2 * width)
        new, reset, states = inputs.new_empty(3, steps, batch, width).unbind(0)
        for_gates, for_new = weight.T[:, : 2 * width], weight.T[:, 2 * width :]
        h = first
        rows = zip(
            inputs[:, :, : 2 * width].unbind(0),
            inputs[:, :, 2 * width :].unbind(0),
            gates.unbind(0),
            gates[:, :, :width].unbind(0),
            gates[:, :, width:].unbind(0),
            reset.unbind(0),
            new.unbind(0),
            states.unbind(0),
        )
        for given, candidate, pair, r, z, kept, n, state in rows:
            torch.addmm(given, h, for_gates, out=pair).sigmoid_()
            torch.addmm(candidate, torch.mul(r, h, out=kept), for_new, out=n).tanh_()
            h = torch.lerp(h, n, z, out=state) if writes else torch.lerp(n, h, z, out=state)
        ctx.save_for_backward(inputs, first, weight, gates, new, reset, states)
        ctx.writes = writes
        return states

    @staticmethod
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        inputs, first, weight, gates, new, reset, states = ctx.saved_tensors
        writes = ctx.writes
        if torch.is_grad_enabled():
            return *slopes_of(lambda *given: _gru_plain(*given, writes), (inputs, first, weight), (d_states,)), None
        width = weight.shape[1]
        for_gates, for_new = weight[: 2 * width], weight[2 * width :]
        r, z = gates.unflatten(2, (2, width)).unbind(2)
        before = torch.cat([first.unsqueeze(0), states[:-1]])
        share, carry = (z, 1 - z) if writes else (1 - z, z)  # of the candidate, of the state before
        sums = torch.empty_like(inputs, memory_format=torch.contiguous_format)  # slopes of one factor, then of the loss
        _sigmoid_slope(before, r, grad_input=sums[:, :, :width])
        _sigmoid_slope(new - before if writes else before - new, z, grad_input=sums[:, :, width : 2 * width])
        _tanh_slope(share, new, grad_input=sums[:, :, 2 * width :])
        d_reset, d_later = (part.unbind(0) for part in (sums[:, :, :width], sums.unflatten(2, (3, width))[:, :, 1:]))
        d_pair, d_new = sums[:, :, : 2 * width].unbind(0), sums[:, :, 2 * width :].unbind(0)
        given, carries, resets = d_states.contiguous().unbind(0), carry.unbind(0), r.unbind(0)
        dh = given[-1]
        for t in range(len(inputs) - 1, -1, -1):
            d_later[t].mul_(dh.unsqueeze(1))
            d_kept = d_new[t] @ for_new
            d_reset[t].mul_(d_kept)
            dh = torch.addcmul(given[t - 1], dh, carries[t]) if t else dh * carries[0]
            dh.addcmul_(d_kept, resets[t]).addmm_(d_pair[t], for_gates)
        d_gates = sums[:, :, : 2 * width].flatten(0, 1).T @ before.flatten(0, 1)
        d_candidate = sums[:, :, 2 * width :].flatten(0, 1).T @ reset.flatten(0, 1)
        return sums, dh, torch.cat([d_gates, d_candidate]), None
