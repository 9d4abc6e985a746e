"""Voting and stacking: the peers' answers on identical folds, and no row that teaches both levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence


def _table(n: int, name: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = Streams(41).numpy(name)
    X = rng.normal(size=(n, 4))
    score = X[:, 0] + X[:, 1] * X[:, 2] + 0.4 * rng.normal(size=n)
    codes = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    return X, np.array(["ant", "bee", "cow"])[codes]


def _members() -> list[tuple[str, Any]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    return [
        ("line", LogisticRegression()),
        ("bayes", GaussianNB()),
        ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
    ]


class _Recorder:
    """A classifier that answers 0.25 or 0.75 and remembers which rows (by their first column) it was trained on."""

    def __init__(self, log: list[set[int]] | None = None) -> None:
        self.log = log

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"log": self.log}

    def __sklearn_clone__(self) -> Any:
        return type(self)(self.log)

    def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
        self.classes_ = np.unique(y)
        self.rows = {int(v) for v in X[:, 0]}
        self.log.append(self.rows)  # type: ignore[union-attr]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        seen = np.array([int(v) in self.rows for v in X[:, 0]])
        return np.where(seen[:, None], [0.25, 0.75], [0.75, 0.25])


@evidence(
    "voting-ensemble",
    claim="Hard and soft, weighted or not: the peer's labels",
    against="scikit-learn VotingClassifier",
)
def like_the_peer() -> Check:
    from sklearn.ensemble import VotingClassifier as Peer

    from fivefold.models.trees import VotingClassifier

    wrong = 0
    for classes in (2, 3):
        X, y = _table(240, "voting", classes)
        for voting in ("hard", "soft"):
            for weights in (None, [1.0, 3.0, 1.5], [0.0, 0.0, 1.0]):
                ours = VotingClassifier(_members(), voting=voting, weights=weights).fit(X[:120], y[:120])
                peer = Peer(_members(), voting=voting, weights=weights).fit(X[:120], y[:120])
                wrong += int(np.sum(ours.predict(X) != peer.predict(X)))
                if voting == "soft":
                    wrong += not np.allclose(ours.predict_proba(X), peer.predict_proba(X))
    w = Streams(42).numpy("weights").uniform(0, 2, 120)
    ours = VotingClassifier(_members()).fit(X[:120], y[:120], w)
    wrong += int(np.sum(ours.predict(X) != Peer(_members()).fit(X[:120], y[:120], sample_weight=w).predict(X)))
    return Check(wrong, 0, "labels that differ", "scikit-learn VotingClassifier")


@evidence("voting-ensemble", claim="Votes are counted, the first of equals wins, defaults", against="worked example")
def counted_votes() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier, VotingClassifier

    x = np.arange(4.0)[:, None]
    y = np.array(["b", "a", "a", "b"])
    deep, stump = DecisionTreeClassifier(), DecisionTreeClassifier(max_depth=1)
    pair = VotingClassifier([("deep", deep), ("stump", stump)]).fit(x, y)
    # The stump puts {0} against the rest or {3} against the rest, and says "a" for the three.
    wrong = int(np.sum(pair.named_estimators_["stump"].predict(x) != ["b", "a", "a", "a"]))
    wrong += int(np.sum(pair.predict(x) != ["b", "a", "a", "a"]))  # one vote each: the first class
    wrong += not np.allclose(pair.predict_proba(x), [[0, 1], [1, 0], [1, 0], [0.5, 0.5]])
    heavy = VotingClassifier([("deep", deep), ("stump", stump)], weights=[2, 1]).fit(x, y)
    wrong += int(np.sum(heavy.predict(x) != y)) + (not np.allclose(heavy.predict_proba(x)[3], [1 / 3, 2 / 3]))
    default = VotingClassifier().fit(*_table(90, "default", 3))
    wrong += list(default.named_estimators_) != ["logistic", "naive-bayes", "tree"]
    wrong += type(default.estimators_[0]).__name__ != "SoftmaxRegression"
    two = VotingClassifier().fit(*_table(90, "default", 2))
    wrong += [type(m).__name__ for m in two.estimators_] != [
        "LogisticRegression",
        "GaussianNB",
        "DecisionTreeClassifier",
    ]
    wrong += two.estimators_[2].min_samples_leaf != 20
    wrong += (
        heavy.get_params()["stump__max_depth"] != 1
        or heavy.set_params(stump__max_depth=3).estimators[1][1].max_depth != 3
    )
    wrong += heavy.set_params(deep=stump).estimators[0][1] is not stump
    return Check(wrong, 0, "facts that differ", "worked example")


@evidence(
    "stacking",
    claim="On identical folds features, final weights and answers equal the peer's",
    against="scikit-learn StackingClassifier",
)
def classifier_like_the_peer() -> Check:
    from sklearn.ensemble import StackingClassifier as Peer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, StratifiedKFold

    from fivefold.models.trees import StackingClassifier

    worst = []
    for classes in (2, 3):
        X, y = _table(240, "stacking", classes)
        shuffled = KFold(4, shuffle=True, random_state=1)
        pairs = list(shuffled.split(X[:160]))
        for cv in (5, 3, shuffled, pairs, StratifiedKFold(3, shuffle=True, random_state=2)):
            for passthrough in (False, True):
                last = LogisticRegression(C=0.5)
                ours = StackingClassifier(_members(), last, cv=cv, passthrough=passthrough).fit(X[:160], y[:160])
                peer = Peer(_members(), last, cv=cv, passthrough=passthrough).fit(X[:160], y[:160])
                worst.append(np.abs(ours.final_estimator_.coef_ - peer.final_estimator_.coef_).max())
                worst.append(np.abs(ours.member_answers(X) - peer.transform(X)).max())
                worst.append(np.abs(ours.predict_proba(X) - peer.predict_proba(X)).max())
                worst.append(float(np.sum(ours.predict(X) != peer.predict(X))))
    w = Streams(43).numpy("weights").uniform(0.2, 2, 160)
    ours = StackingClassifier(_members(), last).fit(X[:160], y[:160], w)
    peer = Peer(_members(), last).fit(X[:160], y[:160], sample_weight=w)
    worst.append(np.abs(ours.predict_proba(X) - peer.predict_proba(X)).max())
    five, default = StackingClassifier(cv=5).fit(X, y), StackingClassifier().fit(X, y)
    worst.append(np.abs(five.predict_proba(X) - default.predict_proba(X)).max())
    worst.append(float(type(default.final_estimator_).__name__ != "SoftmaxRegression"))
    two = StackingClassifier().fit(*_table(90, "default", 2)).final_estimator_
    worst.append(float(type(two).__name__ != "LogisticRegression"))
    return Check(float(np.max(worst)), 1e-9, "max |ours - peer|", "scikit-learn StackingClassifier")


@evidence("stacking", claim="Regression on identical folds equals the peer's", against="scikit-learn StackingRegressor")
def regressor_like_the_peer() -> Check:
    from sklearn.ensemble import StackingRegressor as Peer
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.tree import DecisionTreeRegressor

    from fivefold.models.trees import StackingRegressor

    rng = Streams(44).numpy("regression")
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + np.sin(3 * X[:, 1]) + 0.2 * rng.normal(size=200)
    members = [("line", LinearRegression()), ("tree", DecisionTreeRegressor(max_depth=4, random_state=0))]
    worst = []
    for cv in (5, 3):
        for passthrough in (False, True):
            ours = StackingRegressor(members, Ridge(), cv=cv, passthrough=passthrough).fit(X[:120], y[:120])
            peer = Peer(members, Ridge(), cv=cv, passthrough=passthrough).fit(X[:120], y[:120])
            worst.append(np.abs(ours.predict(X) - peer.predict(X)).max())
            worst.append(np.abs(ours.member_answers(X) - peer.transform(X)).max())
    default = StackingRegressor().fit(X, y)
    worst.append(float(list(default.named_estimators_) != ["ridge", "tree"]))
    five = StackingRegressor(cv=5).fit(X, y)
    worst.append(np.abs(default.predict(X) - five.predict(X)).max())
    return Check(float(np.max(worst)), 1e-9, "max |ours - peer|", "scikit-learn StackingRegressor")


@evidence(
    "stacking",
    claim="The last learner sees no answer to a row its member was trained on",
    against="a member that remembers",
)
def disjoint_levels() -> Check:
    from sklearn.linear_model import LogisticRegression

    from fivefold.models.trees import StackingClassifier

    class Last(LogisticRegression):  # type: ignore[misc]
        def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> Any:
            Last.seen, Last.rows = X[:, 0].copy(), X[:, -1].copy()
            return super().fit(X, y)

    x = np.arange(60.0)[:, None]
    y = np.arange(60) % 2
    wrong = 0
    for cv, sizes in ((5, [48] * 5 + [60]), (2, [30, 30, 60]), (0.25, [45]), (0.5, [30])):
        log: list[set[int]] = []
        stack = StackingClassifier([("one", _Recorder(log))], Last(), cv=cv, passthrough=True, random_state=0).fit(x, y)
        wrong += [len(rows) for rows in log] != sizes
        wrong += int(np.sum(Last.seen != 0.25))  # 0.75 is the answer to a row it was trained on
        if isinstance(cv, float):
            wrong += log[0] & {int(v) for v in Last.rows} != set() or len(Last.rows) != round(60 * cv)
        else:
            wrong += not np.array_equal(Last.rows, x[:, 0])
            wrong += int(np.sum(stack.member_answers(x)[:, 0] != 0.75))
    again = [
        StackingClassifier([("one", _Recorder([]))], Last(), cv=0.5, random_state=s).fit(x, y).estimators_[0].rows
        for s in (0, 0, 1)
    ]
    wrong += again[0] != again[1] or again[0] == again[2]
    return Check(wrong, 0, "violations", "a member that remembers")


@evidence(
    "stacking",
    claim="Labels enter as one-hot columns, probabilities without the first of two; better than the vote",
    against="definition",
)
def columns_of_answers() -> Check:
    from fivefold.models.trees import DecisionTreeClassifier, StackingClassifier, VotingClassifier

    X, y = _table(300, "columns", 3)
    tree = DecisionTreeClassifier(max_depth=3)
    labels = StackingClassifier([("tree", tree)], stack_method="predict").fit(X, y)
    wrong = not np.array_equal(labels.member_answers(X), tree.fit(X, y).predict(X)[:, None] == np.unique(y))
    shares = StackingClassifier([("tree", tree)]).fit(X, y)
    wrong += not np.allclose(shares.member_answers(X), tree.fit(X, y).predict_proba(X))
    two = StackingClassifier([("tree", tree)]).fit(X, y == "bee")
    wrong += not np.allclose(two.member_answers(X), tree.fit(X, y == "bee").predict_proba(X)[:, 1:])
    hidden = np.array([[1.0, 0.0, 0.0, 0.0]]).repeat(2, axis=0)
    wrong += StackingClassifier().fit(X, y).predict(hidden).shape != (2,)
    # A member that always errs spoils the vote; the last learner turns it around.
    rng = Streams(45).numpy("liar")
    x = rng.normal(size=(400, 2))
    truth = (x[:, 0] > 0).astype(int)

    class Liar(DecisionTreeClassifier):
        def predict_proba(self, X: Any) -> np.ndarray:
            return super().predict_proba(X)[:, ::-1]

        def predict(self, X: Any) -> np.ndarray:
            return 1 - super().predict(X)

    liars = [("a", Liar(max_depth=1)), ("b", Liar(max_depth=1)), ("c", DecisionTreeClassifier(max_depth=1))]
    stacked = StackingClassifier(liars).fit(x[:200], truth[:200]).score(x[200:], truth[200:])
    voted = VotingClassifier(liars).fit(x[:200], truth[:200]).score(x[200:], truth[200:])
    wrong += not stacked >= 0.95 or not voted <= 0.05
    return Check(int(wrong), 0, "facts that differ", "definition")
