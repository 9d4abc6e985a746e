"""Explanations of predictions and the refit of leaves: words, shapes and refusals."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import NotFittedError
from fivefold.models.trees import LGBMClassifier, LGBMRanker, LGBMRegressor
from fivefold.models.trees.boosting._explanation import Explanation


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 3))
    return X, 2 * X[:, 0] - X[:, 1]


def test_words() -> None:
    what = Explanation(
        "The prediction is 4", 4.0, 1.5, False, ["a", "b", "c", "d"], ["1", "2", "missing", "4"],
        np.array([2.0, -1.0, 1.25, 0.25]), 2,
    )  # fmt: skip
    assert str(what) == (
        "The prediction is 4; the mean of the training rows is 1.5. a = 1 (+2) and c = missing (+1.25) raise it. "
        "2 other columns add -0.75."
    )
    assert what.ranked == [("a", "1", 2.0), ("c", "missing", 1.25), ("b", "2", -1.0), ("d", "4", 0.25)]
    lowered = Explanation("P is 0.5", 0.0, 0.5, True, ["a"], ["1"], np.array([-0.5]))
    assert (
        str(lowered)
        == "P is 0.5, from a score of 0; the mean score of the training rows is 0.5. a = 1 (-0.5) lowers it."
    )
    same = Explanation("P is 1", 1.0, 1.0, False, ["a"], ["1"], np.zeros(1))
    assert str(same).endswith("No column contributes.")
    one = Explanation("P is 1", 1.0, 0.0, False, ["a", "b", "c"], list("123"), np.array([3.0, -1.0, -1.0]), 2)
    assert "b = 2 (-1) lowers it. One other column adds -1." in str(one)


def test_explain_one_row(table) -> None:
    X, y = table
    model = LGBMRegressor(n_estimators=20).fit(X, y)
    for row in (X[3], X[3:4], list(X[3]), sp.csr_matrix(X[3:4])):
        what = model.explain(row, top=1)
        assert what.score == pytest.approx(model.predict(X[3:4])[0])
        assert what.mean + what.contributions.sum() == pytest.approx(what.score)
        assert str(what).startswith(
            f"The prediction is {model.predict(X[3:4])[0]:.4g}; the mean of the training rows is"
        )
    assert what.ranked[0][0] == "column 0" and what.values[0] == f"{X[3, 0]:.6g}"
    with pytest.raises(DataError, match=re.escape("`row` holds 2 rows; give one, such as X[:1].")):
        model.explain(X[:2])
    with pytest.raises(InputError, match="`output` is 'a'; it names a class, and this model has none."):
        model.explain(X[0], output="a")
    with pytest.raises(InputError, match="`top` is 0"):
        model.explain(X[0], top=0)
    with pytest.raises(NotFittedError):
        LGBMRegressor().explain(X[0])


def test_explain_classes(table) -> None:
    X, y = table
    two = LGBMClassifier(n_estimators=9).fit(X, np.where(y > 0, "up", "down"))
    what = two.explain(X[0])
    assert what.outcome == f"The probability of 'up' is {two.predict_proba(X[:1])[0, 1]:.4g}"
    assert what.score == pytest.approx(two.predict(X[:1], raw_score=True)[0]) and what.linked
    assert two.explain(X[0], output="down").outcome == what.outcome
    three = LGBMClassifier(n_estimators=9).fit(X, np.digitize(y, [-1, 1]))
    k = int(three.predict(X[:1])[0])
    assert three.explain(X[0]).score == pytest.approx(three.predict(X[:1], raw_score=True)[0, k])
    other = three.explain(X[0], output=(k + 1) % 3)
    assert other.score == pytest.approx(three.predict(X[:1], raw_score=True)[0, (k + 1) % 3])
    assert three.predict(X[:7], pred_contrib=True).shape == (7, 12) and three.shap_values(X[:7]).shape == (7, 3, 3)
    assert three.expected_value.shape == (3,)
    with pytest.raises(InputError, match="`output` is 9; give one of the classes 0, 1, 2."):
        three.explain(X[0], output=9)
    poisson = LGBMRegressor(n_estimators=3, objective="poisson").fit(X, np.exp(y))
    assert poisson.explain(X[0]).linked


def test_explain_a_frame() -> None:
    rng = np.random.default_rng(0)
    color = rng.choice(["red", "green", "blue"], 300)
    frame = pd.DataFrame({"size": rng.normal(size=300), "color": pd.Categorical(color)})
    model = LGBMRegressor(n_estimators=9, min_data_per_group=5).fit(frame, (color == "red") * 3.0 + frame["size"] / 5)
    what = model.explain(frame.iloc[:1])
    assert what.names == ["size", "color"]
    assert what.values == [f"{frame['size'][0]:.6g}", color[0]]
    gap = frame.iloc[:1].assign(size=np.nan)
    assert model.explain(gap).values[0] == "missing"


def test_a_ranker_explains_and_refits(table) -> None:
    X, y = table
    relevance = np.digitize(y, [-1, 1])
    model = LGBMRanker(n_estimators=3).fit(X, relevance, group=[30] * 10)
    np.testing.assert_allclose(model.predict(X[:5], pred_contrib=True).sum(axis=1), model.predict(X[:5]), atol=1e-12)
    again = model.refit(X, relevance, 0.0, group=[30] * 10)
    np.testing.assert_allclose(again.predict(X), model.predict(X), atol=1e-6)


def test_refit_leaves_the_model_alone_and_refuses(table, tmp_path) -> None:
    from fivefold.base.codec import load

    X, y = table
    model = LGBMRegressor(n_estimators=3).fit(X, y)
    before = model.predict(X)
    moved = model.refit(X, y + 5, decay_rate=0.5)
    np.testing.assert_array_equal(model.predict(X), before)
    assert (moved.predict(X) > before).all()
    np.testing.assert_array_equal(moved.trees_.threshold, model.trees_.threshold)
    moved.save(tmp_path / "moved")
    np.testing.assert_array_equal(load(tmp_path / "moved").predict(X), moved.predict(X))
    with pytest.raises(InputError, match="`decay_rate` is 1.5"):
        model.refit(X, y, decay_rate=1.5)
    with pytest.raises(InputTypeError, match="`decay_rate` is 'x'"):
        model.refit(X, y, decay_rate="x")
    with pytest.raises(DataError, match="X has 300 rows, y 299; give one target a row."):
        model.refit(X, y[1:])
    two = LGBMClassifier(n_estimators=3).fit(X, y > 0)
    with pytest.raises(DataError, match="`y` holds the class 7, which is not one of the fit"):
        two.refit(X, np.full(300, 7))
