"""The linear auto-encoder: its gradients, its error in closed form, and the way of its training to PCA."""

from __future__ import annotations

import tempfile

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


@evidence(
    "pca-linear-autoencoder", claim="Error and gradients equal autograd's over the rows themselves", against="torch"
)
def same_as_autograd() -> Check:
    import torch

    from fivefold.demos.unsupervised.linear_autoencoder import gradients, reconstruction_error, train

    rng = Streams(3).numpy("autograd")
    X = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 4))
    X -= X.mean(axis=0)
    S = X.T @ X / 30
    E, D = rng.normal(size=(2, 4)), rng.normal(size=(4, 2))
    encoder, decoder = torch.tensor(E, requires_grad=True), torch.tensor(D, requires_grad=True)
    rows = torch.tensor(X)
    loss = (rows - rows @ encoder.T @ decoder.T).square().sum(1).mean()
    loss.backward()
    by_encoder, by_decoder = gradients(E, D, S)
    worst = abs(reconstruction_error(E, D, S) - float(loss.detach()))
    worst = largest(worst, float(np.abs(by_encoder - encoder.grad.numpy()).max()))
    worst = largest(worst, float(np.abs(by_decoder - decoder.grad.numpy()).max()))
    # One step of the loop from its own start, which a second generator of the same seed draws again.
    one = train(S, 2, 1, 0.01, Streams(3).numpy("start"))
    again = Streams(3).numpy("start")
    E0, D0 = again.normal(size=(2, 4)) / np.sqrt(8), again.normal(size=(4, 2)) / np.sqrt(8)
    g, h = gradients(E0, D0, S)
    worst = largest(worst, float(np.abs(one[0] - (E0 - 0.01 * g)).max()), float(np.abs(one[1] - (D0 - 0.01 * h)).max()))
    worst = largest(worst, abs(one[2][0] - reconstruction_error(E0, D0, S)), float(len(one[2]) != 2))
    return Check(worst, 1e-12 * float(np.abs(by_encoder).max()), "largest difference", "torch")


@evidence(
    "pca-linear-autoencoder",
    claim="Training ends at the sum of the eigenvalues left out and in the span of the others, never below on the way",
    against="closed form",
)
def reaches_pca() -> Check:
    from fivefold.demos.unsupervised.linear_autoencoder import LinearAutoencoderDemo

    demo = LinearAutoencoderDemo()
    with tempfile.TemporaryDirectory() as folder:
        numbers = demo.run(seed=2, out=folder, quick=True).numbers
    X = demo.data(2, True)
    values = np.linalg.eigvalsh(np.cov(X.T, bias=True))
    worst = abs(numbers["error of PCA"] / values[0] - 1)
    # The optimum is linear in rate: 2500 steps of 0.1 shrink what is left by far more than these digits.
    worst = largest(
        worst,
        abs(numbers["largest relative excess at the end"]),
        abs(numbers["error of the auto-encoder"] / values[0] - 1),
    )
    worst = largest(worst, -numbers["least relative excess at any step"])
    worst = largest(worst, np.radians(numbers["largest angle to the subspace of PCA (degrees)"]))
    return Check(float(worst), 1e-6, "largest relative difference", "closed form")


@evidence(
    "pca-linear-autoencoder",
    claim="The weights are oblique; they turn orthonormal only by the singular vectors of D E",
    against="the product D E",
)
def oblique() -> Check:
    from fivefold.demos.unsupervised.linear_autoencoder import LinearAutoencoderDemo, train

    X = LinearAutoencoderDemo().data(2, True)
    S = np.cov(X.T, bias=True)
    w = np.linalg.eigh(S)[1][:, 1:]  # the two leading axes
    worst, skew = 0.0, []
    for start in range(4):
        E, D, _ = train(S, 2, 3000, 0.1 / np.linalg.eigvalsh(S)[-1], Streams(5).numpy("oblique", start))
        worst = largest(worst, float(np.abs(D @ E - w @ w.T).max()))
        skew.append(abs(D[:, 0] @ D[:, 1]) / (np.linalg.norm(D[:, 0]) * np.linalg.norm(D[:, 1])))
    # Random codes are oblique with probability one; a cosine below 0.01 four times has a chance below 1e-6.
    return Check(largest(worst, float(not max(skew) >= 0.01)), 1e-6, "distance of D E from the projector", "PCA")
