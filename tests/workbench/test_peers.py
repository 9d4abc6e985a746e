"""Peers: which are there, and that each fits tables with missing values and categories."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fivefold.base.errors import MissingDependencyError
from fivefold.data.datasets import load_dataset
from fivefold.data.infer import infer_schema
from fivefold.workbench.peers import LGBMClassifier, XGBRegressor, peer_cards
from fivefold.workbench.search import Space
from fivefold.workbench.tabular import build, fit_table

SKLEARN = {"sklearn.HistGradientBoosting", "sklearn.RandomForest", "sklearn.KNeighbors"}


def _table(name: str) -> tuple[pl.DataFrame, str]:
    data = load_dataset(name)
    frame = data.frame.sample(min(400, len(data.frame)), seed=0, shuffle=True)
    if name != "diabetes":
        return frame, data.target
    rng = np.random.default_rng(0)
    hole = pl.Series(rng.uniform(size=len(frame)) < 0.2)
    first = next(c for c in frame.columns if c != data.target)
    city = pl.Series("city", rng.choice(["Rome", "Oslo", "Bern"], size=len(frame)))
    holed = pl.when(hole).then(None).otherwise(pl.col(first)).alias(first)
    return frame.with_columns(holed, city), data.target


@pytest.mark.parametrize("name", ["breast-cancer", "iris", "diabetes"])
def test_each_peer_fits_and_predicts(name: str) -> None:
    frame, target = _table(name)
    schema, frame = infer_schema(frame, target=target)
    cards = peer_cards(schema.task)
    assert set(cards) >= SKLEARN
    test, train = frame[:40], frame[40:]
    for card in cards.values():
        model = fit_table(card, train, schema, seed=1)
        found = model.predict(test)
        assert len(found) == 40
        assert all(np.isfinite(found[c].to_numpy()).all() for c in found.columns if c != "prediction")
        if schema.task == "regression":
            truth, guess = test[target].to_numpy(), found["prediction"].to_numpy()
            assert np.isfinite(guess).all()
            assert np.mean((truth - guess) ** 2) < np.var(truth), card.id
        else:
            assert np.mean(found["prediction"].to_numpy() == test[target].cast(str).to_numpy()) > 0.85, card.id


def test_cards_by_task_and_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sklearn.Ridge" in peer_cards("regression") and "sklearn.Ridge" not in peer_cards("binary")
    assert "sklearn.LogisticRegression" in peer_cards("multiclass")
    assert "sklearn.LogisticRegression" not in peer_cards("regression")
    assert peer_cards("clustering") == {}
    card = peer_cards("regression", threads=3)["sklearn.RandomForest"]
    assert (card.kind, card.origin, card.package) == ("regressor", "peer", "peers")
    assert build(card, "regression", {}, 0).n_jobs == 3

    real = importlib.util.find_spec
    absent, present = {"sklearn", "xgboost"}, {"lightgbm"}
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name in absent else (True if name in present else real(name, *a)),
    )
    assert set(peer_cards("binary")) == {"lightgbm.LGBM"}
    with pytest.raises(
        MissingDependencyError, match="xgboost is not installed; install it with `pip install xgboost`."
    ):
        XGBRegressor().fit(np.zeros((2, 1)), np.zeros(2))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_searched_parameters_exist(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: True)
    cards = peer_cards(task)
    assert {"lightgbm.LGBM", "xgboost.XGB"} <= set(cards)
    for card in cards.values():
        space = Space.from_dict(card.search)
        variant = card.variant(None, task)
        for corner in (np.zeros(len(space)), np.ones(len(space))):
            params = space.decode(corner)
            made = build(card, variant, params, 0)
            assert {k: made.get_params()[k] for k in params} == params


LIBRARY = """
import warnings
from sklearn.ensemble import HistGradientBoostingClassifier as Forest

class LGBMClassifier:
    def __init__(self, **params):
        self.params = params
    def fit(self, X, y, sample_weight=None, categorical_feature="auto"):
        self.seen = categorical_feature
        self.forest = Forest(max_iter=20).fit(X, y, sample_weight)
        self.classes_ = self.forest.classes_
        warnings.warn("X does not have valid feature names, but LGBMClassifier was fitted with feature names")
    def predict(self, X):
        return self.forest.predict(X)
    def predict_proba(self, X):
        warnings.warn("something that matters")
        return self.forest.predict_proba(X)

class XGBRegressor(LGBMClassifier):
    pass
"""


def test_adapters_hand_on_what_the_library_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in library records what reaches it, and speaks up once about nothing and once about something."""
    import sys

    for name in ("lightgbm", "xgboost"):
        (tmp_path / f"{name}.py").write_text(LIBRARY, encoding="utf8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=80), rng.integers(0, 3, size=80)])
    y = (X[:, 0] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LGBMClassifier(num_leaves=7, categorical_features=np.array([1])).fit(X, y)
        assert np.mean(model.predict(X) == y) > 0.9
    assert model.model_.seen == [1]
    assert model.model_.params["num_leaves"] == 7 and "categorical_features" not in model.model_.params
    assert LGBMClassifier().fit(X, y).model_.seen == "auto"
    with pytest.warns(UserWarning, match="something that matters"):
        assert model.predict_proba(X).shape == (80, 2)
    sys.modules.pop("lightgbm", None)
    monkeypatch.setattr("fivefold.workbench.peers._XGB._fit_options", lambda self, X: {})
    with pytest.warns(UserWarning, match="valid feature names"):  # the table of one library does not mute another
        other = XGBRegressor(categorical_features=[1]).fit(X, y)
    assert other.model_.params["feature_types"] == ["q", "c"] and other.model_.params["enable_categorical"] is True
    sys.modules.pop("xgboost", None)
