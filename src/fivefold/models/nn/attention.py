"""Attention: scaled dot products, several heads, positions, and the layers of the Transformer."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import floating, last_width, positive, probability
from fivefold.models.nn._dropped import add_dropped, dropped_attention, dropped_relu


class ScaledDotProductAttention(nn.Module):
    r"""Mix values by how well their keys fit a query.

    .. math:: Z = \mathrm{softmax}\Big(\frac{Q K^T}{\sqrt{d}} + M\Big) V

    Parameters
    ----------
    causal : bool, default False
        Positions see themselves and earlier ones only.
    dropout : float in [0, 1), default 0
        Share of the weights that is left out in training.

    Shapes
    ------
    Query (*, L, d), key (*, S, d), value (*, S, e), output (*, L, e). Key and value default to the query. ``mask``, broadcast to
    (*, L, S), is boolean (True may be seen) or is added to the scores.

    Raises
    ------
    InputError
        For shapes that do not fit each other.
    InputTypeError
        For tensors of integers.

    Notes
    -----
    The kernel is PyTorch's fused one, which gives first derivatives; under
    ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`` there are second ones too. A text masks with +infinity, having lost the
    minus sign: what must not be seen gets minus infinity.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need".
    Spec: 02#scaled-dot-product-attention, 02#nlp-self-attention, 06#self-attention, 08#self-attention.
    """

    def __init__(self, causal: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.causal = causal
        self.dropout = probability("dropout", dropout)

    def forward(
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Return the mixed values, (*, L, e)."""
        key = query if key is None else key
        value = key if value is None else value
        for tensor in (query, key, value):
            floating("ScaledDotProductAttention", tensor)
        fits = min(query.ndim, key.ndim, value.ndim) >= 2 and _broadcast(query, key, value)
        if not fits or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
            raise InputError(
                f"Attention takes query (*, L, d), key (*, S, d) and value (*, S, e), got {tuple(query.shape)}, "
                f"{tuple(key.shape)} and {tuple(value.shape)}."
            )
        dropout = self.dropout if self.training else 0.0
        if mask is not None:
            mask = _fitting(mask, query.shape[-2], key.shape[-2])
        allowed = mask
        if self.causal and mask is not None:
            allowed = _merge(mask, _causal(query, key))
        return functional.scaled_dot_product_attention(
            query, key, value, allowed, dropout, is_causal=self.causal and mask is None
        )

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"causal={self.causal}, dropout={self.dropout}"


def _broadcast(*tensors: Tensor) -> bool:
    """Tell whether the axes before the last two fit together."""
    leading = [t.shape[-3::-1] for t in tensors]
    sides = itertools.zip_longest(*leading, fillvalue=1)
    return all(len({side for side in place if side != 1}) <= 1 for place in sides)


def _causal(query: Tensor, key: Tensor) -> Tensor:
    return torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()


def _fitting(mask: Tensor, length: int, seen: int) -> Tensor:
    """Return a mask with at least two axes, or refuse one that cannot be broadcast to (*, length, seen)."""
    wanted = (length, seen)
    if mask.ndim < 1 or any(side not in (1, full) for side, full in zip(mask.shape[::-1], wanted[::-1])):
        raise InputError(f"The mask must broadcast to (*, {length}, {seen}), got {tuple(mask.shape)}.")
    return mask.expand(length, seen) if mask.ndim < 2 else mask


