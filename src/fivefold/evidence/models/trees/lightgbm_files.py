"""LightGBM's text model: theirs read, ours written, both predicting the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def table(name: str, n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers, holes, zeros and codes (n, 4), a score (n,), and odd rows (300, 4) to predict."""
    rng = Streams(61).numpy(name)
    X = rng.normal(size=(n, 4))
    X[:, 2] = rng.integers(0, 80, n)
    X[::7, 0] = np.nan
    X[:, 3] = np.where(rng.random(n) < 0.4, 0.0, X[:, 3])
    score = X[:, 1] + np.where(X[:, 2] % 3 == 0, 3, 0) + np.isnan(X[:, 0]) + X[:, 3] ** 2
    odd = rng.normal(size=(300, 4))
    odd[:, 2] = rng.integers(-3, 90, 300)
    odd[::5] = np.nan
    odd[::3, 3] = 0.0
    odd[1, 3], odd[2, 3] = 1e-36, 1e-30
    return X, score, odd


JOBS: tuple[dict[str, Any], ...] = (
    {"objective": "regression"},
    {"objective": "binary"},
    {"objective": "multiclass", "num_class": 3},
    {"objective": "poisson"},
    {"objective": "quantile", "alpha": 0.7},
    {"objective": "regression", "zero_as_missing": True},
    {"objective": "regression", "use_missing": False},
    {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
)


def targets(objective: str, score: np.ndarray) -> np.ndarray:
    """Return targets that suit an objective: (n,)."""
    if objective == "binary":
        return (score > score.mean()).astype(float)
    if objective == "multiclass":
        return np.digitize(score, np.quantile(score, [0.3, 0.6])).astype(float)
    return np.abs(np.round(score)) if objective == "poisson" else score


def predictions(model: Any, X: np.ndarray) -> np.ndarray:
    """Return what LightGBM's ``predict`` returns for the same model."""
    if not hasattr(model, "predict_proba"):
        return model.predict(X)
    p = model.predict_proba(X)
    return p[:, 1] if p.shape[1] == 2 else p


@evidence(
    "lightgbm",
    claim="Their text models, read, predict the same: missing types, zeros as missing, categories, averages, six losses",
    against="lightgbm Booster.predict",
    peer="lightgbm",
)
def theirs_read() -> Check:
    import lightgbm

    from fivefold.models.trees.boosting.lightgbm_text import read_lightgbm, write_lightgbm

    X, score, odd = table("theirs")
    worst: list[float] = []
    common = {"num_leaves": 9, "verbose": -1, "min_data_per_group": 5, "cat_smooth": 1, "cat_l2": 0, "num_threads": 1}
    for job in JOBS:
        data = lightgbm.Dataset(X, targets(job["objective"], score), categorical_feature=[2])
        booster = lightgbm.train({**common, **job}, data, 8)
        rows = odd.copy()
        rows[:, 2] += 0.5  # codes are cut off, not rounded
        wanted = booster.predict(rows, num_threads=1)
        ours = read_lightgbm(booster)
        worst.append(np.abs(predictions(ours, rows) - wanted).max())
        again = lightgbm.Booster(model_str=write_lightgbm(ours))
        worst.append(np.abs(again.predict(rows, num_threads=1) - wanted).max())
        worst.append(float((ours.trees_.level_offset >= 0).sum() < 5))
        worst.append(float(ours.num_leaves != 9 or ours.cat_smooth != 1 or ours.n_estimators_ != 8))
    return Check(largest(worst), 1e-13, "max |ours - peer|", "lightgbm Booster.predict")


@evidence(
    "lightgbm",
    claim="Our models, written, predict the same in LightGBM, those of XGBoost's and Friedman's method as well",
    against="lightgbm Booster.predict",
    peer="lightgbm",
)
def ours_written() -> Check:
    import lightgbm

    from fivefold.models.trees import GradientBoostingRegressor, LGBMClassifier, LGBMRegressor, XGBClassifier
    from fivefold.models.trees.boosting.lightgbm_text import read_lightgbm, write_lightgbm

    X, score, odd = table("ours")
    y = targets("binary", score)
    categorical = {"categorical_feature": [2], "min_data_per_group": 5, "cat_smooth": 1.0, "num_leaves": 9}
    models = (
        LGBMRegressor(n_estimators=6, **categorical).fit(X, score),
        LGBMRegressor(n_estimators=6, objective="poisson", **categorical).fit(X, targets("poisson", score)),
        LGBMClassifier(n_estimators=6, **categorical).fit(X, y),
        LGBMClassifier(n_estimators=6, objective="exponential").fit(X, y),
        LGBMClassifier(n_estimators=6, **categorical).fit(X, targets("multiclass", score)),
        XGBClassifier(n_estimators=6, max_depth=3).fit(X, y),
        GradientBoostingRegressor(n_estimators=6).fit(X, score),
        LGBMRegressor(n_estimators=1, min_child_samples=600).fit(X, score),
    )
    worst = []
    for model in models:
        text = write_lightgbm(model)
        booster = lightgbm.Booster(model_str=text)
        ours = predictions(model, odd)
        worst.append(np.abs(booster.predict(odd, num_threads=1) - ours).max())
        if "sigmoid:2" not in text:
            worst.append(np.abs(predictions(read_lightgbm(text), odd) - ours).max())
            worst.append(float(read_lightgbm(text).trees_.count[0] != model.trees_.count[0]))
    return Check(largest(worst), 1e-13, "max |ours - peer|", "lightgbm Booster.predict")


@evidence(
    "lightgbm",
    claim="A Booster's best iteration, an estimator's labels and a ranking objective are kept",
    against="lightgbm's own estimators",
    peer="lightgbm",
)
def what_is_kept() -> Check:
    import lightgbm

    from fivefold.models.trees.boosting.lightgbm_text import read_lightgbm

    X, score, odd = table("kept")
    names = np.array(["no", "yes"])[(score > score.mean()).astype(int)]
    wrong = 0
    theirs = lightgbm.LGBMClassifier(n_estimators=60, learning_rate=0.2, verbose=-1, n_jobs=1)
    stop = lightgbm.early_stopping(2, verbose=False)
    theirs.fit(X[:300], names[:300], eval_X=X[300:], eval_y=(names[300:] == "yes").astype(float), callbacks=[stop])
    ours = read_lightgbm(theirs)
    wrong += ours.best_iteration_ != theirs.best_iteration_ or ours.n_estimators_ != theirs.booster_.num_trees()
    wrong += ours.classes_.tolist() != ["no", "yes"]
    wrong += int(np.sum(ours.predict(odd) != theirs.predict(odd)))
    wrong += int(np.sum(np.abs(ours.predict_proba(odd) - theirs.predict_proba(odd)) > 1e-13))
    ranker = lightgbm.LGBMRanker(n_estimators=5, verbose=-1, n_jobs=1)
    ranker.fit(X, np.clip(np.round(score), 0, 4).astype(int), group=[20] * 30)
    wrong += int(np.sum(read_lightgbm(ranker).predict(odd) != ranker.predict(odd)))
    return Check(wrong, 0, "facts that differ", "lightgbm's own estimators")
