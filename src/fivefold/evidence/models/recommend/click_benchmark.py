"""Evidence for the comparison of click models and for the log on which it is made."""

from __future__ import annotations

import tempfile

import numpy as np

from fivefold.evidence import Check, evidence


@evidence(
    "criteo-avazu-benchmark",
    claim="Clicks come with the told probabilities, categories with Zipf's frequencies; sizes add up; a seed gives one log",
    against="frequencies in ten bins of probability; the power law; itself",
)
def known_probabilities() -> Check:
    from fivefold.data.synthetic_clicks import field_sizes, synthetic_clicks

    log = synthetic_clicks(40000, fields=8, categories=400, n_pairs=5, seed=3)
    y, p = log.frame["click"].to_numpy(), log.probability
    wrong = 0
    for part in np.array_split(np.argsort(p), 10):
        spread = np.sqrt((p[part] * (1 - p[part])).sum())
        wrong += int(not abs(y[part].sum() - p[part].sum()) < 4.5 * spread)  # once in 150,000 by chance
    for f, size in enumerate(log.sizes):
        shares = np.arange(1, size + 1) ** -1.1
        expected = 40000 * shares / shares.sum()
        counts = np.bincount(log.frame[f"c{f}"].to_numpy(), minlength=size)
        wrong += int(len(counts) != size) + int(not np.abs((counts - expected) / np.sqrt(expected)).max() < 5.5)
    wrong += int(not abs(sum(log.sizes) - 400) <= 8) + int(log.sizes[0] != 4) + int(len(set(log.pairs)) != 5)
    sizes = field_sizes(39, 1_000_000)
    wrong += int(not abs(sum(sizes) - 1_000_000) <= 39) + int(len(sizes) != 39) + int(any(np.diff(sizes) < 0))
    again = synthetic_clicks(40000, fields=8, categories=400, n_pairs=5, seed=3)
    other = synthetic_clicks(40000, fields=8, categories=400, n_pairs=5, seed=4)
    wrong += int(not again.frame.equals(log.frame)) + int(other.frame.equals(log.frame))
    odds = np.log(p / (1 - p))
    few = synthetic_clicks(40000, fields=8, categories=400, n_pairs=1, seed=3)
    wrong += int(not np.var(odds) > np.var(np.log(few.probability / (1 - few.probability))))
    return Check(wrong, 0, "violations", "the definition")


@evidence(
    "criteo-avazu-benchmark",
    claim="The linear model ranks worst, FM better, FFM and INTER reach 90 % of the possible lift; numbers are the models' own",
    against="the known probabilities; the models trained apart; the arithmetic of their parameters",
)
def ordering() -> Check:
    from sklearn.metrics import log_loss, roc_auc_score

    from fivefold.data.synthetic_clicks import synthetic_clicks
    from fivefold.demos.recommend.click_benchmark import PUBLISHED, ClickBenchmark, smallest
    from fivefold.models.recommend.field_aware import FieldAwareFM

    with tempfile.TemporaryDirectory() as folder:
        shape = {"rows": 9000, "fields": 4, "categories": 20, "embedding_dim": 4, "max_iter": 6}
        result = ClickBenchmark(**shape).run(seed=0, out=folder)  # type: ignore[arg-type]
        wrong = int(not result.figures[0].stat().st_size > 5000)
    numbers = dict(result.numbers)
    log = synthetic_clicks(9000, fields=4, categories=20, seed=0)
    train, test = log.frame[:6750], log.frame[6750:]
    y = test["click"].to_numpy()
    best = roc_auc_score(y, log.probability[6750:])
    model = FieldAwareFM(embedding_dim=4, max_iter=6, random_state=0).fit(train, "click")
    p = model.predict_proba(test)[:, 1]
    wrong += int(not abs(numbers["best auc"] - best) <= 1e-12) + int(
        not abs(numbers["auc FFM"] - roc_auc_score(y, p)) <= 1e-12
    )
    wrong += int(not abs(numbers["log loss FFM"] - log_loss(y, p)) <= 1e-9)
    d = model.n_features_in_
    wrong += int(numbers["parameters LR"] != 1 + d) + int(numbers["parameters FFM"] != 1 + d + d * 4 * 4)
    wrong += int(numbers["parameters INTER"] - numbers["parameters FM"] != 16 * 16)
    wrong += int(not smallest(numbers, ("LR", "FM")) > 0.02) + int(not numbers["auc FFM"] > numbers["auc LR"])
    floor = numbers["auc LR"]
    shares = [(numbers[f"auc {name}"] - floor) / (best - floor) for name in ("FFM", "INTER")]
    wrong += int(list(PUBLISHED) != [row[0] for row in result.tables[0].rows]) + int(len(result.tables[1].rows) != 9)
    return Check(float(np.min(shares)) - wrong, 0.9, "share of the possible lift", "Bayes rule", at_least=True)