def _merge(mask: Tensor, allowed: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return mask & allowed
    return mask.masked_fill(~allowed, -math.inf)


class MultiHeadAttention(nn.Module):
    r"""Attention in several subspaces at once, whose results are joined and mixed.

    .. math:: Z = [Z_1, \dots, Z_N] W^O + b^O, \quad Z_h = \mathrm{attention}(X W^Q_h, Y W^K_h, Y W^V_h)

    Parameters
    ----------
    embed_dim : int >= 1
        Width E of inputs and outputs, a multiple of the heads.
    num_heads : int >= 1
        Heads N, each E/N wide.
    dropout : float in [0, 1), default 0
        Share of the weights that is left out in training.
    bias : bool, default True
    causal : bool, default False
        Positions see themselves and earlier ones only.

    Shapes
    ------
    Input (batch, L, E), context (batch, S, E), by default the input; output (batch, L, E). ``mask`` as for
    :class:`ScaledDotProductAttention`, broadcast to (batch, heads, L, S).

    Raises
    ------
    InputError
        For heads that do not divide the width, or inputs of another shape.
    InputTypeError
        For tensors of integers.

    Notes
    -----
    Parameters have the names, shapes and first values of ``torch.nn.MultiheadAttention``, so that states load either way. The
    mixing weight is (N H) x E; a figure's caption prints another shape. The kernel is PyTorch's fused attention; self-attention
    with dropout on one thread of a CPU has its own passes, whose masks are drawn otherwise than PyTorch's.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need".
    Spec: 02#multi-head-attention, 06#multi-head-attention, 08#multi-head-attention.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, causal: bool = False
    ) -> None:
        super().__init__()
        self.embed_dim = check_count("embed_dim", embed_dim)
        self.num_heads = check_count("num_heads", num_heads)
        if embed_dim % num_heads:
            raise InputError(f"num_heads must divide embed_dim {embed_dim}, got {num_heads}.")
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim)) if bias else None
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.attention = ScaledDotProductAttention(causal, dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return (batch, L, embed_dim)."""
        for tensor in (x, x if context is None else context):
            last_width("MultiHeadAttention", tensor, self.embed_dim)
            if tensor.ndim != 3 or len(tensor) != len(x):
                raise InputError(
                    f"MultiHeadAttention takes (batch, length, {self.embed_dim}) with one batch, got {tuple(tensor.shape)} "
                    f"beside {tuple(x.shape)}."
                )
        if context is None:
            packed = functional.linear(x, self.in_proj_weight, self.in_proj_bias)  # (batch, L, 3 E)
            joined = self._thinned(packed, mask)
            if joined is not None:
                found: Tensor = self.out_proj(joined)
                return found
            q, k, v = packed.chunk(3, dim=-1)
        else:
            sizes = [self.embed_dim, 2 * self.embed_dim]
            own, other = self.in_proj_weight.split(sizes)
            biases = (None, None) if self.in_proj_bias is None else self.in_proj_bias.split(sizes)
            q = functional.linear(x, own, biases[0])
            k, v = functional.linear(context, other, biases[1]).chunk(2, dim=-1)
        z = self.attention(*(self._split(t) for t in (q, k, v)), mask=mask)  # (batch, heads, L, H)
        out: Tensor = self.out_proj(z.transpose(1, 2).flatten(2))
        return out

    def _thinned(self, packed: Tensor, mask: Tensor | None) -> Tensor | None:
        """Return the joined heads of self-attention in training with dropout, where our own passes are the faster ones."""
        inner = self.attention
        if not self.training or not inner.dropout:
            return None
        if mask is not None:
            mask = _fitting(mask, packed.shape[1], packed.shape[1])
        if inner.causal:
            allowed = _causal(packed, packed)
            mask = allowed if mask is None else _merge(mask, allowed)
        return dropped_attention(packed, self.num_heads, inner.dropout, mask)

    def _split(self, t: Tensor) -> Tensor:
        return t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (batch, heads, length, H)

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"


class PositionalEncoding(nn.Module):
    r"""Add to each vector of a sequence a fixed pattern of waves that tells its position.

    .. math:: e_{p,2i} = \sin\frac{p}{10000^{2i/d}}, \quad e_{p,2i+1} = \cos\frac{p}{10000^{2i/d}}

    Parameters
    ----------
    d_model : int >= 1
        Width d of the vectors.
    max_len : int >= 1, default 5000
        Longest sequence.
    dropout : float in [0, 1), default 0
        Share of the sums that is left out in training.

    Shapes
    ------
    Input (batch, length, d_model), output the same.

    Raises
    ------
    InputError
        For another width or a longer sequence.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Adding the pattern equals joining a one-hot position to the input before a linear map: W[x; p] = W'x + W''p.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need".
    Spec: 02#positional-encoding, 06#positional-encoding, 08#sinusoidal-position.
    """

    table: Tensor

    def __init__(self, d_model: int, max_len: int = 5000, dropout: float = 0.0) -> None:
        super().__init__()
        self.d_model, self.max_len = check_count("d_model", d_model), check_count("max_len", max_len)
        self.dropout = probability("dropout", dropout)
        position = torch.arange(max_len, dtype=torch.float64)[:, None]
        rate = 10000 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
        waves = torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=-1).flatten(1)
        # Kept in float64 and cast on use, so that a double module has the exact table.
        self.register_buffer("table", waves[:, :d_model].contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums, of the shape of ``x``."""
        last_width("PositionalEncoding", x, self.d_model)
        if x.ndim < 2 or x.shape[-2] > self.max_len:
            raise InputError(
                f"PositionalEncoding takes sequences of at most {self.max_len} vectors (*, length, {self.d_model}), got "
                f"{tuple(x.shape)}."
            )
        return functional.dropout(x + self.table[: x.shape[-2]].to(x.dtype), self.dropout, self.training)


class _Block(nn.Module):
    """What encoder and decoder layers share: the feed-forward part and residual sums with their norms."""

    def __init__(
        self, d_model: int, dim_feedforward: int, dropout: float, activation: str, eps: float, first: bool
    ) -> None:
        super().__init__()
        self.d_model = check_count("d_model", d_model)
        positive("layer_norm_eps", eps)
        self.norm_first = first
        self.p = probability("dropout", dropout)
        self.activation = check_one_of("activation", activation, ("relu", "gelu"))
        self.linear1 = nn.Linear(d_model, check_count("dim_feedforward", dim_feedforward))
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm1 = nn.LayerNorm(d_model, eps)
        self.norm2 = nn.LayerNorm(d_model, eps)

    def _check(self, layer: str, *inputs: Tensor) -> None:
        for x in inputs:
            last_width(layer, x, self.d_model)
            if x.ndim != 3:
                raise InputError(f"{layer} takes (batch, length, {self.d_model}), got {tuple(x.shape)}.")

    def _watched(self) -> bool:
        """Tell whether a forward hook may keep an inner output, which the thrifty forms of training would overwrite."""
        return bool(nn.modules.module._global_forward_hooks) or any(part._forward_hooks for part in self.modules())

    def _add(self, x: Tensor, branch: Tensor) -> Tensor:
        if self._watched():
            return x + functional.dropout(branch, self.p, self.training)
        return add_dropped(x, branch, self.p, self.training)

    def _feed(self, x: Tensor) -> Tensor:
        hidden = self.linear1(x)
        if self.activation == "relu" and not self._watched():
            hidden = dropped_relu(hidden, self.p, self.training)
        else:
            curve = functional.relu if self.activation == "relu" else functional.gelu
            hidden = functional.dropout(curve(hidden), self.p, self.training)
        out: Tensor = self.linear2(hidden)
        return out


class TransformerEncoderLayer(_Block):
    r"""Self-attention, then a feed-forward net at each position, each with a residual sum and layer norm.

    .. math:: h = \mathrm{LN}(x + \mathrm{attention}(x)), \quad y = \mathrm{LN}(h + W_2\, \sigma(W_1 h + b_1) + b_2)

    Parameters
    ----------
    d_model : int >= 1
        Width of the vectors, a multiple of the heads.
    nhead : int >= 1
        Heads.
    dim_feedforward : int >= 1, default 2048
        Width of the feed-forward net.
    dropout : float in [0, 1), default 0.1
        Share left out of attention weights, hidden units and both branches in training.
    activation : {"relu", "gelu"}, default "relu"
    layer_norm_eps : float > 0, default 1e-5
    norm_first : bool, default False
        Normalize the input of each branch instead of the sum after it.

    Shapes
    ------
    Input (batch, length, d_model), output the same; ``mask`` as for :class:`MultiHeadAttention`.

    Raises
    ------
    InputError
        For heads that do not divide the width, a dropout outside [0, 1), or inputs of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Without positions a permuted input gives the permuted output. Parameters are named as in
    ``torch.nn.TransformerEncoderLayer``, whose states load. Attention and norms are PyTorch's fused kernels; with dropout in
    training on a CPU masks are drawn otherwise than PyTorch's, and otherwise when compiled. One source leaves out residual
    sums, norms and the width of the net.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need". Spec: 02#transformer-encoder-layer, 06#transformer, 08#layer-norm.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
    ) -> None:
        super().__init__(d_model, dim_feedforward, dropout, activation, layer_norm_eps, norm_first)
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the encoded positions, of the shape of ``x``."""
        self._check("TransformerEncoderLayer", x)
        if self.norm_first:
            x = self._add(x, self.self_attn(self.norm1(x), mask=mask))
            return self._add(x, self._feed(self.norm2(x)))
        x = self.norm1(self._add(x, self.self_attn(x, mask=mask)))
        out: Tensor = self.norm2(self._add(x, self._feed(x)))
        return out


class TransformerDecoderLayer(_Block):
    r"""Causal self-attention, attention on an encoder's output, then a feed-forward net, with residual sums and norms.

    .. math:: h = \mathrm{LN}(x + \mathrm{causal}(x)), \quad c = \mathrm{LN}(h + \mathrm{attention}(h, m)), \quad
        y = \mathrm{LN}(c + \mathrm{net}(c))

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first
        As for :class:`TransformerEncoderLayer`.
    causal : bool, default True
        Positions see themselves and earlier ones only; ``torch.nn.TransformerDecoderLayer`` wants a mask for that.

    Shapes
    ------
    Input (batch, L, d_model), memory (batch, S, d_model), output (batch, L, d_model); ``memory_mask`` as for
    :class:`MultiHeadAttention`.

    Raises
    ------
    InputError
        For heads that do not divide the width, a dropout outside [0, 1), or inputs of another shape.
    InputTypeError
        For a tensor of integers.

    Notes
    -----
    Later positions leave earlier outputs unchanged. One source never mentions the causal mask. Parameters are named as in
    ``torch.nn.TransformerDecoderLayer``.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need".
    Spec: 02#transformer-decoder-layer, 06#transformer, 08#transformer-encoder-decoder.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        causal: bool = True,
    ) -> None:
        super().__init__(d_model, dim_feedforward, dropout, activation, layer_norm_eps, norm_first)
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout, causal=causal)
        self.multihead_attn = MultiHeadAttention(d_model, nhead, dropout)
        self.norm3 = nn.LayerNorm(d_model, layer_norm_eps)

    def forward(self, x: Tensor, memory: Tensor, memory_mask: Tensor | None = None) -> Tensor:
        """Return the decoded positions, of the shape of ``x``."""
        self._check("TransformerDecoderLayer", x, memory)
        if self.norm_first:
            x = self._add(x, self.self_attn(self.norm1(x)))
            x = self._add(x, self.multihead_attn(self.norm2(x), memory, memory_mask))
            return self._add(x, self._feed(self.norm3(x)))
        x = self.norm1(self._add(x, self.self_attn(x)))
        x = self.norm2(self._add(x, self.multihead_attn(x, memory, memory_mask)))
        out: Tensor = self.norm3(self._add(x, self._feed(x)))
        return out
