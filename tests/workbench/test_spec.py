"""Specifications: layers and their origins, overrides, round trips, and the sentence about each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from fivefold.base.errors import CapabilityError, FivefoldError, SpecError, UnknownNameError
from fivefold.workbench.parts import check_spec, model_params
from fivefold.workbench.spec import read_spec, resolve_spec


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf8")
    return path


def test_layers_and_origins(tmp_path: Path) -> None:
    path = _write(tmp_path, "model:\n  name: MLP\n  hidden_layer_sizes: [8]\noptimizer:\n  name: adam\n  lr: 1e-2\n")
    spec = resolve_spec(path, ["optimizer.lr=3e-4", "data=wine"], seed=4)
    assert spec.id == "mlp"
    assert spec.optimizer.params == {"lr": 3e-4}
    assert spec.origin("optimizer.lr") == "--set optimizer.lr"
    assert spec.origin("model.hidden_layer_sizes") == f"{path}:3"
    assert spec.origin("seed") == "command line"
    assert spec.origin("data.test") == "default"
    assert spec.data.name == "wine"
    assert spec.seed == 4


def test_a_card_fills_in_data_and_metric() -> None:
    spec = resolve_spec("roc_auc")
    assert spec.id == "roc-auc"
    assert spec.evaluation.metrics[0] == "roc-auc"
    assert spec.data.name == "breast-cancer"
    assert spec.origin("data.name") == "card roc-auc"


def test_options_of_another_optimizer_do_not_stay() -> None:
    stock = resolve_spec("focal-loss")
    other = resolve_spec("focal-loss", ["optimizer.name=momentum"])
    assert "lr" in stock.optimizer.params
    assert other.optimizer.params == {}


def test_settings_replace_stock_parameters_of_the_model() -> None:
    spec = resolve_spec("mlp", ["trainer.max_epochs=9"], quick=True)
    assert model_params(spec)["max_epochs"] == 9
    assert "max_epochs" not in spec.model.params  # the rehearsal's own


def test_round_trip(tmp_path: Path) -> None:
    spec = resolve_spec("mlp", ["optimizer={name: momentum, lr: 0.1, schedule: lr-cosine}", "data.types={a: text}"])
    assert read_spec(_write(tmp_path, spec.to_yaml())) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: mlp", "s.yaml:1: unknown key 'modle'; did you mean one of: model,"),
        ("model: mlp\ndata:\n  nmae: iris", "s.yaml:3: unknown key 'data.nmae'; did you mean one of: name,"),
        ("model: mlp\nseed: -1", "s.yaml:2: seed: got -1, accepted is a whole number of at least 0."),
        ("model: mlp\ndata: {test: 1.5}", "s.yaml:2: data.test: got 1.5, accepted is a number between 0 and 1."),
        ("model: mlp\ndata: {split: rnd}", "s.yaml:2: data.split: got 'rnd', accepted is one of auto, random,"),
        ("model: mlp\noptimizer: adm", "s.yaml:2: optimizer: Unknown gradient-optimizer or numerical-optimizer 'adm'"),
        ("model: mlp\noptimizer: roc-auc", "s.yaml:2: optimizer: 'roc-auc' is a metric; a gradient-optimizer or"),
        ("model: mlp\noptimizer: {name: adam, clip_norm: 0}", "s.yaml:2: optimizer.clip_norm: got 0, accepted is"),
        ("seed: 1", "The specification names nothing to run"),
        ("- a", "{path}:1: a specification is a mapping"),
        ("", "{path}:1: a specification is a mapping such as 'model: mlp'; this file holds nothing."),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(FivefoldError) as caught:
        resolve_spec(path)
    wanted = (
        message.replace("{path}", str(path)).replace("s.yaml", str(path), 1) if "{path}" not in message else message
    )
    assert str(caught.value).startswith(wanted.replace("{path}", str(path)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr", "--set 'optimizer.lr' is not of the form path=value, for example --set optimizer.lr=3e-4."),
        ("=3", "--set '=3' is not of the form"),
        ("trainer.epochs=3", "--set trainer.epochs: unknown key 'trainer.epochs'; did you mean one of: max_epochs"),
        ("trainer.max_epochs=3.5", "--set trainer.max_epochs: trainer.max_epochs: got 3.5, accepted is a whole number"),
    ],
)
def test_mistakes_in_overrides(override: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_spec("mlp", [override])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "override", "error", "message"),
    [
        (
            "mlp",
            "model.hiden=3",
            UnknownNameError,
            "--set model.hiden: model.hiden: 'mlp' has no parameter 'hiden'; did you mean one of: hidden_layer_sizes",
        ),
        (
            "mlp",
            "optimizer={name: adam, momentum: 0.9}",
            UnknownNameError,
            "--set optimizer: optimizer.momentum: 'adam' has no parameter 'momentum'",
        ),
        (
            "ridge-regression",
            "optimizer.name=adam",
            CapabilityError,
            "--set optimizer.name: the optimizer 'adam' cannot train the model 'ridge-regression', which has its own way",
        ),
        (
            "logistic-regression",
            "evaluation.metrics=rmse",
            CapabilityError,
            "--set evaluation.metrics: the metric 'rmse' serves regression, the model 'logistic-regression' serves binary",
        ),
        (
            "logistic-regression",
            "evaluation.metrics=rok-auc",
            UnknownNameError,
            "--set evaluation.metrics: evaluation.metrics: Unknown metric 'rok-auc'; did you mean one of: roc-auc",
        ),
        (
            "ridge-regression",
            "data.task=binary",
            CapabilityError,
            "The model 'ridge-regression' does not fit the task 'binary': it serves regression.",
        ),
    ],
)
def test_parts_that_do_not_fit(name: str, override: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_spec(resolve_spec(name, [override]))
    assert str(caught.value).startswith(message)


def test_the_same_parameter_twice_is_an_error() -> None:
    with pytest.raises(SpecError, match=r"trainer.max_epochs and model.max_epochs .* set the same parameter of 'mlp'"):
        check_spec(resolve_spec("mlp", ["model.max_epochs=3", "trainer.max_epochs=4"]))


def test_a_missing_file() -> None:
    with pytest.raises(SpecError, match="There is no specification file 'absent.yaml'"):
        resolve_spec("absent.yaml")
