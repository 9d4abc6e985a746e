"""How active a user is, from when they came back: a survival function that jumps at every return (Zheng et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class UserActiveness:
    r"""Activeness decays with a constant hazard and jumps by :math:`S_a` when the user returns, never above 1.

    .. math:: S(t) = S(t_0)\, e^{-\int_{t_0}^{t} \lambda(x)\, dx} = S(t_0)\, e^{-\lambda_0 (t - t_0)}, \qquad
              S(t_i^+) = \min\{S(t_i^-) + S_a, 1\}, \qquad S_0 e^{-\lambda_0 T_0} + S_a = S_0

    so that a user who returns every :math:`T_0` stays at :math:`S_0` after each return.

    Parameters
    ----------
    initial : float in (0, 1), default 0.5
        :math:`S_0`.
    hazard : float > 0, default 0.0432
        :math:`\lambda_0` per hour, which is the paper's 1.2e-5 per second.
    period : float > 0, default 24.0
        :math:`T_0` in hours. The paper's :math:`S_a = 0.32` is 0.3227 with these.
    """

    initial: float = 0.5
    hazard: float = 0.0432
    period: float = 24.0

    @property
    def jump(self) -> float:
        r""":math:`S_a = S_0 (1 - e^{-\lambda_0 T_0})`."""
        return float(-self.initial * np.expm1(-self.hazard * self.period))

    def decayed(self, level: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """Return the activeness ``hours`` after it was ``level``, while the user stays away."""
        return np.asarray(level * np.exp(-self.hazard * hours))

    def returned(self, level: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """Return the activeness of users who come back ``hours`` after it was ``level``."""
        return np.minimum(self.decayed(level, hours) + self.jump, 1.0)

    def expected_absence(self, level: np.ndarray) -> np.ndarray:
        r"""Return :math:`\int_0^\infty S(t)\, dt = S / \lambda_0`, the hours until the next return as the paper reads S."""
        return np.asarray(level / self.hazard)
