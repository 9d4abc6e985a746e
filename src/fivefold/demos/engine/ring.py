"""The ring all-reduce step by step: which sums each worker holds, and what each sends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.result import Result, save_figure
from fivefold.engine.ring import ring_allreduce


def held_sums(workers: int) -> list[np.ndarray]:
    """Return, before and after every step, how many workers' numbers each worker's chunk is the sum of.

    Returns
    -------
    list of 2 (N - 1) + 1 int arrays (workers, chunks)
    """
    held = np.ones((workers, workers), dtype=int)
    states = [held.copy()]
    rank = np.arange(workers)
    left = (rank - 1) % workers
    for step in range(workers - 1):
        chunk = (rank - step - 1) % workers  # that each worker receives
        held[rank, chunk] += states[-1][left, chunk]
        states.append(held.copy())
    for step in range(workers - 1):
        chunk = (rank - step) % workers
        held[rank, chunk] = states[-1][left, chunk]
        states.append(held.copy())
    return states


@dataclass
class RingDemo:
    """Sum random gradients over rings of several sizes; compare the busiest worker with that of a central server.

    Parameters
    ----------
    elements : int >= 1, default 1000003
        Numbers that each worker holds, float32; a prime, so that the chunks are uneven.
    workers : sequence of int >= 1, default (1, 2, 3, 4, 8, 16)
        Sizes of the rings.
    shown : int >= 2, default 4
        Size of the ring whose steps are drawn.
    """

    elements: int = 1_000_003
    workers: Sequence[int] = (1, 2, 3, 4, 8, 16)
    shown: int = 4

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the rings and write ``steps.png`` and ``bytes.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A hundredth of the elements.

        Returns
        -------
        Result
            For each size: steps, bytes of the busiest worker, bytes through a central server, the largest relative error of the
            sum, and whether all workers hold the same bits.
        """
        if self.elements < 1 or not self.workers or min(self.workers) < 1 or self.shown < 2:
            raise InputError(
                f"The demonstration needs elements >= 1, workers >= 1 each and at least two workers shown; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        elements = max(1, self.elements // 100) if quick else self.elements
        numbers: dict[str, float] = {"bytes of one worker's numbers": 4.0 * elements}
        for size in self.workers:
            generator = Streams(seed).torch("gradients", size)
            held = [torch.randn(elements, generator=generator) for _ in range(size)]
            sums, traffic = ring_allreduce(held)
            exact = torch.stack(held).double().sum(dim=0)
            scale = torch.stack(held).double().abs().sum(dim=0)
            key = f"{size} workers"
            numbers[f"{key}: steps"] = float(traffic.steps)
            numbers[f"{key}: bytes of the busiest worker"] = float(max(traffic.sent_bytes))
            # The server takes in the numbers of all others and sends each the sum.
            numbers[f"{key}: bytes through a central server"] = 2.0 * (size - 1) * 4 * elements
            numbers[f"{key}: largest relative error"] = float(((sums[0].double() - exact).abs() / scale).max())
            numbers[f"{key}: workers with the same bits"] = float(sum(torch.equal(sums[0], other) for other in sums))
        dpi = 60 if quick else 120
        figures = [
            self._draw_steps(folder / "steps.png", dpi),
            self._draw_bytes(folder / "bytes.png", numbers, dpi),
        ]
        return Result(numbers, figures, self._text(numbers))

    def _draw_steps(self, path: Path, dpi: int) -> Path:
        from matplotlib.figure import Figure

        states = held_sums(self.shown)
        columns = min(len(states), 4)
        rows = -(-len(states) // columns)
        figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.3), layout="constrained")
        grid: Any = figure.subplots(rows, columns, squeeze=False)
        for index, axes in enumerate(grid.flat):
            if index >= len(states):
                axes.set_visible(False)
                continue
            axes.imshow(states[index], cmap="Blues", vmin=0, vmax=1.4 * self.shown)
            for (worker, chunk), value in np.ndenumerate(states[index]):
                axes.text(chunk, worker, str(value), ha="center", va="center", fontsize=9)
            phase = "start" if index == 0 else "reduce-scatter" if index < self.shown else "all-gather"
            axes.set_title(phase if index == 0 else f"step {index}: {phase}", fontsize=9)
            axes.set_xticks(range(self.shown))
            axes.set_yticks(range(self.shown))
            axes.set_xlabel("chunk", fontsize=8)
            axes.set_ylabel("worker", fontsize=8)
        figure.suptitle("How many workers' numbers each chunk is the sum of", fontsize=10)
        save_figure(figure, path, dpi=dpi)
        return path

    def _draw_bytes(self, path: Path, numbers: dict[str, float], dpi: int) -> Path:
        from matplotlib.figure import Figure

        own = numbers["bytes of one worker's numbers"]
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.subplots()
        for name, color, label in (
            ("bytes of the busiest worker", "#4c78a8", "ring: the busiest worker sends"),
            ("bytes through a central server", "#e45756", "central server: takes in and sends"),
        ):
            values = [numbers[f"{size} workers: {name}"] / own for size in self.workers]
            axes.plot(self.workers, values, "o-", color=color, label=label)
        axes.axhline(2, color="gray", linestyle=":", label="2, the limit of the ring")
        axes.set_xlabel("workers")
        axes.set_ylabel("bytes, in units of one worker's numbers")
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        most, own = max(self.workers), numbers["bytes of one worker's numbers"]
        ring = numbers[f"{most} workers: bytes of the busiest worker"] / own
        server = numbers[f"{most} workers: bytes through a central server"] / own
        top = max(numbers[f"{size} workers: bytes of the busiest worker"] / own for size in self.workers)
        same = all(numbers[f"{size} workers: workers with the same bits"] == size for size in self.workers)
        worst = max(numbers[f"{size} workers: largest relative error"] for size in self.workers)
        return (
            f"With {most} workers the ring takes {numbers[f'{most} workers: steps']:.0f} steps, and its busiest worker sends "
            f"{ring:.3f} times its own numbers; a central server would move {server:.0f} times them. The most "
            f"that any worker of any ring here sends is {top:.3f} times its numbers; the bound is 2.\n\n"
            f"{'All workers end with the same bits' if same else 'The workers do not all end with the same bits'}; the sums "
            f"differ from those in float64 by at most {worst:.1e} of the sum of sizes."
        )
