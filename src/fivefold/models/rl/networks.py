"""Networks that read observations: a perceptron for vectors, the convolutions of Mnih et al. 2015 for frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fivefold.base.errors import CapabilityError
from fivefold.models.nn.perceptron import Perceptron


class FrameNetwork(nn.Module):
    """Convolutions 32 of 8x8 by 4, 64 of 4x4 by 2, 64 of 3x3 by 1, then 512 dense units, over frames of bytes.

    Shapes
    ------
    Input (N, frames, height, width) of uint8, output (N, n_outputs). 84 x 84 frames give 64 x 7 x 7 maps.
    """

    def __init__(self, shape: Sequence[int], n_outputs: int) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(shape[0], 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            width = self.maps(torch.zeros(1, *shape)).shape[1]
        self.head = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return one row of outputs an observation."""
        return self.head(self.maps(x.float() / 255))


def observation_network(shape: Sequence[int], n_outputs: int, hidden_layer_sizes: Sequence[int]) -> nn.Module:
    """Return the network that fits observations of ``shape``: vectors or frames."""
    if len(shape) == 1:
        return Perceptron((shape[0], *hidden_layer_sizes, n_outputs), "relu")
    if len(shape) == 3 and min(shape[1:]) >= 36:
        return FrameNetwork(shape, n_outputs)
    raise CapabilityError(
        f"There is no network for observations of shape {tuple(shape)}: give vectors, or frames (frames, height, width) of at "
        "least 36 x 36; wrap the environment (FlattenObservation, FrameStackObservation) to get there."
    )
