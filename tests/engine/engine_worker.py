"""One of two processes; trains the toys on its share of the rows and saves the weights it ends with."""

from __future__ import annotations

import os
import sys

import torch

torch.set_num_threads(1)

from engine_scenarios import SCENARIOS  # noqa: E402

from fivefold.base import codec  # noqa: E402
from fivefold.engine.distribution import leave  # noqa: E402
from fivefold.engine.trainer import Trainer  # noqa: E402


def main(out: str) -> None:
    results = {}
    for name, scenario in SCENARIOS.items():
        learner, source, validation, settings = scenario()
        history = Trainer(**settings).fit(learner, source, validation)
        results[name] = {"weights": dict(learner.state_dict()), "epochs": history.epochs, "counters": history.counters}
    codec.save(results, f"{out}/rank-{os.environ['RANK']}")
    leave()


if __name__ == "__main__":
    main(sys.argv[1])
