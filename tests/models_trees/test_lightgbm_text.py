"""LightGBM's text model: files, frames and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.models.trees import LGBMClassifier, LGBMRegressor
from fivefold.models.trees.boosting.lightgbm_text import read_lightgbm, write_lightgbm


@pytest.fixture
def fitted() -> LGBMRegressor:
    X = np.arange(40.0).reshape(-1, 2)
    return LGBMRegressor(n_estimators=2, min_child_samples=2).fit(X, X[:, 0] ** 2)


def test_a_path_and_a_text_give_the_same_model(fitted: LGBMRegressor, tmp_path: Path) -> None:
    X = np.arange(40.0).reshape(-1, 2)
    text = write_lightgbm(fitted, tmp_path / "model.txt")
    assert (tmp_path / "model.txt").read_text() == text
    for source in (text, tmp_path / "model.txt", str(tmp_path / "model.txt")):
        np.testing.assert_allclose(read_lightgbm(source).predict(X), fitted.predict(X), rtol=1e-14)


def test_a_read_model_is_saved_and_loaded(fitted: LGBMRegressor, tmp_path: Path) -> None:
    from fivefold.base.codec import load

    X = np.arange(40.0).reshape(-1, 2)
    read_lightgbm(write_lightgbm(fitted)).save(tmp_path / "saved")
    np.testing.assert_allclose(load(tmp_path / "saved").predict(X), fitted.predict(X), rtol=1e-14)


def test_categories_of_a_frame_are_matched_by_value() -> None:
    lightgbm, pandas = pytest.importorskip("lightgbm"), pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    letters = np.array(list("dbeac"))[rng.integers(0, 5, 300)]
    frame = pandas.DataFrame(
        {"size": rng.normal(size=300), "kind": pandas.Categorical(letters, categories=list("ebadc"))}
    )
    y = frame["size"].to_numpy() + np.isin(letters, ["a", "d"]) * 2.0
    theirs = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1, max_cat_to_onehot=1, cat_smooth=1)
    theirs.set_params(min_data_per_group=5).fit(frame, y)
    ours = read_lightgbm(theirs)
    other = frame[["kind", "size"]].iloc[::-1]
    np.testing.assert_array_equal(ours.predict(other), theirs.predict(frame)[::-1])
    own = LGBMClassifier(n_estimators=4, max_cat_to_onehot=1, cat_smooth=1.0, min_data_per_group=5).fit(frame, y > 1)
    assert (own.trees_.level_offset >= 0).any()
    back = lightgbm.Booster(model_str=write_lightgbm(own))
    np.testing.assert_allclose(back.predict(frame), own.predict_proba(frame)[:, 1], rtol=1e-14)


def test_what_cannot_be_read_is_refused(fitted: LGBMRegressor, tmp_path: Path) -> None:
    text = write_lightgbm(fitted)
    with pytest.raises(DataError, match="is cut off before 'end of trees'"):
        read_lightgbm(text[: text.index("end of trees")])
    with pytest.raises(DataError, match="lacks 'feature_names'"):
        read_lightgbm(text.replace("feature_names=", "names="))
    with pytest.raises(DataError, match="linear trees"):
        read_lightgbm(text.replace("is_linear=0", "is_linear=1"))
    with pytest.raises(DataError, match="'fair' of the LightGBM model has no counterpart"):
        read_lightgbm(text.replace("objective=regression", "objective=fair"))
    with pytest.raises(DataError, match="has no counterpart"):
        read_lightgbm(text.replace("objective=regression", "objective=binary sigmoid:2"))
    with pytest.raises(DataError, match="cannot be read"):
        read_lightgbm(tmp_path / "nothing.txt")
    with pytest.raises(InputTypeError, match="`source` is a int"):
        read_lightgbm(3)
    other = tmp_path / "other.txt"
    other.write_text("no model")
    with pytest.raises(DataError, match="its first line is not 'tree'"):
        read_lightgbm(other)


def test_levels_that_lightgbm_cannot_hold_are_refused() -> None:
    X = np.repeat([[-1.0], [0.5], [2.0]], 30, axis=0)
    model = LGBMRegressor(n_estimators=1, categorical_feature=[0], min_child_samples=1).fit(X, X[:, 0])
    with pytest.raises(DataError, match="takes whole numbers from 0"):
        write_lightgbm(model)


def test_a_damaged_text_is_one_sentence(fitted: LGBMRegressor) -> None:
    X = np.arange(40.0).reshape(-1, 2)
    fitted.set_params(categorical_feature=[1], cat_smooth=1.0, min_data_per_group=2).fit(X, X[:, 0] % 7)
    text = write_lightgbm(fitted)
    rng = np.random.default_rng(3)
    read = 0
    for place in rng.integers(5, len(text), 150):
        for damaged in (
            text[:place] + rng.choice(list("x-9=\n [,")) + text[place + 1 :],
            text[:place] + text[place + rng.integers(1, 40) :],
        ):
            try:
                model = read_lightgbm(damaged)
            except DataError as error:
                assert "LightGBM model" in str(error) and "\n" not in str(error)
            else:
                assert model.trees_.raw(np.zeros((2, model.n_features_in_))).shape[0] == 2
                read += 1
    assert 20 < read < 280


def test_a_path_may_begin_with_tree(fitted: LGBMRegressor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lightgbm(fitted, "trees.txt")
    assert read_lightgbm("trees.txt").n_estimators_ == 2


def test_a_read_model_is_not_continued(fitted: LGBMRegressor) -> None:
    X = np.arange(40.0).reshape(-1, 2)
    model = read_lightgbm(write_lightgbm(fitted)).set_params(warm_start=True, n_estimators=4)
    with pytest.raises(InputError, match="has no bins to go on with; fit without `warm_start`"):
        model.fit(X, X[:, 0])
