"""AdaBoost, M1 and R2: the source's numbers, the algorithm by hand, scikit-learn member by member."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence


def table(n: int, name: str, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return columns (n, 4) and class numbers (n,) with noise."""
    rng = Streams(31).numpy(name)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    score = X[:, 0] + X[:, 1] * X[:, 2] + 0.5 * rng.normal(size=n)
    return X, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))


@evidence(
    "adaboost",
    claim="alpha(.3) = .42, alpha(.1) = 1.10, alpha(.4) = .20; d(.3) = 1.53; the reweighted error is one half",
    against="05#adaboost",
)
def printed_numbers() -> Check:
    from fivefold.models.trees import AdaBoostClassifier

    worst = []
    for error, alpha, digits in ((0.3, 0.42, 2), (0.1, 1.10, 2), (0.4, 0.20, 2), (0.25, 0.5493, 4)):
        # One column that cannot tell the rows apart but for its two values, and weights that make the error.
        x, y = np.array([[0.0], [0.0], [1.0]]), np.array([0, 1, 1])
        w = np.array([0.5, error, 0.5 - error])
        boosted = AdaBoostClassifier(n_estimators=1).fit(x, y, w)
        own = float(boosted.estimator_weights_[0])
        worst += [abs(boosted.estimator_errors_[0] - error), abs(own - alpha) - 0.5 * 10**-digits]
        wrong = boosted.predict(x) != y
        u = w * np.exp(np.where(wrong, own, -own))
        worst.append(abs(u[wrong].sum() / u.sum() - 0.5))
        worst.append(abs(u.sum() - 2 * np.sqrt(error * (1 - error))))
    worst.append(abs(np.exp(0.5 * np.log(0.7 / 0.3)) - 1.53) - 0.005)
    return Check(float(np.max(worst)), 1e-12, "largest excess", "05#adaboost")


def _by_hand(X: np.ndarray, y: np.ndarray, w: np.ndarray, rounds: int, depth: int) -> tuple[list[float], np.ndarray]:
    """Return alphas and the decision function of the source's algorithm, with u starting at 1 and never normalized."""
    from fivefold.models.trees import DecisionTreeClassifier

    sign = np.where(y == 1, 1.0, -1.0)
    u, f, alphas = w.copy(), np.zeros(len(y)), []
    for _ in range(rounds):
        h = np.where(DecisionTreeClassifier(max_depth=depth).fit(X, y, u).predict(X) == 1, 1.0, -1.0)
        d = np.sqrt(1 / (u[h != sign].sum() / u.sum()) - 1)
        alphas.append(float(np.log(d)))
        u = np.where(h != sign, u * d, u / d)
        f = f + np.log(d) * h
    return alphas, f


@evidence("adaboost", claim="Weights and scores are those of the algorithm as printed", against="the loop by hand")
def the_loop_by_hand() -> Check:
    from fivefold.models.trees import AdaBoostClassifier, DecisionTreeClassifier

    X, y = table(200, "hand")
    worst = []
    for depth in (1, 2):
        for w in (np.ones(200), Streams(32).numpy("weights").integers(1, 5, 200).astype(float)):
            base = None if depth == 1 else DecisionTreeClassifier(max_depth=2)
            boosted = AdaBoostClassifier(base, n_estimators=12).fit(X, y, w)
            alphas, f = _by_hand(X, y, w, 12, depth)
            worst += [np.abs(boosted.estimator_weights_ - alphas).max(), np.abs(boosted.decision_function(X) - f).max()]
            worst.append(np.abs(boosted.predict_proba(X)[:, 1] - 1 / (1 + np.exp(-2 * f))).max())
            worst.append(float(np.sum(boosted.predict(X) != (f > 0))))
    return Check(float(np.max(worst)), 1e-9, "max |ours - by hand|", "the loop by hand")


