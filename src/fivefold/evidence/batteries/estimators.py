"""Classifiers, regressors, transformers and clusterers: scikit-learn's protocol, same seed, saving, bad input."""

from __future__ import annotations

import inspect
import math
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fivefold.base import codec
from fivefold.base.cards import Card
from fivefold.workbench.proof import Check

# Checks that no estimator of a kind can pass on every platform, with the reason; a class adds its own in
# ``_expected_failed_checks``.
COMMON_FAILURES: dict[str, str] = {}


def make(card: Card, variant: str, **params: Any) -> Any:
    """Return an instance with the card's quick parameters, and ``random_state=0`` where there is one."""
    cls = card.load(variant)
    known = inspect.signature(cls.__init__).parameters
    chosen = {k: v for k, v in {**card.quick, "random_state": 0, **params}.items() if k in known}
    return cls(**chosen)


def _image_shape(card: Card) -> tuple[int, ...] | None:
    shape = card.experiment.get("input_shape")
    return tuple(shape) if shape else None


def _reads_text(card: Card) -> bool:
    return card.experiment.get("input") == "text"


def data(card: Card, variant: str, rows: int = 60, columns: int = 4) -> tuple[Any, np.ndarray]:
    """Return a small table (or images, or texts) and a target that fit the card."""
    generator = np.random.default_rng(0)
    if _reads_text(card):
        words = np.array(["ant", "bee", "Cow", "dog", "the", "12", "eel's", "fox", "running", "cats"])
        lines = [" ".join(generator.choice(words, 1 + i % 7)) for i in range(rows)]
        return lines, np.arange(rows) % 2
    shape = _image_shape(card) or (columns,)
    if "categorical-input" in card.capabilities:
        x = generator.integers(0, 3, size=(rows, *shape)).astype(float)
    else:
        x = generator.normal(size=(rows, *shape))
        if "nonnegative-input" in card.capabilities:
            x = np.abs(x)
    if variant == "regression" or (card.kind == "regressor"):
        return x, x.reshape(rows, -1)[:, 0] * 2 + generator.normal(size=rows)
    if variant == "ranking":
        return x, np.clip(np.round(x.reshape(rows, -1)[:, 0] + 1), 0, 3)
    if "multiclass" in card.task:
        return x, np.array(["bee", "ant", "cow"])[np.arange(rows) % 3]
    return x, np.where(x.reshape(rows, -1)[:, 0] + 0.1 * np.arange(rows) % 2 > 0.4, "yes", "no")


def _answers(model: Any, x: np.ndarray) -> np.ndarray:
    for verb in ("predict_proba", "transform", "predict"):
        if hasattr(model, verb):
            answer = getattr(model, verb)(x)
            if isinstance(answer, list):
                return np.array(answer, dtype=object)
            return np.asarray(answer.todense() if hasattr(answer, "todense") else answer)
    # Methods that only know the rows they were fitted on.
    for fitted in ("labels_", "embedding_"):
        if hasattr(model, fitted):
            return np.asarray(getattr(model, fitted))
    raise AttributeError(f"{type(model).__name__} has none of predict_proba, transform, predict, labels_, embedding_.")


def _answers_new_rows(card: Card, variant: str) -> bool:
    cls = card.load(variant)
    return any(hasattr(cls, verb) for verb in ("predict_proba", "transform", "predict"))


def sklearn_protocol(card: Card, variant: str) -> Check:
    """scikit-learn's own checks pass, strictly: an exception that no longer fails counts as a mismatch."""
    from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning
    from sklearn.utils.estimator_checks import check_estimator

    if _image_shape(card) is not None:
        return Check(0, 0, "not a table method: images have four axes", "scikit-learn check_estimator")
    model = make(card, variant, **card.experiment.get("conformance", {}))
    expected = {**COMMON_FAILURES, **getattr(type(model), "_expected_failed_checks", {})}
    with warnings.catch_warnings():
        # The outcome of each check is counted below; scikit-learn repeats it as a warning.
        warnings.simplefilter("ignore", EstimatorCheckFailedWarning)
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(model, expected_failed_checks=expected, on_skip=None, on_fail=None)
    failed = [r["check_name"] for r in results if r["status"] == "failed"]
    surprising = [n for n in expected if all(r["status"] == "passed" for r in results if r["check_name"] == n)]
    named = ", ".join([*failed, *(f"{n} (expected to fail)" for n in surprising)])
    return Check(len(failed) + len(surprising), 0, f"checks failed{': ' + named if named else ''}", "scikit-learn")


def same_seed(card: Card, variant: str) -> Check:
    """Two fits with the same seed give equal answers."""
    x, y = data(card, variant)
    first, second = (_answers(make(card, variant).fit(x, y), x) for _ in range(2))
    return Check(int(np.sum(first != second)), 0, "answers that differ", "itself, fitted again")


