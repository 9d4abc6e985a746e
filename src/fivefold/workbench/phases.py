"""The four phases of a model of click logs on one folder of lines: train, eval, predict, export."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base import codec
from fivefold.base.cards import get_card
from fivefold.base.errors import DataError, SpecError, UnknownNameError
from fivefold.base.files import atomic_file, write_json
from fivefold.base.names import nearest, resolve

if TYPE_CHECKING:
    from fivefold.data.readers_sparse import MultiFieldReader
    from fivefold.data.streams_sources import Source
    from fivefold.engine.callbacks import Callback

STREAM_BYTES = 2**28
"""Training files of more bytes are streamed."""
PHASES = ("train", "eval", "predict", "export")
MODELS = ("deepfm", "deep-cross-network", "wide-deep", "autoint", "xdeepfm", "factorization-machine", "field-aware-fm")
CALIBRATED = 100  # any value: how long the list of a field gets
LAZY = {"adam": "sparse-adam", "sgd": "sgd", "adagrad": "adagrad", "ftrl": "ftrl"}
"""Optimizers of the sources that step the looked-up rows alone."""


def _truth(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError("give True or False")
    return words[text.lower()]


def _list_of(kind: Callable[[str], Any]) -> Callable[[str], list[Any] | None]:
    def parse(text: str) -> list[Any] | None:
        bare = text.strip().strip("[]()")
        return None if bare in ("", "None") else [kind(part) for part in bare.split(",")]

    return parse


def _at_least(kind: Callable[[str], Any], low: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = kind(text)
        if not value >= low:
            raise ValueError(f"give a number of at least {low:g}")
        return value

    return parse


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"give one of {', '.join(known)}")
        return text

    return parse


@dataclass(frozen=True)
class Flag:
    """One flag: its default, how its text is read, and what it says."""

    default: Any
    parse: Callable[[str], Any] = field(repr=False)
    doc: str


_COUNT = _at_least(int, 1)
FLAGS: dict[str, Flag] = {
    "phase": Flag(None, _one_of(*PHASES), "What to do."),
    "model": Flag("deepfm", str, "Which method: " + ", ".join(MODELS) + "."),
    "model_dir": Flag(None, str, "Where checkpoints, metrics and the trained model lie."),
    "export_dir": Flag(None, str, "Where the exported model goes."),
    "data_dir": Flag(None, str, "The folder of the files train*, eval* and predict*."),
    "perform_valid_during_train": Flag(True, _truth, "Evaluate on eval* while training."),
    "start_delay_secs": Flag(120.0, _at_least(float, 0), "Seconds before the first evaluation while training."),
    "throttle_secs": Flag(600.0, _at_least(float, 0), "Least seconds between two evaluations while training."),
    "log_step_count_steps": Flag(500, _COUNT, "Steps between two lines of metrics.jsonl."),
    "save_checkpoints_steps": Flag(20000, _COUNT, "Steps between two checkpoints within an epoch."),
    "keep_checkpoint_max": Flag(2, _COUNT, "Checkpoints of epochs that are kept."),
    "delimiter": Flag(" ", str, "Between pairs."),
    "separator": Flag(":", str, "Between index and value."),
    "batch_size": Flag(128, _COUNT, "Rows of a step."),
    "epochs": Flag(1, _COUNT, "Passes over train*."),
    "shuffle": Flag(
        True, _truth, "A new order of the rows each epoch; without it they are streamed in the order of the files."
    ),
    "stream": Flag(
        None, _truth, "Read train* piece by piece; by default where the files have more than 256 MB together."
    ),
    "buffer_size": Flag(
        100000, _COUNT, "Rows shuffled together where train* is streamed; else the whole set is mixed."
    ),
    "num_parallel_calls": Flag(4, _COUNT, "Taken for compatibility: parsing is one pass over the bytes."),
    "use_dtype_high_precision": Flag(False, _truth, "Compute in float64."),
    "name_feat_inds": Flag("inds", str, "Name of the exported model's input of indices."),
    "name_feat_vals": Flag("vals", str, "Name of the exported model's input of values."),
    "task": Flag("binary", _one_of("binary", "multi", "regression"), "What the label is."),
    "output_size": Flag(1, _COUNT, "Classes of the task multi."),
    "field_size": Flag(None, _COUNT, "Pairs of every line."),
    "feat_size": Flag(None, _COUNT, "Size of the joint index space."),
    "embed_size": Flag(16, _COUNT, "Length of an embedding."),
    "use_global_bias": Flag(True, _truth, "DeepFM: a global bias."),
    "use_linear": Flag(True, _truth, "DeepFM: first-order weights."),
    "lamb": Flag(0.001, _at_least(float, 0), "Strength of the L2 penalty, by looked-up rows."),
    "optimizer": Flag("adam", str, "Name of the sources' registry."),
    "learning_rate": Flag(0.003, _at_least(float, 0), "Learning rate."),
    "hidden_sizes": Flag([128, 64], _list_of(_COUNT), "Layers, such as 128,64."),
    "dropouts": Flag(None, _list_of(float), "One rate a layer, or None."),
    "use_bn": Flag(True, _truth, "Batch norm in the layers."),
    "group_field": Flag(None, _at_least(int, 0), "Field, from 0, within whose categories eval ranks for grouped AUC."),
    "num_cross_hidden_layers": Flag(3, _COUNT, "Deep & Cross: cross layers."),
    "seed": Flag(0, _at_least(int, 0), "Seed of everything random."),
}
"""The flags of the sources' runner, with their defaults where these are given."""