@evidence(
    "adaboost",
    claim="Members, errors, doubled weights and labels of two and three classes equal the peer's",
    against="scikit-learn AdaBoostClassifier",
)
def like_scikit_learn() -> Check:
    from sklearn.ensemble import AdaBoostClassifier as Peer
    from sklearn.tree import DecisionTreeClassifier as Tree

    from fivefold.models.trees import AdaBoostClassifier

    worst = []
    for classes, rate, rounds in ((2, 1.0, 20), (3, 1.0, 12), (3, 0.5, 12), (2, 0.3, 20)):
        X, y = table(300, "peer", classes)
        w = Streams(33).numpy("weights").uniform(0.5, 2, 300)
        # The same base on both sides: equal splits are decided by its seed, so one column less to choose from: depth 1.
        base = Tree(max_depth=1, random_state=0)
        ours = AdaBoostClassifier(base, n_estimators=rounds, learning_rate=rate).fit(X, y, w)
        peer = Peer(base, n_estimators=rounds, learning_rate=rate).fit(X, y, w)
        worst.append(np.abs(2 * ours.estimator_weights_ - peer.estimator_weights_).max())
        worst.append(np.abs(ours.estimator_errors_ - peer.estimator_errors_).max())
        worst.append(float(np.sum(ours.predict(X) != peer.predict(X))))
        worst.append(np.abs(ours.feature_importances_ - peer.feature_importances_).max())
        stages = zip(ours.staged_predict(X), peer.staged_predict(X), strict=True)
        worst.append(float(sum(np.sum(a != b) for a, b in stages)))
    return Check(float(np.max(worst)), 1e-9, "max |ours - peer|", "scikit-learn AdaBoostClassifier")


@evidence(
    "adaboost",
    claim="Stops at a perfect member and at one no better than chance; stages and defaults",
    against="definition",
)
def stops_and_stages() -> Check:
    from fivefold.models.trees import AdaBoostClassifier, DecisionTreeClassifier

    X, y = table(120, "stops")
    wrong = 0
    perfect = AdaBoostClassifier(DecisionTreeClassifier(), n_estimators=9).fit(X, y)
    wrong += perfect.estimator_weights_.tolist() != [1.0] or perfect.estimator_errors_.tolist() != [0.0]
    wrong += int(np.sum(perfect.predict(X) != y))
    # With two rows that contradict each other the second stump finds an error of exactly one half.
    twins = AdaBoostClassifier().fit([[0.0], [0.0], [0.0]], [0, 1, 0])
    wrong += len(twins.estimators_) != 1 or not abs(twins.estimator_errors_[0] - 1 / 3) <= 1e-12
    boosted = AdaBoostClassifier().fit(X, y)
    wrong += len(boosted.estimators_) != 50 or boosted.estimators_[0].get_depth() != 1
    stages = list(boosted.staged_decision_function(X))
    wrong += len(stages) != 50 or not np.allclose(stages[-1], boosted.decision_function(X))
    f = sum(
        a * np.where(m.predict(X) == 1, 1, -1)
        for a, m in zip(boosted.estimator_weights_[:7], boosted.estimators_[:7], strict=True)
    )
    wrong += not np.allclose(stages[6], f)
    three_x, three_y = table(150, "stops", 3)
    three = AdaBoostClassifier(n_estimators=15).fit(three_x, three_y)
    tally = np.zeros((150, 3))
    for a, m in zip(three.estimator_weights_, three.estimators_, strict=True):
        tally += a * (m.predict(three_x)[:, None] == np.arange(3))
    wrong += not np.allclose(three.decision_function(three_x), tally)
    p = np.exp(2 * tally)
    wrong += not np.allclose(three.predict_proba(three_x), p / p.sum(axis=1, keepdims=True))
    # Between one half and two thirds a member of three classes still counts.
    wrong += not (three.estimator_errors_ > 0.5).any() or bool((~(three.estimator_errors_ < 2 / 3)).any())
    return Check(wrong, 0, "facts that differ", "definition")


