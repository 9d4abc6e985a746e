"""Histograms on a device: bins, gradients and sums as torch tensors (Zhang, Si & Hsieh 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fivefold.base.errors import InputError

from ._histograms import BINS
from ._stepwise import Histogram, StepwiseGrower

_CELLS = 1 << 24  # any value: cells (rows x columns) added at a time


def chosen_device(name: Any) -> torch.device:
    """Return the device a name stands for; "auto" is CUDA where there is one, else the CPU."""
    if name not in ("auto", "cpu", "cuda", "gpu"):
        raise InputError(f"`device` is {name!r}; give 'auto', 'cpu' or 'cuda'.")
    there = torch.cuda.is_available()
    if name in ("cuda", "gpu") and not there:
        raise InputError(f"`device` is {name!r}, but torch finds no CUDA device here; give 'auto' or 'cpu'.")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


class DeviceGrower(StepwiseGrower):
    """Sums histograms on a device by scattered additions of whole numbers; splits are searched on the host.

    Bins lie on the device for the whole fit, gradients for a tree; the rows of a node travel there and its histogram back.
    """

    device = torch.device("cpu")

    def on(self, device: torch.device) -> DeviceGrower:
        """Place the bins on a device."""
        self.device = device
        self.bins = torch.from_numpy(self.binned.columns).to(device)  # (d, n) uint8
        return self

    def _packed(self, g: np.ndarray, h: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
        unit, root = super()._packed(g, h, rows)
        packed = torch.from_numpy(self.packed).to(self.device)
        self.pair = torch.stack([packed >> 32, packed & 0xFFFFFFFF])  # (2, n)
        return unit, root

    def _summed(self, rows: np.ndarray) -> Histogram:
        d = len(self.bins)
        sums = torch.zeros((2, d, BINS), dtype=torch.int64, device=self.device)
        counts = torch.zeros((d, BINS), dtype=torch.int64, device=self.device)
        step = max(1, _CELLS // d)
        for begin in range(0, len(rows), step):
            some = torch.from_numpy(rows[begin : begin + step].astype(np.int64)).to(self.device)
            index = self.bins[:, some].long()  # (d, m)
            for kind in range(2):
                sums[kind].scatter_add_(1, index, self.pair[kind, some].expand(d, -1))
            counts.scatter_add_(1, index, torch.ones((), dtype=torch.int64, device=self.device).expand_as(index))
        host = sums.permute(1, 2, 0).contiguous().cpu().numpy()  # (d, 256, 2)
        return Histogram(host.reshape(-1), counts.to(torch.int32).cpu().numpy().reshape(-1))