STARTED = "started.json"
"""Beside the checkpoints while a training is not at its end: what it is made of."""

DECIDING = (
    "model", "task", "output_size", "field_size", "feat_size", "embed_size", "use_global_bias", "use_linear", "lamb",
    "optimizer", "learning_rate", "hidden_sizes", "dropouts", "use_bn", "num_cross_hidden_layers", "batch_size", "epochs",
    "shuffle", "stream", "buffer_size", "use_dtype_high_precision", "seed",
)  # fmt: skip
"""Flags on which the weights depend."""

_REQUIRED = {
    "train": ("model_dir", "data_dir", "field_size", "feat_size"),
    "eval": ("model_dir", "data_dir", "field_size"),
    "predict": ("model_dir", "data_dir", "field_size"),
    "export": ("model_dir", "export_dir"),
}


def parse_flags(words: Sequence[str]) -> dict[str, Any]:
    """Return the value of every flag from words such as ``--batch_size=32``, ``--batch-size 32`` or ``--noshuffle``.

    Raises
    ------
    UnknownNameError
        For an unknown flag, with the nearest.
    SpecError
        For a value that does not fit, a flag without value, and one that the phase needs and lacks.
    """
    values = {name: flag.default for name, flag in FLAGS.items()}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise SpecError(f"{word!r} is no flag; flags are like --batch_size=32.")
        name, given, text = word[2:].partition("=")
        name = name.replace("-", "_")
        negated = name.removeprefix("no")
        if name not in FLAGS and negated in FLAGS and FLAGS[negated].parse is _truth and not given:
            values[negated] = False
            continue
        if name not in FLAGS:
            raise UnknownNameError(
                f"There is no flag --{name}; did you mean {', '.join('--' + n for n in nearest(name, FLAGS))}?"
            )
        flag = FLAGS[name]
        if not given:
            if flag.parse is _truth and (not rest or rest[0].startswith("--")):
                text = "True"
            elif not rest:
                raise SpecError(f"--{name} needs a value.")
            else:
                text = rest.pop(0)
        try:
            values[name] = flag.parse(text)
        except ValueError as error:
            raise SpecError(f"--{name} has the value {text!r}; {_hint(error)}.") from error
    if values["phase"] is None:
        raise SpecError(f"--phase is missing; give one of {', '.join(PHASES)}.")
    for name in _REQUIRED[values["phase"]]:
        if values[name] is None:
            raise SpecError(f"The phase {values['phase']} needs --{name}.")
    return values


