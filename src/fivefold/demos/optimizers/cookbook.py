"""A bake-off of optimizers: rules for choosing one, confirmed or contested on a sparse, a convolutional and a GAN problem."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.data.datasets import load_dataset
from fivefold.demos.result import Result, save_figure
from fivefold.optimizers.gradient.accumulators import Adagrad, RMSprop
from fivefold.optimizers.gradient.adam import Adam
from fivefold.optimizers.gradient.descent import SGD, Nesterov
from fivefold.optimizers.gradient.momentum import Momentum
from fivefold.optimizers.gradient.swats import SWATS

MAKERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adam-half": lambda p, lr: Adam(p, lr=lr, betas=(0.5, 0.999)),
    "swats": lambda p, lr: SWATS(p, lr=lr, tolerance=1e-4),
}
RATES = {
    "sgd": (0.02, 0.1, 0.5, 2.0, 10.0),
    "momentum": (0.001, 0.01, 0.05, 0.2, 1.0),
    "nesterov": (0.001, 0.01, 0.05, 0.2, 1.0),
    "adagrad": (0.003, 0.01, 0.05, 0.2, 1.0),
    "rmsprop": (3e-4, 1e-3, 5e-3, 0.02, 0.1),
    "adam": (3e-4, 1e-3, 5e-3, 0.02, 0.1),
    "adam-half": (3e-4, 1e-3, 5e-3, 0.02, 0.1),
    "swats": (3e-4, 1e-3, 5e-3, 0.02, 0.1),
}
"""Learning rates to choose from, of each optimizer; the middle one serves a quick run."""


class Setting(NamedTuple):
    """One way to train: an optimizer, how much of the steps, and whether rows are shuffled and the rate decays."""

    optimizer: str
    share: float = 1.0
    shuffle: bool = True
    decay: bool = False


class Rule(NamedTuple):
    """A piece of advice: on a problem, one setting is better than another."""

    advice: str
    problem: str
    better: Setting
    worse: Setting


RULES = (
    Rule("sparse data: AdaGrad before SGD", "sparse", Setting("adagrad"), Setting("sgd")),
    Rule("sparse data: RMSprop before SGD", "sparse", Setting("rmsprop"), Setting("sgd")),
    Rule("sparse data: Adam before SGD", "sparse", Setting("adam"), Setting("sgd")),
    Rule("default: Nesterov before plain SGD", "cnn", Setting("nesterov"), Setting("sgd")),
    Rule("in design (few steps): Adam before SGD", "cnn", Setting("adam", share=0.25), Setting("sgd", share=0.25)),
    Rule("at release (all steps): Nesterov before Adam", "cnn", Setting("nesterov"), Setting("adam")),
    Rule("Adam, then SGD, before Adam alone", "cnn", Setting("swats"), Setting("adam")),
    Rule("shuffled before sorted data", "cnn", Setting("adam"), Setting("adam", shuffle=False)),
    Rule("decayed before constant rate", "cnn", Setting("nesterov", decay=True), Setting("nesterov")),
    Rule("GAN: RMSprop before momentum", "gan", Setting("rmsprop"), Setting("momentum")),
    Rule("GAN: RMSprop before Nesterov", "gan", Setting("rmsprop"), Setting("nesterov")),
    Rule("GAN: RMSprop before Adam with beta1 = 0.5", "gan", Setting("rmsprop"), Setting("adam-half")),
)


def verdict(better: np.ndarray, worse: np.ndarray) -> tuple[str, float]:
    """Judge a rule from the losses of both settings, one a seed and paired.

    Returns
    -------
    verdict : "confirmed", "contested" or "undecided"
        By whether the mean difference is from 0 by Student's two-sided test at the level 0.05.
    score : float
        The mean difference ``worse - better`` in standard errors; 0 where both are equal.
    """
    difference = np.asarray(worse, dtype=float) - np.asarray(better, dtype=float)
    error = float(difference.std(ddof=1) / math.sqrt(len(difference)))
    mean = float(difference.mean())
    score = mean / error if error > 0 else math.copysign(1e6, mean) if mean else 0.0
    bound = float(stats.t.ppf(0.975, len(difference) - 1))
    return ("confirmed" if score > bound else "contested" if score < -bound else "undecided"), score


def energy_distance(a: Tensor, b: Tensor) -> float:
    """Return 2 E|A - B| - E|A - A'| - E|B - B'| of two samples (n, d) and (m, d): 0 for equal ones, never negative."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


