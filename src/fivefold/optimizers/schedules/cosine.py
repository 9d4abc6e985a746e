"""Cosine decay of the learning rate."""

from __future__ import annotations

import math

from torch.optim import Optimizer

from fivefold.base.checks import check_number

from ._base import Schedule, whole


class CosineDecay(Schedule):
    r"""Half a cosine from the initial learning rate down to ``eta_min`` (Loshchilov & Hutter 2017, without restarts).

    .. math:: \eta_t = \eta_{min} + \tfrac12 (\eta_0 - \eta_{min}) \left(1 + \cos \frac{\pi \min(t, T)}{T}\right)

    Parameters
    ----------
    optimizer : torch optimizer
        Its ``lr`` is :math:`\eta_0`, per parameter group.
    total_steps : int >= 1
        :math:`T`, in calls of ``step()``: optimizer steps in the engine unless the part's spec names another counter.
    eta_min : float >= 0, default 0
        Where the decay ends.
    last_epoch : int, default -1
        Steps already done, minus one, as in torch.

    Raises
    ------
    InputError
        When ``total_steps`` or ``eta_min`` is out of range.

    Notes
    -----
    Past T the rate stays at ``eta_min``; ``torch.optim.lr_scheduler.CosineAnnealingLR`` climbs again there. Each value comes
    from the closed form, so a resumed schedule cannot drift.

    References
    ----------
    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017; 02#lr-cosine.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.total_steps = whole("CosineDecay: total_steps", total_steps)
        self.eta_min = check_number("CosineDecay: eta_min", eta_min, 0.0)
        super().__init__(optimizer, last_epoch)

    @property
    def length(self) -> int:
        """Steps until the floor."""
        return self.total_steps

    def rate(self, t: int, base: float) -> float:
        """Return the rate after ``t`` steps."""
        share = min(t, self.total_steps) / self.total_steps
        return self.eta_min + (base - self.eta_min) * 0.5 * (1 + math.cos(math.pi * share))