@evidence(
    "adaboost",
    claim="Resampling by weights gives similar members: shares of the draws are the weights",
    against="binomial",
)
def roulette_wheel() -> Check:
    from fivefold.models.trees import AdaBoostClassifier
    from fivefold.models.trees._boosting import Boosted

    class Recorder:
        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {}

        def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
            self.rows = X[:, 0].astype(int)
            return self

    u = np.array([0.5, 0.25, 0.2, 0.05, 0.0])
    holder = Boosted()
    holder.resample = True
    x = np.arange(5.0)[:, None]
    counts = np.zeros(5)
    for t in range(2000):
        counts += np.bincount(holder._fit_member(Recorder(), x, np.zeros(5), u, Streams(1), t).rows, minlength=5)
    # 10,000 draws: five standard deviations of each share.
    worst = float(np.max(np.abs(counts / 10_000 - u) - 5 * np.sqrt(u * (1 - u) / 10_000)))
    X, y = table(400, "wheel")
    drawn = AdaBoostClassifier(n_estimators=20, resample=True, random_state=0).fit(X, y)
    weighed = AdaBoostClassifier(n_estimators=20).fit(X, y)
    again = AdaBoostClassifier(n_estimators=20, resample=True, random_state=0).fit(X, y)
    same = np.array_equal(drawn.decision_function(X), again.decision_function(X))
    close = abs(drawn.score(X, y) - weighed.score(X, y)) < 0.08
    differ = not np.array_equal(drawn.estimator_weights_, weighed.estimator_weights_)
    return Check(worst if same and close and differ else np.inf, 0, "excess over five deviations", "binomial")


@evidence("adaboost-m1", claim="For two classes it is AdaBoost with doubled weights", against="AdaBoostClassifier")
def m1_is_adaboost() -> Check:
    from fivefold.models.trees import AdaBoostClassifier, AdaBoostM1Classifier, DecisionTreeClassifier

    X, y = table(250, "two")
    stump = DecisionTreeClassifier(max_depth=1)
    worst = []
    for rate in (1.0, 0.5):
        one = AdaBoostM1Classifier(stump, n_estimators=15, learning_rate=rate).fit(X, y)
        other = AdaBoostClassifier(stump, n_estimators=15, learning_rate=rate).fit(X, y)
        worst.append(np.abs(one.estimator_weights_ - 2 * other.estimator_weights_).max())
        worst.append(np.abs(one.decision_function(X) - 2 * other.decision_function(X)).max())
        worst.append(np.abs(one.predict_proba(X) - other.predict_proba(X)).max())
    default = AdaBoostM1Classifier().fit(X, y)
    worst.append(float(default.estimators_[0].get_depth() != 3 or len(default.estimators_) != 50))
    return Check(float(np.max(worst)), 1e-9, "max |M1 - AdaBoost|", "AdaBoostClassifier")


@evidence(
    "adaboost-m1",
    claim="Algorithm 14 by hand: beta on the right rows, votes ln(1 / beta), stop above one half",
    against="the loop by hand",
)
def m1_by_hand() -> Check:
    from fivefold.models.trees import AdaBoostM1Classifier, DecisionTreeClassifier

    X, y = table(240, "four", 4)
    tree = DecisionTreeClassifier(max_depth=3)
    boosted = AdaBoostM1Classifier(tree, n_estimators=40).fit(X, y)
    omega, tally, worst, rounds = np.ones(240) / 240, np.zeros((240, 4)), [], 0
    for _ in range(40):
        h = DecisionTreeClassifier(max_depth=3).fit(X, y, omega).predict(X)
        error = omega[h != y].sum()
        if error > 0.5:
            break
        beta = error / (1 - error)
        worst.append(abs(boosted.estimator_weights_[rounds] - np.log(1 / beta)))
        tally[np.arange(240), h] += np.log(1 / beta)
        omega = np.where(h == y, omega * beta, omega)
        omega /= omega.sum()
        rounds += 1
    worst.append(float(rounds != len(boosted.estimators_)))
    worst.append(np.abs(boosted.decision_function(X) - tally).max())
    worst.append(float(np.sum(boosted.predict(X) != tally.argmax(axis=1))))
    # An error of exactly one half votes with 0 and would change nothing: boosting ends.
    halves = AdaBoostM1Classifier(DecisionTreeClassifier(max_depth=1)).fit([[0.0]] * 3, [0, 1, 0])
    worst.append(float(len(halves.estimators_) != 1))
    perfect = AdaBoostM1Classifier(DecisionTreeClassifier()).fit(X, y)
    worst.append(float(perfect.estimator_weights_.tolist() != [1.0]))
    return Check(float(np.max(worst)), 1e-9, "max |ours - by hand|", "the loop by hand")


