"""The four phases of a model of click logs on one folder of lines: train, eval, predict, export."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base import codec
from fivefold.base.errors import DataError, SpecError
from fivefold.base.files import atomic_file, write_json

from .phases_reading import read_rows
from .phases_training import metrics, train

CALIBRATED = 100  # any value: how long the list of a field gets


def run_phase(flags: Mapping[str, Any], say: Callable[[str], None] = lambda text: None) -> dict[str, float]:
    """Carry a phase out; return its numbers: metrics of train and eval, rows of predict, the largest difference of export.

    Raises
    ------
    DataError
        For a folder without the files of the phase, and files that do not fit.
    SpecError, CapabilityError
        For flags that do not go together.
    """
    return {"train": train, "eval": evaluate, "predict": predict, "export": export}[flags["phase"]](flags, say)


def load(flags: Mapping[str, Any]) -> Any:
    """Return the model that the phase train left."""
    place = Path(flags["model_dir"]) / "model"
    if not place.is_dir():
        raise DataError(f"There is no trained model in {flags['model_dir']}; run the phase train first.")
    return codec.load(place)


def evaluate(flags: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, float]:
    """Measure the trained model on eval*, one pass; of a binary task also by field, in calibration.csv."""
    model = load(flags)
    rows = read_rows({**flags, "feat_size": model.encoder_.rows}, "eval", labeled=True)
    found = metrics(model, rows)
    if model.task == "binary":
        found.update(_by_field(flags, model, rows, say))
    write_json(Path(flags["model_dir"]) / "eval.json", found)
    return found


def _by_field(
    flags: Mapping[str, Any], model: Any, rows: Mapping[str, np.ndarray], say: Callable[[str], None]
) -> dict[str, float]:
    """Write calibration.csv, at most ``CALIBRATED`` categories a field; return the grouped AUC where it is asked for."""
    from fivefold.evaluation.clicks import calibration_by_group, grouped_auc

    p, y = model.predict_proba(rows)[:, 1], np.searchsorted(model.classes_, rows["label"])
    place = Path(flags["model_dir"]) / "calibration.csv"
    with atomic_file(place) as temporary, open(temporary, "w", newline="", encoding="utf8") as file:
        out = csv.writer(file)
        out.writerow(["field", "index", "rows", "predicted", "observed"])
        for f, indices in enumerate(rows["inds"].T):
            for line in list(zip(*(part.tolist() for part in calibration_by_group(y, p, indices))))[:CALIBRATED]:
                out.writerow([f, *line])
    say(f"Calibration by field in {place}")
    chosen = flags["group_field"]
    if chosen is None:
        return {}
    if chosen >= rows["inds"].shape[1]:
        raise SpecError(f"--group_field is {chosen}; the fields are 0 to {rows['inds'].shape[1] - 1}.")
    return {"grouped-auc": grouped_auc(y, p, rows["inds"][:, chosen])}


def predict(flags: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, float]:
    """Write predictions.csv for predict*, with or without labels: prob and class, or pred."""
    model = load(flags)
    rows = read_rows({**flags, "feat_size": model.encoder_.rows}, "predict", labeled=False)
    place = Path(flags["model_dir"]) / "predictions.csv"
    with atomic_file(place) as temporary, open(temporary, "w", newline="", encoding="utf8") as file:
        out = csv.writer(file)
        if model.task == "regression":
            out.writerow(["pred"])
            out.writerows([repr(float(value))] for value in model.predict(rows))
        else:
            p = model.predict_proba(rows)
            picks = (
                model.classes_[p.argmax(axis=1)]
                if model.task != "binary"
                else model.classes_[(p[:, 1] > 0.5).astype(int)]
            )
            binary = model.task == "binary"
            out.writerow(["prob", "class"] if binary else [*(f"prob_{c}" for c in model.classes_.tolist()), "class"])
            for line, label in zip(p.tolist(), picks.tolist()):
                out.writerow([*map(repr, line[1:] if binary else line), label])
    say(f"{len(rows['inds'])} rows in {place}")
    return {"rows": float(len(rows["inds"]))}


def export(flags: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, float]:
    """Write the model directory and model.onnx, whose outputs are compared with the model's."""
    from .phases_onnx import write_onnx

    model = load(flags)
    folder = Path(flags["export_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    codec.save(model, folder / "model")
    difference = write_onnx(model, folder / "model.onnx", flags["name_feat_inds"], flags["name_feat_vals"])
    say(f"{folder / 'model.onnx'}: outputs differ by {difference:.1e} at most")
    return {"largest difference": difference}
