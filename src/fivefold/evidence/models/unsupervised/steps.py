"""Single steps and edges of unsupervised models: starts, exact fits, descents of one row, bounds of parameters."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest, smallest


@evidence(
    "singular-value-decomposition",
    claim="Rows turn by a factor of modulus one, real or complex, until their largest entry is real and positive",
    against="the definition",
)
def upright_rows() -> Check:
    from fivefold.models.unsupervised._common import upright

    rng, worst = Streams(2).numpy("upright"), 0.0
    for rows in (rng.normal(size=(6, 4)), rng.normal(size=(6, 4)) + 1j * rng.normal(size=(6, 4))):
        rows[2] = 0.0
        turned = upright(rows)
        for before, after in zip(rows, turned, strict=True):
            at = int(np.abs(before).argmax())
            factor = 1.0 if before[at] == 0 else abs(before[at]) / before[at]
            worst = largest(worst, float(np.abs(after - factor * before).max()), abs(after[at] - abs(before[at])))
    return Check(worst, 1e-14, "largest difference", "the definition")


@evidence(
    "nmf",
    claim="The start by singular vectors, and tables that parts fit exactly: the loss ends at zero",
    against="Boutsidis & Gallopoulos by hand",
)
def start_and_exact_fit() -> Check:
    from fivefold.models.unsupervised import NMF

    worst = 0.0
    for case in range(3):
        parts = (4, 7, 1)[case]  # at most as many as columns
        X = Streams(case).numpy("nmf-start").gamma(1.0, size=(12, 7))
        U, s, V = np.linalg.svd(X, full_matrices=False)
        W, H = np.empty((12, parts)), np.empty((parts, 7))
        for j in range(parts):
            pairs = [(np.fmax(side * U[:, j], 0), np.fmax(side * V[j], 0)) for side in (1, -1)]
            u, v = sorted(pairs, key=lambda pair: np.linalg.norm(pair[0]) * np.linalg.norm(pair[1]))[1]
            # σ u v' of the half with more mass, split evenly between the two factors.
            size = s[j] * np.linalg.norm(u) * np.linalg.norm(v)
            W[:, j], H[j] = np.sqrt(size) * u / np.linalg.norm(u), np.sqrt(size) * v / np.linalg.norm(v)
        W[W < 1e-6], H[H < 1e-6] = X.mean(), X.mean()
        for solver in ("hals", "mu"):
            first = NMF(parts, solver=solver, max_iter=1, tol=0.0).fit(X).loss_path_[0]
            worst = largest(worst, abs(first - 0.5 * ((X - W @ H) ** 2).sum()))
        exact = np.outer(X[:, 0], X[0])
        for scale in (1.0, 1e-2):
            # The squared norm minus the products that rebuild it leaves a few roundings of that norm.
            model = NMF(1, max_iter=60, tol=0.0).fit(scale * exact)
            norm = float(((scale * exact) ** 2).sum())
            worst = largest(worst, model.loss_path_[-1], model.reconstruction_err_**2, -float(model.loss_path_.min()))
            worst = largest(worst, float(not (model.loss_path_[-1] <= 1e-13 * norm)))
    return Check(worst, 1e-11, "largest difference", "by hand")


@evidence(
    "nmf",
    claim="Random starts have half-normal entries of the table's scale; new rows start level and take five times the steps",
    against="moments, the multiplicative update by hand",
)
def random_and_level_starts() -> Check:
    from fivefold.models.unsupervised import NMF

    worst = 0.0
    X = Streams(4).numpy("nmf-random").gamma(2.0, size=(300, 400))
    for parts in (5, 350):
        # Half-normal numbers have the mean √(2/π) and the variance 1 - 2/π.
        for part in NMF(parts, init="random" if parts == 5 else "svd", random_state=2)._start(X, parts):
            scaled = part / np.sqrt(X.mean() / parts)
            worst = largest(worst, abs(scaled.mean() - np.sqrt(2 / np.pi)) / np.sqrt((1 - 2 / np.pi) / scaled.size))
    X = X[:30, :6]
    for steps in (1, 3):
        model = NMF(2, solver="mu", beta_loss="kullback-leibler", max_iter=steps).fit(X)
        H = model.components_
        W = np.repeat(np.sqrt(X.mean(axis=1, keepdims=True) / 2), 2, axis=1)
        for _ in range(5 * steps):
            W *= (X / (W @ H)) @ H.T / H.sum(axis=1)
        worst = largest(worst, 1e12 * float(np.abs(model.transform(X) - W).max()))
    return Check(worst, 6.0, "standard errors, or differences by 1e-12", "moments and the update")


@evidence(
    "nmf",
    claim="A fit warns where it ends before it settles: not without a tolerance, nor with fewer steps than a look takes",
    against="the contract",
)
def unsettled_fits_warn() -> Check:
    import warnings

    from fivefold.models.unsupervised import NMF

    X, wrong = Streams(6).numpy("nmf-warns").gamma(1.0, size=(20, 8)), 0
    for steps, tol, warns in (
        (10, 1e-9, True),
        (12, 1e-9, True),
        (10, 0.0, False),
        (9, 1e-9, False),
        (500, 1e-2, False),
    ):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            NMF(3, max_iter=steps, tol=tol).fit(X)
        wrong += [f"max_iter={steps}" in str(w.message) for w in seen] != [True] * warns
    return Check(wrong, 0, "violations", "the contract")


@evidence(
    "canonical-correlation-analysis",
    claim="Tables that are maps of each other correlate at 1 and never beyond it",
    against="Cauchy-Schwarz",
)
def full_correlation() -> Check:
    from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

    worst, wrong = 0.0, 0
    for case in range(12):
        rng = Streams(case).numpy("full-correlation")
        X = rng.normal(size=(40, 4))
        found = CanonicalCorrelationAnalysis().fit(X, X @ rng.normal(size=(4, 4))).canonical_correlations_
        wrong += not (found <= 1.0).all()
        worst = largest(worst, float(np.abs(found - 1.0).max()))
    return Check(largest(worst, float(wrong)), 1e-10, "distance from 1, or beyond it", "Cauchy-Schwarz")


@evidence(
    "locally-linear-embedding",
    claim="Up to one neighbor and one dimension fewer than rows are taken, no more",
    against="the contract",
)
def most_neighbors() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.models.unsupervised import LocallyLinearEmbedding

    X, wrong = Streams(5).numpy("most-neighbors").normal(size=(6, 3)), 0
    for k, count, name in (
        (1, 5, ""),
        (5, 2, ""),
        (1, 6, "n_neighbors"),
        (6, 2, "n_components"),
        (6, 6, "n_components"),
    ):
        try:
            wrong += LocallyLinearEmbedding(k, n_neighbors=count).fit(X).embedding_.shape != (6, k) or bool(name)
        except DataError as error:
            wrong += not name or f"`{name}` is 6 with n_samples = 6 rows" not in str(error)
    return Check(wrong, 0, "violations", "the contract")


def _descend(near: np.ndarray, p: np.ndarray, Y: np.ndarray, steps: int) -> tuple[np.ndarray, float]:
    """Return the place of one new row after the steps, and the closest call of accepting or refusing one."""

    def slope(y: np.ndarray) -> tuple[float, np.ndarray]:
        s = 1 / (1 + ((y - Y) ** 2).sum(axis=1))
        to = 1 / (1 + ((y - Y[near]) ** 2).sum(axis=1))
        gradient = 2 * (p * to) @ (y - Y[near]) - 2 * (s**2) @ (y - Y) / s.sum()
        return float(np.log(s.sum()) - p @ np.log(to)), gradient

    y, rate, close = p @ Y[near], 1.0, np.inf
    loss, gradient = slope(y)
    for _ in range(steps):
        trial = y - rate * gradient
        found, other = slope(trial)
        surplus = loss - 1e-4 * rate * float(gradient @ gradient) - found
        close = smallest(close, abs(surplus))
        if surplus >= 0:
            y, loss, gradient, rate = trial, found, other, 2 * rate
        else:
            rate /= 2
    return y, close


@evidence(
    "t-sne",
    claim="A new row starts at the mean of its neighbors and descends by steps that double, or halve where the loss stays",
    against="the same descent in NumPy",
)
def descent_of_new_rows() -> Check:
    from fivefold.models.unsupervised import _embedding as kernels

    worst, judged = 0.0, 0
    for case in range(24):
        rng = Streams(case).numpy("placing")
        dims, spread = (1, 2, 3)[case % 3], (0.1, 1.0, 6.0, 40.0)[case % 4]
        Y = spread * rng.normal(size=(25, dims))
        index = np.stack([rng.permutation(25)[:5] for _ in range(3)])
        P = rng.dirichlet(np.ones(5), size=3)
        for steps in (0, 1, 2, 3, 5, 9):
            out = np.empty((3, dims))
            kernels.settle(index, P, Y, steps, out)
            for i in range(3):
                known, close = _descend(index[i], P[i], Y, steps)
                # A fall within rounding of what is enough may be judged either way.
                if close > 1e-13:
                    judged += 1
                    worst = largest(worst, float(np.abs(out[i] - known).max() / spread))
    return Check(largest(worst, float(not judged >= 400)), 1e-9, "largest difference", "NumPy")
