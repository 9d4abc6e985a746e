"""Evidence for resampling and the correction of probabilities after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _logistic(n: int, seed: int, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, 2))
    return X, (draw.uniform(size=n) < 1 / (1 + np.exp(-(X @ [1.0, -0.7] + intercept)))).astype(int)


def _fit(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the unpenalized maximum-likelihood coefficients (slopes, intercept) by Newton's method."""
    design = np.column_stack([X, np.ones(len(X))])
    w = np.zeros(design.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-design @ w))
        w += np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, design.T @ (y - p))
    return w


def _errors(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    design = np.column_stack([X, np.ones(len(X))])
    p = 1 / (1 + np.exp(-design @ _fit(X, y)))
    return np.sqrt(np.diag(np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design)))


@evidence(
    "random-oversampling",
    claim="All rows stay in their order, the rest are copies of rows of the smaller classes, drawn uniformly",
    against="the definition; counts of copies within six deviations of a uniform draw",
)
def over_definition() -> Check:
    from fivefold.data.resampling import RandomOverSampler

    y = np.random.default_rng(0).permutation(np.repeat(["a", "b", "c"], [4000, 40, 400]))
    X = np.arange(len(y), dtype=float)[:, None]
    model = RandomOverSampler(random_state=1)
    Z, labels = model.fit_resample(X, y)
    wrong = int(not np.array_equal(Z[: len(y)], X)) + int(not np.array_equal(labels[: len(y)], y))
    wrong += int(not np.array_equal(y[Z[:, 0].astype(int)], labels)) + int(len(Z) != 12000)
    wrong += int(not np.array_equal(X[model.sample_indices_], Z))
    copies = np.bincount(Z[:, 0].astype(int), minlength=len(y)) - 1
    wrong += int(copies[y == "a"].any())
    for name, size in (("b", 40), ("c", 400)):
        mean = (4000 - size) / size
        wrong += int(not np.abs(copies[y == name] - mean).max() <= 6 * np.sqrt(mean))
        # The number of copies is multinomial: its spread is chi-squared.
        chi2 = ((copies[y == name] - mean) ** 2).sum() / mean
        wrong += int(not abs(chi2 - (size - 1)) <= 6 * np.sqrt(2 * (size - 1)))
    return Check(wrong, 0, "violations", "definition")


@evidence(
    "random-oversampling",
    claim="A ratio, counts per class and 'auto' give exactly the class counts they name; a tie needs no row",
    against="arithmetic",
)
def over_counts() -> Check:
    from fivefold.data.resampling import RandomOverSampler

    y = np.repeat([0, 1], [100, 7])
    X = np.zeros((107, 1))
    found = []
    for strategy in ("auto", 0.5, 1.0, 0.07, {1: 33}, {0: 120, 1: 8}):
        _, labels = RandomOverSampler(sampling_strategy=strategy, random_state=0).fit_resample(X, y)
        found.append(np.bincount(labels).tolist())
    expected = [[100, 100], [100, 50], [100, 100], [100, 7], [100, 33], [120, 8]]
    wrong = sum(a != b for a, b in zip(found, expected))
    wrong += len(RandomOverSampler(random_state=0).fit_resample(X[:6], [0, 1] * 3)[1]) != 6
    return Check(wrong, 0, "wrong counts", "arithmetic")


@evidence(
    "random-oversampling",
    claim="Logistic slopes stay and the intercept moves by log((r1/p1)/(r0/p0)), within six standard errors",
    against="the closed form of King & Zeng; AUC of both fits on new rows within 0.002",
)
def over_slopes() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.data.prior_correction import logit_shift
    from fivefold.data.resampling import RandomOverSampler

    X, y = _logistic(40_000, 0, -3.5)
    model = RandomOverSampler(random_state=0)
    Z, labels = model.fit_resample(X, y)
    shift = logit_shift(model.trained_shares_, model.true_shares_)
    counts = np.bincount(y)
    by_hand = np.log((0.5 / (counts[1] / 40_000)) / (0.5 / (counts[0] / 40_000)))
    plain, over = _fit(X, y), _fit(Z, labels)
    moved = np.abs(over - plain - [0, 0, by_hand]) / _errors(X, y)
    new, truth = _logistic(40_000, 1, -3.5)
    auc = [roc_auc_score(truth, new @ w[:2]) for w in (plain, over)]
    wrong = float(moved.max()) + 100 * (abs(auc[0] - auc[1]) > 0.002) + 100 * (abs(shift - by_hand) > 1e-12)
    return Check(wrong + 100 * (not by_hand >= 2), 6, "standard errors", "King & Zeng 2001")


