"""Correlations and tests: what they refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base.errors import DataError, InputError
from fivefold.evaluation import correlation as c
from fivefold.evaluation import significance as s

X, Y = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: c.CorrelationAnalysis("r"), InputError, "method must be one of pearson, spearman"),
        (lambda: c.pearson(X, Y[:3]), DataError, "two columns of equal length >= 3; got shapes (4,) and (3,)"),
        (lambda: c.pearson(X, np.ones(4)), DataError, "undefined for a constant column; every y is 1"),
        (lambda: c.kendall(X, ["a", "b", "c", "d"]), DataError, "needs finite numbers; y holds text"),
        (lambda: c.spearman(X, X * np.nan), DataError, "NaN or infinite"),
        (lambda: c.point_biserial(X, X), DataError, "needs x of two values; it holds 4"),
        (lambda: c.cramers_v(["a"] * 4, Y), DataError, "at least two categories"),
        (lambda: c.CorrelationAnalysis().matrix(X), DataError, "needs X of shape (n, d); got (4,)"),
        (lambda: s.SignificanceAnalysis("z"), InputError, "test must be one of t, welch, f, chi2"),
        (lambda: s.SignificanceAnalysis(adjustment="none"), InputError, "adjustment must be one of holm"),
        (lambda: s.SignificanceAnalysis().columns(X, Y), DataError, "needs X of shape (n, d)"),
        (
            lambda: s.t_test(X, [0, 0, 1, 2]),
            DataError,
            "two or more groups of two or more rows; got groups of [2, 1, 1]",
        ),
        (lambda: s.t_test(np.r_[X, X], np.arange(8) % 3), DataError, "compares two groups; y holds 3. Use the F test"),
        (lambda: s.t_test(Y, Y), DataError, "constant within both groups"),
        (lambda: s.f_test(Y, Y), DataError, "constant within every group"),
        (lambda: s.f_test(X[:, None], Y), DataError, "needs a finite column"),
        (lambda: s.chi2_test(["a"] * 4, Y), DataError, "at least two categories"),
        (lambda: s.chi2_test(X, Y[:2]), DataError, "two columns of equal length"),
        (lambda: s.adjust([0.1, 1.2]), DataError, "p-values must be numbers in [0, 1]"),
        (lambda: s.adjust([0.1], method="none"), InputError, "method must be one of holm"),
        (lambda: s.mcnemar(Y, Y, Y[:2]), DataError, "needs equal lengths"),
        (lambda: s.five_by_two_cv(np.ones((2, 5))), DataError, "five repeats of two folds, shape (5, 2); got (2, 5)"),
        (lambda: s.five_by_two_cv(np.ones((5, 2))), DataError, "both folds differ equally"),
        (lambda: s.five_by_two_cv(np.full((5, 2), np.nan)), DataError, "found NaN"),
        (lambda: s.corrected_resampled_t([1.0], test_fraction=0.1), DataError, "k >= 2 differences"),
        (lambda: s.corrected_resampled_t(X, test_fraction=1), InputError, "test_fraction must be in (0, 1), got 1"),
        (lambda: s.corrected_resampled_t([1.0, 1.0], test_fraction=0.5), DataError, "all differences are equal"),
        (lambda: s.delong(Y, X, np.ones((4, 2))), DataError, "takes one score a row"),
        (lambda: s.delong([0, 0, 0, 1], X, X), DataError, "two rows of either class; there are 1 positive"),
        (lambda: s.delong(Y, Y, 1 - Y), DataError, "the difference of the areas has no variance"),
        (lambda: s.bootstrap_interval(np.mean, X, method="t"), InputError, "method must be one of bca, percentile"),
        (lambda: s.bootstrap_interval(np.mean, X, confidence=95), InputError, "confidence must be in (0, 1), got 95"),
        (lambda: s.bootstrap_interval(np.mean, X, resamples=1), InputError, "resamples must be a whole number >= 2"),
        (lambda: s.bootstrap_interval(np.mean, X, Y[:2]), DataError, "arrays of one length >= 2; got lengths [4, 2]"),
    ],
)
def test_refusals(call, error, words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_a_bootstrap_repeats_with_its_seed() -> None:
    first, second = (s.bootstrap_interval(np.mean, X, resamples=50, random_state=3) for _ in range(2))
    assert first == second
