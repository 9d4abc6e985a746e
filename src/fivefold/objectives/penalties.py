"""Penalties on weights: L1, L2, groups, and features by how often they occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from fivefold.base.checks import check_number
from fivefold.base.errors import DataError, InputError, InputTypeError

from ._common import wide


def penalized(
    model: nn.Module | Iterable[Tensor], modules: Mapping[str, float] | None = None
) -> Iterator[tuple[Tensor, float]]:
    """Yield the weights of a model that are penalized, each with its factor.

    Parameters
    ----------
    model : module, or tensors
        Of a module all parameters of at least two dimensions, without those of embeddings: biases and gains of normalization
        layers are exempt. Tensors are all taken.
    modules : mapping from names of submodules to factors >= 0, optional
        Only weights within these submodules, times their factor; the longest name counts.

    Raises
    ------
    InputTypeError
        When the model is neither a module nor tensors.
    InputError
        When a named submodule is not there, or holds no weight.
    """
    if not isinstance(model, nn.Module):
        if modules is not None:
            raise InputError("Factors by submodule need a module, not tensors.")
        for tensor in [model] if isinstance(model, Tensor) else model:
            if not isinstance(tensor, Tensor):
                raise InputTypeError(f"A penalty takes a module or tensors, got {type(tensor).__name__}.")
            yield tensor, 1.0
        return
    exempt = {id(p) for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) for p in m.parameters()}
    found = {n: p for n, p in model.named_parameters() if p.ndim >= 2 and id(p) not in exempt}
    if modules is None:
        for parameter in found.values():
            yield parameter, 1.0
        return
    for name, factor in modules.items():
        check_number(f"the factor of {name!r}", factor, 0)
        if not any(key.startswith(f"{name}.") for key in found):
            names = sorted({key.rpartition(".")[0] for key in found})
            raise InputError(f"No penalized weight lies within the submodule {name!r}; there are: {', '.join(names)}.")
    for key, parameter in found.items():
        holders = [name for name in modules if key.startswith(f"{name}.")]
        if holders:
            yield parameter, float(modules[max(holders, key=len)])


class _Regularizer(nn.Module):
    """Strength times the sum of a penalty over weights."""

    def __init__(self, strength: float = 1e-4, modules: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.strength = check_number("strength", strength, 0)
        self.modules_ = None if modules is None else dict(modules)

    def forward(self, input: nn.Module | Iterable[Tensor]) -> Tensor:
        """Return the penalty of a model's weights, a scalar to add to the loss."""
        terms = [factor * self._value(wide(w)) for w, factor in penalized(input, self.modules_)]
        if not terms:
            raise DataError("There is no weight to penalize: the model has no parameter of two dimensions or more.")
        return self.strength * torch.stack(terms).sum()

    def _value(self, weight: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the parameters, for printing."""
        return f"strength={self.strength:g}, modules={self.modules_}"


class L1Regularizer(_Regularizer):
    r"""L1 penalty of weights: drives many to exactly zero, when trained by its proximal step.

    .. math:: R = \lambda \sum_i \lvert w_i \rvert, \qquad
        \mathrm{prox}_{\eta}(w) = \mathrm{sign}(w) \max(\lvert w \rvert - \eta \lambda, 0)

    Parameters
    ----------
    strength : float >= 0, default 1e-4
        λ.
    modules : mapping from names of submodules to factors >= 0, optional
        Only weights within these submodules, with λ times their factor; default all.

    Shapes
    ------
    input : a module (its weights of two dimensions or more, without embeddings; biases are exempt), or tensors;
    output : scalar

    Raises
    ------
    InputError
        When the strength is negative or a submodule is unknown.
    DataError
        When nothing is there to penalize.

    Notes
    -----
    The slope is λ sign(w) with sign(0) = 0. A source writes λ/2 in the penalty but the full λ in its gradient; the factor
    ½ must go.

    References
    ----------
    Tibshirani 1996; spec ``01#l1-regulariser``, ``05#l1-regularisation``, ``08#l1-l2-penalty``, ``04#norm-regulariser``.
    """

    def _value(self, weight: Tensor) -> Tensor:
        return weight.abs().sum()

    @torch.no_grad()
    def proximal_step_(self, input: nn.Module | Iterable[Tensor], step: float) -> None:
        """Shrink the weights in place by ``step`` times λ, stopping at 0: after a step on the loss alone."""
        check_number("step", step, 0)
        for weight, factor in penalized(input, self.modules_):
            size = (weight.abs() - step * self.strength * factor).clamp(min=0)
            weight.copy_(weight.sign() * size)


class L2Regularizer(_Regularizer):
    r"""L2 penalty of weights: many small ones.

    .. math:: R = \frac{\lambda}{2} \sum_i w_i^2, \qquad \nabla R = \lambda w

    Parameters
    ----------
    strength : float >= 0, default 1e-4
        λ.
    modules : mapping from names of submodules to factors >= 0, optional
        Only weights within these submodules, with λ times their factor; default all.

    Shapes
    ------
    input : a module (its weights of two dimensions or more, without embeddings; biases are exempt), or tensors;
    output : scalar

    Raises
    ------
    InputError
        When the strength is negative or a submodule is unknown.
    DataError
        When nothing is there to penalize.

    Notes
    -----
    Under gradient descent of rate η it is weight decay: w ← (1 - ηλ) w - η ∇L. Keras leaves out the ½. Some sources print
    the norm without its square.

    References
    ----------
    Spec ``01#l2-regulariser``, ``05#l2-weight-decay``, ``02#l2-weight-penalty``, ``08#l1-l2-penalty``,
    ``04#norm-regulariser``.
    """

    def _value(self, weight: Tensor) -> Tensor:
        return 0.5 * weight.square().sum()
