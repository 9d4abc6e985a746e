"""Anomaly detectors: closed forms of the density and of path lengths, thresholds, peers."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


@evidence(
    "gaussian-anomaly-detector",
    claim="Log-densities with the course's mean (0.29, 0.73) and Σ = diag(0.04, 0.03), and with any Σ",
    against="scipy multivariate_normal",
)
def log_density() -> Check:
    from scipy.stats import multivariate_normal

    from fivefold.models.unsupervised import GaussianAnomalyDetector

    # Four rows with exactly these moments (divisor N): mean ± one deviation along each axis.
    a, b = np.sqrt(2 * 0.04), np.sqrt(2 * 0.03)
    X = np.array([0.29, 0.73]) + np.array([[a, 0.0], [-a, 0.0], [0.0, b], [0.0, -b]])
    worst = 0.0
    for kind in ("full", "diag"):
        model = GaussianAnomalyDetector(covariance_type=kind).fit(X)
        worst = largest(worst, float(np.abs(model.location_ - [0.29, 0.73]).max()))
        worst = largest(worst, float(np.abs(model.covariance_ - np.diag([0.04, 0.03])).max()))
        asked = np.array([[0.1, 0.9], [0.29, 0.73], [1.0, 0.0]])
        known = multivariate_normal([0.29, 0.73], np.diag([0.04, 0.03])).logpdf(asked)
        worst = largest(worst, float(np.abs(model.score_samples(asked) - known).max()))
        worst = largest(worst, abs(model.score_samples([[0.29, 0.73]])[0] + np.log(2 * np.pi * np.sqrt(0.0012))))
    rng = Streams(6).numpy("density")
    X = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 4)) + 3
    full = GaussianAnomalyDetector().fit(X)
    known = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X)
    worst = largest(worst, float(np.abs(full.score_samples(X) - known).max()))
    diag = GaussianAnomalyDetector(covariance_type="diag", reg_covar=0.5).fit(X)
    known = multivariate_normal(X.mean(axis=0), np.diag(X.var(axis=0) + 0.5)).logpdf(X)
    worst = largest(worst, float(np.abs(diag.score_samples(X) - known).max()))
    far = GaussianAnomalyDetector().fit(X * 1e8)  # units change the density by their power alone
    worst = largest(worst, float(np.abs(far.score_samples(X * 1e8) - full.score_samples(X) + 4 * np.log(1e8)).max()))
    return Check(worst, 1e-11, "largest difference", "scipy multivariate_normal")


@evidence(
    "gaussian-anomaly-detector",
    claim="Weights are repeated rows; thresholds by share or log-density; a row at the threshold is normal",
    against="definition",
)
def thresholds_and_weights() -> Check:
    from fivefold.models.unsupervised import GaussianAnomalyDetector

    rng = Streams(6).numpy("thresholds")
    X = rng.normal(size=(101, 2))
    w = rng.integers(0, 4, size=101)
    weighted = GaussianAnomalyDetector().fit(X, sample_weight=w)
    repeated = GaussianAnomalyDetector().fit(np.repeat(X, w, axis=0))
    worst = float(np.abs(weighted.covariance_ - repeated.covariance_).max())
    worst = largest(worst, float(np.abs(weighted.location_ - repeated.location_).max()))
    model = GaussianAnomalyDetector().fit(X)
    scores = model.score_samples(X)
    worst = largest(worst, abs(model.offset_ - np.sort(scores)[10]))  # the 10 % quantile of 101 rows is the eleventh
    worst = largest(worst, float((model.predict(X) == -1).sum() != 10))
    worst = largest(worst, float(np.abs(model.decision_function(X) - scores + model.offset_).max()))
    chosen = GaussianAnomalyDetector(threshold=float(scores[7])).fit(X)
    worst = largest(worst, float(not np.array_equal(chosen.predict(X), np.where(scores >= scores[7], 1, -1))))
    stated = {"covariance_type": "full", "reg_covar": 0.0, "contamination": 0.1, "threshold": None}
    worst = largest(worst, float(GaussianAnomalyDetector().get_params() != stated))
    return Check(worst, 1e-12, "largest difference", "definition")


@evidence(
    "gaussian-anomaly-detector",
    claim="Always copying the crowd is itself abnormal: of the course's three players the one at 1.0 scores below 0.7",
    against="06#gaussian-anomaly",
)
def copying_the_crowd() -> Check:
    from fivefold.models.unsupervised import GaussianAnomalyDetector

    rng = Streams(6).numpy("players")
    mean, deviation = np.array([0.3, 0.7, 0.2, 0.65, 0.05]), np.array([0.2, 0.17, 0.1, 0.06, 0.05])
    players = mean + deviation * rng.normal(size=(4000, 5))
    model = GaussianAnomalyDetector().fit(players)
    crowd, against, usual = model.score_samples(
        [[0.1, 0.9, 0.1, 1.0, 0.0], [0.1, 0.9, 0.1, 0.0, 0.3], [0.1, 0.9, 0.1, 0.7, 0.0]]
    )
    # The moments are ours, as the source prints none for five features; its order -22 < -16 < -2 must hold.
    return Check(int(not against < crowd < usual), 0, "pairs in another order", "06#gaussian-anomaly")


@evidence(
    "gaussian-anomaly-detector",
    claim="Ranks rows as scikit-learn's robust and empirical covariance do",
    against="scikit-learn EmpiricalCovariance and EllipticEnvelope",
)
def same_ranking() -> Check:
    from scipy.stats import spearmanr
    from sklearn.covariance import EllipticEnvelope, EmpiricalCovariance

    from fivefold.models.unsupervised import GaussianAnomalyDetector

    X = Streams(6).numpy("ranking").normal(size=(400, 3)) * [1.0, 20.0, 0.1] + 2
    model = GaussianAnomalyDetector().fit(X)
    gap = float(np.abs(model.mahalanobis(X) / EmpiricalCovariance().fit(X).mahalanobis(X) - 1).max())
    envelope = EllipticEnvelope(support_fraction=1.0, random_state=0).fit(X)
    # Clean data and full support: both are the same ranking but for the correction of the envelope.
    rank = 1 - float(spearmanr(model.score_samples(X), envelope.score_samples(X))[0])
    return Check(largest(gap, rank / 1e6 if rank < 0.02 else 1.0), 1e-7, "largest difference", "scikit-learn")
