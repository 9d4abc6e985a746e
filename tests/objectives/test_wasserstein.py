"""Wasserstein distance: refusals in a sentence."""

from __future__ import annotations

import pytest

from fivefold.base.errors import DataError
from fivefold.objectives.wasserstein import optimal_transport, wasserstein_distance


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wasserstein_distance([], [1.0]), "x must hold at least one point"),
        (lambda: wasserstein_distance([1.0], [float("nan")]), "y must hold at least one point of finite"),
        (lambda: wasserstein_distance([[1.0, 2.0]], [1.0]), "same number of coordinates, got 2 and 1"),
        (lambda: wasserstein_distance([1.0], [1.0], [1.0, 2.0]), "x_weights must be 1 finite numbers >= 0"),
        (lambda: wasserstein_distance([1.0], [1.0], [1.0], [0.0]), "y_weights must be 1 finite numbers"),
        (lambda: optimal_transport([1.0]), "costs must be a table (n, m)"),
        (lambda: optimal_transport([[1.0]], [-1.0]), "p must be 1 finite numbers"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)
