"""Support vector machines: what is refused and how, warnings, saving, tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

import fivefold
from fivefold.base.errors import DataError, FivefoldError, InputError, InputTypeError
from fivefold.base.estimator import NotFittedError
from fivefold.models.linear import (
    SVC,
    SVR,
    HardMarginSVM,
    PegasosSVM,
    PolynomialKernel,
    RBFKernel,
    SoftMarginSVM,
    _kernel_rows,
)
from fivefold.models.linear._kernel_rows import KernelRows, Team
from fivefold.models.linear._smo import RowCache

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
TWO = np.where(X[:, 0] + 0.5 * RNG.normal(size=30) > 0, "y", "n")
THREE = np.array(["a", "b", "c"] * 10)
REAL = X[:, 0] + RNG.normal(size=30)

CASES: dict[str, tuple[Callable[[], Any], type[FivefoldError], str]] = {
    "C": (lambda: SVC(C=0).fit(X, TWO), InputError, "`C` is 0; give a number > 0."),
    "C of the soft margin": (lambda: SoftMarginSVM(-1).fit(X, TWO), InputError, "`C` is -1; give a number > 0."),
    "C of a regression": (
        lambda: SVR(C="1").fit(X, REAL),
        InputTypeError,
        "`C` is '1' of type str; give a number > 0.",
    ),
    "epsilon": (lambda: SVR(epsilon=-0.1).fit(X, REAL), InputError, "`epsilon` is -0.1; give a number >= 0."),
    "kernel": (
        lambda: SVC(kernel="cubic").fit(X, TWO),
        InputError,
        "`kernel` is 'cubic'; give one of 'linear', 'poly', 'rbf', 'sigmoid', 'precomputed'.",
    ),
    "gamma": (
        lambda: SVC(gamma="wide").fit(X, TWO),
        InputError,
        "`gamma` is 'wide'; give 'scale', 'auto' or a number >= 0.",
    ),
    "gamma of a kernel": (lambda: RBFKernel(-1.0).fit(X), InputError, "`gamma` is -1.0; give a number >= 0."),
    "degree": (
        lambda: PolynomialKernel(1.5).fit(X),
        InputTypeError,
        "`degree` is 1.5 of type float; give a whole number >= 0.",
    ),
    "shape": (
        lambda: SVC(decision_function_shape="all").fit(X, TWO),
        InputError,
        "`decision_function_shape` is 'all'; give one of 'ovr', 'ovo'.",
    ),
    "cache": (lambda: SVC(cache_size=0).fit(X, TWO), InputError, "`cache_size` is 0; give a number > 0."),
    "iterations": (lambda: SVC(max_iter=0).fit(X, TWO), InputError, "`max_iter` is 0; give a whole number >= 1."),
    "one class": (
        lambda: SVC().fit(X, ["n"] * 30),
        DataError,
        "SVC needs two classes; y holds one class, 'n' with weight. Give rows of others.",
    ),
    "one class of the soft margin": (
        lambda: SoftMarginSVM().fit(X, ["n"] * 30),
        DataError,
        "SoftMarginSVM needs two classes; y holds one class, 'n'. Give rows of both.",
    ),
    "one class with weight": (
        lambda: SoftMarginSVM().fit(X, TWO, sample_weight=(TWO == "n").astype(float)),
        DataError,
        "SoftMarginSVM needs two classes with weight; the class 'y' has none.",
    ),
    "three classes": (
        lambda: PegasosSVM().fit(X, THREE),
        DataError,
        "Only binary classification is supported. The target has 3 classes ('a', 'b', 'c'); take kernel-svm or "
        "multiclass-svm for more than two.",
    ),
    "no plane": (
        lambda: HardMarginSVM().fit([[0.0], [1.0], [2.0]], ["a", "b", "a"]),
        DataError,
        "HardMarginSVM needs classes that a plane separates, and none separates these; take svm-soft-margin or set "
        "`soften`.",
    ),
    "a kernel that is not square": (
        lambda: SVC(kernel="precomputed").fit(X, TWO),
        DataError,
        "Precomputed metric requires shape (n_queries, n_indexed): X has the shape (30, 3), the kernel needs 30 columns, "
        "one for each row of fit.",
    ),
    "a kernel function of another shape": (
        lambda: SVC(kernel=lambda A, B: A).fit(X, TWO),
        DataError,
        "`kernel` gave the shape (30, 3) for 30 and 30 rows; give one value a pair: (30, 30).",
    ),
    "average": (
        lambda: PegasosSVM(average=10).fit(X, TWO),
        InputError,
        "`average` is 10; give True or False.",
    ),
    "alpha": (lambda: PegasosSVM(0.0).fit(X, TWO), InputError, "`alpha` is 0.0; give a number > 0."),
    "not fitted": (
        lambda: SVC().predict(X),
        NotFittedError,
        "This SVC is not fitted yet; call `fit` before using it.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name: str) -> None:
    act, kind, text = CASES[name]
    with pytest.raises(FivefoldError) as caught:
        act()
    assert isinstance(caught.value, kind)
    assert str(caught.value) == text


@pytest.mark.parametrize("model", [SVC(max_iter=3), SVR(max_iter=3), SoftMarginSVM(max_iter=3)])
def test_an_unfinished_fit_warns_with_the_residual(model: Any) -> None:
    with pytest.warns(
        ConvergenceWarning, match=r"after 3 pairs the optimality conditions are violated by \d.*Raise `max_iter`"
    ):
        model.fit(X, REAL if isinstance(model, SVR) else TWO)
    assert model.kkt_residual_ > model.tol


def test_an_unfinished_hard_margin_warns() -> None:
    rows = X + 8 * (TWO == "y")[:, None]
    with pytest.warns(ConvergenceWarning, match=r"HardMarginSVM did not reach tol=1e-06: after 1 pairs"):
        HardMarginSVM(max_iter=1).fit(rows, TWO)


def test_weights_of_a_kernel_that_has_none() -> None:
    with pytest.raises(AttributeError, match="kernel='linear'"):
        _ = SVC().fit(X, TWO).coef_


@pytest.mark.parametrize("rows", [X, sp.csr_array(X)], ids=["dense", "sparse"])
@pytest.mark.parametrize("method", [SVC, SVR, SoftMarginSVM, PegasosSVM, PolynomialKernel, RBFKernel])
def test_a_saved_model_answers_the_same(method: Any, rows: Any, tmp_path: Path) -> None:
    model = method().fit(rows, REAL if method is SVR else TWO)
    model.save(tmp_path / "model")
    again = fivefold.load(tmp_path / "model")
    verb = "predict" if hasattr(model, "predict") else "transform"
    assert np.array_equal(getattr(model, verb)(rows), getattr(again, verb)(rows))


def test_the_cache_forms_a_row_again_only_after_it_was_dropped() -> None:
    asked: list[int] = []
    K = X @ X.T

    def rows_of(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return K[rows]

    cache = RowCache(KernelRows(rows_of, 30), 30 * 8 * 30 / 2**20, Team(False))
    for rows in ([0, 1, 2], [1, 2, 3], [0, 29]):
        slots = cache.slots(np.array(rows))
        assert np.array_equal(cache.values[slots], K[rows])
    assert asked == [0, 1, 2, 3, 29]
    small = RowCache(KernelRows(rows_of, 30), 1e-9, Team(False))
    small.block = 4
    small.values, small._owner, small._used = small.values[:4], small._owner[:4], small._used[:4]
    asked.clear()
    for rows in ([0, 1, 2, 3], [3, 4], [0, 5], [3, 4, 5, 0], [1]):
        slots = small.slots(np.array(rows))
        assert np.array_equal(small.values[slots], K[rows])
    # Row 4 takes the place of one of 0, 1, 2 (equally old), then 0 and 5 those of the oldest; 3, 4, 5, 0 are then all there.
    assert asked[:5] == [0, 1, 2, 3, 4] and asked[-1] == 1 and set(asked[5:-1]) <= {0, 5}


def test_equal_rows_of_both_classes_are_no_obstacle() -> None:
    rows = np.repeat(X[:5], 4, axis=0)
    labels = np.array(["n", "y"] * 10)
    model = SVC(C=1e6).fit(rows, labels)
    assert np.isfinite(model.decision_function(rows)).all()
    assert model.kkt_residual_ <= model.tol


def test_no_digit_depends_on_who_forms_which_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2300, 5))
    labels = rows[:, 0] * rows[:, 1] + 0.3 * rng.normal(size=2300) > 0
    monkeypatch.setattr(_kernel_rows, "_WORTH_IT", 0)
    fitted = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(_kernel_rows.numba, "get_num_threads", lambda threads=threads: threads)
        fitted.append(SVC(C=5, cache_size=8).fit(rows, labels))
    for other in fitted[1:]:
        assert np.array_equal(other.dual_coef_, fitted[0].dual_coef_)
        assert np.array_equal(other.intercept_, fitted[0].intercept_)
        assert other.kkt_residual_ == fitted[0].kkt_residual_


def test_a_failure_on_another_thread_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kernel_rows.numba, "get_num_threads", lambda: 2)

    def act(k: int, count: int) -> None:
        if k == 1:
            raise ValueError(f"{count} threads")

    with _kernel_rows.Team(True) as team, pytest.raises(ValueError, match="2 threads"):
        team.share(act, 1 << 20)
    with _kernel_rows.Team(False) as team:
        team.share(act, (1 << 20) - 1)


@pytest.mark.parametrize(("megabytes", "rows"), [(1e-9, 256), (8.0, 524), (4.0, 524), (3.0, 393)])
def test_the_cache_keeps_to_its_size(megabytes: float, rows: int) -> None:
    source = _kernel_rows.GaussianRows(np.zeros((2000, 2)), 1.0, np.float32 if megabytes < 8 else np.float64)
    with Team(True) as team:
        values = RowCache(source, megabytes, team).values
    assert values.dtype == source.dtype
    assert values.shape == (rows, 2000)
    assert values.nbytes <= max(megabytes * 2**20, 256 * 4 * 2000)


def test_kernel_values_that_overflow_end_in_a_warning() -> None:
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.warns(ConvergenceWarning, match="conditions are violated by inf"),
    ):
        SVC(kernel="poly", degree=200, gamma=1e3, coef0=1.0).fit(X, TWO)
