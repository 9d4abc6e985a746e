"""Every registered gradient optimizer on MNIST, each with the same search of the learning rate and the same seeds."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.cards import all_cards, get_card
from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.data.batches import Batches
from fivefold.data.datasets import load_dataset
from fivefold.demos.result import Result, ResultTable, save_figure
from fivefold.engine.runtime import seeded
from fivefold.models.nn.perceptron import Perceptron

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)
"""The grid that every optimizer searches; the best rates of the registered ones lie far apart."""

Rows = tuple[Tensor, Tensor]


def optimizer_ids() -> list[str]:
    """Return the id of every gradient optimizer that has a card, in the order of the alphabet."""
    return sorted(card.id for card in all_cards().values() if card.kind == "gradient-optimizer")


@dataclass(frozen=True)
class Split:
    """Training rows, rows on which rates are chosen, and rows that are looked at last."""

    train: Rows
    validation: Rows
    test: Rows


def split(seed: int, train: int, held_out: int) -> Split:
    """Return disjoint rows of MNIST: ``train`` rows, and ``held_out`` each for validation and for the test.

    The rows are the same for every seed of the trainings; where the published split is at hand, the test rows are from its
    test part and all others from its training part.
    """
    found = load_dataset("mnist")
    x = torch.as_tensor(np.ascontiguousarray(found.arrays["x"])).reshape(-1, 784)
    y = torch.as_tensor(found.arrays["y"])
    random = Streams(seed).numpy("bake-off/split")
    if {"train", "test"} <= set(found.rows):
        inner, outer = (random.permutation(np.asarray(found.rows[part])) for part in ("train", "test"))
    else:
        order = random.permutation(len(x))
        inner, outer = order[held_out:], order[:held_out]
    if train + held_out > len(inner) or held_out > len(outer):
        raise InputError(
            f"{train} training rows and twice {held_out} held-out rows are more than the {len(x)} images of MNIST at hand."
        )
    parts = (inner[:train], inner[train : train + held_out], outer[:held_out])
    return Split(*((x[rows], y[rows]) for rows in map(torch.as_tensor, parts)))


@dataclass(frozen=True)
class Training:
    """What one training came to: errors (shares of wrong answers), seconds of a step, and whether it stayed finite."""

    validation_error: float
    test_error: float
    seconds: float
    finite: bool


def train(name: str, rate: float, data: Split, seed: int, epochs: int, batch_size: int, hidden: int) -> Training:
    """Train a perceptron with one optimizer at one rate; all other settings are the defaults of its card.

    The first weights and the order of the batches depend on the seed alone. A training whose loss is not finite ends there and
    counts as wrong on every row.
    """
    card = get_card(name)
    with seeded(Streams(seed), "bake-off/weights"):
        net = Perceptron((784, hidden, 10))
    optimizer: Any = card.load()(net.parameters(), lr=rate, **card.defaults)
    params = list(net.parameters())
    batches = Batches({"x": data.train[0], "y": data.train[1]}, batch_size, seed=seed)
    seconds = []
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            began = time.perf_counter()

            def closure(x: Tensor = batch.x, y: Tensor = batch.y) -> Tensor:
                loss = nn.functional.cross_entropy(net(x), y)
                # The graph stays: some optimizers differentiate the loss themselves, or twice.
                for p, gradient in zip(params, torch.autograd.grad(loss, params, retain_graph=True), strict=True):
                    p.grad = gradient
                return loss

            loss = float(optimizer.step(closure).detach())
            seconds.append(time.perf_counter() - began)
            if not math.isfinite(loss):
                return Training(1.0, 1.0, float(np.median(seconds)), False)
    with torch.no_grad():
        answers = [(net(x), y) for x, y in (data.validation, data.test)]
    if not all(bool(torch.isfinite(out).all()) for out, _ in answers):
        return Training(1.0, 1.0, float(np.median(seconds)), False)
    errors = [float((out.argmax(dim=1) != y).double().mean()) for out, y in answers]
    return Training(errors[0], errors[1], float(np.median(seconds)), True)


@dataclass(frozen=True)
class Standing:
    """What one optimizer reached: all its trainings (rates, seeds), and the rate that validation chose."""

    name: str
    trainings: Sequence[Sequence[Training]]
    chosen: int

    @property
    def test_errors(self) -> np.ndarray:
        """Test error of each seed at the chosen rate, (seeds,)."""
        return np.array([t.test_error for t in self.trainings[self.chosen]])

    @property
    def validation(self) -> np.ndarray:
        """Mean validation error of each rate, (rates,)."""
        return np.array([np.mean([t.validation_error for t in seeds]) for seeds in self.trainings])

    @property
    def seconds(self) -> float:
        """Median seconds of a step at the chosen rate."""
        return float(np.median([t.seconds for t in self.trainings[self.chosen]]))

    @property
    def diverged(self) -> int:
        """Trainings whose loss was not finite."""
        return sum(not t.finite for seeds in self.trainings for t in seeds)


def choose(trainings: Sequence[Sequence[Training]]) -> int:
    """Return the number of the rate with the least mean validation error; of equal ones the smallest rate."""
    return int(np.argmin([np.mean([t.validation_error for t in seeds]) for seeds in trainings]))


@dataclass
class OptimizerBakeOff:
    """Compare all gradient optimizers on MNIST with a perceptron of one hidden layer.

    Each gets the same grid of learning rates, the same epochs and the same seeds. The rate is chosen by the mean error on the
    validation rows over all seeds; the test rows are looked at for the chosen one only.

    Parameters
    ----------
    optimizers : sequence of ids, optional
        Default: every gradient optimizer that has a card.
    rates : sequence of float > 0, default 1e-4 to 3, two a decade
    seeds : int >= 1, default 3
        First weights and orders of the batches, the same ones for every optimizer.
    epochs : int >= 1, default 5
    batch_size : int >= 1, default 128
    train_rows, held_out_rows : int >= 1, default 6000 and 2000
        ``held_out_rows`` is the size of the validation and of the test part.
    hidden : int >= 1, default 64
    """

    optimizers: Sequence[str] | None = None
    rates: Sequence[float] = RATES
    seeds: int = 3
    epochs: int = 5
    batch_size: int = 128
    train_rows: int = 6000
    held_out_rows: int = 2000
    hidden: int = 64

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Train every optimizer at every rate and write ``bake-off.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
            Of the split; the trainings take this seed and those that follow it.
        out : path of a directory, made if it is not there
        quick : bool, default False
            Every third rate from the third on, two seeds, one epoch of 640 rows: a rehearsal, no comparison.

        Returns
        -------
        Result
            For each optimizer: mean and standard deviation of the test error over the seeds, the chosen rate, seconds of a step;
            and a table of them.
        """
        names = list(self.optimizers) if self.optimizers is not None else optimizer_ids()
        self._check(names)
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        rates, seeds = list(self.rates), self.seeds
        epochs, rows, held_out = self.epochs, self.train_rows, self.held_out_rows
        if quick:
            rates, seeds, epochs, rows, held_out = rates[2::3] or rates, min(seeds, 2), 1, 640, 500
        data = split(seed, rows, held_out)
        standings = []
        for name in names:
            trainings = [
                [train(name, rate, data, seed + k, epochs, self.batch_size, self.hidden) for k in range(seeds)]
                for rate in rates
            ]
            standings.append(Standing(name, trainings, choose(trainings)))
        standings.sort(key=lambda s: (float(s.test_errors.mean()), s.name))
        numbers: dict[str, float] = {"optimizers": float(len(names)), "trainings each": float(len(rates) * seeds)}
        for s in standings:
            numbers[f"{s.name}: test error"] = float(s.test_errors.mean())
            numbers[f"{s.name}: spread of the test error"] = _spread(s.test_errors)
            numbers[f"{s.name}: learning rate"] = float(rates[s.chosen])
            numbers[f"{s.name}: seconds per step"] = s.seconds
        path = self._draw(folder / "bake-off.png", standings, rates, 70 if quick else 120)
        return Result(
            numbers, [path], self._text(standings, rates, seeds), [self._table(standings, rates, rows, held_out)]
        )

    def _check(self, names: list[str]) -> None:
        known = optimizer_ids()
        for name in names:
            if name not in known:
                raise InputError(
                    f"The bake-off compares gradient optimizers; {name!r} is none. Known: {', '.join(known)}."
                )
        if not names or not self.rates or min(self.rates) <= 0 or list(self.rates) != sorted(set(self.rates)):
            raise InputError(
                "The bake-off needs at least one optimizer, and learning rates above 0 in rising order; "
                f"got {len(names)} optimizers and the rates {list(self.rates)}."
            )
        sizes = (self.seeds, self.epochs, self.batch_size, self.train_rows, self.held_out_rows, self.hidden)
        if min(sizes) < 1:
            raise InputError(f"All counts of the bake-off must be at least 1; got {self}.")

    def _table(self, standings: Sequence[Standing], rates: Sequence[float], rows: int, held_out: int) -> ResultTable:
        return ResultTable(
            "Test errors",
            ["optimizer", "test error", "spread", "validation error", "learning rate", "ms per step", "diverged"],
            [
                [
                    s.name,
                    f"{s.test_errors.mean():.2%}",
                    f"{_spread(s.test_errors):.2%}",
                    f"{s.validation[s.chosen]:.2%}",
                    f"{rates[s.chosen]:g}" + (" (edge of the grid)" if s.chosen in (0, len(rates) - 1) else ""),
                    f"{1000 * s.seconds:.2f}",
                    s.diverged,
                ]
                for s in standings
            ],
            f"{rows:,} training rows of MNIST, {held_out:,} for choosing the rate, {held_out:,} for the test. Spread: standard "
            "deviation over the seeds. A step is forward, backward and update. Diverged: trainings without a finite end.",
        )

    def _draw(self, path: Path, standings: Sequence[Standing], rates: Sequence[float], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.5, 1.6 + 0.27 * len(standings)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        places = range(len(standings))
        for place, s in zip(places, standings):
            left.plot(100 * s.test_errors, [place] * len(s.test_errors), "o", ms=4, mfc="none", color="#4c78a8")
            left.plot([100 * s.test_errors.mean()], [place], "|", ms=11, mew=2, color="#e45756")
        left.set_yticks(list(places), [s.name for s in standings], fontsize=9)
        left.set_ylim(len(standings) - 0.5, -0.5)
        left.set_xlabel("test error in %: each seed (circles), mean (bar)")
        left.grid(axis="x", alpha=0.3)
        errors = np.array([s.validation for s in standings])
        # Errors differ by factors, so their logarithm is what the colors show.
        image = right.imshow(np.log10(np.maximum(100 * errors, 0.1)), aspect="auto", cmap="viridis_r")
        for place, s in zip(places, standings):
            right.plot([s.chosen], [place], "o", ms=8, mfc="none", mec="white", mew=1.6)
        right.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates], fontsize=8, rotation=45)
        right.set_xlabel("learning rate (circle: chosen)")
        right.tick_params(axis="y", length=0)
        bar = figure.colorbar(image, ax=right)
        low, high = image.get_clim()
        ticks = [t for t in (1, 2, 5, 10, 20, 50, 100) if low <= math.log10(t) <= high + 1e-9]
        bar.set_ticks([math.log10(t) for t in ticks], labels=[str(t) for t in ticks])
        bar.set_label("validation error in %")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, standings: Sequence[Standing], rates: Sequence[float], seeds: int) -> str:
        best, last = standings[0], standings[-1]
        top = float(best.test_errors.mean())
        near = [s.name for s in standings if s is not best and _near(s, best)]
        edge = [s.name for s in standings if s.chosen in (0, len(rates) - 1)]
        noise = (
            f"Within two standard errors of it: {', '.join(near)}."
            if near
            else "No other is within two standard errors of it."
        )
        if seeds == 1:
            noise = "With one seed nothing can be said of the noise."
        bounds = (
            f"The chosen rate of {', '.join(edge)} is at the edge of the grid, so a wider one might serve better."
            if edge
            else "No chosen rate is at the edge of the grid."
        )
        return (
            f"Least test error: {best.name} with {top:.2%} at the rate {rates[best.chosen]:g}; the largest is that of "
            f"{last.name}, {last.test_errors.mean():.2%}. {noise}\n\n"
            f"Each of the {len(standings)} optimizers was trained {len(rates) * seeds} times: {len(rates)} rates, {seeds} "
            f"seeds. The rate was chosen on validation rows alone. {bounds} Other settings are defaults, so this compares "
            "optimizers with only their rate tuned, on one small network."
        )


def _spread(errors: np.ndarray) -> float:
    return float(errors.std(ddof=1)) if len(errors) > 1 else 0.0


def _near(one: Standing, best: Standing) -> bool:
    """Return whether the paired difference of test errors over the seeds is within two standard errors."""
    difference = one.test_errors - best.test_errors
    return bool(difference.mean() <= 2 * _spread(difference) / math.sqrt(len(difference)))
