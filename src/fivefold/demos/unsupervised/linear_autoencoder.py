"""A linear auto-encoder trained by gradient descent comes to the reconstruction error of PCA, in the same subspace."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import subspace_angles

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.models.unsupervised.pca import PCA

from ..result import Result, save_figure


def reconstruction_error(encoder: np.ndarray, decoder: np.ndarray, covariance: np.ndarray) -> float:
    r"""Return E‖x - D E x‖² = tr((I - DE) S (I - DE)ᵀ) of centered rows with the second moments S (d, d).

    ``encoder`` is E (k, d), ``decoder`` D (d, k).
    """
    rest = np.eye(len(covariance)) - decoder @ encoder
    return float(np.einsum("ij,jk,ik->", rest, covariance, rest))


def gradients(encoder: np.ndarray, decoder: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients -2 Dᵀ(I - DE)S by the encoder (k, d) and -2 (I - DE)S Eᵀ by the decoder (d, k)."""
    rest = (np.eye(len(covariance)) - decoder @ encoder) @ covariance
    return -2.0 * decoder.T @ rest, -2.0 * rest @ encoder.T


def train(
    covariance: np.ndarray, code: int, steps: int, rate: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return encoder (k, d), decoder (d, k) and the error (steps + 1,) before and after every step of gradient descent."""
    d = len(covariance)
    encoder, decoder = (rng.normal(size=shape) / np.sqrt(2 * d) for shape in ((code, d), (d, code)))
    path = [reconstruction_error(encoder, decoder, covariance)]
    for _ in range(steps):
        by_encoder, by_decoder = gradients(encoder, decoder, covariance)
        encoder, decoder = encoder - rate * by_encoder, decoder - rate * by_decoder
        path.append(reconstruction_error(encoder, decoder, covariance))
    return encoder, decoder, np.array(path)


@dataclass
class LinearAutoencoderDemo:
    r"""Train x̂ = x̄ + D E (x - x̄) by gradient descent from several random starts and set it beside PCA.

    .. math:: \min_{E, D} \frac1n \sum_i \lVert x_i - \bar x - D E (x_i - \bar x) \rVert^2
              = \sum_{j > k} \lambda_j, \qquad \operatorname{range}(D) = \operatorname{span}(w_1, \dots, w_k)

    Parameters
    ----------
    code : int >= 1, default 2
        Hidden units k, fewer than columns.
    n_starts : int >= 1, default 3
        Random starts.
    steps : int >= 1, default 20,000
        Steps of gradient descent; the quick form takes an eighth.
    rate : float > 0, default 0.1
        Step length in units of one over the largest eigenvalue.

    Notes
    -----
    The quick form is the 3-2-3 net of the course on 200 made rows; the full form takes the four lengths of the iris flowers.
    """

    code: int = 2
    n_starts: int = 3
    steps: int = 20_000
    rate: float = 0.1

    def data(self, seed: int, quick: bool) -> np.ndarray:
        """Return the rows (n, d)."""
        if not quick:
            from fivefold.data.datasets import load_dataset

            return np.asarray(load_dataset("iris").xy()[0], dtype=np.float64)
        turn = np.linalg.qr(Streams(seed).numpy("axes").normal(size=(3, 3)))[0]
        return (Streams(seed).numpy("rows").normal(size=(200, 3)) * [2.0, 1.2, 0.5]) @ turn + 5.0

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Run the demonstration and write ``training.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            Made rows with three columns and an eighth of the steps.

        Returns
        -------
        Result
            Error of PCA; over the starts the largest relative excess at the end, the least excess at any step, the largest
            angle to PCA's subspace in degrees, and the least cosine in size between the first two columns of the decoder.
        """
        if self.n_starts < 1 or self.steps < 1 or self.rate <= 0:
            raise InputError(f"The demonstration needs n_starts >= 1, steps >= 1 and a rate above 0; got {self}.")
        X = self.data(seed, quick)
        if not 1 <= self.code < X.shape[1]:
            raise InputError(
                f"`code` is {self.code}; the data have {X.shape[1]} columns, so give 1 to {X.shape[1] - 1}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        centered = X - X.mean(axis=0)
        covariance = centered.T @ centered / len(X)
        pca = PCA(self.code, svd_solver="full").fit(X)
        floor = float(((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1).mean())
        largest = float(np.linalg.eigvalsh(covariance)[-1])
        steps = max(1, self.steps // 8) if quick else self.steps
        rng = Streams(seed).numpy("starts")
        paths, angles, skew = [], [], []
        for _ in range(self.n_starts):
            encoder, decoder, path = train(covariance, self.code, steps, self.rate / largest, rng)
            paths.append(path)
            angles.append(float(np.degrees(subspace_angles(decoder, pca.components_.T)[0])))
            units = decoder / np.linalg.norm(decoder, axis=0)
            skew.append(float(np.abs((units.T @ units)[np.triu_indices(self.code, 1)]).max(initial=0.0)))
        every = np.array(paths)
        numbers = {
            "error of PCA": floor,
            "error of the auto-encoder": float(every[:, -1].mean()),
            "largest relative excess at the end": float(every[:, -1].max() / floor - 1),
            "least relative excess at any step": float(every.min() / floor - 1),
            "largest angle to the subspace of PCA (degrees)": max(angles),
            "largest cosine between columns of the decoder": max(skew),
            "columns": float(X.shape[1]),
        }
        figure = self._draw(folder / "training.png", every, floor, 60 if quick else 120)
        return Result(numbers, [figure], self._text(numbers))

    def _draw(self, path: Path, paths: np.ndarray, floor: float, dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        for number, errors in enumerate(paths):
            axes.loglog(np.arange(1, len(errors) + 1), errors, label=f"auto-encoder, start {number + 1}")
        axes.axhline(floor, color="black", linestyle="--", label="PCA")
        axes.set_xlabel("step of gradient descent, plus one")
        axes.set_ylabel("mean squared distance of a row to its reconstruction")
        axes.legend(loc="best", fontsize=9)
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        excess = numbers["largest relative excess at the end"]
        least = numbers["least relative excess at any step"]
        never = "never below" if least >= -1e-9 else "at times below"
        return (
            f"PCA with {self.code} of {numbers['columns']:.0f} components leaves the error {numbers['error of PCA']:.4f}. "
            f"Linear auto-encoders with as many hidden units, from {self.n_starts} random starts, end at most {excess:.1e} "
            f"of that above it, and are {never} it on the way.\n\n"
            f"The columns of their decoders span the subspace of PCA up to "
            f"{numbers['largest angle to the subspace of PCA (degrees)']:.1e} degrees, but they are no principal axes: the "
            f"cosine between two of them is as large as {numbers['largest cosine between columns of the decoder']:.2f}, "
            "where that of principal axes is 0."
        )
