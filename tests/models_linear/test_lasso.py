"""Lasso: what is refused and how, the warning, saving, constant and huge columns."""

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
from fivefold.models.linear import Lasso

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5))
y = X[:, 0] + RNG.normal(size=30)

CASES: dict[str, tuple[Callable[[], Any], type[FivefoldError], str]] = {
    "alpha": (lambda: Lasso(0).fit(X, y), InputError, "`alpha` is 0; give a number > 0."),
    "ratio": (lambda: Lasso(l1_ratio=0).fit(X, y), InputError, "`l1_ratio` is 0; give a number > 0 and <= 1."),
    "tol": (lambda: Lasso(tol="x").fit(X, y), InputTypeError, "`tol` is 'x' of type str; give a number > 0."),
    "passes": (lambda: Lasso(max_iter=0).fit(X, y), InputError, "`max_iter` is 0; give a whole number >= 1."),
    "alphas": (lambda: Lasso().path(X, y, alphas=[1, -1]), InputError, "`alphas` is [1, -1]; give numbers > 0."),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name: str) -> None:
    act, kind, text = CASES[name]
    with pytest.raises(FivefoldError) as caught:
        act()
    assert isinstance(caught.value, kind)
    assert str(caught.value) == text


def test_an_unfinished_fit_warns_with_the_gap() -> None:
    with pytest.warns(ConvergenceWarning, match=r"after max_iter=1 passes the duality gap is \d.*Raise `max_iter`"):
        Lasso(1e-4, tol=1e-15, max_iter=1).fit(RNG.normal(size=(30, 60)), y)


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    model = Lasso(0.1).fit(X, y)
    model.save(tmp_path / "model")
    assert np.array_equal(fivefold.load(tmp_path / "model").predict(X), model.predict(X))


def test_constant_collinear_and_huge_columns() -> None:
    rows = np.hstack([X, X[:, :1], np.full((30, 1), 1e8), X[:, 1:2] * 1e8])
    model = Lasso(0.05).fit(rows, y)
    assert model.coef_[6] == 0
    assert model.dual_gap_ <= 1e-6 * 0.5 * np.var(y)


def test_sparse_rows_are_not_densified_and_give_the_dense_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sp.random_array((200, 400), density=0.02, rng=np.random.default_rng(1), format="csr")
    target = np.asarray(rows[:, :20].sum(axis=1)).ravel() + 0.1 * RNG.normal(size=200)
    dense = Lasso(1e-3, tol=1e-12).fit(rows.toarray(), target)
    sizes: list[int] = []
    widen = sp.csc_array.toarray

    def watched(self: Any, *args: Any, **options: Any) -> Any:
        sizes.append(self.shape[0] * self.shape[1])
        return widen(self, *args, **options)

    monkeypatch.setattr(sp.csc_array, "toarray", watched)
    monkeypatch.setattr(sp.csr_array, "toarray", watched)
    for form in (rows, rows.tocsc()):
        model = Lasso(1e-3, tol=1e-12).fit(form, target)
        assert np.abs(model.coef_ - dense.coef_).max() < 1e-10
        assert abs(model.intercept_ - dense.intercept_) < 1e-10
    # Only Gram matrices of working sets are dense.
    assert max(sizes) < 200 * 400


def test_dense_rows_are_left_as_they_are() -> None:
    for order in ("C", "F"):
        rows = np.array(RNG.normal(size=(40, 8)), order=order)  # type: ignore[call-overload]
        before = rows.copy()
        Lasso(0.01).fit(rows, rows[:, 0] + 3)
        assert np.array_equal(rows, before)


def test_a_constant_target_has_no_weights() -> None:
    model = Lasso(0.1).fit(X, np.full(30, 4.0))
    assert not model.coef_.any()
    assert abs(model.intercept_ - 4.0) < 1e-14
    alphas, coefs, intercepts, gaps = Lasso().path(X, np.full(30, 4.0), n_alphas=3)
    assert np.abs(coefs).max() < 1e-14
    assert np.abs(intercepts - 4.0).max() < 1e-14
    assert np.abs(gaps).max() < 1e-28
    assert len(alphas) == 3


def test_single_precision_rows_give_double_precision_weights() -> None:
    rows = X.astype(np.float32)
    model = Lasso(0.05, tol=1e-10).fit(rows, y)
    assert model.coef_.dtype == np.float64
    assert np.abs(model.coef_ - Lasso(0.05, tol=1e-10).fit(rows.astype(np.float64), y).coef_).max() < 1e-10


def test_leaving_one_out_takes_weighted_rows():
    with pytest.raises(DataError, match="Leaving one out takes rows that all have weight; drop the others first."):
        Lasso().leave_one_out(np.eye(3), np.arange(3.0), np.array([1.0, 0.0, 1.0]))
