"""A trained model of click logs as an ONNX file: indices and values in, probabilities or values out."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import MissingDependencyError, TrainingError
from fivefold.base.files import atomic_file

TOLERANCE = 1e-5


def write_onnx(model: Any, path: Path, inds: str, vals: str) -> float:
    """Write ``path`` and return how far its outputs are from the model's, on random rows.

    Raises
    ------
    MissingDependencyError
        Without the package onnx.
    TrainingError
        When the file gives other outputs than the model.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError("The phase export writes ONNX and needs the package onnx: pip install onnx.")
    import torch
    from onnx.reference import ReferenceEvaluator
    from torch import nn

    class Served(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.module_

        def forward(self, i: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            out = self.network({"inds": i, "vals": v})
            if model.task == "regression":
                return out[:, 0]
            return torch.sigmoid(out[:, 0]) if model.task == "binary" else torch.softmax(out, dim=1)

    draw = np.random.default_rng(0)
    width, rows = model.encoder_.width, model.encoder_.rows
    i = draw.integers(0, rows, (8, width))
    v = draw.normal(size=(8, width)).astype(model.schema_.dtype_name)
    given = (torch.from_numpy(i), torch.from_numpy(v))
    served = Served().eval()
    with atomic_file(path) as temporary, warnings.catch_warnings():
        # The newer exporter needs a package more; the one that does not says in every call that it is the older.
        warnings.filterwarnings(
            "ignore", category=DeprecationWarning, module=r"torch\.onnx|fivefold\.workbench\.phases_onnx"
        )
        torch.onnx.export(
            served,
            given,
            str(temporary),
            dynamo=False,
            input_names=[inds, vals],
            output_names=["prob" if model.task != "regression" else "pred"],
            dynamic_axes={inds: {0: "rows"}, vals: {0: "rows"}},
        )
    outputs: Any = ReferenceEvaluator(str(path)).run(None, {inds: i[:3], vals: v[:3]})
    found = outputs[0]
    with torch.no_grad():
        difference = float(np.abs(found - served(given[0][:3], given[1][:3]).numpy()).max())
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"{path} gives other outputs than the model, by {difference:.2g}; it is not fit to be served."
        )
    return difference