def saved(card: Card, variant: str) -> Check:
    """A saved and loaded model gives the same answers and parameters."""
    x, y = data(card, variant)
    model = make(card, variant).fit(x, y)
    with tempfile.TemporaryDirectory() as folder:
        codec.save(model, Path(folder) / "model")
        again = codec.load(Path(folder) / "model")
    differing = int(np.sum(_answers(model, x) != _answers(again, x)))
    differing += repr(model.get_params()) != repr(again.get_params())
    return Check(differing, 0, "answers or parameters that differ", "the model before saving")


def _sentences(card: Card, variant: str, cases: dict[str, Callable[[Any, np.ndarray, np.ndarray], Any]]) -> Check:
    """Count the cases that do not end in one sentence: a ValueError or TypeError with a short text."""
    bad = []
    for name, case in cases.items():
        x, y = data(card, variant)
        try:
            case(make(card, variant), x, y)
        except (ValueError, TypeError) as error:
            text = str(error)
            if not re.match(r"[A-Z\[\"'`]", text) or len(text) > 600:
                bad.append(f"{name}: {text[:80]}")
        else:
            bad.append(f"{name}: accepted")
    return Check(len(bad), 0, f"cases without a clear sentence{': ' + '; '.join(bad) if bad else ''}", "the house rule")


def bad_input(card: Card, variant: str) -> Check:
    """NaN, infinity, mismatched lengths, no rows and wrong widths are refused in words."""

    def spoil(value: float) -> Callable[[Any, np.ndarray, np.ndarray], Any]:
        def case(model: Any, x: np.ndarray, y: np.ndarray) -> Any:
            x.reshape(-1)[3] = value
            return model.fit(x, y)

        return case

    if _reads_text(card):
        return _sentences(
            card,
            variant,
            {
                "one string": lambda model, x, y: model.fit("one text"),
                "numbers": lambda model, x, y: model.fit(np.eye(3)),
                "a number among them": lambda model, x, y: model.fit([*x, 3]),
                "no texts": lambda model, x, y: model.fit([]),
                "one string later": lambda model, x, y: model.fit(x).transform("one text"),
            },
        )
    cases: dict[str, Callable[[Any, np.ndarray, np.ndarray], Any]] = {
        "infinity in X": spoil(math.inf),
        "no rows": lambda model, x, y: model.fit(x[:0], y[:0]),
    }
    if _answers_new_rows(card, variant):
        cases["another width"] = lambda model, x, y: _answers(model.fit(x, y), x[:, :-1])
    if "missing" not in card.capabilities:
        cases["NaN in X"] = spoil(math.nan)
    if card.kind in ("classifier", "regressor"):
        cases["lengths differ"] = lambda model, x, y: model.fit(x, y[:-1])
    if card.kind == "regressor" or variant in ("regression", "ranking"):
        cases["NaN in y"] = lambda model, x, y: model.fit(x, np.where(np.arange(len(y)) == 2, math.nan, y))
    return _sentences(card, variant, cases)


def probabilities(card: Card, variant: str) -> Check:
    """Probabilities are in [0, 1], sum to one, have a column per class, and their largest is the prediction."""
    if variant in ("regression", "ranking"):
        return Check(0, 0, f"a {variant} variant has no probabilities", "the axioms")
    x, y = data(card, variant)
    model = make(card, variant).fit(x, y)
    if not hasattr(model, "predict_proba"):
        return Check(0 if "probabilities" not in card.capabilities else 1, 0, "declared but absent", "the card")
    p = model.predict_proba(x)
    wrong = int(p.shape != (len(x), len(np.unique(y))))
    wrong += int(np.sum((~(p >= 0)) | (~(p <= 1)))) + int(np.sum(~(np.abs(p.sum(axis=1) - 1) <= 1e-6)))
    top = p == p.max(axis=1, keepdims=True)
    chosen = np.searchsorted(model.classes_, model.predict(x))
    wrong += int(np.sum(~top[np.arange(len(x)), chosen]))
    return Check(wrong, 0, "violations", "the axioms of probability")


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two answers agree: labels exactly, numbers to the rounding of another memory layout."""
    if first.shape != second.shape:
        return False
    if first.dtype.kind == "f" and second.dtype.kind == "f":
        return bool(np.allclose(first, second, rtol=1e-5, atol=1e-7, equal_nan=True))
    return bool(np.array_equal(first, second))


def named_columns(card: Card, variant: str) -> Check:
    """pandas and polars tables give the array's answers, keep their column names and are refused in another order."""
    import pandas as pd
    import polars as pl

    if _reads_text(card) or _image_shape(card) is not None:
        return Check(0, 0, "not a table method: texts and images have no columns", "the same numbers as an array")
    x, y = data(card, variant)
    names = ["width", "height", "age", "price"]
    tables = {"pandas": pd.DataFrame(x, columns=names), "polars": pl.DataFrame(dict(zip(names, x.T)))}
    plain = _answers(make(card, variant).fit(x, y), x)
    wrong = []
    for library, table in tables.items():
        model = make(card, variant).fit(table, y)
        if list(getattr(model, "feature_names_in_", ())) != names:
            wrong.append(f"{library}: names lost")
        if not _same(_answers(model, table), plain):
            wrong.append(f"{library}: other answers")
        if _answers_new_rows(card, variant):
            try:
                _answers(model, table[names[::-1]])
            except ValueError as error:
                if "feature names should match" not in str(error):
                    wrong.append(f"{library}: {error}")
            else:
                wrong.append(f"{library}: another order accepted")
    return Check(len(wrong), 0, f"departures{': ' + '; '.join(wrong) if wrong else ''}", "the same numbers as an array")


