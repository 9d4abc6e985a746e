"""Exponential moving averages of weights and of any other tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from fivefold.base.errors import InputError


class ExponentialMovingAverage:
    r"""A slow copy of tensors that follows them: each update moves it a little towards them.

    .. math:: s_t = d\, s_{t-1} + (1 - d)\, \theta_t

    with :math:`s_0 = \theta_0`; with bias correction :math:`s_0 = 0` and the average is :math:`s_t / (1 - d^t)`.

    Parameters
    ----------
    tensors : iterable of tensors
        What is averaged, by reference.
    decay : float in (0, 1), default 0.999
        :math:`d`; the average looks back over about :math:`1 / (1 - d)` updates.
    bias_correction : bool, default False
        Start at zero and divide by :math:`1 - d^t`, so that the initial values leave no trace.

    Raises
    ------
    InputError
        When the decay is not between 0 and 1.

    References
    ----------
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992; 02#exponential-moving-average.
    """

    def __init__(self, tensors: Iterable[Tensor], decay: float = 0.999, *, bias_correction: bool = False) -> None:
        if not 0 < decay < 1:
            raise InputError(f"The decay of a moving average must lie between 0 and 1, got {decay!r}.")
        self.tensors = list(tensors)
        self.decay = float(decay)
        self.bias_correction = bias_correction
        self.updates = 0
        start = torch.zeros_like if bias_correction else torch.clone
        self.shadow = [start(t.detach()) for t in self.tensors]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present values."""
        torch._foreach_lerp_(self.shadow, [t.detach() for t in self.tensors], 1 - self.decay)
        self.updates += 1

    def averages(self) -> list[Tensor]:
        """Return the averaged values, one tensor for each that is followed; before any update the present values."""
        if self.updates == 0:
            return [t.detach().clone() for t in self.tensors]
        if not self.bias_correction:
            return [s.clone() for s in self.shadow]
        return list(torch._foreach_div(self.shadow, 1 - self.decay**self.updates))

    @torch.no_grad()
    def copy_to(self) -> None:
        """Overwrite the tensors with their averages."""
        for tensor, average in zip(self.tensors, self.averages(), strict=True):
            tensor.detach().copy_(average)

    @contextlib.contextmanager
    def swap(self) -> Iterator[None]:
        """Put the averages into the tensors for the length of a ``with`` block, then put the present values back."""
        present = [t.detach().clone() for t in self.tensors]
        self.copy_to()
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(self.tensors, present, strict=True):
                    tensor.detach().copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {"shadow": [s.clone() for s in self.shadow], "updates": self.updates}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        for shadow, saved in zip(self.shadow, state["shadow"], strict=True):
            shadow.copy_(saved)
        self.updates = int(state["updates"])


@torch.no_grad()
def polyak_update(target: Iterable[Tensor], source: Iterable[Tensor], tau: float) -> None:
    r"""Move target weights towards the source: :math:`\theta' \leftarrow \tau \theta + (1 - \tau) \theta'`.

    Parameters
    ----------
    target, source : iterables of tensors of the same shapes, in the same order
    tau : float in (0, 1]
        Share of the source; 1 copies it (a hard update).

    Raises
    ------
    InputError
        When ``tau`` is not in (0, 1].

    Notes
    -----
    Some sources write :math:`\rho = 1 - \tau` instead; here tau is always the share of the source.

    References
    ----------
    Lillicrap et al., "Continuous control with deep reinforcement learning", ICLR 2016; 03#polyak-target.
    """
    if not 0 < tau <= 1:
        raise InputError(f"tau must lie in (0, 1], got {tau!r}.")
    targets, sources = [t.detach() for t in target], [s.detach() for s in source]
    if len(targets) != len(sources):
        raise InputError(f"Target and source need the same tensors, got {len(targets)} and {len(sources)}.")
    if not targets:
        return
    if tau == 1:
        torch._foreach_copy_(targets, sources)
    else:
        torch._foreach_lerp_(targets, sources, tau)