def _hint(error: ValueError) -> str:
    text = str(error)
    return text if text.startswith("give") else "give a number"


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


def _files(flags: Mapping[str, Any], prefix: str) -> list[Path]:
    """Return the files of a prefix by name."""
    files = sorted(path for path in Path(flags["data_dir"]).glob(prefix + "*") if path.is_file())
    if not files:
        raise DataError(f"There is no file {prefix}* in {flags['data_dir']}.")
    return files


def _reader(flags: Mapping[str, Any], labeled: bool) -> MultiFieldReader:
    from fivefold.data.readers_sparse import MultiFieldReader

    classes = {"binary": 2, "multi": max(2, flags["output_size"]), "regression": None}[flags["task"]]
    return MultiFieldReader(
        field_size=flags["field_size"],
        n_features=flags["feat_size"],
        n_classes=classes if labeled else None,
        delimiter=None if flags["delimiter"] == " " else flags["delimiter"],
        separator=flags["separator"],
    )


def _streamed(flags: Mapping[str, Any]) -> Source:
    """Return the lines of train* as a source that is read piece by piece."""
    from fivefold.data.streams_sources import JoinedSource, LineSource

    reader = _reader(flags, labeled=True)
    return JoinedSource([LineSource(path, partial(reader.parse, name="the file")) for path in _files(flags, "train")])


def _read(flags: Mapping[str, Any], prefix: str, *, labeled: bool) -> dict[str, np.ndarray]:
    """Return the lines of all files of a prefix, in the order of their names."""
    files, reader = _files(flags, prefix), _reader(flags, labeled)
    parts = [reader.read(path) for path in files]
    if labeled:
        bare = next((path for path, part in zip(files, parts) if "label" not in part), None)
        if bare is not None:
            raise DataError(f"{bare} has no labels, which the phase {flags['phase']} needs.")
    return {
        name: np.concatenate([part[name] for part in parts]) for name in ("label", "inds", "vals") if name in parts[0]
    }


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
    size = sum(path.stat().st_size for path in _files(flags, "train"))
    stream = size > STREAM_BYTES if flags["stream"] is None else flags["stream"]
    stream = stream or not flags["shuffle"]
    rows: Any = _streamed(flags) if stream else _read(flags, "train", labeled=True)
    count = int(rows.counts.sum()) if stream else len(rows["label"])
    watched = _read(flags, "eval", labeled=True) if flags["perform_valid_during_train"] else None
    model = build(flags)
    folder.mkdir(parents=True, exist_ok=True)
    resume = _begin(folder, {**flags, "stream": stream}, _digest(rows))
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


def _digest(rows: Source | Mapping[str, np.ndarray]) -> str:
    """Return what tells these rows from others: all numbers, or names, sizes and times of files that are streamed."""
    digest = hashlib.sha256()
    if isinstance(rows, Mapping):
        for name, values in rows.items():
            digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    else:
        for path in rows.files:
            facts = path.stat()
            digest.update(f"{path.name} {facts.st_size} {facts.st_mtime_ns}".encode())
    return digest.hexdigest()


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


def load(flags: Mapping[str, Any]) -> Any:
    """Return the model that the phase train left."""
    place = Path(flags["model_dir"]) / "model"
    if not place.is_dir():
        raise DataError(f"There is no trained model in {flags['model_dir']}; run the phase train first.")
    return codec.load(place)


def evaluate(flags: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, float]:
    """Measure the trained model on eval*, one pass; of a binary task also by field, in calibration.csv."""
    model = load(flags)
    rows = _read({**flags, "feat_size": model.encoder_.rows}, "eval", labeled=True)
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
    rows = _read({**flags, "feat_size": model.encoder_.rows}, "predict", labeled=False)
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
