"""The phase train: the model that the flags describe, checkpoints, and metrics meanwhile and at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base import codec
from fivefold.base.cards import get_card
from fivefold.base.errors import SpecError
from fivefold.base.files import write_json
from fivefold.base.names import resolve

from .phases_flags import MODELS
from .phases_reading import digest_of, files_of, read_rows, streamed

if TYPE_CHECKING:
    from fivefold.engine.callbacks import Callback

STREAM_BYTES = 2**28
"""Training files of more bytes are streamed."""

LAZY = {"adam": "sparse-adam", "sgd": "sgd", "adagrad": "adagrad", "ftrl": "ftrl"}
"""Optimizers of the sources that step the looked-up rows alone."""

STARTED = "started.json"
"""Beside the checkpoints while a training is not at its end: what it is made of."""

DECIDING = (
    "model", "task", "output_size", "field_size", "feat_size", "embed_size", "use_global_bias", "use_linear", "lamb",
    "optimizer", "learning_rate", "hidden_sizes", "dropouts", "use_bn", "num_cross_hidden_layers", "batch_size", "epochs",
    "shuffle", "stream", "buffer_size", "use_dtype_high_precision", "seed",
)  # fmt: skip
"""Flags on which the weights depend."""


def build(flags: Mapping[str, Any]) -> Any:
    """Return the model that the flags describe.

    Raises
    ------
    SpecError
        For dropouts of another length than the hidden sizes.
    """
    name = resolve(flags["model"], MODELS, "model of click logs")
    card = get_card(name)
    cls = card.load("learner" if "learner" in card.factory else None)
    sizes, rates = flags["hidden_sizes"] or [], flags["dropouts"]
    if rates is not None and len(rates) != len(sizes):
        raise SpecError(
            f"--dropouts has {len(rates)} rates for {len(sizes)} --hidden_sizes; give one a layer, or None."
        )
    if rates is not None and len(set(rates)) > 1:
        raise SpecError(f"--dropouts has different rates, {rates}; the layers of {name} share one.")
    options: dict[str, Any] = {
        "features": flags["feat_size"],
        "embedding_dim": flags["embed_size"],
        "task": "multiclass" if flags["task"] == "multi" else flags["task"],
        "l2": flags["lamb"],
        "max_epochs": flags["epochs"],
        "batch_size": flags["batch_size"],
        "learning_rate": flags["learning_rate"],
        "precision": "64-true" if flags["use_dtype_high_precision"] else None,
        "random_state": flags["seed"],
        "hidden_sizes": tuple(sizes),
        "dropout": rates[0] if rates else 0.0,
        "batch_norm": flags["use_bn"],
        "use_bias": flags["use_global_bias"],
        "use_linear": flags["use_linear"],
        "n_cross_layers": flags["num_cross_hidden_layers"],
        **_optimizer(flags["optimizer"]),
    }
    known = cls().get_params()
    return cls(**{key: value for key, value in options.items() if key in known})


def _optimizer(name: str) -> dict[str, Any]:
    """Return the parameters for an optimizer of the sources' registry."""
    from fivefold.optimizers.registry import NAMED, SUFFIX, optimizer_names

    key = resolve(name, optimizer_names(), "optimizer")
    plain = key.removesuffix(SUFFIX)
    card, options = NAMED[plain]
    found: dict[str, Any] = {"optimizer": LAZY.get(plain, card), "optimizer_options": options}
    if plain not in LAZY:
        found["updates"] = "dense"
    if key.endswith(SUFFIX):
        found["schedule"] = "lr-exponential"
        found["schedule_options"] = {"gamma": 0.998, "decay_steps": 5000, "staircase": True}
    return found


