"""Trees grown by several processes, and with histograms of a device."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from fivefold.base.errors import DataUnavailableError
from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, fault, largest

from ._baton import fitted

_NODES = ("feature", "threshold", "missing_left", "left", "value", "gain", "count", "cover", "levels", "offset", "base")


def different(one: Any, two: Any) -> float:
    """Return how many arrays of two models differ in any bit."""
    return float(sum(not np.array_equal(getattr(one, n), getattr(two, n), equal_nan=n == "threshold") for n in _NODES))


def table(name: str, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers with holes and a column of codes (n, 6), a score (n,) and weights with zeros (n,)."""
    rng = Streams(77).numpy(name)
    X = rng.normal(size=(n, 6))
    X[:, 4] = rng.integers(0, 12, n)
    X[::7, 0] = np.nan
    score = X[:, 1] + np.where(X[:, 4] % 3 == 0, 2.0, 0.0) + np.isnan(X[:, 0]) + X[:, 3] ** 2 + rng.normal(size=n) / 4
    weight = np.round(rng.uniform(0.5, 2.0, n) * 16) / 16
    weight[::11] = 0
    return X, score, weight


JOBS: tuple[dict[str, Any], ...] = (
    {"num_leaves": 9, "categorical_feature": [4], "min_data_per_group": 5, "cat_smooth": 1.0, "max_cat_to_onehot": 2},
    {
        "num_leaves": 12,
        "max_depth": 3,
        "monotone_constraints": [0, 1, 0, -1, 0, 0],
        "reg_alpha": 0.5,
        "reg_lambda": 1.0,
    },
    {"num_leaves": 6, "colsample_bynode": 0.5, "colsample_bytree": 0.7, "subsample": 0.6, "subsample_freq": 1},
    {"num_leaves": 300, "min_child_samples": 1, "max_delta_step": 0.3, "interaction_constraints": [[0, 1], [2, 3, 4]]},
    {"num_leaves": 10, "subsample_for_bin": 150, "min_split_gain": 0.5, "min_child_weight": 3.0},
)
COMMON: dict[str, Any] = {"n_estimators": 3, "random_state": 5, "n_jobs": 1, "min_child_samples": 5}


def shares(*arrays: np.ndarray, edges: tuple[int, ...] = (0, 230, 237, 400)) -> list[tuple[Any, ...]]:
    """Return the rows of each process."""
    return [tuple(a[i:j] for a in arrays) for i, j in zip(edges[:-1], edges[1:], strict=True)]


@evidence(
    "pv-tree",
    claim="One process grows the serial trees bit for bit, voting or not: categories, bounds, draws of rows and columns",
    against="LGBMRegressor",
)
def alone_as_serial() -> Check:
    from fivefold.models.trees import LGBMRegressor, PVTreeRegressor

    X, score, weight = table("alone")
    wrong = []
    for job in JOBS:
        params = {**COMMON, **job}
        serial = LGBMRegressor(**params).fit(X, score, weight)
        for learner in ("data", "voting"):
            model = PVTreeRegressor(tree_learner=learner, top_k=1, **params).fit(X, score, weight)
            wrong.append(different(model.trees_, serial.trees_) + model.traffic_)
        wrong.append(float(len(serial.trees_.feature) < 9))
    return Check(largest(wrong), 0, "arrays that differ", "LGBMRegressor")


@evidence(
    "pv-tree",
    claim="Three processes with 230, 7 and 163 rows grow the trees of one bit for bit, from bins to drawn rows, on all ranks",
    against="one process with all rows",
)
def three_as_one() -> Check:
    from fivefold.models.trees import LGBMClassifier, LGBMRegressor, PVTreeClassifier, PVTreeRegressor

    X, score, weight = table("three")
    wrong = []
    for number, job in enumerate(JOBS):
        params = {**COMMON, **job}
        own = weight if number % 2 == 0 else np.ones(len(X))
        one = LGBMRegressor(**params).fit(X, score, own)
        several = fitted(PVTreeRegressor, {"tree_learner": "data", **params}, shares(X, score, own))
        wrong += [different(model.trees_, one.trees_) for model in several]
        wrong.append(float(several[0].traffic_ == 0))
    labels = np.digitize(score, [0.5, 2.0])
    order = np.argsort(labels == 0, kind="stable")  # the first process sees only two of the classes
    one = LGBMClassifier(**COMMON).fit(X[order], labels[order])
    rows = [(X[order][i:j], labels[order][i:j], None) for i, j in ((0, 200), (200, 400))]
    for model in fitted(PVTreeClassifier, {"tree_learner": "data", **COMMON}, rows):
        wrong.append(different(model.trees_, one.trees_) + float(model.classes_.tolist() != [0, 1, 2]))
    return Check(largest(wrong), 0, "arrays that differ", "one process")


