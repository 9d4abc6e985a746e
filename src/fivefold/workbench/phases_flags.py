"""The flags of the sources' runner: what they say, how they are read, and which ones a phase needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fivefold.base.errors import SpecError, UnknownNameError
from fivefold.base.names import nearest

PHASES = ("train", "eval", "predict", "export")
MODELS = ("deepfm", "deep-cross-network", "wide-deep", "autoint", "xdeepfm", "factorization-machine", "field-aware-fm")


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
