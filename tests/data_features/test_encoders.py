"""Encoders: table types, unknown and missing values, saving, and what bad input is told."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.preprocessing import OrdinalEncoder as PeerOrdinal

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.base.estimator import NotFittedError
from fivefold.data.encoders import OneHotEncoder, OrdinalEncoder, StandardScaler
from fivefold.data.impute import SimpleImputer

FRAME = pl.DataFrame(
    {"g": ["M", "F", None, "M"], "k": [1, 2, 2, 1], "n": [1.0, None, 3.0, 1.0], "b": [True, False, True, None]}
)


@pytest.mark.parametrize("form", ["polars", "pandas", "numpy", "list", "categorical"])
def test_every_table_gives_the_same_codes(form):
    table = FRAME.select("g", "k")
    given = {
        "polars": table,
        "pandas": table.to_pandas(),
        "numpy": table.to_pandas().to_numpy(dtype=object),
        "list": [list(row) for row in table.rows()],
        "categorical": table.with_columns(pl.col("g").cast(pl.Categorical)),
    }[form]
    out = OneHotEncoder().fit_transform(given)
    assert scipy.sparse.issparse(out) and out.has_sorted_indices
    expected = [[0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0]]
    assert out.toarray().tolist() == expected


def test_pandas_extension_columns():
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="Int64"),
            "s": pd.array(["x", None, "y"], dtype="string"),
            "c": pd.Categorical([5, 6, 5]),
            "d": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
        }
    )
    encoder = OrdinalEncoder().fit(frame)
    assert np.array_equal(
        encoder.transform(frame), [[0, 0, 0, 0], [np.nan, np.nan, 1, 1], [1, 1, 0, np.nan]], equal_nan=True
    )
    back = encoder.inverse_transform(encoder.transform(frame))
    assert (
        back[0, 0] == 1.0 and back[0, 1] == "x" and back[1, 1] is None and back[0, 3] == datetime.datetime(2020, 1, 1)
    )


def test_names_and_containers():
    encoder = OneHotEncoder(sparse_output=False).set_output(transform="polars")
    out = encoder.fit_transform(FRAME.select("g", "b"))
    assert out.columns == ["g_F", "g_M", "g_None", "b_False", "b_True", "b_None"]
    assert OneHotEncoder(drop="first").fit(FRAME.select("g")).get_feature_names_out().tolist() == ["g_M", "g_None"]


def test_unknown_values_are_named():
    encoder = OneHotEncoder().fit(FRAME.select("g"))
    with pytest.raises(
        InputError, match=r"Column 'g' holds 2 values of unknown categories \('X', 'Y'\).*set handle_unknown"
    ):
        encoder.transform(pl.DataFrame({"g": ["X", "M", "Y"]}))
    with pytest.raises(InputError, match="Column 'x0' holds 1 values"):
        OneHotEncoder(categories=[["a"]]).fit(np.array([["b"]], dtype=object))


def test_a_column_of_another_type_is_unknown():
    encoder = OneHotEncoder(handle_unknown="ignore").fit(np.array([[1], [2]]))
    assert encoder.transform(np.array([["1"], ["x"]], dtype=object)).nnz == 0
    text = OneHotEncoder(handle_unknown="ignore").fit(np.array([["1"], ["x"]]))
    assert text.transform(np.array([[1], [2]])).nnz == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"handle_unknown": "skip"},
            "handle_unknown must be one of 'error', 'ignore', 'infrequent_if_exist', 'other'; got 'skip'",
        ),
        ({"drop": "last"}, "drop must be None, 'first' or 'if_binary'; got 'last'"),
        ({"drop": "first", "handle_unknown": "ignore"}, "would look alike"),
        ({"min_frequency": 1.5}, r"min_frequency must be an int >= 1, a fraction in \(0, 1\) or None; got 1.5"),
        ({"max_categories": 0}, "max_categories must be an int >= 1 or None; got 0"),
        ({"categories": [["a"], ["b"]]}, "categories lists 2 columns, but X has 1"),
        ({"categories": [["a", "a"]]}, "must be distinct"),
    ],
)
def test_parameters_out_of_range(options, words):
    with pytest.raises(InputError, match=words):
        OneHotEncoder(**options).fit(np.array([["a"], ["b"]], dtype=object))


def test_mixed_types_and_foreign_arrays():
    with pytest.raises(InputTypeError, match=r"uniformly strings or numbers. Got \['int', 'str'\]"):
        OneHotEncoder().fit(np.array([["a"], [1]], dtype=object))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        OneHotEncoder().transform([["a"]])
    with pytest.raises(InputError, match="X has 3 columns, but this encoder writes 2"):
        OneHotEncoder().fit([["a"], ["b"]]).inverse_transform(np.eye(3))


def test_inverse_of_pooled_and_empty_blocks():
    column = np.array(list("aab"), dtype=object)[:, None]
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2).fit(column)
    assert encoder.inverse_transform([[1, 0], [0, 1], [0, 0]]).ravel().tolist() == ["a", "<other>", None]
    dropped = OneHotEncoder(drop="first").fit(column)
    assert dropped.inverse_transform([[1], [0]]).ravel().tolist() == ["b", "a"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_frequency": 5},
        {"max_categories": 3},
        {"encoded_missing_value": -2},
        {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    ],
)
def test_ordinal_equals_scikit_learn(options):
    draw = np.random.default_rng(0)
    letters = np.array(["a", "b", "c", "d", np.nan], dtype=object)
    X = draw.choice(letters, (60, 2), p=[0.5, 0.3, 0.1, 0.05, 0.05])
    ours, peer = OrdinalEncoder(**options).fit(X), PeerOrdinal(**options).fit(X)
    new = np.vstack([X, [["z", "a"]]]) if "unknown_value" in options else X
    assert np.array_equal(ours.transform(new), peer.transform(new), equal_nan=True)


def test_ordinal_codes_and_back():
    X = np.array([["b"], ["a"], ["b"], ["c"], [None]], dtype=object)
    encoder = OrdinalEncoder(handle_unknown="other", min_frequency=2).fit(X)
    codes = encoder.transform(np.array([["b"], ["a"], ["never"], [None]], dtype=object))
    assert np.array_equal(codes, [[0], [1], [1], [np.nan]], equal_nan=True)
    assert encoder.inverse_transform(codes).ravel().tolist() == ["b", "<other>", "<other>", None]
    assert OrdinalEncoder(dtype=np.int32).fit_transform([["b"], ["a"]]).dtype == np.int32


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unknown_value": 1}, "unknown_value goes with handle_unknown='use_encoded_value'"),
        ({"handle_unknown": "use_encoded_value"}, "got unknown_value=None"),
        ({"handle_unknown": "use_encoded_value", "unknown_value": 1}, "already the code of a category of column 'x0'"),
        ({"dtype": np.int64}, "whose code NaN does not fit into int64"),
    ],
)
def test_ordinal_parameters(options, words):
    with pytest.raises(InputError, match=words):
        OrdinalEncoder(**options).fit(np.array([["a"], ["b"], [None]], dtype=object))


@pytest.mark.parametrize(
    ("model", "table"),
    [
        (OneHotEncoder(handle_unknown="other", min_frequency=2, dtype=np.float32), FRAME.select("g", "n")),
        (OrdinalEncoder(handle_unknown="other"), FRAME.select("g", "n")),
        (StandardScaler(), FRAME.select("n", "k")),
        (SimpleImputer(add_indicator=True), FRAME.select("n", "k")),
    ],
)
def test_saved_and_loaded(model, table, tmp_path):
    model.fit(table)
    again = codec.load(codec.save(model, tmp_path / "m"))
    a, b = (m.transform(table) for m in (model, again))
    if scipy.sparse.issparse(a):
        a, b = a.toarray(), b.toarray()
    assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    assert repr(again.get_params()) == repr(model.get_params())


def test_scaler_refuses_what_it_cannot_center():
    with pytest.raises(InputError, match="Cannot center sparse matrices.*pass with_mean=False"):
        StandardScaler().fit(scipy.sparse.eye_array(3).tocsr())
    with pytest.raises(InputError, match="Cannot merge scalers of 2 and 3 columns"):
        StandardScaler().fit(np.eye(2)).merge(StandardScaler().fit(np.eye(3)))


def test_scaler_details():
    X = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan]])
    scaler = StandardScaler().fit(X)
    assert scaler.scale_[:2].tolist() == [1.0, 1.0] and np.isnan(scaler.scale_[2])
    assert scaler.n_samples_seen_.tolist() == [2, 2, 0]
    assert np.array_equal(scaler.transform(X), [[-1, 0, np.nan], [1, 0, np.nan]], equal_nan=True)
    assert StandardScaler(with_std=False).fit(X[:, :1]).scale_ is None
    inplace = X[:, :2].copy()
    assert StandardScaler(copy=False).fit_transform(inplace) is inplace
    again = StandardScaler().fit(X).fit(X[:, :1] + 10)
    assert again.mean_.tolist() == [12.0] and again.n_samples_seen_ == 2


def test_imputer():
    X = np.array([[1.0, np.nan], [np.nan, 2.0], [5.0, 2.0], [4.0, 7.0]])
    assert SimpleImputer().fit(X).statistics_.tolist() == [4.0, 2.0]
    assert SimpleImputer(strategy="mean").fit(X).statistics_.tolist() == [10 / 3, 11 / 3]
    assert SimpleImputer(strategy="most_frequent").fit(X).statistics_.tolist() == [1.0, 2.0]
    flagged = SimpleImputer(strategy="constant", fill_value=-1, add_indicator=True).fit(X[:, ::-1][1:])
    assert flagged.transform(X[:1, ::-1]).tolist() == [[-1.0, 1.0, 0.0]]
    assert flagged.get_feature_names_out().tolist() == ["x0", "x1", "x1_missing"]
    with pytest.raises(DataError, match="Column 'x0' holds no value at all, so it has no median"):
        SimpleImputer().fit([[np.nan], [np.nan]])
    with pytest.raises(InputError, match="strategy must be one of 'median', 'mean'"):
        SimpleImputer(strategy="mode").fit([[1.0]])