@evidence(
    "pv-tree",
    claim="Votes elect 2k columns: most votes first, then the larger sum of gains, then the lower column",
    against="written out",
)
def votes_counted() -> Check:
    from fivefold.models.trees.boosting._parallel import elected

    columns = np.array([[4.0, 1.0, 6.0], [4.0, 3.0, -1.0], [5.0, 1.0, 2.0]])
    gains = np.array([[9.0, 5.0, 2.0], [1.0, 2.0, -1.0], [2.0, 3.0, 2.0]])
    wrong = 0
    for seats, wanted in (
        (1, [4]),
        (2, [1, 4]),
        (3, [1, 2, 4]),
        (4, [1, 2, 3, 4]),
        (5, [1, 2, 3, 4, 5]),
        (9, [1, 2, 3, 4, 5, 6]),
    ):
        wrong += elected(columns, gains, 8, seats).tolist() != wanted
    return Check(wrong, 0, "wrong elections", "written out")


@evidence(
    "pv-tree",
    claim="Voting sends 2k of d columns, splits where the sum of all rows gains most among them, and keeps the error of all",
    against="the count of bytes; histograms of all columns",
)
def votes_save_traffic() -> Check:
    from fivefold.models.trees import PVTreeRegressor

    rng = Streams(78).numpy("traffic")
    X = rng.normal(size=(900, 40))
    y = X[:, 3] * 2 + X[:, 17] * X[:, 20] + X[:, 31] ** 2
    parts = shares(X[:600], y[:600], np.ones(600), edges=(0, 300, 600))
    params = {**COMMON, "n_estimators": 20, "num_leaves": 8, "max_bin": 32}
    all_columns = fitted(PVTreeRegressor, {**params, "tree_learner": "data"}, parts)[0]
    few = fitted(PVTreeRegressor, {**params, "top_k": 3}, parts)
    wrong = [different(few[0].trees_, few[1].trees_)]
    # Each node searched sends its vote of 2 x 3 numbers and the 3 to 6 of 40 columns that two processes can elect.
    column = 256 * (8 + 8 + 4)
    root = 3 * 8 * 20
    inner = int((few[0].trees_.feature >= 0).sum())
    wrong.append(float(few[0].traffic_ - root < inner * (3 * column + 48)))
    wrong.append(float(few[0].traffic_ - root > 15 * 20 * (6 * column + 48)))
    wrong.append(float((all_columns.traffic_ - root) % (40 * column)))
    errors = [np.mean((m.predict(X[600:]) - y[600:]) ** 2) / np.var(y[600:]) for m in (few[0], all_columns)]
    wrong.append(max(0.0, errors[0] - errors[1] - 0.02))
    wrong.append(float(few[0].traffic_ * 3 > all_columns.traffic_))
    wide = fitted(PVTreeRegressor, {**params, "n_estimators": 3, "top_k": 40}, parts)[0]
    whole = fitted(PVTreeRegressor, {**params, "n_estimators": 3, "tree_learner": "data"}, parts)[0]
    wrong.append(different(wide.trees_, whole.trees_))  # whoever elects all columns finds the best of all
    return Check(largest(wrong), 1e-9, "largest fault", "the count of bytes")


WORKER = """
import json, os, sys
import numpy as np
from fivefold.evidence.models.trees.parallel_trees import COMMON, JOBS, table
from fivefold.models.trees import PVTreeRegressor
X, score, weight = table("gloo")
rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
part = slice(0, 150) if rank == 0 else slice(150, 400)
part = slice(None) if size == 1 else part
out = {}
for learner, job in (("data", JOBS[0]), ("data", JOBS[2]), ("voting", {**JOBS[0], "top_k": 6})):
    model = PVTreeRegressor(tree_learner=learner, **{**COMMON, **job}).fit(X[part], score[part], weight[part])
    out[learner + str(len(out))] = [model.predict(X).tolist(), model.traffic_]
with open(os.path.join(sys.argv[1], f"{size}-{rank}.json"), "w") as file:
    json.dump(out, file)
"""


