"""The search space, the proposals, the loop and the estimator."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.cards import all_cards
from fivefold.base.errors import InputError, InputTypeError, SpecError, TrainingError, UnknownNameError
from fivefold.base.estimator import NotFittedError
from fivefold.models.linear.logistic import LogisticRegression
from fivefold.models.linear.ridge import Ridge
from fivefold.workbench.search import METHODS, SearchCV, Space, Trial, propose, search
from fivefold.workbench.search_bayes import standardize

MIXED = {
    "alpha": {"low": 1e-4, "high": 1e4, "log": True},
    "k": {"low": 1, "high": 100, "log": True},
    "depth": {"choices": [None, 4, 8]},
    "flag": [True, False],
}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"low": 2, "high": 2}, "The search space of 'a' has low = 2, which is not below high = 2."),
        ({"low": 0.0, "high": 1.0, "log": True}, "has low = 0.0 on a logarithmic scale; there low must be above 0."),
        ({"choices": []}, r"has choices = \[\]; give a list of at least one value."),
        ({"choices": "abc"}, "has choices = 'abc'"),
        ({"choices": [1, 2, 1]}, "holds the choice 1 twice"),
        ({"low": 1, "hihg": 2}, "has the unknown key 'hihg'; did you mean 'high'?"),
        ({"low": 1}, "lacks 'high'; give low and high, or choices."),
        ({"low": "1", "high": 2}, "has low = '1', which is not a finite number."),
        ({"low": 1, "high": float("inf")}, "has high = inf, which is not a finite number."),
        ({"low": 1, "high": 2, "log": 1}, "has log = 1; it is true or false."),
        ({"choices": [1], "low": 0}, "has choices and 'low'; give either choices or a range."),
        (3, "must be a table with low and high or with choices"),
    ],
)
def test_space_refuses(entry: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Space.from_dict({"a": entry})


def test_decode_and_encode() -> None:
    space = Space.from_dict(MIXED)
    assert space.names == list(MIXED) and len(space) == 4 and not Space.from_dict({})
    low, high = space.decode(np.zeros(4)), space.decode(np.ones(4))
    assert low == {"alpha": pytest.approx(1e-4), "k": 1, "depth": None, "flag": True}
    assert high == {"alpha": pytest.approx(1e4), "k": 100, "depth": 8, "flag": False}
    assert space.decode(np.full(4, 0.5))["alpha"] == pytest.approx(1.0)
    for unit in np.random.default_rng(0).uniform(size=(200, 4)):
        params = space.decode(unit)
        assert [type(v) for v in params.values()][:2] == [float, int]
        again = space.encode(params)
        np.testing.assert_allclose(space.snap(unit[None])[0], again, atol=1e-12)
        assert space.decode(again) == {**params, "alpha": pytest.approx(params["alpha"], rel=1e-12)}
    with pytest.raises(SpecError, match="k=0 lies outside the search space; it takes whole numbers from 1 to 100."):
        space.encode({**low, "k": 0})
    with pytest.raises(SpecError, match="flag=1 lies outside the search space; it takes one of True, False."):
        space.encode({**low, "flag": 1})
    with pytest.raises(SpecError, match="The parameters lack 'k'; the search space has: alpha, k, depth, flag."):
        space.encode({"alpha": 1.0})


def test_integers_are_equally_likely() -> None:
    space = Space.from_dict({"n": {"low": 1, "high": 4}})
    values = [space.decode(np.array([u]))["n"] for u in (np.arange(400) + 0.5) / 400]
    assert np.bincount(values).tolist() == [0, 100, 100, 100, 100]


def test_grid() -> None:
    space = Space.from_dict(
        {"b": {"low": 1.0, "high": 100.0, "log": True}, "a": ["x", "y"], "n": {"low": 1, "high": 2}}
    )
    assert [tuple(p.values()) for p in space.grid(3)][:6] == [
        ("x", pytest.approx(b), n) for b in (1.0, 10.0, 100.0) for n in (1, 2)
    ]
    assert [p["b"] for p in space.grid({"b": [7.0], "n": 1, "a": ["y"]})] == [7.0]
    assert len(space.grid()) == 2 * 5 * 2
    with pytest.raises(SpecError, match="The grid names 'bb', which is not searched; did you mean one of: b"):
        space.grid({"bb": 3})
    with pytest.raises(SpecError, match="The grid of 'b' takes a number of points >= 1 or a list of values, got 0."):
        space.grid({"b": 0})


def test_every_card_has_a_readable_space() -> None:
    cards = [card for card in all_cards().values() if card.search]
    assert len(cards) > 5
    for card in cards:
        space = Space.from_dict(card.search)
        assert set(space.decode(np.full(len(space), 0.5))) == set(card.search)


@pytest.mark.parametrize("method", METHODS)
def test_proposals_follow_from_the_trials(method: str) -> None:
    space = Space.from_dict(MIXED)

    def objective(params: dict[str, Any]) -> float:
        return -abs(np.log(params["alpha"])) - params["k"] / 50 + params["flag"]

    run = search(objective, space, n_trials=24, method=method, seed=7)
    known = [Trial(t.params, t.score) for t in run.trials]
    for k in (0, 3, 11, 20):
        if k < len(known):
            assert propose(space, known[:k], seed=7, method=method, points=2) == known[k].params
    assert run.best.score == max(t.score for t in run.trials)
    if method != "grid":
        assert propose(space, known[:3], seed=8, method=method) != known[3].params


def test_first_comes_first_and_may_lie_outside() -> None:
    space = Space.from_dict({"x": {"low": 0.0, "high": 1.0}})
    run = search(lambda p: -((p["x"] - 0.3) ** 2), space, n_trials=14, first={"x": 5.0})
    assert run.trials[0].params == {"x": 5.0}
    assert all(0 <= t.params["x"] <= 1 for t in run.trials[1:])
    assert abs(run.best.params["x"] - 0.3) < 0.01
    assert propose(space, [], first={}) == {}


def test_choices_are_learned() -> None:
    space = Space.from_dict({"c": list("abcdef"), "x": {"low": 0.0, "high": 1.0}})
    run = search(lambda p: (p["c"] == "d") - (p["x"] - 0.7) ** 2, space, n_trials=25, seed=1)
    assert run.best.params["c"] == "d" and abs(run.best.params["x"] - 0.7) < 0.02


def test_failures_and_ties() -> None:
    space = Space.from_dict({"n": {"low": 1, "high": 12}})

    def objective(params: dict[str, Any]) -> float:
        if params["n"] == 5:
            raise ValueError("five is right out")
        return float("nan") if params["n"] == 6 else 1.0

    run = search(objective, space, n_trials=50)
    assert len(run.trials) == 12
    reasons = {t.params["n"]: t.reason for t in run.trials if t.score is None}
    assert reasons == {5: "five is right out", 6: "the score is nan"}
    assert run.best is next(t for t in run.trials if t.score is not None)

    def fail(params: dict[str, Any]) -> float:
        raise InputError(f"no {params['n']}")

    with pytest.raises(TrainingError, match=r"All 3 trials of the search failed; the first: no 4"):
        search(fail, space, n_trials=3, first={"n": 4})

    def defect(params: dict[str, Any]) -> float:
        raise KeyError("a defect is not a failed trial")

    with pytest.raises(KeyError):
        search(defect, space, n_trials=3)


def test_deadline() -> None:
    space = Space.from_dict({"x": {"low": 0.0, "high": 1.0}})
    with pytest.raises(TrainingError, match="The time was over before the first trial of the search could start"):
        search(lambda p: 1.0, space, n_trials=3, deadline=time.monotonic() - 1)

    def slow(params: dict[str, Any]) -> float:
        time.sleep(0.06)
        return 0.0

    assert len(search(slow, space, n_trials=50, deadline=time.monotonic() + 0.1).trials) == 2


def test_arguments() -> None:
    space = Space.from_dict({"a": [1, 2, 3], "b": [1, 2, 3]})
    with pytest.raises(InputError, match="n_trials must be a whole number >= 1, got 0"):
        search(lambda p: 1.0, space, n_trials=0)
    with pytest.raises(InputError, match="The grid has 9 points, more than n_trials=8; raise n_trials"):
        search(lambda p: 1.0, space, n_trials=8, method="grid")
    with pytest.raises(UnknownNameError, match="Unknown search method 'bayes'; did you mean one of: bayesian"):
        propose(space, [], method="bayes")
    with pytest.raises(SpecError, match="The search space is empty"):
        propose(Space.from_dict({}), [])


def test_outliers_do_not_flatten_the_rest() -> None:
    y = standardize(np.array([1.0, 2.0, 3.0, 4.0, -1e12]))
    assert y.mean() == pytest.approx(0) and y.std() == pytest.approx(1)
    assert y[3] - y[0] > 0.5
    assert standardize(np.ones(4)).tolist() == [0, 0, 0, 0]


def test_search_cv(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = np.where(X[:, 0] + 0.3 * rng.normal(size=120) > 0, "yes", "no")
    model = SearchCV(LogisticRegression(), {"C": {"low": 1e-3, "high": 1e3, "log": True}}, n_trials=7, cv=3)
    with pytest.raises(NotFittedError, match="This SearchCV is not fitted yet"):
        model.predict(X)
    model.fit(X, y)
    assert len(model.cv_results_) == 7 and model.n_splits_ == 3 and model.n_features_in_ == 3
    assert model.best_score_ == max(t.score for t in model.cv_results_) == model.cv_results_[model.best_index_].score
    assert list(model.classes_) == ["no", "yes"]
    assert model.score(X, y) == np.mean(model.predict(X) == y) > 0.85
    model.save(tmp_path / "m")
    again = codec.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.cv_results_ == model.cv_results_


def test_search_cv_arguments() -> None:
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    grid = {"alpha": [0.1, 1.0]}
    with pytest.raises(
        InputTypeError, match="cv must be a number of folds, a splitter or pairs of row indices; got 0.5"
    ):
        SearchCV(Ridge(), grid, cv=0.5).fit(X, y)
    with pytest.raises(UnknownNameError, match="Unknown scoring 'r3'; did you mean one of: r2"):
        SearchCV(Ridge(), grid, scoring="r3").fit(X, y)
    assert not hasattr(SearchCV(Ridge(), grid), "predict_proba")
    unfit = SearchCV(Ridge(), grid, method="grid", refit=False, cv=[(range(10), range(10, 20))]).fit(X, y)
    assert unfit.best_params_ == {"alpha": 0.1} and unfit.n_splits_ == 1
    with pytest.raises(NotFittedError, match="refit=False and has no model"):
        unfit.predict(X)
    with pytest.raises(TrainingError, match="All 2 trials of the search failed; the first: `alpha` is -1.0"):
        SearchCV(Ridge(), {"alpha": [-1.0, -2.0]}, method="grid").fit(X, y)