@evidence(
    "random-undersampling",
    claim="Rows that stay are a subset in their order, class counts are those asked for, each row equally likely",
    against="the definition; how often each of 30 rows stays in 4,000 draws within six deviations",
)
def under_definition() -> Check:
    from fivefold.data.resampling import RandomUnderSampler

    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [24, 6]))
    X = np.arange(30.0)[:, None]
    stayed = np.zeros(30)
    wrong = 0
    for seed in range(4000):
        model = RandomUnderSampler(random_state=seed)
        Z, labels = model.fit_resample(X, y)
        rows = Z[:, 0].astype(int)
        wrong += int((~(np.diff(rows) > 0)).any() or np.bincount(labels).tolist() != [6, 6])
        wrong += int(not np.array_equal(y[rows], labels) or not np.array_equal(rows, model.sample_indices_))
        stayed[rows] += 1
    deviation = np.sqrt(4000 * 0.25 * 0.75)
    wrong += int((stayed[y == 1] != 4000).any()) + int((~(np.abs(stayed[y == 0] - 1000) <= 6 * deviation)).any())
    return Check(wrong, 0, "violations", "definition")


@evidence(
    "random-undersampling",
    claim="A ratio and counts per class give exactly the counts they name, sparse and frame input included",
    against="arithmetic",
)
def under_counts() -> Check:
    import polars as pl
    import scipy.sparse

    from fivefold.data.resampling import RandomUnderSampler

    y = np.repeat(["x", "y"], [100, 7])
    X = np.arange(107.0)[:, None]
    wrong = 0
    for strategy, expected in (
        ("auto", [7, 7]),
        (0.5, [14, 7]),
        (1.0, [7, 7]),
        ({"x": 50}, [50, 7]),
        ({"x": 10, "y": 3}, [10, 3]),
    ):
        for form in (X, scipy.sparse.csr_matrix(X), pl.DataFrame({"a": X[:, 0]})):
            model = RandomUnderSampler(sampling_strategy=strategy, random_state=2)
            Z, labels = model.fit_resample(form, y)
            wrong += np.unique(labels, return_counts=True)[1].tolist() != expected or type(Z) is not type(form)
            values = (
                Z["a"].to_numpy()
                if isinstance(Z, pl.DataFrame)
                else np.asarray(Z.todense() if Z is not form and hasattr(Z, "todense") else Z).ravel()
            )
            wrong += not np.array_equal(values, X[model.sample_indices_, 0])
            wrong += not float(np.abs(model.trained_shares_ - np.array(expected) / sum(expected)).max()) <= 1e-15
    return Check(wrong, 0, "wrong counts", "arithmetic")


@evidence(
    "prior-correction",
    claim="Odds of counted cells, with every positive there m times, are brought back exactly, for 2 and 3 classes",
    against="the frequencies before the copies",
)
def correction_exact() -> Check:
    from fivefold.data.resample import correct_prior

    draw = np.random.default_rng(0)
    worst = 0.0
    for classes in (2, 3):
        for _ in range(20):
            counts = draw.integers(1, 50, size=(6, classes)).astype(float)
            copies = draw.integers(1, 30, size=classes)
            after = counts * copies
            given = after / after.sum(axis=1, keepdims=True)
            found = correct_prior(given, after.sum(axis=0) / after.sum(), counts.sum(axis=0) / counts.sum())
            worst = largest(worst, float(np.abs(found - counts / counts.sum(axis=1, keepdims=True)).max()))
    return Check(worst, 1e-14, "difference of probabilities", "frequencies")


