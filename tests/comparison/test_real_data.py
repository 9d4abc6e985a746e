"""The two real tables of the work order: each row against its scikit-learn counterpart on the same folds and preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fivefold.base.cards import all_cards
from fivefold.base.errors import FivefoldError
from fivefold.data.datasets import load_dataset
from fivefold.data.recipes import Recipe
from fivefold.workbench.compare import compare

pytestmark = pytest.mark.slow

TOLERANCE = 0.005


def peers(task: str) -> dict[str, Any]:
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if task == "regression":
        return {
            "linear-regression": LinearRegression(),
            "ridge-regression": Ridge(),
            "k-nearest-neighbors": KNeighborsRegressor(),
            "cart-regressor": DecisionTreeRegressor(min_samples_leaf=20, random_state=0),
        }
    return {
        "logistic-regression": LogisticRegression(max_iter=1000),
        "gaussian-naive-bayes": GaussianNB(),
        "k-nearest-neighbors": KNeighborsClassifier(),
        "cart-classifier": DecisionTreeClassifier(min_samples_leaf=20, random_state=0),
    }


def without_codes(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return codes of categories as one-hot columns: scikit-learn's trees know no categories and would take them for numbers."""
    hot = [X[:, [j]] == np.unique(X[:, j]) for j in np.flatnonzero(codes)]
    return np.column_stack([X[:, ~codes], *hot])


@pytest.mark.parametrize(("name", "target"), [("california-housing", "median_house_value"), ("higgs-sample", "label")])
def test_rows_equal_scikit_learn(name: str, target: str, tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score, root_mean_squared_error

    try:
        load_dataset(name)
    except FivefoldError as error:
        pytest.skip(str(error))
    task = "regression" if name.startswith("california") else "binary"
    chosen = peers(task)
    result = compare(name, target, list(chosen), threads=1, out=tmp_path / "run", verbose=False)
    frame, folds = result.plan.frame, result.splits["fold"].to_numpy()
    y = frame[target].to_numpy()
    y = (
        y.astype(float)
        if task == "regression"
        else (frame[target].cast(pl.String) == result.plan.classes[1]).to_numpy()
    )
    for method, peer in chosen.items():
        scores = []
        for fold in range(5):
            train = (folds != fold) & (folds >= 0)  # -1 marks the sealed rows
            recipe = Recipe(all_cards()[method].recipe, result.plan.schema).fit(frame.filter(train))
            X = without_codes(recipe.transform(frame), recipe.categorical_mask_)
            fitted = peer.fit(X[train], y[train])
            test = X[folds == fold]
            if task == "regression":
                scores.append(root_mean_squared_error(y[folds == fold], fitted.predict(test)))
            else:
                scores.append(roc_auc_score(y[folds == fold], fitted.predict_proba(test)[:, 1]))
        mine = next(row for row in result.rows if row.id == method).mean(result.plan.rank_by)
        assert mine == pytest.approx(np.mean(scores), rel=TOLERANCE), method
