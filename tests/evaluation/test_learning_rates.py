import numpy as np
import pytest

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation.learning_rates import diagnose_learning_rates

FALLING = np.geomspace(1.0, 0.01, 30)


@pytest.mark.parametrize(
    ("error", "message", "curves", "options"),
    [
        (DataError, "needs at least one loss curve", {}, {}),
        (DataError, "must hold 8 losses or more", {0.1: FALLING[:7]}, {}),
        (DataError, "must hold 8 losses or more", {0.1: FALLING[:, None]}, {}),
        (DataError, "starts with nan; its first loss must be finite", {0.1: [np.nan] * 9}, {}),
        (InputError, "A learning rate must be a positive number, got 0.0", {0.0: FALLING}, {}),
        (InputError, r"tolerance must be in \(0, 1\), got 1", {0.1: FALLING}, {"tolerance": 1}),
        (InputError, r"tolerance must be in \(0, 1\), got 0", {0.1: FALLING}, {"tolerance": 0}),
    ],
)
def test_bad_input_gets_one_clear_sentence(error, message, curves, options):
    with pytest.raises(error, match=message):
        diagnose_learning_rates(curves, **options)


def test_the_report_is_words_and_a_plot(tmp_path):
    found = diagnose_learning_rates({0.01: np.linspace(1, 0.8, 30), 0.1: FALLING, 1.0: np.geomspace(1, 1e9, 30)})
    lines = str(found).splitlines()
    assert lines[0].startswith("learning rate 0.01: too small")
    assert lines[2].startswith("learning rate 1: far too large")
    assert lines[3] == "Use 0.1."
    assert found.draw(tmp_path / "rates.png").stat().st_size > 5000
