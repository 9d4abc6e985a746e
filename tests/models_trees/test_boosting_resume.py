"""A fit that is killed goes on from its checkpoint; what a checkpoint refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.errors import DataError
from fivefold.engine.session import session
from fivefold.models.trees import LGBMRegressor, XGBRegressor
from fivefold.models.trees.boosting import checkpoints
from fivefold.models.trees.boosting.checkpoints import Checkpoint


def fit(folder, callbacks):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4))
    y = X[:, 0] * X[:, 1] + rng.normal(size=500) / 4
    model = LGBMRegressor(n_estimators=40, subsample=0.7, subsample_freq=2, colsample_bytree=0.6, random_state=3)
    return model.fit(X, y, eval_set=[(X, y)], callbacks=[*callbacks, Checkpoint(folder / "fit", every=4)])


PROGRAM = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
from test_boosting_resume import fit
fit(pathlib.Path(sys.argv[2]), [lambda *_: time.sleep(0.2)])
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_a_killed_fit_goes_on_to_the_same_model(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(tmp_path)])
    until = time.monotonic() + 300
    while not (tmp_path / "fit").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    rounds: list[int] = []
    again = fit(tmp_path, [lambda _, round_: rounds.append(round_)])
    assert 4 < rounds[0] < 41 and rounds[-1] == 40
    whole = fit(tmp_path / "other", [])
    for name in ("threshold", "value", "feature", "gain", "count"):
        assert np.array_equal(getattr(whole.trees_, name), getattr(again.trees_, name), equal_nan=name == "threshold")
    assert whole.evals_result_ == again.evals_result_


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3))
    return X, X[:, 0] + rng.normal(size=200)


def test_a_checkpoint_of_another_fit_is_refused(tmp_path, table):
    X, y = table
    keep = [Checkpoint(tmp_path / "fit", every=2)]
    LGBMRegressor(n_estimators=4, random_state=0).fit(X, y, callbacks=keep)
    longer = LGBMRegressor(n_estimators=6, random_state=0).fit(X, y, callbacks=keep)
    assert np.array_equal(longer.predict(X), LGBMRegressor(n_estimators=6, random_state=0).fit(X, y).predict(X))
    for model, target in (
        (LGBMRegressor(n_estimators=6, random_state=0), y + 1),
        (LGBMRegressor(n_estimators=6, random_state=0, num_leaves=5), y),
        (LGBMRegressor(n_estimators=6, random_state=1), y),
        (XGBRegressor(n_estimators=6, random_state=0), y),
    ):
        with pytest.raises(DataError, match="holds the checkpoint of a fit on other data or with other parameters"):
            model.fit(X, target, callbacks=keep)
    other = LGBMRegressor(n_estimators=2, num_leaves=5)
    other.fit(X, y, callbacks=[Checkpoint(tmp_path / "fit", every=1, resume=False)])
    assert np.array_equal(other.predict(X), LGBMRegressor(n_estimators=2, num_leaves=5).fit(X, y).predict(X))


def test_a_fit_without_seed_goes_on_with_its_draws(tmp_path, table):
    X, y = table
    keep = [Checkpoint(tmp_path / "fit", every=3)]
    first = LGBMRegressor(n_estimators=9, subsample=0.5, subsample_freq=1, min_child_samples=5).fit(
        X, y, callbacks=keep
    )
    again = LGBMRegressor(n_estimators=9, subsample=0.5, subsample_freq=1, min_child_samples=5).fit(
        X, y, callbacks=keep
    )
    assert np.array_equal(first.predict(X), again.predict(X))


def test_a_session_keeps_rounds(tmp_path, table, monkeypatch):
    X, y = table
    monkeypatch.setattr(checkpoints, "_SECONDS", 0.0)
    with session(tmp_path, progress=False):
        LGBMRegressor(n_estimators=3).fit(X, y)
        LGBMRegressor(n_estimators=2).fit(X, y + 1)
    assert len(codec.load(tmp_path / "checkpoints" / "rounds").trees) == 3
    assert (tmp_path / "checkpoints-2" / "rounds").is_dir()
    seen = []
    with session(tmp_path, progress=False, resume=True):
        model = LGBMRegressor(n_estimators=5).fit(X, y, callbacks=[lambda _, round_: seen.append(round_)])
    assert seen == [4, 5]
    assert np.array_equal(model.predict(X), LGBMRegressor(n_estimators=5).fit(X, y).predict(X))
