"""Neighbors and completion: parameters are refused in words."""

from __future__ import annotations

import pytest

from fivefold.base.errors import CapabilityError, InputError
from fivefold.models.recommend import ItemBasedCF, SVDRecommender, UserBasedCF

TABLE = {"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "c", "b"], "rating": [5.0, 3.0, 4.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (UserBasedCF(k=0), "`k` is 0; give a whole number >= 1."),
        (UserBasedCF(similarity="euclid"), "`similarity` is 'euclid'; give one of 'cosine', 'msd', 'pearson'."),
        (ItemBasedCF(base="median"), "`base` is 'median'; give one of 'none', 'mean', 'baseline'."),
        (ItemBasedCF(shrinkage=-1.0), "`shrinkage` is -1.0; give a number >= 0."),
        (
            SVDRecommender(n_factors=4),
            "n_factors=4 is more than the 3 singular values of 3 users by 3 items; lower it.",
        ),
        (SVDRecommender(n_factors=2, entries="some"), "`entries` is 'some'; give one of 'zero-filled', 'observed'."),
    ],
)
def test_wrong_parameters_are_told(model, words) -> None:
    with pytest.raises(InputError) as caught:
        model.fit(TABLE)
    assert str(caught.value) == words


def test_who_explains_what() -> None:
    assert ItemBasedCF().fit(TABLE).explain(1, "c").columns == ["item", "contribution"]
    with pytest.raises(CapabilityError, match="UserBasedCF are no sum over the items"):
        UserBasedCF().fit(TABLE).explain(1, "c")
