"""A leaderboard: the score that one tunes on is optimistic, the score on rows kept apart is not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

from fivefold.base.errors import InputError
from fivefold.base.random import Streams

from ..result import Result, save_figure


def expected_best(submissions: int, rows: int, skill: float) -> float:
    r"""Return the expected best share of right answers of independent submissions, :math:`\frac1n \sum_{k<n} (1 - F(k)^m)`."""
    below = binom.cdf(np.arange(rows), rows, skill)  # (n,) P(right <= k)
    return float(np.sum(1.0 - below**submissions) / rows)


@dataclass
class LeaderboardDemo:
    """Let many submissions of equal skill compete on a public test set and look at the winner's private score.

    Parameters
    ----------
    rows : int >= 10, default 500
        Rows of the public and of the private test set.
    skill : float in (0, 1), default 0.7
        Probability of every submission to be right on a row.
    submissions : tuple of int, default (1, 3, 10, 30, 100, 300)
    repeats : int >= 10, default 2000
    """

    rows: int = 500
    skill: float = 0.7
    submissions: tuple[int, ...] = (1, 3, 10, 30, 100, 300)
    repeats: int = 2000

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Hold ``repeats`` contests of each size and write ``leaderboard.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            A tenth of the repeats.

        Returns
        -------
        Result
            For each number of submissions the winner's mean public and private accuracy, and the expected public one.
        """
        if self.rows < 10 or not 0 < self.skill < 1 or self.repeats < 10 or not self.submissions:
            raise InputError(f"The demonstration needs rows >= 10, skill in (0, 1) and repeats >= 10; got {self}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        repeats = max(10, self.repeats // 10) if quick else self.repeats
        numbers: dict[str, float] = {}
        series: dict[str, list[float]] = {"public": [], "private": [], "expected": []}
        for count in self.submissions:
            generator = Streams(seed).numpy("contest", count)
            public = generator.binomial(self.rows, self.skill, size=(repeats, count)) / self.rows
            private = generator.binomial(self.rows, self.skill, size=(repeats, count)) / self.rows
            winner = public.argmax(axis=1)
            found = {
                "public": float(public.max(axis=1).mean()),
                "private": float(private[np.arange(repeats), winner].mean()),
                "expected": expected_best(count, self.rows, self.skill),
            }
            for key, value in found.items():
                series[key].append(value)
                numbers[f"{count} submissions: {key}"] = value
        figure = self._draw(folder / "leaderboard.png", series, 60 if quick else 120)
        return Result(numbers, [figure], self._text(series))

    def _draw(self, path: Path, series: dict[str, list[float]], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.5, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.submissions, series["expected"], color="black", linestyle="--", label="public, expected")
        axes.plot(self.submissions, series["public"], "o", color="#e45756", label="public, chosen on it")
        axes.plot(self.submissions, series["private"], "o-", color="#4c78a8", label="private")
        axes.set_xscale("log")
        axes.set_xlabel("submissions")
        axes.set_ylabel("accuracy of the winner")
        axes.legend(loc="upper left")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, series: dict[str, list[float]]) -> str:
        gain = series["public"][-1] - series["public"][0]
        real = series["private"][-1] - series["private"][0]
        verdict = "the gain is chance" if abs(real) < 0.25 * gain else "part of the gain is real"
        return (
            f"All submissions are right with probability {self.skill:g}. From {self.submissions[0]} to {self.submissions[-1]} "
            f"submissions the winner's public accuracy changes by {gain:+.4f}, its private accuracy by {real:+.4f}: {verdict}."
        )
