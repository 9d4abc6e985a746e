"""NGBoost: closed forms by numerical integration, the ngboost package, and what a distribution must be."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import integrate, stats

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest
from fivefold.models.trees.boosting._distributions import Categorical, Distribution, LogNormal, Normal, Poisson

_ALL: tuple[tuple[type[Distribution], int], ...] = ((Normal, 2), (LogNormal, 2), (Poisson, 1), (Categorical, 2))


def table(n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return columns of few distinct values (n, 3) and targets (n,) whose width depends on the second column."""
    rng = Streams(21).numpy(name)
    X = rng.integers(0, 20, (n, 3)) / 4
    return X, X[:, 0] + (0.2 + X[:, 1]) * rng.normal(size=n)


def _rows(kind: type[Distribution], K: int) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters (K, 6) and targets (6,) in the support."""
    rng = Streams(22).numpy(kind.__name__)
    y = {
        Normal: rng.normal(size=6),
        LogNormal: np.exp(rng.normal(size=6)),
        Poisson: rng.poisson(3.0, 6).astype(float),
        Categorical: rng.integers(0, 3, 6).astype(float),
    }[kind]
    return 0.6 * rng.normal(size=(K, 6)), y


def _slopes(kind: type[Distribution], raw: np.ndarray, value: Any) -> np.ndarray:
    """Return central differences of ``value(distribution)`` by the raw parameters."""
    out = []
    for k in range(len(raw)):
        step = np.zeros_like(raw)
        step[k] = 1e-5
        out.append((value(kind(raw + step)) - value(kind(raw - step))) / 2e-5)
    return np.array(out)


@evidence("ngboost", claim="Gradients of all scores are their derivatives", against="central differences")
def ngboost_gradients() -> Check:
    errors = []
    for kind, K in _ALL:
        raw, y = _rows(kind, K)
        for scoring in kind.scorings:
            slopes = _slopes(kind, raw, lambda d, y=y, s=scoring: d.scores(y, s))
            errors.append(np.abs(slopes - kind(raw).gradient(y, scoring)).max())
    return Check(largest(errors), 1e-7, "absolute difference", "central differences of second order")


@evidence(
    "ngboost",
    claim="Fisher's information is the mean of gradient times gradient, the CRPS's metric twice the integral of dF dF^T",
    against="quadrature and sums over the support",
)
def ngboost_metrics() -> Check:
    errors = []
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    for kind, K in _ALL:
        raw = _rows(kind, K)[0][:, :2]
        for i in range(raw.shape[1]):
            one = raw[:, i : i + 1]
            if issubclass(kind, Normal):
                y = one[0] + np.exp(one[1]) * nodes
                y, mass = (np.exp(y) if kind is LogNormal else y), weights
            else:
                y = np.arange(60.0 if kind is Poisson else 3.0)
                mass = np.exp(kind(np.repeat(one, len(y), axis=1)).logpdf(y))
            g = kind(np.repeat(one, len(y), axis=1)).gradient(y)
            errors.append(np.abs((mass * g) @ g.T - kind(one).metric()[:, :, 0]).max())
            if "crps" in kind.scorings:
                m, s = one[0, 0], float(np.exp(one[1, 0]))
                t = np.linspace(m - 12 * s, m + 12 * s, 4001)
                t, width = (np.exp(t), np.exp(t)) if kind is LogNormal else (t, np.ones_like(t))
                slopes = _slopes(kind, one, lambda d, t=t: d.cdf(t))
                found = 2 * (24 * s / 4000) * (slopes * width) @ slopes.T
                errors.append(np.abs(found - kind(one).metric("crps")[:, :, 0]).max())
    return Check(largest(errors), 1e-6, "absolute difference", "60 nodes of Gauss and Hermite; 4001 equal steps")


@evidence("ngboost", claim="Natural gradients solve metric x = gradient", against="numpy.linalg.solve")
def ngboost_natural() -> Check:
    errors = []
    for kind, K in _ALL:
        raw, y = _rows(kind, K)
        for scoring in kind.scorings:
            d = kind(raw)
            solved = np.linalg.solve(d.metric(scoring).transpose(2, 0, 1), d.gradient(y, scoring).T[..., None])
            errors.append(np.abs(solved[..., 0].T - d.natural(y, scoring)).max())
    return Check(largest(errors), 1e-12, "absolute difference", "numpy")


@evidence(
    "ngboost",
    claim="Densities, moments, quantiles and CRPS are those of the named distributions",
    against="scipy.stats",
)
def ngboost_distributions() -> Check:
    errors = []
    for kind, K in _ALL[:3]:
        raw, y = _rows(kind, K)
        d = kind(raw)
        spread = np.exp(raw[-1])
        peer: Any = {
            Normal: lambda raw=raw, spread=spread: stats.norm(raw[0], spread),
            LogNormal: lambda raw=raw, spread=spread: stats.lognorm(spread, scale=np.exp(raw[0])),
            Poisson: lambda spread=spread: stats.poisson(spread),
        }[kind]()
        log = peer.logpmf(y) if kind is Poisson else peer.logpdf(y)
        pairs = [(d.logpdf(y), log), (d.mean(), peer.mean()), (d.std(), peer.std()), (d.cdf(y), peer.cdf(y))]
        pairs += [
            (d.ppf(0.3), peer.ppf(0.3)),
            (d.interval(0.9)[0], peer.ppf(0.05)),
            (d.interval(0.9)[1], peer.ppf(0.95)),
        ]
        errors += [np.abs(a - b).max() for a, b in pairs]
        if kind is Poisson:
            ladder = np.arange(80.0)
            score = ((peer.cdf(ladder[:, None]) - (ladder[:, None] >= y)) ** 2).sum(axis=0)
            errors.append(np.abs(score - d.crps(y)).max())
        else:
            for i in range(2):
                one = kind(raw[:, i : i + 1])
                below, above = (
                    integrate.quad(lambda t, one=one, u=u: float((one.cdf(np.array([t]))[0] - u) ** 2), low, high)[0]
                    for u, low, high in ((0.0, one.ppf(1e-12)[0], y[i]), (1.0, y[i], max(y[i], one.ppf(1 - 1e-9)[0])))
                )
                errors.append(abs(below + above - one.crps(y[i : i + 1])[0]))
        shown = list(d.params.values())
        usual = {Normal: [raw[0], spread], LogNormal: [raw[0], spread], Poisson: [spread]}[kind]
        errors += [np.abs(a - b).max() for a, b in zip(shown, usual, strict=True)]
    p = np.array(list(Categorical(_rows(Categorical, 2)[0]).params.values()))
    errors.append(np.abs(p - np.exp(np.vstack([np.zeros(6), _rows(Categorical, 2)[0]])) / (1 / p[0])).max())
    return Check(largest(errors), 1e-6, "absolute difference", "scipy; integrals by quad")


@evidence(
    "ngboost",
    claim="Parameters, steps of the line search and first parameters equal the ngboost package's on the same splits",
    against="ngboost, exact trees on columns of 20 values",
    peer="ngboost",
)
def ngboost_like_peer() -> Check:
    from ngboost import NGBClassifier as PeerClassifier
    from ngboost import NGBRegressor as Peer
    from ngboost.distns import Poisson as PeerPoisson
    from ngboost.distns import k_categorical

    from fivefold.models.trees import NGBClassifier, NGBRegressor

    class _OfLogarithm(Peer):
        def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
            return super().fit(X, np.log(y))

    X, y = table(250, "peer")
    counts = np.random.default_rng(0).poisson(1 + X[:, 0]).astype(float)
    grades = np.where(X[:, 0] > 2.5, 2, np.where(y > 0.5, 1, 0))
    errors = []
    for ours, theirs, target in (
        (NGBRegressor(n_estimators=15), Peer(n_estimators=15, verbose=False), y),
        (NGBRegressor(n_estimators=8, splitter="exact"), Peer(n_estimators=8, verbose=False), y),
        (
            NGBRegressor(n_estimators=8, learning_rate=0.2, natural_gradient=False),
            Peer(n_estimators=8, learning_rate=0.2, natural_gradient=False, verbose=False),
            y,
        ),
        (
            NGBRegressor(distribution="lognormal", n_estimators=8),
            # Its LogNormal adds 1e-5 to the metric; the Normal of the logarithm is the same model without that.
            _OfLogarithm(n_estimators=8, verbose=False),
            np.exp(y / 4),
        ),
        (
            NGBRegressor(distribution="poisson", n_estimators=8),
            Peer(PeerPoisson, n_estimators=8, verbose=False),
            counts,
        ),
        (NGBClassifier(n_estimators=8), PeerClassifier(k_categorical(3), n_estimators=8, verbose=False), grades),
    ):
        ours.fit(X, target)
        theirs.fit(X, target)
        errors.append(np.abs(ours.predict_raw(X) - theirs.pred_param(X)).max())
        errors.append(float(ours.scalings_ != theirs.scalings))
    return Check(largest(errors), 1e-7, "largest difference", "ngboost")


@evidence(
    "ngboost",
    claim="Defaults are the paper's: 500 rounds, rate 0.01, depth 3, natural, log score",
    against="ngboost",
    peer="ngboost",
)
def ngboost_defaults() -> Check:
    from ngboost import NGBRegressor as Peer

    from fivefold.models.trees import NGBClassifier, NGBRegressor

    peer, wrong = Peer(), 0
    for ours in (NGBRegressor(), NGBClassifier()):
        for name in ("n_estimators", "learning_rate", "natural_gradient", "minibatch_frac", "col_sample", "tol"):
            wrong += getattr(ours, name) != getattr(peer, name)
        wrong += (ours.max_depth, ours.min_samples_leaf) != (peer.Base.max_depth, peer.Base.min_samples_leaf)
        wrong += ours.validation_fraction != peer.validation_fraction
        wrong += (ours.max_bin, ours.splitter, ours.early_stopping_rounds) != (255, "histogram", None)
    wrong += (NGBRegressor().distribution, NGBRegressor().scoring) != ("normal", "log")
    return Check(wrong, 0, "differing defaults", "ngboost")


@evidence(
    "ngboost",
    claim="Weight two is a row twice, weight zero no row; classes without weight vanish",
    against="the expanded table",
)
def ngboost_weights() -> Check:
    from fivefold.models.trees import NGBClassifier, NGBRegressor

    X, y = table(200, "weights")
    weight = Streams(23).numpy("weights").integers(0, 4, len(y))
    expanded = np.repeat(np.arange(len(y)), weight)
    errors = []
    for scoring in ("log", "crps"):
        model = NGBRegressor(n_estimators=6, learning_rate=0.3, scoring=scoring)
        a = model.fit(X, y, weight).predict_raw(X)
        b = model.fit(X[expanded], y[expanded]).predict_raw(X)
        errors.append(np.abs(a - b).max())
    labels = np.where(y > 1, "up", "down")
    labels[:5], weight[:5] = "never", 0
    classifier = NGBClassifier(n_estimators=4).fit(X, labels, weight)
    kept = np.repeat(np.arange(len(y)), weight)
    again = NGBClassifier(n_estimators=4).fit(X[kept], labels[kept])
    errors.append(np.abs(classifier.predict_proba(X) - again.predict_proba(X)).max())
    errors.append(float(classifier.classes_.tolist() != ["down", "up"]))
    return Check(largest(errors), 1e-8, "largest difference", "the same rows repeated")


@evidence(
    "ngboost",
    claim="With the CRPS as score, a constant model ends at the least mean CRPS",
    against="scipy.optimize.minimize",
)
def ngboost_crps() -> Check:
    from scipy.optimize import minimize

    from fivefold.models.trees import NGBRegressor

    rng = Streams(24).numpy("crps")
    y = rng.gamma(2.0, 1.0, 150)
    errors = []
    for name, kind in (("normal", Normal), ("lognormal", LogNormal)):
        # One column without a split: each round moves all rows alike, along the mean natural gradient.
        model = NGBRegressor(distribution=name, scoring="crps", n_estimators=120, learning_rate=0.3, tol=1e-7)
        found = model.fit(np.zeros((150, 1)), y).predict_raw(np.zeros((1, 1)))[0]

        def risk(raw: np.ndarray, kind: type[Distribution] = kind) -> float:
            return float(kind(np.repeat(raw[:, None], 150, axis=1)).crps(y).mean())

        best = minimize(risk, kind.start(y, None), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14})
        errors.append(abs(risk(found) - best.fun))
        errors.append(float(not model.train_scores_[-1] < model.train_scores_[0]))
    return Check(largest(errors), 1e-6, "excess risk", "Nelder-Mead")


@evidence(
    "ngboost",
    claim="Early stopping keeps the best round of the first evaluation set, and rows held out stand in for one",
    against="scores recomputed by hand",
)
def ngboost_stopping() -> Check:
    from fivefold.models.trees import NGBRegressor

    X, y = table(200, "stop")
    new, truth = table(100, "held out")
    model = NGBRegressor(n_estimators=200, learning_rate=0.3, early_stopping_rounds=5).fit(
        X, y, eval_set=[(new, truth)]
    )
    scores = [d.scores(truth).mean() for d in model.staged_pred_dist(new)]
    best = int(np.argmin(scores))
    wrong = int(model.best_iteration_ != best + 1) + int(model.n_estimators_ != best + 6)
    errors = [
        np.abs(np.array(model.evals_result_["valid_0"]["log"]) - scores).max(),
        abs(model.best_score_ - min(scores)),
    ]
    errors.append(np.abs(model.predict_raw(new) - model.predict_raw(new, best + 1)).max())
    held = NGBRegressor(n_estimators=20, early_stopping_rounds=30, validation_fraction=0.25, random_state=3).fit(X, y)
    order = Streams(3).numpy("held-out").permutation(200)
    out, kept = np.sort(order[:50]), np.sort(order[50:])
    again = NGBRegressor(n_estimators=20, early_stopping_rounds=30).fit(X[kept], y[kept], eval_set=(X[out], y[out]))
    errors.append(
        np.abs(np.subtract(held.evals_result_["held_out"]["log"], again.evals_result_["valid_0"]["log"])).max()
    )
    return Check(largest([*errors, float(wrong)]), 1e-12, "largest difference", "staged distributions")


@evidence(
    "ngboost",
    claim="Any number of threads gives the same model bit for bit; seeds repeat, drawn rows and columns differ",
    against="itself",
)
def ngboost_threads() -> Check:
    from fivefold.models.trees import NGBRegressor

    rng = Streams(25).numpy("threads")
    X = rng.normal(size=(40_000, 3))
    y = X[:, 0] + np.exp(X[:, 1] / 2) * rng.normal(size=len(X))
    wrong = 0
    models = [NGBRegressor(n_estimators=2, n_jobs=jobs).fit(X, y) for jobs in (1, 2)]
    wrong += not np.array_equal(models[0].predict_raw(X), models[1].predict_raw(X))
    X, y = table(300, "draws")
    drawn = {"n_estimators": 3, "minibatch_frac": 0.5, "col_sample": 0.67, "learning_rate": 0.5}
    a, b, c = (NGBRegressor(random_state=s, **drawn).fit(X, y) for s in (1, 1, 2))
    wrong += not np.array_equal(a.predict_raw(X), b.predict_raw(X))
    wrong += int(np.array_equal(a.predict_raw(X), c.predict_raw(X)))
    wrong += int(set(a.trees_.count[a.trees_.offset[:-1]].tolist()) != {150})
    return Check(wrong, 0, "departures", "the same fit on another number of threads")


@evidence(
    "ngboost",
    claim="90 % intervals hold 87 to 93 % of new rows of California housing, and the CRPS beats a Normal of one variance",
    against="rows held out",
)
def ngboost_calibration() -> Check:
    from fivefold.data.datasets import load_dataset
    from fivefold.models.trees import NGBRegressor

    X, y = load_dataset("california-housing").xy()
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64) / 1e5
    order = Streams(26).numpy("rows").permutation(len(y))
    held, kept = order[:4000], order[4000:]
    d = NGBRegressor(n_estimators=125, learning_rate=0.04).fit(X[kept], y[kept]).pred_dist(X[held])
    low, high = d.interval(0.9)
    covered = float(np.mean((low <= y[held]) & (y[held] <= high)))
    width = np.full(len(held), np.log(np.std(y[held] - d.mean())))
    flat = Normal(np.stack([d.mean(), width])).crps(y[held]).mean()
    worse = float(not d.crps(y[held]).mean() < flat)
    return Check(largest([abs(covered - 0.9), worse]), 0.03, "coverage less 0.9", "California housing")


@evidence("ngboost", claim="Equal targets, one class and pure noise keep finite distributions", against="the constant")
def ngboost_edges() -> Check:
    from fivefold.models.trees import NGBClassifier, NGBRegressor

    X, y = table(60, "edges")
    wrong = 0
    flat = NGBRegressor(n_estimators=5).fit(X, np.full(60, 3.0))
    wrong += int(not (flat.predict(X) == 3).all()) + int(flat.n_estimators_ != 0)
    wrong += int(not np.allclose(flat.pred_dist(X).std(), 3e-9, rtol=1e-6))
    one = NGBClassifier(n_estimators=5).fit(X, np.full(60, "a"))
    wrong += int(not (one.predict_proba(X) == 1).all()) + int(one.predict(X)[0] != "a")
    gaps = np.where(Streams(27).numpy("gaps").random(X.shape) < 0.3, np.nan, X)
    wrong += int(not np.isfinite(NGBRegressor(n_estimators=30, learning_rate=0.5).fit(gaps, y).predict_raw(gaps)).all())
    draws = NGBRegressor(n_estimators=5).fit(X, y).pred_dist(np.repeat(X[:1], 20_000, axis=0))
    sample = draws.rvs(Streams(28).numpy("draws"))
    # Six standard errors of a mean of 20,000.
    wrong += int(abs(sample.mean() - draws.mean()[0]) > 6 * draws.std()[0] / np.sqrt(20_000))
    return Check(wrong, 0, "departures", "what the data say")
