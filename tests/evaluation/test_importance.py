"""Permutation importance: known losses, determinism, call counts and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import DataError, InputError, UnknownNameError
from fivefold.evaluation.importance import permutation_importance

ROWS = 4000


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "weak": rng.normal(size=ROWS),
            "kind": rng.choice(["a", "b"], ROWS),
            "noise": rng.normal(size=ROWS),
            "strong": rng.normal(size=ROWS),
        }
    )


def linear(frame: pl.DataFrame) -> np.ndarray:
    return (frame["strong"] * 3 + frame["weak"] + (frame["kind"] == "a").cast(pl.Float64) * 4).to_numpy()


def test_losses_of_a_linear_model_are_known(frame: pl.DataFrame) -> None:
    truth = linear(frame)
    found = permutation_importance(
        linear, frame, frame.columns, lambda p: float(np.mean((p - truth) ** 2)), n_repeats=20, higher_is_better=False
    )
    assert [one.column for one in found] == ["strong", "kind", "weak", "noise"]
    # An error-free model: shuffling a term of variance v makes a mean squared error of 2 v on average over all orders
    # (times n / (n - 1)), and of 20 orders the mean has the standard error deviation / sqrt(20).
    kind = float((frame["kind"] == "a").cast(pl.Float64).var(ddof=0)) * 16  # type: ignore[arg-type]
    strong, weak = float(frame["strong"].var(ddof=0)) * 9, float(frame["weak"].var(ddof=0))  # type: ignore[arg-type]
    for one, variance in zip(found, (strong, kind, weak)):
        expected = 2 * variance * ROWS / (ROWS - 1)
        assert abs(one.mean - expected) < 5 * one.deviation / np.sqrt(20)
        # The inner product of two random orders has the standard deviation v sqrt(n); twice that over n.
        assert one.deviation == pytest.approx(2 * variance / np.sqrt(ROWS), rel=0.6)
    assert (found[3].mean, found[3].deviation) == (0.0, 0.0)


def test_direction_and_repeats(frame: pl.DataFrame) -> None:
    truth = linear(frame)
    up = permutation_importance(linear, frame, ["strong"], lambda p: -float(np.mean((p - truth) ** 2)), n_repeats=3)
    down = permutation_importance(
        linear, frame, ["strong"], lambda p: float(np.mean((p - truth) ** 2)), n_repeats=3, higher_is_better=False
    )
    assert up == down
    assert up[0].mean > 0
    once = permutation_importance(linear, frame, ["strong"], lambda p: -float(np.mean((p - truth) ** 2)), n_repeats=1)
    assert np.isnan(once[0].deviation)


def test_mean_and_deviation_are_those_of_the_repeats(frame: pl.DataFrame) -> None:
    truth, scores = linear(frame), []

    def score(prediction: np.ndarray) -> float:
        scores.append(float(np.corrcoef(prediction, truth)[0, 1]))
        return scores[-1]

    (one,) = permutation_importance(linear, frame, ["weak"], score, n_repeats=4)
    losses = scores[0] - np.array(scores[1:])
    assert one.mean == pytest.approx(losses.mean(), rel=1e-12)
    assert one.deviation == pytest.approx(losses.std(ddof=1), rel=1e-12)
    assert len(set(losses)) == 4


def test_deterministic_whatever_else_is_asked(frame: pl.DataFrame) -> None:
    truth = linear(frame)

    def run(columns: list[str], seed: int = 0, n_repeats: int = 2) -> dict[str, float]:
        found = permutation_importance(
            linear, frame, columns, lambda p: -float(np.mean(np.abs(p - truth))), seed=seed, n_repeats=n_repeats
        )
        return {one.column: one.mean for one in found}

    assert run(["weak", "strong"])["weak"] == run(["weak"])["weak"] == run(["strong", "kind", "weak"])["weak"]
    assert run(["weak"], seed=1) != run(["weak"])


def test_one_call_a_column_and_repeat_on_whole_columns(frame: pl.DataFrame) -> None:
    seen: list[pl.DataFrame] = []

    def predict(given: pl.DataFrame) -> pl.DataFrame:
        seen.append(given)
        return given

    permutation_importance(predict, frame, ["kind", "weak"], lambda p: float(p.height), n_repeats=3)
    assert len(seen) == 1 + 2 * 3
    assert seen[0].equals(frame)
    for given, changed in zip(seen[1:], ["kind"] * 3 + ["weak"] * 3):
        assert given.schema == frame.schema
        assert given.drop(changed).equals(frame.drop(changed))
        assert not given[changed].equals(frame[changed])
        assert given[changed].sort().equals(frame[changed].sort())
    assert not seen[1]["kind"].equals(seen[2]["kind"])


def test_equal_means_keep_the_order_asked_for(frame: pl.DataFrame) -> None:
    found = permutation_importance(linear, frame, ["noise", "kind", "weak"], lambda _: 1.0)
    assert [one.column for one in found] == ["noise", "kind", "weak"]
    assert permutation_importance(linear, frame, [], lambda _: 1.0) == []


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"columns": ["wek"]}, UnknownNameError, "no column 'wek'; the nearest are: weak"),
        ({"columns": ["weak", "weak"]}, InputError, "'weak' is named twice"),
        ({"n_repeats": 0}, InputError, "n_repeats must be a whole number >= 1, got 0"),
        ({"score": lambda _: float("nan")}, DataError, "finite score; it is nan for the frame as it is"),
    ],
)
def test_refusals(frame: pl.DataFrame, change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"columns": ["weak"], "score": lambda _: 1.0} | change
    with pytest.raises(error) as caught:
        permutation_importance(linear, frame, given.pop("columns"), given.pop("score"), **given)
    assert words in str(caught.value)


def test_one_row_and_a_score_that_fails_later(frame: pl.DataFrame) -> None:
    with pytest.raises(DataError, match="at least two rows to shuffle; the frame has 1"):
        permutation_importance(linear, frame.head(1), ["weak"], lambda _: 1.0)
    answers = iter([1.0, float("inf")])
    with pytest.raises(DataError, match="it is inf for the shuffled column 'weak'"):
        permutation_importance(linear, frame, ["weak"], lambda _: next(answers))