@evidence(
    "pv-tree",
    claim="Two processes of torchrun predict what one does, bit for bit",
    against="one process, gloo",
    slow=True,
)
def torchrun_as_one() -> Check:
    import os
    import tempfile
    from pathlib import Path

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "worker.py")
        script.write_text(WORKER)
        two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        for start in ([sys.executable], two):
            subprocess.run([*start, str(script), folder], env=environment, check=True, timeout=600, capture_output=True)
        one, first, second = (json.loads(Path(folder, f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    wrong = sum(first[key][0] != one[key][0] or second[key][0] != one[key][0] for key in one)
    wrong += sum(first[key][1] == 0 or one[key][1] != 0 for key in one)
    return Check(float(wrong), 0, "fits that differ", "one process")


@evidence(
    "gpu-tree-boosting",
    claim="Histograms summed by torch give the CPU's trees bit for bit: categories, bounds, draws, missing values, weights",
    against="LGBMRegressor",
)
def torch_as_serial() -> Check:
    from fivefold.models.trees import GPUBoostingRegressor, LGBMRegressor

    return _as_serial(LGBMRegressor, GPUBoostingRegressor, "cpu")


def _as_serial(serial: Any, other: Any, device: str) -> Check:
    X, score, weight = table("device")
    wrong = []
    for job in JOBS:
        params = {**COMMON, **job}
        one = serial(**params).fit(X, score, weight)
        two = other(device=device, **params).fit(X, score, weight)
        wrong.append(different(two.trees_, one.trees_) + float(not two.device_.startswith(device)))
    return Check(largest(wrong), 0, "arrays that differ", "LGBMRegressor")


@evidence(
    "gpu-tree-boosting",
    claim="Sums and counts of a node's rows equal sums of the gradients in double precision, in pieces as at once",
    against="numpy.add.at on floats",
)
def histograms_by_hand() -> Check:
    import torch

    from fivefold.models.trees.boosting import _device
    from fivefold.models.trees.boosting._binning import BinMapper
    from fivefold.models.trees.boosting._core import Growth

    X, score, _ = table("sums")
    mapper = BinMapper(20, 1).fit(X, np.zeros(6, dtype=bool), Streams(0))
    binned = mapper.transform(X, 1)
    grower = _device.DeviceGrower(binned, Growth(max_leaves=4), 1).on(torch.device("cpu"))
    g, h = score, np.abs(score) + 0.5
    rows = np.flatnonzero(X[:, 2] > 0).astype(np.uint32)
    unit, root = grower._packed(g, h, np.arange(400, dtype=np.uint32))
    wrong = []
    cells, _device._CELLS = _device._CELLS, 200
    try:
        pieces = grower._summed(rows)
    finally:
        _device._CELLS = cells
    whole = grower._summed(rows)
    wrong.append(fault(not np.array_equal(pieces.sums, whole.sums) or not np.array_equal(pieces.counts, whole.counts)))
    sums, counts = whole.sums.reshape(6, 256, 2) * unit, whole.counts.reshape(6, 256)
    for f in range(6):
        for kind, numbers in enumerate((g, h)):
            exact = np.zeros(256)
            np.add.at(exact, binned.columns[f, rows], numbers[rows])
            # A rounded number is off by half a unit at most.
            wrong.append(np.abs(sums[f, :, kind] - exact).max() / (unit[kind] * len(rows) / 2))
        wrong.append(float(np.abs(counts[f] - np.bincount(binned.columns[f, rows], minlength=256)).max()))
    wrong.append(fault(root[2] != 400 or len(rows) < 100))
    return Check(largest(wrong), 1.0, "error in half units a row", "numpy.add.at")


@evidence(
    "gpu-tree-boosting",
    claim="The device is CUDA for auto, cuda and gpu where there is one, else the CPU; what is not there is refused",
    against="the documentation",
)
def device_of_a_name() -> Check:
    from unittest.mock import patch

    from fivefold.base.errors import InputError
    from fivefold.models.trees.boosting._device import chosen_device

    wrong = 0
    for there, expected in ((True, ["cuda", "cpu", "cuda", "cuda", ""]), (False, ["cpu", "cpu", "", "", ""])):
        with patch("torch.cuda.is_available", return_value=there):
            for name, kind in zip(("auto", "cpu", "cuda", "gpu", "tpu"), expected):
                try:
                    found = chosen_device(name).type
                except InputError:
                    found = ""
                wrong += found != kind
    return Check(wrong, 0, "names that mean another device", "the documentation")


@evidence(
    "gpu-tree-boosting",
    claim="A CUDA card gives the CPU's trees bit for bit",
    against="LGBMRegressor",
)
def cuda_as_serial() -> Check:
    import torch

    from fivefold.models.trees import GPUBoostingRegressor, LGBMRegressor

    if not torch.cuda.is_available():
        raise DataUnavailableError("torch finds no CUDA device here.")
    return _as_serial(LGBMRegressor, GPUBoostingRegressor, "cuda")
