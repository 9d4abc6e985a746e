"""The transformers of `fivefold.data` follow scikit-learn's protocol to the letter."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fivefold.data.encoders import OneHotEncoder, OrdinalEncoder, StandardScaler
from fivefold.data.impute import SimpleImputer


@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@parametrize_with_checks(
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="other", sparse_output=False),
        OrdinalEncoder(handle_unknown="other"),
        SimpleImputer(add_indicator=True),
    ]
)
def test_protocol(estimator, check):
    check(estimator)
