"""Evidence for the demonstration of bins with a linear model against numbers with boosted trees."""

from __future__ import annotations

import tempfile

import numpy as np

from fivefold.evidence import Check, evidence


@evidence(
    "binned-linear-vs-numeric-boosting",
    claim="A logistic regression on the bins of one column, hardly penalized, answers with the frequency of each bin",
    against="the frequencies, which maximize the likelihood",
)
def bins_are_frequencies() -> Check:
    from fivefold.data.discretizer import Discretizer
    from fivefold.demos.data.features_or_model import made_up
    from fivefold.models.linear.logistic import LogisticRegression

    X, y, _ = made_up(3000, 0, bent=True)
    bins = Discretizer(n_bins=12).fit(X[:, :1])
    codes = bins.transform(X[:, :1])
    model = LogisticRegression(C=1e8, tol=1e-12).fit(codes, y)
    place = codes.indices
    share = np.bincount(place, weights=y) / np.bincount(place)
    return Check(
        float(np.abs(model.predict_proba(codes)[:, 1] - share[place]).max()), 1e-5, "difference", "frequencies"
    )


@evidence(
    "binned-linear-vs-numeric-boosting",
    claim="Boosting with one stump and one step moves the logit by 4 rate times the mean residual of each side",
    against="least squares over all cuts, by hand",
)
def one_step() -> Check:
    from fivefold.demos.data.features_or_model import boosted, made_up

    X, y, _ = made_up(300, 1, bent=False)
    X = X[:, :1]
    residual = y - y.mean()
    order = np.sort(X[:, 0])
    cuts = (order[1:] + order[:-1])[19:-19] / 2  # 20 rows at least on each side

    def squares(cut: float) -> float:
        left = X[:, 0] <= cut
        return sum(float(((part - part.mean()) ** 2).sum()) for part in (residual[left], residual[~left]))

    best = min(cuts, key=squares)
    left = X[:, 0] <= best
    step = np.where(left, residual[left].mean(), residual[~left].mean())
    logit = np.log(y.mean() / (1 - y.mean())) + 4 * 0.3 * step
    found = boosted(X, y, X, trees=1, depth=1, rate=0.3)
    return Check(float(np.abs(np.log(found / (1 - found)) - logit).max()), 1e-9, "difference of the logit", "by hand")


@evidence(
    "binned-linear-vs-numeric-boosting",
    claim="Where effects bend, bins beat raw numbers by 0.1 AUC and boosting is within 0.05 of them; straight, by none",
    against="the straight table as control",
)
def bins_win() -> Check:
    from fivefold.demos.data.features_or_model import MODELS, FeaturesOrModel

    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for table, bends in (("bent", True), ("straight", False)):
            result = FeaturesOrModel(table=table).run(seed=1, out=folder, quick=True)
            raw, binned, trees = (result.numbers[f"{name}: roc-auc"] for name in MODELS)
            loss = [result.numbers[f"{name}: log-loss"] for name in MODELS]
            if bends:
                wrong += (not binned - raw >= 0.1) + (not abs(trees - binned) <= 0.05) + (not loss[0] - loss[1] >= 0.05)
                wrong += "bins win here" not in result.text
            else:
                wrong += (not binned - raw <= 0.005) + ("bins do not win here" not in result.text)
            wrong += [result.numbers[f"{name}: features"] for name in MODELS] != [4, 80, 4]
    return Check(wrong, 0, "conditions not met", "control")