@evidence("adaboost-m1", claim="Accuracy is near SAMME's", against="scikit-learn AdaBoostClassifier")
def m1_near_samme() -> Check:
    from sklearn.ensemble import AdaBoostClassifier as Peer
    from sklearn.tree import DecisionTreeClassifier as Tree

    from fivefold.models.trees import AdaBoostM1Classifier

    X, y = table(900, "samme", 3)
    ours = (
        AdaBoostM1Classifier(Tree(max_depth=5, random_state=0), n_estimators=30)
        .fit(X[:450], y[:450])
        .score(X[450:], y[450:])
    )
    peer = Peer(Tree(max_depth=5), n_estimators=30, random_state=0).fit(X[:450], y[:450]).score(X[450:], y[450:])
    # The standard error of a difference of two accuracies on 450 rows that agree on four fifths is .021.
    return Check(abs(ours - peer), 0.063, "gap of accuracy", "scikit-learn AdaBoostClassifier")


class _Script:
    """A regressor that ignores its rows: the k-th copy that is fitted answers by the k-th line of a script."""

    lines: ClassVar[list[np.ndarray]] = []
    turn: ClassVar[int] = 0

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"random_state": self.random_state}

    def set_params(self, **params: Any) -> Any:
        vars(self).update(params)
        return self

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.line = _Script.turn
        _Script.turn += 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        slope, curve, shift = _Script.lines[self.line]
        x = np.asarray(X)[:, 0]
        return slope * x + curve * np.sin(3 * x) + shift


@evidence(
    "adaboost-r2",
    claim="For given members errors, weights and weighted medians of the three losses equal the peer's",
    against="scikit-learn AdaBoostRegressor",
)
def r2_like_scikit_learn() -> Check:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.ensemble import AdaBoostRegressor as Peer

    from fivefold.models.trees import AdaBoostRegressor

    class Scripted(RegressorMixin, _Script, BaseEstimator):
        pass

    rng = Streams(34).numpy("script")
    X = rng.normal(size=(150, 1))
    y = X[:, 0] + np.sin(3 * X[:, 0]) + 0.3 * rng.normal(size=150)
    _Script.lines = [np.array([1, 1, 0.1]) + 0.3 * rng.normal(size=3) for _ in range(12)]
    w = rng.uniform(0.5, 2, 150)
    worst = []
    for loss in ("linear", "square", "exponential"):
        for rate in (1.0, 0.4):
            pair = []
            for kind in (AdaBoostRegressor, Peer):
                _Script.turn = 0
                pair.append(
                    kind(Scripted(), n_estimators=12, loss=loss, learning_rate=rate, random_state=0).fit(X, y, w)
                )
            ours, peer = pair
            kept = len(ours.estimators_)
            worst.append(float(kept != len(peer.estimators_)))
            worst.append(np.abs(ours.estimator_weights_ - peer.estimator_weights_[:kept]).max())
            worst.append(np.abs(ours.estimator_errors_ - peer.estimator_errors_[:kept]).max())
            worst.append(np.abs(ours.predict(X) - peer.predict(X)).max())
            stages = zip(ours.staged_predict(X), peer.staged_predict(X), strict=True)
            worst += [np.abs(a - b).max() for a, b in stages]
    return Check(float(np.max(worst)), 1e-10, "max |ours - peer|", "scikit-learn AdaBoostRegressor")


