"""A training that the test kills; prints the number of each batch, waits nowhere."""

from __future__ import annotations

import sys

import torch

torch.set_num_threads(1)

from engine_learners import ToyGAN, batches  # noqa: E402

from fivefold.base import codec  # noqa: E402
from fivefold.engine.callbacks import Callback  # noqa: E402
from fivefold.engine.checkpoint_callback import ModelCheckpoint  # noqa: E402
from fivefold.engine.session import session  # noqa: E402
from fivefold.engine.trainer import Trainer  # noqa: E402


class Tell(Callback):
    def on_batch_end(self, fit, batch):
        sys.stdout.write(f"{fit.counters['batches']}\n")
        sys.stdout.flush()


def train(directory: str, resume: bool) -> None:
    learner = ToyGAN()
    with session(directory, resume=resume, progress=False, callbacks=[ModelCheckpoint(every_batches=3, keep=2)]):
        Trainer(6, callbacks=[Tell()], log_every=4).fit(learner, batches(), batches())
    codec.save(dict(learner.state_dict()), f"{directory}/final")


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2] == "resume")
