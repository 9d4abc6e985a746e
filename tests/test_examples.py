"""The examples run: quickly here, as they stand from the command line."""

from __future__ import annotations

import importlib.util
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest

import fivefold

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested_and_named():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"own_model", "own_csv", "training_to_serving"}
    readme = (EXAMPLES.parent / "README.md").read_text()
    assert all(f"examples/{path.name}" in readme for path in EXAMPLES.glob("*.py"))


def test_own_model():
    assert example("own_model").main(max_epochs=20) > 0.8


def test_own_csv(tmp_path, capsys):
    module = example("own_csv")
    houses = module.write_houses(tmp_path / "houses.csv")
    result = module.main(houses, "price", tmp_path / "run", "ridge-regression,k-nearest-neighbors", isolate=False)
    assert result.best.id == "ridge-regression"
    assert result.report.is_file() and "kept, fitted on all rows: Ridge" in capsys.readouterr().out


def test_training_to_serving(tmp_path):
    module = example("training_to_serving")
    run = module.train(tmp_path / "run")
    rows = fivefold.load_dataset("breast-cancer").frame.drop("diagnosis").head(3)
    with module.server(run, port=0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{serving.server_port}"
            reply = urllib.request.urlopen(address, json.dumps(rows.to_dicts()).encode(), timeout=20)
            assert json.load(reply) == fivefold.predict(run, rows).to_dicts()
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(address, json.dumps(rows[:, 1:].to_dicts()).encode(), timeout=20)
            assert refused.value.code == 400 and rows.columns[0] in json.load(refused.value)["error"]
        finally:
            serving.shutdown()
            thread.join()
