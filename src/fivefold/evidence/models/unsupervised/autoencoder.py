"""The auto-encoder as a detector: PCA residuals in the linear case, its network by hand, anomalies off a curve."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


@evidence(
    "autoencoder-anomaly-detector",
    claim="The linear case scores rows by their distance to the plane of the leading components, in the units of X",
    against="PCA residual",
)
def linear_is_pca_residual() -> Check:
    from fivefold.models.unsupervised import PCA, AutoencoderAnomalyDetector

    rng = Streams(10).numpy("linear")
    X = 50.0 * (rng.normal(size=(128, 4)) * [3.0, 2.0, 0.5, 0.3]) @ np.linalg.qr(rng.normal(size=(4, 4)))[0] + 1000.0
    model = AutoencoderAnomalyDetector(
        (2,),
        activation="identity",
        max_epochs=700,
        batch_size=128,
        learning_rate=0.02,
        schedule="lr-cosine",
        precision="64-true",
    ).fit(X)
    pca = PCA(2).fit(X)
    far = np.r_[X, X.mean(axis=0) + 3 * (X - X.mean(axis=0))]
    residual = np.linalg.norm(far - pca.inverse_transform(pca.transform(far)), axis=1)
    worst = float(np.abs(-model.score_samples(far) - residual).max() / residual.max())
    worst = largest(worst, float(np.abs(model.location_ - X.mean(axis=0)).max()) / 1e3)
    worst = largest(worst, abs(model.scale_ / np.sqrt(X.var(axis=0).mean()) - 1))
    worst = largest(worst, abs(model.offset_ - np.percentile(model.score_samples(X), 10)) / residual.max())
    # The minimum is PCA itself; Adam with a rate that falls to zero ends within a thousandth of the largest residual.
    return Check(worst, 1e-3, "largest difference over the largest residual", "PCA")


@evidence(
    "autoencoder-anomaly-detector",
    claim="Network, loss, score and rebuilt rows are those of the formula; defaults as stated",
    against="the formula by hand",
)
def network_by_hand() -> Check:
    import torch

    from fivefold.engine.schema import NetworkSchema
    from fivefold.models.unsupervised import AutoencoderAnomalyDetector

    X = Streams(10).numpy("hand").normal(size=(40, 5)) * [1, 2, 3, 4, 5] + 10
    model = AutoencoderAnomalyDetector((6, 3, 2), activation="tanh", max_epochs=3, precision="64-true").fit(X)
    weights = [p.numpy() for p in model.module_.parameters()]
    shapes = [(6, 5), (6,), (3, 6), (3,), (2, 3), (2,), (3, 2), (3,), (6, 3), (6,), (5, 6), (5,)]
    worst = float([w.shape for w in weights] != shapes)
    s = np.sqrt(X.var(axis=0).mean())
    h = (X - X.mean(axis=0)) / s
    for number, (w, b) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        h = h @ w.T + b
        if number not in (2, 5):
            h = np.tanh(h)
    known = h * s + X.mean(axis=0)
    worst = largest(worst, float(np.abs(model.reconstruct(X) - known).max()))
    worst = largest(worst, float(np.abs(model.score_samples(X) + np.linalg.norm(X - known, axis=1)).max()))
    worst = largest(worst, float((model.predict(X) != np.where(model.score_samples(X) < model.offset_, -1, 1)).any()))
    outputs, rows = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    worst = largest(worst, float((model.usual_objective()(outputs, rows) - torch.tensor([2.5, 5.0])).abs().max()))
    kinds = [type(m).__name__ for m in AutoencoderAnomalyDetector((4, 2)).build(NetworkSchema((3,), 3, "regression"))]
    worst = largest(worst, float(kinds != ["Linear", "ReLU", "Linear", "Linear", "ReLU", "Linear"]))
    stated = {"hidden": (8, 4), "activation": "relu", "contamination": 0.1, "max_epochs": 100, "batch_size": 32}
    params = AutoencoderAnomalyDetector().get_params()
    worst = largest(worst, float(any(params[k] != v for k, v in stated.items()) or params["learning_rate"] != 1e-2))
    return Check(worst, 1e-10, "largest difference", "the formula by hand")


@evidence(
    "autoencoder-anomaly-detector",
    claim="Rows off a curved sheet are found where PCA of the same code is nearly blind; equal rows are not",
    against="PCA residual of as many components",
)
def off_the_curve() -> Check:
    from fivefold.evaluation.ranking import roc_auc
    from fivefold.models.unsupervised import PCA, AutoencoderAnomalyDetector

    rng = Streams(10).numpy("curve")

    def circle(n: int, low: float, high: float) -> np.ndarray:
        angle, radius = rng.uniform(0, np.pi, n), rng.uniform(low, high, n)
        return np.c_[radius * np.cos(angle), radius * np.sin(angle)]

    train, normal, odd = circle(400, 0.95, 1.05), circle(300, 0.95, 1.05), circle(300, 0.3, 0.7)
    model = AutoencoderAnomalyDetector((16, 1), activation="tanh", max_epochs=60).fit(train)
    asked, truth = np.r_[normal, odd], np.repeat([0, 1], 300)
    ours = roc_auc(truth, -model.score_samples(asked))
    pca = PCA(1).fit(train)
    plain = roc_auc(truth, np.linalg.norm(asked - pca.inverse_transform(pca.transform(asked)), axis=1))
    # The half circle is a curve of one dimension; a line leaves residuals of up to 0.6 on normal rows.
    control = roc_auc(truth, -model.score_samples(np.r_[normal, circle(300, 0.95, 1.05)]))
    if plain > 0.8 or abs(control - 0.5) > 4 * np.sqrt(601 / (12 * 300 * 300)):
        return Check(0.0, 0.95, "area under the ROC curve; the controls failed", "PCA", at_least=True)
    return Check(float(ours), 0.95, "area under the ROC curve", "PCA", at_least=True)
