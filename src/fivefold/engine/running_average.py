"""Running averages of numbers, and metrics as JSON."""

from __future__ import annotations

import json
import math
import numbers
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fivefold.base.errors import DataError, InputError
from fivefold.base.files import write_text


class RunningAverage:
    r"""The mean of the numbers so far, in constant memory.

    .. math:: m_t = m_{t-1} + \frac{w_t}{W_t} (x_t - m_{t-1}), \quad W_t = \sum_{s \le t} w_s

    Attributes
    ----------
    count : float
        :math:`W_t`, the sum of the weights; the number of updates when none were given.

    Notes
    -----
    Weights are how many rows a value is the mean of, so that an uneven last batch counts for what it is.

    References
    ----------
    04#train-utils.

    Examples
    --------
    >>> average = RunningAverage()
    >>> average.update(2)
    >>> average.update(4)
    >>> average()
    3.0
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, value: float, weight: float = 1.0) -> None:
        """Take in a number.

        Parameters
        ----------
        value : float
        weight : float >= 0, default 1
            For example the number of rows that the value is the mean of.

        Raises
        ------
        InputError
            When the value is not a number or the weight is negative or not finite.
        """
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise InputError(
                f"A running average takes numbers, got {value!r}; call .item() on a tensor of one element."
            )
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(f"The weight of a running average must be a finite number of at least 0, got {weight!r}.")
        if weight == 0:
            return
        self.count += weight
        # Moving the mean keeps its size, where a sum of very many numbers would lose digits.
        self._mean += (float(value) - self._mean) * (weight / self.count)

    def __call__(self) -> float:
        """Return the mean; NaN before the first update."""
        return self._mean if self.count else math.nan

    def merge(self, other: RunningAverage) -> None:
        """Take in all numbers of another average, for example of another process."""
        if other.count:
            self.update(other._mean, other.count)

    def reset(self) -> None:
        """Forget everything."""
        self.count, self._mean = 0.0, 0.0


def save_metrics(metrics: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write metrics to a JSON file, as floats, indented by 4 and atomically.

    Parameters
    ----------
    metrics : mapping name -> number
        NumPy and torch scalars are numbers too.
    path : path of the file

    Raises
    ------
    InputError
        When a value is not a number, or not finite, which JSON cannot hold.

    Notes
    -----
    The listing of the source writes to the text of the path instead of the file and uses ``np.float``, which NumPy no longer
    has.

    References
    ----------
    04#train-utils.
    """
    values: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            values[str(name)] = float(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"The metric {name!r} must be a number to be written as JSON, got {value!r}.") from error
        if not math.isfinite(values[str(name)]):
            raise InputError(f"The metric {name!r} is {value!r}, which JSON cannot hold; leave it out.")
    write_text(path, json.dumps(values, indent=4, allow_nan=False) + "\n")


def load_metrics(path: str | os.PathLike[str]) -> dict[str, float]:
    """Return the metrics that :func:`save_metrics` wrote.

    Raises
    ------
    DataError
        When the file is not there or does not hold metrics.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf8"))
        return {str(name): float(value) for name, value in found.items()}
    except FileNotFoundError:
        raise DataError(f"There is no file of metrics at {path}.") from None
    except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path} does not hold metrics (a JSON object of numbers): {error}.") from error
