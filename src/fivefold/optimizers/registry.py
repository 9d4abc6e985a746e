"""Optimizers by name with the defaults of the sources, and their variants with staircase exponential decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch.optim import Optimizer

from fivefold.base.cards import get_card
from fivefold.base.errors import UnknownNameError
from fivefold.base.names import nearest

from .schedules.decays import ExponentialDecay

NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {}),
    "momentum": ("momentum", {"momentum": 0.9}),
    "nesterov": ("nesterov", {"momentum": 0.9}),
    "adagrad": ("adagrad", {"initial_accumulator_value": 0.1}),
    "adadelta": ("adadelta", {"rho": 0.95, "eps": 1e-8}),
    "rmsprop": ("rmsprop", {"alpha": 0.9, "eps": 1e-10, "convention": "keras"}),
    "ftrl": ("ftrl", {"initial_accumulator_value": 0.1, "beta": 0.0, "convention": "keras"}),
    "adam": ("adam", {"betas": (0.9, 0.999), "eps": 1e-8}),
}
"""Name -> (card, the defaults of the sources, which are TensorFlow 1's)."""

DECAYING = ("sgd", "momentum", "nesterov")
SUFFIX = "-exp-decay"


def optimizer_names() -> list[str]:
    """Return every name that :func:`make_optimizer` knows."""
    return [*NAMED, *(name + SUFFIX for name in DECAYING)]


def make_optimizer(
    name: str, params: Iterable[Any], lr: float, **options: Any
) -> tuple[Optimizer, ExponentialDecay | None]:
    r"""Build an optimizer by its name in the sources, with their defaults.

    The variants ``sgd-exp-decay``, ``momentum-exp-decay`` and ``nesterov-exp-decay`` come with the schedule

    .. math:: \eta_t = \eta_0 \cdot 0.998^{\lfloor t / 5000 \rfloor}

    Parameters
    ----------
    name : str
        sgd, momentum, nesterov, adagrad, adadelta, rmsprop, ftrl, adam or a variant; the case does not matter, and ``_`` is
        ``-``.
    params : iterable of parameters or of parameter groups
    lr : float >= 0
        Learning rate.
    **options
        Parameters of the optimizer that differ from the defaults.

    Returns
    -------
    optimizer : torch optimizer
    schedule : ExponentialDecay or None
        Of the variants with decay; call its ``step()`` after each of the optimizer's.

    Raises
    ------
    UnknownNameError
        For any other name, with the nearest ones.

    References
    ----------
    02#optimizer-registry, 04#ctr-optimizer-registry.
    """
    key = str(name).strip().lower().replace("_", "-")
    if key not in optimizer_names():
        near = ", ".join(nearest(key, optimizer_names()))
        raise UnknownNameError(
            f"Unknown optimizer {name!r}; did you mean {near}? Known: {', '.join(optimizer_names())}."
        )
    card, defaults = NAMED[key.removesuffix(SUFFIX)]
    optimizer: Optimizer = get_card(card).load()(params, lr=lr, **{**defaults, **options})
    if not key.endswith(SUFFIX):
        return optimizer, None
    return optimizer, ExponentialDecay(optimizer, 0.998, 5000, staircase=True)