def metrics(model: Any, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the metrics of labeled rows: by probabilities for a binary task, never by classes."""
    from fivefold.evaluation.registry import get_metric

    y = rows["label"]
    if model.task == "regression":
        return {"rmse": float(np.sqrt(np.mean((model.predict(rows) - y) ** 2)))}
    p = model.predict_proba(rows)
    codes = np.searchsorted(model.classes_, y)
    if model.task != "binary":
        return {
            "accuracy": float(np.mean(p.argmax(1) == codes)),
            "log-loss": float(get_metric("log-loss").function(codes, p)),
        }
    picked = p[:, 1] > 0.5
    right = float(np.sum(picked & (codes == 1)))
    found = {
        "accuracy": float(np.mean(picked == codes)),
        "precision": right / picked.sum() if picked.any() else 0.0,
        "recall": right / codes.sum() if codes.any() else 0.0,
        "log-loss": float(get_metric("log-loss").function(codes, p[:, 1])),
    }
    if 0 < codes.sum() < len(codes):
        found["roc-auc"] = float(get_metric("roc-auc").function(codes, p[:, 1]))
    return found


def train(flags: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, float]:
    """Train on train*, with checkpoints and a log of the steps, and evaluate on eval* meanwhile and at the end.

    A training that was cut off goes on from its last checkpoint, to the same weights. Files above ``STREAM_BYTES`` together, or
    with ``--stream``, are read piece by piece in every epoch.
    """
    from fivefold.engine.session import session

    folder = Path(flags["model_dir"])
    size = sum(path.stat().st_size for path in files_of(flags, "train"))
    stream = size > STREAM_BYTES if flags["stream"] is None else flags["stream"]
    stream = stream or not flags["shuffle"]
    rows: Any = streamed(flags) if stream else read_rows(flags, "train", labeled=True)
    count = int(rows.counts.sum()) if stream else len(rows["label"])
    watched = read_rows(flags, "eval", labeled=True) if flags["perform_valid_during_train"] else None
    model = build(flags)
    folder.mkdir(parents=True, exist_ok=True)
    resume = _begin(folder, {**flags, "stream": stream}, digest_of(rows))
    if resume:
        say(f"The training in {folder} was cut off; it goes on from its last checkpoint.")
    start = time.perf_counter()
    with session(folder, resume=resume, progress=False, callbacks=_callbacks(flags, model, watched, say)):
        if stream:
            model.fit_stream(rows, shuffle=flags["shuffle"], buffer_rows=flags["buffer_size"])
        else:
            model.fit(rows)
    seconds = time.perf_counter() - start
    codec.save(model, folder / "model", meta={"model": flags["model"], "seed": flags["seed"]})
    found = {"rows": float(count), "rows/s": count * flags["epochs"] / seconds}
    if watched is not None:
        found.update(metrics(model, watched))
    write_json(folder / "train.json", found)
    (folder / STARTED).unlink()
    return found


def _begin(folder: Path, flags: Mapping[str, Any], data: str) -> bool:
    """Note what this training is made of; return whether it is the one that was cut off here.

    Raises
    ------
    SpecError
        When another one was cut off here.
    """
    own = {**{name: flags[name] for name in DECIDING}, "data": data}
    note, cut = folder / STARTED, (folder / "checkpoints").is_dir()
    if note.is_file() and cut:
        before = json.loads(note.read_text(encoding="utf8"))
        others = [name for name in own if before.get(name) != own[name]]
        if others:
            shown = ", ".join("the lines of train*" if name == "data" else f"--{name}" for name in others)
            raise SpecError(
                f"A training in {folder} was cut off that differs in {shown}; repeat it as it was, or give another --model_dir."
            )
        return True
    write_json(note, own)
    return False


def _callbacks(
    flags: Mapping[str, Any], model: Any, watched: Mapping[str, np.ndarray] | None, say: Callable[[str], None]
) -> list[Callback]:
    """Return what logs, saves checkpoints, and evaluates within the training, at most every ``throttle_secs``."""
    import torch

    from fivefold.engine.callbacks import Callback
    from fivefold.engine.checkpoint_callback import ModelCheckpoint
    from fivefold.engine.fit import Fit

    class Paced(Callback):
        def on_fit_start(self, fit: Fit) -> None:
            fit.log_every = flags["log_step_count_steps"]

    class Watch(Callback):
        def on_fit_start(self, fit: Fit) -> None:
            self.next = time.monotonic() + flags["start_delay_secs"]

        def on_batch_end(self, fit: Fit, batch: Any) -> None:
            if watched is None or time.monotonic() < self.next:
                return
            self.next = time.monotonic() + flags["throttle_secs"]
            was, network = fit.learner.training, fit.learner.module
            model.module_ = network
            fit.learner.eval()
            with torch.no_grad():
                found = metrics(model, watched)
            fit.learner.train(was)
            say(f"step {fit.counters['batches']}: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()))

    saves = ModelCheckpoint(every_batches=flags["save_checkpoints_steps"], keep=flags["keep_checkpoint_max"])
    return [Paced(), saves, *([] if watched is None else [Watch()])]
