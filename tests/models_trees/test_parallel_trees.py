"""Boosting in processes and on devices: refusals, parameters, and two real processes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from fivefold.base.errors import DataError, InputError
from fivefold.evidence.models.trees import parallel_trees
from fivefold.evidence.models.trees._baton import fitted
from fivefold.models.trees import (
    GPUBoostingClassifier,
    GPUBoostingRegressor,
    LGBMRegressor,
    PVTreeClassifier,
    PVTreeRegressor,
)

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(60, 3)), RNG.normal(size=60)
HALVES = [(X[:25], Y[:25], None), (X[25:], Y[25:], None)]


@pytest.mark.parametrize("kind", [PVTreeRegressor, PVTreeClassifier, GPUBoostingRegressor, GPUBoostingClassifier])
def test_parameters_are_those_of_lightgbm_and_their_own(kind) -> None:
    own = {"top_k", "tree_learner"} if kind in (PVTreeRegressor, PVTreeClassifier) else {"device"}
    assert set(kind().get_params()) - set(LGBMRegressor().get_params()) == own
    model = clone(kind(max_leaves=7, learning_rate=0.3))
    assert model.num_leaves == 7 and model.learning_rate == 0.3
    assert "n_estimators" in repr(kind(n_estimators=3))


def test_devices() -> None:
    with pytest.raises(InputError, match="`device` is 'tpu'; give 'auto', 'cpu' or 'cuda'."):
        GPUBoostingRegressor(device="tpu").fit(X, Y)
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert GPUBoostingRegressor(n_estimators=1).fit(X, Y).device_ == wanted
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch finds no CUDA device here; give 'auto' or 'cpu'."):
            GPUBoostingClassifier(device_type="gpu").fit(X, Y > 0)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="`tree_learner` is 'feature'; give one of 'voting', 'data'."):
        PVTreeRegressor(tree_learner="feature").fit(X, Y)
    with pytest.raises(InputError, match="`top_k` is 0"):
        PVTreeRegressor(top_k=0).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"objective": "quantile"}, "Losses whose leaves are quantiles need all rows in one process"),
        ({"boosting_type": "goss"}, "One-side sampling ranks all rows, which lie in several processes"),
    ],
)
def test_what_needs_all_rows_is_refused(params, sentence) -> None:
    PVTreeRegressor(n_estimators=1, **params).fit(X, Y)
    with pytest.raises(InputError, match=sentence):
        fitted(PVTreeRegressor, {"n_estimators": 1, **params}, HALVES)


def test_processes_must_agree() -> None:
    narrow = [HALVES[0], (X[25:, :2], Y[25:], None)]
    with pytest.raises(DataError, match="The columns of process 1 differ from those of process 0: 2, not 3."):
        fitted(PVTreeRegressor, {"n_estimators": 1}, narrow)
    single = [HALVES[0], (X[25:].astype(np.float32), Y[25:], None)]
    with pytest.raises(DataError, match="The kind of numbers of process 1 differ"):
        fitted(PVTreeRegressor, {"n_estimators": 1}, single)


def test_balanced_classes_and_categories_are_refused() -> None:
    halves = [(x, y > 0, w) for x, y, w in HALVES]
    with pytest.raises(InputError, match="`class_weight` 'balanced' counts all rows"):
        fitted(PVTreeClassifier, {"class_weight": "balanced"}, halves)
    frames = [(pd.DataFrame({"a": pd.Categorical(["x", "y"] * (len(x) // 2) + ["x"])}), y, w) for x, y, w in HALVES]
    with pytest.raises(InputError, match=re.escape("Several processes cannot match the categories of their frames")):
        fitted(PVTreeRegressor, {"n_estimators": 1}, frames)


def test_fresh_seeds_are_shared() -> None:
    params = {"n_estimators": 3, "subsample": 0.5, "subsample_freq": 1, "min_child_samples": 2, "tree_learner": "data"}
    one, two = fitted(PVTreeRegressor, params, HALVES)
    assert np.array_equal(one.predict(X), two.predict(X))


def test_a_weight_in_one_process_is_a_weight_in_all() -> None:
    weight = np.full(35, 2.0)
    mixed = fitted(PVTreeRegressor, {"n_estimators": 2}, [HALVES[0], (X[25:], Y[25:], weight)])
    one = LGBMRegressor(n_estimators=2).fit(X, Y, sample_weight=np.append(np.ones(25), weight))
    assert np.array_equal(mixed[1].predict(X), one.predict(X))


def test_evaluation_sets_must_agree() -> None:
    one = fitted(PVTreeRegressor, {"n_estimators": 2, "early_stopping_rounds": 1}, HALVES, eval_set=[(X, Y)])
    assert one[0].evals_result_ == one[1].evals_result_


@pytest.mark.slow
def test_two_real_processes() -> None:
    assert parallel_trees.torchrun_as_one().passed
