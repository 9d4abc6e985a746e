"""The rules of the search over columns, one by one, on tables whose scores are written down beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from fivefold.evidence import Check, evidence


class _Scripted(RegressorMixin, BaseEstimator):
    """Its error is looked up by its columns: column j holds 2 to the power of j in every row, and the target is 0."""

    def __init__(self, errors: Mapping[frozenset[int], float] | None = None, other: float = 10.0) -> None:
        self.errors = errors
        self.other = other

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Scripted:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        total = int(X[0].sum())
        columns = frozenset(j for j in range(12) if total >> j & 1)
        return np.full(len(X), (self.errors or {}).get(columns, self.other))


def _search(errors: dict[tuple[int, ...], float], width: int = 6, **options: Any) -> Any:
    from fivefold.evaluation.feature_wrapper import WrapperSelector

    model = _Scripted({frozenset(columns): error for columns, error in errors.items()})
    X = np.tile(2.0 ** np.arange(width), (10, 1))
    return WrapperSelector(model, metric="mae", cv=2, **options).fit(X, np.zeros(10))


GROUPS = {"a": [1], "b": [2, 3], "c": [4]}


@evidence(
    "feature-wrapper",
    claim="A group must win by more than the tolerance; equal and smaller wins; helpful fields meet those of other groups",
    against="the protocol followed by hand",
)
def protocol_by_hand() -> Check:
    # The base errs by 5 and the tolerance is 1: group a at 4 is just not accepted, b and c are.
    table = {(0,): 5.0, (0, 1): 4.0, (0, 2, 3): 3.5, (0, 4): 3.0, (0, 2): 3.5, (0, 3): 4.5}
    cases: list[tuple[dict[tuple[int, ...], float], list[int], set[tuple[int, ...]], int]] = [
        # c is better than b by half, which is within the tolerance; of b field 2 is as good alone.
        ({(0, 2, 4): 2.75}, [0, 2], set(), 1),
        ({(0, 2, 4): 2.5}, [0, 2], set(), 1),
        ({(0, 2, 4): 2.25}, [0, 2, 4], {(0, 2, 4)}, 1),
        # Field 3 helps alone by more than the tolerance, so it is tried with 4.
        ({(0, 3): 3.75, (0, 3, 4): 1.0}, [0, 3, 4], {(0, 3, 4)}, 2),
        ({(0, 3): 4.0, (0, 3, 4): 1.0}, [0, 2], set(), 1),
        # Field 3 beats field 2 by exactly the tolerance: the first stays; by more: it is taken.
        ({(0, 3): 2.5}, [0, 2], set(), 2),
        ({(0, 3): 2.25}, [0, 3], set(), 2),
        # No field of b does as well as both: c wins clearly, or because it is no worse and has one column less.
        ({(0, 2): 9.0, (0, 4): 2.25}, [0, 4], set(), 1),
        ({(0, 2): 9.0}, [0, 4], set(), 1),
        ({(0, 2): 9.0, (0, 4): 3.75}, [0, 2, 3], set(), 1),
        # Of unions that are equally good the one with fewer columns.
        ({(0, 2): 9.0, (0, 3): 3.75, (0, 3, 4): 1.0, (0, 2, 3, 4): 1.0}, [0, 3, 4], {(0, 3, 4)}, 1),
    ]
    wrong = 0
    for changes, columns, across, unions in cases:
        found = _search({**table, **changes}, groups=GROUPS, base=[0], tolerance=1.0)
        accepted = {
            t["stage"]: {u["columns"] for u in found.log_ if u["accepted"] and u["stage"] == t["stage"]}
            for t in found.log_
        }
        wrong += found.get_support(indices=True).tolist() != columns
        wrong += found.score_ != {**table, **changes}[tuple(columns)]
        wrong += accepted["base"] != {(0,)} or accepted["group"] != {(0, 2, 3), (0, 4)}
        wrong += accepted.get("across", set()) != across or sum(t["stage"] == "across" for t in found.log_) != unions
        fields = [t for t in found.log_ if t["stage"] in ("field", "combination")]
        wrong += [t["columns"] for t in fields] != [(0, 2), (0, 3), (0, 2, 3), (0, 4)]
        wrong += [t["stage"] for t in fields] != ["field", "field", "combination", "field"]
        wrong += sum(t["accepted"] for t in fields) != 2 or not fields[-1]["accepted"]
    # Without tolerance any gain counts, and no gain does not.
    plain = _search({(0,): 5.0, (0, 1): 5.0, (0, 4): 4.96875, (0, 2, 3): 6.0}, groups=GROUPS, base=[0])
    wrong += plain.get_support(indices=True).tolist() != [0, 4]
    # Nothing helps: the base stays, and no fields are tried.
    none = _search({(0,): 1.0}, groups=GROUPS, base=[0])
    wrong += none.get_support(indices=True).tolist() != [0] or len(none.log_) != 4
    return Check(float(wrong), 0.0, "differences", "by hand")


@evidence(
    "feature-wrapper",
    claim="Stages that would score more sets than allowed are refused, at the number itself they are not",
    against="counting the sets",
)
def protocol_bounds() -> Check:
    from fivefold.base.errors import InputError

    table = {(0,): 5.0, (0, 1, 2, 3): 4.0, (0, 1): 4.0, (0, 4, 5): 4.0, (0, 4): 4.0}
    groups = {"three": [1, 2, 3], "two": [4, 5]}
    # Seven sets of three fields; across: none or field 1, times none or field 4, are four.
    wrong = int(len(_search(table, groups=groups, base=[0], max_combinations=7).log_) != 1 + 2 + 7 + 3 + 1)
    many = {**table, (0, 2): 4.0, (0, 3): 4.0, (0, 5): 4.0}
    cases = [(table, 6, "7 combinations of 3 fields"), (many, 11, "12 combinations across groups")]
    for errors, most, words in cases:
        try:
            _search(errors, groups=groups, base=[0], max_combinations=most)
            wrong += 1
        except InputError as error:
            wrong += words not in str(error)
    wrong += len(_search(many, groups=groups, base=[0], max_combinations=12).log_) != 1 + 2 + 7 + 3 + 6
    return Check(float(wrong), 0.0, "differences", "by hand")


@evidence(
    "feature-wrapper",
    claim="One column at a time, the first of equals, from the base or from all; half of the columns by default, at least one",
    against="the steps by hand",
)
def steps_by_hand() -> Check:
    wrong = 0
    forward = {(1,): 3.0, (3,): 3.0, (1, 2): 2.0, (1, 4): 2.0}
    for width, columns in ((5, [1, 2]), (4, [1, 2]), (3, [1]), (2, [1])):
        found = _search(forward, width=width, mode="forward")
        wrong += found.get_support(indices=True).tolist() != columns
        accepted = [t["columns"] for t in found.log_ if t["accepted"]]
        wrong += accepted != ([(1,), (1, 2)] if len(columns) == 2 else [(1,)])
    wrong += _search({(0,): 2.0}, width=1, mode="forward").get_support(indices=True).tolist() != [0]
    based = _search({(0, 1): 3.0, (0, 4): 2.0}, mode="forward", base=[0], n_features=2)
    wrong += based.get_support(indices=True).tolist() != [0, 4] or len(based.log_) != 5
    backward = {(1, 2, 3): 1.0, (0, 1, 2): 1.0, (2, 3): 1.0, (1, 3): 1.0}
    found = _search(backward, width=4, mode="backward")
    wrong += found.get_support(indices=True).tolist() != [2, 3] or len(found.log_) != 4 + 3
    wrong += [t["columns"] for t in found.log_ if t["accepted"]] != [(1, 2, 3), (2, 3)]
    return Check(float(wrong), 0.0, "differences", "by hand")
