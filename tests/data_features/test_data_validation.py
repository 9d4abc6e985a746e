"""Checks of tables, labels and weights that models and transformers share."""

import numpy as np
import pytest
from sklearn.utils.validation import validate_data

from fivefold.base.errors import DataError, InputTypeError
from fivefold.base.estimator import Estimator, NotFittedError, require_fitted
from fivefold.data.validation import checked_data, class_weights, encode_labels, sample_weights

X = np.arange(6.0).reshape(3, 2)
NAN, INF = np.nan, np.inf
FILL = "Fill or drop such rows first; SimpleImputer fills missing values."


class Reader(Estimator):
    """Reads tables."""


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        (([[1.0, NAN]],), {}, DataError, f"Input X contains NaN. {FILL}"),
        (([[INF]],), {}, DataError, "Input X contains infinity or a value too large for dtype('float64')."),
        (([[INF], [-INF]],), {}, DataError, "Input X contains infinity or a value too large"),
        (([[INF]],), {"ensure_all_finite": "allow-nan"}, DataError, "X contains infinity; give finite numbers, or NaN"),
        ((X, [1.0, NAN, 2.0]), {}, DataError, "Input y contains NaN."),
        ((X, [1.0, INF, 2.0]), {"ensure_all_finite": "allow-nan"}, DataError, "Input y contains infinity"),
        (([1.0, 2.0],), {}, DataError, "Expected 2D array, got 1D array instead. Reshape your data: X.reshape(-1, 1)"),
        ((X, [1, 2]), {}, DataError, "Found input variables with inconsistent numbers of samples: [3, 2]."),
    ],
)
def test_a_table_that_cannot_be_read(arguments, options, error, said):
    with pytest.raises(error) as caught:
        checked_data(Reader(), *arguments, **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_keeps_single_precision_unless_asked_otherwise():
    assert checked_data(Reader(), X.astype(np.float32)).dtype == np.float32
    assert checked_data(Reader(), X.astype(np.float32), dtype=np.float64).dtype == np.float64
    assert checked_data(Reader(), [[1, 2]]).dtype == np.float64
    table, target = checked_data(Reader(), X, [1, 2, 3])
    np.testing.assert_array_equal(table, validate_data(Reader(), X))
    assert target.tolist() == [1, 2, 3]
    assert np.isnan(checked_data(Reader(), [[NAN]], ensure_all_finite="allow-nan")).all()


def test_columns_that_are_not_those_of_fit_are_named():
    import pandas

    reader = Reader()
    checked_data(reader, pandas.DataFrame({"a": [1.0], "b": [2.0]}))
    with pytest.raises(DataError) as caught:
        checked_data(reader, pandas.DataFrame({"a": [1.0], "c": [2.0]}), reset=False)
    assert "Feature names unseen at fit time: - c Feature names seen at fit time, yet now missing: - b" in str(
        caught.value
    )


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64, np.uint8, np.uint64, np.float64, object, bool, "U2"])
def test_labels_are_coded_as_unique_does(dtype):
    kind = np.dtype(dtype).kind
    y = np.array([3, -4, 3, 9, -4]) if kind in "if" else np.array([3, 4, 3, 9, 4])
    y = y.astype("U2").astype(object) if kind == "O" else y.astype(dtype)
    classes, codes = encode_labels(y)
    expected, places = np.unique(y, return_inverse=True)
    assert classes.dtype == y.dtype and classes.tolist() == expected.tolist() and codes.tolist() == places.tolist()


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(-128, 127, np.int8), (2**64 - 9, 2**64 - 1, np.uint64), (-(2**63), 2**63 - 1, np.int64)]
)
def test_labels_at_the_ends_of_their_type(low, high, dtype):
    classes, codes = encode_labels(np.array([high, low, high], dtype=dtype))
    assert classes.tolist() == [low, high] and codes.tolist() == [1, 0, 1] and classes.dtype == dtype


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.array([0.5, 1.0]), "Unknown label type: y is continuous; a classifier needs classes, so bin the target"),
        (np.array([1, None], dtype=object), "Unknown label type: y is unknown; give classes as strings, integers"),
        (
            np.array(["a", 1], dtype=object),
            "The labels of y cannot be put in order: '<' not supported",
        ),
    ],
)
def test_what_is_no_label(y, said):
    with pytest.raises(DataError) as caught:
        encode_labels(y)
    assert said in str(caught.value)


def test_weights():
    assert sample_weights(None, 3) is None
    assert sample_weights(2, 3).tolist() == [2.0] * 3
    for weight, said in (
        (["a", "b", "c"], "`sample_weight` cannot be read as numbers"),
        ([1, 2], "`sample_weight` has the shape (2,), X has 3 rows; give one weight a row: (3,)."),
        ([1, 2, NAN], "`sample_weight` contains NaN or infinity; give finite weights >= 0."),
        ([1, 2, -3], "`sample_weight` contains the negative weight -3; give weights >= 0."),
        (0, "`sample_weight` is zero everywhere; at least one row needs a weight above zero."),
    ):
        with pytest.raises(DataError) as caught:
            sample_weights(weight, 3)
        assert said in str(caught.value)
    classes, codes = np.array([0, 1]), np.array([0, 1, 1, 1])
    assert class_weights(None, classes, codes, None).tolist() == [1.0, 1.0]
    assert class_weights({1: 3}, classes, codes, None).tolist() == [1.0, 3.0]
    np.testing.assert_allclose(class_weights("balanced", classes, codes, None), [2.0, 2 / 3])
    with pytest.raises(InputTypeError, match="`class_weight` is 3 of type int; give None, 'balanced' or a mapping"):
        class_weights(3, classes, codes, None)


def test_what_is_not_fitted_yet():
    reader = Reader()
    with pytest.raises(NotFittedError, match="This Reader is not fitted yet; call `fit` before using it."):
        require_fitted(reader, "names_")
    reader.names_ = []
    require_fitted(reader, "names_")
