"""Bad input of the gradient check."""

from __future__ import annotations

import numpy as np
import pytest

from fivefold.base.errors import InputError
from fivefold.optimizers.numerical.gradient_check import check_gradient, numeric_gradient, numeric_hessian


def test_bad_input_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"x must be a vector of finite numbers, got an array of shape \(2, 2\)"):
        numeric_gradient(np.sum, np.ones((2, 2)))
    with pytest.raises(InputError, match="x must be a vector of finite numbers"):
        numeric_hessian(np.sum, np.array([np.nan]))
    with pytest.raises(InputError, match="eps must be a finite number above 0, got 0"):
        numeric_gradient(np.sum, np.ones(2), eps=0)
    with pytest.raises(InputError, match=r"must have the shape of x, \(2,\); it has \(3,\)"):
        check_gradient(np.sum, lambda x: np.ones(3), np.ones(2))
