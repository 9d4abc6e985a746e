"""Evidence for the command line of four phases."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence


def folder_of_lines(place: Path, rows: int = 240) -> np.ndarray:
    """Write train*, eval* and predict* of three fields of 4 + 4 + 1 features; return the labels of predict*."""
    draw = np.random.default_rng(0)
    a, b, x = draw.integers(0, 4, rows), draw.integers(0, 4, rows), draw.normal(size=rows)
    y = ((a + b) % 2).astype(int)
    lines = [f"{t} {i}:1 {4 + j}:1 8:{v:.4f}" for t, i, j, v in zip(y.tolist(), a.tolist(), b.tolist(), x.tolist())]
    place.mkdir(parents=True, exist_ok=True)
    (place / "train-1.txt").write_text("\n".join(lines[:80]) + "\n")
    (place / "train-2.txt").write_text("\n".join(lines[80:160]) + "\n")
    (place / "eval.txt").write_text("\n".join(lines[160:200]) + "\n")
    (place / "predict.txt").write_text("\n".join(line.partition(" ")[2] for line in lines[200:]) + "\n")
    return y[200:]


def _call(*words: str) -> tuple[int, str]:
    """Run the command in this process; return its status and what it told on stderr."""
    from fivefold.cli import main

    told = io.StringIO()
    with redirect_stderr(told), redirect_stdout(io.StringIO()):
        try:
            status = main(["phase", *words])
        except SystemExit as error:
            status = int(error.code or 0)
    return int(status or 0), told.getvalue()


@evidence(
    "phase-cli",
    claim="Train, eval and predict on one folder: status 0, all files of a prefix, metrics by probabilities, the model's answers",
    against="scikit-learn's metrics of the saved model's probabilities; the rule that made the labels",
)
def three_phases() -> Check:
    from sklearn.metrics import log_loss, precision_score, recall_score, roc_auc_score

    from fivefold.base import codec
    from fivefold.data.readers_sparse import MultiFieldReader

    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "data", Path(name) / "model"
        y = folder_of_lines(data)
        common = ["--data_dir", str(data), "--model_dir", str(out), "--field_size", "3"]
        made = ["--feat_size=9", "--embed_size", "4", "--batch-size", "16", "--epochs", "12", "--learning_rate", "0.02"]
        extra = ["--hidden_sizes", "16,8", "--dropouts", "None", "--lamb", "0", "--noshuffle", "--use_bn", "False"]
        timed = ["--start_delay_secs", "0", "--throttle_secs", "0.2"]
        status, told = _call("--phase", "train", *common, *made, *extra, *timed)
        wrong += int(status != 0) + int("step " not in told)
        wrong += int(json.loads((out / "train.json").read_text())["rows"] != 160)
        wrong += int(not (out / "checkpoints").is_dir()) + int(not (out / "metrics.jsonl").is_file())
        wrong += sum(_call("--phase", phase, *common)[0] != 0 for phase in ("eval", "predict"))
        model = codec.load(out / "model")
        rows = MultiFieldReader(field_size=3).read(data / "eval.txt")
        p, t = model.predict_proba(rows)[:, 1], rows["label"]
        found = json.loads((out / "eval.json").read_text())
        expected = {
            "accuracy": np.mean((p > 0.5) == t),
            "precision": precision_score(t, p > 0.5),
            "recall": recall_score(t, p > 0.5),
            "log-loss": log_loss(t, p),
            "roc-auc": roc_auc_score(t, p),
        }
        wrong += int(set(found) != set(expected)) + sum(not abs(found[k] - v) < 1e-6 for k, v in expected.items())
        lines = list(csv.DictReader((out / "predictions.csv").read_text(encoding="utf8").splitlines()))
        answers = model.predict_proba(MultiFieldReader(field_size=3).read(data / "predict.txt"))[:, 1]
        wrong += int([float(line["prob"]) for line in lines] != answers.tolist())
        wrong += int(not np.mean([float(line["class"]) == label for line, label in zip(lines, y)]) >= 0.9)
    return Check(wrong, 0, "violations", "scikit-learn and the rule")


@evidence(
    "phase-cli",
    claim="A streamed training that was cut off goes on to the weights of the whole one; another one is refused there",
    against="the uncut run, bit for bit",
)
def streamed_and_resumed() -> Check:
    from unittest.mock import patch

    from fivefold.base import codec
    from fivefold.engine.callbacks import Callback
    from fivefold.engine.fit import Fit
    from fivefold.workbench import phases_training

    class Cut(Callback):
        def on_batch_end(self, fit: Fit, batch: Any) -> None:
            if fit.counters["batches"] == 27:
                raise KeyboardInterrupt

    usual = phases_training._callbacks
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        folder_of_lines(data)
        train = ["--phase", "train", "--data_dir", str(data), "--field_size", "3", "--feat_size", "9", "--stream"]
        train += ["--batch_size", "16", "--epochs", "4", "--save_checkpoints_steps", "6", "--buffer_size", "64"]
        wrong = _call(*train, "--model_dir", f"{name}/whole")[0] != 0
        with patch.object(phases_training, "_callbacks", lambda *given: [*usual(*given), Cut()]):
            wrong += _call(*train, "--model_dir", f"{name}/cut")[0] == 0
        wrong += (
            "differs in --seed; repeat it as it was"
            not in _call(*train, "--model_dir", f"{name}/cut", "--seed", "1")[1]
        )
        status, told = _call(*train, "--model_dir", f"{name}/cut")
        wrong += status != 0 or "it goes on from its last checkpoint" not in told
        whole, cut = (codec.load(Path(name) / run / "model").module_.state_dict() for run in ("whole", "cut"))
        wrong += sum(not bool((whole[key] == cut[key]).all()) for key in whole) + (whole.keys() != cut.keys())
    return Check(wrong, 0, "weights that differ, wrong sentences", "the uncut run")


@evidence(
    "phase-cli",
    claim="The exported model directory answers as the model, and model.onnx with the inputs inds and vals to 1e-5",
    against="ONNX's reference evaluator",
    peer="onnx",
)
def exported() -> Check:
    from onnx.reference import ReferenceEvaluator

    from fivefold.base import codec

    wrong, differences = 0.0, []
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        folder_of_lines(data)
        # The second trains with a compiled kernel that no exporter can trace.
        for method in ("deepfm", "autoint"):
            out, served = Path(name) / method, Path(name) / f"{method}-served"
            words = ["--data_dir", str(data), "--model_dir", str(out), "--field_size", "3", "--feat_size", "9"]
            words += ["--model", method, "--noperform_valid_during_train", "--embed_size", "3"]
            wrong += _call("--phase", "train", *words)[0]
            wrong += _call("--phase", "export", "--model_dir", str(out), "--export_dir", str(served))[0]
            model = codec.load(served / "model")
            draw = np.random.default_rng(1)
            inds, vals = draw.integers(0, 9, (5, 3)), draw.normal(size=(5, 3))
            given = {"inds": inds, "vals": vals.astype("f")}
            answers = ReferenceEvaluator(str(served / "model.onnx")).run(None, given)[0]
            differences.append(np.abs(answers - model.predict_proba({"inds": inds, "vals": vals})[:, 1]).max())
    return Check(float(np.max(differences)) + wrong, 1e-5, "largest difference", "ONNX")


@evidence(
    "phase-cli",
    claim="Every flag of the sources' runner has its default; values are read in all forms and lead to the stated model",
    against="the list of the sources",
)
def flags() -> Check:
    from fivefold.workbench.phases_flags import parse_flags
    from fivefold.workbench.phases_training import build

    base = ["--phase=train", "--model_dir=m", "--data_dir=d", "--field_size=3", "--feat_size=9"]
    values = parse_flags(base)
    stated = {
        "perform_valid_during_train": True, "log_step_count_steps": 500, "save_checkpoints_steps": 20000,
        "keep_checkpoint_max": 2, "shuffle": True, "buffer_size": 100000, "num_parallel_calls": 4,
        "use_dtype_high_precision": False, "name_feat_inds": "inds", "name_feat_vals": "vals", "use_global_bias": True,
        "use_linear": True, "lamb": 0.001, "optimizer": "adam", "learning_rate": 0.003, "use_bn": True,
        "start_delay_secs": 120.0, "throttle_secs": 600.0, "dropouts": None, "delimiter": " ", "separator": ":",
    }  # fmt: skip
    wrong = sum(values[name] != value for name, value in stated.items())
    given = parse_flags(
        [*base, "--hidden_sizes=[8, 4]", "--dropouts", "0.1,0.1", "--nouse_bn", "--use-linear", "false"]
    )
    wrong += int(given["hidden_sizes"] != [8, 4]) + int(given["dropouts"] != [0.1, 0.1])
    wrong += int(given["use_bn"]) + int(given["use_linear"])
    model = build({**given, "optimizer": "momentum-exp-decay", "use_dtype_high_precision": True, "seed": 3})
    wrong += (
        int(model.hidden_sizes != (8, 4)) + int(model.dropout != 0.1) + int(model.batch_norm) + int(model.use_linear)
    )
    wrong += int(model.optimizer != "momentum") + int(model.updates != "dense") + int(model.precision != "64-true")
    wrong += int(model.schedule_options != {"gamma": 0.998, "decay_steps": 5000, "staircase": True})
    wrong += (
        int(model.features != 9) + int(model.random_state != 3) + int(model.l2 != 0.001) + int(model.batch_size != 128)
    )
    usual = build(parse_flags(base))
    wrong += int(usual.optimizer != "sparse-adam") + int(usual.updates != "lazy") + int(usual.schedule is not None)
    other = build(
        parse_flags([*base, "--model", "Deep_Cross_Network", "--num_cross_hidden_layers", "2", "--task", "multi"])
    )
    wrong += int(type(other).__name__ != "DeepCross") + int(other.n_cross_layers != 2) + int(other.task != "multiclass")
    return Check(wrong, 0, "differences", "the list")


@evidence(
    "phase-cli",
    claim="Unknown flags, wrong values, missing flags, files and models, and malformed lines end with status 2 and one line",
    against="the sentence that names what is wrong",
)
def exit_codes() -> Check:
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        folder_of_lines(data)
        bad = Path(name) / "bad"
        folder_of_lines(bad)
        (bad / "train-2.txt").write_text("1 0:1 4:1 8:1\n1 0:1 9:1 8:1\n")
        train = ["--phase", "train", "--model_dir", f"{name}/m", "--field_size", "3", "--feat_size", "9"]
        cases = [
            ([], "--phase is missing"),
            (["--phase", "tune"], "--phase has the value 'tune'; give one of train, eval, predict, export"),
            ([*train, "--batchsize", "3"], "There is no flag --batchsize; did you mean --batch_size"),
            (
                [*train, "--data_dir", "d", "--batch_size", "0"],
                "--batch_size has the value '0'; give a number of at least 1",
            ),
            ([*train, "--data_dir", "d", "--epochs", "many"], "--epochs has the value 'many'; give a number"),
            ([*train, "--data_dir"], "--data_dir needs a value"),
            ([*train, "words"], "'words' is no flag"),
            (train, "The phase train needs --data_dir"),
            ([*train, "--data_dir", f"{name}/none"], "There is no file train* in"),
            ([*train, "--data_dir", str(bad)], "Line 2 of"),
            ([*train, "--data_dir", str(data), "--model", "deepfn"], "deepfm"),
            ([*train, "--data_dir", str(data), "--dropouts", "0.1"], "--dropouts has 1 rates for 2 --hidden_sizes"),
            ([*train, "--data_dir", str(data), "--dropouts", "0.1,0.2"], "--dropouts has different rates"),
            (["--phase", "eval", *train[2:], "--data_dir", str(data)], "There is no trained model in"),
        ]
        for words, sentence in cases:
            status, told = _call(*words)
            wrong += int(status != 2) + int(sentence not in told) + int(len(told.strip().splitlines()) != 1)
    return Check(wrong, 0, "wrong statuses or sentences", "house rule")


@evidence(
    "phase-cli",
    claim="Eval ranks within the categories of a field, and lists what is predicted and observed for each category",
    against="scikit-learn's area of each group, averaged by rows; loops over the rows",
)
def by_field() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.base import codec
    from fivefold.data.readers_sparse import MultiFieldReader
    from fivefold.evaluation.clicks import grouped_auc

    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "data", Path(name) / "model"
        folder_of_lines(data)
        words = ["--data_dir", str(data), "--model_dir", str(out), "--field_size", "3"]
        made = ["--feat_size", "9", "--embed_size", "3", "--noperform_valid_during_train"]
        wrong = float(_call("--phase", "train", *words, *made)[0])
        wrong += _call("--phase", "eval", *words, "--group_field", "1")[0]
        found = json.loads((out / "eval.json").read_text())["grouped-auc"]
        status, told = _call("--phase", "eval", *words, "--group_field", "3")
        wrong += int(status != 2) + int("--group_field is 3; the fields are 0 to 2." not in told)
        rows = MultiFieldReader(field_size=3).read(data / "eval.txt")
        p, y = codec.load(out / "model").predict_proba(rows)[:, 1], rows["label"]
        lines = list(csv.DictReader((out / "calibration.csv").read_text(encoding="utf8").splitlines()))
    areas, sizes = [], []
    for code in range(4, 8):
        here = rows["inds"][:, 1] == code
        if 0 < y[here].sum() < here.sum():
            areas.append(roc_auc_score(y[here], p[here]))
            sizes.append(here.sum())
    far = [abs(found - np.average(areas, weights=sizes))]
    seen = []
    for line in lines:
        here = rows["inds"][:, int(line["field"])] == int(line["index"])
        seen.append((int(line["field"]), int(line["rows"])))
        wrong += int(int(line["rows"]) != here.sum())
        far += [abs(float(line["predicted"]) - p[here].mean()), abs(float(line["observed"]) - y[here].mean())]
    wrong += int(seen != sorted(seen, key=lambda pair: (pair[0], -pair[1])))
    wrong += int(len(lines) != sum(len(np.unique(rows["inds"][:, f])) for f in range(3)))
    # Ties count a half; a group of one label is left out: group 0 has 7/8 on 4 rows, group 1 has 1 on 2, group 2 has none.
    tied = grouped_auc([0, 1, 1, 0, 1, 0, 1, 1], [0.2, 0.2, 0.9, 0.1, 0.3, 0.1, 0.5, 0.4], [0, 0, 0, 0, 1, 1, 2, 2])
    far.append(abs(tied - (4 * 0.875 + 2 * 1.0) / 6))
    return Check(float(np.max(far)) + wrong, 1e-9, "largest difference", "scikit-learn")