@evidence(
    "prior-correction",
    claim="The correction subtracts log((r1/p1)/(r0/p0)) from the logit; the form printed in a source squares the odds instead",
    against="the closed form, and the misprint worked out at p = 0.8, shares 0.5 after and 0.01 before",
)
def correction_shift() -> Check:
    from fivefold.data.prior_correction import logit_shift
    from fivefold.data.resample import correct_prior

    p = np.array([0.01, 0.3, 0.8, 0.999])
    trained, true = np.array([0.4, 0.6]), np.array([0.93, 0.07])
    found = correct_prior(np.column_stack([1 - p, p]), trained, true)[:, 1]
    by_hand = np.log(p / (1 - p)) - np.log((0.6 / 0.07) / (0.4 / 0.93))
    worst = float(np.abs(np.log(found / (1 - found)) - by_hand).max())
    worst = largest(worst, abs(logit_shift(trained, true) - np.log((0.6 / 0.07) / (0.4 / 0.93))))
    right = correct_prior([[0.2, 0.8]], [0.5, 0.5], [0.99, 0.01])[0, 1]
    worst = largest(worst, abs(right - 0.008 / (0.008 + 0.198)))
    a = (0.8 / 0.5) / (0.2 / 0.5)  # as printed: the shares before never enter
    printed = a / (a + 1 / a)
    return Check(
        worst + (not abs(printed - 16 / 17) <= 1e-12) + (not abs(printed - right) >= 0.9),
        1e-12,
        "difference",
        "closed form",
    )


def _calibration(y: np.ndarray, p: np.ndarray) -> float:
    """Return the slope of a logistic regression of the outcome on the logit of its probability."""
    return float(_fit(np.log(p / (1 - p))[:, None], y)[0])


@evidence(
    "prior-correction",
    claim="1 % positives, SMOTE to 50 %: mean probability within 10 % of the base rate, slope 0.9-1.1, AUC within 0.01",
    against="the outcomes of new rows; without correction as control",
)
def correction_smote() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.data.prior_correction import PriorCorrection
    from fivefold.data.smote import SMOTE
    from fivefold.models.linear.logistic import LogisticRegression

    X, y = _logistic(60_000, 5, -5.2)
    new, truth = _logistic(200_000, 6, -5.2)
    model = PriorCorrection(LogisticRegression(C=1e6), SMOTE(random_state=0)).fit(X, y)
    plain = LogisticRegression(C=1e6).fit(X, y)
    p, raw, before = (m.predict_proba(new)[:, 1] for m in (model, model.estimator_, plain))
    wrong = int(not 0.007 < y.mean() < 0.013) + int(not abs(model.trained_shares_[1] - 0.5) <= 1e-12)
    # The base rate is that of the rows the model saw; new rows differ from it by chance.
    wrong += int(not abs(p.mean() / y.mean() - 1) <= 0.1) + int(not 0.9 < _calibration(truth, p) < 1.1)
    wrong += int(not abs(roc_auc_score(truth, p) - roc_auc_score(truth, before)) <= 0.01)
    wrong += int(not raw.mean() >= 10 * y.mean())
    return Check(wrong, 0, "conditions not met", "outcomes")