@evidence(
    "adaboost-r2",
    claim="The weighted median minimizes the weighted absolute error; half the weight is enough",
    against="brute force",
)
def weighted_medians() -> Check:
    from fivefold.models.trees.adaboost_r2 import weighted_median

    rng, wrong = Streams(35).numpy("median"), 0
    for t in range(1, 9):
        answers, weights = rng.integers(0, 6, (40, t)).astype(float), rng.integers(1, 5, t).astype(float)
        found = weighted_median(answers, weights)
        cost = (
            np.abs(answers[:, :, None] - answers[:, None, :]) @ weights
        )  # (n, T): cost of answering with each member's
        own = np.abs(found[:, None] - answers) @ weights
        wrong += int(np.sum(own != cost.min(axis=1)))
    wrong += weighted_median(np.array([[3.0, 1.0]]), np.array([1.0, 1.0])).tolist() != [1.0]
    wrong += weighted_median(np.array([[3.0, 1.0, 7.0]]), np.array([1.0, 0.5, 2.0])).tolist() != [7.0]
    return Check(wrong, 0, "medians that differ", "brute force")


@evidence(
    "adaboost-r2",
    claim="Algorithm 15 by hand with weighted members; stops, zero weights, defaults",
    against="the loop by hand",
)
def r2_by_hand() -> Check:
    from fivefold.models.trees import AdaBoostRegressor, DecisionTreeRegressor

    rng = Streams(36).numpy("hand")
    X = rng.normal(size=(160, 3))
    y = X[:, 0] + np.sin(3 * X[:, 1]) + 0.2 * rng.normal(size=160)
    w = rng.integers(0, 3, 160).astype(float)
    worst = []
    for weight in (np.ones(160), w):
        base = DecisionTreeRegressor(max_depth=2)
        boosted = AdaBoostRegressor(base, n_estimators=10, resample=False).fit(X, y, weight)
        u, kept = weight / weight.sum(), weight > 0
        for t, member in enumerate(boosted.estimators_):
            twin = DecisionTreeRegressor(max_depth=2).fit(X, y, u)
            worst.append(np.abs(twin.predict(X) - member.predict(X)).max())
            off = np.abs(y - twin.predict(X))
            e = off / off[kept].max()
            error = (u * e)[kept].sum()
            beta = error / (1 - error)
            worst.append(abs(boosted.estimator_weights_[t] - np.log(1 / beta)))
            u = np.where(kept, u * beta ** (1 - np.where(kept, e, 0)), 0)
            u /= u.sum()
        worst.append(float(len(boosted.estimators_) != 10))
    removed = AdaBoostRegressor(base, n_estimators=10, resample=False).fit(X[kept], y[kept], w[kept])
    worst.append(np.abs(removed.predict(X) - boosted.predict(X)).max())
    perfect = AdaBoostRegressor(DecisionTreeRegressor(), resample=False).fit(X, y)
    worst.append(float(perfect.estimator_weights_.tolist() != [1.0]) + np.abs(perfect.predict(X) - y).max())
    default = AdaBoostRegressor(random_state=0).fit(X, y)
    worst.append(float(max(m.get_depth() for m in default.estimators_) != 3 or len(default.estimators_) > 50))
    worst.append(float(bool((default.estimator_errors_ >= 0.5).any()) or len(default.estimators_) < 20))
    single = DecisionTreeRegressor(max_depth=3).fit(X[:80], y[:80]).score(X[80:], y[80:])
    worst.append(float(AdaBoostRegressor(random_state=0).fit(X[:80], y[:80]).score(X[80:], y[80:]) < single))
    return Check(float(np.max(worst)), 1e-9, "max |ours - by hand|", "the loop by hand")