def searched(card: Card, variant: str) -> Check:
    """Works as the last step of scikit-learn's Pipeline inside cross_val_score and GridSearchCV, with the fold's own fit."""
    from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    x, y = data(card, variant)
    folds = KFold(2, shuffle=True, random_state=0)
    steps = Pipeline(
        [("double", FunctionTransformer(kw_args={"times": 2.0}, func=_times)), ("model", make(card, variant))]
    )
    scores = cross_val_score(steps, x, y, cv=folds, error_score="raise")
    search = GridSearchCV(steps, {"double__kw_args": [{"times": 1.0}, {"times": 2.0}]}, cv=folds, error_score="raise")
    search.fit(x, y)
    by_hand = [make(card, variant).fit(2 * x[a], y[a]).score(2 * x[b], y[b]) for a, b in folds.split(x)]
    wrong = int(not np.allclose(scores, by_hand, rtol=1e-9, atol=1e-12))
    found = [search.cv_results_[f"split{k}_test_score"][1] for k in range(2)]
    wrong += int(not np.allclose(found, by_hand, rtol=1e-9, atol=1e-12))
    wrong += int(len(search.predict(x)) != len(x))
    return Check(wrong, 0, "scores that differ", "the folds fitted by hand")


def two_threads(card: Card, variant: str) -> Check:
    """One thread and two give the same answers on 1,500 rows: labels equal, numbers to 1e-10 of the largest."""
    from fivefold.workbench.bench import thread_limit

    x, y = data(card, variant, rows=1500, columns=6)
    if isinstance(x, np.ndarray) and "categorical-input" not in card.capabilities:
        x = np.tanh(x)  # not normal: independent components of normal data are any, and would differ by rounding alone
    answers = []
    for threads in (1, 2):
        with thread_limit(threads):
            answers.append(_answers(make(card, variant).fit(x, y), x))
    one, two = answers
    if one.dtype.kind != "f":
        return Check(int(np.sum(one != two)), 0, "answers that differ", "one thread")
    return Check(float(np.abs(one - two).max() / np.abs(one).max()), 1e-10, "max relative difference", "one thread")


def _times(x: np.ndarray, times: float) -> np.ndarray:
    return x * times


def iteration_limit(card: Card, variant: str) -> Check:
    """``n_iter_`` is at most ``max_iter``."""
    known = inspect.signature(card.load(variant).__init__).parameters
    if "max_iter" not in known:
        return Check(0, 0, "no limit of iterations", "the parameter")
    x, y = data(card, variant)
    beyond = 0
    for limit in (1, 2):
        model = make(card, variant, max_iter=limit, **({"tol": 1e-15} if "tol" in known else {}))
        with warnings.catch_warnings():
            # So few iterations seldom converge, as the model says.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)
        beyond += not int(np.max(getattr(model, "n_iter_", 0))) <= limit
    return Check(beyond, 0, "limits passed", "the parameter")


_ALL = {
    "scikit-learn": sklearn_protocol,
    "named-columns": named_columns,
    "same-seed": same_seed,
    "saved": saved,
    "bad-input": bad_input,
    "iteration-limit": iteration_limit,
}
CLASSIFIER = {**_ALL, "searched": searched, "probabilities": probabilities}
REGRESSOR = {**_ALL, "searched": searched}
TRANSFORMER = dict(_ALL)
CLUSTERER = dict(_ALL)
DETECTOR = dict(_ALL)
SLOW_TABLE = {"two-threads": two_threads}
"""Compares answers in float64; what the engine trains in float32 is compared by :mod:`.learners`."""