@evidence(
    "prior-correction",
    claim="After over- and under-sampling the corrected logistic regression is the one refitted on all rows",
    against="the refit, within six standard errors of its logit; shares are handed over by the resampler alone",
)
def correction_refit() -> Check:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fivefold.data.prior_correction import PriorCorrection, ResamplingPipeline
    from fivefold.data.resampling import RandomOverSampler, RandomUnderSampler
    from fivefold.models.linear.logistic import LogisticRegression

    X, y = _logistic(30_000, 7, -3.0)
    inner: Any = LogisticRegression(C=1e8)
    plain = inner.fit(X, y).decision_function(X[:500])
    worst = 0.0
    for resampler in (RandomOverSampler(random_state=0), RandomUnderSampler(random_state=0)):
        step = make_pipeline(StandardScaler(), PriorCorrection(inner, resampler)).fit(X, y)
        own = ResamplingPipeline([("scale", StandardScaler()), ("resample", resampler), ("model", inner)]).fit(X, y)
        p = step.predict_proba(X[:500])
        # Scaling before or inside gives the same rows to the fit, up to rounding of the solver.
        worst += 100 * float(not np.abs(p - own.predict_proba(X[:500])).max() <= 1e-9)
        worst += 100 * (not step.predict(X[:500]).mean() <= 2 * y.mean())
        few = y.sum() * 2 if isinstance(resampler, RandomUnderSampler) else len(y)
        kept = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))[: few - y.sum()]
        rows = np.concatenate([np.flatnonzero(y == 1), kept])
        design = np.column_stack([X[:500], np.ones(500)])
        q = 1 / (1 + np.exp(-np.column_stack([X[rows], np.ones(len(rows))]) @ _fit(X[rows], y[rows])))
        full = np.column_stack([X[rows], np.ones(len(rows))])
        spread = np.linalg.inv((full * (q * (1 - q))[:, None]).T @ full)
        error = np.sqrt(np.einsum("ij,jk,ik->i", design, spread, design))
        worst = largest(worst, float((np.abs(np.log(p[:, 1] / p[:, 0]) - plain) / error).max()))
    return Check(worst, 6, "standard errors", "refit on all rows")


@evidence(
    "prior-correction",
    claim="Given shares replace those of the rows: a case-control sample yields the probabilities of the population",
    against="the logit moved by hand; without a resampler and without shares nothing changes",
)
def correction_given() -> Check:
    from fivefold.data.prior_correction import PriorCorrection
    from fivefold.models.linear.logistic import LogisticRegression

    X, y = _logistic(400, 8, 0.0)
    inner = LogisticRegression().fit(X, y)
    share = y.mean()
    given = PriorCorrection(LogisticRegression(), true_shares=[97, 3]).fit(X, y).predict_proba(X)
    expected = inner.decision_function(X) - np.log((share / 0.03) / ((1 - share) / 0.97))
    worst = float(np.abs(np.log(given[:, 1] / given[:, 0]) - expected).max())
    same = PriorCorrection(LogisticRegression()).fit(X, y).predict_proba(X)
    return Check(largest(worst, float(np.abs(same - inner.predict_proba(X)).max())), 1e-9, "difference", "by hand")


@evidence(
    "prior-correction",
    claim="Labels are those of the largest corrected probability, of three classes too; parameters reach the steps",
    against="argmax; the probabilities of the parts put together by hand",
)
def correction_labels() -> Check:
    from fivefold.data.encoders import StandardScaler
    from fivefold.data.prior_correction import PriorCorrection, ResamplingPipeline
    from fivefold.data.resample import correct_prior
    from fivefold.data.resampling import RandomOverSampler
    from fivefold.models.linear.softmax import SoftmaxRegression

    draw = np.random.default_rng(9)
    y = np.repeat(["a", "b", "c"], [300, 60, 20])
    X = draw.normal(size=(380, 2)) + np.repeat([[0, 0], [1, 0], [0, 1.5]], [300, 60, 20], axis=0)
    over = RandomOverSampler(random_state=0)
    own = ResamplingPipeline([("scale", StandardScaler()), ("over", over), ("model", SoftmaxRegression())]).fit(X, y)
    scaled = StandardScaler().fit(X).transform(X)
    inner = SoftmaxRegression().fit(*RandomOverSampler(random_state=0).fit_resample(scaled, y))
    expected = correct_prior(inner.predict_proba(scaled), [1 / 3] * 3, np.array([300, 60, 20]) / 380)
    worst = float(np.abs(own.predict_proba(X) - expected).max())
    labels = np.array(["a", "b", "c"])[expected.argmax(axis=1)]
    worst += float((own.predict(X) != labels).sum())
    single = PriorCorrection(SoftmaxRegression(), over).fit(scaled, y)
    worst += float((single.predict(scaled) != labels).sum()) + float((inner.predict(scaled) == labels).all())
    worst += float(own.set_params(over__random_state=7).get_params()["over__random_state"] != 7)
    return Check(worst, 1e-9, "difference", "by hand")
