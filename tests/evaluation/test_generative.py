"""Metrics of generated samples: what they refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError
from fivefold.evaluation import generative as g
from fivefold.evaluation import memorization as m

X = np.random.default_rng(0).normal(size=(6, 3))
P = np.eye(3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: g.frechet_distance(X, X[:, :2]), DataError, "two rows or more on either side, of one width"),
        (lambda: g.frechet_distance(X, X[:1]), DataError, "two rows or more"),
        (lambda: g.FrechetDistance().update(X, None).compute(), InputError, "fid has seen no generated rows"),
        (
            lambda: g.FrechetDistance().update(X, None).update(X[:, :1], None),
            DataError,
            "rows of one width; got 3 and 1",
        ),
        (lambda: g.FrechetDistance().update(X * np.nan, X), DataError, "needs y_true as finite features (n, d)"),
        (lambda: g.FrechetDistance().update(X, X, np.ones(6)), InputError, "takes no sample_weight"),
        (lambda: g.inception_score(None, X), DataError, "probabilities in [0, 1]"),
        (lambda: g.inception_score(None, P[0]), DataError, "needs class probabilities (n, K); got shape (3,)"),
        (lambda: g.InceptionScore().compute(), InputError, "has seen no rows"),
        (lambda: g.InceptionScore().update(None, P, np.ones(3)), InputError, "takes no sample_weight"),
        (lambda: g.InceptionScore().update(None, P).update(None, np.eye(2)), DataError, "has seen 3 classes and now 2"),
        (lambda: g.ModeScore().update(None, P).compute(), InputError, "has seen no real rows"),
        (lambda: g.mode_score(np.eye(2), P), DataError, "needs one number of classes; got 2 and 3"),
        (lambda: g.ModeScore().update(P, P).update(np.eye(2), None), DataError, "has seen 3 real classes and now 2"),
        (lambda: g.KernelMMD("cosine"), InputError, "kernel must be one of rbf, polynomial, linear"),
        (lambda: g.KernelMMD(bandwidth=0), InputError, "bandwidth must be a finite number > 0 or None, got 0"),
        (lambda: g.kernel_mmd(X, X[:1]), DataError, "two rows or more on either side; got 6 and 1"),
        (lambda: g.kernel_mmd(0 * X, 0 * X), DataError, "the median distance is 0; pass bandwidth="),
        (lambda: g.kernel_mmd(X, X[:, :1]), DataError, "rows of one width"),
        (lambda: g.KernelMMD().update(X, X, np.ones(6)), InputError, "takes no sample_weight"),
        (lambda: g.SampleWasserstein(0.5), InputError, "order must be a finite number >= 1, got 0.5"),
        (lambda: g.sample_wasserstein(X, X[:4]), DataError, "there are 6 real and 4 generated ones"),
        (lambda: g.SampleWasserstein().update(None, X).compute(), InputError, "has seen no real rows"),
        (lambda: m.NearestNeighborCopyTest("cosine"), InputError, "distance must be one of l2, l1"),
        (lambda: m.NearestNeighborCopyTest(threshold=-1), InputError, "threshold must be >= 0, got -1"),
        (lambda: m.NearestNeighborCopyTest(max_shift=0.5), InputError, "max_shift must be a whole number >= 0"),
        (
            lambda: m.NearestNeighborCopyTest().test(X, X[:, :2]),
            DataError,
            "Rows must have one shape; got (3,) and (2,)",
        ),
        (lambda: m.NearestNeighborCopyTest().test(X[0], X), DataError, "training must be finite rows (n, d) or images"),
        (lambda: m.NearestNeighborCopyTest(max_shift=1).test(X, X), DataError, "max_shift=1 needs images"),
        (
            lambda: m.NearestNeighborCopyTest().calibrate(X, X, quantile=2),
            InputError,
            "quantile must be in [0, 1], got 2",
        ),
        (lambda: m.BirthdayParadoxTest(threshold=-1), InputError, "threshold must be >= 0"),
        (lambda: m.BirthdayParadoxTest().test(X), DataError, "needs finite batches (b, s, d) of s >= 2 rows"),
        (lambda: m.collision_probability(0, 5), InputError, "samples >= 1 and support >= 1; got 0 and 5"),
    ],
)
def test_refusals(call, error, words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_more_draws_than_values_collide() -> None:
    assert m.collision_probability(6, 5) == 1.0


def test_streams_are_saved(tmp_path) -> None:
    for metric in (
        g.FrechetDistance().update(X, X + 1),
        g.InceptionScore().update(None, P),
        g.KernelMMD().update(X, X + 1),
    ):
        codec.save(metric, tmp_path / metric.name)
        assert codec.load(tmp_path / metric.name).compute() == metric.compute()
