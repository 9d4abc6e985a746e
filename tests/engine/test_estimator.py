"""Neural estimators keep scikit-learn's protocol."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from fivefold.base.errors import DataError, SpecError
from fivefold.base.estimator import NotFittedError
from fivefold.engine.estimator import NeuralClassifier, NeuralRegressor


class Classifier(NeuralClassifier):
    def __init__(self, hidden=16, **common):
        super().__init__(**common)
        self.hidden = hidden

    def build(self, schema):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(schema.n_features, self.hidden), nn.Tanh(), nn.Linear(self.hidden, schema.n_outputs)
        )


class Regressor(NeuralRegressor):
    def __init__(self, hidden=16, **common):
        super().__init__(**common)
        self.hidden = hidden

    build = Classifier.build


class Images(Classifier):
    allow_nd = True


WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn by row, so a repeated row falls into other batches "
    "than a weighted one"
}
FAST = {"max_epochs": 40, "learning_rate": 1e-2, "batch_size": 32}


@parametrize_with_checks([Classifier(**FAST), Regressor(**FAST)], expected_failed_checks=lambda estimator: WEIGHTS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def problem(classes=3, n=90):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    y = np.array(["ant", "bee", "cat", "dog"])[
        np.digitize(X[:, 0] + 0.1 * rng.normal(size=n), np.linspace(-0.7, 0.7, classes - 1))
    ]
    return X, y


def test_all_parameters_are_seen():
    parameters = inspect.signature(Classifier.__init__).parameters
    assert list(parameters)[:2] == ["self", "hidden"] and {"max_epochs", "ema", "random_state"} <= set(parameters)
    model = Classifier(hidden=3, max_epochs=7)
    assert model.get_params()["max_epochs"] == 7 and clone(model).hidden == 3
    assert "scale_target" in Regressor().get_params()
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        Classifier(epochs=3)


@pytest.mark.parametrize("classes", [2, 3])
def test_strings_and_probabilities(classes):
    X, y = problem(classes)
    model = Classifier(**{**FAST, "max_epochs": 100}).fit(X, y)
    assert list(model.classes_) == sorted(set(y)) and (model.predict(X) == y).mean() > 0.9
    p = model.predict_proba(X)
    assert p.shape == (90, classes) and np.abs(p.sum(1) - 1).max() < 1e-12
    assert (model.classes_[p.argmax(1)] == model.predict(X)).all()
    assert model.schema_.n_outputs == (1 if classes == 2 else 3) and model.n_iter_ == 100


def test_tables_of_pandas_and_polars():
    X, y = problem()
    names = list("abcd")
    wanted = Classifier(max_epochs=2).fit(X, y).predict_proba(X)
    for make in (lambda: pd.DataFrame(X, columns=names), lambda: pl.DataFrame(X, schema=names)):
        model = Classifier(max_epochs=2).fit(make(), y)
        assert list(model.feature_names_in_) == names and (model.predict_proba(make()) == wanted).all()
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        model.predict(pd.DataFrame(X, columns=list("abce")))
    with pytest.raises(ValueError, match="X has 3 features, but Classifier is expecting 4 features as input"):
        Classifier(max_epochs=1).fit(X, y).predict(X[:, :3])


def test_same_seed_same_model():
    X, y = problem()
    one, two, other = (Classifier(max_epochs=2, random_state=s).fit(X, y).predict_proba(X) for s in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"max_epochs": 0}, SpecError, "Classifier: max_epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": -1}, SpecError, "Classifier: batch_size must be a whole number of at least 1, got -1"),
        ({"validation_fraction": 1.0}, SpecError, r"validation_fraction must lie in \[0, 1\), got 1.0"),
        ({"patience": 3}, SpecError, "patience=3 needs rows to watch; set validation_fraction"),
        ({"optimizer": "adan"}, ValueError, "Unknown method 'adan'; did you mean one of: "),
        ({"clip_norm": -1}, SpecError, "clip_norm must be greater than 0, got -1"),
    ],
)
def test_wrong_parameters(settings, error, text):
    with pytest.raises(error, match=text):
        Classifier(**settings).fit(*problem())


def test_wrong_data():
    X, y = problem()
    with pytest.raises(DataError, match="needs at least 2 classes, but y holds one class only: 'bee'"):
        Classifier().fit(X, ["bee"] * 90)
    broken = X.copy()
    broken[7, 2] = np.nan
    with pytest.raises(
        DataError, match="X contains NaN, first in row 7; Classifier needs finite numbers. Fill or drop"
    ):
        Classifier().fit(broken, y)
    with pytest.raises(DataError, match="X contains NaN, first in row 7"):
        Classifier(max_epochs=1).fit(X, y).predict(broken)
    broken[7, 2] = 1e300
    with pytest.raises(DataError, match="X contains infinity"):
        Classifier().fit(broken, y)
    with pytest.raises(DataError, match="y contains"):
        Regressor().fit(X, np.where(np.arange(90) == 3, np.inf, 1.0))
    with pytest.raises(DataError, match="Sample weights must contain at least one non-zero number"):
        Classifier().fit(X, y, sample_weight=np.zeros(90))
    with pytest.raises(DataError, match="2 rows are too few to hold out"):
        Regressor(validation_fraction=0.9).fit(X[:2], [1.0, 2.0])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        Classifier().predict(X)


def test_early_stopping_and_average():
    X, y = problem(n=300)
    model = Classifier(validation_fraction=0.2, patience=3, max_epochs=400, learning_rate=0.05, ema=0.9).fit(X, y)
    assert model.n_iter_ < 400 and "val_loss" in model.history_[0]
    best = min(record["val_loss"] for record in model.history_)
    assert model.history_[-4]["val_loss"] == best


def test_the_held_out_rows_keep_the_shares_of_classes():
    X, y = problem(n=200)
    seen = {}

    class Peek(Classifier):
        def _hold_out(self, y, streams):
            seen["split"] = super()._hold_out(y, streams)
            seen["y"] = y
            return seen["split"]

    Peek(validation_fraction=0.25, max_epochs=1).fit(X, y)
    train, held = seen["split"]
    assert len(held) == 50 and sorted([*train, *held]) == list(range(200))
    shares = np.bincount(seen["y"][held]) / 50 - np.bincount(seen["y"]) / 200
    assert np.abs(shares).max() <= 1 / 50
    assert not (np.diff(held) == 4).all()


@pytest.mark.parametrize("precision", [None, "64-true"])
def test_saved_and_loaded(tmp_path, precision):
    import fivefold

    # Only classes of installed packages are loaded, so a subclass of a test goes through its own state.
    X, y = problem()
    model = Classifier(max_epochs=3, precision=precision).fit(X, y)
    again = Classifier.from_state(model.get_state())
    assert (again.predict_proba(X) == model.predict_proba(X)).all() and again.n_iter_ == 3
    assert fivefold.__version__
    regressor = Regressor(max_epochs=3, precision=precision).fit(X, np.c_[X[:, 0], 100 + X[:, 1]])
    again = Regressor.from_state(regressor.get_state())
    assert (again.predict(X) == regressor.predict(X)).all() and again.predict(X).shape == (90, 2)
    assert Classifier.from_state(Classifier(hidden=2).get_state()).hidden == 2


def test_targets_of_any_scale():
    X, _ = problem(n=300)
    y = X[:, 0] + 0.5 * X[:, 1] ** 2
    small = Regressor(**FAST, random_state=3).fit(X, y).predict(X)
    large = Regressor(**FAST, random_state=3).fit(X, 1e6 * y + 1e7).predict(X)
    assert np.abs(large - (1e6 * small + 1e7)).max() < 10
    raw = Regressor(**FAST, random_state=3, scale_target=False).fit(X, y)
    assert raw.target_mean_ == 0 and raw.target_scale_ == 1
    assert (Regressor(max_epochs=1).fit(X, np.full(300, 7.0)).target_scale_ == 1).all()


def test_weight_zero_is_absent():
    X, y = problem(2)
    flipped = y.copy()
    flipped[::3] = np.where(y[::3] == "ant", "bee", "ant")
    weight = np.ones(90)
    weight[::3] = 0
    kept = weight > 0
    whole = {**FAST, "batch_size": 90, "precision": "64-true"}
    a = Classifier(**whole).fit(X, flipped, sample_weight=weight)
    b = Classifier(**whole).fit(X[kept], flipped[kept])
    # One batch holds all rows, so only the order of sums differs.
    assert np.abs(a.predict_proba(X) - b.predict_proba(X)).max() < 1e-10


def test_images():
    X = np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32)
    y = (X.mean((1, 2, 3)) > 0).astype(int)
    model = Images(max_epochs=2).fit(X, y)
    assert model.schema_.input_shape == (1, 6, 6) and model.predict_proba(X).shape == (40, 2)
    with pytest.raises(DataError, match=r"was fitted on rows of shape \(1, 6, 6\), these have shape \(1, 5, 6\)"):
        model.predict(X[:, :, :5])


def test_grid_search():
    X, y = problem()
    search = GridSearchCV(Classifier(max_epochs=2), {"hidden": [2, 8], "learning_rate": [1e-2]}, cv=2).fit(X, y)
    assert search.best_params_["hidden"] in (2, 8)