@dataclass
class OptimizerCookbook:
    """Try the rules with each optimizer at the best rate of a small grid, over several seeds.

    Parameters
    ----------
    seeds : int >= 2, default 5
    steps : int >= 4, default 200
        Updates of each training.
    batch_size : int >= 1, default 32
    """

    seeds: int = 5
    steps: int = 200
    batch_size: int = 32

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Train everything the rules compare and write ``rules.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            3 seeds, 20 steps and the middle rate of each grid: too little to trust, enough to see it run.

        Returns
        -------
        Result
            For each rule the mean difference of the losses in its favor in standard errors, and 1, 0 or -1 for confirmed,
            undecided or contested.
        """
        if self.seeds < 2 or self.steps < 4 or self.batch_size < 1:
            raise InputError(f"The cookbook needs seeds >= 2, steps >= 4 and batch_size >= 1; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        seeds, steps = (3, 20) if quick else (self.seeds, self.steps)
        problems: dict[str, Problem] = {"sparse": SparseLogistic(seed), "cnn": DigitsNetwork(), "gan": RingGAN()}
        losses: dict[tuple[str, Setting], np.ndarray] = {}
        for rule in RULES:
            for setting in (rule.better, rule.worse):
                if (rule.problem, setting) not in losses:
                    grid = RATES[setting.optimizer][2:3] if quick else RATES[setting.optimizer]
                    found = np.array(
                        [
                            [
                                problems[rule.problem].train(
                                    setting, rate, steps, self.batch_size, Streams(seed).child(str(s))
                                )
                                for s in range(seeds)
                            ]
                            for rate in grid
                        ]
                    )  # (rates, seeds)
                    losses[rule.problem, setting] = found[np.argmin(found.mean(axis=1))]
        numbers: dict[str, float] = {}
        judged: dict[str, tuple[str, float]] = {}
        for rule in RULES:
            better, worse = losses[rule.problem, rule.better], losses[rule.problem, rule.worse]
            judged[rule.advice] = verdict(better, worse)
            numbers[f"{rule.advice}: loss"] = float(better.mean())
            numbers[f"{rule.advice}: loss of the other"] = float(worse.mean())
            numbers[f"{rule.advice}: standard errors in favor"] = judged[rule.advice][1]
            numbers[f"{rule.advice}: verdict"] = {"confirmed": 1.0, "undecided": 0.0, "contested": -1.0}[
                judged[rule.advice][0]
            ]
        figure = self._draw(folder / "rules.png", judged, 60 if quick else 120)
        parts = []
        for kind in ("confirmed", "contested", "undecided"):
            named = [advice for advice, (found_kind, _) in judged.items() if found_kind == kind]
            parts.append(f"{kind.capitalize()} ({len(named)} of {len(RULES)}): {'; '.join(named) or 'none'}.")
        parts.append(
            f"Every optimizer had its best of {1 if quick else len(RATES['sgd'])} rate(s), over {seeds} seeds and {steps} "
            "steps; losses are of rows held out, for the GAN the energy distance between its samples and the data."
        )
        return Result(numbers, [figure], "\n\n".join(parts))

    def _draw(self, file: Path, judged: dict[str, tuple[str, float]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 4.8), layout="constrained")
        axes = figure.subplots()
        colors = {"confirmed": "#54a24b", "contested": "#e45756", "undecided": "#bab0ac"}
        names = list(judged)[::-1]
        axes.barh(
            names, [float(np.clip(judged[n][1], -20, 20)) for n in names], color=[colors[judged[n][0]] for n in names]
        )
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel(
            "standard errors in favor of the rule (cut at 20)\ngreen: confirmed, red: contested, gray: undecided"
        )
        save_figure(figure, file, dpi=dpi)
        return file


def _optimizer(module: nn.Module, name: str, rate: float) -> torch.optim.Optimizer:
    return MAKERS[name](module.parameters(), lr=rate)


def _rows(order: np.random.Generator, labels: np.ndarray, setting: Setting, steps: int, size: int) -> np.ndarray:
    """Return the rows of every batch (steps, size): shuffled passes, or the rows sorted by their label again and again."""
    n, wanted = len(labels), steps * size
    passes = -(-wanted // n)
    by_label = np.argsort(labels, kind="stable")
    all_rows = np.concatenate([order.permutation(n) if setting.shuffle else by_label for _ in range(passes)])
    return all_rows[:wanted].reshape(steps, size)


def _fit(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    setting: Setting,
    rate: float,
    steps: int,
    size: int,
    streams: Streams,
) -> float:
    """Train a module and return its loss on the rows held out."""
    optimizer = _optimizer(module, setting.optimizer, rate)
    steps = max(1, int(steps * setting.share))
    x, y = train
    for step, rows in enumerate(_rows(streams.numpy("rows"), y.numpy(), setting, steps, size)):
        if setting.decay:
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        index = torch.as_tensor(rows)
        loss(module(x[index]), y[index]).backward()
        optimizer.step()
    with torch.no_grad():
        found = float(loss(module(test[0]), test[1]))
    return found if math.isfinite(found) else 1e3


class Problem(Protocol):
    """A task that is trained with a setting and returns the loss it ends with."""

    def train(self, setting: Setting, rate: float, steps: int, size: int, streams: Streams) -> float: ...


class SparseLogistic:
    """Logistic regression on rows with 5 of 300 features, some frequent, most rare."""

    def __init__(self, seed: int) -> None:
        random = Streams(seed).numpy("sparse")
        features, n = 300, 3000
        share = 1 / np.arange(1, features + 1)
        columns = random.choice(features, size=(n, 5), p=share / share.sum())
        x = np.zeros((n, features), dtype=np.float32)
        np.put_along_axis(x, columns, 1.0, axis=1)
        score = x @ (3 * random.standard_normal(features))
        y = (random.uniform(size=n) < 1 / (1 + np.exp(-score))).astype(np.float32)
        self.train_rows = torch.as_tensor(x[:2000]), torch.as_tensor(y[:2000])
        self.test_rows = torch.as_tensor(x[2000:]), torch.as_tensor(y[2000:])

    def train(self, setting: Setting, rate: float, steps: int, size: int, streams: Streams) -> float:
        module = nn.Sequential(nn.Linear(300, 1), nn.Flatten(0))
        nn.init.zeros_(module[0].weight)
        nn.init.zeros_(module[0].bias)
        loss = nn.functional.binary_cross_entropy_with_logits
        return _fit(module, loss, self.train_rows, self.test_rows, setting, rate, steps, size, streams)


class DigitsNetwork:
    """A small convolutional network on the 8 x 8 digits."""

    def __init__(self) -> None:
        x, y = load_dataset("digits").xy()
        images = torch.as_tensor(np.asarray(x, dtype=np.float32) / 16).reshape(-1, 1, 8, 8)
        labels = torch.as_tensor(np.asarray(y).astype(np.int64))
        self.train_rows = images[:1200], labels[:1200]
        self.test_rows = images[1200:], labels[1200:]

    def train(self, setting: Setting, rate: float, steps: int, size: int, streams: Streams) -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.integer("weights"))
            module = nn.Sequential(
                nn.Conv2d(1, 8, 3),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.Linear(72, 32),
                nn.ReLU(),
                nn.Linear(32, 10),
            )
        loss = nn.functional.cross_entropy
        return _fit(module, loss, self.train_rows, self.test_rows, setting, rate, steps, size, streams)


class RingGAN:
    """A small GAN on eight Gaussians in a ring; its loss is the energy distance of 500 samples from the data."""

    def train(self, setting: Setting, rate: float, steps: int, size: int, streams: Streams) -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.integer("weights"))
            generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
            critic = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
        players = [_optimizer(module, setting.optimizer, rate) for module in (generator, critic)]
        draws, loss = streams.torch("draws"), nn.functional.softplus
        for _ in range(steps):
            real, noise = self._data(size, draws), torch.randn(size, 4, generator=draws)
            fake = generator(noise)
            players[1].zero_grad()
            (loss(-critic(real)).mean() + loss(critic(fake.detach())).mean()).backward()
            players[1].step()
            players[0].zero_grad()
            loss(-critic(fake)).mean().backward()
            players[0].step()
        with torch.no_grad():
            found = energy_distance(generator(torch.randn(500, 4, generator=draws)), self._data(500, draws))
        return found if math.isfinite(found) else 1e3

    def _data(self, size: int, draws: torch.Generator) -> Tensor:
        angle = torch.randint(8, (size,), generator=draws) * (math.pi / 4)
        center = torch.stack([angle.cos(), angle.sin()], 1)
        return center + 0.05 * torch.randn(size, 2, generator=draws)
