"""Experience replay: a ring of transitions, sampled uniformly (Lin 1992; Mnih et al. 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import InputError


class ReplayBuffer:
    """A ring of the last ``capacity`` transitions (s, a, r, s', terminated).

    Only *termination* is stored: a time limit truncates an episode without ending the task, so its last transition still
    bootstraps from the final observation.

    Parameters
    ----------
    capacity : int >= 1
    observation_shape : tuple of int
    action_shape : tuple of int, () for discrete actions
    observation_dtype, action_dtype : NumPy dtypes
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        action_shape: tuple[int, ...] = (),
        observation_dtype: Any = np.float32,
        action_dtype: Any = np.int64,
    ) -> None:
        if capacity < 1:
            raise InputError(f"The capacity of a replay buffer must be at least 1, got {capacity}.")
        self.capacity = capacity
        self.arrays = {
            "observation": np.zeros((capacity, *observation_shape), dtype=observation_dtype),
            "action": np.zeros((capacity, *action_shape), dtype=action_dtype),
            "reward": np.zeros(capacity, dtype=np.float32),
            "next_observation": np.zeros((capacity, *observation_shape), dtype=observation_dtype),
            "terminated": np.zeros(capacity, dtype=np.float32),
        }
        self.position = 0
        self.full = False

    def __len__(self) -> int:
        return self.capacity if self.full else self.position

    def add(self, observation: Any, action: Any, reward: float, next_observation: Any, terminated: bool) -> None:
        """Store one transition over the oldest."""
        arrays, i = self.arrays, self.position
        arrays["observation"][i] = observation
        arrays["action"][i] = action
        arrays["reward"][i] = reward
        arrays["next_observation"][i] = next_observation
        arrays["terminated"][i] = terminated
        self.position = (i + 1) % self.capacity
        self.full = self.full or self.position == 0

    def extend(self, observation: Any, action: Any, reward: Any, next_observation: Any, terminated: Any) -> None:
        """Store several transitions, one a row and the oldest first; of more than ``capacity`` the last ones stay."""
        n = len(reward)
        rows = np.arange(max(0, n - self.capacity), n)
        places = (self.position + rows) % self.capacity
        for name, values in zip(self.arrays, (observation, action, reward, next_observation, terminated)):
            self.arrays[name][places] = values[rows]
        self.full = self.full or self.position + n >= self.capacity
        self.position = (self.position + n) % self.capacity

    def sample(self, size: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Return ``size`` transitions, drawn uniformly with replacement."""
        if len(self) == 0:
            raise InputError("The replay buffer is empty; collect at least one transition before sampling.")
        rows = generator.integers(0, len(self), size=size)
        return {name: array[rows] for name, array in self.arrays.items()}

    def get_state(self) -> dict[str, Any]:
        """Return the stored transitions and the position."""
        n = len(self)
        return {"arrays": {k: v[:n] for k, v in self.arrays.items()}, "position": self.position, "full": self.full}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        for name, values in state["arrays"].items():
            self.arrays[name][: len(values)] = values
        self.position, self.full = state["position"], state["full"]
