"""The comparison of all gradient optimizers on MNIST: who takes part, what comes out, what is refused."""

from __future__ import annotations

import time
import tomllib
from importlib import resources

import pytest

from fivefold.base.errors import InputError
from fivefold.demos.optimizers.bake_off import OptimizerBakeOff, optimizer_ids
from fivefold.workbench.run import run


def declared() -> list[str]:
    folder = resources.files("fivefold").joinpath("cards")
    tables = [tomllib.loads(p.read_text(encoding="utf8")) for p in folder.iterdir() if p.name.endswith(".toml")]
    return sorted(name for table in tables for name, card in table.items() if card["kind"] == "gradient-optimizer")


def test_every_registered_optimizer_takes_part_within_ten_seconds(tmp_path) -> None:
    OptimizerBakeOff(rates=[0.01], seeds=1).run(out=tmp_path, quick=True)  # kernels are compiled once a machine
    began = time.process_time()
    result = OptimizerBakeOff().run(seed=1, out=tmp_path / "new", quick=True)
    assert time.process_time() - began < 10
    assert optimizer_ids() == declared()
    assert sorted(row[0] for row in result.tables[0].rows) == declared()
    assert result.numbers["optimizers"] == len(declared())
    assert [path.name for path in result.figures] == ["bake-off.png"]
    assert result.figures[0].read_bytes()[:4] == b"\x89PNG"
    assert len(result.notes) == 2 and "chosen on validation rows alone" in result.text
    for name in declared():
        assert 0 < result.numbers[f"{name}: test error"] < 0.9
        assert result.numbers[f"{name}: seconds per step"] > 0
    # On one network without a second player these are one and the same method.
    same = {result.numbers[f"{name}: test error"] for name in ("sgd", "gradient-descent", "gradient-descent-ascent")}
    assert len(same) == 1


def test_one_command_runs_it(tmp_path) -> None:
    record = run("optimizer-registry", out=tmp_path / "run", quick=True, progress=False)
    assert record.metrics["adam: test error"] < 0.9 and record.metrics["passed"] >= 1
    assert (tmp_path / "run" / "figures" / "bake-off.png").is_file()
    assert "Test errors" in (tmp_path / "run" / "report.html").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("demo", "text"),
    [
        (OptimizerBakeOff(["adm"]), "compares gradient optimizers; 'adm' is none. Known: adabound, adadelta"),
        (OptimizerBakeOff(["lr-cosine"]), "'lr-cosine' is none"),
        (OptimizerBakeOff([]), "at least one optimizer, and learning rates above 0 in rising order; got 0 optimizers"),
        (OptimizerBakeOff(rates=(0.1, 0.01)), r"in rising order; got .* the rates \[0.1, 0.01\]"),
        (OptimizerBakeOff(rates=(0.0, 0.1)), "learning rates above 0"),
        (OptimizerBakeOff(seeds=0), "All counts of the bake-off must be at least 1"),
        (OptimizerBakeOff(train_rows=60_000, held_out_rows=20_000), "are more than the .* images of MNIST at hand"),
    ],
)
def test_senseless_settings_are_refused(demo, text, tmp_path) -> None:
    with pytest.raises(InputError, match=text):
        demo.run(out=tmp_path)
